// The field of code: a text, JSON or a file, as the visitor chooses.

import words from "../../words.json";
import type { Input } from "../../part/call.ts";
import { need, say } from "../../part/dom.ts";
import type { Field } from "./field.ts";

export class AnyField implements Field {
  private readonly text: HTMLTextAreaElement;
  private readonly check: HTMLElement;
  private readonly file: HTMLInputElement;
  private readonly radios: HTMLInputElement[];
  /** The bytes of a sample, until the visitor chooses a file. */
  private sample: Blob | null = null;

  constructor(
    readonly name: string,
    private readonly root: HTMLElement,
  ) {
    this.text = need("textarea", HTMLTextAreaElement, root);
    this.check = need(".check", HTMLElement, root);
    this.file = need("input[type=file]", HTMLInputElement, root);
    this.radios = [...root.querySelectorAll<HTMLInputElement>("input[type=radio]")];
    for (const r of this.radios) r.addEventListener("change", () => this.changed());
    this.text.addEventListener("input", () => this.verify());
    this.file.addEventListener("change", () => (this.sample = null));
    this.changed(); // a browser that comes back has kept the choice
  }

  private get as(): string {
    return this.radios.find((r) => r.checked)?.value ?? "text";
  }

  private choose(as: string): void {
    for (const r of this.radios) r.checked = r.value === as;
    this.changed();
  }

  private changed(): void {
    need(".typed", HTMLElement, this.root).hidden = this.as === "file";
    need(".filed", HTMLElement, this.root).hidden = this.as !== "file";
    this.verify();
  }

  private verify(): void {
    let fault = "";
    if (this.as === "json" && this.text.value.trim() !== "") {
      try {
        JSON.parse(this.text.value);
      } catch (e) {
        fault = say(words.algorithm.badjson, e instanceof Error ? e.message : String(e));
      }
    }
    this.check.textContent = fault;
    this.check.classList.toggle("bad", fault !== "");
  }

  input(): Input | null {
    switch (this.as) {
      case "file": {
        const body = this.file.files?.[0] ?? this.sample;
        return body && { type: "application/octet-stream", body };
      }
      case "json":
        return this.text.value.trim() ? { type: "application/json", body: this.text.value } : null;
      default:
        return { type: "text/plain", body: this.text.value };
    }
  }

  async member(): Promise<unknown> {
    return this.text.value; // code has one field, which is the whole call
  }

  fill(sample: Blob | string, type = ""): void {
    if (typeof sample !== "string") {
      this.sample = sample;
      this.file.value = "";
      this.choose("file");
      return;
    }
    this.text.value = sample;
    this.choose(type === "application/json" ? "json" : "text");
  }

  picture(): string {
    return ""; // a picture that comes back need not be that which went in
  }
}
