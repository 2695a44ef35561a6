//! What a dialect made of a body, without what rules find in it.

use bytes::Bytes;
use obsrv_engine::row::{Event, RowKey, Table};

use super::document::{Refused, Walk};
use super::scan::{self, RedactError, Work};
use super::{Counts, Redactor};
use crate::dialect::{DOCS_BYTES_MAX, Decoded, Item};

/// What a client is told of an item that a dialect refused. The dialect's own words quote the body,
/// cut where a rule would no longer know what it sees.
const REFUSED: &str = "refused; in a project with redaction rules errors do not repeat the body";
/// Why a row was refused.
const MEDIA: &str = "holds bytes or a data url, which the project's redaction rules refuse";
/// How an annotation's id begins: the rest is a hash of what it says.
const ANNOTATION: &str = "sc_";
const ANNOTATION_HEX: usize = 32;

impl Redactor {
    /// The rows to store and the items to answer. `give_up` is asked now and then.
    pub(crate) fn decoded(
        &self,
        decoded: Decoded,
        give_up: &dyn Fn() -> bool,
    ) -> Result<Decoded, RedactError> {
        self.decoded_within(
            decoded,
            &mut Work::new(give_up, DOCS_BYTES_MAX, &mut |_| {}),
        )
    }

    fn decoded_within(
        &self,
        decoded: Decoded,
        work: &mut Work<'_>,
    ) -> Result<Decoded, RedactError> {
        let mut items = Vec::with_capacity(decoded.items.len());
        for item in decoded.items {
            items.push(self.item(item, work)?);
        }
        let mut events = Vec::with_capacity(decoded.events.len());
        for (index, event) in decoded.events.into_iter().enumerate() {
            work.check_time()?;
            let key = self.row_key(event.table, &event.key, work)?;
            match Walk::new(self, work).document(&event.doc) {
                Ok(doc) => events.push(Event { key, doc, ..event }),
                Err(Refused::Media) => items.push(Item {
                    index,
                    kind: kind_of(event.table),
                    trace_id: Some(key.trace_id.into()),
                    id: Some(key.id.into()),
                    error: Some(MEDIA.to_owned()),
                }),
                Err(Refused::All(error)) => return Err(error),
            }
        }
        let named_project = match decoded.named_project {
            Some(name) => Some(scan::text(&self.rules, &name, work)?.into_owned()),
            None => None,
        };
        Ok(Decoded {
            events,
            items,
            digest: decoded.digest,
            named_project,
        })
    }

    /// A text that is not in a body: a name in a header.
    pub fn text(&self, name: &str) -> String {
        let mut found = |_| {};
        let mut work = Work::new(&|| false, DOCS_BYTES_MAX, &mut found);
        scan::text(&self.rules, name, &mut work).map_or_else(|_| String::new(), Into::into)
    }

    /// What a client is told of a body that was refused as a whole.
    pub(crate) const fn refusal() -> &'static str {
        REFUSED
    }

    fn item(&self, item: Item, work: &mut Work<'_>) -> Result<Item, RedactError> {
        let trace_id = match item.trace_id {
            Some(id) => Some(self.id_within(&id, work)?.into_owned()),
            None => None,
        };
        let id = match item.id {
            Some(id) => Some(self.item_id(&id, work)?),
            None => None,
        };
        Ok(Item {
            trace_id,
            id,
            error: item.error.map(|_| REFUSED.to_owned()),
            ..item
        })
    }

    fn item_id(&self, id: &str, work: &mut Work<'_>) -> Result<String, RedactError> {
        if is_content_hash(id) {
            return Ok(self.pseudonym(ANNOTATION, id));
        }
        Ok(self.id_within(id, work)?.into_owned())
    }

    fn row_key(
        &self,
        table: Table,
        key: &RowKey,
        work: &mut Work<'_>,
    ) -> Result<RowKey, RedactError> {
        let id = match table {
            Table::Scores => self.item_id(&key.id, work)?,
            _ => self.id_within(&key.id, work)?.into_owned(),
        };
        let trace_id = self.id_within(&key.trace_id, work)?;
        Ok(RowKey {
            trace_id: (&*trace_id).into(),
            id: id.into(),
        })
    }

    /// What the rules find in a document, and what is left of it; `None`: the row is refused.
    pub(crate) fn try_on(
        &self,
        doc: &Bytes,
        give_up: &dyn Fn() -> bool,
    ) -> Result<(Option<Bytes>, Counts), RedactError> {
        let mut counts = Counts::new();
        let mut found = |rule| *counts.entry(self.rule_name(rule).to_owned()).or_insert(0) += 1;
        let mut work = Work::new(give_up, DOCS_BYTES_MAX, &mut found);
        let after = match Walk::new(self, &mut work).document(doc) {
            Ok(doc) => Some(doc),
            Err(Refused::Media) => None,
            Err(Refused::All(error)) => return Err(error),
        };
        Ok((after, counts))
    }
}

/// The id of an annotation says, to who guesses its words, that the guess is right.
fn is_content_hash(id: &str) -> bool {
    id.strip_prefix(ANNOTATION).is_some_and(|rest| {
        rest.len() == ANNOTATION_HEX && rest.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

const fn kind_of(table: Table) -> &'static str {
    match table {
        Table::Runs => "run",
        Table::Spans => "span",
        Table::Logs => "log",
        Table::Points => "point",
        Table::Scores => "score",
    }
}
