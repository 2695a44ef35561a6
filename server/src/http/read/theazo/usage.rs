//! `GET /v1/usage/users/{user}`: what a user's runs cost, told apart by who pays for it.
//!
//! A cost is of the machine where its span is a sandbox's, else of the model. Where the customer pays the
//! provider himself (`theazo.billing_mode`), it counts nothing here.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::model;
use obsrv_engine::query::aggregate::{AggregateRequest, Measure, Value as Figure};
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Budget, Request};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;
use schemars::JsonSchema;
use serde::Serialize;

use super::filter::quoted;
use super::logs::range;
use crate::http::access::{Access, TraceRead};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::input::InPath;
use crate::http::params::Params;
use crate::http::read::aggregate::measure::number_value;
use crate::http::read::ask::{Over, check_known};
use crate::http::read::list::json;
use crate::http::routes::Routes;
use crate::http::store::View;
use crate::http::{App, query};
use crate::limits::{PAGE_ROWS_MAX, THEAZO_USER_RUNS_MAX};
use crate::wire;

const KNOWN: [&str; 2] = ["since", "until"];
const MODE: &str = "attributes.theazo.billing_mode";
const MANAGED: &str = "managed";
const MODES: [&str; 4] = [MANAGED, "byoi_compute", "byoi_models", "byoi_both"];

/// Which spans have a cost of each kind that is billed.
const MODEL: &str = "not kind:sandbox not attributes.theazo.billing_mode:(byoi_models,byoi_both)";
const COMPUTE: &str = "kind:sandbox not attributes.theazo.billing_mode:(byoi_compute,byoi_both)";

/// Money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct Amount {
    /// Whole cents.
    amount: i64,
    /// Always `usd`.
    currency: &'static str,
}

/// What a user cost: stated, or by the prices of the organization.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Usage {
    user_id: String,
    model: Amount,
    compute: Amount,
    total: Amount,
    /// That of the user's last span which says one: `managed`, `byoi_compute`, `byoi_models` or `byoi_both`.
    billing_mode: String,
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .get("/v1/usage/users/{user}", TraceRead, show)
        .asks("since", "earliest start of a run; all if not given")
        .asks("until", "the start before which they are")
        .says("What a user cost, by model and machine, in Theazo's words.")
        .gives::<Usage>();
}

async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &KNOWN)?;
    let now_ns = app.clock.wall_ns();
    let user = place.text("user").to_owned();
    let of_user = Over::Traces.searched(&format!("user_id:{}", quoted(&user)), now_ns)?;
    let runs = range(&params, now_ns)?.and(of_user);
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let spent = Spent::of(&store.view(), runs, budget)?;
        let (model, compute) = (cents(spent.model), cents(spent.compute));
        let amount = |amount| Amount {
            amount,
            currency: "usd",
        };
        json(&Usage {
            user_id: user,
            model: amount(model),
            compute: amount(compute),
            total: amount(model.saturating_add(compute)),
            billing_mode: spent.mode.map_or(MANAGED.to_owned(), |(_, mode)| mode),
        })
    })
    .await?;
    Ok(wire::json_response(body))
}

#[derive(Debug, Default)]
struct Spent {
    model: f64,
    compute: f64,
    /// And when it was said.
    mode: Option<(i64, String)>,
}

impl Spent {
    /// What the spans of these runs cost.
    fn of(view: &View, runs: Filter, budget: &Budget<'_>) -> Result<Self, ApiError> {
        let mut spent = Self::default();
        let mut request = Request {
            total: true,
            ..Request::new(runs, PAGE_ROWS_MAX)
        };
        loop {
            let page = view.search(Table::Runs, &request, budget)?;
            // Counted with the first page: nobody waits for sums that are refused in the end.
            let max = u64::try_from(THEAZO_USER_RUNS_MAX).unwrap_or(u64::MAX);
            if page.total.is_some_and(|total| total > max) {
                let message = format!("too many runs, narrow the time max={max}");
                return Err(ApiError::new(ErrorCode::QueryTooExpensive, message));
            }
            request.total = false;
            let traces = page.hits.iter();
            let traces = traces.map(|hit| Literal::Str(hit.core.trace_id.to_string()));
            let spans = Filter::Is(Column::TraceId, Test::In(traces.collect()));
            if !page.hits.is_empty() {
                spent.model += cost(view, (MODEL, &spans), budget)?;
                spent.compute += cost(view, (COMPUTE, &spans), budget)?;
                spent.say(view, spans, budget)?;
            }
            request.after = page.next;
            if request.after.is_none() {
                return Ok(spent);
            }
        }
    }

    /// Takes note of the last mode among these spans.
    fn say(&mut self, view: &View, spans: Filter, budget: &Budget<'_>) -> Result<(), ApiError> {
        let says = MODES.map(|mode| Literal::Str(mode.to_owned()));
        let says = Filter::Is(Column::Path(MODE.into()), Test::In(says.into()));
        let request = Request {
            order: Over::Spans.order("-start")?,
            ..Request::new(Filter::And(vec![spans, says]), 1)
        };
        let page = view.search(Table::Spans, &request, budget)?;
        for hit in page.hits {
            let at = hit.core.start_ns;
            let row = wire::row_of(&hit.core, &hit.body)?;
            let attributes = row.doc().get(model::ATTRIBUTES);
            let mode = attributes.and_then(|a| a.get("theazo.billing_mode")?.as_str());
            if let Some(mode) = mode
                && self.mode.as_ref().is_none_or(|(said, _)| *said < at)
            {
                self.mode = Some((at, mode.to_owned()));
            }
        }
        Ok(())
    }
}

fn cost(view: &View, (q, spans): (&str, &Filter), budget: &Budget<'_>) -> Result<f64, ApiError> {
    let these = Over::Spans.searched(q, 0)?;
    let measures = vec![Measure::Sum(Over::Spans.column("cost"))];
    let request = AggregateRequest::new(Filter::And(vec![spans.clone(), these]), measures);
    let answer = view.aggregate(Table::Spans, &request, budget)?;
    let sum = answer.total.measures.first().map(|m| &m.value);
    Ok(match sum {
        Some(Figure::Number(Some(sum))) => number_value(*sum).as_f64().unwrap_or(0.0),
        _ => 0.0,
    })
}

/// Whole cents, the nearest.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast from float to whole saturates"
)]
fn cents(usd: f64) -> i64 {
    (usd * 100.0).round() as i64
}
