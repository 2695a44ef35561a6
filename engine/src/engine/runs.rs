//! Runs whose rows are behind their spans.
//!
//! A run's row is remade when somebody looks ([`Engine::snapshot`]), when the memtable is frozen, or
//! when many runs wait; not for each record. So a run that grows by a hundred records makes a few
//! rows. No reader ever sees the difference: every snapshot is taken with no run behind, but for those
//! that the disk refuses to read just then, and of their projects it answers nothing.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use bytes::Bytes;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use parking_lot::MutexGuard;

use super::locate::Sought;
use super::publish::{Applying, PublishError};
use super::version::Writer;
use super::{Counters, Engine};
use crate::doc::DocRef;
use crate::fold::Part;
use crate::row::{Lsn, ProjectId, RowKey, Table};
use crate::run::{Difference, Rollup, Run, SpanFacts};

/// Runs that may be behind, and new spans of theirs, before the index thread remakes their rows.
const BEHIND_MAX: Amount = Amount {
    runs: 1_024,
    spans: 8_192,
};
/// How much of that it does under one hold of the writer: a commit waits for it.
const PART: Amount = Amount {
    runs: 256,
    spans: 2_048,
};
/// Run states of one generation of the cache.
const CACHE_RUNS: usize = 2_048;

/// How many runs, and how many new spans of theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    runs: usize,
    spans: usize,
}

impl Amount {
    const fn reaches(self, max: Self) -> bool {
        self.runs >= max.runs || self.spans >= max.spans
    }

    /// In how many parts of that size it is done, about.
    const fn parts(self, size: Self) -> usize {
        self.runs / size.runs + self.spans / size.spans + 1
    }
}

/// What records did to one run since its row was made.
#[derive(Debug)]
pub(super) struct RunChange {
    project: ProjectId,
    trace_id: Box<str>,
    lsn_first: Lsn,
    lsn_last: Lsn,
    /// The run's own events.
    events: Vec<Part>,
    /// Rows of new spans in the active memtable.
    new_spans: Vec<u32>,
    /// A span of it was superseded: the roll-up is made again.
    again: bool,
    /// What deriving steps again changed.
    derived: Option<Difference>,
    /// When somebody last said something of it; none if what its steps say was derived again and that is all.
    said: Option<Lsn>,
}

impl RunChange {
    /// The new spans that are added one by one: if the roll-up is made again they are among all the others.
    fn counted(&self) -> usize {
        if self.again { 0 } else { self.new_spans.len() }
    }

    /// From now on its roll-up is made again. How many spans are added one by one no longer.
    fn count_again(&mut self) -> usize {
        let counted = self.counted();
        self.again = true;
        counted
    }

    /// Adds what came later.
    fn append(&mut self, later: Self) {
        self.lsn_last = later.lsn_last;
        self.events.extend(later.events);
        self.new_spans.extend(later.new_spans);
        self.again |= later.again;
        if let Some(derived) = &later.derived {
            self.derived.get_or_insert_default().and(derived);
        }
        self.said = later.said.or(self.said);
    }

    /// What is left for later if only so many of the new spans are added now.
    fn split_off(&mut self, spans: usize) -> Option<Self> {
        if self.counted() <= spans {
            return None;
        }
        Some(Self {
            trace_id: self.trace_id.clone(),
            events: Vec::new(),
            new_spans: self.new_spans.split_off(spans),
            // What was derived again may be of any of them.
            derived: self.derived.take(),
            ..*self
        })
    }
}

/// The runs that are behind.
#[derive(Debug, Default)]
pub(super) struct Behind {
    changes: HashTable<RunChange>,
    hasher: DefaultHashBuilder,
    /// Of all of them: see [`RunChange::counted`].
    spans: usize,
}

impl Behind {
    pub(super) fn amount(&self) -> Amount {
        Amount {
            runs: self.changes.len(),
            spans: self.spans,
        }
    }

    /// An event of the run itself.
    pub(super) fn event(&mut self, at: (Lsn, ProjectId), trace_id: &str, part: Part) {
        self.change(at, trace_id).events.push(part);
    }

    /// A span that was not there before, by its row in the active memtable.
    pub(super) fn new_span(&mut self, at: (Lsn, ProjectId), trace_id: &str, row: u32) {
        let change = self.change(at, trace_id);
        change.new_spans.push(row);
        self.spans += usize::from(!change.again);
    }

    /// A span was superseded.
    pub(super) fn again(&mut self, at: (Lsn, ProjectId), trace_id: &str) {
        let counted = self.change(at, trace_id).count_again();
        self.spans -= counted;
    }

    /// What follows from what spans say was derived again: nobody said anything new of it.
    pub(super) fn derived(&mut self, at: (Lsn, ProjectId), trace_id: &str, by: &Difference) {
        let change = self.change_at(at, trace_id);
        change.derived.get_or_insert_default().and(by);
    }

    /// The same where only all spans together tell what it comes to.
    pub(super) fn derived_all(&mut self, at: (Lsn, ProjectId), trace_id: &str) {
        let counted = self.change_at(at, trace_id).count_again();
        self.spans -= counted;
    }

    /// What is left of a run has been counted in with all its spans.
    fn counted_in(&mut self, project: ProjectId, trace_id: &str) {
        let hash = self.hasher.hash_one((project, trace_id));
        let same = |c: &RunChange| c.project == project && *c.trace_id == *trace_id;
        if let Some(left) = self.changes.find_mut(hash, same) {
            self.spans -= left.count_again();
        }
    }

    /// The trace was deleted: what came before has no effect.
    pub(super) fn forget(&mut self, project: ProjectId, trace_id: &str) {
        let hash = self.hasher.hash_one((project, trace_id));
        let same = |c: &RunChange| c.project == project && *c.trace_id == *trace_id;
        if let Ok(found) = self.changes.find_entry(hash, same) {
            let (change, _) = found.remove();
            self.spans -= change.counted();
        }
    }

    fn change(&mut self, at: (Lsn, ProjectId), trace_id: &str) -> &mut RunChange {
        let change = self.change_at(at, trace_id);
        change.said = Some(at.0);
        change
    }

    fn change_at(&mut self, (lsn, project): (Lsn, ProjectId), trace_id: &str) -> &mut RunChange {
        let hasher = &self.hasher;
        let hash = hasher.hash_one((project, trace_id));
        let same = |c: &RunChange| c.project == project && *c.trace_id == *trace_id;
        let rehash = |c: &RunChange| hasher.hash_one((c.project, &*c.trace_id));
        let entry = self.changes.entry(hash, same, rehash);
        let change = entry.or_insert_with(|| RunChange {
            project,
            trace_id: trace_id.into(),
            lsn_first: lsn,
            lsn_last: lsn,
            events: Vec::new(),
            new_spans: Vec::new(),
            again: false,
            derived: None,
            said: None,
        });
        let change = change.into_mut();
        change.lsn_last = lsn;
        change
    }

    /// One that was taken and could not be followed, before what came of it since.
    fn put_back(&mut self, mut change: RunChange) {
        let hasher = &self.hasher;
        let of = |c: &RunChange| hasher.hash_one((c.project, &*c.trace_id));
        let same = |c: &RunChange| c.project == change.project && c.trace_id == change.trace_id;
        if let Ok(found) = self.changes.find_entry(of(&change), same) {
            let (later, _) = found.remove();
            self.spans -= later.counted();
            change.append(later);
        }
        self.spans += change.counted();
        self.changes.insert_unique(of(&change), change, of);
    }

    /// All of them, in an order that does not depend on hashing: that of the last records, so that no row is made behind
    /// one of a later record.
    fn take(&mut self) -> Vec<RunChange> {
        let mut changes: Vec<_> = self.changes.drain().collect();
        self.spans = 0;
        changes.sort_unstable_by(|a, b| {
            (a.lsn_last, a.project, &a.trace_id).cmp(&(b.lsn_last, b.project, &b.trace_id))
        });
        changes
    }

    /// The first of them, as many as may be at once. Of a run with more spans than that it is a part, and what is left of
    /// it comes next.
    fn take_part(&mut self, size: Amount) -> Vec<RunChange> {
        let (mut part, mut room) = (Vec::new(), size);
        let mut all = self.take().into_iter();
        while room.runs > 0
            && room.spans > 0
            && let Some(mut change) = all.next()
        {
            let left = change.split_off(room.spans);
            room.runs -= 1;
            room.spans -= change.counted();
            part.push(change);
            if let Some(left) = left {
                self.put_back(left);
            }
        }
        all.for_each(|change| self.put_back(change));
        part
    }
}

/// States of the runs that changed last, so that their rows need not be decoded. Two generations:
/// when the young one is full it becomes the old one.
#[derive(Debug, Default)]
pub(super) struct RunCache {
    young: HashMap<(ProjectId, Box<str>), Run>,
    old: HashMap<(ProjectId, Box<str>), Run>,
}

impl RunCache {
    fn take(&mut self, key: &(ProjectId, Box<str>)) -> Option<Run> {
        let young = self.young.remove(key);
        let old = self.old.remove(key);
        young.or(old)
    }

    /// The run's row is another than the one that was made of its state.
    pub(super) fn forget(&mut self, project: ProjectId, trace_id: &str) {
        drop(self.take(&(project, trace_id.into())));
    }

    fn put(&mut self, key: (ProjectId, Box<str>), run: Run) {
        if self.young.len() >= CACHE_RUNS {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, run);
    }
}

impl Engine {
    /// Remakes the rows of runs if many are behind, a part at a time. What the disk refuses to read stays behind.
    pub(super) fn settle_if_many(&self) -> Result<(), PublishError> {
        let behind = self.writer.lock().behind.amount();
        if !behind.reaches(BEHIND_MAX) {
            return Ok(());
        }
        for _ in 0..behind.parts(PART) {
            let mut writer = self.writer.lock();
            let part = writer.behind.take_part(PART);
            let unread = settle_each(&mut writer, &self.counters, part)?;
            if !unread.is_empty() {
                // They would come first again.
                settle(&mut writer, &self.counters)?;
                return Ok(());
            }
            MutexGuard::unlock_fair(writer);
        }
        Ok(())
    }

    /// Whether [`Engine::settle_if_many`] has something to do.
    pub(super) fn many_behind(writer: &Writer) -> bool {
        writer.behind.amount().reaches(BEHIND_MAX)
    }
}

/// Projects with a run of which the disk refuses to read what its row is made of, and why.
pub(super) type Unread = BTreeMap<ProjectId, PublishError>;

/// Remakes the row of every run that is behind. One that cannot be remade for now stays behind.
pub(super) fn settle(writer: &mut Writer, counters: &Counters) -> Result<Unread, PublishError> {
    let all = writer.behind.take();
    settle_each(writer, counters, all)
}

fn settle_each(
    writer: &mut Writer,
    counters: &Counters,
    changes: Vec<RunChange>,
) -> Result<Unread, PublishError> {
    let mut unread = Unread::new();
    for mut change in changes {
        let mut applying = Applying::new(writer, change.lsn_last, change.project);
        match update(&mut applying, &mut change) {
            Ok(()) => applying.count(counters),
            Err(error) if error.may_pass() => {
                unread.insert(change.project, error);
                writer.behind.put_back(change);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(unread)
}

/// Brings a run's row up to date with its own events and its spans. Whatever is read is read before anything
/// is changed.
fn update(applying: &mut Applying<'_>, change: &mut RunChange) -> Result<(), PublishError> {
    let trace_id = change.trace_id.clone();
    let key = RowKey {
        trace_id: trace_id.clone(),
        id: trace_id.clone(),
    };
    let old = applying.find(Table::Runs, &key, None)?;
    if change.said.is_none() && matches!(old, Sought::Absent) {
        return Ok(());
    }
    // What the lost row said of the spans is made again.
    let is_lost = matches!(old, Sought::Lost(_));
    let again = change.again || is_lost;
    let rollup = again
        .then(|| rollup_of(applying, &key.trace_id))
        .transpose()?;
    if is_lost {
        let behind = &mut applying.writer.behind;
        behind.counted_in(change.project, &key.trace_id);
    }
    applying.bury(Table::Runs, &old);
    let old = old.live();
    let cached_as = (change.project, trace_id);
    let cached = applying.writer.run_cache.take(&cached_as);
    let mut run = match (&old, cached) {
        (None, _) => Run::default(),
        (Some(_), Some(run)) => run,
        (Some(found), None) => {
            // A copy: the state outlives the block that the body is a part of.
            let body = Bytes::copy_from_slice(&found.content.body());
            Run::from_body(&body, found.start_ns, found.end_ns)?
        }
    };
    let mut changed = old.is_none();
    for part in std::mem::take(&mut change.events) {
        let added = run.parts.add(part);
        applying.duplicates += usize::from(!added);
        changed |= added;
    }
    if let Some(rollup) = rollup {
        applying.rollups += 1;
        changed |= rollup != run.rollup;
        run.rollup = rollup;
    } else {
        changed |= !change.new_spans.is_empty();
        add_spans(applying, &mut run.rollup, &change.new_spans)?;
        if let Some(derived) = &change.derived {
            run.rollup.take_over(derived);
        }
    }
    let body = (changed || change.derived.is_some()).then(|| run.body());
    // What the run itself states may be priced for the first time.
    let is_other = |body: &Bytes| old.as_ref().is_none_or(|f| f.content.body() != *body);
    if let Some(body) = body.filter(|body| changed || is_other(body)) {
        let (start_ns, end_ns) = (run.start_ns(), run.end_ns());
        let lsn_first = old.as_ref().map_or(change.lsn_first, |f| f.lsn_first);
        let content = crate::body::Content::Folded(body);
        let mut row = applying.row(key, (start_ns, end_ns), lsn_first, content);
        if let Some(said) = change.said.or(old.as_ref().map(|found| found.lsn_last)) {
            row.lsn_last = said;
        }
        let old = old.as_ref().map(|found| (&found.place, found.row));
        applying.replace(Table::Runs, old, row);
    }
    applying.writer.run_cache.put(cached_as, run);
    Ok(())
}

/// Adds rows of the active memtable to a roll-up.
fn add_spans(
    applying: &mut Applying<'_>,
    rollup: &mut Rollup,
    rows: &[u32],
) -> Result<(), PublishError> {
    let spans = applying.active_table(Table::Spans);
    for row in rows {
        let Some(span) = spans.row(*row) else {
            continue;
        };
        let view = span.content.view()?;
        rollup.add(SpanFacts {
            id: &span.key.id,
            start_ns: span.start_ns,
            end_ns: span.end_ns,
            view: DocRef::parse(&view)?,
        });
    }
    Ok(())
}

/// The roll-up of all live spans of a trace.
fn rollup_of(applying: &mut Applying<'_>, trace_id: &str) -> Result<Rollup, PublishError> {
    let mut rollup = Rollup::default();
    for (place, row) in applying.live_rows(Table::Spans, trace_id)? {
        let Some((key, found)) = applying.read(Table::Spans, &place, row)? else {
            continue;
        };
        let view = found.content.view()?;
        rollup.add(SpanFacts {
            id: &key.id,
            start_ns: found.start_ns,
            end_ns: found.end_ns,
            view: DocRef::parse(&view)?,
        });
    }
    Ok(rollup)
}

#[cfg(test)]
mod tests;
