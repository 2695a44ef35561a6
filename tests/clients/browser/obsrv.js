// The obsrv binary under test, with an owner and the samples.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const KEY = "tk_test_bootstrap_0123456789";
export const OWNER = { email: "ada@example.org", name: "Ada Lovelace", password: "correct horse battery" };
const TRIES = 5;
const READY_MS = 30_000;
const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
export const BINARY = path.resolve(process.env.OBSRV_BIN ?? path.join(ROOT, "target/debug/obsrv"));
// Has the client packages.
export const PYTHON = path.resolve(process.env.OBSRV_PYTHON ?? path.join(ROOT, "target/venv/bin/python"));
const WHERE = path.join(tmpdir(), `obsrv-browser-${process.ppid}.json`);

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

// `flags`: what else it is started with, given its address.
export async function begin(flags = () => []) {
  const folder = mkdtempSync(path.join(tmpdir(), "obsrv-browser-"));
  const data = path.join(folder, "data");
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let said = "";
  const child = spawn(BINARY, ["serve", "--data", data, "--http", `127.0.0.1:${port}`, ...flags(url)], {
    env: { ...process.env, OBSRV_BOOTSTRAP_KEY: KEY },
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (part) => {
      said = (said + part).slice(-4000);
    });
  }
  const giveUp = Date.now() + READY_MS;
  for (;;) {
    if (child.exitCode !== null || Date.now() > giveUp) throw new Error(`obsrv is not ready:\n${said}`);
    const answer = await fetch(`${url}/ready`).catch(() => null);
    if (answer?.status === 200) break;
    await wait(10);
  }
  const end = async () => {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
    rmSync(folder, { recursive: true, force: true });
  };
  return { folder, data, url, end, setupLink: readFileSync(path.join(data, "setup-link"), "utf8").trim() };
}

// Loads the samples as bin/start does.
export function loadSamples(server) {
  const requests = path.join(server.folder, "requests");
  execFileSync("python3", [path.join(ROOT, "tests/corpora/convert.py"), path.join(ROOT, "samples"), requests]);
  const files = readdirSync(requests).map((name) => path.join(requests, name));
  execFileSync(BINARY, ["import", "--url", server.url, ...files], { env: { ...process.env, OBSRV_API_KEY: KEY } });
}

export async function send(url, body, key = KEY, signal = "traces") {
  const headers = { "x-api-key": key, "content-type": "application/json" };
  for (let tries = 1; ; tries++) {
    const answer = await fetch(`${url}/v1/${signal}`, { method: "POST", headers, body: JSON.stringify(body) });
    if (answer.ok) return;
    const said = await answer.text();
    // As an exporter does: what is refused for a while is sent again.
    if (answer.status !== 503 || tries === TRIES) throw new Error(`${answer.status} ${said}`);
    await wait(200 * tries);
  }
}

// Spans as an OTLP exporter sends them. Each: id, parent, name, start and end in milliseconds. `of` is what their resource says.
export function otlp(traceId, spans, of = {}) {
  const scopeSpans = [{ spans: spans.map((span) => otlpSpan(traceId, span)) }];
  return { resourceSpans: [{ resource: { attributes: attributesOf(of) }, scopeSpans }] };
}

const value = (v) => (typeof v === "number" ? { intValue: String(v) } : { stringValue: String(v) });

const attributesOf = (attributes) => Object.entries(attributes).map(([key, v]) => ({ key, value: value(v) }));
const resource = (service) => ({ attributes: attributesOf({ "service.name": service }) });
const nanos = (ms) => `${BigInt(Math.round(ms)) * 1_000_000n}`;

// Log records of one service. Each: at in milliseconds, level as a number of OTLP, body, and what else.
export function otlpLogs(service, lines) {
  const logRecords = lines.map(({ at, level, body, traceId, spanId, attributes = {} }) => ({
    timeUnixNano: nanos(at),
    severityNumber: level,
    body: { stringValue: body },
    attributes: attributesOf(attributes),
    ...(traceId ? { traceId, spanId } : {}),
  }));
  return { resourceLogs: [{ resource: resource(service), scopeLogs: [{ logRecords }] }] };
}

// Counters that count from their start, by name and model. Each point: at in milliseconds, value.
export function otlpCounters(service, name, models) {
  const dataPoints = Object.entries(models).flatMap(([model, points]) =>
    points.map(([at, n]) => ({
      timeUnixNano: nanos(at),
      startTimeUnixNano: nanos(points[0][0]),
      asInt: String(n),
      attributes: attributesOf({ model }),
    })),
  );
  const metrics = [{ name, unit: "{token}", sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints } }];
  return { resourceMetrics: [{ resource: resource(service), scopeMetrics: [{ metrics }] }] };
}

function otlpSpan(traceId, { id, parent, name, from, to, error, attributes = {} }) {
  return {
    traceId,
    spanId: id,
    ...(parent ? { parentSpanId: parent } : {}),
    name,
    kind: 1,
    startTimeUnixNano: `${BigInt(Math.round(from * 1000)) * 1000n}`,
    endTimeUnixNano: `${BigInt(Math.round(to * 1000)) * 1000n}`,
    attributes: attributesOf(attributes),
    ...(error ? { status: { code: 2, message: error } } : {}),
  };
}

export const BIG = { trace: "a".repeat(32), steps: 100_000 };
const BIG_REQUEST = 10_000;

// A run of 1,000 turns of 99 calls each.
export async function sendBig(url, now) {
  const id = (n) => (n + 1).toString(16).padStart(16, "0");
  for (let first = 0; first < BIG.steps; first += BIG_REQUEST) {
    const spans = Array.from({ length: BIG_REQUEST }, (_, at) => first + at).map((n) => ({
      id: id(n),
      parent: n === 0 ? undefined : id(n % 100 === 0 ? 0 : n - (n % 100)),
      name: n === 0 ? "the run" : n % 100 === 0 ? "turn" : "call",
      from: now + n / 10,
      to: now + n / 10 + (n === 0 ? BIG.steps / 10 : 5),
    }));
    await send(url, otlp(BIG.trace, spans));
  }
}

// What the tests of this run share, written by the global setup.
export const share = (facts) => writeFileSync(WHERE, JSON.stringify(facts));
export const shared = () => JSON.parse(readFileSync(process.env.OBSRV_BROWSER_FACTS, "utf8"));
export const sharedAt = WHERE;
