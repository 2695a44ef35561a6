"""The OpenTelemetry Python SDK with its OTLP/HTTP exporter, unmodified, against the binary."""

import collections
import json

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from server import KEY, pages, trace_of
from spans import read, said


class Program:
    """A program with the SDK; `spans` is what it made, by the SDK's own in-memory exporter."""

    def __init__(self, url, compression=Compression.NoCompression, header="x-api-key"):
        secret = KEY if header == "x-api-key" else f"Bearer {KEY}"
        self.exporter = OTLPSpanExporter(endpoint=url + "/v1/traces", headers={header: secret}, compression=compression)
        self.memory = InMemorySpanExporter()
        resource = Resource.create({"service.name": "shop", "service.version": "1.2", "hosts": ["a", "b"]})
        self.provider = TracerProvider(resource=resource)
        self.provider.add_span_processor(SimpleSpanProcessor(self.memory))
        self.provider.add_span_processor(BatchSpanProcessor(self.exporter, max_queue_size=65536))
        self.tracer = self.provider.get_tracer("tests.program", "9.9")

    def finish(self):
        assert self.provider.force_flush(30_000)
        self.provider.shutdown()
        return self.memory.get_finished_spans()


def rich_program(program):
    tracer = program.tracer
    with tracer.start_as_current_span("request", kind=SpanKind.SERVER) as root:
        root.set_attribute("metadata.customer", "acme")
        root.set_attributes({"text": "ünï 漢字 🙂", "empty": "", "whole": -(2**63), "big": 2**63 - 1})
        root.set_attributes({"part": 0.1, "tiny": 5e-324, "yes": True, "no": False})
        root.set_attributes({"texts": ["a", "b"], "wholes": [1, 2], "parts": [0.5, 1.5], "bools": [True, False]})
        root.set_attribute("dotted.path.deep", "x")
        with tracer.start_as_current_span("chat gpt-4o", kind=SpanKind.CLIENT) as chat:
            chat.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"})
            chat.set_attributes({"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20})
            chat.add_event("token", {"n": 1, "text": "hel"})
            chat.add_event("token", {"n": 2, "text": "lo"})
            chat.set_status(Status(StatusCode.OK))
        link = Link(chat.get_span_context(), {"why": "retry of"})
        with pytest.raises(RuntimeError):
            with tracer.start_as_current_span("execute_tool", links=[link]) as tool:
                tool.set_attributes({"gen_ai.tool.name": "search"})
                raise RuntimeError("the tool broke")
        with tracer.start_as_current_span("produce", kind=SpanKind.PRODUCER):
            with tracer.start_as_current_span("consume", kind=SpanKind.CONSUMER):
                pass
    return f"{root.get_span_context().trace_id:032x}"


def compare(client, spans):
    """Every trace that the program made is served with the same spans."""
    made = collections.defaultdict(list)
    for span in spans:
        made[f"{span.context.trace_id:032x}"].append(said(span))
    assert made
    for trace_id, expected in made.items():
        served = trace_of(client, trace_id)
        assert served is not None, trace_id
        found = [read(step) for step in served["trace"]["steps"]]
        order = lambda span: span["id"]
        assert sorted(found, key=order) == sorted(expected, key=order)


@pytest.mark.reads_back(
    "OTLP",
    "ids",
    "name",
    "status",
    "error",
    "times",
    "tree",
    "kind",
    "metadata",
    "service",
    "events",
    "links",
)
@pytest.mark.parametrize("compression", list(Compression), ids=lambda c: c.value)
def test_spans_are_read_back_equal(shared, compression):
    program = Program(shared.url, compression)
    trace_id = rich_program(program)
    spans = program.finish()
    assert len(spans) == 5
    with shared.client() as client:
        compare(client, spans)
        meta = trace_of(client, trace_id)["meta"]
        assert (meta["name"], meta["status"], meta["step_count"]) == ("request", "success", 5)
        assert meta["metadata"]["customer"] == "acme"


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
def test_both_headers(shared, header):
    program = Program(shared.url, header=header)
    rich_program(program)
    with shared.client() as client:
        compare(client, program.finish())


def test_settings_from_the_environment(shared, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", shared.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-api-key={KEY}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    program = Program(shared.url)
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    program.tracer = provider.get_tracer("environment")
    rich_program(program)
    assert provider.force_flush()
    with shared.client() as client:
        compare(client, spans.get_finished_spans())


def test_ten_thousand_spans_through_the_batch_processor(obsrv):
    program = Program(obsrv.url, Compression.Gzip)
    for i in range(500):
        with program.tracer.start_as_current_span(f"run {i}") as root:
            root.set_attribute("metadata.batch", f"b{i % 10}")
            for k in range(19):
                with program.tracer.start_as_current_span(f"step {k}") as span:
                    span.set_attribute("k", k)
    spans = program.finish()
    assert len(spans) == 10_000
    with obsrv.client() as client:
        summaries = pages(client, limit=200)
        assert sorted(s["name"] for s in summaries) == sorted(f"run {i}" for i in range(500))
        assert {s["step_count"] for s in summaries} == {20}
        compare(client, spans[:400])
        third = pages(client, meta_key="batch", meta_value="b3")
        assert sorted(s["name"] for s in third) == sorted(f"run {i}" for i in range(500) if i % 10 == 3)
        obsrv.restart()
        assert pages(client, limit=200) == summaries
        compare(client, spans[-400:])


def test_a_late_root_and_spans_sent_twice(obsrv):
    """Children come first; the exporter may send a batch again."""
    program = Program(obsrv.url)
    trace_id = rich_program(program)
    spans = program.finish()
    again = OTLPSpanExporter(endpoint=obsrv.url + "/v1/traces", headers={"x-api-key": KEY})
    children = [s for s in spans if s.parent]
    for batch in [children, spans, spans[:2], children]:
        assert again.export(batch) is SpanExportResult.SUCCESS
    with obsrv.client() as client:
        compare(client, spans)
        assert trace_of(client, trace_id)["meta"]["step_count"] == 5
        assert len(pages(client)) == 1


def test_the_exporter_says_so_when_the_key_is_wrong(shared):
    program = Program(shared.url)
    rich_program(program)
    wrong = OTLPSpanExporter(endpoint=shared.url + "/v1/traces", headers={"x-api-key": "tk_wrong_0123456789"})
    assert wrong.export(program.memory.get_finished_spans()) is SpanExportResult.FAILURE


@pytest.mark.reads_back("OTLP", "model", "messages", "tool calls", "tokens", "cost", "user", "thread", "tags")
def test_what_spans_of_generative_models_say(shared):
    """OpenTelemetry's names for models, and OpenInference's for what those lack."""
    program = Program(shared.url)
    asked = [{"role": "user", "parts": [{"type": "text", "content": "hi 漢字"}]}]
    answered = [{"role": "assistant", "parts": [{"type": "text", "content": "ho"}]}]
    with program.tracer.start_as_current_span("invoke_agent shop") as root:
        root.set_attributes({"gen_ai.operation.name": "invoke_agent", "user.id": "u-1", "session.id": "th-1"})
        root.set_attributes({"tag.tags": ["alpha", "beta"]})
        with program.tracer.start_as_current_span("chat m-1") as chat:
            chat.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m-1"})
            chat.set_attributes({"gen_ai.input.messages": json.dumps(asked), "gen_ai.output.messages": json.dumps(answered)})
            chat.set_attributes({"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 30})
            chat.set_attributes({"gen_ai.usage.cache_read.input_tokens": 60, "gen_ai.usage.reasoning.output_tokens": 25})
            chat.set_attributes({"gen_ai.usage.cost": 0.5})
        with program.tracer.start_as_current_span("execute_tool search") as tool:
            tool.set_attributes({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"})
            tool.set_attributes({"gen_ai.tool.call.id": "call_1", "gen_ai.tool.call.arguments": json.dumps({"q": "x"})})
            tool.set_attributes({"gen_ai.tool.call.result": json.dumps({"hits": [1, 2]})})
    trace_id = f"{root.get_span_context().trace_id:032x}"
    program.finish()
    with shared.client() as client:
        served = trace_of(client, trace_id)
    meta = served["meta"]
    assert (meta["user_id"], meta["group"], meta["tags"], meta["cost_usd"]) == ("u-1", "th-1", ["alpha", "beta"], 0.5)
    steps = {step["name"]: step for step in served["trace"]["steps"]}
    chat = steps["chat m-1"]
    assert (chat["type"], chat["model"]) == ("llm", "m-1")
    assert chat["token_usage"] == {"input": 40, "output": 5, "cache_read": 60, "reasoning": 25, "total": 130}
    assert [(m["role"], m["content"][0]["text"]) for m in chat["messages"]] == [("user", "hi 漢字"), ("assistant", "ho")]
    [call] = steps["execute_tool search"]["tool_calls"]
    assert (call["name"], call["arguments"], call["result"]) == ("search", {"q": "x"}, {"hits": [1, 2]})
