//! What an older mapping stored, by today's. The rows are as that one wrote them; what is expected is what the conventions of the
//! senders say of their attributes.

use bytes::Bytes;
use obsrv_engine::engine::{Envelope, Submission};
use obsrv_engine::mapping::Mapped;
use obsrv_engine::row::{Event, ProjectId, RowKey, Table};
use serde_json::json;
use tokio::sync::oneshot;

use super::*;
use crate::control::{self, AuditAction, ControlEvent};
use crate::dialect::{self, Dialect, MAPPING_VERSION, read_json};
use crate::governance::ProjectSettings;
use crate::keys::Macs;
use crate::limits::SWEEP_PAGE_ROWS;
use crate::remap::{Asked, Data, Remap, remap_asked};

const AT: i64 = 1_795_000_000_000_000_000;

/// Stores a row with this document.
async fn stored(world: &World, table: Table, key: (&str, &str), doc: Value) {
    stored_as(world, table, key, &doc.to_string()).await;
}

/// The same with its fields in this order.
async fn stored_as(world: &World, table: Table, (trace_id, id): (&str, &str), doc: &str) {
    let doc = read_json(doc.as_bytes(), 60).unwrap();
    let event = Event {
        table,
        key: RowKey {
            trace_id: trace_id.into(),
            id: id.into(),
        },
        start_ns: Some(AT),
        end_ns: (table == Table::Spans).then_some(AT + 5),
        version: 7,
        partial: false,
        doc: Bytes::from(doc),
    };
    let submission = Submission {
        envelope: Envelope {
            project: 1,
            dialect: Dialect::OtlpJson.number(),
            mapping: 1,
            ..Envelope::default()
        },
        body: Bytes::from_static(b"{}"),
        events: vec![event],
    };
    let (done, outcome) = oneshot::channel();
    let engine = world.app.core().unwrap().engine();
    engine.submit(submission, Box::new(|said| done.send(said).unwrap()));
    outcome.await.unwrap().unwrap();
}

const TRACE: &str = "000000000000000000000000000000aa";

/// Rows as mapping 1 wrote them: tokens of a cache counted twice, no provider, metadata of Langfuse as text, no step that repeats, and
/// threads of logs and points as if it had known none.
async fn old_rows(world: &World) {
    let resource = json!({ "service.name": "shop" });
    let call = json!({
        "dialect": "otlp", "name": "chat", "status": "success", "root": true,
        "attributes": {
            "openinference.span.kind": "LLM", "llm.model_name": "gpt-4o", "llm.provider": "openai",
            "llm.token_count.prompt": 100, "llm.token_count.completion": 20,
            "llm.token_count.prompt_details.cache_read": 60,
            "langfuse.trace.metadata.plan": "{\"tier\":\"gold\"}",
            "huge": u64::from(u32::MAX), "odd": [1, "a", { "b": null }],
        },
        "kind": "llm", "model": "gpt-4o", "tokens": { "input": 100, "output": 20, "total": 120 },
        "metadata": { "plan": "{\"tier\":\"gold\"}" }, "service": "shop", "resource": resource,
        "scope": { "name": "openinference.instrumentation.openai" }, "otel_kind": "client",
        "events": [{ "name": "e", "time_unix_nano": 5, "attributes": {} }],
    });
    let own = json!({
        "dialect": "otlp", "name": "messages", "status": "success", "parent_id": "0000000000000001",
        "attributes": { "gen_ai.request.model": "claude", "gen_ai.usage.input_tokens": 4, "gen_ai.usage.output_tokens": 3 },
        "kind": "llm", "model": "claude", "tokens": { "input": 4, "output": 3, "total": 7 },
        "resource": {}, "scope": { "name": "com.anthropic.sdk.messages" },
    });
    let log = json!({ "dialect": "otlp", "body": "said", "attributes": { "session.id": "s-1" }, "level": "info",
        "resource": {}, "scope": {}, "severity_number": 9, "time_unix_nano": AT });
    let point = json!({ "dialect": "otlp", "name": "m", "type": "gauge", "attributes": { "session.id": "s-1" },
        "resource": {}, "scope": {}, "value": 1.5 });
    stored(world, Table::Spans, (TRACE, "0000000000000001"), call).await;
    stored(world, Table::Spans, (TRACE, "0000000000000002"), own).await;
    stored(world, Table::Logs, ("~x", "y"), log).await;
    stored(world, Table::Points, ("00ff", &AT.to_string()), point).await;
    // One that this mapping made, and one whose fields are the sender's own.
    let span = json!({ "traceId": TRACE, "spanId": "0000000000000003", "parentSpanId": "0000000000000001", "name": "new",
        "startTimeUnixNano": AT.to_string(), "endTimeUnixNano": (AT + 1).to_string(), "attributes": [] });
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] });
    for (body, status) in [(body.to_string(), 200), (trace("t1", "gold"), 201)] {
        let said = ask(&world.app, post("/v1/traces", "key-of-a", JSON, body)).await;
        assert_eq!(said.status, status);
    }
}

async fn flush(world: &World) {
    let engine = world.app.core().unwrap().engine();
    let through = engine.seal();
    while engine.prefix(through).is_none() {
        tokio::task::yield_now().await;
    }
}

async fn remapped(world: &World, project: Option<u64>, is_dry: bool) -> Value {
    let core = world.app.core().unwrap();
    let data = Data {
        engine: core.engine(),
        plane: core.plane(),
        governance: core.governance(),
    };
    remapped_of(&data, project, is_dry).await
}

async fn remapped_of(data: &Data<'_>, project: Option<u64>, is_dry: bool) -> Value {
    let remap = Remap::default();
    let project = project.map(ProjectId);
    let asked = Asked { project, is_dry };
    assert!(remap.ask(asked).is_some() && remap.ask(asked).is_none());
    remap_asked(data, &remap).await;
    serde_json::to_value(remap.progress()).unwrap()
}

fn counts(said: &Value) -> [u64; 3] {
    assert_eq!(
        (&said["running"], &said["error"]),
        (&json!(false), &Value::Null)
    );
    ["looked", "changed", "left"].map(|name| said[name].as_u64().unwrap())
}

/// How many rows pass.
async fn passing(world: &World, list: &str, q: &str) -> usize {
    let path = format!("/v1/projects/1/{list}?q={q}");
    let said = ask(&world.app, get(&path, "key-of-a")).await;
    assert_eq!(said.status, 200, "{path} {:?}", said.json());
    said.json()["data"].as_array().unwrap().len()
}

async fn text(world: &World, path: &str) -> String {
    let said = ask(&world.app, get(path, "key-of-a")).await;
    assert_eq!(said.status, 200, "{path}");
    String::from_utf8(said.body).unwrap()
}

/// Everything as it goes out to another tool.
async fn sent_on(world: &World) -> String {
    let mut all = String::new();
    for over in ["spans", "logs", "points"] {
        let path = format!("/v1/projects/1/export?over={over}&format=otlp");
        all += &text(world, &path).await;
    }
    all
}

/// Spans that came as OTLP as they go out to another tool.
async fn sent_on_of_otlp(world: &World) -> String {
    let path = "/v1/projects/1/export?over=spans&format=otlp&q=dialect:otlp";
    text(world, path).await
}

async fn whole_of_call(world: &World) -> Value {
    let path = "/v1/projects/1/export?over=spans&raw=true&q=name:chat";
    let line = text(world, path).await;
    serde_json::from_str(line.lines().next().unwrap()).unwrap()
}

#[tokio::test]
async fn rows_of_an_older_mapping_get_the_new_fields_and_keep_all_else() {
    let world = world().await;
    old_rows(&world).await;
    flush(&world).await;
    let news = [
        ("spans", "tokens.cache_read:60"),
        ("spans", "tokens.input:40"),
        ("spans", "provider:openai"),
        ("spans", "metadata.plan.tier:gold"),
        ("spans", "repeats:true"),
        // The client's own account of a call counts where no other does.
        ("traces", "tokens.total:120"),
        ("logs", "group:s-1"),
        ("points", "group:s-1"),
    ];
    for (list, q) in news {
        assert_eq!(passing(&world, list, q).await, 0, "{list} {q}");
    }
    assert_eq!(passing(&world, "traces", "tokens.total:127").await, 1);
    let (sent, before) = (sent_on(&world).await, whole_of_call(&world).await);
    // Counted, and nothing done.
    assert_eq!(counts(&remapped(&world, Some(1), true).await), [8, 4, 0]);
    assert_eq!(passing(&world, "spans", "provider:openai").await, 0);
    let said = remapped(&world, None, false).await;
    assert_eq!((counts(&said), &said["projects"]), ([8, 4, 0], &json!(2)));
    for (list, q) in news {
        assert_eq!(passing(&world, list, q).await, 1, "{list} {q}");
    }
    let facets = text(&world, "/v1/projects/1/facets?over=spans&keys=provider").await;
    let facets: Value = serde_json::from_str(&facets).unwrap();
    let value = &facets["facets"][0]["values"][0];
    assert_eq!(
        (&value["value"], &value["count"]),
        (&json!("openai"), &json!(1))
    );
    assert_eq!(sent_on(&world).await, sent);
    let after = whole_of_call(&world).await;
    let (mut old, new) = (before["raw"].clone(), after["raw"].clone());
    assert!(old.is_object(), "{before}");
    old["tokens"] = json!({ "input": 40, "output": 20, "total": 120, "cache_read": 60 });
    old["metadata"] = json!({ "plan": { "tier": "gold" } });
    old["provider"] = json!("openai");
    // What tokens cost follows from them.
    for key in ["cost_known_usd", "cost_source"] {
        old[key] = new[key].clone();
    }
    assert_eq!(new, old);
    // Again, of what is in memory and of what is in segments.
    assert_eq!(counts(&remapped(&world, Some(1), false).await), [8, 0, 0]);
    flush(&world).await;
    assert_eq!(counts(&remapped(&world, Some(1), true).await), [8, 0, 0]);
    let engine = world.app.core().unwrap().engine();
    let mut notes = Vec::new();
    for (_, body) in engine.controls() {
        let ControlEvent::Audit(act) = control::decode(&body).unwrap().event else {
            continue;
        };
        if act.event.action == AuditAction::Remapped {
            notes.push((
                act.event.action.as_str(),
                act.event.project,
                act.event.subject,
            ));
        }
    }
    // One before the first row changes, one that says what came of it.
    let expected = ["began", "looked=8 changed=4 left=0"].map(|said| {
        let subject = format!("mapping={MAPPING_VERSION} {said}");
        ("data.remapped", Some(1), subject)
    });
    assert_eq!(notes, expected);
}

/// Rows as mapping 4 wrote them: nothing that says where they ran, but under the senders' own names.
async fn placeless_rows(world: &World) {
    let resource = json!({ "service.name": "shop", "deployment.environment.name": "prod", "service.version": "1.2",
        "deployment.release": "r7", "cloud.region": "eu" });
    let otlp = json!({ "dialect": "otlp", "name": "o", "status": "success", "root": true,
        "attributes": {}, "kind": "custom", "service": "shop", "resource": resource, "scope": {} });
    let log = json!({ "dialect": "otlp", "body": "said", "attributes": {}, "level": "info", "service": "shop",
        "resource": resource, "scope": {}, "severity_number": 9, "time_unix_nano": AT });
    let point = json!({ "dialect": "otlp", "name": "m", "type": "gauge", "attributes": {}, "service": "shop",
        "resource": resource, "scope": {}, "value": 1.5 });
    let metadata =
        json!({ "environment": "prod", "version": "1.2", "release": "r7", "region": "eu" });
    let step = |dialect: &str| json!({ "dialect": dialect, "status": "success", "kind": "custom", "root": true, "metadata": metadata });
    let mut run =
        json!({ "dialect": "theta", "status": "success", "own_fields": 128, "metadata": metadata });
    stored(world, Table::Spans, (TRACE, "0000000000000001"), otlp).await;
    stored(world, Table::Logs, ("~x", "y"), log).await;
    stored(world, Table::Points, ("00ff", &AT.to_string()), point).await;
    for dialect in ["langsmith", "theta", "aiobs"] {
        stored(world, Table::Spans, (dialect, "s"), step(dialect)).await;
    }
    stored(world, Table::Runs, ("run", "run"), run.clone()).await;
    run["dialect"] = json!("tcc");
    stored(world, Table::Runs, ("tcc", "tcc"), run.clone()).await;
    // Its spans make the rest of its row.
    run["dialect"] = json!("theta");
    stored(world, Table::Runs, ("both", "both"), run).await;
    let child = json!({ "dialect": "theta", "status": "error", "kind": "tool", "tool": "search" });
    stored(world, Table::Spans, ("both", "s"), child).await;
    // A span of Langfuse says it under the names of the model already.
    let own =
        json!({ "dialect": "langfuse", "status": "success", "kind": "llm", "environment": "test" });
    stored(world, Table::Spans, ("langfuse", "s"), own).await;
}

#[tokio::test]
async fn rows_of_every_dialect_say_afterwards_where_they_ran() {
    let world = world().await;
    placeless_rows(&world).await;
    flush(&world).await;
    let all = ["environment:prod", "version:1.2", "release:r7", "region:eu"];
    let lists = [("spans", 4), ("logs", 1), ("points", 1), ("traces", 7)];
    for q in all {
        for (list, _) in lists {
            assert_eq!(passing(&world, list, q).await, 0, "{list} {q}");
        }
    }
    let (sent, errors) = (sent_on_of_otlp(&world).await, "rollup.error_count:1");
    assert_eq!(passing(&world, "traces", errors).await, 1);
    // Of the spans four, a log line, a point and three runs: the other runs say what their roots say.
    assert_eq!(counts(&remapped(&world, Some(1), false).await)[1], 9);
    for again in [false, true] {
        for q in all {
            for (list, rows) in lists {
                assert_eq!(passing(&world, list, q).await, rows, "{list} {q}");
            }
        }
        assert_eq!(passing(&world, "traces", errors).await, 1);
        assert_eq!(passing(&world, "traces", "rollup.tools:search").await, 1);
        assert_eq!(passing(&world, "spans", "environment:test").await, 1);
        if !again {
            assert_eq!(counts(&remapped(&world, Some(1), false).await)[1], 0);
            flush(&world).await;
        }
    }
    // What theta's clients read is what they sent; OTLP goes out as it came.
    for id in ["run", "both"] {
        let said = ask(&world.app, get(&format!("/v1/traces/{id}"), "key-of-a")).await;
        assert_eq!(said.json()["trace"]["environment"], Value::Null, "{id}");
    }
    assert_eq!(sent_on_of_otlp(&world).await, sent);
}

/// A client that sends the same again after its row was mapped again adds nothing.
#[tokio::test]
async fn what_comes_again_is_the_row_that_was_mapped() {
    let world = world().await;
    // As the decoder writes them: what is derived stands behind the attributes.
    let doc = |derived: &str| {
        let sent = r#""attributes":{"llm.provider":"openai"}"#;
        format!(
            r#"{{"dialect":"otlp","name":"n","status":"success","root":true,{sent},"kind":"custom",{derived}"resource":{{}},"scope":{{}}}}"#
        )
    };
    let key = (TRACE, "0000000000000001");
    stored_as(&world, Table::Spans, key, &doc("")).await;
    let engine = world.app.core().unwrap().engine();
    assert_eq!(counts(&remapped(&world, None, false).await), [2, 1, 0]);
    let before = engine.stats().duplicates;
    let as_new = doc(r#""provider":"openai","#);
    stored_as(&world, Table::Spans, key, &as_new).await;
    assert_eq!(engine.stats().duplicates, before + 1);
}

/// Counts as senders define them: Langfuse's total of the input and the output alone says that other types are parts of these, and
/// `LangChain`'s `input_tokens` is the sum of all types of input.
#[tokio::test]
async fn what_steps_of_langfuse_and_langsmith_used_is_counted_again() {
    let world = world().await;
    let langfuse = r#"{"dialect":"langfuse","status":"success","kind":"llm","name":"g","model":"m",
        "usage_details":{"input":10,"output":5,"input_cached_tokens":4,"total":15},"cost_details":{"total":0.5},
        "tokens":{"input":10,"output":5,"cache_read":4,"total":19}}"#;
    let langsmith = r#"{"dialect":"langsmith","status":"success","root":true,"kind":"llm",
        "tokens":{"input":10,"output":5,"total":15},"name":"c","input":{"a":1},
        "output":{"usage_metadata":{"input_tokens":10,"output_tokens":5,"total_tokens":15,
            "input_token_details":{"cache_read":4},"total_cost":0.25}},
        "metadata":{"thread_id":"th","user_id":"ann"},"langsmith.extra":{"invocation_params":{"model":"gpt-4o"}}}"#;
    stored_as(&world, Table::Spans, ("t", "g"), langfuse).await;
    stored_as(&world, Table::Spans, ("u", "c"), langsmith).await;
    flush(&world).await;
    assert_eq!(counts(&remapped(&world, None, false).await), [4, 2, 0]);
    let exclusive = "tokens.input:6+tokens.cache_read:4+tokens.output:5+tokens.total:15";
    for (q, rows) in [
        (exclusive, 2),
        ("name:g+cost_usd:0.5", 1),
        ("name:c+cost_usd:0.25+group:th+user_id:ann+model:gpt-4o", 1),
    ] {
        assert_eq!(passing(&world, "spans", q).await, rows, "{q}");
    }
    assert_eq!(counts(&remapped(&world, None, false).await), [4, 0, 0]);
}

/// What does not read to its end is left as it is, and not stored again without its end.
#[test]
fn a_document_that_does_not_read_to_its_end_is_left() {
    for doc in [
        r#"{"dialect":"otlp","attributes":{"llm.provider":"openai"},"scope":{"name":"~"},"resource":{}}"#,
        r#"{"dialect":"otlp","attributes":{"llm.provider":"openai","x":["~"]},"scope":{},"resource":{}}"#,
        r#"{"dialect":"langfuse","usage_details":{"input":10,"output":5,"total":15},"name":"~","z":1}"#,
        r#"{"dialect":"langsmith","metadata":{"user_id":"ann"},"name":"~","z":1}"#,
    ] {
        let mut doc = read_json(doc.as_bytes(), 60).unwrap();
        let mapped = dialect::map(Table::Spans, &doc);
        assert!(matches!(mapped, Mapped::Other(_)), "{mapped:?}");
        let place = doc.iter().position(|byte| *byte == b'~').unwrap();
        // In no text.
        doc[place] = 0xff;
        assert_eq!(dialect::map(Table::Spans, &doc), Mapped::Left);
    }
}

/// What a project's rules decided is not decided anew without them, now or when they are gone.
#[tokio::test]
async fn rows_of_a_project_that_ever_had_rules_stay_as_they_are() {
    let world = world().await;
    old_rows(&world).await;
    let engine = world.app.core().unwrap().engine();
    let master = MasterSecret::from_bytes([1; 32]);
    // What a start finds in the log.
    let started = || {
        let (clock, rng) = (Arc::new(SystemClock::new()), Arc::new(OsRng));
        let plane = ControlPlane::recover(Arc::clone(engine), &master, clock, rng);
        let plane = Arc::new(plane.unwrap());
        let macs = Macs::for_redaction(&master);
        let governance = Governance::new(Quota::default(), Arc::clone(&plane), macs);
        (plane, governance)
    };
    for (revision, settings) in [json!({ "redaction": {} }), json!({})]
        .into_iter()
        .enumerate()
    {
        let settings: ProjectSettings = serde_json::from_value(settings).unwrap();
        let revision = u64::try_from(revision).unwrap();
        let (plane, governance) = started();
        let set = governance.set(By::operator(), ProjectId(1), revision, settings);
        set.await.unwrap();
        for (plane, governance) in [(plane, governance), started()] {
            let data = Data {
                engine,
                plane: &plane,
                governance: &governance,
            };
            let said = remapped_of(&data, None, false).await;
            assert_eq!((counts(&said), &said["redacted"]), ([0, 0, 0], &json!([1])));
            assert_eq!(said["projects"], 2);
        }
    }
    assert_eq!(passing(&world, "spans", "provider:openai").await, 0);
}

/// Spans of one trace, more than a few pages of them, each as mapping 1 wrote it.
async fn long_trace(world: &World, spans: usize) {
    for n in 0..spans {
        let doc = json!({ "dialect": "otlp", "name": "chat", "status": "success", "root": n == 0,
            "attributes": { "llm.provider": "openai", "openinference.span.kind": "LLM", "session.id": "s-1",
                "llm.token_count.prompt": 10, "llm.token_count.prompt_details.cache_read": 6 },
            "kind": "custom", "tokens": { "input": 10, "total": 10 }, "resource": {}, "scope": {} });
        stored(world, Table::Spans, (TRACE, &format!("{n:016x}")), doc).await;
    }
}

/// The roll-up of a run takes the difference: it is not made of all spans again for each page of them.
#[tokio::test]
async fn a_long_trace_is_not_rolled_up_for_each_page() {
    let world = world().await;
    let spans = 2 * SWEEP_PAGE_ROWS + 1;
    long_trace(&world, spans).await;
    let path = format!("tokens.input:{}+tokens.total:{}", 4 * spans, 10 * spans);
    assert_eq!(passing(&world, "traces", &path).await, 0);
    let engine = world.app.core().unwrap().engine();
    let before = engine.stats();
    let said = remapped(&world, Some(1), false).await;
    let rows = u64::try_from(spans).unwrap();
    // And the run, which says no more than its spans.
    assert_eq!(counts(&said), [rows + 1, rows, 0]);
    let path = format!("{path}+tokens.cache_read:{}+group:s-1", 6 * spans);
    assert_eq!(passing(&world, "traces", &path).await, 1);
    let after = engine.stats();
    assert_eq!(after.rollups, before.rollups);
    // Each span, and the run once for all pages.
    assert_eq!(after.superseded - before.superseded, rows + 1);
}

/// Does one of a long trace, and this when its first page is stored. What came of it, and of how many rows.
async fn interrupted(world: &World, meanwhile: impl AsyncFnOnce(&Remap)) -> (Value, u64) {
    let spans = 2 * SWEEP_PAGE_ROWS + 1;
    long_trace(world, spans).await;
    let core = world.app.core().unwrap();
    let data = Data {
        engine: core.engine(),
        plane: core.plane(),
        governance: core.governance(),
    };
    let remap = Remap::default();
    let asked = Asked {
        project: Some(ProjectId(1)),
        is_dry: false,
    };
    remap.ask(asked).unwrap();
    let interrupt = async {
        while serde_json::to_value(remap.progress()).unwrap()["looked"] == 0 {
            tokio::task::yield_now().await;
        }
        meanwhile(&remap).await;
    };
    tokio::join!(remap_asked(&data, &remap), interrupt);
    let said = serde_json::to_value(remap.progress()).unwrap();
    (said, u64::try_from(spans).unwrap())
}

/// Rules that are set between two pages end it there.
#[tokio::test]
async fn rules_that_come_meanwhile_end_it() {
    let world = world().await;
    let settings: ProjectSettings = serde_json::from_value(json!({ "redaction": {} })).unwrap();
    let governance = world.app.core().unwrap().governance();
    let set = async |_: &Remap| {
        let set = governance.set(By::operator(), ProjectId(1), 0, settings);
        set.await.unwrap();
    };
    let (said, spans) = interrupted(&world, set).await;
    let [looked, changed, _] = counts(&said);
    assert_eq!(said["redacted"], json!([1]));
    assert!(looked == changed && changed < spans, "{said}");
}

/// Whoever wants it to end is not kept waiting, and the next one does the rest.
#[tokio::test]
async fn one_that_is_told_to_stop_ends_between_two_pages() {
    let world = world().await;
    let stop = async |remap: &Remap| {
        assert_eq!(serde_json::to_value(remap.stop()).unwrap()["running"], true)
    };
    let (said, spans) = interrupted(&world, stop).await;
    assert_eq!(
        (&said["running"], &said["error"]),
        (&json!(false), &json!("it was told to stop"))
    );
    assert_eq!(said["redacted"], json!([]));
    // Whole pages, and not all: a second one may have been read while it was told.
    let page = u64::try_from(SWEEP_PAGE_ROWS).unwrap();
    let changed = said["changed"].as_u64().unwrap();
    assert!(changed.is_multiple_of(page) && changed < spans, "{said}");
    let rest = remapped(&world, Some(1), false).await;
    assert_eq!(counts(&rest), [spans + 1, spans - changed, 0]);
}
