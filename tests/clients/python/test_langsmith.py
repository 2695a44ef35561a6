"""The published langsmith package, unmodified, against the binary, by each of its four ways to send."""

import datetime
import uuid
import warnings

import pytest
from langsmith import Client
from langsmith.run_trees import RunTree

from server import KEY, pages, trace_of

UTC = datetime.timezone.utc
WAYS = ["compressed form", "form", "batch", "single"]


def at(second):
    return datetime.datetime(2026, 5, 1, 10, 0, 0, tzinfo=UTC) + datetime.timedelta(seconds=second)


def micros(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.fixture(params=WAYS)
def client(request, shared):
    options = {}
    if request.param == "single":
        options["auto_batch_tracing"] = False
    if request.param in ("form", "batch"):  # as a server says that can do less
        config = {"use_multipart_endpoint": request.param == "form", "size_limit": 100, "size_limit_bytes": 1 << 20}
        config |= {"scale_up_qsize_trigger": 1000, "scale_up_nthreads_limit": 4, "scale_down_nempty_trigger": 4}
        options["info"] = {"version": "0.12.0", "batch_ingest_config": config}
    failures = []
    client = Client(
        api_url=shared.url, api_key=KEY, tracing_error_callback=failures.append, hide_inputs=False, **options
    )
    yield client
    client.flush()
    assert not failures
    client.cleanup()


def family(client):
    """A root with a model call that used a cache, a tool that failed, and a step that never ends."""
    extra = {"metadata": {"thread_id": "th-1", "user_id": "u-1", "customer": {"name": "acme", "tier": 3}}}
    root = RunTree(
        name="agent",
        run_type="chain",
        inputs={"question": "漢字 🙂"},
        tags=["alpha", "beta"],
        start_time=at(0),
        extra=extra,
        project_name="shop",
        client=client,
    )
    root.post()
    call = root.create_child(
        name="chat",
        run_type="llm",
        start_time=at(1),
        inputs={"messages": [{"role": "user", "content": "hi"}]},
        extra={"metadata": {"ls_model_name": "m-1"}, "invocation_params": {"temperature": 0.5}},
    )
    call.post()
    call.add_event({"name": "retry", "time": at(1.5).isoformat(), "kwargs": {"attempt": 2}})
    usage = {"input_tokens": 100, "output_tokens": 30, "total_tokens": 130, "total_cost": 0.5}
    usage |= {"input_token_details": {"cache_read": 60, "cache_creation": 10}, "output_token_details": {"reasoning": 25}}
    reply = {"role": "assistant", "content": "ho"}
    call.end(outputs={"messages": [reply], "usage_metadata": usage}, end_time=at(2))
    call.patch()
    tool = root.create_child(name="search", run_type="tool", start_time=at(2), inputs={"q": "x"})
    tool.post()
    tool.end(error="TimeoutError('slow')", end_time=at(3))
    tool.patch()
    hung = root.create_child(name="rank", run_type="retriever", start_time=at(3), inputs={"k": 2})
    hung.post()
    client.flush()
    return root, call, tool, hung


def picked(of, *names):
    return {name: of[name] for name in names if name in of}


def steps_of(reader, root):
    trace = trace_of(reader, str(root.id))
    return trace, {step["name"]: step for step in trace["trace"]["steps"]}


@pytest.mark.reads_back(
    "LangSmith",
    "ids",
    "name",
    "status",
    "error",
    "times",
    "tree",
    "kind",
    "model",
    "input and output",
    "messages",
    "tool calls",
    "tokens",
    "cost",
    "user",
    "thread",
    "tags",
    "metadata",
    "events",
)
def test_runs_are_read_back_equal(shared, client):
    root, call, tool, hung = family(client)
    with shared.client() as reader:
        trace, steps = steps_of(reader, root)
        assert trace["meta"]["status"] == "running"
        ids = {name: (step["step_id"], step.get("parent_step_id")) for name, step in steps.items()}
        parent = str(root.id)
        expected = {run.name: (str(run.id), parent) for run in (call, tool, hung)}
        assert ids == expected | {"agent": (parent, None)}
        assert [steps[n]["status"] for n in ["agent", "chat", "search", "rank"]] == ["running", "success", "error", "running"]
        assert [steps[n]["type"] for n in ["agent", "chat", "search", "rank"]] == ["custom", "llm", "tool", "retrieval"]
        assert steps["agent"]["type_sent"] == "chain"
        root.end(outputs={"answer": [1, None, {"a": "b"}]}, end_time=at(4))
        root.patch()
        client.flush()
        trace, steps = steps_of(reader, root)
    agent = steps["agent"]
    times = {name: (step["started_at"], step.get("ended_at")) for name, step in steps.items()}
    assert times == {
        "agent": (micros(at(0)), micros(at(4))),
        "chat": (micros(at(1)), micros(at(2))),
        "search": (micros(at(2)), micros(at(3))),
        "rank": (micros(at(3)), None),
    }
    assert (agent["input"], agent["output"]) == ({"question": "漢字 🙂"}, {"answer": [1, None, {"a": "b"}]})
    assert picked(agent, "group", "user_id", "tags", "session_name") == {
        "group": "th-1",
        "user_id": "u-1",
        "tags": ["alpha", "beta"],
        "session_name": "shop",
    }
    assert picked(agent["metadata"], "thread_id", "customer") == {
        "thread_id": "th-1",
        "customer": {"name": "acme", "tier": 3},
    }
    assert agent["dotted_order"] == root.dotted_order
    chat = steps["chat"]
    assert (chat["model"], chat["cost_usd"]) == ("m-1", 0.5)
    assert chat["langsmith.extra"]["invocation_params"] == {"temperature": 0.5}
    assert chat["token_usage"] == {
        "input": 30,
        "output": 5,
        "cache_read": 60,
        "cache_write": 10,
        "reasoning": 25,
        "total": 130,
    }
    assert chat["output"]["messages"] == [{"role": "assistant", "content": "ho"}]
    assert [(m["role"], m["content"][0]["text"]) for m in chat["messages"]] == [("user", "hi"), ("assistant", "ho")]
    assert [picked(e, "name", "kwargs") for e in chat["events"]] == [{"name": "retry", "kwargs": {"attempt": 2}}]
    search = steps["search"]
    assert search["error_message"] == "TimeoutError('slow')"
    assert [picked(c, "name", "arguments") for c in search["tool_calls"]] == [{"name": "search", "arguments": {"q": "x"}}]
    meta = trace["meta"]
    assert picked(meta, "name", "project_id", "group", "user_id", "tags", "step_count", "total_tokens", "cost_usd") == {
        "name": "agent",
        "project_id": "shop",
        "group": "th-1",
        "user_id": "u-1",
        "tags": ["alpha", "beta"],
        "step_count": 4,
        "total_tokens": 130,
        "cost_usd": 0.5,
    }
    assert (meta["started_at"], meta["latency_ms"]) == (micros(at(0)), 4000)
    with shared.client() as reader:
        found = pages(reader, q="metadata.customer.name:acme")
    assert str(root.id) in [run["trace_id"] for run in found]


ROUTES = {
    "compressed form": "/runs/multipart",
    "form": "/runs/multipart",
    "batch": "/runs/batch",
    "single": "/runs/{id}",
}


def asked(server, route):
    """How many requests a route answered."""
    with server.client() as http:
        lines = [line for line in http.get("/metrics").text.splitlines() if f'"{route}"' in line and "requests_total" in line]
    return sum(int(line.split()[-1]) for line in lines)


def test_each_way_takes_its_own_route(shared, client, request):
    route = ROUTES[request.node.callspec.params["client"]]
    others = set(ROUTES.values()) - {route}
    before = {name: asked(shared, name) for name in ROUTES.values()}
    family(client)
    assert asked(shared, route) > before[route]
    assert {name: asked(shared, name) for name in others} == {name: before[name] for name in others}
    is_compressed = client.compressed_traces is not None
    assert is_compressed == (request.node.callspec.params["client"] == "compressed form")


@pytest.mark.reads_back("LangSmith", "scores")
def test_feedback_stands_with_its_run(shared, client):
    root, call, _, _ = family(client)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a session id, which obsrv does not need
        client.create_feedback(call.id, key="correct", score=True, trace_id=root.id, comment="clear")
        client.create_feedback(root.id, key="tone", value="kind", trace_id=root.id, correction={"a": 1})
    client.flush()
    with shared.client() as reader:
        trace, steps = steps_of(reader, root)
    [of_call] = steps["chat"]["annotations"]
    assert picked(of_call, "name", "score", "comment") == {"name": "correct", "score": 1, "comment": "clear"}
    [of_root] = trace["trace"]["annotations"] + steps["agent"]["annotations"]
    assert picked(of_root, "name", "label", "correction") == {"name": "tone", "label": "kind", "correction": {"a": 1}}


@pytest.mark.reads_back("LangSmith", "attachments")
def test_a_file_of_a_run_keeps_its_bytes(shared, client):
    if client.tracing_queue is None or not (client.info.batch_ingest_config or {}).get("use_multipart_endpoint", True):
        return  # the client sends files by forms alone
    root = RunTree(
        name="seen",
        run_type="tool",
        inputs={},
        start_time=at(0),
        client=client,
        attachments={"cat": ("image/png", b"\x89PNG\r\n--\x00\xff")},
    )
    root.post()
    root.end(outputs={}, end_time=at(1))
    root.patch()
    client.flush()
    with shared.client() as reader:
        _, steps = steps_of(reader, root)
        [step] = [steps["seen"]]
        assert step.get("attachments", []) == []  # no bytes in rows
        project = reader.get("/v1/me").json()["project"]
        of_trace = f"/v1/projects/{project}/traces/{root.trace_id}/blobs"
        [cat] = reader.get(of_trace).json()["data"]
        assert picked(cat, "name", "declared_type", "content_type", "size", "span_id", "field") == {
            "name": "cat",
            "declared_type": "image/png",
            "content_type": "application/octet-stream",  # by its bytes it is none
            "size": 10,
            "span_id": str(root.id),
            "field": "attachments",
        }
        assert reader.get(cat["url"]).content == b"\x89PNG\r\n--\x00\xff"
        assert reader.delete(f"/v1/traces/{root.trace_id}").status_code == 200
        assert reader.get(cat["url"]).status_code == 404
        assert reader.get(of_trace).status_code == 404


def test_what_the_client_is_told_and_what_is_refused(shared):
    run = {"id": str(uuid.uuid4()), "name": "n", "run_type": "chain", "start_time": "2026-05-01T10:00:00Z"}
    with shared.client() as http:
        info = http.get("/info").json()
        assert info["instance_flags"]["zstd_compression_enabled"] and info["batch_ingest_config"]["use_multipart_endpoint"]
        assert http.get("/api/v1/info").json() == info
        mixed = http.post("/runs/batch", json={"post": [run, {"id": "x", "start_time": "soon"}], "patch": []})
        assert mixed.status_code == 207
        [error] = mixed.json()["errors"]
        assert (error["index"], error["id"]) == (1, "x") and error["error"].startswith("start_time: ")
        assert trace_of(http, run["id"])["meta"]["status"] == "running"
        none = http.post("/runs", json={"name": "n"})
        assert (none.status_code, none.json()["error"]["message"]) == (400, "id: missing")
        assert http.post("/runs/multipart", json={}).status_code == 415
        late = http.patch("/runs/" + run["id"], json={"end_time": "2026-05-01T10:00:01Z", "outputs": {"a": 1}})
        assert late.status_code == 202
        assert trace_of(http, run["id"])["meta"]["status"] == "success"
    with shared.client(key="wrong-key-here") as http:
        assert http.post("/runs", json=run).status_code == 401


def test_rows_are_the_same_after_a_crash(obsrv):
    """Forms, lists, single posts and patches are read again from the log: the boundary and the id of a path with them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        form = Client(api_url=obsrv.url, api_key=KEY)
        single = Client(api_url=obsrv.url + "/api/v1", api_key=KEY, auto_batch_tracing=False)
        families = [family(client) for client in (form, single)]
        form.create_feedback(families[0][1].id, key="k", score=1, trace_id=families[0][0].id)
    form.flush()
    with obsrv.client() as reader:
        before = [trace_of(reader, str(root.id)) for root, *_ in families]
        assert reader.post("/runs/batch", json={"patch": [{"id": "b", "outputs": {"x": 1}}]}).status_code == 202
    form.cleanup()
    single.cleanup()
    assert all(len(trace["trace"]["steps"]) == 4 for trace in before)
    obsrv.restart()
    with obsrv.client() as reader:
        assert [trace_of(reader, str(root.id)) for root, *_ in families] == before
        assert trace_of(reader, "b")["trace"]["steps"][0]["output"] == {"x": 1}
