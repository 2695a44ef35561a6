//! The right answers of Q1 to Q13, worked out row by row while the workload is made.
//!
//! Nothing here knows how obsrv answers: the predicates are applied to the rows of
//! [`super::flat`]. Memory does not grow with the workload but with what an answer holds: the best
//! rows of a list, the groups of an aggregate, and 2,000 sampled traces.

pub(super) mod json;

use std::collections::{BTreeMap, BTreeSet};

use memchr::memmem::Finder;

use super::Options;
use super::flat::Flat;
use super::keep::{Best, Sample};
use super::options::DAY_NS;
use super::rng::Rng;
use super::span::{Span, Value};
use super::trace::{NEEDLE_ABSENT, NEEDLE_COMMON, NEEDLE_MEDIUM, NEEDLE_PHRASE, NEEDLE_RARE};

/// The project that is asked: the second largest.
pub const PROJECT: usize = 1;
/// Rows of a list.
pub const LIST: usize = 50;
/// Rows of Q7.
pub const SLOWEST: usize = 100;
/// Groups of Q6.
pub const TOP_USERS: usize = 20;
/// Characters of a preview.
pub const PREVIEW: usize = 200;
/// Traces that Q3 asks for: of the last hour, of all, absent ones.
pub const TRACES: (usize, usize, usize) = (500, 400, 100);
/// The regular expression of Q12.
pub const PATTERN: &str = "amount.:9[0-9][0-9][0-9],";
/// The key of Q13, below `metadata.`; it is asked for `true`.
pub const RARE_KEY: &str = "rare_3";
/// The quantiles of Q4.
pub const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];
/// The keys of Q10, as [`Flat`] names them.
pub const FACETS: [&str; 8] = [
    "env",
    "region",
    "workflow",
    "experiment",
    "release",
    "model",
    "tool",
    "name",
];

const HOUR_NS: u64 = DAY_NS / 24;
const MINUTE_NS: u64 = HOUR_NS / 60;

/// A row of Q1.
#[derive(Clone, Debug)]
struct Root {
    trace_id: String,
    start_ns: u64,
    duration_ns: u64,
    status: &'static str,
}

/// A trace of Q3.
#[derive(Clone, Debug)]
struct Whole {
    project: usize,
    trace_id: String,
    spans: usize,
    /// Of inputs and outputs.
    bytes: usize,
}

#[derive(Debug, Default)]
struct Bucket {
    errors: u64,
    durations_ns: Vec<u64>,
}

#[derive(Debug, Default)]
struct User {
    cost: f64,
    spans: u64,
    sessions: BTreeSet<String>,
}

#[derive(Debug)]
struct Needles {
    rare: Finder<'static>,
    medium: Finder<'static>,
    common: Finder<'static>,
    absent: Finder<'static>,
    phrase: Finder<'static>,
    amount: Finder<'static>,
}

/// Accumulators, one per query.
#[derive(Debug)]
pub struct Answers {
    now_ns: u64,
    spans: u64,
    projects: usize,
    needles: Needles,
    rng: Rng,
    roots: Best<u64, Root>,
    errors_listed: Best<u64, (String, String, String)>,
    recent_traces: Sample<Whole>,
    any_traces: Sample<Whole>,
    latency: BTreeMap<(u64, String), Bucket>,
    costs: BTreeMap<(usize, u64, String), (i64, i64, f64)>,
    users: BTreeMap<String, User>,
    slowest: Best<u64, String>,
    found: [Best<u64, String>; 4],
    common: (u64, Best<u64, String>),
    facets: [BTreeMap<String, u64>; 8],
    session: Option<(String, String)>,
    matched: (u64, Best<u64, String>),
    rare_key: (u64, Best<u64, String>),
}

impl Answers {
    /// Nothing seen yet.
    pub fn new(options: &Options) -> Self {
        let list = || Best::new(LIST);
        Self {
            now_ns: options.end_ns,
            spans: 0,
            projects: options.projects,
            needles: Needles {
                rare: Finder::new(NEEDLE_RARE),
                medium: Finder::new(NEEDLE_MEDIUM),
                common: Finder::new(NEEDLE_COMMON),
                absent: Finder::new(NEEDLE_ABSENT),
                phrase: Finder::new(NEEDLE_PHRASE),
                amount: Finder::new("amount"),
            },
            rng: Rng::new(options.seed ^ 0xa45e),
            roots: Best::new(LIST),
            errors_listed: Best::new(LIST),
            recent_traces: Sample::new(TRACES.0),
            any_traces: Sample::new(TRACES.1),
            latency: BTreeMap::new(),
            costs: BTreeMap::new(),
            users: BTreeMap::new(),
            slowest: Best::new(SLOWEST),
            found: [list(), list(), list(), list()],
            common: (0, list()),
            facets: Default::default(),
            session: None,
            matched: (0, list()),
            rare_key: (0, list()),
        }
    }

    /// Takes in a whole trace, its root last.
    pub fn add_trace(&mut self, project: usize, spans: &[Span]) {
        let mut bytes = 0;
        for span in spans {
            let row = Flat::of(project, span);
            bytes += row.input.len() + row.output.len();
            self.add(&row);
        }
        let Some(root) = spans.last().map(|root| Flat::of(project, root)) else {
            return;
        };
        let whole = Whole {
            project,
            trace_id: root.trace_id,
            spans: spans.len(),
            bytes,
        };
        if self.within(root.start_ns, HOUR_NS) {
            self.recent_traces.offer(&mut self.rng, whole.clone());
        }
        self.any_traces.offer(&mut self.rng, whole);
    }

    const fn within(&self, start_ns: u64, window_ns: u64) -> bool {
        start_ns >= self.now_ns - window_ns
    }

    fn add(&mut self, row: &Flat<'_>) {
        self.spans += 1;
        self.cost(row);
        let (id, start, failed) = (&row.span_id, row.start_ns, !row.error.is_empty());
        let day = self.within(start, DAY_NS);
        if day && failed && row.tool == "run_sql" {
            self.slowest.offer(row.duration_ns, id, || id.clone());
        }
        if day && row.region == "eu-west-1" && has(&self.needles.common, row) {
            self.common.0 += 1;
            self.common.1.offer(start, id, || id.clone());
        }
        if row.project != PROJECT {
            return;
        }
        self.list(row, day && failed);
        self.user(row);
        if self.within(start, DAY_NS / 4) && !row.model.is_empty() {
            let at = (start / MINUTE_NS, row.model.to_owned());
            let bucket = self.latency.entry(at).or_default();
            bucket.errors += u64::from(failed);
            bucket.durations_ns.push(row.duration_ns);
        }
        if day && failed {
            for (key, counts) in FACETS.iter().zip(&mut self.facets) {
                let value = facet_value(row, key);
                if !value.is_empty() {
                    *counts.entry(value.to_owned()).or_default() += 1;
                }
            }
        }
        self.words(row);
    }

    fn list(&mut self, row: &Flat<'_>, failed_today: bool) {
        let root = row.parent_id.is_empty();
        if root && self.within(row.start_ns, HOUR_NS) {
            self.roots.offer(row.start_ns, &row.trace_id, || Root {
                trace_id: row.trace_id.clone(),
                start_ns: row.start_ns,
                duration_ns: row.duration_ns,
                status: row.status(),
            });
        }
        if failed_today && row.env == "prod" && row.workflow == "wf-3" {
            let preview = |text: &str| text.chars().take(PREVIEW).collect();
            self.errors_listed.offer(row.start_ns, &row.span_id, || {
                (row.span_id.clone(), preview(row.input), preview(row.output))
            });
        }
        // The newest trace of the first half: some session in the middle of the data.
        if root && !self.within(row.start_ns, DAY_NS * 7 / 2) {
            self.session = Some((row.session.to_owned(), row.trace_id.clone()));
        }
    }

    fn cost(&mut self, row: &Flat<'_>) {
        if row.model.is_empty() {
            return;
        }
        let at = (row.project, row.start_ns / DAY_NS, row.model.to_owned());
        let sums = self.costs.entry(at).or_default();
        sums.0 += row.input_tokens;
        sums.1 += row.output_tokens;
        sums.2 += row.cost;
    }

    fn user(&mut self, row: &Flat<'_>) {
        let user = self.users.entry(row.user.to_owned()).or_default();
        user.cost += row.cost;
        user.spans += 1;
        if !user.sessions.contains(row.session) {
            user.sessions.insert(row.session.to_owned());
        }
    }

    fn words(&mut self, row: &Flat<'_>) {
        let (id, start) = (&row.span_id, row.start_ns);
        let n = &self.needles;
        let tests = [&n.rare, &n.absent, &n.phrase, &n.medium];
        for (finder, list) in tests.into_iter().zip(&mut self.found) {
            if has(finder, row) {
                list.offer(start, id, || id.clone());
            }
        }
        if start >= self.now_ns - HOUR_NS
            && [row.input, row.output].iter().any(|t| amount(&n.amount, t))
        {
            self.matched.0 += 1;
            self.matched.1.offer(start, id, || id.clone());
        }
        if row
            .rest
            .iter()
            .any(|(key, value)| *key == RARE_KEY && **value == Value::Bool(true))
        {
            self.rare_key.0 += 1;
            self.rare_key.1.offer(start, id, || id.clone());
        }
    }
}

fn has(finder: &Finder<'_>, row: &Flat<'_>) -> bool {
    finder.find(row.output.as_bytes()).is_some() || finder.find(row.input.as_bytes()).is_some()
}

/// Whether [`PATTERN`] matches, without a regular expression.
fn amount(finder: &Finder<'_>, text: &str) -> bool {
    let bytes = text.as_bytes();
    finder.find_iter(bytes).any(|at| {
        let rest = bytes.get(at + 6..at + 13).unwrap_or_default();
        matches!(rest, [any, b':', b'9', a, b, c, b','] if *any != b'\n'
            && [a, b, c].iter().all(|d| d.is_ascii_digit()))
    })
}

fn facet_value<'a>(row: &Flat<'a>, key: &str) -> &'a str {
    match key {
        "env" => row.env,
        "region" => row.region,
        "workflow" => row.workflow,
        "experiment" => row.experiment,
        "release" => row.release,
        "model" => row.model,
        "tool" => row.tool,
        _ => row.name,
    }
}

#[cfg(test)]
mod tests;
