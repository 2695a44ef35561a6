//! How often someone may try, per account and per address.
//!
//! Three tables of token buckets of fixed size. What is counted is mapped to a bucket by a keyed
//! hash, so that nobody can choose who shares theirs, and nothing is ever evicted: a flood of names
//! fills buckets, it does not empty any.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;

use crate::limits::{
    ATTEMPT_BUCKETS, ATTEMPTS_PER_ACCOUNT, ATTEMPTS_PER_ACCOUNT_TIME, ATTEMPTS_PER_ADDRESS,
    ATTEMPTS_PER_ADDRESS_TIME,
};

/// Too many; try again after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts; try again later")]
pub struct TooMany {
    /// After which another attempt counts.
    pub retry: Duration,
}

/// Buckets that hold `size` attempts and gain one every `every_ns`.
///
/// A bucket is one number: the time at which it will be full again.
#[derive(Debug)]
struct Buckets {
    full_at_ns: Mutex<Vec<u64>>,
    keys: RandomState,
    every_ns: u64,
    size: u64,
}

impl Buckets {
    fn new(size: u32, every: Duration) -> Self {
        Self {
            full_at_ns: Mutex::new(vec![0; ATTEMPT_BUCKETS]),
            keys: RandomState::new(),
            every_ns: u64::try_from(every.as_nanos()).unwrap_or(u64::MAX),
            size: u64::from(size),
        }
    }

    fn index(&self, of: &impl std::hash::Hash) -> usize {
        let buckets = u64::try_from(ATTEMPT_BUCKETS).unwrap_or(u64::MAX);
        usize::try_from(self.keys.hash_one(of) % buckets).unwrap_or(0)
    }

    fn take(&self, of: &impl std::hash::Hash, now_ns: u64) -> Result<(), TooMany> {
        let index = self.index(of);
        let mut all = self.full_at_ns.lock();
        let full_at = all[index].max(now_ns).saturating_add(self.every_ns);
        let holds_ns = self.every_ns.saturating_mul(self.size);
        let over_ns = full_at.saturating_sub(now_ns).saturating_sub(holds_ns);
        if over_ns > 0 {
            return Err(TooMany {
                retry: Duration::from_nanos(over_ns),
            });
        }
        all[index] = full_at;
        Ok(())
    }

    fn give_back(&self, of: &impl std::hash::Hash) {
        let index = self.index(of);
        let mut all = self.full_at_ns.lock();
        all[index] = all[index].saturating_sub(self.every_ns);
    }
}

/// All tables.
#[derive(Debug)]
pub(super) struct Attempts {
    accounts: Buckets,
    /// Of letters: nobody keeps a user from signing in by asking for them.
    resets: Buckets,
    addresses: Buckets,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            accounts: Buckets::new(ATTEMPTS_PER_ACCOUNT, ATTEMPTS_PER_ACCOUNT_TIME),
            resets: Buckets::new(ATTEMPTS_PER_ACCOUNT, ATTEMPTS_PER_ACCOUNT_TIME),
            addresses: Buckets::new(ATTEMPTS_PER_ADDRESS, ATTEMPTS_PER_ADDRESS_TIME),
        }
    }
}

impl Attempts {
    /// Counts an attempt at this account from this address, before it is made.
    pub(super) fn begin(
        &self,
        account: &str,
        address: IpAddr,
        mono_ns: u64,
    ) -> Result<(), TooMany> {
        self.take(&self.accounts, account, address, mono_ns)
    }

    /// Counts a letter to this account that somebody at this address asks for.
    pub(super) fn begin_reset(
        &self,
        account: &str,
        address: IpAddr,
        mono_ns: u64,
    ) -> Result<(), TooMany> {
        self.take(&self.resets, account, address, mono_ns)
    }

    fn take(
        &self,
        accounts: &Buckets,
        account: &str,
        address: IpAddr,
        mono_ns: u64,
    ) -> Result<(), TooMany> {
        let place = place_of(address);
        self.addresses.take(&place, mono_ns)?;
        accounts.take(&account, mono_ns).inspect_err(|_| {
            // The account is closed to everyone; the address does not pay for that twice.
            self.addresses.give_back(&place);
        })
    }

    /// Counts an attempt from this address that names no account.
    pub(super) fn begin_from(&self, address: IpAddr, mono_ns: u64) -> Result<(), TooMany> {
        self.addresses.take(&place_of(address), mono_ns)
    }

    /// The attempt was right: it was nobody's guess.
    pub(super) fn succeeded(&self, account: &str, address: IpAddr) {
        self.accounts.give_back(&account);
        self.addresses.give_back(&place_of(address));
    }
}

/// Whoever has one IPv6 address has 2^64 of them.
fn place_of(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits() >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn nanos(time: Duration) -> u64 {
        u64::try_from(time.as_nanos()).unwrap()
    }

    /// An account in another bucket.
    fn elsewhere(attempts: &Attempts, than: &str) -> String {
        let index = |name: &str| attempts.accounts.index(&name);
        let mut names = (0..).map(|n| format!("{n}@b"));
        names.find(|name| index(name) != index(than)).unwrap()
    }

    #[test]
    fn an_account_takes_so_many_and_then_one_at_a_time() {
        let attempts = Attempts::default();
        let mut now = 5;
        for _ in 0..ATTEMPTS_PER_ACCOUNT {
            assert_eq!(attempts.begin("a@b", ONE, now), Ok(()));
        }
        let refused = attempts.begin("a@b", ONE, now).unwrap_err();
        assert_eq!(refused.retry, ATTEMPTS_PER_ACCOUNT_TIME);
        let other = elsewhere(&attempts, "a@b");
        assert_eq!(attempts.begin(&other, ONE, now), Ok(()));
        now += nanos(ATTEMPTS_PER_ACCOUNT_TIME) - 1;
        assert!(attempts.begin("a@b", ONE, now).is_err());
        now += 1;
        assert_eq!(attempts.begin("a@b", ONE, now), Ok(()));
        assert!(attempts.begin("a@b", ONE, now).is_err());
        attempts.succeeded("a@b", ONE);
        assert_eq!(attempts.begin("a@b", ONE, now), Ok(()));
    }

    #[test]
    fn letters_leave_an_account_its_attempts() {
        let attempts = Attempts::default();
        for _ in 0..ATTEMPTS_PER_ACCOUNT {
            assert_eq!(attempts.begin_reset("a@b", ONE, 0), Ok(()));
        }
        assert!(attempts.begin_reset("a@b", ONE, 0).is_err());
        assert_eq!(attempts.begin("a@b", ONE, 0), Ok(()));
    }

    #[test]
    fn an_address_takes_so_many_over_all_accounts() {
        let attempts = Attempts::default();
        for n in 0..ATTEMPTS_PER_ADDRESS {
            assert_eq!(attempts.begin(&format!("{n}@b"), ONE, 0), Ok(()), "{n}");
        }
        let refused = attempts.begin("fresh@b", ONE, 0).unwrap_err();
        assert_eq!(refused.retry, ATTEMPTS_PER_ADDRESS_TIME);
        assert!(attempts.begin_from(ONE, 0).is_err());
        assert_eq!(attempts.begin_from("192.0.2.2".parse().unwrap(), 0), Ok(()));
    }

    #[test]
    fn addresses_of_one_network_count_together() {
        let of = |text: &str| place_of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.2"), of("192.0.2.1"));
    }

    #[test]
    fn a_flood_of_names_frees_nobody() {
        let attempts = Attempts::default();
        for _ in 0..ATTEMPTS_PER_ACCOUNT {
            assert_eq!(attempts.accounts.take(&"victim@b", 0), Ok(()));
        }
        for n in 0..ATTEMPT_BUCKETS * 2 {
            // Refused or not: what counts is the bucket of the victim.
            let _ = attempts.accounts.take(&format!("{n}@b"), 0);
        }
        assert!(attempts.accounts.take(&"victim@b", 0).is_err());
    }
}
