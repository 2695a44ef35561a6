//! Rows as they are made: goes on where it was when the server ends a connection.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::connection::{Connection, Pieces};
use super::table::Table;
use super::{Format, QueryArgs, QueryError, parameters};
use crate::limits::{ANSWER_BYTES_MAX, IMPORT_ATTEMPTS};

/// How long it waits before it connects again.
const WAIT: Duration = Duration::from_secs(1);

/// What stands between two events.
const END: &[u8] = b"\n\n";

/// A server-sent event.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    id: String,
    kind: String,
    data: String,
}

impl Event {
    fn of(text: &str) -> Self {
        let part = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name));
            found.unwrap_or("").to_owned()
        };
        Self {
            id: part("id: "),
            kind: part("event: "),
            data: part("data: "),
        }
    }
}

/// Prints rows until somebody stops it or the server stays away.
pub(super) async fn follow(args: &QueryArgs, mut connection: Connection) -> Result<(), QueryError> {
    let is_seen = std::io::stdout().is_terminal();
    let mut table = match args.format {
        Some(Format::Csv) => return Err(QueryError::TailForm),
        Some(Format::Json) => None,
        None if !is_seen => None,
        Some(Format::Table) | None => Some(Table::new(args.over, args.fields.as_deref(), is_seen)),
    };
    // The live tail has whole rows; the table shows what is asked for.
    let asked = [
        ("q", args.searched()),
        ("over", Some(args.over.as_str().into())),
    ];
    let path = format!("/tail{}", parameters(&asked));
    let (mut last, mut failures) = (String::new(), 0);
    loop {
        let after = Some(last.as_str()).filter(|last| !last.is_empty());
        let failed = match connection.stream(&path, after).await {
            Ok(pieces) => {
                failures = 0;
                print(pieces, table.as_mut(), &mut last).await?
            }
            Err(QueryError::Client(error)) => Some(error.into()),
            Err(other) => return Err(other),
        };
        failures += 1;
        if let Some(error) = failed.filter(|_| failures >= IMPORT_ATTEMPTS) {
            return Err(error);
        }
        sleep(WAIT).await;
        // Refused once more, it says so the next time round.
        let _ = connection.again().await;
    }
}

/// Prints what comes until the connection ends. Why it broke, if it did.
async fn print(
    mut pieces: Pieces,
    mut table: Option<&mut Table>,
    last: &mut String,
) -> Result<Option<QueryError>, QueryError> {
    let mut waiting = Vec::new();
    loop {
        let piece = match pieces.next().await {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok(None),
            Err(error) => return Ok(Some(error.into())),
        };
        waiting.extend_from_slice(&piece);
        while let Some(at) = waiting.windows(END.len()).position(|two| two == END) {
            let event = Event::of(&String::from_utf8_lossy(&waiting[..at]));
            waiting.drain(..at + END.len());
            show(&event, table.as_deref_mut())?;
            if !event.id.is_empty() {
                *last = event.id;
            }
        }
        if waiting.len() > ANSWER_BYTES_MAX {
            return Err(QueryError::Refused("an event that has no end".to_owned()));
        }
    }
}

fn show(event: &Event, table: Option<&mut Table>) -> Result<(), QueryError> {
    let mut out = std::io::stdout().lock();
    match (event.kind.as_str(), table) {
        ("" | "heartbeat", _) => {}
        ("gap", _) => {
            let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
            let missed = &data["missed"];
            writeln!(std::io::stderr(), "obsrv: rows were missed count={missed}")?;
        }
        (_, Some(table)) => {
            let row = serde_json::from_str(&event.data).unwrap_or_default();
            table.write(&[row], &mut out)?;
            out.flush()?;
        }
        (_, None) => {
            writeln!(out, "{}", event.data)?;
            out.flush()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_whatever_they_lack() {
        let event = Event::of("id: 1-2\nevent: log\ndata: {\"a\":\"b: c\"}");
        assert_eq!((&*event.id, &*event.kind), ("1-2", "log"));
        assert_eq!(event.data, "{\"a\":\"b: c\"}");
        assert_eq!(Event::of("retry: 1000"), Event::default());
    }
}
