//! `obsrv settings`, `usage`, `plan` and `prices`: through the admin socket of a running server.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::tenancy::{Call, Server, TenancyError, ask, connect, run};
use crate::limits::{ADMIN_BODY_BYTES_MAX, PRICES_BYTES_MAX, SETTINGS_BYTES_MAX};

#[derive(Debug, Subcommand)]
pub(super) enum SettingsCommand {
    /// Show a project's settings: redaction, rates, retention.
    Show {
        /// The project's id.
        project: u64,
        #[command(flatten)]
        server: Server,
    },
    /// Replace a project's settings by what a file says. Prints the record of it.
    Set {
        /// The project's id.
        project: u64,
        #[command(flatten)]
        from: From,
        #[command(flatten)]
        server: Server,
    },
    /// Say what a project's rules, or those of a file, do to a text. Stores nothing.
    Preview {
        /// The project's id.
        project: u64,
        /// The text.
        #[arg(long)]
        text: String,
        /// A file with redaction rules as JSON [default: the project's own].
        #[arg(long, value_name = "FILE")]
        rules: Option<PathBuf>,
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Args, Debug)]
pub(super) struct From {
    /// A file with the whole of it as JSON; `-`: what comes in.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum UsageCommand {
    /// Show what a project has used, and its limits.
    Project {
        /// The project's id.
        project: u64,
        /// Show beside it what each of its keys has used.
        #[arg(long)]
        by_key: bool,
        #[command(flatten)]
        server: Server,
    },
    /// Show what an organization has used, and its plan.
    Org {
        /// The organization's id.
        #[arg(default_value_t = 1)]
        org: u64,
        #[command(flatten)]
        server: Server,
    },
    /// Show what was refused of a project, by key and reason.
    Refusals {
        /// The project's id.
        project: u64,
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum PlanCommand {
    /// Show how much an organization may use.
    Show {
        /// The organization's id.
        org: u64,
        #[command(flatten)]
        server: Server,
    },
    /// Replace an organization's plan by what a file says.
    Set {
        /// The organization's id.
        org: u64,
        #[command(flatten)]
        from: From,
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum PricesCommand {
    /// Show an organization's own prices, and whether what is stored has them already.
    Show {
        /// The organization's id.
        org: u64,
        #[command(flatten)]
        server: Server,
    },
    /// Replace an organization's own prices by what a file says, in the form of `--prices`; `[]` takes
    /// them away. What is stored is priced again. Prints the record of it.
    Set {
        /// The organization's id.
        org: u64,
        #[command(flatten)]
        from: From,
        #[command(flatten)]
        server: Server,
    },
}

pub(super) fn prices(command: &PricesCommand) -> Result<(), TenancyError> {
    let at = |org: u64| format!("/v1/orgs/{org}/prices");
    match command {
        PricesCommand::Show { org, server } => {
            run(&Call::new(server, Method::GET, at(*org), Value::Null))
        }
        PricesCommand::Set { org, from, server } => {
            let table = from.read(PRICES_BYTES_MAX)?;
            let revision = revision_of(server, &at(*org))?;
            let body = json!({ "revision": revision, "table": table });
            run(&Call::new(server, Method::PUT, at(*org), body))
        }
    }
}

pub(super) fn settings(command: &SettingsCommand) -> Result<(), TenancyError> {
    let at = |project: u64| format!("/v1/projects/{project}/settings");
    match command {
        SettingsCommand::Show { project, server } => {
            run(&Call::new(server, Method::GET, at(*project), Value::Null))
        }
        SettingsCommand::Set {
            project,
            from,
            server,
        } => {
            let settings = from.read(SETTINGS_BYTES_MAX)?;
            let revision = revision_of(server, &at(*project))?;
            let body = json!({ "revision": revision, "settings": settings });
            run(&Call::new(server, Method::PUT, at(*project), body))
        }
        SettingsCommand::Preview {
            project,
            text,
            rules,
            server,
        } => {
            let file = rules.clone().map(|file| From { file });
            let rules = file.map(|from| from.read(SETTINGS_BYTES_MAX)).transpose()?;
            let body = json!({ "rules": rules, "text": text });
            let path = format!("/v1/projects/{project}/redaction/preview");
            run(&Call::new(server, Method::POST, path, body))
        }
    }
}

pub(super) fn usage(command: &UsageCommand) -> Result<(), TenancyError> {
    let (server, path) = match command {
        UsageCommand::Project {
            project,
            by_key,
            server,
        } => {
            let by_key = if *by_key { "?group_by=key" } else { "" };
            (server, format!("/v1/projects/{project}/usage{by_key}"))
        }
        UsageCommand::Org { org, server } => (server, format!("/v1/orgs/{org}/usage")),
        UsageCommand::Refusals { project, server } => {
            (server, format!("/v1/projects/{project}/refusals"))
        }
    };
    run(&Call::new(server, Method::GET, path, Value::Null))
}

pub(super) fn plan(command: &PlanCommand) -> Result<(), TenancyError> {
    match command {
        PlanCommand::Show { org, server } => {
            let path = format!("/plans/{org}");
            run(&Call::new(server, Method::GET, path, Value::Null))
        }
        PlanCommand::Set { org, from, server } => {
            let body = from.read(ADMIN_BODY_BYTES_MAX)?;
            let path = format!("/plans/{org}");
            run(&Call::new(server, Method::PUT, path, body))
        }
    }
}

/// Which settings are replaced. Whoever changes them meanwhile makes the server refuse.
fn revision_of(server: &Server, path: &str) -> Result<Value, TenancyError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut client = connect(server.data()).await?;
        let shown = ask(&mut client, &Method::GET, path, &Value::Null).await?;
        Ok(shown["revision"].clone())
    })
}

impl From {
    fn read(&self, max: usize) -> Result<Value, TenancyError> {
        let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
        let mut text = Vec::new();
        if self.file.as_os_str() == "-" {
            std::io::stdin().take(limit).read_to_end(&mut text)?;
        } else {
            let file = std::fs::OpenOptions::new().read(true).open(&self.file)?;
            file.take(limit).read_to_end(&mut text)?;
        }
        if text.len() > max {
            let message = format!("file too large max_bytes={max}");
            return Err(TenancyError::Refused(message));
        }
        serde_json::from_slice(&text)
            .map_err(|error| TenancyError::Refused(format!("file is not json: {error}")))
    }
}
