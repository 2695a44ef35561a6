//! Logs and metrics against prost: what it encodes must read back field by field, in wire form and in
//! JSON. What is expected is worked out from the messages as JSON values.

use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::row::{Event, Table, trace_of};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest as LogsRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest as MetricsRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exemplar::Value as ExemplarValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;
use serde_json::{Map, Value, json};

use super::super::*;
use super::{CTX, any_value, attributes, attrs_doc, hex_of, id, write_any};
use crate::dialect::{BUCKETS_MAX, EXEMPLARS_MAX, doc_json};

fn shown(doc: &[u8]) -> Value {
    let doc = DocRef::parse(doc).unwrap();
    doc.validate().unwrap();
    serde_json::from_str(&doc_json::to_text(doc)).unwrap()
}

fn attrs(attributes: &[KeyValue]) -> Value {
    shown(&attrs_doc(attributes))
}

/// A float as JSON has it.
fn float(n: f64) -> Value {
    let mut out = DocWriter::new();
    out.f64(n);
    shown(&out.finish())
}

fn put(map: &mut Map<String, Value>, key: &str, value: Value) {
    let is_default = [json!(0), json!(""), Value::Null].contains(&value);
    if !is_default {
        map.insert(key.to_owned(), value);
    }
}

fn scope() -> impl Strategy<Value = InstrumentationScope> {
    ("[a-z]{0,4}", attributes()).prop_map(|(name, attributes)| InstrumentationScope {
        name,
        attributes,
        ..InstrumentationScope::default()
    })
}

fn resource() -> impl Strategy<Value = Resource> {
    attributes().prop_map(|attributes| Resource {
        attributes,
        ..Resource::default()
    })
}

fn time_ns() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1u64..1 << 62]
}

fn log() -> impl Strategy<Value = LogRecord> {
    let ids = prop_oneof![
        Just((vec![], vec![])),
        (id(16), id(8)),
        Just((vec![0; 16], vec![0; 8]))
    ];
    let numbers = (time_ns(), time_ns(), 0i32..26, any::<u32>(), 0u32..3);
    let texts = ("[A-Z]{0,5}", "[a-z.]{0,6}");
    (numbers, texts, option::of(any_value()), attributes(), ids).prop_map(
        |(numbers, texts, body, attributes, ids)| LogRecord {
            time_unix_nano: numbers.0,
            observed_time_unix_nano: numbers.1,
            severity_number: numbers.2,
            severity_text: texts.0,
            body,
            attributes,
            dropped_attributes_count: numbers.4,
            flags: numbers.3,
            trace_id: ids.0,
            span_id: ids.1,
            event_name: texts.1,
        },
    )
}

pub(super) fn logs() -> impl Strategy<Value = LogsRequest> {
    let scoped =
        (option::of(scope()), vec(log(), 0..4)).prop_map(|(scope, log_records)| ScopeLogs {
            scope,
            log_records,
            schema_url: String::new(),
        });
    let group = (option::of(resource()), vec(scoped, 0..3)).prop_map(|(resource, scope_logs)| {
        ResourceLogs {
            resource,
            scope_logs,
            schema_url: String::new(),
        }
    });
    vec(group, 0..3).prop_map(|resource_logs| LogsRequest { resource_logs })
}

fn expected_log(log: &LogRecord) -> Map<String, Value> {
    let mut map = Map::new();
    if let Some(body) = &log.body {
        let mut out = DocWriter::new();
        write_any(body, &mut out);
        map.insert("body".to_owned(), shown(&out.finish()));
    }
    put(&mut map, "severity_number", json!(log.severity_number));
    put(&mut map, "severity_text", json!(log.severity_text));
    put(&mut map, "event_name", json!(log.event_name));
    put(&mut map, "time_unix_nano", json!(log.time_unix_nano));
    put(
        &mut map,
        "observed_time_unix_nano",
        json!(log.observed_time_unix_nano),
    );
    put(&mut map, "flags", json!(log.flags));
    put(
        &mut map,
        "dropped_attributes_count",
        json!(log.dropped_attributes_count),
    );
    if log.span_id.iter().any(|b| *b != 0) {
        put(&mut map, "span_id", json!(hex_of(&log.span_id)));
    }
    map.insert("attributes".to_owned(), attrs(&log.attributes));
    map
}

/// Everything expected is there, and of the names that expectations speak of nothing else.
fn assert_has(event: &Event, expected: &Map<String, Value>, names: &[&str]) {
    let found = shown(&event.doc);
    for name in names {
        assert_eq!(found.get(*name), expected.get(*name), "{name} of {found}");
    }
    for key in expected.keys() {
        assert!(names.contains(&key.as_str()), "{key} is not looked at");
    }
}

const LOG_NAMES: [&str; 10] = [
    "body",
    "severity_number",
    "severity_text",
    "event_name",
    "time_unix_nano",
    "observed_time_unix_nano",
    "flags",
    "dropped_attributes_count",
    "span_id",
    "attributes",
];

fn exemplar() -> impl Strategy<Value = Exemplar> {
    let value = prop_oneof![
        (-1e9..1e9f64).prop_map(|n| Some(ExemplarValue::AsDouble(n))),
        any::<i64>().prop_map(|n| Some(ExemplarValue::AsInt(n))),
    ];
    (attributes(), time_ns(), value, id(16), id(8)).prop_map(
        |(filtered_attributes, time_unix_nano, value, trace_id, span_id)| Exemplar {
            filtered_attributes,
            time_unix_nano,
            span_id,
            trace_id,
            value,
        },
    )
}

fn finite() -> impl Strategy<Value = f64> {
    -1e300..1e300f64
}

type Head = (Vec<KeyValue>, u64, u64, u32);

/// Attributes, start, time, flags.
fn head() -> impl Strategy<Value = Head> {
    (attributes(), time_ns(), 1u64..1 << 62, 0u32..3)
}

fn number_point() -> impl Strategy<Value = NumberDataPoint> {
    let value = prop_oneof![
        Just(None),
        finite().prop_map(|n| Some(Number::AsDouble(n))),
        any::<i64>().prop_map(|n| Some(Number::AsInt(n))),
    ];
    (head(), vec(exemplar(), 0..3), value).prop_map(|(head, exemplars, value)| NumberDataPoint {
        attributes: head.0,
        start_time_unix_nano: head.1,
        time_unix_nano: head.2,
        exemplars,
        flags: head.3,
        value,
    })
}

fn histogram_point() -> impl Strategy<Value = HistogramDataPoint> {
    let sums = (
        option::of(finite()),
        option::of(finite()),
        option::of(finite()),
    );
    let lists = (
        vec(any::<u64>(), 0..6),
        vec(finite(), 0..6),
        vec(exemplar(), 0..3),
    );
    (head(), any::<u64>(), sums, lists).prop_map(|(head, count, sums, lists)| HistogramDataPoint {
        attributes: head.0,
        start_time_unix_nano: head.1,
        time_unix_nano: head.2,
        count,
        sum: sums.0,
        bucket_counts: lists.0,
        explicit_bounds: lists.1,
        exemplars: lists.2,
        flags: head.3,
        min: sums.1,
        max: sums.2,
    })
}

fn exponential_point() -> impl Strategy<Value = ExponentialHistogramDataPoint> {
    let buckets = || {
        let lists = (any::<i32>(), vec(any::<u64>(), 0..6));
        option::of(lists.prop_map(|(offset, bucket_counts)| Buckets {
            offset,
            bucket_counts,
        }))
    };
    let sums = (
        option::of(finite()),
        option::of(finite()),
        option::of(finite()),
        0.0..9f64,
    );
    let numbers = (any::<u64>(), any::<i32>(), any::<u64>());
    (
        head(),
        numbers,
        sums,
        buckets(),
        buckets(),
        vec(exemplar(), 0..3),
    )
        .prop_map(|(head, numbers, sums, positive, negative, exemplars)| {
            ExponentialHistogramDataPoint {
                attributes: head.0,
                start_time_unix_nano: head.1,
                time_unix_nano: head.2,
                count: numbers.0,
                sum: sums.0,
                scale: numbers.1,
                zero_count: numbers.2,
                positive,
                negative,
                flags: head.3,
                exemplars,
                min: sums.1,
                max: sums.2,
                zero_threshold: sums.3,
            }
        })
}

fn summary_point() -> impl Strategy<Value = SummaryDataPoint> {
    let quantile =
        (0.0..1f64, finite()).prop_map(|(quantile, value)| ValueAtQuantile { quantile, value });
    (head(), any::<u64>(), finite(), vec(quantile, 0..4)).prop_map(
        |(head, count, sum, quantile_values)| SummaryDataPoint {
            attributes: head.0,
            start_time_unix_nano: head.1,
            time_unix_nano: head.2,
            count,
            sum,
            quantile_values,
            flags: head.3,
        },
    )
}

fn metric() -> impl Strategy<Value = Metric> {
    let kind = (0i32..3, any::<bool>());
    let data = prop_oneof![
        vec(number_point(), 0..3).prop_map(|data_points| Data::Gauge(Gauge { data_points })),
        (vec(number_point(), 0..3), kind).prop_map(|(data_points, kind)| Data::Sum(Sum {
            data_points,
            aggregation_temporality: kind.0,
            is_monotonic: kind.1,
        })),
        (vec(histogram_point(), 0..3), 0i32..3).prop_map(
            |(data_points, aggregation_temporality)| {
                Data::Histogram(Histogram {
                    data_points,
                    aggregation_temporality,
                })
            }
        ),
        (vec(exponential_point(), 0..3), 0i32..3).prop_map(
            |(data_points, aggregation_temporality)| Data::ExponentialHistogram(
                ExponentialHistogram {
                    data_points,
                    aggregation_temporality,
                }
            )
        ),
        vec(summary_point(), 0..3).prop_map(|data_points| Data::Summary(Summary { data_points })),
    ];
    (
        data,
        "[a-z.]{0,5}",
        "[a-z]{0,4}",
        "[a-z]{0,3}",
        attributes(),
    )
        .prop_map(|(data, name, description, unit, metadata)| Metric {
            name,
            description,
            unit,
            metadata,
            data: Some(data),
        })
}

pub(super) fn metrics() -> impl Strategy<Value = MetricsRequest> {
    let scoped =
        (option::of(scope()), vec(metric(), 0..4)).prop_map(|(scope, metrics)| ScopeMetrics {
            scope,
            metrics,
            schema_url: String::new(),
        });
    let group =
        (option::of(resource()), vec(scoped, 0..3)).prop_map(|(resource, scope_metrics)| {
            ResourceMetrics {
                resource,
                scope_metrics,
                schema_url: String::new(),
            }
        });
    vec(group, 0..3).prop_map(|resource_metrics| MetricsRequest { resource_metrics })
}

const POINT_NAMES: [&str; 24] = [
    "name",
    "description",
    "unit",
    "type",
    "temporality",
    "monotonic",
    "metric_metadata",
    "attributes",
    "start_time_unix_nano",
    "flags",
    "exemplars",
    "value",
    "count",
    "sum",
    "min",
    "max",
    "bucket_counts",
    "explicit_bounds",
    "scale",
    "zero_count",
    "zero_threshold",
    "positive",
    "negative",
    "quantile_values",
];

fn shown_exemplars(exemplars: &[Exemplar]) -> Value {
    let one = |e: &Exemplar| {
        let mut map = Map::new();
        put(&mut map, "time_unix_nano", json!(e.time_unix_nano));
        put(&mut map, "span_id", json!(hex_of(&e.span_id)));
        put(&mut map, "trace_id", json!(hex_of(&e.trace_id)));
        map.insert("filtered_attributes".into(), attrs(&e.filtered_attributes));
        let value = match e.value.unwrap() {
            ExemplarValue::AsDouble(n) => float(n),
            ExemplarValue::AsInt(n) => json!(n),
        };
        map.insert("value".into(), value);
        Value::Object(map)
    };
    if exemplars.is_empty() {
        Value::Null
    } else {
        exemplars.iter().map(one).collect()
    }
}

/// What every point of a metric says.
fn begin(
    metric: &Metric,
    head: (&[KeyValue], u64, u32),
    exemplars: &[Exemplar],
) -> Map<String, Value> {
    let (kind, temporality) = match metric.data.as_ref().unwrap() {
        Data::Gauge(_) => ("gauge", 0),
        Data::Sum(sum) => ("sum", sum.aggregation_temporality),
        Data::Histogram(h) => ("histogram", h.aggregation_temporality),
        Data::ExponentialHistogram(h) => ("exponential_histogram", h.aggregation_temporality),
        Data::Summary(_) => ("summary", 0),
    };
    let temporality = ["", "delta", "cumulative"][usize::try_from(temporality).unwrap()];
    let (attributes, began, flags) = head;
    let mut map = Map::new();
    put(&mut map, "name", json!(metric.name));
    put(&mut map, "description", json!(metric.description));
    put(&mut map, "unit", json!(metric.unit));
    put(&mut map, "type", json!(kind));
    put(&mut map, "temporality", json!(temporality));
    if let Data::Sum(sum) = metric.data.as_ref().unwrap() {
        map.insert("monotonic".into(), json!(sum.is_monotonic));
    }
    if !metric.metadata.is_empty() {
        map.insert("metric_metadata".into(), attrs(&metric.metadata));
    }
    map.insert("attributes".into(), attrs(attributes));
    put(&mut map, "start_time_unix_nano", json!(began));
    put(&mut map, "flags", json!(flags));
    put(&mut map, "exemplars", shown_exemplars(exemplars));
    map
}

fn put_floats(map: &mut Map<String, Value>, floats: &[(&str, Option<f64>)]) {
    for (key, n) in floats {
        if let Some(n) = n {
            map.insert((*key).into(), float(*n));
        }
    }
}

type Expected = (u64, Map<String, Value>);

fn expected_number(metric: &Metric, p: &NumberDataPoint) -> Expected {
    let head = (&p.attributes[..], p.start_time_unix_nano, p.flags);
    let mut map = begin(metric, head, &p.exemplars);
    let value = p.value.map(|value| match value {
        Number::AsDouble(n) => float(n),
        Number::AsInt(n) => json!(n),
    });
    map.extend(value.map(|value| ("value".to_owned(), value)));
    (p.time_unix_nano, map)
}

fn expected_histogram(metric: &Metric, p: &HistogramDataPoint) -> Expected {
    let head = (&p.attributes[..], p.start_time_unix_nano, p.flags);
    let mut map = begin(metric, head, &p.exemplars);
    map.insert("count".into(), json!(p.count));
    put_floats(&mut map, &[("sum", p.sum), ("min", p.min), ("max", p.max)]);
    map.insert("bucket_counts".into(), json!(p.bucket_counts));
    let bounds = p.explicit_bounds.iter().copied().map(float);
    map.insert("explicit_bounds".into(), bounds.collect());
    (p.time_unix_nano, map)
}

fn expected_exponential(metric: &Metric, p: &ExponentialHistogramDataPoint) -> Expected {
    let head = (&p.attributes[..], p.start_time_unix_nano, p.flags);
    let mut map = begin(metric, head, &p.exemplars);
    map.insert("count".into(), json!(p.count));
    put_floats(&mut map, &[("sum", p.sum), ("min", p.min), ("max", p.max)]);
    map.insert("scale".into(), json!(p.scale));
    map.insert("zero_count".into(), json!(p.zero_count));
    let threshold = Some(p.zero_threshold).filter(|n| n.to_bits() != 0);
    put_floats(&mut map, &[("zero_threshold", threshold)]);
    for (key, buckets) in [("positive", &p.positive), ("negative", &p.negative)] {
        if let Some(b) = buckets {
            let shown = json!({"offset": b.offset, "bucket_counts": b.bucket_counts});
            map.insert(key.into(), shown);
        }
    }
    (p.time_unix_nano, map)
}

fn expected_summary(metric: &Metric, p: &SummaryDataPoint) -> Expected {
    let head = (&p.attributes[..], p.start_time_unix_nano, p.flags);
    let mut map = begin(metric, head, &[]);
    map.insert("count".into(), json!(p.count));
    put_floats(
        &mut map,
        &[("sum", Some(p.sum).filter(|n| n.to_bits() != 0))],
    );
    let quantile =
        |q: &ValueAtQuantile| json!({"quantile": float(q.quantile), "value": float(q.value)});
    let values = p.quantile_values.iter().map(quantile);
    map.insert("quantile_values".into(), values.collect());
    (p.time_unix_nano, map)
}

fn points_of(metric: &Metric) -> Vec<Expected> {
    fn all<P>(points: &[P], one: impl Fn(&P) -> Expected) -> Vec<Expected> {
        points.iter().map(one).collect()
    }
    match metric.data.as_ref().unwrap() {
        Data::Gauge(data) => all(&data.data_points, |p| expected_number(metric, p)),
        Data::Sum(data) => all(&data.data_points, |p| expected_number(metric, p)),
        Data::Histogram(data) => all(&data.data_points, |p| expected_histogram(metric, p)),
        Data::ExponentialHistogram(data) => {
            all(&data.data_points, |p| expected_exponential(metric, p))
        }
        Data::Summary(data) => all(&data.data_points, |p| expected_summary(metric, p)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_field_of_a_log_is_in_its_row(request in logs()) {
        let decoded = decode_protobuf(Signal::Logs, &CTX, &request.encode_to_vec()).unwrap();
        prop_assert_eq!(&decoded.items, &vec![]);
        let mut events = decoded.events.iter();
        for group in &request.resource_logs {
            for scoped in &group.scope_logs {
                for log in &scoped.log_records {
                    let event = events.next().unwrap();
                    assert_has(event, &expected_log(log), &LOG_NAMES);
                    let is_traced = log.trace_id.iter().any(|b| *b != 0);
                    let trace = is_traced.then(|| hex_of(&log.trace_id));
                    prop_assert_eq!(trace_of(&event.key.trace_id), trace.as_deref());
                    let times = [log.time_unix_nano, log.observed_time_unix_nano, 5];
                    let at = times.into_iter().find(|t| *t != 0).unwrap();
                    prop_assert_eq!(event.start_ns, i64::try_from(at).ok());
                    let resource = group.resource.clone().unwrap_or_default();
                    let found = shown(&event.doc);
                    prop_assert_eq!(&found["resource"], &attrs(&resource.attributes));
                }
            }
        }
        prop_assert!(events.next().is_none());
        let ids: std::collections::BTreeSet<_> = decoded.events.iter().map(|e| &e.key.id).collect();
        prop_assert_eq!(ids.len(), decoded.events.len(), "equal records are rows of their own");
        let json = serde_json::to_string(&request).unwrap();
        let by_json = decode_json(Signal::Logs, &CTX, json.as_bytes()).unwrap();
        prop_assert_eq!(by_json, decoded, "{}", json);
    }

    #[test]
    fn every_field_of_a_point_is_in_its_row(request in metrics()) {
        let decoded = decode_protobuf(Signal::Metrics, &CTX, &request.encode_to_vec()).unwrap();
        prop_assert_eq!(&decoded.items, &vec![]);
        let mut events = decoded.events.iter();
        for group in &request.resource_metrics {
            for metric in group.scope_metrics.iter().flat_map(|scoped| &scoped.metrics) {
                for (time, expected) in points_of(metric) {
                    let event = events.next().unwrap();
                    prop_assert_eq!(event.table, Table::Points);
                    prop_assert_eq!(&*event.key.id, time.to_string());
                    prop_assert_eq!(event.start_ns, i64::try_from(time).ok());
                    assert_has(event, &expected, &POINT_NAMES);
                }
            }
        }
        prop_assert!(events.next().is_none());
        let json = serde_json::to_string(&request).unwrap();
        let by_json = decode_json(Signal::Metrics, &CTX, json.as_bytes()).unwrap();
        prop_assert_eq!(by_json, decoded, "{}", json);
    }

    #[test]
    fn damaged_bodies_end_in_an_error_or_in_rows_that_read(
        request in metrics(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = request.encode_to_vec();
        if !bytes.is_empty() {
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(cut.index(bytes.len()) + 1);
        }
        for signal in [Signal::Metrics, Signal::Logs] {
            let decoded = decode_protobuf(signal, &CTX, &bytes);
            for event in decoded.map(|d| d.events).unwrap_or_default() {
                DocRef::parse(&event.doc).unwrap().validate().unwrap();
            }
        }
    }
}

fn gauge(points: Vec<NumberDataPoint>) -> MetricsRequest {
    let metric = Metric {
        name: "m".into(),
        data: Some(Data::Gauge(Gauge {
            data_points: points,
        })),
        ..Metric::default()
    };
    let scoped = ScopeMetrics {
        metrics: vec![metric],
        ..ScopeMetrics::default()
    };
    MetricsRequest {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics: vec![scoped],
            ..ResourceMetrics::default()
        }],
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    use opentelemetry_proto::tonic::common::v1::AnyValue;
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    KeyValue {
        key: key.into(),
        value: Some(AnyValue {
            value: Some(Any::StringValue(value.into())),
        }),
    }
}

fn at(time_unix_nano: u64, attributes: &[(&str, &str)], value: f64) -> NumberDataPoint {
    NumberDataPoint {
        time_unix_nano,
        attributes: attributes.iter().map(|(k, v)| text(k, v)).collect(),
        value: Some(Number::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn decode(request: &MetricsRequest) -> Decoded {
    decode_protobuf(Signal::Metrics, &CTX, &request.encode_to_vec()).unwrap()
}

#[test]
fn a_series_is_told_by_what_it_says_whatever_the_order() {
    let series = |request: &MetricsRequest| decode(request).events[0].key.trace_id.clone();
    let one = gauge(vec![at(1, &[("a", "1"), ("b", "2")], 1.0)]);
    let same = [gauge(vec![at(2, &[("b", "2"), ("a", "1")], 7.0)]), {
        let mut described = one.clone();
        described.resource_metrics[0].scope_metrics[0].metrics[0].description = "d".into();
        described
    }];
    for other in same {
        assert_eq!(series(&other), series(&one));
    }
    let mut others: Vec<MetricsRequest> = (0..4).map(|_| one.clone()).collect();
    others[0].resource_metrics[0].resource = Some(Resource {
        attributes: vec![text("a", "1")],
        ..Resource::default()
    });
    others[1].resource_metrics[0].scope_metrics[0].scope = Some(InstrumentationScope {
        name: "s".into(),
        ..InstrumentationScope::default()
    });
    others[2].resource_metrics[0].scope_metrics[0].metrics[0].unit = "s".into();
    others[3] = gauge(vec![at(1, &[("a", "1"), ("b", "3")], 1.0)]);
    for other in others {
        assert_ne!(series(&other), series(&one));
    }
}

#[test]
fn what_is_no_number_is_kept() {
    let sent = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    let request = gauge(sent.iter().map(|n| at(1, &[], *n)).collect());
    let values: Vec<_> = decode(&request)
        .events
        .iter()
        .map(|e| shown(&e.doc)["value"].clone())
        .collect();
    assert_eq!(values, ["NaN", "Infinity", "-Infinity"]);
    let body =
        br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[
        {"timeUnixNano":"1","asDouble":"NaN"},{"timeUnixNano":1,"asDouble":"-Infinity"}]}}]}]}]}"#;
    let decoded = decode_json(Signal::Metrics, &CTX, body).unwrap();
    let values: Vec<_> = decoded
        .events
        .iter()
        .map(|e| shown(&e.doc)["value"].clone())
        .collect();
    assert_eq!(values, ["NaN", "-Infinity"]);
}

#[test]
fn a_bad_point_is_refused_by_itself() {
    let decoded = decode(&gauge(vec![
        at(1, &[], 1.0),
        at(0, &[], 2.0),
        at(3, &[], 3.0),
    ]));
    assert_eq!(decoded.events.len(), 2);
    let refused: Vec<_> = decoded
        .items
        .iter()
        .map(|i| (i.index, i.error.clone().unwrap()))
        .collect();
    assert_eq!(
        refused,
        [(1, "point 1: time_unix_nano: missing".to_owned())]
    );

    let body = br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"m","sum":{"isMonotonic":1,"dataPoints":[{"timeUnixNano":"1","asInt":"5"}]}},
        {"name":"n","gauge":{"dataPoints":[{"timeUnixNano":"1","asInt":5.5},{"timeUnixNano":"1","asInt":"5"}]}},
        {"name":"o"}]}]}]}"#;
    let decoded = decode_json(Signal::Metrics, &CTX, body).unwrap();
    assert_eq!(decoded.events.len(), 1);
    let refused: Vec<_> = decoded
        .items
        .iter()
        .map(|i| i.error.as_deref().unwrap())
        .collect();
    assert_eq!(
        refused,
        [
            "point 0: isMonotonic: expected true or false",
            "point 1: dataPoints[0].asInt: expected a whole number",
            "point 3: data: missing, or of a type that is not known",
        ]
    );
}

#[test]
fn buckets_and_exemplars_at_the_limit_and_one_above() {
    let refused = |buckets: usize, exemplars: usize| {
        let point = HistogramDataPoint {
            time_unix_nano: 1,
            bucket_counts: vec![1; buckets],
            exemplars: vec![Exemplar::default(); exemplars],
            ..HistogramDataPoint::default()
        };
        let mut request = gauge(Vec::new());
        let data = Data::Histogram(Histogram {
            data_points: vec![point],
            aggregation_temporality: 1,
        });
        request.resource_metrics[0].scope_metrics[0].metrics[0].data = Some(data);
        decode(&request)
            .items
            .first()
            .map(|i| i.error.clone().unwrap())
    };
    assert_eq!(refused(BUCKETS_MAX, EXEMPLARS_MAX), None);
    let said = refused(BUCKETS_MAX + 1, 0).unwrap();
    assert_eq!(said, "point 0: bucket_counts: too many limit=4096");
    let said = refused(0, EXEMPLARS_MAX + 1).unwrap();
    assert_eq!(said, "point 0: exemplars: too many limit=1024");
}

#[test]
fn a_body_that_comes_again_makes_the_same_rows_and_another_does_not() {
    let record = LogRecord {
        time_unix_nano: 9,
        ..LogRecord::default()
    };
    let request = LogsRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: vec![record.clone(), record],
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    let body = request.encode_to_vec();
    let read = |ctx: &Context<'_>| decode_protobuf(Signal::Logs, ctx, &body).unwrap().events;
    let first = read(&CTX);
    let later = Context {
        received_ns: 99,
        ..CTX
    };
    assert_eq!(read(&later), first);
    assert_ne!(first[0].key.id, first[1].key.id);
    assert_eq!(first[0].key.trace_id, first[1].key.trace_id);
    let other = Context {
        body_hash: 8,
        ..CTX
    };
    assert_ne!(read(&other)[0].key, first[0].key);
}

#[test]
fn levels_come_from_numbers_and_else_from_words() {
    let level = |number: i32, word: &str| {
        let body = format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"severityNumber":{number},"severityText":"{word}"}}]}}]}}]}}"#
        );
        let decoded = decode_json(Signal::Logs, &CTX, body.as_bytes()).unwrap();
        shown(&decoded.events[0].doc)["level"]
            .as_str()
            .map(str::to_owned)
    };
    for (number, word, expected) in [
        (1, "", Some("trace")),
        (4, "ERROR", Some("trace")),
        (5, "", Some("debug")),
        (12, "", Some("info")),
        (13, "", Some("warn")),
        (17, "", Some("error")),
        (24, "", Some("fatal")),
        (0, "Warning", Some("warn")),
        (25, "CRITICAL", Some("fatal")),
        (0, "odd", None),
    ] {
        assert_eq!(level(number, word).as_deref(), expected, "{number} {word}");
    }
}

/// The tokens of each, in the words of the agent's own documentation.
#[test]
fn events_of_coding_agents_say_what_others_say_by_spans() {
    let row = |body: &str, attributes: Value| {
        let entries = attributes.as_object().unwrap().iter();
        let list: Vec<_> = entries
            .map(|(key, value)| {
                let value = match value {
                    Value::String(s) => json!({"stringValue": s}),
                    Value::Bool(b) => json!({"boolValue": b}),
                    number if number.is_i64() => json!({"intValue": number}),
                    number => json!({"doubleValue": number}),
                };
                json!({"key": key, "value": value})
            })
            .collect();
        let record =
            json!({"timeUnixNano": "1", "body": {"stringValue": body}, "attributes": list});
        let request = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]});
        let decoded = decode_json(Signal::Logs, &CTX, request.to_string().as_bytes()).unwrap();
        shown(&decoded.events[0].doc)
    };
    let claude = row(
        "claude_code.api_request",
        json!({"event.name": "api_request", "session.id": "s1", "model": "m", "cost_usd": "0.5", "input_tokens": "3",
            "output_tokens": 5, "cache_read_tokens": 100, "cache_creation_tokens": 7}),
    );
    assert_eq!(
        claude["tokens"],
        json!({"input": 3, "output": 5, "cache_read": 100, "cache_write": 7, "total": 115})
    );
    assert_eq!(
        (&claude["group"], &claude["model"], &claude["cost_usd"]),
        (&json!("s1"), &json!("m"), &json!(0.5))
    );
    let codex = row(
        "",
        json!({"event.name": "codex.sse_event", "conversation.id": "c1", "input_token_count": 100,
            "cached_token_count": 60, "output_token_count": 30, "reasoning_token_count": 10}),
    );
    assert_eq!(
        codex["tokens"],
        json!({"input": 40, "output": 20, "cache_read": 60, "reasoning": 10, "total": 130})
    );
    assert_eq!(codex["group"], "c1");
    let gemini = row(
        "",
        json!({"event.name": "gemini_cli.api_response", "session.id": "g1", "model": "g", "input_token_count": 100,
            "cached_content_token_count": 60, "output_token_count": 30, "thoughts_token_count": 10}),
    );
    assert_eq!(
        gemini["tokens"],
        json!({"input": 40, "output": 30, "cache_read": 60, "reasoning": 10, "total": 140})
    );
    let tool = row(
        "claude_code.tool_result",
        json!({"event.name": "tool_result", "session.id": "s1", "tool_name": "Bash", "success": "false", "error": "no"}),
    );
    assert_eq!(
        (&tool["tool"], &tool["status"], &tool["error_message"]),
        (&json!("Bash"), &json!("error"), &json!("no"))
    );
    // Nobody else's attributes are taken for an agent's.
    let other = row(
        "",
        json!({"event.name": "order", "model": "T", "success": false, "input_tokens": 1, "output_tokens": 2}),
    );
    assert_eq!(
        (&other["model"], &other["status"], &other["tokens"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
}
