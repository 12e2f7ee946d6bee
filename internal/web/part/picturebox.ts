// A box that takes a picture: dropped, pasted or chosen.

import { need } from "./dom.ts";

/** The box of a page's markup, brought to life. */
export class PictureBox {
  /** The picture in the box; null for none. */
  file: Blob | null = null;
  /** Its address, to show; "" for none. */
  url = "";

  private readonly chosen: HTMLImageElement;
  private readonly input: HTMLInputElement;

  constructor(
    private readonly box: HTMLElement,
    private readonly changed: () => void,
  ) {
    this.input = need("input[type=file]", HTMLInputElement, box);
    this.chosen = need("img.chosen", HTMLImageElement, box);
    // What this browser does not show may be a picture all the same: the server says.
    this.chosen.addEventListener("error", () => {
      this.chosen.hidden = true;
      box.classList.remove("full");
    });
    this.input.addEventListener("change", () => this.take(this.input.files?.[0]));
    box.addEventListener("dragover", (e) => {
      e.preventDefault();
      box.classList.add("over");
    });
    box.addEventListener("dragleave", () => box.classList.remove("over"));
    box.addEventListener("drop", (e) => {
      e.preventDefault();
      box.classList.remove("over");
      this.take(e.dataTransfer?.files[0]);
    });
  }

  /** Takes a file; nothing where there is none. */
  take(file: Blob | undefined): void {
    if (!file) return;
    this.set(file);
    this.changed();
  }

  /** Puts a file into the box, and tells nobody. */
  set(file: Blob): void {
    if (this.url) URL.revokeObjectURL(this.url);
    this.file = file;
    this.url = URL.createObjectURL(file);
    this.chosen.src = this.url;
    this.chosen.hidden = false;
    this.box.classList.add("full");
  }
}

/** Gives the picture of the clipboard to the first box, wherever one pastes but into a field of text. */
export function onPaste(take: (file: Blob) => void): void {
  document.addEventListener("paste", (e) => {
    const file = [...(e.clipboardData?.files ?? [])].find((f) => f.type.startsWith("image/"));
    if (!file) return;
    e.preventDefault();
    take(file);
  });
}
