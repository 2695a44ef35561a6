//! `GET …/experiments/{experiment}/results`: what the runs of an experiment come to, by arm.
//!
//! Runs say which experiment and which arm by their metadata, as the theta client tells them to. Anybody who sends runs can
//! name arms: those that the experiment has are asked for by their ids, so that no other takes their place. A score says of
//! its run no more than its trace: scores are looked up for the newest runs of each arm of the experiment, so many at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::model;
use obsrv_engine::model::score::Fact;
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
    /// By name; those of the newest 5,000 runs. None of an arm that the experiment has no more.
    scores: BTreeMap<String, ScoreResult>,
    /// Whether there are scores that are not in it: of older runs, or because they have more than 100 names.
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
        held.map(|held| (held.experiment.clone(), held.revision()))
    });
    let none = || ApiError::new(ErrorCode::NotFound, "no such experiment");
    let (experiment, revision) = experiment.ok_or_else(none)?;
    let store = core.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let filter = range.and(is(OF_EXPERIMENT, &experiment.id));
        let found = of_view(&store.view(), &experiment, &filter, budget)?;
        json(&Results { revision, ..found })
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
    let ids = experiment.terms.arms.iter().map(|arm| &arm.id);
    let ids: Vec<Literal> = ids.cloned().map(Literal::Str).collect();
    let others = EXPERIMENT_ARMS_SHOWN_MAX.saturating_sub(ids.len());
    let its_own = Filter::Is(key(OF_ARM), Test::In(ids));
    let both = |part: Filter| Filter::And(vec![filter.clone(), part]);
    let is_other = both(Filter::Not(Box::new(its_own.clone())));
    let (mut found, _) = by_arm(view, both(its_own), EXPERIMENT_ARMS_SHOWN_MAX, budget)?;
    let (mut others, arms_left_out) = by_arm(view, is_other, others, budget)?;
    let mut arms = Vec::new();
    for arm in &experiment.terms.arms {
        let at = found.iter().position(|found| found.id == arm.id);
        let mut result = ArmResult {
            id: arm.id.clone(),
            name: Some(arm.name.clone()),
            traffic_pct: Some(arm.traffic_pct),
            ..at.map(|at| found.swap_remove(at)).unwrap_or_default()
        };
        if result.traces > 0 {
            add_scores(view, both(is(OF_ARM, &arm.id)), &mut result, budget)?;
        }
        arms.push(result);
    }
    arms.append(&mut others);
    Ok(Results {
        id: experiment.id.clone(),
        name: experiment.terms.name.clone(),
        revision: 0,
        arms,
        arms_left_out,
    })
}

/// What runs come to by the arm that they name: so many arms, those with the most runs first. And how many there are besides.
fn by_arm(
    view: &View,
    filter: Filter,
    limit: usize,
    budget: &Budget<'_>,
) -> Result<(Vec<ArmResult>, u64), ApiError> {
    let answer = view.aggregate(Table::Runs, &asked(filter, limit), budget)?;
    let mut found = Vec::new();
    for group in &answer.groups {
        if let Some(Some(GroupValue::Str(arm))) = group.keys.first() {
            found.push(of_figures(arm, &group.figures));
        }
    }
    Ok((found, answer.groups_left_out))
}

fn asked(filter: Filter, limit: usize) -> AggregateRequest {
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
            limit,
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

/// Adds up the scores of the newest runs that pass.
fn add_scores(
    view: &View,
    filter: Filter,
    arm: &mut ArmResult,
    budget: &Budget<'_>,
) -> Result<(), ApiError> {
    let mut request = Request::new(filter, PAGE_ROWS_MAX);
    let mut looked_at = 0;
    loop {
        let page = view.search(Table::Runs, &request, budget)?;
        looked_at += page.hits.len();
        let ids = page.hits.iter().map(|hit| hit.core.trace_id.to_string());
        let ids: Vec<Literal> = ids.map(Literal::Str).collect();
        if !ids.is_empty() {
            add_scores_of(view, ids, arm, budget)?;
        }
        request.after = page.next;
        if request.after.is_none() || looked_at >= EXPERIMENT_SCORED_RUNS_MAX {
            break;
        }
    }
    arm.scores_cut |= request.after.is_some();
    for score in arm.scores.values_mut() {
        #[expect(clippy::cast_precision_loss, reason = "an average for people")]
        let numbers = score.numbers as f64;
        score.avg = (score.numbers > 0).then(|| score.sum / numbers);
    }
    Ok(())
}

/// Adds up the scores of some traces, by what they are called.
fn add_scores_of(
    view: &View,
    traces: Vec<Literal>,
    arm: &mut ArmResult,
    budget: &Budget<'_>,
) -> Result<(), ApiError> {
    let of_traces = Filter::Is(Column::TraceId, Test::In(traces));
    let request = AggregateRequest {
        keys: vec![Key::new(Column::Score(Fact::Name))],
        top: Top {
            by: Rank::Rows,
            descending: true,
            // And those without.
            limit: EXPERIMENT_SCORES_MAX + 1,
        },
        ..AggregateRequest::new(of_traces, vec![Measure::Sum(Column::Score(Fact::Worth))])
    };
    let answer = view.aggregate(Table::Scores, &request, budget)?;
    arm.scores_cut |= answer.groups_left_out > 0;
    for group in answer.groups {
        let Some(GroupValue::Str(name)) = group.keys.first().and_then(Option::as_ref) else {
            continue;
        };
        let name: String = name.clone().into();
        if arm.scores.len() >= EXPERIMENT_SCORES_MAX && !arm.scores.contains_key(&name) {
            arm.scores_cut = true;
            continue;
        }
        let score = arm.scores.entry(name).or_default();
        score.count += group.figures.rows;
        score.numbers += group.figures.measures.first().map_or(0, |of| of.count);
        score.sum += number(&group.figures, 0).map_or(0.0, float);
    }
    Ok(())
}
