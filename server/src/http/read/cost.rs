//! `GET …/traces/{trace}/cost`: what a trace cost, step by step: as its sender says, else by the prices of the
//! organization, else by the server's: the same that lists show, once runs are priced again after a change.
//!
//! Agents, chains and a client's own account of a call say again what other steps say: they count only where no step counts.
//! What neither a sender nor the table tells is unknown, and makes the total a lower bound.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use obsrv_engine::cost::CostSource;
use obsrv_engine::doc::DocRef;
use obsrv_engine::engine::ReadBody;
use obsrv_engine::model;
use obsrv_engine::query::{Budget, QueryError};
use obsrv_engine::row::Table;
use schemars::JsonSchema;
use serde::Serialize;

use super::list::json;
use super::path;
use super::trace::{run_of, trace_id};
use crate::dialect::theta_read::StoredRow;
use crate::http::access::{Access, TraceRead};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::input::InPath;
use crate::http::routes::Routes;
use crate::http::store::View;
use crate::http::{App, query};
use crate::limits::COST_STEPS_MAX;
use crate::price::{Priced, Prices, verdict};
use crate::wire;

#[derive(Debug, Serialize, JsonSchema)]
struct CostShown {
    /// Always `usd`.
    currency: &'static str,
    /// The table that priced what no sender stated.
    table: TableShown,
    /// Null if nothing of it is known.
    total: Option<f64>,
    /// Whether every step that used tokens has a cost: otherwise the total is a lower bound.
    is_complete: bool,
    /// What the trace says of itself; then it is the total.
    stated_by_trace: Option<f64>,
    /// Sum of what steps stated.
    stated: f64,
    /// Sum of what the table says of steps that stated nothing.
    priced: f64,
    /// Steps that used tokens and whose cost nobody knows.
    unknown: u64,
    /// Steps that used something, the dearest first, at most 1,000.
    data: Vec<StepCost>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct TableShown {
    /// When its youngest entry was looked at.
    date: String,
    models: usize,
    /// How often the organization's own prices were changed, which come first; 0: it has none.
    own_revision: u64,
}

/// What a step cost.
#[derive(Debug, Serialize, JsonSchema)]
struct StepCost {
    span_id: String,
    model: Option<String>,
    /// `stated`, `priced`, `unknown`, or `roll_up` of what repeats the steps below it.
    source: &'static str,
    cost: Option<f64>,
    /// Entry and tier of the table.
    priced_as: Option<(String, String)>,
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .get(&path("/traces/{trace}/cost"), TraceRead, show)
        .says("What a trace cost, stated or by the table of prices; what is unknown is called so.")
        .gives::<CostShown>();
}

async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Response, ApiError> {
    let trace_id = trace_id(&place, "trace")?;
    let store = app.core()?.store(access.tenant());
    let prices = app.book().of_project(access.tenant().project());
    let body = query::run(&app, access.tenant().project(), move |budget| {
        let view = store.view();
        let run = run_of(&view, &trace_id)?;
        let bill = Bill::read(&view, &trace_id, &prices, budget)?;
        json(&bill.shown(&run, &prices))
    })
    .await?;
    Ok(wire::json_response(body))
}

/// What the steps of a trace add up to, in dollars.
#[derive(Debug, Default)]
struct Bill {
    stated: f64,
    priced: f64,
    unknown: u64,
    /// Stated by what says again what other steps say.
    above: f64,
    has_above: bool,
    /// What a table says of calls that are told again.
    again: f64,
    has_again: bool,
    unknown_again: u64,
    has_steps: bool,
    steps: Vec<StepCost>,
}

impl Bill {
    fn read(
        view: &View,
        trace_id: &str,
        prices: &Prices,
        budget: &Budget<'_>,
    ) -> Result<Self, ApiError> {
        let (mut bill, mut held) = (Self::default(), 0_u64);
        view.each_row(Table::Spans, trace_id, &mut |core, body: ReadBody<'_>| {
            if (budget.cancelled)() {
                return Err(ApiError::from(QueryError::Cancelled));
            }
            let row = wire::row_of(&core, &body()?)?;
            let Some(step) = bill.add(&row, prices) else {
                return Ok(());
            };
            let texts = step.span_id.len() + step.model.as_ref().map_or(0, String::len);
            held = held.saturating_add(u64::try_from(texts + 256).unwrap_or(u64::MAX));
            if held > budget.bytes_max {
                return Err(ApiError::new(
                    ErrorCode::QueryTooExpensive,
                    format!(
                        "trace too large for its cost max_bytes={}",
                        budget.bytes_max
                    ),
                ));
            }
            bill.steps.push(step);
            Ok(())
        })?;
        Ok(bill)
    }

    /// Adds a span; none if it used nothing.
    fn add(&mut self, row: &StoredRow, prices: &Prices) -> Option<StepCost> {
        let doc = row.doc();
        let fields = |key: &str| doc.get(key);
        let found = verdict(&fields, row.core.start_ns, |call| prices.price(call))?;
        let (source, cost, priced) = (found.source.as_str(), found.dollars, found.priced);
        let repeats = found.source == CostSource::RollUp;
        match source {
            "roll_up" if priced.is_some() => {
                self.has_again = true;
                self.again += cost.unwrap_or(0.0);
            }
            "roll_up" => {
                self.has_above |= cost.is_some();
                self.above += cost.unwrap_or(0.0);
                let is_call = doc.get(model::REPEATS) == Some(DocRef::Bool(true));
                self.unknown_again += u64::from(is_call && cost.is_none());
            }
            "stated" => self.stated += cost.unwrap_or(0.0),
            "priced" => self.priced += cost.unwrap_or(0.0),
            _ => self.unknown += 1,
        }
        self.has_steps |= !repeats && cost.is_some();
        Some(StepCost {
            span_id: row.core.id.to_string(),
            model: row
                .text(model::MODEL)
                .map(str::to_owned)
                .filter(|m| !m.is_empty()),
            source,
            cost,
            priced_as: priced.map(|Priced { model, tier, .. }| (model.to_owned(), tier.to_owned())),
        })
    }

    fn shown(mut self, run: &StoredRow, prices: &Prices) -> CostShown {
        let said = run.doc().get(model::COST_USD).and_then(DocRef::as_f64);
        // The trace's row has the sums of its spans where it does not say anything itself.
        let is_sum = |said: f64| same(said, self.stated) || same(said, self.above);
        let own = said.filter(|said| !is_sum(*said));
        let of_steps = self.has_steps.then_some(self.stated + self.priced);
        let of_above = self.has_above.then_some(self.above);
        let of_again = self.has_again.then_some(self.again);
        let total = own.or(of_steps).or(of_above).or(of_again);
        // As the roll-up of a run has it.
        self.unknown = match (self.has_steps, self.has_above, self.has_again) {
            (true, _, _) => self.unknown,
            (false, true, _) => 0,
            (false, false, true) => self.unknown_again,
            (false, false, false) => self.unknown.max(self.unknown_again),
        };
        if !self.has_steps && of_above.is_none() {
            self.priced = self.again;
        }
        let is_complete = own.is_some() || self.unknown == 0;
        self.steps.sort_by(|a, b| {
            let by_cost = b.cost.unwrap_or(-1.0).total_cmp(&a.cost.unwrap_or(-1.0));
            by_cost.then_with(|| a.span_id.cmp(&b.span_id))
        });
        self.steps.truncate(COST_STEPS_MAX);
        CostShown {
            currency: "usd",
            table: TableShown {
                date: prices.base.date().to_owned(),
                models: prices.base.len(),
                own_revision: prices.own.as_ref().map_or(0, |own| own.revision),
            },
            total,
            is_complete: is_complete && total.is_some(),
            stated_by_trace: own,
            stated: self.stated,
            priced: self.priced,
            unknown: self.unknown,
            data: self.steps,
        }
    }
}

/// Equal but for what adding up floats in another order does.
fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9
}
