//! What a row with media is read as when something beside it is not as it was written.

use std::io::Write;

use super::*;

fn file_of(world: &World, bytes: &[u8]) -> PathBuf {
    directory(world, TRACE).join(ContentHash::of(bytes).to_string())
}

/// A later event of another protocol makes the row one of that, and takes nothing of the media out of it.
#[tokio::test]
async fn a_span_that_another_protocol_updates_reads_as_it_was_sent() {
    let world = world().await;
    let said = message(&[picture(1)]);
    send_spans(&world, &[span(TRACE, 1, &said)]).await;
    let id = format!("{:016x}", 1);
    let update = json!({ "batch": [{ "id": "e", "type": "span-update", "timestamp": "2026-11-20T00:00:00Z",
        "body": { "id": id, "traceId": TRACE, "version": "later" } }] });
    let sent = post(
        "/api/public/ingestion",
        "key-of-a",
        JSON,
        update.to_string(),
    );
    assert_eq!(ask(&world.app, sent).await.status, 207);
    let shown = said_of(&world, TRACE, 1, "").await;
    assert_eq!(shown["raw"]["dialect"], "langfuse");
    assert_eq!(shown["raw"]["attributes"][KEY], said);
    assert_eq!(shown["raw"].get("offloaded"), None);
}

/// The fields that obsrv writes are a sender's like any other where a sender writes them.
#[tokio::test]
async fn nobody_takes_attachments_out_by_writing_so() {
    let world = world().await;
    let bytes = picture(1);
    let said = message(std::slice::from_ref(&bytes));
    send_spans(&world, &[span(TRACE, 1, &said)]).await;
    let gone = json!([{ "sha256": ContentHash::of(&bytes).to_string(), "removed": 1 }]);
    let trace =
        json!({ "trace_id": TRACE, "name": "n", "status": "success", "steps": [], "blobs": gone });
    let sent = post("/v1/traces", "key-of-a", JSON, trace.to_string());
    assert_eq!(ask(&world.app, sent).await.status, 201);
    assert_eq!(blobs_of(&world, TRACE).await.len(), 1);
    assert_eq!(said_of(&world, TRACE, 1, "").await["attributes"][KEY], said);
    let shown = read(&world, &format!("/v1/traces/{TRACE}")).await.json();
    assert_eq!(shown["trace"]["blobs"], gone);
}

/// What the trace's row would say of removals is not known then: the file is there.
#[tokio::test]
async fn a_span_is_whole_while_the_row_of_its_trace_does_not_read() {
    let world = world().await;
    let said = message(&[picture(1)]);
    send_spans(&world, &[span(TRACE, 1, &said)]).await;
    flushed(&world).await;
    // The trace's row alone once more, in a segment of its own.
    let path = format!("/v1/projects/1/traces/{TRACE}/blobs");
    attach(&world, &path, PNG.to_vec()).await;
    flushed(&world).await;
    spoil_newest_segment(&world);
    assert_eq!(read(&world, &path).await.status, 500);
    let shown = said_of(&world, TRACE, 1, "").await;
    assert_eq!(shown["attributes"][KEY], said);
    let path = "/v1/projects/1/export?over=spans&format=otlp&allow_partial=true";
    let exported = String::from_utf8(read(&world, path).await.body).unwrap();
    assert!(exported.contains(&STANDARD.encode(picture(1))));
    std::fs::remove_file(file_of(&world, &picture(1))).unwrap();
    let shown = said_of(&world, TRACE, 1, "").await["attributes"][KEY].clone();
    assert!(shown.to_string().contains("[media lost: "), "{shown}");
}

async fn flushed(world: &World) {
    let engine = Arc::clone(world.app.core().unwrap().engine());
    let before = engine.stats().segments;
    engine.freeze();
    while engine.stats().segments == before || engine.stats().frozen > 0 {
        tokio::task::yield_now().await;
    }
}

fn spoil_newest_segment(world: &World) {
    let files = std::fs::read_dir(world.dir.path()).unwrap();
    let named = files.map(|file| file.unwrap().path());
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let segments = named.filter(|path| name(path).starts_with("segment-"));
    let path = segments.max().unwrap();
    let len = usize::try_from(std::fs::metadata(&path).unwrap().len()).unwrap();
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all(&vec![0x5a; len]).unwrap();
}

/// One file that the disk does not give is said to be so, and the rest of the trace is there.
#[tokio::test]
async fn a_file_that_does_not_read_takes_nothing_else_with_it() {
    let world = world().await;
    let said = message(&[picture(1)]);
    send_spans(
        &world,
        &[span(TRACE, 1, &said), span(TRACE, 2, "no picture")],
    )
    .await;
    let dir = directory(&world, TRACE);
    std::fs::remove_dir_all(&dir).unwrap();
    std::fs::write(&dir, "in the way").unwrap();
    let shown = said_of(&world, TRACE, 1, "").await["attributes"][KEY].clone();
    let mark = "[media unreadable: image/png, ";
    assert!(shown.as_str().unwrap().contains(mark), "{shown}");
    for path in [
        format!("/v1/traces/{TRACE}"),
        "/v1/projects/1/export?over=spans&format=otlp".to_owned(),
    ] {
        let said = read(&world, &path).await;
        let text = String::from_utf8(said.body).unwrap();
        assert!(said.status == 200 && text.contains(mark) && text.contains("no picture"));
    }
}
