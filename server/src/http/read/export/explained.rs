//! What an export would cost, instead of the export: none of its formats has a place for that.
//!
//! It asks for the first page as the export would, and counts. Nothing leaves, so nothing is audited.

use std::sync::Arc;

use axum::response::Response;
use obsrv_engine::query::Request;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::form::Writer;
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::read::ask::Over;
use crate::http::read::damaged::{Damaged, damaged};
use crate::http::read::list::json;
use crate::http::{App, query};
use crate::limits::{EXPORT_PAGE_ROWS, EXPORT_RUNS};
use crate::wire;

/// The plan of an export.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Plan {
    /// Rows that pass, those before the cursor too; of traces as OTLP the runs whose spans are written.
    total: u64,
    /// Rows of this file: `rows` at most. Null with a cursor: only going there tells what is before it.
    rows: Option<u64>,
    /// Queries that are made for them; of traces as OTLP without those for their spans. Null with a cursor.
    pages: Option<u64>,
    /// About how many bytes of rows are read to write them, by those of the first page. Null with a cursor.
    bytes_about: Option<u64>,
    /// Of the file.
    content_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<Vec<Damaged>>,
    /// What the first page and the count cost.
    explain: Value,
}

pub(super) async fn answer(
    (app, access): (&Arc<App>, &Access<TraceRead>),
    (over, left): (Over, Option<u64>),
    writer: Writer,
    request: Request,
) -> Result<Response, ApiError> {
    let store = app.core()?.store(access.tenant());
    let page_rows = if writer.wants_spans() {
        EXPORT_RUNS
    } else {
        EXPORT_PAGE_ROWS
    };
    let request = Request {
        total: true,
        limit: page_rows,
        ..request
    };
    let body = query::run_heavy(app, access.tenant().project(), move |budget| {
        let view = store.view_or(writer.allows_partial());
        let page = view.search(over.table(), &request, budget)?;
        let total = page.total.unwrap_or(0);
        let is_whole = request.after.is_none();
        let rows = is_whole.then(|| left.map_or(total, |left| left.min(total)));
        let seen: usize = page.hits.iter().map(|hit| hit.body.len()).sum();
        let [seen, hits, page_rows] =
            [seen, page.hits.len(), page_rows].map(|n| u64::try_from(n).unwrap_or(u64::MAX));
        json(&Plan {
            total,
            rows,
            pages: rows.map(|rows| rows.div_ceil(page_rows)),
            bytes_about: rows.map(|rows| (seen / hits.max(1)).saturating_mul(rows)),
            content_type: writer.content_type(),
            damaged: damaged(view.left_out()),
            explain: wire::explained_heavy(&page.explain, "export"),
        })
    });
    Ok(wire::json_response(body.await?))
}
