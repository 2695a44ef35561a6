// The list of traces: search, facets, histogram, table. All of what it shows is in the address.
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import { Link, Redirect, useLocation } from "wouter";
import { ApiError } from "../api/client";
import { useTraces } from "../api/queries";
import { useScoresOf } from "../api/scores";
import type { Trace } from "../api/types";
import { term, toggled, withTerm } from "../state/filter";
import { setPrefs, usePrefs } from "../state/prefs";
import { useParams } from "../state/url";
import { count } from "../text/format";
import { askSoon, Peek, TracePage } from "../trace/soon";
import { useShortcuts } from "../ui/keys";
import { Empty, Failure, Icon } from "../ui/parts";
import { BulkBar } from "./bulk";
import { ColumnMenu } from "./column-menu";
import { columnsOf, DEFAULT_COLUMNS } from "./columns";
import { Facets } from "./facets";
import { Histogram } from "./histogram";
import { useLiveTraces } from "./live";
import { RangeMenu } from "./range-menu";
import { SearchBar } from "./search-bar";
import { TraceTable } from "./table";
import { ViewMenu } from "./view-menu";

// What is likely to be opened next is there by then.
const SOON_MS = 800;

function usePreloaded() {
  useEffect(() => {
    const timer = window.setTimeout(() => {
      void TracePage.soon();
    }, SOON_MS);
    return () => window.clearTimeout(timer);
  }, []);
}

export function TracesPage({ project }: { project: string }) {
  const [params, set] = useParams();
  const prefs = usePrefs();
  const [, navigate] = useLocation();
  const [chosen, setChosen] = useState<ReadonlyMap<string, Trace>>(new Map());
  const [areFacetsOpen, setFacetsOpen] = useState(false);
  const search = useRef<HTMLInputElement>(null);
  const { q = "", from = "", to = "", sort = "-start", live = "", peek = "" } = params;
  const scope = useMemo(() => ({ q, from, to }), [q, from, to]);
  const ids = params.cols?.split(",") ?? prefs.columns ?? DEFAULT_COLUMNS;
  const columns = useMemo(() => columnsOf(ids), [ids.join("\n")]);
  const queries = useQueryClient();
  const list = useTraces(project, { ...scope, sort: sort === "-start" ? "" : sort });
  // Rows are what is waited for: the rest of the page asks when they have come.
  const [settled, setSettled] = useState(scope);
  if (settled !== scope && list.isSuccess && !list.isPlaceholderData) {
    setSettled(scope);
  }
  const isLive = live === "1";
  const tail = useLiveTraces(project, q, isLive, () => (document.querySelector(".grid")?.scrollTop ?? 0) < 40);
  const pages = useMemo(() => list.data?.pages.map((page) => page.data) ?? [], [list.data]);
  const { scores } = useScoresOf(project, pages, { isOn: ids.includes("scores") });
  const traces = useMemo(
    () => pages.flat().map((trace) => (scores.has(trace.trace_id) ? { ...trace, scores: scores.get(trace.trace_id) } : trace)),
    [pages, scores],
  );
  const total = list.data?.pages[0]?.total;
  const isNarrowed = Boolean(q || from || to);
  const setQuery = (next: string) => set({ q: next });
  usePreloaded();
  useEffect(() => {
    document.title = `${q || "Traces"} · obsrv`;
  }, [q]);
  useShortcuts([
    { keys: "/", does: "Search", run: () => search.current?.focus() },
    { keys: "l", does: "Live on and off", run: () => set({ live: live ? null : "1" }) },
    { keys: "Escape", does: "Close what is beside the list", run: () => set({ peek: null }, "replace") },
    { keys: "E", does: "Only errors, or all", run: () => setQuery(toggled(q, term("status", "error"))) },
  ]);
  if (list.isSuccess && !list.isPlaceholderData && traces.length === 0 && !isNarrowed) {
    return <Redirect to={`/p/${project}/start`} replace />;
  }
  const problem = list.error instanceof ApiError ? list.error.problem : null;
  const isQueryWrong = problem !== null && (problem.field === "q" || problem.code === "invalid_query");
  return (
    <div className="list-page">
      <h1 className="hidden-text">Traces</h1>
      <div className="bar">
        <button
          type="button"
          className="button icon only-narrow"
          aria-label="Facets"
          aria-expanded={areFacetsOpen}
          onClick={() => setFacetsOpen(!areFacetsOpen)}
        >
          <Icon name="filter" />
        </button>
        <SearchBar
          project={project}
          value={q}
          onChange={setQuery}
          problem={isQueryWrong ? problem : null}
          input={search}
        />
        <RangeMenu from={from} to={to} onChange={(range) => set(range)} />
        <button
          type="button"
          className="button"
          aria-pressed={live === "1"}
          title="Live (l)"
          onClick={() => set({ live: live ? null : "1" })}
        >
          <Icon name="live" />
          <span className="not-phone">Live</span>
        </button>
        <ViewMenu project={project} />
        <ColumnMenu
          project={project}
          chosen={ids}
          onChange={(next) => {
            setPrefs({ columns: next });
            set({ cols: null }, "replace");
          }}
        />
      </div>
      <div className={`list-body ${peek ? "has-peek" : ""}`}>
        <aside className={`facets ${areFacetsOpen ? "open" : ""}`} aria-label="Facets">
          <Facets project={project} scope={settled} q={q} isWrong={isQueryWrong} onChange={setQuery} />
        </aside>
        <div className="list-main">
          <Histogram project={project} scope={settled} isWrong={isQueryWrong} onChange={(range) => set(range)} />
          <div className="list-head" role="status">
            {list.isError && !list.data ? null : total === undefined ? (
              <span className="soft">Counting…</span>
            ) : (
              <span>
                <b className="num">{count(total)}</b> {total === 1 ? "trace" : "traces"}
              </span>
            )}
            {list.isFetching && <span className="soft">Loading…</span>}
            {isLive && <span className="chip">live</span>}
            {tail.waiting > 0 && (
              <button
                type="button"
                className="button small"
                onClick={() => {
                  document.querySelector(".grid")?.scrollTo(0, 0);
                  tail.refresh();
                }}
              >
                {count(tail.waiting)} new
              </button>
            )}
            <div className="grow" />
            {chosen.size > 0 && (
              <BulkBar project={project} chosen={chosen} clear={() => setChosen(new Map())} />
            )}
          </div>
          {list.isError && !isQueryWrong ? (
            <Failure error={list.error} retry={() => list.refetch()} />
          ) : isQueryWrong && traces.length === 0 ? (
            <Empty title="The search does not read yet">
              <p>What is wrong with it is written below it.</p>
            </Empty>
          ) : list.isSuccess && traces.length === 0 ? (
            <Empty title="No trace passes">
              <p>
                Nothing in this project is like that. Take away a part of the search, or look at more time.
              </p>
              <Link className="button" href={`/p/${project}/traces`}>
                Show all traces
              </Link>
            </Empty>
          ) : (
            <TraceTable
              columns={columns}
              traces={traces}
              isLoading={list.isPending}
              isStale={list.isPlaceholderData || isQueryWrong}
              sort={sort}
              onSort={(next) => set({ sort: next === "-start" ? null : next })}
              more={list.hasNextPage ? () => void list.fetchNextPage() : null}
              isFetchingMore={list.isFetchingNextPage}
              href={(trace) => `/p/${project}/traces/${encodeURIComponent(trace.run_id)}`}
              onOpen={(trace) => {
                sessionStorage.setItem(
                  "obsrv.list",
                  JSON.stringify(traces.slice(0, 500).map((one) => one.run_id)),
                );
                sessionStorage.setItem("obsrv.list.at", window.location.search);
                navigate(`/p/${project}/traces/${encodeURIComponent(trace.run_id)}`);
              }}
              onSoon={(trace) => askSoon(queries, project, trace.run_id)}
              peek={peek}
              onPeek={(trace) => set({ peek: trace?.run_id ?? null }, "replace")}
              onFilter={(key, value, exclude) => setQuery(withTerm(q, term(key, value, exclude)))}
              chosen={chosen}
              onChoose={setChosen}
            />
          )}
        </div>
        {peek && (
          <Peek
            key={peek}
            project={project}
            id={peek}
            close={() => set({ peek: null }, "replace")}
            onFilter={(key, value, exclude) => setQuery(withTerm(q, term(key, value, exclude)))}
          />
        )}
      </div>
    </div>
  );
}
