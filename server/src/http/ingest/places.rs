//! Places in the work on bodies: what [`super::turns`] decides, with those who wait for it.
//!
//! Owns the turns and the senders of those who wait behind one mutex, which is never held while anybody is woken.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::turns::{Asked, Bounds, Ticket, Turns};
use crate::http::error::{ApiError, ErrorCode};

#[derive(Debug)]
struct Inner {
    turns: Turns,
    wake: HashMap<Ticket, oneshot::Sender<Place>>,
    refused: u64,
}

/// All places.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Mutex<Inner>>);

/// A place; dropping it lets the next body have it.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    ticket: Ticket,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places
            .change(|inner| ((), inner.turns.done(self.ticket)));
    }
}

/// Leaves the queue when dropped.
struct Waiting<'p> {
    places: &'p Places,
    ticket: Ticket,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.places.change(|inner| {
            inner.wake.remove(&self.ticket);
            ((), inner.turns.leave(self.ticket))
        });
    }
}

impl Places {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            turns: Turns::new(bounds),
            wake: HashMap::new(),
            refused: 0,
        })))
    }

    /// Changes the turns, and wakes those who begin by that.
    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> (T, Vec<Ticket>)) -> T {
        let (outcome, next) = {
            let mut inner = self.0.lock();
            let (outcome, begun) = change(&mut inner);
            let next = begun.into_iter().filter_map(|ticket| {
                let wake = inner.wake.remove(&ticket)?;
                Some((ticket, wake))
            });
            (outcome, next.collect::<Vec<_>>())
        };
        for (ticket, wake) in next {
            // Whoever is gone in this moment drops it in turn.
            drop(wake.send(self.place(ticket)));
        }
        outcome
    }

    fn place(&self, ticket: Ticket) -> Place {
        Place {
            places: self.clone(),
            ticket,
        }
    }

    /// A place for a body of a project, waiting for it no longer than that. Whoever drops this leaves the queue at once.
    pub(super) async fn enter(
        &self,
        project: u64,
        bytes: usize,
        patience: Duration,
    ) -> Result<Place, ApiError> {
        let (ticket, woken) = self.change(|inner| {
            let (asked, begun) = inner.turns.ask(project, bytes);
            let outcome = match asked {
                Asked::Runs(ticket) => Ok((ticket, None)),
                Asked::Full => Err(refuse(inner)),
                Asked::Waits(ticket) => {
                    let (wake, woken) = oneshot::channel();
                    inner.wake.insert(ticket, wake);
                    Ok((ticket, Some(woken)))
                }
            };
            (outcome, begun)
        })?;
        let Some(woken) = woken else {
            return Ok(self.place(ticket));
        };
        let waiting = Waiting {
            places: self,
            ticket,
        };
        let woken = timeout(patience, woken).await;
        drop(waiting);
        match woken {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(refuse(&mut self.0.lock())),
        }
    }

    /// How many were refused, ever.
    pub(crate) fn refused(&self) -> u64 {
        self.0.lock().refused
    }

    /// What is in work, in bytes, and how many bodies wait.
    pub(crate) fn held(&self) -> (u64, usize) {
        let inner = self.0.lock();
        (inner.turns.work(), inner.turns.waiting())
    }
}

fn refuse(inner: &mut Inner) -> ApiError {
    inner.refused += 1;
    let message = "too many bodies wait, nothing stored gate=turns";
    ApiError::new(ErrorCode::Overloaded, message)
}

#[cfg(test)]
mod tests {
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    /// Two bodies of one project at once.
    const TWO: Bounds = Bounds {
        work: 2 << 10,
        waiting: 2,
        waiting_per_project: 2,
    };
    const LONG: Duration = Duration::from_hours(1);

    async fn begin<T>(mut waiting: std::pin::Pin<&mut impl Future<Output = T>>) {
        let begun = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending()));
        assert!(begun.await, "did not wait");
    }

    async fn all(places: &Places) -> Vec<Place> {
        let mut all = Vec::new();
        for _ in 0..2 {
            all.push(places.enter(1, 0, LONG).await.unwrap());
        }
        all
    }

    #[tokio::test]
    async fn a_body_in_work_lets_the_next_of_its_project_begin() {
        let places = Places::new(TWO);
        let mut work = all(&places).await;
        let mut next = pin!(places.enter(1, 0, LONG));
        begin(next.as_mut()).await;
        // The other project does not wait for it.
        drop(places.enter(2, 0, LONG).await.unwrap());
        assert_eq!(places.held().1, 1);
        // It is there, so the first has less room than before.
        work.clear();
        let next = next.await.unwrap();
        assert_eq!(places.held().1, 0);
        drop(next);
        assert_eq!(places.held(), (0, 0));
    }

    #[tokio::test]
    async fn whoever_goes_away_leaves_nothing_behind() {
        let places = Places::new(TWO);
        let mut work = all(&places).await;
        {
            let mut gone = pin!(places.enter(1, 0, LONG));
            begin(gone.as_mut()).await;
            let mut given = pin!(places.enter(1, 0, LONG));
            begin(given.as_mut()).await;
            // The first of them is given the place and never looks.
            work.pop();
            assert_eq!(places.held().1, 1);
        }
        drop(work);
        assert_eq!(places.held(), (0, 0));
        assert_eq!(places.refused(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_asked_nor_in_a_full_queue() {
        let places = Places::new(TWO);
        let work = all(&places).await;
        let began = tokio::time::Instant::now();
        let second = Duration::from_secs(1);
        let late = places.enter(1, 0, second).await.unwrap_err();
        assert_eq!(
            (late.code, began.elapsed()),
            (ErrorCode::Overloaded, second)
        );
        let mut waiting = [
            Box::pin(places.enter(1, 0, LONG)),
            Box::pin(places.enter(1, 0, LONG)),
        ];
        for one in &mut waiting {
            begin(one.as_mut()).await;
        }
        let full = places.enter(1, 0, LONG).await.unwrap_err();
        assert!(full.message.contains("gate=turns"), "{}", full.message);
        assert_eq!(places.refused(), 2);
        drop((work, waiting));
        assert_eq!(places.held(), (0, 0));
    }
}
