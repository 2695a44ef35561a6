//! `GET …/fields` and `…/values`: the keys that rows have and the values of a key, for who types a
//! filter.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::model::score::Fact;
use obsrv_engine::query::FACET_VALUES_MAX;
use obsrv_engine::query::aggregate::{
    KEYS_LISTED_MAX, KeysRequest, ObservedKey, ObservedKeys, ObservedRequest, ScoreValuesRequest,
};
use obsrv_engine::query::ast::Literal;
use obsrv_engine::query::{Budget, Explain, Facet};
use obsrv_engine::row::Table;
use obsrv_engine::source::LaneKind;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::ask::{OVER, Over, SCORES, check_known, limit};
use super::facets::ValueShown;
use super::list::{asks_rows, chosen, json};
use super::path;
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::params::Params;
use crate::http::routes::Routes;
use crate::http::store::View;
use crate::http::{App, query};
use crate::limits::{READ_FACET_VALUES_DEFAULT, READ_NAMES_DEFAULT};
use crate::wire;

const OF_FIELDS: [&str; 4] = ["over", "prefix", "limit", "explain"];
const OF_VALUES: [&str; 10] = [
    "key", "over", "prefix", "q", "filter", "traceql", "from", "to", "limit", "explain",
];

#[derive(Debug, Serialize, JsonSchema)]
struct FieldsShown {
    /// By name.
    keys: Vec<FieldShown>,
    /// Whether there are more.
    more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Value>,
}

/// A key that rows have.
#[derive(Debug, Serialize, JsonSchema)]
struct FieldShown {
    /// As a filter names it.
    key: String,
    /// The type that most rows have: `bool`, `int`, `float`, `text` or `long` (too long to be listed).
    #[serde(rename = "type")]
    kind: &'static str,
    /// Rows that have a value of this type.
    rows: u64,
    /// Every type, and how many rows have it.
    types: Vec<TypeShown>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct TypeShown {
    #[serde(rename = "type")]
    kind: &'static str,
    rows: u64,
}

impl FieldShown {
    fn of(key: &ObservedKey) -> Self {
        let most = key.types.iter().max_by_key(|(_, rows)| *rows);
        let types = key.types.iter().map(|(kind, rows)| TypeShown {
            kind: type_name(*kind),
            rows: *rows,
        });
        Self {
            key: key.path.to_string(),
            kind: most.map_or("text", |(kind, _)| type_name(*kind)),
            rows: most.map_or(0, |(_, rows)| *rows),
            types: types.collect(),
        }
    }
}

const fn type_name(kind: LaneKind) -> &'static str {
    match kind {
        LaneKind::Bool => "bool",
        LaneKind::I64 => "int",
        LaneKind::F64 => "float",
        LaneKind::Str => "text",
        LaneKind::Long => "long",
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct ValuesShown {
    key: String,
    /// Most frequent first.
    values: Vec<ValueShown>,
    /// Whether there are more.
    more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Value>,
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .get(&path("/fields"), TraceRead, fields)
        .asks("over", OVER)
        .asks("prefix", "how they begin")
        .asks("limit", "how many, up to 10000; 1000 if not given")
        .asks("explain", "`true` tells what it cost")
        .says("The keys that rows have, with types and counts; of traces and spans also `scores.NAME`, counted by scores, in the place of paths that begin so; of scores what every protocol says, as filters name it (`name`, `value`, `user_id`, `span_id`, `source`), in the place of the paths where each protocol has it.")
        .gives::<FieldsShown>();
    let route = routes.get(&path("/values"), TraceRead, values);
    asks_rows(route)
        .asks(
            "key",
            "a key or a path; of traces and spans also `scores.NAME`",
        )
        .asks("over", OVER)
        .asks("prefix", "how texts begin; other values are then left out")
        .asks("limit", "how many, up to 1000; 20 if not given")
        .asks("explain", "`true` tells what it cost")
        .says("The values of a key among the rows that pass, most frequent first.")
        .gives::<ValuesShown>();
}

async fn fields(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &OF_FIELDS)?;
    let over = Over::of(&params)?;
    let prefix = params.one("prefix")?.unwrap_or("").to_owned();
    let limit = limit(&params, READ_NAMES_DEFAULT, KEYS_LISTED_MAX)?;
    let explain = params.flag("explain")?;
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let found = keys(&store.view(), over, (&prefix, limit), budget)?;
        json(&FieldsShown {
            keys: found.keys.iter().map(FieldShown::of).collect(),
            more: found.more,
            explain: explain.then(|| wire::explained(&found.explain)),
        })
    })
    .await?;
    Ok(wire::json_response(body))
}

/// The keys that filters over these rows take.
pub(super) fn keys(
    view: &View,
    over: Over,
    wanted: (&str, usize),
    budget: &Budget<'_>,
) -> Result<ObservedKeys, ApiError> {
    if over == Over::Scores {
        keys_of_scores(view, wanted, budget)
    } else {
        keys_of_rows(view, over, wanted, budget)
    }
}

/// Facts, and paths that are not places of facts: those say the same in the words of one protocol.
fn keys_of_scores(
    view: &View,
    (prefix, limit): (&str, usize),
    budget: &Budget<'_>,
) -> Result<ObservedKeys, ApiError> {
    /// At least as many as there are places.
    const PLACES_MAX: usize = 32;
    let request = KeysRequest {
        prefix,
        but: None,
        limit: limit.saturating_add(PLACES_MAX).min(KEYS_LISTED_MAX),
    };
    let mut found = view.keys(Table::Scores, request, budget)?;
    // Of what stands behind the last path nobody knows whether other paths stand before it.
    let end = found.keys.last().filter(|_| found.more);
    let end = end.map(|key| key.path.clone());
    let facts = view.score_facts(budget)?;
    found.explain.add(facts.explain);
    found.keys.retain(|key| !Fact::has_place(&key.path));
    let facts = facts.keys.into_iter();
    found.keys.extend(facts.filter(|fact| {
        fact.path.starts_with(prefix) && end.as_ref().is_none_or(|end| fact.path <= *end)
    }));
    found.keys.sort_by(|a, b| a.path.cmp(&b.path));
    found.more |= found.keys.len() > limit;
    found.keys.truncate(limit);
    Ok(found)
}

/// The keys of rows, and among them the scores that they have, as `scores.NAME`. Where there are scores, that is what
/// such a name means to a filter, whatever path a row has.
fn keys_of_rows(
    view: &View,
    over: Over,
    (prefix, limit): (&str, usize),
    budget: &Budget<'_>,
) -> Result<ObservedKeys, ApiError> {
    let request = KeysRequest {
        prefix,
        but: over.has_scores().then_some(SCORES),
        limit,
    };
    let mut found = view.keys(over.table(), request, budget)?;
    let of_scores = if SCORES.starts_with(prefix) {
        Some("")
    } else {
        prefix.strip_prefix(SCORES)
    };
    // Names of scores stand behind what is listed, and that there are more is known.
    let is_full = found.more && found.keys.last().is_none_or(|key| &*key.path < SCORES);
    if let (Some(prefix), true, false) = (of_scores, over.has_scores(), is_full) {
        let scores = view.score_names(over.table(), (prefix, limit), budget)?;
        let named = scores.keys.into_iter().map(|key| ObservedKey {
            path: format!("{SCORES}{}", key.path).into(),
            ..key
        });
        found.explain.add(scores.explain);
        found.keys.extend(named);
        found.keys.sort_by(|a, b| a.path.cmp(&b.path));
        found.more |= scores.more || found.keys.len() > limit;
        found.keys.truncate(limit);
    }
    Ok(found)
}

/// The values of a key, or of a score.
fn values_of(
    view: &View,
    (over, key): (Over, &str),
    request: &ObservedRequest,
    budget: &Budget<'_>,
) -> Result<(Facet, Explain), ApiError> {
    let Some(name) = over.score(key) else {
        return Ok(view.values(over.table(), request, budget)?);
    };
    let request = ScoreValuesRequest {
        filter: request.filter.clone(),
        name: name.to_owned(),
        prefix: request.prefix.clone(),
        limit: request.limit,
    };
    let (facet, _, explain) = view.score_values(over.table(), &request, budget)?;
    Ok((facet, explain))
}

async fn values(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &OF_VALUES)?;
    let over = Over::of(&params)?;
    let key = params.one("key")?;
    let key = key
        .ok_or_else(|| ApiError::parameter("key", "names no key"))?
        .to_owned();
    let request = ObservedRequest {
        filter: chosen(over, &params, app.clock.wall_ns())?,
        column: over.column(&key),
        prefix: params.one("prefix")?.unwrap_or("").to_owned(),
        limit: limit(&params, READ_FACET_VALUES_DEFAULT, FACET_VALUES_MAX)?,
    };
    let explain = params.flag("explain")?;
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let (mut facet, explained) = values_of(&store.view(), (over, &key), &request, budget)?;
        let told = |value: &Literal| !over.is_hidden(&request.column, value);
        facet.values.retain(|(value, _)| told(value));
        json(&ValuesShown {
            key,
            values: ValueShown::all(&facet.values),
            more: facet.more,
            explain: explain.then(|| wire::explained(&explained)),
        })
    })
    .await?;
    Ok(wire::json_response(body))
}
