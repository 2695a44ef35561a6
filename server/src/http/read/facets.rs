//! `GET …/facets`: the values of some keys among the rows that pass a filter, with counts.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::query::aggregate::{
    AggregateRequest, MEASURES_MAX, Measure, ScoreValuesRequest, Value as Figure,
};
use obsrv_engine::query::ast::Literal;
use obsrv_engine::query::{Budget, Explain, FACET_VALUES_MAX, Facet, Order, QueryError, Request};
use obsrv_engine::source::Column;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::ask::{OVER, Over, check_known, limit};
use super::damaged::{ALLOW_PARTIAL, Damaged, asks_partial, damaged};
use super::list::{asks_rows, chosen, json};
use super::path;
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::params::Params;
use crate::http::routes::Routes;
use crate::http::store::View;
use crate::http::{App, query};
use crate::limits::{FACETS_MAX, READ_FACET_VALUES_DEFAULT};
use crate::wire;

const KNOWN: [&str; 10] = [
    "keys",
    "over",
    "q",
    "filter",
    "traceql",
    "from",
    "to",
    "limit",
    "explain",
    ALLOW_PARTIAL,
];

#[derive(Debug, Serialize, JsonSchema)]
struct FacetsShown {
    facets: Vec<FacetShown>,
    /// Rows that pass.
    total: u64,
    /// What is damaged on disk and left out; only with `allow_partial`.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<Vec<Damaged>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Value>,
}

/// The values of a key.
#[derive(Debug, Serialize, JsonSchema)]
struct FacetShown {
    key: String,
    /// Most frequent first. A row with several values counts for each.
    values: Vec<ValueShown>,
    /// Rows with a value, less the counts listed. A row may have several values, so it may have one
    /// that is listed and one that is not.
    other: u64,
    /// Rows without a value.
    missing: u64,
    /// Whether there are more values than are listed.
    more: bool,
    /// Whether there are so many values that one that is not listed may be more frequent than one
    /// that is.
    overflow: bool,
    /// Only of scores, and only where it is so: more scores of the name than one question may hold. None of their
    /// values are counted, and `other` and `missing` are 0; the other keys are not concerned. Ask for less time, or
    /// filter more.
    #[serde(skip_serializing_if = "is_false")]
    cut: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it so")]
const fn is_false(yes: &bool) -> bool {
    !*yes
}

/// A value and how many rows have it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ValueShown {
    pub(super) value: Value,
    pub(super) count: u64,
}

impl ValueShown {
    pub(super) fn all(values: &[(Literal, u64)]) -> Vec<Self> {
        let shown = values.iter().map(|(value, count)| Self {
            value: wire::literal(value),
            count: *count,
        });
        shown.collect()
    }
}

pub(super) fn add(routes: &mut Routes) {
    let route = routes.get(&path("/facets"), TraceRead, show);
    asks_partial(asks_rows(route))
        .asks(
            "keys",
            "keys and paths, with commas; up to 32; of traces and spans also `scores.NAME`",
        )
        .asks("over", OVER)
        .asks("limit", "values of each, up to 1000; 20 if not given")
        .asks("explain", "`true` tells what it cost")
        .says("The values of some keys among the rows that pass, with counts.")
        .gives::<FacetsShown>();
}

fn keys(params: &Params) -> Result<Vec<String>, ApiError> {
    let names = params.all("keys").flat_map(|v| v.split(',')).map(str::trim);
    let names: Vec<String> = names
        .filter(|name| !name.is_empty())
        .take(FACETS_MAX + 1)
        .map(str::to_owned)
        .collect();
    match names.len() {
        0 => Err(ApiError::parameter("keys", "names no key")),
        n if n > FACETS_MAX => {
            let message = format!("too many keys max={FACETS_MAX}");
            Err(ApiError::parameter("keys", message))
        }
        _ => Ok(names),
    }
}

async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &KNOWN)?;
    let over = Over::of(&params)?;
    let keys = keys(&params)?;
    let of_rows = keys.iter().filter(|key| over.score(key).is_none());
    let request = Request {
        filter: chosen(over, &params, app.clock.wall_ns())?,
        order: Order::default(),
        limit: 0,
        after: None,
        total: true,
        facets: of_rows.map(|key| over.column(key)).collect(),
        facet_values_max: limit(&params, READ_FACET_VALUES_DEFAULT, FACET_VALUES_MAX)?,
    };
    let (explain, partial) = (params.flag("explain")?, params.flag(ALLOW_PARTIAL)?);
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let view = store.view_or(partial);
        let page = view.search(over.table(), &request, budget)?;
        let total = page.total.unwrap_or(0);
        let with = having(&view, over, &request, budget)?;
        let mut cost = page.explain;
        let mut of_rows = page.facets.into_iter().zip(with);
        let mut shown = Vec::with_capacity(keys.len());
        for key in keys {
            let found = match over.score(&key) {
                Some(name) => of_scores(&view, (over, name), &request, (&mut cost, budget))?,
                None => Some(of_rows.next().expect("BUG: a key without a facet")),
            };
            let Some((mut facet, with)) = found else {
                shown.push(FacetShown::cut(key));
                continue;
            };
            let column = facet.column.clone();
            let told = |value: &Literal| !over.is_hidden(&column, value);
            facet.values.retain(|(value, _)| told(value));
            shown.push(FacetShown::of(key, &facet, with, total));
        }
        json(&FacetsShown {
            facets: shown,
            total,
            damaged: damaged(view.left_out()),
            explain: explain.then(|| wire::explained(&cost)),
        })
    })
    .await?;
    Ok(wire::json_response(body))
}

impl FacetShown {
    fn of(key: String, facet: &Facet, with: u64, total: u64) -> Self {
        let listed: u64 = facet.values.iter().map(|(_, count)| count).sum();
        Self {
            key,
            values: ValueShown::all(&facet.values),
            other: with.saturating_sub(listed),
            missing: total.saturating_sub(with),
            more: facet.more,
            overflow: facet.overflow,
            cut: false,
        }
    }

    const fn cut(key: String) -> Self {
        Self {
            key,
            values: Vec::new(),
            other: 0,
            missing: 0,
            more: true,
            overflow: true,
            cut: true,
        }
    }
}

/// The values of the scores of one name, and how many of the rows have one; `None` if they are too many to be held,
/// which is no reason to refuse the other keys.
pub(super) fn of_scores(
    view: &View,
    (over, name): (Over, &str),
    request: &Request,
    (cost, budget): (&mut Explain, &Budget<'_>),
) -> Result<Option<(Facet, u64)>, ApiError> {
    let request = ScoreValuesRequest {
        filter: request.filter.clone(),
        name: name.to_owned(),
        prefix: String::new(),
        limit: request.facet_values_max,
    };
    let Some((facet, with, explain)) =
        unless_too_many(view.score_values(over.table(), &request, budget))?
    else {
        return Ok(None);
    };
    cost.add(explain);
    Ok(Some((facet, with)))
}

pub(super) fn unless_too_many<T>(found: Result<T, QueryError>) -> Result<Option<T>, QueryError> {
    match found {
        Err(QueryError::BudgetExceeded { .. }) => Ok(None),
        found => found.map(Some),
    }
}

/// How many of the rows have a value of each column.
fn having(
    view: &View,
    over: Over,
    request: &Request,
    budget: &Budget<'_>,
) -> Result<Vec<u64>, ApiError> {
    let mut all = Vec::new();
    for columns in request.facets.chunks(MEASURES_MAX) {
        let has = |column: &Column| Measure::CountIf(over.has(column));
        let measures = columns.iter().map(has).collect();
        let asked = AggregateRequest::new(request.filter.clone(), measures);
        let answer = view.aggregate(over.table(), &asked, budget)?;
        all.extend(
            answer
                .total
                .measures
                .iter()
                .map(|measured| match measured.value {
                    Figure::Count(count) => count,
                    _ => 0,
                }),
        );
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_that_are_too_many_cut_their_facet_and_refuse_nothing() {
        let exceeded = QueryError::BudgetExceeded {
            what: "traces",
            max: 1,
        };
        assert_eq!(unless_too_many::<u8>(Err(exceeded)).unwrap(), None);
        assert_eq!(unless_too_many(Ok(1)).unwrap(), Some(1));
        let ended = unless_too_many::<u8>(Err(QueryError::Cancelled));
        assert!(matches!(ended, Err(QueryError::Cancelled)));
        let shown = serde_json::to_value(FacetShown::cut("scores.a".into())).unwrap();
        let wanted = serde_json::json!({
            "key": "scores.a", "values": [], "other": 0, "missing": 0, "more": true, "overflow": true, "cut": true,
        });
        assert_eq!(shown, wanted);
    }
}
