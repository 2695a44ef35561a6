//! The one place that turns what went wrong into a status, a code and a body.
//!
//! What a retry could cure is 503 and nothing else: OTLP clients drop a batch on any other error.
//! 500 means a fault of obsrv that the same request would meet again.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use serde::Serialize;

use super::protobuf;
use crate::tenancy::ChangeError;
use obsrv_engine::engine::{Gate, IngestError};
use obsrv_engine::query::{ParseError, QueryError};
use obsrv_engine::source::SourceError;

/// Says, with a 503, whether anything of the request was stored.
pub const OUTCOME: HeaderName = HeaderName::from_static("obsrv-outcome");

/// When a request is worth another try that was refused because merges are behind.
const MERGES_RETRY_TIME: Duration = Duration::from_secs(4);
/// The same of one that is refused because a record before it waits for the disk to read.
pub(super) const READS_RETRY_TIME: Duration = Duration::from_secs(9);
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// What went wrong. The text form is part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// No key, or one that opens nothing.
    Unauthorized,
    /// Whoever asks is known and may not.
    Forbidden,
    /// It is in the way of something that is there.
    Conflict,
    /// No such route or row.
    NotFound,
    /// The route has other methods.
    MethodNotAllowed,
    /// A parameter or a body that can never be accepted.
    InvalidRequest,
    /// `q=` does not parse.
    InvalidQuery,
    /// Not a cursor of this list.
    InvalidCursor,
    /// More than somebody may do in this time.
    RateLimited,
    /// A plan's limit for the day or month is reached.
    QuotaExceeded,
    /// Over a size limit.
    TooLarge,
    /// A content type or encoding that obsrv does not read.
    UnsupportedMedia,
    /// The query needs more than one query may have.
    QueryTooExpensive,
    /// Not recovered yet.
    Starting,
    /// No room for this request now.
    Overloaded,
    /// The disk is full.
    NoSpace,
    /// The body came too slowly.
    BodyTooSlow,
    /// The body ended early.
    BodyIncomplete,
    /// Nobody knows whether it is stored; sending it again is safe.
    OutcomeUnknown,
    /// The engine takes nothing more; the process is about to stop.
    Closed,
    /// Bytes on disk are damaged.
    Damaged,
    /// A fault of obsrv.
    Internal,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 22] = [
        Self::Unauthorized,
        Self::Forbidden,
        Self::Conflict,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::InvalidRequest,
        Self::InvalidQuery,
        Self::InvalidCursor,
        Self::RateLimited,
        Self::QuotaExceeded,
        Self::TooLarge,
        Self::UnsupportedMedia,
        Self::QueryTooExpensive,
        Self::Starting,
        Self::Overloaded,
        Self::NoSpace,
        Self::BodyTooSlow,
        Self::BodyIncomplete,
        Self::OutcomeUnknown,
        Self::Closed,
        Self::Damaged,
        Self::Internal,
    ];

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Conflict => "conflict",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidQuery => "invalid_query",
            Self::InvalidCursor => "invalid_cursor",
            Self::RateLimited => "rate_limited",
            Self::QuotaExceeded => "quota_exceeded",
            Self::TooLarge => "too_large",
            Self::UnsupportedMedia => "unsupported_media",
            Self::QueryTooExpensive => "query_too_expensive",
            Self::Starting => "starting",
            Self::Overloaded => "overloaded",
            Self::NoSpace => "no_space",
            Self::BodyTooSlow => "body_too_slow",
            Self::BodyIncomplete => "body_incomplete",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Closed => "closed",
            Self::Damaged => "damaged",
            Self::Internal => "internal",
        }
    }

    /// Its HTTP status.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Conflict => StatusCode::CONFLICT,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::InvalidRequest | Self::InvalidQuery | Self::InvalidCursor => {
                StatusCode::BAD_REQUEST
            }
            Self::RateLimited | Self::QuotaExceeded => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::QueryTooExpensive => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Starting
            | Self::Overloaded
            | Self::NoSpace
            | Self::BodyTooSlow
            | Self::BodyIncomplete
            | Self::OutcomeUnknown
            | Self::Closed => StatusCode::SERVICE_UNAVAILABLE,
            Self::Damaged | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_retryable(self) -> bool {
        matches!(
            self.status(),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        )
    }

    /// For a retryable code: the value of the `obsrv-outcome` header.
    const fn outcome(self) -> Option<&'static str> {
        match self {
            Self::Starting
            | Self::Overloaded
            | Self::NoSpace
            | Self::BodyTooSlow
            | Self::BodyIncomplete
            | Self::RateLimited
            | Self::QuotaExceeded
            | Self::Closed => Some("not-stored"),
            Self::OutcomeUnknown => Some("unknown"),
            Self::Unauthorized
            | Self::Forbidden
            | Self::Conflict
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::InvalidRequest
            | Self::InvalidQuery
            | Self::InvalidCursor
            | Self::TooLarge
            | Self::UnsupportedMedia
            | Self::QueryTooExpensive
            | Self::Damaged
            | Self::Internal => None,
        }
    }

    /// The same in the numbers of `google.rpc.Code`.
    const fn grpc(self) -> u32 {
        match self {
            Self::InvalidRequest
            | Self::InvalidQuery
            | Self::InvalidCursor
            | Self::TooLarge
            | Self::UnsupportedMedia => 3,
            Self::NotFound => 5,
            Self::Conflict => 6,
            Self::Forbidden => 7,
            Self::QueryTooExpensive | Self::RateLimited | Self::QuotaExceeded => 8,
            Self::MethodNotAllowed => 12,
            Self::Internal => 13,
            Self::Starting
            | Self::Overloaded
            | Self::NoSpace
            | Self::BodyTooSlow
            | Self::BodyIncomplete
            | Self::OutcomeUnknown
            | Self::Closed => 14,
            Self::Damaged => 15,
            Self::Unauthorized => 16,
        }
    }
}

/// An answer that is an error. Becomes bytes in [`render`], which knows what the client reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {message}", code.as_str())]
pub struct ApiError {
    /// What went wrong.
    pub code: ErrorCode,
    /// The same for people. Holds no payload and no key.
    pub message: String,
    /// The parameter, item or place in the body.
    pub field: Option<String>,
    /// Of a filter: the byte at which reading stopped, and what could stand there.
    pub place: Option<(usize, &'static str)>,
    /// After how many seconds the same request may succeed, if that is known.
    pub retry_seconds: Option<u64>,
    /// The limit that was reached.
    pub limit: Option<Box<Limit>>,
}

/// A limit that a request has reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Its name.
    pub name: &'static str,
    /// Whose: `project`, `key` or `organization`.
    pub scope: &'static str,
    /// `second`, `day` or `month`.
    pub period: &'static str,
    /// Its value.
    pub value: u64,
    /// When there is room again.
    pub resets_at: String,
    /// The same as a time to wait.
    pub retry_after_seconds: u64,
}

impl ApiError {
    /// An error with this text.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            field: None,
            place: None,
            retry_seconds: None,
            limit: None,
        }
    }

    /// The same, saying when to come back.
    #[must_use]
    pub fn after(mut self, time: Duration) -> Self {
        self.retry_seconds = Some(time.as_secs().saturating_add(1));
        self
    }

    /// The same, naming the parameter or the place in the body.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The parameter can never be accepted.
    pub fn parameter(name: &str, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRequest, message).at(name)
    }
}

impl IntoResponse for ApiError {
    /// A bare response that carries the error to [`render`].
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<IngestError> for ApiError {
    fn from(error: IngestError) -> Self {
        let code = match error {
            // Merges take seconds where the others take parts of one.
            IngestError::Overloaded(Gate::Merges) => {
                let behind = Self::new(ErrorCode::Overloaded, error.to_string());
                return behind.after(MERGES_RETRY_TIME);
            }
            IngestError::Overloaded(Gate::Reads) => {
                let waits = Self::new(ErrorCode::Overloaded, error.to_string());
                return waits.after(READS_RETRY_TIME);
            }
            IngestError::Overloaded(_) => ErrorCode::Overloaded,
            IngestError::NoSpace => ErrorCode::NoSpace,
            IngestError::OutcomeUnknown => ErrorCode::OutcomeUnknown,
            IngestError::Closed => ErrorCode::Closed,
            IngestError::TooLarge => ErrorCode::TooLarge,
        };
        Self::new(code, error.to_string())
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        let said = error.to_string();
        let code = match error {
            ChangeError::Name(_) | ChangeError::Slug(_) | ChangeError::Invalid(_) => {
                ErrorCode::InvalidRequest
            }
            ChangeError::Unknown(_) | ChangeError::UnknownKey => ErrorCode::NotFound,
            ChangeError::TooMany { .. } | ChangeError::Exists(_) | ChangeError::Conflict(_) => {
                ErrorCode::Conflict
            }
            ChangeError::Forbidden | ChangeError::SsoRequired { .. } => ErrorCode::Forbidden,
            ChangeError::Ended => ErrorCode::Unauthorized,
            ChangeError::TooFast { retry } => {
                return Self::new(ErrorCode::RateLimited, said).after(retry);
            }
            ChangeError::Log(cause) => return cause.into(),
            ChangeError::OutcomeUnknown => ErrorCode::OutcomeUnknown,
            ChangeError::Misfit(_) => ErrorCode::Internal,
        };
        Self::new(code, said)
    }
}

impl From<ParseError> for ApiError {
    fn from(error: ParseError) -> Self {
        Self {
            place: Some((error.at, error.expected)),
            ..Self::new(ErrorCode::InvalidQuery, error.to_string())
        }
    }
}

impl From<SourceError> for ApiError {
    fn from(error: SourceError) -> Self {
        QueryError::from(error).into()
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let code = match &error {
            QueryError::BudgetExceeded { .. } => ErrorCode::QueryTooExpensive,
            QueryError::Cancelled => ErrorCode::Overloaded,
            QueryError::LimitTooLarge(_)
            | QueryError::TooDeep
            | QueryError::TooManyNodes
            | QueryError::Regex(_)
            | QueryError::TooManyRegexes
            | QueryError::ListTooLong(_)
            | QueryError::TextTooLong(_)
            | QueryError::TooManyFacets(_)
            | QueryError::TooManyFacetValues(_)
            | QueryError::TooMany { .. }
            | QueryError::Meaningless(_)
            | QueryError::NestedAnySpan
            | QueryError::NestedAnyScore => ErrorCode::InvalidQuery,
            QueryError::Source(_) | QueryError::Row { .. } => ErrorCode::Damaged,
        };
        let cure = match &error {
            QueryError::BudgetExceeded {
                what: "time buckets" | "points",
                ..
            } => "; ask for a longer interval, or for less time with from and to",
            QueryError::BudgetExceeded { .. } => "; ask for less time, or filter more",
            QueryError::Cancelled => " after its time; ask for less time, or filter more",
            _ => "",
        };
        Self::new(code, format!("{error}{cure}"))
    }
}

#[derive(Serialize)]
struct Body<'a> {
    error: Detail<'a>,
}

#[derive(Serialize)]
struct Detail<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<&'static str>,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'a Limit>,
    request_id: &'a str,
}

/// The error as the client reads it: `google.rpc.Status` for one that speaks OTLP protobuf, JSON
/// for everyone else.
pub(super) fn render(error: &ApiError, wants_protobuf: bool, request_id: &str) -> Response {
    let code = error.code;
    let mut response = if wants_protobuf {
        let status = protobuf::rpc_status(code.grpc(), &error.message);
        protobuf::response(code.status(), status)
    } else {
        let detail = Detail {
            code: code.as_str(),
            message: &error.message,
            field: error.field.as_deref(),
            position: error.place.map(|(at, _)| at),
            expected: error.place.map(|(_, expected)| expected),
            retryable: code.is_retryable(),
            limit: error.limit.as_deref(),
            request_id,
        };
        (code.status(), axum::Json(Body { error: detail })).into_response()
    };
    let headers = response.headers_mut();
    if code.is_retryable() {
        let seconds = error.retry_seconds.map(HeaderValue::from);
        headers.insert(RETRY_AFTER, seconds.unwrap_or(RETRY_SECONDS));
    }
    if let Some(outcome) = code.outcome() {
        headers.insert(OUTCOME, HeaderValue::from_static(outcome));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_only_503_and_429_are_retryable() {
        let names: std::collections::HashSet<_> =
            ErrorCode::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            let status = code.status().as_u16();
            assert_eq!(code.is_retryable(), matches!(status, 503 | 429));
            assert_eq!(code.outcome().is_some(), code.is_retryable(), "{code:?}");
            assert_eq!(code.grpc() == 14, status == 503, "{code:?}");
        }
    }

    /// Every way in which the engine refuses an ingest: a cure by retry is a 503, nothing is 500.
    #[test]
    fn no_engine_error_on_ingest_is_a_500() {
        for (error, outcome) in [
            (IngestError::Overloaded(Gate::Queue), Some("not-stored")),
            (IngestError::Overloaded(Gate::Merges), Some("not-stored")),
            (IngestError::Overloaded(Gate::Reads), Some("not-stored")),
            (IngestError::NoSpace, Some("not-stored")),
            (IngestError::OutcomeUnknown, Some("unknown")),
            (IngestError::Closed, Some("not-stored")),
            (IngestError::TooLarge, None),
        ] {
            let error = ApiError::from(error);
            let response = render(&error, false, "r");
            let expected = if outcome.is_some() { 503 } else { 413 };
            assert_eq!(response.status().as_u16(), expected, "{error:?}");
            let said = response.headers().get(OUTCOME).map(|v| v.to_str().unwrap());
            assert_eq!(said, outcome);
            assert_eq!(
                response.headers().contains_key(RETRY_AFTER),
                outcome.is_some()
            );
        }
    }

    #[tokio::test]
    async fn bodies() {
        let error = ApiError::parameter("limit", "limit is not a number");
        let json = body_of(render(&error, false, "r-1")).await;
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#"{"error":{"code":"invalid_request","message":"limit is not a number","field":"limit","retryable":false,"request_id":"r-1"}}"#
        );
        let response = render(&ApiError::new(ErrorCode::Overloaded, "busy"), true, "r-2");
        assert_eq!(
            response.headers()[http::header::CONTENT_TYPE],
            "application/x-protobuf"
        );
        assert_eq!(body_of(response).await, b"\x08\x0e\x12\x04busy");
    }

    async fn body_of(response: Response) -> Vec<u8> {
        axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap()
            .to_vec()
    }
}
