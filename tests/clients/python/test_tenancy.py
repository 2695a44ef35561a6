"""Organizations, projects and keys of the real binary: by command, over restarts and on the disk."""

import json

from server import KEY, post_json
from test_otlp_json import request, span


def command(obsrv, *words, check=True):
    done = obsrv.run(*words, "--data", str(obsrv.data), check=check)
    return [json.loads(line) for line in done.stdout.splitlines()] if check else done


def test_organizations_and_projects_live_by_command(obsrv):
    [made] = command(obsrv, "org", "create", "Acme", "--slug", "acme")
    org = made["id"]
    [made] = command(obsrv, "project", "create", "shop", "--org", str(org))
    project = str(made["id"])
    command(obsrv, "project", "rename", project, "store")
    command(obsrv, "project", "move", project, "--org", "1")
    command(obsrv, "member", "set", "7", "viewer", "--org", str(org))
    obsrv.restart()
    assert [o["slug"] for o in command(obsrv, "org", "list")] == ["default", "acme"]
    shown = [(p["id"], p["name"], p["org"]) for p in command(obsrv, "project", "list")]
    assert shown == [(1, "default", 1), (int(project), "store", 1)]
    assert [m["role"] for m in command(obsrv, "member", "list", "--org", str(org))] == ["viewer"]
    key = obsrv.run("key", "create", "--project", "store", "--scope", "read", "--data", str(obsrv.data)).stdout.strip()
    with obsrv.client(key) as client:
        assert client.get("/v1/traces").status_code == 200
        assert post_json(client, "/v1/traces", request(span(1))).status_code == 403
        command(obsrv, "project", "archive", project)
        assert client.get("/v1/traces").status_code == 200
        command(obsrv, "project", "delete", project)
        for _ in range(2):
            assert client.get("/v1/traces").status_code == 401
            obsrv.restart()
    refused = command(obsrv, "project", "rename", project, "x", check=False)
    assert refused.returncode != 0 and "no such project" in refused.stderr
    actions = [r["action"] for r in command(obsrv, "audit", "--org", "1", "--action", "project")]
    assert actions[:2] == ["project.deleted", "project.archived"]


def test_keys_rotate_and_a_revoked_one_stays_revoked_over_kill_9(obsrv):
    key = obsrv.run("key", "create", "--project", "p", "--name", "ci", "--data", str(obsrv.data)).stdout.strip()
    [project] = [str(p["id"]) for p in command(obsrv, "project", "list") if p["name"] == "p"]
    old = key.split("_")[1]
    new = obsrv.run("key", "rotate", old, "--project", project, "--data", str(obsrv.data)).stdout.strip()
    with obsrv.client(key) as before, obsrv.client(new) as after:
        assert before.get("/v1/traces").status_code == after.get("/v1/traces").status_code == 200
        obsrv.run("key", "revoke", old, "--data", str(obsrv.data))
        for _ in range(3):
            assert before.get("/v1/traces").status_code == 401
            assert post_json(before, "/v1/traces", request(span(1))).status_code == 401
            assert after.get("/v1/traces").status_code == 200
            obsrv.restart()
    states = {k["id"]: (k["state"], k["name"]) for k in command(obsrv, "key", "list", "--project", project)}
    assert states == {old: ("revoked", "ci"), new.split("_")[1]: ("live", "ci")}
    [token] = obsrv.run("member", "invite", "a@b.example", "viewer", "--data", str(obsrv.data)).stdout.split()
    obsrv.stop()
    # The control: what is not secret is found there.
    bytes_there = b"".join(file.read() for _, file in obsrv.files())
    assert b"a@b.example" in bytes_there + obsrv.log.read_bytes()
    for secret in [key, new, token, key.split("_")[2], KEY]:
        assert secret.encode() not in bytes_there
        assert secret.encode() not in obsrv.log.read_bytes()


def test_verify_reads_the_chain_of_the_audit_log(obsrv):
    """That an edit of it is found, `tenancy::audit::tests` show."""
    command(obsrv, "org", "create", "Acme", "--slug", "acme")
    obsrv.stop()
    done = obsrv.run("verify", str(obsrv.data))
    assert "findings=0" in done.stdout
    events = int(done.stdout.split("control_events=")[1].split()[0])
    assert events >= 3


def test_the_document_is_served(obsrv):
    with obsrv.client() as client:
        document = client.get("/openapi.json").json()
        assert document["openapi"].startswith("3.1")
        assert "x-api-key" in json.dumps(document["components"]["securitySchemes"])
        assert client.get("/v1/me").json()["kind"] == "key"


def test_settings_use_and_plans_by_command(obsrv, tmp_path):
    settings = {"redaction": {"patterns": [{"name": "ticket", "pattern": "TCK-[0-9]{6}"}]}, "retention": {"traces_days": 30}}
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(settings))
    for revision in (1, 2):
        [changed] = command(obsrv, "settings", "set", "1", "--file", str(file))
        assert changed["revision"] == revision and changed["receipt"]["changed"]
    [shown] = command(obsrv, "settings", "show", "1")
    assert (shown["revision"], shown["settings"]["retention"]["traces_days"]) == (2, 30)
    [tried] = command(obsrv, "settings", "preview", "1", "--text", "about TCK-123456")
    assert tried["found"] and "TCK-123456" in tried["before"] and "TCK-123456" not in tried["after"]
    plan = tmp_path / "plan.json"
    plan.write_text('{"name": "team", "month": {"traces": 1}}')
    command(obsrv, "plan", "set", "1", "--file", str(plan))
    with obsrv.client(KEY) as client:
        assert post_json(client, "/v1/traces", request(span(1))).status_code < 300
        refused = post_json(client, "/v1/traces", request(span(1, traceId="f" * 32)))
        limit = refused.json()["error"]["limit"]
        assert (refused.status_code, limit["name"], limit["period"], limit["value"]) == (429, "traces", "month", 1)
        assert int(refused.headers["retry-after"]) == limit["retry_after_seconds"]
        told = client.get("/v1/usage").json()
        assert told["usage"]["tier"] == "team" and told["usage"]["is_rate_limited"]
    [used] = command(obsrv, "usage", "project", "1")
    assert used["used"]["month"]["traces"] == 1
    assert "by_key" not in used
    [used] = command(obsrv, "usage", "project", "1", "--by-key")
    [key] = [one for one in used["by_key"] if one["used"]["month"]["traces"]]
    assert (key["who"], key["state"], key["used"]["month"]["spans"]) == ("key", "live", used["used"]["month"]["spans"])
    [of_org] = command(obsrv, "usage", "org", "1")
    assert of_org["plan"]["name"] == "team"
    [refusals] = command(obsrv, "usage", "refusals", "1")
    assert [r["reason"] for r in refusals["refusals"]] == ["traces"]
    file.write_text("{")
    bad = command(obsrv, "settings", "set", "1", "--file", str(file), check=False)
    assert bad.returncode != 0 and "not json" in bad.stderr
