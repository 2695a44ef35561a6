// Settings of a project as the server keeps them: read whole, written whole, with the revision that
// the change was made from.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { get, part, put } from "../api/client";

export interface Rates {
  requests_per_second?: number | null;
  spans_per_second?: number | null;
  bytes_per_second?: number | null;
  queries_per_second?: number | null;
}

export interface Rules {
  detectors: string[];
  patterns: { name: string; pattern: string; replacement?: string; numbers?: boolean }[];
  keys: { deny: string[]; allow: string[]; exempt: string[] };
  media?: unknown;
}

export interface Settings {
  redaction: Rules | null;
  limits: { project: Rates; key: Rates };
  retention: {
    traces_days: number | null;
    logs_days: number | null;
    metrics_days: number | null;
  };
}

export interface Revised {
  revision: number;
  changed_at: string | null;
  settings: Settings;
}

export function useSettings(project: string) {
  const queries = useQueryClient();
  const path = `/v1/projects/${part(project)}/settings`;
  const key = ["settings", project];
  const settings = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => get<Revised>(path, {}, signal),
    retry: false,
    staleTime: 0,
  });
  const save = async (change: Partial<Settings>) => {
    const now = settings.data;
    if (!now) {
      return;
    }
    const saved = await put<Revised>(path, {
      revision: now.revision,
      settings: { ...now.settings, ...change },
    });
    queries.setQueryData(key, {
      revision: saved.revision,
      changed_at: saved.changed_at,
      settings: saved.settings,
    });
  };
  return { settings, save };
}
