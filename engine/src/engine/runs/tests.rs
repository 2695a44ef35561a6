//! Runs that are behind are remade in parts, and come to the same as at once.

use std::sync::Arc;

use obsrv_wal::sim::{SimDisk, SimRng};
use proptest::prelude::*;

use super::super::{Envelope, InterpretError, Interpreter, Options, Submission};
use super::*;
use crate::doc::DocWriter;
use crate::engine::RowAt;
use crate::mapping::{Mapped, Mapping};
use crate::row::Event;

const PROJECT: ProjectId = ProjectId(1);
const SMALL: Amount = Amount { runs: 3, spans: 5 };

/// Puts a mark into documents when they are mapped again. Nothing is replayed here.
#[derive(Debug)]
struct Marks;

const MARK: &str = "mapped";

impl Interpreter for Marks {
    fn interpret(&self, _: &Envelope, _: &[u8]) -> Result<Vec<Event>, InterpretError> {
        Ok(Vec::new())
    }

    fn mapping(&self) -> Arc<dyn Mapping> {
        Arc::new(Self)
    }
}

impl Mapping for Marks {
    fn map(&self, _: Table, _: &[u8]) -> Mapped {
        let mut out = DocWriter::new();
        let open = out.begin_map();
        out.key(MARK);
        out.bool(true);
        out.end(open);
        Mapped::Other(out.finish())
    }
}

#[derive(Clone, Debug)]
enum Did {
    Span,
    Again,
    Forgot,
    /// The first part is followed; whether it then cannot be, of each run.
    Settled(Vec<bool>),
}

/// What happened one after the other: records, each of a trace, and parts that were followed between them.
fn history() -> impl Strategy<Value = Vec<(u8, Did)>> {
    let did = prop_oneof![
        12 => Just(Did::Span),
        1 => Just(Did::Again),
        1 => Just(Did::Forgot),
        2 => prop::collection::vec(any::<bool>(), 3).prop_map(Did::Settled),
    ];
    prop::collection::vec((0u8..6, did), 0..120)
}

/// By run: its new spans in order, and whether its roll-up is made again.
type Summed = BTreeMap<String, (Vec<u32>, bool)>;

/// Follows the first part but for what cannot be.
fn follow(behind: &mut Behind, done: &mut Summed, fails: &[bool]) {
    let part = behind.take_part(SMALL);
    assert!(part.len() <= SMALL.runs);
    assert!(part.iter().map(RunChange::counted).sum::<usize>() <= SMALL.spans);
    assert!(part.is_sorted_by_key(|change| change.lsn_last));
    let left = behind.changes.iter().map(|change| change.lsn_last).min();
    let last = part.last().map(|change| change.lsn_last);
    assert!(left.is_none() || last <= left, "oldest first");
    for (place, change) in part.into_iter().enumerate() {
        if fails.get(place) == Some(&true) {
            behind.put_back(change);
        } else {
            let run = done.entry(change.trace_id.to_string()).or_default();
            run.0.extend(change.new_spans);
            run.1 |= change.again;
        }
    }
    let counted = behind.changes.iter().map(RunChange::counted).sum::<usize>();
    assert_eq!(behind.spans, counted);
}

proptest! {
    #[test]
    fn parts_are_all_of_it_whatever_comes_between(history in history()) {
        let (mut behind, mut done, mut expected) = (Behind::default(), Summed::new(), Summed::new());
        for (n, (trace, did)) in (1u32..).zip(history) {
            let (at, trace) = ((Lsn::from(n), PROJECT), trace.to_string());
            match did {
                Did::Span => {
                    behind.new_span(at, &trace, n);
                    expected.entry(trace).or_default().0.push(n);
                }
                Did::Again => {
                    behind.again(at, &trace);
                    expected.entry(trace).or_default().1 = true;
                }
                Did::Forgot => {
                    behind.forget(PROJECT, &trace);
                    // What was followed before stays.
                    match done.get(&trace).cloned() {
                        Some(run) => drop(expected.insert(trace, run)),
                        None => drop(expected.remove(&trace)),
                    }
                }
                Did::Settled(fails) => follow(&mut behind, &mut done, &fails),
            }
        }
        while behind.amount().runs > 0 {
            follow(&mut behind, &mut done, &[]);
        }
        prop_assert_eq!(behind.amount(), Amount::default());
        prop_assert_eq!(done, expected);
    }
}

fn span(trace: usize, id: usize) -> Event {
    let mut doc = DocWriter::new();
    let open = doc.begin_map();
    doc.key("name");
    doc.str(&format!("step {id}"));
    doc.end(open);
    Event {
        table: Table::Spans,
        key: RowKey {
            trace_id: format!("t{trace}").into(),
            id: id.to_string().into(),
        },
        start_ns: Some(1),
        end_ns: Some(2),
        version: 1,
        partial: false,
        doc: doc.finish().into(),
    }
}

fn open() -> Arc<Engine> {
    let disk = SimDisk::new(1);
    let options = Options::for_memory(1 << 30);
    Engine::open(disk.handle(), &SimRng::new(1), options, &Marks).unwrap()
}

fn store(engine: &Engine, events: Vec<Event>) {
    let submission = Submission {
        envelope: Envelope {
            project: PROJECT.0,
            ..Envelope::default()
        },
        body: Bytes::new(),
        events,
    };
    engine.submit(submission, Box::new(|done| assert!(done.is_ok())));
    engine.commit_step();
}

/// A long trace beside short ones, in records of a thousand spans.
fn stored() -> Arc<Engine> {
    let engine = open();
    let long = (0..BEHIND_MAX.spans).map(|id| span(0, id));
    let short = (1..PART.runs + 10).map(|trace| span(trace, 0));
    let all: Vec<Event> = long.chain(short).collect();
    for events in all.chunks(1_000) {
        store(&engine, events.to_vec());
    }
    engine
}

#[test]
fn a_long_trace_is_not_left_to_whoever_looks() {
    let (engine, other) = (stored(), stored());
    let behind = || engine.writer.lock().behind.amount();
    assert!(behind().reaches(BEHIND_MAX));
    assert!(behind().runs < BEHIND_MAX.runs);
    engine.settle_if_many().unwrap();
    assert_eq!(behind(), Amount::default());
    let runs = |engine: &Engine| -> Vec<_> {
        (0..PART.runs + 10)
            .map(|trace| {
                let found = engine
                    .snapshot()
                    .trace(PROJECT, &format!("t{trace}"))
                    .unwrap();
                (found.run.unwrap().body, found.spans.len())
            })
            .collect()
    };
    let remade = runs(&engine);
    assert_eq!(remade[0].1, BEHIND_MAX.spans);
    assert_eq!(remade, runs(&other), "in parts, and at once");
}

#[test]
fn what_a_run_said_stays_mapped_when_more_comes_of_it() {
    let engine = open();
    let mut own = span(0, 0);
    own.table = Table::Runs;
    own.key.id = own.key.trace_id.clone();
    let key = own.key.clone();
    store(&engine, vec![own]);
    let is_mapped = || {
        let found = engine.snapshot().trace(PROJECT, "t0").unwrap();
        let body = found.run.unwrap().body;
        crate::body::view(&body).unwrap().get(MARK).is_some()
    };
    assert!(!is_mapped());
    let at = RowAt { key, start_ns: 1 };
    let done = Box::new(|done: Result<_, _>| assert!(done.is_ok()));
    engine.map_again(PROJECT, (Table::Runs, vec![at]), done);
    engine.commit_step();
    assert!(is_mapped());
    store(&engine, vec![span(0, 1)]);
    assert!(is_mapped());
}
