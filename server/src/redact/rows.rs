//! Rows as the log holds them when the body as received must not be there. Owns their bytes, which
//! `FORMAT.md` beside this file describes.

use bytes::Bytes;
use obsrv_engine::doc::DocRef;
use obsrv_engine::row::{Event, RowKey, Table};

/// Stands in an envelope in the place of a dialect's number. Persisted: no dialect may have it.
pub const DIALECT_NUMBER: u16 = 1024;
/// A document without fields.
pub(super) const EMPTY_DOCUMENT: &[u8] = &[8, 0, 0, 0, 0];

const VERSION: u8 = 1;
const HAS_START: u8 = 1;
const HAS_END: u8 = 2;
const PARTIAL: u8 = 4;

/// Why bytes are not rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowsError {
    /// Written by a newer obsrv.
    #[error("rows of an unknown version found={0} known={VERSION}")]
    Version(u8),
    /// Cut short, or bytes behind the last row.
    #[error("rows have the wrong length")]
    Length,
    /// A field that no row has.
    #[error("row does not read place={place} field={field}")]
    Field {
        /// Which row.
        place: usize,
        /// Which field of it.
        field: &'static str,
    },
}

/// The bytes of rows.
pub fn encode(events: &[Event]) -> Vec<u8> {
    let texts = |e: &Event| e.key.trace_id.len() + e.key.id.len() + e.doc.len() + 48;
    let mut out = Vec::with_capacity(8 + events.iter().map(texts).sum::<usize>());
    out.push(VERSION);
    put_varint(&mut out, wide(events.len()));
    for event in events {
        out.push(table_number(event.table));
        out.push(flags_of(event));
        for text in [&event.key.trace_id, &event.key.id] {
            put_sized(&mut out, text.as_bytes());
        }
        for time in [event.start_ns, event.end_ns].into_iter().flatten() {
            out.extend_from_slice(&time.to_le_bytes());
        }
        out.extend_from_slice(&event.version.to_le_bytes());
        put_sized(&mut out, &event.doc);
    }
    out
}

fn flags_of(event: &Event) -> u8 {
    let flag = |on: bool, flag: u8| if on { flag } else { 0 };
    flag(event.start_ns.is_some(), HAS_START)
        | flag(event.end_ns.is_some(), HAS_END)
        | flag(event.partial, PARTIAL)
}

/// Reads rows. What it takes, the engine can store.
pub fn decode(bytes: &[u8]) -> Result<Vec<Event>, RowsError> {
    let (&version, mut rest) = bytes.split_first().ok_or(RowsError::Length)?;
    if version != VERSION {
        return Err(RowsError::Version(version));
    }
    let count = take_varint(&mut rest)?;
    let mut events = Vec::new();
    for place in 0..usize::try_from(count).map_err(|_| RowsError::Length)? {
        events.push(decode_one(&mut rest, place)?);
    }
    if rest.is_empty() {
        Ok(events)
    } else {
        Err(RowsError::Length)
    }
}

fn decode_one(rest: &mut &[u8], place: usize) -> Result<Event, RowsError> {
    let bad = |field: &'static str| RowsError::Field { place, field };
    let [table, flags] = take_array(rest)?;
    let table = Table::from_u8(table).ok_or_else(|| bad("table"))?;
    if flags & !(HAS_START | HAS_END | PARTIAL) != 0 {
        return Err(bad("flags"));
    }
    let mut text = |field: &'static str| {
        let bytes = take_sized(rest)?;
        std::str::from_utf8(bytes)
            .map(Box::from)
            .map_err(|_| bad(field))
    };
    let key = RowKey {
        trace_id: text("trace_id")?,
        id: text("id")?,
    };
    if key.trace_id.is_empty() {
        return Err(bad("trace_id"));
    }
    let mut time = |flag: u8| -> Result<Option<i64>, RowsError> {
        Ok(match flags & flag {
            0 => None,
            _ => Some(i64::from_le_bytes(take_array(rest)?)),
        })
    };
    let (start_ns, end_ns) = (time(HAS_START)?, time(HAS_END)?);
    let version = u64::from_le_bytes(take_array(rest)?);
    let doc = take_sized(rest)?;
    let value = DocRef::parse(doc).map_err(|_| bad("document"))?;
    if value.entries().is_none() || value.validate().is_err() {
        return Err(bad("document"));
    }
    Ok(Event {
        table,
        key,
        start_ns,
        end_ns,
        version,
        partial: flags & PARTIAL != 0,
        doc: Bytes::copy_from_slice(doc),
    })
}

#[expect(clippy::as_conversions, reason = "the discriminant of a repr(u8) enum")]
const fn table_number(table: Table) -> u8 {
    table as u8
}

fn wide(n: usize) -> u64 {
    u64::try_from(n).expect("BUG: usize over 64 bits")
}

fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, wide(bytes.len()));
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], RowsError> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(RowsError::Length)?;
    *rest = tail;
    Ok(*head)
}

fn take_sized<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], RowsError> {
    let length = usize::try_from(take_varint(rest)?).map_err(|_| RowsError::Length)?;
    let (head, tail) = rest.split_at_checked(length).ok_or(RowsError::Length)?;
    *rest = tail;
    Ok(head)
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, RowsError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let [byte] = take_array(rest)?;
        let low = u64::from(byte & 0x7f);
        if shift == 63 && low > 1 {
            return Err(RowsError::Length);
        }
        value |= low << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(RowsError::Length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use obsrv_engine::doc::DocWriter;

    fn event(table: Table, start_ns: Option<i64>, end_ns: Option<i64>, partial: bool) -> Event {
        let mut out = DocWriter::new();
        let open = out.begin_map();
        out.key("name");
        out.str("n");
        out.end(open);
        Event {
            table,
            key: RowKey {
                trace_id: "t1".into(),
                id: "s".into(),
            },
            start_ns,
            end_ns,
            version: 0x8000_0000_0000_0001,
            partial,
            doc: Bytes::from(out.finish()),
        }
    }

    #[test]
    fn bytes_are_golden_and_read_back() {
        let events = [
            event(Table::Spans, Some(5), Some(-1), false),
            event(Table::Scores, None, None, true),
        ];
        let golden = "01 02\
            02 03 027431 0173 0500000000000000 ffffffffffffffff 0100000000000080\
            13 080e000000 04000000 6e616d65 05010000006e\
            05 04 027431 0173 0100000000000080\
            13 080e000000 04000000 6e616d65 05010000006e";
        let bytes = encode(&events);
        let hex = crate::keys::hex(&bytes);
        assert_eq!(hex, golden.replace([' ', '\n'], ""));
        assert_eq!(decode(&bytes).unwrap(), events);
        assert_eq!(decode(&encode(&[])).unwrap(), []);
    }

    #[test]
    fn every_cut_and_every_lie_is_refused() {
        let bytes = encode(&[event(Table::Runs, Some(1), None, true)]);
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(decode(&longer), Err(RowsError::Length));
        let with = |at: usize, byte: u8| {
            let mut edited = bytes.clone();
            edited[at] = byte;
            decode(&edited)
        };
        assert_eq!(with(0, 2), Err(RowsError::Version(2)));
        for (at, byte, field) in [(2, 9, "table"), (3, 8, "flags"), (5, 0xff, "trace_id")] {
            assert_eq!(
                with(at, byte),
                Err(RowsError::Field { place: 0, field }),
                "{field}"
            );
        }
        // A count of 2^63 rows takes no memory.
        let lie = [&[VERSION][..], &[0xff; 9], &[1]].concat();
        assert_eq!(decode(&lie), Err(RowsError::Length));
    }
}
