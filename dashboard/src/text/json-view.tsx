// A JSON value as a tree of lines, of which only those in sight are in the page when there are many.
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useMemo, useRef, useState } from "react";
import type { Json } from "../api/types";
import { copyText, Icon } from "../ui/parts";
import { toast } from "../ui/toast";

interface Line {
  path: string;
  key: string;
  value: Json;
  depth: number;
  size: number | null;
  isOpen: boolean;
}

const OPEN_DEPTH = 2;
const LINE_HEIGHT = 22;
const PLAIN_LINES_MAX = 120;
const TEXT_SHOWN = 400;

function sizeOf(value: Json): number | null {
  if (Array.isArray(value)) {
    return value.length;
  }
  return typeof value === "object" && value !== null ? Object.keys(value).length : null;
}

function linesOf(value: Json, toggled: ReadonlySet<string>, wanted: string): Line[] {
  const lines: Line[] = [];
  const visit = (key: string, path: string, value: Json, depth: number): boolean => {
    const size = sizeOf(value);
    const isOpen = wanted ? true : size !== null && (depth < OPEN_DEPTH && size <= 100) !== toggled.has(path);
    const at = lines.length;
    lines.push({ path, key, value, depth, size, isOpen });
    const own = `${key} ${size === null ? String(value) : ""}`.toLowerCase();
    let passes = !wanted || own.includes(wanted);
    if (isOpen && size !== null && typeof value === "object" && value !== null) {
      for (const [name, child] of Array.isArray(value) ? value.entries() : Object.entries(value)) {
        const below = path ? `${path}.${name}` : String(name);
        if (visit(String(name), below, child, depth + 1)) {
          passes = true;
        }
      }
    }
    if (!passes) {
      lines.length = at;
    }
    return passes;
  };
  if (sizeOf(value) === null) {
    visit("", "", value, 0);
  } else if (typeof value === "object" && value !== null) {
    for (const [name, child] of Array.isArray(value) ? value.entries() : Object.entries(value)) {
      visit(String(name), String(name), child, 0);
    }
  }
  return lines;
}

export function JsonView({
  value,
  label,
  onFilter,
}: {
  value: Json;
  label: string;
  onFilter?: (path: string, value: Json, exclude: boolean) => void;
}) {
  const [toggled, setToggled] = useState<ReadonlySet<string>>(new Set());
  const [wanted, setWanted] = useState("");
  const [at, setAt] = useState(0);
  const box = useRef<HTMLDivElement>(null);
  const lines = useMemo(() => linesOf(value, toggled, wanted.trim().toLowerCase()), [value, toggled, wanted]);
  const isVirtual = lines.length > PLAIN_LINES_MAX;
  const rows = useVirtualizer({
    count: lines.length,
    getScrollElement: () => box.current,
    estimateSize: () => LINE_HEIGHT,
    overscan: 20,
    enabled: isVirtual,
  });
  const toggle = (line: Line) => {
    const next = new Set(toggled);
    if (!next.delete(line.path)) {
      next.add(line.path);
    }
    setToggled(next);
  };
  const current = Math.min(at, lines.length - 1);
  const onKeyDown = (event: KeyboardEvent) => {
    const line = lines[current];
    if (!line || event.target !== event.currentTarget) {
      return;
    }
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0) {
      event.preventDefault();
      const next = Math.max(0, Math.min(lines.length - 1, current + step));
      setAt(next);
      if (isVirtual) {
        rows.scrollToIndex(next);
      }
    } else if (
      (event.key === "ArrowRight" && line.size !== null && !line.isOpen) ||
      (event.key === "ArrowLeft" && line.isOpen) ||
      (event.key === "Enter" && line.size !== null)
    ) {
      event.preventDefault();
      toggle(line);
    }
  };
  const show = (line: Line, place: number, style?: React.CSSProperties) => (
    <JsonLine
      key={line.path || "value"}
      line={line}
      style={style}
      isCurrent={place === current}
      toggle={() => {
        setAt(place);
        toggle(line);
      }}
      onFilter={onFilter}
    />
  );
  if (lines.length === 0 && !wanted) {
    return <p className="soft">{Array.isArray(value) ? "An empty list" : "An empty object"}</p>;
  }
  return (
    <div className="json">
      {(isVirtual || wanted) && (
        <input
          className="input json-find"
          aria-label={`Find in ${label}`}
          placeholder="Find a key or a value"
          value={wanted}
          onChange={(event) => setWanted(event.target.value)}
        />
      )}
      <div
        ref={box}
        className={`json-lines ${isVirtual ? "is-virtual" : ""}`}
        role="tree"
        aria-label={label}
        tabIndex={0}
        onKeyDown={onKeyDown}
      >
        {isVirtual ? (
          <div role="none" style={{ height: rows.getTotalSize(), position: "relative" }}>
            {rows.getVirtualItems().map((item) => {
              const line = lines[item.index];
              return line
                ? show(line, item.index, {
                    position: "absolute",
                    top: 0,
                    insetInline: 0,
                    height: LINE_HEIGHT,
                    overflow: "hidden",
                    transform: `translateY(${item.start}px)`,
                  })
                : null;
            })}
          </div>
        ) : (
          lines.map((line, place) => show(line, place))
        )}
        {lines.length === 0 && <p className="soft">Nothing like that</p>}
      </div>
    </div>
  );
}

function JsonLine({
  line,
  style,
  isCurrent,
  toggle,
  onFilter,
}: {
  line: Line;
  style?: React.CSSProperties;
  isCurrent: boolean;
  toggle: () => void;
  onFilter?: (path: string, value: Json, exclude: boolean) => void;
}) {
  const { value, size } = line;
  return (
    <div
      role="treeitem"
      aria-level={line.depth + 1}
      aria-expanded={size ? line.isOpen : undefined}
      aria-selected={isCurrent}
      tabIndex={-1}
      className={`json-line ${isCurrent ? "is-current" : ""}`}
      style={{ ...style, paddingLeft: 6 + line.depth * 16 }}
    >
      {size ? (
        <button
          type="button"
          tabIndex={-1}
          className="json-fold"
          aria-label={line.isOpen ? "Close" : "Open"}
          onClick={toggle}
        >
          <Icon name={line.isOpen ? "down" : "right"} />
        </button>
      ) : (
        <span className="json-fold" />
      )}
      {line.key !== "" && <span className="json-key">{line.key}</span>}
      {size === null ? (
        <Scalar value={value} />
      ) : (
        <span className="soft">{Array.isArray(value) ? `[${size}]` : `{${size}}`}</span>
      )}
      <span className="json-does">
        {size === null && onFilter && (
          <>
            <button
              type="button"
              tabIndex={-1}
              aria-label={`Only ${line.path}`}
              title="Only traces with this"
              onClick={() => onFilter(line.path, value, false)}
            >
              <Icon name="plus" />
            </button>
            <button
              type="button"
              tabIndex={-1}
              aria-label={`Without ${line.path}`}
              title="Only traces without this"
              onClick={() => onFilter(line.path, value, true)}
            >
              <Icon name="minus" />
            </button>
          </>
        )}
        <button
          type="button"
          tabIndex={-1}
          aria-label={`Copy ${line.path || "value"}`}
          title="Copy the value"
          onClick={async () => {
            await copyText(typeof value === "string" ? value : JSON.stringify(value, null, 2));
            toast("Value copied");
          }}
        >
          <Icon name="copy" />
        </button>
      </span>
    </div>
  );
}

function Scalar({ value }: { value: Json }) {
  const [isWhole, setWhole] = useState(false);
  if (typeof value !== "string") {
    return <span className={`json-${value === null ? "null" : typeof value}`}>{String(value)}</span>;
  }
  const isLong = value.length > TEXT_SHOWN;
  return (
    <span className="json-string">
      {isLong && !isWhole ? value.slice(0, TEXT_SHOWN) : value}
      {isLong && (
        <button type="button" className="json-more" onClick={() => setWhole(!isWhole)}>
          {isWhole ? "less" : `… ${value.length - TEXT_SHOWN} more`}
        </button>
      )}
    </span>
  );
}
