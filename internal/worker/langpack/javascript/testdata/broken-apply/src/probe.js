exports.aply = (input) => input;
