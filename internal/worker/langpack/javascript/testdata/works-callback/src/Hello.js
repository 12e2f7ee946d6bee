exports.apply = function (input, cb) {
  if (input === "raise") return void setImmediate(() => cb(new Error("out of cheese")));
  if (input === "timer") return setTimeout(() => cb(null, "later"), 1);
  if (input === "now") return cb(null, "now");
  setImmediate(() => cb(null, "hello " + input));
};
