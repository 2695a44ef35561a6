//! The live tail over real connections of the router.

use http_body_util::BodyExt;

use super::*;
use crate::limits::{TAIL_CHANNELS_MAX, TAIL_RING_BYTES, TAIL_WATCHERS_MAX};

/// What a connection was sent, event by event.
pub(super) struct Watching {
    body: Body,
    text: String,
}

impl Watching {
    pub(super) async fn of(world: &World, rest: &str, last: Option<&str>) -> Self {
        let mut request = get(&format!("/v1/projects/1/tail{rest}"), "key-of-a");
        if let Some(last) = last {
            request
                .headers_mut()
                .insert("last-event-id", last.parse().unwrap());
        }
        let response = build(Arc::clone(&world.app))
            .oneshot(request)
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "text/event-stream"
        );
        let mut watching = Self {
            body: response.into_body(),
            text: String::new(),
        };
        assert_eq!(watching.next().await, ["retry: 1000"]);
        watching
    }

    /// The lines of the next event.
    async fn next(&mut self) -> Vec<String> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let lines = event.lines().map(str::to_owned).collect();
                self.text = rest.to_owned();
                return lines;
            }
            let frame = self.body.frame().await.unwrap().unwrap();
            self.text
                .push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }

    /// Id, kind and data of the next event.
    pub(super) async fn event(&mut self) -> (String, String, Value) {
        let lines = self.next().await;
        let part = |name: &str| {
            let found = lines.iter().find_map(|line| line.strip_prefix(name));
            found.unwrap_or("").to_owned()
        };
        let data = serde_json::from_str(&part("data: ")).unwrap();
        (part("id: "), part("event: "), data)
    }
}

fn made(n: u64, failed: bool) -> Value {
    Made {
        trace: format!("{:032x}", 500 + n),
        id: format!("{n:016x}"),
        parent: None,
        name: format!("live-{n}"),
        start: BASE_NS,
        end: Some(BASE_NS + 1),
        failed,
        model: None,
        tokens: 0,
        tier: None,
    }
    .otlp()
}

#[tokio::test]
async fn what_passes_is_told_once_and_a_connection_goes_on_where_it_was() {
    let world = world().await;
    send(&world, &[made(1, true)]).await;
    let mut spans = Watching::of(&world, "?over=spans&q=status:error", None).await;
    let mut traces = Watching::of(&world, "", None).await;
    for (n, failed) in [(2, false), (3, true), (4, true)] {
        send(&world, &[made(n, failed)]).await;
    }
    let (first, kind, data) = spans.event().await;
    assert_eq!((&*kind, &data["name"]), ("span", &json!("live-3")));
    let (_, _, data) = spans.event().await;
    assert_eq!(data["name"], "live-4");
    for n in 2..=4 {
        let (_, kind, data) = traces.event().await;
        assert_eq!(
            (&*kind, &data["name"]),
            ("trace", &json!(format!("live-{n}")))
        );
    }
    let json = "?over=spans&filter=%7B%22key%22%3A%22name%22%2C%22eq%22%3A%22live-5%22%7D";
    let mut by_json = Watching::of(&world, json, None).await;
    drop(spans);
    send(&world, &[made(5, true)]).await;
    assert_eq!(by_json.event().await.2["name"], "live-5");
    let mut spans = Watching::of(&world, "?over=spans&q=status:error", Some(&first)).await;
    for n in [4, 5] {
        assert_eq!(spans.event().await.2["name"], format!("live-{n}"));
    }
    // The same for whoever can send no header.
    let again = format!("?over=spans&q=status:error&last_event_id={first}");
    let mut spans = Watching::of(&world, &again, None).await;
    assert_eq!(spans.event().await.2["name"], "live-4");
    // Of another process, of another question, of nobody.
    let (epoch, _) = first.split_once('-').unwrap();
    let later = format!("{epoch}-1000000");
    for (rest, last) in [
        ("?over=spans&q=status:error", "1-1"),
        ("?over=spans&q=status:success", &*first),
        ("?over=spans&q=status:error", &*later),
        ("?over=spans&q=status:error", "nonsense"),
        ("?over=spans&q=status:error&last_event_id=nonsense", ""),
    ] {
        let last = Some(last).filter(|last| !last.is_empty());
        let mut lost = Watching::of(&world, rest, last).await;
        assert_eq!(
            lost.event().await,
            (String::new(), "gap".to_owned(), json!({ "missed": null })),
            "{rest} {last:?}"
        );
    }
}

#[tokio::test]
async fn nobody_hears_of_another_project() {
    let world = world().await;
    let mut watching = Watching::of(&world, "", None).await;
    let body = r#"{"trace_id":"b-1","name":"of b","steps":[]}"#;
    assert_eq!(
        ask(&world.app, post("/v1/traces", "key-of-b", JSON, body))
            .await
            .status,
        201
    );
    send(&world, &[made(7, false)]).await;
    assert_eq!(watching.event().await.2["name"], "live-7");
}

#[tokio::test]
async fn a_hundred_different_filters_are_each_told_what_passes_them() {
    let world = world().await;
    send(&world, &[made(1_000, true)]).await;
    let mut all = Vec::new();
    for n in 1..=100 {
        let q = format!("?over=spans&q=name:live-{n}");
        all.push(Watching::of(&world, &q, None).await);
    }
    // Whole runs by a test of their spans, and free text.
    let mut runs = Watching::of(&world, "?q=%7Bname:live-7%7D", None).await;
    let mut words = Watching::of(&world, "?over=spans&q=%22live+9%22", None).await;
    let spans: Vec<Value> = (1..=100).map(|n| made(n, n % 2 == 0)).collect();
    send(&world, &spans).await;
    for (n, watching) in (1..).zip(&mut all) {
        let (_, kind, data) = watching.event().await;
        let name = format!("live-{n}");
        assert_eq!((&*kind, &data["name"]), ("span", &json!(name)));
    }
    assert_eq!(runs.event().await.2["trace_id"], format!("{:032x}", 507));
    assert_eq!(words.event().await.2["name"], "live-9");
    // What is sent again is no news, and what changes is told again.
    send(&world, &spans[..50]).await;
    let mut open = made(200, false);
    open["name"] = json!("live-1");
    let whole = open.clone();
    open["endTimeUnixNano"] = json!("0");
    for (span, status) in [(open, "running"), (whole, "success")] {
        send(&world, &[span]).await;
        let data = all[0].event().await.2;
        let told = (&data["span_id"], &data["status"]);
        assert_eq!(told, (&json!(format!("{:016x}", 200)), &json!(status)));
    }
}

#[tokio::test]
async fn who_never_reads_finds_a_gap_and_holds_up_nobody() {
    let world = world().await;
    let mut deaf = Watching::of(&world, "?over=spans&q=status:error", None).await;
    let mut reads = Watching::of(&world, "?over=spans&q=status:success", None).await;
    let rooms = TAIL_RING_BYTES / 200;
    let (mut sent, mut last) = (0, 0);
    while sent < rooms {
        let batch: Vec<Value> = (1..=500).map(|n| made(last + n, true)).collect();
        send(&world, &batch).await;
        (sent, last) = (sent + batch.len(), last + 500);
        send(&world, &[made(1_000_000 + last, false)]).await;
        let name = format!("live-{}", 1_000_000 + last);
        assert_eq!(reads.event().await.2["name"], name);
    }
    let (mut told, mut missed) = (0, 0);
    while told + missed < sent as u64 {
        let (_, kind, data) = deaf.event().await;
        match &*kind {
            "span" => told += 1,
            "gap" => missed += data["missed"].as_u64().unwrap(),
            other => panic!("{other}"),
        }
    }
    assert!(missed > 0 && told > 0);
    assert_eq!(
        told + missed,
        sent as u64,
        "each is told once or counted as missed"
    );
}

#[tokio::test]
async fn places_are_bounded_and_given_back() {
    let world = world().await;
    let mut held = Vec::new();
    for n in 0..TAIL_CHANNELS_MAX {
        held.push(Watching::of(&world, &format!("?q=a:{n}"), None).await);
    }
    let (status, error) = refused(&world, "/tail?q=one_more").await;
    assert_eq!((status, error["code"].as_str()), (503, Some("overloaded")));
    // A question that nobody reads any more makes room.
    held.pop();
    let mut status = 503;
    while status == 503 {
        tokio::task::yield_now().await;
        let asked = get("/v1/projects/1/tail?q=one_more", "key-of-a");
        let said = build(Arc::clone(&world.app)).oneshot(asked).await.unwrap();
        status = said.status().as_u16();
    }
    // The same question once more takes no channel.
    while held.len() < TAIL_WATCHERS_MAX {
        held.push(Watching::of(&world, "?q=a:0", None).await);
    }
    assert_eq!(refused(&world, "/tail?q=a:0").await.0, 503);
    held.pop();
    let again = world.app.core().unwrap().tails();
    while again.watch().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(refused(&world, "/tail?q=a:(").await.1["field"], "q");
    let broken = refused(&world, "/tail?filter=%7B%22eq%22%3A1%7D").await.1;
    assert_eq!(broken["field"], "filter.eq");
}
