//! Merged sections against the rows that went in.

use std::sync::Arc;

use proptest::prelude::*;
use roaring::RoaringBitmap;

use super::oracle::{chat, check_source, rows_of, small_rows};
use super::{DATABASE, check_rows, disk, section};
use crate::boundary::{LocalStore, Store};
use crate::columns::LEFT_OUT;
use crate::io::Disk;
use crate::row::{ProjectId, Table};
use crate::segment::{
    MergeInput, MergeSection, RowInput, Segment, SegmentOptions, Work, directory, write,
    write_works,
};

const PROJECT: ProjectId = ProjectId(9);

/// A segment and the rows of it in the order of the file.
pub(super) struct Written {
    pub(super) segment: Arc<Segment>,
    pub(super) rows: Vec<RowInput>,
}

fn store(disk: &Arc<dyn Disk>) -> Arc<dyn Store> {
    LocalStore::over(disk)
}

pub(super) fn written(disk: &Arc<dyn Disk>, id: u64, rows: &[RowInput]) -> Written {
    let sections = vec![section(PROJECT.0, Table::Spans, rows.to_vec())];
    let options = SegmentOptions::default();
    let done = write(&store(disk), id, DATABASE, sections, &options).unwrap();
    let mut in_file: Vec<_> = done.order[0].iter().zip(rows).collect();
    in_file.sort_by_key(|(place, _)| **place);
    Written {
        segment: Segment::open(&store(disk), id, DATABASE).unwrap(),
        rows: in_file.into_iter().map(|(_, row)| row.clone()).collect(),
    }
}

/// Merges without the rows that `dies` names, and checks everything that can be asked.
pub(super) fn merged(
    disk: &Arc<dyn Disk>,
    id: u64,
    inputs: &[&Written],
    dies: &dyn Fn(&RowInput) -> bool,
) -> Written {
    let dead = |input: &&Written| -> RoaringBitmap {
        let rows = (0..).zip(&input.rows);
        rows.filter(|(_, row)| dies(row))
            .map(|(at, _)| at)
            .collect()
    };
    let dead: Vec<RoaringBitmap> = inputs.iter().map(dead).collect();
    let section = MergeSection {
        project: PROJECT,
        table: Table::Spans,
        inputs: inputs
            .iter()
            .zip(&dead)
            .map(|(input, dead)| MergeInput {
                section: input.segment.section(PROJECT, Table::Spans).unwrap(),
                dead: Some(dead),
            })
            .collect(),
    };
    let works = vec![Work::Merge(section)];
    let options = SegmentOptions::default();
    let done = write_works(&store(disk), id, DATABASE, works, &options).unwrap();
    let segment = Segment::open(&store(disk), id, DATABASE).unwrap();
    let all: Vec<&RowInput> = inputs.iter().flat_map(|input| &input.rows).collect();
    assert_eq!(done.order[0].len(), all.len());
    let mut in_file: Vec<_> = done.order[0].iter().zip(all).collect();
    assert!(
        in_file
            .iter()
            .all(|(place, row)| (**place == LEFT_OUT) == dies(row))
    );
    in_file.retain(|(place, _)| **place != LEFT_OUT);
    in_file.sort_by_key(|(place, _)| **place);
    let rows: Vec<&RowInput> = in_file.into_iter().map(|(_, row)| row).collect();
    let report = segment.verify().unwrap();
    assert_eq!(report.rows, rows.len() as u64);
    let reader = segment.section(PROJECT, Table::Spans).unwrap();
    check_rows(reader, &rows);
    check_source(reader, &rows);
    let summary = reader.summary();
    let lsns = rows.iter().flat_map(|row| [row.lsn_first, row.lsn_last]);
    assert_eq!(Some(summary.lsn_min), lsns.clone().min());
    assert_eq!(Some(summary.lsn_max), lsns.max());
    Written {
        rows: rows.into_iter().cloned().collect(),
        segment,
    }
}

fn deal(rows: &[RowInput], hands: usize) -> Vec<Vec<RowInput>> {
    let mut dealt = vec![Vec::new(); hands];
    for (at, row) in rows.iter().enumerate() {
        dealt[at * 7 % hands].push(row.clone());
    }
    dealt.retain(|hand| !hand.is_empty());
    dealt
}

fn is_even(row: &RowInput) -> bool {
    row.lsn_first.is_multiple_of(2)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
    #[test]
    fn small_merges_answer_as_the_rows_do(rows in small_rows(), hands in 1usize..5) {
        let disk = disk();
        let dealt = deal(&rows, hands);
        let inputs: Vec<Written> =
            (1..).zip(&dealt).map(|(id, rows)| written(&disk, id, rows)).collect();
        if inputs.is_empty() {
            return Ok(());
        }
        let all: Vec<&Written> = inputs.iter().collect();
        let once = merged(&disk, 100, &all, &|_| false);
        if once.rows.iter().any(|row| !is_even(row)) {
            merged(&disk, 101, &[&once], &is_even);
        }
    }
}

/// Several blocks of payload: some are copied, others, with dead rows, are written anew; then what
/// was merged is merged again.
#[test]
fn merges_of_merges_answer_as_the_rows_do() {
    let disk = disk();
    let rows = rows_of(4, 6_000, 300);
    let dealt = deal(&rows, 3);
    let inputs: Vec<Written> = (1..)
        .zip(&dealt)
        .map(|(id, rows)| written(&disk, id, rows))
        .collect();
    let first = merged(&disk, 10, &[&inputs[0], &inputs[1]], &|_| false);
    let trace = first.rows[40].key.trace_id.clone();
    let second = merged(&disk, 11, &[&first, &inputs[2]], &|row| {
        row.key.trace_id == trace
    });
    assert!(second.rows.len() < rows.len());
    let last = merged(&disk, 12, &[&second], &is_even);
    assert!(!last.rows.is_empty());
}

/// A block of which all rows live on is the same bytes in the output.
#[test]
fn whole_blocks_are_copied_and_blocks_with_dead_rows_are_not() {
    let disk = disk();
    let input = written(&disk, 1, &rows_of(5, 5_000, 400));
    let stored = |written: &Written| -> Vec<_> {
        let reader = written.segment.section(PROJECT, Table::Spans).unwrap();
        let view = reader.view().unwrap();
        let blocks = view.index.directory.payload.blocks.iter();
        blocks
            .map(|block| reader.file.read_stored(block).unwrap())
            .collect()
    };
    let before = stored(&input);
    assert!(before.len() > 4, "{}", before.len());
    let same = merged(&disk, 2, &[&input], &|_| false);
    let placement = &same
        .segment
        .section(PROJECT, Table::Spans)
        .unwrap()
        .view()
        .unwrap();
    let placement = &placement.index.directory.payload.placement;
    assert!(matches!(placement, directory::Placement::ByRow(_)));
    let kept = |after: &[bytes::Bytes]| before.iter().filter(|block| after.contains(block)).count();
    // The last one may be too small to stay as it is.
    assert!(kept(&stored(&same)) >= before.len() - 1);
    let victim = same.rows[2_000].key.clone();
    let without = merged(&disk, 3, &[&same], &|row| row.key == victim);
    let survivors = kept(&stored(&without));
    assert!(
        survivors >= before.len() - 3 && survivors < before.len(),
        "{survivors}"
    );
}

/// A section of one block has no index. Its block is written anew, though it is large enough to be copied, or every
/// question would read it for ever.
#[test]
fn a_block_that_no_index_has_gets_one_at_the_merge() {
    let disk = disk();
    let parts = deal(&rows_of(6, 120, 300), 3);
    let parts: Vec<Written> = (1..)
        .zip(&parts)
        .map(|(id, rows)| written(&disk, id, rows))
        .collect();
    let directory_of = |written: &Written| {
        let reader = written.segment.section(PROJECT, Table::Spans).unwrap();
        let view = reader.view().unwrap();
        let directory = &view.index.directory;
        let blocks: Vec<u32> = directory.payload.blocks.iter().map(|b| b.raw).collect();
        (blocks, directory.terms.clone())
    };
    for part in &parts {
        let (blocks, terms) = directory_of(part);
        assert!(matches!(*blocks, [raw] if raw >= 64 << 10), "{blocks:?}");
        assert_eq!(terms, None);
    }
    let all: Vec<&Written> = parts.iter().collect();
    let (blocks, terms) = directory_of(&merged(&disk, 10, &all, &|_| false));
    assert!(blocks.len() > 1);
    assert_eq!(terms.unwrap().open, []);
}

/// Every row is checked by [`merged`].
#[test]
fn a_chat_of_300_turns_takes_linear_space_and_goes_on_doing_so() {
    let disk = disk();
    let raw = |rows: &[RowInput]| {
        rows.iter()
            .map(|r| r.content.body_len() as u64)
            .sum::<u64>()
    };
    let all = chat(300);
    let half = written(&disk, 1, &chat(150));
    let whole = written(&disk, 2, &all);
    assert!(raw(&all) > 14 << 20);
    let (of_150, of_300) = (half.segment.bytes(), whole.segment.bytes());
    assert!(of_300 < of_150 * 5 / 2, "{of_150} {of_300}");
    assert!(of_300 < raw(&all) / 25, "{of_300} of {}", raw(&all));
    // Sent in two parts, then merged; and written anew since one of its rows dies.
    let parts = [
        written(&disk, 3, &all[..150]),
        written(&disk, 4, &all[150..]),
    ];
    let joined = merged(&disk, 5, &[&parts[0], &parts[1]], &|_| false);
    let without = merged(&disk, 6, &[&joined], &|row| row.lsn_first == 200);
    for after in [&joined, &without] {
        let bytes = after.segment.bytes();
        assert!(bytes < of_300 * 3 / 2, "{bytes} after {of_300}");
    }
}
