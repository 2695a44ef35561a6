//! `POST …/aggregate`: what rows add up to, by key and over time.

pub(super) mod measure;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use obsrv_engine::query::aggregate::{
    AggregateAnswer, AggregateRequest, Figures, Group, GroupValue, Key, Point, Rank, TimeBuckets,
    Top,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use self::measure::{Asked, MeasureAsked};
use super::ask::{Over, Range, asked, length};
use super::damaged::{Damaged, damaged};
use super::list::json;
use super::path;
use crate::dialect::format_nanos;
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::input::Input;
use crate::http::routes::Routes;
use crate::http::{App, query};
use crate::limits::{AGGREGATE_GROUPS_DEFAULT, AGGREGATE_GROUPS_MAX};
use crate::wire;
use obsrv_engine::query::ast::Filter;
use obsrv_engine::source::Column;

/// What is to be added up.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// `traces`, `spans`, `scores`, `logs` or `points`; `traces` if not given.
    over: Option<String>,
    /// A filter, as in the search bar.
    q: Option<String>,
    /// A filter as JSON, beside `q`.
    filter: Option<Value>,
    /// Earliest start: RFC 3339, a date, `-1h` or `now`.
    from: Option<String>,
    /// The start before which they are.
    to: Option<String>,
    /// Keys by whose values rows are grouped; up to 4. Of traces and spans also `scores.NAME`: each value of a row's scores.
    #[serde(default)]
    group_by: Vec<String>,
    /// Length of time buckets, e.g. `1m`, `1h`, `1d`; none if not given.
    interval: Option<String>,
    /// Where some bucket starts, e.g. a local midnight; the epoch if not given.
    origin: Option<String>,
    /// Whether buckets without rows are listed. They are if not given.
    fill: Option<bool>,
    /// What is worked out; the count of rows if not given.
    #[serde(default)]
    measures: Vec<MeasureAsked>,
    /// `rows`, `keys` or the place of a measure, e.g. `1`; `-` before it is largest first; `-rows`
    /// if not given.
    sort: Option<String>,
    /// Groups that are listed; 100 if not given.
    limit: Option<usize>,
    /// Whether to tell what it cost.
    #[serde(default)]
    explain: bool,
    /// Whether to go on without rows that are damaged on disk; `damaged` says which those are.
    #[serde(default)]
    allow_partial: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Answer {
    groups: Vec<GroupShown>,
    /// Groups that are not listed.
    groups_left_out: u64,
    /// Of all rows that pass, each counted once.
    total: FiguresShown,
    /// Names of the measures, in the order of values.
    measures: Vec<String>,
    /// What is damaged on disk and left out; only with `allow_partial`.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<Vec<Damaged>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Value>,
}

/// Rows with the same values of the keys.
#[derive(Debug, Serialize, JsonSchema)]
struct GroupShown {
    /// The values; null is rows without one.
    by: Map<String, Value>,
    #[serde(flatten)]
    figures: FiguresShown,
    /// By time; only with `interval`.
    #[serde(skip_serializing_if = "Option::is_none")]
    buckets: Option<Vec<BucketShown>>,
}

/// What rows come to.
#[derive(Debug, Serialize, JsonSchema)]
struct FiguresShown {
    rows: u64,
    /// One for each measure: a number, null if there is none, a list for several quantiles, a list of
    /// `from`, `to`, `count` for a histogram.
    values: Vec<Value>,
}

/// A bucket of time.
#[derive(Debug, Serialize, JsonSchema)]
struct BucketShown {
    /// Its first start.
    at: String,
    /// The first start after it.
    end: String,
    #[serde(flatten)]
    figures: FiguresShown,
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .post(&path("/aggregate"), TraceRead, answer)
        .says("What rows add up to, by key and over time.")
        .takes::<Question>()
        .gives::<Answer>();
}

/// The question in the engine's terms.
struct Plan {
    over: Over,
    request: AggregateRequest,
    asked: Vec<Asked>,
    keys: Vec<String>,
    range: Range,
    explain: bool,
}

impl Plan {
    fn of(question: Question, now_ns: i64) -> Result<Self, ApiError> {
        let over = question
            .over
            .as_deref()
            .map_or(Ok(Over::Traces), Over::named)?;
        let range = Range::of(question.from.as_deref(), question.to.as_deref(), now_ns)?;
        let (q, json) = (question.q.as_deref(), question.filter.as_ref());
        let filter = asked(over, (q, json), now_ns)?;
        let asked = measure::asked(over, &question.measures, now_ns)?;
        let time = buckets(&question, range, now_ns)?;
        if time.is_none() && range.both().is_none() && asked.iter().any(Asked::is_rate) {
            let message = "a rate needs an interval, or from and to";
            return Err(ApiError::parameter("measures", message));
        }
        // The buckets' own range leaves the shares of segments usable for the next question.
        let filter = match time.and_then(|time| time.range) {
            Some(_) => filter,
            None => range.and(filter),
        };
        let limit = question.limit.unwrap_or(AGGREGATE_GROUPS_DEFAULT);
        if limit > AGGREGATE_GROUPS_MAX {
            let message = format!("too many groups max={AGGREGATE_GROUPS_MAX}");
            return Err(ApiError::parameter("limit", message));
        }
        let keys = question.group_by.iter().map(|name| over.key(name));
        let keys: Vec<Column> = keys.collect();
        // Groups by trace are of what is in one.
        let filter = match keys.iter().find(|column| over.hides(column)) {
            Some(column) => Filter::And(vec![filter, over.has(column)]),
            None => filter,
        };
        Ok(Self {
            over,
            request: AggregateRequest {
                filter,
                keys: keys.into_iter().map(Key::new).collect(),
                time,
                measures: asked.iter().map(|asked| asked.measure.clone()).collect(),
                top: top(question.sort.as_deref().unwrap_or("-rows"), limit)?,
            },
            asked,
            keys: question.group_by,
            range,
            explain: question.explain,
        })
    }

    fn shown(&self, answer: &AggregateAnswer) -> Answer {
        Answer {
            groups: answer
                .groups
                .iter()
                .map(|group| self.group(group))
                .collect(),
            groups_left_out: answer.groups_left_out,
            total: self.figures(&answer.total, self.range.both()),
            measures: self.asked.iter().map(|asked| asked.name.clone()).collect(),
            damaged: None,
            explain: self.explain.then(|| wire::explained(&answer.explain)),
        }
    }

    fn group(&self, group: &Group) -> GroupShown {
        let values = group
            .keys
            .iter()
            .map(|value| value.as_ref().map_or(Value::Null, key_value));
        let buckets = || {
            group
                .points
                .iter()
                .map(|point| self.bucket(point))
                .collect()
        };
        GroupShown {
            by: self.keys.iter().cloned().zip(values).collect(),
            figures: self.figures(&group.figures, self.range.both()),
            buckets: self.request.time.is_some().then(buckets),
        }
    }

    fn bucket(&self, point: &Point) -> BucketShown {
        BucketShown {
            at: format_nanos(point.start_ns),
            end: format_nanos(point.end_ns),
            figures: self.figures(&point.figures, Some((point.start_ns, point.end_ns))),
        }
    }

    fn figures(&self, figures: &Figures, time: Option<(i64, i64)>) -> FiguresShown {
        let values = self.asked.iter().zip(&figures.measures);
        FiguresShown {
            rows: figures.rows,
            values: values
                .map(|(asked, measured)| asked.value(measured, figures.rows, time))
                .collect(),
        }
    }
}

fn buckets(
    question: &Question,
    range: Range,
    now_ns: i64,
) -> Result<Option<TimeBuckets>, ApiError> {
    let Some(interval) = question.interval.as_deref() else {
        return Ok(None);
    };
    let origin = question.origin.as_deref();
    let origin = origin
        .map(|text| super::ask::time("origin", text, now_ns))
        .transpose()?;
    Ok(Some(TimeBuckets {
        width_ns: length("interval", interval)?,
        origin_ns: origin.unwrap_or(0),
        range: range.both(),
        fill: question.fill.unwrap_or(true),
    }))
}

fn top(sort: &str, limit: usize) -> Result<Top, ApiError> {
    let (descending, name) = sort
        .strip_prefix('-')
        .map_or((false, sort), |name| (true, name));
    let refused = || ApiError::parameter("sort", "not rows, keys or the place of a measure");
    let by = match name {
        "rows" => Rank::Rows,
        "keys" => Rank::Keys,
        place => Rank::Measure(place.parse().map_err(|_| refused())?, 0),
    };
    Ok(Top {
        by,
        descending,
        limit,
    })
}

/// A value of a key; one too long for a column is told by its fingerprint.
pub(super) fn key_value(value: &GroupValue) -> Value {
    match value {
        GroupValue::Bool(b) => json!(b),
        GroupValue::I64(n) => json!(n),
        GroupValue::F64(n) => json!(n),
        GroupValue::Str(text) => json!(text),
        GroupValue::Long(hash) => json!(format!("xxh3:{hash:016x}")),
    }
}

async fn answer(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    Input(question): Input<Question>,
) -> Result<Response, ApiError> {
    let partial = question.allow_partial;
    let plan = Plan::of(question, app.clock.wall_ns())?;
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let view = store.view_or(partial);
        let answer = view.aggregate(plan.over.table(), &plan.request, budget)?;
        json(&Answer {
            damaged: damaged(view.left_out()),
            ..plan.shown(&answer)
        })
    })
    .await?;
    Ok(wire::json_response(body))
}
