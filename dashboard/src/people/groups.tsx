// Threads and users: traces added up by one key, by the server and in its order.
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link } from "wouter";
import { get } from "../api/client";
import { at } from "../api/queries";
import { usePrefs } from "../state/prefs";
import { useParams } from "../state/url";
import { compact, count, fullTime, money, time, totalCost } from "../text/format";
import { RangeMenu } from "../traces/range-menu";
import { Empty, Failure, Ghosts, Icon } from "../ui/parts";
import { Table } from "../ui/table";

const PAGE_ROWS = 100;
const CALM_MS = 150;

export interface Group {
  thread_id: string | null;
  user_id: string | null;
  traces: number;
  first: string | null;
  last: string | null;
  users: number | null;
  threads: number | null;
  tokens: number | null;
  cost: { total: number } | null;
  errors: number;
}

interface Page {
  data: Group[];
  next_offset: number | null;
  total?: number;
}

type Sort = "traces" | "tokens" | "cost" | "last" | "errors";

export interface Kind {
  key: "thread_id" | "user_id";
  path: "threads" | "users";
  title: string;
  one: string;
  other: "threads" | "users";
  empty: string;
}

export const THREADS: Kind = {
  key: "thread_id",
  path: "threads",
  title: "Threads",
  one: "thread",
  other: "users",
  empty: "Traces that name a thread (a session, a conversation) are put together here.",
};

export const USERS: Kind = {
  key: "user_id",
  path: "users",
  title: "Users",
  one: "user",
  other: "threads",
  empty: "Traces that name a user are put together here.",
};

export function useGroups(
  project: string,
  kind: Kind,
  asked: { q: string; from?: string; to?: string; sort?: string },
) {
  return useInfiniteQuery({
    queryKey: ["groups", project, kind.path, asked],
    queryFn: ({ signal, pageParam }) =>
      get<Page>(
        at(project, `/${kind.path}`),
        { ...asked, limit: PAGE_ROWS, offset: pageParam, total: pageParam ? null : true },
        signal,
      ),
    initialPageParam: null as number | null,
    getNextPageParam: (page) => page.next_offset,
    placeholderData: keepPreviousData,
  });
}

export function Groups({
  project,
  kind,
  href,
}: {
  project: string;
  kind: Kind;
  href: (name: string) => string;
}) {
  const [params, set] = useParams();
  const { from = "", to = "", find = "" } = params;
  const sort = (params.sort as Sort | undefined) ?? "last";
  const [typed, setTyped] = useState(find);
  useEffect(() => {
    const timer = window.setTimeout(() => set({ find: typed }, "replace"), CALM_MS);
    return () => window.clearTimeout(timer);
  }, [typed, set]);
  useEffect(() => {
    document.title = `${kind.title} · obsrv`;
  }, [kind]);
  const q = find ? `${kind.key}~${JSON.stringify(find)}` : "";
  const list = useGroups(project, kind, { q, from, to, sort: `-${sort}` });
  const rows = list.data?.pages.flatMap((page) => page.data) ?? [];
  const total = list.data?.pages[0]?.total;
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
        <h1>{kind.title}</h1>
        <span className="soft num grow" role="status">
          {total !== undefined && count(total)}
        </span>
        <div className="search-box small">
          <Icon name="search" />
          <input
            aria-label={`Find a ${kind.one}`}
            placeholder={`Find a ${kind.one}`}
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
          />
        </div>
        <RangeMenu from={from} to={to} onChange={set} />
      </div>
      {list.isError ? (
        <Failure error={list.error} retry={() => list.refetch()} />
      ) : list.isPending ? (
        <Ghosts lines={10} height={22} />
      ) : rows.length === 0 ? (
        <Empty title={`No ${kind.one}`}>
          <p>{find ? "None has this in its name." : kind.empty}</p>
        </Empty>
      ) : (
        <Table label={kind.title} isStale={list.isPlaceholderData}>
          <thead>
            <tr>
              <th>{kind.one.charAt(0).toUpperCase() + kind.one.slice(1)}</th>
              {head("Traces", "traces")}
              {head("Failed", "errors")}
              {head("Tokens", "tokens")}
              {head("Cost", "cost")}
              <th className="num">{kind.other === "users" ? "Users" : "Threads"}</th>
              {head("Last seen", "last", false)}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <GroupRow key={row[kind.key]} row={row} kind={kind} href={href} />
            ))}
          </tbody>
        </Table>
      )}
      {list.hasNextPage && (
        <button
          type="button"
          className="button"
          disabled={list.isFetchingNextPage}
          onClick={() => list.fetchNextPage()}
        >
          Show more
        </button>
      )}
    </div>
  );
}

function GroupRow({ row, kind, href }: { row: Group; kind: Kind; href: (name: string) => string }) {
  const { zone } = usePrefs();
  const name = row[kind.key] ?? "";
  return (
    <tr>
      <td className="anywhere">
        <Link href={href(name)}>{name}</Link>
      </td>
      <td className="num">{count(row.traces)}</td>
      <td className={`num ${row.errors > 0 ? "wrong" : "soft"}`}>{count(row.errors)}</td>
      <td className="num">{compact(row.tokens)}</td>
      <td className="num">{money(totalCost(row.cost))}</td>
      <td className="num">{count(row[kind.other])}</td>
      <td className="when" title={fullTime(row.last, zone)}>
        {time(row.last, zone)}
      </td>
    </tr>
  );
}
