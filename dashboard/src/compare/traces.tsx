// Two traces or more side by side: what they come to, which steps each takes how often, and step by step
// what the first has that another has not.
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link } from "wouter";
import { get, part } from "../api/client";
import { at } from "../api/queries";
import type { SpanColumns, Trace } from "../api/types";
import { count, duration, money, totalCost } from "../text/format";
import { stepsOf } from "../trace/columns";
import { Empty, Failure, Ghosts, Status } from "../ui/parts";
import { Table } from "../ui/table";

const LETTERS = "ABCDEFGH";
const STEPS_COUNTED = 5000;
const NAMES_SHOWN = 60;
const STEPS_SHOWN = 2000;

export function Traces({ project, ids }: { project: string; ids: string[] }) {
  const [other, setOther] = useState(1);
  const heads = useQuery({
    queryKey: ["heads", project, ids],
    queryFn: ({ signal }) =>
      Promise.all(ids.map((id) => get<{ trace: Trace }>(at(project, `/traces/${part(id)}`), {}, signal))),
  });
  const [a, b] = [ids[0] ?? "", ids[other] ?? ""];
  return (
    <div className="page wide">
      <h1>{ids.length === 2 ? "Two traces" : `${ids.length} traces`}</h1>
      {heads.isError ? (
        <Failure error={heads.error} retry={() => heads.refetch()} />
      ) : heads.isPending ? (
        <Ghosts lines={6} height={24} />
      ) : (
        <Numbers project={project} traces={heads.data.map((head) => head.trace)} />
      )}
      <Names project={project} ids={ids} />
      <div className="row wrap">
        <h2>Step by step</h2>
        {ids.length > 2 && (
          <select
            className="input pick"
            aria-label="A beside"
            value={other}
            onChange={(event) => setOther(Number(event.target.value))}
          >
            {ids.slice(1).map((id, place) => (
              <option key={id} value={place + 1}>
                A beside {LETTERS[place + 1]}
              </option>
            ))}
          </select>
        )}
      </div>
      <Steps project={project} a={a} b={b} letter={LETTERS[other] ?? "B"} />
    </div>
  );
}

type Figure = [string, (trace: Trace) => number | null, (value: number | null) => string];

const NUMBERS: Figure[] = [
  ["Latency", (trace) => trace.duration_ns, duration],
  ["Tokens", (trace) => trace.tokens?.total ?? null, count],
  ["Cost", (trace) => totalCost(trace.cost), money],
  ["Steps", (trace) => trace.span_count ?? null, count],
  ["Failed steps", (trace) => trace.error_count ?? null, count],
];

function Numbers({ project, traces }: { project: string; traces: Trace[] }) {
  return (
    <Table label="Numbers">
      <thead>
        <tr>
          <th>
            <span className="hidden-text">What</span>
          </th>
          {traces.map((trace, place) => (
            <th key={trace.run_id}>
              <span className="chip">{LETTERS[place]}</span>{" "}
              <Link href={`/p/${project}/traces/${part(trace.run_id)}`}>{trace.name || trace.run_id}</Link>
            </th>
          ))}
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
        </tr>
        {NUMBERS.map(([name, value, show]) => {
          const first = traces[0] ? value(traces[0]) : null;
          return (
            <tr key={name}>
              <th>{name}</th>
              {traces.map((trace, place) => {
                const own = value(trace);
                const change = place > 0 && own !== null && first !== null ? own - first : 0;
                return (
                  <td key={trace.run_id}>
                    {show(own)}
                    {change !== 0 && (
                      <div className="soft">
                        {change > 0 ? "+" : "−"}
                        {show(Math.abs(change))}
                      </div>
                    )}
                  </td>
                );
              })}
            </tr>
          );
        })}
        {(["input_preview", "output_preview"] as const).map((key) => (
          <tr key={key}>
            <th>
              {key === "input_preview" ? "Input" : "Output"}
              {traces.every((trace) => trace[key] === traces[0]?.[key]) && <div className="soft">the same</div>}
            </th>
            {traces.map((trace) => (
              <td key={trace.run_id} className="anywhere">
                {trace[key]}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

interface Name {
  name: string;
  times: number[];
  ns: number[];
}

function namesOf(pages: SpanColumns[]): Name[] {
  const found = new Map<string, Name>();
  pages.forEach((page, place) => {
    const steps = stepsOf([page], Date.now());
    steps.name.forEach((text, at) => {
      const name = text ?? "(no name)";
      const own = found.get(name) ?? { name, times: pages.map(() => 0), ns: pages.map(() => 0) };
      own.times[place] = (own.times[place] ?? 0) + 1;
      own.ns[place] = (own.ns[place] ?? 0) + Math.max(0, steps.duration[at] ?? 0);
      found.set(name, own);
    });
  });
  const apart = ({ times }: Name) => Math.max(...times) - Math.min(...times);
  return [...found.values()].sort((x, y) => apart(y) - apart(x) || Math.max(...y.ns) - Math.max(...x.ns));
}

function Names({ project, ids }: { project: string; ids: string[] }) {
  const spans = useQuery({
    queryKey: ["names", project, ids],
    queryFn: ({ signal }) => {
      const asked = { shape: "columns", limit: STEPS_COUNTED };
      return Promise.all(
        ids.map((id) => get<SpanColumns>(at(project, `/traces/${part(id)}/spans`), asked, signal)),
      );
    },
  });
  const names = useMemo(() => namesOf(spans.data ?? []), [spans.data]);
  const isCut = spans.data?.some((page) => page.next_cursor !== null) ?? false;
  if (!spans.data) {
    return spans.isError ? <Failure error={spans.error} retry={() => spans.refetch()} /> : <Ghosts lines={5} />;
  }
  return (
    <section className="stack">
      <h2>Which steps, how often</h2>
      <Table label="Which steps, how often">
        <thead>
          <tr>
            <th>Step</th>
            {ids.map((id, place) => (
              <th key={id} className="num">
                {LETTERS[place]}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {names.slice(0, NAMES_SHOWN).map(({ name, times, ns }) => (
            <tr key={name} className={times.every((one) => one === times[0]) ? "" : "is-apart"}>
              <td className="anywhere">{name}</td>
              {ids.map((id, place) => (
                <td key={id} className="num">
                  {times[place] ? (
                    <>
                      {count(times[place])} <span className="soft">{duration(ns[place] ?? 0)}</span>
                    </>
                  ) : (
                    <span className="soft">–</span>
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </Table>
      {names.length > NAMES_SHOWN && (
        <p className="soft">and {count(names.length - NAMES_SHOWN)} further names, which differ less</p>
      )}
      {isCut && <p className="soft">Of each trace the first {count(STEPS_COUNTED)} steps are counted.</p>}
    </section>
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

function Steps({ project, a, b, letter }: { project: string; a: string; b: string; letter: string }) {
  const diff = useQuery({
    queryKey: ["diff", project, a, b],
    queryFn: ({ signal }) => get<Diff>(at(project, `/traces/${part(a)}/diff/${part(b)}`), {}, signal),
  });
  if (diff.isError) {
    return <Failure error={diff.error} retry={() => diff.refetch()} />;
  }
  if (!diff.data) {
    return <Ghosts lines={8} height={22} />;
  }
  const { steps, added, removed, changed, same } = diff.data;
  if (steps.length === 0) {
    return <Empty title="Neither has a step" />;
  }
  return (
    <>
      <p className="soft num">
        {count(added)} only in {letter}, {count(removed)} only in A, {count(changed)} changed, {count(same)} the
        same
      </p>
      <ol className="diff">
        {steps.slice(0, STEPS_SHOWN).map((step, place) => (
          <DiffStep key={place} step={step} project={project} ids={[a, b]} />
        ))}
      </ol>
      {steps.length > STEPS_SHOWN && (
        <p className="soft">and {count(steps.length - STEPS_SHOWN)} further steps</p>
      )}
    </>
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

