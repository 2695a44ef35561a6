//! What Langfuse's clients ask for: batches, scores, and which project a key opens.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::App;
use super::access::{Access, ProjectSee, Public, TraceWrite};
use super::error::ApiError;
use super::ingest;
use crate::dialect::{Dialect, Item, Route};

/// `POST /api/public/ingestion`. Always 207: the clients look at `errors`.
pub(crate) async fn ingestion(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let stored =
        ingest::accept(&app, &access, request, Route::LangfuseBatch, String::new()).await?;
    let (errors, successes): (Vec<&Item>, Vec<&Item>) =
        stored.items.iter().partition(|item| item.error.is_some());
    let success = |item: &Item| json!({ "id": item.id, "status": 201 });
    let error = |item: &Item| {
        json!({
            "id": item.id,
            "status": 400,
            "message": "Invalid request data",
            "error": format!("batch[{}]: {}", item.index, item.error.as_deref().unwrap_or("")),
        })
    };
    let body = json!({
        "successes": successes.into_iter().map(success).collect::<Vec<Value>>(),
        "errors": errors.into_iter().map(error).collect::<Vec<Value>>(),
    });
    Ok((StatusCode::MULTI_STATUS, Json(body)).into_response())
}

/// `POST /api/public/scores`: one score, answered with its id, or a list, answered with counts.
pub(crate) async fn scores(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let stored =
        ingest::accept(&app, &access, request, Route::LangfuseScores, String::new()).await?;
    if stored.dialect == Dialect::LangfuseScore {
        let said = ingest::single(stored)?;
        return Ok(Json(json!({ "id": said["id"] })).into_response());
    }
    let rejected = stored.rejected();
    if rejected == 0 {
        let body = json!({ "message": "Accepted" });
        return Ok((StatusCode::ACCEPTED, Json(body)).into_response());
    }
    let message = |item: &Item| {
        let error = item.error.as_deref()?;
        Some(json!({ "message": format!("[{}].{error}", item.index) }))
    };
    let body = json!({
        "accepted": stored.items.iter().filter(|item| item.error.is_none()).count(),
        "rejected": rejected,
        "errors": stored.items.iter().filter_map(message).collect::<Vec<Value>>(),
    });
    Ok((StatusCode::MULTI_STATUS, Json(body)).into_response())
}

/// `GET /api/public/projects`: the project of the key.
pub(crate) async fn projects(access: Access<ProjectSee>) -> Result<Response, ApiError> {
    let tenant = access.tenant();
    let id = tenant.project().0.to_string();
    let project = json!({
        "id": id,
        "name": tenant.project_name(),
        "organization": { "id": id, "name": tenant.project_name() },
        "metadata": {},
    });
    Ok(Json(json!({ "data": [project] })).into_response())
}

/// `GET /api/public/health`.
pub(crate) async fn health(
    _: Access<Public>,
    State(app): State<Arc<App>>,
) -> Result<Response, ApiError> {
    app.core()?;
    let body = json!({ "status": "OK", "version": env!("CARGO_PKG_VERSION") });
    Ok(Json(body).into_response())
}
