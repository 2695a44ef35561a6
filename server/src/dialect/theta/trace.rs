//! A theta trace → one event for its run, one per step, one per annotation.

use bytes::Bytes;
use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::model::{self, status};
use obsrv_engine::row::{Event, RowKey, Table};

use super::Build;
use super::check::{self, check, time_of, whole};
use super::score::{self, Source};
use crate::dialect::bad::Bad;
use crate::dialect::{DecodeError, format_micros, version_of};

/// Keys of a row that a sender's unknown key must not take: such a one goes into `extra`.
const RESERVED: [&str; 16] = [
    model::DIALECT,
    model::PARENT_ID,
    model::ROOT,
    model::TOOL,
    model::SERVICE,
    model::TOKENS,
    model::ATTRIBUTES,
    model::RESOURCE,
    model::ROLLUP,
    "resource_info",
    "scope",
    "has_error",
    ORDER,
    OWN_FIELDS,
    STATUS_SENT,
    EXTRA,
];

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

/// The model's kinds.
pub(super) const KINDS: [&str; 13] = [
    "llm",
    "tool",
    "retrieval",
    "agent",
    "chain",
    "embedding",
    "guardrail",
    "robotics",
    "human",
    "file",
    "sandbox",
    "annotation",
    "custom",
];

/// When something began and ended, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome<'a> {
    pub(super) start_ns: Option<i64>,
    pub(super) end_ns: Option<i64>,
    pub(super) status: Option<&'static str>,
    sent: Option<&'a str>,
}

impl<'a> Outcome<'a> {
    pub(super) fn of(doc: DocRef<'a>) -> Self {
        let start_ns = time_of(doc.get("started_at"));
        let latency = doc.get("latency_ms").and_then(whole).filter(|ms| *ms >= 0);
        let sent = doc.get(model::STATUS).and_then(DocRef::as_str);
        let status = sent.and_then(status_of);
        let derived = latency
            .filter(|_| status != Some(status::RUNNING))
            .and_then(|ms| start_ns?.checked_add(ms.checked_mul(1_000_000)?));
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

    pub(super) fn write(&self, out: &mut DocWriter) {
        if let Some(status) = self.status {
            out.key(model::STATUS);
            out.str(status);
        }
        if let Some(sent) = self.sent.filter(|s| Some(*s) != self.status) {
            out.key(STATUS_SENT);
            out.str(sent);
        }
    }
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
    let steps = match doc.get("steps") {
        None | Some(DocRef::Null) => Ok(None),
        Some(DocRef::Array(items)) => Ok(Some(items)),
        Some(_) => Err(Bad::new("steps", "expected a list")),
    };
    let steps = match check(doc, &check::TRACE).and(steps) {
        Ok(steps) => steps,
        Err(bad) => {
            build.refuse(index, "trace", sent_id.map(str::to_owned), &bad);
            return Ok(());
        }
    };
    let trace_id = sent_id.map_or_else(|| build.mint("tr_", index, None), str::to_owned);
    build.name_project(doc);
    build.decoded.events.push(run(&trace_id, doc));
    build.accept(index, "trace", trace_id.clone(), None);
    annotations(build, &trace_id, None, doc)?;
    for (place, step) in steps.into_iter().flatten().flatten().enumerate() {
        build.count()?;
        if let Err(mut bad) = check(step, &check::STEP) {
            bad.field = format!("steps[{place}].{}", bad.field);
            build.refuse(place, "step", Some(trace_id.clone()), &bad);
            continue;
        }
        let id = step
            .get("step_id")
            .and_then(DocRef::as_str)
            .map(str::to_owned);
        let id = id.unwrap_or_else(|| build.mint("st_", index, Some(place)));
        build.decoded.events.push(span(&trace_id, &id, place, step));
        annotations(build, &trace_id, Some(&id), step)?;
    }
    Ok(())
}

fn annotations(
    build: &mut Build<'_>,
    trace_id: &str,
    step_id: Option<&str>,
    doc: DocRef<'_>,
) -> Result<(), DecodeError> {
    let Some(DocRef::Array(items)) = doc.get("annotations") else {
        return Ok(());
    };
    for (place, annotation) in items.flatten().enumerate() {
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

fn run(trace_id: &str, doc: DocRef<'_>) -> Event {
    let outcome = Outcome::of(doc).or_derived(doc);
    let mut out = DocWriter::new();
    let open = out.begin_map();
    out.key(model::DIALECT);
    out.str("theta");
    outcome.write(&mut out);
    out.key(OWN_FIELDS);
    out.i64(own_fields(doc));
    write_fields(doc, &check::TRACE, &["trace_id", "steps"], &mut out);
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
        partial: false,
        doc: Bytes::from(out.finish()),
    }
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

fn span(trace_id: &str, id: &str, place: usize, step: DocRef<'_>) -> Event {
    let outcome = Outcome::of(step).or_derived(step);
    let mut out = DocWriter::new();
    let open = out.begin_map();
    out.key(model::DIALECT);
    out.str("theta");
    outcome.write(&mut out);
    write_order(place, &mut out);
    let sent = step
        .get("type")
        .and_then(DocRef::as_str)
        .unwrap_or("custom");
    let kind = write_kind(sent, "type", &mut out);
    if let Some(parent) = step.get("parent_step_id").and_then(DocRef::as_str) {
        out.key(model::PARENT_ID);
        out.str(parent);
    }
    if kind == "tool"
        && let Some(tool) = tool_name(step)
    {
        out.key(model::TOOL);
        out.str(tool);
    }
    let moved = ["step_id", "parent_step_id", "type"];
    write_fields(step, &check::STEP, &moved, &mut out);
    out.end(open);
    Event {
        table: Table::Spans,
        key: RowKey {
            trace_id: trace_id.into(),
            id: id.into(),
        },
        start_ns: outcome.start_ns,
        end_ns: outcome.end_ns,
        version: outcome.version(),
        partial: false,
        doc: Bytes::from(out.finish()),
    }
}

pub(super) fn write_order(place: usize, out: &mut DocWriter) {
    out.key(ORDER);
    out.u64(u64::try_from(place).unwrap_or(u64::MAX));
}

/// Writes the kind; a word that is none of the model's is kept under `key`.
pub(super) fn write_kind<'a>(sent: &'a str, key: &str, out: &mut DocWriter) -> &'a str {
    let kind = if KINDS.contains(&sent) {
        sent
    } else {
        "custom"
    };
    out.key(model::KIND);
    out.str(kind);
    if kind != sent {
        out.key(key);
        out.str(sent);
    }
    kind
}

fn tool_name(step: DocRef<'_>) -> Option<&str> {
    let first_call = match step.get("tool_calls") {
        Some(DocRef::Array(mut calls)) => calls.next().and_then(Result::ok),
        _ => None,
    };
    let name = first_call
        .and_then(|c| c.get("name"))
        .or(step.get("name"))?;
    name.as_str().filter(|n| !n.is_empty())
}

/// Writes the fields of a trace, a step, an envelope or an event under the names of the model,
/// but for status and `moved`, which the caller writes.
pub(super) fn write_fields(
    doc: DocRef<'_>,
    known: &[(&str, check::Want)],
    moved: &[&str],
    out: &mut DocWriter,
) {
    let mut extra = Vec::new();
    for (key, value) in doc.entries().into_iter().flatten().flatten() {
        let is_known = known.iter().any(|(k, _)| *k == key);
        match key {
            _ if moved.contains(&key) || key == model::STATUS => {}
            _ if is_known && value == DocRef::Null => {}
            "started_at" | "ended_at" if is_canonical_time(value) => {}
            "project_id" if value == DocRef::Str("") => {}
            "token_usage" if is_known => write_tokens(value, out),
            _ if RESERVED.contains(&key) || (key == model::KIND && !is_known) => {
                extra.push((key, value));
            }
            _ => {
                out.key(key);
                out.value(value);
            }
        }
    }
    if !extra.is_empty() {
        out.key(EXTRA);
        let open = out.begin_map();
        for (key, value) in extra {
            out.key(key);
            out.value(value);
        }
        out.end(open);
    }
}

/// Whether the row's own time gives this text back.
fn is_canonical_time(value: DocRef<'_>) -> bool {
    let (Some(text), Some(ns)) = (value.as_str(), time_of(Some(value))) else {
        return false;
    };
    format_micros(ns) == text
}

fn write_tokens(usage: DocRef<'_>, out: &mut DocWriter) {
    out.key(model::TOKENS);
    let open = out.begin_map();
    for (key, value) in usage.entries().into_iter().flatten().flatten() {
        match whole(value).filter(|_| ["input", "output", "total"].contains(&key)) {
            Some(n) => {
                out.key(key);
                out.i64(n);
            }
            None if value == DocRef::Null => {}
            None => {
                out.key(key);
                out.value(value);
            }
        }
    }
    out.end(open);
}
