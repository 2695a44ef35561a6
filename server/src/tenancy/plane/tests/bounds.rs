//! What one principal, one organization and one key may do, and no more.

use super::*;
use crate::limits::{
    COMMENTS_PER_PROJECT_MAX, CONTROL_BYTES_PER_PRINCIPAL, CONTROL_LOG_BYTES_PER_ORG_MAX,
    DEAD_KEYS_PER_PROJECT_MAX, KEYS_PER_ORG_MAX, PROJECTS_PER_ORG_MAX,
};
use crate::tenancy::directory::Whereabouts;
use crate::tenancy::views::{Comment, ViewEvent};

fn at(org: OrgId) -> Whereabouts {
    Whereabouts {
        org: Some(org),
        project: None,
        others: Box::default(),
    }
}

fn by_key(id: u64) -> By {
    By::new(Actor::Key(id), Rights::of_scopes(Scopes::ALL))
}

async fn project(plane: &ControlPlane, org: OrgId, name: &str) -> u64 {
    let made = plane.create_project(BY(), org, name).await;
    made.unwrap().made.id
}

async fn key(plane: &ControlPlane, by: By, project: u64, expires_ns: Option<i64>) -> CreatedKey {
    let terms = KeyTerms {
        expires_ns,
        ..KeyTerms::default()
    };
    plane.create_key(by, project, terms).await.unwrap().made
}

fn is_open(plane: &ControlPlane, key: &CreatedKey) -> bool {
    let now = plane.now_ns();
    plane.directory().authenticate(&key.key, now).is_ok()
}

#[tokio::test]
async fn an_organization_that_filled_its_share_changes_nothing_more_and_others_do() {
    let dir = tempfile::tempdir().unwrap();
    let live = open(&dir);
    let plane = &live.plane;
    let full = plane.create_org(BY(), "Full", "full").await.unwrap().made;
    let other = plane.create_org(BY(), "Other", "other").await.unwrap().made;
    let doomed = project(plane, full, "p").await;
    let audit = plane.audit();
    let before = audit.bytes();
    project(plane, full, "q").await;
    let one = audit.bytes() - before;
    let filled = CONTROL_LOG_BYTES_PER_ORG_MAX - audit.bytes_of(full) - one;
    audit.push(vec![0; filled].into(), CHAIN_START, at(full));
    project(plane, full, "r").await;
    let max = CONTROL_LOG_BYTES_PER_ORG_MAX;
    assert_eq!(audit.bytes_of(full), max);
    let more = plane.create_project(BY(), full, "s").await;
    assert!(matches!(more, Err(ChangeError::TooMany { max: m, .. }) if m == max));
    project(plane, other, "s").await;
    plane.delete_project(BY(), doomed).await.unwrap();
}

#[tokio::test]
async fn one_principal_changes_so_much_at_a_time_and_may_always_take_away() {
    let dir = tempfile::tempdir().unwrap();
    let live = open(&dir);
    let plane = &live.plane;
    let project = project(plane, FIRST_ORG, "p").await;
    let busy = key(plane, BY(), project, None).await;
    let note = |bytes| AuditNote {
        action: control::AuditAction::Exported,
        org: Some(FIRST_ORG),
        project: None,
        subject: "x".repeat(bytes),
    };
    let actor = Actor::Key(busy.id);
    let mut noted = 0;
    let refused = loop {
        match plane.note(actor, note(4000)).await {
            Ok(()) => noted += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(refused, ChangeError::TooFast { .. }),
        "{refused:?}"
    );
    assert!((noted - 5) * 4000 < CONTROL_BYTES_PER_PRINCIPAL, "{noted}");
    let other = Actor::Key(busy.id + 1);
    plane.note(other, note(4000)).await.unwrap();
    plane
        .revoke_key(by_key(busy.id), project, busy.id)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_key_made_by_a_key_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let live = open(&dir);
    let plane = &live.plane;
    let project = project(plane, FIRST_ORG, "p").await;
    let end = plane.now_ns() + 3_600_000_000_000;
    let maker = key(plane, BY(), project, Some(end)).await;
    let by = by_key(maker.id);
    let later = KeyTerms {
        expires_ns: Some(end + 1),
        ..KeyTerms::default()
    };
    let later = plane.create_key(by, project, later).await;
    assert!(matches!(later, Err(ChangeError::Invalid(_))));
    let child = key(plane, by, project, None).await;
    let expires = |id| {
        plane
            .directory()
            .read(|s| s.keys.get(id).unwrap().expires_ns)
    };
    assert_eq!(expires(child.id), Some(end));
    let rotated = plane.rotate_key(by, project, maker.id, Some(end + 1)).await;
    assert!(matches!(rotated, Err(ChangeError::Invalid(_))));

    let grandchild = key(plane, by_key(child.id), project, None).await;
    let stranger = key(plane, BY(), project, None).await;
    let successor = plane.rotate_key(by, project, maker.id, None).await;
    let successor = successor.unwrap().made;
    // As long as the successor goes on, so does what was made.
    plane.revoke_key(BY(), project, maker.id).await.unwrap();
    assert!(is_open(plane, &child) && is_open(plane, &grandchild));
    plane.revoke_key(BY(), project, successor.id).await.unwrap();
    assert!(!is_open(plane, &child) && !is_open(plane, &grandchild));
    assert!(is_open(plane, &stranger));
    drop(live);
    let live = open(&dir);
    assert!(!is_open(&live.plane, &grandchild) && is_open(&live.plane, &stranger));
}

fn new_key(key: u64, project: u64, expires_ns: Option<i64>) -> NewKey {
    let mut mac = [0; 32];
    mac[..8].copy_from_slice(&key.to_le_bytes());
    NewKey {
        key,
        project,
        slot: key,
        mac,
        name: String::new(),
        scopes: Scopes::ALL,
        expires_ns,
    }
}

#[tokio::test]
async fn an_organization_has_so_many_projects_and_live_keys_and_not_one_more() {
    let dir = tempfile::tempdir().unwrap();
    let live = open(&dir);
    let plane = &live.plane;
    let org = plane.create_org(BY(), "o", "o").await.unwrap().made;
    let fill = |event| plane.directory().apply(&org_event(event)).unwrap();
    for n in 1..u64::try_from(PROJECTS_PER_ORG_MAX).unwrap() {
        let name = format!("p{n}");
        fill(OrgEvent::ProjectCreated {
            project: n,
            org,
            name,
        });
    }
    let last = project(plane, org, "last").await;
    let more = plane.create_project(BY(), org, "more").await;
    assert!(matches!(more, Err(ChangeError::TooMany { .. })));
    plane.delete_project(BY(), last).await.unwrap();
    project(plane, org, "more").await;

    for n in 1..u64::try_from(KEYS_PER_ORG_MAX).unwrap() {
        // Ten in each project.
        fill(OrgEvent::KeyCreated(new_key(n, 1 + n % 900, None)));
    }
    key(plane, BY(), 1, None).await;
    let more = plane.create_key(BY(), 2, KeyTerms::default()).await;
    assert!(matches!(more, Err(ChangeError::TooMany { .. })));
    let elsewhere = project(plane, FIRST_ORG, "p").await;
    key(plane, BY(), elsewhere, None).await;
    // What is dead makes room.
    plane.revoke_key(BY(), 2, 1).await.unwrap();
    key(plane, BY(), 2, None).await;
}

#[tokio::test]
async fn a_project_has_so_many_comments_and_not_one_more() {
    let dir = tempfile::tempdir().unwrap();
    let live = open(&dir);
    let plane = &live.plane;
    let project = project(plane, FIRST_ORG, "p").await;
    let about = |project| Comment {
        comment: 0,
        project,
        trace_id: "t".to_owned(),
        span_id: String::new(),
        text: "hm".to_owned(),
    };
    for n in 1..u64::try_from(COMMENTS_PER_PROJECT_MAX).unwrap() {
        let comment = Comment {
            comment: n,
            ..about(project)
        };
        let event = ControlEvent::Views(Act {
            actor: Actor::System,
            at_ns: 0,
            event: ViewEvent::Commented(comment),
        });
        plane.directory().apply(&event).unwrap();
    }
    let last = plane.comment(BY(), about(project)).await.unwrap().made;
    let more = plane.comment(BY(), about(project)).await;
    assert!(
        matches!(more, Err(ChangeError::TooMany { max, .. }) if max == COMMENTS_PER_PROJECT_MAX),
        "{more:?}"
    );
    // Another project has its own, and what is deleted makes room.
    let other = self::project(plane, FIRST_ORG, "q").await;
    plane.comment(BY(), about(other)).await.unwrap();
    plane
        .delete_comment(BY(), (project, "t"), last)
        .await
        .unwrap();
    plane.comment(BY(), about(project)).await.unwrap();
}

#[tokio::test]
async fn dead_keys_are_forgotten_the_oldest_first_and_at_every_start_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let live = open(&dir);
    let plane = &live.plane;
    let project = project(plane, FIRST_ORG, "p").await;
    let dead = u64::try_from(DEAD_KEYS_PER_PROJECT_MAX).unwrap() + 3;
    let event = |n: u64, event| {
        ControlEvent::Org(Act {
            actor: Actor::System,
            at_ns: i64::try_from(n).unwrap(),
            event,
        })
    };
    let directory = plane.directory();
    for n in 1..=dead {
        let made = OrgEvent::KeyCreated(new_key(n, project, None));
        directory.apply(&event(n, made)).unwrap();
        let revoked = OrgEvent::KeyRevoked { key: n };
        directory.apply(&event(n, revoked)).unwrap();
    }
    let there = |n| directory.read(|state| state.keys.get(n).is_some());
    let fresh = key(plane, BY(), project, None).await;
    assert!(!there(3) && there(4) && there(dead));
    assert!(is_open(plane, &fresh));
    // An older obsrv may have revoked what is forgotten by now.
    directory
        .apply(&event(dead, OrgEvent::KeyRevoked { key: 1 }))
        .unwrap();
}
