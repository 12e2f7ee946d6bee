const x = 1;

exports.apply = (input => input;
