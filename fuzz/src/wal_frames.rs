//! Whatever files of a log say, with right checksums, recovery reads or refuses; what it reads goes on as a log
//! that a second recovery reads alike.

use std::sync::Arc;

use obsrv_wal::io::{Disk, FileId, FileKind};
use obsrv_wal::log::{Forged, ForgedFrame, LogOptions, scan_file, scan_frames};
use obsrv_wal::sim::SimDisk;

use super::input::Input;
use super::logs;

const OPTIONS: LogOptions = logs::options(2 << 10);

/// Frames in a row: what differs from a sound log is in the bytes, and zeroes say a sound one.
fn frames<'f, 'a: 'f>(
    input: &mut Input<'a>,
    next: &mut u64,
    links: &'f [[u8; 8]],
) -> Vec<ForgedFrame<'f>> {
    let mut frames = Vec::new();
    for _ in 0..input.byte() % 8 {
        let shape = input.byte();
        let is_watermark = shape & 3 == 3;
        let lsn = input.near(*next);
        let link = links.get(usize::from(shape >> 4)).filter(|_| is_watermark);
        frames.push(ForgedFrame {
            lsn,
            durable: input.near(lsn.wrapping_sub(1)),
            kind: if is_watermark { 0 } else { 1 + (shape & 3) },
            attempt: u32::from(shape & 8),
            is_unchained: shape & 4 != 0,
            body: match link {
                Some(link) => link,
                None => input.take(usize::from(shape >> 4)),
            },
        });
        if !is_watermark {
            *next = next.wrapping_add(1);
        }
    }
    frames
}

/// One execution; whether the log was read.
pub fn run(bytes: &[u8]) -> bool {
    let mut input = Input(bytes);
    let links: Vec<[u8; 8]> = (1..5_u64).map(u64::to_le_bytes).collect();
    let sim = SimDisk::new(1);
    let disk = sim.handle();
    let (mut next, mut number) = (1, 1);
    let mut files = Vec::new();
    for _ in 0..=input.byte() % 3 {
        let shape = input.byte();
        let base_lsn = input.near(next);
        let synced_lsn = input.near(base_lsn.wrapping_sub(1));
        next = base_lsn;
        let file = FileId::new(FileKind::Wal, number);
        let frames = frames(&mut input, &mut next, &links);
        let forged = Forged {
            file,
            database: OPTIONS.database,
            base: shape & 1 != 0,
            reset: shape & 2 != 0,
            len: if shape & 4 == 0 {
                2 << 10
            } else {
                u32::from(shape) << 8
            },
            base_lsn,
            synced_lsn,
            frames: &frames,
        };
        write(&disk, file, &forged.bytes());
        files.push(file);
        number += 1 + u64::from(shape >> 7);
    }
    for file in files {
        let _ = scan_file(&disk, file, OPTIONS.database, &mut |frame| {
            _ = frame.next_file()
        });
        scan_frames(&disk, file, OPTIONS.database, &mut |_| {}).expect("the disk reads");
    }
    let Some((first, log)) = logs::recover(&disk, OPTIONS, |_| {}) else {
        return false;
    };
    assert!(
        first.windows(2).all(|two| two[0].0 + 1 == two[1].0),
        "records with a gap"
    );
    logs::opens_alike(&sim, OPTIONS, (first, log));
    true
}

fn write(disk: &Arc<dyn Disk>, file: FileId, bytes: &[u8]) {
    let made = disk.create(file).expect("a file");
    made.zero_fill(OPTIONS.file_bytes).expect("room");
    made.write_at(0, bytes).expect("room");
    made.sync_data().expect("a sync");
    disk.publish(file).expect("a name");
    disk.sync_dir().expect("a sync");
}

/// Logs of one, two and three files.
pub fn seeds() -> Vec<Vec<u8>> {
    let file = |shape: u8, frames: &[u8]| [&[shape, 0, 0][..], frames].concat();
    // Three frames, each: shape (its length above), LSN, durable, body.
    let three = b"\x03\x20\x00\x00ab\x11\x00\x00c\x02\x00\x00";
    let linked = b"\x02\x20\x00\x00ab\x13\x00\x00";
    vec![
        [&[0][..], &file(0, three)].concat(),
        [&[1][..], &file(0, linked), &file(0, three)].concat(),
        [&[1][..], &file(0, linked), &file(1, three)].concat(),
        [&[2][..], &file(0, three), &file(1, linked), &file(2, three)].concat(),
        [&[1][..], &file(0x80, three), &file(2, three)].concat(),
    ]
}
