//! The two protobuf messages that the server writes, by hand.
//!
//! ```text
//! google.rpc.Status          { int32 code = 1; string message = 2; }
//! ExportTraceServiceResponse { ExportTracePartialSuccess partial_success = 1; }
//! ExportTracePartialSuccess  { int64 rejected_spans = 1; string error_message = 2; }
//! ```

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

fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
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
        assert_eq!(
            export_response(300, "no"),
            b"\x0a\x07\x08\xac\x02\x12\x02no"
        );
    }
}
