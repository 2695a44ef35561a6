"""A damaged segment: named, left out if that is allowed, repaired; and a disk with little room."""

import os
import random
import subprocess

import pytest

from server import Obsrv, post_json
from test_otlp_json import request, span

TRACES = 600


def fill(client, seed=5):
    """Traces enough for several payload blocks that do not compress."""
    chance = random.Random(seed)
    for number in range(1, TRACES + 1):
        text = f"{chance.getrandbits(8 * 1500):0x}"
        attributes = [{"key": "text", "value": {"stringValue": text}}]
        body = request(span(1, traceId=f"{number:032x}", attributes=attributes))
        assert post_json(client, "/v1/traces", body).status_code == 200


def spans(client, **params):
    """Ids of all spans, page by page, and what the pages left out."""
    found, damaged, cursor = set(), [], None
    while True:
        query = {"limit": 1000, **params} | ({"cursor": cursor} if cursor else {})
        answer = client.get("/v1/projects/1/spans", params=query)
        if answer.status_code != 200:
            return answer, None
        page = answer.json()
        found |= {row["trace_id"] for row in page["data"]}
        damaged += [part for part in page.get("damaged", []) if part not in damaged]
        cursor = page["next_cursor"]
        if not cursor:
            return found, damaged


def flip(path, at):
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def files(data):
    """What there is, but for files that a stop left before they had a name: any open removes those."""
    named = [path for path in data.iterdir() if path.is_file() and not path.name.startswith("tmp-")]
    return {path.name: path.read_bytes() for path in named}


def test_damage_is_named_left_out_on_request_and_repaired(obsrv):
    with obsrv.client() as client:
        fill(client)
    obsrv.stop()
    [segment] = [path for path in obsrv.data.iterdir() if path.name.startswith("segment-")]
    flip(segment, segment.stat().st_size // 2)
    obsrv.start()
    with obsrv.client() as client:
        refused, _ = spans(client)
        error = refused.json()["error"]
        assert (refused.status_code, error["code"]) == (500, "damaged"), refused.text
        assert segment.name in error["message"] and "payload block" in error["message"], error
        there, damaged = spans(client, allow_partial="true")
        assert 0 < len(there) < TRACES
        [part] = damaged
        assert part["segment"] == segment.name and part["part"].startswith("project 1 Spans, payload block")
        assert part["rows"] == TRACES - len(there)
        counted = client.post("/v1/projects/1/aggregate", json={"over": "spans", "allow_partial": True}).json()
        assert counted["total"]["rows"] == TRACES
        assert "obsrv_damaged_segments 1" in client.get("/metrics").text
    used = obsrv.run("repair", str(obsrv.data), check=False)
    assert used.returncode != 0 and "stop it first" in used.stderr
    obsrv.stop()
    before = files(obsrv.data)
    dry = obsrv.run("repair", str(obsrv.data), check=False)
    assert dry.returncode != 0 and "nothing was changed" in dry.stderr
    assert f"{part['rows']} of {TRACES} rows" in dry.stdout, dry.stdout
    assert before == files(obsrv.data)
    done = obsrv.run("repair", "--write", str(obsrv.data))
    assert "findings=0" in done.stdout
    [aside] = [path for path in obsrv.data.iterdir() if path.name.startswith("repaired-")]
    assert (aside / segment.name).read_bytes() == before[segment.name]
    obsrv.run("verify", str(obsrv.data))
    assert "nothing to repair" in obsrv.run("repair", str(obsrv.data)).stdout
    obsrv.start()
    with obsrv.client() as client:
        found, damaged = spans(client)
        assert found == there and damaged == []
        assert "obsrv_damaged_segments 0" in client.get("/metrics").text


def test_with_little_room_rows_are_refused_and_deletes_are_not(tmp_path):
    """On a file system of 256 MiB: the reserve is 64 MiB, the log's files are 64 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "none", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no mounts here: {mounted.stderr.decode().strip()}")
    server = Obsrv(place / "data", "--disk-reserve", "64MiB")
    server.log = tmp_path / "server.log"
    try:
        server.start()
        with server.client() as client:
            assert post_json(client, "/v1/traces", request(span(1))).status_code == 200
            # Another program takes the room.
            room = os.statvfs(place)
            other = place / "other"
            other.write_bytes(bytes(room.f_bavail * room.f_frsize - (63 << 20)))
            answer = post_json(client, "/v1/traces", request(span(2)))
            assert answer.status_code == 503 and answer.headers["obsrv-outcome"] == "not-stored", answer.text
            assert "retry-after" in answer.headers
            ready = client.get("/ready")
            assert ready.status_code == 503 and ready.json()["status"] == "read_only"
            trace_id = span(1)["traceId"]
            assert client.get(f"/v1/traces/{trace_id}").status_code == 200
            key = server.run("key", "create", "--project", "default", "--data", str(server.data), check=False)
            assert key.returncode == 0, key.stderr
            assert client.delete(f"/v1/traces/{trace_id}").status_code in (200, 204)
            assert client.get(f"/v1/traces/{trace_id}").status_code == 404
            other.unlink()
            server.await_ready()
            assert post_json(client, "/v1/traces", request(span(3))).status_code == 200
    finally:
        server.end()
        subprocess.run(["umount", "-l", str(place)], check=False)
