"""Experiments of the published theta-obsrv package, unmodified: its users' arms, its traces, and what they come to by arm.

Which arm a user gets is worked out here as the contract says it, apart from the client and from obsrv."""

import hashlib
from collections import Counter, defaultdict

import pytest
from theta_observability import TraceClient
from theta_observability.errors import ThetaAPIError

from server import KEY

USERS = [f"user-{n}" for n in range(200)] + ["", "ü 漢字", "a:b"]
ARMS = [
    {"id": "control", "name": "As it was", "prompt_snapshot": None, "model": None, "traffic_pct": 45},
    {"id": "paused", "name": "Paused", "prompt_snapshot": "", "model": "m-0", "traffic_pct": 0},
    {"id": "short", "name": "Short ✓", "prompt_snapshot": "Be brief.\n\"Very\" brief.", "model": "m-2", "traffic_pct": 35},
    {"id": "v1.0_b-2", "name": "Other model", "prompt_snapshot": None, "model": "m-3", "traffic_pct": 20},
]


@pytest.fixture
def theta(obsrv):
    with TraceClient(api_key=KEY, base_url=obsrv.url, flush_interval=0.01) as client:
        yield client


def made(client, **body):
    answer = client.post("/v1/experiments", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def expected_arm(experiment_id, user, arms):
    """A hundred places, each of one arm; the user's is told by the first four bytes of a hash."""
    places = [arm["id"] for arm in arms for _ in range(arm["traffic_pct"])]
    assert len(places) == 100
    digest = hashlib.sha256(f"{experiment_id}:{user}".encode()).hexdigest()
    return places[int(digest[:8], 16) % 100]


@pytest.mark.parametrize("experiment_id", [None, "greeting-1"])
def test_users_get_the_arm_that_follows_from_their_id(theta, obsrv, experiment_id):
    with obsrv.client() as client:
        experiment = made(client, name="Greeting ü", arms=ARMS, **({"id": experiment_id} if experiment_id else {}))
    experiment_id = experiment["id"]
    arms = {arm["id"]: arm for arm in ARMS}
    got = Counter()
    for user in USERS:
        picked = theta.pick_arm(experiment_id, user)
        arm = arms[expected_arm(experiment_id, user, ARMS)]
        assert (picked.experiment_id, picked.experiment_name) == (experiment_id, "Greeting ü")
        assert (picked.arm_id, picked.name, picked.traffic_pct) == (arm["id"], arm["name"], arm["traffic_pct"])
        assert (picked.prompt_snapshot, picked.model) == (arm["prompt_snapshot"], arm["model"])
        got[picked.arm_id] += 1
    assert set(got) == {"control", "short", "v1.0_b-2"}, "of 200 users some are in each arm, and none where it has 0"


def test_an_edit_reaches_the_client_and_a_restart_changes_nothing(theta, obsrv):
    with obsrv.client() as client:
        experiment = made(client, name="n", arms=ARMS)
        path = f"/v1/experiments/{experiment['id']}"
        assert theta.experiments.get(experiment["id"])["arms"] == ARMS
        turned = ARMS[::-1]
        revision = experiment["revision"]
        edit = {"revision": revision, "name": "turned", "arms": turned}
        assert client.put(path, json=edit).json()["revision"] == revision + 1
        stale = client.put(path, json=edit)
        assert (stale.status_code, stale.json()["error"]["field"]) == (409, "revision")
        for restarts in range(2):
            shown = theta.experiments.get(experiment["id"], force_refresh=True)
            assert (shown["name"], shown["arms"], shown["revision"]) == ("turned", turned, revision + 1), restarts
            for user in USERS:
                assert theta.pick_arm(experiment["id"], user).arm_id == expected_arm(experiment["id"], user, turned)
            listed = client.get("/v1/projects/1/experiments").json()
            assert ([item["id"] for item in listed["items"]], listed["next"]) == ([experiment["id"]], None)
            obsrv.restart()
        assert client.delete(path).status_code == 200
        with pytest.raises(ThetaAPIError):
            theta.experiments.get(experiment["id"], force_refresh=True)
        obsrv.restart()
        assert client.get(path).status_code == 404


def test_what_the_client_would_fail_on_is_refused(obsrv):
    with obsrv.client() as client:
        for arms, says in [
            ([], "needs an arm"),
            ([{"id": "a", "traffic_pct": 60}, {"id": "b", "traffic_pct": 60}], "sum=120"),
            ([{"id": "a", "traffic_pct": "100"}], "wrong type"),
            ([{"id": "a", "traffic_pct": 99.5}, {"id": "b", "traffic_pct": 0.5}], "wrong type"),
        ]:
            answer = client.post("/v1/experiments", json={"name": "n", "arms": arms})
            assert (answer.status_code, says in answer.text) == (400, True), answer.text
        assert client.get("/v1/experiments").json()["items"] == []


def test_a_key_that_only_sends_may_read_and_not_change(theta, obsrv):
    with obsrv.client() as client:
        experiment = made(client, name="n", arms=ARMS)
        key = client.post("/v1/keys", json={"name": "app", "scopes": ["ingest"]}).json()["key"]
    with TraceClient(api_key=key, base_url=obsrv.url) as app:
        assert app.pick_arm(experiment["id"], "u").arm_id == expected_arm(experiment["id"], "u", ARMS)
    with obsrv.client(key) as client:
        path = f"/v1/experiments/{experiment['id']}"
        assert client.delete(path).status_code == 403
        assert client.post("/v1/experiments", json={"name": "n", "arms": ARMS}).status_code == 403


def run_all(theta, experiment_id):
    """A trace of each user, tagged as the client tells it; what the program did, by arm."""
    did = defaultdict(list)
    for n, user in enumerate(USERS[:200]):
        arm = theta.pick_arm(experiment_id, user)
        with theta.trace("answer", user_id=user, metadata=arm.trace_metadata()) as trace:
            trace.set_cost(0.25 * (n % 8))
            with trace.step(name="ask", type="llm", model=arm.model or "m-1") as step:
                step.set_token_usage(10 + n, n % 5, 10 + n + n % 5)
            if n % 3 == 0:
                trace.annotate(label="helpful", score=(n % 4) / 4)
            if n % 7 == 0:
                trace.model.status = "error"
        model = trace.model
        did[expected_arm(experiment_id, user, ARMS)].append((model, n))
    with theta.trace("of no experiment"):
        pass
    assert theta.flush(timeout=60)
    return did


def test_traces_of_users_add_up_by_arm(theta, obsrv):
    with obsrv.client() as client:
        experiment_id = made(client, id="answers", name="Answers", arms=ARMS)["id"]
        did = run_all(theta, experiment_id)
        answer = client.post(
            "/v1/projects/1/aggregate",
            json={
                "q": f"metadata.experiment_id:{experiment_id}",
                "group_by": ["metadata.experiment_arm_id"],
                "measures": [
                    {"fn": "count", "where": "status:error"},
                    {"fn": "max", "of": "duration"},
                    {"fn": "sum", "of": "cost"},
                    {"fn": "sum", "of": "tokens.total"},
                    {"fn": "distinct", "of": "user_id"},
                ],
            },
        )
        assert answer.status_code == 200, answer.text
        found = {group["by"]["metadata.experiment_arm_id"]: group for group in answer.json()["groups"]}
        assert set(found) == set(did)
        for arm, runs in did.items():
            errors, slowest, cost, tokens, users = found[arm]["values"]
            assert (found[arm]["rows"], errors) == (len(runs), sum(n % 7 == 0 for _, n in runs))
            longest = max((model.ended_at - model.started_at).total_seconds() for model, _ in runs)
            assert slowest / 1e9 == pytest.approx(longest, abs=2e-6)
            assert cost == pytest.approx(sum(0.25 * (n % 8) for _, n in runs))
            assert tokens == sum(10 + n + n % 5 for _, n in runs)
            assert users == len(runs)
        results = client.get(f"/v1/projects/1/experiments/{experiment_id}/results").json()
        assert [arm["id"] for arm in results["arms"]] == [arm["id"] for arm in ARMS]
        for arm, said in zip(results["arms"], ARMS):
            runs = did.get(said["id"], [])
            assert (arm["name"], arm["traffic_pct"], arm["traces"]) == (said["name"], said["traffic_pct"], len(runs))
            assert (arm["users"], arm["errors"]) == (len(runs), sum(n % 7 == 0 for _, n in runs))
            assert arm["tokens"] == (sum(10 + n + n % 5 for _, n in runs) if runs else None)
            scores = [(n % 4) / 4 for _, n in runs if n % 3 == 0]
            if not runs:
                assert (arm["cost"], arm["duration_ns_p95"], arm["scores"]) == (None, None, {})
                continue
            assert arm["cost"]["total"] == pytest.approx(sum(0.25 * (n % 8) for _, n in runs))
            assert arm["scores"]["helpful"]["count"] == len(scores)
            assert arm["scores"]["helpful"]["avg"] == pytest.approx(sum(scores) / len(scores))
            assert not arm["scores_cut"]
            lengths = sorted((model.ended_at - model.started_at).total_seconds() * 1e9 for model, _ in runs)
            assert lengths[0] - 2000 <= arm["duration_ns_p50"] <= arm["duration_ns_p95"] <= lengths[-1] + 2000
        # An arm that was taken out is told as long as runs name it.
        edit = {"revision": results["revision"], "name": "Short alone", "arms": [ARMS[2] | {"traffic_pct": 100}]}
        assert client.put(f"/v1/experiments/{experiment_id}", json=edit).status_code == 200
        later = client.get(f"/v1/projects/1/experiments/{experiment_id}/results").json()
        gone = sorted((arm for arm in did if arm != "short"), key=lambda arm: -len(did[arm]))
        assert [(arm["id"], arm["name"]) for arm in later["arms"]] == [("short", "Short ✓"), *((arm, None) for arm in gone)]
