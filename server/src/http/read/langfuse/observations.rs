//! `GET /api/public/observations`, `…/observations/{id}` of versions 2 to 4, `…/v2/observations` of version 5.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::engine::ReadBody;
use obsrv_engine::model;
use obsrv_engine::query::Request;
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;

use super::ask::{Chosen, eq, limit, list, of_run};
use super::facts::{VERSION, at_first, is, not, of_level, of_type};
use super::members::Members;
use super::observation::{Form, Group, observation};
use super::pages::{Listed, NUMBERED, Numbered, answer, no_such, read};
use super::traces::{WHOLE, by_start};
use super::{conditions, path};
use crate::dialect::theta_read::StoredRow;
use crate::http::App;
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::input::InPath;
use crate::http::params::Params;
use crate::http::read::ask::{Over, Paging, check_known};
use crate::http::read::trace::trace_id;
use crate::http::routes::{Route, Routes};
use crate::http::store::View;
use crate::limits::{LANGFUSE_PAGE_ROWS_MAX, PAGE_ROWS_MAX};
use crate::wire;

/// What both forms filter by.
const KNOWN: [&str; 10] = [
    "name",
    "userId",
    "type",
    "traceId",
    "level",
    "parentObservationId",
    "environment",
    "fromStartTime",
    "toStartTime",
    "version",
];
const NEW: [&str; 8] = [
    "fields",
    "expandMetadata",
    "limit",
    "cursor",
    "parseIoAsJson",
    "sessionId",
    "isRootObservation",
    "filter",
];
/// What decides neither which rows are in the list nor their order.
const NOT_SCOPE: [&str; 4] = ["limit", "cursor", "fields", "expandMetadata"];

fn asks(route: &mut Route) -> &mut Route {
    route
        .asks("name", "the name of the observation")
        .asks("userId", "the user of its trace")
        .asks("type", "`SPAN`, `GENERATION`, `EVENT`, `AGENT`, `TOOL`, …")
        .asks("traceId", "its trace")
        .asks("level", "`DEBUG`, `DEFAULT`, `WARNING` or `ERROR`")
        .asks("parentObservationId", "its parent")
        .asks("environment", "one of these; may be repeated")
        .asks("fromStartTime", "earliest start")
        .asks("toStartTime", "the start before which they are")
        .asks("version", "its version")
}

pub(super) fn add(routes: &mut Routes) {
    asks(routes.get(&path("/observations"), TraceRead, many))
        .asks("page", "from 1")
        .asks("limit", "1 to 100; 50 if not given")
        .says("Observations, in Langfuse's words.");
    routes
        .get(&path("/observations/{observation}"), TraceRead, show)
        .says("An observation, in Langfuse's words.");
    asks(routes.get(&path("/v2/observations"), TraceRead, cursored))
        .asks("sessionId", "the thread of its trace")
        .asks("isRootObservation", "whether it is at the top of its trace")
        .asks("filter", "conditions as JSON, instead of the others")
        .asks("fields", "groups of fields; `core,basic` if not given")
        .asks("expandMetadata", "read and not heeded: metadata is whole")
        .asks("parseIoAsJson", "`false`")
        .asks("limit", "1 to 1000; 50 if not given")
        .asks("cursor", "`meta.cursor` of the page before")
        .says("Observations with groups of fields, in the words of Langfuse's version 2.");
}

fn chosen(params: &Params) -> Result<Chosen, ApiError> {
    let mut chosen = Chosen::default();
    if let Some(text) = params.one("name")? {
        chosen.row(is(model::NAME, eq(text)));
    }
    if let Some(text) = params.one("type")? {
        let unknown = || ApiError::parameter("type", "no such type of observation");
        chosen.row(of_type(text).ok_or_else(unknown)?);
    }
    if let Some(text) = params.one("traceId")? {
        chosen.row(Filter::Is(Column::TraceId, eq(text)));
    }
    if let Some(text) = params.one("level")? {
        chosen.row(of_level(text));
    }
    match params.all("parentObservationId").next() {
        Some("") => {
            chosen.row(not(is(model::PARENT_ID, Test::Exists)));
        }
        Some(_) => {
            let text = params.one("parentObservationId")?.unwrap_or("");
            chosen.row(is(model::PARENT_ID, eq(text)));
        }
        None => {}
    }
    if let Some(text) = params.one("version")? {
        chosen.row(at_first(VERSION, false, &|place| is(place, eq(text))));
    }
    chosen.environment(params);
    chosen.during(params, ("fromStartTime", "toStartTime"))?;
    of_run(params, &mut chosen)?;
    Ok(chosen)
}

/// Observations at the top of their trace, or the others.
pub(super) fn roots(wanted: bool) -> Filter {
    let root = Filter::Or(vec![
        not(is(model::PARENT_ID, Test::Exists)),
        is(model::ROOT, Test::Eq(Literal::Bool(true))),
    ]);
    if wanted { root } else { not(root) }
}

async fn many(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &[&KNOWN[..], &NUMBERED].concat())?;
    let (numbered, chosen) = (Numbered::of(&params)?, chosen(&params)?);
    let project = access.tenant().project().0;
    answer(&access, &app, move |view, budget| {
        let mut request = Request::new(chosen.filter(view, budget)?, LANGFUSE_PAGE_ROWS_MAX);
        request.order = by_start(true);
        let (rows, total) = numbered.rows(view, (Table::Spans, request), budget)?;
        let runs = runs_of(view, &rows)?;
        let shown = |row: &StoredRow| {
            let run = runs.get(&*row.core.trace_id);
            observation(row, run, project, (&WHOLE, Form::Old))
        };
        Ok(Listed {
            data: rows.iter().map(shown).collect(),
            meta: numbered.meta(total),
        })
    })
    .await
}

/// The runs of the traces of these rows.
pub(super) fn runs_of(
    view: &View,
    rows: &[StoredRow],
) -> Result<HashMap<String, StoredRow>, ApiError> {
    let mut runs = HashMap::new();
    for row in rows {
        let id = &*row.core.trace_id;
        if runs.contains_key(id) {
            continue;
        }
        let mut found = None;
        view.each_row(Table::Runs, id, &mut |core, body: ReadBody<'_>| {
            found = Some(wire::row_of(&core, &body()?)?);
            Ok::<_, ApiError>(())
        })?;
        if let Some(run) = found {
            runs.insert(id.to_owned(), run);
        }
    }
    Ok(runs)
}

async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Response, ApiError> {
    let id = trace_id(&place, "observation")?;
    let project = access.tenant().project().0;
    answer(&access, &app, move |view, budget| {
        let filter = Filter::Is(Column::Id, eq(&id));
        // Ids are of a trace. Of several the newest is shown.
        let page = view.search(Table::Spans, &Request::new(filter, 1), budget)?;
        let rows = read(&page.hits)?;
        let rows = view.whole(budget).rows(rows)?;
        let row = rows.first().ok_or_else(|| no_such("observation"))?;
        let runs = runs_of(view, &rows)?;
        let run = runs.get(&*row.core.trace_id);
        Ok(observation(row, run, project, (&WHOLE, Form::Old)))
    })
    .await
}

fn groups(params: &Params) -> Result<Vec<Group>, ApiError> {
    let mut groups = Vec::new();
    for name in list(params, "fields") {
        let found = Group::ALL.iter().find(|(known, _)| *known == name);
        let (_, group) = found.ok_or_else(|| {
            ApiError::parameter("fields", format!("no such group of fields name={name}"))
        })?;
        groups.push(*group);
    }
    if groups.is_empty() {
        groups = vec![Group::Core, Group::Basic];
    }
    Ok(groups)
}

async fn cursored(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &[&KNOWN[..], &NEW].concat())?;
    if params.flag("parseIoAsJson")? {
        let message = "input and output are text in this version";
        return Err(ApiError::parameter("parseIoAsJson", message));
    }
    let groups = groups(&params)?;
    let limit = limit(&params, PAGE_ROWS_MAX)?;
    let chosen = if let Some(text) = params.one("filter")? {
        // As Langfuse has it, the conditions stand instead of the parameters.
        let mut chosen = Chosen::default();
        conditions::add(&mut chosen, (Over::Spans, text))?;
        chosen
    } else {
        let mut chosen = chosen(&params)?;
        if params.one("isRootObservation")?.is_some() {
            chosen.row(roots(params.flag("isRootObservation")?));
        }
        chosen
    };
    let core = app.core()?;
    let tenant = (access.tenant().project(), "langfuse.observations");
    let now_ns = app.clock.wall_ns();
    let paging = Paging::of(core, tenant, &params, &NOT_SCOPE, now_ns)?;
    let (project, asked) = (tenant.0.0, Arc::clone(&app));
    answer(&access, &app, move |view, budget| {
        let mut request = Request::new(chosen.filter(view, budget)?, limit);
        request.order = by_start(true);
        request.after.clone_from(&paging.after);
        let page = view.search(Table::Spans, &request, budget)?;
        let rows = read(&page.hits)?;
        let of_run = [Group::Basic, Group::TraceContext];
        let runs = if groups.iter().any(|group| of_run.contains(group)) {
            runs_of(view, &rows)?
        } else {
            HashMap::new()
        };
        let shown = |row: &StoredRow| {
            let run = runs.get(&*row.core.trace_id);
            observation(row, run, project, (&groups, Form::New))
        };
        let mut meta = Members::default();
        if let Some(next) = &page.next {
            meta.put("cursor", paging.next(asked.core()?, next));
        }
        Ok(Listed {
            data: rows.iter().map(shown).collect(),
            meta,
        })
    })
    .await
}
