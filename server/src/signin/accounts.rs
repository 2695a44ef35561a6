//! The one writer of [`UserEvent`]s: every way to sign in, to sign out and to change who may.
//!
//! Each change is decided, appended, durable and applied before the next one is decided, also when
//! the client that asked for it has gone. [`Accounts::start_session`] is the only function that
//! makes a session, so that whatever keeps a user out keeps them out on every way.

mod join;

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Mutex;

pub use join::Newcomer;

use super::attempts::{Attempts, TooMany};
use super::email::Email;
use super::event::{Fact, Method, PasswordHash, Purpose, TokenMac, UserEvent};
use super::password::{Busy, HashCounts, Hasher, Password, PasswordError, Verdict};
use super::session::{NewSession, Sessions};
use super::token::Token;
use super::users::{Link, SessionId, User, UserId, Users};
use crate::control::{Act, Actor, AuditAction, AuditNote, ControlEvent};
use crate::keys::{Macs, MasterSecret};
use crate::limits::{SESSIONS_PER_USER_MAX, USER_NAME_BYTES_MAX, USERS_MAX};
use crate::tenancy::{ChangeError, ControlPlane};
use obsrv_engine::io::{Clock, Rng};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No such user, a wrong password, or a user who may not sign in: which of these is not said.
    #[error("unknown e-mail address or wrong password")]
    Refused,
    /// The organization wants its provider to be asked.
    #[error("your organization requires single sign-on issuer={issuer}")]
    SsoRequired {
        /// Which.
        issuer: String,
    },
    /// Too many attempts.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Too many hashes wait.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// Not a link, or one that was used, has expired or is for something else.
    #[error("link is unknown, used or expired")]
    Link,
    /// The new password is not accepted.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Not an e-mail address.
    #[error("not an e-mail address")]
    Email,
    /// Not a name.
    #[error("name must be 1 to {USER_NAME_BYTES_MAX} bytes of printable text")]
    Name,
    /// Somebody has this address.
    #[error("there is a user with this e-mail address")]
    EmailTaken,
    /// No such user. Told to administrators alone.
    #[error("unknown user")]
    UnknownUser,
    /// The provider's identity opens nothing here.
    #[error("this identity may not sign in here")]
    Identity,
    /// A table is full.
    #[error("too many {what} max={max}")]
    Full {
        /// Which.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// The control plane did not take it.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

/// Users, and everything that changes them.
pub struct Accounts {
    pub(super) users: Arc<Users>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: Arc<dyn Rng>,
    plane: Arc<ControlPlane>,
    sessions: Sessions,
    links: Macs,
    hasher: Hasher,
    attempts: Attempts,
    writer: Arc<Mutex<()>>,
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts")
            .field("users", &self.users.count())
            .finish_non_exhaustive()
    }
}

impl Accounts {
    /// Writes to this control plane, keeps its users.
    pub fn new(
        plane: Arc<ControlPlane>,
        master: &MasterSecret,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        let users = Arc::clone(plane.users());
        Self {
            sessions: Sessions::new(Arc::clone(&users), Macs::for_sessions(master)),
            users,
            plane,
            links: Macs::for_links(master),
            hasher: Hasher::new(Arc::clone(&rng)),
            attempts: Attempts::default(),
            clock,
            rng,
            writer: Arc::default(),
        }
    }

    /// Who is there.
    pub const fn users(&self) -> &Arc<Users> {
        &self.users
    }

    /// Whom cookies stand for.
    pub const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// How many password hashes were made.
    pub fn hash_counts(&self) -> &HashCounts {
        self.hasher.counts()
    }

    /// E-mail address and password.
    pub async fn sign_in(
        &self,
        email: &str,
        password: String,
        address: IpAddr,
    ) -> Result<NewSession, SignInError> {
        // What is no address is counted and hashed like one, too.
        let email = Email::parse(email).map_or_else(String::new, |e| e.as_str().to_owned());
        let password = Password::typed(password).ok_or(SignInError::Refused)?;
        self.attempts.begin(&email, address, self.clock.mono_ns())?;
        let user = self.users.by_email(&email);
        let phc = user.as_ref().and_then(|user| user.phc.clone());
        let verdict = self
            .hasher
            .verify(password.clone(), text_of(phc.as_deref()))
            .await?;
        let user = match (verdict, user) {
            (Verdict::Right | Verdict::RightButCheap, Some(user)) if !user.is_disabled => user,
            (_, known) => {
                self.note_failure(known);
                return Err(SignInError::Refused);
            }
        };
        self.attempts.succeeded(&email, address);
        let fresh = match verdict {
            Verdict::RightButCheap => Some(self.hasher.hash(password).await?),
            Verdict::Right | Verdict::Wrong => None,
        };
        self.write(Actor::User(user.id), |users, now_ns| {
            // The password may have been changed while it was compared.
            let is_current = users.get(user.id).is_some_and(|u| u.phc == phc);
            if !is_current {
                return Err(SignInError::Refused);
            }
            let (mut facts, session) = self.start_session(user.id, Method::Password, now_ns)?;
            facts.extend(fresh.map(|phc| Fact::PasswordSet {
                user: user.id.0,
                phc: PasswordHash(phc),
            }));
            Ok((facts, session))
        })
        .await
    }

    /// The one function that makes a session: refuses users who are disabled or must sign in
    /// elsewhere, ends the oldest session of someone who has too many.
    pub(super) fn start_session(
        &self,
        user: UserId,
        method: Method,
        now_ns: i64,
    ) -> Result<(Vec<Fact>, NewSession), SignInError> {
        self.start_session_of(user, method, now_ns, false)
    }

    /// The same for a user whom the same event makes.
    pub(super) fn start_session_of(
        &self,
        user: UserId,
        method: Method,
        now_ns: i64,
        is_new: bool,
    ) -> Result<(Vec<Fact>, NewSession), SignInError> {
        let known = self.users.get(user);
        if !is_new && known.is_none_or(|user| user.is_disabled) {
            return Err(SignInError::Refused);
        }
        let by = match &method {
            Method::Oidc { issuer } => issuer,
            Method::Password | Method::Reset | Method::Invite | Method::SetUp => "",
        };
        if let Some(issuer) = self.required_issuer(user, by) {
            return Err(SignInError::SsoRequired { issuer });
        }
        let token = Token::mint(&*self.rng);
        let mac = self.sessions.mac(&token);
        let open = self.users.sessions(user, now_ns);
        let surplus = (open.len() + 1).saturating_sub(SESSIONS_PER_USER_MAX);
        let mut facts: Vec<Fact> = open[..surplus]
            .iter()
            .map(|old| Fact::SessionEnded { session: old.id.0 })
            .collect();
        facts.push(Fact::SessionStarted {
            mac,
            user: user.0,
            method,
        });
        let id = SessionId::of(&mac);
        Ok((facts, NewSession { id, user, token }))
    }

    /// The issuer that a user must sign in by: of one of their organizations, if a session by `by`
    /// opened none of them. One that opens some is let in; each organization looks for itself.
    fn required_issuer(&self, user: UserId, by: &str) -> Option<String> {
        let directory = self.plane.directory();
        let mut required = None;
        for org in directory.orgs_of(user) {
            let issuer = directory.org(org)?.sso_issuer?;
            if issuer == by {
                return None;
            }
            required.get_or_insert(issuer);
        }
        required
    }

    /// A line in the audit log, for a user that exists: names that nobody has are counted, not
    /// logged. Nobody waits for it, so that an answer takes as long for either.
    fn note_failure(&self, user: Option<User>) {
        let Some(user) = user else { return };
        let plane = Arc::clone(&self.plane);
        tokio::spawn(async move {
            let note = AuditNote {
                action: AuditAction::SignInFailed,
                org: None,
                project: None,
                subject: user.email.to_string(),
            };
            if let Err(error) = plane.note(Actor::Nobody, note).await {
                tracing::warn!(%error, "failed sign-in not in the audit log");
            }
        });
    }

    /// Ends one session.
    pub async fn sign_out(&self, user: UserId, session: SessionId) -> Result<(), SignInError> {
        let fact = Fact::SessionEnded { session: session.0 };
        self.write(Actor::User(user), |_, _| Ok((vec![fact], ())))
            .await
    }

    /// Ends every session of a user. Also what a change of their roles asks for.
    pub async fn sign_out_everywhere(&self, actor: Actor, user: UserId) -> Result<(), SignInError> {
        let fact = Fact::SessionsEnded {
            user: user.0,
            except: None,
        };
        self.write(actor, |_, _| Ok((vec![fact], ()))).await
    }

    /// A new password for someone who has a session and knows the old one. Every session ends; the
    /// one that asked goes on under a new id.
    pub async fn change_password(
        &self,
        user: UserId,
        (current, new): (String, String),
        method: Method,
        address: IpAddr,
    ) -> Result<NewSession, SignInError> {
        let known = self.users.get(user).ok_or(SignInError::Refused)?;
        let current = Password::typed(current).ok_or(SignInError::Refused)?;
        let new = choose(new, &known)?;
        self.attempts
            .begin(&known.email, address, self.clock.mono_ns())?;
        let verdict = self
            .hasher
            .verify(current, text_of(known.phc.as_deref()))
            .await?;
        if verdict == Verdict::Wrong {
            return Err(SignInError::Refused);
        }
        self.attempts.succeeded(&known.email, address);
        let phc = self.hasher.hash(new).await?;
        self.write(Actor::User(user), |users, now_ns| {
            if users.get(user).is_none_or(|u| u.phc != known.phc) {
                return Err(SignInError::Refused);
            }
            self.with_new_password(user, phc, method, now_ns)
        })
        .await
    }

    /// Ends a user's sessions and gives them a password and one session.
    fn with_new_password(
        &self,
        user: UserId,
        phc: String,
        method: Method,
        now_ns: i64,
    ) -> Result<(Vec<Fact>, NewSession), SignInError> {
        let (started, session) = self.start_session(user, method, now_ns)?;
        let mut facts = vec![
            Fact::SessionsEnded {
                user: user.0,
                except: None,
            },
            Fact::PasswordSet {
                user: user.0,
                phc: PasswordHash(phc),
            },
        ];
        let fresh = started
            .into_iter()
            .filter(|fact| matches!(fact, Fact::SessionStarted { .. }));
        facts.extend(fresh);
        Ok((facts, session))
    }

    /// A new password by a reset link. Shows that mail arrives.
    pub async fn reset(
        &self,
        token: &str,
        new: String,
        address: IpAddr,
    ) -> Result<NewSession, SignInError> {
        let (mac, link) = self.presented(token, Purpose::Reset, address)?;
        let user = link.user.ok_or(SignInError::Link)?;
        let known = self.users.get(user).ok_or(SignInError::Link)?;
        let phc = self.hasher.hash(choose(new, &known)?).await?;
        self.write(Actor::User(user), |users, now_ns| {
            let link = users.link(&mac, now_ns).ok_or(SignInError::Link)?;
            let (mut facts, session) = self.with_new_password(user, phc, Method::Reset, now_ns)?;
            facts.extend(self.used(&mac, &link, now_ns));
            facts.push(Fact::EmailVerified { user: user.0 });
            Ok((facts, session))
        })
        .await
    }

    /// Mail arrives at the address that the link was sent to.
    pub async fn verify(&self, token: &str, address: IpAddr) -> Result<UserId, SignInError> {
        let (mac, link) = self.presented(token, Purpose::Verify, address)?;
        let actor = link.user.map_or(Actor::Nobody, Actor::User);
        self.write(actor, |users, now_ns| {
            let link = users.link(&mac, now_ns).ok_or(SignInError::Link)?;
            let user = link.user.ok_or(SignInError::Link)?;
            let mut facts = self.used(&mac, &link, now_ns);
            facts.push(Fact::EmailVerified { user: user.0 });
            Ok((facts, user))
        })
        .await
    }

    /// Lets a user sign in, or ends that and all their sessions.
    pub async fn set_disabled(
        &self,
        actor: Actor,
        user: UserId,
        is_disabled: bool,
    ) -> Result<(), SignInError> {
        self.write(actor, |users, _| {
            users.get(user).ok_or(SignInError::UnknownUser)?;
            let fact = if is_disabled {
                Fact::Disabled { user: user.0 }
            } else {
                Fact::Enabled { user: user.0 }
            };
            Ok((vec![fact], ()))
        })
        .await
    }

    /// Forgets sessions and links that have expired.
    pub fn keep_house(&self) {
        self.users.sweep(self.clock.wall_ns());
    }

    /// Counts a use of what is asked for without naming an account.
    pub(crate) fn begin_from(&self, address: IpAddr) -> Result<(), TooMany> {
        self.attempts.begin_from(address, self.clock.mono_ns())
    }

    /// Counts a letter to an account.
    pub(super) fn begin_reset(&self, email: &str, address: IpAddr) -> Result<(), TooMany> {
        self.attempts
            .begin_reset(email, address, self.clock.mono_ns())
    }

    pub(super) fn link_mac(&self, token: &Token) -> TokenMac {
        self.links.mac(token.reveal().as_bytes())
    }

    /// The link of this token, if it is one for this purpose and lives. Guesses are counted.
    fn presented(
        &self,
        token: &str,
        purpose: Purpose,
        address: IpAddr,
    ) -> Result<(TokenMac, Link), SignInError> {
        self.begin_from(address)?;
        let mac = self.link_mac(&Token::parse(token).ok_or(SignInError::Link)?);
        let link = self.users.link(&mac, self.clock.wall_ns());
        let link = link
            .filter(|link| link.purpose == purpose)
            .ok_or(SignInError::Link)?;
        Ok((mac, link))
    }

    /// The link, and every other one for the same purpose and address, opens nothing any more.
    fn used(&self, mac: &TokenMac, link: &Link, now_ns: i64) -> Vec<Fact> {
        let mut macs = self.users.links_to(&link.email, link.purpose, now_ns);
        macs.retain(|other| other != mac);
        macs.push(*mac);
        macs.into_iter().map(|mac| Fact::LinkUsed { mac }).collect()
    }

    /// Decides and makes one change. Nothing comes between the decision and its place among the
    /// events of users; it is carried out whether or not anyone still waits for it.
    pub(super) async fn write<T>(
        &self,
        actor: Actor,
        decide: impl FnOnce(&Users, i64) -> Result<(Vec<Fact>, T), SignInError>,
    ) -> Result<T, SignInError> {
        let guard = Arc::clone(&self.writer).lock_owned().await;
        let at_ns = self.clock.wall_ns();
        let (facts, out) = decide(&self.users, at_ns)?;
        if facts.is_empty() {
            return Ok(out);
        }
        let event = ControlEvent::User(Act {
            actor,
            at_ns,
            event: UserEvent { facts },
        });
        let plane = Arc::clone(&self.plane);
        let change = tokio::spawn(async move {
            let outcome = plane.append(vec![event]).await;
            drop(guard);
            outcome
        });
        change.await.unwrap_or(Err(ChangeError::OutcomeUnknown))?;
        Ok(out)
    }
}

fn text_of(phc: Option<&PasswordHash>) -> Option<&str> {
    phc.map(|phc| phc.0.as_str())
}

fn choose(new: String, user: &User) -> Result<Password, SignInError> {
    let email = Email::parse(&user.email).ok_or(SignInError::Email)?;
    Ok(Password::choose(new, &email, &user.name)?)
}

pub(super) fn is_name(name: &str) -> bool {
    !name.trim().is_empty()
        && name.len() <= USER_NAME_BYTES_MAX
        && !name.chars().any(char::is_control)
}

/// The facts of a new user.
pub(super) fn create(
    users: &Users,
    email: &Email,
    name: &str,
    facts: &mut Vec<Fact>,
) -> Result<UserId, SignInError> {
    if users.by_email(email.as_str()).is_some() {
        return Err(SignInError::EmailTaken);
    }
    if users.count() >= USERS_MAX {
        return Err(SignInError::Full {
            what: "users",
            max: USERS_MAX,
        });
    }
    let user = users.next_user();
    facts.push(Fact::Created {
        user: user.0,
        email: email.as_str().to_owned(),
        name: name.to_owned(),
    });
    Ok(user)
}

#[cfg(test)]
mod tests;
