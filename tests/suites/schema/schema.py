"""Schemathesis over the running binary: requests made from the OpenAPI document, every answer held against it.

No answer may be a 5xx, and every good answer must have the shape that the document gives. Streams that never end
are left out, and what would take away the key or the project that the run stands on.

    python tests/suites/schema/schema.py --examples 100 [--seconds 600] [--record tests/campaigns/schema.md]
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "tests" / "clients" / "python"))

from server import KEY, Obsrv, post_json  # noqa: E402

CHECKS = "not_a_server_error,response_schema_conformance"
# They stay open as long as somebody listens.
STREAMS = ["/v1/projects/{project}/tail", "/v1/logs/stream", "/v1/agents/{agent}/logs/stream"]
# They end the key, the session or the project that asks.
ENDS = [
    "/v1/projects/{project}/keys/{key}",
    "/v1/projects/{project}/keys/{key}/rotate",
    "/v1/keys/{key}",
    "/v1/keys/{key}/rotate",
    "/v1/projects/{project}/move",
]


def fill(server):
    """Two traces with steps, scores, a log line and a metric point, so that reads have something to tell."""
    with server.client() as client:
        for n in (1, 2):
            times = {"started_at": f"2026-05-01T10:00:0{n}Z", "ended_at": f"2026-05-01T10:00:0{n}.5Z"}
            step = {"step_id": f"span-{n}", "index": 0, "type": "llm", "name": "call", "model": "m", **times}
            step |= {"status": "error" if n == 2 else "success", "messages": [], "tool_calls": [], "metadata": {}}
            step |= {"token_usage": {"input": 3, "output": 4}}
            trace = {"trace_id": f"trace-{n}", "name": "work", "user_id": "user-1", "group": "thread-1", **times}
            trace |= {"status": "success", "tags": ["a"], "metadata": {"agent": "agent-1"}, "steps": [step]}
            assert post_json(client, "/v1/traces", trace).status_code == 201
        score = {"id": "score-1", "traceId": "trace-1", "name": "good", "value": 0.5, "comment": "c"}
        assert post_json(client, "/api/public/scores", score).status_code == 200
        line = {"timeUnixNano": "1777629600000000000", "severityNumber": 9, "body": {"stringValue": "hello"}}
        logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [line]}]}]}
        assert post_json(client, "/v1/logs", logs).status_code == 200
        point = {"timeUnixNano": "1777629600000000000", "asDouble": 1.5}
        metric = {"name": "m", "gauge": {"dataPoints": [point]}}
        points = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
        assert post_json(client, "/v1/metrics", points).status_code == 200


def environment():
    """Schemathesis stands in a folder of its own, since it and Hypothesis are plugins of every pytest that finds them."""
    apart = pathlib.Path(sys.prefix) / "schemathesis"
    if not apart.exists():
        return None
    others = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(apart), *([others] if others else [])])}


def command(server, args):
    words = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml"), "run", server.url + "/openapi.json"]
    words += ["--header", f"x-api-key: {KEY}", "--checks", CHECKS, "--no-color"]
    words += ["--phases", "coverage,fuzzing" if args.fuzz else "fuzzing", "--max-examples", str(args.examples)]
    words += ["--seed", str(args.seed), "--continue-on-failure", "--request-timeout", "30", "--warnings", "off"]
    words += ["--suppress-health-check", "all"]
    if args.seconds:
        words += ["--max-time", str(args.seconds)]
    for path in STREAMS + ENDS:
        words += ["--exclude-path", path]
    # The project itself: its other methods stay.
    words += ["--exclude-operation-id", "delete_v1_projects_project"]
    for path in args.only:
        words += ["--include-path-regex", path]
    return words


def record(path, args, text, passed):
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, cwd=ROOT)
    load = " ".join(map(str, os.getloadavg()))
    told = "\n".join(line for line in text.splitlines() if re.search(r"Operations|Tested|Test cases|✅|❌|passed|generated|Seed|Selected", line))
    with path.open("a") as out:
        out.write(f"\n## {datetime.date.today()}: {'passed' if passed else 'failed'}\n\n")
        out.write(f"- command: `tests/suites/schema/schema.py --examples {args.examples} --seed {args.seed}`\n")
        out.write(f"- commit: {commit.stdout.strip()}\n- load: {load}\n\n```text\n{told}\n```\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=50)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fuzz", action="store_true", help="the phase that goes through boundaries, too")
    parser.add_argument("--only", action="append", default=[], help="a pattern of paths")
    parser.add_argument("--record", type=pathlib.Path, help="a file to which what came of it is appended")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        server = Obsrv(pathlib.Path(directory) / "data").start()
        try:
            fill(server)
            # What it keeps from run to run goes with the directory.
            done = subprocess.run(
                command(server, args),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=directory,
                env=environment(),
            )
            print(done.stdout)
            with server.client() as client:
                assert client.get("/ready").status_code == 200, server.logged()
                said = client.get("/metrics").text
        finally:
            server.end()
    faults = [line for line in said.splitlines() if 'status="5xx"' in line]
    print(json.dumps(faults))
    if args.record:
        record(args.record, args, done.stdout, done.returncode == 0 and not faults)
    sys.exit(done.returncode or bool(faults))


if __name__ == "__main__":
    main()
