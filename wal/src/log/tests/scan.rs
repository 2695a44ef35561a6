//! What a look into a file shows, damaged or not.

use super::super::format::Frame;
use super::*;

/// Offset, number and named file of every frame.
type Seen = Vec<(u64, u64, Option<u64>)>;

fn seen(frame: &ScannedFrame<'_>) -> (u64, u64, Option<u64>) {
    (frame.offset, frame.lsn, frame.next_file())
}

fn scanned(disk: &SimDisk, file: FileId) -> (FileScan, Seen) {
    let mut frames = Vec::new();
    let visit = &mut |frame: ScannedFrame<'_>| frames.push(seen(&frame));
    let scan = scan_file(&disk.handle(), file, OPTIONS.database, visit).unwrap();
    let mut again = Vec::new();
    let visit = &mut |frame: ScannedFrame<'_>| again.push(seen(&frame));
    scan_frames(&disk.handle(), file, OPTIONS.database, visit).unwrap();
    assert_eq!(frames, again);
    (scan, frames)
}

#[test]
fn what_is_valid_behind_what_is_not_is_shown_and_the_chain_ends_before() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    group(&mut log, 3);
    let file = file_of(&log);
    let at = |number: usize| as_u64(HEADER_BYTES + number * Frame::size(20));
    let mut expected: Seen = (0..3).zip(1..).map(|(n, lsn)| (at(n), lsn, None)).collect();
    let (scan, frames) = scanned(&disk, file);
    assert_eq!((scan.frames, scan.end), (3, at(3)));
    assert_eq!(frames, expected);
    disk.flip(file, at(1) + 45, 1);
    expected.remove(1);
    let (scan, frames) = scanned(&disk, file);
    assert_eq!((scan.frames, scan.end), (2, at(1)));
    assert_eq!(frames, expected);
    // Without its header, too.
    disk.flip(file, 20, 1);
    let refused = scan_file(&disk.handle(), file, OPTIONS.database, &mut |_| {});
    assert!(matches!(refused, Err(ScanError::Header)));
    let mut count = 0;
    scan_frames(&disk.handle(), file, OPTIONS.database, &mut |_| count += 1).unwrap();
    assert_eq!(count, 2);
}

#[test]
fn a_link_says_which_file_is_next() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk);
    group(&mut log, 1);
    let file = file_of(&log);
    let end = log.offset;
    log.turn().unwrap();
    let next = file_of(&log).number;
    assert_eq!(next, 2);
    let (_, frames) = scanned(&disk, file);
    assert_eq!(frames.last(), Some(&(end, 2, Some(next))));
}
