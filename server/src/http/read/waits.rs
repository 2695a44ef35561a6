//! `GET …/traces/{trace}/critical-path`: which spans a trace waited for.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::critical::critical_path;
use super::list::json;
use super::outline::Outline;
use super::path;
use super::trace::{start_of, trace_id};
use crate::dialect::format_nanos;
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::input::InPath;
use crate::http::routes::Routes;
use crate::http::{App, query};
use crate::limits::TREE_PAGE_ROWS_MAX;
use crate::wire;

#[derive(Debug, Serialize, JsonSchema)]
struct PathShown<'a> {
    /// What `offset_ns` counts from: the earliest start of the trace.
    start: String,
    /// Spans on the path by start; of more than 10,000 those that were waited for longest.
    data: Vec<Waited<'a>>,
    /// Spans on the path.
    count: usize,
}

/// A span that the trace waited for.
#[derive(Debug, Serialize, JsonSchema)]
struct Waited<'a> {
    span_id: &'a str,
    name: &'a str,
    kind: &'a str,
    status: &'a str,
    offset_ns: i64,
    duration_ns: Option<i64>,
    /// How long for it alone, and no span below it. All of them make the length of the root.
    self_ns: i64,
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .get(&path("/traces/{trace}/critical-path"), TraceRead, show)
        .says("The spans that decided when a trace ended, and how long each was waited for.")
        .gives::<PathShown<'_>>();
}

async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Response, ApiError> {
    let trace_id = trace_id(&place, "trace")?;
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let view = store.view();
        let outline = Outline::read(&view, &trace_id, budget)?;
        let start = start_of(&view, &trace_id, &outline)?;
        let mut on_path = critical_path(&outline);
        let count = on_path.len();
        if count > TREE_PAGE_ROWS_MAX {
            on_path.sort_by_key(|c| (std::cmp::Reverse(c.self_ns), c.at));
            on_path.truncate(TREE_PAGE_ROWS_MAX);
            on_path.sort_by_key(|c| (outline.nodes[c.at].start_ns, c.at));
        }
        let data = on_path.iter().map(|critical| {
            let node = &outline.nodes[critical.at];
            Waited {
                span_id: &node.id,
                name: outline.text(node.name),
                kind: outline.text(node.kind),
                status: outline.text(node.status),
                offset_ns: node.start_ns.saturating_sub(start),
                duration_ns: node.duration_ns,
                self_ns: critical.self_ns,
            }
        });
        json(&PathShown {
            start: format_nanos(start),
            data: data.collect(),
            count,
        })
    })
    .await?;
    Ok(wire::json_response(body))
}
