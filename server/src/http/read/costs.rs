//! `GET …/costs`: what runs cost in whole cents, told apart by who pays for it: all, by user, by model, by key.
//!
//! A cost is of the machine where its span is a sandbox's, else of the model. Where the customer pays the
//! provider himself (`theazo.billing_mode`), it counts nothing here. A span of events that came with
//! several keys is of the last one.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::doc::{COLUMN_VALUE_BYTES_MAX, DocRef, fingerprint};
use obsrv_engine::model;
use obsrv_engine::query::aggregate::{
    AggregateRequest, Figures, Group, GroupValue, Key, Measure, Value as Figure,
};
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Budget, Hit, Request};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;
use schemars::JsonSchema;
use serde::Serialize;

use super::aggregate::measure::number_value;
use super::ask::{Over, check_known, limit};
use super::list::{asks_rows, chosen, json};
use super::path;
use crate::http::access::{Access, TraceRead};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::params::Params;
use crate::http::routes::Routes;
use crate::http::store::View;
use crate::http::{App, query};
use crate::limits::{COST_GROUPS_DEFAULT, COST_GROUPS_MAX, COST_RUNS_MAX, PAGE_ROWS_MAX};
use crate::wire;

const KNOWN: [&str; 7] = ["q", "filter", "traceql", "from", "to", "group_by", "limit"];
const MODE: &str = "attributes.theazo.billing_mode";
const MANAGED: &str = "managed";
const MODES: [&str; 4] = [MANAGED, "byoi_compute", "byoi_models", "byoi_both"];

/// Which spans have a cost of each kind that is billed.
const MODEL: &str = "not kind:sandbox not attributes.theazo.billing_mode:(byoi_models,byoi_both)";
const COMPUTE: &str = "kind:sandbox not attributes.theazo.billing_mode:(byoi_compute,byoi_both)";

/// Money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Amount {
    /// Whole cents.
    amount: i64,
    /// Always `usd`.
    currency: &'static str,
}

impl Amount {
    const fn cents(amount: i64) -> Self {
        Self {
            amount,
            currency: "usd",
        }
    }
}

/// What some runs cost: stated, or by the prices of the organization.
#[derive(Clone, Debug, Default)]
pub(super) struct Bill {
    model: f64,
    compute: f64,
    /// And when it was said.
    mode: Option<(f64, &'static str)>,
}

/// The same in whole cents, the nearest; the total is that of both.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Billed {
    pub(super) model: Amount,
    pub(super) compute: Amount,
    pub(super) total: Amount,
    /// That of the last span which says one: `managed`, `byoi_compute`, `byoi_models` or `byoi_both`.
    pub(super) billing_mode: &'static str,
}

impl Bill {
    pub(super) fn billed(&self) -> Billed {
        let (model, compute) = (cents(self.model), cents(self.compute));
        Billed {
            model: Amount::cents(model),
            compute: Amount::cents(compute),
            total: Amount::cents(model.saturating_add(compute)),
            billing_mode: self.mode.map_or(MANAGED, |(_, mode)| mode),
        }
    }

    fn say(&mut self, at: f64, mode: &'static str) {
        if self.mode.is_none_or(|(said, _)| said < at) {
            self.mode = Some((at, mode));
        }
    }
}

/// By what costs are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    User,
    Model,
    Key,
}

impl By {
    fn of(params: &Params) -> Result<Option<Self>, ApiError> {
        match params.one("group_by")? {
            None => Ok(None),
            Some("user") => Ok(Some(Self::User)),
            Some("model") => Ok(Some(Self::Model)),
            Some("key") => Ok(Some(Self::Key)),
            Some(_) => Err(ApiError::parameter("group_by", "not user, model or key")),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct Costs {
    #[serde(flatten)]
    all: Billed,
    /// By user, model or key, if that was asked for: the dearest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Vec<OfGroup>>,
    /// Whether there are more than are listed.
    more: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct OfGroup {
    /// The user, the model or the `key_id`; null of what names none.
    key: Option<String>,
    #[serde(flatten)]
    billed: Billed,
}

pub(super) fn add(routes: &mut Routes) {
    asks_rows(routes.get(&path("/costs"), TraceRead, show))
        .asks("group_by", "`user`, `model` or `key` (of the API) tells beside it what each cost")
        .asks("limit", "users, models or keys listed, up to 1000; 100 if not given")
        .says("What the runs that pass cost in whole cents: model, compute, total, and who pays the provider.")
        .gives::<Costs>();
}

async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &KNOWN)?;
    let by = By::of(&params)?;
    let limit = limit(&params, COST_GROUPS_DEFAULT, COST_GROUPS_MAX)?;
    let runs = chosen(Over::Traces, &params, app.clock.wall_ns())?;
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let bills = Bills::of(&store.view(), runs, by, budget)?;
        let (all, more) = (bills.all.billed(), bills.groups.len() > limit);
        let data = by.map(|_| bills.listed(limit));
        json(&Costs { all, data, more })
    })
    .await?;
    Ok(wire::json_response(body))
}

/// What all of the runs cost; stated, or by the prices of the organization.
pub(super) fn all(view: &View, runs: Filter, budget: &Budget<'_>) -> Result<Billed, ApiError> {
    Ok(Bills::of(view, runs, None, budget)?.all.billed())
}

#[derive(Debug, Default)]
struct Bills {
    all: Bill,
    /// By user, model or key.
    groups: HashMap<Option<String>, Bill>,
}

impl Bills {
    fn of(
        view: &View,
        runs: Filter,
        by: Option<By>,
        budget: &Budget<'_>,
    ) -> Result<Self, ApiError> {
        let mut bills = Self::default();
        let mut request = Request {
            total: true,
            ..Request::new(runs, PAGE_ROWS_MAX)
        };
        loop {
            let page = view.search(Table::Runs, &request, budget)?;
            // Counted with the first page: nobody waits for sums that are refused in the end.
            let max = u64::try_from(COST_RUNS_MAX).unwrap_or(u64::MAX);
            if page.total.is_some_and(|total| total > max) {
                let message = format!("too many runs, narrow the time max={max}");
                return Err(ApiError::new(ErrorCode::QueryTooExpensive, message));
            }
            request.total = false;
            if !page.hits.is_empty() {
                bills.add(view, (&page.hits, by), budget)?;
            }
            request.after = page.next;
            if request.after.is_none() {
                return Ok(bills);
            }
        }
    }

    /// Adds what the spans of these runs cost.
    fn add(
        &mut self,
        view: &View,
        (runs, by): (&[Hit], Option<By>),
        budget: &Budget<'_>,
    ) -> Result<(), ApiError> {
        let traces = runs.iter();
        let traces = traces.map(|hit| Literal::Str(hit.core.trace_id.to_string()));
        let spans = Filter::Is(Column::TraceId, Test::In(traces.collect()));
        let users = match by {
            Some(By::User) => users(runs)?,
            Some(By::Model | By::Key) | None => HashMap::new(),
        };
        let column = by.map(|by| match by {
            By::User => Column::TraceId,
            By::Model => Column::Path(model::MODEL.into()),
            By::Key => Column::Path(model::KEY_ID.into()),
        });
        let name = |group: &Group| {
            let value = group.keys.first()?.as_ref()?;
            match by? {
                By::User => users.get(value).cloned(),
                By::Model | By::Key => shown(value),
            }
        };
        for (q, is_model) in [(MODEL, true), (COMPUTE, false)] {
            let these = Over::Spans.searched(q, 0)?;
            let these = Filter::And(vec![spans.clone(), these]);
            let measure = Measure::Sum(Over::Spans.column("cost"));
            each(
                view,
                (these, measure, column.as_ref()),
                budget,
                |group, sum| {
                    let bill = match group {
                        Some(group) => self.groups.entry(name(group)).or_default(),
                        None => &mut self.all,
                    };
                    let cost = if is_model {
                        &mut bill.model
                    } else {
                        &mut bill.compute
                    };
                    *cost += sum;
                },
            )?;
        }
        for mode in MODES {
            let says = Test::Eq(Literal::Str(mode.to_owned()));
            let says = Filter::Is(Column::Path(MODE.into()), says);
            let these = Filter::And(vec![spans.clone(), says]);
            let last = Measure::Max(Column::Start);
            each(
                view,
                (these, last, column.as_ref()),
                budget,
                |group, at| match group {
                    Some(group) => self.groups.entry(name(group)).or_default().say(at, mode),
                    None => self.all.say(at, mode),
                },
            )?;
        }
        Ok(())
    }

    fn listed(self, limit: usize) -> Vec<OfGroup> {
        let groups = self.groups.into_iter().map(|(key, bill)| OfGroup {
            key,
            billed: bill.billed(),
        });
        let mut groups: Vec<OfGroup> = groups.collect();
        groups.sort_by(|a, b| {
            let dearest = b.billed.total.amount.cmp(&a.billed.total.amount);
            dearest.then_with(|| a.key.cmp(&b.key))
        });
        groups.truncate(limit);
        groups
    }
}

/// Calls `visit` with what the measure comes to: of all spans that pass, and of each group.
fn each(
    view: &View,
    (spans, measure, key): (Filter, Measure, Option<&Column>),
    budget: &Budget<'_>,
    mut visit: impl FnMut(Option<&Group>, f64),
) -> Result<(), ApiError> {
    let request = AggregateRequest {
        keys: key.cloned().map(Key::new).into_iter().collect(),
        ..AggregateRequest::new(spans, vec![measure])
    };
    let answer = view.aggregate(Table::Spans, &request, budget)?;
    if answer.groups_left_out > 0 {
        let message = "too many models or keys in these runs, narrow the filter";
        return Err(ApiError::new(ErrorCode::QueryTooExpensive, message));
    }
    if let Some(number) = number(&answer.total) {
        visit(None, number);
    }
    // Without a key there is one group, of all.
    for group in answer.groups.iter().filter(|_| key.is_some()) {
        // A model that cost nothing is listed, too.
        visit(Some(group), number(&group.figures).unwrap_or(0.0));
    }
    Ok(())
}

fn number(figures: &Figures) -> Option<f64> {
    match figures.measures.first().map(|measured| &measured.value) {
        Some(Figure::Number(Some(number))) => number_value(*number).as_f64(),
        _ => None,
    }
}

/// The user of each trace, as groups name traces.
fn users(runs: &[Hit]) -> Result<HashMap<GroupValue, String>, ApiError> {
    let mut users = HashMap::new();
    for hit in runs {
        let row = wire::row_of(&hit.core, &hit.body)?;
        let id = &hit.core.trace_id;
        let trace = if id.len() > COLUMN_VALUE_BYTES_MAX {
            GroupValue::Long(fingerprint(id.as_bytes()))
        } else {
            GroupValue::Str(id.clone())
        };
        let user = row.doc().get(model::USER_ID).and_then(DocRef::as_str);
        users.extend(user.map(|user| (trace, user.to_owned())));
    }
    Ok(users)
}

/// What a group is called; of what is too long for a column, or no text, nothing.
fn shown(value: &GroupValue) -> Option<String> {
    match value {
        GroupValue::Str(text) => Some(text.to_string()),
        _ => None,
    }
}

/// Whole cents, the nearest.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast from float to whole saturates"
)]
fn cents(usd: f64) -> i64 {
    (usd * 100.0).round() as i64
}
