//! `GET …/logs/{log}/trace`: from a log line to the trace that it is of.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use obsrv_engine::model;
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Budget, Request};
use obsrv_engine::row::{Table, trace_of};
use obsrv_engine::source::Column;
use schemars::JsonSchema;
use serde::Serialize;

use super::ask::Over;
use super::list::json;
use super::path;
use super::shape::{Raw, SpanShown, TraceShown};
use super::signals;
use super::trace::{run_of, trace_id};
use crate::dialect::theta_read::StoredRow;
use crate::http::access::{Access, TraceRead};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::input::InPath;
use crate::http::routes::Routes;
use crate::http::store::View;
use crate::http::{App, query};
use crate::wire;

/// A log line and where it was written.
#[derive(Debug, Serialize, JsonSchema)]
struct Logged<'a> {
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    log: Raw,
    /// `trace` if the line names its trace; `thread` if it names its thread alone: then the trace is that
    /// of the thread's which had begun last.
    by: &'static str,
    trace: TraceShown<'a>,
    /// The span that it was written in; null if it names none, or one that is not there.
    span: Option<SpanShown<'a>>,
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .get(&path("/logs/{log}/trace"), TraceRead, show)
        .says("The trace and the span that a log line is of.")
        .gives::<Logged<'_>>();
}

async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Response, ApiError> {
    let id = trace_id(&place, "log")?;
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let view = store.view();
        let filter = Filter::Is(Column::Id, equal(&id));
        let line = newest(&view, (Table::Logs, filter), budget)?;
        let line = line.ok_or_else(|| missing("no such log line"))?;
        let (by, run) = match trace_of(&line.core.trace_id) {
            Some(trace) => ("trace", run_of(&view, trace)?),
            None => ("thread", of_thread(&view, &line, budget)?),
        };
        let span = match line.text(model::SPAN_ID).filter(|_| by == "trace") {
            Some(span) => view.row(Table::Spans, (&run.core.trace_id, span))?,
            None => None,
        };
        let span = span.map(|row| wire::row_of(&row.core, &row.body));
        let span = span.transpose()?;
        json(&Logged {
            log: signals::shown(Over::Logs, &line),
            by,
            trace: TraceShown::of(&run),
            span: span.as_ref().map(SpanShown::of),
        })
    })
    .await?;
    Ok(wire::json_response(body))
}

fn equal(text: &str) -> Test {
    Test::Eq(Literal::Str(text.to_owned()))
}

fn missing(what: &str) -> ApiError {
    ApiError::new(ErrorCode::NotFound, what)
}

/// The row that passes and starts last.
fn newest(
    view: &View,
    (table, filter): (Table, Filter),
    budget: &Budget<'_>,
) -> Result<Option<StoredRow>, ApiError> {
    let page = view.search(table, &Request::new(filter, 1), budget)?;
    let row = page.hits.first();
    row.map(|hit| wire::row_of(&hit.core, &hit.body))
        .transpose()
}

fn of_thread(view: &View, line: &StoredRow, budget: &Budget<'_>) -> Result<StoredRow, ApiError> {
    let none = || missing("the log line names no trace, and no thread with one before it");
    let thread = line.text(model::GROUP).ok_or_else(none)?;
    let filter = Filter::And(vec![
        Filter::Is(Column::Path(model::GROUP.into()), equal(thread)),
        Filter::Is(Column::Start, Test::Le(Literal::I64(line.core.start_ns))),
    ]);
    newest(view, (Table::Runs, filter), budget)?.ok_or_else(none)
}
