//! A section that says anything, with right checksums, answers every question or says that it is damaged.

use std::sync::{Arc, OnceLock};

use obsrv_engine::boundary::LocalStore;
use obsrv_engine::doc::DocWriter;
use obsrv_engine::segment::{RowInput, Segment, Template, ask};
use obsrv_wal::io::Disk;
use obsrv_wal::sim::SimDisk;

use super::input::Input;
use super::segments::{self, DATABASE, FILE};

/// What a section holds: how many rows, how long their bodies, how many keys of its own each has.
struct Shape {
    rows: u32,
    filler: usize,
    keys: u32,
}

/// Whole rows in one block; columns in one, beside bodies in others; a directory beside blocks of both; keys
/// that stand in pages beside the directory, since they are more than it lists.
const SHAPES: [Shape; 4] = [
    Shape {
        rows: 9,
        filler: 4,
        keys: 1,
    },
    Shape {
        rows: 40,
        filler: 2_000,
        keys: 1,
    },
    Shape {
        rows: 4_200,
        filler: 4,
        keys: 0,
    },
    Shape {
        rows: 40,
        filler: 2_000,
        keys: 40,
    },
];

fn row(n: u32, shape: &Shape) -> RowInput {
    let mut doc = DocWriter::new();
    let map = doc.begin_map();
    doc.key("name");
    doc.str(["step", "call"][usize::from(n.is_multiple_of(3))]);
    doc.key("n");
    doc.i64(i64::from(n) << (n % 40));
    for key in 0..shape.keys {
        doc.key(&format!("key {}", n * shape.keys + key));
        doc.f64(0.5);
    }
    doc.key("text");
    let words = (0..shape.filler).map(|word| ["filler", "other", "ü"][(word + n as usize) % 3]);
    doc.str(&words.collect::<Vec<_>>().join(" "));
    doc.end(map);
    let mut row = segments::row(n, doc);
    row.end_ns = row.end_ns.filter(|_| !n.is_multiple_of(5));
    row.lsn_last += u64::from(n);
    row
}

fn template(shape: &Shape) -> Template {
    let rows = (0..shape.rows).map(|n| row(n, shape));
    let (_sim, store) = segments::written(vec![segments::section(1, rows)]);
    Template::of(&store, FILE.number, DATABASE).expect("it was just written")
}

fn template_of(choice: u8) -> &'static Template {
    static MADE: [OnceLock<Template>; SHAPES.len()] = [const { OnceLock::new() }; SHAPES.len()];
    let at = usize::from(choice) % SHAPES.len();
    MADE[at].get_or_init(|| template(&SHAPES[at]))
}

/// Says that what follows is the block itself, and no changes to it.
const WHOLE: u8 = 0x40;
/// Says that the footer lies about the rows.
const OTHER_ROWS: u8 = 0x80;

/// The block with changes: where, what sort, which byte.
fn changed(block: &[u8], mut changes: Input<'_>) -> Vec<u8> {
    let mut block = block.to_vec();
    for _ in 0..16 {
        if changes.0.is_empty() {
            break;
        }
        let at = usize::from(u16::from_le_bytes([changes.byte(), changes.byte()]));
        let (sort, byte) = (changes.byte(), changes.byte());
        // Directories stand at the beginning, before columns.
        let at = at * (1 + usize::from(sort >> 4)) % (block.len() + 1);
        match sort % 4 {
            0 if at < block.len() => block[at] = byte,
            1 if at < block.len() => block[at] = block[at].wrapping_add(byte),
            2 => block.insert(at, byte),
            3 if at < block.len() => _ = block.remove(at),
            _ => block.push(byte),
        }
    }
    block
}

/// One execution; whether all of the section read.
pub fn run(bytes: &[u8]) -> bool {
    let mut input = Input(bytes);
    let choice = input.byte();
    let template = template_of(choice);
    let rows = (choice & OTHER_ROWS != 0).then(|| {
        let rows = input.near(40);
        u32::try_from(rows).unwrap_or(u32::MAX)
    });
    let block = if choice & WHOLE == 0 {
        changed(template.block(), input)
    } else {
        input.0.to_vec()
    };
    let sim = SimDisk::new(1);
    let disk: Arc<dyn Disk> = sim.handle();
    let file = disk.create(FILE).expect("a file");
    file.write_at(0, &template.with(rows, &block))
        .expect("room");
    disk.publish(FILE).expect("a name");
    let segment = Segment::open(&LocalStore::over(&disk), FILE.number, DATABASE);
    segment.is_ok_and(|segment| ask(&segment))
}

/// Every sort of section as it is, and every block that is small enough to be sent whole.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for choice in (0..).take(SHAPES.len()) {
        seeds.push(vec![choice]);
        let block = template_of(choice).block();
        if block.len() < 4_000 {
            seeds.push([&[choice | WHOLE][..], block].concat());
        }
    }
    seeds
}
