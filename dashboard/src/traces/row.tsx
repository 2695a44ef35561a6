// A trace as a row of the list.
import { type KeyboardEvent, memo, useEffect, useState } from "react";
import type { Trace } from "../api/types";
import type { Zone } from "../text/format";
import { Icon } from "../ui/parts";
import type { Column } from "./columns";

// So long a pointer stays on a row that is meant.
const MEANT_MS = 80;
const STEPS: Record<string, number> = {
  ArrowDown: 1,
  ArrowUp: -1,
  PageDown: 20,
  PageUp: -20,
  Home: Number.NEGATIVE_INFINITY,
  End: Number.POSITIVE_INFINITY,
};

export interface RowDoes {
  at: (place: number) => void;
  open: (trace: Trace) => void;
  // It may be opened next.
  soon: (trace: Trace) => void;
  peek: (trace: Trace) => void;
  choose: (place: number, isRange: boolean) => void;
  move: (place: number) => void;
  filter: (key: string, value: unknown, exclude: boolean) => void;
  href: (trace: Trace) => string;
}

interface Props {
  trace: Trace;
  place: number;
  top: number;
  columns: Column[];
  template: string;
  zone: Zone;
  isChosen: boolean;
  isPeeked: boolean;
  isCurrent: boolean;
  does: RowDoes;
}

export const Row = memo(function Row(props: Props) {
  const { trace, place, columns, zone, does } = props;
  const [isUnder, setUnder] = useState(false);
  useEffect(() => {
    if (!isUnder) {
      return;
    }
    const timer = window.setTimeout(() => does.soon(trace), MEANT_MS);
    return () => window.clearTimeout(timer);
  }, [isUnder, does, trace]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget) {
      return;
    }
    const step = STEPS[event.key];
    if (step !== undefined) {
      event.preventDefault();
      does.move(place + step);
    } else if (event.key === "Enter") {
      event.preventDefault();
      does.open(trace);
    } else if (event.key === " ") {
      event.preventDefault();
      does.peek(trace);
    }
  };
  return (
    <div
      role="row"
      data-row={place}
      aria-rowindex={place + 2}
      aria-selected={props.isChosen}
      tabIndex={props.isCurrent ? 0 : -1}
      className={`grid-row ${props.isPeeked ? "is-peeked" : ""}`}
      style={{ gridTemplateColumns: props.template, transform: `translateY(${props.top}px)` }}
      onFocus={() => does.at(place)}
      onPointerEnter={() => setUnder(true)}
      onPointerLeave={() => setUnder(false)}
      onClick={(event) => {
        const isElsewhere = (event.target as HTMLElement).closest("button, input, a");
        if (!isElsewhere && !window.getSelection()?.toString()) {
          does.open(trace);
        }
      }}
      onKeyDown={onKeyDown}
    >
      <span role="gridcell" className="cell-check">
        <input
          type="checkbox"
          tabIndex={-1}
          aria-label={`Choose ${trace.name || trace.run_id}`}
          checked={props.isChosen}
          onChange={(event) => does.choose(place, (event.nativeEvent as MouseEvent).shiftKey)}
        />
      </span>
      {columns.map((column) => (
        <Cell key={column.id} column={column} trace={trace} zone={zone} does={does} isUnder={isUnder} />
      ))}
    </div>
  );
});

function Cell({
  column,
  trace,
  zone,
  does,
  isUnder,
}: {
  column: Column;
  trace: Trace;
  zone: Zone;
  does: RowDoes;
  // Whether the pointer is on its row: what can be done with a cell is not there before.
  isUnder: boolean;
}) {
  const content = column.show(trace, zone);
  const pair = isUnder ? column.filter?.(trace)[0] : undefined;
  return (
    <span role="gridcell" className={`cell ${column.isNumber ? "num" : ""}`}>
      {column.id === "name" ? (
        <a
          href={does.href(trace)}
          tabIndex={-1}
          className="cut cell-link"
          onClick={(event) => {
            // A plain click is the row's; one with a key opens a tab.
            if (!event.metaKey && !event.ctrlKey && !event.shiftKey) {
              event.preventDefault();
              does.open(trace);
            }
          }}
        >
          {content}
        </a>
      ) : (
        content
      )}
      {pair && (
        <span className="cell-filter">
          {([false, true] as const).map((exclude) => {
            const [key, value] = pair;
            const name = `${exclude ? "Without" : "Only"} ${key} ${String(value)}`;
            return (
              <button
                key={String(exclude)}
                type="button"
                tabIndex={-1}
                aria-label={name}
                title={name}
                onClick={() => does.filter(key, value, exclude)}
              >
                <Icon name={exclude ? "minus" : "plus"} />
              </button>
            );
          })}
        </span>
      )}
    </span>
  );
}
