//! Which organization and project an event is about.

use super::State;
use crate::control::ControlEvent;
use crate::tenancy::{FIRST_ORG, OrgEvent, OrgId};

/// Where something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Whereabouts {
    pub(crate) org: Option<OrgId>,
    pub(crate) project: Option<u64>,
}

impl Whereabouts {
    const fn org(org: OrgId) -> Self {
        Self {
            org: Some(org),
            project: None,
        }
    }
}

impl State {
    /// Of an event that has still to be applied: what it deletes is still there.
    pub(crate) fn whereabouts(&self, event: &ControlEvent) -> Whereabouts {
        match event {
            ControlEvent::ProjectCreated { project, .. } => Whereabouts {
                org: Some(FIRST_ORG),
                project: Some(*project),
            },
            ControlEvent::KeyCreated { project, .. }
            | ControlEvent::ProjectNamed { project, .. } => self.at_project(*project),
            ControlEvent::KeyRevoked { key, .. } => self.at_key(*key),
            ControlEvent::Org(act) => self.of_org_event(&act.event),
            ControlEvent::Audit(act) => Whereabouts {
                org: act.event.org,
                project: act.event.project,
            },
            // People sign in at the server; whoever runs it sees that.
            ControlEvent::User(_) => Whereabouts::org(FIRST_ORG),
            ControlEvent::Views(act) => self.at_project(act.event.project()),
            ControlEvent::Governance(_) => Whereabouts::default(),
        }
    }

    fn of_org_event(&self, event: &OrgEvent) -> Whereabouts {
        match event {
            OrgEvent::OrgCreated { org, .. }
            | OrgEvent::OrgRenamed { org, .. }
            | OrgEvent::OrgArchived { org, .. }
            | OrgEvent::OrgDeleted { org }
            | OrgEvent::SsoRequired { org, .. }
            | OrgEvent::MemberSet { org, .. }
            | OrgEvent::MemberRemoved { org, .. }
            | OrgEvent::TeamCreated { org, .. } => Whereabouts::org(*org),
            OrgEvent::Invited(new) => Whereabouts::org(new.org),
            OrgEvent::TeamRenamed { team, .. }
            | OrgEvent::TeamDeleted { team }
            | OrgEvent::TeamMemberSet { team, .. } => {
                let team = self.people.team(*team);
                team.map_or_else(Whereabouts::default, |team| Whereabouts::org(team.org))
            }
            OrgEvent::InvitationRevoked { invitation }
            | OrgEvent::InvitationAccepted { invitation, .. } => {
                let found = self.people.invitation(*invitation);
                found.map_or_else(Whereabouts::default, |i| Whereabouts::org(i.org))
            }
            OrgEvent::ProjectCreated { project, org, .. } => Whereabouts {
                org: Some(*org),
                project: Some(*project),
            },
            OrgEvent::ProjectRenamed { project, .. }
            | OrgEvent::ProjectMoved { project, .. }
            | OrgEvent::ProjectArchived { project, .. }
            | OrgEvent::ProjectDeleted { project }
            | OrgEvent::ProjectPurged { project, .. }
            | OrgEvent::GrantSet { project, .. }
            | OrgEvent::GrantRemoved { project, .. }
            | OrgEvent::EnvironmentSet { project, .. } => self.at_project(*project),
            OrgEvent::KeyCreated(new) => self.at_project(new.project),
            OrgEvent::KeyRevoked { key } => self.at_key(*key),
            OrgEvent::KeysUsed { .. } => Whereabouts::default(),
        }
    }

    fn at_project(&self, project: u64) -> Whereabouts {
        Whereabouts {
            org: self.projects.org_of(project),
            project: Some(project),
        }
    }

    fn at_key(&self, key: u64) -> Whereabouts {
        let key = self.keys.get(key);
        key.map_or_else(Whereabouts::default, |key| self.at_project(key.project))
    }
}
