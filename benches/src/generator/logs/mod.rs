//! Log lines from a seed, as SDKs send them: a request has the lines of one process.
//!
//! A line is what some statement of the program says, which comes again and again, and what was
//! different this time: prose, an id, numbers. Lines come in episodes: one call of the service, with
//! its user and mostly in a trace. A fifth of these go on with a trace of an earlier request.

pub mod answers;
mod line;
mod material;

use std::collections::VecDeque;

use serde_json::Value as Json;

use super::options::Options;
use super::rng::{Rng, Zipf};
use super::sender::{SERVICES, Sender};
use answers::Answers;
pub use line::{Line, Row, export_request};
pub use material::{LOGGERS, SEVERITIES};
use material::{Materials, Spot};

/// Lines of an episode, at most.
const EPISODE_LINES_MAX: u64 = 12;
/// Episodes in a trace, per million.
const TRACED_PPM: u32 = 600_000;
/// Episodes in a trace of an earlier request, per million of those in a trace.
const GOES_ON_PPM: u32 = 200_000;
/// Traces of a project that may go on, and how many of a request are among them.
const RECENT_TRACES: (usize, usize) = (16, 8);
/// Episodes of a user, per million.
const USER_PPM: u32 = 800_000;
/// Longest time between two lines of a process.
const GAP_NS_MAX: u64 = 20_000_000;

/// A trace and the span in it.
type Place = ([u8; 16], [u8; 8]);

/// Lines of one process that are sent together.
#[derive(Debug)]
pub struct Batch {
    /// Index of the project.
    pub project: usize,
    /// The process.
    pub from: Sender,
    /// In the order in which they were written.
    pub lines: Vec<Line>,
}

impl Batch {
    /// Its rows.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.lines.iter().map(|line| Row {
            project: self.project,
            from: &self.from,
            line,
        })
    }
}

/// The workload.
#[derive(Debug)]
pub struct Generator {
    options: Options,
    materials: Materials,
    projects: Zipf,
    services: Zipf,
    rng: Rng,
    made: u64,
    batches: u64,
    /// Of each project, traces of earlier requests.
    recent: Vec<VecDeque<[u8; 16]>>,
    /// Those that began in this request.
    begun: Vec<[u8; 16]>,
    answers: Option<Answers>,
}

impl Generator {
    /// The workload of these options.
    pub fn new(options: Options) -> Self {
        Self {
            materials: Materials::new(options.seed),
            projects: Zipf::harmonic(options.projects),
            services: Zipf::harmonic(SERVICES),
            rng: Rng::new(options.seed),
            made: 0,
            batches: 0,
            recent: vec![VecDeque::new(); options.projects],
            begun: Vec::new(),
            answers: None,
            options,
        }
    }

    /// Works out the answers of L1 to L7 on the way.
    #[must_use]
    pub fn with_answers(mut self) -> Self {
        self.answers = Some(Answers::new(&self.options));
        self
    }

    /// The answers, if [`Self::with_answers`] asked for them; complete once the last batch was made.
    pub fn into_answers(self) -> Option<Json> {
        self.answers.map(Answers::into_json)
    }

    /// The next request's lines.
    pub fn next_batch(&mut self) -> Option<Batch> {
        let left = self.options.spans - self.made;
        let size = u64::try_from(self.options.batch).expect("BUG: usize over 64 bits");
        let count = left.min(size);
        if count == 0 {
            return None;
        }
        let project = self.projects.sample(&mut self.rng);
        let from = Sender::pick(&self.services, &mut self.rng);
        let gap = self.options.window_ns / (self.options.spans / size + 1);
        let begin = self.options.end_ns - self.options.window_ns;
        let mut now = begin + self.batches * gap + self.rng.below(gap.max(1));
        let mut lines = Vec::new();
        let count = usize::try_from(count).expect("BUG: a small batch");
        while lines.len() < count {
            self.episode((project, from.rank), &mut now, count, &mut lines);
        }
        self.end_request(project);
        self.made += u64::try_from(count).expect("BUG: usize over 64 bits");
        self.batches += 1;
        let batch = Batch {
            project,
            from,
            lines,
        };
        if let Some(answers) = &mut self.answers {
            answers.add(&batch);
        }
        Some(batch)
    }

    fn episode(
        &mut self,
        (project, service): (usize, usize),
        now: &mut u64,
        count: usize,
        lines: &mut Vec<Line>,
    ) {
        let trace = self.rng.chance(TRACED_PPM).then(|| self.trace(project));
        let user = if self.rng.chance(USER_PPM) {
            self.materials.user(&mut self.rng)
        } else {
            String::new()
        };
        let mut span = id(&mut self.rng);
        for _ in 0..self.rng.range(1, EPISODE_LINES_MAX) {
            if lines.len() == count {
                return;
            }
            if self.rng.chance(300_000) {
                span = id(&mut self.rng);
            }
            *now += self.rng.range(1_000, GAP_NS_MAX);
            let spot = Spot {
                time_ns: *now,
                service,
                place: trace.map(|trace| (trace, span)),
                user: &user,
            };
            lines.push(self.materials.line(spot, &mut self.rng));
        }
    }

    fn trace(&mut self, project: usize) -> [u8; 16] {
        let recent = self.recent.get(project).expect("BUG: within the list");
        if self.rng.chance(GOES_ON_PPM)
            && let Some(trace) = recent.get(self.rng.index(RECENT_TRACES.0))
        {
            return *trace;
        }
        let mut trace = [0; 16];
        trace[..8].copy_from_slice(&self.rng.u64().to_le_bytes());
        trace[8..].copy_from_slice(&self.rng.u64().to_le_bytes());
        self.begun.push(trace);
        trace
    }

    /// Some traces of the request may go on in later ones, in place of the oldest.
    fn end_request(&mut self, project: usize) {
        let recent = self.recent.get_mut(project).expect("BUG: within the list");
        recent.extend(self.begun.drain(..).take(RECENT_TRACES.1));
        while recent.len() > RECENT_TRACES.0 {
            recent.pop_front();
        }
    }
}

fn id(rng: &mut Rng) -> [u8; 8] {
    (rng.u64() | 1).to_le_bytes()
}

#[cfg(test)]
mod tests;
