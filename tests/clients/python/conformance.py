"""What each published client's tests have read back equal, field by field of the model.

A test says `@pytest.mark.reads_back(DIALECT, FIELD…)`: it compares these fields of what it sent with what is served, and
takes what it expects from the client's program. `test_zz_conformance.py` holds the table in `server/docs` against the tests
that passed; an empty cell must be in `WHY`."""

import json

from server import ROOT

# What the suites of other languages and the campaign declare; each of them holds its own part against its tests.
ELSEWHERE = ROOT / "tests" / "clients" / "conformance.json"
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
    "provider": "whose API was called",
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
AN_ATTRIBUTE = "compared in the tables below"
IN_MESSAGES = "said in messages"
OWN_STEPS = "an event is a step of its own"
IN_INPUT = "inside of messages, as sent"

# Why a cell is empty. What is not here and not compared fails the suite.
WHY = {
    "theta": {
        "provider": NONE,
        "input and output": IN_MESSAGES,
        "service": NONE,
        "events": "the package has no call that makes one",
        "links": NONE,
        "log lines": NONE,
        "points": "a metric's word on a trace is a score",
    },
    "OTLP": {"provider": AN_ATTRIBUTE, "input and output": IN_MESSAGES, "scores": NONE, "attachments": NONE},
    "Langfuse 2": {
        "provider": NONE,
        "service": NONE,
        "tool calls": IN_INPUT,
        "events": OWN_STEPS,
        "links": NONE,
        "log lines": NONE,
        "points": NONE,
        "attachments": "the routes are those that version 5 is tested with",
    },
    "Langfuse 5": {
        "provider": NONE,
        "tool calls": IN_INPUT,
        "events": OWN_STEPS,
        "links": NONE,
        "log lines": NONE,
        "points": NONE,
    },
    "LangSmith": {"provider": NONE, "service": NONE, "links": NONE, "log lines": NONE, "points": NONE},
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
        "provider": NONE,
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
        "provider": NONE,
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


UNSAID = "the file says nothing of the kind"
OTHER = "an attribute as others"


def of_file(equal, **why):
    """Reasons of a file of another tool, which is silent on most."""
    return {field: why.get(field, UNSAID) for field in FIELDS if field not in equal}


MADE_OF_IT = "the file has none; they are hashes of it"
NO_TIMES = "the file has none; they are made up, and the metadata says so"

# By `obsrv import`.
FILES = {
    "Jaeger file": of_file(
        {"ids", "name", "times", "tree", "service", "events", "links", "metadata"}, status=OTHER, error=OTHER, kind=OTHER
    ),
    "Zipkin file": of_file(
        {"ids", "name", "times", "tree", "service", "events", "metadata"}, status=OTHER, error=OTHER, kind="as `otel_kind`"
    ),
    "Claude Code file": of_file(
        {"ids", "times", "kind", "model", "messages", "tool calls", "tokens", "thread"},
        name="the file names no step",
        tree="a use of a tool is below its answer, which the file does not say",
        status="nothing in the file failed",
        error="nothing in the file failed",
        metadata="compared by the unit tests of the importer",
    ),
    "SWE-agent file": of_file(
        {"name", "status", "kind", "tree", "messages", "tool calls", "cost", "metadata"},
        ids=MADE_OF_IT,
        times=NO_TIMES,
        tokens="of the whole run alone, and 0 in the file",
        error="nothing in the file failed",
    ),
    "tau-bench file": of_file(
        {"status", "kind", "messages", "tool calls", "user", "thread", "scores", "metadata"},
        ids=MADE_OF_IT,
        name="the file names a task by its number, which is the thread",
        times=NO_TIMES,
        cost="what the simulated user cost is in the metadata",
        error="nothing in the file failed",
    ),
    "Inspect file": of_file(
        {"ids", "name", "times", "status", "kind", "model", "tree", "messages", "tokens", "scores", "metadata"},
        **{"tool calls": "compared by the unit tests of the importer: the file has none"},
        error="compared by the unit tests of the importer: nothing in the file failed",
        events="are steps of their own",
    ),
}


def problems(found):
    """What neither a test compares nor anybody explains; and what is explained though a test compares it."""
    ours = WHY | FILES
    for dialect in ours:
        for field in FIELDS:
            why = ours[dialect].get(field)
            if ((dialect, field) in found) == (why is not None):
                yield f"{dialect}, {field}: {'explained though it is read back equal' if why else 'neither compared nor explained'}"
    for dialect, field in found:
        if dialect not in ours or field not in FIELDS:
            yield f"{dialect}, {field}: no such dialect or field"


def table(found):
    """The document."""
    lines = [
        "# What is read back of what clients send",
        "",
        "Made by `tests/clients`: the published packages, unmodified, against the binary. `=` is compared with what the client's program",
        "or the script of its model said, and equal. A number says why there is nothing to compare; nothing is lost.",
        "",
    ]
    for title, whose, by in tables(found):
        lines += [f"## {title}", "", *part(whose, by), ""]
    return "\n".join(lines)


def tables(found):
    """Title, dialects with their reasons, and what was read back."""
    yield "Protocols, by the clients of Python, in every run of `bin/test`", WHY, found
    yield "Files of other tools, by `obsrv import`, in every run of `bin/test`", FILES, found
    for suite, title in [
        ("node", "Clients of Node, in every run of `bin/test`"),
        ("campaign", "Heavier clients, by `tests/clients/campaign/run`"),
    ]:
        declared = json.loads(ELSEWHERE.read_text())[suite]
        equal = {(dialect, field) for dialect, cells in declared.items() for field in cells["equal"]}
        yield title, {dialect: cells["why"] for dialect, cells in declared.items()}, equal


def part(dialects, found):
    """One table and its reasons."""
    reasons = []
    rows = []
    for field, meaning in FIELDS.items():
        cells = []
        for dialect, why in dialects.items():
            if (dialect, field) in found:
                cells.append("=")
                continue
            reason = why[field]
            if reason not in reasons:
                reasons.append(reason)
            cells.append(str(reasons.index(reason) + 1))
        rows.append(f"| {meaning} | {' | '.join(cells)} |")
    head = [f"| field of the model | {' | '.join(dialects)} |", f"|---|{'---|' * len(dialects)}"]
    return [*head, *rows, "", *(f"{place}. {why}" for place, why in enumerate(reasons, 1))]


def declared_problems(suite, found):
    """Where what the tests of a suite have read back is not what is declared of it."""
    declared = json.loads(ELSEWHERE.read_text())[suite]
    for dialect, cells in declared.items():
        equal = {field for of, field in found if of == dialect}
        if equal != set(cells["equal"]):
            yield f"{dialect}: read back {sorted(equal)}, declared {sorted(cells['equal'])}"
        for field in FIELDS:
            if (field in cells["equal"]) == (field in cells["why"]):
                yield f"{dialect}, {field}: neither compared nor explained, or both"
    for dialect, field in found:
        if dialect not in declared or field not in FIELDS:
            yield f"{dialect}, {field}: no such dialect or field"
