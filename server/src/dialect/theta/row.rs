//! What a trace, a step, an envelope and an event have in common on their way into a row.

use bytes::Bytes;
use obsrv_engine::doc::{DocRef, DocWriter, Open};
use obsrv_engine::model;
use obsrv_engine::row::{Event, RowKey, Table};

use super::check::{Want, time_of, whole};
use super::trace::{EXTRA, NOT_SENT, ORDER, OWN_FIELDS, OWN_OF_ENVELOPE, Outcome, STATUS_SENT};
use crate::dialect::format_micros;
use crate::dialect::place::{self, Said};

/// Keys of a row that a sender's unknown key must not take: such a one goes into `extra`.
const RESERVED: [&str; 23] = [
    model::BLOBS,
    model::OFFLOADED,
    model::COST,
    model::COST_SOURCE,
    model::COST_UNKNOWN,
    model::DIALECT,
    model::KEY_ID,
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
    NOT_SENT,
    STATUS_SENT,
    EXTRA,
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

/// The identity of a row.
pub(super) fn key(trace_id: &str, id: &str) -> RowKey {
    RowKey {
        trace_id: trace_id.into(),
        id: id.into(),
    }
}

/// Writes the document of one row.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) out: DocWriter,
    open: Open,
}

impl Writer {
    /// A document that says how something ended.
    pub(super) fn new(outcome: &Outcome<'_>) -> Self {
        let mut out = DocWriter::new();
        let open = out.begin_map();
        let mut row = Self { out, open };
        row.text(model::DIALECT, Some("theta"));
        row.text(model::STATUS, outcome.status);
        let sent = outcome.sent.filter(|s| Some(*s) != outcome.status);
        row.text(STATUS_SENT, sent);
        row
    }

    /// A text, if there is one.
    pub(super) fn text(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.out.key(key);
            self.out.str(text);
        }
    }

    /// The place in the list that it came in.
    pub(super) fn order(&mut self, place: usize) {
        self.out.key(ORDER);
        self.out.u64(u64::try_from(place).unwrap_or(u64::MAX));
    }

    /// The kind; a word that is none of the model's is kept under `key`.
    pub(super) fn kind<'a>(&mut self, sent: &'a str, key: &str) -> &'a str {
        let kind = if KINDS.contains(&sent) {
            sent
        } else {
            "custom"
        };
        self.text(model::KIND, Some(kind));
        self.text(key, Some(sent).filter(|sent| *sent != kind));
        kind
    }

    /// The fields of a trace, a step, an envelope or an event under the names of the model, but
    /// for status and `moved`, which the caller writes.
    pub(super) fn fields(&mut self, doc: DocRef<'_>, known: &[(&str, Want)], moved: &[&str]) {
        let out = &mut self.out;
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

    /// Where a step ran: as it says, else as its metadata does, else as its run does.
    pub(super) fn place(&mut self, doc: DocRef<'_>, of_run: Said<'_>) {
        let said = Said::of_metadata(doc.get(model::METADATA)).or(of_run);
        let beside = said.beside(doc);
        beside.write(&mut self.out);
        not_sent(Some(beside.bits()).filter(|bits| *bits != 0), &mut self.out);
    }

    /// Where a run ran: as it says, else as its metadata does.
    pub(super) fn place_of_run(&mut self, doc: DocRef<'_>, is_envelope: bool) {
        let beside = Said::of_metadata(doc.get(model::METADATA)).beside(doc);
        beside.write(&mut self.out);
        let others = place::ALL & !Said::bits_of(doc);
        let bits = if is_envelope { beside.bits() } else { others };
        not_sent(Some(bits), &mut self.out);
    }

    /// The event that says it.
    pub(super) fn event(
        mut self,
        table: Table,
        key: RowKey,
        outcome: &Outcome<'_>,
        partial: bool,
    ) -> Event {
        self.out.end(self.open);
        Event {
            table,
            key,
            start_ns: outcome.start_ns,
            end_ns: outcome.end_ns,
            version: outcome.version(),
            partial,
            doc: Bytes::from(self.out.finish()),
        }
    }
}

fn not_sent(bits: Option<i64>, out: &mut DocWriter) {
    if let Some(bits) = bits {
        out.key(NOT_SENT);
        out.i64(bits);
    }
}

/// The document of a step or a run by today's mapping: what the trace says of a step that came before there were these fields
/// is not in the step.
pub(in crate::dialect) fn map(doc: DocRef<'_>) -> Vec<u8> {
    let mut out = DocWriter::new();
    let open = out.begin_map();
    for (key, value) in doc.entries().into_iter().flatten().flatten() {
        if key != NOT_SENT {
            out.key(key);
            out.value(value);
        }
    }
    let beside = Said::of_metadata(doc.get(model::METADATA)).beside(doc);
    beside.write(&mut out);
    let number = |key| doc.get(key).and_then(DocRef::as_i64);
    let known = number(NOT_SENT).map(|bits| bits | beside.bits());
    let bits = known.or(match number(OWN_FIELDS) {
        Some(OWN_OF_ENVELOPE) => Some(beside.bits()),
        Some(_) => Some(place::ALL & !Said::bits_of(doc)),
        None => Some(beside.bits()).filter(|bits| *bits != 0),
    });
    not_sent(bits, &mut out);
    out.end(open);
    out.finish()
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
