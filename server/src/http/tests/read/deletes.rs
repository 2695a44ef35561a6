//! Deletes by filter and of a user: exactly what passes, counted, in bounded steps, with a record.

use super::partial::flushed;
use super::*;
use crate::limits::{DELETE_FILTER_BYTES_MAX, DELETE_STEP_ROWS};

async fn delete(world: &World, rest: &str, key: &str) -> Said {
    let path = format!("/v1/projects/1{rest}");
    let request = Request::delete(path).header("x-api-key", key);
    ask(&world.app, request.body(Body::empty()).unwrap()).await
}

async fn total(world: &World, list: &str) -> u64 {
    read(world, &format!("{list}total=true")).await["total"]
        .as_u64()
        .unwrap()
}

#[tokio::test]
async fn exactly_what_passes_is_gone() {
    let world = world().await;
    let spans = stored(&world, 21, 40).await;
    let failed = total(&world, "/traces?q=status:error&").await;
    let all = total(&world, "/traces?").await;
    assert!(failed > 0 && failed < all);
    let dry = delete(&world, "/traces?q=status:error&dry_run=true", "key-of-a")
        .await
        .json();
    assert_eq!(
        (&dry["remaining"]["traces"], &dry["done"]),
        (&json!(failed), &json!(false))
    );
    assert_eq!(
        (&dry["deleted"]["traces"], &dry["receipt"]["changed"]),
        (&json!(0), &json!(false))
    );
    assert_eq!(total(&world, "/traces?").await, all);
    let said = delete(&world, "/traces?q=status:error", "key-of-a")
        .await
        .json();
    assert_eq!(
        (&said["deleted"]["traces"], &said["done"]),
        (&json!(failed), &json!(true))
    );
    assert_eq!(said["deleted"]["spans"], dry["remaining"]["spans"]);
    assert!(said["receipt"]["record"].is_u64() && said["receipt"]["hash"].is_string());
    assert_eq!(total(&world, "/traces?q=status:error&").await, 0);
    assert_eq!(total(&world, "/traces?").await, all - failed);
    let left = total(&world, "/spans?").await;
    let gone = said["deleted"]["spans"].as_u64().unwrap();
    assert_eq!(left + gone, u64::try_from(spans.len()).unwrap());
    let again = delete(&world, "/traces?q=status:error", "key-of-a")
        .await
        .json();
    assert_eq!(
        (&again["done"], &again["receipt"]["changed"]),
        (&json!(true), &json!(false))
    );
}

#[tokio::test]
async fn one_trace_goes_with_a_receipt() {
    let world = world().await;
    let made = stored(&world, 22, 1).await;
    let audit = Arc::clone(world.app.core().unwrap().plane().audit());
    let path = format!("/traces/{}", made[0].trace);
    let said = delete(&world, &path, "key-of-a").await.json();
    assert_eq!(
        (&said["deleted"], &said["trace_id"]),
        (&json!(true), &json!(made[0].trace))
    );
    assert_eq!(said["receipt"]["changed"], json!(true));
    assert_eq!(said["receipt"]["record"], json!(audit.len()));
    // Its spans and its run, which were in memory alone.
    let rows = made.len() + 1;
    assert_eq!(said["hidden"], json!({ "rows": rows, "segments": [] }));
    let again = delete(&world, &path, "key-of-a").await.json();
    assert_eq!(
        (&again["deleted"], &again["receipt"]["changed"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(again["hidden"], json!({ "rows": 0, "segments": [] }));
}

#[tokio::test]
async fn a_delete_tells_which_segments_have_what_it_hid() {
    let world = world().await;
    for trace in ["t-1", "t-2", "t-3"] {
        let body = json!({ "trace_id": trace, "name": "n", "steps": [] });
        let sent = post("/v1/traces", "key-of-a", JSON, body.to_string());
        assert_eq!(ask(&world.app, sent).await.status, 201);
        if trace != "t-3" {
            flushed(&world).await;
        }
    }
    let hidden = |said: Said| {
        let hidden = said.json()["hidden"].clone();
        let numbers: Vec<u64> = serde_json::from_value(hidden["segments"].clone()).unwrap();
        (hidden["rows"].as_u64().unwrap(), numbers)
    };
    let (rows, second) = hidden(delete(&world, "/traces/t-2", "key-of-a").await);
    assert_eq!((rows, second.len()), (1, 1));
    // What is in memory is in no segment.
    let (rows, first) = hidden(delete(&world, "/traces?all=true", "key-of-a").await);
    assert_eq!((rows, first.len()), (2, 1));
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_large_result_is_deleted_step_by_step() {
    let world = world().await;
    let lines = DELETE_STEP_ROWS + 1;
    let records: Vec<String> = (1..=lines)
        .map(|n| format!(r#"{{"timeUnixNano":"{n}","body":{{"intValue":"{n}"}}}}"#))
        .collect();
    let body = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#,
        records.join(",")
    );
    assert_eq!(
        ask(&world.app, post("/v1/logs", "key-of-a", JSON, body))
            .await
            .status,
        200
    );
    let said = delete(&world, "/logs?all=true", "key-of-a").await.json();
    assert_eq!(
        (&said["deleted"]["logs"], &said["remaining"]["logs"]),
        (&json!(DELETE_STEP_ROWS), &json!(1))
    );
    assert_eq!(said["done"], false);
    let said = delete(&world, "/logs?all=true", "key-of-a").await.json();
    assert_eq!(
        (&said["deleted"]["logs"], &said["done"]),
        (&json!(1), &json!(true))
    );
}

#[tokio::test]
async fn what_names_a_user_goes_and_nothing_else() {
    let world = world().await;
    for (trace, user) in [("t-1", "ann"), ("t-2", "bob"), ("t-3", "ann")] {
        let body = json!({ "trace_id": trace, "name": "n", "user_id": user, "steps": [] });
        let sent = post("/v1/traces", "key-of-a", JSON, body.to_string());
        assert_eq!(ask(&world.app, sent).await.status, 201);
    }
    for (user, value) in [("ann", 1), ("bob", 2)] {
        let score = json!({ "trace_id": "t-2", "name": "q", "value": value, "user_id": user });
        assert!(question(&world, "/scores", score).await.status.is_success());
    }
    let user = |user: &str| json!({ "key": "user.id", "value": { "stringValue": user } });
    let lines = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [
        { "timeUnixNano": "1", "attributes": [user("ann")] },
        { "timeUnixNano": "2", "attributes": [user("bob")] },
    ] }] }] });
    let sent = post("/v1/logs", "key-of-a", JSON, lines.to_string());
    assert_eq!(ask(&world.app, sent).await.status, 200);
    let said = delete(&world, "/users/ann?dry_run=true", "key-of-a")
        .await
        .json();
    assert_eq!(said["remaining"]["traces"], 2);
    let said = delete(&world, "/users/ann", "key-of-a").await.json();
    assert_eq!(said["done"], true);
    let deleted = &said["deleted"];
    assert_eq!(
        (&deleted["traces"], &deleted["scores"], &deleted["logs"]),
        (&json!(2), &json!(1), &json!(1))
    );
    for (list, field) in [
        ("/traces?", "user_id"),
        ("/scores?", "metadata.user_id"),
        ("/logs?", "user_id"),
    ] {
        assert_eq!(total(&world, list).await, 1, "{list}");
        let of_bob = format!("{list}q={field}:bob&");
        assert_eq!(total(&world, &of_bob).await, 1, "{list}");
    }
}

#[tokio::test]
async fn a_delete_of_everything_is_asked_for_by_name() {
    let world = world().await;
    for rest in ["/traces", "/logs", "/points", "/scores"] {
        let said = delete(&world, rest, "key-of-a").await;
        assert_eq!(
            (said.status.as_u16(), &said.json()["error"]["field"]),
            (400, &json!("q"))
        );
    }
    let q = |bytes: usize| format!("/traces?dry_run=true&q={}", "a".repeat(bytes));
    assert_eq!(
        delete(&world, &q(DELETE_FILTER_BYTES_MAX), "key-of-a")
            .await
            .status,
        200
    );
    let said = delete(&world, &q(DELETE_FILTER_BYTES_MAX + 1), "key-of-a").await;
    assert_eq!(said.status, 400);
    let user = |bytes: usize| format!("/users/{}?dry_run=true", "u".repeat(bytes));
    assert_eq!(
        delete(&world, &user(DELETE_FILTER_BYTES_MAX), "key-of-a")
            .await
            .status,
        200
    );
    assert_eq!(
        delete(&world, &user(DELETE_FILTER_BYTES_MAX + 1), "key-of-a")
            .await
            .status,
        400
    );
    assert_eq!(
        delete(&world, "/traces?all=true", "key-of-b").await.status,
        404
    );
}

#[tokio::test]
async fn a_delete_takes_every_form_of_a_filter() {
    let world = world().await;
    stored(&world, 22, 30).await;
    let failed = "%7B%22key%22%3A%22status%22%2C%22eq%22%3A%22error%22%7D";
    let count = total(&world, &format!("/traces?filter={failed}&")).await;
    assert_eq!(count, total(&world, "/traces?q=status:error&").await);
    let said = delete(&world, &format!("/traces?filter={failed}"), "key-of-a").await;
    assert_eq!(said.json()["deleted"]["traces"], json!(count));
    let left = total(&world, "/traces?").await;
    let of_model = "traceql=%7B%20span.gen_ai.request.model%20%3D%20%22o3%22%20%7D";
    let count = total(&world, &format!("/traces?{of_model}&")).await;
    assert!(count > 0 && count < left, "{count} of {left}");
    let said = delete(&world, &format!("/traces?{of_model}"), "key-of-a").await;
    assert_eq!(said.json()["deleted"]["traces"], json!(count));
    assert_eq!(total(&world, "/traces?").await, left - count);
    // A filter that all pass names nothing.
    for nothing in ["/traces", "/traces?filter=%7B%7D", "/traces?q="] {
        assert_eq!(
            delete(&world, nothing, "key-of-a").await.status,
            400,
            "{nothing}"
        );
    }
    // The audit log has the three together.
    let long = "x".repeat(DELETE_FILTER_BYTES_MAX);
    let over = format!(
        "/traces?q=%22{}%22&filter={failed}",
        &long[..long.len() - 20]
    );
    assert_eq!(delete(&world, &over, "key-of-a").await.status, 400);
}

#[tokio::test]
async fn the_list_of_runs_takes_every_form_of_a_filter() {
    let world = world().await;
    stored(&world, 23, 30).await;
    let ids = |said: &Value, list: &str| -> Vec<String> {
        let rows = said[list].as_array().unwrap().iter();
        rows.map(|row| row["trace_id"].as_str().unwrap().to_owned())
            .collect()
    };
    for filter in [
        "filter=%7B%22key%22%3A%22status%22%2C%22eq%22%3A%22error%22%7D",
        "traceql=%7B%20status%20%3D%20error%20%7D",
        "filter=%7B%22key%22%3A%22cost%22%2C%22exists%22%3Atrue%7D&q=status:error",
    ] {
        let own = read(&world, &format!("/traces?limit=100&{filter}")).await;
        let said = ask(&world.app, get(&format!("/v1/traces?{filter}"), "key-of-a")).await;
        let (own, said) = (ids(&own, "data"), ids(&said.json(), "items"));
        assert!(!own.is_empty());
        assert_eq!(own, said, "{filter}");
    }
    let said = ask(&world.app, get("/v1/traces?filter=x", "key-of-a")).await;
    assert_eq!(
        (said.status.as_u16(), &said.json()["error"]["field"]),
        (400, &json!("filter"))
    );
}
