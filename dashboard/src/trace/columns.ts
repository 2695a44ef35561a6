// The steps of a trace as columns: no object for a step, so that 100,000 of them cost a few megabytes.
import type { Dictionary, SpanColumns } from "../api/types";

export interface Steps {
  count: number;
  startMs: number | null;
  ids: string[];
  parent: Int32Array;
  depth: Uint16Array;
  // First child and next sibling, -1 for none; in the order of the server, which is pre-order.
  childCount: Uint32Array;
  // One past the last step below it, in pre-order.
  end: Uint32Array;
  name: (string | null)[];
  kind: (string | null)[];
  status: (string | null)[];
  model: (string | null)[];
  offset: Float64Array;
  // Negative: not known, the step runs.
  duration: Float64Array;
  tokens: Float64Array;
  cost: Float64Array;
  // Whether the trace waited for it.
  critical: Uint8Array;
  // Whether something below it failed.
  failsBelow: Uint8Array;
  // The last try of what this step tried: itself where it was tried once, or succeeded.
  lastTry: Int32Array;
  // How many failed tries came before this last one.
  tries: Uint16Array;
  totalNs: number;
}

function plain(column: (string | null)[] | Dictionary | undefined, count: number): (string | null)[] {
  if (!column) {
    return new Array<string | null>(count).fill(null);
  }
  if (Array.isArray(column)) {
    return column;
  }
  return column.codes.map((code) => column.dict[code] ?? null);
}

function numbers(column: (number | null)[] | undefined, count: number, missing: number): Float64Array {
  const out = new Float64Array(count).fill(missing);
  column?.forEach((value, at) => {
    if (value !== null) {
      out[at] = value;
    }
  });
  return out;
}

function places(pages: SpanColumns[], count: number): Uint8Array {
  const out = new Uint8Array(count);
  let first = 0;
  for (const page of pages) {
    for (const place of page.columns.critical ?? []) {
      out[first + place] = 1;
    }
    first += page.columns.offset_ns.length;
  }
  return out;
}

// `leastNs`: how long the whole is known to take, also where its last steps are not there yet.
export function stepsOf(pages: SpanColumns[], nowMs: number, leastNs = 0): Steps {
  const count = pages.reduce((sum, page) => sum + page.columns.offset_ns.length, 0);
  const joined = <T>(pick: (page: SpanColumns) => T[]): T[] =>
    pages.length === 1 && pages[0] ? pick(pages[0]) : pages.flatMap(pick);
  const sizeOf = (page: SpanColumns) => page.columns.offset_ns.length;
  const startMs = pages[0]?.start ? Date.parse(pages[0].start) : null;
  const parents = joined((page) => page.columns.parent);
  const raw = {
    parent: Int32Array.from(parents),
    ids: joined((page) => plain(page.columns.span_id, sizeOf(page))).map((id) => id ?? ""),
    name: joined((page) => plain(page.columns.name, sizeOf(page))),
    kind: joined((page) => plain(page.columns.kind, sizeOf(page))),
    status: joined((page) => plain(page.columns.status, sizeOf(page))),
    model: joined((page) => plain(page.columns.model, sizeOf(page))),
    offset: numbers(
      joined((page) => page.columns.offset_ns),
      count,
      0,
    ),
    duration: numbers(
      joined((page) => page.columns.duration_ns),
      count,
      -1,
    ),
    tokens: numbers(
      joined((page) => page.columns.tokens ?? new Array<null>(sizeOf(page)).fill(null)),
      count,
      0,
    ),
    critical: places(pages, count),
    cost: numbers(
      joined((page) => page.columns.cost ?? new Array<null>(sizeOf(page)).fill(null)),
      count,
      0,
    ),
  };
  return shaped(raw, count, startMs, nowMs, leastNs);
}

type Raw = Pick<
  Steps,
  | "critical"
  | "parent"
  | "ids"
  | "name"
  | "kind"
  | "status"
  | "model"
  | "offset"
  | "duration"
  | "tokens"
  | "cost"
>;

function shaped(raw: Raw, count: number, startMs: number | null, nowMs: number, leastNs: number): Steps {
  const depth = new Uint16Array(count);
  const childCount = new Uint32Array(count);
  const end = new Uint32Array(count);
  const failsBelow = new Uint8Array(count);
  let totalNs = Math.max(1, leastNs);
  for (let at = 0; at < count; at++) {
    const parent = raw.parent[at] ?? -1;
    if (parent >= 0 && parent < at) {
      depth[at] = Math.min(65_535, (depth[parent] ?? 0) + 1);
      childCount[parent] = (childCount[parent] ?? 0) + 1;
    } else {
      raw.parent[at] = -1;
    }
    const offset = raw.offset[at] ?? 0;
    const duration = raw.duration[at] ?? -1;
    const open = startMs === null ? 0 : (nowMs - startMs) * 1e6 - offset;
    totalNs = Math.max(totalNs, offset + (duration >= 0 ? duration : Math.max(0, Math.min(open, 3.6e12))));
  }
  for (let at = count - 1; at >= 0; at--) {
    end[at] = Math.max(end[at] ?? 0, at + 1);
    const parent = raw.parent[at] ?? -1;
    if (parent >= 0) {
      end[parent] = Math.max(end[parent] ?? 0, end[at] ?? 0);
      const isFailed = raw.status[at]?.toLowerCase() === "error" || failsBelow[at] === 1;
      if (isFailed) {
        failsBelow[parent] = 1;
      }
    }
  }
  return { ...raw, count, startMs, depth, childCount, end, failsBelow, ...triesOf(raw, count), totalNs };
}

// A try is what comes under the same step by the same name and kind after the one before had failed and
// was over: what runs beside each other is tried once.
function triesOf(raw: Raw, count: number): Pick<Steps, "lastTry" | "tries"> {
  const newest = new Int32Array(count + 1).fill(-1);
  const next = new Int32Array(count).fill(-1);
  const tries = new Uint16Array(count);
  for (let at = 0; at < count; at++) {
    const parent = (raw.parent[at] ?? -1) + 1;
    const before = newest[parent] ?? -1;
    newest[parent] = at;
    const isAgain =
      parent > 0 &&
      before >= 0 &&
      raw.name[before] === raw.name[at] &&
      raw.kind[before] === raw.kind[at] &&
      raw.status[before]?.toLowerCase() === "error" &&
      (raw.duration[before] ?? -1) >= 0 &&
      (raw.offset[at] ?? 0) >= (raw.offset[before] ?? 0) + (raw.duration[before] ?? 0);
    if (isAgain) {
      next[before] = at;
      tries[at] = Math.min(65_535, (tries[before] ?? 0) + 1);
    }
  }
  const lastTry = new Int32Array(count);
  for (let at = count - 1; at >= 0; at--) {
    const after = next[at] ?? -1;
    lastTry[at] = after >= 0 ? (lastTry[after] ?? at) : at;
  }
  return { lastTry, tries };
}

const NONE: ReadonlySet<number> = new Set();

// Steps in sight, in order: all but those below a closed one and failed tries of a last one that is not
// opened, or those that pass a test with what is above them.
export function visible(
  steps: Steps,
  closed: ReadonlySet<number>,
  passes: ((at: number) => boolean) | null,
  opened: ReadonlySet<number> = NONE,
): Uint32Array {
  const out = new Uint32Array(steps.count);
  let size = 0;
  if (passes) {
    const keep = new Uint8Array(steps.count);
    for (let at = steps.count - 1; at >= 0; at--) {
      if (keep[at] || passes(at)) {
        keep[at] = 1;
        const parent = steps.parent[at] ?? -1;
        if (parent >= 0) {
          keep[parent] = 1;
        }
      }
    }
    for (let at = 0; at < steps.count; at++) {
      if (keep[at]) {
        out[size++] = at;
      }
    }
    return out.subarray(0, size);
  }
  for (let at = 0; at < steps.count; ) {
    const last = steps.lastTry[at] ?? at;
    if (last !== at && !opened.has(last)) {
      at = Math.max(at + 1, steps.end[at] ?? 0);
      continue;
    }
    out[size++] = at;
    at = closed.has(at) ? Math.max(at + 1, steps.end[at] ?? 0) : at + 1;
  }
  return out.subarray(0, size);
}

export type KindGroup = "llm" | "tool" | "agent" | "retrieval" | "other";

const groups = new Map<string, KindGroup>();
const GROUPS_KEPT = 500;

// Asked of each of 100,000 steps, of which few are of another kind.
export function kindGroup(kind: string | null | undefined): KindGroup {
  const text = kind ?? "";
  const known = groups.get(text);
  if (known) {
    return known;
  }
  const found = groupOf(text.toLowerCase());
  if (groups.size < GROUPS_KEPT) {
    groups.set(text, found);
  }
  return found;
}

function groupOf(text: string): KindGroup {
  if (/llm|chat|completion|generation|model|embed/.test(text)) {
    return "llm";
  }
  if (/tool|function/.test(text)) {
    return "tool";
  }
  if (/agent|chain|workflow|run|task/.test(text)) {
    return "agent";
  }
  if (/retriev|search|rerank|vector/.test(text)) {
    return "retrieval";
  }
  return "other";
}
