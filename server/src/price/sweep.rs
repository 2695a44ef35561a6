//! Prices what is stored again when prices have changed.
//!
//! A page of steps at a time: only those that now cost something else are named in records, a few at a time, so that
//! neither memory nor the time for which other work waits grows with a trace. It may begin again at any time, and does where a
//! crash forgot how far it was. Behind the steps come runs that state a cost of their own and were stored before costs were
//! derived.

use std::collections::BTreeMap;
use std::sync::Arc;

use obsrv_engine::cost::CostSource;
use obsrv_engine::doc::DocRef;
use obsrv_engine::engine::{Engine, Snapshot};
use obsrv_engine::query::ast::{Filter, Test};
use obsrv_engine::query::{Position, QueryError};
use obsrv_engine::row::{ProjectId, Table};
use obsrv_engine::source::Column;
use obsrv_engine::{body, model};

use super::{Book, Prices, verdict};
use crate::sweep::{self, SweepError};

/// Prices again what was priced by other prices than those that hold. Returns how many steps changed. A project
/// that fails keeps no other waiting; the error is the first.
pub async fn reprice(engine: &Arc<Engine>, book: &Arc<Book>) -> Result<u64, SweepError> {
    let (mut changed, mut failed) = (0, None);
    for (project, mark) in book.due() {
        match project_again(engine, book, project).await {
            Ok(steps) => {
                changed += steps;
                book.set_applied(project, mark);
            }
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(changed), Err)
}

/// What a page has to be priced again: traces and steps of each.
type Stale = BTreeMap<Box<str>, Vec<Box<str>>>;

async fn project_again(
    engine: &Arc<Engine>,
    book: &Arc<Book>,
    project: ProjectId,
) -> Result<u64, SweepError> {
    let mut changed = 0;
    for look in [steps_of, runs_of] {
        let mut after = None;
        loop {
            let (reader, prices) = (Arc::clone(engine), book.of_project(project));
            let page = tokio::task::spawn_blocking(move || {
                // What does not read now has no price either.
                let snapshot = reader.snapshot().allowing_partial();
                look(&snapshot, project, &prices, after.as_ref())
            });
            let (stale, next) = page.await.map_err(|_| SweepError::Stopped)??;
            let steps = stale.values().map(Vec::len).sum::<usize>();
            changed += u64::try_from(steps).unwrap_or(u64::MAX);
            store(engine, project, stale).await?;
            after = next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(changed)
}

async fn store(engine: &Engine, project: ProjectId, stale: Stale) -> Result<(), SweepError> {
    let of_traces = stale.into_iter();
    let records = of_traces.map(|of_trace| |done| engine.price_again(project, of_trace, done));
    sweep::stored(records).await
}

fn has(path: &str) -> Filter {
    Filter::Is(Column::Path(path.into()), Test::Exists)
}

/// Steps of a page that cost something else by these prices.
fn steps_of(
    snapshot: &Snapshot,
    project: ProjectId,
    prices: &Prices,
    after: Option<&Position>,
) -> Result<(Stale, Option<Position>), QueryError> {
    let used = [
        "tokens.total",
        "tokens.input",
        "tokens.output",
        "tokens.cache_read",
        "tokens.cache_write",
        "tokens.reasoning",
        model::COST_USD,
        // Whatever it was priced by before.
        model::COST_SOURCE,
    ];
    let used = Filter::Or(used.map(has).to_vec());
    let page = sweep::page(snapshot, (project, Table::Spans), &used, after)?;
    let mut stale = Stale::new();
    for hit in page.hits {
        let view = body::view(&hit.body).unwrap_or(DocRef::Null);
        if costs_other(view, hit.core.start_ns, prices) {
            stale
                .entry(hit.core.trace_id)
                .or_default()
                .push(hit.core.id);
        }
    }
    Ok((stale, page.next))
}

/// Runs of a page that state a cost and were not asked where it is from yet.
fn runs_of(
    snapshot: &Snapshot,
    project: ProjectId,
    _: &Prices,
    after: Option<&Position>,
) -> Result<(Stale, Option<Position>), QueryError> {
    let unasked = Filter::Not(Box::new(has(model::COST_SOURCE)));
    let stating = Filter::And(vec![has(model::COST_USD), unasked]);
    let page = sweep::page(snapshot, (project, Table::Runs), &stating, after)?;
    let runs = page.hits.into_iter();
    let stale = runs.map(|run| (run.core.trace_id, Vec::new())).collect();
    Ok((stale, page.next))
}

/// Whether a stored span says something else than these prices.
fn costs_other(view: DocRef<'_>, start_ns: i64, prices: &Prices) -> bool {
    let found = verdict(&|key| view.get(key), start_ns, |call| prices.price(call));
    let cost = found.map(|found| found.cost());
    let (known, again) = match cost {
        Some(cost) if cost.source == CostSource::RollUp => (None, cost.dollars),
        Some(cost) => (cost.dollars, None),
        None => (None, None),
    };
    let stored = |key| view.get(key).and_then(DocRef::as_f64);
    let source = view.get(model::COST_SOURCE).and_then(DocRef::as_str);
    source != cost.map(|cost| cost.source.as_str())
        || stored(model::COST) != known
        || stored(model::COST_AGAIN) != again
}
