//! How the rows of an export are written.

use obsrv_engine::query::Hit;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::csv::Table as Csv;
use super::otlp::Otlp;
use super::parquet::{Kinds, Parquet};
use crate::http::Whole;
use crate::http::error::ApiError;
use crate::http::params::Params;
use crate::http::read::ask::Over;
use crate::http::read::damaged::{ALLOW_PARTIAL, Damaged};
use crate::http::read::list::{json as written, shown, shown_with};
use crate::http::read::project::Fields;
use crate::http::read::shape::raw;
use crate::http::whole::more_bytes;
use crate::wire;

/// Whether documents have media that is kept as attachments, or name it.
pub(super) const MEDIA: &str = "media";

/// How the whole document of a row is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    /// As it is stored: media that is kept as attachments is named.
    Stored,
    /// As it was sent.
    Sent,
}

impl Raw {
    /// What is asked for, if anything is.
    fn of(params: &Params) -> Result<Option<Self>, ApiError> {
        let with_raw = params.flag("raw")?;
        match params.one(MEDIA)? {
            None | Some("reference") => Ok(with_raw.then_some(Self::Stored)),
            Some("inline") => Ok(with_raw.then_some(Self::Sent)),
            Some(_) => Err(ApiError::parameter(MEDIA, "not of inline, reference")),
        }
    }
}

/// Writes rows as they come; between two pages it keeps what the next one needs.
#[derive(Debug)]
pub(super) struct Writer {
    over: Over,
    form: Form,
    fields: Fields,
    with_cursors: bool,
    allows_partial: bool,
}

#[derive(Debug)]
enum Form {
    Lines { raw: Option<Raw> },
    Csv(Csv),
    Otlp(Otlp),
    Parquet(Box<Parquet>),
}

impl Writer {
    /// Whether it must know what is in the scores that are asked for, before there is a row.
    pub(super) fn asks_kinds(params: &Params, fields: &Fields) -> Result<bool, ApiError> {
        Ok(!fields.scores().is_empty() && params.one("format")? == Some("parquet"))
    }

    pub(super) fn of(
        params: &Params,
        over: Over,
        fields: Fields,
        scores: &Kinds,
    ) -> Result<Self, ApiError> {
        let (raw, with_cursors) = (Raw::of(params)?, params.flag("cursors")?);
        let only = |what: &str| Err(ApiError::parameter("format", what.to_owned()));
        let form = match params.one("format")?.unwrap_or("jsonl") {
            "jsonl" => Form::Lines { raw },
            "csv" => Form::Csv(Csv::of(over, &fields)),
            "parquet" => Form::Parquet(Box::new(Parquet::new(over, &fields, scores, raw)?)),
            name @ ("otlp" | "otlp-protobuf") if fields.is_all() => {
                Form::Otlp(Otlp::new(over, name == "otlp"))
            }
            "otlp" | "otlp-protobuf" => return only("fields are not for otlp"),
            _ => return only("not of jsonl, csv, parquet, otlp, otlp-protobuf"),
        };
        if raw.is_some() && matches!(form, Form::Csv(_) | Form::Otlp(_)) {
            return only("raw is for jsonl and parquet");
        }
        if params.one(MEDIA)?.is_some() && raw.is_none() {
            return Err(ApiError::parameter(
                MEDIA,
                "only with raw=true; requests of otlp always have it as it was sent",
            ));
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
            fields,
            with_cursors,
            allows_partial,
        })
    }

    /// What of the rows is wanted.
    pub(super) const fn fields(&self) -> &Fields {
        &self.fields
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

    /// Whether it puts media back that is kept as attachments.
    fn is_as_sent(&self) -> bool {
        match &self.form {
            Form::Lines { raw, .. } => *raw == Some(Raw::Sent),
            Form::Csv(_) => false,
            Form::Otlp(_) => true,
            Form::Parquet(parquet) => parquet.raw() == Some(Raw::Sent),
        }
    }

    /// How many rows of a page can be written at once, and the bytes of media that are put back in them: those that
    /// find room there, and always one, whatever it takes. It came in one body.
    pub(super) fn fitting(&self, hits: &[Hit], room: u64) -> Result<(usize, u64), ApiError> {
        if !self.is_as_sent() {
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

    /// Writes these, each with its scores, if any are asked for.
    pub(super) fn rows(
        &mut self,
        (hits, scores): (&[Hit], &[Value]),
        whole: &mut Whole<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), ApiError> {
        let rows = hits.iter().zip(0..);
        let rows = rows.map(|(hit, at)| (hit, scores.get::<usize>(at)));
        match &mut self.form {
            Form::Lines { raw } => {
                for row in rows {
                    line((self.over, row), (&self.fields, *raw), whole, out)?;
                }
            }
            Form::Csv(csv) => {
                let mut text = String::new();
                for (hit, scores) in rows {
                    let row = shown(self.over, hit, &Fields::default())?;
                    csv.write(&row, scores, &mut text);
                }
                out.extend_from_slice(text.as_bytes());
            }
            Form::Otlp(otlp) => otlp.write(hits, whole, out)?,
            Form::Parquet(parquet) => {
                for row in rows {
                    parquet.write(row, whole)?;
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
    (over, (hit, scores)): (Over, (&Hit, Option<&Value>)),
    (fields, raw): (&Fields, Option<Raw>),
    whole: &mut Whole<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let row = shown_with(over, hit, (fields, scores))?;
    out.extend_from_slice(row.get().as_bytes());
    if let Some(raw) = raw
        && out.pop() == Some(b'}')
    {
        out.extend_from_slice(b",\"raw\":");
        out.extend_from_slice(document(hit, raw, whole)?.get().as_bytes());
        out.push(b'}');
    }
    out.push(b'\n');
    Ok(())
}

/// The whole document of a row.
pub(super) fn document(
    hit: &Hit,
    as_it: Raw,
    whole: &mut Whole<'_>,
) -> Result<Box<RawValue>, ApiError> {
    let mut row = wire::row_of(&hit.core, &hit.body)?;
    if as_it == Raw::Sent {
        row = whole.row(row)?;
    }
    Ok(raw(row.doc()))
}
