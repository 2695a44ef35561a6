//! Files as they were written by version 2, byte for byte.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;

use super::disk::MemDisk;
use super::oracle::rows_of;
use super::{DATABASE, section};
use crate::body::{self, Content};
use crate::boundary::LocalStore;
use crate::doc::DocWriter;
use crate::io::{Disk, FileId, FileKind};
use crate::row::{ProjectId, RowKey, Stamp, Table};
use crate::segment::{
    FULL_ROWS_MIN, RowInput, SectionInput, Segment, SegmentOptions, footer, write,
};

/// Also in `FORMAT.md`, with its fields named.
const SMALL: &str = include_str!("golden.hex");

fn row() -> RowInput {
    let mut doc = DocWriter::new();
    let map = doc.begin_map();
    doc.key("status");
    doc.str("error");
    doc.end(map);
    let body = body::encode(
        Stamp {
            version: 2,
            hash: 0x0102_0304_0506_0708,
        },
        &doc.finish(),
        &[],
    );
    RowInput {
        key: RowKey {
            trace_id: "t1".into(),
            id: "s1".into(),
        },
        start_ns: 1_000,
        end_ns: Some(1_500),
        lsn_first: 3,
        lsn_last: 4,
        content: Content::Folded(Bytes::from(body)),
    }
}

fn bytes_of(sections: Vec<SectionInput>) -> Vec<u8> {
    let mem = Arc::new(MemDisk::default());
    let disk: Arc<dyn Disk> = Arc::clone(&mem) as Arc<dyn Disk>;
    write(
        &LocalStore::over(&disk),
        0x2a,
        DATABASE,
        sections,
        &SegmentOptions { compression: 1 },
    )
    .unwrap();
    let file = Arc::clone(&mem.published.lock()[&FileId::new(FileKind::Segment, 0x2a)]);
    file.bytes.lock().clone()
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    for line in bytes.chunks(32) {
        for byte in line {
            write!(out, "{byte:02x}").unwrap();
        }
        out.push('\n');
    }
    out
}

#[test]
fn version_2_is_written_as_ever() {
    assert_eq!(
        hex(&bytes_of(vec![section(5, Table::Spans, vec![row()])])),
        SMALL
    );
}

#[test]
fn version_2_is_read_as_ever() {
    let digits: String = SMALL.split_whitespace().collect();
    let bytes = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect();
    let mem = MemDisk::default();
    mem.place(FileId::new(FileKind::Segment, 0x2a), bytes);
    let disk: Arc<dyn Disk> = Arc::new(mem);
    let segment = Segment::open(&LocalStore::over(&disk), 0x2a, DATABASE).unwrap();
    segment.verify().unwrap();
    let reader = segment.section(ProjectId(5), Table::Spans).unwrap();
    assert_eq!(reader.row(0).unwrap(), row());
}

/// A difference means other bytes on disk: a new version of the format, unless it was zstd itself
/// that changed.
#[test]
fn larger_forms_are_written_as_ever() {
    let digest = |rows: Vec<RowInput>, form| {
        let body_bytes = rows.iter().map(|r| r.content.body_len() as u64).sum();
        assert_eq!(
            write::form(u32::try_from(rows.len()).unwrap(), body_bytes),
            form
        );
        xxhash_rust::xxh3::xxh3_64(&bytes_of(vec![section(5, Table::Spans, rows)]))
    };
    let compact = digest(rows_of(1, 900, 20), footer::Form::Compact);
    assert_eq!(compact, 0x1abd_1958_122e_95ae, "{compact:#x}");
    let full = digest(rows_of(2, FULL_ROWS_MIN, 2), footer::Form::Full);
    assert_eq!(full, 0xf015_6e8f_c1f0_132e, "{full:#x}");
}
