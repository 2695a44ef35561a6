// How many over time, and how many of them failed. Dragging over it looks at that time. Its axis is the
// time that is looked at, whatever the search: so a search moves no bar, and waits for one answer alone.
import { useMemo, useRef, useState } from "react";
import { type Scope, useAggregate, useBounds } from "../api/queries";
import { usePrefs } from "../state/prefs";
import { moment, stepFor, stepText } from "../state/time";
import { axisTime, compact, count, fullTime } from "../text/format";
import { statusKind } from "../ui/parts";

const BARS_MAX = 80;
const HEIGHT = 52;
const LEAST_MS = 60_000;
// A label further on would be cut.
const LABELLED_MAX = 93;

interface Kind {
  over: "traces" | "logs";
  // The key whose values tell what went wrong.
  key: string;
  isFailed: (value: string) => boolean;
  all: string;
  failed: string;
}

const RUNS: Kind = {
  over: "traces",
  key: "status",
  isFailed: (status) => statusKind(status) === "error",
  all: "runs",
  failed: "failed",
};

export const LINES: Kind = {
  over: "logs",
  key: "level",
  isFailed: (level) => level === "error" || level === "fatal",
  all: "lines",
  failed: "errors",
};

interface Bar {
  at: number;
  all: number;
  failed: number;
}

export function Histogram({
  project,
  scope,
  kind = RUNS,
  isWrong = false,
  onChange,
}: {
  project: string;
  scope: Scope;
  kind?: Kind;
  // Whether the search does not read.
  isWrong?: boolean;
  onChange: (range: { from: string; to: string }) => void;
}) {
  const { zone } = usePrefs();
  const time = useMemo(() => ({ from: scope.from ?? "", to: scope.to ?? "" }), [scope.from, scope.to]);
  const bounds = useBounds(project, time, !scope.from || !scope.to, kind.over);
  const begin = scope.from ? moment(scope.from) : (bounds.data?.from ?? null);
  const to = scope.to ? moment(scope.to) : scope.from ? Date.now() : (bounds.data?.to ?? null);
  // What came within a moment is no wall of one bar.
  const from = begin !== null && to !== null && !scope.from ? Math.min(begin, to - LEAST_MS) : begin;
  const span = from !== null && to !== null ? Math.max(1000, to - from) : null;
  const step = span === null ? 0 : stepFor(span, BARS_MAX);
  const answer = useAggregate(
    project,
    span === null || isWrong
      ? null
      : {
          ...(kind.over === "traces" ? {} : { over: kind.over }),
          q: scope.q,
          from: scope.from,
          to: scope.to,
          group_by: [kind.key],
          interval: stepText(step),
          measures: [{ fn: "count" }],
          fill: false,
          limit: 20,
        },
  );
  const bars = useMemo(() => {
    const found = new Map<number, Bar>();
    for (const group of answer.data?.groups ?? []) {
      const isFailed = kind.isFailed(String(group.by[kind.key] ?? ""));
      for (const bucket of group.buckets ?? []) {
        const at = Date.parse(bucket.at);
        const rows = bucket.values[0] ?? 0;
        const bar = found.get(at) ?? { at, all: 0, failed: 0 };
        bar.all += rows;
        bar.failed += isFailed ? rows : 0;
        found.set(at, bar);
      }
    }
    return [...found.values()].filter((bar) => bar.all > 0).sort((a, b) => a.at - b.at);
  }, [answer.data, kind]);
  const [drag, setDrag] = useState<[number, number] | null>(null);
  const [over, setOver] = useState<Bar | null>(null);
  const box = useRef<HTMLDivElement>(null);
  if (from === null || to === null || span === null) {
    return <div className="histogram" style={{ height: HEIGHT + 22 }} />;
  }
  const start = Math.floor(from / step) * step;
  const end = Math.max(start + step, Math.ceil(to / step) * step);
  const whole = end - start;
  const most = Math.max(1, ...bars.map((bar) => bar.all));
  const place = (at: number) => (100 * (at - start)) / whole;
  const timeAt = (x: number) => {
    const rect = box.current?.getBoundingClientRect();
    const share = rect ? Math.min(1, Math.max(0, (x - rect.left) / rect.width)) : 0;
    return start + share * whole;
  };
  const ticks = ticksOf(start, end);
  const runs = bars.reduce((sum, bar) => sum + bar.all, 0);
  const failed = bars.reduce((sum, bar) => sum + bar.failed, 0);
  return (
    <div className={`histogram ${answer.isPlaceholderData ? "is-stale" : ""}`}>
      <span className="histogram-top soft num" aria-hidden="true">
        {over
          ? `${fullTime(new Date(over.at).toISOString(), zone)} · ${count(over.all)} ${kind.all}, ${count(over.failed)} ${kind.failed}`
          : `up to ${compact(most)} per ${stepText(step)}`}
      </span>
      <div
        ref={box}
        className="histogram-box"
        role="img"
        aria-label={`${count(runs)} ${kind.all} over time, ${count(failed)} ${kind.failed}`}
        style={{ height: HEIGHT }}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          const at = timeAt(event.clientX);
          setDrag([at, at]);
        }}
        onPointerMove={(event) => {
          const at = timeAt(event.clientX);
          setOver(bars.find((bar) => at >= bar.at && at < bar.at + step) ?? null);
          if (drag) {
            setDrag([drag[0], at]);
          }
        }}
        onPointerLeave={() => setOver(null)}
        onPointerUp={() => {
          if (drag && Math.abs(drag[1] - drag[0]) > whole / 200) {
            const [a, b] = [Math.min(...drag), Math.max(...drag)];
            onChange({ from: new Date(a).toISOString(), to: new Date(b).toISOString() });
          } else if (over) {
            onChange({ from: new Date(over.at).toISOString(), to: new Date(over.at + step).toISOString() });
          }
          setDrag(null);
        }}
      >
        {bars.filter((bar) => bar.at < end).map((bar) => (
          <div
            key={bar.at}
            className="histogram-bar"
            style={{
              left: `${place(bar.at)}%`,
              width: `max(2px, calc(${(100 * step) / whole}% - 1px))`,
              height: `${Math.max(3, (100 * bar.all) / most)}%`,
            }}
          >
            <div className="histogram-failed" style={{ height: `${(100 * bar.failed) / bar.all}%` }} />
          </div>
        ))}
        {drag && (
          <div
            className="histogram-drag"
            style={{
              left: `${place(Math.min(...drag))}%`,
              width: `${Math.abs(place(drag[1]) - place(drag[0]))}%`,
            }}
          />
        )}
      </div>
      <div className="histogram-axis soft num" aria-hidden="true">
        {ticks.filter(({ at }) => place(at) < LABELLED_MAX).map(({ at, step: apart }) => (
          <span key={at} style={{ left: `${place(at)}%` }}>
            {axisTime(at, apart, zone)}
          </span>
        ))}
      </div>
    </div>
  );
}

export function ticksOf(start: number, end: number, most = 7): { at: number; step: number }[] {
  const step = stepFor(end - start, most);
  const ticks = [];
  for (let at = Math.ceil(start / step) * step; at < end; at += step) {
    ticks.push({ at, step });
  }
  return ticks;
}
