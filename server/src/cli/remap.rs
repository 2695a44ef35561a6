//! `obsrv remap`: what is stored, by today's mapping.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use http::Method;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::copies::block_on;
use super::tenancy::{self, TenancyError};

/// How often it is looked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Args, Debug)]
pub(super) struct RemapArgs {
    /// The id of a project, else all projects.
    #[arg(long, value_name = "ID")]
    project: Option<u64>,
    /// Only count what would change.
    #[arg(long)]
    dry_run: bool,
    /// End the one that is on its way. What it has done stays, and the next one does the rest.
    #[arg(long, conflicts_with_all = ["project", "dry_run"])]
    stop: bool,
    /// The data directory of the running server.
    #[arg(long, default_value = "./obsrv-data")]
    data: PathBuf,
}

/// Why not everything was mapped.
#[derive(Debug, thiserror::Error)]
pub(super) enum RemapError {
    #[error(transparent)]
    Server(#[from] TenancyError),
    #[error("ended early, run it again: {0}")]
    Ended(String),
    #[error("output failed")]
    Io(#[from] std::io::Error),
}

/// Asks the server for it, shows how far it is, and what came of it. Whoever breaks this off does not stop the server's work.
pub(super) fn run(args: &RemapArgs) -> Result<(), RemapError> {
    let done = block_on(async {
        let mut client = tenancy::connect(&args.data).await?;
        let body = json!({ "project": args.project, "dry_run": args.dry_run });
        let (method, body) = if args.stop {
            (Method::DELETE, Value::Null)
        } else {
            (Method::POST, body)
        };
        let mut said = tenancy::ask(&mut client, &method, "/remap", &body).await?;
        let bar = std::io::stderr()
            .is_terminal()
            .then(ProgressBar::new_spinner);
        while said["running"] == true {
            tokio::time::sleep(LOOK_EVERY).await;
            said = tenancy::ask(&mut client, &Method::GET, "/remap", &Value::Null).await?;
            if let Some(bar) = &bar {
                bar.set_message(line(&said));
                bar.tick();
            }
        }
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        Ok::<_, RemapError>(said)
    })?;
    let mut out = std::io::stdout();
    for project in done["redacted"].as_array().into_iter().flatten() {
        writeln!(
            out,
            "project={project} has or had redaction rules and stays as it is"
        )?;
    }
    writeln!(out, "{}", line(&done))?;
    match done["error"].as_str() {
        // What was asked for.
        Some(_) if args.stop => Ok(()),
        Some(error) => Err(RemapError::Ended(error.to_owned())),
        None => Ok(()),
    }
}

fn line(said: &Value) -> String {
    format!(
        "mapping={} projects={} looked={} changed={} left={}",
        said["mapping"], said["projects"], said["looked"], said["changed"], said["left"],
    )
}
