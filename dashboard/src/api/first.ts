// What the first page asks, asked before anything is drawn: who it is, and the rows of the list if it is the
// list. Whoever is not signed in is told so by the first answer.
import type { QueryClient } from "@tanstack/react-query";
import { read } from "../state/url";
import { meOptions, tracesOptions } from "./queries";

export function askFirst(queries: QueryClient, { pathname, search }: Location) {
  void queries.prefetchQuery(meOptions);
  const project = /^\/p\/(\d+)\/traces$/.exec(pathname)?.[1];
  if (project) {
    const { q = "", from = "", to = "", sort = "" } = read(search);
    void queries.prefetchInfiniteQuery(tracesOptions(project, { q, from, to, sort: sort === "-start" ? "" : sort }));
  }
}
