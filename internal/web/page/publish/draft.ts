// A draft on the server: the API of docs/api.md, as this page uses it.

import words from "../../words.json";
import { say } from "../../part/dom.ts";

/** An array that a network takes or gives. */
export interface Spec {
  name: string;
  dtype: string;
  shape: number[] | null;
}

/** What an import found out; of its fields, those that the page shows. */
export interface Report {
  framework: string;
  format: string;
  files: string[];
  inputs: Spec[] | null;
  outputs: Spec[] | null;
  layers: Record<string, number> | null;
  parameters: number;
  macs: number;
  weight_bytes: number;
  memory_bytes: number;
  unsupported?: string[];
  notes?: string[];
}

/** One thing that is wrong, and where. */
export interface Problem {
  file: string;
  line: number;
  column: number;
  field?: string;
  msg: string;
}

/** A value of JSON, as a manifest is made of. */
export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
export type Tree = { [name: string]: Json };

export interface Inspection {
  report?: Report;
  manifest?: Tree;
  yaml?: string;
  given: boolean;
  problems: Problem[];
}

export interface Checked {
  yaml: string;
  manifest?: Tree;
  problems: Problem[];
}

export interface Preview {
  png: string; // base64
  channels: { name: string; min: number; mean: number; max: number }[];
  dtype: string;
  shape: number[];
  layout: string;
}

export interface Published {
  owner: string;
  name: string;
  version: string;
  new: boolean;
}

/** What the server said against a request; status 0 where it said nothing. */
export class Refusal extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

function refusal(text: string, status: number): Refusal {
  try {
    const body = JSON.parse(text) as { error?: string | { message?: string } };
    const error = typeof body.error === "string" ? body.error : body.error?.message;
    if (error) return new Refusal(error, status);
  } catch {
    // It is no error of the API's: its text is all there is.
  }
  return new Refusal(text || String(status), status);
}

async function ask<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(path, {
      method,
      ...(body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
    text = await response.text();
  } catch (e) {
    if (signal?.aborted) throw e;
    throw new Refusal(say(words.answer.unreachable, e instanceof Error ? e.message : String(e)), 0);
  }
  if (!response.ok) throw refusal(text, response.status);
  return (text ? JSON.parse(text) : undefined) as T;
}

/** The JSON Schema of stoa.yaml, of which the form is made. */
export function schema(): Promise<Tree> {
  return ask<Tree>("GET", "/v1/manifest/schema");
}

function escapeName(name: string): string {
  return name.split("/").map(encodeURIComponent).join("/");
}

/** A draft, which is opened by the first file. */
export class Draft {
  private path: Promise<string> | null = null;
  private opened = "";

  private open(): Promise<string> {
    this.path ??= ask<{ id: string }>("POST", "/v1/drafts").then((d) => (this.opened = `/v1/drafts/${d.id}`));
    return this.path;
  }

  /** Uploads a file; told hears how many of its bytes have gone. */
  async put(name: string, file: Blob, told: (done: number) => void): Promise<void> {
    const path = `${await this.open()}/files/${escapeName(name)}`;
    // fetch tells nothing of the progress of an upload.
    return new Promise((resolve, reject) => {
      const x = new XMLHttpRequest();
      x.open("PUT", path);
      x.upload.addEventListener("progress", (e) => told(e.loaded));
      x.addEventListener("load", () => (x.status >= 200 && x.status < 300 ? resolve() : reject(refusal(x.responseText, x.status))));
      x.addEventListener("error", () => reject(new Refusal(say(words.answer.unreachable, name), 0)));
      x.send(file);
    });
  }

  async remove(name: string): Promise<void> {
    await ask<undefined>("DELETE", `${await this.open()}/files/${escapeName(name)}`);
  }

  async inspect(name: string): Promise<Inspection> {
    return ask<Inspection>("POST", `${await this.open()}/inspect`, { name });
  }

  async check(manifest: Tree, report: Report, signal: AbortSignal): Promise<Checked> {
    const body = { manifest, inputs: report.inputs, outputs: report.outputs };
    return ask<Checked>("POST", `${await this.open()}/manifest`, body, signal);
  }

  async preview(input: Tree, spec: Spec, file: string, signal: AbortSignal): Promise<Preview> {
    return ask<Preview>("POST", `${await this.open()}/preview`, { input, spec, file }, signal);
  }

  async publish(body: { manifest?: Tree; yaml?: string; bump: string }): Promise<Published> {
    return ask<Published>("POST", `${await this.open()}/publish`, body);
  }

  /** Tells the server that the draft is done with, while the page goes away. */
  leave(): void {
    if (this.opened) void fetch(this.opened, { method: "DELETE", keepalive: true });
    this.path = null;
    this.opened = "";
  }

  /** Begins a fresh draft, since the server has dropped this one. */
  forget(): void {
    this.path = null;
    this.opened = "";
  }
}
