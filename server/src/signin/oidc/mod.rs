//! Signing in by a provider: OIDC, authorization code with PKCE, written out rather than
//! taken from a library, since all that is needed is one flow and two signature algorithms.
//!
//! Between the two halves of the flow the server keeps nothing: a cookie of ten minutes holds the
//! state, signed; nonce and PKCE verifier are derived from it with a key that nobody else has.

mod fetch;
mod jwt;
mod settings;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

pub use fetch::FetchError;
#[cfg(feature = "forge")]
pub(crate) use jwt::reads;
pub use jwt::{Claims, TokenError};
pub use settings::ProvidersError;

use super::session::cookie_of;
use super::token::Token;
use crate::keys::{Macs, MasterSecret, hex};
use crate::limits::{
    OIDC_CACHE_TIME, OIDC_FLOW_TIME, OIDC_KEYS_AGAIN_TIME, OIDC_STATES_MAX, OIDC_TEXT_BYTES_MAX,
};
use crate::net::outbound::Private;
use fetch::{Fetch, Form};
use jwt::{Expected, Keys};
use obsrv_engine::io::{Clock, Rng};
use settings::Settings;

const COOKIE: &str = "__Host-obsrv-oidc";

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// No such provider.
    #[error("no such provider")]
    UnknownProvider,
    /// Not the browser, the provider or the time of the first half.
    #[error("sign-in was not begun here, or too long ago; begin again")]
    State,
    /// The provider says no.
    #[error("provider refused the sign-in")]
    Refused,
    /// The provider was not heard.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What the provider says of itself is not what its settings say.
    #[error("provider describes itself wrongly")]
    Discovery,
    /// The token proves nothing.
    #[error(transparent)]
    Token(#[from] TokenError),
}

#[derive(Clone, Debug, Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    id_token: String,
}

/// What is known of a provider, and since when on the monotonic clock.
#[derive(Debug, Default)]
struct Known {
    discovery: Option<(Arc<Discovery>, u64)>,
    keys: Option<(Arc<Keys>, u64)>,
}

/// One provider.
#[derive(Debug)]
pub struct Provider {
    settings: Settings,
    secret: Secret,
    fetch: Fetch,
    known: Mutex<Known>,
}

struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Provider {
    /// Its name in addresses.
    pub fn id(&self) -> &str {
        &self.settings.id
    }

    /// What its button says.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Its issuer.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Whether people with addresses of this domain may come.
    pub fn allows(&self, domain: &str) -> bool {
        self.settings.domains.iter().any(|known| known == domain)
    }
}

/// Every provider, and the key of their cookies.
#[derive(Debug)]
pub struct Providers {
    all: Vec<Provider>,
    macs: Macs,
    base: String,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    /// States that were used, until they expire: each opens one session at most.
    used: Mutex<VecDeque<(i64, String)>>,
}

/// Where the browser goes, and what it keeps meanwhile.
#[derive(Debug)]
pub struct Begun {
    /// The provider's page.
    pub location: String,
    /// `Set-Cookie`.
    pub cookie: HeaderValue,
}

/// What the browser brings back.
#[derive(Clone, Debug, Default)]
pub struct Returned {
    /// `code`.
    pub code: Option<String>,
    /// `state`.
    pub state: Option<String>,
    /// `iss`, from providers that say so.
    pub issuer: Option<String>,
}

impl Providers {
    /// None.
    pub fn none(master: &MasterSecret, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self {
            all: Vec::new(),
            macs: Macs::for_oidc(master),
            base: String::new(),
            clock,
            rng,
            used: Mutex::default(),
        }
    }

    /// Those of a file; browsers come back to below `base`. Blocks.
    pub fn load(mut self, file: &Path, base: &str) -> Result<Self, ProvidersError> {
        let private = Private::new()?;
        base.clone_into(&mut self.base);
        self.all = settings::load(file)?
            .into_iter()
            .map(|(settings, secret)| Provider {
                fetch: Fetch::new(private.clone(), settings.hosts()),
                settings,
                secret: Secret(secret),
                known: Mutex::default(),
            })
            .collect();
        Ok(self)
    }

    /// In the order of the file.
    pub fn all(&self) -> &[Provider] {
        &self.all
    }

    /// The provider with this id.
    pub fn get(&self, id: &str) -> Result<&Provider, OidcError> {
        let mut all = self.all.iter();
        all.find(|provider| provider.id() == id)
            .ok_or(OidcError::UnknownProvider)
    }

    /// The first half: sends the browser to the provider.
    pub async fn begin(&self, id: &str) -> Result<Begun, OidcError> {
        let provider = self.get(id)?;
        let discovery = self.discovery(provider).await?;
        provider.fetch.check(&discovery.authorization_endpoint)?;
        let state = Token::mint(&*self.rng);
        let state = state.reveal();
        let ends_s = self.now_s() + seconds(OIDC_FLOW_TIME);
        let signed = format!("{id}.{ends_s}.{state}");
        let mac = hex(&self.macs.mac(signed.as_bytes()));
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(self.derived("pkce", state)));
        let query = form(&[
            ("response_type", "code"),
            ("scope", "openid email profile"),
            ("client_id", &provider.settings.client_id),
            ("redirect_uri", &self.redirect_uri(provider)),
            ("state", state),
            ("nonce", &self.derived("nonce", state)),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let endpoint = &discovery.authorization_endpoint;
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        Ok(Begun {
            location: format!("{endpoint}{joint}{query}"),
            cookie: cookie(&format!("{signed}.{mac}"), OIDC_FLOW_TIME.as_secs()),
        })
    }

    /// The second half: what the provider says of whoever comes back.
    pub async fn finish(
        &self,
        id: &str,
        returned: &Returned,
        headers: &HeaderMap,
    ) -> Result<(&Provider, Claims), OidcError> {
        let provider = self.get(id)?;
        let state = self.expect_state(id, returned, headers)?;
        let is_mixed_up = returned
            .issuer
            .as_ref()
            .is_some_and(|i| i != provider.issuer());
        if is_mixed_up {
            return Err(OidcError::State);
        }
        let code = returned.code.as_deref().ok_or(OidcError::Refused)?;
        let discovery = self.discovery(provider).await?;
        let token = self.redeem(provider, &discovery, code, &state).await?;
        let nonce = self.derived("nonce", &state);
        let expected = Expected {
            issuer: provider.issuer(),
            client_id: &provider.settings.client_id,
            nonce: &nonce,
            now_s: self.now_s(),
        };
        let keys = self.keys(provider, &discovery, OIDC_CACHE_TIME).await?;
        let claims = match jwt::verify(&token, &keys, &expected) {
            // Providers change their keys.
            Err(TokenError::UnknownKey) => {
                let keys = self
                    .keys(provider, &discovery, OIDC_KEYS_AGAIN_TIME)
                    .await?;
                jwt::verify(&token, &keys, &expected)
            }
            verdict => verdict,
        };
        Ok((provider, claims?))
    }

    /// The state of the cookie, if it is this flow's, still good and not used before.
    fn expect_state(
        &self,
        id: &str,
        returned: &Returned,
        headers: &HeaderMap,
    ) -> Result<String, OidcError> {
        let kept = cookie_value(headers).ok_or(OidcError::State)?;
        let (signed, mac) = kept.rsplit_once('.').ok_or(OidcError::State)?;
        let ours = hex(&self.macs.mac(signed.as_bytes()));
        let is_signed = bool::from(ours.as_bytes().ct_eq(mac.as_bytes()));
        let mut parts = signed.split('.');
        let (begun, ends_s, state) = (parts.next(), parts.next(), parts.next());
        let ends_s: i64 = ends_s.and_then(|s| s.parse().ok()).unwrap_or(0);
        let (Some(state), Some(said)) = (state, returned.state.as_deref()) else {
            return Err(OidcError::State);
        };
        let is_same = bool::from(state.as_bytes().ct_eq(said.as_bytes()));
        let now_s = self.now_s();
        if !is_signed || begun != Some(id) || !is_same || now_s >= ends_s {
            return Err(OidcError::State);
        }
        let mut used = self.used.lock();
        used.retain(|(ends_s, _)| now_s < *ends_s);
        if used.iter().any(|(_, known)| known == state) {
            return Err(OidcError::State);
        }
        if used.len() >= OIDC_STATES_MAX {
            used.pop_front();
        }
        used.push_back((ends_s, state.to_owned()));
        Ok(state.to_owned())
    }

    async fn redeem(
        &self,
        provider: &Provider,
        discovery: &Discovery,
        code: &str,
        state: &str,
    ) -> Result<String, OidcError> {
        let (client, secret) = (&provider.settings.client_id, &provider.secret.0);
        let redirect_uri = self.redirect_uri(provider);
        let verifier = self.derived("pkce", state);
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect_uri),
            ("code_verifier", &verifier),
        ];
        let methods = &discovery.token_endpoint_auth_methods_supported;
        let authorization = if methods.iter().any(|method| method == "client_secret_post") {
            fields.push(("client_id", client));
            fields.push(("client_secret", secret));
            None
        } else {
            let pair = format!("{}:{}", escape(client), escape(secret));
            Some(format!("Basic {}", STANDARD.encode(pair)))
        };
        let form = Form {
            body: form(&fields),
            authorization,
        };
        let answer = match provider.fetch.post(&discovery.token_endpoint, form).await {
            // It knows no such code: what came back was not from it.
            Err(FetchError::Status(status)) if status.is_client_error() => {
                return Err(OidcError::Refused);
            }
            answer => answer?,
        };
        let answer: TokenAnswer = serde_json::from_slice(&answer).map_err(|_| TokenError::Form)?;
        Ok(answer.id_token)
    }

    async fn discovery(&self, provider: &Provider) -> Result<Arc<Discovery>, OidcError> {
        let kept = provider.known.lock().discovery.clone();
        if let Some((discovery, since)) = kept
            && !self.is_over(since, OIDC_CACHE_TIME)
        {
            return Ok(discovery);
        }
        let issuer = provider.issuer().trim_end_matches('/');
        let url = format!("{issuer}/.well-known/openid-configuration");
        let json = provider.fetch.get(&url).await?;
        let discovery: Discovery =
            serde_json::from_slice(&json).map_err(|_| OidcError::Discovery)?;
        if discovery.issuer != provider.issuer() {
            return Err(OidcError::Discovery);
        }
        let discovery = Arc::new(discovery);
        let fresh = (Arc::clone(&discovery), self.clock.mono_ns());
        provider.known.lock().discovery = Some(fresh);
        Ok(discovery)
    }

    /// The provider's keys, not older than this.
    async fn keys(
        &self,
        provider: &Provider,
        discovery: &Discovery,
        age: std::time::Duration,
    ) -> Result<Arc<Keys>, OidcError> {
        let kept = provider.known.lock().keys.clone();
        if let Some((keys, since)) = kept
            && !self.is_over(since, age)
        {
            return Ok(keys);
        }
        let json = provider.fetch.get(&discovery.jwks_uri).await?;
        let keys = Arc::new(Keys::parse(&json).ok_or(OidcError::Discovery)?);
        provider.known.lock().keys = Some((Arc::clone(&keys), self.clock.mono_ns()));
        Ok(keys)
    }

    fn is_over(&self, since: u64, age: std::time::Duration) -> bool {
        let past = u128::from(self.clock.mono_ns().saturating_sub(since));
        past > age.as_nanos()
    }

    fn redirect_uri(&self, provider: &Provider) -> String {
        format!("{}/v1/auth/oidc/{}/callback", self.base, provider.id())
    }

    fn derived(&self, purpose: &str, state: &str) -> String {
        let message = format!("{purpose}:{state}");
        URL_SAFE_NO_PAD.encode(self.macs.mac(message.as_bytes()))
    }

    fn now_s(&self) -> i64 {
        self.clock.wall_ns().div_euclid(1_000_000_000)
    }
}

fn seconds(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// `Set-Cookie` that forgets a flow.
pub fn no_cookie() -> HeaderValue {
    cookie("", 0)
}

fn cookie(value: &str, seconds: u64) -> HeaderValue {
    let text =
        format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    HeaderValue::try_from(text).expect("BUG: cookie is not a header value")
}

fn cookie_value(headers: &HeaderMap) -> Option<&str> {
    cookie_of(headers, COOKIE).filter(|value| value.len() <= OIDC_TEXT_BYTES_MAX)
}

fn form(fields: &[(&str, &str)]) -> String {
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Percent-encodes all but the letters that never need it.
fn escape(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes()
        .map(|b| {
            if is_plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests;
