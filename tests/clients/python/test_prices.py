"""What a trace cost: stated, by the shipped table, by a table of one's own, or unknown. Prices are those that the providers
publish, worked out by hand."""

import json
import time

import pytest

from server import Obsrv

BASE = 1_795_000_000_000_000_000
TRACE = f"{0xC0:032x}"


def span(number, kind, model=None, tokens=(), cost=None, parent=None):
    attributes = [{"key": "openinference.span.kind", "value": {"stringValue": kind}}]
    if model:
        attributes.append({"key": "gen_ai.request.model", "value": {"stringValue": model}})
    for key, n in tokens:
        attributes.append({"key": f"gen_ai.usage.{key}", "value": {"intValue": str(n)}})
    if cost is not None:
        attributes.append({"key": "gen_ai.usage.cost", "value": {"doubleValue": cost}})
    return {
        "traceId": TRACE,
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": f"s{number}",
        "startTimeUnixNano": str(BASE),
        "endTimeUnixNano": str(BASE + 1),
        "attributes": attributes,
    }


def cost_of(server, spans):
    with server.client() as client:
        body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
        assert client.post("/v1/traces", json=body).json() == {"partialSuccess": {}}
        answer = client.get(f"/v1/projects/1/traces/{TRACE}/cost")
        assert answer.status_code == 200, answer.text
        return answer.json()


CACHED = [("input_tokens", 17_903), ("cache_read.input_tokens", 17_817), ("output_tokens", 100)]
AGENT = span(1, "AGENT", tokens=CACHED, cost=9.0)
CALL = span(2, "LLM", "gpt-4o", CACHED, parent=1)
STATED = span(3, "LLM", "claude-sonnet-4-5", [("input_tokens", 5)], cost=0.5, parent=1)
UNKNOWN = span(4, "LLM", "our own", [("input_tokens", 5)], parent=1)
# A million: 2.50 in, 1.25 cached, 10 out.
GPT = (86 * 2.5 + 17_817 * 1.25 + 100 * 10) / 1e6


def test_costs_are_stated_priced_or_unknown_and_no_roll_up_is_added(obsrv):
    said = cost_of(obsrv, [AGENT, CALL, STATED])
    assert said["total"] == pytest.approx(0.5 + GPT)
    assert (said["stated"], said["priced"]) == (0.5, pytest.approx(GPT))
    assert (said["unknown"], said["is_complete"], said["stated_by_trace"]) == (0, True, None)
    assert said["table"]["date"].startswith("2026-08-20")
    sources = {step["span_id"]: (step["source"], step["priced_as"]) for step in said["data"]}
    assert sources == {
        f"{1:016x}": ("roll_up", None),
        f"{2:016x}": ("priced", ["gpt-4o", "Standard"]),
        f"{3:016x}": ("stated", None),
    }
    said = cost_of(obsrv, [UNKNOWN])
    assert (said["total"], said["unknown"], said["is_complete"]) == (pytest.approx(0.5 + GPT), 1, False)
    [unknown] = [step for step in said["data"] if step["source"] == "unknown"]
    assert unknown["cost"] is None


def test_a_trace_of_which_nobody_knows_anything_has_no_cost(obsrv):
    said = cost_of(obsrv, [UNKNOWN])
    assert (said["total"], said["unknown"], said["is_complete"]) == (None, 1, False)
    with obsrv.client() as client:
        assert client.get(f"/v1/projects/1/traces/{0xDD:032x}/cost").status_code == 404


def test_sums_count_the_steps_that_are_not_listed(obsrv):
    calls = [span(number, "LLM", "gpt-4o", [("input_tokens", 1_000_000)]) for number in range(1, 1_001)]
    said = cost_of(obsrv, calls)
    assert (len(said["data"]), said["total"]) == (1_000, pytest.approx(2_500))
    said = cost_of(obsrv, [span(1_001, "LLM", "gpt-4o", [("input_tokens", 400_000)])])
    assert (len(said["data"]), said["total"]) == (1_000, pytest.approx(2_501))
    assert all(step["cost"] == pytest.approx(2.5) for step in said["data"])


def test_what_only_the_agent_states_is_the_cost(obsrv):
    said = cost_of(obsrv, [AGENT, span(5, "TOOL", parent=1)])
    assert (said["total"], said["is_complete"]) == (9.0, True)


def test_a_table_of_ones_own_prices_what_is_there_already(tmp_path):
    server = Obsrv(tmp_path / "data").start()
    try:
        assert cost_of(server, [UNKNOWN])["total"] is None
        server.stop()
        tier = {"name": "Ours", "isDefault": True, "prices": {"input": 0.25}}
        table = tmp_path / "prices.json"
        table.write_text(json.dumps([{"modelName": "own", "matchPattern": "our own", "pricingTiers": [tier]}]))
        server.flags = ("--prices", str(table))
        server.start()
        said = cost_of(server, [UNKNOWN])
        assert (said["total"], said["table"]["models"]) == (1.25, 1)
        assert said["data"][0]["priced_as"] == ["own", "Ours"]
        server.stop()
        table.write_text(json.dumps([{"modelName": "own", "matchPattern": "(", "pricingTiers": []}]))
        with pytest.raises(AssertionError, match="model=own"):
            server.start()
    finally:
        server.end()


def eventually(what, expected):
    """What is stored is priced again behind requests."""
    end = time.monotonic() + 30
    while (said := what()) != expected:
        assert time.monotonic() < end, said
        time.sleep(0.2)


def test_lists_have_the_cost_and_an_organization_its_own_prices(obsrv, tmp_path):
    cost_of(obsrv, [AGENT, CALL, UNKNOWN])
    with obsrv.client() as client:

        def listed(**asked):
            return client.get("/v1/projects/1/traces", params=asked).json()["data"]

        [run] = listed()
        assert run["cost"] == {"total": pytest.approx(GPT), "source": "priced", "unknown_steps": 1}
        assert (len(listed(q="cost>1")), len(listed(q="cost<1"))) == (0, 1)
        tier = {"name": "Ours", "isDefault": True, "prices": {"input": 0.25}}
        table = tmp_path / "prices.json"
        table.write_text(json.dumps([{"modelName": "own", "matchPattern": "our own", "pricingTiers": [tier]}]))
        obsrv.run("prices", "set", "1", "--file", str(table), "--data", str(obsrv.data))
        whole = {"total": pytest.approx(GPT + 1.25), "source": "priced"}
        eventually(lambda: listed()[0]["cost"], whole)
        assert len(listed(q="cost>1")) == 1
        assert client.get(f"/v1/projects/1/traces/{TRACE}/cost").json()["total"] == pytest.approx(GPT + 1.25)
        eventually(lambda: json.loads(obsrv.run("prices", "show", "1", "--data", str(obsrv.data)).stdout)["is_applied"], True)
    # Over a restart, from the log and from segments, it is the same.
    for _ in range(2):
        obsrv.stop()
        obsrv.start()
        with obsrv.client() as client:
            [run] = client.get("/v1/projects/1/traces").json()["data"]
            assert run["cost"] == whole
            assert client.get("/v1/projects/1/traces", params={"q": "cost>1"}).json()["data"] != []
