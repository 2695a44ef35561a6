//! Calculations with functions over time: by the naive evaluator, at their limits, and by chance.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::naive::Naive;
use super::*;
use crate::query::traceql::ast::{Arith, Field, Measure, Metrics};
use crate::query::traceql::math::Math;
use crate::query::traceql::{
    DEPTH_MAX, NODES_MAX, POINTS_MAX, SECOND_MAX, SELECTORS_MAX, SERIES_MAX,
};

/// Points by labels, or the same number everywhere.
enum Worked {
    Number(f64),
    Series(BTreeMap<String, BTreeMap<i64, f64>>),
}

impl Naive<'_> {
    /// A calculation, every series of one side against every one of the other.
    pub(super) fn calculated(
        &self,
        math: &Math,
        step_ns: i64,
    ) -> BTreeMap<String, BTreeMap<i64, f64>> {
        match self.worked(math, step_ns) {
            Worked::Series(series) => series.into_iter().filter(|(_, p)| !p.is_empty()).collect(),
            Worked::Number(_) => panic!("numbers alone are no query"),
        }
    }

    fn worked(&self, math: &Math, step_ns: i64) -> Worked {
        match math {
            Math::Number(x) => Worked::Number(*x),
            Math::Query(query) => {
                let mut series = self.series(query, step_ns);
                let metrics = query.metrics.as_ref().unwrap();
                let is_counted = matches!(metrics.measure, Measure::Rate | Measure::Count);
                if series.is_empty() && is_counted && metrics.by.is_empty() {
                    let (from, to) = self.range.unwrap();
                    let mut at = from;
                    let zeros = series.entry(String::new()).or_default();
                    while at < to {
                        zeros.insert(at, 0.0);
                        at += step_ns;
                    }
                }
                Worked::Series(series)
            }
            Math::Both(op, a, b) => match (self.worked(a, step_ns), self.worked(b, step_ns)) {
                (Worked::Number(_), Worked::Number(_)) => panic!("folded when it is read"),
                (Worked::Series(a), Worked::Number(b)) => {
                    Worked::Series(each(&a, |x| number(*op, x, b)))
                }
                (Worked::Number(a), Worked::Series(b)) => {
                    Worked::Series(each(&b, |x| number(*op, a, x)))
                }
                (Worked::Series(a), Worked::Series(b)) => Worked::Series(pairs(*op, &a, &b)),
            },
        }
    }
}

fn each(
    series: &BTreeMap<String, BTreeMap<i64, f64>>,
    work: impl Fn(f64) -> Option<f64>,
) -> BTreeMap<String, BTreeMap<i64, f64>> {
    let worked = series.iter().map(|(labels, points)| {
        let points = points.iter().filter_map(|(at, x)| Some((*at, work(*x)?)));
        (labels.clone(), points.collect())
    });
    worked.collect()
}

fn pairs(
    op: Arith,
    a: &BTreeMap<String, BTreeMap<i64, f64>>,
    b: &BTreeMap<String, BTreeMap<i64, f64>>,
) -> BTreeMap<String, BTreeMap<i64, f64>> {
    let mut all = BTreeMap::new();
    for (left, x) in a {
        for (right, y) in b {
            if left != right && !left.is_empty() && !right.is_empty() {
                continue;
            }
            let points = x
                .iter()
                .filter_map(|(at, x)| Some((*at, number(op, *x, *y.get(at)?)?)));
            all.insert(left.max(right).clone(), points.collect());
        }
    }
    all
}

fn number(op: Arith, x: f64, y: f64) -> Option<f64> {
    let found = match op {
        Arith::Add => x + y,
        Arith::Sub => x - y,
        Arith::Mul => x * y,
        Arith::Div if y.abs() > 0.0 => x / y,
        Arith::Div => return None,
        Arith::Mod | Arith::Pow => panic!("not of series"),
    };
    found.is_finite().then_some(found)
}

#[test]
fn calculations_are_read_up_to_their_limits() {
    let functions = |n: usize| vec!["({} | rate())"; n].join(" + ");
    // An operator, a selector, a stage and a function each.
    assert!(parse(&functions(SELECTORS_MAX)).is_ok());
    assert!(
        refused(&functions(SELECTORS_MAX + 1))
            .1
            .contains("too many selectors")
    );
    let bare = |n: usize| format!("({{}} | rate()){}", " + 1".repeat(n));
    // The function, its stage and its selector; a number and an operator each.
    assert!(parse(&bare((NODES_MAX - 3) / 2)).is_ok());
    assert!(
        refused(&bare((NODES_MAX - 3) / 2 + 1))
            .1
            .contains("too large")
    );
    let deep = |n: usize| format!("{}{{}} | rate(){} * 2", "(".repeat(n), ")".repeat(n));
    assert!(parse(&deep(DEPTH_MAX)).is_ok());
    assert!(refused(&deep(DEPTH_MAX + 1)).1.contains("too deep"));
    let signs = |n: usize| format!("({{}} | rate()) * {}1", "-".repeat(n));
    assert!(parse(&signs(DEPTH_MAX)).is_ok());
    assert!(refused(&signs(DEPTH_MAX + 1)).1.contains("too deep"));
    let second = |n: usize| format!("({{}} | rate()) * 2{}", " > 1".repeat(n));
    assert!(parse(&second(SECOND_MAX)).is_ok());
    assert!(parse(&second(SECOND_MAX + 1)).is_err());
    let around = |n: usize| format!("({{}} | rate() > 0){}", " > 1".repeat(n));
    assert!(parse(&around(SECOND_MAX - 1)).is_ok());
    assert!(parse(&around(SECOND_MAX)).is_err());
}

fn asked(spans: Vec<TestRow>, text: &str, steps: usize) -> Result<usize, QueryError> {
    let world = World::new(spans, Vec::new(), &[0]);
    let visible: Vec<_> = world.sources.iter().map(|s| s.visible("spans")).collect();
    let request = SeriesRequest {
        query: &parse(text).unwrap(),
        from_ns: 0,
        to_ns: 1_000_000 * i64::try_from(steps).unwrap(),
        step_ns: 1_000_000,
        exemplars: 0,
    };
    series(&visible, &[], &BUDGET, &request).map(|found| found.series.len())
}

#[test]
fn the_series_and_points_of_all_functions_count_together() {
    let many = |result: Result<usize, QueryError>, what: &str| match result {
        Err(QueryError::TooMany { what: found, .. }) => assert_eq!(found, what),
        other => panic!("{what}: {other:?}"),
    };
    let rows = |count: usize| -> Vec<TestRow> {
        (0..count)
            .map(|n| span("t", &format!("s{n}"), 5, Some(1), ""))
            .collect()
    };
    // One series more than there are ids.
    let text = "({} | rate() by (span:id)) / ({} | rate())";
    let most = SERIES_MAX - 1;
    assert_eq!(asked(rows(most), text, 1).unwrap(), most);
    many(asked(rows(most + 1), text, 1), "series");
    let steps = 10_000;
    let most = POINTS_MAX / steps - 1;
    assert_eq!(asked(rows(most), text, steps).unwrap(), most);
    many(asked(rows(most + 1), text, steps), "points");
}

fn metrics() -> impl Strategy<Value = Metrics> {
    let by = prop::sample::select(vec![
        Vec::new(),
        vec![Field::Span("a".into())],
        vec![Field::Span("b".into())],
    ]);
    (any::<bool>(), by).prop_map(|(is_rate, by)| Metrics {
        measure: if is_rate {
            Measure::Rate
        } else {
            Measure::Count
        },
        by,
        second: Vec::new(),
    })
}

fn math() -> impl Strategy<Value = Math> {
    let function = (random::query(), metrics()).prop_map(|(query, metrics)| {
        Math::Query(Box::new(Query {
            metrics: Some(metrics),
            ..query
        }))
    });
    let ops = prop::sample::select(vec![Arith::Add, Arith::Sub, Arith::Mul, Arith::Div]);
    let rest = (any::<bool>(), -2i32..3);
    let both = move |op, a, b| Math::Both(op, Box::new(a), Box::new(b));
    prop::collection::vec((function, ops, rest), 1..4).prop_map(move |parts| {
        let mut parts = parts.into_iter();
        let (first, op, (turned, x)) = parts.next().unwrap();
        let x = Math::Number(f64::from(x) / 2.0);
        let first = if turned {
            both(op, x, first)
        } else {
            both(op, first, x)
        };
        parts.fold(first, |all, (next, op, (turned, _))| {
            if turned {
                both(op, next, all)
            } else {
                both(op, all, next)
            }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn calculations_equal_the_naive_ones(
        (rows, at) in random::spans(),
        math in math(),
        step in 1i64..6,
    ) {
        let query = Query {
            selectors: Vec::new(),
            stages: Vec::new(),
            metrics: Some(Metrics { measure: Measure::Math(math), by: Vec::new(), second: Vec::new() }),
            hints: Vec::new(),
        };
        let text = query.to_string();
        let read = parse(&text);
        prop_assert!(read.is_ok(), "{}: {:?}", text, read);
        let query = read.unwrap();
        let again = parse(&query.to_string());
        prop_assert_eq!(again.as_ref(), Ok(&query));
        let rows: Vec<TestRow> = rows.into_iter().map(|mut row| {
            row.core.start_ns *= 1_000_000;
            row.core.end_ns = row.core.end_ns.map(|end| end * 1_000_000);
            row
        }).collect();
        let world = World::new(rows, random::runs(), if at.is_empty() { &[0] } else { &at });
        let range = (2_000_000, 9_000_000);
        let got = world.series(&query, range, step * 1_000_000);
        let Measure::Math(math) = &query.metrics.as_ref().unwrap().measure else { unreachable!() };
        let expected = world.naive(Some(range)).calculated(math, step * 1_000_000);
        prop_assert_eq!(got, expected, "{}", text);
    }
}
