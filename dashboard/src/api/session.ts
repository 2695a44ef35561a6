// Who is signed in, as the cache of answers knows it. What one person saw is never shown to the next.
import type { QueryClient } from "@tanstack/react-query";
import type { Me } from "./types";

const ME = ["me"];

const forget = (queries: QueryClient) =>
  queries.removeQueries({ predicate: (query) => query.queryKey[0] !== ME[0] });

export function signedIn(queries: QueryClient, me: Me) {
  forget(queries);
  queries.setQueryData(ME, me);
}

export async function signedOut(queries: QueryClient) {
  forget(queries);
  sessionStorage.clear();
  await queries.invalidateQueries({ queryKey: ME });
}
