//! Damage to what was durable: found and named, or harmless. Never a wrong row, never a panic.

use std::sync::Arc;
use std::time::Duration;

use obsrv_engine::engine::repair::repair;
use obsrv_engine::io::{Disk, FileId, FileKind};
use obsrv_engine::row::ProjectId;
use obsrv_tests::sim::{Coverage, Finding, Flaw, Outcome, Step, World};
use obsrv_wal::log::scan_file;
use obsrv_wal::sim::SimDisk;

use crate::campaign::{Part, each};

/// Places of one file that are damaged.
const PLACES: usize = 90;
/// What moves when blocks are exchanged.
const SECTOR: usize = 512;

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip(usize, u8),
    Zero(usize),
    /// A sector of another place of the same file.
    Misdirected(usize, usize),
    /// The sector as it was earlier in the file's life.
    Stale(usize),
    Cut(usize),
    /// The bytes of another file of the kind.
    Other(FileId),
    Missing,
}

/// A machine on whose disk everything is witnessed as durable, and the files as they once were.
fn machine(seed: u64) -> (World, Vec<(FileId, Vec<u8>)>) {
    let mut world = World::new(seed, Flaw::None);
    world.open().unwrap();
    world.work(40);
    let earlier = contents(&world);
    world.work(60);
    world.cut_power();
    // What nothing witnessed is logged again by this open.
    assert_eq!(world.open().unwrap(), Outcome::Done);
    world.check().unwrap();
    world.kill();
    (world, earlier)
}

fn contents(world: &World) -> Vec<(FileId, Vec<u8>)> {
    let disk = world.disk();
    let read = |id| Some((id, disk.peek(id)?));
    disk.names().into_iter().filter_map(read).collect()
}

fn damages(
    id: FileId,
    bytes: &[u8],
    all: &[(FileId, Vec<u8>)],
    stale: Option<&[u8]>,
) -> Vec<Damage> {
    let used = bytes
        .iter()
        .rposition(|b| *b != 0)
        .map_or(1, |last| last + 1);
    let step = used.div_ceil(PLACES);
    let mut list = vec![Damage::Missing, Damage::Cut(0)];
    for at in (0..used).step_by(step) {
        list.push(Damage::Flip(at, 1 << (at % 8)));
        list.push(Damage::Flip(at, 0xff));
    }
    for at in (0..used).step_by(step * 4) {
        list.push(Damage::Cut(at));
    }
    for at in (0..used).step_by(SECTOR) {
        list.push(Damage::Zero(at));
        list.push(Damage::Misdirected(
            at,
            (at + 3 * SECTOR) % used / SECTOR * SECTOR,
        ));
        let end = used.min(at + SECTOR);
        if stale.is_some_and(|old| old.get(at..end).is_some_and(|part| part != &bytes[at..end])) {
            list.push(Damage::Stale(at));
        }
    }
    let others = all
        .iter()
        .filter(|(other, _)| other.kind == id.kind && *other != id);
    list.extend(others.map(|(other, _)| Damage::Other(*other)));
    list
}

fn apply(world: &World, id: FileId, damage: Damage, all: &[(FileId, Vec<u8>)], old: Option<&[u8]>) {
    let disk = world.disk();
    let bytes = disk.peek(id).unwrap_or_default();
    let sector = |from: &[u8], at: usize| {
        let end = from.len().min(at + SECTOR);
        from.get(at..end).unwrap_or_default().to_vec()
    };
    match damage {
        Damage::Flip(at, mask) => disk.flip(id, at as u64, mask),
        Damage::Zero(at) => disk.overwrite(id, at as u64, &[0; SECTOR]),
        Damage::Misdirected(to, from) => disk.overwrite(id, to as u64, &sector(&bytes, from)),
        Damage::Stale(at) => {
            disk.overwrite(id, at as u64, &sector(old.unwrap_or_default(), at));
        }
        Damage::Cut(len) => disk.truncate(id, len as u64),
        Damage::Other(other) => {
            let from = all.iter().find(|(id, _)| *id == other);
            let from = from.map(|(_, bytes)| bytes.as_slice()).unwrap_or_default();
            disk.overwrite(id, 0, from);
            disk.truncate(id, from.len() as u64);
        }
        Damage::Missing => {
            disk.handle().remove(id).unwrap();
            disk.handle().sync_dir().unwrap();
        }
    }
}

/// What came of it: true if it was found.
fn outcome(world: &mut World, id: FileId) -> Result<bool, String> {
    let named = |text: String| {
        // A missing file may show as a gap between others.
        if text.contains("file=") || text.contains("log does not cover") {
            Ok(true)
        } else {
            Err(format!("{id} is not named: {text}"))
        }
    };
    match world.open() {
        Err(refused) => named(refused),
        Ok(_) => match world.check() {
            Ok(()) => Ok(false),
            Err(Finding::Unreadable(text)) => named(text),
            Err(Finding::Wrong(what)) => Err(what),
        },
    }
}

fn damaged(seed: u64) -> Result<Coverage, String> {
    let (world, earlier) = machine(seed);
    let all = contents(&world);
    let mut sum = Coverage::default();
    let (mut cases, mut found) = (0, 0);
    for (id, bytes) in &all {
        let old = earlier.iter().find(|(e, _)| e == id);
        let old = old.map(|(_, bytes)| bytes.as_slice());
        for damage in damages(*id, bytes, &all, old) {
            let mut victim = world.fork(seed);
            apply(&victim, *id, damage, &all, old);
            cases += 1;
            let verdict = outcome(&mut victim, *id);
            found +=
                u64::from(verdict.map_err(|what| format!("seed {seed} {id} {damage:?}: {what}"))?);
            sum.add(&victim.coverage());
        }
    }
    println!("seed {seed}: {cases} damages, {found} found");
    if found * 2 < cases {
        return Err(format!("only {found} of {cases} damages were found"));
    }
    Ok(sum)
}

pub(crate) static DAMAGED: Part = Part::new("damage", || each(0, 4, damaged));

#[test]
fn damage_is_found_and_named_or_harmless() {
    DAMAGED.coverage();
}

/// The newest log file and its frames: offset, length and kind of each.
fn frames(world: &World) -> (FileId, Vec<(u64, u64, u8)>) {
    let mut identity = [0; 16];
    let disk: Arc<dyn Disk> = world.disk().handle();
    let secret = disk.open(FileId::new(FileKind::Secret, 0)).unwrap();
    secret.read_at(0, &mut identity).unwrap();
    let wal = |id: &FileId| id.kind == FileKind::Wal;
    let file = world.disk().names().into_iter().rfind(wal).unwrap();
    let mut found = Vec::new();
    scan_file(&disk, file, identity, &mut |frame| {
        found.push((frame.offset, 40 + frame.body.len() as u64, frame.kind));
    })
    .unwrap();
    (file, found)
}

/// Where the last record of the log is: its file, its offset and the bytes of its frame.
fn last_record(world: &World) -> (FileId, u64, u64) {
    let (file, frames) = frames(world);
    let (offset, bytes, _) = *frames.iter().rfind(|(.., kind)| *kind != 0).unwrap();
    (file, offset, bytes)
}

/// A machine whose last acknowledged group is a single record that only memory and the log hold.
fn acknowledged(seed: u64) -> World {
    let mut world = World::new(seed, Flaw::None);
    world.open().unwrap();
    for id in ["first", "last"] {
        let body = format!("score|marks|{id}|1||1||");
        world.store(1, &body).unwrap().unwrap();
    }
    world
}

/// F8: once the log was idle, damage to its last group is damage, wherever it strikes.
#[test]
fn damage_to_the_last_group_is_found_once_the_log_was_idle() {
    let mut world = acknowledged(1);
    assert_eq!(world.step(Step::Witness), Outcome::Done);
    world.cut_power();
    let (file, offset, bytes) = last_record(&world);
    for at in offset..offset + bytes {
        let mut victim = world.fork(at);
        victim.disk().flip(file, at, 1);
        let refused = victim.open().map(|_| at).unwrap_err();
        assert!(
            refused.contains(&format!("offset={offset}")),
            "{at}: {refused}"
        );
    }
    world.open().unwrap();
    world.check().unwrap();
}

/// F29: of one file an earlier copy is put back. Once the log was idle that is found, or changes nothing.
#[test]
fn an_old_copy_of_a_file_is_found_or_harmless() {
    let (mut found, mut harmless, mut newest) = (0, 0, 0);
    for seed in 0..8 {
        let mut world = World::new(seed, Flaw::None);
        world.open().unwrap();
        let mut copies = Vec::new();
        for _ in 0..4 {
            world.work(12);
            copies.push(contents(&world));
        }
        world.control("last").unwrap().unwrap();
        world.step(Step::Witness);
        world.kill();
        let last = world
            .disk()
            .names()
            .into_iter()
            .rfind(|id| id.kind == FileKind::Wal);
        for (id, old) in copies.iter().flatten() {
            let Some(now) = world.disk().peek(*id).filter(|now| now != old) else {
                continue;
            };
            let mut victim = world.fork(seed);
            let bytes = [
                old.as_slice(),
                &vec![0; now.len().saturating_sub(old.len())],
            ]
            .concat();
            victim.disk().overwrite(*id, 0, &bytes);
            let said = outcome(&mut victim, *id);
            let is_found = said.unwrap_or_else(|what| panic!("seed {seed} {id}: {what}"));
            *(if is_found { &mut found } else { &mut harmless }) += 1;
            // It had a record more, which was acknowledged. An earlier one may have had all but its link.
            if Some(*id) == last {
                newest += 1;
                assert!(is_found, "seed {seed} {id}");
            }
        }
    }
    println!(
        "{found} old copies found, {harmless} harmless, {newest} of the newest file of the log"
    );
    assert!(newest >= 8, "{newest}");
}

/// What a log lost that the manifest knows of is named by `repair`, and the rest is kept.
#[test]
fn a_log_that_lost_its_end_is_repaired() {
    let mut world = acknowledged(4);
    let copy = contents(&world);
    world.store(1, "score|marks|more|1||1||").unwrap().unwrap();
    world.step(Step::Witness);
    world.kill();
    let (file, _) = frames(&world);
    let old = copy.iter().find(|(id, _)| *id == file).unwrap();
    world.disk().overwrite(file, 0, &old.1);
    let refused = world.fork(4).open().map(|_| ()).unwrap_err();
    let expected = format!("log ends before records that it had file={file} last=2 had=3");
    assert!(refused.contains(&expected), "{refused}");
    let disk: Arc<dyn Disk> = world.disk().handle();
    let aside: Arc<dyn Disk> = SimDisk::new(4).handle();
    let report = repair(&disk, Some(&aside)).unwrap();
    assert_eq!(report.lost[1..], ["records lsn=3 to lsn=3"]);
    world.open().unwrap();
    let rows = world.engine().unwrap().snapshot();
    let rows = rows.trace(ProjectId(1), "marks").unwrap().scores;
    let ids: Vec<_> = rows.iter().map(|row| &*row.core.id).collect();
    assert_eq!(ids, ["first", "last"]);
}

/// One witness is enough: an idle engine writes nothing more, and an empty log nothing at all.
#[test]
fn an_idle_log_is_witnessed_once() {
    let mut world = World::new(2, Flaw::None);
    world.open().unwrap();
    let empty = world.ops();
    world.step(Step::Witness);
    assert_eq!(world.ops(), empty);
    world.store(1, "score|marks|only|1||1||").unwrap().unwrap();
    let before = world.ops();
    world.step(Step::Witness);
    let once = world.ops();
    assert_eq!(
        once - before,
        4,
        "one write and one sync of log and manifest"
    );
    world.step(Step::Witness);
    let twice = world.ops();
    assert_eq!(
        twice - once,
        2,
        "what the manifest says of the log is durable, too"
    );
    world.step(Step::Witness);
    assert_eq!(world.ops(), twice);
    world.store(1, "score|marks|more|1||1||").unwrap().unwrap();
    world.check().unwrap();
    world.cut_power();
    world.open().unwrap();
    world.check().unwrap();
}

/// What the commit thread does by itself once no request comes any more.
#[test]
fn the_commit_thread_witnesses_a_pause() {
    let world = acknowledged(3);
    let threads = world.engine().unwrap().start().unwrap();
    let is_witnessed = || frames(&world).1.last().is_some_and(|(.., kind)| *kind == 0);
    let mut looks = 0;
    while !is_witnessed() && looks < 3_000 {
        std::thread::park_timeout(Duration::from_millis(20));
        looks += 1;
    }
    let mut victim = world.fork(3);
    let (file, offset, _) = last_record(&victim);
    threads.stop();
    victim.disk().flip(file, offset, 1);
    let refused = victim.open().map(|_| "opened").unwrap_err();
    assert!(refused.contains("log is damaged"), "{refused}");
}
