//! Aggregates against row-by-row arithmetic in halves of 128 bits.

mod limits;
mod oracle;

use proptest::prelude::*;

use super::BUDGET;
use super::oracle::Others;
use super::property::{Asks, beside, column, filter, scores, split, table};
use super::rows::TestRow;
use crate::query::Explain;
use crate::query::aggregate::{
    AggregateRequest, DistinctMode, Key, Measure, PartialCache, Rank, TimeBuckets, Top, aggregate,
};

fn measure() -> impl Strategy<Value = Measure> {
    let quantiles = prop::collection::vec(0.0f64..=1.0, 0..4);
    let mode = prop::sample::select(vec![
        DistinctMode::Exact,
        DistinctMode::ExactOrEstimated,
        DistinctMode::Estimated,
    ]);
    prop_oneof![
        Just(Measure::Count),
        filter(Asks::SPANS_AND_SCORES).prop_map(Measure::CountIf),
        column().prop_map(Measure::Sum),
        column().prop_map(Measure::Avg),
        column().prop_map(Measure::Min),
        column().prop_map(Measure::Max),
        column().prop_map(Measure::Histogram),
        (column(), quantiles).prop_map(|(column, at)| Measure::Quantiles { column, at }),
        (column(), mode).prop_map(|(column, mode)| Measure::Distinct { column, mode }),
    ]
}

fn time() -> impl Strategy<Value = TimeBuckets> {
    let range = prop::option::of((-2i64..14, 1i64..14));
    (
        prop::sample::select(vec![1_000i64, 1_500, 4_000]),
        -5_000i64..5_000,
        range,
        any::<bool>(),
    )
        .prop_map(|(width_ns, origin_ns, range, fill)| TimeBuckets {
            width_ns,
            origin_ns,
            range: range.map(|(from, len)| (from * 900, (from + len) * 900)),
            fill,
        })
}

pub(super) fn request() -> impl Strategy<Value = AggregateRequest> {
    let key = (column(), any::<bool>()).prop_map(|(column, absent)| Key { column, absent });
    (
        prop_oneof![
            Just(crate::query::ast::Filter::All),
            filter(Asks::SPANS_AND_SCORES)
        ],
        prop::collection::vec(key, 0..4),
        prop::option::of(time()),
        prop::collection::vec(measure(), 0..5),
        (0usize..3, 0usize..5, any::<bool>(), 0usize..6),
    )
        .prop_map(|(filter, keys, time, measures, top)| {
            let (by, at, descending, limit) = top;
            let ranks = measures
                .get(at)
                .is_some_and(|m| !matches!(m, Measure::Quantiles { .. } | Measure::Histogram(_)));
            let by = match by {
                0 => Rank::Keys,
                1 if ranks => Rank::Measure(at, 0),
                _ => Rank::Rows,
            };
            let limit = if limit == 5 { 10_000 } else { limit };
            let top = Top {
                by,
                descending,
                limit,
            };
            AggregateRequest {
                filter,
                keys,
                time,
                measures,
                top,
            }
        })
}

pub(super) use oracle::asks_elsewhere;

/// Starts and ends in microseconds, so that buckets may cut between them.
fn stretch(rows: &mut [TestRow]) {
    for row in rows {
        row.core.start_ns *= 1_000;
        row.core.end_ns = row.core.end_ns.map(|end| end * 1_000);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn answers_equal_the_oracle(
        mut rows in table(30),
        spans in table(12),
        scores in scores(12),
        of_spans in any::<bool>(),
        request in request(),
        deaths in prop::collection::vec(any::<bool>(), 30),
    ) {
        stretch(&mut rows.0);
        let sources = split(&rows);
        let span_sources = split(&spans);
        let spans_visible: Vec<_> = span_sources.iter().map(|s| s.visible("spans")).collect();
        let score_sources = split(&scores);
        let scores_visible: Vec<_> = score_sources.iter().map(|s| s.visible("scores")).collect();
        let beside = beside(of_spans, &spans_visible, &scores_visible);
        let others = Others { of_spans, spans: &spans.0, scores: &scores.0 };
        let mut visible: Vec<_> = sources.iter().map(|s| s.visible("rows")).collect();
        let cache = PartialCache::new(1 << 20);
        let ask = |visible: &[_], known| aggregate(visible, &beside, &BUDGET, known, &request);
        let mut plain = ask(&visible, None).unwrap();
        oracle::check(&rows.0, others, &request, &plain)?;
        plain.explain = Explain::default();
        for again in [false, true] {
            let mut cached = ask(&visible, Some(&cache)).unwrap();
            let all_known = cached.explain.partials_known == 4;
            prop_assert!(!again || all_known || asks_elsewhere(&request));
            cached.explain = Explain::default();
            prop_assert_eq!(format!("{:?}", cached), format!("{:?}", plain));
        }
        // In another order of sources, and in one.
        visible.reverse();
        let mut turned = ask(&visible, None).unwrap();
        turned.explain = Explain::default();
        prop_assert_eq!(format!("{:?}", turned), format!("{:?}", plain));
        let one = super::rows::Rows::new(rows.0.clone());
        let mut whole = ask(&[one.visible("one")], None).unwrap();
        whole.explain = Explain::default();
        prop_assert_eq!(format!("{:?}", whole), format!("{:?}", plain));
        // What was kept is not used for other live rows.
        let mut left = rows.0.clone();
        for (row, dies) in left.iter_mut().zip(&deaths) {
            row.dead |= dies;
        }
        visible.reverse();
        for (source, at) in visible.iter_mut().zip(0usize..) {
            let mine = left.iter().zip(&rows.1).filter(|(_, of)| **of == at);
            let live = (0u32..).zip(mine).filter(|(_, (row, _))| !row.dead);
            source.live = live.map(|(n, _)| n).collect();
        }
        let after = ask(&visible, Some(&cache)).unwrap();
        oracle::check(&left, others, &request, &after)?;
    }
}
