//! How often someone may try: per account and place, per account, per place.
//!
//! A place is an address, of IPv6 a /64. What one place does to an account keeps another place from it
//! only once very many places have tried, and never one from which the account was opened before. If
//! nobody knows from where requests come (a proxy that is not listed), there is one place, and it has
//! no limit of its own: it would be everybody's.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use parking_lot::Mutex;

use crate::buckets::Buckets;
pub(super) use crate::buckets::TooMany;
use crate::limits::{
    ATTEMPT_BUCKETS, ATTEMPTS_PER_ACCOUNT, ATTEMPTS_PER_ACCOUNT_EVERYWHERE,
    ATTEMPTS_PER_ACCOUNT_EVERYWHERE_TIME, ATTEMPTS_PER_ACCOUNT_TIME, ATTEMPTS_PER_ADDRESS,
    ATTEMPTS_PER_ADDRESS_TIME,
};
use crate::net::forwarded::place_of;

/// All tables.
#[derive(Debug)]
pub(super) struct Attempts {
    /// Of an account at a place.
    here: Buckets,
    /// Of an account at all places where it was not opened before.
    everywhere: Buckets,
    /// Of letters: nobody keeps a user from signing in by asking for them.
    resets: Buckets,
    addresses: Buckets,
    /// Hashes of pairs of account and place that belong together; a newer one may take the slot.
    known: Mutex<Vec<u64>>,
    keys: RandomState,
}

impl Default for Attempts {
    fn default() -> Self {
        let table = |size: u32, every| Buckets::new(ATTEMPT_BUCKETS, u64::from(size), every);
        Self {
            here: table(ATTEMPTS_PER_ACCOUNT, ATTEMPTS_PER_ACCOUNT_TIME),
            everywhere: table(
                ATTEMPTS_PER_ACCOUNT_EVERYWHERE,
                ATTEMPTS_PER_ACCOUNT_EVERYWHERE_TIME,
            ),
            resets: table(ATTEMPTS_PER_ACCOUNT, ATTEMPTS_PER_ACCOUNT_TIME),
            addresses: table(ATTEMPTS_PER_ADDRESS, ATTEMPTS_PER_ADDRESS_TIME),
            known: Mutex::new(vec![0; ATTEMPT_BUCKETS]),
            keys: RandomState::new(),
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
        let place = place_of(address);
        self.take_place(place, mono_ns)?;
        let taken = self.here.take(&(account, place), mono_ns).and_then(|()| {
            if self.is_known(account, place) {
                return Ok(());
            }
            self.everywhere.take(&account, mono_ns).inspect_err(|_| {
                self.here.give_back(&(account, place));
            })
        });
        // The account is closed from here; the address does not pay for that twice.
        taken.inspect_err(|_| self.give_place_back(place))
    }

    /// Counts a letter to this account that somebody at this address asks for.
    pub(super) fn begin_reset(
        &self,
        account: &str,
        address: IpAddr,
        mono_ns: u64,
    ) -> Result<(), TooMany> {
        let place = place_of(address);
        self.take_place(place, mono_ns)?;
        let taken = self.resets.take(&account, mono_ns);
        taken.inspect_err(|_| self.give_place_back(place))
    }

    /// Counts an attempt from this address that names no account.
    pub(super) fn begin_from(&self, address: IpAddr, mono_ns: u64) -> Result<(), TooMany> {
        self.take_place(place_of(address), mono_ns)
    }

    /// The attempt was right: it was nobody's guess.
    pub(super) fn succeeded(&self, account: &str, address: IpAddr) {
        let place = place_of(address);
        self.here.give_back(&(account, place));
        if !self.is_known(account, place) {
            self.everywhere.give_back(&account);
        }
        self.give_place_back(place);
        if place.is_some() {
            let (slot, mark) = self.mark(account, place);
            self.known.lock()[slot] = mark;
        }
    }

    fn is_known(&self, account: &str, place: Option<u128>) -> bool {
        let (slot, mark) = self.mark(account, place);
        place.is_some() && self.known.lock()[slot] == mark
    }

    /// Where the mark of an account at a place stands, and what it is; never 0.
    fn mark(&self, account: &str, place: Option<u128>) -> (usize, u64) {
        let hash = self.keys.hash_one((account, place)).max(1);
        let slots = u64::try_from(ATTEMPT_BUCKETS).unwrap_or(u64::MAX);
        (usize::try_from(hash % slots).unwrap_or(0), hash)
    }

    fn take_place(&self, place: Option<u128>, mono_ns: u64) -> Result<(), TooMany> {
        place.map_or(Ok(()), |place| self.addresses.take(&place, mono_ns))
    }

    fn give_place_back(&self, place: Option<u128>) {
        if let Some(place) = place {
            self.addresses.give_back(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;
    use crate::net::forwarded::NOWHERE;

    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn nanos(time: Duration) -> u64 {
        u64::try_from(time.as_nanos()).unwrap()
    }

    fn place(n: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n))
    }

    /// An account in another bucket.
    fn elsewhere(attempts: &Attempts, than: &str) -> String {
        let at = place_of(ONE);
        let index = |name: &str| attempts.here.index(&(name, at));
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

    /// Whoever guesses at one place closes the account there, and nowhere else.
    #[test]
    fn guesses_from_one_place_keep_nobody_else_out() {
        let attempts = Attempts::default();
        let index = |at: IpAddr| attempts.here.index(&("a@b", place_of(at)));
        let other = (1..10_000).map(place).find(|at| index(*at) != index(ONE));
        while attempts.begin("a@b", ONE, 0).is_ok() {}
        assert_eq!(attempts.begin("a@b", other.unwrap(), 0), Ok(()));
    }

    /// Many places together close the account to further strangers, but not to its owner's place.
    #[test]
    fn guesses_from_many_places_are_bounded_and_spare_the_owner() {
        let attempts = Attempts::default();
        attempts.begin("a@b", ONE, 0).unwrap();
        attempts.succeeded("a@b", ONE);
        let mut guesses = 0;
        for n in 0..ATTEMPTS_PER_ACCOUNT_EVERYWHERE * 2 {
            guesses += u32::from(attempts.begin("a@b", place(n), 0).is_ok());
        }
        assert!(
            guesses <= ATTEMPTS_PER_ACCOUNT_EVERYWHERE,
            "{guesses} guesses"
        );
        assert_eq!(attempts.begin("a@b", ONE, 0), Ok(()));
    }

    /// Behind a proxy that is not listed everybody comes from nowhere.
    #[test]
    fn an_unknown_place_has_no_limit_of_its_own() {
        let attempts = Attempts::default();
        for n in 0..ATTEMPTS_PER_ADDRESS * 4 {
            assert_eq!(attempts.begin_from(NOWHERE, 0), Ok(()), "{n}");
        }
        for _ in 0..ATTEMPTS_PER_ACCOUNT {
            assert_eq!(attempts.begin("a@b", NOWHERE, 0), Ok(()));
        }
        assert!(attempts.begin("a@b", NOWHERE, 0).is_err());
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
        assert_eq!(of("0.0.0.0"), None);
    }

    #[test]
    fn a_flood_of_names_frees_nobody() {
        let attempts = Attempts::default();
        for _ in 0..ATTEMPTS_PER_ACCOUNT {
            assert_eq!(attempts.here.take(&"victim@b", 0), Ok(()));
        }
        for n in 0..ATTEMPT_BUCKETS * 2 {
            // Refused or not: what counts is the bucket of the victim.
            let _ = attempts.here.take(&format!("{n}@b"), 0);
        }
        assert!(attempts.here.take(&"victim@b", 0).is_err());
    }
}
