//! How the rows of an export are written.

use obsrv_engine::query::Hit;
use serde_json::json;

use super::csv::Table as Csv;
use super::otlp::Otlp;
use super::parquet::Parquet;
use crate::http::Whole;
use crate::http::error::ApiError;
use crate::http::params::Params;
use crate::http::read::ask::Over;
use crate::http::read::damaged::{ALLOW_PARTIAL, Damaged};
use crate::http::read::list::{json as written, shown};
use crate::http::read::project::Fields;
use crate::http::read::shape::raw;
use crate::http::whole::more_bytes;
use crate::wire;

/// Writes rows as they come; between two pages it keeps what the next one needs.
#[derive(Debug)]
pub(super) struct Writer {
    over: Over,
    form: Form,
    with_cursors: bool,
    allows_partial: bool,
}

#[derive(Debug)]
enum Form {
    Lines { fields: Fields, with_raw: bool },
    Csv(Csv),
    Otlp(Otlp),
    Parquet(Box<Parquet>),
}

impl Writer {
    pub(super) fn of(params: &Params, over: Over) -> Result<Self, ApiError> {
        let fields = Fields::of(params)?;
        let (with_raw, with_cursors) = (params.flag("raw")?, params.flag("cursors")?);
        let only = |what: &str| Err(ApiError::parameter("format", what.to_owned()));
        let form = match params.one("format")?.unwrap_or("jsonl") {
            "jsonl" => Form::Lines { fields, with_raw },
            "csv" => Form::Csv(Csv::of(over, &fields)),
            "parquet" => Form::Parquet(Box::new(Parquet::new(over, &fields, with_raw)?)),
            name @ ("otlp" | "otlp-protobuf") if fields.is_all() => {
                Form::Otlp(Otlp::new(over, name == "otlp"))
            }
            "otlp" | "otlp-protobuf" => return only("fields are not for otlp"),
            _ => return only("not of jsonl, csv, parquet, otlp, otlp-protobuf"),
        };
        if with_raw && matches!(form, Form::Csv(_) | Form::Otlp(_)) {
            return only("raw is for jsonl and parquet");
        }
        let is_lines = match &form {
            Form::Lines { .. } => true,
            Form::Otlp(otlp) => otlp.is_json(),
            Form::Csv(_) | Form::Parquet(_) => false,
        };
        if with_cursors && !is_lines {
            return only("cursors are for jsonl and otlp");
        }
        let allows_partial = params.flag(ALLOW_PARTIAL)?;
        if allows_partial && !is_lines && !matches!(form, Form::Parquet(_)) {
            return only(
                "allow_partial is for jsonl, otlp and parquet, which can say what is left out",
            );
        }
        Ok(Self {
            over,
            form,
            with_cursors,
            allows_partial,
        })
    }

    pub(super) const fn content_type(&self) -> &'static str {
        match &self.form {
            Form::Lines { .. } => "application/x-ndjson",
            Form::Csv(_) => "text/csv; charset=utf-8",
            Form::Otlp(otlp) if otlp.is_json() => "application/x-ndjson",
            Form::Otlp(_) => "application/x-protobuf; delimited=true",
            Form::Parquet(_) => "application/vnd.apache.parquet",
        }
    }

    /// Whether to go on without rows that are damaged on disk.
    pub(super) const fn allows_partial(&self) -> bool {
        self.allows_partial
    }

    /// Whether it keeps many rows until it can write them.
    pub(super) const fn needs_room(&self) -> bool {
        matches!(self.form, Form::Parquet(_))
    }

    /// Whether it writes the spans of runs instead of the runs.
    pub(super) fn wants_spans(&self) -> bool {
        self.over == Over::Traces && matches!(self.form, Form::Otlp(_))
    }

    /// What comes before the first row.
    pub(super) fn head(&mut self, out: &mut Vec<u8>) -> Result<(), ApiError> {
        match &mut self.form {
            Form::Csv(csv) => out.extend_from_slice(csv.head().as_bytes()),
            Form::Parquet(parquet) => parquet.take(out)?,
            Form::Lines { .. } | Form::Otlp(_) => {}
        }
        Ok(())
    }

    /// How many rows of a page can be written at once, and the bytes of media that are put back in them: those that
    /// find room there, and always one, whatever it takes. It came in one body.
    pub(super) fn fitting(&self, hits: &[Hit], room: u64) -> Result<(usize, u64), ApiError> {
        if !matches!(self.form, Form::Otlp(_)) {
            return Ok((hits.len(), 0));
        }
        let mut bytes = 0_u64;
        for (place, hit) in hits.iter().enumerate() {
            let more = more_bytes(&wire::row_of(&hit.core, &hit.body)?);
            if place > 0 && bytes.saturating_add(more) > room {
                return Ok((place, bytes));
            }
            bytes = bytes.saturating_add(more);
        }
        Ok((hits.len(), bytes))
    }

    pub(super) fn rows(
        &mut self,
        hits: &[Hit],
        whole: &mut Whole<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), ApiError> {
        match &mut self.form {
            Form::Lines { fields, with_raw } => {
                for hit in hits {
                    line(self.over, hit, (fields, *with_raw), out)?;
                }
            }
            Form::Csv(csv) => {
                let mut text = String::new();
                for hit in hits {
                    csv.write(&shown(self.over, hit, &Fields::default())?, &mut text);
                }
                out.extend_from_slice(text.as_bytes());
            }
            Form::Otlp(otlp) => otlp.write(hits, whole, out)?,
            Form::Parquet(parquet) => {
                for hit in hits {
                    parquet.write(hit)?;
                }
                parquet.take(out)?;
            }
        }
        Ok(())
    }

    /// Of traces as OTLP: what the runs say themselves.
    pub(super) fn runs(&mut self, hits: &[Hit], out: &mut Vec<u8>) -> Result<(), ApiError> {
        match &mut self.form {
            Form::Otlp(otlp) => otlp.write_runs(hits, out),
            _ => Ok(()),
        }
    }

    /// After a page: where the next one begins.
    pub(super) fn place(&self, next: Option<&str>, out: &mut Vec<u8>) {
        if self.with_cursors {
            let line = json!({ "next_cursor": next }).to_string();
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        }
    }

    /// What comes after the last row; `next` is where another file would go on.
    pub(super) fn end(
        &mut self,
        next: Option<&str>,
        damaged: Option<&[Damaged]>,
        out: &mut Vec<u8>,
    ) -> Result<(), ApiError> {
        match (&mut self.form, damaged) {
            (Form::Parquet(parquet), None) => parquet.end(next, None, out),
            (Form::Parquet(parquet), Some(damaged)) => {
                parquet.end(next, Some(written(&damaged)?), out)
            }
            (Form::Lines { .. } | Form::Otlp(_), Some(damaged)) => {
                let line = format!("{{\"damaged\":{}}}\n", written(&damaged)?);
                out.extend_from_slice(line.as_bytes());
                Ok(())
            }
            (Form::Lines { .. } | Form::Csv(_) | Form::Otlp(_), _) => Ok(()),
        }
    }
}

fn line(
    over: Over,
    hit: &Hit,
    (fields, with_raw): (&Fields, bool),
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let row = shown(over, hit, fields)?;
    out.extend_from_slice(row.get().as_bytes());
    if with_raw && out.pop() == Some(b'}') {
        let doc = wire::row_of(&hit.core, &hit.body)?;
        out.extend_from_slice(b",\"raw\":");
        out.extend_from_slice(raw(doc.doc()).get().as_bytes());
        out.push(b'}');
    }
    out.push(b'\n');
    Ok(())
}
