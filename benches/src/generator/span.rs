//! A span and its two wire forms. Written by hand and sharing nothing with the server, so that the
//! server's reader is checked by something else than itself.

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
    let mut scope_spans = Vec::with_capacity(spans.len() * 2_300);
    let mut scope = Vec::new();
    put_bytes(&mut scope, 1, SCOPE.as_bytes());
    put_bytes(&mut scope_spans, 1, &scope);
    let mut buf = Vec::with_capacity(4_096);
    for span in spans {
        buf.clear();
        put_span(&mut buf, span);
        put_bytes(&mut scope_spans, 2, &buf);
    }
    let mut resource = Vec::new();
    let service = attribute("service.name", &Value::Text(SERVICE.to_owned()));
    put_bytes(&mut resource, 1, &service);
    let mut resource_spans = Vec::with_capacity(scope_spans.len() + 64);
    put_bytes(&mut resource_spans, 1, &resource);
    put_bytes(&mut resource_spans, 2, &scope_spans);
    let mut out = Vec::with_capacity(resource_spans.len() + 8);
    put_bytes(&mut out, 1, &resource_spans);
    out
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

fn attribute(key: &str, value: &Value) -> Vec<u8> {
    let mut any = Vec::new();
    match value {
        Value::Text(text) => put_bytes(&mut any, 1, text.as_bytes()),
        Value::Bool(b) => put_varint_field(&mut any, 2, u64::from(*b)),
        Value::Int(n) => put_varint_field(&mut any, 3, n.cast_unsigned()),
        Value::Double(d) => put_fixed64(&mut any, 4, d.to_bits()),
    }
    let mut pair = Vec::with_capacity(any.len() + key.len() + 8);
    put_bytes(&mut pair, 1, key.as_bytes());
    put_bytes(&mut pair, 2, &any);
    pair
}

fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(u8::try_from(n & 0x7f).expect("BUG: seven bits") | 0x80);
        n >>= 7;
    }
    out.push(u8::try_from(n).expect("BUG: seven bits"));
}

fn put_varint_field(out: &mut Vec<u8>, field: u64, n: u64) {
    put_varint(out, field << 3);
    put_varint(out, n);
}

fn put_fixed64(out: &mut Vec<u8>, field: u64, n: u64) {
    put_varint(out, field << 3 | 1);
    out.extend_from_slice(&n.to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(
        out,
        u64::try_from(bytes.len()).expect("BUG: usize over 64 bits"),
    );
    out.extend_from_slice(bytes);
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
