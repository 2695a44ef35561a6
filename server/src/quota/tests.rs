//! Limits at the number and one above, counts that survive.

use std::sync::Arc;

use obsrv_engine::engine::Options;
use obsrv_engine::io::{OsRng, RealDisk};
use proptest::prelude::*;

use super::*;
use crate::dialect::parse_time;
use crate::interpreter::Replay;
use crate::limits::RATE_BURST_TIME;

const SECOND: u64 = 1_000_000_000;

fn at(text: &str) -> Now {
    Now {
        wall_ns: parse_time(text).unwrap(),
        mono_ns: 5,
    }
}

fn now() -> Now {
    at("2026-11-21T12:00:00Z")
}

fn party<'a>(key: u64, limits: &'a Limits, plan: &'a Plan) -> Party<'a> {
    Party {
        project: 1,
        key,
        organization: 9,
        limits,
        plan,
    }
}

fn spans(spans: u64) -> Amounts {
    Amounts {
        traces: 1,
        spans,
        bytes: spans * 10,
        queries: 0,
    }
}

fn month_of(ceiling: Ceiling) -> Plan {
    Plan {
        name: "p".into(),
        month: ceiling,
        day: Ceiling::default(),
    }
}

#[test]
fn a_rate_of_the_project_counts_all_keys_and_one_of_a_key_its_own() {
    let rates = Rates {
        requests_per_second: Some(2),
        ..Rates::default()
    };
    let burst = RATE_BURST_TIME.as_secs() * 2;
    for of_key in [false, true] {
        let limits = Limits {
            project: if of_key { Rates::default() } else { rates },
            key: if of_key { rates } else { Rates::default() },
        };
        let (quota, plan) = (Quota::default(), Plan::default());
        let send = |key: u64| quota.admit(party(key, &limits, &plan), Wish::Send(1), now());
        for _ in 0..burst {
            assert_eq!(send(1), Ok(()));
        }
        let refusal = send(1).unwrap_err();
        let scope = if of_key { "key" } else { "project" };
        assert_eq!(
            (refusal.scope, refusal.name),
            (scope, "requests_per_second")
        );
        assert_eq!((refusal.value, refusal.is_plan()), (2, false));
        assert_eq!(send(2).is_ok(), of_key, "another key");
        // Queries have a bucket of their own.
        assert_eq!(
            quota.admit(party(1, &limits, &plan), Wish::Ask, now()),
            Ok(())
        );
        let later = Now {
            mono_ns: 5 + refusal.wait_ns,
            ..now()
        };
        assert_eq!(
            quota.admit(party(1, &limits, &plan), Wish::Send(1), later),
            Ok(())
        );
    }
}

#[test]
fn rows_and_bytes_are_paid_when_they_are_known() {
    let rates = Rates {
        spans_per_second: Some(10),
        ..Rates::default()
    };
    let limits = Limits {
        project: rates,
        key: Rates::default(),
    };
    let (quota, plan) = (Quota::default(), Plan::default());
    let who = party(1, &limits, &plan);
    assert_eq!(quota.admit(who, Wish::Send(1), now()), Ok(()));
    let taken = quota.take(who, spans(1_000), now()).unwrap();
    let refusal = quota.admit(who, Wish::Send(1), now()).unwrap_err();
    assert_eq!(refusal.name, "spans_per_second");
    assert_eq!(refusal.wait_ns, 90 * SECOND + 1);
    // What was not stored is not owed.
    quota.give_back(who, taken);
    assert_eq!(quota.admit(who, Wish::Send(1), now()), Ok(()));
    assert_eq!(quota.used_by_project(1, now()).month, Amounts::default());
}

#[test]
fn what_is_given_back_late_leaves_a_new_day_or_month_as_it_is() {
    let (limits, plan) = (Limits::default(), Plan::default());
    let who = party(1, &limits, &plan);
    for later in [
        "2026-11-29T23:59:59Z",
        "2026-11-30T00:00:00Z",
        "2026-12-01T00:00:00Z",
    ] {
        let (quota, later) = (Quota::default(), at(later));
        let taken = quota.take(who, spans(5), at("2026-11-29T23:59:58Z"));
        quota.take(who, spans(3), later).unwrap();
        quota.give_back(who, taken.unwrap());
        let of_key = quota.used_by_keys(1, later);
        for used in [
            quota.used_by_project(1, later),
            quota.used_by_organization(9, later),
            of_key[0].1,
        ] {
            assert_eq!((used.day, used.month), (spans(3), spans(3)));
        }
    }
}

#[test]
fn a_plan_holds_to_the_last_row_and_ends_with_its_time() {
    let plan = month_of(Ceiling {
        spans: Some(10),
        ..Ceiling::default()
    });
    let (quota, limits) = (Quota::default(), Limits::default());
    let who = party(1, &limits, &plan);
    assert!(quota.take(who, spans(9), now()).is_ok());
    let refusal = quota.take(who, spans(2), now()).unwrap_err();
    assert_eq!(
        (refusal.scope, refusal.name, refusal.period),
        ("organization", "spans", "month")
    );
    assert_eq!((refusal.value, refusal.is_plan()), (10, true));
    assert_eq!(
        refusal.resets_ns,
        parse_time("2026-12-01T00:00:00Z").unwrap()
    );
    assert_eq!(quota.admit(who, Wish::Send(0), now()), Ok(()));
    assert!(quota.take(who, spans(1), now()).is_ok());
    // From here on nothing is read any more; other projects of the organization neither.
    assert!(quota.admit(who, Wish::Send(0), now()).is_err());
    let other = Party { project: 2, ..who };
    assert!(quota.admit(other, Wish::Send(0), now()).is_err());
    let elsewhere = Party {
        organization: 8,
        ..who
    };
    assert_eq!(quota.admit(elsewhere, Wish::Send(0), now()), Ok(()));
    assert_eq!(
        quota.admit(who, Wish::Ask, now()),
        Ok(()),
        "queries are not limited"
    );
    assert_eq!(quota.used_by_organization(9, now()).day.spans, 10);
    assert_eq!(
        quota
            .used_by_organization(9, at("2026-11-22T00:00:00Z"))
            .day
            .spans,
        0
    );
    assert_eq!(
        quota
            .used_by_organization(9, at("2026-11-22T00:00:00Z"))
            .month
            .spans,
        10
    );
    assert_eq!(
        quota.admit(who, Wish::Send(0), at("2026-12-01T00:00:00Z")),
        Ok(())
    );
}

/// Each amount alone, and the ceiling of it alone.
fn of_each(n: u64) -> [(&'static str, Amounts, Ceiling); 4] {
    let (nothing, open) = (Amounts::default(), Ceiling::default());
    [
        (
            "traces",
            Amounts {
                traces: n,
                ..nothing
            },
            Ceiling {
                traces: Some(3),
                ..open
            },
        ),
        (
            "spans",
            Amounts {
                spans: n,
                ..nothing
            },
            Ceiling {
                spans: Some(3),
                ..open
            },
        ),
        (
            "bytes",
            Amounts {
                bytes: n,
                ..nothing
            },
            Ceiling {
                bytes: Some(3),
                ..open
            },
        ),
        (
            "queries",
            Amounts {
                queries: n,
                ..nothing
            },
            Ceiling {
                queries: Some(3),
                ..open
            },
        ),
    ]
}

#[test]
fn every_ceiling_takes_what_is_at_it_and_refuses_one_more() {
    let limits = Limits::default();
    for ((name, one, ceiling), (_, three, _)) in of_each(1).into_iter().zip(of_each(3)) {
        for period in ["day", "month"] {
            let mut plan = month_of(Ceiling::default());
            if period == "day" {
                plan.day = ceiling;
            } else {
                plan.month = ceiling;
            }
            let (quota, who) = (Quota::default(), party(1, &limits, &plan));
            assert!(quota.take(who, three, now()).is_ok(), "{name} {period}");
            let refusal = quota.take(who, one, now()).unwrap_err();
            assert_eq!((refusal.name, refusal.period), (name, period));
            assert_eq!((refusal.value, refusal.scope), (3, "organization"));
            let ends = now().wall_ns + i64::try_from(refusal.wait_ns).unwrap();
            assert_eq!(refusal.resets_ns, ends);
            assert_eq!(quota.used_by_organization(9, now()).month, three);
            let four = three.plus(one);
            let quota = Quota::default();
            assert_eq!(quota.take(who, four, now()).unwrap_err().name, name);
            assert_eq!(quota.used_by_organization(9, now()), Used::default());
        }
    }
}

#[test]
fn every_rate_lets_in_what_it_holds_and_refuses_one_more() {
    let (open, plan) = (Rates::default(), Plan::default());
    let two = Some(2);
    let all = [
        Rates {
            requests_per_second: two,
            ..open
        },
        Rates {
            spans_per_second: two,
            ..open
        },
        Rates {
            bytes_per_second: two,
            ..open
        },
        Rates {
            queries_per_second: two,
            ..open
        },
    ];
    let held = 2 * RATE_BURST_TIME.as_secs();
    for (kind, rates) in all.into_iter().enumerate() {
        let limits = Limits {
            project: open,
            key: rates,
        };
        let (quota, who) = (Quota::default(), party(1, &limits, &plan));
        let wish = if kind == QUERIES {
            Wish::Ask
        } else {
            Wish::Send(1)
        };
        let one = Amounts {
            spans: 1,
            bytes: 1,
            ..Amounts::default()
        };
        for n in 0..held {
            assert_eq!(quota.admit(who, wish, now()), Ok(()), "{n}");
            if wish != Wish::Ask {
                quota.take(who, one, now()).unwrap();
            }
        }
        let refusal = quota.admit(who, wish, now()).unwrap_err();
        assert_eq!(
            (refusal.name, refusal.scope, refusal.period, refusal.value),
            (RATE_NAMES[kind], "key", "second", 2)
        );
        assert!(!refusal.is_plan() && refusal.wait_ns > 0);
    }
}

#[test]
fn a_body_that_is_announced_as_too_large_for_the_plan_is_not_read() {
    let plan = month_of(Ceiling {
        bytes: Some(100),
        ..Ceiling::default()
    });
    let (quota, limits) = (Quota::default(), Limits::default());
    let who = party(1, &limits, &plan);
    assert_eq!(quota.admit(who, Wish::Send(100), now()), Ok(()));
    assert_eq!(
        quota.admit(who, Wish::Send(101), now()).unwrap_err().name,
        "bytes"
    );
    let plan = Plan {
        day: Ceiling {
            queries: Some(1),
            ..Ceiling::default()
        },
        ..plan
    };
    let who = party(1, &limits, &plan);
    assert_eq!(quota.admit(who, Wish::Ask, now()), Ok(()));
    let refusal = quota.admit(who, Wish::Ask, now()).unwrap_err();
    assert_eq!((refusal.name, refusal.period), ("queries", "day"));
}

proptest! {
    /// However requests, refusals and losses interleave, what is counted is what was stored, and
    /// never more than the plan.
    #[test]
    fn counts_are_exact(wishes in proptest::collection::vec((1..9_u64, any::<bool>(), 1..4_u64, 0..3_u64), 1..60)) {
        let plan = month_of(Ceiling { spans: Some(100), traces: Some(30), ..Ceiling::default() });
        let (quota, limits) = (Quota::default(), Limits::default());
        let mut stored = Amounts::default();
        for (n, is_lost, project, key) in wishes {
            let who = Party { project, ..party(key, &limits, &plan) };
            let fits = stored.spans + n <= 100 && stored.traces < 30;
            let taken = quota.take(who, spans(n), now());
            prop_assert_eq!(taken.is_ok(), fits);
            match taken {
                Ok(taken) if is_lost => quota.give_back(who, taken),
                Ok(_) => stored = stored.plus(spans(n)),
                Err(_) => {}
            }
        }
        prop_assert_eq!(quota.used_by_organization(9, now()).month, stored);
        for project in 1..4 {
            let of_keys = quota.used_by_keys(project, now());
            let sum = of_keys.iter().fold(Amounts::default(), |sum, (_, used)| sum.plus(used.month));
            prop_assert_eq!(sum, quota.used_by_project(project, now()).month);
        }
        let projects = (1..4).map(|p| quota.used_by_project(p, now()).month.spans);
        prop_assert_eq!(projects.sum::<u64>(), stored.spans);
    }
}

fn rows_of(users: &[(User, Used)], user: User) -> Option<u64> {
    let found = users.iter().find(|(one, _)| *one == user);
    found.map(|(_, used)| used.month.spans)
}

#[test]
fn so_many_keys_are_counted_apart_and_more_together() {
    let (quota, limits, plan) = (Quota::default(), Limits::default(), Plan::default());
    let send = |key: u64, now| {
        quota
            .take(party(key, &limits, &plan), spans(1), now)
            .unwrap()
    };
    let many = u64::try_from(USAGE_KEYS_MAX).unwrap();
    for key in 1..=many {
        send(key, now());
    }
    let users = quota.used_by_keys(1, now());
    assert_eq!(users.len(), USAGE_KEYS_MAX);
    assert_eq!(rows_of(&users, User::Key(many)), Some(1));
    assert_eq!(rows_of(&users, User::OtherKeys), None);

    // One more, and people, who take no key's place. Keys that have theirs go on in it.
    let of_others = send(many + 1, now());
    send(NO_KEY, now());
    send(1, now());
    quota.report(party(many + 2, &limits, &plan), 7, now());
    quota.give_back(party(many + 1, &limits, &plan), of_others);
    send(many + 1, now());
    let users = quota.used_by_keys(1, now());
    assert_eq!(users.len(), USAGE_KEYS_MAX + 2);
    assert_eq!(rows_of(&users, User::Key(1)), Some(2));
    assert_eq!(rows_of(&users, User::People), Some(1));
    assert_eq!(rows_of(&users, User::OtherKeys), Some(1));
    let others = users.iter().find(|(user, _)| *user == User::OtherKeys);
    assert_eq!(others.unwrap().1.reported, 7);

    // The places of a month are free in the next, whether or not the old counts are stored yet.
    let later = at("2026-12-01T00:00:00Z");
    assert_eq!(quota.used_by_keys(1, later), []);
    for key in (2..=many + 1).rev() {
        send(key, later);
    }
    // What was counted among the others is not owed to the key that stands apart now.
    quota.give_back(party(many + 1, &limits, &plan), of_others);
    let users = quota.used_by_keys(1, later);
    assert_eq!(users.len(), USAGE_KEYS_MAX);
    assert_eq!(rows_of(&users, User::Key(many + 1)), Some(1));
    send(1, later);
    let users = quota.used_by_keys(1, later);
    assert_eq!(rows_of(&users, User::Key(1)), None);
    assert_eq!(rows_of(&users, User::OtherKeys), Some(1));
}

/// Counts come back after the process is gone, from the log and from a segment.
#[tokio::test]
async fn counts_are_stored_as_rows() {
    let dir = tempfile::tempdir().unwrap();
    let (limits, plan) = (Limits::default(), Plan::default());
    let who = party(0x7f, &limits, &plan);
    let mut expected = Used::default();
    for round in 0..3_u64 {
        let disk = Arc::new(RealDisk::open(dir.path()).unwrap());
        let engine = Engine::open(disk, &OsRng, Options::for_memory(64 << 20), &Replay).unwrap();
        let threads = engine.start().unwrap();
        let quota = Quota::load(&engine, now().wall_ns).unwrap();
        assert_eq!(quota.used_by_project(1, now()), expected, "round {round}");
        assert_eq!(quota.used_by_organization(9, now()), expected);
        let of_key = (round > 0).then_some((User::Key(0x7f), expected));
        assert_eq!(
            quota.used_by_keys(1, now()),
            of_key.into_iter().collect::<Vec<_>>()
        );
        for _ in 0..3 {
            quota.take(who, spans(round + 1), now()).unwrap();
            quota.report(who, 2, now());
            expected.day = expected.day.plus(spans(round + 1));
            expected.reported += 2;
            quota.store(&engine, now()).await;
        }
        expected.month = expected.day;
        let before = engine.stats().records;
        quota.store(&engine, now()).await;
        assert_eq!(engine.stats().records, before, "nothing has changed");
        if round == 0 {
            // The next month begins at nothing, whatever is stored of this one.
            let later = Quota::load(&engine, at("2026-12-01T00:00:00Z").wall_ns).unwrap();
            assert_eq!(
                later.used_by_project(1, at("2026-12-01T00:00:00Z")),
                Used::default()
            );
        }
        threads.stop();
    }
}

#[test]
fn what_is_idle_is_forgotten() {
    let rates = Rates {
        requests_per_second: Some(1),
        ..Rates::default()
    };
    let limits = Limits {
        project: rates,
        key: rates,
    };
    let (quota, plan) = (Quota::default(), Plan::default());
    for project in 0..100 {
        let who = Party {
            project,
            ..party(1, &limits, &plan)
        };
        quota.admit(who, Wish::Send(1), now()).unwrap();
    }
    assert_eq!(quota.sizes(), (0, 200));
    quota.changed(Now {
        mono_ns: 5 + SECOND / 2,
        ..now()
    });
    assert_eq!(quota.sizes(), (0, 200), "still owed");
    quota.changed(Now {
        mono_ns: 5 + SECOND,
        ..now()
    });
    assert_eq!(quota.sizes(), (0, 0));
}

/// More meters than go into one record, all of which change again and again while they are stored: each is stored
/// once, those at the end as well.
#[tokio::test]
async fn storing_ends_while_counts_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk::open(dir.path()).unwrap());
    let engine = Engine::open(disk, &OsRng, Options::for_memory(64 << 20), &Replay).unwrap();
    let threads = engine.start().unwrap();
    let (quota, limits, plan) = (Quota::default(), Limits::default(), Plan::default());
    let many = u64::try_from(USAGE_ROWS_MAX).unwrap();
    let send_all = || {
        for project in 1..=many {
            let who = Party {
                project,
                ..party(1, &limits, &plan)
            };
            quota.take(who, spans(1), now()).unwrap();
        }
    };
    send_all();
    let before = engine.stats().records;
    let mut store = std::pin::pin!(quota.store(&engine, now()));
    std::future::poll_fn(|context| {
        send_all();
        let done = store.as_mut().poll(context);
        assert!(engine.stats().records <= before + 3);
        done
    })
    .await;
    // Of projects, of their keys, of the organization.
    assert_eq!(engine.stats().records, before + 3);
    let stored = Quota::load(&engine, now().wall_ns).unwrap();
    for project in 1..=many {
        assert_ne!(stored.used_by_project(project, now()), Used::default());
        assert_eq!(stored.used_by_keys(project, now()).len(), 1);
    }
    threads.stop();
}
