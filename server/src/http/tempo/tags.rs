//! `GET …/api/search/tags` and `…/api/v2/search/tags`: the names of attributes. A range of time is read and
//! not heeded: the names are those of all spans.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::model;
use obsrv_engine::query::Budget;
use obsrv_engine::query::aggregate::{KEYS_LISTED_MAX, KeysRequest};
use obsrv_engine::row::Table;
use serde_json::{Value, json};

use super::read::{range, up_to};
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::params::Params;
use crate::http::store::View;
use crate::http::{App, query};
use crate::limits::TEMPO_TAGS_MAX;
use crate::wire;

/// Scopes whose attributes stand below a path of rows.
const SCOPES: [(&str, &str); 5] = [
    ("span", "attributes."),
    ("resource", "resource."),
    ("event", "events.attributes."),
    ("link", "links.attributes."),
    ("instrumentation", "scope.attributes."),
];
const INTRINSIC: &str = "intrinsic";
/// What every span has.
const INTRINSICS: [&str; 24] = [
    "duration",
    "event:name",
    "event:timeSinceStart",
    "instrumentation:name",
    "instrumentation:version",
    "kind",
    "link:spanID",
    "link:traceID",
    "name",
    "nestedSetLeft",
    "nestedSetParent",
    "nestedSetRight",
    "rootName",
    "rootServiceName",
    "span:duration",
    "span:id",
    "span:kind",
    "span:name",
    "span:parentID",
    "span:status",
    "status",
    "statusMessage",
    "trace:id",
    "traceDuration",
];
/// Keys of rows that `TraceQL` takes without a scope, where there are any.
const KEYS: [&str; 16] = [
    model::MODEL,
    model::TOOL,
    model::ERROR_MESSAGE,
    model::USER_ID,
    model::GROUP,
    model::SERVICE,
    model::ENVIRONMENT,
    model::VERSION,
    model::RELEASE,
    model::REGION,
    model::TAGS,
    model::COST_USD,
    model::DIALECT,
    model::KEY_ID,
    "tokens.",
    "metadata.",
];

/// The scopes that are asked for.
fn asked(params: &Params) -> Result<Vec<&'static str>, ApiError> {
    range(params)?;
    let all = || SCOPES.iter().map(|(scope, _)| *scope).chain([INTRINSIC]);
    match params.one("scope")? {
        None | Some("none") => Ok(all().collect()),
        Some(name) => match all().find(|scope| *scope == name) {
            Some(scope) => Ok(vec![scope]),
            None => Err(ApiError::parameter(
                "scope",
                format!("invalid scope: {name}"),
            )),
        },
    }
}

/// The names of a scope.
fn names_of(
    view: &View,
    scope: &str,
    limit: usize,
    budget: &Budget<'_>,
) -> Result<Vec<String>, ApiError> {
    let limit = limit.min(KEYS_LISTED_MAX);
    let keys = |prefix: &str| {
        let request = KeysRequest {
            prefix,
            but: None,
            limit,
        };
        view.keys(Table::Spans, request, budget)
    };
    let Some((_, prefix)) = SCOPES.iter().find(|(known, _)| *known == scope) else {
        let mut names: Vec<String> = INTRINSICS.iter().map(|&name| name.to_owned()).collect();
        for key in KEYS {
            let found = keys(key)?.keys.into_iter().map(|key| key.path.to_string());
            names.extend(found.filter(|path| path == key || key.ends_with('.')));
        }
        names.truncate(limit);
        return Ok(names);
    };
    let found = keys(prefix)?.keys.into_iter();
    let mut names: Vec<String> = found
        .filter_map(|key| key.path.strip_prefix(prefix).map(str::to_owned))
        .collect();
    let service = "service.name";
    if scope == "resource" && !names.iter().any(|name| name == service) {
        let has = keys(model::SERVICE)?
            .keys
            .iter()
            .any(|key| *key.path == *model::SERVICE);
        if has {
            names.push(service.to_owned());
        }
    }
    Ok(names)
}

pub(super) async fn names(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let all = listed(&access, &app, raw).await?;
    let mut names: Vec<String> = all.into_iter().flat_map(|(_, names)| names).collect();
    names.sort();
    names.dedup();
    Ok(wire::json_response(
        json!({ "tagNames": names }).to_string(),
    ))
}

pub(super) async fn scopes(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let all = listed(&access, &app, raw).await?.into_iter();
    let all = all.filter(|(_, names)| !names.is_empty());
    let all = all.map(|(scope, names)| json!({ "name": scope, "tags": names }));
    let scopes: Vec<Value> = all.collect();
    Ok(wire::json_response(json!({ "scopes": scopes }).to_string()))
}

async fn listed(
    access: &Access<TraceRead>,
    app: &Arc<App>,
    raw: Option<String>,
) -> Result<Vec<(&'static str, Vec<String>)>, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    let asked = asked(&params)?;
    let limit = match up_to(&params, "limit", TEMPO_TAGS_MAX, TEMPO_TAGS_MAX)? {
        0 => TEMPO_TAGS_MAX,
        n => n,
    };
    let store = app.core()?.store(access.tenant());
    query::ask(app, access.tenant(), move |budget| {
        let view = store.view();
        let all = asked.into_iter().map(|scope| {
            let names = names_of(&view, scope, limit, budget)?;
            Ok((scope, names))
        });
        all.collect()
    })
    .await
}
