//! What handlers of the control plane read from a request: JSON bodies, ids in the path, pages.

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::error::{ApiError, ErrorCode};
use super::params::Params;
use crate::limits::{ADMIN_BODY_BYTES_MAX, BODY_GRACE_TIME, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};

/// A JSON body. An empty one is an object without members.
#[derive(Debug)]
pub(super) struct Input<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Input<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let body = to_bytes(request.into_body(), ADMIN_BODY_BYTES_MAX);
        let slow = |_| ApiError::new(ErrorCode::BodyTooSlow, "body came too slowly");
        let body = timeout(BODY_GRACE_TIME, body).await.map_err(slow)?;
        let body = body.map_err(|_| {
            let message = format!("body too large max_bytes={ADMIN_BODY_BYTES_MAX}");
            ApiError::new(ErrorCode::TooLarge, message)
        })?;
        let body = if body.is_empty() { &b"{}"[..] } else { &body };
        parse(body).map(Self)
    }
}

/// Reads JSON. An error says names of members and where, never a value that may be a secret.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        let message = format!(
            "body does not read line={} column={}: {}",
            error.line(),
            error.column(),
            category(&error)
        );
        ApiError::new(ErrorCode::InvalidRequest, message)
    })
}

fn category(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let named = ["unknown field", "missing field", "duplicate field"];
    if named.iter().any(|kind| text.starts_with(kind)) {
        return text.split(" at line").next().unwrap_or("").to_owned();
    }
    match error.classify() {
        serde_json::error::Category::Data => "a member has the wrong type".to_owned(),
        serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof
        | serde_json::error::Category::Io => "not json".to_owned(),
    }
}

/// Ids in the path beside those of the project and the organization.
#[derive(Debug)]
pub(super) struct InPath(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for InPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let unreadable = |_| ApiError::parameter("path", "does not read");
        let params = RawPathParams::from_request_parts(parts, &()).await;
        let params = params.map_err(unreadable)?;
        let owned = params
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Self(owned.collect()))
    }
}

impl InPath {
    /// The text of a parameter.
    pub(super) fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map_or("", |(_, value)| value)
    }

    /// A decimal id.
    pub(super) fn number(&self, name: &str) -> Result<u64, ApiError> {
        let text = self.text(name);
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let parsed = text.parse().ok().filter(|_| digits);
        parsed.ok_or_else(|| ApiError::parameter(name, "not an id, which is a number"))
    }

    /// The public id of a key.
    pub(super) fn key(&self) -> Result<u64, ApiError> {
        u64::from_str_radix(self.text("key"), 16)
            .map_err(|_| ApiError::parameter("key", "not the id of a key, which is in hex"))
    }
}

/// Which page of a list is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    /// The id after which it begins.
    pub(super) after: u64,
    /// How much of it.
    pub(super) limit: usize,
}

/// Parameters of a list that every list knows.
pub(super) const OF_PAGES: [&str; 2] = ["after", "limit"];

impl Page {
    /// Reads the parameters; `known` are those that the list has beside.
    pub(super) fn of(params: &Params, known: &[&str]) -> Result<Self, ApiError> {
        let known: Vec<&str> = known.iter().copied().chain(OF_PAGES).collect();
        if let Some(name) = params.unknown(&known) {
            return Err(ApiError::parameter(name, "unknown parameter"));
        }
        let after = match params.one("after")? {
            None => 0,
            Some(text) => u64::from_str_radix(text, 16)
                .map_err(|_| ApiError::parameter("after", "not from the answer before"))?,
        };
        let limit = match params.one("limit")?.map(str::parse::<usize>) {
            None => PAGE_ROWS_DEFAULT,
            Some(Ok(n)) if (1..=PAGE_ROWS_MAX).contains(&n) => n,
            Some(_) => {
                let message = format!("not a number from 1 to {PAGE_ROWS_MAX}");
                return Err(ApiError::parameter("limit", message));
            }
        };
        Ok(Self { after, limit })
    }

    /// A page of what comes in the order of its ids, and where the next one begins.
    pub(super) fn cut<T>(
        self,
        all: impl Iterator<Item = T>,
        id: impl Fn(&T) -> u64,
    ) -> (Vec<T>, Option<String>) {
        let mut items: Vec<T> = all.take(self.limit + 1).collect();
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        let next = items
            .last()
            .filter(|_| more)
            .map(|last| format!("{:x}", id(last)));
        (items, next)
    }
}
