// The time that a page looks at: relative to now, or from one moment to another.

export interface Range {
  from: string;
  to: string;
}

export const RANGES: [string, string][] = [
  ["-15m", "Last 15 minutes"],
  ["-1h", "Last hour"],
  ["-6h", "Last 6 hours"],
  ["-1d", "Last 24 hours"],
  ["-7d", "Last 7 days"],
  ["-30d", "Last 30 days"],
  ["", "All time"],
];

const UNITS: Record<string, number> = { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3 };

// Milliseconds since the epoch of a time as it is in an address; null if it is not one.
export function moment(text: string, now = Date.now()): number | null {
  if (text === "now") {
    return now;
  }
  const relative = /^-(\d+)([smhd])$/.exec(text);
  if (relative) {
    return now - Number(relative[1]) * (UNITS[relative[2] ?? ""] ?? 0);
  }
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : at;
}

const STEPS = [
  1e3,
  2e3,
  5e3,
  10e3,
  15e3,
  30e3,
  60e3,
  120e3,
  300e3,
  600e3,
  900e3,
  1800e3,
  3600e3,
  7200e3,
  14400e3,
  21600e3,
  43200e3,
  86400e3,
  2 * 86400e3,
  7 * 86400e3,
  14 * 86400e3,
  28 * 86400e3,
  56 * 86400e3,
  112 * 86400e3,
  365 * 86400e3,
];

// The smallest round step of which at most `most` fit.
export function stepFor(spanMs: number, most: number): number {
  return STEPS.find((step) => spanMs / step <= most) ?? Math.ceil(spanMs / most / 86400e3) * 86400e3;
}

export function stepText(ms: number): string {
  for (const [unit, size] of [
    ["d", 86400e3],
    ["h", 3600e3],
    ["m", 60e3],
  ] as const) {
    if (ms % size === 0) {
      return `${ms / size}${unit}`;
    }
  }
  return `${Math.max(1, Math.round(ms / 1000))}s`;
}
