//! OTLP over gRPC: unary calls, turned into the requests of OTLP over HTTP and back, so that keys, limits,
//! admission and answers are the same.
//!
//! ```text
//! request   content-type application/grpc, one message: compressed u8, length u32 big-endian, bytes
//! response  200, one message, then trailers: grpc-status, grpc-message, grpc-status-details-bin
//! ```
//!
//! Reads five bytes of a body before it knows who asks, within [`BODY_GRACE_TIME`]; the rest goes through as
//! it comes.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, TE,
};
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio::time::timeout;

use super::{App, protobuf};
use crate::limits::BODY_GRACE_TIME;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Bytes before a message.
const PREFIX_BYTES: usize = 5;
/// Most bytes of an answer of a route.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// The methods, and the routes that do the work.
const METHODS: [(&str, &str); 3] = [
    (
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        "/v1/traces",
    ),
    (
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        "/v1/logs",
    ),
    (
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        "/v1/metrics",
    ),
];

/// Numbers of `google.rpc.Code`.
mod code {
    pub(super) const OK: u32 = 0;
    pub(super) const INVALID_ARGUMENT: u32 = 3;
    pub(super) const NOT_FOUND: u32 = 5;
    pub(super) const RESOURCE_EXHAUSTED: u32 = 8;
    pub(super) const UNIMPLEMENTED: u32 = 12;
    pub(super) const INTERNAL: u32 = 13;
    pub(super) const UNAVAILABLE: u32 = 14;
}

/// The services, on an address of their own, over the routes of `app`.
pub(crate) fn build(app: Arc<App>) -> Router {
    let routes = super::build(app);
    let mut router = Router::new();
    for (method, _) in METHODS {
        router = router.route(method, axum::routing::post(call));
    }
    router.fallback(unknown).with_state(routes)
}

/// What a call comes to if it fails.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Failed {
    code: u32,
    message: String,
    retry_seconds: Option<u64>,
}

impl Failed {
    fn new(code: u32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_seconds: None,
        }
    }
}

async fn unknown(request: Request) -> Response {
    if !is_grpc(request.headers()) {
        return not_grpc();
    }
    ended(Err(Failed::new(code::UNIMPLEMENTED, "no such method")))
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("");
    let essence = value.split(';').next().unwrap_or("").trim();
    matches!(essence, "application/grpc" | "application/grpc+proto")
}

fn not_grpc() -> Response {
    let mut response = Response::new(Body::from(
        "this address speaks gRPC; OTLP over HTTP has its own",
    ));
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
}

/// One call.
async fn call(State(routes): State<Router>, request: Request) -> Response {
    if !is_grpc(request.headers()) {
        return not_grpc();
    }
    let request = match as_http(request).await {
        Ok(request) => request,
        Err(failed) => return ended(Err(failed)),
    };
    let response: Result<Response, Infallible> =
        TowerToHyperService::new(routes).call(request).await;
    let Ok(response) = response;
    ended(as_message(response).await)
}

/// The request of the route that does the work.
async fn as_http(request: Request) -> Result<Request, Failed> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path();
    let route = METHODS.iter().find(|(method, _)| *method == path);
    let (_, route) = route.ok_or_else(|| Failed::new(code::UNIMPLEMENTED, "no such method"))?;
    let (mut message, mut body) = (Message::default(), body);
    let prefix = timeout(BODY_GRACE_TIME, message.begin(&mut body)).await;
    let slow = |_| Failed::new(code::UNAVAILABLE, "body came too slowly");
    let Prefix { compressed, bytes } = prefix.map_err(slow)??;
    let encoding = parts.headers.remove(GRPC_ENCODING);
    parts.headers.remove(CONTENT_ENCODING);
    parts.headers.remove(TE);
    if compressed {
        let named = encoding.filter(|e| e.as_bytes() != b"identity");
        let missing = || Failed::new(code::INTERNAL, "compressed message without grpc-encoding");
        parts
            .headers
            .insert(CONTENT_ENCODING, named.ok_or_else(missing)?);
    }
    parts
        .headers
        .insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    let protobuf = HeaderValue::from_static(protobuf::CONTENT_TYPE_PROTOBUF);
    parts.headers.insert(CONTENT_TYPE, protobuf);
    parts.method = Method::POST;
    parts.uri = Uri::from_static(route);
    message.rest = body;
    Ok(Request::from_parts(parts, Body::new(message)))
}

/// What stands before a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Prefix {
    compressed: bool,
    bytes: u32,
}

/// The one message of a request as a body: what comes after the prefix, and no more.
#[derive(Debug, Default)]
struct Message {
    /// Bytes that came with the prefix.
    begun: BytesMut,
    rest: Body,
    /// Bytes that are still to come.
    left: usize,
}

impl Message {
    async fn begin(&mut self, body: &mut Body) -> Result<Prefix, Failed> {
        while self.begun.len() < PREFIX_BYTES {
            let data = match body.frame().await {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(_)) => return Err(Failed::new(code::UNAVAILABLE, "body ended early")),
                None => {
                    return Err(Failed::new(
                        code::INTERNAL,
                        "a call has one message, none came",
                    ));
                }
            };
            self.begun.extend_from_slice(&data);
        }
        let flag = self.begun.get_u8();
        let bytes = self.begun.get_u32();
        self.left = usize::try_from(bytes).unwrap_or(usize::MAX);
        if flag > 1 {
            return Err(Failed::new(
                code::INTERNAL,
                "flag of a message is neither 0 nor 1",
            ));
        }
        Ok(Prefix {
            compressed: flag == 1,
            bytes,
        })
    }
}

impl http_body::Body for Message {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        loop {
            let data = if self.begun.is_empty() {
                match std::task::ready!(Pin::new(&mut self.rest).poll_frame(cx)) {
                    Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                    Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                    None if self.left > 0 => {
                        return Poll::Ready(Some(Err("message cut short".into())));
                    }
                    None => return Poll::Ready(None),
                }
            } else {
                self.begun.split().freeze()
            };
            if data.len() > self.left {
                return Poll::Ready(Some(Err("a call has one message".into())));
            }
            self.left -= data.len();
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }
}

/// The message of a route's answer, or what went wrong.
async fn as_message(response: Response) -> Result<Bytes, Failed> {
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, ANSWER_BYTES_MAX).await;
    let body = body.map_err(|_| Failed::new(code::INTERNAL, "answer does not read"))?;
    if parts.status == StatusCode::OK {
        return Ok(body);
    }
    let (number, message) = protobuf::read_rpc_status(&body);
    let code = match (parts.status, number) {
        // An encoding that nobody speaks; the answer says which are spoken.
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, _) => code::UNIMPLEMENTED,
        // Clients give up on this one unless they are told when to come back.
        (StatusCode::UNPROCESSABLE_ENTITY, _) => code::INVALID_ARGUMENT,
        (StatusCode::NOT_FOUND, _) => code::NOT_FOUND,
        (_, 0) => code::INTERNAL,
        (_, number) => number,
    };
    let retry = parts.headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok());
    let is_retryable = matches!(code, code::UNAVAILABLE | code::RESOURCE_EXHAUSTED);
    let seconds = || retry.and_then(|s| s.parse().ok()).unwrap_or(1);
    Err(Failed {
        code,
        message,
        retry_seconds: is_retryable.then(seconds),
    })
}

/// The response of a call.
fn ended(outcome: Result<Bytes, Failed>) -> Response {
    let (message, failed) = match outcome {
        Ok(message) => (Some(message), None),
        Err(failed) => (None, Some(failed)),
    };
    let mut trailers = HeaderMap::new();
    let number = failed.as_ref().map_or(code::OK, |failed| failed.code);
    trailers.insert(GRPC_STATUS, HeaderValue::from(number));
    if let Some(failed) = &failed {
        let text = HeaderValue::try_from(percent_encoded(&failed.message));
        trailers.insert(
            GRPC_MESSAGE,
            text.expect("BUG: percent-encoded text is no header"),
        );
        let details =
            protobuf::rpc_status_details(failed.code, &failed.message, failed.retry_seconds);
        let details = HeaderValue::try_from(STANDARD_NO_PAD.encode(details));
        trailers.insert(GRPC_DETAILS, details.expect("BUG: base64 is no header"));
    }
    let mut response = if let Some(message) = message {
        let trailers = std::future::ready(Some(Ok(trailers)));
        Response::new(Body::new(
            Full::new(framed(&message)).with_trailers(trailers),
        ))
    } else {
        // No message: what would be trailers are the headers.
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = trailers;
        response
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let spoken = HeaderValue::from_static("identity,gzip,deflate,zstd");
    headers.insert(GRPC_ACCEPT_ENCODING, spoken);
    response
}

/// A message with its prefix.
fn framed(message: &Bytes) -> Bytes {
    let mut out = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    out.put_u8(0);
    out.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(message);
    out.freeze()
}

/// Text as `grpc-message` has it.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            _ => {
                // Writing to a string does not fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
