//! A row of a log line → `LogRecord`.

use obsrv_engine::doc::DocRef;
use obsrv_engine::model;
use obsrv_engine::row::trace_of;

use super::form::Form;
use super::{
    count, count_of, flags, flags_of, hex_id, is_otlp, text, text_of, time, write_any,
    write_attributes,
};
use crate::dialect::otlp::span::OTEL_TRACE_ID;
use crate::dialect::theta_read::StoredRow;

/// The lowest `SeverityNumber` of each level.
const LEVELS: [(&str, u64); 6] = [
    ("trace", 1),
    ("debug", 5),
    ("info", 9),
    ("warn", 13),
    ("error", 17),
    ("fatal", 21),
];

/// Puts the fields of the record.
pub(super) fn write<F: Form>(row: &StoredRow, out: &mut F) {
    let doc = row.doc();
    let (said, observed) = (
        count_of(doc, "time_unix_nano"),
        count_of(doc, "observed_time_unix_nano"),
    );
    time((1, "timeUnixNano"), said, out);
    // What came without a time was observed when it came.
    let observed = if said == 0 && observed == 0 {
        u64::try_from(row.core.start_ns).unwrap_or(0)
    } else {
        observed
    };
    let level = text_of(doc, model::LEVEL);
    let severity = if is_otlp(row) {
        count_of(doc, "severity_number")
    } else {
        let found = LEVELS.iter().find(|(name, _)| *name == level);
        found.map_or(0, |(_, number)| *number)
    };
    count((2, "severityNumber"), severity, out);
    text((3, "severityText"), text_of(doc, "severity_text"), out);
    if let Some(body) = doc.get(model::BODY) {
        let open = out.begin((5, "body"));
        write_any(body, out);
        out.end(open);
    }
    write_attributes((6, "attributes"), doc.get(model::ATTRIBUTES), out);
    let dropped = count_of(doc, "dropped_attributes_count");
    count((7, "droppedAttributesCount"), dropped, out);
    flags((8, "flags"), flags_of(doc), out);
    let trace = doc.get(OTEL_TRACE_ID).and_then(DocRef::as_str);
    // A run's own name is in an attribute.
    let trace = trace.or(trace_of(&row.core.trace_id)).unwrap_or("");
    hex_id((9, "traceId"), trace, out);
    hex_id((10, "spanId"), text_of(doc, model::SPAN_ID), out);
    time((11, "observedTimeUnixNano"), observed, out);
    text((12, "eventName"), text_of(doc, "event_name"), out);
}
