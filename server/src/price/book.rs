//! The prices that hold: one table for the server, and before it an organization's own entries.
//!
//! Owns what the log says of projects' organizations and of their prices. The engine tells every control
//! event in the order of the log, so a record is priced by what stood before it, when it came and when it is replayed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use obsrv_engine::cost::{Cost, Costs, Fields};
use obsrv_engine::row::ProjectId;
use parking_lot::RwLock;

use super::table::Room;
use super::{Call, Priced, Table, TableError, call};
use crate::control::{self, ControlEvent};
use crate::governance::GovernanceEvent;
use crate::limits::{PRICES_BYTES_MAX, PRICES_MODELS_MAX, PRICES_PATTERNS_BYTES_MAX};
use crate::tenancy::{FIRST_ORG, OrgEvent};

/// How this version prices: another number once equal tables come to other costs, so that what is stored is priced again.
const RULES: u64 = 1;

/// An organization's own prices.
#[derive(Debug)]
pub struct Own {
    /// How often they were changed.
    pub revision: u64,
    /// When, nanoseconds since the epoch.
    pub at_ns: i64,
    /// The table as it was given.
    pub text: Arc<str>,
    /// Read when something is to be priced; none if it does not read.
    table: OnceLock<Option<Table>>,
}

impl Own {
    fn table(&self) -> Option<&Table> {
        let read = || match Table::read_own(self.text.as_bytes()) {
            Ok(table) => Some(table),
            Err(error) => {
                tracing::error!(%error, "an organization's prices do not read and are left out");
                None
            }
        };
        self.table.get_or_init(read).as_ref()
    }
}

/// The prices of one organization.
#[derive(Clone, Debug)]
pub struct Prices {
    /// Its own.
    pub own: Option<Arc<Own>>,
    /// Those of the server, where its own say nothing.
    pub base: Arc<Table>,
}

impl Prices {
    /// What a call cost; none if no table tells.
    pub fn price(&self, call: &Call<'_>) -> Option<Priced<'_>> {
        let own = self.own.as_ref().and_then(|own| own.table());
        match own.filter(|own| own.has(call)) {
            Some(own) => own.price(call),
            None => self.base.price(call),
        }
    }
}

/// Where a project is.
#[derive(Clone, Copy, Debug)]
struct Placed {
    org: u64,
    /// How often it came into an organization.
    moves: u64,
}

#[derive(Debug, Default)]
struct Known {
    projects: HashMap<u64, Placed>,
    own: HashMap<u64, Arc<Own>>,
}

impl Known {
    fn place(&mut self, project: u64, org: u64) {
        let moves = self.projects.get(&project).map_or(0, |placed| placed.moves) + 1;
        self.projects.insert(project, Placed { org, moves });
    }
}

/// All prices.
#[derive(Debug)]
pub struct Book {
    base: Arc<Table>,
    known: RwLock<Known>,
    /// How often anything of it changed.
    changes: AtomicU64,
    /// The mark of the prices by which what is stored was priced, by project: see [`Book::mark`].
    applied: RwLock<HashMap<u64, u64>>,
}

impl Book {
    /// Over this table.
    pub fn new(base: Table) -> Self {
        Self {
            base: Arc::new(base),
            known: RwLock::default(),
            changes: AtomicU64::new(1),
            applied: RwLock::default(),
        }
    }

    /// Prices of an organization.
    pub fn of_org(&self, org: u64) -> Prices {
        Prices {
            own: self.known.read().own.get(&org).cloned(),
            base: Arc::clone(&self.base),
        }
    }

    /// Prices of a project.
    pub fn of_project(&self, project: ProjectId) -> Prices {
        let placed = self.known.read().projects.get(&project.0).copied();
        self.of_org(placed.map_or(FIRST_ORG.0, |placed| placed.org))
    }

    /// Another number whenever anything changed.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// A number that a project's prices never had before and never have again once they changed: prices that come back
    /// are other ones, since something may have been stored in between.
    fn mark(&self, known: &Known, project: u64) -> Option<u64> {
        let placed = known.projects.get(&project)?;
        let revision = known.own.get(&placed.org).map_or(0, |own| own.revision);
        let of = [
            RULES,
            self.base.fingerprint(),
            placed.org,
            placed.moves,
            revision,
        ];
        Some(xxhash_rust::xxh3::xxh3_64(
            &of.map(u64::to_le_bytes).concat(),
        ))
    }

    /// Whether all that is stored of an organization was priced by the prices that it has.
    pub fn is_applied(&self, org: u64) -> bool {
        let (known, applied) = (self.known.read(), self.applied.read());
        let mut of_org = known
            .projects
            .iter()
            .filter(|(_, placed)| placed.org == org);
        of_org.all(|(project, _)| applied.get(project).copied() == self.mark(&known, *project))
    }

    /// Projects of which something may be stored that was priced by other prices, each with the mark of those that hold.
    pub(super) fn due(&self) -> Vec<(ProjectId, u64)> {
        let (known, applied) = (self.known.read(), self.applied.read());
        let all = known.projects.keys();
        let marked = all.filter_map(|project| Some((*project, self.mark(&known, *project)?)));
        let other = marked.filter(|(project, mark)| applied.get(project) != Some(mark));
        let mut due: Vec<_> = other
            .map(|(project, mark)| (ProjectId(project), mark))
            .collect();
        due.sort_unstable();
        due
    }

    /// All that is stored of a project was priced by the prices of this mark.
    pub(super) fn set_applied(&self, project: ProjectId, mark: u64) {
        self.applied.write().insert(project.0, mark);
    }

    /// By which prices what is stored was priced, by project: to be kept over a restart.
    pub(crate) fn applied(&self) -> Vec<(u64, u64)> {
        let mut all: Vec<_> = self.applied.read().iter().map(|(o, f)| (*o, *f)).collect();
        all.sort_unstable();
        all
    }

    /// What [`Book::applied`] said before a restart. False if some of it does not hold: it must not be found again after
    /// another one, since the server's own prices may come back, and what is stored meanwhile has others.
    pub(crate) fn restore_applied(&self, applied: &[(u64, u64)]) -> bool {
        let known = self.known.read();
        let holds = |(project, mark): &(u64, u64)| self.mark(&known, *project) == Some(*mark);
        let mut all = self.applied.write();
        all.extend(applied.iter().copied().filter(holds));
        applied.iter().all(holds)
    }

    fn take(&self, event: &ControlEvent) {
        let mut known = self.known.write();
        match event {
            ControlEvent::ProjectCreated { project, .. } => known.place(*project, FIRST_ORG.0),
            ControlEvent::Org(act) => match &act.event {
                OrgEvent::ProjectCreated { project, org, .. }
                | OrgEvent::ProjectMoved { project, org } => known.place(*project, org.0),
                OrgEvent::ProjectDeleted { project } => {
                    known.projects.remove(project);
                    self.applied.write().remove(project);
                }
                OrgEvent::OrgDeleted { org } => {
                    known.own.remove(&org.0);
                }
                _ => return,
            },
            ControlEvent::Governance(act) => {
                let GovernanceEvent::Prices {
                    organization,
                    revision,
                    table,
                } = &act.event
                else {
                    return;
                };
                let own = Own {
                    revision: *revision,
                    at_ns: act.at_ns,
                    text: table.as_str().into(),
                    table: OnceLock::new(),
                };
                known.own.insert(*organization, Arc::new(own));
            }
            _ => return,
        }
        self.changes.fetch_add(1, Ordering::AcqRel);
    }
}

impl Costs for Book {
    fn control(&self, body: &[u8]) {
        // One that does not decode stops the control plane from opening, with its place.
        if let Ok(recorded) = control::decode(body) {
            self.take(&recorded.event);
        }
    }

    fn epoch(&self) -> u64 {
        self.changes()
    }

    fn of_span(&self, project: ProjectId, start_ns: i64, fields: Fields<'_, '_>) -> Option<Cost> {
        let prices = self.of_project(project);
        let found = call::verdict(fields, start_ns, |call| prices.price(call))?;
        Some(found.cost())
    }
}

impl Table {
    /// Reads an organization's own table, which is smaller.
    pub fn read_own(text: &[u8]) -> Result<Self, TableError> {
        let room = Room {
            text_bytes: PRICES_BYTES_MAX,
            models: PRICES_MODELS_MAX,
            pattern_bytes: PRICES_PATTERNS_BYTES_MAX,
        };
        Self::read_within(text, room)
    }
}
