//! The command line.

mod client;
mod copies;
mod files;
mod governance;
mod import;
mod query;
mod remap;
mod repair;
mod serve;
mod size;
mod tenancy;
mod user;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::keys::KeyError;
use crate::limits::{BLOB_BYTES_MAX, DECODED_BYTES_MAX, MEMORY_BYTES_MIN};
use crate::serve::ServeError;

/// A trace store for AI agents. Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "obsrv", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::ServeArgs,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one of it in a process")]
enum Command {
    /// Serve a data directory.
    Serve(serve::ServeArgs),
    /// Make, show, rotate and revoke API keys, through the running server of a data directory.
    #[command(subcommand)]
    Key(tenancy::KeyCommand),
    /// Keep organizations, through the running server of a data directory.
    #[command(subcommand)]
    Org(tenancy::OrgCommand),
    /// Keep projects, through the running server of a data directory.
    #[command(subcommand)]
    Project(tenancy::ProjectCommand),
    /// Keep members of an organization, through the running server of a data directory.
    #[command(subcommand)]
    Member(tenancy::MemberCommand),
    /// Help people who sign in, through the running server of a data directory.
    #[command(subcommand)]
    User(user::UserCommand),
    /// Keep settings of projects (redaction, rates, retention), through the running server of a data directory.
    #[command(subcommand)]
    Settings(governance::SettingsCommand),
    /// Show what was used and refused, through the running server of a data directory.
    #[command(subcommand)]
    Usage(governance::UsageCommand),
    /// Keep plans of organizations, through the running server of a data directory.
    #[command(subcommand)]
    Plan(governance::PlanCommand),
    /// Keep prices of organizations, through the running server of a data directory.
    #[command(subcommand)]
    Prices(governance::PricesCommand),
    /// Print the audit log of an organization, newest first, one record a line.
    Audit(tenancy::AuditArgs),
    /// Show traces, spans, scores, log lines or points that pass a filter, also as they come.
    Query(query::QueryArgs),
    /// Send files of traces to a running server.
    Import(import::ImportArgs),
    /// Check every checksum of a data directory that no server has open.
    Verify(files::VerifyArgs),
    /// Copy a data directory, while its server runs or not. The copy holds the master secret.
    Backup(copies::BackupArgs),
    /// Make a data directory from a backup.
    Restore(copies::RestoreArgs),
    /// Show what a running server does and what ails it, as JSON.
    Status(copies::StatusArgs),
    /// Read every segment of a running server again and say what is damaged.
    Scrub(copies::ScrubArgs),
    /// Take what was deleted off the disk of a running server now, which it does by itself once a day.
    Purge(copies::PurgeArgs),
    /// Derive again what was derived of rows that are stored, by the mapping that the running server has.
    Remap(remap::RemapArgs),
    /// Make a damaged data directory sound that no server has open, as far as its bytes allow: says what
    /// is damaged and what is lost; with `--write` it is done, and originals are kept beside.
    Repair(repair::RepairArgs),
    /// Show a file of a data directory that no server has open.
    Inspect(files::InspectArgs),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Tenancy(#[from] tenancy::TenancyError),
    #[error(transparent)]
    Import(#[from] import::ImportError),
    #[error(transparent)]
    Query(#[from] query::QueryError),
    #[error(transparent)]
    Files(#[from] files::FilesError),
    #[error(transparent)]
    Repair(#[from] repair::RepairCommandError),
    #[error(transparent)]
    Remap(#[from] remap::RemapError),
    #[error(transparent)]
    Copies(#[from] copies::CopiesError),
    #[error("OBSRV_BOOTSTRAP_KEY is no key")]
    BootstrapKey(#[from] KeyError),
    #[error(
        "memory budget too small, give --memory at least its minimum min={MEMORY_BYTES_MIN} memory={0}"
    )]
    Memory(u64),
    #[error("largest body must be between 1 and {DECODED_BYTES_MAX} bytes max_body={0}")]
    MaxBody(u64),
    #[error("largest attachment is at most {BLOB_BYTES_MAX} bytes max_blob={0}")]
    MaxBlob(u64),
}

/// Runs the command of this process.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        None => serve::run(cli.serve),
        Some(Command::Serve(args)) => serve::run(args),
        Some(Command::Key(command)) => tenancy::key(&command).map_err(CommandError::from),
        Some(Command::Org(command)) => tenancy::org(&command).map_err(CommandError::from),
        Some(Command::Project(command)) => tenancy::project(&command).map_err(CommandError::from),
        Some(Command::Member(command)) => tenancy::member(&command).map_err(CommandError::from),
        Some(Command::User(command)) => user::run(&command).map_err(CommandError::from),
        Some(Command::Settings(command)) => {
            governance::settings(&command).map_err(CommandError::from)
        }
        Some(Command::Usage(command)) => governance::usage(&command).map_err(CommandError::from),
        Some(Command::Plan(command)) => governance::plan(&command).map_err(CommandError::from),
        Some(Command::Prices(command)) => governance::prices(&command).map_err(CommandError::from),
        Some(Command::Audit(args)) => tenancy::audit(&args).map_err(CommandError::from),
        Some(Command::Import(args)) => import::run(&args).map_err(CommandError::from),
        Some(Command::Query(args)) => query::run(&args).map_err(CommandError::from),
        Some(Command::Verify(args)) => files::verify(&args).map_err(CommandError::from),
        Some(Command::Backup(args)) => copies::backup(&args).map_err(CommandError::from),
        Some(Command::Restore(args)) => copies::restore(&args).map_err(CommandError::from),
        Some(Command::Purge(args)) => copies::purge(&args).map_err(CommandError::from),
        Some(Command::Scrub(args)) => copies::scrub(&args).map_err(CommandError::from),
        Some(Command::Status(args)) => copies::status(&args).map_err(CommandError::from),
        Some(Command::Remap(args)) => remap::run(&args).map_err(CommandError::from),
        Some(Command::Repair(args)) => repair::run(&args).map_err(CommandError::from),
        Some(Command::Inspect(args)) => files::inspect(&args).map_err(CommandError::from),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, on one line of stderr.
fn complain(error: &CommandError) {
    let mut line = format!("obsrv: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        let text = source.to_string();
        // A transparent error says the same as its cause.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = source.source();
    }
    // Nowhere left to complain to.
    drop(writeln!(std::io::stderr(), "{line}"));
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn serving_is_the_default() {
        let bare = Cli::try_parse_from(["obsrv"]).unwrap();
        assert!(bare.command.is_none());
        assert_eq!(bare.serve.data, PathBuf::from("./obsrv-data"));
        assert_eq!(bare.serve.http.to_string(), "127.0.0.1:4318");
        let args = [
            "obsrv", "serve", "--data", "/d", "--http", "[::1]:1", "--memory", "0.4GiB",
        ];
        let Some(Command::Serve(args)) = Cli::try_parse_from(args).unwrap().command else {
            panic!("not serve");
        };
        assert_eq!(args.memory, Some(429_496_729));
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
