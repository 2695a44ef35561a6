//! `obsrv backup`, `restore`, `scrub`, `purge` and `status`: the data as a whole.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use http::Method;
use obsrv_engine::engine::backup::{BackupError, copy_closed};
use obsrv_engine::io::{Disk, OpenError, RealDisk};
use serde_json::{Value, json};

use super::client::Client;
use super::files::{self, FilesError};
use super::tenancy::{self, TenancyError};
use crate::blob::DIRECTORY;
use crate::blob::copy::{Seen, copy_all};
use crate::blob::local::LocalBlobs;

#[derive(Args, Debug)]
pub(super) struct BackupArgs {
    /// Where the copy goes: a directory that is empty or not there yet.
    to: PathBuf,
    /// The data directory.
    #[arg(long, default_value = "./obsrv-data")]
    data: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct RestoreArgs {
    /// The backup.
    from: PathBuf,
    /// The data directory to be: empty or not there yet.
    #[arg(long, default_value = "./obsrv-data")]
    data: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct ScrubArgs {
    /// The data directory of the running server.
    #[arg(long, default_value = "./obsrv-data")]
    data: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct PurgeArgs {
    /// The data directory of the running server.
    #[arg(long, default_value = "./obsrv-data")]
    data: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    /// The data directory of the running server.
    #[arg(long, default_value = "./obsrv-data")]
    data: PathBuf,
}

/// Why a copy or a look at one failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopiesError {
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Server(#[from] TenancyError),
    #[error("target does not open")]
    Target(#[from] OpenError),
    #[error(transparent)]
    Copy(#[from] BackupError),
    #[error("segments or attachments are damaged damaged={0}")]
    Damaged(usize),
    #[error("input or output failed")]
    Io(#[from] std::io::Error),
}

/// Through the server if one runs, from the files if none does.
pub(super) fn backup(args: &BackupArgs) -> Result<(), CopiesError> {
    let to = std::path::absolute(&args.to)?;
    let served = block_on(async {
        match Client::admin(&args.data).await {
            Err(_) => Ok(None),
            Ok(mut client) => {
                let body = json!({ "to": to });
                let done = tenancy::ask(&mut client, &Method::POST, "/backup", &body);
                done.await.map(Some)
            }
        }
    })?;
    let Some(done) = served else {
        return copy(&args.data, &to);
    };
    let number = |name: &str| done[name].as_u64().unwrap_or_default();
    writeln!(
        std::io::stdout(),
        "watermark={} segments={} rows={} blocks={} attachments={}",
        number("watermark"),
        number("segments"),
        number("rows"),
        number("blocks"),
        done["blobs"]
            .as_u64()
            .map_or_else(|| "in-bucket".to_owned(), |n| n.to_string()),
    )?;
    Ok(())
}

pub(super) fn restore(args: &RestoreArgs) -> Result<(), CopiesError> {
    copy(&args.from, &args.data)
}

fn copy(from: &Path, to: &Path) -> Result<(), CopiesError> {
    let source = files::open(from)?;
    let target: Arc<dyn Disk> = Arc::new(RealDisk::open(to)?);
    let checked = copy_closed(&source, &target)?;
    let seen = match LocalBlobs::existing(from) {
        Some(blobs) => copy_all(&blobs, to)?,
        None => Seen::default(),
    };
    let mut out = std::io::stdout();
    for name in &seen.damaged {
        writeln!(out, "{DIRECTORY}/{name} is damaged, the copy is without it")?;
    }
    writeln!(
        out,
        "segments={} rows={} blocks={} records={} attachments={}",
        checked.segments, checked.rows, checked.blocks, checked.records, seen.blobs,
    )?;
    if seen.damaged.is_empty() {
        Ok(())
    } else {
        Err(CopiesError::Damaged(seen.damaged.len()))
    }
}

pub(super) fn status(args: &StatusArgs) -> Result<(), CopiesError> {
    let status = block_on(async {
        let mut client = tenancy::connect(&args.data).await?;
        let path = "/debug/status";
        tenancy::ask(&mut client, &Method::GET, path, &Value::Null).await
    })?;
    writeln!(std::io::stdout(), "{status:#}")?;
    Ok(())
}

pub(super) fn scrub(args: &ScrubArgs) -> Result<(), CopiesError> {
    let mut damaged = 0;
    let mut out = std::io::stdout();
    block_on(async {
        let mut client = tenancy::connect(&args.data).await?;
        let mut after = 0;
        loop {
            let path = format!("/scrub?after={after}");
            let answer = tenancy::ask(&mut client, &Method::POST, &path, &Value::Null).await?;
            let found = &answer["scrubbed"];
            let Some(segment) = found["segment"].as_u64() else {
                break;
            };
            after = segment;
            if let Some(what) = found["damage"].as_str() {
                damaged += 1;
                writeln!(out, "segment-{segment:016x} {what}")?;
            } else {
                let bytes = found["bytes"].as_u64().unwrap_or_default();
                writeln!(out, "segment-{segment:016x} bytes={bytes} sound")?;
            }
        }
        damaged += scrub_blobs(&mut client, &mut out).await?;
        Ok::<_, CopiesError>(())
    })
    .and_then(|()| {
        if damaged == 0 {
            Ok(())
        } else {
            Err(CopiesError::Damaged(damaged))
        }
    })
}

/// Takes what was deleted off the disk, and ends when it is.
pub(super) fn purge(args: &PurgeArgs) -> Result<(), CopiesError> {
    block_on(async {
        let mut client = tenancy::connect(&args.data).await?;
        let mut method = &Method::POST;
        loop {
            let answer = tenancy::ask(&mut client, method, "/purge", &Value::Null).await?;
            if answer["left"].as_u64() == Some(0) {
                return Ok::<_, CopiesError>(());
            }
            method = &Method::GET;
            tokio::time::sleep(PURGE_LOOK_EVERY).await;
        }
    })?;
    writeln!(std::io::stdout(), "what was deleted is off the disk")?;
    Ok(())
}

/// How often a purge looks whether it is over.
const PURGE_LOOK_EVERY: Duration = Duration::from_millis(50);

/// Reads every attachment again; returns how many are damaged.
async fn scrub_blobs(client: &mut Client, out: &mut impl Write) -> Result<usize, CopiesError> {
    let (mut damaged, mut blobs, mut bytes, mut after) = (0, 0, 0, String::new());
    loop {
        let path = format!("/scrub/blobs?after={after}");
        let answer = tenancy::ask(client, &Method::POST, &path, &Value::Null).await?;
        blobs += answer["blobs"].as_u64().unwrap_or_default();
        bytes += answer["bytes"].as_u64().unwrap_or_default();
        for name in answer["damaged"].as_array().into_iter().flatten() {
            damaged += 1;
            writeln!(
                out,
                "{DIRECTORY}/{} is damaged",
                name.as_str().unwrap_or("")
            )?;
        }
        let Some(next) = answer["next"].as_str() else {
            writeln!(out, "attachments={blobs} bytes={bytes} sound")?;
            return Ok(damaged);
        };
        next.clone_into(&mut after);
    }
}

/// Runs it to its end on this thread.
pub(super) fn block_on<T, E: From<std::io::Error>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)
}
