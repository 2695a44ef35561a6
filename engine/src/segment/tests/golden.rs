//! Files as they are written, and were by versions 2 and 3, byte for byte.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;

use super::disk::MemDisk;
use super::oracle::{chat, rows_of, rows_with};
use super::{DATABASE, section};
use crate::body::{self, Content};
use crate::boundary::LocalStore;
use crate::doc::DocWriter;
use crate::io::{Disk, FileId, FileKind};
use crate::row::{ProjectId, RowKey, Stamp, Table};
use crate::segment::{
    FULL_ROWS_MIN, PROMOTED_PATHS_MAX, RowInput, SectionInput, Segment, SegmentError,
    SegmentOptions, footer, write,
};

/// Also in `FORMAT.md`, with its fields named.
const SMALL: &str = include_str!("golden.hex");
const SMALL_OF_2: &str = include_str!("golden2.hex");
const SMALL_OF_3: &str = include_str!("golden3.hex");

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
fn version_4_is_written_as_ever() {
    assert_eq!(
        hex(&bytes_of(vec![section(5, Table::Spans, vec![row()])])),
        SMALL
    );
}

#[test]
fn earlier_versions_are_read_as_ever() {
    for (hex, version) in [(SMALL_OF_2, 2), (SMALL_OF_3, 3), (SMALL, 4)] {
        let segment = open(hex).unwrap();
        segment.verify().unwrap();
        let reader = segment.section(ProjectId(5), Table::Spans).unwrap();
        assert_eq!(reader.row(0).unwrap(), row());
        let told = segment.describe().to_string();
        assert!(told.contains(&format!(" version={version} ")), "{told}");
    }
}

fn open(hex: &str) -> Result<Arc<Segment>, SegmentError> {
    let digits: String = hex.split_whitespace().collect();
    let bytes = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect();
    let mem = MemDisk::default();
    mem.place(FileId::new(FileKind::Segment, 0x2a), bytes);
    let disk: Arc<dyn Disk> = Arc::new(mem);
    Segment::open(&LocalStore::over(&disk), 0x2a, DATABASE)
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
    let full = digest(rows_of(2, FULL_ROWS_MIN, 2), footer::Form::Full);
    let shared = digest(chat(100), footer::Form::Compact);
    // A key more than the directory lists.
    let keys = PROMOTED_PATHS_MAX as u64 - 1;
    let rare = digest(
        rows_with(64, 600, |n| {
            (n * 16..n * 16 + 16).filter(|k| *k < keys).collect()
        }),
        footer::Form::Compact,
    );
    let digests = [compact, full, shared, rare];
    let expect = [
        0x847d_624f_c20f_ecad,
        0xc1c8_0005_ec79_024b,
        0xb6df_3d43_06db_f418,
        0x2137_2cae_2572_d53f,
    ];
    assert_eq!(digests, expect, "{digests:#x?}");
}
