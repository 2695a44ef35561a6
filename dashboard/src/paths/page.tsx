// Which steps follow which over many runs, and where runs go that fail.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef } from "react";
import { Link } from "wouter";
import { ApiError, part, post } from "../api/client";
import { at } from "../api/queries";
import { useParams } from "../state/url";
import { compact, count, plural } from "../text/format";
import { RangeMenu } from "../traces/range-menu";
import { SearchBar } from "../traces/search-bar";
import { Empty, Failure, Ghosts } from "../ui/parts";
import { Table } from "../ui/table";
import {
  type Edge,
  failedShare,
  kept,
  NODE_HEIGHT,
  NODE_WIDTH,
  type Node,
  type Outcomes,
  placed,
} from "./layout";

export interface Paths {
  runs: number;
  cut: boolean;
  nodes: Node[];
  edges: Edge[];
  sequences: { steps: string[]; runs: Outcomes; example: string }[];
}

const NODES_SHOWN = 18;
const STEPS_SHOWN = 12;
// So many letters fit a node.
const NAME_SHOWN = 18;
const RUNS = 2000;

export default function PathsPage({ project }: { project: string }) {
  const [params, set] = useParams();
  const input = useRef<HTMLInputElement>(null);
  const { q = "", from = "", to = "", by = "name" } = params;
  const asked = { q, by, limit: RUNS, ...(from ? { from } : {}), ...(to ? { to } : {}) };
  const answer = useQuery({
    queryKey: ["paths", project, asked],
    queryFn: ({ signal }) => post<Paths>(at(project, "/paths"), asked, signal),
  });
  useEffect(() => {
    document.title = "Paths · obsrv";
  }, []);
  const problem = answer.error instanceof ApiError ? answer.error.problem : null;
  const isQueryWrong = problem?.field === "q" || problem?.code === "invalid_query";
  return (
    <div className="page wide">
      <h1 className="hidden-text">Paths</h1>
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
          aria-label="A step is called by"
          value={by}
          onChange={(event) => set({ by: event.target.value === "name" ? null : event.target.value })}
        >
          <option value="name">by name</option>
          <option value="tool">by tool</option>
          <option value="kind">by kind</option>
        </select>
        <RangeMenu from={from} to={to} onChange={set} />
      </div>
      {answer.isError && !isQueryWrong ? (
        <Failure error={answer.error} retry={() => answer.refetch()} />
      ) : answer.isPending ? (
        <Ghosts lines={10} height={28} />
      ) : !answer.data || answer.data.runs === 0 ? (
        <Empty title="No run passes">
          <p>Take away a part of the search, or look at more time.</p>
        </Empty>
      ) : (
        <>
          <p className="soft num">
            {answer.data.cut
              ? `The newest ${plural(answer.data.runs, "run")}`
              : plural(answer.data.runs, "run")}
          </p>
          <Graph paths={answer.data} />
          <Sequences paths={answer.data} project={project} />
        </>
      )}
    </div>
  );
}

// Of what the failed ones are a share: of the runs with the step, or of the steps of one run.
export function Graph({ paths, of = "runs" }: { paths: Paths; of?: "runs" | "steps" }) {
  const shown = useMemo(() => kept(paths.nodes, paths.edges, NODES_SHOWN), [paths]);
  const { all, width, height } = useMemo(() => placed(shown.nodes, shown.edges), [shown]);
  const places = new Map(all.map((one) => [one.node.name, one]));
  const most = Math.max(1, ...shown.edges.map((edge) => edge.count));
  return (
    <figure className="chart scroll-x" tabIndex={0} aria-label="Graph of steps">
      <svg
        className="graph"
        viewBox={`-4 0 ${width + 8} ${height}`}
        style={{ minWidth: Math.min(width, 900) }}
        role="img"
        aria-label={`Graph of ${shown.nodes.length} steps; the table below says the same`}
      >
        {shown.edges.map((edge) => {
          const a = places.get(edge.from);
          const b = places.get(edge.to);
          if (!a || !b || a === b) {
            return null;
          }
          const [x1, y1] = [a.x + NODE_WIDTH, a.y + NODE_HEIGHT / 2];
          const [x2, y2] = [b.x, b.y + NODE_HEIGHT / 2];
          // What goes back swings out below.
          const isBack = x2 <= a.x;
          const bend = isBack ? 60 : Math.max(24, (x2 - x1) / 2);
          const path = isBack
            ? `M${x1} ${y1}C${x1 + bend} ${y1 + 50} ${x2 - bend} ${y2 + 50} ${x2} ${y2}`
            : `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
          return (
            <path
              key={`${edge.from} ${edge.to}`}
              className={failedShare(edge.runs) > 0.5 ? "edge is-bad" : "edge"}
              d={path}
              strokeWidth={1 + (9 * edge.count) / most}
            >
              <title>{`${edge.from} → ${edge.to}: ${count(edge.count)}`}</title>
            </path>
          );
        })}
        {all.map(({ node, x, y }) => (
          <g key={node.name} transform={`translate(${x} ${y})`}>
            <title>{`${node.name}: ${count(node.count)}, ${(100 * failedShare(node.runs)).toFixed(0)}% of its ${of} failed`}</title>
            <rect className="node" width={NODE_WIDTH} height={NODE_HEIGHT} rx="6" />
            <rect
              className="node-bad"
              y={NODE_HEIGHT - 4}
              width={NODE_WIDTH * failedShare(node.runs)}
              height="4"
              rx="2"
            />
            <text x="9" y="17" className="node-name">
              {node.name.length > NAME_SHOWN ? `${node.name.slice(0, NAME_SHOWN - 1)}…` : node.name}
            </text>
            <text x="9" y="31" className="chart-text">
              {compact(node.count)} · {(100 * failedShare(node.runs)).toFixed(0)}% failed
            </text>
          </g>
        ))}
      </svg>
    </figure>
  );
}

function Sequences({ paths, project }: { paths: Paths; project: string }) {
  return (
    <section className="stack">
      <h2>The most frequent ways</h2>
      <Table label="The most frequent ways">
        <thead>
          <tr>
            <th className="num">Runs</th>
            <th className="num">Failed</th>
            <th>Steps</th>
            <th>
              <span className="hidden-text">Example</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {paths.sequences.map((one) => {
            const runs = one.runs.success + one.runs.error + one.runs.running;
            return (
              <tr key={one.example}>
                <td className="num">{count(runs)}</td>
                <td className={`num ${one.runs.error > 0 ? "wrong" : "soft"}`}>{count(one.runs.error)}</td>
                <td>
                  <div className="row wrap steps-row">
                    {one.steps.slice(0, STEPS_SHOWN).map((step, place) => (
                      <span key={place} className="chip cut">
                        {step}
                      </span>
                    ))}
                    {one.steps.length > STEPS_SHOWN && (
                      <span className="soft">and {count(one.steps.length - STEPS_SHOWN)} more</span>
                    )}
                  </div>
                </td>
                <td>
                  <Link href={`/p/${project}/traces/${part(one.example)}`}>Example</Link>
                </td>
              </tr>
            );
          })}
        </tbody>
      </Table>
    </section>
  );
}
