// Numbers, times and durations as people read them.

const NS_PER_MS = 1e6;

export function duration(ns: number | null | undefined): string {
  if (ns === null || ns === undefined) {
    return "–";
  }
  if (ns < 1000) {
    return `${ns} ns`;
  }
  if (ns < NS_PER_MS) {
    return `${trim(ns / 1000)} µs`;
  }
  if (ns < 1000 * NS_PER_MS) {
    return `${trim(ns / NS_PER_MS)} ms`;
  }
  const seconds = ns / 1e9;
  if (seconds < 60) {
    return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  }
  const whole = Math.round(seconds);
  if (whole < 3600) {
    return `${Math.floor(whole / 60)}m ${String(whole % 60).padStart(2, "0")}s`;
  }
  const minutes = Math.round(seconds / 60);
  if (minutes < 48 * 60) {
    return `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, "0")}m`;
  }
  return `${Math.round(minutes / 1440)} d`;
}

function trim(n: number): string {
  return n < 10 ? n.toFixed(1).replace(/\.0$/, "") : String(Math.round(n));
}

const whole = new Intl.NumberFormat("en-US");
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

export function count(n: number | null | undefined): string {
  return n === null || n === undefined ? "–" : whole.format(n);
}

export function compact(n: number | null | undefined): string {
  return n === null || n === undefined ? "–" : short.format(n);
}

const SIZES = ["B", "kB", "MB", "GB", "TB"];

export function bytes(n: number | null | undefined): string {
  if (n === null || n === undefined) {
    return "–";
  }
  let size = n;
  let unit = 0;
  while (size >= 1000 && unit < SIZES.length - 1) {
    size /= 1000;
    unit++;
  }
  return `${size >= 10 || unit === 0 ? Math.round(size) : size.toFixed(1)} ${SIZES[unit]}`;
}

export function money(n: number | null | undefined): string {
  if (n === null || n === undefined) {
    return "–";
  }
  if (n === 0) {
    return "$0";
  }
  if (Math.abs(n) < 0.0001) {
    return `$${n.toExponential(1)}`;
  }
  if (Math.abs(n) < 1) {
    return `$${n.toFixed(4).replace(/0+$/, "").replace(/\.$/, "")}`;
  }
  return `$${n.toLocaleString("en-US", { maximumFractionDigits: 2 })}`;
}

export function totalCost(cost: unknown): number | null {
  if (typeof cost === "number") {
    return cost;
  }
  if (typeof cost === "object" && cost !== null && "total" in cost) {
    const total = (cost as { total: unknown }).total;
    return typeof total === "number" ? total : null;
  }
  return null;
}

// What something cost: at least so much where nobody knows what some of its steps cost.
export function costText(cost: unknown): string {
  const text = money(totalCost(cost));
  return unknownSteps(cost) > 0 && totalCost(cost) !== null ? `≥ ${text}` : text;
}

const SOURCES: Record<string, string> = {
  stated: "As its sender says",
  priced: "By the table of prices",
  mixed: "As its sender says, and by the table of prices",
};

export function costTitle(cost: unknown): string | undefined {
  const source = typeof cost === "object" && cost !== null && "source" in cost ? String(cost.source) : "";
  const unknown = unknownSteps(cost);
  const said = [SOURCES[source], unknown > 0 && `${plural(unknown, "step")} of unknown cost`];
  return said.filter(Boolean).join("; ") || undefined;
}

function unknownSteps(cost: unknown): number {
  const steps = typeof cost === "object" && cost !== null && "unknown_steps" in cost ? cost.unknown_steps : 0;
  return typeof steps === "number" ? steps : 0;
}

export type Zone = "local" | "utc";

const two = (n: number) => String(n).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

interface Fields {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
  ms: number;
}

function fields(at: Date, zone: Zone): Fields {
  return zone === "utc"
    ? {
        year: at.getUTCFullYear(),
        month: at.getUTCMonth(),
        day: at.getUTCDate(),
        hour: at.getUTCHours(),
        minute: at.getUTCMinutes(),
        second: at.getUTCSeconds(),
        ms: at.getUTCMilliseconds(),
      }
    : {
        year: at.getFullYear(),
        month: at.getMonth(),
        day: at.getDate(),
        hour: at.getHours(),
        minute: at.getMinutes(),
        second: at.getSeconds(),
        ms: at.getMilliseconds(),
      };
}

// "14:03:09" today, "3 Nov 14:03:09" this year, with the year otherwise.
export function time(text: string | null | undefined, zone: Zone, now = new Date()): string {
  const at = text ? new Date(text) : null;
  if (!at || Number.isNaN(at.getTime())) {
    return "–";
  }
  const f = fields(at, zone);
  const today = fields(now, zone);
  const clock = `${two(f.hour)}:${two(f.minute)}:${two(f.second)}`;
  if (f.year !== today.year) {
    return `${f.day} ${MONTHS[f.month]} ${f.year} ${clock}`;
  }
  return f.month === today.month && f.day === today.day ? clock : `${f.day} ${MONTHS[f.month]} ${clock}`;
}

export function fullTime(text: string | null | undefined, zone: Zone): string {
  const at = text ? new Date(text) : null;
  if (!at || Number.isNaN(at.getTime())) {
    return "–";
  }
  const f = fields(at, zone);
  const clock = `${two(f.hour)}:${two(f.minute)}:${two(f.second)}.${String(f.ms).padStart(3, "0")}`;
  return `${f.year}-${two(f.month + 1)}-${two(f.day)} ${clock} ${zone === "utc" ? "UTC" : "local"}`;
}

// A label of a time axis whose labels are so many milliseconds apart.
export function axisTime(ms: number, stepMs: number, zone: Zone): string {
  const f = fields(new Date(ms), zone);
  if (stepMs >= 27 * 86_400_000) {
    return `${MONTHS[f.month]} ${f.year}`;
  }
  if (stepMs >= 86_400_000) {
    return `${f.day} ${MONTHS[f.month]}`;
  }
  const clock = `${two(f.hour)}:${two(f.minute)}`;
  return stepMs >= 60_000 ? clock : `${clock}:${two(f.second)}`;
}

export function ago(text: string | null | undefined, now = Date.now()): string {
  const at = text ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at)) {
    return "–";
  }
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  if (seconds < 60) {
    return `${seconds}s ago`;
  }
  if (seconds < 3600) {
    return `${Math.floor(seconds / 60)}m ago`;
  }
  if (seconds < 86400) {
    return `${Math.floor(seconds / 3600)}h ago`;
  }
  return `${Math.floor(seconds / 86400)}d ago`;
}

export function oneLine(value: unknown): string {
  const text = typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
  return text.replace(/\s+/g, " ").trim();
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}
