// What a person likes, kept in their browser. Nothing of a project's data is kept there.
import { useSyncExternalStore } from "react";

export interface Prefs {
  theme: "system" | "light" | "dark";
  zone: "local" | "utc";
  nav: "wide" | "narrow";
  columns: string[] | null;
  facets: string[] | null;
  shortcuts: "on" | "off";
  history: string[];
}

const KEY = "obsrv.prefs";
const DEFAULTS: Prefs = {
  theme: "system",
  zone: "local",
  nav: "wide",
  columns: null,
  facets: null,
  shortcuts: "on",
  history: [],
};

function load(): Prefs {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return { ...DEFAULTS, ...(stored as Partial<Prefs>) };
  } catch {
    return DEFAULTS;
  }
}

let prefs = load();
const listeners = new Set<() => void>();

export function setPrefs(change: Partial<Prefs>) {
  prefs = { ...prefs, ...change };
  try {
    localStorage.setItem(KEY, JSON.stringify(prefs));
  } catch {
    // A browser that keeps nothing: the choice holds for this page.
  }
  applyTheme();
  for (const listener of listeners) {
    listener();
  }
}

export function applyTheme() {
  document.documentElement.dataset.theme = prefs.theme;
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function usePrefs(): Prefs {
  return useSyncExternalStore(subscribe, () => prefs);
}
