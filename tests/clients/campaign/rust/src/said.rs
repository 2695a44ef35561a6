//! What the SDK holds, as JSON.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::logs::AnyValue;
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::in_memory_exporter::LogDataWithResource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData, ResourceMetrics};
use opentelemetry_sdk::trace::SpanData;
use serde_json::{Map, Value as Json, json};

fn ns(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_nanos()).expect("before 2554")
}

fn value(value: &Value) -> Json {
    match value {
        Value::Bool(b) => json!(b),
        Value::I64(n) => json!(n),
        Value::F64(n) => json!(n),
        Value::String(text) => json!(text.as_str()),
        Value::Array(Array::Bool(all)) => json!(all),
        Value::Array(Array::I64(all)) => json!(all),
        Value::Array(Array::F64(all)) => json!(all),
        Value::Array(Array::String(all)) => {
            json!(all.iter().map(|text| text.as_str()).collect::<Vec<_>>())
        }
        other => panic!("a new kind of value: {other:?}"),
    }
}

fn any(of: &AnyValue) -> Json {
    match of {
        AnyValue::Int(n) => json!(n),
        AnyValue::Double(n) => json!(n),
        AnyValue::String(text) => json!(text.as_str()),
        AnyValue::Boolean(b) => json!(b),
        AnyValue::ListAny(all) => all.iter().map(any).collect(),
        AnyValue::Map(all) => all
            .iter()
            .map(|(key, of)| (key.to_string(), any(of)))
            .collect(),
        other => panic!("a new kind of value: {other:?}"),
    }
}

fn attributes<'a>(all: impl IntoIterator<Item = &'a KeyValue>) -> Map<String, Json> {
    all.into_iter()
        .map(|kv| (kv.key.to_string(), value(&kv.value)))
        .collect()
}

pub(crate) fn resource(of: &Resource) -> Json {
    of.iter()
        .map(|(key, of)| (key.to_string(), value(of)))
        .collect()
}

pub(crate) fn span(data: &SpanData) -> Json {
    let (status, error) = match &data.status {
        Status::Unset => ("unset", None),
        Status::Ok => ("ok", None),
        Status::Error { description } => ("error", Some(description.to_string())),
    };
    let kind = match data.span_kind {
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    };
    let parent = Some(data.parent_span_id).filter(|id| *id != SpanId::INVALID);
    let events = data.events.events.iter();
    let links = data.links.links.iter();
    let scope = &data.instrumentation_scope;
    json!({
        "trace_id": data.span_context.trace_id().to_string(),
        "id": data.span_context.span_id().to_string(),
        "parent": parent.map(|id| id.to_string()),
        "name": data.name, "kind": kind, "status": status, "error": error,
        "start": ns(data.start_time), "end": ns(data.end_time),
        "attributes": attributes(&data.attributes),
        "scope": {
            "name": scope.name(), "version": scope.version(), "schema_url": scope.schema_url(),
            "attributes": attributes(scope.attributes()),
        },
        "events": events.map(|event| json!({
            "name": event.name, "at": ns(event.timestamp), "attributes": attributes(&event.attributes),
        })).collect::<Vec<_>>(),
        "links": links.map(|link| json!({
            "trace_id": link.span_context.trace_id().to_string(),
            "span_id": link.span_context.span_id().to_string(),
            "attributes": attributes(&link.attributes),
        })).collect::<Vec<_>>(),
    })
}

pub(crate) fn line(data: &LogDataWithResource) -> Json {
    let record = &data.record;
    let context = record.trace_context();
    let attributes: Map<String, Json> = record
        .attributes_iter()
        .map(|(key, of)| (key.to_string(), any(of)))
        .collect();
    json!({
        "trace_id": context.map(|context| context.trace_id.to_string()),
        "span_id": context.map(|context| context.span_id.to_string()),
        "time": record.timestamp().map(ns), "observed": record.observed_timestamp().map(ns),
        "severity": record.severity_number().map(|severity| severity as i32), "severity_text": record.severity_text(),
        "event": record.event_name(), "body": record.body().map(any), "attributes": attributes,
        "scope": data.instrumentation.name(),
    })
}

/// Points of every metric.
pub(crate) fn points(all: &ResourceMetrics) -> Vec<Json> {
    let mut points = Vec::new();
    for scoped in all.scope_metrics() {
        let scope = (scoped.scope().name(), scoped.scope().version());
        for metric in scoped.metrics() {
            let of = match metric.data() {
                AggregatedMetrics::F64(data) => of_data(data),
                AggregatedMetrics::U64(data) => of_data(data),
                AggregatedMetrics::I64(data) => of_data(data),
            };
            points.extend(
                of.into_iter()
                    .map(|point| with_metric(metric, scope, point)),
            );
        }
    }
    points
}

fn with_metric(metric: &Metric, scope: (&str, Option<&str>), mut point: Json) -> Json {
    let fields = point.as_object_mut().expect("a point is an object");
    let text = |text: &str| {
        if text.is_empty() {
            Json::Null
        } else {
            json!(text)
        }
    };
    fields.insert("name".into(), json!(metric.name()));
    fields.insert("unit".into(), text(metric.unit()));
    fields.insert("description".into(), text(metric.description()));
    fields.insert("scope".into(), json!(scope));
    point
}

fn temporality(of: Temporality) -> &'static str {
    match of {
        Temporality::Delta => "delta",
        _ => "cumulative",
    }
}

fn of_data<T: serde::Serialize + Copy>(data: &MetricData<T>) -> Vec<Json> {
    match data {
        MetricData::Gauge(gauge) => {
            let head = json!({ "type": "gauge", "temporality": null, "monotonic": null, "time": ns(gauge.time()),
                "began": gauge.start_time().map(ns) });
            let points = gauge.data_points();
            points
                .map(|p| {
                    joined(
                        &head,
                        json!({ "attributes": attributes(p.attributes()), "value": p.value() }),
                    )
                })
                .collect()
        }
        MetricData::Sum(sum) => {
            let head = json!({ "type": "sum", "temporality": temporality(sum.temporality()), "monotonic": sum.is_monotonic(),
                "time": ns(sum.time()), "began": ns(sum.start_time()) });
            let points = sum.data_points();
            points
                .map(|p| {
                    joined(
                        &head,
                        json!({ "attributes": attributes(p.attributes()), "value": p.value() }),
                    )
                })
                .collect()
        }
        MetricData::Histogram(histogram) => {
            let head = json!({ "type": "histogram", "temporality": temporality(histogram.temporality()), "monotonic": null,
                "time": ns(histogram.time()), "began": ns(histogram.start_time()) });
            let points = histogram.data_points();
            points.map(|p| joined(&head, json!({
                "attributes": attributes(p.attributes()), "count": p.count(), "sum": p.sum(), "min": p.min(), "max": p.max(),
                "counts": p.bucket_counts().collect::<Vec<_>>(), "bounds": p.bounds().collect::<Vec<_>>(),
            }))).collect()
        }
        MetricData::ExponentialHistogram(histogram) => {
            let head = json!({ "type": "exponential_histogram", "temporality": temporality(histogram.temporality()),
                "monotonic": null, "time": ns(histogram.time()), "began": ns(histogram.start_time()) });
            let points = histogram.data_points();
            points.map(|p| joined(&head, json!({
                "attributes": attributes(p.attributes()), "count": p.count(), "sum": p.sum(), "min": p.min(), "max": p.max(),
                "scale": p.scale(), "zero": p.zero_count(),
                "positive": (p.positive_bucket().offset(), p.positive_bucket().counts().collect::<Vec<_>>()),
                "negative": (p.negative_bucket().offset(), p.negative_bucket().counts().collect::<Vec<_>>()),
            }))).collect()
        }
    }
}

fn joined(head: &Json, mut point: Json) -> Json {
    let fields = point.as_object_mut().expect("a point is an object");
    fields.extend(head.as_object().expect("a head is an object").clone());
    point
}
