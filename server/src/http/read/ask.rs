//! What the parameters of a question mean: which rows, when, in which order, which page.

use obsrv_engine::model;
use obsrv_engine::model::score::Fact;
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Order, Position, parse, parse_over, traceql};
use obsrv_engine::row::{ProjectId, Table, outside_traces, trace_of};
use obsrv_engine::source::{Column, Taken};

use serde_json::Value;

use super::filter_json;
use crate::http::Core;
use crate::http::cursor::{self, Scope};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::params::Params;
use crate::http::{position, spent};

/// Begins the names of scores among those of keys.
pub(super) const SCORES: &str = "scores.";

/// What `over` may be, for people.
pub(super) const OVER: &str =
    "`traces`, `spans`, `scores`, `logs` or `points`; `traces` if not given";

/// Rows of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Over {
    /// Runs.
    Traces,
    /// Steps of runs.
    Spans,
    /// Scores.
    Scores,
    /// Log lines.
    Logs,
    /// Points of metrics.
    Points,
}

impl Over {
    pub(super) fn named(name: &str) -> Result<Self, ApiError> {
        match name {
            "traces" => Ok(Self::Traces),
            "spans" => Ok(Self::Spans),
            "scores" => Ok(Self::Scores),
            "logs" => Ok(Self::Logs),
            "points" => Ok(Self::Points),
            _ => Err(ApiError::parameter(
                "over",
                "not of traces, spans, scores, logs, points",
            )),
        }
    }

    pub(super) fn of(params: &Params) -> Result<Self, ApiError> {
        params.one("over")?.map_or(Ok(Self::Traces), Self::named)
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Spans => "spans",
            Self::Scores => "scores",
            Self::Logs => "logs",
            Self::Points => "points",
        }
    }

    pub(super) const fn table(self) -> Table {
        match self {
            Self::Traces => Table::Runs,
            Self::Spans => Table::Spans,
            Self::Scores => Table::Scores,
            Self::Logs => Table::Logs,
            Self::Points => Table::Points,
        }
    }

    /// The column of a name, as answers have it or as filters do.
    pub(super) fn column(self, name: &str) -> Column {
        match (self, name) {
            (Self::Points, "series") => Column::TraceId,
            (Self::Points, "trace_id") => Column::Path("trace_id".into()),
            (Self::Logs | Self::Points, "span_id") => Column::Path(model::SPAN_ID.into()),
            (Self::Traces, name) => of_steps(name).unwrap_or_else(|| column(name)),
            (Self::Scores, _) => Fact::named(name).map_or_else(|| column(name), Column::Score),
            _ => column(name),
        }
    }

    /// Whether its rows have scores.
    pub(super) const fn has_scores(self) -> bool {
        matches!(self, Self::Traces | Self::Spans)
    }

    /// The score that a name means: `scores.NAME`, where there are scores.
    pub(super) fn score(self, name: &str) -> Option<&str> {
        let score = name.strip_prefix(SCORES)?;
        (self.has_scores() && !score.is_empty()).then_some(score)
    }

    /// The column by which rows are ordered and added up: of a score the mean of its numbers.
    pub(super) fn figure(self, name: &str) -> Column {
        self.scored(name, Taken::Mean)
    }

    /// The column by whose values rows are grouped: of a score each of them.
    pub(super) fn key(self, name: &str) -> Column {
        self.scored(name, Taken::Each)
    }

    fn scored(self, name: &str, taken: Taken) -> Column {
        match (self.score(name), self.column(name)) {
            (Some(score), _) => Column::Scored(score.into(), taken),
            (None, Column::Score(fact)) => Column::Score(fact.single()),
            (None, column) => column,
        }
    }

    /// Rows with a value of the column.
    pub(super) fn has(self, column: &Column) -> Filter {
        renamed(self, Filter::Is(column.clone(), Test::Exists))
    }

    /// Whether the values of the column are told of rows that have none.
    pub(super) fn hides(self, column: &Column) -> bool {
        self == Self::Logs && *column == Column::TraceId
    }

    /// Whether a value is one of the names that are not told.
    pub(super) fn is_hidden(self, column: &Column, value: &Literal) -> bool {
        let outside = |text: &String| trace_of(text).is_none();
        self.hides(column) && matches!(value, Literal::Str(text) if outside(text))
    }

    /// The filter that a search names.
    pub(super) fn searched(self, q: &str, now_ns: i64) -> Result<Filter, ApiError> {
        let filter = parse_over(self.table(), q, now_ns).map_err(|e| ApiError::from(e).at("q"))?;
        Ok(renamed(self, filter))
    }

    /// `start`, `-duration`, `metadata.score`: a minus is "largest first".
    pub(super) fn order(self, text: &str) -> Result<Order, ApiError> {
        let (descending, name) = text
            .strip_prefix('-')
            .map_or((false, text), |name| (true, name));
        if name.is_empty() {
            return Err(ApiError::parameter("sort", "names no key"));
        }
        Ok(Order {
            column: self.figure(name),
            descending,
        })
    }
}

/// Log lines that belong to a trace. The others are clustered, too, under names that are not told.
fn is_in_trace() -> Filter {
    let outside = Test::Prefix(outside_traces(""));
    Filter::Not(Box::new(Filter::Is(Column::TraceId, outside)))
}

/// Refuses parameters that a route which reads rows does not know, naming those that it does. All know `explain`.
pub(super) fn check_known(params: &Params, known: &[&str]) -> Result<(), ApiError> {
    let mut known = known.to_vec();
    if !known.contains(&spent::PARAMETER) {
        known.push(spent::PARAMETER);
    }
    check_only(params, &known)
}

/// The same of other routes.
pub(super) fn check_only(params: &Params, known: &[&str]) -> Result<(), ApiError> {
    match params.unknown(known) {
        None => Ok(()),
        Some(name) => {
            let message = format!("unknown parameter accepted={}", known.join(","));
            Err(ApiError::parameter(name, message))
        }
    }
}

/// Names of answers that are other paths in rows.
const RENAMED: [(&str, &str); 8] = [
    ("thread_id", model::GROUP),
    ("cost", model::COST),
    ("cost.total", model::COST),
    ("tokens", "tokens.total"),
    ("tokens.cached", "tokens.cache_read"),
    ("span_count", "rollup.span_count"),
    ("error_count", "rollup.error_count"),
    ("duration_ns", "duration"),
];

/// Names over traces that mean what any step of the trace has.
const OF_STEPS: [(&str, &str); 2] = [
    (model::MODEL, "rollup.models"),
    (model::TOOL, "rollup.tools"),
];

/// Where the names of steps are of which this key over traces tells.
fn of_steps(name: &str) -> Option<Column> {
    let found = OF_STEPS.iter().find(|(shown, _)| *shown == name);
    found.map(|(_, path)| Column::Path((*path).into()))
}

/// What is asked of a key of [`OF_STEPS`]: of what steps have, or of what the trace says itself.
pub(super) fn or_own(key: &str, filter: Filter) -> Filter {
    let own = Column::Path(key.into());
    match (of_steps(key), filter) {
        (Some(steps), Filter::Is(_, test)) => {
            Filter::Or(vec![Filter::Is(steps, test.clone()), Filter::Is(own, test)])
        }
        (Some(_), Filter::Not(part)) => Filter::Not(Box::new(or_own(key, *part))),
        (_, other) => other,
    }
}

/// The column of a name over runs and spans, as answers have it or as filters do.
pub(super) fn column(name: &str) -> Column {
    let renamed = RENAMED.iter().find(|(shown, _)| *shown == name);
    match renamed.map_or(name, |(_, path)| path) {
        "trace_id" => Column::TraceId,
        "id" | "span_id" => Column::Id,
        "start" => Column::Start,
        "end" => Column::End,
        "duration" | "latency" => Column::Duration,
        path => Column::Path(path.into()),
    }
}

fn renamed(over: Over, filter: Filter) -> Filter {
    let all = |parts: Vec<Filter>| parts.into_iter().map(|part| renamed(over, part)).collect();
    match filter {
        Filter::Is(Column::Path(path), test) if over == Over::Traces => {
            let renamed = column_of_path(over, &path);
            or_own(&path, Filter::Is(renamed, test))
        }
        Filter::Is(Column::Path(path), test) => Filter::Is(column_of_path(over, &path), test),
        Filter::Is(Column::TraceId, Test::Exists) if over == Over::Logs => is_in_trace(),
        // What points are clustered with is their series.
        Filter::Is(Column::TraceId, test) if over == Over::Points => {
            Filter::Is(over.column("trace_id"), test)
        }
        Filter::And(parts) => Filter::And(all(parts)),
        Filter::Or(parts) => Filter::Or(all(parts)),
        Filter::Not(part) => Filter::Not(Box::new(renamed(over, *part))),
        Filter::AnySpan(part) => Filter::AnySpan(Box::new(renamed(Over::Spans, *part))),
        Filter::AnyScore(part) => Filter::AnyScore(Box::new(renamed(Over::Scores, *part))),
        other => other,
    }
}

/// A name in a filter that the parser took for a path. Quoted `"start"` stays a path.
fn column_of_path(over: Over, path: &str) -> Column {
    if over == Over::Points && path == "series" {
        return Column::TraceId;
    }
    let found = RENAMED.iter().find(|(shown, _)| *shown == path);
    found.map_or_else(|| Column::Path(path.into()), |(shown, _)| column(shown))
}

/// The filter that `q`, a filter as JSON and `TraceQL` name together.
pub(super) fn asked(
    over: Over,
    (q, json): (Option<&str>, Option<&Value>),
    now_ns: i64,
) -> Result<Filter, ApiError> {
    let q = q.filter(|q| !q.is_empty());
    let q = q.map(|q| over.searched(q, now_ns));
    let json = json.map(|json| filter_json::filter(over, ("filter", json), now_ns));
    Ok(both(q.transpose()?, json.transpose()?))
}

/// The same of two texts, of which either may be empty.
pub(super) fn of_texts(
    over: Over,
    (q, json): (&str, &str),
    now_ns: i64,
) -> Result<Filter, ApiError> {
    let q = over.searched(q, now_ns)?;
    if json.is_empty() {
        return Ok(q);
    }
    let json = filter_json::parse(over, ("filter", json), now_ns)?;
    Ok(both(Some(q), Some(json)))
}

/// What `filter` and `traceql` ask of runs, for lists that read `q` in their own way.
pub(in crate::http) fn of_runs(params: &Params, now_ns: i64) -> Result<Filter, ApiError> {
    let json = params.one("filter")?;
    let json = json.map(|text| filter_json::parse(Over::Traces, ("filter", text), now_ns));
    let spans = params.one("traceql")?;
    let spans = spans.map(|text| traceql(text, Over::Traces));
    Ok(both(json.transpose()?, spans.transpose()?))
}

/// The same of parameters. Over spans `traceql` is a selector, or several joined by `||`; over traces
/// `&&` joins, too.
pub(super) fn named(over: Over, params: &Params, now_ns: i64) -> Result<Filter, ApiError> {
    let q = params.one("q")?;
    let q = q.map(|q| over.searched(q, now_ns)).transpose()?;
    let json = params.one("filter")?;
    let json = json.map(|text| filter_json::parse(over, ("filter", text), now_ns));
    let filter = both(q, json.transpose()?);
    match params.one("traceql")? {
        None => Ok(filter),
        Some(text) => Ok(both(Some(filter), Some(traceql(text, over)?))),
    }
}

fn both(a: Option<Filter>, b: Option<Filter>) -> Filter {
    let some = |filter: &Filter| *filter != Filter::All;
    match (a.filter(some), b.filter(some)) {
        (Some(a), Some(b)) => Filter::And(vec![a, b]),
        (one, other) => one.or(other).unwrap_or(Filter::All),
    }
}

fn traceql(text: &str, over: Over) -> Result<Filter, ApiError> {
    let query = traceql::parse(text).map_err(|e| ApiError::from(e).at("traceql"))?;
    let over_runs = match over {
        Over::Traces => true,
        Over::Spans => false,
        Over::Scores | Over::Logs | Over::Points => {
            return Err(ApiError::parameter(
                "traceql",
                "speaks of spans and traces alone",
            ));
        }
    };
    traceql::as_filter(&query, over_runs).ok_or_else(|| {
        let message = "more than selectors joined by && and ||; /tempo/api/search answers it";
        ApiError::parameter("traceql", message)
    })
}

/// Rows that start at or after the first and before the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
}

impl Range {
    pub(super) fn of(from: Option<&str>, to: Option<&str>, now_ns: i64) -> Result<Self, ApiError> {
        let time = |name, text: Option<&str>| text.map(|t| time(name, t, now_ns)).transpose();
        Ok(Self {
            from: time("from", from)?,
            to: time("to", to)?,
        })
    }

    pub(super) fn and(self, filter: Filter) -> Filter {
        let from = self.from.map(|ns| Test::Ge(Literal::I64(ns)));
        let to = self.to.map(|ns| Test::Lt(Literal::I64(ns)));
        let tests = [from, to].into_iter().flatten();
        let mut parts: Vec<Filter> = tests.map(|test| Filter::Is(Column::Start, test)).collect();
        if parts.is_empty() {
            return filter;
        }
        if filter != Filter::All {
            parts.push(filter);
        }
        Filter::And(parts)
    }

    /// Both ends, if both are given.
    pub(super) const fn both(self) -> Option<(i64, i64)> {
        match (self.from, self.to) {
            (Some(from), Some(to)) => Some((from, to)),
            _ => None,
        }
    }
}

/// A time as filters have it: RFC 3339, a date, `now`, `-1h`.
pub(super) fn time(name: &str, text: &str, now_ns: i64) -> Result<i64, ApiError> {
    match literal("start", text, now_ns) {
        Some(ns) => Ok(ns),
        None => Err(ApiError::parameter(
            name,
            "not a time like 2026-01-31T12:00:00Z, -1h or now",
        )),
    }
}

/// A length of time as filters have it: `1h30m`, `500ms`.
pub(super) fn length(name: &str, text: &str) -> Result<i64, ApiError> {
    literal("duration", text, 0)
        .ok_or_else(|| ApiError::parameter(name, "not a length of time like 1m, 1h or 1d"))
}

/// The grammar of filters has both forms already.
fn literal(column: &str, text: &str, now_ns: i64) -> Option<i64> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | ':' | '.');
    if text.is_empty() || !text.chars().all(plain) {
        return None;
    }
    match parse(&format!("{column}>={text}"), now_ns) {
        Ok(Filter::Is(_, Test::Ge(Literal::I64(ns)))) => Some(ns),
        _ => None,
    }
}

/// A number of things from 1 to `max`.
pub(super) fn limit(params: &Params, default: usize, max: usize) -> Result<usize, ApiError> {
    match params.one("limit")?.map(str::parse) {
        None => Ok(default),
        Some(Ok(n)) if (1..=max).contains(&n) => Ok(n),
        Some(_) => Err(ApiError::parameter(
            "limit",
            format!("not a number from 1 to {max}"),
        )),
    }
}

/// A page of a list, beside which rows and in which order.
///
/// The cursor carries the time at which the first page was asked for, so that `-1h` means the same
/// on every page.
#[derive(Clone, Debug)]
pub(super) struct Paging {
    project: ProjectId,
    scope: String,
    /// What relative times count from.
    pub(super) now_ns: i64,
    /// After which row of an earlier page.
    pub(super) after: Option<Position>,
}

impl Paging {
    /// `name` is the list's; `not_scope` are the parameters that decide neither rows nor order.
    pub(super) fn of(
        core: &Core,
        (project, name): (ProjectId, &str),
        params: &Params,
        not_scope: &[&str],
        now_ns: i64,
    ) -> Result<Self, ApiError> {
        let not_scope = [not_scope, &[spent::PARAMETER]].concat();
        let mut paging = Self {
            project,
            scope: format!("{name}?{}", params.canonical(&not_scope)),
            now_ns,
            after: None,
        };
        if let Some(text) = params.one("cursor")? {
            let bytes = cursor::open(core.cursors(), paging.bound_to(), text)?;
            let refused = || ApiError::new(ErrorCode::InvalidCursor, "cursor does not read");
            let (now, rest) = bytes.split_first_chunk::<8>().ok_or_else(refused)?;
            paging.now_ns = i64::from_le_bytes(*now);
            paging.after = Some(position::decode(rest)?);
        }
        Ok(paging)
    }

    fn bound_to(&self) -> Scope<'_> {
        Scope {
            project: self.project,
            list: &self.scope,
        }
    }

    /// The cursor of the next page.
    pub(super) fn next(&self, core: &Core, next: &Position) -> String {
        let mut bytes = self.now_ns.to_le_bytes().to_vec();
        bytes.extend(position::encode(next));
        cursor::seal(core.cursors(), self.bound_to(), &bytes)
    }
}
