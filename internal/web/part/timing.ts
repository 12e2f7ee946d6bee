// Where the time of a call went, as a bar.

import words from "../words.json";
import { make, say } from "./dom.ts";

/** The parts of a Server-Timing header, in milliseconds. */
export function parts(header: string): Map<string, number> {
  const out = new Map<string, number>();
  for (const part of header.split(",")) {
    const m = /^\s*([\w-]+)\s*;\s*dur=([\d.]+)/.exec(part);
    if (m?.[1] && m[2]) out.set(m[1], Number(m[2]));
  }
  return out;
}

/** A bar of the parts, as long as the whole, with a legend; null where nothing is known. */
export function timingBar(header: string, took: number): HTMLElement | null {
  const p = parts(header);
  const total = p.get("total");
  if (total === undefined) return null;
  const part = (name: string) => p.get(name) ?? 0;
  // The time of loading is a part of that of waiting.
  const shown: [string, number, string][] = [
    [words.timing.queue, Math.max(part("queue") - part("load"), 0), "c4"],
    [words.timing.load, part("load"), "c3"],
    [words.timing.batch, part("batch"), "c4"],
    [words.timing.compute, part("compute"), "c1"],
    [words.timing.rest, Math.max(total - part("queue") - part("batch") - part("compute"), 0), "c2"],
    [words.timing.network, Math.max(took - total, 0), "c0"],
  ];
  const whole = Math.max(shown.reduce((sum, [, ms]) => sum + ms, 0), 0.001);
  const bar = make("div", { className: "timing" });
  bar.setAttribute("aria-hidden", "true");
  const legend = make("ul", { className: "legend" });
  for (const [name, ms, colour] of shown) {
    if (ms < 0.005) continue;
    const segment = make("span", { className: colour });
    segment.style.width = `${(100 * ms) / whole}%`;
    bar.append(segment);
    legend.append(make("li", { className: colour }, say(words.timing.total, name, milliseconds(ms))));
  }
  return make("div", {}, bar, legend);
}

/** Milliseconds with as many digits as matter. */
export function milliseconds(ms: number): string {
  return ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2);
}
