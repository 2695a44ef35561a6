//! Users, sessions and links in memory: a projection of the log's [`UserEvent`]s.
//!
//! Readers take the lock for one lookup. One writer at a time, `Accounts`: its
//! events are applied here once they are durable. What has expired stays in the maps until
//! [`Users::sweep`] and is treated as absent by every reader.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::RwLock;

use super::event::{Fact, Method, PasswordHash, Purpose, TokenMac, UserEvent};
use crate::control::{Act, AuditAction, ControlEvent};
use crate::limits::{SESSION_IDLE_TIME_MAX, SESSION_TIME_MAX};
pub use crate::tenancy::UserId;

/// A session's public id: may be shown and logged, opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(pub u64);

impl SessionId {
    /// The id of the session with this MAC.
    pub fn of(mac: &TokenMac) -> Self {
        let mut first = [0; 8];
        first.copy_from_slice(&mac[..8]);
        // Short of the sign bit for readers with signed numbers.
        Self(u64::from_le_bytes(first) >> 1)
    }
}

/// Someone who may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Their address, in lower case, unique.
    pub email: Arc<str>,
    /// What to call them.
    pub name: Arc<str>,
    /// Mail arrives there: a link or a provider showed it.
    pub is_verified: bool,
    /// They may not sign in.
    pub is_disabled: bool,
    /// When they were made, nanoseconds since the epoch.
    pub created_ns: i64,
    pub(super) phc: Option<Arc<PasswordHash>>,
    pub(super) identities: Vec<(Arc<str>, Arc<str>)>,
}

impl User {
    /// Whether they have a password.
    pub const fn has_password(&self) -> bool {
        self.phc.is_some()
    }
}

/// A session that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its public id.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// How they signed in.
    pub method: Method,
    /// When, nanoseconds since the epoch.
    pub started_ns: i64,
    /// When it was last used, nanoseconds since the epoch.
    pub seen_ns: i64,
}

impl Session {
    fn is_live(&self, now_ns: i64) -> bool {
        let within = |since: i64, max: std::time::Duration| {
            now_ns.saturating_sub(since) < i64::try_from(max.as_nanos()).unwrap_or(i64::MAX)
        };
        within(self.started_ns, SESSION_TIME_MAX) && within(self.seen_ns, SESSION_IDLE_TIME_MAX)
    }
}

/// A link that may still be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What it is for.
    pub purpose: Purpose,
    /// For whom; none if there is no user yet.
    pub user: Option<UserId>,
    /// To which address; empty for the set-up link.
    pub email: Arc<str>,
    /// Until when, nanoseconds since the epoch.
    pub expires_ns: i64,
}

/// Why an event does not fit what is there: a fault of obsrv, or a log of something else.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsersError {
    /// A second user with this id or address.
    #[error("user exists twice id={0}")]
    UserTwice(u64),
    /// No user has this id.
    #[error("unknown user id={0}")]
    UnknownUser(u64),
    /// The identity is another user's.
    #[error("identity belongs to another user id={0}")]
    IdentityTwice(u64),
}

#[derive(Debug, Default)]
struct State {
    users: HashMap<u64, User>,
    by_email: HashMap<Arc<str>, u64>,
    by_identity: HashMap<(Arc<str>, Arc<str>), u64>,
    sessions: HashMap<TokenMac, Session>,
    /// MACs of each user's sessions, oldest first.
    sessions_of: HashMap<u64, VecDeque<TokenMac>>,
    by_session: HashMap<SessionId, TokenMac>,
    links: HashMap<TokenMac, Link>,
    first_owner: Option<UserId>,
    user_last: u64,
}

/// The projection.
#[derive(Debug, Default)]
pub struct Users {
    state: RwLock<State>,
}

impl Users {
    /// Applies one durable event.
    pub fn apply(&self, act: &Act<UserEvent>) -> Result<(), UsersError> {
        let mut state = self.state.write();
        for fact in &act.event.facts {
            state.apply(act.at_ns, fact)?;
        }
        Ok(())
    }

    /// The user with this id.
    pub fn get(&self, id: UserId) -> Option<User> {
        self.state.read().users.get(&id.0).cloned()
    }

    /// The user with this address, which is in lower case.
    pub fn by_email(&self, email: &str) -> Option<User> {
        let state = self.state.read();
        state.users.get(state.by_email.get(email)?).cloned()
    }

    /// The user that is this subject of this issuer.
    pub fn by_identity(&self, issuer: &str, subject: &str) -> Option<User> {
        let state = self.state.read();
        let identity = (Arc::from(issuer), Arc::from(subject));
        state.users.get(state.by_identity.get(&identity)?).cloned()
    }

    /// Up to `limit` users with ids above `after`, by id.
    pub fn list(&self, after: UserId, limit: usize) -> Vec<User> {
        let state = self.state.read();
        let mut ids: Vec<u64> = state.users.keys().copied().collect();
        ids.retain(|id| *id > after.0);
        ids.sort_unstable();
        ids.truncate(limit);
        ids.iter().map(|id| state.users[id].clone()).collect()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.state.read().users.len()
    }

    /// Who set this data directory up.
    pub fn first_owner(&self) -> Option<UserId> {
        self.state.read().first_owner
    }

    /// An id for the next user.
    pub(super) fn next_user(&self) -> UserId {
        UserId(self.state.read().user_last + 1)
    }

    /// The live session with this MAC, which counts as seen now.
    pub(super) fn see(&self, mac: &TokenMac, now_ns: i64) -> Option<Session> {
        let mut state = self.state.write();
        let session = state.sessions.get_mut(mac)?;
        if !session.is_live(now_ns) {
            return None;
        }
        session.seen_ns = session.seen_ns.max(now_ns);
        let session = session.clone();
        let user = state.users.get(&session.user.0)?;
        (!user.is_disabled).then_some(session)
    }

    /// A user's live sessions, oldest first.
    pub fn sessions(&self, user: UserId, now_ns: i64) -> Vec<Session> {
        let state = self.state.read();
        let macs = state.sessions_of.get(&user.0);
        let all = macs.into_iter().flatten();
        all.filter_map(|mac| state.sessions.get(mac))
            .filter(|session| session.is_live(now_ns))
            .cloned()
            .collect()
    }

    /// When sessions were last used, at most `limit`, by public id.
    pub(crate) fn seen(&self, limit: usize) -> Vec<(u64, i64)> {
        let state = self.state.read();
        let used = state.sessions.values().filter(|s| s.seen_ns > s.started_ns);
        let mut seen: Vec<_> = used.map(|s| (s.id.0, s.seen_ns)).take(limit).collect();
        seen.sort_unstable();
        seen
    }

    /// The same, as an earlier process saw it.
    pub(crate) fn restore_seen(&self, seen: &[(u64, i64)]) {
        let mut state = self.state.write();
        for (session, seen_ns) in seen {
            state.note_seen(*session, *seen_ns);
        }
    }

    /// The live session with this public id, of a user who may sign in.
    pub(crate) fn session(&self, id: SessionId, now_ns: i64) -> Option<Session> {
        let state = self.state.read();
        let session = state.sessions.get(state.by_session.get(&id)?)?;
        let user = state.users.get(&session.user.0)?;
        (session.is_live(now_ns) && !user.is_disabled).then(|| session.clone())
    }

    /// Whom an event that has still to be applied is about, by what is signed in and sent.
    pub(crate) fn people_in(&self, event: &ControlEvent) -> Vec<UserId> {
        let state = self.state.read();
        match event {
            ControlEvent::User(act) => {
                let facts = act.event.facts.iter();
                facts.filter_map(|fact| state.person_in(fact)).collect()
            }
            ControlEvent::Audit(act) => match act.event.action {
                AuditAction::SignedIn | AuditAction::SignInFailed | AuditAction::SignedOut => {
                    let user = state.by_email.get(act.event.subject.as_str());
                    user.map(|id| UserId(*id)).into_iter().collect()
                }
                AuditAction::Exported
                | AuditAction::TraceDeleted
                | AuditAction::RowsDeleted
                | AuditAction::BlobDeleted
                | AuditAction::Remapped => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// The live link with this MAC.
    pub(super) fn link(&self, mac: &TokenMac, now_ns: i64) -> Option<Link> {
        let state = self.state.read();
        let link = state.links.get(mac)?;
        (now_ns < link.expires_ns).then(|| link.clone())
    }

    /// MACs of the live links for this address and purpose, the one that ends first in front.
    pub(super) fn links_to(&self, email: &str, purpose: Purpose, now_ns: i64) -> Vec<TokenMac> {
        let state = self.state.read();
        let mut found: Vec<_> = state
            .links
            .iter()
            .filter(|(_, l)| l.purpose == purpose && &*l.email == email && now_ns < l.expires_ns)
            .map(|(mac, l)| (l.expires_ns, *mac))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, mac)| mac).collect()
    }

    /// How many links there are.
    pub(super) fn link_count(&self) -> usize {
        self.state.read().links.len()
    }

    /// Forgets what has expired. Changes no answer.
    pub fn sweep(&self, now_ns: i64) {
        let mut state = self.state.write();
        state.links.retain(|_, link| now_ns < link.expires_ns);
        let dead: Vec<SessionId> = state
            .sessions
            .values()
            .filter(|session| !session.is_live(now_ns))
            .map(|session| session.id)
            .collect();
        for id in dead {
            state.end_session(id);
        }
    }
}

impl State {
    fn apply(&mut self, at_ns: i64, fact: &Fact) -> Result<(), UsersError> {
        match fact {
            Fact::Created { user, email, name } => self.create(*user, email, name, at_ns)?,
            Fact::EmailVerified { user } => self.user(*user)?.is_verified = true,
            Fact::PasswordSet { user, phc } => {
                self.user(*user)?.phc = Some(Arc::new(phc.clone()));
            }
            Fact::IdentityLinked {
                user,
                issuer,
                subject,
            } => self.link_identity(*user, issuer, subject)?,
            Fact::Disabled { user } => {
                self.user(*user)?.is_disabled = true;
                self.end_sessions(*user, None);
            }
            Fact::Enabled { user } => self.user(*user)?.is_disabled = false,
            Fact::SetUp { user } => {
                self.user(*user)?;
                self.first_owner.get_or_insert(UserId(*user));
            }
            Fact::SessionStarted { mac, user, method } => {
                self.start_session(mac, *user, method, at_ns)?;
            }
            Fact::SessionSeen { session, seen_ns } => self.note_seen(*session, *seen_ns),
            Fact::SessionEnded { session } => self.end_session(SessionId(*session)),
            Fact::SessionsEnded { user, except } => self.end_sessions(*user, *except),
            Fact::LinkIssued {
                mac,
                purpose,
                user,
                email,
                expires_ns,
            } => {
                let link = Link {
                    purpose: *purpose,
                    user: user.map(UserId),
                    email: email.as_str().into(),
                    expires_ns: *expires_ns,
                };
                self.links.insert(*mac, link);
            }
            Fact::LinkUsed { mac } => {
                self.links.remove(mac);
            }
        }
        Ok(())
    }

    fn person_in(&self, fact: &Fact) -> Option<UserId> {
        let of_session = |id: u64| {
            let mac = self.by_session.get(&SessionId(id))?;
            Some(self.sessions.get(mac)?.user)
        };
        match fact {
            Fact::Created { user, .. }
            | Fact::EmailVerified { user }
            | Fact::PasswordSet { user, .. }
            | Fact::IdentityLinked { user, .. }
            | Fact::Disabled { user }
            | Fact::Enabled { user }
            | Fact::SetUp { user }
            | Fact::SessionStarted { user, .. }
            | Fact::SessionsEnded { user, .. } => Some(UserId(*user)),
            Fact::SessionSeen { session, .. } | Fact::SessionEnded { session } => {
                of_session(*session)
            }
            Fact::LinkIssued { user, .. } => user.map(UserId),
            Fact::LinkUsed { mac } => self.links.get(mac)?.user,
        }
    }

    fn user(&mut self, id: u64) -> Result<&mut User, UsersError> {
        self.users.get_mut(&id).ok_or(UsersError::UnknownUser(id))
    }

    fn create(&mut self, id: u64, email: &str, name: &str, at_ns: i64) -> Result<(), UsersError> {
        if id == 0 || self.users.contains_key(&id) || self.by_email.contains_key(email) {
            return Err(UsersError::UserTwice(id));
        }
        let user = User {
            id: UserId(id),
            email: email.into(),
            name: name.into(),
            is_verified: false,
            is_disabled: false,
            created_ns: at_ns,
            phc: None,
            identities: Vec::new(),
        };
        self.by_email.insert(Arc::clone(&user.email), id);
        self.users.insert(id, user);
        self.user_last = self.user_last.max(id);
        Ok(())
    }

    fn link_identity(&mut self, id: u64, issuer: &str, subject: &str) -> Result<(), UsersError> {
        let identity: (Arc<str>, Arc<str>) = (issuer.into(), subject.into());
        match self.by_identity.get(&identity) {
            Some(owner) if *owner == id => return Ok(()),
            Some(_) => return Err(UsersError::IdentityTwice(id)),
            None => {}
        }
        self.user(id)?.identities.push(identity.clone());
        self.by_identity.insert(identity, id);
        Ok(())
    }

    fn start_session(
        &mut self,
        mac: &TokenMac,
        user: u64,
        method: &Method,
        at_ns: i64,
    ) -> Result<(), UsersError> {
        self.user(user)?;
        let session = Session {
            id: SessionId::of(mac),
            user: UserId(user),
            method: method.clone(),
            started_ns: at_ns,
            seen_ns: at_ns,
        };
        self.by_session.insert(session.id, *mac);
        self.sessions.insert(*mac, session);
        self.sessions_of.entry(user).or_default().push_back(*mac);
        Ok(())
    }

    fn note_seen(&mut self, session: u64, seen_ns: i64) {
        let mac = self.by_session.get(&SessionId(session));
        if let Some(session) = mac.and_then(|mac| self.sessions.get_mut(mac)) {
            session.seen_ns = session.seen_ns.max(seen_ns);
        }
    }

    fn end_session(&mut self, id: SessionId) {
        let Some(mac) = self.by_session.remove(&id) else {
            return;
        };
        let Some(session) = self.sessions.remove(&mac) else {
            return;
        };
        if let Some(macs) = self.sessions_of.get_mut(&session.user.0) {
            macs.retain(|known| *known != mac);
            if macs.is_empty() {
                self.sessions_of.remove(&session.user.0);
            }
        }
    }

    fn end_sessions(&mut self, user: u64, except: Option<u64>) {
        let macs = self.sessions_of.get(&user).cloned().unwrap_or_default();
        for id in macs.iter().map(SessionId::of) {
            if Some(id.0) != except {
                self.end_session(id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
