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
        let last = turned.inspect_err(|error| {
            if !matches!(error, LogError::NoSpace) {
                self.fail("log", error);
            }
        })?;
        // Records that are durable and not yet in memory are waited for: the log's old files hold them.
        self.purge.lock().through = Some(last.sequence);
        self.freeze();
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
            let Some(through) = purge.through else {
                return;
            };
            if through > state.watermark {
                drop((purge, catalog));
                return self.freeze_late(through);
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

    /// Freezes a record that came into memory after the purge had frozen the others.
    fn freeze_late(&self, through: Lsn) {
        let frozen = {
            let version = self.version.read();
            let memtables = version.memtables().iter().rev().skip(1);
            memtables.map(|m| m.last_lsn()).max().unwrap_or(0)
        };
        if frozen < through {
            self.freeze();
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use obsrv_wal::io::{Disk, FileKind};
    use obsrv_wal::sim::{SimDisk, SimRng};

    use super::super::check::files_with;
    use super::super::{Engine, Envelope, InterpretError, Interpreter, Options, Submission};
    use crate::doc::DocWriter;
    use crate::row::{Event, ProjectId, RowKey, Table};

    const PROJECT: ProjectId = ProjectId(1);

    /// Each body is the name of a trace of one span.
    #[derive(Debug)]
    struct Names;

    impl Interpreter for Names {
        fn interpret(&self, _: &Envelope, body: &[u8]) -> Result<Vec<Event>, InterpretError> {
            let name = String::from_utf8_lossy(body);
            let mut doc = DocWriter::new();
            let open = doc.begin_map();
            doc.key("name");
            doc.str(&name);
            doc.end(open);
            Ok(vec![Event {
                table: Table::Spans,
                key: RowKey {
                    trace_id: (*name).into(),
                    id: "1".into(),
                },
                start_ns: Some(1),
                end_ns: Some(2),
                version: 1,
                partial: false,
                doc: doc.finish().into(),
            }])
        }
    }

    fn store(engine: &Engine, name: &'static str) {
        let body = Bytes::from_static(name.as_bytes());
        let submission = Submission {
            envelope: Envelope {
                project: PROJECT.0,
                ..Envelope::default()
            },
            events: Names.interpret(&Envelope::default(), &body).unwrap(),
            body,
        };
        engine.submit(submission, Box::new(|done| assert!(done.is_ok())));
    }

    #[test]
    fn a_record_on_its_way_into_memory_does_not_keep_the_log_from_being_cut() {
        let disk: Arc<dyn Disk> = SimDisk::new(1).handle();
        let rng = SimRng::new(1);
        let engine = Engine::open(
            Arc::clone(&disk),
            &rng,
            Options::for_memory(128 << 20),
            &Names,
        )
        .unwrap();
        store(&engine, "needle-1");
        engine.commit_step();
        engine.delete_trace(PROJECT, "needle-1", Box::new(|done| assert!(done.is_ok())));
        engine.commit_step();
        // Durable when the purge begins, and in memory only when the purge has looked there.
        store(&engine, "other");
        let group = engine.queue.drain();
        let (mut committed, durable) = engine.make_durable(group).unwrap();
        engine.purge().unwrap();
        while engine.flush_step().unwrap() {}
        engine.publish(&durable, &mut committed).unwrap();
        for _ in 0..4 {
            engine.compact_step().unwrap();
            engine.flush_step().unwrap();
        }
        assert_eq!(engine.purge_left(), 0);
        let found = files_with(&disk, b"needle-1").unwrap();
        assert!(
            found.iter().all(|file| file.kind != FileKind::Wal),
            "{found:?}"
        );
    }
}
