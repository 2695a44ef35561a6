//! What the admin socket answers. No key is asked for: who can open the socket owns the data.

mod users;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::limits::ADMIN_BODY_BYTES_MAX;
use crate::signin::SignIn;
use crate::tenancy::plane::{By, KeyTerms};
use crate::tenancy::{ChangeError, ControlPlane};

#[derive(Debug, Deserialize)]
struct NewKey {
    project: String,
}

#[derive(Debug, Deserialize)]
struct OldKey {
    key: String,
}

/// The routes of the admin socket.
pub(crate) fn build(plane: Arc<ControlPlane>, signin: Arc<SignIn>) -> Router {
    Router::new()
        .route("/keys", post(create_key).delete(revoke_key))
        .route("/projects/named", get(named))
        .layer(DefaultBodyLimit::max(ADMIN_BODY_BYTES_MAX))
        .with_state(plane)
        .merge(users::build(signin))
}

impl IntoResponse for ChangeError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Name(_) | Self::Slug(_) | Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Unknown(_) | Self::UnknownKey => StatusCode::NOT_FOUND,
            Self::TooMany { .. } | Self::Exists(_) | Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Log(_) | Self::OutcomeUnknown => StatusCode::SERVICE_UNAVAILABLE,
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
    let terms = KeyTerms::default();
    let installed = plane
        .install(By::operator(), &new.project, id, key, terms)
        .await?;
    let created = installed.made;
    tracing::info!(project = created.project.id.0, key_id = id, "key created");
    let body = json!({
        "key": created.key.reveal(),
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
    let id = plane.revoke(By::operator(), &old.key).await?.made;
    tracing::info!(key_id = id, "key revoked");
    Ok(Json(json!({ "key_id": format!("{id:x}"), "revoked": true })).into_response())
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
