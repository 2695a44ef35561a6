//! `GET …/traces`, `…/spans`, `…/scores`, `…/logs`, `…/points`: pages of rows that pass a filter.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::query::{Hit, Page, Request};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::ask::{Over, Paging, Range, check_known, limit, named};
use super::damaged::{ALLOW_PARTIAL, Damaged, asks_partial, damaged};
use super::path;
use super::project::Fields;
use super::shape::{ScoreShown, SpanShown, TraceShown};
use super::signals;
use super::told;
use crate::dialect::format_nanos;
use crate::http::access::{Access, TraceRead};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::params::Params;
use crate::http::routes::{Route, Routes};
use crate::http::{App, query};
use crate::limits::{PAGE_ROWS_MAX, READ_PAGE_ROWS_DEFAULT};
use crate::wire;
use obsrv_engine::query::ast::Filter;

const KNOWN: [&str; 12] = [
    "q",
    "from",
    "to",
    "sort",
    "limit",
    "cursor",
    "fields",
    "total",
    "explain",
    "filter",
    "traceql",
    ALLOW_PARTIAL,
];
/// What decides neither which rows are in the list nor their order.
const NOT_SCOPE: [&str; 6] = [
    "limit",
    "cursor",
    "fields",
    "total",
    "explain",
    ALLOW_PARTIAL,
];

/// Fields of a span that stand outside of its body: where no other is asked for, no body is read.
const BARE: [&str; 5] = ["trace_id", "span_id", "start", "end", "duration_ns"];

/// A span without its body.
#[derive(Debug, Serialize)]
struct Bare<'a> {
    trace_id: &'a str,
    span_id: &'a str,
    start: String,
    end: Option<String>,
    duration_ns: Option<i64>,
}

impl<'a> Bare<'a> {
    fn of(hit: &'a Hit) -> Self {
        let core = &hit.core;
        let duration = |end: i64| end.saturating_sub(core.start_ns);
        Self {
            trace_id: &core.trace_id,
            span_id: &core.id,
            start: format_nanos(core.start_ns),
            end: core.end_ns.map(format_nanos),
            duration_ns: core.end_ns.map(duration),
        }
    }
}

/// A page.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Listed<T> {
    pub(super) data: Vec<T>,
    /// What `cursor` is for the next page; null on the last.
    pub(super) next_cursor: Option<String>,
    /// On a later page: a row changed since the first, so it may be on another page than it was.
    pub(super) snapshot_changed: bool,
    /// All rows that pass, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<u64>,
    /// What is damaged on disk and left out; only with `allow_partial`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) damaged: Option<Vec<Damaged>>,
    /// What it cost, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) explain: Option<Value>,
}

/// The parameters that choose rows.
pub(super) fn asks_rows(route: &mut Route) -> &mut Route {
    route
        .asks(
            "q",
            "a filter, as in the search bar; over traces `model` and `tool` are those of any step",
        )
        .asks("filter", "a filter as JSON, beside `q`")
        .asks(
            "traceql",
            "selectors of TraceQL joined by `&&` and `||`, beside both",
        )
        .asks("from", "earliest start: RFC 3339, a date, `-1h` or `now`")
        .asks("to", "the start before which they are")
}

fn asks(route: &mut Route) -> &mut Route {
    asks_partial(asks_rows(route))
        .asks(
            "sort",
            "a key: `start`, `duration`, `tokens`, `cost` or a path, of traces and spans also `scores.NAME` (the mean of their numbers); `-` before it is largest first; `-start` if not given",
        )
        .asks("limit", "1 to 1000; 50 if not given")
        .asks("cursor", "`next_cursor` of the page before")
        .asks(
            "fields",
            "keys and paths to keep, with commas; of traces and spans also `scores.NAME`: the mean of the numbers of their scores, else their words",
        )
        .asks("total", "`true` counts all rows that pass")
        .asks("explain", "`true` tells what it cost")
}

pub(super) fn add(routes: &mut Routes) {
    asks(routes.get(&path("/traces"), TraceRead, traces))
        .says("List, filter and count runs.")
        .gives::<Listed<TraceShown<'_>>>();
    asks(routes.get(&path("/spans"), TraceRead, spans))
        .says("List, filter and count spans.")
        .gives::<Listed<SpanShown<'_>>>();
    asks(routes.get(&path("/scores"), TraceRead, scores))
        .says("List, filter and count scores.")
        .gives::<Listed<ScoreShown<'_>>>();
    asks(routes.get(&path("/logs"), TraceRead, logs))
        .says("List, filter and count log lines.")
        .gives::<Listed<Map<String, Value>>>();
    asks(routes.get(&path("/points"), TraceRead, points))
        .says("List, filter and count metric points.")
        .gives::<Listed<Map<String, Value>>>();
}

async fn traces(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    list(access, app, raw, Over::Traces).await
}

async fn spans(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    list(access, app, raw, Over::Spans).await
}

async fn scores(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    list(access, app, raw, Over::Scores).await
}

async fn logs(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    list(access, app, raw, Over::Logs).await
}

async fn points(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    list(access, app, raw, Over::Points).await
}

/// The rows that `q`, `from` and `to` choose.
pub(super) fn chosen(over: Over, params: &Params, now_ns: i64) -> Result<Filter, ApiError> {
    let range = Range::of(params.one("from")?, params.one("to")?, now_ns)?;
    Ok(range.and(named(over, params, now_ns)?))
}

async fn list(
    access: Access<TraceRead>,
    app: Arc<App>,
    raw: Option<String>,
    over: Over,
) -> Result<Response, ApiError> {
    let core = app.core()?;
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &KNOWN)?;
    let project = access.tenant().project();
    let now_ns = app.clock.wall_ns();
    let paging = Paging::of(core, (project, over.as_str()), &params, &NOT_SCOPE, now_ns)?;
    let request = Request {
        filter: chosen(over, &params, paging.now_ns)?,
        order: over.order(params.one("sort")?.unwrap_or("-start"))?,
        limit: limit(&params, READ_PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX)?,
        after: paging.after.clone(),
        total: params.flag("total")?,
        facets: Vec::new(),
        facet_values_max: 0,
    };
    let fields = Fields::of(&params, over)?;
    let explain = params.flag("explain")?;
    let partial = params.flag(ALLOW_PARTIAL)?;
    let store = core.store(access.tenant());
    let asked = Arc::clone(&app);
    let body = query::ask(&app, access.tenant(), move |budget| {
        let view = store.view_or(partial);
        let mut page = if is_bare(over, &fields) {
            view.search_cores(over.table(), &request, budget)?
        } else {
            view.search(over.table(), &request, budget)?
        };
        let cost = (&mut page.explain, budget);
        let scores = told::beside(&view, (over, &page.hits), &fields, cost)?;
        let core = asked.core()?;
        let next = page.next.as_ref().map(|next| paging.next(core, next));
        let missing = damaged(view.left_out());
        answer(over, (&page, &scores), (next, missing), (&fields, explain))
    })
    .await?;
    Ok(wire::json_response(body))
}

fn is_bare(over: Over, fields: &Fields) -> bool {
    over == Over::Spans && fields.are_within(&BARE)
}

fn answer(
    over: Over,
    (page, scores): (&Page, &[Value]),
    (next_cursor, damaged): (Option<String>, Option<Vec<Damaged>>),
    (fields, explain): (&Fields, bool),
) -> Result<String, ApiError> {
    let bare = is_bare(over, fields);
    let data = page.hits.iter().zip(0..).map(|(hit, at)| {
        if bare {
            kept(&Bare::of(hit), (fields, None))
        } else {
            shown_with(over, hit, (fields, scores.get::<usize>(at)))
        }
    });
    json(&Listed {
        data: data.collect::<Result<Vec<_>, _>>()?,
        next_cursor,
        snapshot_changed: page.snapshot_changed,
        total: page.total,
        damaged,
        explain: explain.then(|| wire::explained(&page.explain)),
    })
}

/// A row of a list as JSON.
pub(super) fn shown(
    over: Over,
    hit: &Hit,
    fields: &Fields,
) -> Result<Box<serde_json::value::RawValue>, ApiError> {
    shown_with(over, hit, (fields, None))
}

/// The same with its scores.
pub(super) fn shown_with(
    over: Over,
    hit: &Hit,
    kept_of: (&Fields, Option<&Value>),
) -> Result<Box<serde_json::value::RawValue>, ApiError> {
    let row = wire::row_of(&hit.core, &hit.body)?;
    let wanted = kept_of.0.wanted();
    match over {
        Over::Traces => kept(&TraceShown::with(&row, wanted), kept_of),
        Over::Spans => kept(&SpanShown::with(&row, wanted), kept_of),
        Over::Scores => kept(&ScoreShown::of(&row), kept_of),
        Over::Logs | Over::Points => kept(&signals::shown(over, &row), kept_of),
    }
}

fn kept<T: Serialize>(
    value: &T,
    (fields, scores): (&Fields, Option<&Value>),
) -> Result<Box<serde_json::value::RawValue>, ApiError> {
    if fields.is_all() {
        return serde_json::value::to_raw_value(value).map_err(|e| unwritten(&e));
    }
    let mut value = serde_json::to_value(value).map_err(|e| unwritten(&e))?;
    told::put(&mut value, scores);
    serde_json::value::to_raw_value(&fields.keep(value)).map_err(|e| unwritten(&e))
}

/// The text of an answer.
pub(super) fn json<T: Serialize>(value: &T) -> Result<String, ApiError> {
    serde_json::to_string(value).map_err(|e| unwritten(&e))
}

fn unwritten(error: &serde_json::Error) -> ApiError {
    ApiError::new(
        ErrorCode::Internal,
        format!("answer does not write: {error}"),
    )
}
