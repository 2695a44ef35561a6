//! The command line.

mod client;
mod files;
mod import;
mod size;
mod tenancy;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::keys::{KeyError, KeyString};
use crate::limits::{DECODED_BYTES_MAX, MEMORY_BYTES_DEFAULT, MEMORY_BYTES_MIN};
use crate::serve::{self, Config, ServeError};
use crate::telemetry;

/// A trace store for AI agents. Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "obsrv", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a data directory.
    Serve(ServeArgs),
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
    /// Print the audit log of an organization, newest first, one record a line.
    Audit(tenancy::AuditArgs),
    /// Send files of traces to a running server.
    Import(import::ImportArgs),
    /// Check every checksum of a data directory that no server has open.
    Verify(files::VerifyArgs),
    /// Show a file of a data directory that no server has open.
    Inspect(files::InspectArgs),
}

#[derive(Args, Debug)]
struct ServeArgs {
    /// The data directory; made if it is not there.
    #[arg(long, default_value = "./obsrv-data")]
    data: PathBuf,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:4318", value_name = "ADDR", value_parser = address)]
    http: SocketAddr,
    /// Memory budget, e.g. 512MiB or 0.4GiB [default: 1GiB].
    #[arg(long, value_parser = size::parse, value_name = "SIZE")]
    memory: Option<u64>,
    /// Largest request body after decompression [default: 64MiB].
    #[arg(long, value_parser = size::parse, value_name = "SIZE")]
    max_body: Option<u64>,
    /// A proxy in front does TLS: allow an address that is not loopback.
    #[arg(long)]
    behind_proxy: bool,
    /// The key to install at the first start.
    #[arg(long, env = "OBSRV_BOOTSTRAP_KEY", hide_env_values = true, hide = true)]
    bootstrap_key: Option<String>,
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
    Files(#[from] files::FilesError),
    #[error("OBSRV_BOOTSTRAP_KEY is no key")]
    BootstrapKey(#[from] KeyError),
    #[error("memory budget too small min={MEMORY_BYTES_MIN} memory={0}")]
    Memory(u64),
    #[error("largest body must be between 1 and {DECODED_BYTES_MAX} bytes max_body={0}")]
    MaxBody(u64),
}

/// Runs the command of this process.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        None => serve(cli.serve),
        Some(Command::Serve(args)) => serve(args),
        Some(Command::Key(command)) => tenancy::key(&command).map_err(CommandError::from),
        Some(Command::Org(command)) => tenancy::org(&command).map_err(CommandError::from),
        Some(Command::Project(command)) => tenancy::project(&command).map_err(CommandError::from),
        Some(Command::Member(command)) => tenancy::member(&command).map_err(CommandError::from),
        Some(Command::Audit(args)) => tenancy::audit(&args).map_err(CommandError::from),
        Some(Command::Import(args)) => import::run(&args).map_err(CommandError::from),
        Some(Command::Verify(args)) => files::verify(&args).map_err(CommandError::from),
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

fn serve(args: ServeArgs) -> Result<(), CommandError> {
    telemetry::start();
    let memory_bytes = args.memory.unwrap_or(MEMORY_BYTES_DEFAULT);
    if memory_bytes < MEMORY_BYTES_MIN {
        return Err(CommandError::Memory(memory_bytes));
    }
    let decoded_bytes_max = match args.max_body.map(usize::try_from) {
        None => DECODED_BYTES_MAX,
        Some(Ok(n)) if (1..=DECODED_BYTES_MAX).contains(&n) => n,
        Some(_) => return Err(CommandError::MaxBody(args.max_body.unwrap_or(0))),
    };
    let bootstrap_key = args.bootstrap_key.filter(|key| !key.is_empty());
    let bootstrap_key = bootstrap_key.as_deref().map(KeyString::parse).transpose()?;
    serve::run(Config {
        data: args.data,
        http: args.http,
        memory_bytes,
        decoded_bytes_max,
        behind_proxy: args.behind_proxy,
        bootstrap_key,
    })?;
    Ok(())
}

/// An address to listen on.
fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.replacen("localhost:", "127.0.0.1:", 1);
    let parsed = numeric.parse();
    parsed.map_err(|_| "write an IP address and a port, as in 127.0.0.1:4318".to_owned())
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
    fn addresses() {
        assert_eq!(address("localhost:80").unwrap().to_string(), "127.0.0.1:80");
        assert_eq!(address("[::1]:80").unwrap().to_string(), "[::1]:80");
        for bad in [
            "4318",
            ":4318",
            "localhost",
            "example.org:80",
            "127.0.0.1:65536",
            "",
        ] {
            assert!(
                address(bad).unwrap_err().contains("127.0.0.1:4318"),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
