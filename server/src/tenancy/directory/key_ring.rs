//! API keys in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};

use subtle::ConstantTimeEq;

use super::DirectoryError;
use crate::keys::KeyMac;
use crate::limits::DEAD_KEYS_PER_PROJECT_MAX;
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
    /// The slot of the key that made it: it opens nothing once no key of that slot does.
    pub(crate) made_by: Option<u64>,
    finder: Finder,
    proof: Finder,
    /// Nanoseconds since the epoch; 0 is never. Relaxed: it orders nothing.
    used_ns: AtomicI64,
}

impl Key {
    pub(crate) fn is_expired(&self, now_ns: i64) -> bool {
        self.expires_ns.is_some_and(|end| end <= now_ns)
    }

    pub(crate) fn is_live(&self, now_ns: i64) -> bool {
        !self.is_revoked && !self.is_expired(now_ns)
    }

    /// For people.
    pub(crate) fn state(&self, now_ns: i64) -> &'static str {
        if self.is_revoked {
            "revoked"
        } else if self.is_expired(now_ns) {
            "expired"
        } else {
            "live"
        }
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
    unrevoked: usize,
    /// Whether dead keys were forgotten, which older records may still name.
    has_forgotten: bool,
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

    /// How many open something now; `max` or more may be told as more than there are.
    pub(crate) fn live(&self, max: usize, now_ns: i64) -> usize {
        if self.unrevoked < max {
            return self.unrevoked;
        }
        self.by_id
            .values()
            .filter(|key| key.is_live(now_ns))
            .count()
    }

    /// How many of a project open something now.
    pub(crate) fn live_of(&self, project: u64, now_ns: i64) -> usize {
        let keys = self.of_project(project, 0);
        keys.filter(|key| key.is_live(now_ns)).count()
    }

    /// A key, and every key that goes with it when it is revoked: those that it made, unless its
    /// successor goes on, and those that they made.
    pub(crate) fn with_heirs(&self, id: u64, now_ns: i64) -> BTreeSet<u64> {
        let mut ended = BTreeSet::from([id]);
        let mut waiting = vec![id];
        while let Some(key) = waiting.pop().and_then(|id| self.get(id)) {
            let all = || self.of_project(key.project, 0).filter(|k| !k.is_revoked);
            let goes_on =
                |k: &Key| k.slot == key.slot && k.is_live(now_ns) && !ended.contains(&k.id);
            if all().any(goes_on) {
                continue;
            }
            for heir in all().filter(|k| k.made_by == Some(key.slot) && k.slot != key.slot) {
                if ended.insert(heir.id) {
                    waiting.push(heir.id);
                }
            }
        }
        ended
    }

    /// Keys of a project by id, from the one after this.
    pub(crate) fn of_project(&self, project: u64, after: u64) -> impl Iterator<Item = &Key> {
        self.of_project
            .range((project, after.saturating_add(1))..=(project, u64::MAX))
            .filter_map(|(_, id)| self.by_id.get(id))
    }

    /// When each key was last used, if ever.
    pub(crate) fn uses(&self) -> Vec<(u64, i64)> {
        let used = |key: &Key| Some((key.id, key.used_ns()?));
        self.by_id.values().filter_map(used).collect()
    }

    /// `maker` is the key that asked for it.
    pub(super) fn add(
        &mut self,
        new: &NewKey,
        created_ns: i64,
        maker: Option<u64>,
    ) -> Result<(), DirectoryError> {
        self.forget_dead(new.project, created_ns);
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
            made_by: maker.and_then(|id| self.get(id)).map(|maker| maker.slot),
            finder,
            proof,
            used_ns: AtomicI64::new(0),
        };
        self.by_finder.insert(finder, new.key);
        self.of_project.insert((new.project, new.key));
        self.by_id.insert(new.key, key);
        self.unrevoked += 1;
        Ok(())
    }

    pub(super) fn revoke(&mut self, id: u64) -> Result<(), DirectoryError> {
        match self.by_id.get_mut(&id) {
            Some(key) if key.is_revoked => Ok(()),
            Some(key) => {
                key.is_revoked = true;
                self.unrevoked -= 1;
                Ok(())
            }
            None if self.has_forgotten => Ok(()),
            None => Err(DirectoryError::Unknown { what: "key", id }),
        }
    }

    /// Forgets the oldest dead keys of a project that has many. Depends on the log alone: at every
    /// start the same ones.
    fn forget_dead(&mut self, project: u64, now_ns: i64) {
        let keys = self.of_project(project, 0);
        let dead = keys.filter(|key| !key.is_live(now_ns));
        let mut dead: Vec<_> = dead.map(|key| (key.created_ns, key.id)).collect();
        let surplus = dead.len().saturating_sub(DEAD_KEYS_PER_PROJECT_MAX);
        dead.sort_unstable();
        for (_, id) in &dead[..surplus] {
            self.has_forgotten = true;
            self.remove(*id);
        }
    }

    fn remove(&mut self, id: u64) {
        if let Some(key) = self.by_id.remove(&id) {
            self.by_finder.remove(&key.finder);
            self.of_project.remove(&(key.project, id));
            self.unrevoked -= usize::from(!key.is_revoked);
        }
    }

    /// Keys of projects that were deleted meanwhile are passed over.
    pub(crate) fn used(&self, last: &[(u64, i64)]) {
        for (id, at_ns) in last {
            if let Some(key) = self.by_id.get(id) {
                key.note_use(*at_ns);
            }
        }
    }

    pub(super) fn forget(&mut self, project: u64) {
        let gone: Vec<u64> = self.of_project(project, 0).map(|key| key.id).collect();
        for id in gone {
            self.remove(id);
        }
    }
}

fn halves(mac: &KeyMac) -> (Finder, Finder) {
    let (mut finder, mut proof) = ([0; 16], [0; 16]);
    finder.copy_from_slice(&mac[..16]);
    proof.copy_from_slice(&mac[16..]);
    (finder, proof)
}
