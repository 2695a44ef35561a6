//! What a delete is about.

use crate::row::{ProjectId, RowKey, Table};

/// What a delete is about: rows that are there when its record is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Every row of a trace.
    Trace(Box<str>),
    /// The run of a trace with its spans and scores. Its log lines stay.
    Run(Box<str>),
    /// These log lines. At most a few thousand: the record has them all.
    Logs(Vec<RowAt>),
    /// These points; no more than of log lines.
    Points(Vec<RowAt>),
    /// These scores; no more than of log lines.
    Scores(Vec<RowAt>),
}

/// A row and its start, nanoseconds since the epoch, by which segments are passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowAt {
    /// Which.
    pub key: RowKey,
    /// Its start.
    pub start_ns: i64,
}

/// The tables that have rows of a trace and are deleted with its run.
const OF_RUN: [Table; 3] = [Table::Runs, Table::Spans, Table::Scores];

/// What a deletion comes to, for those who carry it out.
pub(super) enum Aim<'a> {
    Cluster(&'a str, &'static [Table]),
    Rows(Table, &'a [RowAt]),
}

impl Deletion {
    pub(super) fn aim(&self) -> Aim<'_> {
        match self {
            Self::Trace(trace_id) => Aim::Cluster(trace_id, &Table::ALL),
            Self::Run(trace_id) => Aim::Cluster(trace_id, &OF_RUN),
            Self::Logs(rows) => Aim::Rows(Table::Logs, rows),
            Self::Points(rows) => Aim::Rows(Table::Points, rows),
            Self::Scores(rows) => Aim::Rows(Table::Scores, rows),
        }
    }

    /// Bytes of its ids.
    pub(super) fn bytes(&self) -> usize {
        match self.aim() {
            Aim::Cluster(trace_id, _) => trace_id.len(),
            Aim::Rows(_, rows) => rows.iter().map(RowAt::bytes).sum(),
        }
    }
}

impl RowAt {
    pub(super) fn bytes(&self) -> usize {
        16 + self.key.trace_id.len() + self.key.id.len()
    }
}

/// Kind 3 for a whole trace, kind 4 for all else: see [`super::record`].
const OF_A_RUN: u8 = 1;
const OF_LOGS: u8 = 2;
const OF_POINTS: u8 = 3;
const OF_SCORES: u8 = 4;

/// The bytes of a deletion of part of a project, behind their version.
pub(super) fn encode(project: ProjectId, deletion: &Deletion, out: &mut Vec<u8>) {
    let what = match deletion {
        Deletion::Trace(_) => None,
        Deletion::Run(_) => Some(OF_A_RUN),
        Deletion::Logs(_) => Some(OF_LOGS),
        Deletion::Points(_) => Some(OF_POINTS),
        Deletion::Scores(_) => Some(OF_SCORES),
    };
    out.extend(what);
    out.extend_from_slice(&project.0.to_le_bytes());
    match deletion.aim() {
        Aim::Cluster(trace_id, _) => out.extend_from_slice(trace_id.as_bytes()),
        Aim::Rows(_, rows) => encode_rows(rows, out),
    }
}

/// The bytes of rows, one behind the other.
pub(super) fn encode_rows(rows: &[RowAt], out: &mut Vec<u8>) {
    rows.iter().for_each(|row| encode_row(row, out));
}

fn encode_row(row: &RowAt, out: &mut Vec<u8>) {
    out.extend_from_slice(&row.start_ns.to_le_bytes());
    for part in [&row.key.trace_id, &row.key.id] {
        let len = u32::try_from(part.len()).expect("BUG: an id over 4 GiB");
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(part.as_bytes());
    }
}

/// Reads one behind its version. `None` when bytes are missing, left over or of no known meaning.
pub(super) fn decode(is_of_trace: bool, bytes: &[u8]) -> Option<(ProjectId, Deletion)> {
    let (what, rest) = if is_of_trace {
        (None, bytes)
    } else {
        let (what, rest) = bytes.split_first()?;
        (Some(*what), rest)
    };
    let (project, rest) = rest.split_first_chunk::<8>()?;
    let cluster = || std::str::from_utf8(rest).ok().map(Box::from);
    let deletion = match what {
        None => Deletion::Trace(cluster()?),
        Some(OF_A_RUN) => Deletion::Run(cluster()?),
        Some(OF_LOGS) => Deletion::Logs(decode_rows(rest)?),
        Some(OF_POINTS) => Deletion::Points(decode_rows(rest)?),
        Some(OF_SCORES) => Deletion::Scores(decode_rows(rest)?),
        Some(_) => return None,
    };
    Some((ProjectId(u64::from_le_bytes(*project)), deletion))
}

/// Reads them back.
pub(super) fn decode_rows(mut bytes: &[u8]) -> Option<Vec<RowAt>> {
    let mut rows = Vec::new();
    while !bytes.is_empty() {
        let (start, rest) = bytes.split_first_chunk::<8>()?;
        let (trace_id, rest) = decode_text(rest)?;
        let (id, rest) = decode_text(rest)?;
        rows.push(RowAt {
            key: RowKey { trace_id, id },
            start_ns: i64::from_le_bytes(*start),
        });
        bytes = rest;
    }
    Some(rows)
}

fn decode_text(bytes: &[u8]) -> Option<(Box<str>, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    Some((std::str::from_utf8(text).ok()?.into(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<RowAt> {
        let row = |trace_id: &str, id: &str, start_ns| RowAt {
            key: RowKey {
                trace_id: trace_id.into(),
                id: id.into(),
            },
            start_ns,
        };
        vec![row("~a", "1", -5), row("", "é", i64::MAX)]
    }

    #[test]
    fn reads_back_and_notices_every_cut() {
        for deletion in [
            Deletion::Trace("t".into()),
            Deletion::Run("t".into()),
            Deletion::Logs(rows()),
            Deletion::Points(rows()),
            Deletion::Scores(rows()),
            Deletion::Points(Vec::new()),
        ] {
            let is_of_trace = matches!(deletion, Deletion::Trace(_));
            let mut bytes = Vec::new();
            encode(ProjectId(8), &deletion, &mut bytes);
            let read = decode(is_of_trace, &bytes);
            assert_eq!(read, Some((ProjectId(8), deletion.clone())));
            for end in 0..bytes.len() {
                let read = decode(is_of_trace, &bytes[..end]);
                assert_ne!(read, Some((ProjectId(8), deletion.clone())), "cut at {end}");
            }
        }
        assert_eq!(decode(false, &[9; 20]), None);
    }

    #[test]
    fn the_bytes_are_those_of_version_1() {
        let mut bytes = Vec::new();
        encode(ProjectId(8), &Deletion::Logs(rows()), &mut bytes);
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let first = "fbffffffffffffff020000007e610100000031";
        let second = "ffffffffffffff7f0000000002000000c3a9";
        assert_eq!(hex, format!("020800000000000000{first}{second}"));
    }
}
