//! The control plane over HTTP: what is made, changed and refused, and that the audit log says so.

use super::*;
use crate::tenancy::{FIRST_ORG, Role};
use obsrv_engine::query::ast::Filter;
use obsrv_engine::query::{Budget, Request as Question};
use obsrv_engine::row::Table;

struct Asked<'a> {
    app: &'a Arc<App>,
    user: Option<u64>,
}

impl Asked<'_> {
    async fn ask(&self, method: &str, path: &str, body: Value) -> Said {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-obsrv-request", "1")
            .header("x-obsrv-org", "1");
        if let Some(user) = self.user {
            request = request.header("x-test-user", user);
        }
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = request.body(Body::from(body)).unwrap();
        let router = build(Arc::clone(self.app));
        let router = if self.user.is_none() {
            auth::as_operator(router)
        } else {
            router
        };
        let response = router.oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 24).await.unwrap().to_vec();
        Said {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// Asks for something that must be done.
    async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let said = self.ask(method, path, body).await;
        let text = String::from_utf8_lossy(&said.body).into_owned();
        assert!(said.status.is_success(), "{method} {path}: {text}");
        said.json()
    }

    /// Asks for something that must be refused; returns status and code.
    async fn refused(&self, method: &str, path: &str, body: Value) -> (u16, String) {
        let said = self.ask(method, path, body).await;
        let code = said.json()["error"]["code"]
            .as_str()
            .unwrap_or("none")
            .to_owned();
        (said.status.as_u16(), code)
    }
}

use serde_json::json;

fn operator(world: &World) -> Asked<'_> {
    Asked {
        app: &world.app,
        user: None,
    }
}

fn user(world: &World, id: u64) -> Asked<'_> {
    Asked {
        app: &world.app,
        user: Some(id),
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one story from the first organization to the last record"
)]
#[tokio::test]
async fn an_organization_lives_and_every_change_is_in_its_audit_log() {
    let world = world().await;
    let root = operator(&world);
    let org = root
        .done("POST", "/v1/orgs", json!({"name": "Acme", "slug": "acme"}))
        .await;
    assert_eq!(
        (&org["id"], &org["receipt"]["changed"]),
        (&2.into(), &true.into())
    );
    let again = root
        .refused("POST", "/v1/orgs", json!({"name": "B", "slug": "acme"}))
        .await;
    assert_eq!(again, (409, "conflict".into()));
    root.done("PUT", "/v1/orgs/2/members/7", json!({"role": "owner"}))
        .await;
    let seven = user(&world, 7);
    let shown = seven.done("GET", "/v1/orgs", Value::Null).await;
    assert_eq!(
        (
            &shown["items"][0]["slug"],
            shown["items"].as_array().unwrap().len()
        ),
        (&"acme".into(), 1)
    );

    let project = seven
        .done("POST", "/v1/orgs/2/projects", json!({"name": "shop"}))
        .await["id"]
        .clone();
    assert_eq!(project, 3);
    let key = seven
        .done(
            "POST",
            "/v1/projects/3/keys",
            json!({"name": "ci", "scopes": ["ingest"]}),
        )
        .await;
    let (secret, id) = (
        key["key"].as_str().unwrap(),
        key["key_id"].as_str().unwrap(),
    );
    assert_eq!(
        ask(
            &world.app,
            post("/v1/traces", secret, JSON, trace("t", "x"))
        )
        .await
        .status,
        201
    );
    assert_eq!(ask(&world.app, get("/v1/traces", secret)).await.status, 403);
    let rotated = seven
        .done(
            "POST",
            &format!("/v1/projects/3/keys/{id}/rotate"),
            Value::Null,
        )
        .await;
    let new = rotated["key"].as_str().unwrap();
    let third = seven
        .refused(
            "POST",
            &format!("/v1/projects/3/keys/{id}/rotate"),
            Value::Null,
        )
        .await;
    assert_eq!(third, (409, "conflict".into()));
    for key in [secret, new] {
        assert_eq!(
            ask(&world.app, post("/v1/traces", key, JSON, trace("t", "x")))
                .await
                .status,
            201
        );
    }
    seven
        .done("DELETE", &format!("/v1/projects/3/keys/{id}"), Value::Null)
        .await;
    assert_eq!(
        ask(
            &world.app,
            post("/v1/traces", secret, JSON, trace("t", "x"))
        )
        .await
        .status,
        401
    );
    assert_eq!(
        ask(&world.app, post("/v1/traces", new, JSON, trace("t", "x")))
            .await
            .status,
        201
    );
    let keys = seven.done("GET", "/v1/projects/3/keys", Value::Null).await;
    let states: Vec<&Value> = keys["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|k| &k["state"])
        .collect();
    assert!(states.contains(&&"revoked".into()) && states.contains(&&"live".into()));
    assert!(!keys.to_string().contains(secret) && keys["items"][0]["last_used_at"].is_string());

    seven
        .done(
            "PATCH",
            "/v1/projects/3",
            json!({"name": "store", "archived": true}),
        )
        .await;
    let refused = ask(&world.app, post("/v1/traces", new, JSON, trace("t", "x"))).await;
    assert_eq!(refused.status, 403);
    seven
        .done("PATCH", "/v1/projects/3", json!({"archived": false}))
        .await;
    seven
        .done("PUT", "/v1/projects/3/environments/production", Value::Null)
        .await;
    let team = seven
        .done("POST", "/v1/orgs/2/teams", json!({"name": "ops"}))
        .await["id"]
        .clone();
    seven
        .done(
            "PUT",
            &format!("/v1/projects/3/roles/team:{team}"),
            json!({"role": "viewer"}),
        )
        .await;
    root.done("PUT", "/v1/orgs/2/members/8", json!({"role": "auditor"}))
        .await;
    let eight = user(&world, 8);
    assert_eq!(
        eight.refused("GET", "/v1/traces", Value::Null).await.0,
        400,
        "names no project"
    );
    seven
        .done(
            "PUT",
            &format!("/v1/orgs/2/teams/{team}/members/8"),
            Value::Null,
        )
        .await;
    let rights = eight.done("GET", "/v1/projects/3", Value::Null).await["rights"].to_string();
    assert!(
        rights.contains("trace.read") && rights.contains("key.read"),
        "{rights}"
    );

    assert_eq!(
        seven.refused("DELETE", "/v1/orgs/2", Value::Null).await.0,
        409
    );
    let deleted = seven.done("DELETE", "/v1/projects/3", Value::Null).await;
    assert_eq!(deleted["hash"].as_str().unwrap().len(), 64);
    assert_eq!(
        ask(&world.app, post("/v1/traces", new, JSON, trace("t", "x")))
            .await
            .status,
        401
    );
    assert_eq!(
        seven.refused("GET", "/v1/projects/3", Value::Null).await.0,
        404
    );

    let log = eight
        .done("GET", "/v1/orgs/2/audit?limit=100", Value::Null)
        .await;
    let actions: Vec<&str> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|r| r["action"].as_str().unwrap())
        .collect();
    let expected = [
        "org.created",
        "member.role_set",
        "project.created",
        "key.created",
        "key.created",
        "key.revoked",
        "project.renamed",
        "project.archived",
        "project.restored",
        "environment.created",
        "team.created",
        "project.role_set",
        "member.role_set",
        "team.joined",
        "project.deleted",
    ];
    assert_eq!(actions, expected);
    assert_eq!(log["items"][0]["actor"], "user:7");
    assert_eq!(log["items"][0]["hash"], deleted["hash"]);
    let some = eight
        .done(
            "GET",
            "/v1/orgs/2/audit?action=key&limit=2&actor=user:7",
            Value::Null,
        )
        .await;
    assert_eq!(some["items"].as_array().unwrap().len(), 2);
    let before = some["next"].as_u64().unwrap();
    let rest = eight
        .done(
            "GET",
            &format!("/v1/orgs/2/audit?action=key&before={before}"),
            Value::Null,
        )
        .await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    let lines = eight
        .ask("GET", "/v1/orgs/2/audit?format=jsonl", Value::Null)
        .await;
    assert_eq!(
        String::from_utf8(lines.body).unwrap().lines().count(),
        expected.len() + 1
    );
    assert!(!log.to_string().contains(secret) && !log.to_string().contains(new));
    seven.done("DELETE", "/v1/orgs/2", Value::Null).await;
    assert_eq!(seven.refused("GET", "/v1/orgs/2", Value::Null).await.0, 404);
}

#[tokio::test]
async fn nobody_gives_or_takes_more_than_they_have() {
    let world = world().await;
    let root = operator(&world);
    for (id, role) in [(1, Role::Owner), (2, Role::Admin), (3, Role::Member)] {
        let path = format!("/v1/members/{id}");
        root.done("PUT", &path, json!({"role": role.as_str()}))
            .await;
    }
    let admin = user(&world, 2);
    let owner = json!({"role": "owner"});
    let forbidden = (403, "forbidden".to_owned());
    assert_eq!(
        admin.refused("PUT", "/v1/members/3", owner.clone()).await,
        forbidden
    );
    assert_eq!(
        admin.refused("PUT", "/v1/members/2", owner.clone()).await,
        forbidden
    );
    assert_eq!(
        admin.refused("DELETE", "/v1/members/1", Value::Null).await,
        forbidden
    );
    assert_eq!(
        admin
            .refused("PUT", "/v1/projects/1/roles/user:2", owner)
            .await,
        forbidden
    );
    let invite = json!({"email": "a@b.example", "role": "owner"});
    assert_eq!(
        admin
            .refused("POST", "/v1/orgs/1/invitations", invite)
            .await,
        forbidden
    );
    admin
        .done("PUT", "/v1/members/3", json!({"role": "viewer"}))
        .await;
    // The last owner stays.
    assert_eq!(
        user(&world, 1)
            .refused("DELETE", "/v1/members/1", Value::Null)
            .await
            .0,
        409
    );
    // A key makes no key that may do more.
    let made = root
        .done("POST", "/v1/projects/1/keys", json!({"scopes": ["admin"]}))
        .await;
    let more = post(
        "/v1/keys",
        made["key"].as_str().unwrap(),
        JSON,
        r#"{"scopes":["read"]}"#,
    );
    assert_eq!(ask(&world.app, more).await.status, 403);
}

#[tokio::test]
async fn an_invitation_is_taken_up_once() {
    let world = world().await;
    let root = operator(&world);
    let invite = json!({"email": "a@b.example", "role": "viewer"});
    let made = root.done("POST", "/v1/orgs/1/invitations", invite).await;
    let token = json!({"token": made["token"]});
    let open = root
        .done("GET", "/v1/orgs/1/invitations", Value::Null)
        .await;
    assert!(!open.to_string().contains(made["token"].as_str().unwrap()));
    let accepted = user(&world, 5)
        .done("POST", "/v1/invitations/accept", token.clone())
        .await;
    assert_eq!(accepted["id"], FIRST_ORG.0);
    let again = user(&world, 6)
        .refused("POST", "/v1/invitations/accept", token)
        .await;
    assert_eq!(again.0, 404);
    user(&world, 5).done("GET", "/v1/orgs/1", Value::Null).await;
}

#[tokio::test]
async fn an_organization_with_an_issuer_is_open_to_its_sessions_alone() {
    let world = world().await;
    let root = operator(&world);
    root.done("PUT", "/v1/members/5", json!({"role": "owner"}))
        .await;
    root.done(
        "PUT",
        "/v1/settings",
        json!({"sso_issuer": "https://id.example"}),
    )
    .await;
    let by = |issuer: Option<&str>, path: &str| {
        let mut request = Request::get(path)
            .header("x-test-user", "5")
            .header("x-obsrv-project", "1");
        if let Some(issuer) = issuer {
            request = request.header("x-test-issuer", issuer);
        }
        request.body(Body::empty()).unwrap()
    };
    for path in ["/v1/orgs/1", "/v1/projects/1", "/v1/traces"] {
        assert_eq!(ask(&world.app, by(None, path)).await.status, 403, "{path}");
        let wrong = by(Some("https://evil.example"), path);
        assert_eq!(ask(&world.app, wrong).await.status, 403, "{path}");
        let right = by(Some("https://id.example"), path);
        assert_eq!(ask(&world.app, right).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_session_changes_nothing_for_another_site() {
    let world = world().await;
    operator(&world)
        .done("PUT", "/v1/members/5", json!({"role": "owner"}))
        .await;
    let patch = |site: Option<&str>, own: bool| {
        let mut request = Request::patch("/v1/orgs/1").header("x-test-user", "5");
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        if own {
            request = request.header("x-obsrv-request", "1");
        }
        request.body(Body::from("{}")).unwrap()
    };
    for (site, own, status) in [
        (None, false, 403),
        (Some("cross-site"), true, 403),
        (Some("same-site"), true, 403),
        (Some("same-origin"), false, 403),
        (Some("same-origin"), true, 200),
        (None, true, 200),
    ] {
        let said = ask(&world.app, patch(site, own)).await;
        assert_eq!(said.status, status, "{site:?} {own}");
    }
}

#[tokio::test]
async fn bodies_with_unknown_members_are_refused_and_not_repeated() {
    let world = world().await;
    let root = operator(&world);
    for body in [
        json!({"name": "x", "slug": "x", "id": 9}),
        json!({"name": "x"}),
        json!({"name": 5, "slug": "x"}),
        json!([]),
    ] {
        let said = root.ask("POST", "/v1/orgs", body).await;
        assert_eq!(said.json()["error"]["code"], "invalid_request");
    }
    let secret = "tk-secret-in-a-wrong-place";
    let said = root
        .ask("POST", "/v1/projects/1/keys", json!({"scopes": secret}))
        .await;
    assert_eq!(said.status, 400);
    assert!(!String::from_utf8_lossy(&said.body).contains(secret));
    let large = json!({"name": "x".repeat(crate::limits::ADMIN_BODY_BYTES_MAX), "slug": "x"});
    assert_eq!(root.ask("POST", "/v1/orgs", large).await.status, 413);
}

#[tokio::test]
async fn a_deleted_project_is_purged_and_no_other() {
    let world = world().await;
    for key in ["key-of-a", "key-of-b"] {
        for n in 0..3 {
            let sent = post("/v1/traces", key, JSON, trace(&format!("t{n}"), "x"));
            assert_eq!(ask(&world.app, sent).await.status, 201);
        }
        // Of a trace that never came: no run lists it.
        let path = "/v1/traces/never/annotations";
        let sent = post(path, key, JSON, r#"{"score":1}"#);
        assert_eq!(ask(&world.app, sent).await.status, 201);
        // What belongs to no trace at all.
        for (path, body) in [
            (
                "/v1/logs",
                r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1"},{"timeUnixNano":"1"}]}]}]}"#,
            ),
            (
                "/v1/metrics",
                r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[{"timeUnixNano":"1"}]}}]}]}]}"#,
            ),
        ] {
            assert_eq!(
                ask(&world.app, post(path, key, JSON, body)).await.status,
                200
            );
        }
    }
    operator(&world)
        .done("DELETE", "/v1/projects/1", Value::Null)
        .await;
    let core = world.app.core().unwrap();
    let due = crate::tenancy::purge::purge_deleted(&core.engine, core.plane()).await;
    assert_eq!(
        due.unwrap(),
        0,
        "requests that were let in before may still be on their way"
    );
    let rows = |project| {
        let snapshot = core.engine.snapshot();
        let ids = ["t0", "t1", "t2", "never"];
        let all = ids.iter().map(|id| snapshot.trace(project, id).unwrap());
        let all = all.map(|rows| rows.spans.len() + rows.scores.len());
        let budget = Budget {
            rows_max: u64::MAX,
            bytes_max: u64::MAX,
            read_bytes_max: u64::MAX,
            cancelled: &|| false,
            processors: None,
            weigh: None,
        };
        let signals = [Table::Logs, Table::Points].map(|table| {
            let request = Question::new(Filter::All, 10);
            let page = snapshot.search(project, table, &request, &budget).unwrap();
            page.hits.len()
        });
        all.sum::<usize>() + signals.iter().sum::<usize>()
    };
    let (gone, other) = (
        obsrv_engine::row::ProjectId(1),
        obsrv_engine::row::ProjectId(2),
    );
    assert_eq!((rows(gone), rows(other)), (7, 7));
    let deleted = crate::tenancy::purge::purge(&core.engine, gone)
        .await
        .unwrap();
    // Four traces, the lines of one request, one series.
    assert_eq!(deleted, 6);
    assert_eq!((rows(gone), rows(other)), (0, 7));
}
