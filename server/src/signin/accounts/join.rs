//! Becoming a user: by the set-up link, or by an invitation.

use std::net::IpAddr;

use super::{Accounts, SignInError, create, is_name};
use crate::control::Actor;
use crate::signin::email::Email;
use crate::signin::event::{Fact, Method, PasswordHash, Purpose};
use crate::signin::password::Password;
use crate::signin::session::NewSession;
use crate::tenancy::plane::By;
use crate::tenancy::{FIRST_ORG, Role};

/// What someone says who joins.
pub struct Newcomer {
    /// Their address; ignored by an invitation, which knows it.
    pub email: String,
    /// What to call them.
    pub name: String,
    /// The password that they chose.
    pub password: String,
}

impl std::fmt::Debug for Newcomer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Newcomer(..)")
    }
}

impl Accounts {
    /// Makes the first user, the owner of the first organization, by the set-up link.
    pub async fn set_up(
        &self,
        token: &str,
        newcomer: Newcomer,
        address: IpAddr,
    ) -> Result<NewSession, SignInError> {
        let (mac, _) = self.presented(token, Purpose::SetUp, address)?;
        let email = Email::parse(&newcomer.email).ok_or(SignInError::Email)?;
        let (name, phc) = self.accept(newcomer, &email).await?;
        let session = self
            .write(Actor::Operator, |users, now_ns| {
                let link = users.link(&mac, now_ns).ok_or(SignInError::Link)?;
                if users.first_owner().is_some() {
                    return Err(SignInError::Link);
                }
                let mut facts = self.used(&mac, &link, now_ns);
                let user = create(users, &email, &name, &mut facts)?;
                facts.push(Fact::PasswordSet { user: user.0, phc });
                facts.push(Fact::SetUp { user: user.0 });
                let (started, session) =
                    self.start_session_of(user, Method::SetUp, now_ns, true)?;
                facts.extend(started);
                Ok((facts, session))
            })
            .await?;
        self.own().await?;
        Ok(session)
    }

    /// Makes the user who set this data directory up the owner of the first organization, unless
    /// it has one. Also at each start: the process may have ended between the two events.
    pub async fn own(&self) -> Result<(), SignInError> {
        let directory = self.plane.directory();
        let is_owned = directory.read(|state| state.people.owners(FIRST_ORG) > 0);
        // Others own it by now, and may have removed whoever set it up.
        let owner = self.users.first_owner().filter(|_| !is_owned);
        let Some(owner) = owner else { return Ok(()) };
        self.plane
            .set_member(By::system(), FIRST_ORG, owner, Role::Owner)
            .await?;
        Ok(())
    }

    /// Makes a user by an invitation to an organization, and takes it up: whoever has its token
    /// says what to call them and chooses a password. Whoever invited them had the token, too: that
    /// mail arrives at the address has still to be shown.
    pub async fn join(
        &self,
        token: &str,
        newcomer: Newcomer,
        address: IpAddr,
    ) -> Result<NewSession, SignInError> {
        self.begin_from(address)?;
        let invited = || match self.plane.invited(token) {
            Some((email, None)) => Ok(email),
            // A password opens nothing there.
            Some((_, Some(issuer))) => Err(SignInError::SsoRequired { issuer }),
            None => Err(SignInError::Link),
        };
        let email = Email::parse(&invited()?).ok_or(SignInError::Email)?;
        let (name, phc) = self.accept(newcomer, &email).await?;
        let session = self
            .write(Actor::Nobody, |users, now_ns| {
                invited()?;
                let mut facts = Vec::new();
                let user = create(users, &email, &name, &mut facts)?;
                facts.push(Fact::PasswordSet { user: user.0, phc });
                let (started, session) =
                    self.start_session_of(user, Method::Invite, now_ns, true)?;
                facts.extend(started);
                Ok((facts, session))
            })
            .await?;
        let by = By::new(Actor::User(session.user), By::system().rights);
        self.plane
            .accept_invitation(by, session.user, token, None)
            .await?;
        Ok(session)
    }

    /// The name and the hash of the password that a newcomer chose.
    async fn accept(
        &self,
        newcomer: Newcomer,
        email: &Email,
    ) -> Result<(String, PasswordHash), SignInError> {
        let Newcomer { name, password, .. } = newcomer;
        if !is_name(&name) {
            return Err(SignInError::Name);
        }
        let password = Password::choose(password, email, &name)?;
        let phc = self.hasher.hash(password).await?;
        Ok((name, PasswordHash(phc)))
    }
}
