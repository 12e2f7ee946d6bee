// What the console is made of.

import type { Input } from "../../part/call.ts";

/** One field of the console. */
export interface Field {
  name: string;
  /** The field's value as a whole call; null where it is empty. */
  input(): Input | null;
  /** The field's value as a member of a call's JSON object; undefined where it is empty. */
  member(): Promise<unknown>;
  /** Puts a sample into the field; type is its content type, where that is known. */
  fill(sample: Blob | string, type?: string): void;
  picture(): string;
}
