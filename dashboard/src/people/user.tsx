// A user: what all their traces add up to, their threads and their newest traces.
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { Link } from "wouter";
import { get, part } from "../api/client";
import { at } from "../api/queries";
import type { Trace } from "../api/types";
import { term } from "../state/filter";
import { usePrefs } from "../state/prefs";
import { compact, count, duration, fullTime, money, oneLine, time, totalCost } from "../text/format";
import { Failure, Ghosts, Icon, Status } from "../ui/parts";
import { Table } from "../ui/table";
import { type Group, THREADS, useGroups } from "./groups";

const TRACES = 50;

export default function UserPage({ project, id }: { project: string; id: string }) {
  const { zone } = usePrefs();
  const q = term("user_id", id);
  const user = useQuery({
    queryKey: ["user", project, id],
    queryFn: ({ signal }) =>
      get<Group & { data: Trace[]; more: boolean }>(
        at(project, `/users/${part(id)}`),
        { limit: TRACES },
        signal,
      ),
  });
  const threads = useGroups(project, THREADS, { q });
  const inThreads = threads.data?.pages.flatMap((page) => page.data) ?? [];
  useEffect(() => {
    document.title = `${id} · obsrv`;
  }, [id]);
  if (user.isError) {
    return <Failure error={user.error} retry={() => user.refetch()} />;
  }
  const all = `/p/${project}/traces?q=${encodeURIComponent(q)}`;
  const data = user.data;
  return (
    <div className="page wide">
      <div className="row wrap page-head">
        <Link className="button plain icon" aria-label="All users" href={`/p/${project}/users`}>
          <Icon name="left" />
        </Link>
        <h1 className="grow anywhere">{id}</h1>
        <Link className="button" href={`/p/${project}/charts?q=${encodeURIComponent(q)}`}>
          Charts
        </Link>
        <Link className="button" href={all}>
          As a list
        </Link>
      </div>
      {!data ? (
        <Ghosts lines={10} height={22} />
      ) : (
        <>
          <dl className="facts flat">
            {(
              [
                ["Traces", count(data.traces)],
                ["Failed", count(data.errors)],
                ["Threads", count(data.threads)],
                ["Tokens", compact(data.tokens)],
                ["Cost", money(totalCost(data.cost))],
                ["First seen", time(data.first, zone)],
                ["Last seen", time(data.last, zone)],
              ] as const
            ).map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd className="num">{value}</dd>
              </div>
            ))}
          </dl>
          {inThreads.length > 0 && (
            <section className="stack">
              <h2>Threads</h2>
              <Table label="Threads">
                <thead>
                  <tr>
                    <th>Thread</th>
                    <th className="num">Traces</th>
                    <th className="num">Failed</th>
                    <th>Last seen</th>
                  </tr>
                </thead>
                <tbody>
                  {inThreads.slice(0, TRACES).map((one) => (
                    <tr key={one.thread_id}>
                      <td className="anywhere">
                        <Link href={`/p/${project}/threads/${part(one.thread_id ?? "")}`}>
                          {one.thread_id}
                        </Link>
                      </td>
                      <td className="num">{count(one.traces)}</td>
                      <td className={`num ${one.errors > 0 ? "wrong" : "soft"}`}>{count(one.errors)}</td>
                      <td className="when">{time(one.last, zone)}</td>
                    </tr>
                  ))}
                </tbody>
              </Table>
            </section>
          )}
          <section className="stack">
            <h2>{data.more ? `The newest ${count(data.data.length)} traces` : "Traces"}</h2>
            <Table label="Traces">
              <thead>
                <tr>
                  <th>Trace</th>
                  <th>Status</th>
                  <th>Input</th>
                  <th className="num">Latency</th>
                  <th>Started</th>
                </tr>
              </thead>
              <tbody>
                {data.data.map((trace) => (
                  <tr key={trace.run_id}>
                    <td className="anywhere">
                      <Link href={`/p/${project}/traces/${part(trace.run_id)}`}>
                        {trace.name || trace.run_id}
                      </Link>
                    </td>
                    <td>
                      <Status status={trace.status} />
                    </td>
                    <td>
                      <span className="cut in-table">{oneLine(trace.input_preview ?? "")}</span>
                    </td>
                    <td className="num">{duration(trace.duration_ns)}</td>
                    <td className="when" title={fullTime(trace.start, zone)}>
                      {time(trace.start, zone)}
                    </td>
                  </tr>
                ))}
              </tbody>
            </Table>
            {data.more && (
              <Link className="button" href={all}>
                All of them
              </Link>
            )}
          </section>
        </>
      )}
    </div>
  );
}
