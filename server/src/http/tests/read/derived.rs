//! What is made of traces: paths, threads, comparisons, views; their limits, and who may change what.

use super::*;
use crate::control::Actor;
use crate::limits::{
    COMMENT_BYTES_MAX, COMPARE_KEYS_MAX, COMPARE_LISTED_MAX, CONVERSATION_PAGE_MAX, DIFF_STEPS_MAX,
    PATH_RUNS_MAX, RENDER_TOKENS_MAX, RENDER_TOKENS_MIN, VIEW_BYTES_MAX,
};
use crate::tenancy::plane::By;
use crate::tenancy::views::SavedView;

#[tokio::test]
async fn the_critical_path_is_as_long_as_its_root() {
    let world = world().await;
    let made = stored(&world, 41, 30).await;
    let ended = |m: &&Made| m.end.is_some();
    for root in made.iter().filter(|m| m.parent.is_none()).filter(ended) {
        let spans: Vec<&Made> = made.iter().filter(|m| m.trace == root.trace).collect();
        // With one root alone the path is within it.
        if spans
            .iter()
            .any(|m| m.id != root.id && !spans.iter().any(|p| Some(&p.id) == m.parent.as_ref()))
        {
            continue;
        }
        let path = read(&world, &format!("/traces/{}/critical-path", root.trace)).await;
        let own: i64 = path["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["self_ns"].as_i64().unwrap())
            .sum();
        assert_eq!(own, root.end.unwrap() - root.start, "{}", root.trace);
    }
}

#[tokio::test]
async fn runs_stand_by_user_with_what_they_add_up_to() {
    let world = world().await;
    for (n, user) in ["ada", "bob", "ada", "ada"].into_iter().enumerate() {
        let body = json!({
            "trace_id": format!("u-{n}"), "user_id": user, "status": if n == 3 { "error" } else { "success" },
            "started_at": format!("2026-01-01T00:00:0{n}Z"), "steps": [],
        });
        let said = ask(
            &world.app,
            post("/v1/traces", "key-of-a", JSON, body.to_string()),
        )
        .await;
        assert_eq!(said.status, 201);
    }
    let users = read(&world, "/users?sort=-traces&limit=1&total=true").await;
    let ada = &users["data"][0];
    assert_eq!(
        (&ada["user_id"], &ada["traces"], &ada["errors"]),
        (&json!("ada"), &json!(3), &json!(1))
    );
    assert_eq!(
        (&ada["first"], &ada["last"]),
        (
            &json!("2026-01-01T00:00:00Z"),
            &json!("2026-01-01T00:00:03Z")
        )
    );
    assert_eq!(
        (&users["total"], &users["next_offset"]),
        (&json!(2), &json!(1))
    );
    let rest = read(&world, "/users?sort=-traces&limit=1&offset=1").await;
    assert_eq!(
        (&rest["data"][0]["user_id"], &rest["next_offset"]),
        (&json!("bob"), &Value::Null)
    );
    let one = read(&world, "/users/ada?limit=2").await;
    assert_eq!(
        (&one["data"][0]["trace_id"], &one["more"]),
        (&json!("u-3"), &json!(true))
    );
    assert_eq!(refused(&world, "/users/eve").await.0, 404);
    assert_eq!(
        refused(&world, "/users?limit=1000&offset=9000").await.1["field"],
        "offset"
    );
    read(&world, "/users?limit=1000&offset=8999").await;
}

#[tokio::test]
async fn limits_hold_at_and_above() {
    let world = world().await;
    stored(&world, 42, 1).await;
    let trace = format!("/traces/{:032x}", 1);
    read(
        &world,
        &format!("{trace}/conversation?limit={CONVERSATION_PAGE_MAX}"),
    )
    .await;
    for tokens in [RENDER_TOKENS_MIN, RENDER_TOKENS_MAX] {
        read(&world, &format!("{trace}/render?tokens={tokens}")).await;
    }
    let above = format!("{trace}/conversation?limit={}", CONVERSATION_PAGE_MAX + 1);
    assert_eq!(refused(&world, &above).await.1["field"], "limit");
    for tokens in [RENDER_TOKENS_MIN - 1, RENDER_TOKENS_MAX + 1] {
        let rest = format!("{trace}/render?tokens={tokens}");
        assert_eq!(refused(&world, &rest).await.1["field"], "tokens");
    }
    let keys = |n: usize| json!({ "keys": vec!["name"; n], "a": {}, "b": {} });
    let texts = |n: usize| json!({ "text": "x".repeat(n) });
    let view = |n: usize| json!({ "name": "v", "columns": ["x".repeat(n)] });
    // Of six texts and one column each counts eight; `traces` is one of the texts.
    let columns = VIEW_BYTES_MAX - 7 * 8 - "traces".len();
    let comments = format!("{trace}/comments");
    for (path, good, bad, status) in [
        (
            "/compare",
            keys(COMPARE_KEYS_MAX),
            keys(COMPARE_KEYS_MAX + 1),
            400,
        ),
        (
            "/compare",
            json!({ "limit": COMPARE_LISTED_MAX, "a": {}, "b": {} }),
            json!({ "limit": COMPARE_LISTED_MAX + 1, "a": {}, "b": {} }),
            400,
        ),
        (
            "/paths",
            json!({ "limit": PATH_RUNS_MAX }),
            json!({ "limit": PATH_RUNS_MAX + 1 }),
            400,
        ),
        (
            &*comments,
            texts(COMMENT_BYTES_MAX),
            texts(COMMENT_BYTES_MAX + 1),
            400,
        ),
        ("/views", view(columns), view(columns + 1), 409),
    ] {
        let said = question(&world, path, good).await;
        assert!(said.status.is_success(), "{path}: {}", said.json());
        let said = question(&world, path, bad).await;
        assert_eq!(said.status, status, "{path}: {}", said.json());
    }
}

#[tokio::test]
async fn a_diff_of_too_many_steps_is_refused() {
    let world = world().await;
    let span = |trace: u64, n: usize| Made {
        trace: format!("{trace:032x}"),
        id: format!("{:016x}", n + 1),
        parent: None,
        name: "s".to_owned(),
        start: BASE_NS,
        end: Some(BASE_NS + 1),
        failed: false,
        model: None,
        tokens: 0,
        tier: None,
    };
    for (trace, count) in [(1, DIFF_STEPS_MAX), (2, DIFF_STEPS_MAX + 1)] {
        let spans: Vec<Value> = (0..count).map(|n| span(trace, n).otlp()).collect();
        send(&world, &spans).await;
    }
    let diff = |b: u64| format!("/traces/{:032x}/diff/{b:032x}", 1);
    assert_eq!(read(&world, &diff(1)).await["same"], DIFF_STEPS_MAX);
    let (status, error) = refused(&world, &diff(2)).await;
    assert_eq!(
        (status, error["code"].as_str()),
        (422, Some("query_too_expensive"))
    );
}

fn as_user(user: u64, method: &str, path: &str, body: &Value) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(format!("/v1/projects/1{path}"))
        .header("x-test-user", user)
        .header("x-obsrv-request", "1")
        .header(header::CONTENT_TYPE, JSON)
        .body(Body::from(body.to_string()))
        .unwrap()
}

#[tokio::test]
async fn a_view_is_its_owners_until_it_is_shared() {
    let world = world().await;
    let plane = Arc::clone(world.app.core().unwrap().plane());
    for (user, role) in [
        (31, crate::tenancy::Role::Viewer),
        (32, crate::tenancy::Role::Member),
        (33, crate::tenancy::Role::Viewer),
    ] {
        let set = plane.set_member(
            By::operator(),
            crate::tenancy::FIRST_ORG,
            UserId(user),
            role,
        );
        set.await.unwrap();
    }
    let said = async |user, method: &str, path: &str, body: Value| {
        let said = ask(&world.app, as_user(user, method, path, &body)).await;
        (
            said.status.as_u16(),
            serde_json::from_slice::<Value>(&said.body).unwrap_or_default(),
        )
    };
    let (status, made) = said(31, "POST", "/views", json!({ "name": "mine" })).await;
    assert_eq!(status, 201, "{made}");
    let one = format!("/views/{}", made["id"]);
    assert_eq!(said(31, "GET", &one, json!({})).await.1["own"], true);
    for user in [32, 33] {
        assert_eq!(said(user, "GET", &one, json!({})).await.0, 404);
        assert_eq!(said(user, "DELETE", &one, json!({})).await.0, 404);
        assert_eq!(
            said(user, "PUT", &one, json!({ "name": "taken" })).await.0,
            404
        );
    }
    // Whoever may only read shares nothing.
    assert_eq!(
        said(31, "PUT", &one, json!({ "name": "mine", "shared": true }))
            .await
            .0,
        403
    );
    let (status, made) = said(
        32,
        "POST",
        "/views",
        json!({ "name": "ours", "shared": true }),
    )
    .await;
    assert_eq!(status, 201);
    let ours = format!("/views/{}", made["id"]);
    assert_eq!(said(33, "GET", &ours, json!({})).await.1["name"], "ours");
    assert_eq!(said(33, "DELETE", &ours, json!({})).await.0, 403);
    assert_eq!(
        said(
            32,
            "PUT",
            &ours,
            json!({ "name": "still ours", "shared": true })
        )
        .await
        .0,
        200
    );
    let list = said(33, "GET", "/views", json!({})).await.1;
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_eq!(said(32, "DELETE", &ours, json!({})).await.0, 200);
    assert_eq!(said(32, "DELETE", &ours, json!({})).await.0, 404);
}

#[tokio::test]
async fn two_sets_differ_in_what_rows_say() {
    let world = world().await;
    let made = stored(&world, 43, 20).await;
    let body = json!({
        "over": "spans", "keys": ["model", "name", "attributes.tier"], "limit": 100,
        "a": { "q": "status:error" }, "b": { "q": "status:success" },
    });
    let found = question(&world, "/compare", body).await.json();
    let of = |status: &str| {
        made.iter()
            .filter(|m| m.status() == status)
            .collect::<Vec<_>>()
    };
    let (a, b) = (of("error"), of("success"));
    assert_eq!(
        (&found["a_rows"], &found["b_rows"]),
        (&json!(a.len()), &json!(b.len()))
    );
    let mut last = 1.0;
    for row in found["data"].as_array().unwrap() {
        let has = |m: &&&Made| match row["key"].as_str().unwrap() {
            "model" => row["value"] == json!(m.model),
            "name" => row["value"] == json!(m.name),
            _ => row["value"] == json!(m.tier),
        };
        assert_eq!(row["a_count"], a.iter().filter(has).count());
        assert_eq!(row["b_count"], b.iter().filter(has).count());
        let difference = row["difference"].as_f64().unwrap().abs();
        assert!(difference <= last);
        last = difference;
    }
    assert_eq!(found["data"].as_array().unwrap().len(), 3 + 4 + 3);
}

#[tokio::test]
async fn a_view_keeps_its_filter_as_json() {
    let world = world().await;
    let filter = json!({ "and": [{ "key": "status", "eq": "error" }, { "text": "x" }] });
    let view = json!({ "name": "v", "q": "a:1", "filter": filter, "settings": { "wide": true } });
    let made = question(&world, "/views", view).await.json();
    let shown = read(&world, &format!("/views/{}", made["id"])).await;
    assert_eq!((&shown["filter"], &shown["q"]), (&filter, &json!("a:1")));
    assert_eq!(shown["settings"], json!({ "wide": true }));
    let plain = question(&world, "/views", json!({ "name": "w" }))
        .await
        .json();
    let plain = read(&world, &format!("/views/{}", plain["id"])).await;
    assert_eq!(
        (&plain["filter"], &plain["settings"]),
        (&Value::Null, &json!({}))
    );
    for (bad, field) in [
        (json!({ "name": "v", "filter": { "eq": 1 } }), "filter.eq"),
        (
            json!({ "name": "v", "settings": { "$filter": {} } }),
            "settings",
        ),
    ] {
        let said = question(&world, "/views", bad).await;
        assert_eq!(
            (said.status.as_u16(), &said.json()["error"]["field"]),
            (400, &json!(field))
        );
    }
}

#[tokio::test]
async fn a_view_is_of_rows_or_of_charts() {
    let world = world().await;
    let charts = json!([
        { "what": "runs" },
        { "what": "runs", "over": "traces" },
        { "what": "runs", "over": "spans" },
        { "what": "runs", "over": "logs", "q": "level:error", "by": "service" },
        { "what": "avg", "over": "points", "of": "value" },
    ]);
    let board = json!({ "name": "b", "over": "dashboard", "q": "status:error", "settings": { "charts": charts } });
    let made = question(&world, "/views", board).await.json();
    let shown = read(&world, &format!("/views/{}", made["id"])).await;
    assert_eq!(
        (&shown["over"], &shown["settings"]["charts"]),
        (&json!("dashboard"), &charts)
    );
    // As dashboards were sent, and kept, before `over` knew them.
    let older = json!({ "name": "o", "settings": { "kind": "dashboard", "charts": [] } });
    question(&world, "/views", older).await;
    let kept = SavedView {
        view: 0,
        project: 1,
        name: "k".to_owned(),
        over: "traces".to_owned(),
        q: String::new(),
        from: String::new(),
        to: String::new(),
        sort: String::new(),
        columns: Vec::new(),
        settings: r#"{"kind":"dashboard"}"#.to_owned(),
        is_shared: true,
        owner: Actor::Nobody,
    };
    let plane = world.app.core().unwrap().plane();
    plane.save_view(By::operator(), kept).await.unwrap();
    for over in ["traces", "spans", "scores", "logs", "points"] {
        let view = json!({ "name": over, "over": over });
        assert_eq!(question(&world, "/views", view).await.status, 201, "{over}");
        let shown = read(&world, &format!("/views?over={over}")).await;
        assert_eq!(shown["data"].as_array().unwrap().len(), 1, "{shown}");
        assert_eq!(shown["data"][0]["name"], over);
    }
    let boards = read(&world, "/views?over=dashboard").await;
    let names = boards["data"].as_array().unwrap().iter();
    assert_eq!(
        names.map(|one| &one["name"]).collect::<Vec<_>>(),
        ["b", "o", "k"]
    );
    assert_eq!(
        read(&world, "/views").await["data"]
            .as_array()
            .unwrap()
            .len(),
        8
    );
}

#[tokio::test]
async fn a_view_is_refused_for_charts_that_cannot_be_drawn() {
    let world = world().await;
    let of = |charts: Value| json!({ "name": "v", "over": "dashboard", "settings": { "charts": charts } });
    for (bad, field) in [
        (json!({ "name": "v", "over": "charts" }), "over"),
        (of(json!({})), "settings.charts"),
        (of(json!(["runs"])), "settings.charts[0]"),
        (of(json!([{ "title": {} }])), "settings.charts[0].title"),
        (
            json!({ "name": "v", "settings": { "kind": "dashboard", "charts": [null] } }),
            "settings.charts[0]",
        ),
        (
            json!({ "name": "v", "over": "logs", "settings": { "kind": "dashboard", "charts": 1 } }),
            "settings.charts",
        ),
        (
            of(json!([{}, { "over": "rows" }])),
            "settings.charts[1].over",
        ),
        (of(json!([{ "over": "scores" }])), "settings.charts[0].over"),
        (of(json!([{ "q": 1 }])), "settings.charts[0].q"),
        (of(json!([{ "q": "level:(" }])), "settings.charts[0].q"),
    ] {
        let said = question(&world, "/views", bad).await;
        let text = String::from_utf8_lossy(&said.body).into_owned();
        assert_eq!(
            (said.status.as_u16(), &said.json()["error"]["field"]),
            (400, &json!(field)),
            "{text}"
        );
    }
    for rest in ["/views?over=charts", "/views?of=traces"] {
        assert_eq!(refused(&world, rest).await.0, 400, "{rest}");
    }
}
