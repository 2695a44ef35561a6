//! Memory maps of sealed files. The only unsafe code of the crate.

use std::fs::File;
use std::io;

use bytes::Bytes;
use memmap2::MmapOptions;

/// Maps `len` bytes from `offset`. The range lies inside the file.
///
/// A sealed file is published, synced and never written or cut again by this process; the data
/// directory is 0700 and locked. A read error of the device under a touched page ends the process
/// by SIGBUS, as an unreadable page of the program itself would.
#[expect(
    unsafe_code,
    reason = "mapping a file is unsafe by nature; the contract is above"
)]
pub(super) fn map(file: &File, offset: u64, len: usize) -> io::Result<Bytes> {
    if len == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: nothing writes to or truncates the file while the map lives. Sealed files are
    // immutable by the contract of `Disk::map_sealed`, an unlink keeps the mapped inode alive, and
    // the directory lock keeps every other obsrv process out.
    let map = unsafe { MmapOptions::new().offset(offset).len(len).map(file)? };
    Ok(Bytes::from_owner(map))
}
