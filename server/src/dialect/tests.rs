//! What holds of several dialects.

mod clients;
mod keys;
mod reported;

use obsrv_engine::doc::DocRef;
use obsrv_engine::mapping::Mapped;
use obsrv_engine::row::Event;

/// Whatever any test reads: what the mapping made of it, it makes of the row again.
pub(super) fn maps_to_itself(event: &Event) {
    if let Mapped::Other(new) = super::map(event.table, &event.doc) {
        let shown = |doc| super::doc_json::to_text(DocRef::parse(doc).unwrap());
        panic!("{} became {}", shown(&event.doc), shown(&new));
    }
}
