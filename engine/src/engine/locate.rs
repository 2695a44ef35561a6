//! Where the rows are that a record changes.
//!
//! A block that does not read must not keep what comes from being written: what was in it is lost,
//! whatever is done next, and a record that cannot be applied would stop every open, too. So a look-up
//! goes round what can be derived, and of facts says that they are lost: the event becomes the row
//! alone, the roll-up is made of the spans that read, and [`Applying::lost`] counts what was passed
//! over. A disk that refuses to read facts is another matter: that may pass, and what is there is not
//! known. So all that a record asks for is read before anything is changed, and the record waits if
//! something is refused (see `hold`).

use std::sync::Arc;

use super::deletion::RowAt;
use super::publish::{Applying, Held, PublishError};
use crate::body::Content;
use crate::memtable::{MemRow, Memtable};
use crate::mutant::Bug;
use crate::row::{Event, Lsn, RowKey, Table};
use crate::segment::{SectionReader, SectionSummary, Segment};
use crate::source::{Source, SourceError};

/// Where the live row of a key is.
#[derive(Clone)]
pub(super) enum Place {
    Memory(Arc<Memtable>),
    Segment(Arc<Segment>),
}

/// A row, read.
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) row: u32,
    pub(super) start_ns: i64,
    pub(super) end_ns: Option<i64>,
    pub(super) lsn_first: Lsn,
    pub(super) lsn_last: Lsn,
    pub(super) content: Content,
}

/// What there is of a key.
pub(super) enum Sought {
    Live(Found),
    Absent,
    /// There was a row, or may have been one, in a block that does not read. Where, if that is known:
    /// [`Applying::bury`] marks it dead.
    Lost(Option<(Place, u32)>),
}

impl Sought {
    /// The row, if it reads.
    pub(super) fn live(self) -> Option<Found> {
        match self {
            Self::Live(found) => Some(found),
            Self::Absent | Self::Lost(_) => None,
        }
    }
}

/// What holds rows of a trace, the active memtable aside.
pub(super) struct Older {
    /// Newest first.
    memory: Vec<Held>,
    segments: Vec<Arc<Segment>>,
}

/// Where a key is in the segments.
#[derive(Default)]
struct Flushed {
    at: Option<(Arc<Segment>, u32)>,
    /// A section that may hold it could not be searched.
    lost: bool,
}

impl Place {
    /// The number of its memtable or segment.
    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Memory(memtable) => memtable.number(),
            Self::Segment(segment) => segment.id(),
        }
    }
}

impl Applying<'_> {
    /// The live row of a key, wherever it is. `start_ns` is what the event says. Changes nothing.
    pub(super) fn find(
        &mut self,
        table: Table,
        key: &RowKey,
        start_ns: Option<i64>,
    ) -> Result<Sought, PublishError> {
        match self.live_in_memory(table, key) {
            Some(found) => Ok(Sought::Live(found)),
            None => self.find_stored(table, key, start_ns),
        }
    }

    /// Whether a segment may have the row of an event. `older` is of its trace.
    pub(super) fn may_be_stored(&self, older: &Older, event: &Event) -> bool {
        let of_table = |segment: &Arc<Segment>| {
            let section = segment.section(self.project, event.table);
            section.is_some_and(|s| may_hold(s.summary(), event.table, event.start_ns))
        };
        older.segments.iter().any(of_table)
    }

    /// Whether a memtable has the live row of a key. `older` is of its trace.
    pub(super) fn is_in_memory(&mut self, older: &Older, table: Table, key: &RowKey) -> bool {
        let held = self.memory(table);
        let mut all = held.last().into_iter().chain(&older.memory);
        all.any(|(_, rows)| rows.has(key))
    }

    /// The live row of a key in a memtable.
    pub(super) fn live_in_memory(&mut self, table: Table, key: &RowKey) -> Option<Found> {
        let (memtable, row, found) = self.find_in_memory(table, key)?;
        Some(Found {
            place: Place::Memory(memtable),
            row,
            start_ns: found.start_ns,
            end_ns: found.end_ns,
            lsn_first: found.lsn_first,
            lsn_last: found.lsn_last,
            content: found.content,
        })
    }

    /// The live row of a key in a segment.
    pub(super) fn find_stored(
        &mut self,
        table: Table,
        key: &RowKey,
        start_ns: Option<i64>,
    ) -> Result<Sought, PublishError> {
        if self.writer.planted.has(Bug::DedupForgetsSegments) {
            return Ok(Sought::Absent);
        }
        let Flushed { at, lost } = self.find_flushed(table, key, start_ns)?;
        let Some((segment, row)) = at else {
            let lost = lost.then_some(Sought::Lost(None));
            return Ok(lost.unwrap_or(Sought::Absent));
        };
        let place = Place::Segment(segment);
        let found = self.read(table, &place, row)?;
        Ok(
            found.map_or(Sought::Lost(Some((place, row))), |(_, found)| {
                Sought::Live(found)
            }),
        )
    }

    /// Marks a row dead that is lost, if its place is known.
    pub(super) fn bury(&mut self, table: Table, sought: &Sought) {
        if let Sought::Lost(Some((place, row))) = sought {
            self.kill(table, place, *row);
        }
    }

    /// The live row of a key in the memtables.
    fn find_in_memory(
        &mut self,
        table: Table,
        key: &RowKey,
    ) -> Option<(Arc<Memtable>, u32, MemRow)> {
        let held = self.memory(table);
        let older = self.older(table, &key.trace_id);
        let mut all = held.last().into_iter().chain(&older.memory);
        all.find_map(|(memtable, rows)| {
            let (row, found) = rows.find(key)?;
            Some((Arc::clone(memtable), row, found))
        })
    }

    /// The live row of a key in the segments. Reads no payload.
    fn find_flushed(
        &mut self,
        table: Table,
        key: &RowKey,
        start_ns: Option<i64>,
    ) -> Result<Flushed, PublishError> {
        let mut lost = false;
        for segment in &self.older(table, &key.trace_id).segments {
            let Some(section) = segment.section(self.project, table) else {
                continue;
            };
            if !may_hold(section.summary(), table, start_ns) {
                continue;
            }
            let find = |section: &SectionReader| section.find(&key.trace_id, &key.id);
            let row = match self.going_round(section, find)? {
                Some(Some(row)) => row,
                Some(None) => continue,
                None => {
                    lost = true;
                    continue;
                }
            };
            if self.is_dead(segment, table, row) {
                continue;
            }
            let at = Some((Arc::clone(segment), row));
            return Ok(Flushed { at, lost });
        }
        Ok(Flushed { at: None, lost })
    }

    /// Asks a section, and once more without what did not read the first time; `None` if that was
    /// facts, which are lost. An error if the disk refuses facts: they may be there.
    fn going_round<T>(
        &mut self,
        section: &SectionReader,
        ask: impl Fn(&SectionReader) -> Result<T, SourceError>,
    ) -> Result<Option<T>, PublishError> {
        match ask(section).or_else(|_| ask(section)) {
            Ok(answer) => Ok(Some(answer)),
            Err(SourceError::Damaged { .. }) => {
                self.lost += 1;
                Ok(None)
            }
            Err(error @ SourceError::Io { .. }) => Err(error.into()),
        }
    }

    /// Where the live row of a key is.
    pub(super) fn locate(
        &mut self,
        table: Table,
        at: &RowAt,
    ) -> Result<Option<(Place, u32)>, PublishError> {
        if let Some((memtable, row, _)) = self.find_in_memory(table, &at.key) {
            return Ok(Some((Place::Memory(memtable), row)));
        }
        let flushed = self.find_flushed(table, &at.key, Some(at.start_ns))?;
        Ok(flushed
            .at
            .map(|(segment, row)| (Place::Segment(segment), row)))
    }

    /// A row; `None` if it does not read, and is lost.
    pub(super) fn read(
        &mut self,
        table: Table,
        place: &Place,
        row: u32,
    ) -> Result<Option<(RowKey, Found)>, PublishError> {
        let found = match place {
            Place::Memory(memtable) => memtable
                .table(self.project, table)
                .and_then(|rows| rows.row(row)),
            Place::Segment(segment) => {
                let Some(section) = segment.section(self.project, table) else {
                    return Ok(None);
                };
                let stored = self.going_round(section, |section| section.row(row))?;
                stored.map(|stored| MemRow {
                    key: stored.key,
                    start_ns: stored.start_ns,
                    end_ns: stored.end_ns,
                    lsn_first: stored.lsn_first,
                    lsn_last: stored.lsn_last,
                    made: stored.lsn_last,
                    content: stored.content,
                })
            }
        };
        let Some(found) = found else {
            return Ok(None);
        };
        let MemRow {
            key,
            start_ns,
            end_ns,
            lsn_first,
            lsn_last,
            content,
            ..
        } = found;
        let found = Found {
            place: place.clone(),
            row,
            start_ns,
            end_ns,
            lsn_first,
            lsn_last,
            content,
        };
        Ok(Some((key, found)))
    }

    fn is_dead(&self, segment: &Segment, table: Table, row: u32) -> bool {
        let section = (segment.id(), self.project, table);
        self.writer
            .dead
            .get(&section)
            .is_some_and(|dead| dead.contains(row))
    }

    /// Every record has many rows of few traces, and most traces are in few places.
    pub(super) fn older(&mut self, table: Table, trace_id: &str) -> Arc<Older> {
        if let Some(known) = self.of_trace[table.index()].get(trace_id) {
            return Arc::clone(known);
        }
        let held = self.memory(table);
        // The last is the active one.
        let frozen = held.iter().rev().skip(1);
        let all = self.writer.places.of_project.get(&self.project);
        let holds = |segment: &&Arc<Segment>| {
            segment
                .section(self.project, table)
                .is_some_and(|s| s.has_trace(trace_id))
        };
        let older = Arc::new(Older {
            memory: frozen
                .filter(|(_, rows)| rows.has_trace(trace_id))
                .cloned()
                .collect(),
            segments: all.into_iter().flatten().filter(holds).cloned().collect(),
        });
        self.of_trace[table.index()].insert(trace_id.into(), Arc::clone(&older));
        older
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
        for segment in &self.older(table, trace_id).segments {
            let Some(section) = segment.section(self.project, table) else {
                continue;
            };
            let rows = self.going_round(section, |section| section.trace_rows(trace_id))?;
            for row in rows.unwrap_or_default() {
                if !self.is_dead(segment, table, row) {
                    found.push((Place::Segment(Arc::clone(segment)), row));
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
