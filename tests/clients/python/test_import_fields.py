"""Files of Jaeger, Zipkin and Claude Code, field by field: what is expected is read off the files here, not by the importers."""

import collections
import json

import pytest

from server import ROOT, pages, trace_of
from spans import of_text

FILES = ROOT / "server" / "tests" / "fixtures" / "imports"


def imported(server, name, format):
    with server.client() as client:
        answer = client.post(f"/v1/imports/{format}", content=(FILES / name).read_bytes())
        assert answer.status_code == 200, answer.text


@pytest.mark.reads_back("Jaeger file", "ids", "name", "times", "tree", "service", "events", "links", "metadata")
def test_spans_of_jaeger(obsrv):
    imported(obsrv, "jaeger.json", "jaeger")
    sent = json.loads((FILES / "jaeger.json").read_text())
    trace_id = sent["traceID"].zfill(32)
    with obsrv.client() as client:
        steps = {step["step_id"]: step for step in trace_of(client, trace_id)["trace"]["steps"]}
    by_id = collections.defaultdict(list)
    for span in sent["spans"]:
        by_id[span["spanID"]].append(span)
    assert steps.keys() == by_id.keys()
    for span_id, same in by_id.items():
        step = steps[span_id]
        # Two that have one id are one span; which of them, the order of versions says.
        [span] = [span for span in same if span["operationName"] == step["name"]]
        assert of_text(step["started_at"]) == span["startTime"]
        assert of_text(step["ended_at"]) == span["startTime"] + span["duration"]
        inner = [r for r in span["references"] if r["refType"] == "CHILD_OF" and r["traceID"] == sent["traceID"]]
        assert step.get("parent_step_id") == (inner[0]["spanID"] if inner else None)
        others = [(r["traceID"].zfill(32), r["spanID"]) for r in span["references"] if r not in inner[:1]]
        assert [(k["trace_id"], k["span_id"]) for k in step.get("links", [])] == others
        assert step["resource"]["service.name"] == sent["processes"][span["processID"]]["serviceName"]
        assert [(of_text(e["started_at"]), e["name"]) for e in step["events"]] == [
            (log["timestamp"], next((f["value"] for f in log["fields"] if f["key"] == "event"), "log")) for log in span["logs"]
        ]
        for event, log in zip(step["events"], span["logs"]):
            assert event["metadata"] == {f["key"]: f["value"] for f in log["fields"] if f["key"] != "event"}
        warnings = {"jaeger.warning": span["warnings"][0]} if span["warnings"] else {}
        assert step["metadata"] == {tag["key"]: tag["value"] for tag in span["tags"]} | warnings


@pytest.mark.reads_back("Zipkin file", "ids", "name", "times", "tree", "service", "events", "metadata")
def test_spans_of_zipkin(obsrv):
    imported(obsrv, "zipkin.json", "zipkin")
    sent = json.loads((FILES / "zipkin.json").read_text())
    [trace_id] = {span["traceId"].zfill(32) for span in sent}
    with obsrv.client() as client:
        steps = trace_of(client, trace_id)["trace"]["steps"]
    assert len(steps) == len(sent)
    keyed = {(step["name"], of_text(step["started_at"]), step.get("otel_kind")): step for step in steps}
    assert len(keyed) == len(sent)
    parents = {}
    for span in sent:
        step = keyed[(span["name"], span["timestamp"], span["kind"].lower() if "kind" in span else None)]
        assert of_text(step["ended_at"]) == span["timestamp"] + span["duration"]
        assert {key: step["metadata"].get(key) for key in span.get("tags", {})} == span.get("tags", {})
        assert step["resource"]["service.name"] == span["localEndpoint"]["serviceName"]
        annotations = [(note["timestamp"], note["value"]) for note in span.get("annotations", [])]
        assert sorted((of_text(e["started_at"]), e["name"]) for e in step["events"]) == sorted(annotations)
        # The server's half of a shared id is below the client's, under an id of its own.
        shared = span.get("shared") and any(other["id"] == span["id"] for other in sent if other is not span)
        parents[step["step_id"]] = span["id"] if shared else span.get("parentId")
        assert shared or step["step_id"] == span["id"]
    halves = {parent: step_id for step_id, parent in parents.items() if step_id not in {span["id"] for span in sent}}
    for step in steps:
        expected = parents[step["step_id"]]
        # What was done below a shared id was done by the server.
        assert step.get("parent_step_id") in (expected, halves.get(expected)), step["name"]


@pytest.mark.reads_back("Claude Code file", "ids", "times", "kind", "model", "messages", "tool calls", "tokens", "thread")
def test_a_session_of_claude_code(obsrv):
    imported(obsrv, "claude-code-representative.jsonl", "claude-code")
    lines = [json.loads(line) for line in (FILES / "claude-code-representative.jsonl").read_text().splitlines()]
    with obsrv.client() as client:
        traces = [trace_of(client, item["trace_id"]) for item in pages(client)]
    assert {trace["meta"]["group"] for trace in traces} == {"test_session"}
    asks = {f"test_session:{line['uuid']}": line for line in lines if line["type"] == "user" and "toolUseResult" not in line}
    assert {trace["meta"]["trace_id"] for trace in traces} == asks.keys()
    steps = {step["step_id"]: step for trace in traces for step in trace["trace"]["steps"]}
    answers = [line for line in lines if line["type"] == "assistant"]
    calls = {step["step_id"]: step for step in steps.values() if step["type"] == "llm"}
    assert len(calls) == len(answers)
    for line in answers:
        message = line["message"]
        [step] = [step for step in calls.values() if of_text(step["ended_at"]) == of_text(line["timestamp"])]
        assert step["model"] == message["model"]
        assert step["token_usage"]["input"] == message["usage"]["input_tokens"]
        assert step["token_usage"]["output"] == message["usage"]["output_tokens"]
        said = step["messages"][-1]
        text = "".join(block["text"] for block in message["content"] if block["type"] == "text")
        assert (said["role"], "".join(part["text"] for part in said["content"])) == ("assistant", text)
    results = {
        block["tool_use_id"]: block["content"]
        for line in lines
        if "toolUseResult" in line
        for block in line["message"]["content"]
    }
    used = {
        block["id"]: (block["name"], block["input"], results[block["id"]])
        for line in answers
        for block in line["message"]["content"]
        if block["type"] == "tool_use"
    }
    found = [call for step in steps.values() if step["type"] == "tool" for call in step["tool_calls"]]
    assert {call["id"]: (call["name"], call["arguments"], call["result"]) for call in found} == used
