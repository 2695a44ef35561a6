//! Changes of organizations.

use super::{By, ChangeError, Changed, ControlPlane, check_name, check_room};
use crate::control::Actor;
use crate::limits::{ORGS_MAX, SSO_ISSUER_BYTES_MAX};
use crate::tenancy::directory::{State, is_slug};
use crate::tenancy::{FIRST_ORG, OrgEvent, OrgId, Role};

fn check_slug(slug: &str) -> Result<(), ChangeError> {
    if is_slug(slug) {
        Ok(())
    } else {
        Err(ChangeError::Slug(slug.chars().take(64).collect()))
    }
}

fn known(state: &State, org: OrgId) -> Result<(), ChangeError> {
    let org = state.orgs.get(org).map(drop);
    org.ok_or(ChangeError::Unknown("organization"))
}

impl ControlPlane {
    /// Makes an organization. A person who makes it is its owner.
    pub async fn create_org(
        &self,
        by: By,
        name: &str,
        slug: &str,
    ) -> Result<Changed<OrgId>, ChangeError> {
        check_name(name)?;
        check_slug(slug)?;
        self.change(by, |state| {
            check_room("organizations", state.orgs.len(), ORGS_MAX)?;
            if state.orgs.with_slug(slug).is_some() {
                return Err(ChangeError::Exists("organization"));
            }
            let org = state.orgs.next_id();
            let (name, slug) = (name.to_owned(), slug.to_owned());
            let mut events = vec![self.org_event(by, OrgEvent::OrgCreated { org, name, slug })];
            if let Actor::User(user) = by.actor {
                let role = Role::Owner;
                events.push(self.org_event(by, OrgEvent::MemberSet { org, user, role }));
            }
            Ok((events, org))
        })
        .await
    }

    /// Gives an organization another name, slug or both.
    pub async fn rename_org(
        &self,
        by: By,
        org: OrgId,
        name: Option<&str>,
        slug: Option<&str>,
    ) -> Result<Changed<()>, ChangeError> {
        name.map(check_name).transpose()?;
        slug.map(check_slug).transpose()?;
        self.change(by, |state| {
            let old = state
                .orgs
                .get(org)
                .ok_or(ChangeError::Unknown("organization"))?;
            let name = name.unwrap_or(&old.name).to_owned();
            let slug = slug.unwrap_or(&old.slug).to_owned();
            if state
                .orgs
                .with_slug(&slug)
                .is_some_and(|other| other.id != org)
            {
                return Err(ChangeError::Exists("organization"));
            }
            let same = name == old.name && slug == old.slug;
            let event = OrgEvent::OrgRenamed { org, name, slug };
            let event = (!same).then(|| self.org_event(by, event));
            Ok((event.into_iter().collect(), ()))
        })
        .await
    }

    /// Lets an organization take no more data, or take data again.
    pub async fn archive_org(
        &self,
        by: By,
        org: OrgId,
        archived: bool,
    ) -> Result<Changed<()>, ChangeError> {
        self.change(by, |state| {
            let old = state
                .orgs
                .get(org)
                .ok_or(ChangeError::Unknown("organization"))?;
            let event = OrgEvent::OrgArchived { org, archived };
            let event = (old.is_archived != archived).then(|| self.org_event(by, event));
            Ok((event.into_iter().collect(), ()))
        })
        .await
    }

    /// Deletes an organization that has no project left.
    pub async fn delete_org(&self, by: By, org: OrgId) -> Result<Changed<()>, ChangeError> {
        self.change(by, |state| {
            known(state, org)?;
            if org == FIRST_ORG {
                return Err(ChangeError::Conflict("the first organization stays"));
            }
            if state.projects.in_org(org, 0).next().is_some() {
                return Err(ChangeError::Conflict(
                    "the organization has projects; delete or move them first",
                ));
            }
            Ok((vec![self.org_event(by, OrgEvent::OrgDeleted { org })], ()))
        })
        .await
    }

    /// Wants people to sign in through an issuer, or lets them by any way.
    pub async fn require_sso(
        &self,
        by: By,
        org: OrgId,
        issuer: Option<&str>,
    ) -> Result<Changed<()>, ChangeError> {
        let fits = |issuer: &str| {
            issuer.len() <= SSO_ISSUER_BYTES_MAX
                && issuer.starts_with("https://")
                && issuer.bytes().all(|b| b.is_ascii_graphic())
        };
        if issuer.is_some_and(|issuer| !fits(issuer)) {
            return Err(ChangeError::Invalid("issuer must be an https address"));
        }
        self.change(by, |state| {
            let old = state
                .orgs
                .get(org)
                .ok_or(ChangeError::Unknown("organization"))?;
            let same = old.sso_issuer.as_deref() == issuer;
            let issuer = issuer.map(str::to_owned);
            let event = OrgEvent::SsoRequired { org, issuer };
            let event = (!same).then(|| self.org_event(by, event));
            Ok((event.into_iter().collect(), ()))
        })
        .await
    }
}
