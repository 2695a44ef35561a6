//! Which values do chosen spans have, and which the others?

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringBitmap;

use super::super::ast::{Field, Intrinsic};
use super::super::fields::{read, read_column};
use super::super::value::Value;
use super::super::{COMPARED_FIELDS_MAX, SERIES_MAX};
use super::sums::as_f64;
use super::{Series, Steps, check_points};
use crate::model;
use crate::query::QueryError;
use crate::query::meter::Meter;
use crate::source::{Column, Visible};

/// Values of one field that are told apart. A field with more says so instead.
const VALUES_MAX: usize = 1_000;
/// Bytes of an entry of a map, beside its value, about.
const ENTRY_BYTES: usize = 96;

/// How often a value stood in which step.
type Counts = BTreeMap<u32, u64>;

/// The values of a field among the chosen spans or among the others.
#[derive(Debug, Default)]
struct Tally {
    values: BTreeMap<Value, Counts>,
    /// Spans with a value.
    total: Counts,
    is_too_many: bool,
}

/// The values of all fields, by whether the spans are chosen.
#[derive(Debug, Default)]
pub(super) struct Compared {
    tallies: BTreeMap<(bool, Field), Tally>,
    bytes: usize,
}

impl Compared {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn add(
        &mut self,
        visible: &Visible<'_>,
        (rows, chosen): (&RoaringBitmap, &RoaringBitmap),
        (steps, range): (Steps, Option<(i64, i64)>),
        meter: &mut Meter<'_>,
    ) -> Result<(), QueryError> {
        let starts = read_column(Some(&Column::Start), visible, rows, meter)?;
        let starts: Vec<i64> = starts
            .iter()
            .map(|values| match values.first() {
                Some(Value::Int(ns)) => *ns,
                _ => i64::MIN,
            })
            .collect();
        for field in fields(visible)? {
            meter.check()?;
            let values = read(&field, visible, rows, meter)?;
            for ((row, start), values) in rows.iter().zip(&starts).zip(values) {
                let Some(step) = steps.at(*start).filter(|_| !values.is_empty()) else {
                    continue;
                };
                let in_range = range.is_none_or(|(from, to)| (from..to).contains(start));
                let key = (chosen.contains(row) && in_range, field.clone());
                let tally = self.tallies.entry(key).or_default();
                *tally.total.entry(step).or_default() += 1;
                for value in values {
                    self.bytes += tally.add(value.into_key(), step);
                }
            }
        }
        Ok(())
    }

    /// Series of the `top` values of each field that are most frequent, with their totals.
    pub(super) fn finish(self, top: usize, steps: Steps) -> Result<Vec<Series>, QueryError> {
        let mut all = Vec::new();
        let count = usize::try_from(steps.count).unwrap_or(usize::MAX);
        for ((is_chosen, field), tally) in self.tallies {
            let kind = if is_chosen { "selection" } else { "baseline" };
            let mut push = |kind: &str, value: Option<Value>, counts: &Counts, error: bool| {
                let text = |text: &str| Some(Value::Str(text.into()));
                let mut labels = vec![("__meta_type".to_owned(), text(kind))];
                if error {
                    labels.push(("__meta_error".to_owned(), text("__too_many_values__")));
                }
                labels.push((field.to_string(), value));
                let point = |step: u32| {
                    let count = counts.get(&step).copied().unwrap_or(0);
                    (steps.start(step), as_f64(count))
                };
                let points = (0..steps.count).map(point).collect();
                all.push(Series {
                    labels,
                    points,
                    exemplars: Vec::new(),
                });
            };
            push(
                &format!("{kind}_total"),
                None,
                &tally.total,
                tally.is_too_many,
            );
            let mut values: Vec<(Value, Counts)> = tally.values.into_iter().collect();
            // Stable: ties by value.
            values.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.values().sum::<u64>()));
            for (value, counts) in values.into_iter().take(top) {
                push(kind, Some(value), &counts, false);
            }
            check_points(all.len().saturating_mul(count))?;
            if all.len() > SERIES_MAX {
                return Err(QueryError::TooMany {
                    what: "series",
                    max: SERIES_MAX,
                    count: all.len(),
                });
            }
        }
        Ok(all)
    }
}

impl Tally {
    /// Answers how many bytes more it takes.
    fn add(&mut self, value: Value, step: u32) -> usize {
        if self.is_too_many {
            return 0;
        }
        let mut more = 0;
        if !self.values.contains_key(&value) {
            if self.values.len() == VALUES_MAX {
                self.is_too_many = true;
                self.values.clear();
                return 0;
            }
            more = ENTRY_BYTES + value.heap_bytes();
        }
        let counts = self.values.entry(value).or_default();
        if !counts.contains_key(&step) {
            more += ENTRY_BYTES;
        }
        *counts.entry(step).or_default() += 1;
        more
    }
}

/// The fields that spans of a source have: what every span has, and attributes.
fn fields(visible: &Visible<'_>) -> Result<Vec<Field>, QueryError> {
    let mut names = BTreeSet::new();
    visible.source.paths(&mut |path, _, _| {
        let below = |root: &str| path.strip_prefix(root)?.strip_prefix('.');
        if let Some(name) = below(model::ATTRIBUTES) {
            names.insert(Field::Span(name.into()));
        } else if let Some(name) = below(model::RESOURCE) {
            names.insert(Field::Resource(name.into()));
        }
    })?;
    if names.len() > COMPARED_FIELDS_MAX {
        return Err(QueryError::TooMany {
            what: "fields to compare",
            max: COMPARED_FIELDS_MAX,
            count: names.len(),
        });
    }
    let mut fields: Vec<Field> = names.into_iter().collect();
    let every = [
        Intrinsic::Name,
        Intrinsic::Status,
        Intrinsic::StatusMessage,
        Intrinsic::Kind,
    ];
    fields.extend(every.map(Field::Intrinsic));
    fields.extend([model::MODEL, model::TOOL].map(|key| Field::Row(key.into())));
    Ok(fields)
}
