// The AI SDK 7 with @ai-sdk/otel, which speaks the conventions of OpenTelemetry, unmodified, against the binary.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { OpenTelemetry } from "@ai-sdk/otel";
import { SpanStatusCode } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor, InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-node";
import { embed, generateText, registerTelemetry } from "ai";
import { MockEmbeddingModelV4 } from "ai/test";

import { hold, readBack } from "./conformance.js";
import { KEY, Obsrv } from "./server.js";
import { callsOf, saidIn, sum, tokensOf } from "./steps.js";
import { ANSWER, CALL, QUESTION, SYSTEM, USED, VERSIONS } from "./versions.js";

const PARTS = USED.map(({ fresh, cached, said, thought }) => ({ input: fresh, output: said + thought, cache_read: cached }));

const COLUMN = "@ai-sdk/otel, ai 7";
hold([COLUMN]);

const micros = ([seconds, nanoseconds]) => seconds * 1e6 + Math.floor(nanoseconds / 1000);
const microsOf = (text) => Date.parse(text.slice(0, 19) + "Z") * 1000 + Number(text.slice(20, 26));

describe("@ai-sdk/otel", () => {
  const { model, steps, weather } = VERSIONS["ai 7"];
  const memory = new InMemorySpanExporter();
  let server, provider;
  before(async () => {
    server = await Obsrv.start();
    const exporter = new OTLPTraceExporter({ url: `${server.url}/v1/traces`, headers: { "x-api-key": KEY } });
    provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(memory), new BatchSpanProcessor(exporter)] });
    provider.register();
    registerTelemetry(new OpenTelemetry());
  });
  after(async () => {
    await provider.shutdown();
    await server.end();
  });

  /** The trace that a call made, as served. */
  const traceOf = async (call) => {
    memory.reset();
    await call().catch(() => {});
    await provider.forceFlush();
    const spans = memory.getFinishedSpans();
    return { spans, ...(await server.trace(spans[0].spanContext().traceId)) };
  };

  test("a run with a tool", async () => {
    const tools = weather(async ({ city }) => ({ temp: 61, city }));
    const call = () => generateText({ model: model("mock-model-1", ["tool", "text"]), system: SYSTEM, prompt: QUESTION, tools, ...steps });
    const { spans, meta, trace } = await traceOf(call);
    const of = (type) => trace.steps.filter((step) => (step.type_sent ?? step.type) === type);
    assert.equal(trace.steps.length, spans.length);
    const made = new Map(spans.map((span) => [span.spanContext().spanId, span]));
    for (const step of trace.steps) {
      const span = made.get(step.step_id);
      assert.deepEqual([step.name, step.parent_step_id], [span.name, span.parentSpanContext?.spanId]);
      assert.deepEqual([microsOf(step.started_at), microsOf(step.ended_at)], [micros(span.startTime), micros(span.endTime)]);
      assert.deepEqual(step.metadata, JSON.parse(JSON.stringify(span.attributes)));
      assert.equal(step.status, "success");
    }
    assert.equal(of("agent").length, 1);
    assert.deepEqual(of("llm").map((step) => [step.model, step.provider]), Array(2).fill(["mock-model-1", "mock"]));
    assert.deepEqual(of("llm").map(tokensOf), PARTS);
    assert.equal(meta.total_tokens, sum(PARTS));
    const asked = [["system", SYSTEM], ["user", QUESTION]];
    const uses = ["assistant", "", [{ ...CALL, result: undefined }]];
    assert.deepEqual(saidIn(of("llm")[0]), [...asked, uses]);
    assert.deepEqual(saidIn(of("llm")[1]), [...asked, uses, ["tool", JSON.stringify(CALL.result)], ["assistant", ANSWER]]);
    assert.deepEqual(callsOf(of("tool")[0]), [CALL]);
    const [agent] = of("agent");
    assert.deepEqual(saidIn(agent)[0], ["system", SYSTEM]);
    // Its one message has what all of its steps said and used.
    const { role, content } = agent.messages.at(-1);
    assert.deepEqual([role, content.some((part) => part.text === ANSWER)], ["assistant", true]);
    readBack(COLUMN, "ids", "name", "times", "tree", "kind", "model", "provider", "messages", "tool calls", "tokens", "metadata");
  });

  test("a model that fails, and an embedding", async () => {
    const broken = () => generateText({ model: model("m", [new Error("no more today")]), prompt: "x", maxRetries: 0 });
    const { spans, meta, trace } = await traceOf(broken);
    assert.equal(meta.status, "error");
    for (const span of spans.filter((span) => span.status.code === SpanStatusCode.ERROR)) {
      const step = trace.steps.find((step) => step.step_id === span.spanContext().spanId);
      assert.match(`${step.status}: ${step.error_message}`, /^error: .*no more today/);
    }
    readBack(COLUMN, "status", "error");
    const vectors = new MockEmbeddingModelV4({
      modelId: "mock-embed",
      doEmbed: async () => ({ embeddings: [[0.5, 0.25]], usage: { tokens: 7 }, warnings: [] }),
    });
    const embedded = await traceOf(() => embed({ model: vectors, value: "a text" }));
    const made = embedded.trace.steps.find((step) => step.type_sent === "embedding" && step.token_usage);
    assert.equal(made.model, "mock-embed");
    assert.deepEqual(tokensOf(made), { input: 7, output: 0 });
  });
});
