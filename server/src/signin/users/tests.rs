use super::*;
use crate::control::Actor;

const HOUR: i64 = 3_600_000_000_000;

fn act(at_ns: i64, facts: Vec<Fact>) -> Act<UserEvent> {
    Act {
        actor: Actor::System,
        at_ns,
        event: UserEvent { facts },
    }
}

fn created(user: u64, email: &str) -> Fact {
    Fact::Created {
        user,
        email: email.into(),
        name: "n".into(),
    }
}

fn started(n: u8, user: u64) -> (TokenMac, Fact) {
    let mac = [n; 32];
    let fact = Fact::SessionStarted {
        mac,
        user,
        method: Method::Password,
    };
    (mac, fact)
}

#[test]
fn a_session_ends_when_idle_when_old_and_when_told() {
    let users = Users::default();
    let (mac, start) = started(1, 1);
    users
        .apply(&act(0, vec![created(1, "a@b"), start]))
        .unwrap();
    let idle = i64::try_from(SESSION_IDLE_TIME_MAX.as_nanos()).unwrap();
    let oldest = i64::try_from(SESSION_TIME_MAX.as_nanos()).unwrap();
    assert!(users.see(&mac, idle - 1).is_some());
    // Seen just now, so the idle time begins anew.
    assert!(users.see(&mac, 2 * idle - 2).is_some());
    assert!(users.see(&mac, 3 * idle).is_none());

    let (mac, start) = started(2, 1);
    users.apply(&act(0, vec![start])).unwrap();
    let mut now = 0;
    while now < oldest - HOUR {
        now += HOUR;
        assert!(users.see(&mac, now).is_some());
    }
    assert!(users.see(&mac, oldest - 1).is_some());
    assert!(
        users.see(&mac, oldest).is_none(),
        "used all the time, and yet over"
    );

    let (mac, start) = started(3, 1);
    users.apply(&act(0, vec![start])).unwrap();
    let session = SessionId::of(&mac).0;
    users
        .apply(&act(1, vec![Fact::SessionEnded { session }]))
        .unwrap();
    assert!(users.see(&mac, 2).is_none());
}

#[test]
fn all_sessions_end_but_the_one_that_asks_and_nobody_elses() {
    let users = Users::default();
    let sessions: Vec<_> = [(1, 1), (2, 1), (3, 2)]
        .iter()
        .map(|(n, u)| started(*n, *u))
        .collect();
    let mut facts = vec![created(1, "a@b"), created(2, "c@d")];
    facts.extend(sessions.iter().map(|(_, fact)| fact.clone()));
    users.apply(&act(0, facts)).unwrap();
    let except = Some(SessionId::of(&sessions[1].0).0);
    users
        .apply(&act(1, vec![Fact::SessionsEnded { user: 1, except }]))
        .unwrap();
    let live: Vec<_> = sessions
        .iter()
        .map(|(mac, _)| users.see(mac, 2).is_some())
        .collect();
    assert_eq!(live, [false, true, true]);
    users
        .apply(&act(3, vec![Fact::Disabled { user: 2 }]))
        .unwrap();
    assert!(users.see(&sessions[2].0, 4).is_none());
    assert!(users.get(UserId(2)).unwrap().is_disabled);
}

#[test]
fn what_is_swept_was_over_and_what_was_seen_is_restored() {
    let users = Users::default();
    let (mac, start) = started(1, 1);
    let link = Fact::LinkIssued {
        mac: [9; 32],
        purpose: Purpose::Reset,
        user: Some(1),
        email: "a@b".into(),
        expires_ns: HOUR,
    };
    users
        .apply(&act(0, vec![created(1, "a@b"), start, link]))
        .unwrap();
    assert!(users.seen(9).is_empty());
    assert!(users.see(&mac, HOUR).is_some());
    let seen = users.seen(9);
    assert_eq!((seen.len(), users.seen(0).len()), (1, 0));
    users.restore_seen(&[(seen[0].0, 0), (77, HOUR)]);
    assert_eq!(users.seen(9), seen, "never back, and of no stranger");

    assert!(users.link(&[9; 32], HOUR - 1).is_some());
    assert!(users.link(&[9; 32], HOUR).is_none());
    users.sweep(HOUR - 1);
    assert_eq!(users.link_count(), 1);
    users.sweep(HOUR);
    assert_eq!(
        (users.link_count(), users.sessions(UserId(1), HOUR).len()),
        (0, 1)
    );
    let idle = i64::try_from(SESSION_IDLE_TIME_MAX.as_nanos()).unwrap();
    users.sweep(HOUR + idle);
    // Also for a clock that went back.
    assert!(users.see(&mac, HOUR).is_none());
}

#[test]
fn events_that_do_not_fit_are_refused() {
    let users = Users::default();
    let linked = |user: u64| Fact::IdentityLinked {
        user,
        issuer: "https://i".into(),
        subject: "s".into(),
    };
    let facts = vec![created(1, "a@b"), created(2, "c@d"), linked(1)];
    users.apply(&act(0, facts)).unwrap();
    let apply = |fact: Fact| users.apply(&act(1, vec![fact]));
    assert_eq!(apply(created(1, "e@f")), Err(UsersError::UserTwice(1)));
    assert_eq!(apply(created(3, "a@b")), Err(UsersError::UserTwice(3)));
    assert_eq!(apply(created(0, "e@f")), Err(UsersError::UserTwice(0)));
    assert_eq!(apply(linked(2)), Err(UsersError::IdentityTwice(2)));
    assert_eq!(apply(linked(1)), Ok(()));
    assert_eq!(apply(started(1, 7).1), Err(UsersError::UnknownUser(7)));
    assert_eq!(users.by_identity("https://i", "s").unwrap().id, UserId(1));
    assert_eq!(users.by_identity("https://j", "s"), None);
    assert_eq!(users.next_user(), UserId(3));
}
