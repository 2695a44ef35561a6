//! One OTLP span → one event.

use bytes::Bytes;
use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::model::{self, status};
use obsrv_engine::row::{Event, RowKey, Table};

use super::agents::Facts;
use super::known::Known;
use super::mlflow;
use super::value::{Any, key_value, named, write_attributes};
use super::wire::{Field, Fields};
use crate::dialect::bad::Bad;
use crate::dialect::place::{Owned, Said};
use crate::dialect::{ID_BYTES_MAX, version_of};

/// The trace of a span that stands in the run that it names.
pub(super) const OTEL_TRACE_ID: &str = "otel_trace_id";

/// Beginnings of the scopes of clients that tell of their calls themselves.
const OWN_ACCOUNTS: [&str; 1] = ["com.anthropic.sdk."];

/// Who sends the spans of a scope.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// A client that tells of its calls itself, below whoever instruments it.
    repeats: bool,
    /// A coding agent.
    pub(super) is_agent: bool,
    /// `MLflow`.
    pub(super) is_mlflow: bool,
}

impl Origin {
    /// By the scope's name.
    pub(super) fn of(scope: &str) -> Self {
        Self {
            is_agent: scope.starts_with(Facts::SPANS_OF),
            is_mlflow: mlflow::is_scope(scope),
            repeats: OWN_ACCOUNTS.iter().any(|own| scope.starts_with(own)),
        }
    }
}

/// What the rows of one scope share.
#[derive(Debug)]
pub(super) struct Shared {
    /// The entries of the row's document that come from the resource and the scope, as a map.
    pub(super) entries: Vec<u8>,
    /// The project that the resource names.
    pub(super) project: Option<String>,
    /// Where all of it ran.
    place: Owned,
    /// Who sends it.
    origin: Origin,
    /// What of resource and scope tells a series from others. Metrics alone.
    pub(super) identity: Vec<u8>,
}

impl Shared {
    /// Of a scope's document and its resource, and the key that they came with.
    pub(super) fn new(resource: &ResourceDoc, scope: &[u8], key_id: Option<&str>) -> Self {
        let mut out = DocWriter::new();
        let open = out.begin_map();
        text(
            &mut out,
            model::SERVICE,
            resource.service.as_deref().unwrap_or(""),
        );
        text(&mut out, model::KEY_ID, key_id.unwrap_or(""));
        splice(&mut out, model::RESOURCE, &resource.attributes);
        if let Some(about) = &resource.about {
            splice(&mut out, "resource_info", about);
        }
        splice(&mut out, "scope", scope);
        out.end(open);
        let name = DocRef::parse(scope)
            .ok()
            .and_then(|scope| scope.get("name"));
        let name = name.and_then(DocRef::as_str).unwrap_or("");
        Self {
            entries: out.finish(),
            project: resource.project.clone(),
            place: Said::of_resource(DocRef::parse(&resource.attributes).ok()).owned(),
            origin: Origin::of(name),
            identity: Vec::new(),
        }
    }

    /// Writes them, behind what `known` says.
    pub(super) fn write(&self, known: &Known<'_>, out: &mut DocWriter) {
        known.place().and(self.place.said()).write(out);
        if let Some(entries) = DocRef::parse(&self.entries).ok().and_then(DocRef::entries) {
            out.entries(entries);
        }
    }
}

/// A resource: its attributes, what else it says, and the service.
#[derive(Debug, Default)]
pub(super) struct ResourceDoc {
    /// A map of the attributes.
    pub(super) attributes: Vec<u8>,
    /// A map of the rest (schema URL, dropped count), if it says any.
    pub(super) about: Option<Vec<u8>>,
    pub(super) service: Option<String>,
    pub(super) project: Option<String>,
}

/// The single-valued fields of a span.
#[derive(Clone, Copy, Debug, Default)]
struct Head<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    parent_id: &'a [u8],
    trace_state: &'a str,
    name: &'a str,
    kind: u64,
    start: u64,
    end: u64,
    dropped: [u64; 3],
    status_code: u64,
    status_message: &'a str,
    flags: u32,
    /// The span from its first attribute on.
    attributes: Fields<'a>,
    /// From its first event on, if it has one.
    events: Option<Fields<'a>>,
    /// From its first link on, if it has one.
    links: Option<Fields<'a>>,
    /// The parent of the open span that this record of Logfire stands for.
    pending: Option<&'a str>,
}

impl<'a> Head<'a> {
    fn read(mut fields: Fields<'a>) -> Result<Self, Bad> {
        let mut head = Self::default();
        loop {
            let from = fields;
            let Some(field) = fields.next() else {
                return Ok(head);
            };
            head.take(field.map_err(named("span"))?, from)?;
        }
    }

    /// Takes one field; `from` begins with it.
    fn take(&mut self, field: Field<'a>, from: Fields<'a>) -> Result<(), Bad> {
        match field.number {
            1 => self.trace_id = field.bytes().map_err(named("trace_id"))?,
            2 => self.span_id = field.bytes().map_err(named("span_id"))?,
            3 => self.trace_state = field.text().map_err(named("trace_state"))?,
            4 => self.parent_id = field.bytes().map_err(named("parent_span_id"))?,
            5 => self.name = field.text().map_err(named("name"))?,
            6 => self.kind = field.varint().map_err(named("kind"))?,
            7 => self.start = field.fixed64().map_err(named("start_time_unix_nano"))?,
            8 => self.end = field.fixed64().map_err(named("end_time_unix_nano"))?,
            9 if self.attributes.len() == 0 => self.attributes = from,
            10 => self.dropped[0] = field.varint().map_err(named("dropped_attributes_count"))?,
            11 => self.events = self.events.or(Some(from)),
            12 => self.dropped[1] = field.varint().map_err(named("dropped_events_count"))?,
            13 => self.links = self.links.or(Some(from)),
            14 => self.dropped[2] = field.varint().map_err(named("dropped_links_count"))?,
            15 => self.take_status(field)?,
            16 => self.flags = field.fixed32().map_err(named("flags"))?,
            _ => {}
        }
        Ok(())
    }

    fn take_status(&mut self, field: Field<'a>) -> Result<(), Bad> {
        for part in field.message().map_err(named("status"))? {
            let part = part.map_err(named("status"))?;
            match part.number {
                2 => self.status_message = part.text().map_err(named("status.message"))?,
                3 => self.status_code = part.varint().map_err(named("status.code"))?,
                _ => {}
            }
        }
        Ok(())
    }

    const fn status(&self) -> &'static str {
        match (self.status_code, self.end) {
            _ if self.pending.is_some() => status::RUNNING,
            (2, _) => status::ERROR,
            (_, 0) => status::RUNNING,
            _ => status::SUCCESS,
        }
    }
}

/// The two digits of every byte.
const HEX: [[u8; 2]; 256] = {
    let digits = *b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = [digits[byte / 16], digits[byte % 16]];
        byte += 1;
    }
    table
};

/// Lowercase hex of an id.
#[derive(Debug)]
pub(super) struct Hex {
    digits: [u8; ID_BYTES_MAX],
    len: usize,
}

impl Hex {
    pub(super) fn of(field: &str, id: &[u8]) -> Result<Self, Bad> {
        if id.len() * 2 > ID_BYTES_MAX {
            return Err(Bad::new(
                field,
                format!("id too long limit={} bytes={}", ID_BYTES_MAX / 2, id.len()),
            ));
        }
        let mut digits = [0; ID_BYTES_MAX];
        let (pairs, _) = digits.as_chunks_mut();
        for (pair, byte) in pairs.iter_mut().zip(id) {
            *pair = HEX[usize::from(*byte)];
        }
        let len = id.len() * 2;
        Ok(Self { digits, len })
    }

    pub(super) fn as_str(&self) -> &str {
        let digits = self.digits.get(..self.len).unwrap_or_default();
        std::str::from_utf8(digits).expect("BUG: hex digits are ascii")
    }
}

fn required_id(field: &str, id: &[u8]) -> Result<Box<str>, Bad> {
    if id.iter().all(|b| *b == 0) {
        let problem = if id.is_empty() {
            "missing"
        } else {
            "all zeros"
        };
        return Err(Bad::new(field, problem));
    }
    Ok(Hex::of(field, id)?.as_str().into())
}

pub(super) fn time(field: &str, ns: u64) -> Result<Option<i64>, Bad> {
    if ns == 0 {
        return Ok(None);
    }
    i64::try_from(ns)
        .map(Some)
        .map_err(|_| Bad::new(field, format!("time out of range value={ns}")))
}

/// Reads one span. Its document is written behind what `docs` holds already, and is for the caller
/// to put in, or to take back after an error. A run that the span names stands in the place of its trace;
/// `renamed` is called with that name and the user's own, if it has both.
pub(super) fn event(
    fields: Fields<'_>,
    shared: &Shared,
    docs: &mut DocWriter,
    renamed: &mut dyn FnMut(&str, &str),
) -> Result<Event, Bad> {
    let mut head = Head::read(fields)?;
    let trace_id = required_id("trace_id", head.trace_id)?;
    let mut id = required_id("span_id", head.span_id)?;
    let start_ns = time("start_time_unix_nano", head.start)?;
    let mut end_ns = time("end_time_unix_nano", head.end)?;
    let start = docs.len();
    let mut known = document(&head, &trace_id, shared, docs)?;
    let has_parent = head.parent_id.iter().any(|b| *b != 0);
    if let Some(parent) = known.pending().filter(|_| has_parent) {
        // It stands for its parent, which is open: the same row, until that one ends.
        head.pending = Some(parent);
        id = Hex::of("parent_span_id", head.parent_id)?.as_str().into();
        end_ns = None;
        docs.truncate(start);
        known = document(&head, &trace_id, shared, docs)?;
    }
    if let (Some(run), Some(alias)) = (known.run(), known.run_alias()) {
        renamed(run, alias);
    }
    let run = known.run().or(known.run_alias()).map(Box::from);
    let key = RowKey {
        trace_id: run.unwrap_or(trace_id),
        id,
    };
    Ok(Event {
        table: Table::Spans,
        key,
        start_ns,
        end_ns,
        version: version_of(end_ns, end_ns.is_some()),
        partial: false,
        doc: Bytes::new(),
    })
}

fn document<'a>(
    head: &Head<'a>,
    trace_id: &str,
    shared: &Shared,
    out: &mut DocWriter,
) -> Result<Known<'a>, Bad> {
    let (mut known, mut agent) = (Known::of_scope(shared.origin.is_mlflow), Facts::default());
    let open = out.begin_map();
    text(out, model::DIALECT, "otlp");
    text(out, model::NAME, head.name);
    text(out, model::STATUS, head.status());
    write_parent(head, out)?;
    out.key(model::ATTRIBUTES);
    write_attributes(head.attributes, 9, "attributes", out, |attribute| {
        known.note(attribute);
        if shared.origin.is_agent {
            agent.note(attribute);
        }
    })?;
    write_facts(shared.origin, &known, &agent, out);
    if known.run().or(known.run_alias()).is_some() {
        text(out, OTEL_TRACE_ID, trace_id);
    }
    if head.status_code == 2 {
        write_error(head, &known, out)?;
    }
    shared.write(&known, out);
    write_rest(head, out);
    if let Some(events) = head.events {
        write_each(events, 11, "events", out, write_span_event)?;
    }
    if let Some(links) = head.links {
        write_each(links, 13, "links", out, write_link)?;
    }
    out.end(open);
    Ok(known)
}

/// What the attributes say, into an open map.
pub(super) fn write_facts(
    origin: Origin,
    known: &Known<'_>,
    agent: &Facts<'_>,
    out: &mut DocWriter,
) {
    text(out, model::KIND, agent.kind().unwrap_or(known.kind()));
    known.write(out);
    if origin.is_agent {
        agent.write_span(known, out);
    }
    if origin.repeats {
        out.key(model::REPEATS);
        out.bool(true);
    }
}

/// The parent, or that it is the root.
fn write_parent(head: &Head<'_>, out: &mut DocWriter) -> Result<(), Bad> {
    let is_root = match head.pending {
        Some(parent) => parent.bytes().all(|b| b == b'0'),
        None => head.parent_id.iter().all(|b| *b == 0),
    };
    if is_root {
        out.key(model::ROOT);
        out.bool(true);
    } else if let Some(parent) = head.pending {
        text(out, model::PARENT_ID, parent);
    } else {
        let parent = Hex::of("parent_span_id", head.parent_id)?;
        text(out, model::PARENT_ID, parent.as_str());
    }
    Ok(())
}

pub(super) fn text(out: &mut DocWriter, key: &str, value: &str) {
    if !value.is_empty() {
        out.key(key);
        out.str(value);
    }
}

pub(super) fn count(out: &mut DocWriter, key: &str, value: u64) {
    if value != 0 {
        out.key(key);
        out.u64(value);
    }
}

fn splice(out: &mut DocWriter, key: &str, doc: &[u8]) {
    if let Ok(value) = DocRef::parse(doc) {
        out.key(key);
        out.value(value);
    }
}

fn write_rest(head: &Head<'_>, out: &mut DocWriter) {
    text(out, "status_message", head.status_message);
    match head.status_code {
        0 | 2 => {}
        1 => text(out, "status_code", "ok"),
        other => count(out, "status_code", other),
    }
    let kinds = ["", "internal", "server", "client", "producer", "consumer"];
    match usize::try_from(head.kind).ok().and_then(|k| kinds.get(k)) {
        Some(kind) => text(out, "otel_kind", kind),
        None => count(out, "otel_kind", head.kind),
    }
    text(out, "trace_state", head.trace_state);
    count(out, "flags", u64::from(head.flags));
    let names = [
        "dropped_attributes_count",
        "dropped_events_count",
        "dropped_links_count",
    ];
    for (name, n) in names.into_iter().zip(head.dropped) {
        count(out, name, n);
    }
}

/// The status message, else the last exception, else what an attribute says.
fn write_error(head: &Head<'_>, known: &Known<'_>, out: &mut DocWriter) -> Result<(), Bad> {
    if !head.status_message.is_empty() {
        text(out, model::ERROR_MESSAGE, head.status_message);
        return Ok(());
    }
    let mut message = None;
    let events = head.events.into_iter().flatten().flatten();
    for field in events.filter(|f| f.number == 11) {
        message = exception(field)?.or(message);
    }
    let message = message.as_deref().or(known.error()).unwrap_or("");
    text(out, model::ERROR_MESSAGE, message);
    Ok(())
}

/// `Type: message` of a span event named `exception`.
fn exception(event: Field<'_>) -> Result<Option<String>, Bad> {
    let (mut is_exception, mut kind, mut message) = (false, "", "");
    for field in event.message().map_err(named("events"))? {
        let field = field.map_err(named("events"))?;
        if field.number == 2 {
            is_exception = field.text().map_err(named("events.name"))? == "exception";
        } else if field.number == 3 {
            match key_value(field, "events.attributes")? {
                ("exception.type", Any::Str(s)) => kind = s,
                ("exception.message", Any::Str(s)) => message = s,
                _ => {}
            }
        }
    }
    Ok(exception_text(kind, message).filter(|_| is_exception))
}

/// `Type: message`, or the one of both that there is.
pub(super) fn exception_text(kind: &str, message: &str) -> Option<String> {
    let both = [kind, message]
        .into_iter()
        .filter(|s| !s.is_empty())
        .collect::<Vec<_>>();
    Some(both.join(": ")).filter(|s| !s.is_empty())
}

type WritePart = fn(Fields<'_>, &mut DocWriter) -> Result<(), Bad>;

fn write_each(
    fields: Fields<'_>,
    number: u32,
    name: &str,
    out: &mut DocWriter,
    write: WritePart,
) -> Result<(), Bad> {
    out.key(name);
    let list = out.begin_array();
    for field in fields {
        let field = field.map_err(named("span"))?;
        if field.number == number {
            let open = out.begin_map();
            write(field.message().map_err(named(name))?, out)?;
            out.end(open);
        }
    }
    out.end(list);
    Ok(())
}

fn write_span_event(fields: Fields<'_>, out: &mut DocWriter) -> Result<(), Bad> {
    let (mut ns, mut name, mut dropped) = (0, "", 0);
    for field in fields {
        let field = field.map_err(named("events"))?;
        match field.number {
            1 => ns = field.fixed64().map_err(named("events.time_unix_nano"))?,
            2 => name = field.text().map_err(named("events.name"))?,
            4 => {
                dropped = field
                    .varint()
                    .map_err(named("events.dropped_attributes_count"))?;
            }
            _ => {}
        }
    }
    text(out, "name", name);
    count(out, "time_unix_nano", ns);
    out.key("attributes");
    write_attributes(fields, 3, "events.attributes", out, |_| {})?;
    count(out, "dropped_attributes_count", dropped);
    Ok(())
}

fn write_link(fields: Fields<'_>, out: &mut DocWriter) -> Result<(), Bad> {
    let (mut flags, mut dropped) = (0, 0);
    for field in fields {
        let field = field.map_err(named("links"))?;
        match field.number {
            1 => {
                let id = field.bytes().map_err(named("links.trace_id"))?;
                text(out, "trace_id", Hex::of("links.trace_id", id)?.as_str());
            }
            2 => {
                let id = field.bytes().map_err(named("links.span_id"))?;
                text(out, "span_id", Hex::of("links.span_id", id)?.as_str());
            }
            3 => text(
                out,
                "trace_state",
                field.text().map_err(named("links.trace_state"))?,
            ),
            5 => {
                dropped = field
                    .varint()
                    .map_err(named("links.dropped_attributes_count"))?;
            }
            6 => flags = field.fixed32().map_err(named("links.flags"))?,
            _ => {}
        }
    }
    out.key("attributes");
    write_attributes(fields, 4, "links.attributes", out, |_| {})?;
    count(out, "flags", u64::from(flags));
    count(out, "dropped_attributes_count", dropped);
    Ok(())
}
