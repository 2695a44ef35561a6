// A step as a row: its name in the tree, and its bar on the axis of time.
import { memo } from "react";
import { compact, count, duration, money, plural } from "../text/format";
import { Icon, StatusSign, statusKind } from "../ui/parts";
import { kindGroup, type Steps } from "./columns";

export interface Window {
  from: number;
  to: number;
}

export interface RowDoes {
  choose: (at: number) => void;
  fold: (at: number, isClosed: boolean) => void;
  tries: (at: number) => void;
}

export const Row = memo(function Row({
  steps,
  at,
  top,
  isChosen,
  isClosed,
  isDim,
  view,
  areTriesShown,
  does,
}: {
  steps: Steps;
  at: number;
  top: number;
  isChosen: boolean;
  isClosed: boolean;
  isDim: boolean;
  view: Window;
  areTriesShown: boolean;
  does: RowDoes;
}) {
  const depth = steps.depth[at] ?? 0;
  const children = steps.childCount[at] ?? 0;
  const below = (steps.end[at] ?? at + 1) - at - 1;
  const status = statusKind(steps.status[at]);
  const kind = steps.kind[at] ?? "";
  const offset = steps.offset[at] ?? 0;
  const length = steps.duration[at] ?? -1;
  const isOpenEnded = length < 0 && status === "running";
  const end = length >= 0 ? offset + length : isOpenEnded ? steps.totalNs : offset;
  const width = Math.max(1, view.to - view.from);
  const left = (100 * (offset - view.from)) / width;
  const right = (100 * (end - view.from)) / width;
  const name = steps.name[at] || "(no name)";
  const tokens = steps.tokens[at] ?? 0;
  const cost = steps.cost[at] ?? 0;
  const tries = steps.tries[at] ?? 0;
  const isLast = (steps.lastTry[at] ?? at) === at;
  const isOutside = right < 0 || left > 100;
  const start = Math.max(0, Math.min(100, left));
  const stop = Math.max(start, Math.min(100, right));
  const parent = steps.parent[at] ?? -1;
  const parentEnd = parent < 0 ? 0 : (steps.offset[parent] ?? 0) + (steps.duration[parent] ?? -1);
  const isSkewed =
    parent >= 0 &&
    length >= 0 &&
    (steps.duration[parent] ?? -1) >= 0 &&
    (offset < (steps.offset[parent] ?? 0) || end > parentEnd + 1e6);
  return (
    // the tree above has the keys
    <div
      id={`step-${at}`}
      role="treeitem"
      tabIndex={-1}
      aria-level={depth + 1}
      aria-setsize={-1}
      aria-posinset={1}
      aria-selected={isChosen}
      aria-expanded={children > 0 ? !isClosed : undefined}
      className={`waterfall-row ${isChosen ? "is-chosen" : ""} ${isDim ? "is-dim" : ""}`}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => does.choose(at)}
    >
      <span className="step-name" style={{ paddingLeft: 4 + Math.min(depth, 24) * 14 }}>
        {children > 0 ? (
          <span
            className="json-fold is-fold"
            aria-hidden="true"
            onClick={(event) => {
              event.stopPropagation();
              does.fold(at, !isClosed);
            }}
          >
            <Icon name={isClosed ? "right" : "down"} />
          </span>
        ) : (
          <span className="json-fold" />
        )}
        <span className={`kind-dot ${kindGroup(kind)}`} title={kind} />
        <span className={`cut ${status === "error" ? "wrong" : ""}`}>{name}</span>
        {status === "error" && (
          <span className="wrong">
            <StatusSign kind="error" />
          </span>
        )}
        <span className="hidden-text">
          {kind} {steps.status[at]}
        </span>
        {isClosed && <span className="chip num">{count(below)}</span>}
        {tries > 0 && isLast && (
          <span
            className={`chip num tries ${areTriesShown ? "is-open" : ""}`}
            title={`After ${plural(tries, "failed try", "failed tries")} (t)`}
            onClick={(event) => {
              event.stopPropagation();
              does.tries(at);
            }}
          >
            <Icon name="refresh" />
            {count(tries + 1)} tries
          </span>
        )}
        {!isLast && <span className="soft num tries-place">try {count(tries + 1)}</span>}
        <span className="grow" />
        {tokens > 0 && (
          <span className="soft num step-number" title={`${count(tokens)} tokens`}>
            {compact(tokens)}
          </span>
        )}
        {cost > 0 && <span className="soft num step-number">{money(cost)}</span>}
      </span>
      <span className="step-time">
        {!isOutside && (
          <span
            className={`span-bar ${kindGroup(kind)} ${status === "error" ? "is-bad" : ""} ${isOpenEnded ? "is-open" : ""}`}
            style={{ left: `${start}%`, width: `max(2px, ${stop - start}%)` }}
          />
        )}
        <span
          className={`bar-label num ${start > 70 ? "is-left" : stop > 76 ? "is-inside" : ""}`}
          style={
            start > 70
              ? { right: `calc(${100 - start}% + 6px)` }
              : {
                  left: `calc(${stop}% + 6px)`,
                  ...(stop > 76 ? { left: "auto", right: `calc(${100 - stop}% + 6px)` } : {}),
                }
          }
        >
          {isOpenEnded ? "running" : length < 0 ? "" : duration(length)}
          {isSkewed && (
            <span
              className="skew"
              title="Lies outside of the step above it: the clocks of two machines differ"
            >
              {" "}
              clock?
            </span>
          )}
        </span>
      </span>
    </div>
  );
});
