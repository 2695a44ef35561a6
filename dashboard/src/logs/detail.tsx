// One log line whole.
import { Link } from "wouter";
import { part } from "../api/client";
import type { Json } from "../api/types";
import { term } from "../state/filter";
import { usePrefs } from "../state/prefs";
import { fullTime } from "../text/format";
import { JsonView } from "../text/json-view";
import { Value } from "../text/value";
import { CopyButton } from "../ui/parts";
import { Level } from "./level";
import type { Line } from "./line";

const GROUPS = ["attributes", "resource", "scope"] as const;
const FACTS = [
  ["service", "Service"],
  ["environment", "Environment"],
  ["region", "Region"],
  ["version", "Version"],
  ["release", "Release"],
  ["agent", "Agent"],
  ["name", "Event"],
  ["model", "Model"],
  ["tool", "Tool"],
  ["user_id", "User"],
] as const;

export function LineDetail({
  project,
  line,
  onFilter,
}: {
  project: string;
  line: Line;
  onFilter?: (key: string, value: Json, exclude: boolean) => void;
}) {
  const { zone } = usePrefs();
  const { trace_id: trace, span_id: span, thread_id: thread } = line;
  return (
    <div className="stack">
      <div className="row wrap">
        <Level level={line.level} />
        <span className="soft num">{fullTime(line.start, zone)}</span>
        <CopyButton text={line.id} label="Copy the id of the line" />
      </div>
      <Value value={line.body} label="line" />
      <div className="row wrap">
        {trace && (
          <Link
            className="button small"
            href={`/p/${project}/traces/${part(trace)}${span ? `?span=${part(span)}` : ""}`}
          >
            {span ? "Step of the trace" : "Trace"}
          </Link>
        )}
        {trace && (
          <Link
            className="button small"
            href={`/p/${project}/logs?q=${encodeURIComponent(term("trace_id", trace))}`}
          >
            All lines of the trace
          </Link>
        )}
        {thread && (
          <Link className="button small" href={`/p/${project}/threads/${part(thread)}`}>
            Thread
          </Link>
        )}
      </div>
      <dl className="facts flat">
        {FACTS.map(([key, name]) => {
          const value = line[key];
          return value ? (
            <div key={key}>
              <dt>{name}</dt>
              <dd className="cut">
                {onFilter ? (
                  <button type="button" className="link" onClick={() => onFilter(key, value, false)}>
                    {value}
                  </button>
                ) : (
                  value
                )}
              </dd>
            </div>
          ) : null;
        })}
      </dl>
      {GROUPS.map((key) => {
        const value = line[key];
        return value && Object.keys(value).length > 0 ? (
          <section key={key}>
            <h3>{key.charAt(0).toUpperCase() + key.slice(1)}</h3>
            <JsonView
              value={value}
              label={key}
              {...(onFilter
                ? {
                    onFilter: (path: string, one: Json, exclude: boolean) =>
                      onFilter(`${key}.${path}`, one, exclude),
                  }
                : {})}
            />
          </section>
        ) : null;
      })}
    </div>
  );
}
