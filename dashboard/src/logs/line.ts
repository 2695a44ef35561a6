// A log line as the server has it, and what of it is shown where.
import type { Json } from "../api/types";
import { oneLine } from "../text/format";

export interface Line {
  id: string;
  trace_id: string | null;
  span_id?: string | null;
  thread_id?: string | null;
  user_id?: string | null;
  start: string;
  level?: string | null;
  name?: string | null;
  service?: string | null;
  agent?: string | null;
  model?: string | null;
  tool?: string | null;
  body?: Json;
  attributes?: { [key: string]: Json } | null;
  resource?: { [key: string]: Json } | null;
  scope?: Json;
  [more: string]: Json | undefined;
}

export interface Lines {
  data: Line[];
  next_cursor: string | null;
  total?: number;
}

// From the worst.
export const LEVELS = ["fatal", "error", "warn", "info", "debug", "trace"] as const;

export type LevelTone = "bad" | "warn" | "plain" | "faint";

export function toneOf(level: string | null | undefined): LevelTone {
  switch (level) {
    case "fatal":
    case "error":
      return "bad";
    case "warn":
      return "warn";
    case "debug":
    case "trace":
      return "faint";
    default:
      return "plain";
  }
}

// What a line says: its text, or its name where it has none.
export function saidBy(line: Line): string {
  const { body } = line;
  if (body !== undefined && body !== null && body !== "") {
    return oneLine(body);
  }
  return line.name || oneLine(line.attributes ?? "");
}

// Keys and values of lines at hand, with how many of them have each: the server counts none of lines.
const TOP = ["level", "service", "agent", "name", "model", "tool", "user_id", "group", "trace_id"];
const INNER = ["attributes", "resource"] as const;

function* pairsOf(line: Line): Generator<[string, Json]> {
  for (const key of TOP) {
    const value = key === "group" ? line.thread_id : line[key];
    if (value !== undefined && value !== null && value !== "") {
      yield [key, value];
    }
  }
  for (const group of INNER) {
    for (const [key, value] of Object.entries(line[group] ?? {})) {
      yield [`${group}.${key}`, value];
    }
  }
}

export function keysOf(lines: Line[]): { key: string; rows: number }[] {
  const rows = new Map<string, number>(TOP.map((key) => [key, 0]));
  for (const line of lines) {
    for (const [key] of pairsOf(line)) {
      rows.set(key, (rows.get(key) ?? 0) + 1);
    }
  }
  return [...rows].map(([key, n]) => ({ key, rows: n }));
}

export function valuesOf(lines: Line[], wanted: string, prefix: string): { value: Json; count: number }[] {
  const counts = new Map<string, { value: Json; count: number }>();
  if (wanted === "level") {
    for (const level of LEVELS) {
      counts.set(level, { value: level, count: 0 });
    }
  }
  for (const line of lines) {
    for (const [key, value] of pairsOf(line)) {
      if (key === wanted && typeof value !== "object") {
        const known = counts.get(String(value)) ?? { value, count: 0 };
        known.count++;
        counts.set(String(value), known);
      }
    }
  }
  const start = prefix.toLowerCase();
  return [...counts.values()]
    .filter(({ value }) => String(value).toLowerCase().includes(start))
    .sort((a, b) => b.count - a.count)
    .slice(0, 20);
}
