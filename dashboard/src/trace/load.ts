// A trace and its steps, asked for again while it runs.
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { get, part } from "../api/client";
import { at } from "../api/queries";
import type { SpanColumns, Trace } from "../api/types";
import { kindGroup, type Steps, stepsOf } from "./columns";
import type { Score } from "./feedback";

const PAGES_MAX = 10;
const RUNNING_MS = 3000;

interface Head {
  trace: Trace;
  scores?: Score[];
}

async function allSpans(project: string, id: string, signal: AbortSignal): Promise<SpanColumns[]> {
  const pages: SpanColumns[] = [];
  let cursor: string | null = null;
  do {
    const page: SpanColumns = await get<SpanColumns>(
      at(project, `/traces/${part(id)}/spans`),
      { shape: "columns", cursor },
      signal,
    );
    pages.push(page);
    cursor = page.next_cursor;
  } while (cursor && pages.length < PAGES_MAX);
  return pages;
}

// The model call before this one of the same name, or else of any; null where this is none.
export function callBefore(steps: Steps, chosen: number): string | null {
  if (chosen < 0 || kindGroup(steps.kind[chosen]) !== "llm") {
    return null;
  }
  let any: string | null = null;
  for (let place = chosen - 1; place >= 0; place--) {
    if (kindGroup(steps.kind[place]) === "llm") {
      if (steps.name[place] === steps.name[chosen]) {
        return steps.ids[place] ?? null;
      }
      any ??= steps.ids[place] ?? null;
    }
  }
  return any;
}

export function useTrace(project: string, id: string) {
  const head = useQuery({
    queryKey: ["trace", project, id],
    queryFn: ({ signal }) => get<Head>(at(project, `/traces/${part(id)}`), {}, signal),
    refetchInterval: (query) => (query.state.data?.trace.status === "running" ? RUNNING_MS : false),
  });
  const isRunning = head.data?.trace.status === "running";
  const spans = useQuery({
    queryKey: ["spans", project, id],
    queryFn: ({ signal }) => allSpans(project, id, signal),
    refetchInterval: isRunning ? RUNNING_MS : false,
    structuralSharing: false,
  });
  const steps = useMemo(() => (spans.data ? stepsOf(spans.data, Date.now()) : null), [spans.data]);
  return { head, spans, steps };
}
