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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    const PAGE: usize = 4096;

    fn written(path: &Path, len: usize) -> (File, Vec<u8>) {
        let bytes: Vec<u8> = (0_u8..=250).cycle().take(len).collect();
        fs::write(path, &bytes).unwrap();
        (fs::OpenOptions::new().read(true).open(path).unwrap(), bytes)
    }

    /// How many maps of the file this process has.
    fn maps_of(path: &Path) -> usize {
        let path = path.to_str().unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().filter(|line| line.contains(path)).count()
    }

    #[test]
    fn every_byte_of_a_range_up_to_the_end_of_the_file_is_its_own() {
        let dir = tempfile::tempdir().unwrap();
        for len in [1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE] {
            let (file, bytes) = written(&dir.path().join(len.to_string()), len);
            for offset in [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, len - 1, len] {
                let Some(expected) = bytes.get(offset..) else {
                    continue;
                };
                let offset = u64::try_from(offset).unwrap();
                let map = map(&file, offset, expected.len()).unwrap();
                assert!(map == expected, "len={len} offset={offset}");
            }
        }
    }

    #[test]
    fn a_map_lives_as_long_as_any_part_of_it_and_no_longer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sealed");
        let (file, bytes) = written(&path, 2 * PAGE);
        let whole = map(&file, 0, bytes.len()).unwrap();
        drop(file);
        fs::remove_file(&path).unwrap();
        let copy = whole.clone();
        let end = whole.slice(PAGE + 1..);
        drop(whole);
        assert_eq!(maps_of(&path), 1);
        std::thread::scope(|scope| {
            let all = &bytes;
            scope.spawn(move || assert!(copy == all));
        });
        drop(dir);
        assert!(end == bytes[PAGE + 1..]);
        assert_eq!(maps_of(&path), 1);
        drop(end);
        assert_eq!(maps_of(&path), 0);
    }
}
