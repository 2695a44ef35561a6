//! Keys of a project. The string of a key is in one answer, that which makes it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::App;
use super::access::{Access, KeyEdit, KeyRead};
use super::answers::{KeyMade, KeyShown, List, Receipt};
use super::error::ApiError;
use super::input::{InPath, Input, Page};
use super::params::Params;
use super::routes::Routes;
use crate::dialect::parse_time;
use crate::tenancy::plane::{Changed, CreatedKey, KeyTerms};
use crate::tenancy::{Scope, Scopes};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKeyTerms {
    /// For people.
    #[serde(default)]
    name: String,
    /// `ingest`, `read`, `admin`; all three if not given.
    scopes: Option<Vec<String>>,
    /// From when on it opens nothing.
    expires_at: Option<String>,
}

impl NewKeyTerms {
    /// The terms, checked as far as it goes without the directory.
    pub(crate) fn terms(&self) -> Result<KeyTerms, ApiError> {
        let scopes = match &self.scopes {
            None => Scopes::ALL,
            Some(names) => {
                let refused = || ApiError::parameter("scopes", "not of ingest, read, admin");
                let scopes: Option<Vec<Scope>> = names.iter().map(|n| Scope::named(n)).collect();
                Scopes::of(&scopes.ok_or_else(refused)?).ok_or_else(refused)?
            }
        };
        Ok(KeyTerms {
            name: self.name.clone(),
            scopes,
            expires_ns: self.expires_at.as_deref().map(time).transpose()?,
        })
    }
}

fn time(text: &str) -> Result<i64, ApiError> {
    let refused = || ApiError::parameter("expires_at", "not a time like 2026-01-31T12:00:00Z");
    parse_time(text).ok_or_else(refused)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// From when on the new key opens nothing.
    expires_at: Option<String>,
}

pub(super) fn add(routes: &mut Routes) {
    for path in ["/v1/projects/{project}/keys", "/v1/keys"] {
        routes
            .get(path, KeyRead, list)
            .says("Keys of a project, revoked and expired ones included.")
            .asks("after", "`next` of the page before")
            .asks("limit", "how many")
            .gives::<List<KeyShown>>();
        routes
            .post(path, KeyEdit, create)
            .says("Make a key. The answer shows it once.")
            .takes::<NewKeyTerms>()
            .gives::<KeyMade>();
    }
    for path in ["/v1/projects/{project}/keys/{key}", "/v1/keys/{key}"] {
        routes
            .delete(path, KeyEdit, revoke)
            .says("Make a key open nothing, for good.")
            .gives::<Receipt>();
        routes
            .post(&format!("{path}/rotate"), KeyEdit, rotate)
            .says("Make the successor of a key; the old one goes on until it is revoked.")
            .takes::<Rotation>()
            .gives::<KeyMade>();
    }
}

fn made(Changed { made, place }: Changed<CreatedKey>) -> Response {
    let answer = KeyMade {
        key: made.key.reveal().to_owned(),
        key_id: format!("{:x}", made.id),
        project: made.project.id.0,
        receipt: Receipt::of(place),
    };
    (StatusCode::CREATED, Json(answer)).into_response()
}

async fn list(
    access: Access<KeyRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<List<KeyShown>, ApiError> {
    let page = Page::of(&Params::parse(raw.as_deref().unwrap_or(""))?, &[])?;
    let now = app.clock.wall_ns();
    let project = access.tenant().project().0;
    let (items, next) = app.core()?.directory().read(|state| {
        let (keys, next) = page.cut(state.keys.of_project(project, page.after), |key| key.id);
        let shown = keys.into_iter().map(|key| KeyShown::of(key, now));
        (shown.collect(), next)
    });
    Ok(List { items, next })
}

async fn create(
    access: Access<KeyEdit>,
    State(app): State<Arc<App>>,
    Input(new): Input<NewKeyTerms>,
) -> Result<Response, ApiError> {
    let (plane, project) = (app.core()?.plane(), access.tenant().project().0);
    let created = plane.create_key(access.by(), project, new.terms()?);
    created.await.map(made).map_err(ApiError::from)
}

async fn rotate(
    access: Access<KeyEdit>,
    State(app): State<Arc<App>>,
    path: InPath,
    Input(rotation): Input<Rotation>,
) -> Result<Response, ApiError> {
    let (plane, project) = (app.core()?.plane(), access.tenant().project().0);
    let expires_ns = rotation.expires_at.as_deref().map(time).transpose()?;
    let rotated = plane.rotate_key(access.by(), project, path.key()?, expires_ns);
    rotated.await.map(made).map_err(ApiError::from)
}

async fn revoke(
    access: Access<KeyEdit>,
    State(app): State<Arc<App>>,
    path: InPath,
) -> Result<Receipt, ApiError> {
    let (plane, project) = (app.core()?.plane(), access.tenant().project().0);
    let revoked = plane.revoke_key(access.by(), project, path.key()?).await?;
    Ok(Receipt::of(revoked.place))
}
