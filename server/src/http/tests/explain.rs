//! `explain` on every route that reads rows, walked from the document.

use super::*;
use serde_json::json;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const OTHER: &str = "1af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// Routes with the right to read that look at no rows before they answer.
const FREE: [&str; 10] = [
    "get /v1/projects/{project}/views",
    "post /v1/projects/{project}/views",
    "get /v1/projects/{project}/views/{view}",
    "put /v1/projects/{project}/views/{view}",
    "delete /v1/projects/{project}/views/{view}",
    "delete /v1/projects/{project}/traces/{trace}/comments/{comment}",
    "get /v1/projects/{project}/tail",
    "get /v1/logs/stream",
    "get /v1/agents/{agent}/logs/stream",
    "get /tempo/api/echo",
];

/// What a route needs beside its path.
const PARAMETERS: [(&str, &str); 10] = [
    ("/v1/projects/{project}/values", "key=name"),
    ("/v1/projects/{project}/facets", "keys=name"),
    ("/v1/projects/{project}/reviews", "score=good"),
    ("/v1/agents/metrics", "metric=tokens"),
    ("/v1/agents/{agent}/metrics", "metric=tokens"),
    ("/tempo/api/metrics/query_range", RATE),
    ("/tempo/api/metrics/query", RATE),
    ("/jaeger/api/operations", "service=shop"),
    ("/api/public/metrics", FIGURES),
    ("/api/public/v2/metrics", FIGURES),
];
const RATE: &str = "q=%7B%7D%20%7C%20rate()&start=1767225600&end=1767229200";
const FIGURES: &str = "query=%7B%22view%22%3A%22observations%22%2C%22metrics%22%3A%5B%7B%22measure%22%3A%22count%22%2C\
    %22aggregation%22%3A%22count%22%7D%5D%2C%22fromTimestamp%22%3A%222026-01-01T00%3A00%3A00Z%22%2C\
    %22toTimestamp%22%3A%222026-01-02T00%3A00%3A00Z%22%7D";

async fn sent(world: &World, path: &str, body: Value) -> Value {
    let said = ask(&world.app, post(path, "key-of-a", JSON, body.to_string())).await;
    let text = String::from_utf8_lossy(&said.body).into_owned();
    assert!(said.status.is_success(), "{path}: {text}");
    said.json()
}

fn attributes(of: &[(&str, &str)]) -> Vec<Value> {
    let one =
        |(key, value): &(&str, &str)| json!({ "key": key, "value": { "stringValue": value } });
    of.iter().map(one).collect()
}

/// One of each thing that a route may name, and its id by the name of the parameter.
async fn filled(world: &World) -> Vec<(&'static str, String)> {
    let about = attributes(&[
        ("user.id", "user-1"),
        ("session.id", "thread-1"),
        ("theazo.agent.id", "agent-1"),
    ]);
    let time = "1767225600000000000";
    let resource = json!({ "attributes": attributes(&[("service.name", "shop")]) });
    let span = |trace: &str| {
        json!({ "traceId": trace, "spanId": SPAN, "name": "step", "attributes": about,
            "startTimeUnixNano": time, "endTimeUnixNano": "1767225600000000009" })
    };
    let spans = json!([{ "spans": [span(TRACE), span(OTHER)] }]);
    let traces = json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": spans }] });
    sent(world, "/v1/traces", traces).await;
    let line = json!({ "timeUnixNano": time, "body": { "stringValue": "hello" }, "traceId": TRACE,
        "spanId": SPAN, "attributes": about });
    let lines = json!([{ "logRecords": [line] }]);
    sent(
        world,
        "/v1/logs",
        json!({ "resourceLogs": [{ "scopeLogs": lines }] }),
    )
    .await;
    let point = json!({ "name": "m", "gauge": { "dataPoints": [{ "timeUnixNano": time, "asDouble": 1.5 }] } });
    let points = json!([{ "metrics": [point] }]);
    sent(
        world,
        "/v1/metrics",
        json!({ "resourceMetrics": [{ "scopeMetrics": points }] }),
    )
    .await;
    let score = json!({ "id": "score-1", "traceId": TRACE, "name": "good", "value": 0.5 });
    sent(world, "/api/public/scores", score).await;
    let arms = json!({ "id": "e", "name": "e", "arms": [{ "id": "a", "traffic_pct": 100 }] });
    sent(world, "/v1/experiments", arms).await;
    let blob = sent(
        world,
        &format!("/v1/projects/1/traces/{TRACE}/blobs"),
        json!("bytes"),
    )
    .await;
    let listed = async |of: &str| {
        let path = format!("/v1/projects/1/{of}");
        ask(&world.app, get(&path, "key-of-a")).await.json()
    };
    let (logs, points) = (listed("logs").await, listed("points").await);
    let id = |of: &Value| of["id"].as_str().unwrap().to_owned();
    vec![
        ("project", "1".to_owned()),
        ("trace", TRACE.to_owned()),
        ("id", TRACE.to_owned()),
        ("other", OTHER.to_owned()),
        ("span", SPAN.to_owned()),
        ("observation", SPAN.to_owned()),
        ("log", id(&logs["data"][0])),
        ("point", id(&points["data"][0])),
        ("blob", id(&blob)),
        ("media", id(&blob)),
        ("score", "score-1".to_owned()),
        ("experiment", "e".to_owned()),
        ("agent", "agent-1".to_owned()),
        ("user", "user-1".to_owned()),
        ("thread", "thread-1".to_owned()),
        ("session", "thread-1".to_owned()),
        ("service", "shop".to_owned()),
        ("tag", "name".to_owned()),
    ]
}

/// A request to a route with what it needs, and with this beside it.
fn request(method: &str, path: &str, ids: &[(&str, String)], explain: &str) -> Request<Body> {
    let found = PARAMETERS.iter().find(|(of, _)| *of == path);
    let mut address = path.to_owned();
    for (name, id) in ids {
        address = address.replace(&format!("{{{name}}}"), id);
    }
    let address = format!(
        "{address}?{}{explain}",
        found.map_or("", |(_, needed)| needed)
    );
    match method {
        "get" => get(&address, "key-of-a"),
        _ if path.ends_with("/compare") => post(&address, "key-of-a", JSON, r#"{"a":{},"b":{}}"#),
        _ if path.ends_with("/comments") => post(&address, "key-of-a", JSON, r#"{"text":"x"}"#),
        _ => post(&address, "key-of-a", JSON, "{}"),
    }
}

fn takes_explain(operation: &Value) -> bool {
    let parameters = operation["parameters"].as_array().unwrap().iter();
    parameters
        .filter(|one| one["in"] == "query")
        .any(|one| one["name"] == "explain")
}

/// What the header says that was looked at, in all.
fn told(said: &Said) -> Option<u64> {
    let text = said.headers.get("obsrv-explain")?.to_str().unwrap();
    let cost: Value = serde_json::from_str(text).unwrap();
    let numbers = cost.as_object().unwrap().values();
    Some(numbers.filter_map(Value::as_u64).sum())
}

#[tokio::test]
async fn every_route_that_reads_rows_tells_its_cost() {
    let world = world().await;
    let ids = filled(&world).await;
    let document = ask(&world.app, get("/openapi.json", "")).await.json();
    let (mut asked, mut free) = (0, Vec::new());
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let name = format!("{method} {path}");
            if operation["x-obsrv-permission"] != "trace.read" {
                assert!(!takes_explain(operation), "{name}");
            } else if FREE.contains(&name.as_str()) {
                assert!(!takes_explain(operation), "{name}");
                free.push(name);
            } else {
                assert!(takes_explain(operation), "{name} takes no `explain`");
                costs(&world, (method, path), &ids).await;
                asked += 1;
            }
        }
    }
    assert_eq!(free.len(), FREE.len());
    assert!(asked > 60, "only {asked} routes read rows");
}

/// A route tells what it cost if it is asked to, and answers as without otherwise.
async fn costs(world: &World, (method, path): (&str, &str), ids: &[(&str, String)]) {
    let say = |explain| ask(&world.app, request(method, path, ids, explain));
    let (plain, explained) = (say("").await, say("&explain=true").await);
    let text = String::from_utf8_lossy(&explained.body).into_owned();
    assert!(
        plain.status.is_success() && explained.status.is_success(),
        "{path}: {text}"
    );
    assert_eq!(told(&plain), None, "{path}");
    assert!(told(&explained) > Some(0), "{path}: {:?}", told(&explained));
    let refused = say("&explain=perhaps").await;
    assert_eq!(refused.status, 400, "{path}");
    // What clients of other products read has the shape that they know.
    if ["/tempo/", "/jaeger/"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
    {
        assert_eq!(plain.body, explained.body, "{path}");
    }
}
