"""What other products cut, dropped or refused, as their users reported it: here it is read back as it was sent. Each case
names its report."""

import json

import pytest

from server import trace_of

BASE = 1_795_000_000_000_000_000


def text(key, value):
    return {"key": key, "value": {"stringValue": value}}


def span(trace, number, attributes=(), **more):
    return {
        "traceId": trace,
        "spanId": f"{number + 1:016x}",
        "name": f"s{number}",
        "startTimeUnixNano": str(BASE + number),
        "endTimeUnixNano": str(BASE + number + 1),
        "attributes": list(attributes),
    } | more


def send(client, spans):
    body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    answer = client.post("/v1/traces", json=body)
    assert (answer.status_code, answer.json()) == (200, {"partialSuccess": {}}), answer.text


def read(client, trace, number=0):
    steps = {step["step_id"]: step for step in trace_of(client, trace)["trace"]["steps"]}
    return steps[f"{number + 1:016x}"]


LONG = [
    # langfuse/langfuse#4940, #1676: events over 1 MB dropped or cut; DataDog/datadog-agent#36411: spans over 1 MB.
    ("langfuse-4940", "gen_ai.input.messages", 3 << 20),
    # langfuse/langfuse#10524: a trace above 4 MB cannot be opened; pydantic/logfire PR#1027: spans above 5 MB dropped.
    ("langfuse-10524", "output.value", 6 << 20),
    # comet-ml/opik#4595: JSON cut at about 9,935 characters.
    ("opik-4595", "thread.messages", 9_936),
    # bbvch-ai/aihub-core PR#1795: 500 spans gone because one message exceeds 16 MiB.
    ("aihub-1795", "input.value", 17 << 20),
    # langfuse/langfuse#9933, comet-ml/opik#605: images in base64.
    ("opik-605", "llm.input_messages.0.message.content", 2 << 20),
    # langfuse/langfuse#7740: large metadata.
    ("langfuse-7740", "metadata.report", 2 << 20),
    # comet-ml/opik#3999: long inputs unusable.
    ("opik-3999", "gen_ai.prompt.0.content", 1 << 20),
]


@pytest.mark.parametrize(("report", "key", "length"), LONG)
def test_a_long_value_is_whole(shared, report, key, length):
    trace = f"{LONG.index((report, key, length)) + 0xA0:032x}"
    value = "".join(chr(0x61 + i % 26) for i in range(999)) * (length // 999 + 1)
    with shared.client() as client:
        send(client, [span(trace, 0, [text(key, value)]), *[span(trace, n) for n in range(1, 500)]])
        assert read(client, trace)["metadata"][key] == value
        assert trace_of(client, trace)["meta"]["step_count"] == 500


def test_a_long_stack_trace_is_whole(shared):
    """grafana/grafana#103685: stack traces cut at 2,048."""
    stack = "\n".join(f'  File "app.py", line {n}, in call_{n}' for n in range(4_000))
    event = {"name": "exception", "timeUnixNano": str(BASE), "attributes": [text("exception.stacktrace", stack)]}
    trace = f"{0xB0:032x}"
    with shared.client() as client:
        send(client, [span(trace, 0, events=[event], status={"code": 2})])
        [found] = read(client, trace)["events"]
        assert found["metadata"]["exception.stacktrace"] == stack


def test_attributes_beyond_128_are_there(shared):
    """envoyproxy/ai-gateway PR#2064: 128 attributes kept, and with them no session."""
    many = [text(f"llm.input_messages.{n}.message.content", f"m{n}") for n in range(700)]
    trace = f"{0xB1:032x}"
    with shared.client() as client:
        send(client, [span(trace, 0, [*many, text("session.id", "the session")])])
        step = read(client, trace)
        assert len(step["metadata"]) == 701
        assert step["group"] == "the session"


def test_one_large_event_costs_no_other_span(shared):
    """triggerdotdev/trigger.dev PR#3620: one oversized span event dropped the batch."""
    event = {"name": "blob", "timeUnixNano": str(BASE), "attributes": [text("data", "x" * (8 << 20))]}
    trace = f"{0xB2:032x}"
    with shared.client() as client:
        send(client, [span(trace, 0, events=[event]), *[span(trace, n) for n in range(1, 100)]])
        assert trace_of(client, trace)["meta"]["step_count"] == 100
        assert len(read(client, trace)["events"][0]["metadata"]["data"]) == 8 << 20


def test_a_trace_of_many_spans_is_whole(shared):
    """langchain-ai/docs PR#3300: 25,000 runs of a trace; grafana/tempo#3862, #1489 and others: trace too large."""
    trace, count = f"{0xB3:032x}", 26_000
    with shared.client() as client:
        for start in range(0, count, 2_000):
            send(client, [span(trace, n) for n in range(start, start + 2_000)])
        served = trace_of(client, trace)
    assert served["meta"]["step_count"] == count
    assert len({step["step_id"] for step in served["trace"]["steps"]}) == count


def test_a_run_over_20_mb_is_whole(shared):
    """langchain-ai/langsmith-sdk#1506: a run that is too large is answered 413, and that is "expected"."""
    trace, said = "5b0c1f6e-0000-4000-8000-000000001506", "what the model was given " * 900_000
    run = {
        "id": trace, "trace_id": trace, "dotted_order": f"20260501T100000000000Z{trace}", "name": "large", "run_type": "llm",
        "start_time": "2026-05-01T10:00:00Z", "end_time": "2026-05-01T10:00:01Z",
        "inputs": {"prompt": said}, "outputs": {"answer": "ok"},
    }
    with shared.client() as client:
        answer = client.post("/runs/batch", json={"post": [run], "patch": []})
        assert answer.status_code == 202, answer.text
        [step] = trace_of(client, trace)["trace"]["steps"]
    assert len(said) > 20 << 20
    assert step["input"] == {"prompt": said}


def test_what_is_too_large_says_which_and_how_large(shared):
    """open-telemetry/opentelemetry-rust#837: too large, but which span? i-am-bee/beeai-framework#1030: no limit told."""
    too_many = [text(f"a{n}", "x") for n in range(1_025)]
    trace = f"{0xB4:032x}"
    with shared.client() as client:
        body = {"resourceSpans": [{"scopeSpans": [{"spans": [span(trace, 0), span(trace, 1, too_many)]}]}]}
        partial = client.post("/v1/traces", json=body).json()["partialSuccess"]
        assert partial["rejectedSpans"] == "1"
        assert "span 1: attributes" in partial["errorMessage"]
        assert "1024" in partial["errorMessage"]
        assert trace_of(client, trace)["meta"]["step_count"] == 1
        whole = client.post("/v1/traces", content=b" " * ((64 << 20) + 1), headers={"content-type": "application/json"})
        assert whole.status_code == 413
        assert "max_bytes=" in whole.json()["error"]["message"]


def usage(kind, tokens, cost):
    numbers = {"gen_ai.usage.input_tokens": tokens[0], "gen_ai.usage.output_tokens": tokens[1]}
    attributes = [{"key": key, "value": {"intValue": str(n)}} for key, n in numbers.items()]
    return [*attributes, text("openinference.span.kind", kind), {"key": "gen_ai.usage.cost", "value": {"doubleValue": cost}}]


def test_a_roll_up_is_not_added_to_what_it_adds_up(shared):
    """Opik and LangWatch add up every span, so an agent that says the sum of its calls is counted twice."""
    trace = f"{0xB5:032x}"
    calls = [span(trace, n, usage("LLM", (100, 10), 0.25), parentSpanId=f"{2:016x}") for n in (2, 3)]
    chain = span(trace, 1, usage("CHAIN", (200, 20), 0.5), parentSpanId=f"{1:016x}")
    with shared.client() as client:
        send(client, [*calls, chain, span(trace, 0, usage("AGENT", (200, 20), 0.5))])
        meta = trace_of(client, trace)["meta"]
    assert (meta["total_tokens"], meta["cost_usd"]) == (220, 0.5)


def test_what_only_the_root_says_is_the_runs(shared):
    """Phoenix, MLflow and Laminar read the root: so what it says stands where no step says it."""
    trace = f"{0xB6:032x}"
    root = span(trace, 0, usage("AGENT", (200, 20), 0.5))
    with shared.client() as client:
        send(client, [root, span(trace, 1, parentSpanId=f"{1:016x}")])
        meta = trace_of(client, trace)["meta"]
        assert (meta["total_tokens"], meta["cost_usd"]) == (220, 0.5)
        bare = f"{0xB7:032x}"
        send(client, [span(bare, 0, [text("gen_ai.request.model", "a model without a price")])])
        served = trace_of(client, bare)
    # Unknown, not 0.
    assert "cost_usd" not in served["meta"]
    assert "total_tokens" not in served["meta"]
    assert json.dumps(served).count("cost") == 0
