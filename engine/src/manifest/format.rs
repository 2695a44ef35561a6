//! The bytes of manifest records: a version byte, then bincode (standard configuration) of the
//! shapes below. Described in `FORMAT.md`; new fields mean a new version.

use bincode::config::{self, Configuration, Limit};
use bincode::{Decode, Encode};
use bytes::Bytes;
use roaring::RoaringBitmap;

use super::{Edit, SectionMeta, SegmentMeta, State};
use crate::memtable::Marks;
use crate::row::{Lsn, ProjectId, Table};

/// 2: rows may have costs and the log records that price them again; 3: it may have records that map rows again. Earlier
/// versions know nothing of these; the bytes of a manifest record are the same in all of them. 4: it ends with how far the
/// log goes. Every open writes a checkpoint, so what opened a directory once is what it says from then on.
const VERSION: u8 = 4;
const VERSION_MIN: u8 = 1;
/// The first that says how far the log goes.
const VERSION_LOGGED: u8 = 4;
const DECODE_BYTES_MAX: usize = 256 << 20;

/// Why a manifest record does not read.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Written by a newer or unknown version.
    #[error("unknown manifest version found={0} known={VERSION_MIN}..={VERSION}")]
    Version(u8),
    /// A record of an unknown kind.
    #[error("unknown manifest record kind={0}")]
    Kind(u8),
    /// Bytes missing, left over or out of range.
    #[error("manifest record is malformed what={0}")]
    Malformed(&'static str),
    /// As the codec says.
    #[error("manifest record does not decode")]
    Decode(#[from] bincode::error::DecodeError),
}

#[derive(Encode, Decode)]
struct SegmentV1 {
    number: u64,
    level: u8,
    bytes: u64,
    sections: Vec<(u64, u8, u32, i64, i64)>,
}

type DeadV1 = Vec<(u64, u64, u8, Vec<u8>)>;

#[derive(Encode, Decode)]
struct StateV1 {
    segments: Vec<SegmentV1>,
    dead: DeadV1,
    watermark: u64,
    next_number: u64,
    controls: Vec<(u64, Vec<u8>)>,
}

#[derive(Encode, Decode)]
struct EditV1 {
    state: StateV1,
    remove: Vec<u64>,
}

fn codec() -> Configuration<config::LittleEndian, config::Varint, Limit<DECODE_BYTES_MAX>> {
    config::standard().with_limit::<DECODE_BYTES_MAX>()
}

fn encode<T: Encode>(value: &T) -> Vec<u8> {
    let mut out = vec![VERSION];
    bincode::encode_into_std_write(value, &mut out, codec())
        .expect("BUG: writing to memory failed");
    out
}

/// A record, and how far the log went; 0 if it is of a version that does not say.
fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<(T, Lsn), FormatError> {
    let (version, rest) = bytes.split_first().ok_or(FormatError::Malformed("empty"))?;
    if !(VERSION_MIN..=VERSION).contains(version) {
        return Err(FormatError::Version(*version));
    }
    let (value, used) = if *version >= VERSION_LOGGED {
        bincode::decode_from_slice(rest, codec())?
    } else {
        let (value, used) = bincode::decode_from_slice(rest, codec())?;
        ((value, 0), used)
    };
    if used == rest.len() {
        Ok(value)
    } else {
        Err(FormatError::Malformed("trailing bytes"))
    }
}

pub(super) fn encode_state(state: &State) -> Vec<u8> {
    let said = StateV1 {
        segments: state
            .segments
            .iter()
            .map(|(n, m)| segment_out(*n, m))
            .collect(),
        dead: dead_out(&state.dead),
        watermark: state.watermark,
        next_number: state.next_number,
        controls: controls_out(&state.controls),
    };
    encode(&(said, state.logged))
}

pub(super) fn decode_state(bytes: &[u8]) -> Result<State, FormatError> {
    let (state, logged) = decode(bytes)?;
    state_in(state, logged)
}

pub(super) fn encode_edit(edit: &Edit) -> Vec<u8> {
    let said = EditV1 {
        state: StateV1 {
            segments: edit.add.iter().map(|(n, m)| segment_out(*n, m)).collect(),
            dead: dead_out(&edit.dead),
            watermark: edit.watermark,
            next_number: edit.next_number,
            controls: controls_out(&edit.controls),
        },
        remove: edit.remove.clone(),
    };
    encode(&(said, edit.logged))
}

pub(super) fn decode_edit(bytes: &[u8]) -> Result<Edit, FormatError> {
    let (EditV1 { state, remove }, logged) = decode(bytes)?;
    let state = state_in(state, logged)?;
    Ok(Edit {
        add: state.segments.into_iter().collect(),
        remove,
        dead: state.dead,
        watermark: state.watermark,
        next_number: state.next_number,
        controls: state.controls,
        logged: state.logged,
    })
}

fn segment_out(number: u64, meta: &SegmentMeta) -> SegmentV1 {
    let section = |s: &SectionMeta| (s.project.0, s.table as u8, s.rows, s.start_min, s.start_max);
    let sections = meta.sections.iter().map(section).collect();
    SegmentV1 {
        number,
        level: meta.level,
        bytes: meta.bytes,
        sections,
    }
}

fn segment_in(segment: SegmentV1) -> Result<(u64, SegmentMeta), FormatError> {
    let section = |(project, table, rows, start_min, start_max)| {
        Ok(SectionMeta {
            project: ProjectId(project),
            table: table_in(table)?,
            rows,
            start_min,
            start_max,
        })
    };
    let sections: Result<_, FormatError> = segment.sections.into_iter().map(section).collect();
    let meta = SegmentMeta {
        level: segment.level,
        bytes: segment.bytes,
        sections: sections?,
    };
    Ok((segment.number, meta))
}

fn state_in(state: StateV1, logged: Lsn) -> Result<State, FormatError> {
    let segments: Result<_, FormatError> = state.segments.into_iter().map(segment_in).collect();
    Ok(State {
        segments: segments?,
        dead: dead_in(state.dead)?,
        watermark: state.watermark,
        next_number: state.next_number,
        controls: state
            .controls
            .into_iter()
            .map(|(l, b)| (l, Bytes::from(b)))
            .collect(),
        logged,
    })
}

fn dead_out(dead: &Marks) -> DeadV1 {
    let one = |(&(number, project, table), rows): (&(u64, ProjectId, Table), &RoaringBitmap)| {
        let mut bytes = Vec::with_capacity(rows.serialized_size());
        rows.serialize_into(&mut bytes)
            .expect("BUG: writing to memory failed");
        (number, project.0, table as u8, bytes)
    };
    dead.iter().map(one).collect()
}

fn dead_in(dead: DeadV1) -> Result<Marks, FormatError> {
    let one = |(number, project, table, bytes): (u64, u64, u8, Vec<u8>)| {
        let rows = RoaringBitmap::deserialize_from(bytes.as_slice())
            .map_err(|_| FormatError::Malformed("bitmap"))?;
        Ok(((number, ProjectId(project), table_in(table)?), rows))
    };
    dead.into_iter().map(one).collect()
}

fn table_in(table: u8) -> Result<Table, FormatError> {
    Table::from_u8(table).ok_or(FormatError::Malformed("table"))
}

fn controls_out(controls: &[(Lsn, Bytes)]) -> Vec<(u64, Vec<u8>)> {
    controls
        .iter()
        .map(|(lsn, body)| (*lsn, body.to_vec()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit() -> Edit {
        let section = SectionMeta {
            project: ProjectId(3),
            table: Table::Spans,
            rows: 9,
            start_min: -1,
            start_max: 5,
        };
        let meta = SegmentMeta {
            level: 1,
            bytes: 77,
            sections: vec![section],
        };
        Edit {
            add: vec![(4, meta)],
            remove: vec![1, 2],
            dead: [(
                (2, ProjectId(3), Table::Runs),
                [1u32, 5].into_iter().collect(),
            )]
            .into(),
            watermark: 8,
            next_number: 5,
            controls: vec![(6, Bytes::from_static(b"key"))],
            logged: 9,
        }
    }

    #[test]
    fn reads_back_and_refuses_every_cut() {
        let bytes = encode_edit(&edit());
        assert_eq!(decode_edit(&bytes).unwrap(), edit());
        for end in 0..bytes.len() {
            assert!(decode_edit(&bytes[..end]).is_err(), "cut at {end}");
        }
        let mut other = bytes;
        for version in [0, 5] {
            other[0] = version;
            let said = decode_edit(&other).unwrap_err();
            let expected = format!("unknown manifest version found={version} known=1..=4");
            assert_eq!(said.to_string(), expected);
        }
    }

    #[test]
    fn earlier_versions_do_not_say_how_far_the_log_goes() {
        let mut bytes = encode_edit(&edit());
        let said = bytes.pop();
        assert_eq!(said, Some(9));
        let without = Edit {
            logged: 0,
            ..edit()
        };
        for version in [1, 2, 3] {
            bytes[0] = version;
            assert_eq!(decode_edit(&bytes).unwrap(), without, "{version}");
        }
        bytes[0] = VERSION;
        assert!(decode_edit(&bytes).is_err());
    }

    #[test]
    fn a_state_reads_back() {
        let mut state = State {
            next_number: 1,
            ..State::default()
        };
        state.apply(&edit());
        assert_eq!(decode_state(&encode_state(&state)).unwrap(), state);
    }
}
