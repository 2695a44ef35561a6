//! A run in Langfuse's words.

use obsrv_engine::model;

use super::facts::{RELEASE, TRACE_NAME, VERSION, environment, first_text, metadata};
use super::members::Members;
use super::observation::{io, is_public, latency, tags};
use crate::dialect::format_nanos;
use crate::dialect::theta_read::StoredRow;
use crate::http::read::shape::Cost;
use crate::http::read::trace::encoded;

/// What a trace is told with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct With {
    pub(super) io: bool,
    pub(super) metrics: bool,
}

/// The trace without its observations and scores.
pub(super) fn trace(run: &StoredRow, project: u64, with: With) -> Members {
    let (doc, id) = (run.doc(), &*run.core.trace_id);
    let start = format_nanos(run.core.start_ns);
    let mut out = Members::default();
    out.put("id", id)
        .put("timestamp", &start)
        .put("name", first_text(doc, TRACE_NAME))
        .put("sessionId", run.text(model::GROUP))
        .put("userId", run.text(model::USER_ID))
        .put("release", first_text(doc, RELEASE))
        .put("version", first_text(doc, VERSION))
        .put("environment", environment(doc))
        .put("tags", tags(run))
        .put("public", is_public(run))
        .put("bookmarked", false)
        .put("externalId", run.text("external_id"))
        .put("projectId", project.to_string())
        .put("createdAt", &start)
        .put("updatedAt", run.core.end_ns.map_or(start, format_nanos))
        .put("htmlPath", format!("/p/{project}/traces/{}", encoded(id)));
    if with.io {
        let (input, output) = io(run);
        out.put("input", input)
            .put("output", output)
            .put("metadata", metadata(run));
    }
    // What is not asked for is told as -1: the models of the SDKs have no null here.
    let (time, cost) = if with.metrics {
        let cost = Cost::of(doc).map_or(0.0, |cost| cost.total);
        (latency(run).unwrap_or(0.0), cost)
    } else {
        (-1.0, -1.0)
    };
    out.put("latency", time).put("totalCost", cost);
    out
}
