//! Values of a row group into accumulators, a column at a time.

use hashbrown::HashSet;

use super::super::QueryError;
use super::key::GroupValue;
use super::numbers::Numbers;
use super::request::DistinctMode;
use super::slots::{Assigned, NONE};
use super::state::State;
use crate::columns::value::{to_f64, to_i64};
use crate::source::{ColumnReader, Lane, LaneKind, LaneValues};

/// Bits up to which (cell, code) pairs that were seen are marked in an array.
const SEEN_BITS_MAX: usize = 1 << 24;

/// Calls `visit(cell, i)` for every cell of the row of every value i of a lane.
#[inline]
fn each(assigned: &Assigned, lane: &Lane, len: usize, mut visit: impl FnMut(usize, usize)) {
    match (assigned, &lane.places) {
        (Assigned::One(cell), _) => {
            let cell = *cell as usize;
            (0..len).for_each(|i| visit(cell, i));
        }
        (Assigned::Each(cells), None) => {
            for (i, cell) in cells.iter().enumerate().take(len) {
                if *cell != NONE {
                    visit(*cell as usize, i);
                }
            }
        }
        (Assigned::Each(cells), Some(places)) => {
            for (i, place) in places.iter().enumerate().take(len) {
                let cell = cells.get(*place as usize).copied().unwrap_or(NONE);
                if cell != NONE {
                    visit(cell as usize, i);
                }
            }
        }
        (many, places) => {
            for i in 0..len {
                let place = places
                    .as_ref()
                    .map_or(i, |p| p.get(i).map_or(usize::MAX, |place| *place as usize));
                many.of(place, |cell| visit(cell as usize, i));
            }
        }
    }
}

/// Counts the rows of each cell.
pub(super) fn count(assigned: &Assigned, places: usize, rows: &mut [u64]) {
    let mut add = |cell: u32, n: u64| {
        if let Some(count) = rows.get_mut(cell as usize) {
            *count += n;
        }
    };
    match assigned {
        Assigned::One(cell) => add(*cell, places as u64),
        Assigned::Each(cells) => cells.iter().for_each(|cell| add(*cell, 1)),
        Assigned::Many { ids, .. } => ids.iter().for_each(|cell| add(*cell, 1)),
    }
}

fn add_numbers(all: &mut [Numbers], assigned: &Assigned, lane: &Lane) {
    match (&lane.values, lane.kind) {
        (LaneValues::Numbers(numbers), LaneKind::I64) => {
            each(assigned, lane, numbers.len(), |cell, i| {
                if let (Some(to), Some(number)) = (all.get_mut(cell), numbers.get(i)) {
                    to.add_whole(*number);
                }
            });
        }
        (LaneValues::Numbers(numbers), LaneKind::F64) => {
            each(assigned, lane, numbers.len(), |cell, i| {
                if let (Some(to), Some(number)) = (all.get_mut(cell), numbers.get(i)) {
                    to.add_float(to_f64(*number));
                }
            });
        }
        _ => each(assigned, lane, lane.len(), |cell, _| {
            if let Some(to) = all.get_mut(cell) {
                to.no_number();
            }
        }),
    }
}

/// Adds a lane to a state. Which texts are different is found by `seen`.
pub(super) fn add(
    state: &mut State,
    seen: &mut Seen,
    assigned: &Assigned,
    lane: &Lane,
    reader: &dyn ColumnReader,
) {
    match (state, &lane.values) {
        (State::Rows(_), _) => {}
        (State::Numbers(all), _) => add_numbers(all, assigned, lane),
        (State::Sketches(all), LaneValues::Numbers(numbers))
            if matches!(lane.kind, LaneKind::I64 | LaneKind::F64) =>
        {
            #[expect(
                clippy::cast_precision_loss,
                reason = "by less than the width of a bucket"
            )]
            let float = |number: u64| match lane.kind {
                LaneKind::I64 => to_i64(number) as f64,
                _ => to_f64(number),
            };
            each(assigned, lane, numbers.len(), |cell, i| {
                if let (Some(to), Some(number)) = (all.get_mut(cell), numbers.get(i)) {
                    let x = float(*number);
                    if x.is_nan() {
                        to.not_numbers += 1;
                    } else {
                        to.sketch.add(x);
                    }
                }
            });
        }
        (State::Sketches(all), values) => {
            let len = match values {
                LaneValues::Numbers(numbers) => numbers.len(),
                LaneValues::Codes(codes) => codes.len(),
            };
            each(assigned, lane, len, |cell, _| {
                if let Some(to) = all.get_mut(cell) {
                    to.not_numbers += 1;
                }
            });
        }
        (State::Distinct(..), LaneValues::Codes(codes)) => {
            seen.prepare(reader.code_count() as usize);
            each(assigned, lane, codes.len(), |cell, i| {
                if let Some(code) = codes.get(i) {
                    seen.code(cell, *code);
                }
            });
        }
        (State::Distinct(all, mode), LaneValues::Numbers(numbers)) => {
            let estimated = *mode == DistinctMode::Estimated;
            each(assigned, lane, numbers.len(), |cell, i| {
                if let (Some(to), Some(number)) = (all.get_mut(cell), numbers.get(i))
                    && seen.number(cell, lane.kind, *number)
                {
                    let value = GroupValue::of_number(lane.kind, *number);
                    to.add(value.fingerprint(), estimated);
                }
            });
        }
    }
}

/// Which values of one column of one source were seen in which cells.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Bits of (cell, code), `width` a cell.
    bits: Vec<u64>,
    width: usize,
    /// Those that the bits have no room for.
    pairs: HashSet<(u32, u32)>,
    numbers: HashSet<(usize, LaneKind, u64)>,
    last: Option<(usize, LaneKind, u64)>,
}

impl Seen {
    pub(super) fn bytes(&self) -> usize {
        self.bits.capacity() * 8 + self.pairs.allocation_size() + self.numbers.allocation_size()
    }

    fn prepare(&mut self, codes: usize) {
        if codes > self.width && self.bits.is_empty() {
            self.width = codes.next_multiple_of(64);
        }
    }

    #[inline]
    fn code(&mut self, cell: usize, code: u32) {
        let at = code as usize;
        let bit = cell.wrapping_mul(self.width).wrapping_add(at);
        if at < self.width && bit < SEEN_BITS_MAX {
            if bit / 64 >= self.bits.len() {
                self.bits.resize((cell + 1) * self.width / 64, 0);
            }
            if let Some(word) = self.bits.get_mut(bit / 64) {
                *word |= 1 << (bit % 64);
            }
        } else {
            self.pairs
                .insert((u32::try_from(cell).unwrap_or(NONE), code));
        }
    }

    /// Whether the value is new to the cell.
    fn number(&mut self, cell: usize, kind: LaneKind, number: u64) -> bool {
        let this = (cell, kind, number);
        if self.last == Some(this) {
            return false;
        }
        self.last = Some(this);
        self.numbers.insert(this)
    }

    /// Adds the texts that were seen to the sets of their cells.
    pub(super) fn settle(
        &mut self,
        state: &mut State,
        reader: &mut dyn ColumnReader,
    ) -> Result<(), QueryError> {
        let State::Distinct(all, mode) = state else {
            return Ok(());
        };
        let mut found: Vec<(u32, usize)> = Vec::new();
        for (at, word) in self.bits.iter().enumerate() {
            let mut word = *word;
            while word != 0 {
                let bit = at * 64 + word.trailing_zeros() as usize;
                let code = u32::try_from(bit % self.width).unwrap_or(NONE);
                found.push((code, bit / self.width));
                word &= word - 1;
            }
        }
        found.extend(self.pairs.drain().map(|(cell, code)| (code, cell as usize)));
        self.bits = Vec::new();
        self.width = 0;
        found.sort_unstable();
        let codes: Vec<u32> = found
            .chunk_by(|a, b| a.0 == b.0)
            .filter_map(|run| run.first().map(|(code, _)| *code))
            .collect();
        let mut runs = found.chunk_by(|a, b| a.0 == b.0);
        let estimated = *mode == DistinctMode::Estimated;
        reader.texts(&codes, &mut |text| {
            let value = GroupValue::of_text(text).fingerprint();
            for (_, cell) in runs.next().unwrap_or_default() {
                if let Some(to) = all.get_mut(*cell) {
                    to.add(value, estimated);
                }
            }
        })?;
        Ok(())
    }
}
