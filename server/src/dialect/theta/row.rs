//! What a trace, a step, an envelope and an event have in common on their way into a row.

use bytes::Bytes;
use obsrv_engine::doc::{DocRef, DocWriter, Open};
use obsrv_engine::model;
use obsrv_engine::row::{Event, RowKey, Table};

use super::check::{Want, time_of, whole};
use super::trace::{EXTRA, ORDER, OWN_FIELDS, Outcome, STATUS_SENT};
use crate::dialect::format_micros;

/// Keys of a row that a sender's unknown key must not take: such a one goes into `extra`.
const RESERVED: [&str; 21] = [
    model::BLOBS,
    model::OFFLOADED,
    model::COST,
    model::COST_SOURCE,
    model::COST_UNKNOWN,
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
