"""The published aiobs package, unmodified: what it sent, by the files that it writes, against what is read back."""

import json
import math
import os
import pathlib
import subprocess
import sys

import pytest

from server import HERE, KEY, trace_of

PACKAGES = pathlib.Path(sys.prefix) / "aiobs"


@pytest.fixture(scope="module")
def sent(shared, tmp_path_factory):
    """What the package says that it sent, upload by upload."""
    assert PACKAGES.is_dir(), f"no aiobs in {PACKAGES}: bin/test setup installs it"
    out = tmp_path_factory.mktemp("aiobs")
    environment = os.environ | {
        "PYTHONPATH": str(PACKAGES),
        "OBSRV_URL": shared.url,
        "AIOBS_FLUSH_SERVER_URL": shared.url,
        "AIOBS_API_KEY": KEY,
        "AIOBS_LABEL_REGION": "eu",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true",
    }
    # Without the packages of this process: they are of other versions.
    program = [sys.executable, "-S", str(HERE / "aiobs_program.py"), str(out)]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60, cwd=out)
    assert done.returncode == 0, done.stderr
    assert "rror" not in done.stderr, done.stderr
    read = [json.loads((out / f"{name}.json").read_text()) for name in ["first", "second", "empty"]]
    return read, json.loads(done.stdout)["sessions"]


def steps_of(client, event):
    served = trace_of(client, event["trace_id"] or event["session_id"])
    assert served, event
    return {step["step_id"]: step for step in served["trace"]["steps"]}


def as_json(value):
    """Numbers that JSON has not are served as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    if isinstance(value, dict):
        return {key: as_json(child) for key, child in value.items()}
    if isinstance(value, list):
        return [as_json(child) for child in value]
    return value


def seconds(text):
    import datetime

    return datetime.datetime.fromisoformat(text).timestamp()


def check_common(step, event):
    assert seconds(step["started_at"]) == pytest.approx(event["started_at"], abs=2e-6)
    assert seconds(step["ended_at"]) == pytest.approx(event["ended_at"], abs=2e-6)
    assert step.get("parent_step_id") == event["parent_span_id"]
    assert step["status"] == ("error" if event["error"] else "success")
    for name, row in [("error", "error_message"), ("callsite", "callsite"), ("provider", "provider"), ("api", "api")]:
        assert step.get(row) == event[name], name
    assert (step["duration_ms"], step["session_id"]) == (event["duration_ms"], event["session_id"])


@pytest.mark.reads_back("aiobs", "ids", "name", "status", "error", "times", "tree", "input and output", "thread")
def test_every_function_is_read_back_as_it_was_sent(shared, sent):
    uploads, _ = sent
    count = 0
    with shared.client() as client:
        for event in [event for upload in uploads for event in upload["function_events"]]:
            step = steps_of(client, event)[event["span_id"]]
            check_common(step, event)
            given = {key: event[key] for key in ["args", "kwargs"] if event[key] is not None}
            assert step.get("input", {}) == as_json(given)
            assert step.get("output") == as_json(event["result"])
            assert (step["name"], step["module"]) == (event["name"], event["module"])
            assert step["enh_prompt"] is event["enh_prompt"]
            assert step.get("enh_prompt_id") == event["enh_prompt_id"]
            assert step.get("auto_enhance_after") == event["auto_enhance_after"]
            assert step["group"] == event["session_id"]
            count += 1
    assert count == 5, "research, fails, and summarize three times"


@pytest.mark.reads_back("aiobs", "kind", "model", "provider", "tokens", "messages")
def test_every_call_is_read_back_as_it_was_sent(shared, sent):
    uploads, (first, second, third) = sent
    functions = {event["span_id"]: event for upload in uploads for event in upload["function_events"]}
    calls = [event for upload in uploads for event in upload["events"]]
    assert len(calls) == 4, "three calls of the model and one of the program's own"
    with shared.client() as client:
        for event in calls:
            steps = steps_of(client, event)
            if event["provider"] == "mine":
                [step] = [step for step in steps.values() if step.get("provider") == "mine"]
                assert (step["type"], step["group"]) == ("custom", first)
            else:
                step = steps[event["span_id"]]
                assert (step["type"], step["model"]) == ("llm", "gpt-4o")
                # The model server's own words.
                assert step["token_usage"] == {"input": 11, "output": 7, "total": 18}
                assert step["output"]["text"] == "ho 漢字"
                said = [(m["role"], m["content"][0]["text"]) for m in step["messages"]]
                assert said[0] == ("system", "Be brief.")
                assert said[-1] == ("assistant", "ho 漢字")
                # Filed under whatever session was open: it belongs to that of its function.
                assert step["group"] == functions[event["parent_span_id"]]["session_id"]
            check_common(step, event)
            assert (step["input"], step["output"]) == (as_json(event["request"]), as_json(event["response"]))
    filed = {(event["session_id"], functions[event["parent_span_id"]]["session_id"]) for event in calls if event["trace_id"]}
    assert (second, first) in filed, "the package still files calls under the session that is open"
    assert (third, third) in filed


@pytest.mark.reads_back("aiobs", "metadata")
def test_sessions_are_read_back_as_they_were_sent(shared, sent):
    uploads, _ = sent
    with shared.client() as client:
        for session in [session for upload in uploads for session in upload["sessions"]]:
            trace = trace_of(client, session["id"])["trace"]
            assert (trace["name"], trace["run_type"], trace["group"]) == (session["name"], "session", session["id"])
            assert (trace["metadata"], trace["meta"]) == (session["labels"], session["meta"])
            assert seconds(trace["started_at"]) == pytest.approx(session["started_at"], abs=2e-6)
            ended = seconds(trace["ended_at"]) if "ended_at" in trace else None
            assert ended == (session["ended_at"] and pytest.approx(session["ended_at"], abs=2e-6))
            assert trace["status"] == ("success" if session["ended_at"] else "running")
            assert trace["metadata"]["region"] == "eu"


def nodes(tree):
    for node in tree or []:
        yield node
        yield from nodes(node.get("children"))


def test_the_tree_is_that_of_the_package(shared, sent):
    uploads, _ = sent
    for upload in uploads:
        for node in nodes(upload["trace_tree"]):
            if not node["span_id"]:
                continue
            with shared.client() as client:
                steps = steps_of(client, node)
            below = {step["step_id"] for step in steps.values() if step.get("parent_step_id") == node["span_id"]}
            assert below == {child["span_id"] for child in node["children"]}


def test_enhanced_prompts_are_read_across_uploads(shared, sent):
    uploads, _ = sent
    expected = [prompt for upload in uploads for prompt in upload["enh_prompt_traces"] or []]
    assert len(expected) == 3
    with shared.client() as client:
        found = client.get("/v1/projects/1/spans", params={"q": "enh_prompt:true", "limit": 100})
        assert found.status_code == 200, found.text
        rows = found.json()["data"]
        read = [
            client.get(f"/v1/projects/1/traces/{row['trace_id']}/spans/{row['span_id']}").json()
            for row in rows
        ]
    assert sorted(json.dumps(row).split('"enh_prompt_id": "')[1].split('"')[0] for row in read) == sorted(expected)


def test_what_was_used_is_known_before_and_after(shared, sent):
    uploads, _ = sent
    with shared.client() as client:
        usage = client.get("/v1/usage").json()
        assert usage["success"] is True
        assert set(usage["usage"]) == {"tier", "traces_used", "traces_limit", "traces_remaining", "is_rate_limited"}
        assert usage["usage"]["is_rate_limited"] is False
        used = client.get("/v1/projects/1/usage").json()
    reported = sum(len(upload["events"]) + len(upload["function_events"]) for upload in uploads)
    assert used["used"]["reported_traces"] == reported
    with shared.client(key="wrong") as client:
        assert client.get("/v1/usage").status_code == 401


def test_an_export_that_comes_again_changes_nothing(shared, sent):
    uploads, (first, _, _) = sent
    with shared.client() as client:
        before = trace_of(client, first)
        again = client.post("/v1/traces", content=json.dumps(uploads[0]), headers={"content-type": "application/json"})
        assert again.status_code == 200, again.text
        assert again.json()["rejected"] == 0
        assert trace_of(client, first) == before
        empty = client.post("/v1/traces", json={"sessions": [], "events": []})
        assert (empty.status_code, empty.json()["accepted"]) == (200, 0)
        bad = client.post("/v1/traces", json={"sessions": [{"id": 7}]})
        assert (bad.status_code, bad.json()["error"]["message"][:3]) == (400, "id:")
