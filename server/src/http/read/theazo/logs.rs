//! `GET /v1/logs/query`, `GET /v1/agents/{agent}/logs`: log lines by agent, session, level, words and
//! time, with how many there are.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use obsrv_engine::query::{Budget, Hit, Order, Request};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;
use schemars::JsonSchema;
use serde::Serialize;

use super::entry::Entry;
use super::filter::{Lines, OF_LINES};
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::params::Params;
use crate::http::read::ask::{Over, Range, check_known, limit};
use crate::http::read::list::{json, shown};
use crate::http::read::project::Fields;
use crate::http::routes::{Route, Routes};
use crate::http::store::Store;
use crate::http::{App, query};
use crate::limits::{PAGE_ROWS_MAX, THEAZO_LOGS_DEFAULT, THEAZO_OFFSET_MAX};
use crate::wire;

const KNOWN: [&str; 8] = [
    "agentId",
    "sessionId",
    "level",
    "search",
    "since",
    "until",
    "limit",
    "offset",
];

#[derive(Debug, Serialize, JsonSchema)]
struct Answer {
    logs: Vec<Entry>,
    /// All that pass, whatever the page.
    total: u64,
}

/// Parameters that choose log lines.
pub(super) fn asks_lines(route: &mut Route) -> &mut Route {
    route
        .asks("agentId", "lines of this agent")
        .asks("sessionId", "lines of this session")
        .asks(
            "level",
            "`debug`, `info`, `warn` or `error`: this one alone",
        )
        .asks("search", "words that stand in the line")
}

pub(super) fn add(routes: &mut Routes) {
    for (path, of_agent) in [("/v1/logs/query", false), ("/v1/agents/{agent}/logs", true)] {
        let route = if of_agent {
            routes.get(path, TraceRead, of_one)
        } else {
            routes.get(path, TraceRead, of_all)
        };
        asks_lines(route)
            .asks("since", "earliest time: RFC 3339, a date, `-1h` or `now`")
            .asks("until", "the time before which they are")
            .asks("limit", "1 to 1000; 100 if not given")
            .asks("offset", "lines to pass over, newest first; up to 10000")
            .says("Log lines in Theazo's words, newest first, and how many there are.")
            .gives::<Answer>();
    }
}

async fn of_all(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    show(access, app, raw, Lines::default()).await
}

async fn of_one(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    Path(agent): Path<String>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    show(access, app, raw, Lines { agent: Some(agent) }).await
}

async fn show(
    access: Access<TraceRead>,
    app: Arc<App>,
    raw: Option<String>,
    lines: Lines,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &KNOWN)?;
    let now_ns = app.clock.wall_ns();
    let range = range(&params, now_ns)?;
    let filter = Over::Logs.searched(&lines.search(&params)?, now_ns)?;
    let limit = limit(&params, THEAZO_LOGS_DEFAULT, PAGE_ROWS_MAX)?;
    let offset = offset(&params)?;
    let request = Request {
        order: Order {
            column: Column::Start,
            descending: true,
        },
        total: true,
        ..Request::new(range.and(filter), limit)
    };
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let (hits, total) = page(&store, request, offset, budget)?;
        let logs = hits.iter().map(|hit| {
            let row = shown(Over::Logs, hit, &Fields::default())?;
            let row = serde_json::from_str(row.get());
            Ok(Entry::of(&row.unwrap_or_default()))
        });
        json(&Answer {
            logs: logs.collect::<Result<Vec<_>, ApiError>>()?,
            total,
        })
    })
    .await?;
    Ok(wire::json_response(body))
}

/// `since` and `until`.
pub(super) fn range(params: &Params, now_ns: i64) -> Result<Range, ApiError> {
    let time = |name: &'static str| -> Result<Option<i64>, ApiError> {
        let text = params.one(name)?;
        text.map(|text| crate::http::read::ask::time(name, text, now_ns))
            .transpose()
    };
    Ok(Range {
        from: time("since")?,
        to: time("until")?,
    })
}

fn offset(params: &Params) -> Result<usize, ApiError> {
    let offset = params.one("offset")?.map_or(Ok(0), str::parse);
    let offset = offset.ok().filter(|n| *n <= THEAZO_OFFSET_MAX);
    let wrong = || {
        let message =
            format!("not a number from 0 to {THEAZO_OFFSET_MAX}; narrow the time instead");
        ApiError::parameter("offset", message)
    };
    offset.ok_or_else(wrong)
}

/// The rows after the first `offset`, and how many pass at all.
fn page(
    store: &Store,
    mut request: Request,
    mut offset: usize,
    budget: &Budget<'_>,
) -> Result<(Vec<Hit>, u64), ApiError> {
    let view = store.view();
    let limit = request.limit;
    let (mut rows, mut total) = (Vec::new(), None);
    loop {
        request.limit = (offset + limit - rows.len()).min(PAGE_ROWS_MAX);
        let page = view.search(Table::Logs, &request, budget)?;
        total = total.or(page.total);
        request.total = false;
        let passed = offset.min(page.hits.len());
        offset -= passed;
        rows.extend(page.hits.into_iter().skip(passed));
        request.after = page.next;
        if request.after.is_none() || rows.len() >= limit {
            return Ok((rows, total.unwrap_or(0)));
        }
    }
}

/// Parameters of a stream of lines.
pub(super) const OF_STREAM: [&str; 6] = [
    OF_LINES[0],
    OF_LINES[1],
    OF_LINES[2],
    OF_LINES[3],
    "token",
    AFTER,
];
/// After which event a stream goes on.
pub(super) const AFTER: &str = "lastEventId";
