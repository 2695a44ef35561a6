//! The bytes of a position inside a cursor. They never leave the MAC's cover, but a cursor made by
//! an older binary may come back, so they have a version (that of the cursor) and are read with
//! care.

use bincode::{Decode, Encode};

use super::error::{ApiError, ErrorCode};
use crate::limits::CURSOR_BYTES_MAX;
use obsrv_engine::query::{Position, SortKey};

#[derive(Encode, Decode)]
struct Stored {
    key: Option<StoredKey>,
    trace_id: String,
    id: String,
    lsn: u64,
}

#[derive(Encode, Decode)]
enum StoredKey {
    Bool(bool),
    I64(i64),
    F64(u64),
    Str(String),
}

/// The bytes of a position.
pub(crate) fn encode(position: &Position) -> Vec<u8> {
    let key = position.key.as_ref().map(|key| match key {
        SortKey::Bool(b) => StoredKey::Bool(*b),
        SortKey::I64(n) => StoredKey::I64(*n),
        SortKey::F64(n) => StoredKey::F64(n.to_bits()),
        SortKey::Str(text) => StoredKey::Str(text.to_string()),
    });
    let stored = Stored {
        key,
        trace_id: position.trace_id.clone(),
        id: position.id.clone(),
        lsn: position.lsn,
    };
    bincode::encode_to_vec(&stored, bincode::config::standard())
        .expect("BUG: encoding into memory failed")
}

/// Reads a position.
pub(crate) fn decode(bytes: &[u8]) -> Result<Position, ApiError> {
    let config = bincode::config::standard().with_limit::<CURSOR_BYTES_MAX>();
    let refused = || ApiError::new(ErrorCode::InvalidCursor, "cursor does not read").at("cursor");
    let (stored, used): (Stored, usize) =
        bincode::decode_from_slice(bytes, config).map_err(|_| refused())?;
    if used != bytes.len() {
        return Err(refused());
    }
    let key = stored.key.map(|key| match key {
        StoredKey::Bool(b) => SortKey::Bool(b),
        StoredKey::I64(n) => SortKey::I64(n),
        StoredKey::F64(bits) => SortKey::F64(f64::from_bits(bits)),
        StoredKey::Str(text) => SortKey::Str(text.into()),
    });
    Ok(Position {
        key,
        trace_id: stored.trace_id,
        id: stored.id,
        lsn: stored.lsn,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_read_back_and_cuts_are_refused() {
        let keys = [
            None,
            Some(SortKey::Bool(true)),
            Some(SortKey::I64(-7)),
            Some(SortKey::F64(-0.5)),
            Some(SortKey::Str("ü".into())),
        ];
        for key in keys {
            let position = Position {
                key,
                trace_id: "t".into(),
                id: "i".into(),
                lsn: 9,
            };
            let bytes = encode(&position);
            assert_eq!(decode(&bytes).unwrap(), position);
            for end in 0..bytes.len() {
                assert!(decode(&bytes[..end]).is_err());
            }
        }
    }

    /// The longest position that a row can make is a cursor that comes back.
    #[test]
    fn the_longest_position_fits_a_cursor() {
        let id = "i".repeat(crate::dialect::ID_BYTES_MAX);
        let key = Some(SortKey::Str("k".repeat(96).into()));
        let position = Position {
            key,
            trace_id: id.clone(),
            id,
            lsn: u64::MAX,
        };
        assert!((encode(&position).len() + 17) * 4 / 3 < CURSOR_BYTES_MAX);
    }
}
