//! What a query may cost, and what it did cost.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use roaring::RoaringBitmap;

use super::QueryError;
use super::divide::{Held, Processors};
use super::guess::Guess;
use super::plan::Node;
use super::search::TRACES_MAX;
use super::weight::Weight;
use crate::source::Source;

/// What a query may cost. The caller sets it from the memory and time that it has.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    /// Live rows of the row groups that are looked into.
    pub rows_max: u64,
    /// Bytes that are held: of the bodies in the page and, counted apart, of the groups of an aggregate with what
    /// tests of other rows found.
    pub bytes_max: u64,
    /// Bytes of bodies that are read to decide or to order rows, one after the other.
    pub read_bytes_max: u64,
    /// Asked every now and then; true ends the query.
    pub cancelled: &'a dyn Fn() -> bool,
    /// What it may read documents on; `None`: on the thread of the caller alone.
    pub processors: Option<&'a Processors>,
    /// Told what more the question comes to, as soon as that is known; it may wait, and false ends the query. `None`:
    /// nobody asks.
    pub weigh: Option<&'a dyn Fn(Weight) -> bool>,
}

impl std::fmt::Debug for Budget<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Budget")
            .field("rows_max", &self.rows_max)
            .field("bytes_max", &self.bytes_max)
            .field("read_bytes_max", &self.read_bytes_max)
            .finish_non_exhaustive()
    }
}

/// What a query did. Sources and row groups count those of spans and scores, too, if a test of these made it
/// look there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explain {
    /// Sources of the snapshot.
    pub sources: u64,
    /// Sources of which no row group was looked into.
    pub sources_pruned: u64,
    /// Row groups that have live rows.
    pub groups: u64,
    /// Row groups left out because the filter or the cursor excludes their starts.
    pub groups_pruned_by_time: u64,
    /// Row groups left out because no row of them could be on the page any more.
    pub groups_pruned_by_order: u64,
    /// Row groups looked into.
    pub groups_visited: u64,
    /// Live rows in those.
    pub rows_visited: u64,
    /// Rows that the columns could not decide.
    pub rows_in_doubt: u64,
    /// Bodies read to decide or to order rows; those of the page are not counted.
    pub bodies_read: u64,
    /// Bytes of those.
    pub bytes_read: u64,
    /// Payload blocks that an index of terms left, once for every part of the filter that asked.
    pub blocks_by_index: u64,
    /// Payload blocks that it ruled out.
    pub blocks_pruned_by_index: u64,
    /// Payload blocks with rows that no index helped to decide: they would all be read for a total.
    pub blocks_scanned: u64,
    /// Payload blocks of which bodies were read to decide or to order rows.
    pub blocks_verified: u64,
    /// Rows counted by the index of terms alone.
    pub rows_counted_by_index: u64,
    /// Bytes of the bodies of the page.
    pub page_bytes: u64,
    /// The page has fewer rows than asked for because it would exceed [`Budget::bytes_max`]; the
    /// cursor goes on after it.
    pub page_cut: bool,
    /// Row groups times columns that must be looked at whatever is found, as estimated before anything was: see
    /// [`Weight::values`].
    pub estimate: u64,
    /// Sources whose share of an aggregate was known from before. Their rows are not counted as
    /// visited.
    pub partials_known: u64,
    /// Most bytes that the groups of an aggregate, and what tests of other rows found, took at once.
    pub state_bytes: u64,
    /// Most threads at once that decided rows, beside the one that asked.
    pub helpers: u64,
    /// Of the row groups looked into, those of scores that a score test asked for.
    pub score_groups_visited: u64,
    /// Of the rows visited, those in these.
    pub score_rows_visited: u64,
    /// Traces, or spans, of the scores that passed, once for every score test.
    pub scored: u64,
    /// The parts of the filter that left rows in doubt, and the order if it needed bodies.
    pub verified: BTreeSet<String>,
    /// The parts of conjunctions that columns were asked for, by what they test.
    pub parts: BTreeMap<String, Guessed>,
}

/// What was guessed of a part of a conjunction, and what came of it, over all row groups in which it was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guessed {
    /// Rows that the parts before it had left.
    pub rows: u64,
    /// How many of them it was to leave.
    pub guess: u64,
    /// How many it left: they pass, or columns cannot tell.
    pub left: u64,
    /// Row groups in which nothing was left to look at.
    pub skipped: u64,
}

impl Guessed {
    fn add(&mut self, other: Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.guess = self.guess.saturating_add(other.guess);
        self.left = self.left.saturating_add(other.left);
        self.skipped = self.skipped.saturating_add(other.skipped);
    }
}

impl Explain {
    /// Adds what another query of the same answer did.
    pub fn add(&mut self, other: Self) {
        let Self {
            sources,
            sources_pruned,
            groups,
            groups_pruned_by_time,
            groups_pruned_by_order,
            groups_visited,
            rows_visited,
            rows_in_doubt,
            bodies_read,
            bytes_read,
            blocks_by_index,
            blocks_pruned_by_index,
            blocks_scanned,
            blocks_verified,
            rows_counted_by_index,
            page_bytes,
            page_cut,
            estimate,
            partials_known,
            state_bytes,
            helpers,
            score_groups_visited,
            score_rows_visited,
            scored,
            verified,
            parts,
        } = other;
        self.sources += sources;
        self.sources_pruned += sources_pruned;
        self.groups += groups;
        self.groups_pruned_by_time += groups_pruned_by_time;
        self.groups_pruned_by_order += groups_pruned_by_order;
        self.groups_visited += groups_visited;
        self.rows_visited += rows_visited;
        self.rows_in_doubt += rows_in_doubt;
        self.bodies_read += bodies_read;
        self.bytes_read += bytes_read;
        self.blocks_by_index += blocks_by_index;
        self.blocks_pruned_by_index += blocks_pruned_by_index;
        self.blocks_scanned += blocks_scanned;
        self.blocks_verified += blocks_verified;
        self.rows_counted_by_index += rows_counted_by_index;
        self.page_bytes += page_bytes;
        self.page_cut |= page_cut;
        self.estimate += estimate;
        self.partials_known += partials_known;
        self.state_bytes = self.state_bytes.max(state_bytes);
        self.helpers = self.helpers.max(helpers);
        self.score_groups_visited += score_groups_visited;
        self.score_rows_visited += score_rows_visited;
        self.scored += scored;
        self.verified.extend(verified);
        for (name, part) in parts {
            self.add_part(name, part);
        }
    }

    fn add_part(&mut self, name: String, part: Guessed) {
        self.parts.entry(name).or_default().add(part);
    }
}

/// Counts against a budget.
#[derive(Debug)]
pub(crate) struct Meter<'a> {
    budget: &'a Budget<'a>,
    pub(super) explain: Explain,
    blocks: BlocksRead,
    /// Bytes read by all parts of the query, from when it was divided first.
    shared: Option<Arc<AtomicU64>>,
    found: Found,
    /// Bytes of bodies since the last question whether the caller gave up.
    unchecked: u64,
    /// Bytes of bodies that are held to the end: those of a trace, which is light however large.
    kept: u64,
    /// What [`Budget::weigh`] was told.
    told: Cell<Weight>,
    /// Of the parts of each conjunction over each source, by their addresses.
    pub(super) guesses: HashMap<(usize, usize), Arc<[Guess]>>,
    _processor: Option<Held<'a>>,
}

/// What tests of other rows found and hold, all of a query together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    ids: usize,
    bytes: usize,
}

/// Blocks that were read, by the address of their source.
type BlocksRead = BTreeMap<usize, RoaringBitmap>;

/// What a part of a query did that had a meter of its own.
#[derive(Debug)]
pub(super) struct Spent {
    explain: Explain,
    blocks: BlocksRead,
}

/// Most conjunctions over a source of which guesses are kept.
const GUESSES_MAX: usize = 1_024;

/// Rows that are looked at one by one, or traces that are looked up, between two questions whether the caller gave
/// up. What reads columns asks for each column of a row group.
const ROWS_PER_CHECK: u64 = 64;
/// Bodies between two such questions, and their bytes; one body may have more.
const BODIES_PER_CHECK: u64 = 64;
const BODY_BYTES_PER_CHECK: u64 = 4 << 20;

impl<'a> Meter<'a> {
    pub(crate) fn new(budget: &'a Budget<'a>) -> Self {
        Self {
            budget,
            explain: Explain::default(),
            blocks: BTreeMap::new(),
            shared: None,
            found: Found::default(),
            unchecked: 0,
            kept: 0,
            told: Cell::default(),
            guesses: HashMap::new(),
            _processor: budget.processors.map(Processors::enter),
        }
    }

    pub(super) fn processors(&self) -> Option<&'a Processors> {
        self.budget.processors
    }

    /// Whether a processor is free beside the one that it has.
    pub(super) fn has_spare(&self) -> bool {
        self.budget.processors.is_some_and(Processors::has_spare)
    }

    pub(super) fn read_bytes_max(&self) -> u64 {
        self.budget.read_bytes_max
    }

    /// The bytes of bodies that it read, to be counted together with those that others read for the same query.
    pub(super) fn share(&mut self) -> Arc<AtomicU64> {
        let read = AtomicU64::new(self.explain.bytes_read);
        Arc::clone(self.shared.insert(Arc::new(read)))
    }

    /// Of a part of a query that shared what it read.
    pub(super) fn sharing(budget: &'a Budget<'a>, read: Arc<AtomicU64>) -> Self {
        Self {
            shared: Some(read),
            ..Self::new(budget)
        }
    }

    /// What was done so far, to come back to if what follows is for nothing.
    pub(super) fn mark(&self) -> Spent {
        Spent {
            explain: self.explain.clone(),
            blocks: self.blocks.clone(),
        }
    }

    /// As if nothing had been done since.
    pub(super) fn back_to(&mut self, mark: Spent) {
        (self.explain, self.blocks, self.shared) = (mark.explain, mark.blocks, None);
    }

    pub(super) fn into_spent(self) -> Spent {
        Spent {
            explain: self.explain,
            blocks: self.blocks,
        }
    }

    /// Adds what a part of the query did that shared what it read. A block that both have read counts once.
    pub(super) fn add(&mut self, spent: Spent) {
        self.explain.add(spent.explain);
        for (source, read) in spent.blocks {
            let known = self.blocks.entry(source).or_default();
            self.explain.blocks_verified -= known.intersection_len(&read);
            *known |= read;
        }
    }

    pub(super) fn check(&self) -> Result<(), QueryError> {
        if (self.budget.cancelled)() || !self.is_borne() {
            Err(QueryError::Cancelled)
        } else {
            Ok(())
        }
    }

    /// Tells what the question comes to by now, if that is more than it was.
    fn is_borne(&self) -> bool {
        let Some(weigh) = self.budget.weigh else {
            return true;
        };
        let read = self.shared.as_ref().map(|all| all.load(Ordering::Relaxed));
        let read = read.unwrap_or(0).max(self.explain.bytes_read);
        let now = Weight {
            bytes: read.saturating_sub(self.kept),
            ..self.explain.weight()
        };
        let more = now.since(self.told.get());
        self.told.set(self.told.get().and(more));
        more == Weight::default() || weigh(more)
    }

    pub(super) fn keep_guesses(&mut self, key: (usize, usize), guesses: &Arc<[Guess]>) {
        if self.guesses.len() >= GUESSES_MAX {
            self.guesses.clear();
        }
        self.guesses.insert(key, Arc::clone(guesses));
    }

    /// A part of a conjunction was to leave so many of the rows before it, and left so many.
    pub(super) fn note_part(&mut self, part: &Node<'_>, guess: u64, (rows, left): (u64, u64)) {
        let guessed = Guessed {
            rows,
            guess,
            left,
            skipped: 0,
        };
        self.explain.add_part(part.name(), guessed);
    }

    /// It was not looked at in a row group, since nothing was left.
    pub(super) fn skip_part(&mut self, part: &Node<'_>) {
        let skipped = Guessed {
            skipped: 1,
            ..Guessed::default()
        };
        self.explain.add_part(part.name(), skipped);
    }

    /// The same for one of many rows or traces, of which this is the `n`th.
    pub(super) fn check_at(&self, n: u64) -> Result<(), QueryError> {
        if n.is_multiple_of(ROWS_PER_CHECK) {
            self.check()
        } else {
            Ok(())
        }
    }

    /// So many row groups times columns must be looked at.
    pub(super) fn foresee(&mut self, values: u64) -> Result<(), QueryError> {
        self.explain.estimate = self.explain.estimate.saturating_add(values);
        self.check()
    }

    /// A row group with so many live rows is looked into.
    pub(super) fn visit_group(&mut self, rows: u64) -> Result<(), QueryError> {
        self.check()?;
        self.explain.groups_visited += 1;
        self.explain.rows_visited = self.explain.rows_visited.saturating_add(rows);
        if self.explain.rows_visited > self.budget.rows_max {
            return Err(QueryError::BudgetExceeded {
                what: "rows",
                max: self.budget.rows_max,
            });
        }
        Ok(())
    }

    /// Tests of other rows hold so many more traces, or spans, of so many bytes: up to [`TRACES_MAX`] of all of
    /// them together.
    pub(super) fn find(&mut self, ids: usize, bytes: usize) -> Result<(), QueryError> {
        self.found.ids = self.found.ids.saturating_add(ids);
        self.found.bytes = self.found.bytes.saturating_add(bytes);
        if self.found.ids > TRACES_MAX {
            return Err(QueryError::BudgetExceeded {
                what: "traces",
                max: len_u64(TRACES_MAX),
            });
        }
        self.hold(0)
    }

    /// What tests of other rows hold by now.
    pub(super) const fn found(&self) -> Found {
        self.found
    }

    /// What they found since is let go.
    pub(super) const fn let_go(&mut self, since: Found) {
        self.found = since;
    }

    /// The groups of an aggregate take so many bytes now, beside what tests of other rows hold.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), QueryError> {
        self.check()?;
        let bytes = len_u64(bytes.saturating_add(self.found.bytes));
        self.explain.state_bytes = self.explain.state_bytes.max(bytes);
        if bytes > self.budget.bytes_max {
            return Err(QueryError::BudgetExceeded {
                what: "memory",
                max: self.budget.bytes_max,
            });
        }
        Ok(())
    }

    /// A body was read to decide or to order a row, and is let go.
    pub(super) fn read_body(&mut self, bytes: usize) -> Result<(), QueryError> {
        self.take_body(bytes, self.budget.read_bytes_max)
    }

    /// A body was read that is held to the end of the query.
    pub(crate) fn keep_body(&mut self, bytes: usize) -> Result<(), QueryError> {
        self.kept = self.kept.saturating_add(len_u64(bytes));
        self.take_body(bytes, self.budget.bytes_max)
    }

    fn take_body(&mut self, bytes: usize, max: u64) -> Result<(), QueryError> {
        let bytes = len_u64(bytes);
        self.unchecked = self.unchecked.saturating_add(bytes);
        let is_due = self.explain.bodies_read.is_multiple_of(BODIES_PER_CHECK);
        if is_due || self.unchecked >= BODY_BYTES_PER_CHECK {
            self.unchecked = 0;
            self.check()?;
        }
        self.explain.bodies_read += 1;
        self.explain.bytes_read = self.explain.bytes_read.saturating_add(bytes);
        let read = match &self.shared {
            Some(all) => all
                .fetch_add(bytes, Ordering::Relaxed)
                .saturating_add(bytes),
            None => self.explain.bytes_read,
        };
        if read > max {
            return Err(QueryError::BudgetExceeded { what: "bytes", max });
        }
        Ok(())
    }

    /// The body of a row was read, which is in this block of the source if it is in one.
    pub(super) fn read_block(&mut self, source: &dyn Source, block: Option<u32>) {
        if let Some(block) = block {
            let address = std::ptr::from_ref(source).cast::<()>().addr();
            let read = self.blocks.entry(address).or_default();
            self.explain.blocks_verified += u64::from(read.insert(block));
        }
    }

    /// Whether the page has room for another body. The first always has.
    pub(super) fn admit_to_page(&mut self, bytes: usize) -> bool {
        let after = self.explain.page_bytes.saturating_add(len_u64(bytes));
        if self.explain.page_bytes > 0 && after > self.budget.bytes_max {
            self.explain.page_cut = true;
            return false;
        }
        self.explain.page_bytes = after;
        true
    }
}

pub(super) fn len_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
