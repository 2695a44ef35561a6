//! Rows as a table of text. Where somebody looks, long cells are cut with `…` and failures are red; in a
//! pipe nothing is cut and nothing coloured.

use std::io::{self, Write};

use serde_json::Value;

use super::{OverArg, find};

/// Widest cell on a terminal, in characters.
const CELL_CHARS_MAX: usize = 48;

const fn usual(over: OverArg) -> &'static [&'static str] {
    match over {
        OverArg::Traces => &[
            "start",
            "status",
            "name",
            "duration_ns",
            "span_count",
            "tokens.total",
            "cost.total",
            "user_id",
            "trace_id",
        ],
        OverArg::Spans => &[
            "start",
            "status",
            "kind",
            "name",
            "duration_ns",
            "model",
            "tool",
            "tokens.total",
            "span_id",
            "trace_id",
        ],
        OverArg::Scores => &["at", "name", "value", "comment", "user_id", "trace_id"],
        OverArg::Logs => &["start", "level", "service", "name", "body", "trace_id"],
        OverArg::Points => &[
            "start",
            "service",
            "name",
            "type",
            "value",
            "unit",
            "attributes",
        ],
    }
}

/// A table that is written page by page.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<String>,
    /// As the first page needs them.
    widths: Vec<usize>,
    is_seen: bool,
    is_begun: bool,
}

impl Table {
    pub(super) fn new(over: OverArg, fields: Option<&str>, is_seen: bool) -> Self {
        let named = fields.map(|fields| {
            let names = fields
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty());
            names.map(str::to_owned).collect()
        });
        let usual = || usual(over).iter().map(|name| (*name).to_owned()).collect();
        let columns: Vec<String> = named.unwrap_or_else(usual);
        Self {
            widths: vec![0; columns.len()],
            columns,
            is_seen,
            is_begun: false,
        }
    }

    /// Writes a page, before the first one the head.
    pub(super) fn write(&mut self, rows: &[Value], out: &mut impl Write) -> io::Result<()> {
        let cells = rows.iter().map(|row| self.cells(row));
        let cells: Vec<Vec<String>> = cells.collect();
        if !self.is_begun {
            self.is_begun = true;
            let head: Vec<String> = self
                .columns
                .iter()
                .map(|name| name.to_uppercase())
                .collect();
            for row in cells.iter().chain([&head]) {
                for (width, cell) in self.widths.iter_mut().zip(row) {
                    *width = (*width).max(cell.chars().count());
                }
            }
            self.line(&head, "\u{1b}[1m", out)?;
        }
        for (row, cells) in rows.iter().zip(&cells) {
            let failed = ["status", "level"]
                .iter()
                .any(|key| matches!(row[*key].as_str(), Some("error" | "fatal")));
            self.line(cells, if failed { "\u{1b}[31m" } else { "" }, out)?;
        }
        Ok(())
    }

    fn cells(&self, row: &Value) -> Vec<String> {
        self.columns
            .iter()
            .map(|column| {
                let cell = match find(row, column) {
                    None | Some(Value::Null) => "-".to_owned(),
                    Some(Value::String(text)) => text.clone(),
                    Some(Value::Number(n)) if column == "duration_ns" => length(n.as_f64()),
                    Some(other) => other.to_string(),
                };
                self.plain(&cell)
            })
            .collect()
    }

    /// What a terminal would obey, and what ends a line, is shown as it is written in JSON.
    fn plain(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            if c.is_control() {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
        if self.is_seen && out.chars().count() > CELL_CHARS_MAX {
            out = out.chars().take(CELL_CHARS_MAX - 1).collect();
            out.push('…');
        }
        out
    }

    fn line(&self, cells: &[String], colour: &str, out: &mut impl Write) -> io::Result<()> {
        let mut line = String::new();
        for (place, (cell, width)) in cells.iter().zip(&self.widths).enumerate() {
            if place > 0 {
                line.push_str("  ");
            }
            line.push_str(cell);
            let blank = width.saturating_sub(cell.chars().count());
            line.extend(std::iter::repeat_n(' ', blank));
        }
        let line = line.trim_end();
        if self.is_seen && !colour.is_empty() {
            writeln!(out, "{colour}{line}\u{1b}[0m")
        } else {
            writeln!(out, "{line}")
        }
    }
}

/// A length of time as filters take it.
fn length(ns: Option<f64>) -> String {
    let ns = ns.unwrap_or(0.0);
    for (unit, size) in [("s", 1e9), ("ms", 1e6), ("us", 1e3)] {
        if ns.abs() >= size {
            return format!("{:.1}{unit}", ns / size);
        }
    }
    format!("{ns}ns")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(fields: &str, is_seen: bool, rows: &[Value]) -> String {
        let mut table = Table::new(OverArg::Traces, Some(fields), is_seen);
        let mut out = Vec::new();
        table.write(rows, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_pipe_gets_everything_and_no_colour() {
        let long = "x".repeat(100);
        let rows = [
            json!({ "name": "a", "status": "error", "tokens": { "total": 7 }, "duration_ns": 1_500_000 }),
            json!({ "name": long, "status": "success", "tokens": null, "duration_ns": 12 }),
        ];
        let fields = "name,status,tokens.total,duration_ns";
        let piped = written(fields, false, &rows);
        assert!(
            piped.contains(&long) && !piped.contains('\u{1b}'),
            "{piped}"
        );
        let lines: Vec<Vec<&str>> = piped
            .lines()
            .map(|l| l.split_whitespace().collect())
            .collect();
        assert_eq!(lines[0], ["NAME", "STATUS", "TOKENS.TOTAL", "DURATION_NS"]);
        assert_eq!(lines[1], ["a", "error", "7", "1.5ms"]);
        assert_eq!(lines[2], [&long, "success", "-", "12ns"]);
        let seen = written(fields, true, &rows);
        assert!(seen.contains('…') && !seen.contains(&long));
        assert!(seen.contains("\u{1b}[31m"));
    }

    #[test]
    fn what_others_wrote_moves_no_cursor() {
        let rows = [json!({ "name": "\u{1b}[2J\nnext\u{9b}x" })];
        for is_seen in [false, true] {
            let text = written("name", is_seen, &rows);
            let body = text.lines().nth(1).unwrap();
            assert_eq!(body, "\\u{1b}[2J\\nnext\\u{9b}x");
        }
    }
}
