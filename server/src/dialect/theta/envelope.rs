//! A canonical envelope → an overlay of its run and one span per event.

use std::collections::HashMap;

use bytes::Bytes;
use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::model::{self, status};
use obsrv_engine::row::{Event, RowKey, Table};

use super::Build;
use super::check::{self, check};
use super::trace::{KINDS, OWN, OWN_FIELDS, Outcome, write_fields, write_kind, write_order};
use crate::dialect::DecodeError;
use crate::dialect::bad::Bad;

/// Reads item `index` of the body as an envelope.
pub(super) fn read(
    build: &mut Build<'_>,
    index: usize,
    doc: DocRef<'_>,
) -> Result<(), DecodeError> {
    build.count()?;
    let sent_id = doc.get("trace_id").and_then(DocRef::as_str);
    let events = match doc.get("events") {
        None | Some(DocRef::Null) => Ok(None),
        Some(DocRef::Array(items)) => Ok(Some(items)),
        Some(_) => Err(Bad::new("events", "expected a list")),
    };
    let events = match check(doc, &check::ENVELOPE).and(events) {
        Ok(events) => events,
        Err(bad) => {
            build.refuse(index, "envelope", sent_id.map(str::to_owned), &bad);
            return Ok(());
        }
    };
    let trace_id = sent_id.map_or_else(|| build.mint("tr_", index, None), str::to_owned);
    build.name_project(doc);
    build.decoded.events.push(run(&trace_id, doc));
    build.accept(index, "envelope", trace_id.clone(), None);
    // The span that stands for a step: the step's first event.
    let mut steps: HashMap<String, String> = HashMap::new();
    for (place, event) in events.into_iter().flatten().flatten().enumerate() {
        build.count()?;
        if let Err(mut bad) = check(event, &check::EVENT) {
            bad.field = format!("events[{place}].{}", bad.field);
            build.refuse(place, "event", Some(trace_id.clone()), &bad);
            continue;
        }
        let id = text(event, "event_id").map(str::to_owned);
        let id = id.unwrap_or_else(|| build.mint("ev_", index, Some(place)));
        let parent = parent(event, &steps);
        let key = RowKey {
            trace_id: trace_id.as_str().into(),
            id: id.as_str().into(),
        };
        build
            .decoded
            .events
            .push(span(key, place, parent.as_deref(), event));
        if let Some(step) = text(event, "step_id") {
            steps.entry(step.to_owned()).or_insert(id);
        }
    }
    Ok(())
}

fn text<'a>(doc: DocRef<'a>, key: &str) -> Option<&'a str> {
    doc.get(key).and_then(DocRef::as_str)
}

/// The parent event, else the event that stands for the step, else for the step's parent.
fn parent(event: DocRef<'_>, steps: &HashMap<String, String>) -> Option<String> {
    let of_step = |key| text(event, key).and_then(|step| steps.get(step)).cloned();
    text(event, "parent_event_id")
        .map(str::to_owned)
        .or_else(|| of_step("step_id"))
        .or_else(|| of_step("parent_step_id"))
        .or_else(|| text(event, "parent_step_id").map(str::to_owned))
}

fn run(trace_id: &str, doc: DocRef<'_>) -> Event {
    let outcome = Outcome::of(doc);
    let mut out = DocWriter::new();
    let open = out.begin_map();
    out.key(model::DIALECT);
    out.str("theta");
    outcome.write(&mut out);
    // An overlay cannot know what the rest of the run says itself.
    out.key(OWN_FIELDS);
    out.i64((1 << OWN.len()) - 1);
    let group = doc.get(model::GROUP).filter(|v| *v != DocRef::Null);
    if let (None, Some(session)) = (group, text(doc, "session_id")) {
        out.key(model::GROUP);
        out.str(session);
    }
    write_fields(doc, &check::ENVELOPE, &["trace_id", "events"], &mut out);
    out.end(open);
    Event {
        table: Table::Runs,
        key: RowKey {
            trace_id: trace_id.into(),
            id: trace_id.into(),
        },
        start_ns: outcome.start_ns,
        end_ns: outcome.end_ns,
        version: outcome.version(),
        partial: true,
        doc: Bytes::from(out.finish()),
    }
}

fn span(key: RowKey, place: usize, parent: Option<&str>, event: DocRef<'_>) -> Event {
    let mut outcome = Outcome::of(event);
    // An event is a point: it is over unless it says that it is not.
    outcome.status = outcome.status.or(Some(status::SUCCESS));
    let mut out = DocWriter::new();
    let open = out.begin_map();
    out.key(model::DIALECT);
    out.str("theta");
    outcome.write(&mut out);
    write_order(place, &mut out);
    let kind = write_kind(kind(event), "step_type", &mut out);
    if let Some(parent) = parent {
        out.key(model::PARENT_ID);
        out.str(parent);
    }
    let tool = event.at(&["tool_call", "name"]).and_then(DocRef::as_str);
    if let Some(tool) = tool.filter(|t| kind == "tool" && !t.is_empty()) {
        out.key(model::TOOL);
        out.str(tool);
    }
    write_fields(
        event,
        &check::EVENT,
        &["event_id", "parent_event_id", "step_type"],
        &mut out,
    );
    out.end(open);
    Event {
        table: Table::Spans,
        key,
        start_ns: outcome.start_ns,
        end_ns: outcome.end_ns,
        version: outcome.version(),
        partial: false,
        doc: Bytes::from(out.finish()),
    }
}

/// The step's type, else what the event's own type says.
fn kind(event: DocRef<'_>) -> &str {
    let own = text(event, "type").unwrap_or("custom");
    let implied = match own {
        "tool_call" | "tool_result" => "tool",
        _ if KINDS.contains(&own) => own,
        _ => "custom",
    };
    text(event, "step_type").unwrap_or(implied)
}
