// Stored metric points: which metrics there are, and one of them as lines by its attributes.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef } from "react";
import { Link, useLocation } from "wouter";
import { LineChart } from "../charts/line-chart";
import { ApiError, get, part } from "../api/client";
import { at, type Scope } from "../api/queries";
import type { ValuesAnswer } from "../api/types";
import { nameText, term, valueText, withTerm } from "../state/filter";
import { usePrefs } from "../state/prefs";
import { stepFor } from "../state/time";
import { useParams } from "../state/url";
import { compact, count, plural, time } from "../text/format";
import { RangeMenu } from "../traces/range-menu";
import { SearchBar } from "../traces/search-bar";
import { useShortcuts } from "../ui/keys";
import { Empty, Failure, Ghosts } from "../ui/parts";
import { Table } from "../ui/table";
import { choicesOf, measured, type Point, type Points } from "./series";
import { inSteps, isInSteps, pointsInSteps, STEPS } from "./steps";

const PAGE_ROWS = 1000;
const NAMES_MAX = 1000;
const PAGES_MAX = 5;
const SERIES_SHOWN = 100;
const EXEMPLARS_SHOWN = 20;
const NO_POINTS: Point[] = [];

// The metrics that there are, by the name that each of their points has.
function useNames(project: string, scope: Scope) {
  return useQuery({
    queryKey: ["metrics", project, scope],
    queryFn: async ({ signal }) => {
      const asked = { ...scope, over: "points", key: "name", limit: NAMES_MAX };
      const { values } = await get<ValuesAnswer>(at(project, "/values"), asked, signal);
      const named = values.map(({ value, count: points }) => ({ name: String(value), points }));
      return named.sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    placeholderData: keepPreviousData,
  });
}

async function newest(project: string, scope: Scope, signal: AbortSignal) {
  const points: Point[] = [];
  let cursor: string | null = null;
  let total = 0;
  for (let page = 0; page < PAGES_MAX; page++) {
    const answer: Points = await get<Points>(
      at(project, "/points"),
      { ...scope, limit: PAGE_ROWS, cursor, total: cursor ? null : true },
      signal,
    );
    points.push(...answer.data);
    total = answer.total ?? total;
    cursor = answer.next_cursor;
    if (!cursor) {
      break;
    }
  }
  const steps = points.length < total ? await inSteps(project, scope, points, signal) : null;
  return { points, total, steps };
}

export default function MetricsPage({ project }: { project: string }) {
  const [params, set] = useParams();
  const search = useRef<HTMLInputElement>(null);
  const { q = "", from = "", to = "" } = params;
  const scope = useMemo(() => ({ q, from, to }), [q, from, to]);
  const all = useNames(project, scope);
  const chosen = all.data?.find((one) => one.name === params.metric) ?? all.data?.[0];
  useEffect(() => {
    document.title = `${params.metric ?? "Metrics"} · obsrv`;
  }, [params.metric]);
  const go = (step: number) => {
    const place = all.data?.findIndex((one) => one.name === chosen?.name) ?? -1;
    const next = all.data?.[place + step];
    if (next) {
      set({ metric: next.name, show: null }, "replace");
    }
  };
  useShortcuts([
    { keys: "/", does: "Search", run: () => search.current?.focus() },
    { keys: "j", does: "Next metric", run: () => go(1) },
    { keys: "k", does: "Metric before", run: () => go(-1) },
  ]);
  const problem = all.error instanceof ApiError ? all.error.problem : null;
  const isQueryWrong = problem !== null && (problem.field === "q" || problem.code === "invalid_query");
  return (
    <div className="page wide">
      <h1 className="hidden-text">Metrics</h1>
      <div className="bar">
        <SearchBar
          project={project}
          name="Search metric points"
          placeholder="Search: service:shop attributes.gen_ai.request.model:gpt-4o"
          examples={[]}
          over="points"
          value={q}
          onChange={(next) => set({ q: next })}
          problem={isQueryWrong ? problem : null}
          input={search}
        />
        <RangeMenu from={from} to={to} onChange={set} />
      </div>
      {all.isError && !isQueryWrong ? (
        <Failure error={all.error} retry={() => all.refetch()} />
      ) : all.isPending ? (
        <Ghosts lines={8} height={32} />
      ) : !chosen ? (
        <Empty title="No metric point">
          <p>
            {q || from || to
              ? "None is like that. Take away a part of the search, or look at more time."
              : "OpenTelemetry exporters send metrics to /v1/metrics of this server, with the key of this project."}
          </p>
        </Empty>
      ) : (
        <div className="metrics">
          <nav aria-label="Metrics" className="metric-list">
            {all.data?.map((one) => (
              <button
                key={one.name}
                type="button"
                className="menu-item"
                aria-current={one.name === chosen.name}
                onClick={() => set({ metric: one.name, show: null })}
              >
                <span className="grow anywhere">{one.name}</span>
                <span className="soft num" title={plural(one.points, "point")}>
                  {compact(one.points)}
                </span>
              </button>
            ))}
          </nav>
          <Metric key={chosen.name} project={project} name={chosen.name} scope={scope} />
        </div>
      )}
    </div>
  );
}

function Metric({ project, name, scope }: { project: string; name: string; scope: Scope }) {
  const [params, set] = useParams();
  const [, navigate] = useLocation();
  const q = [term("name", name), scope.q ?? ""].join(" ").trim();
  const answer = useQuery({
    queryKey: ["points", project, { ...scope, q }],
    queryFn: ({ signal }) => newest(project, { ...scope, q }, signal),
    placeholderData: keepPreviousData,
  });
  const points = answer.data?.points ?? NO_POINTS;
  const metric = points[0];
  const choices = metric ? choicesOf(metric) : [];
  const shown = choices.find(([one]) => one === params.show)?.[0] ?? choices[0]?.[0] ?? "value";
  const steps = (isInSteps(shown) && answer.data?.steps) || null;
  const step = useMemo(() => steps?.step ?? stepOf(points), [points, steps]);
  const series = useMemo(
    () => measured(steps ? pointsInSteps(steps, shown) : points, shown, step),
    [points, steps, shown, step],
  );
  if (answer.isError) {
    return <Failure error={answer.error} retry={() => answer.refetch()} />;
  }
  if (!answer.data) {
    return <Ghosts lines={8} height={32} />;
  }
  if (!metric) {
    return <Empty title="No point is like that" />;
  }
  const unit = metric.unit && metric.unit !== "1" ? metric.unit.replace(/[{}]/g, "") : "";
  const title = [
    metric.name,
    shown === "rate" ? `${unit || "times"} a second` : shown === "count" ? "how many" : unit,
    shown === "value" || shown === "rate" || shown === "count" ? "" : shown,
  ];
  const { total } = answer.data;
  return (
    <section className={`stack ${answer.isPlaceholderData ? "is-stale" : ""}`} aria-label={metric.name}>
      <div className="row wrap">
        <p className="grow soft">
          {metric.description || metric.type.replace(/_/g, " ")}
          {metric.temporality ? `, ${metric.temporality}` : ""} · {plural(series.length, "series", "series")},{" "}
          {points.length === total || steps
            ? plural(total, "point")
            : `the newest ${count(points.length)} of ${count(total)} points`}
        </p>
        {choices.length > 1 && (
          <select
            className="input pick"
            aria-label="Shows"
            value={shown}
            onChange={(event) => set({ show: event.target.value }, "replace")}
          >
            {choices.map(([one, name]) => (
              <option key={one} value={one}>
                {name}
              </option>
            ))}
          </select>
        )}
      </div>
      <LineChart
        title={title.filter(Boolean).join(", ")}
        series={series.map(({ label, points: own }) => ({ name: label, points: own }))}
        show={number}
        step={step}
        onPick={(start, end) => {
          const where = new URLSearchParams({
            from: new Date(start).toISOString(),
            to: new Date(end).toISOString(),
          });
          navigate(`/p/${project}/traces?${where}`);
        }}
      />
      <SeriesTable
        series={series}
        show={number}
        onFilter={(key, value) =>
          set({ q: withTerm(scope.q ?? "", `${nameText(key)}:${valueText(value)}`) })
        }
      />
      <Exemplars project={project} points={points} show={number} />
    </section>
  );
}

function stepOf(points: Point[]): number {
  // Not spread into an argument list: there may be thousands.
  const [first, last] = points
    .map((point) => Date.parse(point.start))
    .reduce(([a, b], one) => [Math.min(a, one), Math.max(b, one)], [Number.POSITIVE_INFINITY, 0]);
  return points.length === 0 ? 1000 : stepFor(Math.max(1000, last - first), STEPS);
}

function number(value: number): string {
  const size = Math.abs(value);
  return size >= 1000 ? compact(value) : String(Number(value.toPrecision(3)));
}

function SeriesTable({
  series,
  show,
  onFilter,
}: {
  series: ReturnType<typeof measured>;
  show: (value: number) => string;
  onFilter: (key: string, value: unknown) => void;
}) {
  return (
    <Table label="Series">
      <thead>
        <tr>
          <th>Series</th>
          <th className="num">Last</th>
        </tr>
      </thead>
      <tbody>
        {series.slice(0, SERIES_SHOWN).map((one) => (
          <tr key={one.key}>
            <td>
              <div className="row wrap">
                {one.service && (
                  <button type="button" className="chip" onClick={() => onFilter("service", one.service)}>
                    {one.service}
                  </button>
                )}
                {Object.entries(one.attributes).map(([key, value]) => (
                  <button
                    key={key}
                    type="button"
                    className="chip"
                    title={`Only ${key} ${String(value)}`}
                    onClick={() => onFilter(`attributes.${key}`, value)}
                  >
                    <span className="soft">{key}</span>{" "}
                    <span className="cut">{typeof value === "string" ? value : JSON.stringify(value)}</span>
                  </button>
                ))}
              </div>
            </td>
            <td className="num nowrap">{one.last === null ? "–" : show(one.last)}</td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

// Values that came with the trace in which they were measured.
function Exemplars({
  project,
  points,
  show,
}: {
  project: string;
  points: Point[];
  show: (value: number) => string;
}) {
  const { zone } = usePrefs();
  const found = points.flatMap((point) =>
    (point.exemplars ?? []).filter((one) => one.trace_id).map((one) => ({ ...one, at: point.start })),
  );
  if (found.length === 0) {
    return null;
  }
  return (
    <section className="stack">
      <h2>Measured in traces</h2>
      <ul className="plain-list row wrap">
        {found.slice(0, EXEMPLARS_SHOWN).map((one, place) => (
          <li key={place}>
            <Link
              className="chip"
              href={`/p/${project}/traces/${part(one.trace_id ?? "")}${one.span_id ? `?span=${part(one.span_id)}` : ""}`}
            >
              {typeof one.value === "number" ? show(one.value) : "trace"} · {time(one.at, zone)}
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}
