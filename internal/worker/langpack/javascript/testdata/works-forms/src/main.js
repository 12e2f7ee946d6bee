// The forms that apply and load may have, and what answers may be.
import { Readable } from "node:stream";

import { shout } from "./other.js";

await Promise.resolve(); // a module may wait

export async function load(models) {
  return { models };
}

async function* lines() {
  yield { a: 1 };
  yield [2];
}

export async function apply(input, call) {
  switch (input) {
    case "state": return call.state;
    case "other": return shout("x");
    case "call": return [call.token, call.requestId, call.deadline instanceof Date, call.signal.aborted];
    case "nothing": return null;
    case "bytes": return new TextEncoder().encode("bytes");
    case "lines": return lines();
    case "readable": return Readable.from(["a", "b"]);
    case "function": return () => 1;
    case "throw text": throw "a text";
    case "long": throw new Error("é\n".repeat(100_000));
    case "log": call.log("a", 1); return "logged";
    case "timer": setTimeout(() => { throw new Error("in a timer"); }); return new Promise(() => {});
  }
  return "?";
}
