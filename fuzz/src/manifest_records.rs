//! Any record of a manifest is read or refused, and a repair finds in it what an open reads.

use std::sync::Arc;

use obsrv_engine::manifest::{self, Salvaged, SectionMeta, SegmentMeta, State};
use obsrv_engine::row::{ProjectId, Table};
use obsrv_wal::io::{Disk, FileId, FileKind};
use obsrv_wal::log::{Forged, ForgedFrame, scan_frames};
use obsrv_wal::sim::SimDisk;

use super::input::Input;

const DATABASE: [u8; 16] = [4; 16];
const FILE: FileId = FileId::new(FileKind::Manifest, 1);
const CHECKPOINT: u8 = 1;

/// A disk whose manifest has these records.
fn written(records: &[(u8, &[u8])]) -> (SimDisk, Arc<dyn Disk>) {
    let sim = SimDisk::new(1);
    let disk = sim.handle();
    let frames: Vec<ForgedFrame<'_>> = (1..)
        .zip(records)
        .map(|(lsn, &(kind, body))| ForgedFrame::sound((lsn, lsn - 1), kind, body))
        .collect();
    let forged = Forged::first(FILE, DATABASE, &frames);
    forged.put(&disk).expect("room");
    (sim, disk)
}

/// One execution: length and kind before each record. Whether all of them read.
pub fn run(bytes: &[u8]) -> bool {
    let mut input = Input(bytes);
    let mut records = Vec::new();
    while !input.0.is_empty() && records.len() < 8 {
        let kind = 1 + input.byte() % 3;
        let len = u16::from_le_bytes([input.byte(), input.byte()]);
        records.push((kind, input.take(usize::from(len))));
    }
    let (_sim, disk) = written(&records);
    let read = manifest::read(&disk, DATABASE);
    let salvaged = manifest::salvage(&disk, DATABASE).expect("the disk reads");
    let Ok((_, state)) = read else { return false };
    if records.first().is_some_and(|(kind, _)| *kind == CHECKPOINT) {
        let salvaged = salvaged.expect("what an open reads a repair finds");
        assert!(salvaged.is_whole, "a repair misses what an open reads");
        assert_eq!(salvaged.state, state, "a repair finds another state");
    }
    let again = checkpoint(&state);
    let (_sim, disk) = written(&[(CHECKPOINT, &again)]);
    let (_, reread) = manifest::read(&disk, DATABASE).expect("a checkpoint reads");
    assert_eq!(reread, state, "a state reads as another");
    true
}

/// The bytes of a checkpoint.
fn checkpoint(state: &State) -> Vec<u8> {
    let sim = SimDisk::new(1);
    let disk = sim.handle();
    let salvaged = Salvaged {
        state: state.clone(),
        last: 0,
        is_whole: true,
    };
    manifest::replace(&disk, DATABASE, &salvaged).expect("room");
    let mut body = Vec::new();
    scan_frames(&disk, FILE, DATABASE, &mut |frame| {
        if frame.kind == CHECKPOINT {
            body = frame.body.to_vec();
        }
    })
    .expect("it reads");
    body
}

fn state() -> State {
    let section = |table| SectionMeta {
        project: ProjectId(3),
        table,
        rows: 70_000,
        start_min: -1,
        start_max: 1 << 60,
    };
    let meta = SegmentMeta {
        level: 1,
        bytes: 77_000,
        sections: vec![section(Table::Runs), section(Table::Spans)],
    };
    let many = (0..300).map(|n| n * 3);
    let dead = [
        ((4, ProjectId(3), Table::Runs), [1, 5].into_iter().collect()),
        (
            (4, ProjectId(3), Table::Spans),
            many.chain(65_536..65_600).collect(),
        ),
    ];
    State {
        segments: [(4, meta.clone()), (5, meta)].into(),
        dead: dead.into(),
        watermark: 300,
        next_number: 6,
        controls: vec![(6, b"event".as_slice().into())],
        // One byte, see `seeds`.
        logged: 250,
    }
}

/// Checkpoints, and edits: a state, and the segments that cease.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut small = state();
    small.dead.retain(|(_, _, table), _| *table == Table::Runs);
    let empty = checkpoint(&State::default());
    let (small, large) = (checkpoint(&small), checkpoint(&state()));
    let record = |kind: u8, body: &[u8]| {
        let len = u16::try_from(body.len()).unwrap_or(u16::MAX).to_le_bytes();
        [&[kind - 1][..], &len[..], body].concat()
    };
    // How far the log goes is the last byte of each.
    let edit = |state: &[u8]| {
        let (said, logged) = state.split_at(state.len() - 1);
        record(2, &[said, &[2, 1, 4], logged].concat())
    };
    vec![
        record(1, &empty),
        record(1, &large),
        [record(1, &small), edit(&empty), edit(&small)].concat(),
        edit(&small),
    ]
}
