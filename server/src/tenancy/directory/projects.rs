//! Projects in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::DirectoryError;
use crate::tenancy::OrgId;
use obsrv_engine::row::ProjectId;

/// A project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name, unique in its organization.
    pub name: Arc<str>,
    /// Whose.
    pub org: OrgId,
    /// Whether it takes no more data.
    pub is_archived: bool,
}

/// A deleted project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deleted {
    /// Whose it was.
    pub(crate) org: OrgId,
    /// When, nanoseconds since the epoch.
    pub(crate) at_ns: i64,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Projects {
    by_id: BTreeMap<u64, Arc<Project>>,
    by_name: HashMap<(OrgId, Arc<str>), u64>,
    of_org: BTreeSet<(OrgId, u64)>,
    environments: BTreeSet<(u64, Arc<str>)>,
    /// Deleted, and not known to be purged.
    unpurged: BTreeMap<u64, Deleted>,
    last: u64,
}

impl Projects {
    pub(crate) fn get(&self, id: u64) -> Option<&Arc<Project>> {
        self.by_id.get(&id)
    }

    pub(crate) fn named(&self, org: OrgId, name: &str) -> Option<&Arc<Project>> {
        self.by_id.get(self.by_name.get(&(org, name.into()))?)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.last + 1
    }

    /// Every project by id, from the one after this.
    pub(crate) fn after(&self, id: u64) -> impl Iterator<Item = &Arc<Project>> {
        self.by_id
            .range(id.saturating_add(1)..)
            .map(|(_, project)| project)
    }

    /// The same of one organization.
    pub(crate) fn in_org(&self, org: OrgId, after: u64) -> impl Iterator<Item = &Arc<Project>> {
        self.of_org
            .range((org, after.saturating_add(1))..=(org, u64::MAX))
            .filter_map(|(_, id)| self.by_id.get(id))
    }

    pub(crate) fn environments(&self, project: u64) -> impl Iterator<Item = &Arc<str>> {
        self.environments
            .range((project, "".into())..)
            .take_while(move |(owner, _)| *owner == project)
            .map(|(_, name)| name)
    }

    pub(crate) fn unpurged(&self) -> impl Iterator<Item = (u64, Deleted)> {
        self.unpurged.iter().map(|(id, deleted)| (*id, *deleted))
    }

    /// Whose a project is, or was.
    pub(crate) fn org_of(&self, id: u64) -> Option<OrgId> {
        let there = self.by_id.get(&id).map(|project| project.org);
        there.or_else(|| self.unpurged.get(&id).map(|deleted| deleted.org))
    }

    pub(super) fn create(&mut self, id: u64, org: OrgId, name: &str) -> Result<(), DirectoryError> {
        let name: Arc<str> = name.into();
        let key = (org, Arc::clone(&name));
        if id <= self.last || self.by_name.contains_key(&key) {
            return Err(DirectoryError::Twice {
                what: "project",
                id,
            });
        }
        let project = Project {
            id: ProjectId(id),
            name,
            org,
            is_archived: false,
        };
        self.by_name.insert(key, id);
        self.of_org.insert((org, id));
        self.by_id.insert(id, Arc::new(project));
        self.last = id;
        Ok(())
    }

    /// Puts another form of a project in its place.
    pub(super) fn change(
        &mut self,
        id: u64,
        change: impl FnOnce(&mut Project),
    ) -> Result<(), DirectoryError> {
        let old = self.get(id).cloned().ok_or(unknown(id))?;
        let mut new = Project::clone(&old);
        change(&mut new);
        let name = (new.org, Arc::clone(&new.name));
        if self.by_name.get(&name).is_some_and(|owner| *owner != id) {
            return Err(DirectoryError::Twice {
                what: "project",
                id,
            });
        }
        self.by_name.remove(&(old.org, Arc::clone(&old.name)));
        self.of_org.remove(&(old.org, id));
        self.by_name.insert(name, id);
        self.of_org.insert((new.org, id));
        self.by_id.insert(id, Arc::new(new));
        Ok(())
    }

    pub(super) fn set_environment(&mut self, project: u64, name: &str, present: bool) {
        let entry = (project, name.into());
        if present {
            self.environments.insert(entry);
        } else {
            self.environments.remove(&entry);
        }
    }

    pub(super) fn delete(&mut self, id: u64, at_ns: i64) -> Result<(), DirectoryError> {
        let old = self.by_id.remove(&id).ok_or(unknown(id))?;
        self.by_name.remove(&(old.org, Arc::clone(&old.name)));
        self.of_org.remove(&(old.org, id));
        let gone: Vec<Arc<str>> = self.environments(id).cloned().collect();
        for name in gone {
            self.environments.remove(&(id, name));
        }
        self.unpurged.insert(
            id,
            Deleted {
                org: old.org,
                at_ns,
            },
        );
        Ok(())
    }

    pub(super) fn purged(&mut self, id: u64) -> Result<(), DirectoryError> {
        if self.unpurged.remove(&id).is_some() {
            Ok(())
        } else {
            Err(unknown(id))
        }
    }
}

const fn unknown(id: u64) -> DirectoryError {
    DirectoryError::Unknown {
        what: "project",
        id,
    }
}
