//! Conjunctions over a section with bitmaps, codes, numbers and an index of terms: whatever is looked at first, the
//! answer is that of looking at every row.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use roaring::RoaringBitmap;

use super::index::{ask, segment_of};
use super::{BUDGET, NOTHING};
use crate::body::Content;
use crate::doc::{DocWriter, Scalar};
use crate::query::ast::{Filter, Literal, Test, TextTest};
use crate::query::{Explain, Request, search};
use crate::row::{ProjectId, RowKey, Stamp, Table};
use crate::segment::{RowInput, Segment};
use crate::source::{
    Blocks, Column, Core, LaneKind, Matches, Probe, Rows, Source, SourceError, ValueTest, Visible,
};

const ROWS: u32 = 6_000;

/// What a row says: by its number.
fn model(n: u32) -> u32 {
    n * 7 % 1_000
}
fn latency(n: u32) -> u32 {
    n * 31 % 5_003
}
/// A third of the rows has one value, the others have 700.
fn tier(n: u32) -> String {
    if n.is_multiple_of(3) {
        "big".to_owned()
    } else {
        format!("t{}", n % 700)
    }
}
fn is_error(n: u32) -> bool {
    n.is_multiple_of(50)
}

fn row(n: u32) -> RowInput {
    let mut doc = DocWriter::new();
    let map = doc.begin_map();
    for (key, value) in [
        (
            "status",
            if is_error(n) { "error" } else { "ok" }.to_owned(),
        ),
        ("model", format!("m{}", model(n))),
        ("tier", tier(n)),
        ("user", format!("u{n}")),
        (
            "input",
            format!("row{n} {}", if n % 90 == 7 { "needle" } else { "hay" }),
        ),
    ] {
        doc.key(key);
        doc.str(&value);
    }
    doc.key("latency");
    doc.i64(i64::from(latency(n)));
    if n.is_multiple_of(3) {
        doc.key("rare");
        doc.bool(n.is_multiple_of(2));
    }
    doc.end(map);
    RowInput {
        key: RowKey {
            trace_id: format!("t{}", n / 7).into(),
            id: format!("s{n:06}").into(),
        },
        start_ns: i64::from(n) * 1_000_000_000,
        end_ns: Some(i64::from(n) * 1_000_000_000 + i64::from(n % 100)),
        lsn_first: 1,
        lsn_last: 1,
        content: Content::Complete {
            stamp: Stamp::default(),
            doc: Bytes::from(doc.finish()),
            cost: None,
        },
    }
}

fn path(path: &str, test: Test) -> Filter {
    Filter::Is(Column::Path(path.into()), test)
}
fn text(text: &str) -> Literal {
    Literal::Str(text.to_owned())
}

/// A part, and which rows pass it.
type Part = (Filter, fn(u32) -> bool);

fn parts() -> Vec<Part> {
    let n = Literal::I64;
    let all: [Part; 20] = [
        (path("status", Test::Eq(text("error"))), is_error),
        (path("status", Test::Eq(text("none"))), |_| false),
        (path("model", Test::Eq(text("m14"))), |n| model(n) == 14),
        (path("model", Test::Prefix("m1".into())), |n| {
            model(n).to_string().starts_with('1')
        }),
        (path("tier", Test::Eq(text("big"))), |n| n.is_multiple_of(3)),
        (path("user", Test::Eq(text("u4711"))), |n| n == 4_711),
        (path("user", Test::Contains("11".into())), |n| {
            n.to_string().contains("11")
        }),
        (path("user", Test::Regex("^u[0-3]".into())), |n| {
            n.to_string().starts_with(['0', '1', '2', '3'])
        }),
        (path("latency", Test::Gt(n(4_000))), |n| latency(n) > 4_000),
        (path("latency", Test::Le(n(2))), |n| latency(n) <= 2),
        (path("rare", Test::Exists), |n| n.is_multiple_of(3)),
        (path("rare", Test::Eq(Literal::Bool(true))), |n| {
            n.is_multiple_of(6)
        }),
        (path("nowhere", Test::Exists), |_| false),
        (Filter::Is(Column::Duration, Test::Ge(n(95))), |n| {
            n % 100 >= 95
        }),
        (
            Filter::Is(Column::Start, Test::Lt(n(500_000_000_000))),
            |n| n < 500,
        ),
        (
            Filter::Is(Column::TraceId, Test::In(vec![text("t1"), text("t300")])),
            |n| n / 7 == 1 || n / 7 == 300,
        ),
        (Filter::Text(TextTest::Words("needle".into())), |n| {
            n % 90 == 7
        }),
        (Filter::Text(TextTest::Contains("row40".into())), |n| {
            n.to_string().starts_with("40")
        }),
        (
            Filter::Not(Box::new(path("status", Test::Eq(text("ok"))))),
            is_error,
        ),
        (
            Filter::Or(vec![
                path("model", Test::Eq(text("m21"))),
                path("latency", Test::Lt(n(100))),
            ]),
            |n| model(n) == 21 || latency(n) < 100,
        ),
    ];
    all.into()
}

/// A source that tells nothing beforehand: its parts are looked at in the order of the plan.
struct Silent<'a>(&'a dyn Source);

impl Source for Silent<'_> {
    fn row_count(&self) -> u32 {
        self.0.row_count()
    }
    fn start_range(&self, group: u32) -> Option<(i64, i64)> {
        self.0.start_range(group)
    }
    fn matching(
        &self,
        column: &Column,
        test: ValueTest<'_>,
        within: &RoaringBitmap,
    ) -> Result<Matches, SourceError> {
        self.0.matching(column, test, within)
    }
    fn present(&self, c: &Column, within: &RoaringBitmap) -> Result<RoaringBitmap, SourceError> {
        self.0.present(c, within)
    }
    fn values(
        &self,
        column: &Column,
        rows: &RoaringBitmap,
        visit: &mut dyn FnMut(u32, Scalar<'_>),
    ) -> Result<(), SourceError> {
        self.0.values(column, rows, visit)
    }
    fn count_values(
        &self,
        column: &Column,
        rows: &RoaringBitmap,
        add: &mut dyn FnMut(Scalar<'_>, u64),
    ) -> Result<(), SourceError> {
        self.0.count_values(column, rows, add)
    }
    fn narrow(&self, probe: Probe<'_>) -> Result<Option<Blocks>, SourceError> {
        self.0.narrow(probe)
    }
    fn paths(&self, visit: &mut dyn FnMut(&str, LaneKind, u64)) -> Result<(), SourceError> {
        self.0.paths(visit)
    }
    fn core(&self, row: u32) -> Result<Core, SourceError> {
        self.0.core(row)
    }
    fn trace_rows(&self, trace_id: &str) -> Result<RoaringBitmap, SourceError> {
        self.0.trace_rows(trace_id)
    }
    fn body(&self, row: u32) -> Result<Bytes, SourceError> {
        self.0.body(row)
    }
    fn with_rows(&self, work: &mut dyn FnMut(&mut dyn Rows)) -> Result<(), SourceError> {
        self.0.with_rows(work)
    }
}

/// The newest rows that pass, and how many there are, in the order of the plan.
fn in_plan_order(segment: &Segment, filter: &Filter) -> (Vec<u32>, Option<u64>) {
    let section = segment.section(ProjectId(1), Table::Spans).unwrap();
    let silent = Silent(section);
    let rows = [Visible {
        source: &silent,
        live: (0..ROWS).collect(),
        name: "segment".to_owned(),
    }];
    let mut request = Request::new(filter.clone(), 1_000);
    request.total = true;
    let page = search(&rows, &NOTHING, 1, &BUDGET, &request).unwrap();
    let number = |id: &str| id[1..].parse::<u32>().unwrap();
    let hits = page.hits.iter().map(|hit| number(&hit.core.id)).collect();
    (hits, page.total)
}

fn told(explain: &Explain, part: &str) -> (u64, u64, u64, u64) {
    let told = explain.parts.get(part);
    let told = told.unwrap_or_else(|| panic!("{part} in {:?}", explain.parts));
    (told.rows, told.guess, told.left, told.skipped)
}

#[test]
fn conjunctions_in_any_order_answer_as_the_rows_do() {
    let segment = segment_of((0..ROWS).map(row).collect());
    let count = parts().len();
    let strategy = (
        subsequence((0..count).collect::<Vec<_>>(), 2..=4),
        prop::collection::vec(any::<Index>(), 4),
        prop::collection::btree_set(0..ROWS, 0..40),
    );
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(300));
    let found = std::cell::Cell::new(0);
    runner
        .run(&strategy, |(mut chosen, order, dead)| {
            for (at, swap) in order.iter().enumerate().take(chosen.len()) {
                let to = swap.index(chosen.len());
                chosen.swap(at, to);
            }
            let all = parts();
            let filter = Filter::And(chosen.iter().map(|at| all[*at].0.clone()).collect());
            let passes = |n: &u32| chosen.iter().all(|at| (all[*at].1)(*n));
            let expect: Vec<u32> = (0..ROWS).rev().filter(passes).collect();
            let (naive, total) = in_plan_order(&segment, &filter);
            prop_assert_eq!(&naive, &expect[..expect.len().min(1_000)]);
            prop_assert_eq!(total, Some(expect.len() as u64));
            let dead: Vec<u32> = dead.into_iter().collect();
            let live: Vec<u32> = expect.into_iter().filter(|n| !dead.contains(n)).collect();
            let (planned, explain) = ask(&segment, &dead, &filter);
            prop_assert_eq!(&planned, &live, "{:?}", explain.parts);
            found.set(found.get() + usize::from(!live.is_empty()));
            Ok(())
        })
        .unwrap();
    assert!(found.get() > 50, "{} of 300 left anything", found.get());
}

/// What bitmaps tell is exact, and it is looked at before numbers that are read row by row.
#[test]
fn the_fewest_rows_come_first_and_explain_says_so() {
    let segment = segment_of((0..ROWS).map(row).collect());
    let all = Filter::And(vec![
        Filter::Is(Column::Duration, Test::Ge(Literal::I64(50))),
        path("model", Test::Eq(text("m350"))),
        path("status", Test::Eq(text("error"))),
    ]);
    let (found, explain) = ask(&segment, &[], &all);
    let passes = |n: &u32| n % 100 >= 50 && is_error(*n) && model(*n) == 350;
    let expect: Vec<u32> = (0..ROWS).rev().filter(passes).collect();
    assert_eq!((found.len(), found), (6, expect));
    // Two values have a bitmap each, durations go from 0 to 99, and of 1,000 models every one has as many rows.
    assert_eq!(told(&explain, "status ="), (ROWS.into(), 120, 120, 0));
    assert_eq!(told(&explain, "duration >="), (120, 59, 60, 0));
    assert_eq!(told(&explain, "model ="), (60, 0, 6, 0));
    // Of many values that of one is known, however unlike the others it is.
    let big = Filter::And(vec![
        path("tier", Test::Eq(text("big"))),
        path("status", Test::Eq(text("error"))),
    ]);
    assert_eq!(
        told(&ask(&segment, &[], &big).1, "tier ="),
        (120, 40, 40, 0)
    );
    // Nothing is left, so nothing more is looked at.
    let none = Filter::And(vec![
        Filter::Is(Column::Duration, Test::Ge(Literal::I64(95))),
        path("user", Test::Contains("1".into())),
        path("status", Test::Eq(text("none"))),
    ]);
    let (found, explain) = ask(&segment, &[], &none);
    assert!(found.is_empty());
    assert_eq!(told(&explain, "status ="), (ROWS.into(), 0, 0, 0));
    assert_eq!(told(&explain, "user ~"), (0, 0, 0, 1));
    assert_eq!(told(&explain, "duration >="), (0, 0, 0, 1));
}
