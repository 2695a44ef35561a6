//! `DELETE …/traces`, `…/scores`, `…/logs`, `…/points`: what passes a filter; `DELETE …/users/{user}`: what
//! there is of a person.
//!
//! A request deletes [`DELETE_STEP_ROWS`] at most and says what is left: whoever repeats it until it is
//! `done` has deleted all, whatever happens in between. Nothing is seen any more from the answer on; a day later, at the
//! next purge, it is off the disk. The audit log has the filter before anything is deleted.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::doc::DocRef;
use obsrv_engine::engine::{Deletion, Hidden, RowAt};
use obsrv_engine::model;
use obsrv_engine::query::aggregate::{AggregateRequest, Measure, Value as Figure};
use obsrv_engine::query::ast::Filter;
use obsrv_engine::query::{Budget, Request};
use obsrv_engine::row::RowKey;
use schemars::JsonSchema;
use serde::Serialize;

use super::aggregate::measure::number_value;
use super::ask::{Over, Range, check_only, named};
use super::list::{asks_rows, json};
use super::path;
use super::theazo::quoted;
use crate::control::{AuditAction, AuditNote};
use crate::dialect::format_nanos;
use crate::http::access::{Access, TraceDelete};
use crate::http::answers::{HiddenShown, Receipt};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::input::InPath;
use crate::http::params::Params;
use crate::http::routes::Routes;
use crate::http::store::Store;
use crate::http::{App, governance, ingest, query, usage};
use crate::limits::{DELETE_FILTER_BYTES_MAX, DELETE_ROWS_MAX, DELETE_STEP_ROWS, PURGE_PAGE_ROWS};
use crate::wire;

const KNOWN: [&str; 7] = ["q", "filter", "traceql", "from", "to", "all", "dry_run"];
const OF_USER: [&str; 1] = ["dry_run"];

/// How many of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
struct Counts {
    traces: u64,
    /// Of these traces. Their scores and log lines go with them and are not counted.
    spans: u64,
    scores: u64,
    logs: u64,
    points: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the word of the answer")]
struct Deleted {
    /// Whether nothing was deleted, but counted.
    dry_run: bool,
    /// What this request deleted.
    deleted: Counts,
    /// Rows of every kind that were hidden by it, those that went with their traces included, and where they were.
    hidden: HiddenShown,
    /// What still passes: the same request again goes on with it.
    remaining: Counts,
    /// Whether nothing is left.
    done: bool,
    /// The bounds of the time that the filter was about, as they were understood.
    from: Option<String>,
    to: Option<String>,
    /// The record of the audit log.
    receipt: Receipt,
}

/// What is to be deleted of one table.
#[derive(Clone, Debug)]
struct Part {
    over: Over,
    filter: Filter,
}

pub(super) fn add(routes: &mut Routes) {
    asks(routes.delete(&path("/traces"), TraceDelete, traces))
        .says("Delete the traces that pass, a bounded number at once.")
        .gives::<Deleted>();
    asks(routes.delete(&path("/scores"), TraceDelete, scores))
        .says("Delete the scores that pass, a bounded number at once.")
        .gives::<Deleted>();
    asks(routes.delete(&path("/logs"), TraceDelete, logs))
        .says("Delete the log lines that pass, a bounded number at once.")
        .gives::<Deleted>();
    asks(routes.delete(&path("/points"), TraceDelete, points))
        .says("Delete the metric points that pass, a bounded number at once.")
        .gives::<Deleted>();
    routes
        .delete(&path("/users/{user}"), TraceDelete, user)
        .asks("dry_run", "`true` counts and deletes nothing")
        .says("Delete the traces of a user and the scores, log lines and points that name the user, a bounded number at once.")
        .gives::<Deleted>();
}

fn asks(route: &mut crate::http::routes::Route) -> &mut crate::http::routes::Route {
    asks_rows(route)
        .asks("all", "`true` for a delete without a filter and a time")
        .asks("dry_run", "`true` counts and deletes nothing")
}

macro_rules! over {
    ($($name:ident: $over:ident;)*) => {$(
        async fn $name(
            access: Access<TraceDelete>,
            State(app): State<Arc<App>>,
            RawQuery(raw): RawQuery,
        ) -> Result<Response, ApiError> {
            filtered(access, app, raw, Over::$over).await
        }
    )*};
}

over! {
    traces: Traces;
    scores: Scores;
    logs: Logs;
    points: Points;
}

async fn filtered(
    access: Access<TraceDelete>,
    app: Arc<App>,
    raw: Option<String>,
    over: Over,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_only(&params, &KNOWN)?;
    let now_ns = app.clock.wall_ns();
    let (q, from, to) = (params.one("q")?, params.one("from")?, params.one("to")?);
    let more = [
        ("filter", params.one("filter")?),
        ("traceql", params.one("traceql")?),
    ];
    let mut subject = format!("{} q={}", over.as_str(), q.unwrap_or(""));
    let mut bytes = q.unwrap_or("").len();
    for (name, text) in more
        .iter()
        .filter_map(|(name, text)| Some((name, (*text)?)))
    {
        subject.push_str(&format!(" {name}={text}"));
        bytes += text.len();
    }
    // The audit log has them, which only grows.
    if bytes > DELETE_FILTER_BYTES_MAX {
        let message = format!("too long for a delete max_bytes={DELETE_FILTER_BYTES_MAX}");
        return Err(ApiError::parameter("q", message));
    }
    let filter = named(over, &params, now_ns)?;
    if filter == Filter::All && from.or(to).is_none() && !params.flag("all")? {
        let message = "names nothing; `all=true` deletes everything";
        return Err(ApiError::parameter("q", message));
    }
    let range = Range::of(from, to, now_ns)?;
    let part = Part {
        over,
        filter: range.and(filter),
    };
    subject.push_str(&format!(
        " from={} to={}",
        time(range.from).unwrap_or_default(),
        time(range.to).unwrap_or_default()
    ));
    let job = Job::of(&access, &app, params.flag("dry_run")?)?;
    job.run(vec![part], subject, range).await
}

async fn user(
    access: Access<TraceDelete>,
    State(app): State<Arc<App>>,
    place: InPath,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_only(&params, &OF_USER)?;
    let user = place.text("user");
    if user.is_empty() || user.len() > DELETE_FILTER_BYTES_MAX {
        let message = format!("empty or too long max_bytes={DELETE_FILTER_BYTES_MAX}");
        return Err(ApiError::parameter("user", message));
    }
    // What redaction has stored of the name, and all that the audit log may have of it.
    let redactor = governance::redactor_of(&app, access.tenant()).await?;
    let user = redactor.map_or_else(|| user.to_owned(), |r| r.id(user).into_owned());
    let named = format!("user_id:{}", quoted(&user));
    let part = |over: Over| {
        let q = match over {
            Over::Traces => format!("{named} or {{{named}}}"),
            // Who scores through obsrv itself stands there.
            Over::Scores => format!("{named} or metadata.{named}"),
            _ => named.clone(),
        };
        let filter = over.searched(&q, 0)?;
        Ok::<_, ApiError>(Part { over, filter })
    };
    let parts = [Over::Traces, Over::Scores, Over::Logs, Over::Points];
    let parts = parts.into_iter().map(part).collect::<Result<_, _>>()?;
    let job = Job::of(&access, &app, params.flag("dry_run")?)?;
    job.run(parts, format!("user {user}"), Range::default())
        .await
}

fn time(ns: Option<i64>) -> Option<String> {
    ns.map(format_nanos)
}

/// A delete, as somebody asked for it.
struct Job<'a> {
    access: &'a Access<TraceDelete>,
    app: &'a Arc<App>,
    store: Store,
    is_dry: bool,
}

impl<'a> Job<'a> {
    fn of(
        access: &'a Access<TraceDelete>,
        app: &'a Arc<App>,
        is_dry: bool,
    ) -> Result<Self, ApiError> {
        usage::admit_query(app, access.tenant())?;
        Ok(Self {
            access,
            app,
            store: app.core()?.store(access.tenant()),
            is_dry,
        })
    }

    async fn run(
        self,
        parts: Vec<Part>,
        subject: String,
        range: Range,
    ) -> Result<Response, ApiError> {
        let mut remaining = self.count(&parts).await?;
        let (mut deleted, mut receipt) = (Counts::default(), Receipt::of(None));
        let mut hidden = Hidden::default();
        // Deletes of what never was would fill the audit log, which only grows.
        if !self.is_dry && remaining != Counts::default() {
            let note = AuditNote {
                action: AuditAction::RowsDeleted,
                org: Some(self.access.tenant().org()),
                project: Some(self.access.tenant().project().0),
                subject,
            };
            let plane = self.app.core()?.plane();
            // Before it is done: no delete is without its record.
            let place = plane.note_placed(self.access.by().actor, note).await?;
            receipt = Receipt::of(place);
            let mut left = DELETE_STEP_ROWS;
            for part in &parts {
                let gone = (&mut deleted, &mut hidden);
                self.delete(part, &mut left, gone).await?;
            }
            remaining = self.count(&parts).await?;
        }
        let body = json(&Deleted {
            dry_run: self.is_dry,
            deleted,
            hidden: hidden.into(),
            done: remaining == Counts::default(),
            remaining,
            from: time(range.from),
            to: time(range.to),
            receipt,
        })?;
        Ok(wire::json_response(body))
    }

    /// What passes.
    async fn count(&self, parts: &[Part]) -> Result<Counts, ApiError> {
        let (store, parts) = (self.store.clone(), parts.to_vec());
        query::run(self.app, self.store.project(), move |budget| {
            let view = store.view();
            let mut counts = Counts::default();
            for part in &parts {
                let spans = Over::Traces.column("span_count");
                let request = AggregateRequest::new(part.filter.clone(), vec![Measure::Sum(spans)]);
                let answer = view.aggregate(part.over.table(), &request, budget)?;
                let spans = answer.total.measures.first().map(|m| &m.value);
                let spans = match spans {
                    Some(Figure::Number(Some(n))) => number_value(*n).as_u64().unwrap_or(0),
                    _ => 0,
                };
                counts.add(part.over, answer.total.rows, spans);
            }
            Ok(counts)
        })
        .await
    }

    /// Deletes page by page, `left` at most.
    async fn delete(
        &self,
        part: &Part,
        left: &mut usize,
        (deleted, hidden): (&mut Counts, &mut Hidden),
    ) -> Result<(), ApiError> {
        while *left > 0 {
            let (store, part) = (self.store.clone(), part.clone());
            let (over, limit) = (part.over, (*left).min(PURGE_PAGE_ROWS));
            let project = self.store.project();
            // What is deleted passes no more, so the next page is the first again.
            let page = query::run(self.app, project, move |budget| {
                page(&store, &part, limit, budget)
            });
            let (deletions, rows, spans) = page.await?;
            if rows == 0 {
                return Ok(());
            }
            let mut outcomes = Vec::with_capacity(deletions.len());
            for deletion in deletions {
                let (done, outcome) = ingest::outcome();
                self.store.delete(deletion, done);
                outcomes.push(outcome);
            }
            for outcome in outcomes {
                let receipt = ingest::wait(self.app.core()?.engine(), outcome).await?;
                hidden.add(receipt.hidden);
            }
            *left -= rows.min(*left);
            deleted.add(over, u64::try_from(rows).unwrap_or(u64::MAX), spans);
        }
        Ok(())
    }
}

impl Counts {
    fn add(&mut self, over: Over, rows: u64, spans: u64) {
        let slot = match over {
            Over::Traces => {
                self.spans += spans;
                &mut self.traces
            }
            Over::Spans => &mut self.spans,
            Over::Scores => &mut self.scores,
            Over::Logs => &mut self.logs,
            Over::Points => &mut self.points,
        };
        *slot += rows;
    }
}

/// What deletes the first rows that pass, how many they are, and how many spans go with them.
fn page(
    store: &Store,
    part: &Part,
    limit: usize,
    budget: &Budget<'_>,
) -> Result<(Vec<Deletion>, usize, u64), ApiError> {
    let request = Request {
        order: part.over.order("start")?,
        ..Request::new(part.filter.clone(), limit)
    };
    let page = store.search(part.over.table(), &request, budget)?;
    let rows = page.hits.len();
    let of_rows: fn(Vec<RowAt>) -> Deletion = match part.over {
        Over::Traces => {
            let (mut deletions, mut spans) = (Vec::with_capacity(rows), 0);
            for hit in page.hits {
                let row = wire::row_of(&hit.core, &hit.body)?;
                let count = row.doc().at(&[model::ROLLUP, "span_count"]);
                let count = count.and_then(DocRef::as_i64).unwrap_or(0);
                spans += u64::try_from(count).unwrap_or(0);
                deletions.push(Deletion::Trace(hit.core.trace_id));
            }
            return Ok((deletions, rows, spans));
        }
        Over::Scores => Deletion::Scores,
        Over::Logs => Deletion::Logs,
        Over::Points => Deletion::Points,
        Over::Spans => {
            let message = "spans are deleted with their trace";
            return Err(ApiError::new(ErrorCode::Internal, message));
        }
    };
    let at = page.hits.into_iter().map(|hit| RowAt {
        key: RowKey {
            trace_id: hit.core.trace_id,
            id: hit.core.id,
        },
        start_ns: hit.core.start_ns,
    });
    let at: Vec<RowAt> = at.collect();
    let deletions = at
        .chunks(DELETE_ROWS_MAX)
        .map(|rows| of_rows(rows.to_vec()));
    Ok((deletions.collect(), rows, 0))
}
