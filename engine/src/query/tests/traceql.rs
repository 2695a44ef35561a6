//! `TraceQL` against a naive evaluator that shares no code with it.

mod calculated;
mod exemplars;
mod naive;
mod random;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use super::BUDGET;
use super::rows::{Rows, TestRow, V, row};
use crate::query::Budget;
use crate::query::QueryError;
use crate::query::traceql::{
    Query, SPANS_SHOWN_MAX, SearchRequest, SeriesRequest, TRACES_LISTED_MAX, Value, parse, search,
    series,
};
use naive::Naive;

/// A trace and the spans of its sets.
type Found = (String, Vec<BTreeSet<String>>);

/// Spans and runs of a test, the spans spread over some sources.
struct World {
    spans: Vec<TestRow>,
    runs: Vec<TestRow>,
    sources: Vec<Rows>,
    run_source: Rows,
}

impl World {
    /// `at` says in which of four sources a span is.
    fn new(spans: Vec<TestRow>, runs: Vec<TestRow>, at: &[usize]) -> Self {
        let sources = (0..4).map(|source| {
            let places = at.iter().copied().cycle();
            let here = spans.iter().zip(places).filter(|(_, at)| *at % 4 == source);
            Rows::new(here.map(|(row, _)| row.clone()).collect())
        });
        Self {
            sources: sources.collect(),
            run_source: Rows::new(runs.clone()),
            spans,
            runs,
        }
    }

    fn naive(&self, range: Option<(i64, i64)>) -> Naive<'_> {
        Naive {
            spans: &self.spans,
            runs: &self.runs,
            range,
        }
    }

    fn search(
        &self,
        query: &Query,
        range: Option<(i64, i64)>,
        limit: usize,
    ) -> Result<Vec<Found>, QueryError> {
        let visible: Vec<_> = self.sources.iter().map(|s| s.visible("spans")).collect();
        let request = SearchRequest {
            query,
            range,
            limit,
            spans_shown: SPANS_SHOWN_MAX,
        };
        let runs = [self.run_source.visible("runs")];
        let found = search(&visible, &runs, &BUDGET, &request)?;
        let traces = found.traces.into_iter().map(|trace| {
            let sets = trace.sets.into_iter().map(|set| {
                let ids: BTreeSet<String> = set.spans.iter().map(|s| s.id.to_string()).collect();
                assert_eq!(u64::try_from(ids.len()).unwrap(), set.matched);
                ids
            });
            (trace.trace_id.to_string(), sets.collect())
        });
        Ok(traces.collect())
    }

    /// Sets in any order: of `by()` the naive one has another.
    fn check(
        &self,
        query: &Query,
        range: Option<(i64, i64)>,
    ) -> BTreeMap<String, Vec<BTreeSet<String>>> {
        let found = self.search(query, range, TRACES_LISTED_MAX).unwrap();
        let mut found: BTreeMap<_, _> = found.into_iter().collect();
        let mut expected = self.naive(range).search(query);
        for sets in found.values_mut().chain(expected.values_mut()) {
            sets.sort();
        }
        assert_eq!(found, expected, "{query}");
        found
    }

    fn series(
        &self,
        query: &Query,
        range: (i64, i64),
        step_ns: i64,
    ) -> BTreeMap<String, BTreeMap<i64, f64>> {
        let visible: Vec<_> = self.sources.iter().map(|s| s.visible("spans")).collect();
        let request = SeriesRequest {
            query,
            from_ns: range.0,
            to_ns: range.1,
            step_ns,
            exemplars: 0,
        };
        let runs = [self.run_source.visible("runs")];
        let found = series(&visible, &runs, &BUDGET, &request).unwrap();
        let named = found.series.into_iter().map(|one| {
            let label = |(name, value): (String, Option<Value>)| match (&*name, value) {
                ("p", _) => String::new(),
                (_, None) => format!("{name}=nil "),
                (_, Some(value)) => format!("{name}={:?} ", naive_of(&value)),
            };
            let labels: String = one.labels.into_iter().map(label).collect();
            (labels, one.points.into_iter().collect())
        });
        named.collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of the tests are small")]
fn naive_of(value: &Value) -> naive::N {
    match value {
        Value::Bool(b) => naive::N::Bool(*b),
        Value::Int(n) | Value::Duration(n) => naive::N::Num(*n as f64),
        Value::Float(x) => naive::N::Num(*x),
        Value::Str(s) => naive::N::Str(s.to_string()),
        Value::Status(s) => naive::N::Word(s.as_str()),
        Value::Kind(k) => naive::N::Word(k.as_str()),
        Value::Bytes => naive::N::Bytes,
    }
}

/// `k=v` with spaces between: numbers, `true`, `false` and texts.
fn span(trace: &str, id: &str, start_ns: i64, length: Option<i64>, says: &str) -> TestRow {
    let mut made = row(trace, id, start_ns);
    made.core.end_ns = length.map(|length| start_ns + length);
    for part in says.split(' ').filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap();
        let value = match value {
            "true" => V::Bool(true),
            "false" => V::Bool(false),
            _ => match (value.parse(), value.parse()) {
                (Ok(n), _) => V::I64(n),
                (_, Ok(x)) => V::F64(x),
                _ => V::Str(value.replace('_', " ")),
            },
        };
        made.fields.push((key.to_owned(), value));
    }
    made
}

#[test]
fn the_grammar_s_examples_mean_what_they_say() {
    let grammar = include_str!("../traceql/GRAMMAR.md");
    let examples = grammar.split("```examples\n").nth(1).unwrap();
    let examples = examples.split("```").next().unwrap();
    let mut count = 0;
    for line in examples.lines() {
        let (text, meaning) = line.split_once(" => ").unwrap();
        let query = parse(text.trim()).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(query.to_string(), meaning, "{text}");
        let again = parse(meaning).unwrap_or_else(|e| panic!("{meaning}: {e}"));
        assert_eq!(again.to_string(), meaning);
        count += 1;
    }
    assert!(count > 40, "{count}");
}

fn refused(text: &str) -> (usize, String) {
    let error = parse(text).expect_err(text);
    (error.at, error.message)
}

#[test]
fn limits_hold_at_and_above() {
    use crate::query::traceql::{
        BY_MAX, COMPARED_MAX, DEPTH_MAX, HINTS_MAX, NODES_MAX, PATTERNS_MAX, QUERY_BYTES_MAX,
        SECOND_MAX, SELECTED_MAX, SELECTORS_MAX, TOP_MAX,
    };
    let spaced = |len: usize| format!("{{}}{}", " ".repeat(len - 2));
    assert!(parse(&spaced(QUERY_BYTES_MAX)).is_ok());
    assert!(refused(&spaced(QUERY_BYTES_MAX + 1)).1.contains("too long"));
    let selectors = |n: usize| vec!["{}"; n].join("||");
    assert!(parse(&selectors(SELECTORS_MAX)).is_ok());
    assert!(
        refused(&selectors(SELECTORS_MAX + 1))
            .1
            .contains("too many selectors")
    );
    let nested = |n: usize| format!("{}{{}}{}", "(".repeat(n), ")".repeat(n));
    assert!(parse(&nested(DEPTH_MAX)).is_ok());
    assert!(refused(&nested(DEPTH_MAX + 1)).1.contains("too deep"));
    let inner = |n: usize| format!("{{ {}true{} }}", "(".repeat(n), ")".repeat(n));
    assert!(parse(&inner(DEPTH_MAX)).is_ok());
    assert!(refused(&inner(DEPTH_MAX + 1)).1.contains("too deep"));
    assert!(
        refused(&format!("{{ {} true }}", "!".repeat(10_000)))
            .1
            .contains("too deep")
    );
    // A stage, a value and an operator less than values.
    let parts = |n: usize| format!("{{ {} }}", vec![".a"; n].join(" && "));
    assert!(parse(&parts(NODES_MAX / 2)).is_ok());
    assert!(refused(&parts(NODES_MAX / 2 + 1)).1.contains("too large"));
    let list = |n: usize| vec![".a"; n].join(", ");
    assert!(parse(&format!("{{}} | select({})", list(SELECTED_MAX))).is_ok());
    assert!(parse(&format!("{{}} | select({})", list(SELECTED_MAX + 1))).is_err());
    assert!(parse(&format!("{{}} | rate() by ({})", list(BY_MAX))).is_ok());
    assert!(parse(&format!("{{}} | rate() by ({})", list(BY_MAX + 1))).is_err());
    let hints = |n: usize| format!("{{}} with({})", vec!["a=1"; n].join(","));
    assert!(parse(&hints(HINTS_MAX)).is_ok());
    assert!(parse(&hints(HINTS_MAX + 1)).is_err());
    let second = |n: usize| format!("{{}} | rate(){}", " | topk(3)".repeat(n));
    assert!(parse(&second(SECOND_MAX)).is_ok());
    assert!(parse(&second(SECOND_MAX + 1)).is_err());
    assert!(parse(&format!("{{}} | rate() | topk({TOP_MAX})")).is_ok());
    assert!(parse(&format!("{{}} | rate() | topk({})", TOP_MAX + 1)).is_err());
    let patterns = |n: usize| format!("{{ {} }}", vec![".a =~ \"x\""; n].join(" && "));
    assert!(parse(&patterns(PATTERNS_MAX)).is_ok());
    assert!(
        refused(&patterns(PATTERNS_MAX + 1))
            .1
            .contains("too many regular expressions")
    );
    let compared = |n: usize| format!("{{}} | compare({{ status = error }}, {n})");
    assert!(parse(&compared(COMPARED_MAX)).is_ok());
    assert!(
        refused(&compared(COMPARED_MAX + 1))
            .1
            .contains("out of range")
    );
    let bomb = "{ .a =~ \"((a{0,100}){0,100}){0,100}\" }";
    assert!(
        refused(bomb).1.contains("regular expression"),
        "{}",
        refused(bomb).1
    );
}

#[test]
fn a_search_gives_the_newest_within_its_limits() {
    let spans = (0..50i64).map(|n| span(&format!("t{n:02}"), "a", n, Some(n), "name=x"));
    let world = World::new(spans.collect(), Vec::new(), &[0, 1, 2, 3]);
    let query = parse("{ name = \"x\" }").unwrap();
    let ids = |limit: usize| -> Vec<String> {
        let found = world.search(&query, None, limit).unwrap();
        found.into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(ids(3), ["t49", "t48", "t47"]);
    assert_eq!(ids(0), Vec::<String>::new());
    assert_eq!(ids(TRACES_LISTED_MAX).len(), 50);
    assert!(world.search(&query, None, TRACES_LISTED_MAX + 1).is_err());
    let found = world.search(&query, Some((10, 12)), 5).unwrap();
    let found: Vec<String> = found.into_iter().map(|(id, _)| id).collect();
    assert_eq!(found, ["t11", "t10"]);
    // Any range of times is one: the ends of what there is cost nothing.
    assert_eq!(
        world
            .search(&query, Some((i64::MIN, i64::MAX)), 5)
            .unwrap()
            .len(),
        5
    );
}

#[test]
fn a_budget_ends_a_search_and_a_series() {
    let spans = (0..200i64).map(|n| span("t", &format!("s{n}"), n, Some(n), "attributes.a=x"));
    let world = World::new(spans.collect(), Vec::new(), &[0, 1]);
    let visible: Vec<_> = world.sources.iter().map(|s| s.visible("spans")).collect();
    let query = parse("{ } >> { } | by(span:id)").unwrap();
    let request = SearchRequest {
        query: &query,
        range: None,
        limit: 5,
        spans_shown: 3,
    };
    let with = |budget: &Budget<'_>| search(&visible, &[], budget, &request);
    assert!(with(&BUDGET).is_ok());
    let few_rows = Budget {
        rows_max: 300,
        ..BUDGET
    };
    assert!(matches!(
        with(&few_rows),
        Err(QueryError::BudgetExceeded { what: "rows", .. })
    ));
    let few_bytes = Budget {
        bytes_max: 1_000,
        ..BUDGET
    };
    assert!(matches!(
        with(&few_bytes),
        Err(QueryError::BudgetExceeded { what: "memory", .. })
    ));
    let cancelled = Budget {
        cancelled: &|| true,
        ..BUDGET
    };
    assert!(matches!(with(&cancelled), Err(QueryError::Cancelled)));
    let query = parse("{} | rate() by (span:id)").unwrap();
    let request = SeriesRequest {
        query: &query,
        from_ns: 0,
        to_ns: 1_000_000_000,
        step_ns: 1_000_000,
        exemplars: 0,
    };
    assert!(series(&visible, &[], &BUDGET, &request).is_ok());
    assert!(series(&visible, &[], &few_bytes, &request).is_err());
    let wide = SeriesRequest {
        from_ns: i64::MIN,
        to_ns: i64::MAX,
        ..request
    };
    assert!(matches!(
        series(&visible, &[], &BUDGET, &wide),
        Err(QueryError::TooMany { what: "steps", .. })
    ));
    let whole = SeriesRequest {
        step_ns: i64::MAX,
        ..wide
    };
    assert!(series(&visible, &[], &BUDGET, &whole).is_ok());
}

#[test]
fn a_trace_may_be_as_deep_as_it_is_long() {
    let chain = (0..20_000i64).map(|n| {
        let parent = format!("parent_id=s{}", n - 1);
        let says = if n == 0 { "" } else { &parent };
        span("t", &format!("s{n}"), n, Some(1), says)
    });
    let mut spans: Vec<TestRow> = chain.collect();
    let found = |spans: &[TestRow], text: &str| {
        let world = World::new(spans.to_vec(), Vec::new(), &[0]);
        let visible: Vec<_> = world.sources.iter().map(|s| s.visible("spans")).collect();
        let query = parse(text).unwrap();
        let request = SearchRequest {
            query: &query,
            range: None,
            limit: 1,
            spans_shown: 1,
        };
        let found = search(&visible, &[], &BUDGET, &request).unwrap();
        found
            .traces
            .first()
            .map_or(0, |trace| trace.sets[0].matched)
    };
    assert_eq!(found(&spans, "{ span:id = \"s0\" } >> { }"), 19_999);
    assert_eq!(found(&spans, "{ span:id = \"s19999\" } << { }"), 19_999);
    assert_eq!(found(&spans, "{ } ~ { }"), 0);
    // A ring of all of them is cut at its earliest.
    spans[0]
        .fields
        .push(("parent_id".to_owned(), V::Str("s19999".to_owned())));
    assert_eq!(found(&spans, "{ span:id = \"s0\" } >> { }"), 19_999);
    assert_eq!(found(&spans, "{ } >> { span:id = \"s0\" }"), 0);
}

#[test]
fn sets_and_series_hold_at_and_above_their_limits() {
    use crate::query::traceql::{SERIES_MAX, SETS_MAX};
    assert_eq!(SETS_MAX, SERIES_MAX);
    let rows = |count: usize| -> Vec<TestRow> {
        (0..count)
            .map(|n| span("t", &format!("s{n}"), 5, Some(1), ""))
            .collect()
    };
    for (count, fits) in [(SETS_MAX, true), (SETS_MAX + 1, false)] {
        let world = World::new(rows(count), Vec::new(), &[0]);
        let query = parse("{} | by(span:id)").unwrap();
        assert_eq!(world.search(&query, None, 1).is_ok(), fits, "{count}");
        let visible: Vec<_> = world.sources.iter().map(|s| s.visible("spans")).collect();
        let query = parse("{} | rate() by (span:id)").unwrap();
        let request = SeriesRequest {
            query: &query,
            from_ns: 0,
            to_ns: 10_000_000,
            step_ns: 10_000_000,
            exemplars: 0,
        };
        assert_eq!(
            series(&visible, &[], &BUDGET, &request).is_ok(),
            fits,
            "{count}"
        );
    }
}

#[test]
fn steps_points_and_compared_fields_hold_at_and_above_their_limits() {
    use crate::query::traceql::{COMPARED_FIELDS_MAX, POINTS_MAX, STEP_MIN_NS, STEPS_MAX};
    let asked = |spans: Vec<TestRow>, query: &str, steps: usize| {
        let world = World::new(spans, Vec::new(), &[0]);
        let visible: Vec<_> = world.sources.iter().map(|s| s.visible("spans")).collect();
        let request = SeriesRequest {
            query: &parse(query).unwrap(),
            from_ns: 0,
            to_ns: STEP_MIN_NS * i64::try_from(steps).unwrap(),
            step_ns: STEP_MIN_NS,
            exemplars: 0,
        };
        series(&visible, &[], &BUDGET, &request).map(|found| found.series.len())
    };
    let many = |result: Result<usize, QueryError>, what: &str| match result {
        Err(QueryError::TooMany { what: found, .. }) => assert_eq!(found, what),
        other => panic!("{what}: {other:?}"),
    };
    let spans = |count: usize| -> Vec<TestRow> {
        let ids = (0..count).map(|n| format!("s{n}"));
        ids.map(|id| span("t", &id, 5, Some(1), "")).collect()
    };
    assert_eq!(asked(spans(1), "{} | rate()", STEPS_MAX).unwrap(), 1);
    many(asked(spans(1), "{} | rate()", STEPS_MAX + 1), "steps");
    let (by_id, steps) = ("{} | rate() by (span:id)", 10_000);
    let most = POINTS_MAX / steps;
    assert_eq!(asked(spans(most), by_id, steps).unwrap(), most);
    many(asked(spans(most + 1), by_id, steps), "points");
    let wide = |count: usize| {
        let keys: Vec<String> = (0..count).map(|n| format!("attributes.k{n}=1")).collect();
        vec![span("t", "a", 5, Some(1), &keys.join(" "))]
    };
    let compare = "{} | compare({ status = error })";
    assert!(asked(wide(COMPARED_FIELDS_MAX), compare, 1).is_ok());
    let over = asked(wide(COMPARED_FIELDS_MAX + 1), compare, 1);
    many(over, "fields to compare");
}

#[test]
fn a_histogram_counts_up_to_powers_of_two() {
    let spans = vec![
        span("t", "a", 0, Some(1_000_000_000), "attributes.n=8"),
        span("t", "b", 1, Some(1 << 30), "attributes.n=7.5"),
        span("t", "c", 2, Some((1 << 30) + 1), "attributes.n=0"),
        span("t", "d", 3, None, "attributes.n=0.3 attributes.x=y"),
    ];
    let world = World::new(spans, Vec::new(), &[0, 1]);
    let of = |text: &str| {
        let query = parse(text).unwrap();
        let found = world.series(&query, (0, 10_000_000), 10_000_000);
        let shown = found
            .into_iter()
            .map(|(label, points)| format!("{label}{}", points[&0]));
        shown.collect::<Vec<_>>()
    };
    assert_eq!(
        of("{} | histogram_over_time(.n)"),
        ["__bucket=Num(0.5) 1", "__bucket=Num(8.0) 2"]
    );
    assert_eq!(
        of("{} | histogram_over_time(duration)"),
        ["__bucket=Num(1.073741824) 2", "__bucket=Num(2.147483648) 1"]
    );
}
