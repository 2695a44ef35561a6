//! Records of the log and files of the quarantine as bytes: for fuzzing.

use super::deletion::{Deletion, RowAt};
use super::quarantine::{self, Poisoned};
use super::record::{self, BodyRef, Envelope, RecordRef, SideRef};
use crate::row::{ProjectId, RowKey, Table};

/// Whether a record of the log reads. One that does is written as a record that says the same.
pub fn record_reads(kind: u8, bytes: &[u8]) -> bool {
    let Ok(read) = record::decode(kind, bytes) else {
        return false;
    };
    let again = match &read {
        RecordRef::Ingest {
            envelope,
            body: BodyRef::Inline(body),
        } => [&record::ingest_head(envelope, None), *body].concat(),
        RecordRef::Ingest {
            envelope,
            body: BodyRef::Side(side),
        } => record::ingest_head(envelope, Some(*side)),
        RecordRef::Control(body) => body.to_vec(),
        RecordRef::Delete { project, deletion } => record::delete(*project, deletion).1,
        RecordRef::Price {
            project,
            trace_id,
            spans,
        } => {
            let spans: Vec<Box<str>> = spans.iter().map(|id| Box::from(*id)).collect();
            record::price(*project, trace_id, &spans)
        }
        RecordRef::Map {
            project,
            table,
            rows,
        } => record::map(*project, *table, rows),
    };
    let reread = record::decode(kind, &again);
    assert_eq!(
        reread.ok().as_ref(),
        Some(&read),
        "BUG: a record reads as another"
    );
    true
}

/// A record of every sort.
pub fn records() -> Vec<(u8, Vec<u8>)> {
    let envelope = Envelope {
        project: 3,
        key_id: 300,
        dialect: 1,
        encoding: 1,
        mapping: 1,
        received_ns: 1 << 60,
        subject: "trace".into(),
        named_project: Some("other".into()),
        rejected: vec![1, 300],
        digest: u64::MAX,
    };
    let side = SideRef {
        number: 5,
        len: 6,
        crc: 7,
    };
    let project = ProjectId(3);
    let row = |id: &str| RowAt {
        key: RowKey {
            trace_id: "trace".into(),
            id: id.into(),
        },
        start_ns: -1,
    };
    let rows = vec![row("one"), row("two")];
    let inline = [&record::ingest_head(&envelope, None), &b"body"[..]].concat();
    let mut all = vec![
        (record::KIND_INGEST, inline),
        (
            record::KIND_INGEST,
            record::ingest_head(&envelope, Some(side)),
        ),
        (record::KIND_CONTROL, b"event".to_vec()),
        (
            record::KIND_PRICE,
            record::price(project, "trace", &["one".into()]),
        ),
        (record::KIND_MAP, record::map(project, Table::Points, &rows)),
    ];
    let deletions = [
        Deletion::Trace("trace".into()),
        Deletion::Run("trace".into()),
        Deletion::Logs(rows.clone()),
        Deletion::Points(rows.clone()),
        Deletion::Scores(rows),
    ];
    all.extend(
        deletions
            .iter()
            .map(|deletion| record::delete(project, deletion)),
    );
    all
}

/// Whether a file of the quarantine reads.
pub fn quarantined(bytes: &[u8]) -> bool {
    quarantine::parse(bytes, [0; 16], 1).is_some()
}

/// A file of the quarantine.
pub fn set_aside() -> Vec<u8> {
    let poisoned = Poisoned {
        lsn: 1,
        kind: record::KIND_INGEST,
        reason: "because",
        record: b"record",
        side: b"side",
    };
    let parts = [poisoned.reason.as_bytes(), poisoned.record, poisoned.side];
    let lens = parts.map(|part| u64::try_from(part.len()).unwrap_or(u64::MAX));
    let head = quarantine::header([0; 16], &poisoned, lens, &parts);
    [&head, parts.concat().as_slice()].concat()
}
