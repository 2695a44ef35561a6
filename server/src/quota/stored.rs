//! Counts as rows of the store, in a project that no key opens.
//!
//! Why rows and not control events: a control event is kept for ever, and counts change all the
//! time; of a row only the newest version is kept. Why not recomputed from what is stored: bytes
//! and queries are in no row, and rows are deleted. One row per meter and month: table scores,
//! trace `usage/2026-11`, id `project/1` or `organization/1`. Its version is the meter's step.

use bytes::Bytes;
use obsrv_engine::body;
use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::engine::{Engine, StoredRow};
use obsrv_engine::row::{Event, ProjectId, RowKey, Table};
use obsrv_engine::source::SourceError;

use super::amounts::Amounts;
use super::calendar::Day;
use super::meter::{Meter, Used};

/// Whose rows they are: the last id that there is.
pub(super) const PROJECT: ProjectId = ProjectId(u64::MAX);

/// Whose counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Owner {
    Project(u64),
    Organization(u64),
}

impl Owner {
    fn text(self) -> String {
        match self {
            Self::Project(id) => format!("project/{id}"),
            Self::Organization(id) => format!("organization/{id}"),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once('/')?;
        let id = id.parse().ok()?;
        match kind {
            "project" => Some(Self::Project(id)),
            "organization" => Some(Self::Organization(id)),
            _ => None,
        }
    }
}

fn trace_of(day: Day) -> String {
    format!("usage/{}", day.month_text())
}

const NAMES: [&str; 4] = ["traces", "spans", "bytes", "queries"];

/// The row of a meter.
pub(super) fn event(owner: Owner, meter: &Meter) -> Event {
    let mut out = DocWriter::new();
    let open = out.begin_map();
    for (key, amounts) in [("month", meter.used.month), ("day", meter.used.day)] {
        out.key(key);
        let open = out.begin_map();
        let values = [
            amounts.traces,
            amounts.spans,
            amounts.bytes,
            amounts.queries,
        ];
        for (name, value) in NAMES.iter().zip(values) {
            out.key(name);
            out.u64(value);
        }
        out.end(open);
    }
    out.key("reported");
    out.u64(meter.used.reported);
    out.key("day_number");
    out.i64(meter.at.number);
    out.end(open);
    Event {
        table: Table::Scores,
        key: RowKey {
            trace_id: trace_of(meter.at).into(),
            id: owner.text().into(),
        },
        start_ns: Some(meter.at.end_ns()),
        end_ns: None,
        version: meter.step,
        partial: false,
        doc: Bytes::from(out.finish()),
    }
}

/// All meters of the month of this day.
pub(super) fn load(engine: &Engine, today: Day) -> Result<Vec<(Owner, Meter)>, SourceError> {
    let rows = engine.snapshot().trace(PROJECT, &trace_of(today))?;
    Ok(rows
        .scores
        .iter()
        .filter_map(|row| read(row, today))
        .collect())
}

fn read(row: &StoredRow, today: Day) -> Option<(Owner, Meter)> {
    let owner = Owner::parse(&row.core.id)?;
    let body = body::decode(&row.body).ok()?;
    let doc = DocRef::parse(body.view).ok()?;
    let whole = |value: Option<DocRef<'_>>| match value {
        Some(DocRef::I64(n)) => u64::try_from(n).unwrap_or(0),
        Some(DocRef::U64(n)) => n,
        _ => 0,
    };
    let amounts = |key: &str| Amounts {
        traces: whole(doc.at(&[key, "traces"])),
        spans: whole(doc.at(&[key, "spans"])),
        bytes: whole(doc.at(&[key, "bytes"])),
        queries: whole(doc.at(&[key, "queries"])),
    };
    let used = Used {
        day: amounts("day"),
        month: amounts("month"),
        reported: whole(doc.get("reported")),
    };
    let number = doc.get("day_number")?.as_i64()?;
    let step = body.stamp.version;
    Some((
        owner,
        Meter {
            at: Day { number, ..today },
            used,
            step,
            dirty: false,
        },
    ))
}
