//! `GET …/experiments/{experiment}/results`: what the runs of an experiment come to, by arm.
//!
//! Runs say which experiment and which arm by their metadata, as the theta client tells them to. A score says of its run
//! no more than its trace: scores are looked up for the newest runs of each arm, so many at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::model;
use obsrv_engine::query::aggregate::{
    AggregateRequest, DistinctMode, Figures, GroupValue, Key, Measure, Rank, Top, Value as Figure,
};
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Budget, Request};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;
use schemars::JsonSchema;
use serde::Serialize;

use super::ask::{Range, check_known};
use super::figures::{count, float, number, whole};
use super::list::json;
use super::path;
use super::shape::Cost;
use crate::http::access::{Access, TraceRead};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::input::InPath;
use crate::http::params::Params;
use crate::http::routes::Routes;
use crate::http::store::View;
use crate::http::{App, query};
use crate::limits::{
    EXPERIMENT_ARMS_SHOWN_MAX, EXPERIMENT_SCORED_RUNS_MAX, EXPERIMENT_SCORES_MAX, PAGE_ROWS_MAX,
};
use crate::tenancy::experiments::Experiment;
use crate::wire;

const OF_EXPERIMENT: &str = "metadata.experiment_id";
const OF_ARM: &str = "metadata.experiment_arm_id";
const KNOWN: [&str; 2] = ["from", "to"];

/// Runs of an experiment, by arm.
#[derive(Debug, Serialize, JsonSchema)]
struct Results {
    id: String,
    name: String,
    revision: u64,
    /// Its arms in their order, then arms that it has no more, those with the most runs first.
    arms: Vec<ArmResult>,
    /// Arms that are not listed.
    arms_left_out: u64,
}

/// What the runs of one arm come to.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct ArmResult {
    id: String,
    /// Null of an arm that the experiment has no more.
    name: Option<String>,
    traffic_pct: Option<u32>,
    traces: u64,
    /// Different users; estimated above 1,000,000.
    users: u64,
    /// Runs that failed.
    errors: u64,
    /// Within 0.4 %; null without a run that ended.
    duration_ns_p50: Option<f64>,
    duration_ns_p95: Option<f64>,
    tokens: Option<i64>,
    cost: Option<Cost>,
    /// By name; those of the newest 5,000 runs.
    scores: BTreeMap<String, ScoreResult>,
    /// Whether there are older runs, whose scores are not in it.
    scores_cut: bool,
}

/// What scores of one name come to.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct ScoreResult {
    count: u64,
    /// Of those that are numbers; null if none is.
    avg: Option<f64>,
    #[serde(skip)]
    sum: f64,
    #[serde(skip)]
    numbers: u64,
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .get(
            &path("/experiments/{experiment}/results"),
            TraceRead,
            results,
        )
        .says("What the runs of an experiment come to, by arm: runs, users, errors, latency, tokens, cost, scores.")
        .asks("from", "earliest start of a run, e.g. `-7d`")
        .asks("to", "the start before which runs are")
        .gives::<Results>();
}

fn key(path: &str) -> Column {
    Column::Path(path.into())
}

fn is(column: &str, text: &str) -> Filter {
    Filter::Is(key(column), Test::Eq(Literal::Str(text.to_owned())))
}

async fn results(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &KNOWN)?;
    let now_ns = app.clock.wall_ns();
    let range = Range::of(params.one("from")?, params.one("to")?, now_ns)?;
    let core = app.core()?;
    let (project, id) = (access.tenant().project().0, place.text("experiment"));
    let experiment = core.directory().read(|state| {
        let held = state.experiments.get(project, id);
        held.map(|held| held.experiment.clone())
    });
    let none = || ApiError::new(ErrorCode::NotFound, "no such experiment");
    let experiment = experiment.ok_or_else(none)?;
    let store = core.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let filter = range.and(is(OF_EXPERIMENT, &experiment.id));
        json(&of_view(&store.view(), &experiment, &filter, budget)?)
    })
    .await?;
    Ok(wire::json_response(body))
}

fn of_view(
    view: &View,
    experiment: &Experiment,
    filter: &Filter,
    budget: &Budget<'_>,
) -> Result<Results, ApiError> {
    let answer = view.aggregate(Table::Runs, &asked(filter.clone()), budget)?;
    let mut found: Vec<ArmResult> = Vec::new();
    for group in &answer.groups {
        if let Some(Some(GroupValue::Str(arm))) = group.keys.first() {
            found.push(of_figures(arm, &group.figures));
        }
    }
    let mut arms = Vec::new();
    for arm in &experiment.terms.arms {
        let at = found.iter().position(|found| found.id == arm.id);
        arms.push(ArmResult {
            id: arm.id.clone(),
            name: Some(arm.name.clone()),
            traffic_pct: Some(arm.traffic_pct),
            ..at.map(|at| found.remove(at)).unwrap_or_default()
        });
    }
    arms.append(&mut found);
    for arm in arms.iter_mut().filter(|arm| arm.traces > 0) {
        let of_arm = Filter::And(vec![filter.clone(), is(OF_ARM, &arm.id)]);
        arm.scores_cut = add_scores(view, of_arm, &mut arm.scores, budget)?;
    }
    Ok(Results {
        id: experiment.id.clone(),
        name: experiment.terms.name.clone(),
        revision: experiment.revision,
        arms,
        arms_left_out: answer.groups_left_out,
    })
}

fn asked(filter: Filter) -> AggregateRequest {
    let measures = vec![
        Measure::Distinct {
            column: key(model::USER_ID),
            mode: DistinctMode::ExactOrEstimated,
        },
        Measure::CountIf(is(model::STATUS, model::status::ERROR)),
        Measure::Sum(key("tokens.total")),
        Measure::Sum(key(model::COST)),
        Measure::Quantiles {
            column: Column::Duration,
            at: vec![0.5, 0.95],
        },
    ];
    AggregateRequest {
        keys: vec![Key {
            column: key(OF_ARM),
            absent: false,
        }],
        top: Top {
            by: Rank::Rows,
            descending: true,
            limit: EXPERIMENT_ARMS_SHOWN_MAX,
        },
        ..AggregateRequest::new(filter, measures)
    }
}

fn of_figures(arm: &str, figures: &Figures) -> ArmResult {
    let quantile = |at: usize| match figures.measures.get(4).map(|of| &of.value) {
        Some(Figure::Quantiles(all)) => all.get(at).copied().flatten(),
        _ => None,
    };
    ArmResult {
        id: arm.to_owned(),
        traces: figures.rows,
        users: count(figures, 0),
        errors: count(figures, 1),
        tokens: whole(figures, 2),
        cost: number(figures, 3).map(|cost| Cost::sum(float(cost))),
        duration_ns_p50: quantile(0),
        duration_ns_p95: quantile(1),
        ..ArmResult::default()
    }
}

/// Adds up the scores of the newest runs that pass. Whether there are older ones.
fn add_scores(
    view: &View,
    filter: Filter,
    into: &mut BTreeMap<String, ScoreResult>,
    budget: &Budget<'_>,
) -> Result<bool, ApiError> {
    let mut request = Request::new(filter, PAGE_ROWS_MAX);
    let mut looked_at = 0;
    loop {
        let page = view.search(Table::Runs, &request, budget)?;
        looked_at += page.hits.len();
        let ids = page.hits.iter().map(|hit| hit.core.trace_id.to_string());
        let ids: Vec<Literal> = ids.map(Literal::Str).collect();
        if !ids.is_empty() {
            add_scores_of(view, ids, into, budget)?;
        }
        request.after = page.next;
        if request.after.is_none() || looked_at >= EXPERIMENT_SCORED_RUNS_MAX {
            break;
        }
    }
    for score in into.values_mut() {
        #[expect(clippy::cast_precision_loss, reason = "an average for people")]
        let numbers = score.numbers as f64;
        score.avg = (score.numbers > 0).then(|| score.sum / numbers);
    }
    Ok(request.after.is_some())
}

fn add_scores_of(
    view: &View,
    traces: Vec<Literal>,
    into: &mut BTreeMap<String, ScoreResult>,
    budget: &Budget<'_>,
) -> Result<(), ApiError> {
    // Where each protocol has the name and the number of a score, as answers show them.
    let request = AggregateRequest {
        keys: vec![Key::new(key(model::NAME)), Key::new(key("label"))],
        top: Top {
            by: Rank::Rows,
            descending: true,
            limit: EXPERIMENT_SCORES_MAX,
        },
        ..AggregateRequest::new(
            Filter::Is(Column::TraceId, Test::In(traces)),
            vec![Measure::Sum(key("score")), Measure::Sum(key("value"))],
        )
    };
    let answer = view.aggregate(Table::Scores, &request, budget)?;
    for group in answer.groups {
        let name = group.keys.into_iter().flatten().next();
        let Some(GroupValue::Str(name)) = name else {
            continue;
        };
        let score = into.entry(name.into()).or_default();
        score.count += group.figures.rows;
        for (at, measured) in group.figures.measures.iter().enumerate() {
            score.numbers += measured.count;
            score.sum += number(&group.figures, at).map_or(0.0, float);
        }
    }
    Ok(())
}
