//! Organizations in memory.

use std::collections::{BTreeMap, HashMap};

use super::DirectoryError;
use crate::tenancy::{FIRST_ORG, OrgId};

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Org {
    /// Its id.
    pub id: OrgId,
    /// Its name, for people.
    pub name: String,
    /// Its name in addresses, unique.
    pub slug: String,
    /// The issuer through which its people must sign in.
    pub sso_issuer: Option<String>,
    /// Whether it takes no more data.
    pub is_archived: bool,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Orgs {
    by_id: BTreeMap<OrgId, Org>,
    by_slug: HashMap<String, OrgId>,
    last: u64,
}

impl Default for Orgs {
    /// The first organization is there without an event.
    fn default() -> Self {
        let slug = "default".to_owned();
        let org = Org {
            id: FIRST_ORG,
            name: slug.clone(),
            slug: slug.clone(),
            sso_issuer: None,
            is_archived: false,
        };
        Self {
            by_id: BTreeMap::from([(FIRST_ORG, org)]),
            by_slug: HashMap::from([(slug, FIRST_ORG)]),
            last: FIRST_ORG.0,
        }
    }
}

impl Orgs {
    pub(crate) fn get(&self, id: OrgId) -> Option<&Org> {
        self.by_id.get(&id)
    }

    pub(crate) fn with_slug(&self, slug: &str) -> Option<&Org> {
        self.by_id.get(self.by_slug.get(slug)?)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn next_id(&self) -> OrgId {
        OrgId(self.last + 1)
    }

    /// In the order of their ids, from the one after this.
    pub(crate) fn after(&self, id: OrgId) -> impl Iterator<Item = &Org> {
        self.by_id
            .range(OrgId(id.0.saturating_add(1))..)
            .map(|(_, org)| org)
    }

    pub(super) fn create(
        &mut self,
        id: OrgId,
        name: &str,
        slug: &str,
    ) -> Result<(), DirectoryError> {
        if self.by_id.contains_key(&id) || self.by_slug.contains_key(slug) {
            return Err(DirectoryError::Twice {
                what: "organization",
                id: id.0,
            });
        }
        let org = Org {
            id,
            name: name.to_owned(),
            slug: slug.to_owned(),
            sso_issuer: None,
            is_archived: false,
        };
        self.by_slug.insert(slug.to_owned(), id);
        self.by_id.insert(id, org);
        self.last = self.last.max(id.0);
        Ok(())
    }

    pub(super) fn rename(
        &mut self,
        id: OrgId,
        name: &str,
        slug: &str,
    ) -> Result<(), DirectoryError> {
        if self.by_slug.get(slug).is_some_and(|owner| *owner != id) {
            return Err(DirectoryError::Twice {
                what: "organization",
                id: id.0,
            });
        }
        let old = std::mem::replace(&mut self.entry(id)?.slug, slug.to_owned());
        name.clone_into(&mut self.entry(id)?.name);
        self.by_slug.remove(&old);
        self.by_slug.insert(slug.to_owned(), id);
        Ok(())
    }

    pub(super) fn entry(&mut self, id: OrgId) -> Result<&mut Org, DirectoryError> {
        self.by_id.get_mut(&id).ok_or(DirectoryError::Unknown {
            what: "organization",
            id: id.0,
        })
    }

    pub(super) fn remove(&mut self, id: OrgId) -> Result<(), DirectoryError> {
        let slug = self.entry(id)?.slug.clone();
        self.by_slug.remove(&slug);
        self.by_id.remove(&id);
        Ok(())
    }
}
