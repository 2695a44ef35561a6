//! Expected values follow Langfuse's API reference and its guide to usage and cost.

use obsrv_engine::doc::DocRef;
use obsrv_engine::fold::{Part, Parts};
use obsrv_engine::row::{ProjectId, Table};
use proptest::prelude::*;

use super::*;
use crate::dialect::{ATTRIBUTES_MAX, Dialect, KEY_BYTES_MAX, decode, doc_json};

fn read(body: &str) -> Decoded {
    let dialect = Dialect::LangfuseBatch;
    decode(dialect, &context(), body.as_bytes()).unwrap()
}

fn context() -> Context<'static> {
    Context {
        project: ProjectId(7),
        body_hash: 1,
        subject: "",
        received_ns: 1_700_000_000_000_000_000,
        key_id: 0,
    }
}

fn event(kind: &str, at: &str, body: &str) -> String {
    format!(
        r#"{{"id":"e-{kind}-{at}","type":"{kind}","timestamp":"2024-05-01T10:00:{at}Z","body":{body}}}"#
    )
}

fn batch(events: &[String]) -> String {
    format!(
        r#"{{"batch":[{}],"metadata":{{"sdk_name":"python"}}}}"#,
        events.join(",")
    )
}

/// The one row of a table after all events were folded, as JSON, and its times.
fn row(
    decoded: &[Decoded],
    table: Table,
    id: &str,
) -> (serde_json::Value, Option<i64>, Option<i64>) {
    let mut parts = Parts::default();
    for event in decoded.iter().flat_map(|d| &d.events) {
        if event.table == table && &*event.key.id == id {
            parts.add(Part::of(event));
        }
    }
    let view = parts.view();
    let text = doc_json::to_text(DocRef::parse(&view).unwrap());
    (
        serde_json::from_str(&text).unwrap(),
        parts.start_ns(),
        parts.end_ns(),
    )
}

const T0: i64 = 1_714_557_600_000_000_000; // 2024-05-01T10:00:00Z
const S: i64 = 1_000_000_000;

#[test]
fn a_trace_with_a_span_a_generation_and_an_event() {
    let decoded = read(&batch(&[
        event(
            "trace-create",
            "00",
            r#"{"id":"t","timestamp":"2024-05-01T10:00:00Z","name":"chat","userId":"u",
            "sessionId":"s","tags":["a"],"metadata":{"k":1},"input":{"q":1},"output":"done","release":"r1",
            "version":"v1","environment":"prod","public":true,"externalId":null}"#,
        ),
        event(
            "span-create",
            "01",
            r#"{"id":"s1","traceId":"t","name":"step","startTime":"2024-05-01T10:00:01Z"}"#,
        ),
        event(
            "generation-create",
            "02",
            r#"{"id":"g1","traceId":"t","parentObservationId":"s1","name":"call",
            "startTime":"2024-05-01T10:00:02.5Z","endTime":"2024-05-01T10:00:03Z","model":"gpt-4o",
            "completionStartTime":"2024-05-01T10:00:02.7Z","modelParameters":{"temperature":0.5},
            "input":[{"role":"user","content":"hi"}],"output":{"role":"assistant","content":"ho"},
            "promptName":"p","promptVersion":3,"level":"DEFAULT","metadata":"plain",
            "usageDetails":{"input":10,"output":5},"costDetails":{"input":0.1,"output":0.2},"new":{"x":[1]}}"#,
        ),
        event(
            "event-create",
            "03",
            r#"{"id":"v1","traceId":"t","parentObservationId":"s1","name":"clicked",
            "startTime":"2024-05-01T10:00:02Z"}"#,
        ),
        event(
            "span-update",
            "04",
            r#"{"id":"s1","endTime":"2024-05-01T10:00:04Z","traceId":"t","output":[1]}"#,
        ),
    ]));
    assert_eq!(decoded.rejected(), 0, "{:?}", decoded.items);
    let (run, start, end) = row(std::slice::from_ref(&decoded), Table::Runs, "t");
    let expected = serde_json::json!({
        "dialect": "langfuse", "name": "chat", "user_id": "u", "group": "s", "tags": ["a"],
        "metadata": {"k": 1}, "input": {"q": 1}, "output": "done", "release": "r1", "version": "v1",
        "environment": "prod", "langfuse.public": true,
    });
    assert_eq!((run, start, end), (expected, Some(T0), None));
    let (span, start, end) = row(std::slice::from_ref(&decoded), Table::Spans, "s1");
    let expected = serde_json::json!({
        "dialect": "langfuse", "name": "step", "status": "success", "kind": "custom", "type": "span",
        "root": true, "output": [1],
    });
    assert_eq!(
        (span, start, end),
        (expected, Some(T0 + S), Some(T0 + 4 * S))
    );
    generation_and_moment(&decoded);
}

fn generation_and_moment(decoded: &Decoded) {
    let (call, start, end) = row(std::slice::from_ref(decoded), Table::Spans, "g1");
    let expected = serde_json::json!({
        "dialect": "langfuse", "name": "call", "status": "success", "kind": "llm", "type": "generation",
        "parent_id": "s1", "model": "gpt-4o", "model_parameters": {"temperature": 0.5},
        "completion_start_time": "2024-05-01T10:00:02.7Z", "prompt_name": "p", "prompt_version": 3,
        "input": [{"role": "user", "content": "hi"}], "output": {"role": "assistant", "content": "ho"},
        "level": "DEFAULT", "metadata": {"metadata": "plain"}, "usage_details": {"input": 10, "output": 5},
        "cost_details": {"input": 0.1, "output": 0.2}, "langfuse.new": {"x": [1]},
        "tokens": {"input": 10, "output": 5, "total": 15}, "cost_usd": 0.1 + 0.2,
    });
    assert_eq!(
        (call, start, end),
        (expected, Some(T0 + 5 * S / 2), Some(T0 + 3 * S))
    );
    let (moment, start, end) = row(std::slice::from_ref(decoded), Table::Spans, "v1");
    assert_eq!(
        (moment["status"].as_str(), start, end),
        (Some("success"), Some(T0 + 2 * S), Some(T0 + 2 * S))
    );
}

/// Updates lay over what they name and nothing else; an error is not undone by a later end.
#[test]
fn updates_in_any_order_give_one_row() {
    let sent = [
        event(
            "generation-create",
            "01",
            r#"{"id":"g","traceId":"t","name":"a","startTime":"2024-05-01T10:00:01Z",
            "metadata":{"x":1,"y":1},"model":"m1"}"#,
        ),
        event(
            "generation-update",
            "02",
            r#"{"id":"g","traceId":"t","metadata":{"y":2},"level":"ERROR",
            "statusMessage":"no","usage":{"promptTokens":3,"completionTokens":4,"totalTokens":7}}"#,
        ),
        event(
            "generation-update",
            "03",
            r#"{"id":"g","traceId":"t","name":"b","endTime":"2024-05-01T10:00:05Z"}"#,
        ),
    ];
    let decoded: Vec<Decoded> = sent
        .iter()
        .map(|e| read(&batch(std::slice::from_ref(e))))
        .collect();
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let shuffled: Vec<Decoded> = order.iter().map(|i| decoded[*i].clone()).collect();
        let (row, start, end) = row(&shuffled, Table::Spans, "g");
        assert_eq!(row["name"], "b");
        assert_eq!(row["metadata"], serde_json::json!({"x": 1, "y": 2}));
        assert_eq!(
            (&row["status"], &row["error_message"]),
            (&"error".into(), &"no".into())
        );
        assert_eq!(
            row["tokens"],
            serde_json::json!({"input": 3, "output": 4, "total": 7})
        );
        assert_eq!((start, end), (Some(T0 + S), Some(T0 + 5 * S)), "{order:?}");
    }
    let (open, _, end) = row(&decoded[..1], Table::Spans, "g");
    assert_eq!((&open["status"], end), (&"running".into(), None));
}

#[test]
fn every_type_of_observation_has_a_kind() {
    for (word, kind) in [
        ("span", "custom"),
        ("event", "custom"),
        ("generation", "llm"),
        ("agent", "agent"),
        ("tool", "tool"),
        ("chain", "chain"),
        ("retriever", "retrieval"),
        ("evaluator", "custom"),
        ("embedding", "embedding"),
        ("guardrail", "guardrail"),
    ] {
        let own = event(
            &format!("{word}-create"),
            "00",
            r#"{"id":"o","traceId":"t","name":"n"}"#,
        );
        let body = format!(
            r#"{{"id":"o","traceId":"t","type":"{}"}}"#,
            word.to_uppercase()
        );
        for sent in [own, event("observation-create", "00", &body)] {
            let (row, start, _) = row(&[read(&batch(&[sent]))], Table::Spans, "o");
            assert_eq!((&row["kind"], start), (&kind.into(), Some(T0)), "{word}");
        }
    }
}

/// langfuse #10592, #5568, #9386, #9034, #12306: cached tokens count once.
#[test]
fn buckets_of_usage_do_not_overlap() {
    for (usage, tokens) in [
        (
            r#""usageDetails":{"prompt_tokens":100,"completion_tokens":30,"total_tokens":130,
                "prompt_tokens_details":{"cached_tokens":80,"audio_tokens":0},
                "completion_tokens_details":{"reasoning_tokens":10}}"#,
            r#"{"input":20,"output":20,"cache_read":80,"reasoning":10,"total":130}"#,
        ),
        (
            r#""usageDetails":{"input_tokens":100,"output_tokens":30,"total_tokens":130,
                "input_tokens_details":{"cached_tokens":80},"output_tokens_details":null}"#,
            r#"{"input":20,"output":30,"cache_read":80,"total":130}"#,
        ),
        // Anthropic's counts stand side by side.
        (
            r#""usageDetails":{"input":5,"output":7,"cache_read_input_tokens":100,"cache_creation_input_tokens":50}"#,
            r#"{"input":5,"output":7,"cache_read":100,"cache_write":50,"total":162}"#,
        ),
        // The total tells that the input contains the cached ones.
        (
            r#""usageDetails":{"input":105,"output":7,"input_cached_tokens":100,"total":112}"#,
            r#"{"input":5,"output":7,"cache_read":100,"total":112}"#,
        ),
        (
            r#""usageDetails":{"input":5,"output":7,"images":2,"total":14}"#,
            r#"{"input":5,"output":7,"images":2,"total":14}"#,
        ),
        (
            r#""usage":{"input":1,"output":2,"total":3,"unit":"TOKENS"}"#,
            r#"{"input":1,"output":2,"total":3}"#,
        ),
        (
            r#""usage":{"input":1,"output":2,"unit":"CHARACTERS"}"#,
            "null",
        ),
        (r#""usage":{}"#, "null"),
        (r#""usageDetails":null,"usage":null"#, "null"),
    ] {
        let sent = event(
            "generation-create",
            "00",
            &format!(r#"{{"id":"g","traceId":"t",{usage}}}"#),
        );
        let (row, _, _) = row(&[read(&batch(&[sent]))], Table::Spans, "g");
        let expected: serde_json::Value = serde_json::from_str(tokens).unwrap();
        assert_eq!(row["tokens"], expected, "{usage}");
    }
}

#[test]
fn cost_is_the_total_or_the_sum() {
    for (sent, cost) in [
        (
            r#""costDetails":{"input":1,"output":0.5,"total":9}"#,
            Some(9.0),
        ),
        (r#""costDetails":{"input":1,"output":0.5}"#, Some(1.5)),
        (
            r#""usage":{"input":1,"inputCost":0.25,"outputCost":0.5}"#,
            Some(0.75),
        ),
        (
            r#""usage":{"input":1,"inputCost":0.25,"totalCost":2}"#,
            Some(2.0),
        ),
        (r#""costDetails":{}"#, None),
    ] {
        let sent = event(
            "generation-create",
            "00",
            &format!(r#"{{"id":"g","traceId":"t",{sent}}}"#),
        );
        let (row, _, _) = row(&[read(&batch(&[sent]))], Table::Spans, "g");
        assert_eq!(row["cost_usd"].as_f64(), cost);
    }
}

#[test]
fn scores_of_traces_observations_and_sessions() {
    let decoded = read(&batch(&[
        event(
            "score-create",
            "00",
            r#"{"id":"c1","traceId":"t","name":"good","value":0.5,"comment":"c",
            "observationId":"o","dataType":"NUMERIC","configId":"k","metadata":{"m":1}}"#,
        ),
        event(
            "score-create",
            "01",
            r#"{"traceId":"t","name":"tone","value":"kind","dataType":"CATEGORICAL"}"#,
        ),
        event(
            "score-create",
            "02",
            r#"{"id":"c3","sessionId":"s","name":"ok","value":true,"dataType":"BOOLEAN"}"#,
        ),
    ]));
    assert_eq!(decoded.rejected(), 0, "{:?}", decoded.items);
    let (score, start, _) = row(std::slice::from_ref(&decoded), Table::Scores, "c1");
    let expected = serde_json::json!({
        "dialect": "langfuse", "name": "good", "score": 0.5, "comment": "c", "step_id": "o",
        "data_type": "NUMERIC", "config_id": "k", "metadata": {"m": 1},
    });
    assert_eq!((score, start), (expected, Some(T0)));
    let keys: Vec<_> = decoded
        .events
        .iter()
        .map(|e| (&*e.key.trace_id, e.key.id.len()))
        .collect();
    assert_eq!(keys, [("t", 2), ("t", 35), ("session:s", 2)]);
    let (third, _, _) = row(&[decoded], Table::Scores, "c3");
    assert_eq!(
        (&third["score"], &third["session_id"]),
        (&1.into(), &"s".into())
    );
}

/// Events that must be refused, and how the reason begins.
fn bad_events() -> Vec<(String, &'static str)> {
    let long = "i".repeat(257);
    vec![
        ("{}".to_owned(), "type: missing"),
        (
            event("dance-create", "00", "{}"),
            "type: unknown event type=dance-create",
        ),
        (
            event("span-delete", "00", "{}"),
            "type: unknown event type=span-delete",
        ),
        (
            r#"{"id":"x","type":"span-create","body":[]}"#.to_owned(),
            "body: expected an object",
        ),
        (
            r#"{"id":"x","type":"span-create","timestamp":"soon","body":{}}"#.to_owned(),
            "timestamp: expected a time",
        ),
        (
            event("span-create", "00", r#"{"id":7}"#),
            "body.id: expected text",
        ),
        (
            event("span-create", "00", &format!(r#"{{"id":"{long}"}}"#)),
            "body.id: id too long limit=256",
        ),
        (
            event("span-update", "00", r#"{"traceId":"t"}"#),
            "body.id: missing",
        ),
        (
            event("span-update", "00", r#"{"id":"t"}"#),
            "body.traceId: missing",
        ),
        (
            event("span-create", "00", r#"{"startTime":"x"}"#),
            "body.startTime: expected a time",
        ),
        (
            event("observation-create", "00", r#"{"type":"BOX"}"#),
            "body.type: unknown type=BOX",
        ),
        (
            event("trace-create", "00", r#"{"tags":[1]}"#),
            "body.tags: expected a list of texts",
        ),
        (
            event("score-create", "00", r#"{"traceId":"t","value":1}"#),
            "body.name: missing",
        ),
        (
            event("score-create", "00", r#"{"traceId":"t","name":"n"}"#),
            "body.value: expected",
        ),
        (
            event("score-create", "00", r#"{"value":1,"name":"n"}"#),
            "body.traceId: missing",
        ),
    ]
}

#[test]
fn bad_items_name_the_field_and_leave_the_good_ones() {
    let bad = bad_events();
    let good = event(
        "span-create",
        "00",
        r#"{"id":"good","traceId":"t","startTime":"2024-05-01T10:00:00Z"}"#,
    );
    let mut events: Vec<String> = bad.iter().map(|(e, _)| e.clone()).collect();
    events.push(good);
    let decoded = read(&batch(&events));
    for (item, (sent, expected)) in decoded.items.iter().zip(&bad) {
        let error = item.error.as_deref().unwrap_or("taken");
        assert!(error.starts_with(expected), "{sent}: {error}");
    }
    assert_eq!(decoded.items.len(), bad.len() + 1);
    let ids: Vec<&str> = decoded.events.iter().map(|e| &*e.key.id).collect();
    assert_eq!(ids, ["good"]);
    let whole = decode(Dialect::LangfuseBatch, &context(), br#"{"batch":{}}"#).unwrap_err();
    assert_eq!(whole.to_string(), "batch: expected a list");
}

#[test]
fn what_has_no_id_gets_the_same_one_each_time() {
    let body = batch(&[
        event("trace-create", "00", r#"{"name":"x"}"#),
        event("span-create", "00", r#"{"name":"y"}"#),
        event("sdk-log", "00", r#"{"log":"z"}"#),
    ]);
    let (one, two) = (read(&body), read(&body));
    assert_eq!(one, two);
    assert_eq!((one.rejected(), one.items.len()), (0, 3));
    let (_, start, _) = row(&[two], Table::Runs, &one.events[0].key.id);
    assert_eq!(start, Some(T0), "the time of the event stands in");
}

#[test]
fn fields_and_their_names_are_bounded() {
    let error_of = |fields: usize, name: usize| {
        let filler: Vec<String> = (2..fields).map(|i| format!(r#","f{i}":1"#)).collect();
        let body = format!(
            r#"{{"id":"t","{}":1{}}}"#,
            "n".repeat(name),
            filler.concat()
        );
        read(&batch(&[event("trace-create", "00", &body)])).items[0]
            .error
            .clone()
    };
    assert_eq!(error_of(ATTRIBUTES_MAX, KEY_BYTES_MAX), None);
    let error = error_of(ATTRIBUTES_MAX + 1, 1).unwrap();
    assert_eq!(error, "body.fields: too many limit=1024");
    let error = error_of(2, KEY_BYTES_MAX + 1).unwrap();
    assert_eq!(error, "body.fields: name too long limit=1024 bytes=1025");
}

#[test]
fn items_are_bounded() {
    let of = |n: usize| format!(r#"{{"batch":[{}]}}"#, vec!["1"; n].join(","));
    assert_eq!(read(&of(ITEMS_MAX)).items.len(), ITEMS_MAX);
    let error = decode(
        Dialect::LangfuseBatch,
        &context(),
        of(ITEMS_MAX + 1).as_bytes(),
    );
    assert_eq!(error, Err(DecodeError::Items));
}

proptest! {
    #[test]
    fn no_body_panics(body in r#"[\[\]{},:"a-z0-9 .-]{0,80}"#, word in "(trace|span|score|tool)-(create|update)") {
        let sent = format!(r#"{{"batch":[{{"type":"{word}","body":{body}}}]}}"#);
        let _ = decode(Dialect::LangfuseBatch, &context(), sent.as_bytes());
        let _ = decode(Dialect::LangfuseScores, &context(), body.as_bytes());
    }
}
