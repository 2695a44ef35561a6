//! Steps that are priced again: by whichever record named them last, whatever was flushed, merged or lost with the power in between,
//! and without looking younger than they are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use obsrv_engine::body;
use obsrv_engine::cost::{Cost, CostSource, Costs, Fields};
use obsrv_engine::doc::DocRef;
use obsrv_engine::engine::{Done, Engine, Envelope, InterpretError, Interpreter, Submission};
use obsrv_engine::row::{Event, Lsn, ProjectId};
use obsrv_tests::toy;
use obsrv_wal::sim::SimDisk;

use crate::machine::Machine;

const PROJECT: ProjectId = ProjectId(1);

/// Dollars for a token, by the last control event.
#[derive(Debug, Default)]
struct Price(AtomicI64);

impl Costs for Price {
    fn control(&self, body: &[u8]) {
        let text = std::str::from_utf8(body).unwrap();
        self.0.store(text.parse().unwrap(), Ordering::Relaxed);
    }

    fn epoch(&self) -> u64 {
        self.0.load(Ordering::Relaxed).unsigned_abs()
    }

    fn of_span(&self, _: ProjectId, _: i64, fields: Fields<'_, '_>) -> Option<Cost> {
        let tokens = fields("tokens")?.as_i64()?;
        let dollars = i32::try_from(tokens * self.0.load(Ordering::Relaxed)).unwrap();
        Some(Cost {
            source: CostSource::Priced,
            dollars: Some(dollars.into()),
        })
    }
}

/// Each open starts without a price, as a process does.
struct Reader;

impl Interpreter for Reader {
    fn interpret(&self, _: &Envelope, body: &[u8]) -> Result<Vec<Event>, InterpretError> {
        toy::events(body).map_err(|reason| InterpretError { reason })
    }

    fn costs(&self) -> Arc<dyn Costs> {
        Arc::new(Price::default())
    }
}

/// What a span must say.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    tokens: Option<i64>,
    price: i64,
    last: Lsn,
}

#[derive(Clone, Debug, Default)]
struct Expected {
    price: i64,
    spans: BTreeMap<(String, String), Span>,
    /// When somebody last said something of a trace.
    said: BTreeMap<String, Lsn>,
}

#[derive(Clone, Debug)]
enum Record {
    Span {
        at: (String, String),
        tokens: Option<i64>,
        partial: bool,
    },
    Price(i64),
    Again {
        trace: String,
        ids: Vec<String>,
    },
    Delete(String),
}

impl Expected {
    fn apply(&mut self, lsn: Lsn, record: &Record) {
        let price = self.price;
        match record {
            Record::Span {
                at,
                tokens,
                partial,
            } => {
                let old = self.spans.get(at).filter(|_| *partial);
                let tokens = tokens.or(old.and_then(|old| old.tokens));
                let span = Span {
                    tokens,
                    price,
                    last: lsn,
                };
                self.spans.insert(at.clone(), span);
                self.said.insert(at.0.clone(), lsn);
            }
            Record::Price(price) => self.price = *price,
            Record::Again { trace, ids } => {
                for id in ids {
                    if let Some(span) = self.spans.get_mut(&(trace.clone(), id.clone())) {
                        span.price = price;
                    }
                }
            }
            Record::Delete(trace) => {
                self.spans.retain(|(of, _), _| of != trace);
                self.said.remove(trace);
            }
        }
    }
}

struct World {
    machine: Machine,
    expected: Expected,
    serial: u64,
    repriced: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            machine: Machine::new(seed, &Reader),
            expected: Expected::default(),
            serial: 0,
            repriced: 0,
        }
    }

    fn below(&self, n: u64) -> u64 {
        self.machine.below(n)
    }

    fn record(&mut self) -> Record {
        self.serial += 1;
        let trace = format!("t{}", self.below(3));
        let id = || format!("s{}", self.below(5));
        match self.below(12) {
            0 | 1 => Record::Price(i64::try_from(self.below(50)).unwrap()),
            2..5 => Record::Again {
                trace,
                ids: (0..self.below(6)).map(|_| id()).collect(),
            },
            5 if self.below(4) == 0 => Record::Delete(trace),
            _ => Record::Span {
                at: (trace, id()),
                tokens: (self.below(4) > 0).then(|| i64::try_from(self.below(99)).unwrap()),
                partial: self.below(3) == 0,
            },
        }
    }

    /// Asks for a record.
    fn ask(record: &Record, serial: u64, engine: &Engine, done: Done) {
        match record {
            Record::Span {
                at: (trace, id),
                tokens,
                partial,
            } => {
                let tokens = tokens.map(|n| format!("tokens={n}")).unwrap_or_default();
                let flag = if *partial { "p" } else { "" };
                let line = format!("span|{trace}|{id}|{serial}|{flag}|1|2|{tokens}");
                let submission = Submission {
                    envelope: Envelope {
                        project: PROJECT.0,
                        ..Envelope::default()
                    },
                    events: toy::events(line.as_bytes()).unwrap(),
                    body: Bytes::from(line),
                };
                engine.submit(submission, done);
            }
            Record::Price(price) => engine.control(Bytes::from(price.to_string()), done),
            Record::Again { trace, ids } => {
                let ids = ids.iter().map(|id| id.as_str().into()).collect();
                engine.price_again(PROJECT, (trace.as_str().into(), ids), done);
            }
            Record::Delete(trace) => engine.delete_trace(PROJECT, trace, done),
        }
    }

    fn step(&mut self) {
        let record = self.record();
        let before = self.expected.clone();
        let serial = self.serial;
        let ask = |engine: &Engine, done: Done| Self::ask(&record, serial, engine, done);
        if self.below(10) == 0 {
            // The power goes while it is committed: whether it is there the log tells.
            let was = self.machine.engine().snapshot().lsn();
            let answered = self.machine.commit_in_danger(ask).is_some();
            self.machine.cut(&SimDisk::cut_power, &Reader);
            let is = self.machine.engine().snapshot().lsn();
            assert!(is > was || !answered);
            if is > was {
                self.expected.apply(is, &record);
            }
        } else {
            let receipt = self.machine.commit(ask).unwrap();
            self.expected.apply(receipt.lsn, &record);
        }
        if let Record::Again { .. } = record {
            self.repriced += usize::from(before.spans != self.expected.spans);
        }
        self.machine.keep_house(&Reader);
    }

    fn check(&self) {
        let snapshot = self.machine.engine().snapshot();
        for trace in ["t0", "t1", "t2"] {
            let rows = snapshot.trace(PROJECT, trace).unwrap();
            let cost = |body: &Bytes| {
                let found = body::view(body).unwrap().get("cost_known_usd");
                found.and_then(DocRef::as_f64)
            };
            let (mut sum, mut known) = (0.0, false);
            let expected: Vec<_> = self
                .expected
                .spans
                .iter()
                .filter(|((t, _), _)| t == trace)
                .collect();
            assert_eq!(rows.spans.len(), expected.len());
            for ((_, id), span) in expected {
                let row = rows.spans.iter().find(|row| &*row.core.id == id).unwrap();
                let dollars = span
                    .tokens
                    .map(|n| f64::from(i32::try_from(n * span.price).unwrap()));
                assert_eq!(cost(&row.body), dollars, "{trace} {id} {span:?}");
                assert_eq!(row.core.lsn_last, span.last, "{trace} {id}");
                sum += dollars.unwrap_or(0.0);
                known |= dollars.is_some();
            }
            let said = self.expected.said.get(trace);
            let run = rows.run.map(|run| (cost(&run.body), run.core.lsn_last));
            assert_eq!(
                run.map(|run| run.0),
                said.map(|_| known.then_some(sum)),
                "{trace}"
            );
            // Of what changes nothing of a run, the run's row need not know.
            let (is, most) = (run.map_or(0, |run| run.1), said.copied().unwrap_or(0));
            assert!(is <= most, "{trace}: {is} after {most}");
        }
    }
}

#[test]
fn steps_cost_what_the_last_record_about_them_made_them_cost() {
    let mut repriced = 0;
    for seed in 0..20 {
        let mut world = World::new(seed);
        for _ in 0..80 {
            world.step();
            if world.below(3) == 0 {
                world.check();
            }
        }
        world.check();
        repriced += world.repriced;
    }
    assert!(repriced > 100, "{repriced}");
}
