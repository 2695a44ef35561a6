"""Bad input: a clear error that names the place, nothing stored, memory bounded, and the server lives on."""

import gzip
import json
import re
import select
import socket
import zlib

import httpx
import pytest
import zstandard

from server import KEY, Obsrv, pages, post_json, trace_of
from test_otlp_json import TRACE, request, span

MIB = 1 << 20
BODY_MAX = 64 * MIB
ZSTD = zstandard.ZstdCompressor(level=3)


@pytest.fixture
def alive(obsrv):
    """A client; afterwards the server must still take and serve a trace."""
    with obsrv.client() as client:
        yield client
        body = request(span(1, traceId="f" * 32, name="still alive"))
        assert post_json(client, "/v1/traces", body).status_code == 200
        assert trace_of(client, "f" * 32)["meta"]["name"] == "still alive"


def refused(answer, status, code):
    assert answer.status_code == status, answer.text[:500]
    error = answer.json()["error"]
    assert error["code"] == code, error
    assert error["message"] and error["retryable"] is (status == 503)
    return error


def post(client, body, path="/v1/traces", kind="application/json", **headers):
    headers = {"content-type": kind, **{k.replace("_", "-"): v for k, v in headers.items()}}
    return client.post(path, content=body, headers=headers)


TRACE_BODY = json.dumps(
    {"trace_id": "t", "name": "n", "status": "success", "started_at": "2026-01-01T00:00:00Z", "steps": []}
)


def test_every_truncation_of_a_body_is_refused(alive):
    for body in [TRACE_BODY, json.dumps(request(span(1)))]:
        for end in range(0, len(body) - 1, max(1, len(body) // 60)):
            answer = post(alive, body[:end])
            assert answer.status_code in (400, 415), (end, answer.text)
    assert pages(alive) == []


def test_every_truncation_of_protobuf_is_refused_or_a_shorter_message(alive):
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

    made = Span(trace_id=bytes(range(16)), span_id=b"12345678", name="x" * 40, start_time_unix_nano=5)
    body = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[made])])]
    ).SerializeToString()
    for end in range(1, len(body)):
        answer = post(alive, body[:end], kind="application/x-protobuf")
        assert answer.status_code == 400, end
    assert pages(alive) == []
    for flip in range(len(body)):
        answer = post(alive, body[:flip] + bytes([body[flip] ^ 0xFF]) + body[flip + 1 :], kind="application/x-protobuf")
        assert answer.status_code in (200, 400), flip


WRONG_TYPES = [
    ("name", 7),
    ("metadata", []),
    ("metadata", "x"),
    ("tags", "x"),
    ("tags", [1]),
    ("steps", {}),
    ("started_at", "yesterday"),
    ("latency_ms", "fast"),
    ("cost_usd", "cheap"),
    ("trace_id", 5),
    ("events", 1),
    ("annotations", "good"),
]


@pytest.mark.parametrize(("field", "value"), WRONG_TYPES, ids=lambda v: json.dumps(v))
def test_a_wrong_type_is_refused_by_its_name(shared, field, value):
    with shared.client() as client:
        body = json.loads(TRACE_BODY) | {"trace_id": f"wrong-{field}", field: value}
        answer = post(client, json.dumps(body))
        error = refused(answer, 400, "invalid_request")
        assert field in error["message"] + (error.get("field") or "")
        assert trace_of(client, f"wrong-{field}") is None


def test_a_bad_step_is_named_and_the_good_ones_kept(alive):
    steps = [{"step_id": f"s{i}", "type": "custom", "index": i} for i in range(3)]
    steps[1]["metadata"] = "flat"
    answer = post(alive, json.dumps(json.loads(TRACE_BODY) | {"steps": steps}))
    assert answer.status_code < 300, answer.text
    assert "steps[1]" in answer.text and "metadata" in answer.text
    assert trace_of(alive, "t")["meta"]["step_count"] == 2


def test_nan_and_infinity(alive):
    body = TRACE_BODY[:-1] + ', "cost_usd": NaN, "metadata": {"a": Infinity, "b": -Infinity, "c": 1}}'
    answer = post(alive, body)
    assert answer.status_code < 500
    if answer.status_code < 300:
        served = alive.get("/v1/traces/t")
        assert json.loads(served.text, parse_constant=pytest.fail)["meta"]["metadata"]["c"] == 1


def test_invalid_utf8(alive):
    for bad in [b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80"]:
        refused(post(alive, TRACE_BODY.encode().replace(b'"n"', b'"' + bad + b'"')), 400, "invalid_request")
    refused(post(alive, TRACE_BODY.replace('"n"', '"\\ud800"')), 400, "invalid_request")


def test_nesting(alive):
    for opening, closing in [("[", "]"), ('{"a":', "}")]:
        for depth, status in [(40, 200), (200, 400), (200_000, 400)]:
            value = opening * depth + "1" + closing * depth
            answer = post(alive, TRACE_BODY[:-1] + ', "metadata": {"m": ' + value + "}}")
            assert (answer.status_code < 300) == (status < 300), (opening, depth, answer.text[:200])
            assert answer.status_code < 500
    deep = {"intValue": "1"}
    for _ in range(300):
        deep = {"arrayValue": {"values": [deep]}}
    answer = post_json(alive, "/v1/traces", request(span(1), span(2, attributes=[{"key": "deep", "value": deep}])))
    assert answer.status_code in (200, 400)


def test_bodies_that_are_no_trace(alive):
    for body in ["{}", "[]", "7", "null", '"x"', '{"hello": 1}', ""]:
        answer = post(alive, body)
        assert answer.status_code in (400, 415), body
        assert "resourceSpans" in answer.text, body
    assert post(alive, b"\x00\x01", kind="application/grpc").status_code == 415
    assert post(alive, "x", kind="text/plain").status_code in (400, 415)


def compressed(body):
    return {
        "gzip": gzip.compress(body),
        "deflate": zlib.compress(body),
        "zstd": ZSTD.compress(body),
    }


def test_every_codec_reads_and_every_damage_is_refused(alive):
    body = json.dumps(request(span(1, name="packed" * 50))).encode()
    for codec, packed in compressed(body).items():
        assert post(alive, packed, content_encoding=codec).status_code == 200, codec
        for end in range(0, len(packed), max(1, len(packed) // 20)):
            answer = post(alive, packed[:end], content_encoding=codec)
            assert answer.status_code in (400, 415), (codec, end)
        assert post(alive, body, content_encoding=codec).status_code == 400, codec
    assert post(alive, body, content_encoding="br").status_code == 415
    assert post(alive, body, content_encoding="gzip, gzip").status_code == 415


@pytest.mark.parametrize("codec", ["gzip", "deflate", "zstd"])
def test_a_bomb_costs_no_memory(tmp_path, codec):
    """1 GiB of zeros in about a MiB or less: refused at the limit, while it is inflated."""
    obsrv = Obsrv(tmp_path / "data").start()
    try:
        before = obsrv.peak_memory()
        bomb = bomb_of(codec, 1 << 30)
        assert len(bomb) < 2 * MIB
        with obsrv.client() as client:
            for _ in range(3):
                refused(post(client, bomb, content_encoding=codec), 413, "too_large")
        grown = obsrv.peak_memory() - before
        assert grown < 200 * MIB, f"{grown >> 20} MiB"
    finally:
        obsrv.end()


def bomb_of(codec, size):
    zeros = bytes(MIB)
    packer = {
        "gzip": lambda: zlib.compressobj(9, zlib.DEFLATED, 31),
        "deflate": lambda: zlib.compressobj(9),
        "zstd": lambda: zstandard.ZstdCompressor(level=3).compressobj(),
    }[codec]()
    return b"".join([*(packer.compress(zeros) for _ in range(size // MIB)), packer.flush()])


def test_a_body_over_the_limit_is_refused_before_it_is_sent(obsrv):
    head = (
        f"POST /v1/traces HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {1 << 40}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", obsrv.port), timeout=10) as raw:
        raw.sendall(head.encode())
        assert raw.recv(64).startswith(b"HTTP/1.1 413")


def test_a_chunked_body_over_the_limit_is_refused_while_it_comes(obsrv):
    def endless():
        for _ in range(200):
            yield bytes(MIB)

    with obsrv.client() as client:
        before = obsrv.peak_memory()
        try:
            answer = client.post("/v1/traces", content=endless(), headers={"content-type": "application/json"})
            assert answer.status_code == 413
        except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
            pass  # the server may close while the client still sends
        assert obsrv.peak_memory() - before < 4 * BODY_MAX
        assert client.get("/ready").status_code == 200


def test_keys(shared):
    with shared.client() as client:
        for headers in [{}, {"x-api-key": ""}, {"x-api-key": "tk_wrong_000000000"}, {"authorization": "Basic eA=="}]:
            with httpx.Client(base_url=shared.url) as bare:
                for answer in [
                    bare.post("/v1/traces", content=TRACE_BODY, headers=headers),
                    bare.get("/v1/traces", headers=headers),
                    bare.get("/v1/traces/t", headers=headers),
                ]:
                    refused(answer, 401, "unauthorized")
                    assert "tk_wrong" not in answer.text
        for name in ["X-API-KEY", "x-Api-Key"]:
            with httpx.Client(base_url=shared.url) as bare:
                assert bare.get("/v1/traces", headers={name: KEY}).status_code == 200
        with httpx.Client(base_url=shared.url) as bare:
            assert bare.get("/v1/traces", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
        assert trace_of(client, "t") is None


def test_bad_parameters_of_a_list(shared):
    with shared.client() as client:
        for params in [
            {"limit": "many"},
            {"limit": "-1"},
            {"since": "yesterday"},
            {"cursor": "AAAA"},
            {"cursor": "x" * 5000},
            {"meta_key": "alone"},
            {"q": "(" * 10_000},
        ]:
            answer = client.get("/v1/traces", params=params)
            assert answer.status_code == 400, (params, answer.text)
            assert answer.json()["error"]["code"].startswith("invalid_")


def test_a_cursor_of_another_list_is_refused(obsrv):
    with obsrv.client() as client:
        for n in range(4):
            post_json(client, "/v1/traces", request(span(1, traceId=f"{n + 1:032x}")))
        cursor = client.get("/v1/traces", params={"limit": 2}).json()["next_cursor"]
        assert cursor
        answer = client.get("/v1/traces", params={"limit": 2, "status": "error", "cursor": cursor})
        refused(answer, 400, "invalid_cursor")
        last = "A" if cursor[-2] != "A" else "B"
        answer = client.get("/v1/traces", params={"limit": 2, "cursor": cursor[:-2] + last + cursor[-1]})
        refused(answer, 400, "invalid_cursor")


def test_unknown_routes_and_methods(shared):
    with shared.client() as client:
        refused(client.get("/v1/nothing"), 404, "not_found")
        refused(client.delete("/v1/traces"), 405, "method_not_allowed")


def test_an_answer_to_ingest_is_never_a_redirect_nor_empty(shared):
    with shared.client(follow_redirects=False) as client:
        for path in ["/v1/traces", "/v1/traces/", "//v1/traces", "/v1/Traces"]:
            answer = post(client, TRACE_BODY, path=path)
            assert not 300 <= answer.status_code < 400, path
            assert answer.status_code != 204
        assert post(client, TRACE_BODY).json() is not None


@pytest.mark.parametrize("path", ["/nowhere", "/v1/imports/csv", "/ready"])
def test_a_body_that_comes_late_to_its_refusal_leaves_the_connection_open(shared, path):
    begin = f"POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-length: 2\r\n\r\n"
    with socket.create_connection(("127.0.0.1", shared.port), timeout=30) as connection:
        connection.sendall(begin.encode())
        # Long enough for an answer to who sends no body at all.
        select.select([connection], [], [], 0.3)
        connection.sendall(b"{}GET /live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        said = b"".join(iter(lambda: connection.recv(4096), b""))
    statuses = re.findall(rb"HTTP/1\.1 (\d+)", said)
    assert len(statuses) == 2 and statuses[1] == b"200", said


def test_protobuf_errors_come_as_protobuf(alive):
    answer = post(alive, b"\xff\xff\xff", kind="application/x-protobuf")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert b"otlp" in answer.content.lower()


def test_an_import_of_garbage_lines(alive):
    lines = [TRACE_BODY, "{", "", "7", TRACE_BODY.replace('"t"', '"t2"')]
    answer = post(alive, "\n".join(lines), path="/v1/imports/traces", kind="application/x-ndjson")
    assert answer.status_code in (200, 207), answer.text
    told = answer.json()
    assert (told["accepted"], told["failed"]) == (2, 2)
    assert [i["index"] for i in told["items"] if i.get("error")] == [1, 2] or [
        i["index"] for i in told["items"] if i.get("error")
    ] == [1, 3]
    assert trace_of(alive, "t") and trace_of(alive, "t2")


def test_hostile_ids_come_back_as_they_were(alive):
    from urllib.parse import quote

    for trace_id in ["a b", "a/b", "../../etc", "%2e%2e", "ü漢", "'; drop table", "a" * 256, "\u202e", "null"]:
        body = json.loads(TRACE_BODY) | {"trace_id": trace_id}
        assert post(alive, json.dumps(body)).status_code < 300, trace_id
        answer = alive.get("/v1/traces/" + quote(trace_id, safe=""))
        assert answer.status_code == 200, trace_id
        assert answer.json()["meta"]["trace_id"] == trace_id
    body = json.loads(TRACE_BODY) | {"trace_id": "a" * 257}
    refused(post(alive, json.dumps(body)), 400, "invalid_request")
