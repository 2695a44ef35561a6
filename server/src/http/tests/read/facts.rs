//! Scores of every protocol, each as its client sends it, in every question about scores; and what they make of the
//! runs and spans that they are of.

use super::*;

pub(super) fn trace(n: u64) -> String {
    format!("{:032x}", 0xb0 + n)
}

pub(super) fn span(n: u64) -> String {
    format!("{n:016x}")
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

async fn store(world: &World, path: &str, body: Value) {
    let said = ask(&world.app, post(path, "key-of-a", JSON, body.to_string())).await;
    let text = String::from_utf8_lossy(&said.body).into_owned();
    assert!(said.status.is_success(), "{path}: {} {text}", said.status);
}

/// Six traces with a span each, of which every score but the last two is of one.
pub(super) async fn scored(world: &World) {
    for n in 1..=6 {
        let of = json!({
            "traceId": trace(n), "spanId": span(n), "name": format!("run-{n}"),
            "startTimeUnixNano": (BASE_NS + i64::try_from(n).unwrap()).to_string(),
            "endTimeUnixNano": (BASE_NS + 1_000).to_string(),
        });
        send(world, &[of]).await;
    }
    let langfuse = json!({ "id": "langfuse", "traceId": trace(1), "observationId": span(1), "name": "help",
        "value": 0.9, "dataType": "NUMERIC", "source": "EVAL", "comment": "fine" });
    store(world, "/api/public/scores", langfuse).await;
    let langsmith = json!({ "id": "langsmith", "trace_id": trace(2), "run_id": span(2), "key": "help", "score": 0.25,
        "value": "poor", "comment": "fine", "feedback_source": { "type": "model", "user_id": "bot" } });
    store(world, "/feedback", langsmith).await;
    let yes = json!({ "id": "langsmith-yes", "trace_id": trace(3), "run_id": span(3), "key": "help", "value": true });
    store(world, "/feedback", yes).await;
    let theta = json!({ "label": "help", "score": 0.5, "step_id": span(4), "user_id": "ann", "annotation_type": "manual" });
    store(
        world,
        &format!("/v1/traces/{}/annotations", trace(4)),
        theta,
    )
    .await;
    let own = json!({ "trace_id": trace(5), "name": "help", "value": 0.75, "user_id": "bob", "id": "own" });
    assert_eq!(question(world, "/scores", own).await.status, 201);
    let company = json!({ "runId": trace(6), "score": "thumbs_up", "text": "fine" });
    store(world, "/v1/feedback", company).await;
}

/// The ids of traces of the scores that pass, as numbers.
async fn found(world: &World, rest: &str) -> Vec<u64> {
    let answer = read(world, &format!("/scores?total=true&{rest}")).await;
    let rows = answer["data"].as_array().unwrap();
    assert_eq!(answer["total"], json!(rows.len()), "{rest}");
    let of = |row: &Value| u64::from_str_radix(row["trace_id"].as_str().unwrap(), 16).unwrap();
    rows.iter().map(|row| of(row) - 0xb0).collect()
}

#[tokio::test]
async fn scores_are_asked_for_by_what_every_protocol_says() {
    let world = world().await;
    scored(&world).await;
    for (q, right) in [
        ("name:help value>0.4", &[1, 4, 5][..]),
        ("value:true", &[3, 6]),
        ("value:thumbs_up", &[6]),
        ("value:poor", &[2]),
        ("name:feedback", &[6]),
        ("name:help -has:span_id", &[5]),
        ("user_id:(ann,bob)", &[4, 5]),
        ("user_id:bot", &[2]),
        ("source:(EVAL,model,manual)", &[1, 2, 4]),
        ("source:API", &[5]),
        ("data_type:NUMERIC", &[1]),
        ("comment:fine", &[1, 2, 6]),
        // The place of one protocol, by its own name.
        ("\"score\">0.4", &[1, 4, 5, 6]),
        ("\"value\":true", &[3]),
    ] {
        let mut got = found(&world, &format!("q={}", percent(q))).await;
        got.sort_unstable();
        assert_eq!(got, right, "{q}");
    }
    for n in 1..=4 {
        let q = percent(&format!("span_id:{}", span(n)));
        assert_eq!(found(&world, &format!("q={q}")).await, [n]);
        let filter = percent(&json!({ "key": "span_id", "eq": span(n) }).to_string());
        assert_eq!(found(&world, &format!("filter={filter}")).await, [n]);
    }
    let filter = percent(&json!({ "key": "value", "ge": 0.5, "lt": 1 }).to_string());
    assert_eq!(
        found(&world, &format!("filter={filter}&sort=value")).await,
        [4, 5, 1]
    );
    // Yes and no come before numbers.
    assert_eq!(found(&world, "sort=value").await, [3, 2, 4, 5, 1, 6]);
    assert_eq!(found(&world, "sort=-value").await, [6, 1, 5, 4, 2, 3]);
    let named = found(&world, "sort=-name").await;
    assert_eq!((named.len(), named[5]), (6, 6));
    let shown = read(&world, &format!("/scores?fields=name,value,span_id,user_id,source,comment,data_type,dialect&q=trace_id:{}", trace(2))).await;
    assert_eq!(
        shown["data"][0],
        json!({ "id": "langsmith", "trace_id": trace(2), "name": "help", "value": 0.25, "span_id": span(2), "user_id": "bot", "source": "model",
            "comment": "fine", "data_type": null, "dialect": "langsmith" })
    );
}

#[tokio::test]
async fn scores_add_up_by_what_every_protocol_says() {
    let world = world().await;
    scored(&world).await;
    let body = json!({ "over": "scores", "group_by": ["name"], "sort": "keys", "measures": [
        { "fn": "avg", "of": "value" }, { "fn": "max", "of": "value" }, { "fn": "count", "where": "value>=0.5" },
        { "fn": "distinct", "of": "span_id" },
    ] });
    let answer = question(&world, "/aggregate", body).await.json();
    let groups = answer["groups"].as_array().unwrap();
    let of = |at: usize| {
        (
            &groups[at]["by"]["name"],
            &groups[at]["rows"],
            &groups[at]["values"],
        )
    };
    assert_eq!(
        of(0),
        (&json!("feedback"), &json!(1), &json!([1.0, 1, 1, 0]))
    );
    assert_eq!(of(1), (&json!("help"), &json!(5), &json!([0.6, 0.9, 3, 4])));
    let body = json!({ "over": "scores", "group_by": ["value"], "q": "name:help" });
    let answer = question(&world, "/aggregate", body).await.json();
    // One group for each: what has a number is in no group of its words.
    assert_eq!(answer["groups"].as_array().unwrap().len(), 5, "{answer}");
    let facets = read(
        &world,
        "/facets?over=scores&keys=value,name,source,user_id,span_id",
    )
    .await;
    let values = |at: usize| {
        let values = facets["facets"][at]["values"].as_array().unwrap();
        let all = values.iter().map(|v| v["value"].to_string());
        let mut all: Vec<String> = all.collect();
        all.sort();
        (
            all.join(" "),
            facets["facets"][at]["missing"].as_u64().unwrap(),
        )
    };
    assert_eq!(
        values(0),
        (
            "\"poor\" \"thumbs_up\" 0.25 0.5 0.75 0.9 1 true".to_owned(),
            0
        )
    );
    assert_eq!(values(1), ("\"feedback\" \"help\"".to_owned(), 0));
    assert_eq!(values(2).1, 2);
    assert_eq!(values(3), ("\"ann\" \"bob\" \"bot\"".to_owned(), 3));
    assert_eq!(values(4).1, 2);
    let listed = read(&world, "/values?over=scores&key=value&prefix=thumbs").await;
    assert_eq!(
        listed["values"],
        json!([{ "value": "thumbs_up", "count": 1 }])
    );
}

/// Scores of another name beside: two of a span, one of a whole trace.
async fn scored_again(world: &World) {
    scored(world).await;
    // Two of one name: the mean of both.
    for value in [json!(0.1), json!(0.3)] {
        let more =
            json!({ "trace_id": trace(2), "span_id": span(2), "name": "more", "value": value });
        assert_eq!(question(world, "/scores", more).await.status, 201);
    }
    let more = json!({ "trace_id": trace(1), "name": "more", "value": 0.15 });
    assert_eq!(question(world, "/scores", more).await.status, 201);
}

#[tokio::test]
async fn traces_and_spans_go_by_their_scores() {
    let world = world().await;
    scored_again(&world).await;
    let names = |answer: &Value| -> Vec<String> {
        let rows = answer["data"].as_array().unwrap();
        rows.iter()
            .map(|row| row["name"].as_str().unwrap()["run-".len()..].to_owned())
            .collect()
    };
    let sorted = async |rest: &str| names(&read(&world, rest).await).join(" ");
    assert_eq!(sorted("/traces?sort=-scores.help").await, "3 1 5 4 2 6");
    assert_eq!(sorted("/traces?sort=scores.more").await, "1 2 3 4 5 6");
    // A score of the whole trace is none of its spans'.
    assert_eq!(sorted("/spans?sort=-scores.help").await, "3 1 4 2 6 5");
    // Page by page, and told when a score comes between two pages.
    let first = read(&world, "/traces?sort=-scores.help&limit=2").await;
    assert_eq!(names(&first), ["3", "1"]);
    let next = format!(
        "/traces?sort=-scores.help&limit=2&cursor={}",
        first["next_cursor"].as_str().unwrap()
    );
    let second = read(&world, &next).await;
    assert_eq!(
        (names(&second), &second["snapshot_changed"]),
        (vec!["5".to_owned(), "4".to_owned()], &json!(false))
    );
    let late = json!({ "trace_id": trace(6), "name": "help", "value": 0 });
    assert_eq!(question(&world, "/scores", late).await.status, 201);
    assert_eq!(read(&world, &next).await["snapshot_changed"], json!(true));
    let exported = ask(
        &world.app,
        get(
            "/v1/projects/1/export?sort=-scores.help&fields=name&format=csv",
            "key-of-a",
        ),
    )
    .await;
    let text = String::from_utf8_lossy(&exported.body).into_owned();
    assert_eq!(text.lines().nth(1), Some("run-3"), "{text}");
}

#[tokio::test]
async fn traces_and_spans_add_up_by_their_scores() {
    let world = world().await;
    scored_again(&world).await;
    let late = json!({ "trace_id": trace(6), "name": "help", "value": 0 });
    assert_eq!(question(&world, "/scores", late).await.status, 201);
    let figures = async |body: Value| {
        let said = question(&world, "/aggregate", body).await;
        assert_eq!(said.status, 200, "{}", String::from_utf8_lossy(&said.body));
        said.json()
    };
    let means = json!({ "measures": [{ "fn": "avg", "of": "scores.more" }, { "fn": "max", "of": "scores.more" },
        { "fn": "quantile", "of": "scores.help", "q": 0 }] });
    let answer = figures(means).await;
    assert_eq!(
        answer["total"]["values"],
        json!([0.175, 0.2, 0.0]),
        "{answer}"
    );
    let by_value = json!({ "group_by": ["scores.more"], "sort": "keys" });
    let answer = figures(by_value).await;
    let groups: Vec<_> = answer["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| (&g["by"]["scores.more"], &g["rows"]))
        .collect();
    // A trace is in the group of each of its scores.
    assert_eq!(
        groups[..3],
        [
            (&json!(0.1), &json!(1)),
            (&json!(0.15), &json!(1)),
            (&json!(0.3), &json!(1))
        ],
        "{answer}"
    );
    assert_eq!(groups[3], (&Value::Null, &json!(4)));
    let by_name = json!({ "over": "spans", "group_by": ["name"], "limit": 1, "sort": "-0",
        "measures": [{ "fn": "avg", "of": "scores.help" }, { "fn": "distinct", "of": "scores.help" }] });
    let answer = figures(by_name).await;
    assert_eq!(answer["groups"][0]["by"]["name"], "run-3", "{answer}");
    assert_eq!(answer["total"]["values"], json!([0.6625, 4]), "{answer}");
    // Where rows have no scores the name is a path like any other.
    let none = json!({ "over": "logs", "measures": [{ "fn": "avg", "of": "scores.help" }] });
    assert_eq!(figures(none).await["total"]["values"], json!([null]));
}

#[tokio::test]
async fn a_review_by_any_protocol_is_done() {
    let world = world().await;
    scored(&world).await;
    let done = read(&world, "/reviews?score=help&state=done").await;
    let names: Vec<_> = done["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].clone())
        .collect();
    assert_eq!(names, ["run-1", "run-2", "run-3", "run-4", "run-5"]);
    let pending = read(&world, "/reviews?score=help").await;
    assert_eq!(pending["data"][0]["name"], "run-6");
}
