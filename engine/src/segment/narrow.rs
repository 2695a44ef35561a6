//! Which payload blocks the index of terms leaves.

use super::FULL_ROWS_MIN;
use super::section::SectionReader;
use super::terms::{self, Posting, Root};
use super::view::View;
use super::wire::narrow;
use crate::columns::value::Kind;
use crate::doc::COLUMN_VALUE_BYTES_MAX;
use crate::source::{Blocks, Probe, SourceError};
use crate::text::RULE;

impl View<'_> {
    /// The blocks that may have all of the terms.
    fn blocks_with(&self, root: &Root, terms: &[u64]) -> Result<Blocks, SourceError> {
        let mut found: Option<Vec<Posting>> = None;
        for term in terms {
            let with = terms::lookup(self, root, *term)?;
            let both = match found {
                None => with,
                Some(mut before) => {
                    before.retain(|(block, _)| with.binary_search_by_key(block, |p| p.0).is_ok());
                    before
                }
            };
            let none = both.is_empty();
            found = Some(both);
            if none {
                break;
            }
        }
        let counted = terms.len() == 1;
        let mut left: Vec<(u32, Option<u32>)> = found
            .unwrap_or_default()
            .into_iter()
            .map(|(block, rows)| (block, counted.then_some(rows)))
            .collect();
        left.retain(|(block, _)| root.open.binary_search(block).is_err());
        left.extend(root.open.iter().map(|block| (*block, None)));
        left.sort_unstable();
        let left = left.into_iter().map(|(block, rows)| {
            let of_block = self.rows_by_block()?.get(narrow(u64::from(block)));
            let of_block = of_block.ok_or_else(|| self.no_row())?;
            if rows.is_some_and(|n| u64::from(n) > of_block.len()) {
                return Err(self.no_row());
            }
            Ok((of_block.clone(), rows))
        });
        Ok(Blocks {
            left: left.collect::<Result<_, _>>()?,
        })
    }
}

impl SectionReader {
    /// See [`crate::source::Source::narrow`].
    pub(super) fn narrowed(&self, probe: Probe<'_>) -> Result<Option<Blocks>, SourceError> {
        let view = self.view()?;
        let directory = &view.index.directory;
        let Some(root) = directory.terms.as_ref().filter(|root| root.rule == RULE) else {
            return Ok(None);
        };
        match probe {
            Probe::Words([]) => Ok(None),
            Probe::Words(terms) => self.or_without(view.blocks_with(root, terms)),
            Probe::Text { path, text, terms } => {
                let long = text.len() > COLUMN_VALUE_BYTES_MAX;
                let kind = if long { Kind::Long } else { Kind::Str };
                let Some(columns) = view.columns_at(path)? else {
                    return Ok(None);
                };
                let Some(column) = columns.iter().find(|c| c.kind == kind) else {
                    return Ok(Some(Blocks::default()));
                };
                // Where codes are few they are read as fast.
                let direct = !column.bitmaps.is_empty() || !long && directory.rows < FULL_ROWS_MIN;
                if direct || terms.is_empty() {
                    return Ok(None);
                }
                self.or_without(view.blocks_with(root, terms))
            }
        }
    }

    /// What the index of terms says, or nothing if a block of it does not read.
    fn or_without(
        &self,
        found: Result<Blocks, SourceError>,
    ) -> Result<Option<Blocks>, SourceError> {
        match found {
            Err(error) if self.file.bad.has(error.place().1) => Ok(None),
            found => found.map(Some),
        }
    }
}
