//! What was asked, what was answered, and which rows that makes.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use obsrv_engine::doc::DocRef;
use obsrv_engine::engine::{Deletion, RowAt};
use obsrv_engine::fold::{Part, Parts};
use obsrv_engine::row::{Event, Lsn, Table};
use obsrv_engine::run::{Run, SpanFacts};

/// A request.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    Ingest {
        project: u64,
        body: String,
        events: Vec<Event>,
    },
    Delete {
        project: u64,
        deletion: Deletion,
    },
    Control {
        body: String,
    },
}

/// What is known of its fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Acknowledged as this record.
    Stored(Lsn),
    /// Answered as not stored, or found absent after a crash.
    Absent,
    /// No answer, or an answer that leaves it open.
    Unknown,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) entries: Vec<(Asked, Fate)>,
    /// Rows that some stored request named.
    pub(super) stored: BTreeSet<Key>,
    /// The rows of each trace as last computed, by how many events made them and up to which LSN.
    known: BTreeMap<(u64, String), (usize, Lsn, Rows)>,
}

/// A row: project, table, trace, id.
pub(super) type Key = (u64, u8, String, String);

/// The row that an event is about.
pub(super) fn key(project: u64, event: &Event) -> Key {
    let (trace, id) = (event.key.trace_id.to_string(), event.key.id.to_string());
    (project, event.table as u8, trace, id)
}

/// Rows: the body and times that must be read back.
pub(super) type Rows = BTreeMap<Key, (i64, Option<i64>, Bytes)>;

impl Ledger {
    /// A new request. Answers its index.
    pub(super) fn enter(&mut self, asked: Asked) -> usize {
        self.entries.push((asked, Fate::Unknown));
        self.entries.len() - 1
    }

    /// Forgets what was stored after a record.
    pub(super) fn cut(&mut self, through: Lsn) {
        self.stored.clear();
        self.known.clear();
        for index in 0..self.entries.len() {
            match self.entries.get(index).map(|(_, fate)| *fate) {
                Some(Fate::Stored(lsn)) if lsn > through => self.decide(index, Fate::Absent),
                Some(fate) => self.decide(index, fate),
                None => {}
            }
        }
    }

    /// What became of a request.
    pub(super) fn decide(&mut self, index: usize, fate: Fate) {
        let Some((asked, old)) = self.entries.get_mut(index) else {
            return;
        };
        *old = fate;
        if let (
            Asked::Ingest {
                project, events, ..
            },
            Fate::Stored(_),
        ) = (asked, fate)
        {
            let keys = events.iter().map(|event| key(*project, event));
            self.stored.extend(keys);
        }
    }

    /// The rows that the stored requests make, each trace computed from its whole history at once.
    pub(super) fn rows(&mut self) -> Rows {
        let mut history: Vec<(Lsn, &Asked)> = self
            .entries
            .iter()
            .filter_map(|(asked, fate)| match fate {
                Fate::Stored(lsn) => Some((*lsn, asked)),
                Fate::Absent | Fate::Unknown => None,
            })
            .collect();
        history.sort_by_key(|(lsn, _)| *lsn);
        let mut traces = History::new();
        for (lsn, asked) in history {
            match asked {
                Asked::Ingest {
                    project, events, ..
                } => {
                    for event in events {
                        let trace = (*project, event.key.trace_id.to_string());
                        let entry = traces.entry(trace).or_default();
                        entry.0 = lsn;
                        entry.1.push(event);
                    }
                }
                Asked::Delete { project, deletion } => match deletion {
                    Deletion::Trace(trace) => {
                        traces.remove(&(*project, trace.to_string()));
                    }
                    part => {
                        for ((_, trace), (last, events)) in of_project(&mut traces, *project) {
                            let before = events.len();
                            events.retain(|event| !is_meant(part, trace, event));
                            if events.len() != before {
                                *last = lsn;
                            }
                        }
                    }
                },
                Asked::Control { .. } => {}
            }
        }
        let mut rows = Rows::new();
        let mut known = BTreeMap::new();
        for ((project, trace), (lsn, events)) in traces {
            let trace = (project, trace);
            // Requests are only ever added, so count and last LSN say which they are.
            let made = match self.known.remove(&trace) {
                Some((count, last, made)) if (count, last) == (events.len(), lsn) => made,
                _ => trace_rows(project, &trace.1, &events),
            };
            rows.extend(made.clone());
            known.insert(trace, (events.len(), lsn, made));
        }
        self.known = known;
        rows
    }

    /// The stored control events.
    pub(super) fn controls(&self) -> BTreeSet<(Lsn, String)> {
        let stored = self
            .entries
            .iter()
            .filter_map(|(asked, fate)| match (asked, fate) {
                (Asked::Control { body }, Fate::Stored(lsn)) => Some((*lsn, body.clone())),
                _ => None,
            });
        stored.collect()
    }
}

/// The events of each trace, and the record that last changed them.
type History<'a> = BTreeMap<(u64, String), (Lsn, Vec<&'a Event>)>;

fn of_project<'m, 'a>(
    traces: &'m mut History<'a>,
    project: u64,
) -> impl Iterator<Item = (&'m (u64, String), &'m mut (Lsn, Vec<&'a Event>))> {
    traces.iter_mut().filter(move |((of, _), _)| *of == project)
}

/// Whether a deletion of part of a project is about an event's row.
fn is_meant(part: &Deletion, trace: &str, event: &Event) -> bool {
    let named =
        |table, rows: &[RowAt]| event.table == table && rows.iter().any(|row| row.key == event.key);
    match part {
        Deletion::Trace(of) => **of == *trace,
        Deletion::Run(of) => {
            **of == *trace && matches!(event.table, Table::Runs | Table::Spans | Table::Scores)
        }
        Deletion::Logs(rows) => named(Table::Logs, rows),
        Deletion::Points(rows) => named(Table::Points, rows),
        Deletion::Scores(rows) => named(Table::Scores, rows),
    }
}

fn trace_rows(project: u64, trace: &str, events: &[&Event]) -> Rows {
    let mut rows = Rows::new();
    let mut parts: BTreeMap<(u8, String), Parts> = BTreeMap::new();
    let mut run = Run::default();
    for event in events {
        if event.table == Table::Runs {
            run.parts.add(Part::of(event));
        } else {
            let key = (event.table as u8, event.key.id.to_string());
            parts.entry(key).or_default().add(Part::of(event));
        }
    }
    let mut has_run = !run.parts.is_empty();
    for ((table, id), parts) in parts {
        let (start, end) = (parts.start_ns().unwrap_or(0), parts.end_ns());
        if table == Table::Spans as u8 {
            has_run = true;
            let view = parts.view();
            let view = DocRef::parse(&view).expect("a folded document reads");
            run.rollup.add(SpanFacts {
                id: &id,
                start_ns: start,
                end_ns: end,
                view,
            });
        }
        rows.insert(
            (project, table, trace.to_owned(), id),
            (start, end, parts.view()),
        );
    }
    if has_run {
        let body = run.body();
        let view = obsrv_engine::body::decode(&body)
            .expect("a run's body reads")
            .view;
        let view = body.slice_ref(view);
        let key = (
            project,
            Table::Runs as u8,
            trace.to_owned(),
            trace.to_owned(),
        );
        rows.insert(key, (run.start_ns(), run.end_ns(), view));
    }
    rows
}
