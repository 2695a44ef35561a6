//! The best rows so far: candidates of a row group ordered by key, cut, and only then looked at.

use std::cmp::Ordering;

use roaring::RoaringBitmap;

use super::QueryError;
use super::divide::deciding;
use super::document;
use super::meter::Meter;
use super::order::{Order, Position, SortKey};
use super::plan::Node;
use super::scan::{Verdict, decide, with_document};
use crate::doc::{DocRef, Scalar};
use crate::source::{Core, Rows, Visible, reading};

/// A row that passes, in the order's terms.
#[derive(Debug)]
pub(super) struct Ranked {
    pub(super) key: Option<SortKey>,
    pub(super) core: Core,
    /// Which of the sources.
    pub(super) at: usize,
    pub(super) row: u32,
}

/// A row that may be among the best.
struct Candidate {
    key: Option<SortKey>,
    row: u32,
    /// Some value is too long for its column: the key is not known yet.
    long: bool,
}

/// Rows in doubt that are decided before their turn, many at once. The first are not, since most pages are full
/// by then; and none without a processor that nobody else uses, since those behind the last row of the page are
/// decided for nothing.
struct Ahead<'c> {
    candidates: std::slice::Iter<'c, Candidate>,
    sure: &'c RoaringBitmap,
    /// Rows in doubt whose turn came.
    seen: usize,
    /// Something ahead cannot be decided.
    gave_up: bool,
    decided: RoaringBitmap,
    passed: RoaringBitmap,
}

/// Rows that are decided one by one before any is decided ahead.
const ALONE: usize = 256;
/// Most rows that are decided ahead at once.
const AHEAD_MAX: usize = 8_192;

impl<'c> Ahead<'c> {
    fn new(candidates: &'c [Candidate], sure: &'c RoaringBitmap) -> Self {
        Self {
            candidates: candidates.iter(),
            sure,
            seen: 0,
            gave_up: false,
            decided: RoaringBitmap::new(),
            passed: RoaringBitmap::new(),
        }
    }

    /// Whether the next row in doubt passes; `None` if nobody decided it yet.
    fn look(
        &mut self,
        node: &Node<'_>,
        visible: &Visible<'_>,
        row: u32,
        meter: &mut Meter<'_>,
    ) -> Result<Option<bool>, QueryError> {
        let is_turn = !self.decided.contains(row);
        if is_turn && !self.gave_up && self.seen >= ALONE && meter.has_spare() {
            // Twice as many each time, so that no more are decided for nothing than were needed.
            let next = self.next(row, self.seen.min(AHEAD_MAX));
            let before = meter.mark();
            meter.explain.rows_in_doubt += next.len();
            match deciding(node, visible, &next, meter) {
                Ok(passed) => {
                    self.passed |= passed;
                    self.decided |= next;
                }
                Err(QueryError::Cancelled) => return Err(QueryError::Cancelled),
                // Perhaps of a row behind the page, which nobody asked for: one by one it may never come.
                Err(_) => {
                    meter.back_to(before);
                    self.gave_up = true;
                }
            }
        }
        self.seen += 1;
        if self.decided.contains(row) {
            return Ok(Some(self.passed.contains(row)));
        }
        meter.explain.rows_in_doubt += 1;
        Ok(None)
    }

    /// The rows in doubt from this one on.
    fn next(&mut self, row: u32, count: usize) -> RoaringBitmap {
        let sure = self.sure;
        let from = self.candidates.by_ref().skip_while(|c| c.row != row);
        let mut next = RoaringBitmap::from([row]);
        next.extend(
            from.map(|c| c.row)
                .filter(|row| !sure.contains(*row))
                .take(count),
        );
        next
    }
}

/// Keeps the best `size` rows.
#[derive(Debug)]
pub(super) struct Top<'q> {
    order: &'q Order,
    after: Option<&'q Position>,
    size: usize,
    rows: Vec<Ranked>,
}

impl<'q> Top<'q> {
    pub(super) fn new(order: &'q Order, after: Option<&'q Position>, size: usize) -> Self {
        Self {
            order,
            after,
            size,
            rows: Vec::new(),
        }
    }

    /// The last key that still has a place; `None` while every row has.
    pub(super) fn worst(&self) -> Option<Option<&SortKey>> {
        let full = self.rows.len() >= self.size;
        full.then(|| self.rows.last().and_then(|row| row.key.as_ref()))
    }

    pub(super) fn into_rows(self) -> Vec<Ranked> {
        self.rows
    }

    /// Takes in the rows of a row group of the source numbered `at`.
    pub(super) fn offer(
        &mut self,
        node: &Node<'_>,
        (at, visible): (usize, &Visible<'_>),
        verdict: &Verdict,
        meter: &mut Meter<'_>,
    ) -> Result<(), QueryError> {
        if self.size == 0 || verdict.possible.is_empty() {
            return Ok(());
        }
        reading(visible.source, |rows| {
            self.offer_rows(node, (at, visible, rows), verdict, meter)
        })
    }

    fn offer_rows(
        &mut self,
        node: &Node<'_>,
        (at, visible, rows): (usize, &Visible<'_>, &mut dyn Rows),
        verdict: &Verdict,
        meter: &mut Meter<'_>,
    ) -> Result<(), QueryError> {
        let mut candidates = self.candidates((visible, rows), &verdict.possible, meter)?;
        candidates.retain(|candidate| self.has_place(candidate.key.as_ref()));
        let in_doubt = verdict.sure.len() < verdict.possible.len();
        self.sort(&mut candidates, !in_doubt && self.after.is_none());
        let old = self.rows.len();
        let mut ahead = Ahead::new(&candidates, &verdict.sure);
        for (Candidate { key, row, .. }, n) in candidates.iter().zip(0u64..) {
            meter.check_at(n)?;
            let row = *row;
            let taken = self.rows.len() - old;
            let tie = |last: &Ranked| self.compare_keys(last.key.as_ref(), key.as_ref()).is_eq();
            // The order is by key only, so that ties of the last one must be looked at, too.
            if taken >= self.size && !self.rows.last().is_some_and(tie) {
                break;
            }
            let core = rows.core(row)?;
            if self
                .after
                .is_some_and(|after| !self.order.is_after(key.as_ref(), &core, after))
            {
                continue;
            }
            if !verdict.sure.contains(row) {
                let passes = match ahead.look(node, visible, row, meter)? {
                    Some(passes) => passes,
                    None => decide(node, (visible, rows), row, &core, meter)?,
                };
                if !passes {
                    continue;
                }
            }
            let key = key.clone();
            self.rows.push(Ranked { key, core, at, row });
        }
        let order = self.order;
        self.rows.sort_by(|a, b| {
            order
                .cmp_keys(a.key.as_ref(), b.key.as_ref())
                .then_with(|| {
                    order.cmp_ids(
                        (&a.core.trace_id, &a.core.id),
                        (&b.core.trace_id, &b.core.id),
                    )
                })
        });
        self.rows.truncate(self.size);
        Ok(())
    }

    fn compare_keys(&self, a: Option<&SortKey>, b: Option<&SortKey>) -> Ordering {
        self.order.cmp_keys(a, b)
    }

    /// Whether a row with this key can be on the page, as far as the key tells.
    fn has_place(&self, key: Option<&SortKey>) -> bool {
        let after = self
            .after
            .is_none_or(|p| self.compare_keys(key, p.key.as_ref()).is_ge());
        after
            && self
                .worst()
                .is_none_or(|worst| self.compare_keys(key, worst).is_le())
    }

    /// Sorts by key. With `cut`, every one of the first `size` counts, so that what is beyond them
    /// and their ties need not be sorted and is dropped.
    fn sort(&self, candidates: &mut Vec<Candidate>, cut: bool) {
        let by_key =
            |a: &Candidate, b: &Candidate| self.compare_keys(a.key.as_ref(), b.key.as_ref());
        if cut && candidates.len() > self.size {
            let (_, last, _) = candidates.select_nth_unstable_by(self.size - 1, by_key);
            let last = last.key.clone();
            candidates.retain(|c| self.compare_keys(c.key.as_ref(), last.as_ref()).is_le());
        }
        candidates.sort_by(by_key);
    }

    /// The rows with their keys.
    fn candidates(
        &self,
        (visible, reader): (&Visible<'_>, &mut dyn Rows),
        rows: &RoaringBitmap,
        meter: &mut Meter<'_>,
    ) -> Result<Vec<Candidate>, QueryError> {
        meter.check()?;
        let mut candidates: Vec<_> = rows
            .iter()
            .map(|row| Candidate {
                key: None,
                row,
                long: false,
            })
            .collect();
        let mut next = 0;
        visible
            .source
            .values(&self.order.column, rows, &mut |row, value| {
                while candidates
                    .get(next)
                    .is_some_and(|candidate| candidate.row < row)
                {
                    next += 1;
                }
                let Some(candidate) = candidates.get_mut(next) else {
                    return;
                };
                if candidate.row != row {
                    return;
                }
                candidate.long |= matches!(value, Scalar::Long(_));
                if let Some(key) = SortKey::of_scalar(value) {
                    self.order.keep_first(&mut candidate.key, key);
                }
            })?;
        for candidate in candidates.iter_mut().filter(|candidate| candidate.long) {
            candidate.key = self.exact_key((visible, reader), candidate.row, meter)?;
        }
        Ok(candidates)
    }

    /// The key of a row that has a value too long for its column.
    fn exact_key(
        &self,
        (visible, rows): (&Visible<'_>, &mut dyn Rows),
        row: u32,
        meter: &mut Meter<'_>,
    ) -> Result<Option<SortKey>, QueryError> {
        let column = &self.order.column;
        let core = rows.core(row)?;
        let key_in = |doc: DocRef<'_>| {
            let mut best = None;
            document::leaves(column, &core, doc, &mut |leaf| {
                if let Some(key) = SortKey::of_leaf(leaf) {
                    self.order.keep_first(&mut best, key);
                }
                false
            })?;
            Ok(best)
        };
        if column.has_any_type() {
            meter
                .explain
                .verified
                .insert(format!("order by {}", column.name()));
            return with_document((visible, rows), row, meter, key_in);
        }
        // The hot columns are all in the core.
        Ok(key_in(DocRef::Null).unwrap_or(None))
    }
}
