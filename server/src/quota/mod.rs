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

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use obsrv_engine::engine::{Engine, Envelope, Submission};
use obsrv_engine::source::SourceError;
use parking_lot::Mutex;

use crate::interpreter;
use crate::limits::{USAGE_KEYS_MAX, USAGE_ROWS_MAX};
use crate::redact::rows;

pub use amounts::{Amounts, Ceiling, Limits, Plan, Rates};
pub use meter::Used;
pub use refusals::Count;

use amounts::{RATE_NAMES, wide};
use bucket::Bucket;
use calendar::Day;
use meter::Meter;
use refusals::Refusals;
#[cfg(feature = "forge")]
pub(crate) use stored::owner_reads;

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
    /// The key, or [`NO_KEY`].
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

/// What was taken of a request, and where it was counted: it is given back there, whatever has begun since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    amounts: Amounts,
    charged: Charged,
}

/// Meters that ran for somebody, each with its day.
type Charged = [(Owner, Day); 3];

/// The requests, rows, bytes and queries of a project, or of one of its keys.
type Buckets = [Bucket; RATE_NAMES.len()];
const REQUESTS: usize = 0;
const SPANS: usize = 1;
const BYTES: usize = 2;
const QUERIES: usize = 3;
/// In the place of a key: all of the project's.
const ALL_KEYS: u64 = 0;
/// In the place of a key: people, who have none.
pub const NO_KEY: u64 = 0;

/// Who used a part of what a project used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// A key.
    Key(u64),
    /// Whoever had no key: people in the dashboard, and the operator.
    People,
    /// All keys that are not counted apart.
    OtherKeys,
}

#[derive(Debug, Default)]
struct State {
    meters: BTreeMap<Owner, Meter>,
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
                state.each_meter(party, now, |meter| meter.add(Amounts::QUERY));
            }
        }
        Ok(())
    }

    /// Counts what a request turned out to bring, unless the plan has no room for all of it.
    pub fn take(&self, party: Party<'_>, amounts: Amounts, now: Now) -> Result<Taken, Refusal> {
        let mut state = self.state.lock();
        state.check_plan(party, amounts, now)?;
        state.pay(
            party,
            &[(SPANS, amounts.spans), (BYTES, amounts.bytes)],
            now,
        );
        let charged = state.each_meter(party, now, |meter| meter.add(amounts));
        Ok(Taken { amounts, charged })
    }

    /// Gives back what was taken of a request that was not stored.
    pub fn give_back(&self, party: Party<'_>, taken: Taken) {
        let Taken { amounts, charged } = taken;
        let mut state = self.state.lock();
        for (owner, day) in charged {
            if let Some(meter) = state.meters.get_mut(&owner) {
                meter.take_back(amounts, day);
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
        state.each_meter(party, now, |meter| {
            meter.used.reported = meter.used.reported.saturating_add(traces);
            meter.dirty = true;
        });
    }

    /// What a project has used.
    pub fn used_by_project(&self, project: u64, now: Now) -> Used {
        self.used(Owner::Project(project), now)
    }

    /// What an organization has used.
    pub fn used_by_organization(&self, organization: u64, now: Now) -> Used {
        self.used(Owner::Organization(organization), now)
    }

    /// What each of a project's keys has used this month, those with nothing left out.
    pub fn used_by_keys(&self, project: u64, now: Now) -> Vec<(User, Used)> {
        let today = Day::of(now.wall_ns);
        let state = self.state.lock();
        let others = Owner::OtherKeys(project);
        let others = state.meters.get(&others).map(|meter| (others, meter));
        let keys = state.meters.range(keys_of(project));
        let all = keys.map(|(owner, meter)| (*owner, meter)).chain(others);
        let used = all.filter_map(|(owner, meter)| {
            let mut meter = *meter;
            meter.turn(today);
            (meter.used != Used::default()).then_some((owner.user()?, meter.used))
        });
        used.collect()
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

    /// Whose counts changed; forgets what is idle.
    fn changed(&self, now: Now) -> Vec<Owner> {
        let today = Day::of(now.wall_ns);
        let mut state = self.state.lock();
        state
            .buckets
            .retain(|_, all| !all.iter().all(|b| b.is_idle(now.mono_ns)));
        // Of an older month and stored: it is in its row.
        state
            .meters
            .retain(|_, meter| meter.dirty || meter.at.month >= today.month);
        let meters = state.meters.iter();
        let changed = meters.filter(|(_, meter)| meter.dirty);
        changed.map(|(owner, _)| *owner).collect()
    }

    /// The counts of these as they are now, taken as stored.
    fn step(&self, owners: &[Owner]) -> Vec<(Owner, Meter)> {
        let mut state = self.state.lock();
        let mut stepped = Vec::with_capacity(owners.len());
        for owner in owners {
            if let Some(meter) = state.meters.get_mut(owner) {
                meter.dirty = false;
                meter.step += 1;
                stepped.push((*owner, *meter));
            }
        }
        stepped
    }

    /// Stores the counts that have changed, [`USAGE_ROWS_MAX`] at once and each one time, so that it ends however
    /// fast they go on changing.
    pub async fn store(&self, engine: &Engine, now: Now) {
        for owners in self.changed(now).chunks(USAGE_ROWS_MAX) {
            if !self.store_some(engine, owners, now).await {
                break;
            }
        }
    }

    /// Whether these are stored.
    async fn store_some(&self, engine: &Engine, owners: &[Owner], now: Now) -> bool {
        let changed = self.step(owners);
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
            return true;
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

/// Where the meters of a project's keys stand.
const fn keys_of(project: u64) -> RangeInclusive<Owner> {
    Owner::Key(project, 0)..=Owner::Key(project, u64::MAX)
}

const fn scopes(party: Party<'_>) -> [(u64, &Rates); 2] {
    [
        (ALL_KEYS, &party.limits.project),
        (party.key, &party.limits.key),
    ]
}

impl State {
    fn meter(&mut self, owner: Owner, today: Day) -> &mut Meter {
        let meter = self.meters.entry(owner).or_default();
        meter.turn(today);
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
        let owner = Owner::Organization(party.organization);
        let meter = self.meter(owner, Day::of(now.wall_ns));
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

    /// Whose meters run for somebody: a key that has none this month is one of the others.
    fn owners(&self, party: Party<'_>) -> [Owner; 3] {
        let key = Owner::Key(party.project, party.key);
        let of_project = Owner::Project(party.project);
        let month = |owner: &Owner| self.meters.get(owner).map(|meter| meter.at.month);
        let is_apart = month(&key).is_some() && month(&key) == month(&of_project);
        [
            of_project,
            Owner::Organization(party.organization),
            if is_apart {
                key
            } else {
                Owner::OtherKeys(party.project)
            },
        ]
    }

    /// Gives a key a meter of its own if its project has fewer than [`USAGE_KEYS_MAX`] this month.
    fn make_room_for_key(&mut self, party: Party<'_>, today: Day) {
        let is_current = |meter: &Meter| meter.at.month == today.month;
        let others = self.meters.get(&Owner::OtherKeys(party.project));
        let is_full = || {
            let apart = self.meters.range(keys_of(party.project));
            let keys = apart.filter(|(owner, meter)| {
                is_current(meter) && **owner != Owner::Key(party.project, NO_KEY)
            });
            others.is_some_and(is_current) || keys.count() >= USAGE_KEYS_MAX
        };
        let key = Owner::Key(party.project, party.key);
        let is_apart = self.meters.get(&key).is_some_and(is_current);
        if is_apart || party.key == NO_KEY || !is_full() {
            self.meter(key, today);
        }
    }

    /// Notes something on the meters that run for somebody, in their day, and tells which they were.
    fn each_meter(&mut self, party: Party<'_>, now: Now, note: impl Fn(&mut Meter)) -> Charged {
        let of_project = Owner::Project(party.project);
        // All go by the clock of the project's, so that they are of one month.
        let today = self.meter(of_project, Day::of(now.wall_ns)).at;
        self.make_room_for_key(party, today);
        self.owners(party).map(|owner| {
            let meter = self.meter(owner, today);
            note(meter);
            (owner, meter.at)
        })
    }
}

#[cfg(test)]
mod tests;
