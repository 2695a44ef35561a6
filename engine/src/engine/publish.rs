//! Publish: what durable records change becomes visible, all of a record at once.

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use obsrv_wal::log::Durable;

use super::commit::Committed;
use super::deletion::{Aim, Deletion, RowAt};
use super::version::Writer;
use super::{Counters, Engine, Work, count};
use crate::body::Content;
use crate::doc::DocError;
use crate::fold::{Part, Parts};
use crate::memtable::{MemRow, MemTable, Memtable};
use crate::mutant::Bug;
use crate::row::{Event, Lsn, ProjectId, RowKey, Table};
use crate::segment::{SectionSummary, Segment};
use crate::source::{Source, SourceError};

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

/// Where the live row of a key is.
pub(super) enum Place {
    Memory(Arc<Memtable>),
    Segment(Arc<Segment>),
}

pub(super) struct Found {
    place: Place,
    row: u32,
    pub(super) start_ns: i64,
    pub(super) end_ns: Option<i64>,
    pub(super) lsn_first: Lsn,
    pub(super) content: Content,
}

/// One table of the project in a memtable.
type Held = (Arc<Memtable>, Arc<MemTable>);

/// The application of one record, or of what records did to one run.
pub(super) struct Applying<'a> {
    pub(super) writer: &'a mut Writer,
    active: Arc<Memtable>,
    project: ProjectId,
    lsn: Lsn,
    /// The project's tables in the memtables, oldest first, looked up once.
    memory: [Option<Arc<[Held]>>; Table::ALL.len()],
    /// Segments that hold rows of a trace, looked up once.
    of_trace: [HashMap<Box<str>, Vec<Arc<Segment>>>; Table::ALL.len()],
    pub(super) duplicates: usize,
    pub(super) superseded: usize,
}

impl Engine {
    /// Makes a group visible. The token proves that it is durable (I-1).
    pub(super) fn publish(
        &self,
        durable: &Durable,
        group: &mut [Committed],
    ) -> Result<(), PublishError> {
        let last = group.last().map_or(0, |c| c.lsn);
        if self.planted.has(Bug::PublishBeforeSync) && last <= self.writer.lock().visible {
            return Ok(());
        }
        for committed in group {
            debug_assert!(
                committed.lsn <= durable.lsn(),
                "BUG: publish of an unsynced record"
            );
            // The lock is given up after each record, so that a query waits for one at most.
            self.publish_one(committed)?;
        }
        Ok(())
    }

    fn publish_one(&self, committed: &mut Committed) -> Result<(), PublishError> {
        let mut writer = self.writer.lock();
        match &mut committed.work {
            Work::Ingest {
                submission, side, ..
            } => {
                let project = ProjectId(submission.envelope.project);
                let side = side.map(|s| s.number);
                count(&self.counters.body_bytes, submission.body.len());
                let at = (committed.lsn, project);
                let events = std::mem::take(&mut submission.events);
                apply(&mut writer, &self.counters, at, events, side)?;
            }
            Work::Control { body, .. } => {
                apply_control(&mut writer, committed.lsn, body.clone());
            }
            Work::Delete {
                project, deletion, ..
            } => {
                let at = (committed.lsn, *project);
                apply_delete(&mut writer, &self.counters, at, deletion)?;
            }
        }
        writer.visible = committed.lsn;
        writer.stale = true;
        Ok(())
    }
}

/// Applies the events of one record. Also called by replay.
pub(super) fn apply(
    writer: &mut Writer,
    counters: &Counters,
    (lsn, project): (Lsn, ProjectId),
    events: Vec<Event>,
    side: Option<u64>,
) -> Result<(), PublishError> {
    count(&counters.events, events.len());
    let mut applying = Applying::new(writer, lsn, project);
    applying.active.note_record(lsn, RECORD_OVERHEAD_BYTES);
    if side.is_some() {
        applying.active.pending().lock().side_files.extend(side);
    }
    for event in events {
        if event.table == Table::Runs {
            let part = Part::of(&event);
            let behind = &mut applying.writer.behind;
            behind.event((lsn, project), &event.key.trace_id, part);
        } else {
            applying.upsert(event)?;
        }
    }
    count(&counters.duplicates, applying.duplicates);
    count(&counters.superseded, applying.superseded);
    Ok(())
}

/// Marks rows dead. Also called by replay.
pub(super) fn apply_delete(
    writer: &mut Writer,
    counters: &Counters,
    (lsn, project): (Lsn, ProjectId),
    deletion: &Deletion,
) -> Result<(), PublishError> {
    if let Aim::Cluster(trace_id, _) = deletion.aim() {
        writer.behind.forget(project, trace_id);
    }
    let mut applying = Applying::new(writer, lsn, project);
    applying.active.note_record(lsn, RECORD_OVERHEAD_BYTES);
    match deletion.aim() {
        Aim::Cluster(trace_id, tables) => {
            for table in tables {
                for (place, row) in applying.live_rows(*table, trace_id)? {
                    applying.kill(*table, &place, row);
                }
            }
        }
        Aim::Rows(table, rows) => {
            for row in rows {
                if let Some((place, row)) = applying.locate(table, row)? {
                    applying.kill(table, &place, row);
                }
            }
        }
    }
    count(&counters.superseded, applying.superseded);
    Ok(())
}

/// Keeps a control event. Also called by replay.
pub(super) fn apply_control(writer: &mut Writer, lsn: Lsn, body: Bytes) {
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
        }
    }

    /// Folds one event into its row.
    fn upsert(&mut self, event: Event) -> Result<(), PublishError> {
        let at = (self.lsn, self.project);
        let old = self.find(event.table, &event.key, event.start_ns)?;
        let part = Part::of(&event);
        let Event { table, key, .. } = event;
        let (times, content) = match &old {
            None if !part.partial => (
                (part.start_ns.unwrap_or(0), part.end_ns),
                Content::Complete {
                    stamp: part.stamp,
                    doc: part.doc,
                },
            ),
            old => {
                let mut parts = match old {
                    Some(f) => Parts::from_body(&f.content.body(), f.start_ns, f.end_ns)?,
                    None => Parts::default(),
                };
                if !parts.add(part) {
                    self.duplicates += 1;
                    return Ok(());
                }
                let times = (parts.start_ns().unwrap_or(0), parts.end_ns());
                (times, Content::Folded(parts.body()))
            }
        };
        if table == Table::Spans && old.is_some() {
            self.writer.behind.again(at, &key.trace_id);
        }
        let lsn_first = old.as_ref().map_or(self.lsn, |found| found.lsn_first);
        let trace_id = (table == Table::Spans && old.is_none()).then(|| key.trace_id.clone());
        let row = self.row(key, times, lsn_first, content);
        let row = self.replace(table, old.as_ref(), row);
        if let Some(trace_id) = trace_id {
            self.writer.behind.new_span(at, &trace_id, row);
        }
        Ok(())
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
            content,
        }
    }

    /// Appends the new version of a row and marks the old one dead. Returns its number.
    pub(super) fn replace(&mut self, table: Table, old: Option<&Found>, row: MemRow) -> u32 {
        if let Some(found) = old {
            self.kill(table, &found.place, found.row);
        }
        let rows = self.active_table(table);
        self.active.push_into(&rows, row)
    }

    fn kill(&mut self, table: Table, place: &Place, row: u32) {
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
    fn memory(&mut self, table: Table) -> Arc<[Held]> {
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

    /// The live row of a key, wherever it is. `start_ns` is what the event says.
    pub(super) fn find(
        &mut self,
        table: Table,
        key: &RowKey,
        start_ns: Option<i64>,
    ) -> Result<Option<Found>, PublishError> {
        for (memtable, rows) in self.memory(table).iter().rev() {
            if let Some((row, found)) = rows.find(key) {
                return Ok(Some(Found {
                    place: Place::Memory(Arc::clone(memtable)),
                    row,
                    start_ns: found.start_ns,
                    end_ns: found.end_ns,
                    lsn_first: found.lsn_first,
                    content: found.content,
                }));
            }
        }
        if self.writer.planted.has(Bug::DedupForgetsSegments) {
            return Ok(None);
        }
        let flushed = self.find_flushed(table, key, start_ns)?;
        let read = flushed.map(|(segment, row)| self.read(table, Place::Segment(segment), row));
        Ok(read.transpose()?.map(|(_, found)| found))
    }

    /// The live row of a key in the segments. Reads no payload.
    fn find_flushed(
        &mut self,
        table: Table,
        key: &RowKey,
        start_ns: Option<i64>,
    ) -> Result<Option<(Arc<Segment>, u32)>, PublishError> {
        for segment in self.segments_of(table, &key.trace_id) {
            let Some(section) = segment.section(self.project, table) else {
                continue;
            };
            if !may_hold(section.summary(), table, start_ns) {
                continue;
            }
            let Some(row) = section.find(&key.trace_id, &key.id)? else {
                continue;
            };
            if self.is_dead(&segment, table, row) {
                continue;
            }
            return Ok(Some((segment, row)));
        }
        Ok(None)
    }

    /// Where the live row of a key is.
    fn locate(&mut self, table: Table, at: &RowAt) -> Result<Option<(Place, u32)>, PublishError> {
        for (memtable, rows) in self.memory(table).iter().rev() {
            if let Some((row, _)) = rows.find(&at.key) {
                return Ok(Some((Place::Memory(Arc::clone(memtable)), row)));
            }
        }
        let flushed = self.find_flushed(table, &at.key, Some(at.start_ns))?;
        Ok(flushed.map(|(segment, row)| (Place::Segment(segment), row)))
    }

    pub(super) fn read(
        &self,
        table: Table,
        place: Place,
        row: u32,
    ) -> Result<(RowKey, Found), PublishError> {
        let missing = || SourceError::Damaged {
            file: "row".to_owned(),
            offset: u64::from(row),
            what: "row number",
            part: String::new(),
        };
        let found = match &place {
            Place::Memory(memtable) => {
                let rows = memtable.table(self.project, table).ok_or_else(missing)?;
                rows.row(row).ok_or_else(missing)?
            }
            Place::Segment(segment) => {
                let section = segment.section(self.project, table).ok_or_else(missing)?;
                let stored = section.row(row)?;
                MemRow {
                    key: stored.key,
                    start_ns: stored.start_ns,
                    end_ns: stored.end_ns,
                    lsn_first: stored.lsn_first,
                    lsn_last: stored.lsn_last,
                    content: stored.content,
                }
            }
        };
        let MemRow {
            key,
            start_ns,
            end_ns,
            lsn_first,
            content,
            ..
        } = found;
        let found = Found {
            place,
            row,
            start_ns,
            end_ns,
            lsn_first,
            content,
        };
        Ok((key, found))
    }

    fn is_dead(&self, segment: &Segment, table: Table, row: u32) -> bool {
        let section = (segment.id(), self.project, table);
        self.writer
            .dead
            .get(&section)
            .is_some_and(|dead| dead.contains(row))
    }

    fn segments_of(&mut self, table: Table, trace_id: &str) -> Vec<Arc<Segment>> {
        if let Some(known) = self.of_trace[table.index()].get(trace_id) {
            return known.clone();
        }
        let all = self.writer.places.of_project.get(&self.project);
        let holds = |segment: &&Arc<Segment>| {
            segment
                .section(self.project, table)
                .is_some_and(|s| s.has_trace(trace_id))
        };
        let found: Vec<_> = all.into_iter().flatten().filter(holds).cloned().collect();
        self.of_trace[table.index()].insert(trace_id.into(), found.clone());
        found
    }

    /// The live rows of a trace, wherever they are.
    pub(super) fn live_rows(
        &mut self,
        table: Table,
        trace_id: &str,
    ) -> Result<Vec<(Place, u32)>, PublishError> {
        let mut found = Vec::new();
        for (memtable, rows) in self.memory(table).iter() {
            let live = rows.of_trace(trace_id) - rows.dead_at(Lsn::MAX);
            let place = |row| (Place::Memory(Arc::clone(memtable)), row);
            found.extend(live.iter().map(place));
        }
        for segment in self.segments_of(table, trace_id) {
            let Some(section) = segment.section(self.project, table) else {
                continue;
            };
            for row in section.trace_rows(trace_id)? {
                if !self.is_dead(&segment, table, row) {
                    found.push((Place::Segment(Arc::clone(&segment)), row));
                }
            }
        }
        Ok(found)
    }
}

/// Whether a section may have a row of this start. A series is in nearly every segment, and a point is
/// of one time alone; of any other row the start may change.
fn may_hold(section: &SectionSummary, table: Table, start_ns: Option<i64>) -> bool {
    let Some(start) = start_ns.filter(|_| table == Table::Points) else {
        return true;
    };
    (section.start_min..=section.start_max).contains(&start)
}
