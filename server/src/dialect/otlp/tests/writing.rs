//! What goes out is what came in: requests are read into rows and written again, and prost reads what
//! was written.

use bytes::Bytes;
use obsrv_engine::doc::DocWriter;
use obsrv_engine::model;
use obsrv_engine::row::{Event, Table, trace_of};
use obsrv_engine::source::Core;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest as LogsRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest as MetricsRequest;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use serde_json::{Value as Json, json};

use super::signals::{logs, metrics};
use super::*;
use crate::dialect::otlp::write::{self, Rows};
use crate::dialect::theta_read::StoredRow;
use crate::dialect::tokens::Tokens;

fn stored(event: &Event) -> StoredRow {
    StoredRow {
        core: Core {
            trace_id: event.key.trace_id.clone(),
            id: event.key.id.clone(),
            start_ns: event.start_ns.unwrap_or(0),
            end_ns: event.end_ns,
            lsn_first: 1,
            lsn_last: 1,
        },
        view: event.doc.clone(),
    }
}

fn all_stored(decoded: &Decoded) -> Vec<StoredRow> {
    assert_eq!(decoded.items, vec![], "every item reads");
    decoded.events.iter().map(stored).collect()
}

/// What of events does not hang on their place in the request.
fn told(decoded: &Decoded) -> Vec<String> {
    let mut all: Vec<String> = decoded
        .events
        .iter()
        .map(|e| {
            let trace = (e.table != Table::Logs).then_some(&*e.key.trace_id);
            let trace = trace.or(trace_of(&e.key.trace_id));
            let doc = doc_json::to_text(DocRef::parse(&e.doc).unwrap());
            format!("{trace:?} {:?} {:?} {doc}", e.start_ns, e.end_ns)
        })
        .collect();
    all.sort();
    all
}

/// As debug texts, sorted: NaN is NaN then, and groups may be in any order.
fn sorted<T: std::fmt::Debug>(all: Vec<T>) -> Vec<String> {
    let mut all: Vec<String> = all.iter().map(|one| format!("{one:#?}")).collect();
    all.sort();
    all
}

fn spans_of(request: Request) -> Vec<(Resource, String, InstrumentationScope, String, Span)> {
    let mut all = Vec::new();
    for group in request.resource_spans {
        for scoped in group.scope_spans {
            for mut span in scoped.spans {
                span.status.get_or_insert_default();
                let resource = group.resource.clone().unwrap_or_default();
                let scope = scoped.scope.clone().unwrap_or_default();
                let schemas = (group.schema_url.clone(), scoped.schema_url.clone());
                all.push((resource, schemas.0, scope, schemas.1, span));
            }
        }
    }
    all
}

fn logs_of(request: LogsRequest) -> Vec<impl std::fmt::Debug> {
    let mut all = Vec::new();
    for group in request.resource_logs {
        for scoped in group.scope_logs {
            for mut log in scoped.log_records {
                for id in [&mut log.trace_id, &mut log.span_id] {
                    if id.iter().all(|b| *b == 0) {
                        id.clear();
                    }
                }
                if (log.time_unix_nano, log.observed_time_unix_nano) == (0, 0) {
                    log.observed_time_unix_nano = CTX.received_ns.cast_unsigned();
                }
                let resource = group.resource.clone().unwrap_or_default();
                all.push((resource, scoped.scope.clone().unwrap_or_default(), log));
            }
        }
    }
    all
}

/// Every point by itself, with its metric.
fn points_of(request: MetricsRequest) -> Vec<impl std::fmt::Debug> {
    let mut all = Vec::new();
    for group in request.resource_metrics {
        for scoped in group.scope_metrics {
            for metric in scoped.metrics {
                let resource = group.resource.clone().unwrap_or_default();
                let scope = scoped.scope.clone().unwrap_or_default();
                all.extend(alone(&metric).map(|point| (resource.clone(), scope.clone(), point)));
            }
        }
    }
    all
}

fn alone(metric: &Metric) -> impl Iterator<Item = Metric> {
    macro_rules! each {
        ($kind:ident, $data:expr) => {
            $data
                .data_points
                .iter()
                .map(|point| {
                    let mut data = $data.clone();
                    data.data_points = vec![point.clone()];
                    Data::$kind(data)
                })
                .collect::<Vec<_>>()
        };
    }
    let points = match metric.data.as_ref().unwrap() {
        Data::Gauge(data) => each!(Gauge, data),
        Data::Sum(data) => each!(Sum, data),
        Data::Histogram(data) => each!(Histogram, data),
        Data::ExponentialHistogram(data) => each!(ExponentialHistogram, data),
        Data::Summary(data) => each!(Summary, data),
    };
    let metric = metric.clone();
    points.into_iter().map(move |data| Metric {
        data: Some(data),
        ..metric.clone()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn spans_go_out_as_they_came(request in request()) {
        let decoded = decode_protobuf(&request.encode_to_vec()).unwrap();
        let rows = all_stored(&decoded);
        let written = write::protobuf(Rows::Spans, &rows);
        let read = Request::decode(written.as_slice()).unwrap();
        prop_assert_eq!(sorted(spans_of(read)), sorted(spans_of(request)));
        let text = write::json(Rows::Spans, &rows);
        prop_assert_eq!(told(&decode_json(text.as_bytes()).unwrap()), told(&decoded), "{}", text);
    }

    #[test]
    fn logs_go_out_as_they_came(request in logs()) {
        let body = request.encode_to_vec();
        let decoded = super::super::decode_protobuf(Signal::Logs, &CTX, &body).unwrap();
        let rows = all_stored(&decoded);
        let written = write::protobuf(Rows::Logs, &rows);
        let read = LogsRequest::decode(written.as_slice()).unwrap();
        prop_assert_eq!(sorted(logs_of(read)), sorted(logs_of(request)));
        let text = write::json(Rows::Logs, &rows);
        let json = super::super::decode_json(Signal::Logs, &CTX, text.as_bytes()).unwrap();
        let again = super::super::decode_protobuf(Signal::Logs, &CTX, &written).unwrap();
        prop_assert_eq!(told(&json), told(&again), "{}", text);
    }

    #[test]
    fn points_go_out_as_they_came(request in metrics()) {
        let body = request.encode_to_vec();
        let decoded = super::super::decode_protobuf(Signal::Metrics, &CTX, &body).unwrap();
        let rows = all_stored(&decoded);
        let written = write::protobuf(Rows::Points, &rows);
        let read = MetricsRequest::decode(written.as_slice()).unwrap();
        prop_assert_eq!(sorted(points_of(read)), sorted(points_of(request)));
        let text = write::json(Rows::Points, &rows);
        let json = super::super::decode_json(Signal::Metrics, &CTX, text.as_bytes()).unwrap();
        prop_assert_eq!(told(&json), told(&decoded), "{}", text);
    }

    #[test]
    fn tokens_of_other_dialects_come_back_as_the_same_buckets(
        n in proptest::array::uniform5(0i64..1000),
        stated in any::<bool>(),
    ) {
        let mut tokens = Tokens {
            input: n[0], cache_read: n[1], cache_write: n[2], output: n[3], reasoning: n[4],
            ..Tokens::default()
        };
        if stated {
            tokens.total = Some(tokens.sum());
        }
        let row = foreign("theta", "t", "s", |out| tokens.write(out));
        let again = decode_protobuf(&write::protobuf(Rows::Spans, std::slice::from_ref(&row))).unwrap();
        let doc = DocRef::parse(&again.events[0].doc).unwrap();
        let shown = |doc: DocRef<'_>| doc_json::to_text(doc.get(model::TOKENS).unwrap());
        prop_assert_eq!(shown(doc), shown(row.doc()));
    }
}

fn foreign(
    dialect: &str,
    trace_id: &str,
    id: &str,
    fields: impl FnOnce(&mut DocWriter),
) -> StoredRow {
    let mut out = DocWriter::new();
    let open = out.begin_map();
    out.key(model::DIALECT);
    out.str(dialect);
    fields(&mut out);
    out.end(open);
    StoredRow {
        core: Core {
            trace_id: trace_id.into(),
            id: id.into(),
            start_ns: 1_000,
            end_ns: Some(2_000),
            lsn_first: 1,
            lsn_last: 1,
        },
        view: Bytes::from(out.finish()),
    }
}

/// A row whose document is this JSON.
fn of_json(dialect: &str, (trace_id, id): (&str, &str), json: &Json) -> StoredRow {
    let doc = crate::dialect::read_json(json.to_string().as_bytes(), 32).unwrap();
    foreign(dialect, trace_id, id, |out| {
        out.entries(DocRef::parse(&doc).unwrap().entries().unwrap());
    })
}

#[test]
fn facts_of_other_dialects_come_back() {
    let row = of_json(
        "langfuse",
        ("trace one", "obs-1"),
        &json!({
            "name": "answer", "kind": "llm", "status": "error", "error_message": "too long",
            "parent_id": "obs-0", "model": "m-1", "user_id": "ann", "group": "g", "service": "svc",
            "tags": ["a", "b"], "cost_usd": 0.25, "metadata": { "plan": "pro", "n": 3 },
            "input": [{ "role": "user" }], "output": "hi", "langfuse.level": "ERROR", "index": 4,
        }),
    );
    let decoded =
        decode_protobuf(&write::protobuf(Rows::Spans, std::slice::from_ref(&row))).unwrap();
    let [event] = decoded.events.as_slice() else {
        panic!("not one span: {decoded:?}");
    };
    assert_eq!(*event.key.trace_id, hex_of(&write::trace_id("trace one")));
    assert_eq!(*event.key.id, hex_of(&write::span_id("obs-1")));
    let doc = DocRef::parse(&event.doc).unwrap();
    for key in [
        "name",
        "kind",
        "status",
        "error_message",
        "model",
        "user_id",
        "group",
        "service",
        "tags",
        "cost_usd",
        "metadata",
    ] {
        assert_eq!(doc.get(key), row.doc().get(key), "{key}");
    }
    assert_eq!(text_at(doc, "parent_id"), hex_of(&write::span_id("obs-0")));
    let attributes = doc.get("attributes").unwrap();
    for (key, value) in [
        ("obsrv.trace_id", "trace one"),
        ("obsrv.span_id", "obs-1"),
        ("obsrv.parent_id", "obs-0"),
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.conversation.id", "g"),
        ("input.value", "[{\"role\":\"user\"}]"),
        ("input.mime_type", "application/json"),
        ("output.value", "hi"),
        ("langfuse.level", "ERROR"),
    ] {
        assert_eq!(text_at(attributes, key), value, "{key}");
    }
    assert_eq!(number_at(attributes, "obsrv.index"), 4);
}

#[test]
fn ids_that_otlp_can_have_are_kept_and_others_hashed() {
    let hex = "0af7651916cd43dd8448eb211c80319c";
    assert_eq!(hex_of(&write::trace_id(hex)), hex);
    assert_eq!(
        hex_of(&write::trace_id("0af76519-16cd-43dd-8448-eb211c80319c")),
        hex
    );
    assert_eq!(
        hex_of(&write::span_id("00f067aa0ba902b7")),
        "00f067aa0ba902b7"
    );
    let zeros = "0".repeat(32);
    for odd in [
        &zeros,
        "tr_1",
        "",
        &hex[1..],
        "0af7651916cd43dd8448eb211c80319g",
    ] {
        let id = write::trace_id(odd);
        assert_ne!(hex_of(&id), odd, "{odd}");
        assert!(id.iter().any(|b| *b != 0));
        assert_eq!(write::trace_id(odd), id);
    }
}

#[test]
fn json_keeps_to_the_rules_of_otlp() {
    let row = of_json(
        "otlp",
        ("0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"),
        &json!({
            "name": "n", "status": "error", "otel_kind": "client", "flags": 257, "root": true,
            "attributes": { "i": 9_007_199_254_740_993_i64, "d": 1.5, "b": true, "l": [1, null], "m": { "k": "v" } },
            "resource": { "service.name": "s" }, "scope": { "name": "lib", "version": "1" },
        }),
    );
    let text = write::json(Rows::Spans, std::slice::from_ref(&row));
    // Maps of the test's own JSON are sorted.
    let expected = json!({ "resourceSpans": [{
        "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "s" } }] },
        "scopeSpans": [{
            "scope": { "name": "lib", "version": "1" },
            "spans": [{
                "traceId": "0af7651916cd43dd8448eb211c80319c",
                "spanId": "00f067aa0ba902b7",
                "name": "n",
                "kind": 3,
                "startTimeUnixNano": "1000",
                "endTimeUnixNano": "2000",
                "attributes": [
                    { "key": "b", "value": { "boolValue": true } },
                    { "key": "d", "value": { "doubleValue": 1.5 } },
                    { "key": "i", "value": { "intValue": "9007199254740993" } },
                    { "key": "l", "value": { "arrayValue": { "values": [{ "intValue": "1" }, {}] } } },
                    { "key": "m", "value": { "kvlistValue": { "values": [
                        { "key": "k", "value": { "stringValue": "v" } },
                    ] } } },
                ],
                "status": { "code": 2 },
                "flags": 257,
            }],
        }],
    }] });
    assert_eq!(serde_json::from_str::<Json>(&text).unwrap(), expected);
    let groups = write::json_groups(Rows::Spans, std::slice::from_ref(&row));
    let groups: Json = serde_json::from_str(&groups).unwrap();
    assert_eq!(groups, expected["resourceSpans"]);
    assert_eq!(write::json(Rows::Spans, &[]), "{\"resourceSpans\":[]}");
    assert!(write::protobuf(Rows::Spans, &[]).is_empty());
}

#[test]
fn scores_are_events_of_evaluations() {
    let row = of_json(
        "langfuse",
        ("tr", "sc"),
        &json!({ "name": "quality", "score": 0.5, "comment": "fair", "span_id": "sp", "x": 1 }),
    );
    let written = write::protobuf(Rows::Scores, std::slice::from_ref(&row));
    let request = LogsRequest::decode(written.as_slice()).unwrap();
    let log = &request.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!(log.event_name, "gen_ai.evaluation.result");
    assert_eq!(log.trace_id, write::trace_id("tr"));
    assert_eq!(log.span_id, write::span_id("sp"));
    let found = |key: &str| {
        let entry = log.attributes.iter().find(|a| a.key == key);
        entry.and_then(|a| a.value.clone()?.value)
    };
    let text = |s: &str| Some(Value::StringValue(s.into()));
    assert_eq!(found("gen_ai.evaluation.name"), text("quality"));
    assert_eq!(
        found("gen_ai.evaluation.score.value"),
        Some(Value::DoubleValue(0.5))
    );
    assert_eq!(found("gen_ai.evaluation.explanation"), text("fair"));
    assert_eq!(found("obsrv.x"), Some(Value::IntValue(1)));
    assert_eq!(found("obsrv.id"), text("sc"));
}
