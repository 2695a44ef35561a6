//! `POST …/paths`: which steps follow which over many runs, and how the runs ended.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use obsrv_engine::engine::ReadBody;
use obsrv_engine::model;
use obsrv_engine::query::ast::Filter;
use obsrv_engine::query::{Budget, Explain, LIMIT_MAX, QueryError, Request};
use obsrv_engine::row::Table;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ask::{Over, Range, asked};
use super::damaged::{Damaged, damaged};
use super::list::json;
use super::path;
use crate::dialect::theta_read::status_of;
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::input::Input;
use crate::http::routes::Routes;
use crate::http::store::View;
use crate::http::{App, query};
use crate::limits::{
    PATH_NODES_MAX, PATH_RUNS_DEFAULT, PATH_RUNS_MAX, PATH_SEQUENCES_MAX, PATH_SPANS_MAX,
};
use crate::wire;

/// Before the first step and after the last.
const START: &str = "(start)";
const END: &str = "(end)";
/// Stands for all names that came after the most that are told apart.
const OTHER: &str = "(other)";

/// Which runs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Question {
    /// A filter of runs, as in the search bar.
    q: Option<String>,
    /// A filter as JSON, beside `q`.
    filter: Option<Value>,
    /// Earliest start.
    from: Option<String>,
    /// The start before which they are.
    to: Option<String>,
    /// What a step is called by: `name`, `tool` or `kind`; `name` if not given. Spans without it are
    /// no steps.
    by: Option<String>,
    /// Newest runs that are looked at, up to 5000; 200 if not given.
    limit: Option<usize>,
    /// Whether to go on without rows that are damaged on disk; `damaged` says which those are.
    #[serde(default)]
    allow_partial: bool,
    /// Whether to tell what it cost: the search for the runs, and beside it their spans as rows and bytes.
    #[serde(default)]
    explain: bool,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
struct Paths {
    /// Runs that were looked at.
    runs: u64,
    /// Whether there are more runs that pass, or so many spans that not all runs were looked at.
    cut: bool,
    nodes: Vec<NodeShown>,
    edges: Vec<EdgeShown>,
    /// Whole sequences, the most frequent ones.
    sequences: Vec<SequenceShown>,
    /// What is damaged on disk and left out; only with `allow_partial`.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<Vec<Damaged>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Value>,
}

/// How runs ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
struct Outcomes {
    success: u64,
    error: u64,
    running: u64,
}

impl Outcomes {
    fn add(&mut self, status: &str) {
        match status {
            model::status::ERROR => self.error += 1,
            model::status::RUNNING => self.running += 1,
            _ => self.success += 1,
        }
    }
}

/// A step.
#[derive(Debug, Serialize, JsonSchema)]
struct NodeShown {
    name: String,
    /// How often.
    count: u64,
    /// In how many runs, by how they ended.
    runs: Outcomes,
}

/// One step right after another, by start.
#[derive(Debug, Serialize, JsonSchema)]
struct EdgeShown {
    from: String,
    to: String,
    count: u64,
    /// In how many runs, by how they ended.
    runs: Outcomes,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SequenceShown {
    /// A step that comes several times at once stands once.
    steps: Vec<String>,
    runs: Outcomes,
    /// A trace that went so.
    example: String,
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .post(&path("/paths"), TraceRead, answer)
        .says("Which steps follow which over many runs, and how the runs ended.")
        .takes::<Question>()
        .gives::<Paths>();
}

async fn answer(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    Input(question): Input<Question>,
) -> Result<Response, ApiError> {
    let now_ns = app.clock.wall_ns();
    let by = match question.by.as_deref() {
        None | Some("name") => model::NAME,
        Some("tool") => model::TOOL,
        Some("kind") => model::KIND,
        Some(_) => return Err(ApiError::parameter("by", "not of name, tool, kind")),
    };
    let limit = question.limit.unwrap_or(PATH_RUNS_DEFAULT);
    if !(1..=PATH_RUNS_MAX).contains(&limit) {
        let message = format!("not a number from 1 to {PATH_RUNS_MAX}");
        return Err(ApiError::parameter("limit", message));
    }
    let range = Range::of(question.from.as_deref(), question.to.as_deref(), now_ns)?;
    let named = (question.q.as_deref(), question.filter.as_ref());
    let filter = asked(Over::Traces, named, now_ns)?;
    let filter = range.and(filter);
    let store = app.core()?.store(access.tenant());
    let body = query::ask_heavy(&app, access.tenant(), move |budget| {
        let view = store.view_or(question.allow_partial);
        let (shown, explain) = paths(&view, (by, limit), filter, budget)?;
        json(&Paths {
            damaged: damaged(view.left_out()),
            explain: question
                .explain
                .then(|| wire::explained_heavy(&explain, "traces one by one")),
            ..shown
        })
    })
    .await?;
    Ok(wire::json_response(body))
}

fn paths(
    view: &View,
    (by, limit): (&str, usize),
    filter: Filter,
    budget: &Budget<'_>,
) -> Result<(Paths, Explain), ApiError> {
    let mut explain = Explain::default();
    let mut graph = Graph::default();
    for end in [START, END] {
        graph.code(end);
    }
    let (mut runs, mut room, mut left) = (0, PATH_SPANS_MAX, limit);
    let mut request = Request::new(filter, limit.min(LIMIT_MAX));
    let cut = 'pages: loop {
        let page = view.search(Table::Runs, &request, budget)?;
        explain.add(page.explain);
        for hit in &page.hits {
            let status = status_of(&wire::row_of(&hit.core, &hit.body)?);
            let costs = (&mut room, &mut explain, budget);
            let Some(steps) = steps(view, &hit.core.trace_id, by, costs)? else {
                break 'pages true;
            };
            runs += 1;
            graph.add(&hit.core.trace_id, steps, status);
        }
        left = left.saturating_sub(page.hits.len());
        if page.next.is_none() || left == 0 {
            break page.next.is_some();
        }
        request.after = page.next;
        request.limit = left.min(LIMIT_MAX);
    };
    let shown = Paths {
        runs,
        cut,
        ..graph.shown()
    };
    Ok((shown, explain))
}

/// The steps of a run by start; `None` if there is no room for them.
fn steps(
    view: &View,
    trace_id: &str,
    by: &str,
    (room, explain, budget): (&mut usize, &mut Explain, &Budget<'_>),
) -> Result<Option<Vec<String>>, ApiError> {
    let (mut all, mut full) = (Vec::new(), false);
    view.each_row(Table::Spans, trace_id, &mut |core, body: ReadBody<'_>| {
        if (budget.cancelled)() {
            return Err(ApiError::from(QueryError::Cancelled));
        }
        full = full || *room == 0;
        if full {
            return Ok(());
        }
        *room -= 1;
        let body = body()?;
        explain.rows_visited += 1;
        explain.page_bytes += u64::try_from(body.len()).unwrap_or(u64::MAX);
        let row = wire::row_of(&core, &body)?;
        if let Some(name) = row.text(by).filter(|name| !name.is_empty()) {
            all.push((core.start_ns, core.id, name.to_owned()));
        }
        Ok(())
    })?;
    all.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let names = all.into_iter().map(|(_, _, name)| name);
    Ok((!full).then(|| names.collect()))
}

#[derive(Debug, Default)]
struct Graph {
    codes: HashMap<String, usize>,
    names: Vec<String>,
    nodes: BTreeMap<usize, (u64, Outcomes)>,
    edges: BTreeMap<(usize, usize), (u64, Outcomes)>,
    sequences: HashMap<Vec<usize>, (Outcomes, String)>,
}

impl Graph {
    fn code(&mut self, name: &str) -> usize {
        // Start and end have their places before all others.
        let full = self.names.len() >= PATH_NODES_MAX + 2 && !self.codes.contains_key(name);
        let name = if full { OTHER } else { name };
        if let Some(code) = self.codes.get(name) {
            return *code;
        }
        let code = self.names.len();
        self.names.push(name.to_owned());
        self.codes.insert(name.to_owned(), code);
        code
    }

    fn add(&mut self, trace_id: &str, steps: Vec<String>, status: &str) {
        let mut codes = vec![self.code(START)];
        codes.extend(steps.iter().map(|step| self.code(step)));
        codes.push(self.code(END));
        let mut here: BTreeMap<usize, u64> = BTreeMap::new();
        for code in &codes {
            *here.entry(*code).or_default() += 1;
        }
        for (code, count) in here {
            let node = self.nodes.entry(code).or_default();
            node.0 += count;
            node.1.add(status);
        }
        let mut here: BTreeMap<(usize, usize), u64> = BTreeMap::new();
        for pair in codes.windows(2) {
            *here.entry((pair[0], pair[1])).or_default() += 1;
        }
        for (pair, count) in here {
            let edge = self.edges.entry(pair).or_default();
            edge.0 += count;
            edge.1.add(status);
        }
        codes.dedup();
        let sequence = self.sequences.entry(codes);
        let (outcomes, _) = sequence.or_insert_with(|| (Outcomes::default(), trace_id.to_owned()));
        outcomes.add(status);
    }

    fn shown(self) -> Paths {
        let name = |code: &usize| self.names.get(*code).cloned().unwrap_or_default();
        let mut nodes: Vec<NodeShown> = self
            .nodes
            .iter()
            .map(|(code, (count, runs))| NodeShown {
                name: name(code),
                count: *count,
                runs: *runs,
            })
            .collect();
        nodes.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
        let mut edges: Vec<EdgeShown> = self
            .edges
            .iter()
            .map(|((from, to), (count, runs))| EdgeShown {
                from: name(from),
                to: name(to),
                count: *count,
                runs: *runs,
            })
            .collect();
        edges.sort_by(|a, b| (b.count, &a.from, &a.to).cmp(&(a.count, &b.from, &b.to)));
        let total = |runs: &Outcomes| runs.success + runs.error + runs.running;
        let mut sequences: Vec<_> = self.sequences.iter().collect();
        sequences.sort_by(|a, b| (total(&b.1.0), a.0).cmp(&(total(&a.1.0), b.0)));
        sequences.truncate(PATH_SEQUENCES_MAX);
        let sequences = sequences
            .into_iter()
            .map(|(codes, (runs, example))| SequenceShown {
                steps: codes.iter().map(name).collect(),
                runs: *runs,
                example: example.clone(),
            });
        Paths {
            nodes,
            edges,
            sequences: sequences.collect(),
            ..Paths::default()
        }
    }
}
