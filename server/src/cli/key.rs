//! `obsrv key`: through the admin socket of a running server.

use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::{Args, Subcommand};
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use super::client::{Client, ClientError, message_of};

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
    /// The key, or its id: what stands between the first two underscores of the key.
    #[arg(value_name = "KEY")]
    key: String,
    /// The data directory of the running server.
    #[arg(long, default_value = "./obsrv-data")]
    data: PathBuf,
}

/// Why a key command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyCommandError {
    #[error("no server that this user may ask runs on this data directory data={data}")]
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
                let body = json!({ "key": args.key });
                let answer = ask(&args.data, Method::DELETE, "/keys", &body).await?;
                let id = answer["key_id"].as_str().unwrap_or_default();
                writeln!(std::io::stdout(), "revoked {id}")?;
                Ok(())
            }
        }
    })
}

pub(super) async fn ask(
    data: &Path,
    method: Method,
    path: &str,
    body: &Value,
) -> Result<Value, KeyCommandError> {
    let mut client = Client::admin(data)
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
        .map_err(|e| KeyCommandError::Refused(e.to_string()))?;
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
