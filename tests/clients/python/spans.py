"""OTLP spans in comparable form: as the SDK holds them and as obsrv serves them."""

KINDS = {"INTERNAL": "internal", "SERVER": "server", "CLIENT": "client", "PRODUCER": "producer", "CONSUMER": "consumer"}
STATUSES = {"UNSET": "success", "OK": "success", "ERROR": "error"}


def plain(value):
    """Tuples are lists on the wire."""
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "items"):
        return {k: plain(v) for k, v in value.items()}
    return value


def said(span):
    """A finished span of the Python SDK."""
    return {
        "id": f"{span.context.span_id:016x}",
        "parent": f"{span.parent.span_id:016x}" if span.parent else None,
        "name": span.name,
        "kind": KINDS[span.kind.name],
        "status": STATUSES[span.status.status_code.name],
        "error": span.status.description if span.status.status_code.name == "ERROR" else None,
        "start": micros(span.start_time),
        "end": micros(span.end_time),
        "attributes": plain(span.attributes),
        "resource": plain(span.resource.attributes),
        "scope": span.instrumentation_scope.name,
        "events": [(e.name, plain(e.attributes)) for e in span.events],
        "links": [(f"{k.context.trace_id:032x}", f"{k.context.span_id:016x}", plain(k.attributes)) for k in span.links],
    }


def micros(nanoseconds):
    return nanoseconds // 1000


def read(step):
    """A step as served."""
    return {
        "id": step["step_id"],
        "parent": step.get("parent_step_id"),
        "name": step.get("name"),
        "kind": step.get("otel_kind"),
        "status": step["status"],
        "error": step.get("error_message"),
        "start": of_text(step["started_at"]),
        "end": of_text(step["ended_at"]),
        "attributes": step["metadata"],
        "resource": step.get("resource"),
        "scope": (step.get("scope") or {}).get("name"),
        "events": [(e["name"], e["metadata"]) for e in step["events"]],
        "links": [(k["trace_id"], k["span_id"], k["attributes"]) for k in step.get("links", [])],
    }


def of_text(text):
    """Microseconds of an RFC 3339 time."""
    import datetime

    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    delta = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return (delta.days * 86400 + delta.seconds) * 10**6 + delta.microseconds
