//! What was asked, what was answered, and which rows that makes.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use obsrv_engine::doc::DocRef;
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
        trace: String,
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

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) entries: Vec<(Asked, Fate)>,
}

/// Rows by project, table, trace, id: the body and times that must be read back.
pub(super) type Rows = BTreeMap<(u64, u8, String, String), (i64, Option<i64>, Bytes)>;

impl Ledger {
    /// The rows that the stored requests make, computed from the whole history at once.
    pub(super) fn rows(&self) -> Rows {
        let mut history: Vec<(Lsn, &Asked)> = self
            .entries
            .iter()
            .filter_map(|(asked, fate)| match fate {
                Fate::Stored(lsn) => Some((*lsn, asked)),
                Fate::Absent | Fate::Unknown => None,
            })
            .collect();
        history.sort_by_key(|(lsn, _)| *lsn);
        let mut traces: BTreeMap<(u64, String), Vec<&Event>> = BTreeMap::new();
        for (_, asked) in history {
            match asked {
                Asked::Ingest {
                    project, events, ..
                } => {
                    for event in events {
                        let trace = (*project, event.key.trace_id.to_string());
                        traces.entry(trace).or_default().push(event);
                    }
                }
                Asked::Delete { project, trace } => {
                    traces.remove(&(*project, trace.clone()));
                }
                Asked::Control { .. } => {}
            }
        }
        let mut rows = Rows::new();
        for ((project, trace), events) in traces {
            trace_rows(project, &trace, &events, &mut rows);
        }
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

fn trace_rows(project: u64, trace: &str, events: &[&Event], rows: &mut Rows) {
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
}
