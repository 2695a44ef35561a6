//! Blocks: the unit of reading, checking and compression.
//!
//! A block's reference stands in its parent (footer or directory) and holds its checksum, which
//! covers database, segment, offset and the stored bytes: a block that was moved, or belongs to
//! another file, does not read.

use std::cell::RefCell;
use std::io;

use bytes::Bytes;
use zstd::bulk::Decompressor;

use super::BLOCK_RAW_BYTES_MAX;
use super::wire::{Bad, Cursor, count_u32, narrow, put_varint, wide};
use crate::boundary::{Object, Upload};
use crate::io::FileId;
use crate::source::SourceError;

/// zstd cannot expand more: a four-byte block gives at most 128 KiB.
const RATIO_MAX: u64 = 1 << 16;
/// Writes to the file are gathered to this size.
const WRITE_BYTES: usize = 1 << 20;
/// No more room for compressed blocks is kept: a block is 256 KiB but for bodies that are larger.
const PACKED_BYTES_MAX: usize = 1 << 20;
/// Writes begin at multiples of this: see [`Upload::append_cold`].
const PAGE_BYTES: usize = 4096;

/// Where a block is and what its bytes must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockRef {
    pub(super) offset: u64,
    pub(super) stored: u32,
    pub(super) raw: u32,
    pub(super) zstd: bool,
    pub(super) crc: u32,
}

impl BlockRef {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.offset);
        put_varint(out, u64::from(self.stored));
        put_varint(out, if self.zstd { u64::from(self.raw) } else { 0 });
        out.extend_from_slice(&self.crc.to_le_bytes());
    }

    pub(super) fn read(cursor: &mut Cursor) -> Result<Self, Bad> {
        let offset = cursor.varint()?;
        let stored = cursor.varint_u32()?;
        let raw = cursor.varint_u32()?;
        let crc = cursor.u32()?;
        let zstd = raw > 0;
        let raw = if zstd { raw } else { stored };
        if raw > BLOCK_RAW_BYTES_MAX || u64::from(raw) > u64::from(stored) * RATIO_MAX {
            return Err(Bad("block larger than its bytes can hold"));
        }
        Ok(Self {
            offset,
            stored,
            raw,
            zstd,
            crc,
        })
    }

    /// The first byte behind the block.
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(u64::from(self.stored))
    }
}

/// The file that blocks belong to.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) file: FileId,
    pub(super) database: [u8; 16],
}

impl Place {
    pub(super) fn crc(&self, offset: u64, bytes: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.database);
        hasher.update(&self.file.number.to_le_bytes());
        hasher.update(&offset.to_le_bytes());
        hasher.update(bytes);
        hasher.finalize()
    }

    pub(super) fn damaged(&self, offset: u64, Bad(what): Bad) -> SourceError {
        SourceError::Damaged {
            file: self.file.to_string(),
            offset,
            what,
            part: String::new(),
        }
    }

    pub(super) fn io(&self, offset: u64, source: io::Error) -> SourceError {
        SourceError::Io {
            file: self.file.to_string(),
            offset,
            source,
        }
    }

    /// Reads and checks a block as it is stored.
    pub(super) fn read_stored(
        &self,
        object: &dyn Object,
        block: &BlockRef,
    ) -> Result<Bytes, SourceError> {
        let get = || object.get_range(block.offset..block.end());
        // A disk that refuses once may have been busy with something else (F15).
        let stored = get().or_else(|_| get()).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged(block.offset, Bad("block past the end")),
            _ => self.io(block.offset, e),
        })?;
        if self.crc(block.offset, &stored) == block.crc {
            Ok(stored)
        } else {
            Err(self.damaged(block.offset, Bad("block checksum")))
        }
    }

    /// Reads, checks and decompresses a block.
    pub(super) fn read(&self, object: &dyn Object, block: &BlockRef) -> Result<Bytes, SourceError> {
        let stored = self.read_stored(object, block)?;
        if !block.zstd {
            return Ok(stored);
        }
        let raw = decompress(&stored, narrow(u64::from(block.raw)))
            .map_err(|_| self.damaged(block.offset, Bad("block compression")))?;
        if wide(raw.len()) != u64::from(block.raw) {
            return Err(self.damaged(block.offset, Bad("block length")));
        }
        Ok(Bytes::from(raw))
    }
}

thread_local! {
    /// Making a context costs as much as decompressing a small block.
    static ZSTD: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn decompress(stored: &[u8], raw_len: usize) -> io::Result<Vec<u8>> {
    ZSTD.with_borrow_mut(|context| {
        let context = match context {
            Some(context) => context,
            None => context.insert(Decompressor::new()?),
        };
        context.decompress(stored, raw_len)
    })
}

/// Writes blocks one behind the other.
pub(super) struct BlockWriter {
    place: Place,
    upload: Box<dyn Upload>,
    zstd: zstd::bulk::Compressor<'static>,
    flushed: u64,
    held: Vec<u8>,
    /// The block that was compressed last; the room is used again.
    packed: Vec<u8>,
}

impl BlockWriter {
    pub(super) fn new(place: Place, upload: Box<dyn Upload>, level: i32) -> io::Result<Self> {
        let zstd = zstd::bulk::Compressor::new(level)?;
        Ok(Self {
            place,
            upload,
            zstd,
            flushed: 0,
            held: Vec::with_capacity(WRITE_BYTES + (64 << 10)),
            packed: Vec::new(),
        })
    }

    pub(super) fn offset(&self) -> u64 {
        self.flushed + wide(self.held.len())
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Appends bytes as they are.
    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.held.extend_from_slice(bytes);
        self.write_held(false)
    }

    /// Appends bytes that nobody reads soon.
    fn put_cold(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.held.extend_from_slice(bytes);
        self.write_held(true)
    }

    /// Writes what is held, if it is much.
    fn write_held(&mut self, is_cold: bool) -> io::Result<()> {
        if self.held.len() < WRITE_BYTES {
            return Ok(());
        }
        let whole = self.whole_pages();
        let pages = &self.held[..whole];
        if is_cold {
            self.upload.append_cold(pages)?;
        } else {
            self.upload.append(pages)?;
        }
        self.flushed += wide(whole);
        self.held.drain(..whole);
        Ok(())
    }

    /// Writes go out in whole pages, so that the next one begins a page.
    const fn whole_pages(&self) -> usize {
        self.held.len() - self.held.len() % PAGE_BYTES
    }

    /// Appends a block, compressed if that makes it smaller.
    pub(super) fn block(&mut self, raw: &[u8]) -> io::Result<BlockRef> {
        let block = self.hold(raw)?;
        self.write_held(false)?;
        Ok(block)
    }

    /// As [`Self::block`], for payload: nobody reads it soon.
    pub(super) fn cold_block(&mut self, raw: &[u8]) -> io::Result<BlockRef> {
        let block = self.hold(raw)?;
        self.write_held(true)?;
        Ok(block)
    }

    /// Takes the next block to what is held.
    fn hold(&mut self, raw: &[u8]) -> io::Result<BlockRef> {
        let offset = self.offset();
        self.packed.clear();
        self.packed
            .reserve(zstd::zstd_safe::compress_bound(raw.len()));
        self.zstd.compress_to_buffer(raw, &mut self.packed)?;
        let zstd = self.packed.len() < raw.len();
        let stored = if zstd { &self.packed } else { raw };
        let block = BlockRef {
            offset,
            stored: count_u32(stored.len()),
            raw: count_u32(raw.len()),
            zstd,
            crc: self.place.crc(offset, stored),
        };
        self.held.extend_from_slice(stored);
        if self.packed.capacity() > PACKED_BYTES_MAX {
            self.packed = Vec::new();
        }
        Ok(block)
    }

    /// Appends a block of another file's payload: the bytes as they were stored there.
    pub(super) fn copy(&mut self, block: &BlockRef, stored: &[u8]) -> io::Result<BlockRef> {
        let offset = self.offset();
        self.put_cold(stored)?;
        Ok(BlockRef {
            offset,
            crc: self.place.crc(offset, stored),
            ..*block
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.upload.append(&self.held)?;
        self.flushed += wide(self.held.len());
        self.held.clear();
        Ok(())
    }

    /// Makes what was written durable under its name.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.upload.put_once()
    }
}
