//! A trace in Jaeger's classic form, made of its OTLP form: what both have is said once, there.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::dialect::otlp_write::{Rows, json_groups};
use crate::dialect::theta_read::StoredRow;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::tempo::shown_id;

/// Kinds as Jaeger says them, by OTLP's numbers.
const KINDS: [&str; 6] = ["", "internal", "server", "client", "producer", "consumer"];

/// A trace of these spans.
pub(super) fn trace(id: &str, rows: &[StoredRow]) -> Result<Value, ApiError> {
    let groups = json_groups(Rows::Spans, rows);
    let unread = |_| ApiError::new(ErrorCode::Internal, "spans do not read");
    let groups: Value = serde_json::from_str(&groups).map_err(unread)?;
    let id = shown_id(id);
    let (mut spans, mut processes) = (Vec::new(), Map::new());
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for group in list(&groups) {
        let process = process(&group["resource"]);
        let next = format!("p{}", known.len() + 1);
        let name = known.entry(process.to_string()).or_insert(next).clone();
        processes.insert(name.clone(), process);
        for scope in list(&group["scopeSpans"]) {
            for one in list(&scope["spans"]) {
                spans.push(span(&id, &name, one, &scope["scope"]));
            }
        }
    }
    Ok(json!({ "traceID": id, "spans": spans, "processes": processes, "warnings": null }))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn process(resource: &Value) -> Value {
    let mut service = "unknown-service";
    let mut tags = Vec::new();
    for attribute in list(&resource["attributes"]) {
        match (text(&attribute["key"]), &attribute["value"]["stringValue"]) {
            ("service.name", Value::String(name)) => service = name,
            (key, _) => tags.push(tag(key, &attribute["value"])),
        }
    }
    json!({ "serviceName": service, "tags": tags })
}

/// Nanoseconds, which OTLP's JSON has as text.
fn nanos(value: &Value) -> i64 {
    text(value).parse().unwrap_or(0)
}

fn span(trace: &str, process: &str, span: &Value, scope: &Value) -> Value {
    let (start, end) = (
        nanos(&span["startTimeUnixNano"]),
        nanos(&span["endTimeUnixNano"]),
    );
    let mut tags: Vec<Value> = attributes(&span["attributes"]).collect();
    let mut say = |key: &str, value: &str| {
        if !value.is_empty() {
            tags.push(json!({ "key": key, "type": "string", "value": value }));
        }
    };
    let kind = span["kind"]
        .as_u64()
        .and_then(|kind| usize::try_from(kind).ok());
    say(
        "span.kind",
        kind.and_then(|kind| KINDS.get(kind)).unwrap_or(&""),
    );
    say("otel.scope.name", text(&scope["name"]));
    say("otel.scope.version", text(&scope["version"]));
    say("w3c.tracestate", text(&span["traceState"]));
    say("otel.status_description", text(&span["status"]["message"]));
    match span["status"]["code"].as_u64() {
        Some(1) => say("otel.status_code", "OK"),
        Some(2) => {
            say("otel.status_code", "ERROR");
            tags.push(json!({ "key": "error", "type": "bool", "value": true }));
        }
        _ => {}
    }
    json!({
        "traceID": trace,
        "spanID": span["spanId"],
        "operationName": span["name"].as_str().unwrap_or(""),
        "references": references(trace, span),
        "startTime": start / 1_000,
        "duration": if end > start { (end - start) / 1_000 } else { 0 },
        "tags": tags,
        "logs": list(&span["events"]).map(log).collect::<Vec<Value>>(),
        "processID": process,
        "flags": 1,
        "warnings": if end == 0 { json!(["the span has not ended"]) } else { Value::Null },
    })
}

fn references(trace: &str, span: &Value) -> Vec<Value> {
    let parent = text(&span["parentSpanId"]);
    let above = (!parent.is_empty())
        .then(|| json!({ "refType": "CHILD_OF", "traceID": trace, "spanID": parent }));
    let links = list(&span["links"]).map(|link| {
        json!({ "refType": "FOLLOWS_FROM", "traceID": link["traceId"], "spanID": link["spanId"] })
    });
    above.into_iter().chain(links).collect()
}

fn log(event: &Value) -> Value {
    let name = text(&event["name"]);
    let named = json!({ "key": "event", "type": "string", "value": name });
    let fields = attributes(&event["attributes"]);
    let fields: Vec<Value> = std::iter::once(named).chain(fields).collect();
    json!({ "timestamp": nanos(&event["timeUnixNano"]) / 1_000, "fields": fields })
}

fn attributes(all: &Value) -> impl Iterator<Item = Value> {
    list(all).map(|attribute| tag(text(&attribute["key"]), &attribute["value"]))
}

/// An attribute with its type. Lists and maps are JSON texts.
fn tag(key: &str, value: &Value) -> Value {
    let members = value.as_object().and_then(|members| members.iter().next());
    let (kind, value) = match members {
        Some((form, value)) => match form.as_str() {
            "boolValue" => ("bool", value.clone()),
            "intValue" => match text(value).parse::<i64>() {
                Ok(n) => ("int64", json!(n)),
                Err(_) => ("int64", value.clone()),
            },
            "doubleValue" => ("float64", value.clone()),
            "bytesValue" => ("binary", value.clone()),
            "stringValue" => ("string", value.clone()),
            _ => ("string", json!(value.to_string())),
        },
        None => ("string", json!("")),
    };
    json!({ "key": key, "type": kind, "value": value })
}
