//! Series that are worked out of the series of several functions, step by step.

use std::collections::BTreeMap;

use super::super::SERIES_MAX;
use super::super::ast::Arith;
use super::super::math::Math;
use super::super::value::Value;
use super::exemplars::merged;
use super::sums::too_many;
use super::{Series, Work, check_points};
use crate::query::QueryError;

/// What stands on one side of an operator.
enum Side {
    Number(f64),
    Series(Vec<Series>),
}

/// What tells series apart, whatever the order of labels.
type Key<'s> = Vec<&'s (String, Option<Value>)>;

impl Work<'_, '_, '_> {
    pub(super) fn math(&mut self, math: &Math) -> Result<Vec<Series>, QueryError> {
        self.most.all = (self.most.all / math.functions().max(1)).max(1);
        match self.side(math)? {
            Side::Series(series) => Ok(series),
            Side::Number(_) => Err(QueryError::Meaningless("numbers without a function")),
        }
    }

    fn side(&mut self, math: &Math) -> Result<Side, QueryError> {
        Ok(match math {
            Math::Number(x) => Side::Number(*x),
            Math::Query(query) => {
                let series = self.query(query, true)?;
                self.admit(&series)?;
                Side::Series(series)
            }
            Math::Both(op, a, b) => {
                let (a, b) = (self.side(a)?, self.side(b)?);
                self.both(*op, a, b)
            }
        })
    }

    /// The series of all functions count together.
    fn admit(&mut self, series: &[Series]) -> Result<(), QueryError> {
        self.series = self.series.saturating_add(series.len());
        if self.series > SERIES_MAX {
            return Err(too_many(self.series));
        }
        let points: usize = series.iter().map(|one| one.points.len()).sum();
        self.points = self.points.saturating_add(points);
        check_points(self.points)?;
        self.meter
            .hold(self.points.saturating_mul(size_of::<(i64, f64)>()))
    }

    fn both(&self, op: Arith, a: Side, b: Side) -> Side {
        match (a, b) {
            (Side::Number(a), Side::Number(b)) => Side::Number(op.of(a, b)),
            (Side::Series(a), Side::Number(b)) => scaled(a, &|x| of(op, x, b)),
            (Side::Number(a), Side::Series(b)) => scaled(b, &|x| of(op, a, x)),
            (Side::Series(a), Side::Series(b)) => Side::Series(self.joined(op, &a, &b)),
        }
    }

    /// Series of both sides with the same labels; one without labels goes with each of the other side.
    fn joined(&self, op: Arith, left: &[Series], right: &[Series]) -> Vec<Series> {
        let (left_by, right_by) = (by_labels(left), by_labels(right));
        let none = Key::new();
        let over = if right_by.contains_key(&none) {
            &left_by
        } else {
            &right_by
        };
        let mut all = Vec::with_capacity(over.len());
        for key in over.keys() {
            let (a, b) = (found(&left_by, key), found(&right_by, key));
            let (Some((a, a_is_own)), Some((b, b_is_own))) = (a, b) else {
                continue;
            };
            let exemplars = match (a_is_own, b_is_own) {
                (true, false) => merged(self.steps, self.most.each, (&a.exemplars, &[])),
                (false, true) => merged(self.steps, self.most.each, (&[], &b.exemplars)),
                _ => merged(self.steps, self.most.each, (&a.exemplars, &b.exemplars)),
            };
            let labels = if a_is_own { &a.labels } else { &b.labels };
            all.push(Series {
                labels: labels.clone(),
                points: calculated(op, &a.points, &b.points),
                exemplars,
            });
        }
        all
    }
}

/// The series with these labels, or the one without any; and whether it is the former.
fn found<'s>(side: &BTreeMap<Key<'_>, &'s Series>, key: &Key<'_>) -> Option<(&'s Series, bool)> {
    let own = side.get(key).map(|one| (*one, true));
    own.or_else(|| side.get(&Key::new()).map(|one| (*one, false)))
}

fn by_labels(series: &[Series]) -> BTreeMap<Key<'_>, &Series> {
    let keyed = series.iter().map(|one| {
        let mut key: Key<'_> = one.labels.iter().collect();
        key.sort();
        (key, one)
    });
    keyed.collect()
}

/// Where both have a point.
fn calculated(op: Arith, a: &[(i64, f64)], b: &[(i64, f64)]) -> Vec<(i64, f64)> {
    let mut right = b.iter().peekable();
    let points = a.iter().filter_map(|(at, x)| {
        while right.next_if(|(other, _)| other < at).is_some() {}
        let (_, y) = right.next_if(|(other, _)| other == at)?;
        Some((*at, of(op, *x, *y)?))
    });
    points.collect()
}

fn scaled(mut series: Vec<Series>, number: &dyn Fn(f64) -> Option<f64>) -> Side {
    for one in &mut series {
        let points = std::mem::take(&mut one.points).into_iter();
        let points = points.filter_map(|(at, x)| Some((at, number(x)?)));
        one.points = points.collect();
        for exemplar in &mut one.exemplars {
            exemplar.value = f64::NAN;
        }
    }
    Side::Series(series)
}

/// What is no finite number is no point: so nothing is divided by zero.
fn of(op: Arith, a: f64, b: f64) -> Option<f64> {
    Some(op.of(a, b)).filter(|x| x.is_finite())
}
