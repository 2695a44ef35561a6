"""OTLP/JSON made by hand: the forms that no SDK sends but that the specification allows."""

import json

from server import ROOT, pages, post_json, trace_of
from spans import of_text

TRACE = "0af7651916cd43dd8448eb211c80319c"


def span(n, **fields):
    return {
        "traceId": TRACE,
        "spanId": f"{n:016x}",
        "parentSpanId": "" if n == 1 else f"{1:016x}",
        "name": f"span {n}",
        "kind": 1,
        "startTimeUnixNano": str(1_700_000_000_000_000_000 + n),
        "endTimeUnixNano": str(1_700_000_001_000_000_000 + n),
        "attributes": [],
        **fields,
    }


def request(*spans, service="hand"):
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {}, "spans": list(spans)}]}]}


def sent(client, body):
    answer = post_json(client, "/v1/traces", body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_kind_of_value(obsrv):
    values = [
        ({"stringValue": "x"}, "x"),
        ({"boolValue": False}, False),
        ({"intValue": "-9223372036854775808"}, -(2**63)),
        ({"intValue": 7}, 7),
        ({"doubleValue": 0.5}, 0.5),
        ({"doubleValue": 3}, 3),
        ({"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "b"}, {}]}}, [1, "b", None]),
        ({"kvlistValue": {"values": [{"key": "a.b", "value": {"intValue": "1"}}]}}, {"a.b": 1}),
        ({"arrayValue": {}}, []),
        ({"kvlistValue": {}}, {}),
        ({}, None),
    ]
    attributes = [{"key": f"k{i}", "value": value} for i, (value, _) in enumerate(values)]
    with obsrv.client() as client:
        assert not sent(client, request(span(1, attributes=attributes))).get("partialSuccess", {}).get("rejectedSpans")
        [step] = trace_of(client, TRACE)["trace"]["steps"]
    assert step["metadata"] == {f"k{i}": meant for i, (_, meant) in enumerate(values)}


def test_the_specifications_example(obsrv):
    example = json.loads((ROOT / "samples/span-formats/otlp-trace.json").read_text())
    with obsrv.client() as client:
        sent(client, example)
        served = trace_of(client, "5b8efff798038103d269b633813fc60c")
        [step] = served["trace"]["steps"]
        assert step["step_id"] == "eee19b7ec3c1b174"
        assert step["parent_step_id"] == "eee19b7ec3c1b173"
        assert step["name"] == "I'm a server span"
        assert step["metadata"] == {"my.span.attr": "some value"}
        assert of_text(step["started_at"]) == 1544712660000000
        assert served["meta"]["latency_ms"] == 1000


def test_unknown_fields_are_no_error(obsrv):
    body = request(span(1, futureField={"x": [1]}))
    body["resourceSpans"][0]["novel"] = True
    with obsrv.client() as client:
        sent(client, body)
        assert trace_of(client, TRACE)["meta"]["step_count"] == 1


def test_an_empty_request_is_a_success(obsrv):
    with obsrv.client() as client:
        assert sent(client, {"resourceSpans": []}) is not None
        assert pages(client) == []


def test_orphans_are_kept_and_linked_late(obsrv):
    with obsrv.client() as client:
        sent(client, request(span(3), span(2)))
        assert trace_of(client, TRACE)["meta"]["step_count"] == 2
        sent(client, request(span(1, name="the root")))
        served = trace_of(client, TRACE)
        assert (served["meta"]["name"], served["meta"]["step_count"]) == ("the root", 3)


def test_good_spans_of_a_request_with_bad_ones_are_kept(obsrv):
    """Partial success names how many were refused and why; the client does not send them again."""
    bad = [
        span(2, traceId="zz"),
        span(3, spanId=""),
        span(4, startTimeUnixNano="soon"),
        span(5, attributes=[{"key": "a", "value": {"intValue": "many"}}]),
    ]
    for refused in bad:
        with obsrv.client() as client:
            answer = sent(client, request(span(1), refused, span(9)))
            partial = answer["partialSuccess"]
            assert int(partial["rejectedSpans"]) == 1, refused
            assert partial["errorMessage"], refused
            assert trace_of(client, TRACE)["meta"]["step_count"] == 2, refused


def test_a_filter_in_the_search_bars_grammar(obsrv):
    text = lambda key, value: {"key": key, "value": {"stringValue": value}}
    with obsrv.client() as client:
        for n in range(12):
            attributes = [text("metadata.customer", f"c{n % 3}")]
            status = {"code": 2, "message": "no"} if n % 4 == 0 else {"code": 1}
            made = span(1, traceId=f"{n + 1:032x}", name=f"r{n}", attributes=attributes, status=status)
            sent(client, request(made))
        names = lambda **params: sorted(s["name"] for s in pages(client, **params))
        assert names(q="status:error") == ["r0", "r4", "r8"]
        assert names(q="metadata.customer:c1") == ["r1", "r10", "r4", "r7"]
        assert names(q="status:error metadata.customer:c1") == ["r4"]
        assert names(q="status:error and not metadata.customer:c1") == ["r0", "r8"]
        assert names(q="metadata.customer:c2 or name:r0") == ["r0", "r11", "r2", "r5", "r8"]
        refused = client.get("/v1/traces", params={"q": "status:("})
        assert refused.status_code == 400
        assert refused.json()["error"]["code"] == "invalid_query"
