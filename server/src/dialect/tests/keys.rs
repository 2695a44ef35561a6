//! Rows name the key that they came with, whatever they came as.

use obsrv_engine::doc::DocRef;
use obsrv_engine::row::{Event, ProjectId, Table};
use serde_json::{Value, json};

use crate::dialect::{Context, Dialect, decode, doc_json};

fn read(dialect: Dialect, body: &Value, key_id: u64) -> Vec<Event> {
    let ctx = Context {
        project: ProjectId(7),
        body_hash: 1,
        subject: "",
        received_ns: 1,
        key_id,
    };
    let decoded = decode(dialect, &ctx, body.to_string().as_bytes()).unwrap();
    assert_eq!(decoded.rejected(), 0, "{decoded:?}");
    decoded.events
}

fn doc(event: &Event) -> Value {
    let text = doc_json::to_text(DocRef::parse(&event.doc).unwrap());
    serde_json::from_str(&text).unwrap()
}

fn bodies() -> [(Dialect, Value); 9] {
    let (trace, span) = ("0".repeat(31) + "1", "0".repeat(15) + "1");
    let spans = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{
        "traceId": trace, "spanId": span, "name": "n", "startTimeUnixNano": "5", "endTimeUnixNano": "9",
    }] }] }] });
    let logs = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [{ "body": { "stringValue": "b" } }] }] }] });
    let point = json!({ "timeUnixNano": "5", "asInt": "1" });
    let points = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [
        { "name": "m", "gauge": { "dataPoints": [point] } },
    ] }] }] });
    // A key of that name in the body stands for nothing.
    let theta = json!({ "trace_id": "t", "name": "n", "key_id": "mine", "steps": [{ "step_type": "llm", "name": "s" }],
        "annotations": [{ "name": "good", "value": 1 }] });
    let batch = json!({ "batch": [
        { "id": "1", "type": "trace-create", "timestamp": "2026-01-01T00:00:00Z", "body": { "id": "t" } },
        { "id": "2", "type": "span-create", "timestamp": "2026-01-01T00:00:00Z", "body": { "id": "s", "traceId": "t" } },
        { "id": "3", "type": "score-create", "timestamp": "2026-01-01T00:00:00Z",
          "body": { "id": "c", "traceId": "t", "name": "good", "value": 1 } },
    ] });
    let run = json!({ "id": "01890000-0000-7000-8000-000000000001", "trace_id": "01890000-0000-7000-8000-000000000001",
        "name": "n", "run_type": "llm", "start_time": "2026-01-01T00:00:00Z", "inputs": {} });
    let custom = json!({ "type": "run", "run_id": "r", "prompt": { "user_prompt": "p" }, "response": "a",
        "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T00:00:01Z" });
    let zipkin =
        json!([{ "traceId": trace, "id": span, "name": "n", "timestamp": 5, "duration": 1 }]);
    let aiobs = json!({ "sessions": [{ "id": "s", "name": "n", "started_at": 1, "ended_at": 2 }], "events": [
        { "provider": "openai", "api": "chat", "session_id": "s", "span_id": "a", "started_at": 1, "ended_at": 2 },
    ] });
    [
        (Dialect::OtlpJson, spans),
        (Dialect::OtlpLogsJson, logs),
        (Dialect::OtlpMetricsJson, points),
        (Dialect::ThetaTrace, theta),
        (Dialect::LangfuseBatch, batch),
        (Dialect::LangsmithRun, run),
        (Dialect::TccCustom, custom),
        (Dialect::ImportZipkin, zipkin),
        (Dialect::AiobsExport, aiobs),
    ]
}

#[test]
fn every_row_but_scores_names_its_key_and_is_else_the_same() {
    for (dialect, body) in bodies() {
        let (with, without) = (read(dialect, &body, 0xab), read(dialect, &body, 0));
        assert_eq!(with.len(), without.len(), "{dialect:?}");
        assert!(!with.is_empty(), "{dialect:?}");
        for (with, without) in with.iter().zip(&without) {
            let (mut said, plain) = (doc(with), doc(without));
            if with.table != Table::Scores {
                let key = said.as_object_mut().unwrap().remove("key_id");
                assert_eq!(key, Some(json!("ab")), "{dialect:?} {said}");
                assert_eq!(plain.get("key_id"), None, "{dialect:?}");
            }
            assert_eq!(said, plain, "{dialect:?}");
        }
    }
}
