//! The master secret's file: made once, never written again. Owns its bytes.
//!
//! ```text
//! magic "obsrvsec", version u8 = 1, 32 secret bytes, CRC-32 u32 LE over everything before
//! ```

use std::io;

use crate::keys::MasterSecret;
use obsrv_engine::io::{Disk, FileId, FileKind, Rng};

const MAGIC: &[u8; 8] = b"obsrvsec";
const VERSION: u8 = 1;
const BYTES: usize = 8 + 1 + 32 + 4;

/// The file. Lower numbers are the engine's.
pub(crate) const FILE: FileId = FileId::new(FileKind::Secret, 2);

/// Why there is no master secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The disk refused.
    #[error("disk refused file={FILE}")]
    Io(#[from] io::Error),
    /// Not the bytes that were written.
    #[error("master secret is damaged file={FILE}")]
    Damaged,
}

/// Reads the master secret, or makes it in a directory that has none.
pub(crate) fn load_or_create(disk: &dyn Disk, rng: &dyn Rng) -> Result<MasterSecret, SecretError> {
    if disk.list()?.contains(&FILE) {
        let file = disk.open(FILE)?;
        if file.len()? != u64::try_from(BYTES).unwrap_or(u64::MAX) {
            return Err(SecretError::Damaged);
        }
        let mut bytes = [0; BYTES];
        file.read_at(0, &mut bytes)?;
        return parse(&bytes).ok_or(SecretError::Damaged);
    }
    let mut secret = [0; 32];
    rng.fill(&mut secret);
    let file = disk.create(FILE)?;
    file.write_at(0, &bytes_of(&secret))?;
    file.sync_data()?;
    disk.publish(FILE)?;
    disk.sync_dir()?;
    Ok(MasterSecret::from_bytes(secret))
}

fn bytes_of(secret: &[u8; 32]) -> Vec<u8> {
    let mut bytes = [&MAGIC[..], &[VERSION], secret].concat();
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

fn parse(bytes: &[u8; BYTES]) -> Option<MasterSecret> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let secret = body.strip_prefix(MAGIC)?.strip_prefix(&[VERSION])?;
    Some(MasterSecret::from_bytes(secret.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bit_may_change() {
        let bytes: [u8; BYTES] = bytes_of(&[7; 32]).try_into().unwrap();
        assert!(parse(&bytes).is_some());
        for at in 0..BYTES * 8 {
            let mut edited = bytes;
            edited[at / 8] ^= 1 << (at % 8);
            assert!(parse(&edited).is_none(), "bit {at}");
        }
    }
}
