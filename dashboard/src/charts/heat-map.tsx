// How many had which value when: one row of cells for each band of values, the darker the more.
import { useEffect, useId, useMemo, useRef, useState } from "react";
import { usePrefs } from "../state/prefs";
import { axisTime, count, fullTime } from "../text/format";
import { ticksOf } from "../traces/histogram";

export interface Bin {
  from: number;
  to: number;
  count: number;
}

export interface HeatColumn {
  at: number;
  bins: Bin[];
}

const BANDS_MAX = 18;
const LEFT = 52;
const BOTTOM = 22;
const HEIGHT = 180;

export interface Cells {
  // Lower ends of the bands, and the upper end of the last.
  edges: number[];
  // By column, then by band.
  counts: Uint32Array;
  most: number;
}

// Bands of equal width on a logarithmic scale, from the least to the most that there is.
export function cellsOf(columns: HeatColumn[]): Cells | null {
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  for (const { bins } of columns) {
    for (const bin of bins) {
      least = Math.min(least, Math.max(1, bin.from));
      most = Math.max(most, bin.to);
    }
  }
  if (!Number.isFinite(least)) {
    return null;
  }
  const low = Math.log(least);
  const wide = Math.max(Math.log(Math.max(most, least * 2)) - low, 0.1);
  const bands = BANDS_MAX;
  const edges = Array.from({ length: bands + 1 }, (_, at) => Math.exp(low + (wide * at) / bands));
  const counts = new Uint32Array(columns.length * bands);
  let fullest = 0;
  columns.forEach(({ bins }, at) => {
    for (const bin of bins) {
      const middle = Math.log(Math.max(1, (bin.from + bin.to) / 2));
      const band = Math.max(0, Math.min(bands - 1, Math.floor((bands * (middle - low)) / wide)));
      const place = at * bands + band;
      counts[place] = (counts[place] ?? 0) + bin.count;
      fullest = Math.max(fullest, counts[place] ?? 0);
    }
  });
  return { edges, counts, most: fullest };
}

export function HeatMap({
  title,
  columns,
  show,
  step,
  onPick,
}: {
  title: string;
  columns: HeatColumn[];
  show: (value: number) => string;
  step: number;
  onPick: (from: number, to: number, low: number, high: number) => void;
}) {
  const { zone, theme } = usePrefs();
  const id = useId();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [over, setOver] = useState<[number, number] | null>(null);
  const cells = useMemo(() => cellsOf(columns), [columns]);
  const bands = cells ? cells.edges.length - 1 : 0;
  useEffect(() => {
    const box = canvas.current?.parentElement;
    if (!box) {
      return;
    }
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(box);
    return () => observer.disconnect();
  }, []);
  const inner = Math.max(1, width - LEFT - 4);
  const start = columns[0]?.at ?? 0;
  const end = (columns.at(-1)?.at ?? 0) + step;
  useEffect(() => {
    const draw = () => paint(canvas.current, cells, columns.length, width, over);
    draw();
    const scheme = window.matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", draw);
    return () => scheme.removeEventListener("change", draw);
  }, [cells, columns.length, width, over, theme]);
  const cellAt = (x: number, y: number): [number, number] | null => {
    const rect = canvas.current?.getBoundingClientRect();
    if (!rect || !cells) {
      return null;
    }
    const column = Math.floor(((x - rect.left - LEFT) / inner) * columns.length);
    const band = Math.floor((1 - (y - rect.top) / (HEIGHT - BOTTOM)) * bands);
    return column >= 0 && column < columns.length && band >= 0 && band < bands ? [column, band] : null;
  };
  const pick = (cell: [number, number] | null) => {
    const at = cell ? columns[cell[0]]?.at : undefined;
    if (cell && at !== undefined && cells) {
      onPick(at, at + step, Math.floor(cells.edges[cell[1]] ?? 0), Math.ceil(cells.edges[cell[1] + 1] ?? 0));
    }
  };
  const told = over && cells ? tell(over, cells, bands, show) : "";
  const overAt = over ? columns[over[0]]?.at : undefined;
  return (
    <figure className="chart">
      <figcaption id={id}>
        <h2>{title}</h2>
        <span className="soft num" aria-live="polite">
          {overAt !== undefined && `${fullTime(new Date(overAt).toISOString(), zone)} · ${told}`}
        </span>
      </figcaption>
      <div className="heat">
        <canvas
          ref={canvas}
          role="application"
          aria-labelledby={id}
          aria-roledescription="heat map"
          tabIndex={0}
          style={{ width, height: HEIGHT }}
          onPointerMove={(event) => setOver(cellAt(event.clientX, event.clientY))}
          onPointerLeave={() => setOver(null)}
          onClick={(event) => pick(cellAt(event.clientX, event.clientY))}
          onKeyDown={(event) => {
            const moves: Record<string, [number, number]> = {
              ArrowRight: [1, 0],
              ArrowLeft: [-1, 0],
              ArrowUp: [0, 1],
              ArrowDown: [0, -1],
            };
            const move = moves[event.key];
            if (move) {
              event.preventDefault();
              const [column, band] = over ?? [move[0] < 0 ? columns.length : -1, 0];
              setOver([
                Math.max(0, Math.min(columns.length - 1, column + move[0])),
                Math.max(0, Math.min(bands - 1, band + move[1])),
              ]);
            } else if (event.key === "Enter") {
              pick(over);
            }
          }}
        />
        {cells &&
          [0, 0.5, 1].map((share) => (
            <span key={share} className="heat-y soft num" style={{ bottom: BOTTOM + share * (HEIGHT - BOTTOM - 14) }}>
              {show(Math.round(cells.edges[Math.round(share * bands)] ?? 0))}
            </span>
          ))}
        {ticksOf(start, end, width < 420 ? 3 : 6).map((tick) => (
          <span
            key={tick.at}
            className="heat-x soft num"
            style={{ left: LEFT + (inner * (tick.at - start)) / Math.max(1, end - start) }}
          >
            {axisTime(tick.at, tick.step, zone)}
          </span>
        ))}
      </div>
      <ul className="legend">
        <li className="soft">{cells ? `up to ${count(cells.most)} in a cell` : "Nothing has a value in this time"}</li>
      </ul>
    </figure>
  );
}

function tell([column, band]: [number, number], cells: Cells, bands: number, show: (value: number) => string) {
  const [low, high] = [cells.edges[band] ?? 0, cells.edges[band + 1] ?? 0];
  return `${show(Math.round(low))} to ${show(Math.round(high))}: ${count(cells.counts[column * bands + band] ?? 0)}`;
}

function paint(
  canvas: HTMLCanvasElement | null,
  cells: Cells | null,
  columns: number,
  width: number,
  over: [number, number] | null,
) {
  const context = canvas?.getContext("2d");
  if (!canvas || !context || width === 0) {
    return;
  }
  const dense = window.devicePixelRatio || 1;
  canvas.width = width * dense;
  canvas.height = HEIGHT * dense;
  context.scale(dense, dense);
  context.clearRect(0, 0, width, HEIGHT);
  const style = getComputedStyle(canvas);
  const high = HEIGHT - BOTTOM;
  context.fillStyle = style.getPropertyValue("--bg-sunk");
  context.fillRect(LEFT, 0, width - LEFT - 4, high);
  if (!cells) {
    return;
  }
  const bands = cells.edges.length - 1;
  const wide = (width - LEFT - 4) / columns;
  const tall = high / bands;
  context.fillStyle = style.color;
  for (let column = 0; column < columns; column++) {
    for (let band = 0; band < bands; band++) {
      const n = cells.counts[column * bands + band] ?? 0;
      if (n > 0) {
        context.globalAlpha = 0.15 + 0.85 * (Math.log(1 + n) / Math.log(1 + cells.most));
        context.fillRect(LEFT + column * wide, high - (band + 1) * tall, Math.max(2, wide - 1), Math.max(1, tall - 1));
      }
    }
  }
  context.globalAlpha = 1;
  if (over) {
    context.strokeStyle = style.getPropertyValue("--text");
    context.strokeRect(LEFT + over[0] * wide, high - (over[1] + 1) * tall, Math.max(3, wide - 1), Math.max(3, tall - 1));
  }
}
