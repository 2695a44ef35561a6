//! Organizations, people, projects and keys in memory: a projection of the log's control events.
//!
//! Owns one lock over all of it, held for one look or one event, never across an await. One writer at
//! a time (the control plane): it appends the event, waits until it is durable, then applies it here.

mod key_ring;
mod named;
mod orgs;
mod people;
mod projects;
mod whereabouts;

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

pub(crate) use key_ring::{Key, KeyRing};
use named::Named;
pub use orgs::Org;
pub(crate) use orgs::Orgs;
pub(crate) use people::People;
pub use people::Team;
pub use projects::Project;
pub(crate) use projects::Projects;
pub(crate) use whereabouts::Whereabouts;

use super::experiments::Experiments;
use super::views::Views;
use super::{FIRST_ORG, Grantee, NewKey, OrgEvent, OrgId, Rights, Scopes, UserId};
use crate::control::{Act, Actor, ControlEvent};
use crate::keys::{KeyMac, KeyString, Macs};
use crate::limits::PROJECT_NAME_BYTES_MAX;
use crate::signin::users::UsersError;
use obsrv_engine::row::ProjectId;

/// Why a control event does not fit what is there.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// A second one with this id, name or secret.
    #[error("{what} exists twice id={id:x}")]
    Twice {
        /// Of what.
        what: &'static str,
        /// Which.
        id: u64,
    },
    /// An event of users that does not fit them.
    #[error(transparent)]
    Users(#[from] UsersError),
    /// There is none with this id.
    #[error("unknown {what} id={id:x}")]
    Unknown {
        /// Of what.
        what: &'static str,
        /// Which.
        id: u64,
    },
}

/// Why a key string opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRefusal {
    /// Not a key, or no more.
    Unknown,
    /// Its time is over.
    Expired,
}

/// What a key opens.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The key's public id.
    pub key_id: u64,
    /// What it is for.
    pub scopes: Scopes,
    /// The project.
    pub project: Arc<Project>,
}

/// Everything, as of the last event.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) orgs: Orgs,
    pub(crate) people: People,
    pub(crate) projects: Projects,
    pub(crate) keys: KeyRing,
    pub(crate) views: Views,
    pub(crate) experiments: Experiments,
}

/// Organizations, people, projects, keys and the names that requests gave to projects.
#[derive(Debug)]
pub struct Directory {
    macs: Macs,
    state: RwLock<State>,
    named: Mutex<Named>,
}

impl Directory {
    /// One with the first organization and nothing in it.
    pub fn new(macs: Macs) -> Self {
        Self {
            macs,
            state: RwLock::default(),
            named: Mutex::default(),
        }
    }

    /// The MAC under which a key string is kept.
    pub fn mac_of(&self, key: &KeyString) -> KeyMac {
        self.macs.mac(key.reveal().as_bytes())
    }

    /// Applies one durable event.
    pub fn apply(&self, event: &ControlEvent) -> Result<(), DirectoryError> {
        match event {
            ControlEvent::ProjectNamed {
                project,
                name,
                count,
            } => {
                self.named.lock().recover(*project, name, *count);
                Ok(())
            }
            _ => self.state.write().apply(event),
        }
    }

    /// Looks at everything at once. The lock is held meanwhile: `look` must be short.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read())
    }

    /// What a key string opens, and that it was used.
    pub fn authenticate(&self, key: &KeyString, now_ns: i64) -> Result<Opened, KeyRefusal> {
        let mac = self.mac_of(key);
        let state = self.state.read();
        let key = state.keys.proved(&mac).filter(|key| !key.is_revoked);
        let key = key.ok_or(KeyRefusal::Unknown)?;
        if key.is_expired(now_ns) {
            return Err(KeyRefusal::Expired);
        }
        let project = state.projects.get(key.project).ok_or(KeyRefusal::Unknown)?;
        key.note_use(now_ns);
        Ok(Opened {
            key_id: key.id,
            scopes: key.scopes,
            project: Arc::clone(project),
        })
    }

    /// Whether a key opens something now.
    pub(crate) fn is_live(&self, key: u64, now_ns: i64) -> bool {
        self.read(|state| state.keys.get(key).is_some_and(|key| key.is_live(now_ns)))
    }

    /// How many projects and how many keys, revoked ones included.
    pub fn counts(&self) -> (usize, usize) {
        self.read(|state| (state.projects.len(), state.keys.len()))
    }

    /// A project, if it is not deleted.
    pub fn project(&self, id: ProjectId) -> Option<Arc<Project>> {
        self.read(|state| state.projects.get(id.0).cloned())
    }

    /// An organization.
    pub fn org(&self, id: OrgId) -> Option<Org> {
        self.read(|state| state.orgs.get(id).cloned())
    }

    /// What a person may do at an organization.
    pub fn rights_at_org(&self, user: UserId, org: OrgId) -> Rights {
        self.read(|state| state.people.rights_at_org(user, org))
    }

    /// What a person may do at a project.
    pub fn rights_at_project(&self, user: UserId, project: &Project) -> Rights {
        let id = project.id.0;
        self.read(|state| state.people.rights_at_project(user, project.org, id))
    }

    /// Organizations of a person.
    pub fn orgs_of(&self, user: UserId) -> Vec<OrgId> {
        self.read(|state| state.people.orgs_of(user).collect())
    }

    /// Counts a request that named a project other than its key's.
    pub fn count_named(&self, project: ProjectId, name: &str) {
        self.named.lock().count(project.0, name);
    }

    /// Takes up counts of an earlier process.
    pub(crate) fn restore_named(&self, counts: &[(u64, String, u64)]) {
        let mut named = self.named.lock();
        for (project, name, count) in counts {
            named.restore(*project, name, *count);
        }
    }

    /// Uses of each name so far, by project id and name.
    pub fn named(&self) -> Vec<(u64, String, u64)> {
        self.named.lock().all()
    }
}

impl State {
    fn apply(&mut self, event: &ControlEvent) -> Result<(), DirectoryError> {
        match event {
            ControlEvent::ProjectCreated { project, name, .. } => {
                self.projects.create(*project, FIRST_ORG, name)
            }
            ControlEvent::KeyCreated {
                key,
                project,
                mac,
                at_ns,
            } => {
                let new = NewKey {
                    key: *key,
                    project: *project,
                    slot: *key,
                    mac: *mac,
                    name: String::new(),
                    scopes: Scopes::ALL,
                    expires_ns: None,
                };
                self.add_key(&new, *at_ns, Actor::System)
            }
            ControlEvent::KeyRevoked { key, .. } => self.keys.revoke(*key),
            ControlEvent::Org(act) => self.apply_org(act),
            ControlEvent::Views(act) => self.views.apply(&act.event, (act.actor, act.at_ns)),
            ControlEvent::Experiments(act) => self.experiments.apply(&act.event, act.at_ns),
            ControlEvent::ProjectNamed { .. }
            | ControlEvent::Audit(_)
            | ControlEvent::User(_)
            | ControlEvent::Governance(_) => Ok(()),
        }
    }

    fn apply_org(&mut self, act: &Act<OrgEvent>) -> Result<(), DirectoryError> {
        match &act.event {
            OrgEvent::OrgCreated { org, name, slug } => self.orgs.create(*org, name, slug),
            OrgEvent::OrgRenamed { org, name, slug } => self.orgs.rename(*org, name, slug),
            OrgEvent::OrgArchived { org, archived } => {
                self.orgs.entry(*org)?.is_archived = *archived;
                Ok(())
            }
            OrgEvent::OrgDeleted { org } => {
                self.orgs.remove(*org)?;
                self.people.forget(*org)
            }
            OrgEvent::SsoRequired { org, issuer } => {
                self.orgs.entry(*org)?.sso_issuer.clone_from(issuer);
                Ok(())
            }
            OrgEvent::MemberSet { org, user, role } => {
                self.orgs.entry(*org)?;
                self.people.set_member(*org, *user, *role);
                Ok(())
            }
            OrgEvent::MemberRemoved { org, user } => self.remove_member(*org, *user),
            OrgEvent::TeamCreated { team, org, name } => {
                self.orgs.entry(*org)?;
                self.people.create_team(*team, *org, name)
            }
            OrgEvent::TeamRenamed { team, name } => self.people.rename_team(*team, name),
            OrgEvent::TeamDeleted { team } => self.people.delete_team(*team),
            OrgEvent::TeamMemberSet {
                team,
                user,
                present,
            } => self.people.set_team_member(*team, *user, *present),
            OrgEvent::Invited(new) => {
                self.orgs.entry(new.org)?;
                self.people.invite(new, act.actor)
            }
            OrgEvent::InvitationRevoked { invitation } => {
                self.people.close_invitation(*invitation).map(drop)
            }
            OrgEvent::InvitationAccepted { invitation, user } => {
                let accepted = self.people.close_invitation(*invitation)?;
                self.people.set_member(accepted.org, *user, accepted.role);
                Ok(())
            }
            _ => self.apply_project(act),
        }
    }

    fn apply_project(&mut self, act: &Act<OrgEvent>) -> Result<(), DirectoryError> {
        let at_ns = act.at_ns;
        match &act.event {
            OrgEvent::ProjectCreated { project, org, name } => {
                self.orgs.entry(*org)?;
                self.projects.create(*project, *org, name)
            }
            OrgEvent::ProjectRenamed { project, name } => self
                .projects
                .change(*project, |p| p.name = name.as_str().into()),
            OrgEvent::ProjectMoved { project, org } => {
                self.orgs.entry(*org)?;
                self.projects.change(*project, |p| p.org = *org)?;
                self.people.remove_grants(*project);
                Ok(())
            }
            OrgEvent::ProjectArchived { project, archived } => self
                .projects
                .change(*project, |p| p.is_archived = *archived),
            OrgEvent::ProjectDeleted { project } => {
                self.projects.delete(*project, at_ns)?;
                self.people.remove_grants(*project);
                self.keys.forget(*project);
                self.views.forget(*project);
                self.experiments.forget(*project);
                Ok(())
            }
            OrgEvent::ProjectPurged { project, .. } => self.projects.purged(*project),
            OrgEvent::GrantSet {
                project,
                grantee,
                role,
            } => {
                self.known_project(*project)?;
                self.people.set_grant(*project, *grantee, *role);
                Ok(())
            }
            OrgEvent::GrantRemoved { project, grantee } => {
                self.people.remove_grant(*project, *grantee);
                Ok(())
            }
            OrgEvent::EnvironmentSet {
                project,
                name,
                present,
            } => {
                self.known_project(*project)?;
                self.projects.set_environment(*project, name, *present);
                Ok(())
            }
            OrgEvent::KeyCreated(new) => self.add_key(new, at_ns, act.actor),
            OrgEvent::KeyRevoked { key } => self.keys.revoke(*key),
            OrgEvent::KeysUsed { last } => {
                self.keys.used(last);
                Ok(())
            }
            _ => unreachable!("BUG: an event of an organization came to its projects"),
        }
    }

    fn known_project(&self, id: u64) -> Result<(), DirectoryError> {
        let known = self.projects.get(id).map(drop);
        known.ok_or(DirectoryError::Unknown {
            what: "project",
            id,
        })
    }

    fn add_key(&mut self, new: &NewKey, at_ns: i64, by: Actor) -> Result<(), DirectoryError> {
        self.known_project(new.project)?;
        let maker = match by {
            Actor::Key(maker) => Some(maker),
            Actor::System | Actor::Operator | Actor::User(_) | Actor::Nobody => None,
        };
        self.keys.add(new, at_ns, maker)
    }

    /// With the roles that the person has at projects of the organization.
    fn remove_member(&mut self, org: OrgId, user: UserId) -> Result<(), DirectoryError> {
        self.people.remove_member(org, user)?;
        let grantee = Grantee::User(user);
        let projects = self.projects.in_org(org, 0).map(|project| project.id.0);
        for project in projects.collect::<Vec<u64>>() {
            self.people.remove_grant(project, grantee);
        }
        Ok(())
    }
}

/// The text is a name for people: not empty, not too long, printable.
pub fn is_name(name: &str) -> bool {
    !name.trim().is_empty()
        && name.len() <= PROJECT_NAME_BYTES_MAX
        && !name.chars().any(char::is_control)
}

/// The text may stand in an address: lower-case letters, digits and inner hyphens.
pub fn is_slug(slug: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=crate::limits::SLUG_BYTES_MAX).contains(&slug.len())
        && slug.bytes().all(fits)
        && !slug.starts_with('-')
        && !slug.ends_with('-')
}

#[cfg(test)]
pub(crate) mod tests;
