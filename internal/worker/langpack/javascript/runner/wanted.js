// Tells by its exit status whether package.json names dependencies.
// "wanted.js write FILE" writes it there without scripts and what is for developing.
"use strict";
const fs = require("fs");

if (!fs.existsSync("package.json")) process.exit(1);
let said;
try {
  said = JSON.parse(fs.readFileSync("package.json", "utf8"));
} catch (error) {
  const at = /position (\d+)/.exec(error.message);
  const line = at ? fs.readFileSync("package.json", "utf8").slice(0, at[1]).split("\n").length : 1;
  console.error(`package.json:${line}: ${error.message}`);
  process.exit(process.argv[2] === "write" ? 1 : 0); // it is read again to be written, and fails
}
if (process.argv[2] === "write") {
  delete said.scripts;
  fs.writeFileSync(process.argv[3], JSON.stringify(said, null, 2));
} else {
  const some = (list) => Object.keys(list || {}).length > 0;
  process.exit(some(said.dependencies) || some(said.optionalDependencies) ? 0 : 1);
}
