"""Media inside of spans, as the OpenTelemetry SDK sends it, unmodified: kept as attachments, read back as it was sent."""

import base64
import json
import random

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from server import KEY, Obsrv, post_json
from test_media import blobs_of, files
from test_otlp_json import request, span

MESSAGES = "gen_ai.input.messages"
LEAST = 64 << 10  # signs of base64


def picture(seed, size=LEAST // 4 * 3):
    return b"\x89PNG\r\n\x1a\n" + random.Random(seed).randbytes(size - 8)


def text(data):
    return base64.b64encode(data).decode()


def url(data):
    return "data:image/png;base64," + text(data)


def message(*pictures):
    parts = [{"type": "image_url", "image_url": {"url": url(data)}} for data in pictures]
    return json.dumps([{"role": "user", "content": [{"type": "text", "text": "what?"}, *parts]}])


def exporter(obsrv, transport):
    if transport == "grpc":
        headers = (("authorization", f"Bearer {KEY}"),)
        return GrpcExporter(endpoint=f"http://127.0.0.1:{obsrv.grpc_port}", headers=headers, insecure=True)
    compression = Compression.Gzip if transport == "gzip" else Compression.NoCompression
    return HttpExporter(endpoint=obsrv.url + "/v1/traces", headers={"x-api-key": KEY}, compression=compression)


ATTRIBUTES = {
    "gen_ai.operation.name": "chat",
    MESSAGES: message(picture(1), picture(2)),
    "audio": text(picture(3)),
    "all": ["short", text(picture(1)).rstrip("="), "漢字 🙂"],
    "safe": base64.urlsafe_b64encode(picture(4, LEAST)).decode(),
    "small": text(picture(5, LEAST // 4 * 3 - 3)),
    "wrong": text(picture(6)) + "=",
    "words": "word " * LEAST,
}
SEEN = {"screen": url(picture(7))}


def detail(client, trace, span_id, **asked):
    answer = client.get(f"/v1/projects/1/traces/{trace}/spans/{span_id}", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def sent_by(obsrv, transport):
    """A span as one client sends it; its trace and its id."""
    if transport == "json":
        kind = lambda value: {"arrayValue": {"values": [{"stringValue": one} for one in value]}}  # noqa: E731
        value = lambda of: {"stringValue": of} if isinstance(of, str) else kind(of)  # noqa: E731
        listed = lambda of: [{"key": key, "value": value(one)} for key, one in of.items()]  # noqa: E731
        event = {"timeUnixNano": "1700000000000000005", "name": "seen", "attributes": listed(SEEN)}
        body = request(span(1, attributes=listed(ATTRIBUTES), events=[event]))
        with obsrv.client() as client:
            assert post_json(client, "/v1/traces", body).status_code == 200
        return "0af7651916cd43dd8448eb211c80319c", f"{1:016x}"
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter(obsrv, transport)))
    with provider.get_tracer("t").start_as_current_span("chat", attributes=ATTRIBUTES) as made:
        made.add_event("seen", SEEN)
    provider.shutdown()
    context = made.get_span_context()
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


@pytest.mark.parametrize("transport", ["protobuf", "gzip", "grpc", "json"])
def test_media_of_a_span_reads_back_as_it_was_sent(obsrv, tmp_path, transport):
    trace, span_id = sent_by(obsrv, transport)
    kept = [picture(1), picture(2), picture(3), picture(4, LEAST), picture(7)]

    def check(client):
        read = detail(client, trace, span_id)
        assert read["attributes"] == ATTRIBUTES
        assert [event["attributes"] for event in read["events"]] == [SEEN]
        stored = detail(client, trace, span_id, media="reference")
        assert len(json.dumps(stored["raw"]["attributes"])) < 5 * LEAST + LEAST * 3
        assert "obsrv-media:" in stored["attributes"]["audio"]
        assert stored["attributes"]["small"] == ATTRIBUTES["small"]
        blobs = blobs_of(client, trace)
        assert sorted(client.get(blob["url"]).content for blob in blobs) == sorted(kept)

    with obsrv.client() as client:
        check(client)
        obsrv.restart()
        check(client)
        copy = tmp_path / "copy"
        assert "sound" in obsrv.run("scrub", "--data", str(obsrv.data)).stdout
        obsrv.run("backup", "--data", str(obsrv.data), str(copy))
        assert client.delete(f"/v1/traces/{trace}").status_code == 200
        assert files(obsrv) == []
        obsrv.stop()
        for path in obsrv.data.rglob("*"):
            if path.is_file():
                found = path.read_bytes()
                for data in kept:
                    assert data[100:140] not in found and text(data)[100:140].encode() not in found, path
    obsrv.run("restore", str(copy), "--data", str(tmp_path / "restored"))
    restored = Obsrv(tmp_path / "restored")
    restored.start()
    try:
        with restored.client() as client:
            check(client)
    finally:
        restored.end()
    assert "findings=0" in obsrv.run("verify", str(restored.data)).stdout


def test_a_remap_leaves_what_was_cut_out_where_it_is(obsrv):
    trace, span_id = sent_by(obsrv, "protobuf")
    with obsrv.client() as client:
        before = detail(client, trace, span_id, media="reference")
        obsrv.run("remap", "--data", str(obsrv.data))
        assert detail(client, trace, span_id, media="reference") == before
        assert detail(client, trace, span_id)["attributes"] == ATTRIBUTES


def test_one_request_has_so_many_files(obsrv):
    most = 100
    spans = [
        span(n, attributes=[{"key": MESSAGES, "value": {"stringValue": message(picture(n))}}]) for n in range(1, most + 2)
    ]
    trace = spans[0]["traceId"]
    with obsrv.client() as client:
        assert post_json(client, "/v1/traces", request(*spans)).status_code == 200
        assert len(blobs_of(client, trace)) == most
        for n, is_cut in [(1, True), (most, True), (most + 1, False)]:
            stored = detail(client, trace, f"{n:016x}", media="reference")
            assert ("offloaded" in stored["raw"]) == is_cut
            assert detail(client, trace, f"{n:016x}")["attributes"][MESSAGES] == message(picture(n))


def test_bytes_come_back_as_bytes(obsrv):
    data = bytes(range(256)) * 256
    body = request(span(1, attributes=[{"key": "raw", "value": {"bytesValue": text(data)}}]))
    with obsrv.client() as client:
        assert post_json(client, "/v1/traces", body).status_code == 200
        trace = "0af7651916cd43dd8448eb211c80319c"
        assert [client.get(blob["url"]).content for blob in blobs_of(client, trace)] == [data]
        assert detail(client, trace, f"{1:016x}")["attributes"]["raw"] == text(data)
        exported = client.get("/v1/projects/1/export", params={"over": "spans", "format": "otlp"}).text
        assert json.dumps({"bytesValue": text(data)}, separators=(",", ":")) in exported
        lines = client.get("/v1/projects/1/export", params={"over": "spans", "raw": "true", "media": "inline"})
        assert lines.json()["raw"]["attributes"]["raw"] == text(data)
