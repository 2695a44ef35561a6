//! Passwords and links: choosing another password, the ways back in, and the first one in.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Me, entry, read, signed_in, signin, started, unstored};
use crate::http::App;
use crate::http::access::{Access, Public};
use crate::http::error::ApiError;
use crate::http::routes::Routes;
use crate::signin::accounts::Newcomer;
use crate::signin::event::Method;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    current_password: String,
    new_password: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ResetRequest {
    email: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    token: String,
    password: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LinkToken {
    token: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Owner {
    token: String,
    email: String,
    name: String,
    password: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Invited {
    token: String,
    name: String,
    password: String,
}

/// Adds these routes.
pub(super) fn add(routes: &mut Routes) {
    routes
        .post("/v1/auth/password", Public, change_password)
        .says("Choose another password.")
        .takes::<PasswordChange>()
        .gives::<Me>();
    routes
        .post("/v1/auth/reset/request", Public, request_reset)
        .says("Ask for a link to a new password, by mail.")
        .takes::<ResetRequest>();
    routes
        .post("/v1/auth/reset", Public, reset)
        .says("Choose a new password by a link.")
        .takes::<NewPassword>()
        .gives::<Me>();
    routes
        .post("/v1/auth/verify", Public, verify)
        .says("Show by a link that mail arrives.")
        .takes::<LinkToken>()
        .gives_nothing();
    routes
        .post("/v1/auth/setup", Public, set_up)
        .says("Become the owner of a new server, by the set-up link.")
        .takes::<Owner>()
        .gives::<Me>();
    routes
        .post("/v1/auth/join", Public, join)
        .says("Become a user by an invitation.")
        .takes::<Invited>()
        .gives::<Me>();
}

async fn change_password(
    _: Access<Public>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let signin = signin(&app)?;
    let (user, _, method) = signed_in(&app, signin, &request)?;
    let (body, address) = read::<PasswordChange>(signin, request).await?;
    let passwords = (body.current_password, body.new_password);
    let session = signin
        .accounts
        .change_password(user, passwords, method.clone(), address)
        .await?;
    started(signin, &session, &method)
}

/// The same answer, at once, whoever is meant: what follows is done behind it.
async fn request_reset(
    _: Access<Public>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let signin = signin(&app)?;
    let (body, address) = entry::<ResetRequest>(signin, request).await?;
    signin.request_reset(&body.email, address)?;
    Ok(unstored(StatusCode::ACCEPTED))
}

async fn reset(
    _: Access<Public>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let signin = signin(&app)?;
    let (body, address) = entry::<NewPassword>(signin, request).await?;
    let session = signin
        .accounts
        .reset(&body.token, body.password, address)
        .await?;
    started(signin, &session, &Method::Reset)
}

async fn verify(
    _: Access<Public>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let signin = signin(&app)?;
    let (body, address) = entry::<LinkToken>(signin, request).await?;
    signin.accounts.verify(&body.token, address).await?;
    Ok(unstored(StatusCode::NO_CONTENT))
}

async fn set_up(
    _: Access<Public>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let signin = signin(&app)?;
    let (body, address) = entry::<Owner>(signin, request).await?;
    let newcomer = Newcomer {
        email: body.email,
        name: body.name,
        password: body.password,
    };
    let accounts = &signin.accounts;
    let session = accounts.set_up(&body.token, newcomer, address).await?;
    started(signin, &session, &Method::SetUp)
}

async fn join(
    _: Access<Public>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let signin = signin(&app)?;
    let (body, address) = entry::<Invited>(signin, request).await?;
    let newcomer = Newcomer {
        email: String::new(),
        name: body.name,
        password: body.password,
    };
    let accounts = &signin.accounts;
    let session = accounts.join(&body.token, newcomer, address).await?;
    started(signin, &session, &Method::Invite)
}
