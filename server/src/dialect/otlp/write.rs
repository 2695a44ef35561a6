//! Rows → OTLP export requests, as protobuf or JSON.
//!
//! What came in as OTLP goes out as it came: attributes, events, links, resource, scope, ids, times.
//! Rows of other dialects get the attributes of the conventions for what obsrv knows of them, and
//! `obsrv.…` attributes for the rest of their document: see `own`. Rows are grouped by resource and
//! scope, in the order in which these come first.

mod form;
mod log;
mod own;
mod point;
mod run;
mod score;
mod span;

use std::collections::HashMap;

use obsrv_engine::doc::{DocRef, Entries};
use obsrv_engine::model;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use self::form::{At, Form, Json, Protobuf};
pub(crate) use self::run::span_of_run;
use super::Signal;
use super::from_json::{keys, unhex};
use crate::dialect::theta_read::StoredRow;

/// What the rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    Spans,
    Logs,
    Points,
    /// Written as log records of the event `gen_ai.evaluation.result`.
    Scores,
}

impl Rows {
    const fn signal(self) -> Signal {
        match self {
            Self::Spans => Signal::Spans,
            Self::Logs | Self::Scores => Signal::Logs,
            Self::Points => Signal::Metrics,
        }
    }
}

/// Bytes of a trace's id and of a span's.
const TRACE_ID_BYTES: usize = 16;
const SPAN_ID_BYTES: usize = 8;

/// The export request of these rows, in wire form. That of spans is also a
/// `TracesData`, whose fields are the same.
pub(crate) fn protobuf(of: Rows, rows: &[StoredRow]) -> Vec<u8> {
    request::<Protobuf>(of, rows).finish()
}

/// The same as JSON.
pub(crate) fn json(of: Rows, rows: &[StoredRow]) -> String {
    format!("{{{}}}", request::<Json>(of, rows).finish())
}

/// The list of resources of the JSON form, for answers that have it under another name.
pub(crate) fn json_groups(of: Rows, rows: &[StoredRow]) -> String {
    let [name, ..] = keys(of.signal());
    let fields = request::<Json>(of, rows).finish();
    let list = fields.split_at_checked(name.len() + "\"\":".len());
    list.map_or_else(String::new, |(_, list)| list.to_owned())
}

/// The id that OTLP has for a trace of this name: its hex or UUID, else a hash of the name.
pub(crate) fn trace_id(name: &str) -> [u8; TRACE_ID_BYTES] {
    exact(name).unwrap_or_else(|| xxh3_128(name.as_bytes()).to_le_bytes())
}

/// The id that OTLP has for a span of this name.
pub(crate) fn span_id(name: &str) -> [u8; SPAN_ID_BYTES] {
    exact(name).unwrap_or_else(|| xxh3_64(name.as_bytes()).to_le_bytes())
}

/// The bytes that the name says, if it says as many and one of them is not 0.
fn exact<const N: usize>(name: &str) -> Option<[u8; N]> {
    let hex: Vec<u8> = name.bytes().filter(|b| *b != b'-').collect();
    let is_hex = name.len() == 2 * N || (N == TRACE_ID_BYTES && name.len() == 2 * N + 4);
    let bytes = unhex(&hex).filter(|_| is_hex)?;
    let bytes = <[u8; N]>::try_from(bytes).ok()?;
    bytes.iter().any(|b| *b != 0).then_some(bytes)
}

/// Whether a row is as OTLP said it.
fn is_otlp(row: &StoredRow) -> bool {
    row.text(model::DIALECT) == Some("otlp")
}

/// Things of one kind, each with what is in it, in the order in which they came first.
struct Groups<H, T> {
    all: Vec<(H, T)>,
    places: HashMap<Vec<u8>, usize>,
}

impl<H, T> Default for Groups<H, T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            places: HashMap::new(),
        }
    }
}

impl<H, T: Default> Groups<H, T> {
    /// What is in the one of this key, which `head` describes.
    fn of(&mut self, key: Vec<u8>, head: H) -> &mut T {
        let place = *self.places.entry(key).or_insert_with(|| {
            self.all.push((head, T::default()));
            self.all.len() - 1
        });
        let (_, inner) = self
            .all
            .get_mut(place)
            .expect("BUG: a place without a group");
        inner
    }
}

/// The field of a request that its resources are in. Its inside is what every signal shares.
fn request<F: Form>(of: Rows, rows: &[StoredRow]) -> F {
    let mut groups: Groups<F, Groups<F, Vec<&StoredRow>>> = Groups::default();
    for row in rows {
        let (resource, scope) = (resource::<F>(row), scope::<F>(row));
        let scopes = groups.of(resource.written().to_vec(), resource);
        scopes.of(scope.written().to_vec(), scope).push(row);
    }
    let [resources, scopes, items] = keys(of.signal());
    let mut out = F::default();
    out.begin_list((1, resources));
    for (resource, inner) in groups.all {
        let group = out.item((1, resources));
        out.splice(&resource);
        out.begin_list((2, scopes));
        for (scope, rows) in inner.all {
            let scoped = out.item((2, scopes));
            out.splice(&scope);
            out.begin_list((2, items));
            write_items((2, items), of, &rows, &mut out);
            out.end_list();
            out.end(scoped);
        }
        out.end_list();
        out.end(group);
    }
    out.end_list();
    out
}

fn write_items<F: Form>(at: At, of: Rows, rows: &[&StoredRow], out: &mut F) {
    let write = match of {
        Rows::Points => return point::write(at, rows, out),
        Rows::Spans => span::write,
        Rows::Logs => log::write,
        Rows::Scores => score::write,
    };
    for row in rows {
        let item = out.item(at);
        write(row, out);
        out.end(item);
    }
}

/// The fields `resource` and `schema_url` of a group.
fn resource<F: Form>(row: &StoredRow) -> F {
    let (doc, mut out) = (row.doc(), F::default());
    let about = doc.get("resource_info").unwrap_or(DocRef::Null);
    let attributes = doc.get(model::RESOURCE);
    let dropped = count_of(about, "dropped_attributes_count");
    let own = if is_otlp(row) {
        Vec::new()
    } else {
        own::resource(doc)
    };
    if !is_empty(attributes) || !own.is_empty() || dropped != 0 {
        let message = out.begin((1, "resource"));
        let at = (1, "attributes");
        out.begin_list(at);
        write_entries(at, attributes, &mut out);
        own.iter()
            .for_each(|(k, v)| write_attribute(at, k, *v, &mut out));
        out.end_list();
        count((2, "droppedAttributesCount"), dropped, &mut out);
        out.end(message);
    }
    text((3, "schemaUrl"), text_of(about, "schema_url"), &mut out);
    out
}

/// The fields `scope` and `schema_url` of a group by scope.
fn scope<F: Form>(row: &StoredRow) -> F {
    let (doc, mut out) = (row.doc(), F::default());
    let scope = doc.get("scope").unwrap_or(DocRef::Null);
    if !is_otlp(row) && scope.entries().is_none() {
        let message = out.begin((1, "scope"));
        let dialect = row.text(model::DIALECT).unwrap_or("");
        text((1, "name"), &format!("obsrv/{dialect}"), &mut out);
        out.end(message);
        return out;
    }
    let mut entries = scope.entries().into_iter().flatten().flatten();
    if entries.any(|(key, _)| key != "schema_url") {
        let message = out.begin((1, "scope"));
        text((1, "name"), text_of(scope, "name"), &mut out);
        text((2, "version"), text_of(scope, "version"), &mut out);
        write_attributes((3, "attributes"), scope.get("attributes"), &mut out);
        let dropped = count_of(scope, "dropped_attributes_count");
        count((4, "droppedAttributesCount"), dropped, &mut out);
        out.end(message);
    }
    text((3, "schemaUrl"), text_of(scope, "schema_url"), &mut out);
    out
}

fn text_of<'a>(doc: DocRef<'a>, key: &str) -> &'a str {
    doc.get(key).and_then(DocRef::as_str).unwrap_or("")
}

fn count_of(doc: DocRef<'_>, key: &str) -> u64 {
    match doc.get(key) {
        Some(DocRef::I64(n)) => u64::try_from(n).unwrap_or(0),
        Some(DocRef::U64(n)) => n,
        _ => 0,
    }
}

fn flags_of(doc: DocRef<'_>) -> u32 {
    u32::try_from(count_of(doc, "flags")).unwrap_or(0)
}

/// Text, unless it is empty.
fn text<F: Form>(at: At, text: &str, out: &mut F) {
    if !text.is_empty() {
        out.text(at, text);
    }
}

/// A number, unless it is 0.
fn count<F: Form>(at: At, n: u64, out: &mut F) {
    if n != 0 {
        out.small(at, n);
    }
}

/// A time, unless it is 0.
fn time<F: Form>(at: At, ns: u64, out: &mut F) {
    if ns != 0 {
        out.fixed64(at, ns);
    }
}

fn flags<F: Form>(at: At, flags: u32, out: &mut F) {
    if flags != 0 {
        out.fixed32(at, flags);
    }
}

/// An id that is hex, unless it is missing.
fn hex_id<F: Form>(at: At, hex: &str, out: &mut F) {
    if let Some(id) = unhex(hex.as_bytes()).filter(|id| !id.is_empty()) {
        out.id(at, &id);
    }
}

fn is_empty(map: Option<DocRef<'_>>) -> bool {
    let entries: Option<Entries<'_>> = map.and_then(DocRef::entries);
    entries.is_none_or(|mut entries| entries.next().is_none())
}

/// A repeated field of attributes, unless there are none.
fn write_attributes<F: Form>(at: At, map: Option<DocRef<'_>>, out: &mut F) {
    if !is_empty(map) {
        out.begin_list(at);
        write_entries(at, map, out);
        out.end_list();
    }
}

/// The entries of a map as items of a repeated field.
fn write_entries<F: Form>(at: At, map: Option<DocRef<'_>>, out: &mut F) {
    let entries = map
        .and_then(DocRef::entries)
        .into_iter()
        .flatten()
        .flatten();
    for (key, value) in entries {
        write_attribute(at, key, value, out);
    }
}

fn write_attribute<F: Form>(at: At, key: &str, value: DocRef<'_>, out: &mut F) {
    let entry = out.item(at);
    out.text((1, "key"), key);
    let open = out.begin((2, "value"));
    write_any(value, out);
    out.end(open);
    out.end(entry);
}

/// The inside of an `AnyValue`. Nesting is bounded by the document's depth limit.
fn write_any<F: Form>(value: DocRef<'_>, out: &mut F) {
    match value {
        DocRef::Null => {}
        DocRef::Str(s) => out.text((1, "stringValue"), s),
        DocRef::Bool(b) => out.bool((2, "boolValue"), b),
        DocRef::I64(n) => out.int64((3, "intValue"), n),
        // OTLP has no number for it, and a float would lose digits.
        DocRef::U64(n) => out.text((1, "stringValue"), &n.to_string()),
        DocRef::F64(n) => out.double((4, "doubleValue"), n),
        DocRef::Bytes(b) => out.bytes((7, "bytesValue"), b),
        DocRef::Array(items) => {
            let open = out.begin((5, "arrayValue"));
            out.begin_list((1, "values"));
            for item in items.flatten() {
                let any = out.item((1, "values"));
                write_any(item, out);
                out.end(any);
            }
            out.end_list();
            out.end(open);
        }
        DocRef::Map(_) => {
            let open = out.begin((6, "kvlistValue"));
            out.begin_list((1, "values"));
            write_entries((1, "values"), Some(value), out);
            out.end_list();
            out.end(open);
        }
    }
}
