//! Admission: how much of the memory budget requests in flight may hold, and how a body is read.
//!
//! A body is charged before it is read (its `Content-Length`) or as it is read (chunked), then for
//! its plain form, and once it is decoded for what its events hold: many small steps hold far more
//! than their text. The charge is held until the log has answered, and goes back when the
//! [`Charge`] is dropped, whatever happened to the request meanwhile. Nothing waits for room: no
//! room is a 503.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, EXPECT};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::{ApiError, ErrorCode};
use crate::limits::{
    BODY_BYTES_PER_SECOND_MIN, BODY_GRACE_TIME, BODY_MEMORY_SHARE, REFUSED_BODY_TIME_MAX,
    WIRE_BYTES_MAX,
};

/// Bytes are counted in units of this many, rounded up.
const UNIT_BYTES: usize = 1024;
/// Bodies of unknown length are charged in steps of this many bytes.
const STEP_BYTES: usize = 64 << 10;

/// The room for bodies.
#[derive(Clone, Debug)]
pub struct Admission {
    room: Arc<Semaphore>,
    units: u32,
    refused: Arc<AtomicU64>,
}

/// Room that a request holds.
#[derive(Debug)]
pub struct Charge {
    permit: OwnedSemaphorePermit,
    admission: Admission,
}

impl Admission {
    /// With the share of the memory budget that is for bodies.
    pub fn new(memory_bytes: u64) -> Self {
        let unit = u64::try_from(UNIT_BYTES).unwrap_or(u64::MAX);
        let units = u32::try_from(memory_bytes / BODY_MEMORY_SHARE / unit).unwrap_or(u32::MAX);
        let places = usize::try_from(units)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS);
        Self {
            room: Arc::new(Semaphore::new(places)),
            units,
            refused: Arc::default(),
        }
    }

    /// Bytes charged now.
    pub fn held_bytes(&self) -> u64 {
        let free = self.room.available_permits();
        let units = usize::try_from(self.units).unwrap_or(usize::MAX);
        u64::try_from(units.saturating_sub(free).saturating_mul(UNIT_BYTES)).unwrap_or(u64::MAX)
    }

    /// How often there was no room.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn units_of(&self, bytes: usize) -> u32 {
        // What alone is over the whole room gets all of it: it runs when nothing else does.
        u32::try_from(bytes.div_ceil(UNIT_BYTES))
            .unwrap_or(u32::MAX)
            .min(self.units)
    }

    fn take(&self, units: u32) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.room)
            .try_acquire_many_owned(units)
            .map_err(|_| {
                self.refused.fetch_add(1, Ordering::Relaxed);
                ApiError::new(
                    ErrorCode::Overloaded,
                    "no room for this body now, nothing stored gate=bodies",
                )
            })
    }

    /// Room for `bytes`, or a 503.
    pub fn charge(&self, bytes: usize) -> Result<Charge, ApiError> {
        let permit = self.take(self.units_of(bytes))?;
        Ok(Charge {
            permit,
            admission: self.clone(),
        })
    }
}

impl Charge {
    /// Makes the charge at least `bytes`, or a 503.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), ApiError> {
        let held = u32::try_from(self.permit.num_permits()).unwrap_or(u32::MAX);
        let more = self.admission.units_of(bytes).saturating_sub(held);
        if more > 0 {
            self.permit.merge(self.admission.take(more)?);
        }
        Ok(())
    }

    /// Makes the charge `bytes`: less goes back, for more there must be room.
    pub fn set_to(&mut self, bytes: usize) -> Result<(), ApiError> {
        self.grow_to(bytes)?;
        let units = usize::try_from(self.admission.units_of(bytes)).unwrap_or(usize::MAX);
        let spare = self.permit.num_permits().saturating_sub(units);
        drop(self.permit.split(spare));
        Ok(())
    }
}

/// A body as it came over the wire, and the room it holds.
#[derive(Debug)]
pub struct Received {
    /// The bytes.
    pub bytes: Bytes,
    /// To be dropped when the request is over.
    pub charge: Charge,
}

/// Reads a body of at most [`WIRE_BYTES_MAX`], no slower than the limits say.
pub async fn receive(
    admission: &Admission,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Received, ApiError> {
    let announced = content_length(headers);
    if announced.is_some_and(|n| n > WIRE_BYTES_MAX) {
        return Err(too_large());
    }
    let mut charge = admission.charge(announced.unwrap_or(0))?;
    // What is announced is charged; the system gives the pages as they are filled.
    let mut bytes = BytesMut::with_capacity(announced.unwrap_or(STEP_BYTES));
    let start = Instant::now();
    loop {
        let Ok(frame) = timeout_at(deadline(start, bytes.len()), body.frame()).await else {
            return Err(ApiError::new(
                ErrorCode::BodyTooSlow,
                "body came too slowly, nothing stored",
            ));
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| {
            ApiError::new(
                ErrorCode::BodyIncomplete,
                "body ended early, nothing stored",
            )
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = bytes.len().saturating_add(data.len());
        if length > WIRE_BYTES_MAX {
            return Err(too_large());
        }
        if announced.is_none() {
            charge.grow_to(length.next_multiple_of(STEP_BYTES))?;
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Received {
        bytes: bytes.freeze(),
        charge,
    })
}

/// Reads what is left of a refused body and throws it away, so that the client gets to read the
/// answer: a close with unread bytes is a reset.
///
/// A client that waits for `100 Continue` has sent nothing, and is not asked to.
pub async fn discard(headers: &HeaderMap, body: &mut Body, bytes_max: usize) {
    if headers.contains_key(EXPECT) {
        return;
    }
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

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// When more than so many bytes must have come.
pub(super) fn deadline(start: Instant, received: usize) -> Instant {
    let earned = u64::try_from(received).unwrap_or(u64::MAX) / BODY_BYTES_PER_SECOND_MIN;
    start + BODY_GRACE_TIME + Duration::from_secs(earned)
}

fn too_large() -> ApiError {
    ApiError::new(
        ErrorCode::TooLarge,
        format!("body too large max_bytes={WIRE_BYTES_MAX}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(kib: u64) -> Admission {
        Admission::new(kib * 1024 * BODY_MEMORY_SHARE)
    }

    fn headers(length: usize) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_LENGTH, length.to_string().parse().unwrap())])
    }

    #[test]
    fn room_is_bounded_and_comes_back() {
        let admission = room(8);
        let first = admission.charge(5000).unwrap();
        assert_eq!(admission.held_bytes(), 5 * 1024);
        assert_eq!(
            admission.charge(4096).unwrap_err().code,
            ErrorCode::Overloaded
        );
        let mut second = admission.charge(1024).unwrap();
        assert!(second.grow_to(3 * 1024).is_ok());
        assert_eq!(
            second.grow_to(3 * 1024 + 1).unwrap_err().code,
            ErrorCode::Overloaded
        );
        assert!(second.set_to(1).is_ok());
        assert_eq!(admission.held_bytes(), (5 + 1) * 1024);
        assert!(second.set_to(3 * 1024).is_ok());
        let error = second.set_to(3 * 1024 + 1).unwrap_err();
        assert_eq!(error.code, ErrorCode::Overloaded);
        drop((first, second));
        assert_eq!((admission.held_bytes(), admission.refused()), (0, 3));
        // More than all of it runs alone.
        let all = admission.charge(1 << 20).unwrap();
        assert_eq!(admission.held_bytes(), 8 * 1024);
        assert!(admission.charge(1).is_err());
        drop(all);
        assert!(admission.charge(1).is_ok());
    }

    #[tokio::test]
    async fn a_body_is_charged_until_it_is_dropped() {
        let admission = room(64);
        let mut body = Body::from(vec![7; 3000]);
        let received = receive(&admission, &headers(3000), &mut body)
            .await
            .unwrap();
        assert_eq!(received.bytes, vec![7; 3000]);
        assert_eq!(admission.held_bytes(), 3 * 1024);
        drop(received);
        assert_eq!(admission.held_bytes(), 0);
    }

    #[tokio::test]
    async fn a_body_of_unknown_length_is_charged_as_it_comes() {
        let admission = room(128);
        let mut body = Body::from(vec![7; 70_000]);
        let received = receive(&admission, &HeaderMap::new(), &mut body)
            .await
            .unwrap();
        assert_eq!(admission.held_bytes(), 128 * 1024);
        drop(received);
        let other = admission.charge(100 * 1024).unwrap();
        let mut body = Body::from(vec![7; 70_000]);
        let error = receive(&admission, &HeaderMap::new(), &mut body)
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Overloaded);
        drop(other);
        assert_eq!(admission.held_bytes(), 0);
    }

    #[tokio::test]
    async fn the_wire_limit_holds_at_the_byte() {
        let admission = room(1 << 20);
        let full = Bytes::from(vec![0; WIRE_BYTES_MAX]);
        let mut body = Body::from(full.clone());
        assert!(
            receive(&admission, &headers(WIRE_BYTES_MAX), &mut body)
                .await
                .is_ok()
        );
        let mut body = Body::empty();
        let error = receive(&admission, &headers(WIRE_BYTES_MAX + 1), &mut body)
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::TooLarge);
        let mut over = BytesMut::from(&full[..]);
        over.extend_from_slice(b"x");
        let mut body = Body::from(over.freeze());
        let error = receive(&admission, &HeaderMap::new(), &mut body)
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::TooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_is_given_up() {
        let admission = room(64);
        let (_sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
        let mut body = Body::new(Silent(receiver));
        let began = Instant::now();
        let error = receive(&admission, &headers(10), &mut body)
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::BodyTooSlow);
        assert_eq!(began.elapsed().as_secs(), BODY_GRACE_TIME.as_secs());
        assert_eq!(admission.held_bytes(), 0);
    }

    struct Silent(tokio::sync::mpsc::Receiver<Bytes>);

    impl http_body::Body for Silent {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
            self.0
                .poll_recv(cx)
                .map(|data| data.map(|d| Ok(http_body::Frame::data(d))))
        }
    }
}
