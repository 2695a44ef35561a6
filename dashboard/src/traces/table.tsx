// The list as a grid of which only the rows in sight are in the page.
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import type { Trace } from "../api/types";
import { usePrefs } from "../state/prefs";
import { useShortcuts } from "../ui/keys";
import { Icon } from "../ui/parts";
import { type Column, widthOf } from "./columns";
import { Row, type RowDoes } from "./row";

const ROW_HEIGHT = 34;
// Rows that are drawn out of sight: few where people wait for the rows in sight, more once they scroll.
const BEYOND = 2;
const BEYOND_SCROLLING = 8;

interface Props {
  columns: Column[];
  traces: Trace[];
  isLoading: boolean;
  isStale: boolean;
  sort: string;
  onSort: (sort: string) => void;
  more: (() => void) | null;
  isFetchingMore: boolean;
  href: (trace: Trace) => string;
  onOpen: (trace: Trace) => void;
  // It may be opened next.
  onSoon: (trace: Trace) => void;
  // The trace that is shown beside the list, and how to show another or none.
  peek: string;
  onPeek: (trace: Trace | null) => void;
  onFilter: (key: string, value: unknown, exclude: boolean) => void;
  chosen: ReadonlyMap<string, Trace>;
  onChoose: (chosen: ReadonlyMap<string, Trace>) => void;
}

export function TraceTable(props: Props) {
  const { columns, traces, sort, more, chosen } = props;
  const { zone } = usePrefs();
  const box = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState(0);
  const [hasScrolled, setScrolled] = useState(false);
  const rows = useVirtualizer({
    count: traces.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: hasScrolled ? BEYOND_SCROLLING : BEYOND,
    getItemKey: (index) => traces[index]?.run_id ?? index,
  });
  const visible = rows.getVirtualItems();
  const last = visible.at(-1)?.index ?? 0;
  useEffect(() => {
    if (more && !props.isFetchingMore && last >= traces.length - 20) {
      more();
    }
  }, [more, last, traces.length, props.isFetchingMore]);
  const current = Math.min(at, Math.max(0, traces.length - 1));
  const move = (to: number) => {
    const next = Math.max(0, Math.min(traces.length - 1, to));
    setAt(next);
    rows.scrollToIndex(next);
  };
  const focusRow = (to: number) => {
    move(to);
    const trace = traces[Math.max(0, Math.min(traces.length - 1, to))];
    if (props.peek && trace) {
      props.onPeek(trace);
    }
    requestAnimationFrame(() =>
      box.current
        ?.querySelector<HTMLElement>(`[data-row="${Math.max(0, Math.min(traces.length - 1, to))}"]`)
        ?.focus(),
    );
  };
  const lastChosen = useRef(-1);
  const choose = (place: number, isRange = false) => {
    const trace = traces[place];
    if (!trace) {
      return;
    }
    const next = new Map(chosen);
    if (isRange && lastChosen.current >= 0) {
      const [from, to] = [lastChosen.current, place].sort((a, b) => a - b) as [number, number];
      for (const one of traces.slice(from, to + 1)) {
        next.set(one.run_id, one);
      }
    } else if (!next.delete(trace.run_id)) {
      next.set(trace.run_id, trace);
    }
    lastChosen.current = place;
    props.onChoose(next);
  };
  const areAllChosen = traces.length > 0 && traces.every((trace) => chosen.has(trace.run_id));
  const chooseAll = () =>
    props.onChoose(areAllChosen ? new Map() : new Map(traces.map((trace) => [trace.run_id, trace])));
  const togglePeek = (trace: Trace | undefined) => {
    if (trace) {
      props.onPeek(props.peek === trace.run_id ? null : trace);
    }
  };
  useShortcuts([
    { keys: "j", does: "Next trace", run: () => focusRow(current + 1) },
    { keys: "k", does: "Trace before", run: () => focusRow(current - 1) },
    { keys: "x", does: "Choose the trace, to compare, score, export or delete", run: () => choose(current) },
    { keys: "X", does: "Choose all up to this trace", run: () => choose(current, true) },
    { keys: "space", does: "Look at the trace beside the list", run: () => togglePeek(traces[current]) },
    { keys: "o", does: "Open the trace", run: () => traces[current] && props.onOpen(traces[current]) },
  ]);
  // Always the same, so that rows that stay as they are are not drawn again.
  const latest = useRef({ props, choose, focusRow, togglePeek });
  latest.current = { props, choose, focusRow, togglePeek };
  const does = useMemo<RowDoes>(
    () => ({
      at: setAt,
      open: (trace) => latest.current.props.onOpen(trace),
      soon: (trace) => latest.current.props.onSoon(trace),
      peek: (trace) => latest.current.togglePeek(trace),
      choose: (place, isRange) => latest.current.choose(place, isRange),
      move: (place) => latest.current.focusRow(place),
      filter: (key, value, exclude) => latest.current.props.onFilter(key, value, exclude),
      href: (trace) => latest.current.props.href(trace),
    }),
    [],
  );
  const widths = columns.map((column) => widthOf(column, traces));
  const template = `34px ${widths.join(" ")}`;
  const width =
    widths.reduce((sum, one) => sum + Number(/\d+/.exec(one)?.[0] ?? 100), 34) +
    12 * columns.length +
    20;
  return (
    <div
      ref={box}
      onScroll={() => setScrolled(true)}
      className={`grid ${props.isStale ? "is-stale" : ""}`}
      role="grid"
      aria-label="Traces"
      aria-rowcount={traces.length + 1}
      aria-busy={props.isLoading}
      tabIndex={traces.length === 0 ? 0 : -1}
    >
      <div style={{ minWidth: width }}>
        <div className="grid-head" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
          <span role="columnheader" className="cell-check">
            <input
              type="checkbox"
              aria-label="Choose all that are loaded"
              checked={areAllChosen}
              ref={(box) => {
                if (box) {
                  box.indeterminate = chosen.size > 0 && !areAllChosen;
                }
              }}
              onChange={chooseAll}
            />
          </span>
          {columns.map((column) => (
            <Head key={column.id} column={column} sort={sort} onSort={props.onSort} />
          ))}
        </div>
        {props.isLoading ? (
          <GhostRows template={template} columns={columns.length} />
        ) : (
          <div className="grid-rows" role="rowgroup" style={{ height: rows.getTotalSize() }}>
            {visible.map((item) => {
              const trace = traces[item.index] as Trace;
              return (
                <Row
                  key={item.key}
                  trace={trace}
                  place={item.index}
                  top={item.start}
                  columns={columns}
                  template={template}
                  zone={zone}
                  isChosen={chosen.has(trace.run_id)}
                  isPeeked={props.peek === trace.run_id}
                  isCurrent={item.index === current}
                  does={does}
                />
              );
            })}
          </div>
        )}
        {props.isFetchingMore && (
          <div className="soft grid-more" role="status">
            Loading more…
          </div>
        )}
      </div>
    </div>
  );
}

function Head({ column, sort, onSort }: { column: Column; sort: string; onSort: (sort: string) => void }) {
  const key = column.sort;
  const isDown = sort === `-${key}`;
  const isUp = sort === key;
  const order = isDown ? "descending" : isUp ? "ascending" : undefined;
  return (
    <span
      role="columnheader"
      aria-sort={key ? (order ?? "none") : undefined}
      className={column.isNumber ? "num" : ""}
    >
      {key ? (
        <button type="button" className="head-button" onClick={() => onSort(isDown ? key : `-${key}`)}>
          {column.name}
          {order && <Icon name={isDown ? "down" : "up"} />}
        </button>
      ) : (
        column.name
      )}
    </span>
  );
}

function GhostRows({ template, columns }: { template: string; columns: number }) {
  return (
    <div className="grid-rows" aria-hidden="true">
      {Array.from({ length: 14 }, (_, row) => (
        <div key={row} className="grid-row is-ghost" style={{ gridTemplateColumns: template }}>
          <span />
          {Array.from({ length: columns }, (_, column) => (
            <span
              key={column}
              className="ghost"
              style={{ height: 12, width: `${50 + ((row * 7 + column * 13) % 40)}%` }}
            />
          ))}
        </div>
      ))}
    </div>
  );
}
