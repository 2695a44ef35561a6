//! Random traces and random queries, in text form and back.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::query::traceql::ast::{
    Arith, Cmp, Expr, Field, Fold, Form, Intrinsic, Kind, Measure, Metrics, Relation, Scalar,
    Spans, SpansOp, Stage, Static, Status,
};

fn field() -> impl Strategy<Value = Field> {
    let name = || prop::sample::select(vec!["a", "b", "c.d"]).prop_map(Box::<str>::from);
    let plain = prop_oneof![
        3 => name().prop_map(Field::Any),
        3 => name().prop_map(Field::Span),
        1 => name().prop_map(Field::Resource),
        1 => name().prop_map(Field::Row),
        1 => Just(Field::Resource("service.name".into())),
    ];
    let intrinsic = prop::sample::select(vec![
        Intrinsic::Name,
        Intrinsic::Duration,
        Intrinsic::SpanId,
        Intrinsic::ParentId,
        Intrinsic::TraceDuration,
        Intrinsic::RootName,
        Intrinsic::ChildCount,
        Intrinsic::NestedSetParent,
        Intrinsic::NestedSetLeft,
    ]);
    let plain = plain.boxed();
    prop_oneof![
        4 => plain.clone(),
        1 => plain.prop_map(|f| if matches!(f, Field::Row(_)) { f } else { Field::Parent(Box::new(f)) })
            .prop_filter("only these scopes", |f| match f {
                Field::Parent(inner) => matches!(**inner, Field::Any(_) | Field::Span(_) | Field::Resource(_)),
                _ => true,
            }),
        2 => intrinsic.prop_map(Field::Intrinsic),
    ]
}

fn is_number(field: &Field) -> bool {
    matches!(
        field,
        Field::Intrinsic(
            Intrinsic::Duration
                | Intrinsic::TraceDuration
                | Intrinsic::ChildCount
                | Intrinsic::NestedSetParent
                | Intrinsic::NestedSetLeft
        )
    )
}

fn is_text(field: &Field) -> bool {
    matches!(field, Field::Intrinsic(_)) && !is_number(field)
}

fn number() -> impl Strategy<Value = Static> {
    prop_oneof![
        (-2i64..5).prop_map(Static::Int),
        (-3i32..6).prop_map(|halves| Static::Float(f64::from(halves) / 2.0)),
        (0i64..5).prop_map(Static::Duration),
    ]
}

fn text() -> impl Strategy<Value = Static> {
    "[abx]{0,2}".prop_map(|s| Static::Str(s.into()))
}

fn ordered() -> impl Strategy<Value = Cmp> {
    prop::sample::select(vec![Cmp::Eq, Cmp::Ne, Cmp::Lt, Cmp::Le, Cmp::Gt, Cmp::Ge])
}

/// A comparison of a field with something of its type.
#[expect(clippy::too_many_lines, reason = "one kind after the other")]
fn comparison() -> BoxedStrategy<Expr> {
    let compared = (
        field(),
        ordered(),
        number(),
        text(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(field, cmp, number, text, as_text, turned)| {
            let value = if is_text(&field) || (!is_number(&field) && as_text) {
                text
            } else {
                number
            };
            let (a, b) = (Box::new(Expr::Field(field)), Box::new(Expr::Static(value)));
            if turned {
                Expr::Compare(cmp, b, a)
            } else {
                Expr::Compare(cmp, a, b)
            }
        });
    let nil = (field(), any::<bool>()).prop_map(|(field, equal)| {
        let cmp = if equal { Cmp::Eq } else { Cmp::Ne };
        let nil = Box::new(Expr::Static(Static::Nil));
        Expr::Compare(cmp, Box::new(Expr::Field(field)), nil)
    });
    let pattern = (field(), any::<bool>(), "[abx]\\.?[abx]?\\*?").prop_filter_map(
        "texts only",
        |(field, not, pattern)| {
            let valid = !pattern.starts_with('*');
            (valid && !is_number(&field)).then(|| {
                let cmp = if not { Cmp::NotMatch } else { Cmp::Match };
                let pattern = Box::new(Expr::Static(Static::Str(pattern.into())));
                Expr::Compare(cmp, Box::new(Expr::Field(field)), pattern)
            })
        },
    );
    let words = (any::<bool>(), 0..3usize, 0..6usize, any::<bool>()).prop_map(
        |(is_status, status, kind, not)| {
            let (field, value) = if is_status {
                (Intrinsic::Status, Static::Status(Status::ALL[status]))
            } else {
                (Intrinsic::Kind, Static::Kind(Kind::ALL[kind]))
            };
            let cmp = if not { Cmp::Ne } else { Cmp::Eq };
            let field = Box::new(Expr::Field(Field::Intrinsic(field)));
            Expr::Compare(cmp, field, Box::new(Expr::Static(value)))
        },
    );
    let calculated = (field(), field(), ordered(), number()).prop_filter_map(
        "numbers only",
        |(a, b, cmp, n)| {
            (!is_text(&a) && !is_text(&b)).then(|| {
                let (a, b) = (Box::new(Expr::Field(a)), Box::new(Expr::Static(n)));
                let sum = Expr::Arith(Arith::Add, a, b.clone());
                Expr::Compare(cmp, Box::new(sum), b)
            })
        },
    );
    let fields = (field(), field(), ordered()).prop_filter_map("one type", |(a, b, cmp)| {
        let one = is_number(&a) == is_number(&b) && is_text(&a) == is_text(&b);
        one.then(|| Expr::Compare(cmp, Box::new(Expr::Field(a)), Box::new(Expr::Field(b))))
    });
    let bare = field().prop_filter_map("true or false", |field| {
        (!matches!(field, Field::Intrinsic(_))).then_some(Expr::Field(field))
    });
    prop_oneof![
        8 => compared, 2 => nil, 2 => pattern, 3 => words, 2 => calculated, 2 => fields, 1 => bare,
        1 => any::<bool>().prop_map(|b| Expr::Static(Static::Bool(b))),
    ]
    .boxed()
}

fn expr() -> impl Strategy<Value = Expr> {
    comparison().prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::Or),
            inner.prop_map(|part| Expr::Not(Box::new(part))),
        ]
    })
}

fn op() -> impl Strategy<Value = SpansOp> {
    let related = (0..5usize, 0..3usize).prop_map(|(relation, form)| {
        let relations = [
            Relation::Child,
            Relation::Descendant,
            Relation::Parent,
            Relation::Ancestor,
            Relation::Sibling,
        ];
        let forms = [Form::Plain, Form::Not, Form::Union];
        SpansOp::Related(relations[relation], forms[form])
    });
    prop_oneof![1 => Just(SpansOp::And), 1 => Just(SpansOp::Or), 4 => related]
}

fn stage() -> impl Strategy<Value = Stage> {
    let numeric = || {
        field()
            .prop_filter("numbers", |f| !is_text(f))
            .prop_map(Expr::Field)
    };
    let fold = prop::sample::select(vec![Fold::Min, Fold::Max, Fold::Sum, Fold::Avg]);
    let scalar = prop_oneof![
        Just(Scalar::Count),
        (fold, numeric()).prop_map(|(fold, part)| Scalar::Of(fold, part)),
    ];
    prop_oneof![
        3 => (scalar, ordered(), number())
            .prop_map(|(scalar, cmp, n)| Stage::Where(scalar, cmp, Scalar::Static(n))),
        2 => field().prop_map(|field| Stage::By(Expr::Field(field))),
        1 => Just(Stage::Coalesce),
    ]
}

pub(super) fn query() -> impl Strategy<Value = Query> {
    let selectors = prop::collection::vec(expr(), 1..4);
    let ops = prop::collection::vec(op(), 3);
    let stages = prop::collection::vec(stage(), 0..3);
    (selectors, ops, stages).prop_map(|(selectors, ops, more)| {
        let leaves = (0..selectors.len()).map(Spans::Selector);
        let mut ops = ops.into_iter().cycle();
        let spans = leaves.reduce(|a, b| {
            let op = ops.next().unwrap();
            Spans::Both(op, Box::new(a), Box::new(b))
        });
        let mut stages = vec![Stage::Spans(spans.unwrap())];
        stages.extend(more);
        Query {
            selectors,
            stages,
            metrics: None,
            hints: Vec::new(),
        }
    })
}

fn value() -> impl Strategy<Value = V> {
    prop_oneof![
        Just(V::Null),
        any::<bool>().prop_map(V::Bool),
        (-2i64..5).prop_map(V::I64),
        (-3i32..6).prop_map(|halves| V::F64(f64::from(halves) / 2.0)),
        "[abx]{0,2}".prop_map(V::Str),
        Just(V::Str("x".repeat(120))),
        Just(V::Bytes(vec![1])),
    ]
}

fn span_row() -> impl Strategy<Value = TestRow> {
    let path = prop::sample::select(vec![
        "attributes.a",
        "attributes.b",
        "attributes.c.d",
        "resource.a",
        "metadata.b",
        "a",
        "service",
    ]);
    let status = prop::option::of(prop::sample::select(vec!["success", "error", "running"]));
    let kind = prop::option::of(prop::sample::select(vec!["server", "client", "internal"]));
    let fields = prop::collection::vec((path, value()), 0..5);
    (
        0..3u8,
        0i64..12,
        prop::option::of(0i64..5),
        fields,
        status,
        kind,
        prop::option::of(0..9u8),
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(trace, start, length, fields, status, kind, parent, dead)| {
                let mut made = row(&format!("t{trace}"), "", start);
                made.core.end_ns = length.map(|length| start + length);
                made.dead = dead;
                made.fields = fields.into_iter().map(|(p, v)| (p.to_owned(), v)).collect();
                let texts = [
                    ("status", status.map(str::to_owned)),
                    ("otel_kind", kind.map(str::to_owned)),
                    ("parent_id", parent.map(|n| format!("s{n}"))),
                    (
                        "name",
                        length.map(|n| {
                            if n > 2 {
                                "a".to_owned()
                            } else {
                                "x".to_owned()
                            }
                        }),
                    ),
                    ("dialect", (start % 2 == 0).then(|| "otlp".to_owned())),
                ];
                for (key, text) in texts {
                    made.fields
                        .extend(text.map(|text| (key.to_owned(), V::Str(text))));
                }
                made
            },
        )
}

pub(super) fn spans() -> impl Strategy<Value = (Vec<TestRow>, Vec<usize>)> {
    prop::collection::vec((span_row(), 0..4usize), 0..14).prop_map(|rows| {
        let (mut rows, at): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        for (n, row) in rows.iter_mut().enumerate() {
            row.core.id = format!("s{n}").into();
        }
        (rows, at)
    })
}

pub(super) fn runs() -> Vec<TestRow> {
    let runs = (0..2i64).map(|n| {
        let mut run = row(&format!("t{n}"), "run", n);
        run.core.end_ns = (n == 0).then_some(4);
        run.fields.push(("name".to_owned(), V::Str("a".to_owned())));
        run
    });
    runs.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_search_equals_the_naive_one(
        (rows, at) in spans(),
        query in query(),
        range in prop::option::of((0i64..8, 1i64..8)),
        limit in 1usize..4,
    ) {
        let text = query.to_string();
        let read = parse(&text);
        prop_assert!(read.is_ok(), "{}: {:?}", text, read);
        let query = read.unwrap();
        let again = parse(&query.to_string());
        prop_assert_eq!(again.as_ref(), Ok(&query));
        let range = range.map(|(from, length)| (from, from + length));
        let world = World::new(rows, runs(), if at.is_empty() { &[0] } else { &at });
        let all: BTreeMap<_, _> = world.check(&query, range);
        // The first of them are the newest.
        let newest = world.search(&query, range, TRACES_LISTED_MAX).unwrap();
        let first = world.search(&query, range, limit).unwrap();
        prop_assert_eq!(&newest[..limit.min(newest.len())], &first[..]);
        prop_assert_eq!(newest.len(), all.len());
        let latest: Vec<i64> = newest.iter().map(|(trace, sets)| {
            let starts = world.spans.iter().filter(|s| {
                *s.core.trace_id == **trace && sets.iter().any(|set| set.contains(&*s.core.id))
            });
            starts.map(|s| s.core.start_ns).max().unwrap()
        }).collect();
        prop_assert!(latest.is_sorted_by(|a, b| a >= b), "{latest:?}");
    }

    #[test]
    fn series_equal_the_naive_ones(
        (rows, at) in spans(),
        query in query(),
        by in prop::collection::vec(field(), 0..3),
        of in field().prop_filter("numbers", |f| !is_text(f)),
        what in 0..7usize,
        step in 1i64..6,
    ) {
        let folds = [Fold::Min, Fold::Max, Fold::Sum, Fold::Avg];
        let measure = match what {
            0 => Measure::Rate,
            1 => Measure::Count,
            2 => Measure::Quantiles(of, vec![0.5]),
            n => Measure::Of(folds[n - 3], of),
        };
        let is_near = matches!(measure, Measure::Quantiles(..));
        let mut query = query;
        query.metrics = Some(Metrics { measure, by, second: Vec::new() });
        let text = query.to_string();
        let query = parse(&text).unwrap();
        let again = parse(&query.to_string());
        prop_assert_eq!(again.as_ref(), Ok(&query));
        // Milliseconds: a step is not below one.
        let rows: Vec<TestRow> = rows.into_iter().map(|mut row| {
            row.core.start_ns *= 1_000_000;
            row.core.end_ns = row.core.end_ns.map(|end| end * 1_000_000);
            row
        }).collect();
        let world = World::new(rows, runs(), if at.is_empty() { &[0] } else { &at });
        let range = (2_000_000, 9_000_000);
        let got = world.series(&query, range, step * 1_000_000);
        let expected = world.naive(Some(range)).series(&query, step * 1_000_000);
        let expected: BTreeMap<_, _> = expected.into_iter().filter(|(_, points)| !points.is_empty()).collect();
        prop_assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{}", text);
        for (label, points) in &got {
            let wanted = &expected[label];
            prop_assert_eq!(points.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
            for (at, value) in points {
                let near = if is_near { 0.005 } else { 1e-12 } * wanted[at].abs();
                prop_assert!((value - wanted[at]).abs() <= near, "{} {} {} {}", text, label, value, wanted[at]);
            }
        }
    }

    /// Whatever is written, it is read or refused.
    #[test]
    fn no_text_panics(text in "[{}()|&<>!~=\".a-c0-9 ]{0,40}", other in "\\PC{0,30}") {
        let _ = (parse(&text), parse(&other));
        let _ = parse(&format!("{{ {other} }}"));
    }
}
