//! Workloads from seeds.

use obsrv_engine::engine::{Deletion, Options, RowAt};
use obsrv_engine::query::ast::Filter;
use obsrv_engine::row::Table;
use obsrv_wal::sim::SimRng;

use super::bulk::Bulk;
use super::questions::{Question, question};
use super::value::Fact;
use super::vocabulary::pick;

/// What happens next. Plain data, so that a failing list of them can be cut down.
#[derive(Clone, Debug)]
pub enum Op {
    /// A request is queued.
    Record {
        project: u64,
        facts: Vec<Fact>,
    },
    /// A request about many spans is queued.
    Bulk(Bulk),
    /// A delete is queued.
    Delete {
        project: u64,
        deletion: Deletion,
    },
    /// Everything queued is committed.
    Commit,
    Freeze,
    Flush,
    Compact,
    /// Clean stop and start.
    Stop,
    /// What is queued is lost with the power.
    CutPower,
    /// The process is killed.
    Kill,
    /// The power goes during a flush, after so many calls.
    CutFlush(u64),
    /// The power goes during a compaction.
    CutCompact(u64),
    /// The power goes while one request is committed.
    CutCommit {
        project: u64,
        facts: Vec<Fact>,
        calls: u64,
    },
    /// A job during which a group is committed, a snapshot is kept and maybe the other job is done.
    During {
        flush: bool,
        other: bool,
        records: Vec<(u64, Vec<Fact>)>,
        delete: Option<(u64, Deletion)>,
    },
    /// A question to a new snapshot, with all its pages.
    Ask(Question),
    /// Everything is read back.
    ReadAll,
    /// A snapshot is kept.
    Hold,
    /// A question to the kept one.
    AskHeld(Question),
    /// The first page of a question.
    Walk(Question),
    /// The next page of it, from a new snapshot.
    Turn,
}

/// A workload.
#[derive(Clone, Debug)]
pub struct Case {
    pub(super) seed: u64,
    pub(super) options: Options,
    pub(super) projects: u64,
    /// In order.
    pub ops: Vec<Op>,
}

/// What cases are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Few rows, many places.
    Small,
    /// Many projects and traces of few rows each.
    Wide,
    /// Documents of many kilobytes.
    Fat,
    /// Sections of thousands of rows.
    Bulk,
}

/// Spans of one bulk request: two are more than a section without bitmaps holds.
const BULK_ROWS: u64 = 2_500;
/// Bulk requests that fill a row group and begin the next.
const GIANT_ROUNDS: u64 = 28;

/// Makes one.
#[derive(Debug)]
pub(super) struct Maker {
    pub(super) rng: SimRng,
    pub(super) shape: Shape,
    projects: u64,
    pub(super) traces: u64,
    pub(super) spans: u64,
    rounds: u64,
    /// What was said, by project: to be repeated, updated and asked for.
    pub(super) sent: Vec<(u64, Fact)>,
    ops: Vec<Op>,
}

impl Case {
    /// The workload of a seed.
    pub fn new(seed: u64) -> Self {
        let rng = SimRng::new(seed ^ 0x6d6f_6465_6c00);
        let shape = match seed % 24 {
            17..=19 => Shape::Wide,
            20..=22 => Shape::Fat,
            23 => Shape::Bulk,
            _ => Shape::Small,
        };
        let (projects, traces, spans) = match shape {
            Shape::Small => (1 + rng.below(2), 2 + rng.below(8), 3 + rng.below(12)),
            Shape::Wide => (12, 1 + rng.below(3), 2),
            Shape::Fat => (2, 3, 6),
            Shape::Bulk => (1, 3, 6),
        };
        let memtable_bytes = match shape {
            Shape::Small | Shape::Wide => 2_000 + rng.below(40_000),
            Shape::Fat => 100_000 + rng.below(300_000),
            Shape::Bulk => 16 << 20,
        };
        let options = Options {
            memtable_bytes,
            queue_bytes: 16 << 20,
            wal_file_bytes: if shape == Shape::Bulk {
                4 << 20
            } else {
                64 << 10
            },
            side_bytes_min: 2_500,
            flush_level: 1,
            compact_level: 3,
            merge_min: pick(&rng, &[2, 2, 3, 4]),
            // Steps say when merges run.
            fresh_max: u64::MAX,
            reserve_bytes: 0,
        };
        let mut maker = Maker::new(rng, shape, (projects, traces, spans));
        maker.fill();
        Self {
            seed,
            options,
            projects,
            ops: maker.ops,
        }
    }

    /// One workload with a section of more than one row group.
    pub fn giant(seed: u64) -> Self {
        let mut maker = Maker::new(SimRng::new(seed), Shape::Bulk, (1, 3, 6));
        maker.fill_giant();
        Self {
            seed,
            options: Options {
                memtable_bytes: 512 << 20,
                queue_bytes: 64 << 20,
                wal_file_bytes: 8 << 20,
                side_bytes_min: 1 << 20,
                flush_level: 1,
                compact_level: 1,
                merge_min: 2,
                // Steps say when merges run.
                fresh_max: u64::MAX,
                reserve_bytes: 0,
            },
            projects: 1,
            ops: maker.ops,
        }
    }
}

impl Maker {
    fn new(rng: SimRng, shape: Shape, (projects, traces, spans): (u64, u64, u64)) -> Self {
        Self {
            rng,
            shape,
            projects,
            traces,
            spans,
            rounds: 0,
            sent: Vec::new(),
            ops: Vec::new(),
        }
    }

    fn fill_giant(&mut self) {
        for _ in 0..GIANT_ROUNDS {
            self.new_round();
            self.ops.push(Op::Commit);
        }
        self.ops.extend([Op::Freeze, Op::Hold, Op::Flush]);
        for _ in 0..4 {
            self.update_round();
            let facts = self.facts(1);
            self.ops.push(Op::Record { project: 1, facts });
            let trace = format!("b{}-{}", self.rng.below(self.rounds), self.rng.below(60));
            let deletion = Deletion::Trace(trace.into());
            let project = 1;
            self.ops.push(Op::Delete { project, deletion });
            self.ops.push(Op::Commit);
            self.ops.push(Op::Walk(self.long_question()));
            for _ in 0..3 {
                self.ops.push(Op::Ask(self.question()));
            }
        }
        self.ops.push(Op::AskHeld(self.question()));
        self.ops.extend([Op::Turn, Op::Kill, Op::ReadAll, Op::Stop]);
        for _ in 0..4 {
            self.ops.push(Op::Ask(self.question()));
        }
        self.ops.extend([Op::Compact, Op::Turn, Op::ReadAll]);
    }

    fn fill(&mut self) {
        let steps = match self.shape {
            Shape::Small => 20 + self.rng.below(60),
            Shape::Wide | Shape::Fat => 20 + self.rng.below(30),
            Shape::Bulk => 24,
        };
        for _ in 0..steps {
            self.step();
        }
        let questions: Vec<_> = (0..4).map(|_| self.question()).collect();
        self.ops.push(Op::Commit);
        for _ in 0..2 {
            self.ops.push(Op::ReadAll);
            self.ops.extend(questions.iter().cloned().map(Op::Ask));
            self.ops.push(pick(&self.rng, &[Op::Stop, Op::Kill]));
        }
        self.ops.push(Op::ReadAll);
        self.ops.extend(questions.into_iter().map(Op::Ask));
    }

    fn question(&self) -> Question {
        let project = 1 + self.rng.below(self.projects);
        let mine = self.sent.iter().filter(|(p, _)| *p == project);
        let docs: Vec<&Fact> = mine.map(|(_, fact)| fact).collect();
        question(&self.rng, project, &docs)
    }

    /// One of many pages.
    fn long_question(&self) -> Question {
        let mut question = self.question();
        question.request.limit = pick(&self.rng, &[1, 2, 3]);
        if self.rng.chance(2) {
            question.request.filter = Filter::All;
        }
        question
    }

    fn step(&mut self) {
        let op = match self.rng.below(80) {
            0..=31 => return self.write(),
            32..=37 => Op::Freeze,
            38..=42 => Op::Flush,
            43..=46 => Op::Compact,
            47..=50 => return self.during(),
            51 => Op::Stop,
            52 => pick(&self.rng, &[Op::CutPower, Op::Kill]),
            53 => Op::CutFlush(self.rng.below(25)),
            54 => Op::CutCompact(self.rng.below(25)),
            55 => {
                let project = 1 + self.rng.below(self.projects);
                Op::CutCommit {
                    facts: self.facts(project),
                    project,
                    calls: self.rng.below(6),
                }
            }
            56 | 57 => Op::Hold,
            58..=61 => Op::AskHeld(self.question()),
            62..=64 => Op::Walk(self.long_question()),
            65..=69 => Op::Turn,
            70 => Op::ReadAll,
            _ => {
                let some = (0..3).map(|_| Op::Ask(self.question()));
                let some: Vec<_> = some.collect();
                return self.ops.extend(some);
            }
        };
        self.ops.push(op);
    }

    fn during(&mut self) {
        let project = |maker: &Self| 1 + maker.rng.below(maker.projects);
        let mut records = Vec::new();
        for _ in 0..=self.rng.below(3) {
            let project = project(self);
            records.push((project, self.facts(project)));
        }
        let delete = self
            .rng
            .chance(4)
            .then(|| project(self))
            .map(|project| (project, self.deletion(project)));
        self.ops.push(Op::During {
            flush: self.rng.chance(2),
            other: self.rng.chance(3),
            records,
            delete,
        });
        self.ops.push(Op::AskHeld(self.question()));
    }

    /// A group of requests.
    fn write(&mut self) {
        if self.shape == Shape::Bulk && self.rng.chance(2) {
            self.bulk();
        }
        for _ in 0..=self.rng.below(4) {
            let project = 1 + self.rng.below(self.projects);
            if self.rng.chance(12) {
                let deletion = self.deletion(project);
                self.ops.push(Op::Delete { project, deletion });
                self.send_again(project);
            } else {
                let facts = self.facts(project);
                self.ops.push(Op::Record { project, facts });
            }
        }
        if !self.rng.chance(5) {
            self.ops.push(Op::Commit);
        }
    }

    fn deletion(&self, project: u64) -> Deletion {
        let trace = self.trace_name().into();
        match self.rng.below(6) {
            0 => Deletion::Run(trace),
            1 => Deletion::Logs(self.some_rows(project, Table::Logs)),
            2 => Deletion::Points(self.some_rows(project, Table::Points)),
            3 => Deletion::Scores(self.some_rows(project, Table::Scores)),
            _ => Deletion::Trace(trace),
        }
    }

    /// Rows of which something was said, some maybe more than once.
    fn some_rows(&self, project: u64, table: Table) -> Vec<RowAt> {
        let sent = self.sent.iter();
        let mine = sent.filter(|(p, fact)| *p == project && fact.table == table);
        let rows = mine.map(|(_, fact)| RowAt {
            key: fact.event().key,
            start_ns: fact.start.unwrap_or(0),
        });
        let rows: Vec<RowAt> = rows.collect();
        if rows.is_empty() {
            return rows;
        }
        let count = 1 + self.rng.below(12);
        (0..count).map(|_| pick(&self.rng, &rows)).collect()
    }

    /// Some of what was said once, as a client does that has not heard of a delete.
    fn send_again(&mut self, project: u64) {
        let mine = self.sent.iter().filter(|(p, _)| *p == project);
        let facts: Vec<Fact> = mine.map(|(_, fact)| fact.clone()).collect();
        if !facts.is_empty() && self.rng.chance(2) {
            let some = (0..3).map(|_| pick(&self.rng, &facts));
            let facts = some.collect();
            self.ops.push(Op::Record { project, facts });
        }
    }

    fn bulk(&mut self) {
        if self.rounds > 0 && self.rng.chance(2) {
            self.update_round();
        } else if self.rounds < 3 {
            self.new_round();
        }
    }

    /// Many new spans.
    fn new_round(&mut self) {
        self.rounds += 1;
        self.say(self.rounds - 1, 1);
    }

    /// News of some of them.
    fn update_round(&mut self) {
        let round = self.rng.below(self.rounds);
        let stride = 2 + self.rng.below(40);
        self.say(round, stride);
    }

    fn say(&mut self, round: u64, stride: u64) {
        let bulk = Bulk {
            project: 1,
            round,
            rows: BULK_ROWS,
            stride,
            seed: self.rng.next_u64(),
        };
        for fact in bulk.facts().into_iter().step_by(331) {
            self.sent.push((1, fact));
        }
        self.ops.push(Op::Bulk(bulk));
    }
}
