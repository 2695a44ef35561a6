//! Whatever is done to the bytes of a log, recovery answers with records that were written, in
//! order and without gaps, or refuses; what it cut is gone for good after it was resumed.

use std::sync::OnceLock;

use obsrv_wal::io::FileId;
use obsrv_wal::log::{LogOptions, Record, scan_file};
use obsrv_wal::sim::SimDisk;

use super::logs;

const OPTIONS: LogOptions = logs::options(4 << 10);

fn body(lsn: u64) -> Vec<u8> {
    let len = usize::try_from(lsn * 37 % 200).expect("small");
    vec![u8::try_from(lsn % 251).expect("small"); len]
}

fn must_be_written(record: Record<'_>) {
    if record.kind == 1 {
        assert_eq!(
            record.body,
            body(record.lsn),
            "a record that was not written"
        );
    }
}

/// How many groups a log may have.
const GROUPS: usize = 24;

/// A disk with a log of so many groups, as a kill leaves it, and the last record before the last group.
fn written(groups: usize) -> (SimDisk, u64) {
    let sim = SimDisk::new(1);
    let log = logs::recover(&sim.handle(), OPTIONS, must_be_written);
    let (_, mut log) = log.expect("an empty disk");
    let mut before_last = 0;
    for group in 0..groups {
        before_last = log.durable_lsn();
        for _ in 0..=group % 3 {
            let next = log.next_lsn();
            log.append(1, &[&body(next)]).expect("room");
        }
        log.sync().expect("a sync");
    }
    drop(log);
    sim.kill();
    sim.restart();
    (sim, before_last)
}

/// Every log is written once: an execution is damage and recovery.
fn log_of(groups: usize) -> &'static (SimDisk, u64) {
    static LOGS: [OnceLock<(SimDisk, u64)>; GROUPS] = [const { OnceLock::new() }; GROUPS];
    LOGS[groups].get_or_init(|| written(groups))
}

/// One execution.
pub fn run(bytes: &[u8]) {
    let Some((&groups, damage)) = bytes.split_first() else {
        return;
    };
    let (written, before_last) = log_of(usize::from(groups) % GROUPS);
    let sim = written.fork(1);
    let disk = sim.handle();
    let files = disk.list().expect("a list");
    for chunk in damage.chunks_exact(4).take(16) {
        let file = files[usize::from(chunk[0]) % files.len()];
        let offset = u64::from(u16::from_le_bytes([chunk[1], chunk[2]])) % OPTIONS.file_bytes;
        if chunk[0] & 0x80 == 0 {
            sim.flip(file, offset, chunk[3]);
        } else if chunk[0] & 0x40 == 0 {
            sim.overwrite(file, offset, &[chunk[3]; 32]);
        } else {
            sim.truncate(file, offset);
        }
    }
    for id in &files {
        let _ = scan_file(
            &disk,
            FileId::new(id.kind, id.number),
            OPTIONS.database,
            &mut |_| {},
        );
    }
    let Some((first, log)) = logs::recover(&disk, OPTIONS, must_be_written) else {
        return;
    };
    // The last group has no later witness; one flipped bit elsewhere must stop the open.
    if damage.len() < 4 || damage.len() < 8 && damage[0] & 0x80 == 0 {
        assert!(
            first.last().map_or(0, |record| record.0) >= *before_last,
            "acknowledged records cut"
        );
    }
    assert!(
        first.windows(2).all(|w| w[0].0 < w[1].0),
        "records out of order"
    );
    logs::opens_alike(&sim, OPTIONS, (first, log));
}
