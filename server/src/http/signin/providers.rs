//! Signing in by a provider: to it and back.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderValue, StatusCode};

use super::{address_of, old_session, signin, unstored};
use crate::http::App;
use crate::http::access::{Access, Public};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::params::Params;
use crate::http::routes::Routes;
use crate::limits::OIDC_CODE_BYTES_MAX;
use crate::signin::SignInError;
use crate::signin::oidc::{self, OidcError, Returned};

/// Adds these routes.
pub(super) fn add(routes: &mut Routes) {
    routes
        .get("/v1/auth/oidc/{provider}/start", Public, begin)
        .says("Send the browser to a provider.");
    routes
        .get("/v1/auth/oidc/{provider}/callback", Public, finish)
        .says("Where a provider sends the browser back.");
}

impl From<OidcError> for ApiError {
    fn from(error: OidcError) -> Self {
        let code = match &error {
            OidcError::UnknownProvider => ErrorCode::NotFound,
            OidcError::State => ErrorCode::InvalidRequest,
            OidcError::Refused | OidcError::Token(_) => ErrorCode::Unauthorized,
            // A retry may find the provider in better health.
            OidcError::Fetch(_) | OidcError::Discovery => ErrorCode::Overloaded,
        };
        Self::new(code, error.to_string())
    }
}

fn redirect(to: &str) -> Result<Response, ApiError> {
    let wrong = |_| ApiError::new(ErrorCode::Overloaded, "provider describes itself wrongly");
    let to = HeaderValue::try_from(to).map_err(wrong)?;
    let mut response = unstored(StatusCode::SEE_OTHER);
    response.headers_mut().insert(LOCATION, to);
    Ok(response)
}

async fn begin(
    _: Access<Public>,
    State(app): State<Arc<App>>,
    Path(provider): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let signin = signin(&app)?;
    let address = address_of(signin, &request);
    signin
        .accounts
        .begin_from(address)
        .map_err(SignInError::from)?;
    let begun = signin
        .providers
        .begin(&provider)
        .await
        .inspect_err(report)?;
    let mut response = redirect(&begun.location)?;
    response.headers_mut().append(SET_COOKIE, begun.cookie);
    Ok(response)
}

async fn finish(
    _: Access<Public>,
    State(app): State<Arc<App>>,
    Path(provider): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let signin = signin(&app)?;
    let address = address_of(signin, &request);
    signin
        .accounts
        .begin_from(address)
        .map_err(SignInError::from)?;
    let params = Params::parse(request.uri().query().unwrap_or(""))?;
    let one = |name: &str| -> Result<Option<String>, ApiError> {
        let value = params.one(name)?;
        Ok(value
            .filter(|value| value.len() <= OIDC_CODE_BYTES_MAX)
            .map(str::to_owned))
    };
    let returned = Returned {
        code: one("code")?,
        state: one("state")?,
        issuer: one("iss")?,
    };
    let done = signin
        .providers
        .finish(&provider, &returned, request.headers());
    let (provider, claims) = done.await.inspect_err(report)?;
    let session = signin.accounts.sign_in_by(provider, claims).await?;
    if let Some((user, old, _)) = old_session(&app, signin, request.headers()) {
        signin.accounts.sign_out(user, old).await?;
    }
    let mut response = redirect("/")?;
    let headers = response.headers_mut();
    headers.append(SET_COOKIE, session.cookie());
    headers.append(SET_COOKIE, oidc::no_cookie());
    Ok(response)
}

/// What an operator needs to know; the person is told less.
fn report(error: &OidcError) {
    tracing::warn!(%error, "sign-in by a provider failed");
}
