// One chart, by what it is to show: asks the server, draws lines or a heat map, and leads from a point
// to its traces.
import { type ReactNode, useMemo } from "react";
import { useLocation } from "wouter";
import { useAggregate } from "../api/queries";
import type { Aggregate } from "../api/types";
import { stepText } from "../state/time";
import { Failure, statusKind } from "../ui/parts";
import { type Bin, HeatMap } from "./heat-map";
import { LineChart, type Series } from "./line-chart";
import { behind, type ChartSpec, pageOf, searchOf, titleOf, usualBy, whatOf } from "./spec";

const GROUPS_MAX = 20;

export interface Looked {
  project: string;
  q: string;
  from: string;
  to: string;
  step: number;
}

function pointsOf(group: Aggregate["groups"][number], measure: number) {
  return (group.buckets ?? []).map((bucket) => {
    const value = bucket.values[measure];
    return { at: Date.parse(bucket.at), value: typeof value === "number" ? value : null };
  });
}

function seriesOf(answer: Aggregate | undefined, spec: ChartSpec, by: string | undefined): Series[] {
  const what = whatOf(spec);
  const groups = answer?.groups ?? [];
  if (by) {
    return groups.map((group) => {
      const value = group.by[by] ?? null;
      const isStatus = by === "status" && statusKind(String(value)) === "error";
      const name = value === null ? "(none)" : String(value);
      return { name: isStatus ? "failed" : name, isBad: isStatus, group: value, points: pointsOf(group, 0) };
    });
  }
  const [group] = groups;
  return group
    ? (what.names ?? [titleOf(spec)]).map((name, at) => ({ name, points: pointsOf(group, at) }))
    : [];
}

export function Chart({
  spec,
  look,
  menu,
}: {
  spec: ChartSpec;
  look: Looked;
  menu?: ReactNode;
}) {
  const { project, q, from, to, step } = look;
  const [, navigate] = useLocation();
  const what = whatOf(spec);
  const by = what.isHeat ? undefined : (spec.by ?? usualBy(spec));
  const measures = what.measures(spec);
  const answer = useAggregate(project, {
    q: searchOf(spec, q),
    from,
    to,
    ...(spec.over ? { over: spec.over } : {}),
    interval: stepText(step),
    group_by: by ? [by] : [],
    measures: by && measures.length > 1 ? [measures[what.grouped ?? 0] ?? { fn: "count" }] : measures,
    limit: GROUPS_MAX,
  });
  const series = useMemo(() => seriesOf(answer.data, spec, by), [answer.data, spec, by]);
  const columns = useMemo(
    () =>
      what.isHeat
        ? (answer.data?.groups[0]?.buckets ?? []).map((bucket) => ({
            at: Date.parse(bucket.at),
            bins: (bucket.values[0] ?? []) as unknown as Bin[],
          }))
        : [],
    [answer.data, what],
  );
  const open = (start: number, end: number, search: string) => {
    const where = new URLSearchParams({
      from: new Date(start).toISOString(),
      to: new Date(end).toISOString(),
    });
    if (search) {
      where.set("q", search);
    }
    navigate(`/p/${project}/${pageOf(spec)}?${where}`);
  };
  const title = `${titleOf(spec)}${by && what.names ? `, ${what.names[what.grouped ?? 0]}` : ""}${
    what.isPerStep ? ` per ${stepText(step)}` : ""
  }`;
  return (
    <div className={`chart-cell ${answer.isPlaceholderData ? "is-stale" : ""}`}>
      {menu}
      {answer.isError ? (
        <figure className="chart">
          <figcaption>
            <h2>{title}</h2>
          </figcaption>
          <Failure error={answer.error} retry={() => answer.refetch()} />
        </figure>
      ) : what.isHeat ? (
        <HeatMap
          title={title}
          columns={columns}
          show={what.show}
          step={step}
          onPick={(start, end, low, high) =>
            open(start, end, behind(spec, q, { more: `duration>=${low}ns duration<${high}ns` }))
          }
        />
      ) : (
        <LineChart
          title={title}
          series={series}
          show={what.show}
          step={step}
          onPick={(start, end, line) => open(start, end, behind(spec, q, by && line ? { by, name: line.group } : {}))}
        />
      )}
    </div>
  );
}
