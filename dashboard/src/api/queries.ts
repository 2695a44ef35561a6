// What pages ask, each with the key under which its answer is kept.
import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useInfiniteQuery,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { useLayoutEffect } from "react";
import { get, part, post, type Query } from "./client";
import type { Aggregate, FacetAnswer, KeysAnswer, Listed, Me, Measure, Trace, ValuesAnswer } from "./types";

export const at = (project: string, path: string) => `/v1/projects/${part(project)}${path}`;

export interface Scope {
  q?: string;
  from?: string;
  to?: string;
}

const PAGE_ROWS = 100;

export function tracesOptions(project: string, scope: Scope & { sort?: string }) {
  const asked: Query = { ...scope, limit: PAGE_ROWS };
  return infiniteQueryOptions({
    queryKey: ["traces", project, asked],
    queryFn: ({ signal, pageParam }) =>
      get<Listed<Trace>>(
        at(project, "/traces"),
        { ...asked, cursor: pageParam, total: pageParam ? null : true },
        signal,
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  });
}

export const meOptions = queryOptions({
  queryKey: ["me"],
  queryFn: ({ signal }) => get<Me>("/v1/auth/me", {}, signal),
  staleTime: Number.POSITIVE_INFINITY,
});

export function useTraces(project: string, scope: Scope & { sort?: string }) {
  const queries = useQueryClient();
  const options = tracesOptions(project, scope);
  // Before what the parts of the page ask: a browser has six connections, and the rows are waited for.
  useLayoutEffect(() => {
    void queries.prefetchInfiniteQuery(options);
  }, [JSON.stringify(options.queryKey), queries]);
  return useInfiniteQuery({ ...options, placeholderData: keepPreviousData });
}

export function useFacets(project: string, scope: Scope, keys: string[], over = "traces") {
  return useQuery({
    queryKey: ["facets", project, over, scope, keys],
    queryFn: ({ signal }) =>
      get<FacetAnswer>(
        at(project, "/facets"),
        { ...scope, over: over === "traces" ? null : over, keys: keys.join(","), limit: 12 },
        signal,
      ),
    enabled: keys.length > 0,
    placeholderData: keepPreviousData,
  });
}

export function useKeys(project: string, prefix = "", limit = 200, over = "traces", enabled = true) {
  return useQuery({
    queryKey: ["keys", project, over, prefix, limit],
    queryFn: ({ signal }) =>
      get<KeysAnswer>(
        at(project, "/fields"),
        { prefix, limit, over: over === "traces" ? null : over },
        signal,
      ),
    enabled,
    staleTime: 60_000,
    placeholderData: keepPreviousData,
  });
}

export function useValues(project: string, key: string, prefix: string, enabled: boolean, over = "traces") {
  return useQuery({
    queryKey: ["values", project, over, key, prefix],
    queryFn: ({ signal }) =>
      get<ValuesAnswer>(
        at(project, "/values"),
        { key, prefix, limit: 20, over: over === "traces" ? null : over },
        signal,
      ),
    enabled,
    staleTime: 30_000,
    placeholderData: keepPreviousData,
  });
}

export interface AggregateAsked extends Scope {
  over?: string;
  group_by?: string[];
  interval?: string | null;
  measures: Measure[];
  fill?: boolean;
  limit?: number;
}

export function useAggregate(project: string, asked: AggregateAsked | null) {
  return useQuery({
    queryKey: ["aggregate", project, asked],
    queryFn: ({ signal }) => post<Aggregate>(at(project, "/aggregate"), clean(asked), signal),
    enabled: asked !== null,
    placeholderData: keepPreviousData,
  });
}

function clean(asked: AggregateAsked | null) {
  return Object.fromEntries(
    Object.entries(asked ?? {}).filter(([, value]) => value !== "" && value !== undefined),
  );
}

// First and last start of what passes; null where nothing does.
export function useBounds(
  project: string,
  scope: Scope,
  enabled: boolean,
  over: "traces" | "logs" | "points" = "traces",
) {
  return useQuery({
    queryKey: ["bounds", project, over, scope],
    queryFn: async ({ signal }) => {
      const one = (sort: string) =>
        get<Listed<{ start: string | null }>>(at(project, `/${over}`), { ...scope, sort, limit: 1 }, signal);
      const [first, last] = await Promise.all([one("start"), one("-start")]);
      const from = Date.parse(first.data[0]?.start ?? "");
      const to = Date.parse(last.data[0]?.start ?? "");
      return Number.isNaN(from) || Number.isNaN(to) ? null : { from, to: to + 1 };
    },
    enabled,
    placeholderData: keepPreviousData,
  });
}
