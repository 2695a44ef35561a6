"""Logs, metrics and gRPC: the OpenTelemetry Python SDK with its exporters, unmodified, against the binary. What is
expected comes from the SDK's own in-memory exporters."""

import gzip
import logging
import math

import grpc
import httpx
import pytest
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import (
    AlwaysOnExemplarFilter,
    Counter,
    Histogram,
    MeterProvider,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from server import KEY, trace_of
from spans import plain, read, said

RESOURCE = {"service.name": "shop", "service.version": "1.2", "hosts": ["a", "b"]}


def rows(client, table, **params):
    """Every row of a list, page by page."""
    found, cursor = [], None
    while True:
        query = {"limit": 7, "sort": "start", **params} | ({"cursor": cursor} if cursor else {})
        answer = client.get(f"/v1/projects/1/{table}", params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["data"]
        cursor = page["next_cursor"]
        if not cursor:
            return found


def nanos(text):
    """Nanoseconds of a time as answers have it."""
    import datetime

    whole, part = text.removesuffix("Z").split(".")
    moment = datetime.datetime.fromisoformat(whole + "+00:00")
    return int(moment.timestamp()) * 10**9 + int(part.ljust(9, "0"))


# Logs


def log_program(exporter, name):
    memory = InMemoryLogRecordExporter()
    provider = LoggerProvider(resource=Resource.create(RESOURCE | {"run": name}))
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    logger = logging.getLogger(f"tests.{name}")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    handler = LoggingHandler(logger_provider=provider)
    logger.addHandler(handler)
    tracer = TracerProvider().get_tracer("tests")
    logger.debug("ünï 漢字 🙂 %s", "x", extra={"metadata.customer": "acme", "whole": 2**62, "part": 0.1, "yes": True})
    with tracer.start_as_current_span("work"):
        logger.info("in a span")
        try:
            raise RuntimeError("the tool broke")
        except RuntimeError:
            logger.exception("failed", extra={"texts": ["a", "b"]})
    logger.critical("bye")
    logger.critical("bye")
    assert provider.force_flush(30_000)
    provider.shutdown()
    logger.removeHandler(handler)
    return memory.get_finished_logs()


def log_said(data):
    record = data.log_record
    return {
        "trace_id": f"{record.trace_id:032x}" if record.trace_id else None,
        "span_id": f"{record.span_id:016x}" if record.span_id else None,
        "start": record.timestamp or record.observed_timestamp,
        "observed": record.observed_timestamp,
        "severity": (record.severity_number.value, record.severity_text),
        "body": plain(record.body),
        "attributes": plain(record.attributes),
        "resource": plain(data.resource.attributes),
        "scope": data.instrumentation_scope.name,
    }


def log_read(row):
    return {
        "trace_id": row["trace_id"],
        "span_id": row.get("span_id"),
        "start": nanos(row["start"]),
        "observed": row.get("observed_time_unix_nano"),
        "severity": (row["severity_number"], row["severity_text"]),
        "body": row["body"],
        "attributes": row["attributes"],
        "resource": row["resource"],
        "scope": row["scope"].get("name"),
    }


def compare(found, expected):
    order = lambda row: repr(sorted(row.items(), key=lambda kv: kv[0]))
    assert sorted(found, key=order) == sorted(expected, key=order)


def http_logs(server, compression=Compression.NoCompression):
    return OTLPLogExporter(endpoint=server.url + "/v1/logs", headers={"x-api-key": KEY}, compression=compression)


@pytest.mark.reads_back("OTLP", "log lines")
@pytest.mark.parametrize("compression", list(Compression), ids=lambda c: c.value)
def test_logs_are_read_back_equal(shared, compression):
    made = log_program(http_logs(shared, compression), f"http-{compression.value}")
    with shared.client() as client:
        found = rows(client, "logs", q=f"resource.run:http-{compression.value}")
    compare([log_read(row) for row in found], [log_said(data) for data in made])
    assert {row["level"] for row in found} == {"debug", "info", "error", "fatal"}
    assert all(row["service"] == "shop" for row in found)


def test_logs_survive_a_kill_come_twice_and_go_with_their_trace(obsrv):
    made = log_program(http_logs(obsrv), "kill")
    body = encode_logs(made[1:]).SerializeToString()
    headers = {"content-type": "application/x-protobuf"}
    with obsrv.client() as client:
        before = rows(client, "logs")
        assert len(before) == 5
        # Another body with four of them: they are four more lines, however often and however packed it comes.
        for packed in (False, True, False):
            if packed:
                answer = client.post("/v1/logs", content=gzip.compress(body), headers=headers | {"content-encoding": "gzip"})
            else:
                answer = client.post("/v1/logs", content=body, headers=headers)
            assert (answer.status_code, answer.content) == (200, b"")
            obsrv.restart()
        found = rows(client, "logs")
        traced = [row for row in found if row["trace_id"]]
        assert (len(found), len(traced)) == (9, 4)
        assert client.delete(f"/v1/traces/{traced[0]['trace_id']}").status_code == 200
        left = rows(client, "logs")
        assert len(left) == 5 and not any(row["trace_id"] for row in left)


# Metrics


def metric_program(exporter, name, temporality):
    views = [View(instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation())]
    preferred = {Counter: temporality, Histogram: temporality}
    memory = InMemoryMetricReader(preferred_temporality=preferred)
    periodic = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider(
        resource=Resource.create(RESOURCE | {"run": name}),
        metric_readers=[periodic],
        views=views,
        exemplar_filter=AlwaysOnExemplarFilter(),
    )
    meter = provider.get_meter("tests.meter", "3")
    tracer = TracerProvider().get_tracer("tests")
    with tracer.start_as_current_span("work"):
        meter.create_counter("orders", unit="{order}", description="Orders.").add(3, {"plan": "pro", "ok": True})
        meter.create_counter("spent", unit="USD").add(0.25)
        meter.create_up_down_counter("queue").add(-2, {"texts": ["a", "b"]})
        meter.create_gauge("level").set(0.1)
        for value in (0.0, 0.3, 7.0, 7.0, 5000.0):
            meter.create_histogram("latency", unit="ms").record(value, {"route": "/"})
        exponential = meter.create_histogram("exponential")
        for value in (0.0, 1.0, 3.5, 1e9):
            exponential.record(value)
    assert provider.force_flush(30_000)
    provider.shutdown()
    return memory


class Recording:
    """Notes what the SDK hands to the exporter."""

    def __init__(self, exporter):
        self.seen = []
        export = exporter.export

        def noting(data, *args, **kwargs):
            self.seen.append(data)
            return export(data, *args, **kwargs)

        exporter.export = noting


def points_said(batches):
    """Every point that the SDK held, once."""
    found = set()
    for data in batches:
        for group in data.resource_metrics:
            for scoped in group.scope_metrics:
                for metric in scoped.metrics:
                    for point in metric.data.data_points:
                        found.add(repr(point_said(group, scoped, metric, point)))
    return found


TEMPORALITIES = {AggregationTemporality.DELTA: "delta", AggregationTemporality.CUMULATIVE: "cumulative"}


def point_said(group, scoped, metric, point):
    kind = type(metric.data).__name__
    said = {
        "name": metric.name,
        "unit": metric.unit or None,
        "description": metric.description or None,
        "type": {"Gauge": "gauge", "Sum": "sum", "Histogram": "histogram", "ExponentialHistogram": "exponential_histogram"}[kind],
        "temporality": TEMPORALITIES.get(getattr(metric.data, "aggregation_temporality", None)),
        "monotonic": getattr(metric.data, "is_monotonic", None),
        "time": point.time_unix_nano,
        "began": point.start_time_unix_nano or None,
        "attributes": sorted(plain(point.attributes).items()),
        "resource": sorted(plain(group.resource.attributes).items()),
        "scope": (scoped.scope.name, scoped.scope.version),
        "exemplars": sorted(
            (e.value, e.time_unix_nano, f"{e.trace_id:032x}", f"{e.span_id:016x}") for e in point.exemplars
        ),
    }
    if kind in ("Gauge", "Sum"):
        return said | {"value": point.value}
    said |= {"count": point.count, "sum": point.sum, "min": point.min, "max": point.max}
    if kind == "Histogram":
        return said | {"counts": list(point.bucket_counts), "bounds": list(point.explicit_bounds)}
    return said | {
        "scale": point.scale,
        "zero": point.zero_count,
        "positive": (point.positive.offset, list(point.positive.bucket_counts)),
        "negative": (point.negative.offset, list(point.negative.bucket_counts)),
    }


def point_read(row):
    read = {
        "name": row["name"],
        "unit": row.get("unit"),
        "description": row.get("description"),
        "type": row["type"],
        "temporality": row.get("temporality"),
        "monotonic": row.get("monotonic"),
        "time": nanos(row["start"]),
        "began": row.get("start_time_unix_nano"),
        "attributes": sorted(row["attributes"].items()),
        "resource": sorted(row["resource"].items()),
        "scope": (row["scope"]["name"], row["scope"]["version"]),
        "exemplars": sorted(
            (e["value"], e["time_unix_nano"], e["trace_id"], e["span_id"]) for e in row.get("exemplars", [])
        ),
    }
    if row["type"] in ("gauge", "sum"):
        return read | {"value": row["value"]}
    read |= {"count": row["count"], "sum": row["sum"], "min": row["min"], "max": row["max"]}
    if row["type"] == "histogram":
        return read | {"counts": row["bucket_counts"], "bounds": row["explicit_bounds"]}
    buckets = lambda side: (side["offset"], side["bucket_counts"])
    return read | {
        "scale": row["scale"],
        "zero": row["zero_count"],
        "positive": buckets(row["positive"]),
        "negative": buckets(row["negative"]),
    }


def http_metrics(server, temporality, compression=Compression.NoCompression):
    return OTLPMetricExporter(
        endpoint=server.url + "/v1/metrics",
        headers={"x-api-key": KEY},
        compression=compression,
        preferred_temporality={Counter: temporality, Histogram: temporality},
    )


@pytest.mark.reads_back("OTLP", "points")
@pytest.mark.parametrize("temporality", [AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE], ids=lambda t: t.name)
def test_points_are_read_back_equal(shared, temporality):
    exporter = http_metrics(shared, temporality, Compression.Gzip)
    recording = Recording(exporter)
    metric_program(exporter, temporality.name, temporality)
    assert recording.seen
    with shared.client() as client:
        found = rows(client, "points", q=f"resource.run:{temporality.name}")
        assert sorted(repr(point_read(row)) for row in found) == sorted(points_said(recording.seen))
        assert any(row.get("exemplars") for row in found)
        # The same points in another body are the same points.
        for data in recording.seen:
            body = encode_metrics(data).SerializeToString()
            headers = {"content-type": "application/x-protobuf"}
            assert client.post("/otlp/v1/metrics", content=body, headers=headers).status_code == 200
        again = rows(client, "points", q=f"resource.run:{temporality.name}")
        assert len(again) == len(found)


def test_a_bad_point_is_told_and_the_others_are_kept(shared):
    request = ExportMetricsServiceRequest()
    gauge = request.resource_metrics.add().scope_metrics.add().metrics.add(name="partial").gauge
    gauge.data_points.add(time_unix_nano=10**18, as_int=7)
    gauge.data_points.add(as_int=8)
    # What the SDK does not measure others may send.
    gauge.data_points.add(time_unix_nano=10**18 + 1, as_double=math.nan)
    gauge.data_points.add(time_unix_nano=10**18 + 2, as_double=-math.inf)
    with shared.client() as client:
        headers = {"content-type": "application/x-protobuf"}
        answer = client.post("/v1/metrics", content=request.SerializeToString(), headers=headers)
        assert answer.status_code == 200
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

        partial = ExportMetricsServiceResponse.FromString(answer.content).partial_success
        assert partial.rejected_data_points == 1
        assert "time_unix_nano" in partial.error_message
        assert [row["value"] for row in rows(client, "points", q="name:partial")] == [7, "NaN", "-Infinity"]
        wrong = client.post("/v1/metrics", json={"neither": 1})
        assert wrong.status_code == 400
        assert "resourceMetrics" in wrong.text and "name and type" in wrong.text


# gRPC


def channel_options(server, **more):
    return {"endpoint": f"127.0.0.1:{server.grpc_port}", "insecure": True, "headers": {"x-api-key": KEY}} | more


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip], ids=lambda c: c.name)
def test_spans_over_grpc(shared, compression):
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create(RESOURCE))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    exporter = GrpcSpanExporter(**channel_options(shared, compression=compression))
    tracer = provider.get_tracer("tests.grpc")
    with tracer.start_as_current_span("root", attributes={"text": "ü" * 5000}):
        with tracer.start_as_current_span("child"):
            pass
    spans = memory.get_finished_spans()
    assert exporter.export(spans) == SpanExportResult.SUCCESS
    with shared.client() as client:
        steps = trace_of(client, f"{spans[0].context.trace_id:032x}")["trace"]["steps"]
    order = lambda span: span["id"]
    assert sorted((read(step) for step in steps), key=order) == sorted((said(span) for span in spans), key=order)


def test_logs_over_grpc(shared):
    made = log_program(GrpcLogExporter(**channel_options(shared)), "grpc")
    with shared.client() as client:
        found = rows(client, "logs", q="resource.run:grpc")
    compare([log_read(row) for row in found], [log_said(data) for data in made])


def test_metrics_over_grpc(shared):
    exporter = GrpcMetricExporter(**channel_options(shared, compression=grpc.Compression.Gzip))
    recording = Recording(exporter)
    metric_program(exporter, "grpc", AggregationTemporality.CUMULATIVE)
    with shared.client() as client:
        found = rows(client, "points", q="resource.run:grpc")
    assert sorted(repr(point_read(row)) for row in found) == sorted(points_said(recording.seen))


def call(server, message, method="/opentelemetry.proto.collector.trace.v1.TraceService/Export", key=KEY):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        return channel.unary_unary(method)(message, metadata=[("x-api-key", key)], timeout=10)


def code_of(*arguments, **options):
    with pytest.raises(grpc.RpcError) as error:
        call(*arguments, **options)
    return error.value.code(), error.value.details()


def test_grpc_says_what_went_wrong(shared):
    assert code_of(shared, b"", key="tk_wrong_key_000000")[0] == grpc.StatusCode.UNAUTHENTICATED
    code, details = code_of(shared, b"\xff\xff")
    assert (code, "otlp" in details) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    assert code_of(shared, b"", method="/opentelemetry.Other/Export")[0] == grpc.StatusCode.UNIMPLEMENTED
    assert call(shared, b"") == b""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="no ids")
    answer = ExportTraceServiceResponse.FromString(call(shared, request.SerializeToString()))
    assert answer.partial_success.rejected_spans == 1
    assert "trace_id" in answer.partial_success.error_message
    with httpx.Client() as client:
        url = f"http://127.0.0.1:{shared.grpc_port}/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        assert client.post(url, content=b"").status_code == 415
