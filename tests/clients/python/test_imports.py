"""Files of other tools through `obsrv import` and the routes. What is expected was read off the files."""

import json
import zipfile

import zstandard

from server import ROOT, Obsrv, pages, post_json

FILES = ROOT / "server" / "tests" / "fixtures" / "imports"


def imported(obsrv, *arguments, check=True):
    return obsrv.run("import", "--url", obsrv.url, *map(str, arguments), check=check)


def test_every_format_is_known_by_its_beginning_and_doubles_nothing(obsrv, tmp_path):
    names = ["claude-code-representative.jsonl", "swe-agent.traj", "tau.jsonl", "inspect.json", "jaeger.json", "zipkin.json"]
    packed = tmp_path / "tau.jsonl.zst"
    packed.write_bytes(zstandard.compress((FILES / "tau.jsonl").read_bytes()))
    with obsrv.client() as client:
        counts = []
        for _ in range(2):
            done = imported(obsrv, *(FILES / name for name in names))
            assert "files=6" in done.stdout and "failed=0" in done.stdout
            listed = pages(client)
            steps = sum(item["step_count"] for item in listed)
            counts.append((len(listed), steps))
        # 4 turns, and a trace each of the others
        assert counts[0] == counts[1] and counts[0][0] == 4 + 5
        imported(obsrv, packed)
        assert len(pages(client)) == 4 + 5
        by_platform = {item["platform"] for item in pages(client) if item.get("platform")}
        assert by_platform == {"claude-code", "swe-agent", "tau-bench", "inspect"}


def test_an_archive_of_inspect_is_the_log_that_is_in_it(obsrv, tmp_path):
    log = json.loads((FILES / "inspect.json").read_text())
    samples = log.pop("samples")
    archive = tmp_path / "log.eval"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("_journal/start.json", json.dumps({"version": 2, "eval": log["eval"], "plan": {}}))
        for sample in samples:
            out.writestr(f"samples/{sample['id']}_epoch_{sample['epoch']}.json", json.dumps(sample))
        out.writestr("header.json", json.dumps(log))
    with obsrv.client() as client:
        assert f"accepted={len(samples)} failed=0" in imported(obsrv, archive).stdout
        listed = pages(client)
        traces = [client.get(f"/v1/traces/{item['trace_id']}").json() for item in listed]
        assert len(traces) == len(samples)
        imported(obsrv, FILES / "inspect.json")
        assert [client.get(f"/v1/traces/{item['trace_id']}").json() for item in pages(client)] == traces


def test_bad_lines_are_named_by_their_numbers(obsrv, tmp_path):
    done = imported(obsrv, FILES / "claude-code-edge-cases.jsonl", check=False)
    assert done.returncode != 0 and "accepted=7 failed=5" in done.stdout
    for line in (11, 13, 14, 15, 16):
        assert f"claude-code-edge-cases.jsonl:{line}: " in done.stderr, done.stderr
    runs = tmp_path / "runs.jsonl"
    line = (FILES / "tau.jsonl").read_text().strip()
    runs.write_text(f"{line}\nnot json\n{line}\n")
    done = imported(obsrv, "--format", "tau", "--from-line", "2", runs, check=False)
    assert "accepted=1 failed=1" in done.stdout and "runs.jsonl:2: " in done.stderr


def test_the_route_takes_a_file_and_names_formats(obsrv):
    with obsrv.client() as client:
        answer = client.post("/v1/imports/zipkin", content=(FILES / "zipkin.json").read_bytes())
        assert answer.status_code == 200, answer.text
        [item] = pages(client)
        told = {"index": 0, "kind": "trace", "trace_id": item["trace_id"], "status": "accepted", "error": None}
        assert answer.json() == {"accepted": 1, "failed": 0, "items": [told]}
        assert item["step_count"] == 16
        wrong = client.post("/v1/imports/csv", content=b"[]")
        assert wrong.status_code == 400 and "claude-code" in wrong.text
        wrong = client.post("/v1/imports/jaeger", content=b"{}")
        assert wrong.status_code == 400 and "spans: expected the traces of jaeger's api" in wrong.text


def test_requests_of_other_clients_are_files_too(obsrv, tmp_path):
    run = {"id": "0195d2a4-0000-7000-8000-000000000001", "trace_id": "0195d2a4-0000-7000-8000-000000000001"}
    run |= {"name": "chain", "run_type": "chain", "start_time": "2026-05-01T10:00:00Z", "inputs": {"q": 1}}
    run |= {"dotted_order": "20260501T100000000000Z0195d2a4-0000-7000-8000-000000000001"}
    span = {"id": "s", "traceId": "lf-1", "name": "plan", "startTime": "2026-05-01T10:00:00Z"}
    batch = {"batch": [{"id": "e1", "type": "span-create", "timestamp": "2026-05-01T10:00:00Z", "body": span}]}
    step = {"type": "step", "run_id": "tcc-1", "step_id": "tcc-s", "start_time": "2026-05-01T10:00:00Z"}
    session = {"id": "as-1", "name": "session", "started_at": 1_777_000_000.0, "ended_at": 1_777_000_001.0, "meta": {}}
    files = {
        "langsmith": {"post": [run], "patch": []},
        "langfuse": batch,
        "tcc": step | {"status_code": 0, "end_time": "2026-05-01T10:00:01Z", "response": "yes"},
        "aiobs": {"sessions": [session], "events": [], "function_events": []},
    }
    with obsrv.client() as client:
        for told in ([], ["--format"]):
            for name, body in files.items():
                path = tmp_path / f"{name}.json"
                path.write_text(json.dumps(body, indent=2))
                done = imported(obsrv, *([*told, name] if told else []), path)
                assert "accepted=1 failed=0" in done.stdout, (name, done.stdout, done.stderr)
            assert sorted(item["trace_id"] for item in pages(client)) == sorted([run["id"], "lf-1", "tcc-1", "as-1"])
        for name, body in files.items():
            path = tmp_path / f"{name}.jsonl"
            path.write_text(f"{json.dumps(body)}\n\nnot json\n{json.dumps(body)}\n")
            done = imported(obsrv, path, check=False)
            assert "accepted=2 failed=1" in done.stdout, (name, done.stdout, done.stderr)
            assert f"{name}.jsonl:3: " in done.stderr
    broken = tmp_path / "broken.json"
    broken.write_text('{"batch": 7}')
    done = imported(obsrv, "--format", "langfuse", broken, check=False)
    assert done.returncode != 0 and "broken.json:1: " in done.stderr


def test_an_export_of_any_signal_is_a_file_too(obsrv, tmp_path):
    at = {"timeUnixNano": "1795000000000000000"}
    line = at | {"severityNumber": 9, "body": {"stringValue": "sold out"}}
    point = at | {"asInt": "7", "startTimeUnixNano": "1794000000000000000"}
    bodies = {
        "logs": {"resourceLogs": [{"scopeLogs": [{"logRecords": [line, line | {"severityNumber": 17}]}]}]},
        "metrics": {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": [point]}}]}]}]},
    }
    other = Obsrv(tmp_path / "other").start()
    with obsrv.client() as client, other.client() as second:
        for (path, body), over in zip(bodies.items(), ("logs", "points")):
            assert post_json(client, f"/v1/{path}", body).status_code == 200
            files = tmp_path / f"{over}.jsonl"
            files.write_bytes(client.get("/v1/projects/1/export", params={"over": over, "format": "otlp"}).content)
            for _ in range(2):
                done = imported(other, files)
                assert "accepted=1 failed=0" in done.stdout, done.stdout + done.stderr
            read = [one.get(f"/v1/projects/1/{over}").json()["data"] for one in (client, second)]
            # A log line has no id of its own: it is named by the request that it came in. The keys are others.
            assert all(row.pop("key_id") for rows in read for row in rows)
            rows = [sorted(json.dumps(row | {"id": None}, sort_keys=True) for row in rows) for rows in read]
            assert rows[0] == rows[1] and len(rows[0]) == (2 if over == "logs" else 1)
    other.end()
