//! What a project has: its keys with their types, and the values of a key, for who types a filter.

use std::collections::BTreeMap;

use super::super::QueryError;
use super::super::ast::{Filter, Test};
use super::super::beside::Beside;
use super::super::facet::{Counter, FACET_VALUES_MAX, Facet};
use super::super::meter::{Budget, Explain, Meter};
use super::super::plan::{Starts, check, plan};
use super::super::scan::{evaluate, group_count, live_rows, settle};
use crate::source::{Column, LaneKind, Selection, Visible};

/// Most keys that are listed.
pub const KEYS_LISTED_MAX: usize = 10_000;

/// A key and what stands under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedKey {
    /// Its path.
    pub path: Box<str>,
    /// The types of its values, and how many rows have one of each; types that no live row has are
    /// left out.
    pub types: Vec<(LaneKind, u64)>,
}

/// The keys of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedKeys {
    /// By path.
    pub keys: Vec<ObservedKey>,
    /// There are more than were asked for.
    pub more: bool,
    /// What it cost. Keys are counted where they stand; rows are looked at if they are dead, to take them off:
    /// each is told once, whatever the keys, and no budget of rows holds for them.
    pub explain: Explain,
}

/// Which keys are listed.
#[derive(Clone, Copy, Debug)]
pub struct KeysRequest<'a> {
    /// Those that begin so.
    pub prefix: &'a str,
    /// But none that begins so.
    pub but: Option<&'a str>,
    /// How many, up to [`KEYS_LISTED_MAX`].
    pub limit: usize,
}

impl KeysRequest<'_> {
    fn wants(&self, path: &str) -> bool {
        path.starts_with(self.prefix) && !self.but.is_some_and(|but| path.starts_with(but))
    }
}

/// The first paths that are asked for, with exact counts.
pub fn observed_keys(
    rows: &[Visible<'_>],
    budget: &Budget<'_>,
    request: KeysRequest<'_>,
) -> Result<ObservedKeys, QueryError> {
    let limit = request.limit;
    if limit > KEYS_LISTED_MAX {
        return Err(QueryError::TooMany {
            what: "keys listed",
            max: KEYS_LISTED_MAX,
            count: limit,
        });
    }
    let meter = Meter::new(budget);
    let mut from = None;
    let mut keys = Vec::new();
    let mut is_any_read = false;
    // Keys of dead rows alone may have to make place for others.
    loop {
        let wanted = limit + 1 - keys.len();
        let found = next_keys(rows, &meter, request, from.as_deref(), wanted)?;
        from = found.last_key_value().map(|(path, _)| path.clone());
        let all = found.len() < wanted;
        is_any_read |= !found.is_empty();
        for (path, mut types) in found {
            take_dead(rows, &path, &mut types, &meter)?;
            types.retain(|_, rows| *rows > 0);
            if !types.is_empty() {
                let types = types.into_iter().collect();
                keys.push(ObservedKey { path, types });
            }
        }
        if all || keys.len() > limit {
            break;
        }
    }
    let more = keys.len() > limit;
    keys.truncate(limit);
    let mut explain = meter.explain;
    for visible in rows {
        let groups = u64::from(group_count(visible.source));
        explain.sources += 1;
        explain.sources_pruned += u64::from(is_all_live(visible));
        explain.groups += groups;
        // Once, however many keys: what a project may be asked does not shrink with the keys that it has.
        if is_any_read && !is_all_live(visible) {
            explain.groups_visited += groups;
            explain.rows_visited += u64::from(visible.source.row_count()) - visible.live.len();
        }
    }
    Ok(ObservedKeys {
        keys,
        more,
        explain,
    })
}

type Types = BTreeMap<LaneKind, u64>;

/// The first `limit` paths after `from`, dead rows counted.
fn next_keys(
    rows: &[Visible<'_>],
    meter: &Meter<'_>,
    request: KeysRequest<'_>,
    from: Option<&str>,
    limit: usize,
) -> Result<BTreeMap<Box<str>, Types>, QueryError> {
    let mut found: BTreeMap<Box<str>, Types> = BTreeMap::new();
    for visible in rows {
        meter.check()?;
        visible.source.paths(&mut |path, kind, count| {
            let wanted = request.wants(path) && from.is_none_or(|from| from < path);
            let last = found.last_key_value().map(|(last, _)| &**last);
            if !wanted || (found.len() >= limit && last < Some(path)) {
                return;
            }
            let types = match found.get_mut(path) {
                Some(types) => types,
                None => found.entry(path.into()).or_default(),
            };
            *types.entry(kind).or_default() += count;
            if found.len() > limit {
                found.pop_last();
            }
        })?;
    }
    Ok(found)
}

fn is_all_live(visible: &Visible<'_>) -> bool {
    visible.live.len() == u64::from(visible.source.row_count())
}

/// Takes the dead rows off the counts of a key.
fn take_dead(
    rows: &[Visible<'_>],
    path: &str,
    types: &mut Types,
    meter: &Meter<'_>,
) -> Result<(), QueryError> {
    let column = Column::Path(path.into());
    for visible in rows {
        if is_all_live(visible) {
            continue;
        }
        let mut reader = visible.source.reader(&column)?;
        let mut lanes = Vec::new();
        for group in 0..group_count(visible.source) {
            let first = group << 16;
            let end = visible
                .source
                .row_count()
                .min(first.saturating_add(1 << 16));
            let dead: Vec<u32> = (first..end)
                .filter(|row| !visible.live.contains(*row))
                .collect();
            meter.check()?;
            reader.read(&Selection::Rows(dead), &mut lanes)?;
            for lane in &lanes {
                let with = match &lane.places {
                    Some(places) => places.chunk_by(|a, b| a == b).count(),
                    None => lane.len(),
                };
                if let Some(count) = types.get_mut(&lane.kind) {
                    *count = count.saturating_sub(with as u64);
                }
            }
        }
    }
    Ok(())
}

/// The values of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedRequest {
    /// Of which rows.
    pub filter: Filter,
    /// The column.
    pub column: Column,
    /// Only texts that begin so; empty for values of every type.
    pub prefix: String,
    /// How many, most frequent first; up to [`FACET_VALUES_MAX`].
    pub limit: usize,
}

/// The most frequent values of a column, with exact counts.
pub fn observed_values(
    rows: &[Visible<'_>],
    beside: &Beside<'_>,
    budget: &Budget<'_>,
    request: &ObservedRequest,
) -> Result<(Facet, Explain), QueryError> {
    check(&request.filter)?;
    let prefix = Test::Prefix(request.prefix.clone());
    check(&Filter::Is(request.column.clone(), prefix))?;
    if request.limit > FACET_VALUES_MAX {
        return Err(QueryError::TooManyFacetValues(request.limit));
    }
    let mut meter = Meter::new(budget);
    let node = plan(&request.filter, &mut |asked| {
        beside.answer(asked, &mut meter)
    })?;
    let starts = Starts::of(&request.filter);
    let mut counter = Counter::with_prefix(&request.column, &request.prefix);
    for visible in rows {
        let mut all = roaring::RoaringBitmap::new();
        for group in 0..group_count(visible.source) {
            let live = live_rows(visible, group);
            if live.is_empty() {
                continue;
            }
            meter.explain.groups += 1;
            if !starts.overlaps(visible.source.start_range(group)) {
                meter.explain.groups_pruned_by_time += 1;
                continue;
            }
            meter.visit_group(live.len())?;
            let verdict = evaluate(&node, visible.source, &live, &mut meter)?;
            all |= settle(&node, visible, verdict, &mut meter)?;
        }
        counter.add(visible.source, &all)?;
    }
    Ok((counter.finish(request.limit), meter.explain))
}
