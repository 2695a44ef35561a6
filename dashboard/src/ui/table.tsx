import type { ReactNode } from "react";

// A table that may be wider than the page. Whoever has no pointer scrolls it with the arrow keys, so it takes the focus
// and has a name.
export function Table({
  label,
  className = "",
  isStale = false,
  children,
}: {
  label: string;
  className?: string;
  // Shows what was asked for before.
  isStale?: boolean;
  children: ReactNode;
}) {
  return (
    <div className={`scroll-x ${isStale ? "is-stale" : ""}`} tabIndex={0} role="group" aria-label={label}>
      <table className={`table ${className}`}>{children}</table>
    </div>
  );
}
