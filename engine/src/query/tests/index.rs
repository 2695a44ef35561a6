//! Text and long values over sections with an index of terms: the answers of a plain reading, and
//! blocks that were never read.

use std::sync::Arc;

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::{BUDGET, NOTHING};
use crate::body::Content;
use crate::boundary::{LocalStore, Store};
use crate::doc::DocWriter;
use crate::io::{Disk, RealDisk};
use crate::query::ast::{Filter, Literal, Test, TextTest};
use crate::query::{Explain, Request, count, parse, search};
use crate::row::{ProjectId, RowKey, Stamp, Table};
use crate::segment::{RowInput, SectionInput, Segment, SegmentOptions, write};
use crate::source::{Column, Visible};

/// Above the number of rows from which there are bitmaps.
const ROWS: u32 = 6_000;

fn text_of(n: u32) -> String {
    let rare = match n {
        777 => "the Needle-in hay",
        778 => "needle, but in no hay",
        5_000 => "東京都 läuft",
        5_001 => "needless",
        _ => "",
    };
    let common = if n.is_multiple_of(3) {
        "timeout"
    } else {
        "fine"
    };
    // Neither compresses to nothing nor repeats a word from row to row.
    format!("row{n} {common} {rare} {}", "filler text, ".repeat(30))
}

fn long_user(n: u32) -> String {
    format!("{}{n}", "user ".repeat(30))
}

fn row(n: u32) -> RowInput {
    let mut doc = DocWriter::new();
    let map = doc.begin_map();
    for (key, value) in [
        (
            "status",
            if n.is_multiple_of(2) { "ok" } else { "error" }.to_owned(),
        ),
        ("input", text_of(n)),
        ("user", format!("u{n}")),
        ("long", long_user(n)),
    ] {
        doc.key(key);
        doc.str(&value);
    }
    doc.end(map);
    RowInput {
        key: RowKey {
            trace_id: format!("t{}", n / 7).into(),
            id: format!("s{n:06}").into(),
        },
        start_ns: i64::from(n) * 1_000_000_000,
        end_ns: None,
        lsn_first: 1,
        lsn_last: 1,
        content: Content::Complete {
            stamp: Stamp::default(),
            doc: Bytes::from(doc.finish()),
            cost: None,
        },
    }
}

pub(super) fn segment(rows: u32) -> Arc<Segment> {
    segment_of((0..rows).map(row).collect())
}

/// A segment of these rows.
pub(super) fn segment_of(rows: Vec<RowInput>) -> Arc<Segment> {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).unwrap());
    let store: Arc<dyn Store> = LocalStore::over(&disk);
    let section = SectionInput {
        project: ProjectId(1),
        table: Table::Spans,
        rows,
    };
    write(
        &store,
        1,
        [0; 16],
        vec![section],
        &SegmentOptions::default(),
    )
    .unwrap();
    Segment::open(&store, 1, [0; 16]).unwrap()
}

/// The rows that pass, newest first, and how they were counted.
pub(super) fn ask(segment: &Segment, dead: &[u32], filter: &Filter) -> (Vec<u32>, Explain) {
    let source = segment.section(ProjectId(1), Table::Spans).unwrap();
    let number = |id: &str| id[1..].parse::<u32>().unwrap();
    let mut live = RoaringBitmap::new();
    live.insert_range(0..source.summary().rows);
    for row in 0..source.summary().rows {
        if dead.contains(&number(&source.row(row).unwrap().key.id)) {
            live.remove(row);
        }
    }
    let rows = [Visible {
        source,
        live,
        name: "segment".to_owned(),
    }];
    let mut request = Request::new(filter.clone(), 1_000);
    request.total = true;
    let (mut found, mut total) = (Vec::new(), None);
    loop {
        let page = search(&rows, &NOTHING, 1, &BUDGET, &request).unwrap();
        assert_eq!(*total.get_or_insert(page.total), page.total);
        found.extend(page.hits.iter().map(|hit| number(&hit.core.id)));
        let Some(next) = page.next else { break };
        request.after = Some(next);
    }
    let (counted, explain) = count(&rows, &NOTHING, &BUDGET, filter).unwrap();
    assert_eq!(counted, found.len() as u64);
    assert_eq!(total.flatten(), Some(counted));
    (found, explain)
}

fn newest(passes: impl Fn(u32) -> bool) -> Vec<u32> {
    (0..ROWS).rev().filter(|n| passes(*n)).collect()
}

#[test]
fn words_are_found_without_reading_other_blocks() {
    let segment = segment(ROWS);
    let search = |text: &str| ask(&segment, &[], &parse(text, 0).unwrap());
    for (text, expect) in [
        ("needle", vec![778, 777]),
        ("\"needle in\"", vec![777]),
        ("\"the needle in hay\"", vec![777]),
        ("NEEDLE hay status:error", vec![777]),
        ("京都", vec![5_000]),
        ("lauft", vec![5_000]),
        ("needle -status:ok", vec![777]),
        ("~\"the needle-in h\"", vec![777]),
        ("row4711", vec![4_711]),
        ("nowhere", vec![]),
        ("(row1 or row2) or row3", vec![3, 2, 1]),
    ] {
        let (found, explain) = search(text);
        assert_eq!(found, expect, "{text}");
        assert!(
            explain.blocks_verified <= 2 * expect.len() as u64,
            "{text}: {explain:?}"
        );
        assert!(explain.blocks_pruned_by_index > 0, "{text}: {explain:?}");
        assert_eq!(explain.blocks_scanned, 0, "{text}: {explain:?}");
    }
    for text in ["needl*", "~eedle", "=~[Nn]eedle"] {
        let (found, explain) = search(text);
        assert_eq!(found, [5_001, 778, 777], "{text}");
        assert!(
            explain.blocks_scanned > 5 && explain.blocks_by_index == 0,
            "{text}: {explain:?}"
        );
        assert_eq!(explain.blocks_verified, explain.blocks_scanned);
    }
}

#[test]
fn whole_blocks_are_counted_and_the_others_decided() {
    let segment = segment(ROWS);
    let timeout = Filter::Text(TextTest::Words("Timeout".to_owned()));
    let third = |n: u32| n.is_multiple_of(3);
    let (found, explain) = ask(&segment, &[], &timeout);
    assert_eq!(found, newest(third));
    assert_eq!(explain.rows_counted_by_index, found.len() as u64);
    assert_eq!((explain.bodies_read, explain.blocks_verified), (0, 0));
    // A dead row spoils the count of its block alone.
    let (found, explain) = ask(&segment, &[30, 31], &timeout);
    assert_eq!(found, newest(|n| third(n) && n != 30));
    assert_eq!(explain.blocks_verified, 1);
    assert!(explain.rows_counted_by_index > found.len() as u64 * 3 / 4);
    // So does a predicate that only some of its rows pass.
    let from = Filter::Is(Column::Start, Test::Ge(Literal::I64(3_000_000_000_000)));
    let both = Filter::And(vec![timeout.clone(), from]);
    let (found, explain) = ask(&segment, &[], &both);
    assert_eq!(found, newest(|n| third(n) && n >= 3_000));
    assert!(explain.blocks_verified <= 4, "{explain:?}");
    let error = parse("timeout status:error", 0).unwrap();
    assert_eq!(
        ask(&segment, &[], &error).0,
        newest(|n| third(n) && n % 2 == 1)
    );
}

#[test]
fn values_without_bitmaps_are_found_by_their_terms() {
    let segment = segment(ROWS);
    let is = |path: &str, text: &str| {
        let test = Test::Eq(Literal::Str(text.to_owned()));
        Filter::Is(Column::Path(path.into()), test)
    };
    for (filter, expect) in [
        (is("user", "u4321"), vec![4_321]),
        (is("user", "u99999"), vec![]),
        (is("long", &long_user(4_321)), vec![4_321]),
        (is("long", &long_user(99_999)), vec![]),
        (is("absent", "x"), vec![]),
    ] {
        let (found, explain) = ask(&segment, &[], &filter);
        assert_eq!(found, expect, "{filter:?}");
        assert!(explain.blocks_verified <= expect.len() as u64);
        assert!(explain.blocks_pruned_by_index > 5, "{filter:?} {explain:?}");
    }
    let (found, explain) = ask(&segment, &[], &is("status", "error"));
    assert_eq!(found, newest(|n| n % 2 == 1));
    assert_eq!(explain.blocks_by_index, 0, "there are bitmaps");
}

#[test]
fn a_small_section_answers_as_a_large_one() {
    let (small, large) = (segment(900), segment(ROWS));
    for text in [
        "needle",
        "timeout",
        "needl*",
        "~eedle",
        "row17",
        "status:ok row18",
        "user:u21",
    ] {
        let filter = parse(text, 0).unwrap();
        let expect: Vec<u32> = ask(&large, &[], &filter)
            .0
            .into_iter()
            .filter(|n| *n < 900)
            .collect();
        assert_eq!(ask(&small, &[], &filter).0, expect, "{text}");
    }
}
