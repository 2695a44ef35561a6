//! The rows that the stored requests make.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use obsrv_engine::engine::{Deletion, RowAt};
use obsrv_engine::row::{Lsn, Table};

use super::fold::Facts;
use super::rollup::run_row;
use super::value::{Fact, Val};

/// A row as a reader must see it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) trace: String,
    pub(super) id: String,
    pub(super) start: i64,
    pub(super) end: Option<i64>,
    /// The record that first made it.
    pub(super) first: Lsn,
    /// The record that last changed it.
    pub(super) last: Lsn,
    /// The record that last had to do with it, whether or not it changed it.
    pub(super) touched: Lsn,
    pub(super) doc: Val,
    /// The document is one that was sent, and is read back byte for byte.
    pub(super) as_sent: bool,
}

/// Rows of one table of one project at some LSN.
pub(super) type Rows = Vec<Arc<Row>>;

#[derive(Clone, Debug, Default)]
struct Entry {
    facts: Facts,
    row: Option<Arc<Row>>,
}

#[derive(Clone, Debug, Default)]
struct Trace {
    /// Rows that stand for themselves: all but the run's.
    rows: BTreeMap<(u8, String), Entry>,
    run: Entry,
}

/// Everything stored. Traces by project and id.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    traces: BTreeMap<(u64, String), Trace>,
    /// The newest record.
    pub(super) lsn: Lsn,
}

impl Model {
    /// Takes in the facts of a record.
    pub(super) fn store(&mut self, lsn: Lsn, project: u64, facts: &[Fact]) {
        self.lsn = self.lsn.max(lsn);
        let mut runs = BTreeSet::<&str>::new();
        for fact in facts {
            let trace = self.traces.entry((project, fact.trace.clone()));
            let trace = trace.or_default();
            match fact.table {
                Table::Runs => {
                    trace.run.facts.add(fact);
                }
                table => trace.upsert(lsn, table, fact),
            }
            if matches!(fact.table, Table::Runs | Table::Spans) {
                runs.insert(&fact.trace);
            }
        }
        for id in runs {
            let trace = self.traces.get_mut(&(project, id.to_owned()));
            let trace = trace.expect("its facts were just taken in");
            trace.make_run(lsn, id);
        }
    }

    /// Forgets rows. Answers how many.
    pub(super) fn delete(&mut self, lsn: Lsn, project: u64, deletion: &Deletion) -> usize {
        self.lsn = self.lsn.max(lsn);
        let of = |trace: &str| (project, trace.to_owned());
        match deletion {
            Deletion::Trace(trace) => self.traces.remove(&of(trace)).map_or(0, |t| t.len()),
            Deletion::Run(trace) => self.traces.get_mut(&of(trace)).map_or(0, Trace::forget_run),
            Deletion::Logs(rows) => self.forget_rows(project, Table::Logs, rows),
            Deletion::Points(rows) => self.forget_rows(project, Table::Points, rows),
            Deletion::Scores(rows) => self.forget_rows(project, Table::Scores, rows),
        }
    }

    fn forget_rows(&mut self, project: u64, table: Table, rows: &[RowAt]) -> usize {
        let mut gone = 0;
        for RowAt { key, .. } in rows {
            let trace = self.traces.get_mut(&(project, key.trace_id.to_string()));
            let row = trace.and_then(|t| t.rows.remove(&(table as u8, key.id.to_string())));
            gone += usize::from(row.is_some());
        }
        gone
    }

    /// The rows of one trace of one table, by id.
    pub(super) fn trace(&self, project: u64, trace: &str, table: Table) -> Rows {
        let found = self.traces.get(&(project, trace.to_owned()));
        found.map(|t| t.rows_of(table)).unwrap_or_default()
    }
}

impl Trace {
    fn len(&self) -> usize {
        self.rows.len() + usize::from(self.run.row.is_some())
    }

    /// Forgets all but the log lines and the points.
    fn forget_run(&mut self) -> usize {
        let before = self.len();
        let stays = [Table::Logs as u8, Table::Points as u8];
        self.rows.retain(|(table, _), _| stays.contains(table));
        self.run = Entry::default();
        before - self.len()
    }

    fn upsert(&mut self, lsn: Lsn, table: Table, fact: &Fact) {
        let key = (table as u8, fact.id.clone());
        let entry = self.rows.entry(key).or_default();
        if entry.facts.add(fact) {
            let facts = &entry.facts;
            let old = entry.row.as_ref();
            entry.row = Some(Arc::new(Row {
                trace: fact.trace.clone(),
                id: fact.id.clone(),
                start: facts.start().unwrap_or(0),
                end: facts.end(),
                first: old.map_or(lsn, |row| row.first),
                last: lsn,
                touched: lsn,
                doc: facts.doc(),
                as_sent: facts.is_single(),
            }));
        }
    }

    fn rows_of(&self, table: Table) -> Rows {
        if table == Table::Runs {
            return self.run.row.iter().cloned().collect();
        }
        let all = self.rows.range((table as u8, String::new())..);
        let mine = all.take_while(|((t, _), _)| *t == table as u8);
        mine.filter_map(|(_, entry)| entry.row.clone()).collect()
    }

    /// Makes the run's row again.
    fn make_run(&mut self, lsn: Lsn, id: &str) {
        let spans = self.rows_of(Table::Spans);
        let spans: Vec<&Row> = spans.iter().map(AsRef::as_ref).collect();
        let facts = &self.run.facts;
        let own = if facts.is_empty() {
            Val::Map(Vec::new())
        } else {
            facts.doc()
        };
        let (start, end, doc) = run_row((facts.start(), facts.end(), &own), &spans);
        let old = self.run.row.as_deref();
        let same =
            |old: &Row| (old.start, old.end) == (start, end) && old.doc.encode() == doc.encode();
        let last = match old {
            Some(old) if same(old) => old.last,
            _ => lsn,
        };
        self.run.row = Some(Arc::new(Row {
            trace: id.to_owned(),
            id: id.to_owned(),
            start,
            end,
            first: old.map_or(lsn, |row| row.first),
            last,
            touched: lsn,
            doc,
            as_sent: false,
        }));
    }
}

/// All rows at one LSN, as a snapshot must see them.
#[derive(Debug)]
pub(super) struct View {
    pub(super) lsn: Lsn,
    rows: BTreeMap<(u64, u8), Rows>,
}

impl View {
    pub(super) fn of(model: &Model) -> Self {
        let mut rows = BTreeMap::new();
        for ((project, _), trace) in &model.traces {
            for table in Table::ALL {
                let all: &mut Rows = rows.entry((*project, table as u8)).or_default();
                all.extend(trace.rows_of(table));
            }
        }
        Self {
            lsn: model.lsn,
            rows,
        }
    }

    /// The rows of one table of one project, by trace and id.
    pub(super) fn rows(&self, project: u64, table: Table) -> Rows {
        let found = self.rows.get(&(project, table as u8));
        found.cloned().unwrap_or_default()
    }

    /// Every trace with rows.
    pub(super) fn traces(&self) -> BTreeSet<(u64, String)> {
        let all = self
            .rows
            .iter()
            .flat_map(|((p, _), rows)| rows.iter().map(|r| (*p, r)));
        all.map(|(p, row)| (p, row.trace.clone())).collect()
    }
}
