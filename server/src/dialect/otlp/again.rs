//! Rows that came as OTLP, by today's mapping: what was sent stands in their documents and stays there byte for
//! byte, and the facts that the mapping finds in it are found again.
//!
//! What is not derived again: ids, the run that a span or a record stands in, times, and that a record of Logfire stands
//! for the open span above it. These say which row it is, and links, scores and files go by that.

use obsrv_engine::doc::{DocRef, DocWriter, Entries};
use obsrv_engine::model::{self, status};
use obsrv_engine::row::Table;

use super::agents::Facts;
use super::known::{Known, PROVIDER};
use super::log;
use super::span::{self, OTEL_TRACE_ID, Origin, text};
use super::value::{Any, Attribute};
use super::wire::Fields;
use crate::dialect::ID_BYTES_MAX;
use crate::dialect::place::Said;

/// What follows from attributes and resource, in every table.
const DERIVED: [&str; 15] = [
    model::SERVICE,
    model::ENVIRONMENT,
    model::VERSION,
    model::RELEASE,
    model::REGION,
    model::MODEL,
    model::TOOL,
    PROVIDER,
    model::USER_ID,
    model::GROUP,
    model::TOKENS,
    model::COST_USD,
    model::TAGS,
    model::METADATA,
    model::REPEATS,
];

/// What else does, of spans and of log records.
const DERIVED_OF_SPANS: [&str; 3] = [model::KIND, model::ERROR_MESSAGE, OTEL_TRACE_ID];
const DERIVED_OF_LOGS: [&str; 6] = [
    model::NAME,
    model::LEVEL,
    model::STATUS,
    model::ERROR_MESSAGE,
    model::SPAN_ID,
    OTEL_TRACE_ID,
];

/// The document of a row of this table by today's mapping; `None` if it holds no attributes as OTLP has them.
pub(in crate::dialect) fn map(table: Table, doc: DocRef<'_>) -> Option<Vec<u8>> {
    let (also, write): (&[&str], WriteFacts) = match table {
        Table::Spans => (&DERIVED_OF_SPANS, of_span),
        Table::Logs => (&DERIVED_OF_LOGS, of_log),
        Table::Points => (&[], of_point),
        Table::Runs | Table::Scores => return None,
    };
    let is_kept = |key: &str| !DERIVED.contains(&key) && !also.contains(&key);
    let attributes = doc.get(model::ATTRIBUTES)?.entries()?;
    let mut entries = doc.entries()?.map_while(Result::ok);
    let mut out = DocWriter::new();
    let open = out.begin_map();
    for (key, value) in entries
        .by_ref()
        .take_while(|(k, _)| *k != model::ATTRIBUTES)
    {
        keep((key, value), is_kept(key), &mut out);
    }
    out.key(model::ATTRIBUTES);
    let place = write(doc, &note(attributes, &mut out), &mut out);
    let of_all = Said::of_resource(doc.get(model::RESOURCE));
    place.and(of_all).write(&mut out);
    text(&mut out, model::SERVICE, service(doc).unwrap_or(""));
    for (key, value) in entries {
        keep((key, value), is_kept(key), &mut out);
    }
    out.end(open);
    Some(out.finish())
}

/// Writes what attributes say, behind them. Gives where it ran.
type WriteFacts = for<'a> fn(DocRef<'a>, &[Attribute<'a>], &mut DocWriter) -> Said<'a>;

fn keep((key, value): (&str, DocRef<'_>), is_kept: bool, out: &mut DocWriter) {
    if is_kept {
        out.key(key);
        out.value(value);
    }
}

/// Writes a map of these attributes, as it stands.
fn note<'a>(attributes: Entries<'a>, out: &mut DocWriter) -> Vec<Attribute<'a>> {
    let open = out.begin_map();
    let mut noted = Vec::new();
    for (key, value) in attributes.map_while(Result::ok) {
        out.key(key);
        let start = out.len();
        out.value(value);
        let written = (start, out.len());
        let any = any_of(value);
        noted.push(Attribute { key, any, written });
    }
    out.end(open);
    noted
}

/// As the mapping sees a value: into lists and maps it does not look.
fn any_of(value: DocRef<'_>) -> Any<'_> {
    match value {
        DocRef::Null | DocRef::U64(_) => Any::Empty,
        DocRef::Bool(b) => Any::Bool(b),
        DocRef::I64(n) => Any::I64(n),
        DocRef::F64(n) => Any::F64(n),
        DocRef::Str(s) => Any::Str(s),
        DocRef::Bytes(b) => Any::Bytes(b),
        DocRef::Array(_) => Any::Array(Fields::new(&[], 0)),
        DocRef::Map(_) => Any::Map(Fields::new(&[], 0)),
    }
}

fn text_of<'a>(doc: DocRef<'a>, key: &str) -> Option<&'a str> {
    doc.get(key).and_then(DocRef::as_str)
}

fn service(doc: DocRef<'_>) -> Option<&str> {
    let resource = doc.get(model::RESOURCE)?.entries()?.map_while(Result::ok);
    let named = resource.filter(|(key, _)| *key == "service.name");
    named.filter_map(|(_, value)| value.as_str()).last()
}

fn of_span<'a>(doc: DocRef<'a>, attributes: &[Attribute<'a>], out: &mut DocWriter) -> Said<'a> {
    let scope = doc.get("scope").and_then(|scope| text_of(scope, "name"));
    let origin = Origin::of(scope.unwrap_or(""));
    let (mut known, mut agent) = (Known::of_scope(origin.is_mlflow), Facts::default());
    for attribute in attributes {
        known.note(*attribute);
        if origin.is_agent {
            agent.note(*attribute);
        }
    }
    span::write_facts(origin, &known, &agent, out);
    text(
        out,
        OTEL_TRACE_ID,
        text_of(doc, OTEL_TRACE_ID).unwrap_or(""),
    );
    if text_of(doc, model::STATUS) == Some(status::ERROR) {
        let stated = text_of(doc, "status_message").map(str::to_owned);
        let said = stated.or_else(|| exception(doc));
        let said = said.as_deref().or(known.error());
        text(out, model::ERROR_MESSAGE, said.unwrap_or(""));
    }
    known.place()
}

/// What the last event that is an exception says.
fn exception(doc: DocRef<'_>) -> Option<String> {
    let DocRef::Array(events) = doc.get("events")? else {
        return None;
    };
    let events = events.map_while(Result::ok);
    let exceptions = events.filter(|event| text_of(*event, "name") == Some("exception"));
    let says = |event: DocRef<'_>| {
        let (mut kind, mut message) = ("", "");
        for (key, value) in event.get("attributes")?.entries()?.map_while(Result::ok) {
            match (key, value) {
                ("exception.type", DocRef::Str(s)) => kind = s,
                ("exception.message", DocRef::Str(s)) => message = s,
                _ => {}
            }
        }
        span::exception_text(kind, message)
    };
    exceptions.filter_map(says).last()
}

fn of_log<'a>(doc: DocRef<'a>, attributes: &[Attribute<'a>], out: &mut DocWriter) -> Said<'a> {
    let (mut known, mut agent) = (Known::default(), Facts::default());
    let mut names = log::Names::default();
    for attribute in attributes {
        names.note(*attribute);
        known.note(*attribute);
        agent.note(*attribute);
    }
    let severity = doc.get("severity_number").and_then(DocRef::as_i64);
    let severity = severity.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    let severity_text = text_of(doc, "severity_text").unwrap_or("");
    text(out, model::LEVEL, names.level(severity, severity_text));
    let short = |id: &&str| id.len() <= ID_BYTES_MAX;
    let span_id = text_of(doc, model::SPAN_ID).or(names.span_id.filter(short));
    text(out, model::SPAN_ID, span_id.unwrap_or(""));
    text(
        out,
        OTEL_TRACE_ID,
        text_of(doc, OTEL_TRACE_ID).unwrap_or(""),
    );
    let body = text_of(doc, model::BODY).unwrap_or("");
    let event_name = text_of(doc, "event_name").unwrap_or("");
    log::write_facts((event_name, body), &names, (&known, &agent), out);
    known.place()
}

fn of_point<'a>(_: DocRef<'a>, attributes: &[Attribute<'a>], out: &mut DocWriter) -> Said<'a> {
    let mut known = Known::default();
    attributes.iter().for_each(|a| known.note(*a));
    known.write(out);
    known.place()
}

/// The document without what is derived of it.
#[cfg(test)]
pub(super) fn stripped(table: Table, doc: DocRef<'_>) -> Vec<u8> {
    let also: &[&str] = match table {
        Table::Spans => &DERIVED_OF_SPANS[..2],
        // What came beside it is kept under other names, but for the span.
        Table::Logs => &DERIVED_OF_LOGS[..4],
        _ => &[],
    };
    let mut out = DocWriter::new();
    let open = out.begin_map();
    for (key, value) in doc.entries().into_iter().flatten().flatten() {
        keep(
            (key, value),
            !DERIVED.contains(&key) && !also.contains(&key),
            &mut out,
        );
    }
    out.end(open);
    out.finish()
}
