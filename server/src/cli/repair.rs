//! `obsrv repair`: makes a damaged data directory sound again, as far as its bytes allow.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use obsrv_engine::engine::OpenError as EngineOpenError;
use obsrv_engine::engine::check;
use obsrv_engine::engine::repair::{RepairError, Repaired, repair};
use obsrv_engine::io::{Clock, Disk, OpenError, RealDisk, SystemClock};

use super::files::{self, FilesError};
use crate::tenancy::audit::check_chain;

#[derive(Args, Debug)]
pub(super) struct RepairArgs {
    /// The data directory; no server may have it open.
    data: PathBuf,
    /// Change it. Without this, only what would be done is said.
    #[arg(long)]
    write: bool,
}

/// Why a directory was not repaired.
#[derive(Debug, thiserror::Error)]
pub(super) enum RepairCommandError {
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error("place for originals does not open")]
    Aside(#[from] OpenError),
    #[error(transparent)]
    Repair(#[from] RepairError),
    #[error("repaired directory does not verify")]
    Verify(#[from] EngineOpenError),
    #[error("not all of it can be repaired left={0}")]
    Left(usize),
    #[error("nothing was changed, --write does it found={0}")]
    Dry(usize),
    #[error("input or output failed")]
    Io(#[from] std::io::Error),
}

/// Says what is damaged, what is done and what is lost, and does it if asked to.
pub(super) fn run(args: &RepairArgs) -> Result<(), RepairCommandError> {
    let disk = files::open_any(&args.data)?;
    let plan = repair(&disk, None)?;
    print(&plan)?;
    let mut out = std::io::stdout().lock();
    if plan.found.is_empty() {
        writeln!(out, "nothing to repair")?;
        return Ok(());
    }
    if !args.write {
        return Err(RepairCommandError::Dry(plan.found.len()));
    }
    let aside = place_of_originals(&args.data);
    let keep: Arc<dyn Disk> = Arc::new(RealDisk::open(&aside)?);
    let done = repair(&disk, Some(&keep))?;
    writeln!(out, "originals={}", aside.display())?;
    if !done.left.is_empty() {
        return Err(RepairCommandError::Left(done.left.len()));
    }
    let checked = check::verify(&disk)?;
    let controls = checked.controls.iter().map(|(lsn, body)| (*lsn, &body[..]));
    let findings = [checked.findings.clone(), check_chain(controls).findings].concat();
    for finding in &findings {
        writeln!(out, "still {finding}")?;
    }
    writeln!(
        out,
        "repaired segments={} rows={} records={} findings={}",
        checked.segments,
        checked.rows,
        checked.records,
        findings.len()
    )?;
    if findings.is_empty() {
        Ok(())
    } else {
        Err(RepairCommandError::Left(findings.len()))
    }
}

/// Beside the files, so that no other file system needs the room.
fn place_of_originals(data: &Path) -> PathBuf {
    let seconds = SystemClock::new().wall_ns() / 1_000_000_000;
    data.join(format!("repaired-{seconds}"))
}

fn print(repaired: &Repaired) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (what, lines) in [
        ("found", &repaired.found),
        ("repair", &repaired.done),
        ("lost", &repaired.lost),
        ("left", &repaired.left),
    ] {
        for line in lines {
            writeln!(out, "{what} {line}")?;
        }
    }
    Ok(())
}
