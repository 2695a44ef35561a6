//! Publish: what durable records change becomes visible, all of a record at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use obsrv_wal::log::Durable;

use super::commit::Committed;
use super::deletion::{Aim, Deletion, RowAt};
use super::locate::{Found, Older, Place};
use super::version::Writer;
use super::{Counters, Engine, Hidden, Work, count};
use crate::body::Content;
use crate::cost::{Ready, costed};
use crate::doc::{DocError, DocRef};
use crate::fold::Part;
use crate::mapping::{Again, map_again};
use crate::memtable::{MemRow, MemTable, Memtable};
use crate::mutant::Bug;
use crate::row::{Event, Lsn, ProjectId, RowKey, Table};
use crate::run::{Difference, SpanFacts};
use crate::source::SourceError;

/// Charged to the memtable for every record, whatever it holds.
const RECORD_OVERHEAD_BYTES: u64 = 64;

/// Why a durable record could not be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// An older row could not be read.
    #[error("older row could not be read")]
    Source(#[from] SourceError),
    /// An older row does not decode.
    #[error("older row does not decode")]
    Doc(#[from] DocError),
}

impl PublishError {
    /// Whether the disk refused to read, which may pass: nothing was changed, and another try may succeed.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Source(SourceError::Io { .. }))
    }
}

/// One table of the project in a memtable.
pub(super) type Held = (Arc<Memtable>, Arc<MemTable>);

/// The application of one record, or of what records did to one run.
pub(super) struct Applying<'a> {
    pub(super) writer: &'a mut Writer,
    active: Arc<Memtable>,
    pub(super) project: ProjectId,
    pub(super) lsn: Lsn,
    /// The project's tables in the memtables, oldest first, looked up once.
    memory: [Option<Arc<[Held]>>; Table::ALL.len()],
    /// What holds rows of a trace beside the active memtable, looked up once.
    pub(super) of_trace: [HashMap<Box<str>, Arc<Older>>; Table::ALL.len()],
    pub(super) duplicates: usize,
    pub(super) superseded: usize,
    /// Rows and sections that did not read and were passed over.
    pub(super) lost: usize,
    /// Roll-ups that were made again of all spans of a run.
    pub(super) rollups: usize,
}

impl Engine {
    /// Makes a group visible. The token proves that it is durable (I-1). An error says of how many of its records
    /// that was done, too.
    pub(super) fn publish(
        &self,
        durable: &Durable,
        group: &mut [Committed],
    ) -> Result<(), (usize, PublishError)> {
        let last = group.last().map_or(0, |c| c.lsn);
        if self.planted.has(Bug::PublishBeforeSync) && last <= self.writer.lock().visible {
            return Ok(());
        }
        for (place, committed) in group.iter_mut().enumerate() {
            debug_assert!(
                committed.lsn <= durable.lsn(),
                "BUG: publish of an unsynced record"
            );
            // The lock is given up after each record, so that a query waits for one at most.
            self.publish_one(committed)
                .map_err(|error| (place, error))?;
        }
        Ok(())
    }

    fn publish_one(&self, committed: &mut Committed) -> Result<(), PublishError> {
        let mut writer = self.writer.lock();
        match &mut committed.work {
            Work::Ingest {
                submission,
                side,
                ready,
                ..
            } => {
                let project = ProjectId(submission.envelope.project);
                let side = side.map(|s| s.number);
                let at = (committed.lsn, project);
                let events = (&mut submission.events, &*ready);
                apply(&mut writer, &self.counters, at, events, side)?;
                count(&self.counters.body_bytes, submission.body.len());
            }
            Work::Control { body, .. } => {
                apply_control(&mut writer, committed.lsn, body.clone());
            }
            Work::Delete {
                project, deletion, ..
            } => {
                let at = (committed.lsn, *project);
                committed.hidden = apply_delete(&mut writer, &self.counters, at, deletion)?;
            }
            Work::Price {
                project,
                trace_id,
                spans,
                ..
            } => {
                let at = (committed.lsn, *project);
                let spans = spans.iter().map(|id| &**id);
                apply_price(&mut writer, &self.counters, at, (trace_id, spans))?;
            }
            Work::Map {
                project,
                table,
                rows,
                ..
            } => {
                let at = (committed.lsn, *project);
                apply_map(&mut writer, &self.counters, at, (*table, rows))?;
            }
        }
        writer.visible = committed.lsn;
        writer.stale = true;
        Ok(())
    }
}

/// Applies the events of one record, and takes them. If the disk refuses to read what they change, they stay and
/// nothing is changed. Also called by replay.
pub(super) fn apply(
    writer: &mut Writer,
    counters: &Counters,
    (lsn, project): (Lsn, ProjectId),
    (events, ready): (&mut Vec<Event>, &Ready),
    side: Option<u64>,
) -> Result<(), PublishError> {
    let mut applying = Applying::new(writer, lsn, project);
    let mut stored = applying.changes_of_stored(events, ready)?;
    let events = std::mem::take(events);
    count(&counters.events, events.len());
    applying.active.note_record(lsn, RECORD_OVERHEAD_BYTES);
    if side.is_some() {
        applying.active.pending().lock().side_files.extend(side);
    }
    for (place, event) in events.into_iter().enumerate() {
        if event.table == Table::Runs {
            let part = Part::of(&event);
            let behind = &mut applying.writer.behind;
            behind.event((lsn, project), &event.key.trace_id, part);
        } else {
            let known = ready.at(&*applying.writer.costs, place);
            let is_of_this = |(of, _): &mut (usize, _)| *of == place;
            let stored = stored.pop_front_if(is_of_this).map(|(_, change)| change);
            applying.upsert(event, known, stored)?;
        }
    }
    applying.count(counters);
    Ok(())
}

/// Marks rows dead. Also called by replay.
pub(super) fn apply_delete(
    writer: &mut Writer,
    counters: &Counters,
    (lsn, project): (Lsn, ProjectId),
    deletion: &Deletion,
) -> Result<Hidden, PublishError> {
    let mut applying = Applying::new(writer, lsn, project);
    let mut rows = Vec::new();
    match deletion.aim() {
        Aim::Cluster(trace_id, tables) => {
            for table in tables {
                let live = applying.live_rows(*table, trace_id)?;
                rows.extend(live.into_iter().map(|(place, row)| (*table, place, row)));
            }
            applying.writer.behind.forget(project, trace_id);
        }
        Aim::Rows(table, asked) => {
            let mut seen = BTreeSet::new();
            for at in asked {
                let found = applying.locate(table, at)?;
                let first = found.filter(|(place, row)| seen.insert((place.number(), *row)));
                rows.extend(first.map(|(place, row)| (table, place, row)));
            }
        }
    }
    applying.active.note_record(lsn, RECORD_OVERHEAD_BYTES);
    let mut hidden = Hidden::default();
    for (table, place, row) in rows {
        applying.kill(table, &place, row);
        hidden.note(&place);
    }
    applying.count(counters);
    Ok(hidden)
}

impl Hidden {
    fn note(&mut self, place: &Place) {
        self.rows += 1;
        if let Place::Segment(segment) = place {
            self.segments.insert(segment.id());
        }
    }
}

/// Works out again what spans of a trace cost. When they came, and what was sent stays as it is. What does not read is passed over:
/// nobody said anything new of it. Also called by replay.
pub(super) fn apply_price<'i>(
    writer: &mut Writer,
    counters: &Counters,
    (lsn, project): (Lsn, ProjectId),
    (trace_id, spans): (&str, impl Iterator<Item = &'i str>),
) -> Result<(), PublishError> {
    let mut applying = Applying::new(writer, lsn, project);
    let rows: Vec<_> = spans
        .map(|id| RowAt {
            key: RowKey {
                trace_id: trace_id.into(),
                id: id.into(),
            },
            // Of a span the start is not asked for.
            start_ns: 0,
        })
        .collect();
    let (mut seen, mut derived) = (BTreeSet::new(), Vec::new());
    let mut repriced = Difference::default();
    for at in &rows {
        let Some((key, found)) = applying.stored(Table::Spans, at, &mut seen)? else {
            continue;
        };
        let of = (project, found.start_ns);
        let (content, is_other) = costed(&*applying.writer.costs, of, found.content.clone())?;
        if is_other {
            let (old, new) = (found.content.view()?, content.view()?);
            repriced.priced(DocRef::parse(&old)?, DocRef::parse(&new)?);
            derived.push((key, Found { content, ..found }));
        }
    }
    applying.active.note_record(lsn, RECORD_OVERHEAD_BYTES);
    for (key, found) in derived {
        applying.derive(Table::Spans, key, found);
    }
    let behind = &mut applying.writer.behind;
    behind.derived((lsn, project), trace_id, &repriced);
    applying.count(counters);
    Ok(())
}

/// Derives again what was derived of rows, as pricing does. Also called by replay.
pub(super) fn apply_map(
    writer: &mut Writer,
    counters: &Counters,
    (lsn, project): (Lsn, ProjectId),
    (table, rows): (Table, &[RowAt]),
) -> Result<(), PublishError> {
    let mut applying = Applying::new(writer, lsn, project);
    let (mut seen, mut derived) = (BTreeSet::new(), Vec::new());
    for at in rows {
        let Some((key, found)) = applying.stored(table, at, &mut seen)? else {
            continue;
        };
        let times = (found.start_ns, found.end_ns);
        let mapping = Arc::clone(&applying.writer.mapping);
        let Again::Other(mut content) = map_again(&*mapping, table, found.content.clone(), times)?
        else {
            continue;
        };
        let mut rolled = RolledUp::Same;
        if table == Table::Spans {
            let of = (project, found.start_ns);
            content = costed(&*applying.writer.costs, of, content)?.0;
            rolled = roll_up(&key, &found, &content)?;
        }
        derived.push((key, Found { content, ..found }, rolled));
    }
    applying.active.note_record(lsn, RECORD_OVERHEAD_BYTES);
    for (key, found, rolled) in derived {
        let behind = &mut applying.writer.behind;
        match rolled {
            RolledUp::Same => {}
            RolledUp::By(by) => behind.derived((lsn, project), &key.trace_id, &by),
            RolledUp::All => behind.derived_all((lsn, project), &key.trace_id),
        }
        if table == Table::Runs {
            // It knows the run's events as they were.
            applying.writer.run_cache.forget(project, &key.trace_id);
        }
        applying.derive(table, key, found);
    }
    applying.count(counters);
    Ok(())
}

/// What a span that was derived again comes to for its run.
enum RolledUp {
    Same,
    By(Box<Difference>),
    /// Only all spans of the run tell.
    All,
}

/// What its run is told of what a span says now: a long trace is not read for each page of rows that are derived again.
fn roll_up(key: &RowKey, found: &Found, content: &Content) -> Result<RolledUp, PublishError> {
    let (old, new) = (found.content.view()?, content.view()?);
    let facts = |view| SpanFacts {
        id: &key.id,
        start_ns: found.start_ns,
        end_ns: found.end_ns,
        view,
    };
    let (old, new) = (facts(DocRef::parse(&old)?), facts(DocRef::parse(&new)?));
    let mut difference = Difference::default();
    Ok(if !difference.mapped(old, new) {
        RolledUp::All
    } else if difference == Difference::default() {
        RolledUp::Same
    } else {
        RolledUp::By(Box::new(difference))
    })
}

/// Keeps a control event. Also called by replay.
pub(super) fn apply_control(writer: &mut Writer, lsn: Lsn, body: Bytes) {
    writer.costs.control(&body);
    let active = writer.active();
    active.note_record(lsn, u64::try_from(body.len()).unwrap_or(0));
    active.pending().lock().controls.push((lsn, body));
}

impl<'a> Applying<'a> {
    pub(super) fn new(writer: &'a mut Writer, lsn: Lsn, project: ProjectId) -> Self {
        Self {
            active: writer.active(),
            writer,
            project,
            lsn,
            memory: Default::default(),
            of_trace: Default::default(),
            duplicates: 0,
            superseded: 0,
            lost: 0,
            rollups: 0,
        }
    }

    /// Adds to the counters what was done.
    pub(super) fn count(&self, counters: &Counters) {
        count(&counters.duplicates, self.duplicates);
        count(&counters.superseded, self.superseded);
        count(&counters.lost, self.lost);
        count(&counters.rollups, self.rollups);
        if self.lost > 0 {
            let (project, lsn, lost) = (self.project.0, self.lsn, self.lost);
            tracing::error!(project, lsn, lost, "rows that do not read were passed over");
        }
    }

    /// A row that is there and reads, if it was not seen before.
    fn stored(
        &mut self,
        table: Table,
        at: &RowAt,
        seen: &mut BTreeSet<(u64, u32)>,
    ) -> Result<Option<(RowKey, Found)>, PublishError> {
        match self.locate(table, at)? {
            Some((place, row)) if seen.insert((place.number(), row)) => {
                self.read(table, &place, row)
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Puts what was derived anew of a row in its place. When it came stays as it is: nobody said anything new of it.
    fn derive(&mut self, table: Table, key: RowKey, found: Found) {
        let times = (found.start_ns, found.end_ns);
        let row = MemRow {
            lsn_last: found.lsn_last,
            ..self.row(key, times, found.lsn_first, found.content)
        };
        self.replace(table, Some((&found.place, found.row)), row);
    }

    /// A row as this record makes it.
    pub(super) fn row(
        &self,
        key: RowKey,
        (start_ns, end_ns): (i64, Option<i64>),
        lsn_first: Lsn,
        content: Content,
    ) -> MemRow {
        MemRow {
            key,
            start_ns,
            end_ns,
            lsn_first,
            lsn_last: self.lsn,
            made: self.lsn,
            content,
        }
    }

    /// Appends the new version of a row and marks the old one dead. Returns its number.
    pub(super) fn replace(&mut self, table: Table, old: Option<(&Place, u32)>, row: MemRow) -> u32 {
        if let Some((place, row)) = old {
            self.kill(table, place, row);
        }
        let rows = self.active_table(table);
        self.active.push_into(&rows, row)
    }

    pub(super) fn kill(&mut self, table: Table, place: &Place, row: u32) {
        self.superseded += 1;
        let number = match place {
            Place::Memory(memtable) => {
                if let Some(rows) = memtable.table(self.project, table) {
                    rows.kill(row, self.lsn);
                }
                if memtable.number() == self.active.number() {
                    return;
                }
                memtable.number()
            }
            Place::Segment(segment) => {
                self.writer.mark((segment.id(), self.project, table), row);
                segment.id()
            }
        };
        let section = (number, self.project, table);
        let mut pending = self.active.pending().lock();
        pending.marks.entry(section).or_default().insert(row);
    }

    /// The project's tables in the memtables, oldest first; the last is of the active one.
    pub(super) fn memory(&mut self, table: Table) -> Arc<[Held]> {
        let (project, active) = (self.project, &self.active);
        let memtables = &self.writer.places.memtables;
        let held = self.memory[table.index()].get_or_insert_with(|| {
            let of = |memtable: &Arc<Memtable>| {
                let rows = if memtable.number() == active.number() {
                    Some(memtable.table_or_new(project, table))
                } else {
                    memtable.table(project, table)
                };
                Some((Arc::clone(memtable), rows?))
            };
            memtables.iter().filter_map(of).collect()
        });
        Arc::clone(held)
    }

    /// The project's table in the active memtable.
    pub(super) fn active_table(&mut self, table: Table) -> Arc<MemTable> {
        let held = self.memory(table);
        let (_, rows) = held
            .last()
            .expect("BUG: there is always an active memtable");
        Arc::clone(rows)
    }
}
