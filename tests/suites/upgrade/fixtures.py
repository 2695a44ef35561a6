"""Data directories of each format that obsrv has had, as fixtures: python3 fixtures.py NAME

A fixture is `tests/fixtures/formats/NAME/`: two packed directories and what was answered over them.

- `flushed.tar.xz`: after a clean stop; everything is in segments, the log is empty
- `crashed.tar.xz`: the same, started again, filled once more and killed; half of it is in the log alone
- `answers.json.xz`: questions and their answers over both

They are made once, by the last binary that wrote a format (OBSRV_BIN), and never again. `test_upgrade.py` opens all of
them with every later binary.

- `2026-11-22`, made at 5882d75: segments of version 2, manifest of version 1
- `2026-11-22-prices`, made at 6e4ec4f: segments of version 3, manifest of version 2
- `2026-11-22-keys`, made at b82b4fe: segments of version 4, manifest of version 3, logs whose files are linked, attachments

Version 1 of segments was never released. The log has one version."""

import argparse
import base64
import json
import lzma
import pathlib
import sys
import tarfile
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
FORMATS = ROOT / "tests" / "fixtures" / "formats"
sys.path.insert(0, str(ROOT / "tests" / "clients" / "python"))

from server import Obsrv, post_json
from test_otlp_json import request, span

DIRECTORIES = ("flushed", "crashed")
# What differs from one run to the next.
PASSING = {"table", "request_id", "next_cursor", "snapshot_changed", "created_at", "updated_at", "received_at", "recorded_at", "url"}
# What a later version may tell more of is no change: of objects only the members that were there are compared.
QUESTIONS = [
    ("GET", "/v1/projects/1/traces?limit=100&sort=start&total=true", None),
    ("GET", "/v1/projects/1/spans?limit=100&sort=start&total=true", None),
    ("GET", "/v1/projects/1/spans?limit=100&sort=start&q=metadata.customer:acme", None),
    ("GET", "/v1/projects/1/spans?limit=100&sort=start&q=%22brown%20fox%22", None),
    ("GET", "/v1/projects/1/scores?limit=100&sort=start", None),
    ("GET", "/v1/projects/1/logs?limit=100&sort=start", None),
    ("GET", "/v1/projects/1/points?limit=100&sort=start", None),
    ("GET", "/v1/projects/1/facets?over=spans&keys=name,status,kind", None),
    ("GET", "/v1/projects/1/threads", None),
    ("POST", "/v1/projects/1/aggregate", {"over": "spans", "group_by": ["name"], "sort": "keys"}),
    ("GET", "/v1/traces/theta-0", None),
    ("GET", "/v1/traces/theta-1", None),
    ("GET", f"/v1/projects/1/traces/{1:032x}/spans", None),
    ("GET", f"/v1/traces/{2:032x}", None),
    ("GET", "/v1/projects/1/traces?limit=100&sort=start&q=cost%3E0", None),
    ("GET", "/v1/projects/1/facets?over=spans&keys=cost_source", None),
    ("GET", f"/v1/projects/1/traces/{70:032x}/cost", None),
    ("GET", f"/v1/projects/1/traces/{60:032x}/blobs", None),
    ("GET", f"/v1/projects/1/traces/{60:032x}/spans/{1:016x}", None),
]
# The smallest picture there is, and another one.
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def attribute(key, text):
    return {"key": key, "value": {"stringValue": text}}


def price(server, dollars):
    """Other prices, and what is stored has them: records that price steps again stand in the log."""
    tier = {"name": "ours", "isDefault": True, "prices": {"input": dollars}}
    table = server.data.parent / "prices.json"
    table.write_text(json.dumps([{"modelName": "ours", "matchPattern": "our model", "pricingTiers": [tier]}]))
    server.run("prices", "set", "1", "--file", str(table), "--data", str(server.data))
    while not json.loads(server.run("prices", "show", "1", "--data", str(server.data)).stdout)["is_applied"]:
        time.sleep(0.2)


def fill(server, half):
    """The first or the second half of the content: the second changes and deletes some of the first."""
    with server.client() as client:

        def sent(path, body, kind="application/json"):
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            answer = client.post(path, content=content, headers={"content-type": kind})
            assert answer.status_code < 300, answer.text

        for trace in (1, 2, 3, 4):
            numbers = range(1 + 20 * half, 21 + 20 * half)
            told = [
                span(
                    n,
                    traceId=f"{trace:032x}",
                    status={"code": 2 if n % 5 == 0 else 1},
                    attributes=[
                        attribute("customer", ["acme", "other"][n % 2]),
                        attribute("session.id", f"thread {trace % 2}"),
                        attribute("text", f"the quick brown fox {n} " * (n % 3)),
                    ],
                )
                for n in numbers
            ]
            sent("/v1/traces", request(*told))
        used = [attribute("gen_ai.request.model", "our model"), {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "8"}}]
        used.append(attribute("openinference.span.kind", "LLM"))
        sent("/v1/traces", request(*(span(n, traceId=f"{70:032x}", attributes=used) for n in (1 + 2 * half, 2 + 2 * half))))
        price(server, 0.25 * (1 + half))
        # Files of a trace, one sent by itself and one in a row that is large enough to be cut out of it.
        sent(f"/v1/projects/1/traces/{60:032x}/blobs", base64.b64decode(PICTURE) + bytes([half]), "image/png")
        whole = base64.b64encode(base64.b64decode(PICTURE) + bytes([half + 2]) * 60_000).decode()
        said = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{whole}"}}]}]
        asked = [attribute("gen_ai.input.messages", json.dumps(said))]
        sent("/v1/traces", request(span(1 + half, traceId=f"{60:032x}", attributes=asked)))
        # One that is too large for the log: a file beside it.
        sent("/v1/traces", request(span(1, traceId=f"{50 + half:032x}", attributes=[attribute("text", "large " * 250_000)])))
        for number in range(2):
            step = {
                "step_id": f"s{half}", "index": half, "type": "custom", "name": f"step {half}", "status": "success",
                "started_at": f"2026-01-0{1 + half}T00:00:00Z", "ended_at": f"2026-01-0{1 + half}T00:00:01Z",
                "metadata": {"customer": "acme", "half": half, "nested": {"list": [1, 2.5, None, "ä"]}},
            }
            trace = {
                "trace_id": f"theta-{number + half}", "name": "theta", "status": "success", "steps": [step],
                "started_at": "2026-01-01T00:00:00Z", "ended_at": f"2026-01-0{1 + half}T00:00:02Z",
                "metadata": {"revision": half},
            }
            sent("/v1/traces", trace)
        record = {"timeUnixNano": str(1_700_000_000 * 10**9 + half), "severityText": "WARN", "body": {"stringValue": f"line {half}"}}
        sent("/v1/logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": [record, {**record, "traceId": f"{1:032x}"}]}]}]})
        point = {"timeUnixNano": str(1_700_000_000 * 10**9 + half), "asDouble": 1.5 + half}
        metric = {"name": "tokens", "gauge": {"dataPoints": [point]}}
        sent("/v1/metrics", {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]})
        if half:
            assert client.delete(f"/v1/traces/{2:032x}").status_code < 300


def told(value):
    """An answer without what differs from one run to the next."""
    if isinstance(value, dict):
        return {key: told(part) for key, part in value.items() if key not in PASSING}
    return [told(part) for part in value] if isinstance(value, list) else value


def answers(server):
    """What is answered to every question."""
    with server.client() as client:
        asked = [(path, client.request(method, path, json=body)) for method, path, body in QUESTIONS]
    return {path: [answer.status_code, told(answer.json())] for path, answer in asked}


def pack(server, place):
    with tarfile.open(place, "w:xz") as packed:
        for path in sorted(server.data.rglob("*")):
            wanted = path.is_file() and not path.name.startswith("tmp-")
            if wanted or path.is_dir():
                packed.add(path, path.relative_to(server.data), recursive=False)


def unpack(place, data):
    data.mkdir(mode=0o700)
    with tarfile.open(place) as packed:
        packed.extractall(data, filter="data")
    for path in data.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)


def make(name):
    place = FORMATS / name
    place.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="obsrv-format-") as folder:
        server = Obsrv(pathlib.Path(folder) / "data", "--memory", "128MiB").start()
        try:
            said = {}
            fill(server, 0)
            said["flushed"] = answers(server)
            server.stop()
            pack(server, place / "flushed.tar.xz")
            server.start()
            fill(server, 1)
            said["crashed"] = answers(server)
            server.kill()
            pack(server, place / "crashed.tar.xz")
            (place / "answers.json.xz").write_bytes(lzma.compress(json.dumps(said, sort_keys=True).encode()))
        finally:
            server.end()


if __name__ == "__main__":
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("name")
    make(flags.parse_args().name)
