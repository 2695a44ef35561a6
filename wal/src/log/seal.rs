//! New files: zero-filled and synced under a temporary name, then named, then the name synced.

use std::io;
use std::sync::Arc;

use super::format::{Frame, HEADER_BYTES, Header, Spot};
use super::link::End;
use super::mutant::{Bug, Planted};
use super::{FILE_BYTES_MAX, Log, LogError, LogOptions, Place, as_u64, file_len};
use crate::io::{Disk, DiskFile, FileId, is_want};

/// Why a file did not get its name.
pub(super) enum Publish {
    /// It was discarded; nothing happened.
    Not(io::Error),
    /// It may have its name, and a crash may take it away again.
    Unknown(io::Error),
}

/// Creates a file without a name: zero-filled and synced.
pub(super) fn prepare(
    disk: &Arc<dyn Disk>,
    id: FileId,
    bytes: u64,
) -> io::Result<Arc<dyn DiskFile>> {
    if bytes > FILE_BYTES_MAX {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    let file = disk.create(id)?;
    let fill = file.zero_fill(bytes).and_then(|()| file.sync_data());
    fill.map_err(|error| discarded(disk, id, error))?;
    Ok(file)
}

/// Discards a file without a name and gives back why.
fn discarded(disk: &Arc<dyn Disk>, id: FileId, error: io::Error) -> io::Error {
    if let Err(second) = disk.discard(id) {
        tracing::warn!(file = %id, error = %second, "unused log file not removed");
    }
    error
}

/// Writes the header of a prepared file, syncs, and gives it its name.
pub(super) fn publish(
    disk: &Arc<dyn Disk>,
    file: &Arc<dyn DiskFile>,
    header: &Header,
    database: [u8; 16],
    planted: Planted,
) -> Result<(), Publish> {
    let written = file
        .write_at(0, &header.encode(database))
        .and_then(|()| file.sync_data());
    written.map_err(|error| Publish::Not(discarded(disk, header.file, error)))?;
    disk.publish(header.file).map_err(Publish::Unknown)?;
    if planted.has(Bug::SkipSyncDir) {
        return Ok(());
    }
    disk.sync_dir().map_err(Publish::Unknown)
}

impl Log {
    /// Puts one new file in the place of all files of a log: it begins with record `base_lsn` and holds
    /// `records`, kind and body of each. For repairs; nobody may have the log open.
    ///
    /// # Errors
    /// `NoSpace`: nothing was changed. After another error the old files may be there beside the new
    /// one, which overrules them; replacing them again is safe.
    pub fn replace(
        disk: &Arc<dyn Disk>,
        options: LogOptions,
        base_lsn: u64,
        records: &[(u8, Vec<u8>)],
    ) -> Result<(), LogError> {
        let unknown = LogError::OutcomeUnknown;
        let mut old = disk.list().map_err(unknown)?;
        old.retain(|file| file.kind == options.kind);
        let seal = Seal {
            disk: Arc::clone(disk),
            options,
            places: Vec::new(),
            before: None,
            number: old.last().map_or(1, |last| last.number + 1),
            base_lsn,
            reset: true,
            planted: Planted::default(),
        };
        let written = seal.write(&mut |out| {
            records
                .iter()
                .for_each(|(kind, body)| out.frame(*kind, &[body]));
        });
        written.map_err(|error| match error {
            Publish::Not(error) if is_want(&error) => LogError::NoSpace,
            Publish::Not(error) | Publish::Unknown(error) => LogError::OutcomeUnknown(error),
        })?;
        for file in old {
            disk.remove(file).map_err(unknown)?;
        }
        disk.sync_dir().map_err(unknown)
    }
}

/// A base file to be.
pub(super) struct Seal {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) options: LogOptions,
    pub(super) places: Vec<Place>,
    /// Where the file before ends.
    pub(super) before: Option<End>,
    pub(super) number: u64,
    pub(super) base_lsn: u64,
    pub(super) reset: bool,
    pub(super) planted: Planted,
}

/// Gathers the frames of a base file.
pub(super) struct Sealing<'a> {
    pub(super) options: &'a LogOptions,
    file: FileId,
    out: Vec<u8>,
    next_lsn: u64,
    synced: u64,
    crc: u32,
    planted: Planted,
}

impl Sealing<'_> {
    pub(super) fn frame(&mut self, kind: u8, parts: &[&[u8]]) {
        let len: usize = parts.iter().map(|p| p.len()).sum();
        let frame = Frame {
            len: u32::try_from(len).expect("BUG: record over 4 GiB"),
            lsn: self.next_lsn,
            durable: self.synced,
            previous_crc: self.crc,
            kind,
            attempt: 0,
        };
        let spot = Spot {
            database: self.options.database,
            file: self.file,
            offset: as_u64(HEADER_BYTES + self.out.len()),
            planted: self.planted,
        };
        self.crc = frame.put(spot, parts, &mut self.out);
        self.next_lsn += 1;
    }
}

impl Seal {
    pub(super) fn write(self, fill: &mut dyn FnMut(&mut Sealing<'_>)) -> Result<Log, Publish> {
        let id = FileId::new(self.options.kind, self.number);
        let mut sealing = Sealing {
            options: &self.options,
            file: id,
            out: Vec::new(),
            next_lsn: self.base_lsn,
            synced: self.base_lsn.saturating_sub(1),
            crc: 0,
            planted: self.planted,
        };
        fill(&mut sealing);
        let Sealing {
            out, next_lsn, crc, ..
        } = sealing;
        let offset = as_u64(HEADER_BYTES + out.len());
        let bytes = self.options.file_bytes.max(offset);
        let file = prepare(&self.disk, id, bytes).map_err(Publish::Not)?;
        let header = Header {
            file: id,
            base: true,
            reset: self.reset,
            len: file_len(bytes),
            base_lsn: self.base_lsn,
            synced_lsn: next_lsn - 1,
        };
        if let Err(error) = file.write_at(as_u64(HEADER_BYTES), &out) {
            return Err(Publish::Not(discarded(&self.disk, id, error)));
        }
        publish(
            &self.disk,
            &file,
            &header,
            self.options.database,
            self.planted,
        )?;
        let mut places = self.places;
        places.push(Place {
            file: id,
            base_lsn: self.base_lsn,
            reset: self.reset,
        });
        Ok(Log {
            disk: self.disk,
            options: self.options,
            places,
            file,
            unlinked: self.before.map(|end| end.link(id)),
            spare: None,
            spare_asked: false,
            next_file: self.number + 1,
            offset,
            group: Vec::new(),
            next_lsn,
            durable_lsn: next_lsn - 1,
            witnessed_lsn: self.base_lsn.saturating_sub(1),
            previous_crc: crc,
            group_start: (next_lsn, crc),
            attempt: 0,
            poisoned: false,
            planted: self.planted,
        })
    }
}
