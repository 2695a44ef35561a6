"""Attachments in a bucket: the S3 server of PyPI moto."""

import os
import pathlib
import socket
import subprocess
import sys
import time

import httpx
import pytest

from server import Obsrv, post_json
from test_inline_media import MESSAGES, detail, message, picture
from test_media import blobs_of
from test_otlp_json import request, span

MOTO = pathlib.Path(sys.prefix) / "moto"
MIB = 1 << 20
# What `moto.server` runs, at a port that it finds free and says.
BUCKET = """
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def bucket(monkeypatch, tmp_path):
    assert MOTO.is_dir(), f"no moto in {MOTO}: bin/test setup installs it"
    log = (tmp_path / "moto.log").open("wb")
    child = subprocess.Popen(
        [sys.executable, "-c", BUCKET], env=os.environ | {"PYTHONPATH": str(MOTO)}, stdout=subprocess.PIPE, stderr=log
    )
    port = child.stdout.readline().strip().decode()
    assert port, (tmp_path / "moto.log").read_text()
    url = f"http://127.0.0.1:{port}"
    assert httpx.put(f"{url}/traces").status_code == 200
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    yield url
    child.terminate()
    child.wait(timeout=10)


@pytest.fixture
def nobody(monkeypatch):
    """Where no bucket answers: a port that is held, so that nobody else takes it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{held.getsockname()[1]}")
        yield


def keys(url):
    text = httpx.get(f"{url}/traces?list-type=2").text
    return [part.split("</Key>")[0] for part in text.split("<Key>")[1:]]


def test_attachments_go_to_a_bucket_and_leave_it_with_their_trace(bucket, tmp_path):
    obsrv = Obsrv(tmp_path / "data", "--blobs", "s3://traces/some/place").start()
    small, large = b"%PDF-small", bytes(range(256)) * 4096 * 20
    with obsrv.client() as client:
        url = "/v1/projects/1/traces/t/blobs"
        made = [client.post(url, content=content).json() for content in (small, large, small)]
        assert len(keys(bucket)) == 2
        assert all(key.startswith("some/place/blobs/0000000000000001/") for key in keys(bucket))
        obsrv.restart()
        assert client.get(made[0]["url"]).content == small
        assert client.get(made[1]["url"]).content == large
        part = client.get(made[1]["url"], headers={"range": "bytes=9000000-9000003"})
        assert (part.status_code, part.content) == (206, large[9000000:9000004])
        link = client.post(made[0]["url"] + "/link", json={}).json()
        assert httpx.get(link["url"]).content == small
        scrubbed = obsrv.run("scrub", "--data", str(obsrv.data)).stdout
        assert "attachments=2" in scrubbed
        backup = obsrv.run("backup", "--data", str(obsrv.data), str(tmp_path / "copy")).stdout
        assert "attachments=in-bucket" in backup
        assert client.delete("/v1/traces/t").status_code == 200
        assert keys(bucket) == []
        assert client.get(made[0]["url"]).status_code == 404
    obsrv.end()


def test_media_of_spans_goes_to_a_bucket_and_reads_back_as_it_was_sent(bucket, tmp_path):
    obsrv = Obsrv(tmp_path / "data", "--blobs", "s3://traces/some/place").start()
    pictures = [picture(n) for n in range(12)]
    body = request(span(1, attributes=[{"key": MESSAGES, "value": {"stringValue": message(*pictures)}}]))
    trace, span_id = body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"], f"{1:016x}"
    with obsrv.client() as client:
        for _ in range(2):  # the second time all of them are there
            assert post_json(client, "/v1/traces", body).status_code == 200
        assert len(keys(bucket)) == len(pictures)
        obsrv.restart()
        assert detail(client, trace, span_id)["attributes"][MESSAGES] == message(*pictures)
        assert "obsrv-media:" in detail(client, trace, span_id, media="reference")["attributes"][MESSAGES]
        asked = {"over": "spans", "raw": "true", "media": "inline"}
        line = client.get("/v1/projects/1/export", params=asked).json()
        assert line["raw"]["attributes"][MESSAGES] == message(*pictures)
        blobs = blobs_of(client, trace)
        assert sorted(client.get(blob["url"]).content for blob in blobs) == sorted(pictures)
        part = client.get(blobs[0]["url"], headers={"range": "bytes=0-7"})
        assert (part.status_code, part.content) == (206, b"\x89PNG\r\n\x1a\n")
        link = client.post(blobs[0]["url"] + "/link", json={}).json()
        assert httpx.get(link["url"]).content == client.get(blobs[0]["url"]).content
        assert "attachments=12" in obsrv.run("scrub", "--data", str(obsrv.data)).stdout
        # A copy refers to the bucket, and reads from it what is there.
        obsrv.run("backup", "--data", str(obsrv.data), str(tmp_path / "copy"))
        obsrv.run("restore", str(tmp_path / "copy"), "--data", str(tmp_path / "restored"))
        restored = Obsrv(tmp_path / "restored", "--blobs", "s3://traces/some/place").start()
        with restored.client() as other:
            assert detail(other, trace, span_id)["attributes"][MESSAGES] == message(*pictures)
        restored.end()
        assert client.delete(f"/v1/traces/{trace}").status_code == 200
        assert keys(bucket) == []
        assert httpx.get(link["url"]).status_code == 404
        assert client.get(f"/v1/projects/1/traces/{trace}/spans/{span_id}").status_code == 404
    obsrv.end()


def test_media_of_a_span_stays_in_its_row_while_the_bucket_is_away(bucket, nobody, tmp_path):
    obsrv = Obsrv(tmp_path / "data", "--blobs", "s3://traces").start()
    body = request(span(1, attributes=[{"key": MESSAGES, "value": {"stringValue": message(picture(1))}}]))
    with obsrv.client() as client:
        assert post_json(client, "/v1/traces", body).status_code == 200
        trace = body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"]
        stored = detail(client, trace, f"{1:016x}", media="reference")
        assert stored["attributes"][MESSAGES] == message(picture(1)) and "offloaded" not in stored["raw"]
    obsrv.end()


def test_a_bucket_that_does_not_answer_is_told_as_such(bucket, nobody, tmp_path):
    obsrv = Obsrv(tmp_path / "data", "--blobs", "s3://traces").start()
    with obsrv.client() as client:
        answer = client.post("/v1/projects/1/traces/t/blobs", content=b"x")
        assert answer.status_code == 503
        assert answer.json()["error"]["retryable"] is True
        assert client.get("/v1/traces").json()["items"] == []
    obsrv.end()
