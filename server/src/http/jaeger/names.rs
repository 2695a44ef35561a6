//! Services, operations, and which service calls which.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::model;
use obsrv_engine::query::Budget;
use obsrv_engine::query::aggregate::{
    AggregateRequest, GroupValue, Key, Measure, ObservedRequest, Rank, Top,
};
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::traceql::{SeriesRequest, Value as Said, parse};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;
use serde_json::{Value, json};

use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::input::InPath;
use crate::http::params::Params;
use crate::http::store::View;
use crate::http::{App, query};
use crate::limits::{JAEGER_NAMES_MAX, TOOL_TIME_DEFAULT};
use crate::wire;

/// An answer of the classic form.
pub(super) fn classic(data: Vec<Value>) -> Response {
    let total = data.len();
    let body = json!({ "data": data, "total": total, "limit": 0, "offset": 0, "errors": null });
    wire::json_response(body.to_string())
}

fn path(name: &str) -> Column {
    Column::Path(name.into())
}

async fn all_services(access: &Access<TraceRead>, app: &Arc<App>) -> Result<Vec<Value>, ApiError> {
    let store = app.core()?.store(access.tenant());
    query::ask(app, access.tenant(), move |budget| {
        let request = ObservedRequest {
            filter: Filter::All,
            column: path(model::SERVICE),
            prefix: String::new(),
            limit: JAEGER_NAMES_MAX,
        };
        let (facet, _) = store.view().values(Table::Spans, &request, budget)?;
        let texts = facet
            .values
            .into_iter()
            .filter_map(|(value, _)| match value {
                Literal::Str(text) => Some(text),
                _ => None,
            });
        let mut names: Vec<String> = texts.collect();
        names.sort();
        Ok(names.into_iter().map(Value::from).collect())
    })
    .await
}

pub(super) async fn services(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
) -> Result<Response, ApiError> {
    Ok(classic(all_services(&access, &app).await?))
}

pub(super) async fn services_v3(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
) -> Result<Response, ApiError> {
    let services = all_services(&access, &app).await?;
    Ok(wire::json_response(
        json!({ "services": services }).to_string(),
    ))
}

/// Names of spans with their kinds.
fn operations_of(
    view: &View,
    service: &str,
    budget: &Budget<'_>,
) -> Result<Vec<(String, String)>, ApiError> {
    let test = Test::Eq(Literal::Str(service.to_owned()));
    let filter = Filter::Is(path(model::SERVICE), test);
    let name = Key {
        column: path(model::NAME),
        absent: false,
    };
    let request = AggregateRequest {
        keys: vec![name, Key::new(path("otel_kind"))],
        top: Top {
            by: Rank::Rows,
            descending: true,
            limit: JAEGER_NAMES_MAX,
        },
        ..AggregateRequest::new(filter, vec![Measure::Count])
    };
    let found = view.aggregate(Table::Spans, &request, budget)?;
    let named = found.groups.into_iter().filter_map(|group| {
        let text = |value: Option<GroupValue>| match value {
            Some(GroupValue::Str(text)) => Some(text.to_string()),
            _ => None,
        };
        let mut keys = group.keys.into_iter();
        let name = text(keys.next().flatten())?;
        Some((name, text(keys.next().flatten()).unwrap_or_default()))
    });
    let mut named: Vec<(String, String)> = named.collect();
    named.sort();
    Ok(named)
}

async fn listed(
    access: &Access<TraceRead>,
    app: &Arc<App>,
    service: &str,
    kind: Option<&str>,
) -> Result<Vec<(String, String)>, ApiError> {
    let (service, kind) = (service.to_owned(), kind.map(str::to_owned));
    let store = app.core()?.store(access.tenant());
    query::ask(app, access.tenant(), move |budget| {
        let mut all = operations_of(&store.view(), &service, budget)?;
        all.retain(|(_, known)| kind.as_ref().is_none_or(|kind| kind == known));
        Ok(all)
    })
    .await
}

pub(super) async fn operations(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Response, ApiError> {
    let all = listed(&access, &app, place.text("service"), None).await?;
    let mut names: Vec<String> = all.into_iter().map(|(name, _)| name).collect();
    names.dedup();
    Ok(classic(names.into_iter().map(Value::from).collect()))
}

fn with_kinds(all: Vec<(String, String)>) -> Vec<Value> {
    let all = all.into_iter();
    all.map(|(name, kind)| json!({ "name": name, "spanKind": kind }))
        .collect()
}

pub(super) async fn kinds(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    let service = params.one("service")?.unwrap_or("");
    let all = listed(&access, &app, service, params.one("spanKind")?).await?;
    Ok(classic(with_kinds(all)))
}

pub(super) async fn operations_v3(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    let service = params.one("service")?.unwrap_or("");
    let all = listed(&access, &app, service, params.one("span_kind")?).await?;
    let body = json!({ "operations": with_kinds(all) });
    Ok(wire::json_response(body.to_string()))
}

/// Calls that go from one service to another.
const CALLS: &str = "{ parent.resource.service.name != resource.service.name } \
    | count_over_time() by (parent.resource.service.name, resource.service.name)";

pub(super) async fn dependencies(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    let millis = |name: &str| match params.one(name)?.map(str::parse::<u64>) {
        None => Ok(None),
        Some(Ok(ms)) => Ok(Some(
            i64::try_from(ms)
                .unwrap_or(i64::MAX)
                .saturating_mul(1_000_000),
        )),
        Some(Err(_)) => Err(ApiError::parameter(name, "not milliseconds")),
    };
    let to_ns = millis("endTs")?.unwrap_or_else(|| app.clock.wall_ns());
    let hour = i64::try_from(TOOL_TIME_DEFAULT.as_nanos()).unwrap_or(i64::MAX);
    let from_ns = to_ns.saturating_sub(millis("lookback")?.unwrap_or(hour).max(1_000_000));
    let store = app.core()?.store(access.tenant());
    let links = query::ask(&app, access.tenant(), move |budget| {
        let calls = parse(CALLS).map_err(ApiError::from)?;
        let request = SeriesRequest {
            query: &calls,
            from_ns,
            to_ns,
            step_ns: to_ns.saturating_sub(from_ns),
            exemplars: 0,
        };
        let found = store.view().traceql_series(&request, budget)?;
        let links = found.series.iter().filter_map(|series| {
            let text = |at: usize| match series.labels.get(at) {
                Some((_, Some(Said::Str(text)))) => Some(text.clone()),
                _ => None,
            };
            let count: f64 = series.points.iter().map(|(_, count)| count).sum();
            let (parent, child) = (text(0)?, text(1)?);
            #[expect(clippy::cast_possible_truncation, reason = "a count of spans")]
            let count = count as i64;
            Some(json!({ "parent": parent, "child": child, "callCount": count }))
        });
        Ok(links.collect::<Vec<Value>>())
    })
    .await?;
    Ok(classic(links))
}
