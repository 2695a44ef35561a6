// Steps as a tree whose bars share one axis of time. Only the rows in sight are in the page; the strip
// above shows every step, and dragging over it looks closer.
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { compact, count, duration, money, plural } from "../text/format";
import { type Shortcut, useShortcuts } from "../ui/keys";
import { Icon, StatusSign, statusKind } from "../ui/parts";
import { kindGroup, type Steps, visible } from "./columns";
import { Minimap } from "./minimap";

const ROW_HEIGHT = 28;
const TICKS = 5;
const NO_KEYS: Shortcut[] = [];

export interface Window {
  from: number;
  to: number;
}

export function Waterfall({
  steps,
  chosen,
  onChoose,
  isBeside = false,
}: {
  steps: Steps;
  chosen: number;
  onChoose: (at: number) => void;
  // Beside something else, whose keys hold.
  isBeside?: boolean;
}) {
  const [closed, setClosed] = useState<ReadonlySet<number>>(new Set());
  // Last tries of which the ones before are shown.
  const [opened, setOpened] = useState<ReadonlySet<number>>(new Set());
  const [wanted, setWanted] = useState("");
  const [onlyErrors, setOnlyErrors] = useState(false);
  const [isCritical, setCritical] = useState(false);
  const [zoom, setZoom] = useState<Window | null>(null);
  const box = useRef<HTMLDivElement>(null);
  const search = useRef<HTMLInputElement>(null);
  const view = zoom ?? { from: 0, to: steps.totalNs };
  const order = useMemo(() => {
    const text = wanted.trim().toLowerCase();
    const passes =
      text || onlyErrors
        ? (at: number) =>
            (!onlyErrors || statusKind(steps.status[at]) === "error") &&
            (!text ||
              `${steps.name[at] ?? ""} ${steps.kind[at] ?? ""} ${steps.model[at] ?? ""} ${steps.ids[at]}`
                .toLowerCase()
                .includes(text))
        : null;
    return visible(steps, closed, passes, opened);
  }, [steps, closed, opened, wanted, onlyErrors]);
  const rows = useVirtualizer({
    count: order.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 10,
  });
  const placeOf = (at: number) => order.indexOf(at);
  const current = Math.max(0, placeOf(chosen));
  const errors = useMemo(() => {
    const found: number[] = [];
    for (let at = 0; at < steps.count; at++) {
      // What failed itself, not what failed because something below it did.
      if (statusKind(steps.status[at]) === "error" && !steps.failsBelow[at]) {
        found.push(at);
      }
    }
    return found;
  }, [steps]);
  const show = (at: number) => {
    // Opens what hides it.
    const next = new Set(closed);
    const tries = new Set(opened);
    for (let above = at; above >= 0; above = steps.parent[above] ?? -1) {
      if (above !== at) {
        next.delete(above);
      }
      const last = steps.lastTry[above] ?? above;
      if (last !== above) {
        tries.add(last);
      }
    }
    if (next.size !== closed.size) {
      setClosed(next);
    }
    if (tries.size !== opened.size) {
      setOpened(tries);
    }
    onChoose(at);
  };
  const move = (step: number) => {
    const place = chosen < 0 ? (step > 0 ? 0 : order.length - 1) : current + step;
    const at = order[Math.max(0, Math.min(order.length - 1, place))];
    if (at !== undefined) {
      onChoose(at);
    }
  };
  const fold = (at: number, isClosed: boolean) => {
    const next = new Set(closed);
    if (isClosed) {
      next.add(at);
    } else {
      next.delete(at);
    }
    setClosed(next);
  };
  const toggleTries = (at: number) => {
    const next = new Set(opened);
    if (!next.delete(at)) {
      next.add(at);
    }
    setOpened(next);
  };
  const foldAll = (isClosed: boolean) => {
    const next = new Set<number>();
    for (let at = 0; isClosed && at < steps.count; at++) {
      if ((steps.childCount[at] ?? 0) > 0 && (steps.depth[at] ?? 0) > 0) {
        next.add(at);
      }
    }
    setClosed(next);
  };
  const nextError = (step: number) => {
    const after = step > 0 ? errors.find((at) => at > chosen) : errors.findLast((at) => at < chosen);
    const to = after ?? (step > 0 ? errors[0] : errors.at(-1));
    if (to !== undefined) {
      setWanted("");
      show(to);
    }
  };
  const pan = (share: number) => {
    const width = view.to - view.from;
    const from = Math.max(0, Math.min(steps.totalNs - width, view.from + share * width));
    setZoom({ from, to: from + width });
  };
  const scale = (factor: number) => {
    const middle = (view.from + view.to) / 2;
    const half = Math.min(steps.totalNs / 2, Math.max(1000, ((view.to - view.from) / 2) * factor));
    const from = Math.max(0, Math.min(steps.totalNs - 2 * half, middle - half));
    setZoom(half * 2 >= steps.totalNs ? null : { from, to: from + 2 * half });
  };
  const fit = () => {
    const length = steps.duration[chosen] ?? -1;
    if (chosen < 0 || length <= 0) {
      setZoom(null);
      return;
    }
    const start = steps.offset[chosen] ?? 0;
    setZoom({ from: Math.max(0, start - length * 0.05), to: Math.min(steps.totalNs, start + length * 1.05) });
  };
  // moves when the choice does
  useEffect(() => {
    const place = placeOf(chosen);
    if (place >= 0) {
      rows.scrollToIndex(place, { align: "auto" });
    }
  }, [chosen, order]);
  const shortcuts = [
    { keys: "/", does: "Find a step", run: () => search.current?.focus() },
    { keys: "n", does: "Next step", run: () => move(1) },
    { keys: "p", does: "Step before", run: () => move(-1) },
    { keys: "e", does: "Next error", run: () => nextError(1) },
    { keys: "E", does: "Error before", run: () => nextError(-1) },
    { keys: "]", does: "Close all", run: () => foldAll(true) },
    { keys: "[", does: "Open all", run: () => foldAll(false) },
    {
      keys: "t",
      does: "Failed tries of the step, shown or not",
      run: () => (steps.tries[chosen] ?? 0) > 0 && toggleTries(chosen),
    },
    { keys: "x", does: "Critical path, or not", run: () => setCritical(!isCritical) },
    { keys: "w", does: "Look closer", run: () => scale(0.6) },
    { keys: "s", does: "Look from further away", run: () => scale(1.7) },
    { keys: "a", does: "Earlier", run: () => pan(-0.25) },
    { keys: "d", does: "Later", run: () => pan(0.25) },
    { keys: "f", does: "Fit the step, or all", run: fit },
  ];
  useShortcuts(isBeside ? NO_KEYS : shortcuts);
  const width = Math.max(1, view.to - view.from);
  const ticks = Array.from({ length: TICKS }, (_, i) => view.from + (width * i) / TICKS);
  return (
    <section className="waterfall" aria-label="Steps">
      <div className="waterfall-bar">
        <div className="search-box small">
          <Icon name="search" />
          <input
            ref={search}
            aria-label="Find a step"
            placeholder="Find a step"
            value={wanted}
            onChange={(event) => setWanted(event.target.value)}
            onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
          />
        </div>
        {(wanted || onlyErrors) && <span className="soft num">{count(order.length)} rows</span>}
        <div className="grow" />
        {errors.length > 0 && (
          <button
            type="button"
            className="button small wrong"
            title="Next error (e)"
            onClick={() => nextError(1)}
          >
            <StatusSign kind="error" /> {count(errors.length)} {errors.length === 1 ? "error" : "errors"}
          </button>
        )}
        {errors.length > 0 && (
          <button
            type="button"
            className="button small"
            aria-pressed={onlyErrors}
            onClick={() => setOnlyErrors(!onlyErrors)}
          >
            Only errors
          </button>
        )}
        <button
          type="button"
          className="button small"
          aria-pressed={isCritical}
          title="What the trace waited for (x)"
          onClick={() => setCritical(!isCritical)}
        >
          Critical path
        </button>
        {zoom && (
          <button type="button" className="button small" onClick={() => setZoom(null)}>
            Whole time
          </button>
        )}
        <button
          type="button"
          className="button small icon"
          aria-label="Open all"
          title="Open all ([)"
          onClick={() => foldAll(false)}
        >
          <Icon name="down" />
        </button>
        <button
          type="button"
          className="button small icon"
          aria-label="Close all"
          title="Close all (])"
          onClick={() => foldAll(true)}
        >
          <Icon name="right" />
        </button>
      </div>
      <Minimap steps={steps} view={view} onZoom={setZoom} />
      <div className="waterfall-axis soft num" aria-hidden="true">
        <span className="axis-name">Step</span>
        <span className="axis-time">
          {ticks.map((tick, i) => (
            <span key={i} style={{ left: `${(100 * i) / TICKS}%` }}>
              {tick === 0 ? "0" : duration(Math.round(tick))}
            </span>
          ))}
        </span>
      </div>
      <div
        ref={box}
        className="waterfall-rows"
        role="tree"
        aria-label="Steps of the trace"
        tabIndex={0}
        aria-activedescendant={chosen >= 0 ? `step-${chosen}` : undefined}
        onKeyDown={(event) => {
          const isOpen = !closed.has(chosen) && (steps.childCount[chosen] ?? 0) > 0;
          if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            event.preventDefault();
            move(event.key === "ArrowDown" ? 1 : -1);
          } else if (event.key === "Home" || event.key === "End") {
            event.preventDefault();
            const to = order[event.key === "Home" ? 0 : order.length - 1];
            if (to !== undefined) {
              onChoose(to);
            }
          } else if (event.key === "ArrowRight" && chosen >= 0) {
            event.preventDefault();
            if (closed.has(chosen)) {
              fold(chosen, false);
            } else if (isOpen) {
              move(1);
            }
          } else if (event.key === "ArrowLeft" && chosen >= 0) {
            event.preventDefault();
            const above = steps.parent[chosen] ?? -1;
            if (isOpen) {
              fold(chosen, true);
            } else if (above >= 0) {
              onChoose(above);
            }
          }
        }}
      >
        <div role="none" style={{ height: rows.getTotalSize(), position: "relative" }}>
          {rows.getVirtualItems().map((item) => {
            const at = order[item.index] ?? 0;
            return (
              <Row
                key={at}
                steps={steps}
                at={at}
                top={item.start}
                isChosen={at === chosen}
                isClosed={closed.has(at)}
                isDim={isCritical && !steps.critical[at]}
                view={view}
                onChoose={onChoose}
                fold={fold}
                areTriesShown={opened.has(at)}
                toggleTries={toggleTries}
              />
            );
          })}
        </div>
        {order.length === 0 && (
          <p className="soft step-pad">
            {steps.count === 0 ? "No step has arrived yet." : "No step is like that."}
          </p>
        )}
      </div>
    </section>
  );
}

function Row({
  steps,
  at,
  top,
  isChosen,
  isClosed,
  isDim,
  view,
  onChoose,
  fold,
  areTriesShown,
  toggleTries,
}: {
  steps: Steps;
  at: number;
  top: number;
  isChosen: boolean;
  isClosed: boolean;
  isDim: boolean;
  view: Window;
  onChoose: (at: number) => void;
  fold: (at: number, isClosed: boolean) => void;
  areTriesShown: boolean;
  toggleTries: (at: number) => void;
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
      onClick={() => onChoose(at)}
    >
      <span className="step-name" style={{ paddingLeft: 4 + Math.min(depth, 24) * 14 }}>
        {children > 0 ? (
          <span
            className="json-fold is-fold"
            aria-hidden="true"
            onClick={(event) => {
              event.stopPropagation();
              fold(at, !isClosed);
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
              toggleTries(at);
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
          className={`bar-label num ${start > 70 ? "is-left" : stop > 82 ? "is-inside" : ""}`}
          style={
            start > 70
              ? { right: `calc(${100 - start}% + 6px)` }
              : {
                  left: `calc(${stop}% + 6px)`,
                  ...(stop > 82 ? { left: "auto", right: `calc(${100 - stop}% + 6px)` } : {}),
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
}
