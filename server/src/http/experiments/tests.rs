//! Experiments over a real engine: made, read, changed by revision, deleted, by whom and by whom not.

use http::Request;
use serde_json::{Value, json};

use crate::http::tests::{JSON, World, ask, get, post, world};
use crate::limits::{
    EXPERIMENT_ARMS_MAX, EXPERIMENT_ARMS_SHOWN_MAX, EXPERIMENT_BYTES_MAX, EXPERIMENT_ID_BYTES_MAX,
    EXPERIMENT_SCORED_RUNS_MAX, EXPERIMENT_SCORES_MAX, EXPERIMENTS_PER_PROJECT_MAX, PAGE_ROWS_MAX,
};
use crate::tenancy::FIRST_ORG;
use crate::tenancy::audit::describe_all;

const ALL: &str = "/v1/experiments";

async fn send(world: &World, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("x-api-key", "key-of-a");
    let request = request.body(body.to_string().into()).unwrap();
    let said = ask(&world.app, request).await;
    (said.status.as_u16(), said.json())
}

async fn make(world: &World, body: &Value) -> (u16, Value) {
    let said = ask(&world.app, post(ALL, "key-of-a", JSON, body.to_string())).await;
    (said.status.as_u16(), said.json())
}

async fn read(world: &World, path: &str, key: &str) -> (u16, Value) {
    let said = ask(&world.app, get(path, key)).await;
    (said.status.as_u16(), said.json())
}

fn halves() -> Value {
    json!([
        { "id": "control", "traffic_pct": 50 },
        { "id": "short", "name": "Short prompt", "prompt_snapshot": "Be brief.\n", "model": "m-2", "traffic_pct": 50 },
    ])
}

#[tokio::test]
async fn an_experiment_is_made_read_changed_and_deleted() {
    let world = world().await;
    let (status, made) = make(
        &world,
        &json!({ "id": "greeting-1", "name": "Greeting", "arms": halves() }),
    )
    .await;
    assert_eq!((status, &made["receipt"]["changed"]), (201, &json!(true)));
    let expected = json!([
        { "id": "control", "name": "control", "prompt_snapshot": null, "model": null, "traffic_pct": 50 },
        { "id": "short", "name": "Short prompt", "prompt_snapshot": "Be brief.\n", "model": "m-2", "traffic_pct": 50 },
    ]);
    for path in [
        "/v1/experiments/greeting-1",
        "/v1/projects/1/experiments/greeting-1",
    ] {
        let (status, shown) = read(&world, path, "key-of-a").await;
        let said = (status, &shown["name"], &shown["arms"], &shown["revision"]);
        assert_eq!(said, (200, &json!("Greeting"), &expected, &json!(1)));
        assert_eq!(shown["created_at"], shown["updated_at"]);
    }
    let change = |revision: u64| json!({ "revision": revision, "name": "All short", "arms": [{ "id": "short", "traffic_pct": 100 }] });
    let one = "/v1/projects/1/experiments/greeting-1";
    let (status, said) = send(&world, "PUT", one, &change(2)).await;
    assert_eq!((status, &said["error"]["field"]), (409, &json!("revision")));
    let (status, said) = send(&world, "PUT", one, &change(1)).await;
    assert_eq!((status, &said["revision"]), (200, &json!(2)));
    assert_eq!(send(&world, "PUT", one, &change(1)).await.0, 409);
    let (_, shown) = read(&world, one, "key-of-a").await;
    let arms = shown["arms"].as_array().unwrap();
    assert_eq!((arms.len(), &shown["name"]), (1, &json!("All short")));
    assert_eq!(shown["created_at"], made["created_at"]);

    assert_eq!(send(&world, "DELETE", one, &json!({})).await.0, 200);
    for method in ["GET", "DELETE"] {
        assert_eq!(send(&world, method, one, &json!({})).await.0, 404);
    }
    assert_eq!(send(&world, "PUT", one, &change(2)).await.0, 404);
    // Whoever deleted it may have its id again.
    let again = json!({ "id": "greeting-1", "name": "Again", "arms": halves() });
    assert_eq!(make(&world, &again).await.1["revision"], 3);
    assert_eq!(make(&world, &again).await.0, 409);
    // A change that was made from the one that is gone does not change this one.
    for old in [1, 2] {
        let (status, said) = send(&world, "PUT", one, &change(old)).await;
        assert_eq!((status, &said["error"]["field"]), (409, &json!("revision")));
    }
    let (_, results) = read(&world, &format!("{one}/results"), "key-of-a").await;
    assert_eq!(results["revision"], 3);
    assert_eq!(send(&world, "PUT", one, &change(3)).await.1["revision"], 4);

    let audit = world.app.core().unwrap().plane().audit();
    let (records, _) = audit.before(FIRST_ORG, u64::MAX, (100, 1000), |_| true);
    let said: Vec<_> = records
        .iter()
        .flat_map(|record| describe_all(&record.event))
        .filter(|said| said.action.starts_with("experiment"))
        .map(|said| (said.action, said.subject, said.details[0].1.clone()))
        .collect();
    let of = |action| (action, "greeting-1".to_owned(), "1".to_owned());
    let newest_first = [
        "experiment.changed",
        "experiment.created",
        "experiment.deleted",
        "experiment.changed",
        "experiment.created",
    ];
    assert_eq!(said, newest_first.map(of));
}

#[tokio::test]
async fn what_is_none_is_refused_and_named() {
    let world = world().await;
    for (body, field) in [
        (json!({ "name": "n", "arms": [] }), json!("arms")),
        (
            json!({ "name": "n", "arms": [{ "id": "a", "traffic_pct": 99 }] }),
            json!("arms"),
        ),
        (
            json!({ "name": "n", "arms": [{ "id": "a/b", "traffic_pct": 100 }] }),
            json!("arms[0].id"),
        ),
        (
            json!({ "name": "", "arms": [{ "id": "a", "traffic_pct": 100 }] }),
            json!("name"),
        ),
        (
            json!({ "id": "..", "name": "n", "arms": [{ "id": "a", "traffic_pct": 100 }] }),
            json!("id"),
        ),
        // Of the wrong types.
        (json!({ "name": "n" }), Value::Null),
        (
            json!({ "name": "n", "arms": [{ "id": "a", "traffic_pct": 1.5 }] }),
            Value::Null,
        ),
        (
            json!({ "name": "n", "arms": [{ "id": "a", "traffic_pct": -1 }] }),
            Value::Null,
        ),
        (
            json!({ "name": "n", "arms": halves(), "x": 1 }),
            Value::Null,
        ),
    ] {
        let (status, said) = make(&world, &body).await;
        let code = said["error"]["code"].as_str();
        assert_eq!((status, code), (400, Some("invalid_request")), "{body}");
        assert_eq!(said["error"]["field"], field, "{body}");
    }
    assert_eq!(read(&world, ALL, "key-of-a").await.1["items"], json!([]));
}

#[tokio::test]
async fn experiments_are_of_one_project() {
    let world = world().await;
    let body = json!({ "id": "x", "name": "n", "arms": halves() });
    assert_eq!(make(&world, &body).await.0, 201);
    let (status, said) = read(&world, "/v1/experiments/x", "key-of-b").await;
    assert_eq!((status, &said["error"]["code"]), (404, &json!("not_found")));
    let (_, listed) = read(&world, ALL, "key-of-b").await;
    assert_eq!(listed["items"], json!([]));
    let foreign = read(&world, "/v1/projects/1/experiments/x", "key-of-b").await;
    assert_eq!(foreign.0, 404);
    // The same id is free in another project, and deleting one leaves the other.
    let said = ask(&world.app, post(ALL, "key-of-b", JSON, body.to_string())).await;
    assert_eq!(said.status, 201);
    let deleted = send(&world, "DELETE", "/v1/experiments/x", &json!({})).await;
    assert_eq!(deleted.0, 200);
    let (status, _) = read(&world, "/v1/experiments/x", "key-of-b").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn limits_hold_at_and_above() {
    let world = world().await;
    let arms = |count: usize| {
        let arm = |n: usize| json!({ "id": format!("a{n}"), "traffic_pct": if n == 0 { 100 } else { 0 } });
        json!({ "name": "n", "arms": (0..count).map(arm).collect::<Vec<_>>() })
    };
    let id = |bytes: usize| json!({ "id": "x".repeat(bytes), "name": "n", "arms": halves() });
    let prompt = |bytes: usize| {
        // The name, the id and the name of the arm.
        let prompt = "x".repeat(bytes - 3);
        json!({ "name": "n", "arms": [{ "id": "a", "prompt_snapshot": prompt, "traffic_pct": 100 }] })
    };
    for (good, bad, field) in [
        (
            arms(EXPERIMENT_ARMS_MAX),
            arms(EXPERIMENT_ARMS_MAX + 1),
            "arms",
        ),
        (
            id(EXPERIMENT_ID_BYTES_MAX),
            id(EXPERIMENT_ID_BYTES_MAX + 1),
            "id",
        ),
        (
            prompt(EXPERIMENT_BYTES_MAX),
            prompt(EXPERIMENT_BYTES_MAX + 1),
            "arms",
        ),
    ] {
        let (status, said) = make(&world, &good).await;
        assert_eq!(status, 201, "{said}");
        let (status, said) = make(&world, &bad).await;
        assert_eq!((status, &said["error"]["field"]), (400, &json!(field)));
    }
    let (_, listed) = read(&world, ALL, "key-of-a").await;
    let there = listed["items"].as_array().unwrap().len();
    for _ in there..EXPERIMENTS_PER_PROJECT_MAX {
        let (status, said) = make(&world, &json!({ "name": "n", "arms": halves() })).await;
        assert_eq!(status, 201, "{said}");
    }
    let (status, said) = make(&world, &json!({ "name": "n", "arms": halves() })).await;
    assert_eq!((status, &said["error"]["code"]), (409, &json!("conflict")));

    let mut ids = Vec::new();
    let mut path = format!("{ALL}?limit=7");
    loop {
        let (status, page) = read(&world, &path, "key-of-a").await;
        let items = page["items"].as_array().unwrap();
        assert_eq!((status, items.len() <= 7), (200, true));
        ids.extend(
            items
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => path = format!("{ALL}?limit=7&after={next}"),
            None => break,
        }
    }
    assert_eq!(ids.len(), EXPERIMENTS_PER_PROJECT_MAX);
    assert_eq!(ids[1], "x".repeat(EXPERIMENT_ID_BYTES_MAX));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), EXPERIMENTS_PER_PROJECT_MAX, "each once");
    for (limit, status) in [(PAGE_ROWS_MAX, 200), (PAGE_ROWS_MAX + 1, 400)] {
        let said = read(&world, &format!("{ALL}?limit={limit}"), "key-of-a").await;
        assert_eq!(said.0, status);
    }
}

/// So many runs of an arm, each with a score; the `n`-th of all is scored by its number.
async fn runs(world: &World, arm: &str, numbers: std::ops::Range<usize>) {
    let traces: Vec<Value> = numbers
        .map(|n| {
            json!({
                "trace_id": format!("{arm}-{n}"), "name": "n", "status": "success", "steps": [],
                "started_at": format!("2026-01-01T{:02}:{:02}:{:02}Z", n / 3600, n / 60 % 60, n % 60),
                "metadata": { "experiment_id": "x", "experiment_arm_id": arm },
                "annotations": [{ "label": "good", "score": n }],
            })
        })
        .collect();
    for some in traces.chunks(1000) {
        let body = Value::Array(some.to_vec()).to_string();
        let said = ask(
            &world.app,
            post("/v1/imports/traces", "key-of-a", JSON, body),
        )
        .await;
        assert!(said.status.is_success(), "{}", said.json());
    }
}

#[tokio::test]
async fn results_tell_the_scores_of_so_many_runs() {
    let world = world().await;
    let body = json!({ "id": "x", "name": "n", "arms": [{ "id": "a", "traffic_pct": 100 }] });
    assert_eq!(make(&world, &body).await.0, 201);
    let path = "/v1/projects/1/experiments/x/results";
    let told = async |world: &World, path: &str| {
        let (status, said) = read(world, path, "key-of-a").await;
        assert_eq!(status, 200, "{said}");
        said["arms"][0].clone()
    };
    let none = told(&world, path).await;
    assert_eq!((&none["traces"], &none["scores"]), (&json!(0), &json!({})));
    let max = EXPERIMENT_SCORED_RUNS_MAX;
    runs(&world, "a", 0..max).await;
    let whole = told(&world, path).await;
    let good = &whole["scores"]["good"];
    assert_eq!(
        (&good["count"], &whole["scores_cut"]),
        (&json!(max), &json!(false))
    );
    assert_eq!(good["avg"], json!(4999.0 / 2.0));
    runs(&world, "a", max..max + 1).await;
    let cut = told(&world, path).await;
    let good = &cut["scores"]["good"];
    let counts = (&cut["traces"], &good["count"], &cut["scores_cut"]);
    assert_eq!(counts, (&json!(max + 1), &json!(max), &json!(true)));
    // Without the oldest, whose score is 0.
    assert_eq!(good["avg"], json!(5001.0 / 2.0));
    let later = told(&world, &format!("{path}?from=2026-01-01T01:23:20Z")).await;
    assert_eq!(
        (&later["traces"], &later["scores"]["good"]["avg"]),
        (&json!(1), &json!(5000.0))
    );
    for (path, key, status) in [
        ("/v1/projects/1/experiments/y/results", "key-of-a", 404),
        (path, "key-of-b", 404),
        ("/v1/projects/1/experiments/x/results?q=a", "key-of-a", 400),
    ] {
        assert_eq!(read(&world, path, key).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn results_tell_so_many_arms_and_names_of_scores() {
    let world = world().await;
    let body = json!({ "id": "x", "name": "n", "arms": [{ "id": "arm-0", "traffic_pct": 100 }] });
    assert_eq!(make(&world, &body).await.0, 201);
    let told = async |world: &World| {
        read(world, "/v1/projects/1/experiments/x/results", "key-of-a")
            .await
            .1
    };
    for n in 0..EXPERIMENT_ARMS_SHOWN_MAX {
        runs(&world, &format!("arm-{n}"), 0..1).await;
    }
    let all = told(&world).await;
    let count = |said: &Value| said["arms"].as_array().unwrap().len();
    assert_eq!(
        (count(&all), &all["arms_left_out"]),
        (EXPERIMENT_ARMS_SHOWN_MAX, &json!(0))
    );
    runs(&world, "arm-more", 0..1).await;
    let all = told(&world).await;
    assert_eq!(
        (count(&all), &all["arms_left_out"]),
        (EXPERIMENT_ARMS_SHOWN_MAX, &json!(1))
    );

    for (from, to) in [
        (1, EXPERIMENT_SCORES_MAX),
        (EXPERIMENT_SCORES_MAX, EXPERIMENT_SCORES_MAX + 1),
    ] {
        // The annotation of the run is the first.
        let scores: Vec<Value> = (from..to)
            .map(|n| json!({ "id": format!("s{n}"), "traceId": "arm-0-0", "name": format!("n{n}"), "value": 1 }))
            .collect();
        let body = Value::Array(scores).to_string();
        let said = ask(
            &world.app,
            post("/api/public/scores", "key-of-a", JSON, body),
        )
        .await;
        assert_eq!(said.status, 202);
        let said = told(&world).await;
        let scores = said["arms"][0]["scores"].as_object().unwrap();
        assert_eq!(scores.len(), EXPERIMENT_SCORES_MAX);
        assert_eq!(said["arms"][0]["scores_cut"], to > EXPERIMENT_SCORES_MAX);
    }
}

#[tokio::test]
async fn arms_that_somebody_made_up_hide_none_of_the_experiment() {
    let world = world().await;
    let body = json!({ "id": "x", "name": "n", "arms": [{ "id": "real", "traffic_pct": 100 }] });
    assert_eq!(make(&world, &body).await.0, 201);
    runs(&world, "real", 0..1).await;
    for n in 0..EXPERIMENT_ARMS_SHOWN_MAX {
        runs(&world, &format!("made-up-{n}"), 0..2).await;
    }
    let path = "/v1/projects/1/experiments/x/results";
    let (status, said) = read(&world, path, "key-of-a").await;
    assert_eq!(status, 200, "{said}");
    let (real, other) = (&said["arms"][0], &said["arms"][1]);
    assert_eq!((&real["id"], &real["traces"]), (&json!("real"), &json!(1)));
    assert_eq!(real["scores"]["good"]["count"], 1);
    // So many are shown with it, without their scores.
    assert_eq!(
        (&other["traces"], &other["scores"]),
        (&json!(2), &json!({}))
    );
    assert_eq!(
        said["arms"].as_array().unwrap().len(),
        EXPERIMENT_ARMS_SHOWN_MAX
    );
    assert_eq!(said["arms_left_out"], 1);
}

#[tokio::test]
async fn a_score_counts_once_whatever_else_stands_in_it() {
    let world = world().await;
    let body = json!({ "id": "x", "name": "n", "arms": [{ "id": "a", "traffic_pct": 100 }] });
    assert_eq!(make(&world, &body).await.0, 201);
    // More texts in `label` than names that are told: they are no names where there is one.
    let labels = EXPERIMENT_SCORES_MAX + 50;
    let scores: Vec<Value> = (0..labels)
        .map(|n| json!({ "id": format!("s{n}"), "name": "tone", "label": format!("l{n}"), "score": 1, "value": 3 }))
        .chain([json!({ "id": "v", "name": "tone", "value": 3 }), json!({ "id": "l", "label": "good", "score": 5 })])
        .collect();
    let trace = json!([{
        "trace_id": "t", "name": "n", "status": "success", "steps": [], "started_at": "2026-01-01T00:00:00Z",
        "metadata": { "experiment_id": "x", "experiment_arm_id": "a" }, "annotations": scores,
    }]);
    let said = ask(
        &world.app,
        post("/v1/imports/traces", "key-of-a", JSON, trace.to_string()),
    )
    .await;
    assert!(said.status.is_success(), "{}", said.json());
    let path = "/v1/projects/1/experiments/x/results";
    let (_, said) = read(&world, path, "key-of-a").await;
    let arm = &said["arms"][0];
    let tone = &arm["scores"]["tone"];
    assert_eq!(tone["count"], labels + 1, "{said}");
    // One by `value`, of the others `score`.
    let of_all = u32::try_from(labels + 1).unwrap();
    let avg = f64::from(of_all - 1 + 3) / f64::from(of_all);
    assert_eq!(tone["avg"], json!(avg));
    assert_eq!(arm["scores"]["good"], json!({ "count": 1, "avg": 5.0 }));
    assert_eq!(arm["scores_cut"], false);
}
