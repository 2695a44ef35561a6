//! Tests decided on a row's document: for values too long for a column.

use super::ast::Test;
use super::value::test_leaf;
use crate::doc::{DEPTH_MAX, DocError, DocRef};
use crate::model;
use crate::model::score::{Fact, LABEL, Words};
use crate::source::{Column, Core};

/// Whether some value of `column` passes.
pub(super) fn passes(
    column: &Column,
    test: &Test,
    core: &Core,
    doc: DocRef<'_>,
) -> Result<bool, DocError> {
    let mut passed = false;
    leaves(column, core, doc, &mut |leaf| {
        passed = test_leaf(test, leaf);
        passed
    })?;
    Ok(passed)
}

/// Calls `visit` for every leaf of `column` except nulls until it answers true.
pub(super) fn leaves<'a>(
    column: &Column,
    core: &'a Core,
    doc: DocRef<'a>,
    visit: &mut dyn FnMut(DocRef<'a>) -> bool,
) -> Result<(), DocError> {
    let leaf = match column {
        Column::TraceId => DocRef::Str(&core.trace_id),
        Column::Id => DocRef::Str(&core.id),
        Column::Start => DocRef::I64(core.start_ns),
        Column::End => core.end_ns.map_or(DocRef::Null, DocRef::I64),
        Column::Duration => core.end_ns.map_or(DocRef::Null, |end| {
            DocRef::I64(end.saturating_sub(core.start_ns))
        }),
        Column::Path(path) => return at_path(doc, path, 0, 0, visit).map(|_| ()),
        Column::Score(fact) => return of_fact(doc, *fact, visit),
        // No document has it.
        Column::Scored(..) => DocRef::Null,
    };
    if leaf != DocRef::Null {
        visit(leaf);
    }
    Ok(())
}

/// The places of a fact one after another, as [`crate::source`] reads their columns.
fn of_fact<'a>(
    doc: DocRef<'a>,
    fact: Fact,
    visit: &mut dyn FnMut(DocRef<'a>) -> bool,
) -> Result<(), DocError> {
    let mut is_there = false;
    for place in fact.places() {
        let done = at_path(doc, place, 0, 0, &mut |leaf| {
            is_there = true;
            visit(leaf)
        })?;
        if done {
            return Ok(());
        }
        if is_there && !fact.takes_all() {
            break;
        }
    }
    if fact.words() == Words::Beside || fact.words() == Words::Instead && !is_there {
        let is_named = at_path(doc, model::NAME, 0, 0, &mut |_| true)?;
        if is_named {
            at_path(doc, LABEL, 0, 0, visit)?;
        }
    }
    Ok(())
}

/// Walks to the leaves at `path` by the rule of [`crate::doc::flatten`]: arrays collapse, keys are
/// opaque and may hold dots. `done` bytes of the path lead here. Answers whether `visit` did true.
fn at_path<'a>(
    value: DocRef<'a>,
    path: &str,
    done: usize,
    depth: usize,
    visit: &mut dyn FnMut(DocRef<'a>) -> bool,
) -> Result<bool, DocError> {
    if depth > DEPTH_MAX {
        return Err(DocError::Depth);
    }
    match value {
        DocRef::Array(items) => {
            for item in items {
                if at_path(item?, path, done, depth + 1, visit)? {
                    return Ok(true);
                }
            }
        }
        DocRef::Map(entries) => {
            let leads = |key: &[u8]| step(path, done, key).is_some();
            for entry in entries.named(leads) {
                let (key, child) = entry?;
                if let Some(done) = step(path, done, key.as_bytes())
                    && at_path(child, path, done, depth + 1, visit)?
                {
                    return Ok(true);
                }
            }
        }
        DocRef::Null => {}
        leaf => return Ok(done == path.len() && visit(leaf)),
    }
    Ok(false)
}

/// How much of the path is used up below `key`; `None` if the path does not go there. As in
/// `flatten`, no dot follows a path that is still empty.
fn step(path: &str, done: usize, key: &[u8]) -> Option<usize> {
    let rest = path.as_bytes().get(done..)?;
    let rest = if done > 0 {
        rest.strip_prefix(b".")?
    } else {
        rest
    };
    Some(path.len() - rest.strip_prefix(key)?.len())
}
