pub(crate) mod sample;

use super::named::OTHER_NAMES;
use super::*;
use crate::keys::MasterSecret;
use crate::limits::NAMED_PROJECTS_MAX;

fn directory() -> Directory {
    Directory::new(Macs::for_keys(&MasterSecret::from_bytes([9; 32])))
}

fn key(text: &str) -> KeyString {
    KeyString::parse(text).unwrap()
}

fn events(directory: &Directory) -> Vec<ControlEvent> {
    vec![
        ControlEvent::ProjectCreated {
            project: 1,
            name: "a".into(),
            at_ns: 0,
        },
        ControlEvent::ProjectCreated {
            project: 2,
            name: "b".into(),
            at_ns: 0,
        },
        ControlEvent::KeyCreated {
            key: 7,
            project: 1,
            mac: directory.mac_of(&key("key-of-a")),
            at_ns: 0,
        },
        ControlEvent::KeyCreated {
            key: 8,
            project: 2,
            mac: directory.mac_of(&key("key-of-b")),
            at_ns: 0,
        },
    ]
}

fn recovered(directory: &Directory, events: &[ControlEvent]) {
    for event in events {
        directory.apply(event).unwrap();
    }
}

fn opened(directory: &Directory, text: &str) -> Option<Opened> {
    directory.authenticate(&key(text), 0).ok()
}

#[test]
fn a_key_opens_its_project_until_it_is_revoked() {
    let directory = directory();
    recovered(&directory, &events(&directory));
    let a = opened(&directory, "key-of-a").unwrap();
    assert_eq!(
        (a.key_id, a.project.id, &*a.project.name),
        (7, ProjectId(1), "a")
    );
    assert_eq!((a.project.org, a.scopes), (FIRST_ORG, Scopes::ALL));
    assert_eq!(
        opened(&directory, "key-of-b").unwrap().project.id,
        ProjectId(2)
    );
    assert!(opened(&directory, "key-of-c").is_none());

    directory
        .apply(&ControlEvent::KeyRevoked { key: 7, at_ns: 1 })
        .unwrap();
    assert!(opened(&directory, "key-of-a").is_none());
    assert!(opened(&directory, "key-of-b").is_some());
}

#[test]
fn a_mac_that_shares_only_the_finder_opens_nothing() {
    let directory = directory();
    let mut mac = directory.mac_of(&key("key-of-a"));
    mac[31] ^= 1;
    let project = ControlEvent::ProjectCreated {
        project: 1,
        name: "a".into(),
        at_ns: 0,
    };
    let made = ControlEvent::KeyCreated {
        key: 7,
        project: 1,
        mac,
        at_ns: 0,
    };
    recovered(&directory, &[project, made]);
    assert!(opened(&directory, "key-of-a").is_none());
}

#[test]
fn refuses_what_does_not_fit() {
    let directory = directory();
    let all = events(&directory);
    recovered(&directory, &all);
    let twice = |what, id| Err(DirectoryError::Twice { what, id });
    let unknown = |what, id| Err(DirectoryError::Unknown { what, id });
    assert_eq!(directory.apply(&all[0]), twice("project", 1));
    assert_eq!(directory.apply(&all[2]), twice("key", 7));
    let orphan = ControlEvent::KeyCreated {
        key: 9,
        project: 5,
        mac: [0; 32],
        at_ns: 0,
    };
    assert_eq!(directory.apply(&orphan), unknown("project", 5));
    let revoked = ControlEvent::KeyRevoked { key: 9, at_ns: 0 };
    assert_eq!(directory.apply(&revoked), unknown("key", 9));
}

#[test]
fn named_projects_are_counted_within_a_bound_and_restored_once() {
    let directory = directory();
    let project = ProjectId(1);
    directory.count_named(project, "mine");
    directory.count_named(project, "mine");
    let event = ControlEvent::ProjectNamed {
        project: 1,
        name: "mine".into(),
        count: 2,
    };
    directory.apply(&event).unwrap();
    let counted = directory.named();
    assert_eq!(counted, [(1, "mine".into(), 4)]);
    directory.restore_named(&counted);
    assert_eq!(directory.named(), counted);

    for n in 0..NAMED_PROJECTS_MAX + 5 {
        directory.count_named(project, &format!("name-{n}"));
    }
    directory.count_named(project, &"x".repeat(PROJECT_NAME_BYTES_MAX + 1));
    let named = directory.named();
    assert_eq!(named.len(), NAMED_PROJECTS_MAX + 1);
    // Whatever project they come from: another project is not another thousand names.
    directory.count_named(ProjectId(9), "mine");
    assert_eq!(directory.named().len(), named.len());
    assert!(named.contains(&(0, OTHER_NAMES.into(), 7)));
    let expected = u64::try_from(4 + NAMED_PROJECTS_MAX + 6).unwrap();
    assert_eq!(named.iter().map(|(_, _, n)| n).sum::<u64>(), expected);
}

#[test]
fn project_names() {
    for good in ["default", "Größe 7", &"n".repeat(PROJECT_NAME_BYTES_MAX)] {
        assert!(is_name(good), "{good}");
    }
    for bad in ["", "  ", "a\nb", &"n".repeat(PROJECT_NAME_BYTES_MAX + 1)] {
        assert!(!is_name(bad), "{bad}");
    }
}
