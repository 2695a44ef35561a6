//! Recovery of a log, for targets over what its files say.

use std::sync::Arc;

use obsrv_wal::io::{Disk, FileKind};
use obsrv_wal::log::{Log, LogOptions, Record};
use obsrv_wal::sim::SimDisk;

/// Number, kind and body of each record, in order.
pub type Records = Vec<(u64, u8, Vec<u8>)>;

/// A log with files of so many bytes.
pub const fn options(file_bytes: u64) -> LogOptions {
    LogOptions {
        kind: FileKind::Wal,
        database: [3; 16],
        file_bytes,
        record_bytes_max: 512,
    }
}

/// What recovery shows, and the log that goes on; none if it refuses. Each record is looked at when it is shown, which
/// may be before the log is refused.
pub fn recover(
    disk: &Arc<dyn Disk>,
    options: LogOptions,
    look: fn(Record<'_>),
) -> Option<(Records, Log)> {
    let mut records = Vec::new();
    let recovered = Log::recover(disk, options, &mut |record| {
        look(record);
        records.push((record.lsn, record.kind, record.body.to_vec()));
    });
    let recovered = recovered.ok()?;
    let _ = recovered.covers(recovered.last_lsn());
    Some((records, recovered.resume().ok()?))
}

/// After a kill a log that went on shows the same records.
pub fn opens_alike(sim: &SimDisk, options: LogOptions, (first, log): (Records, Log)) {
    drop(log);
    sim.kill();
    sim.restart();
    let (second, _) = recover(&sim.handle(), options, |_| {}).expect("a resumed log opens again");
    assert_eq!(first, second, "a second recovery shows other records");
}
