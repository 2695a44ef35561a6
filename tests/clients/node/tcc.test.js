// The published @contextcompany/otel with the AI SDK, unmodified, against the binary. What is expected stands in the script
// of the model and in the arguments of the program.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { generateText, stepCountIs, tool } from "ai";
import { MockLanguageModelV3 } from "ai/test";

import { KEY, Obsrv } from "./server.js";

const HEADERS = { "x-api-key": KEY };
const usage = (noCache, cacheRead, output) => ({
  inputTokens: { total: noCache + cacheRead, noCache, cacheRead, cacheWrite: 0 },
  outputTokens: { total: output, text: output, reasoning: 0 },
});

/** A model that asks for a tool and then answers. */
const model = (name) => {
  const says = [
    { content: [{ type: "tool-call", toolCallId: "call-1", toolName: "weather", input: '{"city":"SF"}' }], finish: "tool-calls", usage: usage(18, 2, 7) },
    { content: [{ type: "text", text: "61F and sunny" }], finish: "stop", usage: usage(10, 2, 5) },
  ];
  return new MockLanguageModelV3({
    provider: "mock",
    modelId: name,
    doGenerate: async () => {
      const { content, finish, usage } = says.shift();
      return { content, usage, finishReason: { unified: finish, raw: finish }, warnings: [] };
    },
  });
};

const object = (properties) => ({ type: "object", properties, required: Object.keys(properties), additionalProperties: false });

describe("@contextcompany/otel", () => {
  let server, tcc, provider;
  before(async () => {
    server = await Obsrv.start();
    process.env.TCC_API_KEY = KEY;
    process.env.TCC_BASE_URL = server.url;
    process.env.TCC_FEEDBACK_URL = `${server.url}/v1/feedback`;
    tcc = await import("@contextcompany/otel");
    provider = new NodeTracerProvider({ spanProcessors: [new tcc.TCCSpanProcessor({ apiKey: KEY })] });
    provider.register();
  });
  after(async () => {
    await provider.shutdown();
    await server.end();
  });

  const read = async (run) => {
    const answer = await fetch(`${server.url}/v1/traces/${encodeURIComponent(run)}`, { headers: HEADERS });
    return answer.status === 200 ? answer.json() : null;
  };

  /** The exporter answers to nobody, so the run is there when it is there. */
  const awaitRun = async (run, steps) => {
    for (const giveUp = Date.now() + 10_000; Date.now() < giveUp; ) {
      const served = await read(run);
      if (served?.trace.steps.length >= steps) return served;
      await new Promise((resolve) => setImmediate(resolve));
    }
    throw new Error(`run ${run} did not come`);
  };

  test("a run with a tool and a run inside of the tool are two runs of one trace", async () => {
    const { jsonSchema } = await import("ai");
    const telemetry = (run) => ({
      isEnabled: true,
      functionId: "answer",
      metadata: { "tcc.runId": run, "tcc.sessionId": "sess-js", team: "a", count: 3, list: ["x", "y"] },
    });
    const inner = () => generateText({ model: model("inner-model"), prompt: "inner", experimental_telemetry: telemetry("run inner") });
    const weather = tool({
      inputSchema: jsonSchema(object({ city: { type: "string" } })),
      execute: async ({ city }) => {
        await inner();
        return { temp: 61, city };
      },
    });
    const { text } = await generateText({
      model: model("mock-model-1"),
      system: "Be brief.",
      prompt: "Weather in SF?",
      tools: { weather },
      stopWhen: stepCountIs(3),
      experimental_telemetry: telemetry("run/outer ü"),
    });
    assert.equal(text, "61F and sunny");
    await provider.forceFlush();

    const outer = await awaitRun("run/outer ü", 4);
    assert.equal(outer.meta.group, "sess-js");
    // The steps' own, 18 + 2 + 7 and 10 + 2 + 5: that the run says their sum again adds nothing.
    assert.equal(outer.meta.total_tokens, 44);
    const calls = outer.trace.steps.filter((step) => step.type === "llm");
    assert.deepEqual(calls.map((step) => step.token_usage), [
      { input: 18, output: 7, cache_read: 2, total: 27 },
      { input: 10, output: 5, cache_read: 2, total: 17 },
    ]);
    assert.deepEqual(calls.map((step) => step.model), ["mock-model-1", "mock-model-1"]);
    const [used] = outer.trace.steps.filter((step) => step.type === "tool");
    assert.deepEqual(used.tool_calls.map(({ id, name, arguments: given, result }) => ({ id, name, given, result })), [
      { id: "call-1", name: "weather", given: { city: "SF" }, result: { temp: 61, city: "SF" } },
    ]);
    assert.equal(used.metadata["ai.telemetry.metadata.team"], "a");
    assert.equal(used.metadata["ai.telemetry.metadata.count"], 3);
    assert.deepEqual(used.metadata["ai.telemetry.metadata.list"], ["x", "y"]);
    const said = calls[1].messages.map((message) => message.role);
    assert.deepEqual([said[0], said[1], said.at(-1)], ["system", "user", "assistant"]);

    const nested = await awaitRun("run inner", 2);
    const traces = new Set([...outer.trace.steps, ...nested.trace.steps].map((step) => step.otel_trace_id));
    assert.equal(traces.size, 1, "one trace of OpenTelemetry");
    assert.equal(nested.meta.total_tokens, 27);
  });

  test("feedback finds its run", async () => {
    await tcc.submitFeedback({ runId: "run inner", score: "thumbs_up", text: "good ✓" });
    const { trace } = await read("run inner");
    const [{ name, label, score, comment }] = trace.annotations;
    assert.deepEqual({ name, label, score, comment }, { name: "feedback", label: "thumbs_up", score: 1, comment: "good ✓" });
  });
});
