//! A damaged segment opens and reads to what was written, or says that it is damaged.
#![no_main]

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use obsrv_engine::body::Content;
use obsrv_engine::boundary::LocalStore;
use obsrv_engine::doc::DocWriter;
use obsrv_engine::row::{ProjectId, RowKey, Stamp, Table};
use obsrv_engine::segment::{RowInput, SectionInput, Segment, SegmentOptions, write};
use obsrv_wal::io::{Disk, FileId, FileKind};
use obsrv_wal::sim::SimDisk;

const DATABASE: [u8; 16] = [5; 16];
/// Above the size at which a section gets bitmaps and a trace index.
const ROWS: u32 = 4_200;

fn row(n: u32) -> RowInput {
    let mut doc = DocWriter::new();
    let map = doc.begin_map();
    doc.key("name");
    doc.str(&format!("step {}", n % 7));
    doc.key("n");
    doc.i64(i64::from(n));
    doc.end(map);
    let stamp = Stamp { version: 1, hash: u64::from(n) };
    RowInput {
        key: RowKey { trace_id: format!("t{}", n / 10).into(), id: format!("s{n}").into() },
        start_ns: i64::from(n) * 1_000,
        end_ns: Some(i64::from(n) * 1_000 + 5),
        lsn_first: 1,
        lsn_last: 1,
        content: Content::Complete { stamp, doc: Bytes::from(doc.finish()) },
    }
}

/// A disk with one segment of a large and a small section.
fn written() -> &'static SimDisk {
    static DISK: OnceLock<SimDisk> = OnceLock::new();
    DISK.get_or_init(|| {
        let sim = SimDisk::new(1);
        let disk: Arc<dyn Disk> = sim.handle();
        let section = |project, rows: u32| SectionInput {
            project: ProjectId(project),
            table: Table::Spans,
            rows: (0..rows).map(row).collect(),
        };
        let sections = vec![section(1, ROWS), section(2, 40)];
        write(&LocalStore::over(&disk), 1, DATABASE, sections, &SegmentOptions::default()).expect("writes");
        sim
    })
}

fuzz_target!(|bytes: &[u8]| {
    let sim = written().fork(1);
    let disk = sim.handle();
    let file = FileId::new(FileKind::Segment, 1);
    let len = u64::try_from(sim.peek(file).expect("a file").len()).expect("small");
    for chunk in bytes.chunks_exact(5).take(8) {
        let at = u64::from(u32::from_le_bytes([chunk[0], chunk[1], chunk[2], 0]));
        // Half of the damage goes where everything else hangs: the end.
        let offset = if chunk[3] & 1 == 0 { at % len } else { len - 1 - at % len.min(2_000) };
        sim.flip(file, offset, chunk[4]);
    }
    let Ok(segment) = Segment::open(&LocalStore::over(&disk), 1, DATABASE) else { return };
    let _ = segment.verify();
    for (project, rows) in [(1, ROWS), (2, 40)] {
        let Some(section) = segment.section(ProjectId(project), Table::Spans) else { continue };
        for n in [0, 17, rows - 1] {
            let (trace, id) = (format!("t{}", n / 10), format!("s{n}"));
            let Ok(Some(at)) = section.find(&trace, &id) else { continue };
            if let Ok(found) = section.row(at) {
                assert_eq!(found.key, row(n).key, "find answered with another row");
                assert_eq!(found.content.body(), row(n).content.body(), "a damaged body was read");
            }
        }
    }
});
