//! Facts of scores, and what scores make of runs and spans, against rows that have the same by themselves.

use proptest::prelude::*;

use super::aggregate::{asks_elsewhere, request as figures};
use super::oracle::{self, Others, said, scored_spans};
use super::property::{Asks, beside, check_facet, filter, of_scores, scores, split, table};
use super::rows::TestRow;
use super::*;
use crate::model::score::Fact;
use crate::query::aggregate::{AggregateRequest, Key, Measure, PartialCache, aggregate};
use crate::source::Taken;

const FACTS: [Fact; 6] = [
    Fact::Name,
    Fact::Value,
    Fact::Worth,
    Fact::User,
    Fact::Span,
    Fact::Source,
];

fn fact() -> impl Strategy<Value = Column> {
    prop::sample::select(FACTS.map(Column::Score).to_vec())
}

fn of_named_scores() -> impl Strategy<Value = Column> {
    let taken = prop::sample::select(vec![Taken::Mean, Taken::Each]);
    ("[ab]", taken).prop_map(|(name, taken)| Column::Scored(name.into(), taken))
}

/// Where a row has by itself what a column of others gives it.
fn own(column: &Column) -> Column {
    Column::Path(format!("own.{column:?}").replace(['.', '"'], "_").into())
}

fn number(v: &V) -> Option<f64> {
    match v {
        V::Bool(yes) => Some(if *yes { 1.0 } else { 0.0 }),
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        V::I64(n) => Some(*n as f64),
        V::F64(x) => Some(*x),
        V::Null | V::Str(_) | V::Bytes(_) => None,
    }
}

/// What the scores make of a row.
fn given(row: &TestRow, column: &Column, others: Others<'_>) -> Vec<V> {
    let Column::Scored(name, taken) = column else {
        return oracle::values(row, column);
    };
    let of_row = others.scores.iter().filter(|score| {
        !score.dead
            && score.core.trace_id == row.core.trace_id
            && (!others.of_spans || scored_spans(score).contains(&&*row.core.id))
            && said(score, "name").contains(&V::Str(name.to_string()))
    });
    // A value that a score says twice counts once.
    let worth = of_row.flat_map(|score| {
        let mut all = said(score, "worth");
        let mut seen = Vec::new();
        all.retain(|v| {
            let is_new = !seen.contains(&format!("{v:?}"));
            seen.push(format!("{v:?}"));
            is_new
        });
        all
    });
    let worth: Vec<V> = worth.collect();
    if *taken == Taken::Each {
        return worth;
    }
    let numbers: Vec<f64> = worth.iter().filter_map(number).collect();
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    if numbers.is_empty() {
        Vec::new()
    } else {
        vec![V::F64(mean)]
    }
}

/// The same rows with what these columns give them as values of their own.
fn with_own(
    rows: &(Vec<TestRow>, Vec<usize>),
    columns: &[Column],
    others: Others<'_>,
) -> (Vec<TestRow>, Vec<usize>) {
    let mut all = rows.clone();
    for row in &mut all.0 {
        let more = columns.iter().flat_map(|column| {
            let Column::Path(path) = own(column) else {
                return Vec::new();
            };
            let values = given(row, column, others);
            values.into_iter().map(|v| (path.to_string(), v)).collect()
        });
        let more: Vec<_> = more.collect();
        row.fields.extend(more);
    }
    all
}

/// A request about some columns in the place of its own.
fn about(mut request: AggregateRequest, columns: &[Column]) -> AggregateRequest {
    let mut next = columns.iter().cycle().cloned();
    for key in &mut request.keys {
        *key = Key {
            column: next.next().unwrap(),
            absent: key.absent,
        };
    }
    for measure in &mut request.measures {
        match measure {
            Measure::Count | Measure::CountIf(_) => {}
            Measure::Sum(column)
            | Measure::Avg(column)
            | Measure::Min(column)
            | Measure::Max(column)
            | Measure::Histogram(column)
            | Measure::Quantiles { column, .. }
            | Measure::Distinct { column, .. } => *column = next.next().unwrap(),
        }
    }
    request
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn facts_order_filter_and_count_scores(
        scores in scores(16),
        of_scores in of_scores(),
        column in fact(),
        facet in fact(),
        descending in any::<bool>(),
    ) {
        let others = Others { of_spans: false, spans: &[], scores: &[] };
        let order = Order { column, descending };
        let expected = oracle::answer(&scores.0, others, &of_scores, &order);
        let sources = split(&scores);
        let visible: Vec<_> = sources.iter().map(|s| s.visible("scores")).collect();
        let request = Request {
            order,
            facets: vec![facet],
            facet_values_max: FACET_VALUES_MAX,
            ..Request::new(of_scores, 100)
        };
        let page = search(&visible, &Beside::nothing(Table::Scores), 5, &BUDGET, &request).unwrap();
        let id = |id: &str| id.to_owned();
        let got: Vec<_> = page.hits.iter().map(|hit| id(&hit.core.id)).collect();
        let right: Vec<_> = expected.iter().map(|row| id(&row.core.id)).collect();
        prop_assert_eq!(got, right);
        check_facet(&expected, &page.facets[0].column, &page.facets[0].values)?;
    }

    #[test]
    fn facts_add_up_as_if_scores_had_them_in_one_place(
        scores in scores(16),
        of_scores in of_scores(),
        request in figures(),
        facts in prop::collection::vec(fact(), 1..4),
    ) {
        let request = AggregateRequest { filter: of_scores, ..request };
        prop_assume!(!asks_elsewhere(&request));
        // A filter that looks for words would find them in the values that scores have now.
        prop_assume!(!format!("{request:?}").contains("Text("));
        let others = Others { of_spans: false, spans: &[], scores: &[] };
        let plain = with_own(&scores, &facts, others);
        let own: Vec<_> = facts.iter().map(own).collect();
        let ask = |rows: &(Vec<TestRow>, Vec<usize>), request: &AggregateRequest| {
            let sources = split(rows);
            let visible: Vec<_> = sources.iter().map(|s| s.visible("scores")).collect();
            let beside = Beside::nothing(Table::Scores);
            let mut answer = aggregate(&visible, &beside, &BUDGET, None, request).unwrap();
            answer.explain = Explain::default();
            format!("{answer:?}")
        };
        let got = ask(&scores, &about(request.clone(), &facts));
        prop_assert_eq!(got, ask(&plain, &about(request, &own)));
    }

    #[test]
    fn scores_order_and_add_up_rows_as_if_these_had_them(
        rows in table(24),
        spans in table(8),
        scores in scores(24),
        of_spans in any::<bool>(),
        filter in filter(Asks::SPANS_AND_SCORES),
        name in "[ab]",
        descending in any::<bool>(),
        limit in 1usize..8,
        request in figures(),
        columns in prop::collection::vec(of_named_scores(), 1..4),
    ) {
        let others = Others { of_spans, spans: &spans.0, scores: &scores.0 };
        let (span_sources, score_sources) = (split(&spans), split(&scores));
        let span_visible: Vec<_> = span_sources.iter().map(|s| s.visible("spans")).collect();
        let score_visible: Vec<_> = score_sources.iter().map(|s| s.visible("scores")).collect();
        let beside = beside(of_spans, &span_visible, &score_visible);
        let mean = Column::Scored(name.into(), Taken::Mean);
        let mut all = columns.clone();
        all.push(mean.clone());
        all.sort();
        all.dedup();
        let plain = with_own(&rows, &all, others);
        // A filter that looks for words would find them in the values that rows have now.
        prop_assume!(!format!("{filter:?} {request:?}").contains("Text("));
        let pages = |rows: &(Vec<TestRow>, Vec<usize>), column: Column| {
            let sources = split(rows);
            let visible: Vec<_> = sources.iter().map(|s| s.visible("rows")).collect();
            let order = Order { column, descending };
            let mut request = Request { order, ..Request::new(filter.clone(), limit) };
            let mut ids = Vec::new();
            loop {
                let page = search(&visible, &beside, 5, &BUDGET, &request).unwrap();
                ids.extend(page.hits.into_iter().map(|hit| hit.core.id));
                let Some(next) = page.next else { break ids };
                request.after = Some(next);
            }
        };
        prop_assert_eq!(pages(&rows, mean.clone()), pages(&plain, own(&mean)));
        let own: Vec<_> = columns.iter().map(own).collect();
        let cache = PartialCache::new(1 << 20);
        let ask = |rows: &(Vec<TestRow>, Vec<usize>), request: &AggregateRequest| {
            let sources = split(rows);
            let visible: Vec<_> = sources.iter().map(|s| s.visible("rows")).collect();
            let answer = aggregate(&visible, &beside, &BUDGET, Some(&cache), request);
            let mut answer = answer.unwrap();
            answer.explain = Explain::default();
            format!("{answer:?}")
        };
        let got = ask(&rows, &about(request.clone(), &columns));
        prop_assert_eq!(got, ask(&plain, &about(request, &own)));
    }
}
