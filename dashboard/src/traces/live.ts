// The live list: rows that are new or changed are asked for again, with what counts them.
import { useQueryClient } from "@tanstack/react-query";
import { useLive } from "../api/live";

const KEYS = ["traces", "facets", "aggregate", "bounds"];

export function useLiveTraces(project: string, q: string, isOn: boolean, isAtTop: () => boolean) {
  const queries = useQueryClient();
  return useLive({ over: "traces", project, q, isOn }, isAtTop, () => {
    for (const key of KEYS) {
      void queries.invalidateQueries({ queryKey: [key, project] });
    }
  });
}
