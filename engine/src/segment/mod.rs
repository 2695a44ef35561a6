//! Segments: immutable columnar files.
//!
//! A segment is a sequence of sections, one per project and table, and one footer. A section owns
//! its rows in three forms, chosen by size alone: *inline* (one frame of whole rows, columns are
//! derived when it is read), *compact* (one frame of columns, payload blocks beside it) and *full*
//! (blocks of columns with bitmaps). A directory lists a bounded number of keys. No block, dictionary or bitmap holds two projects. The bytes
//! are described in `FORMAT.md`.
//!
//! A [`Segment`] owns an open file and its footer, and of each section the trace hashes once they
//! were asked for (4 bytes per trace); everything else it reads goes through bounded caches that
//! all segments share. All reads are checked against the checksum in the parent. No locks are held
//! while reading; everything is `&self` and safe to use from many threads.

mod block;
mod bodies;
mod cache;
mod chunk;
pub(crate) mod damage;
mod directory;
mod encode;
mod footer;
#[cfg(feature = "forge")]
mod forge;
mod index;
mod lanes;
mod lookup;
#[cfg(feature = "measure")]
mod measure;
mod merge;
mod narrow;
mod outline;
mod packed;
mod promote;
mod query;
mod read;
mod reading;
mod rows;
mod section;
mod steps;
mod table;
mod terms;
#[cfg(test)]
pub(crate) mod tests;
mod view;
mod wire;
mod write;

use crate::body::Content;
use crate::row::{Lsn, ProjectId, RowKey, Table};

pub(crate) use cache::share_out;
#[cfg(feature = "forge")]
pub use forge::{Template, ask, count_columns, count_terms, key_page};
pub(crate) use index::{Encode, Gathered};
#[cfg(feature = "measure")]
pub use measure::{ChunkParts, ColumnParts, SectionParts, TextPage};
pub(crate) use merge::{MergeInput, MergeSection};
pub use promote::PROMOTED_PATHS_MAX;
pub use read::{Segment, SegmentError, VerifyReport};
pub use section::SectionReader;
pub(crate) use steps::{Steps, Stopped};
pub(crate) use write::{Work, write_in_steps, write_works};
pub use write::{WriteError, write};

/// Version of the bytes. A reader refuses any other by its number.
pub const FORMAT_VERSION: u32 = 4;
/// The oldest version that is read: directories list every key, and payload blocks share nothing.
pub const FORMAT_VERSION_MIN: u32 = 2;
/// The first version that has pages of keys beside the directory.
const FORMAT_VERSION_RARE: u32 = 4;

/// Rows of a row group: one container of a roaring bitmap.
pub const GROUP_ROWS: u32 = 65_536;
/// A section with fewer rows has no bitmaps.
pub const FULL_ROWS_MIN: u32 = 4_096;
/// A section of fewer than [`FULL_ROWS_MIN`] rows with at most this many bytes of bodies is one
/// frame of whole rows.
pub const INLINE_BODY_BYTES_MAX: u64 = 64 << 10;
/// A section with more bytes of bodies has its columns in blocks, however few its rows.
pub const COMPACT_BODY_BYTES_MAX: u64 = 16 << 20;
/// A column with more distinct values has no bitmaps.
pub const INDEXED_VALUES_MAX: usize = 4_096;
/// Bodies are gathered into payload blocks of this size before compression; what they repeat does
/// not count.
pub const PAYLOAD_BLOCK_BYTES: usize = 256 << 10;
/// Nor are more bytes of bodies in one block, however much they repeat: whoever reads them all reads
/// so many.
pub const BLOCK_BODY_BYTES_MAX: usize = 64 << 20;
/// No block is larger before compression, so neither is a body.
pub const BLOCK_RAW_BYTES_MAX: u32 = 1 << 30;
/// Rows are sorted by windows of this length first.
pub const WINDOW_NS: i64 = 600_000_000_000;

/// Makes the term index of documents, block by block, and gives its terms and postings: for
/// measuring.
#[cfg(feature = "measure")]
pub fn gather_terms(blocks: &[&[bytes::Bytes]]) -> Result<(usize, usize), crate::doc::DocError> {
    terms::gather(blocks)
}

/// Column data is gathered into blocks of this size before compression.
const COLUMN_BLOCK_BYTES: usize = 64 << 10;
/// Row ids stand in pages of this many.
const ID_PAGE_ROWS: u32 = 1_024;

/// What a page of byte strings holds.
#[derive(Clone, Copy)]
enum Page {
    Text,
    Bitmap,
}

impl Page {
    const fn items(self) -> u32 {
        match self {
            Self::Text => 1_024,
            Self::Bitmap => 64,
        }
    }
}

/// A row to be written, or read back whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowInput {
    /// Its identity.
    pub key: RowKey,
    /// Start, nanoseconds.
    pub start_ns: i64,
    /// End, nanoseconds; `None` while running.
    pub end_ns: Option<i64>,
    /// The record that first made this row.
    pub lsn_first: Lsn,
    /// The record that last changed it.
    pub lsn_last: Lsn,
    /// What it says. Columns come from its view.
    pub content: Content,
}

/// The rows of one section, in any order. Keys are unique: of two rows with one key,
/// [`SectionReader::find`] gives the first in the file's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionInput {
    /// The project.
    pub project: ProjectId,
    /// The table.
    pub table: Table,
    /// The rows.
    pub rows: Vec<RowInput>,
}

/// How to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentOptions {
    /// zstd level.
    pub compression: i32,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self { compression: 1 }
    }
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The segment's number.
    pub id: u64,
    /// The length of the file.
    pub bytes: u64,
    /// What is in it, ordered by project and table. Empty sections are left out.
    pub sections: Vec<SectionSummary>,
    /// Per section of the input: input row index to row in the file.
    pub order: Vec<Vec<u32>>,
}

/// What the footer says of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionSummary {
    /// The project.
    pub project: ProjectId,
    /// The table.
    pub table: Table,
    /// How many rows; at least one.
    pub rows: u32,
    /// Smallest start.
    pub start_min: i64,
    /// Largest start.
    pub start_max: i64,
    /// Smallest LSN of any row, first or last.
    pub lsn_min: Lsn,
    /// Largest LSN of any row, first or last.
    pub lsn_max: Lsn,
}
