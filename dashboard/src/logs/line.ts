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
  environment?: string | null;
  region?: string | null;
  version?: string | null;
  release?: string | null;
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
