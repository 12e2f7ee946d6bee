// Answers as what they are: pictures, labels as bars, tables, or a tree.

import words from "../words.json";
import { type Answer, pictureOf, type Printed } from "./call.ts";
import { compare, reveal } from "./compare.ts";
import { make, say } from "./dom.ts";
import { milliseconds, timingBar } from "./timing.ts";
import { visible } from "./visible.ts";

/** What the answer was made of. */
export interface Asked {
  picture: string; // address of the picture that went in; "" for none
  grey: boolean;
}

/** Shows an answer with its time, its request's id, and what came in full. */
export function show(answer: Answer, asked: Asked): HTMLElement {
  const box = make("div", { className: "result" });
  if (answer.error) {
    box.append(fault(answer));
  } else if (answer.bytes) {
    box.append(binary(answer.bytes, asked));
  } else {
    box.append(value(answer.value));
  }
  if (answer.printed) box.append(...printed(answer.printed));
  box.append(about(answer));
  return box;
}

const longestPrint = 20_000;

/** What was printed, each stream that was written to. */
function printed(p: Printed): HTMLElement[] {
  const streams: [string, string][] = [
    [words.answer.stdout, p.stdout],
    [words.answer.stderr, p.stderr],
  ];
  return streams
    .filter(([, text]) => text !== "")
    .map(([name, text]) => {
      const pre = make("pre", { tabIndex: 0 }, visible(text.slice(0, longestPrint)));
      if (text.length > longestPrint) pre.append("… ", say(words.answer.truncated, text.length));
      return make("div", { className: "printed" }, make("h3", {}, name), pre);
    });
}

function fault(answer: Answer): HTMLElement {
  const e = answer.error ?? { message: "" };
  return make(
    "div",
    { className: "fault" },
    make("strong", {}, [e.error_type, answer.status > 0 ? say(words.answer.status, answer.status) : ""].filter(Boolean).join(", ")),
    make("div", {}, e.message),
    e.stacktrace ? make("pre", { tabIndex: 0 }, visible(e.stacktrace)) : null,
  );
}

function about(answer: Answer): HTMLElement {
  const id = answer.request ? make("code", {}, answer.request) : null;
  return make(
    "div",
    { className: "about" },
    make("p", {}, make("strong", {}, say(words.answer.time, milliseconds(answer.took))), " ", id),
    timingBar(answer.timing, answer.took),
    answer.raw ? make("details", {}, make("summary", {}, words.answer.raw), raw(answer.raw)) : null,
  );
}

const longestRaw = 20_000;

function raw(text: string): HTMLElement {
  const pre = make("pre", { tabIndex: 0 }, text.slice(0, longestRaw));
  if (text.length > longestRaw) pre.append("… ", say(words.answer.truncated, text.length));
  return pre;
}

function binary(bytes: Blob, asked: Asked): HTMLElement {
  const url = URL.createObjectURL(bytes);
  const type = bytes.type.split("/")[1] ?? "bin";
  const save = make("a", { href: url, download: `answer.${type === "jpeg" ? "jpg" : type === "octet-stream" ? "bin" : type}` }, say(words.answer.download, Math.ceil(bytes.size / 1024)));
  if (!bytes.type.startsWith("image/")) return make("p", {}, save);
  let picture: HTMLElement = make("img", { className: "picture", src: url, alt: words.answer.after });
  if (asked.picture) {
    picture = compare({ before: asked.picture, after: url, name: words.answer.after, grey: asked.grey });
    reveal(picture, 70);
  }
  return make("div", {}, picture, make("p", {}, save));
}

type Row = Record<string, unknown>;

function isRow(v: unknown): v is Row {
  return typeof v === "object" && v !== null && !Array.isArray(v);
}

interface Label {
  label: string;
  score: number;
}

function labels(v: unknown): Label[] | null {
  if (!isRow(v) || !Array.isArray(v["labels"])) return null;
  const all = v["labels"] as unknown[];
  const good = all.every((l) => isRow(l) && typeof l["label"] === "string" && typeof l["score"] === "number");
  return good && all.length > 0 ? (all as Label[]) : null;
}

/** Shows any JSON value in the form that suits it. */
export function value(v: unknown): HTMLElement {
  const named = labels(v);
  if (named && isRow(v)) return bars(named, String(v["label"] ?? ""));
  if (typeof v === "string") return image(v) ?? make("p", { className: "text" }, v);
  if (Array.isArray(v)) {
    const rows = table(v);
    if (rows) return rows;
  }
  if (isRow(v) && Object.values(v).some((m) => labels(m) || (Array.isArray(m) && table(m)))) {
    return make("div", {}, ...Object.entries(v).map(([name, m]) => make("div", {}, make("h3", {}, name), value(m))));
  }
  return make("div", { className: "tree mono" }, tree(v, "", 0));
}

function bars(list: Label[], best: string): HTMLElement {
  const most = Math.max(...list.map((l) => l.score), 1e-9);
  const rows = list.map((l) => {
    const bar = make("span", { className: "bar" });
    bar.style.width = `${Math.max((100 * l.score) / Math.max(most, 1), 0.5)}%`;
    const share = l.score >= 0 && most <= 1 ? `${(100 * l.score).toFixed(1)} %` : l.score.toPrecision(4);
    return make("li", {}, make("span", { className: "name" }, l.label), make("span", { className: "track" }, bar), make("span", { className: "share" }, share));
  });
  return make("div", {}, make("p", { className: "best" }, best), make("ol", { className: "bars" }, ...rows));
}

const mostRows = 50;
const mostColumns = 24;

/** A table where all rows are objects of the same few members, or short lists of plain values. */
function table(list: unknown[]): HTMLElement | null {
  const first = list[0];
  if (first === undefined) return null;
  const plain = (c: unknown) => typeof c !== "object" || c === null;
  let names: string[] | null = null;
  let rows: unknown[][];
  if (isRow(first)) {
    const keys = Object.keys(first);
    if (!list.every((r) => isRow(r) && Object.keys(r).length === keys.length && keys.every((k) => k in r && plain(r[k])))) return null;
    names = keys;
    rows = list.map((r) => keys.map((k) => (r as Row)[k]));
  } else if (Array.isArray(first) && list.every((r) => Array.isArray(r) && r.length === first.length && r.every(plain))) {
    rows = list as unknown[][];
  } else if (list.every((r) => typeof r === "number")) {
    rows = [list];
  } else {
    return null;
  }
  if ((rows[0]?.length ?? 0) > mostColumns || rows[0]?.length === 0) return null;
  const body = rows.slice(0, mostRows).map((r) => make("tr", {}, ...r.map(cell)));
  const head = names ? make("thead", {}, make("tr", {}, ...names.map((n) => make("th", { scope: "col" }, n)))) : null;
  const box = make("div", { className: "scroll", tabIndex: 0 }, make("table", {}, head, make("tbody", {}, ...body)));
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", words.algorithm.answer);
  if (rows.length > mostRows) box.append(make("p", { className: "soft" }, say(words.answer.rows, mostRows, rows.length)));
  return box;
}

function cell(v: unknown): HTMLElement {
  const isNumber = typeof v === "number";
  return make("td", { className: isNumber ? "number" : "" }, isNumber ? short(v) : String(v));
}

function short(n: number): string {
  return Number.isInteger(n) ? String(n) : String(Number(n.toPrecision(6)));
}

const mostMembers = 100;
const longestLeaf = 2000;

/** The picture that a text holds; null where it holds none. */
function image(text: string): HTMLElement | null {
  const blob = pictureOf(text);
  return blob && make("img", { className: "picture", src: URL.createObjectURL(blob), alt: words.answer.after });
}

/** A value that holds no others. */
function leaf(v: unknown): HTMLElement {
  const text = JSON.stringify(v) ?? "null";
  const cut = text.length > longestLeaf ? `${text.slice(0, longestLeaf)}… ${say(words.answer.truncated, text.length)}` : text;
  return (typeof v === "string" ? image(v) : null) ?? make("span", { className: v === null ? "null" : typeof v }, cut);
}

function tree(v: unknown, name: string, depth: number): HTMLElement {
  const key = name === "" ? null : make("span", { className: "key" }, `${name}: `);
  if (typeof v !== "object" || v === null) {
    return make("div", {}, key, leaf(v));
  }
  const members: [string, unknown][] = Array.isArray(v) ? v.map((m, i) => [String(i), m]) : Object.entries(v);
  const details = make("details", { open: depth < 2 && members.length <= 12 });
  details.append(make("summary", {}, key, say(words.answer.items, members.length)));
  // What is closed is made when it is opened: an answer may be large.
  const fill = () => {
    if (!details.open || details.childElementCount > 1) return;
    details.append(...members.slice(0, mostMembers).map(([k, m]) => tree(m, k, depth + 1)));
    if (members.length > mostMembers) details.append(make("div", { className: "soft" }, say(words.algorithm.more, members.length - mostMembers)));
  };
  details.addEventListener("toggle", fill);
  fill();
  return details;
}
