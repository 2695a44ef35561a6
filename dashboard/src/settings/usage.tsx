import { useQuery } from "@tanstack/react-query";
import { get, part } from "../api/client";
import { usePrefs } from "../state/prefs";
import { ago, count, fullTime } from "../text/format";
import { Empty, Failure, Ghosts } from "../ui/parts";

interface Amounts {
  traces: number;
  spans: number;
  bytes: number;
  queries: number;
}

interface Usage {
  month: string;
  day_resets_at: string;
  month_resets_at: string;
  used: { day: Amounts; month: Amounts };
  organization?: { plan?: { name?: string } };
}

interface Refusals {
  since: string;
  refusals: { key_id: string | null; reason: string; count: number; last_at: string }[];
}

const NAMES: [keyof Amounts, string][] = [
  ["traces", "Traces begun"],
  ["spans", "Rows taken"],
  ["bytes", "Bytes"],
  ["queries", "Queries"],
];

export function UsageTab({ project }: { project: string }) {
  const { zone } = usePrefs();
  const usage = useQuery({
    queryKey: ["usage", project],
    queryFn: ({ signal }) => get<Usage>(`/v1/projects/${part(project)}/usage`, {}, signal),
    retry: false,
  });
  const refusals = useQuery({
    queryKey: ["refusals", project],
    queryFn: ({ signal }) => get<Refusals>(`/v1/projects/${part(project)}/refusals`, {}, signal),
    retry: false,
  });
  if (usage.isError) {
    return <Failure error={usage.error} retry={() => usage.refetch()} />;
  }
  if (!usage.data) {
    return <Ghosts />;
  }
  const { used, month } = usage.data;
  return (
    <div className="stack">
      <section className="card">
        <h2>Used</h2>
        <table className="table">
          <thead>
            <tr>
              <th>
                <span className="hidden-text">What</span>
              </th>
              <th className="num">Today, UTC</th>
              <th className="num">In {month}</th>
            </tr>
          </thead>
          <tbody>
            {NAMES.map(([key, name]) => (
              <tr key={key}>
                <th>{name}</th>
                <td className="num">{count(used.day[key])}</td>
                <td className="num">{count(used.month[key])}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <section className="card">
        <h2>Refused{refusals.data && `, since the ${refusals.data.since}`}</h2>
        {refusals.isError ? (
          <Failure error={refusals.error} />
        ) : refusals.data?.refusals.length === 0 ? (
          <Empty title="Nothing was refused" />
        ) : (
          <table className="table">
            <thead>
              <tr>
                <th>Key</th>
                <th>Why</th>
                <th className="num">How often</th>
                <th>Last</th>
              </tr>
            </thead>
            <tbody>
              {refusals.data?.refusals.map((one) => (
                <tr key={`${one.key_id} ${one.reason}`}>
                  <td className="mono">{one.key_id ?? "no key"}</td>
                  <td>{one.reason}</td>
                  <td className="num">{count(one.count)}</td>
                  <td title={fullTime(one.last_at, zone)}>{ago(one.last_at)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </section>
    </div>
  );
}
