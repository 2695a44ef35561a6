"""A program with version 2 of the langfuse package that sends traces and reads them again by every `fetch_` method.

What each list must hold is worked out from what was sent. Runs as a process of its own beside version 5."""

import datetime
import itertools
import os
import random

from langfuse import Langfuse
from langfuse.api.resources.commons.errors.not_found_error import NotFoundError
from langfuse.version import __version__

BEGIN = datetime.datetime(2026, 5, 2, 10, 0, 0, tzinfo=datetime.timezone.utc)
USERS = ["u-1", "u-2", None]
SESSIONS = ["s-1", "s-2", "s-3", None]
ENVIRONMENTS = ["prod", "staging"]
TAGS = ["alpha", "beta", "gamma"]


def at(second):
    return BEGIN + datetime.timedelta(seconds=second)


def made(dice):
    """Traces with their observations and scores, as they are sent."""
    traces = []
    for n in range(37):
        trace = {
            "id": f"read-{n:02}",
            "timestamp": at(60 * n),
            "name": dice.choice(["checkout", "search"]),
            "user_id": dice.choice(USERS),
            "session_id": dice.choice(SESSIONS),
            "version": dice.choice(["v1", "v2"]),
            "release": dice.choice(["r1", "r2"]),
            "tags": sorted(dice.sample(TAGS, dice.randrange(3))),
            "metadata": {"n": n, "even": n % 2 == 0, "deep": {"list": [1, None, "x"]}},
            "input": {"question": f"漢字 {n}"},
            "output": f"answer {n}",
            "environment": dice.choice(ENVIRONMENTS),
        }
        observations, scores = [], []
        for m in range(1 + dice.randrange(4)):
            kind = dice.choice(["span", "generation", "event"])
            observation = {
                "id": f"{trace['id']}-o{m}",
                "type": kind.upper(),
                "name": dice.choice(["plan", "call"]),
                "start_time": at(60 * n + m),
                "level": dice.choice(["DEBUG", "DEFAULT", "WARNING", "ERROR"]),
                "version": dice.choice(["v1", "v2"]),
                "metadata": {"m": m},
                "input": [{"role": "user", "content": str(m)}],
                "parent": observations[0]["id"] if m and dice.random() < 0.5 else None,
            }
            if kind != "event":
                observation["end_time"] = at(60 * n + m + 0.25)
            if kind == "generation":
                observation["model"] = "m-" + str(m)
                observation["usage_details"] = {"input": 10 + m, "output": m, "total": 10 + 2 * m}
                observation["cost_details"] = {"input": 0.5, "output": 0.25, "total": 0.75}
                observation["completion_start_time"] = at(60 * n + m + 0.125)
            observations.append(observation)
        for m, (name, value, data_type) in enumerate(
            [("quality", n / 4, "NUMERIC"), ("tone", "warm", "CATEGORICAL"), ("kept", n % 2, "BOOLEAN")]
        ):
            if dice.random() < 0.6:
                of = dice.choice([None, observations[0]["id"]])
                scores.append(
                    {
                        "id": f"{trace['id']}-s{m}",
                        "name": name,
                        "value": value,
                        "data_type": data_type,
                        "observation_id": of,
                        "comment": f"because {m}",
                    }
                )
        traces.append(trace | {"observations": observations, "scores": scores})
    return traces


def send(client, traces):
    for trace in traces:
        own = {key: value for key, value in trace.items() if key not in ("observations", "scores", "environment")}
        client.environment = trace["environment"]
        sent = client.trace(**own)
        for observation in trace["observations"]:
            fields = {key: value for key, value in observation.items() if key not in ("type", "parent")}
            fields = fields | {"trace_id": trace["id"], "parent_observation_id": observation["parent"]}
            {"SPAN": client.span, "GENERATION": client.generation, "EVENT": client.event}[observation["type"]](**fields)
        for score in trace["scores"]:
            client.score(trace_id=trace["id"], **score)
        assert sent.id == trace["id"]
    client.flush()


def all_pages(fetch, limit, **filters):
    """Every row of a list, page by page, each page as long as it says."""
    rows = []
    for page in itertools.count(1):
        said = fetch(page=page, limit=limit, **filters)
        assert (said.meta.page, said.meta.limit) == (page, limit)
        assert said.meta.total_pages == -(-said.meta.total_items // limit), said.meta
        rows += said.data
        if page >= said.meta.total_pages:
            assert len(rows) == said.meta.total_items
            assert fetch(page=page + 1, limit=limit, **filters).data == []
            return rows


def same_trace(got, sent):
    for field in ["id", "name", "user_id", "session_id", "version", "release", "metadata", "input", "output"]:
        assert getattr(got, field) == sent[field], (field, getattr(got, field), sent[field])
    assert got.timestamp == sent["timestamp"]
    assert sorted(got.tags) == sent["tags"]
    assert got.environment == sent["environment"]
    assert got.public is False and got.html_path.endswith("/traces/" + sent["id"])
    generations = [o for o in sent["observations"] if o["type"] == "GENERATION"]
    assert got.total_cost == 0.75 * len(generations)


def same_observation(got, sent, trace):
    for field in ["id", "type", "name", "start_time", "version", "metadata", "input"]:
        assert getattr(got, field) == sent[field], (field, getattr(got, field), sent[field])
    assert (got.level.value, got.trace_id, got.parent_observation_id) == (sent["level"], trace["id"], sent["parent"])
    assert got.environment == trace["environment"]
    end = sent.get("end_time", sent["start_time"])
    assert got.end_time == end
    assert abs(got.latency - (end - sent["start_time"]).total_seconds()) < 1e-9
    if sent["type"] == "GENERATION":
        assert (got.model, got.usage_details, got.cost_details) == (
            sent["model"],
            sent["usage_details"],
            sent["cost_details"],
        )
        assert (got.usage.input, got.usage.output, got.usage.total) == tuple(sent["usage_details"].values())
        assert (got.calculated_total_cost, got.time_to_first_token) == (0.75, 0.125)
        assert got.completion_start_time == sent["completion_start_time"]


def same_score(got, sent, trace):
    for field in ["id", "name", "data_type", "observation_id", "comment"]:
        assert getattr(got, field) == sent[field], (field, getattr(got, field), sent[field])
    assert got.trace_id == trace["id"] and got.source.value == "API"
    if sent["data_type"] == "NUMERIC":
        assert got.value == sent["value"]
    else:
        words = {"BOOLEAN": "True" if sent["value"] == 1 else "False"}
        assert got.string_value == words.get(sent["data_type"], sent["value"])


def ids(rows):
    return [row.id for row in rows]


def read_traces(client, traces):
    newest = sorted(traces, key=lambda t: t["timestamp"], reverse=True)
    got = all_pages(client.fetch_traces, 10)
    assert ids(got) == [t["id"] for t in newest]
    for one, sent in zip(got, newest):
        same_trace(one, sent)
        assert sorted(one.observations) == sorted(o["id"] for o in sent["observations"])
        assert sorted(one.scores) == sorted(s["id"] for s in sent["scores"])
    for filters, passes in [
        ({"name": "search"}, lambda t: t["name"] == "search"),
        ({"user_id": "u-2"}, lambda t: t["user_id"] == "u-2"),
        ({"session_id": "s-1"}, lambda t: t["session_id"] == "s-1"),
        ({"tags": ["alpha", "beta"]}, lambda t: {"alpha", "beta"} <= set(t["tags"])),
        ({"environment": "prod"}, lambda t: t["environment"] == "prod"),
        ({"environment": ["prod", "default"]}, lambda t: t["environment"] == "prod"),
        ({"environment": "default"}, lambda t: False),
        ({"from_timestamp": at(600), "to_timestamp": at(1200)}, lambda t: at(600) <= t["timestamp"] < at(1200)),
        ({"name": "checkout", "user_id": "u-1"}, lambda t: (t["name"], t["user_id"]) == ("checkout", "u-1")),
    ]:
        wanted = [t["id"] for t in newest if passes(t)]
        assert ids(all_pages(client.fetch_traces, 7, **filters)) == wanted, filters
    assert ids(all_pages(client.fetch_traces, 50, order_by="timestamp.asc")) == [t["id"] for t in traces]
    by_name = all_pages(client.fetch_traces, 50, order_by="name.desc")
    assert [t.name for t in by_name] == sorted((t["name"] for t in traces), reverse=True)
    for sent in traces[:5]:
        one = client.fetch_trace(sent["id"]).data
        same_trace(one, sent)
        assert ids(one.observations) == [o["id"] for o in sent["observations"]]
        for got, observation in zip(one.observations, sent["observations"]):
            same_observation(got, observation, sent)
        assert sorted(ids(one.scores)) == sorted(s["id"] for s in sent["scores"])
    try:
        client.client.trace.get("no-such-trace")
        raise AssertionError("a trace that is not there was found")
    except NotFoundError:
        pass


def read_observations(client, traces):
    pairs = [(t, o) for t in traces for o in t["observations"]]
    pairs.sort(key=lambda pair: pair[1]["start_time"], reverse=True)
    got = all_pages(client.fetch_observations, 20)
    assert ids(got) == [o["id"] for _, o in pairs]
    for one, (trace, sent) in zip(got, pairs):
        same_observation(one, sent, trace)
    first = traces[0]["observations"][0]["id"]
    for filters, passes in [
        ({"type": "GENERATION"}, lambda t, o: o["type"] == "GENERATION"),
        ({"type": "EVENT"}, lambda t, o: o["type"] == "EVENT"),
        ({"type": "SPAN"}, lambda t, o: o["type"] == "SPAN"),
        ({"name": "plan"}, lambda t, o: o["name"] == "plan"),
        ({"user_id": "u-1"}, lambda t, o: t["user_id"] == "u-1"),
        ({"trace_id": "read-03"}, lambda t, o: t["id"] == "read-03"),
        ({"parent_observation_id": first}, lambda t, o: o["parent"] == first),
        ({"environment": "staging"}, lambda t, o: t["environment"] == "staging"),
        ({"from_start_time": at(60), "to_start_time": at(300)}, lambda t, o: at(60) <= o["start_time"] < at(300)),
    ]:
        wanted = [o["id"] for t, o in pairs if passes(t, o)]
        assert ids(all_pages(client.fetch_observations, 9, **filters)) == wanted, filters
    trace, sent = pairs[0]
    same_observation(client.fetch_observation(sent["id"]).data, sent, trace)
    assert len(client.get_generations(limit=100).data) == sum(o["type"] == "GENERATION" for _, o in pairs)


def read_sessions(client, traces):
    begun = {}
    for trace in traces:
        if trace["session_id"]:
            begun.setdefault(trace["session_id"], []).append(trace)
    newest = sorted(begun, key=lambda s: begun[s][0]["timestamp"], reverse=True)
    got = all_pages(client.fetch_sessions, 2)
    assert [(s.id, s.created_at) for s in got] == [(s, begun[s][0]["timestamp"]) for s in newest]
    one = client.client.sessions.get("s-2")
    assert ids(one.traces) == [t["id"] for t in begun["s-2"]]
    for got, sent in zip(one.traces, begun["s-2"]):
        assert (got.input, got.metadata) == (sent["input"], sent["metadata"])


def read_scores(client, traces):
    pairs = {s["id"]: (t, s) for t in traces for s in t["scores"]}
    scores = client.client.score
    got = all_pages(scores.get, 8)
    assert sorted(ids(got)) == sorted(pairs)
    for one in got:
        trace, sent = pairs[one.id]
        same_score(one, sent, trace)
        assert (one.trace.user_id, sorted(one.trace.tags)) == (trace["user_id"], trace["tags"])
    some = sorted(pairs)[:2]
    for filters, passes in [
        ({"name": "tone"}, lambda t, s: s["name"] == "tone"),
        ({"data_type": "BOOLEAN"}, lambda t, s: s["data_type"] == "BOOLEAN"),
        ({"data_type": "NUMERIC"}, lambda t, s: s["data_type"] == "NUMERIC"),
        ({"data_type": "CATEGORICAL"}, lambda t, s: s["data_type"] == "CATEGORICAL"),
        ({"user_id": "u-1"}, lambda t, s: t["user_id"] == "u-1"),
        ({"trace_tags": ["alpha"]}, lambda t, s: "alpha" in t["tags"]),
        ({"source": "API"}, lambda t, s: True),
        ({"source": "EVAL"}, lambda t, s: False),
        ({"score_ids": ",".join(some)}, lambda t, s: s["id"] in some),
        ({"operator": ">=", "value": 4.0}, lambda t, s: s["data_type"] == "NUMERIC" and s["value"] >= 4),
    ]:
        wanted = sorted(s["id"] for t, s in pairs.values() if passes(t, s))
        assert sorted(ids(all_pages(scores.get, 50, **filters))) == wanted, filters
    trace, sent = pairs[some[0]]
    same_score(scores.get_by_id(some[0]), sent, trace)


def read_days(client, traces):
    said = client.client.metrics.daily()
    [day] = said.data
    observations = [o for t in traces for o in t["observations"]]
    generations = [o for o in observations if o["type"] == "GENERATION"]
    assert (day.date, day.count_traces, day.count_observations) == (BEGIN.date(), len(traces), len(observations))
    assert abs(day.total_cost - 0.75 * len(generations)) < 1e-9
    usage = {u.model: (u.input_usage, u.output_usage, u.total_usage, u.count_observations) for u in day.usage}
    wanted = {}
    for model in {o["model"] for o in generations}:
        of = [o["usage_details"] for o in generations if o["model"] == model]
        sums = [sum(u[key] for u in of) for key in ["input", "output", "total"]]
        wanted[model] = (*sums, len(of))
    assert usage == wanted


def read_priced(client):
    """What nobody states costs what the shipped prices say: of gpt-4o 2.50 a million in, 10 out."""
    client.trace(id="priced", name="priced", timestamp=at(9000))
    usage = {"input": 400_000, "output": 50_000, "total": 450_000}
    times = {"start_time": at(9000), "end_time": at(9001)}
    client.generation(id="priced-o", trace_id="priced", model="gpt-4o", usage_details=usage, **times)
    client.flush()
    assert client.fetch_trace("priced").data.total_cost == 1.5
    [listed] = client.fetch_traces(name="priced", order_by="totalCost.desc").data
    assert listed.total_cost == 1.5
    call = client.fetch_observation("priced-o").data
    assert (call.calculated_total_cost, call.cost_details) == (1.5, {"total": 1.5})
    [day] = client.client.metrics.daily(trace_name="priced").data
    assert (day.total_cost, [(u.model, u.total_cost) for u in day.usage]) == (1.5, [("gpt-4o", 1.5)])


def main():
    assert __version__.startswith("2."), __version__
    client = Langfuse(public_key="pk-lf", secret_key=os.environ["OBSRV_KEY"], host=os.environ["OBSRV_URL"])
    traces = made(random.Random(7))
    send(client, traces)
    read_traces(client, traces)
    read_observations(client, traces)
    read_sessions(client, traces)
    read_scores(client, traces)
    read_days(client, traces)
    gone = client.client.trace.delete("read-00")
    assert gone.message
    assert len(all_pages(client.fetch_traces, 50)) == len(traces) - 1
    read_priced(client)


main()
