// The form of a manifest, made of its JSON Schema: which fields there are, what
// they may hold, and what they mean stands there and nowhere else.

import words from "../../words.json";
import type { Json, Problem, Report, Spec, Tree } from "./draft.ts";
import { make, need, say } from "../../part/dom.ts";

/** What the form asks of the page around it. */
export interface Host {
  /** The names of the draft's files. */
  files(): string[];
  /** A field was changed. */
  changed(): void;
}

/** Where a field stands: the object that holds it, its name there, and its path as problems name it. */
interface Place {
  holder: Tree;
  name: string;
  path: string;
}

const isTree = (v: Json | undefined): v is Tree => typeof v === "object" && v !== null && !Array.isArray(v);
const tree = (v: Json | undefined): Tree => (isTree(v) ? v : {});
const text = (v: Json | undefined): string => (typeof v === "string" || typeof v === "number" || typeof v === "boolean" ? String(v) : "");
const list = (v: Json | undefined): Json[] => (Array.isArray(v) ? v : v === undefined || v === null ? [] : [v]);

/** The adapters in people's words, and in their order of choice. */
const adapters: Record<string, string> = {
  picture: words.publish.aspicture,
  labels: words.publish.aslabels,
  lab: words.publish.aslab,
  tensor: words.publish.asarray,
};

export class Form {
  /** The manifest as the fields have it now. */
  manifest: Tree = {};
  /** A field was changed since the manifest was given. */
  touched = false;
  /** Adapters that were left for another, so that coming back finds them as they were. */
  private readonly left = new Map<string, Tree>();

  constructor(
    private readonly schema: Tree,
    private readonly host: Host,
  ) {}

  /** Shows a manifest. */
  fill(manifest: Tree, report: Report): void {
    this.manifest = structuredClone(manifest);
    this.touched = false;
    this.left.clear();
    complete(this.manifest, report);
    this.identity();
    this.adapted("input", report.inputs ?? []);
    this.adapted("output", report.outputs ?? []);
    need("#limits", HTMLElement).replaceChildren(...this.part(this.manifest, "limits", this.schema, "limits"));
    const code = this.isCode;
    need("#program", HTMLElement).hidden = !code;
    for (const e of document.querySelectorAll<HTMLElement>("#form .of-model")) e.hidden = code;
    need("#replicas", HTMLElement).replaceChildren(...(code ? [group("replicas", this.part(this.manifest, "replicas", this.schema, "replicas"))] : []));
    need("#code", HTMLElement).replaceChildren(...(code ? this.program() : []));
  }

  /** Whether the manifest is of a program. */
  get isCode(): boolean {
    return this.manifest["kind"] === "code";
  }

  /** The fields of a program, but for what stoa.yaml alone can say well: its command, and its models. */
  private program(): HTMLElement[] {
    const holder = tree(this.manifest["code"]);
    const schema = tree(this.properties(this.schema)["code"]);
    const shown = ["language", "entry", "network", "concurrency"].map((name) =>
      this.field(tree(this.properties(schema)[name]), { holder, name, path: `code.${name}` }, () => {
        this.keep(this.manifest, "code", holder);
        this.change();
      }),
    );
    return [...shown, group("build", this.part(holder, "build", schema, "code.build", () => this.keep(this.manifest, "code", holder)))];
  }

  /** The fields of an object that need not be there: it is while it holds something. */
  private part(within: Tree, name: string, schema: Tree, path: string, after: () => void = () => undefined): HTMLElement[] {
    const holder = tree(within[name]);
    return this.fields(tree(this.properties(schema)[name]), holder, path, () => {
      this.keep(within, name, holder);
      after();
    });
  }

  private keep(within: Tree, name: string, holder: Tree): void {
    if (Object.keys(holder).length > 0) within[name] = holder;
    else delete within[name];
  }

  /** The file that is the sample; "" where none is. */
  get sample(): string {
    return text(tree(this.manifest["sample"])["file"]);
  }

  /** Makes a file the sample, and says so in its field. */
  setSample(name: string): void {
    this.manifest["sample"] = { file: name };
    this.identity();
    this.change();
  }

  /** Marks the fields at fault; what is no field's stands in the list beside. */
  mark(problems: Problem[]): void {
    for (const e of document.querySelectorAll<HTMLElement>("#form .field")) {
      const mine = problems.filter((p) => p.field === e.dataset["field"] || (p.field ?? "").startsWith(`${e.dataset["field"]}[`));
      const fault = e.querySelector<HTMLElement>(".wrong");
      if (fault) {
        fault.textContent = mine.map((p) => p.msg.replace(/^[\w.[\]-]+: /, "")).join("\n");
        fault.hidden = mine.length === 0;
      }
      for (const c of e.querySelectorAll("input, select, textarea")) {
        if (mine.length > 0) c.setAttribute("aria-invalid", "true");
        else c.removeAttribute("aria-invalid");
      }
    }
  }

  /** The inputs that take a picture, each with the network's input that it is for. */
  pictures(report: Report): { input: Tree; spec: Spec }[] {
    const out: { input: Tree; spec: Spec }[] = [];
    for (const v of list(this.manifest["input"])) {
      const spec = isTree(v) && v["picture"] !== undefined ? specOf(v, report.inputs ?? []) : undefined;
      if (isTree(v) && spec) out.push({ input: v, spec });
    }
    return out;
  }

  private change(): void {
    this.touched = true;
    this.host.changed();
  }

  private properties(schema: Tree): Tree {
    return tree(schema["properties"]);
  }

  /** What the algorithm is: its name and what people find it by. */
  private identity(): void {
    const all = this.properties(this.schema);
    const shown = ["name", "tagline", "tags", "licence", "visibility"].map((name) =>
      this.field(tree(all[name]), { holder: this.manifest, name, path: name }, () => this.change()),
    );
    shown.push(this.sampleField(tree(all["sample"])));
    need("#about", HTMLElement).replaceChildren(...shown);
  }

  /** The sample: one of the files, or what stoa.yaml says. */
  private sampleField(schema: Tree): HTMLElement {
    const now = tree(this.manifest["sample"]);
    const select = make("select");
    select.append(make("option", { value: "" }, words.publish.nosample));
    if (Object.keys(now).length > 0 && now["file"] === undefined) select.append(make("option", { value: "?", selected: true }, words.publish.ownsample));
    for (const f of this.host.files()) select.append(make("option", { value: f, selected: f === now["file"] }, f));
    select.addEventListener("change", () => {
      if (select.value === "") delete this.manifest["sample"];
      else if (select.value !== "?") this.manifest["sample"] = { file: select.value };
      this.change();
    });
    return wrap(select, { path: "sample", name: "sample", help: text(schema["description"]) });
  }

  /** The adapters of inputs or outputs. */
  private adapted(what: "input" | "output", specs: Spec[]): void {
    const schema = tree(tree(this.properties(this.schema)[what])["items"]);
    const boxes = list(this.manifest[what]).map((v, i) => this.adapter(schema, tree(v), `${what}[${i}]`, specs));
    need(`#${what}s`, HTMLElement).replaceChildren(...boxes);
  }

  private adapter(schema: Tree, holder: Tree, path: string, specs: Spec[]): HTMLElement {
    const properties = this.properties(schema);
    const known = Object.keys(adapters);
    const kinds = Object.keys(properties).filter((k) => k !== "name");
    kinds.sort((a, b) => known.indexOf(a) - known.indexOf(b));
    const spec = specOf(holder, specs);
    const id = idOf(path);
    const body = make("div", { className: "fields" });
    const help = make("p", { className: "help" });
    const show = (kind: string) => {
      help.textContent = text(tree(properties[kind])["description"]);
      body.replaceChildren(...this.fields(tree(properties[kind]), tree(holder[kind]), `${path}.${kind}`, () => undefined));
    };
    const now = kinds.find((k) => holder[k] !== undefined) ?? "tensor";
    const choices = kinds.map((kind) => {
      const radio = make("input", { type: "radio", name: id, id: `${id}-${kind}`, value: kind, checked: kind === now });
      radio.addEventListener("change", () => {
        for (const k of kinds) {
          if (isTree(holder[k])) this.left.set(`${path}.${k}`, holder[k]);
          delete holder[k];
        }
        holder[kind] = this.left.get(`${path}.${kind}`) ?? {};
        show(kind);
        this.change();
      });
      return make("label", { className: "choice" }, radio, adapters[kind] ?? kind);
    });
    show(now);
    const title = make("legend", { className: "mono" }, spec ? `${spec.name}  ${shapeOf(spec)}` : text(holder["name"]) || path);
    return make("fieldset", { className: "adapter", id }, title, make("div", { className: "choices" }, ...choices), help, body);
  }

  /** The fields of an object. holder must be the object itself, which they change. */
  private fields(schema: Tree, holder: Tree, path: string, after: () => void): HTMLElement[] {
    return Object.keys(this.properties(schema)).sort(inOrder(schema)).map((name) =>
      this.field(tree(this.properties(schema)[name]), { holder, name, path: `${path}.${name}` }, () => {
        after();
        this.change();
      }),
    );
  }

  /** One field, in the form that suits what it may hold. */
  private field(schema: Tree, at: Place, changed: () => void): HTMLElement {
    const set = (v: Json | undefined) => {
      if (v === undefined) delete at.holder[at.name];
      else at.holder[at.name] = v;
      changed();
    };
    const about = { path: at.path, name: at.name, help: text(schema["description"]) };
    const now = at.holder[at.name];
    if (schema["enum"] !== undefined) return wrap(choice(schema, now, set), about);
    if (schema["type"] === "boolean") {
      const box = make("input", { type: "checkbox", checked: now === true });
      box.addEventListener("change", () => set(box.checked ? true : undefined));
      return wrap(box, about);
    }
    if (schema["type"] === "integer" || schema["type"] === "number") return wrap(numeric(schema, now, set), about);
    const item = list(schema["anyOf"]).map(tree).find((s) => s["type"] !== "array");
    if (item) return wrap(item["type"] === "number" ? numbers(now, set) : texts(at.name, now, set), about);
    if (at.name === "file") return wrap(this.fileChoice(now, set), about);
    const field = make("input", { type: "text", value: text(now), autocomplete: "off", spellcheck: at.name === "tagline" });
    field.addEventListener("input", () => set(field.value === "" ? undefined : field.value));
    return wrap(field, about);
  }

  private fileChoice(now: Json | undefined, set: (v: Json | undefined) => void): HTMLElement {
    const select = make("select");
    select.append(make("option", { value: "" }, words.publish.nofile));
    const names = this.host.files();
    if (typeof now === "string" && !names.includes(now)) names.push(now);
    for (const f of names) select.append(make("option", { value: f, selected: f === now }, f));
    select.addEventListener("change", () => set(select.value || undefined));
    return select;
  }
}

type Set = (v: Json | undefined) => void;

function choice(schema: Tree, now: Json | undefined, set: Set): HTMLElement {
  const select = make("select");
  const standard = schema["default"];
  for (const w of list(schema["enum"])) select.append(make("option", { value: text(w), selected: w === (now ?? standard) }, text(w)));
  select.addEventListener("change", () => set(select.value === standard ? undefined : select.value));
  return select;
}

function numeric(schema: Tree, now: Json | undefined, set: Set): HTMLElement {
  const field = make("input", { type: "number", value: text(now), step: schema["type"] === "integer" ? "1" : "any" });
  if (schema["minimum"] !== undefined) field.min = text(schema["minimum"]);
  if (schema["maximum"] !== undefined) field.max = text(schema["maximum"]);
  field.addEventListener("input", () => set(field.value === "" ? undefined : Number(field.value)));
  return field;
}

/** One number or several, with commas or spaces between them. */
function numbers(now: Json | undefined, set: Set): HTMLElement {
  const field = make("input", { type: "text", inputMode: "decimal", value: list(now).map(text).join(", "), autocomplete: "off" });
  field.addEventListener("input", () => {
    const parts = field.value.split(/[\s,;]+/).filter((p) => p !== "");
    const values = parts.map(Number);
    const good = values.every(Number.isFinite);
    if (good) {
      set(values.length > 0 ? values : undefined);
      return;
    }
    field.setAttribute("aria-invalid", "true");
    const wrong = field.parentElement?.querySelector<HTMLElement>(".wrong");
    if (wrong) Object.assign(wrong, { textContent: words.publish.numbers, hidden: false });
  });
  return field;
}

/** Texts: labels one a line, tags with commas between them. */
function texts(name: string, now: Json | undefined, set: Set): HTMLElement {
  const lines = name === "names";
  const value = list(now).map(text).join(lines ? "\n" : ", ");
  const field = lines ? make("textarea", { rows: 5, value, spellcheck: false }) : make("input", { type: "text", value, autocomplete: "off" });
  field.addEventListener("input", () => {
    const all = field.value.split(lines ? "\n" : ",").map((s) => s.trim());
    while (all.at(-1) === "") all.pop();
    set(all.length > 0 ? all : undefined);
  });
  return field;
}

function wrap(control: HTMLElement, about: { path: string; name: string; help: string }): HTMLElement {
  const id = idOf(about.path);
  control.id = id;
  control.setAttribute("aria-describedby", `${id}-wrong ${id}-help`);
  const label = make("label", { htmlFor: id }, about.name);
  const wrong = make("p", { className: "wrong", id: `${id}-wrong`, hidden: true });
  const help = make("p", { className: "help", id: `${id}-help` }, about.help);
  const field = make("div", { className: "field" }, label, control, wrong, help);
  field.dataset["field"] = about.path;
  if (control instanceof HTMLInputElement && control.type === "checkbox") field.classList.add("check");
  if (control instanceof HTMLTextAreaElement) field.classList.add("long");
  return field;
}

/** Fields below a name of their own, which some of them have elsewhere too. */
function group(name: string, fields: HTMLElement[]): HTMLElement {
  return make("fieldset", { className: "adapter" }, make("legend", { className: "mono" }, name), make("div", { className: "fields" }, ...fields));
}

function idOf(path: string): string {
  return `field-${path.replace(/[[\].]+/g, "-").replace(/-$/, "")}`;
}

/** The order in which people think of the fields of a picture; others stand as the schema has them. */
const order = ["width", "height", "resize", "filter", "colour", "invert", "mean", "scale", "layout", "file", "names", "top", "softmax", "threshold", "unsure"];

function inOrder(schema: Tree): (a: string, b: string) => number {
  const all = Object.keys(tree(schema["properties"]));
  const place = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length + all.indexOf(name));
  return (a, b) => place(a) - place(b);
}

/** Gives a manifest what it leaves to the defaults: an adapter for each input, and for each output where none is chosen. */
function complete(m: Tree, report: Report): void {
  const named = (s: Spec, all: Spec[]): Tree => (all.length > 1 ? { name: s.name, tensor: {} } : { tensor: {} });
  const inputs = report.inputs ?? [];
  const given = list(m["input"]).filter(isTree);
  const lacking = inputs.filter((s) => !given.some((v) => specOf(v, inputs) === s));
  m["input"] = [...given, ...lacking.map((s) => named(s, inputs))];
  const outputs = report.outputs ?? [];
  const answered = list(m["output"]).filter(isTree);
  m["output"] = answered.length > 0 ? answered : outputs.map((s) => named(s, outputs));
}

/** The network's input or output that an adapter is for. */
function specOf(v: Tree, specs: Spec[]): Spec | undefined {
  const name = v["name"];
  if (name === undefined) return specs.length === 1 ? specs[0] : undefined;
  return specs.find((s) => s.name === name);
}

/** An array's type and shape, as the report writes them. */
export function shapeOf(s: Spec): string {
  const shape = s.shape ? s.shape.map((d) => (d < 0 ? "N" : String(d))).join("×") : words.publish.anyshape;
  return say("{0} {1}", shape, s.dtype);
}
