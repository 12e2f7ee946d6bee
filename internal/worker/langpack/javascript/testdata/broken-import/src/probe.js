
const x = require("nosuchmodule");
exports.apply = (input) => input;
