use bytes::Bytes;

use super::table::{INDEX_LAG, INDEX_LAG_MAX};
use super::*;
use crate::body::Content;
use crate::doc::{DocWriter, Scalar};
use crate::row::{RowKey, Stamp};
use crate::source::{Column, LaneKind, Source, check_lanes};

fn row(id: &str, lsn: Lsn, tags: &[&str]) -> MemRow {
    let mut out = DocWriter::new();
    let open = out.begin_map();
    out.key("tags");
    let inner = out.begin_array();
    tags.iter().for_each(|t| out.str(t));
    out.end(inner);
    out.end(open);
    let lsn_signed = i64::try_from(lsn).unwrap();
    MemRow {
        key: RowKey {
            trace_id: "t".into(),
            id: id.into(),
        },
        start_ns: lsn_signed,
        end_ns: Some(lsn_signed + 10),
        lsn_first: lsn,
        lsn_last: lsn,
        made: lsn,
        content: Content::Complete {
            stamp: Stamp::default(),
            doc: Bytes::from(out.finish()),
            cost: None,
        },
    }
}

fn rows(bitmap: &RoaringBitmap) -> Vec<u32> {
    bitmap.iter().collect()
}

#[test]
fn a_reader_sees_what_was_there_at_its_lsn() {
    let mem = Memtable::new(1);
    let project = ProjectId(7);
    let a = mem.push(project, Table::Spans, row("a", 1, &["x"]));
    mem.push(project, Table::Spans, row("b", 2, &["y", "y"]));
    let table = mem.table(project, Table::Spans).unwrap();
    table.kill(a, 3);
    mem.push(project, Table::Spans, row("a", 3, &["x", "y"]));

    let before = table.view_at(2);
    assert_eq!(rows(&before.live(2)), vec![0, 1]);
    let after = table.view_at(3);
    assert_eq!(rows(&after.live(3)), vec![1, 2]);
    assert_eq!(rows(&after.trace_rows("t").unwrap()), vec![0, 1, 2]);
    assert_eq!(rows(&before.trace_rows("t").unwrap()), vec![0, 1]);

    let tags = Column::Path("tags".into());
    let is_y = |v: Scalar<'_>| Some(v == Scalar::Str("y"));
    assert_eq!(
        rows(&after.matching(&tags, &is_y, &after.live(3)).unwrap().sure),
        vec![1, 2]
    );
    for column in [Column::Start, Column::End, Column::Id, tags.clone()] {
        check_lanes(&before, &column);
        check_lanes(&after, &column);
    }
    let mut paths = Vec::new();
    let mut visit = |path: &str, kind, rows| paths.push((path.to_owned(), kind, rows));
    before.paths(&mut visit).unwrap();
    assert_eq!(paths, vec![("tags".to_owned(), LaneKind::Str, 2)]);
    let mut counts = Vec::new();
    after
        .count_values(&tags, &after.live(3), &mut |v, n| {
            counts.push((format!("{v:?}"), n))
        })
        .unwrap();
    counts.sort();
    assert_eq!(
        counts,
        vec![("Str(\"x\")".to_owned(), 1), ("Str(\"y\")".to_owned(), 2)]
    );
    assert_eq!(
        table
            .find(&RowKey {
                trace_id: "t".into(),
                id: "a".into()
            })
            .unwrap()
            .0,
        2
    );
    assert_eq!(mem.last_lsn(), 3);
}

fn push_row(memtable: &Memtable, lsn: Lsn) {
    let row = row(&lsn.to_string(), lsn, &["a"]);
    memtable.push(ProjectId(1), Table::Spans, row);
}

#[test]
fn columns_are_charged_whoever_fills_them() {
    let memtable = Memtable::new(1);
    let push = |lsn| push_row(&memtable, lsn);
    (1..=Lsn::from(INDEX_LAG) + 1).for_each(push);
    let table = memtable.table(ProjectId(1), Table::Spans).unwrap();
    let rows_alone = memtable.bytes();
    // As a query does.
    table.catch_up(u32::MAX);
    assert_eq!(memtable.bytes(), rows_alone);
    assert!(memtable.index_step());
    assert!(memtable.bytes() > rows_alone);
}

#[test]
fn a_writer_far_ahead_of_the_columns_fills_some_of_them_itself() {
    let memtable = Memtable::new(1);
    let push = |lsn| push_row(&memtable, lsn);
    (1..=Lsn::from(INDEX_LAG_MAX)).for_each(push);
    let table = memtable.table(ProjectId(1), Table::Spans).unwrap();
    assert_eq!(table.take_grown(), 0);
    push(Lsn::from(INDEX_LAG_MAX) + 1);
    let by_writer = table.take_grown();
    table.catch_up(u32::MAX);
    let others = table.take_grown();
    assert!(0 < by_writer && by_writer < others, "{by_writer} {others}");
}
