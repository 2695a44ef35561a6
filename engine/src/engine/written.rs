//! What is written to the disk, by what it is for.

use std::sync::atomic::{AtomicU64, Ordering};

use obsrv_wal::io::{Disk, FileKind};

/// Bytes of segments that were written whole.
#[derive(Debug, Default)]
pub(super) struct SegmentBytes {
    pub(super) flush: AtomicU64,
    pub(super) merge: AtomicU64,
}

/// Bytes that were written since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WrittenBytes {
    /// Frames of the log.
    pub log: u64,
    /// What stands around them in the whole pages that are written.
    pub log_pages: u64,
    /// Zeroes that files of the log are filled with ahead of need.
    pub log_zeroes: u64,
    /// Segments of memtables.
    pub flush: u64,
    /// Segments of segments.
    pub merge: u64,
    /// The manifest, its zeroes and pages included.
    pub manifest: u64,
    /// Bodies too large for the log.
    pub side: u64,
    /// Everything else: secrets, quarantine, segments that were not finished or that a repair made.
    pub other: u64,
}

impl WrittenBytes {
    pub(super) fn of(disk: &dyn Disk, segments: &SegmentBytes) -> Self {
        let whole = |kind| {
            let written = disk.written(kind);
            written.content + written.pages + written.zeroes
        };
        let log = disk.written(FileKind::Wal);
        let flush = segments.flush.load(Ordering::Relaxed);
        let merge = segments.merge.load(Ordering::Relaxed);
        let other = whole(FileKind::Segment).saturating_sub(flush + merge);
        Self {
            log: log.content,
            log_pages: log.pages,
            log_zeroes: log.zeroes,
            flush,
            merge,
            manifest: whole(FileKind::Manifest),
            side: whole(FileKind::Side),
            other: other + whole(FileKind::Secret) + whole(FileKind::Quarantine),
        }
    }

    /// By the name of what it is for.
    pub const fn by_kind(&self) -> [(&'static str, u64); 8] {
        [
            ("log", self.log),
            ("log_pages", self.log_pages),
            ("log_zeroes", self.log_zeroes),
            ("flush", self.flush),
            ("merge", self.merge),
            ("manifest", self.manifest),
            ("side", self.side),
            ("other", self.other),
        ]
    }
}
