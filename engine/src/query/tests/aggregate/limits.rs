//! Limits, budgets and cancelling of aggregates.

use std::cell::Cell;

use super::super::rows::{Rows, TestRow, V, row};
use super::super::{BUDGET, NOTHING, nested};
use crate::query::aggregate::*;
use crate::query::ast::Filter;
use crate::query::{Budget, DEPTH_MAX, QueryError};
use crate::source::Column;

fn rows(count: i64) -> Rows {
    Rows::new(
        (0..count)
            .map(|n| row("t", &n.to_string(), n * 1_000))
            .collect(),
    )
}

fn ask(rows: &Rows, request: &AggregateRequest) -> Result<AggregateAnswer, QueryError> {
    aggregate(&[rows.visible("x")], &NOTHING, &BUDGET, None, request)
}

fn by_id() -> AggregateRequest {
    AggregateRequest {
        keys: vec![Key::new(Column::Id)],
        ..AggregateRequest::new(Filter::All, vec![])
    }
}

#[test]
fn counts_hold_at_and_above() {
    let rows = rows(3);
    let many = |what: &str, answer: Result<AggregateAnswer, QueryError>| match answer {
        Err(QueryError::TooMany { what: got, .. }) => assert_eq!(got, what),
        other => panic!("{other:?}"),
    };
    let keys = |n| AggregateRequest {
        keys: vec![Key::new(Column::Id); n],
        ..by_id()
    };
    assert_eq!(ask(&rows, &keys(KEYS_MAX)).unwrap().groups.len(), 3);
    many("keys", ask(&rows, &keys(KEYS_MAX + 1)));
    let measures = |n| AggregateRequest::new(Filter::All, vec![Measure::Count; n]);
    assert!(ask(&rows, &measures(MEASURES_MAX)).is_ok());
    many("measures", ask(&rows, &measures(MEASURES_MAX + 1)));
    let quantiles = |n, p| {
        let (column, at) = (Column::Start, vec![p; n]);
        AggregateRequest::new(Filter::All, vec![Measure::Quantiles { column, at }])
    };
    assert!(ask(&rows, &quantiles(QUANTILES_MAX, 1.0)).is_ok());
    many("quantiles", ask(&rows, &quantiles(QUANTILES_MAX + 1, 1.0)));
    let listed = |limit| AggregateRequest {
        top: Top {
            limit,
            ..Top::default()
        },
        ..by_id()
    };
    assert!(ask(&rows, &listed(GROUPS_LISTED_MAX)).is_ok());
    many("groups", ask(&rows, &listed(GROUPS_LISTED_MAX + 1)));
    for bad in [
        quantiles(1, 1.5),
        quantiles(1, -0.1),
        quantiles(1, f64::NAN),
    ] {
        assert!(matches!(
            ask(&rows, &bad),
            Err(QueryError::Meaningless("quantile"))
        ));
    }
    let deep = Measure::CountIf(nested(DEPTH_MAX + 1));
    let deep = ask(&rows, &AggregateRequest::new(Filter::All, vec![deep]));
    assert!(matches!(deep, Err(QueryError::TooDeep)));
    for by in [Rank::Measure(0, 0), Rank::Measure(1, 0)] {
        let top = Top {
            by,
            ..Top::default()
        };
        let request = AggregateRequest {
            top,
            ..quantiles(0, 1.0)
        };
        assert!(matches!(
            ask(&rows, &request),
            Err(QueryError::Meaningless(_))
        ));
    }
}

#[test]
fn time_buckets_hold_at_and_above() {
    let rows = rows(2);
    let time = |width_ns, range, fill| AggregateRequest {
        time: Some(TimeBuckets {
            width_ns,
            origin_ns: 0,
            range,
            fill,
        }),
        ..AggregateRequest::new(Filter::All, vec![])
    };
    assert!(ask(&rows, &time(BUCKET_WIDTH_MIN_NS, None, true)).is_ok());
    let narrow = ask(&rows, &time(BUCKET_WIDTH_MIN_NS - 1, None, true));
    assert!(matches!(narrow, Err(QueryError::Meaningless(_))));
    let empty = ask(&rows, &time(1_000, Some((5, 5)), true));
    assert!(matches!(empty, Err(QueryError::Meaningless(_))));
    let buckets = |n: usize| i64::try_from(n).unwrap() * 1_000;
    let most = time(1_000, Some((0, buckets(BUCKETS_MAX))), true);
    assert_eq!(
        ask(&rows, &most).unwrap().groups[0].points.len(),
        BUCKETS_MAX
    );
    let over = time(1_000, Some((0, buckets(BUCKETS_MAX) + 1)), true);
    match ask(&rows, &over) {
        Err(QueryError::BudgetExceeded {
            what: "time buckets",
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
    // All of time is no trouble unless empty buckets are asked for.
    let all = |fill| time(1_000, Some((i64::MIN, i64::MAX)), fill);
    assert_eq!(ask(&rows, &all(false)).unwrap().groups[0].points.len(), 2);
    assert!(ask(&rows, &all(true)).is_err());
    // Points of many groups together.
    let many = self::rows(i64::try_from(POINTS_MAX / BUCKETS_MAX).unwrap() + 1);
    let request = |limit| AggregateRequest {
        keys: by_id().keys,
        top: Top {
            limit,
            ..Top::default()
        },
        ..time(1_000, Some((0, buckets(BUCKETS_MAX))), true)
    };
    assert!(ask(&many, &request(POINTS_MAX / BUCKETS_MAX)).is_ok());
    match ask(&many, &request(POINTS_MAX / BUCKETS_MAX + 1)) {
        Err(QueryError::BudgetExceeded { what: "points", .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn memory_is_bounded() {
    let rows = rows(2_000);
    let with = |bytes_max| {
        let budget = Budget {
            bytes_max,
            ..BUDGET
        };
        aggregate(&[rows.visible("x")], &NOTHING, &budget, None, &by_id())
    };
    let held = ask(&rows, &by_id()).unwrap().explain.state_bytes;
    assert!(held > 2_000 * 16, "{held}");
    assert!(with(held).is_ok());
    match with(held - 1) {
        Err(QueryError::BudgetExceeded { what: "memory", .. }) => {}
        other => panic!("{other:?}"),
    }
}

/// Whenever the caller gives up, the query ends at the next question, and it asks at least once
/// per column and row group.
#[test]
fn every_question_may_end_it() {
    let sources: Vec<Rows> = (0..4).map(|_| rows(10)).collect();
    let visible: Vec<_> = sources.iter().map(|s| s.visible("x")).collect();
    let measures = vec![
        Measure::Sum(Column::Start),
        Measure::Quantiles {
            column: Column::Duration,
            at: vec![0.5],
        },
    ];
    let request = AggregateRequest {
        measures,
        ..by_id()
    };
    let asked = Cell::new(0);
    let end_at = Cell::new(u32::MAX);
    let cancelled = || {
        asked.set(asked.get() + 1);
        asked.get() >= end_at.get()
    };
    let budget = Budget {
        cancelled: &cancelled,
        ..BUDGET
    };
    let run = || aggregate(&visible, &NOTHING, &budget, None, &request);
    let answer = run().unwrap();
    let questions = asked.get();
    assert_eq!(answer.explain.estimate, 4 * 3);
    assert!(questions >= 4 * 3, "{questions}");
    for at in 1..=questions {
        asked.set(0);
        end_at.set(at);
        assert!(matches!(run(), Err(QueryError::Cancelled)));
        assert_eq!(asked.get(), at, "went on after the end");
    }
}

#[test]
fn keys_are_listed_whatever_the_budget_of_rows() {
    let with_keys = |n: i64| TestRow {
        fields: (0..20).map(|key| (format!("k{key}"), V::I64(n))).collect(),
        dead: n % 2 == 1,
        ..row("t", &n.to_string(), n)
    };
    let rows = Rows::new((0..10).map(with_keys).collect());
    let keys = |prefix: &str, cancelled: bool| {
        let budget = Budget {
            rows_max: 1,
            cancelled: &|| cancelled,
            ..BUDGET
        };
        let request = KeysRequest {
            prefix,
            but: None,
            limit: 100,
        };
        observed_keys(&[rows.visible("x")], &budget, request)
    };
    let found = keys("", false).unwrap();
    assert_eq!(found.keys.len(), 20);
    assert!(found.keys.iter().all(|key| key.types[0].1 == 5));
    // The dead rows were looked at for every key, and are told once.
    let cost = |found: &ObservedKeys| (found.explain.groups_visited, found.explain.rows_visited);
    assert_eq!(cost(&found), (1, 5));
    assert_eq!(cost(&keys("none", false).unwrap()), (0, 0));
    assert!(matches!(keys("", true), Err(QueryError::Cancelled)));
}

#[test]
fn keys_that_are_left_out_take_no_place() {
    let with_key = |key: &str| TestRow {
        fields: vec![(key.to_owned(), V::I64(1))],
        ..row("t", key, 1)
    };
    let rows = Rows::new(["a", "s.a", "s.b", "sa", "t"].map(with_key).into());
    for (prefix, but, limit, keys, more) in [
        ("", Some("s."), 3, vec!["a", "sa", "t"], false),
        ("", Some("s."), 2, vec!["a", "sa"], true),
        ("s", Some("s."), 3, vec!["sa"], false),
        ("s.", Some("s."), 3, vec![], false),
        ("s.", None, 1, vec!["s.a"], true),
    ] {
        let request = KeysRequest { prefix, but, limit };
        let found = observed_keys(&[rows.visible("x")], &BUDGET, request).unwrap();
        let paths: Vec<&str> = found.keys.iter().map(|key| &*key.path).collect();
        assert_eq!((paths, found.more), (keys, more), "{request:?}");
    }
    let limit = |limit| {
        let request = KeysRequest {
            prefix: "",
            but: None,
            limit,
        };
        observed_keys(&[], &BUDGET, request)
    };
    assert!(limit(KEYS_LISTED_MAX).is_ok());
    assert!(matches!(
        limit(KEYS_LISTED_MAX + 1),
        Err(QueryError::TooMany { .. })
    ));
}
