"""Agents of pydantic-ai under Logfire, LangGraph, Google's ADK and CrewAI, each with one tool."""

import json

import pytest

from model_server import ANSWER, ANSWERS, CALL_ID, TOOLS, USES_TOOL
from steps import asked_of_anthropic, asked_of_openai, check_times, kind_of, of_kind, said_in, tree_of, uses_of

GIVEN = TOOLS["get_weather"]
RESULT = {"temp": 61} | GIVEN
USED = (CALL_ID, "get_weather", GIVEN)
QUESTION = "Weather in SF? 漢字"
COMMON = ["ids", "name", "status", "times", "tree", "kind", "model", "messages", "tool calls", "tokens", "service"]


def expected_talks(clients, asked, path):
    """What went into and came out of the two calls of the model."""
    first, second = [asked(body) for where, body in clients.model.seen if where.endswith(path)]
    return [[*first, ("assistant", "", [USED])], [*second, ("assistant", ANSWER, [])]]


def check_calls(clients, trace, talks, usages, model="mock-large"):
    calls = [step for step in of_kind(trace, "llm") if step["messages"]]
    assert [normal(said_in(step)) for step in calls] == [normal(talk) for talk in talks]
    assert [step["token_usage"] for step in calls] == usages
    assert {step["model"] for step in calls} == {model}
    return calls


def normal(talk):
    """Text that is JSON as its value: clients differ in their spaces."""

    def value(text):
        try:
            return json.loads(text)
        except ValueError:
            return text

    return [(role, value(text), uses) for role, text, uses in talk]


@pytest.mark.reads_back("pydantic-ai, Logfire", *COMMON, "provider", "error", "events", "tags", "metadata", "thread")
@pytest.mark.parametrize("library", ["openai", "anthropic"])
def test_pydantic_ai(clients, library):
    program = clients.program("pydantic", "pydantic_agent.py", library)
    served = clients.trace(program["trace_id"])
    trace, meta = served["trace"], served["meta"]
    assert program["said"] == ANSWER
    check_times(trace, program)
    # Nothing is left of the records that stood for open spans.
    own = [name for name in tree_of(trace) if "anthropic.messages" not in name[0]]
    assert own == [
        ("conversation {customer}", None),
        ("invoke_agent forecaster", "conversation {customer}"),
        ("chat mock-large", "invoke_agent forecaster"),
        ("execute_tool get_weather", "invoke_agent forecaster"),
        ("chat mock-large", "invoke_agent forecaster"),
        ("half way {n}", "conversation {customer}"),
    ]
    asked = asked_of_openai if library == "openai" else asked_of_anthropic
    talks = expected_talks(clients, asked, "completions" if library == "openai" else "messages")
    written = library == "anthropic"
    usages = [usage.buckets(written=written, thought=not written) for usage in (USES_TOOL, ANSWERS)]
    calls = check_calls(clients, trace, talks, usages)
    assert {step["provider"] for step in calls} == {library}
    assert meta["total_tokens"] == sum(usage["total"] for usage in usages)
    [tool] = of_kind(trace, "tool")
    assert uses_of(tool) == [(CALL_ID, "get_weather", GIVEN, RESULT, None)]
    [agent] = of_kind(trace, "agent")
    talk = said_in(agent)
    assert (talk[0], talk[-1]) == (("system", "Be brief.", []), ("assistant", ANSWER, []))
    [root] = [step for step in trace["steps"] if "parent_step_id" not in step]
    assert (root["tags"], root["metadata"]["customer"]) == (["a", "b"], "acme")
    assert (root["resource"]["service.name"], root["resource"]["service.version"]) == ("shop", "1.2")
    assert agent["group"] == agent["metadata"]["gen_ai.conversation.id"]
    failed = next(other for other in clients.traces() if other["meta"]["name"] == "fails")
    [step] = failed["trace"]["steps"]
    assert (step["status"], [event["name"] for event in step["events"]]) == ("error", ["exception"])
    assert "gone" in step["error_message"]


@pytest.mark.reads_back("pydantic-ai, Logfire", "status", "tree")
def test_an_open_span_of_logfire_runs(clients):
    running = clients.program("pydantic", "pydantic_agent.py", "openai")["running"]
    assert running["meta"]["status"] == "running"
    steps = {step["name"]: step for step in running["trace"]["steps"]}
    root = steps["conversation {customer}"]
    assert (root["status"], root.get("parent_step_id"), "ended_at" in root) == ("running", None, False)
    assert steps["invoke_agent forecaster"]["parent_step_id"] == root["step_id"]
    assert len(running["trace"]["steps"]) == 6


@pytest.mark.reads_back("LangGraph, OpenInference", *COMMON, "provider", "user", "thread", "tags", "metadata")
def test_langgraph(clients):
    program = clients.program("langgraph", "graph.py")
    served = clients.trace(program["trace_id"])
    trace, meta = served["trace"], served["meta"]
    assert program["said"] == ANSWER
    check_times(trace, program)
    tree = tree_of(trace)
    assert tree.count(("think", "forecaster")) == 2
    assert tree.count(("ChatOpenAI", "think")) == 2
    assert {("forecaster", "conversation"), ("act", "forecaster"), ("get_weather", "act")} <= set(tree)
    calls = check_calls(
        clients, trace, expected_talks(clients, asked_of_openai, "completions"), [USES_TOOL.buckets(), ANSWERS.buckets()]
    )
    assert {step["provider"] for step in calls} == {"openai"}
    assert meta["total_tokens"] == USES_TOOL.buckets()["total"] + ANSWERS.buckets()["total"]
    [tool] = of_kind(trace, "tool")
    assert uses_of(tool) == [(tool["step_id"], "get_weather", GIVEN, RESULT, None)]
    for step in trace["steps"]:
        if step["name"] != "conversation":
            assert (step["group"], step["user_id"], step["tags"]) == ("thread-1", "ada", ["a", "b"]), step["name"]
            assert json.loads(step["metadata"]["metadata"])["customer"] == "acme"
    assert {step["resource"]["service.name"] for step in trace["steps"]} == {"shop"}


@pytest.mark.reads_back("Google ADK", *COMMON, "provider", "thread")
def test_adk(clients):
    program = clients.program("adk", "adk.py")
    served = clients.trace(program["trace_id"])
    trace, meta = served["trace"], served["meta"]
    assert program["said"] == ANSWER
    check_times(trace, program)
    calls = of_kind(trace, "llm")
    assert [step["model"] for step in calls] == ["gemini-mock"] * 2
    assert [step["token_usage"] for step in calls] == [USES_TOOL.buckets(), ANSWERS.buckets()]
    assert meta["total_tokens"] == USES_TOOL.buckets()["total"] + ANSWERS.buckets()["total"]
    assert {step["provider"] for step in calls} == {"gcp.gemini"}
    assert {step["group"] for step in calls} == {"thread-1"}
    [agent], [tool] = of_kind(trace, "agent"), of_kind(trace, "tool")
    assert [step["parent_step_id"] for step in (*calls, tool)] == [agent["step_id"]] * 3
    [(_, name, given, result, error)] = uses_of(tool)
    assert (name, given, error) == ("get_weather", GIVEN, None)
    assert result == RESULT or result == {"result": RESULT}
    talks = [[(role, text, [use[1:] for use in uses]) for role, text, uses in said_in(step)] for step in calls]
    assert talks[0][0][0] == "system" and "Be brief." in talks[0][0][1]
    assert ("user", QUESTION, []) in talks[0]
    assert talks[0][-1][2] == [USED[1:]]
    assert talks[1][-1][1:] == (ANSWER, [])


@pytest.mark.reads_back("CrewAI, OpenInference", *COMMON, "user", "thread", "tags", "metadata")
def test_crewai(clients):
    program = clients.program("crewai", "crew.py")
    served = clients.trace(program["trace_id"])
    trace, meta = served["trace"], served["meta"]
    assert program["said"] == ANSWER
    check_times(trace, program)
    calls = check_calls(
        clients,
        trace,
        expected_talks(clients, asked_of_openai, "completions"),
        [USES_TOOL.buckets(), ANSWERS.buckets()],
        "gpt-4o",
    )
    assert meta["total_tokens"] == USES_TOOL.buckets()["total"] + ANSWERS.buckets()["total"]
    [agent], [tool], [crew] = of_kind(trace, "agent"), of_kind(trace, "tool"), of_kind(trace, "chain")
    assert agent["parent_step_id"] == crew["step_id"]
    assert {kind_of(step) for step in calls} == {"llm"}
    assert uses_of(tool)[0][1:] == ("get_weather", GIVEN, RESULT, None)
    for step in trace["steps"]:
        if step["name"] != "conversation":
            assert (step["group"], step["user_id"], step["tags"]) == ("thread-1", "ada", ["a", "b"]), step["name"]
    assert {step["resource"]["service.name"] for step in trace["steps"]} == {"shop"}
