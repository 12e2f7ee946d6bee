// What the server found out about the files: a card of facts, and what is wrong.

import words from "../../words.json";
import type { Problem, Report, Tree } from "./draft.ts";
import { shapeOf } from "./form.ts";
import { make, say } from "../../part/dom.ts";
import { count, size } from "../../part/number.ts";

/** The facts of an import report. */
export function facts(r: Report): HTMLElement {
  const rows: [string, string | HTMLElement][] = [
    [words.algorithm.format, r.format || r.framework],
    [words.algorithm.files, r.files.join(", ")],
  ];
  for (const s of r.inputs ?? []) rows.push([words.algorithm.in, mono(`${s.name}  ${shapeOf(s)}`)]);
  for (const s of r.outputs ?? []) rows.push([words.algorithm.out, mono(`${s.name}  ${shapeOf(s)}`)]);
  rows.push([words.algorithm.parameters, `${count(r.parameters)}, ${size(r.weight_bytes)}`]);
  if (r.macs >= 0) rows.push([words.algorithm.macs, count(r.macs)]);
  if (r.memory_bytes >= 0) rows.push([words.algorithm.memory, say(words.algorithm.estimated, size(r.memory_bytes))]);
  const layers = Object.entries(r.layers ?? {}).sort((a, b) => b[1] - a[1]);
  if (layers.length > 0) rows.push([words.algorithm.layers, layers.map(([name, n]) => `${n} ${name}`).join(", ")]);
  const list = make("dl", { className: "facts" });
  for (const [name, value] of rows) list.append(make("dt", {}, name), make("dd", {}, value));
  const notes = (r.notes ?? []).map((n) => make("li", {}, n));
  return make("div", {}, list, notes.length > 0 ? make("ul", { className: "notes" }, ...notes) : null);
}

/** What is known of a program before it is built. */
export function codeFacts(manifest: Tree, files: number): HTMLElement {
  const code = manifest["code"];
  const language = typeof code === "object" && code !== null && !Array.isArray(code) ? code["language"] : undefined;
  const list = make("dl", { className: "facts" }, make("dt", {}, words.algorithm.kind), make("dd", {}, words.algorithm.iscode));
  if (typeof language === "string") list.append(make("dt", {}, words.publish.language), make("dd", {}, language));
  list.append(make("dt", {}, words.algorithm.files), make("dd", {}, String(files)));
  return list;
}

function mono(text: string): HTMLElement {
  return make("span", { className: "mono" }, text);
}

/** A list of problems, each with its place; null where there are none. */
export function problems(list: Problem[]): HTMLElement | null {
  if (list.length === 0) return null;
  const items = list.map((p) => make("li", {}, place(p) ? make("span", { className: "mono" }, place(p), " ") : null, p.msg));
  return make("ul", { className: "fault problems" }, ...items);
}

function place(p: Problem): string {
  if (!p.file) return "";
  return p.line > 0 ? `${p.file}:${p.line}:${p.column}` : p.file;
}
