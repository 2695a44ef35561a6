//! Control events: what the control plane writes to the log. Owns their bytes.
//!
//! ```text
//! version u8 = 2, hash of the record before (32 bytes), event
//! version u8 = 1, event                                        as older ones wrote it
//! ```
//!
//! where an event is one `ControlEvent` in bincode 2 standard configuration (varint), and the hash
//! of a record is SHA-256 over the hash of the record before and the bytes of the record; before the
//! first stand 32 zero bytes. So whoever changes, removes or inserts a record breaks the chain at the next
//! one, whatever checksums are put right.
//!
//! Variants are appended, never reordered or changed: bincode has no schema. A golden test holds
//! the bytes.

use bincode::{Decode, Encode};
use bytes::Bytes;

use sha2::{Digest, Sha256};

use crate::governance::GovernanceEvent;
use crate::limits::CONTROL_EVENT_BYTES_MAX;
use crate::signin::event::UserEvent;
use crate::tenancy::experiments::ExperimentEvent;
use crate::tenancy::views::ViewEvent;
use crate::tenancy::{OrgEvent, OrgId, UserId};

const UNCHAINED: u8 = 1;
const CHAINED: u8 = 2;

/// Hash of a record and of all before it.
pub type ChainHash = [u8; 32];

/// What the first record has before it.
pub const CHAIN_START: ChainHash = [0; 32];

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Actor {
    /// obsrv itself.
    System,
    /// Whoever can open the admin socket.
    Operator,
    /// A person, signed in.
    User(UserId),
    /// An API key, by its public id.
    Key(u64),
    /// Nobody known, e.g. of a sign-in that failed.
    Nobody,
}

/// An event with who and when.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Act<E> {
    /// Who.
    pub actor: Actor,
    /// When, nanoseconds since the epoch.
    pub at_ns: i64,
    /// What.
    pub event: E,
}

/// What is written to the audit log although it changes nothing in the control plane.
/// Persisted: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum AuditAction {
    /// Somebody signed in.
    SignedIn,
    /// Somebody tried to.
    SignInFailed,
    /// Somebody signed out.
    SignedOut,
    /// Data or the audit log itself was exported.
    Exported,
    /// A trace was deleted.
    TraceDeleted,
    /// What passes a filter was deleted, or some of it.
    RowsDeleted,
    /// An attachment of a trace was deleted.
    BlobDeleted,
    /// What was stored was mapped again.
    Remapped,
}

impl AuditAction {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignedIn => "user.signed_in",
            Self::SignInFailed => "user.sign_in_failed",
            Self::SignedOut => "user.signed_out",
            Self::Exported => "data.exported",
            Self::TraceDeleted => "trace.deleted",
            Self::RowsDeleted => "data.deleted",
            Self::BlobDeleted => "attachment.deleted",
            Self::Remapped => "data.remapped",
        }
    }
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AuditNote {
    /// What was done.
    pub action: AuditAction,
    /// In which organization, if in one.
    pub org: Option<OrgId>,
    /// In which project, if in one.
    pub project: Option<u64>,
    /// To what: a trace id, an e-mail address. Never a secret.
    pub subject: String,
}

/// One fact of the control plane.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ControlEvent {
    /// A project exists.
    ProjectCreated {
        /// Its id; never 0, never used twice.
        project: u64,
        /// Its name, unique.
        name: String,
        /// When, nanoseconds since the epoch.
        at_ns: i64,
    },
    /// A key exists.
    KeyCreated {
        /// Its id, public; never used twice.
        key: u64,
        /// The project that it opens.
        project: u64,
        /// MAC of the key string.
        mac: [u8; 32],
        /// When, nanoseconds since the epoch.
        at_ns: i64,
    },
    /// A key opens nothing from here on.
    KeyRevoked {
        /// Its id.
        key: u64,
        /// When, nanoseconds since the epoch.
        at_ns: i64,
    },
    /// Requests named a project that is not their key's.
    ProjectNamed {
        /// The project of the key.
        project: u64,
        /// The name that they gave.
        name: String,
        /// How many more since the last event of this name.
        count: u64,
    },
    /// Organizations, members, projects, keys.
    Org(Act<OrgEvent>),
    /// A line of the audit log that changes nothing.
    Audit(Act<AuditNote>),
    /// People and how they sign in.
    User(Act<UserEvent>),
    /// Limits, retention, redaction.
    Governance(Act<GovernanceEvent>),
    /// Saved views and comments.
    Views(Act<ViewEvent>),
    /// Experiments.
    Experiments(Act<ExperimentEvent>),
}

impl ControlEvent {
    /// When it happened, nanoseconds since the epoch, if it says so.
    pub const fn at_ns(&self) -> Option<i64> {
        match self {
            Self::ProjectCreated { at_ns, .. }
            | Self::KeyCreated { at_ns, .. }
            | Self::KeyRevoked { at_ns, .. }
            | Self::Org(Act { at_ns, .. })
            | Self::Audit(Act { at_ns, .. })
            | Self::User(Act { at_ns, .. })
            | Self::Governance(Act { at_ns, .. })
            | Self::Views(Act { at_ns, .. })
            | Self::Experiments(Act { at_ns, .. }) => Some(*at_ns),
            Self::ProjectNamed { .. } => None,
        }
    }
}

impl ControlEvent {
    /// Who did it.
    pub const fn actor(&self) -> Actor {
        match self {
            Self::ProjectCreated { .. }
            | Self::KeyCreated { .. }
            | Self::KeyRevoked { .. }
            | Self::ProjectNamed { .. } => Actor::System,
            Self::Governance(act) => act.actor,
            Self::Views(act) => act.actor,
            Self::Experiments(act) => act.actor,
            Self::Org(act) => act.actor,
            Self::Audit(act) => act.actor,
            Self::User(act) => act.actor,
        }
    }
}

/// A record: an event and, unless an older obsrv wrote it, the hash of the record before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What happened.
    pub event: ControlEvent,
    /// What the chain's hash was before.
    pub previous: Option<ChainHash>,
}

/// Why bytes are not a control event.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Written by a newer obsrv.
    #[error("control event of an unknown version version={0}")]
    Version(u8),
    /// Cut short, too long, an unknown variant or text that is not UTF-8.
    #[error("control event does not decode")]
    Decode(#[source] bincode::error::DecodeError),
    /// Nothing at all, or bytes after the event.
    #[error("control event has the wrong length")]
    Length,
}

/// The bytes of the record of an event that follows the record with this hash.
pub fn encode(previous: &ChainHash, event: &ControlEvent) -> Bytes {
    let mut out = vec![CHAINED];
    out.extend_from_slice(previous);
    bincode::encode_into_std_write(event, &mut out, bincode::config::standard())
        .expect("BUG: encoding into memory failed");
    Bytes::from(out)
}

/// Reads a record.
pub fn decode(bytes: &[u8]) -> Result<Recorded, ControlError> {
    let (&version, rest) = bytes.split_first().ok_or(ControlError::Length)?;
    let (previous, rest) = match version {
        UNCHAINED => (None, rest),
        CHAINED => {
            let (hash, rest) = rest.split_first_chunk().ok_or(ControlError::Length)?;
            (Some(*hash), rest)
        }
        other => return Err(ControlError::Version(other)),
    };
    let config = bincode::config::standard().with_limit::<CONTROL_EVENT_BYTES_MAX>();
    let (event, used) = bincode::decode_from_slice(rest, config).map_err(ControlError::Decode)?;
    if used == rest.len() {
        Ok(Recorded { event, previous })
    } else {
        Err(ControlError::Length)
    }
}

/// The hash of the record with these bytes, after the one with that hash.
pub fn chain(previous: &ChainHash, bytes: &[u8]) -> ChainHash {
    Sha256::new()
        .chain_update(previous)
        .chain_update(bytes)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests;
