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

interface Side {
  span_id: string;
  duration_ns: number | null;
}

interface DiffStepShown {
  change: "added" | "removed" | "changed" | "same";
  depth: number;
  name: string;
  kind: string;
  a: Side | null;
  b: Side | null;
  differs: string[];
}

interface Diff {
  steps: DiffStepShown[];
  added: number;
  removed: number;
  changed: number;
  same: number;
}

function TwoTraces({ project, a, b }: { project: string; a: string; b: string }) {
  const heads = useQuery({
    queryKey: ["pair", project, a, b],
    queryFn: ({ signal }) =>
      Promise.all([a, b].map((id) => get<{ trace: Trace }>(at(project, `/traces/${part(id)}`), {}, signal))),
  });
  const diff = useQuery({
    queryKey: ["diff", project, a, b],
    queryFn: ({ signal }) => get<Diff>(at(project, `/traces/${part(a)}/diff/${part(b)}`), {}, signal),
  });
  const traces = heads.data?.map((head) => head.trace) ?? [];
  const steps = diff.data?.steps ?? [];
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
      {diff.data && (
        <p className="soft num">
          {count(diff.data.added)} only in B, {count(diff.data.removed)} only in A, {count(diff.data.changed)}{" "}
          changed, {count(diff.data.same)} the same
        </p>
      )}
      {diff.isError ? (
        <Failure error={diff.error} retry={() => diff.refetch()} />
      ) : diff.isPending ? (
        <Ghosts lines={8} height={22} />
      ) : steps.length === 0 ? (
        <Empty title="Neither has a step" />
      ) : (
        <ol className="diff">
          {steps.slice(0, 2000).map((step, place) => (
            <DiffStep key={place} step={step} project={project} ids={[a, b]} />
          ))}
        </ol>
      )}
    </div>
  );
}

const SIGNS: Record<string, string> = { added: "+", removed: "−", changed: "~", same: " " };

function DiffStep({ step, project, ids }: { step: DiffStepShown; project: string; ids: [string, string] }) {
  const { a, b } = step;
  const link = (id: string, side: Side) => (
    <Link className="num" href={`/p/${project}/traces/${part(id)}?span=${part(side.span_id)}`}>
      {duration(side.duration_ns)}
    </Link>
  );
  return (
    <li className={`diff-${step.change}`}>
      <span className="mono diff-sign">{SIGNS[step.change] ?? "~"}</span>
      <span className="hidden-text">{step.change}</span>
      <span className="cut" style={{ paddingLeft: Math.min(20, step.depth) * 14 }}>
        {step.name || step.kind}
      </span>
      <span className="soft cut grow">
        {step.differs.length > 0 && `differs in ${step.differs.join(", ")}`}
      </span>
      <span className="soft">
        {a && link(ids[0], a)}
        {a && b && " → "}
        {b && link(ids[1], b)}
      </span>
    </li>
  );
}

interface Difference {
  key: string;
  value: Json;
  a_share: number;
  b_share: number;
}

interface Compared {
  a_rows: number;
  b_rows: number;
  data: Difference[];
}

function TwoSets({ project }: { project: string }) {
  const [params, set] = useParams();
  const [typed, setTyped] = useState({ a: params.qa ?? "status:error", b: params.qb ?? "-status:error" });
  const { qa, qb } = params;
  const answer = useQuery({
    queryKey: ["compare", project, qa, qb],
    queryFn: ({ signal }) =>
      post<Compared>(
        at(project, "/compare"),
        { a: { q: qa ?? "" }, b: { q: qb ?? "" }, over: "traces" },
        signal,
      ),
    enabled: qa !== undefined && qb !== undefined,
  });
  const rows = answer.data?.data ?? [];
  const share = (row: Difference, side: "a" | "b") => Math.min(1, Math.max(0, row[`${side}_share`]));
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
                <th>Share of {count(answer.data.a_rows)} in A</th>
                <th>Share of {count(answer.data.b_rows)} in B</th>
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
