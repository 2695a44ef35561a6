//! Which dialect a body is in, from the content type, the route and the top-level keys.

use thiserror::Error;

use super::Dialect;
use super::import::{Format, archive};

/// The route that a body came in by, as far as it decides the dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `POST /v1/traces`: three protocols, one of them in two encodings.
    Traces,
    /// `POST /otlp/v1/traces` and others that are OTLP alone.
    Otlp,
    /// `POST /v1/logs`.
    Logs,
    /// `POST /v1/metrics`: two protocols.
    Metrics,
    /// `POST /v1/metrics/{metric}/events`.
    MetricEvents,
    /// `POST /v1/traces/{id}/annotations`.
    Annotations,
    /// `POST /v1/imports/traces`.
    Imports,
    /// `POST /v1/events`.
    Events,
    /// `POST /api/public/ingestion`.
    LangfuseBatch,
    /// `POST /api/public/scores`.
    LangfuseScores,
    /// `POST /runs`.
    LangsmithRun,
    /// `PATCH /runs/{id}`.
    LangsmithPatch,
    /// `POST /runs/batch`.
    LangsmithBatch,
    /// `POST /runs/multipart`.
    LangsmithForm,
    /// `POST /feedback`.
    LangsmithFeedback,
    /// `POST /v1/custom`.
    TccCustom,
    /// `POST /v1/feedback`: two protocols.
    Feedback,
    /// `POST /v1/claude`.
    TccClaude,
    /// `POST /v1/imports/{format}`.
    Import(Format),
    /// No route: what obsrv writes itself.
    Own,
}

/// Why no dialect fits.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SniffError {
    /// The content type names none.
    #[error(
        "unsupported content type, accepted are application/x-protobuf (OTLP) and \
         application/json content_type={0}"
    )]
    ContentType(String),
    /// The content type of a form names something else.
    #[error("unsupported content type, accepted is multipart/form-data content_type={0}")]
    NotForm(String),
    /// JSON with top-level keys of no known body.
    #[error("unknown body, accepted {accepted} found={found}")]
    Keys {
        /// What the route takes.
        accepted: &'static str,
        /// The first keys.
        found: String,
    },
}

/// Keys that are looked at before a body counts as unknown.
const KEYS_MAX: usize = 256;

/// Tells the dialect of a body that is already decompressed. Never guesses: what fits nothing is
/// an error that names what is accepted.
pub fn sniff(content_type: &str, route: Route, body: &[u8]) -> Result<Dialect, SniffError> {
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    let is_protobuf = matches!(
        essence.as_str(),
        "application/x-protobuf" | "application/protobuf" | "application/vnd.google.protobuf"
    );
    let is_json = essence == "application/json"
        || essence == "application/x-ndjson"
        || essence == "application/jsonl"
        || essence.ends_with("+json")
        || matches!(first(body), Some(b'{' | b'['));
    match route {
        Route::Traces | Route::Otlp if is_protobuf => Ok(Dialect::OtlpProtobuf),
        Route::Logs if is_protobuf => Ok(Dialect::OtlpLogsProtobuf),
        Route::Metrics if is_protobuf => Ok(Dialect::OtlpMetricsProtobuf),
        Route::LangsmithForm if essence == "multipart/form-data" => Ok(Dialect::LangsmithForm),
        Route::LangsmithForm => Err(SniffError::NotForm(
            content_type.chars().take(128).collect(),
        )),
        Route::Import(Format::Inspect) if body.starts_with(archive::SIGN) => {
            Ok(Dialect::ImportInspect)
        }
        _ if is_protobuf || !is_json => Err(SniffError::ContentType(
            content_type.chars().take(128).collect(),
        )),
        Route::Otlp => Ok(Dialect::OtlpJson),
        Route::Traces => by_keys(body, &TRACES),
        Route::Logs => by_keys(body, &LOGS),
        Route::Metrics => by_keys(body, &METRICS),
        Route::Annotations => Ok(Dialect::ThetaAnnotation),
        Route::Imports => Ok(Dialect::ThetaImport),
        Route::Events => Ok(Dialect::ThetaEvent),
        Route::MetricEvents => Ok(Dialect::ThetaMetricEvent),
        Route::LangfuseBatch => Ok(Dialect::LangfuseBatch),
        Route::LangfuseScores if first(body) == Some(b'[') => Ok(Dialect::LangfuseScores),
        Route::LangfuseScores => Ok(Dialect::LangfuseScore),
        Route::LangsmithRun => Ok(Dialect::LangsmithRun),
        Route::LangsmithPatch => Ok(Dialect::LangsmithPatch),
        Route::LangsmithBatch => Ok(Dialect::LangsmithBatch),
        Route::LangsmithFeedback => Ok(Dialect::LangsmithFeedback),
        Route::TccCustom => Ok(Dialect::TccCustom),
        Route::Feedback => by_keys(body, &FEEDBACK),
        Route::TccClaude => Ok(Dialect::TccClaude),
        Route::Own => Ok(Dialect::Blob),
        Route::Import(Format::Jaeger) => Ok(Dialect::ImportJaeger),
        Route::Import(Format::Zipkin) => Ok(Dialect::ImportZipkin),
        Route::Import(Format::ClaudeCode) => Ok(Dialect::ImportClaudeCode),
        Route::Import(Format::SweAgent) => Ok(Dialect::ImportSweAgent),
        Route::Import(Format::Tau) => Ok(Dialect::ImportTau),
        Route::Import(Format::Inspect) => Ok(Dialect::ImportInspect),
    }
}

fn first(body: &[u8]) -> Option<u8> {
    body.iter().copied().find(|b| !b.is_ascii_whitespace())
}

/// What a route takes, in words, and the keys that tell.
type Accepted = (&'static str, &'static [(&'static [u8], Dialect)]);

const TRACES: Accepted = (
    "are an OTLP request (top-level key resourceSpans), a theta trace (top-level keys trace_id and steps) and an export \
     of aiobs (top-level keys sessions and function_events)",
    &[
        (b"resourceSpans", Dialect::OtlpJson),
        (b"trace_id", Dialect::ThetaTrace),
        (b"steps", Dialect::ThetaTrace),
        (b"sessions", Dialect::AiobsExport),
        (b"function_events", Dialect::AiobsExport),
    ],
);
const LOGS: Accepted = (
    "is an OTLP request (top-level key resourceLogs)",
    &[(b"resourceLogs", Dialect::OtlpLogsJson)],
);
const METRICS: Accepted = (
    "are an OTLP request (top-level key resourceMetrics) and the definition of a theta metric (top-level keys name and type)",
    &[
        (b"resourceMetrics", Dialect::OtlpMetricsJson),
        (b"name", Dialect::ThetaMetric),
        (b"type", Dialect::ThetaMetric),
    ],
);

const FEEDBACK: Accepted = (
    "are feedback of The Context Company's clients (top-level key runId) and of LangSmith's (top-level keys key, run_id and trace_id)",
    &[
        (b"runId", Dialect::TccFeedback),
        (b"key", Dialect::LangsmithFeedback),
        (b"run_id", Dialect::LangsmithFeedback),
        (b"trace_id", Dialect::LangsmithFeedback),
    ],
);

fn by_keys(body: &[u8], (accepted, known): &Accepted) -> Result<Dialect, SniffError> {
    let mut found = Vec::new();
    for key in TopLevelKeys::new(body).take(KEYS_MAX) {
        if let Some((_, dialect)) = known.iter().find(|(name, _)| *name == key) {
            return Ok(*dialect);
        }
        if found.len() < 8 {
            found.push(String::from_utf8_lossy(&key[..key.len().min(32)]));
        }
    }
    let found = match first(body) {
        Some(b'{') if found.is_empty() => "no keys".to_owned(),
        Some(b'{') => found.join(","),
        Some(b'[') => "a list".to_owned(),
        _ => "no object".to_owned(),
    };
    Err(SniffError::Keys { accepted, found })
}

/// The keys of the outermost object. Does not check the JSON: whoever reads the body does.
#[derive(Debug)]
struct TopLevelKeys<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> TopLevelKeys<'a> {
    fn new(body: &'a [u8]) -> Self {
        let at = body
            .iter()
            .position(|b| !b.is_ascii_whitespace())
            .unwrap_or(body.len());
        let at = if body.get(at) == Some(&b'{') {
            at + 1
        } else {
            body.len()
        };
        Self { body, at }
    }

    /// Goes past a text whose opening quote is at `at`; what is between the quotes.
    fn text(&mut self) -> &'a [u8] {
        let start = self.at + 1;
        let mut end = start;
        while let Some(b) = self.body.get(end) {
            match b {
                b'"' => break,
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        self.at = end + 1;
        self.body.get(start..end).unwrap_or(&[])
    }
}

impl<'a> Iterator for TopLevelKeys<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut depth = 0usize;
        while let Some(b) = self.body.get(self.at) {
            match b {
                b'"' => {
                    let text = self.text();
                    let after = self.body.get(self.at..).unwrap_or(&[]);
                    if depth == 0 && first(after) == Some(b':') {
                        return Some(text);
                    }
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth == 0 => break,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
        self.at = self.body.len();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "application/json; charset=utf-8";

    #[test]
    fn tells_bodies_of_the_traces_route_apart() {
        let traces = |t: &str, body: &str| sniff(t, Route::Traces, body.as_bytes());
        assert_eq!(
            traces("application/x-protobuf", ""),
            Ok(Dialect::OtlpProtobuf)
        );
        assert_eq!(
            traces(JSON, r#" {"resourceSpans":[]}"#),
            Ok(Dialect::OtlpJson)
        );
        let late = r#"{"name":"x \" }","metadata":{"resourceSpans":[{}]},"trace_id":"t"}"#;
        assert_eq!(traces(JSON, late), Ok(Dialect::ThetaTrace));
        assert_eq!(traces("", r#"{"steps":[]}"#), Ok(Dialect::ThetaTrace));
        for export in [
            r#"{"sessions":[],"events":[]}"#,
            r#"{"function_events":[]}"#,
        ] {
            assert_eq!(traces(JSON, export), Ok(Dialect::AiobsExport));
        }
        assert_eq!(
            traces("text/plain", r#"{"trace_id":"a"}"#),
            Ok(Dialect::ThetaTrace)
        );
    }

    #[test]
    fn tells_feedback_apart() {
        let feedback = |body: &str| sniff(JSON, Route::Feedback, body.as_bytes());
        let langsmith = r#"{"score":1,"key":"good","run_id":"r"}"#;
        assert_eq!(feedback(langsmith), Ok(Dialect::LangsmithFeedback));
        let tcc = r#"{"score":"thumbs_up","runId":"r"}"#;
        assert_eq!(feedback(tcc), Ok(Dialect::TccFeedback));
        let error = feedback(r#"{"score":1}"#).unwrap_err().to_string();
        assert!(
            error.contains("runId") && error.contains("run_id"),
            "{error}"
        );
    }

    #[test]
    fn names_what_is_accepted_when_nothing_fits() {
        for body in [
            "{}",
            "[]",
            "",
            "7",
            r#"{"a":{"trace_id":1}}"#,
            r#"{"a":"trace_id"}"#,
        ] {
            let error = sniff(JSON, Route::Traces, body.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("resourceSpans") && error.contains("trace_id"),
                "{error}"
            );
        }
        let error = sniff("application/grpc", Route::Traces, b"\0").unwrap_err();
        assert_eq!(error, SniffError::ContentType("application/grpc".into()));
        let error = sniff("application/x-protobuf", Route::Imports, b"").unwrap_err();
        assert_eq!(
            error,
            SniffError::ContentType("application/x-protobuf".into())
        );
        assert!(sniff("", Route::Otlp, b"\n\0").is_err());
        assert_eq!(sniff(JSON, Route::Otlp, b"{}"), Ok(Dialect::OtlpJson));
        assert_eq!(
            sniff("application/x-ndjson", Route::Imports, b""),
            Ok(Dialect::ThetaImport)
        );
    }
}
