//! `POST /v1/events`: one canonical envelope.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::App;
use super::access::{Access, TraceWrite};
use super::error::ApiError;
use super::ingest;
use crate::dialect::Route;

/// Takes one envelope.
pub(crate) async fn ingest(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let stored = ingest::accept(&app, &access, request, Route::Events, String::new()).await?;
    Ok((StatusCode::CREATED, Json(ingest::single(stored)?)).into_response())
}
