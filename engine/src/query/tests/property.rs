//! Random rows over random sources, random filters, orders and pages.

use proptest::prelude::*;

use super::oracle::Others;
use super::rows::{Rows, TestRow, V, row};
use super::{BUDGET, oracle};
use crate::model::score::Fact;
use crate::query::ast::{Filter, Literal, Test, TextTest};
use crate::query::{Beside, FACET_VALUES_MAX, Order, Request, count, scored, search};
use crate::row::Table;
use crate::source::{Column, Visible};

fn number() -> impl Strategy<Value = V> {
    prop_oneof![
        (-3i64..4).prop_map(V::I64),
        (-6i32..7).prop_map(|halves| V::F64(f64::from(halves) / 2.0)),
        prop::sample::select(vec![
            V::I64(i64::MAX),
            V::I64(i64::MIN),
            V::F64(9_223_372_036_854_775_808.0),
            V::F64(-9_223_372_036_854_775_808.0),
            V::F64(f64::NAN),
            V::F64(-0.0),
        ]),
    ]
}

/// Texts with escapes of JSON in them, some of which come of others.
fn escaped() -> impl Strategy<Value = String> {
    let parts = [
        "\\u0061",
        "\\\\u0062",
        "\\n",
        "\\\\",
        "\\\"",
        "\\",
        "u0042",
        "a",
        "b",
        "A",
        "-",
        "n",
        "x",
    ];
    prop::collection::vec(prop::sample::select(parts.to_vec()), 1..7).prop_map(|p| p.concat())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[abAB]{0,3}",
        "[abAB -]{0,8}",
        escaped(),
        // At the column limit, one above, and far above with the difference at either end.
        (
            prop::sample::select(vec![95usize, 96, 97, 150]),
            "[ab]{0,2}",
            "[abAB]{0,2}"
        )
            .prop_map(|(n, head, tail)| format!("{head}{}{tail}", "x".repeat(n - head.len()))),
    ]
}

fn value() -> impl Strategy<Value = V> {
    prop_oneof![
        Just(V::Null),
        any::<bool>().prop_map(V::Bool),
        number(),
        text().prop_map(V::Str),
        prop::collection::vec(any::<u8>(), 0..3).prop_map(V::Bytes),
    ]
}

fn path() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["m", "m.a", "m.b", "tag"]).prop_map(str::to_owned)
}

fn test_row() -> impl Strategy<Value = TestRow> {
    (
        0..4u8,
        0i64..12,
        prop::option::of(0i64..5),
        prop::collection::vec((path(), value()), 0..6),
        prop::bool::weighted(0.15),
    )
        .prop_map(|(trace, start, length, fields, dead)| {
            let mut row = row(&format!("t{trace}"), "", start);
            row.core.end_ns = length.map(|length| start + length);
            TestRow {
                fields,
                dead,
                ..row
            }
        })
}

pub(super) fn column() -> impl Strategy<Value = Column> {
    prop_oneof![
        4 => path().prop_map(|path| Column::Path(path.into())),
        1 => prop::sample::select(vec![
            Column::TraceId, Column::Id, Column::Start, Column::End, Column::Duration,
        ]),
    ]
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        number(),
        text().prop_map(V::Str),
        any::<bool>().prop_map(V::Bool)
    ]
    .prop_map(|v| match v {
        V::I64(n) => Literal::I64(n),
        V::F64(x) => Literal::F64(x),
        V::Str(s) => Literal::Str(s),
        V::Bool(b) => Literal::Bool(b),
        V::Null | V::Bytes(_) => unreachable!(),
    })
}

fn value_test() -> impl Strategy<Value = Test> {
    prop_oneof![
        literal().prop_map(Test::Eq),
        prop::collection::vec(literal(), 0..4).prop_map(Test::In),
        literal().prop_map(Test::Lt),
        literal().prop_map(Test::Le),
        literal().prop_map(Test::Gt),
        literal().prop_map(Test::Ge),
        "[abxABX]{0,2}".prop_map(Test::Contains),
        text().prop_map(Test::Contains),
        text().prop_map(Test::Prefix),
        "[abx]\\.[abx]".prop_map(Test::Regex),
        Just(Test::Exists),
    ]
}

fn text_test() -> impl Strategy<Value = TextTest> {
    prop_oneof![
        "[abxtgmAB -]{1,3}".prop_map(TextTest::Words),
        text().prop_map(TextTest::Words),
        "[abxtgmAB -]{1,3}".prop_map(TextTest::Beginning),
        "[abxtgm]{1,2}".prop_map(TextTest::Contains),
        "[abx]\\.[abx]".prop_map(TextTest::Regex),
    ]
}

/// Which tests of other rows a filter may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asks {
    spans: bool,
    scores: bool,
}

impl Asks {
    pub(crate) const SPANS_AND_SCORES: Self = Self {
        spans: true,
        scores: true,
    };
    const SCORES: Self = Self {
        spans: false,
        scores: true,
    };
    const NOTHING: Self = Self {
        spans: false,
        scores: false,
    };
}

/// A filter over scores, most of it by what every protocol says.
pub(super) fn of_scores() -> BoxedStrategy<Filter> {
    let fact = prop::sample::select(vec![
        "name", "value", "user_id", "span_id", "source", "label", "score", "value", "name",
    ]);
    let leaf = prop_oneof![
        6 => (fact, said_test()).prop_map(|(fact, test)| {
            Filter::Is(fact_or_path(fact), test)
        }),
        1 => filter(Asks::NOTHING),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::Or),
            inner.prop_map(|part| Filter::Not(Box::new(part))),
        ]
    })
    .boxed()
}

/// What a search over scores means by a name.
pub(super) fn fact_or_path(name: &str) -> Column {
    Fact::named(name).map_or_else(|| Column::Path(name.into()), Column::Score)
}

/// Few texts and numbers, so that they meet.
fn said() -> impl Strategy<Value = V> {
    prop_oneof![
        "[ab]".prop_map(V::Str),
        "r[0-9]".prop_map(V::Str),
        Just(V::Str("x".repeat(97))),
        any::<bool>().prop_map(V::Bool),
        (0i64..3).prop_map(V::I64),
        (0i32..4).prop_map(|halves| V::F64(f64::from(halves) / 2.0)),
        Just(V::Null),
    ]
}

fn said_test() -> impl Strategy<Value = Test> {
    let literal = || {
        said().prop_map(|v| match v {
            V::Str(text) => Literal::Str(text),
            V::Bool(yes) => Literal::Bool(yes),
            V::F64(x) => Literal::F64(x),
            V::I64(n) => Literal::I64(n),
            V::Null | V::Bytes(_) => Literal::Bool(true),
        })
    };
    prop_oneof![
        3 => literal().prop_map(Test::Eq),
        1 => prop::collection::vec(literal(), 0..3).prop_map(Test::In),
        1 => literal().prop_map(Test::Lt),
        1 => literal().prop_map(Test::Ge),
        1 => "[abx]".prop_map(Test::Contains),
        1 => Just(Test::Exists),
    ]
}

/// Scores of the rows that [`table`] makes, as every protocol may store them.
pub(super) fn scores(max: usize) -> impl Strategy<Value = (Vec<TestRow>, Vec<usize>)> {
    let place = prop::sample::select(vec![
        "name",
        "label",
        "score",
        "value",
        "user_id",
        "metadata.user_id",
        "feedback_source.user_id",
        "source",
        "feedback_source.type",
        "step_id",
        "step_id",
        "span_id",
        "run_id",
        "m",
    ]);
    let fields = prop::collection::vec((place.prop_map(str::to_owned), said()), 0..5);
    let span = prop::option::of((0usize..8).prop_map(row_id));
    let score = (0..4u8, 0i64..12, fields, span, prop::bool::weighted(0.15));
    let score = score.prop_map(|(trace, start, mut fields, span, dead)| {
        fields.extend(span.map(|id| ("step_id".to_owned(), V::Str(id))));
        TestRow {
            fields,
            dead,
            ..row(&format!("t{trace}"), "", start)
        }
    });
    prop::collection::vec((score, 0..4usize), 0..max).prop_map(numbered)
}

/// One id is too long for a column.
fn row_id(n: usize) -> String {
    if n == 1 {
        format!("r{}", "1".repeat(110))
    } else {
        format!("r{n}")
    }
}

fn numbered(rows: Vec<(TestRow, usize)>) -> (Vec<TestRow>, Vec<usize>) {
    let (mut rows, at): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    for (n, row) in rows.iter_mut().enumerate() {
        row.core.id = row_id(n).into();
    }
    (rows, at)
}

/// What is beside rows of one kind.
pub(super) fn beside<'a>(
    of_spans: bool,
    spans: &'a [Visible<'a>],
    scores: &'a [Visible<'a>],
) -> Beside<'a> {
    let of = if of_spans { Table::Spans } else { Table::Runs };
    Beside { of, spans, scores }
}

pub(super) fn filter(asks: Asks) -> BoxedStrategy<Filter> {
    let leaf = prop_oneof![
        8 => (column(), value_test()).prop_map(|(column, test)| Filter::Is(column, test)),
        2 => text_test().prop_map(Filter::Text),
        2 => (0i64..12, any::<bool>()).prop_map(|(at, from)| {
            let at = Literal::I64(at);
            Filter::Is(Column::Start, if from { Test::Ge(at) } else { Test::Lt(at) })
        }),
        1 => prop::collection::vec("t[0-4]".prop_map(Literal::Str), 0..4)
            .prop_map(|ids| Filter::Is(Column::TraceId, Test::In(ids))),
        1 => Just(Filter::All),
    ]
    .boxed();
    let of_spans = asks.spans.then(|| filter(Asks::SCORES));
    let leaf = match of_spans {
        Some(part) => prop_oneof![
            4 => leaf,
            1 => part.prop_map(|part| Filter::AnySpan(Box::new(part))),
        ]
        .boxed(),
        None => leaf,
    };
    let leaf = if asks.scores {
        prop_oneof![
            4 => leaf,
            1 => of_scores().prop_map(|part| Filter::AnyScore(Box::new(part))),
            1 => ("[ab]", said_test()).prop_map(|(name, test)| {
                let value = Filter::Is(Column::Score(Fact::Value), test);
                scored(&name, value)
            }),
        ]
        .boxed()
    } else {
        leaf
    };
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::Or),
            inner.prop_map(|part| Filter::Not(Box::new(part))),
        ]
    })
    .boxed()
}

/// Rows with an id each, and the source of each.
pub(super) fn table(max: usize) -> impl Strategy<Value = (Vec<TestRow>, Vec<usize>)> {
    prop::collection::vec((test_row(), 0..4usize), 0..max).prop_map(numbered)
}

pub(super) fn split((rows, at): &(Vec<TestRow>, Vec<usize>)) -> Vec<Rows> {
    (0..4)
        .map(|source| {
            let here = rows.iter().zip(at).filter(|(_, at)| **at == source);
            Rows::new(here.map(|(row, _)| row.clone()).collect())
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn answers_equal_the_oracle(
        rows in table(30),
        spans in table(12),
        scores in scores(12),
        of_spans in any::<bool>(),
        filter in filter(Asks::SPANS_AND_SCORES),
        column in column(),
        descending in any::<bool>(),
        limit in 1usize..8,
        total in prop::bool::weighted(0.3),
        facet in prop::option::weighted(0.3, column()),
    ) {
        let order = Order { column, descending };
        let others = Others { of_spans, spans: &spans.0, scores: &scores.0 };
        let expected = oracle::answer(&rows.0, others, &filter, &order);
        let ids: Vec<_> = expected.iter().map(|row| row.core.id.to_string()).collect();
        let (row_sources, span_sources) = (split(&rows), split(&spans));
        let visible: Vec<_> = row_sources.iter().map(|s| s.visible("rows")).collect();
        let span_visible: Vec<_> = span_sources.iter().map(|s| s.visible("spans")).collect();
        let score_sources = split(&scores);
        let score_visible: Vec<_> = score_sources.iter().map(|s| s.visible("scores")).collect();
        let beside = beside(of_spans, &span_visible, &score_visible);
        let mut request = Request {
            order,
            total,
            facets: facet.into_iter().collect(),
            facet_values_max: FACET_VALUES_MAX,
            ..Request::new(filter, limit)
        };
        let mut got = Vec::new();
        loop {
            let page = search(&visible, &beside, 5, &BUDGET, &request).unwrap();
            prop_assert_eq!(page.total, total.then_some(ids.len() as u64));
            for facet in &page.facets {
                check_facet(&expected, &facet.column, &facet.values)?;
            }
            prop_assert!(!page.snapshot_changed);
            prop_assert_eq!(page.hits.len(), limit.min(ids.len() - got.len()));
            got.extend(page.hits.into_iter().map(|hit| hit.core.id.to_string()));
            let Some(next) = page.next else { break };
            request.after = Some(next);
        }
        prop_assert_eq!(&got, &ids);
        let counted = count(&visible, &beside, &BUDGET, &request.filter).unwrap().0;
        prop_assert_eq!(counted, ids.len() as u64);
    }
}

/// Every listed count equals the number of rows that have just this value. Equality of a listed
/// value with itself is by type and bits.
pub(super) fn check_facet(
    rows: &[TestRow],
    column: &Column,
    values: &[(Literal, u64)],
) -> Result<(), TestCaseError> {
    if !column.has_any_type() {
        return Ok(());
    }
    let named = |v: &V| match v {
        V::F64(x) => format!("f{:x}", x.to_bits()),
        other => format!("{other:?}"),
    };
    let mut expected = std::collections::BTreeMap::<String, u64>::new();
    for row in rows {
        let mut here = oracle::values(row, column);
        here.retain(|v| !matches!(v, V::Str(s) if s.len() > 96) && !matches!(v, V::Bytes(_)));
        let names: std::collections::BTreeSet<_> = here.iter().map(named).collect();
        for name in names {
            *expected.entry(name).or_default() += 1;
        }
    }
    let got: std::collections::BTreeMap<_, _> = values
        .iter()
        .map(|(l, n)| {
            let v = match l {
                Literal::Str(s) => V::Str(s.clone()),
                Literal::I64(n) => V::I64(*n),
                Literal::F64(x) => V::F64(*x),
                Literal::Bool(b) => V::Bool(*b),
            };
            (named(&v), *n)
        })
        .collect();
    prop_assert_eq!(got, expected);
    Ok(())
}
