"""Faults of the process and of its clients, against the real binary: F2, F15, F21, F22, F25, F26 of FAULTS.md."""

import contextlib
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import threading
import time

import pytest

from server import KEY, Obsrv, binary, pages, post_json, trace_of
from test_otlp_json import TRACE, request, span


class Sender(threading.Thread):
    """Sends one trace after the other and keeps the ids that were acknowledged."""

    def __init__(self, obsrv, name):
        super().__init__(daemon=True)
        self.obsrv, self.name_ = obsrv, name
        self.acknowledged, self.statuses = [], []
        self.stopped = threading.Event()

    def run(self):
        with self.obsrv.client() as client:
            number = 0
            while not self.stopped.is_set():
                number += 1
                trace_id = f"{self.name_}{number:024x}"
                try:
                    answer = post_json(client, "/v1/traces", request(span(1, traceId=trace_id)))
                except Exception:  # the connection ended: the outcome is open
                    return
                self.statuses.append(answer.status_code)
                if answer.status_code == 200:
                    self.acknowledged.append(trace_id)


def senders(obsrv, count=4):
    all_of_them = [Sender(obsrv, f"{n:08x}") for n in range(1, count + 1)]
    for sender in all_of_them:
        sender.start()
    return all_of_them


def replayed(obsrv):
    """Records that the start found in the log alone."""
    said = json.loads(obsrv.run("status", "--data", str(obsrv.data)).stdout)
    return said["engine"]["counts"]["replayed_records"]


def test_sigterm_finishes_what_was_taken_and_leaves_an_empty_log(obsrv):
    load = senders(obsrv)
    while sum(len(sender.acknowledged) for sender in load) < 200:
        load[0].join(0.01)
    begun = time.monotonic()
    obsrv.stop()  # exit code 0, or it fails
    assert time.monotonic() - begun < 15
    for sender in load:
        sender.join(30)
        assert set(sender.statuses) <= {200, 503}, sender.statuses
    verified = obsrv.run("verify", str(obsrv.data)).stdout
    assert "records=0 " in verified, verified
    obsrv.start()
    with obsrv.client() as client:
        # A log without a record above the watermark is the mark of a clean stop, and the start says that it found it.
        assert "obsrv_replayed_records 0\n" in client.get("/metrics").text
        assert replayed(obsrv) == 0 and "log read" in obsrv.logged()
        there = {page["trace_id"] for page in pages(client, limit=1000)}
        for sender in load:
            assert set(sender.acknowledged) <= there
        assert post_json(client, "/v1/traces", request(span(1, traceId=f"{1:032x}"))).status_code == 200
    obsrv.kill()
    obsrv.start()
    assert replayed(obsrv) > 0


def under_strace(tmp_path, inject, *flags):
    """A server of which calls are delayed."""
    if not shutil.which("strace"):
        pytest.skip("needs strace")
    real = binary()
    wrapper = tmp_path / "wrapper.sh"
    call = inject.split(":")[0]
    line = f'exec strace -D -f -qq --seccomp-bpf -o /dev/null -e trace={call} -e inject={inject} {real} "$@"'
    wrapper.write_text(f"#!/bin/sh\n{line}\n")
    wrapper.chmod(0o700)
    before = os.environ.get("OBSRV_BIN")
    os.environ["OBSRV_BIN"] = str(wrapper)
    try:
        return Obsrv(tmp_path / "data", *flags).start()
    finally:
        if before is None:
            del os.environ["OBSRV_BIN"]
        else:
            os.environ["OBSRV_BIN"] = before


def test_slow_syncs_slow_writers_down_and_nobody_else(tmp_path):
    server = under_strace(tmp_path, "fdatasync:delay_enter=200000:when=40+")
    try:
        load = senders(server, 8)
        with server.client() as client:
            for _ in range(20):
                begun = time.monotonic()
                assert client.get("/live").status_code == 200
                assert client.get("/v1/traces?limit=5").status_code == 200
                assert time.monotonic() - begun < 5
        for sender in load:
            sender.stopped.set()
        for sender in load:
            sender.join(30)
            assert set(sender.statuses) <= {200, 503}, sender.statuses
        with server.client() as client:
            there = {page["trace_id"] for page in pages(client, limit=1000)}
        for sender in load:
            assert set(sender.acknowledged) <= there
    finally:
        server.end()


def ready_becomes(client, status):
    """What `/ready` says once it says it with this status."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = client.get("/ready")
        if answer.status_code == status:
            return answer.json()
        threading.Event().wait(0.2)
    pytest.fail(f"/ready never said {status}")


def test_a_stuck_sync_leaves_the_process_answering(tmp_path):
    server = under_strace(tmp_path, "fdatasync:delay_enter=20000000:when=60+")
    try:
        load = senders(server, 4)
        for _ in range(300):
            before = sum(len(sender.statuses) for sender in load)
            load[0].join(1)
            if before and before == sum(len(sender.statuses) for sender in load):
                break
        else:
            pytest.fail("no sync was stuck")
        with server.client() as client:
            begun = time.monotonic()
            assert client.get("/live").status_code == 200
            assert client.get("/v1/traces?limit=5").status_code == 200
            assert client.get("/metrics").status_code == 200
            assert time.monotonic() - begun < 5
            told = ready_becomes(client, 503)
            assert told["status"] == "stuck"
            assert client.get("/v1/traces?limit=5").status_code == 200
    finally:
        server.end()


@contextlib.contextmanager
def refused_reads(obsrv):
    """The system refuses every read of a running server, for as long as this lasts."""
    if not shutil.which("strace"):
        pytest.skip("needs strace")
    inject = ["-e", "trace=pread64", "-e", "inject=pread64:error=EIO"]
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", *inject, "-p", str(obsrv.child.pid)])
    try:
        tasks = pathlib.Path(f"/proc/{obsrv.child.pid}/task")
        while not all("TracerPid:\t0" not in (task / "status").read_text() for task in tasks.iterdir()):
            if tracer.poll() is not None:
                pytest.skip("may not trace a process that runs")
            threading.Event().wait(0.02)
        yield
    finally:
        tracer.terminate()
        tracer.wait(timeout=30)


def over_a_segment(obsrv):
    """Two spans in a segment, one so large that it has a block of its own, which nobody has read yet."""
    large = [{"key": "said", "value": {"stringValue": random.Random(1).randbytes(200_000).hex()}}]
    with obsrv.client() as client:
        assert post_json(client, "/v1/traces", request(span(1, attributes=large), span(2))).status_code == 200
    obsrv.stop()
    obsrv.start()


def changes(client):
    """Changes one of them, and is told soon that nobody knows whether that is stored."""
    begun = time.monotonic()
    answer = post_json(client, "/v1/traces", request(span(1, name="changed")))
    assert (answer.status_code, answer.headers["obsrv-outcome"]) == (503, "unknown"), answer.text
    assert time.monotonic() - begun < 15


def test_a_read_that_the_disk_refuses_is_waited_for(obsrv):
    over_a_segment(obsrv)
    fresh, other = "f" * 32, "e" * 32
    with obsrv.client() as client:
        assert post_json(client, "/v1/traces", request(span(1, traceId=fresh))).status_code == 200
        # What this takes of the segment is in memory from then on.
        assert len(trace_of(client, fresh)["trace"]["steps"]) == 1
        with refused_reads(obsrv):
            changes(client)
            refused = post_json(client, "/v1/traces", request(span(1, traceId=other)))
            assert (refused.status_code, refused.headers["obsrv-outcome"]) == (503, "not-stored"), refused.text
            assert refused.headers["retry-after"] == "10"
            told = ready_becomes(client, 503)
            assert told["status"] == "unreadable"
            assert "segment-" in told["cause"] and "offset=" in told["cause"], told
            assert "obsrv_waiting_records 1\n" in client.get("/metrics").text
            assert client.get("/live").status_code == 200
            assert len(trace_of(client, fresh)["trace"]["steps"]) == 1
        assert ready_becomes(client, 200)["status"] == "ready"
        assert len(trace_of(client, TRACE)["trace"]["steps"]) == 2
        assert post_json(client, "/v1/traces", request(span(1, name="changed"))).status_code == 200
        assert "obsrv_waiting_records 0\n" in client.get("/metrics").text
        assert len(trace_of(client, TRACE)["trace"]["steps"]) == 2
        assert {page["trace_id"] for page in pages(client, limit=10)} == {TRACE, fresh}


def test_a_stop_does_not_wait_for_the_disk_to_read(obsrv):
    over_a_segment(obsrv)
    with obsrv.client() as client, refused_reads(obsrv):
        changes(client)
        begun = time.monotonic()
        obsrv.stop()  # exit code 0, or it fails
        assert time.monotonic() - begun < 15
    verified = obsrv.run("verify", str(obsrv.data)).stdout
    assert "records=1 " in verified, verified
    obsrv.start()
    with obsrv.client() as client:
        assert len(trace_of(client, TRACE)["trace"]["steps"]) == 2


def opened(obsrv):
    connection = socket.create_connection(("127.0.0.1", obsrv.port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def head(length):
    lines = ["POST /v1/traces HTTP/1.1", "host: x", f"x-api-key: {KEY}", "content-type: application/json"]
    return "\r\n".join([*lines, f"content-length: {length}", "", ""]).encode()


def closed_after(connection, keep):
    """Seconds until the server has had enough, while `keep` is sent piece by piece."""
    begun = time.monotonic()
    connection.settimeout(0.5)
    while time.monotonic() - begun < 60:
        try:
            if keep is not None:
                connection.send(keep)
            if connection.recv(4096) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - begun


def test_clients_that_dawdle_are_let_go_and_hold_nobody_up(obsrv):
    silent = [opened(obsrv) for _ in range(100)]
    heads = [opened(obsrv) for _ in range(20)]
    for connection in heads:
        connection.send(b"POST /v1/traces HTTP/1.1\r\n")
    bodies = [opened(obsrv) for _ in range(20)]
    for connection in bodies:
        connection.send(head(100_000))
    with obsrv.client() as client:
        begun = time.monotonic()
        assert post_json(client, "/v1/traces", request(span(1))).status_code == 200
        assert time.monotonic() - begun < 5
    assert closed_after(silent[0], None) < 60
    assert closed_after(heads[0], b"x") < 60
    assert closed_after(bodies[0], b" ") < 60
    for connection in [*silent, *heads, *bodies]:
        connection.close()


def test_a_client_that_goes_away_leaves_nothing(obsrv):
    body = json.dumps(request(*(span(n) for n in range(1, 200)))).encode()
    for share in (0, len(body) // 2, len(body) - 1):
        connection = opened(obsrv)
        connection.send(head(len(body)) + body[:share])
        connection.close()
    with obsrv.client() as client:
        assert pages(client) == []
        assert post_json(client, "/v1/traces", json.loads(body)).status_code == 200
        assert len(pages(client)) == 1
        metrics = client.get("/metrics").text
        assert "obsrv_body_bytes_in_flight 0" in metrics
