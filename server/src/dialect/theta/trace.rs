//! A theta trace → one event for its run, one per step, one per annotation.

use obsrv_engine::doc::DocRef;
use obsrv_engine::model::{self, status};
use obsrv_engine::row::{Event, RowKey, Table};

use super::Build;
use super::check::{self, check, time_of, whole};
use super::row::{Writer, key};
use super::score::{self, Source};
use crate::dialect::place::Said;
use crate::dialect::{DecodeError, version_of};

/// Unknown keys whose names mean something else in a row.
pub(in crate::dialect) const EXTRA: &str = "extra";
/// The status in the sender's words, if they are not the model's.
pub(in crate::dialect) const STATUS_SENT: &str = "status_sent";
/// Place of a step in its trace's list, which is not the order of creation.
pub(in crate::dialect) const ORDER: &str = "order";
/// Which of [`OWN`] the trace said itself, as bits: a run's row also has what its spans say.
pub(in crate::dialect) const OWN_FIELDS: &str = "own_fields";

/// Fields of a run that may come from its spans, in the order of the bits of [`OWN_FIELDS`].
/// Persisted: append only.
pub(in crate::dialect) const OWN: [&str; 12] = [
    model::NAME,
    model::ERROR_MESSAGE,
    model::USER_ID,
    model::GROUP,
    model::SERVICE,
    model::MODEL,
    model::TAGS,
    model::METADATA,
    model::TOKENS,
    model::COST_USD,
    "started_at",
    "ended_at",
];

/// Which of [`model::PLACE`] did not come under their own names, as bits in that order: a step may have them of what the
/// user attached or of its trace, a run of its steps, too.
pub(in crate::dialect) const NOT_SENT: &str = "not_sent";

/// What [`OWN_FIELDS`] says of an envelope, which cannot know what the rest of the run says itself.
pub(super) const OWN_OF_ENVELOPE: i64 = (1 << OWN.len()) - 1;

/// When something began and ended, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome<'a> {
    pub(super) start_ns: Option<i64>,
    pub(super) end_ns: Option<i64>,
    pub(super) status: Option<&'static str>,
    pub(super) sent: Option<&'a str>,
}

impl<'a> Outcome<'a> {
    pub(super) fn of(doc: DocRef<'a>) -> Self {
        let start_ns = time_of(doc.get("started_at"));
        let sent = doc.get(model::STATUS).and_then(DocRef::as_str);
        let status = sent.and_then(status_of);
        let derived = latency_ns(doc)
            .filter(|_| status != Some(status::RUNNING))
            .and_then(|latency| start_ns?.checked_add(latency));
        let end_ns = time_of(doc.get("ended_at")).or(derived);
        Self {
            start_ns,
            end_ns,
            status,
            sent,
        }
    }

    /// The status of something that must have one.
    fn or_derived(mut self, doc: DocRef<'_>) -> Self {
        let failed = doc
            .get(model::ERROR_MESSAGE)
            .is_some_and(|v| v != DocRef::Null);
        self.status = self.status.or(Some(match self.end_ns {
            _ if failed => status::ERROR,
            Some(_) => status::SUCCESS,
            None => status::RUNNING,
        }));
        self
    }

    pub(super) fn version(&self) -> u64 {
        let closed = self.status.is_some_and(|s| s != status::RUNNING);
        version_of(self.end_ns, closed)
    }

    /// When it began: as it says, else as its end and latency say, else at `known_ns` but not after
    /// its end.
    pub(super) fn begun(&self, doc: DocRef<'_>, known_ns: i64) -> i64 {
        let from_end = || Some(self.end_ns?.saturating_sub(latency_ns(doc)?));
        let latest = self.end_ns.unwrap_or(i64::MAX);
        self.start_ns
            .or_else(from_end)
            .unwrap_or(known_ns.min(latest))
    }
}

fn latency_ns(doc: DocRef<'_>) -> Option<i64> {
    let ms = doc.get("latency_ms").and_then(whole).filter(|ms| *ms >= 0);
    ms?.checked_mul(1_000_000)
}

/// The model's status for the words in use.
fn status_of(word: &str) -> Option<&'static str> {
    match word.to_ascii_lowercase().as_str() {
        "success" | "ok" | "completed" | "complete" | "succeeded" | "done" | "finished" => {
            Some(status::SUCCESS)
        }
        "error" | "failed" | "failure" | "errored" | "timeout" | "cancelled" | "canceled" => {
            Some(status::ERROR)
        }
        "running" | "in_progress" | "started" | "pending" | "queued" => Some(status::RUNNING),
        _ => None,
    }
}

/// Reads item `index` of the body as a trace.
pub(super) fn read(
    build: &mut Build<'_>,
    index: usize,
    doc: DocRef<'_>,
) -> Result<(), DecodeError> {
    build.count()?;
    let sent_id = doc.get("trace_id").and_then(DocRef::as_str);
    if let Err(bad) = check(doc, &check::TRACE) {
        build.refuse(index, "trace", sent_id.map(str::to_owned), &bad);
        return Ok(());
    }
    let trace_id = sent_id.map_or_else(|| build.mint("tr_", index, None), str::to_owned);
    build.name_project(doc);
    let outcome = Outcome::of(doc).or_derived(doc);
    let start_ns = outcome.begun(doc, build.ctx.received_ns);
    let at = build.decoded.events.len();
    build.decoded.events.push(run(&trace_id, doc, &outcome));
    let place = place_of(doc);
    build.accept(index, "trace", trace_id.clone(), None);
    annotations(build, &trace_id, None, doc)?;
    let mut has_spans = false;
    for (nth, step) in check::items(doc, "steps").enumerate() {
        build.count()?;
        if let Err(mut bad) = check(step, &check::STEP) {
            bad.field = format!("steps[{nth}].{}", bad.field);
            build.refuse(nth, "step", Some(trace_id.clone()), &bad);
            continue;
        }
        let id = step
            .get("step_id")
            .and_then(DocRef::as_str)
            .map(str::to_owned);
        let id = id.unwrap_or_else(|| build.mint("st_", index, Some(nth)));
        let event = span(key(&trace_id, &id), nth, step, (start_ns, place));
        build.decoded.events.push(event);
        has_spans = true;
        annotations(build, &trace_id, Some(&id), step)?;
    }
    // A run that has spans begins with the first of them.
    if let (false, Some(run)) = (has_spans, build.decoded.events.get_mut(at)) {
        run.start_ns = Some(start_ns);
    }
    Ok(())
}

fn annotations(
    build: &mut Build<'_>,
    trace_id: &str,
    step_id: Option<&str>,
    doc: DocRef<'_>,
) -> Result<(), DecodeError> {
    for (place, annotation) in check::items(doc, "annotations").enumerate() {
        build.count()?;
        if let Err(mut bad) = check(annotation, &check::ANNOTATION) {
            bad.field = format!("annotations[{place}].{}", bad.field);
            build.refuse(place, "annotation", Some(trace_id.to_owned()), &bad);
        } else {
            let event = score::event(trace_id, step_id, annotation, Source::Trace);
            build.decoded.events.push(event);
        }
    }
    Ok(())
}

fn run(trace_id: &str, doc: DocRef<'_>, outcome: &Outcome<'_>) -> Event {
    let mut row = Writer::new(outcome);
    row.out.key(OWN_FIELDS);
    row.out.i64(own_fields(doc));
    row.fields(doc, &check::TRACE, &["trace_id", "steps"]);
    row.place_of_run(doc, false);
    row.event(Table::Runs, key(trace_id, trace_id), outcome, false)
}

fn own_fields(doc: DocRef<'_>) -> i64 {
    OWN.iter().enumerate().fold(0, |bits, (i, key)| {
        let key = if *key == model::TOKENS {
            "token_usage"
        } else {
            key
        };
        let own = doc.get(key).is_some_and(|v| v != DocRef::Null) && key != model::SERVICE;
        bits | (i64::from(own) << i)
    })
}

/// Where a trace or what an envelope says ran.
pub(super) fn place_of(doc: DocRef<'_>) -> Said<'_> {
    Said::of_fields(doc).or(Said::of_metadata(doc.get(model::METADATA)))
}

fn span(
    key: RowKey,
    nth: usize,
    step: DocRef<'_>,
    (run_start_ns, of_run): (i64, Said<'_>),
) -> Event {
    let mut outcome = Outcome::of(step).or_derived(step);
    outcome.start_ns = Some(outcome.begun(step, run_start_ns));
    let mut row = Writer::new(&outcome);
    row.order(nth);
    let sent = step.get("type").and_then(DocRef::as_str);
    let kind = row.kind(sent.unwrap_or("custom"), "type");
    let parent = step.get("parent_step_id").and_then(DocRef::as_str);
    row.text(model::PARENT_ID, parent);
    row.text(model::TOOL, tool_name(step).filter(|_| kind == "tool"));
    let moved = ["step_id", "parent_step_id", "type"];
    row.fields(step, &check::STEP, &moved);
    row.place(step, of_run);
    row.event(Table::Spans, key, &outcome, false)
}

fn tool_name(step: DocRef<'_>) -> Option<&str> {
    let first_call = check::items(step, "tool_calls").next();
    let name = first_call
        .and_then(|c| c.get("name"))
        .or(step.get("name"))?;
    name.as_str().filter(|n| !n.is_empty())
}
