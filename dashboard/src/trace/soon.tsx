// The page of a trace, whole and beside the list, and what it will ask first: there before somebody opens it.
import type { QueryClient } from "@tanstack/react-query";
import { later } from "../ui/later";
import { Waiting } from "../ui/parts";
import { headOptions, spansOptions } from "./load";

export const TracePage = later(() => import("./page"), Waiting);
export const Peek = later(
  () => import("./peek"),
  () => <aside className="peek" />,
);

export function askSoon(queries: QueryClient, project: string, id: string) {
  void TracePage.soon();
  void queries.prefetchQuery(headOptions(project, id));
  void queries.prefetchQuery(spansOptions(project, id));
}
