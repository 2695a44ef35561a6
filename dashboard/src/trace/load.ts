// A trace and its steps, asked for again while it runs.
import { queryOptions, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { get, part, type Query } from "../api/client";
import { at } from "../api/queries";
import type { SpanColumns, Trace } from "../api/types";
import { kindGroup, type Steps, stepsOf } from "./columns";
import type { Score } from "./feedback";

const FIRST_STEPS = 1000;
const PAGES_MAX = 10;
const RUNNING_MS = 3000;
const RUNNING_LARGE_MS = 15_000;

interface Head {
  trace: Trace;
  scores?: Score[];
}

// The first steps alone: they are there long before all of a large trace are.
async function pageOf(project: string, id: string, asked: Query, signal: AbortSignal): Promise<SpanColumns> {
  return await get<SpanColumns>(at(project, `/traces/${part(id)}/spans`), { shape: "columns", ...asked }, signal);
}

async function rest(project: string, id: string, first: string, signal: AbortSignal): Promise<SpanColumns[]> {
  const pages: SpanColumns[] = [];
  let cursor: string | null = first;
  // A cursor is of the question that it was given for, but for the limit.
  while (cursor && pages.length < PAGES_MAX) {
    const page: SpanColumns = await pageOf(project, id, { cursor }, signal);
    pages.push(page);
    cursor = page.next_cursor;
  }
  return pages;
}

export const headOptions = (project: string, id: string) =>
  queryOptions({
    queryKey: ["trace", project, id],
    queryFn: ({ signal }) => get<Head>(at(project, `/traces/${part(id)}`), {}, signal),
  });

export const spansOptions = (project: string, id: string) =>
  queryOptions({
    queryKey: ["spans", project, id],
    queryFn: ({ signal }) => pageOf(project, id, { limit: FIRST_STEPS }, signal),
    structuralSharing: false,
  });

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
    ...headOptions(project, id),
    refetchInterval: (query) => (query.state.data?.trace.status === "running" ? RUNNING_MS : false),
  });
  const run = head.data?.trace;
  const isRunning = run?.status === "running";
  const spans = useQuery({
    ...spansOptions(project, id),
    refetchInterval: isRunning ? RUNNING_MS : false,
  });
  const cursor = spans.data?.next_cursor ?? null;
  const others = useQuery({
    queryKey: ["spans", project, id, "rest"],
    queryFn: ({ signal }) => rest(project, id, cursor ?? "", signal),
    enabled: cursor !== null,
    // So many are not asked for every few seconds.
    refetchInterval: isRunning ? RUNNING_LARGE_MS : false,
    structuralSharing: false,
  });
  const steps = useMemo(() => {
    if (!spans.data) {
      return null;
    }
    const pages = cursor !== null && others.data ? [spans.data, ...others.data] : [spans.data];
    return stepsOf(pages, Date.now(), run?.duration_ns ?? 0);
  }, [spans.data, cursor, others.data, run?.duration_ns]);
  const total = spans.data?.count ?? 0;
  return { head, spans, steps, total };
}
