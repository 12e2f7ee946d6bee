// A call of an algorithm, as any client makes it.

import words from "../words.json";
import { say } from "./dom.ts";

/** What a call carries. */
export interface Input {
  type: string; // content type
  body: Blob | string;
}

/** An error, in the words of the API. */
export interface Fault {
  message: string;
  error_type?: string;
  stacktrace?: string;
}

/** What the algorithm printed meanwhile. */
export interface Printed {
  stdout: string;
  stderr: string;
}

/** The answer: a value, a picture or bytes, or an error; and how long it took. */
export interface Answer {
  value?: unknown;
  bytes?: Blob; // with its type, where the content told it
  error?: Fault;
  printed?: Printed; // where the caller may see it
  raw: string; // as it came
  status: number;
  request: string; // its id
  took: number; // milliseconds, seen from here
  timing: string; // the Server-Timing header
}

interface Envelope {
  result?: unknown;
  metadata?: { content_type?: string; stdout?: string; stderr?: string };
  error?: Fault | string;
}

/** Makes a call. What goes wrong is in the answer's error. */
export async function call(path: string, input: Input, signal: AbortSignal): Promise<Answer> {
  const start = performance.now();
  let response: Response;
  let raw: string;
  try {
    response = await fetch(path, { method: "POST", headers: { "Content-Type": input.type }, body: input.body, signal });
    raw = await response.text();
  } catch (e) {
    const message = say(words.answer.unreachable, e instanceof Error ? e.message : String(e));
    return { error: { message }, raw: "", status: 0, request: "", took: performance.now() - start, timing: "" };
  }
  const answer: Answer = {
    raw,
    status: response.status,
    request: response.headers.get("X-Request-Id") ?? "",
    took: performance.now() - start,
    timing: response.headers.get("Server-Timing") ?? "",
  };
  let envelope: Envelope;
  try {
    envelope = JSON.parse(raw) as Envelope;
  } catch {
    return { ...answer, error: { message: raw || response.statusText } };
  }
  const meta = envelope.metadata;
  if (meta?.stdout !== undefined) {
    // stdout holds both streams, as the API of old had it; stderr is its end.
    const stderr = meta.stderr ?? "";
    answer.printed = { stdout: meta.stdout.endsWith(stderr) ? meta.stdout.slice(0, meta.stdout.length - stderr.length) : meta.stdout, stderr };
  }
  if (envelope.error !== undefined) {
    return { ...answer, error: typeof envelope.error === "string" ? { message: envelope.error } : envelope.error };
  }
  if (envelope.metadata?.content_type === "binary" && typeof envelope.result === "string") {
    return { ...answer, bytes: bytes(envelope.result) };
  }
  return { ...answer, value: envelope.result };
}

function bytes(base64: string): Blob {
  const text = atob(base64);
  const data = Uint8Array.from(text, (c) => c.charCodeAt(0));
  return new Blob([data], { type: sniff(text) });
}

/** The picture that a text holds as base64, alone or as a data URL; null for other texts. */
export function pictureOf(text: string): Blob | null {
  const base64 = text.replace(/^data:image\/[\w.+-]+;base64,/, "");
  if (!/^(iVBORw0KGgo|\/9j\/|R0lGOD|UklGR)/.test(base64)) return null;
  try {
    const blob = bytes(base64);
    return blob.type.startsWith("image/") ? blob : null;
  } catch {
    return null; // it only begins like one
  }
}

function sniff(text: string): string {
  if (text.startsWith("\x89PNG")) return "image/png";
  if (text.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (text.startsWith("GIF8")) return "image/gif";
  if (text.startsWith("RIFF") && text.slice(8, 12) === "WEBP") return "image/webp";
  return "application/octet-stream";
}
