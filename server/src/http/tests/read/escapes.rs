//! Text that a client wrote down as JSON, in payloads, attributes and log lines: found by what was said.

use super::partial::flushed;
use super::*;

const SAID: [(&str, &str); 3] = [
    ("東京のホテル", r"\u6771\u4eac\u306e\u30db\u30c6\u30eb"),
    ("🚀 launch", r"\ud83d\ude00 \ud83d\ude80 launch"),
    (
        "رحلة إلى القاهرة",
        r"\u0631\u062d\u0644\u0629\n\u0625\u0644\u0649 \u0627\u0644\u0642\u0627\u0647\u0631\u0629",
    ),
];

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// Each text as a message of a span, as an attribute of one, within the arguments of a call in a message, and in a line.
async fn some(world: &World) {
    for ((_, escaped), n) in SAID.iter().zip(0u64..) {
        let message = format!(r#"[{{"role":"user","content":"{escaped}"}}]"#);
        let inner = format!(r#"{{"query":"{escaped}"}}"#);
        let call = json!([{ "role": "assistant", "arguments": inner }]).to_string();
        let span = |place: u64, attribute: Value| {
            let id = n * 10 + place;
            json!({
                "traceId": format!("{:032x}", id + 1), "spanId": format!("{:016x}", id + 1), "name": format!("span-{id}"),
                "startTimeUnixNano": (BASE_NS + i64::try_from(id).unwrap()).to_string(),
                "endTimeUnixNano": (BASE_NS + 1_000).to_string(),
                "attributes": [text("gen_ai.operation.name", "chat"), attribute],
            })
        };
        let spans = [
            span(0, text("gen_ai.input.messages", &message)),
            span(1, text("app.note", &inner)),
            span(2, text("gen_ai.output.messages", &call)),
        ];
        send(world, &spans).await;
        let line = json!({
            "timeUnixNano": (BASE_NS + i64::try_from(n).unwrap()).to_string(),
            "body": { "stringValue": format!("got payload={inner}") },
        });
        let lines = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [line] }] }] });
        let said = ask(
            &world.app,
            post("/v1/logs", "key-of-a", JSON, lines.to_string()),
        )
        .await;
        assert_eq!(said.status, 200);
    }
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test]
async fn what_was_said_is_found_behind_escapes() {
    let world = world().await;
    some(&world).await;
    for flush in [false, true] {
        if flush {
            flushed(&world).await;
        }
        for (asked, of) in [
            ("東京", 0),
            ("\"東京のホテル\"", 0),
            ("~京のホ", 0),
            ("=~東.の", 0),
            ("🚀", 1),
            ("~\"🚀 launch\"", 1),
            ("القاهرة", 2),
            ("\"رحلة إلى القاهرة\"", 2),
            ("~إلى", 2),
        ] {
            let q = percent(asked);
            let spans = read(&world, &format!("/spans?total=true&sort=start&q={q}")).await;
            let rows = spans["data"].as_array().unwrap().iter();
            let names: Vec<&str> = rows.map(|row| row["name"].as_str().unwrap()).collect();
            let expected: Vec<String> = (0..3)
                .map(|place| format!("span-{}", of * 10 + place))
                .collect();
            assert_eq!(names, expected, "{asked} flushed={flush}");
            assert_eq!(spans["total"], 3, "{asked}");
            let lines = read(&world, &format!("/logs?total=true&q={q}")).await;
            assert_eq!(lines["total"], 1, "{asked} flushed={flush}");
            let body = lines["data"][0]["body"].as_str().unwrap();
            assert!(
                body.contains(SAID[usize::try_from(of).unwrap()].1),
                "{body}"
            );
        }
    }
    // What a client wrote is found as it was written, too, and no field says anything else.
    let raw = percent(r#"~"\\u6771\\u4eac""#);
    let raw = read(&world, &format!("/spans?total=true&q={raw}")).await;
    assert_eq!(raw["total"], 3, "{raw}");
    let at = read(
        &world,
        &format!(
            "/spans?total=true&q={}",
            percent("attributes.app.note~東京")
        ),
    )
    .await;
    assert_eq!(at["total"], 1);
    let whole = read(
        &world,
        &format!(
            "/spans?total=true&q={}",
            percent("attributes.app.note:東京")
        ),
    )
    .await;
    assert_eq!(whole["total"], 0);
}
