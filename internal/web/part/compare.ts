// Before and after, one over the other, with a slider between them.

import words from "../words.json";
import { make } from "./dom.ts";

/** What the slider compares. */
export interface Pair {
  before: string; // addresses
  after: string;
  name: string; // of the answer, for who cannot see it
  grey: boolean; // the network saw the lightness of the picture alone
}

/** Makes the slider. It starts with all of the answer to see, and can be moved by key. */
export function compare(pair: Pair): HTMLElement {
  const range = make("input", { type: "range", min: "0", max: "100", value: "100" });
  range.setAttribute("aria-label", words.answer.slide);
  const before = make("img", { src: pair.before, alt: words.answer.before });
  before.classList.toggle("grey", pair.grey);
  const box = make(
    "div",
    { className: "compare" },
    before,
    make("img", { className: "over", src: pair.after, alt: pair.name }),
    make("span", { className: "line" }),
    make("span", { className: "corner left" }, words.answer.after),
    make("span", { className: "corner right" }, words.answer.before),
    range,
  );
  const move = () => box.style.setProperty("--at", `${range.value}%`);
  range.addEventListener("input", move);
  move();
  return box;
}

/** Draws the slider over the answer once, so that one sees what it is for. */
export function reveal(box: HTMLElement, at: number): void {
  const range = box.querySelector("input");
  if (!range) return;
  const set = (v: number) => {
    range.value = String(v);
    range.dispatchEvent(new Event("input"));
  };
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    set(at);
    return;
  }
  const start = performance.now();
  const frame = (now: number) => {
    const t = Math.min((now - start) / 900, 1);
    set(at * (1 - (1 - t) ** 3));
    if (t < 1) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}
