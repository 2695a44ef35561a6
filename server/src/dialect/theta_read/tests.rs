mod talk;

use std::collections::BTreeMap;

use obsrv_engine::fold::{Part, Parts};
use obsrv_engine::row::{Event, ProjectId, Table};
use obsrv_engine::run::{Run, SpanFacts};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialect::{Context, Dialect, decode};

/// What the engine makes of events: folded spans and scores, and the run derived from them.
#[derive(Default)]
struct Stored {
    run: Run,
    rows: BTreeMap<(Table, String), Parts>,
    trace_id: String,
}

impl Stored {
    fn take(&mut self, events: Vec<Event>) {
        for event in events {
            self.trace_id = event.key.trace_id.to_string();
            let part = Part::of(&event);
            if event.table == Table::Runs {
                self.run.parts.add(part);
            } else {
                let key = (event.table, event.key.id.to_string());
                self.rows.entry(key).or_default().add(part);
            }
        }
    }

    fn body(&mut self, dialect: Dialect, body: &[u8]) {
        let subject = self.trace_id.clone();
        let ctx = Context {
            project: ProjectId(1),
            body_hash: 3,
            subject: &subject,
            received_ns: 1,
            key_id: 0,
        };
        let decoded = decode(dialect, &ctx, body).unwrap();
        assert_eq!(decoded.rejected(), 0, "{:?}", decoded.items);
        self.take(decoded.events);
    }

    fn row(&self, id: &str, start_ns: i64, end_ns: Option<i64>, view: Bytes) -> StoredRow {
        let (trace_id, id) = (self.trace_id.as_str().into(), id.into());
        StoredRow {
            core: Core {
                trace_id,
                id,
                start_ns,
                end_ns,
                lsn_first: 1,
                lsn_last: 1,
            },
            view,
        }
    }

    fn table(&self, table: Table) -> Vec<StoredRow> {
        let rows = self.rows.iter().filter(|((t, _), _)| *t == table);
        rows.map(|((_, id), parts)| {
            self.row(
                id,
                parts.start_ns().unwrap_or(0),
                parts.end_ns(),
                parts.view(),
            )
        })
        .collect()
    }

    fn read(&self) -> Value {
        let spans = self.table(Table::Spans);
        let mut run = self.run.clone();
        for span in &spans {
            run.rollup.add(SpanFacts {
                id: &span.core.id,
                start_ns: span.core.start_ns,
                end_ns: span.core.end_ns,
                view: span.doc(),
            });
        }
        let body = run.body();
        let view = obsrv_engine::body::decode(&body).unwrap().view;
        let view = Bytes::copy_from_slice(view);
        let row = self.row(&self.trace_id, run.start_ns(), run.end_ns(), view);
        let text = detail("the-project", &row, &spans, &self.table(Table::Scores));
        let value: Value = serde_json::from_str(&text).unwrap();
        let mut alone = String::new();
        write_summary("the-project", &row, &mut alone);
        assert_eq!(
            serde_json::from_str::<Value>(&alone).unwrap(),
            value["meta"]
        );
        check_strict(&value);
        value
    }
}

fn stored(dialect: Dialect, body: &[u8]) -> Stored {
    let mut stored = Stored::default();
    stored.body(dialect, body);
    stored
}

fn is_time(v: &Value) -> bool {
    v.as_str()
        .is_some_and(|s| crate::dialect::parse_time(s).is_some())
}

/// What the client's read models raise on.
fn check_strict(answer: &Value) {
    let meta = &answer["meta"];
    for key in ["trace_id", "project_id", "name", "status"] {
        assert!(meta[key].is_string(), "{key} in {meta}");
    }
    assert!(is_time(&meta["started_at"]));
    assert!(meta["tags"].is_array() && meta["metadata"].is_object());
    let trace = &answer["trace"];
    check_lists(
        trace,
        &["tags", "steps", "events", "attachments", "annotations"],
    );
    for step in trace["steps"].as_array().unwrap() {
        check_lists(step, &STEP_LISTS);
        assert!(STEP_TYPES.contains(&step["type"].as_str().unwrap()));
        assert!(step["index"].is_i64());
        check_messages(step);
    }
}

fn check_lists(of: &Value, lists: &[&str]) {
    assert!(["success", "error", "running"].contains(&of["status"].as_str().unwrap()));
    assert!(of["metadata"].is_object(), "{of}");
    for key in lists {
        let list = of[*key]
            .as_array()
            .unwrap_or_else(|| panic!("{key} in {of}"));
        assert!(
            *key == "tags" || list.iter().all(Value::is_object),
            "{key} in {of}"
        );
    }
    for key in ["started_at", "ended_at"] {
        assert!(of.get(key).is_none_or(is_time), "{key} in {of}");
    }
    assert!(of.get("latency_ms").is_none_or(Value::is_i64));
    assert!(
        of["events"]
            .as_array()
            .unwrap()
            .iter()
            .all(|e| e["type"].is_string())
    );
}

fn check_messages(step: &Value) {
    let calls = |of: &Value| {
        for call in of["tool_calls"].as_array().unwrap() {
            assert!(call["id"].is_string() && call["name"].is_string(), "{call}");
            assert!(call["arguments"].is_object(), "{call}");
        }
    };
    calls(step);
    for message in step["messages"].as_array().unwrap() {
        calls(message);
        let role = message["role"].as_str().unwrap();
        assert!(["system", "user", "assistant", "tool"].contains(&role));
        for part in message["content"].as_array().unwrap() {
            let kinds = ["text", "image", "audio", "video", "sensor", "file"];
            assert!(kinds.contains(&part["type"].as_str().unwrap()), "{part}");
        }
    }
}

const THETA: [&str; 9] = [
    include_str!("../../../tests/fixtures/theta/08-post-v1-traces-checkout-agent.json"),
    include_str!("../../../tests/fixtures/theta/11-post-v1-traces-failing-agent.json"),
    include_str!("../../../tests/fixtures/theta/12-post-v1-traces-empty.json"),
    include_str!("../../../tests/fixtures/theta/15-post-v1-traces-async-fan.json"),
    include_str!("../../../tests/fixtures/theta/16-post-v1-traces-wrapped-calls.json"),
    include_str!("../../../tests/fixtures/theta/17-post-v1-traces-wrapped-stream.json"),
    include_str!("../../../tests/fixtures/theta/18-post-v1-traces-chain.json"),
    include_str!("../../../tests/fixtures/theta/19-post-v1-traces-support-agent.json"),
    include_str!("../../../tests/fixtures/theta/45-post-v1-traces-zero-config.json"),
];

/// Lists and maps that the client's models fill in when they are missing, so that they compare.
fn filled(mut sent: Value) -> Value {
    fn calls(of: &mut Value) {
        for call in of["tool_calls"].as_array_mut().into_iter().flatten() {
            call.as_object_mut()
                .unwrap()
                .entry("arguments")
                .or_insert(json!({}));
        }
    }
    for step in sent["steps"].as_array_mut().into_iter().flatten() {
        calls(step);
        step["messages"]
            .as_array_mut()
            .into_iter()
            .flatten()
            .for_each(calls);
    }
    sent["project_id"] = json!("the-project");
    sent
}

#[test]
fn recorded_traces_read_back_as_they_were_sent() {
    for body in THETA {
        let mut stored = stored(Dialect::ThetaTrace, body.as_bytes());
        let sent = filled(serde_json::from_str(body).unwrap());
        assert_eq!(stored.read()["trace"], sent);
        if body.contains("checkout-agent") {
            for alone in [
                &include_bytes!(
                    "../../../tests/fixtures/theta/09-post-v1-traces-id-annotations-good.json"
                )[..],
                include_bytes!(
                    "../../../tests/fixtures/theta/10-post-v1-traces-id-annotations-good.json"
                ),
            ] {
                stored.body(Dialect::ThetaAnnotation, alone);
            }
            assert_eq!(stored.read()["trace"], sent, "annotations came twice");
        }
    }
}

#[test]
fn a_summary_has_what_the_list_shows() {
    let meta = stored(Dialect::ThetaTrace, THETA[0].as_bytes()).read()["meta"].take();
    let expected = json!({
        "trace_id": "tr_01M7XXPZRHHC20P27AHFRCPHC6", "project_id": "the-project",
        "name": "checkout-agent", "status": "success", "started_at": "2026-11-21T02:07:08.561299Z",
        "run_id": "run_ext_1", "run_type": "eval", "use_case": "web-shopping", "group": "thread-7",
        "platform": "web", "model": "claude-opus-4.6", "user_id": "user_43", "latency_ms": 328,
        "total_tokens": 2232, "step_count": 6, "cost_usd": 0.0133, "has_media": true,
        "tags": ["demo", "multimodal", "late"],
        "metadata": {"git_sha": "abc", "n": 1, "nested": {"a": [1, 2, null], "ünï": "✓"},
            "release": "r1", "customer": {"tier": "gold"}},
    });
    assert_eq!(meta, expected);
}

#[test]
fn a_late_annotation_is_added_where_it_belongs() {
    let mut stored = stored(Dialect::ThetaTrace, THETA[1].as_bytes());
    stored.body(
        Dialect::ThetaAnnotation,
        br#"{"label":"l","user_id":"u","step_id":"st_01M7XXQ02T5592GX1T5BPPBDT0"}"#,
    );
    stored.body(
        Dialect::ThetaAnnotation,
        br#"{"score":0.5,"step_id":"st_of_nothing"}"#,
    );
    let trace = stored.read()["trace"].take();
    assert_eq!(
        trace["steps"][1]["annotations"],
        json!([{"label": "l", "user": "u"}])
    );
    assert_eq!(
        trace["annotations"],
        json!([{"score": 0.5, "step_id": "st_of_nothing"}])
    );
    assert_eq!(trace["steps"][0]["annotations"], json!([]));
}

#[test]
fn what_clients_refuse_is_brought_into_form() {
    let body = r#"{"trace_id":"t","status":"weird","latency_ms":1.9,"tags":null,"steps":[
      {"step_id":"s","type":"agent","latency_ms":2.5,"messages":[
        {"role":"developer","content":"be brief"},
        {"role":"function","content":[{"type":"image_url","text":5},"x",null],"tool_calls":[
          {"function":{"name":"f","arguments":"{\"a\":1}"}},{"id":7,"name":"g","arguments":"plain"}]}],
       "tool_calls":[{}],"events":[3]}]}"#;
    let answer = stored(Dialect::ThetaTrace, body.as_bytes()).read();
    let trace = &answer["trace"];
    assert_eq!(
        (&trace["status"], &trace["latency_ms"]),
        (&json!("running"), &json!(1))
    );
    let step = &trace["steps"][0];
    assert_eq!(
        (&step["type"], &step["type_sent"]),
        (&json!("custom"), &json!("agent"))
    );
    let (first, second) = (&step["messages"][0], &step["messages"][1]);
    assert_eq!(
        first["content"],
        json!([{"type": "text", "text": "be brief"}])
    );
    assert_eq!(
        (&first["role"], &first["role_sent"]),
        (&json!("system"), &json!("developer"))
    );
    assert_eq!(
        second["content"],
        json!([{"type": "image", "text": "5"}, {"type": "text", "text": "x"}])
    );
    let calls = &second["tool_calls"];
    assert_eq!(
        (&calls[0]["id"], &calls[0]["name"]),
        (&json!("call_0"), &json!("f"))
    );
    assert_eq!(calls[0]["arguments"], json!({"a": 1}));
    assert_eq!(
        (&calls[1]["id"], &calls[1]["arguments"]),
        (&json!("7"), &json!({"value": "plain"}))
    );
}

#[test]
fn envelopes_read_as_traces() {
    let body = include_bytes!("../../../tests/fixtures/theta/31-post-v1-events-canon.json");
    let answer = stored(Dialect::ThetaEvent, body).read();
    let steps = &answer["trace"]["steps"];
    let text =
        json!([{"role": "user", "content": [{"type": "text", "text": "hi"}], "tool_calls": []}]);
    assert_eq!(steps[1]["messages"], text);
    assert_eq!(steps[2]["tool_calls"][0]["result"], json!([1, 2]));
    assert_eq!(
        answer["trace"]["correlation"]["external_ids"]["jira"],
        "A-1"
    );
    assert_eq!(answer["meta"]["group"], "sess-9");
    let dict = include_bytes!("../../../tests/fixtures/theta/32-post-v1-events-canon-dict.json");
    assert_eq!(
        stored(Dialect::ThetaEvent, dict).read()["trace"]["steps"][0]["value"],
        3
    );
}

#[test]
fn otlp_traces_read_in_the_same_shape() {
    let body = include_bytes!("../../../tests/fixtures/otlp/langchain-tool.pb");
    let answer = stored(Dialect::OtlpProtobuf, body).read();
    let step = &answer["trace"]["steps"][0];
    assert_eq!(
        (&step["type"], &step["name"]),
        (&json!("tool"), &json!("execute_tool multiply"))
    );
    assert_eq!(step["tool_calls"][0]["name"], "multiply");
    assert!(
        step["metadata"]["gen_ai.tool.name"].is_string(),
        "attributes as sent"
    );
    assert!(step.get("attributes").is_none());
    let body = include_bytes!("../../../tests/fixtures/otlp/litellm.pb");
    let answer = stored(Dialect::OtlpProtobuf, body).read();
    let step = &answer["trace"]["steps"][0];
    let roles: Vec<_> = step["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["role"].clone())
        .collect();
    assert_eq!(roles, ["user", "assistant"]);
    assert!(answer["meta"]["total_tokens"].is_i64() && answer["meta"]["latency_ms"].is_i64());
    for body in [
        &include_bytes!(
            "../../../tests/fixtures/otlp/ai4-05-post-v1-traces-spans-4-ai.generateText.json"
        )[..],
        include_bytes!(
            "../../../tests/fixtures/otlp/ai5-04-post-v1-traces-spans-2-ai.streamText.json"
        ),
    ] {
        stored(Dialect::OtlpJson, body).read();
    }
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i16>().prop_map(Value::from),
        (-9.0..9.0f64).prop_map(Value::from),
        "[a-z]{0,4}".prop_map(Value::from),
    ];
    let keys = [
        "content",
        "role",
        "tool_calls",
        "id",
        "name",
        "arguments",
        "text",
        "type",
        "uri",
        "parts",
        "metadata",
        "latency_ms",
        "message",
        "function",
    ];
    let key = prop::sample::select(keys.to_vec());
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..7)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_lists_hold_the_client_can_read_it(
        lists in prop::collection::vec(prop::collection::vec(anything(), 0..4), 5),
        envelope in any::<bool>(),
    ) {
        let step: serde_json::Map<String, Value> = STEP_LISTS
            .iter()
            .zip(lists)
            .map(|(key, list)| ((*key).to_owned(), Value::from(list)))
            .collect();
        let list = if envelope { "events" } else { "steps" };
        let body = json!({"trace_id": "t", list: [step]}).to_string();
        let dialect = if envelope { Dialect::ThetaEvent } else { Dialect::ThetaTrace };
        stored(dialect, body.as_bytes()).read();
    }
}
