//! Links: what someone gets by mail or from an administrator, to do one thing once.

use std::time::Duration;

use super::accounts::{Accounts, SignInError};
use super::email::Email;
use super::event::{Fact, Purpose};
use super::token::Token;
use crate::control::Actor;
use crate::limits::{
    LINK_RESET_TIME, LINK_SETUP_TIME, LINK_VERIFY_TIME, LINKS_MAX, LINKS_PER_ADDRESS_MAX,
};

impl Purpose {
    const fn time(self) -> Duration {
        match self {
            Self::Verify => LINK_VERIFY_TIME,
            Self::Reset => LINK_RESET_TIME,
            Self::SetUp => LINK_SETUP_TIME,
        }
    }

    /// Where the link leads. The token is a fragment: browsers send it to nobody.
    pub fn url(self, base: &str, token: &Token) -> String {
        format!("{base}/{}#token={}", self.as_str(), token.reveal())
    }
}

impl Accounts {
    /// A link to the set-up of a data directory that nobody has set up; none if somebody has.
    /// Earlier ones open nothing any more.
    pub async fn set_up_link(&self) -> Result<Option<Token>, SignInError> {
        if self.users.first_owner().is_some() {
            return Ok(None);
        }
        let to = (None, "");
        self.issue(Actor::System, Purpose::SetUp, to, 1)
            .await
            .map(Some)
    }

    /// A link for a user. For administrators and for the mail; whoever gets the answer can become
    /// the user.
    pub async fn link(
        &self,
        actor: Actor,
        email: &Email,
        purpose: Purpose,
    ) -> Result<Token, SignInError> {
        if purpose == Purpose::SetUp {
            return Err(SignInError::Link);
        }
        let user = self.users.by_email(email.as_str());
        let user = user
            .filter(|user| !user.is_disabled)
            .ok_or(SignInError::UnknownUser)?;
        let to = (Some(user.id.0), email.as_str());
        self.issue(actor, purpose, to, LINKS_PER_ADDRESS_MAX).await
    }

    /// Issues a link; of those for the same purpose and address the latest `keep` live on.
    async fn issue(
        &self,
        actor: Actor,
        purpose: Purpose,
        (user, email): (Option<u64>, &str),
        keep: usize,
    ) -> Result<Token, SignInError> {
        let token = Token::mint(&*self.rng);
        let mac = self.link_mac(&token);
        self.write(actor, |users, now_ns| {
            if users.link_count() >= LINKS_MAX {
                users.sweep(now_ns);
            }
            if users.link_count() >= LINKS_MAX {
                return Err(SignInError::Full {
                    what: "links",
                    max: LINKS_MAX,
                });
            }
            let known = users.links_to(email, purpose, now_ns);
            let surplus = (known.len() + 1).saturating_sub(keep);
            let mut facts: Vec<_> = known[..surplus]
                .iter()
                .map(|mac| Fact::LinkUsed { mac: *mac })
                .collect();
            let time_ns = i64::try_from(purpose.time().as_nanos()).unwrap_or(i64::MAX);
            facts.push(Fact::LinkIssued {
                mac,
                purpose,
                user,
                email: email.to_owned(),
                expires_ns: now_ns.saturating_add(time_ns),
            });
            Ok((facts, ()))
        })
        .await?;
        Ok(token)
    }
}
