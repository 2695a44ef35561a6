//! `POST /v1/traces`: OTLP in protobuf or JSON, or one theta trace, told apart by content.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use super::access::{Access, TraceWrite};
use super::error::ApiError;
use super::ingest::{self, Stored};
use super::{App, protobuf};
use crate::dialect::{Dialect, Route};

/// Most of the refusals that are spelled out in an OTLP answer.
const REASONS_MAX: usize = 3;

/// Takes a trace or a batch of spans.
pub(crate) async fn ingest(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let stored = ingest::accept(&app, &access, request, Route::Traces, String::new()).await?;
    Ok(match stored.dialect {
        Dialect::OtlpProtobuf => {
            let body = protobuf::export_response(stored.rejected(), &reasons(&stored));
            protobuf::response(StatusCode::OK, body)
        }
        Dialect::OtlpJson => Json(otlp_answer(&stored)).into_response(),
        // Of this route's dialects the theta trace.
        _ => (StatusCode::CREATED, Json(ingest::single(stored)?)).into_response(),
    })
}

fn otlp_answer(stored: &Stored) -> serde_json::Value {
    if stored.rejected() == 0 {
        return json!({ "partialSuccess": {} });
    }
    json!({ "partialSuccess": {
        // 64-bit integers are strings in OTLP JSON.
        "rejectedSpans": stored.rejected().to_string(),
        "errorMessage": reasons(stored),
    } })
}

fn reasons(stored: &Stored) -> String {
    let mut said: Vec<String> = stored
        .items
        .iter()
        .filter_map(|item| Some(format!("span {}: {}", item.index, item.error.as_deref()?)))
        .take(REASONS_MAX)
        .collect();
    let more = stored
        .rejected()
        .saturating_sub(u64::try_from(said.len()).unwrap_or(0));
    if more > 0 {
        said.push(format!("and {more} more"));
    }
    said.join("; ")
}
