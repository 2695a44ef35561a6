use obsrv_engine::doc::DocRef;
use obsrv_engine::row::{Event, ProjectId, Table};
use proptest::prelude::*;

use crate::dialect::{
    ATTRIBUTES_MAX, Context, DecodeError, Decoded, Dialect, ID_BYTES_MAX, ITEMS_MAX,
    JSON_DEPTH_MAX, KEY_BYTES_MAX, decode, doc_json,
};

const CTX: Context<'_> = Context {
    project: ProjectId(7),
    body_hash: 99,
    subject: "tr_1",
    received_ns: 5,
    key_id: 0,
};

fn read(dialect: Dialect, body: &str) -> Decoded {
    decode(dialect, &CTX, body.as_bytes()).unwrap()
}

fn refused(dialect: Dialect, body: &str) -> Vec<String> {
    read(dialect, body)
        .items
        .into_iter()
        .filter_map(|i| i.error)
        .collect()
}

fn json(event: &Event) -> serde_json::Value {
    let doc = DocRef::parse(&event.doc).unwrap();
    doc.validate().unwrap();
    serde_json::from_str(&doc_json::to_text(doc)).unwrap()
}

fn of(decoded: &Decoded, table: Table) -> Vec<&Event> {
    decoded.events.iter().filter(|e| e.table == table).collect()
}

const TRACE: &str = r#"{"schema_version":"1.0","trace_id":"tr_1","project_id":"shop","name":"agent",
 "status":"success","started_at":"2026-11-21T02:07:08.561299Z","ended_at":"2026-11-21T02:07:08.889964Z",
 "latency_ms":328,"token_usage":{"input":18,"output":4,"cached":2},"cost_usd":0.5,"tags":["a"],
 "metadata":{"n":NaN},"kind":"x","tokens":"mine","model":null,
 "steps":[{"step_id":"st_1","index":0,"type":"tool","name":"click","status":"failed","tool_calls":[{"id":"c","name":"web.click"}]},
          {"parent_step_id":"st_1","type":"thought","started_at":1763690828},
          5],
 "annotations":[{"label":"good","score":1,"user":"rev","created_at":"2026-11-21T02:07:08.889910Z"}]}"#;

#[test]
fn a_trace_is_a_run_steps_and_scores() {
    let decoded = read(Dialect::ThetaTrace, TRACE);
    assert_eq!(decoded.named_project.as_deref(), Some("shop"));
    let run = of(&decoded, Table::Runs)[0];
    assert_eq!(
        (&*run.key.trace_id, &*run.key.id, run.partial),
        ("tr_1", "tr_1", false)
    );
    assert_eq!(run.version >> 63, 1);
    let doc = json(run);
    assert_eq!(
        doc["tokens"],
        serde_json::json!({"input": 18, "output": 4, "cached": 2})
    );
    assert_eq!(
        doc["extra"],
        serde_json::json!({"kind": "x", "tokens": "mine"})
    );
    assert_eq!(doc["metadata"]["n"], "NaN");
    assert_eq!(doc["project_id"], "shop");
    assert!(doc.get("steps").is_none() && doc.get("model").is_none());
    assert!(
        doc.get("started_at").is_none(),
        "the row's own time says it"
    );
    let spans = of(&decoded, Table::Spans);
    let (click, thought) = (json(spans[0]), json(spans[1]));
    assert_eq!(*spans[0].key.id, *"st_1");
    assert_eq!(
        (&click["kind"], &click["tool"]),
        (&"tool".into(), &"web.click".into())
    );
    assert_eq!(
        (&click["status"], &click["status_sent"]),
        (&"error".into(), &"failed".into())
    );
    assert_eq!(
        (&thought["kind"], &thought["type"]),
        (&"custom".into(), &"thought".into())
    );
    assert_eq!(thought["status"], "running");
    assert_eq!(thought["parent_id"], "st_1");
    assert_eq!(thought["started_at"], 1_763_690_828);
    assert_eq!(spans[1].start_ns, Some(1_763_690_828_000_000_000));
    assert!(spans[1].key.id.starts_with("st_"));
    assert_eq!(spans[1].version >> 63, 0);
    let errors: Vec<_> = decoded
        .items
        .iter()
        .filter_map(|i| i.error.clone())
        .collect();
    assert_eq!(
        errors,
        ["steps[2].item: expected an object, found a number"]
    );
    assert_eq!(of(&decoded, Table::Scores).len(), 1);
}

/// What does not say when it began does not begin in 1970.
#[test]
fn a_missing_start_is_the_runs_start_or_the_time_of_the_request() {
    let ctx = Context {
        received_ns: 90_000_000_000,
        ..CTX
    };
    let starts = |dialect, body: &str, table| -> Vec<Option<i64>> {
        let decoded = decode(dialect, &ctx, body.as_bytes()).unwrap();
        assert_eq!(decoded.rejected(), 0, "{body}");
        of(&decoded, table).iter().map(|e| e.start_ns).collect()
    };
    let (run, step) = (Table::Runs, Table::Spans);
    let second = |n: i64| Some(n * 1_000_000_000);
    let own = r#""started_at":"1970-01-01T00:00:30Z""#;
    let trace = |head: &str, steps: &str| format!(r#"{{"trace_id":"t",{head}"steps":[{steps}]}}"#);
    let steps = r#"{"step_id":"a"},
        {"step_id":"b","ended_at":"1970-01-01T00:00:40Z","latency_ms":3000},
        {"step_id":"c","ended_at":"1970-01-01T00:00:20Z"},
        {"step_id":"d","started_at":"1970-01-01T00:00:35Z"}"#;
    let body = trace(&format!("{own},"), steps);
    let expected = [second(30), second(37), second(20), second(35)];
    assert_eq!(starts(Dialect::ThetaTrace, &body, step), expected);
    assert_eq!(starts(Dialect::ThetaTrace, &body, run), [second(30)]);
    let body = trace("", steps);
    let expected = [second(90), second(37), second(20), second(35)];
    assert_eq!(starts(Dialect::ThetaTrace, &body, step), expected);
    // The run begins with the first of its spans, whichever request brings that.
    assert_eq!(starts(Dialect::ThetaTrace, &body, run), [None]);
    let alone = trace("", "");
    assert_eq!(starts(Dialect::ThetaTrace, &alone, run), [second(90)]);
    let ended = trace(
        r#""ended_at":"1970-01-01T00:00:40Z","latency_ms":1000,"#,
        "",
    );
    assert_eq!(starts(Dialect::ThetaTrace, &ended, run), [second(39)]);
    let envelope = r#"{"trace_id":"t","events":[{"type":"a"},{"type":"b","started_at":5}]}"#;
    assert_eq!(
        starts(Dialect::ThetaEvent, envelope, step),
        [second(90), second(5)]
    );
    let envelope = format!(r#"{{"trace_id":"t",{own},"events":[{{"type":"a"}}]}}"#);
    assert_eq!(starts(Dialect::ThetaEvent, &envelope, step), [second(30)]);
}

#[test]
fn an_annotation_is_one_row_however_it_comes() {
    let inside = read(Dialect::ThetaTrace, TRACE);
    let inside = of(&inside, Table::Scores)[0];
    let body = r#"{"annotation_type":"manual","label":"good","score":1.0,"user_id":"rev"}"#;
    let alone = read(Dialect::ThetaAnnotation, body);
    assert_eq!(alone.events[0].key, inside.key);
    assert_eq!(alone.items[0].id.as_deref(), Some(&*inside.key.id));
    assert!(
        inside.partial && alone.events[0].partial,
        "each overlays what it has"
    );
    assert_eq!(json(&alone.events[0])["user_id"], "rev");
    for other in [
        r#"{"label":"good","score":1.5,"user_id":"rev"}"#,
        r#"{"label":"good","score":1,"user_id":"rev","step_id":"st_1"}"#,
        r#"{"label":"good","score":1,"user_id":"rev","reason":"x"}"#,
        r#"{"label":"good","score":1}"#,
    ] {
        assert_ne!(
            read(Dialect::ThetaAnnotation, other).events[0].key,
            inside.key,
            "{other}"
        );
    }
}

#[test]
fn recorded_annotations_name_the_rows_of_their_trace() {
    let trace = include_str!("../../../tests/fixtures/theta/08-post-v1-traces-checkout-agent.json");
    let trace = read(Dialect::ThetaTrace, trace);
    let mut inside: Vec<_> = of(&trace, Table::Scores)
        .iter()
        .map(|e| e.key.clone())
        .collect();
    let ctx = Context {
        subject: "tr_01M7XXPZRHHC20P27AHFRCPHC6",
        ..CTX
    };
    let alone = [
        include_str!("../../../tests/fixtures/theta/09-post-v1-traces-id-annotations-good.json"),
        include_str!("../../../tests/fixtures/theta/10-post-v1-traces-id-annotations-good.json"),
    ];
    let mut alone = alone.map(|body| {
        let decoded = decode(Dialect::ThetaAnnotation, &ctx, body.as_bytes()).unwrap();
        decoded.events[0].key.clone()
    });
    inside.sort();
    alone.sort();
    assert_eq!(inside, alone);
}

#[test]
fn an_envelope_overlays_its_run_and_its_events_are_spans() {
    let body = include_str!("../../../tests/fixtures/theta/31-post-v1-events-canon.json");
    let decoded = read(Dialect::ThetaEvent, body);
    assert_eq!(decoded.rejected(), 0);
    let run = of(&decoded, Table::Runs)[0];
    let doc = json(run);
    assert!(run.partial);
    assert_eq!(
        (&doc["group"], &doc["kind"]),
        (&"sess-9".into(), &"agent.run".into())
    );
    assert!(doc.get("events").is_none());
    let spans: Vec<_> = of(&decoded, Table::Spans)
        .into_iter()
        .map(|e| (&*e.key.id, json(e)))
        .collect();
    let facts: Vec<_> = spans
        .iter()
        .map(|(_, d)| (d["kind"].as_str(), d["parent_id"].as_str()))
        .collect();
    assert_eq!(
        facts,
        [
            (Some("llm"), None),
            (Some("custom"), Some("ev_1")),
            (Some("tool"), Some("ev_1")),
            (Some("annotation"), None)
        ]
    );
    assert_eq!((spans[0].0, spans[1].0), ("ev_1", "ev_2"));
    assert_eq!(spans[2].1["tool"], "f");
    assert_eq!(spans[3].1["value"]["any"][1], 1.5);
    let dict = include_str!("../../../tests/fixtures/theta/32-post-v1-events-canon-dict.json");
    let dict = read(Dialect::ThetaEvent, dict);
    let minted = dict.items[0].trace_id.clone().unwrap();
    assert!(minted.starts_with("tr_") && dict.events.iter().all(|e| *e.key.trace_id == *minted));
}

#[test]
fn imports_answer_item_by_item() {
    let array = include_str!("../../../tests/fixtures/theta/33-post-v1-imports-traces.json");
    let lines = include_str!("../../../tests/fixtures/theta/34-post-v1-imports-traces.ndjson");
    for body in [array, lines] {
        let decoded = read(Dialect::ThetaImport, body);
        let kinds: Vec<_> = decoded.items.iter().map(|i| (i.index, i.kind)).collect();
        assert_eq!(decoded.rejected(), 0);
        assert_eq!(kinds, [(0, "trace"), (1, "envelope")]);
    }
    let mixed =
        "{\"trace_id\":\"a\",\"steps\":[]}\r\n\n{\"trace_id\":}\n7\n{\"x\":1}\n{\"events\":[{}]}";
    let decoded = read(Dialect::ThetaImport, mixed);
    let errors: Vec<_> = decoded
        .items
        .iter()
        .map(|i| i.error.as_deref().unwrap_or(""))
        .collect();
    let neither = "item: expected a theta trace (trace_id, steps) or an envelope (events)";
    let not_json = "line: not valid json: expected a value offset=12";
    assert_eq!(errors, ["", not_json, neither, neither, ""]);
    assert_eq!(of(&decoded, Table::Runs).len(), 2);
    let broken = decode(Dialect::ThetaImport, &CTX, b"[{\"trace_id\":\"a\"},").unwrap_err();
    assert_eq!(
        broken.to_string(),
        "body is not valid json: cut short offset=18"
    );
    assert_eq!(read(Dialect::ThetaImport, "").items, vec![]);
}

#[test]
fn a_field_of_the_wrong_type_is_named() {
    for (body, error) in [
        (
            r#"{"trace_id":5}"#,
            "trace_id: expected text, found a number",
        ),
        (r#"{"trace_id":""}"#, "trace_id: empty"),
        (
            r#"{"trace_id":"t","steps":{}}"#,
            "steps: expected a list, found an object",
        ),
        (
            r#"{"trace_id":"t","tags":["a",1]}"#,
            "tags: expected a list of texts, found a list",
        ),
        (
            r#"{"trace_id":"t","metadata":[]}"#,
            "metadata: expected an object, found a list",
        ),
        (
            r#"{"trace_id":"t","started_at":"soon"}"#,
            "started_at: expected a time in RFC 3339, found text \"soon\"",
        ),
        (
            r#"{"trace_id":"t","token_usage":{"input":1.5}}"#,
            "token_usage.input: expected a whole number, found a number",
        ),
        (
            r#"{"trace_id":"t","steps":[{"step_id":"s","name":7}]}"#,
            "steps[0].name: expected text, found a number",
        ),
        (
            r#"{"trace_id":"t","annotations":[{"score":"x"}]}"#,
            "annotations[0].score: expected a number, found text \"x\"",
        ),
    ] {
        assert_eq!(refused(Dialect::ThetaTrace, body), [error]);
    }
    let envelope = r#"{"events":[{"type":"a"},{"type":1}],"started_at":"someday"}"#;
    let errors = refused(Dialect::ThetaEvent, envelope);
    assert_eq!(errors, ["events[1].type: expected text, found a number"]);
    let whole = decode(Dialect::ThetaTrace, &CTX, b"[]").unwrap_err();
    assert_eq!(whole.to_string(), "body: expected an object");
    assert!(refused(Dialect::ThetaAnnotation, r#"{"score":true}"#)[0].starts_with("score: "));
}

#[test]
fn limits_hold_at_the_limit_and_one_above() {
    let id = |n: usize| format!(r#"{{"trace_id":"{}"}}"#, "x".repeat(n));
    let key = |n: usize| format!(r#"{{"trace_id":"t","metadata":{{"{}":1}}}}"#, "x".repeat(n));
    let entries = |n: usize| {
        let entries: Vec<_> = (0..n).map(|i| format!("\"k{i}\":1")).collect();
        format!(r#"{{"trace_id":"t","metadata":{{{}}}}}"#, entries.join(","))
    };
    for (make, limit) in [
        (&id as &dyn Fn(usize) -> String, ID_BYTES_MAX),
        (&key, KEY_BYTES_MAX),
        (&entries, ATTRIBUTES_MAX),
    ] {
        assert_eq!(refused(Dialect::ThetaTrace, &make(limit)), [""; 0]);
        assert!(refused(Dialect::ThetaTrace, &make(limit + 1))[0].contains("limit="));
    }
    let steps = |n: usize| {
        format!(
            r#"{{"trace_id":"t","steps":[{}]}}"#,
            vec!["{}"; n].join(",")
        )
    };
    assert_eq!(
        read(Dialect::ThetaTrace, &steps(ITEMS_MAX - 1))
            .events
            .len(),
        ITEMS_MAX
    );
    let above = decode(Dialect::ThetaTrace, &CTX, steps(ITEMS_MAX).as_bytes());
    assert_eq!(above, Err(DecodeError::Items));
    // An unknown key that moves into `extra` is the deepest that a document gets.
    let deep = |n: usize| {
        format!(
            r#"{{"trace_id":"t","tokens":{}1{}}}"#,
            "[".repeat(n),
            "]".repeat(n)
        )
    };
    json(&read(Dialect::ThetaTrace, &deep(JSON_DEPTH_MAX - 1)).events[0]);
    assert!(decode(Dialect::ThetaTrace, &CTX, deep(JSON_DEPTH_MAX).as_bytes()).is_err());
}

#[test]
fn the_same_body_gives_the_same_events_and_another_body_other_ids() {
    let body = r#"{"name":"a","events":[{"type":"x"},{"type":"x"}]}"#;
    let first = read(Dialect::ThetaEvent, body);
    assert_eq!(first, read(Dialect::ThetaEvent, body));
    let ids: std::collections::HashSet<_> = first.events.iter().map(|e| &e.key).collect();
    assert_eq!(ids.len(), 3);
    for ctx in [
        Context {
            body_hash: 1,
            ..CTX
        },
        Context {
            project: ProjectId(8),
            ..CTX
        },
    ] {
        let other = decode(Dialect::ThetaEvent, &ctx, body.as_bytes()).unwrap();
        assert_ne!(other.digest, first.digest);
    }
}

fn anything() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i32>().prop_map(Value::from),
        (-9.0..9.0f64).prop_map(Value::from),
        "[a-z2:T-]{0,4}".prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "trace_id",
        "steps",
        "events",
        "step_id",
        "name",
        "status",
        "metadata",
        "annotations",
        "tags",
        "messages",
        "content",
        "role",
        "tool_calls",
        "id",
        "started_at",
        "token_usage",
        "type",
        "kind",
        "index",
        "score",
        "user",
        "arguments",
        "attachments",
        "latency_ms",
        "extra",
        "tokens",
        "message",
    ]);
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..9)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_ends_in_rows_that_read_or_in_an_error(value in anything()) {
        let text = value.to_string();
        for n in 3..=6 {
            let dialect = Dialect::from_u16(n).unwrap();
            let Ok(decoded) = decode(dialect, &CTX, text.as_bytes()) else { continue };
            for event in &decoded.events {
                json(event);
                prop_assert!(!event.key.id.is_empty() && event.key.id.len() <= ID_BYTES_MAX);
            }
            prop_assert_eq!(decoded, decode(dialect, &CTX, text.as_bytes()).unwrap());
        }
    }
}
