//! Damaged segments under a running engine: errors that name the block, answers that say what they
//! leave out, merges that leave what they cannot read, and repair.

use std::collections::BTreeMap;
use std::sync::Arc;

use obsrv_engine::engine::check::verify;
use obsrv_engine::engine::repair::{Repaired, repair};
use obsrv_engine::engine::{DAMAGED_BLOCKS_MAX, Engine, LeftOut, Snapshot};
use obsrv_engine::io::{Disk, FileId, FileKind};
use obsrv_engine::query::ast::Filter;
use obsrv_engine::query::{Budget, QueryError, Request};
use obsrv_engine::row::{ProjectId, Table};
use obsrv_engine::source::SourceError;
use obsrv_tests::sim::{Flaw, Outcome, Step, World};
use obsrv_wal::sim::SimDisk;

use crate::campaign::setting;

const BUDGET: Budget<'_> = Budget {
    rows_max: u64::MAX,
    bytes_max: u64::MAX,
    read_bytes_max: u64::MAX,
    cancelled: &|| false,
    processors: None,
    weigh: None,
};

/// Places of one file that are damaged.
const PLACES: usize = 500;
/// Parts that all bytes of these files are cut into by a campaign, each every so many bytes.
const PARTS: usize = 16;

/// Project, table, trace and id.
type Key = (u64, Table, String, String);

/// Every row and its content, as far as questions are answered.
fn rows_of(snapshot: &Snapshot) -> Result<BTreeMap<Key, Vec<u8>>, QueryError> {
    let mut rows = BTreeMap::new();
    for project in 1..=3 {
        for table in Table::ALL {
            let mut request = Request::new(Filter::All, 1_000);
            loop {
                let page = snapshot.search(ProjectId(project), table, &request, &BUDGET)?;
                for hit in page.hits {
                    let core = hit.core;
                    let key = (project, table, core.trace_id.into(), core.id.into());
                    let twice = rows.insert(key, hit.body.to_vec());
                    assert!(twice.is_none(), "a row is there twice");
                }
                request.after = page.next;
                if request.after.is_none() {
                    break;
                }
            }
        }
    }
    Ok(rows)
}

/// A machine of which all rows are in several segments, and those rows.
fn flushed(seed: u64, steps: u64) -> (World, BTreeMap<Key, Vec<u8>>) {
    flushed_with(seed, steps, Flaw::None)
}

fn flushed_with(seed: u64, steps: u64, flaw: Flaw) -> (World, BTreeMap<Key, Vec<u8>>) {
    let mut world = World::new(seed, flaw);
    world.open().unwrap();
    world.work(steps);
    world.step(Step::Freeze);
    while world.engine().unwrap().flush_step().unwrap() {}
    let rows = rows_of(&world.engine().unwrap().snapshot()).unwrap();
    world.kill();
    (world, rows)
}

fn files(world: &World, kind: FileKind) -> Vec<FileId> {
    let names = world.disk().names();
    names.into_iter().filter(|name| name.kind == kind).collect()
}

fn left_out_rows(left_out: &[LeftOut]) -> u64 {
    left_out.iter().map(|part| part.rows).sum()
}

#[test]
fn a_damaged_block_fails_the_question_by_name_or_is_left_out_and_said() {
    let (mut refused, mut partial) = (0, 0);
    for seed in 0..4 {
        let counts = damage_is_named_or_said(seed, Flaw::None);
        refused += counts.0;
        partial += counts.1;
    }
    assert!(refused > 50 && partial > 50, "{refused} {partial}");
}

/// How many questions failed and how many were answered in part.
pub(crate) fn damage_is_named_or_said(seed: u64, flaw: Flaw) -> (u64, u64) {
    let (mut refused, mut partial) = (0, 0);
    let (world, all) = flushed_with(seed, 120, flaw);
    for file in files(&world, FileKind::Segment) {
        let len = world.disk().peek(file).unwrap().len() as u64;
        for at in (36..len).step_by(83) {
            let mut victim = world.fork(at);
            victim.disk().flip(file, at, 0x20);
            // The list of sections: the open is refused, and named.
            if let Err(refusal) = victim.open() {
                assert!(refusal.contains(&file.to_string()), "{refusal}");
                continue;
            }
            let engine = victim.engine().unwrap();
            match rows_of(&engine.snapshot()) {
                Ok(rows) => assert!(rows == all, "{file} {at}"),
                Err(QueryError::Source(SourceError::Damaged {
                    file: name, part, ..
                })) => {
                    refused += 1;
                    assert_eq!(name, file.to_string());
                    assert!(part.starts_with("project "), "{part}");
                }
                Err(other) => panic!("{other}"),
            }
            let snapshot = engine.snapshot().allowing_partial();
            let rows = rows_of(&snapshot).unwrap();
            let left_out = snapshot.left_out();
            assert!(rows.iter().all(|(key, row)| all.get(key) == Some(row)));
            let missing = (all.len() - rows.len()) as u64;
            assert_eq!(
                missing,
                left_out_rows(&left_out),
                "{file} {at}: {left_out:?}"
            );
            partial += u64::from(missing > 0);
            assert!(left_out.iter().all(|part| part.file == file.to_string()));
        }
    }
    (refused, partial)
}

#[test]
fn as_many_damaged_blocks_as_the_limit_are_left_out_and_one_more_is_refused() {
    let mut world = World::new(5, Flaw::None);
    world.open().unwrap();
    let engine = Arc::clone(world.engine().unwrap());
    for n in 0..=DAMAGED_BLOCKS_MAX {
        let body = format!("span|t{n}|s|1||1|2|k1=1\nscore|marks|m{n}|1||1||");
        world.store(1, &body).unwrap().unwrap();
        engine.freeze();
        while engine.flush_step().unwrap() {}
    }
    drop(engine);
    world.kill();
    let segments = files(&world, FileKind::Segment);
    assert_eq!(segments.len(), DAMAGED_BLOCKS_MAX + 1);
    for damaged in [DAMAGED_BLOCKS_MAX, DAMAGED_BLOCKS_MAX + 1] {
        let mut victim = world.fork(1);
        // The first block of each is one of the same table.
        for file in &segments[..damaged] {
            victim.disk().flip(*file, 40, 1);
        }
        victim.open().unwrap();
        let engine = victim.engine().unwrap();
        let (mut left_out, mut refused) = (0, 0);
        for table in Table::ALL {
            let snapshot = engine.snapshot().allowing_partial();
            let request = Request::new(Filter::All, 1_000);
            match snapshot.search(ProjectId(1), table, &request, &BUDGET) {
                Ok(_) => left_out += snapshot.left_out().len(),
                Err(QueryError::Source(SourceError::Damaged { .. })) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        let over = usize::from(damaged > DAMAGED_BLOCKS_MAX);
        assert_eq!(refused, over, "{damaged}");
        assert_eq!(left_out, damaged * (1 - over), "{damaged}");
    }
}

#[test]
fn writes_over_damaged_blocks_go_on_and_so_does_the_next_open() {
    let mut lost = 0;
    for seed in 0..4 {
        let (world, _) = flushed(seed, 120);
        for file in files(&world, FileKind::Segment) {
            let len = world.disk().peek(file).unwrap().len() as u64;
            for at in (36..len).step_by(257) {
                let mut victim = world.fork(at);
                victim.disk().flip(file, at, 0x20);
                if victim.open().is_err() {
                    continue;
                }
                for life in 0..2 {
                    let done = victim.work(60);
                    let engine = victim.engine().unwrap();
                    let why = engine.failure();
                    assert_eq!(done, Outcome::Done, "{file} {at} life={life}: {why:?}");
                    lost += engine.stats().lost;
                    rows_of(&engine.snapshot().allowing_partial()).unwrap();
                    victim.kill();
                    victim.open().unwrap();
                }
            }
        }
    }
    assert!(lost > 100, "{lost}");
}

#[test]
fn a_partial_answer_over_sound_segments_leaves_nothing_out() {
    let (mut world, all) = flushed(3, 80);
    world.open().unwrap();
    let snapshot = world.engine().unwrap().snapshot().allowing_partial();
    assert_eq!(rows_of(&snapshot).unwrap(), all);
    assert_eq!(snapshot.left_out(), []);
}

fn merge_all(engine: &Engine) -> u64 {
    let mut failed = 0;
    for _ in 0..40 {
        match engine.compact_step() {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => failed += 1,
        }
    }
    failed
}

#[test]
fn a_merge_leaves_a_damaged_segment_where_it_is_and_merges_the_others() {
    let mut tried = 0;
    for seed in 0..12 {
        let (world, all) = flushed(seed, 150);
        for file in files(&world, FileKind::Segment) {
            let mut victim = world.fork(seed);
            // The first block of the first section.
            victim.disk().flip(file, 40, 1);
            victim.open().unwrap();
            let engine = Arc::clone(victim.engine().unwrap());
            let failed = merge_all(&engine);
            assert!(failed <= 1, "the merge was tried {failed} times");
            tried += failed;
            if failed > 0 {
                assert!(victim.disk().peek(file).is_some(), "{file} is gone");
                let damaged = engine.damaged();
                assert_eq!(damaged.first().map(|d| d.0), Some(file.number));
                assert_eq!(engine.stats().damaged_segments, 1);
            }
            let snapshot = engine.snapshot().allowing_partial();
            let rows = rows_of(&snapshot).unwrap();
            let missing = (all.len() - rows.len()) as u64;
            assert_eq!(missing, left_out_rows(&snapshot.left_out()));
            assert!(rows.iter().all(|(key, row)| all.get(key) == Some(row)));
        }
    }
    assert!(tried > 5, "{tried}");
}

/// Repairs, first without changing anything. Verify is clean afterwards.
fn repaired(world: &World, what: &str) -> (Repaired, SimDisk) {
    let disk: Arc<dyn Disk> = world.disk().handle();
    let bytes = |disk: &SimDisk| -> BTreeMap<FileId, Option<Vec<u8>>> {
        let names = disk.names().into_iter();
        names.map(|name| (name, disk.peek(name))).collect()
    };
    let before = bytes(world.disk());
    let plan = repair(&disk, None).unwrap();
    assert!(
        before == bytes(world.disk()),
        "{what}: a dry run changed a file"
    );
    let aside = SimDisk::new(1);
    let keep: Arc<dyn Disk> = aside.handle();
    let done = repair(&disk, Some(&keep)).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(plan, done, "{what}: the dry run said something else");
    let after = bytes(world.disk());
    for (name, old) in &before {
        let kept = after.get(name) == Some(old) || aside.peek(*name) == *old;
        assert!(kept, "{what}: the original of {name} is gone");
    }
    if done.left.is_empty() {
        let checked = verify(&disk).unwrap();
        assert_eq!(checked.findings, Vec::<String>::new(), "{what}: {done:?}");
        let again = repair(&disk, None).unwrap();
        assert_eq!(again, Repaired::default(), "{what}");
    }
    (done, aside)
}

fn lost_rows(done: &Repaired) -> u64 {
    let number = |line: &String| {
        if let Some((_, rest)) = line.split_once(" rows, ") {
            return rest.split(' ').next()?.parse::<u64>().ok();
        }
        let (_, rest) = line.split_once(", all ")?;
        rest.split(' ').next()?.parse().ok()
    };
    done.lost.iter().filter_map(number).sum()
}

#[test]
fn repair_keeps_every_row_that_reads_and_counts_the_others() {
    let (mut some, mut dead) = (0, 0);
    for seed in 0..4 {
        let (world, all) = flushed(seed, 100);
        for file in files(&world, FileKind::Segment) {
            let len = world.disk().peek(file).unwrap().len() as u64;
            for at in (0..len).step_by(67) {
                let mut victim = world.fork(at);
                victim.disk().flip(file, at, 1 << (at % 8));
                let what = format!("seed {seed} {file} {at}");
                let (done, _) = repaired(&victim, &what);
                assert!(!done.found.is_empty(), "{what}");
                // The version in the trailer: what it says may be true.
                if !done.left.is_empty() {
                    assert!(
                        done.left[0].contains("of another version"),
                        "{what}: {done:?}"
                    );
                    assert!(at + 12 >= len, "{what}");
                    continue;
                }
                assert_eq!(victim.open().unwrap(), Outcome::Done);
                let rows = rows_of(&victim.engine().unwrap().snapshot()).unwrap();
                assert!(
                    rows.iter().all(|(key, row)| all.get(key) == Some(row)),
                    "{what}"
                );
                let missing = (all.len() - rows.len()) as u64;
                let lost = lost_rows(&done);
                // A segment of which nothing reads is counted with its dead rows.
                assert!(
                    missing <= lost,
                    "{what}: {missing} missing, {:?}",
                    done.lost
                );
                if !done.lost.iter().any(|line| line.contains(", all ")) {
                    assert_eq!(missing, lost, "{what}: {:?}", done.lost);
                    some += u64::from(lost > 0 && !rows.is_empty());
                }
                dead += victim.engine().unwrap().stats().dead_rows;
                // Goes on, and merges again.
                let engine = Arc::clone(victim.engine().unwrap());
                assert_eq!(merge_all(&engine), 0, "{what}");
                assert_eq!(rows_of(&engine.snapshot()).unwrap(), rows, "{what}");
            }
        }
    }
    assert!(some > 20 && dead > 0, "{some} {dead}");
}

/// A machine whose log has five records, the fourth with a side file, and a quarantined record's file.
fn five() -> World {
    let mut world = World::new(5, Flaw::None);
    world.open().unwrap();
    for n in 0..5 {
        let text = if n == 3 {
            "x".repeat(1_600)
        } else {
            String::new()
        };
        let body = format!("span|t|s{n}|1||1|2|k1={n},text=a{text}\nscore|marks|m{n}|1||{n}||");
        world.store(1, &body).unwrap().unwrap();
    }
    world.step(Step::Witness);
    world.kill();
    assert_eq!(files(&world, FileKind::Side).len(), 1);
    world
}

/// Rows after a repair, held against all that there were and what it says of those that are lost.
fn check_rows(
    rows: &BTreeMap<Key, Vec<u8>>,
    all: &BTreeMap<Key, Vec<u8>>,
    done: &Repaired,
    what: &str,
) {
    let unknown = done.lost.iter().any(|line| line.contains("from lsn="));
    // Of a row that was dead already nobody misses anything.
    let none_missed = done
        .lost
        .iter()
        .all(|line| line.contains(" 0 of them live"));
    if unknown {
        assert!(rows.len() <= all.len(), "{what}: {done:?}");
    } else if none_missed {
        assert!(rows == all, "{what}: {done:?}");
    } else {
        assert!(rows.len() < all.len(), "{what}: {done:?}");
    }
    assert!(rows.keys().all(|key| all.contains_key(key)), "{what}");
}

#[test]
fn every_byte_of_every_kind_of_file_is_found_or_harmless_and_repair_makes_it_sound() {
    // A sample of the places and lengths, or all those of one part in so many, then of another life.
    let part = setting("OBSRV_DAMAGE_PART", 0).checked_sub(1);
    let (segments, _) = flushed(2 + part.map_or(0, |part| part / PARTS as u64), 30);
    let mut counts = BTreeMap::new();
    for world in [&segments, &five()] {
        let all = {
            let mut sound = world.fork(0);
            sound.open().unwrap();
            rows_of(&sound.engine().unwrap().snapshot()).unwrap()
        };
        let mut smallest: BTreeMap<FileKind, (usize, FileId)> = BTreeMap::new();
        for name in world.disk().names() {
            let bytes = world.disk().peek(name).unwrap();
            let used = bytes
                .iter()
                .rposition(|b| *b != 0)
                .map_or(0, |last| last + 1);
            let this = (used, name);
            let least = smallest.entry(name.kind).or_insert(this);
            *least = (*least).min(this);
        }
        for (kind, (used, file)) in smallest {
            let (first, step) = part.map_or((0, used.div_ceil(PLACES)), |part| {
                (part % PARTS as u64, PARTS)
            });
            for at in (first..used as u64).step_by(step) {
                for (damage, every) in [("flip", 1), ("invert", 5), ("zero", 5), ("cut", 13)] {
                    if part.is_none() && !(at / step as u64).is_multiple_of(every) {
                        continue;
                    }
                    let what = format!("{file} {damage} {at}");
                    let mut victim = world.fork(at);
                    let disk = victim.disk();
                    match damage {
                        "flip" => disk.flip(file, at, 1 << (at % 8)),
                        "invert" => disk.flip(file, at, 0xff),
                        "zero" => disk.overwrite(file, at, &[0]),
                        _ => disk.truncate(file, at),
                    }
                    let handle: Arc<dyn Disk> = disk.handle();
                    let found = verify(&handle).map_or(true, |c| !c.findings.is_empty());
                    let (done, _) = repaired(&victim, &what);
                    assert_eq!(found, !done.found.is_empty(), "{what}: {done:?}");
                    let (cases, hits) = counts.entry(kind).or_insert((0u64, 0u64));
                    *cases += 1;
                    *hits += u64::from(found);
                    if !done.left.is_empty() {
                        let version = done.left[0].contains("of another version");
                        assert!(kind == FileKind::Manifest || version, "{what}: {done:?}");
                        assert!(victim.open().is_err(), "{what}");
                        continue;
                    }
                    let opened = victim.open();
                    assert_eq!(opened, Ok(Outcome::Done), "{what}: {done:?}");
                    let rows = rows_of(&victim.engine().unwrap().snapshot()).unwrap();
                    check_rows(&rows, &all, &done, &what);
                }
            }
        }
    }
    let sum: u64 = counts.values().map(|(cases, _)| cases).sum();
    println!("kind of file: damages, found: {counts:?}, damages in all: {sum}");
    assert!(counts.len() >= 5 && counts.values().all(|(_, hits)| *hits > 0));
}

/// A machine with two generations of the manifest, whose newer one has edits if `has_edits`.
fn two_manifests(seed: u64, has_edits: bool) -> (World, BTreeMap<Key, Vec<u8>>, FileId) {
    let (mut world, _) = flushed(seed, 60);
    world.open().unwrap();
    if has_edits {
        world.work(40);
    }
    world.step(Step::Witness);
    let rows = rows_of(&world.engine().unwrap().snapshot()).unwrap();
    world.kill();
    let manifests = files(&world, FileKind::Manifest);
    assert_eq!(manifests.len(), 2);
    (world, rows, manifests[1])
}

#[test]
fn a_damaged_manifest_is_made_again_from_the_one_before_or_left_to_a_backup() {
    let mut counts = [[0; 2]; 2];
    for (seed, has_edits) in [(1, false), (2, true), (3, true)] {
        let (world, all, newest) = two_manifests(seed, has_edits);
        let bytes = world.disk().peek(newest).unwrap();
        let used = bytes.iter().rposition(|b| *b != 0).unwrap() as u64;
        let step = used.div_ceil(PLACES as u64 / 2);
        // One place after the other, the sector that everything begins in, and the whole file.
        for at in (0..used)
            .step_by(usize::try_from(step).unwrap())
            .chain([used, used + 1])
        {
            let mut victim = world.fork(at);
            match at - used.min(at) {
                0 if at < used => victim.disk().flip(newest, at, 1 << (at % 8)),
                0 => victim.disk().overwrite(newest, 0, &[0; 512]),
                _ => victim.disk().handle().remove(newest).unwrap(),
            }
            let what = format!("seed {seed} {newest} {at} of {used}");
            if let Err(refused) = victim.open() {
                let named = refused.contains(&newest.to_string());
                assert!(named, "{what}: {refused}");
            } else {
                // The watermark at the end, and bytes between frames.
                let rows = rows_of(&victim.engine().unwrap().snapshot()).unwrap();
                assert!(rows == all, "{what}");
                continue;
            }
            // A refused open changes nothing.
            victim.kill();
            let (done, _) = repaired(&victim, &what);
            // What the header says of its version may be true.
            if done
                .left
                .iter()
                .any(|line| line.contains("of another version"))
            {
                continue;
            }
            counts[usize::from(has_edits)][usize::from(done.left.is_empty())] += 1;
            if !done.left.is_empty() {
                continue;
            }
            assert_eq!(done.lost, Vec::<String>::new(), "{what}");
            assert_eq!(victim.open(), Ok(Outcome::Done), "{what}: {done:?}");
            let rows = rows_of(&victim.engine().unwrap().snapshot()).unwrap();
            assert!(rows == all, "{what}: {done:?}");
            victim
                .check()
                .unwrap_or_else(|found| panic!("{what}: {found}"));
        }
    }
    println!(
        "left, made again: checkpoint alone {:?}, with edits {:?}",
        counts[0], counts[1]
    );
    assert_eq!(counts[0][0], 0, "the one before has all of a checkpoint");
    assert!(counts[1].iter().all(|count| *count > 10), "{counts:?}");
}

#[test]
fn a_lost_record_of_the_log_leaves_the_others_where_they_were() {
    let world = five();
    let log = *files(&world, FileKind::Wal).last().unwrap();
    let bytes = world.disk().peek(log).unwrap();
    let needle = b"|m1|";
    let at = bytes.windows(4).position(|part| part == needle).unwrap() as u64;
    let mut victim = world.fork(1);
    victim.disk().flip(log, at, 1);
    assert!(victim.open().is_err());
    let (done, aside) = repaired(&victim, "record 2");
    assert_eq!(done.lost, ["records lsn=2 to lsn=2"]);
    let mut damaged = bytes.clone();
    damaged[usize::try_from(at).unwrap()] ^= 1;
    assert_eq!(aside.peek(log), Some(damaged));
    victim.open().unwrap();
    let engine = victim.engine().unwrap();
    let trace = engine.snapshot().trace(ProjectId(1), "t").unwrap();
    let ids: Vec<&str> = trace.spans.iter().map(|row| &*row.core.id).collect();
    assert_eq!(ids, ["s0", "s2", "s3", "s4"]);
    assert_eq!(engine.snapshot().lsn(), 5);
    let lsns: Vec<u64> = trace.spans.iter().map(|row| row.core.lsn_first).collect();
    assert_eq!(lsns, [1, 3, 4, 5]);
}

#[test]
fn a_missing_log_segment_or_side_file_is_repaired_and_named() {
    for kind in [FileKind::Wal, FileKind::Side] {
        let world = five();
        let file = *files(&world, kind).last().unwrap();
        world.disk().handle().remove(file).unwrap();
        let (done, _) = repaired(&world, kind.prefix());
        let lost = match kind {
            FileKind::Side => vec!["records lsn=4 to lsn=4"],
            // The manifest knows of five.
            _ => vec![
                "records from lsn=6 on, if there were any",
                "records lsn=1 to lsn=5",
            ],
        };
        assert_eq!(done.lost, lost);
    }
    let (mut world, all) = flushed(1, 60);
    let file = files(&world, FileKind::Segment)[0];
    world.disk().handle().remove(file).unwrap();
    let (done, _) = repaired(&world, "segment");
    assert!(lost_rows(&done) > 0);
    world.open().unwrap();
    let rows = rows_of(&world.engine().unwrap().snapshot()).unwrap();
    assert!(rows.len() < all.len());
}
