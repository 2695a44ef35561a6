//! What recovery makes of the bytes of a file: how far the chain of frames goes, and what it says of where it ends.

use super::super::format::Frame;
use super::super::reading::readable;
use super::*;

fn recover(disk: &SimDisk) -> Result<Recovered, RecoverError> {
    Log::recover(&disk.handle(), OPTIONS, &mut |_| {})
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
    write_until(&mut log, |log| log.files() == 3);
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

/// What claims to be a frame, and no more: for record 3, by which `durable` was synced.
fn claim(durable: u64, len: usize) -> Vec<u8> {
    let mut head = b"OFRM".to_vec();
    head.extend_from_slice(&u32::try_from(len).unwrap().to_le_bytes());
    head.extend_from_slice(&3_u64.to_le_bytes());
    head.extend_from_slice(&durable.to_le_bytes());
    head
}

/// The bodies that claims behind the end have together may come to eight times the file.
#[test]
fn the_search_for_a_witness_has_a_bound_to_which_counts_what_could_be_one() {
    let file_bytes = usize::try_from(OPTIONS.file_bytes).unwrap();
    let all = 8 * file_bytes;
    let spent = claim(2, 512).repeat(all / 512);
    let end = frame_at(1);
    let rest = file_bytes - usize::try_from(end).unwrap() - spent.len();
    let cases = [
        ("nothing more", Vec::new(), false),
        ("a byte", claim(2, 1), true),
        ("of what is there", claim(1, 1), false),
        ("of itself", claim(3, 1), false),
        ("to the end of the file", claim(2, rest), true),
        ("past the end of the file", claim(2, rest + 1), false),
    ];
    for (what, last, is_damage) in cases {
        let disk = SimDisk::new(1);
        let (mut log, _) = open(&disk);
        group(&mut log, 1);
        let bytes = [spent.clone(), last].concat();
        disk.overwrite(file_of(&log), end, &bytes);
        if is_damage {
            assert_eq!(damage(&disk), (file_of(&log), end, 2, "frame"), "{what}");
        } else {
            assert!(recover(&disk).unwrap().report().torn, "{what}");
        }
    }
}

#[test]
fn what_is_written_again_is_what_no_frame_says_was_synced() {
    for (durable, relogged) in [(1, 3), (2, 2), (3, 1), (4, 0)] {
        let disk = SimDisk::new(1);
        let frames = [frame(2, 1), frame(3, 1), frame(4, durable)];
        put_forged(&disk, &forged(2, 1, &frames));
        let report = *recover(&disk).unwrap().report();
        assert_eq!((report.records, report.relogged), (3, relogged));
    }
}

/// Zeroes are passed over by blocks of 4096 bytes from the end.
#[test]
fn what_is_cut_goes_to_the_last_byte_that_is_not_zero() {
    let options = LogOptions {
        file_bytes: 4096 * 3,
        ..OPTIONS
    };
    let end = as_u64(HEADER_BYTES);
    for last in [end, 4095, 4096, 8191, 8192, 4096 * 3 - 1] {
        let disk = SimDisk::new(1);
        let recovered = Log::recover(&disk.handle(), options, &mut |_| {}).unwrap();
        let log = recovered.resume().unwrap();
        disk.overwrite(file_of(&log), last, &[1]);
        let recovered = Log::recover(&disk.handle(), options, &mut |_| {}).unwrap();
        let report = recovered.report();
        assert_eq!((report.torn, report.cut_bytes), (true, last - end + 1));
    }
}

/// A full one, and the largest group that began just before its end, and a link.
#[test]
fn a_file_is_read_that_is_as_long_as_one_can_be() {
    let longest = (1 << 30) + (128 << 20) + 48;
    assert_eq!(readable(0).unwrap(), 0);
    assert_eq!(as_u64(readable(longest).unwrap()), longest);
    let refused = readable(longest + 1).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::FileTooLarge);
}
