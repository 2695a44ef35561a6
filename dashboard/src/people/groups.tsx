// Threads and users: traces added up by one key.
import { useMemo, useState } from "react";
import { Link } from "wouter";
import { useAggregate } from "../api/queries";
import { usePrefs } from "../state/prefs";
import { useParams } from "../state/url";
import { compact, count, fullTime, money, time } from "../text/format";
import { RangeMenu } from "../traces/range-menu";
import { Empty, Failure, Ghosts, Icon } from "../ui/parts";

const ROWS = 500;

interface Row {
  name: string;
  traces: number;
  tokens: number | null;
  cost: number | null;
  first: string | null;
  last: string | null;
  p95: number | null;
  failed: number;
}

type Sort = "traces" | "tokens" | "cost" | "last" | "failed";

// A time of the server is nanoseconds since the epoch, or a text.
export function timeOf(value: unknown): string | null {
  if (typeof value === "number") {
    return new Date(value / 1e6).toISOString();
  }
  return typeof value === "string" ? value : null;
}

const numberOf = (value: unknown) => (typeof value === "number" ? value : null);

export function Groups({
  project,
  by,
  title,
  one,
  empty,
  href,
}: {
  project: string;
  by: string;
  title: string;
  one: string;
  empty: string;
  href: (name: string) => string;
}) {
  const [params, set] = useParams();
  const { zone } = usePrefs();
  const [wanted, setWanted] = useState("");
  const { from = "", to = "" } = params;
  const sort = (params.sort as Sort | undefined) ?? "last";
  const answer = useAggregate(project, {
    from,
    to,
    q: `has:${by}`,
    group_by: [by],
    measures: [
      { fn: "count" },
      { fn: "sum", of: "tokens" },
      { fn: "sum", of: "cost" },
      { fn: "min", of: "start" },
      { fn: "max", of: "start" },
    ],
    limit: ROWS,
  });
  const failed = useAggregate(project, {
    from,
    to,
    q: `has:${by} status:error`,
    group_by: [by],
    measures: [{ fn: "count" }],
    limit: ROWS,
  });
  const rows = useMemo(() => {
    const failures = new Map(
      (failed.data?.groups ?? []).map((group) => [String(group.by[by]), numberOf(group.values?.[0]) ?? 0]),
    );
    const all = (answer.data?.groups ?? [])
      .filter((group) => group.by[by] !== null)
      .map((group): Row => {
        const [traces, tokens, cost, first, last] = group.values ?? [];
        const name = String(group.by[by]);
        return {
          name,
          traces: numberOf(traces) ?? 0,
          tokens: numberOf(tokens),
          cost: numberOf(cost),
          first: timeOf(first),
          last: timeOf(last),
          p95: null,
          failed: failures.get(name) ?? 0,
        };
      });
    const key = (row: Row) => (sort === "last" ? Date.parse(row.last ?? "") : (row[sort] ?? 0));
    return all
      .filter((row) => row.name.toLowerCase().includes(wanted.toLowerCase()))
      .sort((a, b) => Number(key(b)) - Number(key(a)));
  }, [answer.data, failed.data, by, sort, wanted]);
  const head = (name: string, key: Sort, isNumber = true) => (
    <th className={isNumber ? "num" : ""} aria-sort={sort === key ? "descending" : "none"}>
      <button
        type="button"
        className="head-button"
        onClick={() => set({ sort: key === "last" ? null : key })}
      >
        {name}
        {sort === key && <Icon name="down" />}
      </button>
    </th>
  );
  return (
    <div className="page wide">
      <div className="row wrap page-head">
        <h1 className="grow">{title}</h1>
        <div className="search-box small">
          <Icon name="search" />
          <input
            aria-label={`Find a ${one}`}
            placeholder={`Find a ${one}`}
            value={wanted}
            onChange={(event) => setWanted(event.target.value)}
          />
        </div>
        <RangeMenu from={from} to={to} onChange={set} />
      </div>
      {answer.isError ? (
        <Failure error={answer.error} retry={() => answer.refetch()} />
      ) : answer.isPending ? (
        <Ghosts lines={10} height={22} />
      ) : rows.length === 0 ? (
        <Empty title={`No ${one}`}>
          <p>{wanted ? "None has this in its name." : empty}</p>
        </Empty>
      ) : (
        <div className="scroll-x">
          <table className="table">
            <thead>
              <tr>
                <th>{one.charAt(0).toUpperCase() + one.slice(1)}</th>
                {head("Traces", "traces")}
                {head("Failed", "failed")}
                {head("Tokens", "tokens")}
                {head("Cost", "cost")}
                {head("Last seen", "last", false)}
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={row.name}>
                  <td className="anywhere">
                    <Link href={href(row.name)}>{row.name}</Link>
                  </td>
                  <td className="num">{count(row.traces)}</td>
                  <td className={`num ${row.failed > 0 ? "wrong" : "soft"}`}>{count(row.failed)}</td>
                  <td className="num">{compact(row.tokens)}</td>
                  <td className="num">{money(row.cost)}</td>
                  <td className="when" title={fullTime(row.last, zone)}>
                    {time(row.last, zone)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {rows.length >= ROWS && <p className="soft">The {ROWS} with the most traces.</p>}
    </div>
  );
}
