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
    bytes_there = b"".join(path.read_bytes() for path in obsrv.data.rglob("*") if path.is_file())
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
