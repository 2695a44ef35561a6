// More points than a page fetches: the server sums them up in steps of time, series by series.
import { get, post } from "../api/client";
import { at, type AggregateAsked, type Scope } from "../api/queries";
import type { Aggregate, Measure } from "../api/types";
import { stepFor, stepText } from "../state/time";
import type { Point, Points, Shown } from "./series";

export const STEPS = 120;
// Series that are asked for one by one, as none of their points is among the newest.
const OLDER_SERIES_MAX = 50;
const SERIES_MAX = 1000;

const MEASURES: Measure[] = ["value", "count", "sum"].flatMap((of) =>
  (["avg", "max", "sum"] as const).map((fn) => ({ fn, of })),
);

export const isInSteps = (shown: Shown) => shown !== "p50" && shown !== "p95";

// One point for each step of a series, as if it had sent that one: of what counts from a start the most, of
// what counts anew each time the sum, of anything else the mean.
export function pointsOf(group: Aggregate["groups"][number], like: Point, shown: Shown): Point[] {
  const counts = like.temporality === "cumulative" ? (like.monotonic ?? like.type !== "sum") : false;
  const which = shown === "value" ? 0 : counts ? 1 : like.temporality === "delta" ? 2 : 0;
  const read = (values: (number | null)[], of: number) => values[of * 3 + which] ?? null;
  return (group.buckets ?? [])
    .filter((bucket) => bucket.rows > 0)
    .map((bucket) => ({
      ...like,
      start: bucket.at,
      value: read(bucket.values, 0),
      count: read(bucket.values, 1),
      sum: read(bucket.values, 2),
      bucket_counts: null,
      exemplars: null,
    }));
}

export interface InSteps {
  groups: Aggregate["groups"];
  like: Map<string, Point>;
  step: number;
}

const textOf = (group: Aggregate["groups"][number]) => String(group.by.series ?? "");

// All that passes, in steps; `newest` are the points that are known already.
export async function inSteps(project: string, scope: Scope, newest: Point[], signal: AbortSignal): Promise<InSteps> {
  const one = (more: object) => get<Points>(at(project, "/points"), { ...scope, limit: 1, ...more }, signal);
  const [first] = (await one({ sort: "start" })).data;
  const from = Date.parse(first?.start ?? newest.at(-1)?.start ?? "");
  const to = Date.parse(newest[0]?.start ?? "") + 1;
  const step = stepFor(Math.max(1000, to - from), STEPS);
  const asked: AggregateAsked = {
    q: scope.q,
    from: new Date(Math.floor(from / step) * step).toISOString(),
    to: new Date(to).toISOString(),
    over: "points",
    group_by: ["series"],
    interval: stepText(step),
    measures: MEASURES,
    limit: SERIES_MAX,
  };
  const { groups } = await post<Aggregate>(at(project, "/aggregate"), asked, signal);
  const like = new Map<string, Point>();
  for (const point of newest) {
    if (!like.has(point.series)) {
      like.set(point.series, point);
    }
  }
  const older = groups.map(textOf).filter((series) => !like.has(series));
  const found = await Promise.all(
    older.slice(0, OLDER_SERIES_MAX).map((series) => one({ q: `${scope.q ?? ""} series:"${series}"`.trim() })),
  );
  for (const { data } of found) {
    for (const point of data) {
      like.set(point.series, point);
    }
  }
  return { groups, like, step };
}

export function pointsInSteps({ groups, like }: InSteps, shown: Shown): Point[] {
  return groups.flatMap((group) => {
    const known = like.get(textOf(group));
    return known ? pointsOf(group, known, shown) : [];
  });
}
