//! Group commit: one write, one sync, then publish, then answer (I-1).

use obsrv_wal::log::{Durable, LogError};

use super::record;
use super::{Engine, Hidden, IngestError, State, Work};
use crate::boundary::RecordLog;
use crate::row::Lsn;

/// What one record changes.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) lsn: Lsn,
    pub(super) work: Work,
    /// Of a delete, once it is published.
    pub(super) hidden: Hidden,
}

impl Engine {
    /// Commits the next group, unless one before it waits for the disk to read. Returns how many pieces of work were
    /// answered.
    pub fn commit_step(&self) -> usize {
        let before = self.try_held();
        if self.is_held() {
            return before + self.refuse_queued();
        }
        let group = self.queue.drain();
        let taken = group.len();
        if taken == 0 {
            return before;
        }
        let _running = self.progress.begin();
        let Ok((committed, durable)) = self.make_durable(group) else {
            return before + taken;
        };
        let refused = taken - committed.len();
        before + refused + self.publish_all(durable, committed)
    }

    /// Appends and syncs a group. On failure everyone in it is answered.
    pub(super) fn make_durable(&self, group: Vec<Work>) -> Result<(Vec<Committed>, Durable), ()> {
        let mut log = self.log.lock();
        let mut committed = Vec::with_capacity(group.len());
        let has_room = self.space_step();
        for work in group {
            if !has_room && self.must_wait(&work) {
                work.finish(Err(IngestError::NoSpace));
                continue;
            }
            match append(&mut **log, &work) {
                Ok(lsn) => committed.push(Committed {
                    lsn,
                    work,
                    hidden: Hidden::default(),
                }),
                Err(LogError::TooLarge { .. }) => work.finish(Err(IngestError::TooLarge)),
                Err(error) => {
                    let outcome = self.refuse(&error);
                    work.finish(Err(outcome));
                }
            }
        }
        #[cfg(feature = "mutants")]
        self.publish_early(&mut committed);
        match log.sync() {
            Ok(durable) => {
                // With nothing of the group stored, the disk is as full as it was.
                if !committed.is_empty() {
                    self.full.store(false, std::sync::atomic::Ordering::Release);
                }
                drop(log);
                Ok((committed, durable))
            }
            Err(error) => {
                drop(log);
                let outcome = self.refuse(&error);
                for c in committed {
                    c.work.finish(Err(outcome));
                }
                Err(())
            }
        }
    }

    /// Writes down how far the log is durable, if nothing does yet: to be called when no work came
    /// for a while. From then on damage to the last group stops an open instead of being cut as a
    /// torn tail. False when there was nothing to do.
    pub fn witness_step(&self) -> bool {
        let mut log = self.log.lock();
        if !log.wants_watermark() {
            return false;
        }
        // The thread that commits waits for it.
        let _running = self.progress.begin();
        match log.watermark() {
            Ok(_) => true,
            // Nobody was refused anything: the next group finds out and says so.
            Err(LogError::NoSpace) => false,
            Err(error) => {
                drop(log);
                self.fail("log", &error);
                false
            }
        }
    }

    /// The same for the manifest, which also says how far the log goes, so that a log that lost its end, or an old copy
    /// of one, is found: to be called when there is nothing to flush or to merge.
    pub fn witness_catalog_step(&self) {
        if self.state() == State::Failed {
            return;
        }
        let logged = self.logged();
        let witnessed = self.catalog.lock().witness(logged);
        match witnessed {
            Ok(()) | Err(LogError::NoSpace | LogError::Poisoned) => {}
            Err(error) => self.fail("manifest", &error),
        }
    }

    /// The last record that is durable for certain: what is published is (I-2), whether or not anybody has looked.
    pub(super) fn logged(&self) -> Lsn {
        self.writer.lock().visible
    }

    #[cfg(feature = "mutants")]
    fn publish_early(&self, committed: &mut [Committed]) {
        let last = committed.last().map_or(0, |c| c.lsn);
        if self.planted.has(crate::Bug::PublishBeforeSync) {
            // What it could not publish is of no interest: the bug is that it was tried.
            drop(self.publish(&Durable::forged(last), committed));
        }
    }

    /// What a log error means for those who wait, and for the engine.
    fn refuse(&self, error: &LogError) -> IngestError {
        if matches!(error, LogError::NoSpace) {
            self.full.store(true, std::sync::atomic::Ordering::Release);
            return IngestError::NoSpace;
        }
        self.fail("log", error);
        IngestError::OutcomeUnknown
    }
}

fn append(log: &mut dyn RecordLog, work: &Work) -> Result<Lsn, LogError> {
    let position = match work {
        Work::Ingest {
            submission, side, ..
        } => {
            let head = record::ingest_head(&submission.envelope, *side);
            let body: &[u8] = if side.is_some() {
                &[]
            } else {
                &submission.body
            };
            log.append(record::KIND_INGEST, &[&head, body])
        }
        Work::Control { body, .. } => log.append(record::KIND_CONTROL, &[body]),
        Work::Delete {
            project, deletion, ..
        } => {
            let (kind, bytes) = record::delete(*project, deletion);
            log.append(kind, &[&bytes])
        }
        Work::Price {
            project,
            trace_id,
            spans,
            ..
        } => {
            let bytes = record::price(*project, trace_id, spans);
            log.append(record::KIND_PRICE, &[&bytes])
        }
        Work::Map {
            project,
            table,
            rows,
            ..
        } => {
            let bytes = record::map(*project, *table, rows);
            log.append(record::KIND_MAP, &[&bytes])
        }
    };
    Ok(position?.sequence)
}
