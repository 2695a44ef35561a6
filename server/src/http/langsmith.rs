//! What `LangSmith`'s clients ask for: runs, updates, feedback, and what the server can do.

mod files;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::App;
use super::access::{Access, Public, TraceWrite};
use super::error::{ApiError, ErrorCode};
use super::ingest::{self, Stored};
use super::routes::Routes;
use super::trace::check_id;
use crate::dialect::{Item, Route, boundary};
use crate::limits::DECODED_BYTES_MAX;

/// Of the protocol, not of obsrv: clients compare it to know what they may send.
const PROTOCOL_VERSION: &str = "0.12.0";
/// Runs that a client puts into one request.
const BATCH_RUNS: usize = 1000;
/// Below the largest body by what parts and their headers add.
const BATCH_BYTES: usize = DECODED_BYTES_MAX / 2;

/// The routes, below one of the paths that clients have as the API's.
pub(super) fn routes(routes: &mut Routes, prefix: &str) {
    let at = |path: &str| format!("{prefix}{path}");
    routes
        .get(&at("/info"), Public, info)
        .says("What LangSmith's clients may send.");
    routes
        .post(&at("/runs"), TraceWrite, run)
        .says("Take one LangSmith run.");
    routes
        .post(&at("/runs/batch"), TraceWrite, batch)
        .says("Take LangSmith runs and updates.");
    routes
        .post(&at("/runs/multipart"), TraceWrite, form)
        .says("Take LangSmith runs, updates and attachments as a form.");
    routes
        .patch(&at("/runs/{id}"), TraceWrite, update)
        .says("Take an update of a LangSmith run.");
    routes
        .post(&at("/feedback"), TraceWrite, feedback)
        .says("Take LangSmith feedback.");
}

async fn info(_: Access<Public>, State(app): State<Arc<App>>) -> Json<Value> {
    let bytes = BATCH_BYTES.min(app.decoded_bytes_max / 2);
    Json(json!({
        "version": PROTOCOL_VERSION,
        "batch_ingest_config": {
            "use_multipart_endpoint": true,
            "size_limit": BATCH_RUNS,
            "size_limit_bytes": bytes,
            "scale_up_qsize_trigger": 1000,
            "scale_up_nthreads_limit": 16,
            "scale_down_nempty_trigger": 4,
        },
        "instance_flags": { "zstd_compression_enabled": true },
    }))
}

async fn run(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let stored = ingest::accept(&app, &access, request, Route::LangsmithRun, String::new()).await?;
    answer(&stored)
}

async fn update(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    check_id(&id)?;
    let stored = ingest::accept(&app, &access, request, Route::LangsmithPatch, id).await?;
    answer(&stored)
}

async fn batch(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let stored =
        ingest::accept(&app, &access, request, Route::LangsmithBatch, String::new()).await?;
    answer(&stored)
}

async fn form(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let content_type = request.headers().get(CONTENT_TYPE);
    let found = content_type
        .and_then(|v| v.to_str().ok())
        .and_then(boundary);
    let found = found.unwrap_or("").to_owned();
    answer(&files::accept(&app, &access, request, found).await?)
}

async fn feedback(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let stored = ingest::accept(
        &app,
        &access,
        request,
        Route::LangsmithFeedback,
        String::new(),
    )
    .await?;
    let said = ingest::single(stored)?;
    Ok(Json(json!({ "id": said["id"], "trace_id": said["trace_id"] })).into_response())
}

/// 202; 207 when some items were refused, 400 when all were.
fn answer(stored: &Stored) -> Result<Response, ApiError> {
    if stored.rejected() == 0 {
        return Ok((StatusCode::ACCEPTED, Json(json!({}))).into_response());
    }
    let reason = |item: &Item| {
        let error = item.error.as_deref()?;
        Some(json!({ "index": item.index, "kind": item.kind, "id": item.id, "error": error }))
    };
    if stored.is_empty {
        let first = stored.items.iter().find(|item| item.error.is_some());
        let (place, error) = first.map_or((String::new(), ""), |item| {
            let place = format!("{} {}", item.kind, item.index);
            (place, item.error.as_deref().unwrap_or(""))
        });
        return Err(ApiError::new(ErrorCode::InvalidRequest, error).at(place));
    }
    let errors: Vec<Value> = stored.items.iter().filter_map(reason).collect();
    Ok((StatusCode::MULTI_STATUS, Json(json!({ "errors": errors }))).into_response())
}
