//! An opened segment: footer, sections, scrub.

use std::fmt;
use std::sync::Arc;

use super::block::{BlockRef, Place};
use super::damage::BadBlocks;
use super::footer::{self, Form, HEADER_LEN, MAGIC, SectionEntry, TRAILER_LEN, Trailer};
use super::section::SectionReader;
use super::wire::{Bad, narrow, wide};
use super::{FORMAT_VERSION, FORMAT_VERSION_MIN, SectionSummary, cache};
use crate::boundary::{Object, Store};
use crate::io::{FileId, FileKind};
use crate::row::{ProjectId, Table};
use crate::source::SourceError;

/// The first read at opening: the footers of some thousand small sections.
const TAIL_READ_BYTES: u64 = 64 << 10;

/// Why a segment did not open or verify.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// Written by another version of obsrv.
    #[error(
        "segment of unknown version file={file} version={version} known={FORMAT_VERSION_MIN} to {FORMAT_VERSION}"
    )]
    Version {
        /// The file.
        file: String,
        /// Its version.
        version: u32,
    },
    /// Damage, or the disk refused.
    #[error(transparent)]
    Read(#[from] SourceError),
}

impl SegmentError {
    pub(super) fn damaged(place: &Place, offset: u64, what: &'static str) -> Self {
        Self::Read(place.damaged(offset, Bad(what)))
    }
}

/// The file of a segment; dropping the last holder forgets what is cached of it.
#[derive(Debug)]
pub(super) struct SegmentFile {
    pub(super) place: Place,
    pub(super) instance: u64,
    pub(super) version: u32,
    pub(super) object: Arc<dyn Object>,
    pub(super) bad: BadBlocks,
}

impl Drop for SegmentFile {
    fn drop(&mut self) {
        cache::forget(self.instance);
    }
}

impl SegmentFile {
    pub(super) fn read(&self, block: &BlockRef) -> Result<bytes::Bytes, SourceError> {
        let read = self.place.read(&*self.object, block);
        read.inspect_err(|_| self.bad.note(block.offset))
    }

    /// The block as it is stored, checked.
    pub(super) fn read_stored(&self, block: &BlockRef) -> Result<bytes::Bytes, SourceError> {
        let read = self.place.read_stored(&*self.object, block);
        read.inspect_err(|_| self.bad.note(block.offset))
    }
}

/// An immutable segment.
#[derive(Debug)]
pub struct Segment {
    file: Arc<SegmentFile>,
    sections: Vec<SectionReader>,
}

/// What a scrub read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Blocks, footer not counted.
    pub blocks: u64,
    /// The length of the file, every byte of which was checked.
    pub bytes: u64,
    /// Sections.
    pub sections: u64,
    /// Rows.
    pub rows: u64,
}

impl Segment {
    /// Opens segment `id` by reading its tail alone.
    pub fn open(
        store: &Arc<dyn Store>,
        id: u64,
        database: [u8; 16],
    ) -> Result<Arc<Self>, SegmentError> {
        let file = FileId::new(FileKind::Segment, id);
        let place = Place { file, database };
        let object = store.open(place.file).map_err(|e| place.io(0, e))?;
        let footer = read_footer(&place, &*object)?;
        let instance = cache::next_instance();
        let file = Arc::new(SegmentFile {
            place,
            instance,
            version: footer.version,
            object,
            bad: BadBlocks::default(),
        });
        let sections = footer.sections.into_iter();
        let sections = sections.map(|entry| SectionReader::new(Arc::clone(&file), entry));
        Ok(Arc::new(Self {
            sections: sections.collect(),
            file,
        }))
    }

    /// The segment's number.
    pub fn id(&self) -> u64 {
        self.file.place.file.number
    }

    #[cfg(feature = "forge")]
    pub(super) fn place(&self) -> Place {
        self.file.place.clone()
    }

    /// Its bytes, as long as anybody has them open.
    pub(crate) fn object(&self) -> &dyn Object {
        &*self.file.object
    }

    /// Offsets of blocks that did not read since it was opened, or since it was last read whole.
    pub(crate) fn bad_blocks(&self) -> Vec<u64> {
        self.file.bad.all()
    }

    /// The length of the file.
    pub fn bytes(&self) -> u64 {
        self.file.object.len()
    }

    /// What is in it, ordered by project and table.
    pub fn sections(&self) -> impl Iterator<Item = &SectionSummary> {
        self.sections.iter().map(SectionReader::summary)
    }

    #[cfg(any(feature = "forge", feature = "measure"))]
    pub(super) fn readers(&self) -> impl Iterator<Item = &SectionReader> {
        self.sections.iter()
    }

    /// One table of one project.
    pub fn section(&self, project: ProjectId, table: Table) -> Option<&SectionReader> {
        let key = |s: &SectionReader| (s.summary().project, s.summary().table);
        let at = self
            .sections
            .binary_search_by_key(&(project, table), key)
            .ok()?;
        self.sections.get(at)
    }

    /// Reads every block and checks that header, blocks and footer fill the file without a gap.
    pub fn verify(&self) -> Result<VerifyReport, SegmentError> {
        self.verify_and(&mut |_| {})
    }

    /// The same, and shows what is in each block, as it was before it was compressed.
    pub(crate) fn verify_and(
        &self,
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<VerifyReport, SegmentError> {
        let place = &self.file.place;
        let header = self.file.object.get_range(0..wide(HEADER_LEN));
        let header = header.map_err(|e| place.io(0, e))?;
        if header != *footer::header(place, self.file.version) {
            return Err(SegmentError::damaged(place, 0, "header"));
        }
        let mut report = VerifyReport {
            bytes: self.bytes(),
            ..VerifyReport::default()
        };
        let mut end = wide(HEADER_LEN);
        // All sections, so that every block that does not read is known.
        let sections = self.sections.iter();
        let checked: Vec<_> = sections.map(|section| section.check(visit)).collect();
        for (section, blocks) in self.sections.iter().zip(checked) {
            let mut blocks = blocks?;
            blocks.sort_unstable_by_key(|b| b.offset);
            for block in &blocks {
                if block.offset != end {
                    return Err(SegmentError::damaged(place, end, "gap between blocks"));
                }
                end = block.end();
            }
            report.blocks += wide(blocks.len());
            report.sections += 1;
            report.rows += u64::from(section.summary().rows);
        }
        let footer = read_footer(place, &*self.file.object)?;
        if footer.start != end {
            return Err(SegmentError::damaged(place, end, "gap before the footer"));
        }
        // A disk that refused a read for a while gives it now.
        self.file.bad.forget();
        Ok(report)
    }

    /// The structure, for people.
    pub fn describe(&self) -> Description<'_> {
        Description(self)
    }
}

struct Footer {
    sections: Vec<SectionEntry>,
    /// Where it begins.
    start: u64,
    version: u32,
}

/// Reads the footer and checks it.
fn read_footer(place: &Place, object: &dyn Object) -> Result<Footer, SegmentError> {
    let len = object.len();
    let too_short = || SegmentError::damaged(place, 0, "file shorter than header and trailer");
    let tail_at = len - len.min(TAIL_READ_BYTES);
    let tail = object.get_range(tail_at..len);
    let tail = tail.map_err(|e| place.io(tail_at, e))?;
    let (before, trailer) = tail
        .split_last_chunk::<TRAILER_LEN>()
        .ok_or_else(too_short)?;
    let end = len - wide(TRAILER_LEN);
    let trailer = Trailer::read(trailer).map_err(|bad| place.damaged(end, bad))?;
    if !(FORMAT_VERSION_MIN..=FORMAT_VERSION).contains(&trailer.version) {
        let file = place.file.to_string();
        return Err(SegmentError::Version {
            file,
            version: trailer.version,
        });
    }
    let start = end
        .checked_sub(trailer.footer_len)
        .filter(|start| *start >= wide(HEADER_LEN))
        .ok_or_else(|| SegmentError::damaged(place, end, "footer length"))?;
    let sections = if let Some(at) = start.checked_sub(tail_at) {
        trailer.sections(place, start, before.get(narrow(at)..).unwrap_or_default())
    } else {
        let footer = object
            .get_range(start..end)
            .map_err(|e| place.io(start, e))?;
        trailer.sections(place, start, &footer)
    };
    Ok(Footer {
        sections: sections.map_err(|bad| place.damaged(start, bad))?,
        start,
        version: trailer.version,
    })
}

/// Prints the structure of a segment.
#[derive(Debug)]
pub struct Description<'a>(&'a Segment);

impl fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let segment = self.0;
        writeln!(
            f,
            "{} version={} magic={} bytes={} sections={}",
            segment.file.place.file,
            segment.file.version,
            String::from_utf8_lossy(&MAGIC),
            segment.bytes(),
            segment.sections.len(),
        )?;
        segment
            .sections
            .iter()
            .try_for_each(|section| section.describe(f))
    }
}

impl Form {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Compact => "compact",
            Self::Full => "full",
        }
    }
}
