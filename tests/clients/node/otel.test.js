// The OpenTelemetry JS SDK with its OTLP exporters, over HTTP and gRPC, unmodified, against the binary.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { SpanKind, SpanStatusCode, context, trace } from "@opentelemetry/api";
import { OTLPTraceExporter as GrpcExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { CompressionAlgorithm } from "@opentelemetry/otlp-exporter-base";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  InMemorySpanExporter,
  NodeTracerProvider,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-node";

import { hold, readBack } from "./conformance.js";
import { KEY, Obsrv } from "./server.js";

hold(["OpenTelemetry JS"], ["log lines", "points"]);

const KINDS = ["internal", "server", "client", "producer", "consumer"];

/** A program with the SDK; its own in-memory exporter says what it made. */
class Program {
  constructor(exporter) {
    this.memory = new InMemorySpanExporter();
    this.provider = new NodeTracerProvider({
      resource: resourceFromAttributes({ "service.name": "shop-js", replicas: 3, zones: ["a", "b"] }),
      spanProcessors: [new SimpleSpanProcessor(this.memory), new BatchSpanProcessor(exporter)],
    });
    this.tracer = this.provider.getTracer("tests.program", "1.0");
  }

  span(name, parent, options, body) {
    const span = this.tracer.startSpan(name, options, parent ? trace.setSpan(context.active(), parent) : undefined);
    body?.(span);
    span.end();
    return span;
  }

  run() {
    const root = this.tracer.startSpan("request", { kind: SpanKind.SERVER });
    root.setAttributes({ "metadata.customer": "acme", text: "ünï 漢字 🙂", empty: "", yes: true, no: false });
    root.setAttributes({ whole: 42, negative: -7, part: 0.1, texts: ["a", "b"], wholes: [1, 2], bools: [true, false] });
    const chat = this.span("chat gpt-4o", root, { kind: SpanKind.CLIENT }, (span) => {
      span.setAttributes({ "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o" });
      span.addEvent("token", { n: 1, text: "hel" });
      span.addEvent("token", { n: 2, text: "lo" });
      span.setStatus({ code: SpanStatusCode.OK });
    });
    const links = [{ context: chat.spanContext(), attributes: { why: "retry of" } }];
    this.span("execute_tool", root, { links }, (span) => {
      span.recordException(new RangeError("the tool broke"));
      span.setStatus({ code: SpanStatusCode.ERROR, message: "the tool broke" });
    });
    root.end();
    return root.spanContext().traceId;
  }

  async finish() {
    await this.provider.forceFlush();
    const spans = this.memory.getFinishedSpans();
    await this.provider.shutdown();
    return spans;
  }
}

const micros = ([seconds, nanoseconds]) => seconds * 1e6 + Math.floor(nanoseconds / 1000);

function said(span) {
  const failed = span.status.code === SpanStatusCode.ERROR;
  return {
    id: span.spanContext().spanId,
    parent: span.parentSpanContext?.spanId,
    name: span.name,
    kind: KINDS[span.kind],
    status: failed ? "error" : "success",
    error: failed ? span.status.message : undefined,
    start: micros(span.startTime),
    end: micros(span.endTime),
    attributes: span.attributes,
    resource: span.resource.attributes,
    scope: span.instrumentationScope.name,
    events: span.events.map((e) => [e.name, e.attributes]),
    links: span.links.map((k) => [k.context.traceId, k.context.spanId, k.attributes]),
  };
}

const microsOf = (text) => Date.parse(text.slice(0, 19) + "Z") * 1000 + Number(text.slice(20, 26));

function read(step) {
  return {
    id: step.step_id,
    parent: step.parent_step_id,
    name: step.name,
    kind: step.otel_kind,
    status: step.status,
    error: step.error_message,
    start: microsOf(step.started_at),
    end: microsOf(step.ended_at),
    attributes: step.metadata,
    resource: step.resource,
    scope: step.scope?.name,
    events: step.events.map((e) => [e.name, e.metadata]),
    links: (step.links ?? []).map((k) => [k.trace_id, k.span_id, k.attributes]),
  };
}

const byId = (spans) => spans.sort((a, b) => (a.id < b.id ? -1 : 1));

async function compare(server, traceId, spans) {
  const served = await server.trace(traceId);
  const made = spans.filter((span) => span.spanContext().traceId === traceId);
  assert.ok(made.length > 0);
  assert.deepEqual(byId(served.trace.steps.map(read)), byId(JSON.parse(JSON.stringify(made.map(said))).map(complete)));
  return served.meta;
}

/** JSON leaves out what is undefined; the comparison wants the keys. */
const complete = (span) => ({ parent: undefined, error: undefined, ...span });

describe("OpenTelemetry JS", () => {
  let server;
  before(async () => (server = await Obsrv.start()));
  after(() => server.end());

  for (const [form, Exporter] of Object.entries({ protobuf: ProtobufExporter, json: JsonExporter, grpc: GrpcExporter })) {
    for (const compression of [CompressionAlgorithm.NONE, CompressionAlgorithm.GZIP]) {
      test(`${form} with ${compression} is read back equal`, async () => {
        const program = new Program(new Exporter({ ...server.exporterOf(form, "/v1/traces"), compression }));
        const traceId = program.run();
        const spans = await program.finish();
        assert.equal(spans.length, 3);
        const meta = await compare(server, traceId, spans);
        assert.equal(meta.name, "request");
        assert.equal(meta.step_count, 3);
        assert.equal(meta.metadata.customer, "acme");
        readBack("OpenTelemetry JS", "ids", "name", "status", "error", "times", "tree", "kind", "metadata", "service", "events", "links");
      });
    }
  }

  test("many spans survive a crash", async () => {
    const headers = { authorization: `Bearer ${KEY}` };
    const program = new Program(new ProtobufExporter({ url: `${server.url}/v1/traces`, headers }));
    const ids = Array.from({ length: 300 }, () => program.run());
    const spans = await program.finish();
    assert.equal(spans.length, 900);
    for (const id of ids.slice(0, 50)) await compare(server, id, spans);
    await server.restart();
    for (const id of ids) await compare(server, id, spans);
  });

  test("a filter by metadata finds the runs of one customer", async () => {
    const program = new Program(new JsonExporter({ url: `${server.url}/v1/traces`, headers: { "x-api-key": KEY } }));
    const made = [];
    for (let i = 0; i < 12; i++) {
      const span = program.span(`job ${i}`, null, {}, (s) => s.setAttribute("metadata.tenant", `t${i % 3}`));
      if (i % 3 === 1) made.push(span.spanContext().traceId);
    }
    await program.finish();
    const query = new URLSearchParams({ meta_key: "tenant", meta_value: "t1" });
    const answer = await fetch(`${server.url}/v1/traces?${query}`, { headers: { "x-api-key": KEY } });
    const { items } = await answer.json();
    assert.deepEqual(items.map((item) => item.trace_id).sort(), made.sort());
  });
});
