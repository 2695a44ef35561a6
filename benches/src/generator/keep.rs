//! Few of many rows: the largest, or some by chance.

use super::rng::Rng;

/// The rows with the largest keys; equal keys by id, largest first, too.
#[derive(Debug)]
pub(super) struct Best<K, T> {
    limit: usize,
    rows: Vec<(K, String, T)>,
}

impl<K: Ord, T> Best<K, T> {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            rows: Vec::new(),
        }
    }

    pub(super) fn offer(&mut self, key: K, id: &str, row: impl FnOnce() -> T) {
        self.rows.push((key, id.to_owned(), row()));
        if self.rows.len() >= self.limit * 4 {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.rows.sort_by(|a, b| (&b.0, &b.1).cmp(&(&a.0, &a.1)));
        self.rows.truncate(self.limit);
    }

    /// In order.
    pub(super) fn finish(&mut self) -> impl Iterator<Item = &T> {
        self.cut();
        self.rows.iter().map(|row| &row.2)
    }
}

/// Rows by chance, each as likely as the other.
#[derive(Debug)]
pub(super) struct Sample<T> {
    limit: usize,
    seen: u64,
    rows: Vec<T>,
}

impl<T> Sample<T> {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            seen: 0,
            rows: Vec::new(),
        }
    }

    pub(super) fn offer(&mut self, rng: &mut Rng, row: T) {
        self.seen += 1;
        if self.rows.len() < self.limit {
            self.rows.push(row);
            return;
        }
        let at = usize::try_from(rng.below(self.seen)).unwrap_or(usize::MAX);
        if let Some(place) = self.rows.get_mut(at) {
            *place = row;
        }
    }

    pub(super) fn rows(&self) -> &[T] {
        &self.rows
    }
}
