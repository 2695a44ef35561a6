//! `obsrv backup`, `restore`, `scrub` and `status`: the data as a whole.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use http::Method;
use obsrv_engine::engine::backup::{BackupError, copy_closed};
use obsrv_engine::io::{Disk, OpenError, RealDisk};
use serde_json::{Value, json};

use super::client::Client;
use super::files::{self, FilesError};
use super::tenancy::{self, TenancyError};

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
    #[error("segments are damaged segments={0}")]
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
        "watermark={} segments={} rows={} blocks={}",
        number("watermark"),
        number("segments"),
        number("rows"),
        number("blocks"),
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
    writeln!(
        std::io::stdout(),
        "segments={} rows={} blocks={} records={}",
        checked.segments,
        checked.rows,
        checked.blocks,
        checked.records,
    )?;
    Ok(())
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
                return Ok(());
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
    })
    .and_then(|()| {
        if damaged == 0 {
            Ok(())
        } else {
            Err(CopiesError::Damaged(damaged))
        }
    })
}

fn block_on<T, E: From<std::io::Error>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)
}
