//! Properties of whole segments: against rows as they were given and a naive oracle.

mod damage;
mod decode;
pub(crate) mod disk;
mod golden;
mod merge;
mod missing;
pub(super) mod oracle;
mod rare;
mod twins;

use std::sync::Arc;

use proptest::prelude::*;
use roaring::RoaringBitmap;

use self::disk::MemDisk;
use self::oracle::{check_source, rows_of, small_rows};
use super::*;
use crate::boundary::LocalStore;
use crate::io::Disk;
use crate::source::Source;

const DATABASE: [u8; 16] = *b"database-of-test";

fn disk() -> Arc<dyn Disk> {
    Arc::new(MemDisk::default())
}

fn section(project: u64, table: Table, rows: Vec<RowInput>) -> SectionInput {
    SectionInput {
        project: ProjectId(project),
        table,
        rows,
    }
}

/// Writes, opens and checks everything that can be asked of a section.
fn round_trip(rows: &[RowInput]) {
    let disk = disk();
    let sections = vec![
        section(9, Table::Spans, rows.to_vec()),
        section(2, Table::Runs, rows.iter().take(3).cloned().collect()),
        section(9, Table::Logs, Vec::new()),
    ];
    let options = SegmentOptions::default();
    let written = write(&LocalStore::over(&disk), 7, DATABASE, sections, &options).unwrap();
    let segment = Segment::open(&LocalStore::over(&disk), 7, DATABASE).unwrap();
    assert_eq!(segment.id(), 7);
    assert_eq!(segment.bytes(), written.bytes);
    assert!(segment.sections().eq(&written.sections));
    assert!(segment.section(ProjectId(9), Table::Logs).is_none());
    let report = segment.verify().unwrap();
    assert_eq!(report.rows, (rows.len() + rows.len().min(3)) as u64);
    assert_eq!(report.bytes, written.bytes);
    for (at, (project, table)) in [(9, Table::Spans), (2, Table::Runs)]
        .into_iter()
        .enumerate()
    {
        let order = &written.order[at];
        let Some(reader) = segment.section(ProjectId(project), table) else {
            assert!(rows.is_empty());
            continue;
        };
        let mut in_file = vec![None; order.len()];
        for (input, row) in order.iter().enumerate() {
            assert!(in_file[*row as usize].replace(&rows[input]).is_none());
        }
        let in_file: Vec<&RowInput> = in_file.into_iter().map(Option::unwrap).collect();
        check_rows(reader, &in_file);
        check_source(reader, &in_file);
    }
}

fn check_rows(reader: &SectionReader, rows: &[&RowInput]) {
    assert_eq!(reader.row_count() as usize, rows.len());
    let mut seen = 0;
    reader
        .scan_rows(&mut |row, found| {
            assert_eq!(row, seen);
            assert_eq!(&found, rows[row as usize]);
            seen += 1;
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(seen as usize, rows.len());
    let step = rows.len() / 300 + 1;
    for (at, row) in rows.iter().enumerate().step_by(step) {
        let number = u32::try_from(at).unwrap();
        assert_eq!(&reader.row(number).unwrap(), *row);
        assert!(reader.has_trace(&row.key.trace_id));
        assert_eq!(
            reader.find(&row.key.trace_id, &row.key.id).unwrap(),
            Some(number)
        );
        assert_eq!(reader.find(&row.key.trace_id, "no such row").unwrap(), None);
        let trace: RoaringBitmap = (0..)
            .zip(rows)
            .filter(|(_, other)| other.key.trace_id == row.key.trace_id)
            .map(|(at, _)| at)
            .collect();
        assert_eq!(reader.trace_rows(&row.key.trace_id).unwrap(), trace);
    }
    assert_eq!(reader.find("no such trace", "x").unwrap(), None);
    assert!(reader.row(reader.row_count()).is_err());
    let order = |r: &RowInput| {
        (
            r.start_ns.div_euclid(WINDOW_NS),
            r.key.trace_id.clone(),
            r.start_ns,
            r.key.id.clone(),
        )
    };
    assert!(rows.is_sorted_by_key(|r| order(r)));
    for group in 0..chunk::group_count(reader.row_count()) {
        let (first, count) = chunk::group_bounds(group, reader.row_count());
        let starts = &rows[first as usize..(first + count) as usize];
        let starts = starts.iter().map(|r| r.start_ns);
        let expect = (starts.clone().min().unwrap(), starts.max().unwrap());
        assert_eq!(reader.start_range(group), Some(expect));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn small_sections_answer_as_the_rows_do(rows in small_rows()) {
        round_trip(&rows);
    }
}

#[test]
fn sections_with_columns_in_one_frame_answer_as_the_rows_do() {
    let rows = rows_of(1, 900, 200);
    assert_eq!(write::form(900, body_bytes(&rows)), footer::Form::Compact);
    round_trip(&rows);
}

#[test]
fn sections_with_bitmaps_answer_as_the_rows_do() {
    let rows = rows_of(2, FULL_ROWS_MIN, 40);
    assert_eq!(
        write::form(FULL_ROWS_MIN, body_bytes(&rows)),
        footer::Form::Full
    );
    round_trip(&rows);
    let disk = disk();
    let options = SegmentOptions::default();
    write(
        &LocalStore::over(&disk),
        1,
        DATABASE,
        vec![section(1, Table::Spans, rows)],
        &options,
    )
    .unwrap();
    let described = Segment::open(&LocalStore::over(&disk), 1, DATABASE)
        .unwrap()
        .describe()
        .to_string();
    let line = |start: &str| {
        described
            .lines()
            .find(|l| l.trim().starts_with(start))
            .unwrap()
    };
    assert!(line("section project=1 table=Spans").contains("form=full rows=4096"));
    assert!(line("column \"status\" type=str").contains("distinct=3 bitmaps=true"));
    assert!(line("column \"tags\" type=f64").contains("rows="));
    assert!(line("column \"n\" type=i64").contains("distinct=- bitmaps=false"));
}

#[test]
fn sections_of_several_row_groups_answer_as_the_rows_do() {
    round_trip(&rows_of(3, GROUP_ROWS + 5_000, 0));
}

fn body_bytes(rows: &[RowInput]) -> u64 {
    rows.iter().map(|r| r.content.body_len() as u64).sum()
}

#[test]
fn the_form_follows_from_the_size_alone() {
    use footer::Form::{Compact, Full, Inline};
    assert_eq!(
        write::form(FULL_ROWS_MIN - 1, INLINE_BODY_BYTES_MAX),
        Inline
    );
    assert_eq!(write::form(1, INLINE_BODY_BYTES_MAX + 1), Compact);
    assert_eq!(write::form(1, COMPACT_BODY_BYTES_MAX), Compact);
    assert_eq!(write::form(1, COMPACT_BODY_BYTES_MAX + 1), Full);
    assert_eq!(write::form(FULL_ROWS_MIN, 0), Full);
}
