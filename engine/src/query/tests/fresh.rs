//! Newly made rows against many filters, each answer worked out again row by row.

use proptest::prelude::*;

use super::property::{filter, split, table};
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn each_filter_is_given_just_the_newer_rows_that_pass(
        mut rows in table(30),
        spans in table(12),
        filters in prop::collection::vec(filter(true), 0..6),
        lsns in prop::collection::vec(1u64..9, 30),
        after in 0u64..9,
    ) {
        for (row, lsn) in rows.0.iter_mut().zip(lsns) {
            row.core.lsn_last = lsn;
        }
        let (row_sources, span_sources) = (split(&rows), split(&spans));
        let visible: Vec<_> = row_sources.iter().map(|s| s.visible("rows")).collect();
        let span_visible: Vec<_> = span_sources.iter().map(|s| s.visible("spans")).collect();
        let got = fresh(&visible, &span_visible, &BUDGET, &request(&filters, after)).unwrap();
        prop_assert_eq!(got.skipped, 0);
        prop_assert_eq!(got.passing.len(), filters.len());
        for (filter, passing) in filters.iter().zip(&got.passing) {
            let mut ids: Vec<_> = passing.hits.iter().map(|at| got.hits[*at].core.id.to_string()).collect();
            ids.sort();
            let wanted = rows.0.iter().filter(|row| {
                !row.dead && row.core.lsn_last > after && oracle::passes(filter, row, &spans.0)
            });
            let mut wanted: Vec<_> = wanted.map(|row| row.core.id.to_string()).collect();
            wanted.sort();
            prop_assert_eq!((ids, passing.missed), (wanted, 0));
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
        let fresh = fresh(&sources, &[], budget, request).unwrap();
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
    let gone = fresh(&sources, &[], &gone, &all);
    assert!(matches!(gone, Err(QueryError::Cancelled)));
}
