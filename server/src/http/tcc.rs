//! What The Context Company's clients send beside OTLP. They look at the status alone.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::App;
use super::access::{Access, TraceWrite};
use super::error::ApiError;
use super::ingest;
use super::routes::Routes;
use crate::dialect::{Dialect, Route};

pub(super) fn add(routes: &mut Routes) {
    routes
        .post("/v1/custom", TraceWrite, custom)
        .says("Take a run, a step or a tool call, in The Context Company's words.")
        .takes::<Value>();
    routes
        .post("/v1/feedback", TraceWrite, feedback)
        .says("Take feedback on a run, in The Context Company's words or in LangSmith's.")
        .takes::<Value>();
    routes
        .post("/v1/claude", TraceWrite, claude)
        .says("Take the messages of a Claude agent's run.")
        .takes::<Value>();
}

async fn custom(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    take(&app, &access, request, Route::TccCustom).await
}

async fn feedback(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    take(&app, &access, request, Route::Feedback).await
}

async fn claude(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    take(&app, &access, request, Route::TccClaude).await
}

async fn take(
    app: &Arc<App>,
    access: &Access<TraceWrite>,
    request: Request,
    route: Route,
) -> Result<Response, ApiError> {
    let stored = ingest::accept(app, access, request, route, String::new()).await?;
    let is_langsmith = stored.dialect == Dialect::LangsmithFeedback;
    let said = ingest::single(stored)?;
    if is_langsmith {
        let answer = json!({ "id": said["id"], "trace_id": said["trace_id"] });
        return Ok(Json(answer).into_response());
    }
    let answer = json!({ "success": true, "runId": said["trace_id"], "id": said["id"] });
    Ok(Json(answer).into_response())
}
