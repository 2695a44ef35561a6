//! Counts as rows of the store, in a project that no key opens.
//!
//! Why rows and not control events: a control event is kept for ever, and counts change all the
//! time; of a row only the newest version is kept. Why not recomputed from what is stored: bytes
//! and queries are in no row, and rows are deleted. One row per meter and month: table scores,
//! trace `usage/2026-11`, id `project/1`, `organization/1`, `project/1/key/7f` or `project/1/others`.
//! Its version is the meter's step.

use bytes::Bytes;
use obsrv_engine::body;
use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::engine::{Engine, StoredRow};
use obsrv_engine::row::{Event, ProjectId, RowKey, Table};
use obsrv_engine::source::SourceError;

use super::amounts::Amounts;
use super::calendar::Day;
use super::meter::{Meter, Used};
use super::{NO_KEY, User};

/// Whose rows they are: the last id that there is.
pub(super) const PROJECT: ProjectId = ProjectId(u64::MAX);

/// Whose counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Owner {
    Project(u64),
    Organization(u64),
    /// Of a project: a key, or [`NO_KEY`].
    Key(u64, u64),
    /// Of a project: its keys that are not counted apart.
    OtherKeys(u64),
}

impl Owner {
    fn text(self) -> String {
        match self {
            Self::Project(id) => format!("project/{id}"),
            Self::Organization(id) => format!("organization/{id}"),
            Self::Key(project, key) => format!("project/{project}/key/{key:x}"),
            Self::OtherKeys(project) => format!("project/{project}/others"),
        }
    }

    /// Who this is among the users of a project.
    pub(super) const fn user(self) -> Option<User> {
        match self {
            Self::Key(_, NO_KEY) => Some(User::People),
            Self::Key(_, key) => Some(User::Key(key)),
            Self::OtherKeys(_) => Some(User::OtherKeys),
            Self::Project(_) | Self::Organization(_) => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (kind, id) = (parts.next()?, parts.next()?.parse().ok()?);
        match (kind, parts.next(), parts.next(), parts.next()) {
            ("project", None, None, None) => Some(Self::Project(id)),
            ("project", Some("others"), None, None) => Some(Self::OtherKeys(id)),
            ("project", Some("key"), Some(key), None) => {
                Some(Self::Key(id, u64::from_str_radix(key, 16).ok()?))
            }
            ("organization", None, None, None) => Some(Self::Organization(id)),
            _ => None,
        }
    }
}

/// Whether a text names whose use is counted; it is the only text that does: for fuzzing.
#[cfg(feature = "forge")]
pub(crate) fn owner_reads(text: &str) -> bool {
    let Some(owner) = Owner::parse(text) else {
        return false;
    };
    assert_eq!(
        Owner::parse(&owner.text()),
        Some(owner),
        "BUG: an owner reads as another"
    );
    true
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_owner_is_known_by_its_row() {
        let owners = [
            Owner::Project(1),
            Owner::Organization(2),
            Owner::Key(3, NO_KEY),
            Owner::Key(3, u64::MAX),
            Owner::OtherKeys(3),
        ];
        for owner in owners {
            assert_eq!(Owner::parse(&owner.text()), Some(owner));
        }
        assert_eq!(Owner::Key(3, 0x7f).text(), "project/3/key/7f");
        for text in [
            "",
            "project",
            "project/x",
            "project/1/key",
            "project/1/key/x",
            "project/1/others/2",
            "team/1",
            "organization/1/others",
        ] {
            assert_eq!(Owner::parse(text), None, "{text}");
        }
    }
}
