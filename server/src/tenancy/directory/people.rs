//! Members, teams, invitations and roles in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;

use super::DirectoryError;
use crate::control::Actor;
use crate::keys::KeyMac;
use crate::tenancy::{Grantee, NewInvitation, OrgId, Right, Rights, Role, UserId};

/// A team of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    /// Whose.
    pub org: OrgId,
    /// Its name, unique there.
    pub name: String,
}

/// Who is where, as what.
#[derive(Debug, Default)]
pub(crate) struct People {
    members: BTreeMap<(OrgId, UserId), Role>,
    orgs_of: BTreeSet<(UserId, OrgId)>,
    teams: BTreeMap<u64, Team>,
    teams_in: BTreeSet<(OrgId, u64)>,
    in_team: BTreeSet<(u64, UserId)>,
    teams_of: BTreeSet<(UserId, u64)>,
    team_last: u64,
    grants: BTreeMap<(u64, Grantee), Role>,
    granted: BTreeSet<(Grantee, u64)>,
    invitations: BTreeMap<u64, NewInvitation>,
    invited_to: BTreeSet<(OrgId, u64)>,
    /// Members who invited.
    invited_by: BTreeMap<u64, UserId>,
    by_token: HashMap<KeyMac, u64>,
    invitation_last: u64,
}

const USERS: (UserId, UserId) = (UserId(0), UserId(u64::MAX));

fn all_of<K: Copy>(key: K) -> RangeInclusive<(K, u64)> {
    (key, 0)..=(key, u64::MAX)
}

impl People {
    pub(crate) fn role(&self, org: OrgId, user: UserId) -> Option<Role> {
        self.members.get(&(org, user)).copied()
    }

    /// Members of an organization by id, from the one after this.
    pub(crate) fn members(
        &self,
        org: OrgId,
        after: UserId,
    ) -> impl Iterator<Item = (UserId, Role)> {
        self.members
            .range((org, after)..=(org, USERS.1))
            .filter(move |((_, user), _)| *user > after)
            .map(|((_, user), role)| (*user, *role))
    }

    pub(crate) fn owners(&self, org: OrgId) -> usize {
        self.members(org, USERS.0)
            .filter(|(_, role)| *role == Role::Owner)
            .count()
    }

    pub(crate) fn orgs_of(&self, user: UserId) -> impl Iterator<Item = OrgId> {
        self.orgs_of
            .range((user, OrgId(0))..=(user, OrgId(u64::MAX)))
            .map(|(_, org)| *org)
    }

    pub(crate) fn team(&self, team: u64) -> Option<&Team> {
        self.teams.get(&team)
    }

    pub(crate) fn teams_in(&self, org: OrgId) -> impl Iterator<Item = (u64, &Team)> {
        self.teams_in
            .range((org, 0)..=(org, u64::MAX))
            .filter_map(|(_, team)| Some((*team, self.teams.get(team)?)))
    }

    pub(crate) fn team_members(&self, team: u64) -> impl Iterator<Item = UserId> {
        self.in_team
            .range((team, USERS.0)..=(team, USERS.1))
            .map(|(_, user)| *user)
    }

    pub(crate) fn next_team(&self) -> u64 {
        self.team_last + 1
    }

    pub(crate) fn grants(&self, project: u64) -> impl Iterator<Item = (Grantee, Role)> {
        let first = Grantee::User(USERS.0);
        let last = Grantee::Team(u64::MAX);
        self.grants
            .range((project, first)..=(project, last))
            .map(|((_, grantee), role)| (*grantee, *role))
    }

    pub(crate) fn grant(&self, project: u64, grantee: Grantee) -> Option<Role> {
        self.grants.get(&(project, grantee)).copied()
    }

    /// Projects at which a person has a role of their own or of a team.
    pub(crate) fn projects_granted(&self, user: UserId) -> BTreeSet<u64> {
        let teams = self
            .teams_of
            .range(all_of(user))
            .map(|(_, team)| Grantee::Team(*team));
        teams
            .chain([Grantee::User(user)])
            .flat_map(|grantee| {
                self.granted
                    .range(all_of(grantee))
                    .map(|(_, project)| *project)
            })
            .collect()
    }

    pub(crate) fn rights_at_org(&self, user: UserId, org: OrgId) -> Rights {
        self.role(org, user)
            .map(Rights::of_role)
            .unwrap_or_default()
    }

    /// What a person may do at a project of this organization: by membership, alone, or in a team.
    pub(crate) fn rights_at_project(&self, user: UserId, org: OrgId, project: u64) -> Rights {
        let teams = self
            .teams_of
            .range(all_of(user))
            .map(|(_, team)| Grantee::Team(*team));
        teams
            .chain([Grantee::User(user)])
            .filter_map(|grantee| self.grant(project, grantee))
            .fold(self.rights_at_org(user, org), |rights, role| {
                rights.and(Rights::of_role(role))
            })
    }

    pub(crate) fn invitation(&self, id: u64) -> Option<&NewInvitation> {
        self.invitations.get(&id)
    }

    /// The invitation with this token that may be taken up now: it has its time, and whoever invited
    /// may still give the role.
    pub(crate) fn open_invitation(&self, token: &KeyMac, now_ns: i64) -> Option<&NewInvitation> {
        let found = self.invitations.get(self.by_token.get(token)?)?;
        let inviter = self.invited_by.get(&found.invitation);
        let may_give = inviter.is_none_or(|inviter| {
            let rights = self.rights_at_org(*inviter, found.org);
            rights.has(Right::MemberEdit) && rights.cover(Rights::of_role(found.role))
        });
        (found.expires_ns > now_ns && may_give).then_some(found)
    }

    pub(crate) fn invitations(&self, org: OrgId) -> impl Iterator<Item = &NewInvitation> {
        self.invited_to
            .range((org, 0)..=(org, u64::MAX))
            .filter_map(|(_, id)| self.invitations.get(id))
    }

    pub(crate) fn next_invitation(&self) -> u64 {
        self.invitation_last + 1
    }
}

/// Changes.
impl People {
    pub(super) fn set_member(&mut self, org: OrgId, user: UserId, role: Role) {
        self.members.insert((org, user), role);
        self.orgs_of.insert((user, org));
    }

    pub(super) fn remove_member(&mut self, org: OrgId, user: UserId) -> Result<(), DirectoryError> {
        if self.members.remove(&(org, user)).is_none() {
            return Err(unknown("member", user.0));
        }
        self.orgs_of.remove(&(user, org));
        let teams: Vec<u64> = self.teams_in(org).map(|(team, _)| team).collect();
        for team in teams {
            self.leave(team, user);
        }
        Ok(())
    }

    fn leave(&mut self, team: u64, user: UserId) {
        self.in_team.remove(&(team, user));
        self.teams_of.remove(&(user, team));
    }

    pub(super) fn create_team(
        &mut self,
        id: u64,
        org: OrgId,
        name: &str,
    ) -> Result<(), DirectoryError> {
        let name = name.to_owned();
        if self.teams.insert(id, Team { org, name }).is_some() {
            return Err(DirectoryError::Twice { what: "team", id });
        }
        self.teams_in.insert((org, id));
        self.team_last = self.team_last.max(id);
        Ok(())
    }

    pub(super) fn rename_team(&mut self, id: u64, name: &str) -> Result<(), DirectoryError> {
        let team = self.teams.get_mut(&id).ok_or(unknown("team", id))?;
        name.clone_into(&mut team.name);
        Ok(())
    }

    pub(super) fn delete_team(&mut self, id: u64) -> Result<(), DirectoryError> {
        let team = self.teams.remove(&id).ok_or(unknown("team", id))?;
        self.teams_in.remove(&(team.org, id));
        let members: Vec<UserId> = self.team_members(id).collect();
        for user in members {
            self.leave(id, user);
        }
        let grantee = Grantee::Team(id);
        let projects = self
            .granted
            .range(all_of(grantee))
            .map(|(_, project)| *project);
        for project in projects.collect::<Vec<u64>>() {
            self.remove_grant(project, grantee);
        }
        Ok(())
    }

    pub(super) fn set_team_member(
        &mut self,
        team: u64,
        user: UserId,
        present: bool,
    ) -> Result<(), DirectoryError> {
        if !self.teams.contains_key(&team) {
            return Err(unknown("team", team));
        }
        if present {
            self.in_team.insert((team, user));
            self.teams_of.insert((user, team));
        } else {
            self.leave(team, user);
        }
        Ok(())
    }

    pub(super) fn set_grant(&mut self, project: u64, grantee: Grantee, role: Role) {
        self.grants.insert((project, grantee), role);
        self.granted.insert((grantee, project));
    }

    pub(super) fn remove_grant(&mut self, project: u64, grantee: Grantee) {
        self.grants.remove(&(project, grantee));
        self.granted.remove(&(grantee, project));
    }

    pub(super) fn remove_grants(&mut self, project: u64) {
        let grantees: Vec<Grantee> = self.grants(project).map(|(grantee, _)| grantee).collect();
        for grantee in grantees {
            self.remove_grant(project, grantee);
        }
    }

    pub(super) fn invite(&mut self, new: &NewInvitation, by: Actor) -> Result<(), DirectoryError> {
        let id = new.invitation;
        if self.invitations.contains_key(&id) || self.by_token.contains_key(&new.mac) {
            return Err(DirectoryError::Twice {
                what: "invitation",
                id,
            });
        }
        if let Actor::User(inviter) = by {
            self.invited_by.insert(id, inviter);
        }
        self.by_token.insert(new.mac, id);
        self.invited_to.insert((new.org, id));
        self.invitations.insert(id, new.clone());
        self.invitation_last = self.invitation_last.max(id);
        Ok(())
    }

    pub(super) fn close_invitation(&mut self, id: u64) -> Result<NewInvitation, DirectoryError> {
        let old = self
            .invitations
            .remove(&id)
            .ok_or(unknown("invitation", id))?;
        self.by_token.remove(&old.mac);
        self.invited_by.remove(&id);
        self.invited_to.remove(&(old.org, id));
        Ok(old)
    }

    /// Nothing of the organization is left.
    pub(super) fn forget(&mut self, org: OrgId) -> Result<(), DirectoryError> {
        let teams: Vec<u64> = self.teams_in(org).map(|(team, _)| team).collect();
        for team in teams {
            self.delete_team(team)?;
        }
        let members: Vec<UserId> = self.members(org, USERS.0).map(|(user, _)| user).collect();
        for user in members {
            self.remove_member(org, user)?;
        }
        let open: Vec<u64> = self.invitations(org).map(|i| i.invitation).collect();
        for id in open {
            self.close_invitation(id)?;
        }
        Ok(())
    }
}

const fn unknown(what: &'static str, id: u64) -> DirectoryError {
    DirectoryError::Unknown { what, id }
}
