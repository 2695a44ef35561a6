//! The bytes of an attachment as an answer: piece by piece, never as something that a browser runs.
//!
//! A whole answer is hashed on its way, and its last piece goes out only if the hash is the blob's: damage ends
//! the connection, so that a wrong file is never taken for a right one. Of a range the hash is not known;
//! `obsrv verify` and `scrub` read everything.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Method, StatusCode};
use obsrv_engine::boundary::Object;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::no_such_blob;
use super::range::{Wish, wish};
use super::receive::refused;
use super::take::owner;
use crate::blob::reference::Reference;
use crate::blob::sniff;
use crate::http::App;
use crate::http::admission::Charge;
use crate::http::auth::Tenant;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::pieces::Pieces;
use crate::limits::{BLOB_PIECE_BYTES, BLOB_PIECES_HELD};

/// What is shown in a page runs nothing, loads nothing and is of an origin of its own.
const POLICY: &str = "default-src 'none'; style-src 'none'; sandbox; frame-ancestors 'self'";

/// Pieces that wait for a client.
const PIECES_WAITING: usize = 1;

/// The answer to a request for a blob that the trace's row refers to.
pub(super) async fn serve(
    app: &Arc<App>,
    tenant: &Tenant,
    trace_id: &str,
    reference: &Reference,
    (method, headers): (&Method, &HeaderMap),
) -> Result<Response, ApiError> {
    let blobs = Arc::clone(app.core()?.blobs()?);
    let tag = format!("\"{}\"", reference.sha256);
    let held = headers.get(IF_NONE_MATCH);
    if held
        .and_then(|v| v.to_str().ok())
        .is_some_and(|held| held.contains(&tag))
    {
        return Ok(dressed(
            StatusCode::NOT_MODIFIED.into_response(),
            reference,
            &tag,
        ));
    }
    let key = owner(tenant, trace_id)?.blob(reference.sha256);
    let open = move || blobs.store().open(&key);
    let opened = tokio::task::spawn_blocking(open).await;
    let opened = opened.map_err(|_| ApiError::new(ErrorCode::Internal, "reading was cut off"))?;
    let (object, _) = opened.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => no_such_blob(),
        _ => refused(&error),
    })?;
    let len = object.len();
    let (status, range) = match wish(headers, len, &tag) {
        Wish::Whole => (StatusCode::OK, 0..len),
        Wish::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wish::Unsatisfiable => {
            let mut answer = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            set(&mut answer, CONTENT_RANGE, &format!("bytes */{len}"));
            return Ok(dressed(answer, reference, &tag));
        }
    };
    let body = if *method == Method::HEAD {
        Body::empty()
    } else {
        let held = BLOB_PIECE_BYTES * BLOB_PIECES_HELD;
        let charge = app.admission.charge_for(tenant.project().0, held)?;
        let expected = (status == StatusCode::OK).then_some(reference.sha256.0);
        streamed(object, range.clone(), expected, charge)
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!(
            "bytes {}-{}/{len}",
            range.start,
            range.end.saturating_sub(1)
        );
        set(&mut answer, CONTENT_RANGE, &text);
    }
    let sent = range.end.saturating_sub(range.start).to_string();
    set(&mut answer, CONTENT_LENGTH, &sent);
    Ok(dressed(answer, reference, &tag))
}

fn set(answer: &mut Response, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        answer.headers_mut().insert(name, value);
    }
}

/// The answer with what keeps it from being run. The type is that of the bytes, never what a sender said.
fn dressed(mut answer: Response, reference: &Reference, tag: &str) -> Response {
    let is_shown = sniff::is_shown(&reference.content_type);
    let content_type = if is_shown {
        &reference.content_type
    } else {
        sniff::UNKNOWN
    };
    let how = if is_shown { "inline" } else { "attachment" };
    let name = reference.name.as_deref().unwrap_or(&reference.id);
    let disposition = format!("{how}; filename*=UTF-8''{}", escaped(name));
    for (header, text) in [
        (CONTENT_TYPE, content_type),
        (CONTENT_DISPOSITION, &disposition),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // A deleted trace is gone: whoever holds a copy asks again.
        (CACHE_CONTROL, "private, no-cache"),
        (ACCEPT_RANGES, "bytes"),
        (ETAG, tag),
    ] {
        set(&mut answer, header, text);
    }
    let own = HeaderName::from_static("cross-origin-resource-policy");
    set(&mut answer, own, "same-origin");
    answer
}

/// A name in the form of RFC 8187.
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Reads on a blocking thread, no further ahead than the client takes.
fn streamed(
    object: Arc<dyn Object>,
    range: Range<u64>,
    expected: Option<[u8; 32]>,
    charge: Charge,
) -> Body {
    let (sender, receiver) = mpsc::channel(PIECES_WAITING);
    tokio::spawn(async move {
        let _charge = charge;
        let mut hash = expected.map(|_| Sha256::new());
        let mut at = range.start;
        while at < range.end {
            let piece = next(&object, at, range.end).await;
            let piece = piece.and_then(|piece| {
                at += u64::try_from(piece.len()).unwrap_or(u64::MAX).max(1);
                if let Some(hash) = &mut hash {
                    hash.update(&piece);
                }
                if at < range.end {
                    return Ok(piece);
                }
                let found = hash.take().map(|hash| hash.finalize().into());
                if found == expected {
                    Ok(piece)
                } else {
                    Err(damaged())
                }
            });
            let is_over = piece.is_err();
            if let Err(error) = &piece {
                tracing::error!(%error, "attachment ended early");
            }
            // Nobody reads any more, or there is nothing more to read.
            if sender.send(piece).await.is_err() || is_over {
                return;
            }
        }
    });
    Body::new(Pieces(receiver))
}

async fn next(object: &Arc<dyn Object>, at: u64, end: u64) -> Result<Bytes, ApiError> {
    let piece = u64::try_from(BLOB_PIECE_BYTES).unwrap_or(u64::MAX);
    let (object, range) = (Arc::clone(object), at..end.min(at.saturating_add(piece)));
    let read = tokio::task::spawn_blocking(move || object.get_range(range)).await;
    read.map_err(|_| ApiError::new(ErrorCode::Internal, "reading was cut off"))?
        .map_err(|error| refused(&error))
}

fn damaged() -> ApiError {
    ApiError::new(ErrorCode::Damaged, "attachment is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_header() {
        assert_eq!(escaped("a b.png"), "a%20b.png");
        assert_eq!(escaped("\"\r\nx: y"), "%22%0D%0Ax%3A%20y");
        assert_eq!(escaped("漢"), "%E6%BC%A2");
    }
}
