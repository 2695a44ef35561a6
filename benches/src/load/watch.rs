//! Whether background work keeps up: the server's own figures, once a second.
//!
//! Owns one thread, which ends when the watch is stopped or the server no longer answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::client::Client;

const EVERY: Duration = Duration::from_secs(1);
/// When a sustained rate is first looked at, and when again, in seconds.
const SUSTAINED: (u64, u64) = (120, 600);

/// So many segments wait for others to be merged with: none is behind.
const NO_MERGE_DUE: u64 = 7;

/// The server at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Seconds since the begin.
    pub second: u64,
    /// Spans accepted so far.
    pub spans: u64,
    /// Memtables that wait for their flush.
    pub frozen: u64,
    /// Bytes of the log, which is trimmed when they are flushed.
    pub wal_bytes: u64,
    /// Segments that wait for their first merge.
    pub fresh: u64,
    /// Live segments of all levels.
    pub segments: u64,
    /// Flushes so far.
    pub flushes: u64,
    /// Compactions so far.
    pub compactions: u64,
}

/// A running watch.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Sample>>,
}

impl Watch {
    /// Watches the server at this address.
    pub fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let begun = Instant::now();
            let mut samples = Vec::new();
            while !seen.load(Ordering::Relaxed) {
                let Ok(answer) = Client::connect(address).and_then(|mut c| c.get("/metrics", ""))
                else {
                    break;
                };
                let text = String::from_utf8_lossy(&answer.body);
                samples.push(read(&text, begun.elapsed().as_secs()));
                thread::park_timeout(EVERY);
            }
            samples
        });
        Self { stop, thread }
    }

    /// All that was seen.
    pub fn finish(self) -> Vec<Sample> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        self.thread.join().expect("BUG: the watch panicked")
    }
}

fn read(metrics: &str, second: u64) -> Sample {
    let value = |name: &str| {
        let line = metrics.lines().find_map(|l| l.strip_prefix(name));
        line.and_then(|n| n.trim().parse().ok()).unwrap_or_default()
    };
    Sample {
        second,
        spans: value("obsrv_items_accepted_total "),
        frozen: value("obsrv_frozen_memtables "),
        wal_bytes: value("obsrv_wal_bytes "),
        fresh: value("obsrv_fresh_segments "),
        segments: value("obsrv_segments "),
        flushes: value("obsrv_flushes_total "),
        compactions: value("obsrv_compactions_total "),
    }
}

/// Compares the end with minute 2: a rate is sustained only if nothing waits that did not wait
/// then. Of a run that is too short for it the comparison is from a fifth of it to its end, and
/// says so. Samples before and after `busy` seconds are left out.
pub fn sustained(samples: &[Sample], busy: u64) -> Option<(Sample, Sample, Verdict)> {
    let whole = busy >= SUSTAINED.1;
    let (from, to) = if whole {
        (SUSTAINED.0, busy)
    } else {
        (busy / 5, busy)
    };
    // A flush and the trimming of the log come in steps: both ends are the least of ten samples.
    let around = |second: u64| {
        let near = samples
            .iter()
            .filter(|s| s.second <= second && s.second + 10 > second);
        near.copied().reduce(|a, b| Sample {
            frozen: a.frozen.min(b.frozen),
            wal_bytes: a.wal_bytes.min(b.wal_bytes),
            fresh: a.fresh.min(b.fresh),
            segments: a.segments.min(b.segments),
            ..b
        })
    };
    let (early, late) = (around(from)?, around(to)?);
    let merges_hold = late.fresh <= early.fresh.max(NO_MERGE_DUE);
    let holds = late.frozen <= early.frozen && late.wal_bytes <= early.wal_bytes && merges_hold;
    let verdict = match (whole, holds) {
        (false, _) => Verdict::TooShort,
        (true, true) => Verdict::Sustained,
        (true, false) => Verdict::FallingBehind,
    };
    Some((early, late, verdict))
}

/// What the comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Ten minutes or more, and no more waits at the end than after two.
    Sustained,
    /// More waits.
    FallingBehind,
    /// Less than ten minutes.
    TooShort,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(wal_at_end: u64) -> Vec<Sample> {
        let at = |second| Sample {
            second,
            wal_bytes: if second < 300 { 100 } else { wal_at_end },
            ..Sample::default()
        };
        (0..=600).map(at).collect()
    }

    #[test]
    fn a_growing_log_is_not_sustained() {
        let verdict = |wal, busy| sustained(&samples(wal), busy).map(|s| s.2);
        assert_eq!(verdict(100, 600), Some(Verdict::Sustained));
        assert_eq!(verdict(101, 600), Some(Verdict::FallingBehind));
        assert_eq!(verdict(101, 599), Some(Verdict::TooShort));
        assert!(sustained(&[], 600).is_none());
    }

    #[test]
    fn merges_that_fall_behind_are_not_sustained() {
        let verdict = |before, after| {
            let mut all = samples(100);
            for sample in &mut all {
                sample.fresh = if sample.second < 300 { before } else { after };
            }
            sustained(&all, 600).map(|s| s.2)
        };
        assert_eq!(verdict(12, 12), Some(Verdict::Sustained));
        assert_eq!(verdict(12, 13), Some(Verdict::FallingBehind));
        // Fewer than are merged at once are no backlog.
        assert_eq!(verdict(0, NO_MERGE_DUE), Some(Verdict::Sustained));
        assert_eq!(verdict(0, NO_MERGE_DUE + 1), Some(Verdict::FallingBehind));
    }

    #[test]
    fn figures_are_read_from_the_text_format() {
        let text = "# TYPE obsrv_wal_bytes gauge\nobsrv_wal_bytes 12\nobsrv_segments 3\nobsrv_fresh_segments 2\n";
        let sample = read(text, 7);
        assert_eq!(
            (sample.wal_bytes, sample.segments, sample.second),
            (12, 3, 7)
        );
        assert_eq!((sample.frozen, sample.fresh), (0, 2));
    }
}
