//! The filter on the columns of one row group: which rows surely pass, and which may.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;

use roaring::RoaringBitmap;

use super::QueryError;
use super::ast::{Literal, Test};
use super::divide::deciding;
use super::guess;
use super::meter::{Meter, len_u64};
use super::plan::{Node, describe};
use super::text::{Pattern, Text};
use super::value::test_scalar;
use crate::body;
use crate::doc::{Scalar, fingerprint};
use crate::model::score::{LABEL, Words};
use crate::source::{Blocks, Column, Core, Probe, Rows, Source, SourceError, Visible};
use crate::text::Phrase;

/// Rows in a row group, as a power of two.
const GROUP_BITS: u32 = 16;

/// What the columns say. `sure` is within `possible`.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) sure: RoaringBitmap,
    pub(super) possible: RoaringBitmap,
}

impl Verdict {
    fn certain(rows: RoaringBitmap) -> Self {
        Self {
            sure: rows.clone(),
            possible: rows,
        }
    }
}

/// How many row groups a source has.
pub(super) fn group_count(source: &dyn Source) -> u32 {
    source.row_count().div_ceil(1 << GROUP_BITS)
}

/// The live rows of a row group.
pub(super) fn live_rows(visible: &Visible<'_>, group: u32) -> RoaringBitmap {
    group_rows(group) & &visible.live
}

fn group_rows(group: u32) -> RoaringBitmap {
    let first = group << GROUP_BITS;
    let mut rows = RoaringBitmap::new();
    rows.insert_range(first..=first | ((1 << GROUP_BITS) - 1));
    rows
}

/// Evaluates a plan on columns, among `within`.
pub(super) fn evaluate(
    node: &Node<'_>,
    source: &dyn Source,
    within: &RoaringBitmap,
    meter: &mut Meter<'_>,
) -> Result<Verdict, QueryError> {
    // Once for each column that it names, and each part that has others.
    meter.check()?;
    Ok(match node {
        Node::All => Verdict::certain(within.clone()),
        Node::And(parts) => conjunction(parts, source, within, meter)?,
        Node::Or(parts) => {
            let mut any = Verdict::certain(RoaringBitmap::new());
            for part in parts {
                let rest = within - &any.sure;
                if rest.is_empty() {
                    break;
                }
                let one = evaluate(part, source, &rest, meter)?;
                any.sure |= one.sure;
                any.possible |= one.possible;
            }
            any
        }
        Node::Not(part) => {
            let one = evaluate(part, source, within, meter)?;
            Verdict {
                sure: within - one.possible,
                possible: within - one.sure,
            }
        }
        Node::Is(column, test) => is(column, test, source, within, meter)?,
        Node::Matches(column, pattern) => matches(column, pattern, source, within, meter)?,
        Node::Text(text) => text_anywhere(text, source, within, meter)?,
        Node::Traces(traces) => Verdict::certain(of_traces(source, traces, within, &mut |n| {
            meter.check_at(n)
        })?),
        Node::Scored(spans) => Verdict::certain(spans.rows(source, within, meter)?),
    })
}

/// Rows that pass all parts. Which is looked at next depends on how many rows the others left; once none is left, none is.
fn conjunction(
    parts: &[Node<'_>],
    source: &dyn Source,
    within: &RoaringBitmap,
    meter: &mut Meter<'_>,
) -> Result<Verdict, QueryError> {
    if let [only] = parts {
        return evaluate(only, source, within, meter);
    }
    let mut all = Verdict::certain(within.clone());
    let mut guesses = guess::of_parts(parts, source, meter)?.to_vec();
    let mut left: Vec<&Node<'_>> = parts.iter().collect();
    while let Some(at) = guess::next(all.possible.len(), &guesses) {
        let (part, guess) = (left.remove(at), guesses.remove(at));
        let before = all.possible.len();
        if before == 0 {
            meter.skip_part(part);
            continue;
        }
        let one = evaluate(part, source, &all.possible, meter)?;
        all.sure &= one.sure;
        all.possible = one.possible;
        meter.note_part(part, guess.of(before), (before, all.possible.len()));
    }
    Ok(all)
}

fn matches(
    column: &Column,
    pattern: &Pattern,
    source: &dyn Source,
    within: &RoaringBitmap,
    meter: &mut Meter<'_>,
) -> Result<Verdict, QueryError> {
    let test = |value: Scalar<'_>| match value {
        Scalar::Str(text) => Some(pattern.is_match(text)),
        Scalar::Long(_) => None,
        _ => Some(false),
    };
    let found = source.matching(column, &test, within)?;
    let possible = &found.sure | &found.verify;
    if found.sure.len() < possible.len() {
        let name = format!("{} =~", column.name());
        meter.explain.verified.insert(name);
        scans(source, &found.verify, meter)?;
    }
    Ok(Verdict {
        sure: found.sure,
        possible,
    })
}

fn text_anywhere(
    text: &Text<'_>,
    source: &dyn Source,
    within: &RoaringBitmap,
    meter: &mut Meter<'_>,
) -> Result<Verdict, QueryError> {
    let narrowed = text.narrow(source)?;
    let possible = if let Some(blocks) = &*narrowed {
        by_index(blocks, source, within, meter)?
    } else {
        scans(source, within, meter)?;
        within.clone()
    };
    if !possible.is_empty() {
        meter.explain.verified.insert(text.name().to_owned());
    }
    Ok(Verdict {
        sure: RoaringBitmap::new(),
        possible,
    })
}

fn is(
    column: &Column,
    test: &Test,
    source: &dyn Source,
    within: &RoaringBitmap,
    meter: &mut Meter<'_>,
) -> Result<Verdict, QueryError> {
    if let Some(all) = by_range(column, test, source, within) {
        let rows = if all {
            within.clone()
        } else {
            RoaringBitmap::new()
        };
        return Ok(Verdict::certain(rows));
    }
    // Rows are found by their traces, instead of comparing each with all.
    if let (Column::TraceId, Test::In(list)) = (column, test)
        && let Some(traces) = texts(list)
    {
        return Ok(Verdict::certain(of_traces(
            source,
            &traces,
            within,
            &mut |n| meter.check_at(n),
        )?));
    }
    let mut left = None;
    if let Test::Eq(Literal::Str(text)) = test {
        left = narrowed(column, text, source, within, meter)?;
    }
    let test_one = |value: Scalar<'_>| test_scalar(test, value);
    let found = source.matching(column, &test_one, left.as_ref().unwrap_or(within))?;
    let possible = &found.sure | &found.verify;
    if found.sure.len() < possible.len() {
        meter.explain.verified.insert(describe(column, test));
        if left.is_none() {
            scans(source, &found.verify, meter)?;
        }
    }
    Ok(Verdict {
        sure: found.sure,
        possible,
    })
}

/// Whether every row passes, or none does, as far as the range of starts of their row group tells:
/// most of what is asked of the newest day is about row groups that lie within it.
fn by_range(
    column: &Column,
    test: &Test,
    source: &dyn Source,
    within: &RoaringBitmap,
) -> Option<bool> {
    let is_ray = matches!(test, Test::Lt(_) | Test::Le(_) | Test::Gt(_) | Test::Ge(_));
    if *column != Column::Start || !is_ray {
        return None;
    }
    let group = within.min()? >> GROUP_BITS;
    if within.max()? >> GROUP_BITS != group {
        return None;
    }
    let (min, max) = source.start_range(group)?;
    let passes = |start| test_scalar(test, Scalar::I64(start));
    match (passes(min)?, passes(max)?) {
        (first, last) if first == last => Some(first),
        _ => None,
    }
}

/// The rows that may have the text in the column, by an index; `None` if there is none that can tell.
fn narrowed(
    column: &Column,
    text: &str,
    source: &dyn Source,
    within: &RoaringBitmap,
    meter: &mut Meter<'_>,
) -> Result<Option<RoaringBitmap>, SourceError> {
    let of_fact;
    let paths: &[&str] = match column {
        Column::Path(path) => &[path],
        Column::Score(fact) => {
            let words = (fact.words() != Words::No).then_some(LABEL);
            of_fact = [fact.places(), words.as_slice()].concat();
            &of_fact
        }
        _ => return Ok(None),
    };
    let mut all = Vec::with_capacity(paths.len());
    for path in paths {
        let Some(blocks) = narrow_value(source, path, text)? else {
            return Ok(None);
        };
        all.push(blocks);
    }
    let mut left = RoaringBitmap::new();
    for blocks in all {
        left |= by_index(&blocks, source, within, meter)?;
    }
    Ok(Some(left))
}

/// The blocks that may have the text at the path: those that have its words anywhere.
fn narrow_value(
    source: &dyn Source,
    path: &str,
    text: &str,
) -> Result<Option<Blocks>, SourceError> {
    let phrase = Phrase::new(text, false);
    let terms = phrase.as_ref().map_or(&[][..], Phrase::terms);
    source.narrow(Probe::Text { path, text, terms })
}

/// The rows among `within` that stand in these blocks.
fn by_index(
    blocks: &Blocks,
    source: &dyn Source,
    within: &RoaringBitmap,
    meter: &mut Meter<'_>,
) -> Result<RoaringBitmap, SourceError> {
    let mut rows = RoaringBitmap::new();
    let (Some(first), Some(last)) = (within.min(), within.max()) else {
        return Ok(rows);
    };
    let mut n = 0;
    for (block, _) in &blocks.left {
        if block.is_disjoint(within) {
            continue;
        }
        rows |= block;
        n += 1;
    }
    meter.explain.blocks_by_index += n;
    let all = source.blocks_between(first, last)?;
    meter.explain.blocks_pruned_by_index += all.saturating_sub(n);
    Ok(rows & within)
}

/// Notes that no index helped to find which of these rows pass.
fn scans(
    source: &dyn Source,
    rows: &RoaringBitmap,
    meter: &mut Meter<'_>,
) -> Result<(), SourceError> {
    if let (Some(first), Some(last)) = (rows.min(), rows.max()) {
        meter.explain.blocks_scanned += source.blocks_between(first, last)?;
    }
    Ok(())
}

/// How many rows of `within` pass a plan of which one part is a single term and the others are
/// decided by columns, and among which rows those that pass are: whole blocks are counted by the
/// index, the rows of the others are decided. `None` if the plan is not of that form.
pub(super) fn count_term(
    node: &Node<'_>,
    visible: &Visible<'_>,
    within: &RoaringBitmap,
    meter: &mut Meter<'_>,
) -> Result<Option<(u64, Verdict)>, QueryError> {
    let Some((text, others)) = node.one_term() else {
        return Ok(None);
    };
    let source = visible.source;
    let narrowed = text.narrow(source)?;
    let Some(blocks) = &*narrowed else {
        return Ok(None);
    };
    let mut passing = by_index(blocks, source, within, meter)?;
    for part in others {
        let one = evaluate(part, source, &passing, meter)?;
        if one.sure.len() < one.possible.len() {
            return Ok(None);
        }
        passing &= one.sure;
    }
    let (mut total, mut sure, mut possible) = (0, RoaringBitmap::new(), RoaringBitmap::new());
    let mut doubt = RoaringBitmap::new();
    for (rows, known) in &blocks.left {
        match known {
            Some(n) if rows.is_subset(&passing) => {
                total += u64::from(*n);
                meter.explain.rows_counted_by_index += u64::from(*n);
                possible |= rows;
            }
            _ => doubt |= &passing & rows,
        }
    }
    if !doubt.is_empty() {
        meter.explain.rows_in_doubt += doubt.len();
        meter.explain.verified.insert(text.name().to_owned());
        sure = deciding(node, visible, &doubt, meter)?;
    }
    total += sure.len();
    possible |= &sure;
    Ok(Some((total, Verdict { sure, possible })))
}

/// The texts of a list; `None` if something else is in it.
fn texts(list: &[Literal]) -> Option<HashSet<&str>> {
    let texts = list.iter().map(|literal| match literal {
        Literal::Str(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// Names of traces.
pub(super) trait TraceSet {
    /// How many.
    fn count(&self) -> usize;
    /// Whether this is one.
    fn has(&self, trace_id: &str) -> bool;
    /// Each of them.
    fn each(&self) -> Box<dyn Iterator<Item = &str> + '_>;
}

impl<T: Borrow<str> + Eq + Hash> TraceSet for HashSet<T> {
    fn count(&self) -> usize {
        self.len()
    }

    fn has(&self, trace_id: &str) -> bool {
        self.contains(trace_id)
    }

    fn each(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.iter().map(Borrow::borrow))
    }
}

/// The rows among `within` that belong to one of the traces. Few traces are looked up one by one,
/// many are tested on the column, a row group at a time. `pause` is called with the number of each that is looked at.
pub(super) fn of_traces<E: From<SourceError>>(
    source: &dyn Source,
    traces: &impl TraceSet,
    within: &RoaringBitmap,
    pause: Pause<'_, E>,
) -> Result<RoaringBitmap, E> {
    if len_u64(traces.count()) <= within.len() / 8 {
        let mut rows = RoaringBitmap::new();
        for (trace, n) in traces.each().zip(0u64..) {
            pause(n)?;
            rows |= source.trace_rows(trace)?;
        }
        return Ok(rows & within);
    }
    let mut longs = HashSet::new();
    for (trace, n) in traces.each().zip(0u64..) {
        pause(n)?;
        longs.insert(fingerprint(trace.as_bytes()));
    }
    let test = |value: Scalar<'_>| match value {
        Scalar::Str(id) => Some(traces.has(id)),
        Scalar::Long(hash) if longs.contains(&hash) => None,
        _ => Some(false),
    };
    let mut sure = RoaringBitmap::new();
    for within in by_group(within) {
        pause(0)?;
        let found = source.matching(&Column::TraceId, &test, &within)?;
        sure |= found.sure;
        for (row, n) in found.verify.iter().zip(0u64..) {
            pause(n)?;
            if traces.has(&source.core(row)?.trace_id) {
                sure.insert(row);
            }
        }
    }
    Ok(sure)
}

/// Called with the numbers of things that are looked at one by one; an error ends that.
pub(super) type Pause<'a, E> = &'a mut dyn FnMut(u64) -> Result<(), E>;

/// The rows of each row group that has any.
fn by_group(rows: &RoaringBitmap) -> Vec<RoaringBitmap> {
    let (Some(first), Some(last)) = (rows.min(), rows.max()) else {
        return Vec::new();
    };
    let groups = (first >> GROUP_BITS)..=(last >> GROUP_BITS);
    let of_group = groups.map(|group| group_rows(group) & rows);
    of_group.filter(|rows| !rows.is_empty()).collect()
}

/// Decides one row that the columns left in doubt.
pub(super) fn decide(
    node: &Node<'_>,
    (visible, rows): (&Visible<'_>, &mut dyn Rows),
    row: u32,
    core: &Core,
    meter: &mut Meter<'_>,
) -> Result<bool, QueryError> {
    with_document((visible, rows), row, meter, |doc| node.passes(core, doc))
}

/// Reads the row's document and hands it to `look`.
pub(super) fn with_document<T>(
    (visible, rows): (&Visible<'_>, &mut dyn Rows),
    row: u32,
    meter: &mut Meter<'_>,
    look: impl FnOnce(crate::doc::DocRef<'_>) -> Result<T, crate::doc::DocError>,
) -> Result<T, QueryError> {
    let bytes = rows.body(row)?;
    meter.read_body(bytes.len())?;
    meter.read_block(visible.source, rows.block_of(row));
    body::view(&bytes)
        .and_then(look)
        .map_err(|source| QueryError::Row {
            source_name: visible.name.clone(),
            row,
            source,
        })
}

/// Decides every row in doubt: the rows that pass.
pub(super) fn settle(
    node: &Node<'_>,
    visible: &Visible<'_>,
    verdict: Verdict,
    meter: &mut Meter<'_>,
) -> Result<RoaringBitmap, QueryError> {
    let doubt = &verdict.possible - &verdict.sure;
    meter.explain.rows_in_doubt += doubt.len();
    let mut passed = verdict.sure;
    if !doubt.is_empty() {
        passed |= deciding(node, visible, &doubt, meter)?;
    }
    Ok(passed)
}
