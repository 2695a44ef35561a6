//! `GET /api/public/metrics` of versions 3 and 4, `…/v2/metrics` of version 5: what rows add up to, as one JSON object asks it.
//!
//! A dimension of which rows keep the value at several places, or that is worked out, is several ways to group: the rows are
//! cut into those of each way, added up by the engine, and what has the same values is put together (`figures`).

mod dimension;
mod figures;

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::query::Budget;
use obsrv_engine::query::aggregate::{AggregateRequest, Group, Key, Measure, TimeBuckets};
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::source::Column;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::dimension::{Way, ways};
use self::figures::{Asked, Rows};
use super::ask::Chosen;
use super::conditions::{self, Condition};
use super::pages::answer;
use super::path;
use super::score;
use crate::dialect::{format_nanos, parse_time};
use crate::http::App;
use crate::http::access::{Access, TraceRead};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::params::Params;
use crate::http::read::aggregate::key_value;
use crate::http::read::ask::{Over, check_known};
use crate::http::routes::Routes;
use crate::http::store::View;
use crate::limits::{
    LANGFUSE_METRICS_BINS_DEFAULT, LANGFUSE_METRICS_BINS_MAX, LANGFUSE_METRICS_BYTES,
    LANGFUSE_METRICS_ROWS_DEFAULT, LANGFUSE_METRICS_ROWS_MAX, LANGFUSE_METRICS_WAYS_MAX,
};

const SECOND_NS: i64 = 1_000_000_000;
const DAY_NS: i64 = 86_400 * SECOND_NS;
/// The first Monday after the epoch.
const MONDAY_NS: i64 = 4 * DAY_NS;
/// What `auto` chooses from, in seconds.
const WIDTHS_S: [i64; 12] = [
    1, 10, 60, 300, 900, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_592_000,
];
/// Buckets that `auto` makes, at most.
const AUTO_BUCKETS: i64 = 50;
/// The name of the start of a bucket in answers.
const TIME: &str = "time_dimension";

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Question {
    view: String,
    #[serde(default)]
    dimensions: Vec<Field>,
    metrics: Vec<Metric>,
    #[serde(default)]
    filters: Vec<Condition>,
    time_dimension: Option<Buckets>,
    from_timestamp: String,
    to_timestamp: String,
    order_by: Option<Vec<Order>>,
    config: Option<Config>,
}

#[derive(Debug, Deserialize)]
struct Field {
    field: String,
}

#[derive(Debug, Deserialize)]
struct Metric {
    measure: String,
    aggregation: String,
}

#[derive(Debug, Deserialize)]
struct Buckets {
    granularity: String,
}

#[derive(Debug, Deserialize)]
struct Order {
    field: String,
    direction: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    bins: Option<usize>,
    row_limit: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Answer {
    data: Vec<Map<String, Value>>,
}

/// Whether a question reads.
#[cfg(feature = "forge")]
pub(super) fn reads(text: &str) -> bool {
    Plan::of(text, true).is_ok()
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .get(&path("/metrics"), TraceRead, older)
        .asks("query", "a JSON object: `view`, `dimensions`, `metrics`, `filters`, `timeDimension`, `fromTimestamp`, `toTimestamp`, `orderBy`, `config`")
        .says("What traces, observations or scores add up to, in Langfuse's words.");
    routes
        .get(&path("/v2/metrics"), TraceRead, newer)
        .asks(
            "query",
            "a JSON object, as of the older route; without the view `traces`",
        )
        .says("What observations or scores add up to, in Langfuse's words.");
}

async fn older(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    told(&access, &app, raw.as_deref(), true).await
}

async fn newer(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    told(&access, &app, raw.as_deref(), false).await
}

async fn told(
    access: &Access<TraceRead>,
    app: &Arc<App>,
    raw: Option<&str>,
    traces: bool,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.unwrap_or(""))?;
    check_known(&params, &["query"])?;
    let text = params.one("query")?.unwrap_or("");
    let plan = Plan::of(text, traces)?;
    answer(access, app, move |view, budget| plan.answer(view, budget)).await
}

/// A question that does not read, and where.
fn wrong(at: &str, message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidQuery, message.into()).at(format!("query.{at}"))
}

/// How long buckets are.
#[derive(Clone, Copy, Debug)]
enum Width {
    Ns(i64, i64),
    Month,
}

/// The question in the engine's terms.
struct Plan {
    over: Over,
    chosen: Chosen,
    names: Vec<String>,
    ways: Vec<Vec<Way>>,
    asked: Vec<Asked>,
    width: Option<Width>,
    order: Vec<(String, bool)>,
    bins: usize,
    limit: usize,
}

impl Plan {
    fn of(text: &str, traces: bool) -> Result<Self, ApiError> {
        if text.len() > LANGFUSE_METRICS_BYTES {
            let message = format!("too long max_bytes={LANGFUSE_METRICS_BYTES}");
            return Err(ApiError::parameter("query", message));
        }
        let question: Question = serde_json::from_str(text)
            .map_err(|e| ApiError::parameter("query", format!("not such an object: {e}")))?;
        let mut chosen = Chosen::default();
        let over = over(&question.view, traces, &mut chosen)?;
        conditions::each(&mut chosen, over, &question.filters, "query.filters")?;
        let (from, to) = question.range()?;
        chosen.row(Filter::Is(Column::Start, Test::Ge(Literal::I64(from))));
        chosen.row(Filter::Is(Column::Start, Test::Lt(Literal::I64(to))));
        let names: Vec<String> = question
            .dimensions
            .iter()
            .map(|d| d.field.clone())
            .collect();
        let ways = all_ways(over, &names)?;
        let mut asked = Vec::new();
        for (at, metric) in question.metrics.iter().enumerate() {
            let found = Asked::of(over, &question.view, &metric.measure, &metric.aggregation);
            asked.push(found.map_err(|message| wrong(&format!("metrics[{at}]"), message))?);
        }
        if asked.is_empty() {
            return Err(wrong("metrics", "at least one is needed"));
        }
        let config = question.config.as_ref();
        let width = question.width((from, to))?;
        Ok(Self {
            over,
            chosen,
            ways,
            order: question.order(&names, &asked)?,
            bins: within(
                "config.bins",
                config.and_then(|c| c.bins),
                (LANGFUSE_METRICS_BINS_DEFAULT, LANGFUSE_METRICS_BINS_MAX),
            )?,
            limit: within(
                "config.row_limit",
                config.and_then(|c| c.row_limit),
                (LANGFUSE_METRICS_ROWS_DEFAULT, LANGFUSE_METRICS_ROWS_MAX),
            )?,
            names,
            asked,
            width,
        })
    }

    fn answer(self, view: &View, budget: &Budget<'_>) -> Result<Answer, ApiError> {
        let (over, chosen) = (self.over, self.chosen);
        let filter = match over {
            Over::Traces => chosen.over_runs(),
            _ => chosen.filter(view, budget)?,
        };
        let measures = figures::measures(&self.asked);
        let mut rows = Rows::default();
        for ways in &self.ways {
            let mut parts = vec![filter.clone()];
            parts.extend(ways.iter().filter_map(|way| way.only.clone()));
            let keys = ways.iter().filter_map(|way| way.key.clone());
            let time = self.width.map(|width| TimeBuckets {
                width_ns: match width {
                    Width::Ns(ns, _) => ns,
                    Width::Month => DAY_NS,
                },
                origin_ns: match width {
                    Width::Ns(_, origin) => origin,
                    Width::Month => 0,
                },
                range: None,
                fill: false,
            });
            let request = AggregateRequest {
                keys: keys.map(Key::new).collect(),
                time,
                ..AggregateRequest::new(Filter::And(parts), measures.clone())
            };
            let answer = view.aggregate(over.table(), &request, budget)?;
            if answer.groups_left_out > 0 {
                let message = "too many groups; narrow the question";
                return Err(ApiError::new(ErrorCode::QueryTooExpensive, message));
            }
            for group in &answer.groups {
                put(&mut rows, (ways, self.width), group, &measures);
            }
        }
        let mut data: Vec<Map<String, Value>> = Vec::new();
        for ((time, keys), sums) in rows.0 {
            let mut row = Map::new();
            for (name, key) in self.names.iter().zip(keys) {
                row.insert(name.clone(), serde_json::from_str(&key).unwrap_or_default());
            }
            if let Some(time) = time {
                row.insert(TIME.to_owned(), time.into());
            }
            for asked in &self.asked {
                row.insert(asked.name.clone(), sums.value(asked, &measures, self.bins));
            }
            data.push(row);
        }
        data.sort_by(|a, b| figures::compare(&self.order, a, b));
        data.truncate(self.limit);
        Ok(Answer { data })
    }
}

/// Rows of what; which of the scores is a filter.
fn over(view: &str, traces: bool, chosen: &mut Chosen) -> Result<Over, ApiError> {
    match view {
        "traces" if traces => return Ok(Over::Traces),
        "observations" => return Ok(Over::Spans),
        _ => {}
    }
    let types: &[&str] = match view {
        "scores-categorical" => &["CATEGORICAL", "TEXT", "CORRECTION"],
        "scores-boolean" => &["BOOLEAN"],
        "scores-numeric" => &["NUMERIC"],
        _ => {
            let known = "not of traces (older route alone), observations, scores-numeric, scores-boolean, scores-categorical";
            return Err(wrong("view", known));
        }
    };
    let filter = score::of_types(types.iter().copied());
    chosen.row(filter.expect("BUG: a type of scores that is not known"));
    Ok(Over::Scores)
}

/// Each way of the first dimension with each of the next.
fn all_ways(over: Over, names: &[String]) -> Result<Vec<Vec<Way>>, ApiError> {
    let mut all = vec![Vec::new()];
    for (at, name) in names.iter().enumerate() {
        let some = ways(over, name).ok_or_else(|| {
            let message = "no such dimension of this view to group by";
            wrong(&format!("dimensions[{at}]"), message)
        })?;
        if all.len() * some.len() > LANGFUSE_METRICS_WAYS_MAX {
            return Err(wrong("dimensions", "too many to group by at once"));
        }
        all = all
            .into_iter()
            .flat_map(|before: Vec<Way>| {
                let with = |way: &Way| [before.clone(), vec![way.clone()]].concat();
                some.iter().map(with).collect::<Vec<_>>()
            })
            .collect();
    }
    Ok(all)
}

/// Adds a group of one way, bucket by bucket.
fn put(
    rows: &mut Rows,
    (ways, width): (&[Way], Option<Width>),
    group: &Group,
    measures: &[Measure],
) {
    let mut found = group.keys.iter();
    let keys: Vec<String> = ways
        .iter()
        .map(|way| match &way.key {
            Some(_) => found
                .next()
                .and_then(Option::as_ref)
                .map_or(Value::Null, key_value),
            None => way.value.clone(),
        })
        .map(|value| value.to_string())
        .collect();
    match width {
        None => rows.add((None, keys), &group.figures, measures),
        Some(width) => {
            for point in group.points.iter().filter(|point| point.figures.rows > 0) {
                let mut time = format_nanos(point.start_ns);
                if matches!(width, Width::Month) {
                    // The first day of the month that the day is in.
                    time.replace_range(8..10, "01");
                }
                rows.add((Some(time), keys.clone()), &point.figures, measures);
            }
        }
    }
}

/// A number from 1 to a bound, or what it is if it is not given.
fn within(
    at: &str,
    given: Option<usize>,
    (default, max): (usize, usize),
) -> Result<usize, ApiError> {
    match given {
        None => Ok(default),
        Some(n) if (1..=max).contains(&n) => Ok(n),
        Some(_) => Err(wrong(at, format!("not a number from 1 to {max}"))),
    }
}

impl Question {
    fn range(&self) -> Result<(i64, i64), ApiError> {
        let time = |at, text| {
            parse_time(text).ok_or_else(|| wrong(at, "not a time like 2026-01-31T12:00:00Z"))
        };
        let from = time("fromTimestamp", &self.from_timestamp)?;
        let to = time("toTimestamp", &self.to_timestamp)?;
        if from >= to {
            return Err(wrong("toTimestamp", "not after fromTimestamp"));
        }
        Ok((from, to))
    }

    fn width(&self, (from, to): (i64, i64)) -> Result<Option<Width>, ApiError> {
        let Some(buckets) = &self.time_dimension else {
            return Ok(None);
        };
        let seconds = |s: i64| Width::Ns(s * SECOND_NS, 0);
        Ok(Some(match buckets.granularity.as_str() {
            "minute" => seconds(60),
            "hour" => seconds(3_600),
            "day" => seconds(86_400),
            "week" => Width::Ns(7 * DAY_NS, MONDAY_NS),
            "month" => Width::Month,
            "auto" => {
                let long = to.saturating_sub(from) / SECOND_NS;
                let fits = WIDTHS_S.into_iter().find(|s| long / s <= AUTO_BUCKETS);
                seconds(fits.unwrap_or(WIDTHS_S[WIDTHS_S.len() - 1]))
            }
            _ => {
                let known = "not of auto, minute, hour, day, week, month";
                return Err(wrong("timeDimension.granularity", known));
            }
        }))
    }

    /// Names of what rows are ordered by, and whether the largest come first. If nothing is said: by
    /// time, then by the first metric.
    fn order(&self, names: &[String], asked: &[Asked]) -> Result<Vec<(String, bool)>, ApiError> {
        let mut order = Vec::new();
        for (at, by) in self.order_by.iter().flatten().enumerate() {
            let place = format!("orderBy[{at}]");
            let is_time = matches!(by.field.as_str(), TIME | "timeDimension");
            let is_known = (is_time && self.time_dimension.is_some())
                || names.contains(&by.field)
                || asked.iter().any(|asked| asked.name == by.field);
            if !is_known {
                let message = "no dimension or metric of the question, like count_count";
                return Err(wrong(&place, message));
            }
            let name = if is_time { TIME } else { &by.field };
            order.push((
                name.to_owned(),
                match by.direction.as_str() {
                    "asc" => false,
                    "desc" => true,
                    _ => return Err(wrong(&place, "direction is not asc or desc")),
                },
            ));
        }
        if order.is_empty() {
            order.push((TIME.to_owned(), false));
            order.extend(asked.first().map(|first| (first.name.clone(), true)));
        }
        Ok(order)
    }
}
