// The one way to the server. Everything that this asks for is in /openapi.json.

export interface Problem {
  code: string;
  message: string;
  field?: string;
  retryable: boolean;
  request_id: string;
  // Errors of the filter language also say where, and what would be right there.
  position?: number;
  expected?: string;
  did_you_mean?: string;
}

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.message);
  }
}

export class Unreachable extends Error {
  constructor() {
    super("The server does not answer.");
  }
}

export type Query = Record<string, string | number | boolean | null | undefined>;

export function withQuery(path: string, query?: Query): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== "") {
      params.set(name, String(value));
    }
  }
  const text = params.toString();
  return text ? `${path}?${text}` : path;
}

interface Asked {
  query?: Query;
  body?: unknown;
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

let onSignedOut = () => {};

// What happens when the server says that nobody is signed in any more.
export function whenSignedOut(then: () => void) {
  onSignedOut = then;
}

async function problemOf(response: Response): Promise<Problem> {
  const body: unknown = await response.json().catch(() => null);
  if (typeof body === "object" && body !== null && "error" in body) {
    return body.error as Problem;
  }
  const message = `The server answered ${response.status}.`;
  return { code: "unknown", message, retryable: response.status === 503, request_id: "" };
}

export async function ask<T>(method: string, path: string, asked: Asked = {}): Promise<T> {
  const headers: Record<string, string> = { accept: "application/json", ...asked.headers };
  const init: RequestInit = { method, headers, credentials: "same-origin", cache: "no-store" };
  if (asked.signal) {
    init.signal = asked.signal;
  }
  if (method !== "GET") {
    // Shows that a page of ours asks; others cannot set it.
    headers["x-obsrv-request"] = "1";
  }
  if (asked.body !== undefined) {
    headers["content-type"] = "application/json";
    init.body = JSON.stringify(asked.body);
  }
  let response: Response;
  try {
    response = await fetch(withQuery(path, asked.query), init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") {
      throw error;
    }
    throw new Unreachable();
  }
  if (!response.ok) {
    if (response.status === 401 && !path.startsWith("/v1/auth/")) {
      onSignedOut();
    }
    throw new ApiError(response.status, await problemOf(response));
  }
  if (response.status === 204 || response.status === 202) {
    return undefined as T;
  }
  return (await response.json()) as T;
}

export const get = <T>(path: string, query?: Query, signal?: AbortSignal) =>
  ask<T>("GET", path, { query, signal });
export const post = <T>(path: string, body?: unknown, signal?: AbortSignal) =>
  ask<T>("POST", path, { body, signal });
export const put = <T>(path: string, body?: unknown) => ask<T>("PUT", path, { body });
export const patch = <T>(path: string, body?: unknown) => ask<T>("PATCH", path, { body });
export const del = <T>(path: string) => ask<T>("DELETE", path);

// One part of a path, whatever is in it.
export const part = (text: string | number) => encodeURIComponent(String(text));
