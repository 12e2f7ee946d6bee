import fs from "node:fs";
export const apply = (input => input;
