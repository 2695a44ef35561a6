//! Agent traces from a seed, as export requests in the order in which they arrive.
//!
//! Same options, same bytes. The profile `core` is what the goals are stated for: about 2,146 B a
//! span as OTLP protobuf and no heavy tail; `messy` adds duplicates, late spans and start/end
//! pairs. Projects follow a Zipf law, each has its own key, so a request holds spans of one.

pub mod manifest;
pub mod rng;
pub mod span;
pub mod text;
pub mod trace;

use std::collections::VecDeque;

use manifest::{Manifest, TraceFacts};
use rng::{Rng, Zipf};
use span::{Span, export_json, export_request};
use trace::{Materials, Place};

/// What to make.
#[derive(Clone, Debug)]
pub struct Options {
    /// Same seed, same workload.
    pub seed: u64,
    /// Distinct spans, exactly.
    pub spans: u64,
    /// Projects.
    pub projects: usize,
    /// Spans in a request.
    pub batch: usize,
    /// Interleaved traces that are open at any time.
    pub open: usize,
    /// Failing spans per million.
    pub error_ppm: u32,
    /// Spans sent a second time, per million.
    pub duplicate_ppm: u32,
    /// Spans held back for 1 to 2,000 others of the workload, per million.
    pub late_ppm: u32,
    /// Spans sent as a start event first, per million.
    pub pair_ppm: u32,
    /// When the last trace starts.
    pub end_ns: u64,
    /// From the first trace's start to the last one's.
    pub window_ns: u64,
}

/// 2026-11-01T00:00:00Z.
const END_NS: u64 = 1_793_491_200_000_000_000;
const DAY_NS: u64 = 86_400_000_000_000;
/// Spans of a trace: from, to.
const TRACE_SPANS: (u64, u64) = (3, 400);
/// Mean spans of a trace, for spreading starts over the window before the traces are made.
const TRACE_SPANS_MEAN: u64 = 32;

impl Options {
    /// The profile of the goals.
    pub fn core(seed: u64, spans: u64) -> Self {
        Self {
            seed,
            spans,
            projects: 24,
            batch: 64,
            open: 500,
            error_ppm: 60_000,
            duplicate_ppm: 0,
            late_ppm: 0,
            pair_ppm: 0,
            end_ns: END_NS,
            window_ns: 7 * DAY_NS,
        }
    }

    /// `core` with 2% duplicates, 5% late, 3% start and end.
    pub fn messy(seed: u64, spans: u64) -> Self {
        Self {
            duplicate_ppm: 20_000,
            late_ppm: 50_000,
            pair_ppm: 30_000,
            ..Self::core(seed, spans)
        }
    }
}

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
    late: VecDeque<(u64, usize, Span)>,
    batches: Vec<Vec<Span>>,
    ready: VecDeque<Request>,
    manifest: Manifest,
    json: bool,
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
            late: VecDeque::new(),
            batches: vec![Vec::new(); options.projects],
            ready: VecDeque::new(),
            manifest: Manifest::default(),
            json: true,
            options,
        }
    }

    /// Leaves [`Manifest::json_bytes`] at 0: half the time of making a span.
    #[must_use]
    pub const fn without_json_bytes(mut self) -> Self {
        self.json = false;
        self
    }

    /// The right answers for what was made so far; complete once the iterator has ended.
    pub fn into_manifest(self) -> Manifest {
        self.manifest
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
        };
        let (spans, facts) = trace::make(&self.materials, place, &mut self.rng);
        self.note(&spans, facts);
        // Every other project sends whole runs when they end, as SDKs with their own format do.
        if project % 2 == 1 {
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
        self.manifest.traces.push(facts);
        if self.json {
            let bytes = export_json(spans).len();
            self.manifest.json_bytes += u64::try_from(bytes).expect("BUG: usize over 64 bits");
        }
        let bytes = export_request(spans).len();
        self.manifest.proto_bytes += u64::try_from(bytes).expect("BUG: usize over 64 bits");
    }

    /// A span ends at its client: send it, perhaps twice, perhaps late, perhaps in two events.
    fn arrive(&mut self, project: usize, span: Span) {
        if self.rng.chance(self.options.pair_ppm) {
            self.send(project, span.opening());
        }
        if self.rng.chance(self.options.duplicate_ppm) {
            self.send(project, span.clone());
        }
        if self.rng.chance(self.options.late_ppm) {
            let due = self.manifest.sent + self.rng.range(1, 2_000);
            self.late.push_back((due, project, span));
        } else {
            self.send(project, span);
        }
        while let Some((due, _, _)) = self.late.front()
            && *due <= self.manifest.sent
        {
            let Some((_, project, span)) = self.late.pop_front() else {
                break;
            };
            self.send(project, span);
        }
    }

    fn send(&mut self, project: usize, span: Span) {
        self.manifest.sent += 1;
        let batch = self
            .batches
            .get_mut(project)
            .expect("BUG: project out of range");
        batch.push(span);
        if batch.len() >= self.options.batch {
            self.flush(project);
        }
    }

    fn flush(&mut self, project: usize) {
        let batch = self
            .batches
            .get_mut(project)
            .expect("BUG: project out of range");
        if batch.is_empty() {
            return;
        }
        let body = export_request(batch);
        self.ready.push_back(Request {
            project,
            body,
            spans: batch.len(),
        });
        batch.clear();
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

impl Iterator for Generator {
    type Item = Request;

    fn next(&mut self) -> Option<Request> {
        while self.ready.is_empty() && self.step() {}
        if self.ready.is_empty() {
            while let Some((_, project, span)) = self.late.pop_front() {
                self.send(project, span);
            }
            for project in 0..self.options.projects {
                self.flush(project);
            }
        }
        self.ready.pop_front()
    }
}

#[cfg(test)]
mod tests;
