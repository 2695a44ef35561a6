//! What the names of fields mean, and which are one slip away from one.

use super::scanner::Word;
use super::{Column, ParseError};
use crate::model;
use crate::model::score::{self, Fact};

const CORE_FIELDS: [&str; 32] = [
    "trace_id",
    "id",
    "span_id",
    "start",
    "end",
    "duration",
    "latency",
    model::NAME,
    model::STATUS,
    model::KIND,
    model::PARENT_ID,
    model::ROOT,
    model::INDEX,
    model::MODEL,
    model::TOOL,
    model::ERROR_MESSAGE,
    model::USER_ID,
    model::GROUP,
    model::SERVICE,
    model::ENVIRONMENT,
    model::VERSION,
    model::RELEASE,
    model::REGION,
    model::TAGS,
    model::COST_USD,
    model::COST,
    model::COST_SOURCE,
    model::DIALECT,
    model::KEY_ID,
    model::METADATA,
    model::ATTRIBUTES,
    "has",
];

/// Those of scores beside them.
const SCORE_FIELDS: [&str; 5] = [
    model::VALUE,
    score::VALUES[0],
    score::LABEL,
    "comment",
    "source",
];

/// Of rows that are spans, runs and the like, or of scores.
pub(super) fn column_of(name: &Word, of_scores: bool, at: usize) -> Result<Column, ParseError> {
    if name.text.is_empty() {
        return Err(ParseError::new(at, "a field name", "empty field name"));
    }
    let path = || Column::Path(name.text.as_str().into());
    if name.quoted {
        return Ok(path());
    }
    if let Some(fact) = Fact::named(&name.text).filter(|_| of_scores) {
        return Ok(Column::Score(fact));
    }
    Ok(match name.text.as_str() {
        "trace_id" => Column::TraceId,
        "id" | "span_id" => Column::Id,
        "start" => Column::Start,
        "end" => Column::End,
        "duration" | "latency" => Column::Duration,
        other => {
            if let Some(meant) = did_you_mean(other, of_scores) {
                let message = format!("unknown field, did you mean {meant}? field={other}");
                return Err(ParseError::new(
                    at,
                    "a field; quote its name if it is right",
                    message,
                ));
            }
            path()
        }
    })
}

/// The core field that a name without a dot is one slip away from.
fn did_you_mean(name: &str, of_scores: bool) -> Option<&'static str> {
    let more: &[&str] = if of_scores { &SCORE_FIELDS } else { &[] };
    let mut known = CORE_FIELDS.iter().chain(more).copied();
    if known.clone().any(|field| field == name) || name.contains('.') || name.len() < 4 {
        return None;
    }
    known.find(|field| field.len() >= 4 && one_slip(name, field))
}

/// Whether one byte changed, added, left out, or swapped with the next makes one the other.
pub(in crate::query) fn one_slip(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (
        a.get(head..).unwrap_or_default(),
        b.get(head..).unwrap_or_default(),
    );
    let tail = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(x, y)| x == y)
        .count();
    match (a.len() - tail, b.len() - tail) {
        (0 | 1, 0 | 1) => true,
        (2, 2) => a[0] == b[1] && a[1] == b[0],
        _ => false,
    }
}
