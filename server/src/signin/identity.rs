//! Whom a provider's word lets in.

use super::accounts::{Accounts, SignInError, create, is_name};
use super::email::Email;
use super::event::{Fact, Method};
use super::oidc::{Claims, Provider};
use super::session::NewSession;
use super::users::{User, UserId, Users};
use crate::control::Actor;

impl Accounts {
    /// Signs in whoever a provider vouches for. Someone is known by issuer and subject and by
    /// nothing else; an address only joins the two, once, if the provider has verified it and its
    /// domain is one of the provider's.
    pub async fn sign_in_by(
        &self,
        provider: &Provider,
        claims: Claims,
    ) -> Result<NewSession, SignInError> {
        let (issuer, subject) = (provider.issuer().to_owned(), claims.subject.clone());
        let email = claims.verified_email.as_deref().and_then(Email::parse);
        let email = email.filter(|email| provider.allows(email.domain()));
        self.write(Actor::Nobody, |users, now_ns| {
            let known = users.by_identity(&issuer, &subject);
            let mut facts = Vec::new();
            let (user, is_new) = match (&known, &email) {
                (Some(user), _) => (user.id, false),
                (None, None) => return Err(SignInError::Identity),
                (None, Some(email)) => joined(users, email, claims.name.as_deref(), &mut facts)?,
            };
            if known.is_none() {
                facts.push(Fact::IdentityLinked {
                    user: user.0,
                    issuer: issuer.clone(),
                    subject,
                });
                facts.push(Fact::EmailVerified { user: user.0 });
            }
            // Whoever chose the password may be somebody else: what they opened with it ends.
            let is_joined = known.is_none() && !is_new;
            if is_joined && users.get(user).is_some_and(|user| user.has_password()) {
                facts.push(Fact::SessionsEnded {
                    user: user.0,
                    except: None,
                });
            }
            let method = Method::Oidc { issuer };
            let (started, session) = self.start_session_of(user, method, now_ns, is_new)?;
            facts.extend(started);
            Ok((facts, session))
        })
        .await
    }
}

/// The user with this address, or a new one. A user who chose a password for an address that nobody
/// verified may be somebody else who took it first: they are not joined.
fn joined(
    users: &Users,
    email: &Email,
    name: Option<&str>,
    facts: &mut Vec<Fact>,
) -> Result<(UserId, bool), SignInError> {
    let is_theirs = |user: &User| user.is_verified || !user.has_password();
    match users.by_email(email.as_str()) {
        Some(user) if is_theirs(&user) => Ok((user.id, false)),
        Some(_) => Err(SignInError::Identity),
        None => {
            let name = name.filter(|name| is_name(name)).unwrap_or(email.local());
            Ok((create(users, email, name, facts)?, true))
        }
    }
}
