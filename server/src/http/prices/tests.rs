//! Prices of an organization, and lists that show them, over a real engine.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::http::tests::{JSON, World, ask, get, post, world};
use crate::http::{auth, build};
use crate::limits::{PRICES_BYTES_MAX, PRICES_MODELS_MAX, SWEEP_PAGE_ROWS};

const PRICES: &str = "/v1/orgs/1/prices";
const BASE: i64 = 1_795_000_000_000_000_000;

/// Asks as whoever has the admin socket.
async fn operator(world: &World, method: Method, path: &str, body: String) -> (u16, Value) {
    let router = auth::as_operator(build(Arc::clone(&world.app)));
    let request = Request::builder().method(method).uri(path);
    let response = router
        .oneshot(request.body(Body::from(body)).unwrap())
        .await
        .unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn put(world: &World, body: &Value) -> (u16, Value) {
    operator(world, Method::PUT, PRICES, body.to_string()).await
}

async fn shown(world: &World) -> Value {
    operator(world, Method::GET, PRICES, String::new()).await.1
}

async fn read(world: &World, rest: &str) -> Value {
    let path = format!("/v1/projects/1{rest}");
    let said = ask(&world.app, get(&path, "key-of-a")).await;
    assert_eq!(said.status, 200, "{rest}: {:?}", said.json());
    said.json()
}

fn entry(dollars: f64, start: Option<&str>) -> Value {
    let tier = json!({ "name": "Ours", "isDefault": true, "prices": { "input": dollars } });
    json!({ "modelName": "own", "matchPattern": "our own", "startDate": start, "pricingTiers": [tier] })
}

/// A span of a trace: its number, kind, model, tokens that went in, and what it says that it cost.
fn span(trace: u64, id: u64, said: (&str, &str, i64, Option<f64>)) -> Value {
    let (kind, model, tokens, cost) = said;
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let mut attributes = vec![
        text("openinference.span.kind", kind),
        text("gen_ai.request.model", model),
    ];
    if tokens > 0 {
        let n = json!({ "intValue": tokens.to_string() });
        attributes.push(json!({ "key": "gen_ai.usage.input_tokens", "value": n }));
    }
    if let Some(cost) = cost {
        attributes.push(json!({ "key": "gen_ai.usage.cost", "value": { "doubleValue": cost } }));
    }
    json!({
        "traceId": format!("{trace:032x}"), "spanId": format!("{id:016x}"), "name": "s",
        "startTimeUnixNano": BASE.to_string(), "endTimeUnixNano": (BASE + 1).to_string(),
        "attributes": attributes,
    })
}

/// Four runs: priced and stated below an agent that says it again; unknown; priced with an unknown step; only the agent says it.
async fn four_runs(world: &World) {
    let spans = [
        span(1, 1, ("AGENT", "gpt-4o", 1_000_000, Some(9.0))),
        span(1, 2, ("LLM", "gpt-4o", 1_000_000, None)),
        span(1, 3, ("LLM", "claude-sonnet-4-5", 5, Some(0.5))),
        span(2, 1, ("LLM", "our own", 8, None)),
        span(3, 1, ("LLM", "gpt-4o", 400_000, None)),
        span(3, 2, ("LLM", "our own", 4, None)),
        span(4, 1, ("AGENT", "", 0, Some(3.0))),
        span(4, 2, ("TOOL", "", 0, None)),
    ];
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] });
    let said = ask(
        &world.app,
        post("/v1/traces", "key-of-a", JSON, body.to_string()),
    )
    .await;
    assert_eq!(said.status, 200);
}

async fn priced_again(world: &World) -> u64 {
    let engine = world.app.core().unwrap().engine();
    crate::price::reprice(engine, world.app.book())
        .await
        .unwrap()
}

/// Costs of the runs by trace, as lists show them.
async fn listed(world: &World) -> Vec<Value> {
    let list = read(world, "/traces").await;
    let mut data = list["data"].as_array().unwrap().clone();
    data.sort_by_key(|run| run["trace_id"].as_str().unwrap().to_owned());
    data.iter().map(|run| run["cost"].clone()).collect()
}

/// What lists show is what `…/cost` says of each.
async fn agrees(world: &World) {
    for (at, cost) in listed(world).await.into_iter().enumerate() {
        let said = read(world, &format!("/traces/{:032x}/cost", at + 1)).await;
        let (a, b) = (said["total"].as_f64(), cost["total"].as_f64());
        assert_eq!(a.is_some(), b.is_some(), "{said}");
        assert!((a.unwrap_or(0.0) - b.unwrap_or(0.0)).abs() < 1e-9, "{said}");
        let unknown = cost["unknown_steps"].as_u64().unwrap_or(0);
        let is_complete = !cost.is_null() && unknown == 0;
        assert_eq!(said["is_complete"], is_complete, "{said}");
    }
}

#[tokio::test]
async fn lists_filters_sums_and_facets_have_the_cost_that_the_trace_has() {
    let world = world().await;
    four_runs(&world).await;
    let expected = [
        json!({ "total": 3.0, "source": "mixed" }),
        Value::Null,
        json!({ "total": 1.0, "source": "priced", "unknown_steps": 1 }),
        json!({ "total": 3.0, "source": "stated" }),
    ];
    assert_eq!(listed(&world).await, expected);
    agrees(&world).await;
    let found = async |q: &str| {
        let list = read(&world, &format!("/traces?total=true&q={q}")).await;
        list["total"].as_u64().unwrap()
    };
    assert_eq!(found("cost%3E2").await, 2);
    assert_eq!(found("cost_source:unknown").await, 1);
    assert_eq!(found("-has:cost").await, 1);
    let sum = async |over: &str| {
        let asked = json!({ "over": over, "measures": [{ "fn": "sum", "of": "cost" }] });
        let request = post(
            "/v1/projects/1/aggregate",
            "key-of-a",
            JSON,
            asked.to_string(),
        );
        let said = ask(&world.app, request).await.json();
        said["groups"][0]["values"][0]
            .as_f64()
            .unwrap_or_else(|| panic!("{said}"))
    };
    assert!((sum("traces").await - 7.0).abs() < 1e-9);
    // No agent is added to its steps; of a run where the agent alone says it, no step costs anything.
    assert!((sum("spans").await - 4.0).abs() < 1e-9);
    let facets = read(&world, "/facets?over=spans&keys=cost_source").await;
    let values = facets["facets"][0]["values"].as_array().unwrap().clone();
    let mut counts: Vec<(String, u64)> = values
        .iter()
        .map(|v| {
            (
                v["value"].as_str().unwrap().to_owned(),
                v["count"].as_u64().unwrap(),
            )
        })
        .collect();
    counts.sort();
    let expected = [("priced", 2), ("roll_up", 2), ("stated", 1), ("unknown", 2)];
    assert_eq!(counts, expected.map(|(name, n)| (name.to_owned(), n)));
}

#[tokio::test]
async fn an_organizations_prices_come_first_and_reach_what_is_stored() {
    let world = world().await;
    four_runs(&world).await;
    priced_again(&world).await;
    let now = shown(&world).await;
    assert_eq!(
        (&now["revision"], &now["table"], &now["is_applied"]),
        (&0.into(), &json!([]), &true.into())
    );
    let change = |revision: u64, table: Value| json!({ "revision": revision, "table": table });
    let own = json!([entry(0.25, None)]);
    assert_eq!(put(&world, &change(1, own.clone())).await.0, 409);
    let (status, said) = put(&world, &change(0, own.clone())).await;
    assert_eq!(
        (
            status,
            &said["revision"],
            &said["table"],
            &said["is_applied"]
        ),
        (200, &1.into(), &own, &false.into())
    );
    assert!(said["receipt"].is_object(), "{said}");
    let before: Vec<u64> = lsns(&world);
    assert_eq!(priced_again(&world).await, 2);
    assert_eq!(priced_again(&world).await, 0, "nothing is left");
    assert_eq!(lsns(&world), before, "nobody said anything of the runs");
    let costs = listed(&world).await;
    assert_eq!(costs[1], json!({ "total": 2.0, "source": "priced" }));
    assert_eq!(costs[2], json!({ "total": 2.0, "source": "priced" }));
    agrees(&world).await;
    let now = shown(&world).await;
    assert_eq!(now["is_applied"], true);
    // Dated: from a time behind the call on it costs something else, and the call does not.
    let later = json!([entry(0.25, None), entry(9.0, Some("2099-01-01T00:00:00Z"))]);
    assert_eq!(put(&world, &change(1, later)).await.0, 200);
    assert_eq!(priced_again(&world).await, 0);
    // Taken away, nobody knows again.
    assert_eq!(put(&world, &change(2, json!([]))).await.0, 200);
    assert_eq!(priced_again(&world).await, 2);
    assert_eq!(listed(&world).await[1], Value::Null);
    agrees(&world).await;
}

#[tokio::test]
async fn more_runs_than_a_page_are_priced_again() {
    let world = world().await;
    let count = u64::try_from(SWEEP_PAGE_ROWS).unwrap() + 1;
    let spans: Vec<Value> = (1..=count)
        .map(|n| span(n, 1, ("LLM", "our own", 8, None)))
        .collect();
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] });
    let said = ask(
        &world.app,
        post("/v1/traces", "key-of-a", JSON, body.to_string()),
    )
    .await;
    assert_eq!(said.status, 200);
    assert_eq!(priced_again(&world).await, 0);
    let change = json!({ "revision": 0, "table": [entry(0.25, None)] });
    assert_eq!(put(&world, &change).await.0, 200);
    assert_eq!(priced_again(&world).await, count);
    let list = read(&world, "/traces?total=true&q=cost:2").await;
    assert_eq!(list["total"], count);
}

/// What was stored while other prices held has those, so that it is not enough for prices to be the same as before.
#[tokio::test]
async fn prices_that_come_back_are_other_ones() {
    let world = world().await;
    let change = |revision: u64, table: Value| json!({ "revision": revision, "table": table });
    let own = json!([entry(0.25, None)]);
    assert_eq!(put(&world, &change(0, own.clone())).await.0, 200);
    assert_eq!(priced_again(&world).await, 0);
    assert_eq!(put(&world, &change(1, json!([]))).await.0, 200);
    four_runs(&world).await;
    assert_eq!(put(&world, &change(2, own)).await.0, 200);
    assert_eq!(shown(&world).await["is_applied"], false);
    assert_eq!(priced_again(&world).await, 2);
    assert_eq!(listed(&world).await[1]["total"], 2.0);
    // The same over a restart: what holds is found again, what does not is told.
    let book = world.app.book();
    let applied = book.applied();
    assert!(book.restore_applied(&applied));
    let other: Vec<_> = applied.iter().map(|(p, mark)| (*p, mark + 1)).collect();
    assert!(!book.restore_applied(&other));
    assert_eq!(shown(&world).await["is_applied"], true);
}

/// Anthropic's client tells of its own call below whoever instruments it: once if both do, and if it does alone.
#[tokio::test]
async fn a_call_that_two_tell_of_costs_once() {
    let world = world().await;
    let call = |trace, id| span(trace, id, ("LLM", "gpt-4o", 400_000, None));
    let scopes = json!([
        { "scope": { "name": "openinference.instrumentation.anthropic" }, "spans": [call(1, 1)] },
        { "scope": { "name": "com.anthropic.sdk.messages" }, "spans": [call(1, 2), call(2, 1),
            span(3, 1, ("LLM", "our own", 4, None))] },
    ]);
    let body = json!({ "resourceSpans": [{ "scopeSpans": scopes }] });
    let request = post("/v1/traces", "key-of-a", JSON, body.to_string());
    assert_eq!(ask(&world.app, request).await.status, 200);
    let once = json!({ "total": 1.0, "source": "priced" });
    assert_eq!(listed(&world).await, [once.clone(), once, Value::Null]);
    agrees(&world).await;
    // Of the third nobody knows what it costs until somebody says.
    let unknown = read(&world, "/traces?total=true&q=cost_source:unknown").await;
    assert_eq!(unknown["total"], 1);
    let change = json!({ "revision": 0, "table": [entry(0.25, None)] });
    assert_eq!(put(&world, &change).await.0, 200);
    assert_eq!(priced_again(&world).await, 1);
    assert_eq!(
        listed(&world).await[2],
        json!({ "total": 1.0, "source": "priced" })
    );
    agrees(&world).await;
}

/// When each row of the project last came.
fn lsns(world: &World) -> Vec<u64> {
    use obsrv_engine::row::ProjectId;
    let snapshot = world.app.core().unwrap().engine().snapshot();
    let of = |trace: u64| {
        snapshot
            .trace_cores(ProjectId(1), &format!("{trace:032x}"))
            .unwrap()
    };
    let mut all: Vec<_> = (1..=4)
        .flat_map(of)
        .map(|c| (c.trace_id, c.id, c.lsn_last))
        .collect();
    all.sort();
    all.into_iter().map(|(.., lsn)| lsn).collect()
}

#[tokio::test]
async fn tables_that_make_no_sense_are_refused() {
    let world = world().await;
    let change = |table: Value| json!({ "revision": 0, "table": table });
    let bad = json!([{ "modelName": "m", "matchPattern": "(", "pricingTiers": [] }]);
    let (status, said) = put(&world, &change(bad)).await;
    assert_eq!((status, &said["error"]["field"]), (400, &"table".into()));
    assert_eq!(put(&world, &change(json!([{}]))).await.0, 400);
    let small = |n: usize| {
        let model = json!({ "modelName": "m", "matchPattern": "m", "pricingTiers": [] });
        change(json!(vec![model; n]))
    };
    assert_eq!(put(&world, &small(PRICES_MODELS_MAX + 1)).await.0, 413);
    let named = |n: usize| {
        let model = json!({ "modelName": "n".repeat(n), "matchPattern": "m", "pricingTiers": [] });
        change(json!([model]))
    };
    let frame = json!([{ "modelName": "", "matchPattern": "m", "pricingTiers": [] }])
        .to_string()
        .len();
    assert_eq!(
        put(&world, &named(PRICES_BYTES_MAX - frame + 1)).await.0,
        413
    );
    assert_eq!(put(&world, &named(PRICES_BYTES_MAX - frame)).await.0, 200);
    let full = json!({ "revision": 1, "table": small(PRICES_MODELS_MAX)["table"] });
    assert_eq!(put(&world, &full).await.0, 200);
    // As large as fits into a table, and too large once they are compiled.
    for (letters, models, expected) in [(400, 1, 400), (3, PRICES_MODELS_MAX, 413)] {
        let pattern = format!("\\w{{{letters}}}");
        let model = json!({ "modelName": "m", "matchPattern": pattern, "pricingTiers": [] });
        let (status, said) = put(&world, &change(json!(vec![model; models]))).await;
        assert_eq!(
            (status, &said["error"]["field"]),
            (expected, &"table".into())
        );
    }
    let asked = ask(&world.app, get("/v1/orgs/1/prices", "key-of-a")).await;
    assert_eq!(asked.status, 403, "a project's key sees no organization");
}
