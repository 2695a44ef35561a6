//! What ten thousand projects cost in memory. A process of its own: nothing else may allocate.
#![expect(clippy::unwrap_used, reason = "the functions that the tests share")]

use std::io::Write;

use obsrv_server::control::{Act, Actor, ControlEvent};
use obsrv_server::governance::{GovernanceEvent, Settings};
use obsrv_server::quota::{Amounts, Limits, Now, Party, Plan, Quota, Rates, Wish};

const PROJECTS: u64 = 10_000;
/// What the documents say: bytes of a project with settings, and of one that was active this month.
const SETTINGS_BYTES: u64 = 4 << 10;
const ACTIVE_BYTES: u64 = 1 << 10;

/// Bytes of this process in memory.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn settings_of(project: u64) -> ControlEvent {
    let settings = serde_json::json!({
        "redaction": {
            "patterns": [{ "name": "ticket", "pattern": format!("TCK-{project}-[0-9]{{6}}") }],
            "keys": { "deny": ["metadata.internal.**", "**.ssn"], "exempt": ["metadata.contact"] },
        },
        "limits": { "project": { "spans_per_second": 1000 } },
        "retention": { "traces_days": 30, "logs_days": 7 },
    });
    ControlEvent::Governance(Act {
        actor: Actor::System,
        at_ns: 1,
        event: GovernanceEvent::ProjectSettings {
            project,
            revision: 1,
            settings: settings.to_string(),
        },
    })
}

#[test]
fn an_idle_project_costs_what_its_settings_cost() {
    // What the reader of settings needs by itself is not a project's.
    Settings::default().apply(&settings_of(0)).unwrap();
    let before = resident();
    let all = Settings::default();
    for project in 1..=PROJECTS {
        all.apply(&settings_of(project)).unwrap();
    }
    let each = (resident().saturating_sub(before)) / PROJECTS;
    assert_eq!(all.len(), 10_000);
    assert!(
        (100..=SETTINGS_BYTES).contains(&each),
        "settings of a project: {each} bytes"
    );

    let quota = Quota::default();
    let rates = Rates {
        requests_per_second: Some(1),
        ..Rates::default()
    };
    let limits = Limits {
        project: rates,
        key: rates,
    };
    let plan = Plan::default();
    let now = Now {
        wall_ns: 1,
        mono_ns: 1,
    };
    let before = resident();
    for project in 1..=PROJECTS {
        let party = Party {
            project,
            key: project,
            organization: 0,
            limits: &limits,
            plan: &plan,
        };
        quota.admit(party, Wish::Send(1), now).unwrap();
        let amounts = Amounts {
            traces: 1,
            spans: 1,
            bytes: 1,
            queries: 0,
        };
        quota.take(party, amounts, now).unwrap();
    }
    // A meter of each project, one of its key, and one of the organization.
    assert_eq!(quota.sizes(), (20_001, 20_000));
    let active = (resident().saturating_sub(before)) / PROJECTS;
    assert!(
        (50..=ACTIVE_BYTES).contains(&active),
        "an active project: {active} bytes"
    );
    // Shown with `cargo test -- --nocapture`.
    let shown = format!("settings {each} bytes, active {active} bytes a project\n");
    std::io::stdout().write_all(shown.as_bytes()).unwrap();
}
