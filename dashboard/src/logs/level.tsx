import { toneOf } from "./line";

export function Level({ level }: { level: string | null | undefined }) {
  return <span className={`level ${toneOf(level)}`}>{level || "–"}</span>;
}
