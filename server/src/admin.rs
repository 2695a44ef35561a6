//! What the admin socket answers: every route of the public address, with whoever asks as the operator,
//! and a few of its own. No key is asked for: who can open the socket owns the data.

mod copies;
mod remap;
mod users;

use std::sync::Arc;

use ::http::StatusCode;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use obsrv_engine::engine::Engine;
use serde::Deserialize;
use serde_json::json;

use crate::blob::Blobs;
use crate::governance::Governance;
use crate::http::auth;
use crate::http::keys::NewKeyTerms;
use crate::http::{self, ApiError, App};
use crate::limits::ADMIN_BODY_BYTES_MAX;
use crate::quota::Plan;
use crate::signin::SignIn;
use crate::tenancy::plane::By;
use crate::tenancy::{ControlPlane, OrgId};

#[derive(Debug, Deserialize)]
struct NewKey {
    /// By its name, in the first organization.
    project: String,
    #[serde(flatten)]
    terms: NewKeyTerms,
}

#[derive(Debug, Deserialize)]
struct OldKey {
    key: String,
}

/// The routes of the admin socket.
pub(crate) fn build(
    app: Arc<App>,
    engine: &Arc<Engine>,
    plane: Arc<ControlPlane>,
    signin: Arc<SignIn>,
    governance: Arc<Governance>,
    blobs: Arc<Blobs>,
) -> Router {
    let plans = Router::new()
        .route("/plans/{organization}", get(show_plan).put(set_plan))
        .layer(DefaultBodyLimit::max(ADMIN_BODY_BYTES_MAX))
        .with_state(governance);
    Router::new()
        .route("/keys", post(create_key).delete(revoke_key))
        .route("/projects/named", get(named))
        .layer(DefaultBodyLimit::max(ADMIN_BODY_BYTES_MAX))
        .with_state(Arc::clone(&plane))
        .merge(plans)
        .merge(copies::build(Arc::clone(engine), blobs))
        .merge(remap::build(plane, Arc::clone(&app)))
        .merge(
            Router::new()
                .route("/debug/status", get(http::status::show))
                .with_state(Arc::clone(&app)),
        )
        .merge(users::build(signin))
        .merge(auth::as_operator(http::build(app)))
}

/// An error of the routes that are the socket's own.
struct Refused(ApiError);

impl<E: Into<ApiError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({ "error": {
            "code": self.0.code.as_str(),
            "message": self.0.message,
            "field": self.0.field,
        } });
        (self.0.code.status(), Json(body)).into_response()
    }
}

async fn create_key(
    State(plane): State<Arc<ControlPlane>>,
    Json(new): Json<NewKey>,
) -> Result<Response, Refused> {
    let (id, key) = plane.mint();
    let terms = new.terms.terms()?;
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
) -> Result<Response, Refused> {
    let id = plane.revoke(By::operator(), &old.key).await?.made;
    tracing::info!(key_id = id, "key revoked");
    Ok(Json(json!({ "key_id": format!("{id:x}"), "revoked": true })).into_response())
}

/// What an organization may use.
async fn show_plan(
    State(governance): State<Arc<Governance>>,
    Path(organization): Path<u64>,
) -> Response {
    Json(&*governance.plan_of(OrgId(organization))).into_response()
}

/// Only who owns the data decides what an organization may use.
async fn set_plan(
    State(governance): State<Arc<Governance>>,
    Path(organization): Path<u64>,
    Json(plan): Json<Plan>,
) -> Result<Response, Refused> {
    let organization = OrgId(organization);
    governance
        .set_plan(By::operator(), organization, &plan)
        .await?;
    Ok(Json(&*governance.plan_of(organization)).into_response())
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
