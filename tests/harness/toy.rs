//! A dialect for tests: one event a line, so that a body is readable in a failure.
//!
//! `table|trace|id|version|flags|start|end|key=value,key=value` where flags holds `p` for a partial
//! event and start and end may be empty. A value that reads as a whole number is one.

use bytes::Bytes;
use obsrv_engine::doc::DocWriter;
use obsrv_engine::engine::{Envelope, InterpretError, Interpreter};
use obsrv_engine::row::{Event, RowKey, Table};

/// The interpreter of toy bodies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Toy;

impl Interpreter for Toy {
    fn interpret(&self, _: &Envelope, body: &[u8]) -> Result<Vec<Event>, InterpretError> {
        events(body).map_err(|reason| InterpretError { reason })
    }
}

/// The events of a body.
pub fn events(body: &[u8]) -> Result<Vec<Event>, String> {
    let text = std::str::from_utf8(body).map_err(|e| e.to_string())?;
    text.lines()
        .map(|line| event(line).ok_or_else(|| format!("bad line: {line}")))
        .collect()
}

fn event(line: &str) -> Option<Event> {
    let fields: Vec<&str> = line.split('|').collect();
    let [table, trace, id, version, flags, start, end, content] = fields.as_slice() else {
        return None;
    };
    let time = |s: &str| {
        if s.is_empty() {
            Some(None)
        } else {
            s.parse().ok().map(Some)
        }
    };
    Some(Event {
        table: match *table {
            "run" => Table::Runs,
            "span" => Table::Spans,
            "log" => Table::Logs,
            "point" => Table::Points,
            "score" => Table::Scores,
            _ => return None,
        },
        key: RowKey {
            trace_id: (*trace).into(),
            id: (*id).into(),
        },
        start_ns: time(start)?,
        end_ns: time(end)?,
        version: version.parse().ok()?,
        partial: flags.contains('p'),
        doc: doc(content),
    })
}

fn doc(content: &str) -> Bytes {
    let mut out = DocWriter::new();
    let open = out.begin_map();
    for pair in content.split(',').filter(|p| !p.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        out.key(key);
        match value.parse::<i64>() {
            Ok(n) => out.i64(n),
            Err(_) => out.str(value),
        }
    }
    out.end(open);
    Bytes::from(out.finish())
}
