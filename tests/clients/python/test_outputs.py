"""What goes out: Parquet in DuckDB and polars, OTLP in again, log lines as they come, `obsrv query`."""

import io
import json
import subprocess
import threading

import duckdb
import polars
import pytest
from websockets.sync.client import connect

from server import KEY, binary, post_json
from test_otlp_json import request, span


def logs(*lines):
    records = [
        {
            "timeUnixNano": str(at),
            "severityNumber": level,
            "body": {"stringValue": body},
            "attributes": [{"key": "theazo.agent.id", "value": {"stringValue": agent}}],
        }
        for at, level, agent, body in lines
    ]
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}


@pytest.fixture(scope="module")
def filled(shared):
    """Forty spans, ten log lines."""
    with shared.client() as client:
        for n in range(1, 5):
            spans = [span(10 * n + k, traceId=f"{n:032x}") for k in range(10)]
            assert post_json(client, "/v1/traces", request(*spans)).json() == {"partialSuccess": {}}
        lines = [(1_767_225_600_000_000_000 + n, 9 + 4 * (n % 3), f"agt_{n % 2}", f"line {n}") for n in range(10)]
        assert post_json(client, "/v1/logs", logs(*lines)).status_code == 200
    return shared


def listed(client, over):
    rows, cursor = [], None
    while True:
        page = client.get(
            f"/v1/projects/1/{over}", params={"sort": "start", "limit": 7} | ({"cursor": cursor} if cursor else {})
        ).json()
        rows += page["data"]
        cursor = page["next_cursor"]
        if not cursor:
            return rows


@pytest.mark.parametrize("over", ["traces", "spans", "logs"])
def test_parquet_is_read_by_others_with_the_values_of_lists(filled, tmp_path, over):
    with filled.client() as client:
        told = {row.get("id") or row.get("span_id") or row["trace_id"]: row for row in listed(client, over)}
        answer = client.get("/v1/projects/1/export", params={"over": over, "format": "parquet"})
        assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    file = tmp_path / "rows.parquet"
    file.write_bytes(answer.content)
    key = {"traces": "trace_id", "spans": "span_id", "logs": "id"}[over]
    described = duckdb.sql(f"describe select * from read_parquet('{file}')").fetchall()
    types = {name: kind for name, kind, *_ in described}
    columns = [f'epoch_ns("{n}") as "{n}"' if k.startswith("TIMESTAMP") else f'"{n}"' for n, k in types.items()]
    table = duckdb.sql(f"select {', '.join(columns)} from read_parquet('{file}')")
    assert types["name"] == "VARCHAR" and types["start"].startswith("TIMESTAMP")
    rows = [dict(zip(table.columns, row)) for row in table.fetchall()]
    assert len(rows) == len(told) > 0
    for row in rows:
        same = told[row[key]]
        for name in ["name", "status", "trace_id", "duration_ns", "service", "level", "severity_number", "body"]:
            if name in row:
                assert row[name] == same.get(name), name
        start = polars.Series([same["start"]]).str.to_datetime(time_unit="ns", time_zone="UTC").dt.epoch("ns")[0]
        # DuckDB keeps microseconds.
        assert row["start"] // 1000 == start // 1000
    frame = polars.read_parquet(io.BytesIO(answer.content))
    assert frame.height == len(told)
    assert sorted(frame[key]) == sorted(told)
    if over == "traces":
        assert types["tags"] == "VARCHAR[]" and frame.schema["models"] == polars.List(polars.String)


def test_otlp_lines_are_imported_as_the_same_rows(filled, obsrv, tmp_path):
    with filled.client() as client:
        text = client.get("/v1/projects/1/export", params={"format": "otlp"}).text
        ours = sorted(row["span_id"] for row in listed(client, "spans"))
    file = tmp_path / "spans.jsonl"
    file.write_text(text)
    obsrv.run("import", "--url", obsrv.url, "--key", KEY, str(file))
    with obsrv.client() as client:
        assert sorted(row["span_id"] for row in listed(client, "spans")) == ours


def test_lines_come_over_a_websocket(filled):
    url = filled.url.replace("http", "ws") + f"/v1/agents/agt_live/logs/stream?token={KEY}&level=error"
    with connect(url) as socket, filled.client() as client:
        said = logs((1, 17, "agt_live", "first"), (2, 9, "agt_live", "quiet"), (3, 17, "agt_other", "other"))
        assert post_json(client, "/v1/logs", said).status_code == 200
        message = json.loads(socket.recv(timeout=10))
        assert (message["type"], message["message"], message["level"]) == ("log", "first", "error")
        assert message["agentId"] == "agt_live"
        socket.ping().wait(10)
        assert post_json(client, "/v1/logs", logs((4, 21, "agt_live", "second"))).status_code == 200
        assert json.loads(socket.recv(timeout=10))["message"] == "second"


def test_query_prints_for_people_and_for_pipes(filled):
    data = str(filled.data)
    table = filled.run("query", "--over", "spans", "--limit", "3", "--data", data).stdout.splitlines()
    assert len(table) == 4 and table[0].startswith("START") and "\x1b" not in "".join(table)
    rows = filled.run("query", "--over", "logs", "level:error", "--format", "json", "--all", "--data", data).stdout
    assert {json.loads(line)["level"] for line in rows.splitlines()} == {"error"}
    by_key = ["--url", filled.url, "--key", KEY]
    head = filled.run("query", *by_key, "--format", "csv", "--fields", "trace_id,status", "--limit", "2").stdout
    assert head.splitlines()[0] == "trace_id,status" and len(head.splitlines()) == 3
    bad = filled.run("query", "a:(", "--data", data, check=False)
    assert bad.returncode != 0 and "q" in bad.stderr
    none = filled.run("query", "--url", "http://127.0.0.1:1", "--key", KEY, check=False)
    assert none.returncode != 0 and "does not answer" in none.stderr


def test_a_closed_pipe_ends_a_query_quietly(filled):
    command = f"{binary()} query --over spans --all --format json --data {filled.data} | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


def test_query_follows_what_comes(filled):
    command = [binary(), "query", "--over", "logs", "--tail", "level:fatal", "--data", str(filled.data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        stop = threading.Event()

        def send():
            n = 0
            with filled.client() as client:
                while not stop.wait(0.1):
                    n += 1
                    post_json(client, "/v1/logs", logs((100 + n, 21, "agt_tail", f"fatal {n}")))

        sender = threading.Thread(target=send)
        sender.start()
        try:
            row = json.loads(child.stdout.readline())
        finally:
            stop.set()
            sender.join()
            child.kill()
    assert row["level"] == "fatal" and row["body"].startswith("fatal ")


def test_deletes_say_what_they_did(obsrv):
    with obsrv.client() as client:
        assert post_json(client, "/v1/traces", request(span(1, traceId=f"{1:032x}"), span(2, traceId=f"{2:032x}"))).status_code == 200
        path = "/v1/projects/1/traces"
        trace = client.get(path).json()["data"][0]["trace_id"]
        dry = client.delete(path, params={"q": f"trace_id:{trace}", "dry_run": "true"}).json()
        assert dry["remaining"]["traces"] == 1 and dry["deleted"]["traces"] == 0
        done = client.delete(path, params={"q": f"trace_id:{trace}"}).json()
        assert done["done"] and done["deleted"]["traces"] == 1 and done["receipt"]["record"] > 0
        obsrv.restart()
        assert len(client.get(path).json()["data"]) == 1
