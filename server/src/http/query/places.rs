//! Places for questions: what [`super::turns`] decides, with those who wait for it.
//!
//! Owns the scheduler and the senders of those who wait behind one mutex, which is never held while anybody is woken.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use obsrv_engine::query::Class;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::turns::{Asked, BOUNDS, Bounds, Full, Ticket, Turns, at};

/// Why a question was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It may not wait.
    Full(Full),
    /// It waited for so long.
    TooLong(Duration),
}

impl Refused {
    /// In metrics.
    pub(crate) const REASONS: [&'static str; 3] = ["project_queue", "queue", "wait"];

    const fn at(self) -> usize {
        match self {
            Self::Full(Full::OfProject(_)) => 0,
            Self::Full(Full::OfAll(_)) => 1,
            Self::TooLong(_) => 2,
        }
    }
}

/// What there is of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gauges {
    pub(crate) class: Class,
    pub(crate) running: usize,
    pub(crate) waiting: usize,
    /// Ever, by [`Refused::REASONS`].
    pub(crate) refused: [u64; Refused::REASONS.len()],
    pub(crate) bounds: Bounds,
}

#[derive(Debug)]
struct Inner {
    turns: Turns,
    wake: HashMap<Ticket, oneshot::Sender<Place>>,
    refused: [[u64; Refused::REASONS.len()]; Class::ALL.len()],
}

/// All places.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Mutex<Inner>>);

/// A place; dropping it lets the next question have it.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    class: Class,
}

impl Drop for Place {
    fn drop(&mut self) {
        let next = {
            let mut inner = self.places.0.lock();
            let next = inner.turns.done(self.class);
            next.and_then(|ticket| inner.wake.remove(&ticket))
        };
        if let Some(next) = next {
            // Whoever is gone in this moment drops it in turn.
            drop(next.send(Self {
                places: self.places.clone(),
                class: self.class,
            }));
        }
    }
}

/// Leaves the queue when dropped.
struct Waiting<'p> {
    places: &'p Places,
    ticket: Ticket,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut inner = self.places.0.lock();
        inner.turns.leave(self.ticket);
        inner.wake.remove(&self.ticket);
    }
}

impl Default for Places {
    fn default() -> Self {
        Self::new(BOUNDS)
    }
}

impl Places {
    pub(crate) fn new(bounds: [Bounds; Class::ALL.len()]) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            turns: Turns::new(bounds),
            wake: HashMap::new(),
            refused: Default::default(),
        })))
    }

    /// A place for a question of a project, waiting for it no longer than that. Whoever drops this leaves the queue at once.
    pub(crate) async fn enter(
        &self,
        class: Class,
        project: u64,
        patience: Duration,
    ) -> Result<Place, Refused> {
        let (ticket, woken) = {
            let mut inner = self.0.lock();
            match inner.turns.ask(class, project) {
                Asked::Runs => {
                    let places = self.clone();
                    return Ok(Place { places, class });
                }
                Asked::Full(full) => {
                    drop(inner);
                    return Err(self.refuse(class, Refused::Full(full)));
                }
                Asked::Waits(ticket) => {
                    let (wake, woken) = oneshot::channel();
                    inner.wake.insert(ticket, wake);
                    (ticket, woken)
                }
            }
        };
        let waiting = Waiting {
            places: self,
            ticket,
        };
        let woken = timeout(patience, woken).await;
        drop(waiting);
        match woken {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(self.refuse(class, Refused::TooLong(patience))),
        }
    }

    fn refuse(&self, class: Class, why: Refused) -> Refused {
        self.0.lock().refused[at(class)][why.at()] += 1;
        why
    }

    /// What there is of each class.
    pub(crate) fn gauges(&self) -> [Gauges; Class::ALL.len()] {
        let inner = self.0.lock();
        Class::ALL.map(|class| Gauges {
            class,
            running: inner.turns.running(class),
            waiting: inner.turns.waiting(class),
            refused: inner.refused[at(class)],
            bounds: BOUNDS[at(class)],
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    const ONE: Bounds = Bounds {
        running: 1,
        waiting: 2,
        waiting_per_project: 2,
    };
    const LONG: Duration = Duration::from_hours(1);

    fn counts(places: &Places) -> (usize, usize) {
        let heavy = places.gauges()[at(Class::Heavy)];
        (heavy.running, heavy.waiting)
    }

    async fn begin<T>(mut waiting: std::pin::Pin<&mut impl Future<Output = T>>) {
        let begun = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending()));
        assert!(begun.await, "did not wait");
    }

    #[tokio::test]
    async fn whoever_goes_away_leaves_the_queue_at_once() {
        let places = Places::new([ONE, ONE]);
        let first = places.enter(Class::Heavy, 1, LONG).await.unwrap();
        {
            let mut gone = pin!(places.enter(Class::Heavy, 1, LONG));
            begin(gone.as_mut()).await;
            assert_eq!(counts(&places), (1, 1));
        }
        assert_eq!(counts(&places), (1, 0));
        drop(first);
        assert_eq!(counts(&places), (0, 0));
    }

    #[tokio::test]
    async fn a_place_given_to_somebody_who_is_gone_comes_back() {
        let places = Places::new([ONE, ONE]);
        let first = places.enter(Class::Heavy, 1, LONG).await.unwrap();
        let mut next = pin!(places.enter(Class::Heavy, 2, LONG));
        {
            let mut gone = pin!(places.enter(Class::Heavy, 1, LONG));
            begin(gone.as_mut()).await;
            begin(next.as_mut()).await;
            // It is given the place and never looks.
            drop(first);
            assert_eq!(counts(&places), (1, 1));
        }
        let place = next.await.unwrap();
        assert_eq!(counts(&places), (1, 0));
        drop(place);
        assert_eq!(counts(&places), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_counted_by_their_reason() {
        let places = Places::new([
            ONE,
            Bounds {
                waiting_per_project: 1,
                ..ONE
            },
        ]);
        let first = places.enter(Class::Heavy, 1, LONG).await.unwrap();
        let second = Duration::from_secs(1);
        let late = places.enter(Class::Heavy, 1, second).await.unwrap_err();
        assert_eq!(late, Refused::TooLong(second));
        let mut one = pin!(places.enter(Class::Heavy, 1, LONG));
        begin(one.as_mut()).await;
        let own = places.enter(Class::Heavy, 1, LONG).await.unwrap_err();
        assert_eq!(own, Refused::Full(Full::OfProject(1)));
        let mut two = pin!(places.enter(Class::Heavy, 2, LONG));
        begin(two.as_mut()).await;
        let all = places.enter(Class::Heavy, 3, LONG).await.unwrap_err();
        assert_eq!(all, Refused::Full(Full::OfAll(2)));
        assert_eq!(places.gauges()[at(Class::Heavy)].refused, [1, 1, 1]);
        assert_eq!(places.gauges()[at(Class::Light)].refused, [0, 0, 0]);
        drop(first);
        drop((one.await, two.await));
        assert_eq!(counts(&places), (0, 0));
    }
}
