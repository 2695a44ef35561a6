"""The published OpenTelemetry crates for Rust, in three encodings: what their SDK held against what is read back."""

import json

import pytest

from clients import INSTALLED
from server import KEY
from spans import of_text

PROGRAM = INSTALLED / "rust" / "debug" / "obsrv-campaign-otel"
LEVELS = {5: "debug", 9: "info", 13: "warn", 17: "error", 24: "fatal"}
FIELDS = ["ids", "name", "status", "error", "times", "tree", "kind", "model", "provider", "tokens", "metadata", "service"]
FIELDS += ["events", "links", "log lines", "points"]


def nanos(text):
    whole, part = text.removesuffix("Z").split(".")
    return of_text(whole + "+00:00") * 1000 + int(part.ljust(9, "0"))


def sorted_by(rows, *keys):
    return sorted(rows, key=lambda row: json.dumps([row[key] for key in keys], sort_keys=True))


@pytest.mark.reads_back("OpenTelemetry Rust", *FIELDS)
@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("encoding", ["http/protobuf", "http/json", "grpc"])
def test_what_the_sdk_held_is_read_back(clients, encoding, compression):
    obsrv = clients.obsrv
    endpoint = f"http://127.0.0.1:{obsrv.grpc_port}" if encoding == "grpc" else obsrv.url
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_HEADERS": f"x-api-key={KEY}"}
    if compression != "none":
        settings["OTEL_EXPORTER_OTLP_COMPRESSION"] = compression
    said = json.loads(clients.run(PROGRAM, encoding, **settings))
    resource = said["resource"]
    assert (resource["service.name"], resource["hosts"]) == ("shop-rust", ["a", "b"])
    assert (len(said["spans"]), len(said["logs"])) == (6, 6)
    assert {point["type"] for point in said["points"]} == {"gauge", "sum", "histogram", "exponential_histogram"}
    check_spans(clients, said["spans"], resource)
    check_lines(clients.rows("logs"), said["logs"], resource)
    check_points(clients.rows("points"), said["points"], resource)


def check_spans(clients, said, resource):
    times = {row["span_id"]: (nanos(row["start"]), nanos(row["end"])) for row in clients.rows("spans")}
    traces = {trace_id: clients.trace(trace_id) for trace_id in {span["trace_id"] for span in said}}
    assert len(traces) == 2
    found = [
        {
            "trace_id": trace_id,
            "id": step["step_id"],
            "parent": step.get("parent_step_id"),
            "name": step["name"],
            "kind": step["otel_kind"],
            "status": "error" if step["status"] == "error" else step.get("status_code", "unset"),
            "error": step.get("error_message"),
            "start": times[step["step_id"]][0],
            "end": times[step["step_id"]][1],
            "attributes": step["metadata"],
            "scope": {"version": None, "schema_url": None, "attributes": {}} | step["scope"],
            "events": [
                {"name": event["name"], "at": event["started_at"], "attributes": event["metadata"]} for event in step["events"]
            ],
            "links": [{key: link[key] for key in ("trace_id", "span_id", "attributes")} for link in step.get("links", [])],
        }
        for trace_id, served in traces.items()
        for step in served["trace"]["steps"]
        if step["resource"] == resource
    ]
    for span in said + found:
        for event in span["events"]:
            at = event["at"]
            event["at"] = of_text(at) if isinstance(at, str) else at // 1000
    assert sorted_by(found, "id") == sorted_by(said, "id")
    [call] = [step for served in traces.values() for step in served["trace"]["steps"] if step["name"] == "chat mock-large"]
    assert (call["type"], call["model"], call["provider"]) == ("llm", "mock-large", "openai")
    assert call["token_usage"] == {"input": 120, "output": 20, "total": 140}


def check_lines(rows, said, resource):
    found = [
        {
            "trace_id": row["trace_id"],
            "span_id": row.get("span_id"),
            "time": row.get("time_unix_nano"),
            "observed": row["observed_time_unix_nano"],
            "severity": row["severity_number"],
            "severity_text": row["severity_text"],
            "event": row.get("event_name"),
            "body": row["body"],
            "attributes": row["attributes"],
            "scope": row["scope"]["name"],
        }
        for row in rows
    ]
    assert sorted_by(found, "severity", "observed") == sorted_by(said, "severity", "observed")
    for row in rows:
        assert row["resource"] == resource
        assert row["level"] == LEVELS[row["severity_number"]]
        assert nanos(row["start"]) == row.get("time_unix_nano", row["observed_time_unix_nano"])


def check_points(rows, said, resource):
    assert all(row["resource"] == resource for row in rows)
    found = [point_read(row) for row in rows]
    order = ("name", "time", "temporality")
    assert sorted_by(found, *order) == sorted_by(said, *order)


def point_read(row):
    texts = ("unit", "description", "temporality", "monotonic")
    read = {"name": row["name"], "type": row["type"], "time": nanos(row["start"]), "began": row.get("start_time_unix_nano")}
    read |= {key: row.get(key) for key in texts}
    read |= {"attributes": row["attributes"], "scope": [row["scope"]["name"], row["scope"].get("version")]}
    if row["type"] in ("gauge", "sum"):
        return read | {"value": row["value"]}
    read |= {key: row[key] for key in ("count", "sum", "min", "max")}
    if row["type"] == "histogram":
        return read | {"counts": row["bucket_counts"], "bounds": row["explicit_bounds"]}
    sides = {side: [row[side]["offset"], row[side]["bucket_counts"]] for side in ("positive", "negative")}
    return read | {"scale": row["scale"], "zero": row["zero_count"]} | sides
