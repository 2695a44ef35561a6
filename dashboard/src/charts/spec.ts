// What a chart shows, as it is kept in a dashboard, and which question to the server that is.
import type { Measure } from "../api/types";
import { nameText, term } from "../state/filter";
import { compact, duration, money } from "../text/format";

export interface ChartSpec {
  title?: string;
  what: string;
  // Narrows what the page narrows already.
  q?: string;
  by?: string;
  // Rows of what; traces if it is left out.
  over?: "spans" | "logs" | "points";
  // A key of numbers, for what is not one of the usual ones.
  of?: string;
}

const WORDS = ["title", "what", "q", "by", "over", "of"];

const isChart = (one: unknown): one is ChartSpec =>
  typeof one === "object" &&
  one !== null &&
  !Array.isArray(one) &&
  WORDS.every((word) => ["string", "undefined"].includes(typeof (one as Record<string, unknown>)[word]));

// The charts of a view. Others than this page write views, too: what cannot be drawn is left out.
export const chartsOf = (kept: unknown): ChartSpec[] => (Array.isArray(kept) ? kept.filter(isChart) : []);

export interface What {
  id: string;
  name: string;
  measures: (spec: ChartSpec) => Measure[];
  // One for each measure, where there are several.
  names?: string[];
  // Of several measures the one that is shown when grouped.
  grouped?: number;
  show: (value: number) => string;
  isPerStep?: boolean;
  isShare?: boolean;
  isHeat?: boolean;
  hasKey?: boolean;
  // Takes the place of no group.
  by?: string;
  // Of rows that take time, use tokens and fail: not of lines and points.
  isOfWork?: boolean;
}

const time = (value: number) => (value === 0 ? "0" : duration(value));
const percent = (value: number) => `${(100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0)}%`;

export const WHATS: What[] = [
  {
    id: "runs",
    name: "How many",
    measures: () => [{ fn: "count" }],
    show: compact,
    isPerStep: true,
    by: "status",
  },
  {
    id: "rate",
    name: "How many a second",
    measures: () => [{ fn: "rate" }],
    show: (value) => (value < 1 ? String(Number(value.toPrecision(2))) : compact(value)),
  },
  {
    id: "failed",
    isOfWork: true,
    name: "Share that failed",
    measures: () => [{ fn: "share", where: "status:error" }],
    show: percent,
    isShare: true,
  },
  {
    id: "latency",
    isOfWork: true,
    name: "Latency, p50 p95 p99",
    measures: () => [0.5, 0.95, 0.99].map((q) => ({ fn: "quantile" as const, of: "duration", q })),
    names: ["p50", "p95", "p99"],
    grouped: 1,
    show: time,
  },
  {
    id: "heat",
    isOfWork: true,
    name: "Latency, heat map",
    measures: () => [{ fn: "histogram", of: "duration" }],
    show: time,
    isHeat: true,
  },
  {
    id: "tokens",
    isOfWork: true,
    name: "Tokens",
    measures: () => [{ fn: "sum", of: "tokens" }],
    show: compact,
    isPerStep: true,
  },
  {
    id: "cost",
    isOfWork: true,
    name: "Cost",
    measures: () => [{ fn: "sum", of: "cost" }],
    show: money,
    isPerStep: true,
  },
  {
    id: "sum",
    name: "Sum of a key",
    measures: ({ of }) => [{ fn: "sum", of }],
    show: compact,
    isPerStep: true,
    hasKey: true,
  },
  { id: "avg", name: "Mean of a key", measures: ({ of }) => [{ fn: "avg", of }], show: compact, hasKey: true },
  {
    id: "quantiles",
    name: "Quantiles of a key",
    measures: ({ of }) => [0.5, 0.95, 0.99].map((q) => ({ fn: "quantile" as const, of, q })),
    names: ["p50", "p95", "p99"],
    grouped: 1,
    show: compact,
    hasKey: true,
  },
  {
    id: "distinct",
    name: "Distinct values of a key",
    measures: ({ of }) => [{ fn: "distinct", of }],
    show: compact,
    hasKey: true,
  },
];

// Rows that a chart may be of, in the words of the page.
export const KINDS: [string, string][] = [
  ["", "traces"],
  ["spans", "steps"],
  ["logs", "log lines"],
  ["points", "metric points"],
];

export const kindOf = (name: string): ChartSpec["over"] =>
  name === "spans" || name === "logs" || name === "points" ? name : undefined;

// Whether its rows are not those of traces, so that the search of the page says nothing of them.
export const isApart = ({ over }: ChartSpec): boolean => over === "logs" || over === "points";

// What can be shown of such rows.
export const whatsOver = (over: ChartSpec["over"]): What[] =>
  isApart({ what: "", over }) ? WHATS.filter(({ isOfWork }) => !isOfWork) : WHATS;

// By what it is grouped if nothing is chosen.
export function usualBy(spec: ChartSpec): string | undefined {
  const { by } = whatOf(spec);
  return by && spec.over === "logs" ? "level" : by && spec.over === "points" ? "name" : by;
}

// The search that is asked of its rows.
export const searchOf = (spec: ChartSpec, pageQ: string): string =>
  isApart(spec) ? (spec.q ?? "") : both(pageQ, spec.q ?? "");

export const whatOf = (spec: ChartSpec): What => WHATS.find(({ id }) => id === spec.what) ?? (WHATS[0] as What);

export const USUAL: ChartSpec[] = [
  { title: "Runs", what: "runs" },
  { title: "Failed", what: "failed" },
  { title: "Latency", what: "latency" },
  { title: "Latency, every run", what: "heat" },
  { title: "Tokens", what: "tokens" },
  { title: "Cost", what: "cost" },
];

export function titleOf(spec: ChartSpec): string {
  const what = whatOf(spec);
  return spec.title || (what.hasKey && spec.of ? what.name.replace("a key", spec.of) : what.name);
}

// Both, each as it stands.
export function both(a: string, b: string): string {
  const parts = [a, b].map((one) => one.trim()).filter(Boolean);
  return parts.length === 2 ? parts.map((one) => (/\bor\b/i.test(one) ? `(${one})` : one)).join(" ") : (parts[0] ?? "");
}

// The page that lists such rows.
export const pageOf = ({ over }: ChartSpec): string =>
  over === "logs" ? "logs" : over === "points" ? "metrics" : "traces";

// The search of the rows behind a point of a chart: of traces, for steps as well.
export function behind(spec: ChartSpec, pageQ: string, point: { by?: string; name?: unknown; more?: string }) {
  const group =
    point.by === undefined
      ? ""
      : point.name === null || point.name === undefined
        ? `-has:${nameText(point.by)}`
        : term(point.by, point.name);
  const own = [spec.q ?? "", group, point.more ?? ""].reduce(both, "");
  if (isApart(spec)) {
    return own;
  }
  return both(pageQ, spec.over === "spans" && own ? `{${own}}` : own);
}
