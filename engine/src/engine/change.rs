//! What an event makes of the row that is there, worked out before anything is changed.
//!
//! The disk may refuse to read an older version (see `hold`), so all of them that a record needs are read
//! first. What is kept of them meanwhile is what the record makes of them, which the memtable takes next: of
//! the older versions one at a time is in memory, however many and large they are.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashSet;

use super::locate::{Older, Place, Sought};
use super::publish::{Applying, PublishError};
use crate::body::Content;
use crate::cost::{Known, Ready, costed};
use crate::fold::{Part, Parts};
use crate::row::{Event, Lsn, RowKey, Table};

/// The next version of a row.
pub(super) struct Change {
    /// The version that it takes the place of, or one that is lost.
    dead: Option<(Place, u32)>,
    /// Whether there was none before.
    is_first: bool,
    lsn_first: Lsn,
    times: (i64, Option<i64>),
    pub(super) content: Content,
}

impl Applying<'_> {
    /// What these events make of rows in segments, by the place of the event: none if it was there already. What is in
    /// memory is left out, since that reads by itself; so is an event behind another one of its row, which will be.
    pub(super) fn changes_of_stored(
        &mut self,
        events: &[Event],
        ready: &Ready,
    ) -> Result<VecDeque<(usize, Option<Change>)>, PublishError> {
        let mut changes = VecDeque::new();
        let mut changed = HashSet::new();
        // Events of a trace come together, and hardly any trace has a row in a segment.
        let mut last: Option<(Table, &str, Arc<Older>)> = None;
        for (place, event) in events.iter().enumerate() {
            let (table, key) = (event.table, &event.key);
            if table == Table::Runs {
                continue;
            }
            let older = match &last {
                Some((of, trace_id, older)) if *of == table && **trace_id == *key.trace_id => older,
                _ => {
                    let older = self.older(table, &key.trace_id);
                    &last.insert((table, &key.trace_id, older)).2
                }
            };
            if !self.may_be_stored(older, event)
                || changed.contains(&(table, key))
                || self.is_in_memory(older, table, key)
            {
                continue;
            }
            let sought = self.find_stored(table, key, event.start_ns)?;
            if matches!(sought, Sought::Absent) {
                continue;
            }
            let known = ready.at(&*self.writer.costs, place);
            let change = self.change(event, known, sought)?;
            if change.is_some() {
                changed.insert((table, key));
            }
            changes.push_back((place, change));
        }
        Ok(changes)
    }

    /// Folds one event into its row; `stored` is what it makes of a row in a segment, if one is there.
    pub(super) fn upsert(
        &mut self,
        event: Event,
        known: Option<Known>,
        stored: Option<Option<Change>>,
    ) -> Result<(), PublishError> {
        let change = match (self.live_in_memory(event.table, &event.key), stored) {
            (Some(found), _) => self.change(&event, known, Sought::Live(found))?,
            (None, Some(change)) => change,
            (None, None) => self.change(&event, known, Sought::Absent)?,
        };
        match change {
            Some(change) => self.make(event.table, event.key, change),
            None => self.duplicates += 1,
        }
        Ok(())
    }

    /// What an event makes of its row; none if it was there already. Changes nothing.
    fn change(
        &self,
        event: &Event,
        known: Option<Known>,
        old: Sought,
    ) -> Result<Option<Change>, PublishError> {
        let part = Part::of(event);
        let is_first = matches!(old, Sought::Absent);
        let (old, lost) = match old {
            Sought::Live(found) => (Some(found), None),
            Sought::Absent => (None, None),
            Sought::Lost(place) => (None, place),
        };
        let (times, content) = match &old {
            None if !part.partial => (
                (part.start_ns.unwrap_or(0), part.end_ns),
                Content::Complete {
                    stamp: part.stamp,
                    doc: part.doc,
                    cost: known.and_then(|known| known.0),
                },
            ),
            old => {
                let mut parts = match old {
                    Some(f) => Parts::from_body(&f.content.body(), f.start_ns, f.end_ns)?,
                    None => Parts::default(),
                };
                if !parts.add(part) {
                    return Ok(None);
                }
                let times = (parts.start_ns().unwrap_or(0), parts.end_ns());
                (times, Content::Folded(parts.body()))
            }
        };
        let is_priced = known.is_some() && matches!(content, Content::Complete { .. });
        let content = if event.table == Table::Spans && !is_priced {
            let of = (self.project, times.0);
            costed(&*self.writer.costs, of, content)?.0
        } else {
            content
        };
        let lsn_first = old.as_ref().map_or(self.lsn, |found| found.lsn_first);
        Ok(Some(Change {
            dead: old.map_or(lost, |found| Some((found.place, found.row))),
            is_first,
            lsn_first,
            times,
            content,
        }))
    }

    /// Puts the next version of a row in its place.
    fn make(&mut self, table: Table, key: RowKey, change: Change) {
        let at = (self.lsn, self.project);
        let is_span = table == Table::Spans;
        if is_span && !change.is_first {
            self.writer.behind.again(at, &key.trace_id);
        }
        let first_of = (is_span && change.is_first).then(|| key.trace_id.clone());
        let dead = change.dead.as_ref().map(|(place, row)| (place, *row));
        let row = self.row(key, change.times, change.lsn_first, change.content);
        let row = self.replace(table, dead, row);
        if let Some(trace_id) = first_of {
            self.writer.behind.new_span(at, &trace_id, row);
        }
    }
}

#[cfg(test)]
mod tests;
