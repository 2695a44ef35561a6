//! What an answer was made without, for whoever asked with `allow_partial=true`.

use obsrv_engine::engine::LeftOut;
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::routes::Route;

/// The parameter.
pub(super) const ALLOW_PARTIAL: &str = "allow_partial";

/// A part of a segment that does not read, whose rows the answer does not have.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Damaged {
    /// The segment's file.
    segment: String,
    /// Where in it the block begins.
    offset: u64,
    /// Of which section, and which block of it.
    part: String,
    /// How many rows are left out.
    rows: u64,
}

/// All of them; `None` if nothing is missing.
pub(super) fn damaged(left_out: Vec<LeftOut>) -> Option<Vec<Damaged>> {
    let shown = |part: LeftOut| Damaged {
        segment: part.file,
        offset: part.offset,
        part: part.part,
        rows: part.rows,
    };
    (!left_out.is_empty()).then(|| left_out.into_iter().map(shown).collect())
}

pub(super) fn asks_partial(route: &mut Route) -> &mut Route {
    route.asks(
        ALLOW_PARTIAL,
        "`true` goes on without rows that are damaged on disk; `damaged` says which those are",
    )
}
