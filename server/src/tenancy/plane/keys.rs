//! Changes of API keys.

use std::sync::Arc;

use super::projects::check_new;
use super::{By, ChangeError, Changed, ControlPlane, check_room};
use crate::control::{Actor, ControlEvent};
use crate::keys::KeyString;
use crate::limits::{
    KEYS_MAX, KEYS_PER_ORG_MAX, KEYS_PER_PROJECT_MAX, PROJECT_NAME_BYTES_MAX, PROJECTS_MAX,
};
use crate::tenancy::directory::{Key, Project, State, is_name};
use crate::tenancy::{FIRST_ORG, NewKey, OrgEvent, Rights, Scopes};
use obsrv_engine::row::ProjectId;

/// Keys of one rotation that open their project at the same time.
const LIVE_PER_SLOT_MAX: usize = 2;

/// What a new key is to be.
#[derive(Clone, Debug)]
pub struct KeyTerms {
    /// For people; may be empty.
    pub name: String,
    /// What it is for.
    pub scopes: Scopes,
    /// From when on it opens nothing.
    pub expires_ns: Option<i64>,
}

impl Default for KeyTerms {
    fn default() -> Self {
        Self {
            name: String::new(),
            scopes: Scopes::ALL,
            expires_ns: None,
        }
    }
}

/// A key that was just made, and its string, to be shown once.
#[derive(Debug)]
pub struct CreatedKey {
    /// Its public id.
    pub id: u64,
    /// The string.
    pub key: KeyString,
    /// The project that it opens.
    pub project: Arc<Project>,
    /// Whether the project is new, too.
    pub is_new_project: bool,
}

impl ControlPlane {
    /// A fresh key string, not installed yet, and its id.
    pub fn mint(&self) -> (u64, KeyString) {
        let mut bytes = [0; 8];
        self.rng.fill(&mut bytes);
        // Never 0, and short of the sign bit for readers with signed numbers.
        let id = (u64::from_le_bytes(bytes) >> 1).max(1);
        (id, KeyString::mint(id, &*self.rng))
    }

    /// Makes `key` open the project of this name in the first organization, which is made if there
    /// is none.
    pub async fn install(
        &self,
        by: By,
        name: &str,
        id: u64,
        key: KeyString,
        terms: KeyTerms,
    ) -> Result<Changed<CreatedKey>, ChangeError> {
        super::check_name(name)?;
        self.check_terms(by, &terms)?;
        let mac = self.directory().mac_of(&key);
        self.change(by, |state| {
            let known = state.projects.named(FIRST_ORG, name).cloned();
            let is_new_project = known.is_none();
            let mut events = Vec::new();
            let project = if let Some(known) = known {
                known
            } else {
                check_new(state, FIRST_ORG, name)?;
                check_room("projects", state.projects.len(), PROJECTS_MAX)?;
                let new = Project {
                    id: ProjectId(state.projects.next_id()),
                    name: name.into(),
                    org: FIRST_ORG,
                    is_archived: false,
                };
                let event = OrgEvent::ProjectCreated {
                    project: new.id.0,
                    org: new.org,
                    name: name.to_owned(),
                };
                events.push(self.org_event(by, event));
                Arc::new(new)
            };
            let new = new_key(id, &project, id, mac, &terms);
            check_key_room(state, &new, self.now_ns())?;
            events.push(self.org_event(by, OrgEvent::KeyCreated(new)));
            let created = CreatedKey {
                id,
                key,
                project,
                is_new_project,
            };
            Ok((events, created))
        })
        .await
    }

    /// Makes a key for a project.
    pub async fn create_key(
        &self,
        by: By,
        project: u64,
        terms: KeyTerms,
    ) -> Result<Changed<CreatedKey>, ChangeError> {
        self.check_terms(by, &terms)?;
        let (id, key) = self.mint();
        let mac = self.directory().mac_of(&key);
        self.change(by, |state| {
            let project = state.projects.get(project).cloned();
            let project = project.ok_or(ChangeError::Unknown("project"))?;
            let terms = within_maker(state, by, terms)?;
            let new = new_key(id, &project, id, mac, &terms);
            check_key_room(state, &new, self.now_ns())?;
            let event = self.org_event(by, OrgEvent::KeyCreated(new));
            let created = CreatedKey {
                id,
                key,
                project,
                is_new_project: false,
            };
            Ok((vec![event], created))
        })
        .await
    }

    /// Makes a successor of a key with the same name and scopes. The old one goes on until it is
    /// revoked or its time is over; no third one is made before.
    pub async fn rotate_key(
        &self,
        by: By,
        project: u64,
        old: u64,
        expires_ns: Option<i64>,
    ) -> Result<Changed<CreatedKey>, ChangeError> {
        let (id, key) = self.mint();
        let mac = self.directory().mac_of(&key);
        let now = self.now_ns();
        self.change(by, |state| {
            let old = owned(state, project, old)?;
            if !old.is_live(now) {
                return Err(ChangeError::Conflict("the key opens nothing any more"));
            }
            let terms = KeyTerms {
                name: old.name.clone(),
                scopes: old.scopes,
                expires_ns,
            };
            self.check_terms(by, &terms)?;
            let terms = within_maker(state, by, terms)?;
            let live = state.keys.of_project(project, 0);
            let live = live.filter(|key| key.slot == old.slot && key.is_live(now));
            if live.count() >= LIVE_PER_SLOT_MAX {
                return Err(ChangeError::Conflict(
                    "the key is being rotated; revoke one of the two first",
                ));
            }
            let owner = state.projects.get(project).cloned();
            let owner = owner.ok_or(ChangeError::Unknown("project"))?;
            let new = new_key(id, &owner, old.slot, mac, &terms);
            check_key_room(state, &new, now)?;
            let event = self.org_event(by, OrgEvent::KeyCreated(new));
            let created = CreatedKey {
                id,
                key,
                project: owner,
                is_new_project: false,
            };
            Ok((vec![event], created))
        })
        .await
    }

    /// Makes a key of a project open nothing, for good. Revoking twice is revoking once.
    pub async fn revoke_key(
        &self,
        by: By,
        project: u64,
        key: u64,
    ) -> Result<Changed<()>, ChangeError> {
        self.change(by, |state| {
            let old = owned(state, project, key)?;
            Ok((self.revocation(state, by, old), ()))
        })
        .await
    }

    /// The same for a key of any project, named by its id or by itself. Returns its id.
    pub async fn revoke(&self, by: By, name: &str) -> Result<Changed<u64>, ChangeError> {
        let id = u64::from_str_radix(name, 16).ok();
        let mac = KeyString::parse(name).ok();
        let mac = mac.map(|key| self.directory().mac_of(&key));
        self.change(by, |state| {
            let by_id = id.and_then(|id| state.keys.get(id));
            let by_key = || state.keys.proved(mac.as_ref()?);
            let found = by_id.or_else(by_key).ok_or(ChangeError::UnknownKey)?;
            Ok((self.revocation(state, by, found), found.id))
        })
        .await
    }

    /// Ends a key, and after it the keys that it made; what an earlier try was cut off from, too.
    fn revocation(&self, state: &State, by: By, old: &Key) -> Vec<ControlEvent> {
        let heirs = state.keys.with_heirs(old.id, self.now_ns());
        let own = Some(old.id).filter(|_| !old.is_revoked);
        own.into_iter()
            .chain(heirs.into_iter().filter(|key| *key != old.id))
            .map(|key| self.org_event(by, OrgEvent::KeyRevoked { key }))
            .collect()
    }

    /// Nobody makes a key that may do more than they.
    fn check_terms(&self, by: By, terms: &KeyTerms) -> Result<(), ChangeError> {
        if !terms.name.is_empty() && !is_name(&terms.name) {
            return Err(ChangeError::Name(terms.name.chars().take(64).collect()));
        }
        if terms.expires_ns.is_some_and(|end| end <= self.now_ns()) {
            return Err(ChangeError::Invalid("the key would be expired"));
        }
        if !by.rights.cover(Rights::of_scopes(terms.scopes)) {
            return Err(ChangeError::Forbidden);
        }
        Ok(())
    }
}

/// A key that a key makes ends with it at the latest.
fn within_maker(state: &State, by: By, terms: KeyTerms) -> Result<KeyTerms, ChangeError> {
    let Actor::Key(maker) = by.actor else {
        return Ok(terms);
    };
    let maker = state.keys.get(maker).ok_or(ChangeError::Ended)?;
    match (maker.expires_ns, terms.expires_ns) {
        (Some(end), Some(asked)) if asked > end => Err(ChangeError::Invalid(
            "the key would outlive the key that makes it",
        )),
        (end, asked) => Ok(KeyTerms {
            expires_ns: asked.or(end),
            ..terms
        }),
    }
}

fn owned(state: &State, project: u64, key: u64) -> Result<&Key, ChangeError> {
    let found = state.keys.get(key).filter(|key| key.project == project);
    found.ok_or(ChangeError::Unknown("key"))
}

fn new_key(id: u64, project: &Project, slot: u64, mac: [u8; 32], terms: &KeyTerms) -> NewKey {
    debug_assert!(terms.name.len() <= PROJECT_NAME_BYTES_MAX, "checked before");
    NewKey {
        key: id,
        project: project.id.0,
        slot,
        mac,
        name: terms.name.clone(),
        scopes: terms.scopes,
        expires_ns: terms.expires_ns,
    }
}

fn check_key_room(state: &State, new: &NewKey, now_ns: i64) -> Result<(), ChangeError> {
    if state.keys.get(new.key).is_some() || state.keys.proved(&new.mac).is_some() {
        return Err(ChangeError::Exists("key"));
    }
    let live = state.keys.live(KEYS_MAX, now_ns);
    check_room("live keys", live, KEYS_MAX)?;
    if let Some(org) = state.projects.org_of(new.project) {
        let projects = state.projects.in_org(org, 0);
        let live = projects.map(|p| state.keys.live_of(p.id.0, now_ns)).sum();
        check_room("live keys of the organization", live, KEYS_PER_ORG_MAX)?;
    }
    let live = state.keys.live_of(new.project, now_ns);
    check_room("live keys of the project", live, KEYS_PER_PROJECT_MAX)
}
