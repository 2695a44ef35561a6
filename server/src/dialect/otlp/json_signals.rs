//! The JSON form of OTLP → wire form: log records, and metrics point by point.

use obsrv_engine::doc::DocRef;

use super::from_json::{
    double, field, inside, list, object, put_any, put_attributes, put_count, put_each, put_enum,
    put_flags, put_id, put_text, put_time, signed, unsigned,
};
use super::span::Shared;
use super::wire::{Fields, Put};
use super::{Bad, DecodeError, Sink};

const SEVERITIES: [&str; 25] = [
    "SEVERITY_NUMBER_UNSPECIFIED",
    "SEVERITY_NUMBER_TRACE",
    "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3",
    "SEVERITY_NUMBER_TRACE4",
    "SEVERITY_NUMBER_DEBUG",
    "SEVERITY_NUMBER_DEBUG2",
    "SEVERITY_NUMBER_DEBUG3",
    "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO",
    "SEVERITY_NUMBER_INFO2",
    "SEVERITY_NUMBER_INFO3",
    "SEVERITY_NUMBER_INFO4",
    "SEVERITY_NUMBER_WARN",
    "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3",
    "SEVERITY_NUMBER_WARN4",
    "SEVERITY_NUMBER_ERROR",
    "SEVERITY_NUMBER_ERROR2",
    "SEVERITY_NUMBER_ERROR3",
    "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL",
    "SEVERITY_NUMBER_FATAL2",
    "SEVERITY_NUMBER_FATAL3",
    "SEVERITY_NUMBER_FATAL4",
];
const TEMPORALITIES: [&str; 3] = [
    "AGGREGATION_TEMPORALITY_UNSPECIFIED",
    "AGGREGATION_TEMPORALITY_DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE",
];

/// A log record.
pub(super) fn put_log(log: DocRef<'_>, put: &mut Put) -> Result<(), Bad> {
    if log.entries().is_none() {
        return Err(Bad::new("log", "expected an object"));
    }
    put_time(log, "timeUnixNano", 1, put)?;
    put_enum(log, "severityNumber", 2, &SEVERITIES, put)?;
    put_text(log, "severityText", 3, put)?;
    if let Some(body) = field(log, "body") {
        let message = put.begin(5);
        put_any(body, put).map_err(|b| inside("body", &b))?;
        put.end(message);
    }
    put_attributes(log, "attributes", 6, put)?;
    put_count(log, "droppedAttributesCount", 7, put)?;
    put_flags(log, 8, put)?;
    put_id(log, "traceId", 9, put)?;
    put_id(log, "spanId", 10, put)?;
    put_time(log, "observedTimeUnixNano", 11, put)?;
    put_text(log, "eventName", 12, put)
}

type PutPoint = fn(DocRef<'_>, &mut Put) -> Result<(), Bad>;

/// The types of metrics: their key, their field, and what makes a point of them.
const TYPES: [(&str, u32, PutPoint); 5] = [
    ("gauge", 5, put_number_point),
    ("sum", 7, put_number_point),
    ("histogram", 9, put_histogram),
    ("exponentialHistogram", 10, put_exponential),
    ("summary", 11, put_summary),
];

/// Takes a metric: each of its points goes through the wire form by itself, so that a bad one is
/// refused by itself.
pub(super) fn put_metric(
    metric: DocRef<'_>,
    shared: Result<&Shared, &Bad>,
    sink: &mut Sink<'_>,
) -> Result<(), DecodeError> {
    let (head, points, (_, number, put_point)) = match parts(metric) {
        Ok(parts) => parts,
        Err(bad) => return sink.refuse_next(&bad),
    };
    let data = field(
        metric,
        TYPES.iter().find(|t| t.1 == number).map_or("", |t| t.0),
    );
    let data = data.unwrap_or(DocRef::Null);
    let mut put = std::mem::take(&mut sink.put);
    for (i, point) in points.enumerate() {
        put.out.clear();
        put.out.extend_from_slice(&head.out);
        let message = put.begin(number);
        let inner = put.begin(1);
        let done = put_point(point.unwrap_or(DocRef::Null), &mut put)
            .map_err(|b| inside(&format!("dataPoints[{i}]"), &b));
        put.end(inner);
        let done = done.and_then(|()| put_type(data, &mut put));
        put.end(message);
        match done {
            Ok(()) => sink.item(Fields::new(&put.out, 0), shared)?,
            Err(bad) => sink.refuse_next(&bad)?,
        }
    }
    sink.put = put;
    Ok(())
}

type Parts<'a> = (
    Put,
    super::from_json::Listed<'a>,
    (&'static str, u32, PutPoint),
);

/// What a metric says of itself, its points, and of which type it is.
fn parts(metric: DocRef<'_>) -> Result<Parts<'_>, Bad> {
    if metric.entries().is_none() {
        return Err(Bad::new("metric", "expected an object"));
    }
    let mut head = Put::default();
    put_text(metric, "name", 1, &mut head)?;
    put_text(metric, "description", 2, &mut head)?;
    put_text(metric, "unit", 3, &mut head)?;
    put_attributes(metric, "metadata", 12, &mut head)?;
    for kind in TYPES {
        if let Some(data) = object(metric, kind.0)? {
            let points = list(data, "dataPoints").map_err(|b| inside(kind.0, &b))?;
            return Ok((head, points, kind));
        }
    }
    Err(Bad::new("data", "missing, or of a type that is not known"))
}

fn put_type(data: DocRef<'_>, put: &mut Put) -> Result<(), Bad> {
    put_enum(data, "aggregationTemporality", 2, &TEMPORALITIES, put)?;
    match field(data, "isMonotonic") {
        None => {}
        Some(DocRef::Bool(b)) => put.varint(3, u64::from(b)),
        Some(_) => return Err(Bad::new("isMonotonic", "expected true or false")),
    }
    Ok(())
}

fn put_times(point: DocRef<'_>, put: &mut Put) -> Result<(), Bad> {
    if point.entries().is_none() {
        return Err(Bad::new("point", "expected an object"));
    }
    put_time(point, "startTimeUnixNano", 2, put)?;
    put_time(point, "timeUnixNano", 3, put)
}

/// `asDouble`, which has this number, and `asInt`.
fn put_number(point: DocRef<'_>, double: u32, put: &mut Put) -> Result<(), Bad> {
    put_f64(point, "asDouble", double, put)?;
    if let Some(value) = field(point, "asInt") {
        let n = signed(value).ok_or_else(|| Bad::new("asInt", "expected a whole number"))?;
        put.fixed64(6, n.cast_unsigned());
    }
    Ok(())
}

fn put_f64(doc: DocRef<'_>, key: &str, number: u32, put: &mut Put) -> Result<(), Bad> {
    if let Some(value) = field(doc, key) {
        let n = double(value).ok_or_else(|| Bad::new(key, "expected a number"))?;
        put.fixed64(number, n.to_bits());
    }
    Ok(())
}

fn put_whole(doc: DocRef<'_>, key: &str, number: u32, put: &mut Put) -> Result<(), Bad> {
    if let Some(value) = field(doc, key) {
        let n = unsigned(value).ok_or_else(|| Bad::new(key, "expected a whole number"))?;
        put.fixed64(number, n);
    }
    Ok(())
}

fn put_zigzag(doc: DocRef<'_>, key: &str, number: u32, put: &mut Put) -> Result<(), Bad> {
    if let Some(value) = field(doc, key) {
        let n = signed(value).ok_or_else(|| Bad::new(key, "expected a whole number"))?;
        put.varint(number, ((n << 1) ^ (n >> 63)).cast_unsigned());
    }
    Ok(())
}

fn put_number_point(point: DocRef<'_>, put: &mut Put) -> Result<(), Bad> {
    put_times(point, put)?;
    put_number(point, 4, put)?;
    put_each(point, "exemplars", 5, put, put_exemplar)?;
    put_attributes(point, "attributes", 7, put)?;
    put_count(point, "flags", 8, put)
}

fn put_histogram(point: DocRef<'_>, put: &mut Put) -> Result<(), Bad> {
    put_times(point, put)?;
    put_whole(point, "count", 4, put)?;
    put_f64(point, "sum", 5, put)?;
    for item in list(point, "bucketCounts")? {
        let n = item.ok().and_then(unsigned);
        put.fixed64(
            6,
            n.ok_or_else(|| Bad::new("bucketCounts", "expected whole numbers"))?,
        );
    }
    for item in list(point, "explicitBounds")? {
        let n = item.ok().and_then(double);
        let n = n.ok_or_else(|| Bad::new("explicitBounds", "expected numbers"))?;
        put.fixed64(7, n.to_bits());
    }
    put_each(point, "exemplars", 8, put, put_exemplar)?;
    put_attributes(point, "attributes", 9, put)?;
    put_count(point, "flags", 10, put)?;
    put_f64(point, "min", 11, put)?;
    put_f64(point, "max", 12, put)
}

fn put_exponential(point: DocRef<'_>, put: &mut Put) -> Result<(), Bad> {
    put_attributes(point, "attributes", 1, put)?;
    put_times(point, put)?;
    put_whole(point, "count", 4, put)?;
    put_f64(point, "sum", 5, put)?;
    put_zigzag(point, "scale", 6, put)?;
    put_whole(point, "zeroCount", 7, put)?;
    for (key, number) in [("positive", 8), ("negative", 9)] {
        if let Some(buckets) = object(point, key)? {
            let message = put.begin(number);
            put_buckets(buckets, put).map_err(|b| inside(key, &b))?;
            put.end(message);
        }
    }
    put_count(point, "flags", 10, put)?;
    put_each(point, "exemplars", 11, put, put_exemplar)?;
    put_f64(point, "min", 12, put)?;
    put_f64(point, "max", 13, put)?;
    put_f64(point, "zeroThreshold", 14, put)
}

fn put_buckets(buckets: DocRef<'_>, put: &mut Put) -> Result<(), Bad> {
    put_zigzag(buckets, "offset", 1, put)?;
    for item in list(buckets, "bucketCounts")? {
        let n = item.ok().and_then(unsigned);
        put.varint(
            2,
            n.ok_or_else(|| Bad::new("bucketCounts", "expected whole numbers"))?,
        );
    }
    Ok(())
}

fn put_summary(point: DocRef<'_>, put: &mut Put) -> Result<(), Bad> {
    put_times(point, put)?;
    put_whole(point, "count", 4, put)?;
    put_f64(point, "sum", 5, put)?;
    put_each(point, "quantileValues", 6, put, |quantile, put| {
        put_f64(quantile, "quantile", 1, put)?;
        put_f64(quantile, "value", 2, put)
    })?;
    put_attributes(point, "attributes", 7, put)?;
    put_count(point, "flags", 8, put)
}

fn put_exemplar(exemplar: DocRef<'_>, put: &mut Put) -> Result<(), Bad> {
    put_time(exemplar, "timeUnixNano", 2, put)?;
    // OpenTelemetry's Rust SDK puts the number below a key of its own.
    let number = object(exemplar, "value")?.unwrap_or(exemplar);
    put_number(number, 3, put)?;
    put_id(exemplar, "spanId", 4, put)?;
    put_id(exemplar, "traceId", 5, put)?;
    put_attributes(exemplar, "filteredAttributes", 7, put)
}
