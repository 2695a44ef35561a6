"""The published theta-obsrv package, unmodified, against the binary."""

import base64
import json

import pytest
from theta_observability import TraceClient
from theta_observability.errors import ThetaAPIError, ThetaAuthError
from theta_observability.types import CanonicalEnvelope, ToolCall, Trace

from server import KEY, pages
from theta import normal, read, said


@pytest.fixture
def theta(obsrv):
    with TraceClient(api_key=KEY, base_url=obsrv.url, flush_interval=0.01) as client:
        yield client


def rich_trace(theta, name="checkout", **fields):
    """Nested steps of every type, messages, tool calls, metadata of every JSON type, annotations."""
    with theta.trace(name, **fields) as trace:
        trace.set_metadata(customer="acme", tier=3, ratio=0.25, big=2**53 + 1, live=True, none_of_it=None)
        trace.set_metadata_path("plan.limits.seats", 12)
        trace.set_metadata(words=["a", "ü", "漢字", "🙂", ""], nested=[{"a": [1, [2, {"b": None}]]}, {}])
        trace.set_tags("alpha", "beta")
        trace.set_cost(0.0123)
        with trace.step(name="plan", type="llm", model="gpt-4o") as plan:
            plan.log_message("system", "You are terse.")
            plan.log_message("user", "line one\nline two\t\"quoted\" \\ \u0000 end")
            call = ToolCall(id="call_1", name="search", arguments={"q": "x", "n": [1, 2.5, None]})
            plan.log_message("assistant", "I shall look.", tool_calls=[call])
            plan.set_token_usage(120, 30, 150)
            plan.set_metadata(temperature=0.1, stop=["\n"])
            with trace.step(name="search", type="tool") as search:
                search.log_tool_call("search", {"q": "x"}, result={"hits": [1, 2, 3]}, latency_ms=7)
                with trace.step(name="rank", type="retrieval") as rank:
                    rank.set_metadata(candidates=200)
            plan.annotate(label="good", score=0.75, comment="clear", user="rita")
        for kind in ["robotics", "human", "annotation", "custom"]:
            with trace.step(name=f"as {kind}", type=kind):
                pass
        trace.annotate(label="kept", score=1.0, comment="whole run", user="sam")
    return trace


@pytest.mark.reads_back(
    "theta",
    "ids",
    "name",
    "status",
    "times",
    "tree",
    "kind",
    "model",
    "messages",
    "tool calls",
    "tokens",
    "cost",
    "user",
    "thread",
    "tags",
    "metadata",
    "scores",
)
def test_a_rich_trace_is_read_back_equal(theta):
    trace = rich_trace(
        theta,
        run_id="run-7",
        run_type="agent",
        use_case="support",
        user_id="u-1",
        group="thread-9",
        platform="ios",
        model="gpt-4o",
    )
    assert theta.flush()
    detail = theta.get_trace(trace.model.trace_id)
    assert read(detail) == said(trace)
    meta = detail.meta
    model = trace.model
    for field in ["trace_id", "name", "run_id", "run_type", "use_case", "group", "platform", "model", "user_id"]:
        assert getattr(meta, field) == getattr(model, field), field
    assert (meta.status, meta.tags, meta.latency_ms) == ("success", ["alpha", "beta"], model.latency_ms)
    assert meta.started_at == model.started_at
    assert meta.step_count == len(model.steps)
    assert meta.total_tokens == 150
    assert meta.cost_usd == 0.0123


@pytest.mark.reads_back("theta", "error", "status")
def test_an_error_keeps_type_text_and_place(theta):
    with pytest.raises(ValueError):
        with theta.trace("failing") as trace:
            with trace.step(name="outer", type="custom"):
                with trace.step(name="inner", type="tool") as inner:
                    inner.log_tool_call("divide", {"by": 0}, error="division by zero")
                    raise ValueError("no: ünïcode \u2028 text")
    assert theta.flush()
    detail = theta.get_trace(trace.model.trace_id)
    assert read(detail) == said(trace)
    assert detail.meta.status == "error"
    assert {s.name: s.status for s in detail.trace.steps} == {"outer": "error", "inner": "error"}
    assert detail.trace.error_message == "ValueError: no: ünïcode \u2028 text"


def test_an_empty_trace_and_an_observed_function(theta):
    with theta.trace("empty") as empty:
        pass

    @theta.observe(type="tool")
    def fetch(n):
        return n + 1

    assert fetch(1) == 2
    assert theta.flush()
    detail = theta.get_trace(empty.model.trace_id)
    assert read(detail) == said(empty)
    [other] = theta.list_traces(status="success", limit=1).data
    assert (other.name, other.step_count) == ("fetch", 1)


def test_metrics_and_what_they_say_of_a_trace(theta, obsrv, caplog):
    with theta.trace("rated") as trace:
        pass
    assert theta.flush()
    trace_id = trace.model.trace_id
    theta.create_metric("faith/fulness", "llm_judge", description="Says it true.", evaluator_prompt="Is it true?")
    theta.create_metric("faith/fulness", "code", description="Said anew.")
    theta.record_metric("faith/fulness", trace_id, passed=True, score=0.25, label="good")
    theta.record_metric("faith/fulness", trace_id, passed=True, score=0.25, label="good")
    theta.record_metric("never defined", trace_id, passed=False)
    theta.record_metric("never defined", "not sent", score=3)
    assert not caplog.records, "the client warns of every answer that is an error"
    # What a metric says is no annotation of the trace.
    assert read(theta.get_trace(trace_id)) == said(trace)
    with obsrv.client() as client:
        answer = client.post("/v1/metrics/m/events", json={"trace_id": trace_id, "score": "high"})
        assert (answer.status_code, "score" in answer.text) == (400, True)
        answer = client.post("/v1/metrics/m/events", json={"score": 1})
        assert (answer.status_code, "trace_id" in answer.text) == (400, True)
        assert client.post("/v1/metrics/m/other", json={"trace_id": trace_id}).status_code == 404


def test_what_is_not_there_is_none(theta):
    assert theta.get_trace("tr_0000000000000000000000000") is None


def by_name(listed):
    return sorted(item.name for item in listed.data)


@pytest.fixture
def many(theta):
    """Forty traces that differ in every field by which the client can filter; the program keeps what it said."""
    traces = []
    for i in range(40):
        with theta.trace(
            f"t{i:02}",
            run_id=f"r{i % 20}",
            run_type=["agent", "chain"][i % 2],
            use_case=["a", "b", "c"][i % 3],
            user_id=f"u{i % 4}",
            group=f"g{i % 8}",
            platform=["ios", "web"][i // 20],
            model=f"m{i % 5}",
            tags=["even"] if i % 2 == 0 else ["odd", "not even"],
            metadata={"customer": f"c{i % 6}", "n": i % 7, "on": i % 2 == 0, "deep": {"er": f"d{i % 3}"}},
        ) as trace:
            with trace.step(name="s") as step:
                step.set_status("error" if i % 10 == 3 else "success")
            if i % 10 == 3:
                trace.model.status = "error"
        traces.append(trace.model)
    assert theta.flush(timeout=30)
    return traces


FILTERS = [
    ({"status": "error"}, lambda t: t.status == "error"),
    ({"status": ["error", "success"]}, lambda t: True),
    ({"platform": "ios"}, lambda t: t.platform == "ios"),
    ({"model": ["m1", "m3"]}, lambda t: t.model in ("m1", "m3")),
    ({"run_type": "chain"}, lambda t: t.run_type == "chain"),
    ({"use_case": ["a", "c"]}, lambda t: t.use_case in ("a", "c")),
    ({"user_id": "u2"}, lambda t: t.user_id == "u2"),
    ({"run_id": "r7"}, lambda t: t.run_id == "r7"),
    ({"group": "g5"}, lambda t: t.group == "g5"),
    ({"tags": ["even"]}, lambda t: "even" in t.tags),
    ({"metadata_filters": [{"key": "customer", "value": "c4"}]}, lambda t: t.metadata["customer"] == "c4"),
    ({"metadata_filters": [{"key": "n", "value": "5"}]}, lambda t: t.metadata["n"] == 5),
    ({"metadata_filters": [{"key": "on", "value": "true"}]}, lambda t: t.metadata["on"]),
    ({"metadata_filters": [{"key": "deep.er", "value": "d1"}]}, lambda t: t.metadata["deep"]["er"] == "d1"),
    (
        {"metadata_filters": [{"key": "customer", "value": "c1"}, {"key": "n", "value": "0"}]},
        lambda t: t.metadata["customer"] == "c1" and t.metadata["n"] == 0,
    ),
    ({"metadata_filters": [{"key": "customer", "value": "nobody"}]}, lambda t: False),
    (
        {"status": "success", "platform": "web", "metadata_filters": [{"key": "customer", "value": "c2"}]},
        lambda t: t.status == "success" and t.platform == "web" and t.metadata["customer"] == "c2",
    ),
]


def test_every_filter_of_list_traces(theta, many):
    for wanted, passes in FILTERS:
        listed = theta.list_traces(**wanted)
        assert by_name(listed) == sorted(t.name for t in many if passes(t)), wanted
        assert listed.next_cursor is None, wanted


def test_time_limits_of_list_traces(theta, many):
    middle = many[20].started_at
    since = theta.list_traces(since=middle.isoformat().replace("+00:00", "Z"))
    assert by_name(since) == sorted(t.name for t in many if t.started_at >= middle)
    until = theta.list_traces(until=middle.isoformat().replace("+00:00", "Z"))
    assert set(by_name(until)) | {many[20].name} == {t.name for t in many if t.started_at <= middle}


def test_paging_gives_every_trace_once_newest_first(theta, many):
    newest_first = [t.name for t in sorted(many, key=lambda t: t.started_at, reverse=True)]
    for limit in [1, 7, 39, 40, 41]:
        names, cursor = [], None
        while True:
            page = theta.list_traces(limit=limit, cursor=cursor)
            assert len(page.data) <= limit
            names += [item.name for item in page.data]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert names == newest_first, limit


def test_a_filtered_list_pages_too(theta, many):
    wanted = {"metadata_filters": [{"key": "on", "value": "true"}]}
    first = theta.list_traces(limit=15, **wanted)
    second = theta.list_traces(limit=15, cursor=first.next_cursor, **wanted)
    assert second.next_cursor is None
    names = [item.name for item in first.data + second.data]
    assert sorted(names) == sorted(t.name for t in many if t.metadata["on"])


def test_a_project_name_that_is_not_the_keys_is_kept_out_of_the_way(obsrv):
    with TraceClient(api_key=KEY, base_url=obsrv.url, project="elsewhere", flush_interval=0.01) as client:
        with client.trace("named") as trace:
            pass
        assert client.flush()
        assert client.get_trace(trace.model.trace_id).meta.name == "named"


def test_a_wrong_key_raises_in_the_client(obsrv):
    with TraceClient(api_key="tk_wrong_0123456789", base_url=obsrv.url) as client:
        with pytest.raises(ThetaAuthError):
            client.list_traces()
        with pytest.raises(ThetaAuthError):
            client.get_trace("x")


def native(trace_id, **fields):
    return {
        "schema_version": "1.0",
        "trace_id": trace_id,
        "name": f"imported {trace_id}",
        "status": "success",
        "started_at": "2026-03-01T10:00:00.000000Z",
        "ended_at": "2026-03-01T10:00:02.500000Z",
        "latency_ms": 2500,
        "tags": [],
        "metadata": {"source": "import"},
        "steps": [
            {
                "step_id": f"{trace_id}-s",
                "index": 0,
                "type": "llm",
                "name": "say",
                "status": "success",
                "started_at": "2026-03-01T10:00:01.000000Z",
                "ended_at": "2026-03-01T10:00:02.000000Z",
                "latency_ms": 1000,
                "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}], "tool_calls": []}],
                "tool_calls": [],
                "events": [],
                "attachments": [],
                "sensor_frames": [],
                "metadata": {},
                "annotations": [],
            }
        ],
        "events": [],
        "attachments": [],
        "annotations": [],
        **fields,
    }


def parsed(body):
    """A body as the client's own model reads it."""
    return normal(json.loads(Trace(project_id="", **body).model_dump_json(exclude_none=True)))


@pytest.mark.parametrize("ndjson", [False, True])
def test_imports_tell_of_every_item(theta, ndjson):
    good = native(f"imp-{ndjson}-1")
    envelope = CanonicalEnvelope(
        trace_id=f"imp-{ndjson}-2",
        name="canonical",
        status="success",
        started_at="2026-03-01T10:00:00Z",
        metadata={"via": "envelope"},
        events=[{"event_id": "e1", "type": "note", "name": "first", "value": {"x": 1}}],
    )
    bad = native(f"imp-{ndjson}-3", metadata="not a map")
    result = theta.import_traces([good, envelope, bad], ndjson=ndjson)
    assert (result.accepted, result.failed) == (2, 1)
    assert [item.index for item in result.items] == [0, 1, 2]
    assert [bool(item.error) for item in result.items] == [False, False, True]
    assert "metadata" in result.items[2].error
    assert read(theta.get_trace(good["trace_id"])) == parsed(good)
    assert theta.get_trace(f"imp-{ndjson}-2").meta.metadata == {"via": "envelope"}
    assert theta.get_trace(f"imp-{ndjson}-3") is None


def test_events_are_an_object_and_readable(theta):
    answer = theta.ingest_events({"name": "loose", "status": "success", "events": [{"type": "note", "value": 1}]})
    assert isinstance(answer, dict)
    [item] = theta.list_traces().data
    assert item.name == "loose"
    sent = CanonicalEnvelope(
        trace_id="env-1",
        name="enveloped",
        session_id="s-1",
        status="error",
        started_at="2026-03-01T10:00:00Z",
        ended_at="2026-03-01T10:00:01Z",
        metadata={"a": {"b": [1, "x"]}},
        tags=["t"],
    )
    theta.ingest_events(sent)
    meta = theta.get_trace("env-1").meta
    assert (meta.name, meta.status, meta.group, meta.tags) == ("enveloped", "error", "s-1", ["t"])
    assert meta.metadata == sent.metadata


def test_events_that_cannot_be_read_raise(theta):
    with pytest.raises(ThetaAPIError) as raised:
        theta.ingest_events({"name": 7})
    assert raised.value.status_code == 400
    assert "name" in str(raised.value)


def test_the_same_trace_again_counts_once_and_the_later_one_wins(obsrv, theta):
    first = native("again", status="running")
    first.pop("ended_at")
    first.pop("latency_ms")
    for _ in range(3):
        theta.import_traces([first])
    [listed] = theta.list_traces().data
    assert listed.status == "running"
    later = native("again", metadata={"source": "later"})
    for _ in range(2):
        theta.import_traces([later, later])
    theta.import_traces([first])
    [listed] = theta.list_traces().data
    assert (listed.status, listed.metadata, listed.step_count) == ("success", {"source": "later"}, 1)
    assert read(theta.get_trace("again")) == parsed(later)
    obsrv.restart()
    assert read(theta.get_trace("again")) == parsed(later)
    with obsrv.client() as client:
        assert len(pages(client)) == 1


def test_an_annotation_before_its_trace_and_twice(theta, obsrv):
    body = {"annotation_type": "manual", "label": "early", "score": 0.5, "user_id": "rita"}
    with obsrv.client() as client:
        for _ in range(2):
            assert client.post("/v1/traces/late-1/annotations", json=body).status_code in (200, 201)
    theta.import_traces([native("late-1")])
    annotations = theta.get_trace("late-1").trace.annotations
    assert [(a.label, a.score, a.user) for a in annotations] == [("early", 0.5, "rita")]


def test_everything_is_there_after_a_crash(theta, obsrv):
    traces = [rich_trace(theta, name=f"crash {i}") for i in range(20)]
    assert theta.flush(timeout=30)
    before = [read(theta.get_trace(t.model.trace_id)) for t in traces]
    assert before == [said(t) for t in traces]
    obsrv.restart()
    assert [read(theta.get_trace(t.model.trace_id)) for t in traces] == before
    obsrv.stop()
    obsrv.start()
    assert [read(theta.get_trace(t.model.trace_id)) for t in traces] == before


def test_large_text_is_not_cut(theta):
    text = base64.b64encode(bytes(range(256)) * 12_000).decode()
    with theta.trace("large") as trace:
        with trace.step(name="say", type="llm") as step:
            step.log_message("user", text)
            step.set_metadata(copy=text[:100_000])
    assert theta.flush(timeout=30)
    assert read(theta.get_trace(trace.model.trace_id)) == said(trace)


def test_many_threads_at_once(theta):
    import threading

    made = []

    def work(n):
        for i in range(25):
            made.append(rich_trace(theta, name=f"thread {n} {i}"))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert theta.flush(timeout=60)
    assert len(made) == 100
    for trace in made:
        assert read(theta.get_trace(trace.model.trace_id)) == said(trace)


def test_summaries_are_json_that_the_strict_model_takes(theta, many):
    # The client's models refuse null lists, unknown statuses and fractional latencies; reading is the test.
    listed = theta.list_traces(limit=1000)
    assert len(listed.data) == len(many)
    sent = {t.trace_id: json.loads(t.model_dump_json()) for t in many}
    for item in listed.data:
        assert item.metadata == sent[item.trace_id]["metadata"]
        assert item.latency_ms == sent[item.trace_id]["latency_ms"]
