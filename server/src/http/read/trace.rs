//! `GET …/traces/{trace}`: what a run is, without its spans.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::engine::ReadBody;
use obsrv_engine::query::{Budget, QueryError};
use obsrv_engine::row::Table;
use schemars::JsonSchema;
use serde::Serialize;

use super::damaged::{ALLOW_PARTIAL, Damaged, asks_partial, damaged, not_found};
use super::list::json;
use super::outline::Outline;
use super::path;
use super::shape::{ScoreShown, TraceShown};
use crate::dialect::theta_read::StoredRow;
use crate::http::access::{Access, TraceDelete, TraceRead};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::input::InPath;
use crate::http::params::Params;
use crate::http::routes::Routes;
use crate::http::store::View;
use crate::http::trace::{TraceDeleted, check_id, delete_one};
use crate::http::{App, query};
use crate::limits::SCORES_SHOWN_MAX;
use crate::wire;

/// A trace without its spans.
#[derive(Debug, Serialize, JsonSchema)]
struct TraceHead<'a> {
    trace: TraceShown<'a>,
    /// Scores of the trace and of its spans, oldest first.
    scores: Vec<ScoreShown<'a>>,
    /// Whether there are more than are shown; `…/scores?q=trace_id:ID` lists them all.
    scores_cut: bool,
    /// Where its spans are.
    spans_url: String,
    /// What is damaged on disk and left out; only with `allow_partial`.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<Vec<Damaged>>,
}

pub(super) fn add(routes: &mut Routes) {
    let one = path("/traces/{trace}");
    asks_partial(routes.get(&one, TraceRead, show))
        .says("A trace without its spans.")
        .gives::<TraceHead<'_>>();
    routes
        .delete(&one, TraceDelete, delete)
        .says("Delete a trace; the answer has a receipt of the audit log.")
        .gives::<TraceDeleted>();
}

/// The id of a trace in the path.
pub(super) fn trace_id(place: &InPath, name: &str) -> Result<String, ApiError> {
    let id = place.text(name);
    check_id(id)?;
    Ok(id.to_owned())
}

pub(super) fn no_such_trace() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "no such trace")
}

/// When a trace starts: with its first span, or as its run says if it has none.
pub(super) fn start_of(view: &View, trace_id: &str, outline: &Outline) -> Result<i64, ApiError> {
    match outline.start_ns() {
        Some(start) => Ok(start),
        None => Ok(run_of(view, trace_id)?.core.start_ns),
    }
}

/// The run of a trace.
pub(super) fn run_of(view: &View, trace_id: &str) -> Result<StoredRow, ApiError> {
    let mut found = None;
    view.each_row(Table::Runs, trace_id, &mut |core, body: ReadBody<'_>| {
        found = Some(wire::row_of(&core, &body()?)?);
        Ok::<_, ApiError>(())
    })?;
    found.ok_or_else(|| not_found(view, no_such_trace()))
}

/// The scores of a trace, oldest first, and whether there are more.
pub(super) fn scores_of(
    view: &View,
    trace_id: &str,
    budget: &Budget<'_>,
) -> Result<(Vec<StoredRow>, bool), ApiError> {
    let (mut found, mut cut) = (Vec::new(), false);
    view.each_row(Table::Scores, trace_id, &mut |core, body: ReadBody<'_>| {
        if (budget.cancelled)() {
            return Err(ApiError::from(QueryError::Cancelled));
        }
        if found.len() == SCORES_SHOWN_MAX {
            cut = true;
        } else {
            found.push(wire::row_of(&core, &body()?)?);
        }
        Ok(())
    })?;
    found.sort_by(|a, b| (a.core.lsn_first, &a.core.id).cmp(&(b.core.lsn_first, &b.core.id)));
    Ok((found, cut))
}

async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let trace_id = trace_id(&place, "trace")?;
    let partial = Params::parse(raw.as_deref().unwrap_or(""))?.flag(ALLOW_PARTIAL)?;
    let project = access.tenant().project().0;
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let view = store.view_or(partial);
        let run = run_of(&view, &trace_id)?;
        let (scores, scores_cut) = scores_of(&view, &trace_id, budget)?;
        json(&TraceHead {
            trace: TraceShown::of(&run),
            scores: scores.iter().map(ScoreShown::of).collect(),
            scores_cut,
            spans_url: format!("/v1/projects/{project}/traces/{}/spans", encoded(&trace_id)),
            damaged: damaged(view.left_out()),
        })
    })
    .await?;
    Ok(wire::json_response(body))
}

/// A text as a part of a path.
pub(in crate::http) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

async fn delete(
    access: Access<TraceDelete>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Response, ApiError> {
    let trace_id = trace_id(&place, "trace")?;
    delete_one(&access, &app, trace_id).await
}
