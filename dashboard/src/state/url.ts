// What a page shows is in its address: back, forward and a pasted link work by that alone. Parameters
// that are not known here stay as they are.
import { useCallback, useMemo } from "react";
import { useLocation, useSearch } from "wouter";

export type Params = Readonly<Record<string, string>>;
export type Change = Record<string, string | null | undefined>;

export function read(search: string): Params {
  return Object.fromEntries(new URLSearchParams(search));
}

export function changed(search: string, change: Change): string {
  const params = new URLSearchParams(search);
  for (const [name, value] of Object.entries(change)) {
    if (value === null || value === undefined || value === "") {
      params.delete(name);
    } else {
      params.set(name, value);
    }
  }
  return params.toString();
}

// Parameters of the address, and how to change some of them. Looking somewhere else is a step back
// can undo; moving a selection is none.
export function useParams(): [Params, (change: Change, how?: "push" | "replace") => void] {
  const search = useSearch();
  const [path, navigate] = useLocation();
  const params = useMemo(() => read(search), [search]);
  const set = useCallback(
    (change: Change, how: "push" | "replace" = "push") => {
      // What is there now, not what was there when this was rendered.
      const now = window.location.search.slice(1);
      const next = changed(now, change);
      if (next !== now) {
        navigate(next ? `${path}?${next}` : path, { replace: how === "replace" });
      }
    },
    [path, navigate],
  );
  return [params, set];
}
