"""Copies of a data directory, as an operator makes them and goes back to them."""

import threading

from server import KEY, Obsrv, pages, post_json
from test_otlp_json import request, span


def send(client, number):
    answer = post_json(client, "/v1/traces", request(span(1, traceId=f"{number:032x}")))
    return answer.status_code


def traces(server, key=KEY):
    with server.client(key) as client:
        return {page["trace_id"] for page in pages(client)}


def other(server, path):
    copy = Obsrv(path)
    copy.key = None
    return copy


def test_a_backup_of_a_busy_server_has_all_that_was_acknowledged_before_it(obsrv, tmp_path):
    key = obsrv.run("key", "create", "--project", "shop", "--data", str(obsrv.data)).stdout.strip()
    acknowledged, stop = [], threading.Event()

    def sender():
        with obsrv.client(key) as client:
            while not stop.is_set():
                number = len(acknowledged) + 1
                assert send(client, number) == 200
                acknowledged.append(f"{number:032x}")

    thread = threading.Thread(target=sender)
    thread.start()
    while len(acknowledged) < 50:
        thread.join(0.01)
    before = len(acknowledged)
    done = obsrv.run("backup", str(tmp_path / "copy"), "--data", str(obsrv.data))
    stop.set()
    thread.join()
    assert done.stdout.startswith("watermark=")
    obsrv.run("verify", str(tmp_path / "copy"))
    obsrv.run("restore", str(tmp_path / "copy"), "--data", str(tmp_path / "restored"))
    restored = other(obsrv, tmp_path / "restored")
    try:
        restored.start()
        # The key is in it, since the master secret is.
        found = traces(restored, key)
        assert set(acknowledged[:before]) <= found
        # One client, one request at a time: what is in it is what was sent first.
        assert found == set(acknowledged[: len(found)])
        with restored.client(key) as client:
            assert send(client, 10**6) == 200
    finally:
        restored.end()


def test_a_stopped_server_is_copied_from_its_files(obsrv, tmp_path):
    with obsrv.client() as client:
        for number in range(1, 20):
            assert send(client, number) == 200
    obsrv.kill()
    done = obsrv.run("backup", str(tmp_path / "copy"), "--data", str(obsrv.data))
    assert "records=" in done.stdout
    copy = other(obsrv, tmp_path / "copy")
    copy.key = obsrv.key
    try:
        copy.start()
        assert traces(copy) == {f"{number:032x}" for number in range(1, 20)}
    finally:
        copy.end()
    obsrv.start()


def test_nothing_is_written_over(obsrv, tmp_path):
    target = tmp_path / "copy"
    obsrv.run("backup", str(target), "--data", str(obsrv.data))
    again = obsrv.run("backup", str(target), "--data", str(obsrv.data), check=False)
    assert again.returncode != 0 and "not empty" in again.stderr, again.stderr
    over = obsrv.run("restore", str(target), "--data", str(obsrv.data), check=False)
    assert over.returncode != 0 and "server uses" in over.stderr or "in use" in over.stderr, over.stderr
    none = obsrv.run("restore", str(tmp_path / "nothing"), "--data", str(tmp_path / "x"), check=False)
    assert none.returncode != 0 and "no data directory" in none.stderr
    assert not (tmp_path / "x").exists()


def test_a_damaged_backup_is_not_restored(obsrv, tmp_path):
    with obsrv.client() as client:
        assert send(client, 1) == 200
    target = tmp_path / "copy"
    obsrv.run("backup", str(target), "--data", str(obsrv.data))
    [segment] = [path for path in target.iterdir() if path.name.startswith("segment-")]
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    done = obsrv.run("restore", str(target), "--data", str(tmp_path / "restored"), check=False)
    assert done.returncode != 0 and segment.name in done.stderr, done.stderr


def test_a_scrub_finds_damage_while_the_server_runs(obsrv, tmp_path):
    with obsrv.client() as client:
        for number in range(1, 20):
            assert send(client, number) == 200
    obsrv.stop()
    obsrv.start()
    done = obsrv.run("scrub", "--data", str(obsrv.data))
    assert "sound" in done.stdout
    [segment] = [path for path in obsrv.data.iterdir() if path.name.startswith("segment-")]
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    with segment.open("r+b") as file:
        file.write(data)
    done = obsrv.run("scrub", "--data", str(obsrv.data), check=False)
    assert done.returncode != 0 and segment.name in done.stdout, done.stdout
    with obsrv.client() as client:
        assert "obsrv_damaged_segments 1" in client.get("/metrics").text
    with segment.open("r+b") as file:
        data[len(data) // 2] ^= 1
        file.write(data)
    obsrv.run("scrub", "--data", str(obsrv.data))
    with obsrv.client() as client:
        assert "obsrv_damaged_segments 0" in client.get("/metrics").text
