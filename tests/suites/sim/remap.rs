//! Rows that are mapped again: whatever was flushed, merged, deleted, updated or lost with the power in between, in the end each says what the newer
//! mapping says, looks no younger for it, and nothing else of it is another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use obsrv_engine::body;
use obsrv_engine::body::Content;
use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::engine::{
    Done, Engine, Envelope, InterpretError, Interpreter, RowAt, Submission,
};
use obsrv_engine::mapping::{Again, Mapped, Mapping, map_again};
use obsrv_engine::query::ast::Filter;
use obsrv_engine::query::{Budget, FreshRequest};
use obsrv_engine::row::{Event, Lsn, ProjectId, RowKey, Table};
use obsrv_tests::toy;
use obsrv_wal::sim::SimDisk;

use crate::machine::Machine;

const PROJECT: ProjectId = ProjectId(1);
/// Which of them a mapping derives from `tokens`.
const DERIVED: &str = "cost_usd";

/// A mapping: every token costs as many dollars as its version.
#[derive(Clone, Copy, Debug)]
struct By(i64);

impl By {
    fn doc(self, doc: &[u8]) -> Vec<u8> {
        let doc = DocRef::parse(doc).unwrap();
        let mut out = DocWriter::new();
        let open = out.begin_map();
        for (key, value) in doc.entries().unwrap().flatten() {
            if key != DERIVED {
                out.key(key);
                out.value(value);
            }
        }
        if let Some(tokens) = doc.get("tokens").and_then(DocRef::as_i64) {
            out.key(DERIVED);
            out.f64(dollars(tokens * self.0));
        }
        out.end(open);
        out.finish()
    }

    fn events(self, body: &[u8]) -> Result<Vec<Event>, String> {
        let mut events = toy::events(body)?;
        for event in &mut events {
            event.doc = Bytes::from(self.doc(&event.doc));
        }
        Ok(events)
    }
}

fn dollars(n: i64) -> f64 {
    i32::try_from(n).unwrap().into()
}

impl Mapping for By {
    fn map(&self, table: Table, doc: &[u8]) -> Mapped {
        if table != Table::Spans {
            return Mapped::Left;
        }
        let new = self.doc(doc);
        if new == doc {
            Mapped::Same
        } else {
            Mapped::Other(new)
        }
    }
}

impl Interpreter for By {
    fn interpret(&self, _: &Envelope, body: &[u8]) -> Result<Vec<Event>, InterpretError> {
        self.events(body)
            .map_err(|reason| InterpretError { reason })
    }

    fn mapping(&self) -> Arc<dyn Mapping> {
        Arc::new(*self)
    }
}

/// What must stay of a span: its tokens, and when somebody last said something of it.
type Said = (Option<i64>, Lsn);

struct World {
    machine: Machine,
    by: By,
    spans: BTreeMap<(String, String), Said>,
    serial: u64,
    cuts: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let by = By(1);
        Self {
            machine: Machine::new(seed, &by),
            by,
            spans: BTreeMap::new(),
            serial: 0,
            cuts: 0,
        }
    }

    fn engine(&self) -> Arc<Engine> {
        self.machine.engine()
    }

    fn below(&self, n: u64) -> u64 {
        self.machine.below(n)
    }

    fn cut(&mut self, end: &dyn Fn(&SimDisk)) {
        self.cuts += 1;
        self.machine.cut(end, &self.by);
    }

    /// When it is there.
    fn commit(&self, ask: impl FnOnce(&Engine, Done)) -> Lsn {
        self.machine.commit(ask).unwrap().lsn
    }

    /// A span of five of a trace of three, whole or in part.
    fn say(&mut self) {
        self.serial += 1;
        let (trace, id) = (format!("t{}", self.below(3)), format!("s{}", self.below(5)));
        let tokens = (self.below(4) > 0).then(|| i64::try_from(self.below(99)).unwrap());
        let partial = self.below(3) == 0;
        let said = tokens.map(|n| format!("tokens={n}")).unwrap_or_default();
        let flag = if partial { "p" } else { "" };
        let line = format!("span|{trace}|{id}|{}|{flag}|1|2|name=n,{said}", self.serial);
        let submission = Submission {
            envelope: Envelope {
                project: PROJECT.0,
                ..Envelope::default()
            },
            events: self.by.events(line.as_bytes()).unwrap(),
            body: Bytes::from(line),
        };
        let lsn = self.commit(|engine, done| engine.submit(submission, done));
        let old = self
            .spans
            .get(&(trace.clone(), id.clone()))
            .filter(|_| partial);
        let tokens = tokens.or(old.and_then(|old| old.0));
        self.spans.insert((trace, id), (tokens, lsn));
    }

    fn delete(&mut self) {
        let trace = format!("t{}", self.below(3));
        self.commit(|engine, done| engine.delete_trace(PROJECT, &trace, done));
        self.spans.retain(|(of, _), _| *of != trace);
    }

    fn keep_house(&mut self) {
        let ended = self.machine.keep_house(&self.by);
        self.cuts += usize::from(ended);
    }

    /// Rows that say something else by the mapping of now.
    fn stale(&self) -> Vec<RowAt> {
        let snapshot = self.engine().snapshot();
        let mut stale = Vec::new();
        for trace in ["t0", "t1", "t2"] {
            for row in snapshot.trace(PROJECT, trace).unwrap().spans {
                let times = (row.core.start_ns, row.core.end_ns);
                let content = Content::Folded(row.body);
                match map_again(&self.by, Table::Spans, content, times).unwrap() {
                    Again::Same => {}
                    Again::Left => panic!("left"),
                    Again::Other(_) => stale.push(at(&row.core.trace_id, &row.core.id)),
                }
            }
        }
        stale
    }

    /// A record that names some of these rows and one that is not there. Maybe the power goes while it is written.
    fn map_some(&mut self, stale: &[RowAt]) {
        let rest = stale.iter().filter(|_| self.below(2) == 0).cloned();
        let rows: Vec<_> = rest.chain([at("t0", "nobody")]).collect();
        let before = self.engine().snapshot().lsn();
        let ask =
            |engine: &Engine, done: Done| engine.map_again(PROJECT, (Table::Spans, rows), done);
        if self.below(3) == 0 {
            self.machine.commit_in_danger(ask);
            self.cut(&SimDisk::cut_power);
            return;
        }
        self.commit(ask);
        // Whoever watches is told nothing.
        for table in [Table::Spans, Table::Runs] {
            let request = FreshRequest {
                after: before,
                filters: &[Filter::And(Vec::new())],
                rows_max: 1_000,
                passing_max: 1_000,
            };
            let budget = Budget {
                rows_max: u64::MAX,
                bytes_max: u64::MAX,
                read_bytes_max: u64::MAX,
                cancelled: &|| false,
                processors: None,
                weigh: None,
            };
            let snapshot = self.engine().snapshot();
            let fresh = snapshot.fresh(PROJECT, table, &request, &budget).unwrap();
            assert_eq!(fresh.hits, []);
        }
    }

    /// Tokens, name and times of receipt are what was said; derived is by one of these mappings.
    fn check(&self, mappings: &[i64]) {
        let snapshot = self.engine().snapshot();
        for trace in ["t0", "t1", "t2"] {
            let rows = snapshot.trace(PROJECT, trace).unwrap();
            let of_trace = self.spans.iter().filter(|((of, _), _)| of == trace);
            let (mut sum, mut count, mut last) = (0.0, 0, 0);
            for ((_, id), (tokens, said)) in of_trace {
                let row = rows.spans.iter().find(|row| *row.core.id == **id).unwrap();
                let view = body::view(&row.body).unwrap();
                let derived = view.get(DERIVED).and_then(DocRef::as_f64);
                let expected: Vec<_> = mappings
                    .iter()
                    .map(|by| tokens.map(|n| dollars(n * by)))
                    .collect();
                assert!(
                    expected.contains(&derived),
                    "{trace} {id}: {derived:?} of {expected:?}"
                );
                assert_eq!(view.get("tokens").and_then(DocRef::as_i64), *tokens);
                assert_eq!(view.get("name"), Some(DocRef::Str("n")));
                let keys: BTreeSet<_> = view.entries().unwrap().flatten().map(|(k, _)| k).collect();
                assert!(keys.len() <= 3, "{keys:?}");
                assert_eq!(row.core.lsn_last, *said, "{trace} {id}");
                sum += derived.unwrap_or(0.0);
                last = last.max(*said);
                count += 1;
            }
            assert_eq!(rows.spans.len(), count, "{trace}");
            let Some(run) = rows.run else {
                assert_eq!(count, 0, "{trace}");
                continue;
            };
            let of_run = body::view(&run.body)
                .unwrap()
                .get(DERIVED)
                .and_then(DocRef::as_f64);
            assert!(
                (of_run.unwrap_or(0.0) - sum).abs() < 1e-6,
                "{trace}: {of_run:?} {sum}"
            );
            assert!(run.core.lsn_last <= last, "{trace}");
        }
    }
}

fn at(trace_id: &str, id: &str) -> RowAt {
    RowAt {
        key: RowKey {
            trace_id: trace_id.into(),
            id: id.into(),
        },
        start_ns: 1,
    }
}

#[test]
fn rows_of_an_older_mapping_become_what_the_newer_one_says() {
    let (mut mapped, mut cuts) = (0, 0);
    for seed in 0..20 {
        let mut world = World::new(seed);
        for _ in 0..40 {
            world.say();
            world.keep_house();
        }
        world.check(&[1]);
        assert_eq!(world.stale(), []);
        // The newer binary. What is still in the log it reads by its own mapping.
        world.by = By(2);
        world.cut(&SimDisk::kill);
        world.cuts = 0;
        world.check(&[1, 2]);
        loop {
            let stale = world.stale();
            if stale.is_empty() {
                break;
            }
            mapped += stale.len();
            world.map_some(&stale);
            world.check(&[1, 2]);
            match world.below(6) {
                0 => world.say(),
                1 => world.delete(),
                _ => world.keep_house(),
            }
        }
        world.check(&[2]);
        world.cut(&SimDisk::cut_power);
        world.check(&[2]);
        assert_eq!(world.stale(), []);
        cuts += world.cuts;
    }
    assert!(mapped > 100 && cuts > 40, "{mapped} {cuts}");
}
