//! Copies of a directory: of one that is open ([`Prefix::copy_to`]) and of one that is not
//! ([`copy_closed`]). The copy is a data directory with the same database id.
//!
//! An open engine is copied without stopping it. Every record up to some LSN is flushed first; then
//! segments, dead rows and control events of one state of the catalog are all that such a prefix of the
//! log consists of (I-4, I-10), and a segment that a merge removes meanwhile stays readable to whoever has
//! it open. The copy has no log, only the mark where it goes on.
//!
//! The manifest is written last: a copy that was cut short does not open.

use std::cell::Cell;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use obsrv_wal::io::{Disk, FileId, FileKind};
use obsrv_wal::log::{Log, LogError, RecoverError};

use super::Engine;
use super::check::{self, Checked, wal_options};
use super::open::OpenError;
use crate::boundary::{LocalStore, Store};
use crate::manifest::{Manifest, ManifestError, State};
use crate::row::Lsn;
use crate::segment::Segment;

/// Bytes that a copy holds in memory at a time.
const PIECE_BYTES: u64 = 1 << 20;
/// What a system reads from a disk at a time, so that it refuses no less.
const PAGE_BYTES: usize = 4_096;

/// Why there is no copy. What was written of it does not open.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The place for the copy has files of obsrv already.
    #[error("target is not empty file={0}")]
    NotEmpty(FileId),
    /// A file could not be copied.
    #[error("file not copied file={file}")]
    Copy {
        /// Which.
        file: FileId,
        /// Why.
        source: io::Error,
    },
    /// The target or the source does not list its files.
    #[error("directory does not list")]
    List(#[source] io::Error),
    /// The copy's log could not be begun.
    #[error("log of the copy not written")]
    Log(#[from] LogError),
    /// The copy's log could not be begun.
    #[error("log of the copy not begun")]
    Begin(#[from] RecoverError),
    /// The copy's manifest could not be written.
    #[error("manifest of the copy not written")]
    Manifest(#[from] ManifestError),
    /// The source, or the copy, does not read.
    #[error("directory does not verify")]
    Verify(#[from] OpenError),
    /// The source, or the copy, has damaged bytes.
    #[error("directory is damaged findings={findings} first={first}")]
    Damaged {
        /// How many.
        findings: usize,
        /// One of them.
        first: String,
    },
}

/// Everything that the records up to one LSN made, held readable.
#[derive(Debug)]
pub struct Prefix {
    disk: Arc<dyn Disk>,
    database: [u8; 16],
    state: State,
    segments: Vec<Arc<Segment>>,
}

impl Engine {
    /// Freezes what is in memory. The answer is the LSN from which on [`Engine::prefix`] has it.
    pub fn seal(&self) -> Lsn {
        // What is active afterwards is left out: records that come meanwhile are in it, and nothing flushes it before it is
        // full.
        let sealed = Arc::clone(&self.version.read());
        self.freeze();
        let frozen = sealed.memtables().iter().map(|m| m.last_lsn());
        let watermark = self.catalog.lock().state().watermark;
        frozen.max().unwrap_or_default().max(watermark)
    }

    /// What all records up to `through`, and perhaps some more, made; none before the flush got there.
    pub fn prefix(&self, through: Lsn) -> Option<Prefix> {
        let catalog = self.catalog.lock();
        let state = catalog.state();
        if state.watermark < through {
            return None;
        }
        // A commit of the catalog changes what is open before it lets go of the catalog.
        let segments = self
            .writer
            .lock()
            .places
            .segments
            .values()
            .cloned()
            .collect();
        Some(Prefix {
            disk: Arc::clone(&self.disk),
            database: self.database,
            state: state.clone(),
            segments,
        })
    }
}

impl Prefix {
    /// The last record in it.
    pub fn watermark(&self) -> Lsn {
        self.state.watermark
    }

    /// Writes it into an empty directory, and reads every byte there again.
    pub fn copy_to(&self, target: &Arc<dyn Disk>) -> Result<Checked, BackupError> {
        refuse_used(target)?;
        // First a file of which a directory without a manifest is refused, see `copy_closed`.
        let empty = Log::recover(target, wal_options(self.database), &mut |_| {})?;
        drop(empty.begin_after(self.state.watermark)?);
        let store = LocalStore::over(target);
        for segment in &self.segments {
            let file = FileId::new(FileKind::Segment, segment.id());
            let read = |at, len| segment.object().get_range(at..at + len);
            copy_object(&store, file, segment.object().len(), &read)?;
        }
        let others = self.disk.list().map_err(BackupError::List)?;
        let is_other = |f: &FileId| matches!(f.kind, FileKind::Secret | FileKind::Quarantine);
        for file in others.into_iter().filter(is_other) {
            copy_file(&self.disk, target, file)?;
        }
        // Its log is another one, and begins here.
        let state = State {
            logged: self.state.watermark,
            ..self.state.clone()
        };
        Manifest::write_new(target, self.database, &state)?;
        verified(target)
    }
}

/// Copies a directory that no engine has open into an empty one. Both are read whole: the source before,
/// the copy after.
pub fn copy_closed(source: &Arc<dyn Disk>, target: &Arc<dyn Disk>) -> Result<Checked, BackupError> {
    refuse_used(target)?;
    verified(source)?;
    let mut files = source.list().map_err(BackupError::List)?;
    // A directory of secrets alone passes for a new one, and one without a manifest is refused.
    files.sort_by_key(|file| match file.kind {
        FileKind::Wal | FileKind::Segment | FileKind::Side | FileKind::Quarantine => 0,
        FileKind::Secret => 1,
        FileKind::Manifest => 2,
    });
    for file in files {
        copy_file(source, target, file)?;
    }
    verified(target)
}

fn refuse_used(target: &Arc<dyn Disk>) -> Result<(), BackupError> {
    let files = target.list().map_err(BackupError::List)?;
    files
        .first()
        .map_or(Ok(()), |file| Err(BackupError::NotEmpty(*file)))
}

fn verified(disk: &Arc<dyn Disk>) -> Result<Checked, BackupError> {
    let checked = check::verify(disk)?;
    match checked.findings.first() {
        None => Ok(checked),
        Some(first) => Err(BackupError::Damaged {
            findings: checked.findings.len(),
            first: first.clone(),
        }),
    }
}

pub(super) fn copy_file(
    source: &Arc<dyn Disk>,
    target: &Arc<dyn Disk>,
    file: FileId,
) -> Result<(), BackupError> {
    let failed = |source| BackupError::Copy { file, source };
    let from = source.open(file).map_err(failed)?;
    let len = from.len().map_err(failed)?;
    let read = |at, len| {
        let mut piece = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        from.read_at(at, &mut piece)?;
        Ok(Bytes::from(piece))
    };
    copy_object(&LocalStore::over(target), file, len, &read)
}

/// The same of a file of which the disk may refuse to read a part: the copy has zeroes there. How many bytes that are.
pub(super) fn copy_what_reads(
    source: &Arc<dyn Disk>,
    target: &Arc<dyn Disk>,
    file: FileId,
) -> Result<u64, BackupError> {
    let failed = |source| BackupError::Copy { file, source };
    let from = source.open(file).map_err(failed)?;
    let len = from.len().map_err(failed)?;
    let refused = Cell::new(0);
    let read = |at, len| {
        let mut piece = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        if from.read_at(at, &mut piece).is_err() {
            for (at, page) in (at..).step_by(PAGE_BYTES).zip(piece.chunks_mut(PAGE_BYTES)) {
                if from.read_at(at, page).is_err() {
                    page.fill(0);
                    refused.set(refused.get() + page.len() as u64);
                }
            }
        }
        Ok(Bytes::from(piece))
    };
    copy_object(&LocalStore::over(target), file, len, &read)?;
    Ok(refused.get())
}

fn copy_object(
    target: &Arc<dyn Store>,
    file: FileId,
    len: u64,
    read: &dyn Fn(u64, u64) -> io::Result<Bytes>,
) -> Result<(), BackupError> {
    let copy = || {
        let mut upload = target.upload(file)?;
        let mut at = 0;
        while at < len {
            let piece = PIECE_BYTES.min(len - at);
            upload.append_cold(&read(at, piece)?)?;
            at += piece;
        }
        upload.put_once()
    };
    copy().map_err(|source| BackupError::Copy { file, source })
}
