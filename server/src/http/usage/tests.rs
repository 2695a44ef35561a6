//! Limits, counts and what is told of them, over a real engine.

use http::Request;
use obsrv_engine::row::ProjectId;
use serde_json::{Value, json};

use crate::governance::ProjectSettings;
use crate::http::OUTCOME;
use crate::http::tests::{JSON, World, ask, get, post, world};
use crate::limits::{RATE_BURST_TIME, USAGE_BODY_BYTES_MAX};
use crate::quota::{Ceiling, Plan};
use crate::tenancy::FIRST_ORG;
use crate::tenancy::plane::By;

fn trace(id: usize) -> String {
    json!({ "trace_id": format!("t{id}"), "started_at": "2026-01-01T00:00:00Z", "steps": [{}, {}] })
        .to_string()
}

async fn limit(world: &World, limits: Value) {
    let settings: ProjectSettings = serde_json::from_value(json!({ "limits": limits })).unwrap();
    let governance = world.app.core().unwrap().governance();
    let revision = governance.of(ProjectId(1)).revision;
    governance
        .set(By::operator(), ProjectId(1), revision, settings)
        .await
        .unwrap();
}

async fn plan(world: &World, month: Ceiling) {
    let plan = Plan {
        name: "free".into(),
        month,
        day: Ceiling::default(),
    };
    world
        .app
        .core()
        .unwrap()
        .governance()
        .set_plan(By::operator(), FIRST_ORG, &plan)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_rate_answers_429_with_its_name_and_counts_what_it_refused() {
    let world = world().await;
    limit(&world, json!({ "project": { "requests_per_second": 1 } })).await;
    let mut taken = 0;
    let refused = loop {
        let said = ask(
            &world.app,
            post("/v1/traces", "key-of-a", JSON, trace(taken)),
        )
        .await;
        if said.status != 201 {
            break said;
        }
        taken += 1;
        assert!(taken < 1000, "the limit never held");
    };
    assert!(taken >= usize::try_from(RATE_BURST_TIME.as_secs()).unwrap());
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers[OUTCOME], "not-stored");
    let wait: u64 = refused.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    let error = &refused.json()["error"];
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!(
        (&error["code"], &error["retryable"]),
        (&"rate_limited".into(), &true.into())
    );
    let limit = &error["limit"];
    assert_eq!(
        (&limit["name"], &limit["value"]),
        (&"requests_per_second".into(), &1.into())
    );
    assert_eq!(
        (&limit["scope"], &limit["period"]),
        (&"project".into(), &"second".into())
    );
    assert!(limit["resets_at"].is_string());
    // In the language of the client; another project is not concerned.
    let said = ask(
        &world.app,
        post("/v1/traces", "key-of-a", "application/x-protobuf", ""),
    )
    .await;
    assert_eq!(
        (said.status.as_u16(), &said.body[..2]),
        (429, &b"\x08\x08"[..])
    );
    let said = ask(&world.app, post("/v1/traces", "key-of-b", JSON, trace(0))).await;
    assert_eq!(said.status, 201);
    let refusals = ask(&world.app, get("/v1/projects/1/refusals", "key-of-a"))
        .await
        .json();
    let first = &refusals["refusals"][0];
    assert_eq!(
        (&first["reason"], &first["count"]),
        (&"requests_per_second".into(), &2.into())
    );
    assert_eq!(first["key_id"], "1");
    let of_b = ask(&world.app, get("/v1/projects/2/refusals", "key-of-b"))
        .await
        .json();
    assert_eq!(of_b["refusals"], json!([]));
}

#[tokio::test]
async fn queries_have_a_rate_of_their_own() {
    let world = world().await;
    limit(&world, json!({ "key": { "queries_per_second": 1 } })).await;
    let paths = ["/v1/traces", "/v1/traces/t"];
    let mut asked = 0;
    while ask(&world.app, get(paths[asked % 2], "key-of-a"))
        .await
        .status
        != 429
    {
        asked += 1;
        assert!(asked < 1000, "the limit never held");
    }
    assert!(asked >= usize::try_from(RATE_BURST_TIME.as_secs()).unwrap());
    let said = ask(&world.app, post("/v1/traces", "key-of-a", JSON, trace(0))).await;
    assert_eq!(said.status, 201);
}

/// Asks until the limit holds. A bucket that is empty lets one more in now and then.
async fn is_limited(world: &World, made: impl Fn() -> Request<axum::body::Body>) -> bool {
    for _ in 0..10 {
        if ask(&world.app, made()).await.status == 429 {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn the_rate_of_queries_holds_on_every_route_that_asks_one() {
    let world = world().await;
    limit(&world, json!({ "key": { "queries_per_second": 1 } })).await;
    while ask(&world.app, get("/v1/traces", "key-of-a")).await.status != 429 {}
    for rest in [
        "traces",
        "spans",
        "scores",
        "threads",
        "users",
        "users/u",
        "facets?keys=name",
        "fields",
        "values?key=name",
        "traces/t",
        "traces/t/spans",
        "traces/t/spans/s",
        "traces/t/conversation",
        "traces/t/render",
        "traces/t/critical-path",
        "traces/t/diff/u",
        "export",
        "logs",
        "points",
    ] {
        let path = format!("/v1/projects/1/{rest}");
        assert!(
            is_limited(&world, || get(&path, "key-of-a")).await,
            "{path}"
        );
    }
    let set = json!({ "q": "status:error" });
    for (rest, body) in [
        ("aggregate", json!({})),
        ("compare", json!({ "a": set, "b": set })),
        ("paths", json!({})),
    ] {
        let path = format!("/v1/projects/1/{rest}");
        let body = body.to_string();
        let made = || post(&path, "key-of-a", JSON, body.clone());
        assert!(is_limited(&world, made).await, "{path}");
    }
}

#[tokio::test]
async fn a_plan_is_exact_and_what_is_refused_is_not_stored() {
    let world = world().await;
    // A trace of two steps is three rows.
    plan(
        &world,
        Ceiling {
            spans: Some(6),
            ..Ceiling::default()
        },
    )
    .await;
    for (n, status) in [(0, 201), (1, 201), (2, 429)] {
        let said = ask(&world.app, post("/v1/traces", "key-of-a", JSON, trace(n))).await;
        assert_eq!(
            said.status,
            status,
            "{}",
            String::from_utf8_lossy(&said.body)
        );
    }
    // The other project is of the same organization.
    let said = ask(&world.app, post("/v1/traces", "key-of-b", JSON, trace(3))).await;
    assert_eq!(
        (said.status.as_u16(), &said.json()["error"]["code"]),
        (429, &"quota_exceeded".into())
    );
    assert_eq!(
        ask(&world.app, get("/v1/traces/t2", "key-of-a"))
            .await
            .status,
        404
    );
    let used = ask(&world.app, get("/v1/projects/1/usage", "key-of-a"))
        .await
        .json();
    let month = &used["used"]["month"];
    assert_eq!((&month["traces"], &month["spans"]), (&2.into(), &6.into()));
    assert_eq!(month["bytes"], 2 * trace(0).len());
    // Both attempts to read.
    assert_eq!(month["queries"], 1);
    assert_eq!(used["organization"]["plan"]["month"]["spans"], 6);
    assert_eq!(used["organization"]["used"]["month"], *month);
}

#[tokio::test]
async fn usage_is_told_by_key() {
    let world = world().await;
    let plain = "/v1/projects/1/usage";
    let by_key = "/v1/projects/1/usage?group_by=key";
    let read = json!({ "name": "reader", "scopes": ["read"] }).to_string();
    let made = ask(&world.app, post("/v1/keys", "key-of-a", JSON, read)).await;
    let (reader, id) = (made.json()["key"].clone(), made.json()["key_id"].clone());
    let reader = reader.as_str().unwrap();
    ask(&world.app, post("/v1/traces", "key-of-a", JSON, trace(0))).await;
    ask(&world.app, get("/v1/traces", reader)).await;
    ask(&world.app, post("/v1/traces", "key-of-b", JSON, trace(0))).await;
    let said = ask(&world.app, get(plain, "key-of-a")).await.json();
    assert_eq!(said.get("by_key"), None);

    let nothing = json!({ "traces": 0, "spans": 0, "bytes": 0, "queries": 0 });
    let used = |changed: &[(&str, Value)]| {
        let mut amounts = nothing.clone();
        for (name, value) in changed {
            amounts[*name] = value.clone();
        }
        json!({ "day": amounts, "month": amounts, "reported_traces": 0 })
    };
    let sent = used(&[
        ("traces", 1.into()),
        ("spans", 3.into()),
        ("bytes", trace(0).len().into()),
    ]);
    let asked = used(&[("queries", 1.into())]);
    let of_first =
        json!({ "who": "key", "key_id": "1", "name": "", "state": "live", "used": sent });
    let mut of_reader =
        json!({ "who": "key", "key_id": id, "name": "reader", "state": "live", "used": asked });
    let said = ask(&world.app, get(by_key, "key-of-a")).await.json();
    assert_eq!(said["by_key"], json!([of_first, of_reader]));

    // Whoever may see what was used may not see keys for that.
    let said = ask(&world.app, get(by_key, reader)).await.json();
    let second = &said["by_key"][1];
    assert_eq!((&second["key_id"], &second["used"]), (&id, &asked));
    assert_eq!(
        (&second["name"], &second["state"]),
        (&Value::Null, &Value::Null)
    );

    // What a key has used stays when it ends.
    let gone = Request::delete(format!("/v1/keys/{}", id.as_str().unwrap()));
    let gone = gone
        .header("x-api-key", "key-of-a")
        .body("".into())
        .unwrap();
    assert_eq!(ask(&world.app, gone).await.status, 200);
    of_reader["state"] = "revoked".into();
    let said = ask(&world.app, get(by_key, "key-of-a")).await.json();
    assert_eq!(said["by_key"], json!([of_first, of_reader]));

    for (query, field) in [("group_by=user", "group_by"), ("by=key", "by")] {
        let said = ask(&world.app, get(&format!("{plain}?{query}"), "key-of-a")).await;
        let error = &said.json()["error"];
        assert_eq!(
            (said.status.as_u16(), &error["field"]),
            (400, &field.into())
        );
    }
}

/// What is over the room of the machine is 503, and costs the tenant nothing.
#[tokio::test]
async fn overload_is_503_and_is_not_counted() {
    let world = world().await;
    plan(
        &world,
        Ceiling {
            spans: Some(6),
            ..Ceiling::default()
        },
    )
    .await;
    let room = world.app.admission.charge_for(0, usize::MAX).unwrap();
    let said = ask(&world.app, post("/v1/traces", "key-of-a", JSON, trace(0))).await;
    assert_eq!(said.status, 503);
    drop(room);
    let used = ask(&world.app, get("/v1/projects/1/usage", "key-of-a"))
        .await
        .json();
    assert_eq!(used["used"]["month"]["spans"], 0);
    let refusals = ask(&world.app, get("/v1/projects/1/refusals", "key-of-a"))
        .await
        .json();
    assert_eq!(refusals["refusals"][0]["reason"], "overloaded");
}

#[tokio::test]
async fn aiobs_reads_its_usage_and_is_never_refused_a_report() {
    let world = world().await;
    let said = ask(&world.app, get("/v1/usage", "key-of-a")).await;
    let unlimited = json!({ "success": true, "usage": { "tier": "unlimited", "traces_used": 0,
        "traces_limit": 9_007_199_254_740_991_u64, "traces_remaining": 9_007_199_254_740_991_u64,
        "is_rate_limited": false } });
    assert_eq!((said.status.as_u16(), said.json()), (200, unlimited));
    assert_eq!(
        ask(&world.app, get("/v1/usage", "key-of-c")).await.status,
        401
    );
    plan(
        &world,
        Ceiling {
            traces: Some(1),
            ..Ceiling::default()
        },
    )
    .await;
    ask(&world.app, post("/v1/traces", "key-of-a", JSON, trace(0))).await;
    let report = |body: &str| post("/v1/usage", "key-of-a", JSON, body.to_owned());
    let said = ask(&world.app, report(r#"{"trace_count":5}"#)).await;
    let limited = json!({ "success": true, "usage": { "tier": "free", "traces_used": 1,
        "traces_limit": 1, "traces_remaining": 0, "is_rate_limited": true } });
    assert_eq!((said.status.as_u16(), said.json()), (200, limited));
    let used = ask(&world.app, get("/v1/projects/1/usage", "key-of-a"))
        .await
        .json();
    assert_eq!(used["used"]["reported_traces"], 5);
    for (bytes, status) in [(USAGE_BODY_BYTES_MAX, 200), (USAGE_BODY_BYTES_MAX + 1, 413)] {
        let body = format!(r#"{{"trace_count":0{}}}"#, " ".repeat(bytes - 17));
        assert_eq!(ask(&world.app, report(&body)).await.status.as_u16(), status);
    }
    assert_eq!(ask(&world.app, report("{}")).await.status, 400);
}

#[tokio::test]
async fn a_rate_of_nothing_is_no_setting() {
    let world = world().await;
    let body =
        json!({ "revision": 0, "settings": { "limits": { "key": { "bytes_per_second": 0 } } } });
    let request = Request::put("/v1/projects/1/settings").header("x-api-key", "key-of-a");
    let said = ask(&world.app, request.body(body.to_string().into()).unwrap()).await;
    assert_eq!(
        (said.status.as_u16(), &said.json()["error"]["field"]),
        (400, &"settings.limits.key".into())
    );
}
