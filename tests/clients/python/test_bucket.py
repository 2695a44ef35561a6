"""Attachments in a bucket: the S3 server of PyPI moto."""

import os
import pathlib
import socket
import subprocess
import sys
import time

import httpx
import pytest

from server import Obsrv, free_port

MOTO = pathlib.Path(sys.prefix) / "moto"
MIB = 1 << 20


@pytest.fixture
def bucket(monkeypatch, tmp_path):
    assert MOTO.is_dir(), f"no moto in {MOTO}: bin/test setup installs it"
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    log = (tmp_path / "moto.log").open("wb")
    child = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(MOTO)}, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    give_up = time.monotonic() + 30
    while True:
        assert child.poll() is None and time.monotonic() < give_up, (tmp_path / "moto.log").read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.05)
    assert httpx.put(f"{url}/traces").status_code == 200
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    yield url
    child.terminate()
    child.wait(timeout=10)


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


def test_a_bucket_that_does_not_answer_is_told_as_such(bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    obsrv = Obsrv(tmp_path / "data", "--blobs", "s3://traces").start()
    with obsrv.client() as client:
        answer = client.post("/v1/projects/1/traces/t/blobs", content=b"x")
        assert answer.status_code == 503
        assert answer.json()["error"]["retryable"] is True
        assert client.get("/v1/traces").json()["items"] == []
    obsrv.end()
