//! `LangSmith` feedback → rows of the scores table.

use obsrv_engine::doc::DocRef;
use obsrv_engine::model;
use obsrv_engine::row::{Event, Table};

use super::{DIALECT, PREFIX};
use crate::dialect::bad::Bad;
use crate::dialect::pieces::{Piece, Rank, Times, check_count, kept_name, key, version};
use crate::dialect::theta::check::{Want, check, check_id, time_of};

/// Fields of feedback: its name, the row's, what it must be.
const FIELDS: [(&str, &str, Want); 15] = [
    ("id", "", Want::Id),
    ("run_id", "", Want::Id),
    ("trace_id", "", Want::Id),
    ("created_at", "", Want::Time),
    ("modified_at", "modified_at", Want::Time),
    ("key", model::NAME, Want::Id),
    ("score", "", Want::Any),
    ("value", "", Want::Any),
    ("comment", "comment", Want::Text),
    ("correction", "correction", Want::Any),
    ("feedback_source", "feedback_source", Want::Any),
    ("feedback_config", "feedback_config", Want::Any),
    ("session_id", "session_id", Want::Text),
    ("feedback_group_id", "feedback_group_id", Want::Text),
    ("extra", "langsmith.extra", Want::Any),
];

/// Reads one piece of feedback; `minted` is its id if it has none.
pub(super) fn read(doc: DocRef<'_>, minted: &str, received_ns: i64) -> Result<Event, Bad> {
    let wants: Vec<(&str, Want)> = FIELDS
        .iter()
        .map(|(sent, _, want)| (*sent, *want))
        .collect();
    check(doc, &wants)?;
    check_count(doc.entries().into_iter().flatten().count())?;
    let text = |key| doc.get(key).and_then(DocRef::as_str);
    if text("key").is_none() {
        return Err(Bad::new("key", "missing"));
    }
    let run_id = text("run_id");
    let of_session = text("session_id").map(|id| format!("session:{id}"));
    let trace_id = text("trace_id").or(run_id).or(of_session.as_deref());
    let trace_id = trace_id.ok_or_else(|| Bad::new("run_id", "missing, and no trace_id"))?;
    check_id("trace_id", trace_id)?;
    let mut piece = Piece::new(Table::Scores, DIALECT);
    piece.text("step_id", run_id.filter(|id| *id != trace_id));
    match doc.get("score") {
        None | Some(DocRef::Null) => {}
        Some(DocRef::Bool(yes)) => piece.value("score", DocRef::I64(i64::from(yes))),
        Some(n @ (DocRef::I64(_) | DocRef::U64(_) | DocRef::F64(_))) => piece.value("score", n),
        Some(_) => return Err(Bad::new("score", "expected a number or a bool")),
    }
    match doc.get("value") {
        None | Some(DocRef::Null) => {}
        Some(DocRef::Str(label)) => piece.text("label", Some(label)),
        Some(other) => piece.value("value", other),
    }
    for (name, value) in doc.entries().into_iter().flatten().flatten() {
        match FIELDS.iter().find(|(sent, _, _)| *sent == name) {
            _ if value == DocRef::Null => {}
            Some((_, "", _)) => {}
            Some((_, row, _)) => piece.value(row, value),
            None => piece.value(&kept_name(PREFIX, name)?, value),
        }
    }
    let start_ns = time_of(doc.get("created_at")).unwrap_or(received_ns);
    let at_ns = time_of(doc.get("modified_at")).unwrap_or(start_ns);
    let times = Times {
        start_ns: Some(start_ns),
        end_ns: None,
    };
    let id = text("id").unwrap_or(minted);
    Ok(piece.event(key(trace_id, id), times, version(Rank::Create, at_ns), true))
}
