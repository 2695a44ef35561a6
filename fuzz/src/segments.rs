//! Segments to begin with, for targets over what stands in one.

use std::sync::Arc;

use bytes::Bytes;
use obsrv_engine::body::Content;
use obsrv_engine::boundary::{LocalStore, Store};
use obsrv_engine::doc::DocWriter;
use obsrv_engine::row::{ProjectId, RowKey, Stamp, Table};
use obsrv_engine::segment::{RowInput, SectionInput, SegmentOptions, write};
use obsrv_wal::io::{FileId, FileKind};
use obsrv_wal::sim::SimDisk;

pub const DATABASE: [u8; 16] = [5; 16];
/// The one segment.
pub const FILE: FileId = FileId::new(FileKind::Segment, 1);

/// Trace and id of a row: ten of each trace.
pub fn key(n: u32) -> (String, String) {
    (format!("t{}", n / 10), format!("s{n}"))
}

/// A row that came with one event.
pub fn row(n: u32, doc: DocWriter) -> RowInput {
    let (trace_id, id) = key(n);
    let start_ns = i64::from(n) * 1_000;
    RowInput {
        key: RowKey {
            trace_id: trace_id.into(),
            id: id.into(),
        },
        start_ns,
        end_ns: Some(start_ns + 5),
        lsn_first: 1,
        lsn_last: 1,
        content: Content::Complete {
            stamp: Stamp {
                version: 1,
                hash: u64::from(n),
            },
            doc: Bytes::from(doc.finish()),
            cost: None,
        },
    }
}

/// Spans of a project.
pub fn section(project: u64, rows: impl Iterator<Item = RowInput>) -> SectionInput {
    SectionInput {
        project: ProjectId(project),
        table: Table::Spans,
        rows: rows.collect(),
    }
}

/// A disk with a segment of these sections.
pub fn written(sections: Vec<SectionInput>) -> (SimDisk, Arc<dyn Store>) {
    let sim = SimDisk::new(1);
    let store = LocalStore::over(&sim.handle());
    let options = SegmentOptions::default();
    write(&store, FILE.number, DATABASE, sections, &options).expect("writes");
    (sim, store)
}
