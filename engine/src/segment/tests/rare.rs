//! Sections with more keys than their directory lists: every answer is that of the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::oracle::{check_columns, rows_with};
use super::{DATABASE, section};
use crate::boundary::LocalStore;
use crate::columns::value::Kind;
use crate::doc::{DocRef, Scalar, flatten};
use crate::io::{Disk, FileId, FileKind};
use crate::row::{ProjectId, Table};
use crate::segment::tests::disk::MemDisk;
use crate::segment::tests::merge::{Written, merged, written};
use crate::segment::{
    FULL_ROWS_MIN, PROMOTED_PATHS_MAX, RowInput, SectionReader, Segment, SegmentOptions, footer,
    write,
};
use crate::source::{Column, LaneKind, Source};

/// Beside its keys a row has `status` and `input`.
const KEYS_AT_LIMIT: u64 = PROMOTED_PATHS_MAX as u64 - 2;

fn disk() -> Arc<dyn Disk> {
    Arc::new(MemDisk::default())
}

fn reader(written: &Written) -> &SectionReader {
    let section = written.segment.section(ProjectId(9), Table::Spans);
    section.unwrap()
}

fn rare_pages(reader: &SectionReader) -> usize {
    reader.view().unwrap().index.directory.rare.len()
}

/// Some keys that most rows have, some that few have, one that no row has.
fn asked(keys: u64) -> Vec<Column> {
    let some = (0..keys).step_by(usize::try_from(keys / 40 + 1).unwrap());
    let names = some.chain([1, keys - 2, keys - 1, keys]);
    let names = names.map(|key| Column::Path(format!("key-{key}").into()));
    let status = Column::Path("status".into());
    names.chain([status]).collect()
}

fn paths_of(rows: &[RowInput]) -> BTreeSet<(String, u64)> {
    let mut found = BTreeMap::new();
    for row in rows {
        let view = row.content.view().unwrap();
        let mut paths = BTreeSet::new();
        let mut visit = |path: &str, value: Scalar<'_>| {
            paths.insert((path.to_owned(), LaneKind::of(Kind::of(&value))));
        };
        flatten(DocRef::parse(&view).unwrap(), &mut visit).unwrap();
        for key in paths {
            *found.entry(key).or_insert(0) += 1;
        }
    }
    found
        .into_iter()
        .map(|((path, kind), rows)| (format!("{path} {kind:?}"), rows))
        .collect()
}

/// Everything that can be asked of some columns, and the names of all.
fn check(reader: &SectionReader, rows: &[RowInput], keys: u64) {
    let in_order: Vec<&RowInput> = rows.iter().collect();
    check_columns(reader, &in_order, &asked(keys));
    let mut names = BTreeSet::new();
    let mut visit = |path: &str, kind, rows| {
        assert!(
            names.insert((format!("{path} {kind:?}"), rows)),
            "{path} stands twice"
        );
    };
    reader.paths(&mut visit).unwrap();
    assert_eq!(names, paths_of(rows));
}

/// Each of so many keys in one row, the first also in every other.
fn spread(rows: u64, keys: u64) -> impl Fn(u64) -> Vec<u64> {
    let each = keys.div_ceil(rows);
    move |n| {
        let own = (n * each..(n + 1) * each).filter(|key| *key < keys);
        [0].into_iter().chain(own.filter(|key| *key > 0)).collect()
    }
}

#[test]
fn at_the_limit_the_directory_lists_all_and_one_above_it_leaves_one_out() {
    for (keys, pages) in [(KEYS_AT_LIMIT, 0), (KEYS_AT_LIMIT + 1, 1)] {
        let rows = rows_with(200, 200, spread(200, keys));
        let one = written(&disk(), 1, &rows);
        let reader = reader(&one);
        assert_eq!(reader.entry.form, footer::Form::Compact);
        assert_eq!(rare_pages(reader), pages);
        let view = reader.view().unwrap();
        let mut listed: Vec<&str> = view
            .index
            .directory
            .columns
            .iter()
            .map(|c| &*c.path)
            .collect();
        listed.dedup();
        assert_eq!(listed.len(), PROMOTED_PATHS_MAX);
        assert!(listed.contains(&"status") && listed.contains(&"key-0"));
        check(reader, &one.rows, keys);
    }
}

#[test]
fn many_keys_in_each_form_answer_as_the_rows_do() {
    let keys = 6_000;
    let full = u64::from(FULL_ROWS_MIN) + 100;
    let forms = [
        (300, 100, footer::Form::Compact),
        (full, 2, footer::Form::Full),
    ];
    for (count, padding, form) in forms {
        let one = written(&disk(), 1, &rows_with(count, padding, spread(count, keys)));
        let reader = reader(&one);
        assert_eq!(reader.entry.form, form);
        assert!(rare_pages(reader) > 3);
        check(reader, &one.rows, keys);
        let view = reader.view().unwrap();
        let directory = &view.index.directory;
        let bitmaps = directory.rare.iter().map(|page| {
            let entries = view.rare(page.piece).unwrap().into_iter();
            entries.filter(|entry| !entry.bitmaps.is_empty()).count()
        });
        assert_eq!(bitmaps.sum::<usize>(), 0);
    }
}

/// Keys that stand in pages of one input and in the directory of another, and the other way round.
#[test]
fn merges_of_many_keys_answer_as_the_rows_do() {
    let disk = disk();
    let keys = 3_000;
    let few = rows_with(5_000, 0, |n| vec![2_990 + n % 10]);
    let mut many = rows_with(400, 40, spread(400, keys));
    for row in &mut many {
        row.key.id = format!("many-{}", row.key.id).into();
    }
    let inputs = [written(&disk, 1, &few), written(&disk, 2, &many)];
    assert_eq!(
        inputs.each_ref().map(|input| rare_pages(reader(input)) > 0),
        [false, true]
    );
    let once = merged(&disk, 3, &[&inputs[0], &inputs[1]], &|_| false);
    check(reader(&once), &once.rows, keys);
    let listed = |written: &Written, path| {
        let view = reader(written).view().unwrap();
        !view.index.directory.at(path).is_empty()
    };
    assert!(!listed(&inputs[1], "key-2999") && listed(&once, "key-2999"));
    assert!(rare_pages(reader(&once)) > 0);
    // Merged again with rows left out, whose keys go with them; then so few are left that all are listed.
    let even = merged(&disk, 4, &[&once], &|row| row.lsn_first.is_multiple_of(2));
    check(reader(&even), &even.rows, keys);
    let left = merged(&disk, 5, &[&even], &|row| row.key.id.starts_with("many-"));
    check(reader(&left), &left.rows, keys);
    let again = merged(&disk, 6, &[&left], &|_| false);
    assert_eq!(rare_pages(reader(&again)), 0);
    check(reader(&again), &again.rows, keys);
}

/// A page of keys that does not read is gone round, as a column is.
#[test]
fn without_a_page_of_keys_the_documents_answer() {
    let rows = rows_with(4_200, 0, spread(4_200, 5_000));
    let mem = Arc::new(MemDisk::default());
    let disk: Arc<dyn Disk> = Arc::clone(&mem) as Arc<dyn Disk>;
    let store = LocalStore::over(&disk);
    let sections = vec![section(9, Table::Spans, rows.clone())];
    let options = SegmentOptions::default();
    let done = write(&store, 1, DATABASE, sections, &options).unwrap();
    let mut ordered = rows.clone();
    for (row, to) in rows.into_iter().zip(&done.order[0]) {
        ordered[*to as usize] = row;
    }
    let whole = Segment::open(&store, 1, DATABASE).unwrap();
    let reader = whole.section(ProjectId(9), Table::Spans).unwrap();
    let (block, page) = {
        let view = reader.view().unwrap();
        let directory = &view.index.directory;
        let page = directory.rare[1];
        (directory.blocks[page.piece.block as usize], page)
    };
    let at = usize::try_from(block.offset).unwrap() + block.stored as usize / 2;
    let file = Arc::clone(&mem.published.lock()[&FileId::new(FileKind::Segment, 1)]);
    file.bytes.lock()[at] ^= 4;
    let hurt = Segment::open(&store, 1, DATABASE).unwrap();
    let reader = hurt.section(ProjectId(9), Table::Spans).unwrap();
    assert!(reader.paths(&mut |_, _, _| {}).is_err());
    assert_eq!(hurt.bad_blocks(), [block.offset]);
    let view = reader.view().unwrap();
    assert!(view.is_missing(page.piece));
    check(reader, &ordered, 5_000);
}
