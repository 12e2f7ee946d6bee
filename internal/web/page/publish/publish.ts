// The page on which a model or a program becomes an algorithm.

import words from "../../words.json";
import { Draft, type Inspection, Refusal, type Report, type Tree, schema } from "./draft.ts";
import { chosen, dropped, type Dropped, type Haul } from "./files.ts";
import { Form } from "./form.ts";
import { codeFacts, facts, problems } from "./found.ts";
import { figure } from "./look.ts";
import { make, need, say } from "../../part/dom.ts";
import { size } from "../../part/number.ts";
import { onPaste, PictureBox } from "../../part/picturebox.ts";
import { visible } from "../../part/visible.ts";

/** A draft takes as many; docs/api.md. */
const mostFiles = 2000;

/** How long one waits for another change before the server is asked, in milliseconds. */
const pause = 200;

/** A file of the draft, with its line in the list. */
interface Row {
  file: File;
  there: boolean; // it was uploaded whole
  line: HTMLElement;
  bar: HTMLProgressElement;
  note: HTMLElement;
}

class Page {
  private readonly draft = new Draft();
  private readonly rows = new Map<string, Row>();
  private readonly status = need("#status", HTMLElement);
  private readonly list = need("#files", HTMLElement);
  private readonly form = need("#form", HTMLFormElement);
  private readonly yaml = need("#yaml", HTMLElement);
  private readonly outcome = need("#outcome", HTMLElement);
  private readonly button = need("#publish", HTMLButtonElement);
  private readonly box: PictureBox;
  private readonly fields: Promise<Form>;
  private readonly account: string;

  private queue: string[] = [];
  private pumping = false;
  private folder = "";
  private looks = 0; // inspections begun; a later one makes an earlier one stale
  private restarted = false;
  private report: Report | null = null;
  private text = ""; // of stoa.yaml, as the inspection gave it
  private picture = ""; // the name of the file that is previewed
  private readonly picked = new Set<string>(); // files that came by the picture box
  private timer = 0;
  private asking: AbortController | null = null;
  private urls: string[] = [];
  private published = false;

  constructor(private readonly root: HTMLElement) {
    root.hidden = false;
    this.account = root.dataset["account"] ?? "";
    this.fields = schema().then((s) => new Form(s, { files: () => [...this.rows.keys()].sort(), changed: () => this.changed() }));
    this.fields.catch((e: unknown) => this.tell(message(e), "fault"));
    this.box = new PictureBox(need("#picture", HTMLElement), () => void this.pick());
    onPaste((file) => this.box.take(file));
    for (const id of ["#choose-files", "#choose-folder"]) {
      const input = need(id, HTMLInputElement);
      input.addEventListener("change", () => {
        if (input.files) this.take(chosen(input.files));
        input.value = ""; // the same files may be chosen again
      });
    }
    this.drops(need("#drop", HTMLElement));
    this.form.addEventListener("submit", (e) => {
      e.preventDefault();
      void this.publish();
    });
    addEventListener("pagehide", (e) => {
      if (!e.persisted && !this.published) this.draft.leave();
    });
  }

  /** Files may be dropped anywhere: beside the zone they would replace the page. */
  private drops(zone: HTMLElement): void {
    document.addEventListener("dragover", (e) => {
      e.preventDefault();
      zone.classList.add("over");
    });
    document.addEventListener("dragleave", (e) => {
      if (e.relatedTarget === null) zone.classList.remove("over");
    });
    document.addEventListener("drop", (e) => {
      zone.classList.remove("over");
      if (e.defaultPrevented || !e.dataTransfer) return; // the picture box has it
      e.preventDefault();
      dropped(e.dataTransfer).then(
        (haul) => this.take(haul),
        (err: unknown) => this.tell(message(err), "fault"),
      );
    });
  }

  private tell(text: string, kind: "" | "fault" = ""): void {
    this.status.replaceChildren(make("p", { className: kind }, text));
  }

  private take(haul: Haul): void {
    if (haul.files.length === 0) {
      this.tell(words.publish.nofiles, "fault");
      return;
    }
    if (this.rows.size + haul.files.length > mostFiles) {
      this.tell(say(words.publish.toomany, haul.files.length, mostFiles), "fault");
      return;
    }
    this.folder = haul.folder || this.folder;
    for (const f of haul.files) this.add(f);
    void this.pump();
  }

  /** Puts a file into the list and the queue. */
  private add({ name, file }: Dropped): void {
    this.rows.get(name)?.line.remove();
    const bar = make("progress", { max: Math.max(file.size, 1), value: 0 });
    bar.setAttribute("aria-label", say(words.publish.uploading, name));
    const drop = make("button", { type: "button", className: "plain" }, words.publish.remove);
    drop.setAttribute("aria-label", say(words.publish.removefile, name));
    drop.addEventListener("click", () => void this.remove(name));
    const note = make("span", { className: "soft" }, size(file.size));
    const line = make("li", {}, make("span", { className: "mono name" }, name), note, bar, drop);
    line.dataset["name"] = name;
    this.list.append(line);
    this.rows.set(name, { file, there: false, line, bar, note });
    this.queue.push(name);
  }

  private async remove(name: string): Promise<void> {
    need("#choose-files", HTMLElement).focus();
    try {
      await this.discard(name);
    } catch (e) {
      this.tell(message(e), "fault");
    }
    if (this.rows.size > 0) await this.inspect();
    else this.empty();
  }

  /** Takes a file out of the list and of the draft. */
  private async discard(name: string): Promise<void> {
    const row = this.rows.get(name);
    if (!row) return;
    this.rows.delete(name);
    this.picked.delete(name);
    row.line.remove();
    if (row.there) await this.draft.remove(name);
  }

  /** Discards the pictures that were only looked at: what is below samples would be published. */
  private async tidy(form: Form): Promise<void> {
    for (const name of [...this.picked]) {
      if (name !== this.picture && name !== form.sample) await this.discard(name);
    }
  }

  private empty(): void {
    this.looks++;
    this.report = null;
    this.status.replaceChildren();
    need("#found", HTMLElement).hidden = true;
    this.form.hidden = true;
  }

  /** Uploads what is in the queue, one after the other, then has it looked at. */
  private async pump(): Promise<void> {
    if (this.pumping) return;
    this.pumping = true;
    let failed = 0;
    for (let name = this.queue.shift(); name !== undefined; name = this.queue.shift()) {
      const row = this.rows.get(name);
      if (!row || row.there) continue;
      this.tell(say(words.publish.uploading, name));
      try {
        await this.draft.put(name, row.file, (done) => (row.bar.value = done));
        row.there = true;
        row.bar.remove();
      } catch (e) {
        if (this.restart(e)) continue;
        failed++;
        row.bar.remove();
        row.line.classList.add("failed");
        row.note.textContent = message(e);
      }
    }
    this.pumping = false;
    if (failed > 0) this.tell(say(words.publish.failed, failed), "fault");
    else await this.inspect();
  }

  /** Where the server has dropped the draft, begins another with the same files, once in a row. */
  private restart(e: unknown): boolean {
    if (!(e instanceof Refusal) || e.status !== 404 || this.restarted || this.rows.size === 0) return false;
    this.restarted = true;
    this.draft.forget();
    for (const row of this.rows.values()) row.there = false;
    this.queue = [...this.rows.keys()];
    void this.pump();
    return true;
  }

  private async inspect(): Promise<void> {
    const mine = ++this.looks;
    this.tell(words.publish.looking);
    this.root.setAttribute("aria-busy", "true");
    try {
      const [form, found] = await Promise.all([this.fields, this.draft.inspect(this.folder)]);
      if (mine !== this.looks) return;
      this.restarted = false;
      this.show(form, found);
    } catch (e) {
      if (mine === this.looks && !this.restart(e)) this.tell(message(e), "fault");
    } finally {
      if (mine === this.looks) this.root.removeAttribute("aria-busy");
    }
  }

  private show(form: Form, found: Inspection): void {
    const code = found.manifest?.["kind"] === "code";
    const report = found.report ?? (code ? noNetwork : null);
    const same = this.report && report && sameNetwork(this.report, report);
    this.report = report;
    const list = problems(found.problems);
    const inPlace = !found.given && found.manifest && found.problems.some((p) => p.file !== "");
    need("#problems", HTMLElement).replaceChildren(
      ...(list ? [make("p", {}, words.publish.inway), list] : []),
      ...(inPlace ? [make("p", {}, words.publish.instead)] : []),
    );
    const known = code && found.manifest ? codeFacts(found.manifest, this.rows.size) : found.report ? facts(found.report) : null;
    need("#report", HTMLElement).replaceChildren(...(known ? [known] : []));
    need("#found", HTMLElement).hidden = false;
    this.tell(list ? say(words.publish.problems, found.problems.length) : say(words.publish.ready, code ? words.publish.code : (report?.format ?? "")));
    if (!report || !found.manifest || report.unsupported?.length) {
      this.form.hidden = true;
      return;
    }
    this.form.hidden = false;
    if (form.touched && same && !found.given) {
      const manifest = form.manifest; // what was set by hand stays
      form.fill(manifest, report);
      form.touched = true;
    } else {
      form.fill(found.manifest, report);
      this.text = found.yaml ?? "";
    }
    this.chooseSample(form);
    this.changed();
  }

  /** Previews the sample, where it is a picture and none was chosen. */
  private chooseSample(form: Form): void {
    if (this.picture && this.rows.has(this.picture)) return;
    const row = this.rows.get(form.sample);
    if (!row?.file.type.startsWith("image/")) return;
    this.picture = form.sample;
    this.box.set(row.file);
  }

  /** Takes the picture of the box: it is uploaded, previewed, and becomes the sample where there is none. */
  private async pick(): Promise<void> {
    const blob = this.box.file;
    if (!blob) return;
    const file = blob instanceof File ? blob : new File([blob], words.publish.pasted, { type: blob.type });
    const name = `samples/${file.name.normalize("NFC").replace(/^\.+|[/\\]/g, "") || words.publish.pasted}`;
    const before = this.picture;
    const form = await this.fields;
    try {
      if (this.rows.get(name)?.file !== file) {
        this.add({ name, file });
        this.queue = this.queue.filter((n) => n !== name); // it does not wait for the others
        this.picked.add(name);
        const row = this.rows.get(name);
        await this.draft.put(name, file, (done) => row && (row.bar.value = done));
        if (row) row.there = true;
        row?.bar.remove();
      }
      this.picture = name;
      const single = (this.report?.inputs?.length ?? 0) === 1;
      if (single && (form.sample === before || !("sample" in form.manifest))) form.setSample(name);
      else this.changed();
      await this.tidy(form);
    } catch (e) {
      need("#seen", HTMLElement).replaceChildren(fault(e));
    }
  }

  /** Asks the server, once no more changes come, whether the manifest is in order and what the network will see. */
  private changed(): void {
    clearTimeout(this.timer);
    this.asking?.abort();
    this.timer = setTimeout(() => {
      const mine = new AbortController();
      this.asking = mine;
      void this.check(mine.signal);
      void this.preview(mine.signal);
    }, pause);
  }

  private async check(signal: AbortSignal): Promise<void> {
    const form = await this.fields;
    if (!this.report) return;
    try {
      const checked = await this.draft.check(form.manifest, this.report, signal);
      if (signal.aborted) return;
      this.yaml.textContent = form.touched ? checked.yaml : this.text || checked.yaml;
      form.mark(checked.problems);
      const list = problems(checked.problems);
      need("#faults", HTMLElement).replaceChildren(...(list ? [list] : []));
      this.where(form.manifest);
    } catch (e) {
      if (!signal.aborted && !this.restart(e)) need("#faults", HTMLElement).replaceChildren(fault(e));
    }
  }

  private where(m: Tree): void {
    const name = typeof m["name"] === "string" ? m["name"] : "";
    const full = name.includes("/") ? name.replace(/^me\//, `${this.account}/`) : `${this.account}/${name}`;
    const text = m["visibility"] === "public" ? words.publish.public : words.publish.private;
    need("#where", HTMLElement).textContent = say(text, full);
  }

  private async preview(signal: AbortSignal): Promise<void> {
    const form = await this.fields;
    if (!this.report || signal.aborted) return;
    const inputs = form.pictures(this.report);
    need("#look", HTMLElement).hidden = inputs.length === 0;
    if (inputs.length === 0 || !this.picture) return;
    const urls: string[] = [];
    const seen = await Promise.all(
      inputs.map(async ({ input, spec }) => {
        try {
          return figure(spec.name, await this.draft.preview(input, spec, this.picture, signal), urls);
        } catch (e) {
          return signal.aborted ? "" : fault(e);
        }
      }),
    );
    if (signal.aborted) return;
    need("#seen", HTMLElement).replaceChildren(...seen);
    for (const u of this.urls) URL.revokeObjectURL(u);
    this.urls = urls;
  }

  private async publish(): Promise<void> {
    if (this.button.disabled) return;
    const form = await this.fields;
    this.button.disabled = true;
    const working = form.isCode ? words.publish.building : words.publish.working;
    this.outcome.replaceChildren(make("p", {}, working), make("progress", { ariaLabel: working }));
    try {
      if (form.sample !== this.picture) this.picture = "";
      await this.tidy(form);
      const bump = need("#bump", HTMLSelectElement).value;
      const v = await this.draft.publish(form.touched || !this.text ? { manifest: form.manifest, bump } : { yaml: this.text, bump });
      this.published = true;
      this.outcome.replaceChildren(make("p", {}, say(words.publish.done, `${v.owner}/${v.name}`, v.version)));
      location.assign(`/algorithms/${v.owner}/${v.name}`);
    } catch (e) {
      this.outcome.replaceChildren(this.restart(e) ? make("p", {}, words.publish.again) : fault(e));
      this.button.disabled = false;
    }
  }
}

/** The report of what is no network. */
const noNetwork: Report = {
  framework: "", format: "", files: [], inputs: null, outputs: null, layers: null, parameters: -1, macs: -1, weight_bytes: -1, memory_bytes: -1,
};

/** Whether two reports are of one network, so that a form for the one fits the other. */
function sameNetwork(a: Report, b: Report): boolean {
  const key = (r: Report) => JSON.stringify([r.files, r.inputs, r.outputs]);
  return key(a) === key(b);
}

function message(e: unknown): string {
  return e instanceof Error ? e.message : String(e);
}

/** A fault; that of a build has the lines that it printed below its first. */
function fault(e: unknown): HTMLElement {
  const [first, ...more] = message(e).split("\n");
  const printed = more.length > 0 ? make("pre", { tabIndex: 0 }, visible(more.join("\n"))) : null;
  return make("div", { className: "fault" }, visible(first ?? ""), printed);
}

const root = document.querySelector<HTMLElement>("#app");
if (root) new Page(root);
