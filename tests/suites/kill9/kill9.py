"""kill -9 of the real binary, again and again, under concurrent ingest: python3 kill9.py [--cycles N] [--seed N]

The ledger lives in this process, which is not killed. It holds, for every trace, which contents may be served:
after an acknowledgement exactly one; for a request that was cut off, the old content or the new, whole.

After each crash: nothing acknowledged is lost, nothing is there twice, no batch is there by half."""

import argparse
import hashlib
import http.client
import json
import pathlib
import random
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "clients" / "python"))

from server import KEY, Obsrv

WRITERS = 4
MEMORY = "128MiB"  # the least there is, so that flushes and compactions happen under the kills
LOAD_SECONDS = (0.05, 0.40)
CHECK_AGAIN = 150  # traces of earlier cycles that are read whole after each crash
ABSENT = None


def digest(steps):
    """What must not change about the steps of a trace, whatever their order."""
    seen = sorted((s["step_id"], s["name"], s["metadata"]["payload"]) for s in steps)
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:24]


class Ledger:
    """Which contents each trace may have."""

    def __init__(self):
        self.lock = threading.Lock()
        self.allowed = {}  # trace id -> set of contents; ABSENT when it may be missing
        self.batches = []  # sets of trace ids that are there together or not at all
        self.acknowledged = 0
        self.cut_off = 0

    def begin(self, contents):
        """Before a request: its traces may have the old content or the new."""
        with self.lock:
            for trace_id, content in contents.items():
                self.allowed.setdefault(trace_id, {ABSENT}).add(content)

    def acknowledge(self, contents):
        with self.lock:
            self.acknowledged += 1
            for trace_id, content in contents.items():
                self.allowed[trace_id] = {content}

    def unknown(self, contents):
        with self.lock:
            self.cut_off += 1
            if len(contents) > 1:
                self.batches.append(dict(contents))

    def settle(self, trace_id, content):
        """What a crash left is what stays."""
        with self.lock:
            self.allowed[trace_id] = {content}


class Writer(threading.Thread):
    """Sends traces, batches, updates and repeats until the connection breaks."""

    def __init__(self, obsrv, ledger, cycle, number, seed):
        super().__init__(daemon=True)
        self.port, self.ledger = obsrv.port, ledger
        self.random = random.Random(f"{seed}/{cycle}/{number}")
        self.name_ = f"c{cycle}-w{number}"
        self.made = 0
        self.sent = []  # own traces whose last request was acknowledged
        self.failure = None

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            while self.step(connection):
                pass
        except Exception as failure:  # told by the main thread
            self.failure = failure
        finally:
            connection.close()

    def step(self, connection):
        choice = self.random.random()
        if choice < 0.45 or not self.sent:
            return self.one(connection, self.fresh())
        if choice < 0.60:
            return self.one(connection, self.random.choice(self.sent))
        if choice < 0.75:
            return self.one(connection, self.updated(self.random.choice(self.sent)))
        if choice < 0.88:
            return self.batch(connection)
        return self.spans(connection)

    def fresh(self):
        self.made += 1
        trace_id = f"{self.name_}-{self.made}"
        count = self.random.randint(1, 12)
        steps = [self.a_step(trace_id, i, 0) for i in range(count)]
        return self.a_trace(trace_id, 0, steps)

    def a_step(self, trace_id, index, revision):
        payload = f"{revision}:{self.random.getrandbits(64):016x}" * self.random.choice([1, 4, 60])
        return {
            "step_id": f"{trace_id}.{index}",
            "index": index,
            "type": "custom",
            "name": f"step {index}",
            "status": "success",
            "started_at": "2026-01-01T00:00:00.000000Z",
            "ended_at": f"2026-01-01T00:00:{revision % 60:02}.000000Z",
            "metadata": {"payload": payload},
        }

    def a_trace(self, trace_id, revision, steps):
        return {
            "trace_id": trace_id,
            "name": "cycle",
            "status": "success",
            "started_at": "2026-01-01T00:00:00.000000Z",
            "ended_at": f"2026-01-01T00:{revision // 60 % 60:02}:{revision % 60:02}.000000Z",
            "metadata": {"revision": revision, "digest": digest(steps)},
            "steps": steps,
        }

    def updated(self, trace):
        """The same steps and one more, all with new content and later ends."""
        revision = trace["metadata"]["revision"] + 1
        if revision > 59:
            return self.fresh()
        steps = [self.a_step(trace["trace_id"], i, revision) for i in range(len(trace["steps"]) + 1)]
        return self.a_trace(trace["trace_id"], revision, steps)

    def one(self, connection, trace):
        done = self.send(connection, "/v1/traces", "application/json", json.dumps(trace), {trace["trace_id"]: trace})
        return done

    def batch(self, connection):
        traces = [self.fresh() for _ in range(self.random.randint(2, 20))]
        body = "\n".join(json.dumps(t) for t in traces)
        contents = {t["trace_id"]: t for t in traces}
        return self.send(connection, "/v1/imports/traces", "application/x-ndjson", body, contents)

    def spans(self, connection):
        """One OTLP request with the spans of several traces."""
        contents, spans = {}, []
        for _ in range(self.random.randint(1, 6)):
            self.made += 1
            trace_id = hashlib.md5(f"{self.name_}-{self.made}".encode()).hexdigest()
            payloads = [f"{self.random.getrandbits(64):016x}" for _ in range(self.random.randint(1, 9))]
            for i, payload in enumerate(payloads):
                spans.append(otlp_span(trace_id, i, payload))
            steps = [
                {"step_id": f"{i + 1:016x}", "name": f"span {i}", "metadata": {"payload": p}}
                for i, p in enumerate(payloads)
            ]
            contents[trace_id] = {"steps": steps, "metadata": {"digest": digest(steps)}}
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
        return self.send(connection, "/v1/traces", "application/json", body, contents)

    def send(self, connection, path, kind, body, traces):
        contents = {trace_id: (len(t["steps"]), t["metadata"]["digest"]) for trace_id, t in traces.items()}
        self.ledger.begin(contents)
        try:
            connection.request("POST", path, body.encode(), {"content-type": kind, "x-api-key": KEY})
            answer = connection.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException):
            self.ledger.unknown(contents)
            return False
        if answer.status == 503:
            self.ledger.unknown(contents)
            return True
        assert answer.status < 300, f"{answer.status} {told[:300]}"
        self.ledger.acknowledge(contents)
        for trace in traces.values():
            if "trace_id" in trace:
                self.sent = [t for t in self.sent[-50:] if t["trace_id"] != trace["trace_id"]] + [trace]
        return True


def otlp_span(trace_id, index, payload):
    return {
        "traceId": trace_id,
        "spanId": f"{index + 1:016x}",
        "parentSpanId": "" if index == 0 else f"{1:016x}",
        "name": f"span {index}",
        "startTimeUnixNano": "1767225600000000000",
        "endTimeUnixNano": "1767225601000000000",
        "attributes": [{"key": "payload", "value": {"stringValue": payload}}],
    }


class Reader:
    def __init__(self, obsrv):
        self.connection = http.client.HTTPConnection("127.0.0.1", obsrv.port, timeout=60)

    def get(self, path):
        self.connection.request("GET", path, headers={"x-api-key": KEY})
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())

    def content(self, trace_id):
        """(steps, digest of what they say) of one trace, or ABSENT."""
        status, body = self.get(f"/v1/traces/{trace_id}")
        if status == 404:
            return ABSENT
        assert status == 200, body
        steps = body["trace"]["steps"]
        assert len({s["step_id"] for s in steps}) == len(steps), f"doubled step trace={trace_id}"
        assert body["meta"]["step_count"] == len(steps), f"count differs from steps trace={trace_id}"
        return len(steps), digest(steps)

    def listed(self):
        """Every summary, each once."""
        found, cursor = {}, None
        while True:
            path = "/v1/traces?limit=1000" + (f"&cursor={cursor}" if cursor else "")
            status, page = self.get(path)
            assert status == 200, page
            for item in page["items"]:
                assert item["trace_id"] not in found, f"listed twice trace={item['trace_id']}"
                found[item["trace_id"]] = item["step_count"]
            cursor = page["next_cursor"]
            if not cursor:
                return found


def check(reader, ledger, trace_ids):
    """The served content is one that the ledger allows; from now on it is the only one."""
    contents = {}
    for trace_id in trace_ids:
        content = reader.content(trace_id)
        allowed = ledger.allowed[trace_id]
        assert content in allowed, f"trace={trace_id} served={content} allowed={allowed}"
        ledger.settle(trace_id, content)
        contents[trace_id] = content
    for batch in ledger.batches:
        there = [contents.get(t, reader.content(t)) == content for t, content in batch.items()]
        assert all(there) or not any(there), f"half a batch: {sum(there)} of {len(there)}: {sorted(batch)[:3]}"
    ledger.batches.clear()


def check_list(reader, ledger):
    listed = reader.listed()
    for trace_id, allowed in ledger.allowed.items():
        steps = listed.get(trace_id)
        assert steps in {content and content[0] for content in allowed}, f"list: {trace_id} {steps} {allowed}"
    unknown = listed.keys() - ledger.allowed.keys()
    assert not unknown, f"never sent: {sorted(unknown)[:3]}"
    return len(listed)


def cycle(obsrv, ledger, number, seed, chance):
    before = set(ledger.allowed)
    writers = [Writer(obsrv, ledger, number, n, seed) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    time.sleep(chance.uniform(*LOAD_SECONDS))
    obsrv.kill()
    for writer in writers:
        writer.join()
        if writer.failure:
            raise writer.failure
    obsrv.start()
    reader = Reader(obsrv)
    touched = sorted(set(ledger.allowed) - before)
    older = chance.sample(sorted(before), min(CHECK_AGAIN, len(before)))
    check(reader, ledger, touched + older)


def main():
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--cycles", type=int, default=200)
    flags.add_argument("--seed", type=int, default=1)
    flags = flags.parse_args()
    chance = random.Random(flags.seed)
    ledger = Ledger()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="obsrv-kill9-") as folder:
        obsrv = Obsrv(pathlib.Path(folder) / "data", "--memory", MEMORY).start()
        try:
            for number in range(flags.cycles):
                cycle(obsrv, ledger, number, flags.seed, chance)
                if number % 50 == 49:
                    check_list(Reader(obsrv), ledger)
            there = check_list(Reader(obsrv), ledger)
            obsrv.stop()
            obsrv.start()
            assert check_list(Reader(obsrv), ledger) == there
            check(Reader(obsrv), ledger, sorted(ledger.allowed))
        except AssertionError:
            print(obsrv.logged(), file=sys.stderr)
            raise
        finally:
            obsrv.end()
    assert ledger.cut_off > 0 and ledger.acknowledged > flags.cycles, "the load never met a kill"
    print(
        f"{flags.cycles} kills, {ledger.acknowledged} requests acknowledged, {ledger.cut_off} cut off, "
        f"{there} traces read back equal, {time.monotonic() - begun:.0f} s, seed {flags.seed}"
    )


if __name__ == "__main__":
    main()
