"""The OpenTelemetry SDK of Rust with its exporter over gRPC and HTTP."""

import json

import pytest

from clients import INSTALLED
from spans import read


@pytest.mark.reads_back("OpenTelemetry Rust", "ids", "name", "status", "error", "times", "tree", "kind", "model")
@pytest.mark.reads_back("OpenTelemetry Rust", "metadata", "service", "events", "links")
@pytest.mark.parametrize("form", ["grpc", "protobuf", "json"])
def test_spans_are_read_back_equal(clients, form):
    said = json.loads(clients.run(INSTALLED / "rust" / "debug" / "otel-program", form))
    served = clients.trace(said["trace_id"])
    steps = served["trace"]["steps"]
    assert {step["resource"]["service.name"] for step in steps} == {"shop-rs"}
    found = {step["name"]: read(step) for step in steps}
    for span in said["spans"]:
        made = {key: value for key, value in span.items() if key not in ("events", "links", "start", "end")}
        one = found.pop(span["name"])
        assert {key: one[key] for key in made} == made
        assert [list(event) for event in one["events"]] == span["events"]
        assert [list(link) for link in one["links"]] == span["links"]
        assert (one["start"], one["end"]) == (int(span["start"]) // 1000, int(span["end"]) // 1000)
    assert found == {}
    assert (served["meta"]["name"], served["meta"]["metadata"]["customer"]) == ("request", "acme")
    [call] = [step for step in steps if step["type"] == "llm"]
    assert (call["name"], call["model"]) == ("chat", "gpt-4o")
