// Every step as a line on a strip. Dragging over it looks at that time.
import { useEffect, useRef, useState } from "react";
import { statusKind } from "../ui/parts";
import { kindGroup, type Steps } from "./columns";
import type { Window } from "./row";

const HEIGHT = 44;

export function Minimap({
  steps,
  view,
  onZoom,
}: {
  steps: Steps;
  view: Window;
  onZoom: (window: Window | null) => void;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [drag, setDrag] = useState<[number, number] | null>(null);
  useEffect(() => {
    const element = canvas.current?.parentElement;
    if (!element) {
      return;
    }
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const draw = () => paint(canvas.current, steps, width);
    draw();
    const scheme = window.matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", draw);
    const observer = new MutationObserver(draw);
    observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return () => {
      scheme.removeEventListener("change", draw);
      observer.disconnect();
    };
  }, [steps, width]);
  const timeAt = (x: number, target: HTMLElement) => {
    const rect = target.getBoundingClientRect();
    return Math.min(1, Math.max(0, (x - rect.left) / Math.max(1, rect.width))) * steps.totalNs;
  };
  const isWhole = view.from === 0 && view.to === steps.totalNs;
  const percent = (ns: number) => `${(100 * ns) / steps.totalNs}%`;
  const shown = drag ? { from: Math.min(...drag), to: Math.max(...drag) } : view;
  return (
    <div className="minimap" aria-hidden="true">
      <div
        className="minimap-box"
        style={{ height: HEIGHT }}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          const at = timeAt(event.clientX, event.currentTarget);
          setDrag([at, at]);
        }}
        onPointerMove={(event) => drag && setDrag([drag[0], timeAt(event.clientX, event.currentTarget)])}
        onPointerUp={() => {
          if (drag && Math.abs(drag[1] - drag[0]) > steps.totalNs / 300) {
            onZoom({ from: Math.min(...drag), to: Math.max(...drag) });
          } else {
            onZoom(null);
          }
          setDrag(null);
        }}
      >
        <canvas ref={canvas} />
        {(!isWhole || drag) && (
          <>
            <div className="minimap-out" style={{ left: 0, width: percent(shown.from) }} />
            <div className="minimap-out" style={{ left: percent(shown.to), right: 0 }} />
          </>
        )}
      </div>
    </div>
  );
}

function paint(canvas: HTMLCanvasElement | null, steps: Steps, width: number) {
  const context = canvas?.getContext("2d");
  if (!canvas || !context || width === 0) {
    return;
  }
  const ratio = window.devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = HEIGHT * ratio;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${HEIGHT}px`;
  context.scale(ratio, ratio);
  context.clearRect(0, 0, width, HEIGHT);
  // The element's own colour resolves what a custom property says for dark and for light.
  const colors = new Map<string, string>();
  const colorOf = (name: string) => {
    let known = colors.get(name);
    if (known === undefined) {
      canvas.style.color = `var(--${name === "bad" ? "bad-fill" : `kind-${name}`})`;
      known = getComputedStyle(canvas).color;
      colors.set(name, known);
    }
    return known;
  };
  // What lies on what is drawn already.
  const drawn = new Set<number>();
  const lineHeight = Math.max(1, Math.min(4, (HEIGHT - 4) / Math.max(1, steps.count)));
  for (let at = 0; at < steps.count; at++) {
    const isBad = statusKind(steps.status[at]) === "error" && !steps.failsBelow[at];
    const offset = steps.offset[at] ?? 0;
    const length = steps.duration[at] ?? -1;
    const end =
      length < 0 ? (statusKind(steps.status[at]) === "running" ? steps.totalNs : offset) : offset + length;
    const x = (offset / steps.totalNs) * width;
    const y = 2 + (at / Math.max(1, steps.count)) * (HEIGHT - 4 - lineHeight);
    const wide = Math.max(1, ((end - offset) / steps.totalNs) * width);
    if (wide < 1.5 && lineHeight < 2 && !isBad) {
      const spot = Math.floor(y) * 65_536 + Math.floor(x);
      if (drawn.has(spot)) {
        continue;
      }
      drawn.add(spot);
    }
    context.fillStyle = colorOf(isBad ? "bad" : kindGroup(steps.kind[at]));
    context.fillRect(x, y, wide, lineHeight);
  }
}
