//! Spans that are shown beside their series: few, spread over time, and the same whatever the order
//! in which spans come.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::super::EXEMPLARS_MAX;
use super::super::ast::{Fold, Measure};
use super::{Series, Steps};
use crate::query::QueryError;

/// Bytes of a span that is kept, about.
const KEPT_BYTES: usize = 192;

/// A span that is shown beside a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Its start, nanoseconds.
    pub start_ns: i64,
    /// Its number as the series has it; where spans are counted or it is calculated with, the point of
    /// its step.
    pub value: f64,
    /// The id of its trace.
    pub trace_id: Box<str>,
    /// Its id.
    pub span_id: Box<str>,
}

/// The ids of a span's trace and its own.
pub(super) type Ids = (Box<str>, Box<str>);
/// Says whose span is at a place among those that are added just now.
pub(super) type Who<'w> = &'w mut dyn FnMut(usize) -> Result<Ids, QueryError>;
/// A bucket of a histogram: the exponent of its end, and whether that is nanoseconds.
pub(super) type Power = (bool, i32);
/// A stretch of time, and the bucket if there are some.
type Slot = (u32, Option<Power>);

/// How many are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    /// Of each series.
    pub(super) each: usize,
    /// Of all.
    pub(super) all: usize,
}

/// Which span of a stretch of time is kept; of equal ones the earliest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefer {
    Earliest,
    Smallest,
    Largest,
}

#[derive(Debug)]
struct Best {
    number: f64,
    start_ns: i64,
    /// Where it is among those that are added just now, until its ids are known.
    place: usize,
    ids: Option<Ids>,
}

/// The spans that are kept.
#[derive(Debug)]
pub(super) struct Picked {
    prefer: Prefer,
    steps: Steps,
    most: Most,
    /// How often stretches of time were put together by two, for want of room.
    halved: u32,
    count: usize,
    /// By the number of the group.
    groups: Vec<BTreeMap<Slot, Best>>,
    /// Those whose ids are not known.
    new: Vec<(usize, Slot)>,
}

impl Picked {
    /// `None` if none are asked for.
    pub(super) fn new(measure: &Measure, steps: Steps, most: Most) -> Option<Self> {
        let prefer = match measure {
            Measure::Compare { .. } | Measure::Math(_) => return None,
            Measure::Rate | Measure::Count => Prefer::Earliest,
            Measure::Of(Fold::Min, _) => Prefer::Smallest,
            Measure::Of(..) | Measure::Quantiles(..) | Measure::Histogram(_) => Prefer::Largest,
        };
        (most.each > 0).then(|| Self {
            prefer,
            steps,
            most,
            halved: 0,
            count: 0,
            groups: Vec::new(),
            new: Vec::new(),
        })
    }

    pub(super) const fn bytes(&self) -> usize {
        self.count * KEPT_BYTES
    }

    /// A span of a group: kept if it is the best of its stretch.
    pub(super) fn offer(
        &mut self,
        (group, power): (usize, Option<Power>),
        number: f64,
        (start_ns, place): (i64, usize),
        who: Who<'_>,
    ) -> Result<(), QueryError> {
        let stretch = stretch(self.steps, self.most.each, start_ns) >> self.halved;
        if self.groups.len() <= group {
            self.groups.resize_with(group + 1, BTreeMap::new);
        }
        let Some(kept) = self.groups.get_mut(group) else {
            return Ok(());
        };
        let mut one = Best {
            number,
            start_ns,
            place,
            ids: None,
        };
        match kept.entry((stretch, power)) {
            Entry::Vacant(vacant) => {
                vacant.insert(one);
                self.count += 1;
            }
            Entry::Occupied(mut known) => {
                if self.prefer.rank(&one, known.get()) == Ordering::Equal {
                    identify(&mut one, who)?;
                    identify(known.get_mut(), who)?;
                }
                if !self.prefer.is_better(&one, known.get()) {
                    return Ok(());
                }
                known.insert(one);
            }
        }
        self.new.push((group, (stretch, power)));
        // One feed may be a whole row group.
        let room = self.most.all.saturating_mul(2);
        if self.new.len() > room || (self.count > room && self.can_halve()) {
            self.settle(who)?;
        }
        Ok(())
    }

    /// Notes the ids of those that were added since the last time, and makes room.
    pub(super) fn settle(&mut self, who: Who<'_>) -> Result<(), QueryError> {
        for (group, slot) in self.new.drain(..) {
            let kept = self.groups.get_mut(group).and_then(|g| g.get_mut(&slot));
            if let Some(best) = kept {
                identify(best, who)?;
            }
        }
        // What all spans leave in stretches of one length is never less than what some do: so the
        // length at the end depends on all of them, and not on their order.
        while self.count > self.most.all && self.can_halve() {
            self.halve();
        }
        Ok(())
    }

    /// Whether the last stretch is not the first: each series has more than one.
    const fn can_halve(&self) -> bool {
        self.most.each.saturating_sub(1) >> self.halved > 0
    }

    fn halve(&mut self) {
        self.halved += 1;
        self.count = 0;
        for group in &mut self.groups {
            let mut wider: BTreeMap<Slot, Best> = BTreeMap::new();
            for ((stretch, power), best) in std::mem::take(group) {
                match wider.entry((stretch >> 1, power)) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(best);
                    }
                    Entry::Occupied(mut known) => {
                        if self.prefer.is_better(&best, known.get()) {
                            known.insert(best);
                        }
                    }
                }
            }
            self.count += wider.len();
            *group = wider;
        }
    }

    /// Those of a group, by time; beside each its bucket. Without a value of their own if spans are
    /// counted.
    pub(super) fn of(&mut self, group: usize) -> Vec<(Option<Power>, Exemplar)> {
        let kept = self.groups.get_mut(group).map(std::mem::take);
        let is_counted = self.prefer == Prefer::Earliest;
        let kept = kept.unwrap_or_default().into_iter();
        let kept = kept.filter_map(|((_, power), best)| {
            let (trace_id, span_id) = best.ids?;
            let value = if is_counted || power.is_some() {
                f64::NAN
            } else {
                best.number
            };
            let one = Exemplar {
                start_ns: best.start_ns,
                value,
                trace_id,
                span_id,
            };
            Some((power, one))
        });
        kept.collect()
    }
}

impl Prefer {
    /// How two stand but for their ids: the lesser is better.
    fn rank(self, a: &Best, b: &Best) -> Ordering {
        let by_number = match self {
            Self::Earliest => Ordering::Equal,
            Self::Smallest => a.number.total_cmp(&b.number),
            Self::Largest => b.number.total_cmp(&a.number),
        };
        by_number.then(a.start_ns.cmp(&b.start_ns))
    }

    fn is_better(self, a: &Best, b: &Best) -> bool {
        self.rank(a, b).then_with(|| a.ids.cmp(&b.ids)).is_lt()
    }
}

fn identify(best: &mut Best, who: Who<'_>) -> Result<(), QueryError> {
    if best.ids.is_none() {
        best.ids = Some(who(best.place)?);
    }
    Ok(())
}

/// In which of `count` equal stretches of the whole time a start is.
fn stretch(steps: Steps, count: usize, start_ns: i64) -> u32 {
    let wide = |ns: i64| i128::from(ns);
    let (since, whole) = (
        wide(start_ns) - wide(steps.from),
        wide(steps.to) - wide(steps.from),
    );
    let count = i128::try_from(count).unwrap_or(i128::MAX);
    u32::try_from(since.saturating_mul(count) / whole.max(1)).unwrap_or(0)
}

/// Those of two series that become one: of each stretch of time the earliest, without values.
pub(super) fn merged(
    steps: Steps,
    each: usize,
    (a, b): (&[Exemplar], &[Exemplar]),
) -> Vec<Exemplar> {
    let mut all: BTreeMap<u32, &Exemplar> = BTreeMap::new();
    let rank = |one: &Exemplar| (one.start_ns, one.trace_id.clone(), one.span_id.clone());
    for one in a.iter().chain(b) {
        let kept = all.entry(stretch(steps, each, one.start_ns)).or_insert(one);
        if rank(one) < rank(kept) {
            *kept = one;
        }
    }
    let merged = all.into_values().map(|one| Exemplar {
        value: f64::NAN,
        ..one.clone()
    });
    merged.collect()
}

/// Gives those of a group to its quantiles: each to the one that is nearest in its step.
pub(super) fn shared(steps: Steps, quantiles: &mut [Series], exemplars: Vec<Exemplar>) {
    for one in exemplars {
        let distance = |series: &Series| {
            let point = point_at(steps, series, one.start_ns)?;
            Some((point - one.value).abs())
        };
        let nearest = quantiles
            .iter()
            .enumerate()
            .filter_map(|(place, series)| Some((place, distance(series)?)))
            .min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        if let Some(series) = nearest.and_then(|(place, _)| quantiles.get_mut(place)) {
            series.exemplars.push(one);
        }
    }
}

/// Leaves those that have a point in their step, by time, which is the value of those without one.
pub(super) fn finish(steps: Steps, series: &mut [Series]) {
    for one in series {
        let mut left = std::mem::take(&mut one.exemplars);
        left.retain_mut(|exemplar| match point_at(steps, one, exemplar.start_ns) {
            None => false,
            Some(point) => {
                if exemplar.value.is_nan() {
                    exemplar.value = point;
                }
                true
            }
        });
        left.sort_by(|a, b| {
            let key = |x: &Exemplar| x.start_ns;
            (key(a), &a.trace_id, &a.span_id).cmp(&(key(b), &b.trace_id, &b.span_id))
        });
        one.exemplars = left;
    }
}

fn point_at(steps: Steps, series: &Series, start_ns: i64) -> Option<f64> {
    let at = steps.start(steps.at(start_ns)?);
    let place = series
        .points
        .binary_search_by_key(&at, |(at, _)| *at)
        .ok()?;
    series.points.get(place).map(|(_, value)| *value)
}

/// Refuses to show more than may be.
pub(super) const fn check(each: usize) -> Result<(), QueryError> {
    if each > EXEMPLARS_MAX {
        return Err(QueryError::LimitTooLarge(each));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
