//! Any control events are read or refused, alone and one after the other: what an open makes of them is made, or the
//! open is refused.

use obsrv_server::control::{Act, Actor, CHAIN_START, ControlEvent, decode, encode};
use obsrv_server::governance::{GovernanceEvent, Settings};
use obsrv_server::keys::{Macs, MasterSecret};
use obsrv_server::price::Table;
use obsrv_server::signin::Users;
use obsrv_server::signin::event::{Fact, Method, PasswordHash, Purpose, UserEvent};
use obsrv_server::tenancy::{Directory, Grantee, OrgEvent, OrgId, Role, UserId};

use super::input::Input;

/// One execution: the length before each. Whether all of them fit.
pub fn run(bytes: &[u8]) -> bool {
    let mut input = Input(bytes);
    let directory = Directory::new(Macs::for_keys(&MasterSecret::from_bytes([1; 32])));
    let (users, settings) = (Users::default(), Settings::default());
    for _ in 0..32 {
        if input.0.is_empty() {
            return true;
        }
        let len = u16::from_le_bytes([input.byte(), input.byte()]);
        let Ok(recorded) = decode(input.take(usize::from(len))) else {
            return false;
        };
        let again = decode(&encode(
            &recorded.previous.unwrap_or(CHAIN_START),
            &recorded.event,
        ));
        let again = again.expect("an event reads back");
        assert_eq!(again.event, recorded.event, "an event reads as another");
        if let ControlEvent::User(act) = &recorded.event
            && users.apply(act).is_err()
        {
            return false;
        }
        if let ControlEvent::Governance(act) = &recorded.event
            && let GovernanceEvent::Prices { table, .. } = &act.event
        {
            let _ = Table::read_own(table.as_bytes());
        }
        if directory.apply(&recorded.event).is_err() || settings.apply(&recorded.event).is_err() {
            return false;
        }
    }
    true
}

fn act<E>(event: E) -> Act<E> {
    Act {
        actor: Actor::User(UserId(4)),
        at_ns: 1 << 60,
        event,
    }
}

fn people() -> Vec<ControlEvent> {
    let user = 1;
    let created = Fact::Created {
        user,
        email: "a@b.example".into(),
        name: "A".into(),
    };
    let password = Fact::PasswordSet {
        user,
        phc: PasswordHash("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".into()),
    };
    let linked = Fact::IdentityLinked {
        user,
        issuer: "https://a.example".into(),
        subject: "s".into(),
    };
    let started = Fact::SessionStarted {
        mac: [7; 32],
        user,
        method: Method::Password,
    };
    let issued = Fact::LinkIssued {
        mac: [8; 32],
        purpose: Purpose::Reset,
        user: Some(user),
        email: "a@b.example".into(),
        expires_ns: i64::MAX,
    };
    let ended = Fact::SessionsEnded { user, except: None };
    let first = vec![created, password, linked];
    let then = vec![started, issued, Fact::LinkUsed { mac: [8; 32] }, ended];
    let event = |facts| ControlEvent::User(act(UserEvent { facts }));
    vec![event(first), event(then)]
}

fn organizations() -> Vec<ControlEvent> {
    let (org, project) = (OrgId(2), 7);
    let events = vec![
        OrgEvent::OrgCreated {
            org,
            name: "Org".into(),
            slug: "org".into(),
        },
        OrgEvent::MemberSet {
            org,
            user: UserId(1),
            role: Role::Admin,
        },
        OrgEvent::TeamCreated {
            team: 3,
            org,
            name: "Team".into(),
        },
        OrgEvent::ProjectCreated {
            project,
            org,
            name: "project".into(),
        },
        OrgEvent::GrantSet {
            project,
            grantee: Grantee::User(UserId(1)),
            role: Role::Viewer,
        },
        OrgEvent::ProjectArchived {
            project,
            archived: true,
        },
        OrgEvent::ProjectDeleted { project },
    ];
    events
        .into_iter()
        .map(|event| ControlEvent::Org(act(event)))
        .collect()
}

fn governance() -> Vec<ControlEvent> {
    let settings = r#"{"redaction":{"detectors":["emails"]},"retention":{"logs_days":3}}"#;
    let events = vec![
        GovernanceEvent::ProjectSettings {
            project: 7,
            revision: 1,
            settings: settings.into(),
        },
        GovernanceEvent::Plan {
            organization: 2,
            plan: r#"{"name":"plan"}"#.into(),
        },
        GovernanceEvent::TimeNoted,
        GovernanceEvent::Prices {
            organization: 2,
            revision: 1,
            table: "[]".into(),
        },
    ];
    events
        .into_iter()
        .map(|event| ControlEvent::Governance(act(event)))
        .collect()
}

/// People, organizations and settings, as an open finds them: each alone, and all of them.
pub fn seeds() -> Vec<Vec<u8>> {
    let record = |event: &ControlEvent| {
        let bytes = encode(&CHAIN_START, event);
        let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes();
        [&len[..], &bytes].concat()
    };
    let sorts = [people(), organizations(), governance()];
    let sorts = sorts.map(|events| events.iter().flat_map(record).collect::<Vec<u8>>());
    let all = sorts.concat();
    sorts.into_iter().chain([all]).collect()
}
