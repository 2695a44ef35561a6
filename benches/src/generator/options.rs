//! What to make: the profiles that figures are stated for.

/// What to make.
#[derive(Clone, Debug)]
pub struct Options {
    /// Same seed, same workload.
    pub seed: u64,
    /// Distinct spans, exactly; of logs lines, of metrics points.
    pub spans: u64,
    /// Projects.
    pub projects: usize,
    /// Spans or lines in a request. An export of metrics has the points of its resource.
    pub batch: usize,
    /// Interleaved traces that are open at any time.
    pub open: usize,
    /// Every other project sends whole runs when they end; else all send spans as they end.
    pub whole_runs: bool,
    /// 1% of spans with 64 KiB to 1 MiB of payload, 0.01% with 8 MiB.
    pub heavy_tail: bool,
    /// Failing spans per million.
    pub error_ppm: u32,
    /// Spans sent a second time, per million.
    pub duplicate_ppm: u32,
    /// Spans held back for a minute to six hours of the workload's time, per million.
    pub late_ppm: u32,
    /// Spans sent as a start event first, per million.
    pub pair_ppm: u32,
    /// When the last trace starts.
    pub end_ns: u64,
    /// From the first trace's start to the last one's.
    pub window_ns: u64,
}

/// 2026-11-01T00:00:00Z.
pub(super) const END_NS: u64 = 1_793_491_200_000_000_000;
/// A day.
pub const DAY_NS: u64 = 86_400_000_000_000;

impl Options {
    /// The profile of the goals.
    pub fn core(seed: u64, spans: u64) -> Self {
        Self {
            seed,
            spans,
            projects: 24,
            batch: 64,
            open: 500,
            whole_runs: true,
            heavy_tail: false,
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

    /// `core` with the heavy payload tail.
    pub fn tail(seed: u64, spans: u64) -> Self {
        Self {
            heavy_tail: true,
            ..Self::core(seed, spans)
        }
    }

    /// Log lines in the projects and the window of `core`, as many a request as SDKs send.
    pub fn logs(seed: u64, lines: u64) -> Self {
        Self {
            batch: 512,
            ..Self::core(seed, lines)
        }
    }

    /// Metric points in the projects and the window of `core`.
    pub fn points(seed: u64, points: u64) -> Self {
        Self::core(seed, points)
    }

    /// `core` over so many projects, all of them interleaved. Requests are small, since at any
    /// time every project waits with a part of one.
    pub fn tenants(seed: u64, spans: u64, projects: usize) -> Self {
        Self {
            projects,
            batch: if projects > 100 { 8 } else { 64 },
            whole_runs: false,
            ..Self::core(seed, spans)
        }
    }
}
