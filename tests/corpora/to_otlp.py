"""Corpora of spans as OTLP/JSON export requests."""

import datetime
import itertools
import json

from read import documents, files, lines, tables, text_of

SPANS_PER_REQUEST = 512
KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}


def any_value(value):
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(v) for v in value]}}
    return {"kvlistValue": {"values": attributes(value)}}


def attributes(mapping):
    return [{"key": key, "value": any_value(value)} for key, value in mapping.items()]


def nanoseconds(text):
    """ISO time, up to nanoseconds, without a detour over floats."""
    head, _, tail = text.rstrip("Z").partition(".")
    whole = datetime.datetime.fromisoformat(head).replace(tzinfo=datetime.timezone.utc)
    return int(whole.timestamp()) * 10**9 + int(tail.ljust(9, "0") or 0)


def request(resource, scope, spans):
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": attributes(resource)},
                "scopeSpans": [{"scope": scope, "spans": spans}],
            }
        ]
    }


def text(value):
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def framework_traces(root):
    """An observation is a span; its raw OTel attributes are kept, its input and output are added."""
    for path, run in documents(root, "framework-traces/*.trace.json*"):
        name = path.name.split(".")[0]
        spans, resource = [], {"service.name": name}
        for seen in run["observations"]:
            about = seen["metadata"]
            about = json.loads(about) if isinstance(about, str) else about or {}
            resource |= about.get("resourceAttributes", {})
            found = dict(about.get("attributes") or {})
            found["langfuse.observation.type"] = seen["type"].lower()
            for field in ["input", "output"]:
                if seen[field] is not None:
                    found[f"langfuse.observation.{field}"] = text(seen[field])
            if seen["model"]:
                found["langfuse.observation.model.name"] = seen["model"]
            found["metadata.corpus"] = "framework-traces"
            found["metadata.framework"] = name
            spans.append(
                {
                    "traceId": run["trace"]["id"],
                    "spanId": seen["id"],
                    "parentSpanId": seen["parentObservationId"] or "",
                    "name": seen["name"],
                    "kind": 1,
                    "startTimeUnixNano": str(nanoseconds(seen["startTime"])),
                    "endTimeUnixNano": str(nanoseconds(seen["endTime"])),
                    "attributes": attributes(found),
                }
            )
        resource["service.name"] = name
        yield request(resource, {"name": "langfuse"}, spans)


def any_agent(root):
    """Ids are decimal integers in the files."""
    for path, run in documents(root, "otel-agent-spans/any-agent-*.json*"):
        for seen in run["spans"]:
            parent = seen["parent"]
            found = seen["attributes"] | {"metadata.corpus": "any-agent"}
            span = {
                "traceId": f"{seen['context']['trace_id']:032x}",
                "spanId": f"{seen['context']['span_id']:016x}",
                "parentSpanId": f"{parent['span_id']:016x}" if (parent or {}).get("span_id") else "",
                "name": seen["name"],
                "kind": KINDS[seen["kind"]],
                "startTimeUnixNano": str(seen["start_time"]),
                "endTimeUnixNano": str(seen["end_time"]),
                "attributes": attributes(found),
                "status": {"code": {"unset": 0, "ok": 1, "error": 2}[seen["status"]["status_code"]]},
            }
            resource = seen["resource"]["attributes"] | {"service.name": path.name.split("_")[0]}
            yield request(resource, {"name": "any-agent"}, [span])


def halo(root):
    """Span ids of 24 hex digits, which OTLP does not forbid and obsrv keeps."""
    for _, seen in lines(root, "otel-agent-spans/halo-*.jsonl*"):
        span = {
            "traceId": seen["trace_id"],
            "spanId": seen["span_id"],
            "parentSpanId": seen["parent_span_id"],
            "name": seen["name"],
            "kind": KINDS[seen["kind"].removeprefix("SPAN_KIND_").lower()],
            "startTimeUnixNano": str(nanoseconds(seen["start_time"])),
            "endTimeUnixNano": str(nanoseconds(seen["end_time"])),
            "attributes": attributes(seen["attributes"] | {"metadata.corpus": "halo"}),
            "status": {"code": {"STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}.get(seen["status"]["code"], 0)},
        }
        yield request(seen["resource"]["attributes"], seen["scope"], [span])


def nezha(root):
    """The service is the pod's name without its last two parts."""
    rows = tables(root, "nezha/*.spans.csv*")
    while batch := list(itertools.islice(rows, SPANS_PER_REQUEST)):
        merged = {"resourceSpans": []}
        for pod, part in itertools.groupby(batch, key=lambda row: row["PodName"]):
            resource = {"service.name": pod.rsplit("-", 2)[0], "k8s.pod.name": pod}
            merged["resourceSpans"] += request(resource, {}, [nezha_span(row) for row in part])["resourceSpans"]
        yield merged


def nezha_span(row):
    return {
        "traceId": row["TraceID"],
        "spanId": row["SpanID"],
        "parentSpanId": "" if row["ParentID"] == "root" else row["ParentID"],
        "name": row["OperationName"],
        "kind": 2,
        "startTimeUnixNano": row["StartTimeUnixNano"],
        "endTimeUnixNano": row["EndTimeUnixNano"],
        "attributes": attributes({"metadata.corpus": "nezha", "duration_us": int(row["Duration"])}),
    }


def otlp_example(root):
    for path in files(root, "span-formats/otlp-trace.json"):
        yield json.loads(text_of(path))


ALL = {
    "framework-traces": framework_traces,
    "any-agent": any_agent,
    "halo": halo,
    "nezha": nezha,
    "otlp-example": otlp_example,
}
