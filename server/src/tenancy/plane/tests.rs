//! Changes over a real engine in a directory of its own.

use super::*;
use crate::interpreter::Replay;
use crate::limits::{
    CONTROL_LOG_BYTES_MAX, CONTROL_LOG_RESERVE_BYTES, ENVIRONMENTS_PER_PROJECT_MAX,
    GRANTS_PER_PROJECT_MAX, INVITATIONS_PER_ORG_MAX, KEYS_PER_PROJECT_MAX, MEMBERS_PER_ORG_MAX,
    ORGS_MAX, PROJECTS_MAX, TEAMS_PER_ORG_MAX,
};
use crate::tenancy::{
    FIRST_ORG, Grantee, NewInvitation, NewKey, OrgId, Rights, Role, Scope, Scopes, UserId,
};
use obsrv_engine::engine::{Options, Threads};
use obsrv_engine::io::{Disk, OsRng, RealDisk, SystemClock};

mod bounds;

struct Live {
    plane: ControlPlane,
    threads: Option<Threads>,
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            threads.stop();
        }
    }
}

fn open(dir: &tempfile::TempDir) -> Live {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir.path()).unwrap());
    let engine = Engine::open(disk, &OsRng, Options::for_memory(64 << 20), &Replay).unwrap();
    let master = MasterSecret::from_bytes([1; 32]);
    let clock = Arc::new(SystemClock::new());
    let plane = ControlPlane::recover(Arc::clone(&engine), &master, clock, Arc::new(OsRng));
    Live {
        plane: plane.unwrap(),
        threads: Some(engine.start().unwrap()),
    }
}

const BY: fn() -> By = By::operator;

/// Everything that a test can tell two directories apart by.
fn picture(plane: &ControlPlane) -> String {
    plane.directory().read(|state| {
        let orgs: Vec<_> = state.orgs.after(OrgId(0)).collect();
        let projects: Vec<_> = state.projects.after(0).collect();
        let keys: Vec<_> = projects
            .iter()
            .flat_map(|p| state.keys.of_project(p.id.0, 0))
            .map(|key| (key.id, key.project, key.slot, key.scopes, key.is_revoked))
            .collect();
        format!("{orgs:?}\n{projects:?}\n{keys:?}\n{:?}", state.people)
    })
}

#[tokio::test]
async fn a_restart_changes_nothing_and_the_chain_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (before, key, receipt) = {
        let live = open(&dir);
        let plane = &live.plane;
        let org = plane.create_org(BY(), "Acme", "acme").await.unwrap().made;
        let project = plane
            .create_project(BY(), org, "shop")
            .await
            .unwrap()
            .made
            .id;
        let terms = KeyTerms {
            scopes: Scopes::of(&[Scope::Ingest]).unwrap(),
            ..KeyTerms::default()
        };
        let made = plane.create_key(BY(), project, terms).await.unwrap().made;
        plane.directory().authenticate(&made.key, 77).unwrap();
        plane
            .set_member(BY(), org, UserId(3), Role::Owner)
            .await
            .unwrap();
        plane
            .invite(BY(), org, "a@b.example", Role::Viewer)
            .await
            .unwrap();
        let gone = plane
            .create_project(BY(), FIRST_ORG, "gone")
            .await
            .unwrap()
            .made
            .id;
        plane.delete_project(BY(), gone).await.unwrap();
        plane.revoke_key(BY(), project, made.id).await.unwrap();
        let last = plane
            .rename_org(BY(), org, Some("Acme 2"), None)
            .await
            .unwrap();
        (picture(plane), made.key, last.place.unwrap())
    };
    let live = open(&dir);
    assert_eq!(picture(&live.plane), before);
    assert!(before.contains("Acme 2"));
    assert!(live.plane.directory().authenticate(&key, 0).is_err());
    assert_eq!(live.plane.audit().broken_at(), None);
    assert_eq!(
        live.plane.audit().len(),
        usize::try_from(receipt.number).unwrap()
    );
    let next = live.plane.create_org(BY(), "B", "b").await.unwrap();
    assert_eq!(next.made, OrgId(3));
    assert_eq!(next.place.unwrap().number, receipt.number + 1);
}

/// A second writer of the same log, as somebody who edits files would be.
#[tokio::test]
async fn a_record_that_does_not_follow_is_found_at_start() {
    let dir = tempfile::tempdir().unwrap();
    {
        let live = open(&dir);
        live.plane.create_org(BY(), "A", "a").await.unwrap();
        live.plane.writer.lock().await.hash = [9; 32];
        live.plane.create_org(BY(), "B", "b").await.unwrap();
    }
    let live = open(&dir);
    assert_eq!(live.plane.audit().broken_at(), Some(2));
    assert_eq!(live.plane.directory().read(|state| state.orgs.len()), 3);
}

#[tokio::test]
async fn a_change_whose_client_went_away_is_applied_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let live = open(&dir);
    {
        let change = live.plane.create_org(BY(), "A", "a");
        tokio::pin!(change);
        // Polled once and dropped: the event is on its way, the caller is not there.
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        assert!(change.as_mut().poll(&mut context).is_pending());
    }
    // The next change waits for the one before.
    live.plane.create_org(BY(), "B", "b").await.unwrap();
    let there = |slug: &str| {
        live.plane
            .directory()
            .read(|s| s.orgs.with_slug(slug).is_some())
    };
    assert!(there("a") && there("b"));
}

#[tokio::test]
async fn two_keys_of_a_rotation_are_live_and_a_third_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let live = open(&dir);
    let plane = &live.plane;
    let project = plane
        .create_project(BY(), FIRST_ORG, "p")
        .await
        .unwrap()
        .made
        .id;
    let first = plane
        .create_key(BY(), project, KeyTerms::default())
        .await
        .unwrap()
        .made;
    let second = plane
        .rotate_key(BY(), project, first.id, None)
        .await
        .unwrap()
        .made;
    for key in [&first.key, &second.key] {
        assert_eq!(
            plane.directory().authenticate(key, 0).unwrap().project.id.0,
            project
        );
    }
    let third = plane.rotate_key(BY(), project, second.id, None).await;
    assert!(matches!(third, Err(ChangeError::Conflict(_))));
    plane.revoke_key(BY(), project, first.id).await.unwrap();
    plane
        .rotate_key(BY(), project, second.id, None)
        .await
        .unwrap();
    let again = plane.rotate_key(BY(), project, first.id, None).await;
    assert!(
        matches!(again, Err(ChangeError::Conflict(_))),
        "a revoked key has no successor"
    );
}

#[tokio::test]
async fn a_key_ends_at_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let live = open(&dir);
    let plane = &live.plane;
    let project = plane
        .create_project(BY(), FIRST_ORG, "p")
        .await
        .unwrap()
        .made
        .id;
    let end = plane.now_ns() + 3_600_000_000_000;
    let until = |end| KeyTerms {
        expires_ns: Some(end),
        ..KeyTerms::default()
    };
    let made = plane
        .create_key(BY(), project, until(end))
        .await
        .unwrap()
        .made;
    assert!(plane.directory().authenticate(&made.key, end - 1).is_ok());
    assert!(plane.directory().authenticate(&made.key, end).is_err());
    let past = plane
        .create_key(BY(), project, until(plane.now_ns() - 1))
        .await;
    assert!(matches!(past, Err(ChangeError::Invalid(_))));
}

fn org_event(event: OrgEvent) -> ControlEvent {
    ControlEvent::Org(Act {
        actor: Actor::System,
        at_ns: 0,
        event,
    })
}

/// The limits, and what was asked for: a thousand organizations with ten projects each fit.
#[tokio::test]
async fn organizations_and_projects_up_to_the_limit_and_not_one_more() {
    let dir = tempfile::tempdir().unwrap();
    let live = open(&dir);
    let directory = live.plane.directory();
    let fill = |event| directory.apply(&org_event(event)).unwrap();
    for n in 2..u64::try_from(ORGS_MAX).unwrap() {
        let (name, slug) = (format!("Org {n}"), format!("o{n}"));
        fill(OrgEvent::OrgCreated {
            org: OrgId(n),
            name,
            slug,
        });
    }
    for n in 1..u64::try_from(PROJECTS_MAX).unwrap() {
        let (org, name) = (OrgId(2 + n / 10), format!("p{n}"));
        fill(OrgEvent::ProjectCreated {
            project: n,
            org,
            name,
        });
    }
    live.plane.create_org(BY(), "last", "last").await.unwrap();
    live.plane
        .create_project(BY(), FIRST_ORG, "last")
        .await
        .unwrap();
    let more = live.plane.create_org(BY(), "more", "more").await;
    assert!(matches!(
        more,
        Err(ChangeError::TooMany { max: ORGS_MAX, .. })
    ));
    let more = live.plane.create_project(BY(), FIRST_ORG, "more").await;
    assert!(matches!(
        more,
        Err(ChangeError::TooMany {
            max: PROJECTS_MAX,
            ..
        })
    ));
    let tenth = directory.read(|state| state.projects.in_org(OrgId(1001), 0).count());
    assert_eq!(tenth, 10);
}

#[tokio::test]
async fn environments_and_keys_up_to_the_limit_and_not_one_more() {
    let dir = tempfile::tempdir().unwrap();
    let live = open(&dir);
    let plane = &live.plane;
    let project = plane
        .create_project(BY(), FIRST_ORG, "p")
        .await
        .unwrap()
        .made
        .id;
    for n in 1..ENVIRONMENTS_PER_PROJECT_MAX {
        let (name, present) = (format!("e{n}"), true);
        let event = OrgEvent::EnvironmentSet {
            project,
            name,
            present,
        };
        plane.directory().apply(&org_event(event)).unwrap();
    }
    plane
        .set_environment(BY(), project, "last", true)
        .await
        .unwrap();
    let more = plane.set_environment(BY(), project, "more", true).await;
    assert!(matches!(more, Err(ChangeError::TooMany { .. })));
    for n in 1..u64::try_from(KEYS_PER_PROJECT_MAX).unwrap() {
        let mut mac = [0; 32];
        mac[..8].copy_from_slice(&n.to_le_bytes());
        let new = NewKey {
            key: n,
            project,
            slot: n,
            mac,
            name: String::new(),
            scopes: Scopes::ALL,
            expires_ns: None,
        };
        plane
            .directory()
            .apply(&org_event(OrgEvent::KeyCreated(new)))
            .unwrap();
    }
    plane
        .create_key(BY(), project, KeyTerms::default())
        .await
        .unwrap();
    let more = plane.create_key(BY(), project, KeyTerms::default()).await;
    assert!(matches!(more, Err(ChangeError::TooMany { .. })));
    plane.revoke_key(BY(), project, 1).await.unwrap();
    plane
        .create_key(BY(), project, KeyTerms::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn names_slugs_and_addresses_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let live = open(&dir);
    let plane = &live.plane;
    for slug in [
        "",
        "A",
        "a b",
        "-a",
        "a-",
        "ä",
        &"a".repeat(SLUG_BYTES_MAX + 1),
    ] {
        let made = plane.create_org(BY(), "n", slug).await;
        assert!(matches!(made, Err(ChangeError::Slug(_))), "{slug}");
    }
    plane
        .create_org(BY(), "n", &"a".repeat(SLUG_BYTES_MAX))
        .await
        .unwrap();
    for name in ["", " ", "a\nb", &"n".repeat(PROJECT_NAME_BYTES_MAX + 1)] {
        let made = plane.create_project(BY(), FIRST_ORG, name).await;
        assert!(matches!(made, Err(ChangeError::Name(_))), "{name}");
    }
    for email in ["", "a", "@b", "a@", "a b@c", "a\r\nBcc: x@y"] {
        let made = plane.invite(BY(), FIRST_ORG, email, Role::Viewer).await;
        assert!(matches!(made, Err(ChangeError::Invalid(_))), "{email}");
    }
    for issuer in ["http://id.example", "https://a b", "id.example"] {
        let set = plane.require_sso(BY(), FIRST_ORG, Some(issuer)).await;
        assert!(matches!(set, Err(ChangeError::Invalid(_))), "{issuer}");
    }
}

#[tokio::test]
async fn the_control_log_takes_its_limit_and_not_a_byte_more() {
    let dir = tempfile::tempdir().unwrap();
    let live = open(&dir);
    let audit = live.plane.audit();
    live.plane.create_org(BY(), "0", "a").await.unwrap();
    let one = audit.bytes();
    let project = live
        .plane
        .create_project(BY(), FIRST_ORG, "p")
        .await
        .unwrap()
        .made
        .id;
    let terms = KeyTerms::default();
    let key = live
        .plane
        .create_key(BY(), project, terms)
        .await
        .unwrap()
        .made
        .id;
    let filled = CONTROL_LOG_BYTES_MAX - CONTROL_LOG_RESERVE_BYTES - audit.bytes() - one;
    audit.push(
        vec![0; filled].into(),
        CHAIN_START,
        super::super::directory::Whereabouts::default(),
    );
    live.plane.create_org(BY(), "1", "b").await.unwrap();
    let room = CONTROL_LOG_BYTES_MAX - CONTROL_LOG_RESERVE_BYTES;
    assert_eq!(audit.bytes(), room);
    let more = live.plane.create_org(BY(), "2", "c").await;
    assert!(matches!(more, Err(ChangeError::TooMany { max, .. }) if max == room));
    // What ends somebody's access has room of its own, up to the very end.
    live.plane.revoke_key(BY(), project, key).await.unwrap();
    let one = audit.bytes() - room;
    let filled = CONTROL_LOG_RESERVE_BYTES - one;
    audit.push(
        vec![0; filled].into(),
        CHAIN_START,
        super::super::directory::Whereabouts::default(),
    );
    let more = live.plane.delete_project(BY(), project).await;
    let max = CONTROL_LOG_BYTES_MAX;
    assert!(matches!(more, Err(ChangeError::TooMany { max: m, .. }) if m == max));
}

/// What cannot be read back at the next start is never written.
#[tokio::test]
async fn an_event_that_is_too_large_is_refused_and_the_largest_of_ours_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let live = open(&dir);
    let note = |bytes: usize| AuditNote {
        action: control::AuditAction::Exported,
        org: None,
        project: None,
        subject: "x".repeat(bytes),
    };
    let max = crate::limits::CONTROL_EVENT_BYTES_MAX;
    let large = live.plane.note(Actor::System, note(max)).await;
    assert!(matches!(large, Err(ChangeError::Invalid(_))));
    live.plane.note(Actor::System, note(max / 2)).await.unwrap();
    // As many as an older obsrv wrote.
    let last = vec![(u64::MAX, i64::MIN); 128];
    let used = org_event(OrgEvent::KeysUsed { last });
    live.plane.append(vec![used]).await.unwrap();
    drop(live);
    assert_eq!(open(&dir).plane.audit().len(), 2);
}

#[tokio::test]
async fn people_up_to_the_limits_and_not_one_more() {
    let dir = tempfile::tempdir().unwrap();
    let live = open(&dir);
    let plane = &live.plane;
    let (org, role) = (FIRST_ORG, Role::Viewer);
    let project = plane.create_project(BY(), org, "p").await.unwrap().made.id;
    let fill = |event| plane.directory().apply(&org_event(event)).unwrap();
    let numbers = |max: usize| 1..u64::try_from(max).unwrap();
    let is_full = |result: Result<(), ChangeError>| {
        assert!(
            matches!(result, Err(ChangeError::TooMany { .. })),
            "{result:?}"
        );
    };
    for n in numbers(MEMBERS_PER_ORG_MAX) {
        let user = UserId(n);
        fill(OrgEvent::MemberSet { org, user, role });
    }
    plane
        .set_member(BY(), org, UserId(1 << 40), role)
        .await
        .unwrap();
    is_full(
        plane
            .set_member(BY(), org, UserId(1 << 41), role)
            .await
            .map(drop),
    );
    for team in numbers(TEAMS_PER_ORG_MAX) {
        let name = format!("t{team}");
        fill(OrgEvent::TeamCreated { team, org, name });
    }
    plane.create_team(BY(), org, "last").await.unwrap();
    is_full(plane.create_team(BY(), org, "more").await.map(drop));
    for n in numbers(GRANTS_PER_PROJECT_MAX) {
        let grantee = Grantee::User(UserId(n));
        fill(OrgEvent::GrantSet {
            project,
            grantee,
            role,
        });
    }
    let user = |id| Grantee::User(UserId(id));
    plane
        .set_grant(BY(), project, user(1 << 40), role)
        .await
        .unwrap();
    is_full(
        plane
            .set_grant(BY(), project, user(1 << 41), role)
            .await
            .map(drop),
    );
    for n in numbers(INVITATIONS_PER_ORG_MAX) {
        let mut mac = [0; 32];
        mac[..8].copy_from_slice(&n.to_le_bytes());
        fill(OrgEvent::Invited(NewInvitation {
            invitation: n,
            org,
            email: "a@b.example".into(),
            role,
            mac,
            expires_ns: i64::MAX,
        }));
    }
    plane.invite(BY(), org, "a@b.example", role).await.unwrap();
    is_full(plane.invite(BY(), org, "a@b.example", role).await.map(drop));
}
