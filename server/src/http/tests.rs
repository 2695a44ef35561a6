//! The routes over a real engine in a directory of its own.

use std::io::Write as _;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{Method, Request, StatusCode, header};
use obsrv_engine::engine::{Options, Threads};
use obsrv_engine::io::{Clock, OsRng, RealDisk, RealTree, SystemClock, Tree};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::access::Needs;
use super::auth::{SessionSource, SessionUser};
use super::*;
use crate::blob::Terms;
use crate::blob::local::LocalBlobs;
use crate::blob::store::BlobStore;
use crate::tenancy::{Right, UserId};

mod canary;
mod clock;
mod crowded;
mod documents;
mod explain;
mod governed;
mod jaeger;
mod matrix;
mod read;
mod remap;
mod revoked;
mod signals;
mod signing_in;
mod status;
mod stuck;
mod tempo;

/// Who is signed in stands in a header.
#[derive(Debug)]
struct HeaderSessions;

impl SessionSource for HeaderSessions {
    fn principal(&self, headers: &http::HeaderMap, _now_ns: i64) -> Option<SessionUser> {
        let user = headers.get("x-test-user")?.to_str().ok()?.parse().ok()?;
        let issuer = headers
            .get("x-test-issuer")
            .map(|v| v.to_str().unwrap().into());
        let user = UserId(user);
        let session = None;
        Some(SessionUser {
            user,
            issuer,
            session,
        })
    }
}
use crate::interpreter::Reading;
use crate::keys::{KeyString, MasterSecret};
use crate::quota::Quota;
use crate::signin::Accounts;
use crate::signin::oidc::Providers;
use crate::tenancy::plane::{By, KeyTerms};

/// Largest attachment of the tests: more than a piece, so that pieces are put together.
pub(super) const BLOB_BYTES_OF_TESTS: u64 = 600 << 10;

pub(super) struct World {
    pub(super) app: Arc<App>,
    accounts: Arc<Accounts>,
    threads: Option<Threads>,
    pub(super) dir: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            threads.stop();
        }
    }
}

pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) headers: http::HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Said {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn starting() -> Arc<App> {
    starting_at(Arc::new(SystemClock::new()))
}

fn starting_at(clock: Arc<dyn Clock>) -> Arc<App> {
    App::new(clock, 64 << 20, 1 << 20, 7)
}

/// Two projects, `a` and `b`, with the keys `key-of-a` and `key-of-b`.
pub(super) async fn world() -> World {
    world_with(no_providers()).await
}

pub(super) fn no_providers() -> Providers {
    let master = MasterSecret::from_bytes([1; 32]);
    Providers::none(&master, Arc::new(SystemClock::new()), Arc::new(OsRng))
}

/// The same, where people sign in by these providers, too.
async fn world_with(providers: Providers) -> World {
    world_by(providers, Arc::new(SystemClock::new())).await
}

/// The same by this clock.
async fn world_by(providers: Providers, clock: Arc<dyn Clock>) -> World {
    let dir = tempfile::tempdir().unwrap();
    let ground = Ground {
        disk: Arc::new(RealDisk::open(dir.path()).unwrap()),
        files: Arc::new(LocalBlobs::open(dir.path()).unwrap()),
        clock,
        tree: Arc::new(RealTree::new(dir.path())),
    };
    let start = |engine: &Arc<Engine>| engine.start().unwrap();
    let (app, accounts, threads) = app_on(&ground, providers, start);
    make_projects(&app).await;
    World {
        app,
        accounts,
        threads: Some(threads),
        dir,
    }
}

/// What a server of the tests stands on.
pub(super) struct Ground {
    pub(super) disk: Arc<dyn obsrv_engine::io::Disk>,
    /// Where attachments are.
    pub(super) files: Arc<dyn BlobStore>,
    pub(super) clock: Arc<dyn Clock>,
    /// Where uploads grow.
    pub(super) tree: Arc<dyn Tree>,
}

/// A server of whatever is there, and what commits for it.
pub(super) fn app_on<T>(
    ground: &Ground,
    providers: Providers,
    start: impl FnOnce(&Arc<Engine>) -> T,
) -> (Arc<App>, Arc<Accounts>, T) {
    app_with(ground, Options::for_memory(64 << 20), providers, start)
}

/// The same with other options.
fn app_with<T>(
    ground: &Ground,
    options: Options,
    providers: Providers,
    start: impl FnOnce(&Arc<Engine>) -> T,
) -> (Arc<App>, Arc<Accounts>, T) {
    let app = starting_at(Arc::clone(&ground.clock));
    let reading = Reading {
        book: Arc::clone(app.book()),
    };
    let engine = Engine::open(Arc::clone(&ground.disk), &OsRng, options, &reading).unwrap();
    let started = start(&engine);
    let master = MasterSecret::from_bytes([1; 32]);
    let plane = ControlPlane::recover(
        Arc::clone(&engine),
        &master,
        Arc::clone(&ground.clock),
        Arc::new(OsRng),
    );
    let plane = Arc::new(plane.unwrap());
    let cursors = Macs::for_cursors(&master);
    let macs = Macs::for_redaction(&master);
    let governance = Arc::new(Governance::new(Quota::default(), Arc::clone(&plane), macs));
    let accounts = Arc::new(accounts_of(&plane, &master));
    let mut core = Core::new(engine, plane, governance, cursors, Arc::new(HeaderSessions));
    core.signin = Some(signin_of(&accounts, providers));
    let terms = Terms {
        links: Macs::for_blobs(&master),
        rng: Arc::new(OsRng),
        base: "https://obsrv.example".to_owned(),
        bytes_max: BLOB_BYTES_OF_TESTS,
        reserve_bytes: 0,
    };
    let blobs =
        Arc::new(Blobs::over(Arc::clone(&ground.files), Arc::clone(&ground.tree), terms).unwrap());
    app.set_ready(core.keeping(blobs));
    (app, accounts, started)
}

/// Of a server that is new.
pub(super) async fn make_projects(app: &App) {
    let plane = app.core().unwrap().plane();
    for (name, id, key) in [("a", 1, "key-of-a"), ("b", 2, "key-of-b")] {
        let key = KeyString::parse(key).unwrap();
        let made = plane.install(By::system(), name, id, key, KeyTerms::default());
        assert_eq!(made.await.unwrap().made.project.id.0, id);
    }
}

fn accounts_of(plane: &Arc<ControlPlane>, master: &MasterSecret) -> Accounts {
    let clock = Arc::new(SystemClock::new());
    Accounts::new(Arc::clone(plane), master, clock, Arc::new(OsRng))
}

/// Signing in, without mail.
fn signin_of(accounts: &Arc<Accounts>, providers: Providers) -> Arc<SignIn> {
    let (queue, _) = tokio::sync::mpsc::channel(1);
    Arc::new(SignIn {
        accounts: Arc::clone(accounts),
        origins: crate::signin::Origins::default(),
        base: "https://obsrv.example".to_owned(),
        proxies: crate::net::forwarded::Proxies::default(),
        providers,
        queue,
    })
}

pub(super) async fn ask(app: &Arc<App>, request: Request<Body>) -> Said {
    ask_by(build(Arc::clone(app)), request).await
}

/// The same by routes that are made already.
pub(super) async fn ask_by(routes: Router, request: Request<Body>) -> Said {
    let response = routes.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 25).await.unwrap().to_vec();
    Said {
        status: parts.status,
        headers: parts.headers,
        body,
    }
}

pub(super) fn post(
    path: &str,
    key: &str,
    content_type: &str,
    body: impl Into<Body>,
) -> Request<Body> {
    Request::post(path)
        .header("x-api-key", key)
        .header(header::CONTENT_TYPE, content_type)
        .body(body.into())
        .unwrap()
}

pub(super) fn get(path: &str, key: &str) -> Request<Body> {
    Request::get(path)
        .header("authorization", format!("Bearer {key}"))
        .body(Body::empty())
        .unwrap()
}

pub(super) const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";

fn trace(id: &str, tier: &str) -> String {
    format!(
        r#"{{"trace_id":"{id}","name":"n","status":"success","metadata":{{"tier":"{tier}"}},
           "started_at":"2026-01-01T00:00:0{}Z","steps":[{{"step_id":"s-{id}","type":"llm",
           "status":"success","started_at":"2026-01-01T00:00:00Z"}}]}}"#,
        id.len() % 10
    )
}

#[tokio::test]
async fn while_it_starts_everything_is_put_off_but_live() {
    let app = starting();
    assert_eq!(ask(&app, get("/live", "")).await.status, 200);
    assert_eq!(
        ask(&app, get("/ready", "")).await.json()["status"],
        "starting"
    );
    assert_eq!(ask(&app, get("/metrics", "")).await.status, 200);
    for request in [
        post("/v1/traces", "key-of-a", JSON, "{}"),
        get("/v1/traces", "key-of-a"),
    ] {
        let said = ask(&app, request).await;
        assert_eq!(said.status, 503);
        assert_eq!(said.json()["error"]["code"], "starting");
        assert_eq!(said.headers[OUTCOME], "not-stored");
        assert_eq!(said.headers[header::RETRY_AFTER], "1");
    }
}

#[tokio::test]
async fn every_data_route_wants_a_key_in_the_clients_language() {
    let world = world().await;
    let posts = [
        "/v1/traces",
        "/otlp/v1/traces",
        "/api/public/otel/v1/traces",
        "/v1/traces/t/annotations",
        "/v1/imports/traces",
        "/v1/events",
        "/v1/logs",
        "/v1/metrics",
        "/v1/metrics/m/events",
    ];
    for path in posts {
        let said = ask(&world.app, post(path, "key-of-c", JSON, "{}")).await;
        assert_eq!(said.status, 401, "{path}");
        assert_eq!(said.json()["error"]["retryable"], false);
        assert!(said.headers.contains_key("x-request-id"));
        let said = ask(&world.app, post(path, "key-of-c", PROTOBUF, "")).await;
        assert_eq!(
            (said.status.as_u16(), &said.body[..2]),
            (401, &b"\x08\x10"[..]),
            "{path}"
        );
    }
    for path in ["/v1/traces", "/v1/traces/t"] {
        assert_eq!(
            ask(&world.app, get(path, "key-of-c")).await.status,
            401,
            "{path}"
        );
    }
    let delete = Request::delete("/v1/traces/t").body(Body::empty()).unwrap();
    assert_eq!(ask(&world.app, delete).await.status, 401);
}

#[tokio::test]
async fn unknown_routes_and_methods() {
    let world = world().await;
    let said = ask(&world.app, get("/v1/nothing", "key-of-a")).await;
    assert_eq!(
        (said.status.as_u16(), &said.json()["error"]["code"]),
        (404, &"not_found".into())
    );
    let said = ask(&world.app, post("/ready", "key-of-a", JSON, "{}")).await;
    assert_eq!(said.json()["error"]["code"], "method_not_allowed");
    assert_eq!(said.headers[header::ALLOW], "GET,HEAD");
}

#[expect(
    clippy::too_many_lines,
    reason = "one story from first write to last read"
)]
#[tokio::test]
async fn what_is_written_is_read_by_its_project_alone() {
    let world = world().await;
    for (id, tier) in [("t1", "gold"), ("t22", "free"), ("t333", "gold")] {
        let said = ask(
            &world.app,
            post("/v1/traces", "key-of-a", JSON, trace(id, tier)),
        )
        .await;
        assert_eq!(
            said.status,
            201,
            "{:?}",
            String::from_utf8_lossy(&said.body)
        );
        assert_eq!(said.json()["trace_id"], id);
    }
    let gold = "/v1/traces?limit=1&meta_key=tier&meta_value=gold&total=true&facets=metadata.tier";
    let first = ask(&world.app, get(gold, "key-of-a")).await.json();
    assert_eq!(first["items"][0]["trace_id"], "t333");
    assert_eq!(first["total"], 2);
    assert_eq!(first["facets"][0]["values"][0]["count"], 2);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = ask(
        &world.app,
        get(&format!("{gold}&cursor={cursor}"), "key-of-a"),
    )
    .await
    .json();
    assert_eq!(second["items"][0]["trace_id"], "t1");
    assert_eq!(second["next_cursor"], Value::Null);
    let other_list = format!("/v1/traces?cursor={cursor}");
    let said = ask(&world.app, get(&other_list, "key-of-a")).await;
    assert_eq!(said.json()["error"]["code"], "invalid_cursor");
    let said = ask(
        &world.app,
        get(&format!("{gold}&cursor={cursor}"), "key-of-b"),
    )
    .await;
    assert_eq!(said.status, 400);

    assert_eq!(
        ask(&world.app, get("/v1/traces", "key-of-b")).await.json()["items"],
        Value::Array(vec![])
    );
    assert_eq!(
        ask(&world.app, get("/v1/traces/t1", "key-of-b"))
            .await
            .status,
        404
    );
    let whole = ask(&world.app, get("/v1/traces/t1", "key-of-a"))
        .await
        .json();
    assert_eq!(whole["meta"]["project_id"], "a");
    assert_eq!(whole["trace"]["steps"][0]["step_id"], "s-t1");

    let delete = |key: &str| {
        Request::delete("/v1/traces/t1")
            .header("x-api-key", key)
            .body(Body::empty())
            .unwrap()
    };
    assert_eq!(ask(&world.app, delete("key-of-b")).await.status, 200);
    assert_eq!(
        ask(&world.app, get("/v1/traces/t1", "key-of-a"))
            .await
            .status,
        200
    );
    assert_eq!(ask(&world.app, delete("key-of-a")).await.status, 200);
    assert_eq!(
        ask(&world.app, get("/v1/traces/t1", "key-of-a"))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn otlp_is_answered_in_its_own_form() {
    let world = world().await;
    let said = ask(&world.app, post("/v1/traces", "key-of-a", PROTOBUF, "")).await;
    assert_eq!((said.status.as_u16(), said.body.len()), (200, 0));
    assert_eq!(said.headers[header::CONTENT_TYPE], PROTOBUF);
    let said = ask(
        &world.app,
        post("/v1/traces", "key-of-a", JSON, r#"{"resourceSpans":[]}"#),
    )
    .await;
    assert_eq!(said.json(), serde_json::json!({ "partialSuccess": {} }));
    let said = ask(
        &world.app,
        post("/v1/traces", "key-of-a", PROTOBUF, "\u{7f}junk"),
    )
    .await;
    assert_eq!(
        (said.status.as_u16(), &said.body[..2]),
        (400, &b"\x08\x03"[..])
    );
}

#[tokio::test]
async fn spans_arrive_at_every_address_that_sdks_know() {
    let world = world().await;
    let paths = [
        "/v1/traces",
        "/otlp/v1/traces",
        "/api/public/otel/v1/traces",
        "/otel/v1/traces",
        "/api/v1/private/otel/v1/traces",
        "/api/otel/v1/traces",
        "/v1/otel-steps",
    ];
    for (n, path) in paths.into_iter().enumerate() {
        let trace_id = format!("{:032x}", n + 1);
        let span = format!(
            r#"{{"traceId":"{trace_id}","spanId":"00000000000000aa","name":"n","startTimeUnixNano":"1"}}"#
        );
        let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#);
        let said = ask(&world.app, post(path, "key-of-a", JSON, body)).await;
        assert_eq!(said.json(), serde_json::json!({ "partialSuccess": {} }));
        let trace = get(&format!("/v1/traces/{trace_id}"), "key-of-a");
        let trace = ask(&world.app, trace).await.json();
        assert_eq!(trace["trace"]["steps"][0]["name"], "n", "{path}");
    }
    let said = ask(&world.app, get("/otlp/v1/traces", "key-of-a")).await;
    assert_eq!(
        (said.status.as_u16(), &said.headers[header::ALLOW]),
        (405, &"POST".parse().unwrap())
    );
    let metrics = ask(&world.app, get("/metrics", "")).await;
    let metrics = String::from_utf8(metrics.body).unwrap();
    assert!(metrics.contains(r#"{route="/v1/traces",status="2xx"} 7"#));
}

#[tokio::test]
async fn imports_name_each_item() {
    let world = world().await;
    let lines = format!(
        "{}\n{{\"trace_id\":7}}",
        trace("t1", "x").replace('\n', " ")
    );
    let request = post(
        "/v1/imports/traces",
        "key-of-a",
        "application/x-ndjson",
        lines,
    );
    let said = ask(&world.app, request).await;
    assert_eq!(
        said.status,
        207,
        "{:?}",
        String::from_utf8_lossy(&said.body)
    );
    let json = said.json();
    assert_eq!((&json["accepted"], &json["failed"]), (&1.into(), &1.into()));
    assert_eq!(json["items"][0]["status"], "accepted");
    assert_eq!(json["items"][1]["index"], 1);
    assert!(json["items"][1]["error"].is_string());
}

/// 40,000 empty steps are 160 kB of text and more than 16 MiB, all the room of this world, as rows.
#[tokio::test]
async fn a_body_is_charged_for_what_it_decodes_to() {
    let world = world().await;
    let steps = vec!["{}"; 40_000].join(",");
    let body = format!(r#"{{"trace_id":"{}","steps":[{steps}]}}"#, "t".repeat(256));
    let send = || post("/v1/traces", "key-of-a", JSON, body.clone());
    let other = world.app.admission.charge_for(0, 1).unwrap();
    let said = ask(&world.app, send()).await;
    assert_eq!(said.json()["error"]["code"], "overloaded");
    assert_eq!(said.headers[OUTCOME], "not-stored");
    drop(other);
    assert_eq!(ask(&world.app, send()).await.status, 201);
    assert_eq!(world.app.admission.held_bytes(), 0);
}

#[tokio::test]
async fn a_trace_over_the_budget_is_refused_by_name() {
    let world = world().await;
    // A quarter of the memory budget of this world is 16 MiB.
    let big = |id: &str, kib: usize| {
        let text = "x".repeat(kib << 10);
        format!(
            r#"{{"trace_id":"big","steps":[{{"step_id":"{id}","metadata":{{"text":"{text}"}}}}]}}"#
        )
    };
    let mut n = 0;
    let said = loop {
        let request = post("/v1/traces", "key-of-a", JSON, big(&format!("s{n}"), 1000));
        assert_eq!(ask(&world.app, request).await.status, 201);
        n += 1;
        let said = ask(&world.app, get("/v1/traces/big", "key-of-a")).await;
        if said.status != 200 {
            break said;
        }
    };
    assert_eq!(n, 17, "16 of 1000 KiB and the run are below the limit");
    assert_eq!(said.status, 422);
    let message = "trace too large for one answer max_bytes=16777216";
    assert_eq!(said.json()["error"]["message"], message);
}

/// A body packed as deflate, with the header of zlib or without.
fn deflated(path: &str, content_type: &str, raw: bool, body: &[u8]) -> Request<Body> {
    let level = flate2::Compression::default();
    let packed = if raw {
        let mut out = flate2::write::DeflateEncoder::new(Vec::new(), level);
        out.write_all(body).unwrap();
        out.finish().unwrap()
    } else {
        let mut out = flate2::write::ZlibEncoder::new(Vec::new(), level);
        out.write_all(body).unwrap();
        out.finish().unwrap()
    };
    let mut request = post(path, "key-of-a", content_type, packed);
    let deflate = header::HeaderValue::from_static("deflate");
    request
        .headers_mut()
        .insert(header::CONTENT_ENCODING, deflate);
    request
}

#[tokio::test]
async fn deflate_is_read_with_and_without_its_header_and_under_one_limit() {
    let world = world().await;
    for (id, raw) in [("zlib", false), ("raw", true)] {
        let said = ask(
            &world.app,
            deflated("/v1/traces", JSON, raw, trace(id, "gold").as_bytes()),
        )
        .await;
        assert_eq!(said.status, 201, "{id}");
        let said = ask(&world.app, get(&format!("/v1/traces/{id}"), "key-of-a")).await;
        assert_eq!(said.status, 200, "{id}");
        // The limit of this world is 1 MiB: at it the body is read, and is no trace.
        for (bytes, status) in [(1 << 20, 400), ((1 << 20) + 1, 413), (1 << 26, 413)] {
            let said = ask(
                &world.app,
                deflated("/v1/traces", JSON, raw, &vec![b' '; bytes]),
            )
            .await;
            assert_eq!(said.status, status, "{id} {bytes}");
        }
    }
    assert_eq!(world.app.admission.held_bytes(), 0);
}

#[tokio::test]
async fn what_takes_rows_is_there_with_a_slash_behind_it() {
    let world = world().await;
    let routes = routes(&world.app);
    let mut looked_at = 0;
    for route in routes.table() {
        let takes = route.needs == Needs::Project(Right::TraceWrite) && route.method != Method::GET;
        if !takes || route.path.contains("{*") {
            continue;
        }
        looked_at += 1;
        let path = route.path.replace("{project}", "1").replace(['{', '}'], "");
        let asked = |key: &str| {
            let request = Request::builder().method(route.method.clone());
            let request = request.uri(format!("{path}/")).header("x-api-key", key);
            request.body(Body::from("{")).unwrap()
        };
        let said = ask(&world.app, asked("key-of-a")).await;
        let text = String::from_utf8_lossy(&said.body).into_owned();
        assert!(!text.contains("no such route"), "{path}: {text}");
        assert_ne!(said.status, 405, "{path}");
        // Nobody is let in by the slash.
        let nobody = ask(&world.app, asked("key-of-nobody")).await;
        assert_eq!(nobody.status, 401, "{path}");
    }
    assert!(looked_at > 25, "{looked_at}");
    let said = ask(
        &world.app,
        post("/v1/traces/", "key-of-a", JSON, trace("t", "gold")),
    )
    .await;
    assert_eq!(said.status, 201);
    let spans = r#"{"resourceSpans":[]}"#;
    let said = ask(
        &world.app,
        post("/otlp/v1/traces/", "key-of-a", JSON, spans),
    )
    .await;
    assert_eq!(
        (said.status.as_u16(), said.json()),
        (200, json!({ "partialSuccess": {} }))
    );
    // Counted as the route that it is; nothing that reads is there twice.
    let said = ask(&world.app, get("/metrics", "key-of-a")).await;
    let counted = String::from_utf8(said.body).unwrap();
    assert!(!counted.contains("/traces/\""), "{counted}");
    assert_eq!(
        ask(&world.app, get("/v1/orgs/", "key-of-a")).await.status,
        404
    );
}

#[tokio::test]
async fn a_bomb_is_413_and_an_unknown_encoding_415() {
    let world = world().await;
    let packed = |bytes: usize| {
        let mut request = post(
            "/v1/traces",
            "key-of-a",
            JSON,
            zstd::encode_all(&vec![b' '; bytes][..], 3).unwrap(),
        );
        request
            .headers_mut()
            .insert(header::CONTENT_ENCODING, "zstd".parse().unwrap());
        request
    };
    // The limit of this world is 1 MiB: at it the body is read, and is no trace.
    assert_eq!(ask(&world.app, packed(1 << 20)).await.status, 400);
    assert_eq!(ask(&world.app, packed((1 << 20) + 1)).await.status, 413);
    let mut request = post("/v1/traces", "key-of-a", JSON, "{}");
    request
        .headers_mut()
        .insert(header::CONTENT_ENCODING, "br".parse().unwrap());
    assert_eq!(ask(&world.app, request).await.status, 415);
    assert_eq!(world.app.admission.held_bytes(), 0);
}
