//! `/v1/auth`: signing in and out, passwords, links. What a person may see is not decided here.

mod links;
mod providers;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Limited};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::App;
use super::access::{Access, Public};
use super::error::{ApiError, ErrorCode};
use super::routes::Routes;
use crate::control::Actor;
use crate::limits::{BODY_GRACE_TIME, SIGN_IN_BODY_BYTES_MAX};
use crate::net::forwarded::{NOWHERE, Peer};
use crate::signin::event::Method;
use crate::signin::oidc;
use crate::signin::session::{NewSession, no_cookie};
use crate::signin::{SessionId, SignIn, SignInError, UserId};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    email: String,
    password: String,
}

/// Who is signed in, and how.
#[derive(Serialize, JsonSchema)]
struct Me {
    user_id: u64,
    email: String,
    name: String,
    email_verified: bool,
    has_password: bool,
    /// `password`, `reset`, `invite`, `setup` or `oidc`.
    method: &'static str,
    /// The provider that vouched for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    session_id: String,
}

/// Ways to sign in at this server.
#[derive(Serialize, JsonSchema)]
struct Ways {
    password: bool,
    /// Nobody has set this server up yet: the set-up link does.
    needs_setup: bool,
    providers: Vec<Provider>,
}

/// A provider.
#[derive(Serialize, JsonSchema)]
struct Provider {
    id: String,
    name: String,
    start: String,
}

impl Provider {
    fn of(provider: &oidc::Provider) -> Self {
        Self {
            id: provider.id().to_owned(),
            name: provider.name().to_owned(),
            start: format!("/v1/auth/oidc/{}/start", provider.id()),
        }
    }
}

/// Adds these routes.
pub(super) fn routes(routes: &mut Routes) {
    routes
        .post("/v1/auth/signin", Public, sign_in)
        .says("Sign in with e-mail and password.")
        .takes::<Credentials>()
        .gives::<Me>();
    routes
        .post("/v1/auth/signout", Public, sign_out)
        .says("End this session.")
        .gives_nothing();
    routes
        .post("/v1/auth/signout-everywhere", Public, sign_out_everywhere)
        .says("End every session of the person who asks.")
        .gives_nothing();
    routes
        .get("/v1/auth/me", Public, me)
        .says("Who is signed in.")
        .gives::<Me>();
    routes
        .get("/v1/auth/providers", Public, ways)
        .says("The ways to sign in here.")
        .gives::<Ways>();
    links::add(routes);
    providers::add(routes);
}

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        let said = error.to_string();
        let (code, field) = match error {
            SignInError::Refused => (ErrorCode::Unauthorized, None),
            SignInError::SsoRequired { .. } | SignInError::Identity => (ErrorCode::Forbidden, None),
            SignInError::TooMany(too_many) => {
                return Self::new(ErrorCode::RateLimited, said).after(too_many.retry);
            }
            SignInError::Busy(_) => (ErrorCode::Overloaded, None),
            SignInError::Link => (ErrorCode::InvalidRequest, Some("token")),
            SignInError::Password(_) => (ErrorCode::InvalidRequest, Some("password")),
            SignInError::Email => (ErrorCode::InvalidRequest, Some("email")),
            SignInError::Name => (ErrorCode::InvalidRequest, Some("name")),
            SignInError::EmailTaken | SignInError::Full { .. } => (ErrorCode::Conflict, None),
            SignInError::UnknownUser => (ErrorCode::NotFound, None),
            SignInError::Change(change) => return change.into(),
        };
        let error = Self::new(code, said);
        match field {
            Some(field) => error.at(field),
            None => error,
        }
    }
}

fn signin(app: &App) -> Result<&Arc<SignIn>, ApiError> {
    let nowhere = || ApiError::new(ErrorCode::NotFound, "nobody signs in at this server");
    app.core()?.signin().ok_or_else(nowhere)
}

/// A request to sign in or to use a link: from where, with which body. Refused if another site may
/// have sent it.
async fn entry<T: DeserializeOwned>(
    signin: &SignIn,
    request: Request,
) -> Result<(T, IpAddr), ApiError> {
    let forged = signin
        .origins
        .refuse_forged_entry(request.method(), request.headers());
    forged.map_err(|forged| ApiError::new(ErrorCode::Forbidden, forged.to_string()))?;
    read(signin, request).await
}

async fn read<T: DeserializeOwned>(
    signin: &SignIn,
    request: Request,
) -> Result<(T, IpAddr), ApiError> {
    let address = address_of(signin, &request);
    let body = Limited::new(request.into_body(), SIGN_IN_BODY_BYTES_MAX).collect();
    let slow = |_| ApiError::new(ErrorCode::BodyTooSlow, "body came too slowly");
    let body = timeout(BODY_GRACE_TIME, body).await.map_err(slow)?;
    let body =
        body.map_err(|_| ApiError::new(ErrorCode::TooLarge, "body broke off or is too large"))?;
    // The parser's own words would repeat what was sent.
    let unread = |_| ApiError::new(ErrorCode::InvalidRequest, "body is not the expected json");
    let body = serde_json::from_slice(&body.to_bytes()).map_err(unread)?;
    Ok((body, address))
}

fn address_of(signin: &SignIn, request: &Request) -> IpAddr {
    let peer = request.extensions().get::<Peer>();
    let peer = peer.map_or(NOWHERE, |peer| peer.0);
    signin.proxies.client(peer, request.headers())
}

type Signed = (UserId, SessionId, Method);

/// The session of a request; refused without one, or if another site may have sent it.
fn signed_in(app: &App, signin: &SignIn, request: &Request) -> Result<Signed, ApiError> {
    let sessions = signin.accounts.sessions();
    let signed = sessions
        .principal(request.headers(), app.clock.wall_ns())
        .ok_or_else(|| ApiError::new(ErrorCode::Unauthorized, "not signed in"))?;
    let forged = signin
        .origins
        .refuse_forged(request.method(), request.headers());
    forged.map_err(|forged| ApiError::new(ErrorCode::Forbidden, forged.to_string()))?;
    Ok(signed)
}

fn unstored(response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn started(signin: &SignIn, session: &NewSession, method: &Method) -> Result<Response, ApiError> {
    let me = describe(signin, (session.user, session.id, method.clone()))?;
    let mut response = unstored(Json(me));
    response.headers_mut().append(SET_COOKIE, session.cookie());
    Ok(response)
}

fn ended() -> Response {
    let mut response = unstored(StatusCode::NO_CONTENT);
    response.headers_mut().append(SET_COOKIE, no_cookie());
    response
}

fn describe(signin: &SignIn, (user, session, method): Signed) -> Result<Me, ApiError> {
    let user = signin.accounts.users().get(user);
    let user = user.ok_or_else(|| ApiError::new(ErrorCode::Unauthorized, "not signed in"))?;
    Ok(Me {
        user_id: user.id.0,
        email: user.email.to_string(),
        name: user.name.to_string(),
        email_verified: user.is_verified,
        has_password: user.has_password(),
        method: method.as_str(),
        issuer: match method {
            Method::Oidc { issuer } => Some(issuer),
            Method::Password | Method::Reset | Method::Invite | Method::SetUp => None,
        },
        session_id: format!("{:x}", session.0),
    })
}

async fn sign_in(
    _: Access<Public>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let signin = signin(&app)?;
    let before = old_session(&app, signin, request.headers());
    let (body, address) = entry::<Credentials>(signin, request).await?;
    let accounts = &signin.accounts;
    let session = accounts
        .sign_in(&body.email, body.password, address)
        .await?;
    // The browser forgets the old session; so does the server.
    if let Some((user, old, _)) = before {
        accounts.sign_out(user, old).await?;
    }
    started(signin, &session, &Method::Password)
}

fn old_session(app: &App, signin: &SignIn, headers: &HeaderMap) -> Option<Signed> {
    let sessions = signin.accounts.sessions();
    sessions.principal(headers, app.clock.wall_ns())
}

async fn sign_out(
    _: Access<Public>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let signin = signin(&app)?;
    let (user, session, _) = signed_in(&app, signin, &request)?;
    signin.accounts.sign_out(user, session).await?;
    Ok(ended())
}

async fn sign_out_everywhere(
    _: Access<Public>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let signin = signin(&app)?;
    let (user, _, _) = signed_in(&app, signin, &request)?;
    let actor = Actor::User(user);
    signin.accounts.sign_out_everywhere(actor, user).await?;
    Ok(ended())
}

async fn me(
    _: Access<Public>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let signin = signin(&app)?;
    let signed = signed_in(&app, signin, &request)?;
    Ok(unstored(Json(describe(signin, signed)?)))
}

async fn ways(_: Access<Public>, State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let signin = signin(&app)?;
    Ok(unstored(Json(Ways {
        password: true,
        needs_setup: signin.accounts.users().count() == 0,
        providers: signin.providers.all().iter().map(Provider::of).collect(),
    })))
}
