//! What the layer above makes of what is stored, by the mapping that it has now.
//!
//! A document has what was sent and, beside it, what a mapping derived from that under the names of the
//! model. The mapping grows; documents stay as they were made until somebody asks for them again. Then what was sent stays
//! where it is, byte for byte, and what was derived is derived anew: so it takes no record of which mapping made a
//! row, and doing it twice changes nothing. Ids and times stay, and when it came (see [`crate::row::Stamp`]).

use bytes::Bytes;

use crate::body::Content;
use crate::cost::{NoCosts, costed};
use crate::doc::DocError;
use crate::fold::Parts;
use crate::row::{ProjectId, Table};
use crate::run::Run;

/// What a mapping makes of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// It says that already.
    Same,
    /// It says something else: this.
    Other(Vec<u8>),
    /// Nobody can tell: what it was derived from is not in it.
    Left,
}

/// Makes documents anew. The same answer for the same document, for as long as the process runs.
pub trait Mapping: Send + Sync + std::fmt::Debug {
    /// The document of one event of a row of this table.
    fn map(&self, table: Table, doc: &[u8]) -> Mapped;
}

/// Leaves everything as it was stored.
#[derive(Clone, Copy, Debug)]
pub struct AsStored;

impl Mapping for AsStored {
    fn map(&self, _: Table, _: &[u8]) -> Mapped {
        Mapped::Left
    }
}

/// A row, made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Again {
    /// It says the same.
    Same,
    /// It says something else, with no cost worked out yet.
    Other(Content),
    /// Of none of its events can anybody tell.
    Left,
}

/// Makes the events of a row anew, and the row of them.
pub fn map_again(
    mapping: &dyn Mapping,
    table: Table,
    content: Content,
    (start_ns, end_ns): (i64, Option<i64>),
) -> Result<Again, DocError> {
    if table == Table::Runs {
        return run_again(mapping, &content.body(), (start_ns, end_ns));
    }
    // What follows from prices is in no event, but stands in the one document of a row that was read from a segment.
    let (plain, _) = costed(&NoCosts, (ProjectId(0), start_ns), content)?;
    let mut parts = Parts::from_body(&plain.body(), start_ns, end_ns)?;
    Ok(match parts_again(mapping, table, &mut parts) {
        None => Again::Left,
        Some(false) => Again::Same,
        Some(true) => Again::Other(parts.content()),
    })
}

/// The same of a run, whose row also has what its spans say.
fn run_again(
    mapping: &dyn Mapping,
    body: &Bytes,
    (start_ns, end_ns): (i64, Option<i64>),
) -> Result<Again, DocError> {
    let mut run = Run::from_body(body, start_ns, end_ns)?;
    if run.parts.is_empty() {
        return Ok(Again::Same);
    }
    Ok(match parts_again(mapping, Table::Runs, &mut run.parts) {
        None => Again::Left,
        Some(false) => Again::Same,
        Some(true) => Again::Other(Content::Folded(run.body())),
    })
}

/// Whether any event says something else now; none if of none of them anybody can tell.
fn parts_again(mapping: &dyn Mapping, table: Table, parts: &mut Parts) -> Option<bool> {
    let (mut changed, mut known) = (false, false);
    parts.replace_docs(|doc| {
        let mapped = mapping.map(table, doc);
        known |= mapped != Mapped::Left;
        let Mapped::Other(new) = mapped else {
            return None;
        };
        changed = true;
        Some(Bytes::from(new))
    });
    known.then_some(changed)
}
