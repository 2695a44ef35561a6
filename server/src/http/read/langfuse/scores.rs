//! `GET /api/public/scores`, `…/v2/scores` and one of either, of versions 2 to 4; `…/v3/scores` of version 5.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::model;
use obsrv_engine::query::Request;
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;

use super::ask::{Chosen, eq, limit, list, number};
use super::facts::{is, not, texts};
use super::members::Members;
use super::observations::runs_of;
use super::pages::{Listed, NUMBERED, Numbered, answer, no_such, read};
use super::path;
use super::score::{self, With};
use super::traces::by_start;
use crate::dialect::theta_read::StoredRow;
use crate::http::App;
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::input::InPath;
use crate::http::params::Params;
use crate::http::read::ask::{Paging, check_known};
use crate::http::read::trace::trace_id;
use crate::http::routes::{Route, Routes};
use crate::limits::LANGFUSE_PAGE_ROWS_MAX;

const OLD: [&str; 17] = [
    "userId",
    "sessionId",
    "name",
    "fromTimestamp",
    "toTimestamp",
    "environment",
    "source",
    "operator",
    "value",
    "scoreIds",
    "configId",
    "queueId",
    "dataType",
    "traceTags",
    "traceId",
    "observationId",
    "datasetRunId",
];
const NEW: [&str; 20] = [
    "limit",
    "cursor",
    "fields",
    "id",
    "name",
    "source",
    "dataType",
    "environment",
    "configId",
    "queueId",
    "authorUserId",
    "value",
    "valueMin",
    "valueMax",
    "traceId",
    "sessionId",
    "observationId",
    "experimentId",
    "fromTimestamp",
    "toTimestamp",
];
/// What decides neither which rows are in the list nor their order.
const NOT_SCOPE: [&str; 3] = ["limit", "cursor", "fields"];

fn asks_old(route: &mut Route) -> &mut Route {
    route
        .asks("page", "from 1")
        .asks("limit", "1 to 100; 50 if not given")
        .asks("userId", "the user of its trace")
        .asks("sessionId", "the session that is scored")
        .asks("name", "its name")
        .asks("environment", "one of these; may be repeated")
        .asks("source", "`API`, `EVAL` or `ANNOTATION`")
        .asks("dataType", "`NUMERIC`, `BOOLEAN`, `CATEGORICAL`, …")
        .asks("operator", "`=`, `!=`, `<`, `<=`, `>` or `>=`, of `value`")
        .asks("value", "a number")
        .asks("scoreIds", "ids, with commas")
        .asks("configId", "its configuration")
        .asks("queueId", "its queue")
        .asks("traceTags", "tags that its trace has; may be repeated")
        .asks("traceId", "the trace that is scored")
        .asks(
            "observationId",
            "the observations that are scored, with commas",
        )
        .asks("datasetRunId", "the run over a data set that is scored")
        .asks("fromTimestamp", "earliest time")
        .asks("toTimestamp", "the time before which they are")
}

fn asks_new(route: &mut Route) -> &mut Route {
    route
        .asks("limit", "1 to 100; 50 if not given")
        .asks("cursor", "`meta.cursor` of the page before")
        .asks(
            "fields",
            "of `details`, `subject`, `annotation`, beside the rest",
        )
        .asks("id", "ids, with commas")
        .asks("name", "names, with commas")
        .asks("source", "`API`, `EVAL`, `ANNOTATION`, with commas")
        .asks(
            "dataType",
            "`NUMERIC`, `BOOLEAN`, `CATEGORICAL`, `TEXT`, `CORRECTION`, with commas",
        )
        .asks("environment", "environments, with commas")
        .asks("configId", "configurations, with commas")
        .asks("queueId", "queues, with commas")
        .asks("authorUserId", "who scored, with commas")
        .asks("value", "values, with commas; needs one `dataType`")
        .asks("valueMin", "the least number; needs `dataType=NUMERIC`")
        .asks("valueMax", "the largest number; needs `dataType=NUMERIC`")
        .asks("traceId", "traces, with commas")
        .asks("sessionId", "sessions, with commas")
        .asks(
            "observationId",
            "observations, with commas; needs `traceId`",
        )
        .asks("experimentId", "runs over a data set, with commas")
        .asks("fromTimestamp", "earliest time")
        .asks("toTimestamp", "the time before which they are")
}

pub(super) fn add(routes: &mut Routes) {
    asks_old(routes.get(&path("/scores"), TraceRead, of_traces))
        .says("Scores of traces and observations, in Langfuse's words.");
    asks_old(routes.get(&path("/v2/scores"), TraceRead, of_all))
        .says("Scores of traces, observations and sessions, in Langfuse's words.");
    for one in ["/scores/{score}", "/v2/scores/{score}"] {
        routes
            .get(&path(one), TraceRead, show)
            .says("A score, in Langfuse's words.");
    }
    asks_new(routes.get(&path("/v3/scores"), TraceRead, cursored))
        .says("Scores with groups of fields, in the words of Langfuse's version 3.");
}

fn equal(params: &Params, chosen: &mut Chosen, fields: &[(&str, &str)]) {
    for (name, path) in fields {
        let values: Vec<&str> = list(params, name).collect();
        if !values.is_empty() {
            chosen.row(is(path, Test::In(texts(values))));
        }
    }
}

fn typed(params: &Params, chosen: &mut Chosen) -> Result<(), ApiError> {
    let types: Vec<&str> = list(params, "dataType").collect();
    if !types.is_empty() {
        let unknown = || ApiError::parameter("dataType", "no such type");
        chosen.row(score::of_types(types).ok_or_else(unknown)?);
    }
    let sources: Vec<&str> = list(params, "source").collect();
    if !sources.is_empty() {
        let unknown = || ApiError::parameter("source", "not of API, EVAL, ANNOTATION");
        chosen.row(score::from_sources(sources).ok_or_else(unknown)?);
    }
    chosen.environment(params);
    chosen.during(params, ("fromTimestamp", "toTimestamp"))?;
    Ok(())
}

/// Scores whose number passes.
fn numbered(test: &dyn Fn() -> Test) -> Filter {
    Filter::Or(["score", "value"].map(|key| is(key, test())).into())
}

fn old(params: &Params) -> Result<Chosen, ApiError> {
    let mut chosen = Chosen::default();
    if let Some(name) = params.one("name")? {
        chosen.row(is(model::NAME, eq(name)));
    }
    equal(
        params,
        &mut chosen,
        &[("configId", "config_id"), ("queueId", "queue_id")],
    );
    let ids: Vec<&str> = list(params, "scoreIds").collect();
    if !ids.is_empty() {
        chosen.row(Filter::Is(Column::Id, Test::In(texts(ids))));
    }
    typed(params, &mut chosen)?;
    subjects(params, &mut chosen, "datasetRunId")?;
    if let Some(n) = number(params, "value")? {
        let value = || Literal::F64(n);
        let filter = match params.one("operator")?.unwrap_or("=") {
            "=" => numbered(&|| Test::Eq(value())),
            "!=" => not(numbered(&|| Test::Eq(value()))),
            "<" => numbered(&|| Test::Lt(value())),
            "<=" => numbered(&|| Test::Le(value())),
            ">" => numbered(&|| Test::Gt(value())),
            ">=" => numbered(&|| Test::Ge(value())),
            _ => return Err(ApiError::parameter("operator", "not of = != < <= > >=")),
        };
        chosen.row(filter);
    }
    // The session of a score is what is scored, not the thread of its trace.
    if let Some(user) = params.one("userId")? {
        chosen.run(is(model::USER_ID, eq(user)));
    }
    for tag in list(params, "traceTags") {
        chosen.run(is(model::TAGS, eq(tag)));
    }
    Ok(chosen)
}

/// What is scored.
fn subjects(params: &Params, chosen: &mut Chosen, of_run: &str) -> Result<(), ApiError> {
    let all = |name| list(params, name).collect::<Vec<&str>>();
    let (traces, observations) = (all("traceId"), all("observationId"));
    let (sessions, runs) = (all("sessionId"), all(of_run));
    let several = [
        !traces.is_empty() || !observations.is_empty(),
        !sessions.is_empty(),
        !runs.is_empty(),
    ];
    if several.iter().filter(|named| **named).count() > 1 {
        let message = format!("one of traceId, sessionId and {of_run} alone");
        return Err(ApiError::parameter("sessionId", message));
    }
    if !traces.is_empty() {
        chosen.row(Filter::Is(Column::TraceId, Test::In(texts(traces))));
    }
    if !observations.is_empty() {
        chosen.row(score::of_observations(&observations));
    }
    if !sessions.is_empty() {
        chosen.row(score::of_sessions(&sessions));
    }
    if !runs.is_empty() {
        chosen.row(score::of_experiments(&runs));
    }
    Ok(())
}

async fn of_traces(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    many(access, app, raw, true).await
}

async fn of_all(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    many(access, app, raw, false).await
}

async fn many(
    access: Access<TraceRead>,
    app: Arc<App>,
    raw: Option<String>,
    of_traces: bool,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &[&OLD[..], &NUMBERED].concat())?;
    let (numbered, mut chosen) = (Numbered::of(&params)?, old(&params)?);
    if of_traces {
        chosen.row(score::of_traces());
    }
    let project = access.tenant().project().0;
    answer(&access, &app, move |view, budget| {
        let mut request = Request::new(chosen.filter(view, budget)?, LANGFUSE_PAGE_ROWS_MAX);
        request.order = by_start(true);
        let (rows, total) = numbered.rows(view, (Table::Scores, request), budget)?;
        let runs = runs_of(view, &rows)?;
        let shown = |row: &StoredRow| score::old(row, runs.get(&*row.core.trace_id), project);
        Ok(Listed {
            data: rows.iter().map(shown).collect(),
            meta: numbered.meta(total),
        })
    })
    .await
}

async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Response, ApiError> {
    let id = trace_id(&place, "score")?;
    let project = access.tenant().project().0;
    answer(&access, &app, move |view, budget| {
        let filter = Filter::Is(Column::Id, eq(&id));
        let page = view.search(Table::Scores, &Request::new(filter, 1), budget)?;
        let rows = read(&page.hits)?;
        let row = rows.first().ok_or_else(|| no_such("score"))?;
        let runs = runs_of(view, &rows)?;
        Ok(score::old(row, runs.get(&*row.core.trace_id), project))
    })
    .await
}

fn new(params: &Params) -> Result<Chosen, ApiError> {
    let mut chosen = Chosen::default();
    let fields = [
        ("name", model::NAME),
        ("configId", "config_id"),
        ("queueId", "queue_id"),
    ];
    equal(params, &mut chosen, &fields);
    let authors: Vec<&str> = list(params, "authorUserId").collect();
    if !authors.is_empty() {
        let places = [model::USER_ID, "metadata.user_id"];
        let places = places.map(|place| is(place, Test::In(texts(authors.iter().copied()))));
        chosen.row(Filter::Or(places.into()));
    }
    let ids: Vec<&str> = list(params, "id").collect();
    if !ids.is_empty() {
        chosen.row(Filter::Is(Column::Id, Test::In(texts(ids))));
    }
    typed(params, &mut chosen)?;
    if list(params, "observationId").next().is_some() && list(params, "traceId").next().is_none() {
        return Err(ApiError::parameter("observationId", "needs traceId"));
    }
    subjects(params, &mut chosen, "experimentId")?;
    values(params, &mut chosen)?;
    Ok(chosen)
}

fn values(params: &Params, chosen: &mut Chosen) -> Result<(), ApiError> {
    let types: Vec<String> = list(params, "dataType")
        .map(str::to_ascii_uppercase)
        .collect();
    let only = match types.as_slice() {
        [one] => one.as_str(),
        _ => "",
    };
    let values: Vec<&str> = list(params, "value").collect();
    let wrong = || ApiError::parameter("value", "not of the dataType, of which one is needed");
    if !values.is_empty() {
        chosen.row(match only {
            "NUMERIC" => {
                let read = |text: &&str| text.parse().map(Literal::F64).map_err(|_| wrong());
                let all: Vec<Literal> = values.iter().map(read).collect::<Result<_, _>>()?;
                numbered(&|| Test::In(all.clone()))
            }
            "BOOLEAN" => booleans(&values).ok_or_else(wrong)?,
            "CATEGORICAL" => {
                let places = ["label", "score", "value"];
                let of = |place| is(place, Test::In(texts(values.iter().copied())));
                Filter::Or(places.map(of).into())
            }
            _ => return Err(wrong()),
        });
    }
    for (name, least) in [("valueMin", true), ("valueMax", false)] {
        if let Some(n) = number(params, name)? {
            if only != "NUMERIC" {
                return Err(ApiError::parameter(name, "needs dataType=NUMERIC"));
            }
            chosen.row(if least {
                numbered(&|| Test::Ge(Literal::F64(n)))
            } else {
                numbered(&|| Test::Le(Literal::F64(n)))
            });
        }
    }
    Ok(())
}

fn booleans(values: &[&str]) -> Option<Filter> {
    let mut ways = Vec::new();
    for value in values {
        let yes = match value.to_ascii_lowercase().as_str() {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => return None,
        };
        let zero = || numbered(&|| Test::Eq(Literal::I64(0)));
        let flag = ["score", "value", "passed"];
        let mut of = flag
            .map(|key| is(key, Test::Eq(Literal::Bool(yes))))
            .to_vec();
        of.push(if yes {
            let number = numbered(&|| Test::Ge(Literal::F64(f64::MIN)));
            Filter::And(vec![number, not(zero())])
        } else {
            zero()
        });
        ways.push(Filter::Or(of));
    }
    Some(Filter::Or(ways))
}

fn with(params: &Params) -> Result<With, ApiError> {
    let mut with = With::default();
    for name in list(params, "fields") {
        match name {
            "core" => {}
            "details" => with.details = true,
            "subject" => with.subject = true,
            "annotation" => with.annotation = true,
            _ => {
                let message = format!("no such group of fields name={name}");
                return Err(ApiError::parameter("fields", message));
            }
        }
    }
    Ok(with)
}

async fn cursored(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &NEW)?;
    let with = with(&params)?;
    let limit = limit(&params, LANGFUSE_PAGE_ROWS_MAX)?;
    let chosen = new(&params)?;
    let tenant = (access.tenant().project(), "langfuse.scores");
    let now_ns = app.clock.wall_ns();
    let paging = Paging::of(app.core()?, tenant, &params, &NOT_SCOPE, now_ns)?;
    let (project, asked) = (tenant.0.0, Arc::clone(&app));
    answer(&access, &app, move |view, budget| {
        let mut request = Request::new(chosen.filter(view, budget)?, limit);
        request.order = by_start(true);
        request.after.clone_from(&paging.after);
        let page = view.search(Table::Scores, &request, budget)?;
        let rows = read(&page.hits)?;
        let mut meta = Members::default();
        meta.put("limit", limit);
        if let Some(next) = &page.next {
            meta.put("cursor", paging.next(asked.core()?, next));
        }
        Ok(Listed {
            data: rows
                .iter()
                .map(|row| score::new(row, project, with))
                .collect(),
            meta,
        })
    })
    .await
}
