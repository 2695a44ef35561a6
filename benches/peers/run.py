#!/usr/bin/env python3
"""AgentTraceBench: obsrv and its peers on the same spans, log lines or metric points, one after the other.

Every engine is given the workload in batches as it is made, says when it is quiet, is asked
each query once after a restart with its files dropped from the page cache, and then each query
three times unmeasured and ten times measured. No time counts before the answer is the manifest's.
Writes nothing outside --dir, and removes what it wrote there but for results.json.
"""

import argparse
import json
import math
import os
import select
import shutil
import statistics
import struct
import subprocess
import sys
import time
import venv
from pathlib import Path

import check
import workload

HERE = Path(__file__).resolve().parent
WARM, RUNS = 3, 10
CHUNK_BYTES = 64 << 20
END_DAY, DAYS = 1_793_491_200 // 86_400, 7
# Longest wait for an answer; loading a batch and settling have longer ones.
ASK_MAX_S, LOAD_MAX_S, SETTLE_MAX_S = 300, 900, 7_200


class Failed(Exception):
    """An engine did not do what it was told."""


class Engine:
    """What is the same for every run of an engine."""

    def __init__(self, name, form, command, durability, ingest_only=False):
        self.name, self.form, self.command = name, form, command
        self.durability, self.ingest_only = durability, ingest_only


class Worker:
    """A running engine: a process that obeys lines of JSON."""

    def __init__(self, engine, directory, log):
        command = [str(word).replace("{data}", str(directory)) for word in engine.command]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=log, cwd=directory.parent)
        self.rest = b""
        self.answer(LOAD_MAX_S)

    def tell(self, limit_s, **command):
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()
        answer = self.answer(limit_s)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def answer(self, limit_s):
        deadline = time.monotonic() + limit_s
        while b"\n" not in self.rest:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, left))
            if not ready:
                self.process.kill()
                raise Failed(f"no answer within {limit_s} s")
            block = os.read(self.process.stdout.fileno(), 1 << 20)
            if not block:
                raise Failed(f"ended, status {self.process.wait()}")
            self.rest += block
        line, _, self.rest = self.rest.partition(b"\n")
        return json.loads(line)

    def quit(self):
        if self.process.poll() is None:
            try:
                self.process.stdin.write(b'{"do": "quit"}\n')
                self.process.stdin.flush()
                self.process.wait(SETTLE_MAX_S)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.quit()


def chunks(stream, form):
    """The workload in pieces of about CHUNK_BYTES that end where a row or a request ends."""
    rest = b""
    while block := stream.read(CHUNK_BYTES - len(rest)):
        rest += block
        if form == "otlp":
            at = 0
            while at + 8 <= len(rest):
                size = struct.unpack_from("<I", rest, at + 4)[0]
                if at + 8 + size > len(rest):
                    break
                at += 8 + size
        else:
            at = rest.rfind(b"\n") + 1
        if at:
            yield rest[:at]
            rest = rest[at:]
    if rest:
        raise Failed("the workload ends in the middle of a row")


def is_log(path):
    """Whether a file belongs to an engine's log, which has the size that its settings give it."""
    name = os.path.basename(path)
    return name.startswith(("wal-", "tmp-")) or name.endswith(".wal") or "/pg_wal/" in path


def disk_bytes(directory, log=True):
    total = 0
    for root, _, files in os.walk(directory):
        for name in files:
            if not log and is_log(os.path.join(root, name)):
                continue
            try:
                total += os.lstat(os.path.join(root, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


def drop_caches(directory):
    """The engine's files leave the page cache; those of others stay."""
    for root, _, files in os.walk(directory):
        for name in files:
            path = os.path.join(root, name)
            if not os.path.isfile(path):
                continue
            file = os.open(path, os.O_RDONLY)
            try:
                os.fsync(file)
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(file)


class Bench:
    def __init__(self, arguments):
        self.a = arguments
        self.dir = Path(arguments.dir).resolve()
        self.manifest_path = self.dir / "manifest.json"
        self.manifest = None
        self.results = {}

    def say(self, text):
        print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)

    def run(self, engines):
        for engine in engines:
            data = self.dir / "data"
            result = self.results[engine.name] = {"durability": engine.durability}
            try:
                with open(self.dir / "log", "ab") as log:
                    self.one(engine, data, log, result)
            except (Failed, OSError) as error:
                result["failed"] = str(error)
                self.say(f"{engine.name}: FAILED {error}")
            finally:
                shutil.rmtree(data, ignore_errors=True)
            (self.dir / "results.json").write_text(json.dumps(self.results))

    def one(self, engine, data, log, result):
        self.say(f"{engine.name}: load")
        self.load(engine, data, log, result)
        if engine.ingest_only:
            return
        self.say(f"{engine.name}: cold")
        cold = result["cold"] = {}
        for query in self.a.queries:
            drop_caches(data)
            cold[query] = self.measured(engine, data, log, [query], hot=False)[query]
        self.say(f"{engine.name}: hot")
        result["hot"] = self.measured(engine, data, log, self.a.queries, hot=True)

    def load(self, engine, data, log, result):
        first = self.manifest is None
        command = [self.a.rows_binary, "--form", engine.form, "--rows", str(self.a.rows),
                   "--seed", str(self.a.seed), "--profile", self.a.profile]
        if first:
            command += ["--answers", str(self.manifest_path)]
        chunk = self.dir / "chunk"
        wall = raw = 0
        maker = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            with Worker(engine, data, log) as worker:
                cpu = worker.tell(60, do="cpu")["cpu"]
                for piece in chunks(maker.stdout, engine.form):
                    chunk.write_bytes(piece)
                    os.chmod(chunk, 0o644)
                    raw += len(piece)
                    wall += worker.tell(LOAD_MAX_S, do="load", path=str(chunk))["wall"]
                    if disk_bytes(self.dir) > self.a.disk_max << 30:
                        raise Failed(f"more than {self.a.disk_max} GiB on disk")
                loaded = worker.tell(60, do="cpu")["cpu"] - cpu
                settled = worker.tell(SETTLE_MAX_S, do="settle")
                quiet = worker.tell(60, do="cpu")["cpu"] - cpu
        finally:
            chunk.unlink(missing_ok=True)
            maker.kill() if maker.poll() is None and sys.exc_info()[0] else None
            maker.stdout.close()
            maker.wait()
        if maker.returncode:
            raise Failed("the workload was not made")
        if first:
            self.manifest = json.loads(self.manifest_path.read_text())
        rows = self.manifest["rows"]
        result["ingest"] = {
            "rows_per_s": rows / wall, "cpu_loaded": loaded * 1e6 / rows,
            "cpu_quiet": quiet * 1e6 / rows, "settle_s": settled["wall"],
            "bytes_per_row": disk_bytes(data) / rows,
            "bytes_without_log": disk_bytes(data, log=False) / rows, "raw_bytes": raw / rows}

    def measured(self, engine, data, log, queries, hot):
        """Answers checked, then times; `wrong` says why there are none."""
        out = {}
        command = {"manifest": str(self.manifest_path)}
        worker = Worker(engine, data, log)
        try:
            for query in queries:
                try:
                    told = worker.tell(ASK_MAX_S, do="ask", query=query, **command)
                    problem = check.wrong(self.a.workload, query, self.manifest["answers"][query],
                                          told.pop("answer"), self.manifest["asked"])
                    if problem:
                        raise Failed(problem)
                    if hot:
                        told = worker.tell(ASK_MAX_S * 4, do="time", query=query, warm=WARM,
                                           runs=RUNS, **command)
                    else:
                        told = {"wall": [told["wall"]], "cpu": [told["cpu"]]}
                    out[query] = told
                except Failed as error:
                    out[query] = {"wrong": str(error)}
                    self.say(f"{engine.name} {query}: {error}")
                    if worker.process.poll() is not None:
                        worker.quit()
                        worker = Worker(engine, data, log)
        finally:
            worker.quit()
        return out


def median(figures):
    return statistics.median(figures)


def p95(figures):
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, math.ceil(0.95 * len(ordered)) - 1)]


def figure(result, temperature, query):
    """Median wall seconds, or None."""
    told = result.get(temperature, {}).get(query, {})
    return median(told["wall"]) if "wall" in told else None


def score(weights, results, temperature, name):
    """Geometric mean of time over the best time; which queries are left out."""
    logs = weight = 0
    left_out = []
    for query, share in weights.items():
        mine = figure(results[name], temperature, query)
        all_times = [figure(r, temperature, query) for r in results.values()]
        best = min((t for t in all_times if t is not None), default=None)
        if mine is None or best is None:
            left_out.append(query)
            continue
        logs += share * math.log(mine / best)
        weight += share
    return (math.exp(logs / weight) if weight else None), left_out


def cell(result, temperature, query):
    told = result.get(temperature, {}).get(query)
    if told is None:
        return "n/a"
    if "wrong" in told:
        return "WRONG" if "expected" in told["wrong"] else "n/a"
    cpu = median(told["cpu"]) * 1e3
    if temperature == "cold":
        return f"{told['wall'][0] * 1e3:.3f} ({cpu:.3f})"
    return f"{median(told['wall']) * 1e3:.3f} / {p95(told['wall']) * 1e3:.3f} ({cpu:.3f})"


def table(rows):
    for at, row in enumerate(rows):
        print("| " + " | ".join(row) + " |")
        if at == 0:
            print("|" + "---|" * len(row))
    print()


def report(bench):
    results, asked = bench.results, {n: r for n, r in bench.results.items() if "hot" in r}
    one, loaded = bench.a.workload.ROW, bench.a.workload
    raw = (bench.manifest or {}).get("proto_bytes", 0) / max(1, bench.a.rows)
    print(f"\nAgentTraceBench: {bench.a.rows} {one}s, profile {bench.a.profile}, seed"
          f" {bench.a.seed}, {raw:.0f} B a {one} as OTLP protobuf; {os.cpu_count()} CPUs;"
          f" {time.strftime('%Y-%m-%d %H:%M')}\n")
    rows = [["engine", f"{one}s/s while loading", "CPU s per 1 M loaded", "until quiet",
             f"bytes a {one}, without log / all", "durable before the next batch"]]
    for name, result in results.items():
        told = result.get("ingest")
        if not told:
            rows.append([name, "FAILED: " + result.get("failed", ""), "", "", "",
                         result["durability"]])
            continue
        rows.append([name, f"{told['rows_per_s']:.0f}", f"{told['cpu_loaded']:.1f}",
                     f"{told['cpu_quiet']:.1f}",
                     f"{told['bytes_without_log']:.0f} / {told['bytes_per_row']:.0f}",
                     result["durability"]])
    table(rows)
    for temperature, what in (("hot", "median / p95 of 10 (CPU), ms"), ("cold", "once (CPU), ms")):
        print(f"{temperature}: {what}\n")
        rows = [["query", *asked]]
        for query in bench.a.queries:
            rows.append([query, *(cell(r, temperature, query) for r in asked.values())])
        table(rows)
        print(f"{temperature}: time over obsrv's time (above 1: obsrv is faster)\n")
        rows = [["query", *asked]]
        for query in bench.a.queries:
            mine = figure(asked.get("obsrv", {}), temperature, query)
            times = [figure(r, temperature, query) for r in asked.values()]
            rows.append([query, *(f"{t / mine:.2f}" if t and mine else "n/a" for t in times)])
        for title, what in ((f"score: geometric mean of time over the best, {loaded.SCORED}", 0),
                            ("left out of it", 1)):
            told = [score(loaded.WEIGHTS, asked, temperature, name)[what] for name in asked]
            rows.append([title, *(" ".join(t) or "none" if what else f"{t:.2f}" if t else "n/a"
                                  for t in told)])
        table(rows)
    for name, result in asked.items():
        for temperature in ("cold", "hot"):
            for query, told in result[temperature].items():
                if "wrong" in told:
                    print(f"{name} {temperature} {query}: {told['wrong']}")


def interpreter(directory, given):
    """A Python with the peers: the given one, or one of our own in the directory."""
    if given:
        return given
    home = directory / "venv"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-cache-dir",
                        "--disable-pip-version-check", "-r", HERE / "requirements.txt"],
                       check=True, stdout=sys.stderr)
    return python


def engines(a, python):
    def peer(script, *words):
        return [python, HERE / script, "{data}", *words]

    memory = str(a.memory << 20)
    no_sync, sync = "no: page cache only", "yes: synced"
    return [
        Engine("obsrv", "otlp", [a.atb, "{data}", memory, a.profile],
               f"yes: each {a.workload.REQUEST} synced"),
        Engine("clickhouse", "json", peer("click.py", a.profile, "text", "lazy"), no_sync),
        Engine("clickhouse-plain", "json", peer("click.py", a.profile, "plain", "lazy"),
               no_sync + "; no text index"),
        Engine("clickhouse-synced", "json", peer("click.py", a.profile, "text", "synced"),
               "yes: fsync_after_insert, one insert a batch", ingest_only=True),
        Engine("duckdb", "json", peer("duck.py", a.profile), sync + ", one commit a batch"),
        Engine("postgres", "copy", peer("postgres.py", END_DAY - DAYS, DAYS + 2),
               sync + ", one COPY a batch"),
    ]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dir", required=True, help="empty or new; everything is written here")
    parser.add_argument("--target", default="target/release",
                        help="folder with rows and examples/atb")
    parser.add_argument("--profile", choices=workload.PROFILES, default="core",
                        help="core and tail are spans")
    parser.add_argument("--rows", "--spans", type=int, default=1_000_000,
                        help="spans, log lines or metric points")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--memory", type=int, default=400, help="MiB that obsrv may use")
    parser.add_argument("--engines", default="obsrv,clickhouse,clickhouse-plain,"
                        "clickhouse-synced,duckdb,postgres")
    parser.add_argument("--queries", help="default: all of the profile")
    parser.add_argument("--python", help="with requirements.txt installed; else one is made")
    parser.add_argument("--disk-max", type=int, default=12, help="GiB that --dir may have")
    a = parser.parse_args()
    target = Path(a.target).resolve()
    a.rows_binary, a.atb = target / "rows", target / "examples" / "atb"
    a.workload = workload.of(a.profile)
    a.queries = a.queries.split(",") if a.queries else a.workload.QUERIES
    return a


def chosen(bench, every):
    """The engines that were asked for, but for those that cannot do the profile."""
    names = bench.a.engines.split(",")
    left_out = bench.a.workload.LEFT_OUT
    for name in names:
        if name in left_out:
            bench.say(f"{name}: left out of profile {bench.a.profile}: {left_out[name]}")
    return [e for e in every if e.name in names and e.name not in left_out]


def main():
    a = arguments()
    bench = Bench(a)
    bench.dir.mkdir(parents=True, exist_ok=True)
    python = interpreter(bench.dir, a.python)
    bench.run(chosen(bench, engines(a, python)))
    report(bench)
    if not a.python:
        shutil.rmtree(bench.dir / "venv", ignore_errors=True)
    failed = any("failed" in r for r in bench.results.values())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
