//! `POST /v1/traces`: OTLP in protobuf or JSON, one theta trace, or an export of aiobs, told apart by content.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::access::{Access, TraceWrite};
use super::error::ApiError;
use super::{App, aiobs, ingest, otlp};
use crate::dialect::{Dialect, Route};

/// Takes a trace or a batch of spans.
pub(crate) async fn ingest(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let stored = ingest::accept(&app, &access, request, Route::Traces, String::new()).await?;
    Ok(match stored.dialect {
        Dialect::OtlpProtobuf | Dialect::OtlpJson => otlp::answer(&stored),
        Dialect::AiobsExport => aiobs::answer(&stored)?,
        // Of this route's dialects the theta trace.
        _ => (StatusCode::CREATED, Json(ingest::single(stored)?)).into_response(),
    })
}
