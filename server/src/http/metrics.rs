//! Counters of the server and `GET /metrics` in the Prometheus text format.
//!
//! Every label has a fixed set of values: routes by their template, status by its class. Nothing
//! that a client sends becomes a label.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::App;
use super::access::{Access, Public};
use super::error::{ApiError, ErrorCode};
use super::otlp;
use super::query::places::{Gauges, Refused};
use crate::machine::resident_bytes;
use obsrv_engine::engine::{Gate, Stats};

/// Routes that have a label of their own; everything else is `other`.
const ROUTES: [&str; 123] = [
    "/v1/traces",
    "/v1/logs",
    "/v1/metrics",
    "/v1/traces/{id}",
    "/v1/traces/{id}/annotations",
    "/v1/imports/traces",
    "/v1/imports/{format}",
    "/v1/events",
    "/api/public/ingestion",
    "/api/public/scores",
    "/api/public/projects",
    "/api/public/health",
    "/info",
    "/runs",
    "/runs/batch",
    "/runs/multipart",
    "/runs/{id}",
    "/feedback",
    "/v1/custom",
    "/v1/feedback",
    "/v1/claude",
    "/v1/init",
    "/v1/usage",
    "/v1/projects/{project}/traces/{trace}/blobs",
    "/v1/projects/{project}/traces/{trace}/blobs/{blob}",
    "/v1/blobs/{link}",
    "/v1/media/upload",
    "/v1/media/signed-url",
    "/api/public/media",
    "/api/public/media/{media}",
    "/v1/projects/{project}/usage",
    "/v1/orgs/{org}/prices",
    "/v1/projects/{project}/refusals",
    "/v1/projects/{project}/settings",
    "/v1/projects/{project}/redaction/preview",
    "/v1/metrics/{*metric_events}",
    "/v1/projects/{project}/logs",
    "/v1/projects/{project}/points",
    "/tempo/api/search",
    "/tempo/api/metrics/query_range",
    "/tempo/api/v2/traces/{trace}",
    "/jaeger/api/traces",
    "/jaeger/api/traces/{trace}",
    "/v1/projects/{project}/traces",
    "/v1/projects/{project}/scores",
    "/v1/projects/{project}/users/{user}",
    "/v1/projects/{project}/releases",
    "/v1/projects/{project}/timeline",
    "/v1/logs/query",
    "/v1/logs/stream",
    "/v1/agents/{agent}/logs",
    "/v1/agents/{agent}/logs/stream",
    "/v1/agents/metrics",
    "/v1/agents/{agent}/metrics",
    "/v1/agents/traces",
    "/v1/agents/{agent}/traces",
    "/v1/agents/traces/{trace}",
    "/v1/usage/users/{user}",
    "/api/public/traces",
    "/api/public/traces/{trace}",
    "/api/public/observations",
    "/api/public/observations/{observation}",
    "/api/public/v2/observations",
    "/api/public/sessions",
    "/api/public/sessions/{session}",
    "/api/public/scores/{score}",
    "/api/public/v2/scores",
    "/api/public/v2/scores/{score}",
    "/api/public/v3/scores",
    "/api/public/metrics/daily",
    "/api/public/metrics",
    "/api/public/v2/metrics",
    "/v1/projects/{project}/spans",
    "/v1/projects/{project}/traces/{trace}",
    "/v1/projects/{project}/traces/{trace}/spans",
    "/v1/projects/{project}/traces/{trace}/spans/{span}",
    "/v1/projects/{project}/facets",
    "/v1/projects/{project}/fields",
    "/v1/projects/{project}/values",
    "/v1/projects/{project}/aggregate",
    "/v1/projects/{project}/traces/{trace}/conversation",
    "/v1/projects/{project}/traces/{trace}/render",
    "/v1/projects/{project}/traces/{trace}/critical-path",
    "/v1/projects/{project}/traces/{trace}/diff/{other}",
    "/v1/projects/{project}/compare",
    "/v1/projects/{project}/costs",
    "/v1/projects/{project}/traces/{trace}/cost",
    "/v1/projects/{project}/paths",
    "/v1/projects/{project}/threads",
    "/v1/projects/{project}/users",
    "/v1/projects/{project}/threads/{thread}",
    "/v1/projects/{project}/traces/{trace}/blobs/{blob}/link",
    "/v1/projects/{project}/export",
    "/v1/projects/{project}/tail",
    "/v1/projects/{project}/experiments/{experiment}/results",
    "/v1/projects/{project}/reviews",
    "/v1/projects/{project}/views",
    "/v1/projects/{project}/views/{view}",
    "/v1/projects/{project}/traces/{trace}/comments",
    "/v1/projects/{project}/traces/{trace}/comments/{comment}",
    "/tempo/api/search/tags",
    "/tempo/api/search/tag/{tag}/values",
    "/tempo/api/traces/{trace}",
    "/tempo/api/v2/search/tags",
    "/tempo/api/v2/search/tag/{tag}/values",
    "/tempo/api/metrics/query",
    "/tempo/api/echo",
    "/jaeger/api/services",
    "/jaeger/api/services/{service}/operations",
    "/jaeger/api/operations",
    "/jaeger/api/dependencies",
    "/jaeger/api/v3/services",
    "/jaeger/api/v3/operations",
    "/jaeger/api/v3/traces",
    "/jaeger/api/v3/traces/{trace}",
    "/v1/projects/{project}/logs/{log}/trace",
    "/v1/projects/{project}/logs/{log}/origins",
    "/v1/projects/{project}/points/{point}/origins",
    "/jaeger/api/v3/trace-summaries",
    "/live",
    "/ready",
    "/metrics",
    "other",
];
/// Whether a route is counted under its own name.
#[cfg(test)]
pub(super) fn has_label(route: &str) -> bool {
    ROUTES.contains(&route)
}

/// Below it the routes of `LangSmith` stand a second time.
pub(super) const LANGSMITH_PREFIX: &str = "/api/v1";
const CLASSES: [&str; 5] = ["2xx", "3xx", "4xx", "503", "5xx"];
/// Upper bounds of the time buckets, in microseconds.
const BUCKETS_US: [u64; 12] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_000_000, 10_000_000,
];

/// Counters of the server. All relaxed: they order nothing.
#[derive(Debug)]
pub struct Metrics {
    requests: [[AtomicU64; CLASSES.len()]; ROUTES.len()],
    seconds: [[AtomicU64; BUCKETS_US.len() + 1]; 2],
    micros: [AtomicU64; 2],
    /// Events that were taken: a start and an end are two.
    pub items_accepted: AtomicU64,
    /// Items that were refused within an accepted request.
    pub items_rejected: AtomicU64,
    /// Connections open now.
    pub connections: AtomicU64,
    /// Connections closed by the server because they were silent, slow or stuck.
    pub connections_dropped: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: std::array::from_fn(|_| Default::default()),
            seconds: Default::default(),
            micros: Default::default(),
            items_accepted: AtomicU64::default(),
            items_rejected: AtomicU64::default(),
            connections: AtomicU64::default(),
            connections_dropped: AtomicU64::default(),
        }
    }
}

/// Adds one.
pub fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Metrics {
    /// Counts an answer. `route` is the matched template; aliases count as what they stand for.
    pub fn answered(&self, route: Option<&str>, is_write: bool, status: StatusCode, micros: u64) {
        let unprefixed = route.and_then(|r| r.strip_prefix(LANGSMITH_PREFIX));
        let signal = route.and_then(otlp::signal_of);
        let route = ROUTES
            .iter()
            .position(|r| [route, unprefixed, signal].contains(&Some(*r)))
            .unwrap_or(ROUTES.len() - 1);
        let class = match status.as_u16() {
            503 => 3,
            200..300 => 0,
            300..400 => 1,
            400..500 => 2,
            _ => 4,
        };
        increment(&self.requests[route][class]);
        let kind = usize::from(is_write);
        let bucket = BUCKETS_US
            .iter()
            .position(|b| micros <= *b)
            .unwrap_or(BUCKETS_US.len());
        increment(&self.seconds[kind][bucket]);
        self.micros[kind].fetch_add(micros, Ordering::Relaxed);
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "# TYPE obsrv_http_requests_total counter")?;
        for (route, counts) in ROUTES.iter().zip(&self.requests) {
            for (class, count) in CLASSES.iter().zip(counts) {
                let n = count.load(Ordering::Relaxed);
                if n > 0 {
                    writeln!(
                        out,
                        "obsrv_http_requests_total{{route=\"{route}\",status=\"{class}\"}} {n}"
                    )?;
                }
            }
        }
        writeln!(out, "# TYPE obsrv_http_request_seconds histogram")?;
        for (kind, method) in ["read", "write"].iter().enumerate() {
            let mut total = 0;
            for (bucket, count) in self.seconds[kind].iter().enumerate() {
                total += count.load(Ordering::Relaxed);
                let bound = BUCKETS_US
                    .get(bucket)
                    .map_or("+Inf".to_owned(), |us| seconds(*us));
                let labels = format!("kind=\"{method}\",le=\"{bound}\"");
                writeln!(out, "obsrv_http_request_seconds_bucket{{{labels}}} {total}")?;
            }
            let sum = seconds(self.micros[kind].load(Ordering::Relaxed));
            writeln!(
                out,
                "obsrv_http_request_seconds_sum{{kind=\"{method}\"}} {sum}"
            )?;
            writeln!(
                out,
                "obsrv_http_request_seconds_count{{kind=\"{method}\"}} {total}"
            )?;
        }
        for (name, kind, value) in [
            ("items_accepted_total", "counter", &self.items_accepted),
            ("items_rejected_total", "counter", &self.items_rejected),
            ("connections", "gauge", &self.connections),
            (
                "connections_dropped_total",
                "counter",
                &self.connections_dropped,
            ),
        ] {
            line(out, name, kind, value.load(Ordering::Relaxed))?;
        }
        Ok(())
    }
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

fn line(out: &mut String, name: &str, kind: &str, value: u64) -> std::fmt::Result {
    writeln!(out, "# TYPE obsrv_{name} {kind}\nobsrv_{name} {value}")
}

/// What the engine counts: name, kind, value.
pub(super) fn of_engine(stats: &Stats) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
    [
        ("records_total", "counter", stats.records),
        ("group_commits_total", "counter", stats.groups),
        ("events_total", "counter", stats.events),
        ("duplicate_events_total", "counter", stats.duplicates),
        ("superseded_rows_total", "counter", stats.superseded),
        ("lost_rows_total", "counter", stats.lost),
        ("waiting_records", "gauge", stats.waiting),
        ("rollups_again_total", "counter", stats.rollups),
        ("body_bytes_total", "counter", stats.body_bytes),
        ("flushes_total", "counter", stats.flushes),
        ("compactions_total", "counter", stats.compactions),
        ("replayed_records", "gauge", stats.replayed),
        ("quarantined_records_total", "counter", stats.quarantined),
        ("quarantine_files", "gauge", stats.quarantine_files),
        ("quarantine_bytes", "gauge", stats.quarantine_bytes),
        ("queue_bytes", "gauge", stats.queue_bytes),
        ("memtable_bytes", "gauge", stats.memtable_bytes),
        ("frozen_memtables", "gauge", stats.frozen),
        ("fresh_segments", "gauge", stats.fresh_segments),
        ("merge_priority_low", "gauge", stats.merge_priority_low),
        ("merge_steps_total", "counter", stats.merge_steps),
        ("merges_stopped_total", "counter", stats.merges_stopped),
        ("segments", "gauge", stats.segments),
        ("damaged_segments", "gauge", stats.damaged_segments),
        ("purge_left", "gauge", stats.purge_left),
        ("segment_bytes", "gauge", stats.segment_bytes),
        ("wal_bytes", "gauge", stats.wal_bytes),
        ("disk_free_bytes", "gauge", stats.disk_free_bytes),
        ("disk_reserve_bytes", "gauge", stats.disk_reserve_bytes),
        ("visible_lsn", "gauge", stats.visible_lsn),
    ]
    .into_iter()
}

fn write_engine(out: &mut String, stats: &Stats) -> std::fmt::Result {
    for (name, kind, value) in of_engine(stats) {
        line(out, name, kind, value)?;
    }
    let paused = seconds(stats.merge_paused_ns / 1_000);
    writeln!(
        out,
        "# TYPE obsrv_merge_paused_seconds_total counter\nobsrv_merge_paused_seconds_total {paused}"
    )
}

fn write_queries(out: &mut String, all: &[Gauges]) -> std::fmt::Result {
    writeln!(out, "# TYPE obsrv_queries_running gauge")?;
    for Gauges { class, running, .. } in all {
        let class = class.as_str();
        writeln!(out, "obsrv_queries_running{{class=\"{class}\"}} {running}")?;
    }
    writeln!(out, "# TYPE obsrv_queries_waiting gauge")?;
    for Gauges { class, waiting, .. } in all {
        let class = class.as_str();
        writeln!(out, "obsrv_queries_waiting{{class=\"{class}\"}} {waiting}")?;
    }
    writeln!(out, "# TYPE obsrv_queries_refused_total counter")?;
    for gauges in all {
        let class = gauges.class.as_str();
        for (reason, count) in Refused::REASONS.iter().zip(gauges.refused) {
            let labels = format!("class=\"{class}\",reason=\"{reason}\"");
            writeln!(out, "obsrv_queries_refused_total{{{labels}}} {count}")?;
        }
    }
    Ok(())
}

/// `GET /metrics`. Off the network thread: the engine asks the file system how much room there is.
pub(crate) async fn show(
    _: Access<Public>,
    State(app): State<Arc<App>>,
) -> Result<Response, ApiError> {
    let text = tokio::task::spawn_blocking(move || {
        let mut out = String::with_capacity(8 << 10);
        write_all(&app, &mut out).expect("BUG: writing to memory failed");
        out
    });
    let text = text
        .await
        .map_err(|_| ApiError::new(ErrorCode::Internal, "counters do not read"))?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

fn write_all(app: &App, out: &mut String) -> std::fmt::Result {
    app.metrics.write(out)?;
    line(
        out,
        "body_bytes_in_flight",
        "gauge",
        app.admission.held_bytes(),
    )?;
    let (work, waiting) = app.ingest.held();
    line(out, "body_bytes_in_work", "gauge", work)?;
    let waiting = u64::try_from(waiting).unwrap_or(u64::MAX);
    line(out, "bodies_waiting", "gauge", waiting)?;
    if let Some(resident) = resident_bytes() {
        line(out, "resident_bytes", "gauge", resident)?;
    }
    line(out, "phase", "gauge", app.phase().number())?;
    write_queries(out, &app.queries.gauges())?;
    let Ok(core) = app.core() else { return Ok(()) };
    let (projects, keys) = core.directory().counts();
    line(
        out,
        "projects",
        "gauge",
        u64::try_from(projects).unwrap_or(u64::MAX),
    )?;
    line(
        out,
        "keys",
        "gauge",
        u64::try_from(keys).unwrap_or(u64::MAX),
    )?;
    if let Ok(blobs) = core.blobs() {
        let tally = blobs.tally();
        for (name, kind, value) in [
            ("attachments_kept_total", "counter", &tally.kept),
            ("attachment_bytes_kept_total", "counter", &tally.kept_bytes),
            ("attachments_removed_total", "counter", &tally.removed),
            ("attachments", "gauge", &tally.files),
            ("attachment_bytes", "gauge", &tally.bytes),
        ] {
            line(out, name, kind, value.load(Ordering::Relaxed))?;
        }
    }
    let stats = core.stats();
    writeln!(out, "# TYPE obsrv_ingest_refused_total counter")?;
    for (gate, count) in gates(app, &stats) {
        writeln!(out, "obsrv_ingest_refused_total{{gate=\"{gate}\"}} {count}")?;
    }
    let spooled = core.blobs().map_or(0, |blobs| blobs.spool().written());
    writeln!(out, "# TYPE obsrv_written_bytes_total counter")?;
    let kinds = stats.written.by_kind().into_iter();
    for (kind, bytes) in kinds.chain([("attachment", spooled)]) {
        writeln!(out, "obsrv_written_bytes_total{{kind=\"{kind}\"}} {bytes}")?;
    }
    write_engine(out, &stats)
}

/// Requests that each gate of ingest refused.
pub(super) fn gates(app: &App, stats: &Stats) -> impl Iterator<Item = (&'static str, u64)> {
    let of_engine = Gate::ALL.map(Gate::as_str).into_iter().zip(stats.refused);
    let own = [
        ("bodies", app.admission.refused()),
        ("turns", app.ingest.refused()),
    ];
    own.into_iter().chain(of_engine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_only_fixed_labels() {
        let metrics = Metrics::default();
        metrics.answered(Some("/v1/traces"), true, StatusCode::OK, 900);
        metrics.answered(
            Some("/v1/traces"),
            true,
            StatusCode::SERVICE_UNAVAILABLE,
            900,
        );
        metrics.answered(
            Some("/secret-in-a-path"),
            false,
            StatusCode::NOT_FOUND,
            99_000_000,
        );
        let mut out = String::new();
        metrics.write(&mut out).unwrap();
        for expected in [
            "obsrv_http_requests_total{route=\"/v1/traces\",status=\"2xx\"} 1\n",
            "obsrv_http_requests_total{route=\"/v1/traces\",status=\"503\"} 1\n",
            "obsrv_http_requests_total{route=\"other\",status=\"4xx\"} 1\n",
            "obsrv_http_request_seconds_bucket{kind=\"write\",le=\"0.000500\"} 0\n",
            "obsrv_http_request_seconds_bucket{kind=\"write\",le=\"0.001000\"} 2\n",
            "obsrv_http_request_seconds_bucket{kind=\"read\",le=\"10.000000\"} 0\n",
            "obsrv_http_request_seconds_bucket{kind=\"read\",le=\"+Inf\"} 1\n",
            "obsrv_http_request_seconds_sum{kind=\"write\"} 0.001800\n",
        ] {
            assert!(out.contains(expected), "missing {expected} in\n{out}");
        }
        assert!(!out.contains("secret"));
    }
}
