// The plain pipe for JavaScript: lines are queued and handled one at a time; the
// algorithm is exports.apply with a callback.
const fs = require("fs");
const readline = require("readline");

const apply = (input, cb) => {
  if (input === "raise") return cb(new TypeError("asked to"));
  if (input === "throw") throw "a string";
  if (Buffer.isBuffer(input)) return cb(null, Buffer.concat([input, input]));
  console.log("called with", typeof input);
  setImmediate(() => cb(null, typeof input === "string" ? `Hello ${input}` : input));
};

const queue = [];
let busy = false;

const respond = (message) => {
  fs.appendFileSync("/tmp/algoout", JSON.stringify(message) + "\n");
  busy = false;
  next();
};

const fail = (e) => respond({ error: { message: e.message || String(e), error_type: "AlgorithmError", stacktrace: e.stack || "[None]" } });

const next = () => {
  if (busy || queue.length === 0) return;
  busy = true;
  const request = JSON.parse(queue.shift());
  const input = request.content_type === "binary" ? Buffer.from(request.data, "base64") : request.data;
  try {
    apply(input, (e, result) => {
      if (e) return fail(e);
      if (Buffer.isBuffer(result)) return respond({ result: result.toString("base64"), metadata: { content_type: "binary" } });
      respond({ result, metadata: { content_type: typeof result === "string" ? "text" : "json" } });
    });
  } catch (e) {
    fail(e);
  }
};

readline.createInterface({ input: process.stdin }).on("line", (line) => { queue.push(line); next(); });
console.log("PIPE_INIT_COMPLETE");
