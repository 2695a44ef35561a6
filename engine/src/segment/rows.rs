//! Inline sections: whole rows one behind the other.
//!
//! ```text
//! row   trace id sized, id sized, start zigzag, has end u8, duration zigzag if it has one,
//!       first LSN varint, last minus first LSN zigzag, body sized
//! ```

use bytes::Bytes;

use super::RowInput;
use super::wire::{Bad, Cursor, put_len, put_sized, put_varint, put_zigzag};
use crate::body::Content;
use crate::row::RowKey;

pub(super) fn put(out: &mut Vec<u8>, row: &RowInput) {
    put_sized(out, row.key.trace_id.as_bytes());
    put_sized(out, row.key.id.as_bytes());
    put_zigzag(out, row.start_ns);
    out.push(u8::from(row.end_ns.is_some()));
    if let Some(end) = row.end_ns {
        put_zigzag(out, end.wrapping_sub(row.start_ns));
    }
    put_varint(out, row.lsn_first);
    put_zigzag(out, row.lsn_last.wrapping_sub(row.lsn_first).cast_signed());
    put_len(out, row.content.body_len());
    row.content.put_body(out);
}

pub(super) fn read(cursor: &mut Cursor) -> Result<RowInput, Bad> {
    let key = RowKey {
        trace_id: cursor.text()?,
        id: cursor.text()?,
    };
    let start_ns = cursor.zigzag()?;
    let end_ns = match cursor.u8()? {
        0 => None,
        1 => Some(start_ns.wrapping_add(cursor.zigzag()?)),
        _ => return Err(Bad("row end")),
    };
    let lsn_first = cursor.varint()?;
    let lsn_last = lsn_first.wrapping_add(cursor.zigzag()?.cast_unsigned());
    Ok(RowInput {
        key,
        start_ns,
        end_ns,
        lsn_first,
        lsn_last,
        content: Content::Folded(cursor.sized()?),
    })
}

/// All rows of a frame; there must be `rows`.
pub(super) fn read_all(frame: Bytes, rows: u32) -> Result<Vec<RowInput>, Bad> {
    let mut cursor = Cursor(frame);
    let mut out = Vec::new();
    for _ in 0..rows {
        out.push(read(&mut cursor)?);
    }
    cursor.end()?;
    Ok(out)
}
