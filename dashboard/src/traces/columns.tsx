// Columns of the list of traces: what there is, how wide, by what the server sorts.
import type { ReactNode } from "react";
import type { Trace } from "../api/types";
import { scoreKey } from "../state/filter";
import {
  compact,
  costText,
  costTitle,
  count,
  duration,
  fullTime,
  oneLine,
  time,
  type Zone,
} from "../text/format";
import { Status } from "../ui/parts";

export interface Column {
  id: string;
  name: string;
  width: string;
  // The width where no trace shown has anything in it, and how to know.
  widthEmpty?: string;
  isEmpty?: (trace: Trace) => boolean;
  sort?: string;
  isNumber?: boolean;
  // The key and value that the cell's content filters by.
  filter?: (trace: Trace) => [string, unknown][];
  show: (trace: Trace, zone: Zone) => ReactNode;
}

const texts = (values: string[] | null | undefined) => (values?.length ? values.join(", ") : "");

export const COLUMNS: Column[] = [
  {
    id: "start",
    name: "Started",
    width: "118px",
    sort: "start",
    show: (trace, zone) => <span title={fullTime(trace.start, zone)}>{time(trace.start, zone)}</span>,
  },
  {
    id: "status",
    name: "Status",
    width: "84px",
    filter: (trace) => [["status", trace.status]],
    show: (trace) => <Status status={trace.status} />,
  },
  {
    id: "name",
    name: "Name",
    width: "minmax(200px, 1.6fr)",
    filter: (trace) => (trace.name ? [["name", trace.name]] : []),
    show: (trace) => <b className="cut">{trace.name || trace.run_id}</b>,
  },
  {
    id: "input",
    name: "Input",
    width: "minmax(100px, 1.6fr)",
    widthEmpty: "minmax(48px, 0.2fr)",
    isEmpty: (trace) => !trace.input_preview,
    show: (trace) => <span className="cut">{oneLine(trace.input_preview ?? "")}</span>,
  },
  {
    id: "output",
    name: "Output",
    width: "minmax(100px, 1.6fr)",
    widthEmpty: "minmax(56px, 0.2fr)",
    isEmpty: (trace) => !trace.output_preview && !trace.error_message,
    show: (trace) =>
      trace.error_message ? (
        <span className="cut wrong">{oneLine(trace.error_message)}</span>
      ) : (
        <span className="cut">{oneLine(trace.output_preview ?? "")}</span>
      ),
  },
  {
    id: "duration",
    name: "Latency",
    width: "72px",
    sort: "duration",
    isNumber: true,
    show: (trace) => (trace.status === "running" ? "running" : duration(trace.duration_ns)),
  },
  {
    id: "tokens",
    name: "Tokens",
    width: "62px",
    sort: "tokens",
    isNumber: true,
    show: (trace) => <span title={count(trace.tokens?.total)}>{compact(trace.tokens?.total)}</span>,
  },
  {
    id: "cost",
    name: "Cost",
    width: "62px",
    sort: "cost",
    isNumber: true,
    show: (trace) => <span title={costTitle(trace.cost)}>{costText(trace.cost)}</span>,
  },
  {
    id: "spans",
    name: "Steps",
    width: "50px",
    isNumber: true,
    show: (trace) => count(trace.span_count),
  },
  {
    id: "errors",
    name: "Failed steps",
    width: "92px",
    isNumber: true,
    show: (trace) => count(trace.error_count),
  },
  {
    id: "user",
    name: "User",
    width: "120px",
    filter: (trace) => (trace.user_id ? [["user_id", trace.user_id]] : []),
    show: (trace) => <span className="cut">{trace.user_id}</span>,
  },
  {
    id: "thread",
    name: "Thread",
    width: "120px",
    filter: (trace) => (trace.thread_id ? [["thread_id", trace.thread_id]] : []),
    show: (trace) => <span className="cut">{trace.thread_id}</span>,
  },
  {
    id: "models",
    name: "Models",
    width: "130px",
    filter: (trace) => (trace.models ?? []).map((model) => ["rollup.models", model]),
    show: (trace) => <span className="cut">{texts(trace.models)}</span>,
  },
  {
    id: "tools",
    name: "Tools",
    width: "130px",
    filter: (trace) => (trace.tools ?? []).map((tool) => ["rollup.tools", tool]),
    show: (trace) => <span className="cut">{texts(trace.tools)}</span>,
  },
  {
    id: "tags",
    name: "Tags",
    width: "120px",
    filter: (trace) => (trace.tags ?? []).map((tag) => ["tags", tag]),
    show: (trace) => <span className="cut">{texts(trace.tags)}</span>,
  },
  {
    id: "environment",
    name: "Environment",
    width: "110px",
    filter: (trace) => (trace.environment ? [["environment", trace.environment]] : []),
    show: (trace) => <span className="cut">{trace.environment}</span>,
  },
  {
    id: "region",
    name: "Region",
    width: "110px",
    filter: (trace) => (trace.region ? [["region", trace.region]] : []),
    show: (trace) => <span className="cut">{trace.region}</span>,
  },
  {
    id: "version",
    name: "Version",
    width: "110px",
    filter: (trace) => (trace.version ? [["version", trace.version]] : []),
    show: (trace) => <span className="cut">{trace.version}</span>,
  },
  {
    id: "release",
    name: "Release",
    width: "110px",
    filter: (trace) => (trace.release ? [["release", trace.release]] : []),
    show: (trace) => <span className="cut">{trace.release}</span>,
  },
  {
    id: "service",
    name: "Service",
    width: "120px",
    filter: (trace) => (trace.service ? [["service", trace.service]] : []),
    show: (trace) => <span className="cut">{trace.service}</span>,
  },
  {
    id: "scores",
    name: "Scores",
    width: "140px",
    filter: (trace) =>
      Object.entries(trace.scores ?? {})
        .filter(([name, value]) => name && value !== null && typeof value !== "object")
        .map(([name, value]) => [scoreKey(name), value]),
    show: (trace) => (
      <span className="cut">
        {Object.entries(trace.scores ?? {})
          .map(([name, value]) => `${name} ${oneLine(value)}`)
          .join(", ")}
      </span>
    ),
  },
  {
    id: "id",
    name: "Id",
    width: "150px",
    show: (trace) => <span className="cut mono">{trace.run_id}</span>,
  },
];

export const DEFAULT_COLUMNS = [
  "start",
  "status",
  "name",
  "input",
  "output",
  "duration",
  "tokens",
  "cost",
  "spans",
];

// A column of a metadata key, by its path.
function ofMetadata(path: string): Column {
  const key = path.slice("metadata.".length);
  const value = (trace: Trace) => trace.metadata?.[key];
  return {
    id: path,
    name: key,
    width: "130px",
    sort: path,
    filter: (trace) => (value(trace) === undefined ? [] : [[path, value(trace)]]),
    show: (trace) => <span className="cut">{oneLine(value(trace) ?? "")}</span>,
  };
}

// By what the first of the traces have, so that loading more moves nothing.
const LOOKED_AT = 100;

export function widthOf(column: Column, traces: Trace[]): string {
  const { isEmpty, widthEmpty, width } = column;
  const first = traces.slice(0, LOOKED_AT);
  return widthEmpty && isEmpty && first.length > 0 && first.every(isEmpty) ? widthEmpty : width;
}

export function columnsOf(ids: string[]): Column[] {
  return ids.flatMap((id) => {
    const known = COLUMNS.find((column) => column.id === id);
    return known ? [known] : id.startsWith("metadata.") ? [ofMetadata(id)] : [];
  });
}
