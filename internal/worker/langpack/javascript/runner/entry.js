// Finds the author's file: entry.js ENTRY prints its path.
"use strict";
const fs = require("fs");
const path = require("path");

// Of package.json it is what main or exports names, else index.js, else the only
// file of src that is no test.
function find(entry) {
  if (path.basename(entry) !== "package.json") return path.resolve(entry);
  const folder = path.resolve(path.dirname(entry));
  const said = JSON.parse(fs.readFileSync(entry, "utf8"));
  const main = said.main || (typeof said.exports === "string" && said.exports);
  if (main) return require.resolve(path.join(folder, main));
  for (const name of ["index.js", "index.mjs", "index.cjs"]) {
    if (fs.existsSync(path.join(folder, name))) return path.join(folder, name);
  }
  const src = path.join(folder, "src");
  const files = fs.existsSync(src) ? fs.readdirSync(src).filter((n) => /\.[cm]?js$/.test(n) && !/([._]test|\.spec|\.config)\./.test(n)) : [];
  if (files.length === 1) return path.join(src, files[0]);
  throw new Error("package.json: main is missing: name the file that exports apply");
}

module.exports = find;

if (require.main === module) {
  try {
    console.log(find(process.argv[2]));
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
