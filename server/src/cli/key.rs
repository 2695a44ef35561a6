//! `obsrv key`: through the admin socket of a running server.

use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::{Args, Subcommand};
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use super::client::{Client, ClientError, message_of};
use crate::net::unix;

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key for a project, which is made if there is none of this name. Prints the key.
    Create(CreateArgs),
    /// Make a key open nothing, for good.
    Revoke(RevokeArgs),
}

#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    /// The project's name.
    #[arg(long, value_name = "NAME")]
    project: String,
    /// The data directory of the running server.
    #[arg(long, default_value = "./obsrv-data")]
    data: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct RevokeArgs {
    /// The key's id: what stands between the first two underscores of the key.
    id: String,
    /// The data directory of the running server.
    #[arg(long, default_value = "./obsrv-data")]
    data: PathBuf,
}

/// Why a key command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyCommandError {
    #[error("no server runs on this data directory data={data}")]
    NoServer { data: PathBuf, source: ClientError },
    #[error("server did not answer")]
    Client(#[source] ClientError),
    #[error("server refused: {0}")]
    Refused(String),
    #[error("runtime does not start")]
    Io(#[from] std::io::Error),
}

pub(super) fn run(command: &KeyCommand) -> Result<(), KeyCommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match command {
            KeyCommand::Create(args) => {
                let body = json!({ "project": args.project });
                let answer = ask(&args.data, Method::POST, "/keys", &body).await?;
                let key = answer["key"].as_str().unwrap_or_default();
                writeln!(std::io::stdout(), "{key}")?;
                Ok(())
            }
            KeyCommand::Revoke(args) => {
                let path = format!("/keys/{}", args.id);
                ask(&args.data, Method::DELETE, &path, &Value::Null).await?;
                writeln!(std::io::stdout(), "revoked {}", args.id)?;
                Ok(())
            }
        }
    })
}

async fn ask(
    data: &Path,
    method: Method,
    path: &str,
    body: &Value,
) -> Result<Value, KeyCommandError> {
    let mut client =
        Client::unix(&unix::path_in(data))
            .await
            .map_err(|source| KeyCommandError::NoServer {
                data: data.to_owned(),
                source,
            })?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "admin")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|_| KeyCommandError::Refused("not a key id".into()))?;
    let answer = client
        .send(request)
        .await
        .map_err(KeyCommandError::Client)?;
    if !answer.status.is_success() {
        return Err(KeyCommandError::Refused(message_of(&answer)));
    }
    serde_json::from_slice(&answer.body)
        .map_err(|_| KeyCommandError::Refused("an answer that is not json".into()))
}
