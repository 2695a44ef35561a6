"""What the theta client said, and what it reads back, in comparable form."""

import json


def said(trace):
    """The trace as the client program holds it."""
    return normal(json.loads(trace.model.model_dump_json(exclude_none=True)))


def read(detail):
    """The trace as the client's own read model holds it."""
    return normal(json.loads(detail.trace.model_dump_json(exclude_none=True)))


def normal(trace):
    """Steps are a set that `index` orders; the client sends them as they end. A project that was not named is the
    key's. Annotations carry no time of their own when they are made."""
    trace = dict(trace)
    trace.pop("project_id", None)
    trace["annotations"] = notes(trace)
    trace["steps"] = sorted((dict(step) for step in trace["steps"]), key=lambda step: step["index"])
    for step in trace["steps"]:
        step["annotations"] = notes(step)
    return trace


def notes(of):
    kept = [{k: v for k, v in note.items() if k in ("label", "score", "comment", "user")} for note in of["annotations"]]
    return sorted(kept, key=lambda note: json.dumps(note, sort_keys=True))
