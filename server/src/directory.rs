//! Projects and keys in memory: a projection of the log's control events.
//!
//! Readers take an `Arc` of the whole state and never wait. One writer at a time (the admin
//! socket, first start): it appends the event, waits until it is durable, then applies it here.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use subtle::ConstantTimeEq;

use crate::control::ControlEvent;
use crate::keys::{KeyMac, KeyString, Macs};
use crate::limits::{NAMED_PROJECTS_MAX, PROJECT_NAME_BYTES_MAX};
use obsrv_engine::row::ProjectId;

/// The first half of a key's MAC finds it, the second half proves it.
type Finder = [u8; 16];

/// A project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name, unique.
    pub name: Arc<str>,
}

/// A key that opens a project.
#[derive(Clone, Debug)]
struct Key {
    id: u64,
    project: Arc<Project>,
    proof: Finder,
    revoked: bool,
}

#[derive(Clone, Debug, Default)]
struct State {
    projects: HashMap<u64, Arc<Project>>,
    by_name: HashMap<Arc<str>, Arc<Project>>,
    keys: HashMap<Finder, Key>,
    finders: HashMap<u64, Finder>,
    project_last: u64,
}

/// Why a control event does not fit what is there.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// A second project with this id or name.
    #[error("project exists twice id={0}")]
    ProjectTwice(u64),
    /// A key of a project that does not exist.
    #[error("key of an unknown project key={key:x} project={project}")]
    UnknownProject {
        /// The key.
        key: u64,
        /// The project.
        project: u64,
    },
    /// A second key with this id or string.
    #[error("key exists twice id={0:x}")]
    KeyTwice(u64),
    /// No key has this id.
    #[error("unknown key id={0:x}")]
    UnknownKey(u64),
}

/// Projects, keys and the names that requests gave to projects.
#[derive(Debug)]
pub struct Directory {
    macs: Macs,
    state: RwLock<Arc<State>>,
    named: Mutex<Named>,
}

impl Directory {
    /// An empty one.
    pub fn new(macs: Macs) -> Self {
        Self {
            macs,
            state: RwLock::default(),
            named: Mutex::default(),
        }
    }

    /// The MAC under which a key string is kept.
    pub fn mac_of(&self, key: &KeyString) -> KeyMac {
        self.macs.mac(key.reveal().as_bytes())
    }

    /// Applies one durable event.
    pub fn apply(&self, event: &ControlEvent) -> Result<(), DirectoryError> {
        if let ControlEvent::ProjectNamed {
            project,
            name,
            count,
        } = event
        {
            self.named.lock().recover(*project, name, *count);
            return Ok(());
        }
        let mut slot = self.state.write();
        let mut state = State::clone(&slot);
        state.apply(event)?;
        *slot = Arc::new(state);
        Ok(())
    }

    /// Applies the events of a whole log, in order.
    pub fn recover(&self, events: &[ControlEvent]) -> Result<(), DirectoryError> {
        let mut slot = self.state.write();
        let mut state = State::clone(&slot);
        for event in events {
            if let ControlEvent::ProjectNamed {
                project,
                name,
                count,
            } = event
            {
                self.named.lock().recover(*project, name, *count);
            } else {
                state.apply(event)?;
            }
        }
        *slot = Arc::new(state);
        Ok(())
    }

    /// The key id and project that this key string opens.
    pub fn authenticate(&self, key: &KeyString) -> Option<(u64, Arc<Project>)> {
        let key = self.proved(key).filter(|key| !key.revoked)?;
        Some((key.id, key.project))
    }

    /// The id of a key, and whether it still opens its project.
    pub fn find(&self, key: &KeyString) -> Option<(u64, bool)> {
        let key = self.proved(key)?;
        Some((key.id, !key.revoked))
    }

    fn proved(&self, key: &KeyString) -> Option<Key> {
        let (finder, proof) = halves(&self.mac_of(key));
        let state = self.state.read().clone();
        let key = state.keys.get(&finder)?;
        bool::from(key.proof.ct_eq(&proof)).then(|| key.clone())
    }

    /// The project with this name.
    pub fn project_named(&self, name: &str) -> Option<Arc<Project>> {
        self.state.read().by_name.get(name).cloned()
    }

    /// How many projects and how many keys, revoked ones included.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.state.read();
        (state.projects.len(), state.keys.len())
    }

    /// An id for the next project.
    pub fn next_project(&self) -> ProjectId {
        ProjectId(self.state.read().project_last + 1)
    }

    /// Whether a key has this id, and whether it still opens its project.
    pub fn key_state(&self, id: u64) -> Option<bool> {
        let state = self.state.read();
        let key = state.keys.get(state.finders.get(&id)?)?;
        Some(!key.revoked)
    }

    /// Counts a request that named a project other than its key's.
    pub fn count_named(&self, project: ProjectId, name: &str) {
        self.named.lock().count(project.0, name);
    }

    /// What was counted since the last call, as events to append.
    pub fn take_named(&self) -> Vec<ControlEvent> {
        self.named.lock().take()
    }

    /// Uses of each name so far, by project id and name.
    pub fn named(&self) -> Vec<(u64, String, u64)> {
        let named = self.named.lock();
        let mut all: Vec<_> = named
            .counts
            .iter()
            .map(|((project, name), count)| (*project, name.clone(), count.logged + count.fresh))
            .collect();
        all.sort();
        all
    }
}

impl State {
    fn apply(&mut self, event: &ControlEvent) -> Result<(), DirectoryError> {
        match event {
            ControlEvent::ProjectCreated { project, name, .. } => self.add_project(*project, name),
            ControlEvent::KeyCreated {
                key, project, mac, ..
            } => self.add_key(*key, *project, mac),
            ControlEvent::KeyRevoked { key, .. } => {
                let finder = self
                    .finders
                    .get(key)
                    .ok_or(DirectoryError::UnknownKey(*key))?;
                if let Some(entry) = self.keys.get_mut(finder) {
                    entry.revoked = true;
                }
                Ok(())
            }
            ControlEvent::ProjectNamed { .. } | ControlEvent::User(_) => Ok(()),
        }
    }

    fn add_project(&mut self, id: u64, name: &str) -> Result<(), DirectoryError> {
        if self.projects.contains_key(&id) || self.by_name.contains_key(name) {
            return Err(DirectoryError::ProjectTwice(id));
        }
        let project = Arc::new(Project {
            id: ProjectId(id),
            name: name.into(),
        });
        self.by_name
            .insert(Arc::clone(&project.name), Arc::clone(&project));
        self.projects.insert(id, project);
        self.project_last = self.project_last.max(id);
        Ok(())
    }

    fn add_key(&mut self, key: u64, project: u64, mac: &KeyMac) -> Result<(), DirectoryError> {
        let owner = self
            .projects
            .get(&project)
            .cloned()
            .ok_or(DirectoryError::UnknownProject { key, project })?;
        let (finder, proof) = halves(mac);
        if self.finders.contains_key(&key) || self.keys.contains_key(&finder) {
            return Err(DirectoryError::KeyTwice(key));
        }
        self.finders.insert(key, finder);
        self.keys.insert(
            finder,
            Key {
                id: key,
                project: owner,
                proof,
                revoked: false,
            },
        );
        Ok(())
    }
}

fn halves(mac: &KeyMac) -> (Finder, Finder) {
    let (mut finder, mut proof) = ([0; 16], [0; 16]);
    finder.copy_from_slice(&mac[..16]);
    proof.copy_from_slice(&mac[16..]);
    (finder, proof)
}

/// The text is a project's name: not empty, not too long, printable.
pub fn is_project_name(name: &str) -> bool {
    !name.trim().is_empty()
        && name.len() <= PROJECT_NAME_BYTES_MAX
        && !name.chars().any(char::is_control)
}

/// Under this name the uses of all names beyond the limit are counted.
const OTHER_NAMES: &str = "(other)";

#[derive(Debug, Default)]
struct Named {
    counts: HashMap<(u64, String), Uses>,
}

#[derive(Debug, Default)]
struct Uses {
    logged: u64,
    fresh: u64,
}

impl Named {
    fn recover(&mut self, project: u64, name: &str, count: u64) {
        let uses = self.counts.entry((project, name.to_owned())).or_default();
        uses.logged += count;
        // An event that this process made stands in `fresh` until it is durable.
        uses.fresh = uses.fresh.saturating_sub(count);
    }

    fn count(&mut self, project: u64, name: &str) {
        let fits = name.len() <= PROJECT_NAME_BYTES_MAX;
        let name = if fits { name } else { OTHER_NAMES };
        let key = (project, name.to_owned());
        let full = self.counts.len() >= NAMED_PROJECTS_MAX && !self.counts.contains_key(&key);
        let key = if full {
            (project, OTHER_NAMES.to_owned())
        } else {
            key
        };
        self.counts.entry(key).or_default().fresh += 1;
    }

    fn take(&mut self) -> Vec<ControlEvent> {
        let mut events: Vec<_> = self
            .counts
            .iter()
            .filter(|(_, uses)| uses.fresh > 0)
            .map(|((project, name), uses)| ControlEvent::ProjectNamed {
                project: *project,
                name: name.clone(),
                count: uses.fresh,
            })
            .collect();
        events.sort_by(|a, b| format!("{a:?}").cmp(&format!("{b:?}")));
        events
    }
}

#[cfg(test)]
pub(crate) mod tests;
