//! Holds a running engine against the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::Ordering;

use obsrv_engine::body;
use obsrv_engine::doc::DocRef;
use obsrv_engine::engine::Engine;
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Budget, Request};
use obsrv_engine::row::{ProjectId, Table};
use obsrv_engine::source::Column;

use super::desk::Desk;
use super::ledger::{Asked, Fate, Ledger, Rows};
use super::work::{PROJECTS, TRACES};

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// An answer is wrong: a promise is broken.
    Wrong(String),
    /// A query answered with an error instead of rows. Right after damage, wrong otherwise.
    Unreadable(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(what) => write!(f, "{what}"),
            Self::Unreadable(why) => write!(f, "unreadable: {why}"),
        }
    }
}

fn wrong<T>(what: String) -> Result<T, Finding> {
    Err(Finding::Wrong(what))
}

fn unreadable(error: impl std::error::Error) -> Finding {
    Finding::Unreadable(chain(&error))
}

/// Everything that must hold of an engine that serves.
pub(super) fn check(desk: &Desk, engine: &Engine) -> Result<(), Finding> {
    let seen = desk.seen.load(Ordering::Relaxed);
    let visible = engine.snapshot().lsn();
    if visible < seen {
        return wrong(format!("record {seen} was visible, now only {visible} are"));
    }
    let mut ledger = desk.ledger.lock();
    settle(&mut ledger, engine)?;
    let expected = ledger.rows();
    compare(&expected, &found(engine)?)?;
    let controls = controls(engine);
    let distinct: BTreeSet<_> = controls.iter().cloned().collect();
    if distinct.len() != controls.len() || distinct != ledger.controls() {
        return wrong(format!("controls differ: {controls:?}"));
    }
    filters(engine, &expected)
}

/// What must hold at any moment: whoever reads sees what was answered, and nothing else.
pub(super) fn visible(desk: &Desk, engine: &Engine) -> Result<(), Finding> {
    desk.note_answers();
    let expected = desk.ledger.lock().rows();
    compare(&expected, &found(engine)?)
}

fn compare(expected: &Rows, found: &Rows) -> Result<(), Finding> {
    for (key, row) in expected {
        match found.get(key) {
            None => return wrong(format!("lost row {key:?}")),
            Some(other) if other != row => return wrong(format!("wrong row {key:?}")),
            Some(_) => {}
        }
    }
    match found.keys().find(|key| !expected.contains_key(*key)) {
        Some(key) => wrong(format!("row that should not be there {key:?}")),
        None => Ok(()),
    }
}

fn controls(engine: &Engine) -> Vec<(u64, String)> {
    let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
    let all = engine.controls();
    all.iter().map(|(lsn, body)| (*lsn, text(body))).collect()
}

/// Decides the fate of requests that were left open, by what is there now.
fn settle(ledger: &mut Ledger, engine: &Engine) -> Result<(), Finding> {
    let mut marks = BTreeMap::new();
    for project in 1..=PROJECTS {
        let rows = engine.snapshot().trace(ProjectId(project), "marks");
        for row in rows.map_err(unreadable)?.scores {
            marks.insert((project, row.core.id.to_string()), row.core.lsn_first);
        }
    }
    let controls: BTreeMap<String, u64> = controls(engine)
        .into_iter()
        .map(|(lsn, body)| (body, lsn))
        .collect();
    let mut open_deletes = Vec::new();
    let mut decided = Vec::new();
    for (index, (asked, fate)) in ledger.entries.iter().enumerate() {
        let there = match asked {
            Asked::Ingest {
                project, events, ..
            } => {
                let mark = events
                    .last()
                    .map(|e| e.key.id.to_string())
                    .unwrap_or_default();
                marks.get(&(*project, mark)).copied()
            }
            Asked::Control { body } => controls.get(body).copied(),
            Asked::Delete { .. } => {
                if *fate == Fate::Unknown {
                    open_deletes.push(index);
                }
                continue;
            }
        };
        match (*fate, there) {
            (Fate::Unknown, Some(lsn)) => decided.push((index, Fate::Stored(lsn))),
            (Fate::Unknown, None) => decided.push((index, Fate::Absent)),
            (Fate::Stored(lsn), None) => return wrong(format!("lost record {lsn}")),
            (Fate::Stored(lsn), Some(found)) if lsn != found => {
                return wrong(format!("record {lsn} stored twice, as {found}"));
            }
            (Fate::Absent, Some(lsn)) => return wrong(format!("refused but stored as {lsn}")),
            (Fate::Stored(_), Some(_)) | (Fate::Absent, None) => {}
        }
    }
    for (index, fate) in decided {
        ledger.decide(index, fate);
    }
    settle_deletes(ledger, engine, open_deletes);
    Ok(())
}

/// A delete leaves no mark of its own: it is stored if its place in the log is taken by no other
/// record and the log is that long.
fn settle_deletes(ledger: &mut Ledger, engine: &Engine, open: Vec<usize>) {
    if open.is_empty() {
        return;
    }
    let taken: BTreeSet<u64> = ledger
        .entries
        .iter()
        .filter_map(|(_, fate)| match fate {
            Fate::Stored(lsn) => Some(*lsn),
            Fate::Absent | Fate::Unknown => None,
        })
        .collect();
    let last = engine.snapshot().lsn();
    let mut free = (1..=last).filter(|lsn| !taken.contains(lsn));
    for index in open {
        let fate = free.next().map_or(Fate::Absent, Fate::Stored);
        ledger.decide(index, fate);
    }
}

fn found(engine: &Engine) -> Result<Rows, Finding> {
    let mut found = Rows::new();
    let snapshot = engine.snapshot();
    let traces: Vec<_> = (0..TRACES)
        .map(|n| format!("t{n}"))
        .chain(["marks".into()])
        .collect();
    for project in 1..=PROJECTS {
        for trace in &traces {
            let rows = snapshot
                .trace(ProjectId(project), trace)
                .map_err(unreadable)?;
            let read = |table| {
                let read = snapshot.rows(ProjectId(project), table, trace, &BUDGET);
                read.map_err(unreadable)
            };
            let tables = [
                (Table::Runs, rows.run.into_iter().collect()),
                (Table::Spans, rows.spans),
                (Table::Logs, read(Table::Logs)?),
                (Table::Points, read(Table::Points)?),
                (Table::Scores, rows.scores),
            ];
            for (table, row) in tables
                .into_iter()
                .flat_map(|(t, r)| r.into_iter().map(move |r| (t, r)))
            {
                let key = (project, table as u8, trace.clone(), row.core.id.to_string());
                let view = body::decode(&row.body).map_err(unreadable)?.view;
                let view = row.body.slice_ref(view);
                let content = (row.core.start_ns, row.core.end_ns, view);
                if found.insert(key.clone(), content).is_some() {
                    return wrong(format!("doubled row {key:?}"));
                }
            }
        }
    }
    Ok(found)
}

const BUDGET: Budget<'_> = Budget {
    rows_max: u64::MAX,
    bytes_max: u64::MAX,
    read_bytes_max: u64::MAX,
    cancelled: &|| false,
    processors: None,
    weigh: None,
};

/// The indexes must say what the rows say.
fn filters(engine: &Engine, expected: &Rows) -> Result<(), Finding> {
    for project in 1..=PROJECTS {
        for (table, path, value) in [
            (Table::Spans, "status", "error"),
            (Table::Runs, "status", "success"),
            (Table::Spans, "k1", "2"),
            (Table::Logs, "level", "n3"),
            (Table::Points, "k1", "2"),
        ] {
            let literal = value
                .parse()
                .map_or(Literal::Str(value.into()), Literal::I64);
            let column = Column::Path(path.into());
            let filter = Filter::Is(column, Test::Eq(literal));
            let request = Request {
                total: true,
                ..Request::new(filter, 1000)
            };
            let page = engine
                .snapshot()
                .search(ProjectId(project), table, &request, &BUDGET)
                .map_err(unreadable)?;
            let wanted = expected
                .iter()
                .filter(|((p, t, ..), _)| *p == project && *t == table as u8)
                .filter(|(_, (_, _, view))| has(view, path, value))
                .count();
            if page.hits.len() != wanted || page.total != Some(wanted as u64) {
                let got = (page.hits.len(), page.total);
                return wrong(format!(
                    "filter {path}={value} p{project}: {got:?} not {wanted}"
                ));
            }
        }
    }
    Ok(())
}

fn has(view: &[u8], path: &str, value: &str) -> bool {
    let found = DocRef::parse(view).ok().and_then(|doc| doc.get(path));
    match found {
        Some(DocRef::Str(s)) => s == value,
        Some(DocRef::I64(n)) => n.to_string() == value,
        _ => false,
    }
}

/// An error and what caused it.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}
