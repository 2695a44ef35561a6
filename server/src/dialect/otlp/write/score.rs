//! A row of a score → `LogRecord` of the event `gen_ai.evaluation.result`.

use obsrv_engine::doc::DocRef;
use obsrv_engine::model::{self, score};

use super::form::Form;
use super::{span_id, time, trace_id, write_attribute};
use crate::dialect::theta_read::StoredRow;

const EVENT: &str = "gen_ai.evaluation.result";
const AT: (u32, &str) = (6, "attributes");

/// Fields of a score that the conventions have names for.
const NAMES: [(&str, &str); 4] = [
    (model::NAME, "gen_ai.evaluation.name"),
    ("label", "gen_ai.evaluation.score.label"),
    ("comment", "gen_ai.evaluation.explanation"),
    (model::USER_ID, "user.id"),
];

/// Puts the fields of the record.
pub(super) fn write<F: Form>(row: &StoredRow, out: &mut F) {
    let doc = row.doc();
    time(
        (1, "timeUnixNano"),
        u64::try_from(row.core.start_ns).unwrap_or(0),
        out,
    );
    out.begin_list(AT);
    for (key, value) in doc.entries().into_iter().flatten().flatten() {
        let known = NAMES.iter().find(|(name, _)| *name == key);
        match (known, value) {
            (_, DocRef::Null) => {}
            (Some((_, name)), value) => write_attribute(AT, name, value, out),
            (None, DocRef::Str(text)) if key == "value" => {
                write_attribute(AT, "gen_ai.evaluation.score.label", DocRef::Str(text), out);
            }
            (None, value) if key == "score" || key == "value" => {
                write_attribute(AT, "gen_ai.evaluation.score.value", value, out);
            }
            (None, value) => write_attribute(AT, &format!("obsrv.{key}"), value, out),
        }
    }
    write_attribute(AT, "obsrv.id", DocRef::Str(&row.core.id), out);
    out.end_list();
    if !row.core.trace_id.is_empty() {
        out.id((9, "traceId"), &trace_id(&row.core.trace_id));
    }
    if let Some(span) = score::SPANS.iter().find_map(|key| row.text(key)) {
        out.id((10, "spanId"), &span_id(span));
    }
    out.text((12, "eventName"), EVENT);
}
