// The AI SDK in its versions: the same program with a model that follows a script, in the words of each.
import * as ai4 from "ai4";
import * as test4 from "ai4/test";
import * as ai5 from "ai5";
import * as test5 from "ai5/test";
import * as ai6 from "ai6";
import * as test6 from "ai6/test";
import * as ai7 from "ai";
import * as test7 from "ai/test";

export const CALL = { id: "call-1", name: "weather", given: { city: "SF" }, result: { temp: 61, city: "SF" } };
export const ANSWER = "61F and sunny ✓";
export const SYSTEM = "Be brief.";
export const QUESTION = "Weather in SF? 漢字";

/** Buckets that exclude one another, of the answer with the use of the tool and of the one with text. */
export const USED = [
  { fresh: 18, cached: 2, said: 4, thought: 3 },
  { fresh: 10, cached: 2, said: 5, thought: 0 },
];

const object = (properties) => ({ type: "object", properties, required: Object.keys(properties), additionalProperties: false });
const CITY = object({ city: { type: "string" } });

const flat = ({ fresh, cached, said, thought }) => ({
  inputTokens: fresh + cached,
  outputTokens: said + thought,
  totalTokens: fresh + cached + said + thought,
  cachedInputTokens: cached,
  reasoningTokens: thought,
});
const nested = ({ fresh, cached, said, thought }) => ({
  inputTokens: { total: fresh + cached, noCache: fresh, cacheRead: cached, cacheWrite: 0 },
  outputTokens: { total: said + thought, text: said, reasoning: thought },
});
const old = ({ fresh, cached, said, thought }) => ({ promptTokens: fresh + cached, completionTokens: said + thought });

/** Answers of a model of version 2 and later; the script is a list of "tool", "text", or an error to throw. */
function modern(Mock, usage, finish) {
  return (modelId, script) => {
    const turns = script.map((what) => [what, USED[what === "tool" ? 0 : 1]]);
    const next = () => {
      const [what, used] = turns.shift();
      if (what instanceof Error) throw what;
      const call = { type: "tool-call", toolCallId: CALL.id, toolName: CALL.name, input: JSON.stringify(CALL.given) };
      return {
        content: [what === "tool" ? call : { type: "text", text: ANSWER }],
        end: { usage: usage(used), finishReason: finish(what === "tool" ? "tool-calls" : "stop") },
      };
    };
    return new Mock({
      provider: "mock",
      modelId,
      doGenerate: async () => {
        const { content, end } = next();
        return { content, ...end, warnings: [] };
      },
      doStream: async () => {
        const { end } = next();
        const deltas = [ANSWER.slice(0, 6), ANSWER.slice(6)].map((delta) => ({ type: "text-delta", id: "1", delta }));
        const parts = [{ type: "stream-start", warnings: [] }, { type: "text-start", id: "1" }, ...deltas, { type: "text-end", id: "1" }];
        return { stream: stream([...parts, { type: "finish", ...end }]) };
      },
    });
  };
}

function first(Mock) {
  return (modelId, script) => {
    const turns = script.map((what) => [what, USED[what === "tool" ? 0 : 1]]);
    const next = () => {
      const [what, used] = turns.shift();
      if (what instanceof Error) throw what;
      const call = { toolCallType: "function", toolCallId: CALL.id, toolName: CALL.name, args: JSON.stringify(CALL.given) };
      const said = what === "tool" ? { toolCalls: [call] } : { text: ANSWER };
      return { said, end: { usage: old(used), finishReason: what === "tool" ? "tool-calls" : "stop" } };
    };
    const rawCall = { rawPrompt: null, rawSettings: {} };
    return new Mock({
      provider: "mock",
      modelId,
      doGenerate: async () => {
        const { said, end } = next();
        return { ...said, ...end, rawCall };
      },
      doStream: async () => {
        const { end } = next();
        const deltas = [ANSWER.slice(0, 6), ANSWER.slice(6)].map((textDelta) => ({ type: "text-delta", textDelta }));
        return { stream: stream([...deltas, { type: "finish", ...end }]), rawCall };
      },
    });
  };
}

const stream = (parts) =>
  new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(part);
      controller.close();
    },
  });

const word = (unified) => ({ unified, raw: unified });

/** What the user says of a call: run, session, and words of their own. */
const metadata = (run) => ({
  isEnabled: true,
  functionId: "answer",
  metadata: { "tcc.runId": run, "tcc.sessionId": "sess-js", team: "a", count: 3, list: ["x", "y"] },
});
const context = (run) => {
  const { metadata: said, functionId } = metadata(run);
  return { functionId, said, included: Object.fromEntries(Object.keys(said).map((key) => [key, true])) };
};

const since5 = (ai, settings) => ({
  weather: (execute) => ({ weather: ai.tool({ inputSchema: ai.jsonSchema(CITY), execute }) }),
  steps: { stopWhen: ai.stepCountIs(3) },
  ai,
  settings: settings ?? ((run) => ({ experimental_telemetry: metadata(run) })),
});

export const VERSIONS = {
  "ai 4": {
    weather: (execute) => ({ weather: ai4.tool({ parameters: ai4.jsonSchema(CITY), execute }) }),
    steps: { maxSteps: 3 },
    ai: ai4,
    settings: (run) => ({ experimental_telemetry: metadata(run) }),
    model: first(test4.MockLanguageModelV1),
  },
  "ai 5": { ...since5(ai5), model: modern(test5.MockLanguageModelV2, flat, (unified) => unified) },
  "ai 6": { ...since5(ai6), model: modern(test6.MockLanguageModelV3, nested, word) },
  "ai 7": {
    ...since5(ai7, (run) => {
      const { functionId, said, included } = context(run);
      return { runtimeContext: said, telemetry: { functionId, includeRuntimeContext: included } };
    }),
    model: modern(test7.MockLanguageModelV4, nested, word),
  },
};
