//! Any record of the log is read or refused, and so is what the quarantine keeps of one; what is read is written as
//! the same.

use obsrv_engine::engine::{quarantined, record_reads, records, set_aside};

/// What stands for a file of the quarantine where others have the kind of a record.
const QUARANTINE: u8 = 0;

/// One execution; whether it was read.
pub fn run(bytes: &[u8]) -> bool {
    let Some((&kind, body)) = bytes.split_first() else {
        return false;
    };
    match kind % 16 {
        QUARANTINE => quarantined(body),
        kind => record_reads(kind, body),
    }
}

/// A record of every sort, and a file.
pub fn seeds() -> Vec<Vec<u8>> {
    let records = records().into_iter();
    let mut seeds: Vec<_> = records
        .map(|(kind, body)| [&[kind][..], &body[..]].concat())
        .collect();
    seeds.push([&[QUARANTINE][..], &set_aside()[..]].concat());
    seeds
}
