// Latency, errors, tokens, cost and throughput over time, by any key; each point leads to its traces.
import { useEffect, useMemo, useRef } from "react";
import { useLocation } from "wouter";
import { ApiError } from "../api/client";
import { useAggregate, useBounds, useKeys } from "../api/queries";
import type { Aggregate, Measure } from "../api/types";
import { moment, stepFor, stepText } from "../state/time";
import { useParams } from "../state/url";
import { compact, duration, money } from "../text/format";
import { RangeMenu } from "../traces/range-menu";
import { SearchBar } from "../traces/search-bar";
import { Empty, Failure, Ghosts, statusKind } from "../ui/parts";
import { LineChart, type Series } from "./line-chart";

const POINTS = 60;

interface Wanted {
  id: string;
  title: string;
  measures: Measure[];
  show: (value: number) => string;
}

const CHARTS: Wanted[] = [
  {
    id: "latency",
    title: "Latency",
    measures: [
      { fn: "quantile", of: "duration", q: 0.5 },
      { fn: "quantile", of: "duration", q: 0.95 },
      { fn: "quantile", of: "duration", q: 0.99 },
    ],
    show: (value) => (value === 0 ? "0" : duration(value)),
  },
  { id: "tokens", title: "Tokens", measures: [{ fn: "sum", of: "tokens" }], show: compact },
  { id: "cost", title: "Cost", measures: [{ fn: "sum", of: "cost" }], show: money },
];
const QUANTILES = ["p50", "p95", "p99"];

export default function ChartsPage({ project }: { project: string }) {
  const [params, set] = useParams();
  const [, navigate] = useLocation();
  const input = useRef<HTMLInputElement>(null);
  const { q = "", from = "", to = "", by = "" } = params;
  const scope = useMemo(() => ({ q, from, to }), [q, from, to]);
  const bounds = useBounds(project, scope, true);
  const keys = useKeys(project).data?.keys ?? [];
  const first = from ? moment(from) : (bounds.data?.from ?? null);
  const last = to ? moment(to) : from ? Date.now() : (bounds.data?.to ?? null);
  const step = first !== null && last !== null ? stepFor(Math.max(1000, last - first), POINTS) : 0;
  useEffect(() => {
    document.title = "Charts · obsrv";
  }, []);
  const problem = bounds.error instanceof ApiError ? bounds.error.problem : null;
  const isQueryWrong = problem !== null && (problem.field === "q" || problem.code === "invalid_query");
  const pick = (start: number, end: number) => {
    const where = new URLSearchParams({
      from: new Date(start).toISOString(),
      to: new Date(end).toISOString(),
    });
    if (q) {
      where.set("q", q);
    }
    navigate(`/p/${project}/traces?${where}`);
  };
  const asked = { scope, step, by, project, pick };
  return (
    <div className="page wide">
      <h1 className="hidden-text">Charts</h1>
      <div className="bar">
        <SearchBar
          project={project}
          value={q}
          onChange={(next) => set({ q: next })}
          problem={isQueryWrong ? problem : null}
          input={input}
        />
        <select
          className="input by"
          aria-label="Group by"
          value={by}
          onChange={(event) => set({ by: event.target.value })}
        >
          <option value="">Not grouped</option>
          {keys.map(({ key }) => (
            <option key={key} value={key}>
              by {key}
            </option>
          ))}
        </select>
        <RangeMenu from={from} to={to} onChange={set} />
      </div>
      {bounds.isError && !isQueryWrong ? (
        <Failure error={bounds.error} retry={() => bounds.refetch()} />
      ) : bounds.isPending ? (
        <Ghosts lines={8} height={40} />
      ) : !bounds.data || step === 0 ? (
        <Empty title="Nothing to draw">
          <p>No trace passes. Take away a part of the search, or look at more time.</p>
        </Empty>
      ) : (
        <div className={`charts ${bounds.isPlaceholderData ? "is-stale" : ""}`}>
          <Throughput {...asked} />
          {CHARTS.map((wanted) => (
            <Chart key={wanted.id} wanted={wanted} {...asked} />
          ))}
        </div>
      )}
    </div>
  );
}

interface Asked {
  project: string;
  scope: { q: string; from: string; to: string };
  step: number;
  by: string;
  pick: (start: number, end: number) => void;
}

function pointsOf(group: Aggregate["groups"][number], measure: number) {
  return (group.buckets ?? []).map((bucket) => {
    const value = bucket.values[measure];
    return { at: Date.parse(bucket.at), value: typeof value === "number" ? value : null };
  });
}

function Chart({ wanted, project, scope, step, by, pick }: Asked & { wanted: Wanted }) {
  const isLatency = wanted.id === "latency";
  const answer = useAggregate(project, {
    ...scope,
    interval: stepText(step),
    group_by: by ? [by] : [],
    measures: by && isLatency ? [wanted.measures[1] as Measure] : wanted.measures,
    limit: 20,
  });
  const series: Series[] = useMemo(() => {
    const groups = answer.data?.groups ?? [];
    if (by) {
      return groups.map((group) => ({ name: String(group.by[by] ?? "(none)"), points: pointsOf(group, 0) }));
    }
    const group = groups[0];
    return group
      ? wanted.measures.map((_, at) => ({
          name: isLatency ? (QUANTILES[at] ?? "") : wanted.title,
          points: pointsOf(group, at),
        }))
      : [];
  }, [answer.data, by, wanted, isLatency]);
  if (answer.isError) {
    return <Failure error={answer.error} retry={() => answer.refetch()} />;
  }
  const title = by && isLatency ? `${wanted.title}, p95` : wanted.title;
  return (
    <LineChart
      title={isLatency ? title : `${title} per ${stepText(step)}`}
      series={series}
      show={wanted.show}
      step={step}
      onPick={pick}
    />
  );
}

function Throughput({ project, scope, step, by, pick }: Asked) {
  const key = by || "status";
  const answer = useAggregate(project, {
    ...scope,
    interval: stepText(step),
    group_by: [key],
    measures: [{ fn: "count" }],
    limit: 20,
  });
  const series: Series[] = useMemo(
    () =>
      (answer.data?.groups ?? []).map((group) => {
        const name = String(group.by[key] ?? "(none)");
        return {
          name: by ? name : statusKind(name) === "error" ? "failed" : name,
          points: pointsOf(group, 0),
        };
      }),
    [answer.data, key, by],
  );
  if (answer.isError) {
    return <Failure error={answer.error} retry={() => answer.refetch()} />;
  }
  return (
    <LineChart
      title={`Runs per ${stepText(step)}`}
      series={series}
      show={compact}
      step={step}
      onPick={pick}
    />
  );
}
