const assert = require("node:assert");
const test = require("node:test");

const { apply } = require("./__NAME__.js");

test("greets", () => assert.strictEqual(apply("World"), "hello World"));
