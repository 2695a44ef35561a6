//! Annotations → rows of the scores table.
//!
//! An annotation has no id, and clients send it twice: inside its trace and in a request of its
//! own, under slightly different names. Its id is a hash of what it says (trace, step, label,
//! score, comment, user and any unknown keys), so both make one row; each event overlays the
//! fields that it has. Two annotations that say the same are therefore one.

use bytes::Bytes;
use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::model;
use obsrv_engine::row::{Event, RowKey, Table};
use xxhash_rust::xxh3::Xxh3;

use super::check::time_of;

/// Where an annotation stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect) enum Source {
    /// In the body of its trace.
    Trace,
    /// In a request of its own.
    Request,
}

/// Keys that do not tell one annotation from another: when, how, and for what.
const NOT_CONTENT: [&str; 4] = ["created_at", "annotation_type", "step_id", "trace_id"];

/// The name of a field in a row.
fn row_key(key: &str) -> &str {
    if key == "user" { model::USER_ID } else { key }
}

/// The id of the row that an annotation makes.
pub(in crate::dialect) fn id(trace_id: &str, step_id: Option<&str>, doc: DocRef<'_>) -> String {
    let mut fields: Vec<(&str, DocRef<'_>)> = doc
        .entries()
        .into_iter()
        .flatten()
        .flatten()
        .filter(|(key, value)| *value != DocRef::Null && !NOT_CONTENT.contains(key))
        .map(|(key, value)| (row_key(key), value))
        .collect();
    fields.sort_by_key(|(key, _)| *key);
    let mut out = DocWriter::new();
    out.str(trace_id);
    out.str(step_id.unwrap_or(""));
    for (key, value) in fields {
        out.key(key);
        match value {
            // 1 and 1.0 are the same score.
            DocRef::I64(_) | DocRef::U64(_) | DocRef::F64(_) => {
                out.f64(value.as_f64().unwrap_or(0.0));
            }
            other => out.value(other),
        }
    }
    let mut hash = Xxh3::new();
    hash.update(&out.finish());
    format!("sc_{:032x}", hash.digest128())
}

/// The event of an annotation whose fields were checked.
pub(super) fn event(
    trace_id: &str,
    step_id: Option<&str>,
    doc: DocRef<'_>,
    source: Source,
) -> Event {
    let mut out = DocWriter::new();
    let open = out.begin_map();
    out.key(model::DIALECT);
    out.str("theta");
    if let Some(step_id) = step_id {
        out.key("step_id");
        out.str(step_id);
    }
    for (key, value) in doc.entries().into_iter().flatten().flatten() {
        if value != DocRef::Null && !["step_id", model::DIALECT].contains(&key) {
            out.key(row_key(key));
            out.value(value);
        }
    }
    out.end(open);
    Event {
        table: Table::Scores,
        key: RowKey {
            trace_id: trace_id.into(),
            id: id(trace_id, step_id, doc).into(),
        },
        start_ns: time_of(doc.get("created_at")),
        end_ns: None,
        version: if source == Source::Trace { 1 } else { 2 },
        partial: true,
        doc: Bytes::from(out.finish()),
    }
}
