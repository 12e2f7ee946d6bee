// What the network will see of a picture: rendered by the worker, shown with the
// numbers that it gets.

import words from "../../words.json";
import type { Preview } from "./draft.ts";
import { make, say } from "../../part/dom.ts";
import { short } from "../../part/number.ts";

/** The least width at which a picture is shown: a network's 28 pixels are too few for eyes. */
const least = 224;

/** Shows a preview. Its picture's address is revoked when the next one comes. */
export function figure(name: string, p: Preview, urls: string[]): HTMLElement {
  const data = Uint8Array.from(atob(p.png), (c) => c.charCodeAt(0));
  const url = URL.createObjectURL(new Blob([data], { type: "image/png" }));
  urls.push(url);
  const image = make("img", { src: url, alt: say(words.publish.seenalt, name) });
  image.addEventListener("load", () => {
    image.style.width = `${Math.max(image.naturalWidth, least)}px`;
    image.classList.toggle("tiny", image.naturalWidth < least);
  });
  const rows = p.channels.map((c) =>
    make("tr", {}, make("th", { scope: "row" }, c.name), number(c.min), number(c.mean), number(c.max)),
  );
  const heads = [words.publish.channel, words.publish.min, words.publish.mean, words.publish.max];
  const table = make(
    "table",
    {},
    make("thead", {}, make("tr", {}, ...heads.map((h, i) => make("th", { scope: "col", className: i > 0 ? "number" : "" }, h)))),
    make("tbody", {}, ...rows),
  );
  const caption = make("figcaption", { className: "mono soft" }, say("{0}  {1} {2}, {3}", name, p.dtype, p.shape.join("x"), p.layout));
  return make("figure", { className: "seen" }, image, caption, table);
}

function number(n: number): HTMLElement {
  return make("td", { className: "number" }, short(n));
}
