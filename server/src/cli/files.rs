//! `obsrv verify` and `obsrv inspect`: a data directory while no server has it open.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::blob::DIRECTORY;
use crate::blob::copy::{Seen, read_all};
use crate::blob::local::LocalBlobs;
use crate::tenancy::audit::check_chain;
use clap::{Args, ValueEnum};
use obsrv_engine::engine::{OpenError, check};
use obsrv_engine::io::{Disk, FileId, FileKind, OpenError as DiskOpenError, RealDisk};

#[derive(Args, Debug)]
pub(super) struct VerifyArgs {
    /// The data directory.
    #[arg(value_name = "DIR")]
    data: PathBuf,
    /// Also say which files have this text, in segments before they are compressed: after a purge, none has what was
    /// deleted. Attachments are not looked through.
    #[arg(long, value_name = "TEXT")]
    find: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct InspectArgs {
    /// What the file is.
    kind: Kind,
    /// The file, in its data directory.
    file: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Wal,
    Segment,
    Manifest,
    Quarantine,
}

impl Kind {
    const fn file_kind(self) -> FileKind {
        match self {
            Self::Wal => FileKind::Wal,
            Self::Segment => FileKind::Segment,
            Self::Manifest => FileKind::Manifest,
            Self::Quarantine => FileKind::Quarantine,
        }
    }
}

/// Why a look at files failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilesError {
    #[error("no data directory path={0}")]
    NoDirectory(PathBuf),
    #[error("not the name of a {kind} file, {kind}-<16 hex digits> file={file}")]
    Name { kind: &'static str, file: PathBuf },
    #[error("not a data directory of obsrv, no {IDENTITY} in it path={0}")]
    NotData(PathBuf),
    #[error("a server uses this data directory; stop it first path={0}")]
    InUse(PathBuf),
    #[error(transparent)]
    Disk(DiskOpenError),
    #[error(transparent)]
    Engine(#[from] OpenError),
    #[error("data directory is damaged findings={0}")]
    Damaged(usize),
    #[error("output cannot be written")]
    Output(#[from] std::io::Error),
}

/// The file that every data directory has.
const IDENTITY: FileId = FileId::new(FileKind::Secret, 0);

/// Opens a directory that is there: a typo must not make a new one, nor leave a lock in another.
pub(super) fn open(data: &Path) -> Result<Arc<dyn Disk>, FilesError> {
    if !data.is_dir() {
        return Err(FilesError::NoDirectory(data.to_owned()));
    }
    if !data.join(IDENTITY.to_string()).is_file() {
        return Err(FilesError::NotData(data.to_owned()));
    }
    take(data)
}

/// As [`open`], also if the file that says what it is got lost but others of obsrv are there.
pub(super) fn open_any(data: &Path) -> Result<Arc<dyn Disk>, FilesError> {
    let is_ours = |name: std::ffi::OsString| name.to_str().and_then(FileId::from_name).is_some();
    let mut names = std::fs::read_dir(data)
        .map_err(|_| FilesError::NoDirectory(data.to_owned()))?
        .filter_map(Result::ok)
        .map(|entry| entry.file_name());
    if names.any(is_ours) {
        return take(data);
    }
    Err(FilesError::NotData(data.to_owned()))
}

fn take(data: &Path) -> Result<Arc<dyn Disk>, FilesError> {
    match RealDisk::open(data) {
        Ok(disk) => Ok(Arc::new(disk)),
        Err(DiskOpenError::InUse(path)) => Err(FilesError::InUse(path)),
        Err(other) => Err(FilesError::Disk(other)),
    }
}

pub(super) fn verify(args: &VerifyArgs) -> Result<(), FilesError> {
    let disk = open(&args.data)?;
    let mut checked = check::verify(&disk)?;
    let controls = checked.controls.iter().map(|(lsn, body)| (*lsn, &body[..]));
    let chain = check_chain(controls);
    checked.findings.extend(chain.findings);
    let seen = match LocalBlobs::existing(&args.data) {
        Some(blobs) => read_all(&blobs)?,
        None => Seen::default(),
    };
    let damaged = seen.damaged.iter();
    checked
        .findings
        .extend(damaged.map(|name| format!("{DIRECTORY}/{name} is damaged")));
    let mut out = std::io::stdout().lock();
    for finding in &checked.findings {
        writeln!(out, "{finding}")?;
    }
    if let Some(text) = &args.find {
        let files = check::files_with(&disk, text.as_bytes())?;
        for file in &files {
            writeln!(out, "{file} has the text")?;
        }
        writeln!(out, "files_with_text={}", files.len())?;
    }
    writeln!(
        out,
        "segments={} rows={} blocks={} records={} side_files={} quarantined={} orphans={} control_events={} attachments={} findings={}",
        checked.segments,
        checked.rows,
        checked.blocks,
        checked.records,
        checked.side_files,
        checked.quarantined,
        checked.orphans,
        chain.records,
        seen.blobs,
        checked.findings.len()
    )?;
    if checked.findings.is_empty() {
        Ok(())
    } else {
        Err(FilesError::Damaged(checked.findings.len()))
    }
}

pub(super) fn inspect(args: &InspectArgs) -> Result<(), FilesError> {
    let kind = args.kind.file_kind();
    let named = || FilesError::Name {
        kind: kind.prefix(),
        file: args.file.clone(),
    };
    let id = id_of(kind, &args.file).ok_or_else(named)?;
    let parent = args.file.parent().filter(|p| !p.as_os_str().is_empty());
    let disk = open(parent.unwrap_or_else(|| Path::new(".")))?;
    let lines = match args.kind {
        Kind::Wal => check::describe_log(&disk, id)?,
        Kind::Segment => vec![check::describe_segment(&disk, id.number)?],
        Kind::Manifest => check::describe_manifest(&disk)?,
        Kind::Quarantine => check::describe_quarantine(&disk, id.number)?,
    };
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn id_of(kind: FileKind, file: &Path) -> Option<FileId> {
    let name = file.file_name()?.to_str()?;
    let digits = name.strip_prefix(kind.prefix())?.strip_prefix('-')?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    let id = FileId::new(kind, number);
    // Only the one way of writing it is a name.
    (id.to_string() == name).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names() {
        let id = |name: &str| id_of(FileKind::Wal, Path::new(name));
        assert_eq!(
            id("/d/wal-00000000000000ff"),
            Some(FileId::new(FileKind::Wal, 255))
        );
        for bad in [
            "wal-ff",
            "segment-00000000000000ff",
            "wal-00000000000000FF",
            "wal-",
            "/",
        ] {
            assert_eq!(id(bad), None, "{bad}");
        }
    }
}
