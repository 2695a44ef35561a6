//! Settings and previews over a real engine.

use http::Request;
use serde_json::{Value, json};

use crate::http::tests::{JSON, World, ask, get, post, world};
use crate::limits::{PREVIEW_BYTES_MAX, SETTINGS_BYTES_MAX};

const SETTINGS: &str = "/v1/projects/1/settings";
const PREVIEW: &str = "/v1/projects/1/redaction/preview";

/// How many records the audit log has.
fn records(world: &World) -> usize {
    world.app.core().unwrap().plane().audit().len()
}

async fn put(world: &World, body: &Value) -> (u16, Value) {
    let request = Request::put(SETTINGS)
        .header("x-api-key", "key-of-a")
        .body(body.to_string().into())
        .unwrap();
    let said = ask(&world.app, request).await;
    (said.status.as_u16(), said.json())
}

async fn preview(world: &World, body: &Value) -> (u16, Value) {
    let said = ask(
        &world.app,
        post(PREVIEW, "key-of-a", JSON, body.to_string()),
    )
    .await;
    (said.status.as_u16(), said.json())
}

#[tokio::test]
async fn settings_are_of_one_project_and_change_by_revision() {
    let world = world().await;
    let before = records(&world);
    let shown = ask(&world.app, get(SETTINGS, "key-of-a")).await.json();
    assert_eq!(
        (&shown["revision"], &shown["settings"]["redaction"]),
        (&0.into(), &Value::Null)
    );
    for (path, status) in [
        ("/v1/projects/2/settings", 404),
        ("/v1/projects/9/settings", 404),
        ("/v1/projects/x/settings", 400),
    ] {
        let said = ask(&world.app, get(path, "key-of-a")).await;
        assert_eq!(said.status, status, "{path}");
    }
    assert_eq!(ask(&world.app, get(SETTINGS, "key-of-c")).await.status, 401);
    let retention = json!({ "retention": { "traces_days": 30 } });
    let change = |revision: u64| json!({ "revision": revision, "settings": retention });
    assert_eq!(put(&world, &change(1)).await.0, 409);
    let (status, said) = put(&world, &change(0)).await;
    assert_eq!((status, &said["revision"]), (200, &1.into()));
    let (status, said) = put(&world, &change(0)).await;
    assert_eq!((status, &said["error"]["code"]), (409, &"conflict".into()));
    let shown = ask(&world.app, get("/v1/projects/1/settings", "key-of-a"))
        .await
        .json();
    assert_eq!(shown["settings"]["retention"]["traces_days"], 30);
    assert!(shown["changed_at"].is_string());
    let of_b = ask(&world.app, get("/v1/projects/2/settings", "key-of-b"))
        .await
        .json();
    assert_eq!(of_b["revision"], 0);
    assert_eq!(records(&world), before + 1);
}

#[tokio::test]
async fn what_is_not_valid_changes_nothing_and_is_named() {
    let world = world().await;
    let before = records(&world);
    for (settings, field) in [
        (
            json!({ "retention": { "logs_days": 0 } }),
            "settings.retention.logs_days",
        ),
        (
            json!({ "redaction": { "patterns": [{ "name": "p", "pattern": "(" }] } }),
            "settings.redaction.patterns[0].pattern",
        ),
    ] {
        let (status, said) = put(&world, &json!({ "revision": 0, "settings": settings })).await;
        assert_eq!((status, &said["error"]["field"]), (400, &field.into()));
    }
    for settings in [
        json!({ "retain": 1 }),
        json!({ "redaction": { "detectors": ["x"] } }),
    ] {
        let (status, said) = put(&world, &json!({ "revision": 0, "settings": settings })).await;
        assert_eq!(
            (status, &said["error"]["code"]),
            (400, &"invalid_request".into())
        );
    }
    let padded = |bytes: usize| {
        let body = json!({ "revision": 7, "settings": {} }).to_string();
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    for (bytes, status) in [(SETTINGS_BYTES_MAX, 409), (SETTINGS_BYTES_MAX + 1, 413)] {
        let request = Request::put(SETTINGS).header("x-api-key", "key-of-a");
        let said = ask(&world.app, request.body(padded(bytes).into()).unwrap()).await;
        assert_eq!(said.status.as_u16(), status);
    }
    assert_eq!(records(&world), before);
}

#[tokio::test]
async fn a_preview_says_what_was_found_and_stores_nothing() {
    let world = world().await;
    let before = records(&world);
    let stored = world.app.core().unwrap().stats().records;
    let text = json!({ "text": "a@b.example and a@b.example" });
    let (status, said) = preview(&world, &text).await;
    assert_eq!((status, &said["error"]["field"]), (400, &"rules".into()));
    let mut with_rules = text.clone();
    with_rules["rules"] = json!({});
    let (status, said) = preview(&world, &with_rules).await;
    assert_eq!(
        (status, &said["after"]),
        (200, &"[email] and [email]".into())
    );
    assert_eq!(
        (&said["before"], &said["found"]),
        (&text["text"], &json!({ "emails": 2 }))
    );
    let document = json!({ "metadata": { "k": "v", "n": 1 }, "user_id": "a@b.example" });
    let rules = json!({ "keys": { "deny": ["metadata.k"] } });
    let (_, said) = preview(&world, &json!({ "document": document, "rules": rules })).await;
    assert_eq!(
        said["after"]["metadata"],
        json!({ "k": "[redacted]", "n": 1 })
    );
    assert_eq!(said["found"], json!({ "emails": 1, "keys.deny": 1 }));
    let image = json!({ "text": "data:image/png;base64,aaaa", "rules": {} });
    let (_, said) = preview(&world, &image).await;
    assert_eq!(
        (&said["refused"], &said["after"]),
        (&true.into(), &Value::Null)
    );
    for bad in [
        json!({}),
        json!({ "text": "a", "document": {} }),
        json!({ "document": [] }),
    ] {
        let mut bad = bad;
        bad["rules"] = json!({});
        assert_eq!(preview(&world, &bad).await.0, 400, "{bad}");
    }
    let core = world.app.core().unwrap();
    assert_eq!(
        (core.engine.stats().records, records(&world)),
        (stored, before)
    );
    for (bytes, status) in [(PREVIEW_BYTES_MAX, 400), (PREVIEW_BYTES_MAX + 1, 413)] {
        let said = ask(
            &world.app,
            post(PREVIEW, "key-of-a", JSON, " ".repeat(bytes)),
        )
        .await;
        assert_eq!(said.status.as_u16(), status);
    }
}

/// Two sends of one body are one trace, read by the id that was sent; other projects are as before.
#[tokio::test]
async fn rules_hold_for_their_project_and_retries_converge() {
    let world = world().await;
    let rules = json!({ "revision": 0, "settings": { "redaction": {} } });
    assert_eq!(put(&world, &rules).await.0, 200);
    let trace = json!({ "trace_id": "t-a@b.example", "name": "for a@b.example",
        "started_at": "2026-01-01T00:00:00Z", "steps": [{}, {}] });
    for key in ["key-of-a", "key-of-b"] {
        let send = || post("/v1/traces", key, JSON, trace.to_string());
        let first = ask(&world.app, send()).await.json();
        assert_eq!(ask(&world.app, send()).await.json(), first);
        let read = ask(&world.app, get("/v1/traces/t-a@b.example", key)).await;
        assert_eq!(read.status, 200);
        let read = read.json();
        assert_eq!(
            read["trace"]["steps"].as_array().map(Vec::len),
            Some(2),
            "{read}"
        );
        let expected = if key == "key-of-a" {
            "for [email]"
        } else {
            "for a@b.example"
        };
        assert_eq!(read["trace"]["name"], expected);
        assert_eq!(read["trace"]["trace_id"], first["trace_id"]);
        let deleted = Request::delete("/v1/traces/t-a@b.example").header("x-api-key", key);
        ask(&world.app, deleted.body(axum::body::Body::empty()).unwrap()).await;
        assert_eq!(
            ask(&world.app, get("/v1/traces/t-a@b.example", key))
                .await
                .status,
            404
        );
    }
}
