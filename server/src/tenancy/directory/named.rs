//! Names that requests give to projects, and how often.

use std::collections::HashMap;

use crate::limits::{NAMED_PROJECTS_MAX, PROJECT_NAME_BYTES_MAX};

/// Under this name the uses of all names beyond the limit are counted.
pub(super) const OTHER_NAMES: &str = "(other)";

#[derive(Debug, Default)]
pub(super) struct Named {
    counts: HashMap<(u64, String), u64>,
}

impl Named {
    /// As the log of an older obsrv says.
    pub(super) fn recover(&mut self, project: u64, name: &str, count: u64) {
        *self.entry(project, name) += count;
    }

    /// As a file says that counts from the beginning.
    pub(super) fn restore(&mut self, project: u64, name: &str, count: u64) {
        let uses = self.entry(project, name);
        *uses = count.max(*uses);
    }

    pub(super) fn count(&mut self, project: u64, name: &str) {
        *self.entry(project, name) += 1;
    }

    fn entry(&mut self, project: u64, name: &str) -> &mut u64 {
        let fits = name.len() <= PROJECT_NAME_BYTES_MAX;
        let name = if fits { name } else { OTHER_NAMES };
        let key = (project, name.to_owned());
        let full = self.counts.len() >= NAMED_PROJECTS_MAX && !self.counts.contains_key(&key);
        let key = if full {
            (0, OTHER_NAMES.to_owned())
        } else {
            key
        };
        self.counts.entry(key).or_default()
    }

    /// Uses of each name so far, by project id and name.
    pub(super) fn all(&self) -> Vec<(u64, String, u64)> {
        let mut all: Vec<_> = self
            .counts
            .iter()
            .map(|((project, name), count)| (*project, name.clone(), *count))
            .collect();
        all.sort();
        all
    }
}
