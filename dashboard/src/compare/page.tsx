// Two traces step by step, or two sets of traces by how they differ.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link } from "wouter";
import { get, part, post } from "../api/client";
import { at } from "../api/queries";
import type { Json, Trace } from "../api/types";
import { term } from "../state/filter";
import { useParams } from "../state/url";
import { count, duration, money, totalCost } from "../text/format";
import { Empty, Failure, Field, Ghosts, Status } from "../ui/parts";

export default function ComparePage({ project }: { project: string }) {
  const [params] = useParams();
  useEffect(() => {
    document.title = "Compare · obsrv";
  }, []);
  return params.a && params.b ? (
    <TwoTraces project={project} a={params.a} b={params.b} />
  ) : params.a ? (
    <ChooseOther a={params.a} />
  ) : (
    <TwoSets project={project} />
  );
}

function ChooseOther({ a }: { a: string }) {
  const [, set] = useParams();
  const [typed, setTyped] = useState("");
  return (
    <div className="page">
      <h1>Compare with which trace?</h1>
      <p className="soft">
        The first is <code>{a}</code>. In the list of traces, two that are chosen can be compared, too.
      </p>
      <form
        className="card stack"
        onSubmit={(event) => {
          event.preventDefault();
          set({ b: typed.trim() });
        }}
      >
        <Field label="Id of the other trace">
          {(props) => (
            <input
              {...props}
              className="input mono"
              required
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
            />
          )}
        </Field>
        <div className="dialog-foot">
          <button type="submit" className="button main">
            Compare
          </button>
        </div>
      </form>
    </div>
  );
}

type Map = { [key: string]: Json };
const isMap = (value: unknown): value is Map =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function TwoTraces({ project, a, b }: { project: string; a: string; b: string }) {
  const heads = useQuery({
    queryKey: ["pair", project, a, b],
    queryFn: ({ signal }) =>
      Promise.all([a, b].map((id) => get<{ trace: Trace }>(at(project, `/traces/${part(id)}`), {}, signal))),
  });
  const diff = useQuery({
    queryKey: ["diff", project, a, b],
    queryFn: ({ signal }) => get<Map>(at(project, `/traces/${part(a)}/diff/${part(b)}`), {}, signal),
  });
  const traces = heads.data?.map((head) => head.trace) ?? [];
  const found = diff.data ? (Object.values(diff.data).find(Array.isArray) ?? []) : [];
  const steps = found.filter(isMap);
  const numbers: [string, (trace: Trace) => number | null, (value: number | null) => string][] = [
    ["Latency", (trace) => trace.duration_ns, duration],
    ["Tokens", (trace) => trace.tokens?.total ?? null, count],
    ["Cost", (trace) => totalCost(trace.cost), money],
    ["Steps", (trace) => trace.span_count ?? null, count],
    ["Failed steps", (trace) => trace.error_count ?? null, count],
  ];
  return (
    <div className="page wide">
      <h1>Two traces</h1>
      {heads.isError ? (
        <Failure error={heads.error} retry={() => heads.refetch()} />
      ) : heads.isPending ? (
        <Ghosts lines={6} height={24} />
      ) : (
        <div className="scroll-x">
          <table className="table">
            <thead>
              <tr>
                <th />
                {traces.map((trace, place) => (
                  <th key={trace.run_id}>
                    {place === 0 ? "A " : "B "}
                    <Link href={`/p/${project}/traces/${part(trace.run_id)}`}>
                      {trace.name || trace.run_id}
                    </Link>
                  </th>
                ))}
                <th className="num">B − A</th>
              </tr>
            </thead>
            <tbody>
              <tr>
                <th>Status</th>
                {traces.map((trace) => (
                  <td key={trace.run_id}>
                    <Status status={trace.status} />
                  </td>
                ))}
                <td />
              </tr>
              {numbers.map(([name, value, show]) => {
                const [first, second] = traces.map(value);
                const isKnown = typeof first === "number" && typeof second === "number";
                const change = isKnown ? second - first : null;
                return (
                  <tr key={name}>
                    <th>{name}</th>
                    <td className="num">{show(first ?? null)}</td>
                    <td className="num">{show(second ?? null)}</td>
                    <td className="num">
                      {change === null
                        ? "–"
                        : `${change > 0 ? "+" : change < 0 ? "−" : ""}${show(Math.abs(change))}`}
                    </td>
                  </tr>
                );
              })}
              {(["input_preview", "output_preview"] as const).map((key) => (
                <tr key={key}>
                  <th>{key === "input_preview" ? "Input" : "Output"}</th>
                  {traces.map((trace) => (
                    <td key={trace.run_id} className="anywhere">
                      {trace[key]}
                    </td>
                  ))}
                  <td className="num">{traces[0]?.[key] === traces[1]?.[key] ? "same" : "differs"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <h2>Steps</h2>
      {diff.isError ? (
        <Failure error={diff.error} retry={() => diff.refetch()} />
      ) : diff.isPending ? (
        <Ghosts lines={8} height={22} />
      ) : steps.length === 0 ? (
        <Empty title="No difference in their steps" />
      ) : (
        <ol className="diff">
          {steps.slice(0, 2000).map((step, place) => (
            <DiffStep key={place} step={step} />
          ))}
        </ol>
      )}
    </div>
  );
}

const SIGNS: Record<string, string> = { added: "+", removed: "−", changed: "~", same: " " };

function DiffStep({ step }: { step: Map }) {
  const change = String(step.change ?? step.kind ?? step.op ?? "same");
  const side = (name: string) => (isMap(step[name]) ? (step[name] as Map) : null);
  const a = side("a") ?? side("left");
  const b = side("b") ?? side("right");
  const shown = b ?? a ?? step;
  const differing = Array.isArray(step.fields)
    ? step.fields
    : Array.isArray(step.changed)
      ? step.changed
      : [];
  return (
    <li className={`diff-${change}`}>
      <span className="mono diff-sign">{SIGNS[change] ?? "~"}</span>
      <span className="hidden-text">{change}</span>
      <span style={{ paddingLeft: Math.min(20, Number(shown.depth ?? 0)) * 14 }}>
        {String(shown.name ?? step.name ?? "")}
      </span>
      <span className="soft num">
        {a && typeof a.duration_ns === "number" && duration(a.duration_ns)}
        {a && b && typeof a.duration_ns === "number" && typeof b.duration_ns === "number" && " → "}
        {b && typeof b.duration_ns === "number" && duration(b.duration_ns)}
      </span>
      {differing.length > 0 && (
        <span className="soft cut">
          {differing.map((one) => (isMap(one) ? String(one.field ?? one.key ?? "") : String(one))).join(", ")}
        </span>
      )}
    </li>
  );
}

interface Difference {
  key: string;
  value: Json;
  a?: number;
  b?: number;
  a_count?: number;
  b_count?: number;
  a_share?: number;
  b_share?: number;
  [more: string]: Json | undefined;
}

function TwoSets({ project }: { project: string }) {
  const [params, set] = useParams();
  const [typed, setTyped] = useState({ a: params.qa ?? "status:error", b: params.qb ?? "-status:error" });
  const { qa, qb } = params;
  const answer = useQuery({
    queryKey: ["compare", project, qa, qb],
    queryFn: ({ signal }) =>
      post<Map>(at(project, "/compare"), { a: { q: qa ?? "" }, b: { q: qb ?? "" }, over: "traces" }, signal),
    enabled: qa !== undefined && qb !== undefined,
  });
  const rows = answer.data
    ? ((Object.values(answer.data).find(Array.isArray) ?? []).filter(isMap) as unknown as Difference[])
    : [];
  const share = (row: Difference, side: "a" | "b") => {
    const own = row[`${side}_share`] ?? row[`share_${side}`];
    const nested = row[side];
    const value = own ?? (isMap(nested) ? (nested.share as Json | undefined) : nested);
    return typeof value === "number" ? Math.min(1, Math.max(0, value)) : 0;
  };
  return (
    <div className="page wide">
      <h1>What differs between two sets of traces</h1>
      <form
        className="card set-form"
        onSubmit={(event) => {
          event.preventDefault();
          set({ qa: typed.a, qb: typed.b || " " });
        }}
      >
        <Field label="Set A, as a search">
          {(props) => (
            <input
              {...props}
              className="input mono"
              value={typed.a}
              onChange={(event) => setTyped({ ...typed, a: event.target.value })}
            />
          )}
        </Field>
        <Field label="Set B, as a search">
          {(props) => (
            <input
              {...props}
              className="input mono"
              value={typed.b}
              onChange={(event) => setTyped({ ...typed, b: event.target.value })}
            />
          )}
        </Field>
        <button type="submit" className="button main">
          Compare
        </button>
      </form>
      {answer.isError ? (
        <Failure error={answer.error} retry={() => answer.refetch()} />
      ) : answer.isFetching ? (
        <Ghosts lines={10} height={22} />
      ) : !answer.data ? (
        <Empty title="Two searches, one question">
          <p>For example what failed runs have that good ones do not: customers, versions, tools, models.</p>
        </Empty>
      ) : rows.length === 0 ? (
        <Empty title="They do not differ">
          <p>No key has other values in the one set than in the other.</p>
        </Empty>
      ) : (
        <div className="scroll-x">
          <table className="table">
            <thead>
              <tr>
                <th>Key</th>
                <th>Value</th>
                <th>Share in A</th>
                <th>Share in B</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={`${row.key} ${JSON.stringify(row.value)}`}>
                  <td className="anywhere">{row.key}</td>
                  <td className="anywhere">
                    <Link href={`/p/${project}/traces?q=${encodeURIComponent(term(row.key, row.value))}`}>
                      {typeof row.value === "string" ? row.value : JSON.stringify(row.value)}
                    </Link>
                  </td>
                  {(["a", "b"] as const).map((side) => (
                    <td key={side}>
                      <span className="share num">
                        <span
                          className={`share-bar ${side}`}
                          style={{ width: `${100 * share(row, side)}%` }}
                        />
                        <span>{(100 * share(row, side)).toFixed(1)}%</span>
                      </span>
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
