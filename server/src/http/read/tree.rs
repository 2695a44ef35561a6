//! `GET …/traces/{trace}/spans`: the tree of a trace, in pages of rows or as columns.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::ask::{check_known, limit};
use super::critical::critical_path;
use super::damaged::{ALLOW_PARTIAL, Damaged, asks_partial, damaged};
use super::list::json;
use super::outline::{Code, Node, Outline};
use super::path;
use super::trace::{start_of, trace_id};
use crate::dialect::format_nanos;
use crate::http::access::{Access, TraceRead};
use crate::http::cursor::{self, Scope};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::input::InPath;
use crate::http::params::Params;
use crate::http::routes::Routes;
use crate::http::{App, query};
use crate::limits::{TREE_COLUMN_ROWS_MAX, TREE_PAGE_ROWS_DEFAULT, TREE_PAGE_ROWS_MAX};
use crate::wire;

const KNOWN: [&str; 6] = ["limit", "cursor", "under", "depth", "shape", ALLOW_PARTIAL];
const NOT_SCOPE: [&str; 4] = ["limit", "cursor", ALLOW_PARTIAL, "explain"];

/// Rows of a tree in pre-order.
#[derive(Debug, Serialize, JsonSchema)]
struct TreeShown<'a> {
    /// Spans of the trace.
    span_count: usize,
    /// Spans that the question is about: all, or those below `under` and above `depth`.
    count: usize,
    /// What `offset_ns` counts from: the earliest start of the trace.
    start: String,
    data: Vec<TreeRow<'a>>,
    next_cursor: Option<String>,
    /// What is damaged on disk and left out; only with `allow_partial`.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<Vec<Damaged>>,
}

/// A span of a tree.
#[derive(Debug, Serialize, JsonSchema)]
struct TreeRow<'a> {
    span_id: &'a str,
    parent_id: Option<&'a str>,
    /// 0 is a root.
    depth: u32,
    /// Spans right below it.
    children: u32,
    name: &'a str,
    kind: &'a str,
    status: &'a str,
    offset_ns: i64,
    duration_ns: Option<i64>,
    model: Option<&'a str>,
    tool: Option<&'a str>,
    tokens_total: Option<i64>,
    cost_total: Option<f64>,
    /// The beginning of it.
    error_message: Option<&'a str>,
    /// Whether it is on the critical path.
    critical: bool,
}

/// The same as columns.
#[derive(Debug, Serialize, JsonSchema)]
struct ColumnsShown<'a> {
    span_count: usize,
    count: usize,
    /// Place of the first row of this page among all.
    first: usize,
    start: String,
    columns: Columns<'a>,
    next_cursor: Option<String>,
    /// What is damaged on disk and left out; only with `allow_partial`.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<Vec<Damaged>>,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
struct Columns<'a> {
    span_id: Vec<&'a str>,
    /// Place of the parent among all rows of all pages; -1 if it is not among them.
    parent: Vec<i64>,
    depth: Vec<u32>,
    children: Vec<u32>,
    name: Coded<'a>,
    kind: Coded<'a>,
    status: Coded<'a>,
    offset_ns: Vec<i64>,
    duration_ns: Vec<Option<i64>>,
    tokens: Vec<Option<i64>>,
    cost: Vec<Option<f64>>,
    model: Coded<'a>,
    tool: Coded<'a>,
    /// Places of rows on the critical path, among those of this page.
    critical: Vec<usize>,
}

/// Texts as places in a list; -1 is none.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct Coded<'a> {
    dict: Vec<&'a str>,
    codes: Vec<i64>,
    #[serde(skip)]
    known: std::collections::HashMap<u32, i64>,
}

impl<'a> Coded<'a> {
    fn push(&mut self, outline: &'a Outline, code: Option<Code>) {
        let Some(code) = code else {
            self.codes.push(-1);
            return;
        };
        let dict = &mut self.dict;
        let place = *self.known.entry(code.0).or_insert_with(|| {
            dict.push(outline.text(code));
            i64::try_from(dict.len()).unwrap_or(0) - 1
        });
        self.codes.push(place);
    }
}

pub(super) fn add(routes: &mut Routes) {
    asks_partial(routes.get(&path("/traces/{trace}/spans"), TraceRead, show))
        .says("The spans of a trace as a tree, in pre-order: rows, or columns for large traces.")
        .asks(
            "limit",
            "1 to 10000, 1000 if not given; columns: 1 to 100000, all of these if not given",
        )
        .asks("cursor", "`next_cursor` of the page before")
        .asks("under", "a span: it and what is below it")
        .asks("depth", "how many levels below the top")
        .asks("shape", "`rows` or `columns`")
        .gives::<TreeShown<'_>>();
}

/// Which rows of the tree.
struct Wanted {
    limit: usize,
    under: Option<String>,
    depth: Option<u32>,
    is_columns: bool,
    /// Place and id of the last row of the page before.
    after: Option<(usize, String)>,
}

impl Wanted {
    fn of(params: &Params) -> Result<Self, ApiError> {
        check_known(params, &KNOWN)?;
        let is_columns = match params.one("shape")? {
            None | Some("rows") => false,
            Some("columns") => true,
            Some(_) => return Err(ApiError::parameter("shape", "neither rows nor columns")),
        };
        let (default, max) = if is_columns {
            (TREE_COLUMN_ROWS_MAX, TREE_COLUMN_ROWS_MAX)
        } else {
            (TREE_PAGE_ROWS_DEFAULT, TREE_PAGE_ROWS_MAX)
        };
        let depth = params.one("depth")?.map(str::parse).transpose();
        Ok(Self {
            limit: limit(params, default, max)?,
            under: params.one("under")?.map(str::to_owned),
            depth: depth.map_err(|_| ApiError::parameter("depth", "not a number"))?,
            is_columns,
            after: None,
        })
    }

    /// Places of the rows of all pages, in pre-order.
    fn rows(&self, outline: &Outline) -> Result<Vec<usize>, ApiError> {
        let nodes = &outline.nodes;
        let (first, top) = match &self.under {
            None => (0, 0),
            Some(id) => {
                let at = nodes.iter().position(|node| *node.id == **id);
                let at = at.ok_or_else(|| ApiError::new(ErrorCode::NotFound, "no such span"))?;
                (at, nodes[at].depth)
            }
        };
        let is_below = |at: usize| self.under.is_none() || at == first || nodes[at].depth > top;
        let deepest = self.depth.map(|depth| top.saturating_add(depth));
        let shown = |at: &usize| deepest.is_none_or(|deepest| nodes[*at].depth <= deepest);
        Ok((first..nodes.len())
            .take_while(|at| is_below(*at))
            .filter(shown)
            .collect())
    }

    /// Place of the first row of the page among `rows`.
    fn begin(&self, outline: &Outline, rows: &[usize]) -> usize {
        let Some((place, id)) = &self.after else {
            return 0;
        };
        let is_it = |at: &usize| *outline.nodes[*at].id == **id;
        if rows.get(*place).is_some_and(is_it) {
            return place + 1;
        }
        // The tree has changed: after the row where it is now, or else after the same place.
        rows.iter().position(is_it).unwrap_or(*place) + 1
    }
}

fn position(bytes: &[u8]) -> Option<(usize, String)> {
    let (place, id) = bytes.split_first_chunk::<8>()?;
    let place = usize::try_from(u64::from_le_bytes(*place)).ok()?;
    Some((place, String::from_utf8(id.to_vec()).ok()?))
}

async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let trace_id = trace_id(&place, "trace")?;
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    let mut wanted = Wanted::of(&params)?;
    let core = app.core()?;
    let project = access.tenant().project();
    let partial = params.flag(ALLOW_PARTIAL)?;
    let list = format!("tree?{trace_id}?{}", params.canonical(&NOT_SCOPE));
    let cursors = core.cursors().clone();
    if let Some(text) = params.one("cursor")? {
        let scope = Scope {
            project,
            list: &list,
        };
        let bytes = cursor::open(&cursors, scope, text)?;
        let refused = || ApiError::new(ErrorCode::InvalidCursor, "cursor does not read");
        wanted.after = Some(position(&bytes).ok_or_else(refused)?);
    }
    let store = core.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let view = store.view_or(partial);
        let outline = Outline::read(&view, &trace_id, budget)?;
        let start = start_of(&view, &trace_id, &outline)?;
        let rows = wanted.rows(&outline)?;
        let begin = wanted.begin(&outline, &rows).min(rows.len());
        let end = begin.saturating_add(wanted.limit).min(rows.len());
        let next_cursor = (end < rows.len()).then(|| {
            let last = &outline.nodes[rows[end - 1]];
            let mut bytes = u64::try_from(end - 1)
                .unwrap_or(u64::MAX)
                .to_le_bytes()
                .to_vec();
            bytes.extend_from_slice(last.id.as_bytes());
            cursor::seal(
                &cursors,
                Scope {
                    project,
                    list: &list,
                },
                &bytes,
            )
        });
        let page = TreePage {
            outline: &outline,
            rows: &rows,
            range: begin..end,
            start,
            next_cursor,
            damaged: damaged(view.left_out()),
        };
        if wanted.is_columns {
            json(&page.columns())
        } else {
            json(&page.rows())
        }
    })
    .await?;
    Ok(wire::json_response(body))
}

struct TreePage<'a> {
    outline: &'a Outline,
    rows: &'a [usize],
    range: std::ops::Range<usize>,
    start: i64,
    next_cursor: Option<String>,
    damaged: Option<Vec<Damaged>>,
}

impl<'a> TreePage<'a> {
    /// For each span of the outline whether it is on the critical path.
    fn critical(&self) -> Vec<bool> {
        let mut critical = vec![false; self.outline.nodes.len()];
        for on_path in critical_path(self.outline) {
            critical[on_path.at] = true;
        }
        critical
    }

    fn rows(self) -> TreeShown<'a> {
        let critical = self.critical();
        let row = |at: &usize| self.row(&self.outline.nodes[*at], critical[*at]);
        TreeShown {
            span_count: self.outline.nodes.len(),
            count: self.rows.len(),
            start: format_nanos(self.start),
            data: self.rows[self.range.clone()].iter().map(row).collect(),
            next_cursor: self.next_cursor,
            damaged: self.damaged,
        }
    }

    fn row(&self, node: &'a Node, critical: bool) -> TreeRow<'a> {
        let text = |code: Code| self.outline.text(code);
        TreeRow {
            span_id: &node.id,
            parent_id: node.parent_id(),
            depth: node.depth,
            children: node.children,
            name: text(node.name),
            kind: text(node.kind),
            status: text(node.status),
            offset_ns: node.start_ns.saturating_sub(self.start),
            duration_ns: node.duration_ns,
            model: node.model.map(text),
            tool: node.tool.map(text),
            tokens_total: node.tokens,
            cost_total: node.cost,
            error_message: node.error_message.as_deref(),
            critical,
        }
    }

    fn columns(self) -> ColumnsShown<'a> {
        let (outline, critical) = (self.outline, self.critical());
        let mut places = vec![-1; outline.nodes.len()];
        for (place, at) in (0..).zip(self.rows) {
            places[*at] = place;
        }
        let mut out = Columns::default();
        for (place, at) in self.rows[self.range.clone()].iter().enumerate() {
            let node = &outline.nodes[*at];
            out.span_id.push(&node.id);
            out.parent
                .push(node.parent.map_or(-1, |parent| places[parent]));
            out.depth.push(node.depth);
            out.children.push(node.children);
            out.name.push(outline, Some(node.name));
            out.kind.push(outline, Some(node.kind));
            out.status.push(outline, Some(node.status));
            out.offset_ns.push(node.start_ns.saturating_sub(self.start));
            out.duration_ns.push(node.duration_ns);
            out.tokens.push(node.tokens);
            out.cost.push(node.cost);
            out.model.push(outline, node.model);
            out.tool.push(outline, node.tool);
            if critical[*at] {
                out.critical.push(place);
            }
        }
        ColumnsShown {
            span_count: outline.nodes.len(),
            count: self.rows.len(),
            first: self.range.start,
            start: format_nanos(self.start),
            columns: out,
            next_cursor: self.next_cursor,
            damaged: self.damaged,
        }
    }
}
