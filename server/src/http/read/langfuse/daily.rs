//! `GET /api/public/metrics/daily`: days, what they cost and by which models, as version 2 of the SDK asks it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::model;
use obsrv_engine::query::Budget;
use obsrv_engine::query::aggregate::{
    AggregateRequest, DistinctMode, Figures, Key, Measure, TimeBuckets,
};
use obsrv_engine::query::ast::Filter;
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;
use serde::Serialize;
use serde_json::Value;

use super::ask::{Chosen, eq, list, runs};
use super::facts::{called, column, is};
use super::pages::{Listed, NUMBERED, Numbered, answer};
use super::path;
use crate::dialect::format_nanos;
use crate::http::App;
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::params::Params;
use crate::http::read::aggregate::key_value;
use crate::http::read::ask::check_known;
use crate::http::read::figures::{count, float, number, whole};
use crate::http::routes::Routes;
use crate::http::store::View;

const KNOWN: [&str; 6] = [
    "traceName",
    "userId",
    "tags",
    "environment",
    "fromTimestamp",
    "toTimestamp",
];
const DAY_NS: i64 = 86_400_000_000_000;

/// A day of UTC.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Day {
    date: String,
    count_traces: u64,
    count_observations: u64,
    total_cost: f64,
    usage: Vec<OfModel>,
}

/// What a model was used for on a day.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OfModel {
    model: Value,
    input_usage: i64,
    output_usage: i64,
    total_usage: i64,
    count_traces: u64,
    count_observations: u64,
    total_cost: f64,
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .get(&path("/metrics/daily"), TraceRead, days)
        .asks("page", "from 1")
        .asks("limit", "1 to 100 days; 50 if not given")
        .asks("traceName", "the name of traces")
        .asks("userId", "their user")
        .asks("tags", "all of these; may be repeated")
        .asks("environment", "one of these; may be repeated")
        .asks("fromTimestamp", "earliest start")
        .asks("toTimestamp", "the start before which they are")
        .says("Traces, observations and cost by day and model, in Langfuse's words.");
}

async fn days(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &[&KNOWN[..], &NUMBERED].concat())?;
    let numbered = Numbered::of(&params)?;
    let (runs, spans) = (runs(&params)?, spans(&params)?);
    answer(&access, &app, move |view, budget| {
        let spans = spans.filter(view, budget)?;
        let mut days = BTreeMap::new();
        put_runs(&mut days, view, runs.over_runs(), budget)?;
        put_spans(&mut days, view, spans.clone(), budget)?;
        put_models(&mut days, view, spans, budget)?;
        let total = u64::try_from(days.len()).unwrap_or(u64::MAX);
        let page = days.into_iter().rev().skip(numbered.before());
        let page = page.take(numbered.limit).map(|(start_ns, day)| Day {
            date: format_nanos(start_ns).chars().take(10).collect(),
            ..day
        });
        Ok(Listed {
            data: page.collect::<Vec<Day>>(),
            meta: numbered.meta(total),
        })
    })
    .await
}

fn spans(params: &Params) -> Result<Chosen, ApiError> {
    let mut chosen = Chosen::default();
    if let Some(text) = params.one("traceName")? {
        chosen.run(called(text));
    }
    if let Some(text) = params.one("userId")? {
        chosen.run(is(model::USER_ID, eq(text)));
    }
    for tag in list(params, "tags") {
        chosen.run(is(model::TAGS, eq(tag)));
    }
    chosen.environment(params);
    chosen.during(params, ("fromTimestamp", "toTimestamp"))?;
    Ok(chosen)
}

fn by_day(filter: Filter, measures: Vec<Measure>) -> AggregateRequest {
    AggregateRequest {
        time: Some(TimeBuckets {
            width_ns: DAY_NS,
            origin_ns: 0,
            range: None,
            fill: false,
        }),
        ..AggregateRequest::new(filter, measures)
    }
}

type Days = BTreeMap<i64, Day>;

fn put_runs(
    days: &mut Days,
    view: &View,
    filter: Filter,
    budget: &Budget<'_>,
) -> Result<(), ApiError> {
    let request = by_day(filter, vec![Measure::Count]);
    let answer = view.aggregate(Table::Runs, &request, budget)?;
    for point in answer.groups.iter().flat_map(|group| &group.points) {
        days.entry(day(point.start_ns)).or_default().count_traces += point.figures.rows;
    }
    Ok(())
}

const fn day(start_ns: i64) -> i64 {
    start_ns.div_euclid(DAY_NS) * DAY_NS
}

fn put_spans(
    days: &mut Days,
    view: &View,
    filter: Filter,
    budget: &Budget<'_>,
) -> Result<(), ApiError> {
    let request = by_day(filter, vec![Measure::Sum(column(model::COST))]);
    let answer = view.aggregate(Table::Spans, &request, budget)?;
    for point in answer.groups.iter().flat_map(|group| &group.points) {
        let day = days.entry(day(point.start_ns)).or_default();
        day.count_observations += point.figures.rows;
        day.total_cost += dollars(&point.figures, 0);
    }
    Ok(())
}

fn put_models(
    days: &mut Days,
    view: &View,
    filter: Filter,
    budget: &Budget<'_>,
) -> Result<(), ApiError> {
    let sum = |path: &str| Measure::Sum(column(path));
    let traces = Measure::Distinct {
        column: Column::TraceId,
        mode: DistinctMode::ExactOrEstimated,
    };
    let measures = vec![
        sum("tokens.input"),
        sum("tokens.output"),
        sum("tokens.total"),
        sum(model::COST),
        traces,
    ];
    let request = AggregateRequest {
        keys: vec![Key {
            column: column(model::MODEL),
            absent: false,
        }],
        ..by_day(filter, measures)
    };
    let answer = view.aggregate(Table::Spans, &request, budget)?;
    for group in &answer.groups {
        let model = group.keys.first().and_then(Option::as_ref).map(key_value);
        for point in group.points.iter().filter(|point| point.figures.rows > 0) {
            let figures = &point.figures;
            days.entry(day(point.start_ns))
                .or_default()
                .usage
                .push(OfModel {
                    model: model.clone().unwrap_or(Value::Null),
                    input_usage: whole(figures, 0).unwrap_or(0),
                    output_usage: whole(figures, 1).unwrap_or(0),
                    total_usage: whole(figures, 2).unwrap_or(0),
                    count_traces: count(figures, 4),
                    count_observations: figures.rows,
                    total_cost: dollars(figures, 3),
                });
        }
    }
    Ok(())
}

/// Of a sum whose rows may have none.
fn dollars(figures: &Figures, at: usize) -> f64 {
    number(figures, at).map_or(0.0, float)
}
