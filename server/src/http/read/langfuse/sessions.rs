//! `GET /api/public/sessions`, `…/sessions/{id}`: threads, as versions 2 to 4 of the SDKs ask them.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::model;
use obsrv_engine::query::Request;
use obsrv_engine::query::aggregate::{
    AggregateRequest, Group, Key, Measure, Number, Rank, Top, Value as Figure,
};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;

use super::ask::{eq, runs};
use super::facts::{column, environment, is};
use super::members::Members;
use super::pages::{Listed, NUMBERED, Numbered, answer, no_such, read};
use super::path;
use super::trace::{With, trace};
use super::traces::by_start;
use crate::dialect::format_nanos;
use crate::http::App;
use crate::http::access::{Access, TraceRead};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::input::InPath;
use crate::http::params::Params;
use crate::http::read::aggregate::key_value;
use crate::http::read::ask::check_known;
use crate::http::routes::Routes;
use crate::limits::{AGGREGATE_GROUPS_MAX, PAGE_ROWS_MAX};

const KNOWN: [&str; 3] = ["environment", "fromTimestamp", "toTimestamp"];

pub(super) fn add(routes: &mut Routes) {
    routes
        .get(&path("/sessions"), TraceRead, many)
        .asks("page", "from 1")
        .asks("limit", "1 to 100; 50 if not given")
        .asks("environment", "one of these; may be repeated")
        .asks("fromTimestamp", "earliest start of a trace")
        .asks("toTimestamp", "the start before which they are")
        .says("Threads, the last begun first, in Langfuse's words.");
    routes
        .get(&path("/sessions/{session}"), TraceRead, show)
        .says("A thread and its traces, in Langfuse's words.");
}

async fn many(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &[&KNOWN[..], &NUMBERED].concat())?;
    let numbered = Numbered::of(&params)?;
    let listed = numbered.before() + numbered.limit;
    if listed > AGGREGATE_GROUPS_MAX {
        let message = format!("more than {AGGREGATE_GROUPS_MAX} sessions; narrow the time instead");
        return Err(ApiError::parameter("page", message));
    }
    let request = AggregateRequest {
        keys: vec![Key {
            column: column(model::GROUP),
            absent: false,
        }],
        top: Top {
            by: Rank::Measure(0, 0),
            descending: true,
            limit: listed,
        },
        ..AggregateRequest::new(
            runs(&params)?.over_runs(),
            vec![Measure::Min(Column::Start)],
        )
    };
    let project = access.tenant().project().0;
    answer(&access, &app, move |view, budget| {
        let answer = view.aggregate(Table::Runs, &request, budget)?;
        let known = u64::try_from(answer.groups.len()).unwrap_or(u64::MAX);
        let total = known.saturating_add(answer.groups_left_out);
        let page = answer.groups.iter().skip(numbered.before());
        Ok(Listed {
            data: page.map(|group| session(group, project)).collect(),
            meta: numbered.meta(total),
        })
    })
    .await
}

fn session(group: &Group, project: u64) -> Members {
    let key = group.keys.first().and_then(Option::as_ref);
    let start = group.figures.measures.first().map(|m| &m.value);
    let start = match start {
        Some(Figure::Number(Some(Number::Whole(ns)))) => i64::try_from(*ns).unwrap_or(0),
        _ => 0,
    };
    let mut out = Members::default();
    out.put("id", key.map(key_value))
        .put("createdAt", format_nanos(start))
        .put("projectId", project.to_string());
    out
}

async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Response, ApiError> {
    let id = place.text("session").to_owned();
    let project = access.tenant().project().0;
    answer(&access, &app, move |view, budget| {
        let filter = is(model::GROUP, eq(&id));
        let mut request = Request::new(filter, PAGE_ROWS_MAX);
        request.order = by_start(false);
        let page = view.search(Table::Runs, &request, budget)?;
        if page.next.is_some() {
            let message = format!(
                "more than {PAGE_ROWS_MAX} traces, or too large; /api/public/traces?sessionId= pages them"
            );
            return Err(ApiError::new(ErrorCode::QueryTooExpensive, message));
        }
        let rows = read(&page.hits)?;
        let first = rows.first().ok_or_else(|| no_such("session"))?;
        let with = With {
            io: true,
            metrics: true,
        };
        let traces = rows.iter().map(|run| trace(run, project, with));
        let mut out = Members::default();
        out.put("id", &id)
            .put("createdAt", format_nanos(first.core.start_ns))
            .put("projectId", project.to_string())
            .put("environment", environment(first.doc()))
            .put("traces", traces.collect::<Vec<_>>());
        Ok(out)
    })
    .await
}
