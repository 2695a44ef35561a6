//! Conditions on scores wherever a filter over traces or spans is taken, by every protocol that scores.

use super::live::Watching;
use super::*;

fn trace(n: u64) -> String {
    format!("{:032x}", 0xa0 + n)
}

fn span(n: u64) -> String {
    format!("{n:016x}")
}

/// Five traces of two spans each; the first span of a trace has its number.
async fn traces(world: &World) {
    for n in 1..=5 {
        let of = |id: u64, name: &str| {
            json!({
                "traceId": trace(n), "spanId": span(id), "name": name,
                "startTimeUnixNano": (BASE_NS + i64::try_from(n).unwrap()).to_string(),
                "endTimeUnixNano": (BASE_NS + 1_000).to_string(),
            })
        };
        send(world, &[of(n, &format!("run-{n}")), of(10 + n, "step")]).await;
    }
}

async fn score(world: &World, body: Value) -> String {
    let said = question(world, "/scores", body).await;
    assert_eq!(said.status, 201);
    said.json()["id"].as_str().unwrap().to_owned()
}

/// The numbers of the traces that pass.
async fn found(world: &World, over: &str, q: &str) -> Vec<String> {
    let rest = format!(
        "/{over}?sort=start&total=true&explain=true&q={}",
        percent(q)
    );
    let answer = read(world, &rest).await;
    let rows = answer["data"].as_array().unwrap();
    assert_eq!(answer["total"], json!(rows.len()), "{q}");
    let shown = rows
        .iter()
        .map(|row| row["name"].as_str().unwrap().to_owned());
    let mut shown: Vec<_> = shown.collect();
    shown.sort();
    shown
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn runs(numbers: &[u64]) -> Vec<String> {
    numbers.iter().map(|n| format!("run-{n}")).collect()
}

/// Scores of the trace, of a step, in words, as yes or no; twice under one name. Answers the id of the first of trace 3.
async fn scored(world: &World) -> String {
    traces(world).await;
    score(
        world,
        json!({ "trace_id": trace(1), "name": "good", "value": 0.9 }),
    )
    .await;
    score(
        world,
        json!({ "trace_id": trace(2), "span_id": span(2), "name": "good", "value": 0.2 }),
    )
    .await;
    let changed = score(
        world,
        json!({ "trace_id": trace(3), "name": "good", "value": 0.8, "id": "s3" }),
    )
    .await;
    score(
        world,
        json!({ "trace_id": trace(3), "name": "tone of voice", "value": "calm" }),
    )
    .await;
    score(
        world,
        json!({ "trace_id": trace(3), "name": "good", "value": 0.1 }),
    )
    .await;
    score(
        world,
        json!({ "trace_id": trace(4), "name": "passed", "value": true, "user_id": "ann" }),
    )
    .await;
    // An annotation of theta, whose label is its name.
    let annotation = json!({ "label": "good", "score": 1 });
    let path = format!("/v1/traces/{}/annotations", trace(5));
    let said = ask(
        &world.app,
        post(&path, "key-of-a", JSON, annotation.to_string()),
    )
    .await;
    assert!(said.status.is_success(), "{}", said.status);
    changed
}

#[tokio::test]
async fn a_trace_is_found_by_the_scores_of_every_protocol() {
    let world = world().await;
    let changed = scored(&world).await;
    for (q, expected) in [
        ("scores.good>0.5", &[1, 3, 5][..]),
        ("scores.good>0.5 scores.good<0.5", &[3]),
        ("score{name:good value>0.5 value<0.95}", &[1, 3]),
        ("scores.\"tone of voice\":calm", &[3]),
        ("scores.\"tone of voice\":*al*", &[3]),
        ("scores.passed:true", &[4]),
        ("score{user_id:ann}", &[4]),
        ("-has:scores.good", &[4]),
        ("has:scores", &[1, 2, 3, 4, 5]),
        ("{scores.good<0.5}", &[2]),
        ("name:run-1 or scores.good<0.3", &[1, 2, 3]),
    ] {
        assert_eq!(found(&world, "traces", q).await, runs(expected), "{q}");
    }
    assert_eq!(found(&world, "spans", "scores.good<0.5").await, ["run-2"]);
    assert_eq!(found(&world, "spans", "has:scores").await, ["run-2"]);
    assert_eq!(
        found(&world, "spans", "-has:scores name:run-*").await,
        runs(&[1, 3, 4, 5])
    );
    // The newest version counts, and what is deleted is gone.
    score(
        &world,
        json!({ "trace_id": trace(3), "name": "good", "value": 0.3, "id": changed }),
    )
    .await;
    assert_eq!(
        found(&world, "traces", "scores.good>0.5").await,
        runs(&[1, 5])
    );
    let path = "/v1/projects/1/scores?q=name:good%20trace_id:".to_owned() + &trace(1);
    let request = Request::delete(path).header("x-api-key", "key-of-a");
    let said = ask(&world.app, request.body(Body::empty()).unwrap()).await;
    assert_eq!(said.json()["deleted"]["scores"], json!(1));
    assert_eq!(found(&world, "traces", "scores.good>0.5").await, runs(&[5]));
    assert_eq!(found(&world, "traces", "-has:scores").await, runs(&[1]));
}

/// Traces 1 and 3 are good, 2 is not.
async fn some_good(world: &World) {
    traces(world).await;
    for (n, value) in [(1, 0.9), (2, 0.2), (3, 0.9)] {
        score(
            world,
            json!({ "trace_id": trace(n), "name": "good", "value": value }),
        )
        .await;
    }
}

#[tokio::test]
async fn every_question_about_traces_takes_scores() {
    let world = world().await;
    some_good(&world).await;
    let q = percent("scores.good>0.5");
    let by_json = percent(&json!({ "key": "scores.good", "gt": 0.5 }).to_string());
    let one = percent(&json!({ "score": { "and": [{ "key": "name", "eq": "good" }, { "key": "value", "gt": 0.5 }] } }).to_string());
    for filter in [
        format!("q={q}"),
        format!("filter={by_json}"),
        format!("filter={one}"),
    ] {
        let answer = read(&world, &format!("/traces?total=true&explain=true&{filter}")).await;
        assert_eq!(answer["total"], 2, "{filter}");
        let explain = &answer["explain"];
        assert_eq!(explain["scored"], json!(2), "{explain}");
        assert_eq!(explain["score_rows_visited"], json!(3), "{explain}");
    }
    let group = json!({ "group_by": ["name"], "q": "scores.good>0.5", "measures": [
        { "fn": "count" }, { "fn": "count", "where": "scores.good>0.95" },
    ] });
    let answer = question(&world, "/aggregate", group).await.json();
    assert_eq!(answer["groups"].as_array().unwrap().len(), 2, "{answer}");
    let sets = json!({ "a": { "q": "scores.good>0.5" }, "b": { "q": "-has:scores" } });
    let answer = question(&world, "/compare", sets).await.json();
    assert_eq!(
        (&answer["a_rows"], &answer["b_rows"]),
        (&json!(2), &json!(2)),
        "{answer}"
    );
    let answer = question(&world, "/paths", json!({ "q": "scores.good>0.5" }))
        .await
        .json();
    assert_eq!(answer["runs"], 2, "{answer}");
    let exported = ask(
        &world.app,
        get(&format!("/v1/projects/1/export?q={q}"), "key-of-a"),
    )
    .await;
    assert_eq!(String::from_utf8_lossy(&exported.body).lines().count(), 2);
    let queue = read(&world, &format!("/reviews?score=seen&q={q}")).await;
    assert_eq!(queue["data"].as_array().unwrap().len(), 2);
    let path = format!("/v1/projects/1/traces?q={q}");
    let request = Request::delete(path).header("x-api-key", "key-of-a");
    let said = ask(&world.app, request.body(Body::empty()).unwrap())
        .await
        .json();
    assert_eq!(
        (&said["deleted"]["traces"], &said["done"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(found(&world, "traces", "").await, runs(&[2, 4, 5]));
}

#[tokio::test]
async fn a_path_that_reads_as_a_score_is_none_of_the_keys() {
    let world = world().await;
    let run = json!({
        "trace_id": trace(1), "started_at": "2026-01-01T00:00:00Z", "steps": [],
        "scores": { "good": 1, "bad": 2 },
    });
    let said = ask(
        &world.app,
        post("/v1/traces", "key-of-a", JSON, run.to_string()),
    )
    .await;
    assert_eq!(said.status, 201);
    score(
        &world,
        json!({ "trace_id": trace(1), "name": "good", "value": 0.9 }),
    )
    .await;
    let has = percent(&json!({ "path": "scores.bad", "exists": true }).to_string());
    let rows = read(&world, &format!("/traces?total=true&filter={has}")).await;
    assert_eq!(rows["total"], 1, "{rows}");
    let keys = read(&world, "/fields?prefix=scores").await;
    assert_eq!(
        keys["keys"],
        json!([{ "key": "scores.good", "type": "float", "rows": 1, "types": [{ "type": "float", "rows": 1 }] }])
    );
    assert_eq!(keys["more"], false);
}

#[tokio::test]
async fn what_has_no_scores_and_what_does_not_read_is_refused_by_name() {
    let world = world().await;
    let score = |key: &str| percent(&json!({ "key": key, "gt": 0.5 }).to_string());
    for (rest, field, says) in [
        (
            format!("/logs?q={}", percent("scores.a>1")),
            "q",
            "have none",
        ),
        (
            format!("/scores?q={}", percent("score{}")),
            "q",
            "have none",
        ),
        (
            format!("/points?filter={}", score("scores.a")),
            "filter.key",
            "have none",
        ),
        (
            format!("/traces?filter={}", score("scores.")),
            "filter.key",
            "no name",
        ),
        (
            format!("/traces?filter={}", percent(r#"{"score":{"score":{}}}"#)),
            "filter.score.score",
            "another score test",
        ),
        (
            format!(
                "/traces?filter={}",
                percent(r#"{"score":{"key":"scores.a","gt":1}}"#)
            ),
            "filter.score.key",
            "another score test",
        ),
        (
            format!("/traces?q={}", percent("score.good>1")),
            "q",
            "did you mean scores.good",
        ),
        (
            format!("/traces?filter={}", score("score.good")),
            "filter.key",
            "did you mean scores.good",
        ),
    ] {
        let (status, error) = refused(&world, &rest).await;
        assert_eq!(status, 400, "{rest}");
        assert_eq!(error["field"], json!(field), "{error}");
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
    }
    assert_eq!(
        read(&world, "/scores?sort=scores.good").await["data"],
        json!([])
    );
}

#[tokio::test]
async fn a_score_that_comes_later_tells_of_its_trace() {
    let world = world().await;
    traces(&world).await;
    let q = percent("scores.good>0.5");
    let mut traces = Watching::of(&world, &format!("?q={q}"), None).await;
    let mut spans = Watching::of(&world, &format!("?over=spans&q={q}"), None).await;
    let mut without =
        Watching::of(&world, &format!("?q={}", percent("-has:scores.good")), None).await;
    // One that does not pass, one of another name, one that does: of a trace, and of a span.
    score(
        &world,
        json!({ "trace_id": trace(1), "name": "good", "value": 0.1 }),
    )
    .await;
    score(
        &world,
        json!({ "trace_id": trace(2), "name": "bad", "value": 0.9 }),
    )
    .await;
    score(
        &world,
        json!({ "trace_id": trace(3), "name": "good", "value": 0.9, "id": "of-3" }),
    )
    .await;
    let (_, kind, data) = traces.event().await;
    assert_eq!((&*kind, &data["name"]), ("trace", &json!("run-3")));
    let of_span = json!({ "trace_id": trace(4), "span_id": span(4), "name": "good", "value": 0.8 });
    score(&world, of_span).await;
    assert_eq!(traces.event().await.2["name"], "run-4");
    let (_, kind, data) = spans.event().await;
    assert_eq!((&*kind, &data["name"]), ("span", &json!("run-4")));
    // Changed so that it passes no more, and back.
    score(
        &world,
        json!({ "trace_id": trace(3), "name": "good", "value": 0.2, "id": "of-3" }),
    )
    .await;
    score(
        &world,
        json!({ "trace_id": trace(1), "name": "good", "value": 0.7 }),
    )
    .await;
    assert_eq!(traces.event().await.2["name"], "run-1");
    // A run that comes after its score.
    score(
        &world,
        json!({ "trace_id": trace(9), "name": "good", "value": 1 }),
    )
    .await;
    send(
        &world,
        &[json!({
            "traceId": trace(9), "spanId": span(9), "name": "run-9",
            "startTimeUnixNano": BASE_NS.to_string(), "endTimeUnixNano": BASE_NS.to_string(),
        })],
    )
    .await;
    assert_eq!(traces.event().await.2["name"], "run-9");
    // Nobody who asks for traces without the score has heard of one.
    send(
        &world,
        &[json!({
            "traceId": trace(8), "spanId": span(8), "name": "run-8",
            "startTimeUnixNano": BASE_NS.to_string(), "endTimeUnixNano": BASE_NS.to_string(),
        })],
    )
    .await;
    assert_eq!(without.event().await.2["name"], "run-8");
}

#[tokio::test]
async fn scores_are_listed_with_their_values() {
    let world = world().await;
    some_good(&world).await;
    let q = percent("scores.good>0.5");
    let facets = read(&world, &format!("/facets?keys=scores.good,name&q={q}")).await;
    let of = |facet: &Value| {
        let values = facet["values"].as_array().unwrap();
        let shown = values
            .iter()
            .map(|v| (v["value"].clone(), v["count"].as_u64().unwrap()));
        (
            shown.collect::<Vec<_>>(),
            facet["missing"].as_u64().unwrap(),
        )
    };
    assert_eq!(of(&facets["facets"][0]), (vec![(json!(0.9), 2)], 0));
    assert_eq!(of(&facets["facets"][1]).0.len(), 2);
    let all = read(&world, "/facets?keys=name,scores.good").await;
    assert_eq!(
        of(&all["facets"][1]),
        (vec![(json!(0.9), 2), (json!(0.2), 1)], 2)
    );
    let values = read(&world, "/values?key=scores.good").await;
    assert_eq!(
        of(&json!({ "values": values["values"], "missing": 0 }))
            .0
            .len(),
        2
    );
    let none = read(&world, "/values?key=scores.good&over=spans").await;
    assert_eq!(none["values"], json!([]));
    let keys = read(&world, "/fields?prefix=sc").await;
    assert_eq!(
        keys["keys"],
        json!([{ "key": "scores.good", "type": "float", "rows": 3, "types": [{ "type": "float", "rows": 3 }] }])
    );
    // Scores that stand behind what is listed are not read for it.
    let few = |limit| format!("/fields?explain=true&limit={limit}");
    let first = read(&world, &few(1)).await;
    assert_eq!(
        (&first["more"], first["keys"].as_array().unwrap().len()),
        (&json!(true), 1)
    );
    let all = read(&world, &few(1000)).await;
    let visited = |answer: &Value| answer["explain"]["rows_visited"].as_u64().unwrap();
    assert_eq!(visited(&all) - visited(&first), 3);
    assert_eq!(
        read(&world, "/fields?prefix=scores.b").await["keys"],
        json!([])
    );
    assert_eq!(
        read(&world, "/fields?prefix=scores.&over=spans").await["keys"],
        json!([])
    );
}
