//! Header, footer and trailer of the file.
//!
//! ```text
//! header   magic 8, version u32, segment u64, database 16
//! footer   sections varint, then each: project, table, form, rows, start min, span of starts,
//!          LSN min, span of LSNs, block reference
//! trailer  footer length u64, footer checksum u32, version u32, magic 8
//! ```
//!
//! The footer's checksum is a block's, over the footer and the first and third field of the trailer.

use super::block::{BlockRef, Place};
use super::wire::{Bad, Cursor, put_len, put_varint, put_zigzag, wide};
use super::{FORMAT_VERSION, SectionSummary};
use crate::row::{ProjectId, Table};

pub(super) const MAGIC: [u8; 8] = *b"obsrvSEG";
pub(super) const HEADER_LEN: usize = 36;
pub(super) const TRAILER_LEN: usize = 24;

/// How a section's rows stand. Persisted: never reuse a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Form {
    /// One frame of whole rows.
    Inline = 0,
    /// One frame: directory length u32, directory, pieces.
    Compact = 1,
    /// The block is the directory.
    Full = 2,
}

impl Form {
    fn from_u8(n: u8) -> Result<Self, Bad> {
        match n {
            0 => Ok(Self::Inline),
            1 => Ok(Self::Compact),
            2 => Ok(Self::Full),
            _ => Err(Bad("section form")),
        }
    }
}

/// A section as the footer names it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SectionEntry {
    pub(super) summary: SectionSummary,
    pub(super) form: Form,
    pub(super) block: BlockRef,
}

impl SectionEntry {
    fn put(&self, out: &mut Vec<u8>) {
        let summary = &self.summary;
        put_varint(out, summary.project.0);
        out.push(summary.table as u8);
        out.push(self.form as u8);
        put_varint(out, u64::from(summary.rows));
        put_zigzag(out, summary.start_min);
        put_varint(
            out,
            summary
                .start_max
                .wrapping_sub(summary.start_min)
                .cast_unsigned(),
        );
        put_varint(out, summary.lsn_min);
        put_varint(out, summary.lsn_max.wrapping_sub(summary.lsn_min));
        self.block.put(out);
    }

    fn read(cursor: &mut Cursor) -> Result<Self, Bad> {
        let project = ProjectId(cursor.varint()?);
        let table = Table::from_u8(cursor.u8()?).ok_or(Bad("table"))?;
        let form = Form::from_u8(cursor.u8()?)?;
        let rows = cursor.varint_u32()?;
        let start_min = cursor.zigzag()?;
        let start_max = start_min.wrapping_add(cursor.varint()?.cast_signed());
        let lsn_min = cursor.varint()?;
        let lsn_max = lsn_min.wrapping_add(cursor.varint()?);
        let summary = SectionSummary {
            project,
            table,
            rows,
            start_min,
            start_max,
            lsn_min,
            lsn_max,
        };
        if rows == 0 || start_min > start_max || lsn_min > lsn_max {
            return Err(Bad("section summary"));
        }
        Ok(Self {
            summary,
            form,
            block: BlockRef::read(cursor)?,
        })
    }
}

pub(super) fn header(place: &Place, version: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_LEN);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(&place.file.number.to_le_bytes());
    out.extend_from_slice(&place.database);
    out
}

/// Footer and trailer of a file whose blocks end at `offset`.
pub(super) fn encode(place: &Place, offset: u64, sections: &[SectionEntry]) -> Vec<u8> {
    let mut out = Vec::new();
    put_len(&mut out, sections.len());
    for s in sections {
        s.put(&mut out);
    }
    let len = wide(out.len());
    let crc = crc(place, offset, &out, FORMAT_VERSION);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    out.extend_from_slice(&MAGIC);
    out
}

fn crc(place: &Place, offset: u64, footer: &[u8], version: u32) -> u32 {
    let mut covered = footer.to_vec();
    covered.extend_from_slice(&wide(footer.len()).to_le_bytes());
    covered.extend_from_slice(&version.to_le_bytes());
    place.crc(offset, &covered)
}

/// The last bytes of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trailer {
    pub(super) footer_len: u64,
    crc: u32,
    pub(super) version: u32,
}

impl Trailer {
    pub(super) fn read(bytes: &[u8; TRAILER_LEN]) -> Result<Self, Bad> {
        let mut cursor = Cursor(bytes::Bytes::copy_from_slice(bytes));
        let trailer = Self {
            footer_len: cursor.u64()?,
            crc: cursor.u32()?,
            version: cursor.u32()?,
        };
        if cursor.array::<8>()? == MAGIC {
            Ok(trailer)
        } else {
            Err(Bad("trailer magic"))
        }
    }

    /// The sections of the footer that begins at `offset`.
    pub(super) fn sections(
        self,
        place: &Place,
        offset: u64,
        footer: &[u8],
    ) -> Result<Vec<SectionEntry>, Bad> {
        if crc(place, offset, footer, self.version) != self.crc {
            return Err(Bad("footer checksum"));
        }
        let mut cursor = Cursor(bytes::Bytes::copy_from_slice(footer));
        let n = cursor.count(15)?;
        let sections = (0..n)
            .map(|_| SectionEntry::read(&mut cursor))
            .collect::<Result<Vec<_>, _>>()?;
        cursor.end()?;
        let order = |s: &SectionEntry| (s.summary.project, s.summary.table);
        if !sections.is_sorted_by(|a, b| order(a) < order(b)) {
            return Err(Bad("order of sections"));
        }
        if sections.iter().any(|s| s.block.end() > offset) {
            return Err(Bad("section past the footer"));
        }
        Ok(sections)
    }
}
