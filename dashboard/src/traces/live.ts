// The live list: the server says which traces are new or changed, and what is shown is asked for again.
// Whoever has scrolled away from the top is told how many wait instead, so that no row moves.
import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { withQuery } from "../api/client";
import { at } from "../api/queries";

const CALM_MS = 700;
const KEYS = ["traces", "facets", "aggregate", "bounds"];

export function useLive(project: string, q: string, isOn: boolean, isAtTop: () => boolean) {
  const queries = useQueryClient();
  const [waiting, setWaiting] = useState<ReadonlySet<string>>(new Set());
  const top = useRef(isAtTop);
  top.current = isAtTop;
  const refresh = useCallback(() => {
    setWaiting(new Set());
    for (const key of KEYS) {
      void queries.invalidateQueries({ queryKey: [key, project] });
    }
  }, [queries, project]);
  useEffect(() => {
    setWaiting(new Set());
    if (!isOn) {
      return;
    }
    const source = new EventSource(withQuery(at(project, "/tail"), { q }));
    const seen = new Set<string>();
    let timer = 0;
    const settle = () => {
      timer = 0;
      if (top.current()) {
        seen.clear();
        refresh();
      } else {
        setWaiting(new Set(seen));
      }
    };
    const later = (event: MessageEvent) => {
      try {
        seen.add(String((JSON.parse(String(event.data)) as { run_id?: string }).run_id ?? seen.size));
      } catch {
        seen.add(String(seen.size));
      }
      if (timer === 0) {
        timer = window.setTimeout(settle, CALM_MS);
      }
    };
    source.addEventListener("trace", later);
    source.addEventListener("gap", later);
    return () => {
      window.clearTimeout(timer);
      source.close();
    };
  }, [project, q, isOn, refresh]);
  return { waiting: waiting.size, refresh };
}
