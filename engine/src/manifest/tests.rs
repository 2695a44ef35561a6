use obsrv_wal::io::FileId;
use obsrv_wal::log::{Forged, ForgedFrame, scan_file, scan_frames};
use obsrv_wal::sim::{Fault, FaultPlan, Op, SimDisk};

use super::*;

const DATABASE: [u8; 16] = [7; 16];

fn open(disk: &SimDisk) -> Manifest {
    open_in(disk, 4096)
}

/// Opens it in files of so many bytes.
fn open_in(disk: &SimDisk, file_bytes: u64) -> Manifest {
    let planted = Planted::default();
    Manifest::open(&disk.handle(), DATABASE, 1, file_bytes, planted).unwrap()
}

fn meta(rows: u32) -> SegmentMeta {
    let section = SectionMeta {
        project: ProjectId(1),
        table: Table::Spans,
        rows,
        start_min: 1,
        start_max: 2,
    };
    SegmentMeta {
        level: 0,
        bytes: 100,
        sections: vec![section],
    }
}

/// Of which so many rows of segment 1 are dead.
fn marks(rows: &[u32]) -> Marks {
    let section = (1, ProjectId(1), Table::Spans);
    [(section, rows.iter().copied().collect())].into()
}

/// Adds the segment of this number; its record has no other effect.
fn adding(number: u64) -> Edit {
    Edit {
        add: vec![(number, meta(9))],
        remove: Vec::new(),
        dead: Marks::new(),
        watermark: number,
        next_number: number + 1,
        controls: Vec::new(),
        logged: number,
    }
}

fn numbers(state: &State) -> Vec<u64> {
    state.segments.keys().copied().collect()
}

fn reopened(disk: &SimDisk) -> State {
    disk.crash();
    disk.restart();
    read(&disk.handle(), DATABASE).unwrap().1
}

/// Damages the frame of a record, wherever it is.
fn damage(disk: &SimDisk, lsn: Lsn) {
    for file in disk.names() {
        let mut at = None;
        scan_frames(&disk.handle(), file, DATABASE, &mut |frame| {
            if (frame.lsn, frame.kind != 0) == (lsn, true) {
                at = Some(frame.offset);
            }
        })
        .unwrap();
        if let Some(offset) = at {
            disk.flip(file, offset + 45, 1);
        }
    }
}

fn zero(disk: &SimDisk, file: FileId) {
    let len = disk.peek(file).unwrap().len();
    disk.overwrite(file, 0, &vec![0; len]);
}

/// Two generations: a checkpoint (record 1), segments 1 and 2 (records 2 and 3); and another checkpoint (record 4) with
/// so many edits behind it (from record 5), segments 3 and on.
fn two_generations(edits: u64) -> SimDisk {
    let disk = SimDisk::new(1);
    let mut manifest = open(&disk);
    manifest.commit(&adding(1)).unwrap();
    manifest.commit(&adding(2)).unwrap();
    let mut manifest = open(&disk);
    for number in 3..3 + edits {
        manifest.commit(&adding(number)).unwrap();
    }
    assert_eq!(disk.names().len(), 2);
    disk
}

fn salvaged(disk: &SimDisk) -> Salvaged {
    salvage(&disk.handle(), DATABASE).unwrap().unwrap()
}

/// What is certain, whether that is all, and the last record there was.
fn found(disk: &SimDisk) -> (Vec<u64>, bool, Lsn) {
    let salvaged = salvaged(disk);
    (numbers(&salvaged.state), salvaged.is_whole, salvaged.last)
}

#[test]
fn an_edit_changes_what_it_says_and_nothing_else() {
    let mut state = State::default();
    state.apply(&Edit {
        dead: marks(&[1, 2]),
        controls: vec![(3, Bytes::from_static(b"a"))],
        ..adding(1)
    });
    state.apply(&adding(2));
    assert_eq!((numbers(&state), state.dead_rows()), (vec![1, 2], 2));
    // A row that was dead stays so, whoever says it again.
    state.apply(&Edit {
        add: Vec::new(),
        dead: marks(&[2, 3, 4]),
        controls: vec![(5, Bytes::from_static(b"b"))],
        ..adding(1)
    });
    assert_eq!(state.dead, marks(&[1, 2, 3, 4]));
    assert_eq!(state.dead_rows(), 4);
    // Neither goes back.
    assert_eq!((state.watermark, state.next_number), (2, 3));
    let lsns: Vec<Lsn> = state.controls.iter().map(|(lsn, _)| *lsn).collect();
    assert_eq!(lsns, [3, 5]);
    state.apply(&Edit {
        remove: vec![2],
        ..adding(3)
    });
    assert_eq!((numbers(&state), state.dead_rows()), (vec![1, 3], 4));
    state.apply(&Edit {
        remove: vec![1],
        ..adding(4)
    });
    assert_eq!((numbers(&state), state.dead_rows()), (vec![3, 4], 0));
}

#[test]
fn edits_are_durable_when_they_are_committed_and_a_checkpoint_comes_after_so_many() {
    let disk = SimDisk::new(1);
    let mut manifest = open(&disk);
    let bases = |disk: &SimDisk| {
        let base = |file: &FileId| {
            let scan = scan_file(&disk.handle(), *file, DATABASE, &mut |_| {});
            scan.unwrap().reset.then_some(file.number)
        };
        disk.names().iter().filter_map(base).collect::<Vec<_>>()
    };
    assert_eq!(bases(&disk), [1]);
    for number in 1..u64::from(EDITS_PER_CHECKPOINT) {
        manifest.commit(&adding(number)).unwrap();
    }
    assert_eq!(bases(&disk), [1], "one below the limit");
    manifest
        .commit(&adding(u64::from(EDITS_PER_CHECKPOINT)))
        .unwrap();
    let [_, second] = bases(&disk)[..] else {
        panic!("{:?}", bases(&disk));
    };
    // It begins to count again.
    manifest.commit(&adding(1_000)).unwrap();
    assert_eq!(bases(&disk), [1, second]);
    let state = manifest.state().clone();
    assert_eq!(numbers(&state).len(), 257);
    drop(manifest);
    assert_eq!(reopened(&disk), state);
}

#[test]
fn a_checkpoint_without_room_comes_with_the_next_edit() {
    let disk = SimDisk::new(1);
    let mut manifest = open_in(&disk, FILE_BYTES);
    for number in 1..u64::from(EDITS_PER_CHECKPOINT) {
        manifest.commit(&adding(number)).unwrap();
    }
    disk.set_plan(FaultPlan {
        odds: vec![(Op::Create, Fault::NoSpace, 1)],
        ..FaultPlan::default()
    });
    manifest.commit(&adding(300)).unwrap();
    disk.set_plan(FaultPlan::default());
    assert_eq!(manifest.edits, EDITS_PER_CHECKPOINT);
    manifest.commit(&adding(301)).unwrap();
    assert_eq!(manifest.edits, 0);
    let state = manifest.state().clone();
    drop(manifest);
    assert_eq!(reopened(&disk), state);
}

#[test]
fn damage_to_a_witnessed_edit_is_no_torn_tail() {
    for is_witnessed in [false, true] {
        let disk = SimDisk::new(1);
        let mut manifest = open(&disk);
        let calls = disk.ops();
        manifest.witness(0).unwrap();
        assert_eq!(disk.ops(), calls, "the checkpoint is witnessed by its file");
        manifest.commit(&adding(1)).unwrap();
        if is_witnessed {
            manifest.witness(0).unwrap();
        }
        damage(&disk, 2);
        let state = read(&disk.handle(), DATABASE).map(|(_, state)| numbers(&state));
        if is_witnessed {
            assert!(matches!(state, Err(ManifestError::Recover(_))), "{state:?}");
        } else {
            assert!(state.unwrap().is_empty());
        }
    }
}

/// What is said of the log outlives edits that say less, checkpoints and opens, and is written once.
#[test]
fn how_far_the_log_goes_is_not_forgotten() {
    let disk = SimDisk::new(1);
    let mut manifest = open(&disk);
    let calls = disk.ops();
    manifest.witness(70).unwrap();
    assert_eq!(disk.ops() - calls, 2, "an edit");
    for logged in [70, 69, 70] {
        manifest.witness(logged).unwrap();
    }
    assert_eq!(disk.ops() - calls, 4, "which is witnessed, once");
    manifest.commit(&adding(3)).unwrap();
    assert_eq!(manifest.state().logged, 70);
    drop(manifest);
    assert_eq!(reopened(&disk).logged, 70);
    drop(open(&disk));
    assert_eq!(reopened(&disk).logged, 70);
    assert_eq!((reopened(&disk).watermark, found(&disk).1), (3, true));
}

#[test]
fn numbers_are_not_given_out_twice() {
    let disk = SimDisk::new(1);
    let (_, none) = read(&disk.handle(), DATABASE).unwrap();
    assert_eq!(none.next_number, 1, "0 is no number");
    let at_least = |next| {
        let planted = Planted::default();
        let manifest = Manifest::open(&disk.handle(), DATABASE, next, 4096, planted);
        manifest.unwrap().state().next_number
    };
    assert_eq!(at_least(1), 1);
    assert_eq!(at_least(50), 50);
    assert_eq!(at_least(7), 50, "as the one before said");
}

#[test]
fn a_record_that_is_none_is_refused_by_its_number() {
    let disk = SimDisk::new(1);
    let mut manifest = open(&disk);
    manifest.commit(&adding(1)).unwrap();
    manifest.log.append(9, &[b"x"]).unwrap();
    manifest.commit(&adding(2)).unwrap();
    let error = read(&disk.handle(), DATABASE).unwrap_err();
    let expected = matches!(
        error,
        ManifestError::Format {
            lsn: 3,
            source: FormatError::Kind(9)
        }
    );
    assert!(expected, "{error:?}");
}

#[test]
fn a_manifest_that_was_made_elsewhere_is_read() {
    let disk = SimDisk::new(1);
    let mut state = State {
        next_number: 4,
        ..State::default()
    };
    state.apply(&adding(3));
    Manifest::write_new(&disk.handle(), DATABASE, &state).unwrap();
    assert_eq!(reopened(&disk), state);
}

#[test]
fn all_that_reads_is_salvaged_whole() {
    let disk = two_generations(1);
    assert_eq!(found(&disk), (vec![1, 2, 3], true, 5));
    // What checkpoints say, the records before them say, too.
    damage(&disk, 4);
    assert_eq!(found(&disk), (vec![1, 2, 3], true, 5));
    let disk = two_generations(0);
    damage(&disk, 4);
    assert_eq!(
        found(&disk),
        (vec![1, 2], true, 4),
        "nothing but its header"
    );
    // Nor is a header needed for what frames say.
    let disk = two_generations(1);
    disk.flip(disk.names()[1], 20, 1);
    assert_eq!(found(&disk), (vec![1, 2, 3], true, 5));
}

#[test]
fn the_last_edit_is_salvaged_once() {
    let disk = SimDisk::new(1);
    let mut manifest = open(&disk);
    let controls = vec![(1, Bytes::from_static(b"key"))];
    let edit = Edit {
        controls,
        ..adding(1)
    };
    manifest.commit(&edit).unwrap();
    let state = manifest.state().clone();
    drop(manifest);
    assert_eq!(salvaged(&disk).state, state);
}

#[test]
fn where_an_edit_is_lost_what_came_before_is_certain() {
    let disk = two_generations(3);
    damage(&disk, 6);
    assert_eq!(found(&disk), (vec![1, 2, 3], false, 7));
    damage(&disk, 7);
    // Nothing says of either that it was there: a torn tail looks the same.
    assert_eq!(found(&disk), (vec![1, 2, 3], true, 5));
    let disk = two_generations(3);
    damage(&disk, 5);
    damage(&disk, 6);
    assert_eq!(found(&disk), (vec![1, 2], false, 7), "two in a row");
    // A checkpoint behind what is lost has it.
    let disk = two_generations(1);
    damage(&disk, 2);
    assert_eq!(found(&disk), (vec![1, 2, 3], true, 5));
}

#[test]
fn a_file_of_which_nothing_is_known_may_have_held_anything() {
    let disk = two_generations(1);
    let [first, second] = disk.names()[..] else {
        panic!("{:?}", disk.names());
    };
    zero(&disk, second);
    let (certain, is_whole, _) = found(&disk);
    assert_eq!((certain, is_whole), (vec![1, 2], false));
    zero(&disk, first);
    assert_eq!(salvage(&disk.handle(), DATABASE).unwrap(), None);
    // One that is gone and one that says nothing do not make up for one another.
    let disk = two_generations(1);
    disk.handle().remove(second).unwrap();
    let (certain, is_whole, _) = found(&disk);
    assert_eq!((certain, is_whole), (vec![1, 2], false));
    let disk = three_files();
    zero(&disk, disk.names()[0]);
    disk.handle().remove(disk.names()[2]).unwrap();
    let (certain, is_whole, _) = found(&disk);
    assert_eq!((certain, is_whole), (vec![1, 2], false));
    let disk = three_files();
    zero(&disk, disk.names()[1]);
    zero(&disk, disk.names()[2]);
    assert!(!salvaged(&disk).is_whole);
}

/// Three files of one generation and the one before it.
fn three_files() -> SimDisk {
    let disk = SimDisk::new(1);
    let mut manifest = open(&disk);
    manifest.commit(&adding(1)).unwrap();
    let mut manifest = open(&disk);
    manifest.commit(&adding(2)).unwrap();
    let mut edit = adding(2);
    edit.controls = vec![(1, Bytes::from(vec![1; 500]))];
    while disk.names().len() < 3 {
        manifest.commit(&edit).unwrap();
    }
    disk
}

#[test]
fn what_was_salvaged_takes_the_place_of_all_files() {
    let disk = two_generations(2);
    damage(&disk, 5);
    let salvaged = salvaged(&disk);
    replace(&disk.handle(), DATABASE, &salvaged).unwrap();
    assert_eq!(disk.names().len(), 1);
    disk.crash();
    disk.restart();
    let (recovered, state) = read(&disk.handle(), DATABASE).unwrap();
    assert_eq!(state, salvaged.state);
    // Numbers of records go on: that of a lost one is not used for another.
    assert_eq!(recovered.last_lsn(), salvaged.last + 1);
}

/// Every number up to it was looked at, one by one.
#[test]
fn a_last_record_far_away_costs_a_repair_no_time() {
    let state = State {
        next_number: 3,
        ..State::default()
    };
    let checkpoint = format::encode_state(&state);
    let far = 1 << 61;
    let frames = [
        ForgedFrame::sound((1, 0), KIND_CHECKPOINT, &checkpoint),
        ForgedFrame::sound((2, far), 0, b""),
    ];
    let file = FileId::new(FileKind::Manifest, 1);
    let sim = SimDisk::new(1);
    let forged = Forged::first(file, DATABASE, &frames);
    forged.put(&sim.handle()).unwrap();
    let salvaged = salvaged(&sim);
    assert_eq!((salvaged.state, salvaged.last), (state, far));
    assert!(!salvaged.is_whole, "what came after is lost");
}
