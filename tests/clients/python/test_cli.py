"""The command line of the binary, and what the README says about it."""

import json
import os
import pathlib
import re
import shlex
import stat
import subprocess
import time

import pytest

from server import KEY, ROOT, Obsrv, binary, pages, post_json
from test_otlp_json import request, span

README = (ROOT / "README.md").read_text()


def test_keys_are_scoped_to_their_project_and_can_be_revoked(obsrv):
    key = obsrv.run("key", "create", "--project", "checkout", "--data", str(obsrv.data)).stdout.strip()
    other = obsrv.run("key", "create", "--project", "other", "--data", str(obsrv.data)).stdout.strip()
    with obsrv.client(key) as mine, obsrv.client(other) as theirs, obsrv.client() as default:
        assert post_json(mine, "/v1/traces", request(span(1))).status_code == 200
        assert [s["project_id"] for s in pages(mine)] == ["checkout"]
        assert pages(theirs) == pages(default) == []
        trace_id = pages(mine)[0]["trace_id"]
        assert theirs.get(f"/v1/traces/{trace_id}").status_code == 404
        obsrv.restart()
        assert len(pages(mine)) == 1
        public_id = key.split("_")[1]
        assert obsrv.run("key", "revoke", public_id, "--data", str(obsrv.data)).stdout == f"revoked {public_id}\n"
        for _ in range(2):
            assert mine.get("/v1/traces").status_code == 401
            assert post_json(mine, "/v1/traces", request(span(2))).status_code == 401
            assert pages(theirs) == []
            obsrv.restart()
    for path, file in obsrv.files():
        assert key.encode() not in file.read(), path


def test_a_key_is_revoked_by_naming_it(obsrv):
    key = obsrv.run("key", "create", "--project", "p", "--data", str(obsrv.data)).stdout.strip()
    public_id = key.split("_")[1]
    assert obsrv.run("key", "revoke", key, "--data", str(obsrv.data)).stdout == f"revoked {public_id}\n"
    with obsrv.client(key) as client:
        assert client.get("/v1/traces").status_code == 401
    for unknown in ["1", "zz", key + "0", "a b/c"]:
        done = obsrv.run("key", "revoke", unknown, "--data", str(obsrv.data), check=False)
        assert done.returncode != 0 and "unknown key" in done.stderr
    # The key that the environment gave has no id in it.
    obsrv.run("key", "revoke", KEY, "--data", str(obsrv.data))
    with obsrv.client() as client:
        assert client.get("/v1/traces").status_code == 401


def test_a_remap_says_what_it_looked_at_and_changes_nothing_of_this_version(obsrv):
    with obsrv.client() as client:
        for n in range(3):
            assert post_json(client, "/v1/traces", request(span(n + 1))).status_code == 200
        before = client.get("/v1/projects/1/export?over=spans&raw=true").text
        for more in [[], ["--dry-run"], ["--project", "1"]]:
            said = obsrv.run("remap", *more, "--data", str(obsrv.data)).stdout
            assert re.fullmatch(r"mapping=\d+ projects=1 looked=4 changed=0 left=0\n", said), said
        assert client.get("/v1/projects/1/export?over=spans&raw=true").text == before
        assert obsrv.run("remap", "--stop", "--data", str(obsrv.data)).stdout == said
    done = obsrv.run("remap", "--project", "77", "--data", str(obsrv.data), check=False)
    assert done.returncode != 0 and "project" in done.stderr
    obsrv.stop()
    done = obsrv.run("remap", "--data", str(obsrv.data), check=False)
    assert done.returncode != 0 and "no server" in done.stderr.lower(), done.stderr


def test_a_data_directory_may_have_a_long_path(tmp_path):
    server = Obsrv(tmp_path / ("long" * 30) / "data")
    server.data.parent.mkdir()
    try:
        server.start()
        assert server.run("key", "create", "--project", "p", "--data", str(server.data)).stdout.startswith("obsrv_")
    finally:
        server.end()


def test_the_first_start_leaves_a_key_that_only_its_owner_reads(tmp_path):
    server = Obsrv(tmp_path / "data")
    server.key = None
    try:
        server.start()
        [path] = [p for p in server.data.iterdir() if p.name == "first-key"]
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        key = path.read_text().strip()
        assert key not in server.logged()
        with server.client(key) as client:
            assert pages(client) == []
    finally:
        server.end()


def test_a_directory_that_was_killed_is_sound(obsrv):
    with obsrv.client() as client:
        for n in range(50):
            post_json(client, "/v1/traces", request(span(1, traceId=f"{n + 1:032x}")))
    obsrv.kill()
    obsrv.run("verify", str(obsrv.data))
    obsrv.start()
    obsrv.stop()
    obsrv.run("verify", str(obsrv.data))
    kinds = {"wal", "segment", "manifest"}
    shown = {path.name.split("-")[0] for path in obsrv.data.iterdir()} & kinds
    assert {"wal", "manifest"} <= shown
    for path in sorted(obsrv.data.iterdir()):
        kind = path.name.split("-")[0]
        if kind in kinds:
            assert obsrv.run("inspect", kind, str(path)).stdout, path


def test_what_was_deleted_is_in_no_file_after_a_purge(obsrv):
    with obsrv.client() as client:
        for n in range(200):
            attributes = [{"key": "note", "value": {"stringValue": f"needle{n + 1:04}"}}]
            post_json(client, "/v1/traces", request(span(1, traceId=f"{n + 1:032x}", attributes=attributes)))
        obsrv.stop()
        found = obsrv.run("verify", str(obsrv.data), "--find", "needle0007").stdout
        assert "segment-" in found and "files_with_text=0" not in found
        obsrv.start()
    with obsrv.client() as client:
        gone = client.delete(f"/v1/traces/{7:032x}")
        assert gone.status_code == 200, gone.text
    assert "off the disk" in obsrv.run("purge", "--data", str(obsrv.data)).stdout
    obsrv.stop()
    assert "files_with_text=0" in obsrv.run("verify", str(obsrv.data), "--find", "needle0007").stdout
    assert "segment-" in obsrv.run("verify", str(obsrv.data), "--find", "needle0008").stdout


def test_damage_to_a_segment_is_found(obsrv):
    with obsrv.client() as client:
        for n in range(50):
            post_json(client, "/v1/traces", request(span(1, traceId=f"{n + 1:032x}")))
    obsrv.stop()
    segments = [path for path in obsrv.data.iterdir() if path.name.startswith("segment-")]
    assert segments, "a clean stop flushes"
    data = bytearray(segments[0].read_bytes())
    data[len(data) // 2] ^= 1
    segments[0].write_bytes(data)
    done = obsrv.run("verify", str(obsrv.data), check=False)
    assert done.returncode != 0
    assert segments[0].name in done.stdout + done.stderr


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path):
    """A pipe that was closed, a disk that is full: the log goes nowhere, the server goes on."""
    server = Obsrv(tmp_path / "data")
    server.log = pathlib.Path("/dev/full")
    try:
        server.start()
        with server.client() as client:
            assert client.get("/v1/traces/none").status_code == 404
            assert post_json(client, "/v1/traces", request(span(1))).status_code == 200
            assert len(pages(client)) == 1
        server.child.terminate()
        assert server.child.wait(timeout=30) == 0
    finally:
        server.end()


def test_verify_and_inspect_say_why_they_do_not_look(obsrv, tmp_path):
    wal = next(path for path in obsrv.data.iterdir() if path.name.startswith("wal-"))
    for arguments in [("verify", str(obsrv.data)), ("inspect", "wal", str(wal))]:
        done = obsrv.run(*arguments, check=False)
        assert done.returncode != 0 and "stop it first" in done.stderr
    other = tmp_path / "other"
    other.mkdir()
    assert "not a data directory" in obsrv.run("verify", str(other), check=False).stderr
    assert list(other.iterdir()) == []
    assert "no data directory" in obsrv.run("verify", str(other / "typo"), check=False).stderr


def test_a_second_server_on_the_same_directory_is_refused(obsrv):
    second = subprocess.run(
        [binary(), "serve", "--data", str(obsrv.data), "--http", "127.0.0.1:0", "--grpc", "off"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert second.returncode != 0
    assert second.stderr.startswith("obsrv: ")


def test_an_import_that_cannot_begin_says_so_at_once(obsrv, tmp_path):
    file = tmp_path / "a.ndjson"
    file.write_text('{"trace_id": "t"}\n')
    begun = time.monotonic()
    done = obsrv.run("import", "--url", "http://127.0.0.1:1", str(file), check=False)
    assert done.returncode != 0 and done.stderr.startswith("obsrv: server does not answer")
    assert time.monotonic() - begun < 5
    done = obsrv.run("import", "--url", obsrv.url, "--key", "unknown-key", str(file), check=False)
    assert done.returncode != 0 and "unknown or revoked api key" in done.stderr
    done = obsrv.run("import", "--url", obsrv.url, str(file), str(tmp_path / "typo"), check=False)
    assert done.returncode != 0 and "typo" in done.stderr
    with obsrv.client() as client:
        assert pages(client) == []
    environment = {k: v for k, v in os.environ.items() if k != "OBSRV_API_KEY"}
    command = [binary(), "import", "--url", obsrv.url, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, cwd=tmp_path)
    assert done.returncode != 0 and done.stderr == "obsrv: no key; give --key or set OBSRV_API_KEY\n"


def test_an_import_waits_for_a_server_that_was_there(obsrv, tmp_path):
    """A server that answers once and is then away for a while loses nothing of the file."""
    file = tmp_path / "a.ndjson"
    lines = [json.dumps({"trace_id": f"t{n}", "steps": [], "metadata": {"x": "y" * 4000}}) for n in range(6000)]
    file.write_text("\n".join(lines))
    environment = os.environ | {"OBSRV_API_KEY": KEY}
    command = [binary(), "import", "--url", obsrv.url, str(file)]
    importing = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    with obsrv.client() as client:
        while not pages(client, limit=1000):
            pass
        obsrv.restart()
        out, err = importing.communicate(timeout=60)
        assert importing.returncode == 0, err
        assert out == "files=1 accepted=6000 failed=0\n"
        assert len(pages(client, limit=1000)) == 6000


def readme_commands():
    fenced = re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S)
    return [line for block in fenced for line in block.splitlines() if line.startswith("obsrv ")]


@pytest.mark.parametrize("line", readme_commands())
def test_every_command_of_the_readme_exists(line):
    words = shlex.split(line, comments=True)[1:]
    command = words[:2] if words[0] in ("key", "inspect", "org", "project", "member", "user", "settings", "usage", "plan", "prices") else words[:1]
    shown = subprocess.run([binary(), *command, "--help"], capture_output=True, text=True, timeout=20)
    assert shown.returncode == 0, shown.stderr
    for flag in (w for w in words if w.startswith("--")):
        assert flag in shown.stdout, flag


def test_every_setting_of_the_readme_exists():
    table = README[README.index("| setting |") :].split("\n\n")[0]
    shown = subprocess.run([binary(), "serve", "--help"], capture_output=True, text=True, timeout=20).stdout
    flags = re.findall(r"^\| `(--[a-z-]+)` \| `([^`]+)`", table, re.M)
    assert len(flags) >= 3
    for flag, default in flags:
        assert flag in shown
        assert f"[default: {default}]" in shown
    listed = {flag for flag, _ in flags} | set(re.findall(r"^\| `(--[a-z-]+)`", table, re.M))
    assert set(re.findall(r"^ +(--[a-z-]+)", shown, re.M)) - {"--help"} <= listed


def test_the_readmes_example_trace_is_taken(obsrv):
    [body] = re.findall(r"-d '\n(.*?)'\n", README, re.S)
    with obsrv.client() as client:
        answer = client.post("/v1/traces", content=body, headers={"content-type": "application/json"})
        assert answer.status_code < 300, answer.text
        listed = pages(client, status="error", meta_key="customer", meta_value="acme")
        assert [s["trace_id"] for s in listed] == ["t-1"]
        assert pages(client, q="status:error metadata.customer:acme") == listed
