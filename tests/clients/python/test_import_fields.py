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
        # A whole number may stand as text in a file: its type says so.
        tags = {tag["key"]: int(tag["value"]) if tag["type"] == "int64" else tag["value"] for tag in span["tags"]}
        assert step["metadata"] == tags | warnings


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


def text_of(message):
    """What a message says, in the file as served."""
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def only_trace(server):
    with server.client() as client:
        [item] = pages(client)
        served = trace_of(client, item["trace_id"])
    return served, sorted(served["trace"]["steps"], key=lambda step: step["index"])


@pytest.mark.reads_back("SWE-agent file", "name", "status", "kind", "tree", "messages", "tool calls", "cost", "metadata")
def test_a_trajectory_of_swe_agent(obsrv):
    imported(obsrv, "swe-agent.traj", "swe-agent")
    sent = json.loads((FILES / "swe-agent.traj").read_text())
    served, steps = only_trace(obsrv)
    trace, info = served["trace"], sent["info"]
    assert (trace["name"], trace["status"]) == (sent["environment"], "success")
    assert trace["metadata"]["info"] == info
    assert trace["cost_usd"] == info["model_stats"]["instance_cost"]
    assert [step["type"] for step in steps] == ["llm", "tool"] * len(sent["trajectory"])
    before = [said for said in sent["history"] if said["role"] != "assistant"]
    first = [(said["role"], text_of(said)) for said in steps[0]["messages"]]
    told = [(said["role"], text_of(said)) for said in before]
    assert first[:-1] == told[: len(first) - 1] and len(first) > 1
    for turn, answer, act in zip(sent["trajectory"], steps[::2], steps[1::2]):
        said = answer["messages"][-1]
        assert (said["role"], text_of(said)) == ("assistant", turn["response"])
        assert {key: answer["metadata"][key] for key in ("state", "thought")} == {key: turn[key] for key in ("state", "thought")}
        assert act["parent_step_id"] == answer["step_id"]
        [call] = act["tool_calls"]
        assert (call["name"], call["arguments"]) == (turn["action"].split()[0], {"action": turn["action"]})
        assert call["result"] == turn["observation"]


@pytest.mark.reads_back("tau-bench file", "status", "kind", "messages", "tool calls", "user", "thread", "scores", "metadata")
def test_a_run_of_tau_bench(obsrv):
    imported(obsrv, "tau.jsonl", "tau")
    [sent] = [json.loads(line) for line in (FILES / "tau.jsonl").read_text().splitlines()]
    served, steps = only_trace(obsrv)
    trace = served["trace"]
    assert (trace["status"], sent["reward"]) == ("success", 1.0)
    assert trace["user_id"] == sent["info"]["task"]["user_id"]
    assert trace["group"] == f"task-{sent['task_id']}"
    # To the last place: 0.0013275000000000001 is not 0.0013275.
    assert trace["metadata"]["info"] == sent["info"]
    assert (trace["metadata"]["trial"], trace["metadata"]["reward"]) == (sent["trial"], sent["reward"])
    assert [(note["label"], note["score"]) for note in trace["annotations"]] == [("reward", sent["reward"])]
    answers = [said for said in sent["traj"] if said["role"] == "assistant"]
    calls = [step for step in steps if step["type"] == "llm"]
    assert len(calls) == len(answers)
    # Whatever was said stands once, in its order, with the answers as the last of each call.
    told = [said for step in calls for said in step["messages"]]
    spoken = [said for said in sent["traj"] if said["role"] in ("system", "user", "assistant") and said.get("content")]
    ended = len(spoken) if spoken[-1]["role"] == "assistant" else len(spoken) - 1
    assert [(s["role"], text_of(s)) for s in told if s["role"] != "tool" and text_of(s)] == [
        (s["role"], s["content"]) for s in spoken[:ended]
    ]
    results = {said["tool_call_id"]: said["content"] for said in sent["traj"] if said["role"] == "tool"}
    used = [call for said in answers for call in said.get("tool_calls") or []]
    expected = {call["id"]: (call["function"]["name"], json.loads(call["function"]["arguments"])) for call in used}
    found = [call for step in steps if step["type"] == "tool" for call in step["tool_calls"]]
    assert {call["id"]: (call["name"], call["arguments"]) for call in found} == expected
    assert {call["id"]: call["result"] for call in found} == {call["id"]: results[call["id"]] for call in used if call["id"] in results}


@pytest.mark.reads_back(
    "Inspect file", "ids", "name", "times", "status", "kind", "model", "tree", "messages", "tokens", "scores", "metadata"
)
def test_a_sample_of_inspect(obsrv):
    imported(obsrv, "inspect.json", "inspect")
    sent = json.loads((FILES / "inspect.json").read_text())
    [sample] = sent["samples"]
    served, steps = only_trace(obsrv)
    trace = served["trace"]
    assert trace["trace_id"] == sample["uuid"]
    assert (trace["name"], trace["status"]) == (f"{sent['eval']['task']} {sample['id']}", "success")
    assert trace["metadata"]["eval"] == sent["eval"]
    assert trace["metadata"]["metadata"] == sample["metadata"]
    [(name, score)] = sample["scores"].items()
    [note] = trace["annotations"]
    assert (score["value"], note["label"], note["score"], note["comment"]) == ("C", name, 1.0, score["explanation"])

    def put_back(text):
        return sample["attachments"].get(text.removeprefix("attachment://"), text)

    by_id = {step["step_id"]: step for step in steps}
    ended = {event["id"]: event["timestamp"] for event in sample["events"] if event["event"] == "span_end"}
    begun = [event for event in sample["events"] if event["event"] == "span_begin"]
    for event in begun:
        step = by_id[event["id"]]
        assert (step["name"], step.get("parent_step_id")) == (event["name"], event.get("parent_id"))
        assert of_text(step["started_at"]) == of_text(event["timestamp"])
        assert of_text(step["ended_at"]) == of_text(ended[event["id"]])
    [event] = [event for event in sample["events"] if event["event"] == "model"]
    [call] = [step for step in steps if step["type"] == "llm"]
    assert (call["model"], call["parent_step_id"]) == (event["model"], event["span_id"])
    assert (of_text(call["started_at"]), of_text(call["ended_at"])) == (of_text(event["timestamp"]), of_text(event["completed"]))
    said = [(message["role"], text_of(message)) for message in call["messages"]]
    answer = event["output"]["choices"][0]["message"]
    assert said == [(m["role"], put_back(m["content"])) for m in event["input"]] + [("assistant", put_back(answer["content"]))]
    usage = event["output"]["usage"]
    tokens = call["token_usage"]
    assert [tokens[key] for key in ("input", "output", "total")] == [usage[f"{key}_tokens"] for key in ("input", "output", "total")]
