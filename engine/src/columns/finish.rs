//! A gathered column in the order of a file.

use hashbrown::HashMap;

use super::column::Gist;
use super::value::Kind;
use super::{Column, Columns};

/// A row that does not go into the file.
pub(crate) const LEFT_OUT: u32 = u32::MAX;

/// A column ready to be encoded.
#[derive(Debug)]
pub(crate) struct Finished<'a> {
    pub(crate) kind: Kind,
    /// (row, number), ascending, no pair twice; for text the number is a code.
    pub(crate) pairs: Vec<(u32, u64)>,
    /// For text: the distinct values, ascending.
    pub(crate) texts: Vec<&'a str>,
}

impl<'a> Finished<'a> {
    /// A column of numbers from pairs in any order.
    pub(crate) fn of_numbers(kind: Kind, mut pairs: Vec<(u32, u64)>) -> Self {
        sort(&mut pairs);
        Self {
            kind,
            pairs,
            texts: Vec::new(),
        }
    }

    /// A column of texts from pairs in any order; `texts` ascend, and every one is used.
    pub(crate) fn of_texts(pairs: Vec<(u32, u64)>, texts: Vec<&'a str>) -> Self {
        Self {
            texts,
            ..Self::of_numbers(Kind::Str, pairs)
        }
    }
}

/// A column and every path at which the same rows have the same values: an attribute that a dialect also understands stands in a
/// document twice.
#[derive(Debug)]
pub(crate) struct Twins<'a> {
    /// Ascending; at least one.
    pub(crate) paths: Vec<&'a str>,
    pub(crate) column: Finished<'a>,
}

impl Columns {
    /// The columns by their first path, then type, each once. `places` says where in the file each gathered row goes, or
    /// [`LEFT_OUT`]; rows beyond it are left out.
    pub(crate) fn finish<'a>(&'a self, places: &'a [u32]) -> impl Iterator<Item = Twins<'a>> {
        let finished = self.twins().into_iter().map(|(paths, column)| Twins {
            paths,
            column: column.finish(places),
        });
        finished.filter(|twins| !twins.column.pairs.is_empty())
    }

    /// The columns that differ, by their first path, then type, and their paths.
    fn twins(&self) -> Vec<(Vec<&str>, &Column)> {
        let mut columns: Vec<_> = self.each().collect();
        columns.sort_unstable_by(|a, b| (a.0, a.1.kind()).cmp(&(b.0, b.1.kind())));
        let mut twins: Vec<(Vec<&str>, &Column)> = Vec::new();
        let mut known: HashMap<Gist, Vec<usize>> = HashMap::new();
        for (path, column) in columns {
            let alike = known.entry(column.gist()).or_default();
            let same = alike
                .iter()
                .copied()
                .find(|at| twins[*at].1.is_same(column));
            if let Some(same) = same {
                twins[same].0.push(path);
            } else {
                alike.push(twins.len());
                twins.push((vec![path], column));
            }
        }
        twins
    }
}

impl Column {
    /// Its pairs and texts in the order of the file.
    pub(crate) fn finish(&self, places: &[u32]) -> Finished<'_> {
        let place = |row: u32| {
            let at = usize::try_from(row).ok()?;
            places.get(at).copied().filter(|place| *place != LEFT_OUT)
        };
        let placed = self.rows().iter().enumerate();
        let placed = placed.filter_map(|(at, row)| Some((place(*row)?, self.number(at))));
        let mut pairs: Vec<(u32, u64)> = placed.collect();
        let texts = self.texts(&mut pairs);
        sort(&mut pairs);
        Finished {
            kind: self.kind(),
            pairs,
            texts,
        }
    }

    /// The distinct texts that the pairs use, ascending; the pairs' codes become their ranks.
    fn texts(&self, pairs: &mut [(u32, u64)]) -> Vec<&str> {
        let Some(dictionary) = self.dictionary() else {
            return Vec::new();
        };
        let index = |code: u64| usize::try_from(code).unwrap_or(usize::MAX);
        let mut ranks: Vec<Option<u64>> = vec![None; dictionary.len()];
        let mut used: Vec<(&str, usize)> = Vec::new();
        for (_, code) in &*pairs {
            if let Some(slot @ None) = ranks.get_mut(index(*code)) {
                *slot = Some(0);
                let code32 = u32::try_from(*code).unwrap_or(u32::MAX);
                used.push((dictionary.text(code32), index(*code)));
            }
        }
        used.sort_unstable();
        for (rank, (_, code)) in (0..).zip(&used) {
            ranks[*code] = Some(rank);
        }
        for (_, code) in pairs {
            *code = ranks.get(index(*code)).copied().flatten().unwrap_or(0);
        }
        used.into_iter().map(|(text, _)| text).collect()
    }
}

/// Sorts pairs and drops those that stand twice. Rows with one value each, the common case, are
/// put in their places without comparing.
fn sort(pairs: &mut Vec<(u32, u64)>) {
    if pairs.is_sorted_by(|a, b| a < b) {
        return;
    }
    let highest = pairs.iter().map(|p| p.0).max().unwrap_or(0);
    let slots = usize::try_from(highest).map_or(usize::MAX, |n| n.saturating_add(1));
    if slots / 4 <= pairs.len() && scatter(pairs, slots) {
        return;
    }
    pairs.sort_unstable();
    pairs.dedup();
}

/// Puts each pair at its row's place. False, and nothing changed, if a row has several.
fn scatter(pairs: &mut Vec<(u32, u64)>, slots: usize) -> bool {
    let mut by_row: Vec<Option<u64>> = vec![None; slots];
    for (row, number) in &*pairs {
        let slot = usize::try_from(*row)
            .ok()
            .and_then(|row| by_row.get_mut(row));
        match slot {
            Some(slot @ None) => *slot = Some(*number),
            _ => return false,
        }
    }
    let sorted = (0..).zip(by_row);
    *pairs = sorted
        .filter_map(|(row, number)| Some((row, number?)))
        .collect();
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pairs_come_sorted_whatever_their_order(
            mut pairs in prop::collection::vec((0u32..40, 0u64..5), 0..60),
            single in any::<bool>(),
        ) {
            if single {
                pairs.sort_unstable();
                pairs.dedup_by_key(|p| p.0);
                pairs.reverse();
            }
            let mut expected = pairs.clone();
            expected.sort_unstable();
            expected.dedup();
            sort(&mut pairs);
            prop_assert_eq!(pairs, expected);
        }

        #[test]
        fn texts_that_no_placed_row_has_are_left_out(
            rows in prop::collection::vec(("[a-c]{0,2}", any::<bool>()), 0..30),
        ) {
            let mut column = Column::new(Kind::Str);
            let mut places = Vec::new();
            let mut expected = Vec::new();
            for (row, (text, kept)) in (0..).zip(&rows) {
                column.push_text(row, text.as_bytes()).unwrap();
                let place = u32::try_from(expected.len()).unwrap();
                places.push(if *kept { place } else { LEFT_OUT });
                if *kept {
                    expected.push(text.as_str());
                }
            }
            let finished = column.finish(&places);
            let read: Vec<_> = finished.pairs.iter().map(|(_, code)| finished.texts[usize::try_from(*code).unwrap()]).collect();
            prop_assert_eq!(&read, &expected);
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(finished.texts, expected);
        }
    }
}
