// Scores of listed traces, asked page by page: a list does not have them.
import { useQueries } from "@tanstack/react-query";
import { term, valueText } from "../state/filter";
import { get } from "./client";
import { at } from "./queries";
import type { Json, Trace } from "./types";

const SCORES_MAX = 1000;

interface Given {
  trace_id: string;
  name: string | null;
  value: Json;
}

type Scores = Map<string, { [name: string]: Json }>;

function combined(answers: { data?: { data: Given[] }; isPending: boolean; isEnabled?: boolean }[]) {
  const scores: Scores = new Map();
  for (const { trace_id, name, value } of answers.flatMap(({ data }) => data?.data ?? [])) {
    const own = scores.get(trace_id) ?? {};
    // The newest comes first.
    own[name ?? ""] ??= value;
    scores.set(trace_id, own);
  }
  return { scores, isPending: answers.some(({ isPending }) => isPending) };
}

// By trace and name. `name`: only those of one name; `isFixed`: as they were when they were first asked for.
export function useScoresOf(
  project: string,
  pages: Trace[][],
  { name, isOn = true, isFixed = false }: { name?: string; isOn?: boolean; isFixed?: boolean } = {},
) {
  return useQueries({
    queries: (isOn ? pages : []).map((page) => {
      const ids = page.map((trace) => trace.trace_id);
      return {
        queryKey: ["scores-of", project, name ?? "", ids],
        queryFn: ({ signal }: { signal: AbortSignal }) => {
          const q = [name ? term("name", name) : "", `trace_id:(${ids.map(valueText).join(",")})`].join(" ").trim();
          return get<{ data: Given[] }>(at(project, "/scores"), { q, limit: SCORES_MAX, sort: "-start" }, signal);
        },
        enabled: ids.length > 0,
        ...(isFixed ? { staleTime: Number.POSITIVE_INFINITY, gcTime: 0 } : {}),
      };
    }),
    combine: combined,
  });
}
