//! What a handler leaves of a body is read behind it, whatever route it was and whatever it answered.
//!
//! A connection with bytes on it that nobody read has to be closed, and it depends on how fast these come whether it is. Who
//! sends the next request on it finds it closed without an answer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::header::EXPECT;
use http::{Extensions, Request};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use tokio::time::timeout;

use super::error::ErrorCode;
use crate::limits::{REFUSED_BODY_BYTES_MAX, REFUSED_BODY_TIME_MAX, UNKNOWN_BODY_BYTES_MAX};

/// A body of which the rest is kept when it is dropped.
#[derive(Debug)]
struct Kept {
    body: Body,
    rest: Rest,
}

/// The rest of a body, once nobody reads it any more.
#[derive(Clone, Debug)]
pub(super) struct Rest(Arc<Left>);

#[derive(Debug)]
struct Left {
    body: Mutex<Option<Body>>,
    /// How much of it is read.
    bytes_max: AtomicUsize,
}

/// Lets the rest of a request's body be read after its handler; none if there is nothing to read, or if the client waits to be
/// asked for it.
pub(super) fn watch(request: Request<Body>) -> (Request<Body>, Option<Rest>) {
    if request.body().is_end_stream() || request.headers().contains_key(EXPECT) {
        return (request, None);
    }
    let rest = Rest(Arc::new(Left {
        body: Mutex::default(),
        bytes_max: AtomicUsize::new(UNKNOWN_BODY_BYTES_MAX),
    }));
    let of_it = rest.clone();
    let mut watched = request.map(|body| Body::new(Kept { body, rest: of_it }));
    watched.extensions_mut().insert(rest.clone());
    (watched, Some(rest))
}

/// Says that whoever sent the request is known: more of its body is read.
pub(super) fn is_known(extensions: &Extensions) {
    if let Some(Rest(left)) = extensions.get::<Rest>() {
        left.bytes_max
            .store(REFUSED_BODY_BYTES_MAX, Ordering::Relaxed);
    }
}

impl Rest {
    /// Reads it and throws it away, as far as the limits say, so that the client gets to read the answer: a close with
    /// unread bytes is a reset.
    pub(super) async fn discard(self, said: Option<ErrorCode>) {
        let Some(mut body) = self.0.body.lock().take() else {
            return;
        };
        let bytes_max = match said {
            // What comes too slowly or has ended is not worth more time.
            Some(ErrorCode::BodyTooSlow | ErrorCode::BodyIncomplete) => return,
            // Who sends too much is not to send more by being refused.
            Some(ErrorCode::RateLimited | ErrorCode::QuotaExceeded) => UNKNOWN_BODY_BYTES_MAX,
            _ => self.0.bytes_max.load(Ordering::Relaxed),
        };
        let read = async {
            let mut left = bytes_max;
            while let Some(Ok(frame)) = body.frame().await {
                let length = frame.data_ref().map_or(0, Bytes::len);
                let Some(rest) = left.checked_sub(length) else {
                    return;
                };
                left = rest;
            }
        };
        // Out of time is like out of bytes: the connection closes.
        let _ = timeout(REFUSED_BODY_TIME_MAX, read).await;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            *self.rest.0.body.lock() = Some(std::mem::take(&mut self.body));
        }
    }
}

impl http_body::Body for Kept {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use futures_util::{StreamExt, stream};
    use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
    use http::{Method, StatusCode};
    use tokio::time::Instant;
    use tower::ServiceExt;

    use super::super::tests::{JSON, Said, World, ask, post, world};
    use super::super::{build, routes};
    use super::*;
    use crate::limits::{BLOB_NAME_BYTES_MAX, BODY_BYTES_PER_SECOND_MIN, BODY_GRACE_TIME};

    const PIECE_BYTES: usize = 64 << 10;

    /// A body of so many pieces, of which it is counted what was taken. It may not end.
    fn body(pieces: usize, ends: bool, taken: &Arc<AtomicUsize>) -> Body {
        let taken = Arc::clone(taken);
        let pieces = stream::iter(0..pieces).map(move |_| {
            taken.fetch_add(PIECE_BYTES, Ordering::Relaxed);
            Ok::<_, Infallible>(Bytes::from(vec![b' '; PIECE_BYTES]))
        });
        if ends {
            Body::from_stream(pieces)
        } else {
            Body::from_stream(pieces.chain(stream::pending()))
        }
    }

    /// How many bytes of so many pieces are taken by a request.
    async fn taken(path: &str, expect: bool, pieces: usize) -> (StatusCode, usize) {
        let world = world().await;
        let taken = Arc::default();
        let mut request = post(path, "key-of-a", JSON, body(pieces, true, &taken));
        if expect {
            let headers = request.headers_mut();
            headers.insert(EXPECT, "100-continue".parse().unwrap());
        }
        let said = ask(&world.app, request).await;
        (said.status, taken.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn what_no_handler_reads_is_read_behind_it_up_to_a_limit() {
        let most = UNKNOWN_BODY_BYTES_MAX / PIECE_BYTES;
        for (path, status) in [
            ("/nowhere", 404),
            ("//v1/traces", 404),
            ("/ready", 405),
            ("/v1/imports/csv", 400),
        ] {
            for pieces in [1, most] {
                let (said, bytes) = taken(path, false, pieces).await;
                assert_eq!(
                    (said.as_u16(), bytes),
                    (status, pieces * PIECE_BYTES),
                    "{path}"
                );
            }
        }
        // One above it, and no more.
        let (_, bytes) = taken("/nowhere", false, 2 * most).await;
        assert_eq!(bytes, UNKNOWN_BODY_BYTES_MAX + PIECE_BYTES);
        let (_, bytes) = taken("/nowhere", true, most).await;
        assert_eq!(bytes, 0, "a client that waits to be asked");
    }

    /// Routes that nobody has thought of, too: with a key and without one.
    #[tokio::test]
    async fn no_route_leaves_anything_of_a_body_that_is_not_too_long() {
        let world = world().await;
        let router = build(Arc::clone(&world.app));
        let mut left = Vec::new();
        for route in routes(&world.app).table() {
            for key in ["", "key-of-a"] {
                let taken = Arc::default();
                let all = body(UNKNOWN_BODY_BYTES_MAX / PIECE_BYTES, true, &taken);
                let mut request = post(&route.path, key, JSON, all);
                *request.method_mut() = route.method.clone();
                // Some answers go on for ever: they are not read.
                let status = router.clone().oneshot(request).await.unwrap().status();
                let bytes = taken.load(Ordering::Relaxed);
                if bytes != UNKNOWN_BODY_BYTES_MAX {
                    let (method, path) = (&route.method, &route.path);
                    left.push(format!("{method} {path} key={key} {status}: {bytes}"));
                }
            }
        }
        assert!(left.is_empty(), "{left:#?}");
    }

    /// How long an answer takes to a request of which the body stops in the middle, by a clock that runs only while nothing else does.
    async fn waited(world: &World, request: Request<Body>) -> (Said, Duration) {
        tokio::time::pause();
        let began = Instant::now();
        let said = ask(&world.app, request).await;
        let took = began.elapsed();
        tokio::time::resume();
        (said, took)
    }

    fn stops(method: Method, path: &str, key: &str, head: &[(HeaderName, &str)]) -> Request<Body> {
        let mut request = post(path, key, JSON, body(1, false, &Arc::default()));
        *request.method_mut() = method;
        for (name, value) in head {
            let value = value.parse().unwrap();
            request.headers_mut().insert(name, value);
        }
        request
    }

    /// A timer of tokio's is late by up to a millisecond.
    fn assert_waited(took: Duration, expected: Duration, what: &str) {
        let late = took.checked_sub(expected);
        assert!(
            late.is_some_and(|late| late < Duration::from_millis(10)),
            "{what}: {took:?}"
        );
    }

    #[tokio::test]
    async fn who_is_refused_waits_for_the_rest_of_a_slow_body_once() {
        let world = world().await;
        for (method, path, status) in [
            (Method::POST, "/nowhere", 404),
            (Method::POST, "/v1/traces", 401),
            (Method::GET, "/v1/traces", 401),
            (Method::POST, "/csp-report", 204),
            (Method::POST, "/v1/auth/signin", 403),
            (Method::POST, "/v1/auth/signout", 401),
            (Method::POST, "/v1/auth/password", 401),
            (Method::GET, "/v1/auth/me", 401),
        ] {
            let (said, took) = waited(&world, stops(method, path, "", &[])).await;
            assert_eq!(
                said.status,
                status,
                "{path}: {}",
                String::from_utf8_lossy(&said.body)
            );
            assert_waited(took, REFUSED_BODY_TIME_MAX, path);
        }
        let long = (CONTENT_LENGTH, "1000000000");
        let form = (CONTENT_TYPE, "multipart/form-data; boundary=x");
        let name = format!(
            "/v1/media/upload?name={}",
            "a".repeat(BLOB_NAME_BYTES_MAX + 1)
        );
        for (method, path, head, status) in [
            (Method::POST, "/v1/traces", (CONTENT_ENCODING, "br"), 415),
            (Method::POST, "/v1/traces", long.clone(), 413),
            (Method::POST, "/runs/multipart", long.clone(), 413),
            (Method::POST, "/v1/projects/1/redaction/preview", long, 413),
            (Method::POST, &name, form, 400),
        ] {
            let (said, took) = waited(&world, stops(method, path, "key-of-a", &[head])).await;
            assert_eq!(
                said.status,
                status,
                "{path}: {}",
                String::from_utf8_lossy(&said.body)
            );
            assert_waited(took, REFUSED_BODY_TIME_MAX, path);
        }
    }

    #[tokio::test]
    async fn what_came_too_slowly_is_not_waited_for_again() {
        let world = world().await;
        let earned = Duration::from_secs(PIECE_BYTES as u64 / BODY_BYTES_PER_SECOND_MIN);
        let form = (CONTENT_TYPE, "multipart/form-data; boundary=x");
        for (path, head) in [
            ("/v1/traces", &[][..]),
            ("/runs/multipart", &[form]),
            ("/v1/projects/1/redaction/preview", &[]),
            ("/v1/media/upload", &[]),
        ] {
            let (said, took) = waited(&world, stops(Method::POST, path, "key-of-a", head)).await;
            assert_eq!(
                said.status,
                StatusCode::SERVICE_UNAVAILABLE,
                "{path}: {}",
                String::from_utf8_lossy(&said.body)
            );
            assert_waited(took, BODY_GRACE_TIME + earned, path);
        }
    }

    #[tokio::test]
    async fn more_is_read_of_what_somebody_sent_who_is_known() {
        let pieces = 2 * UNKNOWN_BODY_BYTES_MAX / PIECE_BYTES;
        let world = world().await;
        for (key, bytes) in [
            ("key-of-a", pieces * PIECE_BYTES),
            ("", UNKNOWN_BODY_BYTES_MAX + PIECE_BYTES),
        ] {
            let taken = Arc::default();
            let mut request = post("/v1/traces", key, JSON, body(pieces, true, &taken));
            let encoding = "br".parse().unwrap();
            request.headers_mut().insert(CONTENT_ENCODING, encoding);
            ask(&world.app, request).await;
            assert_eq!(taken.load(Ordering::Relaxed), bytes, "key={key}");
        }
    }
}
