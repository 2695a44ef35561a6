//! Newly made rows against many filters, each answer worked out again row by row.

use proptest::prelude::*;

use super::oracle::Others;
use super::property::{Asks, beside, filter, scores, split, table};
use super::rows::{Rows, TestRow, V, row};
use super::*;
use crate::query::fresh;

fn request(filters: &[Filter], after: u64) -> FreshRequest<'_> {
    FreshRequest {
        after,
        filters,
        rows_max: u64::MAX,
        passing_max: u64::MAX,
    }
}

/// Whether a score that came lets a filter be told of a row again: it passes a test of scores that stands under no
/// `not`.
fn is_news(filter: &Filter, row: &TestRow, others: Others<'_>, is_not: bool) -> bool {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => {
            let mut parts = parts.iter();
            parts.any(|part| is_news(part, row, others, is_not))
        }
        Filter::Not(part) => is_news(part, row, others, !is_not),
        // Spans of spans are nobody's news.
        Filter::AnySpan(part) => !others.of_spans && is_news(part, row, others, is_not),
        Filter::AnyScore(_) => !is_not && oracle::passes(filter, row, others),
        Filter::All | Filter::Is(..) | Filter::Text(_) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_200))]

    #[test]
    fn each_filter_is_given_just_the_newer_rows_that_pass(
        mut rows in table(30),
        spans in table(12),
        mut scores in scores(12),
        of_spans in any::<bool>(),
        filters in prop::collection::vec(filter(Asks::SPANS_AND_SCORES), 0..6),
        lsns in prop::collection::vec(1u64..9, 42),
        after in 0u64..9,
    ) {
        for (row, lsn) in rows.0.iter_mut().chain(&mut scores.0).zip(lsns) {
            row.core.lsn_last = lsn;
        }
        let (row_sources, span_sources) = (split(&rows), split(&spans));
        let score_sources = split(&scores);
        let visible: Vec<_> = row_sources.iter().map(|s| s.visible("rows")).collect();
        let span_visible: Vec<_> = span_sources.iter().map(|s| s.visible("spans")).collect();
        let score_visible: Vec<_> = score_sources.iter().map(|s| s.visible("scores")).collect();
        let beside = beside(of_spans, &span_visible, &score_visible);
        let others = Others { of_spans, spans: &spans.0, scores: &scores.0 };
        let of_record = |lsn: Option<u64>| -> Vec<TestRow> {
            let came = scores.0.iter().filter(|score| score.core.lsn_last > after);
            came.filter(|score| lsn.is_none_or(|lsn| score.core.lsn_last == lsn)).cloned().collect()
        };
        // When a filter is told of a row, if it passes: by its own record, or by those of its scores.
        let told = |filter: &Filter, row: &TestRow| {
            let own = Some(row.core.lsn_last).filter(|lsn| *lsn > after);
            let of_scores = (after + 1..9).filter(|lsn| {
                let came = of_record(Some(*lsn));
                is_news(filter, row, Others { scores: &came, ..others }, false)
            });
            own.into_iter().chain(of_scores).max()
        };
        let got = fresh(&visible, &beside, &BUDGET, &request(&filters, after)).unwrap();
        prop_assert_eq!(got.skipped, 0);
        prop_assert_eq!(got.passing.len(), filters.len());
        for (filter, passing) in filters.iter().zip(&got.passing) {
            let hits = passing.hits.iter();
            let mut ids: Vec<_> =
                hits.map(|news| (got.hits[news.at].core.id.to_string(), news.lsn)).collect();
            ids.sort();
            let passed = rows.0.iter().filter(|row| {
                !row.dead && oracle::passes(filter, row, others)
            });
            let wanted = passed.filter_map(|row| {
                Some((row.core.id.to_string(), told(filter, row)?))
            });
            let mut wanted: Vec<_> = wanted.collect();
            wanted.sort();
            prop_assert_eq!((ids, passing.missed), (wanted, 0), "{:?}", filter);
        }
        let ids: std::collections::HashSet<_> = got.hits.iter().map(|hit| &hit.core.id).collect();
        prop_assert_eq!(ids.len(), got.hits.len(), "a row is read once");
    }
}

fn numbered(n: i64) -> TestRow {
    let mut row = row("t", &format!("r{n}"), n);
    row.core.lsn_last = u64::try_from(n).unwrap();
    row.fields.push(("tag".into(), V::Str("x".repeat(40))));
    row
}

#[test]
fn what_is_too_much_is_counted_as_missed_and_never_left_out_in_silence() {
    let rows = Rows::new((1..=10).map(numbered).collect());
    let sources = [rows.visible("x")];
    let text = Filter::Text(TextTest::Contains("x".into()));
    let filters = [Filter::All, text, Filter::Or(Vec::new())];
    let ask = |budget: &Budget<'_>, request: &FreshRequest<'_>| {
        let fresh = fresh(&sources, &NOTHING, budget, request).unwrap();
        let told = fresh.passing.iter().map(|p| (p.hits.len(), p.missed));
        (fresh.skipped, told.collect::<Vec<_>>())
    };
    let all = request(&filters, 2);
    assert_eq!(ask(&BUDGET, &all), (0, vec![(8, 0), (8, 0), (0, 0)]));
    let most = FreshRequest { rows_max: 8, ..all };
    assert_eq!(ask(&BUDGET, &most), (0, vec![(8, 0), (8, 0), (0, 0)]));
    let less = FreshRequest { rows_max: 7, ..all };
    assert_eq!(ask(&BUDGET, &less), (1, vec![(7, 0), (7, 0), (0, 0)]));
    let few = FreshRequest {
        passing_max: 7,
        ..all
    };
    assert_eq!(ask(&BUDGET, &few), (0, vec![(7, 1), (7, 1), (0, 0)]));
    // Room to decide nothing and to read one row: who needs no document is still given it.
    let poor = Budget {
        bytes_max: 1,
        read_bytes_max: 1,
        ..BUDGET
    };
    assert_eq!(ask(&poor, &all), (0, vec![(1, 7), (0, 8), (0, 0)]));
    let gone = Budget {
        cancelled: &|| true,
        ..BUDGET
    };
    let gone = fresh(&sources, &NOTHING, &gone, &all);
    assert!(matches!(gone, Err(QueryError::Cancelled)));
}

#[test]
fn scores_that_are_too_many_are_told_as_missed_to_whom_asks_for_them() {
    let rows = Rows::new((1..=3).map(|n| row(&format!("t{n}"), "r", n)).collect());
    let scored = |n: i64| {
        let mut score = row(&format!("t{n}"), &format!("s{n}"), n);
        score.core.lsn_last = 10 + u64::try_from(n).unwrap();
        score.fields.push(("name".into(), V::Str("good".into())));
        score
    };
    let scores = Rows::new((1..=3).map(scored).collect());
    let (sources, scores) = ([rows.visible("x")], [scores.visible("scores")]);
    let beside = beside(false, &[], &scores);
    let filters = ["has:scores.good", "-has:scores.good", "start>0"].map(|q| parse(q, 0).unwrap());
    let ask = |rows_max| {
        let few = FreshRequest {
            rows_max,
            ..request(&filters, 10)
        };
        let fresh = fresh(&sources, &beside, &BUDGET, &few).unwrap();
        let told = fresh.passing.iter();
        let told = told.map(|p| (p.hits.iter().map(|news| news.lsn).collect(), p.missed));
        told.collect::<Vec<(Vec<u64>, u64)>>()
    };
    let nobody = || (Vec::new(), 0);
    assert_eq!(ask(3), vec![(vec![11, 12, 13], 0), nobody(), nobody()]);
    assert_eq!(ask(2), vec![(vec![12, 13], 1), nobody(), nobody()]);
}

/// A score of the name `good` that record 11 brought.
fn good(trace: &str, span: &str) -> TestRow {
    let mut score = row(trace, "s", 1);
    score.core.lsn_last = 11;
    for (place, text) in [("name", "good"), ("step_id", span)] {
        score.fields.push((place.into(), V::Str(text.into())));
    }
    score
}

/// What each filter is told of: hits and missed.
fn told(
    (rows, beside): (&Rows, &Beside<'_>),
    (budget, rows_max): (&Budget<'_>, u64),
    filters: &[&str],
) -> Vec<(usize, u64)> {
    let filters: Vec<_> = filters.iter().map(|q| parse(q, 0).unwrap()).collect();
    let request = FreshRequest {
        rows_max,
        ..request(&filters, 10)
    };
    let fresh = fresh(&[rows.visible("x")], beside, budget, &request).unwrap();
    let told = fresh.passing.iter().map(|p| (p.hits.len(), p.missed));
    told.collect()
}

/// Three rows of one trace that has a score, and one that record 12 made.
fn three_and_a_new_one() -> Rows {
    let mut rows: Vec<_> = (1..=3).map(|n| row("t", &format!("r{n}"), n)).collect();
    let mut new = row("new", "n", 4);
    new.core.lsn_last = 12;
    rows.push(new);
    Rows::new(rows)
}

#[test]
fn rows_of_new_scores_have_the_room_that_new_rows_leave() {
    let rows = three_and_a_new_one();
    let scores = Rows::new(vec![good("t", "r1")]);
    let scores = [scores.visible("scores")];
    let beside = beside(false, &[], &scores);
    let filters = ["has:scores.good", "-has:scores.good", "start>0"];
    let ask = |rows_max| told((&rows, &beside), (&BUDGET, rows_max), &filters);
    assert_eq!(ask(4), [(3, 0), (1, 0), (1, 0)]);
    assert_eq!(ask(3), [(2, 1), (1, 0), (1, 0)]);
    assert_eq!(ask(1), [(0, 3), (1, 0), (1, 0)]);
}

#[test]
fn scores_that_cannot_be_placed_are_missed_by_whom_asks_for_them_alone() {
    let rows = three_and_a_new_one();
    // A name of a span that only the document has.
    let scores = Rows::new(vec![good("t", &"r".repeat(500))]);
    let scores = [scores.visible("scores")];
    let beside = beside(true, &[], &scores);
    let poor = Budget {
        read_bytes_max: 1,
        ..BUDGET
    };
    let filters = ["has:scores.good", "start>0"];
    let ask = |budget| told((&rows, &beside), (budget, 10), &filters);
    assert_eq!(ask(&poor), [(0, 1), (1, 0)]);
    assert_eq!(ask(&BUDGET), [(0, 0), (1, 0)]);
}

#[test]
fn a_filter_that_fails_has_missed_what_it_was_held_against() {
    let rows = three_and_a_new_one();
    let scores = Rows::new(vec![good("t", "r1")]);
    let scores = [scores.visible("scores")];
    let beside = beside(false, &[], &scores);
    let poor = Budget {
        read_bytes_max: 0,
        ..BUDGET
    };
    let filters = ["*x*", "*x* or has:scores.good", "start>0"];
    let filters = filters.map(|q| q.replace("*x*", "~\"x\""));
    let filters: Vec<_> = filters.iter().map(String::as_str).collect();
    assert_eq!(
        told((&rows, &beside), (&poor, 10), &filters),
        [(0, 1), (0, 4), (1, 0)]
    );
}

#[test]
fn who_asks_for_no_scores_pays_for_no_rows_of_them() {
    let rows = three_and_a_new_one();
    let spans = ["t", "t", "t", "new"].map(|trace| row(trace, "span", 1));
    let spans = Rows::new(spans.into());
    let scores = Rows::new(vec![good("t", "r1")]);
    let (spans, scores) = ([spans.visible("spans")], [scores.visible("scores")]);
    let beside = beside(false, &spans, &scores);
    let filters = ["{start>0}", "{start>0} has:scores.good"];
    let ask = |rows_max| {
        let budget = Budget { rows_max, ..BUDGET };
        told((&rows, &beside), (&budget, 10), &filters)
    };
    // One span of what is new, then four; and the score, for what is told and for what passes.
    assert_eq!(ask(7), [(1, 0), (3, 0)]);
    assert_eq!(ask(6), [(1, 0), (0, 4)]);
    assert_eq!(ask(1), [(1, 0), (0, 4)]);
}
