//! What scores there are: their names with types, and the values of those of one name among the rows that pass.

use std::collections::{BTreeMap, HashSet};

use roaring::RoaringBitmap;

use super::super::QueryError;
use super::super::ast::{Filter, Test};
use super::super::beside::{Beside, find_traces, walk};
use super::super::facet::{Counter, FACET_VALUES_MAX, Facet};
use super::super::given::Said;
use super::super::meter::{Budget, Explain, Meter, len_u64};
use super::super::plan::{check, plan};
use super::super::scan::{group_count, live_rows};
use super::super::scores::SPAN;
use super::super::search::{TRACES_MAX, passing};
use super::super::told::of_these;
use super::{KEYS_LISTED_MAX, ObservedKey, ObservedKeys};
use crate::doc::Scalar;
use crate::model::score::Fact;
use crate::row::Table;
use crate::source::{Column, LaneKind, SourceError, Visible};

const NAME: Column = Column::Score(Fact::Name);
const VALUE: Column = Column::Score(Fact::Value);

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
    visible.source.present(&SPAN, &live)
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
    let mut named = Named {
        found: BTreeMap::new(),
        limit,
    };
    for (visible, at) in beside.scores.iter().zip(0..) {
        for group in 0..group_count(visible.source) {
            let rows = scores_of(beside, visible, group)?;
            if rows.is_empty() {
                continue;
            }
            meter.visit_group(rows.len())?;
            let mut kinds = vec![0; 1 << 16];
            visible.source.values(&VALUE, &rows, &mut |row, value| {
                if let Some(kinds) = kinds.get_mut(in_group(row)) {
                    *kinds |= 1 << kind_of(value) as u8;
                }
            })?;
            visible.source.values(&NAME, &rows, &mut |row, value| {
                if let Scalar::Str(name) = value
                    && name.starts_with(prefix)
                {
                    let kinds = kinds.get(in_group(row)).copied().unwrap_or(0);
                    named.add((at, row), name, kinds);
                }
            })?;
        }
    }
    Ok(named.finish(meter.explain))
}

/// The facts that scores have, under the names that filters take, with how many scores have a value of each type.
pub fn score_facts(
    scores: &[Visible<'_>],
    budget: &Budget<'_>,
) -> Result<ObservedKeys, QueryError> {
    let mut meter = Meter::new(budget);
    let mut counts = Fact::FILTERED.map(|fact| (fact, [0u64; KINDS.len()]));
    for visible in scores {
        for group in 0..group_count(visible.source) {
            let rows = live_rows(visible, group);
            if rows.is_empty() {
                continue;
            }
            meter.visit_group(rows.len())?;
            for (fact, counts) in &mut counts {
                // A score may have the fact twice, in one type or in two.
                let mut last = [None; KINDS.len()];
                let column = Column::Score(*fact);
                visible.source.values(&column, &rows, &mut |row, value| {
                    let kind = kind_of(value) as usize;
                    if let (Some(count), Some(last)) = (counts.get_mut(kind), last.get_mut(kind)) {
                        *count += u64::from(last.replace(row) != Some(row));
                    }
                })?;
            }
        }
    }
    let keys = counts.iter().map(|(fact, counts)| {
        let types = KINDS.into_iter().zip(*counts);
        ObservedKey {
            path: fact.name().into(),
            types: types.filter(|(_, rows)| *rows > 0).collect(),
        }
    });
    let mut keys: Vec<ObservedKey> = keys.filter(|key| !key.types.is_empty()).collect();
    keys.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(ObservedKeys {
        keys,
        more: false,
        explain: meter.explain,
    })
}

const fn in_group(row: u32) -> usize {
    (row & 0xffff) as usize
}

/// Every kind, in the order of its bit.
const KINDS: [LaneKind; 5] = [
    LaneKind::Bool,
    LaneKind::I64,
    LaneKind::F64,
    LaneKind::Str,
    LaneKind::Long,
];

/// How many scores of a name have a value of each kind.
#[derive(Debug, Default)]
struct OfName {
    rows: [u64; KINDS.len()],
    /// The score that was counted last: it may have the name twice.
    last: Option<(usize, u32)>,
}

/// The first names, one more than are listed.
#[derive(Debug)]
struct Named {
    found: BTreeMap<Box<str>, OfName>,
    limit: usize,
}

impl Named {
    fn add(&mut self, score: (usize, u32), name: &str, kinds: u8) {
        if !self.found.contains_key(name) {
            let last = self.found.last_key_value().map(|(last, _)| &**last);
            // What makes place for another never comes back: the last only moves down.
            if self.found.len() > self.limit && last < Some(name) {
                return;
            }
            self.found.insert(name.into(), OfName::default());
            if self.found.len() > self.limit + 1 {
                self.found.pop_last();
            }
        }
        let Some(of_name) = self.found.get_mut(name) else {
            return;
        };
        if of_name.last.replace(score) != Some(score) {
            for (bit, rows) in of_name.rows.iter_mut().enumerate() {
                *rows += u64::from(kinds >> bit & 1);
            }
        }
    }

    fn finish(self, explain: Explain) -> ObservedKeys {
        let more = self.found.len() > self.limit;
        let listed = self.found.into_iter().take(self.limit);
        let keys = listed.map(|(path, of_name)| {
            let types = KINDS.into_iter().zip(of_name.rows);
            ObservedKey {
                path,
                types: types.filter(|(_, rows)| *rows > 0).collect(),
            }
        });
        ObservedKeys {
            keys: keys.collect(),
            more,
            explain,
        }
    }
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
/// The rows are found first. If they are few enough for their traces to be held, only scores of these are read. What
/// those of the name say is kept until the end: up to [`TRACES_MAX`] pairs of a row and a value, whose bytes count as
/// what the filter's own tests of scores find.
pub fn score_values(
    rows: &[Visible<'_>],
    beside: &Beside<'_>,
    budget: &Budget<'_>,
    request: &ScoreValuesRequest,
) -> Result<(Facet, u64, Explain), QueryError> {
    check(&request.filter)?;
    let prefix = Test::Prefix(request.prefix.clone());
    check(&Filter::Is(VALUE, prefix))?;
    if request.limit > FACET_VALUES_MAX {
        return Err(QueryError::TooManyFacetValues(request.limit));
    }
    let mut meter = Meter::new(budget);
    let passed = passed(&request.filter, (rows, beside), &mut meter)?;
    let near = near(&passed, beside, &mut meter)?;
    let beside = Beside {
        scores: near.as_deref().unwrap_or(beside.scores),
        ..*beside
    };
    let said = Said::of(&beside, (&request.name, Fact::Value), &mut meter)?.once(&meter)?;
    let mut counter = Counter::with_prefix(&VALUE, &request.prefix);
    let mut with = 0;
    for (visible, passed) in &passed {
        meter.check()?;
        let within = (passed, beside.of == Table::Spans);
        said.of_rows(visible.source, within, &mut |_, values| {
            with += 1;
            values.iter().for_each(|value| counter.add_kept(value));
        })?;
    }
    Ok((counter.finish(request.limit), with, meter.explain))
}

/// Rows of a row group that pass.
type Passed<'a> = (&'a Visible<'a>, RoaringBitmap);

fn passed<'a>(
    filter: &Filter,
    (rows, beside): (&'a [Visible<'a>], &Beside<'_>),
    meter: &mut Meter<'_>,
) -> Result<Vec<Passed<'a>>, QueryError> {
    let node = plan(filter, &mut |asked| beside.answer(asked, meter))?;
    let mut all = Vec::new();
    walk(filter, rows, meter, &mut |visible, live, meter| {
        let passed = passing(&node, visible, live, meter)?;
        if !passed.is_empty() {
            all.push((visible, passed));
        }
        Ok(())
    })?;
    Ok(all)
}

/// The scores of the rows' traces; `None` if these are too many to be held, or have as many scores as there are.
fn near<'a>(
    passed: &[Passed<'_>],
    beside: &Beside<'a>,
    meter: &mut Meter<'_>,
) -> Result<Option<Vec<Visible<'a>>>, QueryError> {
    let rows: u64 = passed.iter().map(|(_, rows)| rows.len()).sum();
    let scores: u64 = beside.scores.iter().map(|scores| scores.live.len()).sum();
    if rows > len_u64(TRACES_MAX).min(scores) {
        return Ok(None);
    }
    let before = meter.found();
    let mut traces = HashSet::new();
    for (visible, rows) in passed {
        match find_traces(visible, rows, &mut traces, meter) {
            Err(QueryError::BudgetExceeded { .. }) => {
                meter.let_go(before);
                return Ok(None);
            }
            found => found?,
        }
    }
    let near = of_these(beside.scores, &traces, meter)?;
    meter.let_go(before);
    Ok(Some(near))
}
