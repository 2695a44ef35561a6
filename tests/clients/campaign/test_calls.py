"""Instrumentors of OpenInference and OpenLLMetry on the clients of OpenAI and Anthropic."""

import pytest

from model_server import ANSWER, ANSWERS, BROKEN, BROKEN_SAYS, CALL_ID, TOOLS, USES_TOOL
from steps import asked_of_anthropic, asked_of_openai, check_times, kind_of, of_kind, said_in

FIELDS = ["ids", "name", "status", "error", "times", "tree", "kind", "model", "provider", "messages", "tool calls"]
FIELDS += ["tokens", "user", "thread", "metadata", "service"]
USED = (CALL_ID, "get_weather", TOOLS["get_weather"])

CASES = [
    pytest.param(
        library,
        by,
        venv,
        names,
        marks=pytest.mark.reads_back(f"{by} {library}", *FIELDS, *(["tags"] if by == "openinference" else [])),
        id=f"{by}-{library}",
    )
    for library, by, venv, names in [
        ("openai", "openinference", "openinference", ("ChatCompletion", "CreateEmbeddings")),
        ("anthropic", "openinference", "openinference", ("messages.create", None)),
        ("openai", "openllmetry", "openllmetry", ("openai.chat", "openai.embeddings")),
        ("anthropic", "openllmetry", "openllmetry", ("anthropic.chat", None)),
    ]
]


@pytest.mark.parametrize(("library", "by", "venv", "names"), CASES)
def test_calls(clients, library, by, venv, names):
    program = clients.program(venv, "calls.py", library, by)
    served = clients.trace(program["trace_id"])
    trace, meta = served["trace"], served["meta"]
    assert (meta["name"], meta["status"], program["streamed"]) == ("conversation", "success", ANSWER)
    check_times(trace, program)
    [root] = [step for step in trace["steps"] if step["name"] == "conversation"]
    assert "parent_step_id" not in root
    calls = [step for step in of_kind(trace, "llm") if step["name"] == names[0]]
    # The client of Anthropic makes a span of its own for each, below the instrumentor's if that is the open one.
    own = [step for step in of_kind(trace, "llm") if step["name"] != names[0]]
    assert len(own) == (4 if library == "anthropic" else 0)
    above = calls if by == "openinference" else [root] * 4
    assert [step["parent_step_id"] for step in own] == [step["step_id"] for step in above][: len(own)]
    assert [step["parent_step_id"] for step in calls] == [root["step_id"]] * 4
    assert [step["status"] for step in calls] == ["success"] * 3 + ["error"]
    assert BROKEN_SAYS in calls[3]["error_message"]
    assert [step["model"] for step in calls] == ["mock-large"] * 3 + [BROKEN]
    assert {step["provider"] for step in calls} == {library}

    # What the model got, and what its script says.
    asked = asked_of_openai if library == "openai" else asked_of_anthropic
    requests = [asked(body) for path, body in clients.model.seen if path.endswith(("completions", "messages"))]
    answers = [[("assistant", "", [USED])], [("assistant", ANSWER, [])], [("assistant", ANSWER, [])], []]
    expected = [request + answer for request, answer in zip(requests, answers)]
    assert [results_as_tools(said_in(step)) for step in calls] == expected

    written = library == "anthropic"
    buckets = [usage.buckets(written=written, thought=not written) for usage in (USES_TOOL, ANSWERS, ANSWERS)]
    if (library, by) == ("anthropic", "openllmetry"):
        # It adds the count at the beginning of a stream to that at its end, which has it already.
        buckets[2] = buckets[2] | {"output": buckets[2]["output"] + 1, "total": buckets[2]["total"] + 1}
    assert [step["token_usage"] for step in calls[:3]] == buckets
    total = sum(usage["total"] for usage in buckets)

    if library == "openai":
        [embedding] = [step for step in trace["steps"] if step["name"] == names[1]]
        assert (kind_of(embedding), embedding["model"]) == ("embedding", "mock-embed")
        assert embedding["token_usage"]["input"] == 7
        total += 7
    assert meta["total_tokens"] == total

    about = calls if by == "openinference" else [root]
    for step in about:
        assert (step["group"], step["user_id"]) == ("thread-1", "ada")
        assert step["resource"]["service.name"] == "shop"
    if by == "openinference":
        assert all(step["tags"] == ["a", "b"] for step in calls)
        with clients.obsrv.client() as client:
            spans = client.get("/v1/projects/1/spans", params={"q": "metadata.customer:acme and metadata.n:3"}).json()
        assert {row["span_id"] for row in spans["data"]} >= {step["step_id"] for step in calls}
    else:
        assert (meta["group"], meta["user_id"]) == ("thread-1", "ada")
        assert root["metadata"] == {"session.id": "thread-1", "user.id": "ada"}


def results_as_tools(said):
    """Anthropic's own form has results of tools in a message of the user."""
    return [("tool", text, uses) if role == "user" and text == '{"temp": 61}' else (role, text, uses) for role, text, uses in said]
