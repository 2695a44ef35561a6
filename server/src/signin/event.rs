//! Events of users, sessions and links: what of sign-in is in the log. Owns their bytes, inside a
//! [`ControlEvent`](crate::control::ControlEvent).
//!
//! One event is one moment and a list of facts that become durable together or not at all. Facts
//! are appended, never reordered or changed. No fact holds a secret: of passwords, session ids and
//! link tokens there are only hashes and MACs.

use bincode::{Decode, Encode};

/// MAC of a session id or of a link's token.
pub type TokenMac = [u8; 32];

/// A password's hash: argon2id in PHC form. Never printed by `Debug`: it is what guesses are checked
/// against.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// What changed at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct UserEvent {
    /// In this order, together.
    pub facts: Vec<Fact>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Fact {
    /// A user exists.
    Created {
        /// Its id; never 0, never used twice.
        user: u64,
        /// Its e-mail address, in lower case, unique.
        email: String,
        /// What to call them.
        name: String,
    },
    /// The user reads mail at the address.
    EmailVerified {
        /// Who.
        user: u64,
    },
    /// The user has this password from here on.
    PasswordSet {
        /// Who.
        user: u64,
        /// argon2id in PHC form, with its parameters and salt.
        phc: PasswordHash,
    },
    /// The user may sign in as this subject of this issuer.
    IdentityLinked {
        /// Who.
        user: u64,
        /// The issuer's URL.
        issuer: String,
        /// The issuer's name for the user.
        subject: String,
    },
    /// The user signs in no more; their sessions are over.
    Disabled {
        /// Who.
        user: u64,
    },
    /// The user may sign in again.
    Enabled {
        /// Who.
        user: u64,
    },
    /// The user set this data directory up: the first owner.
    SetUp {
        /// Who.
        user: u64,
    },
    /// A session began.
    SessionStarted {
        /// MAC of its id.
        mac: TokenMac,
        /// Whose.
        user: u64,
        /// How they proved who they are.
        method: Method,
    },
    /// A session was in use at this time.
    SessionSeen {
        /// Public id of the session.
        session: u64,
        /// When, nanoseconds since the epoch.
        seen_ns: i64,
    },
    /// A session is over.
    SessionEnded {
        /// Its public id.
        session: u64,
    },
    /// All sessions of a user are over, but perhaps one.
    SessionsEnded {
        /// Whose.
        user: u64,
        /// The one that goes on.
        except: Option<u64>,
    },
    /// Whoever holds the token may do what the link is for, once.
    LinkIssued {
        /// MAC of its token.
        mac: TokenMac,
        /// What it is for.
        purpose: Purpose,
        /// For whom; none if there is no user yet.
        user: Option<u64>,
        /// To which address; empty for the set-up link.
        email: String,
        /// Until when, nanoseconds since the epoch.
        expires_ns: i64,
    },
    /// The link opens nothing from here on.
    LinkUsed {
        /// MAC of its token.
        mac: TokenMac,
    },
}

impl Fact {
    /// Its name in the audit log.
    pub const fn action(&self) -> &'static str {
        match self {
            Self::Created { .. } => "user.created",
            Self::EmailVerified { .. } => "user.email_verified",
            Self::PasswordSet { .. } => "user.password_set",
            Self::IdentityLinked { .. } => "user.identity_linked",
            Self::Disabled { .. } => "user.disabled",
            Self::Enabled { .. } => "user.enabled",
            Self::SetUp { .. } => "user.set_up",
            Self::SessionStarted { .. } => "session.started",
            Self::SessionSeen { .. } => "session.seen",
            Self::SessionEnded { .. } => "session.ended",
            Self::SessionsEnded { .. } => "session.all_ended",
            Self::LinkIssued { .. } => "link.issued",
            Self::LinkUsed { .. } => "link.ended",
        }
    }
}

/// How a user proved who they are.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Method {
    /// By password.
    Password,
    /// By a reset link and a new password.
    Reset,
    /// By an invitation link and a new password.
    Invite,
    /// By the set-up link.
    SetUp,
    /// By a provider.
    Oidc {
        /// The provider's issuer.
        issuer: String,
    },
}

impl Method {
    /// Its name on the wire.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Reset => "reset",
            Self::Invite => "invite",
            Self::SetUp => "setup",
            Self::Oidc { .. } => "oidc",
        }
    }
}

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Purpose {
    /// To show that mail arrives.
    Verify,
    /// To choose a new password.
    Reset,
    /// To make the first user of a data directory.
    SetUp,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 3] = [Self::Verify, Self::Reset, Self::SetUp];

    /// Its name: on the wire, on the command line, and the page that the link opens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::SetUp => "setup",
        }
    }
}
