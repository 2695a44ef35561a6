//! Passwords: their rules, and argon2id hashes of them. Owns the places in which hashes are made:
//! each takes 19 MiB and tens of milliseconds, so there are two, and a bounded queue before them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use super::email::Email;
use crate::limits::{
    HASHES_MAX, HASHES_WAITING_MAX, PASSWORD_BYTES_MAX, PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN,
};
use obsrv_engine::io::Rng;

const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// How far hashing stands back for threads of the process that have work, from 0 to 19.
const NICE: i32 = 10;

/// What a hash costs. OWASP's floor for argon2id; raising it rehashes each password at the next
/// sign-in with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    pub(super) const NOW: Self = Self {
        memory_kib: 19 << 10,
        passes: 2,
        lanes: 1,
    };
    /// Hashes that cost more than this are none of ours.
    const MAX: Self = Self {
        memory_kib: 1 << 20,
        passes: 16,
        lanes: 4,
    };

    fn is_below(self, other: Self) -> bool {
        self.memory_kib < other.memory_kib || self.passes < other.passes || self.lanes < other.lanes
    }
}

/// Why a password is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short to withstand guessing, or too long.
    #[error(
        "password must be {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters and at most \
         {PASSWORD_BYTES_MAX} bytes long"
    )]
    Length,
    /// The first thing that anyone would try.
    #[error("password must not be the e-mail address or the name")]
    Obvious,
}

/// A password as someone typed it. Never printed by `Debug`.
#[derive(Clone)]
pub(super) struct Password(String);

impl Password {
    /// What someone typed to sign in; none if no password can be like that.
    pub(super) fn typed(text: String) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= PASSWORD_BYTES_MAX;
        fits.then_some(Self(text))
    }

    /// What someone chose as a new password.
    pub(super) fn choose(text: String, email: &Email, name: &str) -> Result<Self, PasswordError> {
        let chars = text.chars().count();
        if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars)
            || text.len() > PASSWORD_BYTES_MAX
        {
            return Err(PasswordError::Length);
        }
        let folded = text.trim().to_lowercase();
        let name = name.trim().to_lowercase();
        if folded == email.as_str() || folded == email.local() || folded == name {
            return Err(PasswordError::Obvious);
        }
        Ok(Self(text))
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A hash in PHC form, taken apart.
struct Phc {
    cost: Cost,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Phc {
    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("$argon2id$v=19$m=")?;
        let (memory, rest) = rest.split_once(",t=")?;
        let (passes, rest) = rest.split_once(",p=")?;
        let mut parts = rest.split('$');
        let cost = Cost {
            memory_kib: memory.parse().ok()?,
            passes: passes.parse().ok()?,
            lanes: parts.next()?.parse().ok()?,
        };
        let salt = STANDARD_NO_PAD.decode(parts.next()?).ok()?;
        let hash = STANDARD_NO_PAD.decode(parts.next()?).ok()?;
        let fits = parts.next().is_none() && hash.len() == HASH_BYTES && !Cost::MAX.is_below(cost);
        fits.then_some(Self { cost, salt, hash })
    }
}

/// Whether a text is a hash; what it says is told as the same. For fuzzing.
#[cfg(feature = "forge")]
pub(crate) fn hash_reads(text: &str) -> bool {
    let Some(read) = Phc::parse(text) else {
        return false;
    };
    let again = phc_text(read.cost, &read.salt, &read.hash);
    let again = Phc::parse(&again).map(|again| (again.salt, again.hash));
    assert_eq!(
        again,
        Some((read.salt, read.hash)),
        "BUG: a hash reads as another"
    );
    true
}

fn phc_text(cost: Cost, salt: &[u8], hash: &[u8]) -> String {
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    format!(
        "$argon2id$v=19$m={},t={},p={}${salt}${hash}",
        cost.memory_kib, cost.passes, cost.lanes
    )
}

fn argon2id(cost: Cost, salt: &[u8], password: &Password) -> Option<[u8; HASH_BYTES]> {
    let Cost {
        memory_kib,
        passes,
        lanes,
    } = cost;
    let params = Params::new(memory_kib, passes, lanes, Some(HASH_BYTES)).ok()?;
    let mut hash = [0; HASH_BYTES];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.0.as_bytes(), salt, &mut hash)
        .ok()?;
    Some(hash)
}

/// No place for another hash soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many sign-ins at once")]
pub struct Busy;

/// What came of comparing a password with a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Wrong,
    Right,
    /// Right, but the hash costs less than [`Cost::NOW`].
    RightButCheap,
}

/// How many hashes were made, and how many at once at most.
#[derive(Debug, Default)]
pub struct HashCounts {
    made: AtomicU64,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl HashCounts {
    /// Hashes made so far.
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Most hashes at once so far.
    pub fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    fn count<T>(&self, hash: impl FnOnce() -> T) -> T {
        let running = self.running.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(running, Ordering::Relaxed);
        let out = hash();
        self.running.fetch_sub(1, Ordering::Relaxed);
        self.made.fetch_add(1, Ordering::Relaxed);
        out
    }
}

/// Makes and compares hashes, off the network threads.
#[derive(Debug)]
pub(super) struct Hasher {
    places: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    counts: Arc<HashCounts>,
    rng: Arc<dyn Rng>,
    /// Compared with when there is no user or no password: the same work for everyone.
    nobody: String,
}

impl Hasher {
    pub(super) fn new(rng: Arc<dyn Rng>) -> Self {
        let mut unknown = [0; HASH_BYTES];
        rng.fill(&mut unknown);
        let mut salt = [0; SALT_BYTES];
        rng.fill(&mut salt);
        Self {
            places: Arc::new(Semaphore::new(HASHES_MAX)),
            queue: Arc::new(Semaphore::new(HASHES_WAITING_MAX)),
            counts: Arc::default(),
            rng,
            nobody: phc_text(Cost::NOW, &salt, &unknown),
        }
    }

    pub(super) fn counts(&self) -> &HashCounts {
        &self.counts
    }

    /// The PHC form of a password's hash, with a fresh salt.
    pub(super) async fn hash(&self, password: Password) -> Result<String, Busy> {
        let mut salt = [0; SALT_BYTES];
        self.rng.fill(&mut salt);
        let hash = self
            .compute(move || argon2id(Cost::NOW, &salt, &password))
            .await?;
        let hash = hash.expect("BUG: argon2 refuses our own parameters");
        Ok(phc_text(Cost::NOW, &salt, &hash))
    }

    /// Compares; with no hash to compare with, the work is the same and the verdict is `Wrong`.
    pub(super) async fn verify(
        &self,
        password: Password,
        phc: Option<&str>,
    ) -> Result<Verdict, Busy> {
        let known = phc.and_then(Phc::parse);
        let is_known = known.is_some();
        let phc = known.or_else(|| Phc::parse(&self.nobody));
        let Phc { cost, salt, hash } = phc.expect("BUG: the hash of nobody does not read");
        let made = self
            .compute(move || argon2id(cost, &salt, &password))
            .await?;
        let is_equal = made.is_some_and(|made| bool::from(made[..].ct_eq(&hash)));
        Ok(match (is_known && is_equal, cost.is_below(Cost::NOW)) {
            (false, _) => Verdict::Wrong,
            (true, false) => Verdict::Right,
            (true, true) => Verdict::RightButCheap,
        })
    }

    async fn compute<T: Send + 'static>(
        &self,
        hash: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let waiting = Arc::clone(&self.queue)
            .try_acquire_owned()
            .map_err(|_| Busy)?;
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| Busy)?;
        let counts = Arc::clone(&self.counts);
        let (sender, outcome) = tokio::sync::oneshot::channel();
        let work = move || {
            // Behind those who serve requests. Where that is refused a hash is made all the same.
            let _ = rustix::process::setpriority_process(None, NICE);
            let out = counts.count(hash);
            // The place is given back when the work is done, also if the client has gone meanwhile.
            drop((place, waiting));
            let _ = sender.send(out);
        };
        // A thread of its own each: no thread may take back a priority that it has given up.
        let thread = std::thread::Builder::new().name("obsrv-hash".to_owned());
        thread.spawn(work).map_err(|_| Busy)?;
        outcome.await.map_err(|_| Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use obsrv_engine::io::OsRng;

    fn hasher() -> Hasher {
        Hasher::new(Arc::new(OsRng))
    }

    fn typed(text: &str) -> Password {
        Password::typed(text.to_owned()).unwrap()
    }

    fn choose(text: &str) -> Result<Password, PasswordError> {
        let email = Email::parse("ada.lovelace@example.org").unwrap();
        Password::choose(text.to_owned(), &email, "Ada of Lovelace")
    }

    #[test]
    fn rules() {
        for good in [
            "a".repeat(PASSWORD_CHARS_MIN),
            "ä".repeat(PASSWORD_CHARS_MAX),
        ] {
            assert!(choose(&good).is_ok(), "{good}");
        }
        for bad in [
            "a".repeat(PASSWORD_CHARS_MIN - 1),
            "ä".repeat(PASSWORD_CHARS_MIN - 1),
            "a".repeat(PASSWORD_CHARS_MAX + 1),
            String::new(),
        ] {
            assert_eq!(choose(&bad).unwrap_err(), PasswordError::Length, "{bad}");
        }
        for bad in [
            "Ada.Lovelace@example.org",
            "ada.lovelace",
            " ada of LOVELACE ",
        ] {
            assert_eq!(choose(bad).unwrap_err(), PasswordError::Obvious, "{bad}");
        }
        assert!(Password::typed("x".repeat(PASSWORD_BYTES_MAX)).is_some());
        assert!(Password::typed("x".repeat(PASSWORD_BYTES_MAX + 1)).is_none());
        assert_eq!(format!("{:?}", typed("secret")), "Password(..)");
    }

    #[tokio::test]
    async fn the_right_password_and_no_other() {
        let hasher = hasher();
        let phc = hasher.hash(typed("correct horse")).await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert_ne!(phc, hasher.hash(typed("correct horse")).await.unwrap());
        let verdict = |text: &'static str| hasher.verify(typed(text), Some(&phc));
        assert_eq!(verdict("correct horse").await, Ok(Verdict::Right));
        assert_eq!(verdict("correct horsf").await, Ok(Verdict::Wrong));
    }

    /// The reference implementation's answer, so that another argon2 reads our hashes:
    /// `printf password | argon2 somesaltsomesalt -id -t 2 -k 65536 -p 1 -l 32 -e`.
    #[tokio::test]
    async fn a_cheaper_hash_is_right_and_told() {
        let cheap = Cost {
            memory_kib: 8,
            passes: 1,
            lanes: 1,
        };
        let salt = [7; SALT_BYTES];
        let hash = argon2id(cheap, &salt, &typed("old password")).unwrap();
        let phc = phc_text(cheap, &salt, &hash);
        let verdict = hasher().verify(typed("old password"), Some(&phc)).await;
        assert_eq!(verdict, Ok(Verdict::RightButCheap));
    }

    #[tokio::test]
    async fn nobody_costs_what_somebody_costs_and_is_wrong() {
        let hasher = hasher();
        for phc in [
            None,
            Some("no hash"),
            Some("$argon2id$v=19$m=4294967295,t=9,p=1$$"),
        ] {
            let before = hasher.counts().made();
            let verdict = hasher.verify(typed("whatever it is"), phc).await;
            assert_eq!(verdict, Ok(Verdict::Wrong), "{phc:?}");
            assert_eq!(hasher.counts().made(), before + 1);
        }
        let Phc { cost, .. } = Phc::parse(&hasher.nobody).unwrap();
        assert_eq!(cost, Cost::NOW);
    }

    #[tokio::test]
    async fn at_most_two_at_once_and_a_bounded_queue() {
        let hasher = Arc::new(hasher());
        let all: Vec<_> = (0..HASHES_WAITING_MAX + 8)
            .map(|_| {
                let hasher = Arc::clone(&hasher);
                tokio::spawn(async move { hasher.compute(|| ()).await })
            })
            .collect();
        let mut done = 0;
        for one in all {
            done += usize::from(one.await.unwrap().is_ok());
        }
        assert!(done >= HASHES_WAITING_MAX, "{done}");
        assert!(hasher.counts().most() <= HASHES_MAX);

        let held = Arc::clone(&hasher.places)
            .acquire_many_owned(u32::try_from(HASHES_MAX).unwrap())
            .await
            .unwrap();
        let waiting = Arc::clone(&hasher.queue)
            .acquire_many_owned(u32::try_from(HASHES_WAITING_MAX).unwrap())
            .await
            .unwrap();
        assert_eq!(hasher.compute(|| ()).await, Err(Busy));
        drop((held, waiting));
        assert_eq!(hasher.compute(|| ()).await, Ok(()));
    }
}
