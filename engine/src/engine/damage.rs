//! Questions over damaged segments.
//!
//! A question that meets a block that does not read is asked again: what follows from other blocks is
//! then had from those (see `segment::damage`), and the answer is the same. If the block holds facts,
//! the question fails and says which block it was; a snapshot that was made
//! [`Snapshot::allowing_partial`] goes on without the block's rows and says what it left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use obsrv_wal::io::{FileId, FileKind};
use parking_lot::Mutex;
use roaring::RoaringBitmap;

use super::compact::CompactError;
use super::flush::FlushError;
use super::{Engine, Snapshot, chain};
use crate::memtable::SectionId;
use crate::mutant::Bug;
use crate::query::QueryError;
use crate::row::{ProjectId, Table};
use crate::segment::damage::Lost;
use crate::segment::{Segment, WriteError};
use crate::source::SourceError;

/// Blocks that one question goes round or leaves out; with one more it fails.
pub const DAMAGED_BLOCKS_MAX: usize = 256;

/// A part of a segment that an answer was made without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The segment.
    pub file: String,
    /// Where the block begins.
    pub offset: u64,
    /// Of which section, and which block of it.
    pub part: String,
    /// Live rows that were left out with it.
    pub rows: u64,
}

/// What a snapshot leaves out, as questions come upon it. Held for a map operation only.
#[derive(Debug, Default)]
pub(super) struct Partial(Mutex<Missing>);

#[derive(Debug, Default)]
struct Missing {
    rows: BTreeMap<SectionId, RoaringBitmap>,
    list: Vec<LeftOut>,
}

impl Partial {
    pub(super) fn rows(&self, section: &SectionId) -> Option<RoaringBitmap> {
        self.0.lock().rows.get(section).cloned()
    }

    /// Notes something that is left out, once.
    pub(super) fn note(&self, left_out: LeftOut) {
        let mut missing = self.0.lock();
        if !missing.list.contains(&left_out) {
            missing.list.push(left_out);
        }
    }
}

/// An error that may say that a block does not read.
pub(super) trait Unreadable: From<SourceError> {
    fn unreadable(self) -> Result<SourceError, Self>;
}

impl Unreadable for SourceError {
    fn unreadable(self) -> Result<SourceError, Self> {
        Ok(self)
    }
}

impl Unreadable for QueryError {
    fn unreadable(self) -> Result<SourceError, Self> {
        match self {
            Self::Source(error) => Ok(error),
            other => Err(other),
        }
    }
}

/// A block of a project's section.
struct Block {
    segment: Arc<Segment>,
    section: SectionId,
    lost: Lost,
}

impl Snapshot {
    /// The same, going on without rows that cannot be read: whoever asks must say what
    /// [`Snapshot::left_out`] has afterwards.
    #[must_use]
    pub fn allowing_partial(mut self) -> Self {
        self.partial = Some(Partial::default());
        self
    }

    /// What the questions so far were answered without. Empty: nothing is missing.
    pub fn left_out(&self) -> Vec<LeftOut> {
        let partial = self.partial.as_ref();
        partial.map_or_else(Vec::new, |partial| partial.0.lock().list.clone())
    }

    /// Asks until no block is met that can be gone round or left out.
    pub(super) fn going_round<T, E: Unreadable>(
        &self,
        project: ProjectId,
        ask: &mut dyn FnMut() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut met: BTreeMap<(String, u64), u8> = BTreeMap::new();
        loop {
            let error = match ask() {
                Ok(answer) => return Ok(answer),
                Err(error) => error.unreadable()?,
            };
            let (file, offset) = error.place();
            let times = met.entry((file.to_owned(), offset)).or_default();
            *times += 1;
            let times = *times;
            let Some(block) = self.block(project, &error) else {
                return Err(error.into());
            };
            if met.len() > DAMAGED_BLOCKS_MAX || !self.goes_on(&block, offset, times) {
                return Err(named(error, block.lost.part).into());
            }
        }
    }

    /// The error, with the name of the block.
    pub(super) fn named(&self, project: ProjectId, error: SourceError) -> SourceError {
        match self.block(project, &error) {
            Some(block) => named(error, block.lost.part),
            None => error,
        }
    }

    fn block(&self, project: ProjectId, error: &SourceError) -> Option<Block> {
        let (file, offset) = error.place();
        let file = FileId::from_name(file).filter(|file| file.kind == FileKind::Segment)?;
        let segment = self.version.segments().get(&file.number)?;
        Table::ALL.into_iter().find_map(|table| {
            let lost = segment.section(project, table)?.lost_with(offset)?;
            Some(Block {
                segment: Arc::clone(segment),
                section: (file.number, project, table),
                lost,
            })
        })
    }

    /// Whether asking again may help, now that the block is known.
    fn goes_on(&self, block: &Block, offset: u64, times: u8) -> bool {
        let derived = block.lost.rows.is_empty();
        if derived && times == 1 {
            return true;
        }
        let Some(partial) = &self.partial else {
            return false;
        };
        let (number, project, table) = block.section;
        let Some(section) = block.segment.section(project, table) else {
            return false;
        };
        // A look-up may need the block for other rows than those that are lost with it.
        let lost = match times {
            1 => block.lost.rows.clone(),
            2 => section.all_rows(),
            _ => return false,
        };
        let live = self
            .version
            .live(number, project, table, section.summary().rows);
        let mut missing = partial.0.lock();
        let rows = missing.rows.entry(block.section).or_default();
        let left_out = LeftOut {
            file: FileId::new(FileKind::Segment, number).to_string(),
            offset,
            part: block.lost.part.clone(),
            rows: (&lost & (&live - &*rows)).len(),
        };
        *rows |= lost;
        if left_out.rows > 0 && !self.planted.has(Bug::LeftOutUnsaid) {
            missing.list.push(left_out);
        }
        true
    }
}

fn named(error: SourceError, name: String) -> SourceError {
    match error {
        SourceError::Damaged {
            file, offset, what, ..
        } => SourceError::Damaged {
            file,
            offset,
            what,
            part: name,
        },
        error @ SourceError::Io { .. } => error,
    }
}

impl Engine {
    /// Keeps an input that does not read from further merges: it stays where it is, so that nothing of
    /// it is lost in silence, until a scrub reads it whole or a repair replaces it.
    pub(super) fn set_aside(&self, error: &CompactError) {
        let (CompactError::Read(input)
        | CompactError::Output(FlushError::Write(WriteError::Input(input)))) = error
        else {
            return;
        };
        let Some(file) = FileId::from_name(input.place().0) else {
            return;
        };
        let what = chain(input);
        tracing::error!(
            segment = file.number,
            what,
            "segment is damaged, not merged"
        );
        self.damaged.lock().insert(file.number, what);
    }

    /// Live segments that a scrub, a merge or a question found damaged, and what is wrong with each.
    pub fn damaged(&self) -> Vec<(u64, String)> {
        let version = Arc::clone(&self.version.read());
        let mut damaged = self.damaged.lock();
        damaged.retain(|number, _| version.segments().contains_key(number));
        let mut all = damaged.clone();
        drop(damaged);
        for (number, segment) in version.segments() {
            if let Some(offset) = segment.bad_blocks().first() {
                let what = format!("block does not read offset={offset}");
                all.entry(*number).or_insert(what);
            }
        }
        all.into_iter().collect()
    }
}
