//! What the admin socket answers about a remap: it is asked for, how far it is, and that it ends.

use std::sync::Arc;

use ::http::StatusCode;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use obsrv_engine::row::ProjectId;
use serde::Deserialize;
use serde_json::json;

use super::Refused;
use crate::http::App;
use crate::limits::ADMIN_BODY_BYTES_MAX;
use crate::remap::Asked;
use crate::tenancy::{ChangeError, ControlPlane};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// One project by its id, else all.
    project: Option<u64>,
    #[serde(default)]
    dry_run: bool,
}

/// The routes.
pub(super) fn build(plane: Arc<ControlPlane>, app: Arc<App>) -> Router {
    Router::new()
        .route("/remap", get(show).post(start).delete(stop))
        .layer(DefaultBodyLimit::max(ADMIN_BODY_BYTES_MAX))
        .with_state((plane, app))
}

type Shared = (Arc<ControlPlane>, Arc<App>);

async fn show(State((_, app)): State<Shared>) -> Response {
    Json(app.remap.progress()).into_response()
}

async fn stop(State((_, app)): State<Shared>) -> Response {
    Json(app.remap.stop()).into_response()
}

async fn start(
    State((plane, app)): State<Shared>,
    Json(wanted): Json<Wanted>,
) -> Result<Response, Refused> {
    let project = wanted.project.map(ProjectId);
    if project.is_some_and(|id| plane.directory().project(id).is_none()) {
        return Err(ChangeError::Unknown("project").into());
    }
    let asked = Asked {
        project,
        is_dry: wanted.dry_run,
    };
    let Some(progress) = app.remap.ask(asked) else {
        let message = "a remap is on its way, ask again when it is done";
        let error = json!({ "error": { "code": "conflict", "message": message } });
        return Ok((StatusCode::CONFLICT, Json(error)).into_response());
    };
    Ok((StatusCode::ACCEPTED, Json(progress)).into_response())
}
