//! The few protobuf messages that the server writes, by hand.
//!
//! ```text
//! google.rpc.Status          { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3; }
//! google.protobuf.Any        { string type_url = 1; bytes value = 2; }
//! google.rpc.RetryInfo       { google.protobuf.Duration retry_delay = 1; }
//! google.protobuf.Duration   { int64 seconds = 1; }
//! ExportTraceServiceResponse { ExportTracePartialSuccess partial_success = 1; }
//! ExportTracePartialSuccess  { int64 rejected_spans = 1; string error_message = 2; }
//! ```
//!
//! The responses of logs and metrics have the same numbers.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};

/// The content type of OTLP over HTTP in its binary form.
pub(crate) const CONTENT_TYPE_PROTOBUF: &str = "application/x-protobuf";

/// A response with a protobuf body.
pub(crate) fn response(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static(CONTENT_TYPE_PROTOBUF),
    );
    response
}

/// A `google.rpc.Status`.
pub(crate) fn rpc_status(code: u32, message: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 8);
    put_number(&mut out, 1, u64::from(code));
    put_bytes(&mut out, 2, message.as_bytes());
    out
}

/// The same, saying after how many seconds to come back.
pub(crate) fn rpc_status_details(code: u32, message: &str, retry_seconds: Option<u64>) -> Vec<u8> {
    let mut out = rpc_status(code, message);
    if let Some(seconds) = retry_seconds {
        let (mut delay, mut info, mut any) = (Vec::new(), Vec::new(), Vec::new());
        put_number(&mut delay, 1, seconds);
        put_bytes(&mut info, 1, &delay);
        put_bytes(&mut any, 1, b"type.googleapis.com/google.rpc.RetryInfo");
        put_bytes(&mut any, 2, &info);
        put_bytes(&mut out, 3, &any);
    }
    out
}

/// Code and message of a `google.rpc.Status` that [`rpc_status`] wrote; 0 if it is none.
pub(crate) fn read_rpc_status(body: &[u8]) -> (u32, String) {
    let found = match body {
        [0x08, code @ ..0x80, rest @ ..] => Some((u32::from(*code), rest)),
        _ => None,
    };
    let Some((code, rest)) = found else {
        return (0, String::new());
    };
    let message = match rest {
        [0x12, text @ ..] => {
            let start = text.iter().position(|byte| *byte < 0x80);
            start.and_then(|at| text.get(at + 1..)).unwrap_or_default()
        }
        _ => &[],
    };
    (code, String::from_utf8_lossy(message).into_owned())
}

/// An `ExportTraceServiceResponse`; empty when nothing was rejected.
pub(crate) fn export_response(rejected: u64, message: &str) -> Vec<u8> {
    let mut out = Vec::new();
    if rejected > 0 {
        let mut partial = Vec::with_capacity(message.len() + 8);
        put_number(&mut partial, 1, rejected);
        put_bytes(&mut partial, 2, message.as_bytes());
        put_bytes(&mut out, 1, &partial);
    }
    out
}

fn put_number(out: &mut Vec<u8>, field: u64, value: u64) {
    put_varint(out, field << 3);
    put_varint(out, value);
}

pub(super) fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(
        out,
        u64::try_from(bytes.len()).expect("BUG: usize over 64 bits"),
    );
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_specification() {
        assert_eq!(rpc_status(3, "ab"), b"\x08\x03\x12\x02ab");
        assert_eq!(export_response(0, "ignored"), b"");
        let long = "x".repeat(300);
        for message in ["", "ab", &long] {
            let bytes = rpc_status(14, message);
            assert_eq!(read_rpc_status(&bytes), (14, message.to_owned()));
        }
        assert_eq!(read_rpc_status(b"{}").0, 0);
        let info = b"\x08\x08\x12\x01b\x1a\x32\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x06\x0a\x04\x08\x80\x9a\x01";
        let with = rpc_status_details(8, "b", Some(19_712));
        assert_eq!(with[..5], info[..5]);
        assert!(with.ends_with(b"\x08\x80\x9a\x01"));
        assert_eq!(
            export_response(300, "no"),
            b"\x0a\x07\x08\xac\x02\x12\x02no"
        );
    }
}
