//! Who is asking. The only place that makes a [`Tenant`], so that nothing reads or writes a
//! project's rows without a key of that project.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::error::{ApiError, ErrorCode};
use crate::keys::KeyString;
use crate::limits::KEY_BYTES_MAX;
use crate::tenancy::directory::{Directory, KeyRefusal, Project};
use obsrv_engine::row::ProjectId;

const API_KEY: &str = "x-api-key";
/// Longest user name and password that are decoded, as base64.
const BASIC_BYTES_MAX: usize = 4 * KEY_BYTES_MAX;

/// A request's project, proved by a key.
#[derive(Clone, Debug)]
pub struct Tenant {
    project: Arc<Project>,
    key_id: u64,
}

impl Tenant {
    /// The project's id.
    pub fn project(&self) -> ProjectId {
        self.project.id
    }

    /// The project's name.
    pub fn project_name(&self) -> &str {
        &self.project.name
    }

    /// The public id of the key.
    pub const fn key_id(&self) -> u64 {
        self.key_id
    }

    /// Whether a name in a request means this project: its name, its id or nothing at all.
    pub fn is_called(&self, name: &str) -> bool {
        name.is_empty() || name == self.project_name() || name == self.project.id.0.to_string()
    }
}

/// The tenant of a request: `x-api-key: K`, `Authorization: Bearer K`, or `Authorization: Basic` with
/// K as the password. The user name, a public key in Langfuse's words, opens nothing; only without
/// a password it is K itself.
pub fn authenticate(
    directory: &Directory,
    headers: &HeaderMap,
    now_ns: i64,
) -> Result<Tenant, ApiError> {
    let text = presented(headers).ok_or_else(|| refused("no api key; send it as x-api-key"))?;
    let key = KeyString::parse(&text).map_err(|_| refused("not an api key"))?;
    let opened = directory
        .authenticate(&key, now_ns)
        .map_err(|why| match why {
            KeyRefusal::Unknown => refused("unknown or revoked api key"),
            KeyRefusal::Expired => refused("expired api key"),
        })?;
    Ok(Tenant {
        project: opened.project,
        key_id: opened.key_id,
    })
}

fn refused(message: &str) -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, message)
}

fn presented(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    if let Some(key) = headers.get(API_KEY) {
        return key.to_str().ok().map(|key| key.trim().into());
    }
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.trim().split_once(' ')?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::MasterSecret;
    use crate::tenancy::directory::tests::sample;

    fn ask(name: &str, value: &str) -> Result<Tenant, ApiError> {
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        let secret = MasterSecret::from_bytes([1; 32]);
        let directory = sample::directory(&secret, &[(4, "p", 9, "tk_live_key")]);
        let headers = HeaderMap::from_iter([(name, value.parse().unwrap())]);
        authenticate(&directory, &headers, 0)
    }

    #[test]
    fn both_headers_in_any_case() {
        for (name, value) in [
            ("x-api-key", "tk_live_key"),
            ("X-API-Key", " tk_live_key "),
            ("Authorization", "Bearer tk_live_key"),
            ("AUTHORIZATION", "bearer  tk_live_key"),
            // pk-lf-1:tk_live_key and tk_live_key: as in RFC 7617.
            ("Authorization", "Basic cGstbGYtMTp0a19saXZlX2tleQ=="),
            ("Authorization", "basic dGtfbGl2ZV9rZXk6"),
        ] {
            let tenant = ask(name, value).unwrap();
            assert_eq!(
                (tenant.project(), tenant.key_id()),
                (ProjectId(4), 9),
                "{name}: {value}"
            );
        }
    }

    #[test]
    fn anything_else_is_401_and_is_not_repeated() {
        for (name, value) in [
            ("x-api-key", "tk_live_kez"),
            ("x-api-key", ""),
            ("authorization", "tk_live_key"),
            ("authorization", "Basic tk_live_key"),
            // tk_live_key:sk-lf-1, tk_live_key without a colon
            ("authorization", "Basic dGtfbGl2ZV9rZXk6c2stbGYtMQ=="),
            ("authorization", "Basic dGtfbGl2ZV9rZXk="),
            ("x-key", "tk_live_key"),
        ] {
            let error = ask(name, value).unwrap_err();
            assert_eq!(error.code, ErrorCode::Unauthorized, "{name}: {value}");
            assert!(!error.message.contains("tk_live"), "{error}");
        }
    }

    #[test]
    fn names_of_the_project() {
        let tenant = ask("x-api-key", "tk_live_key").unwrap();
        assert!(tenant.is_called("") && tenant.is_called("p") && tenant.is_called("4"));
        assert!(!tenant.is_called("q"));
    }
}
