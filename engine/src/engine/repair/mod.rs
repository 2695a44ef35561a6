//! Repair of a directory that no engine has open: what follows from other bytes is made again, what
//! reads is kept, and what is lost is said.
//!
//! Nothing is changed unless a place for the originals is given: every file is copied there before it is
//! replaced. New files are written whole before anything names them, and a repair that was cut short is
//! simply done again.

mod log;
mod manifest;
mod segments;

use std::io;
use std::sync::Arc;

use obsrv_wal::io::{Disk, FileId, FileKind};
use obsrv_wal::log::{LogError, scan_file};

use super::backup::copy_what_reads;
use super::open::{IDENTITY, OpenError, put_identity, read_identity};
use super::{chain, quarantine};
use crate::boundary::{LocalStore, Store};
use crate::manifest::ManifestError;
use crate::segment::{Segment, WriteError};

/// What a repair did, or would do: a line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// What is damaged or missing.
    pub found: Vec<String>,
    /// What is done about it.
    pub done: Vec<String>,
    /// What is lost with it.
    pub lost: Vec<String>,
    /// What cannot be repaired, and why.
    pub left: Vec<String>,
}

/// Why a repair was given up. What was replaced until then stands in the place for originals.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// Something does not read without which nothing can be told.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// An original could not be put aside, so it was not replaced.
    #[error("original not put aside file={file}")]
    Keep {
        /// Which.
        file: FileId,
        /// Why.
        source: super::backup::BackupError,
    },
    /// A file could not be removed or written.
    #[error("file not replaced file={file}")]
    Replace {
        /// Which.
        file: FileId,
        /// Why.
        source: io::Error,
    },
    /// A segment of salvaged rows could not be written.
    #[error("segment of salvaged rows not written")]
    Write(#[from] WriteError),
    /// The manifest could not be changed.
    #[error("manifest not written")]
    Manifest(#[from] ManifestError),
    /// The manifest or the log could not be changed.
    #[error("log not written")]
    Log(#[from] LogError),
}

/// A repair under way.
struct Work<'a> {
    disk: &'a Arc<dyn Disk>,
    store: Arc<dyn Store>,
    database: [u8; 16],
    files: Vec<FileId>,
    /// Where originals go; none in a dry run.
    aside: Option<&'a Arc<dyn Disk>>,
    report: Repaired,
}

/// Repairs what [`super::check::verify`] finds. Originals are copied to `aside`, which is empty;
/// without it nothing is changed, and the answer is what would be done.
pub fn repair(
    disk: &Arc<dyn Disk>,
    aside: Option<&Arc<dyn Disk>>,
) -> Result<Repaired, RepairError> {
    let files = disk.list().map_err(|source| OpenError::Io {
        what: "list",
        source,
    })?;
    let known = read_identity(disk).ok();
    let Some(database) = known.or_else(|| identity_of(disk, &files)) else {
        return Err(OpenError::Identity.into());
    };
    let mut work = Work {
        disk,
        store: LocalStore::over(disk),
        database,
        files,
        aside,
        report: Repaired::default(),
    };
    if known.is_none() {
        work.identity()?;
    }
    let Some(state) = work.manifest()? else {
        return Ok(work.report);
    };
    work.segments(&state)?;
    work.log(&state)?;
    work.quarantine()?;
    Ok(work.report)
}

/// The database that some file with a checksum says it belongs to.
fn identity_of(disk: &Arc<dyn Disk>, files: &[FileId]) -> Option<[u8; 16]> {
    files.iter().find_map(|id| {
        let mut head = [0; 36];
        disk.open(*id).ok()?.read_at(0, &mut head).ok()?;
        let at = match id.kind {
            FileKind::Manifest | FileKind::Wal => 16,
            FileKind::Segment => 20,
            FileKind::Side | FileKind::Secret | FileKind::Quarantine => return None,
        };
        let database: [u8; 16] = head.get(at..at + 16)?.try_into().ok()?;
        let belongs = if id.kind == FileKind::Segment {
            Segment::open(&LocalStore::over(disk), id.number, database).is_ok()
        } else {
            scan_file(disk, *id, database, &mut |_| {}).is_ok()
        };
        belongs.then_some(database)
    })
}

impl Work<'_> {
    /// Copies a file to where originals go. Nothing in a dry run. What the disk refuses to read is refused to whoever
    /// asks, so that it keeps nobody from a repair.
    fn keep(&self, file: FileId) -> Result<(), RepairError> {
        let Some(aside) = self.aside.filter(|_| self.files.contains(&file)) else {
            return Ok(());
        };
        let refused = copy_what_reads(self.disk, aside, file)
            .map_err(|source| RepairError::Keep { file, source })?;
        if refused > 0 {
            tracing::warn!(%file, refused, "the copy has zeroes where the disk refuses to read");
        }
        Ok(())
    }

    fn remove(&self, file: FileId) -> Result<(), RepairError> {
        if !self.files.contains(&file) {
            return Ok(());
        }
        let gone = self.disk.remove(file).and_then(|()| self.disk.sync_dir());
        gone.map_err(|source| RepairError::Replace { file, source })
    }

    fn identity(&mut self) -> Result<(), RepairError> {
        self.report
            .found
            .push(format!("identity file does not read file={IDENTITY}"));
        self.report.done.push(format!(
            "identity written again as other files say it file={IDENTITY}"
        ));
        if self.aside.is_none() {
            return Ok(());
        }
        self.keep(IDENTITY)?;
        self.remove(IDENTITY)?;
        put_identity(self.disk, self.database).map_err(|source| RepairError::Replace {
            file: IDENTITY,
            source,
        })
    }

    fn quarantine(&mut self) -> Result<(), RepairError> {
        let files: Vec<FileId> = self.files.clone();
        for file in files.iter().filter(|f| f.kind == FileKind::Quarantine) {
            let read = quarantine::read(&self.store, self.database, file.number);
            let Err(error) = read else { continue };
            self.report.found.push(chain(&error));
            let lost = format!("record in quarantine lsn={}", file.number);
            self.report.lost.push(lost);
            self.report.done.push(format!("{file} put aside"));
            if self.aside.is_some() {
                self.keep(*file)?;
                self.remove(*file)?;
            }
        }
        Ok(())
    }
}
