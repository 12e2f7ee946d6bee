// Tells by its exit status whether package.json names dependencies.
// "wanted.js write FILE" writes it there without scripts and what is for developing.
"use strict";
const fs = require("fs");

if (!fs.existsSync("package.json")) process.exit(1);
let said;
try {
  said = JSON.parse(fs.readFileSync("package.json", "utf8"));
} catch (error) {
  console.error("package.json: " + error.message);
  process.exit(process.argv[2] ? 1 : 0); // npm says it again, and fails
}
if (process.argv[2] === "write") {
  delete said.scripts;
  fs.writeFileSync(process.argv[3], JSON.stringify(said, null, 2));
} else {
  const some = (list) => Object.keys(list || {}).length > 0;
  process.exit(some(said.dependencies) || some(said.optionalDependencies) ? 0 : 1);
}
