//! `POST /v1/imports/traces`: many traces and envelopes, a result for each; `POST /v1/imports/{format}`: a file
//! of another tool.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::App;
use super::access::{Access, TraceWrite};
use super::error::ApiError;
use super::ingest::{self, Stored};
use crate::dialect::import::Format;
use crate::dialect::{Item, Route};

/// Takes a JSON array or one JSON document per line. 207 when some were refused.
pub(crate) async fn ingest(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let stored = ingest::accept(&app, &access, request, Route::Imports, String::new()).await?;
    Ok(answer(&stored))
}

fn answer(stored: &Stored) -> Response {
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
    (status, Json(body)).into_response()
}

/// Takes a file of another tool, as it is. Items are told by the line, or the place, that they came from.
pub(crate) async fn ingest_file(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    Path(format): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let format = Format::named(&format).ok_or_else(|| {
        let names: Vec<&str> = Format::ALL.iter().map(|(name, _)| *name).collect();
        let message = format!("unknown format, accepted are traces,{}", names.join(","));
        ApiError::parameter("format", message)
    })?;
    let route = Route::Import(format);
    let stored = ingest::accept(&app, &access, request, route, String::new()).await?;
    Ok(answer(&stored))
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
