//! What was deleted leaves the disk.
//!
//! A delete hides rows at once; merges leave them out, but nothing merges a day that is over again. So
//! somebody who has a clock (D-5) asks for a purge from time to time: the log goes on in a new file, what
//! is in memory is flushed, and each segment that has dead rows by then is written anew without them.

use std::collections::BTreeSet;

use obsrv_wal::log::LogError;

use super::Engine;
use crate::row::Lsn;

/// Why nothing was begun.
#[derive(Debug, thiserror::Error)]
#[error("the log cannot go on in a new file")]
pub struct PurgeError(#[from] pub LogError);

/// What is left of a purge.
#[derive(Debug, Default)]
pub(super) struct Purge {
    /// Up to which record all must be in segments first.
    through: Option<Lsn>,
    /// Segments to be written anew.
    segments: BTreeSet<u64>,
}

impl Purge {
    fn left(&self) -> u64 {
        u64::try_from(self.segments.len()).unwrap_or(u64::MAX) + u64::from(self.through.is_some())
    }

    /// Notes that a merge took `inputs`, and whether its output has rows that died meanwhile.
    pub(super) fn merged(&mut self, inputs: &[u64], output: u64, has_dead: bool) {
        let mut asked = false;
        for input in inputs {
            asked |= self.segments.remove(input);
        }
        if asked && has_dead {
            self.segments.insert(output);
        }
    }
}

impl Engine {
    /// Begins to take off the disk what was deleted or superseded up to now. Flush and merges do it, one
    /// segment after the other, after the merges that are due; [`Engine::purge_left`] says how far they are.
    ///
    /// # Errors
    /// The log could not go on in a new file. `NoSpace`: nothing was begun, and it may be tried again.
    pub fn purge(&self) -> Result<(), PurgeError> {
        let turned = self.log.lock().turn();
        if let Err(error) = turned {
            if !matches!(error, LogError::NoSpace) {
                self.fail("log", &error);
            }
            return Err(error.into());
        }
        let through = self.seal();
        self.purge.lock().through = Some(through);
        self.wake_background();
        Ok(())
    }

    /// Steps of a purge that are to be done: a segment each, and one until all is flushed.
    pub fn purge_left(&self) -> u64 {
        self.purge.lock().left()
    }

    /// Looks which segments a purge wants written anew, once all before it is in segments.
    pub(super) fn purge_step(&self) {
        let watermark = {
            let catalog = self.catalog.lock();
            let state = catalog.state();
            let mut purge = self.purge.lock();
            if purge.through.is_none_or(|lsn| lsn > state.watermark) {
                return;
            }
            purge.through = None;
            let dead = state.dead.iter().filter(|(_, rows)| !rows.is_empty());
            let segments = dead.map(|((segment, _, _), _)| *segment);
            purge.segments.extend(segments);
            state.watermark
        };
        // Where nothing was flushed since the log turned, nobody else does.
        self.clean_after_flush(watermark, &[]);
    }

    /// The segments that a purge wants written anew. One that is damaged stays as it is: `repair` is for it.
    pub(super) fn to_purge(&self, damaged: &BTreeSet<u64>) -> BTreeSet<u64> {
        let mut purge = self.purge.lock();
        for segment in damaged {
            if purge.segments.remove(segment) {
                tracing::warn!(segment, "purge leaves a damaged segment as it is");
            }
        }
        purge.segments.clone()
    }
}
