"""A program with version 2 of the langfuse package: the last whose traces go through the batch ingestion.

Version 5 is installed beside it, so this runs as a process of its own. What it said goes to standard output."""

import datetime
import json
import os

from langfuse import Langfuse
from langfuse.version import __version__

UTC = datetime.timezone.utc


def at(second):
    return datetime.datetime(2026, 5, 1, 10, 0, 0, tzinfo=UTC) + datetime.timedelta(seconds=second)


def main():
    assert __version__.startswith("2."), __version__
    client = Langfuse(
        public_key="pk-lf-any",
        secret_key=os.environ["OBSRV_KEY"],
        host=os.environ["OBSRV_URL"],
        release="r7",
        environment="staging",
    )
    assert client.auth_check()
    trace = client.trace(
        id="trace-1",
        name="checkout",
        user_id="u-1",
        session_id="thread-9",
        timestamp=at(0),
        tags=["alpha", "beta"],
        metadata={"customer": "acme", "tier": 3, "deep": {"list": [1, None, "x"]}},
        input={"question": "漢字 🙂"},
        version="v3",
        public=True,
    )
    span = trace.span(id="span-1", name="plan", start_time=at(1), input={"a": 1}, metadata={"first": 1, "both": "old"})
    call = span.generation(
        id="call-1",
        name="chat",
        model="claude-x",
        start_time=at(2),
        completion_start_time=at(2.25),
        model_parameters={"temperature": 0.5, "stop": ["a", "b"]},
        input=[{"role": "system", "content": "terse"}, {"role": "user", "content": "hi"}],
    )
    call.end(
        output={"role": "assistant", "content": "ho"},
        end_time=at(3.5),
        usage_details={"input": 5, "output": 7, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 50},
        cost_details={"input": 0.25, "output": 0.5},
    )
    inclusive = span.generation(id="call-2", name="chat", model="gpt-x", start_time=at(3.5), end_time=at(4))
    inclusive.update(
        usage_details={
            "prompt_tokens": 100,
            "completion_tokens": 30,
            "total_tokens": 130,
            "prompt_tokens_details": {"cached_tokens": 80},
            "completion_tokens_details": {"reasoning_tokens": 10},
        }
    )
    span.event(id="event-1", name="clicked", start_time=at(4.5), metadata={"button": "buy"})
    failed = span.span(id="span-2", name="fetch", start_time=at(5))
    failed.update(level="ERROR", status_message="no route")
    failed.end(end_time=at(5.5))
    span.update(metadata={"both": "new", "second": [2]})
    span.end(output=["done"], end_time=at(6))
    trace.span(id="span-open", name="still running", start_time=at(7), level="WARNING")
    trace.update(output="bye", metadata={"late": True}, tags=["gamma"])
    call.score(id="score-1", name="quality", value=0.75, comment="clear")
    trace.score(id="score-2", name="tone", value="kind", data_type="CATEGORICAL")
    client.score(id="score-3", trace_id="trace-1", name="kept", value=1, data_type="BOOLEAN")
    client.flush()
    print(json.dumps({"trace": trace.id}))


main()
