// Speaks the frames protocol of docs/runner-protocol.md for a JavaScript program.
//
//   runner.js ENTRY
//
// ENTRY is the author's file, which exports apply, or package.json, whose main
// does. Node.js 20 or newer, and its own library, are all that is needed.
"use strict";
const EventEmitter = require("events");
const fs = require("fs");
const net = require("net");
const path = require("path");

const find = require("./entry.js");

const READY = 1, RESULT = 2, CHUNK = 3, ERROR = 4, LOG = 5, CALL = 16, CANCEL = 17, STOP = 18;
const VOID = 0, TEXT = 1, JSON_ = 2, BINARY = 3;
const HEAD = 16;
const MOST_HEAD = 65535; // its length has 16 bits
const JOIN = 64 << 10; // data up to this is copied behind its head
const NONE = Buffer.alloc(0);

const Timeout = setTimeout(() => {}).unref().constructor;
const Immediate = setImmediate(() => {}).unref().constructor;

const concurrency = Number(process.env.STOA_CONCURRENCY) || 1;
const running = new Map(); // number to Call
let flushing = 0; // answers that wait for what was printed before them
let stopping = false;

// ---- frames

const socket = net.connect({ path: process.env.STOA_SOCKET });

function send(kind, number, content = VOID, data = NONE, head = NONE) {
  const whole = data.length <= JOIN;
  const first = Buffer.allocUnsafe(HEAD + head.length + (whole ? data.length : 0));
  first.writeUInt32LE(head.length + data.length, 0);
  first[4] = kind;
  first[5] = content;
  first.writeUInt16LE(head.length, 6);
  first.writeBigUInt64LE(number, 8);
  head.copy(first, HEAD);
  if (whole) {
    data.copy(first, HEAD + head.length);
    return socket.write(first);
  }
  socket.cork(); // both leave in one call
  socket.write(first);
  const flows = socket.write(data);
  socket.uncork();
  return flows;
}

let pending = []; // what came of a frame that is not whole
let have = 0;
let need = HEAD;

function received(piece) {
  pending.push(piece);
  have += piece.length;
  if (have < need) return;
  let all = pending.length === 1 ? piece : Buffer.concat(pending, have);
  for (need = HEAD; all.length >= HEAD; ) {
    const end = HEAD + all.readUInt32LE(0);
    if (all.length < end) {
      need = end;
      break;
    }
    const split = HEAD + all.readUInt16LE(6);
    frame(all[4], all[5], all.readBigUInt64LE(8), all.subarray(HEAD, split), all.subarray(split, end));
    all = all.subarray(end);
  }
  pending = all.length ? [all] : [];
  have = all.length;
}

function frame(kind, content, number, head, data) {
  if (kind === CALL) {
    run(number, content, head, data);
  } else if (kind === CANCEL) {
    running.get(number)?._abort();
  } else if (kind === STOP) {
    stopping = true;
    if (running.size === 0 && flushing === 0) process.exit(0);
  } else {
    console.error("stoa: a frame of type " + kind);
    process.exit(1);
  }
}

// ---- values

function decode(content, data) {
  if (content === TEXT) return data.toString("utf8");
  if (content === JSON_) return JSON.parse(data.toString("utf8"));
  return content === BINARY ? data : null;
}

function encode(value) {
  if (typeof value === "string") return [TEXT, Buffer.from(value, "utf8")];
  if (value instanceof Uint8Array) return [BINARY, Buffer.from(value.buffer, value.byteOffset, value.byteLength)];
  if (value instanceof ArrayBuffer) return [BINARY, Buffer.from(value)];
  const text = JSON.stringify(value === undefined ? null : value);
  if (text === undefined) throw new TypeError("apply answered with a " + typeof value + ", which is neither text nor bytes nor JSON");
  return [JSON_, Buffer.from(text, "utf8")];
}

// The head of an error frame. The stack has the author's own lines.
function failure(error, loading) {
  const isError = error instanceof Error || (error && typeof error.message === "string");
  let message = isError ? error.message : typeof error === "string" ? error : JSON.stringify(error) ?? String(error);
  let stack = isError && typeof error.stack === "string" ? error.stack : "";
  stack = stack.split("\n").filter((line) => !/^\s+at /.test(line) || !(line.includes(__dirname + path.sep) || line.includes("node:internal"))).join("\n");
  if (loading) message = place(stack) + (error?.name || "Error") + ": " + message.split("\n")[0];
  const type = (isError && (error.error_type || error.errorType)) || (loading ? "LoadingError" : "AlgorithmError");
  for (let room = MOST_HEAD; ; room >>= 1) {
    const head = Buffer.from(JSON.stringify({ message: message.slice(0, room >> 1), error_type: String(type).slice(0, 200), stacktrace: stack.slice(0, room >> 1) }));
    if (head.length <= MOST_HEAD) return head;
  }
}

// Where it happened, as src/hello.js:3, by the first line of a stack that names
// a file of the author's.
function place(stack) {
  const top = process.cwd() + path.sep;
  for (const line of stack.split("\n")) {
    const at = line.indexOf(top);
    const found = at >= 0 && /^(.+?\.[cm]?js:\d+)/.exec(line.slice(at + top.length));
    if (found) return found[1] + ": ";
  }
  return "";
}

// ---- calls

let apply, takes, state;
let whose; // the call that runs here, where several do

function run(number, content, head, data) {
  const call = newCall(number, head);
  running.set(number, call);
  const go = () => answer(call, content, data);
  (whose ? whose.run(call, go) : go()).catch((error) => finish(call, ERROR, VOID, NONE, failure(error)));
}

async function answer(call, content, data) {
  const input = decode(content, data);
  let result = takes === 1 ? apply(input) : apply(input, call); // a second one may have a default of its own
  if (typeof result?.then === "function") result = await result;
  if (takes >= 2 && isNoAnswer(result)) result = await call._answered(); // by callback
  if (isStream(result)) return stream(call, result);
  finish(call, RESULT, ...encode(result));
}

// What a function gives that answers by callback: nothing, or what it happened to
// call last, such as setTimeout.
function isNoAnswer(value) {
  if (value === undefined) return true;
  return value instanceof EventEmitter ? !isStream(value) : value instanceof Timeout || value instanceof Immediate;
}

function isStream(value) {
  if (value === null || typeof value !== "object") return false;
  return typeof value[Symbol.asyncIterator] === "function" || (typeof value.next === "function" && typeof value[Symbol.iterator] === "function");
}

async function stream(call, parts) {
  let kind;
  for await (const part of parts) {
    const [content, data] = encode(part);
    kind ??= content;
    if (content !== kind) throw new TypeError("apply yields parts of several types: text, bytes, or else JSON");
    const flows = content === JSON_ ? send(CHUNK, call.number, TEXT, Buffer.concat([data, Buffer.from("\n")])) : send(CHUNK, call.number, content, data);
    if (!flows) await new Promise((resolve) => socket.once("drain", resolve));
  }
  if (kind === JSON_) return finish(call, RESULT, TEXT, NONE, Buffer.from('{"media_type":"application/x-ndjson"}'));
  finish(call, RESULT, kind ?? TEXT);
}

function finish(call, kind, content, data, head) {
  if (!running.delete(call.number)) return;
  // What was printed may still wait in this process, where a pipe is full: it goes
  // before the answer, and belongs to this call.
  if (process.stdout.writableLength === 0 && process.stderr.writableLength === 0) {
    send(kind, call.number, content, data, head);
    if (stopping && running.size === 0 && flushing === 0) leave(0);
    return;
  }
  const full = [process.stdout, process.stderr].filter((stream) => stream.writableLength > 0);
  let left = full.length;
  flushing++;
  const sent = () => {
    if (--left > 0) return;
    send(kind, call.number, content, data, head);
    if (--flushing === 0 && stopping && running.size === 0) leave(0);
  };
  for (const stream of full) stream.write("", sent);
}

// Ends the program when what was sent has left it.
function leave(status) {
  socket.end(() => process.exit(status));
}

// What apply gets beside its input: the callback of Algorithmia's form, which
// also knows about the call.
function newCall(number, head) {
  const call = (error, value) => {
    call._given ??= [error, value];
    call._settle?.();
  };
  Object.setPrototypeOf(call, Call);
  call.number = number;
  call.state = state;
  call._head = head;
  call._came = Date.now();
  return call;
}

const Call = Object.setPrototypeOf(
  {
    _field(name) {
      this._fields ??= this._head.length ? JSON.parse(this._head.toString("utf8")) : {};
      return this._fields[name];
    },
    _abort() {
      this._controller?.abort();
    },
    // What the callback is given, or was.
    _answered() {
      return new Promise((resolve, reject) => {
        this._settle = () => {
          const [error, value] = this._given;
          if (error === null || error === undefined) resolve(value);
          else reject(error);
        };
        if (this._given) this._settle();
      });
    },
    log(...values) {
      console.error(...values);
    },
    get token() {
      return this._field("token") || process.env.ALGORITHMIA_API_KEY;
    },
    get requestId() {
      return this._field("request_id");
    },
    get mediaType() {
      return this._field("media_type");
    },
    get deadline() {
      const left = this._field("deadline_ms");
      return left === undefined ? undefined : new Date(this._came + left);
    },
    get signal() {
      return (this._controller ??= new AbortController()).signal;
    },
  },
  Function.prototype,
);

// ---- the program

async function load(entry) {
  const file = find(entry);
  if (!fs.existsSync(file)) throw new Error(`there is no ${entry}: name the file that exports apply in code.entry of stoa.yaml`);
  if (process.env.NODE_PATH && fs.existsSync(process.env.NODE_PATH)) {
    require("module").register?.("./hooks.mjs", require("url").pathToFileURL(__filename));
  }
  let module;
  try {
    module = require(file);
  } catch (error) {
    // A module of the newer form, which require does not take, or takes without hooks.
    if (!["ERR_REQUIRE_ESM", "ERR_REQUIRE_ASYNC_MODULE", "ERR_MODULE_NOT_FOUND"].includes(error.code)) throw error;
    module = await import(require("url").pathToFileURL(file));
  }
  const owner = [module, module.default].find((m) => typeof m?.apply === "function");
  if (owner) apply = owner.apply.bind(owner);
  else if (typeof module === "function") apply = module;
  else if (typeof module.default === "function") apply = module.default;
  else throw new Error(path.relative(process.cwd(), file) + " exports no function apply");
  takes = (owner ? owner.apply : apply).length;
  const first = (owner || module).load;
  if (typeof first === "function") state = await first(models());
}

// The files that code.models names: name to path.
function models() {
  const folder = process.env.STOA_MODELS;
  const out = {};
  if (folder && fs.existsSync(folder)) {
    for (const name of fs.readdirSync(folder).sort()) out[name] = path.join(folder, name);
  }
  return out;
}

// Where several calls are under way, what a call prints is sent as its log.
function share() {
  whose = new (require("async_hooks").AsyncLocalStorage)();
  [process.stdout, process.stderr].forEach((stream, i) => {
    const write = stream.write.bind(stream);
    stream.write = (data, encoding, done) => {
      const call = whose.getStore();
      if (!call || !running.has(call.number)) return write(data, encoding, done);
      const flows = send(LOG, call.number, i + 1, typeof data === "string" ? Buffer.from(data, typeof encoding === "string" ? encoding : "utf8") : Buffer.from(data));
      const then = typeof encoding === "function" ? encoding : done;
      if (then) process.nextTick(then);
      return flows;
    };
  });
}

// An error that no call's promise caught, such as in a timer, ends the program,
// and every call that is under way with it.
process.on("uncaughtException", (error) => {
  console.error(error);
  for (const call of [...running.values()]) finish(call, ERROR, VOID, NONE, failure(error));
  leave(1);
});

socket.on("error", (error) => {
  console.error("stoa: " + error.message);
  process.exit(1);
});
socket.on("close", () => process.exit());
socket.on("end", () => process.exit(0));

socket.once("connect", async () => {
  try {
    await load(process.argv[2]);
  } catch (error) {
    send(ERROR, 0n, VOID, NONE, failure(error, true));
    return leave(1);
  }
  if (concurrency > 1) share();
  send(READY, 0n, VOID, NONE, Buffer.from(JSON.stringify({ protocol: 1, name: "node " + process.versions.node })));
  socket.on("data", received);
});
