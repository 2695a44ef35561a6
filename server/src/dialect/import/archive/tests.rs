use std::io::Write;

use obsrv_engine::row::{ProjectId, Table};
use serde_json::json;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;
use crate::dialect::import::{Format, decode};
use crate::dialect::{Context, Decoded};

fn context() -> Context<'static> {
    Context {
        project: ProjectId(1),
        body_hash: 1,
        subject: "",
        received_ns: 1_795_000_000_000_000_000,
        key_id: 0,
    }
}

fn packed(method: CompressionMethod, entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, content) in entries {
        out.start_file(*name, options).unwrap();
        out.write_all(content).unwrap();
    }
    out.finish().unwrap().into_inner()
}

fn head() -> Value {
    json!({ "version": 2, "status": "success", "eval": { "eval_id": "e", "task": "t", "model": "m",
        "created": "2026-01-01T00:00:00Z" }, "plan": {} })
}

fn sample(n: usize) -> Value {
    let message = |role: &str, text: &str| json!({ "role": role, "content": text });
    let call = json!({ "event": "model", "timestamp": "2026-01-01T00:00:01Z", "completed": "2026-01-01T00:00:02Z",
        "model": "m", "input": [], "input_refs": [[0, 2]],
        "output": { "choices": [{ "message": message("assistant", "there") }] } });
    json!({ "id": n, "epoch": 1, "uuid": format!("u{n}"), "messages": [], "events": [call],
        "message_pool": [message("system", "be brief"), message("user", &format!("hi {n}")), message("user", "not this")] })
}

fn archive(method: CompressionMethod) -> Vec<u8> {
    let bytes = |value: Value| value.to_string().into_bytes();
    packed(
        method,
        &[
            ("_journal/start.json", bytes(json!({}))),
            ("samples/1_epoch_1.json", bytes(sample(1))),
            ("samples/2_epoch_1.json", b"{".to_vec()),
            ("samples/3_epoch_1.json", bytes(sample(3))),
            ("summaries.json", b"[]".to_vec()),
            ("header.json", bytes(head())),
        ],
    )
}

fn read_of(body: &[u8]) -> Result<Decoded, DecodeError> {
    decode(Format::Inspect, &context(), body)
}

#[test]
fn an_archive_is_the_log_that_is_in_it() {
    // The log as Inspect writes it as one document, with the messages where they are said.
    let whole = |n: usize| {
        let mut sample = sample(n);
        let pool = sample["message_pool"].take();
        sample.as_object_mut().unwrap().remove("message_pool");
        let call = sample["events"][0].as_object_mut().unwrap();
        call.remove("input_refs");
        call.insert("input".into(), json!([pool[0], pool[1]]));
        sample
    };
    let mut log = head();
    log["samples"] = json!([whole(1), whole(3)]);
    let expected = read_of(log.to_string().as_bytes()).unwrap();
    assert!(
        expected
            .events
            .iter()
            .any(|event| event.table == Table::Spans)
    );
    for method in [
        CompressionMethod::Stored,
        CompressionMethod::Deflated,
        CompressionMethod::Zstd,
    ] {
        let found = read_of(&archive(method)).unwrap();
        assert_eq!(found.events, expected.events, "{method}");
        let [bad] = &found
            .items
            .iter()
            .filter(|item| item.error.is_some())
            .collect::<Vec<_>>()[..]
        else {
            panic!("{:?}", found.items)
        };
        assert_eq!(bad.index, 2);
        assert!(
            bad.error
                .as_ref()
                .unwrap()
                .starts_with("samples/2_epoch_1.json: not valid json")
        );
    }
}

fn refusal(body: &[u8]) -> String {
    read_of(body).unwrap_err().to_string()
}

#[test]
fn bombs_are_refused_before_they_open() {
    let bytes = |value: Value| value.to_string().into_bytes();
    let first = || ("header.json", bytes(head()));
    let used = first().1.len();
    // Spaces are JSON, and pack to nothing: one document of exactly what is left, and one byte more.
    let padded = |n: usize| {
        let mut text = vec![b' '; n - 2];
        text.extend_from_slice(b"{}");
        packed(
            CompressionMethod::Deflated,
            &[first(), ("samples/1_epoch_1.json", text)],
        )
    };
    let fits = padded(ARCHIVE_BYTES_MAX - used);
    assert!(fits.len() < 1 << 20, "{}", fits.len());
    assert!(read_of(&fits).is_ok());
    let over = refusal(&padded(ARCHIVE_BYTES_MAX - used + 1));
    assert!(
        over.contains("archive comes to too much max_bytes="),
        "{over}"
    );
    let names: Vec<String> = (0..=ARCHIVE_ENTRIES_MAX).map(|n| format!("x{n}")).collect();
    let many = |n: usize| {
        let mut all: Vec<(&str, Vec<u8>)> = vec![first()];
        all.extend(
            names
                .iter()
                .take(n - 1)
                .map(|name| (name.as_str(), Vec::new())),
        );
        packed(CompressionMethod::Stored, &all)
    };
    assert!(read_of(&many(ARCHIVE_ENTRIES_MAX)).is_ok());
    let over = refusal(&many(ARCHIVE_ENTRIES_MAX + 1));
    assert!(over.contains("too many entries"), "{over}");
}

#[test]
fn what_is_cut_or_no_archive_is_an_error() {
    let whole = archive(CompressionMethod::Deflated);
    for end in (4..whole.len()).step_by(7) {
        assert!(read_of(&whole[..end]).is_err(), "cut at {end}");
    }
    let no_head = packed(
        CompressionMethod::Stored,
        &[("samples/1.json", b"{}".to_vec())],
    );
    assert!(refusal(&no_head).contains("header.json: missing"));
}
