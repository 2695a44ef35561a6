//! What was taken while a request was on its way, and what the audit log keeps of it.

use axum::extract::FromRequest as _;
use bytes::Bytes;
use obsrv_engine::row::ProjectId;
use tokio::sync::mpsc;

use super::*;
use crate::http::input::Input;
use crate::limits::BODY_GRACE_TIME;
use crate::tenancy::{FIRST_ORG, Grantee, Role};

/// A body that comes as the test sends it.
struct Trickle(mpsc::UnboundedReceiver<Bytes>);

impl http_body::Body for Trickle {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        self.0
            .poll_recv(cx)
            .map(|data| data.map(|d| Ok(http_body::Frame::data(d))))
    }
}

/// Sends half a body, lets `meanwhile` happen once the server waits for the rest, sends it.
async fn trickled(
    world: &World,
    request: impl FnOnce(Body) -> Request<Body>,
    body: &str,
    meanwhile: impl Future<Output = ()>,
) -> Said {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (first, rest) = body.split_at(body.len() / 2);
    sender.send(first.to_owned().into()).unwrap();
    let asked = ask(&world.app, request(Body::new(Trickle(receiver))));
    tokio::pin!(asked);
    // Polled until it has let the sender in and taken what there is.
    for _ in 0..8 {
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        assert!(asked.as_mut().poll(&mut context).is_pending());
    }
    meanwhile.await;
    sender.send(rest.to_owned().into()).unwrap();
    drop(sender);
    asked.await
}

fn plane(world: &World) -> &Arc<ControlPlane> {
    world.app.core().unwrap().plane()
}

#[tokio::test]
async fn a_key_that_is_revoked_while_its_body_comes_sends_nothing() {
    let world = world().await;
    let body = trace("late", "x");
    let send = |body: Body| post("/v1/traces", "key-of-a", JSON, body);
    let revoke = async {
        let revoked = plane(&world).revoke_key(By::operator(), 1, 1).await;
        revoked.unwrap();
    };
    let said = trickled(&world, send, &body, revoke).await;
    assert_eq!(said.status, 401);
    let snapshot = world.app.core().unwrap().engine.snapshot();
    assert_eq!(snapshot.trace(ProjectId(1), "late").unwrap().spans.len(), 0);
}

#[tokio::test]
async fn a_project_that_is_archived_while_a_body_comes_takes_nothing() {
    let world = world().await;
    let body = trace("late", "x");
    let send = |body: Body| post("/v1/traces", "key-of-a", JSON, body);
    let archive = async {
        let archived = plane(&world).archive_project(By::operator(), 1, true).await;
        archived.unwrap();
    };
    let said = trickled(&world, send, &body, archive).await;
    assert_eq!(said.status, 403);
}

#[tokio::test]
async fn a_change_needs_its_right_when_it_is_made() {
    let world = world().await;
    let by = By::operator();
    let five = UserId(5);
    let set = plane(&world).set_member(by, FIRST_ORG, five, Role::Admin);
    set.await.unwrap();
    let as_five = |body: Body| {
        Request::post("/v1/orgs/1/projects")
            .header("x-test-user", "5")
            .header("x-obsrv-request", "1")
            .body(body)
            .unwrap()
    };
    let demote = async {
        let set = plane(&world).set_member(by, FIRST_ORG, five, Role::Viewer);
        set.await.unwrap();
    };
    let said = trickled(&world, as_five, r#"{"name":"late"}"#, demote).await;
    assert_eq!(said.status, 403);
    let with_key = |body: Body| post("/v1/keys", "key-of-a", JSON, body);
    let revoke = async {
        let revoked = plane(&world).revoke_key(by, 1, 1).await;
        revoked.unwrap();
    };
    let said = trickled(&world, with_key, r#"{"name":"late"}"#, revoke).await;
    assert_eq!(said.status, 401);
}

#[tokio::test(start_paused = true)]
async fn a_body_of_a_change_that_stops_is_given_up() {
    let (sender, receiver) = mpsc::unbounded_channel();
    sender.send(Bytes::from_static(b"{")).unwrap();
    let request = Request::new(Body::new(Trickle(receiver)));
    let began = tokio::time::Instant::now();
    let read = Input::<Value>::from_request(request, &()).await;
    assert_eq!(read.unwrap_err().code, ErrorCode::BodyTooSlow);
    assert_eq!(began.elapsed(), BODY_GRACE_TIME);
    drop(sender);
}

#[tokio::test]
async fn deletes_of_what_never_was_leave_no_record() {
    let world = world().await;
    let sent = post("/v1/traces", "key-of-a", JSON, trace("t1", "x"));
    assert_eq!(ask(&world.app, sent).await.status, 201);
    let delete = |id: &str| {
        Request::delete(format!("/v1/traces/{id}"))
            .header("x-api-key", "key-of-a")
            .body(Body::empty())
            .unwrap()
    };
    let records = || plane(&world).audit().len();
    let before = records();
    for n in 0..5 {
        assert_eq!(
            ask(&world.app, delete(&format!("none-{n}"))).await.status,
            200
        );
    }
    assert_eq!(records(), before);
    for _ in 0..2 {
        assert_eq!(ask(&world.app, delete("t1")).await.status, 200);
    }
    assert_eq!(records(), before + 1);
}

#[tokio::test]
async fn a_role_at_a_project_alone_neither_deletes_nor_moves_it() {
    let world = world().await;
    let (plane, by) = (plane(&world), By::operator());
    let other = plane.create_org(by, "other", "other").await.unwrap().made;
    for org in [FIRST_ORG, other] {
        let set = plane.set_member(by, org, UserId(6), Role::Owner);
        set.await.unwrap();
    }
    let set = plane.set_member(by, other, UserId(5), Role::Owner);
    set.await.unwrap();
    let grantee = Grantee::User(UserId(5));
    let set = plane.set_grant(by, 1, grantee, Role::Owner);
    set.await.unwrap();
    let request = |user: u64, method: &str, path: &str, body: &'static str| {
        Request::builder()
            .method(method)
            .uri(path)
            .header("x-test-user", user)
            .header("x-obsrv-request", "1")
            .body(Body::from(body))
            .unwrap()
    };
    let relocate = |user| request(user, "POST", "/v1/projects/1/move", r#"{"org":2}"#);
    assert_eq!(ask(&world.app, relocate(5)).await.status, 403);
    let delete = request(5, "DELETE", "/v1/projects/1", "");
    assert_eq!(ask(&world.app, delete).await.status, 403);
    assert_eq!(ask(&world.app, relocate(6)).await.status, 200);
    for org in [1, 2] {
        let path = format!("/v1/orgs/{org}/audit?action=project.moved");
        let log = ask(&world.app, request(6, "GET", &path, "")).await.json();
        assert_eq!(log["items"].as_array().unwrap().len(), 1, "{log}");
    }
}

/// A page of each deleted project in turn: the small one is empty before the large one is.
#[tokio::test]
async fn a_large_deleted_project_keeps_no_small_one_waiting() {
    let world = world().await;
    let rows = crate::limits::PURGE_PAGE_ROWS;
    let lines: Vec<_> = (0..rows + rows / 2)
        .map(|n| format!(r#"{{"trace_id":"t{n}","name":"n","steps":[]}}"#))
        .collect();
    let import = |key, lines: String| {
        let path = "/v1/imports/traces";
        post(path, key, "application/x-ndjson", lines)
    };
    for (key, lines) in [
        ("key-of-a", lines.join("\n")),
        ("key-of-b", lines[0].clone()),
    ] {
        let said = ask(&world.app, import(key, lines)).await;
        assert!(said.status.is_success(), "{}", said.status);
    }
    let core = world.app.core().unwrap();
    for project in [1, 2] {
        let deleted = crate::control::Act {
            actor: crate::control::Actor::System,
            // Long ago.
            at_ns: 0,
            event: crate::tenancy::OrgEvent::ProjectDeleted { project },
        };
        let event = crate::control::ControlEvent::Org(deleted);
        core.directory().apply(&event).unwrap();
    }
    let purged = crate::tenancy::purge::purge_deleted(&core.engine, core.plane()).await;
    assert_eq!(purged.unwrap(), 2);
    let (records, _) = core
        .plane()
        .audit()
        .before(FIRST_ORG, u64::MAX, (2, 2), |_| true);
    let projects: Vec<_> = records.iter().map(|record| record.project).collect();
    assert_eq!(projects, [Some(1), Some(2)], "newest first");
}
