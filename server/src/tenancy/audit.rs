//! The audit log: every control event in order, each with the hash that covers it and all before.
//!
//! Owns the records' bytes as they stand in the log, and decodes those that are looked at.

mod describe;

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::RwLock;

pub use describe::{Described, describe_all};

use super::OrgId;
use super::directory::Whereabouts;
use crate::control::{self, CHAIN_START, ChainHash, ControlEvent};

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number, from 1.
    pub number: u64,
    /// Hash of it and of all before.
    pub hash: ChainHash,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it stands.
    pub place: Place,
    /// In which organization.
    pub org: Option<OrgId>,
    /// In which project.
    pub project: Option<u64>,
    /// What happened.
    pub event: ControlEvent,
}

#[derive(Debug)]
struct Entry {
    bytes: Bytes,
    hash: ChainHash,
    at: Whereabouts,
}

/// Every record since the first.
#[derive(Debug, Default)]
pub struct AuditLog {
    entries: RwLock<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    all: Vec<Entry>,
    bytes: usize,
    bytes_of: HashMap<OrgId, usize>,
    /// Number of the first record whose chain did not hold at start.
    broken: Option<u64>,
}

fn number(index: usize) -> u64 {
    u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1)
}

impl AuditLog {
    /// Takes in the next record.
    pub(crate) fn push(&self, bytes: Bytes, hash: ChainHash, at: Whereabouts) -> Place {
        let mut entries = self.entries.write();
        entries.bytes += bytes.len();
        if let Some(org) = at.org {
            *entries.bytes_of.entry(org).or_default() += bytes.len();
        }
        entries.all.push(Entry { bytes, hash, at });
        Place {
            number: number(entries.all.len() - 1),
            hash,
        }
    }

    /// The next record does not follow the last.
    pub(crate) fn note_break(&self) {
        let mut entries = self.entries.write();
        let next = number(entries.all.len());
        entries.broken.get_or_insert(next);
    }

    /// The first record before which something was changed, as found at start.
    pub fn broken_at(&self) -> Option<u64> {
        self.entries.read().broken
    }

    /// Bytes of all records.
    pub fn bytes(&self) -> usize {
        self.entries.read().bytes
    }

    /// Bytes of the records of an organization.
    pub(crate) fn bytes_of(&self, org: OrgId) -> usize {
        let entries = self.entries.read();
        entries.bytes_of.get(&org).copied().unwrap_or(0)
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.entries.read().all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Records of an organization before this number, newest first, at most `look_max` of all records
    /// looked at and `max` kept. The number is that of the oldest one looked at, if there are older ones.
    pub fn before(
        &self,
        org: OrgId,
        before: u64,
        (max, look_max): (usize, usize),
        mut keep: impl FnMut(&Record) -> bool,
    ) -> (Vec<Record>, Option<u64>) {
        let entries = self.entries.read();
        let end = usize::try_from(before.saturating_sub(1)).unwrap_or(usize::MAX);
        let end = end.min(entries.all.len());
        let mut found = Vec::new();
        for index in (end.saturating_sub(look_max)..end).rev() {
            let entry = &entries.all[index];
            if !entry.at.concerns(org) {
                continue;
            }
            // It was read when it came in.
            let Ok(recorded) = control::decode(&entry.bytes) else {
                continue;
            };
            let place = Place {
                number: number(index),
                hash: entry.hash,
            };
            let record = Record {
                place,
                org: entry.at.org,
                project: entry.at.project,
                event: recorded.event,
            };
            if keep(&record) {
                found.push(record);
            }
            if found.len() == max && index > 0 {
                return (found, Some(number(index)));
            }
        }
        let oldest = end.saturating_sub(look_max);
        (found, (oldest > 0).then(|| number(oldest)))
    }
}

/// What a look at the chain of a log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainCheck {
    /// Records looked at.
    pub records: u64,
    /// What is wrong, one line each.
    pub findings: Vec<String>,
}

/// Checks that each record follows the one before. The end is open: that the newest records were cut
/// off can only be told by whoever keeps a receipt.
pub fn check_chain<'a>(records: impl IntoIterator<Item = (u64, &'a [u8])>) -> ChainCheck {
    let mut hash = CHAIN_START;
    let mut check = ChainCheck::default();
    let mut is_chained = false;
    for (lsn, bytes) in records {
        check.records += 1;
        match control::decode(bytes) {
            Ok(recorded) => {
                let follows = match recorded.previous {
                    Some(previous) => previous == hash,
                    None => !is_chained,
                };
                if !follows {
                    check.findings.push(format!(
                        "control event lsn={lsn}: the audit log was changed before it"
                    ));
                }
                is_chained |= recorded.previous.is_some();
            }
            Err(error) => check
                .findings
                .push(format!("control event lsn={lsn}: {error}")),
        }
        hash = control::chain(&hash, bytes);
    }
    check
}

#[cfg(test)]
mod tests;
