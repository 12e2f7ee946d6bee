// Parameters with defaults are the author's own.
exports.apply = (input, threshold = 0.5) => [input, threshold];
