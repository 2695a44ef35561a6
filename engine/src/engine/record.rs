//! WAL records: what the log holds for each change of state.
//!
//! ```text
//! kind 1 ingest   version u8, flags u8 (1: body in a side file), envelope len u32 LE,
//!                 envelope (bincode, standard configuration), then the body as received, or
//!                 side file number u64 LE, length u64 LE, CRC-32 u32 LE
//! kind 2 control  the event of the layer above, opaque
//! kind 3 delete   version u8, project u64 LE, trace id UTF-8: every row of the trace
//! kind 4 delete   version u8, what u8, project u64 LE, then
//!                 what 1: trace id UTF-8: its run, spans and scores
//!                 what 2 log lines, 3 points: per row start i64 LE, trace id, id,
//!                 each as length u32 LE and UTF-8
//! kind 5 price    version u8, project u64 LE, then the trace id and any number of span ids,
//!                 each as length u32 LE and UTF-8: what these spans cost is worked out again
//! kind 6 map      version u8, table u8, project u64 LE, then rows as in a delete of log lines: what was
//!                 derived from what was sent of these rows is derived again
//! ```

use bincode::config::{self, Configuration, Limit};
use bincode::{Decode, Encode};

use super::deletion::{self, Deletion, RowAt};
use crate::row::{Event, ProjectId, Table};

const VERSION: u8 = 1;
const FLAG_SIDE: u8 = 1;
const ENVELOPE_BYTES_MAX: usize = 1 << 20;

pub(super) const KIND_INGEST: u8 = 1;
pub(super) const KIND_CONTROL: u8 = 2;
pub(super) const KIND_DELETE: u8 = 3;
pub(super) const KIND_DELETE_PART: u8 = 4;
pub(super) const KIND_PRICE: u8 = 5;
pub(super) const KIND_MAP: u8 = 6;

/// What stands before a request body in the log: all that is needed to read it again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Whose.
    pub project: u64,
    /// The key that sent it.
    pub key_id: u64,
    /// How the body is to be read: a number of the layer above.
    pub dialect: u16,
    /// Content encoding of the body: a number of the layer above.
    pub encoding: u8,
    /// Version of the mapping that read it.
    pub mapping: u16,
    /// When it was received, nanoseconds since the epoch.
    pub received_ns: i64,
    /// What the path named, e.g. the trace of an annotation.
    pub subject: String,
    /// The project that the body named, when it is not the key's.
    pub named_project: Option<String>,
    /// Items that were rejected, by index.
    pub rejected: Vec<u32>,
    /// Digest of the row ids, filled in by the engine.
    pub digest: u64,
}

/// Version 1 on disk. bincode has no schema: never reorder or change these fields.
#[derive(Encode, Decode)]
struct EnvelopeV1 {
    project: u64,
    key_id: u64,
    dialect: u16,
    encoding: u8,
    mapping: u16,
    received_ns: i64,
    subject: String,
    named_project: Option<String>,
    rejected: Vec<u32>,
    digest: u64,
}

/// A side file that holds a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SideRef {
    pub(super) number: u64,
    pub(super) len: u64,
    pub(super) crc: u32,
}

/// A record, borrowed from its frame.
#[derive(Debug, PartialEq)]
pub(super) enum RecordRef<'a> {
    Ingest {
        envelope: Envelope,
        body: BodyRef<'a>,
    },
    Control(&'a [u8]),
    Delete {
        project: ProjectId,
        deletion: Deletion,
    },
    Price {
        project: ProjectId,
        trace_id: &'a str,
        spans: Vec<&'a str>,
    },
    Map {
        project: ProjectId,
        table: Table,
        rows: Vec<RowAt>,
    },
}

/// Where an ingest record's body is.
#[derive(Debug, PartialEq)]
pub(super) enum BodyRef<'a> {
    Inline(&'a [u8]),
    Side(SideRef),
}

/// Why a record does not read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Written by another version.
    #[error("unknown record version found={0} known={VERSION}")]
    Version(u8),
    /// Of a kind that this version does not know.
    #[error("unknown record kind={0}")]
    Kind(u8),
    /// Bytes missing or left over.
    #[error("record is cut short")]
    Short,
    /// As the codec says.
    #[error("envelope does not decode")]
    Decode(#[from] bincode::error::DecodeError),
}

fn codec() -> Configuration<config::LittleEndian, config::Varint, Limit<ENVELOPE_BYTES_MAX>> {
    config::standard().with_limit::<ENVELOPE_BYTES_MAX>()
}

/// The bytes before the body of an ingest record.
pub(super) fn ingest_head(envelope: &Envelope, side: Option<SideRef>) -> Vec<u8> {
    let e = envelope.clone();
    let stored = EnvelopeV1 {
        project: e.project,
        key_id: e.key_id,
        dialect: e.dialect,
        encoding: e.encoding,
        mapping: e.mapping,
        received_ns: e.received_ns,
        subject: e.subject,
        named_project: e.named_project,
        rejected: e.rejected,
        digest: e.digest,
    };
    let mut out = vec![
        VERSION,
        if side.is_some() { FLAG_SIDE } else { 0 },
        0,
        0,
        0,
        0,
    ];
    let len = bincode::encode_into_std_write(&stored, &mut out, codec())
        .expect("BUG: writing to memory failed");
    let len = u32::try_from(len).expect("BUG: envelope over 4 GiB");
    if let Some(slot) = out.get_mut(2..6) {
        slot.copy_from_slice(&len.to_le_bytes());
    }
    if let Some(side) = side {
        out.extend_from_slice(&side.number.to_le_bytes());
        out.extend_from_slice(&side.len.to_le_bytes());
        out.extend_from_slice(&side.crc.to_le_bytes());
    }
    out
}

/// Kind and bytes of a delete record.
pub(super) fn delete(project: ProjectId, deletion: &Deletion) -> (u8, Vec<u8>) {
    let kind = match deletion {
        Deletion::Trace(_) => KIND_DELETE,
        _ => KIND_DELETE_PART,
    };
    let mut out = vec![VERSION];
    deletion::encode(project, deletion, &mut out);
    (kind, out)
}

/// Bytes of a price record.
pub(super) fn price(project: ProjectId, trace_id: &str, spans: &[Box<str>]) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend_from_slice(&project.0.to_le_bytes());
    for id in std::iter::once(trace_id).chain(spans.iter().map(|id| &**id)) {
        let len = u32::try_from(id.len()).expect("BUG: an id over 4 GiB");
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(id.as_bytes());
    }
    out
}

fn read_price(bytes: &[u8]) -> Option<RecordRef<'_>> {
    let (project, mut rest) = bytes.split_first_chunk::<8>()?;
    let mut ids = Vec::new();
    while !rest.is_empty() {
        let (len, behind) = rest.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        let (id, behind) = behind.split_at_checked(len)?;
        ids.push(std::str::from_utf8(id).ok()?);
        rest = behind;
    }
    let mut ids = ids.into_iter();
    Some(RecordRef::Price {
        project: ProjectId(u64::from_le_bytes(*project)),
        trace_id: ids.next()?,
        spans: ids.collect(),
    })
}

/// Bytes of a map record.
pub(super) fn map(project: ProjectId, table: Table, rows: &[RowAt]) -> Vec<u8> {
    let mut out = vec![VERSION, table as u8];
    out.extend_from_slice(&project.0.to_le_bytes());
    deletion::encode_rows(rows, &mut out);
    out
}

fn read_map(bytes: &[u8]) -> Option<RecordRef<'_>> {
    let (table, rest) = bytes.split_first()?;
    let (project, rest) = rest.split_first_chunk::<8>()?;
    Some(RecordRef::Map {
        project: ProjectId(u64::from_le_bytes(*project)),
        table: Table::from_u8(*table)?,
        rows: deletion::decode_rows(rest)?,
    })
}

/// Reads a record.
pub(super) fn decode(kind: u8, bytes: &[u8]) -> Result<RecordRef<'_>, RecordError> {
    match kind {
        KIND_INGEST => decode_ingest(bytes),
        KIND_CONTROL => Ok(RecordRef::Control(bytes)),
        KIND_DELETE | KIND_DELETE_PART => {
            let rest = versioned(bytes)?;
            let read = deletion::decode(kind == KIND_DELETE, rest);
            let (project, deletion) = read.ok_or(RecordError::Short)?;
            Ok(RecordRef::Delete { project, deletion })
        }
        KIND_PRICE => read_price(versioned(bytes)?).ok_or(RecordError::Short),
        KIND_MAP => read_map(versioned(bytes)?).ok_or(RecordError::Short),
        other => Err(RecordError::Kind(other)),
    }
}

fn versioned(bytes: &[u8]) -> Result<&[u8], RecordError> {
    let (version, rest) = bytes.split_first().ok_or(RecordError::Short)?;
    if *version == VERSION {
        Ok(rest)
    } else {
        Err(RecordError::Version(*version))
    }
}

fn decode_ingest(bytes: &[u8]) -> Result<RecordRef<'_>, RecordError> {
    let rest = versioned(bytes)?;
    let (&flags, rest) = rest.split_first().ok_or(RecordError::Short)?;
    let (len, rest) = rest.split_first_chunk::<4>().ok_or(RecordError::Short)?;
    let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| RecordError::Short)?;
    let (stored, rest) = rest.split_at_checked(len).ok_or(RecordError::Short)?;
    let (e, used): (EnvelopeV1, usize) = bincode::decode_from_slice(stored, codec())?;
    if used != stored.len() {
        return Err(RecordError::Short);
    }
    let envelope = Envelope {
        project: e.project,
        key_id: e.key_id,
        dialect: e.dialect,
        encoding: e.encoding,
        mapping: e.mapping,
        received_ns: e.received_ns,
        subject: e.subject,
        named_project: e.named_project,
        rejected: e.rejected,
        digest: e.digest,
    };
    let body = if flags & FLAG_SIDE == 0 {
        BodyRef::Inline(rest)
    } else {
        side_ref(rest)?
    };
    Ok(RecordRef::Ingest { envelope, body })
}

fn side_ref(bytes: &[u8]) -> Result<BodyRef<'_>, RecordError> {
    let (number, rest) = bytes.split_first_chunk::<8>().ok_or(RecordError::Short)?;
    let (len, rest) = rest.split_first_chunk::<8>().ok_or(RecordError::Short)?;
    let crc: &[u8; 4] = rest.try_into().map_err(|_| RecordError::Short)?;
    Ok(BodyRef::Side(SideRef {
        number: u64::from_le_bytes(*number),
        len: u64::from_le_bytes(*len),
        crc: u32::from_le_bytes(*crc),
    }))
}

/// xxh3-64 over table and ids of the events, in order: equal when a later binary reads the same
/// rows out of the same body.
pub(super) fn digest(events: &[Event]) -> u64 {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for event in events {
        hash.update(&[event.table as u8]);
        for part in [&event.key.trace_id, &event.key.id] {
            hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part.as_bytes());
        }
    }
    hash.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope {
        Envelope {
            project: 3,
            key_id: 4,
            dialect: 1,
            encoding: 3,
            mapping: 1,
            received_ns: -7,
            subject: "tr_1".into(),
            named_project: Some("x".into()),
            rejected: vec![300],
            digest: 9,
        }
    }

    #[test]
    fn reads_back() {
        let mut bytes = ingest_head(&envelope(), None);
        bytes.extend_from_slice(b"body");
        let body = BodyRef::Inline(b"body");
        assert_eq!(
            decode(KIND_INGEST, &bytes).unwrap(),
            RecordRef::Ingest {
                envelope: envelope(),
                body
            }
        );
        let side = SideRef {
            number: 5,
            len: 6,
            crc: 7,
        };
        let bytes = ingest_head(&envelope(), Some(side));
        let body = BodyRef::Side(side);
        assert_eq!(
            decode(KIND_INGEST, &bytes).unwrap(),
            RecordRef::Ingest {
                envelope: envelope(),
                body
            }
        );
        for end in 0..bytes.len() {
            assert!(decode(KIND_INGEST, &bytes[..end]).is_err(), "cut at {end}");
        }
        for (kind, deletion) in [
            (KIND_DELETE, Deletion::Trace("t".into())),
            (KIND_DELETE_PART, Deletion::Run("t".into())),
        ] {
            let project = ProjectId(8);
            let (found, bytes) = delete(project, &deletion);
            let read = decode(found, &bytes).unwrap();
            assert_eq!(
                (found, read),
                (kind, RecordRef::Delete { project, deletion })
            );
            assert!(matches!(decode(9, &bytes), Err(RecordError::Kind(9))));
        }
    }

    #[test]
    fn a_price_record_reads_back() {
        let bytes = price(ProjectId(8), "té", &["s".into(), "".into()]);
        let (project, trace_id) = (ProjectId(8), "té");
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "0108000000000000000300000074c3a9010000007300000000");
        let read = decode(KIND_PRICE, &bytes).unwrap();
        let spans = vec!["s", ""];
        let expected = RecordRef::Price {
            project,
            trace_id,
            spans,
        };
        assert_eq!(read, expected);
        // Cut between two ids it reads as one with fewer of them.
        let whole = [16, 21];
        for end in (0..bytes.len()).filter(|end| !whole.contains(end)) {
            assert!(decode(KIND_PRICE, &bytes[..end]).is_err(), "cut at {end}");
        }
        let alone = price(ProjectId(8), "t", &[]);
        assert!(
            matches!(decode(KIND_PRICE, &alone), Ok(RecordRef::Price { spans, .. }) if spans.is_empty())
        );
        let mut no_text = bytes.clone();
        no_text[14] = 0xff;
        assert!(decode(KIND_PRICE, &no_text).is_err());
    }

    #[test]
    fn a_map_record_reads_back() {
        let row = |trace_id: &str, id: &str, start_ns| RowAt {
            key: crate::row::RowKey {
                trace_id: trace_id.into(),
                id: id.into(),
            },
            start_ns,
        };
        let (project, table) = (ProjectId(8), Table::Points);
        let rows = vec![row("t", "é", -5), row("", "s", 6)];
        let bytes = map(project, table, &rows);
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let first = "fbffffffffffffff010000007402000000c3a9";
        let second = "0600000000000000000000000100000073";
        assert_eq!(hex, format!("01040800000000000000{first}{second}"));
        let read = decode(KIND_MAP, &bytes).unwrap();
        let expected = RecordRef::Map {
            project,
            table,
            rows,
        };
        assert_eq!(read, expected);
        // Cut behind the head or between two rows it reads as one with fewer of them.
        let whole = [10, 29];
        for end in (0..bytes.len()).filter(|end| !whole.contains(end)) {
            assert!(decode(KIND_MAP, &bytes[..end]).is_err(), "cut at {end}");
        }
        let mut no_table = bytes;
        no_table[1] = 9;
        assert!(decode(KIND_MAP, &no_table).is_err());
    }

    #[test]
    fn the_bytes_are_those_of_version_1() {
        let bytes = ingest_head(&envelope(), None);
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "01001300000003040103010d0474725f3101017801fb2c0109");
    }
}
