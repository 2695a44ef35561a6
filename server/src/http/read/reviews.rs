//! `GET …/reviews`: a queue of runs to be looked at by people.
//!
//! A queue is a filter and the name of a score: a run that passes waits until somebody gives it a score
//! of that name (`POST …/scores`), and is done then. So nothing is kept beside the scores, several people
//! may go through one queue, and what came since is in it.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::doc::{COLUMN_VALUE_BYTES_MAX, fingerprint};
use obsrv_engine::model::score::Fact;
use obsrv_engine::query::aggregate::{AggregateRequest, GroupValue, Key, Measure};
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Budget, Explain, Position, Request};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::ask::{Over, Paging, check_known, limit};
use super::list::{asks_rows, chosen, json, shown_with};
use super::project::Fields;
use super::shape::TraceShown;
use super::{path, told};
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::params::Params;
use crate::http::routes::Routes;
use crate::http::store::View;
use crate::http::{App, query};
use crate::limits::{READ_PAGE_ROWS_DEFAULT, REVIEW_PAGE_ROWS_MAX, REVIEW_RUNS_MAX};
use crate::wire;

const KNOWN: [&str; 12] = [
    "q", "filter", "traceql", "from", "to", "sort", "limit", "cursor", "fields", "score", "state",
    "explain",
];
const NOT_SCOPE: [&str; 4] = ["limit", "cursor", "fields", "explain"];

/// A page of a queue.
#[derive(Debug, Serialize, JsonSchema)]
struct Queue {
    /// Runs as in `traces`: fewer than `limit` where others of the page are in the other state.
    #[schemars(with = "Vec<TraceShown<'static>>")]
    data: Vec<Box<RawValue>>,
    /// What `cursor` is for the next page; null on the last.
    next_cursor: Option<String>,
    /// Runs that were looked at for this page.
    looked_at: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<serde_json::Value>,
}

pub(super) fn add(routes: &mut Routes) {
    asks_rows(routes.get(&path("/reviews"), TraceRead, reviews))
        .says("A queue of runs for people to look at: those that pass and have no score of a name yet, or have one.")
        .asks("score", "the name of the score that a review gives; needed")
        .asks("state", "`pending` or `done`; `pending` if not given")
        .asks("sort", "as of `traces`; `start`, oldest first, if not given")
        .asks("limit", "1 to 200; 50 if not given")
        .asks("cursor", "`next_cursor` of the page before")
        .asks(
            "fields",
            "keys and paths to keep, with commas; also `scores.NAME`",
        )
        .asks("explain", "`true` tells what all of its questions cost")
        .gives::<Queue>();
}

async fn reviews(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let core = app.core()?;
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &KNOWN)?;
    let project = access.tenant().project();
    let now_ns = app.clock.wall_ns();
    let paging = Paging::of(core, (project, "reviews"), &params, &NOT_SCOPE, now_ns)?;
    let score = params.one("score")?.filter(|name| !name.is_empty());
    let score = score
        .ok_or_else(|| ApiError::parameter("score", "needed"))?
        .to_owned();
    let done = match params.one("state")? {
        None | Some("pending") => false,
        Some("done") => true,
        Some(_) => return Err(ApiError::parameter("state", "not pending or done")),
    };
    let request = Request {
        order: Over::Traces.order(params.one("sort")?.unwrap_or("start"))?,
        after: paging.after.clone(),
        ..Request::new(
            chosen(Over::Traces, &params, paging.now_ns)?,
            limit(&params, READ_PAGE_ROWS_DEFAULT, REVIEW_PAGE_ROWS_MAX)?,
        )
    };
    let fields = Fields::of(&params, Over::Traces)?;
    let is_explained = params.flag("explain")?;
    let store = core.store(access.tenant());
    let asked = Arc::clone(&app);
    let body = query::ask(&app, access.tenant(), move |budget| {
        let view = store.view();
        let mut cost = Explain::default();
        let wanted = (&*score, done, &fields);
        let (next, data, looked_at) = look(&view, request, wanted, (&mut cost, budget))?;
        let core = asked.core()?;
        json(&Queue {
            data,
            next_cursor: next.as_ref().map(|next| paging.next(core, next)),
            looked_at,
            explain: is_explained.then(|| wire::explained(&cost)),
        })
    })
    .await?;
    Ok(wire::json_response(body))
}

/// Where the next page begins, the runs of this one, and how many were looked at.
type Looked = (Option<Position>, Vec<Box<RawValue>>, usize);

/// The first page of runs of which some are in the state, with those; and how many runs were looked at.
fn look(
    view: &View,
    mut request: Request,
    (score, done, fields): (&str, bool, &Fields),
    (explain, budget): (&mut Explain, &Budget<'_>),
) -> Result<Looked, ApiError> {
    let mut looked_at = 0;
    loop {
        let page = view.search(Table::Runs, &request, budget)?;
        looked_at += page.hits.len();
        let ids = page.hits.iter().map(|hit| &*hit.core.trace_id);
        let scored = scored(view, ids.collect(), score, (explain, budget))?;
        let mut hits = page.hits;
        hits.retain(|hit| scored.has(&hit.core.trace_id) == done);
        let told = told::beside(view, (Over::Traces, &hits), fields, (&mut *explain, budget))?;
        let data: Vec<_> = hits
            .iter()
            .zip(0..)
            .map(|(hit, at)| shown_with(Over::Traces, hit, (fields, told.get::<usize>(at))))
            .collect::<Result<_, _>>()?;
        if !data.is_empty() || page.next.is_none() || looked_at >= REVIEW_RUNS_MAX {
            explain.add(page.explain);
            return Ok((page.next, data, looked_at));
        }
        explain.add(page.explain);
        request.after = page.next;
    }
}

/// Traces that have a score. Ids too long for a column are known by their fingerprints.
#[derive(Debug, Default)]
struct Scored {
    texts: HashSet<Box<str>>,
    long: HashSet<u64>,
}

impl Scored {
    fn has(&self, trace_id: &str) -> bool {
        if trace_id.len() > COLUMN_VALUE_BYTES_MAX {
            self.long.contains(&fingerprint(trace_id.as_bytes()))
        } else {
            self.texts.contains(trace_id)
        }
    }
}

/// Which of these traces have a score of the name.
fn scored(
    view: &View,
    traces: Vec<&str>,
    score: &str,
    (explain, budget): (&mut Explain, &Budget<'_>),
) -> Result<Scored, ApiError> {
    let text = |text: &str| Literal::Str(text.to_owned());
    let filter = Filter::And(vec![
        Filter::Is(Column::Score(Fact::Name), Test::Eq(text(score))),
        Filter::Is(
            Column::TraceId,
            Test::In(traces.into_iter().map(text).collect()),
        ),
    ]);
    let request = AggregateRequest {
        keys: vec![Key::new(Column::TraceId)],
        ..AggregateRequest::new(filter, vec![Measure::Count])
    };
    let answer = view.aggregate(Table::Scores, &request, budget)?;
    explain.add(answer.explain);
    let keys = answer
        .groups
        .into_iter()
        .flat_map(|group| group.keys)
        .flatten();
    let mut scored = Scored::default();
    for key in keys {
        match key {
            GroupValue::Str(text) => {
                scored.texts.insert(text);
            }
            GroupValue::Long(hash) => {
                scored.long.insert(hash);
            }
            _ => {}
        }
    }
    Ok(scored)
}
