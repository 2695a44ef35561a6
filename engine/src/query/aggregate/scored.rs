//! What scores there are: their names with types, and the values of those of one name among the rows that pass.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use roaring::RoaringBitmap;

use super::super::QueryError;
use super::super::ast::{Filter, Test};
use super::super::beside::Beside;
use super::super::facet::{Counter, FACET_VALUES_MAX, Facet, Kept};
use super::super::meter::{Budget, Explain, Meter};
use super::super::plan::{check, plan};
use super::super::scan::{group_count, live_rows, of_traces};
use super::super::scores::{VALUE, each_span, name_is, within_bounds};
use super::super::search::passing;
use super::{KEYS_LISTED_MAX, ObservedKey, ObservedKeys};
use crate::doc::Scalar;
use crate::model::{self, score};
use crate::row::Table;
use crate::source::{Column, Core, LaneKind, SourceError, Visible, reading};

/// What each score is called, by row: an odd one may have several names.
type Names = HashMap<u32, BTreeSet<Box<str>>>;

/// Calls `visit` with every value of the scores among `rows`, by the places where filters look.
fn each_value(
    visible: &Visible<'_>,
    rows: &RoaringBitmap,
    visit: &mut dyn FnMut(u32, Scalar<'_>),
) -> Result<(), SourceError> {
    let source = visible.source;
    let mut without = rows.clone();
    for place in score::VALUES {
        let column = Column::Path(place.into());
        let have = source.present(&column, &without)?;
        source.values(&column, &have, visit)?;
        without -= have;
    }
    let name = Column::Path(model::NAME.into());
    let named = source.present(&name, rows)?;
    source.values(&Column::Path(score::LABEL.into()), &named, visit)
}

/// The names of the scores among `rows` that have one; those that are too long for a column are left out.
fn names(visible: &Visible<'_>, rows: &RoaringBitmap) -> Result<Names, SourceError> {
    let mut names = Names::new();
    let mut without = rows.clone();
    for place in score::NAMES {
        let column = Column::Path(place.into());
        let have = visible.source.present(&column, &without)?;
        visible.source.values(&column, &have, &mut |row, value| {
            if let Scalar::Str(name) = value {
                names.entry(row).or_default().insert(name.into());
            }
        })?;
        without -= have;
    }
    Ok(names)
}

/// Those of the scores that some row of the table has: over spans, those that are of a span.
fn scores_of(
    beside: &Beside<'_>,
    visible: &Visible<'_>,
    group: u32,
) -> Result<RoaringBitmap, SourceError> {
    let live = live_rows(visible, group);
    if beside.of != Table::Spans {
        return Ok(live);
    }
    let mut of_spans = RoaringBitmap::new();
    for place in score::SPANS {
        of_spans |= visible.source.present(&Column::Path(place.into()), &live)?;
    }
    Ok(of_spans)
}

/// The first `limit` names of scores, up to [`KEYS_LISTED_MAX`], that begin with `prefix`: how many have a value of
/// each type, or are there without any.
pub fn score_names(
    beside: &Beside<'_>,
    budget: &Budget<'_>,
    prefix: &str,
    limit: usize,
) -> Result<ObservedKeys, QueryError> {
    if limit > KEYS_LISTED_MAX {
        return Err(QueryError::TooMany {
            what: "keys listed",
            max: KEYS_LISTED_MAX,
            count: limit,
        });
    }
    let mut meter = Meter::new(budget);
    let mut found: BTreeMap<Box<str>, BTreeMap<LaneKind, u64>> = BTreeMap::new();
    for visible in beside.scores {
        for group in 0..group_count(visible.source) {
            let rows = scores_of(beside, visible, group)?;
            if rows.is_empty() {
                continue;
            }
            meter.visit_group(rows.len())?;
            let names = names(visible, &rows)?;
            let mut kinds: HashSet<(u32, LaneKind)> = HashSet::new();
            each_value(visible, &rows, &mut |row, value| {
                kinds.insert((row, kind_of(value)));
            })?;
            let begin = |name: &&Box<str>| name.starts_with(prefix);
            for name in names.values().flatten().filter(begin) {
                let is_last = found.last_key_value().is_some_and(|(last, _)| last < name);
                // What makes place for another never comes back: the last only moves down.
                if found.len() <= limit || !is_last {
                    found.entry(name.clone()).or_default();
                }
                if found.len() > limit + 1 {
                    found.pop_last();
                }
            }
            for (row, kind) in kinds {
                for name in names.get(&row).into_iter().flatten() {
                    if let Some(types) = found.get_mut(name) {
                        *types.entry(kind).or_default() += 1;
                    }
                }
            }
        }
    }
    let more = found.len() > limit;
    let keys = found
        .into_iter()
        .take(limit)
        .map(|(path, types)| ObservedKey {
            path,
            types: types.into_iter().collect(),
        });
    let keys = keys.collect();
    Ok(ObservedKeys {
        keys,
        more,
        explain: meter.explain,
    })
}

const fn kind_of(value: Scalar<'_>) -> LaneKind {
    match value {
        Scalar::Bool(_) => LaneKind::Bool,
        Scalar::I64(_) => LaneKind::I64,
        Scalar::F64(_) => LaneKind::F64,
        Scalar::Str(_) => LaneKind::Str,
        Scalar::Long(_) => LaneKind::Long,
    }
}

/// The values of the scores of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreValuesRequest {
    /// Of which rows.
    pub filter: Filter,
    /// What the scores are called.
    pub name: String,
    /// Only texts that begin so; empty for values of every type.
    pub prefix: String,
    /// How many, most frequent first; up to [`FACET_VALUES_MAX`].
    pub limit: usize,
}

/// The most frequent values of the scores of one name, with how many of the runs, or spans, that pass have a score
/// with each; and how many have one with any.
///
/// What the scores of the name say is kept until the end: up to [`super::super::TRACES_MAX`] pairs of a row and a value.
pub fn score_values(
    rows: &[Visible<'_>],
    beside: &Beside<'_>,
    budget: &Budget<'_>,
    request: &ScoreValuesRequest,
) -> Result<(Facet, u64, Explain), QueryError> {
    check(&request.filter)?;
    let prefix = Test::Prefix(request.prefix.clone());
    let column = Column::Path(VALUE.into());
    check(&Filter::Is(column.clone(), prefix))?;
    if request.limit > FACET_VALUES_MAX {
        return Err(QueryError::TooManyFacetValues(request.limit));
    }
    let mut meter = Meter::new(budget);
    let said = Said::of(beside, &request.name, &mut meter)?;
    let node = plan(&request.filter, &mut |asked| {
        beside.answer(asked, &mut meter)
    })?;
    let mut counter = Counter::with_prefix(&column, &request.prefix);
    let mut with = 0;
    for visible in rows {
        for group in 0..group_count(visible.source) {
            let live = live_rows(visible, group);
            let near = of_traces(visible.source, &said.by_trace, &live)?;
            if near.is_empty() {
                continue;
            }
            meter.visit_group(near.len())?;
            let passed = passing(&node, visible, &near, &mut meter)?;
            reading(visible.source, |reader| {
                for row in &passed {
                    if let Some(values) = said.values(beside.of, &reader.core(row)?) {
                        with += 1;
                        values.iter().for_each(|value| counter.add_kept(value));
                    }
                }
                Ok::<_, SourceError>(())
            })?;
        }
    }
    Ok((counter.finish(request.limit), with, meter.explain))
}

/// The different values of some scores, by what they are of: over runs without the name of a span.
#[derive(Debug, Default)]
struct Said {
    by_trace: HashMap<Box<str>, HashMap<Box<str>, HashSet<Kept>>>,
    pairs: usize,
}

impl Said {
    fn of(beside: &Beside<'_>, name: &str, meter: &mut Meter<'_>) -> Result<Self, QueryError> {
        let mut said = Self::default();
        beside.each_score(&name_is(name), meter, &mut |visible, scores, meter| {
            let mut of_score: HashMap<u32, Vec<(Box<str>, Box<str>)>> = HashMap::new();
            let mut note = |row, trace: &str, span: &str| {
                let of = (trace.into(), span.into());
                of_score.entry(row).or_default().push(of);
            };
            if beside.of == Table::Spans {
                each_span(visible, scores, meter, &mut |row, core, span| {
                    note(row, &core.trace_id, span);
                })?;
            } else {
                reading(visible.source, |reader| {
                    for row in scores {
                        note(row, &reader.core(row)?.trace_id, "");
                    }
                    Ok::<_, SourceError>(())
                })?;
            }
            each_value(visible, scores, &mut |row, value| {
                for (trace, span) in of_score.get(&row).into_iter().flatten() {
                    said.add(trace, span, Kept::of(value));
                }
            })?;
            within_bounds(said.pairs)
        })?;
        Ok(said)
    }

    fn add(&mut self, trace: &str, span: &str, value: Kept) {
        let of_trace = self.by_trace.entry(trace.into()).or_default();
        let is_new = of_trace.entry(span.into()).or_default().insert(value);
        self.pairs += usize::from(is_new);
    }

    fn values(&self, of: Table, core: &Core) -> Option<&HashSet<Kept>> {
        let id = if of == Table::Spans { &*core.id } else { "" };
        self.by_trace.get(&core.trace_id)?.get(id)
    }
}
