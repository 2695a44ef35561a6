//! Versions: what readers see, swapped whole; and the writer's own state beside it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::runs::{Behind, RunCache};
use crate::cost::Costs;
use crate::manifest::Manifest;
use crate::mapping::Mapping;
use crate::memtable::{Memtable, SectionId};
use crate::mutant::Planted;
use crate::row::{Lsn, ProjectId, Table};
use crate::segment::Segment;

/// Segments and memtables. Changes at freeze, flush and compaction only.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) segments: BTreeMap<u64, Arc<Segment>>,
    pub(super) of_project: HashMap<ProjectId, Vec<Arc<Segment>>>,
    /// Oldest first; the last is active.
    pub(super) memtables: Vec<Arc<Memtable>>,
}

impl Places {
    pub(super) fn new(
        segments: BTreeMap<u64, Arc<Segment>>,
        memtables: Vec<Arc<Memtable>>,
    ) -> Self {
        let mut of_project: HashMap<ProjectId, Vec<Arc<Segment>>> = HashMap::new();
        for segment in segments.values() {
            let mut projects: Vec<_> = segment.sections().map(|s| s.project).collect();
            projects.sort_unstable();
            projects.dedup();
            for project in projects {
                of_project
                    .entry(project)
                    .or_default()
                    .push(Arc::clone(segment));
            }
        }
        Self {
            segments,
            of_project,
            memtables,
        }
    }
}

/// Dead rows of segments, all marks up to the visible LSN.
pub(super) type Dead = BTreeMap<SectionId, Arc<RoaringBitmap>>;

/// What a reader sees.
#[derive(Debug)]
pub(super) struct Version {
    places: Arc<Places>,
    dead: Arc<Dead>,
    visible: Lsn,
}

impl Version {
    pub(super) fn new(places: Arc<Places>, dead: Arc<Dead>, visible: Lsn) -> Self {
        Self {
            places,
            dead,
            visible,
        }
    }

    pub(super) fn memtables(&self) -> &[Arc<Memtable>] {
        &self.places.memtables
    }

    pub(super) fn segments(&self) -> &BTreeMap<u64, Arc<Segment>> {
        &self.places.segments
    }

    pub(super) fn segments_of(&self, project: ProjectId) -> &[Arc<Segment>] {
        self.places
            .of_project
            .get(&project)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    pub(super) fn visible(&self) -> Lsn {
        self.visible
    }

    /// Rows of a segment's section that are live.
    pub(super) fn live(
        &self,
        segment: u64,
        project: ProjectId,
        table: Table,
        rows: u32,
    ) -> RoaringBitmap {
        let mut live = RoaringBitmap::new();
        live.insert_range(0..rows);
        if let Some(dead) = self.dead.get(&(segment, project, table)) {
            live -= dead.as_ref();
        }
        live
    }
}

/// The state of the one writer.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) planted: Planted,
    pub(super) places: Arc<Places>,
    pub(super) dead: Arc<Dead>,
    pub(super) visible: Lsn,
    /// Records were applied since the version that readers have was made.
    pub(super) stale: bool,
    /// The active memtable was to be frozen and could not be.
    pub(super) freeze_due: bool,
    /// Runs whose rows are behind their spans.
    pub(super) behind: Behind,
    pub(super) run_cache: RunCache,
    /// What spans cost.
    pub(super) costs: Arc<dyn Costs>,
    /// What is made of what is stored.
    pub(super) mapping: Arc<dyn Mapping>,
}

impl Writer {
    /// A writer that goes on from a manifest.
    pub(super) fn new(
        manifest: &Manifest,
        places: Arc<Places>,
        planted: Planted,
        (costs, mapping): (Arc<dyn Costs>, Arc<dyn Mapping>),
    ) -> Self {
        for (_, body) in &manifest.state().controls {
            costs.control(body);
        }
        let dead = manifest.state().dead.iter();
        let dead = dead.map(|(s, r)| (*s, Arc::new(r.clone()))).collect();
        Self {
            visible: manifest.state().watermark,
            dead: Arc::new(dead),
            places,
            planted,
            stale: false,
            freeze_due: false,
            behind: Behind::default(),
            run_cache: RunCache::default(),
            costs,
            mapping,
        }
    }

    /// The memtable that is written to.
    pub(super) fn active(&self) -> Arc<Memtable> {
        Arc::clone(
            self.places
                .memtables
                .last()
                .expect("BUG: there is always an active memtable"),
        )
    }

    /// What readers see from now on.
    pub(super) fn version(&self) -> Arc<Version> {
        Arc::new(Version::new(
            Arc::clone(&self.places),
            Arc::clone(&self.dead),
            self.visible,
        ))
    }

    /// Control events of the memtables.
    pub(super) fn controls(&self) -> Vec<(Lsn, Bytes)> {
        let memtables = self.places.memtables.iter();
        memtables
            .flat_map(|memtable| memtable.pending().lock().controls.clone())
            .collect()
    }

    /// Marks a row of a segment dead for readers. Copies what a reader holds.
    pub(super) fn mark(&mut self, section: SectionId, row: u32) {
        let dead = Arc::make_mut(&mut self.dead);
        Arc::make_mut(dead.entry(section).or_default()).insert(row);
    }

    /// Marks many rows of a segment dead.
    pub(super) fn mark_all(&mut self, section: SectionId, rows: &RoaringBitmap) {
        if !rows.is_empty() {
            let dead = Arc::make_mut(&mut self.dead);
            *Arc::make_mut(dead.entry(section).or_default()) |= rows;
        }
    }

    /// Replaces the marks that waiting memtables hold against a section that moved, and says which
    /// rows of the new sections they are.
    pub(super) fn remap_pending(
        &mut self,
        from: SectionId,
        moved: &dyn Fn(u32) -> Option<(SectionId, u32)>,
    ) {
        for memtable in &self.places.memtables {
            let mut pending = memtable.pending().lock();
            let Some(rows) = pending.marks.remove(&from) else {
                continue;
            };
            for (section, row) in rows.iter().filter_map(moved) {
                pending.marks.entry(section).or_default().insert(row);
            }
        }
    }
}
