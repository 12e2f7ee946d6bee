// The console of an algorithm, the buttons that copy code, and the log.

import words from "../../words.json";
import { call, type Input } from "../../part/call.ts";
import { need, say } from "../../part/dom.ts";
import { onPaste, PictureBox } from "../../part/picturebox.ts";
import { show } from "../../part/result.ts";
import { AnyField } from "./any.ts";
import type { Field } from "./field.ts";
import { Log } from "./logs.ts";

class PictureField implements Field {
  readonly box: PictureBox;
  constructor(
    readonly name: string,
    e: HTMLElement,
    changed: () => void,
  ) {
    this.box = new PictureBox(need(".picturebox", HTMLElement, e), changed);
  }
  input(): Input | null {
    return this.box.file && { type: "application/octet-stream", body: this.box.file };
  }
  async member(): Promise<unknown> {
    const file = this.box.file;
    if (!file) return undefined;
    return new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.onerror = () => reject(reader.error ?? new Error());
      reader.readAsDataURL(file);
    });
  }
  fill(sample: Blob | string): void {
    if (typeof sample !== "string") this.box.set(sample);
  }
  picture(): string {
    return this.box.url;
  }
}

class ArrayField implements Field {
  private readonly text: HTMLTextAreaElement;
  private readonly check: HTMLElement;
  private npy: Blob | null = null;
  constructor(
    readonly name: string,
    e: HTMLElement,
  ) {
    this.text = need("textarea", HTMLTextAreaElement, e);
    this.check = need(".check", HTMLElement, e);
    this.text.addEventListener("input", () => {
      this.npy = null;
      this.verify();
    });
    const file = need("input[type=file]", HTMLInputElement, e);
    file.addEventListener("change", () => {
      this.npy = file.files?.[0] ?? null;
      if (this.npy) {
        this.text.value = "";
        this.check.textContent = "";
      }
    });
  }
  private verify(): void {
    const text = this.text.value.trim();
    let verdict = "";
    let good = true;
    if (text) {
      try {
        verdict = say(words.algorithm.goodjson, shape(JSON.parse(text)));
      } catch (e) {
        good = false;
        verdict = say(words.algorithm.badjson, e instanceof Error ? e.message : String(e));
      }
    }
    this.check.textContent = verdict;
    this.check.classList.toggle("bad", !good);
  }
  input(): Input | null {
    if (this.npy) return { type: "application/x-npy", body: this.npy };
    const text = this.text.value.trim();
    return text ? { type: "application/json", body: text } : null;
  }
  async member(): Promise<unknown> {
    const text = this.text.value.trim();
    return text ? JSON.parse(text) : undefined;
  }
  fill(sample: Blob | string): void {
    if (typeof sample !== "string") {
      this.npy = sample;
      return;
    }
    this.npy = null;
    this.text.value = sample;
    this.verify();
  }
  picture(): string {
    return "";
  }
}

class TextField implements Field {
  private readonly text: HTMLTextAreaElement;
  constructor(
    readonly name: string,
    e: HTMLElement,
  ) {
    this.text = need("textarea", HTMLTextAreaElement, e);
  }
  input(): Input | null {
    return { type: "text/plain", body: this.text.value };
  }
  async member(): Promise<unknown> {
    return this.text.value;
  }
  fill(sample: Blob | string): void {
    if (typeof sample === "string") this.text.value = sample;
  }
  picture(): string {
    return "";
  }
}

/** What a JSON value is, in the words of arrays. */
function shape(v: unknown): string {
  const sizes: number[] = [];
  for (let at = v; Array.isArray(at); at = at[0]) sizes.push(at.length);
  return sizes.length > 0 ? sizes.join(" × ") : typeof v;
}

class Console {
  private readonly fields: Field[];
  private readonly answer: HTMLElement;
  private readonly button: HTMLButtonElement;
  private running: AbortController | null = null;

  constructor(private readonly root: HTMLElement) {
    this.answer = need("#answer", HTMLElement);
    this.button = need("#run", HTMLButtonElement);
    const run = () => void this.run();
    this.fields = [...root.querySelectorAll<HTMLElement>(".input")].map((e) => {
      const name = e.dataset["name"] ?? "";
      switch (e.dataset["kind"]) {
        case "picture":
          // The only input is the whole call: a new picture is one.
          return new PictureField(name, e, this.members ? () => {} : run);
        case "array":
          return new ArrayField(name, e);
        case "any":
          return new AnyField(name, e);
        default:
          return new TextField(name, e);
      }
    });
    need("#form", HTMLFormElement).addEventListener("submit", (e) => {
      e.preventDefault();
      run();
    });
    for (const b of root.querySelectorAll<HTMLButtonElement>(".sample")) {
      b.addEventListener("click", () => void this.sample(b));
    }
    const first = this.fields.find((f) => f instanceof PictureField);
    if (first instanceof PictureField) onPaste((file) => first.box.take(file));
  }

  private get members(): boolean {
    return "members" in this.root.dataset;
  }

  /** Fills in a sample, and runs it. */
  private async sample(b: HTMLButtonElement): Promise<void> {
    const { url, text, type } = b.dataset;
    if (text !== undefined) {
      this.put(text, type);
    } else if (url) {
      const response = await fetch(url);
      if (!response.ok) {
        this.fault(response.statusText);
        return;
      }
      const asText = type === "application/json" || type?.startsWith("text/plain");
      this.put(asText ? await response.text() : await response.blob(), type);
    }
    await this.run();
  }

  private put(sample: Blob | string, type = ""): void {
    if (!this.members) {
      this.fields[0]?.fill(sample, type);
      return;
    }
    if (typeof sample !== "string") return;
    const members = JSON.parse(sample) as Record<string, unknown>;
    for (const f of this.fields) {
      const m = members[f.name];
      if (m !== undefined) f.fill(typeof m === "string" && f instanceof TextField ? m : JSON.stringify(m));
    }
  }

  private async input(): Promise<Input | null> {
    if (!this.members) return this.fields[0]?.input() ?? null;
    const members: Record<string, unknown> = {};
    for (const f of this.fields) {
      const m = await f.member();
      if (m === undefined) return null;
      members[f.name] = m;
    }
    return { type: "application/json", body: JSON.stringify(members) };
  }

  private async run(): Promise<void> {
    if (this.button.disabled && !this.running) return;
    let input: Input | null;
    try {
      input = await this.input();
    } catch (e) {
      this.fault(say(words.algorithm.badjson, e instanceof Error ? e.message : String(e)));
      return;
    }
    if (!input) {
      this.fault(words.algorithm.nothing);
      return;
    }
    this.running?.abort();
    const mine = new AbortController();
    this.running = mine;
    this.button.disabled = true;
    this.button.textContent = words.algorithm.running;
    this.answer.setAttribute("aria-busy", "true");
    const path = `${this.root.dataset["call"] ?? ""}${"printed" in this.root.dataset ? "?stdout=true" : ""}`;
    const answer = await call(path, input, mine.signal);
    if (this.running !== mine) return; // a newer call has taken over
    this.running = null;
    this.button.disabled = false;
    this.button.textContent = words.algorithm.run;
    this.answer.removeAttribute("aria-busy");
    const picture = this.fields.map((f) => f.picture()).find((url) => url !== "") ?? "";
    this.answer.replaceChildren(show(answer, { picture, grey: "grey" in this.root.dataset }));
  }

  private fault(message: string): void {
    const p = document.createElement("p");
    p.className = "fault";
    p.textContent = message;
    this.answer.replaceChildren(p);
  }
}

function copyButtons(): void {
  if (!navigator.clipboard) return; // not on a plain http address of another machine
  for (const b of document.querySelectorAll<HTMLButtonElement>(".copy")) {
    b.hidden = false;
    b.addEventListener("click", () => {
      const code = b.parentElement?.querySelector("code")?.textContent ?? "";
      void navigator.clipboard.writeText(code).then(() => {
        b.textContent = words.algorithm.copied;
        setTimeout(() => (b.textContent = words.algorithm.copy), 1500);
      });
    });
  }
}

new Console(need("#console", HTMLElement));
copyButtons();
const log = document.querySelector<HTMLElement>("#logs");
if (log) new Log(log);
