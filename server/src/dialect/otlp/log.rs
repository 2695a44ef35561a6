//! One OTLP log record → one event.
//!
//! A record has no identity of its own: it is named by what the request is (project, bytes) and its
//! place in it. So a request that comes again makes the same rows, and equal records of one request
//! are as many rows.

use bytes::Bytes;
use obsrv_engine::doc::DocWriter;
use obsrv_engine::model;
use obsrv_engine::row::{Event, RowKey, Table, outside_traces};

use super::agents;
use super::known::Known;
use super::span::{Hex, OTEL_TRACE_ID, Shared, count, text, time};
use super::value::{Any, Attribute, named, write_attributes};
use super::wire::{Field, Fields};
use crate::dialect::bad::Bad;
use crate::dialect::{Context, ID_BYTES_MAX};

/// The single-valued fields of a record.
#[derive(Clone, Copy, Debug, Default)]
struct Head<'a> {
    time: u64,
    observed: u64,
    severity: u64,
    severity_text: &'a str,
    body: Option<Fields<'a>>,
    dropped: u64,
    flags: u32,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    event_name: &'a str,
}

impl<'a> Head<'a> {
    fn take(&mut self, field: Field<'a>) -> Result<(), Bad> {
        match field.number {
            1 => self.time = field.fixed64().map_err(named("time_unix_nano"))?,
            2 => self.severity = field.varint().map_err(named("severity_number"))?,
            3 => self.severity_text = field.text().map_err(named("severity_text"))?,
            5 => self.body = Some(field.message().map_err(named("body"))?),
            7 => self.dropped = field.varint().map_err(named("dropped_attributes_count"))?,
            8 => self.flags = field.fixed32().map_err(named("flags"))?,
            9 => self.trace_id = field.bytes().map_err(named("trace_id"))?,
            10 => self.span_id = field.bytes().map_err(named("span_id"))?,
            11 => self.observed = field.fixed64().map_err(named("observed_time_unix_nano"))?,
            12 => self.event_name = field.text().map_err(named("event_name"))?,
            _ => {}
        }
        Ok(())
    }
}

/// What attributes say that a record has fields for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Names<'a> {
    event: Option<&'a str>,
    level: Option<&'a str>,
    pub(super) span_id: Option<&'a str>,
}

impl<'a> Names<'a> {
    /// Takes note of one attribute.
    pub(super) fn note(&mut self, attribute: Attribute<'a>) {
        match attribute.key {
            "event.name" => self.event = attribute.any.as_str(),
            "obtrace.log.level" => self.level = attribute.any.as_str(),
            "obtrace.span_id" => self.span_id = attribute.any.as_str(),
            _ => {}
        }
    }

    /// The level that the record's number or else its text means, or else an attribute's word.
    pub(super) fn level(&self, severity: u64, severity_text: &str) -> &'static str {
        let levels = ["trace", "debug", "info", "warn", "error", "fatal"];
        let by_number = severity.checked_sub(1).map(|n| n / 4);
        let by_number = by_number.and_then(|n| levels.get(usize::try_from(n).ok()?));
        let by_number = by_number.copied().unwrap_or("");
        let words = [severity_text, self.level.unwrap_or("")].map(level_named);
        let mut levels = [by_number, words[0], words[1]].into_iter();
        levels.find(|level| !level.is_empty()).unwrap_or("")
    }
}

fn level_named(word: &str) -> &'static str {
    const WORDS: [(&str, &str); 12] = [
        ("trace", "trace"),
        ("verbose", "trace"),
        ("debug", "debug"),
        ("info", "info"),
        ("information", "info"),
        ("notice", "info"),
        ("warn", "warn"),
        ("warning", "warn"),
        ("error", "error"),
        ("err", "error"),
        ("critical", "fatal"),
        ("fatal", "fatal"),
    ];
    let found = WORDS
        .iter()
        .find(|(sent, _)| sent.eq_ignore_ascii_case(word));
    found.map_or("", |(_, level)| level)
}

/// Reads one record, the one of this place in the request. Its document is written behind what `docs`
/// holds already, and is for the caller to put in, or to take back after an error.
pub(super) fn event(
    fields: Fields<'_>,
    shared: &Shared,
    (ctx, index): (&Context<'_>, usize),
    docs: &mut DocWriter,
) -> Result<Event, Bad> {
    let mut head = Head::default();
    for field in fields {
        head.take(field.map_err(named("log"))?)?;
    }
    let said = time("time_unix_nano", head.time)?;
    let observed = time("observed_time_unix_nano", head.observed)?;
    let own = if head.trace_id.iter().all(|b| *b == 0) {
        None
    } else {
        Some(Hex::of("trace_id", head.trace_id)?)
    };
    let own = own.as_ref().map(Hex::as_str);
    let known = document(&head, own, (fields, shared), docs)?;
    let trace_id = match known.run().or(own).or(known.trace()) {
        Some(id) => id.to_owned(),
        None => outside_traces(&ctx.mint("", u64::MAX)),
    };
    let (start_ns, version) = match said.or(observed) {
        Some(at) => (at, u64::MAX),
        // The first arrival stays.
        None => (
            ctx.received_ns,
            u64::MAX / 2 - u64::try_from(ctx.received_ns).unwrap_or(0),
        ),
    };
    Ok(Event {
        table: Table::Logs,
        key: RowKey {
            trace_id: trace_id.into(),
            id: ctx
                .mint("", u64::try_from(index).unwrap_or(u64::MAX))
                .into(),
        },
        start_ns: Some(start_ns),
        end_ns: None,
        version,
        partial: false,
        doc: Bytes::new(),
    })
}

fn document<'a>(
    head: &Head<'a>,
    trace_id: Option<&str>,
    (fields, shared): (Fields<'a>, &Shared),
    out: &mut DocWriter,
) -> Result<Known<'a>, Bad> {
    let mut known = Known::default();
    let (mut agent, mut names) = (agents::Facts::default(), Names::default());
    let open = out.begin_map();
    text(out, model::DIALECT, "otlp");
    let mut said = "";
    if let Some(body) = head.body {
        let body = Any::read(body).map_err(named(model::BODY))?;
        said = body.as_str().unwrap_or("");
        out.key(model::BODY);
        body.write(model::BODY, 0, out)?;
    }
    out.key(model::ATTRIBUTES);
    write_attributes(fields, 6, "attributes", out, |attribute: Attribute<'_>| {
        names.note(attribute);
        known.note(attribute);
        agent.note(attribute);
    })?;
    let level = names.level(head.severity, head.severity_text);
    text(out, model::LEVEL, level);
    if head.span_id.iter().all(|b| *b == 0) {
        let said = names.span_id.filter(|id| id.len() <= ID_BYTES_MAX);
        text(out, model::SPAN_ID, said.unwrap_or(""));
    } else {
        let id = Hex::of("span_id", head.span_id)?;
        text(out, model::SPAN_ID, id.as_str());
    }
    if let (Some(trace_id), Some(_)) = (trace_id, known.run()) {
        text(out, OTEL_TRACE_ID, trace_id);
    }
    write_facts((head.event_name, said), &names, (&known, &agent), out);
    shared.write(&known, out);
    text(out, "event_name", head.event_name);
    count(out, "severity_number", head.severity);
    text(out, "severity_text", head.severity_text);
    count(out, "time_unix_nano", head.time);
    count(out, "observed_time_unix_nano", head.observed);
    count(out, "flags", u64::from(head.flags));
    count(out, "dropped_attributes_count", head.dropped);
    out.end(open);
    Ok(known)
}

/// The name of the event and what the attributes say, into an open map; `said` is the text of the body.
pub(super) fn write_facts(
    (event_name, said): (&str, &str),
    names: &Names<'_>,
    (known, agent): (&Known<'_>, &agents::Facts<'_>),
    out: &mut DocWriter,
) {
    // Codex has a place in its source where the name of an event is due.
    let is_place = |name: &str| name.starts_with("event ") && name.contains(".rs:");
    let name = Some(event_name).filter(|name| !name.is_empty());
    let name = name
        .filter(|name| !is_place(name))
        .or(names.event)
        .or(name)
        .unwrap_or("");
    text(out, model::NAME, name);
    known.write(out);
    // Claude Code has the whole name of an event in its body alone.
    let event = if said.starts_with("claude_code.") {
        said
    } else {
        name
    };
    agent.write(event, known, out);
}
