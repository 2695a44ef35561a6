//! `/v1/orgs`: organizations and their settings, and `/v1/me`: who asks.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::access::{Access, Known, OrgCreate, OrgDelete, OrgEdit, OrgSee};
use super::answers::{List, Made, OrgShown, Receipt};
use super::auth::{Principal, SessionUser, is_open_to};
use super::error::{ApiError, ErrorCode};
use super::input::{Input, Page};
use super::params::Params;
use super::routes::Routes;
use crate::tenancy::plane::Changed;
use crate::tenancy::{OrgId, Right, Rights, Scope};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrg {
    /// For people.
    name: String,
    /// In addresses: lower-case letters, digits and inner hyphens. Unique.
    slug: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrgChange {
    /// Another name.
    name: Option<String>,
    /// Another slug.
    slug: Option<String>,
    /// Whether it takes no more data from here on.
    archived: Option<bool>,
}

/// Settings of an organization.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrgSettings {
    /// The issuer through which its people must sign in; null for any way.
    sso_issuer: Option<String>,
}

/// Who asks.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Me {
    /// `key`, `user` or `operator`.
    kind: &'static str,
    /// The id of the key, in hex, or of the user.
    id: Option<String>,
    /// The project of the key.
    project: Option<u64>,
    /// What the key is for.
    scopes: Vec<&'static str>,
    /// Organizations of the user.
    orgs: Vec<u64>,
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .get("/v1/me", Known, me)
        .says("Who asks.")
        .gives::<Me>();
    routes
        .get("/v1/orgs", Known, list)
        .says("Organizations that one may see.")
        .asks("after", "`next` of the page before")
        .asks("limit", "how many")
        .gives::<List<OrgShown>>();
    routes
        .post("/v1/orgs", OrgCreate, create)
        .says("Make an organization.")
        .takes::<NewOrg>()
        .gives::<Made>();
    routes
        .get("/v1/orgs/{org}", OrgSee, show)
        .says("One organization.")
        .gives::<OrgShown>();
    routes
        .patch("/v1/orgs/{org}", OrgEdit, change)
        .says("Rename or archive an organization.")
        .takes::<OrgChange>()
        .gives::<Receipt>();
    routes
        .delete("/v1/orgs/{org}", OrgDelete, delete)
        .says("Delete an organization that has no project left.")
        .gives::<Receipt>();
    for path in ["/v1/orgs/{org}/settings", "/v1/settings"] {
        routes
            .get(path, OrgSee, settings)
            .says("Settings of an organization.")
            .gives::<OrgSettings>();
        routes
            .put(path, OrgEdit, set_settings)
            .says("Change the settings of an organization.")
            .takes::<OrgSettings>()
            .gives::<Receipt>();
    }
}

async fn me(access: Access<Known>, State(app): State<Arc<App>>) -> Result<Json<Me>, ApiError> {
    let nobody = Me {
        kind: "operator",
        id: None,
        project: None,
        scopes: Vec::new(),
        orgs: Vec::new(),
    };
    Ok(Json(match access.principal() {
        Principal::Operator | Principal::Nobody | Principal::Link(_) => nobody,
        Principal::Key(opened) => Me {
            kind: "key",
            id: Some(format!("{:x}", opened.key_id)),
            project: Some(opened.project.id.0),
            scopes: opened.scopes.iter().map(Scope::as_str).collect(),
            ..nobody
        },
        Principal::User(session) => {
            let orgs = app.core()?.directory().orgs_of(session.user);
            Me {
                kind: "user",
                id: Some(session.user.0.to_string()),
                orgs: orgs.into_iter().map(|org| org.0).collect(),
                ..nobody
            }
        }
    }))
}

async fn list(
    access: Access<Known>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<List<OrgShown>, ApiError> {
    let page = Page::of(&Params::parse(raw.as_deref().unwrap_or(""))?, &[])?;
    let after = OrgId(page.after);
    let (items, next) = app
        .core()?
        .directory()
        .read(|state| match access.principal() {
            Principal::Operator => {
                let all = state
                    .orgs
                    .after(after)
                    .map(|org| with_rights(OrgShown::of(org), Rights::all()));
                page.cut(all, |org| org.id)
            }
            Principal::User(session) => {
                let user = session.user;
                let own = state.people.orgs_of(user).filter(|id| *id > after);
                let open = own.filter_map(|id| state.orgs.get(id));
                let open = open.filter(|org| is_open_to(org, session));
                let shown = open.map(|org| {
                    let rights = state.people.rights_at_org(user, org.id);
                    with_rights(OrgShown::of(org), rights)
                });
                page.cut(shown, |org| org.id)
            }
            Principal::Key(_) | Principal::Nobody | Principal::Link(_) => (Vec::new(), None),
        });
    Ok(List { items, next })
}

fn with_rights(org: OrgShown, rights: Rights) -> OrgShown {
    let rights = rights.iter().map(Right::as_str).collect();
    OrgShown { rights, ..org }
}

async fn create(
    access: Access<OrgCreate>,
    State(app): State<Arc<App>>,
    Input(new): Input<NewOrg>,
) -> Result<Response, ApiError> {
    let plane = app.core()?.plane();
    let Changed { made, place } = plane.create_org(access.by(), &new.name, &new.slug).await?;
    Ok(Made::answer(made.0, place))
}

async fn show(
    access: Access<OrgSee>,
    State(app): State<Arc<App>>,
) -> Result<Json<OrgShown>, ApiError> {
    let org = app.core()?.directory().org(access.org());
    let org = org.ok_or_else(gone)?;
    Ok(Json(with_rights(OrgShown::of(&org), access.by().rights)))
}

/// Deleted between the guard's look and ours.
fn gone() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "no such organization")
}

async fn change(
    access: Access<OrgEdit>,
    State(app): State<Arc<App>>,
    Input(change): Input<OrgChange>,
) -> Result<Receipt, ApiError> {
    let (plane, by, org) = (app.core()?.plane(), access.by(), access.org());
    let (name, slug) = (change.name.as_deref(), change.slug.as_deref());
    let mut place = plane.rename_org(by, org, name, slug).await?.place;
    if let Some(archived) = change.archived {
        place = plane.archive_org(by, org, archived).await?.place.or(place);
    }
    Ok(Receipt::of(place))
}

async fn delete(
    access: Access<OrgDelete>,
    State(app): State<Arc<App>>,
) -> Result<Receipt, ApiError> {
    let deleted = app.core()?.plane().delete_org(access.by(), access.org());
    Ok(Receipt::of(deleted.await?.place))
}

async fn settings(
    access: Access<OrgSee>,
    State(app): State<Arc<App>>,
) -> Result<Json<OrgSettings>, ApiError> {
    let org = app.core()?.directory().org(access.org()).ok_or_else(gone)?;
    let sso_issuer = org.sso_issuer;
    Ok(Json(OrgSettings { sso_issuer }))
}

/// Nobody requires an issuer that vouches for nobody here, nor one that would shut themselves out. The
/// operator may: somebody has to open what is shut.
fn check_own_issuer(app: &App, session: &SessionUser, issuer: &str) -> Result<(), ApiError> {
    let signin = app.core()?.signin();
    let mut providers = signin.iter().flat_map(|signin| signin.providers.all());
    if !providers.any(|provider| provider.issuer() == issuer) {
        let message = "not the issuer of a provider of this server";
        return Err(ApiError::parameter("sso_issuer", message));
    }
    if session.issuer.as_deref() == Some(issuer) {
        return Ok(());
    }
    let message = "sign in through this issuer before you require it";
    Err(ApiError::new(ErrorCode::Forbidden, message))
}

async fn set_settings(
    access: Access<OrgEdit>,
    State(app): State<Arc<App>>,
    Input(settings): Input<OrgSettings>,
) -> Result<Receipt, ApiError> {
    let issuer = settings.sso_issuer.as_deref();
    if let (Some(issuer), Principal::User(session)) = (issuer, access.principal()) {
        check_own_issuer(&app, session, issuer)?;
    }
    let plane = app.core()?.plane();
    let changed = plane.require_sso(access.by(), access.org(), issuer).await?;
    Ok(Receipt::of(changed.place))
}
