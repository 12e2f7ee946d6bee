// The log of an algorithm, followed as it grows.

import words from "../../words.json";
import { make, need, say } from "../../part/dom.ts";
import { visible } from "../../part/visible.ts";

/** What was printed on one stream in one call; docs/api.md. */
interface Entry {
  time: string;
  version?: string;
  request?: string;
  stream: string;
  text: string;
}

/** How many lines are kept: what is older goes, so that a page left open stays small. */
const mostLines = 1000;

/** The most of one entry that is shown; stoa logs has the whole. */
const mostText = 4096;

export class Log {
  private readonly button: HTMLButtonElement;
  private readonly box: HTMLElement;
  private readonly list: HTMLOListElement;
  private following: AbortController | null = null;
  private readonly kept: { line: HTMLElement; lines: number }[] = [];
  private lines = 0;
  private stale = true; // what stands there was read before, and comes again

  constructor(private readonly root: HTMLElement) {
    this.button = need("#follow", HTMLButtonElement, root);
    this.box = need(".entries", HTMLElement, root);
    this.list = need("ol", HTMLOListElement, root);
    this.button.hidden = false;
    this.button.addEventListener("click", () => {
      if (this.following) this.stop();
      else void this.follow();
    });
    this.box.scrollTop = this.box.scrollHeight;
  }

  private stop(): void {
    this.following?.abort();
    this.following = null;
    this.button.textContent = words.algorithm.follow;
    this.button.setAttribute("aria-pressed", "false");
  }

  /** Reads the end of the log anew, so that nothing between the page and now is missed, and then goes on. */
  private async follow(): Promise<void> {
    const mine = new AbortController();
    this.following = mine;
    this.button.textContent = words.algorithm.stop;
    this.button.setAttribute("aria-pressed", "true");
    this.root.querySelector(".fault")?.remove();
    try {
      const response = await fetch(`${this.root.dataset["logs"] ?? ""}?tail=50&follow=true`, { signal: mine.signal });
      if (!response.ok || !response.body) throw new Error(response.statusText || String(response.status));
      this.stale = true;
      await this.read(response.body);
      throw new Error(words.algorithm.ended);
    } catch (e) {
      if (mine.signal.aborted) return;
      this.stop();
      const reason = e instanceof Error ? e.message : String(e);
      this.root.append(make("p", { className: "fault" }, say(words.algorithm.followfault, reason)));
    }
  }

  private clear(): void {
    this.list.replaceChildren();
    this.kept.length = 0;
    this.lines = 0;
    this.root.querySelector(".nolog")?.remove();
  }

  private async read(body: ReadableStream<Uint8Array>): Promise<void> {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      for (const p of parts) if (p.trim() !== "") this.add(JSON.parse(p) as Entry);
    }
  }

  private add(e: Entry): void {
    if (this.stale) this.clear();
    this.stale = false;
    const atEnd = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 40;
    const line = entry(e);
    this.list.append(line);
    const lines = e.text.slice(0, mostText).split("\n").length;
    this.kept.push({ line, lines });
    this.lines += lines;
    while (this.lines > mostLines && this.kept.length > 1) {
      const old = this.kept.shift();
      old?.line.remove();
      this.lines -= old?.lines ?? 0;
    }
    // Who has scrolled up reads there.
    if (atEnd) this.box.scrollTop = this.box.scrollHeight;
  }
}

/** An entry as the server's template has it. */
function entry(e: Entry): HTMLElement {
  const at = new Date(e.time).toISOString();
  const stream = ["stdout", "stderr", "system"].includes(e.stream) ? e.stream : "";
  const text = e.text.replace(/\n+$/, "");
  const meta = make("p", { className: "meta" }, make("time", { dateTime: at }, at.slice(0, 19).replace("T", " ")));
  if (e.version) meta.append(" ", make("span", {}, visible(e.version)));
  meta.append(" ", make("span", { className: "stream" }, stream));
  if (e.request) meta.append(" ", make("code", {}, visible(e.request)));
  const pre = make("pre", {}, visible(text.slice(0, mostText)), text.length > mostText ? "…" : null);
  return make("li", { className: `entry ${stream}` }, meta, pre);
}
