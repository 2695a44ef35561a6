use super::*;
use crate::governance::GovernanceEvent;
use crate::signin::event::{Fact, Method, PasswordHash, Purpose};
use crate::tenancy::experiments::{Arm, Experiment, ExperimentEvent, Terms};
use crate::tenancy::{Grantee, NewInvitation, NewKey, Role, Scopes};

const BEFORE: ChainHash = [9; 32];

fn act<E>(event: E) -> Act<E> {
    Act {
        actor: Actor::User(UserId(4)),
        at_ns: 5,
        event,
    }
}

fn org(event: OrgEvent) -> ControlEvent {
    ControlEvent::Org(act(event))
}

/// One of each, with the bytes that follow the version and the hash. They are on disks: a change
/// here is a change of the format.
fn events() -> Vec<(ControlEvent, Vec<u8>)> {
    let mac = [7; 32];
    let first = vec![
        (
            ControlEvent::ProjectCreated {
                project: 1,
                name: "ab".into(),
                at_ns: 5,
            },
            vec![0, 1, 2, b'a', b'b', 10],
        ),
        (
            ControlEvent::KeyCreated {
                key: 3,
                project: 1,
                mac,
                at_ns: 5,
            },
            [&[1, 3, 1][..], &mac, &[10]].concat(),
        ),
        (
            ControlEvent::KeyRevoked { key: 3, at_ns: 6 },
            vec![2, 3, 12],
        ),
        (
            ControlEvent::ProjectNamed {
                project: 1,
                name: "x".into(),
                count: 251,
            },
            vec![3, 1, 1, b'x', 251, 251, 0],
        ),
        (
            ControlEvent::Audit(Act {
                actor: Actor::Nobody,
                at_ns: -1,
                event: AuditNote {
                    action: AuditAction::TraceDeleted,
                    org: Some(OrgId(1)),
                    project: None,
                    subject: "t".into(),
                },
            }),
            vec![5, 4, 1, 4, 1, 1, 0, 1, b't'],
        ),
    ];
    // Variant 4, a user, id 4, time 5.
    let of_org =
        |(event, tail): (OrgEvent, Vec<u8>)| (org(event), [&[4, 2, 4, 10][..], &tail].concat());
    let orgs = org_events(mac).into_iter().map(of_org);
    // Variant 6, a user, id 4, time 5, one fact.
    let of_user = |(fact, tail): (Fact, Vec<u8>)| {
        let event = ControlEvent::User(act(UserEvent { facts: vec![fact] }));
        (event, [&[6, 2, 4, 10, 1][..], &tail].concat())
    };
    let users = user_facts(mac).into_iter().map(of_user);
    first
        .into_iter()
        .chain(governance_events())
        .chain(orgs)
        .chain(users)
        .collect()
}

fn governance_events() -> Vec<(ControlEvent, Vec<u8>)> {
    vec![
        (
            ControlEvent::Governance(act(GovernanceEvent::ProjectSettings {
                project: 7,
                revision: 251,
                settings: "{}".into(),
            })),
            vec![7, 2, 4, 10, 0, 7, 251, 251, 0, 2, b'{', b'}'],
        ),
        (
            ControlEvent::Governance(act(GovernanceEvent::Plan {
                organization: 2,
                plan: "{}".into(),
            })),
            vec![7, 2, 4, 10, 1, 2, 2, b'{', b'}'],
        ),
        (
            ControlEvent::Governance(act(GovernanceEvent::Expired {
                project: 7,
                class: crate::governance::Class::Logs,
                count: 3,
                before_ns: -1,
            })),
            vec![7, 2, 4, 10, 2, 7, 1, 3, 1],
        ),
        (
            ControlEvent::Governance(act(GovernanceEvent::TimeNoted)),
            vec![7, 2, 4, 10, 3],
        ),
        (
            ControlEvent::Governance(act(GovernanceEvent::Prices {
                organization: 2,
                revision: 1,
                table: "[]".into(),
            })),
            vec![7, 2, 4, 10, 4, 2, 1, 2, b'[', b']'],
        ),
        (
            ControlEvent::Experiments(act(ExperimentEvent::Set(Experiment {
                number: 9,
                project: 7,
                id: "x".into(),
                revision: 251,
                terms: Terms {
                    name: "n".into(),
                    arms: vec![Arm {
                        id: "a".into(),
                        name: "b".into(),
                        prompt_snapshot: Some("p".into()),
                        model: None,
                        traffic_pct: 100,
                    }],
                },
            }))),
            vec![
                9, 2, 4, 10, 0, 9, 7, 1, b'x', 251, 251, 0, 1, b'n', 1, 1, b'a', 1, b'b', 1, 1,
                b'p', 0, 100,
            ],
        ),
        (
            ControlEvent::Experiments(act(ExperimentEvent::Deleted {
                project: 7,
                id: "x".into(),
            })),
            vec![9, 2, 4, 10, 1, 7, 1, b'x'],
        ),
    ]
}

fn user_facts(mac: [u8; 32]) -> Vec<(Fact, Vec<u8>)> {
    let user = 3;
    let text = |text: &str| text.to_owned();
    let started = |method, tail: &[u8]| {
        let fact = Fact::SessionStarted { mac, user, method };
        (fact, [&[7][..], &mac, &[3], tail].concat())
    };
    let phc = PasswordHash(text("p"));
    let (email, name) = (text("e"), text("n"));
    let (issuer, subject) = (text("i"), text("s"));
    let link = Fact::LinkIssued {
        mac,
        purpose: Purpose::Reset,
        user: Some(user),
        email: text("e"),
        expires_ns: 1,
    };
    let linked = Fact::IdentityLinked {
        user,
        issuer,
        subject,
    };
    let seen = Fact::SessionSeen {
        session: 8,
        seen_ns: 1,
    };
    let ended = Fact::SessionsEnded {
        user,
        except: Some(8),
    };
    let oidc = Method::Oidc { issuer: text("i") };
    vec![
        (
            Fact::Created { user, email, name },
            vec![0, 3, 1, b'e', 1, b'n'],
        ),
        (Fact::EmailVerified { user }, vec![1, 3]),
        (Fact::PasswordSet { user, phc }, vec![2, 3, 1, b'p']),
        (linked, vec![3, 3, 1, b'i', 1, b's']),
        (Fact::Disabled { user }, vec![4, 3]),
        (Fact::Enabled { user }, vec![5, 3]),
        (Fact::SetUp { user }, vec![6, 3]),
        started(Method::Password, &[0]),
        started(Method::Reset, &[1]),
        started(Method::Invite, &[2]),
        started(Method::SetUp, &[3]),
        started(oidc, &[4, 1, b'i']),
        (seen, vec![8, 8, 2]),
        (Fact::SessionEnded { session: 8 }, vec![9, 8]),
        (ended, vec![10, 3, 1, 8]),
        (link, [&[11][..], &mac, &[1, 1, 3, 1, b'e', 2]].concat()),
        (Fact::LinkUsed { mac }, [&[12][..], &mac].concat()),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table, one row for each event")]
fn org_events(mac: [u8; 32]) -> Vec<(OrgEvent, Vec<u8>)> {
    let (org, user) = (OrgId(2), UserId(3));
    let name = || "n".to_owned();
    let slug = || "s".to_owned();
    vec![
        (
            OrgEvent::OrgCreated {
                org,
                name: name(),
                slug: slug(),
            },
            vec![0, 2, 1, b'n', 1, b's'],
        ),
        (
            OrgEvent::OrgRenamed {
                org,
                name: name(),
                slug: slug(),
            },
            vec![1, 2, 1, b'n', 1, b's'],
        ),
        (
            OrgEvent::OrgArchived {
                org,
                archived: true,
            },
            vec![2, 2, 1],
        ),
        (OrgEvent::OrgDeleted { org }, vec![3, 2]),
        (
            OrgEvent::SsoRequired {
                org,
                issuer: Some("i".into()),
            },
            vec![4, 2, 1, 1, b'i'],
        ),
        (
            OrgEvent::MemberSet {
                org,
                user,
                role: Role::Auditor,
            },
            vec![5, 2, 3, 4],
        ),
        (OrgEvent::MemberRemoved { org, user }, vec![6, 2, 3]),
        (
            OrgEvent::TeamCreated {
                team: 9,
                org,
                name: name(),
            },
            vec![7, 9, 2, 1, b'n'],
        ),
        (
            OrgEvent::TeamRenamed {
                team: 9,
                name: name(),
            },
            vec![8, 9, 1, b'n'],
        ),
        (OrgEvent::TeamDeleted { team: 9 }, vec![9, 9]),
        (
            OrgEvent::TeamMemberSet {
                team: 9,
                user,
                present: true,
            },
            vec![10, 9, 3, 1],
        ),
        (
            OrgEvent::Invited(NewInvitation {
                invitation: 8,
                org,
                email: "e".into(),
                role: Role::Viewer,
                mac,
                expires_ns: 1,
            }),
            [&[11, 8, 2, 1, b'e', 3][..], &mac, &[2]].concat(),
        ),
        (OrgEvent::InvitationRevoked { invitation: 8 }, vec![12, 8]),
        (
            OrgEvent::InvitationAccepted {
                invitation: 8,
                user,
            },
            vec![13, 8, 3],
        ),
        (
            OrgEvent::ProjectCreated {
                project: 7,
                org,
                name: name(),
            },
            vec![14, 7, 2, 1, b'n'],
        ),
        (
            OrgEvent::ProjectRenamed {
                project: 7,
                name: name(),
            },
            vec![15, 7, 1, b'n'],
        ),
        (OrgEvent::ProjectMoved { project: 7, org }, vec![16, 7, 2]),
        (
            OrgEvent::ProjectArchived {
                project: 7,
                archived: false,
            },
            vec![17, 7, 0],
        ),
        (OrgEvent::ProjectDeleted { project: 7 }, vec![18, 7]),
        (
            OrgEvent::ProjectPurged {
                project: 7,
                traces: 250,
            },
            vec![19, 7, 250],
        ),
        (
            OrgEvent::GrantSet {
                project: 7,
                grantee: Grantee::Team(9),
                role: Role::Owner,
            },
            vec![20, 7, 1, 9, 0],
        ),
        (
            OrgEvent::GrantRemoved {
                project: 7,
                grantee: Grantee::User(user),
            },
            vec![21, 7, 0, 3],
        ),
        (
            OrgEvent::EnvironmentSet {
                project: 7,
                name: name(),
                present: true,
            },
            vec![22, 7, 1, b'n', 1],
        ),
        (
            OrgEvent::KeyCreated(NewKey {
                key: 6,
                project: 7,
                slot: 6,
                mac,
                name: name(),
                scopes: Scopes::ALL,
                expires_ns: None,
            }),
            [&[23, 6, 7, 6][..], &mac, &[1, b'n', 7, 0]].concat(),
        ),
        (OrgEvent::KeyRevoked { key: 6 }, vec![24, 6]),
        (OrgEvent::KeysUsed { last: vec![(6, 1)] }, vec![25, 1, 6, 2]),
    ]
}

fn chained(golden: &[u8]) -> Vec<u8> {
    [&[2][..], &BEFORE, golden].concat()
}

#[test]
fn bytes_are_golden_and_read_back() {
    for (event, golden) in events() {
        let bytes = chained(&golden);
        assert_eq!(encode(&BEFORE, &event), bytes, "{event:?}");
        let read = decode(&bytes).unwrap();
        assert_eq!((read.event, read.previous), (event, Some(BEFORE)));
    }
}

/// What obsrv wrote before there was a chain.
#[test]
fn records_without_a_hash_are_read() {
    for (event, golden) in events() {
        let read = decode(&[&[1][..], &golden].concat()).unwrap();
        assert_eq!((read.event, read.previous), (event, None));
    }
}

#[test]
fn refuses_every_cut_a_tail_and_another_version() {
    for (event, golden) in events() {
        let bytes = chained(&golden);
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_err(), "{event:?} cut at {end}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(matches!(decode(&longer), Err(ControlError::Length)));
        longer[0] = 3;
        assert!(matches!(decode(&longer), Err(ControlError::Version(3))));
    }
}

#[test]
fn refuses_a_length_that_is_a_lie() {
    // ProjectCreated with a name said to be 2^32 bytes long.
    let bytes = [1, 0, 1, 253, 0, 0, 0, 0, 1, 0, 0, 0, b'a'];
    assert!(matches!(decode(&bytes), Err(ControlError::Decode(_))));
}

#[test]
fn a_hash_depends_on_the_record_and_on_all_before() {
    let one = chain(&CHAIN_START, b"a");
    assert_ne!(one, chain(&CHAIN_START, b"b"));
    assert_ne!(chain(&one, b"b"), chain(&chain(&CHAIN_START, b"c"), b"b"));
    // SHA-256 over 32 zero bytes and "a", as `sha256sum` gives it.
    let expected = "41a0370c3d9f42773a59e8e01651911cf43b1e3f66944cbb690029debc4eb647";
    assert_eq!(crate::keys::hex(&one), expected);
}
