//! What the rest of the process does while a call to the disk takes long.
//!
//! On another thread, while the one that called waits: it asks for things and reads, as the threads of the network do, and
//! commits while a flush or a merge waits. Whatever of that is kept waiting by the call fails the run. The threads take
//! turns, so a seed still gives one history.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use obsrv_engine::engine::{Engine, IngestError, State};
use obsrv_engine::io::FileKind;
use obsrv_engine::row::ProjectId;
use obsrv_wal::sim::{Op, Wait};
use parking_lot::Mutex;

use super::check;
use super::cover::{Ill, Step};
use super::desk::Desk;

/// Longer than anything here takes, on any machine: who is not done by then waits for the call.
const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Debug)]
pub(super) struct Outside {
    desk: Arc<Desk>,
    engine: Mutex<Weak<Engine>>,
    /// What befalls the machine while a call is stuck; nothing: it returns.
    end: Mutex<Option<Ill>>,
    /// What was wrong.
    wrong: Mutex<Option<String>>,
}

impl Outside {
    /// Is there whenever a call takes long.
    pub(super) fn beside(desk: Arc<Desk>) -> Arc<Self> {
        let outside = Arc::new(Self {
            engine: Mutex::new(Weak::new()),
            end: Mutex::new(None),
            wrong: Mutex::new(None),
            desk,
        });
        let (disk, weak) = (&outside.desk.disk, Arc::downgrade(&outside));
        disk.meanwhile(Some(Arc::new(move |wait| {
            if let Some(outside) = weak.upgrade() {
                outside.during(wait);
            }
        })));
        outside
    }

    pub(super) fn attach(&self, engine: &Arc<Engine>) {
        *self.engine.lock() = Arc::downgrade(engine);
    }

    pub(super) fn end_stuck(&self, ill: Option<Ill>) {
        *self.end.lock() = ill;
    }

    /// What was wrong since the last time.
    pub(super) fn take_wrong(&self) -> Option<String> {
        self.wrong.lock().take()
    }

    fn during(&self, wait: Wait) {
        let engine = self.engine.lock().upgrade();
        if let Some(engine) = engine {
            let (desk, step) = (Arc::clone(&self.desk), self.desk.step());
            let (done, outcome) = channel();
            std::thread::spawn(move || {
                // Nobody waits any more only if the run has failed.
                let _ = done.send(go_on(&desk, &engine, step, wait));
            });
            let outcome = match outcome.recv_timeout(PATIENCE) {
                Ok(outcome) => outcome,
                Err(RecvTimeoutError::Timeout) => Err("somebody waits for the call".into()),
                Err(RecvTimeoutError::Disconnected) => Err("a thread panicked".into()),
            };
            if let Err(what) = outcome {
                let said = format!("while {wait:?} in {step:?}: {what}");
                self.wrong.lock().get_or_insert(said);
            }
        }
        match *self.end.lock() {
            Some(Ill::Kill) if wait.is_stuck => self.desk.disk.kill(),
            Some(Ill::PowerLoss) if wait.is_stuck => self.desk.disk.crash(),
            _ => {}
        }
    }
}

fn go_on(desk: &Desk, engine: &Engine, step: Step, wait: Wait) -> Result<(), String> {
    let commits = engine.commits();
    let runs = commits.begun - commits.ended;
    // Of what is witnessed only the log is the commit thread's.
    if step != Step::Witness && runs != u64::from(step == Step::Commit) {
        return Err(format!("{commits:?}"));
    }
    if engine.state() == State::Failed {
        return Ok(());
    }
    // Whether there is room is told at once, whatever waits.
    match engine.admit(ProjectId(1)) {
        Ok(()) | Err(IngestError::Overloaded(_)) => {}
        Err(error) => return Err(error.to_string()),
    }
    // What a record changes, and the spans of a run that somebody asks for, may have to be read from a segment first:
    // nobody sees the rows before that.
    let is_background = matches!(step, Step::Flush | Step::Compact);
    let reads = [Op::Open, Op::Len, Op::ReadAt];
    let is_segment = wait.point.kind == Some(FileKind::Segment);
    if is_segment && (reads.contains(&wait.point.op) || !is_background) {
        return Ok(());
    }
    // Refused or not, it is answered without the disk, but for a body that needs a file of its own.
    desk.ask_ingest(engine);
    if is_background && (is_segment || wait.point.kind == Some(FileKind::Manifest)) {
        desk.during(Step::Commit, || engine.commit_step());
    }
    let seen = if wait.is_stuck {
        check::visible(desk, engine)
    } else {
        Ok(())
    };
    // Its own calls may be those during which the machine goes down.
    if desk.disk.is_down() {
        return Ok(());
    }
    seen.map_err(|finding| finding.to_string())
}
