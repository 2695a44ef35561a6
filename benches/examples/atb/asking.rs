//! What all questions need: a snapshot, its budget, filters and figures in the benchmark's words.

use std::sync::LazyLock;
use std::thread::available_parallelism;

use obsrv_engine::engine::{Engine, Snapshot};
use obsrv_engine::query::aggregate::{
    AggregateAnswer, AggregateRequest, Figures, Group, GroupValue, Key, Number, TimeBuckets, Value,
};
use obsrv_engine::query::ast::{Filter, Literal, Test, TextTest};
use obsrv_engine::query::{Budget, Page, Processors, Request};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;
use serde_json::{Map, Value as Json, json};

use super::Outcome;
use super::asked::Asked;
use super::feed::project;

pub(crate) const MINUTE_NS: i64 = 60_000_000_000;
pub(crate) const HOUR_NS: i64 = 60 * MINUTE_NS;
pub(crate) const DAY_NS: i64 = 24 * HOUR_NS;
/// Traces of Q3 and L3 in one timed run.
const TRACES_A_RUN: usize = 100;

/// As a server divides them.
static PROCESSORS: LazyLock<Processors> =
    LazyLock::new(|| Processors::new(available_parallelism().map_or(1, usize::from)));

pub(crate) fn budget() -> Budget<'static> {
    Budget {
        rows_max: u64::MAX,
        bytes_max: u64::MAX,
        read_bytes_max: u64::MAX,
        cancelled: &|| false,
        processors: Some(&PROCESSORS),
        weigh: None,
    }
}

/// What a query came to.
pub(crate) trait Answer {
    /// How many questions it was: figures are for one.
    fn parts(&self) -> usize {
        1
    }

    /// As the manifest has it.
    fn to_json(&self) -> Outcome<Json>;
}

pub(crate) fn path(path: &str) -> Column {
    Column::Path(path.into())
}

pub(crate) fn is(key: &str, value: &str) -> Filter {
    Filter::Is(path(key), Test::Eq(Literal::Str(value.to_owned())))
}

pub(crate) fn words(text: String) -> Filter {
    Filter::Text(TextTest::Words(text))
}

pub(crate) fn present(key: &str) -> Key {
    Key {
        column: path(key),
        absent: false,
    }
}

pub(crate) struct Asking<'a> {
    pub(crate) snapshot: Snapshot,
    pub(crate) asked: &'a Asked,
    pub(crate) table: Table,
}

impl<'a> Asking<'a> {
    pub(crate) fn new(engine: &Engine, asked: &'a Asked, table: Table) -> Self {
        Self {
            snapshot: engine.snapshot(),
            asked,
            table,
        }
    }

    /// Rows that start so long before the end or later.
    pub(crate) fn since(&self, window_ns: i64) -> Filter {
        let from = self.asked.now_ns - window_ns;
        Filter::Is(Column::Start, Test::Ge(Literal::I64(from)))
    }

    /// Buckets of the rows that start so long before the end or later.
    pub(crate) fn buckets(&self, window_ns: i64, width_ns: i64) -> TimeBuckets {
        TimeBuckets {
            width_ns,
            origin_ns: 0,
            range: Some((self.asked.now_ns - window_ns, self.asked.now_ns + DAY_NS)),
            fill: false,
        }
    }

    /// Rows of one project with their documents.
    pub(crate) fn search(&self, index: u64, table: Table, request: &Request) -> Outcome<Page> {
        let found = self
            .snapshot
            .search(project(index), table, request, &budget())?;
        Ok(found)
    }

    /// Rows of which the answer has ids, times and counts alone.
    pub(crate) fn search_cores(&self, index: u64, request: &Request) -> Outcome<Page> {
        let found = self
            .snapshot
            .search_cores(project(index), self.table, request, &budget())?;
        Ok(found)
    }

    /// The newest 50 of the project that is asked.
    pub(crate) fn list(&self, table: Table, filter: Filter) -> Outcome<Page> {
        self.search(self.asked.project, table, &Request::new(filter, 50))
    }

    /// Without what was kept of earlier answers.
    pub(crate) fn aggregate(
        &self,
        index: u64,
        request: &AggregateRequest,
    ) -> Outcome<AggregateAnswer> {
        let answer =
            self.snapshot
                .aggregate_with(project(index), self.table, request, &budget(), None)?;
        Ok(answer)
    }

    /// The traces that a run asks for: its share of all.
    pub(crate) fn traces(&self, run: u64) -> Outcome<&[(u64, String)]> {
        let all = &self.asked.traces;
        let runs = (all.len() / TRACES_A_RUN).max(1);
        let from = usize::try_from(run)? % runs * TRACES_A_RUN;
        Ok(all.get(from..from + TRACES_A_RUN).unwrap_or(all))
    }
}

/// The first key of a group.
pub(crate) fn name(keys: &[Option<GroupValue>]) -> String {
    match keys.first() {
        Some(Some(GroupValue::Str(text))) => text.to_string(),
        other => format!("{other:?}"),
    }
}

pub(crate) fn number(value: &Value) -> Json {
    match value {
        Value::Count(n) | Value::Distinct { count: n, .. } => json!(n),
        Value::Number(Some(Number::Whole(n))) => json!(i64::try_from(*n).unwrap_or(i64::MAX)),
        Value::Number(Some(Number::Float(x))) => json!(x),
        Value::Quantiles(values) => json!(values),
        _ => json!(0),
    }
}

fn figures(of: &Figures) -> Json {
    of.measures.iter().map(|m| number(&m.value)).collect()
}

/// The figures of each group by its name.
pub(crate) fn by_group(answer: &AggregateAnswer) -> Json {
    let of = |group: &Group| (name(&group.keys), figures(&group.figures));
    Json::Object(answer.groups.iter().map(of).collect())
}

/// The figures of each point, by `before` and the number of its bucket and the name of its group.
pub(crate) fn by_bucket(answer: &AggregateAnswer, width_ns: i64, before: &str) -> Json {
    let mut out = Map::new();
    for group in &answer.groups {
        let name = name(&group.keys);
        for point in &group.points {
            let bucket = point.start_ns.div_euclid(width_ns);
            out.insert(format!("{before}{bucket}|{name}"), figures(&point.figures));
        }
    }
    Json::Object(out)
}
