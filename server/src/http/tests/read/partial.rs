//! Every question over damaged segments: an error that says so, or an answer that says what it left out.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use super::*;

/// Places of a segment that are damaged, each in a world of its own.
const PLACES: u64 = 14;
const TRACE: &str = "000000000000000000000000000000aa";

/// A span with a message, a thread and a user.
fn talking(n: u64) -> Value {
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let said = json!([{ "role": "user", "content": format!("question {n}") }]).to_string();
    json!({
        "traceId": TRACE, "spanId": format!("{n:016x}"), "name": format!("step-{n}"),
        "startTimeUnixNano": (BASE_NS + i64::try_from(n).unwrap()).to_string(),
        "endTimeUnixNano": (BASE_NS + 1_000).to_string(),
        "attributes": [
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.input.messages", &said), text("session.id", "thread-1"), text("user.id", "user-1"),
        ],
    })
}

/// Everything so far in a segment.
pub(super) async fn flushed(world: &World) {
    let engine = &world.app.core().unwrap().engine;
    let before = engine.stats().segments;
    engine.freeze();
    while engine.stats().segments == before || engine.stats().frozen > 0 {
        tokio::task::yield_now().await;
    }
}

/// The rows of one trace in two segments.
async fn in_two_segments() -> World {
    let world = world().await;
    for half in [1..40, 40..80] {
        let spans: Vec<Value> = half.map(talking).collect();
        send(&world, &spans).await;
        flushed(&world).await;
    }
    world
}

/// Paths of questions, and bodies of those that are posted.
fn questions(allow: bool) -> Vec<(&'static str, String, Option<Value>)> {
    let flag = format!("allow_partial={allow}");
    let of = |name, path: &str| {
        let joint = if path.contains('?') { '&' } else { '?' };
        (name, format!("{path}{joint}{flag}"), None)
    };
    let side = json!({ "q": "" });
    let mut all = vec![
        of("tree", &format!("/traces/{TRACE}/spans")),
        of(
            "tree as columns",
            &format!("/traces/{TRACE}/spans?shape=columns"),
        ),
        of("conversation", &format!("/traces/{TRACE}/conversation")),
        of("facets of spans", "/facets?over=spans&keys=name"),
        of("facets of traces", "/facets?keys=status"),
        of("threads", "/threads"),
        of("users", "/users"),
        of("thread", "/threads/thread-1"),
        of("user", "/users/user-1"),
        of("export as lines", "/export?over=spans"),
        of("export as requests", "/export?over=spans&format=otlp"),
    ];
    let compare =
        json!({ "over": "spans", "a": side, "b": side, "keys": ["name"], "allow_partial": allow });
    all.push(("compare", "/compare".to_owned(), Some(compare)));
    all.push((
        "paths",
        "/paths".to_owned(),
        Some(json!({ "allow_partial": allow })),
    ));
    all
}

async fn asked(world: &World, path: &str, body: Option<Value>) -> (u16, Value) {
    let said = match body {
        Some(body) => question(world, path, body).await,
        None => {
            ask(
                &world.app,
                get(&format!("/v1/projects/1{path}"), "key-of-a"),
            )
            .await
        }
    };
    let text = String::from_utf8(said.body).unwrap();
    // Of lines the last one.
    let last = text.lines().last().unwrap_or("null");
    (said.status.as_u16(), serde_json::from_str(last).unwrap())
}

/// Flips a bit at this part of the newer segment, behind the engine's back.
fn damage(world: &World, place: u64) {
    let files = std::fs::read_dir(world.dir.path()).unwrap();
    let named = files.map(|file| file.unwrap().path());
    let is_segment = |path: &PathBuf| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("segment-")
    };
    let path = named.filter(is_segment).max().unwrap();
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let at = 36 + (file.metadata().unwrap().len() - 36) * place / PLACES;
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[byte[0] ^ 0x10]).unwrap();
}

#[tokio::test]
async fn every_question_over_damage_fails_by_name_or_says_what_it_left_out() {
    let mut met: BTreeMap<&str, u32> = BTreeMap::new();
    for place in 0..PLACES {
        let world = in_two_segments().await;
        damage(&world, place);
        for ((name, strict, body), (_, partial, partial_body)) in
            questions(false).into_iter().zip(questions(true))
        {
            let (status, told) = asked(&world, &strict, body).await;
            let (partial_status, partly) = asked(&world, &partial, partial_body).await;
            if status == 200 {
                assert!(partly.get("damaged").is_none(), "{name}: {partly}");
                continue;
            }
            assert_eq!(
                (status, &told["error"]["code"]),
                (500, &json!("damaged")),
                "{name}"
            );
            if partial_status == 200 {
                *met.entry(name).or_default() += 1;
                let parts = partly["damaged"]
                    .as_array()
                    .unwrap_or_else(|| panic!("{name}: {partly}"));
                assert!(!parts.is_empty(), "{name}");
                for part in parts {
                    assert!(
                        part["segment"].as_str().unwrap().starts_with("segment-"),
                        "{name}"
                    );
                    assert!(part["rows"].as_u64().unwrap() > 0, "{name}");
                }
            } else {
                // The one row that the question is about is what does not read.
                assert_eq!(partly["error"]["code"], "damaged", "{name}: {partly}");
                assert!(["thread", "user"].contains(&name), "{name}: {partly}");
            }
        }
    }
    let (_, missing): (Vec<_>, Vec<_>) = questions(true)
        .into_iter()
        .map(|(name, ..)| name)
        .filter(|name| !["thread", "user"].contains(name))
        .partition(|name| met.contains_key(name));
    assert!(
        missing.is_empty(),
        "never answered in part: {missing:?} {met:?}"
    );
}

#[tokio::test]
async fn forms_that_cannot_say_what_is_left_out_refuse_to_leave_out() {
    let world = world().await;
    for format in ["csv", "otlp-protobuf"] {
        let path = format!("/export?over=spans&format={format}&allow_partial=true");
        let (status, error) = refused(&world, &path).await;
        assert_eq!(
            (status, &error["field"]),
            (400, &json!("format")),
            "{format}"
        );
    }
}
