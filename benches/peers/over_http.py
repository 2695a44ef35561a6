#!/usr/bin/env python3
"""What HTTP costs: Q1 to Q13 of AgentTraceBench asked of `obsrv serve` on one kept connection, beside the same
queries asked of the engine as a library over the same files.

The server takes the workload over HTTP, is stopped, started again and asked; then it is stopped and the example
`atb` opens its directory. Both are asked each query WARM times unmeasured and RUNS times measured; a row is one
query: medians, ratio, difference, and whether it is within 1.3 times the engine's own time plus 1 ms.
Queries over all projects are asked of each, and their time is that of all. The engine as a library keeps no
partial aggregates from one answer to the next and reads no bodies where ids are enough; the server does both.

With `--scores N` the project that is asked gets so many scores, Langfuse's and half of them of spans, and what is asked
of scores and by scores is timed as well; the engine is not asked that.

    cargo build --release -p obsrv-server -p obsrv-benches --bins
    cargo build --release -p obsrv-benches --example atb
    benches/peers/over_http.py --target target/release --dir /var/tmp/over-http --spans 10000000 --memory 1073741824
"""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
import urllib.parse

QUERIES = ["Q1", "Q2", "Q3", "Q4", "Q5", "Q6", "Q7", "Q8a", "Q8b", "Q8c", "Q8d", "Q9", "Q10", "Q11", "Q12", "Q13"]
WARM, RUNS, TRACES_A_RUN = 3, 10, 100
RATIO_MAX, MORE_MAX_MS = 1.3, 1.0
KEY = "obsrv_bench_0123456789abcdef0123456789abcdef"
MINUTE, HOUR, DAY = 60, 3_600, 86_400
READY_MAX_S, QUIET_MAX_S, QUIET_S = 300, 3_600, 2
SENDERS = 4
# Of the profile `core`.
PROJECTS = 24


class Connection:
    """HTTP/1.1 on a socket, kept: no library between the clock and the bytes."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def send(self, request):
        self.socket.sendall(request)
        while b"\r\n\r\n" not in self.rest:
            self.more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(headers["content-length"])
        parts, left = [self.rest[:length]], length - len(self.rest)
        self.rest = self.rest[length:]
        while left > 0:
            block = self.socket.recv(min(left, 1 << 20))
            if not block:
                raise ConnectionError("the server closed the connection")
            parts.append(block)
            left -= len(block)
        status = int(lines[0].split(" ")[1])
        body = b"".join(parts)
        # Some of the traces that are asked for never were.
        if status != 404 and not 200 <= status < 300:
            raise RuntimeError(f"{request[:300]!r}: {status} {body[:300]!r}")
        return body

    def more(self):
        block = self.socket.recv(1 << 16)
        if not block:
            raise ConnectionError("the server closed the connection")
        self.rest += block


def request(key, method, path, body=b"", kind="application/json"):
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\n"
    if body:
        head += f"content-type: {kind}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


class Server:
    def __init__(self, binary, data, memory):
        self.binary, self.data = binary, data
        self.flags = ["--memory", str(memory)] if memory else []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.child = None

    def start(self):
        command = [self.binary, "serve", "--data", self.data, "--http", f"127.0.0.1:{self.port}", "--grpc", "off"]
        with open(f"{self.data}.log", "ab") as log:
            environment = os.environ | {"OBSRV_BOOTSTRAP_KEY": KEY}
            self.child = subprocess.Popen([*command, *self.flags], stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + READY_MAX_S
        while True:
            try:
                Connection(self.port).send(request(KEY, "GET", "/ready"))
                return
            except (OSError, RuntimeError) as error:
                if self.child.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server is not ready: see {self.data}.log") from error
                time.sleep(0.01)

    def key_of(self, project):
        command = [self.binary, "key", "create", "--data", self.data, "--project", project]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]

    def await_quiet(self):
        """Until the process uses next to no CPU for a while."""
        deadline, since, used = time.monotonic() + QUIET_MAX_S, time.monotonic(), self.cpu()
        while time.monotonic() - since < QUIET_S and time.monotonic() < deadline:
            time.sleep(0.1)
            now = self.cpu()
            if now - used > 0.01:
                since = time.monotonic()
            used = now

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.child.terminate()
        self.child.wait(timeout=120)


def load(port, keys, stream):
    """Every request of the workload, as `rows --form otlp` writes them."""
    lock, failed = threading.Lock(), []

    def next_one():
        with lock:
            head = stream.read(8)
            if len(head) < 8:
                return None
            project, length = struct.unpack("<II", head)
            return project, stream.read(length)

    def send():
        try:
            connection = Connection(port)
            while not failed and (one := next_one()):
                body = request(keys[one[0]], "POST", "/v1/traces", one[1], "application/x-protobuf")
                connection.send(body)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def path_of(key):
    return key if key in ("model", "tool", "name") else f"metadata.{key}"


class Asker:
    """The requests of each query."""

    def __init__(self, asked, keys):
        self.asked, self.keys = asked, keys
        self.all = range(asked["projects"])

    def since(self, seconds):
        return self.at(self.asked["now_ns"] - seconds * 1_000_000_000)

    @staticmethod
    def at(ns):
        whole = datetime.datetime.fromtimestamp(ns // 1_000_000_000, datetime.timezone.utc)
        return whole.strftime("%Y-%m-%dT%H:%M:%S") + f".{ns % 1_000_000_000:09}Z"

    def get(self, route, project=None, **parameters):
        project = self.asked["project"] if project is None else project
        query = urllib.parse.urlencode(parameters)
        return request(self.keys[project], "GET", f"/v1/projects/{project + 1}{route}?{query}")

    def post(self, project=None, **question):
        project = self.asked["project"] if project is None else project
        body = json.dumps({"over": "spans"} | question).encode()
        return request(self.keys[project], "POST", f"/v1/projects/{project + 1}/aggregate", body)

    def words(self, name):
        return '"' + self.asked[name].replace("\\", "\\\\").replace('"', '\\"') + '"'

    def of(self, query, run):
        """The requests, and by how many their time is divided."""
        asked, ids = self.asked, {"limit": 50, "fields": "span_id"}
        day = self.since(DAY)
        if query == "Q1":
            fields = "trace_id,start,duration_ns,status"
            return [self.get("/traces", **{"from": self.since(HOUR)}, limit=50, fields=fields)], 1
        if query == "Q2":
            q = "status:error metadata.env:prod metadata.workflow:wf-3"
            fields = "span_id,input_preview,output_preview"
            return [self.get("/spans", q=q, **{"from": day}, limit=50, fields=fields)], 1
        if query == "Q3":
            runs = max(1, len(asked["traces"]) // TRACES_A_RUN)
            start = run % runs * TRACES_A_RUN
            share = asked["traces"][start : start + TRACES_A_RUN]
            return [request(self.keys[p], "GET", f"/v1/traces/{trace}") for p, trace in share], len(share)
        if query == "Q4":
            measures = [{"fn": "count"}, {"fn": "count", "where": "status:error"}]
            measures += [{"fn": "quantile", "of": "duration", "q": asked["quantiles"]}]
            time_range = {"from": self.since(DAY // 4), "to": self.at(asked["now_ns"] + DAY * 1_000_000_000)}
            question = {"q": "has:model", "group_by": ["model"], "interval": "1m", "measures": measures}
            return [self.post(**question, **time_range, fill=False, limit=10_000)], 1
        if query == "Q5":
            sums = [{"fn": "sum", "of": key} for key in ("tokens.input", "tokens.output", "cost_usd")]
            question = {"q": "has:model", "group_by": ["model"], "interval": "1d", "measures": sums, "fill": False}
            return [self.post(p, **question, limit=10_000) for p in self.all], 1
        if query == "Q6":
            measures = [{"fn": "sum", "of": "cost_usd"}, {"fn": "distinct", "of": "metadata.session"}]
            question = {"q": "has:metadata.user", "group_by": ["metadata.user"], "measures": measures}
            return [self.post(**question, sort="-0", limit=20)], 1
        if query == "Q7":
            rest = {"q": "tool:run_sql status:error", "from": day, "sort": "-duration", "limit": 100}
            return [self.get("/spans", p, **rest, fields="span_id,duration_ns") for p in self.all], 1
        if query.startswith("Q8"):
            name = {"a": "rare", "b": "absent", "c": "phrase", "d": "medium"}[query[-1]]
            return [self.get("/spans", q=self.words(name), **ids)], 1
        if query == "Q9":
            q = f"{self.words('common')} metadata.region:eu-west-1"
            return [self.get("/spans", p, q=q, **{"from": day}, **ids, total="true") for p in self.all], 1
        if query == "Q10":
            keys = ",".join(map(path_of, asked["facets"]))
            return [self.get("/facets", over="spans", keys=keys, q="status:error", **{"from": day}, limit=20)], 1
        if query == "Q11":
            q = f"metadata.session:{self.words('session')}"
            return [self.get("/traces", q=q, limit=50, fields="trace_id")], 1
        if query == "Q12":
            q = f"=~{self.words('pattern')}"
            return [self.get("/spans", q=q, **{"from": self.since(HOUR)}, **ids, total="true")], 1
        q = f"{path_of(asked['rare_key'])}:true"
        return [self.get("/spans", q=q, **ids, total="true")], 1


SCORED = {
    "traces that a score passes": ("get", "/traces", {"q": "scores.good>0.9", "limit": 50, "fields": "trace_id", "total": "true"}),
    "spans that a score passes": ("get", "/spans", {"q": "scores.good>0.9", "limit": 50, "fields": "span_id", "total": "true"}),
    "traces by the mean of their scores": ("get", "/traces", {"sort": "-scores.good", "limit": 50, "fields": "trace_id"}),
    "mean score of spans by model": (
        "post", "spans", {"group_by": ["model"], "measures": [{"fn": "avg", "of": "scores.good"}]}),
    "traces by each score": ("post", "traces", {"group_by": ["scores.tone"]}),
    "values of a score among traces": ("get", "/facets", {"keys": "scores.tone"}),
    "scores above a value": ("get", "/scores", {"q": "name:good value>0.9", "limit": 50, "total": "true"}),
    "scores by value": ("get", "/scores", {"sort": "-value", "limit": 50}),
    "one span's scores": ("get", "/scores", {"q": "span_id:{span}", "limit": 50, "total": "true"}),
    "mean of scores by name": (
        "post", "scores", {"group_by": ["name"], "measures": [{"fn": "avg", "of": "value"}]}),
    "values of scores": ("get", "/facets", {"over": "scores", "keys": "name,value"}),
}
SCORES_A_REQUEST = 500


def send_scores(port, asker, count):
    """Scores of what the project has, the newest first, round and round; answers one of the spans."""
    connection, pairs, cursor, most = Connection(port), [], {}, max(1, count // 2)
    while len(pairs) < most:
        page = json.loads(connection.send(asker.get("/spans", limit=1_000, fields="trace_id,span_id", **cursor)))
        pairs += [(row["trace_id"], row["span_id"]) for row in page["data"]]
        if not page["next_cursor"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    key = asker.keys[asker.asked["project"]]
    for first in range(0, count, SCORES_A_REQUEST):
        scores = []
        for n in range(first, min(count, first + SCORES_A_REQUEST)):
            trace, span = pairs[n // 2 % len(pairs)]
            of = {"id": f"score-{n}", "traceId": trace, "observationId": span if n % 4 < 2 else None}
            said = {"name": "good", "value": n * 7_919 % 1_000 / 1_000}
            if n % 2:
                said = {"name": "tone", "value": ("calm", "warm", "harsh", "cold")[n % 13 % 4]}
            scores.append(of | said)
        connection.send(request(key, "POST", "/api/public/scores", json.dumps(scores).encode()))
    return pairs[0][1]


def ask_scores(port, asker, span):
    connection = Connection(port)
    print("| question about scores | HTTP, ms |\n|---|---|")
    for name, (way, where, asked) in SCORED.items():
        if way == "post":
            one = asker.post(**{"over": where, **asked})
        else:
            one = asker.get(where, **{key: value.format(span=span) if key == "q" else value for key, value in asked.items()})
        times = []
        for run in range(WARM + RUNS):
            begun = time.perf_counter()
            connection.send(one)
            times += [time.perf_counter() - begun] if run >= WARM else []
        print(f"| {name} | {statistics.median(times) * 1e3:.2f} |", flush=True)


def over_http(port, asker):
    connection, medians, answers = Connection(port), {}, {}
    for query in QUERIES:
        times = []
        for run in range(WARM + RUNS):
            requests, parts = asker.of(query, max(0, run - WARM))
            bodies = []
            begun = time.perf_counter()
            for one in requests:
                bodies.append(connection.send(one))
            took = (time.perf_counter() - begun) / parts
            if run >= WARM:
                times.append(took)
        medians[query], answers[query] = statistics.median(times), bodies
    return medians, answers


def told(query, bodies, asked):
    """What the server answers, as the manifest has it, for queries of which that is ids and counts."""
    said = [json.loads(body) for body in bodies]
    ids = [row["span_id"] for one in said for row in one.get("data", []) if "span_id" in row]
    if query in ("Q12", "Q13", "Q9"):
        return [sum(one["total"] for one in said)]
    if query.startswith("Q8"):
        return sorted(ids)
    if query == "Q11":
        return sorted(row["trace_id"] for row in said[0]["data"])
    return None


def in_engine(atb, data, memory, manifest, queries):
    """The same of the engine as a library: medians and answers."""
    child = subprocess.Popen([atb, data, str(memory or 1 << 30)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def tell(**command):
        child.stdin.write(json.dumps(command).encode() + b"\n")
        child.stdin.flush()
        answer = json.loads(child.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    assert "ready" in json.loads(child.stdout.readline())
    medians, answers = {}, {}
    for query in queries:
        common = {"query": query, "manifest": manifest}
        answers[query] = tell(do="ask", **common)["answer"]
        medians[query] = statistics.median(tell(do="time", warm=WARM, runs=RUNS, **common)["wall"])
    child.stdin.write(b'{"do": "quit"}\n')
    child.stdin.flush()
    child.wait(timeout=120)
    return medians, answers


def same(query, mine, engine):
    if query in ("Q12", "Q13", "Q9"):
        return mine == [engine[0]]
    return mine == sorted(engine)


def arguments(about):
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=pathlib.Path, required=True, help="directory of obsrv, rows and examples/atb")
    parser.add_argument("--dir", type=pathlib.Path, required=True, help="where the data is put; removed at the end")
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--memory", type=int, help="bytes that the server and the engine may use")
    return parser


def filled(server, args):
    """What is asked of a server that has the workload."""
    answers = str(args.dir / "answers.json")
    rows = [str(args.target / "rows"), "--form", "otlp", "--spans", str(args.spans), "--answers", answers]
    keys = [KEY] + [server.key_of(f"bench-{n}") for n in range(1, PROJECTS)]
    maker = subprocess.Popen(rows, stdout=subprocess.PIPE, bufsize=1 << 20)
    load(server.port, keys, maker.stdout)
    assert maker.wait() == 0
    asked = json.loads(pathlib.Path(answers).read_text())["asked"]
    for index in range(asked["projects"]):
        said = json.loads(Connection(server.port).send(request(keys[index], "GET", "/api/public/projects")))
        assert said["data"][0]["id"] == str(index + 1), "projects have other ids than the engine is asked for"
    return Asker(asked, keys)


def main():
    parser = arguments(__doc__)
    parser.add_argument("--scores", type=int, default=0, help="scores that the project gets which is asked")
    parser.add_argument("--keep", action="store_true", help="leave the data")
    args = parser.parse_args()
    args.dir.mkdir(parents=True, exist_ok=True)
    data, manifest = str(args.dir / "data"), str(args.dir / "answers.json")
    server = Server(str(args.target / "obsrv"), data, args.memory)
    begun = time.monotonic()
    server.start()
    try:
        asker = filled(server, args)
        scored = send_scores(server.port, asker, args.scores) if args.scores else None
        server.await_quiet()
        server.stop()
        print(f"{args.spans} spans, loaded and quiet after {time.monotonic() - begun:.0f} s", flush=True)
        server.start()
        server.await_quiet()
        if scored:
            ask_scores(server.port, asker, scored)
        served, bodies = over_http(server.port, asker)
    finally:
        server.stop()
    engine, answers = in_engine(str(args.target / "examples" / "atb"), data, args.memory, manifest, QUERIES)
    print("| query | HTTP, ms | engine, ms | ratio | more, ms | within |\n|---|---|---|---|---|---|")
    late = []
    for query in QUERIES:
        mine = told(query, bodies[query], asker.asked)
        if mine is not None and not same(query, mine, answers[query]):
            sys.exit(f"{query}: HTTP answers otherwise than the engine: {str(mine)[:300]} {str(answers[query])[:300]}")
        http_ms, engine_ms = served[query] * 1e3, engine[query] * 1e3
        # One millisecond for each request that a query is.
        requests = 1 if query == "Q3" else len(asker.of(query, 0)[0])
        within = http_ms <= RATIO_MAX * engine_ms + MORE_MAX_MS * requests
        late += [] if within else [query]
        ratio, more = http_ms / engine_ms, http_ms - engine_ms
        print(f"| {query} | {http_ms:.2f} | {engine_ms:.2f} | {ratio:.2f} | {more:+.2f} | {'yes' if within else 'NO'} |")
    if not args.keep:
        shutil.rmtree(args.dir)
    if late:
        sys.exit(f"over {RATIO_MAX} times the engine's own time plus {MORE_MAX_MS} ms: {', '.join(late)}")


if __name__ == "__main__":
    main()
