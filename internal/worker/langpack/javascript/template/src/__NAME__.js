exports.apply = (input) => "hello " + input;
