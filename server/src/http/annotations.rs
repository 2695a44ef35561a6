//! `POST /v1/traces/{id}/annotations`. The trace need not be there yet.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::App;
use super::access::{Access, TraceWrite};
use super::error::ApiError;
use super::ingest;
use super::trace::check_id;
use crate::dialect::Route;

/// Takes one annotation.
pub(crate) async fn ingest(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    Path(trace_id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    check_id(&trace_id)?;
    let stored = ingest::accept(&app, &access, request, Route::Annotations, trace_id).await?;
    Ok((StatusCode::CREATED, Json(ingest::single(stored)?)).into_response())
}
