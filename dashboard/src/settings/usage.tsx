import { useQuery } from "@tanstack/react-query";
import { get, part } from "../api/client";
import type { Key } from "../api/types";
import { usePrefs } from "../state/prefs";
import { ago, count, fullTime } from "../text/format";
import { Empty, Failure, Ghosts } from "../ui/parts";
import { Table } from "../ui/table";

interface Amounts {
  traces: number;
  spans: number;
  bytes: number;
  queries: number;
}

interface Used {
  day: Amounts;
  month: Amounts;
}

interface KeyUsage {
  who: "key" | "people" | "others";
  key_id: string | null;
  name: string | null;
  state: Key["state"] | null;
  used: Used;
}

interface Usage {
  month: string;
  used: Used;
  by_key: KeyUsage[];
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
  const usage = useQuery({
    queryKey: ["usage", project],
    queryFn: ({ signal }) =>
      get<Usage>(`/v1/projects/${part(project)}/usage`, { group_by: "key" }, signal),
    retry: false,
  });
  if (usage.isError) {
    return <Failure error={usage.error} retry={() => usage.refetch()} />;
  }
  if (!usage.data) {
    return <Ghosts />;
  }
  const { used, month, by_key } = usage.data;
  return (
    <div className="stack">
      <section className="card">
        <h2>Used</h2>
        <Table label="Used">
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
        </Table>
      </section>
      <section className="card">
        <h2>By key, in {month}</h2>
        {by_key.length === 0 ? <Empty title="No key has sent or asked anything" /> : <ByKey users={by_key} />}
      </section>
      <Refused project={project} users={by_key} />
    </div>
  );
}

function ByKey({ users }: { users: KeyUsage[] }) {
  return (
    <Table label="By key">
      <thead>
        <tr>
          <th>Key</th>
          <th>Id</th>
          {NAMES.map(([key, name]) => (
            <th key={key} className="num">
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {users.map((user) => (
          <tr key={user.key_id ?? user.who}>
            <td className="anywhere">
              <Name user={user} />
            </td>
            <td className="mono">{user.key_id}</td>
            {NAMES.map(([key]) => (
              <td key={key} className="num" title={`${count(user.used.day[key])} today`}>
                {count(user.used.month[key])}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

const NAME_OF = { key: "no name", people: "people, without a key", others: "other keys" };

function Name({ user }: { user: KeyUsage }) {
  return (
    <>
      {user.name || <span className="soft">{NAME_OF[user.who]}</span>}{" "}
      {user.state && user.state !== "live" && <span className="chip">{user.state}</span>}
    </>
  );
}

function Refused({ project, users }: { project: string; users: KeyUsage[] }) {
  const { zone } = usePrefs();
  const refusals = useQuery({
    queryKey: ["refusals", project],
    queryFn: ({ signal }) => get<Refusals>(`/v1/projects/${part(project)}/refusals`, {}, signal),
    retry: false,
  });
  const nameOf = (id: string) => users.find((user) => user.key_id === id)?.name;
  return (
    <section className="card">
      <h2>Refused{refusals.data && `, since the ${refusals.data.since}`}</h2>
      {refusals.isError ? (
        <Failure error={refusals.error} />
      ) : refusals.data?.refusals.length === 0 ? (
        <Empty title="Nothing was refused" />
      ) : (
        <Table label="Refused">
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
                <td>
                  {one.key_id === null ? (
                    "no key"
                  ) : (
                    <>
                      {nameOf(one.key_id)} <span className="mono">{one.key_id}</span>
                    </>
                  )}
                </td>
                <td>{one.reason}</td>
                <td className="num">{count(one.count)}</td>
                <td title={fullTime(one.last_at, zone)}>{ago(one.last_at)}</td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
    </section>
  );
}
