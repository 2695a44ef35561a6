//! Runs that are behind are remade in parts, and come to the same as at once.

use obsrv_wal::sim::{SimDisk, SimRng};
use proptest::prelude::*;

use super::super::{Envelope, InterpretError, Interpreter, Options, Submission};
use super::*;
use crate::doc::DocWriter;
use crate::row::Event;

const PROJECT: ProjectId = ProjectId(1);
const SMALL: Amount = Amount { runs: 3, spans: 5 };

/// Nothing is replayed here.
struct Nothing;

impl Interpreter for Nothing {
    fn interpret(&self, _: &Envelope, _: &[u8]) -> Result<Vec<Event>, InterpretError> {
        Ok(Vec::new())
    }
}

#[derive(Clone, Debug)]
enum Did {
    Span,
    Again,
    Forgot,
}

/// What records did, one after the other, each to a trace.
fn history() -> impl Strategy<Value = Vec<(u8, Did)>> {
    let did = prop_oneof![
        12 => Just(Did::Span),
        1 => Just(Did::Again),
        1 => Just(Did::Forgot),
    ];
    prop::collection::vec((0u8..6, did), 0..80)
}

fn behind_of(history: &[(u8, Did)]) -> Behind {
    let mut behind = Behind::default();
    for (n, (trace, did)) in (1u32..).zip(history) {
        let (at, trace) = ((Lsn::from(n), PROJECT), trace.to_string());
        match did {
            Did::Span => behind.new_span(at, &trace, n),
            Did::Again => behind.again(at, &trace),
            Did::Forgot => behind.forget(PROJECT, &trace),
        }
    }
    behind
}

/// By run: its new spans in order, and whether its roll-up is made again.
fn summed(changes: Vec<RunChange>) -> BTreeMap<Box<str>, (Vec<u32>, bool)> {
    let mut all: BTreeMap<_, (Vec<u32>, bool)> = BTreeMap::new();
    for change in changes {
        let run = all.entry(change.trace_id).or_default();
        run.0.extend(change.new_spans);
        run.1 |= change.again;
    }
    all
}

proptest! {
    #[test]
    fn parts_are_all_of_it_oldest_first(history in history(), fails in prop::collection::vec(any::<bool>(), 40)) {
        let whole = summed(behind_of(&history).take());
        let mut behind = behind_of(&history);
        let (mut done, mut last, mut fails) = (Vec::new(), 0, fails.into_iter());
        while behind.amount() != Amount::default() {
            let part = behind.take_part(SMALL);
            prop_assert!(part.len() <= SMALL.runs && !part.is_empty());
            prop_assert!(part.iter().map(RunChange::counted).sum::<usize>() <= SMALL.spans);
            for change in part {
                prop_assert!(last <= change.lsn_last);
                if fails.next() == Some(true) {
                    // Its turn comes again.
                    behind.put_back(change);
                } else {
                    last = change.lsn_last;
                    done.push(change);
                }
            }
            last = 0;
        }
        prop_assert_eq!(summed(done), whole);
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

/// A long trace beside short ones, in records of a thousand spans.
fn stored() -> std::sync::Arc<Engine> {
    let disk = SimDisk::new(1);
    let options = Options::for_memory(1 << 30);
    let engine = Engine::open(disk.handle(), &SimRng::new(1), options, &Nothing).unwrap();
    let long = (0..BEHIND_MAX.spans).map(|id| span(0, id));
    let short = (1..PART.runs + 10).map(|trace| span(trace, 0));
    let all: Vec<Event> = long.chain(short).collect();
    for events in all.chunks(1_000) {
        let submission = Submission {
            envelope: Envelope {
                project: PROJECT.0,
                ..Envelope::default()
            },
            body: Bytes::new(),
            events: events.to_vec(),
        };
        engine.submit(submission, Box::new(|done| assert!(done.is_ok())));
        engine.commit_step();
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
