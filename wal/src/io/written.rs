//! How much is written to files of each kind, as it is handed to the system.

use std::sync::atomic::{AtomicU64, Ordering};

use super::FileKind;

/// Bytes that were written to the files of one kind since the disk was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// What the layers above asked to write.
    pub content: u64,
    /// What was written beside it, since only whole pages go past the page cache.
    pub pages: u64,
    /// Zeroes that a file was filled with ahead of need.
    pub zeroes: u64,
}

/// Counters of every kind.
#[derive(Debug, Default)]
pub(super) struct Tally([Counts; FileKind::ALL.len()]);

/// See [`Written`].
#[derive(Debug, Default)]
pub(super) struct Counts {
    content: AtomicU64,
    pages: AtomicU64,
    zeroes: AtomicU64,
}

impl Counts {
    /// So many bytes were asked for, and so many written.
    pub(super) fn wrote(&self, content: u64, written: u64) {
        self.content.fetch_add(content, Ordering::Relaxed);
        self.pages
            .fetch_add(written.saturating_sub(content), Ordering::Relaxed);
    }

    pub(super) fn filled(&self, zeroes: u64) {
        self.zeroes.fetch_add(zeroes, Ordering::Relaxed);
    }

    fn all(&self) -> Written {
        Written {
            content: self.content.load(Ordering::Relaxed),
            pages: self.pages.load(Ordering::Relaxed),
            zeroes: self.zeroes.load(Ordering::Relaxed),
        }
    }
}

impl Tally {
    /// The counters of a kind: [`FileKind::ALL`] is in the order of the numbers, from 1.
    pub(super) fn of(&self, kind: FileKind) -> &Counts {
        let at = usize::from(kind as u8).saturating_sub(1);
        self.0.get(at).expect("BUG: a kind without counters")
    }

    pub(super) fn written(&self, kind: FileKind) -> Written {
        self.of(kind).all()
    }
}
