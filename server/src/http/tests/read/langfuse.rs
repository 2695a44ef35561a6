//! Langfuse's read routes: their limits and what they refuse. What they answer is compared with what the
//! published packages sent in `tests/clients/python`.

use super::*;
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
