// Files that were dropped or chosen, with their names in the bundle.

/** A file and its name, with forward slashes. */
export interface Dropped {
  name: string;
  file: File;
}

/** What came of a drop: the files, and the name of the folder that they were in, if they were in one. */
export interface Haul {
  files: Dropped[];
  folder: string;
}

/** Folders that the clients of languages make by themselves: a build makes them anew. */
const made = ["node_modules", "__pycache__", "venv"];

const leftOut = (part: string): boolean => part.startsWith(".") || made.includes(part);

/** Hidden files, such as those of a version control, are no part of a bundle. */
function isHidden(name: string): boolean {
  return name.split("/").some(leftOut);
}

/** Reads what was dropped, folders and all. It must be called within the drop's event. */
export async function dropped(transfer: DataTransfer): Promise<Haul> {
  const entries = [...transfer.items].map((i) => (i.kind === "file" ? i.webkitGetAsEntry() : null)).filter((e) => e !== null);
  if (entries.length === 0) return haul([...transfer.files].map((file) => ({ name: file.name, file })));
  const files: Dropped[] = [];
  for (const e of entries) await walk(e, files);
  return haul(files);
}

/** Takes what a field of files holds. */
export function chosen(list: FileList): Haul {
  return haul([...list].map((file) => ({ name: file.webkitRelativePath || file.name, file })));
}

async function walk(entry: FileSystemEntry, into: Dropped[]): Promise<void> {
  if (leftOut(entry.name)) return;
  if (isFile(entry)) {
    const file = await new Promise<File>((resolve, reject) => entry.file(resolve, reject));
    into.push({ name: entry.fullPath.replace(/^\//, ""), file });
    return;
  }
  if (!isFolder(entry)) return;
  const reader = entry.createReader();
  for (;;) {
    // A reader gives a hundred or so at a time, and nothing at the end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const e of some) await walk(e, into);
  }
}

function isFile(e: FileSystemEntry): e is FileSystemFileEntry {
  return e.isFile;
}

function isFolder(e: FileSystemEntry): e is FileSystemDirectoryEntry {
  return e.isDirectory;
}

/** A picture that is dropped beside a model, in no folder, is a sample of it. */
function beside({ name, file }: Dropped): string {
  return !name.includes("/") && file.type.startsWith("image/") ? `samples/${name}` : name;
}

/** Leaves out what is hidden, and the folder that all files are in. */
function haul(all: Dropped[]): Haul {
  let files = all.filter((f) => !isHidden(f.name));
  let folder = "";
  const first = files[0]?.name.split("/");
  if (first && first.length > 1 && files.every((f) => f.name.startsWith(`${first[0]}/`))) {
    folder = first[0] ?? "";
    files = files.map((f) => ({ ...f, name: f.name.slice(folder.length + 1) }));
  }
  files = files.map((f) => ({ ...f, name: folder ? f.name : beside(f) }));
  files = files.map((f) => ({ ...f, name: f.name.normalize("NFC") }));
  return { files: files.sort((a, b) => (a.name < b.name ? -1 : 1)), folder };
}
