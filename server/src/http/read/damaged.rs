//! What an answer was made without, for whoever asked with `allow_partial=true`.

use obsrv_engine::engine::{DAMAGED_BLOCKS_MAX, LeftOut};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::error::{ApiError, ErrorCode};
use crate::http::routes::Route;
use crate::http::store::View;

/// The parameter.
pub(super) const ALLOW_PARTIAL: &str = "allow_partial";

/// A part of a segment that does not read, whose rows the answer does not have.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Damaged {
    /// The segment's file.
    segment: String,
    /// Where in it the block begins.
    offset: u64,
    /// Of which section, and which block of it.
    part: String,
    /// How many rows are left out.
    rows: u64,
}

impl From<LeftOut> for Damaged {
    fn from(part: LeftOut) -> Self {
        Self {
            segment: part.file,
            offset: part.offset,
            part: part.part,
            rows: part.rows,
        }
    }
}

/// All of them; `None` if nothing is missing.
pub(super) fn damaged(left_out: Vec<LeftOut>) -> Option<Vec<Damaged>> {
    (!left_out.is_empty()).then(|| left_out.into_iter().map(Damaged::from).collect())
}

/// Why nothing was found: nobody is told that a row is not there which may be in a damaged block.
pub(super) fn not_found(view: &View, otherwise: ApiError) -> ApiError {
    match view.left_out().into_iter().next() {
        None => otherwise,
        Some(part) => {
            let LeftOut {
                file, offset, part, ..
            } = part;
            let message = format!(
                "not found, but a part is damaged where it may be segment={file} offset={offset} part={part}"
            );
            ApiError::new(ErrorCode::Damaged, message)
        }
    }
}

/// What an answer of many questions was made without, each part once.
#[derive(Debug, Default)]
pub(super) struct AllDamaged(Vec<Damaged>);

impl AllDamaged {
    /// Adds what one more question left out.
    pub(super) fn add(&mut self, left_out: Vec<LeftOut>) -> Result<(), ApiError> {
        for part in left_out.into_iter().map(Damaged::from) {
            let is_it =
                |known: &Damaged| (&known.segment, known.offset) == (&part.segment, part.offset);
            if self.0.iter().any(is_it) {
                continue;
            }
            if self.0.len() == DAMAGED_BLOCKS_MAX {
                let message = format!("too many damaged blocks max={DAMAGED_BLOCKS_MAX}");
                return Err(ApiError::new(ErrorCode::Damaged, message));
            }
            self.0.push(part);
        }
        Ok(())
    }

    /// Nothing if nothing is missing.
    pub(super) fn all(&self) -> Option<&[Damaged]> {
        (!self.0.is_empty()).then_some(&*self.0)
    }
}

pub(super) fn asks_partial(route: &mut Route) -> &mut Route {
    route.asks(
        ALLOW_PARTIAL,
        "`true` goes on without rows that are damaged on disk; `damaged` says which those are",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(offset: u64) -> LeftOut {
        LeftOut {
            file: "segment-1".to_owned(),
            offset,
            part: "a block".to_owned(),
            rows: 1,
        }
    }

    #[test]
    fn a_part_counts_once_and_one_above_the_limit_is_refused() {
        let most = u64::try_from(DAMAGED_BLOCKS_MAX).expect("small");
        let mut all = AllDamaged::default();
        assert!(all.all().is_none());
        for _ in 0..2 {
            for offset in 0..most {
                all.add(vec![part(offset)]).expect("at the limit");
            }
        }
        assert_eq!(all.all().map(<[_]>::len), Some(DAMAGED_BLOCKS_MAX));
        let refused = all.add(vec![part(most)]).expect_err("one above");
        assert_eq!(refused.code, ErrorCode::Damaged);
    }
}
