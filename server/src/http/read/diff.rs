//! `GET …/traces/{trace}/diff/{other}`: the steps of two traces side by side.
//!
//! Steps are the spans in pre-order. Two are the same step if depth, kind and name are equal; the
//! longest sequence of such pairs is the alignment.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::list::json;
use super::outline::{Code, Node, Outline};
use super::path;
use super::shape::TraceShown;
use super::trace::{run_of, trace_id};
use crate::http::access::{Access, TraceRead};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::input::InPath;
use crate::http::routes::Routes;
use crate::http::{App, query};
use crate::limits::DIFF_STEPS_MAX;
use crate::wire;

#[derive(Debug, Serialize, JsonSchema)]
struct Diff<'a> {
    a: TraceShown<'a>,
    b: TraceShown<'a>,
    /// In the order of both.
    steps: Vec<StepShown<'a>>,
    /// Steps of `b` alone.
    added: usize,
    /// Steps of `a` alone.
    removed: usize,
    /// Steps of both that differ.
    changed: usize,
    /// Steps of both that do not.
    same: usize,
}

/// A step of one trace or of both.
#[derive(Debug, Serialize, JsonSchema)]
struct StepShown<'a> {
    /// `same`, `changed`, `added` or `removed`.
    change: &'static str,
    depth: u32,
    name: &'a str,
    kind: &'a str,
    a: Option<SideShown<'a>>,
    b: Option<SideShown<'a>>,
    /// What differs: `status`, `model`, `tool`, `error_message`, `tokens`, `cost`. Durations always
    /// do, so they are not named.
    differs: Vec<&'static str>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SideShown<'a> {
    span_id: &'a str,
    status: &'a str,
    duration_ns: Option<i64>,
    model: Option<&'a str>,
    tool: Option<&'a str>,
    tokens: Option<i64>,
    cost: Option<f64>,
    error_message: Option<&'a str>,
}

impl<'a> SideShown<'a> {
    fn of(outline: &'a Outline, node: &'a Node) -> Self {
        let text = |code: Code| outline.text(code);
        Self {
            span_id: &node.id,
            status: text(node.status),
            duration_ns: node.duration_ns,
            model: node.model.map(text),
            tool: node.tool.map(text),
            tokens: node.tokens,
            cost: node.cost,
            error_message: node.error_message.as_deref(),
        }
    }

    fn differs(&self, other: &Self) -> Vec<&'static str> {
        let parts = [
            ("status", self.status != other.status),
            ("model", self.model != other.model),
            ("tool", self.tool != other.tool),
            ("error_message", self.error_message != other.error_message),
            ("tokens", self.tokens != other.tokens),
            ("cost", self.cost != other.cost),
        ];
        let differ = parts.into_iter().filter(|(_, differs)| *differs);
        differ.map(|(name, _)| name).collect()
    }
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .get(&path("/traces/{trace}/diff/{other}"), TraceRead, show)
        .says("The steps of two traces side by side.")
        .gives::<Diff<'_>>();
}

async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Response, ApiError> {
    let (a_id, b_id) = (trace_id(&place, "trace")?, trace_id(&place, "other")?);
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let view = store.view();
        let (a_run, b_run) = (run_of(&view, &a_id)?, run_of(&view, &b_id)?);
        let a = Outline::read(&view, &a_id, budget)?;
        let b = Outline::read(&view, &b_id, budget)?;
        if a.nodes.len().max(b.nodes.len()) > DIFF_STEPS_MAX {
            let message = format!("trace has too many spans for a diff max={DIFF_STEPS_MAX}");
            return Err(ApiError::new(ErrorCode::QueryTooExpensive, message));
        }
        let steps = steps(&a, &b);
        let count = |change| steps.iter().filter(|step| step.change == change).count();
        json(&Diff {
            added: count("added"),
            removed: count("removed"),
            changed: count("changed"),
            same: count("same"),
            a: TraceShown::of(&a_run),
            b: TraceShown::of(&b_run),
            steps,
        })
    })
    .await?;
    Ok(wire::json_response(body))
}

fn steps<'a>(a: &'a Outline, b: &'a Outline) -> Vec<StepShown<'a>> {
    let step = |outline: &'a Outline, node: &'a Node, change, sides: [Option<SideShown<'a>>; 2]| {
        let [a, b] = sides;
        StepShown {
            change,
            depth: node.depth,
            name: outline.text(node.name),
            kind: outline.text(node.kind),
            a,
            b,
            differs: Vec::new(),
        }
    };
    let pairs = aligned(a, b);
    let mut out = Vec::with_capacity(pairs.len());
    for pair in pairs {
        out.push(match pair {
            (Some(i), Some(j)) => {
                let left = SideShown::of(a, &a.nodes[i]);
                let right = SideShown::of(b, &b.nodes[j]);
                let differs = left.differs(&right);
                let change = if differs.is_empty() {
                    "same"
                } else {
                    "changed"
                };
                StepShown {
                    differs,
                    ..step(a, &a.nodes[i], change, [Some(left), Some(right)])
                }
            }
            (Some(i), None) => {
                let side = SideShown::of(a, &a.nodes[i]);
                step(a, &a.nodes[i], "removed", [Some(side), None])
            }
            (None, Some(j)) => {
                let side = SideShown::of(b, &b.nodes[j]);
                step(b, &b.nodes[j], "added", [None, Some(side)])
            }
            (None, None) => continue,
        });
    }
    out
}

/// The longest common sequence of steps, with what is between.
fn aligned(a: &Outline, b: &Outline) -> Vec<(Option<usize>, Option<usize>)> {
    let is_same = |i: usize, j: usize| {
        let (left, right) = (&a.nodes[i], &b.nodes[j]);
        left.depth == right.depth
            && a.text(left.kind) == b.text(right.kind)
            && a.text(left.name) == b.text(right.name)
    };
    let (rows, width) = (a.nodes.len(), b.nodes.len() + 1);
    // How long the sequence is from here on; DIFF_STEPS_MAX fits 16 bits.
    let mut longest = vec![0_u16; (rows + 1) * width];
    for i in (0..rows).rev() {
        for j in (0..width - 1).rev() {
            longest[i * width + j] = if is_same(i, j) {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < rows || j < width - 1 {
        let here = longest[i * width + j];
        if i < rows && j < width - 1 && is_same(i, j) {
            out.push((Some(i), Some(j)));
            (i, j) = (i + 1, j + 1);
        } else if i < rows && (j == width - 1 || longest[(i + 1) * width + j] == here) {
            out.push((Some(i), None));
            i += 1;
        } else {
            out.push((None, Some(j)));
            j += 1;
        }
    }
    out
}
