//! Media inside of rows that come as OTLP. What is expected is what was sent.

mod faults;

use super::*;
use crate::limits::MEDIA_BYTES_MIN;

const TRACE: &str = "000000000000000000000000000000aa";
const OTHER: &str = "000000000000000000000000000000bb";
pub(super) const KEY: &str = "gen_ai.input.messages";

/// Bytes that begin as a picture does, so many that their base64 is of the least length; others for another seed.
pub(super) fn picture(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let noise = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[2]
    });
    let head = b"\x89PNG\r\n\x1a\n".iter().copied();
    head.chain(noise).take(MEDIA_BYTES_MIN / 4 * 3).collect()
}

/// A message as clients of `OpenAI` write it, with pictures.
pub(super) fn message(pictures: &[Vec<u8>]) -> String {
    let parts = pictures.iter().map(|bytes| {
        let url = format!("data:image/png;base64,{}", STANDARD.encode(bytes));
        json!({ "type": "image_url", "image_url": { "url": url } })
    });
    let text = json!({ "type": "text", "text": "What is this?" });
    let parts: Vec<Value> = std::iter::once(text).chain(parts).collect();
    json!([{ "role": "user", "content": parts }]).to_string()
}

pub(super) fn span(trace: &str, id: u64, said: &str) -> Value {
    json!({ "traceId": trace, "spanId": format!("{id:016x}"), "name": "chat", "kind": 3,
        "startTimeUnixNano": "1795000000000000000", "endTimeUnixNano": "1795000000000000005",
        "attributes": [
            { "key": "gen_ai.operation.name", "value": { "stringValue": "chat" } },
            { "key": KEY, "value": { "stringValue": said } },
        ] })
}

pub(super) fn request(spans: &[Value]) -> Value {
    json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] })
}

async fn send_to(world: &World, path: &str, body: &Value) {
    let said = ask(&world.app, post(path, "key-of-a", JSON, body.to_string())).await;
    assert_eq!(said.status, 200, "{}", String::from_utf8_lossy(&said.body));
}

async fn send_spans(world: &World, spans: &[Value]) {
    send_to(world, "/otlp/v1/traces", &request(spans)).await;
}

pub(super) fn path_of(trace: &str, id: u64, more: &str) -> String {
    format!("/v1/projects/1/traces/{trace}/spans/{id:016x}{more}")
}

async fn said_of(world: &World, trace: &str, id: u64, more: &str) -> Value {
    let said = read(world, &path_of(trace, id, more)).await;
    assert_eq!(said.status, 200, "{}", String::from_utf8_lossy(&said.body));
    said.json()
}

async fn blobs_of(world: &World, trace: &str) -> Vec<Value> {
    let said = read(world, &format!("/v1/projects/1/traces/{trace}/blobs")).await;
    said.json()["data"].as_array().unwrap().clone()
}

/// How many files of the data directory hold this, by whether they are attachments.
fn files_with(world: &World, needle: &[u8]) -> (usize, usize) {
    let mut found = (0, 0);
    let mut dirs = vec![world.dir.path().to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if memchr::memmem::find(&std::fs::read(&path).unwrap(), needle).is_some() {
                let is_blob = path.starts_with(world.dir.path().join("blobs"));
                *(if is_blob { &mut found.0 } else { &mut found.1 }) += 1;
            }
        }
    }
    found
}

#[tokio::test]
async fn what_was_cut_out_reads_back_as_it_was_sent() {
    let world = world().await;
    let bytes = picture(1);
    let said = message(std::slice::from_ref(&bytes));
    send_spans(&world, &[span(TRACE, 1, &said)]).await;
    let [blob] = &blobs_of(&world, TRACE).await[..] else {
        panic!("not one attachment")
    };
    assert_eq!(
        (&blob["content_type"], &blob["declared_type"], &blob["size"]),
        (
            &"image/png".into(),
            &"image/png".into(),
            &bytes.len().into()
        )
    );
    assert!(read(&world, blob["url"].as_str().unwrap()).await.body == bytes);
    // On disk it is a file, and nowhere else, neither as bytes nor as text.
    let text = STANDARD.encode(&bytes);
    assert_eq!(files_with(&world, &bytes[1000..1040]), (1, 0));
    assert_eq!(files_with(&world, &text.as_bytes()[1000..1040]), (0, 0));

    let shown = said_of(&world, TRACE, 1, "").await;
    assert_eq!(shown["attributes"][KEY], said);
    assert_eq!(shown["raw"]["attributes"][KEY], said);
    assert_eq!(shown["raw"].get("offloaded"), None);
    let url = &shown["messages"][0]["content"][1]["image_url"];
    assert!(url.to_string().contains(&text), "{url}");
    let inline = said_of(&world, TRACE, 1, "?media=inline").await;
    assert_eq!(inline, shown);
    let stored = read(&world, &path_of(TRACE, 1, "?media=reference")).await;
    assert!(stored.body.len() < 6000, "{}", stored.body.len());
    let stored = stored.json();
    let nonce = stored["raw"]["offloaded"]["nonce"].as_str().unwrap();
    let token = format!("obsrv-media:{nonce}:0:{}", blob["sha256"].as_str().unwrap());
    assert_eq!(stored["attributes"][KEY], said.replace(&text, &token));
    assert_eq!(
        stored["raw"]["offloaded"]["media"],
        json!([{ "sha256": blob["sha256"], "size": bytes.len(), "content_type": "image/png", "encoding": "base64" }])
    );
    let wrong = read(&world, &path_of(TRACE, 1, "?media=none")).await;
    assert_eq!(
        (wrong.status.as_u16(), &wrong.json()["error"]["field"]),
        (400, &"media".into())
    );
}

#[tokio::test]
async fn answers_that_hold_content_are_whole_and_lists_are_short() {
    let world = world().await;
    let said = message(&[picture(1)]);
    let text = STANDARD.encode(picture(1));
    send_spans(&world, &[span(TRACE, 1, &said)]).await;
    let trace = read(&world, &format!("/v1/traces/{TRACE}")).await.json();
    assert_eq!(trace["trace"]["steps"][0]["metadata"][KEY], said);
    for path in [
        "/v1/projects/1/export?over=spans&format=otlp".to_owned(),
        "/v1/projects/1/export?format=otlp".to_owned(),
        format!("/tempo/api/traces/{TRACE}"),
        format!("/tempo/api/v2/traces/{TRACE}"),
        format!("/jaeger/api/traces/{TRACE}"),
        format!("/jaeger/api/v3/traces/{TRACE}"),
        format!("/api/public/observations/{:016x}", 1),
        format!("/api/public/traces/{TRACE}"),
    ] {
        let got = read(&world, &path).await;
        let got = String::from_utf8(got.body).unwrap();
        let has = |text: &str| got.contains(text);
        assert!(
            has(&text) && !has("obsrv-media"),
            "{path} {}",
            &got[..got.len().min(500)]
        );
    }
    for path in [
        "/v1/projects/1/spans".to_owned(),
        "/v1/projects/1/traces".to_owned(),
        format!("/v1/projects/1/traces/{TRACE}/spans"),
        format!("/v1/projects/1/traces/{TRACE}/render"),
        format!("/v1/projects/1/traces/{TRACE}/conversation"),
        "/v1/projects/1/export?over=spans&raw=true".to_owned(),
    ] {
        let got = read(&world, &path).await;
        assert_eq!(got.status, 200, "{path}");
        assert!(got.body.len() < 6000, "{path} {}", got.body.len());
    }
    // The text beside it is found, the picture's is no word.
    for (word, count) in [("%22What%20is%20this%22", 1), (&text[..60], 0)] {
        let path = format!("/v1/projects/1/spans?q={}", word.replace('+', "%2B"));
        let found = read(&world, &path).await.json();
        assert_eq!(found["data"].as_array().unwrap().len(), count, "{word}");
    }
}

/// A picture that comes with every turn is said once.
#[tokio::test]
async fn a_talk_about_a_picture_has_each_message_once() {
    let world = world().await;
    let first = message(&[picture(1)]);
    let answer = json!({ "role": "assistant", "content": "A red dot." });
    let mut turn: Value = serde_json::from_str(&first).unwrap();
    turn.as_array_mut().unwrap().push(answer);
    let spans = [span(TRACE, 1, &first), span(TRACE, 2, &turn.to_string())];
    send_spans(&world, &spans).await;
    let path = format!("/v1/projects/1/traces/{TRACE}/conversation");
    let talk = read(&world, &path).await.json();
    let roles: Vec<_> = talk["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["user", "assistant"]);
    let url = &talk["data"][0]["content"][1]["image_url"];
    let named = format!(
        "obsrv-media:{}:0:{}",
        "0".repeat(32),
        ContentHash::of(&picture(1))
    );
    assert!(url.to_string().contains(&named), "{url}");
    let messages = |id| said_of(&world, TRACE, id, "?media=reference");
    assert_eq!(
        messages(1).await["messages"][0],
        messages(2).await["messages"][0]
    );
}

#[tokio::test]
async fn sent_again_it_is_the_same_row_and_the_same_file() {
    let world = world().await;
    let said = message(&[picture(1), picture(2), picture(1)]);
    for _ in 0..3 {
        send_spans(&world, &[span(TRACE, 1, &said)]).await;
    }
    // The next turn has the first picture again.
    send_spans(&world, &[span(TRACE, 2, &message(&[picture(1)]))]).await;
    assert_eq!(blobs_of(&world, TRACE).await.len(), 2);
    assert_eq!(
        std::fs::read_dir(directory(&world, TRACE)).unwrap().count(),
        2
    );
    assert_eq!(said_of(&world, TRACE, 1, "").await["attributes"][KEY], said);
    let run = read(&world, &format!("/v1/projects/1/traces/{TRACE}"))
        .await
        .json();
    assert_eq!(run["trace"]["span_count"], 2);
    // A run does not grow by what is sent again.
    let core = world.app.core().unwrap();
    let row = core.engine().snapshot();
    let row = row.row(ProjectId(1), obsrv_engine::row::Table::Runs, (TRACE, TRACE));
    let body = row.unwrap().unwrap().body;
    let parts = obsrv_engine::body::decode(&body).unwrap().parts.len();
    assert_eq!(
        parts, 3,
        "what follows from spans, and a part for each file"
    );
}

#[tokio::test]
async fn one_attachment_taken_out_is_gone_from_the_span_until_it_is_sent_again() {
    let world = world().await;
    let (gone, stays) = (picture(1), picture(2));
    let said = message(&[gone.clone(), stays.clone()]);
    send_spans(&world, &[span(TRACE, 1, &said)]).await;
    let url = format!(
        "/v1/projects/1/traces/{TRACE}/blobs/{}",
        ContentHash::of(&gone).id()
    );
    let request = Request::delete(&url).header("x-api-key", "key-of-a");
    let removed = ask(&world.app, request.body(Body::empty()).unwrap()).await;
    assert_eq!(removed.status, 200);
    assert_eq!(files_with(&world, &gone[1000..1040]), (0, 0));
    let mark = format!(
        "[media removed: image/png, {} bytes, sha-256 {}]",
        gone.len(),
        ContentHash::of(&gone)
    );
    let shown = said_of(&world, TRACE, 1, "").await;
    let left = said.replace(&STANDARD.encode(&gone), &mark);
    assert_eq!(shown["attributes"][KEY], left);
    // Also while the file is there still: what the trace's row says counts.
    let owner = Owner::new(ProjectId(1), TRACE).unwrap();
    let blobs = Arc::clone(world.app.core().unwrap().blobs().unwrap());
    let mut spooling = blobs.spool().begin().unwrap();
    spooling.write(&gone).unwrap();
    let key = owner.blob(ContentHash::of(&gone));
    blobs
        .store()
        .put_once(&key, spooling.finish().unwrap())
        .unwrap();
    assert_eq!(said_of(&world, TRACE, 1, "").await["attributes"][KEY], left);
    send_spans(&world, &[span(TRACE, 1, &said)]).await;
    assert_eq!(said_of(&world, TRACE, 1, "").await["attributes"][KEY], said);
    // A file that is lost or damaged is said to be, and the span is read all the same.
    std::fs::write(
        directory(&world, TRACE).join(ContentHash::of(&gone).to_string()),
        "x",
    )
    .unwrap();
    std::fs::remove_file(directory(&world, TRACE).join(ContentHash::of(&stays).to_string()))
        .unwrap();
    let shown = said_of(&world, TRACE, 1, "").await["attributes"][KEY].clone();
    let shown = shown.as_str().unwrap();
    assert!(
        shown.contains("[media damaged: image/png,") && shown.contains("[media lost: image/png,"),
        "{shown}"
    );
    delete(&world, TRACE).await;
    assert!(!directory(&world, TRACE).try_exists().unwrap());
    for bytes in [&gone, &stays] {
        assert_eq!(files_with(&world, &bytes[1000..1040]), (0, 0));
    }
    assert_eq!(read(&world, &path_of(TRACE, 1, "")).await.status, 404);
}

/// A token is text for whoever sends it: of the own trace, of another one, of another project.
#[tokio::test]
async fn nobody_reads_by_a_token_what_is_not_in_the_row() {
    let world = world().await;
    let bytes = picture(1);
    send_spans(&world, &[span(TRACE, 1, &message(&[bytes]))]).await;
    let stored = said_of(&world, TRACE, 1, "?media=reference").await;
    let told = stored["attributes"][KEY].as_str().unwrap().to_owned();
    assert!(told.contains("obsrv-media:"));
    let offloaded = stored["raw"]["offloaded"].clone();
    let field = json!({ "key": "offloaded", "value": { "stringValue": offloaded.to_string() } });
    for (trace, id) in [(TRACE, 2), (OTHER, 3)] {
        let mut forged = span(trace, id, &told);
        forged["attributes"]
            .as_array_mut()
            .unwrap()
            .push(field.clone());
        forged["offloaded"] = offloaded.clone();
        send_spans(&world, &[forged]).await;
        let shown = said_of(&world, trace, id, "").await;
        assert_eq!(shown["attributes"][KEY], told);
        assert_eq!(shown["attributes"]["offloaded"], offloaded.to_string());
        assert_eq!(shown["raw"].get("offloaded"), None);
    }
    // Beside a picture of its own.
    let own = message(&[picture(2)]);
    let both = json!([told, own]).to_string();
    send_spans(&world, &[span(OTHER, 4, &both)]).await;
    assert_eq!(said_of(&world, OTHER, 4, "").await["attributes"][KEY], both);
    assert_eq!(blobs_of(&world, OTHER).await.len(), 1);
    // Another project, the same trace id: neither by the token nor by the picture's hash.
    let body = request(&[span(TRACE, 5, &told)]).to_string();
    let said = ask(&world.app, post("/otlp/v1/traces", "key-of-b", JSON, body)).await;
    assert_eq!(said.status, 200);
    let path = path_of(TRACE, 5, "").replace("projects/1", "projects/2");
    let shown = ask(&world.app, get(&path, "key-of-b")).await.json();
    assert_eq!(shown["attributes"][KEY], told);
    // A sender of the theta protocol who writes the field into the row of a step.
    let step = json!({ "step_id": "s", "type": "llm", "status": "success", "name": told, "dialect": "otlp",
        "offloaded": offloaded, "attributes": { "a": told } });
    let trace = json!({ "trace_id": TRACE, "name": "n", "status": "success", "steps": [step] });
    let said = ask(
        &world.app,
        post("/v1/traces", "key-of-a", JSON, trace.to_string()),
    )
    .await;
    assert_eq!(said.status, 201, "{}", String::from_utf8_lossy(&said.body));
    let shown = read(&world, &format!("/v1/traces/{TRACE}")).await.json();
    let steps = shown["trace"]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["step_id"] == "s").unwrap();
    assert_eq!(
        (&step["offloaded"], &step["attributes"]["a"], &step["name"]),
        (&offloaded, &json!(told), &json!(told))
    );
}

#[tokio::test]
async fn what_is_over_a_limit_stays_in_its_row() {
    let world = world().await;
    // Larger than an attachment may be.
    let max = usize::try_from(BLOB_BYTES_OF_TESTS).unwrap();
    for (more, count) in [(0, 1), (1, 1)] {
        let large: Vec<u8> = picture(9).into_iter().cycle().take(max + more).collect();
        let said = message(&[large]);
        send_spans(&world, &[span(OTHER, 1, &said)]).await;
        assert_eq!(blobs_of(&world, OTHER).await.len(), count);
        assert_eq!(said_of(&world, OTHER, 1, "").await["attributes"][KEY], said);
    }
    // A trace of the longest name that has attachments, and of one that is longer.
    for (len, count) in [
        (BLOB_TRACE_ID_BYTES_MAX, 1),
        (BLOB_TRACE_ID_BYTES_MAX + 1, 0),
    ] {
        let run = "r".repeat(len);
        let said = message(&[picture(1)]);
        let mut of_run = span(OTHER, 2, &said);
        let named = json!({ "key": "tcc.runId", "value": { "stringValue": run } });
        of_run["attributes"].as_array_mut().unwrap().push(named);
        send_spans(&world, &[of_run]).await;
        assert_eq!(said_of(&world, &run, 2, "").await["attributes"][KEY], said);
        let path = format!("/v1/projects/1/traces/{run}");
        assert_eq!(read(&world, &path).await.status, 200);
        assert_eq!(
            said_of(&world, &run, 2, "?media=reference").await["raw"]
                .get("offloaded")
                .is_some(),
            count == 1
        );
    }
}

/// The room of a trace is what its run's row holds, and what is in it already takes none.
#[test]
fn a_row_is_cut_if_its_trace_has_room_for_all_of_it() {
    let of = |n: usize| Reference {
        id: n.to_string(),
        sha256: ContentHash::of(&n.to_le_bytes()),
        content_type: String::new(),
        size: 1,
        declared_type: None,
        name: None,
        span_id: None,
        field: None,
        upload: None,
        round: 0,
    };
    let held = Held {
        known: (2..BLOBS_PER_TRACE_MAX).map(of).collect(),
        rounds: Vec::new(),
        items: BLOBS_PER_TRACE_MAX - 2,
    };
    let two = held.with(&[of(0), of(1), of(1), of(5)]).unwrap();
    assert_eq!(two.items, BLOBS_PER_TRACE_MAX);
    assert!(
        held.with(&[of(0), of(1), of(BLOBS_PER_TRACE_MAX)])
            .is_none()
    );
    assert!(two.with(&[of(7), of(0)]).is_some() && two.with(&[of(BLOBS_PER_TRACE_MAX)]).is_none());
}

#[tokio::test]
async fn in_a_project_with_rules_the_rules_decide() {
    let world = world().await;
    let settings = json!({ "revision": 0, "settings": { "redaction": { "detectors": ["emails"], "media": "keep" } } });
    let change = Request::put("/v1/projects/1/settings").header("x-api-key", "key-of-a");
    let said = ask(
        &world.app,
        change.body(Body::from(settings.to_string())).unwrap(),
    )
    .await;
    assert_eq!(said.status, 200, "{}", String::from_utf8_lossy(&said.body));
    let told = message(&[picture(1)]);
    send_spans(&world, &[span(TRACE, 1, &told)]).await;
    assert_eq!(blobs_of(&world, TRACE).await.len(), 0);
    assert_eq!(
        said_of(&world, TRACE, 1, "?media=reference").await["attributes"][KEY],
        told
    );
}

/// Where the files cannot be put the media stays in its row, until it is sent once more.
#[tokio::test]
async fn no_row_is_without_its_file() {
    let world = world().await;
    let dir = directory(&world, TRACE);
    std::fs::create_dir_all(dir.parent().unwrap()).unwrap();
    std::fs::write(&dir, "in the way").unwrap();
    let said = message(&[picture(1)]);
    send_spans(&world, &[span(TRACE, 1, &said)]).await;
    let stored = said_of(&world, TRACE, 1, "?media=reference").await;
    assert_eq!(stored["attributes"][KEY], said);
    assert_eq!(stored["raw"].get("offloaded"), None);
    assert_eq!(blobs_of(&world, TRACE).await.len(), 0);
    let spool = std::fs::read_dir(world.dir.path().join("spool")).unwrap();
    assert_eq!(spool.count(), 0);
    std::fs::remove_file(&dir).unwrap();
    // What is there is not put again; what is lost is.
    let kept = || {
        let blobs = world.app.core().unwrap().blobs().unwrap();
        blobs
            .tally()
            .kept
            .load(std::sync::atomic::Ordering::Relaxed)
    };
    for (id, count) in [(2, 1), (3, 1)] {
        send_spans(&world, &[span(TRACE, id, &said)]).await;
        assert_eq!((blobs_of(&world, TRACE).await.len(), kept()), (1, count));
    }
    std::fs::remove_dir_all(&dir).unwrap();
    send_spans(&world, &[span(TRACE, 4, &said)]).await;
    assert_eq!(kept(), 2);
    assert_eq!(said_of(&world, TRACE, 2, "").await["attributes"][KEY], said);
}

/// A log line may outlive the row of its trace, whose file it would be.
#[tokio::test]
async fn log_lines_keep_media_in_the_row() {
    let world = world().await;
    let data = STANDARD.encode(picture(1));
    let line = |trace: &str| {
        json!({ "timeUnixNano": "1795000000000000000", "traceId": trace, "spanId": "0000000000000001",
            "eventName": "gen_ai.client.inference.operation.details",
            "body": { "kvlistValue": { "values": [{ "key": "data", "value": { "stringValue": data } }] } } })
    };
    send_spans(&world, &[span(TRACE, 1, "no picture")]).await;
    let body =
        json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [line(TRACE), line("")] }] }] });
    send_to(&world, "/otlp/v1/logs", &body).await;
    assert_eq!(blobs_of(&world, TRACE).await.len(), 0);
    let exported = read(&world, "/v1/projects/1/export?over=logs&format=otlp").await;
    let exported = String::from_utf8(exported.body).unwrap();
    assert_eq!(exported.matches(&data).count(), 2);
    assert!(!exported.contains("obsrv-media"));
}

/// A world whose answers put back three pictures at most.
async fn small_world() -> (World, usize) {
    let mut world = world().await;
    let app = Arc::get_mut(&mut world.app).expect("nobody else has it");
    app.query_bytes_max = u64::try_from(3 * MEDIA_BYTES_MIN).unwrap();
    (world, 3)
}

/// Exports that are as it was sent, and how they write the beginning of `text` in a string.
const WHOLE: [&str; 3] = [
    "/v1/projects/1/export?over=spans&format=otlp",
    "/v1/projects/1/export?format=otlp",
    "/v1/projects/1/export?over=spans&raw=true&media=inline",
];

async fn exported(world: &World, path: &str) -> String {
    let said = read(world, path).await;
    let text = String::from_utf8(said.body).unwrap();
    assert_eq!(said.status, 200, "{path} {text}");
    text
}

/// An export puts everything back, piece by piece, however much that is.
#[tokio::test]
async fn an_export_is_whole_in_pieces_that_have_a_limit() {
    let (world, room) = small_world().await;
    let count = 2 * room + 2;
    for n in 0..count {
        let id = u64::try_from(n).unwrap() + 1;
        send_spans(&world, &[span(TRACE, id, &message(&[picture(1)]))]).await;
    }
    let data = STANDARD.encode(picture(1));
    for path in WHOLE {
        let text = exported(&world, path).await;
        assert_eq!(text.matches(&data).count(), count, "{path}");
        assert!(!text.contains("obsrv-media"), "{path}");
    }
    // A page is one, in however many pieces: its cursor stands behind the last.
    let path = format!("{}&cursors=true&rows={}", WHOLE[2], count - 1);
    let text = exported(&world, &path).await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), count);
    let next: Value = serde_json::from_str(lines[count - 1]).unwrap();
    let path = format!(
        "{}&cursor={}",
        WHOLE[2],
        next["next_cursor"].as_str().unwrap()
    );
    assert_eq!(exported(&world, &path).await.lines().count(), 1);
    // One answer has no pages: what is over its room says which attachment it means.
    let whole = exported(&world, &format!("/tempo/api/traces/{TRACE}")).await;
    assert_eq!(whole.matches(&data).count(), room);
    assert_eq!(whole.matches("obsrv-media:").count(), count - room);
}

/// A row with more than there is room for is a piece of its own.
#[tokio::test]
async fn an_export_is_whole_in_rows_that_are_over_the_limit() {
    let (world, room) = small_world().await;
    let pictures = vec![picture(1); room + 1];
    for (id, pictures) in [
        (1, &pictures[..1]),
        (2, &pictures[..]),
        (3, &pictures[..room]),
    ] {
        send_spans(&world, &[span(TRACE, id, &message(pictures))]).await;
    }
    let data = STANDARD.encode(picture(1));
    for path in WHOLE {
        let text = exported(&world, path).await;
        assert_eq!(text.matches(&data).count(), 1 + room + 1 + room, "{path}");
        assert!(!text.contains("obsrv-media"), "{path}");
    }
}

/// Documents of an export name attachments unless they are asked for as they were sent, as lines and as Parquet.
#[tokio::test]
async fn an_export_has_documents_as_stored_or_as_sent() {
    let world = world().await;
    let said = message(&[picture(1)]);
    send_spans(&world, &[span(TRACE, 1, &said)]).await;
    let path = "/v1/projects/1/export?over=spans&raw=true";
    for (more, is_whole) in [
        ("", false),
        ("&media=reference", false),
        ("&media=inline", true),
    ] {
        let line: Value =
            serde_json::from_str(&exported(&world, &format!("{path}{more}")).await).unwrap();
        assert_eq!(line["raw"]["attributes"][KEY] == said, is_whole, "{more}");
        assert_eq!(line["raw"].get("offloaded").is_none(), is_whole, "{more}");
        let parquet = read(&world, &format!("{path}&format=parquet{more}")).await;
        assert_eq!(parquet.status, 200);
        let has = memchr::memmem::find(
            &parquet.body,
            &STANDARD.encode(picture(1)).as_bytes()[1000..2000],
        );
        assert_eq!(has.is_some(), is_whole, "{more}");
    }
    for wrong in [
        "raw=true&media=none",
        "media=inline",
        "format=otlp&media=reference",
        "format=csv&media=inline",
    ] {
        let refused = read(&world, &format!("/v1/projects/1/export?over=spans&{wrong}")).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["error"]["field"]),
            (400, &"media".into()),
            "{wrong}"
        );
    }
}
