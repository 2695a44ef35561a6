//! A damaged segment opens and reads to what was written, or says that it is damaged.

use std::sync::OnceLock;

use obsrv_engine::boundary::LocalStore;
use obsrv_engine::doc::DocWriter;
use obsrv_engine::row::{ProjectId, Table};
use obsrv_engine::segment::{RowInput, Segment};
use obsrv_wal::sim::SimDisk;

use super::segments::{self, DATABASE, FILE};

/// What a disk holds: rows of two projects, and how long their bodies are.
struct Shape {
    rows: [u32; 2],
    filler: usize,
}

/// Above the size at which a section gets bitmaps and a trace index.
const LARGE: Shape = Shape {
    rows: [4_200, 40],
    filler: 0,
};
/// Above the size at which bodies stand in blocks of their own, and a section of whole rows.
const SMALL: Shape = Shape {
    rows: [260, 12],
    filler: 300,
};

fn row(n: u32, shape: &Shape) -> RowInput {
    let mut doc = DocWriter::new();
    let map = doc.begin_map();
    doc.key("name");
    doc.str(&format!("step {}", n % 7));
    doc.key("n");
    doc.i64(i64::from(n));
    doc.key("text");
    doc.str(&"filler ".repeat(shape.filler / 7));
    doc.end(map);
    segments::row(n, doc)
}

fn written(shape: &Shape) -> SimDisk {
    let rows = |section: usize| (0..shape.rows[section]).map(|n| row(n, shape));
    let sections = vec![segments::section(1, rows(0)), segments::section(2, rows(1))];
    segments::written(sections).0
}

/// A disk with one segment of two sections. One in sixteen is large: those take a hundred times as long.
fn disk_of(choice: u8) -> (&'static SimDisk, &'static Shape) {
    static DISKS: [OnceLock<SimDisk>; 2] = [OnceLock::new(), OnceLock::new()];
    let (disk, shape) = if choice & 0xf == 0xf {
        (&DISKS[0], &LARGE)
    } else {
        (&DISKS[1], &SMALL)
    };
    (disk.get_or_init(|| written(shape)), shape)
}

/// One execution.
pub fn run(bytes: &[u8]) {
    let Some((&choice, bytes)) = bytes.split_first() else {
        return;
    };
    let (disk, shape) = disk_of(choice);
    let sim = disk.fork(1);
    let disk = sim.handle();
    let len = u64::try_from(sim.peek(FILE).expect("a file").len()).expect("small");
    for chunk in bytes.chunks_exact(5).take(8) {
        let at = u64::from(u32::from_le_bytes([chunk[0], chunk[1], chunk[2], 0]));
        // Half of the damage goes where everything else hangs: the end.
        let offset = if chunk[3] & 1 == 0 {
            at % len
        } else {
            len - 1 - at % len.min(2_000)
        };
        sim.flip(FILE, offset, chunk[4]);
    }
    let Ok(segment) = Segment::open(&LocalStore::over(&disk), FILE.number, DATABASE) else {
        return;
    };
    let _ = segment.verify();
    for (project, rows) in [(1, shape.rows[0]), (2, shape.rows[1])] {
        let Some(section) = segment.section(ProjectId(project), Table::Spans) else {
            continue;
        };
        for n in [0, 17, rows - 1] {
            let (trace, id) = segments::key(n);
            let Ok(Some(at)) = section.find(&trace, &id) else {
                continue;
            };
            if let Ok(found) = section.row(at) {
                assert_eq!(
                    found.key,
                    row(n, shape).key,
                    "find answered with another row"
                );
                assert_eq!(
                    found.content.body(),
                    row(n, shape).content.body(),
                    "a damaged body was read"
                );
            }
        }
    }
}
