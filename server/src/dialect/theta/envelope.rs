//! A canonical envelope → an overlay of its run and one span per event.

use std::collections::HashMap;

use obsrv_engine::doc::DocRef;
use obsrv_engine::model::{self, status};
use obsrv_engine::row::{Event, RowKey, Table};

use super::Build;
use super::check::{self, check};
use super::row::{KINDS, Writer, key};
use super::trace::{OWN_FIELDS, OWN_OF_ENVELOPE, Outcome, place_of};
use crate::dialect::DecodeError;
use crate::dialect::place::Said;

/// Reads item `index` of the body as an envelope.
pub(super) fn read(
    build: &mut Build<'_>,
    index: usize,
    doc: DocRef<'_>,
) -> Result<(), DecodeError> {
    build.count()?;
    let sent_id = doc.get("trace_id").and_then(DocRef::as_str);
    if let Err(bad) = check(doc, &check::ENVELOPE) {
        build.refuse(index, "envelope", sent_id.map(str::to_owned), &bad);
        return Ok(());
    }
    let trace_id = sent_id.map_or_else(|| build.mint("tr_", index, None), str::to_owned);
    build.name_project(doc);
    let outcome = Outcome::of(doc);
    let start_ns = outcome.begun(doc, build.ctx.received_ns);
    build.decoded.events.push(run(&trace_id, doc, &outcome));
    let of_run = place_of(doc);
    build.accept(index, "envelope", trace_id.clone(), None);
    // The span that stands for a step: the step's first event.
    let mut steps: HashMap<String, String> = HashMap::new();
    for (place, event) in check::items(doc, "events").enumerate() {
        build.count()?;
        if let Err(mut bad) = check(event, &check::EVENT) {
            bad.field = format!("events[{place}].{}", bad.field);
            build.refuse(place, "event", Some(trace_id.clone()), &bad);
            continue;
        }
        let id = text(event, "event_id").map(str::to_owned);
        let id = id.unwrap_or_else(|| build.mint("ev_", index, Some(place)));
        let parent = parent(event, &steps);
        let key = key(&trace_id, &id);
        let row = span(key, (place, parent.as_deref()), event, (start_ns, of_run));
        build.decoded.events.push(row);
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

fn run(trace_id: &str, doc: DocRef<'_>, outcome: &Outcome<'_>) -> Event {
    let mut row = Writer::new(outcome);
    // An overlay cannot know what the rest of the run says itself.
    row.out.key(OWN_FIELDS);
    row.out.i64(OWN_OF_ENVELOPE);
    let group = doc.get(model::GROUP).filter(|v| *v != DocRef::Null);
    let session = text(doc, "session_id").filter(|_| group.is_none());
    row.text(model::GROUP, session);
    row.fields(doc, &check::ENVELOPE, &["trace_id", "events"]);
    row.place_of_run(doc, true);
    row.event(Table::Runs, key(trace_id, trace_id), outcome, true)
}

fn span(
    key: RowKey,
    (place, parent): (usize, Option<&str>),
    event: DocRef<'_>,
    (run_start_ns, of_run): (i64, Said<'_>),
) -> Event {
    let mut outcome = Outcome::of(event);
    outcome.start_ns = Some(outcome.begun(event, run_start_ns));
    // An event is a point: it is over unless it says that it is not.
    outcome.status = outcome.status.or(Some(status::SUCCESS));
    let mut row = Writer::new(&outcome);
    row.order(place);
    let kind = row.kind(kind(event), "step_type");
    row.text(model::PARENT_ID, parent);
    let tool = event.at(&["tool_call", "name"]).and_then(DocRef::as_str);
    let tool = tool.filter(|t| kind == "tool" && !t.is_empty());
    row.text(model::TOOL, tool);
    let moved = ["event_id", "parent_event_id", "step_type"];
    row.fields(event, &check::EVENT, &moved);
    row.place(event, of_run);
    row.event(Table::Spans, key, &outcome, false)
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
