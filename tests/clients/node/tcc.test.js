// The published @contextcompany/otel with the AI SDK 4 to 7, unmodified, against the binary. What is expected stands in the
// script of the model and in the arguments of the program.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { LegacyOpenTelemetry } from "@ai-sdk/otel";
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { registerTelemetry } from "ai";

import { hold, readBack } from "./conformance.js";
import { KEY, Obsrv } from "./server.js";
import { callsOf, saidIn, sum, tokensOf } from "./steps.js";
import { ANSWER, CALL, QUESTION, SYSTEM, USED, VERSIONS } from "./versions.js";

const HEADERS = { "x-api-key": KEY };

// What the package sends of the tokens of a step: versions 4 and 5 say nothing of the parts.
const WHOLE = USED.map(({ fresh, cached, said, thought }) => ({ input: fresh + cached, output: said + thought }));
const PARTS = USED.map(({ fresh, cached, said, thought }) => ({ input: fresh, output: said, cache_read: cached, ...(thought && { reasoning: thought }) }));

const column = (version) => `@contextcompany/otel, ${version}`;
hold(Object.keys(VERSIONS).map(column));

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
    registerTelemetry(new LegacyOpenTelemetry());
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
    await provider.forceFlush();
    for (const giveUp = Date.now() + 10_000; Date.now() < giveUp; ) {
      const served = await read(run);
      if (served?.trace.steps.length >= steps) return served;
      await new Promise((resolve) => setImmediate(resolve));
    }
    throw new Error(`run ${run} did not come`);
  };

  for (const [version, { ai, model, settings, steps, weather }] of Object.entries(VERSIONS)) {
    const told = version < "ai 6" ? WHOLE : PARTS;
    const prefix = version === "ai 7" ? "ai.settings.context." : "ai.telemetry.metadata.";

    test(`${version}: a run with a tool and a run inside of the tool are two runs of one trace`, async () => {
      const [outerRun, innerRun] = [`run/outer ü ${version}`, `run inner ${version}`];
      const inner = () => ai.generateText({ model: model("inner-model", ["text"]), prompt: "inner", ...settings(innerRun) });
      const tools = weather(async ({ city }) => {
        await inner();
        return { temp: 61, city };
      });
      const begun = Date.now();
      const script = model("mock-model-1", ["tool", "text"]);
      const { text } = await ai.generateText({ model: script, system: SYSTEM, prompt: QUESTION, tools, ...steps, ...settings(outerRun) });
      assert.equal(text, ANSWER);

      const { meta, trace } = await awaitRun(outerRun, 4);
      const by = group(trace.steps);
      const [root] = by.chain;
      const [used] = by.tool;
      assert.equal(meta.status, "success");
      assert.equal(meta.group, "sess-js");
      assert.equal(root.name, "ai.generateText");
      assert.equal(root.parent_step_id, undefined);
      assert.deepEqual(by.llm.map((step) => step.parent_step_id), [root.step_id, root.step_id]);
      assert.equal(used.parent_step_id, version === "ai 7" ? by.llm[0].step_id : root.step_id);
      // The steps' own: that the run says their sum again, or the last one's, adds nothing.
      assert.equal(meta.total_tokens, sum(told));
      assert.deepEqual(by.llm.map((step) => tokensOf(step)), told);
      assert.deepEqual(by.llm.map((step) => [step.model, step.provider]), Array(2).fill(["mock-model-1", "mock"]));
      assert.deepEqual(callsOf(used), [CALL]);
      const asked = [["system", SYSTEM], ["user", QUESTION]];
      const uses = ["assistant", "", [{ ...CALL, result: undefined }]];
      assert.deepEqual(saidIn(by.llm[0]), [...asked, uses]);
      assert.deepEqual(saidIn(by.llm[1]), [...asked, uses, ["tool", JSON.stringify(CALL.result)], ["assistant", ANSWER]]);
      // A run of version 7 says the uses of all of its steps beside its answer.
      const answer = version === "ai 7" ? ["assistant", ANSWER, uses[2]] : ["assistant", ANSWER];
      assert.deepEqual(saidIn(root), [...asked, answer]);
      for (const [key, value] of Object.entries({ team: "a", count: 3, list: ["x", "y"] })) {
        if (version !== "ai 4") assert.deepEqual(used.metadata[prefix + key], value, key);
        assert.deepEqual(meta.metadata[key], value, key);
      }
      for (const step of trace.steps) {
        assert.ok(Date.parse(step.started_at) >= begun - 1 && Date.parse(step.ended_at) <= Date.now() + 1);
        assert.ok(step.latency_ms >= 0 && step.latency_ms <= meta.latency_ms);
      }

      const nested = await awaitRun(innerRun, 2);
      const traces = new Set([...trace.steps, ...nested.trace.steps].map((step) => step.otel_trace_id));
      assert.equal(traces.size, 1, "one trace of OpenTelemetry");
      assert.equal(nested.meta.total_tokens, sum(told.slice(1)));

      await tcc.submitFeedback({ runId: innerRun, score: "thumbs_up", text: "good ✓" });
      const [{ name, label, score, comment }] = (await read(innerRun)).trace.annotations;
      assert.deepEqual({ name, label, score, comment }, { name: "feedback", label: "thumbs_up", score: 1, comment: "good ✓" });
      readBack(column(version), "ids", "name", "times", "tree", "kind", "model", "provider", "messages", "tool calls", "tokens");
      readBack(column(version), "thread", "metadata", "scores");
    });

    test(`${version}: a stream`, async () => {
      const run = `run stream ${version}`;
      const streamed = ai.streamText({ model: model("mock-model-2", ["text"]), messages: [{ role: "user", content: QUESTION }], ...settings(run) });
      let text = "";
      for await (const piece of streamed.textStream) text += piece;
      assert.equal(text, ANSWER);
      const { meta, trace } = await awaitRun(run, 2);
      const [call] = trace.steps.filter((step) => step.type === "llm");
      assert.deepEqual(saidIn(call), [["user", QUESTION], ["assistant", ANSWER]]);
      const tokens = version === "ai 4" ? WHOLE[1] : PARTS[1];
      assert.deepEqual(tokensOf(call), tokens);
      assert.equal(meta.total_tokens, sum([tokens]));
      assert.ok(call.events.some((event) => event.name === "ai.stream.firstChunk"));
      readBack(column(version), "events");
    });

    test(`${version}: a model and a tool that fail`, async () => {
      const [model1, tool1] = [`run broken ${version}`, `run tool ${version}`];
      const broken = ai.generateText({ model: model("m", [new Error("no more today")]), prompt: "x", maxRetries: 0, ...settings(model1) });
      await assert.rejects(broken, /no more today/);
      const failing = weather(async () => {
        throw new RangeError("the tool broke");
      });
      const uses = ai.generateText({ model: model("m", ["tool", "text"]), prompt: "x", tools: failing, ...steps, ...settings(tool1) });
      await uses.catch(() => {});
      const failed = await awaitRun(model1, 2);
      assert.equal(failed.meta.status, "error");
      for (const step of failed.trace.steps) assert.match(`${step.status}: ${step.error_message}`, /^error: .*no more today/);
      const { trace } = await awaitRun(tool1, version === "ai 4" ? 3 : 4);
      const [used] = trace.steps.filter((step) => step.type === "tool");
      assert.match(`${used.status}: ${used.error_message}`, /^error: .*the tool broke/);
      const [{ error, result }] = used.tool_calls;
      assert.match(error, /the tool broke/);
      assert.equal(result, undefined);
      readBack(column(version), "status", "error");
    });
  }
});

function group(steps) {
  const found = {};
  for (const step of steps) (found[step.type_sent ?? step.type] ??= []).push(step);
  return found;
}
