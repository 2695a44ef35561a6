//! `/v1/auth` and what hangs on it: single sign-on, sessions, the audit log of sign-ins.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::json;

use super::*;
use crate::signin::accounts::Newcomer;
use crate::signin::event::{Fact, PasswordHash, UserEvent};
use crate::tenancy::{FIRST_ORG, Role};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const PASSWORD: &str = "correct horse battery";
const ISSUER: &str = "https://idp.example";

/// Without a session, and with a body that none of them reads.
#[tokio::test]
async fn the_routes_of_signing_in_answer_what_they_should() {
    let world = world().await;
    let expected = [
        ("POST", "/v1/auth/signin", 400),
        ("POST", "/v1/auth/signout", 401),
        ("POST", "/v1/auth/signout-everywhere", 401),
        ("GET", "/v1/auth/me", 401),
        ("GET", "/v1/auth/providers", 200),
        ("POST", "/v1/auth/password", 401),
        ("POST", "/v1/auth/reset/request", 400),
        ("POST", "/v1/auth/reset", 400),
        ("POST", "/v1/auth/verify", 400),
        ("GET", "/v1/auth/oidc/{provider}/start", 404),
        ("GET", "/v1/auth/oidc/{provider}/callback", 404),
        ("POST", "/v1/auth/setup", 400),
        ("POST", "/v1/auth/join", 400),
    ];
    let routes = routes(&world.app);
    let ours = routes.table().iter();
    let ours = ours.filter(|route| route.path.starts_with("/v1/auth/"));
    assert_eq!(ours.count(), expected.len());
    for (method, path, status) in expected {
        let path = path.replace("{provider}", "none");
        let request = |own: bool| {
            let mut request = Request::builder().method(method).uri(&path);
            if own {
                request = request.header("x-obsrv-request", "1");
            }
            request.body(Body::from("[]")).unwrap()
        };
        let said = ask(&world.app, request(true)).await;
        assert_eq!(said.status, status, "{method} {path}");
        if method == "POST" {
            let forged = ask(&world.app, request(false)).await.status;
            let refused = if status == 401 { 401 } else { 403 };
            assert_eq!(forged, refused, "{path} from another site");
        }
    }
}

/// A browser goes to a provider on loopback and comes back with a session, once.
#[tokio::test]
async fn a_provider_sends_the_browser_back_with_a_session() {
    let there = crate::signin::oidc::tests::world().await;
    let (idp, world) = (there.idp, world_with(there.providers).await);
    let start = Request::get("/v1/auth/oidc/test/start");
    let begun = ask(&world.app, start.body(Body::empty()).unwrap()).await;
    assert_eq!(begun.status, 303);
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    let location = text(&begun.headers[header::LOCATION]);
    assert!(
        location.starts_with(&format!("{}/authorize?", idp.issuer)),
        "{location}"
    );
    let (_, query) = location.split_once('?').unwrap();
    let pairs: Vec<_> = query.split('&').filter_map(|p| p.split_once('=')).collect();
    let value = |name: &str| pairs.iter().find(|(n, _)| *n == name).unwrap().1;
    value("nonce").clone_into(&mut idp.nonce.lock());
    let pair = |cookie: String| cookie.split(';').next().unwrap().to_owned();
    let flow = pair(text(&begun.headers[header::SET_COOKIE]));
    let back = |state: &str, cookie: &str| {
        let path = format!("/v1/auth/oidc/test/callback?code=good&state={state}");
        let request = Request::get(path).header("cookie", cookie);
        request.body(Body::empty()).unwrap()
    };
    let state = value("state");
    for (state, cookie) in [(state, "a=b"), ("other", flow.as_str())] {
        let said = ask(&world.app, back(state, cookie)).await;
        assert_eq!(said.status, 400, "{state} {cookie}");
    }
    let done = ask(&world.app, back(state, &flow)).await;
    assert_eq!(
        (done.status.as_u16(), &done.headers[header::LOCATION]),
        (303, &"/".parse().unwrap())
    );
    let cookies = done.headers.get_all(header::SET_COOKIE).iter().map(text);
    let session = cookies.map(pair).find(|c| c.starts_with("__Host-obsrv="));
    let session = session.expect("a session");
    let me = Request::get("/v1/auth/me").header("cookie", &session);
    let me = ask(&world.app, me.body(Body::empty()).unwrap())
        .await
        .json();
    assert_eq!(
        (&me["method"], &me["issuer"]),
        (&"oidc".into(), &idp.issuer.as_str().into())
    );
    assert_eq!(
        (&me["email"], &me["email_verified"]),
        (&"ada@example.org".into(), &true.into())
    );
    let again = ask(&world.app, back(state, &flow)).await;
    assert_eq!(again.status, 400, "used");
    assert!(!again.headers.contains_key(header::SET_COOKIE));
}

/// The owner, and the cookie of a session of theirs.
async fn owner(world: &World) -> (UserId, String) {
    let token = world.accounts.set_up_link().await.unwrap().unwrap();
    let ada = Newcomer {
        email: "ada@example.org".into(),
        name: "Ada".into(),
        password: PASSWORD.into(),
    };
    let session = world.accounts.set_up(token.reveal(), ada, HERE).await;
    let session = session.unwrap();
    let cookie = session.cookie().to_str().unwrap().to_owned();
    let (pair, _) = cookie.split_once(';').unwrap();
    (session.user, pair.to_owned())
}

async fn is_signed_in(world: &World, cookie: &str) -> bool {
    let request = Request::get("/v1/auth/me").header("cookie", cookie);
    let said = ask(&world.app, request.body(Body::empty()).unwrap()).await;
    said.status == 200
}

fn by_user(user: UserId, issuer: Option<&str>, method: &str, path: &str) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("x-test-user", user.0)
        .header("x-obsrv-request", "1");
    if let Some(issuer) = issuer {
        request = request.header("x-test-issuer", issuer);
    }
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_new_role_ends_the_sessions_of_who_gets_it() {
    let world = world().await;
    let (ada, cookie) = owner(&world).await;
    assert!(is_signed_in(&world, &cookie).await);
    let plane = world.app.core().unwrap().plane();
    let set = plane.set_member(By::operator(), FIRST_ORG, UserId(9), Role::Owner);
    set.await.unwrap();
    let mut request = by_user(
        UserId(9),
        None,
        "PUT",
        &format!("/v1/orgs/1/members/{}", ada.0),
    );
    *request.body_mut() = Body::from(json!({"role": "viewer"}).to_string());
    assert_eq!(ask(&world.app, request).await.status, 200);
    assert!(!is_signed_in(&world, &cookie).await);
}

#[tokio::test]
async fn an_ended_session_changes_nothing_more() {
    let world = world().await;
    let (ada, _) = owner(&world).await;
    let plane = world.app.core().unwrap().plane();
    let session = world.accounts.users().sessions(ada, plane.now_ns())[0].id;
    let by = By {
        session: Some(session),
        ..By::new(crate::control::Actor::User(ada), By::system().rights)
    };
    plane.create_project(by, FIRST_ORG, "p").await.unwrap();
    world.accounts.sign_out(ada, session).await.unwrap();
    let late = plane.create_project(by, FIRST_ORG, "q").await;
    assert!(matches!(late, Err(crate::tenancy::ChangeError::Ended)));
}

/// The provider of [`ISSUER`], which nobody asks anything.
fn provider() -> Providers {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let file = json!([{
        "id": "test", "name": "Test", "issuer": ISSUER, "client_id": "obsrv",
        "client_secret_file": put("secret", "s3cret"), "domains": ["example.org"],
    }]);
    let file = put("providers.json", &file.to_string());
    let master = MasterSecret::from_bytes([1; 32]);
    let clock = Arc::new(SystemClock::new());
    let providers = Providers::none(&master, clock, Arc::new(OsRng));
    providers.load(&file, "https://obsrv.example").unwrap()
}

#[tokio::test]
async fn an_issuer_is_required_by_who_came_through_it_alone() {
    let world = world_with(provider()).await;
    let (ada, _) = owner(&world).await;
    let other = "https://other.example";
    for (by, wanted, status) in [
        (None, ISSUER, 403),
        (Some(other), ISSUER, 403),
        (Some(other), other, 400),
        (Some(ISSUER), ISSUER, 200),
    ] {
        let mut request = by_user(ada, by, "PUT", "/v1/orgs/1/settings");
        *request.body_mut() = Body::from(json!({"sso_issuer": wanted}).to_string());
        let said = ask(&world.app, request).await;
        assert_eq!(said.status, status, "{wanted} by {by:?}");
    }
}

#[tokio::test]
async fn an_organization_with_an_issuer_takes_nobody_in_by_password() {
    let world = world().await;
    let (ada, _) = owner(&world).await;
    let plane = world.app.core().unwrap().plane();
    let by = By::operator();
    let org = plane.create_org(by, "o", "o").await.unwrap().made;
    let require = |issuer| plane.require_sso(by, org, issuer);
    require(Some(ISSUER)).await.unwrap();
    let invited = plane.invite(by, org, "bob@example.org", Role::Viewer).await;
    let token = invited.unwrap().made.token;
    let bob = || Newcomer {
        email: String::new(),
        name: "Bob".into(),
        password: PASSWORD.into(),
    };
    let joined = world.accounts.join(&token, bob(), HERE).await;
    assert!(matches!(
        joined,
        Err(crate::signin::SignInError::SsoRequired { .. })
    ));
    let users = world.accounts.users();
    assert!(users.by_email("bob@example.org").is_none());
    let accept = |issuer| {
        let mut request = by_user(ada, issuer, "POST", "/v1/invitations/accept");
        *request.body_mut() = Body::from(json!({"token": token}).to_string());
        request
    };
    assert_eq!(ask(&world.app, accept(None)).await.status, 403);
    assert_eq!(ask(&world.app, accept(Some(ISSUER))).await.status, 201);
    // Nor does it show itself to a session by password.
    let listed = async |issuer| {
        let said = ask(&world.app, by_user(ada, issuer, "GET", "/v1/orgs")).await;
        let items = said.json()["items"].clone();
        items.as_array().unwrap().len()
    };
    assert_eq!((listed(None).await, listed(Some(ISSUER)).await), (1, 2));
}

#[tokio::test]
async fn sign_ins_are_in_the_audit_log_of_each_organization_whole() {
    let world = world().await;
    let (ada, _) = owner(&world).await;
    let plane = world.app.core().unwrap().plane();
    let by = By::operator();
    let org = plane.create_org(by, "o", "o").await.unwrap().made;
    let set = plane.set_member(by, org, ada, Role::Owner);
    set.await.unwrap();
    let sign_in = |password: &str| {
        let password = password.to_owned();
        world.accounts.sign_in("ada@example.org", password, HERE)
    };
    sign_in("wrong password 1").await.unwrap_err();
    let session = sign_in(PASSWORD).await.unwrap();
    // The failure is noted behind the answer.
    world.accounts.sign_out(ada, session.id).await.unwrap();
    let path = format!("/v1/orgs/{}/audit", org.0);
    let log = loop {
        let said = ask(&world.app, by_user(ada, None, "GET", &path)).await;
        let text = said.json().to_string();
        if text.contains("user.sign_in_failed") {
            break text;
        }
        tokio::task::yield_now().await;
    };
    for action in ["session.started", "session.ended"] {
        assert!(log.contains(action), "{action} is not in {log}");
    }
    // Set-up was one event with many facts, each of them a line.
    let first = ask(&world.app, by_user(ada, None, "GET", "/v1/orgs/1/audit")).await;
    let first = first.json().to_string();
    for action in [
        "link.ended",
        "user.created",
        "user.password_set",
        "user.set_up",
    ] {
        assert!(first.contains(action), "{action} is not in {first}");
    }
}

#[test]
fn no_hash_of_a_password_is_printed() {
    let phc = PasswordHash("$argon2id$secret".into());
    let event = UserEvent {
        facts: vec![Fact::PasswordSet { user: 1, phc }],
    };
    assert!(!format!("{event:?}").contains("argon2id"));
}
