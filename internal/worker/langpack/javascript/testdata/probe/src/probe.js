// Does on demand what programs do, for the tests of a whole server.
"use strict";
const { setTimeout: sleep } = require("node:timers/promises");

let count = 0;

class CheeseError extends Error {
  error_type = "CheeseError";
}

function memory() {
  const kept = [];
  for (;;) kept.push(Buffer.alloc(16 << 20, "x"));
}

function* parts() {
  yield "one ";
  yield "two ";
  yield "three";
}

exports.apply = async (input) => {
  count++;
  if (typeof input !== "string") return input;
  const [word, rest] = input.split(" ", 2);
  switch (word) {
    case "raise":
      throw new CheeseError("out of cheese");
    case "memory":
      return memory();
    case "sleep":
      await sleep(1000 * (rest || 60));
      return "slept";
    case "exit":
      return process.exit(3);
    case "spam":
      for (let i = 0; i < 100_000; i++) console.log("x".repeat(99));
      return "done";
    case "stderr":
      console.log("to standard output");
      console.error("to standard error");
      return "printed";
    case "state":
      return count;
    // What stoa runner-test asks for.
    case "stoa:error":
      throw new CheeseError("stoa:error");
    case "stoa:print":
      console.log("stoa:out");
      console.error("stoa:err");
      break;
    case "stoa:flood":
      process.stdout.write("f".repeat(10 << 20));
      break;
    case "stoa:big":
      return "x".repeat(1 << 20);
    case "stoa:sleep":
      await sleep(500);
      break;
    case "stoa:exit":
      process.exit(3);
    case "stream":
      return parts();
  }
  return input;
};
