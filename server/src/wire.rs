//! JSON bodies of the read routes.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use crate::engine_stub::engine::TraceRows;
use crate::engine_stub::query::ast::Literal;
use crate::engine_stub::query::{Explain, Facet, Page};
use crate::engine_stub::source::Column;
use crate::http::{ApiError, ErrorCode};

/// A 200 with these bytes of JSON.
pub fn json_response(body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A page of runs.
pub fn list(
    project: &str,
    page: &Page,
    next_cursor: Option<&str>,
    explain: bool,
) -> Result<Vec<u8>, ApiError> {
    let _ = project;
    let mut body = json!({ "items": [], "next_cursor": next_cursor });
    body["snapshot_changed"] = page.snapshot_changed.into();
    if let Some(total) = page.total {
        body["total"] = total.into();
    }
    if !page.facets.is_empty() {
        body["facets"] = page.facets.iter().map(facet).collect();
    }
    if explain {
        body["explain"] = explained(&page.explain);
    }
    Ok(bytes_of(&body))
}

/// A whole trace; `None` if nothing of it is there.
pub fn trace(project: &str, rows: &TraceRows) -> Result<Option<Vec<u8>>, ApiError> {
    let _ = (project, rows);
    Err(ApiError::new(ErrorCode::Internal, "not yet"))
}

fn bytes_of(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("BUG: writing to memory failed")
}

fn facet(facet: &Facet) -> Value {
    let values = facet.values.iter().map(|(value, count)| {
        let value: Value = match value {
            Literal::Str(text) => text.as_str().into(),
            Literal::I64(n) => (*n).into(),
            Literal::F64(n) => (*n).into(),
            Literal::Bool(b) => (*b).into(),
        };
        json!({ "value": value, "count": count })
    });
    json!({
        "field": column_name(&facet.column),
        "values": values.collect::<Vec<_>>(),
        "more": facet.more,
        "overflow": facet.overflow,
        "long": facet.long,
    })
}

fn column_name(column: &Column) -> &str {
    match column {
        Column::TraceId => "trace_id",
        Column::Id => "id",
        Column::Start => "start",
        Column::End => "end",
        Column::Duration => "duration",
        Column::Path(path) => path,
    }
}

fn explained(explain: &Explain) -> Value {
    json!({
        "sources": explain.sources,
        "sources_pruned": explain.sources_pruned,
        "groups": explain.groups,
        "groups_pruned_by_time": explain.groups_pruned_by_time,
        "groups_pruned_by_order": explain.groups_pruned_by_order,
        "groups_visited": explain.groups_visited,
        "rows_visited": explain.rows_visited,
        "rows_in_doubt": explain.rows_in_doubt,
        "bodies_read": explain.bodies_read,
        "bytes_read": explain.bytes_read,
        "page_bytes": explain.page_bytes,
        "page_cut": explain.page_cut,
        "verified": explain.verified,
    })
}
