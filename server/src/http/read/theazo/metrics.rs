//! `GET /v1/agents/metrics`, `GET /v1/agents/{agent}/metrics`: what the platform's metrics were over time.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::query::aggregate::{
    AggregateRequest, DistinctMode, Figures, Measure, TimeBuckets, Value as Figure,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::filter::{AGENT_IDS, of_agent};
use super::logs::range;
use crate::dialect::format_nanos;
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::input::InPath;
use crate::http::params::Params;
use crate::http::read::aggregate::measure::number_value;
use crate::http::read::ask::{Over, check_known};
use crate::http::read::list::json;
use crate::http::routes::Routes;
use crate::http::{App, query};
use crate::wire;

const KNOWN: [&str; 4] = ["metric", "interval", "since", "until"];

const MINUTE_NS: i64 = 60 * 1_000_000_000;
const DAY_NS: i64 = 24 * 60 * MINUTE_NS;

/// Lengths of buckets, and how long a series is when nobody says.
const INTERVALS: [(&str, i64, i64); 4] = [
    ("1m", MINUTE_NS, 60 * MINUTE_NS),
    ("5m", 5 * MINUTE_NS, 6 * 60 * MINUTE_NS),
    ("1h", 60 * MINUTE_NS, DAY_NS),
    ("1d", DAY_NS, 30 * DAY_NS),
];

/// What a metric is worked out from.
#[derive(Clone, Copy, Debug)]
enum From {
    /// Different values of the attributes that name an agent.
    Agents,
    Count,
    Sum(&'static str),
    Average(&'static str),
    Quantile(&'static str, f64),
    /// Of the rows, those that pass.
    Share(&'static str),
}

/// A metric: over which rows, which of them, what of them, in which unit.
struct Metric {
    name: &'static str,
    over: Over,
    q: &'static str,
    from: From,
    unit: f64,
}

const fn metric(name: &'static str, over: Over, q: &'static str, from: From, unit: f64) -> Metric {
    Metric {
        name,
        over,
        q,
        from,
        unit,
    }
}

const MS: f64 = 1e-6;
const CENTS: f64 = 100.0;
const BOOT: &str = "attributes.theazo.operation:sandbox.boot";

const METRICS: [Metric; 13] = [
    metric("agents.active", Over::Spans, "", From::Agents, 1.0),
    metric(
        "agents.boot_time",
        Over::Spans,
        BOOT,
        From::Average("duration"),
        MS,
    ),
    metric("runs.total", Over::Traces, "", From::Count, 1.0),
    metric(
        "error_rate",
        Over::Traces,
        "",
        From::Share("status:error"),
        1.0,
    ),
    metric("cost.total", Over::Spans, "", From::Sum("cost"), CENTS),
    metric("latency", Over::Traces, "", From::Average("duration"), MS),
    metric(
        "latency.p50",
        Over::Traces,
        "",
        From::Quantile("duration", 0.5),
        MS,
    ),
    metric(
        "latency.p95",
        Over::Traces,
        "",
        From::Quantile("duration", 0.95),
        MS,
    ),
    metric(
        "latency.p99",
        Over::Traces,
        "",
        From::Quantile("duration", 0.99),
        MS,
    ),
    metric("tokens", Over::Spans, "", From::Sum("tokens.total"), 1.0),
    metric(
        "tokens.total",
        Over::Spans,
        "",
        From::Sum("tokens.total"),
        1.0,
    ),
    metric(
        "tokens.input",
        Over::Spans,
        "",
        From::Sum("tokens.input"),
        1.0,
    ),
    metric(
        "tokens.output",
        Over::Spans,
        "",
        From::Sum("tokens.output"),
        1.0,
    ),
];

/// A bucket of time.
#[derive(Debug, Serialize, JsonSchema)]
struct Sample {
    /// Its first instant, ISO 8601.
    timestamp: String,
    /// Null where there is nothing that it could be worked out from.
    value: Option<f64>,
}

pub(super) fn add(routes: &mut Routes) {
    for (path, of_agent) in [
        ("/v1/agents/metrics", false),
        ("/v1/agents/{agent}/metrics", true),
    ] {
        let route = if of_agent {
            routes.get(path, TraceRead, of_one)
        } else {
            routes.get(path, TraceRead, of_all)
        };
        route
            .asks(
                "metric",
                "`agents.active`, `agents.boot_time` (ms), `runs.total`, `error_rate` (0 to 1), `cost.total` (cents), `latency` (average), `latency.p50`, `latency.p95`, `latency.p99` (ms), `tokens` or `tokens.total`, `tokens.input` or `tokens.output`",
            )
            .asks("interval", "`1m`, `5m`, `1h` or `1d`; `1h` if not given")
            .asks("since", "earliest time; an hour, 6 hours, a day or 30 days before `until` if not given")
            .asks("until", "the time before which they are; now if not given")
            .says("A metric of the platform over time.")
            .gives::<Vec<Sample>>();
    }
}

async fn of_all(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    show(access, app, raw, None).await
}

async fn of_one(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let agent = place.text("agent").to_owned();
    show(access, app, raw, Some(agent)).await
}

fn named(params: &Params) -> Result<&'static Metric, ApiError> {
    let name = params.one("metric")?.unwrap_or("");
    METRICS.iter().find(|m| m.name == name).ok_or_else(|| {
        let names: Vec<&str> = METRICS.iter().map(|m| m.name).collect();
        ApiError::parameter("metric", format!("not of {}", names.join(", ")))
    })
}

fn buckets(params: &Params, now_ns: i64) -> Result<TimeBuckets, ApiError> {
    let interval = params.one("interval")?.unwrap_or("1h");
    let found = INTERVALS.iter().find(|(name, ..)| *name == interval);
    let refused = || ApiError::parameter("interval", "not of 1m, 5m, 1h, 1d");
    let (_, width_ns, length) = *found.ok_or_else(refused)?;
    let range = range(params, now_ns)?;
    let until = range.to.unwrap_or(now_ns);
    let since = range.from.unwrap_or(until.saturating_sub(length));
    Ok(TimeBuckets {
        width_ns,
        origin_ns: 0,
        range: Some((since, until)),
        fill: true,
    })
}

impl Metric {
    fn measures(&self, now_ns: i64) -> Result<Vec<Measure>, ApiError> {
        let over = self.over;
        Ok(match self.from {
            From::Agents => AGENT_IDS
                .iter()
                .map(|name| Measure::Distinct {
                    column: over.column(&format!("attributes.{name}")),
                    mode: DistinctMode::ExactOrEstimated,
                })
                .collect(),
            From::Count => vec![Measure::Count],
            From::Sum(of) => vec![Measure::Sum(over.column(of))],
            From::Average(of) => vec![Measure::Avg(over.column(of))],
            From::Quantile(of, at) => vec![Measure::Quantiles {
                column: over.column(of),
                at: vec![at],
            }],
            From::Share(q) => vec![Measure::CountIf(over.searched(q, now_ns)?)],
        })
    }

    /// Which rows; of runs those with a span of the agent.
    fn search(&self, agent: Option<&str>) -> String {
        let agent = agent.map(of_agent).unwrap_or_default();
        match self.over {
            Over::Traces if !agent.is_empty() => format!("{{{agent}}} {}", self.q),
            _ => format!("{agent} {}", self.q),
        }
    }

    fn value(&self, figures: &Figures) -> Option<f64> {
        let mut values = figures.measures.iter().map(|m| number(&m.value));
        let value = match self.from {
            From::Agents => Some(values.flatten().sum()),
            From::Count => Some(float(figures.rows)),
            // Nothing adds up to nothing.
            From::Sum(_) => Some(values.next()?.unwrap_or(0.0)),
            From::Average(_) | From::Quantile(..) => values.next()?,
            From::Share(_) if figures.rows == 0 => None,
            From::Share(_) => Some(values.next()?? / float(figures.rows)),
        };
        value.map(|value| value * self.unit)
    }
}

fn number(figure: &Figure) -> Option<f64> {
    match figure {
        Figure::Count(count) | Figure::Distinct { count, .. } => Some(float(*count)),
        Figure::Number(number) => number_value((*number)?).as_f64(),
        Figure::Quantiles(all) => all.first().copied().flatten(),
        Figure::Histogram(_) => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
const fn float(n: u64) -> f64 {
    n as f64
}

async fn show(
    access: Access<TraceRead>,
    app: Arc<App>,
    raw: Option<String>,
    agent: Option<String>,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &KNOWN)?;
    let now_ns = app.clock.wall_ns();
    let metric = named(&params)?;
    let filter = metric
        .over
        .searched(&metric.search(agent.as_deref()), now_ns)?;
    let request = AggregateRequest {
        time: Some(buckets(&params, now_ns)?),
        ..AggregateRequest::new(filter, metric.measures(now_ns)?)
    };
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let answer = store
            .view()
            .aggregate(metric.over.table(), &request, budget)?;
        let points = answer.groups.iter().flat_map(|group| &group.points);
        let samples = points.map(|point| Sample {
            timestamp: format_nanos(point.start_ns),
            value: metric.value(&point.figures),
        });
        json(&samples.collect::<Vec<_>>())
    })
    .await?;
    Ok(wire::json_response(body))
}
