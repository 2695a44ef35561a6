"""The published langfuse packages read what they sent: version 2 by its `fetch_` methods, version 5 by its API client."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from langfuse import Langfuse, propagate_attributes
from langfuse.api.core.api_error import ApiError

from server import HERE, KEY

VERSION_2 = pathlib.Path(sys.prefix) / "langfuse2"


def test_version_2_fetches_what_it_sent(obsrv):
    environment = os.environ | {"PYTHONPATH": str(VERSION_2), "OBSRV_URL": obsrv.url, "OBSRV_KEY": KEY}
    program = [sys.executable, "-W", "ignore", str(HERE / "langfuse2_reads.py")]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def five(shared):
    """A client of version 5 and the ids of two traces that it sent."""
    client = Langfuse(public_key="pk-lf-read", secret_key=KEY, base_url=shared.url, environment="staging", release="r9")
    traces = []
    for n in range(2):
        told = {"user_id": f"u-{n}", "session_id": "s-5", "tags": ["a", "b"], "metadata": {"customer": "acme", "n": "5"}}
        with propagate_attributes(trace_name=f"trip-{n}", **told):
            with client.start_as_current_observation(name="outer", as_type="agent", input={"q": n}) as outer:
                call = outer.start_observation(name="call", as_type="generation", model="m-5", input="漢字 in")
                call.update(
                    output={"role": "assistant", "content": "ho"},
                    usage_details={"input": 30, "output": 5},
                    cost_details={"input": 0.25, "output": 0.5},
                    model_parameters={"temperature": 0.5},
                    metadata={"deep": {"list": [1, None, "x"]}},
                    level="WARNING",
                    status_message="slow",
                )
                call.end()
                failed = outer.start_observation(name="failed", as_type="tool")
                failed.update(level="ERROR", status_message="no route")
                failed.end()
                outer.start_observation(name="judged", as_type="evaluator").end()
                traces.append({"id": outer.trace_id, "outer": outer.id, "call": call.id})
    client.create_score(trace_id=traces[0]["id"], observation_id=traces[0]["call"], name="good", value=0.5, comment="c")
    client.create_score(trace_id=traces[0]["id"], name="tone", value="warm", data_type="CATEGORICAL")
    client.create_score(trace_id=traces[1]["id"], name="kept", value=1, data_type="BOOLEAN")
    client.create_score(session_id="s-5", name="whole", value=2)
    client.flush()
    yield client, traces
    client.shutdown()


GROUPS = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"


@pytest.mark.reads_back("Langfuse 5", "input and output", "model", "tokens", "cost", "metadata", "user", "thread", "tags")
def test_version_5_reads_observations(five):
    client, traces = five
    many = client.api.observations.get_many
    said = many(trace_id=traces[0]["id"], fields=GROUPS)
    of = {one.name: one for one in said.data}
    assert {name: one.type for name, one in of.items()} == {
        "outer": "AGENT",
        "call": "GENERATION",
        "failed": "TOOL",
        "judged": "EVALUATOR",
    }
    call, outer = of["call"], of["outer"]
    assert (call.id, call.trace_id, call.parent_observation_id) == (traces[0]["call"], traces[0]["id"], outer.id)
    assert (call.model, call.model_parameters) == ("m-5", {"temperature": 0.5})
    assert call.usage_details == {"input": 30, "output": 5, "total": 35}
    assert (call.cost_details, call.total_cost) == ({"input": 0.25, "output": 0.5, "total": 0.75}, 0.75)
    assert (call.input, json.loads(call.output)) == ("漢字 in", {"role": "assistant", "content": "ho"})
    assert (call.metadata["deep"], call.metadata["customer"], call.metadata["n"]) == (
        {"list": [1, None, "x"]},
        "acme",
        "5",
    )
    assert (call.level, call.status_message, call.environment) == ("WARNING", "slow", "staging")
    assert (of["failed"].level, of["failed"].status_message) == ("ERROR", "no route")
    assert (call.user_id, call.session_id, call.trace_name, call.release) == ("u-0", "s-5", "trip-0", "r9")
    assert sorted(call.tags) == ["a", "b"]
    assert outer.is_root_observation and not call.is_root_observation
    assert abs(call.latency - (call.end_time - call.start_time).total_seconds()) < 1e-6


def test_version_5_filters_and_pages_observations(five):
    client, traces = five
    many = client.api.observations.get_many

    def names(**filters):
        return sorted(one.name for one in many(**filters).data)

    assert names(type="GENERATION") == ["call", "call"]
    assert names(type="EVALUATOR", user_id="u-1") == ["judged"]
    assert names(type="SPAN") == []
    assert names(level="WARNING") == ["call", "call"]
    assert names(level="ERROR", session_id="s-5") == ["failed", "failed"]
    assert names(level="DEFAULT") == ["judged", "judged", "outer", "outer"]
    assert names(is_root_observation=True) == ["outer", "outer"]
    assert names(parent_observation_id=traces[1]["outer"]) == ["call", "failed", "judged"]
    assert names(environment=["prod", "staging"], name="outer") == ["outer", "outer"]
    assert names(environment="default") == []

    def where(*conditions):
        keys = ["type", "column", "operator", "value", "key"]
        return names(filter=json.dumps([dict(zip(keys, condition)) for condition in conditions]))

    assert where(("string", "type", "=", "GENERATION"), ("string", "userId", "=", "u-1")) == ["call"]
    assert where(("stringOptions", "name", "any of", ["call", "outer"])) == ["call", "call", "outer", "outer"]
    assert where(("stringOptions", "name", "none of", ["call", "outer"]), ("boolean", "isRootObservation", "=", False)) == [
        "failed",
        "failed",
        "judged",
        "judged",
    ]
    assert where(("number", "totalTokens", ">=", 35)) == ["call", "call"]
    assert where(("number", "latency", ">", 60)) == []
    assert where(("stringObject", "metadata", "=", "acme", "customer"), ("string", "name", "=", "outer")) == [
        "outer",
        "outer",
    ]
    assert where(("string", "input", "matches", "漢字")) == ["call", "call"]
    assert where(("string", "name", "ends with", "ed")) == ["failed", "failed", "judged", "judged"]
    assert where(("arrayOptions", "tags", "all of", ["a", "b"]), ("string", "traceName", "=", "trip-1"))[0] == "call"
    assert where(("null", "statusMessage", "is not null", None)) == ["call", "call", "failed", "failed"]

    seen, cursor = [], None
    while True:
        page = many(limit=3, cursor=cursor)
        seen += [one.id for one in page.data]
        cursor = page.meta.cursor
        if cursor is None:
            break
        assert len(page.data) == 3
    assert len(seen) == len(set(seen)) == 8


@pytest.mark.reads_back("Langfuse 5", "scores")
def test_version_5_reads_scores(five):
    client, traces = five
    many = client.api.scores.get_many
    of = {one.name: one for one in many(fields="details,subject,annotation").data}
    assert {name: (one.data_type, one.value) for name, one in of.items()} == {
        "good": ("NUMERIC", 0.5),
        "tone": ("CATEGORICAL", "warm"),
        "kept": ("BOOLEAN", True),
        "whole": ("NUMERIC", 2),
    }
    assert of["good"].comment == "c"
    assert (of["good"].subject.kind, of["good"].subject.id, of["good"].subject.trace_id) == (
        "observation",
        traces[0]["call"],
        traces[0]["id"],
    )
    assert (of["tone"].subject.kind, of["tone"].subject.id) == ("trace", traces[0]["id"])
    assert (of["whole"].subject.kind, of["whole"].subject.id) == ("session", "s-5")

    def names(**filters):
        return sorted(one.name for one in many(**filters).data)

    assert names(data_type="numeric,boolean") == ["good", "kept", "whole"]
    assert names(data_type="BOOLEAN", value="true") == ["kept"]
    assert names(data_type="BOOLEAN", value="false") == []
    assert names(data_type="NUMERIC", value_min=1) == ["whole"]
    assert names(data_type="NUMERIC", value="0.5,3") == ["good"]
    assert names(data_type="CATEGORICAL", value="warm,cold") == ["tone"]
    assert names(session_id="s-5") == ["whole"]
    assert names(trace_id=traces[0]["id"]) == ["good", "tone"]
    assert names(trace_id=traces[0]["id"], observation_id=traces[0]["call"]) == ["good"]
    assert names(source="api", name="good,kept") == ["good", "kept"]
    first = many(limit=3)
    rest = many(limit=3, cursor=first.meta.cursor)
    assert (len(first.data), len(rest.data), rest.meta.cursor) == (3, 1, None)


def test_version_5_asks_for_metrics(five):
    client, traces = five
    during = {"fromTimestamp": "2020-01-01T00:00:00Z", "toTimestamp": "2100-01-01T00:00:00Z"}

    def ask(view, metrics, dimensions=(), **rest):
        query = {
            "view": view,
            "metrics": [{"measure": m, "aggregation": a} for a, m in metrics],
            "dimensions": [{"field": name} for name in dimensions],
            **during,
            **rest,
        }
        return client.api.metrics.metrics(query=json.dumps(query)).data

    mine = [{"column": "sessionId", "operator": "=", "value": "s-5", "type": "string"}]
    types = ask("observations", [("count", "count"), ("sum", "totalCost")], ["type"], filters=mine)
    assert {row["type"]: row["count_count"] for row in types} == {
        "AGENT": 2,
        "GENERATION": 2,
        "TOOL": 2,
        "EVALUATOR": 2,
    }
    assert {row["type"]: row["sum_totalCost"] for row in types}["GENERATION"] == 1.5
    models = ask(
        "observations",
        [("sum", "inputTokens"), ("sum", "outputTokens"), ("p95", "latency"), ("max", "latency")],
        ["providedModelName", "environment"],
        filters=[{"column": "providedModelName", "operator": "=", "value": "m-5", "type": "string"}],
        timeDimension={"granularity": "month"},
    )
    assert [(row["providedModelName"], row["environment"]) for row in models] == [("m-5", "staging")]
    (row,) = models
    assert (row["sum_inputTokens"], row["sum_outputTokens"]) == (60, 10)
    assert 0 < row["p95_latency"] <= row["max_latency"]
    assert row["time_dimension"].endswith("-01T00:00:00Z")
    scores = ask("scores-numeric", [("avg", "value"), ("count", "count")], ["name"])
    by_name = {row["name"]: (row["avg_value"], row["count_count"]) for row in scores}
    assert (by_name["good"], by_name["whole"]) == ((0.5, 1), (2, 1))
    assert ask("scores-boolean", [("avg", "value")], ["name"]) == [{"name": "kept", "avg_value": 1}]
    words = ask("scores-categorical", [("count", "count")], ["name", "stringValue"])
    assert {"name": "tone", "stringValue": "warm", "count_count": 1} in words
    with pytest.raises(ApiError) as refused:
        ask("traces", [("count", "count")])
    assert refused.value.status_code == 400


def test_version_5_reads_costs_that_nobody_stated(obsrv):
    client = Langfuse(public_key="pk-lf-priced", secret_key=KEY, base_url=obsrv.url)
    usage = {"input": 400_000, "output": 50_000}
    with client.start_as_current_observation(name="outer", as_type="chain") as outer:
        for name, told in [
            ("priced", {"model": "gpt-4o", "usage_details": usage}),
            ("stated", {"model": "gpt-4o", "usage_details": usage, "cost_details": {"total": 0.25}}),
            ("unknown", {"model": "our own", "usage_details": usage}),
        ]:
            outer.start_observation(name=name, as_type="generation", **told).end()
    client.flush()
    # The shipped prices of gpt-4o: 2.50 a million in, 10 out.
    costs = {"outer": None, "priced": 1.5, "stated": 0.25, "unknown": None}
    many = client.api.observations.get_many
    assert {one.name: one.total_cost for one in many(fields=GROUPS).data} == costs

    def dearer(than):
        condition = [{"column": "totalCost", "operator": ">", "value": than, "type": "number"}]
        return sorted(one.name for one in many(filter=json.dumps(condition)).data)

    assert (dearer(1.4), dearer(0.2), dearer(1.5)) == (["priced"], ["priced", "stated"], [])
    during = {"fromTimestamp": "2020-01-01T00:00:00Z", "toTimestamp": "2100-01-01T00:00:00Z"}
    sums = [{"measure": "totalCost", "aggregation": how} for how in ("sum", "max", "count")]
    query = json.dumps({"view": "observations", "metrics": sums, **during})
    [row] = client.api.metrics.metrics(query=query).data
    assert row == {"sum_totalCost": 1.75, "max_totalCost": 1.5, "count_totalCost": 2}
    client.shutdown()


def test_version_5_deletes_traces(five):
    client, traces = five
    assert client.api.trace.delete_multiple(trace_ids=[traces[0]["id"], "no-such-trace"]).message
    assert client.api.observations.get_many(trace_id=traces[0]["id"]).data == []
    assert len(client.api.observations.get_many(trace_id=traces[1]["id"]).data) == 4
