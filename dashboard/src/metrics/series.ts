// Metric points as lines: one for each set of attributes, in steps of time.
import type { Json } from "../api/types";

type Map = { [key: string]: Json };

export interface Point {
  id: string;
  series: string;
  start: string;
  name: string;
  unit?: string | null;
  type: string;
  description?: string | null;
  temporality?: string | null;
  monotonic?: boolean | null;
  service?: string | null;
  value?: number | string | null;
  count?: number | null;
  sum?: number | null;
  min?: number | null;
  max?: number | null;
  bucket_counts?: number[] | null;
  explicit_bounds?: number[] | null;
  attributes?: Map | null;
  resource?: Map | null;
  exemplars?: { value?: number | null; time_unix_nano?: number | string; trace_id?: string; span_id?: string }[] | null;
}

export interface Points {
  data: Point[];
  next_cursor: string | null;
  total?: number;
}

export interface Measured {
  key: string;
  label: string;
  attributes: Map;
  service: string | null;
  points: { at: number; value: number }[];
  last: number | null;
}

export type Shown = "value" | "rate" | "mean" | "count" | "p50" | "p95";

// What can be shown of a metric; the first is what is shown at first.
export function choicesOf(point: Point): [Shown, string][] {
  if (point.type === "histogram" || point.type === "exponential_histogram") {
    const has = point.type === "histogram" && Boolean(point.explicit_bounds?.length);
    return [
      ["mean", "mean"],
      ...(has
        ? ([
            ["p50", "p50, from buckets"],
            ["p95", "p95, from buckets"],
          ] as [Shown, string][])
        : []),
      ["count", "how many"],
    ];
  }
  if (point.type === "sum" && point.monotonic) {
    return [
      ["rate", "a second"],
      ["value", "as it came"],
    ];
  }
  return [["value", "as it came"]];
}

const numberOf = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);

// What came since the point before: a counter that counts from its start says all that ever came.
function since(point: Point, before: Point | undefined): Point | null {
  if (point.temporality !== "cumulative") {
    return point;
  }
  if (!before) {
    return null;
  }
  const less = (a: unknown, b: unknown) => {
    const [x, y] = [numberOf(a), numberOf(b)];
    // Less than before: it began anew.
    return x === null || y === null ? null : x >= y ? x - y : x;
  };
  const isNew = (numberOf(point.count) ?? 0) < (numberOf(before.count) ?? 0);
  return {
    ...point,
    value: less(point.value, before.value),
    count: less(point.count, before.count),
    sum: isNew ? (point.sum ?? null) : less(point.sum, before.sum),
    bucket_counts:
      point.bucket_counts?.map((n, at) => (isNew ? n : Math.max(0, n - (before.bucket_counts?.[at] ?? 0)))) ?? null,
  };
}

// The value below which a share of what fell into the buckets is, evenly spread within a bucket.
export function quantile(counts: number[], bounds: number[], q: number): number | null {
  const all = counts.reduce((sum, n) => sum + n, 0);
  if (all === 0 || bounds.length === 0) {
    return null;
  }
  let below = 0;
  for (let at = 0; at < counts.length; at++) {
    const n = counts[at] ?? 0;
    if (below + n >= q * all && n > 0) {
      const high = bounds[at];
      const low = at === 0 ? Math.min(0, bounds[0] ?? 0) : (bounds[at - 1] ?? 0);
      return high === undefined ? low : low + ((high - low) * (q * all - below)) / n;
    }
    below += n;
  }
  return bounds.at(-1) ?? null;
}

function valueOf(point: Point, before: Point | undefined, shown: Shown): number | null {
  if (shown === "value") {
    return numberOf(point.value);
  }
  const own = since(point, before);
  if (!own) {
    return null;
  }
  const seconds = before ? (Date.parse(point.start) - Date.parse(before.start)) / 1000 : 0;
  const [n, sum, value] = [numberOf(own.count), numberOf(own.sum), numberOf(own.value)];
  switch (shown) {
    case "rate":
      return value !== null && seconds > 0 ? value / seconds : null;
    case "mean":
      return n && sum !== null ? sum / n : null;
    case "count":
      return n;
    default:
      return quantile(own.bucket_counts ?? [], own.explicit_bounds ?? [], shown === "p50" ? 0.5 : 0.95);
  }
}

const keyed = (map: Map) => Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1));

export function measured(points: Point[], shown: Shown, step: number): Measured[] {
  const groups = new Map<string, Point[]>();
  for (const point of points) {
    const list = groups.get(point.series);
    if (list) {
      list.push(point);
    } else {
      groups.set(point.series, [point]);
    }
  }
  const all = [...groups.values()];
  // Only attributes by which series differ tell them apart.
  const values = new Map<string, Set<string>>();
  for (const [first] of all) {
    for (const [key, value] of keyed(first?.attributes ?? {})) {
      values.set(key, (values.get(key) ?? new Set()).add(JSON.stringify(value)));
    }
  }
  const isTelling = (key: string) =>
    (values.get(key)?.size ?? 0) > 1 || all.some(([first]) => first?.attributes?.[key] === undefined);
  const services = new Set(all.map(([first]) => first?.service ?? ""));
  return all
    .map((list): Measured => {
      list.sort((a, b) => (a.start < b.start ? -1 : 1));
      const [first] = list;
      const telling = keyed(first?.attributes ?? {}).filter(([key]) => isTelling(key));
      const told = telling.map(([key, value]) => {
        const text = typeof value === "string" ? value : JSON.stringify(value);
        return telling.length > 1 ? `${key}=${text}` : text;
      });
      if (services.size > 1) {
        told.unshift(first?.service ?? "(no service)");
      }
      const known = list.flatMap((point, at) => {
        const value = valueOf(point, list[at - 1], shown);
        return value === null ? [] : [{ at: Date.parse(point.start), value }];
      });
      return {
        key: first?.series ?? "",
        label: told.join(", ") || first?.service || first?.name || "",
        attributes: first?.attributes ?? {},
        service: first?.service ?? null,
        points: stepped(known, shown, step),
        last: known.at(-1)?.value ?? null,
      };
    })
    .sort((a, b) => (b.last ?? 0) - (a.last ?? 0));
}

function stepped(points: { at: number; value: number }[], shown: Shown, step: number) {
  const sums = new Map<number, [number, number]>();
  for (const { at, value } of points) {
    const start = Math.floor(at / step) * step;
    const [sum, n] = sums.get(start) ?? [0, 0];
    sums.set(start, [sum + value, n + 1]);
  }
  return [...sums].map(([at, [sum, n]]) => ({ at, value: shown === "count" ? sum : sum / n }));
}
