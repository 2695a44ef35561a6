//! Agent traces from a seed, as export requests in the order in which they arrive.
//!
//! Same options, same bytes. The profile `core` is what the goals are stated for: about 2,146 B a
//! span as OTLP protobuf and no heavy tail; `messy` adds duplicates, late spans and start/end
//! pairs, `tail` spans of up to 8 MiB. Log lines and metric points have generators of their own:
//! [`logs`], [`points`]. Projects follow a Zipf law, each has its own key, so a request holds rows of one.

pub mod answers;
pub mod flat;
mod keep;
pub mod logs;
pub mod manifest;
mod options;
pub mod points;
pub mod rng;
pub mod sender;
pub mod span;
pub mod text;
pub mod trace;
mod wire;

use std::collections::{BTreeMap, VecDeque};

use answers::Answers;
use manifest::{Manifest, TraceFacts};
use options::END_NS;
pub use options::{DAY_NS, Options};
use rng::{Rng, Zipf};
use span::{Span, export_json, export_request};
use trace::{Materials, Place};

/// Spans of a trace: from, to.
const TRACE_SPANS: (u64, u64) = (3, 400);
/// Mean spans of a trace, for spreading starts over the window before the traces are made.
const TRACE_SPANS_MEAN: u64 = 32;
/// Bytes of text after which a request is sent although it has few spans.
const BATCH_BYTES_MAX: usize = 8 << 20;
const SECOND_NS: u64 = 1_000_000_000;

/// Whole traces of one project, for measuring parts of the engine without a wire format.
pub fn traces(seed: u64, count: u64, spans: usize) -> Vec<Vec<Span>> {
    let materials = Materials::new(seed, 1);
    let mut rng = Rng::new(seed);
    let make = |number| {
        let start_ns = END_NS + number * 1_000_000_000;
        let place = Place {
            project: 0,
            number,
            spans,
            start_ns,
            error_ppm: 60_000,
            heavy_tail: false,
        };
        trace::make(&materials, place, &mut rng).0
    };
    (0..count).map(make).collect()
}

/// An export request of one project.
#[derive(Clone, Debug)]
pub struct Request {
    /// Index of the project.
    pub project: usize,
    /// OTLP protobuf.
    pub body: Vec<u8>,
    /// Spans in it.
    pub spans: usize,
}

/// Spans of one project that are sent together.
#[derive(Debug)]
pub struct Batch {
    /// Index of the project.
    pub project: usize,
    /// In the order in which they arrive.
    pub spans: Vec<Span>,
}

struct OpenTrace {
    project: usize,
    spans: VecDeque<Span>,
}

/// The workload: an iterator over its requests that keeps the books as it goes.
pub struct Generator {
    options: Options,
    materials: Materials,
    sizes: Zipf,
    projects: Zipf,
    rng: Rng,
    made: u64,
    traces: u64,
    open: Vec<OpenTrace>,
    /// When the newest trace started: the workload's clock.
    now_ns: u64,
    /// Spans that arrive later, by when and which.
    held: BTreeMap<(u64, u64), (usize, Span)>,
    batches: Vec<(Vec<Span>, usize)>,
    ready: VecDeque<Batch>,
    manifest: Manifest,
    sizes_wanted: (bool, bool),
    answers: Option<Answers>,
}

impl std::fmt::Debug for Generator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generator")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Generator {
    /// The workload of these options.
    pub fn new(options: Options) -> Self {
        Self {
            materials: Materials::new(options.seed, options.projects),
            sizes: Zipf::steep(TRACE_SPANS.0, TRACE_SPANS.1),
            projects: Zipf::harmonic(options.projects),
            rng: Rng::new(options.seed),
            made: 0,
            traces: 0,
            open: Vec::new(),
            now_ns: 0,
            held: BTreeMap::new(),
            batches: vec![(Vec::new(), 0); options.projects],
            ready: VecDeque::new(),
            manifest: Manifest::default(),
            sizes_wanted: (true, true),
            answers: None,
            options,
        }
    }

    /// Leaves [`Manifest::json_bytes`] at 0: half the time of making a span.
    #[must_use]
    pub const fn without_json_bytes(mut self) -> Self {
        self.sizes_wanted.1 = false;
        self
    }

    /// Works out the answers of Q1 to Q13 on the way.
    #[must_use]
    pub fn with_answers(mut self) -> Self {
        self.answers = Some(Answers::new(&self.options));
        self
    }

    /// The right answers for what was made so far; complete once the iterator has ended.
    pub fn into_manifest(self) -> Manifest {
        self.manifest
    }

    /// The same, and the answers of the queries if [`Self::with_answers`] asked for them.
    pub fn into_parts(self) -> (Manifest, Option<Answers>) {
        (self.manifest, self.answers)
    }

    /// Makes the next trace, or answers `false` if every span was made.
    fn open_trace(&mut self) -> bool {
        let left = self.options.spans - self.made;
        if left == 0 {
            return false;
        }
        let rank = u64::try_from(self.sizes.sample(&mut self.rng)).expect("BUG: a small rank");
        let spans = (TRACE_SPANS.0 + rank).min(left);
        let project = self.projects.sample(&mut self.rng);
        let number = self.traces;
        let gap = self.options.window_ns / (self.options.spans / TRACE_SPANS_MEAN + 1);
        let begin = self.options.end_ns - self.options.window_ns;
        let start_ns = begin + number * gap + self.rng.below(gap.max(1));
        self.made += spans;
        self.traces += 1;
        let spans = usize::try_from(spans).expect("BUG: a small trace");
        let error_ppm = self.options.error_ppm;
        let place = Place {
            project,
            number,
            spans,
            start_ns,
            error_ppm,
            heavy_tail: self.options.heavy_tail,
        };
        self.now_ns = start_ns;
        let (spans, facts) = trace::make(&self.materials, place, &mut self.rng);
        self.note(&spans, facts);
        // As SDKs with their own format do.
        if self.options.whole_runs && project % 2 == 1 {
            for span in spans {
                self.arrive(project, span);
            }
        } else {
            self.open.push(OpenTrace {
                project,
                spans: spans.into(),
            });
        }
        true
    }

    fn note(&mut self, spans: &[Span], facts: TraceFacts) {
        if let Some(answers) = &mut self.answers {
            answers.add_trace(facts.project, spans);
        }
        self.manifest.traces.push(facts);
        if self.sizes_wanted.1 {
            let bytes = export_json(spans).len();
            self.manifest.json_bytes += u64::try_from(bytes).expect("BUG: usize over 64 bits");
        }
        if self.sizes_wanted.0 {
            let bytes = export_request(spans).len();
            self.manifest.proto_bytes += u64::try_from(bytes).expect("BUG: usize over 64 bits");
        }
    }

    /// A span ends at its client: send it, perhaps twice, perhaps late, perhaps in two events.
    fn arrive(&mut self, project: usize, span: Span) {
        let ended_after_ns = if self.rng.chance(self.options.pair_ppm) {
            self.send(project, span.opening());
            self.rng.range(1, 600) * SECOND_NS
        } else {
            0
        };
        if self.rng.chance(self.options.duplicate_ppm) {
            // A retry comes at once, or when the client has its network back.
            let after_ns = self.rng.range(0, 1) * self.rng.range(1, 3_600) * SECOND_NS;
            self.send_after(ended_after_ns + after_ns, project, span.clone());
        }
        let late_ns = if self.rng.chance(self.options.late_ppm) {
            self.rng.range(60, 21_600) * SECOND_NS
        } else {
            0
        };
        self.send_after(ended_after_ns + late_ns, project, span);
        while let Some(entry) = self.held.first_entry()
            && entry.key().0 <= self.now_ns
        {
            let (project, span) = entry.remove();
            self.send(project, span);
        }
    }

    fn send_after(&mut self, wait_ns: u64, project: usize, span: Span) {
        if wait_ns == 0 {
            self.send(project, span);
        } else {
            let due = (self.now_ns + wait_ns, self.rng.u64());
            self.held.insert(due, (project, span));
        }
    }

    fn send(&mut self, project: usize, span: Span) {
        self.manifest.sent += 1;
        let (batch, bytes) = self
            .batches
            .get_mut(project)
            .expect("BUG: project out of range");
        *bytes += span.text_bytes();
        batch.push(span);
        if batch.len() >= self.options.batch || *bytes >= BATCH_BYTES_MAX {
            self.flush(project);
        }
    }

    fn flush(&mut self, project: usize) {
        let (batch, bytes) = self
            .batches
            .get_mut(project)
            .expect("BUG: project out of range");
        *bytes = 0;
        if !batch.is_empty() {
            let spans = std::mem::take(batch);
            self.ready.push_back(Batch { project, spans });
        }
    }

    /// Makes some span arrive, or answers `false` if there is none left.
    fn step(&mut self) -> bool {
        while self.open.len() < self.options.open {
            if !self.open_trace() {
                break;
            }
        }
        if self.open.is_empty() {
            return false;
        }
        let at = self.rng.index(self.open.len());
        let Some(open) = self.open.get_mut(at) else {
            return false;
        };
        let project = open.project;
        let span = open.spans.pop_front();
        if open.spans.is_empty() {
            self.open.swap_remove(at);
        }
        if let Some(span) = span {
            self.arrive(project, span);
        }
        true
    }
}

impl Generator {
    /// The next request's spans.
    pub fn next_batch(&mut self) -> Option<Batch> {
        while self.ready.is_empty() && self.step() {}
        if self.ready.is_empty() {
            while let Some((_, (project, span))) = self.held.pop_first() {
                self.send(project, span);
            }
            for project in 0..self.options.projects {
                self.flush(project);
            }
        }
        self.ready.pop_front()
    }
}

impl Iterator for Generator {
    type Item = Request;

    fn next(&mut self) -> Option<Request> {
        let batch = self.next_batch()?;
        Some(Request {
            project: batch.project,
            body: export_request(&batch.spans),
            spans: batch.spans.len(),
        })
    }
}

#[cfg(test)]
mod tests;
