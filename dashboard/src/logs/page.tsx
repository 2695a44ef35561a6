// Log lines as a stream: newest first, by level, search and time, live.
import { keepPreviousData, useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type RefObject, useEffect, useMemo, useRef } from "react";
import { ApiError, get } from "../api/client";
import { useLive } from "../api/live";
import { at, type Scope, useFacets, useValues } from "../api/queries";
import { own, term, toggledValue, without, withTerm } from "../state/filter";
import { usePrefs } from "../state/prefs";
import { useParams } from "../state/url";
import { compact, count, fullTime, time } from "../text/format";
import { Histogram, LINES } from "../traces/histogram";
import { RangeMenu } from "../traces/range-menu";
import { SearchBar } from "../traces/search-bar";
import { useShortcuts } from "../ui/keys";
import { Empty, Failure, Ghosts, Icon } from "../ui/parts";
import { LineDetail } from "./detail";
import { Level } from "./level";
import { LEVELS, type Line, type Lines, saidBy } from "./line";

const PAGE_ROWS = 200;
const ROW_HEIGHT = 28;
const TOP_PX = 40;

const EXAMPLES: [string, string][] = [
  ["level:(error,fatal)", "what went wrong"],
  ['"timeout"', "this word anywhere"],
  ['has:"span_id"', "lines of traces"],
];

function useLines(project: string, scope: Scope) {
  return useInfiniteQuery({
    queryKey: ["logs", project, scope],
    queryFn: ({ signal, pageParam }) =>
      get<Lines>(
        at(project, "/logs"),
        { ...scope, limit: PAGE_ROWS, cursor: pageParam, total: pageParam ? null : true },
        signal,
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    placeholderData: keepPreviousData,
  });
}

// While it is on, the list follows at the top; further down it is told how many wait.
function useLiveLines(project: string, scope: Scope, isOn: boolean, box: RefObject<HTMLElement | null>) {
  const queries = useQueryClient();
  const isAtTop = () => (box.current?.scrollTop ?? 0) < TOP_PX;
  return useLive({ over: "logs", project, q: scope.q ?? "", isOn }, isAtTop, () => {
    const key = ["logs", project, scope];
    // One page again: what was loaded further down is not asked for each time.
    queries.setQueryData(key, (data: { pages: Lines[]; pageParams: unknown[] } | undefined) =>
      data && { pages: data.pages.slice(0, 1), pageParams: data.pageParams.slice(0, 1) },
    );
    void queries.invalidateQueries({ queryKey: key });
    void queries.invalidateQueries({ queryKey: ["facets", project, "logs"] });
    void queries.invalidateQueries({ queryKey: ["bounds", project, "logs"] });
    void queries.invalidateQueries({ queryKey: ["aggregate", project] });
  });
}

export default function LogsPage({ project }: { project: string }) {
  const [params, set] = useParams();
  const search = useRef<HTMLInputElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const { q = "", from = "", to = "", live = "", line: chosen = "" } = params;
  const scope = useMemo(() => ({ q, from, to }), [q, from, to]);
  const list = useLines(project, scope);
  const lines = useMemo(() => list.data?.pages.flatMap((page) => page.data) ?? [], [list.data]);
  const total = list.data?.pages[0]?.total;
  const tail = useLiveLines(project, scope, live === "1", box);
  const setQuery = (next: string) => set({ q: next, line: null });
  useEffect(() => {
    document.title = `${q || "Logs"} · obsrv`;
  }, [q]);
  const go = (step: number) => {
    const place = lines.findIndex((one) => one.id === chosen);
    const next = lines[place < 0 ? 0 : Math.max(0, Math.min(lines.length - 1, place + step))];
    if (next) {
      set({ line: next.id }, "replace");
    }
  };
  useShortcuts([
    { keys: "/", does: "Search", run: () => search.current?.focus() },
    { keys: "l", does: "Live on and off", run: () => set({ live: live ? null : "1" }) },
    { keys: "j", does: "Next line", run: () => go(1) },
    { keys: "k", does: "Line before", run: () => go(-1) },
    { keys: "Escape", does: "Close the line", run: () => set({ line: null }, "replace") },
  ]);
  const problem = list.error instanceof ApiError ? list.error.problem : null;
  const isQueryWrong = problem !== null && (problem.field === "q" || problem.code === "invalid_query");
  return (
    <div className="list-page">
      <h1 className="hidden-text">Logs</h1>
      <div className="bar">
        <SearchBar
          project={project}
          name="Search logs"
          placeholder="Search: level:error service:shop “sold out”"
          examples={EXAMPLES}
          over="logs"
          value={q}
          onChange={setQuery}
          problem={isQueryWrong ? problem : null}
          input={search}
        />
        <RangeMenu from={from} to={to} onChange={set} />
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
      </div>
      <Histogram project={project} scope={scope} kind={LINES} isWrong={isQueryWrong} onChange={set} />
      <div className="row wrap log-bar">
        <Levels project={project} scope={scope} isWrong={isQueryWrong} onChange={setQuery} />
        <Pick name="Service" keyName="service" project={project} q={q} onChange={setQuery} />
        <Pick name="Environment" keyName="environment" project={project} q={q} onChange={setQuery} />
        <Pick name="Agent" keyName="agent" project={project} q={q} onChange={setQuery} />
        <div className="grow" />
        {tail.waiting > 0 && (
          <button
            type="button"
            className="button small"
            onClick={() => {
              box.current?.scrollTo(0, 0);
              tail.refresh();
            }}
          >
            {count(tail.waiting)} new
          </button>
        )}
        <span role="status" className="soft">
          {total !== undefined && (
            <>
              <b className="num">{count(total)}</b> {total === 1 ? "line" : "lines"}
            </>
          )}
        </span>
      </div>
      {list.isError && !isQueryWrong ? (
        <Failure error={list.error} retry={() => list.refetch()} />
      ) : list.isPending ? (
        <div className="waiting">
          <Ghosts lines={14} />
        </div>
      ) : lines.length === 0 ? (
        isQueryWrong ? (
          <Empty title="The search does not read yet">
            <p>What is wrong with it is written below it.</p>
          </Empty>
        ) : (
          <Empty title="No log line">
            <p>
              {q || from || to
                ? "None is like that. Take away a part of the search, or look at more time."
                : "OpenTelemetry exporters send log records to /v1/logs of this server, with the key of this project."}
            </p>
          </Empty>
        )
      ) : (
        <div className={`log-body ${chosen ? "has-line" : ""}`}>
          <Stream
            box={box}
            lines={lines}
            chosen={chosen}
            isStale={list.isPlaceholderData || isQueryWrong}
            onChoose={(id) => set({ line: id === chosen ? null : id }, "replace")}
            more={list.hasNextPage && !list.isFetchingNextPage ? () => void list.fetchNextPage() : null}
            move={go}
          />
          {chosen && (
            <Aside
              project={project}
              id={chosen}
              known={lines.find((one) => one.id === chosen)}
              close={() => set({ line: null }, "replace")}
              onFilter={(key, value, exclude) => set({ q: withTerm(q, term(key, value, exclude)) })}
            />
          )}
        </div>
      )}
    </div>
  );
}

function Stream({
  box,
  lines,
  chosen,
  isStale,
  onChoose,
  more,
  move,
}: {
  box: RefObject<HTMLDivElement | null>;
  lines: Line[];
  chosen: string;
  isStale: boolean;
  onChoose: (id: string) => void;
  more: (() => void) | null;
  move: (step: number) => void;
}) {
  const { zone } = usePrefs();
  const rows = useVirtualizer({
    count: lines.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 20,
    getItemKey: (index) => lines[index]?.id ?? index,
  });
  const visible = rows.getVirtualItems();
  const last = visible.at(-1)?.index ?? 0;
  useEffect(() => {
    if (more && last >= lines.length - 40) {
      more();
    }
  }, [more, last, lines.length]);
  const place = lines.findIndex((line) => line.id === chosen);
  useEffect(() => {
    if (place >= 0) {
      rows.scrollToIndex(place, { align: "auto" });
    }
  }, [place]);
  return (
    <div
      ref={box}
      className={`log-stream ${isStale ? "is-stale" : ""}`}
      role="listbox"
      aria-label="Log lines"
      tabIndex={0}
      aria-activedescendant={place >= 0 && visible.some(({ index }) => index === place) ? `line-${place}` : undefined}
      onKeyDown={(event) => {
        const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
        if (step !== 0) {
          event.preventDefault();
          move(step);
        }
      }}
    >
      <div role="none" style={{ height: rows.getTotalSize(), position: "relative" }}>
        {visible.map((item) => {
          const line = lines[item.index] as Line;
          return (
            // the list above has the keys
            <div
              key={item.key}
              id={`line-${item.index}`}
              role="option"
              tabIndex={-1}
              aria-selected={line.id === chosen}
              aria-posinset={item.index + 1}
              aria-setsize={-1}
              className={`log-row ${line.id === chosen ? "is-chosen" : ""}`}
              style={{ transform: `translateY(${item.start}px)` }}
              onClick={() => onChoose(line.id)}
            >
              <span className="soft num log-time" title={fullTime(line.start, zone)}>
                {time(line.start, zone)}
              </span>
              <Level level={line.level} />
              <span className="soft cut not-phone">{line.service ?? ""}</span>
              <span className="cut mono">{saidBy(line)}</span>
              <span className="soft log-traced">
                {line.trace_id && <Icon name="traces" />}
                {line.trace_id && <span className="hidden-text">in a trace</span>}
              </span>
            </div>
          );
        })}
      </div>
    </div>
  );
}

function Aside({
  project,
  id,
  known,
  close,
  onFilter,
}: {
  project: string;
  id: string;
  known: Line | undefined;
  close: () => void;
  onFilter: Parameters<typeof LineDetail>[0]["onFilter"];
}) {
  // A line of a link that is not among those loaded.
  const asked = useQuery({
    queryKey: ["log-line", project, id],
    queryFn: async ({ signal }) =>
      (await get<Lines>(at(project, "/logs"), { q: `id:${JSON.stringify(id)}`, limit: 1 }, signal)).data[0] ?? null,
    enabled: known === undefined,
  });
  const line = known ?? asked.data;
  return (
    <aside className="log-detail" aria-label="Line" tabIndex={0}>
      <div className="row">
        <h2 className="grow">Line</h2>
        <button type="button" className="button plain icon small" aria-label="Close the line" onClick={close}>
          <Icon name="close" />
        </button>
      </div>
      {line ? (
        <LineDetail project={project} line={line} onFilter={onFilter} />
      ) : asked.isError ? (
        <Failure error={asked.error} />
      ) : asked.isPending ? (
        <Ghosts lines={6} />
      ) : (
        <Empty title="No such line" />
      )}
    </aside>
  );
}

// How many lines each level has that pass the rest of the search.
function Levels({
  project,
  scope,
  isWrong,
  onChange,
}: {
  project: string;
  scope: Scope;
  isWrong: boolean;
  onChange: (q: string) => void;
}) {
  const q = scope.q ?? "";
  const mine = own(q, "level");
  const wider = mine ? without(q, mine) : q;
  const counts = useFacets(project, { ...scope, q: wider }, isWrong ? [] : ["level"], "logs");
  const values = counts.data?.facets[0]?.values;
  const countOf = (level: string) => values?.find(({ value }) => value === level)?.count ?? 0;
  return (
    <div className="row wrap levels" role="group" aria-label="Levels">
      {LEVELS.map((level) => (
        <button
          key={level}
          type="button"
          className="button small"
          aria-pressed={Boolean(mine?.match(new RegExp(`\\b${level}\\b`)))}
          onClick={() => onChange(toggledValue(q, "level", level))}
        >
          <Level level={level} />
          <span className="soft num level-count">{values ? compact(countOf(level)) : ""}</span>
        </button>
      ))}
    </div>
  );
}

// Narrows by one value of a key.
function Pick({
  name,
  keyName,
  project,
  q,
  onChange,
}: {
  name: string;
  keyName: string;
  project: string;
  q: string;
  onChange: (q: string) => void;
}) {
  const mine = own(q, keyName);
  const values = useValues(project, keyName, "", true, "logs").data?.values ?? [];
  if (!mine && values.length === 0) {
    return null;
  }
  const all = values.map(({ value }) => term(keyName, value));
  return (
    <select
      className="input pick"
      aria-label={name}
      value={mine ?? ""}
      onChange={(event) => {
        const rest = mine ? without(q, mine) : q;
        onChange(event.target.value ? withTerm(rest, event.target.value) : rest);
      }}
    >
      <option value="">Every {name.toLowerCase()}</option>
      {mine && !all.includes(mine) && <option value={mine}>{mine.slice(keyName.length + 1)}</option>}
      {values.map(({ value }) => (
        <option key={String(value)} value={term(keyName, value)}>
          {String(value)}
        </option>
      ))}
    </select>
  );
}
