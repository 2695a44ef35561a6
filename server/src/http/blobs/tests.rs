//! Attachments over a real engine and real files.

mod crash;
mod offloaded;
mod removal;

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, header};
use serde_json::{Value, json};

use super::shown::Held;
use crate::blob::key::{ContentHash, Owner};
use crate::blob::reference::Reference;
use crate::blob::sweep::Sweep;
use crate::governance::ProjectSettings;
use crate::http::ingest;
use crate::http::tests::{BLOB_BYTES_OF_TESTS, JSON, Said, World, ask, get, post, world};
use crate::limits::{
    BLOB_GRACE_TIME, BLOB_LINK_TIME_MAX, BLOB_NAME_BYTES_MAX, BLOB_SWEEP_TIME,
    BLOB_TRACE_ID_BYTES_MAX, BLOBS_PER_TRACE_MAX, MEDIA_BODY_BYTES_MAX,
};
use crate::tenancy::plane::{By, KeyTerms};
use obsrv_engine::row::ProjectId;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and the rest";
const OF_T: &str = "/v1/projects/1/traces/t/blobs";

fn bytes(len: u64) -> Vec<u8> {
    let byte = |n: u64| u8::try_from(n * 7 % 251).unwrap();
    (0..len).map(byte).collect()
}

async fn send(world: &World, path: &str, body: impl Into<Body>) -> Said {
    ask(&world.app, post(path, "key-of-a", "text/x", body)).await
}

async fn attach(world: &World, path: &str, body: impl Into<Body>) -> Value {
    let said = send(world, path, body).await;
    assert_eq!(said.status, 201, "{}", String::from_utf8_lossy(&said.body));
    said.json()
}

async fn read(world: &World, path: &str) -> Said {
    ask(&world.app, get(path, "key-of-a")).await
}

async fn read_with(world: &World, path: &str, name: header::HeaderName, value: &str) -> Said {
    let mut request = get(path, "key-of-a");
    request.headers_mut().insert(name, value.parse().unwrap());
    ask(&world.app, request).await
}

async fn store_trace(world: &World, id: &str) {
    let trace = json!({ "trace_id": id, "name": "n", "status": "success",
        "started_at": "2026-01-01T00:00:00Z", "steps": [] });
    let said = ask(
        &world.app,
        post("/v1/traces", "key-of-a", JSON, trace.to_string()),
    )
    .await;
    assert_eq!(said.status, 201);
}

async fn delete(world: &World, id: &str) {
    let request = Request::delete(format!("/v1/traces/{id}"))
        .header("x-api-key", "key-of-a")
        .body(Body::empty())
        .unwrap();
    assert_eq!(ask(&world.app, request).await.status, 200);
}

/// Where the files of a trace of project 1 are.
fn directory(world: &World, trace: &str) -> PathBuf {
    let owner = Owner::new(ProjectId(1), trace).unwrap();
    world.dir.path().join("blobs").join(owner.prefix())
}

#[tokio::test]
async fn what_is_sent_is_read_whole_and_in_ranges() {
    let world = world().await;
    let sent = bytes(BLOB_BYTES_OF_TESTS);
    let made = attach(
        &world,
        &format!("{OF_T}?name=a%20b&span_id=s&field=input"),
        sent.clone(),
    )
    .await;
    let hash = ContentHash::of(&sent);
    assert_eq!(made["id"], hash.id());
    assert_eq!(made["sha256"], hash.to_string());
    assert_eq!(
        (&made["name"], &made["span_id"], &made["field"]),
        (&"a b".into(), &"s".into(), &"input".into())
    );
    assert_eq!(
        (&made["declared_type"], &made["content_type"]),
        (&"text/x".into(), &"application/octet-stream".into())
    );
    let url = made["url"].as_str().unwrap();
    let said = read(&world, url).await;
    assert_eq!(said.status, 200);
    assert!(said.body == sent);
    assert_eq!(said.headers[header::CONTENT_LENGTH], sent.len().to_string());
    let part = read_with(&world, url, header::RANGE, "bytes=300000-300009").await;
    assert_eq!(
        (part.status.as_u16(), &part.body[..]),
        (206, &sent[300_000..300_010])
    );
    let whole = format!("bytes 300000-300009/{}", sent.len());
    assert_eq!(part.headers[header::CONTENT_RANGE], whole);
    let past = read_with(
        &world,
        url,
        header::RANGE,
        &format!("bytes={}-", sent.len()),
    )
    .await;
    assert_eq!((past.status.as_u16(), past.body.len()), (416, 0));
    assert_eq!(
        past.headers[header::CONTENT_RANGE],
        format!("bytes */{}", sent.len())
    );
    let tag = said.headers[header::ETAG].to_str().unwrap();
    let same = read_with(&world, url, header::IF_NONE_MATCH, tag).await;
    assert_eq!((same.status.as_u16(), same.body.len()), (304, 0));
    let head = Request::head(url).header("x-api-key", "key-of-a");
    let head = ask(&world.app, head.body(Body::empty()).unwrap()).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert_eq!(head.headers[header::CONTENT_LENGTH], sent.len().to_string());
}

/// The same bytes with the same words are one, with other words they are another fact of the same file; the
/// trace's own rows come before or after.
#[tokio::test]
async fn attachments_are_facts_of_the_run() {
    let world = world().await;
    for path in [
        OF_T.to_owned(),
        OF_T.to_owned(),
        format!("{OF_T}?field=output"),
    ] {
        attach(&world, &path, PNG).await;
    }
    attach(&world, OF_T, "plain").await;
    store_trace(&world, "t").await;
    let listed = read(&world, OF_T).await.json();
    let listed = listed["data"].as_array().unwrap();
    let fields: Vec<_> = listed
        .iter()
        .map(|blob| (blob["size"].as_u64().unwrap(), blob["field"].as_str()))
        .collect();
    let len = u64::try_from(PNG.len()).unwrap();
    assert_eq!(fields, [(len, None), (len, Some("output")), (5, None)]);
    assert_eq!(
        std::fs::read_dir(directory(&world, "t")).unwrap().count(),
        2
    );
    let found = read(&world, "/v1/traces?q=blobs.content_type:%22image/png%22")
        .await
        .json();
    assert_eq!(found["items"][0]["trace_id"], "t");
    let detail = read(&world, "/v1/traces/t").await.json();
    assert_eq!(detail["trace"]["name"], "n");
    assert!(detail["trace"].get("blobs").is_none());
    let usage = read(&world, "/v1/projects/1/usage").await.json();
    assert_eq!(usage["used"]["day"]["traces"], 1);
    assert!(usage["used"]["day"]["bytes"].as_u64().unwrap() >= 3 * len + 5);
}

#[tokio::test]
async fn a_deleted_trace_takes_its_files_with_it() {
    let world = world().await;
    store_trace(&world, "t").await;
    let made = attach(&world, OF_T, PNG).await;
    let other = attach(&world, "/v1/projects/1/traces/u/blobs", PNG).await;
    let link = format!("{}/link", made["url"].as_str().unwrap());
    let link = attach(&world, &link, "{}").await;
    let link = link["url"]
        .as_str()
        .unwrap()
        .strip_prefix("https://obsrv.example")
        .unwrap()
        .to_owned();
    assert_eq!(
        ask(&world.app, Request::get(&link).body(Body::empty()).unwrap())
            .await
            .body,
        PNG
    );
    delete(&world, "t").await;
    assert!(!directory(&world, "t").is_dir());
    for path in [made["url"].as_str().unwrap(), OF_T, &link] {
        assert_eq!(read(&world, path).await.status, 404, "{path}");
    }
    assert_eq!(read(&world, other["url"].as_str().unwrap()).await.body, PNG);
}

#[tokio::test]
async fn no_other_project_sees_or_reaches_anything() {
    let world = world().await;
    let made = attach(&world, OF_T, PNG).await;
    let url = made["url"].as_str().unwrap();
    assert_eq!(ask(&world.app, get(url, "key-of-b")).await.status, 404);
    let own = url.replace("/projects/1/", "/projects/2/");
    assert_eq!(ask(&world.app, get(&own, "key-of-b")).await.status, 404);
    let media = format!("/api/public/media/{}", made["id"].as_str().unwrap());
    assert_eq!(ask(&world.app, get(&media, "key-of-b")).await.status, 404);
    assert_eq!(ask(&world.app, get(&media, "key-of-a")).await.status, 200);
}

#[tokio::test]
async fn sizes_hold_at_the_byte_announced_or_not() {
    let world = world().await;
    let full = bytes(BLOB_BYTES_OF_TESTS);
    let over = bytes(BLOB_BYTES_OF_TESTS + 1);
    attach(&world, OF_T, full.clone()).await;
    for announced in [true, false] {
        let mut request = post(OF_T, "key-of-a", "text/x", over.clone());
        if announced {
            let len = over.len().to_string();
            request
                .headers_mut()
                .insert(header::CONTENT_LENGTH, len.parse().unwrap());
        }
        let said = ask(&world.app, request).await;
        assert_eq!(
            (said.status.as_u16(), &said.json()["error"]["code"]),
            (413, &"too_large".into())
        );
    }
    attach(&world, OF_T, "").await;
    let spool = world.dir.path().join("spool");
    assert_eq!(std::fs::read_dir(spool).unwrap().count(), 0);
}

#[tokio::test]
async fn names_and_ids_have_limits() {
    let world = world().await;
    let name = "n".repeat(BLOB_NAME_BYTES_MAX);
    attach(&world, &format!("{OF_T}?name={name}"), "x").await;
    let said = send(&world, &format!("{OF_T}?name={name}n"), "x").await;
    assert_eq!(
        (said.status.as_u16(), &said.json()["error"]["field"]),
        (400, &"name".into())
    );
    let trace = "t".repeat(BLOB_TRACE_ID_BYTES_MAX);
    attach(&world, &format!("/v1/projects/1/traces/{trace}/blobs"), "x").await;
    let said = send(
        &world,
        &format!("/v1/projects/1/traces/{trace}t/blobs"),
        "x",
    )
    .await;
    assert_eq!(
        (said.status.as_u16(), &said.json()["error"]["field"]),
        (400, &"trace_id".into())
    );
    let packed = Request::post(OF_T)
        .header("x-api-key", "key-of-a")
        .header("content-encoding", "gzip");
    let said = ask(&world.app, packed.body("x".into()).unwrap()).await;
    assert_eq!(said.status, 415);
}

#[test]
fn a_trace_has_so_many_attachments() {
    let of = |place: usize| Reference {
        id: String::new(),
        sha256: ContentHash([0; 32]),
        content_type: String::new(),
        size: u64::try_from(place).unwrap(),
        declared_type: None,
        name: None,
        span_id: None,
        field: None,
        upload: None,
        round: 0,
    };
    let known: Vec<_> = (0..BLOBS_PER_TRACE_MAX).map(of).collect();
    // What was taken out takes room, too: the row keeps that it was.
    let held = |known: &[Reference], items| Held {
        known: known.to_vec(),
        items,
        ..Held::default()
    };
    let new = of(BLOBS_PER_TRACE_MAX);
    assert!(held(&known[1..], BLOBS_PER_TRACE_MAX - 1).has_room(&new));
    assert!(!held(&known[1..], BLOBS_PER_TRACE_MAX).has_room(&new));
    assert!(held(&known, BLOBS_PER_TRACE_MAX).has_room(&of(3)));
}

/// Whatever a sender calls it, what a browser could run is a download of no type.
#[tokio::test]
async fn nothing_is_served_as_active_content() {
    let world = world().await;
    for (declared, body, expected, how) in [
        (
            "image/svg+xml",
            &b"<svg xmlns='x'><script>1</script></svg>"[..],
            "application/octet-stream",
            "attachment",
        ),
        (
            "text/html",
            b"<html><script>1</script>",
            "application/octet-stream",
            "attachment",
        ),
        ("text/html", PNG, "image/png", "inline"),
        (
            "image/png",
            b"<script>",
            "application/octet-stream",
            "attachment",
        ),
    ] {
        let path = format!("{OF_T}?name=%22%0d%0a.html");
        let said = ask(&world.app, post(&path, "key-of-a", declared, body)).await;
        let url = said.json()["url"].as_str().unwrap().to_owned();
        let said = read(&world, &url).await;
        assert_eq!(said.headers[header::CONTENT_TYPE], expected, "{declared}");
        let name = format!("{how}; filename*=UTF-8''%22%0D%0A.html");
        assert_eq!(said.headers[header::CONTENT_DISPOSITION], name);
        assert_eq!(said.headers["x-content-type-options"], "nosniff");
        let policy = said.headers[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(policy.contains("sandbox") && policy.contains("default-src 'none'"));
        assert!(!policy.contains("allow-scripts"));
    }
}

#[tokio::test]
async fn links_end_with_their_key_and_open_nothing_else() {
    let world = world().await;
    let made = attach(&world, OF_T, PNG).await;
    let link_path = format!("{}/link", made["url"].as_str().unwrap());
    let max = BLOB_LINK_TIME_MAX.as_secs();
    for (seconds, status) in [(0, 400), (1, 201), (max, 201), (max + 1, 400)] {
        let body = json!({ "expires_in": seconds }).to_string();
        let said = ask(&world.app, post(&link_path, "key-of-a", JSON, body)).await;
        assert_eq!(said.status, status, "{seconds}");
    }
    let plane = Arc::clone(world.app.core().unwrap().plane());
    let made = plane
        .create_key(By::operator(), 1, KeyTerms::default())
        .await
        .unwrap()
        .made;
    let said = ask(&world.app, post(&link_path, made.key.reveal(), JSON, "{}"))
        .await
        .json();
    let link = said["url"]
        .as_str()
        .unwrap()
        .strip_prefix("https://obsrv.example")
        .unwrap()
        .to_owned();
    let open = |path: String| ask(&world.app, Request::get(path).body(Body::empty()).unwrap());
    assert_eq!(open(link.clone()).await.body, PNG);
    let put = Request::put(&link).body("other".into()).unwrap();
    assert_eq!(ask(&world.app, put).await.status, 401);
    let mut forged = link.clone();
    forged.pop();
    assert_eq!(open(forged).await.status, 401);
    plane.revoke_key(By::operator(), 1, made.id).await.unwrap();
    assert_eq!(open(link).await.status, 401);
}

async fn with_media(world: &World, media: &str) {
    let settings = json!({ "redaction": { "media": media } });
    let settings: ProjectSettings = serde_json::from_value(settings).unwrap();
    let governance = world.app.core().unwrap().governance();
    let revision = governance.of(ProjectId(1)).revision;
    let set = governance.set(By::operator(), ProjectId(1), revision, settings);
    set.await.unwrap();
}

#[tokio::test]
async fn media_is_refused_replaced_or_kept_as_the_rules_say() {
    let world = world().await;
    with_media(&world, "refuse").await;
    let said = send(&world, OF_T, PNG).await;
    assert_eq!(
        (said.status.as_u16(), &said.json()["error"]["code"]),
        (403, &"forbidden".into())
    );
    with_media(&world, "replace").await;
    let said = send(&world, OF_T, PNG).await;
    assert_eq!(
        said.json(),
        json!({ "stored": false, "replaced_by": "[media]" })
    );
    let said = send(&world, "/v1/media/upload?trace_id=t", PNG).await;
    assert_eq!(said.json(), json!({ "gs_uri": "[media]" }));
    assert!(!directory(&world, "t").is_dir());
    with_media(&world, "keep").await;
    let named = format!("{OF_T}?name=ann%40example.com");
    let made = attach(&world, &named, PNG).await;
    assert_eq!(read(&world, made["url"].as_str().unwrap()).await.body, PNG);
    assert!(!made.to_string().contains("ann@example.com"), "{made}");
    let listed = read(&world, OF_T).await.json();
    assert!(!listed.to_string().contains("ann@example.com"), "{listed}");
}

fn langfuse(trace: &str, field: &str, body: &[u8]) -> String {
    json!({
        "traceId": trace, "contentType": "image/png", "contentLength": body.len(), "field": field,
        "sha256Hash": STANDARD.encode(ContentHash::of(body).0), "observationId": "o1",
    })
    .to_string()
}

#[tokio::test]
async fn langfuse_media_is_put_once_and_linked_from_each_field() {
    let world = world().await;
    let ask_place = async |field: &str| {
        let body = langfuse("t", field, PNG);
        let said = ask(
            &world.app,
            post("/api/public/media", "key-of-a", JSON, body),
        )
        .await;
        assert_eq!(said.status, 201);
        said.json()
    };
    let place = ask_place("input").await;
    assert_eq!(place["mediaId"], ContentHash::of(PNG).id());
    let url = place["uploadUrl"]
        .as_str()
        .unwrap()
        .strip_prefix("https://obsrv.example")
        .unwrap();
    for (body, status) in [
        (&b"other"[..], 400),
        (&[PNG, b"more"].concat(), 400),
        (PNG, 200),
        (PNG, 200),
    ] {
        let put = Request::put(url)
            .header("content-type", "image/png")
            .body(Body::from(body.to_vec()));
        assert_eq!(ask(&world.app, put.unwrap()).await.status, status);
    }
    assert_eq!(ask_place("output").await["uploadUrl"], Value::Null);
    let listed = read(&world, OF_T).await.json();
    let fields: Vec<_> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|blob| blob["field"].clone())
        .collect();
    assert_eq!(fields, ["input", "output"]);
    let media = format!("/api/public/media/{}", place["mediaId"].as_str().unwrap());
    let shown = read(&world, &media).await.json();
    assert_eq!(
        (&shown["contentType"], &shown["contentLength"]),
        (&"image/png".into(), &PNG.len().into())
    );
    let url = shown["url"]
        .as_str()
        .unwrap()
        .strip_prefix("https://obsrv.example")
        .unwrap();
    let read = ask(&world.app, Request::get(url).body(Body::empty()).unwrap()).await;
    assert_eq!(read.body, PNG);
    let told = Request::patch(&media).header("x-api-key", "key-of-a");
    let told = ask(
        &world.app,
        told.body(json!({ "uploadHttpStatus": 200 }).to_string().into())
            .unwrap(),
    )
    .await;
    assert_eq!((told.status.as_u16(), told.json()), (200, json!({})));
}

#[tokio::test]
async fn places_for_media_say_what_is_wrong() {
    let world = world().await;
    let said = async |body: String| {
        let said = ask(
            &world.app,
            post("/api/public/media", "key-of-a", JSON, body),
        )
        .await;
        said.status.as_u16()
    };
    let good: Value = serde_json::from_str(&langfuse("t", "input", PNG)).unwrap();
    let with = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body.to_string()
    };
    assert_eq!(said(with("traceId", Value::Null)).await, 400);
    assert_eq!(said(with("sha256Hash", "x".into())).await, 400);
    assert_eq!(
        said(with("contentLength", BLOB_BYTES_OF_TESTS.into())).await,
        201
    );
    assert_eq!(
        said(with("contentLength", (BLOB_BYTES_OF_TESTS + 1).into())).await,
        413
    );
    let padded = |len: usize| {
        let body = good.to_string();
        format!("{body}{}", " ".repeat(len - body.len()))
    };
    assert_eq!(said(padded(MEDIA_BODY_BYTES_MAX)).await, 201);
    assert_eq!(said(padded(MEDIA_BODY_BYTES_MAX + 1)).await, 413);
}

/// The theta client's place for a file that it has not hashed: the name that it keeps finds the file later.
#[tokio::test]
async fn a_place_without_a_trace_gets_one_of_its_own() {
    let world = world().await;
    let body =
        json!({ "content_type": "image/png", "size": PNG.len(), "filename": "a.png" }).to_string();
    let said = ask(
        &world.app,
        post("/v1/media/signed-url", "key-of-a", JSON, body),
    )
    .await
    .json();
    assert_eq!(said["headers"], json!({ "Content-Type": "image/png" }));
    let url = said["url"]
        .as_str()
        .unwrap()
        .strip_prefix("https://obsrv.example")
        .unwrap();
    let put = ask(&world.app, Request::put(url).body(PNG.into()).unwrap()).await;
    assert_eq!(put.status, 200);
    let uri = said["gs_uri"]
        .as_str()
        .unwrap()
        .strip_prefix("obsrv-blob://1/")
        .unwrap();
    let (trace, name) = uri.split_once('/').unwrap();
    let read = read(
        &world,
        &format!("/v1/projects/1/traces/{trace}/blobs/{name}"),
    )
    .await;
    assert_eq!(read.body, PNG);
}

/// What was put and never referred to goes once it is old enough, what a row refers to stays.
#[tokio::test]
async fn the_sweep_removes_what_no_row_refers_to() {
    let world = world().await;
    let core = world.app.core().unwrap();
    let blobs = core.blobs().unwrap();
    attach(&world, OF_T, PNG).await;
    for trace in ["t", "never sent"] {
        let mut spooling = blobs.spool().begin().unwrap();
        spooling.write(b"orphan").unwrap();
        let spooled = spooling.finish().unwrap();
        let owner = Owner::new(ProjectId(1), trace).unwrap();
        blobs
            .store()
            .put_once(&owner.blob(spooled.hash()), spooled)
            .unwrap();
    }
    let now = world.app.clock.wall_ns();
    let mut sweep = Sweep::default();
    assert_eq!(sweep.step(blobs, core.engine(), now).await.unwrap(), 0);
    let later = now + nanos(BLOB_GRACE_TIME) + 1_000_000_000;
    let mut fresh = Sweep::default();
    assert_eq!(fresh.step(blobs, core.engine(), later).await.unwrap(), 2);
    assert!(!directory(&world, "never sent").is_dir());
    let url = format!("{OF_T}/{}", ContentHash::of(PNG).id());
    assert_eq!(read(&world, &url).await.body, PNG);
    // It rests after a pass.
    attach(&world, "/v1/projects/1/traces/u/blobs", PNG).await;
    let (done, outcome) = ingest::outcome();
    core.engine().delete_trace(ProjectId(1), "u", done);
    ingest::wait(core.engine(), outcome).await.unwrap();
    let soon = later + nanos(BLOB_SWEEP_TIME) - 1;
    assert_eq!(fresh.step(blobs, core.engine(), soon).await.unwrap(), 0);
    assert_eq!(fresh.step(blobs, core.engine(), soon + 1).await.unwrap(), 1);
}

fn nanos(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap()
}

/// A whole answer of damaged bytes ends early; it never passes for the file.
#[tokio::test]
async fn damaged_bytes_are_no_answer() {
    let world = world().await;
    let sent = bytes(BLOB_BYTES_OF_TESTS);
    let made = attach(&world, OF_T, sent.clone()).await;
    let file = directory(&world, "t").join(made["sha256"].as_str().unwrap());
    let mut wrong = sent.clone();
    wrong[5] ^= 1;
    std::fs::write(file, &wrong).unwrap();
    let router = crate::http::build(Arc::clone(&world.app));
    let request = get(made["url"].as_str().unwrap(), "key-of-a");
    let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    assert!(body.is_err());
}

/// However uploads to a trace and deletes of it fall, what the row refers to is there to be read, and nothing
/// else is kept.
#[tokio::test]
async fn uploads_and_deletes_at_once_leave_nothing_dangling() {
    let world = world().await;
    store_trace(&world, "t").await;
    for round in 0..20_u64 {
        let (first, second) = (bytes(1000 + round), bytes(2000 + round));
        tokio::join!(
            attach(&world, OF_T, first),
            delete(&world, "t"),
            attach(&world, OF_T, second),
        );
        let listed = read(&world, OF_T).await.json();
        let kept: Vec<_> = listed["data"].as_array().cloned().unwrap_or_default();
        for blob in &kept {
            let said = read(&world, blob["url"].as_str().unwrap()).await;
            assert_eq!(said.status, 200, "round {round}: {blob}");
        }
        let files = std::fs::read_dir(directory(&world, "t")).map_or(0, Iterator::count);
        assert_eq!(files, kept.len(), "round {round}");
    }
}
