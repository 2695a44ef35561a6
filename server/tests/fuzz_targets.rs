//! The fuzz targets compile, and hold what they hold over a handful of bytes. The workspace of `fuzz/` is built by
//! nobody who does not fuzz; this keeps it from falling behind.

#[path = "../../fuzz/src/lib.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    clippy::pedantic,
    reason = "a library of another workspace"
)]
mod targets;

type Target = fn(&[u8]);

/// What the target makes of the bytes, if they are a text.
fn text<T: Default>(bytes: &[u8], run: fn(&str) -> T) -> T {
    std::str::from_utf8(bytes).map(run).unwrap_or_default()
}

const ALL: [(&str, Target); 30] = [
    ("doc_parse", targets::doc_parse::run),
    ("body_decode", targets::body_decode::run),
    ("fold_order", targets::fold_order::run),
    ("wal_recover", targets::wal_recover::run),
    ("dialect", targets::dialect::run),
    ("filter_parse", |bytes| {
        text(bytes, targets::filter_parse::run)
    }),
    ("segment_open", targets::segment_open::run),
    ("rows_decode", targets::rows_decode::run),
    ("redact", |bytes| text(bytes, targets::redact::run)),
    ("term_page", targets::term_page::run),
    ("key_page", |bytes| _ = targets::key_page::run(bytes)),
    ("otlp_protobuf", targets::otlp_protobuf::run),
    ("otlp_json", targets::otlp_json::run),
    ("offload", targets::offload::run),
    ("manifest_records", |bytes| {
        _ = targets::manifest_records::run(bytes)
    }),
    ("wal_frames", |bytes| _ = targets::wal_frames::run(bytes)),
    ("log_record", |bytes| _ = targets::log_record::run(bytes)),
    ("segment_forged", |bytes| {
        _ = targets::segment_forged::run(bytes)
    }),
    ("traceql_parse", |bytes| {
        _ = text(bytes, targets::traceql_parse::run)
    }),
    ("control_event", |bytes| {
        _ = targets::control_event::run(bytes)
    }),
    ("cursor", |bytes| _ = targets::cursor::run(bytes)),
    ("question", |bytes| _ = targets::question::run(bytes)),
    ("own_files", |bytes| _ = targets::own_files::run(bytes)),
    ("provider", |bytes| _ = targets::provider::run(bytes)),
    ("socket", |bytes| _ = targets::socket::run(bytes)),
    ("inflate", |bytes| _ = targets::inflate::run(bytes)),
    ("sniff", |bytes| _ = targets::sniff::run(bytes)),
    ("stored_doc", |bytes| _ = targets::stored_doc::run(bytes)),
    ("text_forms", |bytes| {
        _ = text(bytes, targets::text_forms::run)
    }),
    ("small_text", |bytes| _ = targets::small_text::run(bytes)),
];

/// What a target begins with, and whether it read that.
type Seeded = (&'static str, fn() -> Vec<Vec<u8>>, fn(&[u8]) -> bool);

const SEEDED: [Seeded; 18] = [
    (
        "control_event",
        targets::control_event::seeds,
        targets::control_event::run,
    ),
    ("cursor", targets::cursor::seeds, targets::cursor::run),
    ("inflate", targets::inflate::seeds, targets::inflate::run),
    ("key_page", targets::key_page::seeds, targets::key_page::run),
    (
        "log_record",
        targets::log_record::seeds,
        targets::log_record::run,
    ),
    (
        "manifest_records",
        targets::manifest_records::seeds,
        targets::manifest_records::run,
    ),
    (
        "own_files",
        targets::own_files::seeds,
        targets::own_files::run,
    ),
    ("provider", targets::provider::seeds, targets::provider::run),
    ("question", targets::question::seeds, targets::question::run),
    (
        "segment_forged",
        targets::segment_forged::seeds,
        targets::segment_forged::run,
    ),
    ("sniff", targets::sniff::seeds, targets::sniff::run),
    ("socket", targets::socket::seeds, targets::socket::run),
    (
        "stored_doc",
        targets::stored_doc::seeds,
        targets::stored_doc::run,
    ),
    (
        "wal_frames",
        targets::wal_frames::seeds,
        targets::wal_frames::run,
    ),
    ("dialect", targets::dialect::seeds, targets::dialect::reads),
    (
        "small_text",
        targets::small_text::seeds,
        targets::small_text::run,
    ),
    ("traceql_parse", targets::traceql_parse::seeds, |bytes| {
        text(bytes, targets::traceql_parse::run)
    }),
    ("text_forms", targets::text_forms::seeds, |bytes| {
        text(bytes, targets::text_forms::run)
    }),
];

#[test]
fn each_target_takes_a_handful_of_bytes() {
    let some: [&[u8]; 6] = [
        b"",
        b"\x00",
        b"\x01{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{}]}]}]}",
        b"status:error (a or \"b\") mail ada@example.org \x01",
        b"\x02\x07\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f",
        &[0x80; 40],
    ];
    for (_, run) in ALL {
        some.iter().for_each(|bytes| run(bytes));
    }
}

#[test]
fn each_target_of_the_other_workspace_is_here() {
    let manifest = include_str!("../../fuzz/Cargo.toml");
    let named = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("name = \""));
    let named = named.map(|name| name.strip_suffix('"').unwrap());
    let bins: Vec<&str> = named.filter(|name| *name != "obsrv-fuzz").collect();
    assert_eq!(bins, ALL.map(|(name, _)| name));
}

/// A target that begins with bytes which its decoder refuses at their first byte reaches nothing of it.
#[test]
fn what_a_target_begins_with_is_read() {
    let mut refused = Vec::new();
    for (name, seeds, reads) in SEEDED {
        let seeds = seeds();
        assert!(!seeds.is_empty(), "{name} begins with nothing");
        let unread = (0..seeds.len()).filter(|at| !reads(&seeds[*at]));
        refused.extend(unread.map(|at| format!("{name} {at}")));
    }
    assert!(refused.is_empty(), "not read: {refused:?}");
}
