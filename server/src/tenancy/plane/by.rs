//! Who asks for a change, and whether they still may when it is made.

use super::ChangeError;
use crate::control::Actor;
use crate::signin::event::Method;
use crate::signin::{SessionId, Users};
use crate::tenancy::directory::State;
use crate::tenancy::{OrgId, Right, Rights, Role};

/// Where rights were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ground {
    /// Nowhere: they do not come from a role.
    #[default]
    None,
    /// At an organization.
    Org(OrgId),
    /// At a project, by whatever role.
    Project(u64),
    /// At the organization of a project.
    OrgOfProject(u64),
}

/// Who asks for a change, and what they may do where it happens.
#[derive(Clone, Copy, Debug)]
pub struct By {
    /// Who.
    pub actor: Actor,
    /// What they may do.
    pub rights: Rights,
    /// Where that was found. It is looked up there again right before the change.
    pub ground: Ground,
    /// The session of a person, if it is known.
    pub session: Option<SessionId>,
}

impl By {
    /// Somebody whose rights do not come from a role.
    pub const fn new(actor: Actor, rights: Rights) -> Self {
        Self {
            actor,
            rights,
            ground: Ground::None,
            session: None,
        }
    }

    /// Whoever can open the admin socket.
    pub fn operator() -> Self {
        Self::new(Actor::Operator, Rights::all())
    }

    /// obsrv itself.
    pub fn system() -> Self {
        Self::new(Actor::System, Rights::all())
    }

    /// Nobody gives or takes a role that is more than their own.
    pub(super) fn must_cover(self, role: Role) -> Result<(), ChangeError> {
        if self.rights.cover(Rights::of_role(role)) {
            Ok(())
        } else {
            Err(ChangeError::Forbidden)
        }
    }

    pub(super) fn may(self, right: Right) -> bool {
        self.rights.has(right)
    }

    /// The key or session goes on, and nothing of the rights was taken since they were found.
    pub(super) fn check(
        self,
        state: &State,
        users: &Users,
        now_ns: i64,
    ) -> Result<(), ChangeError> {
        match self.actor {
            Actor::System | Actor::Operator | Actor::Nobody => Ok(()),
            Actor::Key(id) => {
                let key = state.keys.get(id).filter(|key| key.is_live(now_ns));
                key.map(drop).ok_or(ChangeError::Ended)
            }
            Actor::User(user) => {
                let org_of = |project| state.projects.get(project).map(|project| project.org);
                let (org, rights) = match self.ground {
                    Ground::None => (None, self.rights),
                    Ground::Org(org) => (Some(org), state.people.rights_at_org(user, org)),
                    Ground::Project(project) => {
                        let org = org_of(project).ok_or(ChangeError::Unknown("project"))?;
                        let rights = state.people.rights_at_project(user, org, project);
                        (Some(org), rights)
                    }
                    Ground::OrgOfProject(project) => {
                        let org = org_of(project).ok_or(ChangeError::Unknown("project"))?;
                        (Some(org), state.people.rights_at_org(user, org))
                    }
                };
                if let Some(id) = self.session {
                    let session = users.session(id, now_ns).ok_or(ChangeError::Ended)?;
                    check_issuer(state, org, &session.method)?;
                }
                if rights.cover(self.rights) {
                    Ok(())
                } else {
                    Err(ChangeError::Forbidden)
                }
            }
        }
    }
}

fn check_issuer(state: &State, org: Option<OrgId>, method: &Method) -> Result<(), ChangeError> {
    let org = org.and_then(|org| state.orgs.get(org));
    let Some(issuer) = org.and_then(|org| org.sso_issuer.clone()) else {
        return Ok(());
    };
    match method {
        Method::Oidc { issuer: by } if *by == issuer => Ok(()),
        _ => Err(ChangeError::SsoRequired { issuer }),
    }
}
