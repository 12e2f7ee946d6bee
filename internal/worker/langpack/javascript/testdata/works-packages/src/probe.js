const { greet } = require("greet");

exports.apply = async (input) => {
  if (input === "import") return (await import("greet")).greet("you");
  return greet(input);
};
