// Short messages about what was just done.
import { useSyncExternalStore } from "react";

interface Toast {
  id: number;
  text: string;
  isBad: boolean;
}

const SHOWN_MS = 4000;
let toasts: Toast[] = [];
let next = 1;
const listeners = new Set<() => void>();

function set(to: Toast[]) {
  toasts = to;
  for (const listener of listeners) {
    listener();
  }
}

export function toast(text: string, isBad = false) {
  const id = next++;
  set([...toasts.slice(-3), { id, text, isBad }]);
  setTimeout(() => set(toasts.filter((one) => one.id !== id)), SHOWN_MS);
}

export function Toasts() {
  const all = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    <div className="toasts" role="status">
      {all.map((one) => (
        <div key={one.id} className={`toast ${one.isBad ? "bad" : ""}`}>
          {one.text}
        </div>
      ))}
    </div>
  );
}
