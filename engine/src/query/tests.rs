//! Answers against a row-by-row oracle that shares no code with the query.

mod aggregate;
mod checks;
mod divide;
mod escapes;
mod fresh;
mod given;
mod index;
mod languages;
mod oracle;
mod planned;
mod property;
mod rows;
mod scores;
mod traceql;

use super::ast::{Filter, Literal, Test, TextTest};
use super::plan::Starts;
use super::value::{cmp_i64_f64, contains_folded};
use super::*;
use crate::row::Table;
use crate::source::Column;
use rows::{Rows, V, row};

const NEVER: &dyn Fn() -> bool = &|| false;
const BUDGET: Budget<'static> = Budget {
    rows_max: 1 << 30,
    bytes_max: 1 << 30,
    read_bytes_max: 1 << 30,
    cancelled: NEVER,
    processors: None,
    weigh: None,
};

/// Neither spans nor scores.
const NOTHING: Beside<'static> = Beside::nothing(Table::Runs);

/// Random filters, for tests elsewhere.
pub(super) fn filters() -> proptest::strategy::BoxedStrategy<Filter> {
    property::filter(property::Asks::SPANS_AND_SCORES)
}

fn ask(filter: Filter) -> Result<Page, QueryError> {
    let rows = Rows::new(vec![row("t", "a", 1), row("t", "b", 2)]);
    search(
        &[rows.visible("x")],
        &NOTHING,
        9,
        &BUDGET,
        &Request::new(filter, 10),
    )
}

fn nested(depth: usize) -> Filter {
    (1..depth).fold(Filter::All, |f, _| Filter::Not(Box::new(f)))
}

#[test]
fn limits_hold_at_and_above() {
    assert!(ask(nested(DEPTH_MAX)).is_ok());
    assert!(matches!(
        ask(nested(DEPTH_MAX + 1)),
        Err(QueryError::TooDeep)
    ));
    assert!(ask(Filter::And(vec![Filter::All; NODES_MAX - 1])).is_ok());
    let many = Filter::And(vec![Filter::All; NODES_MAX]);
    assert!(matches!(ask(many), Err(QueryError::TooManyNodes)));
    let list = |n| Filter::Is(Column::Id, Test::In(vec![Literal::I64(1); n]));
    assert!(ask(list(LIST_MAX)).is_ok());
    assert!(matches!(
        ask(list(LIST_MAX + 1)),
        Err(QueryError::ListTooLong(_))
    ));
    assert!(ask(Filter::Text(TextTest::Words("x".repeat(TEXT_BYTES_MAX)))).is_ok());
    let long = Filter::Text(TextTest::Words("x".repeat(TEXT_BYTES_MAX + 1)));
    assert!(matches!(ask(long), Err(QueryError::TextTooLong(_))));
    let inner = Filter::AnySpan(Box::new(Filter::AnySpan(Box::new(Filter::All))));
    // Only looked at when there are spans or not: refused either way.
    assert!(matches!(ask(inner), Err(QueryError::NestedAnySpan)));
    for inside in [Filter::AnySpan, Filter::AnyScore] {
        let inner = Filter::AnyScore(Box::new(inside(Box::new(Filter::All))));
        assert!(matches!(ask(inner), Err(QueryError::NestedAnyScore)));
    }
    let rows = Rows::new(vec![row("t", "a", 1)]);
    let ask = |request: &Request| search(&[rows.visible("x")], &NOTHING, 9, &BUDGET, request);
    assert!(ask(&Request::new(Filter::All, LIMIT_MAX)).is_ok());
    let over = Request::new(Filter::All, LIMIT_MAX + 1);
    assert!(matches!(ask(&over), Err(QueryError::LimitTooLarge(_))));
    let facets = |n| Request {
        facets: vec![Column::Id; n],
        ..Request::new(Filter::All, 1)
    };
    assert!(ask(&facets(FACETS_MAX)).is_ok());
    assert!(matches!(
        ask(&facets(FACETS_MAX + 1)),
        Err(QueryError::TooManyFacets(_))
    ));
    let values = |n| Request {
        facet_values_max: n,
        ..Request::new(Filter::All, 1)
    };
    assert!(ask(&values(FACET_VALUES_MAX)).is_ok());
    assert!(matches!(
        ask(&values(FACET_VALUES_MAX + 1)),
        Err(QueryError::TooManyFacetValues(_))
    ));
}

#[test]
fn budget_and_cancel_end_the_query() {
    let rows = Rows::new((0..10).map(|n| row("t", &n.to_string(), n)).collect());
    let ask = |budget: &Budget<'_>, filter| {
        search(
            &[rows.visible("x")],
            &NOTHING,
            9,
            budget,
            &Request::new(filter, 3),
        )
    };
    let rows_max = |rows_max| Budget { rows_max, ..BUDGET };
    assert!(ask(&rows_max(10), Filter::All).is_ok());
    assert!(matches!(
        ask(&rows_max(9), Filter::All),
        Err(QueryError::BudgetExceeded { what: "rows", .. })
    ));
    let text = Filter::Text(TextTest::Words("nowhere".into()));
    let one_byte = Budget {
        bytes_max: 1,
        ..BUDGET
    };
    let read = |read_bytes_max| Budget {
        read_bytes_max,
        ..one_byte
    };
    let read_in_all = ask(&one_byte, text.clone()).unwrap().explain.bytes_read;
    assert!(ask(&read(read_in_all), text.clone()).is_ok());
    assert!(matches!(
        ask(&read(read_in_all - 1), text),
        Err(QueryError::BudgetExceeded { what: "bytes", .. })
    ));
    let cancel = Budget {
        cancelled: &|| true,
        ..BUDGET
    };
    assert!(matches!(
        ask(&cancel, Filter::All),
        Err(QueryError::Cancelled)
    ));
    let page = ask(&one_byte, Filter::All).unwrap();
    assert_eq!(
        page.hits.len(),
        1,
        "the first row is given whatever its size"
    );
    assert!(page.explain.page_cut && page.next.is_some());
}

#[test]
fn newest_first_stops_early_and_says_so() {
    let old = Rows::new((0..5).map(|n| row("t", &n.to_string(), n)).collect());
    let new = Rows::new((5..9).map(|n| row("t", &n.to_string(), n)).collect());
    let sources = [old.visible("old"), new.visible("new")];
    let page = search(
        &sources,
        &NOTHING,
        9,
        &BUDGET,
        &Request::new(Filter::All, 2),
    )
    .unwrap();
    assert_eq!(
        page.hits
            .iter()
            .map(|h| h.core.start_ns)
            .collect::<Vec<_>>(),
        [8, 7]
    );
    assert_eq!(page.explain.groups_pruned_by_order, 1);
    assert_eq!(page.explain.sources_pruned, 1);
    let from = Filter::Is(Column::Start, Test::Lt(Literal::F64(4.5)));
    let page = search(&sources, &NOTHING, 9, &BUDGET, &Request::new(from, 9)).unwrap();
    assert_eq!(page.hits.len(), 5);
    assert_eq!(page.explain.groups_pruned_by_time, 1);
}

#[test]
fn later_pages_leave_out_new_rows_and_notice_changed_ones() {
    let first = Rows::new((0..4).map(|n| row("t", &n.to_string(), n)).collect());
    let request = Request::new(Filter::All, 2);
    let page = search(&[first.visible("a")], &NOTHING, 9, &BUDGET, &request).unwrap();
    let later = Request {
        after: page.next,
        ..request
    };
    let mut new = row("t", "new", 0);
    (new.core.lsn_first, new.core.lsn_last) = (10, 10);
    let added = Rows::new(vec![new.clone()]);
    let page = search(
        &[first.visible("a"), added.visible("b")],
        &NOTHING,
        10,
        &BUDGET,
        &later,
    )
    .unwrap();
    assert_eq!(
        page.hits.iter().map(|h| &*h.core.id).collect::<Vec<_>>(),
        ["1", "0"]
    );
    assert!(!page.snapshot_changed && page.next.is_none());
    new.core.lsn_first = 3;
    let changed = Rows::new(vec![new]);
    let page = search(
        &[first.visible("a"), changed.visible("b")],
        &NOTHING,
        10,
        &BUDGET,
        &later,
    )
    .unwrap();
    assert!(page.snapshot_changed);
}

#[test]
fn numbers_compare_without_rounding() {
    use std::cmp::Ordering::{Equal, Greater, Less};
    for (a, b, order) in [
        (1, 1.0, Some(Equal)),
        (1, 1.5, Some(Less)),
        (-1, -1.5, Some(Greater)),
        (i64::MAX, 9_223_372_036_854_775_808.0, Some(Less)),
        (i64::MIN, -9_223_372_036_854_775_808.0, Some(Equal)),
        ((1 << 53) + 1, 9_007_199_254_740_992.0, Some(Greater)),
        (0, f64::NAN, None),
        (i64::MAX, f64::INFINITY, Some(Less)),
        (i64::MIN, f64::NEG_INFINITY, Some(Greater)),
    ] {
        assert_eq!(cmp_i64_f64(a, b), order, "{a} {b}");
    }
}

#[test]
fn starts_bound_what_passes() {
    let is = |test| Filter::Is(Column::Start, test);
    let both = Filter::And(vec![
        is(Test::Gt(Literal::F64(2.5))),
        is(Test::Le(Literal::I64(7))),
    ]);
    assert_eq!(Starts::of(&both), Starts { min: 2, max: 7 });
    let either = Filter::Or(vec![
        is(Test::Eq(Literal::I64(3))),
        is(Test::Eq(Literal::I64(9))),
    ]);
    assert_eq!(Starts::of(&either), Starts { min: 3, max: 9 });
    assert!(!Starts::of(&is(Test::Eq(Literal::Str("x".into())))).overlaps(None));
    assert!(Starts::of(&Filter::Not(Box::new(both))).overlaps(Some((0, 0))));
}

#[test]
fn text_folds_ascii_case() {
    for (text, needle, found) in [
        ("Rate LIMIT", "rate limit", true),
        ("ab", "abc", false),
        ("aab", "AB", true),
        ("", "", true),
        ("É", "é", false),
    ] {
        assert_eq!(contains_folded(text, needle), found, "{text} {needle}");
    }
}

#[test]
fn long_values_are_decided_on_the_document() {
    let mut long = row("t", "a", 1);
    long.fields
        .push(("m".into(), V::Str(format!("{}needle", "x".repeat(200)))));
    let rows = Rows::new(vec![long, row("t", "b", 2)]);
    let filter = Filter::Is(Column::Path("m".into()), Test::Contains("NEEDLE".into()));
    let page = search(
        &[rows.visible("x")],
        &NOTHING,
        9,
        &BUDGET,
        &Request::new(filter, 9),
    )
    .unwrap();
    assert_eq!(page.hits.len(), 1);
    assert_eq!(page.explain.bodies_read, 1);
    assert!(page.explain.verified.contains("m ~"));
}
