"""The published obtrace-sdk-python, unmodified: version 2 over protobuf, version 1 with JSON of its own."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from server import HERE, KEY, trace_of


def run(server, *folders, name):
    folders = [pathlib.Path(sys.prefix) / folder for folder in folders]
    for folder in folders:
        assert folder.is_dir(), f"no {folder}: bin/test setup installs it"
    path = os.pathsep.join(map(str, folders))
    environment = os.environ | {"PYTHONPATH": path, "OBSRV_URL": server.url, "OBSRV_KEY": KEY}
    program = [sys.executable, "-S", str(HERE / "obtrace_program.py"), name]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def second(shared):
    return run(shared, "obtrace", name="two")


@pytest.fixture(scope="module")
def first(shared):
    # Its own transport: of the packages of version 2 it needs none.
    return run(shared, "obtrace1", name="one")


def rows(client, what, **params):
    answer = client.get(f"/v1/projects/1/{what}", params={"limit": 100, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def picked(of, *names):
    return {name: of[name] for name in names if name in of}


RESOURCE = {
    "service.version": "1.2.3",
    "deployment.environment": "prod",
    "runtime.name": "python",
    "obtrace.tenant_id": "ten_1",
    "obtrace.app_id": "app_1",
    "obtrace.env": "prod",
}


def check_span(client, said, service):
    [step] = trace_of(client, said["ids"]["trace_id"])["trace"]["steps"]
    assert step["step_id"] == said["ids"]["span_id"]
    assert picked(step, "name", "status", "error_message", "service") == {
        "name": "checkout.charge",
        "status": "error",
        "error_message": "declined",
        "service": service,
    }
    assert step["metadata"]["order"] == "o-1"
    assert step["metadata"]["tries"] == 3
    assert picked(step["resource"], *RESOURCE) == RESOURCE


def check_logs(client, said, service):
    logs = {log["body"]: log for log in rows(client, "logs", q=f"service:{service}")}
    declined = logs["card declined ✓"]
    # Ids that the program gave stand in attributes: the record belongs to their span all the same.
    assert picked(declined, "level", "trace_id", "span_id", "thread_id", "service") == {
        "level": "warn",
        "trace_id": said["ids"]["trace_id"],
        "span_id": said["ids"]["span_id"],
        "thread_id": "sess-9",
        "service": service,
    }
    sent = declined["attributes"]
    assert (sent["obtrace.route_template"], sent["obtrace.attr.coupon"]) == ("/pay/{id}", "c-1")
    assert logs["giving up"]["level"] == "error"
    return logs


def check_points(client, service):
    points = {}
    for point in rows(client, "points", q=f"service:{service}"):
        points.setdefault(point["name"], point)
    total, latency = points["http_requests_total"], points["latency_p95"]
    assert picked(total, "value", "type", "unit") == {"value": 7, "type": "gauge", "unit": "1"}
    assert picked(latency, "value", "type", "unit") == {"value": 12.5, "type": "gauge", "unit": "ms"}
    assert total["attributes"].get("route", total["attributes"].get("obtrace.attr.route")) == "/pay"


@pytest.mark.reads_back(
    "Obtrace",
    "ids",
    "name",
    "status",
    "error",
    "metadata",
    "service",
    "thread",
    "log lines",
    "points",
)
def test_version_2_begins_and_its_three_signals_are_read_back(shared, second):
    assert second["initialized"] is True
    with shared.client() as client:
        check_span(client, second, "shop-two")
        logs = check_logs(client, second, "shop-two")
        check_points(client, "shop-two")
    assert picked(logs["inside"], "level", "trace_id", "span_id") == {
        "level": "debug",
        "trace_id": second["deeper"]["trace"],
        "span_id": second["deeper"]["inner"],
    }
    assert logs["from the standard library"]["level"] == "warn"


@pytest.mark.reads_back("Obtrace", "tree", "kind", "model", "events")
def test_version_2_nests_spans_and_keeps_exceptions(shared, second):
    ids = second["deeper"]
    with shared.client() as client:
        steps = {step["name"]: step for step in trace_of(client, ids["trace"])["trace"]["steps"]}
    assert set(steps) == {"checkout", "llm.call", "exception"}
    assert (steps["checkout"]["step_id"], steps["llm.call"]["step_id"]) == (ids["outer"], ids["inner"])
    assert steps["llm.call"]["parent_step_id"] == steps["exception"]["parent_step_id"] == ids["outer"]
    assert picked(steps["checkout"]["metadata"], "feature", "list") == {"feature": "pay", "list": ["a", "b"]}
    assert (steps["llm.call"]["type"], steps["llm.call"]["model"]) == ("llm", "gpt-4o")
    failed = steps["exception"]
    assert (failed["status"], failed["error_message"]) == ("error", "no such card")
    [event] = failed["events"]
    assert event["metadata"]["exception.type"] == "ValueError"
    assert event["metadata"]["retry"] == 1


def test_version_1_sends_json_and_its_three_signals_are_read_back(shared, first):
    assert first["initialized"] is None
    with shared.client() as client:
        check_span(client, first, "shop-one")
        check_logs(client, first, "shop-one")
        check_points(client, "shop-one")


def test_who_may_not_send_is_told_at_the_start(shared):
    with shared.client() as client:
        answer = client.post("/v1/init", json={"sdk": "obtrace-sdk-python"})
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        assert client.post("/v1/init", content=b"{").status_code == 400
        for length, status in [(16 << 10, 200), ((16 << 10) + 1, 413)]:
            assert client.post("/v1/init", content=b"{}".ljust(length)).status_code == status
    with shared.client(key="wrong") as client:
        assert client.post("/v1/init", json={}).status_code == 401
