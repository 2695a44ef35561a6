//! `POST /v1/imports/traces`: many traces and envelopes, a result for each.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::App;
use super::access::{Access, TraceWrite};
use super::error::ApiError;
use super::ingest;
use crate::dialect::{Item, Route};

/// Takes a JSON array or one JSON document per line. 207 when some were refused.
pub(crate) async fn ingest(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let stored = ingest::accept(&app, &access, request, Route::Imports, String::new()).await?;
    let failed = stored
        .items
        .iter()
        .filter(|item| item.error.is_some())
        .count();
    let accepted = stored.items.len() - failed;
    let status = if failed == 0 {
        StatusCode::OK
    } else {
        StatusCode::MULTI_STATUS
    };
    let items: Vec<Value> = stored.items.iter().map(result_of).collect();
    let body = json!({ "accepted": accepted, "failed": failed, "items": items });
    Ok((status, Json(body)).into_response())
}

fn result_of(item: &Item) -> Value {
    let status = if item.error.is_some() {
        "failed"
    } else {
        "accepted"
    };
    json!({
        "index": item.index,
        "kind": item.kind,
        "trace_id": item.trace_id,
        "status": status,
        "error": item.error,
    })
}
