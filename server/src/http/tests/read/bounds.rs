//! Limits of the read routes that take much to reach, each at its value and one above.

use super::*;
use crate::limits::{
    CONVERSATION_BYTES_MAX, COST_RUNS_MAX, JAEGER_TRACES_MAX, PATH_SPANS_MAX, REVIEW_PAGE_ROWS_MAX,
    REVIEW_RUNS_MAX, THEAZO_TRACES_BYTES,
};

#[tokio::test]
async fn paths_are_put_together_from_so_many_spans() {
    let world = world().await;
    plain(&world, 1, 0, PATH_SPANS_MAX - 1).await;
    for (from, runs, cut) in [(0, 2, false), (1, 1, true)] {
        plain(&world, 2, from, from + 1).await;
        let said = question(&world, "/paths", json!({ "by": "name" }))
            .await
            .json();
        assert_eq!((&said["runs"], &said["cut"]), (&json!(runs), &json!(cut)));
    }
}

#[tokio::test]
async fn a_search_in_jaegers_words_gives_so_many_traces() {
    let world = world().await;
    let path = |limit: usize| {
        let day = BASE_NS / 1_000;
        let (start, end) = (day - 1_000_000, day + 1_000_000);
        format!("/jaeger/api/traces?service=shop&start={start}&end={end}&limit={limit}")
    };
    for (from, to, asked) in [
        (0, JAEGER_TRACES_MAX, JAEGER_TRACES_MAX),
        (
            JAEGER_TRACES_MAX,
            JAEGER_TRACES_MAX + 1,
            JAEGER_TRACES_MAX + 1,
        ),
    ] {
        let spans: Vec<Value> = (from..to)
            .map(|n| {
                json!({
                    "traceId": format!("{:032x}", n + 1), "spanId": format!("{:016x}", n + 1),
                    "startTimeUnixNano": BASE_NS.to_string(), "name": "s",
                })
            })
            .collect();
        send(&world, &spans).await;
        let said = ask(&world.app, get(&path(asked), "key-of-a")).await.json();
        assert_eq!(said["data"].as_array().unwrap().len(), JAEGER_TRACES_MAX);
    }
}

/// Calls one after the other, each asked one text and saying one attribute: no request is large.
async fn talked(world: &World, (trace, start): (usize, i64), texts: &[String]) {
    for (n, said) in (1_i64..).zip(texts) {
        let messages = json!([{ "role": "user", "parts": [{ "type": "text", "content": said }] }]);
        let text =
            |key: &str, value: String| json!({ "key": key, "value": { "stringValue": value } });
        let at = (BASE_NS + start + n).to_string();
        let span = json!({
            "traceId": format!("{trace:032x}"), "spanId": format!("{n:016x}"), "name": "call",
            "startTimeUnixNano": at, "endTimeUnixNano": at,
            "attributes": [
                text("gen_ai.operation.name", "chat".to_owned()),
                text("gen_ai.input.messages", messages.to_string()),
            ],
        });
        send(world, &[span]).await;
    }
}

/// So many bytes in texts of half a mebibyte, no two the same.
fn texts(bytes: usize, around: usize) -> Vec<String> {
    let one = 512 << 10;
    let text = |n: usize| {
        let length = one.min(bytes - n * one) - around;
        let number = format!("{n:04}");
        let rest = length - number.len();
        number + &"x".repeat(rest)
    };
    (0..bytes.div_ceil(one)).map(text).collect()
}

#[tokio::test]
async fn a_page_of_a_conversation_has_so_many_bytes() {
    let world = world().await;
    let path = |trace: usize| format!("/traces/{trace:032x}/conversation");
    talked(&world, (1, 0), &["a".to_owned()]).await;
    let said = read(&world, &path(1)).await;
    let around = said["data"][0]["content"].to_string().len() - 1;
    let mut all = texts(CONVERSATION_BYTES_MAX, around);
    talked(&world, (2, 0), &all).await;
    let told = |said: &Value| said["data"].as_array().unwrap().len();
    assert_eq!(told(&read(&world, &path(2)).await), all.len());
    all[0].push('x');
    talked(&world, (3, 0), &all).await;
    let said = read(&world, &path(3)).await;
    assert_eq!(
        (&said["total"], told(&said)),
        (&json!(all.len()), all.len() - 1)
    );
    let next = format!("{}?offset={}", path(3), said["next_offset"]);
    assert_eq!(told(&read(&world, &next).await), 1);
}

#[tokio::test]
async fn traces_in_theazos_words_come_with_so_many_bytes_of_spans() {
    // What a body has beside the text is less than this.
    let rest = 32 * (4 << 10);
    for (bytes, whole) in [(THEAZO_TRACES_BYTES - rest, 2), (THEAZO_TRACES_BYTES, 1)] {
        let world = world().await;
        talked(&world, (1, 1_000), &texts(bytes, 0)).await;
        talked(&world, (2, 0), &["short".to_owned()]).await;
        let said = ask(&world.app, get("/v1/agents/traces", "key-of-a"))
            .await
            .json();
        let traces = said["traces"].as_array().unwrap();
        let with = traces.iter().filter(|trace| {
            trace["spans"]
                .as_array()
                .is_some_and(|spans| !spans.is_empty())
        });
        assert_eq!((with.count(), traces.len()), (whole, 2), "{bytes}");
    }
}

/// Traces of one span each, a nanosecond apart, from one number up to another.
async fn runs(world: &World, from: usize, to: usize) {
    let all: Vec<usize> = (from..to).collect();
    for part in all.chunks(4_000) {
        let spans: Vec<Value> = part
            .iter()
            .map(|n| {
                let start = BASE_NS + i64::try_from(*n).unwrap();
                json!({
                    "traceId": format!("{:032x}", n + 1), "spanId": format!("{:016x}", n + 1),
                    "startTimeUnixNano": start.to_string(), "name": "s",
                })
            })
            .collect();
        send(world, &spans).await;
    }
}

/// A clock by which no query takes time, however busy the machine is.
#[derive(Debug)]
struct Patient(SystemClock);

impl Clock for Patient {
    fn wall_ns(&self) -> i64 {
        self.0.wall_ns()
    }

    fn mono_ns(&self) -> u64 {
        0
    }
}

#[tokio::test]
async fn what_a_user_cost_is_summed_over_so_many_runs() {
    let master = MasterSecret::from_bytes([1; 32]);
    let providers = Providers::none(&master, Arc::new(SystemClock::new()), Arc::new(OsRng));
    let world = world_by(providers, Arc::new(Patient(SystemClock::new()))).await;
    let path = "/v1/usage/users/ada";
    let of_ada = async |from: usize, to: usize| {
        let all: Vec<usize> = (from..to).collect();
        for part in all.chunks(4_000) {
            let user = json!({ "key": "user.id", "value": { "stringValue": "ada" } });
            let spans: Vec<Value> = part
                .iter()
                .map(|n| {
                    json!({
                        "traceId": format!("{:032x}", n + 1), "spanId": format!("{:016x}", n + 1),
                        "startTimeUnixNano": BASE_NS.to_string(), "name": "s", "attributes": [user],
                    })
                })
                .collect();
            send(&world, &spans).await;
        }
    };
    of_ada(0, COST_RUNS_MAX).await;
    let said = ask(&world.app, get(path, "key-of-a")).await;
    assert_eq!(
        (said.status.as_u16(), &said.json()["total"]["amount"]),
        (200, &json!(0))
    );
    of_ada(COST_RUNS_MAX, COST_RUNS_MAX + 1).await;
    let said = ask(&world.app, get(path, "key-of-a")).await;
    assert_eq!(said.status, 422);
    let message = said.json()["error"]["message"].to_string();
    assert!(
        message.contains(&format!("max={COST_RUNS_MAX}")),
        "{message}"
    );
}

/// Gives each of these runs a score.
async fn judged(world: &World, runs: &[usize], name: &str) {
    let scores: Vec<Value> = runs
        .iter()
        .map(|n| json!({ "id": format!("{name}-{n}"), "traceId": format!("{:032x}", n + 1), "name": name, "value": 1 }))
        .collect();
    for scores in scores.chunks(1_000) {
        let body = json!(scores).to_string();
        let said = ask(
            &world.app,
            post("/api/public/scores", "key-of-a", JSON, body),
        )
        .await;
        assert_eq!(said.status, 202);
    }
}

/// Every run of a queue, page by page.
async fn queue(world: &World, rest: &str) -> Vec<usize> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = read(world, &format!("/reviews?{rest}{cursor}")).await;
        for run in page["data"].as_array().unwrap() {
            let id = run["trace_id"].as_str().unwrap();
            all.push(usize::from_str_radix(id, 16).unwrap() - 1);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

#[tokio::test]
async fn a_run_waits_for_its_review_until_it_has_the_score() {
    let world = world().await;
    runs(&world, 0, 100).await;
    let done: Vec<usize> = (0..100).filter(|n| n % 3 == 0 || *n < 20).collect();
    let waits: Vec<usize> = (0..100).filter(|n| !done.contains(n)).collect();
    judged(&world, &done, "good").await;
    judged(&world, &waits, "other").await;
    for limit in [1, 7, 100] {
        let rest = format!("score=good&limit={limit}");
        assert_eq!(queue(&world, &rest).await, waits);
        assert_eq!(queue(&world, &format!("{rest}&state=done")).await, done);
    }
    assert_eq!(
        queue(&world, "score=good&q=id:none").await,
        Vec::<usize>::new()
    );
    for (rest, field) in [("", "score"), ("?score=good&state=lost", "state")] {
        let (status, error) = refused(&world, &format!("/reviews{rest}")).await;
        assert_eq!((status, &error["field"]), (400, &json!(field)));
    }
    let limit = |n: usize| format!("/reviews?score=good&limit={n}");
    assert_eq!(refused(&world, &limit(REVIEW_PAGE_ROWS_MAX)).await.0, 200);
    assert_eq!(
        refused(&world, &limit(REVIEW_PAGE_ROWS_MAX + 1)).await.0,
        400
    );
}

#[tokio::test]
async fn a_page_of_a_queue_looks_at_so_many_runs() {
    let world = world().await;
    runs(&world, 0, REVIEW_RUNS_MAX).await;
    let all: Vec<usize> = (0..REVIEW_RUNS_MAX).collect();
    judged(&world, &all, "good").await;
    let path = format!("/reviews?score=good&limit={REVIEW_PAGE_ROWS_MAX}");
    let page = read(&world, &path).await;
    let told = (&page["looked_at"], &page["next_cursor"]);
    assert_eq!(told, (&json!(REVIEW_RUNS_MAX), &Value::Null));
    runs(&world, REVIEW_RUNS_MAX, REVIEW_RUNS_MAX + 1).await;
    let page = read(&world, &path).await;
    assert_eq!(
        (&page["looked_at"], &page["data"]),
        (&json!(REVIEW_RUNS_MAX), &json!([]))
    );
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = read(&world, &format!("{path}&cursor={cursor}")).await;
    assert_eq!(rest["data"].as_array().unwrap().len(), 1);
}
