//! ID tokens: which signature, which claims. Pure.
//!
//! Two algorithms, RS256 and ES256, each with its own kind of key: a token cannot choose how it is
//! looked at. ring verifies; what it is asked stands here, so that no library's defaults decide.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use crate::limits::{OIDC_KEYS_MAX, OIDC_SKEW_TIME, OIDC_TEXT_BYTES_MAX, OIDC_TOKEN_BYTES_MAX};

/// Why a token proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not three parts of base64 and json, or too large.
    #[error("id token does not read")]
    Form,
    /// An algorithm that is not one of the two, or extensions.
    #[error("id token has an algorithm that is not allowed")]
    Algorithm,
    /// No key of the provider has its name and kind.
    #[error("id token is signed with an unknown key")]
    UnknownKey,
    /// The signature is not the key's.
    #[error("id token has a wrong signature")]
    Signature,
    /// Another issuer.
    #[error("id token is another issuer's")]
    Issuer,
    /// For somebody else.
    #[error("id token is for another audience")]
    Audience,
    /// Too old, or from the future.
    #[error("id token is not valid now")]
    Time,
    /// For another sign-in.
    #[error("id token is for another sign-in")]
    Nonce,
    /// Nobody, or a name that is too long.
    #[error("id token has no fit subject")]
    Subject,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Text(String),
}

#[derive(Deserialize)]
struct Payload {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
    nonce: Option<String>,
    email: Option<String>,
    email_verified: Option<Flag>,
    name: Option<String>,
}

/// What a token must say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now_s: i64,
}

/// What a token proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The issuer's name for the person: never used again for another.
    pub subject: String,
    /// Their address, if the issuer has seen that it is theirs.
    pub verified_email: Option<String>,
    /// What to call them.
    pub name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum KeyKind {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256 { point: Vec<u8> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    kid: Option<String>,
    kind: KeyKind,
}

/// A provider's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys(Vec<Key>);

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwk {
    fn key(self) -> Option<Key> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return None;
        }
        let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
        let is_for = |alg: &str| self.alg.as_deref().is_none_or(|known| known == alg);
        let kind = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) if is_for("RS256") => KeyKind::Rsa {
                n: bytes(self.n)?,
                e: bytes(self.e)?,
            },
            ("EC", Some("P-256")) if is_for("ES256") => {
                let point = [vec![4], bytes(self.x)?, bytes(self.y)?].concat();
                KeyKind::P256 { point }
            }
            _ => return None,
        };
        Some(Key {
            kid: self.kid,
            kind,
        })
    }
}

impl Keys {
    /// Reads a key set; keys for something else are left out.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        let set: JwkSet = serde_json::from_slice(json).ok()?;
        (set.keys.len() <= OIDC_KEYS_MAX)
            .then(|| Self(set.keys.into_iter().filter_map(Jwk::key).collect()))
    }

    /// The one key with this name; without a name, the only one of the kind.
    fn find(&self, kid: Option<&str>, is_kind: fn(&KeyKind) -> bool) -> Option<&Key> {
        let fits = |key: &&Key| is_kind(&key.kind) && (kid.is_none() || key.kid.as_deref() == kid);
        let mut found = self.0.iter().filter(fits);
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }
}

/// Whether any part of what a provider says reads in these bytes: keys, or what a token proves once its
/// signature was checked. For fuzzing.
#[cfg(feature = "forge")]
pub(crate) fn reads(bytes: &[u8]) -> bool {
    let expected = Expected {
        issuer: "https://a.example",
        client_id: "obsrv",
        nonce: "once",
        now_s: 1_800_000_000,
    };
    let keys = Keys::parse(bytes);
    let mut is_token = false;
    if let Ok(token) = std::str::from_utf8(bytes) {
        let proven = verify(token, &Keys::default(), &expected);
        assert!(
            proven.is_err(),
            "BUG: a token that nobody signed proves something"
        );
        is_token = proven != Err(TokenError::Form);
    }
    let payload = serde_json::from_slice(bytes).ok();
    let claims = payload.and_then(|payload| check_claims(payload, &expected).ok());
    keys.is_some() || claims.is_some() || is_token
}

/// What a token proves, if everything about it is as expected.
pub(super) fn verify(
    token: &str,
    keys: &Keys,
    expected: &Expected<'_>,
) -> Result<Claims, TokenError> {
    if token.len() > OIDC_TOKEN_BYTES_MAX {
        return Err(TokenError::Form);
    }
    let mut parts = token.split('.');
    let (Some(head), Some(body), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenError::Form);
    };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Form);
    let header: Header = serde_json::from_slice(&decode(head)?).map_err(|_| TokenError::Form)?;
    let signed = &token.as_bytes()[..head.len() + 1 + body.len()];
    check_signature(&header, keys, signed, &decode(signature)?)?;
    let payload: Payload = serde_json::from_slice(&decode(body)?).map_err(|_| TokenError::Form)?;
    check_claims(payload, expected)
}

fn check_signature(
    header: &Header,
    keys: &Keys,
    signed: &[u8],
    signature: &[u8],
) -> Result<(), TokenError> {
    // What must be understood is not.
    if header.crit.is_some() {
        return Err(TokenError::Algorithm);
    }
    let is_kind: fn(&KeyKind) -> bool = match header.alg.as_str() {
        "RS256" => |kind| matches!(kind, KeyKind::Rsa { .. }),
        "ES256" => |kind| matches!(kind, KeyKind::P256 { .. }),
        _ => return Err(TokenError::Algorithm),
    };
    let key = keys
        .find(header.kid.as_deref(), is_kind)
        .ok_or(TokenError::UnknownKey)?;
    let verdict = match &key.kind {
        KeyKind::Rsa { n, e } => {
            RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
        }
        KeyKind::P256 { point } => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature)
        }
    };
    verdict.map_err(|_| TokenError::Signature)
}

fn check_claims(payload: Payload, expected: &Expected<'_>) -> Result<Claims, TokenError> {
    if payload.iss != expected.issuer {
        return Err(TokenError::Issuer);
    }
    let client = expected.client_id;
    let is_ours = match &payload.aud {
        Audience::One(one) => one == client,
        // With others beside us, it must say that it was made for us.
        Audience::Many(all) => {
            all.iter().any(|one| one == client) && (all.len() == 1 || payload.azp.is_some())
        }
    };
    if !is_ours || payload.azp.as_deref().is_some_and(|azp| azp != client) {
        return Err(TokenError::Audience);
    }
    let now = seconds(expected.now_s);
    let skew = OIDC_SKEW_TIME.as_secs_f64();
    let is_now = payload.exp + skew > now
        && payload.iat - skew <= now
        && payload.nbf.is_none_or(|nbf| nbf - skew <= now);
    if !is_now {
        return Err(TokenError::Time);
    }
    let nonce = payload.nonce.as_deref().unwrap_or("");
    if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
        return Err(TokenError::Nonce);
    }
    let fits = |text: &str| !text.is_empty() && text.len() <= OIDC_TEXT_BYTES_MAX;
    if !fits(&payload.sub) {
        return Err(TokenError::Subject);
    }
    let is_verified = match payload.email_verified {
        Some(Flag::Bool(flag)) => flag,
        Some(Flag::Text(text)) => text == "true",
        None => false,
    };
    Ok(Claims {
        subject: payload.sub,
        verified_email: payload.email.filter(|_| is_verified),
        name: payload.name,
    })
}

/// Whole seconds as the number that a token has. Exact for the next 285 million years.
fn seconds(s: i64) -> f64 {
    let low = i32::try_from(s.rem_euclid(1 << 30)).unwrap_or(0);
    let high = i32::try_from(s.div_euclid(1 << 30)).unwrap_or(i32::MAX);
    f64::from(high) * f64::from(1 << 30) + f64::from(low)
}

#[cfg(test)]
pub(super) mod tests;
