//! Expected values stand in the exports beside them.

use obsrv_engine::row::{ProjectId, Table};
use serde_json::{Value, json};

use super::*;
use crate::dialect::{Dialect, decode, doc_json};

const S: i64 = 1_000_000_000;
const T0: i64 = 1_795_000_000 * S;

fn try_read(body: &str) -> Result<Decoded, DecodeError> {
    let ctx = Context {
        project: ProjectId(7),
        body_hash: 1,
        subject: "",
        received_ns: T0,
        key_id: 0,
    };
    decode(Dialect::AiobsExport, &ctx, body.as_bytes())
}

fn read(body: &Value) -> Decoded {
    try_read(&body.to_string()).unwrap()
}

fn row<'a>(decoded: &'a Decoded, table: Table, id: &str) -> (&'a Event, Value) {
    let mut found = decoded
        .events
        .iter()
        .filter(|e| e.table == table && &*e.key.id == id);
    let event = found.next().unwrap();
    assert!(found.next().is_none(), "{id} comes twice");
    let text = doc_json::to_text(parse(&event.doc));
    (event, serde_json::from_str(&text).unwrap())
}

fn session() -> Value {
    json!({ "id": "s-1", "name": "checkout", "started_at": 1_795_000_000.5, "ended_at": null,
        "meta": { "pid": 7, "cwd": "/app" }, "labels": { "env": "prod" } })
}

fn function() -> Value {
    json!({ "provider": "function", "api": "app.plan", "name": "plan", "module": "app", "args": [1, "two"],
        "kwargs": { "deep": { "k": null } }, "result": { "ok": true }, "error": null,
        "started_at": 1_795_000_001.0, "ended_at": 1_795_000_003.0, "duration_ms": 2000.0,
        "callsite": { "file": "a.py", "line": 3, "function": "main" }, "span_id": "00000000000000a1",
        "parent_span_id": null, "trace_id": "t-1", "enh_prompt": true, "enh_prompt_id": "e-1",
        "auto_enhance_after": 10, "session_id": "s-1" })
}

fn call() -> Value {
    json!({ "provider": "openai", "api": "chat.completions.create",
        "request": { "model": "gpt-4o", "temperature": 0.5, "messages": [{ "role": "user", "content": "hi" }] },
        "response": { "id": "c", "model": "gpt-4o-2024", "text": "ho", "usage": { "prompt_tokens": 100,
            "completion_tokens": 20, "total_tokens": 120, "prompt_tokens_details": { "cached_tokens": 60 } } },
        "error": null, "started_at": 1_795_000_001.5, "ended_at": 1_795_000_002.5, "duration_ms": 1000.0,
        "callsite": null, "span_id": "00000000000000b1", "parent_span_id": "00000000000000a1",
        "trace_id": "t-1", "session_id": "s-other" })
}

fn export(events: &[Value], functions: &[Value]) -> Value {
    json!({ "sessions": [session()], "events": events, "function_events": functions,
        "trace_tree": [{ "name": "plan", "children": [call()] }], "enh_prompt_traces": ["e-1"],
        "generated_at": 1_795_000_009.0, "version": 1 })
}

#[test]
fn a_session_is_a_run_and_calls_are_steps_of_their_trace() {
    let decoded = read(&export(&[call()], &[function()]));
    assert_eq!(decoded.events.len(), 3);
    let (event, doc) = row(&decoded, Table::Runs, "s-1");
    assert_eq!((event.start_ns, event.end_ns), (Some(T0 + S / 2), None));
    assert_eq!(
        doc,
        json!({ "dialect": "aiobs", "status": "running", "run_type": "session", "group": "s-1",
            "name": "checkout", "meta": { "pid": 7, "cwd": "/app" }, "metadata": { "env": "prod" },
            "environment": "prod" })
    );
    let (event, doc) = row(&decoded, Table::Spans, "00000000000000a1");
    assert_eq!(&*event.key.trace_id, "t-1");
    assert_eq!(
        (event.start_ns, event.end_ns),
        (Some(T0 + S), Some(T0 + 3 * S))
    );
    assert_eq!(
        doc,
        json!({ "dialect": "aiobs", "status": "success", "group": "s-1", "root": true,
            "metadata": { "env": "prod" }, "environment": "prod", "name": "plan", "kind": "custom",
            "input": { "args": [1, "two"], "kwargs": { "deep": { "k": null } } }, "provider": "function",
            "api": "app.plan", "module": "app", "output": { "ok": true }, "duration_ms": 2000.0,
            "callsite": { "file": "a.py", "line": 3, "function": "main" }, "enh_prompt": true,
            "enh_prompt_id": "e-1", "auto_enhance_after": 10, "session_id": "s-1" })
    );
}

#[test]
fn a_model_call_belongs_to_the_session_of_its_function() {
    let decoded = read(&export(&[call()], &[function()]));
    let (_, doc) = row(&decoded, Table::Spans, "00000000000000b1");
    assert_eq!(doc["group"], "s-1");
    assert_eq!(doc["session_id"], "s-other");
    assert_eq!(doc["parent_id"], "00000000000000a1");
    assert_eq!(
        (&doc["kind"], &doc["model"]),
        (&json!("llm"), &json!("gpt-4o"))
    );
    let tokens = json!({ "input": 40, "output": 20, "cache_read": 60, "total": 120 });
    assert_eq!(doc["tokens"], tokens);
    assert_eq!(
        (&doc["input"], &doc["output"]),
        (&call()["request"], &call()["response"])
    );
    let alone = read(&export(&[call()], &[]));
    assert_eq!(
        row(&alone, Table::Spans, "00000000000000b1").1["group"],
        "s-other"
    );
}

#[test]
fn a_call_without_ids_is_the_same_row_when_it_comes_again() {
    let mut bare = call();
    for key in ["span_id", "parent_span_id", "trace_id"] {
        bare[key] = Value::Null;
    }
    let ids = |decoded: &Decoded| {
        let spans = decoded.events.iter().filter(|e| e.table == Table::Spans);
        let keys = spans.map(|e| (e.key.trace_id.to_string(), e.key.id.to_string()));
        keys.collect::<Vec<_>>()
    };
    let once = ids(&read(&export(&[bare.clone()], &[])));
    let again = ids(&read(&export(
        &[call(), bare.clone(), bare.clone()],
        &[function()],
    )));
    assert_eq!(once.len(), 1);
    assert_eq!(once[0].0, "s-other");
    assert_eq!(again[2], once[0]);
    assert_ne!(again[3], once[0], "two equal calls are two steps");
    bare["error"] = json!("timeout");
    let failed = read(&export(&[bare], &[]));
    let [_, event] = &failed.events[..] else {
        panic!("{:?}", failed.events)
    };
    let doc = parse(&event.doc);
    assert_eq!(doc.get("status"), Some(DocRef::Str("error")));
    assert_eq!(doc.get("error_message"), Some(DocRef::Str("timeout")));
}

#[test]
fn an_ended_session_stands_over_an_open_one_and_a_later_export_over_an_earlier() {
    let version = |ended: Value, generated: f64| {
        let mut body = export(&[], &[]);
        body["sessions"][0]["ended_at"] = ended;
        body["generated_at"] = json!(generated);
        read(&body).events[0].version
    };
    let order = [
        version(Value::Null, 1_795_000_001.0),
        version(Value::Null, 1_795_000_009.0),
        version(json!(1_795_000_002.0), 1_795_000_003.0),
        version(json!(1_795_000_002.0), 1_795_000_004.0),
    ];
    assert!(order.is_sorted_by(|a, b| a < b), "{order:?}");
}

#[test]
fn a_trace_tree_of_any_depth_and_numbers_that_are_none_are_taken() {
    let mut body = export(&[call()], &[function()]).to_string();
    let tree = format!(
        "\"trace_tree\":{}{}",
        "[{\"children\":".repeat(500),
        "[]".to_owned() + &"}]".repeat(500)
    );
    let at = body.find("\"trace_tree\":").unwrap();
    let end = at + body[at..].find("],\"version\"").unwrap() + 1;
    body.replace_range(at..end, &tree);
    let body = body.replace(
        "\"temperature\":0.5",
        "\"temperature\":NaN,\"top_p\":Infinity",
    );
    let decoded = try_read(&body).unwrap();
    assert_eq!(decoded.rejected(), 0);
    let span = decoded
        .events
        .iter()
        .find(|e| &*e.key.id == "00000000000000b1")
        .unwrap();
    let request = parse(&span.doc).get("input").unwrap();
    assert!(matches!(request.get("temperature"), Some(DocRef::F64(n)) if n.is_nan()));
    assert_eq!(request.get("top_p"), Some(DocRef::F64(f64::INFINITY)));
}

#[test]
fn nothing_is_taken_of_an_export_without_anything() {
    let empty = json!({ "sessions": [], "events": [], "function_events": [], "trace_tree": null,
        "enh_prompt_traces": null, "generated_at": 1.0, "version": 1 });
    assert_eq!(read(&empty), Decoded::default().sealed());
    let bare = json!({ "sessions": null });
    assert_eq!(read(&bare).events, []);
}

#[test]
fn bad_items_are_refused_by_themselves_and_bad_lists_whole() {
    let mut bad = function();
    bad["span_id"] = json!("x".repeat(257));
    let decoded = read(&export(&[json!(7), call()], &[bad]));
    let refused: Vec<_> = decoded
        .items
        .iter()
        .filter_map(|i| Some((i.kind, i.index, i.error.clone()?)))
        .collect();
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert_eq!((refused[0].0, refused[0].1), ("function_event", 0));
    assert!(
        refused[0].2.starts_with("span_id: id too long"),
        "{refused:?}"
    );
    assert_eq!((refused[1].0, refused[1].1), ("event", 0));
    assert_eq!(decoded.events.len(), 2);
    let error = try_read(r#"{"sessions":{}}"#).unwrap_err();
    assert_eq!(error.to_string(), "sessions: expected a list");
    assert!(try_read(r#"{"sessions":[{]}"#).is_err());
    assert!(try_read(r#"{"sessions":[1}"#).is_err());
}
