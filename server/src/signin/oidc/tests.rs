//! The flow against a provider on loopback: a real HTTP server with real keys, whose tokens the test
//! bends.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use axum::extract::State as Shared;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use http::header::{COOKIE as COOKIE_HEADER, LOCATION};
use obsrv_engine::io::OsRng;
use serde_json::{Value, json};

use super::jwt::tests::{NOW, Signer};
use super::*;

#[derive(Debug)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn wall_ns(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn mono_ns(&self) -> u64 {
        self.0.load(Ordering::Relaxed).unsigned_abs()
    }
}

/// What the provider does, and what it was asked.
pub(crate) struct Idp {
    pub(crate) issuer: String,
    keys: Mutex<Vec<(String, Arc<Signer>)>>,
    pub(crate) nonce: Mutex<String>,
    forms: Mutex<Vec<String>>,
    bent: Mutex<Option<fn(&mut Value)>>,
    key_requests: AtomicUsize,
}

async fn discovery(Shared(idp): Shared<Arc<Idp>>) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", idp.issuer);
    let mut answer = json!({
        "issuer": idp.issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "jwks_uri": at("/keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    });
    if let Some(bend) = *idp.bent.lock() {
        bend(&mut answer);
    }
    Json(answer)
}

async fn keys(Shared(idp): Shared<Arc<Idp>>) -> Json<Value> {
    idp.key_requests.fetch_add(1, Ordering::Relaxed);
    let keys: Vec<Value> = idp
        .keys
        .lock()
        .iter()
        .map(|(kid, key)| key.jwk(kid))
        .collect();
    Json(json!({ "keys": keys }))
}

async fn token(Shared(idp): Shared<Arc<Idp>>, form: String) -> impl IntoResponse {
    let is_known = form.contains("code=good&");
    idp.forms.lock().push(form);
    if !is_known {
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({ "error": "invalid_grant" })),
        );
    }
    let (kid, key) = idp.keys.lock().last().cloned().unwrap();
    let claims = json!({
        "iss": idp.issuer, "sub": "s-1", "aud": "obsrv", "nonce": *idp.nonce.lock(),
        "exp": NOW + 300, "iat": NOW, "email": "ada@example.org", "email_verified": true,
    });
    let token = key.sign(&json!({ "alg": "ES256", "kid": kid }), &claims);
    (
        StatusCode::OK,
        Json(json!({ "id_token": token, "access_token": "a", "token_type": "Bearer" })),
    )
}

pub(crate) struct World {
    pub(crate) idp: Arc<Idp>,
    pub(crate) providers: Providers,
    clock: Arc<Hand>,
    _dir: tempfile::TempDir,
}

pub(crate) async fn world() -> World {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let idp = Arc::new(Idp {
        issuer: issuer.clone(),
        keys: Mutex::new(vec![("one".into(), Arc::new(Signer::new()))]),
        nonce: Mutex::default(),
        forms: Mutex::default(),
        bent: Mutex::default(),
        key_requests: AtomicUsize::new(0),
    });
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/keys", get(keys))
        .route("/token", post(token))
        .with_state(Arc::clone(&idp));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt;
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let secret = put("secret", "s3cret/+\n");
    let file = json!([{
        "id": "test", "name": "Test", "issuer": issuer, "client_id": "obsrv",
        "client_secret_file": secret, "domains": ["example.org"],
    }]);
    let file = put("providers.json", &file.to_string());
    let clock = Arc::new(Hand(AtomicI64::new(NOW * 1_000_000_000)));
    let time: Arc<dyn Clock> = Arc::<Hand>::clone(&clock);
    let master = MasterSecret::from_bytes([1; 32]);
    let providers = Providers::none(&master, time, Arc::new(OsRng));
    let providers = providers.load(&file, "https://obsrv.example").unwrap();
    World {
        idp,
        providers,
        clock,
        _dir: dir,
    }
}

/// A browser between the two halves.
struct Browser {
    headers: HeaderMap,
    returned: Returned,
    query: Vec<(String, String)>,
}

impl World {
    async fn begin(&self) -> Browser {
        let begun = self.providers.begin("test").await.unwrap();
        let (page, query) = begun.location.split_once('?').unwrap();
        assert_eq!(page, format!("{}/authorize", self.idp.issuer));
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap());
        let query: Vec<_> = pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        let value = |name: &str| query.iter().find(|(n, _)| n == name).unwrap().1.clone();
        *self.idp.nonce.lock() = value("nonce");
        let cookie = begun.cookie.to_str().unwrap();
        assert!(
            cookie.ends_with("; Secure; HttpOnly; SameSite=Lax"),
            "{cookie}"
        );
        let pair = cookie.split(';').next().unwrap();
        Browser {
            headers: HeaderMap::from_iter([(COOKIE_HEADER, pair.parse().unwrap())]),
            returned: Returned {
                code: Some("good".into()),
                state: Some(value("state")),
                issuer: None,
            },
            query,
        }
    }

    async fn finish(&self, browser: &Browser) -> Result<Claims, OidcError> {
        let done = self
            .providers
            .finish("test", &browser.returned, &browser.headers);
        done.await.map(|(_, claims)| claims)
    }
}

#[tokio::test]
async fn the_whole_flow_with_pkce_and_one_session_for_it() {
    let world = world().await;
    let browser = world.begin().await;
    let value = |name: &str| &browser.query.iter().find(|(n, _)| n == name).unwrap().1;
    assert_eq!(
        value("redirect_uri"),
        "https%3A%2F%2Fobsrv.example%2Fv1%2Fauth%2Foidc%2Ftest%2Fcallback"
    );
    assert_eq!(value("code_challenge_method"), "S256");
    let claims = world.finish(&browser).await.unwrap();
    assert_eq!(claims.subject, "s-1");
    assert_eq!(claims.verified_email.as_deref(), Some("ada@example.org"));
    let form = world.idp.forms.lock()[0].clone();
    let verifier = form
        .split('&')
        .find_map(|f| f.strip_prefix("code_verifier="))
        .unwrap();
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    assert_eq!(value("code_challenge"), &challenge);
    assert!(!form.contains("s3cret"), "the secret is in the header");
    let again = world.finish(&browser).await;
    assert!(matches!(again, Err(OidcError::State)), "used");
}

#[tokio::test]
async fn another_browser_state_provider_or_time_is_refused() {
    let world = world().await;
    let (one, other) = (world.begin().await, world.begin().await);
    let crossed = Browser {
        headers: other.headers.clone(),
        returned: one.returned.clone(),
        query: Vec::new(),
    };
    assert!(matches!(
        world.finish(&crossed).await,
        Err(OidcError::State)
    ));
    let mut bare = world.begin().await;
    bare.headers.clear();
    assert!(matches!(world.finish(&bare).await, Err(OidcError::State)));
    let mut edited = world.begin().await;
    let cookie = edited.headers[COOKIE_HEADER]
        .to_str()
        .unwrap()
        .replacen("test.1", "test.9", 1);
    edited
        .headers
        .insert(COOKIE_HEADER, cookie.parse().unwrap());
    assert!(matches!(world.finish(&edited).await, Err(OidcError::State)));
    let mut mixed_up = world.begin().await;
    mixed_up.returned.issuer = Some("https://evil.example".into());
    assert!(matches!(
        world.finish(&mixed_up).await,
        Err(OidcError::State)
    ));
    let unknown = world
        .providers
        .finish("other", &one.returned, &one.headers)
        .await;
    assert!(matches!(unknown, Err(OidcError::UnknownProvider)));
    let late = world.begin().await;
    let ns = i64::try_from(OIDC_FLOW_TIME.as_nanos()).unwrap();
    world.clock.0.fetch_add(ns, Ordering::Relaxed);
    assert!(matches!(world.finish(&late).await, Err(OidcError::State)));
    assert!(world.idp.forms.lock().is_empty(), "nothing was redeemed");
}

#[tokio::test]
async fn a_wrong_code_and_another_sign_ins_token_are_refused() {
    let world = world().await;
    let mut browser = world.begin().await;
    browser.returned.code = Some("bad".into());
    assert!(matches!(
        world.finish(&browser).await,
        Err(OidcError::Refused)
    ));
    let first = world.begin().await;
    let nonce = world.idp.nonce.lock().clone();
    let second = world.begin().await;
    *world.idp.nonce.lock() = nonce;
    let replayed = world.finish(&second).await;
    assert!(
        matches!(replayed, Err(OidcError::Token(TokenError::Nonce))),
        "{replayed:?}"
    );
    assert!(world.finish(&first).await.is_ok());
}

#[tokio::test]
async fn new_keys_are_fetched_and_not_more_often_than_they_may() {
    let world = world().await;
    let browser = world.begin().await;
    world.finish(&browser).await.unwrap();
    assert_eq!(world.idp.key_requests.load(Ordering::Relaxed), 1);
    world
        .idp
        .keys
        .lock()
        .push(("two".into(), Arc::new(Signer::new())));
    let browser = world.begin().await;
    let early = world.finish(&browser).await;
    assert!(matches!(
        early,
        Err(OidcError::Token(TokenError::UnknownKey))
    ));
    assert_eq!(world.idp.key_requests.load(Ordering::Relaxed), 1);
    let ns = i64::try_from(OIDC_KEYS_AGAIN_TIME.as_nanos()).unwrap() + 1;
    world.clock.0.fetch_add(ns, Ordering::Relaxed);
    let browser = world.begin().await;
    world.finish(&browser).await.unwrap();
    assert_eq!(world.idp.key_requests.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_provider_that_points_elsewhere_is_not_followed() {
    let bends: [fn(&mut Value); 4] = [
        |d| d["issuer"] = json!("https://evil.example"),
        |d| d["authorization_endpoint"] = json!("https://evil.example/authorize"),
        |d| d["token_endpoint"] = json!("http://127.0.0.1:1/token"),
        |d| d["jwks_uri"] = json!("https://evil.example/keys"),
    ];
    for (n, bend) in bends.into_iter().enumerate() {
        let world = world().await;
        *world.idp.bent.lock() = Some(bend);
        match world.providers.begin("test").await {
            Err(OidcError::Discovery) => assert_eq!(n, 0),
            Err(OidcError::Fetch(FetchError::NotAllowed)) => assert_eq!(n, 1),
            Ok(_) => {
                let browser = world.begin().await;
                let refused = world.finish(&browser).await;
                let expected = matches!(refused, Err(OidcError::Fetch(FetchError::NotAllowed)));
                assert!(expected && n >= 2, "{n}: {refused:?}");
            }
            other => panic!("{n}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn redirects_and_floods_are_not_followed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let router = Router::new()
        .route(
            "/moved",
            get(|| async { (StatusCode::FOUND, [(LOCATION, "/ok")]) }),
        )
        .route(
            "/flood",
            get(|| async { vec![b'x'; crate::limits::OUTBOUND_BYTES_MAX + 1] }),
        )
        .route(
            "/full",
            get(|| async { vec![b'x'; crate::limits::OUTBOUND_BYTES_MAX] }),
        )
        .route("/ok", get(|| async { "ok" }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let fetch = Fetch::new(Private::new().unwrap(), vec![host.clone()]);
    let url = |path: &str| format!("http://{host}{path}");
    assert_eq!(fetch.get(&url("/ok")).await.unwrap(), "ok");
    assert!(fetch.get(&url("/full")).await.is_ok());
    let moved = fetch.get(&url("/moved")).await;
    assert!(
        matches!(moved, Err(FetchError::Status(StatusCode::FOUND))),
        "{moved:?}"
    );
    let flood = fetch.get(&url("/flood")).await;
    assert!(matches!(flood, Err(FetchError::Answer)), "{flood:?}");
}
