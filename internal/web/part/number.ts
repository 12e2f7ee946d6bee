// Numbers as people read them.

const steps: [number, string][] = [
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];

/** A large count: 1.2 M. */
export function count(n: number): string {
  for (const [size, unit] of steps) {
    if (n >= size) return `${(n / size).toFixed(1)} ${unit}`;
  }
  return String(n);
}

/** A size in bytes: 1.2 MiB. */
export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let v = bytes;
  let unit = "";
  for (const u of ["KiB", "MiB", "GiB", "TiB"]) {
    if (v < 1024) break;
    v /= 1024;
    unit = u;
  }
  return `${v.toFixed(1)} ${unit}`;
}

/** A number with four digits that matter. */
export function short(n: number): string {
  return String(Number(n.toPrecision(4)));
}
