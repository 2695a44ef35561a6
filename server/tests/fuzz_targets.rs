//! The fuzz targets compile, and hold what they hold over a handful of bytes. The workspace of `fuzz/` is built by
//! nobody who does not fuzz; this keeps it from falling behind.

#[path = "../../fuzz/src/lib.rs"]
#[allow(
    unreachable_pub,
    clippy::pedantic,
    reason = "a library of another workspace"
)]
mod targets;

type Target = fn(&[u8]);

fn text(bytes: &[u8], run: fn(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        run(text);
    }
}

const ALL: [(&str, Target); 14] = [
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
    ("key_page", targets::key_page::run),
    ("otlp_protobuf", targets::otlp_protobuf::run),
    ("otlp_json", targets::otlp_json::run),
    ("offload", targets::offload::run),
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
