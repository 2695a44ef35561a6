//! Langfuse's read routes: their limits and what they refuse. What they answer is compared with what the
//! published packages sent in `tests/clients/python`.

use super::*;
use crate::http::read::encoded;
use crate::limits::{
    LANGFUSE_DELETED_MAX, LANGFUSE_IDS_MAX, LANGFUSE_OBSERVATIONS_MAX, LANGFUSE_PAGE_ROWS_MAX,
    LANGFUSE_ROWS_BEFORE_MAX, PAGE_ROWS_MAX,
};

async fn public(world: &World, rest: &str) -> (u16, Value) {
    let path = format!("/api/public{rest}");
    let said = ask(&world.app, get(&path, "key-of-a")).await;
    (said.status.as_u16(), said.json())
}

#[tokio::test]
async fn pages_are_bounded() {
    let world = world().await;
    let before = LANGFUSE_ROWS_BEFORE_MAX / LANGFUSE_PAGE_ROWS_MAX;
    for list in ["/traces", "/observations", "/scores", "/v2/scores"] {
        let most = format!("{list}?limit={LANGFUSE_PAGE_ROWS_MAX}&page={}", before + 1);
        let (status, said) = public(&world, &most).await;
        assert_eq!((status, &said["data"]), (200, &json!([])), "{list}: {said}");
        for over in [
            format!("limit={}", LANGFUSE_PAGE_ROWS_MAX + 1),
            format!("limit={LANGFUSE_PAGE_ROWS_MAX}&page={}", before + 2),
            "limit=0".to_owned(),
            "page=0".to_owned(),
        ] {
            let (status, said) = public(&world, &format!("{list}?{over}")).await;
            assert_eq!(status, 400, "{list}?{over}: {said}");
        }
    }
    for (list, most) in [
        ("/v2/observations", PAGE_ROWS_MAX),
        ("/v3/scores", LANGFUSE_PAGE_ROWS_MAX),
    ] {
        let of = |limit: usize| format!("{list}?limit={limit}");
        assert_eq!(public(&world, &of(most)).await.0, 200);
        assert_eq!(public(&world, &of(most + 1)).await.0, 400);
    }
}

#[tokio::test]
async fn what_is_not_understood_is_refused_by_name() {
    let world = world().await;
    for (rest, field) in [
        ("/traces?colour=red", "colour"),
        ("/traces?orderBy=start", "orderBy"),
        ("/traces?fields=core,colour", "fields"),
        ("/traces?fromTimestamp=soon", "fromTimestamp"),
        ("/observations?type=ROCKET", "type"),
        ("/v2/observations?fields=colour", "fields"),
        ("/v2/observations?parseIoAsJson=true", "parseIoAsJson"),
        ("/v2/observations?cursor=x", "cursor"),
        ("/v2/observations?filter=%7B%7D", "filter"),
        (
            "/v2/observations?filter=%5B%7B%22column%22%3A%22colour%22%2C%22operator%22%3A%22%3D%22%7D%5D",
            "filter[0]",
        ),
        ("/v3/scores?value=1", "value"),
        ("/v3/scores?valueMin=1&dataType=BOOLEAN", "valueMin"),
        ("/v3/scores?observationId=o", "observationId"),
        ("/v3/scores?traceId=t&sessionId=s", "sessionId"),
        ("/v3/scores?dataType=COLOUR", "dataType"),
        ("/scores?source=RUMOUR", "source"),
        ("/scores?value=1&operator=~", "operator"),
    ] {
        let (status, said) = public(&world, rest).await;
        assert_eq!(
            (status, said["error"]["field"].as_str()),
            (400, Some(field)),
            "{rest}: {said}"
        );
    }
    for rest in [
        "/traces/none",
        "/observations/none",
        "/sessions/none",
        "/scores/none",
    ] {
        assert_eq!(public(&world, rest).await.0, 404, "{rest}");
    }
}

#[tokio::test]
async fn large_traces_are_told_as_far_as_the_limits_go() {
    let world = world().await;
    let one = format!("/traces/{:032x}", 1);
    plain(&world, 1, 0, LANGFUSE_OBSERVATIONS_MAX).await;
    let (status, said) = public(&world, &one).await;
    let count = |said: &Value| said["observations"].as_array().map(Vec::len);
    assert_eq!(
        (status, count(&said)),
        (200, Some(LANGFUSE_OBSERVATIONS_MAX))
    );
    // Ids count over all traces of the page.
    let rest = LANGFUSE_IDS_MAX - LANGFUSE_OBSERVATIONS_MAX;
    plain(&world, 2, 0, rest).await;
    assert_eq!(public(&world, "/traces").await.0, 200);
    plain(&world, 2, rest, rest + 1).await;
    assert_eq!(public(&world, "/traces").await.0, 422);
    assert_eq!(public(&world, "/traces?fields=core").await.0, 200);
    assert_eq!(public(&world, "/traces?limit=1").await.0, 200);
    let most = LANGFUSE_OBSERVATIONS_MAX;
    plain(&world, 1, most, most + 1).await;
    assert_eq!(public(&world, &one).await.0, 422);
    let (status, said) = public(&world, &format!("{one}?fields=core,scores")).await;
    assert_eq!((status, count(&said)), (200, Some(0)));
}

#[tokio::test]
async fn a_list_of_traces_to_delete_is_bounded() {
    let world = world().await;
    for (count, status) in [(LANGFUSE_DELETED_MAX, 200), (LANGFUSE_DELETED_MAX + 1, 400)] {
        let ids: Vec<String> = (0..count).map(|n| format!("t-{n}")).collect();
        let request = Request::delete("/api/public/traces")
            .header("x-api-key", "key-of-a")
            .header("content-type", JSON)
            .body(Body::from(json!({ "traceIds": ids }).to_string()))
            .unwrap();
        assert_eq!(ask(&world.app, request).await.status, status);
    }
}

/// An agent that says again what the steps below it cost: shown, found by what is shown, and in no sum.
#[tokio::test]
async fn a_cost_that_is_said_again_is_found_and_not_added() {
    let world = world().await;
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let whole = |key: &str, n: &str| json!({ "key": key, "value": { "intValue": n } });
    let span = |id: u64, name: &str, parent: &str, attributes: Value| {
        json!({ "traceId": format!("{:032x}", 1), "spanId": format!("{id:016x}"), "parentSpanId": parent,
            "name": name, "startTimeUnixNano": BASE_NS.to_string(),
            "endTimeUnixNano": (BASE_NS + 1).to_string(), "attributes": attributes })
    };
    let stated = json!({ "key": "gen_ai.usage.cost", "value": { "doubleValue": 9.0 } });
    let agent = json!([text("openinference.span.kind", "AGENT"), stated]);
    let call = json!([
        text("openinference.span.kind", "LLM"),
        text("gen_ai.request.model", "gpt-4o"),
        whole("gen_ai.usage.input_tokens", "400000"),
    ]);
    let spans = [
        span(1, "agent", "", agent),
        span(2, "call", "0000000000000001", call),
    ];
    send(&world, &spans).await;
    let dearer = async |than: f64| {
        let condition =
            json!([{ "column": "totalCost", "operator": ">", "value": than, "type": "number" }]);
        let filter = encoded(&condition.to_string());
        let (status, said) = public(
            &world,
            &format!("/v2/observations?fields=usage&filter={filter}"),
        )
        .await;
        assert_eq!(status, 200, "{said}");
        let costs = said["data"].as_array().unwrap().iter();
        let mut costs: Vec<f64> = costs
            .map(|one| one["totalCost"].as_f64().unwrap())
            .collect();
        costs.sort_by(f64::total_cmp);
        costs
    };
    assert_eq!(dearer(0.5).await, [1.0, 9.0]);
    assert_eq!(dearer(8.0).await, [9.0]);
    let (_, days) = public(&world, "/metrics/daily").await;
    assert_eq!(days["data"][0]["totalCost"], 1.0);
    let (_, trace) = public(&world, &format!("/traces/{:032x}", 1)).await;
    assert_eq!(trace["totalCost"], 1.0);
}
