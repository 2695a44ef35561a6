// A queue of runs to look at: one after the other, scored from the keyboard.
import { useEffect, useMemo, useRef, useState } from "react";
import { Link } from "wouter";
import { ApiError, part, post } from "../api/client";
import { at, useTraces } from "../api/queries";
import { useScoresOf } from "../api/scores";
import { useParams } from "../state/url";
import { count, duration } from "../text/format";
import { Conversation } from "../trace/conversation";
import { ScoreForm } from "../trace/feedback";
import { SearchBar } from "../traces/search-bar";
import { useShortcuts } from "../ui/keys";
import { Empty, Failure, Ghosts, Icon, messageOf, Status } from "../ui/parts";
import { toast } from "../ui/toast";

const QUALITY = "quality";

export default function ReviewPage({ project }: { project: string }) {
  const [params, set] = useParams();
  const input = useRef<HTMLInputElement>(null);
  const { q = "" } = params;
  const list = useTraces(project, { q });
  const isAll = params.all === "1";
  const pages = useMemo(() => list.data?.pages.map((page) => page.data) ?? [], [list.data]);
  // A run that is judged now stays where it is until the page is opened again.
  const before = useScoresOf(project, pages, { name: QUALITY, isFixed: true });
  const traces = useMemo(
    () => pages.flat().filter((trace) => isAll || !before.scores.has(trace.trace_id)),
    [pages, before.scores, isAll],
  );
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = list;
  useEffect(() => {
    if (traces.length === 0 && hasNextPage && !isFetchingNextPage && !before.isPending) {
      void fetchNextPage();
    }
  }, [traces.length, hasNextPage, isFetchingNextPage, fetchNextPage, before.isPending]);
  const [done, setDone] = useState<ReadonlySet<string>>(new Set());
  const at0 = traces.findIndex((trace) => trace.run_id === params.trace);
  const place = Math.max(at0, 0);
  const trace = traces[place];
  const total = list.data?.pages[0]?.total;
  const problem = list.error instanceof ApiError ? list.error.problem : null;
  useEffect(() => {
    document.title = "Review · obsrv";
  }, []);
  const go = (step: number) => {
    const next = traces[place + step];
    if (next) {
      set({ trace: next.run_id }, "replace");
    }
    if (place + step >= traces.length - 5 && list.hasNextPage && !list.isFetchingNextPage) {
      void list.fetchNextPage();
    }
  };
  const finished = () => {
    if (trace) {
      setDone(new Set([...done, trace.run_id]));
    }
    go(1);
  };
  const rate = async (value: number) => {
    if (!trace) {
      return;
    }
    try {
      await post(at(project, "/scores"), { trace_id: trace.trace_id, name: QUALITY, value });
      toast(value === 1 ? "Scored good" : "Scored bad");
      finished();
    } catch (error) {
      toast(messageOf(error), true);
    }
  };
  useShortcuts([
    { keys: "j", does: "Next run", run: () => go(1) },
    { keys: "k", does: "Run before", run: () => go(-1) },
    { keys: "1", does: "Good, and the next run", run: () => void rate(1) },
    { keys: "0", does: "Bad, and the next run", run: () => void rate(0) },
    { keys: "/", does: "Choose which runs", run: () => input.current?.focus() },
  ]);
  return (
    <div className="page wide review">
      <h1 className="hidden-text">Review</h1>
      <div className="bar">
        <SearchBar
          project={project}
          value={q}
          onChange={(next) => set({ q: next, trace: null })}
          problem={problem?.field === "q" ? problem : null}
          input={input}
        />
      </div>
      {list.isError && problem?.field !== "q" ? (
        <Failure error={list.error} retry={() => list.refetch()} />
      ) : list.isPending || (before.isPending && traces.length === 0) || (traces.length === 0 && list.hasNextPage) ? (
        <Ghosts lines={8} height={32} />
      ) : !trace ? (
        <Empty title="Nothing to review">
          <p>{isAll ? "No run passes this search." : "Every run that passes has a score of its quality."}</p>
          {!isAll && (
            <button type="button" className="button" onClick={() => set({ all: "1" })}>
              Show them all
            </button>
          )}
        </Empty>
      ) : (
        <>
          <div className="row wrap page-head">
            <button
              type="button"
              className="button icon"
              aria-label="Run before"
              title="Run before (k)"
              disabled={place === 0}
              onClick={() => go(-1)}
            >
              <Icon name="left" />
            </button>
            <button
              type="button"
              className="button icon"
              aria-label="Next run"
              title="Next run (j)"
              disabled={place >= traces.length - 1}
              onClick={() => go(1)}
            >
              <Icon name="right" />
            </button>
            <span className="soft num">
              {count(place + 1)} of {list.hasNextPage && !isAll ? `up to ${count(total)}` : count(isAll ? total : traces.length)}
            </span>
            <Status status={trace.status} />
            <Link href={`/p/${project}/traces/${part(trace.run_id)}`}>
              <b>{trace.name || trace.run_id}</b>
            </Link>
            <span className="soft num">{duration(trace.duration_ns)}</span>
            {done.has(trace.run_id) && <span className="chip">scored</span>}
            <div className="grow" />
            <button
              type="button"
              className="button"
              aria-pressed={isAll}
              onClick={() => set({ all: isAll ? null : "1", trace: null })}
            >
              Reviewed ones, too
            </button>
            <button type="button" className="button" onClick={() => void rate(1)}>
              Good <kbd>1</kbd>
            </button>
            <button type="button" className="button" onClick={() => void rate(0)}>
              Bad <kbd>0</kbd>
            </button>
          </div>
          <div className="review-body">
            <div className="review-talk">
              <Conversation key={trace.run_id} project={project} id={trace.run_id} />
            </div>
            <aside className="card stack" aria-label="Score">
              <h2>Another score</h2>
              <ScoreForm
                key={trace.run_id}
                project={project}
                id={trace.trace_id}
                span={null}
                done={finished}
              />
            </aside>
          </div>
        </>
      )}
    </div>
  );
}
