//! `GET /v1/traces`: a page of runs.
//!
//! The theta client's parameters, plus `q` (the filter language), `filter` (the same as JSON), `traceql`,
//! `order`, `total`, `facets`, `explain`. Values of one repeated parameter are alternatives, different parameters must all
//! hold. `since` and `until` are inclusive.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;

use super::App;
use super::access::{Access, TraceRead};
use super::auth::Tenant;
use super::cursor::{self, Scope};
use super::error::ApiError;
use super::params::Params;
use super::read::of_runs;
use super::{position, query, usage};
use crate::dialect::parse_time;
use crate::limits::{FACETS_MAX, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};
use crate::wire;
use obsrv_engine::model;
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Order, Request, parse};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;

/// Parameters that filter by a field of the run, and the field. Repeatable.
const MANY: [(&str, &str); 6] = [
    ("status", model::STATUS),
    ("platform", "platform"),
    ("model", model::MODEL),
    ("run_type", "run_type"),
    ("use_case", "use_case"),
    ("tags", model::TAGS),
];
/// The same, given at most once.
const ONCE: [(&str, &str); 3] = [
    ("user_id", model::USER_ID),
    ("run_id", "run_id"),
    ("group", model::GROUP),
];
const OTHERS: [&str; 14] = [
    "project_id",
    "since",
    "until",
    "meta_key",
    "meta_value",
    "limit",
    "cursor",
    "q",
    "order",
    "total",
    "facets",
    "explain",
    "filter",
    "traceql",
];
/// What does not decide which rows are in the list and in which order.
const NOT_SCOPE: [&str; 5] = ["limit", "cursor", "total", "facets", "explain"];
/// Values listed per facet.
const FACET_VALUES: usize = 50;

/// A page of runs.
pub(crate) async fn list(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let core = app.core()?;
    let tenant = access.tenant().clone();
    usage::admit_query(&app, &tenant)?;
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    let scope_text = params.canonical(&NOT_SCOPE);
    let scope = Scope {
        project: tenant.project(),
        list: &scope_text,
    };
    let mut request = request_of(&params, &tenant, app.clock.wall_ns())?;
    if let Some(text) = params.one("cursor")? {
        let sealed = cursor::open(core.cursors(), scope, text)?;
        request.after = Some(position::decode(&sealed)?);
    }
    let explain = params.flag("explain")?;
    let (store, cursors) = (core.store(&tenant), core.cursors().clone());
    let body = query::run(&app, tenant.project(), move |budget| {
        let page = store.search(Table::Runs, &request, budget)?;
        let scope = Scope {
            project: tenant.project(),
            list: &scope_text,
        };
        let next = page
            .next
            .as_ref()
            .map(|p| cursor::seal(&cursors, scope, &position::encode(p)));
        wire::list(tenant.project_name(), &page, next.as_deref(), explain)
    })
    .await?;
    Ok(wire::json_response(body))
}

fn request_of(params: &Params, tenant: &Tenant, now_ns: i64) -> Result<Request, ApiError> {
    let known: Vec<&str> = MANY
        .iter()
        .chain(&ONCE)
        .map(|(name, _)| *name)
        .chain(OTHERS)
        .collect();
    if let Some(name) = params.unknown(&known) {
        return Err(ApiError::parameter(name, "unknown parameter"));
    }
    let facets = facets(params)?;
    Ok(Request {
        filter: filter(params, tenant, now_ns)?,
        order: order(params)?,
        limit: limit(params)?,
        after: None,
        total: params.flag("total")?,
        facet_values_max: if facets.is_empty() { 0 } else { FACET_VALUES },
        facets,
    })
}

fn limit(params: &Params) -> Result<usize, ApiError> {
    let Some(text) = params.one("limit")? else {
        return Ok(PAGE_ROWS_DEFAULT);
    };
    match text.parse() {
        Ok(n) if n <= PAGE_ROWS_MAX => Ok(n),
        _ => Err(ApiError::parameter(
            "limit",
            format!("not a number up to {PAGE_ROWS_MAX}"),
        )),
    }
}

/// `start`, `-duration`, `metadata.score`: a minus is "largest first".
fn order(params: &Params) -> Result<Order, ApiError> {
    let text = params.one("order")?.unwrap_or("-start");
    let (descending, name) = text
        .strip_prefix('-')
        .map_or((false, text), |name| (true, name));
    if name.is_empty() {
        return Err(ApiError::parameter("order", "names no field"));
    }
    Ok(Order {
        column: column_named(name),
        descending,
    })
}

fn facets(params: &Params) -> Result<Vec<Column>, ApiError> {
    let names = params
        .all("facets")
        .flat_map(|v| v.split(','))
        .filter(|name| !name.is_empty());
    let columns: Vec<Column> = names.take(FACETS_MAX + 1).map(column_named).collect();
    if columns.len() > FACETS_MAX {
        return Err(ApiError::parameter(
            "facets",
            format!("too many facets max={FACETS_MAX}"),
        ));
    }
    Ok(columns)
}

fn column_named(name: &str) -> Column {
    match name {
        "trace_id" => Column::TraceId,
        "id" | "span_id" => Column::Id,
        "start" | "started_at" => Column::Start,
        "end" | "ended_at" => Column::End,
        "duration" | "latency" => Column::Duration,
        path => Column::Path(path.into()),
    }
}

fn filter(params: &Params, tenant: &Tenant, now_ns: i64) -> Result<Filter, ApiError> {
    let mut parts = Vec::new();
    for (name, path) in MANY {
        let values: Vec<Literal> = params.all(name).map(text).collect();
        if !values.is_empty() {
            parts.push(Filter::Is(Column::Path(path.into()), Test::In(values)));
        }
    }
    for (name, path) in ONCE {
        if let Some(value) = params.one(name)? {
            parts.push(Filter::Is(Column::Path(path.into()), Test::Eq(text(value))));
        }
    }
    if let Some(named) = params
        .one("project_id")?
        .filter(|name| !tenant.is_called(name))
    {
        parts.push(Filter::Is(
            Column::Path("project_id".into()),
            Test::Eq(text(named)),
        ));
    }
    if let Some(ns) = time(params, "since")? {
        parts.push(Filter::Is(Column::Start, Test::Ge(Literal::I64(ns))));
    }
    if let Some(ns) = time(params, "until")? {
        parts.push(Filter::Is(Column::Start, Test::Le(Literal::I64(ns))));
    }
    metadata(params, &mut parts)?;
    if let Some(q) = params.one("q")? {
        parts.push(searched(q, now_ns)?);
    }
    parts.extend(Some(of_runs(params, now_ns)?).filter(|filter| *filter != Filter::All));
    Ok(if parts.is_empty() {
        Filter::All
    } else {
        Filter::And(parts)
    })
}

fn searched(q: &str, now_ns: i64) -> Result<Filter, ApiError> {
    parse(q, now_ns).map_err(|e| ApiError::from(e).at("q"))
}

/// The n-th `meta_key` goes with the n-th `meta_value`.
fn metadata(params: &Params, parts: &mut Vec<Filter>) -> Result<(), ApiError> {
    let keys: Vec<&str> = params.all("meta_key").collect();
    let values: Vec<&str> = params.all("meta_value").collect();
    if keys.len() != values.len() {
        let message = format!(
            "every meta_key needs one meta_value keys={} values={}",
            keys.len(),
            values.len()
        );
        return Err(ApiError::parameter("meta_value", message));
    }
    for (key, value) in keys.into_iter().zip(values) {
        let path = format!("{}.{key}", model::METADATA);
        parts.push(Filter::Is(
            Column::Path(path.into()),
            Test::In(readings(value)),
        ));
    }
    Ok(())
}

fn text(value: &str) -> Literal {
    Literal::Str(value.to_owned())
}

/// A URL has only text: what was sent as a number or a bool is found by its text, too.
fn readings(value: &str) -> Vec<Literal> {
    let mut all = vec![text(value)];
    if let Ok(n) = value.parse() {
        all.push(Literal::I64(n));
    } else if let Some(n) = value.parse().ok().filter(|n: &f64| n.is_finite()) {
        all.push(Literal::F64(n));
    }
    match value {
        "true" | "True" => all.push(Literal::Bool(true)),
        "false" | "False" => all.push(Literal::Bool(false)),
        _ => {}
    }
    all
}

fn time(params: &Params, name: &str) -> Result<Option<i64>, ApiError> {
    let Some(text) = params.one(name)? else {
        return Ok(None);
    };
    let ns = parse_time(text);
    ns.map(Some)
        .ok_or_else(|| ApiError::parameter(name, "not a time like 2026-01-31T12:00:00Z"))
}

#[cfg(test)]
mod tests;
