//! Admission: how much of the memory budget requests in flight may hold, and how a body is read.
//!
//! A body is charged before it is read (its `Content-Length`) or as it is read (chunked), then for
//! its plain form, and once it is decoded for what its events hold: many small steps hold far more
//! than their text. The charge is held until the log has answered, and goes back when the
//! [`Charge`] is dropped, whatever happened to the request meanwhile. Nothing waits for room: no
//! room is a 503. The last quarter is for projects that hold little, so that one with many or large bodies leaves
//! room for the others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use super::error::{ApiError, ErrorCode};
use super::ingest::Place;
use crate::limits::{
    BODY_BYTES_PER_SECOND_MIN, BODY_GRACE_TIME, BODY_MEMORY_SHARE, WIRE_BYTES_MAX,
};

/// Bytes are counted in units of this many, rounded up.
const UNIT_BYTES: usize = 1024;
/// Bodies of unknown length are charged in steps of this many bytes.
const STEP_BYTES: usize = 64 << 10;

/// So much of a body is charged before it comes, if it is that large.
const AHEAD_BYTES: usize = 1 << 20;

/// One part in this many of the room is for projects that hold no more than as much.
const SPARE_SHARE: u32 = 4;
/// Holds what no project sends.
pub(super) const NOBODY: u64 = 0;

/// The room for bodies.
#[derive(Clone, Debug)]
pub struct Admission {
    held: Arc<Mutex<Held>>,
    units: u32,
    refused: Arc<AtomicU64>,
}

/// What is held, in units.
#[derive(Debug, Default)]
struct Held {
    sum: u32,
    /// No project that holds nothing.
    by_project: BTreeMap<u64, u32>,
}

/// Room that a request holds.
#[derive(Debug)]
pub struct Charge {
    project: u64,
    units: u32,
    admission: Admission,
    /// Its body's place among those that are worked on, once it has one.
    pub(super) work: Option<Place>,
}

impl Held {
    /// Whether there are so many more of `all` for a charge that holds `units`.
    fn has_room(&self, all: u32, project: u64, units: u32, more: u32) -> bool {
        let sum = self.sum.saturating_add(more);
        let own = self.by_project.get(&project).copied().unwrap_or(0);
        let spare = all / SPARE_SHARE;
        let is_alone = self.sum == units;
        sum <= all && (is_alone || sum <= all - spare || own.saturating_add(more) <= spare)
    }

    fn take(&mut self, project: u64, more: u32) {
        self.sum += more;
        *self.by_project.entry(project).or_default() += more;
    }

    fn give_back(&mut self, project: u64, units: u32) {
        self.sum = self.sum.saturating_sub(units);
        if let Some(own) = self.by_project.get_mut(&project) {
            *own = own.saturating_sub(units);
            if *own == 0 {
                self.by_project.remove(&project);
            }
        }
    }
}

impl Admission {
    /// With the share of the memory budget that is for bodies.
    pub fn new(memory_bytes: u64) -> Self {
        let unit = u64::try_from(UNIT_BYTES).unwrap_or(u64::MAX);
        let units = u32::try_from(memory_bytes / BODY_MEMORY_SHARE / unit).unwrap_or(u32::MAX);
        Self {
            held: Arc::default(),
            units,
            refused: Arc::default(),
        }
    }

    /// Bytes charged now.
    pub fn held_bytes(&self) -> u64 {
        let unit = u64::try_from(UNIT_BYTES).unwrap_or(u64::MAX);
        u64::from(self.held.lock().sum).saturating_mul(unit)
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

    /// Room for `bytes` of a project, or a 503.
    pub fn charge_for(&self, project: u64, bytes: usize) -> Result<Charge, ApiError> {
        let mut charge = Charge {
            project,
            units: 0,
            admission: self.clone(),
            work: None,
        };
        charge.grow_to(bytes)?;
        Ok(charge)
    }
}

impl Charge {
    /// Makes the charge at least `bytes`, or a 503.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), ApiError> {
        let all = self.admission.units;
        let more = self.admission.units_of(bytes).saturating_sub(self.units);
        if more == 0 {
            return Ok(());
        }
        let mut held = self.admission.held.lock();
        if !held.has_room(all, self.project, self.units, more) {
            self.admission.refused.fetch_add(1, Ordering::Relaxed);
            return Err(ApiError::new(
                ErrorCode::Overloaded,
                "no room for this body now, nothing stored gate=bodies",
            ));
        }
        held.take(self.project, more);
        self.units += more;
        Ok(())
    }

    /// Makes the charge `bytes`: less goes back, for more there must be room.
    pub fn set_to(&mut self, bytes: usize) -> Result<(), ApiError> {
        self.grow_to(bytes)?;
        let spare = self.units.saturating_sub(self.admission.units_of(bytes));
        self.admission.held.lock().give_back(self.project, spare);
        self.units -= spare;
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut held = self.admission.held.lock();
        held.give_back(self.project, self.units);
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
    project: u64,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Received, ApiError> {
    let announced = content_length(headers);
    if announced.is_some_and(|n| n > WIRE_BYTES_MAX) {
        return Err(too_large());
    }
    // A large body is charged as it comes: else one that is announced and sent slowly kept others out.
    let mut charge = admission.charge_for(project, announced.unwrap_or(0).min(AHEAD_BYTES))?;
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
        if announced.is_none_or(|n| length > n.min(AHEAD_BYTES)) {
            let step = length.next_multiple_of(STEP_BYTES);
            charge.grow_to(announced.map_or(step, |n| step.min(n)))?;
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Received {
        bytes: bytes.freeze(),
        charge,
    })
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
        let first = admission.charge_for(NOBODY, 5000).unwrap();
        assert_eq!(admission.held_bytes(), 5 * 1024);
        assert_eq!(
            admission.charge_for(NOBODY, 4096).unwrap_err().code,
            ErrorCode::Overloaded
        );
        let mut second = admission.charge_for(1, 1024).unwrap();
        assert!(second.grow_to(2 * 1024).is_ok());
        assert_eq!(
            second.grow_to(2 * 1024 + 1).unwrap_err().code,
            ErrorCode::Overloaded
        );
        assert!(second.set_to(1).is_ok());
        assert_eq!(admission.held_bytes(), (5 + 1) * 1024);
        assert!(second.set_to(2 * 1024).is_ok());
        let error = second.set_to(2 * 1024 + 1).unwrap_err();
        assert_eq!(error.code, ErrorCode::Overloaded);
        drop((first, second));
        assert_eq!((admission.held_bytes(), admission.refused()), (0, 3));
        // More than all of it runs alone.
        let all = admission.charge_for(NOBODY, 1 << 20).unwrap();
        assert_eq!(admission.held_bytes(), 8 * 1024);
        assert!(admission.charge_for(NOBODY, 1).is_err());
        drop(all);
        assert!(admission.charge_for(NOBODY, 1).is_ok());
    }

    #[test]
    fn the_last_quarter_is_for_those_who_hold_little() {
        let admission = room(16);
        let charge = |project, kib: usize| admission.charge_for(project, kib * 1024);
        let most: Vec<Charge> = (0..12).map(|_| charge(1, 1).unwrap()).collect();
        assert!(charge(1, 1).is_err());
        let little = charge(2, 3).unwrap();
        assert!(charge(2, 2).is_err());
        let last = charge(2, 1).unwrap();
        assert!(charge(3, 1).is_err(), "nothing is left");
        assert_eq!(admission.held_bytes(), 16 * 1024);
        drop((most, little, last));
        // Who holds everything alone had nobody to leave room for.
        let mut all = charge(1, 13).unwrap();
        assert!(all.grow_to(16 * 1024).is_ok());
        drop(all);
        assert!(admission.held.lock().by_project.is_empty());
    }

    #[tokio::test]
    async fn a_body_is_charged_until_it_is_dropped() {
        let admission = room(64);
        let mut body = Body::from(vec![7; 3000]);
        let received = receive(&admission, 1, &headers(3000), &mut body)
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
        let received = receive(&admission, 1, &HeaderMap::new(), &mut body)
            .await
            .unwrap();
        assert_eq!(admission.held_bytes(), 128 * 1024);
        drop(received);
        let other = admission.charge_for(NOBODY, 100 * 1024).unwrap();
        let mut body = Body::from(vec![7; 70_000]);
        let error = receive(&admission, 1, &HeaderMap::new(), &mut body)
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
            receive(&admission, 1, &headers(WIRE_BYTES_MAX), &mut body)
                .await
                .is_ok()
        );
        let mut body = Body::empty();
        let error = receive(&admission, 1, &headers(WIRE_BYTES_MAX + 1), &mut body)
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::TooLarge);
        let mut over = BytesMut::from(&full[..]);
        over.extend_from_slice(b"x");
        let mut body = Body::from(over.freeze());
        let error = receive(&admission, 1, &HeaderMap::new(), &mut body)
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::TooLarge);
    }

    #[tokio::test]
    async fn a_large_body_is_charged_as_it_comes() {
        let admission = room(4096);
        let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
        let mut body = Body::new(Silent(receiver));
        let headers = headers(3 << 20);
        let mut receiving = std::pin::pin!(receive(&admission, 1, &headers, &mut body));
        let mut poll = || {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(receiving.as_mut().poll(&mut cx).is_pending());
        };
        poll();
        assert_eq!(admission.held_bytes(), 1 << 20);
        sender.send(Bytes::from(vec![0; 2 << 20])).await.unwrap();
        poll();
        assert_eq!(admission.held_bytes(), 2 << 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_is_given_up() {
        let admission = room(64);
        let (_sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
        let mut body = Body::new(Silent(receiver));
        let began = Instant::now();
        let error = receive(&admission, 1, &headers(10), &mut body)
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
