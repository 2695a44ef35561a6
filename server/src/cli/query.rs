//! `obsrv query`: what passes a filter, as a table, lines of JSON or CSV, or as it comes.
//!
//! Through a server's address with a key, or through the admin socket of a data directory. Output is for
//! pipes: no colour and nothing cut unless somebody looks, and whoever closes the pipe ends it quietly.

mod connection;
mod table;
mod tail;

use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::Value;

use self::connection::Connection;
use self::table::Table;
use super::client::ClientError;
use crate::keys::KeyError;
use crate::limits::PAGE_ROWS_MAX;

#[derive(Args, Debug)]
pub(super) struct QueryArgs {
    /// A filter, as in the search bar: `status:error metadata.customer:acme duration>2s "rate limit"`.
    q: Vec<String>,
    /// Rows of what.
    #[arg(long, value_enum, default_value = "traces")]
    over: OverArg,
    /// Earliest start: RFC 3339, a date, `-1h` or `now`.
    #[arg(long, allow_hyphen_values = true)]
    from: Option<String>,
    /// The start before which they are.
    #[arg(long, allow_hyphen_values = true)]
    to: Option<String>,
    /// A key: `start`, `duration`, `tokens`, `cost` or a path; `-` before it is largest first.
    #[arg(long, default_value = "-start", allow_hyphen_values = true)]
    sort: String,
    /// Rows.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "all")]
    limit: u64,
    /// All rows that pass.
    #[arg(long)]
    all: bool,
    /// Keys and paths to show, with commas.
    #[arg(long)]
    fields: Option<String>,
    /// How rows are printed [default: table; lines of JSON with --tail in a pipe].
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Print rows as they are made, until it is stopped.
    #[arg(long, conflicts_with_all = ["all", "from", "to"])]
    tail: bool,
    /// The server; needs a key [default: the admin socket of --data].
    #[arg(long)]
    url: Option<String>,
    /// A key of the project.
    #[arg(long, env = "OBSRV_API_KEY", hide_env_values = true)]
    key: Option<String>,
    /// The data directory of the running server.
    #[arg(long, default_value = "./obsrv-data")]
    data: PathBuf,
    /// The project's id [default: the key's; through the admin socket the only one].
    #[arg(long, value_name = "ID")]
    project: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OverArg {
    Traces,
    Spans,
    Scores,
    Logs,
    Points,
}

impl OverArg {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Spans => "spans",
            Self::Scores => "scores",
            Self::Logs => "logs",
            Self::Points => "points",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
}

/// Why a query ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum QueryError {
    #[error("not a server's address, http://host:port is url={0}")]
    Url(String),
    #[error("no key; give --key or set OBSRV_API_KEY")]
    NoKey,
    #[error("key cannot be used")]
    Key(#[from] KeyError),
    #[error("which project? give --project with one of ids={0}")]
    Project(String),
    #[error("server does not answer")]
    Client(#[from] ClientError),
    #[error("server refused: {0}")]
    Refused(String),
    #[error("--tail prints a table or json, not csv")]
    TailForm,
    #[error("cannot write")]
    Io(#[from] std::io::Error),
}

pub(super) fn run(args: &QueryArgs) -> Result<(), QueryError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let mut connection = Connection::open(args).await?;
        if args.tail {
            return tail::follow(args, connection).await;
        }
        match args.format.unwrap_or(Format::Table) {
            Format::Table => as_table(args, &mut connection).await,
            Format::Json => exported(args, &mut connection, "jsonl").await,
            Format::Csv => exported(args, &mut connection, "csv").await,
        }
    });
    match ended {
        // `head` has seen enough.
        Err(QueryError::Io(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

impl QueryArgs {
    fn searched(&self) -> Option<Cow<'_, str>> {
        let q = self.q.join(" ");
        (!q.is_empty()).then_some(q.into())
    }

    /// What every question has.
    fn parameters<'a>(&'a self, more: &[(&'static str, Option<&'a str>)]) -> String {
        let own = [
            ("q", self.searched()),
            ("from", self.from.as_deref().map(Cow::from)),
            ("to", self.to.as_deref().map(Cow::from)),
            ("fields", self.fields.as_deref().map(Cow::from)),
        ];
        let more = more
            .iter()
            .map(|(name, value)| (*name, value.map(Cow::from)));
        let all: Vec<_> = own.into_iter().chain(more).collect();
        parameters(&all)
    }
}

/// Parameters as part of an address.
fn parameters(all: &[(&str, Option<Cow<'_, str>>)]) -> String {
    let mut out = String::new();
    for (name, value) in all {
        let Some(value) = value else { continue };
        out.push(if out.is_empty() { '?' } else { '&' });
        out.push_str(name);
        out.push('=');
        out.push_str(&encoded(value));
    }
    out
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Straight from the export: whatever number of rows, nothing is kept here.
async fn exported(
    args: &QueryArgs,
    connection: &mut Connection,
    format: &str,
) -> Result<(), QueryError> {
    let rows = args.limit.to_string();
    let more = [
        ("over", Some(args.over.as_str())),
        ("sort", Some(args.sort.as_str())),
        ("format", Some(format)),
        ("rows", Some(rows.as_str()).filter(|_| !args.all)),
    ];
    let path = format!("/export{}", args.parameters(&more));
    let mut answer = connection.stream(&path, None).await?;
    let mut out = std::io::stdout().lock();
    while let Some(piece) = answer.next().await? {
        out.write_all(&piece)?;
    }
    out.flush()?;
    Ok(())
}

/// Page by page; as wide as the first page needs.
async fn as_table(args: &QueryArgs, connection: &mut Connection) -> Result<(), QueryError> {
    let mut left = if args.all { u64::MAX } else { args.limit };
    let mut cursor: Option<String> = None;
    let mut out = std::io::stdout().lock();
    let mut table = Table::new(args.over, args.fields.as_deref(), out.is_terminal());
    while left > 0 {
        let rows = left.min(u64::try_from(PAGE_ROWS_MAX).unwrap_or(u64::MAX));
        let rows = rows.to_string();
        let more = [
            ("sort", Some(args.sort.as_str())),
            ("limit", Some(rows.as_str())),
            ("cursor", cursor.as_deref()),
        ];
        let path = format!("/{}{}", args.over.as_str(), args.parameters(&more));
        let page = connection.json(&path).await?;
        let rows = page["data"].as_array().map_or(&[][..], Vec::as_slice);
        table.write(rows, &mut out)?;
        left = left.saturating_sub(u64::try_from(rows.len()).unwrap_or(u64::MAX));
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    out.flush()?;
    Ok(())
}

/// The value at a path; a key with dots in it is found by its whole name.
fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(found) = value.get(path) {
        return Some(found);
    }
    let (head, rest) = path.split_once('.')?;
    find(value.get(head)?, rest)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        args: QueryArgs,
    }

    #[test]
    fn what_is_asked_is_encoded_whatever_it_is() {
        let args = [
            "query",
            "status:error",
            "\"rate limit\"",
            "--from",
            "-1h",
            "--fields",
            "a,b",
        ];
        let args = Only::try_parse_from(args).unwrap().args;
        assert_eq!(
            args.parameters(&[("limit", Some("5")), ("cursor", None)]),
            "?q=status%3Aerror%20%22rate%20limit%22&from=-1h&fields=a%2Cb&limit=5"
        );
        let bare = Only::try_parse_from(["query"]).unwrap().args;
        assert_eq!(bare.parameters(&[]), "");
        for wrong in [["--limit", "0"], ["--format", "xml"], ["--over", "rows"]] {
            let args = ["query"].into_iter().chain(wrong);
            assert!(Only::try_parse_from(args).is_err(), "{wrong:?}");
        }
        assert!(Only::try_parse_from(["query", "--tail", "--all"]).is_err());
    }
}
