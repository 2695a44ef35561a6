// What changed from one text, or one list, to another.

export interface Piece<T> {
  kind: "same" | "added" | "removed";
  items: T[];
}

// More differences than this are told as one thing replaced by another: the work grows with their square.
const EDITS_MAX = 600;

// Myers' shortest edit script over what is between the common beginning and end.
export function diff<T>(a: T[], b: T[], isEqual: (x: T, y: T) => boolean): Piece<T>[] {
  let first = 0;
  while (first < a.length && first < b.length && isEqual(a[first] as T, b[first] as T)) {
    first++;
  }
  let last = 0;
  while (
    last < a.length - first &&
    last < b.length - first &&
    isEqual(a[a.length - 1 - last] as T, b[b.length - 1 - last] as T)
  ) {
    last++;
  }
  const from = a.slice(first, a.length - last);
  const to = b.slice(first, b.length - last);
  const pieces: Piece<T>[] = [];
  const add = (kind: Piece<T>["kind"], items: T[]) => {
    const before = pieces.at(-1);
    if (before?.kind === kind) {
      before.items.push(...items);
    } else if (items.length > 0) {
      pieces.push({ kind, items: [...items] });
    }
  };
  add("same", b.slice(0, first));
  for (const [kind, item] of script(from, to, isEqual)) {
    add(kind, [item]);
  }
  add("same", b.slice(b.length - last));
  return pieces;
}

function script<T>(a: T[], b: T[], isEqual: (x: T, y: T) => boolean): [Piece<T>["kind"], T][] {
  const most = Math.min(EDITS_MAX, a.length + b.length);
  const width = 2 * most + 2;
  const reach = new Int32Array(width);
  const trail: Int32Array[] = [];
  for (let edits = 0; edits <= most; edits++) {
    trail.push(reach.slice());
    for (let k = -edits; k <= edits; k += 2) {
      const isDown = k === -edits || (k !== edits && far(reach, k - 1, most) < far(reach, k + 1, most));
      let x = isDown ? far(reach, k + 1, most) : far(reach, k - 1, most) + 1;
      let y = x - k;
      while (x < a.length && y < b.length && isEqual(a[x] as T, b[y] as T)) {
        x++;
        y++;
      }
      reach[k + most] = x;
      if (x >= a.length && y >= b.length) {
        return walkedBack(a, b, trail, most);
      }
    }
  }
  return [
    ...a.map((item): [Piece<T>["kind"], T] => ["removed", item]),
    ...b.map((item): [Piece<T>["kind"], T] => ["added", item]),
  ];
}

const far = (reach: Int32Array, k: number, most: number) => reach[k + most] ?? 0;

function walkedBack<T>(a: T[], b: T[], trail: Int32Array[], most: number): [Piece<T>["kind"], T][] {
  const out: [Piece<T>["kind"], T][] = [];
  let x = a.length;
  let y = b.length;
  for (let edits = trail.length - 1; edits >= 0; edits--) {
    const reach = trail[edits] as Int32Array;
    const k = x - y;
    const isDown = k === -edits || (k !== edits && far(reach, k - 1, most) < far(reach, k + 1, most));
    const before = isDown ? k + 1 : k - 1;
    const startX = edits === 0 ? 0 : far(reach, before, most);
    const startY = startX - before;
    while (x > startX && y > Math.max(0, startY) && (edits === 0 || x > (isDown ? startX : startX + 1))) {
      x--;
      y--;
      out.push(["same", b[y] as T]);
    }
    if (edits > 0) {
      if (isDown) {
        y--;
        out.push(["added", b[y] as T]);
      } else {
        x--;
        out.push(["removed", a[x] as T]);
      }
    }
  }
  return out.reverse();
}

const PARTS = /\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu;

export interface TextPiece {
  kind: Piece<string>["kind"];
  text: string;
}

export function diffTexts(a: string, b: string): TextPiece[] {
  const cut = (text: string) => text.match(PARTS) ?? [];
  return diff(cut(a), cut(b), (x, y) => x === y).map(({ kind, items }) => ({ kind, text: items.join("") }));
}

// How much of both is the same, from 0 to 1.
export function likeness(pieces: TextPiece[]): number {
  const size = (kind: TextPiece["kind"]) =>
    pieces.filter((piece) => piece.kind === kind).reduce((sum, piece) => sum + piece.text.trim().length, 0);
  const same = 2 * size("same");
  const all = same + size("added") + size("removed");
  return all === 0 ? 1 : same / all;
}
