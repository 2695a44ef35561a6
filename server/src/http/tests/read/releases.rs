//! Since when which version is there, since when it fails, and what began when.

use super::*;

fn span(n: u64, at: u64, version: &str, error: Option<&str>) -> Value {
    let start = 1_767_225_600_000_000_000 + at * 1_000_000_000;
    let mut span = json!({
        "traceId": format!("{n:032x}"), "spanId": format!("{n:016x}"), "name": "step",
        "startTimeUnixNano": start.to_string(), "endTimeUnixNano": (start + 1).to_string(),
    });
    if let Some(error) = error {
        span["status"] = json!({ "code": 2, "message": error });
    }
    json!({
        "resource": { "attributes": [
            { "key": "service.name", "value": { "stringValue": "shop" } },
            { "key": "service.version", "value": { "stringValue": version } },
        ] },
        "scopeSpans": [{ "spans": [span] }],
    })
}

async fn world_of_two_versions() -> World {
    let world = world().await;
    let spans = [
        span(1, 10, "1.0", None),
        span(2, 20, "1.0", Some("timeout")),
        span(3, 30, "2.0", None),
        span(4, 40, "2.0", Some("no stock")),
        span(5, 50, "2.0", Some("no stock")),
    ];
    let body = json!({ "resourceSpans": spans });
    let sent = post("/v1/traces", "key-of-a", JSON, body.to_string());
    assert_eq!(ask(&world.app, sent).await.status, 200);
    let log = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[
        {"timeUnixNano":"1767225645000000000","severityNumber":17,"body":{"stringValue":"disk full"}},
        {"timeUnixNano":"1767225646000000000","severityNumber":9,"body":{"stringValue":"fine"}}]}]}]}"#;
    assert_eq!(
        ask(&world.app, post("/v1/logs", "key-of-a", JSON, log))
            .await
            .status,
        200
    );
    world
}

#[tokio::test]
async fn an_error_leads_to_the_version_that_brought_it() {
    let world = world_of_two_versions().await;
    let all = read(&world, "/releases").await;
    let two = &all["data"][0];
    assert_eq!(
        two,
        &json!({
            "service": "shop", "version": "2.0", "key": "version", "rows": 3,
            "errors": 2, "first_seen": "2026-01-01T00:00:30Z", "last_seen": "2026-01-01T00:00:50Z",
            "first_error": "2026-01-01T00:00:40Z",
        })
    );
    assert_eq!(
        (&all["data"][1]["version"], &all["more"]),
        (&json!("1.0"), &json!(false))
    );
    let of_error = read(&world, "/releases?q=error_message:%22no+stock%22").await;
    assert_eq!(of_error["data"].as_array().unwrap().len(), 1);
    assert_eq!(of_error["data"][0]["version"], "2.0");
    let one = read(&world, "/releases?limit=1").await;
    assert_eq!(
        (one["data"].as_array().unwrap().len(), &one["more"]),
        (1, &json!(true))
    );
    for rest in [
        "limit=0",
        "limit=1001",
        "over=rows",
        "q=a:(",
        "from=x",
        "sort=a",
    ] {
        assert_eq!(
            refused(&world, &format!("/releases?{rest}")).await.0,
            400,
            "{rest}"
        );
    }
}

#[tokio::test]
async fn a_timeline_tells_what_began_in_order() {
    let world = world_of_two_versions().await;
    let told = async |rest: &str| {
        let said = read(&world, &format!("/timeline{rest}")).await;
        let began = said["data"].as_array().unwrap().iter().map(|began| {
            let at = began["at"].as_str().unwrap();
            let what = began["what"].as_str().unwrap();
            format!("{} {} {what}", &at[17..19], began["kind"].as_str().unwrap())
        });
        began.collect::<Vec<_>>()
    };
    assert_eq!(
        told("").await,
        [
            "10 release 1.0",
            "20 error timeout",
            "30 release 2.0",
            "40 error no stock",
            "45 log disk full"
        ]
    );
    assert_eq!(
        told("?from=2026-01-01T00:00:25Z&to=2026-01-01T00:00:45Z").await,
        ["30 release 2.0", "40 error no stock"]
    );
    assert_eq!(refused(&world, "/timeline?limit=1001").await.0, 400);
}
