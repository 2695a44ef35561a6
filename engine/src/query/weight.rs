//! How much a question comes to, and with which others it waits for that.
//!
//! A question is light until what is known of it says otherwise: what an aggregate will look at is known before
//! it begins, what a search must read turns up as it goes. So a light one costs little before it is found heavy,
//! and a page that is full after one row group is light whatever stands behind it.

use super::meter::Explain;

/// Row groups times columns of a light question: about 50 M values.
pub const LIGHT_VALUES_MAX: u64 = 800;
/// Live rows of the row groups that a light question looks into.
pub const LIGHT_ROWS_MAX: u64 = 32 << 20;
/// Bytes of bodies that a light question reads to decide rows.
pub const LIGHT_BYTES_MAX: u64 = 16 << 20;

/// Who waits with whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Answered in milliseconds, by bitmaps, zone maps and a page of rows.
    Light,
    /// Scans of texts, wide aggregates, exports.
    Heavy,
}

impl Class {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Light, Self::Heavy];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Heavy => "heavy",
        }
    }
}

/// What a question comes to, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Row groups times columns that must be looked at, whatever is found.
    pub values: u64,
    /// Live rows of the row groups that were looked into.
    pub rows: u64,
    /// Bytes of bodies that were read to decide rows.
    pub bytes: u64,
}

/// Why a question is heavy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}={count} light_max={max}")]
pub struct Heavy {
    /// Of what it is too much for a light one.
    pub what: &'static str,
    /// How many.
    pub count: u64,
    /// How many a light one may have.
    pub max: u64,
}

impl Weight {
    /// Why it is heavy; `None`: it is light.
    pub fn heavy(&self) -> Option<Heavy> {
        let Self {
            values,
            rows,
            bytes,
        } = *self;
        [
            ("values", values, LIGHT_VALUES_MAX),
            ("rows", rows, LIGHT_ROWS_MAX),
            ("bytes", bytes, LIGHT_BYTES_MAX),
        ]
        .into_iter()
        .find(|(_, count, max)| count > max)
        .map(|(what, count, max)| Heavy { what, count, max })
    }

    /// The class that it is of.
    pub fn class(&self) -> Class {
        match self.heavy() {
            None => Class::Light,
            Some(_) => Class::Heavy,
        }
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            values: self.values.saturating_add(other.values),
            rows: self.rows.saturating_add(other.rows),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// What is more of it than there was before.
    pub(super) const fn since(self, before: Self) -> Self {
        Self {
            values: self.values.saturating_sub(before.values),
            rows: self.rows.saturating_sub(before.rows),
            bytes: self.bytes.saturating_sub(before.bytes),
        }
    }
}

impl Explain {
    /// What the question came to.
    pub const fn weight(&self) -> Weight {
        Weight {
            values: self.estimate,
            rows: self.rows_visited,
            bytes: self.bytes_read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_light_at_each_limit_and_heavy_one_above() {
        let all = Weight {
            values: LIGHT_VALUES_MAX,
            rows: LIGHT_ROWS_MAX,
            bytes: LIGHT_BYTES_MAX,
        };
        assert_eq!((all.heavy(), all.class()), (None, Class::Light));
        let one = |values, rows, bytes| Weight {
            values,
            rows,
            bytes,
        };
        for (more, what) in [
            (one(1, 0, 0), "values"),
            (one(0, 1, 0), "rows"),
            (one(0, 0, 1), "bytes"),
        ] {
            let over = all.and(more);
            let why = over.heavy().unwrap();
            assert_eq!((why.what, over.class()), (what, Class::Heavy));
            assert_eq!(why.count, why.max + 1);
            assert_eq!(over.since(all), more);
        }
        let why = all.and(one(0, 0, 1)).heavy().unwrap().to_string();
        assert_eq!(why, "bytes=16777217 light_max=16777216");
    }
}
