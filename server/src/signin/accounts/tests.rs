//! Accounts over a real engine in a directory of its own, with a clock that the test turns.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use http::HeaderMap;
use obsrv_engine::engine::{Engine, Options, Threads};
use obsrv_engine::io::{Disk, OsRng, RealDisk};

use super::*;
use crate::interpreter::Replay;
use crate::limits::{
    ATTEMPTS_PER_ACCOUNT, ATTEMPTS_PER_ACCOUNT_TIME, ATTEMPTS_PER_ADDRESS, HASHES_MAX,
    LINK_RESET_TIME, SESSION_IDLE_TIME_MAX,
};
use crate::price::{Book, Table};
use crate::tenancy::FIRST_ORG;
use crate::tenancy::plane::By;
use crate::uses::Uses;

mod joining;

#[derive(Debug, Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn wall_ns(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn mono_ns(&self) -> u64 {
        self.0.load(Ordering::Relaxed).unsigned_abs()
    }
}

struct World {
    accounts: Arc<Accounts>,
    plane: Arc<ControlPlane>,
    clock: Arc<Hand>,
    threads: Option<Threads>,
    dir: Arc<tempfile::TempDir>,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            threads.stop();
        }
    }
}

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const PASSWORD: &str = "correct horse battery";

fn open(dir: Arc<tempfile::TempDir>, clock: Arc<Hand>) -> World {
    let disk = Arc::new(RealDisk::open(dir.path()).unwrap());
    let engine = Engine::open(disk, &OsRng, Options::for_memory(64 << 20), &Replay).unwrap();
    let threads = engine.start().unwrap();
    let master = MasterSecret::from_bytes([1; 32]);
    let time: Arc<dyn Clock> = Arc::<Hand>::clone(&clock);
    let plane = ControlPlane::recover(engine, &master, Arc::clone(&time), Arc::new(OsRng));
    let plane = Arc::new(plane.unwrap());
    let accounts = Accounts::new(Arc::clone(&plane), &master, time, Arc::new(OsRng));
    World {
        accounts: Arc::new(accounts),
        plane,
        clock,
        threads: Some(threads),
        dir,
    }
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(Hand(AtomicI64::new(1_000_000_000)));
        open(Arc::new(tempfile::tempdir().unwrap()), clock)
    }

    /// With the owner `ada@example.org`.
    async fn owned() -> Self {
        let world = Self::new();
        let token = world.accounts.set_up_link().await.unwrap().unwrap();
        let session = world.accounts.set_up(token.reveal(), ada(), HERE).await;
        session.unwrap();
        world
    }

    fn pass(&self, time: Duration) {
        let ns = i64::try_from(time.as_nanos()).unwrap();
        self.clock.0.fetch_add(ns, Ordering::Relaxed);
    }

    async fn sign_in(&self, email: &str, password: &str) -> Result<NewSession, SignInError> {
        self.accounts
            .sign_in(email, password.to_owned(), HERE)
            .await
    }

    fn is_live(&self, session: &NewSession) -> bool {
        let cookie = session.cookie();
        let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
        let headers = HeaderMap::from_iter([(http::header::COOKIE, pair.parse().unwrap())]);
        let found = self
            .accounts
            .sessions()
            .principal(&headers, self.clock.wall_ns());
        assert!(found.as_ref().is_none_or(|(_, id, _)| *id == session.id));
        found.is_some()
    }

    async fn reset_link(&self) -> Token {
        let email = Email::parse("ada@example.org").unwrap();
        let link = self.accounts.link(Actor::Operator, &email, Purpose::Reset);
        link.await.unwrap()
    }
}

fn ada() -> Newcomer {
    Newcomer {
        email: "Ada@Example.org".into(),
        name: "Ada".into(),
        password: PASSWORD.into(),
    }
}

#[tokio::test]
async fn the_set_up_link_makes_one_owner_once() {
    let world = World::new();
    let old = world.accounts.set_up_link().await.unwrap().unwrap();
    let token = world.accounts.set_up_link().await.unwrap().unwrap();
    let used = world.accounts.set_up(old.reveal(), ada(), HERE).await;
    assert!(matches!(used, Err(SignInError::Link)), "an earlier link");
    let weak = Newcomer {
        password: "short".into(),
        ..ada()
    };
    let refused = world.accounts.set_up(token.reveal(), weak, HERE).await;
    assert!(matches!(refused, Err(SignInError::Password(_))));
    let session = world
        .accounts
        .set_up(token.reveal(), ada(), HERE)
        .await
        .unwrap();
    assert!(world.is_live(&session));
    let directory = world.plane.directory();
    assert_eq!(directory.orgs_of(session.user), [FIRST_ORG]);
    let again = world.accounts.set_up(token.reveal(), ada(), HERE).await;
    assert!(matches!(again, Err(SignInError::Link)));
    assert!(world.accounts.set_up_link().await.unwrap().is_none());
    assert_eq!(world.accounts.users().first_owner(), Some(session.user));
}

#[tokio::test]
async fn sessions_survive_a_restart_and_what_ended_stays_ended() {
    let mut world = World::owned().await;
    let kept = world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    let ended = world.sign_in("ADA@example.org ", PASSWORD).await.unwrap();
    world.accounts.sign_out(ended.user, ended.id).await.unwrap();
    assert!(world.is_live(&kept) && !world.is_live(&ended));
    world.pass(Duration::from_hours(1));
    assert!(world.is_live(&kept));
    let disk = |world: &World| -> Arc<dyn Disk> {
        // Beside the data: the engine holds its own directory.
        let path = world.dir.path().join("uses");
        std::fs::create_dir_all(&path).unwrap();
        Arc::new(RealDisk::open(&path).unwrap())
    };
    let book = || Arc::new(Book::new(Table::shipped()));
    let uses = Uses::load(disk(&world), &world.plane, book()).unwrap();
    let records = world.plane.audit().len();
    uses.store(&world.plane).unwrap();
    assert_eq!(world.plane.audit().len(), records, "uses are no records");
    drop(uses);

    let (dir, clock) = (Arc::clone(&world.dir), Arc::clone(&world.clock));
    world.threads.take().unwrap().stop();
    drop(world);
    let world = open(dir, clock);
    Uses::load(disk(&world), &world.plane, book()).unwrap();
    world.pass(SESSION_IDLE_TIME_MAX.saturating_sub(Duration::from_nanos(1)));
    assert!(world.is_live(&kept), "its use was kept");
    assert!(!world.is_live(&ended));
    world.pass(SESSION_IDLE_TIME_MAX);
    assert!(!world.is_live(&kept));
}

#[tokio::test]
async fn a_stranger_costs_as_many_hashes_as_a_user_and_reads_the_same() {
    let world = World::owned().await;
    let (mut costs, mut answers) = (Vec::new(), Vec::new());
    for (email, password) in [
        ("ada@example.org", "wrong password 1"),
        ("nobody@example.org", "wrong password 1"),
        ("no address", "wrong password 1"),
        ("nobody@example.org", PASSWORD),
    ] {
        let before = world.accounts.hash_counts().made();
        let refused = world.sign_in(email, password).await.unwrap_err();
        costs.push(world.accounts.hash_counts().made() - before);
        answers.push(refused.to_string());
    }
    assert_eq!(costs, [1; 4]);
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
}

#[tokio::test]
async fn guesses_are_counted_and_the_right_password_is_not() {
    let world = World::owned().await;
    for _ in 0..ATTEMPTS_PER_ACCOUNT * 2 {
        world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    }
    for _ in 0..ATTEMPTS_PER_ACCOUNT {
        let refused = world.sign_in("ada@example.org", "wrong password 1").await;
        assert!(matches!(refused, Err(SignInError::Refused)));
    }
    let before = world.accounts.hash_counts().made();
    let refused = world.sign_in("ada@example.org", PASSWORD).await;
    assert!(
        matches!(refused, Err(SignInError::TooMany(_))),
        "right, but too late"
    );
    assert_eq!(world.accounts.hash_counts().made(), before);
    world.pass(ATTEMPTS_PER_ACCOUNT_TIME);
    world.sign_in("ada@example.org", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn links_are_guessed_no_faster_than_passwords() {
    let world = World::owned().await;
    let guess = "A".repeat(43);
    let mut refused = 0;
    for _ in 0..ATTEMPTS_PER_ADDRESS * 2 {
        match world.accounts.verify(&guess, HERE).await {
            Err(SignInError::TooMany(_)) => refused += 1,
            Err(SignInError::Link) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(refused >= ATTEMPTS_PER_ADDRESS, "{refused}");
}

#[tokio::test]
async fn a_new_password_ends_every_session_and_the_old_password() {
    let world = World::owned().await;
    let other = world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    let asking = world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    let change = |current: &str| {
        let passwords = (current.to_owned(), "another long password".to_owned());
        world
            .accounts
            .change_password(asking.user, passwords, Method::Password, HERE)
    };
    let refused = change("wrong password 1").await;
    assert!(matches!(refused, Err(SignInError::Refused)));
    let fresh = change(PASSWORD).await.unwrap();
    assert!(!world.is_live(&other) && !world.is_live(&asking) && world.is_live(&fresh));
    let old = world.sign_in("ada@example.org", PASSWORD).await;
    assert!(matches!(old, Err(SignInError::Refused)));
    world
        .sign_in("ada@example.org", "another long password")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_reset_link_works_once_for_its_time_and_for_its_purpose() {
    let world = World::owned().await;
    let session = world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    let email = Email::parse("ada@example.org").unwrap();
    let verify = world
        .accounts
        .link(Actor::Operator, &email, Purpose::Verify)
        .await
        .unwrap();
    let token = verify.reveal().to_owned();
    let crossed = world
        .accounts
        .reset(&token, "another long password".into(), HERE)
        .await;
    assert!(matches!(crossed, Err(SignInError::Link)));
    world.accounts.verify(&token, HERE).await.unwrap();
    assert!(
        world
            .accounts
            .users()
            .get(session.user)
            .unwrap()
            .is_verified
    );

    let late = world.reset_link().await;
    world.pass(LINK_RESET_TIME);
    let refused = world
        .accounts
        .reset(late.reveal(), "another long password".into(), HERE)
        .await;
    assert!(matches!(refused, Err(SignInError::Link)));

    let (other, used) = (world.reset_link().await, world.reset_link().await);
    let fresh = world
        .accounts
        .reset(used.reveal(), "another long password".into(), HERE)
        .await;
    let fresh = fresh.unwrap();
    assert!(world.is_live(&fresh) && !world.is_live(&session));
    for token in [&used, &other] {
        let again = world
            .accounts
            .reset(token.reveal(), "a third password 3".into(), HERE)
            .await;
        assert!(
            matches!(again, Err(SignInError::Link)),
            "used, or made void by the other"
        );
    }
}

#[tokio::test]
async fn no_way_in_goes_round_the_issuer_that_an_organization_requires() {
    let world = World::owned().await;
    let user = world
        .sign_in("ada@example.org", PASSWORD)
        .await
        .unwrap()
        .user;
    let link = world.reset_link().await;
    world
        .plane
        .require_sso(By::system(), FIRST_ORG, Some("https://idp.example"))
        .await
        .unwrap();
    let sso = |refused: Result<NewSession, SignInError>| {
        assert!(
            matches!(refused, Err(SignInError::SsoRequired { .. })),
            "{refused:?}"
        );
    };
    sso(world.sign_in("ada@example.org", PASSWORD).await);
    sso(world
        .accounts
        .reset(link.reveal(), "another long password".into(), HERE)
        .await);
    let passwords = (PASSWORD.to_owned(), "another long password".to_owned());
    let change = world
        .accounts
        .change_password(user, passwords, Method::Password, HERE);
    sso(change.await);
    let now = world.clock.wall_ns();
    let start = |method: Method| {
        world
            .accounts
            .start_session(user, method, now)
            .map(|(_, s)| s)
    };
    for method in [
        Method::Password,
        Method::Reset,
        Method::Invite,
        Method::SetUp,
    ] {
        sso(start(method));
    }
    let by = |issuer: &str| Method::Oidc {
        issuer: issuer.to_owned(),
    };
    sso(start(by("https://other.example")));
    assert!(start(by("https://idp.example")).is_ok());
    // The refused reset changed nothing.
    world
        .plane
        .require_sso(By::system(), FIRST_ORG, None)
        .await
        .unwrap();
    world.sign_in("ada@example.org", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn the_oldest_session_makes_room_and_a_disabled_user_has_none() {
    let world = World::owned().await;
    let mut sessions = Vec::new();
    for _ in 0..=SESSIONS_PER_USER_MAX {
        world.pass(Duration::from_nanos(1));
        sessions.push(world.sign_in("ada@example.org", PASSWORD).await.unwrap());
    }
    let live: Vec<bool> = sessions.iter().map(|s| world.is_live(s)).collect();
    assert_eq!(
        live.iter().filter(|live| **live).count(),
        SESSIONS_PER_USER_MAX
    );
    assert!(!live[0] && live[1]);
    let user = sessions[0].user;
    world
        .accounts
        .set_disabled(Actor::Operator, user, true)
        .await
        .unwrap();
    assert!(sessions.iter().all(|session| !world.is_live(session)));
    let refused = world.sign_in("ada@example.org", PASSWORD).await;
    assert!(matches!(refused, Err(SignInError::Refused)));
    world
        .accounts
        .set_disabled(Actor::Operator, user, false)
        .await
        .unwrap();
    world.sign_in("ada@example.org", PASSWORD).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_sign_ins_at_once_make_two_hashes_at_once() {
    let world = World::owned().await;
    let all: Vec<_> = (0..200u32)
        .map(|n| {
            let accounts = Arc::clone(&world.accounts);
            let from = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n));
            tokio::spawn(async move {
                let email = format!("user-{n}@example.org");
                accounts
                    .sign_in(&email, "whatever it was".into(), from)
                    .await
            })
        })
        .collect();
    let before = world.accounts.hash_counts().made();
    for one in all {
        let refused = one.await.unwrap().unwrap_err();
        assert!(matches!(refused, SignInError::Refused), "{refused:?}");
    }
    assert!(world.accounts.hash_counts().made() >= 200 - before);
    assert_eq!(world.accounts.hash_counts().most(), HASHES_MAX);
}

#[tokio::test]
async fn no_secret_is_in_any_event() {
    let world = World::owned().await;
    let session = world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    let link = world.reset_link().await;
    let (records, _) = world
        .plane
        .audit()
        .before(FIRST_ORG, u64::MAX, (1000, 1000), |_| true);
    let shown = format!("{records:?}");
    assert!(shown.contains("ada@example.org"), "the positive control");
    for secret in [PASSWORD, session.token.reveal(), link.reveal()] {
        assert!(!shown.contains(secret));
    }
}
