//! One attachment taken out of its trace, and forms whose files become attachments.

use super::*;

async fn remove(world: &World, url: &str, key: &str) -> Said {
    let request = Request::delete(url).header("x-api-key", key);
    ask(&world.app, request.body(Body::empty()).unwrap()).await
}

async fn listed(world: &World) -> Vec<String> {
    let said = read(world, OF_T).await.json();
    let data = said["data"].as_array().unwrap();
    data.iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}

fn metric(world: &World, name: &str) -> u64 {
    use std::sync::atomic::Ordering;
    let tally = world.app.core().unwrap().blobs().unwrap().tally();
    match name {
        "kept" => tally.kept.load(Ordering::Relaxed),
        "bytes" => tally.kept_bytes.load(Ordering::Relaxed),
        _ => tally.removed.load(Ordering::Relaxed),
    }
}

#[tokio::test]
async fn one_goes_the_others_stay_and_it_may_come_again() {
    let world = world().await;
    let (gone, stays) = (bytes(1000), bytes(2000));
    let first = attach(&world, &format!("{OF_T}?name=a"), gone.clone()).await;
    attach(&world, &format!("{OF_T}?name=b"), gone.clone()).await;
    let other = attach(&world, OF_T, stays.clone()).await;
    assert_eq!((metric(&world, "kept"), metric(&world, "bytes")), (3, 4000));
    let url = first["url"].as_str().unwrap().to_owned();
    let before = world.app.core().unwrap().plane().audit().len();
    assert_eq!(remove(&world, &url, "key-of-b").await.status, 404);
    let said = remove(&world, &url, "key-of-a").await;
    assert_eq!(
        (said.status.as_u16(), &said.json()["id"]),
        (200, &first["id"])
    );
    assert_eq!(world.app.core().unwrap().plane().audit().len(), before + 1);
    assert_eq!(metric(&world, "removed"), 1);
    assert_eq!(
        std::fs::read_dir(directory(&world, "t")).unwrap().count(),
        1
    );
    // Both names of the same bytes are gone; once more there is nothing.
    assert_eq!(listed(&world).await, [other["id"].as_str().unwrap()]);
    assert_eq!(read(&world, &url).await.status, 404);
    assert_eq!(remove(&world, &url, "key-of-a").await.status, 404);
    assert_eq!(world.app.core().unwrap().plane().audit().len(), before + 1);
    let said = read(&world, other["url"].as_str().unwrap()).await;
    assert!(said.body == stays);
    // Sent again it is there again, and goes again.
    for _ in 0..2 {
        attach(&world, &format!("{OF_T}?name=a"), gone.clone()).await;
        assert!(read(&world, &url).await.body == gone);
        assert_eq!(remove(&world, &url, "key-of-a").await.status, 200);
        assert_eq!(read(&world, &url).await.status, 404);
    }
}

#[tokio::test]
async fn files_of_a_form_become_attachments_of_the_trace() {
    let world = world().await;
    let id = "0190b2a4-0000-7000-8000-00000000000a";
    let run = serde_json::json!({
        "id": id, "trace_id": id, "name": "seen", "run_type": "tool", "inputs": {},
        "start_time": "2026-05-01T10:00:00Z", "end_time": "2026-05-01T10:00:01Z",
    });
    let png = b"\x89PNG\r\n\x1a\n\r\n--X\x00".to_vec();
    let mut body = Vec::new();
    let mut put = |name: &str, content_type: &str, content: &[u8]| {
        let head = format!(
            "--form\r\nContent-Disposition: form-data; name=\"{name}\"\r\nContent-Type: {content_type}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    };
    put(&format!("attachment.{id}.cat"), "image/png", &png);
    put("attachment.nobody.dog", "image/png", &png);
    put(
        &format!("post.{id}"),
        "application/json",
        run.to_string().as_bytes(),
    );
    body.extend_from_slice(b"--form--\r\n");
    for (encoding, body) in [
        ("identity", body.clone()),
        ("zstd", zstd::encode_all(&body[..], 1).unwrap()),
    ] {
        let request = Request::post("/runs/multipart")
            .header("x-api-key", "key-of-a")
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=form")
            .header(header::CONTENT_ENCODING, encoding);
        let said = ask(&world.app, request.body(Body::from(body)).unwrap()).await;
        let errors = said.json();
        assert_eq!(
            (said.status.as_u16(), &errors["errors"][0]["index"]),
            (207, &1.into()),
            "{errors}"
        );
    }
    let of_run = format!("/v1/projects/1/traces/{id}/blobs");
    let said = read(&world, &of_run).await.json();
    let [cat] = &said["data"].as_array().unwrap()[..] else {
        panic!("{said}")
    };
    assert_eq!(
        (
            &cat["name"],
            &cat["span_id"],
            &cat["content_type"],
            &cat["field"]
        ),
        (
            &"cat".into(),
            &id.into(),
            &"image/png".into(),
            &"attachments".into()
        )
    );
    assert!(read(&world, cat["url"].as_str().unwrap()).await.body == png);
    let trace = read(&world, &format!("/v1/traces/{id}")).await.json();
    assert_eq!(trace["trace"]["steps"][0]["name"], "seen");
    assert_eq!(
        trace["trace"]["steps"][0]["attachments"],
        serde_json::json!([])
    );
    delete(&world, id).await;
    assert_eq!(read(&world, cat["url"].as_str().unwrap()).await.status, 404);
    assert!(!directory(&world, id).try_exists().unwrap());
}
