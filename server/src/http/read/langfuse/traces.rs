//! `GET /api/public/traces`, `…/traces/{id}`; `DELETE` of one and of a list.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use obsrv_engine::engine::ReadBody;
use obsrv_engine::model;
use obsrv_engine::query::{Budget, Order, QueryError, Request};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;
use serde::Deserialize;
use serde_json::json;

use super::ask::{list, runs};
use super::conditions;
use super::members::Members;
use super::observation::{Form, Group, observation};
use super::pages::{Listed, NUMBERED, Numbered, answer};
use super::trace::{With, trace};
use super::{path, score};
use crate::dialect::theta_read::StoredRow;
use crate::http::App;
use crate::http::access::{Access, TraceDelete, TraceRead};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::input::{InPath, Input};
use crate::http::params::Params;
use crate::http::read::ask::{Over, check_known};
use crate::http::read::trace::{run_of, scores_of, trace_id};
use crate::http::routes::{Route, Routes};
use crate::http::store::View;
use crate::http::trace::{check_id, delete_one, stored_id};
use crate::limits::{
    LANGFUSE_DELETED_MAX, LANGFUSE_IDS_MAX, LANGFUSE_OBSERVATIONS_MAX, LANGFUSE_PAGE_ROWS_MAX,
};
use crate::wire;

const KNOWN: [&str; 11] = [
    "name",
    "userId",
    "sessionId",
    "version",
    "release",
    "environment",
    "tags",
    "fromTimestamp",
    "toTimestamp",
    "orderBy",
    "filter",
];

/// Names of columns that lists can be ordered by.
const ORDERS: [(&str, &str); 9] = [
    ("id", "trace_id"),
    ("timestamp", "start"),
    ("name", model::NAME),
    ("userId", model::USER_ID),
    ("sessionId", model::GROUP),
    ("release", "release"),
    ("version", "version"),
    ("latency", "duration"),
    ("totalCost", model::COST),
];

fn asks(route: &mut Route) -> &mut Route {
    route
        .asks("page", "from 1")
        .asks("limit", "1 to 100; 50 if not given")
        .asks("name", "the name of the trace")
        .asks("userId", "its user")
        .asks("sessionId", "its thread")
        .asks("version", "its version")
        .asks("release", "its release")
        .asks("environment", "one of these; may be repeated")
        .asks("tags", "all of these; may be repeated")
        .asks("fromTimestamp", "earliest start")
        .asks("toTimestamp", "the start before which they are")
        .asks("orderBy", "`timestamp.desc`, `name.asc`, …")
        .asks(
            "fields",
            "of `core`, `io`, `scores`, `observations`, `metrics`; all if not given",
        )
        .asks("filter", "conditions as JSON")
}

pub(super) fn add(routes: &mut Routes) {
    let (all, one) = (path("/traces"), path("/traces/{trace}"));
    asks(routes.get(&all, TraceRead, many)).says("Traces, in Langfuse's words.");
    routes
        .delete(&all, TraceDelete, delete_many)
        .says("Delete traces by a list of ids, as Langfuse's clients ask it.")
        .takes::<Doomed>();
    routes
        .get(&one, TraceRead, show)
        .asks(
            "fields",
            "of `core`, `io`, `scores`, `observations`, `metrics`; all if not given",
        )
        .says("A trace with its observations and scores, in Langfuse's words.");
    routes
        .delete(&one, TraceDelete, delete)
        .says("Delete a trace, as Langfuse's clients ask it.");
}

/// What of a trace is told.
#[derive(Clone, Copy, Debug)]
struct Fields {
    with: With,
    scores: bool,
    observations: bool,
}

impl Fields {
    fn of(params: &Params) -> Result<Self, ApiError> {
        let names: Vec<&str> = list(params, "fields").collect();
        let known = ["core", "io", "scores", "observations", "metrics"];
        if let Some(name) = names.iter().find(|name| !known.contains(name)) {
            let message = format!("no such group of fields name={name}");
            return Err(ApiError::parameter("fields", message));
        }
        let has = |name| names.is_empty() || names.contains(&name);
        Ok(Self {
            with: With {
                io: has("io"),
                metrics: has("metrics"),
            },
            scores: has("scores"),
            observations: has("observations"),
        })
    }
}

fn order(params: &Params) -> Result<Order, ApiError> {
    let text = params.one("orderBy")?.unwrap_or("timestamp.desc");
    let read = || {
        let (name, way) = text.split_once('.')?;
        let (_, key) = ORDERS.iter().find(|(known, _)| *known == name)?;
        let descending = match way.to_ascii_lowercase().as_str() {
            "desc" => true,
            "asc" => false,
            _ => return None,
        };
        let column = Over::Traces.column(key);
        Some(Order { column, descending })
    };
    read().ok_or_else(|| {
        let names = ORDERS.map(|(name, _)| name).join(", ");
        let message = format!("not a field with .asc or .desc fields={names}");
        ApiError::parameter("orderBy", message)
    })
}

async fn many(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    let known = [&KNOWN[..], &NUMBERED, &["fields"]].concat();
    check_known(&params, &known)?;
    let (numbered, fields) = (Numbered::of(&params)?, Fields::of(&params)?);
    let mut chosen = runs(&params)?;
    if let Some(text) = params.one("filter")? {
        conditions::add(&mut chosen, (Over::Traces, text))?;
    }
    let mut request = Request::new(chosen.over_runs(), LANGFUSE_PAGE_ROWS_MAX);
    request.order = order(&params)?;
    let project = access.tenant().project().0;
    answer(&access, &app, move |view, budget| {
        let (rows, total) = numbered.rows(view, (Table::Runs, request), budget)?;
        let mut ids = 0;
        let data = rows.iter().map(|run| {
            let mut shown = trace(run, project, fields.with);
            let mut of = |table, told: bool| {
                if told {
                    ids_of(view, (table, &run.core.trace_id), &mut ids, budget)
                } else {
                    Ok(Vec::new())
                }
            };
            let observations = of(Table::Spans, fields.observations)?;
            let scores = of(Table::Scores, fields.scores)?;
            shown
                .put("observations", observations)
                .put("scores", scores);
            Ok::<_, ApiError>(shown)
        });
        Ok(Listed {
            data: data.collect::<Result<Vec<_>, _>>()?,
            meta: numbered.meta(total),
        })
    })
    .await
}

/// Ids of the rows of a trace. `ids` counts those of the whole answer.
fn ids_of(
    view: &View,
    (table, trace_id): (Table, &str),
    ids: &mut usize,
    budget: &Budget<'_>,
) -> Result<Vec<String>, ApiError> {
    let mut found = Vec::new();
    view.each_row(table, trace_id, &mut |core, _body: ReadBody<'_>| {
        if (budget.cancelled)() {
            return Err(ApiError::from(QueryError::Cancelled));
        }
        *ids += 1;
        if *ids > LANGFUSE_IDS_MAX {
            let message = format!(
                "more than {LANGFUSE_IDS_MAX} observations on this page; a smaller limit, or fields=core,io,metrics"
            );
            return Err(ApiError::new(ErrorCode::QueryTooExpensive, message));
        }
        found.push(core.id.to_string());
        Ok(())
    })?;
    Ok(found)
}

/// Groups of a whole observation of the older form.
pub(super) const WHOLE: [Group; 9] = [
    Group::Core,
    Group::Basic,
    Group::Time,
    Group::Io,
    Group::Metadata,
    Group::Model,
    Group::Usage,
    Group::Prompt,
    Group::Metrics,
];

async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &["fields"])?;
    let fields = Fields::of(&params)?;
    let trace_id = stored_id(&app, access.tenant(), trace_id(&place, "trace")?).await?;
    let project = access.tenant().project().0;
    answer(&access, &app, move |view, budget| {
        let run = run_of(view, &trace_id)?;
        let mut shown = trace(&run, project, fields.with);
        let spans = if fields.observations {
            spans_of(view, &trace_id, budget)?
        } else {
            Vec::new()
        };
        let scores = if fields.scores {
            scores_of(view, &trace_id, budget)?.0
        } else {
            Vec::new()
        };
        let spans = spans.iter();
        let spans = spans.map(|span| observation(span, Some(&run), project, (&WHOLE, Form::Old)));
        let scores = scores.iter();
        let scores = scores.map(|row| score::old(row, Some(&run), project));
        shown
            .put("observations", spans.collect::<Vec<Members>>())
            .put("scores", scores.collect::<Vec<Members>>());
        Ok(shown)
    })
    .await
}

/// The spans of a trace, oldest first, as far as one answer may hold them.
fn spans_of(view: &View, trace_id: &str, budget: &Budget<'_>) -> Result<Vec<StoredRow>, ApiError> {
    let (mut found, mut bytes) = (Vec::new(), 0_u64);
    view.each_row(Table::Spans, trace_id, &mut |core, body: ReadBody<'_>| {
        if (budget.cancelled)() {
            return Err(ApiError::from(QueryError::Cancelled));
        }
        let body = body()?;
        bytes = bytes.saturating_add(u64::try_from(body.len()).unwrap_or(u64::MAX));
        if found.len() == LANGFUSE_OBSERVATIONS_MAX || bytes > budget.bytes_max {
            let message = "trace too large for one answer; /api/public/v2/observations pages it";
            return Err(ApiError::new(ErrorCode::QueryTooExpensive, message));
        }
        found.push(wire::row_of(&core, &body)?);
        Ok(())
    })?;
    found.sort_by(|a, b| (a.core.start_ns, &a.core.id).cmp(&(b.core.start_ns, &b.core.id)));
    view.whole(budget).rows(found)
}

async fn delete(
    access: Access<TraceDelete>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Response, ApiError> {
    let trace_id = trace_id(&place, "trace")?;
    delete_one(&access, &app, trace_id).await?;
    Ok(deleted())
}

fn deleted() -> Response {
    Json(json!({ "message": "Trace deleted successfully" })).into_response()
}

/// Traces to be deleted.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Doomed {
    #[serde(rename = "traceIds")]
    trace_ids: Vec<String>,
}

async fn delete_many(
    access: Access<TraceDelete>,
    State(app): State<Arc<App>>,
    Input(doomed): Input<Doomed>,
) -> Result<Response, ApiError> {
    if doomed.trace_ids.len() > LANGFUSE_DELETED_MAX {
        let message = format!("too many traces at once max={LANGFUSE_DELETED_MAX}");
        return Err(ApiError::parameter("traceIds", message));
    }
    for trace_id in &doomed.trace_ids {
        check_id(trace_id)?;
    }
    for trace_id in doomed.trace_ids {
        delete_one(&access, &app, trace_id).await?;
    }
    Ok(deleted())
}

/// By start.
pub(super) fn by_start(descending: bool) -> Order {
    Order {
        column: Column::Start,
        descending,
    }
}
