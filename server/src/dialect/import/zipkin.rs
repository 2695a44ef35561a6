//! Zipkin's spans, version 2 → OTLP. Ids of 64 bits become 128 by zeroes in front, times are microseconds.
//!
//! Where client and server tell of one call under one id (`shared`), the server's half becomes a span of its
//! own below the client's; what was done below that id was done by the server.

use std::collections::HashSet;

use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::{shape, text};
use crate::dialect::DecodeError;

const KINDS: [(&str, i64); 4] = [
    ("SERVER", 2),
    ("CLIENT", 3),
    ("PRODUCER", 4),
    ("CONSUMER", 5),
];

/// A span's trace and id.
type Place<'a> = (&'a str, &'a str);

pub(super) fn read(file: &Value) -> Result<Vec<Value>, DecodeError> {
    let all = file.as_array();
    let all = all.ok_or_else(|| shape("body", "expected a list of zipkin's spans"))?;
    // A list of traces is a list of lists.
    let nested = |of: &Value| of.as_array().cloned().unwrap_or_else(|| vec![of.clone()]);
    let spans: Vec<Value> = all.iter().flat_map(nested).collect();
    let owners: HashSet<Place<'_>> = spans
        .iter()
        .filter(|span| !is_shared(span))
        .map(|span| (trace(span), id(span)))
        .collect();
    let halves: HashSet<Place<'_>> = spans
        .iter()
        .filter(|span| is_shared(span))
        .map(|span| (trace(span), id(span)))
        .filter(|place| owners.contains(place))
        .collect();
    Ok(spans.iter().map(|span| otlp(span, &halves)).collect())
}

fn is_shared(span: &Value) -> bool {
    span.get("shared") == Some(&Value::Bool(true))
}

fn trace(span: &Value) -> &str {
    text(span, "traceId").unwrap_or("")
}

fn id(span: &Value) -> &str {
    text(span, "id").unwrap_or("")
}

fn service(span: &Value) -> &str {
    let endpoint = span.get("localEndpoint");
    endpoint
        .and_then(|endpoint| text(endpoint, "serviceName"))
        .unwrap_or("")
}

/// The id of the server's half.
fn half_id(id: &str) -> String {
    format!("{:016x}", xxh3_64(format!("zipkin shared {id}").as_bytes()))
}

fn otlp(span: &Value, halves: &HashSet<Place<'_>>) -> Value {
    let is_half = is_shared(span) && halves.contains(&(trace(span), id(span)));
    let parent = text(span, "parentId").unwrap_or("");
    let is_below_half = halves.contains(&(trace(span), parent));
    let padded = |id: &str| {
        if id.is_empty() {
            String::new()
        } else {
            format!("{id:0>16}")
        }
    };
    let (own, parent) = match (is_half, is_below_half) {
        (true, _) => (half_id(id(span)), padded(id(span))),
        (false, true) => (padded(id(span)), half_id(parent)),
        (false, false) => (padded(id(span)), padded(parent)),
    };
    let micros = |key: &str| span.get(key).and_then(Value::as_u64).unwrap_or(0);
    let start = micros("timestamp");
    let end = start.saturating_add(micros("duration"));
    let kind = KINDS
        .iter()
        .find(|(name, _)| text(span, "kind") == Some(*name));
    let mut attributes = tags(span);
    let failed = span.pointer("/tags/error").and_then(Value::as_str);
    if is_shared(span) {
        attributes.push(json!({ "key": "zipkin.shared", "value": { "boolValue": true } }));
    }
    endpoint("zipkin.remote", span.get("remoteEndpoint"), &mut attributes);
    let mut resource = Vec::new();
    if !service(span).is_empty() {
        resource.push(json!({ "key": "service.name", "value": { "stringValue": service(span) } }));
    }
    endpoint("zipkin.local", span.get("localEndpoint"), &mut resource);
    let made = json!({
        "traceId": format!("{:0>32}", trace(span)),
        "spanId": own,
        "parentSpanId": parent,
        "name": text(span, "name").unwrap_or(""),
        "kind": kind.map_or(0, |(_, number)| *number),
        "startTimeUnixNano": start.saturating_mul(1_000).to_string(),
        "endTimeUnixNano": end.saturating_mul(1_000).to_string(),
        "attributes": attributes,
        "events": events(span),
        "status": failed.map_or_else(|| json!({}), |why| json!({ "code": 2, "message": why })),
    });
    json!({ "resource": { "attributes": resource }, "scopeSpans": [{ "spans": [made] }] })
}

fn tags(span: &Value) -> Vec<Value> {
    let all = span.get("tags").and_then(Value::as_object);
    let made = all.into_iter().flatten().map(|(key, value)| {
        let shown = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        json!({ "key": key, "value": { "stringValue": shown } })
    });
    made.collect()
}

/// Address and port of an endpoint; its service too, where that is not the span's own.
fn endpoint(prefix: &str, of: Option<&Value>, attributes: &mut Vec<Value>) {
    for (key, value) in of.and_then(Value::as_object).into_iter().flatten() {
        if prefix == "zipkin.local" && key == "serviceName" {
            continue;
        }
        let typed = match value {
            Value::Number(port) => json!({ "intValue": port.to_string() }),
            Value::String(text) => json!({ "stringValue": text }),
            other => json!({ "stringValue": other.to_string() }),
        };
        attributes.push(json!({ "key": format!("{prefix}.{key}"), "value": typed }));
    }
}

fn events(span: &Value) -> Vec<Value> {
    let all = span.get("annotations").and_then(Value::as_array);
    let made = all.into_iter().flatten().map(|annotation| {
        let at = annotation
            .get("timestamp")
            .and_then(Value::as_u64)
            .unwrap_or(0);
        json!({
            "timeUnixNano": at.saturating_mul(1_000).to_string(),
            "name": text(annotation, "value").unwrap_or(""),
        })
    });
    made.collect()
}
