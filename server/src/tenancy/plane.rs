//! Changes of the control plane: decide, append, wait until durable, apply. One at a time.
//!
//! Owns the writer's lock and the head of the chain of hashes. What was decided is carried out by a
//! task of its own: a client that hangs up meanwhile leaves no event that is in the log and not in
//! memory.

mod by;
mod experiments;
mod keys;
mod orgs;
mod people;
mod projects;
mod room;
mod views;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

pub use by::{By, Ground};
pub use experiments::ExperimentError;
pub use keys::{CreatedKey, KeyTerms};
pub use people::MintedInvitation;
pub use projects::CreatedProject;

use super::OrgEvent;
use super::audit::{AuditLog, Place};
use super::directory::{Directory, DirectoryError, State};
use crate::control::{
    self, Act, Actor, AuditNote, CHAIN_START, ChainHash, ControlError, ControlEvent,
};
use crate::governance::{GovernanceError, Marks, Settings};
use crate::keys::{Macs, MasterSecret};
use crate::limits::{COMMIT_TIME_MAX, PROJECT_NAME_BYTES_MAX, SLUG_BYTES_MAX};
use crate::signin::Users;
use obsrv_engine::engine::{Engine, Gate, IngestError};
use obsrv_engine::io::{Clock, Rng};
use obsrv_engine::row::Lsn;

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Not a name.
    #[error("name must be 1 to {PROJECT_NAME_BYTES_MAX} bytes of printable text name={0:?}")]
    Name(String),
    /// Not a name for addresses.
    #[error(
        "slug must be 1 to {SLUG_BYTES_MAX} lower-case letters, digits and inner hyphens slug={0:?}"
    )]
    Slug(String),
    /// Something else that can never be accepted.
    #[error("{0}")]
    Invalid(&'static str),
    /// No room.
    #[error("too many {what} max={max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// More changes than one principal may make in so short a time.
    #[error("too many changes; try again later")]
    TooFast {
        /// After which there is room for this one.
        retry: Duration,
    },
    /// No such thing.
    #[error("unknown {0}")]
    Unknown(&'static str),
    /// No such key.
    #[error("unknown key; give the key or its id, the part between its first two underscores")]
    UnknownKey,
    /// The name is taken.
    #[error("{0} of this name exists")]
    Exists(&'static str),
    /// It is in the way of the change as things stand.
    #[error("{0}")]
    Conflict(&'static str),
    /// The organization wants its provider to be asked.
    #[error("the organization requires single sign-on issuer={issuer}")]
    SsoRequired {
        /// Which.
        issuer: String,
    },
    /// The key was revoked or the session ended since the request began.
    #[error("the key or session has ended")]
    Ended,
    /// Whoever asks may not give or take what they do not have.
    #[error("this takes a role that you do not have")]
    Forbidden,
    /// The log did not take it.
    #[error("not stored")]
    Log(#[from] IngestError),
    /// The engine went away before it answered.
    #[error("outcome unknown")]
    OutcomeUnknown,
    /// A fault of obsrv: what was appended does not fit.
    #[error(transparent)]
    Misfit(#[from] MisfitError),
}

/// Why the control events of a log were not taken in.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// One does not read.
    #[error("control event does not read lsn={lsn}")]
    Control {
        /// Which.
        lsn: u64,
        /// Why.
        source: ControlError,
    },
    /// They contradict each other, or one says what this obsrv does not know.
    #[error(transparent)]
    Misfit(#[from] MisfitError),
}

/// Why a control event was not taken into memory.
#[derive(Debug, thiserror::Error)]
pub enum MisfitError {
    /// It contradicts those before.
    #[error("control event does not fit the directory")]
    Directory(#[from] DirectoryError),
    /// Settings or a plan in it do not read.
    #[error("control event does not fit the settings")]
    Governance(#[from] GovernanceError),
}

/// A change that is durable: what it made, and where it stands in the audit log.
#[derive(Clone, Debug)]
pub struct Changed<T> {
    /// What it made.
    pub made: T,
    /// The record of its last event. `None` if nothing had to change.
    pub place: Option<Place>,
}

/// What was decided: events, and what they will have made.
type Decision<T> = Result<(Vec<ControlEvent>, T), ChangeError>;

/// What follows from the events, in memory. Whoever owns events adds what is made of them.
#[derive(Debug)]
pub struct Projections {
    /// Organizations, people in them, projects, keys.
    pub directory: Arc<Directory>,
    /// Settings of projects, plans of organizations.
    pub settings: Arc<Settings>,
    /// People, their sessions and their links.
    pub users: Arc<Users>,
    /// When which part of the log was received.
    pub marks: Arc<Marks>,
    /// Every event, in order.
    pub audit: Arc<AuditLog>,
}

impl Projections {
    /// Takes in the next record. Where it happened is looked up before it is applied.
    fn take(
        &self,
        lsn: Lsn,
        event: &ControlEvent,
        (bytes, hash): (Bytes, ChainHash),
    ) -> Result<Place, MisfitError> {
        let people = self.users.people_in(event);
        let at = self
            .directory
            .read(|state| state.whereabouts(event).with_people(state, &people));
        if let ControlEvent::User(act) = event {
            self.users.apply(act).map_err(DirectoryError::from)?;
        }
        self.directory.apply(event)?;
        self.settings.apply(event)?;
        if let Some(at_ns) = event.at_ns() {
            self.marks.note(lsn, at_ns);
        }
        Ok(self.audit.push(bytes, hash, at))
    }
}

#[derive(Debug)]
struct Head {
    hash: ChainHash,
    /// Nobody knows whether the last record is in the log: no other can follow it.
    is_lost: bool,
}

/// The one writer of control events.
#[derive(Debug)]
pub struct ControlPlane {
    engine: Arc<Engine>,
    projections: Arc<Projections>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    tokens: Macs,
    room: room::Room,
    writer: Arc<Mutex<Head>>,
}

impl ControlPlane {
    /// Reads the control events of an engine; from here on this is their only writer.
    pub fn recover(
        engine: Arc<Engine>,
        master: &MasterSecret,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, RecoverError> {
        let projections = Projections {
            directory: Arc::new(Directory::new(Macs::for_keys(master))),
            settings: Arc::default(),
            marks: Arc::default(),
            users: Arc::default(),
            audit: Arc::new(AuditLog::default()),
        };
        let mut hash = CHAIN_START;
        for (lsn, bytes) in engine.controls() {
            let recorded =
                control::decode(&bytes).map_err(|source| RecoverError::Control { lsn, source })?;
            if recorded.previous.is_some_and(|previous| previous != hash) {
                tracing::error!(lsn, "audit log was changed before this record");
                projections.audit.note_break();
            }
            hash = control::chain(&hash, &bytes);
            projections.take(lsn, &recorded.event, (bytes, hash))?;
        }
        Ok(Self {
            engine,
            projections: Arc::new(projections),
            clock,
            rng,
            tokens: Macs::for_invitations(master),
            room: room::Room::default(),
            writer: Arc::new(Mutex::new(Head {
                hash,
                is_lost: false,
            })),
        })
    }

    /// Organizations, people, projects and keys.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.projections.directory
    }

    /// Settings of projects, plans of organizations.
    pub fn settings(&self) -> &Settings {
        &self.projections.settings
    }

    /// When which part of the log was received.
    pub(crate) fn marks(&self) -> &Marks {
        &self.projections.marks
    }

    /// People, their sessions and their links.
    pub fn users(&self) -> &Arc<Users> {
        &self.projections.users
    }

    /// The address that the open invitation with this token is for, and the issuer that its
    /// organization requires.
    pub fn invited(&self, token: &str) -> Option<(String, Option<String>)> {
        let mac = self.tokens.mac(token.as_bytes());
        let now = self.now_ns();
        self.directory().read(|state| {
            let open = state.people.open_invitation(&mac, now)?;
            let org = state.orgs.get(open.org)?;
            Some((open.email.clone(), org.sso_issuer.clone()))
        })
    }

    /// Who did what.
    pub fn audit(&self) -> &Arc<AuditLog> {
        &self.projections.audit
    }

    /// What the clock says that never jumps.
    pub(crate) fn mono_ns(&self) -> u64 {
        self.clock.mono_ns()
    }

    /// What the wall clock says.
    pub fn now_ns(&self) -> i64 {
        self.clock.wall_ns()
    }

    /// An event of an organization by somebody, now.
    fn org_event(&self, by: By, event: OrgEvent) -> ControlEvent {
        ControlEvent::Org(Act {
            actor: by.actor,
            at_ns: self.clock.wall_ns(),
            event,
        })
    }

    /// Makes events of what is there and appends them, with no other change in between. `decide`
    /// looks under the directory's lock and must be short.
    pub(crate) async fn change<T>(
        &self,
        by: By,
        decide: impl FnOnce(&State) -> Decision<T>,
    ) -> Result<Changed<T>, ChangeError> {
        let head = self.head().await?;
        let now = self.now_ns();
        let (events, made) = self.directory().read(|state| {
            // The request may have waited for its body, or for the lock.
            by.check(state, self.users(), now)?;
            decide(state)
        })?;
        let place = self.append_all(head, events).await?;
        Ok(Changed { made, place })
    }

    /// The same for what needs no look at the directory. Returns the record of the last event.
    pub async fn append(&self, events: Vec<ControlEvent>) -> Result<Option<Place>, ChangeError> {
        let head = self.head().await?;
        self.append_all(head, events).await
    }

    /// Writes a line to the audit log.
    pub async fn note(&self, actor: Actor, event: AuditNote) -> Result<(), ChangeError> {
        self.note_placed(actor, event).await.map(drop)
    }

    /// The same. Returns the line's record.
    pub async fn note_placed(
        &self,
        actor: Actor,
        event: AuditNote,
    ) -> Result<Option<Place>, ChangeError> {
        let at_ns = self.clock.wall_ns();
        let note = ControlEvent::Audit(Act {
            actor,
            at_ns,
            event,
        });
        self.append(vec![note]).await
    }

    /// The one place that writes control events: for [`COMMIT_TIME_MAX`] at most it is waited for.
    async fn head(&self) -> Result<OwnedMutexGuard<Head>, ChangeError> {
        let turn = Arc::clone(&self.writer).lock_owned();
        let behind = |_| ChangeError::Log(IngestError::Overloaded(Gate::Queue));
        timeout(COMMIT_TIME_MAX, turn).await.map_err(behind)
    }

    async fn append_all(
        &self,
        mut head: OwnedMutexGuard<Head>,
        events: Vec<ControlEvent>,
    ) -> Result<Option<Place>, ChangeError> {
        if events.is_empty() {
            return Ok(None);
        }
        // All of them or none: a change is not cut off halfway for want of room.
        let bytes = |event| control::encode(&CHAIN_START, event).len();
        let records: Vec<_> = events.iter().map(|event| (event, bytes(event))).collect();
        let now = self.clock.mono_ns();
        self.room.take(&self.projections, &records, now)?;
        let (engine, projections) = (Arc::clone(&self.engine), Arc::clone(&self.projections));
        let task = tokio::spawn(async move {
            let mut place = None;
            for event in events {
                place = Some(append(&engine, &projections, &mut head, &event).await?);
            }
            Ok(place)
        });
        // Whoever asked has waited long enough for a disk that does not answer; what was begun is done to its end.
        let told = timeout(COMMIT_TIME_MAX, task).await.map(Result::ok);
        told.ok()
            .flatten()
            .unwrap_or(Err(ChangeError::OutcomeUnknown))
    }
}

async fn append(
    engine: &Engine,
    projections: &Projections,
    head: &mut Head,
    event: &ControlEvent,
) -> Result<Place, ChangeError> {
    if head.is_lost {
        return Err(ChangeError::OutcomeUnknown);
    }
    let bytes = control::encode(&head.hash, event);
    // What does not read back would keep the next start from reading anything.
    if control::decode(&bytes).is_err() {
        return Err(ChangeError::Invalid("too large for one event"));
    }
    let (sender, outcome) = tokio::sync::oneshot::channel();
    let done = Box::new(move |result| {
        // The receiver waits below; nobody is left to be told if it does not.
        let _ = sender.send(result);
    });
    head.is_lost = true;
    engine.control(bytes.clone(), done);
    let outcome = outcome.await.map_err(|_| ChangeError::OutcomeUnknown)?;
    head.is_lost = matches!(outcome, Err(IngestError::OutcomeUnknown));
    let receipt = outcome?;
    head.hash = control::chain(&head.hash, &bytes);
    projections
        .take(receipt.lsn, event, (bytes, head.hash))
        .map_err(ChangeError::from)
}

fn check_name(name: &str) -> Result<(), ChangeError> {
    if super::directory::is_name(name) {
        Ok(())
    } else {
        Err(ChangeError::Name(name.chars().take(64).collect()))
    }
}

const fn check_room(what: &'static str, there: usize, max: usize) -> Result<(), ChangeError> {
    if there < max {
        Ok(())
    } else {
        Err(ChangeError::TooMany { what, max })
    }
}

#[cfg(test)]
mod tests;
