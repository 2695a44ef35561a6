//! `obsrv user`: people who sign in, through the admin socket of a running server.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::{Value, json};

use super::tenancy::{self, TenancyError};

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Print a link by which a user chooses a new password, or shows that mail arrives.
    Link(LinkArgs),
    /// End a user's sessions and let them sign in no more.
    Disable(NamedArgs),
    /// Let a user sign in again.
    Enable(NamedArgs),
    /// List users.
    List(DataArgs),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum For {
    Reset,
    Verify,
}

#[derive(Args, Debug)]
pub(super) struct DataArgs {
    /// The data directory of the running server.
    #[arg(long, default_value = "./obsrv-data")]
    data: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct NamedArgs {
    /// The user's e-mail address.
    #[arg(long)]
    email: String,
    #[command(flatten)]
    of: DataArgs,
}

#[derive(Args, Debug)]
pub(super) struct LinkArgs {
    #[command(flatten)]
    user: NamedArgs,
    /// What the link is for.
    #[arg(long = "for", value_name = "WHAT", default_value = "reset")]
    purpose: For,
}

pub(super) fn run(command: &UserCommand) -> Result<(), TenancyError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match command {
            UserCommand::Link(args) => link(args).await,
            UserCommand::Disable(args) => switch(args, true).await,
            UserCommand::Enable(args) => switch(args, false).await,
            UserCommand::List(args) => list(args).await,
        }
    })
}

async fn link(args: &LinkArgs) -> Result<(), TenancyError> {
    let purpose = match args.purpose {
        For::Reset => "reset",
        For::Verify => "verify",
    };
    let body = json!({ "email": args.user.email, "purpose": purpose });
    let answer = ask(&args.user.of.data, &Method::POST, "/users/link", &body).await?;
    let url = answer["url"].as_str().unwrap_or_default();
    writeln!(std::io::stdout(), "{url}")?;
    Ok(())
}

async fn switch(args: &NamedArgs, disabled: bool) -> Result<(), TenancyError> {
    let body = json!({ "email": args.email, "disabled": disabled });
    let answer = ask(&args.of.data, &Method::POST, "/users/switch", &body).await?;
    let email = answer["email"].as_str().unwrap_or_default();
    let said = if disabled { "disabled" } else { "enabled" };
    writeln!(std::io::stdout(), "{said} {email}")?;
    Ok(())
}

async fn list(args: &DataArgs) -> Result<(), TenancyError> {
    let mut after = 0;
    loop {
        let path = format!("/users?after={after}");
        let answer = ask(&args.data, &Method::GET, &path, &json!({})).await?;
        let users = answer["users"].as_array().cloned().unwrap_or_default();
        for user in &users {
            after = user["id"].as_u64().unwrap_or(u64::MAX);
            let text = |name: &str| user[name].as_str().unwrap_or_default().to_owned();
            let flag = |name: &str| user[name].as_bool().unwrap_or_default();
            let verified = if flag("verified") {
                "verified"
            } else {
                "unverified"
            };
            let disabled = if flag("disabled") { " disabled" } else { "" };
            let (email, name) = (text("email"), text("name"));
            writeln!(std::io::stdout(), "{email}\t{name}\t{verified}{disabled}")?;
        }
        if users.is_empty() {
            return Ok(());
        }
    }
}

async fn ask(
    data: &Path,
    method: &Method,
    path: &str,
    body: &Value,
) -> Result<Value, TenancyError> {
    let mut client = tenancy::connect(data).await?;
    tenancy::ask(&mut client, method, path, body).await
}
