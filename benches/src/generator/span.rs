//! A span and its two wire forms. Written by hand and sharing nothing with the server, so that the
//! server's reader is checked by something else than itself.

use super::wire::{self, attribute, put_bytes, put_fixed64, put_varint_field};

/// An attribute value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// True or false.
    Bool(bool),
}

/// A span as the workload has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Sixteen bytes.
    pub trace_id: [u8; 16],
    /// Eight bytes.
    pub span_id: [u8; 8],
    /// `None`: the root.
    pub parent: Option<[u8; 8]>,
    /// Display name.
    pub name: String,
    /// Nanoseconds since the epoch.
    pub start_ns: u64,
    /// Nanoseconds since the epoch; 0: not ended.
    pub end_ns: u64,
    /// Attributes in order.
    pub attributes: Vec<(&'static str, Value)>,
    /// The message of an error status.
    pub error: Option<String>,
}

impl Span {
    /// The start event of this span: what a client sends before it knows the end.
    #[must_use]
    pub fn opening(&self) -> Self {
        let keep =
            |key: &str| !key.starts_with("gen_ai.usage") && !key.ends_with("output.messages");
        Self {
            end_ns: 0,
            error: None,
            attributes: self
                .attributes
                .iter()
                .filter(|(k, _)| keep(k))
                .cloned()
                .collect(),
            ..self.clone()
        }
    }

    /// Bytes of its texts.
    pub fn text_bytes(&self) -> usize {
        let text = |value: &Value| match value {
            Value::Text(text) => text.len(),
            _ => 0,
        };
        self.attributes.iter().map(|(_, v)| text(v)).sum()
    }
}

/// The service name of every resource of the workload.
pub const SERVICE: &str = "agent-workload";
const SCOPE: &str = "obsrv-benches";

/// An export request of these spans as OTLP protobuf.
pub fn export_request(spans: &[Span]) -> Vec<u8> {
    let service = [("service.name", Value::Text(SERVICE.to_owned()))];
    let items = spans.iter().map(|span| {
        let mut item = Vec::with_capacity(4_096);
        put_span(&mut item, span);
        item
    });
    wire::export_request(&service, [(SCOPE, items)])
}

fn put_span(out: &mut Vec<u8>, span: &Span) {
    put_bytes(out, 1, &span.trace_id);
    put_bytes(out, 2, &span.span_id);
    if let Some(parent) = &span.parent {
        put_bytes(out, 4, parent);
    }
    put_bytes(out, 5, span.name.as_bytes());
    put_varint_field(out, 6, 1);
    put_fixed64(out, 7, span.start_ns);
    if span.end_ns != 0 {
        put_fixed64(out, 8, span.end_ns);
    }
    for (key, value) in &span.attributes {
        let pair = attribute(key, value);
        put_bytes(out, 9, &pair);
    }
    if let Some(message) = &span.error {
        let mut status = Vec::new();
        put_bytes(&mut status, 2, message.as_bytes());
        put_varint_field(&mut status, 3, 2);
        put_bytes(out, 15, &status);
    }
}

/// An export request of these spans as OTLP/JSON, compact.
pub fn export_json(spans: &[Span]) -> String {
    let mut out = String::with_capacity(spans.len() * 3_000);
    out.push_str("{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    json_attribute("service.name", &Value::Text(SERVICE.to_owned()), &mut out);
    out.push_str("]},\"scopeSpans\":[{\"scope\":{\"name\":\"obsrv-benches\"},\"spans\":[");
    for (i, span) in spans.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        json_span(span, &mut out);
    }
    out.push_str("]}]}]}");
    out
}

fn json_span(span: &Span, out: &mut String) {
    use std::fmt::Write as _;
    let _ = write!(
        out,
        "{{\"traceId\":\"{}\",\"spanId\":\"{}\"",
        hex(&span.trace_id),
        hex(&span.span_id)
    );
    if let Some(parent) = &span.parent {
        let _ = write!(out, ",\"parentSpanId\":\"{}\"", hex(parent));
    }
    out.push_str(",\"name\":");
    json_text(&span.name, out);
    let _ = write!(
        out,
        ",\"kind\":1,\"startTimeUnixNano\":\"{}\"",
        span.start_ns
    );
    if span.end_ns != 0 {
        let _ = write!(out, ",\"endTimeUnixNano\":\"{}\"", span.end_ns);
    }
    out.push_str(",\"attributes\":[");
    for (i, (key, value)) in span.attributes.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        json_attribute(key, value, out);
    }
    out.push(']');
    if let Some(message) = &span.error {
        out.push_str(",\"status\":{\"message\":");
        json_text(message, out);
        out.push_str(",\"code\":2}");
    }
    out.push('}');
}

fn json_attribute(key: &str, value: &Value, out: &mut String) {
    use std::fmt::Write as _;
    let _ = write!(out, "{{\"key\":\"{key}\",\"value\":{{");
    match value {
        Value::Text(text) => {
            out.push_str("\"stringValue\":");
            json_text(text, out);
        }
        Value::Bool(b) => {
            let _ = write!(out, "\"boolValue\":{b}");
        }
        Value::Int(n) => {
            let _ = write!(out, "\"intValue\":\"{n}\"");
        }
        Value::Double(d) => {
            let _ = write!(out, "\"doubleValue\":{d:?}");
        }
    }
    out.push_str("}}");
}

/// Appends a JSON string.
pub fn json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Bytes as lower-case hex: the text form of ids.
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        super::text::push_hex(u64::from(*b), 2, &mut out);
    }
    out
}
