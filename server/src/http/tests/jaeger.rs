//! Jaeger's UI and Grafana's Jaeger data source: their requests and what they read of the answers.

use super::tempo::{asking, stored};
use super::*;
use crate::limits::PARAMS_MAX;
use serde_json::json;

const S: u64 = 1_767_225_600;
const A1: &str = "000000000000000000000000000000a1";
const B2: &str = "000000000000000000000000000000b2";

async fn jaeger(world: &World, path: &str, params: &[(&str, &str)]) -> Value {
    let path = asking(&format!("/jaeger{path}"), params);
    let said = ask(&world.app, get(&path, "key-of-a")).await;
    assert_eq!(
        said.status,
        200,
        "{path}: {}",
        String::from_utf8_lossy(&said.body)
    );
    said.json()
}

fn ids(found: &Value) -> Vec<&str> {
    let traces = found["data"].as_array().unwrap();
    traces
        .iter()
        .map(|trace| trace["traceID"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn services_and_operations() {
    let world = stored().await;
    let services = jaeger(&world, "/api/services", &[]).await;
    assert_eq!(
        services,
        json!({ "data": ["pay", "web"], "total": 2, "limit": 0, "offset": 0, "errors": null })
    );
    let operations = jaeger(&world, "/api/services/web/operations", &[]).await;
    assert_eq!(operations["data"], json!(["GET /", "GET /cart", "pay"]));
    let kinds = jaeger(
        &world,
        "/api/operations",
        &[("service", "web"), ("spanKind", "client")],
    )
    .await;
    assert_eq!(
        kinds["data"],
        json!([{ "name": "pay", "spanKind": "client" }])
    );
    assert_eq!(
        jaeger(&world, "/api/v3/services", &[]).await,
        json!({ "services": ["pay", "web"] })
    );
    let v3 = jaeger(&world, "/api/v3/operations", &[("service", "pay")]).await;
    assert_eq!(
        v3,
        json!({ "operations": [{ "name": "charge", "spanKind": "server" }] })
    );
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one request after the other")]
async fn a_search_and_a_trace_in_the_classic_form() {
    let world = stored().await;
    let (start, end) = (format!("{S}000000"), format!("{}000000", S + 1000));
    // As Grafana: service, tags as JSON, limit, both ends in microseconds.
    let found = jaeger(
        &world,
        "/api/traces",
        &[
            ("service", "web"),
            ("operation", "GET /cart"),
            ("tags", "{\"http.status_code\":\"500\"}"),
            ("minDuration", "5s"),
            ("limit", "20"),
            ("start", &start),
            ("end", &end),
        ],
    )
    .await;
    assert_eq!((ids(&found), &found["total"]), (vec![A1], &json!(1)));
    let trace = &found["data"][0];
    assert_eq!(trace["spans"].as_array().unwrap().len(), 3);
    let span = trace["spans"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["operationName"] == "charge")
        .unwrap();
    assert_eq!(span["spanID"], "0000000000000003");
    assert_eq!(
        span["references"],
        json!([{ "refType": "CHILD_OF", "traceID": A1, "spanID": "0000000000000002" }])
    );
    assert_eq!(
        (&span["startTime"], &span["duration"]),
        (&json!((S + 2) * 1_000_000), &json!(2_000_000))
    );
    let tags = span["tags"].as_array().unwrap();
    for tag in [
        json!({ "key": "span.kind", "type": "string", "value": "server" }),
        json!({ "key": "error", "type": "bool", "value": true }),
        json!({ "key": "otel.status_description", "type": "string", "value": "no money" }),
    ] {
        assert!(tags.contains(&tag), "{tags:?}");
    }
    assert_eq!(span["logs"][0]["timestamp"], (S + 2) * 1_000_000 + 500_000);
    assert_eq!(
        span["logs"][0]["fields"][0],
        json!({ "key": "event", "type": "string", "value": "exception" })
    );
    let process = &trace["processes"][span["processID"].as_str().unwrap()];
    assert_eq!(process["serviceName"], "pay");
    assert_eq!(
        process["tags"],
        json!([{ "key": "region", "type": "string", "value": "eu" }])
    );
    let one = jaeger(&world, &format!("/api/traces/{A1}"), &[]).await;
    assert_eq!(one["data"][0], *trace);

    let only = async |params: &[(&str, &str)]| {
        let found = jaeger(&world, "/api/traces", params).await;
        ids(&found)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(only(&[("service", "web")]).await, [B2, A1]);
    assert_eq!(only(&[("service", "web"), ("limit", "1")]).await, [B2]);
    assert_eq!(only(&[("tags", "{\"error\":\"true\"}")]).await, [A1]);
    assert_eq!(
        only(&[("tag", "http.method:GET"), ("maxDuration", "1s")]).await,
        [B2]
    );
    assert_eq!(
        only(&[
            ("service", "web"),
            ("lookback", "50s"),
            ("end", &format!("{}000000", S + 110))
        ])
        .await,
        [B2]
    );
    assert_eq!(
        only(&[("traceID", A1), ("traceID", "b2"), ("traceID", "ff")]).await,
        [A1, B2]
    );
    assert_eq!(
        only(&[("start", "0"), ("end", "18446744073709551615")])
            .await
            .len(),
        3
    );
    let status = async |path: &str| ask(&world.app, get(path, "key-of-a")).await.status.as_u16();
    let by_id = |count: usize| {
        let ids: Vec<String> = (0..count)
            .map(|n| format!("traceID={:x}", 0xa1 + n))
            .collect();
        format!("/jaeger/api/traces?{}", ids.join("&"))
    };
    let said = ask(&world.app, get(&by_id(PARAMS_MAX), "key-of-a")).await;
    assert_eq!(
        (said.status.as_u16(), ids(&said.json())),
        (200, vec![A1, B2])
    );
    let said = ask(&world.app, get(&by_id(PARAMS_MAX + 1), "key-of-a")).await;
    assert_eq!(said.status, 400);
    assert!(
        said.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("max=256")
    );
    assert_eq!(status("/jaeger/api/traces/ff").await, 404);
    assert_eq!(status("/jaeger/api/traces?tags=5").await, 400);
    assert_eq!(status("/jaeger/api/traces?minDuration=5x").await, 400);
    assert_eq!(status("/jaeger/api/traces?start=9&end=3").await, 400);
    let many: String = (0..40).map(|n| format!("&tag=k{n}:v")).collect();
    assert_eq!(
        status(&format!("/jaeger/api/traces?{}", &many[1..])).await,
        400
    );
}

#[tokio::test]
async fn version_3_gives_otlp() {
    let world = stored().await;
    let found = jaeger(
        &world,
        "/api/v3/traces",
        &[
            ("query.service_name", "pay"),
            ("query.operation_name", "charge"),
            ("query.duration_min", "1s"),
            ("query.num_traces", "5"),
            ("query.start_time_min", "2026-01-01T00:00:00Z"),
            ("query.start_time_max", "2026-01-01T01:00:00.5Z"),
        ],
    )
    .await;
    let groups = found["result"]["resourceSpans"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!(groups[0]["scopeSpans"][0]["spans"][0]["traceId"], A1);
    let one = jaeger(&world, &format!("/api/v3/traces/{A1}"), &[]).await;
    assert_eq!(one, found);
    assert_eq!(
        ask(&world.app, get("/jaeger/api/v3/traces/ff", "key-of-a"))
            .await
            .status,
        404
    );
    let none = jaeger(
        &world,
        "/api/v3/traces",
        &[("query.service_name", "nobody")],
    )
    .await;
    assert_eq!(none, json!({ "result": { "resourceSpans": [] } }));
}

#[tokio::test]
async fn summaries_of_version_3_are_those_of_the_spans() {
    let world = stored().await;
    let found = jaeger(
        &world,
        "/api/v3/trace-summaries",
        &[
            ("query.service_name", "pay"),
            ("query.start_time_min", "2026-01-01T00:00:00Z"),
            ("query.start_time_max", "2026-01-01T01:00:00Z"),
        ],
    )
    .await;
    assert_eq!(
        found,
        json!({ "summaries": [{
            "traceId": A1, "rootServiceName": "web", "rootOperationName": "GET /cart",
            "minStartTimeUnixNano": format!("{S}000000000"),
            "maxEndTimeUnixNano": format!("{}000000000", S + 10),
            "spanCount": 3, "errorSpanCount": 1, "orphanSpanCount": 0,
            "services": [
                { "name": "pay", "spanCount": 1, "errorSpanCount": 1 },
                { "name": "web", "spanCount": 2, "errorSpanCount": 0 },
            ],
        }] })
    );
    let of = [("query.service_name", "nobody")];
    let none = jaeger(&world, "/api/v3/trace-summaries", &of).await;
    assert_eq!(none, json!({ "summaries": [] }));
}

#[tokio::test]
async fn dependencies_count_calls_between_services() {
    let world = stored().await;
    let end = format!("{}000", S + 1000);
    let found = jaeger(
        &world,
        "/api/dependencies",
        &[("endTs", &end), ("lookback", "86400000")],
    )
    .await;
    assert_eq!(
        found["data"],
        json!([{ "parent": "web", "child": "pay", "callCount": 1 }])
    );
    let before = jaeger(
        &world,
        "/api/dependencies",
        &[("endTs", &end), ("lookback", "1000")],
    )
    .await;
    assert_eq!(before["data"], json!([]));
}
