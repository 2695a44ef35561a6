//! Langfuse scores → rows of the scores table.

use std::borrow::Cow;

use obsrv_engine::doc::DocRef;
use obsrv_engine::row::{Event, Table};

use super::{DIALECT, PREFIX, text_of};
use crate::dialect::bad::Bad;
use crate::dialect::pieces::{Piece, Rank, Times, check_count, kept_name, key, version};
use crate::dialect::theta::check::{Want, check, check_id, time_of};

const FIELDS: [(&str, Want); 14] = [
    ("id", Want::Id),
    ("traceId", Want::Id),
    ("sessionId", Want::Id),
    ("datasetRunId", Want::Id),
    ("observationId", Want::Id),
    ("name", Want::Id),
    ("dataType", Want::Text),
    ("comment", Want::Text),
    ("configId", Want::Text),
    ("environment", Want::Text),
    ("source", Want::Text),
    ("queueId", Want::Text),
    ("timestamp", Want::Time),
    ("metadata", Want::Any),
];

/// Names in a row, where they are others.
const RENAMED: [(&str, &str); 6] = [
    ("observationId", "step_id"),
    ("sessionId", "session_id"),
    ("datasetRunId", "dataset_run_id"),
    ("dataType", "data_type"),
    ("configId", "config_id"),
    ("queueId", "queue_id"),
];

/// Reads one score; `minted` is its id if it has none, `at_ns` its time.
pub(super) fn read(body: DocRef<'_>, minted: &str, at_ns: i64) -> Result<Event, Bad> {
    check(body, &FIELDS)?;
    check_count(body.entries().into_iter().flatten().count())?;
    if text_of(body, "name").is_none() {
        return Err(Bad::new("name", "missing"));
    }
    let start_ns = time_of(body.get("timestamp")).unwrap_or(at_ns);
    let trace = scored(body)?;
    check_id("traceId", &trace)?;
    let mut piece = Piece::new(Table::Scores, DIALECT);
    match body.get("value") {
        Some(number @ (DocRef::I64(_) | DocRef::U64(_) | DocRef::F64(_))) => {
            piece.value("score", number);
        }
        Some(DocRef::Bool(yes)) => piece.value("score", DocRef::I64(i64::from(yes))),
        Some(DocRef::Str(label)) => piece.text("label", Some(label)),
        _ => return Err(Bad::new("value", "expected a number or text")),
    }
    for (name, value) in body.entries().into_iter().flatten().flatten() {
        let renamed = RENAMED.iter().find(|(sent, _)| *sent == name);
        match name {
            _ if value == DocRef::Null => {}
            "id" | "traceId" | "value" | "timestamp" => {}
            _ if FIELDS.iter().any(|(sent, _)| *sent == name) => {
                piece.value(renamed.map_or(name, |(_, row)| *row), value);
            }
            _ => piece.value(&kept_name(PREFIX, name)?, value),
        }
    }
    let times = Times {
        start_ns: Some(start_ns),
        end_ns: None,
    };
    let id = text_of(body, "id").unwrap_or(minted);
    Ok(piece.event(key(&trace, id), times, version(Rank::Create, at_ns), true))
}

/// The trace that a score's row stands with; scores of a session or a dataset run stand by
/// themselves under its name.
fn scored(body: DocRef<'_>) -> Result<Cow<'_, str>, Bad> {
    if let Some(trace) = text_of(body, "traceId") {
        return Ok(trace.into());
    }
    let of = |key, prefix: &str| text_of(body, key).map(|id| format!("{prefix}{id}").into());
    of("sessionId", "session:")
        .or_else(|| of("datasetRunId", "dataset-run:"))
        .ok_or_else(|| Bad::new("traceId", "missing, and no sessionId or datasetRunId"))
}
