//! A question on several threads: the answer and what it cost are those of one thread, and it ends as one does.

use std::cell::Cell;

use roaring::RoaringBitmap;

use super::index::segment;
use super::{BUDGET, NOTHING};
use crate::query::ast::{Filter, TextTest};
use crate::query::{Budget, Explain, Page, Processors, QueryError, Request, search};
use crate::row::{ProjectId, Table};
use crate::segment::Segment;
use crate::source::Visible;

const ROWS: u32 = 6_000;

fn ask(segment: &Segment, budget: &Budget<'_>, request: &Request) -> Result<Page, QueryError> {
    let source = segment.section(ProjectId(1), Table::Spans).unwrap();
    let mut live = RoaringBitmap::new();
    live.insert_range(0..source.summary().rows);
    let name = "segment".to_owned();
    search(
        &[Visible { source, live, name }],
        &NOTHING,
        9,
        budget,
        request,
    )
}

fn on(processors: &Processors) -> Budget<'_> {
    Budget {
        processors: Some(processors),
        weigh: None,
        ..BUDGET
    }
}

/// Rows whose text has this, which no index knows.
fn within(text: &str) -> Filter {
    Filter::Text(TextTest::Regex(regex::escape(text)))
}

#[test]
fn a_divided_question_has_the_answer_and_the_cost_of_one_thread() {
    let segment = segment(ROWS);
    for text in ["timeout", "Needle", "w5999 ", "nowhere at all", "5"] {
        for (total, limit) in [(true, 50), (true, 0), (false, 20), (false, 1_000)] {
            let request = Request {
                total,
                ..Request::new(within(text), limit)
            };
            let alone = ask(&segment, &BUDGET, &request).unwrap();
            for count in [1, 2, 3, 8, 100] {
                let processors = Processors::new(count);
                let divided = ask(&segment, &on(&processors), &request).unwrap();
                assert_eq!(divided.hits, alone.hits, "{text} {total} {limit} {count}");
                assert_eq!(divided.total, alone.total, "{text} {limit} {count}");
                let (spent, least) = (&divided.explain, &alone.explain);
                let least = &Explain {
                    helpers: spent.helpers,
                    ..least.clone()
                };
                if total || count == 1 {
                    assert_eq!(spent, least, "{text} {total} {limit} {count}");
                } else {
                    // Decided ahead of their turn: no more than twice what one thread decides.
                    assert!(spent.rows_in_doubt >= least.rows_in_doubt);
                    assert!(
                        spent.rows_in_doubt <= 2 * least.rows_in_doubt,
                        "{text} {limit} {count}"
                    );
                    assert_eq!(spent.bodies_read, spent.rows_in_doubt);
                }
                assert_eq!(processors.free(), isize::try_from(count).unwrap());
            }
        }
    }
}

#[test]
fn a_question_takes_no_more_than_the_free_processors() {
    let segment = segment(ROWS);
    let request = Request {
        total: true,
        ..Request::new(within("nowhere at all"), 50)
    };
    for (count, running, helpers) in [
        (2, 0, 1),
        (2, 1, 0),
        (2, 2, 0),
        (2, 9, 0),
        (4, 1, 2),
        (100, 0, 7),
    ] {
        let processors = Processors::new(count);
        let others: Vec<_> = (0..running).map(|_| processors.enter()).collect();
        let page = ask(&segment, &on(&processors), &request).unwrap();
        assert_eq!(page.explain.helpers, helpers, "{count} {running}");
        drop(others);
        assert_eq!(processors.free(), isize::try_from(count).unwrap());
    }
}

#[test]
fn a_divided_question_ends_at_its_budget_and_when_the_caller_gives_up() {
    let segment = segment(ROWS);
    let request = Request {
        total: true,
        ..Request::new(within("nowhere at all"), 50)
    };
    let bytes = ask(&segment, &BUDGET, &request).unwrap().explain.bytes_read;
    let processors = Processors::new(4);
    let limited = |read_bytes_max| Budget {
        read_bytes_max,
        ..on(&processors)
    };
    assert!(ask(&segment, &limited(bytes), &request).is_ok());
    for max in [bytes - 1, bytes / 2, 1] {
        let refused = ask(&segment, &limited(max), &request);
        let Err(QueryError::BudgetExceeded {
            what: "bytes",
            max: told,
        }) = refused
        else {
            panic!("{refused:?}");
        };
        assert_eq!(told, max);
    }
    for patience in [0, 1, 3, 10] {
        let asked = Cell::new(0);
        let gives_up = || {
            asked.set(asked.get() + 1);
            asked.get() > patience
        };
        let budget = Budget {
            cancelled: &gives_up,
            ..on(&processors)
        };
        assert!(matches!(
            ask(&segment, &budget, &request),
            Err(QueryError::Cancelled)
        ));
    }
    assert_eq!(processors.free(), 4);
}
