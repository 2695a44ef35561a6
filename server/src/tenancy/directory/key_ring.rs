//! API keys in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};

use subtle::ConstantTimeEq;

use super::DirectoryError;
use crate::keys::KeyMac;
use crate::tenancy::{NewKey, Scopes};

/// The first half of a key's MAC finds it, the second half proves it.
type Finder = [u8; 16];

/// A key that opens a project.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) id: u64,
    pub(crate) project: u64,
    /// The id of the first key of its rotation.
    pub(crate) slot: u64,
    pub(crate) name: String,
    pub(crate) scopes: Scopes,
    pub(crate) created_ns: i64,
    pub(crate) expires_ns: Option<i64>,
    pub(crate) is_revoked: bool,
    finder: Finder,
    proof: Finder,
    /// Nanoseconds since the epoch; 0 is never. Relaxed: it orders nothing.
    used_ns: AtomicI64,
    /// What of it is in the log.
    logged_ns: AtomicI64,
}

impl Key {
    pub(crate) fn is_expired(&self, now_ns: i64) -> bool {
        self.expires_ns.is_some_and(|end| end <= now_ns)
    }

    pub(crate) fn is_live(&self, now_ns: i64) -> bool {
        !self.is_revoked && !self.is_expired(now_ns)
    }

    pub(crate) fn used_ns(&self) -> Option<i64> {
        Some(self.used_ns.load(Ordering::Relaxed)).filter(|ns| *ns != 0)
    }

    pub(super) fn note_use(&self, now_ns: i64) {
        self.used_ns.fetch_max(now_ns, Ordering::Relaxed);
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct KeyRing {
    by_id: BTreeMap<u64, Key>,
    by_finder: HashMap<Finder, u64>,
    of_project: BTreeSet<(u64, u64)>,
}

impl KeyRing {
    pub(crate) fn get(&self, id: u64) -> Option<&Key> {
        self.by_id.get(&id)
    }

    /// The key with this MAC, revoked and expired ones included.
    pub(crate) fn proved(&self, mac: &KeyMac) -> Option<&Key> {
        let (finder, proof) = halves(mac);
        let key = self.by_id.get(self.by_finder.get(&finder)?)?;
        bool::from(key.proof.ct_eq(&proof)).then_some(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Keys of a project by id, from the one after this.
    pub(crate) fn of_project(&self, project: u64, after: u64) -> impl Iterator<Item = &Key> {
        self.of_project
            .range((project, after.saturating_add(1))..=(project, u64::MAX))
            .filter_map(|(_, id)| self.by_id.get(id))
    }

    /// Uses that are not in the log, as many as one event may hold.
    pub(crate) fn unlogged(&self, max: usize) -> Vec<(u64, i64)> {
        let fresh = self.by_id.values().filter_map(|key| {
            let used = key.used_ns()?;
            (used > key.logged_ns.load(Ordering::Relaxed)).then_some((key.id, used))
        });
        fresh.take(max).collect()
    }

    pub(super) fn add(&mut self, new: &NewKey, created_ns: i64) -> Result<(), DirectoryError> {
        let (finder, proof) = halves(&new.mac);
        if self.by_id.contains_key(&new.key) || self.by_finder.contains_key(&finder) {
            return Err(DirectoryError::Twice {
                what: "key",
                id: new.key,
            });
        }
        let key = Key {
            id: new.key,
            project: new.project,
            slot: new.slot,
            name: new.name.clone(),
            scopes: new.scopes,
            created_ns,
            expires_ns: new.expires_ns,
            is_revoked: false,
            finder,
            proof,
            used_ns: AtomicI64::new(0),
            logged_ns: AtomicI64::new(0),
        };
        self.by_finder.insert(finder, new.key);
        self.of_project.insert((new.project, new.key));
        self.by_id.insert(new.key, key);
        Ok(())
    }

    pub(super) fn revoke(&mut self, id: u64) -> Result<(), DirectoryError> {
        let key = self.by_id.get_mut(&id);
        key.ok_or(DirectoryError::Unknown { what: "key", id })?
            .is_revoked = true;
        Ok(())
    }

    pub(super) fn used(&self, last: &[(u64, i64)]) {
        for (id, at_ns) in last {
            // A key of a project that was deleted meanwhile.
            let Some(key) = self.by_id.get(id) else {
                continue;
            };
            key.note_use(*at_ns);
            key.logged_ns.fetch_max(*at_ns, Ordering::Relaxed);
        }
    }

    pub(super) fn forget(&mut self, project: u64) {
        let gone: Vec<u64> = self.of_project(project, 0).map(|key| key.id).collect();
        for id in gone {
            if let Some(key) = self.by_id.remove(&id) {
                self.by_finder.remove(&key.finder);
                self.of_project.remove(&(project, id));
            }
        }
    }
}

fn halves(mac: &KeyMac) -> (Finder, Finder) {
    let (mut finder, mut proof) = ([0; 16], [0; 16]);
    finder.copy_from_slice(&mac[..16]);
    proof.copy_from_slice(&mac[16..]);
    (finder, proof)
}
