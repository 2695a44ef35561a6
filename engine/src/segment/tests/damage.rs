//! Damaged files and failing disks: refused or harmless, never a panic or another answer.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::disk::MemDisk;
use super::oracle::rows_of;
use super::{DATABASE, section};
use crate::boundary::LocalStore;
use crate::io::{Disk, FileId, FileKind};
use crate::row::{ProjectId, Table};
use crate::segment::{RowInput, SectionInput, Segment, SegmentError, SegmentOptions, write};
use crate::source::{Column, Probe, Source, SourceError};
use crate::text::term;

const FILE: FileId = FileId::new(FileKind::Segment, 3);

fn sections() -> Vec<SectionInput> {
    vec![
        section(1, Table::Spans, rows_of(5, 6, 1)),
        section(1, Table::Runs, rows_of(6, 30, 160)),
        // Large bodies of few bytes: payload blocks enough for an index of terms.
        section(2, Table::Spans, rows_of(8, 2, 17_000)),
        section(70_000, Table::Scores, rows_of(7, 1, 0)),
    ]
}

fn bytes_of(sections: Vec<SectionInput>) -> Vec<u8> {
    let mem = Arc::new(MemDisk::default());
    let disk: Arc<dyn Disk> = Arc::clone(&mem) as Arc<dyn Disk>;
    write(
        &LocalStore::over(&disk),
        3,
        DATABASE,
        sections,
        &SegmentOptions::default(),
    )
    .unwrap();
    let file = Arc::clone(&mem.published.lock()[&FILE]);
    file.bytes.lock().clone()
}

fn open(bytes: Vec<u8>, database: [u8; 16]) -> Result<Arc<Segment>, SegmentError> {
    let mem = MemDisk::default();
    mem.place(FILE, bytes);
    let disk: Arc<dyn Disk> = Arc::new(mem);
    Segment::open(&LocalStore::over(&disk), 3, database)
}

/// All rows of all sections, as far as they read.
fn rows(segment: &Segment) -> Vec<Result<Vec<RowInput>, SourceError>> {
    segment
        .sections()
        .map(|summary| {
            let reader = segment.section(summary.project, summary.table).unwrap();
            let mut rows = Vec::new();
            reader.scan_rows(&mut |_, row| {
                rows.push(row);
                ControlFlow::Continue(())
            })?;
            let mut all = roaring::RoaringBitmap::new();
            all.insert_range(0..reader.row_count());
            for column in [Column::TraceId, Column::End, Column::Path("status".into())] {
                let count = reader.matching(&column, &|_| Some(true), &all)?.sure.len();
                assert!(count <= u64::from(reader.row_count()));
            }
            let terms = ["error", "absent"].map(|w| term::word(w.as_bytes()));
            for term in terms {
                let with = reader.narrow(Probe::Words(&[term]))?;
                let whole = segment.bad_blocks().is_empty();
                let has_index = summary.project == ProjectId(2);
                assert!(with.is_some() == has_index || !whole && with.is_none());
                for (rows, n) in with.unwrap_or_default().left {
                    assert!(rows.max() < Some(reader.row_count()));
                    assert!(n.map(u64::from) <= Some(rows.len()));
                    assert_eq!(n, Some(1), "a word that no row has, or not so many");
                }
            }
            for (at, row) in (0..).zip(&rows) {
                assert_eq!(&reader.row(at)?, row);
                assert_eq!(reader.find(&row.key.trace_id, &row.key.id)?, Some(at));
            }
            Ok(rows)
        })
        .collect()
}

#[test]
fn every_flipped_byte_is_found_or_harmless() {
    let bytes = bytes_of(sections());
    let whole = open(bytes.clone(), DATABASE).unwrap();
    whole.verify().unwrap();
    let expect: Vec<_> = rows(&whole).into_iter().map(Result::unwrap).collect();
    let mut refused_rows = 0;
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        let Ok(segment) = open(damaged, DATABASE) else {
            continue;
        };
        assert!(segment.verify().is_err(), "byte {at} not found");
        for (found, expect) in rows(&segment).into_iter().zip(&expect) {
            match found {
                Ok(rows) => assert_eq!(&rows, expect, "byte {at}"),
                Err(SourceError::Damaged { file, .. }) => {
                    assert_eq!(file, FILE.to_string());
                    refused_rows += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert!(!segment.describe().to_string().is_empty());
    }
    assert!(refused_rows > bytes.len() / 2);
}

#[test]
fn every_cut_and_every_extra_byte_is_refused_at_open() {
    let bytes = bytes_of(sections());
    for end in 0..bytes.len() {
        assert!(
            open(bytes[..end].to_vec(), DATABASE).is_err(),
            "cut at {end}"
        );
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(open(longer, DATABASE).is_err());
}

#[test]
fn a_file_of_another_database_or_number_is_refused() {
    let bytes = bytes_of(sections());
    assert!(open(bytes.clone(), [0; 16]).is_err());
    let mem = MemDisk::default();
    mem.place(FileId::new(FileKind::Segment, 4), bytes);
    let disk: Arc<dyn Disk> = Arc::new(mem);
    assert!(Segment::open(&LocalStore::over(&disk), 4, DATABASE).is_err());
}

#[test]
fn an_unknown_version_is_refused_by_its_number() {
    let mut bytes = bytes_of(sections());
    let at = bytes.len() - 12;
    bytes[at..at + 4].copy_from_slice(&9u32.to_le_bytes());
    match open(bytes, DATABASE) {
        Err(SegmentError::Version { version: 9, file }) => assert_eq!(file, FILE.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_swapped_block_does_not_pass_for_its_neighbour() {
    // Two sections of one row each that differ in nothing but the place of their bytes.
    let rows = rows_of(5, 1, 0);
    let sections = vec![
        section(1, Table::Spans, rows.clone()),
        section(2, Table::Spans, rows.clone()),
    ];
    let bytes = bytes_of(sections);
    let segment = open(bytes.clone(), DATABASE).unwrap();
    let mut blocks = Vec::new();
    for project in [1, 2] {
        let reader = segment.section(ProjectId(project), Table::Spans).unwrap();
        blocks.push(reader.entry.block);
        assert_eq!(reader.row(0).unwrap(), rows[0]);
    }
    let range = |at: usize| {
        let start = usize::try_from(blocks[at].offset).unwrap();
        start..start + blocks[at].stored as usize
    };
    assert_eq!(bytes[range(0)], bytes[range(1)]);
    assert_ne!(blocks[0].crc, blocks[1].crc);
}

#[test]
fn every_failing_operation_fails_the_write_and_leaves_nothing_half_done() {
    let clean = Arc::new(MemDisk::default());
    let disk: Arc<dyn Disk> = Arc::clone(&clean) as Arc<dyn Disk>;
    write(
        &LocalStore::over(&disk),
        3,
        DATABASE,
        sections(),
        &SegmentOptions::default(),
    )
    .unwrap();
    let operations = clean.operations();
    assert!(
        operations >= 6,
        "create, write, sync, publish, sync directory, open, read"
    );
    for at in 1..=operations {
        let mem = Arc::new(MemDisk::failing_at(at));
        let disk: Arc<dyn Disk> = Arc::clone(&mem) as Arc<dyn Disk>;
        let result = write(
            &LocalStore::over(&disk),
            3,
            DATABASE,
            sections(),
            &SegmentOptions::default(),
        );
        assert!(result.is_err(), "operation {at}");
        assert_eq!(mem.temporary_files(), 0, "operation {at}");
        // What was published is whole: the sync of its bytes came first.
        if !disk.list().unwrap().is_empty() {
            Segment::open(&LocalStore::over(&disk), 3, DATABASE)
                .unwrap()
                .verify()
                .unwrap();
        }
    }
}

#[test]
fn a_failing_read_is_not_taken_for_damage() {
    let bytes = bytes_of(sections());
    // Opening takes two operations; the third reads a section, and so does the fourth.
    let mem = MemDisk::failing_at_each(3, 2);
    mem.place(FILE, bytes);
    let disk: Arc<dyn Disk> = Arc::new(mem);
    let segment = Segment::open(&LocalStore::over(&disk), 3, DATABASE).unwrap();
    let reader = segment.section(ProjectId(1), Table::Spans).unwrap();
    match reader.row(0) {
        Err(SourceError::Io { source, .. }) => assert_eq!(source.kind(), io::ErrorKind::Other),
        other => panic!("{other:?}"),
    }
    reader.row(0).unwrap();
}

#[test]
fn a_read_that_fails_once_is_tried_again() {
    let bytes = bytes_of(sections());
    let mem = MemDisk::failing_at(3);
    mem.place(FILE, bytes);
    let disk: Arc<dyn Disk> = Arc::new(mem);
    let segment = Segment::open(&LocalStore::over(&disk), 3, DATABASE).unwrap();
    let reader = segment.section(ProjectId(1), Table::Spans).unwrap();
    reader.row(0).unwrap();
    assert_eq!(segment.bad_blocks(), []);
}

#[test]
fn flipped_bytes_of_a_large_section_are_found() {
    let rows = rows_of(2, crate::segment::FULL_ROWS_MIN, 0);
    let bytes = bytes_of(vec![section(1, Table::Spans, rows)]);
    open(bytes.clone(), DATABASE).unwrap().verify().unwrap();
    for at in (0..bytes.len()).step_by(9_973) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        let found = open(damaged, DATABASE).and_then(|segment| segment.verify());
        assert!(found.is_err(), "byte {at} not found");
    }
}
