//! What scores there are, against the same worked out row by row; and what one is found by.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::oracle::{Others, passes, said, scored_spans};
use super::property::{Asks, beside, filter, scores, split, table};
use super::*;
use crate::query::aggregate::{KEYS_LISTED_MAX, ScoreValuesRequest, score_names, score_values};
use crate::query::meter::Meter;

fn short(score: &rows::TestRow, name: &str) -> Vec<V> {
    let long = |v: &V| matches!(v, V::Str(text) if text.len() > 96);
    let mut all = said(score, name);
    all.retain(|v| !long(v));
    all
}

fn shown(v: &V) -> String {
    format!("{v:?}")
}

fn shown_literal(l: &Literal) -> String {
    shown(&match l {
        Literal::Str(text) => V::Str(text.clone()),
        Literal::I64(n) => V::I64(*n),
        Literal::F64(x) => V::F64(*x),
        Literal::Bool(yes) => V::Bool(*yes),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn values_are_counted_by_what_passes_and_names_by_scores(
        rows in table(16),
        spans in table(8),
        scores in scores(16),
        of_spans in any::<bool>(),
        filter in filter(Asks::SPANS_AND_SCORES),
        prefix in "[ab]?",
    ) {
        let (row_sources, span_sources) = (split(&rows), split(&spans));
        let score_sources = split(&scores);
        let visible: Vec<_> = row_sources.iter().map(|s| s.visible("rows")).collect();
        let span_visible: Vec<_> = span_sources.iter().map(|s| s.visible("spans")).collect();
        let score_visible: Vec<_> = score_sources.iter().map(|s| s.visible("scores")).collect();
        let beside = beside(of_spans, &span_visible, &score_visible);
        let others = Others { of_spans, spans: &spans.0, scores: &scores.0 };
        let request = ScoreValuesRequest {
            filter: filter.clone(),
            name: "a".into(),
            prefix: prefix.clone(),
            limit: FACET_VALUES_MAX,
        };
        let (facet, with, _) = score_values(&visible, &beside, &BUDGET, &request).unwrap();
        let got: BTreeMap<_, _> = facet.values.iter().map(|(v, n)| (shown_literal(v), *n)).collect();
        let named = |score: &&rows::TestRow, name: &V| !score.dead && said(score, "name").contains(name);
        let (mut right, mut right_with) = (BTreeMap::<String, u64>::new(), 0);
        for row in rows.0.iter().filter(|row| !row.dead && passes(&filter, row, others)) {
            let of_row = scores.0.iter().filter(|score| {
                score.core.trace_id == row.core.trace_id
                    && (!of_spans || scored_spans(score).contains(&&*row.core.id))
                    && named(score, &V::Str("a".into()))
            });
            let of_row: Vec<_> = of_row.collect();
            right_with += u64::from(of_row.iter().any(|score| !said(score, "value").is_empty()));
            let values = of_row.iter().flat_map(|score| short(score, "value"));
            let values: BTreeSet<_> = values
                .filter(|v| prefix.is_empty() || matches!(v, V::Str(s) if s.starts_with(&prefix)))
                .map(|v| shown(&v))
                .collect();
            for value in values {
                *right.entry(value).or_default() += 1;
            }
        }
        prop_assert_eq!((got, with), (right, right_with));
        let names = score_names(&beside, &BUDGET, &prefix, KEYS_LISTED_MAX).unwrap();
        let mut right = BTreeMap::<String, BTreeMap<&str, u64>>::new();
        for score in scores.0.iter().filter(|score| !score.dead) {
            let names_a_span = || {
                ["step_id", "span_id", "run_id"].iter().any(|place| !said(score, place).is_empty())
            };
            if of_spans && !names_a_span() {
                continue;
            }
            let texts = said(score, "name").into_iter().filter_map(|v| match v {
                V::Str(text) if text.len() <= 96 && text.starts_with(&prefix) => Some(text),
                _ => None,
            });
            let texts: BTreeSet<_> = texts.collect();
            let kinds = said(score, "value").into_iter().map(|v| match v {
                V::Bool(_) => "Bool",
                V::I64(_) => "I64",
                V::F64(_) => "F64",
                V::Str(text) if text.len() > 96 => "Long",
                _ => "Str",
            });
            let kinds: BTreeSet<_> = kinds.collect();
            for name in texts {
                let of_name = right.entry(name).or_default();
                for kind in &kinds {
                    *of_name.entry(kind).or_default() += 1;
                }
            }
        }
        let got: BTreeMap<_, BTreeMap<_, _>> = names
            .keys
            .iter()
            .map(|key| {
                let types = key.types.iter().map(|(kind, n)| (format!("{kind:?}"), *n));
                (key.path.to_string(), types.collect())
            })
            .collect();
        let right: BTreeMap<_, BTreeMap<_, _>> = right
            .into_iter()
            .map(|(name, types)| {
                (name, types.into_iter().map(|(kind, n)| (kind.to_owned(), n)).collect())
            })
            .collect();
        prop_assert_eq!(got, right);
        // The first of them are the first of all.
        for limit in 0..3 {
            let few = score_names(&beside, &BUDGET, &prefix, limit).unwrap();
            prop_assert_eq!(&few.keys[..], &names.keys[..limit.min(names.keys.len())]);
            prop_assert_eq!(few.more, names.keys.len() > limit);
        }
    }
}

fn scored(trace: &str, id: &str, fields: &[(&str, V)]) -> rows::TestRow {
    let mut score = row(trace, id, 1);
    let fields = fields
        .iter()
        .map(|(path, v)| ((*path).to_owned(), v.clone()));
    score.fields = fields.collect();
    score
}

/// Scores as each protocol stores them.
fn of_protocols() -> Rows {
    let text = |text: &str| V::Str(text.into());
    Rows::new(vec![
        scored("t1", "a", &[("name", text("good")), ("score", V::F64(0.7))]),
        scored("t2", "b", &[("label", text("good")), ("score", V::I64(1))]),
        scored("t3", "c", &[("name", text("good")), ("label", text("yes"))]),
        scored(
            "t4",
            "d",
            &[
                ("name", text("good")),
                ("step_id", text("s")),
                ("value", V::Bool(true)),
            ],
        ),
        scored("t4", "e", &[("name", text("bad")), ("score", V::F64(0.7))]),
        scored(
            "t5",
            "f",
            &[("name", text("my score: x")), ("user_id", text("ann"))],
        ),
    ])
}

#[test]
fn a_score_is_found_by_what_every_protocol_says() {
    let scores = of_protocols();
    let rows = Rows::new((1..=6).map(|n| row(&format!("t{n}"), "s", n)).collect());
    let scores = [scores.visible("scores")];
    let ask = |q: &str, of_spans| {
        let filter = parse(q, 0).unwrap();
        let beside = beside(of_spans, &[], &scores);
        let request = Request::new(filter, 10);
        let page = search(&[rows.visible("x")], &beside, 9, &BUDGET, &request).unwrap();
        let mut found: Vec<_> = page
            .hits
            .iter()
            .map(|hit| hit.core.trace_id.to_string())
            .collect();
        found.sort();
        found.join(" ")
    };
    for (q, runs) in [
        ("scores.good>0.5", "t1 t2"),
        ("scores.good>=0.5 scores.good<1", "t1"),
        ("scores.good:yes", "t3"),
        ("scores.good:y*", "t3"),
        ("scores.good:*e*", "t3"),
        ("scores.good=~^y", "t3"),
        ("scores.good:(yes,1)", "t2 t3"),
        ("scores.good:true", "t2 t4"),
        ("scores.good==true", "t2 t4"),
        ("scores.good:false", ""),
        ("has:scores.good", "t1 t2 t3 t4"),
        ("scores.good:*", "t1 t2 t3 t4"),
        ("-has:scores.good", "t5 t6"),
        ("scores.good!=1", "t1 t3 t4 t5 t6"),
        ("has:scores", "t1 t2 t3 t4 t5"),
        ("has:scores.\"my score: x\"", "t5"),
        ("scores.\"my score: x\">0", ""),
        ("score{user_id:ann}", "t5"),
        ("score{name:(good,bad) value>0.6}", "t1 t2 t4"),
        ("score{name:good value>0.6}", "t1 t2"),
        ("score{span_id:s}", "t4"),
        ("score{-has:span_id} -score{name:good}", "t5"),
        ("score{}", "t1 t2 t3 t4 t5"),
        ("scores.good>2 or scores.bad>0.5", "t4"),
    ] {
        assert_eq!(ask(q, false), runs, "{q}");
    }
    for (q, spans) in [
        ("has:scores", "t4"),
        ("has:scores.bad", ""),
        ("scores.good:true", "t4"),
        ("-has:scores", "t1 t2 t3 t5 t6"),
    ] {
        assert_eq!(ask(q, true), spans, "{q}");
    }
}

#[test]
fn other_rows_have_no_scores() {
    let rows = Rows::new(vec![row("t", "a", 1)]);
    for of in [Table::Logs, Table::Points, Table::Scores] {
        let request = Request::new(Filter::AnyScore(Box::new(Filter::All)), 1);
        let page = search(
            &[rows.visible("x")],
            &Beside::nothing(of),
            9,
            &BUDGET,
            &request,
        );
        assert!(matches!(page, Err(QueryError::Meaningless(_))), "{of:?}");
    }
}

#[test]
fn explain_tells_what_scores_cost() {
    let scores = Rows::new(
        (0..7)
            .map(|n| row(&format!("t{}", n % 3), &n.to_string(), n))
            .collect(),
    );
    let rows = Rows::new((0..5).map(|n| row(&format!("t{n}"), "r", n)).collect());
    let sources = [scores.visible("scores")];
    let beside = beside(false, &[], &sources);
    let ask = |q: &str| {
        let request = Request::new(parse(q, 0).unwrap(), 10);
        let page = search(&[rows.visible("x")], &beside, 9, &BUDGET, &request).unwrap();
        let explain = page.explain;
        let of_scores = (
            explain.score_groups_visited,
            explain.score_rows_visited,
            explain.scored,
        );
        (of_scores, explain.rows_visited)
    };
    assert_eq!(ask("has:scores"), ((1, 7, 3), 12));
    assert_eq!(ask("has:scores or has:scores.x"), ((2, 14, 3), 19));
    assert_eq!(ask("id:r"), ((0, 0, 0), 5));
}

#[test]
fn limits_of_scores_hold_at_and_above() {
    let beside = Beside::nothing(Table::Runs);
    let names = |limit| score_names(&beside, &BUDGET, "", limit);
    assert!(names(KEYS_LISTED_MAX).is_ok());
    assert!(matches!(
        names(KEYS_LISTED_MAX + 1),
        Err(QueryError::TooMany { .. })
    ));
    let values = |limit| {
        let request = ScoreValuesRequest {
            filter: Filter::All,
            name: "a".into(),
            prefix: String::new(),
            limit,
        };
        score_values(&[], &beside, &BUDGET, &request)
    };
    assert!(values(FACET_VALUES_MAX).is_ok());
    assert!(matches!(
        values(FACET_VALUES_MAX + 1),
        Err(QueryError::TooManyFacetValues(_))
    ));
    let mut meter = Meter::new(&BUDGET);
    assert!(meter.find(1, 0).is_ok());
    assert!(meter.find(TRACES_MAX - 1, 0).is_ok());
    assert!(matches!(
        meter.find(1, 0),
        Err(QueryError::BudgetExceeded { what: "traces", .. })
    ));
}

fn good(trace: &str, id: &str, value: f64) -> rows::TestRow {
    let name = V::Str("good".into());
    scored(trace, id, &[("name", name), ("score", V::F64(value))])
}

#[test]
fn what_tests_of_other_rows_find_counts_against_the_memory_of_the_question() {
    let scores = (0..5).map(|n| good(&format!("t{n}"), &n.to_string(), 0.5));
    let mut scores: Vec<_> = scores.collect();
    for score in &mut scores {
        score
            .fields
            .push(("step_id".into(), V::Str("r".to_owned())));
    }
    let scores = Rows::new(scores);
    let spans = Rows::new((0..5).map(|n| row(&format!("t{n}"), "r", n)).collect());
    let (scores, spans) = ([scores.visible("scores")], [spans.visible("spans")]);
    let ask = |q: &str, of_spans, bytes_max| {
        let request = Request::new(parse(q, 0).unwrap(), 10);
        let budget = Budget {
            bytes_max,
            ..BUDGET
        };
        let beside = beside(of_spans, &spans, &scores);
        let page = search(&spans, &beside, 9, &budget, &request)?;
        Ok::<_, QueryError>(page.explain.state_bytes)
    };
    let values = |bytes_max| {
        let budget = Budget {
            bytes_max,
            ..BUDGET
        };
        let request = ScoreValuesRequest {
            filter: Filter::All,
            name: "good".into(),
            prefix: String::new(),
            limit: 1,
        };
        let beside = beside(false, &spans, &scores);
        let found = score_values(&spans, &beside, &budget, &request)?;
        Ok::<_, QueryError>(found.2.state_bytes)
    };
    let holds = |ask: &dyn Fn(u64) -> Result<u64, QueryError>, what: &str| {
        let bytes = ask(u64::MAX).unwrap();
        assert!(bytes > 0, "{what}");
        assert_eq!(ask(bytes).unwrap(), bytes, "{what}");
        let over = ask(bytes - 1);
        let is_memory = |e| matches!(e, QueryError::BudgetExceeded { what: "memory", .. });
        assert!(over.is_err_and(is_memory), "{what}");
        bytes
    };
    for (q, of_spans) in [
        ("has:scores", false),
        ("has:scores", true),
        ("{start>=0}", false),
        ("{has:scores}", false),
    ] {
        let one = holds(&|max| ask(q, of_spans, max), q);
        let twice = format!("({q}) or ({q})");
        assert_eq!(holds(&|max| ask(&twice, of_spans, max), &twice), 2 * one);
    }
    holds(&values, "values");
}

#[test]
fn values_are_read_of_the_scores_of_what_passes() {
    let rows = |from: i64| {
        let rows = (from..from + 10).map(|n| row(&format!("t{n}"), "r", n));
        Rows::new(rows.collect())
    };
    let (old, new) = (rows(0), rows(10));
    let scores = (0..40).map(|n| good(&format!("t{}", n % 20), &n.to_string(), f64::from(n)));
    let scores = Rows::new(scores.collect());
    let scores = [scores.visible("scores")];
    let request = ScoreValuesRequest {
        filter: parse("start>=18", 0).unwrap(),
        name: "good".into(),
        prefix: String::new(),
        limit: 10,
    };
    let rows = [old.visible("old"), new.visible("new")];
    let beside = beside(false, &[], &scores);
    let (facet, with, explain) = score_values(&rows, &beside, &BUDGET, &request).unwrap();
    assert_eq!((facet.values.len(), with), (4, 2));
    assert_eq!(explain.groups_pruned_by_time, 1);
    assert_eq!(explain.score_rows_visited, 4);
}

#[test]
fn a_later_page_says_that_scores_came_if_the_filter_asks_for_scores() {
    let rows = Rows::new((0..4).map(|n| row(&format!("t{n}"), "r", n)).collect());
    let rows = [rows.visible("rows")];
    let changed = |q: &str, lsn| {
        let mut scores: Vec<_> = (0..4).map(|n| good(&format!("t{n}"), "s", 1.0)).collect();
        let request = Request::new(parse(q, 0).unwrap(), 2);
        let ask = |scores: &[rows::TestRow], request: &Request| {
            let scores = Rows::new(scores.to_vec());
            let scores = [scores.visible("scores")];
            search(&rows, &beside(false, &[], &scores), 9, &BUDGET, request).unwrap()
        };
        let after = ask(&scores, &request).next;
        assert!(after.is_some(), "{q}");
        let later = Request { after, ..request };
        scores[1].core.lsn_last = lsn;
        ask(&scores, &later).snapshot_changed
    };
    for q in ["has:scores", "-has:scores.bad", "start>0 scores.good>0"] {
        assert!(changed(q, 10) && !changed(q, 9), "{q}");
    }
    assert!(!changed("start>=0", 10));
}
