//! A session → a run of its own.

use obsrv_engine::doc::DocRef;
use obsrv_engine::model::{self, status};
use obsrv_engine::row::{Event, Table};

use super::{DIALECT, PREFIX, text_of};
use crate::dialect::bad::Bad;
use crate::dialect::pieces::{Piece, Times, check_count, kept_name, key};
use crate::dialect::place::Said;
use crate::dialect::theta::check::{Want, check, time_of};
use crate::dialect::version_of;

/// Fields of a session: its name, the row's, what it must be.
const FIELDS: [(&str, &str, Want); 6] = [
    ("id", "", Want::Id),
    ("name", model::NAME, Want::Text),
    ("started_at", "", Want::Time),
    ("ended_at", "", Want::Time),
    ("meta", "meta", Want::Any),
    ("labels", model::METADATA, Want::Metadata),
];

/// Reads a session; of two that are alike the one of the later export stands.
pub(super) fn read(session: DocRef<'_>, generated_ns: Option<i64>) -> Result<Event, Bad> {
    let wants: Vec<(&str, Want)> = FIELDS
        .iter()
        .map(|(sent, _, want)| (*sent, *want))
        .collect();
    check(session, &wants)?;
    check_count(session.entries().into_iter().flatten().count())?;
    let id = text_of(session, "id").ok_or_else(|| Bad::new("id", "missing"))?;
    let times = Times {
        start_ns: time_of(session.get("started_at")),
        end_ns: time_of(session.get("ended_at")),
    };
    let mut piece = Piece::new(Table::Runs, DIALECT);
    let state = if times.end_ns.is_some() {
        status::SUCCESS
    } else {
        status::RUNNING
    };
    piece.text(model::STATUS, Some(state));
    piece.text("run_type", Some("session"));
    piece.text(model::GROUP, Some(id));
    write(&mut piece, session, &FIELDS)?;
    Said::of_metadata(session.get("labels")).write(&mut piece.out);
    let version = version_of(generated_ns.or(times.end_ns), times.end_ns.is_some());
    Ok(piece.event(key(id, id), times, version, false))
}

/// The fields under their names in the row, and what no table names below `aiobs.`.
pub(super) fn write(
    piece: &mut Piece,
    of: DocRef<'_>,
    fields: &[(&str, &str, Want)],
) -> Result<(), Bad> {
    for (name, value) in of.entries().into_iter().flatten().flatten() {
        match fields.iter().find(|(sent, _, _)| *sent == name) {
            _ if value == DocRef::Null => {}
            Some((_, "", _)) => {}
            Some((_, row, _)) => piece.value(row, value),
            None => piece.value(&kept_name(PREFIX, name)?, value),
        }
    }
    Ok(())
}
