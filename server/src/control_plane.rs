//! Changes of the control plane: decide, append, wait until durable, apply. One at a time.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::control::{self, ControlEvent};
use crate::directory::{Directory, DirectoryError, Project, is_project_name};
use crate::governance::GovernanceEvent;
use crate::keys::{KeyMac, KeyString};
use crate::limits::{KEYS_MAX, PROJECT_NAME_BYTES_MAX, PROJECTS_MAX};
use obsrv_engine::engine::{Engine, IngestError};
use obsrv_engine::io::{Clock, Rng};

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Not a name for a project.
    #[error(
        "project name must be 1 to {PROJECT_NAME_BYTES_MAX} bytes of printable text name={0:?}"
    )]
    Name(String),
    /// The directory is full.
    #[error("too many {what} max={max}")]
    TooMany {
        /// `projects` or `keys`.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// No such key.
    #[error("unknown key; give the key or its id, the part between its first two underscores")]
    UnknownKey,
    /// The log did not take it.
    #[error("not stored")]
    Log(#[from] IngestError),
    /// The engine went away before it answered.
    #[error("outcome unknown")]
    Unknown,
    /// A fault of obsrv: what was appended does not fit.
    #[error("does not fit the directory")]
    Directory(#[from] DirectoryError),
}

/// A key that was just made.
#[derive(Debug)]
pub(crate) struct CreatedKey {
    /// The project that it opens.
    pub(crate) project: Arc<Project>,
    /// Whether the project is new, too.
    pub(crate) is_new_project: bool,
}

/// The one writer of control events.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    engine: Arc<Engine>,
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    writer: Mutex<()>,
}

impl ControlPlane {
    /// Writes to this engine, keeps this directory.
    pub(crate) fn new(
        engine: Arc<Engine>,
        directory: Arc<Directory>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        Self {
            engine,
            directory,
            clock,
            rng,
            writer: Mutex::new(()),
        }
    }

    /// Projects and keys.
    pub(crate) const fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// A fresh key string, not installed yet, and its id.
    pub(crate) fn mint(&self) -> (u64, KeyString) {
        let mut bytes = [0; 8];
        self.rng.fill(&mut bytes);
        // Never 0, and short of the sign bit for readers with signed numbers.
        let id = (u64::from_le_bytes(bytes) >> 1).max(1);
        (id, KeyString::mint(id, &*self.rng))
    }

    /// Makes `key` open the project of this name, which is made if there is none.
    pub(crate) async fn install(
        &self,
        project: &str,
        id: u64,
        key: &KeyString,
    ) -> Result<CreatedKey, ChangeError> {
        if !is_project_name(project) {
            return Err(ChangeError::Name(project.chars().take(64).collect()));
        }
        let _writer = self.writer.lock().await;
        let (projects, keys) = self.directory.counts();
        if keys >= KEYS_MAX {
            return Err(ChangeError::TooMany {
                what: "keys",
                max: KEYS_MAX,
            });
        }
        let known = self.directory.project_named(project);
        let is_new_project = known.is_none();
        let owner = match known {
            Some(known) => known,
            None if projects >= PROJECTS_MAX => {
                return Err(ChangeError::TooMany {
                    what: "projects",
                    max: PROJECTS_MAX,
                });
            }
            None => self.create_project(project).await?,
        };
        let mac = self.directory.mac_of(key);
        self.create_key(id, &owner, mac).await?;
        Ok(CreatedKey {
            project: owner,
            is_new_project,
        })
    }

    async fn create_project(&self, name: &str) -> Result<Arc<Project>, ChangeError> {
        let project = self.directory.next_project().0;
        let at_ns = self.clock.wall_ns();
        self.append(ControlEvent::ProjectCreated {
            project,
            name: name.to_owned(),
            at_ns,
        })
        .await?;
        self.directory
            .project_named(name)
            .ok_or(ChangeError::Unknown)
    }

    async fn create_key(&self, key: u64, owner: &Project, mac: KeyMac) -> Result<(), ChangeError> {
        let at_ns = self.clock.wall_ns();
        self.append(ControlEvent::KeyCreated {
            key,
            project: owner.id.0,
            mac,
            at_ns,
        })
        .await
    }

    /// Makes a key, named by its id or by itself, open nothing, for good. Revoking twice is
    /// revoking once. Returns its id.
    pub(crate) async fn revoke(&self, name: &str) -> Result<u64, ChangeError> {
        let _writer = self.writer.lock().await;
        let named = u64::from_str_radix(name, 16).ok();
        let by_id = named.and_then(|id| Some((id, self.directory.key_state(id)?)));
        let by_key = || self.directory.find(&KeyString::parse(name).ok()?);
        let (key, is_live) = by_id.or_else(by_key).ok_or(ChangeError::UnknownKey)?;
        if is_live {
            let at_ns = self.clock.wall_ns();
            self.append(ControlEvent::KeyRevoked { key, at_ns }).await?;
        }
        Ok(key)
    }

    /// Appends what was counted of named projects since the last time.
    pub(crate) async fn log_named(&self) -> Result<(), ChangeError> {
        let _writer = self.writer.lock().await;
        for event in self.directory.take_named() {
            self.append(event).await?;
        }
        Ok(())
    }

    /// The time of a change.
    pub(crate) fn now_ns(&self) -> i64 {
        self.clock.wall_ns()
    }

    /// Appends a change of settings.
    pub(crate) async fn govern(&self, event: GovernanceEvent) -> Result<(), ChangeError> {
        let _writer = self.writer.lock().await;
        self.append(ControlEvent::Governance(event)).await
    }

    async fn append(&self, event: ControlEvent) -> Result<(), ChangeError> {
        let (sender, outcome) = tokio::sync::oneshot::channel();
        let done = Box::new(move |result| {
            // The caller waits below; if it was dropped, nobody wants to know.
            let _ = sender.send(result);
        });
        self.engine.control(control::encode(&event), done);
        outcome.await.map_err(|_| ChangeError::Unknown)??;
        self.directory.apply(&event)?;
        Ok(())
    }
}
