// Rows as they are made: the server says which are new or changed, and what is shown is asked for again.
// Whoever has scrolled away from the top is told how many wait instead, so that no row moves.
import { useCallback, useEffect, useRef, useState } from "react";
import { withQuery } from "./client";
import { at } from "./queries";

const CALM_MS = 700;

const EVENTS = { traces: "trace", logs: "log" } as const;

export interface Live {
  over: keyof typeof EVENTS;
  project: string;
  q: string;
  isOn: boolean;
}

export function useLive({ over, project, q, isOn }: Live, isAtTop: () => boolean, ask: () => void) {
  const [waiting, setWaiting] = useState<ReadonlySet<string>>(new Set());
  const latest = useRef({ isAtTop, ask });
  latest.current = { isAtTop, ask };
  const refresh = useCallback(() => {
    setWaiting(new Set());
    latest.current.ask();
  }, []);
  useEffect(() => {
    setWaiting(new Set());
    if (!isOn) {
      return;
    }
    const source = new EventSource(withQuery(at(project, "/tail"), { q, over: over === "traces" ? null : over }));
    const seen = new Set<string>();
    let timer = 0;
    const settle = () => {
      timer = 0;
      if (latest.current.isAtTop()) {
        seen.clear();
        refresh();
      } else {
        setWaiting(new Set(seen));
      }
    };
    const later = (event: MessageEvent) => {
      try {
        const row = JSON.parse(String(event.data)) as { id?: string; run_id?: string };
        seen.add(String(row.run_id ?? row.id ?? seen.size));
      } catch {
        seen.add(String(seen.size));
      }
      if (timer === 0) {
        timer = window.setTimeout(settle, CALM_MS);
      }
    };
    // What was written after the rows were read and before the stream began is told by no event.
    const begin = () => {
      if (latest.current.isAtTop()) {
        refresh();
      }
    };
    source.addEventListener("open", begin);
    source.addEventListener(EVENTS[over], later);
    source.addEventListener("gap", later);
    return () => {
      window.clearTimeout(timer);
      source.close();
    };
  }, [over, project, q, isOn, refresh]);
  return { waiting: waiting.size, refresh };
}
