use super::*;
use crate::sim::{Fault, FaultPlan, Op, SimDisk};

mod begin;
mod reading;
mod scan;
mod upkeep;

pub(super) const OPTIONS: LogOptions = LogOptions {
    kind: FileKind::Wal,
    database: [7; 16],
    file_bytes: 1024,
    record_bytes_max: 4096,
};

fn open(disk: &SimDisk) -> (Log, Vec<(u64, Vec<u8>)>) {
    let mut seen = Vec::new();
    let recovered = Log::recover(&disk.handle(), OPTIONS, &mut |r| {
        seen.push((r.lsn, r.body.to_vec()))
    })
    .unwrap();
    (recovered.resume().unwrap(), seen)
}

/// One group of so many records of 20 bytes.
fn group(log: &mut Log, records: u8) {
    for n in 1..=records {
        log.append(1, &[&[n; 20]]).unwrap();
    }
    log.sync().unwrap();
}

/// Groups of one record, until something came of it: soon, if ever.
fn write_until(log: &mut Log, done: impl Fn(&Log) -> bool) {
    for _ in 0..100 {
        if done(log) {
            return;
        }
        group(log, 1);
    }
    panic!("nothing came of 100 groups");
}

/// The file that is written to.
fn file_of(log: &Log) -> FileId {
    log.places.last().unwrap().file
}

/// Every call of this sort fails until the next plan.
fn failing(op: Op, fault: Fault) -> FaultPlan {
    FaultPlan {
        odds: vec![(op, fault, 1)],
        ..FaultPlan::default()
    }
}

fn frame(lsn: u64, durable: u64) -> ForgedFrame<'static> {
    ForgedFrame::sound((lsn, durable), 1, b"record")
}

fn forged<'a>(base_lsn: u64, synced_lsn: u64, frames: &'a [ForgedFrame<'a>]) -> Forged<'a> {
    let file = FileId::new(OPTIONS.kind, 1);
    Forged {
        base_lsn,
        synced_lsn,
        ..Forged::first(file, OPTIONS.database, frames)
    }
}

fn put_forged(disk: &SimDisk, forged: &Forged<'_>) {
    forged.put(&disk.handle()).unwrap();
}

#[test]
fn records_come_back_in_order_over_files_and_restarts() {
    let disk = SimDisk::new(1);
    let mut expected = Vec::new();
    for round in 0..4_u8 {
        let (mut log, seen) = open(&disk);
        assert_eq!(seen, expected);
        for n in 0..20_u8 {
            let body = vec![round * 20 + n; usize::from(n) * 9];
            let lsn = log
                .append(1, &[&body[..body.len() / 2], &body[body.len() / 2..]])
                .unwrap();
            expected.push((lsn, body));
            if n % 3 == 0 {
                assert_eq!(log.sync().unwrap().lsn(), lsn);
                log.watermark().unwrap();
            }
        }
        log.sync().unwrap();
        assert!(log.files() > 2);
        disk.crash();
        disk.restart();
    }
    let lsns: Vec<u64> = expected.iter().map(|(lsn, _)| *lsn).collect();
    assert_eq!(lsns, (1..=80).collect::<Vec<_>>());
}

#[test]
fn a_file_made_ahead_is_used_unless_it_comes_too_late() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    assert!(log.ask_spare().is_none(), "nothing is written yet");
    write_until(&mut log, Log::wants_spare);
    let in_time = log.ask_spare().unwrap();
    let expected = in_time.id;
    assert!(log.ask_spare().is_none(), "one at a time");
    log.take_spare(in_time.make());
    let files = log.files();
    write_until(&mut log, |log| log.files() == files + 1);
    assert_eq!(log.places.last().unwrap().file, expected);
    write_until(&mut log, Log::wants_spare);
    let late = log.ask_spare().unwrap();
    let unused = late.id;
    write_until(&mut log, |log| log.files() == files + 2);
    log.take_spare(late.make());
    write_until(&mut log, |log| log.files() == files + 4);
    assert!(log.places.iter().all(|p| p.file != unused));
    let before = log.next_lsn();
    disk.crash();
    disk.restart();
    let (log, seen) = open(&disk);
    assert_eq!(log.next_lsn(), before);
    assert_eq!(seen.len(), usize::try_from(before - 1).unwrap());
}

#[test]
fn a_log_trimmed_to_nothing_knows_its_next_lsn() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    for _ in 0..30 {
        log.append(1, &[&[1; 200]]).unwrap();
        log.sync().unwrap();
    }
    let trimmed = log.trim(30).run();
    log.take_trimmed(trimmed);
    assert_eq!(log.files(), 1);
    for _ in 0..3 {
        disk.kill();
        disk.restart();
        let (mut log, _) = open(&disk);
        assert_eq!((log.next_lsn(), log.durable_lsn()), (31, 30));
        let trimmed = log.trim(30).run();
        log.take_trimmed(trimmed);
        assert_eq!(log.files(), 1);
    }
}

#[test]
fn a_checkpoint_stands_for_everything_before_it_and_the_one_before_stays() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    log.append(1, &[b"old"]).unwrap();
    log.checkpoint(2, &[b"state"]).unwrap();
    log.append(1, &[b"edit"]).unwrap();
    log.sync().unwrap();
    assert_eq!((disk.names().len(), log.files()), (2, 2));
    disk.crash();
    disk.restart();
    let mut seen = Vec::new();
    let visit = &mut |r: Record<'_>| seen.push((r.lsn, r.kind, r.body.to_vec()));
    let recovered = Log::recover(&disk.handle(), OPTIONS, visit).unwrap();
    assert_eq!(seen, [(2, 2, b"state".to_vec()), (3, 1, b"edit".to_vec())]);
    let mut log = recovered.restart_with(2, &[b"state 2"]).unwrap();
    let numbers = || disk.names().iter().map(|id| id.number).collect::<Vec<_>>();
    assert_eq!(
        numbers(),
        [3, 4],
        "the one before, and what is older is gone"
    );
    log.checkpoint(2, &[b"state 3"]).unwrap();
    assert_eq!(numbers(), [4, 5]);
    // Nothing of what a later one stands for is read, so nothing of it need read.
    disk.truncate(FileId::new(FileKind::Wal, 4), 10);
    Log::recover(&disk.handle(), OPTIONS, &mut |r| {
        assert_eq!(r.body, b"state 3")
    })
    .unwrap();
}

#[test]
fn limits_hold_at_the_limit_and_one_above() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    log.append(1, &[&[1; 4096]]).unwrap();
    let error = log.append(1, &[&[1; 4096], &[1]]).unwrap_err();
    assert!(matches!(
        error,
        LogError::TooLarge {
            bytes: 4097,
            limit: 4096
        }
    ));
    log.sync().unwrap();
    disk.kill();
    disk.restart();
    assert_eq!(open(&disk).1, [(1, vec![1; 4096])]);
}

#[test]
fn an_unknown_version_and_another_database_are_refused_by_name() {
    let disk = SimDisk::new(1);
    open(&disk);
    let other = LogOptions {
        database: [8; 16],
        ..OPTIONS
    };
    let error = Log::recover(&disk.handle(), other, &mut |_| {}).unwrap_err();
    assert!(
        matches!(error, RecoverError::Damaged { offset: 0, .. }),
        "{error}"
    );
    disk.flip(disk.names()[0], 8, 2);
    let error = Log::recover(&disk.handle(), OPTIONS, &mut |_| {}).unwrap_err();
    assert!(
        matches!(
            error,
            RecoverError::Version {
                found: 3,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_missing_file_is_not_taken_for_a_trimmed_one() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    for _ in 0..30 {
        log.append(1, &[&[1; 200]]).unwrap();
        log.sync().unwrap();
    }
    let handle = disk.handle();
    let recovered = Log::recover(&handle, OPTIONS, &mut |_| {}).unwrap();
    recovered.covers(0).unwrap();
    recovered.covers(30).unwrap();
    assert!(recovered.covers(31).is_err(), "a restored old copy");
    recovered.reaches(30).unwrap();
    let last = *disk.names().last().unwrap();
    assert!(matches!(
        recovered.reaches(31),
        Err(RecoverError::Short { file, last: 30, had: 31 }) if file == last
    ));
    handle.remove(disk.names()[2]).unwrap();
    let recovered = Log::recover(&handle, OPTIONS, &mut |_| {}).unwrap();
    assert!(matches!(
        recovered.covers(3),
        Err(RecoverError::Uncovered { .. })
    ));
}

#[test]
fn a_newest_file_that_vanished_is_named() {
    let disk = SimDisk::new(1);
    open(&disk);
    disk.kill();
    disk.restart();
    let (mut log, _) = open(&disk);
    for _ in 0..12 {
        log.append(1, &[&[1; 200]]).unwrap();
        log.sync().unwrap();
    }
    let handle = disk.handle();
    // Down to the first, which an open made: the second was made by the next open, the others as files filled.
    for last in disk.names()[1..].iter().rev().copied() {
        handle.remove(last).unwrap();
        let error = Log::recover(&handle, OPTIONS, &mut |_| {}).unwrap_err();
        let named = matches!(
            error,
            RecoverError::Damaged { file, what: "missing file", .. } if file.number <= last.number
        );
        assert!(named, "{last}: {error}");
    }
    handle.remove(disk.names()[0]).unwrap();
    let none = Log::recover(&handle, OPTIONS, &mut |_| {}).unwrap();
    assert!(matches!(none.begun(), Err(RecoverError::NoFile { .. })));
}

#[test]
fn a_checkpoint_that_vanished_is_not_taken_back() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    log.append(1, &[b"old"]).unwrap();
    log.checkpoint(2, &[b"state"]).unwrap();
    disk.handle().remove(disk.names()[1]).unwrap();
    let error = Log::recover(&disk.handle(), OPTIONS, &mut |_| {}).unwrap_err();
    assert!(
        error.to_string().contains("file=wal-0000000000000003"),
        "{error}"
    );
}

#[test]
fn bodies_full_of_frame_heads_cost_bounded_work() {
    let disk = SimDisk::new(1);
    let options = LogOptions {
        file_bytes: 1 << 20,
        record_bytes_max: 1 << 20,
        ..OPTIONS
    };
    let recovered = Log::recover(&disk.handle(), options, &mut |_| {}).unwrap();
    let mut log = recovered.resume().unwrap();
    let mut head = b"OFRM".to_vec();
    head.extend_from_slice(&(1_u32 << 18).to_le_bytes());
    head.extend_from_slice(&2_u64.to_le_bytes());
    head.extend_from_slice(&1_u64.to_le_bytes());
    let body = head.repeat(30_000);
    log.append(1, &[&body]).unwrap();
    log.sync().unwrap();
    disk.flip(disk.names()[0], 100, 1);
    // Unverifiable within the budget: closed, not open.
    assert!(Log::recover(&disk.handle(), options, &mut |_| {}).is_err());
}

/// The number after them, and the one before the first, were worked out and overflowed.
#[test]
fn numbers_that_no_log_comes_to_are_damage() {
    let recovered = |base_lsn, synced_lsn, lsn, durable| {
        let disk = SimDisk::new(1);
        put_forged(&disk, &forged(base_lsn, synced_lsn, &[frame(lsn, durable)]));
        let recovered = Log::recover(&disk.handle(), OPTIONS, &mut |_| {});
        recovered.ok().map(|recovered| recovered.last_lsn())
    };
    let last = format::LSN_MAX;
    assert_eq!(recovered(1, 0, 1, 0), Some(1));
    assert_eq!(recovered(last, last - 1, last, last - 1), Some(last));
    assert_eq!(
        recovered(last + 1, last, 1, 0),
        Some(last),
        "a log that is full"
    );
    for (base_lsn, synced_lsn) in [(0, 0), (last + 2, 0), (u64::MAX, 0), (1, last + 1)] {
        assert_eq!(
            recovered(base_lsn, synced_lsn, base_lsn, 0),
            None,
            "{base_lsn} {synced_lsn}"
        );
    }
    // A frame that says so is none, and what is none says nothing.
    assert_eq!(recovered(1, 0, 1, last + 1), Some(0));
    // What a full log ends with has the number after the last one, and nothing has a higher one.
    for (lsn, torn) in [(last + 1, false), (last + 2, true)] {
        let watermark = ForgedFrame {
            kind: KIND_WATERMARK,
            body: b"",
            ..frame(lsn, last)
        };
        let disk = SimDisk::new(1);
        let frames = [frame(last, last - 1), watermark];
        put_forged(&disk, &forged(last, last - 1, &frames));
        let full = Log::recover(&disk.handle(), OPTIONS, &mut |_| {}).unwrap();
        assert_eq!((full.last_lsn(), full.report().torn), (last, torn));
    }
}

#[test]
fn a_forged_frame_follows_the_one_before_unless_it_is_told_not_to() {
    for is_unchained in [false, true] {
        let other = ForgedFrame {
            is_unchained,
            ..frame(2, 0)
        };
        let disk = SimDisk::new(1);
        put_forged(&disk, &forged(1, 0, &[frame(1, 0), other]));
        let recovered = Log::recover(&disk.handle(), OPTIONS, &mut |_| {}).unwrap();
        assert_eq!(recovered.last_lsn(), 2 - u64::from(is_unchained));
    }
}
