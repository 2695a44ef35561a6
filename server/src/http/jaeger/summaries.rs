//! What Jaeger's UI lists of a search: traces without their spans.

use std::collections::{BTreeMap, HashSet};

use obsrv_engine::model;
use serde::Serialize;

use crate::dialect::theta_read::{StoredRow, status_of};
use crate::http::tempo::shown_id;

/// A trace of a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    trace_id: String,
    root_service_name: String,
    root_operation_name: String,
    min_start_time_unix_nano: String,
    max_end_time_unix_nano: String,
    span_count: usize,
    error_span_count: usize,
    /// Spans whose parent is not there.
    orphan_span_count: usize,
    services: Vec<OfService>,
}

/// Spans of one service.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct OfService {
    name: String,
    span_count: usize,
    error_span_count: usize,
}

impl Summary {
    /// Of a trace by its spans.
    pub(super) fn of(id: &str, spans: &[StoredRow]) -> Self {
        let ids: HashSet<&str> = spans.iter().map(|span| &*span.core.id).collect();
        let parent = |span: &StoredRow| span.text(model::PARENT_ID).map(str::to_owned);
        let place = |span: &StoredRow| {
            let parent = parent(span);
            let is_there = parent.as_deref().is_some_and(|id| ids.contains(id));
            (parent.is_some(), is_there)
        };
        let mut services: BTreeMap<&str, OfService> = BTreeMap::new();
        let (mut failed, mut orphans) = (0, 0);
        for span in spans {
            let is_failed = usize::from(status_of(span) == model::status::ERROR);
            orphans += usize::from(place(span) == (true, false));
            failed += is_failed;
            let service = services.entry(service(span)).or_default();
            service.span_count += 1;
            service.error_span_count += is_failed;
        }
        // The one without a parent; of several, or of none, the first.
        let root = spans
            .iter()
            .min_by_key(|span| (place(span).0, span.core.start_ns, &span.core.id));
        let starts = spans.iter().map(|span| span.core.start_ns);
        let ends = spans
            .iter()
            .map(|span| span.core.end_ns.unwrap_or(span.core.start_ns));
        let nanos = |ns: Option<i64>| ns.unwrap_or(0).max(0).to_string();
        Self {
            trace_id: shown_id(id),
            root_service_name: root.map_or("", service).to_owned(),
            root_operation_name: root
                .and_then(|root| root.text(model::NAME))
                .unwrap_or("")
                .to_owned(),
            min_start_time_unix_nano: nanos(starts.min()),
            max_end_time_unix_nano: nanos(ends.max()),
            span_count: spans.len(),
            error_span_count: failed,
            orphan_span_count: orphans,
            services: services
                .into_iter()
                .map(|(name, of)| OfService {
                    name: name.to_owned(),
                    ..of
                })
                .collect(),
        }
    }
}

fn service(span: &StoredRow) -> &str {
    span.text(model::SERVICE).unwrap_or("unknown-service")
}
