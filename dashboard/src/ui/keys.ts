// Keys that do something on a page. None of them does while somebody types, and a person may turn
// them all off.
import { useEffect, useRef, useSyncExternalStore } from "react";
import { usePrefs } from "../state/prefs";

export interface Shortcut {
  keys: string;
  does: string;
  run: () => void;
}

const CHORD_MS = 900;
let lists: Shortcut[][] = [];
const listeners = new Set<() => void>();

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

let pending = "";
let pendingAt = 0;

function onKey(event: KeyboardEvent) {
  if (event.defaultPrevented || isTyping(event.target)) {
    return;
  }
  // Space is a click on what has the focus.
  if (event.key === " " && event.target instanceof Element && event.target.closest("button, a, summary, [role=grid]")) {
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) {
    return;
  }
  const key = event.key === " " ? "space" : event.key;
  const chord = performance.now() - pendingAt < CHORD_MS ? `${pending} ${key}` : key;
  pending = key;
  pendingAt = performance.now();
  for (const wanted of chord === key ? [key] : [chord, key]) {
    for (const list of [...lists].reverse()) {
      const found = list.find((shortcut) => shortcut.keys === wanted);
      if (found) {
        event.preventDefault();
        pendingAt = wanted === chord && chord !== key ? 0 : pendingAt;
        found.run();
        return;
      }
    }
  }
}

export function useShortcuts(shortcuts: Shortcut[]) {
  const isOn = usePrefs().shortcuts === "on";
  const latest = useRef(shortcuts);
  latest.current = shortcuts;
  const names = shortcuts.map((shortcut) => shortcut.keys).join("\n");
  // `names` says when the list is another
  useEffect(() => {
    if (!isOn) {
      return;
    }
    const stable = latest.current.map((shortcut, at) => ({
      ...shortcut,
      run: () => latest.current[at]?.run(),
    }));
    if (lists.length === 0) {
      window.addEventListener("keydown", onKey);
    }
    lists = [...lists, stable];
    for (const listener of listeners) {
      listener();
    }
    return () => {
      lists = lists.filter((list) => list !== stable);
      if (lists.length === 0) {
        window.removeEventListener("keydown", onKey);
      }
      for (const listener of listeners) {
        listener();
      }
    };
  }, [names, isOn]);
}

export function useAllShortcuts(): Shortcut[][] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => lists,
  );
}
