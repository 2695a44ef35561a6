//! Directories for tests.

use crate::control::ControlEvent;
use crate::keys::{KeyString, Macs, MasterSecret};
use crate::tenancy::Directory;

/// A directory with these projects, each with one key: (project id, name, key id, key).
pub(crate) fn directory(secret: &MasterSecret, projects: &[(u64, &str, u64, &str)]) -> Directory {
    let directory = Directory::new(Macs::for_keys(secret));
    for (project, name, key_id, key) in projects {
        let mac = directory.mac_of(&KeyString::parse(key).unwrap());
        let id = *project;
        let project = ControlEvent::ProjectCreated {
            project: id,
            name: (*name).into(),
            at_ns: 0,
        };
        let key = ControlEvent::KeyCreated {
            key: *key_id,
            project: id,
            mac,
            at_ns: 0,
        };
        for event in [project, key] {
            directory.apply(&event).unwrap();
        }
    }
    directory
}
