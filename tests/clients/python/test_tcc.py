"""The published contextcompany package, unmodified, and requests recorded off its integrations and off its package for
Node. Expected values are the arguments given to the package."""

import asyncio
import dataclasses
import json
import sys
import types

import pytest

from server import KEY, ROOT, trace_of

RECORDED = ROOT / "server" / "tests" / "fixtures" / "tcc"


@pytest.fixture(scope="module")
def tcc(shared):
    patch = pytest.MonkeyPatch()
    patch.setenv("TCC_API_KEY", KEY)
    patch.setenv("TCC_BASE_URL", shared.url)
    import contextcompany

    yield contextcompany
    patch.undo()


RUN = "custom/run id ü 651d8326"


@pytest.fixture(scope="module")
def trace(shared, tcc):
    run = tcc.run(run_id=RUN, session_id="sess-1", conversational=True)
    tool = run.tool_call(tool_call_id="call_1", tool_name="weather")
    tool.args({"city": "SF"}).result({"temp": 61}).end()
    step = run.step(step_id="step-1")
    step.prompt(json.dumps([{"role": "user", "content": "Weather in SF?"}])).response("61F")
    step.model(requested="gpt-4o", used="gpt-4o-2024-08-06").finish_reason("stop")
    step.tokens(prompt_uncached=100, prompt_cached=20, completion=30).cost(0.0012)
    step.tool_definitions("[]").end()
    run.tool_call(tool_call_id="call_2", tool_name="lookup").args("raw").error("HTTP 500 from upstream")
    # Feedback overtakes its run.
    assert run.feedback(score="thumbs_up")
    assert tcc.submit_feedback(run_id=RUN, score="thumbs_down", text="not good ✓")
    run.prompt("Weather in SF?", system_prompt="You are helpful.").response("61F and sunny.")
    run.metadata({"agentName": "weather", "unicode": "✓ ünï"}).end()
    late = tcc.step(run_id=RUN, step_id="late")
    late.prompt("late").error("model overloaded")
    with shared.client() as client:
        return trace_of(client, "custom%2Frun%20id%20%C3%BC%20651d8326")


def picked(of, *names):
    return {name: of[name] for name in names if name in of}


@pytest.mark.reads_back("The Context Company", "ids", "thread", "input and output", "metadata")
def test_the_run_is_read_back(trace):
    run = trace["trace"]
    assert picked(run, "trace_id", "group", "status", "input", "output", "conversational", "metadata") == {
        "trace_id": RUN,
        "group": "sess-1",
        "status": "success",
        "input": {"user_prompt": "Weather in SF?", "system_prompt": "You are helpful."},
        "output": "61F and sunny.",
        "conversational": True,
        "metadata": {"agentName": "weather", "unicode": "✓ ünï"},
    }
    assert picked(trace["meta"], "step_count", "total_tokens", "cost_usd") == {
        "step_count": 4,
        "total_tokens": 150,
        "cost_usd": 0.0012,
    }


@pytest.mark.reads_back(
    "The Context Company",
    "status",
    "error",
    "kind",
    "model",
    "messages",
    "tool calls",
    "tokens",
    "cost",
)
def test_steps_and_tool_calls_are_read_back(trace):
    steps = {step["step_id"]: step for step in trace["trace"]["steps"]}
    assert set(steps) == {"call_1", "step-1", "call_2", "late"}
    step = steps["step-1"]
    assert picked(step, "type", "model", "model_used", "finish_reason", "cost_usd", "tool_definitions") == {
        "type": "llm",
        "model": "gpt-4o",
        "model_used": "gpt-4o-2024-08-06",
        "finish_reason": "stop",
        "cost_usd": 0.0012,
        "tool_definitions": "[]",
    }
    assert step["token_usage"] == {"input": 100, "output": 30, "cache_read": 20, "total": 150}
    said = [(message["role"], message["content"][0]["text"]) for message in step["messages"]]
    assert said == [("user", "Weather in SF?"), ("assistant", "61F")]
    [call] = steps["call_1"]["tool_calls"]
    assert (call["name"], call["arguments"], call["result"]) == ("weather", {"city": "SF"}, {"temp": 61})
    assert picked(steps["call_2"], "status", "error_message") == {
        "status": "error",
        "error_message": "HTTP 500 from upstream",
    }
    assert picked(steps["late"], "status", "error_message") == {"status": "error", "error_message": "model overloaded"}


@pytest.mark.reads_back("The Context Company", "scores")
def test_feedback_is_with_its_run(trace):
    said = [picked(score, "name", "label", "score", "comment") for score in trace["trace"]["annotations"]]
    assert sorted(said, key=lambda score: score["score"]) == [
        {"name": "feedback", "label": "thumbs_down", "score": 0, "comment": "not good ✓"},
        {"name": "feedback", "label": "thumbs_up", "score": 1},
    ]


def agent_sdk(said):
    """A module in the place of claude_agent_sdk, whose agent needs an account: its types, and a query that gives these
    messages."""
    module = types.ModuleType("claude_agent_sdk")

    def kind(of, /, **fields):
        made = [(name, object, dataclasses.field(default=value)) for name, value in fields.items()]
        setattr(module, of, dataclasses.make_dataclass(of, made))

    shared = {"session_id": None, "uuid": None, "parent_tool_use_id": None}
    kind("TextBlock", text="")
    kind("ThinkingBlock", thinking="", signature="")
    kind("ToolUseBlock", id="", name="", input=None)
    kind("ToolResultBlock", tool_use_id="", content=None, is_error=None)
    kind("ServerToolUseBlock", id="", name="", input=None)
    kind("ServerToolResultBlock", tool_use_id="", content=None)
    answer = {"content": None, "model": "", "message_id": None, "usage": None, "stop_reason": None, "error": None}
    kind("AssistantMessage", **answer, **shared)
    kind("UserMessage", content=None, origin=None, tool_use_result=None, **shared)
    kind("SystemMessage", data=None)
    result = {"subtype": "", "duration_ms": 0, "duration_api_ms": 0, "is_error": False, "num_turns": 0}
    more = ["stop_reason", "total_cost_usd", "usage", "result", "structured_output", "model_usage", "permission_denials"]
    kind("ResultMessage", **result, **dict.fromkeys(more), errors=None, session_id="", uuid=None)
    for of in ["ConversationResetMessage", "RateLimitEvent", "StreamEvent"]:
        kind(of)

    async def query(**_):
        for message in said(module):
            yield message

    module.query = query
    return module


def script(sdk):
    usage = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 2}
    both = {"model": "claude-sonnet-4", "message_id": "msg_1", "usage": usage, "session_id": "inner"}
    yield sdk.SystemMessage({"type": "system", "subtype": "init", "model": "claude-sonnet-4", "tools": ["Bash"]})
    # One answer, told in two messages with the same usage.
    yield sdk.AssistantMessage([sdk.TextBlock("Let me look.")], **both)
    yield sdk.AssistantMessage([sdk.ToolUseBlock("tu_1", "Bash", {"command": "ls"})], **both, stop_reason="tool_use")
    given = sdk.ToolResultBlock("tu_1", "a.txt", False)
    yield sdk.UserMessage([given], tool_use_result={"stdout": "a.txt"}, uuid="u2")
    yield sdk.AssistantMessage([sdk.TextBlock("One file.")], "claude-sonnet-4", "msg_2")
    end = {"num_turns": 2, "total_cost_usd": 0.0123, "usage": {"input_tokens": 20, "output_tokens": 9}}
    yield sdk.ResultMessage("success", 1200, 900, **end, result="One file.", session_id="inner")


def check_claude(trace):
    assert picked(trace["meta"], "group", "cost_usd", "total_tokens", "step_count") == {
        "group": "sess-1",
        "cost_usd": 0.0123,
        "total_tokens": 29,
        "step_count": 3,
    }
    run = trace["trace"]
    assert (run["input"], run["output"], run["status"]) == ("What files are here?", "One file.", "success")
    assert (run["metadata"]["agentName"], run["conversational"]) == ("cli", True)
    steps = {step["step_id"]: step for step in run["steps"]}
    assert set(steps) == {"msg_1", "tu_1", "msg_2"}
    answer = steps["msg_1"]
    assert answer["token_usage"] == {"input": 10, "output": 5, "cache_read": 2, "total": 17}
    assert picked(answer, "type", "model", "stop_reason") == {
        "type": "llm",
        "model": "claude-sonnet-4",
        "stop_reason": "tool_use",
    }
    assert answer["messages"][0]["role"] == "user"
    assert answer["messages"][0]["content"][0]["text"] == "What files are here?"
    [call] = steps["tu_1"]["tool_calls"]
    assert (call["name"], call["arguments"], call["result"]) == ("Bash", {"command": "ls"}, "a.txt")
    return steps


def test_a_claude_agents_run(shared, tcc, monkeypatch):
    monkeypatch.setitem(sys.modules, "claude_agent_sdk", agent_sdk(script))
    from contextcompany import claude

    config = claude.TCCConfig(session_id="sess-1", run_id="claude-1", conversational=True, metadata={"agentName": "cli"})

    async def run():
        agent = claude.instrument_claude_agent()
        seen = [message async for message in agent.query(prompt="What files are here?", tcc_config=config)]
        assert len(seen) == 6

    asyncio.run(run())
    with shared.client() as client:
        steps = check_claude(trace_of(client, "claude-1"))
    assert steps["tu_1"]["claude.tool_use_result"] == {"stdout": "a.txt"}


def test_a_recorded_run_of_a_claude_agent(shared):
    body = json.loads((RECORDED / "claude.json").read_text())
    with shared.client() as client:
        answer = client.post("/v1/claude", json=body)
        assert (answer.status_code, answer.json()["success"]) == (200, True), answer.text
        check_claude(trace_of(client, body["runId"]))
        for path, bad in [("custom", {"type": "walk"}), ("feedback", {"runId": "r"}), ("claude", {"messages": []})]:
            refused = client.post(f"/v1/{path}", json=bad)
            assert refused.status_code == 400, path
        unknown = client.post("/v1/feedback", json={"thumbs": "up"})
        assert "runId" in unknown.json()["error"]["message"]


def test_feedback_in_langsmiths_words_goes_the_same_way(shared):
    run = "01990000-0000-7000-8000-000000000001"
    with shared.client() as client:
        answer = client.post("/v1/feedback", json={"run_id": run, "trace_id": run, "key": "good", "score": 0.5})
        assert (answer.status_code, answer.json()["trace_id"]) == (200, run), answer.text


RECORDED_RUNS = [
    # file, media type, run, thread, tokens in all
    ("litellm.pb", "application/x-protobuf", "4db1bfce-c738-4395-964e-74632497a72e", None, 30),
    ("agno.pb", "application/x-protobuf", "0f657733-001e-4c66-8ce6-6eebf98f2c2b", "sess-agno", None),
    ("langchain.pb", "application/x-protobuf", "1ed52492-880d-406f-80cd-aa3549848c2a", "sess-lc", None),
]


@pytest.mark.parametrize(("file", "kind", "run", "thread", "tokens"), RECORDED_RUNS)
def test_spans_of_its_integrations_stand_in_the_run_that_they_name(shared, file, kind, run, thread, tokens):
    body = (RECORDED.parent / "otlp" / file).read_bytes()
    path = "/v1/otel-steps" if file.startswith("litellm") else "/v1/traces"
    with shared.client() as client:
        answer = client.post(path, content=body, headers={"content-type": kind})
        assert answer.status_code == 200
        client.post("/v1/feedback", json={"runId": run, "score": "thumbs_up"})
        served = trace_of(client, run)
    assert served["meta"].get("group") == thread
    assert served["meta"].get("total_tokens") == tokens
    assert all(len(step["otel_trace_id"]) == 32 for step in served["trace"]["steps"])
    [score] = served["trace"]["annotations"]
    assert score["label"] == "thumbs_up"
