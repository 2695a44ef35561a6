// Answers of the server. Only what the dashboard uses; unknown members are ignored.

export type Status = "ok" | "success" | "error" | "running" | "unset" | string;

export interface Tokens {
  input?: number | null;
  output?: number | null;
  cached?: number | null;
  cache_write?: number | null;
  reasoning?: number | null;
  total?: number | null;
}

export interface Cost {
  total?: number | null;
  [part: string]: number | string | null | undefined;
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface Trace {
  run_id: string;
  trace_id: string;
  name: string | null;
  status: Status;
  error_message?: string | null;
  start: string | null;
  end: string | null;
  duration_ns: number | null;
  kind?: string | null;
  user_id?: string | null;
  thread_id?: string | null;
  service?: string | null;
  environment?: string | null;
  version?: string | null;
  release?: string | null;
  region?: string | null;
  tags?: string[] | null;
  metadata?: { [key: string]: Json } | null;
  models?: string[] | null;
  tools?: string[] | null;
  tokens?: Tokens | null;
  cost?: Cost | number | null;
  span_count?: number | null;
  error_count?: number | null;
  input_preview?: string | null;
  output_preview?: string | null;
  scores?: { [name: string]: Json } | null;
  last_activity?: string | null;
}

export interface Listed<T> {
  data: T[];
  next_cursor: string | null;
  total?: number;
  explain?: { [key: string]: Json };
}

export interface Dictionary {
  dict: (string | null)[];
  codes: number[];
}

export interface SpanColumns {
  count: number;
  start: string | null;
  columns: {
    span_id: string[] | Dictionary;
    parent: number[];
    name: (string | null)[] | Dictionary;
    kind: (string | null)[] | Dictionary;
    status: (string | null)[] | Dictionary;
    offset_ns: (number | null)[];
    duration_ns: (number | null)[];
    tokens?: (number | null)[];
    cost?: (number | null)[];
    model?: (string | null)[] | Dictionary;
    // Places in this page.
    critical?: number[];
  };
  next_cursor: string | null;
}

export interface SpanShort {
  trace_id: string;
  span_id: string;
  parent_id: string | null;
  run_id?: string;
  name: string | null;
  kind: string | null;
  status: Status;
  error_message?: string | null;
  start: string | null;
  end: string | null;
  duration_ns: number | null;
  model?: string | null;
  tool?: string | null;
  tokens?: Tokens | null;
  cost?: Cost | number | null;
  service?: string | null;
  user_id?: string | null;
  thread_id?: string | null;
  input_preview?: string | null;
  output_preview?: string | null;
}

export interface Span extends SpanShort {
  input?: Json;
  output?: Json;
  messages?: Json;
  tool_calls?: Json;
  attributes?: { [key: string]: Json } | null;
  events?: Json;
  links?: Json;
  metadata?: { [key: string]: Json } | null;
  resource?: Json;
  scope?: Json;
  raw?: Json;
  [more: string]: Json | undefined | Tokens | Cost;
}

export interface Message {
  span_id?: string | null;
  role: string;
  parts?: Json;
  content?: Json;
  at?: string | null;
  [more: string]: Json | undefined;
}

export interface FacetAnswer {
  facets: {
    key: string;
    values: { value: Json; count: number }[];
    other?: number;
    missing?: number;
    // Scores that are too many to be counted.
    cut?: boolean;
  }[];
  total?: number;
}

export interface KeysAnswer {
  keys: { key: string; type?: string; rows?: number | null }[];
}

export interface ValuesAnswer {
  values: { value: Json; count: number }[];
}

export interface Measure {
  fn: "count" | "rate" | "share" | "sum" | "avg" | "min" | "max" | "quantile" | "distinct" | "histogram";
  of?: string;
  q?: number;
  where?: string;
}

export interface Aggregate {
  groups: {
    by: { [key: string]: Json };
    values?: (number | null)[];
    buckets?: { at: string; rows: number; values: (number | null)[] }[];
  }[];
  groups_left_out?: number;
  measures: string[];
}

export interface Project {
  id: number;
  name: string;
  org: number;
  archived: boolean;
  rights?: string[];
}

export interface Org {
  id: number;
  name: string;
  slug: string;
  archived: boolean;
  rights?: string[];
}

export interface Items<T> {
  items: T[];
  next: string | null;
}

export interface Me {
  user_id: number;
  email: string;
  name: string;
  email_verified: boolean;
  has_password: boolean;
  method: string;
  session_id: string;
}

export interface Ways {
  password: boolean;
  needs_setup: boolean;
  providers: { id: string; name: string; start: string }[];
}

export interface Key {
  id: string;
  name: string;
  scopes: string[];
  slot: string;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
  state: "live" | "expired" | "revoked";
}

export interface KeyMade {
  key: string;
  key_id: string;
  project: number;
}

export interface AuditRecord {
  number: number;
  at: string;
  actor: string;
  action: string;
  project: number | null;
  subject: string;
  details: { [key: string]: string };
  hash: string;
}
