//! `GET …/api/search/tag/{tag}/values` and `…/api/v2/search/tag/{tag}/values`

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::model;
use obsrv_engine::query::aggregate::ObservedRequest;
use obsrv_engine::query::ast::{Filter, Literal};
use obsrv_engine::query::traceql::ast::{Expr, Field, Intrinsic, Kind, Status};
use obsrv_engine::query::traceql::{as_filter, parse};
use obsrv_engine::query::{Budget, FACET_VALUES_MAX};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;
use serde_json::{Value, json};

use super::read::{range, up_to, within};
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::input::InPath;
use crate::http::params::Params;
use crate::http::store::View;
use crate::http::{App, query};
use crate::wire;

/// A value and its type in Tempo's words.
type Typed = (&'static str, String);

pub(super) async fn plain(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let tag = place.text("tag");
    let field = match tag {
        "name" => Field::Intrinsic(Intrinsic::Name),
        "status" => Field::Intrinsic(Intrinsic::Status),
        "kind" => Field::Intrinsic(Intrinsic::Kind),
        _ => Field::Any(tag.into()),
    };
    let found = listed(&access, &app, field, raw).await?;
    let mut values: Vec<String> = found.into_iter().map(|(_, value)| value).collect();
    values.sort();
    values.dedup();
    Ok(wire::json_response(
        json!({ "tagValues": values }).to_string(),
    ))
}

pub(super) async fn typed(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let tag = place.text("tag");
    // Grafana's browser side encodes twice.
    let again = Params::parse(&format!("tag={tag}")).ok();
    let decoded = again
        .as_ref()
        .and_then(|params| params.one("tag").ok())
        .flatten();
    let tag = if tag.contains('%') {
        decoded.unwrap_or(tag)
    } else {
        tag
    };
    let field = field(tag).ok_or_else(|| {
        ApiError::parameter("tag", "not a name of TraceQL, like span.x or status")
    })?;
    let found = listed(&access, &app, field, raw).await?;
    let values = found
        .into_iter()
        .map(|(kind, value)| json!({ "type": kind, "value": value }));
    let values: Vec<Value> = values.collect();
    Ok(wire::json_response(
        json!({ "tagValues": values }).to_string(),
    ))
}

/// The field that a name in `TraceQL` is.
fn field(name: &str) -> Option<Field> {
    let query = parse(&format!("{{ {name} != nil }}")).ok()?;
    match query.selectors.first()? {
        Expr::Compare(_, field, _) => match &**field {
            Expr::Field(field) => Some(field.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The filter of a selector; of one that is not finished, what of it reads.
fn filter(text: &str) -> Filter {
    let read = |text: &str| parse(text).ok().and_then(|query| as_filter(&query, false));
    if let Some(filter) = read(text) {
        return filter;
    }
    let inner = text.trim().trim_start_matches('{').trim_end_matches('}');
    let parts = inner
        .split("&&")
        .filter_map(|part| read(&format!("{{ {part} }}")));
    let parts: Vec<Filter> = parts.filter(|part| *part != Filter::All).take(16).collect();
    if parts.is_empty() {
        Filter::All
    } else {
        Filter::And(parts)
    }
}

async fn listed(
    access: &Access<TraceRead>,
    app: &Arc<App>,
    field: Field,
    raw: Option<String>,
) -> Result<Vec<Typed>, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    let limit = match up_to(&params, "limit", FACET_VALUES_MAX, FACET_VALUES_MAX)? {
        0 => FACET_VALUES_MAX,
        n => n,
    };
    let chosen = params.one("q")?.map_or(Filter::All, filter);
    let chosen = within(range(&params)?, chosen);
    let store = app.core()?.store(access.tenant());
    query::ask(app, access.tenant(), move |budget| {
        values(&store.view(), &field, (chosen, limit), budget)
    })
    .await
}

fn values(
    view: &View,
    field: &Field,
    (filter, limit): (Filter, usize),
    budget: &Budget<'_>,
) -> Result<Vec<Typed>, ApiError> {
    let keywords = |words: &[&str]| {
        words
            .iter()
            .map(|word| ("keyword", (*word).to_owned()))
            .collect()
    };
    let (table, columns) = match field {
        Field::Intrinsic(Intrinsic::Status) => {
            return Ok(keywords(&Status::ALL.map(Status::as_str)));
        }
        Field::Intrinsic(Intrinsic::Kind) => return Ok(keywords(&Kind::ALL.map(Kind::as_str))),
        Field::Intrinsic(Intrinsic::RootName) => (Table::Runs, vec![path(model::NAME)]),
        Field::Intrinsic(Intrinsic::RootService) => (Table::Runs, vec![path(model::SERVICE)]),
        field => (Table::Spans, field.columns().unwrap_or_default()),
    };
    // A filter is about spans.
    let filter = if table == Table::Runs {
        Filter::All
    } else {
        filter
    };
    let is_time = *field == Field::Intrinsic(Intrinsic::Duration);
    let mut all: Vec<Typed> = Vec::new();
    for column in columns {
        let request = ObservedRequest {
            filter: filter.clone(),
            column,
            prefix: String::new(),
            limit,
        };
        let (facet, _) = view.values(table, &request, budget)?;
        for (value, _) in facet.values {
            let typed = typed_value(&value, is_time);
            if !all.contains(&typed) && all.len() < limit {
                all.push(typed);
            }
        }
    }
    Ok(all)
}

fn path(name: &str) -> Column {
    Column::Path(name.into())
}

fn typed_value(value: &Literal, is_time: bool) -> Typed {
    match value {
        Literal::Str(text) => ("string", text.clone()),
        Literal::I64(ns) if is_time => ("duration", format!("{ns}ns")),
        Literal::I64(n) => ("int", n.to_string()),
        Literal::F64(x) => ("float", x.to_string()),
        Literal::Bool(b) => ("bool", b.to_string()),
    }
}
