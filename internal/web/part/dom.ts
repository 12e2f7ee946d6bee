// Elements made by script: every text is set as text, never as HTML.

type Child = Node | string | null;

/** Makes an element with properties and children; null children are left out. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const e = document.createElement(tag);
  Object.assign(e, properties);
  e.append(...children.filter((c) => c !== null));
  return e;
}

/** Finds the one element that a page is known to have. */
export function need<T extends Element>(selector: string, type: new () => T, within: ParentNode = document): T {
  const e = within.querySelector(selector);
  if (!(e instanceof type)) throw new Error(`the page has no ${selector}`);
  return e;
}

/** Fills in {0}, {1} of a text of words.json. */
export function say(text: string, ...values: (string | number)[]): string {
  return text.replace(/\{(\d)\}/g, (all, i: string) => String(values[Number(i)] ?? all));
}
