// A thread as one conversation over its runs.
import { useEffect } from "react";
import { Link } from "wouter";
import { part } from "../api/client";
import { useTraces } from "../api/queries";
import type { Trace } from "../api/types";
import { term } from "../state/filter";
import { usePrefs } from "../state/prefs";
import { count, duration, money, plural, time, totalCost } from "../text/format";
import { Conversation } from "../trace/conversation";
import { Empty, Failure, Ghosts, Icon, Status } from "../ui/parts";

export default function ThreadPage({ project, id }: { project: string; id: string }) {
  const q = term("thread_id", id);
  const list = useTraces(project, { q, sort: "start" });
  const traces = list.data?.pages.flatMap((page) => page.data) ?? [];
  const total = list.data?.pages[0]?.total;
  useEffect(() => {
    document.title = `${id} · obsrv`;
  }, [id]);
  if (list.isError) {
    return <Failure error={list.error} retry={() => list.refetch()} />;
  }
  return (
    <div className="page">
      <div className="row wrap page-head">
        <Link className="button plain icon" aria-label="All threads" href={`/p/${project}/threads`}>
          <Icon name="left" />
        </Link>
        <h1 className="grow anywhere">{id}</h1>
        {total !== undefined && <span className="soft num">{plural(total, "trace")}</span>}
        {/* Filters of lines know a thread by the name that it has in the row. */}
        <Link
          className="button"
          href={`/p/${project}/logs?q=${encodeURIComponent(term("group", id))}`}
        >
          Logs
        </Link>
        <Link className="button" href={`/p/${project}/traces?q=${encodeURIComponent(q)}`}>
          As a list
        </Link>
      </div>
      {list.isPending ? (
        <Ghosts lines={8} height={32} />
      ) : traces.length === 0 ? (
        <Empty title="No such thread" />
      ) : (
        traces.map((trace, place) => (
          <Turn key={trace.run_id} project={project} trace={trace} place={place} open={place < 10} />
        ))
      )}
      {list.hasNextPage && (
        <button
          type="button"
          className="button"
          onClick={() => list.fetchNextPage()}
          disabled={list.isFetchingNextPage}
        >
          Show more
        </button>
      )}
    </div>
  );
}

function Turn({
  project,
  trace,
  place,
  open,
}: {
  project: string;
  trace: Trace;
  place: number;
  open: boolean;
}) {
  const { zone } = usePrefs();
  return (
    <details className="turn" open={open}>
      <summary>
        <span className="soft num">{place + 1}</span>
        <Status status={trace.status} label={false} />
        <Link href={`/p/${project}/traces/${part(trace.run_id)}`}>{trace.name || trace.run_id}</Link>
        <span className="grow" />
        <span className="soft num">{time(trace.start, zone)}</span>
        <span className="soft num">{duration(trace.duration_ns)}</span>
        <span className="soft num not-phone">{count(trace.tokens?.total)} tokens</span>
        <span className="soft num not-phone">{money(totalCost(trace.cost))}</span>
      </summary>
      <Conversation project={project} id={trace.run_id} />
    </details>
  );
}
