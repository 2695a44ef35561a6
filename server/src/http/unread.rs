//! What a handler leaves of a body is read behind it, whatever route it was and whatever it answered.
//!
//! A connection with bytes on it that nobody read has to be closed, and it depends on how fast these come whether it is. Who
//! sends the next request on it finds it closed without an answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::header::EXPECT;
use http::{HeaderMap, Request};
use http_body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;

use super::admission;
use crate::limits::UNKNOWN_BODY_BYTES_MAX;

/// A body of which the rest is kept when it is dropped.
#[derive(Debug)]
struct Kept {
    body: Body,
    rest: Rest,
}

/// The rest of a body, once nobody reads it any more.
#[derive(Clone, Debug, Default)]
pub(super) struct Rest(Arc<Mutex<Option<Body>>>);

/// Lets the rest of a request's body be read after its handler; none if there is nothing to read, or if the client waits to be
/// asked for it.
pub(super) fn watch(request: Request<Body>) -> (Request<Body>, Option<Rest>) {
    if request.body().is_end_stream() || request.headers().contains_key(EXPECT) {
        return (request, None);
    }
    let rest = Rest::default();
    let of_it = rest.clone();
    let watched = request.map(|body| Body::new(Kept { body, rest }));
    (watched, Some(of_it))
}

impl Rest {
    /// Reads it, as far as the limits say.
    pub(super) async fn discard(self) {
        let left = self.0.lock().take();
        if let Some(mut left) = left {
            admission::discard(&HeaderMap::new(), &mut left, UNKNOWN_BODY_BYTES_MAX).await;
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            *self.rest.0.lock() = Some(std::mem::take(&mut self.body));
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::StatusCode;

    use super::super::tests::{JSON, ask, post, world};
    use super::*;

    /// A body in pieces of which it is counted what was taken.
    struct Pieces {
        left: usize,
        taken: Arc<AtomicUsize>,
    }

    const PIECE_BYTES: usize = 64 << 10;

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = axum::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
            if self.left == 0 {
                return Poll::Ready(None);
            }
            self.left -= 1;
            self.taken.fetch_add(PIECE_BYTES, Ordering::Relaxed);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b' '; PIECE_BYTES])))))
        }

        fn is_end_stream(&self) -> bool {
            self.left == 0
        }
    }

    /// How many bytes of so many pieces are taken by a request.
    async fn taken(path: &str, expect: bool, pieces: usize) -> (StatusCode, usize) {
        let world = world().await;
        let taken = Arc::<AtomicUsize>::default();
        let mut request = post(path, "key-of-a", JSON, "").map(|_| {
            Body::new(Pieces {
                left: pieces,
                taken: Arc::clone(&taken),
            })
        });
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
}
