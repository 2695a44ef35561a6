//! How a log begins: after what is elsewhere, in place of what was there, and not where the disk refuses.

use super::*;

fn recovered(disk: &SimDisk) -> Recovered {
    Log::recover(&disk.handle(), OPTIONS, &mut |_| {}).unwrap()
}

#[test]
fn a_log_begins_after_what_is_elsewhere() {
    for lsn in [0, 41] {
        let disk = SimDisk::new(1);
        let mut log = recovered(&disk).begin_after(lsn).unwrap();
        assert_eq!((log.next_lsn(), log.durable_lsn()), (lsn + 1, lsn));
        assert_eq!(log.append(1, &[b"x"]).unwrap(), lsn + 1);
        log.sync().unwrap();
        disk.crash();
        disk.restart();
        assert_eq!(open(&disk).1, [(lsn + 1, b"x".to_vec())]);
    }
}

#[test]
fn one_file_takes_the_place_of_all_of_a_log_and_of_nothing_else() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    write_until(&mut log, |log| log.files() == 3);
    let last = file_of(&log).number;
    drop(log);
    let other = LogOptions {
        kind: FileKind::Manifest,
        ..OPTIONS
    };
    let none = Log::recover(&disk.handle(), other, &mut |_| {}).unwrap();
    let beside = file_of(&none.begin_after(0).unwrap());
    let before = disk.names();
    let records = [(1, b"a".to_vec()), (2, b"b".to_vec())];
    let replace = || Log::replace(&disk.handle(), OPTIONS, 41, &records);
    for (fault, is_unknown) in [(Fault::NoSpace, false), (Fault::Eio, true)] {
        disk.set_plan(failing(Op::Create, fault));
        let refused = replace().unwrap_err();
        assert_eq!(matches!(refused, LogError::NoSpace), !is_unknown);
        let expected = matches!(refused, LogError::OutcomeUnknown(_));
        assert_eq!(expected, is_unknown);
        assert_eq!(disk.names(), before);
    }
    disk.set_plan(FaultPlan::default());
    replace().unwrap();
    disk.crash();
    disk.restart();
    assert_eq!(disk.names(), [FileId::new(OPTIONS.kind, last + 1), beside]);
    let mut seen = Vec::new();
    let visit = &mut |r: Record<'_>| seen.push((r.lsn, r.kind, r.body.to_vec()));
    let found = Log::recover(&disk.handle(), OPTIONS, visit).unwrap();
    assert_eq!((found.first_lsn(), found.last_lsn()), (41, 42));
    assert_eq!(seen, [(41, 1, b"a".to_vec()), (42, 2, b"b".to_vec())]);
}

/// Want of room or of a descriptor passes by itself; what any other error left is not known.
#[test]
fn a_log_does_not_go_on_where_the_disk_refuses() {
    for op in [Op::Open, Op::Create] {
        for (fault, is_unknown) in [(Fault::NoSpace, false), (Fault::Eio, true)] {
            let disk = SimDisk::new(1);
            let (mut log, _) = open(&disk);
            group(&mut log, 2);
            drop(log);
            disk.kill();
            disk.restart();
            let found = recovered(&disk);
            disk.set_plan(failing(op, fault));
            let refused = found.resume().unwrap_err();
            assert_eq!(matches!(refused, LogError::NoSpace), !is_unknown, "{op:?}");
            let expected = matches!(refused, LogError::OutcomeUnknown(_));
            assert_eq!(expected, is_unknown, "{op:?}");
            disk.set_plan(FaultPlan::default());
            disk.kill();
            disk.restart();
            assert_eq!(open(&disk).1.len(), 2);
        }
    }
}

#[test]
fn a_file_has_a_size_at_most() {
    for (file_bytes, is_refused) in [(FILE_BYTES_MAX, false), (FILE_BYTES_MAX + 1, true)] {
        let disk = SimDisk::new(1);
        let (mut log, _) = open(&disk);
        log.spare = None;
        log.options.file_bytes = file_bytes;
        // It is not made: what counts is whether the disk is asked.
        disk.set_plan(failing(Op::Create, Fault::NoSpace));
        let error = log.prepare_next().unwrap_err();
        assert_eq!(matches!(error, LogError::NoSpace), !is_refused, "{error}");
        assert_eq!(log.poisoned, is_refused);
    }
}
