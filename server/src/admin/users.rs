//! What the admin socket answers about people: links for those who cannot sign in, and an end to
//! signing in.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::control::Actor;
use crate::limits::{ADMIN_BODY_BYTES_MAX, ADMIN_USERS_MAX};
use crate::signin::email::Email;
use crate::signin::event::Purpose;
use crate::signin::users::User;
use crate::signin::{SignIn, SignInError, UserId};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewLink {
    email: String,
    purpose: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    email: String,
    disabled: bool,
}

/// The routes.
pub(crate) fn build(signin: Arc<SignIn>) -> Router {
    Router::new()
        .route("/users", get(list))
        .route("/users/link", post(link))
        .route("/users/switch", post(switch))
        .layer(DefaultBodyLimit::max(ADMIN_BODY_BYTES_MAX))
        .with_state(signin)
}

/// An error as the command line reads it.
struct Refused(SignInError);

impl From<SignInError> for Refused {
    fn from(error: SignInError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match &self.0 {
            SignInError::Change(_) => StatusCode::SERVICE_UNAVAILABLE,
            SignInError::UnknownUser => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        let body = json!({ "error": { "message": self.0.to_string() } });
        (status, Json(body)).into_response()
    }
}

fn known(signin: &SignIn, email: &str) -> Result<User, Refused> {
    let email = Email::parse(email).ok_or(SignInError::Email)?;
    let user = signin.accounts.users().by_email(email.as_str());
    Ok(user.ok_or(SignInError::UnknownUser)?)
}

async fn link(
    State(signin): State<Arc<SignIn>>,
    Json(new): Json<NewLink>,
) -> Result<Response, Refused> {
    let email = Email::parse(&new.email).ok_or(SignInError::Email)?;
    let purpose = Purpose::ALL.into_iter().find(|p| p.as_str() == new.purpose);
    let purpose = purpose.ok_or(SignInError::Link)?;
    let token = signin
        .accounts
        .link(Actor::Operator, &email, purpose)
        .await?;
    let url = purpose.url(&signin.base, &token);
    Ok((StatusCode::CREATED, Json(json!({ "url": url }))).into_response())
}

async fn switch(
    State(signin): State<Arc<SignIn>>,
    Json(switch): Json<Switch>,
) -> Result<Response, Refused> {
    let user = known(&signin, &switch.email)?;
    signin
        .accounts
        .set_disabled(Actor::Operator, user.id, switch.disabled)
        .await?;
    let body = json!({ "email": &*user.email, "disabled": switch.disabled });
    Ok(Json(body).into_response())
}

async fn list(State(signin): State<Arc<SignIn>>, RawQuery(query): RawQuery) -> Response {
    let after = query.as_deref().and_then(|q| q.strip_prefix("after="));
    let after = after.and_then(|n| n.parse().ok()).unwrap_or(0);
    let users = signin.accounts.users();
    let users = users.list(UserId(after), ADMIN_USERS_MAX);
    let users: Vec<_> = users
        .iter()
        .map(|user| {
            json!({
                "id": user.id.0,
                "email": &*user.email,
                "name": &*user.name,
                "verified": user.is_verified,
                "disabled": user.is_disabled,
            })
        })
        .collect();
    Json(json!({ "users": users })).into_response()
}
