//! Runs a workload on the engine and on the model, and holds every answer against the other.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use obsrv_engine::engine::{
    Deletion, Done, Engine, Envelope, FROZEN_MAX, IngestError, Receipt, Snapshot, State,
    Submission, check,
};
use obsrv_engine::io::FileKind;
use obsrv_engine::query::ast::Filter;
use obsrv_engine::query::{Order, Request};
use obsrv_engine::row::{Lsn, ProjectId, Table};
use obsrv_engine::source::Column;
use obsrv_wal::sim::{FaultPlan, SimDisk, SimRng};

use super::asking::{Walk, ask, read_trace};
use super::coverage::Coverage;
use super::make::{Case, Op};
use super::meanwhile::{BusyDisk, Meanwhile};
use super::questions::Question;
use super::state::{Model, View};
use super::value::{Fact, Reader, body_of};

/// Runs a case to its end. The error says after which step what was wrong.
pub fn run(case: &Case) -> Result<Coverage, String> {
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let mut machine = Machine::new(case)?;
        for (n, op) in case.ops.iter().enumerate() {
            machine
                .step(op)
                .map_err(|what| format!("step {n} {op:?}:\n{what}"))?;
        }
        Ok(machine.coverage)
    }));
    ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panic: {}", text.unwrap_or("without words")))
    })
}

enum Asked {
    Store { project: u64, facts: Vec<Fact> },
    Delete { project: u64, deletion: Deletion },
}

type Answers = Arc<Mutex<Vec<(u64, Result<Receipt, IngestError>)>>>;

struct Machine<'a> {
    case: &'a Case,
    disk: SimDisk,
    meanwhile: Meanwhile,
    rng: SimRng,
    engine: Option<Arc<Engine>>,
    model: Model,
    serial: u64,
    pending: BTreeMap<u64, Asked>,
    answers: Answers,
    held: Option<(Snapshot, View)>,
    walk: Option<Walk>,
    coverage: Coverage,
}

impl<'a> Machine<'a> {
    fn new(case: &'a Case) -> Result<Self, String> {
        let mut machine = Self {
            disk: SimDisk::new(case.seed),
            meanwhile: Meanwhile::default(),
            rng: SimRng::new(case.seed),
            engine: None,
            model: Model::default(),
            serial: 0,
            pending: BTreeMap::new(),
            answers: Answers::default(),
            held: None,
            walk: None,
            coverage: Coverage::default(),
            case,
        };
        machine.open()?;
        Ok(machine)
    }

    fn open(&mut self) -> Result<(), String> {
        let options = self.case.options.clone();
        let disk = Arc::new(BusyDisk {
            disk: self.disk.handle(),
            meanwhile: self.meanwhile.clone(),
        });
        let engine = Engine::open(disk, &self.rng, options, &Reader);
        self.engine = Some(engine.map_err(|e| format!("does not open: {}", chain(&e)))?);
        Ok(())
    }

    fn engine(&self) -> Arc<Engine> {
        Arc::clone(self.engine.as_ref().expect("opened by every step"))
    }

    fn step(&mut self, op: &Op) -> Result<(), String> {
        match op {
            Op::Record { project, facts } => self.submit(*project, facts.clone())?,
            Op::Bulk(bulk) => self.submit(bulk.project, bulk.facts())?,
            Op::Delete { project, deletion } => self.delete(*project, deletion),
            Op::Commit => self.commit()?,
            Op::Freeze => self.engine().freeze(),
            Op::Flush => self.flush()?,
            Op::Compact => {
                let done = self.engine().compact_step().map_err(|e| chain(&e))?;
                self.coverage.note_many("compactions", usize::from(done));
            }
            Op::Stop => self.stop()?,
            Op::CutPower => self.cut(&SimDisk::cut_power, "power cuts")?,
            Op::Kill => self.cut(&SimDisk::kill, "kills")?,
            Op::CutFlush(calls) => {
                self.engine().freeze();
                self.crash_in(*calls, &|engine| drop(engine.flush_step()))?;
            }
            Op::CutCompact(calls) => {
                self.crash_in(*calls, &|engine| drop(engine.compact_step()))?;
            }
            Op::CutCommit {
                project,
                facts,
                calls,
            } => self.cut_commit(*project, facts, *calls)?,
            Op::Ask(question) => {
                let view = View::of(&self.model);
                self.coverage.note("questions");
                ask(
                    &self.engine().snapshot(),
                    &view,
                    question,
                    &mut self.coverage,
                )?;
            }
            Op::During {
                flush,
                other,
                records,
                delete,
            } => self.during((*flush, *other), records, delete.as_ref())?,
            Op::ReadAll => self.read_all()?,
            Op::Hold => {
                self.held = Some((self.engine().snapshot(), View::of(&self.model)));
            }
            Op::AskHeld(question) => {
                if let Some((snapshot, view)) = &self.held {
                    ask(snapshot, view, question, &mut self.coverage)?;
                    let since = self.model.lsn - view.lsn;
                    self.coverage
                        .note_many("old snapshots", usize::from(since > 0));
                }
            }
            Op::Walk(question) => {
                let view = View::of(&self.model);
                self.walk = Walk::start(&self.engine().snapshot(), &view, question)?;
            }
            Op::Turn => {
                if let Some(walk) = self.walk.take() {
                    let view = View::of(&self.model);
                    let snapshot = self.engine().snapshot();
                    self.walk = walk.turn(&snapshot, &view, &mut self.coverage)?;
                }
            }
        }
        match self.engine().state() {
            State::Ready => Ok(()),
            state => Err(format!("the engine is {state:?}")),
        }
    }

    fn note_answer(&self, serial: u64) -> Done {
        let answers = Arc::clone(&self.answers);
        Box::new(move |outcome| {
            let mut answers = answers.lock().expect("no panic under this lock");
            answers.push((serial, outcome));
        })
    }

    fn submit(&mut self, project: u64, facts: Vec<Fact>) -> Result<(), String> {
        if facts.is_empty() {
            return Ok(());
        }
        // One before the most, from which on whoever took more than a part is refused.
        while self.engine().stats().frozen + 1 >= u64::try_from(FROZEN_MAX).unwrap_or(0) {
            self.flush()?;
        }
        let (submission, done) = self.prepare(project, facts);
        self.engine().submit(submission, done);
        Ok(())
    }

    fn prepare(&mut self, project: u64, facts: Vec<Fact>) -> (Submission, Done) {
        self.serial += 1;
        let envelope = Envelope {
            project,
            ..Envelope::default()
        };
        let submission = Submission {
            envelope,
            body: body_of(&facts),
            events: facts.iter().map(Fact::event).collect(),
        };
        let asked = Asked::Store { project, facts };
        self.pending.insert(self.serial, asked);
        (submission, self.note_answer(self.serial))
    }

    fn prepare_delete(&mut self, project: u64, deletion: &Deletion) -> (u64, Deletion, Done) {
        self.serial += 1;
        let deletion = deletion.clone();
        let asked = Asked::Delete {
            project,
            deletion: deletion.clone(),
        };
        self.pending.insert(self.serial, asked);
        (project, deletion, self.note_answer(self.serial))
    }

    fn delete(&mut self, project: u64, deletion: &Deletion) {
        let (project, deletion, done) = self.prepare_delete(project, deletion);
        self.engine().delete(ProjectId(project), deletion, done);
    }

    fn commit(&mut self) -> Result<(), String> {
        while self.engine().commit_step() > 0 {}
        self.take_answers()?;
        match self.pending.len() {
            0 => Ok(()),
            n => Err(format!("{n} requests were not answered")),
        }
    }

    /// What was answered, in the order of the log.
    fn take_answers(&mut self) -> Result<(), String> {
        let answers = Arc::clone(&self.answers);
        let mut answers = answers.lock().expect("no panic under this lock");
        let mut stored: BTreeMap<Lsn, Asked> = BTreeMap::new();
        for (serial, outcome) in answers.drain(..) {
            let asked = self.pending.remove(&serial);
            let asked = asked.ok_or_else(|| format!("request {serial} answered twice"))?;
            let lsn = outcome.map_err(|e| format!("request {serial}: {e}"))?.lsn;
            if lsn <= self.model.lsn || stored.insert(lsn, asked).is_some() {
                return Err(format!("request {serial} got the used LSN {lsn}"));
            }
        }
        drop(answers);
        for (lsn, asked) in stored {
            self.apply(lsn, asked);
        }
        Ok(())
    }

    fn apply(&mut self, lsn: Lsn, asked: Asked) {
        match asked {
            Asked::Store { project, facts } => {
                self.coverage.note_many("facts", facts.len());
                self.model.store(lsn, project, &facts);
            }
            Asked::Delete { project, deletion } => {
                let what = match deletion {
                    Deletion::Trace(_) => "deletes",
                    Deletion::Run(_) => "deletes of runs",
                    Deletion::Logs(_) | Deletion::Points(_) | Deletion::Scores(_) => {
                        "deletes of rows"
                    }
                };
                let rows = self.model.delete(lsn, project, &deletion);
                self.coverage.note_many(what, usize::from(rows > 0));
            }
        }
    }

    fn flush(&mut self) -> Result<(), String> {
        let done = self.engine().flush_step().map_err(|e| chain(&e))?;
        self.coverage.note_many("flushes", usize::from(done));
        Ok(())
    }

    /// A clean stop: all is committed and flushed.
    fn stop(&mut self) -> Result<(), String> {
        self.commit()?;
        let engine = self.engine();
        engine.freeze();
        while engine.flush_step().map_err(|e| chain(&e))? {}
        drop(engine);
        self.cut(&SimDisk::kill, "stops")
    }

    /// The engine ends as it is; nothing that waits is stored.
    fn cut(&mut self, end: &dyn Fn(&SimDisk), what: &'static str) -> Result<(), String> {
        self.held = None;
        self.engine = None;
        self.pending.clear();
        end(&self.disk);
        self.disk.restart();
        self.disk.set_plan(FaultPlan::default());
        self.coverage.note(what);
        self.open()
    }

    /// What the engine's other threads do while one of them writes a segment.
    fn during(
        &mut self,
        (flush, other): (bool, bool),
        records: &[(u64, Vec<Fact>)],
        delete: Option<&(u64, Deletion)>,
    ) -> Result<(), String> {
        self.commit()?;
        // Room for what is frozen meanwhile.
        while self.engine().stats().frozen > 1 {
            self.flush()?;
        }
        if flush {
            self.engine().freeze();
        }
        let engine = self.engine();
        let queued: Vec<_> = records
            .iter()
            .map(|(project, facts)| self.prepare(*project, facts.clone()))
            .collect();
        let delete = delete.map(|(project, deletion)| self.prepare_delete(*project, deletion));
        let kept: Arc<Mutex<Option<Snapshot>>> = Arc::default();
        let (keep, busy) = (Arc::clone(&kept), Arc::clone(&engine));
        self.meanwhile.plan(Box::new(move || {
            for (submission, done) in queued {
                busy.submit(submission, done);
            }
            if let Some((project, deletion, done)) = delete {
                busy.delete(ProjectId(project), deletion, done);
            }
            while busy.commit_step() > 0 {}
            if other && flush {
                drop(busy.compact_step());
            } else if other {
                busy.freeze();
                drop(busy.flush_step());
            }
            *keep.lock().expect("no panic under this lock") = Some(busy.snapshot());
        }));
        if flush {
            self.flush()?;
        } else {
            engine.compact_step().map_err(|e| chain(&e))?;
        }
        let late = self.meanwhile.happen();
        self.coverage
            .note_many("commits during a job", usize::from(!late));
        self.commit()?;
        let snapshot = kept.lock().expect("no panic under this lock").take();
        self.held = snapshot.map(|snapshot| (snapshot, View::of(&self.model)));
        Ok(())
    }

    fn crash_in(&mut self, calls: u64, job: &dyn Fn(&Engine)) -> Result<(), String> {
        let crash_at = Some(self.disk.ops() + 1 + calls);
        self.disk.set_plan(FaultPlan {
            crash_at,
            ..FaultPlan::default()
        });
        job(&self.engine());
        let hit = self.disk.is_down();
        let what = if hit {
            "crashes in a job"
        } else {
            "power cuts"
        };
        self.cut(&SimDisk::cut_power, what)
    }

    /// The fate of the one request is open; whether the log has grown tells it.
    fn cut_commit(&mut self, project: u64, facts: &[Fact], calls: u64) -> Result<(), String> {
        self.commit()?;
        self.submit(project, facts.to_vec())?;
        let before = self.model.lsn;
        self.crash_in(calls, &|engine| {
            engine.commit_step();
        })?;
        let lsn = self.engine().snapshot().lsn();
        let answered = std::mem::take(&mut *self.answers.lock().expect("no panic under this lock"));
        let acknowledged = answered.iter().any(|(_, outcome)| outcome.is_ok());
        if lsn == before + 1 {
            self.model.store(lsn, project, facts);
        } else if lsn != before || acknowledged {
            return Err(format!(
                "log at {lsn} after {before}, stored: {acknowledged}"
            ));
        }
        Ok(())
    }

    /// Every row by search and by trace, and nothing else.
    fn read_all(&mut self) -> Result<(), String> {
        let view = View::of(&self.model);
        let snapshot = self.engine().snapshot();
        if snapshot.lsn() != self.model.lsn {
            return Err(format!("snapshot {} of {}", snapshot.lsn(), self.model.lsn));
        }
        for project in 1..=self.case.projects + 1 {
            for table in Table::ALL {
                let request = Request {
                    order: Order {
                        column: Column::Id,
                        descending: false,
                    },
                    total: true,
                    ..Request::new(Filter::All, 1_000)
                };
                let question = Question {
                    project,
                    table,
                    request,
                };
                ask(&snapshot, &view, &question, &mut self.coverage)?;
            }
            let all = view.traces();
            let known = all
                .iter()
                .filter(|(p, _)| *p == project)
                .map(|(_, t)| t.as_str());
            for trace in known.chain(["absent", "t2", "Spur 京"]) {
                self.coverage.note("traces");
                read_trace(&snapshot, &self.model, project, trace)
                    .map_err(|what| format!("trace {trace} of {project}: {what}"))?;
            }
        }
        self.note_forms();
        Ok(())
    }

    fn note_forms(&mut self) {
        let disk = self.disk.handle();
        let files = self.disk.names();
        for file in files.iter().filter(|f| f.kind == FileKind::Segment) {
            let described = check::describe_segment(&disk, file.number).unwrap_or_default();
            for form in ["inline", "compact", "full"] {
                let lines = described.matches(&format!("form={form}")).count();
                self.coverage.note_many(form, lines);
            }
        }
    }
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}
