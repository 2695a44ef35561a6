"""What each published client's tests have read back equal, field by field of the model.

A test says `@pytest.mark.reads_back(DIALECT, FIELD…)`: it compares these fields of what it sent with what is served, and
takes what it expects from the client's program. `test_zz_conformance.py` holds the table in `server/docs` against the tests
that passed; an empty cell must be in `WHY`."""

from server import ROOT

TABLE = ROOT / "server" / "docs" / "conformance.md"

FIELDS = {
    "ids": "trace and step ids",
    "name": "name of the trace or of a step",
    "status": "status: success, error, running",
    "error": "what went wrong",
    "times": "start and end",
    "tree": "parents of steps",
    "kind": "kind of step",
    "model": "model",
    "input and output": "what went in and came out, as sent",
    "messages": "messages with roles and texts",
    "tool calls": "tool, arguments, result or error",
    "tokens": "tokens in buckets that exclude one another",
    "cost": "stated cost",
    "user": "user",
    "thread": "thread or session",
    "tags": "tags",
    "metadata": "metadata or attributes, every type",
    "service": "service and resource",
    "events": "events of a step",
    "links": "links to other spans",
    "scores": "scores, feedback, annotations",
    "log lines": "log lines",
    "points": "metric points",
    "attachments": "files, byte for byte",
}

NONE = "its protocol has none"
IN_MESSAGES = "said in messages"
OWN_STEPS = "an event is a step of its own"
IN_INPUT = "inside of messages, as sent"

# Why a cell is empty. What is not here and not compared fails the suite.
WHY = {
    "theta": {
        "input and output": IN_MESSAGES,
        "service": NONE,
        "events": "the package has no call that makes one",
        "links": NONE,
        "log lines": NONE,
        "points": "a metric's word on a trace is a score",
    },
    "OTLP": {"input and output": IN_MESSAGES, "scores": NONE, "attachments": NONE},
    "Langfuse 2": {
        "service": NONE,
        "tool calls": IN_INPUT,
        "events": OWN_STEPS,
        "links": NONE,
        "log lines": NONE,
        "points": NONE,
        "attachments": "the routes are those that version 5 is tested with",
    },
    "Langfuse 5": {
        "tool calls": IN_INPUT,
        "events": OWN_STEPS,
        "links": NONE,
        "log lines": NONE,
        "points": NONE,
    },
    "LangSmith": {"service": NONE, "links": NONE, "log lines": NONE, "points": NONE},
    "aiobs": {
        "cost": NONE,
        "user": NONE,
        "tags": NONE,
        "tool calls": "a function is a step with its arguments and result",
        "service": NONE,
        "events": NONE,
        "links": NONE,
        "scores": NONE,
        "log lines": NONE,
        "points": NONE,
        "attachments": NONE,
    },
    "Obtrace": {
        "times": "the package makes them and tells nobody; OTLP's are compared in the column OTLP",
        "input and output": NONE,
        "messages": NONE,
        "tool calls": NONE,
        "tokens": NONE,
        "cost": NONE,
        "user": NONE,
        "tags": NONE,
        "links": NONE,
        "scores": NONE,
        "attachments": NONE,
    },
    "The Context Company": {
        "name": "a run has an id instead",
        "times": "the package makes them and tells nobody",
        "tree": "steps of a run have no parents",
        "user": NONE,
        "tags": NONE,
        "service": NONE,
        "events": NONE,
        "links": NONE,
        "log lines": NONE,
        "points": NONE,
        "attachments": NONE,
    },
}


def cell(dialect, field, found):
    """A sign, and the reason behind it."""
    if (dialect, field) in found:
        return "=", None
    return None, WHY[dialect].get(field)


def problems(found):
    """What neither a test compares nor anybody explains; and what is explained though a test compares it."""
    for dialect in WHY:
        for field in FIELDS:
            why = WHY[dialect].get(field)
            if ((dialect, field) in found) == (why is not None):
                yield f"{dialect}, {field}: {'explained though it is read back equal' if why else 'neither compared nor explained'}"
    for dialect, field in found:
        if dialect not in WHY or field not in FIELDS:
            yield f"{dialect}, {field}: no such dialect or field"


def table(found):
    """The document."""
    reasons = []
    rows = []
    for field, meaning in FIELDS.items():
        cells = []
        for dialect in WHY:
            sign, why = cell(dialect, field, found)
            if sign is None:
                if why not in reasons:
                    reasons.append(why)
                sign = str(reasons.index(why) + 1)
            cells.append(sign)
        rows.append(f"| {meaning} | {' | '.join(cells)} |")
    lines = [
        "# What is read back of what clients send",
        "",
        "Made by `tests/clients/python`: the published packages, unmodified, against the binary. `=` is compared with what the client's program",
        "said and equal. A number says why there is nothing to compare; nothing is lost.",
        "",
        f"| field of the model | {' | '.join(WHY)} |",
        f"|---|{'---|' * len(WHY)}",
        *rows,
        "",
        *(f"{place}. {why}" for place, why in enumerate(reasons, 1)),
        "",
    ]
    return "\n".join(lines)
