//! Publish: what durable records change becomes visible, all of a record at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use obsrv_wal::log::Durable;

use super::commit::Committed;
use super::version::Writer;
use super::{Counters, Engine, Work, count};
use crate::body;
use crate::doc::{DocError, DocRef};
use crate::fold::{Part, Parts};
use crate::memtable::{MemRow, Memtable};
use crate::mutant::Bug;
use crate::row::{Event, Lsn, ProjectId, RowKey, Table};
use crate::run::{Run, SpanFacts};
use crate::segment::Segment;
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
enum Place {
    Memory(Arc<Memtable>),
    Segment(Arc<Segment>),
}

struct Found {
    place: Place,
    row: u32,
    start_ns: i64,
    end_ns: Option<i64>,
    lsn_first: Lsn,
    body: Bytes,
}

/// What a record does to one run.
#[derive(Default)]
struct RunChange {
    events: Vec<Part>,
    new_spans: Vec<Box<str>>,
    /// A span of it was superseded: the roll-up is made again.
    again: bool,
}

/// The application of one record.
struct Applying<'a> {
    writer: &'a mut Writer,
    active: Arc<Memtable>,
    project: ProjectId,
    lsn: Lsn,
    /// Segments that hold rows of a trace, looked up once per record.
    of_trace: HashMap<(Table, Box<str>), Vec<Arc<Segment>>>,
    duplicates: usize,
    superseded: usize,
}

impl Engine {
    /// Makes a group visible. The token proves that it is durable (I-1).
    pub(super) fn publish(
        &self,
        durable: &Durable,
        group: &[Committed],
    ) -> Result<(), PublishError> {
        let mut writer = self.writer.lock();
        let last = group.last().map_or(0, |c| c.lsn);
        if self.planted.has(Bug::PublishBeforeSync) && last <= writer.visible {
            return Ok(());
        }
        for committed in group {
            debug_assert!(
                committed.lsn <= durable.lsn(),
                "BUG: publish of an unsynced record"
            );
            match &committed.work {
                Work::Ingest {
                    submission, side, ..
                } => {
                    let project = ProjectId(submission.envelope.project);
                    let side = side.map(|s| s.number);
                    count(&self.counters.body_bytes, submission.body.len());
                    let at = (committed.lsn, project);
                    apply(&mut writer, &self.counters, at, &submission.events, side)?;
                }
                Work::Control { body, .. } => {
                    apply_control(&mut writer, committed.lsn, body.clone());
                }
                Work::Delete {
                    project, trace_id, ..
                } => {
                    let lsn = committed.lsn;
                    apply_delete(&mut writer, &self.counters, lsn, *project, trace_id)?;
                }
            }
            writer.visible = committed.lsn;
        }
        let version = writer.version();
        *self.version.write() = version;
        Ok(())
    }
}

/// Applies the events of one record. Also called by replay.
pub(super) fn apply(
    writer: &mut Writer,
    counters: &Counters,
    (lsn, project): (Lsn, ProjectId),
    events: &[Event],
    side: Option<u64>,
) -> Result<(), PublishError> {
    let mut applying = Applying::new(writer, lsn, project);
    applying.active.pending().lock().side_files.extend(side);
    let mut runs: BTreeMap<Box<str>, RunChange> = BTreeMap::new();
    for event in events {
        if event.table == Table::Runs {
            let change = runs.entry(event.key.trace_id.clone()).or_default();
            change.events.push(Part::of(event));
        } else {
            applying.upsert(event, &mut runs)?;
        }
    }
    for (trace_id, change) in runs {
        applying.update_run(trace_id, change)?;
    }
    count(&counters.events, events.len());
    count(&counters.duplicates, applying.duplicates);
    count(&counters.superseded, applying.superseded);
    Ok(())
}

/// Marks every row of a trace dead. Also called by replay.
pub(super) fn apply_delete(
    writer: &mut Writer,
    counters: &Counters,
    lsn: Lsn,
    project: ProjectId,
    trace_id: &str,
) -> Result<(), PublishError> {
    let mut applying = Applying::new(writer, lsn, project);
    for table in [
        Table::Runs,
        Table::Spans,
        Table::Logs,
        Table::Points,
        Table::Scores,
    ] {
        for (place, row) in applying.live_rows(table, trace_id)? {
            applying.kill(table, &place, row);
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
    fn new(writer: &'a mut Writer, lsn: Lsn, project: ProjectId) -> Self {
        let active = writer.active();
        active.note_record(lsn, RECORD_OVERHEAD_BYTES);
        Self {
            writer,
            active,
            project,
            lsn,
            of_trace: HashMap::new(),
            duplicates: 0,
            superseded: 0,
        }
    }

    /// Folds one event into its row.
    fn upsert(
        &mut self,
        event: &Event,
        runs: &mut BTreeMap<Box<str>, RunChange>,
    ) -> Result<(), PublishError> {
        let old = self.find(event.table, &event.key)?;
        let mut parts = match &old {
            Some(found) => Parts::from_body(&found.body, found.start_ns, found.end_ns)?,
            None => Parts::default(),
        };
        if !parts.add(Part::of(event)) {
            self.duplicates += 1;
            return Ok(());
        }
        let (start_ns, end_ns) = (parts.start_ns().unwrap_or(0), parts.end_ns());
        self.replace(
            event.table,
            event.key.clone(),
            old.as_ref(),
            (start_ns, end_ns, parts.body()),
        );
        if event.table == Table::Spans {
            let change = runs.entry(event.key.trace_id.clone()).or_default();
            change.again |= old.is_some();
            if old.is_none() {
                change.new_spans.push(event.key.id.clone());
            }
        }
        Ok(())
    }

    /// Brings a run's row up to date with its own events and its spans.
    fn update_run(&mut self, trace_id: Box<str>, change: RunChange) -> Result<(), PublishError> {
        let key = RowKey {
            trace_id: trace_id.clone(),
            id: trace_id,
        };
        let old = self.find(Table::Runs, &key)?;
        let before = match &old {
            Some(found) => Run::from_body(&found.body, found.start_ns, found.end_ns)?,
            None => Run::default(),
        };
        let mut run = before.clone();
        for part in change.events {
            if !run.parts.add(part) {
                self.duplicates += 1;
            }
        }
        if change.again {
            run.rollup = self.rollup_of(&key.trace_id)?;
        } else {
            for id in change.new_spans {
                let span = RowKey {
                    trace_id: key.trace_id.clone(),
                    id,
                };
                if let Some(found) = self.find(Table::Spans, &span)? {
                    run.rollup.add(facts(&span.id, &found)?);
                }
            }
        }
        if old.is_some() && run == before {
            return Ok(());
        }
        let (start_ns, end_ns, body) = (run.start_ns(), run.end_ns(), run.body());
        self.replace(Table::Runs, key, old.as_ref(), (start_ns, end_ns, body));
        Ok(())
    }

    fn rollup_of(&mut self, trace_id: &str) -> Result<crate::run::Rollup, PublishError> {
        let mut rollup = crate::run::Rollup::default();
        for (place, row) in self.live_rows(Table::Spans, trace_id)? {
            let (key, found) = self.read(Table::Spans, place, row)?;
            rollup.add(facts(&key.id, &found)?);
        }
        Ok(rollup)
    }

    /// Appends the new version of a row and marks the old one dead.
    fn replace(
        &mut self,
        table: Table,
        key: RowKey,
        old: Option<&Found>,
        (start_ns, end_ns, body): (i64, Option<i64>, Bytes),
    ) {
        if let Some(found) = old {
            self.kill(table, &found.place, found.row);
        }
        let lsn_first = old.map_or(self.lsn, |found| found.lsn_first);
        let row = MemRow {
            key,
            start_ns,
            end_ns,
            lsn_first,
            lsn_last: self.lsn,
            body,
        };
        self.active.push(self.project, table, row);
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
        self.active
            .pending()
            .lock()
            .marks
            .entry(section)
            .or_default()
            .insert(row);
    }

    /// The live row of a key, wherever it is.
    fn find(&mut self, table: Table, key: &RowKey) -> Result<Option<Found>, PublishError> {
        for memtable in self.writer.places.memtables.iter().rev() {
            let Some(rows) = memtable.table(self.project, table) else {
                continue;
            };
            if let Some((row, found)) = rows.find(key) {
                return Ok(Some(Found {
                    place: Place::Memory(Arc::clone(memtable)),
                    row,
                    start_ns: found.start_ns,
                    end_ns: found.end_ns,
                    lsn_first: found.lsn_first,
                    body: found.body,
                }));
            }
        }
        if self.writer.planted.has(Bug::DedupForgetsSegments) {
            return Ok(None);
        }
        for segment in self.segments_of(table, &key.trace_id) {
            let Some(section) = segment.section(self.project, table) else {
                continue;
            };
            let Some(row) = section.find(&key.trace_id, &key.id)? else {
                continue;
            };
            if self.is_dead(&segment, table, row) {
                continue;
            }
            return Ok(Some(self.read(table, Place::Segment(segment), row)?.1));
        }
        Ok(None)
    }

    fn read(&self, table: Table, place: Place, row: u32) -> Result<(RowKey, Found), PublishError> {
        let missing = || SourceError::Damaged {
            file: "row".to_owned(),
            offset: u64::from(row),
            what: "row number",
        };
        let (key, start_ns, end_ns, lsn_first, body) = match &place {
            Place::Memory(memtable) => {
                let rows = memtable.table(self.project, table).ok_or_else(missing)?;
                let found = rows.row(row).ok_or_else(missing)?;
                (
                    found.key,
                    found.start_ns,
                    found.end_ns,
                    found.lsn_first,
                    found.body,
                )
            }
            Place::Segment(segment) => {
                let section = segment.section(self.project, table).ok_or_else(missing)?;
                let found = section.row(row)?;
                (
                    found.key,
                    found.start_ns,
                    found.end_ns,
                    found.lsn_first,
                    found.body,
                )
            }
        };
        Ok((
            key,
            Found {
                place,
                row,
                start_ns,
                end_ns,
                lsn_first,
                body,
            },
        ))
    }

    fn is_dead(&self, segment: &Segment, table: Table, row: u32) -> bool {
        let section = (segment.id(), self.project, table);
        self.writer
            .dead
            .get(&section)
            .is_some_and(|dead| dead.contains(row))
    }

    fn segments_of(&mut self, table: Table, trace_id: &str) -> Vec<Arc<Segment>> {
        if let Some(known) = self.of_trace.get(&(table, trace_id.into())) {
            return known.clone();
        }
        let all = self.writer.places.of_project.get(&self.project);
        let holds = |segment: &&Arc<Segment>| {
            segment
                .section(self.project, table)
                .is_some_and(|s| s.has_trace(trace_id))
        };
        let found: Vec<_> = all.into_iter().flatten().filter(holds).cloned().collect();
        self.of_trace
            .insert((table, trace_id.into()), found.clone());
        found
    }

    /// The live rows of a trace, wherever they are.
    fn live_rows(
        &mut self,
        table: Table,
        trace_id: &str,
    ) -> Result<Vec<(Place, u32)>, PublishError> {
        let mut found = Vec::new();
        for memtable in self.writer.places.memtables.clone() {
            let Some(rows) = memtable.table(self.project, table) else {
                continue;
            };
            let live = rows.view_at(self.lsn).trace_rows(trace_id)? - rows.dead_at(self.lsn);
            found.extend(
                live.iter()
                    .map(|row| (Place::Memory(Arc::clone(&memtable)), row)),
            );
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

fn facts<'a>(id: &'a str, found: &'a Found) -> Result<SpanFacts<'a>, DocError> {
    let view: DocRef<'a> = body::view(&found.body)?;
    Ok(SpanFacts {
        id,
        start_ns: found.start_ns,
        end_ns: found.end_ns,
        view,
    })
}
