//! Names that requests give to projects, and how often.

use std::collections::HashMap;

use crate::control::ControlEvent;
use crate::limits::{NAMED_PROJECTS_MAX, PROJECT_NAME_BYTES_MAX};

/// Under this name the uses of all names beyond the limit are counted.
pub(super) const OTHER_NAMES: &str = "(other)";

#[derive(Debug, Default)]
pub(super) struct Named {
    counts: HashMap<(u64, String), Uses>,
}

#[derive(Debug, Default)]
struct Uses {
    logged: u64,
    fresh: u64,
}

impl Named {
    pub(super) fn recover(&mut self, project: u64, name: &str, count: u64) {
        let uses = self.counts.entry((project, name.to_owned())).or_default();
        uses.logged += count;
        // An event that this process made stands in `fresh` until it is durable.
        uses.fresh = uses.fresh.saturating_sub(count);
    }

    pub(super) fn count(&mut self, project: u64, name: &str) {
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

    pub(super) fn take(&mut self) -> Vec<ControlEvent> {
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

    /// Uses of each name so far, by project id and name.
    pub(super) fn all(&self) -> Vec<(u64, String, u64)> {
        let mut all: Vec<_> = self
            .counts
            .iter()
            .map(|((project, name), count)| (*project, name.clone(), count.logged + count.fresh))
            .collect();
        all.sort();
        all
    }
}
