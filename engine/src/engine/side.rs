//! Side files: request bodies too large for the log, synced before the record that names them.

use std::sync::Arc;

use bytes::Bytes;
use obsrv_wal::io::{FileId, FileKind};

use super::record::SideRef;
use super::{Engine, IngestError};
use crate::boundary::Store;
use crate::mutant::Bug;

impl Engine {
    /// Writes a body to a file of its own and syncs it. On the caller's thread, so that the commit
    /// thread does not wait for it.
    pub(super) fn write_side(&self, body: &[u8]) -> Result<SideRef, IngestError> {
        let number = self.new_number();
        let id = FileId::new(FileKind::Side, number);
        let write = || {
            if self.planted.has(Bug::SideNotSynced) {
                return self.side_not_synced(id, body);
            }
            let mut upload = self.store.upload(id)?;
            upload.append(body)?;
            upload.put_once()
        };
        match write() {
            Ok(()) => Ok(SideRef {
                number,
                len: u64::try_from(body.len()).unwrap_or(u64::MAX),
                crc: crc(&self.database, number, body),
            }),
            Err(error) => {
                tracing::warn!(%id, %error, "side file not written");
                Err(IngestError::NoSpace)
            }
        }
    }

    fn side_not_synced(&self, id: FileId, body: &[u8]) -> std::io::Result<()> {
        self.disk.create(id)?.write_at(0, body)?;
        self.disk.publish(id)?;
        self.disk.sync_dir()
    }
}

/// Reads a side file and checks every byte of it.
pub(super) fn read(
    store: &Arc<dyn Store>,
    database: &[u8; 16],
    side: SideRef,
) -> std::io::Result<Bytes> {
    let id = FileId::new(FileKind::Side, side.number);
    let failed = |source: std::io::Error| {
        let text = format!("side file does not read file={id} offset=0: {source}");
        std::io::Error::new(source.kind(), text)
    };
    let damaged = || failed(std::io::ErrorKind::InvalidData.into());
    let object = store.open(id).map_err(failed)?;
    if object.len() != side.len {
        return Err(damaged());
    }
    // A disk that refuses once may have been busy with something else (F15).
    let get = || object.get_range(0..side.len);
    let body = get().or_else(|_| get()).map_err(failed)?;
    if crc(database, side.number, &body) == side.crc {
        Ok(body)
    } else {
        Err(damaged())
    }
}

/// Covers the database and the file number, so that a misplaced file is found.
fn crc(database: &[u8; 16], number: u64, body: &[u8]) -> u32 {
    let mut hash = crc32fast::Hasher::new();
    hash.update(database);
    hash.update(&number.to_le_bytes());
    hash.update(body);
    hash.finalize()
}
