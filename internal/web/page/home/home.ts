// The photo that is coloured at once, and the search as one types.

import words from "../../words.json";
import { call } from "../../part/call.ts";
import { compare, reveal } from "../../part/compare.ts";
import { make, need, say } from "../../part/dom.ts";
import { onPaste } from "../../part/picturebox.ts";
import { milliseconds } from "../../part/timing.ts";

/** The demo: a stage with a grey photo, which becomes a slider between grey and colour. */
class Demo {
  private readonly stage = need("#stage", HTMLElement);
  private readonly button = need("#colour", HTMLButtonElement);
  private readonly note = need("#note", HTMLElement);
  private photo: Blob | null = null;
  private url: string;

  constructor(private readonly root: HTMLElement) {
    this.url = root.dataset["before"] ?? "";
    need(".controls", HTMLElement, root).hidden = false;
    this.show(this.url);
    this.button.addEventListener("click", () => void this.colour());
    for (const b of this.photos()) {
      b.addEventListener("click", () => {
        this.photo = null;
        this.choose(b.dataset["url"] ?? "", b);
        void this.colour();
      });
    }
    const own = need("#own", HTMLInputElement);
    const take = (file: Blob | undefined) => {
      if (!file) return;
      this.photo = file;
      this.choose(URL.createObjectURL(file), null);
      void this.colour();
    };
    own.addEventListener("change", () => take(own.files?.[0]));
    onPaste(take);
    root.addEventListener("dragover", (e) => e.preventDefault());
    root.addEventListener("drop", (e) => {
      e.preventDefault();
      take(e.dataTransfer?.files[0]);
    });
  }

  private photos(): NodeListOf<HTMLButtonElement> {
    return this.root.querySelectorAll<HTMLButtonElement>(".photo");
  }

  private choose(url: string, chosen: HTMLButtonElement | null): void {
    this.url = url;
    for (const b of this.photos()) b.setAttribute("aria-pressed", String(b === chosen));
    this.show(url);
  }

  private show(url: string): void {
    this.stage.className = "";
    this.stage.replaceChildren(make("img", { className: "grey", src: url, alt: words.home.greyphoto }));
  }

  private async colour(): Promise<void> {
    if ("locked" in this.root.dataset) {
      location.href = "/sign-in?next=/";
      return;
    }
    const url = this.url;
    this.button.disabled = true;
    this.stage.setAttribute("aria-busy", "true");
    try {
      const body = this.photo ?? (await (await fetch(url)).blob());
      const answer = await call(this.root.dataset["call"] ?? "", { type: "application/octet-stream", body }, new AbortController().signal);
      if (this.url !== url) return; // another photo was chosen meanwhile
      if (answer.error || !answer.bytes) {
        this.stage.append(make("p", { className: "fault" }, answer.error?.message ?? words.home.nopicture));
        return;
      }
      const pair = { before: url, after: URL.createObjectURL(answer.bytes), name: words.home.colouredphoto, grey: true };
      const box = compare(pair);
      this.stage.replaceChildren(box);
      reveal(box, 72);
      this.note.replaceChildren(say(words.home.took, milliseconds(answer.took)), " ", ...this.note.querySelectorAll("a"));
    } finally {
      this.button.disabled = false;
      this.stage.removeAttribute("aria-busy");
    }
  }
}

/** How long one waits for another letter, in milliseconds: a fast typist's pace. */
const pause = 120;

class Search {
  private readonly field = need("#q", HTMLInputElement);
  private readonly found = need("#found", HTMLElement);
  private timer = 0;
  private asking: AbortController | null = null;

  constructor(form: HTMLFormElement) {
    form.addEventListener("submit", (e) => {
      e.preventDefault();
      void this.ask(this.address());
    });
    need("button", HTMLButtonElement, form).hidden = true;
    this.field.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => void this.ask(this.address()), pause);
    });
    this.found.addEventListener("click", (e) => {
      const a = e.target instanceof Element ? e.target.closest<HTMLAnchorElement>(".filter a, .pager a") : null;
      if (!a || e.metaKey || e.ctrlKey || e.shiftKey) return;
      e.preventDefault();
      void this.ask(new URL(a.href));
    });
    addEventListener("popstate", () => {
      const url = new URL(location.href);
      this.field.value = url.searchParams.get("q") ?? "";
      void this.ask(url);
    });
  }

  /** The page's address with the text that is there now, from its first page on. */
  private address(): URL {
    const url = new URL(location.href);
    const text = this.field.value.trim();
    url.searchParams.delete("from");
    if (text) url.searchParams.set("q", text);
    else url.searchParams.delete("q");
    return url;
  }

  private async ask(url: URL): Promise<void> {
    this.asking?.abort();
    const mine = new AbortController();
    this.asking = mine;
    try {
      const response = await fetch(`/list${url.search}`, { signal: mine.signal });
      const html = await response.text();
      if (this.asking !== mine) return;
      if (!response.ok) throw new Error(response.statusText);
      const focused = document.activeElement instanceof HTMLAnchorElement ? document.activeElement.textContent : null;
      // The server's own markup, escaped by its templates.
      this.found.innerHTML = html;
      if (focused !== null) this.focusLike(focused);
      history.replaceState(null, "", url.pathname + url.search);
    } catch (e) {
      if (mine.signal.aborted) return;
      this.found.replaceChildren(make("p", { className: "fault" }, say(words.answer.unreachable, e instanceof Error ? e.message : String(e))));
    }
  }

  /** Keeps the focus on the link that was followed, which the new list has again. */
  private focusLike(text: string): void {
    const name = (s: string | null) => (s ?? "").replace(/\d+/g, "").trim();
    const same = [...this.found.querySelectorAll<HTMLAnchorElement>(".filter a, .pager a")].find((a) => name(a.textContent) === name(text));
    same?.focus();
  }
}

const root = document.querySelector<HTMLElement>("#demo");
if (root) new Demo(root);
new Search(need("#search", HTMLFormElement));
