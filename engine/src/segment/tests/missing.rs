//! Sections of which blocks do not read: derived ones are gone round with the same answers, and of
//! the others it is known which rows they take along.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::disk::MemDisk;
use super::oracle::{check_source, rows_of};
use super::{DATABASE, section};
use crate::boundary::LocalStore;
use crate::io::{Disk, FileId, FileKind};
use crate::row::{ProjectId, Table};
use crate::segment::block::BlockRef;
use crate::segment::{
    FULL_ROWS_MIN, RowInput, SectionReader, Segment, SegmentOptions, terms, write,
};
use crate::source::{Source, SourceError};

const FILE: FileId = FileId::new(FileKind::Segment, 3);

/// A full section of several column blocks, payload blocks and an index of terms.
fn written() -> (Vec<u8>, Vec<RowInput>) {
    let rows = rows_of(4, FULL_ROWS_MIN, 0);
    let mem = Arc::new(MemDisk::default());
    let disk: Arc<dyn Disk> = Arc::clone(&mem) as Arc<dyn Disk>;
    let store = LocalStore::over(&disk);
    let sections = vec![section(1, Table::Spans, rows.clone())];
    let options = SegmentOptions::default();
    let written = write(&store, 3, DATABASE, sections, &options).unwrap();
    let mut ordered = rows.clone();
    for (row, to) in rows.into_iter().zip(&written.order[0]) {
        ordered[*to as usize] = row;
    }
    let file = Arc::clone(&mem.published.lock()[&FILE]);
    let bytes = file.bytes.lock().clone();
    (bytes, ordered)
}

fn open(bytes: &[u8]) -> Arc<Segment> {
    let mem = MemDisk::default();
    mem.place(FILE, bytes.to_vec());
    let disk: Arc<dyn Disk> = Arc::new(mem);
    Segment::open(&LocalStore::over(&disk), 3, DATABASE).unwrap()
}

fn spans(segment: &Segment) -> &SectionReader {
    segment.section(ProjectId(1), Table::Spans).unwrap()
}

/// Column blocks, payload blocks, blocks of the index of terms.
fn blocks(reader: &SectionReader) -> [Vec<BlockRef>; 3] {
    let view = reader.view().unwrap();
    let directory = &view.index.directory;
    let root = directory.terms.as_ref().unwrap();
    let bad = |at, bad| reader.bad(at, bad);
    let of_terms = terms::blocks_of(root, &|b| reader.file.read(b), &bad).unwrap();
    [
        directory.blocks.clone(),
        directory.payload.blocks.clone(),
        of_terms,
    ]
}

fn damaged(bytes: &[u8], block: &BlockRef) -> Arc<Segment> {
    let mut bytes = bytes.to_vec();
    let at = usize::try_from(block.offset).unwrap() + block.stored as usize / 2;
    bytes[at] ^= 4;
    let segment = open(&bytes);
    assert!(segment.verify().is_err());
    assert_eq!(segment.bad_blocks(), [block.offset]);
    segment
}

#[test]
fn without_derived_blocks_every_answer_is_the_same() {
    let (bytes, rows) = written();
    let rows: Vec<&RowInput> = rows.iter().collect();
    let whole = open(&bytes);
    let [columns, payload, of_terms] = blocks(spans(&whole));
    assert!(columns.len() > 2 && payload.len() > 1 && !of_terms.is_empty());
    let mut derived = 0;
    for block in columns.iter().chain(&of_terms) {
        let segment = damaged(&bytes, block);
        let reader = spans(&segment);
        let lost = reader.lost_with(block.offset).unwrap();
        if lost.rows.is_empty() {
            derived += 1;
            check_source(reader, &rows);
            super::check_rows(reader, &rows);
        }
    }
    assert!(
        derived > of_terms.len(),
        "no column block holds derived bytes alone"
    );
}

#[test]
fn what_holds_facts_takes_its_rows_along_and_no_others() {
    let (bytes, rows) = written();
    let whole = open(&bytes);
    let [columns, payload, _] = blocks(spans(&whole));
    let mut all_lost = RoaringBitmap::new();
    for block in columns.iter().chain(&payload) {
        let segment = damaged(&bytes, block);
        let reader = spans(&segment);
        let lost = reader.lost_with(block.offset).unwrap().rows;
        for (at, row) in (0..).zip(&rows) {
            match reader.row(at) {
                Ok(found) => assert_eq!(&found, row),
                Err(SourceError::Damaged { offset, .. }) => {
                    assert_eq!(offset, block.offset);
                    assert!(lost.contains(at), "row {at} is not named as lost");
                }
                Err(other) => panic!("{other}"),
            }
            if !lost.contains(at) {
                assert_eq!(&reader.row(at).unwrap(), row);
            }
        }
        if payload.contains(block) {
            assert!(lost.len() < rows.len() as u64);
            all_lost |= lost;
        }
    }
    assert_eq!(all_lost.len(), rows.len() as u64);
}

/// Damage of which nothing is known yet: what follows from other blocks is asked for again.
#[test]
fn a_block_that_failed_once_is_gone_round_the_second_time() {
    let (bytes, rows) = written();
    let whole = open(&bytes);
    let [columns, ..] = blocks(spans(&whole));
    let mut met = 0;
    for block in &columns {
        let mut bytes = bytes.clone();
        bytes[usize::try_from(block.offset).unwrap()] ^= 4;
        let segment = open(&bytes);
        let reader = spans(&segment);
        let all = reader.all_rows();
        if !reader.lost_with(block.offset).unwrap().rows.is_empty() {
            continue;
        }
        let mut paths = Vec::new();
        reader
            .paths(&mut |path, _, _| paths.push(path.to_owned()))
            .unwrap();
        for path in paths {
            let column = crate::source::Column::Path(path.into());
            let test = |_: crate::doc::Scalar<'_>| Some(true);
            if let Err(error) = reader.matching(&column, &test, &all) {
                assert_eq!(error.place().1, block.offset);
                met += 1;
                reader.matching(&column, &test, &all).unwrap();
            }
        }
        let row = &rows[7];
        assert_eq!(
            reader.find(&row.key.trace_id, &row.key.id).unwrap(),
            Some(7)
        );
    }
    assert!(met > 0);
}
