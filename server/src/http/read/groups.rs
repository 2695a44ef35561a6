//! `GET …/threads` and `…/users`: runs by the thread or the user that they name.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::model;
use obsrv_engine::query::aggregate::{
    AggregateRequest, DistinctMode, Figures, Group, Key, Measure, Rank, Top,
};
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Order, Request};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::aggregate::key_value;
use super::ask::{Over, Range, check_known, limit, named};
use super::damaged::{ALLOW_PARTIAL, Damaged, asks_partial, damaged, not_found};
use super::figures::{count, float, number, whole};
use super::list::{asks_rows, json, shown};
use super::path;
use super::project::Fields;
use super::shape::{Cost, TraceShown};
use crate::dialect::format_nanos;
use crate::http::access::{Access, TraceRead};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::input::InPath;
use crate::http::params::Params;
use crate::http::routes::{Route, Routes};
use crate::http::{App, query};
use crate::limits::{AGGREGATE_GROUPS_MAX, PAGE_ROWS_MAX, READ_PAGE_ROWS_DEFAULT};
use crate::wire;

const KNOWN: [&str; 11] = [
    "q",
    "filter",
    "traceql",
    "from",
    "to",
    "sort",
    "limit",
    "offset",
    "total",
    "explain",
    ALLOW_PARTIAL,
];
const OF_ONE: [&str; 2] = ["limit", ALLOW_PARTIAL];

/// What runs are put together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Thread,
    User,
}

impl By {
    const fn path(self) -> &'static str {
        match self {
            Self::Thread => model::GROUP,
            Self::User => model::USER_ID,
        }
    }
}

/// Runs of one thread or user.
#[derive(Debug, Serialize, JsonSchema)]
struct GroupShown {
    /// The thread; null in lists of users.
    thread_id: Option<Value>,
    /// The user; null in lists of threads.
    user_id: Option<Value>,
    traces: u64,
    /// Earliest start.
    first: Option<String>,
    /// Latest start.
    last: Option<String>,
    /// Different users of a thread, different threads of a user.
    users: Option<u64>,
    threads: Option<u64>,
    tokens: Option<i64>,
    cost: Option<Cost>,
    /// Runs that failed.
    errors: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct GroupsShown {
    data: Vec<GroupShown>,
    /// What `offset` is for the next page; null on the last.
    next_offset: Option<usize>,
    /// How many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// What is damaged on disk and left out; only with `allow_partial`.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<Vec<Damaged>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Value>,
}

/// One thread or user.
#[derive(Debug, Serialize, JsonSchema)]
struct OneShown {
    #[serde(flatten)]
    group: GroupShown,
    /// Its runs, oldest first of a thread, newest first of a user.
    #[schemars(with = "Vec<TraceShown<'static>>")]
    data: Vec<Box<RawValue>>,
    /// Whether there are more: list them with `…/traces?q=`.
    more: bool,
    /// What is damaged on disk and left out; only with `allow_partial`.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<Vec<Damaged>>,
}

/// Ordered by these, and the place of the measure.
const SORTS: [(&str, Rank); 6] = [
    ("traces", Rank::Rows),
    ("first", Rank::Measure(0, 0)),
    ("last", Rank::Measure(1, 0)),
    ("tokens", Rank::Measure(2, 0)),
    ("cost", Rank::Measure(3, 0)),
    ("errors", Rank::Measure(4, 0)),
];

fn measures(by: By) -> Vec<Measure> {
    let path = |path: &str| Column::Path(path.into());
    let failed = Test::Eq(Literal::Str(model::status::ERROR.to_owned()));
    let other = match by {
        By::Thread => model::USER_ID,
        By::User => model::GROUP,
    };
    vec![
        Measure::Min(Column::Start),
        Measure::Max(Column::Start),
        Measure::Sum(path("tokens.total")),
        Measure::Sum(path(model::COST)),
        Measure::CountIf(Filter::Is(path(model::STATUS), failed)),
        Measure::Distinct {
            column: path(other),
            mode: DistinctMode::ExactOrEstimated,
        },
    ]
}

fn asks(route: &mut Route) -> &mut Route {
    asks_partial(asks_rows(route))
        .asks(
            "sort",
            "`traces`, `first`, `last`, `tokens`, `cost` or `errors`; `-last` if not given",
        )
        .asks("limit", "1 to 1000; 50 if not given")
        .asks("offset", "`next_offset` of the page before")
        .asks("total", "`true` counts them")
        .asks("explain", "`true` tells what it cost")
}

pub(super) fn add(routes: &mut Routes) {
    asks(routes.get(&path("/threads"), TraceRead, threads))
        .says("Threads of the runs that pass, with counts, tokens and cost.")
        .gives::<GroupsShown>();
    asks(routes.get(&path("/users"), TraceRead, users))
        .says("Users of the runs that pass, with counts, tokens and cost.")
        .gives::<GroupsShown>();
    asks_partial(routes.get(&path("/threads/{thread}"), TraceRead, thread))
        .says("A thread and its runs.")
        .asks("limit", "runs, 1 to 1000; 50 if not given")
        .gives::<OneShown>();
    asks_partial(routes.get(&path("/users/{user}"), TraceRead, user))
        .says("A user and their runs.")
        .asks("limit", "runs, 1 to 1000; 50 if not given")
        .gives::<OneShown>();
}

async fn threads(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    list(access, app, raw, By::Thread).await
}

async fn users(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    list(access, app, raw, By::User).await
}

async fn thread(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let id = place.text("thread").to_owned();
    one(access, app, raw, (By::Thread, id)).await
}

async fn user(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let id = place.text("user").to_owned();
    one(access, app, raw, (By::User, id)).await
}

fn top(params: &Params, limit: usize) -> Result<Top, ApiError> {
    let text = params.one("sort")?.unwrap_or("-last");
    let (descending, name) = text
        .strip_prefix('-')
        .map_or((false, text), |name| (true, name));
    let found = SORTS.iter().find(|(known, _)| *known == name);
    let (_, by) = found.ok_or_else(|| {
        ApiError::parameter("sort", "not of traces, first, last, tokens, cost, errors")
    })?;
    Ok(Top {
        by: *by,
        descending,
        limit,
    })
}

fn offset(params: &Params, limit: usize) -> Result<usize, ApiError> {
    let refused = || {
        let max = AGGREGATE_GROUPS_MAX - 1 - limit;
        ApiError::parameter(
            "offset",
            format!("not a number up to {max}; ask for less time"),
        )
    };
    match params.one("offset")?.map(str::parse::<usize>) {
        None => Ok(0),
        Some(Ok(n)) if n.saturating_add(limit) < AGGREGATE_GROUPS_MAX => Ok(n),
        Some(_) => Err(refused()),
    }
}

async fn list(
    access: Access<TraceRead>,
    app: Arc<App>,
    raw: Option<String>,
    by: By,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &KNOWN)?;
    let now_ns = app.clock.wall_ns();
    let limit = limit(&params, READ_PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX)?;
    let offset = offset(&params, limit)?;
    let range = Range::of(params.one("from")?, params.one("to")?, now_ns)?;
    let filter = named(Over::Traces, &params, now_ns)?;
    let request = AggregateRequest {
        filter: range.and(filter),
        keys: vec![Key {
            column: Column::Path(by.path().into()),
            absent: false,
        }],
        time: None,
        measures: measures(by),
        top: top(&params, offset + limit + 1)?,
    };
    let (total, explain) = (params.flag("total")?, params.flag("explain")?);
    let partial = params.flag(ALLOW_PARTIAL)?;
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let view = store.view_or(partial);
        let answer = view.aggregate(Table::Runs, &request, budget)?;
        let listed = answer.groups.len();
        let page = answer.groups.iter().skip(offset).take(limit);
        let all = u64::try_from(listed).unwrap_or(u64::MAX);
        json(&GroupsShown {
            data: page.map(|group| of_group(by, group)).collect(),
            next_offset: (listed > offset + limit).then_some(offset + limit),
            total: total.then(|| all.saturating_add(answer.groups_left_out)),
            damaged: damaged(view.left_out()),
            explain: explain.then(|| wire::explained(&answer.explain)),
        })
    })
    .await?;
    Ok(wire::json_response(body))
}

fn of_group(by: By, group: &Group) -> GroupShown {
    let key = group
        .keys
        .first()
        .and_then(Option::as_ref)
        .map_or(Value::Null, key_value);
    of_figures(by, key, &group.figures)
}

fn of_figures(by: By, key: Value, figures: &Figures) -> GroupShown {
    let (thread_id, user_id) = match by {
        By::Thread => (Some(key), None),
        By::User => (None, Some(key)),
    };
    GroupShown {
        users: thread_id.as_ref().map(|_| count(figures, 5)),
        threads: user_id.as_ref().map(|_| count(figures, 5)),
        thread_id,
        user_id,
        traces: figures.rows,
        first: whole(figures, 0).map(format_nanos),
        last: whole(figures, 1).map(format_nanos),
        tokens: whole(figures, 2),
        cost: number(figures, 3).map(|cost| Cost::sum(float(cost))),
        errors: count(figures, 4),
    }
}

async fn one(
    access: Access<TraceRead>,
    app: Arc<App>,
    raw: Option<String>,
    (by, id): (By, String),
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &OF_ONE)?;
    let partial = params.flag(ALLOW_PARTIAL)?;
    let column = Column::Path(by.path().into());
    let filter = Filter::Is(column, Test::Eq(Literal::Str(id.clone())));
    let request = Request {
        order: Order {
            column: Column::Start,
            descending: by == By::User,
        },
        ..Request::new(
            filter.clone(),
            limit(&params, READ_PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX)?,
        )
    };
    let asked = AggregateRequest::new(filter, measures(by));
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let view = store.view_or(partial);
        let figures = view.aggregate(Table::Runs, &asked, budget)?.total;
        if figures.rows == 0 {
            let nobody = ApiError::new(ErrorCode::NotFound, "no run names it");
            return Err(not_found(&view, nobody));
        }
        let page = view.search(Table::Runs, &request, budget)?;
        let fields = Fields::default();
        let data = page
            .hits
            .iter()
            .map(|hit| shown(Over::Traces, hit, &fields));
        json(&OneShown {
            group: of_figures(by, Value::String(id), &figures),
            data: data.collect::<Result<_, _>>()?,
            more: page.next.is_some(),
            damaged: damaged(view.left_out()),
        })
    })
    .await?;
    Ok(wire::json_response(body))
}
