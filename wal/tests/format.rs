//! The bytes in FORMAT.md are the bytes on disk.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic, and its numbers are small"
)]

use std::fmt::Write as _;

use obsrv_wal::io::{FileId, FileKind};
use obsrv_wal::log::{Log, LogOptions, scan_file};
use obsrv_wal::sim::SimDisk;

const DATABASE: [u8; 16] = *b"example database";

/// Lines `offset: bytes | text` of the section's code block.
fn documented() -> Vec<u8> {
    let text = include_str!("../FORMAT.md");
    let dump = text
        .split("```hex\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let mut bytes = Vec::new();
    for line in dump.lines() {
        let (offset, rest) = line.split_once(':').unwrap();
        assert_eq!(
            usize::from_str_radix(offset, 16).unwrap(),
            bytes.len(),
            "line={line}"
        );
        let hex = rest.split('|').next().unwrap();
        bytes.extend(
            hex.split_whitespace()
                .map(|b| u8::from_str_radix(b, 16).unwrap()),
        );
    }
    bytes
}

#[test]
fn the_dump_in_the_format_document_is_what_is_written() {
    let disk = SimDisk::new(1);
    let options = LogOptions {
        kind: FileKind::Wal,
        database: DATABASE,
        file_bytes: 256,
        record_bytes_max: 64,
    };
    let recovered = Log::recover(&disk.handle(), options, &mut |_| {}).unwrap();
    let mut log = recovered.resume().unwrap();
    log.append(3, &[b"hello"]).unwrap();
    log.sync().unwrap();
    log.watermark().unwrap();
    let id = FileId::new(FileKind::Wal, 1);
    let mut written = disk.peek(id).unwrap();
    written.truncate(152);
    let mut dump = String::new();
    for (line, bytes) in written.chunks(8).enumerate() {
        write!(dump, "{:04x}:", line * 8).unwrap();
        for byte in bytes {
            write!(dump, " {byte:02x}").unwrap();
        }
        dump.push('\n');
    }
    assert_eq!(documented(), written, "the bytes are now\n{dump}");

    let mut frames = Vec::new();
    let scan = scan_file(&disk.handle(), id, DATABASE, &mut |frame| {
        frames.push((
            frame.offset,
            frame.lsn,
            frame.durable_lsn,
            frame.kind,
            frame.body.to_vec(),
        ));
    })
    .unwrap();
    assert_eq!(
        frames,
        [(64, 1, 0, 3, b"hello".to_vec()), (112, 2, 1, 0, Vec::new())]
    );
    assert_eq!(
        (scan.base, scan.base_lsn, scan.frames, scan.end),
        (true, 1, 2, 152)
    );
}
