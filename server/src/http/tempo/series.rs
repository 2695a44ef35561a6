//! `GET …/api/metrics/query_range` and `…/query`

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::query::traceql::ast::{Fold, Measure, Metrics, Static};
use obsrv_engine::query::traceql::{EXEMPLARS_MAX, Exemplar, Query, Series, SeriesRequest};
use serde_json::{Map, Value, json};

use super::read::{length, nanos, query, step, time, up_to};
use super::said::{any, entry};
use super::trace::shown_id;
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::params::Params;
use crate::http::{App, query as ask};
use crate::limits::{TEMPO_STEPS_DEFAULT, TOOL_TIME_DEFAULT};
use crate::wire;

/// What is asked.
struct Asked {
    query: Query,
    from_ns: i64,
    to_ns: i64,
    step_ns: i64,
    is_instant: bool,
    exemplars: usize,
}

impl Asked {
    fn of(params: &Params, now_ns: i64, is_instant: bool) -> Result<Self, ApiError> {
        let text = match params.one("q")? {
            Some(text) => text,
            None => params.one("query")?.unwrap_or(""),
        };
        let query = query("q", text)?;
        if query.metrics.is_none() {
            return Err(ApiError::parameter(
                "q",
                "no function over time such as rate()",
            ));
        }
        let at = |name: &str| params.one(name)?.map(|text| time(name, text)).transpose();
        let to_ns = at("end")?.unwrap_or(now_ns);
        let since = match params.one("since")? {
            Some(text) => length("since", text)?,
            None => nanos(TOOL_TIME_DEFAULT.as_secs_f64()).unwrap_or(0),
        };
        let from_ns = at("start")?.unwrap_or_else(|| to_ns.saturating_sub(since));
        if from_ns >= to_ns {
            let message = "http parameter start must be before end";
            return Err(ApiError::parameter("start", message));
        }
        let asked = params.one("step")?.map(step).transpose()?;
        let (from_ns, to_ns, step_ns) = if is_instant {
            (from_ns, to_ns, to_ns.saturating_sub(from_ns))
        } else {
            aligned(
                from_ns,
                to_ns,
                asked.unwrap_or_else(|| step_for(from_ns, to_ns)),
            )
        };
        let exemplars = if is_instant {
            0
        } else {
            exemplars(&query, params)?
        };
        Ok(Self {
            query,
            from_ns,
            to_ns,
            step_ns,
            is_instant,
            exemplars,
        })
    }
}

/// How many spans are shown beside each series: the query says it before the parameter does, of which
/// 0 is as good as none, as Tempo has it.
fn exemplars(query: &Query, params: &Params) -> Result<usize, ApiError> {
    let asked = match up_to(params, "exemplars", 0, EXEMPLARS_MAX)? {
        0 => EXEMPLARS_MAX,
        some => some,
    };
    let hint = query.hints.iter().find(|(name, _)| &**name == "exemplars");
    Ok(match hint {
        Some((_, Static::Int(n))) => usize::try_from(*n).unwrap_or(0).min(EXEMPLARS_MAX),
        Some((_, Static::Bool(false))) => 0,
        _ => asked,
    })
}

/// A round step that gives about [`TEMPO_STEPS_DEFAULT`] of them.
fn step_for(from_ns: i64, to_ns: i64) -> i64 {
    const ROUND_S: [i64; 6] = [3600, 300, 60, 15, 5, 1];
    let seconds = to_ns.saturating_sub(from_ns) / 1_000_000_000 / TEMPO_STEPS_DEFAULT;
    let round = ROUND_S.into_iter().find(|round| *round <= seconds);
    let seconds = round.map_or(1, |round| seconds / round * round);
    seconds.saturating_mul(1_000_000_000)
}

/// The range out to whole steps.
fn aligned(from_ns: i64, to_ns: i64, step_ns: i64) -> (i64, i64, i64) {
    let from = from_ns.saturating_sub(from_ns.rem_euclid(step_ns));
    let over = to_ns.rem_euclid(step_ns);
    let to = if over == 0 {
        to_ns
    } else {
        to_ns.saturating_add(step_ns - over)
    };
    (from, to, step_ns)
}

pub(super) async fn range(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    answer(&access, &app, raw, false).await
}

pub(super) async fn instant(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    answer(&access, &app, raw, true).await
}

async fn answer(
    access: &Access<TraceRead>,
    app: &Arc<App>,
    raw: Option<String>,
    is_instant: bool,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    let asked = Asked::of(&params, app.clock.wall_ns(), is_instant)?;
    let store = app.core()?.store(access.tenant());
    let body = ask::ask(app, access.tenant(), move |budget| {
        let request = SeriesRequest {
            query: &asked.query,
            from_ns: asked.from_ns,
            to_ns: asked.to_ns,
            step_ns: asked.step_ns,
            exemplars: asked.exemplars,
        };
        let found = store.view().traceql_series(&request, budget)?;
        let all = found.series.iter().filter_map(|one| shown(one, &asked));
        Ok(json!({
            "series": all.collect::<Vec<Value>>(),
            "metrics": {
                "inspectedBytes": found.explain.bytes_read.to_string(),
                "inspectedSpans": found.explain.rows_visited.to_string(),
            },
        })
        .to_string())
    })
    .await?;
    Ok(wire::json_response(body))
}

fn shown(series: &Series, asked: &Asked) -> Option<Value> {
    let mut labels: Vec<Value> = series
        .labels
        .iter()
        .map(|(name, value)| entry(name, any(value.as_ref())))
        .collect();
    if labels.is_empty()
        && let Some(metrics) = &asked.query.metrics
    {
        labels.push(entry(
            "__name__",
            json!({ "stringValue": function(metrics) }),
        ));
    }
    // Floats that are not finite have no JSON.
    let points = series.points.iter().filter(|(_, value)| value.is_finite());
    let mut shown = Map::new();
    shown.insert("labels".to_owned(), Value::Array(labels));
    if asked.is_instant {
        let (_, value) = series
            .points
            .first()
            .filter(|(_, value)| value.is_finite())?;
        shown.insert("value".to_owned(), json!(value));
    } else {
        let points = points.map(
            |(at, value)| json!({ "timestampMs": (at / 1_000_000).to_string(), "value": value }),
        );
        shown.insert("samples".to_owned(), points.collect());
        if !series.exemplars.is_empty() {
            let exemplars = series.exemplars.iter().map(exemplar);
            shown.insert("exemplars".to_owned(), exemplars.collect());
        }
    }
    Some(Value::Object(shown))
}

/// A span beside a series, by the names that Grafana looks for.
fn exemplar(exemplar: &Exemplar) -> Value {
    let text = |text: &str| json!({ "stringValue": text });
    json!({
        "labels": [
            entry("trace:id", text(&shown_id(&exemplar.trace_id))),
            entry("span:id", text(&exemplar.span_id)),
        ],
        "value": exemplar.value,
        "timestampMs": (exemplar.start_ns / 1_000_000).to_string(),
    })
}

fn function(metrics: &Metrics) -> String {
    let name = match &metrics.measure {
        Measure::Math(math) => return math.name(&function),
        Measure::Rate => "rate",
        Measure::Count => "count_over_time",
        Measure::Of(Fold::Min, _) => "min_over_time",
        Measure::Of(Fold::Max, _) => "max_over_time",
        Measure::Of(Fold::Sum, _) => "sum_over_time",
        Measure::Of(Fold::Avg, _) => "avg_over_time",
        Measure::Quantiles(..) => "quantile_over_time",
        Measure::Histogram(_) => "histogram_over_time",
        Measure::Compare { .. } => "compare",
    };
    name.to_owned()
}
