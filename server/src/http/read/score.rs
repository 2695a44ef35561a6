//! `POST …/scores`: a score of a trace or a span, stored by the way of every other event.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::path;
use crate::dialect::{Route, format_micros};
use crate::http::access::{Access, TraceWrite};
use crate::http::auth::Principal;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::input::Input;
use crate::http::routes::Routes;
use crate::http::{App, ingest};

/// A score.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewScore {
    trace_id: String,
    /// The span that is meant; the trace if not given.
    span_id: Option<String>,
    /// What is scored, e.g. `helpful`.
    name: String,
    /// A number, a category, or true or false.
    value: Value,
    comment: Option<String>,
    /// The same id again replaces the score; made by the server if not given.
    id: Option<String>,
    /// Who scores; a signed-in person if not given.
    user_id: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ScoreMade {
    id: Value,
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .post(&path("/scores"), TraceWrite, make)
        .says("Score a trace or a span.")
        .takes::<NewScore>()
        .gives::<ScoreMade>();
}

async fn make(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    Input(score): Input<NewScore>,
) -> Result<Response, ApiError> {
    let user = score.user_id.or_else(|| match access.principal() {
        Principal::User(session) => Some(format!("user:{}", session.user.0)),
        _ => None,
    });
    let body = json!({
        "id": score.id, "traceId": score.trace_id, "observationId": score.span_id,
        "name": score.name, "value": score.value, "comment": score.comment,
        "timestamp": format_micros(app.clock.wall_ns()), "source": "API",
        "metadata": user.map(|user| json!({ "user_id": user })),
    });
    let request = Request::post("/")
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()));
    let request = request.map_err(|e| ApiError::new(ErrorCode::Internal, e.to_string()))?;
    let route = Route::LangfuseScores;
    let stored = ingest::accept(&app, &access, request, route, String::new()).await?;
    let said = ingest::single(stored)?;
    let made = ScoreMade {
        id: said["id"].clone(),
    };
    Ok((StatusCode::CREATED, Json(made)).into_response())
}
