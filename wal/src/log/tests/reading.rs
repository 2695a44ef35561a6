//! What recovery makes of the bytes of a file: how far the chain of frames goes, and what it says of where it ends.

use super::super::format::Frame;
use super::*;

/// The file that is written to.
fn file_of(log: &Log) -> FileId {
    log.places.last().unwrap().file
}

fn recover(disk: &SimDisk) -> Result<Recovered, RecoverError> {
    Log::recover(&disk.handle(), OPTIONS, &mut |_| {})
}

/// One group of so many records of 20 bytes.
fn group(log: &mut Log, records: u8) {
    for n in 1..=records {
        log.append(1, &[&[n; 20]]).unwrap();
    }
    log.sync().unwrap();
}

/// What is damaged: file, offset, record, and what was found.
fn damage(disk: &SimDisk) -> (FileId, u64, u64, &'static str) {
    match recover(disk) {
        Err(RecoverError::Damaged {
            file,
            offset,
            lsn,
            what,
        }) => (file, offset, lsn, what),
        other => panic!("{other:?}"),
    }
}

fn frame_at(number: usize) -> u64 {
    as_u64(HEADER_BYTES + number * Frame::size(20))
}

#[test]
fn the_report_says_how_much_there_was_and_how_much_is_cut() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    let mut expected = TailReport {
        files: 1,
        ..TailReport::default()
    };
    assert_eq!(*recover(&disk).unwrap().report(), expected);
    group(&mut log, 1);
    group(&mut log, 2);
    // The second group says of the first that it was synced, nothing says it of the second.
    expected.records = 3;
    expected.relogged = 2;
    assert_eq!(*recover(&disk).unwrap().report(), expected);
    disk.overwrite(file_of(&log), log.offset + 16, &[9]);
    expected.torn = true;
    expected.cut_bytes = 17;
    assert_eq!(*recover(&disk).unwrap().report(), expected);
    disk.kill();
    disk.restart();
    let (log, seen) = open(&disk);
    assert_eq!((seen.len(), log.next_lsn()), (3, 4));
}

#[test]
fn a_frame_goes_on_with_the_chain_if_number_and_checksum_follow() {
    for (lsn, wrong_crc, records) in [(3, 0, 3), (3, 1, 2), (4, 0, 2), (2, 0, 2)] {
        let disk = SimDisk::new(1);
        let (mut log, _) = open(&disk);
        group(&mut log, 2);
        let frame = Frame {
            len: 20,
            lsn,
            durable: 0,
            previous_crc: log.previous_crc ^ wrong_crc,
            kind: 1,
            attempt: log.attempt,
        };
        let mut bytes = Vec::new();
        frame.put(log.spot(log.offset), &[&[7; 20]], &mut bytes);
        disk.overwrite(file_of(&log), log.offset, &bytes);
        let report = *recover(&disk).unwrap().report();
        let found = (report.records, report.torn);
        assert_eq!(found, (records, records == 2), "lsn={lsn} crc^{wrong_crc}");
    }
}

#[test]
fn a_broken_frame_before_the_next_file_is_named_where_it_is() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    while log.files() < 3 {
        group(&mut log, 1);
    }
    let first = disk.names()[0];
    disk.flip(first, frame_at(1) + 50, 1);
    assert_eq!(damage(&disk), (first, frame_at(1), 2, "frame"));
}

#[test]
fn a_broken_frame_before_a_base_file_is_named_where_it_is() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    group(&mut log, 2);
    group(&mut log, 1);
    disk.kill();
    disk.restart();
    // Its base is the third record, which nothing witnessed.
    open(&disk);
    let first = disk.names()[0];
    disk.flip(first, frame_at(0) + 50, 1);
    assert_eq!(damage(&disk), (first, frame_at(0), 1, "frame"));
}

#[test]
fn what_a_base_file_says_was_synced_must_be_in_it() {
    for lost in 0..3 {
        let disk = SimDisk::new(1);
        let (mut log, _) = open(&disk);
        group(&mut log, 3);
        disk.kill();
        disk.restart();
        // Nothing witnessed the three, so they are written again: the header alone says that they are durable.
        let (log, seen) = open(&disk);
        assert_eq!((seen.len(), log.files()), (3, 2));
        let file = file_of(&log);
        disk.flip(file, frame_at(lost) + 50, 1);
        let lsn = as_u64(lost) + 1;
        assert_eq!(damage(&disk), (file, frame_at(lost), lsn, "frame"));
    }
}

#[test]
fn a_file_may_be_longer_than_it_was_and_not_shorter() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    group(&mut log, 1);
    let file = file_of(&log);
    let longer = disk.handle().open(file).unwrap();
    longer.write_at(OPTIONS.file_bytes, &[0; 8]).unwrap();
    assert_eq!(recover(&disk).unwrap().report().records, 1);
    disk.truncate(file, OPTIONS.file_bytes);
    assert_eq!(recover(&disk).unwrap().report().records, 1);
    disk.truncate(file, OPTIONS.file_bytes - 1);
    let expected = (file, OPTIONS.file_bytes - 1, 1, "length");
    assert_eq!(damage(&disk), expected);
}
