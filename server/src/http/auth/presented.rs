//! The key that a request shows, in any of the spellings that SDKs send.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;

use crate::http::params::Params;
use crate::limits::KEY_BYTES_MAX;

const API_KEY: &str = "x-api-key";
/// What the paths end with that take a key as `token`: streams, which browsers open without headers.
const STREAMS: &str = "/logs/stream";
/// Longest user name and password that are decoded, as base64.
const BASIC_BYTES_MAX: usize = 4 * KEY_BYTES_MAX;

/// The key of a request. A header that no key can be read from is an empty key: it never falls
/// through to a session.
pub(super) fn presented(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    if let Some(key) = headers.get(API_KEY) {
        return Some(key.to_str().unwrap_or("").trim().into());
    }
    let value = headers.get(AUTHORIZATION)?.to_str().unwrap_or("");
    Some(authorization(value).unwrap_or_default())
}

/// The key in the URL of a stream. One that does not read is an empty key.
pub(super) fn in_url(parts: &Parts) -> Option<String> {
    let query = parts
        .uri
        .query()
        .filter(|_| parts.uri.path().ends_with(STREAMS))?;
    let params = Params::parse(query).ok()?;
    match params.one("token") {
        Ok(token) => token.map(str::to_owned),
        Err(_) => Some(String::new()),
    }
}

fn authorization(value: &str) -> Option<Cow<'_, str>> {
    let value = value.trim();
    let Some((scheme, key)) = value.split_once(' ') else {
        // The key alone, as Logfire sends it.
        return Some(value.into());
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(key.trim().into());
    }
    if !scheme.eq_ignore_ascii_case("basic") || key.len() > BASIC_BYTES_MAX {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(key.trim()).ok()?).ok()?;
    let (user, password) = pair.split_once(':')?;
    let key = if password.is_empty() { user } else { password };
    Some(key.to_owned().into())
}
