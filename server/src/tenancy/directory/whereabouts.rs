//! Which organization and project an event is about.

use super::State;
use crate::control::ControlEvent;
use crate::governance::GovernanceEvent;
use crate::limits::ORGS_PER_RECORD_MAX;
use crate::tenancy::{FIRST_ORG, OrgEvent, OrgId, UserId};

/// Where something happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Whereabouts {
    pub(crate) org: Option<OrgId>,
    pub(crate) project: Option<u64>,
    /// Other organizations that it concerns.
    pub(crate) others: Box<[OrgId]>,
}

impl Whereabouts {
    fn org(org: OrgId) -> Self {
        Self {
            org: Some(org),
            project: None,
            others: Box::default(),
        }
    }

    fn project(org: Option<OrgId>, project: u64) -> Self {
        Self {
            org,
            project: Some(project),
            others: Box::default(),
        }
    }

    /// Whether the organization's audit log has it.
    pub(crate) fn concerns(&self, org: OrgId) -> bool {
        self.org == Some(org) || self.others.contains(&org)
    }

    /// What is about people is about each of their organizations.
    pub(crate) fn with_people(mut self, state: &State, people: &[UserId]) -> Self {
        let orgs = people.iter().flat_map(|user| state.people.orgs_of(*user));
        let mut others: Vec<OrgId> = orgs.filter(|org| Some(*org) != self.org).collect();
        if !others.is_empty() {
            others.sort_unstable();
            others.dedup();
            others.truncate(ORGS_PER_RECORD_MAX);
            self.others = others.into();
        }
        self
    }
}

impl State {
    /// Of an event that has still to be applied: what it deletes is still there.
    pub(crate) fn whereabouts(&self, event: &ControlEvent) -> Whereabouts {
        match event {
            ControlEvent::ProjectCreated { project, .. } => {
                Whereabouts::project(Some(FIRST_ORG), *project)
            }
            ControlEvent::KeyCreated { project, .. }
            | ControlEvent::ProjectNamed { project, .. } => self.at_project(*project),
            ControlEvent::KeyRevoked { key, .. } => self.at_key(*key),
            ControlEvent::Org(act) => self.of_org_event(&act.event),
            ControlEvent::Audit(act) => Whereabouts {
                org: act.event.org,
                project: act.event.project,
                others: Box::default(),
            },
            ControlEvent::Governance(act) => match &act.event {
                GovernanceEvent::ProjectSettings { project, .. }
                | GovernanceEvent::Expired { project, .. } => self.at_project(*project),
                GovernanceEvent::Plan { organization, .. }
                | GovernanceEvent::Prices { organization, .. } => {
                    Whereabouts::org(OrgId(*organization))
                }
                GovernanceEvent::TimeNoted => Whereabouts::default(),
            },
            // People sign in at the server; whoever runs it sees that.
            ControlEvent::User(_) => Whereabouts::org(FIRST_ORG),
            ControlEvent::Views(act) => self.at_project(act.event.project()),
            ControlEvent::Experiments(act) => self.at_project(act.event.project()),
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
            OrgEvent::ProjectCreated { project, org, .. } => {
                Whereabouts::project(Some(*org), *project)
            }
            OrgEvent::ProjectMoved { project, org } => Whereabouts {
                others: Box::new([*org]),
                ..self.at_project(*project)
            },
            OrgEvent::ProjectRenamed { project, .. }
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
        Whereabouts::project(self.projects.org_of(project), project)
    }

    fn at_key(&self, key: u64) -> Whereabouts {
        let key = self.keys.get(key);
        key.map_or_else(Whereabouts::default, |key| self.at_project(key.project))
    }
}
