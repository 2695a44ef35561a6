//! Queries that took long: in the log, and the last of them for the operator.
//!
//! Owns a ring of [`SLOW_QUERIES_KEPT`] entries behind a mutex that is held for a push or a copy. What is
//! kept of a question is its shape: keys and comparisons, never a value that somebody looks for.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::future::Future;
use std::time::Duration;

use http::Uri;
use obsrv_engine::query::ast::{Filter, Test, TextTest};
use obsrv_engine::query::parse;
use parking_lot::Mutex;
use serde::Serialize;

use super::params::Params;
use crate::limits::{SLOW_QUERIES_KEPT, SLOW_QUERY_SHAPE_BYTES_MAX, SLOW_QUERY_TIME};

tokio::task_local! {
    /// Microseconds that queries of this request have run.
    static RAN_US: Cell<u64>;
}

/// A query that took long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SlowQuery {
    /// When it was answered, nanoseconds since 1970.
    pub(crate) at_ns: i64,
    pub(crate) request_id: String,
    pub(crate) route: String,
    pub(crate) ran_us: u64,
    /// Of the parameter `q`.
    pub(crate) shape: String,
}

/// The last slow queries.
#[derive(Debug, Default)]
pub(crate) struct SlowQueries(Mutex<VecDeque<SlowQuery>>);

impl SlowQueries {
    pub(crate) fn push(&self, slow: SlowQuery) {
        let mut ring = self.0.lock();
        if ring.len() >= SLOW_QUERIES_KEPT {
            ring.pop_front();
        }
        ring.push_back(slow);
    }

    /// The newest first.
    pub(crate) fn all(&self) -> Vec<SlowQuery> {
        self.0.lock().iter().rev().cloned().collect()
    }
}

/// Runs a request, and tells for how long its queries ran if that was long.
pub(crate) async fn watched<T>(work: impl Future<Output = T>) -> (T, Option<u64>) {
    RAN_US
        .scope(Cell::new(0), async {
            let answer = work.await;
            let ran = RAN_US.with(Cell::get);
            let is_slow = Duration::from_micros(ran) >= SLOW_QUERY_TIME;
            (answer, is_slow.then_some(ran))
        })
        .await
}

/// A query of this request has run.
pub(crate) fn ran(micros: u64) {
    // Work that no request waits for is nobody's slow query.
    let _nobody = RAN_US.try_with(|all| all.set(all.get().saturating_add(micros)));
}

/// The shape of the filter in a request's address; empty without one, or if it does not parse.
pub(crate) fn shape_of(uri: &Uri) -> String {
    let params = Params::parse(uri.query().unwrap_or(""));
    let asked = params
        .ok()
        .and_then(|p| p.one("q").ok()?.map(str::to_owned));
    let filter = asked.and_then(|text| parse(&text, 0).ok());
    let mut out = String::new();
    if let Some(filter) = filter {
        shape(&filter, &mut out);
    }
    out
}

fn shape(filter: &Filter, out: &mut String) {
    if out.len() > SLOW_QUERY_SHAPE_BYTES_MAX {
        return;
    }
    match filter {
        Filter::All => out.push_str("all"),
        Filter::And(parts) => list(parts, " and ", out),
        Filter::Or(parts) => list(parts, " or ", out),
        Filter::Not(part) => {
            out.push_str("not ");
            shape(part, out);
        }
        Filter::Is(column, test) => {
            let room = SLOW_QUERY_SHAPE_BYTES_MAX.saturating_sub(out.len());
            let (name, test) = (column.name(), word(test));
            let name: String = name.chars().take(room).collect();
            write!(out, "{name}{test}").expect("BUG: writing to memory failed");
        }
        Filter::Text(test) => out.push_str(match test {
            TextTest::Words(_) => "words",
            TextTest::Beginning(_) => "beginning",
            TextTest::Contains(_) => "substring",
            TextTest::Regex(_) => "regex",
        }),
        Filter::AnySpan(part) => inside("{", part, out),
        Filter::AnyScore(part) => inside("score{", part, out),
    }
}

fn inside(open: &str, part: &Filter, out: &mut String) {
    out.push_str(open);
    shape(part, out);
    out.push('}');
}

fn list(parts: &[Filter], between: &str, out: &mut String) {
    out.push('(');
    for (at, part) in parts.iter().enumerate() {
        if out.len() > SLOW_QUERY_SHAPE_BYTES_MAX {
            break;
        }
        if at > 0 {
            out.push_str(between);
        }
        shape(part, out);
    }
    out.push(')');
}

const fn word(test: &Test) -> &'static str {
    match test {
        Test::Eq(_) => "=?",
        Test::In(_) => " in ?",
        Test::Lt(_) => "<?",
        Test::Le(_) => "<=?",
        Test::Gt(_) => ">?",
        Test::Ge(_) => ">=?",
        Test::Contains(_) => " contains ?",
        Test::Prefix(_) => " begins ?",
        Test::Regex(_) => " matches ?",
        Test::Exists => " exists",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> String {
        shape_of(&format!("/v1/x?q={query}").parse().unwrap())
    }

    #[test]
    fn a_shape_has_keys_and_no_value() {
        let shape =
            of("metadata.customer:canary%20AND%20NOT%20duration%3E2s%20%22canary%20phrase%22");
        assert!(!shape.contains("canary"), "{shape}");
        assert!(shape.contains("metadata.customer=?"), "{shape}");
        assert!(shape.contains("not duration>?"), "{shape}");
        assert!(shape.contains("words"), "{shape}");
        assert_eq!(of("((("), "");
    }

    #[test]
    fn a_long_filter_has_a_short_shape() {
        let long = vec!["a:1"; 5_000].join("%20OR%20");
        assert!(of(&long).len() < SLOW_QUERY_SHAPE_BYTES_MAX + 16);
    }

    #[test]
    fn the_oldest_makes_room_at_the_limit() {
        let ring = SlowQueries::default();
        for n in 0..=SLOW_QUERIES_KEPT {
            ring.push(SlowQuery {
                at_ns: i64::try_from(n).unwrap(),
                request_id: String::new(),
                route: String::new(),
                ran_us: 1,
                shape: String::new(),
            });
            assert_eq!(ring.all().len(), (n + 1).min(SLOW_QUERIES_KEPT));
        }
        assert_eq!(ring.all().last().unwrap().at_ns, 1);
    }

    #[tokio::test]
    async fn only_long_runs_are_slow() {
        let limit = u64::try_from(SLOW_QUERY_TIME.as_micros()).unwrap();
        assert_eq!(watched(async { ran(limit - 1) }).await.1, None);
        let twice = watched(async {
            ran(limit - 1);
            ran(1);
        });
        assert_eq!(twice.await.1, Some(limit));
    }
}
