//! `GET …/traces/{trace}/render`: a trace as text of about so many tokens, for an agent to read.
//!
//! A line for each span, indented by depth. If there are more than fit, those go first that tell
//! least: what failed and what is above it stays longest, then the critical path, then the upper
//! levels. What is left of the room goes to what went in and came out of the spans that are shown.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::engine::ReadBody;
use obsrv_engine::model;
use obsrv_engine::query::{Budget, QueryError};
use obsrv_engine::row::Table;
use schemars::JsonSchema;
use serde::Serialize;

use super::ask::check_known;
use super::critical::critical_path;
use super::list::json;
use super::outline::Outline;
use super::path;
use super::preview::previews;
use super::shape::{Cost, Tokens};
use super::trace::{run_of, trace_id};
use crate::dialect::format_nanos;
use crate::dialect::theta_read::{StoredRow, status_of};
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::input::InPath;
use crate::http::params::Params;
use crate::http::routes::Routes;
use crate::http::store::View;
use crate::http::{App, query};
use crate::limits::{RENDER_TOKENS_DEFAULT, RENDER_TOKENS_MAX, RENDER_TOKENS_MIN};
use crate::wire;

const KNOWN: [&str; 1] = ["tokens"];
/// Bytes that count as a token.
const TOKEN_BYTES: usize = 4;
/// Bytes kept for lines that say how many spans are not shown.
const GAP_BYTES: usize = 24;

#[derive(Debug, Serialize, JsonSchema)]
struct Rendered {
    text: String,
    /// How many tokens the text has, at four bytes each.
    tokens: usize,
    spans_shown: usize,
    spans_left_out: usize,
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .get(&path("/traces/{trace}/render"), TraceRead, show)
        .says("A trace as text of so many tokens at most, what matters most first.")
        .asks("tokens", "200 to 100000; 4000 if not given")
        .gives::<Rendered>();
}

async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let trace_id = trace_id(&place, "trace")?;
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &KNOWN)?;
    let tokens = match params.one("tokens")?.map(str::parse::<usize>) {
        None => RENDER_TOKENS_DEFAULT,
        Some(Ok(n)) if (RENDER_TOKENS_MIN..=RENDER_TOKENS_MAX).contains(&n) => n,
        Some(_) => {
            let message = format!("not a number from {RENDER_TOKENS_MIN} to {RENDER_TOKENS_MAX}");
            return Err(ApiError::parameter("tokens", message));
        }
    };
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let view = store.view();
        let run = run_of(&view, &trace_id)?;
        let outline = Outline::read(&view, &trace_id, budget)?;
        json(&rendered(&view, (&run, &outline), tokens, budget)?)
    })
    .await?;
    Ok(wire::json_response(body))
}

fn rendered(
    view: &View,
    (run, outline): (&StoredRow, &Outline),
    tokens: usize,
    budget: &Budget<'_>,
) -> Result<Rendered, ApiError> {
    let mut text = head(run, outline);
    let all = tokens.saturating_mul(TOKEN_BYTES);
    let lines: Vec<String> = (0..outline.nodes.len())
        .map(|at| line(outline, at))
        .collect();
    // Half of the room for what was said, if the lines leave it.
    let mut room = all.saturating_sub(text.len()).saturating_sub(GAP_BYTES);
    let mut shown = vec![false; lines.len()];
    for at in by_weight(outline) {
        let need = lines[at].len() + GAP_BYTES;
        if need > room {
            break;
        }
        room -= need;
        shown[at] = true;
    }
    let said = said(view, (run, outline), &shown, (room, budget))?;
    let (mut hidden, mut count) = (0_usize, 0);
    for (at, line) in lines.iter().enumerate() {
        if !shown[at] {
            hidden += 1;
            continue;
        }
        gap(&mut hidden, &mut text);
        text.push_str(line);
        text.push_str(said.get(&at).map_or("", String::as_str));
        count += 1;
    }
    gap(&mut hidden, &mut text);
    Ok(Rendered {
        tokens: text.len().div_ceil(TOKEN_BYTES),
        spans_shown: count,
        spans_left_out: lines.len() - count,
        text,
    })
}

fn gap(hidden: &mut usize, text: &mut String) {
    if *hidden > 0 {
        put(text, format_args!("… {hidden} more\n"));
        *hidden = 0;
    }
}

fn put(text: &mut String, args: std::fmt::Arguments<'_>) {
    text.write_fmt(args)
        .expect("BUG: writing to a string failed");
}

fn head(run: &StoredRow, outline: &Outline) -> String {
    let mut text = format!(
        "trace {} {} [{}] {} spans, started {}\n",
        run.core.trace_id,
        run.text(model::NAME).unwrap_or(""),
        status_of(run),
        outline.nodes.len(),
        format_nanos(run.core.start_ns),
    );
    if let Some(tokens) = Tokens::of(run.doc()).and_then(|tokens| tokens.total) {
        put(&mut text, format_args!("tokens {tokens}"));
        if let Some(cost) = Cost::of(run.doc()) {
            put(&mut text, format_args!(", cost ${}", cost.total));
        }
        text.push('\n');
    }
    if let Some(error) = run.text(model::ERROR_MESSAGE) {
        let end = error
            .char_indices()
            .nth(200)
            .map_or(error.len(), |(at, _)| at);
        put(&mut text, format_args!("error: {}\n", &error[..end]));
    }
    text
}

/// `  llm plan [success] 1.2s gpt-5 900tok`
fn line(outline: &Outline, at: usize) -> String {
    let node = &outline.nodes[at];
    let depth = usize::try_from(node.depth.min(40)).unwrap_or(0);
    let mut text = "  ".repeat(depth);
    let (kind, name) = (outline.text(node.kind), outline.text(node.name));
    put(
        &mut text,
        format_args!("{kind} {name} [{}]", outline.text(node.status)),
    );
    if let Some(ns) = node.duration_ns {
        let (s, ms) = (ns / 1_000_000_000, ns / 1_000_000 % 1000);
        put(&mut text, format_args!(" {s}.{ms:03}s"));
    }
    if let Some(model) = node.model {
        put(&mut text, format_args!(" {}", outline.text(model)));
    }
    if let Some(tokens) = node.tokens {
        put(&mut text, format_args!(" {tokens}tok"));
    }
    if let Some(error) = &node.error_message {
        put(&mut text, format_args!(" error: {error}"));
    }
    text.push('\n');
    text
}

/// Spans, what tells most first; a span never before what is above it.
fn by_weight(outline: &Outline) -> Vec<usize> {
    let nodes = &outline.nodes;
    let mut weight: Vec<u32> = nodes
        .iter()
        .map(|node| node.depth.saturating_add(3))
        .collect();
    for critical in critical_path(outline) {
        weight[critical.at] = 2;
    }
    for (at, node) in nodes.iter().enumerate() {
        if outline.text(node.status) == model::status::ERROR {
            weight[at] = 1;
        }
    }
    // Parents stand before their children: backwards, each hands its weight up.
    for at in (0..nodes.len()).rev() {
        if let Some(parent) = nodes[at].parent {
            weight[parent] = weight[parent].min(weight[at]);
        }
    }
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    order.sort_by_key(|at| (weight[*at], *at));
    order
}

/// What went in and came out of spans that are shown, as far as there is room.
fn said(
    view: &View,
    (run, outline): (&StoredRow, &Outline),
    shown: &[bool],
    (mut room, budget): (usize, &Budget<'_>),
) -> Result<HashMap<usize, String>, ApiError> {
    let mut wanted: HashMap<&str, usize> = HashMap::new();
    for (at, node) in outline
        .nodes
        .iter()
        .enumerate()
        .filter(|(at, _)| shown[*at])
    {
        wanted.insert(&node.id, at);
    }
    let mut texts: HashMap<usize, String> = HashMap::new();
    view.each_row(Table::Spans, &run.core.trace_id, &mut |core,
                                                          body: ReadBody<
        '_,
    >| {
        if (budget.cancelled)() {
            return Err(ApiError::from(QueryError::Cancelled));
        }
        let Some(at) = wanted.get(&*core.id).filter(|_| room > 0) else {
            return Ok(());
        };
        let row = wire::row_of(&core, &body()?)?;
        let (input, output) = previews(&row);
        let indent = "  ".repeat(usize::try_from(outline.nodes[*at].depth.min(40)).unwrap_or(0));
        let mut text = String::new();
        for (mark, said) in [("<", input), (">", output)] {
            if let Some(said) = said {
                let said = said.replace('\n', " ");
                put(&mut text, format_args!("{indent}  {mark} {said}\n"));
            }
        }
        if text.len() <= room {
            room -= text.len();
            texts.insert(*at, text);
        }
        Ok(())
    })?;
    Ok(texts)
}
