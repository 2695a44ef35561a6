//! The right answers, written down while generating: from what was made, never from what was sent.

use std::collections::BTreeMap;

/// A planted text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needle {
    /// [`super::trace::NEEDLE_RARE`]
    Rare,
    /// [`super::trace::NEEDLE_MEDIUM`]
    Medium,
    /// [`super::trace::NEEDLE_COMMON`]
    Common,
    /// [`super::trace::NEEDLE_PHRASE`]
    Phrase,
}

/// What is true of one trace.
#[derive(Clone, Debug, Default)]
pub struct TraceFacts {
    /// Index of the project.
    pub project: usize,
    /// Lower-case hex.
    pub trace_id: String,
    /// Start of the root, which is the earliest span.
    pub start_ns: u64,
    /// Distinct spans.
    pub spans: usize,
    /// Distinct spans with an error status.
    pub error_spans: usize,
    /// Whether the root has an error status.
    pub root_error: bool,
    /// `metadata.env`
    pub env: &'static str,
    /// `metadata.region`
    pub region: &'static str,
    /// `metadata.workflow`
    pub workflow: String,
    /// `metadata.user`
    pub user: String,
    /// `metadata.session`
    pub session: String,
    /// One entry per span and needle.
    pub needles: Vec<Needle>,
}

/// What is true of the workload.
#[derive(Debug, Default)]
pub struct Manifest {
    /// Every trace, in the order in which they start.
    pub traces: Vec<TraceFacts>,
    /// Bytes of the distinct, complete spans as OTLP protobuf, one request a trace.
    pub proto_bytes: u64,
    /// The same as OTLP/JSON.
    pub json_bytes: u64,
    /// Spans sent: distinct ones, duplicates and start events.
    pub sent: u64,
}

impl Manifest {
    /// Distinct spans.
    pub fn spans(&self) -> usize {
        self.traces.iter().map(|t| t.spans).sum()
    }

    /// Distinct spans with an error status.
    pub fn error_spans(&self) -> usize {
        self.traces.iter().map(|t| t.error_spans).sum()
    }

    /// Traces of a project that pass, newest first; equal starts by id, descending.
    pub fn newest(&self, project: usize, pass: impl Fn(&TraceFacts) -> bool) -> Vec<&TraceFacts> {
        let mut found: Vec<_> = self
            .traces
            .iter()
            .filter(|t| t.project == project && pass(t))
            .collect();
        found.sort_by(|a, b| (b.start_ns, &b.trace_id).cmp(&(a.start_ns, &a.trace_id)));
        found
    }

    /// Traces, spans and error spans per project.
    pub fn per_project(&self) -> BTreeMap<usize, (usize, usize, usize)> {
        let mut counts = BTreeMap::new();
        for trace in &self.traces {
            let count: &mut (usize, usize, usize) = counts.entry(trace.project).or_default();
            count.0 += 1;
            count.1 += trace.spans;
            count.2 += trace.error_spans;
        }
        counts
    }

    /// Traces per `metadata.env` of a project.
    pub fn per_env(&self, project: usize) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for trace in self.traces.iter().filter(|t| t.project == project) {
            *counts.entry(trace.env).or_default() += 1;
        }
        counts
    }

    /// Spans that hold a needle.
    pub fn needle_spans(&self, needle: Needle) -> usize {
        self.traces
            .iter()
            .flat_map(|t| &t.needles)
            .filter(|n| **n == needle)
            .count()
    }
}
