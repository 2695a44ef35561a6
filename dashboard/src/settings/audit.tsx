import { useInfiniteQuery } from "@tanstack/react-query";
import { get, part } from "../api/client";
import type { AuditRecord } from "../api/types";
import { useNames } from "../shell/people";
import { usePrefs } from "../state/prefs";
import { useParams } from "../state/url";
import { fullTime } from "../text/format";
import { Empty, Failure, Ghosts } from "../ui/parts";
import { Table } from "../ui/table";

interface Page {
  items: AuditRecord[];
  next: number | null;
  broken_at: number | null;
}

const ACTIONS = [
  "",
  "key",
  "project",
  "org",
  "member",
  "invitation",
  "team",
  "grant",
  "user",
  "signin",
  "settings",
  "trace",
];

export function AuditTab({ org }: { org: string; rights: string[] }) {
  const { zone } = usePrefs();
  const [params, set] = useParams();
  const { action = "", actor = "" } = params;
  const path = `/v1/orgs/${part(org)}/audit`;
  const nameOf = useNames(org);
  const log = useInfiniteQuery({
    queryKey: ["audit", org, action, actor],
    queryFn: ({ signal, pageParam }) =>
      get<Page>(path, { action, actor, before: pageParam, limit: 100 }, signal),
    initialPageParam: null as number | null,
    getNextPageParam: (page) => page.next,
  });
  const records = log.data?.pages.flatMap((page) => page.items) ?? [];
  const broken = log.data?.pages[0]?.broken_at ?? null;
  return (
    <div className="stack">
      <div className="row wrap">
        <select
          className="input short"
          aria-label="Action"
          value={action}
          onChange={(event) => set({ action: event.target.value })}
        >
          {ACTIONS.map((one) => (
            <option key={one} value={one}>
              {one || "every action"}
            </option>
          ))}
        </select>
        <input
          className="input short"
          aria-label="Actor"
          placeholder="user:5, key:2a"
          defaultValue={actor}
          onKeyDown={(event) => event.key === "Enter" && set({ actor: event.currentTarget.value.trim() })}
          onBlur={(event) => set({ actor: event.currentTarget.value.trim() })}
        />
        <div className="grow" />
        <a className="button" href={`${path}?format=jsonl`} download="audit.jsonl">
          Export
        </a>
      </div>
      {broken !== null && (
        <p className="note bad" role="alert">
          The chain of hashes breaks at record {broken}: something was changed outside of the server.
        </p>
      )}
      {log.isError ? (
        <Failure error={log.error} retry={() => log.refetch()} />
      ) : log.isPending ? (
        <Ghosts lines={10} />
      ) : records.length === 0 ? (
        <Empty title="Nothing like that happened" />
      ) : (
        <Table label="Records">
          <thead>
            <tr>
              <th className="num">Record</th>
              <th>When</th>
              <th>Who</th>
              <th>What</th>
              <th>About</th>
              <th>Details</th>
            </tr>
          </thead>
          <tbody>
            {records.map((record) => (
              <tr key={record.number}>
                <td className="num" title={record.hash}>
                  {record.number}
                </td>
                <td className="when">{fullTime(record.at, zone).slice(0, 19)}</td>
                <td>
                  <button type="button" className="link" title={record.actor} onClick={() => set({ actor: record.actor })}>
                    {nameOf(record.actor)}
                  </button>
                </td>
                <td>{record.action}</td>
                <td className="anywhere">{record.subject}</td>
                <td className="anywhere soft">
                  {Object.entries(record.details)
                    .filter(([, value]) => value !== "")
                    .map(([name, value]) => `${name} ${value}`)
                    .join(", ")}
                </td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
      {log.hasNextPage && (
        <button
          type="button"
          className="button"
          disabled={log.isFetchingNextPage}
          onClick={() => log.fetchNextPage()}
        >
          Earlier records
        </button>
      )}
    </div>
  );
}
