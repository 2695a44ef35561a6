//! How much is done between two questions whether the caller gave up: counted in rows and bytes that sources hand
//! out, not by a clock.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::super::aggregate::{
    AggregateRequest, DistinctMode, Key, KeysRequest, Measure, ObservedRequest, ScoreValuesRequest,
    aggregate, observed_keys, observed_values, score_names, score_values,
};
use super::super::traceql::{self, SearchRequest, SeriesRequest};
use super::*;
use crate::doc::Scalar;
use crate::source::{
    Blocks, Core, LaneKind, Matches, OneByOne, Probe, Source, SourceError, Taken, ValueTest,
    Visible,
};

/// Rows of each source, which is one row group, and how many sources there are: all of them together are more than may be
/// done between two checks.
const ROWS: u64 = 4_096;
const SOURCES: u64 = 6;
/// What may be done between two checks: rows times columns, and bytes of bodies beside the largest of them. A column
/// of a row group is read at once, and what is looked at beside it is of that row group's rows; so four of them.
const VALUES_MAX: u64 = 4 * ROWS;
const BYTES_MAX: u64 = 4 << 20;
/// What it counts to look for one row, or one trace.
const LOOK: u64 = 16;
/// Every so many rows have a body that is large.
const LARGE_EACH: u64 = 256;
const LARGE_BYTES: usize = 300 << 10;

/// What was handed out since the last check, and the most that ever was.
#[derive(Debug, Default)]
struct Spent {
    values: AtomicU64,
    bytes: AtomicU64,
    body: AtomicU64,
}

impl Spent {
    fn values(&self, n: u64) {
        self.values.fetch_add(n, Ordering::Relaxed);
    }

    fn body(&self, body: &Bytes) {
        let bytes = u64::try_from(body.len()).unwrap();
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.body.fetch_max(bytes, Ordering::Relaxed);
    }

    fn take(&self) -> (u64, u64) {
        (
            self.values.swap(0, Ordering::Relaxed),
            self.bytes.swap(0, Ordering::Relaxed),
        )
    }
}

/// A source that counts.
struct Counted<'a> {
    inner: &'a Rows,
    spent: &'a Spent,
}

impl Source for Counted<'_> {
    fn row_count(&self) -> u32 {
        self.inner.row_count()
    }

    fn start_range(&self, group: u32) -> Option<(i64, i64)> {
        self.inner.start_range(group)
    }

    fn matching(
        &self,
        column: &Column,
        test: ValueTest<'_>,
        within: &RoaringBitmap,
    ) -> Result<Matches, SourceError> {
        self.spent.values(within.len());
        self.inner.matching(column, test, within)
    }

    fn present(
        &self,
        column: &Column,
        within: &RoaringBitmap,
    ) -> Result<RoaringBitmap, SourceError> {
        self.spent.values(within.len());
        self.inner.present(column, within)
    }

    fn values(
        &self,
        column: &Column,
        rows: &RoaringBitmap,
        visit: &mut dyn FnMut(u32, Scalar<'_>),
    ) -> Result<(), SourceError> {
        self.spent.values(rows.len());
        self.inner.values(column, rows, visit)
    }

    fn count_values(
        &self,
        column: &Column,
        rows: &RoaringBitmap,
        add: &mut dyn FnMut(Scalar<'_>, u64),
    ) -> Result<(), SourceError> {
        self.spent.values(rows.len());
        self.inner.count_values(column, rows, add)
    }

    fn narrow(&self, probe: Probe<'_>) -> Result<Option<Blocks>, SourceError> {
        self.inner.narrow(probe)
    }

    fn paths(&self, visit: &mut dyn FnMut(&str, LaneKind, u64)) -> Result<(), SourceError> {
        self.inner.paths(visit)
    }

    fn core(&self, row: u32) -> Result<Core, SourceError> {
        self.spent.values(LOOK);
        self.inner.core(row)
    }

    fn trace_rows(&self, trace_id: &str) -> Result<RoaringBitmap, SourceError> {
        self.spent.values(LOOK);
        self.inner.trace_rows(trace_id)
    }

    fn body(&self, row: u32) -> Result<Bytes, SourceError> {
        let body = self.inner.body(row)?;
        self.spent.body(&body);
        Ok(body)
    }

    fn with_rows(
        &self,
        work: &mut dyn FnMut(&mut dyn crate::source::Rows),
    ) -> Result<(), SourceError> {
        work(&mut OneByOne(self));
        Ok(())
    }
}

fn spans(of: std::ops::Range<u64>) -> Rows {
    let large = "x".repeat(LARGE_BYTES);
    let one = |n: u64| {
        let mut row = row(
            &format!("t{}", n / 64),
            &format!("s{n}"),
            i64::try_from(n).unwrap(),
        );
        let field = |path: &str, value| (path.to_owned(), value);
        row.fields = vec![
            field("name", V::Str(format!("n{}", n % 7))),
            field("user", V::Str(format!("u{n}"))),
            field("cost", V::F64(0.5)),
        ];
        if n.is_multiple_of(LARGE_EACH) {
            row.fields.push(field("input", V::Str(large.clone())));
        }
        row
    };
    Rows::new(of.map(one).collect())
}

fn scores(of: std::ops::Range<u64>) -> Rows {
    let one = |n: u64| {
        let mut row = row(
            &format!("t{}", n / 64),
            &format!("c{n}"),
            i64::try_from(n).unwrap(),
        );
        row.fields = vec![
            ("name".to_owned(), V::Str("good".to_owned())),
            ("value".to_owned(), V::F64(0.5)),
        ];
        row
    };
    Rows::new(of.map(one).collect())
}

type Question<'q> = (&'static str, Box<Asks<'q>>);

fn searches() -> Vec<Question<'static>> {
    let path = |path: &str| Column::Path(path.into());
    let words = || Filter::Text(TextTest::Words("nowhere".into()));
    let eq = |column, text: &str| Filter::Is(column, Test::Eq(Literal::Str(text.into())));
    let request = |filter| Request::new(filter, LIMIT_MAX);
    let by = move |column| Order {
        column,
        descending: true,
    };
    let many = (0..8).map(|n| eq(path("user"), &format!("u{n}")));
    let traces = (0..300).map(|n| Literal::Str(format!("t{n}")));
    let scored = Filter::AnyScore(Box::new(eq(path("name"), "good")));
    let asked = [
        ("text", request(words())),
        ("many parts", request(Filter::Or(many.collect()))),
        (
            "traces",
            request(Filter::Is(Column::TraceId, Test::In(traces.collect()))),
        ),
        ("scored", request(scored)),
        (
            "by text",
            Request {
                order: by(path("user")),
                ..request(Filter::All)
            },
        ),
        (
            "by scores",
            Request {
                order: by(Column::Scored("good".into(), Taken::Mean)),
                ..request(Filter::All)
            },
        ),
        (
            "facets",
            Request {
                total: true,
                facets: vec![path("name"); 8],
                facet_values_max: 10,
                ..request(Filter::All)
            },
        ),
        (
            "a later page",
            Request {
                after: Some(Position {
                    key: Some(SortKey::I64(20_000)),
                    trace_id: "t1".into(),
                    id: "s1".into(),
                    lsn: 0,
                }),
                ..request(Filter::All)
            },
        ),
    ];
    let one = |(name, request): (&'static str, Request)| -> Question<'static> {
        let ask = move |rows: &[Visible<'_>], beside: &Beside<'_>, budget: &Budget<'_>| {
            search(rows, beside, 9, budget, &request).map(drop)
        };
        (name, Box::new(ask))
    };
    asked.into_iter().map(one).collect()
}

fn figures() -> Vec<Question<'static>> {
    let path = |path: &str| Column::Path(path.into());
    let figure = AggregateRequest {
        keys: vec![Key::new(path("name")), Key::new(path("user"))],
        ..AggregateRequest::new(
            Filter::All,
            vec![
                Measure::Sum(path("cost")),
                Measure::Distinct {
                    column: path("user"),
                    mode: DistinctMode::ExactOrEstimated,
                },
            ],
        )
    };
    let values = ObservedRequest {
        filter: Filter::All,
        column: path("user"),
        prefix: String::new(),
        limit: 10,
    };
    let asked: [Question<'static>; 2] = [
        (
            "aggregate",
            Box::new(
                move |rows: &[Visible<'_>], beside: &Beside<'_>, budget: &Budget<'_>| {
                    aggregate(rows, beside, budget, None, &figure).map(drop)
                },
            ),
        ),
        (
            "values",
            Box::new(
                move |rows: &[Visible<'_>], beside: &Beside<'_>, budget: &Budget<'_>| {
                    observed_values(rows, beside, budget, &values).map(drop)
                },
            ),
        ),
    ];
    asked.into()
}

fn names() -> Vec<Question<'static>> {
    let of_scores = ScoreValuesRequest {
        filter: Filter::All,
        name: "good".into(),
        prefix: String::new(),
        limit: 10,
    };
    let keys = KeysRequest {
        prefix: "",
        but: None,
        limit: 100,
    };
    let asked: [Question<'static>; 3] = [
        (
            "keys",
            Box::new(
                move |rows: &[Visible<'_>], _: &Beside<'_>, budget: &Budget<'_>| {
                    observed_keys(rows, budget, keys).map(drop)
                },
            ),
        ),
        (
            "names of scores",
            Box::new(
                |_: &[Visible<'_>], beside: &Beside<'_>, budget: &Budget<'_>| {
                    score_names(beside, budget, "", 10).map(drop)
                },
            ),
        ),
        (
            "values of scores",
            Box::new(
                move |rows: &[Visible<'_>], beside: &Beside<'_>, budget: &Budget<'_>| {
                    score_values(rows, beside, budget, &of_scores).map(drop)
                },
            ),
        ),
    ];
    asked.into()
}

fn structures() -> Vec<Question<'static>> {
    let search = |text: &'static str| -> Question<'static> {
        let query = traceql::parse(text).unwrap();
        let ask = move |rows: &[Visible<'_>], _: &Beside<'_>, budget: &Budget<'_>| {
            let request = SearchRequest {
                query: &query,
                range: None,
                limit: 20,
                spans_shown: 3,
            };
            traceql::search(rows, &[], budget, &request).map(drop)
        };
        (text, Box::new(ask))
    };
    let series = |text: &'static str| -> Question<'static> {
        let query = traceql::parse(text).unwrap();
        let ask = move |rows: &[Visible<'_>], _: &Beside<'_>, budget: &Budget<'_>| {
            let request = SeriesRequest {
                query: &query,
                from_ns: 0,
                to_ns: 60_000_000_000,
                step_ns: 1_000_000_000,
                exemplars: 10,
            };
            traceql::series(rows, &[], budget, &request).map(drop)
        };
        (text, Box::new(ask))
    };
    vec![
        search("{ name = \"none\" } >> { name = \"n1\" }"),
        search("{ name = \"n1\" } | count() > 100"),
        series("{ } | rate() by (name)"),
        series("{ } | quantile_over_time(duration, 0.5) by (resource.service.name)"),
    ]
}

fn seen<'a>((name, source): &'a (&'static str, Counted<'_>)) -> Visible<'a> {
    Visible {
        source,
        live: source.inner.visible("").live,
        name: (*name).into(),
    }
}

type Asks<'q> = dyn Fn(&[Visible<'_>], &Beside<'_>, &Budget<'_>) -> Result<(), QueryError> + 'q;

/// Whenever a question is ended, it ends with the check at which it is.
fn ends_at_once(
    (name, ask): (&str, &Asks<'_>),
    (rows, beside): (&[Visible<'_>], &Beside<'_>),
    spent: &Spent,
    all: u64,
) {
    for after in [0, 1, all / 3, all.saturating_sub(3)] {
        let asked = Cell::new(0);
        let budget = Budget {
            cancelled: &|| {
                asked.set(asked.get() + 1);
                spent.take();
                asked.get() > after
            },
            ..BUDGET
        };
        let ended = ask(rows, beside, &budget);
        assert!(
            matches!(ended, Err(QueryError::Cancelled)),
            "{name} after {after} of {all}"
        );
        assert_eq!(asked.get(), after + 1, "{name} went on");
        let (values, bytes) = spent.take();
        assert_eq!(
            (values, bytes),
            (0, 0),
            "{name} did more after it was ended"
        );
    }
}

#[test]
fn little_is_done_between_two_checks() {
    let spent = Spent::default();
    let parts = || (0..SOURCES).map(|n| n * ROWS..(n + 1) * ROWS);
    let spans: Vec<Rows> = parts().map(spans).collect();
    let scores: Vec<Rows> = parts().map(scores).collect();
    let counted = |of: &'static str, inner| {
        let spent = &spent;
        (of, Counted { inner, spent })
    };
    let spans: Vec<_> = spans.iter().map(|inner| counted("spans", inner)).collect();
    let scores: Vec<_> = scores
        .iter()
        .map(|inner| counted("scores", inner))
        .collect();
    let rows: Vec<_> = spans.iter().map(seen).collect();
    let of_scores: Vec<_> = scores.iter().map(seen).collect();
    let beside = Beside {
        of: Table::Runs,
        spans: &[],
        scores: &of_scores,
    };
    let mut unchecked = Vec::new();
    for (name, ask) in [searches(), figures(), names(), structures()]
        .into_iter()
        .flatten()
    {
        let (checks, most) = (Cell::new(0u64), RefCell::new((0, 0)));
        let look = || {
            let (values, bytes) = spent.take();
            let mut most = most.borrow_mut();
            *most = (most.0.max(values), most.1.max(bytes));
            checks.set(checks.get() + 1);
        };
        let budget = Budget {
            cancelled: &|| {
                look();
                false
            },
            ..BUDGET
        };
        spent.take();
        ask(&rows, &beside, &budget).unwrap_or_else(|error| panic!("{name}: {error}"));
        look();
        let (values, bytes) = *most.borrow();
        let of_body = spent.body.load(Ordering::Relaxed);
        if values > VALUES_MAX || bytes > BYTES_MAX + of_body {
            unchecked.push((name, values, bytes));
        }
        ends_at_once((name, &*ask), (&rows, &beside), &spent, checks.get());
    }
    assert!(unchecked.is_empty(), "name, values, bytes: {unchecked:?}");
}

#[test]
fn a_question_says_what_it_comes_to_before_it_does_it() {
    let (rows, spent) = (spans(0..100), Spent::default());
    let inner = &rows;
    let spent = &spent;
    let source = ("spans", Counted { inner, spent });
    let rows = [seen(&source)];
    let told = Cell::new(Weight::default());
    let note = |more| told.set(told.get().and(more));
    let refuses = Budget {
        weigh: Some(&|more| {
            note(more);
            false
        }),
        ..BUDGET
    };
    let (_, figure) = figures().remove(0);
    let ended = figure(&rows, &NOTHING, &refuses);
    assert!(matches!(ended, Err(QueryError::Cancelled)));
    assert!(told.get().values > 0);
    assert_eq!(spent.take(), (0, 0), "read before it was told");
    told.set(Weight::default());
    let bears = Budget {
        weigh: Some(&|more| {
            note(more);
            true
        }),
        ..BUDGET
    };
    let text = Filter::Text(TextTest::Words("nowhere".into()));
    let page = search(&rows, &NOTHING, 9, &bears, &Request::new(text, 3)).unwrap();
    let weight = page.explain.weight();
    assert_eq!((told.get().rows, told.get().values), (weight.rows, 0));
    // What is read after the last check is told by nobody.
    assert!(told.get().bytes > 0 && told.get().bytes <= weight.bytes);
}
