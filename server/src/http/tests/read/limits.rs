//! Limits of the read routes, each at its value and one above.

use super::*;
use crate::limits::{
    COMMENT_BYTES_MAX, FILTER_BYTES_MAX, JAEGER_NAMES_MAX, PAGE_ROWS_MAX, PATH_NODES_MAX,
    PATH_SEQUENCES_MAX, RELEASES_MAX, SCORES_SHOWN_MAX, THEAZO_OFFSET_MAX, THEAZO_TRACES_MAX,
    VIEWS_PER_PROJECT_MAX,
};

#[tokio::test]
async fn parameters_hold_at_and_above() {
    let world = world().await;
    for (path, most) in [
        ("/v1/projects/1/releases?limit=", RELEASES_MAX),
        ("/v1/agents/traces?limit=", THEAZO_TRACES_MAX),
        ("/v1/logs/query?limit=", PAGE_ROWS_MAX),
        ("/v1/logs/query?offset=", THEAZO_OFFSET_MAX),
        ("/v1/projects/1/traces?limit=", PAGE_ROWS_MAX),
    ] {
        for (value, status) in [(most, 200), (most + 1, 400)] {
            let path = format!("{path}{value}");
            let said = ask(&world.app, get(&path, "key-of-a")).await;
            assert_eq!(said.status.as_u16(), status, "{path}");
        }
    }
    let filter = |bytes: usize| {
        let text = json!({ "text": "" }).to_string().len();
        let body = json!({ "text": "x".repeat(bytes - text) });
        format!("/spans?filter={}", body.to_string().replace('"', "%22"))
    };
    assert_eq!(refused(&world, &filter(FILTER_BYTES_MAX)).await.0, 200);
    let (status, error) = refused(&world, &filter(FILTER_BYTES_MAX + 1)).await;
    assert_eq!((status, &error["field"]), (400, &json!("filter")));
}

#[tokio::test]
async fn the_head_of_a_trace_shows_so_many_scores() {
    let world = world().await;
    let trace = format!("{:032x}", 1);
    stored(&world, 50, 1).await;
    for (from, to, cut) in [
        (0, SCORES_SHOWN_MAX, false),
        (SCORES_SHOWN_MAX, SCORES_SHOWN_MAX + 1, true),
    ] {
        let scores: Vec<Value> = (from..to)
            .map(|n| json!({ "id": format!("s{n}"), "traceId": trace, "name": "n", "value": n }))
            .collect();
        let body = Value::Array(scores).to_string();
        let said = ask(
            &world.app,
            post("/api/public/scores", "key-of-a", JSON, body),
        )
        .await;
        assert_eq!(said.status, 202);
        let head = read(&world, &format!("/traces/{trace}")).await;
        assert_eq!(head["scores"].as_array().unwrap().len(), SCORES_SHOWN_MAX);
        assert_eq!(head["scores_cut"], json!(cut));
    }
}

/// Runs of steps with these names, one after the other.
async fn walked(world: &World, runs: &[Vec<String>]) {
    for (trace, steps) in (1_u64..).zip(runs) {
        let spans: Vec<Value> = (1_i64..)
            .zip(steps)
            .map(|(n, name)| {
                json!({
                    "traceId": format!("{trace:032x}"), "spanId": format!("{n:016x}"), "name": name,
                    "startTimeUnixNano": (BASE_NS + n).to_string(),
                    "endTimeUnixNano": (BASE_NS + n).to_string(),
                })
            })
            .collect();
        send(world, &spans).await;
    }
}

#[tokio::test]
async fn paths_tell_so_many_names_apart_and_list_so_many_sequences() {
    let steps = |count: usize| (0..count).map(|n| format!("n{n}")).collect::<Vec<_>>();
    for (count, other) in [(PATH_NODES_MAX, false), (PATH_NODES_MAX + 1, true)] {
        let world = world().await;
        walked(&world, &[steps(count)]).await;
        let paths = question(&world, "/paths", json!({ "by": "name" }))
            .await
            .json();
        let nodes = paths["nodes"].as_array().unwrap();
        let named = nodes.iter().filter(|node| {
            let name = node["name"].as_str().unwrap();
            name.starts_with('n')
        });
        assert_eq!(named.count(), PATH_NODES_MAX);
        // Start and end are told beside them, and one name for all the others.
        assert_eq!(nodes.len(), PATH_NODES_MAX + 2 + usize::from(other));
    }
    let world = world().await;
    let sequences = |from: usize, to: usize| -> Vec<Vec<String>> {
        (from..to).map(|n| vec![format!("s{n}")]).collect()
    };
    walked(&world, &sequences(0, PATH_SEQUENCES_MAX)).await;
    let listed = |said: &Value| said["sequences"].as_array().unwrap().len();
    let ask_paths = || question(&world, "/paths", json!({ "by": "name" }));
    assert_eq!(listed(&ask_paths().await.json()), PATH_SEQUENCES_MAX);
    walked(&world, &sequences(0, PATH_SEQUENCES_MAX + 1)).await;
    assert_eq!(listed(&ask_paths().await.json()), PATH_SEQUENCES_MAX);
}

#[tokio::test]
async fn a_project_has_so_many_views() {
    let world = world().await;
    for n in 0..VIEWS_PER_PROJECT_MAX {
        let said = question(&world, "/views", json!({ "name": format!("v{n}") })).await;
        assert_eq!(said.status, 201, "{n}");
    }
    let said = question(&world, "/views", json!({ "name": "one more" })).await;
    assert_eq!(said.status, 409, "{}", said.json());
    stored(&world, 51, 1).await;
    let comments = format!("/traces/{:032x}/comments", 1);
    for (bytes, status) in [(COMMENT_BYTES_MAX, 201), (COMMENT_BYTES_MAX + 1, 400)] {
        let said = question(&world, &comments, json!({ "text": "x".repeat(bytes) })).await;
        assert_eq!(said.status, status);
    }
}

#[tokio::test]
async fn so_many_services_are_named() {
    let world = world().await;
    for (from, to) in [
        (0, JAEGER_NAMES_MAX),
        (JAEGER_NAMES_MAX, JAEGER_NAMES_MAX + 1),
    ] {
        let resources: Vec<Value> = (from..to)
            .map(|n| {
                json!({
                    "resource": { "attributes": [
                        { "key": "service.name", "value": { "stringValue": format!("s{n:04}") } },
                    ] },
                    "scopeSpans": [{ "spans": [{
                        "traceId": format!("{:032x}", n + 1), "spanId": format!("{:016x}", n + 1),
                        "name": "s", "startTimeUnixNano": BASE_NS.to_string(),
                    }] }],
                })
            })
            .collect();
        let body = json!({ "resourceSpans": resources }).to_string();
        let said = ask(&world.app, post("/v1/traces", "key-of-a", JSON, body)).await;
        assert_eq!(said.status, 200);
        let path = "/jaeger/api/services";
        let said = ask(&world.app, get(path, "key-of-a")).await.json();
        assert_eq!(said["data"].as_array().unwrap().len(), JAEGER_NAMES_MAX);
    }
}
