//! JSON bodies of the read routes.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use obsrv_engine::body;
use obsrv_engine::engine::TraceRows;
use obsrv_engine::query::ast::Literal;
use obsrv_engine::query::{Class, Explain, Facet, Page};
use obsrv_engine::source::Core;
use serde_json::{Value, json};

use bytes::Bytes;

use crate::dialect::theta_read::{StoredRow, detail, write_summary};
use crate::http::{ApiError, ErrorCode, Whole};

/// A 200 with this JSON.
pub(crate) fn json_response(body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A page of runs.
pub(crate) fn list(
    project: &str,
    page: &Page,
    next_cursor: Option<&str>,
    explain: bool,
) -> Result<String, ApiError> {
    let mut out = String::from("{\"items\":[");
    for (place, hit) in page.hits.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        write_summary(project, &row_of(&hit.core, &hit.body)?, &mut out);
    }
    out.push(']');
    put(&mut out, "next_cursor", &json!(next_cursor));
    put(&mut out, "snapshot_changed", &json!(page.snapshot_changed));
    if let Some(total) = page.total {
        put(&mut out, "total", &json!(total));
    }
    if !page.facets.is_empty() {
        put(&mut out, "facets", &page.facets.iter().map(facet).collect());
    }
    if explain {
        put(&mut out, "explain", &explained(&page.explain));
    }
    out.push('}');
    Ok(out)
}

/// A whole trace; `None` if there is no run of this id.
pub(crate) fn trace(
    project: &str,
    rows: &TraceRows,
    whole: &mut Whole<'_>,
) -> Result<Option<String>, ApiError> {
    let Some(run) = &rows.run else {
        return Ok(None);
    };
    let all = |rows: &[obsrv_engine::engine::StoredRow]| {
        rows.iter()
            .map(|row| row_of(&row.core, &row.body))
            .collect::<Result<Vec<_>, _>>()
    };
    let run = row_of(&run.core, &run.body)?;
    let spans = whole.rows(all(&rows.spans)?)?;
    Ok(Some(detail(project, &run, &spans, &all(&rows.scores)?)))
}

/// A row as the read models take it: its folded document without what is kept for folding.
pub(crate) fn row_of(core: &Core, body: &Bytes) -> Result<StoredRow, ApiError> {
    let view = body::decode(body)
        .map_err(|e| ApiError::new(ErrorCode::Damaged, format!("row does not read: {e}")))?
        .view;
    Ok(StoredRow {
        core: core.clone(),
        view: body.slice_ref(view),
    })
}

fn put(out: &mut String, key: &str, value: &Value) {
    out.push_str(",\"");
    out.push_str(key);
    out.push_str("\":");
    out.push_str(&value.to_string());
}

/// A value of a filter or a facet.
pub(crate) fn literal(value: &Literal) -> Value {
    match value {
        Literal::Str(text) => text.as_str().into(),
        Literal::I64(n) => (*n).into(),
        Literal::F64(n) => (*n).into(),
        Literal::Bool(b) => (*b).into(),
    }
}

fn facet(facet: &Facet) -> Value {
    let values = facet
        .values
        .iter()
        .map(|(value, count)| json!({ "value": literal(value), "count": count }));
    json!({
        "field": facet.column.name(),
        "values": values.collect::<Vec<_>>(),
        "more": facet.more,
        "overflow": facet.overflow,
        "long": facet.long,
    })
}

/// What was guessed of each part of a conjunction, beside what came of it.
fn parts(explain: &Explain) -> Vec<Value> {
    let parts = explain.parts.iter().map(|(part, told)| {
        json!({
            "part": part,
            "rows": told.rows,
            "guess": told.guess,
            "left": told.left,
            "skipped_groups": told.skipped,
        })
    });
    parts.collect()
}

pub(crate) fn explained(explain: &Explain) -> Value {
    let why = explain.weight().heavy().map(|why| why.to_string());
    explained_as(explain, why)
}

/// The same of a question that is heavy whatever it came to, for this reason.
pub(crate) fn explained_heavy(explain: &Explain, why: &str) -> Value {
    explained_as(explain, Some(why.to_owned()))
}

fn explained_as(explain: &Explain, heavy: Option<String>) -> Value {
    let class = if heavy.is_some() {
        Class::Heavy
    } else {
        Class::Light
    };
    json!({
        "class": class.as_str(),
        "class_reason": heavy,
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
        "blocks_by_index": explain.blocks_by_index,
        "blocks_pruned_by_index": explain.blocks_pruned_by_index,
        "blocks_scanned": explain.blocks_scanned,
        "blocks_verified": explain.blocks_verified,
        "rows_counted_by_index": explain.rows_counted_by_index,
        "page_bytes": explain.page_bytes,
        "page_cut": explain.page_cut,
        "verified": explain.verified,
        "parts": parts(explain),
        "estimate": explain.estimate,
        "partials_known": explain.partials_known,
        "state_bytes": explain.state_bytes,
        "helpers": explain.helpers,
        "score_groups_visited": explain.score_groups_visited,
        "score_rows_visited": explain.score_rows_visited,
        "scored": explain.scored,
    })
}
