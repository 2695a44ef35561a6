//! A column chunk: the values of one column in one row group.
//!
//! Every value is a number: a dictionary code, or the value itself made to sort as unsigned (see
//! [`crate::columns::value`]). Rows are numbered within the group. Layout:
//!
//! ```text
//! presence u8   0 every row has values
//!               1 bits    bitset of ceil(rows / 8) bytes, low bit first
//!               2 list    packed, the rows in order
//! shape u8      0 one value per row that has any
//!               1 several packed, per row that has values the index past its last value
//! values u8     0 packed
//!               1 runs    packed index past each run's last value, packed value of each run
//! ```

use std::ops::Range;

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::packed::{self, Packed};
use super::wire::{Bad, Cursor, narrow, wide};
use crate::source::Selection;

/// From this share of the rows on all values are decoded: one in so many.
const UNPACK_SHARE: usize = 8;

/// Appends a chunk of a group of `rows` rows from `first` on: `pairs` are (row of the section, value), ascending, no pair twice.
pub(super) fn put(out: &mut Vec<u8>, (first, rows): (u32, u32), pairs: &[(u32, u64)]) {
    let is_last = |at: usize| pairs.get(at + 1).is_none_or(|next| next.0 != pairs[at].0);
    let single = pairs.windows(2).all(|pair| pair[0].0 != pair[1].0);
    if single {
        let present = pairs.iter().map(|pair| u64::from(pair.0 - first));
        put_presence(out, rows, present);
        out.push(0);
    } else {
        let ends: Vec<usize> = (0..pairs.len()).filter(|at| is_last(*at)).collect();
        let present = ends.iter().map(|end| u64::from(pairs[*end].0 - first));
        put_presence(out, rows, present);
        out.push(1);
        packed::put(out, ends.iter().map(|end| wide(end + 1)));
    }
    put_values(out, pairs);
}

fn put_presence(out: &mut Vec<u8>, rows: u32, present: impl ExactSizeIterator<Item = u64> + Clone) {
    if present.len() == narrow(u64::from(rows)) {
        out.push(0);
        return;
    }
    let start = out.len();
    out.push(2);
    packed::put(out, present.clone());
    let bitset_len = narrow(u64::from(rows.div_ceil(8)));
    if out.len() - start - 1 < bitset_len {
        return;
    }
    out.truncate(start);
    out.push(1);
    out.resize(start + 1 + bitset_len, 0);
    for row in present {
        out[start + 1 + narrow(row / 8)] |= 1 << (row % 8);
    }
}

/// Runs when they take fewer numbers than the values themselves: a trace's user or session.
pub(super) fn put_values(out: &mut Vec<u8>, pairs: &[(u32, u64)]) {
    let ends_run = |at: &usize| pairs.get(at + 1).is_none_or(|next| next.1 != pairs[*at].1);
    let runs = (0..pairs.len()).filter(ends_run).count();
    if runs > 1 && runs * 4 <= pairs.len() {
        let mut last = Vec::with_capacity(runs);
        last.extend((0..pairs.len()).filter(ends_run));
        out.push(1);
        packed::put(out, last.iter().map(|at| wide(at + 1)));
        packed::put(out, last.iter().map(|at| pairs[*at].1));
    } else {
        out.push(0);
        packed::put(out, pairs.iter().map(|pair| pair.1));
    }
}

/// A chunk as it stands in a block.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    rows: u32,
    presence: Presence,
    ends: Option<Packed>,
    values: Values,
}

#[derive(Clone, Debug)]
enum Presence {
    All,
    Bits { bits: Bytes, ranks: Vec<u32> },
    List(Packed),
}

#[derive(Clone, Debug)]
enum Values {
    Packed(Packed),
    Runs { ends: Packed, values: Packed },
}

/// The run that was read last: rows are mostly asked for in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Hint {
    range: Range<usize>,
    value: u64,
}

impl Chunk {
    /// Reads the chunk of a group of `rows` rows.
    pub(super) fn read(bytes: Bytes, rows: u32) -> Result<Self, Bad> {
        let mut cursor = Cursor(bytes);
        let (presence, present) = read_presence(&mut cursor, rows)?;
        let (ends, n) = match cursor.u8()? {
            0 => (None, present),
            1 => {
                let ends = Packed::read_exact(&mut cursor, present)?;
                let n = if present == 0 {
                    0
                } else {
                    ends.get(present - 1)?
                };
                let n = u32::try_from(n).map_err(|_| Bad("count of values"))?;
                (Some(ends), narrow(u64::from(n)))
            }
            _ => return Err(Bad("chunk shape")),
        };
        let values = match cursor.u8()? {
            0 => Values::Packed(Packed::read_exact(&mut cursor, n)?),
            1 => {
                let ends = Packed::read(&mut cursor)?;
                let values = Packed::read_exact(&mut cursor, ends.len())?;
                if ends.len() == 0 || ends.get(ends.len() - 1)? != wide(n) {
                    return Err(Bad("runs"));
                }
                Values::Runs { ends, values }
            }
            _ => return Err(Bad("chunk values")),
        };
        cursor.end()?;
        Ok(Self {
            rows,
            presence,
            ends,
            values,
        })
    }

    /// Where the values of a row are, if it has any.
    pub(super) fn range(&self, row: u32) -> Result<Range<usize>, Bad> {
        let Some(rank) = self.rank(row)? else {
            return Ok(0..0);
        };
        let Some(ends) = &self.ends else {
            return Ok(rank..rank + 1);
        };
        let start = if rank == 0 {
            0
        } else {
            narrow(ends.get(rank - 1)?)
        };
        Ok(start..narrow(ends.get(rank)?))
    }

    fn rank(&self, row: u32) -> Result<Option<usize>, Bad> {
        if row >= self.rows {
            return Ok(None);
        }
        let at = narrow(u64::from(row));
        match &self.presence {
            Presence::All => Ok(Some(at)),
            Presence::Bits { bits, ranks } => {
                let (word, bit) = (word_of(bits, at / 64), row % 64);
                if word >> bit & 1 == 0 {
                    return Ok(None);
                }
                let below = (word & ((1 << bit) - 1)).count_ones();
                let before = ranks.get(at / 64).ok_or(Bad("presence"))?;
                Ok(Some(narrow(u64::from(before + below))))
            }
            Presence::List(list) => {
                let n = list.count_le(u64::from(row))?;
                Ok((n > 0 && list.get(n - 1)? == u64::from(row)).then(|| n - 1))
            }
        }
    }

    pub(super) fn value(&self, i: usize, hint: &mut Hint) -> Result<u64, Bad> {
        match &self.values {
            Values::Packed(values) => values.get(i),
            Values::Runs { ends, values } => {
                if !hint.range.contains(&i) {
                    let run = ends.count_le(wide(i))?;
                    let start = if run == 0 {
                        0
                    } else {
                        narrow(ends.get(run - 1)?)
                    };
                    *hint = Hint {
                        range: start..narrow(ends.get(run)?),
                        value: values.get(run)?,
                    };
                }
                Ok(hint.value)
            }
        }
    }

    /// The values of `range`, each as `map` makes it.
    fn unpack<T: Copy>(
        &self,
        range: Range<usize>,
        out: &mut Vec<T>,
        map: impl Fn(u64) -> T,
    ) -> Result<(), Bad> {
        let (ends, values) = match &self.values {
            Values::Packed(values) => return values.unpack(range, out, map),
            Values::Runs { ends, values } => (ends, values),
        };
        let mut at = range.start;
        let mut run = ends.count_le(wide(at))?;
        while at < range.end {
            let end = narrow(ends.get(run)?).min(range.end);
            let value = map(values.get(run)?);
            out.extend(std::iter::repeat_n(value, end.saturating_sub(at)));
            at = at.max(end);
            run += 1;
        }
        Ok(())
    }

    /// The values of the selected rows of the section, whose group begins at `first`: appends them
    /// to `out` and answers the place in the selection of each, or `None` if every place has one.
    pub(super) fn select<T: Copy>(
        &self,
        first: u32,
        selection: &Selection,
        out: &mut Vec<T>,
        map: impl Fn(u64) -> T,
    ) -> Result<Option<Vec<u32>>, Bad> {
        let count = selection.len();
        if let (Presence::All, None, Selection::Range { first: from, len }) =
            (&self.presence, &self.ends, selection)
        {
            let from = narrow(u64::from(from - first));
            self.unpack(from..from + narrow(u64::from(*len)), out, map)?;
            return Ok(None);
        }
        if let Selection::Range { first: from, len } = selection {
            return self.select_range(from - first, *len, out, map);
        }
        let all = self.value_count()?;
        // Few rows are looked up one by one, many by decoding all.
        let mut decoded = Vec::new();
        if count * UNPACK_SHARE >= narrow(u64::from(self.rows)) {
            decoded.reserve_exact(all);
            self.unpack(0..all, &mut decoded, &map)?;
        }
        let mut places = Vec::with_capacity(count);
        let mut hint = Hint::default();
        let mut failed = None;
        selection.each(&mut |place, row| {
            let mut one = || -> Result<(), Bad> {
                for at in self.range(row.wrapping_sub(first))? {
                    out.push(match decoded.get(at) {
                        Some(value) => *value,
                        None => map(self.value(at, &mut hint)?),
                    });
                    places.push(place);
                }
                Ok(())
            };
            if failed.is_none() {
                failed = one().err();
            }
        });
        if let Some(bad) = failed {
            return Err(bad);
        }
        let full = places.len() == count && self.ends.is_none();
        Ok((!full).then_some(places))
    }

    /// The same for the rows of the group from `from` on.
    fn select_range<T: Copy>(
        &self,
        from: u32,
        len: u32,
        out: &mut Vec<T>,
        map: impl Fn(u64) -> T,
    ) -> Result<Option<Vec<u32>>, Bad> {
        let (before, places) = self.present_in(from, len)?;
        let ranks = before..before + places.len();
        let Some(ends) = &self.ends else {
            self.unpack(ranks, out, map)?;
            return Ok((places.len() < narrow(u64::from(len))).then_some(places));
        };
        let mut at = if ranks.start == 0 {
            0
        } else {
            narrow(ends.get(ranks.start - 1)?)
        };
        let start = at;
        let mut repeated = Vec::with_capacity(places.len());
        for (rank, place) in ranks.zip(places) {
            let end = narrow(ends.get(rank)?);
            if end < at || end > self.value_count()? {
                return Err(Bad("ends of values"));
            }
            repeated.extend(std::iter::repeat_n(place, end - at));
            at = end;
        }
        self.unpack(start..at, out, map)?;
        Ok(Some(repeated))
    }

    /// How many rows before `from` have values, and which of the `len` rows from it on do, counted
    /// from it.
    fn present_in(&self, from: u32, len: u32) -> Result<(usize, Vec<u32>), Bad> {
        let end = from.saturating_add(len).min(self.rows);
        match &self.presence {
            Presence::All => Ok((
                narrow(u64::from(from)),
                (0..end.saturating_sub(from)).collect(),
            )),
            Presence::Bits { bits, ranks } => {
                let (first, last) = (from / 64, end.div_ceil(64));
                let below = |word: u64, bit: u32| word & ((1u64 << bit) - 1);
                let rank = ranks.get(narrow(u64::from(first))).copied().unwrap_or(0);
                let skipped = word_of(bits, narrow(u64::from(first)));
                let before = u64::from(rank + below(skipped, from % 64).count_ones());
                let mut places = Vec::with_capacity(narrow(u64::from(len)));
                for at in first..last {
                    let mut word = word_of(bits, narrow(u64::from(at)));
                    if at == first {
                        word &= !below(u64::MAX, from % 64);
                    }
                    if at == end / 64 {
                        word &= below(u64::MAX, end % 64);
                    }
                    while word != 0 {
                        places.push(at * 64 + word.trailing_zeros() - from);
                        word &= word - 1;
                    }
                }
                Ok((narrow(before), places))
            }
            Presence::List(list) => {
                let before = if from == 0 {
                    0
                } else {
                    list.count_le(u64::from(from - 1))?
                };
                let after = if end == 0 {
                    0
                } else {
                    list.count_le(u64::from(end - 1))?
                };
                let mut places = Vec::with_capacity(after.saturating_sub(before));
                let place = |row| u32::try_from(row).unwrap_or(u32::MAX).saturating_sub(from);
                list.unpack(before..after.max(before), &mut places, place)?;
                Ok((before, places))
            }
        }
    }

    fn value_count(&self) -> Result<usize, Bad> {
        match &self.values {
            Values::Packed(values) => Ok(values.len()),
            Values::Runs { ends, .. } => Ok(narrow(ends.get(ends.len().wrapping_sub(1))?)),
        }
    }

    /// The rows that have values, as rows of the section that begins the group at `first`.
    pub(super) fn present(&self, first: u32) -> Result<RoaringBitmap, Bad> {
        let mut out = RoaringBitmap::new();
        match &self.presence {
            Presence::All => {
                out.insert_range(first..first + self.rows);
            }
            Presence::Bits { bits, .. } => {
                out = RoaringBitmap::from_lsb0_bytes(first, bits);
                if first
                    .checked_add(self.rows)
                    .is_some_and(|end| out.max() >= Some(end))
                {
                    return Err(Bad("presence"));
                }
            }
            Presence::List(list) => {
                for i in 0..list.len() {
                    let row = u32::try_from(list.get(i)?).map_err(|_| Bad("presence"))?;
                    if row >= self.rows {
                        return Err(Bad("presence"));
                    }
                    out.insert(first + row);
                }
            }
        }
        Ok(out)
    }

    /// Every value of the rows among `within`, rows ascending; rows of the section.
    pub(super) fn each<E: From<Bad>>(
        &self,
        first: u32,
        within: &RoaringBitmap,
        visit: &mut dyn FnMut(u32, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let group = first..first + self.rows;
        let wanted = within.range_cardinality(group.clone());
        if let (Presence::All, None, Values::Packed(values)) =
            (&self.presence, &self.ends, &self.values)
            && wanted == u64::from(self.rows)
        {
            for (at, row) in group.enumerate() {
                visit(row, values.get(at)?)?;
            }
            return Ok(());
        }
        let mut hint = Hint::default();
        let mut each_of = |row: u32| {
            for at in self.range(row - first)? {
                visit(row, self.value(at, &mut hint)?)?;
            }
            Ok(())
        };
        match &self.presence {
            Presence::List(list) if wide(list.len()) < wanted => (self.present(first)? & within)
                .into_iter()
                .try_for_each(each_of),
            _ => within.range(group).try_for_each(&mut each_of),
        }
    }
}

impl Chunk {
    /// Most values that `rows` rows can have: those of one row differ, so a run has one of each.
    fn values_max(&self, rows: usize) -> usize {
        match &self.values {
            Values::Packed(values) => values.len(),
            Values::Runs { values, .. } => values.len().saturating_mul(rows),
        }
    }

    /// Appends every value with its row, as rows of the section that begins the group at `first`.
    pub(super) fn collect(&self, first: u32, out: &mut Vec<(u32, u64)>) -> Result<(), Bad> {
        let mut rows: Vec<u32> = match &self.presence {
            Presence::All => (first..first + self.rows).collect(),
            Presence::Bits { .. } | Presence::List(_) => self.present(first)?.iter().collect(),
        };
        if let Some(ends) = &self.ends {
            let (single, mut start) = (rows, 0);
            rows = Vec::new();
            let total = self.values_max(single.len());
            for (at, row) in single.into_iter().enumerate() {
                let end = narrow(ends.get(at)?);
                if end < start || end > total {
                    return Err(Bad("ends of values"));
                }
                rows.extend(std::iter::repeat_n(row, end - start));
                start = end;
            }
        }
        match &self.values {
            Values::Packed(values) => {
                if values.len() != rows.len() {
                    return Err(Bad("count of values"));
                }
                for (at, row) in rows.into_iter().enumerate() {
                    out.push((row, values.get(at)?));
                }
            }
            Values::Runs { ends, values } => {
                let mut at = 0;
                for run in 0..ends.len() {
                    let (end, value) = (narrow(ends.get(run)?), values.get(run)?);
                    let of_run = rows.get(at..end).ok_or(Bad("runs"))?;
                    out.extend(of_run.iter().map(|row| (*row, value)));
                    at = end;
                }
            }
        }
        Ok(())
    }
}

fn read_presence(cursor: &mut Cursor, rows: u32) -> Result<(Presence, usize), Bad> {
    match cursor.u8()? {
        0 => Ok((Presence::All, narrow(u64::from(rows)))),
        1 => {
            let bits = cursor.take(narrow(u64::from(rows.div_ceil(8))))?;
            let mut ranks = Vec::with_capacity(bits.len() / 8 + 1);
            let mut total = 0;
            for word in 0..bits.len().div_ceil(8) {
                ranks.push(total);
                total += word_of(&bits, word).count_ones();
            }
            Ok((Presence::Bits { bits, ranks }, narrow(u64::from(total))))
        }
        2 => {
            let list = Packed::read(cursor)?;
            if list.len() > narrow(u64::from(rows)) {
                return Err(Bad("presence"));
            }
            let n = list.len();
            Ok((Presence::List(list), n))
        }
        _ => Err(Bad("chunk presence")),
    }
}

fn word_of(bits: &[u8], word: usize) -> u64 {
    let tail = bits.get(word * 8..).unwrap_or(&[]);
    if let Some(full) = tail.first_chunk::<8>() {
        return u64::from_le_bytes(*full);
    }
    let mut padded = [0; 8];
    padded[..tail.len()].copy_from_slice(tail);
    u64::from_le_bytes(padded)
}

/// How many rows group `group` of a section of `rows` rows has, and its first row.
pub(super) fn group_bounds(group: u32, rows: u32) -> (u32, u32) {
    let first = group.saturating_mul(super::GROUP_ROWS);
    (first, rows.saturating_sub(first).min(super::GROUP_ROWS))
}

/// How many row groups a section of `rows` rows has.
pub(super) fn group_count(rows: u32) -> u32 {
    rows.div_ceil(super::GROUP_ROWS)
}

/// The (row, value) pairs of each row group of a section, which ascend.
pub(super) fn by_group(pairs: &[(u32, u64)], rows: u32) -> impl Iterator<Item = &[(u32, u64)]> {
    let mut rest = pairs;
    (0..group_count(rows)).map(move |group| {
        let (first, count) = group_bounds(group, rows);
        let (own, others) = rest.split_at(rest.partition_point(|pair| pair.0 - first < count));
        rest = others;
        own
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Services, environments and regions are mostly one in a project.
    #[test]
    fn what_all_rows_share_takes_no_bytes_of_each() {
        let bytes = |rows: u32| {
            let pairs: Vec<(u32, u64)> = (0..rows).map(|row| (row, 7)).collect();
            let mut out = Vec::new();
            put(&mut out, (0, rows), &pairs);
            out.len()
        };
        // Presence, shape, how values stand; their number, base, scale and width.
        assert_eq!((bytes(1), bytes(65_536)), (7, 9));
    }
}
