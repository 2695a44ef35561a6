"""Times that nobody can mean, little memory, no descriptors: F1, F20, F21, F23, F24 of FAULTS.md."""

import json
import os
import random
import resource
import socket
import threading
import time

import pytest

from server import Obsrv, post_json
from test_faults import under_strace
from test_otlp_json import request, span

MIB = 1 << 20
# The widest times of OTLP that fit into a row, and those that do not.
FITTING = [(0, 1), (10**9, 2 * 10**9), (2**63 - 1, 2**63 - 1), (5, 3), (1_700_000_000 * 10**9, 2**63 - 1)]
REFUSED = [(2**64 - 1, 2**64 - 1), (0, 2**64 - 1), (16_725_225_600 * 10**9, 16_725_225_601 * 10**9), (2**63, 0), (-5, 7)]


def timed(number, start, end):
    times = {"startTimeUnixNano": str(start), "endTimeUnixNano": str(end)}
    return span(1, traceId=f"{number:032x}", **times)


def segments(server):
    return [path for path in server.data.iterdir() if path.name.startswith("segment-")]


def test_hostile_timestamps_are_kept_or_refused_and_make_no_windows(tmp_path):
    server = Obsrv(tmp_path / "data", "--memory", "128MiB").start()
    chance = random.Random(23)
    try:
        with server.client() as client:
            for number, (start, end) in enumerate(FITTING, 1):
                answer = post_json(client, "/v1/traces", request(timed(number, start, end)))
                assert answer.json() == {"partialSuccess": {}}, (start, end, answer.text)
            for number, (start, end) in enumerate(REFUSED, 100):
                answer = post_json(client, "/v1/traces", request(timed(number, start, end)))
                told = answer.json()["partialSuccess"]
                assert told["rejectedSpans"] == "1" and "ime" in told["errorMessage"], answer.text
            # A retention of a day: what says that it is from 1970 came just now.
            settings = client.get("/v1/projects/1/settings").json()
            kept = {**settings["settings"], "retention": {**settings["settings"]["retention"], "traces_days": 1}}
            answer = client.put("/v1/projects/1/settings", json={"revision": settings["revision"], "settings": kept})
            assert answer.status_code < 300, answer.text
        for life in range(5):
            with server.client() as client:
                # Starts over three centuries: as many windows of ten minutes as there are spans.
                spans = [timed(1000 + life * 400 + n, at, at + 1) for n in range(400) for at in [chance.getrandbits(62)]]
                assert post_json(client, "/v1/traces", request(*spans)).json() == {"partialSuccess": {}}
            server.stop()  # which flushes
            assert len(segments(server)) <= life + 1
            server.start()
        with server.client() as client:
            count = client.post("/v1/projects/1/aggregate", json={}).json()["total"]["rows"]
            assert count == len(FITTING) + 5 * 400
            begun = time.monotonic()
            for ask in ({"interval": "1m"}, {"interval": "1s", "from": "1970-01-01", "to": "2262-01-01"}):
                refused = client.post("/v1/projects/1/aggregate", json=ask)
                assert refused.status_code == 422 and "time buckets" in refused.text, refused.text
            decades = client.post("/v1/projects/1/aggregate", json={"interval": "3650d"}).json()
            assert decades["total"]["rows"] == count
            assert time.monotonic() - begun < 5
    finally:
        server.end()


def hammer(count, act):
    """Runs `act(client number)` over and over in so many threads; gives what stops them."""
    over, failures = threading.Event(), []

    def loop(number):
        while not over.is_set():
            try:
                act(number)
            except Exception as failure:  # told by the main thread
                failures.append(failure)
                return

    threads = [threading.Thread(target=loop, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()

    def stop():
        over.set()
        for thread in threads:
            thread.join(60)
        assert not failures, failures[0]

    return stop


def large(number):
    text = {"stringValue": f"{number} " + "x" * 4000}
    spans = [span(n, traceId=f"{number:032x}", attributes=[{"key": "text", "value": text}]) for n in range(1, 400)]
    return json.dumps(request(*spans)).encode()


@pytest.mark.parametrize("budget", [384 * MIB, 256 * MIB, 128 * MIB])
def test_the_memory_budget_holds_under_everything_at_once(tmp_path, budget):
    """Bodies, questions, exports and live tails of more than there is room for."""
    server = Obsrv(tmp_path / "data", "--memory", f"{budget // MIB}MiB").start()
    bodies = [large(n) for n in range(24)]
    taken = []
    try:

        def send(number):
            with server.client() as client:
                headers = {"content-type": "application/json"}
                chosen = bodies[(number + len(taken)) % len(bodies)]
                answer = client.post("/v1/traces", content=chosen, headers=headers, timeout=60)
                assert answer.status_code in (200, 429, 503), answer.text
                taken.append(answer.status_code)

        def ask(number):
            asked = [
                ("GET", "/v1/projects/1/spans?limit=1000&q=text~xx"),
                ("GET", "/v1/projects/1/export?over=spans&raw=true"),
                ("GET", "/v1/projects/1/facets?over=spans&keys=name,text&limit=1000"),
                ("POST", "/v1/projects/1/aggregate"),
            ]
            method, path = asked[number % len(asked)]
            body = {"over": "spans", "group_by": ["trace_id", "span_id"]} if method == "POST" else None
            with server.client() as client:
                answer = client.request(method, path, json=body, timeout=60)
                assert answer.status_code in (200, 422, 429, 503), answer.text

        def follow(_):
            with server.client() as client, client.stream("GET", "/v1/projects/1/tail?over=spans", timeout=60) as tail:
                assert tail.status_code in (200, 429, 503)
                for _ in zip(range(3), tail.iter_raw()):
                    pass

        stops = [hammer(8, send), hammer(8, ask), hammer(6, follow)]
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            assert server.child.poll() is None, server.logged()
            threading.Event().wait(0.1)
        peak = server.peak_memory()
        for stop in stops:
            stop()
        assert 200 in taken
        assert peak <= budget * 1.25, f"{peak // MIB} MiB of {budget // MIB}"
    finally:
        server.end()


def connected(server):
    """A connection that was let in. Those of the start may take a moment to be counted out."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        one = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        one.sendall(b"GET /live HTTP/1.1\r\nhost: x\r\n\r\n")
        try:
            if one.recv(4096).startswith(b"HTTP/1.1 200"):
                return one
        except ConnectionResetError:
            pass
        one.close()
    raise AssertionError("no connection is let in")


def test_connections_hold_no_more_than_their_part_of_the_budget(tmp_path):
    """As many as there may be, each with a head that is nearly too long and never ends; one more is closed."""
    most, budget = 256, 128 * MIB
    server = Obsrv(tmp_path / "data", "--memory", f"{budget // MIB}MiB").start()
    head = b"GET /live HTTP/1.1\r\nhost: x\r\n" + b"".join(b"x-%d: " % n + b"y" * 7000 + b"\r\n" for n in range(4))
    held = []
    try:
        held.extend(connected(server) for _ in range(most))
        for one in held:
            one.sendall(head)
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as more:
            assert more.recv(1) == b""
        for one in held:
            one.sendall(b"\r\n")
            assert one.recv(4096).startswith(b"HTTP/1.1 200")
        assert server.peak_memory() <= budget * 1.25, f"{server.peak_memory() // MIB} MiB"
    finally:
        for one in held:
            one.close()
        server.end()


def test_a_head_at_the_limit_is_taken_and_one_byte_more_is_not(tmp_path):
    most = 32 << 10
    begun, ended = b"GET /live HTTP/1.1\r\nhost: x\r\nx-long: ", b"\r\n\r\n"
    server = Obsrv(tmp_path / "data", "--memory", "128MiB").start()
    try:
        for length, status in [(most, b"200"), (most + 1, b"431")]:
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as one:
                one.sendall(begun + b"y" * (length - len(begun) - len(ended)) + ended)
                assert one.recv(4096).startswith(b"HTTP/1.1 " + status)
    finally:
        server.end()


def test_a_budget_one_byte_below_the_least_is_refused_by_name(tmp_path):
    """The least itself is what the test before holds to its word."""
    server = Obsrv(tmp_path / "data", "--memory", str(128 * MIB - 1))
    with pytest.raises(AssertionError):
        server.start()
    assert "memory budget too small" in server.logged() and str(128 * MIB) in server.logged(), server.logged()


def test_a_slow_disk_costs_no_more_memory_than_the_budget(tmp_path):
    server = under_strace(tmp_path, "fdatasync:delay_enter=300000:when=40+", "--memory", "256MiB")
    bodies = [large(n) for n in range(8)]
    statuses = []
    try:

        def send(number):
            with server.client() as client:
                headers = {"content-type": "application/json"}
                statuses.append(client.post("/v1/traces", content=bodies[number % 8], headers=headers, timeout=60).status_code)

        stop = hammer(24, send)
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            with server.client() as client:
                assert client.get("/live").status_code == 200
            threading.Event().wait(0.2)
        stop()
        assert set(statuses) <= {200, 503}, set(statuses)
        assert server.peak_memory() <= 1.25 * 256 * MIB, f"{server.peak_memory() // MIB} MiB"
    finally:
        server.end()


def test_a_process_out_of_descriptors_goes_on_once_there_are_some(tmp_path):
    server = Obsrv(tmp_path / "data", "--memory", "128MiB").start()
    pid = server.child.pid
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    acknowledged = []
    try:
        with server.client() as client:

            def send(number, count):
                for n in range(count):
                    trace_id = f"{number:016x}{n:016x}"
                    text = {"key": "text", "value": {"stringValue": f"{random.Random(n).getrandbits(160_000):x}"}}
                    answer = post_json(client, "/v1/traces", request(span(1, traceId=trace_id, attributes=[text])))
                    assert answer.status_code in (200, 503), answer.text
                    if answer.status_code == 200:
                        acknowledged.append(trace_id)

            send(1, 20)
            # From here on no file and no connection can be opened: flushes, new files of the log, clients.
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
            send(2, 400)  # more than a memtable holds
            assert server.child.poll() is None, server.logged()
            # What cannot be done for want of descriptors is not tried all the time, whoever waits for it.
            begun, burnt = time.monotonic(), server.cpu_seconds()
            with pytest.raises(Exception), server.client() as other:  # accepted by the kernel, by nobody else
                other.get("/live", timeout=2)
            share = (server.cpu_seconds() - burnt) / (time.monotonic() - begun)
            assert share < 0.1, f"{share:.2f} CPU seconds a second"
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (1024, hard))
            deadline = time.monotonic() + 20
            before = len(acknowledged)
            while len(acknowledged) == before:
                assert time.monotonic() < deadline, server.logged()
                send(3, 1)
            server.await_ready()
        server.restart()
        with server.client() as client:
            for trace_id in acknowledged:
                assert client.get(f"/v1/traces/{trace_id}").status_code == 200, trace_id
    finally:
        server.end()


def test_what_recovery_must_read_is_bounded_by_the_budget(tmp_path):
    """Five memtables, a queue and two files of the log: recovery reads no more, however much was sent."""
    memory = 128 * MIB
    server = Obsrv(tmp_path / "data", "--memory", "128MiB").start()
    bound = 6 * (memory // 16) + memory // 16 + 2 * (memory // 8)
    noise = random.Random(1)
    try:
        sent = 0
        with server.client() as client:
            number = 0
            while sent < 3 * bound:
                number += 1
                text = {"key": "text", "value": {"stringValue": f"{noise.getrandbits(2_000_000):x}"}}
                body = json.dumps(request(span(1, traceId=f"{number:032x}", attributes=[text]))).encode()
                answer = client.post("/v1/traces", content=body, headers={"content-type": "application/json"})
                sent += len(body) if answer.status_code == 200 else 0
                log = sum(
                    os.fstat(file.fileno()).st_size
                    for path, file in server.files()
                    if path.name.startswith(("wal-", "side-"))
                )
                assert log <= bound, f"{log // MIB} MiB after {sent // MIB} MiB, bound {bound // MIB}"
        server.restart()
    finally:
        server.end()
