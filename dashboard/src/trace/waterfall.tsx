// Steps as a tree whose bars share one axis of time. Only the rows in sight are in the page; the strip
// above shows every step, and dragging over it looks closer.
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { count, duration } from "../text/format";
import { type Shortcut, useShortcuts } from "../ui/keys";
import { Icon, StatusSign, statusKind } from "../ui/parts";
import { type Steps, visible } from "./columns";
import { Minimap } from "./minimap";
import { Row, type RowDoes, type Window } from "./row";

const ROW_HEIGHT = 28;
const TICKS = 5;
const NO_KEYS: Shortcut[] = [];

export function Waterfall({
  steps,
  total,
  chosen,
  onChoose,
  isBeside = false,
}: {
  steps: Steps;
  // So many there are, of which some may not be here yet.
  total: number;
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
  const view = useMemo(() => zoom ?? { from: 0, to: steps.totalNs }, [zoom, steps.totalNs]);
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
    const last = steps.lastTry[chosen] ?? chosen;
    if (place < 0 && chosen >= 0 && last !== chosen && !opened.has(last)) {
      setOpened(new Set(opened).add(last));
    }
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
  // Always the same, so that rows that stay as they are are not drawn again.
  const latest = useRef({ onChoose, fold, toggleTries });
  latest.current = { onChoose, fold, toggleTries };
  const does = useMemo<RowDoes>(
    () => ({
      choose: (at) => latest.current.onChoose(at),
      fold: (at, isClosed) => latest.current.fold(at, isClosed),
      tries: (at) => latest.current.toggleTries(at),
    }),
    [],
  );
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
        {steps.count < total && (
          <span className="soft num" role="status">
            {count(steps.count)} of {count(total)} steps, more are coming
          </span>
        )}
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
                areTriesShown={opened.has(at)}
                does={does}
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
