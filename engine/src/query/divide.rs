//! A question that must read many documents reads them on every processor that no other question uses.
//!
//! Only the decision whether rows pass is divided: it takes nearly all of the time of a question about text, needs
//! nothing of what was decided before, and comes to the same however it is divided. With as many questions at once
//! as there are processors each has its own. What is written meanwhile shares them as ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, Builder, ScopedJoinHandle};
use std::time::Duration;

use roaring::RoaringBitmap;

use super::QueryError;
use super::meter::{Budget, Meter, Spent, len_u64};
use super::plan::Node;
use super::scan::decide;
use crate::source::{Visible, reading};

/// Rows for which another thread is worth its start, which takes as long as a few of them.
const ROWS_MIN: u64 = 256;
/// Most threads of one question beside its own.
const HELPERS_MAX: usize = 7;
/// How often is looked whether the caller gave up, while the others finish.
const PATIENCE: Duration = Duration::from_millis(10);

/// Processors, and how many of them no question uses.
#[derive(Debug)]
pub struct Processors {
    /// Below zero: more questions than processors.
    free: AtomicIsize,
}

impl Processors {
    /// So many.
    pub fn new(count: usize) -> Self {
        Self {
            free: AtomicIsize::new(isize::try_from(count).unwrap_or(isize::MAX)),
        }
    }

    /// One for a question, whether there is a free one or not.
    pub(super) fn enter(&self) -> Held<'_> {
        self.free.fetch_sub(1, Ordering::Relaxed);
        Held(self)
    }

    /// Without the processor that a question has, while it waits.
    pub fn without<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.free.fetch_add(1, Ordering::Relaxed);
        let waited = wait();
        self.free.fetch_sub(1, Ordering::Relaxed);
        waited
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> isize {
        self.free.load(Ordering::Relaxed)
    }

    pub(super) fn has_spare(&self) -> bool {
        self.free.load(Ordering::Relaxed) > 0
    }

    /// Another one, if it is free.
    fn spare(&self) -> Option<Held<'_>> {
        let less = |free: isize| (free > 0).then_some(free - 1);
        self.free
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .ok()
            .map(|_| Held(self))
    }
}

/// A processor until it is dropped.
#[derive(Debug)]
pub(super) struct Held<'p>(&'p Processors);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, Ordering::Relaxed);
    }
}

/// Those of the rows of one row group that pass, by their documents.
pub(super) fn deciding(
    node: &Node<'_>,
    visible: &Visible<'_>,
    doubt: &RoaringBitmap,
    meter: &mut Meter<'_>,
) -> Result<RoaringBitmap, QueryError> {
    let helpers = helpers(doubt.len(), meter);
    if helpers.is_empty() {
        return decide_each(node, visible, doubt, meter);
    }
    let parts = parts(doubt, len_u64(helpers.len()) + 1);
    let (first, others) = parts.split_first().expect("BUG: no rows for helpers");
    meter.explain.helpers = meter.explain.helpers.max(len_u64(others.len()));
    let (stop, read) = (AtomicBool::new(false), meter.share());
    let read_bytes_max = meter.read_bytes_max();
    let help = |part: &RoaringBitmap| -> Found {
        let stopped = || stop.load(Ordering::Relaxed);
        let budget = Budget {
            rows_max: u64::MAX,
            bytes_max: u64::MAX,
            read_bytes_max,
            cancelled: &stopped,
            processors: None,
            // The one that asked tells what all of them read.
            weigh: None,
        };
        let mut own = Meter::sharing(&budget, Arc::clone(&read));
        let passed = decide_each(node, visible, part, &mut own);
        Ok((passed?, own.into_spent()))
    };
    thread::scope(|scope| {
        let help = &help;
        // A thread that cannot be had leaves its part to this one.
        let start = |part| {
            let thread = Builder::new().name("obsrv-query".to_owned());
            let (tell, told) = mpsc::channel();
            // Who does not wait for it any more does not hear it.
            let run = move || drop(tell.send(help(part)));
            (
                part,
                thread
                    .spawn_scoped(scope, run)
                    .ok()
                    .map(|thread| (thread, told)),
            )
        };
        let started: Vec<_> = others.iter().map(start).collect();
        // However this ends, what is still under way then is for nothing.
        let _stop = StopOnDrop(&stop);
        let mut passed = decide_each(node, visible, first, meter)?;
        for (part, thread) in started {
            passed |= match thread {
                Some(helper) => joined(helper, meter)?,
                None => decide_each(node, visible, part, meter)?,
            };
        }
        Ok(passed)
    })
}

/// What a helper found, and what that took.
type Found = Result<(RoaringBitmap, Spent), QueryError>;

struct StopOnDrop<'s>(&'s AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a thread found, as soon as it says so; what it spent is added.
fn joined(
    (thread, told): (ScopedJoinHandle<'_, ()>, Receiver<Found>),
    meter: &mut Meter<'_>,
) -> Result<RoaringBitmap, QueryError> {
    loop {
        match told.recv_timeout(PATIENCE) {
            Ok(found) => {
                let (passed, spent) = found?;
                meter.add(spent);
                return Ok(passed);
            }
            Err(RecvTimeoutError::Timeout) => meter.check()?,
            Err(RecvTimeoutError::Disconnected) => {
                let ended = thread.join();
                std::panic::resume_unwind(ended.expect_err("BUG: a helper said nothing"));
            }
        }
    }
}

/// Free processors for so many rows, beside the one that the question has.
fn helpers<'a>(rows: u64, meter: &Meter<'a>) -> Vec<Held<'a>> {
    let Some(processors) = meter.processors() else {
        return Vec::new();
    };
    let wanted = usize::try_from(rows / ROWS_MIN).unwrap_or(usize::MAX);
    let wanted = wanted.saturating_sub(1).min(HELPERS_MAX);
    std::iter::from_fn(|| processors.spare())
        .take(wanted)
        .collect()
}

/// The rows in so many parts of the same size. Rows that follow each other stand in the same blocks, so each part is
/// one stretch.
fn parts(rows: &RoaringBitmap, count: u64) -> Vec<RoaringBitmap> {
    let size = rows.len().div_ceil(count).max(1);
    let mut parts: Vec<RoaringBitmap> = Vec::new();
    let mut left = rows.iter();
    while left.len() > 0 {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        parts.push(left.by_ref().take(size).collect());
    }
    parts
}

fn decide_each(
    node: &Node<'_>,
    visible: &Visible<'_>,
    rows: &RoaringBitmap,
    meter: &mut Meter<'_>,
) -> Result<RoaringBitmap, QueryError> {
    reading(visible.source, |reader| {
        let mut passed = RoaringBitmap::new();
        for row in rows {
            let core = reader.core(row)?;
            if decide(node, (visible, reader), row, &core, meter)? {
                passed.insert(row);
            }
        }
        Ok(passed)
    })
}
