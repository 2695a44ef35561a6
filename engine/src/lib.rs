//! The storage engine: rows, memtable, segments, bitmaps, manifest, compaction, query.
//!
//! Synchronous, a few named threads; knows nothing of HTTP, JSON, tokio or the wall clock.
//! `ARCHITECTURE.md` at the root has the code map; `FORMAT.md` beside this crate the bytes.
#![deny(missing_docs)]

pub mod body;
pub mod boundary;
mod columns;
pub mod cost;
pub mod doc;
pub mod engine;
pub mod fold;
pub mod manifest;
pub mod mapping;
pub mod memtable;
pub mod model;
mod mutant;
pub mod query;
pub mod row;
pub mod run;
pub mod segment;
mod share;
pub mod source;
mod text;

/// Shows every form of a text but itself, then what changes from one to the next: for fuzzing.
#[cfg(feature = "forge")]
pub fn text_forms(text: &str, visit: &mut dyn FnMut(&str)) {
    text::escape::any_form(text, &mut |form| {
        visit(form);
        false
    });
    text::escape::each_change(text, visit);
}

#[cfg(feature = "mutants")]
pub use mutant::Bug;
pub use obsrv_wal::io;
pub use share::share_caches;
