//! Traces as Jaeger's UI and HTTP API give them → OTLP. Ids of 64 bits become 128 by zeroes in front, times
//! are microseconds.

use serde_json::{Value, json};

use super::{shape, text};
use crate::dialect::DecodeError;

/// Values of the tag `span.kind` and OTLP's.
const KINDS: [(&str, i64); 5] = [
    ("internal", 1),
    ("server", 2),
    ("client", 3),
    ("producer", 4),
    ("consumer", 5),
];

pub(super) fn read(file: &Value) -> Result<Vec<Value>, DecodeError> {
    let one = std::slice::from_ref(file);
    let all = file.get("data").or(Some(file)).and_then(Value::as_array);
    let mut out = Vec::new();
    for trace in all.map_or(one, Vec::as_slice) {
        let spans = trace.get("spans").and_then(Value::as_array);
        let spans = spans.ok_or_else(|| shape("spans", "expected the traces of jaeger's api"))?;
        let processes = trace.get("processes").unwrap_or(&Value::Null);
        for span in spans {
            let of_span = span.get("process");
            let named = || processes.get(text(span, "processID")?);
            let process = of_span.or_else(named).unwrap_or(&Value::Null);
            let scope_spans = json!([{ "spans": [otlp(span, trace)] }]);
            out.push(json!({ "resource": resource(process), "scopeSpans": scope_spans }));
        }
    }
    Ok(out)
}

fn resource(process: &Value) -> Value {
    let mut attributes = attributes(process.get("tags"));
    if let Some(service) = text(process, "serviceName") {
        attributes.push(attribute(
            "service.name",
            &json!({ "stringValue": service }),
        ));
    }
    json!({ "attributes": attributes })
}

fn otlp(span: &Value, trace: &Value) -> Value {
    let trace_id = text(span, "traceID").or_else(|| text(trace, "traceID"));
    let trace_id = trace_id.unwrap_or("");
    let micros = |key: &str| span.get(key).and_then(Value::as_u64).unwrap_or(0);
    let start = micros("startTime");
    let tags = span.get("tags");
    let tag = |key: &str| {
        let all = tags.and_then(Value::as_array);
        all?.iter()
            .find(|tag| text(tag, "key") == Some(key))?
            .get("value")
    };
    let kind = tag("span.kind").and_then(Value::as_str);
    let kind = KINDS.iter().find(|(name, _)| Some(*name) == kind);
    let failed = tag("error").is_some_and(|error| *error == true || *error == "true");
    let message = tag("otel.status_description").and_then(Value::as_str);
    let (parent, links) = references(span, trace_id);
    let mut attributes = attributes(tags);
    for warning in span
        .get("warnings")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let warning = json!({ "stringValue": warning.as_str().unwrap_or("") });
        attributes.push(attribute("jaeger.warning", &warning));
    }
    json!({
        "traceId": format!("{trace_id:0>32}"),
        "spanId": format!("{:0>16}", text(span, "spanID").unwrap_or("")),
        "parentSpanId": parent,
        "name": text(span, "operationName").unwrap_or(""),
        "kind": kind.map_or(0, |(_, number)| *number),
        "startTimeUnixNano": nanos(start),
        "endTimeUnixNano": nanos(start.saturating_add(micros("duration"))),
        "attributes": attributes,
        "events": events(span),
        "links": links,
        "status": if failed { json!({ "code": 2, "message": message.unwrap_or("") }) } else { json!({}) },
    })
}

fn nanos(micros: u64) -> String {
    micros.saturating_mul(1_000).to_string()
}

/// The parent is the first reference into the trace, `CHILD_OF` before others; all others are links.
fn references(span: &Value, trace_id: &str) -> (String, Vec<Value>) {
    let all = span.get("references").and_then(Value::as_array);
    let all: Vec<&Value> = all.into_iter().flatten().collect();
    let is_here = |of: &Value| text(of, "traceID") == Some(trace_id);
    let is_child = |of: &Value| text(of, "refType") == Some("CHILD_OF");
    let parent = all
        .iter()
        .position(|of| is_here(of) && is_child(of))
        .or_else(|| all.iter().position(|of| is_here(of)));
    let id = |of: &Value| format!("{:0>16}", text(of, "spanID").unwrap_or(""));
    let others = all
        .iter()
        .enumerate()
        .filter(|(place, _)| Some(*place) != parent);
    let links = others.map(|(_, of)| {
        let kind = json!({ "stringValue": text(of, "refType").unwrap_or("").to_ascii_lowercase() });
        json!({
            "traceId": format!("{:0>32}", text(of, "traceID").unwrap_or("")),
            "spanId": id(of),
            "attributes": [attribute("opentracing.ref_type", &kind)],
        })
    });
    let links = links.collect();
    // Old files name the parent in a field of its own.
    let old = text(span, "parentSpanID").filter(|id| !id.is_empty());
    let old = old.map(|id| format!("{id:0>16}"));
    let parent = parent.and_then(|place| all.get(place)).map(|of| id(of));
    (parent.or(old).unwrap_or_default(), links)
}

fn events(span: &Value) -> Vec<Value> {
    let logs = span.get("logs").and_then(Value::as_array);
    let made = logs.into_iter().flatten().map(|log| {
        let fields = log.get("fields").and_then(Value::as_array);
        let is_name = |field: &&Value| text(field, "key") == Some("event");
        let name = fields.and_then(|all| text(all.iter().find(is_name)?, "value"));
        let others: Vec<Value> = fields
            .into_iter()
            .flatten()
            .filter(|field| name.is_none() || !is_name(field))
            .cloned()
            .collect();
        json!({
            "timeUnixNano": nanos(log.get("timestamp").and_then(Value::as_u64).unwrap_or(0)),
            "name": name.unwrap_or("log"),
            "attributes": attributes(Some(&Value::Array(others))),
        })
    });
    made.collect()
}

fn attribute(key: &str, value: &Value) -> Value {
    json!({ "key": key, "value": value })
}

/// Tags by their declared types. A tag whose value is of another type is kept as text.
fn attributes(tags: Option<&Value>) -> Vec<Value> {
    let all = tags.and_then(Value::as_array);
    let made = all.into_iter().flatten().map(|tag| {
        let value = tag.get("value").cloned().unwrap_or_default();
        let shown = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let typed = match (text(tag, "type"), &value) {
            (Some("bool"), Value::Bool(yes)) => json!({ "boolValue": yes }),
            (Some("int64"), _) if shown.parse::<i64>().is_ok() => json!({ "intValue": shown }),
            (Some("float64"), Value::Number(number)) => json!({ "doubleValue": number }),
            (Some("binary"), Value::String(base64)) => json!({ "bytesValue": base64 }),
            _ => json!({ "stringValue": shown }),
        };
        attribute(text(tag, "key").unwrap_or(""), &typed)
    });
    let mut made: Vec<Value> = made.collect();
    // What else stands on a tag has no place in OTLP.
    made.retain(|tag| tag["key"] != "");
    made
}
