//! obsrv's own read routes against rows made at random, each answer worked out again row by row.

use super::*;
use serde_json::json;

mod bounds;
mod deletes;
mod derived;
mod escapes;
mod explained;
mod facts;
mod figures;
mod langfuse;
mod limits;
mod lines;
mod live;
mod metrics;
mod origins;
mod outputs;
mod pages;
mod partial;
mod places;
mod releases;
mod scores;
mod told;
mod trees;

const BASE_NS: i64 = 1_767_225_600_000_000_000;
const MODELS: [&str; 3] = ["gpt-5", "haiku", "o3"];

/// xorshift: the same rows every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn place(&mut self, sides: usize) -> usize {
        usize::try_from(self.roll(u64::try_from(sides).unwrap())).unwrap()
    }
}

/// A span as it is at last.
#[derive(Clone, Debug)]
struct Made {
    trace: String,
    id: String,
    parent: Option<String>,
    name: String,
    start: i64,
    end: Option<i64>,
    failed: bool,
    model: Option<&'static str>,
    tokens: i64,
    tier: Option<u64>,
}

impl Made {
    fn status(&self) -> &'static str {
        match (self.failed, self.end) {
            (true, _) => "error",
            (_, None) => "running",
            _ => "success",
        }
    }

    fn otlp(&self) -> Value {
        let text =
            |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
        let mut attributes = vec![
            json!({ "key": "gen_ai.usage.input_tokens", "value": { "intValue": self.tokens.to_string() } }),
        ];
        if let Some(model) = self.model {
            attributes.push(text("gen_ai.request.model", model));
            attributes.push(text("gen_ai.operation.name", "chat"));
        }
        if let Some(tier) = self.tier {
            attributes.push(json!({ "key": "tier", "value": { "intValue": tier.to_string() } }));
        }
        let mut span = json!({
            "traceId": self.trace, "spanId": self.id, "name": self.name,
            "startTimeUnixNano": self.start.to_string(),
            "endTimeUnixNano": self.end.unwrap_or(0).to_string(),
            "attributes": attributes, "status": { "code": if self.failed { 2 } else { 1 } },
        });
        if let Some(parent) = &self.parent {
            span["parentSpanId"] = json!(parent);
        }
        span
    }
}

async fn send(world: &World, spans: &[Value]) {
    let body = json!({ "resourceSpans": [{ "resource": { "attributes": [
        { "key": "service.name", "value": { "stringValue": "shop" } },
        { "key": "deployment.environment.name", "value": { "stringValue": "prod" } },
    ] }, "scopeSpans": [{ "spans": spans }] }] });
    let said = ask(
        &world.app,
        post("/v1/traces", "key-of-a", JSON, body.to_string()),
    )
    .await;
    let text = String::from_utf8_lossy(&said.body).into_owned();
    assert_eq!(
        (said.status.as_u16(), text.as_str()),
        (200, r#"{"partialSuccess":{}}"#)
    );
}

/// Spans of one trace with no more than they need, from one number up to another.
async fn plain(world: &World, trace: usize, from: usize, to: usize) {
    let all: Vec<usize> = (from..to).collect();
    for part in all.chunks(4_000) {
        let spans: Vec<Value> = part
            .iter()
            .map(|n| {
                json!({
                    "traceId": format!("{trace:032x}"), "spanId": format!("{:016x}", n + 1),
                    "startTimeUnixNano": BASE_NS.to_string(), "name": "s",
                })
            })
            .collect();
        send(world, &spans).await;
    }
}

/// Traces of 1 to 12 spans: children before parents, parents that never come, spans sent twice and
/// spans sent running first; two traces are deleted at the end.
async fn stored(world: &World, seed: u64, traces: u64) -> Vec<Made> {
    let mut dice = Dice(seed);
    let mut all = Vec::new();
    for trace in 1..=traces {
        let id = format!("{trace:032x}");
        let first = BASE_NS + i64::try_from(trace).unwrap() * 1_000_000_000;
        let count = 1 + dice.place(12);
        let mut spans: Vec<Made> = Vec::new();
        for n in 0..count {
            let parent = match (n, dice.roll(10)) {
                (0, _) => None,
                (_, 0) => Some("00000000000000ff".to_owned()),
                _ => Some(spans[dice.place(n)].id.clone()),
            };
            let start = first + i64::try_from(dice.roll(500)).unwrap() * 1_000_000;
            let end = start + i64::try_from(1 + dice.roll(800)).unwrap() * 1_000_000;
            spans.push(Made {
                trace: id.clone(),
                id: format!("{:016x}", n + 1),
                parent,
                name: format!("step-{}", dice.roll(4)),
                start: if n == 0 { first } else { start },
                end: (dice.roll(12) > 0).then_some(end),
                failed: dice.roll(5) == 0,
                model: (dice.roll(2) == 0).then(|| MODELS[dice.place(3)]),
                tokens: i64::try_from(dice.roll(1000)).unwrap(),
                tier: (dice.roll(3) > 0).then(|| dice.roll(3)),
            });
        }
        all.push(spans);
    }
    for spans in &all {
        let mut order: Vec<usize> = (0..spans.len()).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, dice.place(at + 1));
        }
        let mut bodies: Vec<Value> = Vec::new();
        for at in order {
            let mut early = spans[at].clone();
            early.end = None;
            early.failed = false;
            match dice.roll(4) {
                // Running first, in a request of its own.
                0 if spans[at].end.is_some() => send(world, &[early.otlp()]).await,
                1 => send(world, &[spans[at].otlp()]).await,
                _ => {}
            }
            bodies.push(spans[at].otlp());
        }
        let half = bodies.len() / 2;
        let (late, early) = bodies.split_at(half);
        send(world, early).await;
        if !late.is_empty() {
            send(world, late).await;
        }
    }
    for trace in [2_u64, 5] {
        let path = format!("/v1/projects/1/traces/{trace:032x}");
        let request = Request::delete(path).header("x-api-key", "key-of-a");
        let said = ask(&world.app, request.body(Body::empty()).unwrap()).await;
        assert_eq!(said.json()["deleted"], true);
    }
    let gone = |made: &Made| ["2", "5"].iter().any(|n| made.trace == format!("{n:0>32}"));
    all.into_iter()
        .flatten()
        .filter(|made| !gone(made))
        .collect()
}

/// An answer of project `a`.
async fn read(world: &World, rest: &str) -> Value {
    let path = format!("/v1/projects/1{rest}");
    let said = ask(&world.app, get(&path, "key-of-a")).await;
    let text = String::from_utf8_lossy(&said.body).into_owned();
    assert_eq!(said.status, 200, "{rest}: {text}");
    said.json()
}

/// Status and the error of a refusal.
async fn refused(world: &World, rest: &str) -> (u16, Value) {
    let path = format!("/v1/projects/1{rest}");
    let said = ask(&world.app, get(&path, "key-of-a")).await;
    (said.status.as_u16(), said.json()["error"].clone())
}

async fn question(world: &World, rest: &str, body: Value) -> Said {
    let path = format!("/v1/projects/1{rest}");
    ask(&world.app, post(&path, "key-of-a", JSON, body.to_string())).await
}
