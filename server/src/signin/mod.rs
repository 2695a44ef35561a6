//! Signing in: who the people are, how they show it, and for how long it holds.
//!
//! Users, sessions and links are a projection of the log ([`event`], [`users`]); [`accounts`] is
//! their one writer. A session opens nothing by itself: which projects a user may see is decided
//! elsewhere, from the [`users::UserId`] that [`session::Sessions::principal`] gives.

pub mod accounts;
mod attempts;
pub mod email;
pub mod event;
mod identity;
mod link;
pub mod mail;
pub mod oidc;
mod password;
pub mod session;
mod token;
pub mod users;

#[cfg(feature = "forge")]
pub(crate) use password::hash_reads;

pub use accounts::{Accounts, SignInError};
pub use session::{NewSession, Origins, Sessions};
pub use users::{SessionId, UserId, Users};

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use tokio::sync::mpsc;

use crate::http::auth::{SessionSource, SessionUser};
use crate::net::forwarded::Proxies;
use email::Email;
use event::Method;
use session::Forged;

/// Signing in at one server: its users, and where its pages are.
#[derive(Debug)]
pub struct SignIn {
    /// Users, and everything that changes them.
    pub accounts: Arc<Accounts>,
    /// Where our own pages are.
    pub origins: Origins,
    /// What links begin with, without a slash at the end.
    pub base: String,
    /// Whose word about addresses counts.
    pub(crate) proxies: Proxies,
    /// Providers by which people may sign in.
    pub providers: oidc::Providers,
    /// Requests for links by mail, done behind the answer.
    pub(crate) queue: mpsc::Sender<Email>,
}

impl SignIn {
    /// Sends a link to a new password to this address, if it is a user's. Whether it is shows
    /// neither in the answer nor in how long it takes.
    pub fn request_reset(&self, email: &str, address: IpAddr) -> Result<(), SignInError> {
        let email = Email::parse(email).ok_or(SignInError::Email)?;
        self.accounts.begin_reset(email.as_str(), address)?;
        if self.queue.try_send(email).is_err() {
            tracing::warn!("too many requests for links wait for the mail; one is forgotten");
        }
        Ok(())
    }
}

impl SessionSource for SignIn {
    fn principal(&self, headers: &HeaderMap, now_ns: i64) -> Option<SessionUser> {
        let (user, session, method) = self.accounts.sessions().principal(headers, now_ns)?;
        let issuer = match method {
            Method::Oidc { issuer } => Some(issuer.into()),
            Method::Password | Method::Reset | Method::Invite | Method::SetUp => None,
        };
        let session = Some(session);
        Some(SessionUser {
            user,
            issuer,
            session,
        })
    }

    fn goes_on(&self, session: &SessionUser, now_ns: i64) -> bool {
        let known = session.session;
        known.is_none_or(|id| self.accounts.users().session(id, now_ns).is_some())
    }

    fn refuse_forged(&self, method: &http::Method, headers: &HeaderMap) -> Result<(), Forged> {
        self.origins.refuse_forged(method, headers)
    }
}
