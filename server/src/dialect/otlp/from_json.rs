//! The JSON form of OTLP → wire form, item by item: requests, groups and spans; what logs and metrics
//! add to them is in `json_signals`.
//!
//! Ids are hex, whole numbers may be numbers or decimal strings, enums numbers or their names,
//! bytes base64; null means absent, unknown keys are ignored.

use obsrv_engine::doc::{DocRef, Items};

use super::json_signals::{put_log, put_metric};
use super::span::Shared;
use super::wire::{Fields, Put};
use super::{Signal, Sink, resource_doc, scope_doc, shared};
use crate::dialect::bad::Bad;
use crate::dialect::{Context, DecodeError, Decoded, ID_BYTES_MAX, VALUE_DEPTH_MAX, json};

/// One level of an attribute value is up to four objects and lists of JSON.
const OTLP_JSON_DEPTH_MAX: usize = 4 * VALUE_DEPTH_MAX + 16;

/// The keys of a signal: of the groups by resource, of those by scope, of the items.
pub(super) const fn keys(signal: Signal) -> [&'static str; 3] {
    match signal {
        Signal::Spans => ["resourceSpans", "scopeSpans", "spans"],
        Signal::Logs => ["resourceLogs", "scopeLogs", "logRecords"],
        Signal::Metrics => ["resourceMetrics", "scopeMetrics", "metrics"],
    }
}

/// Reads an export request in JSON.
pub(in crate::dialect) fn decode_json(
    signal: Signal,
    ctx: &Context<'_>,
    body: &[u8],
) -> Result<Decoded, DecodeError> {
    let doc = json::read(body, OTLP_JSON_DEPTH_MAX)?;
    let root = DocRef::parse(&doc).map_err(|e| shape("body", &e.to_string()))?;
    if root.entries().is_none() {
        return Err(shape("body", "expected an object"));
    }
    let mut sink = Sink::new(signal, ctx);
    sink.make_room(0, body.len());
    let [groups, ..] = keys(signal);
    for (i, group) in whole_list(root, groups, groups)?.enumerate() {
        let path = format!("{groups}[{i}]");
        resource_group(group.unwrap_or(DocRef::Null), &path, &mut sink)?;
    }
    Ok(sink.finish())
}

fn shape(field: &str, problem: &str) -> DecodeError {
    DecodeError::Shape {
        field: field.to_owned(),
        problem: problem.to_owned(),
    }
}

/// A list that the whole body hangs on.
fn whole_list<'a>(doc: DocRef<'a>, key: &str, path: &str) -> Result<Listed<'a>, DecodeError> {
    list(doc, key).map_err(|_| shape(path, "expected a list"))
}

pub(super) type Listed<'a> = std::iter::Flatten<std::option::IntoIter<Items<'a>>>;

pub(super) fn list<'a>(doc: DocRef<'a>, key: &str) -> Result<Listed<'a>, Bad> {
    match doc.get(key) {
        None | Some(DocRef::Null) => Ok(None.into_iter().flatten()),
        Some(DocRef::Array(items)) => Ok(Some(items).into_iter().flatten()),
        Some(_) => Err(Bad::new(key, "expected a list")),
    }
}

fn resource_group(group: DocRef<'_>, path: &str, sink: &mut Sink<'_>) -> Result<(), DecodeError> {
    if group.entries().is_none() {
        return Err(shape(path, "expected an object"));
    }
    let [_, scopes, items] = keys(sink.signal);
    let mut put = Put::default();
    let resource =
        put_resource(group, &mut put).and_then(|()| resource_doc(Fields::new(&put.out, 0)));
    let groups = whole_list(group, scopes, &format!("{path}.{scopes}"))?;
    for (j, scoped) in groups.enumerate() {
        let scoped = scoped.unwrap_or(DocRef::Null);
        let path = format!("{path}.{scopes}[{j}]");
        if scoped.entries().is_none() {
            return Err(shape(&path, "expected an object"));
        }
        let mut put = Put::default();
        let scope = put_scope(scoped, &mut put).and_then(|()| scope_doc(Fields::new(&put.out, 0)));
        let shared = shared((sink.signal, sink.ctx), resource.as_ref(), scope);
        for item in whole_list(scoped, items, &format!("{path}.{items}"))? {
            let item = item.unwrap_or(DocRef::Null);
            put_item(item, shared.as_ref(), sink)?;
        }
    }
    Ok(())
}

fn put_item(
    item: DocRef<'_>,
    shared: Result<&Shared, &Bad>,
    sink: &mut Sink<'_>,
) -> Result<(), DecodeError> {
    let put_whole = match sink.signal {
        Signal::Spans => put_span,
        Signal::Logs => put_log,
        Signal::Metrics => return put_metric(item, shared, sink),
    };
    let mut put = std::mem::take(&mut sink.put);
    put.out.clear();
    match put_whole(item, &mut put) {
        Ok(()) => sink.item(Fields::new(&put.out, 0), shared)?,
        Err(bad) => sink.refuse_next(&bad)?,
    }
    sink.put = put;
    Ok(())
}

fn put_resource(group: DocRef<'_>, put: &mut Put) -> Result<(), Bad> {
    if let Some(resource) = object(group, "resource")? {
        let message = put.begin(1);
        put_attributes(resource, "attributes", 1, put).map_err(|b| inside("resource", &b))?;
        put_count(resource, "droppedAttributesCount", 2, put)?;
        put.end(message);
    }
    put_text(group, "schemaUrl", 3, put)
}

fn put_scope(scoped: DocRef<'_>, put: &mut Put) -> Result<(), Bad> {
    if let Some(scope) = object(scoped, "scope")? {
        let message = put.begin(1);
        put_text(scope, "name", 1, put).map_err(|b| inside("scope", &b))?;
        put_text(scope, "version", 2, put).map_err(|b| inside("scope", &b))?;
        put_attributes(scope, "attributes", 3, put).map_err(|b| inside("scope", &b))?;
        put_count(scope, "droppedAttributesCount", 4, put)?;
        put.end(message);
    }
    put_text(scoped, "schemaUrl", 3, put)
}

pub(super) fn inside(outer: &str, bad: &Bad) -> Bad {
    Bad::new(format!("{outer}.{}", bad.field), bad.problem.clone())
}

fn put_span(span: DocRef<'_>, put: &mut Put) -> Result<(), Bad> {
    if span.entries().is_none() {
        return Err(Bad::new("span", "expected an object"));
    }
    put_id(span, "traceId", 1, put)?;
    put_id(span, "spanId", 2, put)?;
    put_text(span, "traceState", 3, put)?;
    put_id(span, "parentSpanId", 4, put)?;
    put_text(span, "name", 5, put)?;
    put_enum(span, "kind", 6, &SPAN_KINDS, put)?;
    put_time(span, "startTimeUnixNano", 7, put)?;
    put_time(span, "endTimeUnixNano", 8, put)?;
    put_attributes(span, "attributes", 9, put)?;
    put_count(span, "droppedAttributesCount", 10, put)?;
    put_each(span, "events", 11, put, put_event)?;
    put_count(span, "droppedEventsCount", 12, put)?;
    put_each(span, "links", 13, put, put_link)?;
    put_count(span, "droppedLinksCount", 14, put)?;
    if let Some(status) = object(span, "status")? {
        let message = put.begin(15);
        put_text(status, "message", 2, put).map_err(|b| inside("status", &b))?;
        put_enum(status, "code", 3, &STATUS_CODES, put).map_err(|b| inside("status", &b))?;
        put.end(message);
    }
    put_flags(span, 16, put)
}

const SPAN_KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
const STATUS_CODES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

pub(super) type PutPart = fn(DocRef<'_>, &mut Put) -> Result<(), Bad>;

pub(super) fn put_each(
    doc: DocRef<'_>,
    key: &str,
    number: u32,
    put: &mut Put,
    part: PutPart,
) -> Result<(), Bad> {
    for (i, item) in list(doc, key)?.enumerate() {
        let item = item.unwrap_or(DocRef::Null);
        if item.entries().is_none() {
            return Err(Bad::new(format!("{key}[{i}]"), "expected an object"));
        }
        let message = put.begin(number);
        part(item, put).map_err(|b| inside(&format!("{key}[{i}]"), &b))?;
        put.end(message);
    }
    Ok(())
}

fn put_event(event: DocRef<'_>, put: &mut Put) -> Result<(), Bad> {
    put_time(event, "timeUnixNano", 1, put)?;
    put_text(event, "name", 2, put)?;
    put_attributes(event, "attributes", 3, put)?;
    put_count(event, "droppedAttributesCount", 4, put)
}

fn put_link(link: DocRef<'_>, put: &mut Put) -> Result<(), Bad> {
    put_id(link, "traceId", 1, put)?;
    put_id(link, "spanId", 2, put)?;
    put_text(link, "traceState", 3, put)?;
    put_attributes(link, "attributes", 4, put)?;
    put_count(link, "droppedAttributesCount", 5, put)?;
    put_flags(link, 6, put)
}

/// The value of a key; null means absent.
pub(super) fn field<'a>(doc: DocRef<'a>, key: &str) -> Option<DocRef<'a>> {
    doc.get(key).filter(|v| *v != DocRef::Null)
}

pub(super) fn object<'a>(doc: DocRef<'a>, key: &str) -> Result<Option<DocRef<'a>>, Bad> {
    match field(doc, key) {
        None => Ok(None),
        Some(v @ DocRef::Map(_)) => Ok(Some(v)),
        Some(_) => Err(Bad::new(key, "expected an object")),
    }
}

pub(super) fn put_text(doc: DocRef<'_>, key: &str, number: u32, put: &mut Put) -> Result<(), Bad> {
    match field(doc, key) {
        None => {}
        Some(DocRef::Str(s)) => put.bytes(number, s.as_bytes()),
        Some(_) => return Err(Bad::new(key, "expected text")),
    }
    Ok(())
}

pub(super) fn put_id(doc: DocRef<'_>, key: &str, number: u32, put: &mut Put) -> Result<(), Bad> {
    let Some(value) = field(doc, key) else {
        return Ok(());
    };
    let text = value
        .as_str()
        .ok_or_else(|| Bad::new(key, "expected hex text"))?;
    if text.len() > ID_BYTES_MAX {
        let problem = format!("id too long limit={ID_BYTES_MAX} bytes={}", text.len());
        return Err(Bad::new(key, problem));
    }
    let bytes = unhex(text.as_bytes()).ok_or_else(|| Bad::new(key, "expected hex text"))?;
    put.bytes(number, &bytes);
    Ok(())
}

pub(super) fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: u8| {
        char::from(b)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let pairs = text.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs
        .map(|p| Some(digit(*p.first()?)? << 4 | digit(*p.last()?)?))
        .collect()
}

/// A whole number without sign, as a number or as decimal text.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked first"
)]
pub(super) fn unsigned(value: DocRef<'_>) -> Option<u64> {
    match value {
        DocRef::I64(n) => u64::try_from(n).ok(),
        DocRef::U64(n) => Some(n),
        DocRef::F64(n) if n.fract() == 0.0 && (0.0..1.8e19).contains(&n) => Some(n as u64),
        DocRef::Str(s) => s.parse().ok(),
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked first"
)]
pub(super) fn signed(value: DocRef<'_>) -> Option<i64> {
    match value {
        DocRef::I64(n) => Some(n),
        DocRef::F64(n) if n.fract() == 0.0 && n.abs() < 9.2e18 => Some(n as i64),
        DocRef::Str(s) => s.parse().ok(),
        _ => None,
    }
}

pub(super) fn put_time(doc: DocRef<'_>, key: &str, number: u32, put: &mut Put) -> Result<(), Bad> {
    if let Some(value) = field(doc, key) {
        let ns = unsigned(value).ok_or_else(|| Bad::new(key, "expected whole nanoseconds"))?;
        put.fixed64(number, ns);
    }
    Ok(())
}

pub(super) fn put_count(doc: DocRef<'_>, key: &str, number: u32, put: &mut Put) -> Result<(), Bad> {
    if let Some(value) = field(doc, key) {
        let n = unsigned(value).ok_or_else(|| Bad::new(key, "expected a whole number"))?;
        put.varint(number, n);
    }
    Ok(())
}

pub(super) fn put_flags(doc: DocRef<'_>, number: u32, put: &mut Put) -> Result<(), Bad> {
    if let Some(value) = field(doc, "flags") {
        let flags = unsigned(value).and_then(|n| u32::try_from(n).ok());
        put.fixed32(
            number,
            flags.ok_or_else(|| Bad::new("flags", "expected 32 bits"))?,
        );
    }
    Ok(())
}

pub(super) fn put_enum(
    doc: DocRef<'_>,
    key: &str,
    number: u32,
    names: &[&str],
    put: &mut Put,
) -> Result<(), Bad> {
    let Some(value) = field(doc, key) else {
        return Ok(());
    };
    let named = value
        .as_str()
        .and_then(|s| names.iter().position(|n| *n == s));
    let n = named
        .and_then(|n| u64::try_from(n).ok())
        .or_else(|| unsigned(value));
    put.varint(
        number,
        n.ok_or_else(|| Bad::new(key, "expected a number of the enumeration"))?,
    );
    Ok(())
}

pub(super) fn put_attributes(
    doc: DocRef<'_>,
    key: &str,
    number: u32,
    put: &mut Put,
) -> Result<(), Bad> {
    for (i, entry) in list(doc, key)?.enumerate() {
        let entry = entry.unwrap_or(DocRef::Null);
        let message = put.begin(number);
        put_key_value(entry, put).map_err(|b| inside(&format!("{key}[{i}]"), &b))?;
        put.end(message);
    }
    Ok(())
}

fn put_key_value(entry: DocRef<'_>, put: &mut Put) -> Result<(), Bad> {
    if entry.entries().is_none() {
        return Err(Bad::new("entry", "expected an object"));
    }
    put_text(entry, "key", 1, put)?;
    if let Some(value) = field(entry, "value") {
        let message = put.begin(2);
        put_any(value, put)?;
        put.end(message);
    }
    Ok(())
}

pub(super) fn put_any(value: DocRef<'_>, put: &mut Put) -> Result<(), Bad> {
    let Some(entries) = value.entries() else {
        return Err(Bad::new("value", "expected an object"));
    };
    for (key, value) in entries.flatten().filter(|(_, v)| *v != DocRef::Null) {
        match (key, value) {
            ("stringValue", DocRef::Str(s)) => put.bytes(1, s.as_bytes()),
            ("boolValue", DocRef::Bool(b)) => put.varint(2, u64::from(b)),
            ("intValue", v) => {
                let n = signed(v).ok_or_else(|| Bad::new(key, "expected a whole number"))?;
                put.varint(3, n.cast_unsigned());
            }
            ("doubleValue", v) => {
                let n = double(v).ok_or_else(|| Bad::new(key, "expected a number"))?;
                put.fixed64(4, n.to_bits());
            }
            ("arrayValue", v @ DocRef::Map(_)) => {
                let message = put.begin(5);
                for item in list(v, "values")? {
                    let any = put.begin(1);
                    match item.unwrap_or(DocRef::Null) {
                        DocRef::Null => {}
                        item => put_any(item, put)?,
                    }
                    put.end(any);
                }
                put.end(message);
            }
            ("kvlistValue", v @ DocRef::Map(_)) => {
                let message = put.begin(6);
                put_attributes(v, "values", 1, put)?;
                put.end(message);
            }
            ("bytesValue", v) => {
                let bytes = v.as_str().and_then(unbase64);
                put.bytes(
                    7,
                    &bytes.ok_or_else(|| Bad::new(key, "expected base64 text"))?,
                );
            }
            ("stringValue" | "boolValue" | "arrayValue" | "kvlistValue", _) => {
                return Err(Bad::new(key, "value of another type"));
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn double(value: DocRef<'_>) -> Option<f64> {
    match value {
        DocRef::Str("NaN") => Some(f64::NAN),
        DocRef::Str("Infinity") => Some(f64::INFINITY),
        DocRef::Str("-Infinity") => Some(f64::NEG_INFINITY),
        DocRef::Str(s) => s.parse().ok().filter(|n: &f64| n.is_finite()),
        other => other.as_f64(),
    }
}

/// Both alphabets, padded or not.
fn unbase64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    if digits.len() % 4 == 1 || text.len() - digits.len() > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    for chunk in digits.chunks(4) {
        let mut word = 0u32;
        for b in chunk {
            let digit = match b {
                b'A'..=b'Z' => b - b'A',
                b'a'..=b'z' => b - b'a' + 26,
                b'0'..=b'9' => b - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                _ => return None,
            };
            word = (word << 6) | u32::from(digit);
        }
        word <<= 6 * (4 - chunk.len());
        let [_, bytes @ ..] = u32_to_be(word);
        out.extend_from_slice(bytes.get(..chunk.len() - 1)?);
    }
    Some(out)
}

/// Most significant byte first, as base64 orders bits.
fn u32_to_be(word: u32) -> [u8; 4] {
    let mut bytes = word.to_le_bytes();
    bytes.reverse();
    bytes
}
