//! What the admin socket answers. No key is asked for: who can open the socket owns the data.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::control_plane::{ChangeError, ControlPlane};
use crate::governance::{Governance, SetError};
use crate::limits::ADMIN_BODY_BYTES_MAX;
use crate::quota::Plan;

#[derive(Debug, Deserialize)]
struct NewKey {
    project: String,
}

#[derive(Debug, Deserialize)]
struct OldKey {
    key: String,
}

/// The routes of the admin socket.
pub(crate) fn build(plane: Arc<ControlPlane>, governance: Arc<Governance>) -> Router {
    let plans = Router::new()
        .route("/plans/{organization}", get(show_plan).put(set_plan))
        .with_state(governance);
    Router::new()
        .route("/keys", post(create_key).delete(revoke_key))
        .route("/projects/named", get(named))
        .layer(DefaultBodyLimit::max(ADMIN_BODY_BYTES_MAX))
        .with_state(plane)
        .merge(plans)
}

impl IntoResponse for ChangeError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Name(_) | Self::TooMany { .. } => StatusCode::BAD_REQUEST,
            Self::UnknownKey => StatusCode::NOT_FOUND,
            Self::Log(_) | Self::Unknown => StatusCode::SERVICE_UNAVAILABLE,
            Self::Directory(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (
            status,
            Json(json!({ "error": { "message": self.to_string() } })),
        )
            .into_response()
    }
}

async fn create_key(
    State(plane): State<Arc<ControlPlane>>,
    Json(new): Json<NewKey>,
) -> Result<Response, ChangeError> {
    let (id, key) = plane.mint();
    let created = plane.install(&new.project, id, &key).await?;
    tracing::info!(project = created.project.id.0, key_id = id, "key created");
    let body = json!({
        "key": key.reveal(),
        "key_id": format!("{id:x}"),
        "project": &*created.project.name,
        "project_created": created.is_new_project,
    });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

async fn revoke_key(
    State(plane): State<Arc<ControlPlane>>,
    Json(old): Json<OldKey>,
) -> Result<Response, ChangeError> {
    let id = plane.revoke(&old.key).await?;
    tracing::info!(key_id = id, "key revoked");
    Ok(Json(json!({ "key_id": format!("{id:x}"), "revoked": true })).into_response())
}

/// What an organization may use.
async fn show_plan(
    State(governance): State<Arc<Governance>>,
    Path(organization): Path<u64>,
) -> Response {
    Json(&*governance.plan_of(organization)).into_response()
}

/// Only who owns the data decides what an organization may use.
async fn set_plan(
    State(governance): State<Arc<Governance>>,
    Path(organization): Path<u64>,
    Json(plan): Json<Plan>,
) -> Response {
    match governance.set_plan(organization, &plan).await {
        Ok(()) => Json(&*governance.plan_of(organization)).into_response(),
        Err(SetError::Change(error)) => error.into_response(),
        Err(error) => {
            let body = json!({ "error": { "message": error.to_string() } });
            (StatusCode::BAD_REQUEST, Json(body)).into_response()
        }
    }
}

/// The names that requests gave to projects, and how often.
async fn named(State(plane): State<Arc<ControlPlane>>) -> Response {
    let names: Vec<_> = plane
        .directory()
        .named()
        .into_iter()
        .map(|(project, name, uses)| json!({ "project_id": project, "name": name, "uses": uses }))
        .collect();
    Json(json!({ "named": names })).into_response()
}
