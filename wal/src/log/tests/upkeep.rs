//! What a log does beside records: room, files made ahead, files that go, and when it says how far it is durable.

use super::super::format::Frame;
use super::*;

/// Writes until so many bytes of the file are left.
fn fill_to(log: &mut Log, left: u64) {
    let room = usize::try_from(OPTIONS.file_bytes - log.offset - left).unwrap();
    log.append(1, &[&vec![1; room - Frame::size(0)]]).unwrap();
    log.sync().unwrap();
    assert_eq!(OPTIONS.file_bytes - log.offset, left);
}

#[test]
fn a_group_begins_a_file_when_less_than_an_eighth_is_left() {
    let reserve = OPTIONS.file_bytes / 8;
    for (left, files) in [(reserve, 1), (reserve - 8, 2)] {
        let disk = SimDisk::new(1);
        let (mut log, _) = open(&disk);
        fill_to(&mut log, left);
        log.append(1, &[b"x"]).unwrap();
        assert_eq!(log.files(), files, "left={left}");
    }
}

#[test]
fn a_group_has_a_size_at_most() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    log.options.record_bytes_max = u32::MAX;
    log.append(1, &[&[1; 100]]).unwrap();
    let room = GROUP_BYTES_MAX - log.group.len() - Frame::size(0);
    let body = vec![1; room + 8];
    let refused = log.append(1, &[&body]);
    assert!(matches!(refused, Err(LogError::TooLarge { .. })));
    log.append(1, &[&body[..room]]).unwrap();
    assert_eq!(log.group.len(), GROUP_BYTES_MAX);
    let refused = log.append(1, &[]);
    assert!(matches!(refused, Err(LogError::TooLarge { .. })));
}

#[test]
fn a_file_that_is_gone_already_counts_as_removed_and_one_that_stays_stops_the_trim() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    write_until(&mut log, |log| log.files() == 5);
    let oldest = disk.names()[0];
    disk.handle().remove(oldest).unwrap();
    disk.set_plan(failing(Op::Remove, Fault::NoSpace));
    let trimmed = log.trim(log.durable_lsn()).run();
    assert_eq!(log.take_trimmed(trimmed), 0, "the disk removes nothing");
    assert_eq!(log.files(), 5);
    disk.set_plan(FaultPlan::default());
    let trimmed = log.trim(log.durable_lsn()).run();
    assert_eq!(log.take_trimmed(trimmed), 4);
    assert_eq!((log.files(), disk.names().len()), (1, 1));
    assert_eq!(log.bytes(), OPTIONS.file_bytes);
}

#[test]
fn a_log_says_once_how_far_it_is_durable() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    assert!(!log.wants_watermark(), "there is nothing");
    log.append(1, &[b"one"]).unwrap();
    log.sync().unwrap();
    assert!(log.wants_watermark());
    let before = log.offset;
    log.watermark().unwrap();
    assert!(!log.wants_watermark());
    assert_eq!(log.offset, before + as_u64(Frame::size(0)));
    let calls = disk.ops();
    log.watermark().unwrap();
    assert_eq!(disk.ops(), calls, "it is said");
    // What is gathered says so itself.
    log.append(1, &[b"two"]).unwrap();
    log.sync().unwrap();
    log.append(1, &[b"three"]).unwrap();
    let gathered = log.group.len();
    let before = log.offset;
    log.watermark().unwrap();
    assert_eq!(log.offset, before + as_u64(gathered));
    assert!(log.wants_watermark());
    log.poisoned = true;
    assert!(!log.wants_watermark());
}

#[test]
fn a_number_of_a_file_is_used_once_whatever_became_of_it() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    let next = log.next_file;
    disk.set_plan(failing(Op::ZeroFill, Fault::NoSpace));
    let refused = log.checkpoint(2, &[b"state"]);
    assert!(matches!(refused, Err(LogError::NoSpace)));
    disk.set_plan(FaultPlan::default());
    log.checkpoint(2, &[b"state"]).unwrap();
    assert_eq!(log.places.last().unwrap().file.number, next + 1);
    assert_eq!(log.next_file, next + 2);
}

#[test]
fn the_next_file_is_wanted_when_more_than_half_is_full() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    log.spare = None;
    fill_to(&mut log, OPTIONS.file_bytes / 2);
    assert!(!log.wants_spare());
    log.watermark().unwrap();
    assert!(log.wants_spare());
    log.poisoned = true;
    assert!(!log.wants_spare());
}

#[test]
fn a_file_that_nobody_needs_any_more_is_given_up() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    log.spare = None;
    fill_to(&mut log, OPTIONS.file_bytes / 4);
    let asked = log.ask_spare().unwrap();
    let made = asked.make();
    assert!(made.is_made());
    // The log could not wait.
    log.prepare_next().unwrap();
    let kept = log.spare.as_ref().unwrap().0;
    let used = disk.used_bytes();
    log.take_spare(made);
    assert_eq!(log.spare.as_ref().unwrap().0, kept);
    assert_eq!(disk.used_bytes(), used - OPTIONS.file_bytes);
    // Nor does a log that takes no more keep one.
    log.spare = None;
    let asked = log.ask_spare().unwrap();
    let made = asked.make();
    let used = disk.used_bytes();
    log.poisoned = true;
    log.take_spare(made);
    assert!(log.spare.is_none());
    assert_eq!(disk.used_bytes(), used - OPTIONS.file_bytes);
}

#[test]
fn a_file_that_could_not_be_made_ahead_is_asked_for_again() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    log.spare = None;
    fill_to(&mut log, OPTIONS.file_bytes / 4);
    let asked = log.ask_spare().unwrap();
    disk.set_plan(failing(Op::Create, Fault::NoSpace));
    let made = asked.make();
    disk.set_plan(FaultPlan::default());
    assert!(!made.is_made());
    log.take_spare(made);
    assert!(log.wants_spare());
}

#[test]
fn a_log_that_turned_can_give_up_all_so_far() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    for _ in 0..3 {
        log.append(1, &[b"x"]).unwrap();
    }
    // What is gathered is among it.
    assert_eq!((log.turn().unwrap(), log.files()), (3, 2));
    assert_eq!((log.turn().unwrap(), log.files()), (3, 2), "it is new");
    let trimmed = log.trim(3).run();
    assert_eq!(log.take_trimmed(trimmed), 1);
    log.append(1, &[b"y"]).unwrap();
    log.sync().unwrap();
    disk.crash();
    disk.restart();
    assert_eq!(open(&disk).1, [(4, b"y".to_vec())]);
}

#[test]
fn a_group_without_room_is_taken_back_and_any_other_error_is_final() {
    for (fault, is_final) in [(Fault::NoSpace, false), (Fault::Eio, true)] {
        let disk = SimDisk::new(1);
        let (mut log, _) = open(&disk);
        log.append(1, &[b"one"]).unwrap();
        log.sync().unwrap();
        log.append(1, &[b"two"]).unwrap();
        disk.set_plan(FaultPlan {
            fail_at: Some((disk.ops() + 1, fault)),
            ..FaultPlan::default()
        });
        let error = log.sync().unwrap_err();
        assert_eq!(matches!(error, LogError::NoSpace), !is_final, "{error}");
        assert_eq!(
            (log.poisoned, log.attempt),
            (is_final, u32::from(!is_final))
        );
        assert_eq!(log.next_lsn(), 2 + u64::from(is_final));
    }
}

#[test]
fn a_file_without_a_whole_header_is_damage_and_no_error_of_the_disk() {
    let disk = SimDisk::new(1);
    open(&disk);
    disk.truncate(disk.names()[0], 10);
    let error = Log::recover(&disk.handle(), OPTIONS, &mut |_| {}).unwrap_err();
    let named = matches!(
        error,
        RecoverError::Damaged {
            what: "file header",
            ..
        }
    );
    assert!(named, "{error}");
}
