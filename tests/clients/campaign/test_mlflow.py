"""MLflow's own tracing with `autolog` on the client of OpenAI, sent over OTLP in each of its two forms."""


import pytest

from model_server import ANSWER, ANSWERS, BROKEN, BROKEN_SAYS, CALL_ID, TOOLS, USES_TOOL
from steps import asked_of_openai, check_times, kind_of, of_kind, said_in, uses_of

FIELDS = ["ids", "status", "error", "times", "tree", "kind", "model", "messages", "tool calls", "tokens", "user", "thread"]
FIELDS += ["metadata", "service", "name", "events"]
GIVEN = TOOLS["get_weather"]
# What the program set on its span, and the tags of its trace, which MLflow has as text.
SET = {"rating": 0.25, "words": ["a", "ü"], "deep": {"er": [1, None]}, "customer": "acme", "seats": "7"}
NAMES = {
    "mlflow": ["conversation", "look_up", "Completions", "get_weather", *["Completions"] * 3, "broken_tool", "Embeddings"],
    # The names that the conventions have for these, or the kind.
    "genai": [
        *("CHAIN", "RETRIEVER", "chat mock-large", "execute_tool get_weather", *["chat mock-large"] * 2, "chat"),
        *("execute_tool broken_tool", "embeddings mock-embed"),
    ],
}
KINDS = ["chain", "retrieval", "llm", "tool", "llm", "llm", "llm", "tool", "embedding"]


@pytest.mark.reads_back("MLflow", *FIELDS)
@pytest.mark.parametrize("form", ["mlflow", "genai"])
def test_autolog(clients, form):
    program = clients.program("mlflow", "mlflow_calls.py", form)
    served = clients.trace(program["trace_id"])
    trace, meta = served["trace"], served["meta"]
    assert program["said"] == ANSWER
    check_times(trace, program)
    assert [step["name"] for step in trace["steps"]] == NAMES[form]
    assert [kind_of(step) for step in trace["steps"]] == KINDS
    root, *others = trace["steps"]
    assert "parent_step_id" not in root and {step["parent_step_id"] for step in others} == {root["step_id"]}
    assert [step["status"] for step in trace["steps"]] == ["success"] * 6 + ["error"] * 2 + ["success"]
    assert (meta["name"], meta["status"]) == (NAMES[form][0], "success")
    check_calls(clients, form, of_kind(trace, "llm"), meta)
    check_tools(of_kind(trace, "tool"))
    [embedding] = of_kind(trace, "embedding")
    assert embedding["model"] == "mock-embed"
    assert (root["user_id"], root["group"]) == ("ada", "thread-1")
    assert (meta["user_id"], meta["group"]) == ("ada", "thread-1")
    assert meta["metadata"] == SET
    assert (root["resource"]["service.name"], root["resource"]["service.version"]) == ("shop", "1.2")
    with clients.obsrv.client() as client:
        for q in ("metadata.rating>0.2", "metadata.customer:acme", "metadata.deep.er:1"):
            found = client.get("/v1/projects/1/spans", params={"q": q}).json()["data"]
            assert [row["span_id"] for row in found] == [root["step_id"]], q


def check_calls(clients, form, calls, meta):
    """What the model got, and what its script says."""
    requests = [asked_of_openai(body) for path, body in clients.model.seen if path.endswith("completions")]
    answers = [[("assistant", "", [(CALL_ID, "get_weather", GIVEN)])], *[[("assistant", ANSWER, [])]] * 2, []]
    assert [said_in(step) for step in calls] == [request + answer for request, answer in zip(requests, answers)]
    assert [step["model"] for step in calls] == ["mock-large"] * 3 + [BROKEN]
    usages = [counted(usage, form) for usage in (USES_TOOL, ANSWERS, ANSWERS)]
    assert [step.get("token_usage") for step in calls] == [*usages, None]
    assert meta["total_tokens"] == sum(usage["total"] for usage in usages)
    assert BROKEN_SAYS in calls[3]["error_message"]
    exceptions = [event for event in calls[3]["events"] if event["name"] == "exception"]
    assert [BROKEN_SAYS in event["metadata"]["exception.message"] for event in exceptions] == [True]


def counted(usage, form):
    """MLflow does not tell thoughts from the output, and what was cached in its own form alone."""
    buckets = usage.buckets(thought=False)
    if form == "genai":
        buckets["input"] += buckets.pop("cache_read")
    return buckets


def check_tools(tools):
    [good, broken] = tools
    assert uses_of(good) == [(good["step_id"], "get_weather", GIVEN, {"temp": 61}, None)]
    assert uses_of(broken) == [(broken["step_id"], "broken_tool", {"city": "x"}, None, "ValueError: no such city: 漢字")]
    assert broken["error_message"] == "ValueError: no such city: 漢字"
