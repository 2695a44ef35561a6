//! Logs and points: every address, what is told of refusals, lists page by page, gRPC.

use super::*;
use crate::http::{grpc, otlp};

fn logs(records: &str) -> String {
    format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}"#)
}

fn points(points: &str) -> String {
    format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"m","gauge":{{"dataPoints":[{points}]}}}}]}}]}}]}}"#
    )
}

async fn list(world: &World, path: &str) -> Value {
    let said = ask(&world.app, get(path, "key-of-a")).await;
    assert_eq!(said.status, 200, "{path}: {}", said.json());
    said.json()
}

#[tokio::test]
async fn logs_and_points_arrive_at_every_address() {
    let world = world().await;
    for (n, prefix) in (1..).zip(otlp::PREFIXES) {
        let record = format!(r#"{{"timeUnixNano":"{n}","body":{{"stringValue":"n{n}"}}}}"#);
        let point = format!(r#"{{"timeUnixNano":"{n}","asInt":"{n}"}}"#);
        for (signal, body) in [("logs", logs(&record)), ("metrics", points(&point))] {
            let path = format!("{prefix}/{signal}");
            let said = ask(&world.app, post(&path, "key-of-a", JSON, body)).await;
            assert_eq!(
                said.json(),
                serde_json::json!({ "partialSuccess": {} }),
                "{path}"
            );
        }
    }
    let found = list(&world, "/v1/projects/1/logs?sort=start").await;
    let bodies: Vec<_> = found["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["body"])
        .collect();
    assert_eq!(bodies, ["n1", "n2", "n3", "n4", "n5", "n6"]);
    let found = list(&world, "/v1/projects/1/points?sort=-value&total=true").await;
    let values: Vec<_> = found["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["value"].as_i64())
        .collect();
    assert_eq!(values, [6, 5, 4, 3, 2, 1].map(Some));
    assert_eq!(found["total"], 6);
    let metrics = ask(&world.app, get("/metrics", "")).await;
    let metrics = String::from_utf8(metrics.body).unwrap();
    for route in ["/v1/logs", "/v1/metrics"] {
        let counted = format!(r#"{{route="{route}",status="2xx"}} 6"#);
        assert!(metrics.contains(&counted), "{route}");
    }
}

#[tokio::test]
async fn refusals_are_told_in_the_words_of_the_signal() {
    let world = world().await;
    let body = logs(r#"{"timeUnixNano":"x"},{"timeUnixNano":"1"}"#);
    let said = ask(&world.app, post("/v1/logs", "key-of-a", JSON, body))
        .await
        .json();
    assert_eq!(said["partialSuccess"]["rejectedLogRecords"], "1");
    let body = points(r#"{"asInt":"1"},{"timeUnixNano":"1"}"#);
    let said = ask(&world.app, post("/v1/metrics", "key-of-a", JSON, body))
        .await
        .json();
    assert_eq!(said["partialSuccess"]["rejectedDataPoints"], "1");
    let reason = said["partialSuccess"]["errorMessage"].as_str().unwrap();
    assert!(reason.contains("time_unix_nano"), "{reason}");
    for (path, accepted) in [
        ("/v1/logs", vec!["resourceLogs"]),
        ("/v1/metrics", vec!["resourceMetrics", "name and type"]),
    ] {
        for body in ["{}", "[]", r#"{"resourceSpans":[]}"#] {
            let said = ask(&world.app, post(path, "key-of-a", JSON, body)).await;
            assert_eq!(said.status, 400, "{path} {body}");
            let message = said.json()["error"]["message"].to_string();
            assert!(
                accepted.iter().all(|name| message.contains(name)),
                "{message}"
            );
        }
        let said = ask(&world.app, post(path, "key-of-a", "text/plain", "hello")).await;
        assert_eq!(said.status, 415);
        let said = ask(&world.app, post(path, "key-of-a", PROTOBUF, "\u{7f}")).await;
        assert_eq!(
            (said.status.as_u16(), &said.body[..2]),
            (400, &b"\x08\x03"[..])
        );
    }
}

#[tokio::test]
async fn lists_go_on_page_by_page_and_know_their_parameters() {
    let world = world().await;
    let records: Vec<_> = (1..=7)
        .map(|n| {
            format!(
                r#"{{"timeUnixNano":"{n}000000000","severityNumber":{}}}"#,
                n * 3
            )
        })
        .collect();
    let sent = post("/v1/logs", "key-of-a", JSON, logs(&records.join(",")));
    assert_eq!(ask(&world.app, sent).await.status, 200);
    let mut path = "/v1/projects/1/logs?limit=3".to_owned();
    let mut found = Vec::new();
    loop {
        let page = list(&world, &path).await;
        let rows = page["data"].as_array().unwrap();
        found.extend(
            rows.iter()
                .map(|row| row["start"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        // A cursor is of its list alone.
        let other = format!("/v1/projects/1/points?limit=3&cursor={cursor}");
        assert_eq!(ask(&world.app, get(&other, "key-of-a")).await.status, 400);
        path = format!("/v1/projects/1/logs?limit=3&cursor={cursor}");
    }
    let expected: Vec<_> = (1..=7)
        .rev()
        .map(|n| format!("1970-01-01T00:00:0{n}.000000000Z"))
        .collect();
    assert_eq!(found, expected);
    let some = "/v1/projects/1/logs?q=level:error&from=1970-01-01T00:00:06Z&to=1970-01-01T00:00:07Z&explain=true";
    let page = list(&world, some).await;
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    assert!(page["explain"]["rows_visited"].is_number());
    assert_eq!(page["data"][0]["trace_id"], Value::Null);
    for (bad, field) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("from=soon", "from"),
        ("sort=-", "sort"),
        ("color=a", "color"),
        ("q=a:(", "q"),
        ("cursor=AAAA", "cursor"),
    ] {
        let said = ask(
            &world.app,
            get(&format!("/v1/projects/1/logs?{bad}"), "key-of-a"),
        )
        .await;
        assert_eq!(
            (said.status.as_u16(), &said.json()["error"]["field"]),
            (400, &Value::from(field)),
            "{bad}"
        );
    }
    let limit = list(&world, "/v1/projects/1/logs?limit=1000").await;
    assert_eq!(limit["data"].as_array().unwrap().len(), 7);
}

async fn grpc_call(
    world: &World,
    key: &str,
    encoding: Option<&str>,
    message: &[u8],
) -> (String, Vec<u8>) {
    use http_body_util::BodyExt;
    let compressed = u8::from(encoding.is_some());
    let len = u32::try_from(message.len()).unwrap();
    let mut body = vec![compressed];
    body.extend((0..4).rev().map(|n| len.to_le_bytes()[n]));
    body.extend(message);
    let mut request = Request::post("/opentelemetry.proto.collector.logs.v1.LogsService/Export")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-api-key", key);
    if let Some(encoding) = encoding {
        request = request.header("grpc-encoding", encoding);
    }
    let router = grpc::build(Arc::clone(&world.app));
    let response = router
        .oneshot(request.body(Body::from(body)).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    let body = response.into_body().collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or(headers);
    let status = trailers["grpc-status"].to_str().unwrap().to_owned();
    (status, body.to_bytes().to_vec())
}

#[tokio::test]
async fn calls_are_the_routes_under_another_name() {
    let world = world().await;
    // resource_logs { scope_logs { log_records { time_unix_nano = 7 } } }
    let message = b"\x0a\x0d\x12\x0b\x12\x09\x09\x07\0\0\0\0\0\0\0";
    let empty = b"\0\0\0\0\0".to_vec();
    assert_eq!(
        grpc_call(&world, "key-of-a", None, message).await,
        ("0".into(), empty.clone())
    );
    let packed = zstd::encode_all(&message[..], 1).unwrap();
    assert_eq!(
        grpc_call(&world, "key-of-a", Some("zstd"), &packed).await,
        ("0".into(), empty)
    );
    let found = list(&world, "/v1/projects/1/logs").await;
    assert_eq!(
        found["data"].as_array().unwrap().len(),
        1,
        "the same bytes are the same line"
    );
    for (key, encoding, message, status) in [
        ("key-of-nobody", None, &message[..], "16"),
        ("key-of-a", None, b"\xff", "3"),
        ("key-of-a", Some("gzip"), b"not gzip", "3"),
        ("key-of-a", Some("snappy"), b"x", "12"),
        ("key-of-a", Some("identity"), b"x", "13"),
    ] {
        let said = grpc_call(&world, key, encoding, message).await;
        assert_eq!(said, (status.to_owned(), vec![]), "{encoding:?}");
    }
}
