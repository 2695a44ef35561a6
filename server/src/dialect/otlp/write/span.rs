//! A row of a span → `Span`.

use obsrv_engine::doc::DocRef;
use obsrv_engine::model::{self, status};

use super::form::Form;
use super::{
    count, count_of, flags, flags_of, hex_id, is_otlp, own, span_id, text, text_of, time, trace_id,
    unhex, write_attribute, write_attributes, write_entries,
};
use crate::dialect::otlp::span::OTEL_TRACE_ID;
use crate::dialect::theta_read::StoredRow;

/// Numbers of `Span.SpanKind`.
const KINDS: [&str; 6] = ["", "internal", "server", "client", "producer", "consumer"];
const INTERNAL: u64 = 1;
const CLIENT: u64 = 3;

/// Numbers of `Status.StatusCode`.
const OK: u64 = 1;
const FAILED: u64 = 2;

/// Puts the fields of the span.
pub(super) fn write<F: Form>(row: &StoredRow, out: &mut F) {
    let (doc, sent) = (row.doc(), is_otlp(row));
    write_ids(row, sent, out);
    text((5, "name"), text_of(doc, model::NAME), out);
    count((6, "kind"), kind(doc, sent), out);
    let ns = |ns: i64| u64::try_from(ns).unwrap_or(0);
    time((7, "startTimeUnixNano"), ns(row.core.start_ns), out);
    time((8, "endTimeUnixNano"), row.core.end_ns.map_or(0, ns), out);
    let at = (9, "attributes");
    if sent {
        write_attributes(at, doc.get(model::ATTRIBUTES), out);
    } else {
        out.begin_list(at);
        write_entries(at, doc.get(model::ATTRIBUTES), out);
        own::span(row, |key, value| write_attribute(at, key, value, out));
        out.end_list();
    }
    write_parts(doc, sent, out);
    write_status(row, sent, out);
    flags((16, "flags"), flags_of(doc), out);
}

fn write_ids<F: Form>(row: &StoredRow, sent: bool, out: &mut F) {
    let (doc, core) = (row.doc(), &row.core);
    let trace = doc.get(OTEL_TRACE_ID).and_then(DocRef::as_str);
    let trace = trace.unwrap_or(&core.trace_id);
    // What was sent may have any length.
    let as_sent = |id: &str| unhex(id.as_bytes()).filter(|id| sent && !id.is_empty());
    let trace = as_sent(trace).unwrap_or_else(|| trace_id(trace).to_vec());
    out.id((1, "traceId"), &trace);
    let span = |id: &str| as_sent(id).unwrap_or_else(|| span_id(id).to_vec());
    out.id((2, "spanId"), &span(&core.id));
    text((3, "traceState"), text_of(doc, "trace_state"), out);
    if let Some(parent) = row.text(model::PARENT_ID).filter(|id| !id.is_empty()) {
        out.id((4, "parentSpanId"), &span(parent));
    }
}

fn kind(doc: DocRef<'_>, sent: bool) -> u64 {
    match doc.get("otel_kind") {
        Some(DocRef::Str(name)) => {
            let number = KINDS.iter().position(|kind| *kind == name);
            number.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
        }
        Some(_) => count_of(doc, "otel_kind"),
        None if sent => 0,
        None if text_of(doc, model::KIND) == "llm" => CLIENT,
        None => INTERNAL,
    }
}

/// Events, links and what was dropped. Those of other dialects are attributes.
fn write_parts<F: Form>(doc: DocRef<'_>, sent: bool, out: &mut F) {
    let dropped = |key| count_of(doc, key);
    let parts = |key| doc.get(key).filter(|_| sent);
    let at = (10, "droppedAttributesCount");
    count(at, dropped("dropped_attributes_count"), out);
    write_each((11, "events"), parts("events"), out, write_event);
    count(
        (12, "droppedEventsCount"),
        dropped("dropped_events_count"),
        out,
    );
    write_each((13, "links"), parts("links"), out, write_link);
    count(
        (14, "droppedLinksCount"),
        dropped("dropped_links_count"),
        out,
    );
}

fn write_each<F: Form>(
    at: super::At,
    list: Option<DocRef<'_>>,
    out: &mut F,
    write: fn(DocRef<'_>, &mut F),
) {
    if let Some(DocRef::Array(items)) = list {
        out.begin_list(at);
        for item in items.flatten() {
            let open = out.item(at);
            write(item, out);
            out.end(open);
        }
        out.end_list();
    }
}

fn write_event<F: Form>(event: DocRef<'_>, out: &mut F) {
    time((1, "timeUnixNano"), count_of(event, "time_unix_nano"), out);
    text((2, "name"), text_of(event, "name"), out);
    write_attributes((3, "attributes"), event.get("attributes"), out);
    let dropped = count_of(event, "dropped_attributes_count");
    count((4, "droppedAttributesCount"), dropped, out);
}

fn write_link<F: Form>(link: DocRef<'_>, out: &mut F) {
    hex_id((1, "traceId"), text_of(link, "trace_id"), out);
    hex_id((2, "spanId"), text_of(link, "span_id"), out);
    text((3, "traceState"), text_of(link, "trace_state"), out);
    write_attributes((4, "attributes"), link.get("attributes"), out);
    let dropped = count_of(link, "dropped_attributes_count");
    count((5, "droppedAttributesCount"), dropped, out);
    flags((6, "flags"), flags_of(link), out);
}

fn write_status<F: Form>(row: &StoredRow, sent: bool, out: &mut F) {
    let doc = row.doc();
    let said = text_of(doc, model::STATUS);
    let code = match doc.get("status_code") {
        Some(DocRef::Str("ok")) => OK,
        Some(DocRef::I64(_) | DocRef::U64(_)) if sent => count_of(doc, "status_code"),
        _ if said == status::ERROR => FAILED,
        // Without an end it would be taken for one that runs.
        _ if !sent && said == status::SUCCESS && row.core.end_ns.is_none() => OK,
        _ => 0,
    };
    let message = text_of(doc, "status_message");
    let message = if sent || !message.is_empty() {
        message
    } else {
        text_of(doc, model::ERROR_MESSAGE)
    };
    if code != 0 || !message.is_empty() {
        let open = out.begin((15, "status"));
        text((2, "message"), message, out);
        count((3, "code"), code, out);
        out.end(open);
    }
}
