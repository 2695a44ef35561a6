//! Rows as CSV (RFC 4180): a head, then a line for each row; lists and objects as JSON.

use std::fmt::Write;

use serde_json::Value;
use serde_json::value::RawValue;

use super::columns::{self, find, text};
use crate::http::read::ask::Over;
use crate::http::read::project::Fields;
use crate::http::read::told;

/// The columns of a table.
#[derive(Debug)]
pub(super) struct Table(Vec<String>);

impl Table {
    pub(super) fn of(over: Over, fields: &Fields) -> Self {
        let usual = || {
            let usual = columns::usual(over).iter();
            usual.map(|(name, _)| (*name).to_owned()).collect()
        };
        Self(fields.names().map_or_else(usual, <[String]>::to_vec))
    }

    pub(super) fn head(&self) -> String {
        let mut out = String::new();
        line(self.0.iter().cloned(), &mut out);
        out
    }

    pub(super) fn write(&self, row: &RawValue, scores: Option<&Value>, out: &mut String) {
        let mut row: Value = serde_json::from_str(row.get()).unwrap_or_default();
        told::put(&mut row, scores);
        let cells = self
            .0
            .iter()
            .map(|name| text(find(&row, name)).unwrap_or_default());
        line(cells, out);
    }
}

fn line(cells: impl Iterator<Item = String>, out: &mut String) {
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            out.push(',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            write!(out, "\"{}\"", cell.replace('"', "\"\""))
                .expect("BUG: writing to a string failed");
        } else {
            out.push_str(&cell);
        }
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::params::Params;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let params = Params::parse("fields=a,b.c,d,e,f").unwrap();
        let table = Table::of(Over::Traces, &Fields::of(&params, Over::Traces).unwrap());
        let row = r#"{"a":"x,y","b":{"c":"say \"so\"\n"},"d":null,"e":[1,2],"f":1.5}"#;
        let mut out = table.head();
        table.write(
            &RawValue::from_string(row.to_owned()).unwrap(),
            None,
            &mut out,
        );
        assert_eq!(
            out,
            "a,b.c,d,e,f\r\n\"x,y\",\"say \"\"so\"\"\n\",,\"[1,2]\",1.5\r\n"
        );
    }
}
