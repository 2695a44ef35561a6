"""Attachments: the published theta-obsrv and langfuse packages, unmodified, and obsrv's own routes, over restarts,
copies and deletes."""

import base64
import hashlib
import os
import pathlib
import struct
import zlib

import httpx
import pytest
from langfuse import Langfuse
from langfuse.media import LangfuseMedia
from theta_observability import TraceClient

from server import KEY, Obsrv

MIB = 1 << 20


def png(side=3):
    """A picture, so that its type can be told by its bytes."""
    rows = b"".join(b"\0" + bytes(3 * side) for _ in range(side))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def blobs_of(client, trace):
    answer = client.get(f"/v1/projects/1/traces/{trace}/blobs")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def files(obsrv):
    return [path for path in (obsrv.data / "blobs").rglob("*") if path.is_file()]


@pytest.mark.reads_back("theta", "attachments")
def test_theta_media(obsrv, tmp_path):
    sound = b"RIFF\x24\0\0\0WAVEfmt " + bytes(range(256)) * 5000
    kept = tmp_path / "a b & ü.wav"
    kept.write_bytes(sound)
    with TraceClient(api_key=KEY, base_url=obsrv.url, flush_interval=0.01) as theta:
        with theta.trace("with media") as trace:
            with trace.step(name="look", type="llm") as step:
                picture = step.attach_image(png())
                step.attach_audio(kept)
                step.log_sensor_frame("lidar", b"\1\2\3", mime="application/x-lidar")
        assert theta.flush()
        trace_id = trace.model.trace_id
        detail = theta.get_trace(trace_id)
    said, read = trace.model.steps[0], detail.trace.steps[0]
    assert read.attachments == said.attachments
    assert read.sensor_frames == said.sensor_frames
    assert [a.uri for a in read.attachments][0] == picture and picture.startswith("obsrv-blob://")
    with obsrv.client() as client:
        sent = {hashlib.sha256(of).hexdigest(): of for of in (png(), sound, b"\1\2\3")}
        listed = blobs_of(client, trace_id)
        assert {blob["sha256"] for blob in listed} == set(sent)
        assert detail.meta.has_media
        types = {blob["content_type"]: blob["name"] for blob in listed}
        assert types == {"image/png": None, "audio/wav": "a b & ü.wav", "application/octet-stream": None}
        for blob in listed:
            assert client.get(blob["url"]).content == sent[blob["sha256"]]
        obsrv.restart()
        for blob in blobs_of(client, trace_id):
            assert client.get(blob["url"]).content == sent[blob["sha256"]]
        assert client.delete(f"/v1/traces/{trace_id}").status_code == 200
        assert files(obsrv) == []


def test_the_signed_place_of_theta(obsrv):
    with TraceClient(api_key=KEY, base_url=obsrv.url) as theta:
        place = theta._request_signed_url("image/png", len(png()), "x.png")
    put = httpx.put(place.url, content=png(), headers=place.headers)
    assert put.status_code == 200, put.text
    trace, name = place.gs_uri.removeprefix("obsrv-blob://1/").split("/")
    with obsrv.client() as client:
        assert client.get(f"/v1/projects/1/traces/{trace}/blobs/{name}").content == png()


@pytest.mark.reads_back("Langfuse 5", "attachments")
def test_langfuse_media(obsrv, monkeypatch):
    for name in [name for name in os.environ if name.startswith("LANGFUSE_")]:
        monkeypatch.delenv(name)
    langfuse = Langfuse(public_key="pk-media", secret_key=KEY, base_url=obsrv.url, flush_interval=0.1)
    uri = "data:image/png;base64," + base64.b64encode(png()).decode()
    pdf = b"%PDF-1.7\n" + bytes(2 * MIB)
    wrapped = LangfuseMedia(content_bytes=pdf, content_type="application/pdf")
    with langfuse.start_as_current_observation(name="look", as_type="span") as span:
        span.update(input={"picture": uri}, output=wrapped)
        trace_id = span.trace_id
    langfuse.flush()
    with obsrv.client() as client:
        listed = blobs_of(client, trace_id)
        fields = {blob["field"]: blob for blob in listed}
        assert set(fields) == {"input", "output"}
        assert fields["input"]["sha256"] == hashlib.sha256(png()).hexdigest()
        assert fields["output"]["declared_type"] == "application/pdf"
        assert client.get(fields["output"]["url"]).content == pdf
        step = client.get(f"/v1/traces/{trace_id}").json()["trace"]["steps"][0]
        kept = str(step)
        assert f"@@@langfuseMedia:type=image/png|id={fields['input']['id']}|source=base64_data_uri@@@" in kept
        assert uri not in kept
    reference = wrapped._reference_string
    resolved = langfuse.resolve_media_references(obj={"a": [reference]}, resolve_with="base64_data_uri")
    assert resolved == {"a": ["data:application/pdf;base64," + base64.b64encode(pdf).decode()]}
    langfuse.shutdown()


def test_a_large_upload_takes_little_memory_and_its_parts_are_read(tmp_path):
    obsrv = Obsrv(tmp_path / "data", "--max-blob", "96MiB", "--memory", "256MiB").start()
    with obsrv.client() as client:
        before = obsrv.peak_memory()
        piece = bytes(range(256)) * 4096

        def pieces(n):
            for _ in range(n):
                yield piece

        url = "/v1/projects/1/traces/big/blobs"
        made = client.post(url, content=pieces(96))
        assert made.status_code == 201, made.text
        assert made.json()["size"] == 96 * MIB
        assert obsrv.peak_memory() - before < 48 * MIB
        part = client.get(made.json()["url"], headers={"range": f"bytes={50 * MIB - 2}-{50 * MIB + 1}"})
        assert (part.status_code, part.content) == (206, piece[-2:] + piece[:2])
        over = client.post(url, content=b"x" * (96 * MIB + 1))
        assert over.status_code == 413, over.text
    obsrv.end()


def test_copies_have_the_attachments_and_verify_reads_them(obsrv, tmp_path):
    with obsrv.client() as client:
        made = client.post("/v1/projects/1/traces/t/blobs", content=png()).json()
        obsrv.run("backup", "--data", str(obsrv.data), str(tmp_path / "copy"))
        sound = obsrv.run("scrub", "--data", str(obsrv.data)).stdout
        assert "attachments=1" in sound
    obsrv.run("restore", str(tmp_path / "copy"), "--data", str(tmp_path / "restored"))
    restored = Obsrv(tmp_path / "restored")
    restored.start()
    with restored.client() as client:
        assert client.get(made["url"]).content == png()
    restored.stop()
    assert "attachments=1 findings=0" in obsrv.run("verify", str(restored.data)).stdout
    [file] = [path for path in (pathlib.Path(restored.data) / "blobs").rglob("*") if path.is_file()]
    file.write_bytes(png()[:-1] + b"?")
    done = obsrv.run("verify", str(restored.data), check=False)
    assert done.returncode != 0 and "is damaged" in done.stdout


def test_the_largest_attachment_is_a_setting_with_a_limit(obsrv, tmp_path):
    at = Obsrv(tmp_path / "at", "--max-blob", "1GiB").start()
    at.end()
    over = obsrv.run("serve", "--data", str(tmp_path / "over"), "--max-blob", str((1 << 30) + 1), check=False)
    assert over.returncode != 0 and "max_blob=1073741825" in over.stderr
