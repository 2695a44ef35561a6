//! Changes of members, teams, invitations and roles at projects.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{By, ChangeError, Changed, ControlPlane, check_name, check_room};
use crate::control::{Actor, ControlEvent};
use crate::limits::{
    EMAIL_BYTES_MAX, GRANTS_PER_PROJECT_MAX, INVITATION_TIME, INVITATIONS_PER_ORG_MAX,
    MEMBERS_PER_ORG_MAX, TEAMS_PER_ORG_MAX,
};
use crate::tenancy::directory::State;
use crate::tenancy::{Grantee, NewInvitation, OrgEvent, OrgId, Role, UserId};

/// An invitation and the token that takes it up. The token is shown once.
pub struct MintedInvitation {
    /// Its id.
    pub id: u64,
    /// What stands in the link.
    pub token: String,
    /// From when on it is void.
    pub expires_ns: i64,
}

impl std::fmt::Debug for MintedInvitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MintedInvitation({})", self.id)
    }
}

const LAST_OWNER: ChangeError =
    ChangeError::Conflict("the organization needs an owner; make another one first");

/// Nobody but an owner makes one less of an owner, and one owner stays.
fn may_change(
    state: &State,
    by: By,
    org: OrgId,
    user: UserId,
    new: Option<Role>,
) -> Result<(), ChangeError> {
    let old = state.people.role(org, user);
    for role in old.into_iter().chain(new) {
        by.must_cover(role)?;
    }
    let loses_owner = old == Some(Role::Owner) && new != Some(Role::Owner);
    if loses_owner && state.people.owners(org) == 1 {
        return Err(LAST_OWNER);
    }
    Ok(())
}

fn known_org(state: &State, org: OrgId) -> Result<(), ChangeError> {
    let org = state.orgs.get(org).map(drop);
    org.ok_or(ChangeError::Unknown("organization"))
}

/// A mailbox and a host, nothing that a header could be made of. Whether it exists is shown by mail.
fn is_email(email: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    email.len() <= EMAIL_BYTES_MAX
        && email.chars().all(plain)
        && email
            .rsplit_once('@')
            .is_some_and(|(mailbox, host)| !mailbox.is_empty() && !host.is_empty())
}

impl ControlPlane {
    /// Gives a member another role. The operator and obsrv itself make members, too; everyone else
    /// invites people, who may say no.
    pub async fn set_member(
        &self,
        by: By,
        org: OrgId,
        user: UserId,
        role: Role,
    ) -> Result<Changed<()>, ChangeError> {
        self.change(by, |state| {
            known_org(state, org)?;
            may_change(state, by, org, user, Some(role))?;
            let old = state.people.role(org, user);
            if old.is_none() {
                if !matches!(by.actor, Actor::Operator | Actor::System) {
                    return Err(ChangeError::Unknown("member"));
                }
                let members = state.people.members(org, UserId(0)).count();
                check_room("members", members, MEMBERS_PER_ORG_MAX)?;
            }
            let event = OrgEvent::MemberSet { org, user, role };
            let event = (old != Some(role)).then(|| self.org_event(by, event));
            Ok((event.into_iter().collect(), ()))
        })
        .await
    }

    /// Ends a membership, with the teams and roles that came by it.
    pub async fn remove_member(
        &self,
        by: By,
        org: OrgId,
        user: UserId,
    ) -> Result<Changed<()>, ChangeError> {
        self.change(by, |state| {
            let role = state.people.role(org, user);
            role.ok_or(ChangeError::Unknown("member"))?;
            may_change(state, by, org, user, None)?;
            let event = OrgEvent::MemberRemoved { org, user };
            Ok((vec![self.org_event(by, event)], ()))
        })
        .await
    }

    /// Makes a team.
    pub async fn create_team(
        &self,
        by: By,
        org: OrgId,
        name: &str,
    ) -> Result<Changed<u64>, ChangeError> {
        check_name(name)?;
        self.change(by, |state| {
            known_org(state, org)?;
            check_room(
                "teams",
                state.people.teams_in(org).count(),
                TEAMS_PER_ORG_MAX,
            )?;
            if state
                .people
                .teams_in(org)
                .any(|(_, team)| team.name == name)
            {
                return Err(ChangeError::Exists("team"));
            }
            let (team, name) = (state.people.next_team(), name.to_owned());
            let event = OrgEvent::TeamCreated { team, org, name };
            Ok((vec![self.org_event(by, event)], team))
        })
        .await
    }

    /// Gives a team another name.
    pub async fn rename_team(
        &self,
        by: By,
        org: OrgId,
        team: u64,
        name: &str,
    ) -> Result<Changed<()>, ChangeError> {
        check_name(name)?;
        self.change(by, |state| {
            known_team(state, org, team)?;
            let taken = |(id, other): (u64, &crate::tenancy::directory::Team)| {
                id != team && other.name == name
            };
            if state.people.teams_in(org).any(taken) {
                return Err(ChangeError::Exists("team"));
            }
            let name = name.to_owned();
            Ok((
                vec![self.org_event(by, OrgEvent::TeamRenamed { team, name })],
                (),
            ))
        })
        .await
    }

    /// Deletes a team, and with it the roles that it had.
    pub async fn delete_team(
        &self,
        by: By,
        org: OrgId,
        team: u64,
    ) -> Result<Changed<()>, ChangeError> {
        self.change(by, |state| {
            known_team(state, org, team)?;
            Ok((vec![self.org_event(by, OrgEvent::TeamDeleted { team })], ()))
        })
        .await
    }

    /// Puts a member into a team, or takes them out.
    pub async fn set_team_member(
        &self,
        by: By,
        org: OrgId,
        team: u64,
        user: UserId,
        present: bool,
    ) -> Result<Changed<()>, ChangeError> {
        self.change(by, |state| {
            known_team(state, org, team)?;
            if state.people.role(org, user).is_none() {
                return Err(ChangeError::Unknown("member"));
            }
            let is_there = state.people.team_members(team).any(|other| other == user);
            let event = OrgEvent::TeamMemberSet {
                team,
                user,
                present,
            };
            let event = (is_there != present).then(|| self.org_event(by, event));
            Ok((event.into_iter().collect(), ()))
        })
        .await
    }

    /// Invites somebody by e-mail. Who has the token may take it up.
    pub async fn invite(
        &self,
        by: By,
        org: OrgId,
        email: &str,
        role: Role,
    ) -> Result<Changed<MintedInvitation>, ChangeError> {
        if !is_email(email) {
            return Err(ChangeError::Invalid("not an e-mail address"));
        }
        by.must_cover(role)?;
        let mut secret = [0; 32];
        self.rng.fill(&mut secret);
        let token = URL_SAFE_NO_PAD.encode(secret);
        let mac = self.tokens.mac(token.as_bytes());
        let now = self.now_ns();
        let time = i64::try_from(INVITATION_TIME.as_nanos()).unwrap_or(i64::MAX);
        let expires_ns = now.saturating_add(time);
        self.change(by, |state| {
            known_org(state, org)?;
            let open = state.people.invitations(org).filter(|i| i.expires_ns > now);
            check_room("invitations", open.count(), INVITATIONS_PER_ORG_MAX)?;
            let id = state.people.next_invitation();
            let new = NewInvitation {
                invitation: id,
                org,
                email: email.to_owned(),
                role,
                mac,
                expires_ns,
            };
            // Void ones make room.
            let void = state
                .people
                .invitations(org)
                .filter(|i| i.expires_ns <= now);
            let void = void.map(|i| OrgEvent::InvitationRevoked {
                invitation: i.invitation,
            });
            let void = void.map(|event| self.org_event(By::system(), event));
            let mut events: Vec<ControlEvent> = void.collect();
            events.push(self.org_event(by, OrgEvent::Invited(new)));
            let minted = MintedInvitation {
                id,
                token,
                expires_ns,
            };
            Ok((events, minted))
        })
        .await
    }

    /// Makes an invitation void.
    pub async fn revoke_invitation(
        &self,
        by: By,
        org: OrgId,
        invitation: u64,
    ) -> Result<Changed<()>, ChangeError> {
        self.change(by, |state| {
            let found = state.people.invitation(invitation);
            found
                .filter(|i| i.org == org)
                .ok_or(ChangeError::Unknown("invitation"))?;
            let event = OrgEvent::InvitationRevoked { invitation };
            Ok((vec![self.org_event(by, event)], ()))
        })
        .await
    }

    /// Makes a person a member by the token of an invitation. A member keeps the role that they
    /// have. `issuer` vouched for the person, if one did.
    pub async fn accept_invitation(
        &self,
        by: By,
        user: UserId,
        token: &str,
        issuer: Option<&str>,
    ) -> Result<Changed<OrgId>, ChangeError> {
        let mac = self.tokens.mac(token.as_bytes());
        let now = self.now_ns();
        self.change(by, |state| {
            let open = state.people.open_invitation(&mac, now);
            let open = open.ok_or(ChangeError::Unknown("invitation"))?;
            let (org, invitation) = (open.org, open.invitation);
            let required = state
                .orgs
                .get(org)
                .and_then(|org| org.sso_issuer.as_deref());
            if required.is_some() && required != issuer {
                let issuer = required.unwrap_or_default().to_owned();
                return Err(ChangeError::SsoRequired { issuer });
            }
            if state.people.role(org, user).is_some() {
                return Err(ChangeError::Conflict("you are a member already"));
            }
            let members = state.people.members(org, UserId(0)).count();
            check_room("members", members, MEMBERS_PER_ORG_MAX)?;
            let event = OrgEvent::InvitationAccepted { invitation, user };
            Ok((vec![self.org_event(by, event)], org))
        })
        .await
    }

    /// Gives a person or a team a role at a project.
    pub async fn set_grant(
        &self,
        by: By,
        project: u64,
        grantee: Grantee,
        role: Role,
    ) -> Result<Changed<()>, ChangeError> {
        by.must_cover(role)?;
        self.change(by, |state| {
            let owner = state.projects.get(project);
            let owner = owner.ok_or(ChangeError::Unknown("project"))?.org;
            if let Grantee::Team(team) = grantee {
                known_team(state, owner, team)?;
            }
            let old = state.people.grant(project, grantee);
            old.map_or(Ok(()), |old| by.must_cover(old))?;
            if old.is_none() {
                let there = state.people.grants(project).count();
                check_room("roles at the project", there, GRANTS_PER_PROJECT_MAX)?;
            }
            let event = OrgEvent::GrantSet {
                project,
                grantee,
                role,
            };
            let event = (old != Some(role)).then(|| self.org_event(by, event));
            Ok((event.into_iter().collect(), ()))
        })
        .await
    }

    /// Takes a role at a project.
    pub async fn remove_grant(
        &self,
        by: By,
        project: u64,
        grantee: Grantee,
    ) -> Result<Changed<()>, ChangeError> {
        self.change(by, |state| {
            let old = state.people.grant(project, grantee);
            by.must_cover(old.ok_or(ChangeError::Unknown("role"))?)?;
            let event = OrgEvent::GrantRemoved { project, grantee };
            Ok((vec![self.org_event(by, event)], ()))
        })
        .await
    }
}

fn known_team(state: &State, org: OrgId, team: u64) -> Result<(), ChangeError> {
    let found = state.people.team(team).filter(|team| team.org == org);
    found.map(drop).ok_or(ChangeError::Unknown("team"))
}
