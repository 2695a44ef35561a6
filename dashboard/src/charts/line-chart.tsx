// Values over time as lines, with a table for whoever cannot see them and a cursor for the keys.
import type React from "react";
import { useEffect, useId, useMemo, useRef, useState } from "react";
import { usePrefs } from "../state/prefs";
import { axisTime, fullTime } from "../text/format";
import { ticksOf } from "../traces/histogram";

export interface Series {
  name: string;
  // What the group is, where there are groups; null for what has no value.
  group?: unknown;
  isBad?: boolean;
  points: { at: number; value: number | null }[];
}

// Until it is known how much room there is.
const WIDTH = 640;
const HEIGHT = 180;
const LEFT = 52;
const BOTTOM = 22;
const TOP = 8;
export const SERIES_MAX = 6;

function round(most: number): number {
  if (most <= 0) {
    return 1;
  }
  const power = 10 ** Math.floor(Math.log10(most));
  return ([1, 2, 2.5, 5, 10].find((step) => step * power >= most) ?? 10) * power;
}

export function LineChart({
  title,
  series,
  show,
  step,
  onPick,
}: {
  title: string;
  series: Series[];
  show: (value: number) => string;
  step: number;
  onPick: (from: number, to: number, series: Series | undefined) => void;
}) {
  const { zone } = usePrefs();
  const id = useId();
  const box = useRef<SVGSVGElement>(null);
  const [over, setOver] = useState<number | null>(null);
  // Which of the lines, where one is meant.
  const [line, setLine] = useState<number | null>(null);
  const [width, setWidth] = useState(WIDTH);
  useEffect(() => {
    const element = box.current?.parentElement;
    if (!element) {
      return;
    }
    const observer = new ResizeObserver(([entry]) =>
      setWidth(Math.max(240, Math.floor(entry?.contentRect.width ?? WIDTH))),
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const times = useMemo(
    () => [...new Set(series.flatMap((one) => one.points.map((point) => point.at)))].sort((a, b) => a - b),
    [series],
  );
  const shown = series.slice(0, SERIES_MAX);
  const start = times[0] ?? 0;
  const end = (times.at(-1) ?? 1) + step;
  const top = round(Math.max(0, ...shown.flatMap((one) => one.points.map((point) => point.value ?? 0))));
  const x = (at: number) => LEFT + ((width - LEFT - 8) * (at + step / 2 - start)) / Math.max(1, end - start);
  const y = (value: number) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const at = over === null ? null : (times[over] ?? null);
  const nearest = (clientX: number) => {
    const rect = box.current?.getBoundingClientRect();
    if (!rect || times.length === 0) {
      return null;
    }
    const wanted = ((clientX - rect.left) / rect.width) * width;
    let best = 0;
    times.forEach((one, place) => {
      if (Math.abs(x(one) - wanted) < Math.abs(x(times[best] ?? 0) - wanted)) {
        best = place;
      }
    });
    return best;
  };
  const valueAt = (one: Series, when = at) => one.points.find((point) => point.at === when)?.value;
  // Of the lines that have a value there the one that is nearest.
  const nearestLine = (clientY: number, place: number | null) => {
    const rect = box.current?.getBoundingClientRect();
    const when = place === null ? null : (times[place] ?? null);
    if (!rect || when === null) {
      return null;
    }
    const wanted = ((clientY - rect.top) / rect.height) * HEIGHT;
    let best: number | null = null;
    let least = Number.POSITIVE_INFINITY;
    shown.forEach((one, each) => {
      const value = valueAt(one, when);
      if (value != null && Math.abs(y(value) - wanted) < least) {
        least = Math.abs(y(value) - wanted);
        best = each;
      }
    });
    return best;
  };
  const look = (event: React.PointerEvent | React.MouseEvent) => {
    const place = nearest(event.clientX);
    setOver(place);
    setLine(nearestLine(event.clientY, place));
    return place;
  };
  const isEmpty = shown.every((one) => one.points.every((point) => point.value === null));
  return (
    <figure className="chart">
      <figcaption id={id}>
        <h2>{title}</h2>
        <span className="soft num" aria-live="polite">
          {at !== null && fullTime(new Date(at).toISOString(), zone)}
        </span>
      </figcaption>
      <svg
        ref={box}
        viewBox={`0 0 ${width} ${HEIGHT}`}
        role="application"
        aria-labelledby={id}
        aria-roledescription="chart"
        tabIndex={0}
        onPointerMove={look}
        onPointerLeave={() => {
          setOver(null);
          setLine(null);
        }}
        onClick={(event) => {
          const place = look(event);
          const when = place === null ? undefined : times[place];
          if (when !== undefined) {
            onPick(when, when + step, shown[nearestLine(event.clientY, place) ?? -1]);
          }
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowUp" || event.key === "ArrowDown") {
            event.preventDefault();
            const step = event.key === "ArrowDown" ? 1 : -1;
            setLine(((line ?? (step > 0 ? -1 : shown.length)) + step + shown.length) % Math.max(1, shown.length));
          }
          const move = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
          if (event.key === "Home" || event.key === "End") {
            event.preventDefault();
            setOver(event.key === "Home" ? 0 : times.length - 1);
          } else if (move !== 0) {
            event.preventDefault();
            setOver(Math.max(0, Math.min(times.length - 1, (over ?? (move > 0 ? -1 : times.length)) + move)));
          } else if (event.key === "Enter" && at !== null) {
            onPick(at, at + step, shown[line ?? -1]);
          }
        }}
      >
        {[0, 0.5, 1].map((share) => (
          <g key={share}>
            <line className="chart-grid" x1={LEFT} x2={width - 8} y1={y(top * share)} y2={y(top * share)} />
            <text className="chart-text" x={LEFT - 6} y={y(top * share) + 4} textAnchor="end">
              {show(top * share)}
            </text>
          </g>
        ))}
        {ticksOf(start, end, width < 420 ? 3 : 6).map((tick) => (
          <text
            key={tick.at}
            className="chart-text"
            x={Math.max(LEFT, x(tick.at - step / 2))}
            y={HEIGHT - 5}
            textAnchor="middle"
          >
            {axisTime(tick.at, tick.step, zone)}
          </text>
        ))}
        {shown.map((one, place) => (
          <Line key={one.name} series={one} place={place} x={x} y={y} isMeant={line === place} />
        ))}
        {isEmpty && (
          <text className="chart-text" x={width / 2} y={HEIGHT / 2} textAnchor="middle">
            Nothing has a value in this time
          </text>
        )}
        {at !== null && <line className="chart-cursor" x1={x(at)} x2={x(at)} y1={TOP} y2={HEIGHT - BOTTOM} />}
      </svg>
      <ul className="legend">
        {shown.map((one, place) => (
          <li key={one.name} className={line === place ? "is-meant" : ""}>
            <svg width="18" height="8" aria-hidden="true">
              <line className={`line-${toneOf(one, place)}`} x1="0" x2="18" y1="4" y2="4" />
            </svg>
            <span className="cut">{one.name}</span>
            {/* there without a value, too, so that nothing moves */}
            <b className="num legend-value">
              {at !== null && (valueAt(one) == null ? "–" : show(valueAt(one) as number))}
            </b>
          </li>
        ))}
        {series.length > SERIES_MAX && <li className="soft">and {series.length - SERIES_MAX} more</li>}
      </ul>
      <table className="hidden-text">
        <caption>{title}</caption>
        <thead>
          <tr>
            <th>Time</th>
            {shown.map((one) => (
              <th key={one.name}>{one.name}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {times.map((one) => (
            <tr key={one}>
              <td>{fullTime(new Date(one).toISOString(), zone)}</td>
              {shown.map((each) => {
                const value = each.points.find((point) => point.at === one)?.value;
                return <td key={each.name}>{value == null ? "" : show(value)}</td>;
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
}

const toneOf = (series: Series, place: number) => (series.isBad ? "failed" : String(place));

function Line({
  series,
  place,
  x,
  y,
  isMeant,
}: {
  series: Series;
  place: number;
  isMeant: boolean;
  x: (at: number) => number;
  y: (value: number) => number;
}) {
  const known = series.points.filter((point) => point.value !== null);
  let isNew = true;
  let path = "";
  for (const point of series.points) {
    if (point.value === null) {
      isNew = true;
      continue;
    }
    path += `${isNew ? "M" : "L"}${x(point.at).toFixed(1)} ${y(point.value).toFixed(1)}`;
    isNew = false;
  }
  const tone = toneOf(series, place);
  return (
    <>
      <path className={`chart-line line-${tone} ${isMeant ? "is-meant" : ""}`} d={path} />
      {known.length <= 40 &&
        known.map((point) => (
          <circle
            key={point.at}
            className={`chart-dot dot-${tone}`}
            cx={x(point.at)}
            cy={y(point.value ?? 0)}
            r="2.5"
          />
        ))}
    </>
  );
}
