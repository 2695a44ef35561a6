//! `GET /v1/agents/traces`, `/v1/agents/{agent}/traces`: traces of an agent or a session with their spans;
//! `GET /v1/agents/traces/{trace}`: one, its spans below one another.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::doc::DocRef;
use obsrv_engine::engine::TraceRows;
use obsrv_engine::model::{self, status};
use obsrv_engine::query::{QueryError, Request};
use obsrv_engine::row::Table;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::entry::agent_of;
use super::filter::{of_agent, quoted};
use super::logs::range;
use crate::dialect::format_nanos;
use crate::dialect::theta_read::{StoredRow, status_of};
use crate::http::access::{Access, TraceRead};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::input::InPath;
use crate::http::params::Params;
use crate::http::read::ask::{Over, Paging, check_known, limit};
use crate::http::read::list::json;
use crate::http::read::shape::{Cost, Tokens, raw};
use crate::http::read::trace::{no_such_trace, trace_id};
use crate::http::routes::Routes;
use crate::http::{App, query};
use crate::limits::{
    THEAZO_DEPTH_MAX, THEAZO_TRACES_BYTES, THEAZO_TRACES_DEFAULT, THEAZO_TRACES_MAX,
};
use crate::wire;

const KNOWN: [&str; 7] = [
    "agentId",
    "sessionId",
    "userId",
    "since",
    "until",
    "limit",
    "cursor",
];
const NOT_SCOPE: [&str; 2] = ["limit", "cursor"];

/// A span. Times are ISO 8601, durations milliseconds.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the word of the answer")]
struct Span {
    span_id: String,
    parent_id: Option<String>,
    /// `model.call`, `tool.exec` and so on, else as it was sent.
    name: String,
    start_time: String,
    end_time: Option<String>,
    duration: Option<f64>,
    /// `ok`, `error` or `running`.
    status: &'static str,
    error: Option<String>,
    /// Model, tool, tokens, cost, and what the user attached.
    metadata: Map<String, Value>,
    /// As they were sent.
    attributes: Map<String, Value>,
    /// Spans below it; in lists they stand beside it.
    children: Vec<Self>,
}

/// A trace.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the word of the answer")]
struct Trace {
    trace_id: String,
    agent_id: Option<String>,
    session_id: Option<String>,
    user_id: Option<String>,
    name: String,
    start_time: String,
    end_time: Option<String>,
    duration: Option<f64>,
    status: &'static str,
    /// Null in a list that would be too large with them: ask for the trace.
    spans: Option<Vec<Span>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Traces {
    traces: Vec<Trace>,
    /// `cursor` of the next page; null on the last.
    next_cursor: Option<String>,
}

pub(super) fn add(routes: &mut Routes) {
    for (path, of_agent) in [
        ("/v1/agents/traces", false),
        ("/v1/agents/{agent}/traces", true),
    ] {
        let route = if of_agent {
            routes.get(path, TraceRead, of_one)
        } else {
            routes.get(path, TraceRead, of_all)
        };
        route
            .asks("agentId", "traces with a span of this agent")
            .asks("sessionId", "traces of this session")
            .asks("userId", "traces of this user")
            .asks("since", "earliest start")
            .asks("until", "the start before which they are")
            .asks("limit", "1 to 100; 20 if not given")
            .asks("cursor", "`nextCursor` of the page before")
            .says("Traces with their spans in Theazo's words, newest first.")
            .gives::<Traces>();
    }
    routes
        .get("/v1/agents/traces/{trace}", TraceRead, show)
        .says("One trace in Theazo's words, its spans below one another.")
        .gives::<Trace>();
}

async fn of_all(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    list(access, app, raw, None).await
}

async fn of_one(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let agent = place.text("agent").to_owned();
    list(access, app, raw, Some(agent)).await
}

fn search(params: &Params, agent: Option<&str>) -> Result<String, ApiError> {
    let mut tests = Vec::new();
    let agents = [agent, params.one("agentId")?];
    let agents = agents.into_iter().flatten();
    tests.extend(agents.map(|agent| format!("{{{}}}", of_agent(agent))));
    for (name, field) in [("sessionId", model::GROUP), ("userId", model::USER_ID)] {
        if let Some(text) = params.one(name)? {
            tests.push(format!("{field}:{}", quoted(text)));
        }
    }
    Ok(tests.join(" "))
}

async fn list(
    access: Access<TraceRead>,
    app: Arc<App>,
    raw: Option<String>,
    agent: Option<String>,
) -> Result<Response, ApiError> {
    let core = app.core()?;
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &KNOWN)?;
    let project = access.tenant().project();
    let name = format!("agents-{}", agent.as_deref().unwrap_or(""));
    let now_ns = app.clock.wall_ns();
    let paging = Paging::of(core, (project, &name), &params, &NOT_SCOPE, now_ns)?;
    let filter = Over::Traces.searched(&search(&params, agent.as_deref())?, paging.now_ns)?;
    let limit = limit(&params, THEAZO_TRACES_DEFAULT, THEAZO_TRACES_MAX)?;
    let request = Request {
        order: Over::Traces.order("-start")?,
        after: paging.after.clone(),
        ..Request::new(range(&params, paging.now_ns)?.and(filter), limit)
    };
    let store = core.store(access.tenant());
    let asked = Arc::clone(&app);
    let body = query::ask(&app, access.tenant(), move |budget| {
        let page = store.search(Table::Runs, &request, budget)?;
        let (mut traces, mut bytes) = (Vec::new(), 0);
        for hit in &page.hits {
            let run = wire::row_of(&hit.core, &hit.body)?;
            let rows = match store.trace_within(&run.core.trace_id, budget) {
                Ok(rows) if bytes < THEAZO_TRACES_BYTES => Some(rows.spans),
                Ok(_) | Err(QueryError::BudgetExceeded { .. }) => None,
                Err(error) => return Err(error.into()),
            };
            let mut spans = Vec::new();
            for span in rows.iter().flatten() {
                bytes += span.body.len();
                spans.push(wire::row_of(&span.core, &span.body)?);
            }
            let flat = |rows: &[StoredRow]| rows.iter().map(Span::of).collect();
            let shown = rows.is_some().then(|| flat(&spans));
            traces.push(Trace::of(&run, &spans, shown));
        }
        let core = asked.core()?;
        json(&Traces {
            traces,
            next_cursor: page.next.as_ref().map(|next| paging.next(core, next)),
        })
    })
    .await?;
    Ok(wire::json_response(body))
}

async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Response, ApiError> {
    let trace_id = trace_id(&place, "trace")?;
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let rows = store.trace_within(&trace_id, budget);
        let rows = rows.map_err(|error| match error {
            QueryError::BudgetExceeded { max, .. } => ApiError::new(
                ErrorCode::QueryTooExpensive,
                format!("trace too large for one answer max_bytes={max}"),
            ),
            other => other.into(),
        })?;
        let (run, spans) = read(&rows)?;
        let spans = store.view().whole(budget).rows(spans)?;
        json(&Trace::of(&run, &spans, Some(nested(&spans))))
    })
    .await?;
    Ok(wire::json_response(body))
}

fn read(rows: &TraceRows) -> Result<(StoredRow, Vec<StoredRow>), ApiError> {
    let run = rows.run.as_ref().ok_or_else(no_such_trace)?;
    let spans = rows.spans.iter();
    let spans = spans.map(|span| wire::row_of(&span.core, &span.body));
    Ok((
        wire::row_of(&run.core, &run.body)?,
        spans.collect::<Result<_, _>>()?,
    ))
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds for people")]
fn duration(row: &StoredRow) -> Option<f64> {
    let ns = row.core.end_ns?.saturating_sub(row.core.start_ns);
    Some(ns as f64 / 1e6)
}

fn status(row: &StoredRow) -> &'static str {
    match status_of(row) {
        status::SUCCESS => "ok",
        other => other,
    }
}

fn object(value: Option<DocRef<'_>>) -> Map<String, Value> {
    let read = value.map(|value| serde_json::from_str(raw(value).get()));
    read.and_then(Result::ok).unwrap_or_default()
}

impl Trace {
    fn of(run: &StoredRow, spans: &[StoredRow], shown: Option<Vec<Span>>) -> Self {
        let text = |key| run.text(key).map(str::to_owned);
        let attributes = |row: &StoredRow| object(row.doc().get(model::ATTRIBUTES));
        let agent = |row: &StoredRow| agent_of(&attributes(row)).map(str::to_owned);
        Self {
            trace_id: run.core.trace_id.to_string(),
            agent_id: spans.iter().find_map(agent),
            session_id: text(model::GROUP),
            user_id: text(model::USER_ID),
            name: text(model::NAME).unwrap_or_default(),
            start_time: format_nanos(run.core.start_ns),
            end_time: run.core.end_ns.map(format_nanos),
            duration: duration(run),
            status: status(run),
            spans: shown,
        }
    }
}

impl Span {
    fn of(row: &StoredRow) -> Self {
        let doc = row.doc();
        let text = |key| row.text(key).map(str::to_owned);
        let attributes = object(doc.get(model::ATTRIBUTES));
        let operation = attributes.get("theazo.operation").and_then(Value::as_str);
        let mut metadata = object(doc.get(model::METADATA));
        let facts = [
            ("kind", text(model::KIND).map(Value::from)),
            ("model", text(model::MODEL).map(Value::from)),
            ("tool", text(model::TOOL).map(Value::from)),
            (
                "tokens",
                Tokens::of(doc).and_then(|t| t.total).map(Value::from),
            ),
            ("costUsd", Cost::of(doc).map(|cost| json!(cost.total))),
        ];
        for (key, value) in facts {
            if let Some(value) = value {
                metadata.entry(key).or_insert(value);
            }
        }
        Self {
            span_id: row.core.id.to_string(),
            parent_id: text(model::PARENT_ID),
            name: operation
                .map(str::to_owned)
                .or(text(model::NAME))
                .unwrap_or_default(),
            start_time: format_nanos(row.core.start_ns),
            end_time: row.core.end_ns.map(format_nanos),
            duration: duration(row),
            status: status(row),
            error: text(model::ERROR_MESSAGE),
            metadata,
            attributes,
            children: Vec::new(),
        }
    }
}

/// Spans below their parents, by start. What has no parent here is a root; what is its own ancestor
/// becomes one, so that no span is left out. What is deeper than [`THEAZO_DEPTH_MAX`] stands at that depth.
fn nested(rows: &[StoredRow]) -> Vec<Span> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let start = |at: &usize| {
        rows.get(*at)
            .map(|row| (row.core.start_ns, row.core.id.clone()))
    };
    order.sort_by_key(start);
    let ids: HashSet<&str> = rows.iter().map(|row| &*row.core.id).collect();
    let mut below: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut roots = Vec::new();
    for at in order.iter().copied() {
        let parent = rows.get(at).and_then(|row| row.text(model::PARENT_ID));
        match parent.filter(|id| ids.contains(id)) {
            Some(parent) => below.entry(parent).or_default().push(at),
            None => roots.push(at),
        }
    }
    let mut seen = vec![false; rows.len()];
    let mut tree = Tree::default();
    for root in roots.into_iter().chain(order) {
        let mut waiting = vec![(root, 0)];
        while let Some((at, depth)) = waiting.pop() {
            let (Some(row), Some(seen)) = (rows.get(at), seen.get_mut(at)) else {
                continue;
            };
            if std::mem::replace(seen, true) {
                continue;
            }
            tree.push(Span::of(row), depth);
            let children = below.get(&*row.core.id).into_iter().flatten().rev();
            waiting.extend(children.map(|child| (*child, depth + 1)));
        }
    }
    tree.finish()
}

/// Spans in pre-order become a tree: those on the way from a root to the last are still open.
#[derive(Default)]
struct Tree {
    roots: Vec<Span>,
    open: Vec<Span>,
}

impl Tree {
    fn push(&mut self, span: Span, depth: usize) {
        self.close(depth.min(THEAZO_DEPTH_MAX - 1));
        self.open.push(span);
    }

    /// Closes all but the first so many.
    fn close(&mut self, depth: usize) {
        while self.open.len() > depth {
            let Some(span) = self.open.pop() else { return };
            let siblings = match self.open.last_mut() {
                Some(parent) => &mut parent.children,
                None => &mut self.roots,
            };
            siblings.push(span);
        }
    }

    fn finish(mut self) -> Vec<Span> {
        self.close(0);
        self.roots
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use obsrv_engine::doc::DocWriter;
    use obsrv_engine::source::Core;

    use super::*;

    fn row(id: &str, parent: Option<&str>, start_ns: i64) -> StoredRow {
        let mut out = DocWriter::new();
        let open = out.begin_map();
        if let Some(parent) = parent {
            out.key(model::PARENT_ID);
            out.str(parent);
        }
        out.end(open);
        StoredRow {
            core: Core {
                trace_id: "t".into(),
                id: id.into(),
                start_ns,
                end_ns: Some(start_ns + 1_500_000),
                lsn_first: 1,
                lsn_last: 1,
            },
            view: Bytes::from(out.finish()),
        }
    }

    fn shown(spans: &[Span]) -> String {
        let each = spans.iter().map(|span| {
            let children = shown(&span.children);
            format!("{}({children})", span.span_id)
        });
        each.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_span_stands_below_its_parent_once() {
        let rows = [
            row("late", Some("root"), 9),
            row("leaf", Some("early"), 4),
            row("early", Some("root"), 3),
            row("root", None, 1),
            row("orphan", Some("gone"), 2),
            row("ring-a", Some("ring-b"), 5),
            row("ring-b", Some("ring-a"), 6),
            row("self", Some("self"), 7),
        ];
        assert_eq!(
            shown(&nested(&rows)),
            "root(early(leaf()) late()) orphan() ring-a(ring-b()) self()"
        );
        let root = Span::of(&rows[3]);
        assert_eq!((root.duration, root.status), (Some(1.5), "ok"));
    }

    #[test]
    fn what_is_too_deep_stands_beside_its_parent() {
        let depth_of = |spans: usize| {
            let rows: Vec<_> = (0..spans)
                .map(|n| {
                    let parent = n.checked_sub(1).map(|p| p.to_string());
                    row(&n.to_string(), parent.as_deref(), i64::try_from(n).unwrap())
                })
                .collect();
            let (mut depth, mut count) = (0, 0);
            let mut level = nested(&rows);
            while !level.is_empty() {
                depth += 1;
                count += level.len();
                level = level.into_iter().flat_map(|span| span.children).collect();
            }
            assert_eq!(count, spans);
            depth
        };
        assert_eq!(depth_of(THEAZO_DEPTH_MAX), THEAZO_DEPTH_MAX);
        assert_eq!(depth_of(THEAZO_DEPTH_MAX + 1), THEAZO_DEPTH_MAX);
        assert_eq!(depth_of(3 * THEAZO_DEPTH_MAX), THEAZO_DEPTH_MAX);
    }
}
