//! Quotas: how fast a project and each of its keys may send and ask, and how much an organization's
//! plan allows by day and month.
//!
//! Owns the counts. They are exact while the process runs and after a clean stop: what a request
//! brings is counted before it goes to the log and given back if the log refuses it. Every
//! `USAGE_STEP_TIME` the counts that changed are stored as rows, never one record per request;
//! after a crash at most what was counted since then is missing. Buckets and refusals begin anew
//! with the process.
//!
//! A project that sends nothing takes no memory here.

mod amounts;
mod bucket;
mod calendar;
mod meter;
mod refusals;
mod stored;

use std::collections::HashMap;

use obsrv_engine::engine::{Engine, Envelope, Submission};
use obsrv_engine::source::SourceError;
use parking_lot::Mutex;

use crate::interpreter;
use crate::limits::USAGE_ROWS_MAX;
use crate::redact::rows;

pub use amounts::{Amounts, Ceiling, Limits, Plan, Rates};
pub use meter::Used;
pub use refusals::Count;

use amounts::{RATE_NAMES, wide};
use bucket::Bucket;
use calendar::Day;
use meter::Meter;
use refusals::Refusals;
use stored::Owner;

/// The time, on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Nanoseconds since the epoch.
    pub wall_ns: i64,
    /// Nanoseconds that only grow.
    pub mono_ns: u64,
}

/// Who sends or asks, and what holds for them.
#[derive(Clone, Copy, Debug)]
pub struct Party<'a> {
    /// The project.
    pub project: u64,
    /// The key.
    pub key: u64,
    /// The organization whose plan it is.
    pub organization: u64,
    /// Of the project and its keys.
    pub limits: &'a Limits,
    /// Of the organization.
    pub plan: &'a Plan,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To send a body of so many bytes, as far as that is known.
    Send(u64),
    /// To ask a question.
    Ask,
}

/// A limit that says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Whose limit: `project`, `key` or `organization`.
    pub scope: &'static str,
    /// Its name.
    pub name: &'static str,
    /// `second`, `day` or `month`.
    pub period: &'static str,
    /// Its value.
    pub value: u64,
    /// When to try again, nanoseconds since the epoch.
    pub resets_ns: i64,
    /// How long until then.
    pub wait_ns: u64,
}

impl Refusal {
    /// Whether a plan's limit is reached, rather than a rate.
    pub const fn is_plan(&self) -> bool {
        !matches!(self.period.as_bytes(), b"second")
    }
}

/// The requests, rows, bytes and queries of a project, or of one of its keys.
type Buckets = [Bucket; RATE_NAMES.len()];
const REQUESTS: usize = 0;
const SPANS: usize = 1;
const BYTES: usize = 2;
const QUERIES: usize = 3;
/// In the place of a key: all of the project's.
const ALL_KEYS: u64 = 0;

#[derive(Debug, Default)]
struct State {
    meters: HashMap<Owner, Meter>,
    buckets: HashMap<(u64, u64), Buckets>,
}

/// All counts.
#[derive(Debug, Default)]
pub struct Quota {
    state: Mutex<State>,
    refusals: Refusals,
}

impl Quota {
    /// The counts of this month as they were stored.
    pub fn load(engine: &Engine, wall_ns: i64) -> Result<Self, SourceError> {
        let quota = Self::default();
        let meters = stored::load(engine, Day::of(wall_ns))?;
        quota.state.lock().meters.extend(meters);
        Ok(quota)
    }

    /// Lets somebody in, before anything costly is done, and takes one request or query.
    pub fn admit(&self, party: Party<'_>, wish: Wish, now: Now) -> Result<(), Refusal> {
        let mut state = self.state.lock();
        let kinds: &[usize] = match wish {
            Wish::Send(_) => &[REQUESTS, SPANS, BYTES],
            Wish::Ask => &[QUERIES],
        };
        state.check_rates(party, kinds, now)?;
        let least = match wish {
            Wish::Send(bytes) => Amounts {
                spans: 1,
                bytes,
                ..Amounts::default()
            },
            Wish::Ask => Amounts::QUERY,
        };
        state.check_plan(party, least, now)?;
        match wish {
            Wish::Send(_) => state.pay(party, &[(REQUESTS, 1)], now),
            Wish::Ask => {
                state.pay(party, &[(QUERIES, 1)], now);
                state.count(party, Amounts::QUERY, now);
            }
        }
        Ok(())
    }

    /// Counts what a request turned out to bring, unless the plan has no room for all of it.
    pub fn take(&self, party: Party<'_>, amounts: Amounts, now: Now) -> Result<(), Refusal> {
        let mut state = self.state.lock();
        state.check_plan(party, amounts, now)?;
        state.pay(
            party,
            &[(SPANS, amounts.spans), (BYTES, amounts.bytes)],
            now,
        );
        state.count(party, amounts, now);
        Ok(())
    }

    /// Gives back what was taken of a request that was not stored.
    pub fn give_back(&self, party: Party<'_>, amounts: Amounts) {
        let mut state = self.state.lock();
        for owner in owners(party) {
            if let Some(meter) = state.meters.get_mut(&owner) {
                meter.take_back(amounts);
            }
        }
        for (key, rates) in scopes(party) {
            let Some(buckets) = state.buckets.get_mut(&(party.project, key)) else {
                continue;
            };
            for (kind, n) in [(SPANS, amounts.spans), (BYTES, amounts.bytes)] {
                if let Some(rate) = rates.list()[kind] {
                    buckets[kind].refund(n, rate);
                }
            }
        }
    }

    /// Adds what a client says it has sent.
    pub fn report(&self, party: Party<'_>, traces: u64, now: Now) {
        let mut state = self.state.lock();
        for owner in owners(party) {
            let meter = state.meter(owner, now);
            meter.used.reported = meter.used.reported.saturating_add(traces);
            meter.dirty = true;
        }
    }

    /// What a project has used.
    pub fn used_by_project(&self, project: u64, now: Now) -> Used {
        self.used(Owner::Project(project), now)
    }

    /// What an organization has used.
    pub fn used_by_organization(&self, organization: u64, now: Now) -> Used {
        self.used(Owner::Organization(organization), now)
    }

    fn used(&self, owner: Owner, now: Now) -> Used {
        let mut meter = self
            .state
            .lock()
            .meters
            .get(&owner)
            .copied()
            .unwrap_or_default();
        meter.turn(Day::of(now.wall_ns));
        meter.used
    }

    /// Counts something that was refused.
    pub fn refused(&self, project: u64, key: u64, reason: &'static str, n: u64, now: Now) {
        self.refusals.count(project, key, reason, n, now.wall_ns);
    }

    /// What was refused of a project: key, reason, count; most frequent first.
    pub fn refusals_of(&self, project: u64) -> Vec<(u64, &'static str, Count)> {
        self.refusals.of(project)
    }

    /// The month and when it and the day end.
    pub fn period(now: Now) -> (String, i64, i64) {
        let day = Day::of(now.wall_ns);
        (day.month_text(), day.end_ns(), day.month_end_ns())
    }

    /// How many meters and pairs of project and key are in memory.
    pub fn sizes(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.meters.len(), state.buckets.len())
    }

    /// Rows of counts that changed, at most [`USAGE_ROWS_MAX`], ready for the log; forgets what is
    /// idle.
    fn changed(&self, now: Now) -> Vec<(Owner, Meter)> {
        let today = Day::of(now.wall_ns);
        let mut state = self.state.lock();
        state
            .buckets
            .retain(|_, all| !all.iter().all(|b| b.is_idle(now.mono_ns)));
        // Of an older month and stored: it is in its row.
        state
            .meters
            .retain(|_, meter| meter.dirty || meter.at.month >= today.month);
        let mut changed = Vec::new();
        for (owner, meter) in &mut state.meters {
            if meter.dirty && changed.len() < USAGE_ROWS_MAX {
                meter.dirty = false;
                meter.step += 1;
                changed.push((*owner, *meter));
            }
        }
        changed
    }

    /// Stores the counts that changed. True: there are more.
    pub async fn store(&self, engine: &Engine, now: Now) -> bool {
        let changed = self.changed(now);
        if changed.is_empty() {
            return false;
        }
        let is_full = changed.len() == USAGE_ROWS_MAX;
        let events: Vec<_> = changed
            .iter()
            .map(|(o, meter)| stored::event(*o, meter))
            .collect();
        let (encoding, body) = interpreter::body_of_rows(&events);
        let envelope = Envelope {
            project: stored::PROJECT.0,
            dialect: rows::DIALECT_NUMBER,
            encoding: encoding.number(),
            mapping: crate::dialect::MAPPING_VERSION,
            received_ns: now.wall_ns,
            ..Envelope::default()
        };
        let (sender, outcome) = tokio::sync::oneshot::channel();
        let done = Box::new(move |result: Result<_, _>| {
            // The caller waits below; if it was dropped, the process ends.
            let _ = sender.send(result.is_ok());
        });
        engine.submit(
            Submission {
                envelope,
                body,
                events,
            },
            done,
        );
        if outcome.await.unwrap_or(false) {
            return is_full;
        }
        let mut state = self.state.lock();
        for (owner, _) in &changed {
            if let Some(meter) = state.meters.get_mut(owner) {
                meter.dirty = true;
            }
        }
        tracing::warn!(rows = wide(changed.len()), "usage not stored yet");
        false
    }
}

const fn owners(party: Party<'_>) -> [Owner; 2] {
    [
        Owner::Project(party.project),
        Owner::Organization(party.organization),
    ]
}

const fn scopes(party: Party<'_>) -> [(u64, &Rates); 2] {
    [
        (ALL_KEYS, &party.limits.project),
        (party.key, &party.limits.key),
    ]
}

impl State {
    fn meter(&mut self, owner: Owner, now: Now) -> &mut Meter {
        let meter = self.meters.entry(owner).or_default();
        meter.turn(Day::of(now.wall_ns));
        meter
    }

    fn check_rates(&self, party: Party<'_>, kinds: &[usize], now: Now) -> Result<(), Refusal> {
        for (key, rates) in scopes(party) {
            let Some(buckets) = self.buckets.get(&(party.project, key)) else {
                continue;
            };
            for kind in kinds {
                let Some(value) = rates.list()[*kind] else {
                    continue;
                };
                let Some(wait_ns) = buckets[*kind].wait_ns(now.mono_ns) else {
                    continue;
                };
                return Err(Refusal {
                    scope: if key == ALL_KEYS { "project" } else { "key" },
                    name: RATE_NAMES[*kind],
                    period: "second",
                    value,
                    resets_ns: now.wall_ns.saturating_add_unsigned(wait_ns),
                    wait_ns,
                });
            }
        }
        Ok(())
    }

    fn check_plan(&mut self, party: Party<'_>, more: Amounts, now: Now) -> Result<(), Refusal> {
        if party.plan.month == Ceiling::default() && party.plan.day == Ceiling::default() {
            return Ok(());
        }
        let meter = self.meter(Owner::Organization(party.organization), now);
        let Some(broken) = meter.broken(party.plan, more) else {
            return Ok(());
        };
        let wait_ns = broken.resets_ns.saturating_sub(now.wall_ns);
        Err(Refusal {
            scope: "organization",
            name: broken.name,
            period: if broken.is_month { "month" } else { "day" },
            value: broken.limit,
            resets_ns: broken.resets_ns,
            wait_ns: u64::try_from(wait_ns).unwrap_or(0),
        })
    }

    fn pay(&mut self, party: Party<'_>, amounts: &[(usize, u64)], now: Now) {
        for (key, rates) in scopes(party) {
            let rates = rates.list();
            // Without a limit nothing is remembered.
            if amounts.iter().all(|(kind, _)| rates[*kind].is_none()) {
                continue;
            }
            let buckets = self.buckets.entry((party.project, key)).or_default();
            for (kind, n) in amounts {
                if let Some(rate) = rates[*kind] {
                    buckets[*kind].pay(*n, rate, now.mono_ns);
                }
            }
        }
    }

    fn count(&mut self, party: Party<'_>, amounts: Amounts, now: Now) {
        for owner in owners(party) {
            self.meter(owner, now).add(amounts);
        }
    }
}

#[cfg(test)]
mod tests;
