"""The published langfuse packages, unmodified, against the binary: version 2 by batch ingestion, version 5 by OTLP and
lists of scores."""

import json
import os
import pathlib
import subprocess
import sys

import httpx
import pytest
from langfuse import Langfuse, propagate_attributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from server import HERE, KEY, pages, trace_of
from spans import micros, of_text

VERSION_2 = pathlib.Path(sys.prefix) / "langfuse2"


@pytest.fixture(scope="module")
def batch(shared):
    """The trace of the program with version 2, as served."""
    assert VERSION_2.is_dir(), f"no langfuse 2 in {VERSION_2}: bin/test setup installs it"
    environment = os.environ | {"PYTHONPATH": str(VERSION_2), "OBSRV_URL": shared.url, "OBSRV_KEY": KEY}
    program = [sys.executable, str(HERE / "langfuse2_program.py")]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr.lower(), done.stderr
    with shared.client() as client:
        return trace_of(client, json.loads(done.stdout)["trace"])


def at(text):
    return f"2026-05-01T10:00:{text}Z"


def picked(of, *names):
    return {name: of[name] for name in names if name in of}


def without(of, *names):
    return {name: value for name, value in of.items() if name not in names}


@pytest.mark.reads_back("Langfuse 2", "ids", "name", "times", "user", "thread", "tags", "metadata", "input and output")
def test_the_trace_of_a_batch(batch):
    trace = without(batch["trace"], "steps", "annotations", "attachments", "events", "rollup")
    assert picked(trace, "trace_id", "name", "user_id", "group", "release", "version", "environment") == {
        "trace_id": "trace-1",
        "name": "checkout",
        "user_id": "u-1",
        "group": "thread-9",
        "release": "r7",
        "version": "v3",
        "environment": "staging",
    }
    assert trace["tags"] == ["alpha", "beta", "gamma"]
    assert trace["metadata"] == {"customer": "acme", "tier": 3, "deep": {"list": [1, None, "x"]}, "late": True}
    assert (trace["input"], trace["output"], trace["langfuse.public"]) == ({"question": "漢字 🙂"}, "bye", True)
    assert trace["started_at"] == at("00.000000")
    meta = batch["meta"]
    assert (meta["step_count"], meta["total_tokens"], meta["cost_usd"]) == (6, 162 + 130, 0.75)


STEPS = {
    "span-1": (None, "plan", "success", "01.000000", "06.000000", "custom"),
    "call-1": ("span-1", "chat", "success", "02.000000", "03.500000", "llm"),
    "call-2": ("span-1", "chat", "success", "03.500000", "04.000000", "llm"),
    "event-1": ("span-1", "clicked", "success", "04.500000", "04.500000", "custom"),
    "span-2": ("span-1", "fetch", "error", "05.000000", "05.500000", "custom"),
    "span-open": (None, "still running", "running", "07.000000", None, "custom"),
}


@pytest.mark.reads_back("Langfuse 2", "tree", "status", "kind", "times")
def test_the_tree_of_a_batch(batch):
    steps = {step["step_id"]: step for step in batch["trace"]["steps"]}
    tree = {
        name: (
            step.get("parent_step_id"),
            step["name"],
            step["status"],
            step["started_at"].removeprefix("2026-05-01T10:00:").removesuffix("Z"),
            step["ended_at"].removeprefix("2026-05-01T10:00:").removesuffix("Z") if "ended_at" in step else None,
            step["type"],
        )
        for name, step in steps.items()
    }
    assert tree == STEPS


@pytest.mark.reads_back("Langfuse 2", "model", "cost", "tokens", "messages", "error")
def test_the_fields_of_a_batch(batch):
    steps = {step["step_id"]: step for step in batch["trace"]["steps"]}
    assert steps["span-1"]["metadata"] == {"first": 1, "both": "new", "second": [2]}
    assert (steps["span-1"]["input"], steps["span-1"]["output"]) == ({"a": 1}, ["done"])
    call = steps["call-1"]
    assert picked(call, "model", "model_parameters", "completion_start_time", "cost_usd", "cost_details") == {
        "model": "claude-x",
        "model_parameters": {"temperature": "0.5", "stop": ["a", "b"]},  # this client makes text of numbers
        "completion_start_time": call["completion_start_time"],
        "cost_usd": 0.75,
        "cost_details": {"input": 0.25, "output": 0.5},
    }
    assert call["completion_start_time"].startswith("2026-05-01T10:00:02.25")
    assert call["token_usage"] == {"input": 5, "output": 7, "cache_read": 100, "cache_write": 50, "total": 162}
    assert call["input"] == [{"role": "system", "content": "terse"}, {"role": "user", "content": "hi"}]
    assert [(m["role"], m["content"][0]["text"]) for m in call["messages"]] == [
        ("system", "terse"),
        ("user", "hi"),
        ("assistant", "ho"),
    ]
    inclusive = steps["call-2"]["token_usage"]
    assert inclusive == {"input": 20, "output": 20, "cache_read": 80, "reasoning": 10, "total": 130}
    assert steps["event-1"]["metadata"] == {"button": "buy"}
    assert picked(steps["span-2"], "error_message", "level") == {"error_message": "no route", "level": "ERROR"}
    assert steps["span-open"]["level"] == "WARNING"


@pytest.mark.reads_back("Langfuse 2", "scores")
def test_the_scores_of_a_batch(batch):
    [quality] = next(s for s in batch["trace"]["steps"] if s["step_id"] == "call-1")["annotations"]
    assert picked(quality, "name", "score", "comment") == {"name": "quality", "score": 0.75, "comment": "clear"}
    of_trace = {score["name"]: score for score in batch["trace"]["annotations"]}
    assert picked(of_trace["tone"], "label", "data_type") == {"label": "kind", "data_type": "CATEGORICAL"}
    assert picked(of_trace["kept"], "score", "data_type") == {"score": 1, "data_type": "BOOLEAN"}
    assert len(of_trace) == 2


def test_an_open_step_and_metadata_are_found(shared, batch):
    with shared.client() as client:
        for q in ["metadata.late:true", "metadata.customer:acme", "user_id:u-1", "tags:gamma"]:
            assert [run["trace_id"] for run in pages(client, q=q)] == ["trace-1"], q


def test_a_batch_names_its_bad_items_and_keeps_the_good(shared):
    events = [
        {"id": "e1", "type": "trace-create", "timestamp": at("00"), "body": {"id": "kept"}},
        {"id": "e2", "type": "span-create", "timestamp": at("00"), "body": {"id": 7}},
        {"id": "e3", "type": "sdk-log", "timestamp": at("00"), "body": {"log": "x"}},
    ]
    with httpx.Client(base_url=shared.url, auth=("pk", KEY)) as client:
        answer = client.post("/api/public/ingestion", json={"batch": events})
        assert answer.status_code == 207
        said = answer.json()
        assert said["successes"] == [{"id": "e1", "status": 201}, {"id": "e3", "status": 201}]
        [error] = said["errors"]
        assert (error["id"], error["status"]) == ("e2", 400)
        assert error["error"].startswith("batch[1]: body.id: expected text")
        assert client.get("/v1/traces/kept").status_code == 200
        one = {"traceId": "kept", "name": "n", "value": 1}
        assert client.post("/api/public/scores", json={"id": "s", **one}).json() == {"id": "s"}
        some = client.post("/api/public/scores", json=[one, {"traceId": "kept"}])
        assert (some.status_code, some.json()["accepted"], some.json()["rejected"]) == (207, 1, 1)
        assert client.get("/api/public/health").json()["status"] == "OK"
    with httpx.Client(base_url=shared.url, auth=("pk", "wrong-secret")) as client:
        assert client.post("/api/public/ingestion", json={"batch": events}).status_code == 401
        assert client.get("/api/public/projects").status_code == 401


@pytest.mark.reads_back("Langfuse 5", "ids", "tree", "kind", "scores")
def test_version_5_traces_by_otlp_and_scores_by_list(shared):
    client = Langfuse(public_key="pk-lf-v5", secret_key=KEY, base_url=shared.url)
    try:
        assert client.auth_check()
        with client.start_as_current_observation(name="outer", as_type="agent") as outer:
            with outer.start_as_current_observation(name="call", as_type="generation", model="m-5") as call:
                call.update(usage_details={"input": 3, "output": 4}, output="ok")
            trace_id, span_id = call.trace_id, call.id
        client.create_score(trace_id=trace_id, observation_id=span_id, name="good", value=0.5, comment="c")
        client.create_score(trace_id=trace_id, name="tone", value="warm", data_type="CATEGORICAL")
        client.flush()
    finally:
        client.shutdown()
    with shared.client() as reader:
        trace = trace_of(reader, trace_id)["trace"]
    steps = {step["name"]: step for step in trace["steps"]}
    assert set(steps) == {"outer", "call"}
    assert steps["call"]["parent_step_id"] == steps["outer"]["step_id"]
    assert (steps["call"]["type"], steps["call"]["model"]) == ("llm", "m-5")
    [good] = steps["call"]["annotations"]
    assert picked(good, "name", "score", "comment") == {"name": "good", "score": 0.5, "comment": "c"}
    assert [(s["name"], s["label"]) for s in trace["annotations"]] == [("tone", "warm")]


@pytest.mark.reads_back(
    "Langfuse 5",
    "name",
    "status",
    "error",
    "times",
    "model",
    "input and output",
    "messages",
    "tokens",
    "cost",
    "user",
    "thread",
    "tags",
    "metadata",
    "service",
)
def test_what_version_5_says_of_a_trace_and_a_call(shared, monkeypatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"team": "blue"}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    client = Langfuse(public_key="pk-lf-all", secret_key=KEY, base_url=shared.url, tracer_provider=provider)
    said = [{"role": "user", "content": "hi 漢字"}]
    asked, found = {"q": "hi", "type": "near"}, [{"id": 1, "type": "note"}]
    try:
        with propagate_attributes(user_id="u-5", session_id="s-5", tags=["a", "b"], metadata={"customer": "acme"}):
            with client.start_as_current_observation(name="outer", as_type="agent") as outer:
                call = outer.start_observation(name="call", as_type="generation", model="m-5", input=said)
                call.update(
                    output={"role": "assistant", "content": "ho"},
                    usage_details={"input": 30, "output": 5, "cache_read_input_tokens": 60},
                    cost_details={"input": 0.25, "output": 0.5, "total": 0.75},
                    metadata={"deep": {"list": [1, None, "x"]}},
                )
                call.end()
                failed = outer.start_observation(name="failed", as_type="tool")
                failed.update(level="ERROR", status_message="no route")
                failed.end()
                looked = outer.start_observation(name="look", as_type="retriever", input=asked)
                looked.update(output=found).end()
                trace_id = outer.trace_id
        client.flush()
    finally:
        client.shutdown()
    with shared.client() as reader:
        served = trace_of(reader, trace_id)
    steps = {step["name"]: step for step in served["trace"]["steps"]}
    made = {span.name: span for span in memory.get_finished_spans()}
    assert set(steps) == set(made) == {"outer", "call", "failed", "look"}
    # Objects that are no messages are what was said, as text.
    told = [(m["role"], m["content"][0]["type"], json.loads(m["content"][0]["text"])) for m in steps["look"]["messages"]]
    assert told == [("user", "text", asked), ("assistant", "text", found)]
    for name, step in steps.items():
        assert (of_text(step["started_at"]), of_text(step["ended_at"])) == (
            micros(made[name].start_time),
            micros(made[name].end_time),
        )
        assert picked(step["resource"], "service.name", "team") == {"service.name": "shop", "team": "blue"}
    meta = served["meta"]
    assert picked(meta, "name", "user_id", "group", "tags", "cost_usd", "total_tokens") == {
        "name": "outer",
        "user_id": "u-5",
        "group": "s-5",
        "tags": ["a", "b"],
        "cost_usd": 0.75,
        "total_tokens": 95,
    }
    # The package sends the JSON text of every value, which stays what its attribute says.
    assert made["outer"].attributes["langfuse.trace.metadata.customer"] == '"acme"'
    assert meta["metadata"]["customer"] == "acme"
    with shared.client() as reader:
        assert trace_id in [run["trace_id"] for run in pages(reader, q="metadata.customer:acme")]
    call = steps["call"]
    assert (call["model"], call["cost_usd"], call["status"]) == ("m-5", 0.75, "success")
    assert picked(call["token_usage"], "input", "output", "cache_read") == {"input": 30, "output": 5, "cache_read": 60}
    assert [(m["role"], m["content"][0]["text"]) for m in call["messages"]] == [("user", "hi 漢字"), ("assistant", "ho")]
    sent = call["metadata"]
    assert json.loads(sent["langfuse.observation.input"]) == said
    assert json.loads(sent["langfuse.observation.output"]) == {"role": "assistant", "content": "ho"}
    assert json.loads(sent["langfuse.observation.metadata.deep"]) == {"list": [1, None, "x"]}
    assert picked(steps["failed"], "status", "error_message") == {"status": "error", "error_message": "no route"}
