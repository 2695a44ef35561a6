//! Shares of several sources to one answer.

use std::cmp::Ordering;

use hashbrown::HashMap;

use super::super::QueryError;
use super::super::meter::Meter;
use super::answer::{AggregateAnswer, Figures, Group, Measured, Number, Point, Value};
use super::distinct::Distinct;
use super::key::{GroupValue, Interner};
use super::partial::{Partial, too_many_cells};
use super::request::{
    AggregateRequest, BUCKETS_MAX, CELLS_MAX, DISTINCT_EXACT_MAX, DistinctMode, KEYS_MAX, Measure,
    POINTS_MAX, Rank,
};
use super::state::{Need, State};
use super::time::Grid;

/// Cells between two questions whether the caller gave up.
const CELLS_PER_CHECK: usize = 4_096;

/// Numbers of the values of a group's keys.
type GroupKey = [u32; KEYS_MAX];

/// What all sources so far come to.
pub(super) struct Merged<'q> {
    request: &'q AggregateRequest,
    needs: Vec<Need<'q>>,
    /// Which of the needs each measure is made of; `None`: the count of rows.
    which: Vec<Option<usize>>,
    keys: Vec<Interner>,
    cells: Cells<(GroupKey, u64)>,
    total_rows: u64,
    total: Vec<State>,
}

/// Accumulators by what tells them apart.
struct Cells<K> {
    ids: HashMap<K, u32>,
    list: Vec<K>,
    rows: Vec<u64>,
    states: Vec<State>,
}

impl<K: Copy + Eq + std::hash::Hash> Cells<K> {
    fn new(needs: &[Need<'_>]) -> Self {
        Self {
            ids: HashMap::new(),
            list: Vec::new(),
            rows: Vec::new(),
            states: needs.iter().map(Need::state).collect(),
        }
    }

    /// The cell of a key, a new one if there is none.
    fn id(&mut self, key: K) -> usize {
        let next = u32::try_from(self.list.len()).expect("BUG: over 4 G cells");
        let id = *self.ids.entry(key).or_insert(next);
        if id == next {
            self.list.push(key);
            self.rows.push(0);
            let cells = self.list.len();
            self.states.iter_mut().for_each(|state| state.resize(cells));
        }
        id as usize
    }

    fn add(&mut self, cell: usize, rows: u64, states: &[State], from: usize) {
        if let Some(sum) = self.rows.get_mut(cell) {
            *sum += rows;
        }
        for (mine, theirs) in self.states.iter_mut().zip(states) {
            mine.merge(cell, theirs, from);
        }
    }

    fn bytes(&self) -> usize {
        self.ids.allocation_size()
            + self.list.capacity() * size_of::<K>()
            + self.rows.capacity() * size_of::<u64>()
            + self.states.iter().map(State::bytes).sum::<usize>()
    }
}

impl<'q> Merged<'q> {
    pub(super) fn new(request: &'q AggregateRequest) -> Self {
        let (needs, which) = Need::of_all(&request.measures);
        let mut total: Vec<State> = needs.iter().map(Need::state).collect();
        total.iter_mut().for_each(|state| state.resize(1));
        Self {
            request,
            keys: request.keys.iter().map(|_| Interner::default()).collect(),
            cells: Cells::new(&needs),
            needs,
            which,
            total_rows: 0,
            total,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let keys: usize = self.keys.iter().map(Interner::bytes).sum();
        keys + self.cells.bytes() + self.total.iter().map(State::bytes).sum::<usize>()
    }

    /// Adds what a source comes to.
    pub(super) fn add(
        &mut self,
        partial: &Partial,
        meter: &mut Meter<'_>,
    ) -> Result<(), QueryError> {
        let mut ids: Vec<Vec<u32>> = Vec::with_capacity(self.keys.len());
        for (interner, values) in self.keys.iter_mut().zip(&partial.keys) {
            let mut known = Vec::with_capacity(values.len());
            for chunk in values.chunks(CELLS_PER_CHECK) {
                meter.check()?;
                known.extend(chunk.iter().map(|value| interner.id(value.clone())));
            }
            ids.push(known);
        }
        for (from, (key, rows)) in partial.cells.iter().zip(&partial.rows).enumerate() {
            if from % CELLS_PER_CHECK == 0 {
                meter.check()?;
            }
            if *rows == 0 && !self.request.keys.is_empty() {
                continue;
            }
            let mut group = GroupKey::default();
            for ((slot, id), known) in group.iter_mut().zip(key).zip(&ids) {
                *slot = known.get(*id as usize).copied().unwrap_or(0);
            }
            let bucket = partial.buckets.get(key[KEYS_MAX] as usize).copied();
            let cell = self.cells.id((group, bucket.unwrap_or(0)));
            if self.cells.list.len() > CELLS_MAX {
                return Err(too_many_cells());
            }
            self.cells.add(cell, *rows, &partial.states, from);
        }
        self.total_rows += partial.total_rows;
        for (mine, theirs) in self.total.iter_mut().zip(&partial.total) {
            mine.merge(0, theirs, 0);
        }
        self.bound_distinct()
    }

    /// Keeps exact sets of different values within their limit.
    fn bound_distinct(&mut self) -> Result<(), QueryError> {
        for (state, total) in self.cells.states.iter_mut().zip(&mut self.total) {
            let (State::Distinct(cells, mode), State::Distinct(whole, _)) = (state, total) else {
                continue;
            };
            let held: usize = cells.iter().map(Distinct::held).sum();
            let whole_held: usize = whole.iter().map(Distinct::held).sum();
            let known = whole.iter().any(|set| !set.count().1);
            if held.max(whole_held) <= DISTINCT_EXACT_MAX && !known {
                continue;
            }
            match mode {
                DistinctMode::Estimated => {}
                DistinctMode::Exact => {
                    return Err(QueryError::BudgetExceeded {
                        what: "different values",
                        max: DISTINCT_EXACT_MAX as u64,
                    });
                }
                DistinctMode::ExactOrEstimated => {
                    cells.iter_mut().for_each(Distinct::estimate);
                    whole.iter_mut().for_each(Distinct::estimate);
                }
            }
        }
        Ok(())
    }

    /// Ranks the groups and lists the first of them.
    pub(super) fn finish(mut self, mut meter: Meter<'_>) -> Result<AggregateAnswer, QueryError> {
        let cells = std::mem::replace(&mut self.cells, Cells::new(&self.needs));
        let mut groups: Cells<GroupKey> = Cells::new(&self.needs);
        let mut points: Vec<Vec<(u64, usize)>> = Vec::new();
        let timed = self.request.time.is_some();
        for (cell, (key, bucket)) in cells.list.iter().enumerate() {
            if cell % CELLS_PER_CHECK == 0 {
                meter.hold(self.bytes() + cells.bytes() + groups.bytes())?;
            }
            let group = groups.id(*key);
            let rows = cells.rows.get(cell).copied().unwrap_or(0);
            groups.add(group, rows, &cells.states, cell);
            points.resize_with(groups.list.len(), Vec::new);
            if let (true, Some(points)) = (timed, points.get_mut(group)) {
                points.push((*bucket, cell));
            }
        }
        if self.request.keys.is_empty() {
            groups.id(GroupKey::default());
            points.resize_with(1, Vec::new);
        }
        let listed = self.rank(&groups);
        let filled = self.filled(&cells, listed.len())?;
        let mut answer = Vec::with_capacity(listed.len());
        for group in &listed {
            meter.check()?;
            let points = points.get_mut(*group).map(std::mem::take);
            answer.push(Group {
                keys: self.values(groups.list.get(*group)),
                figures: self.figures(&groups.rows, &groups.states, *group),
                points: self.points(points.unwrap_or_default(), &cells, filled),
            });
        }
        let total = self.figures(&[self.total_rows], &self.total, 0);
        Ok(AggregateAnswer {
            groups_left_out: (groups.list.len() - listed.len()) as u64,
            groups: answer,
            total,
            explain: meter.explain,
        })
    }

    fn values(&self, key: Option<&GroupKey>) -> Vec<Option<GroupValue>> {
        let numbers = key.copied().unwrap_or_default();
        let keys = self.keys.iter().zip(numbers);
        keys.map(|(interner, id)| interner.get(id).cloned())
            .collect()
    }

    fn figures(&self, rows: &[u64], states: &[State], cell: usize) -> Figures {
        let rows = rows.get(cell).copied().unwrap_or(0);
        let one = |(measure, which): (&Measure, &Option<usize>)| {
            let counted = || Measured {
                value: Value::Count(rows),
                count: rows,
                not_numbers: 0,
            };
            let state = which.and_then(|at| states.get(at));
            state
                .and_then(|state| state.measured(cell, measure))
                .unwrap_or_else(counted)
        };
        Figures {
            rows,
            measures: self
                .request
                .measures
                .iter()
                .zip(&self.which)
                .map(one)
                .collect(),
        }
    }

    /// The groups that are listed, in order.
    fn rank(&self, groups: &Cells<GroupKey>) -> Vec<usize> {
        let top = &self.request.top;
        let place = |group: usize| match top.by {
            Rank::Keys => None,
            Rank::Rows => groups
                .rows
                .get(group)
                .map(|rows| Place::whole((*rows).into())),
            Rank::Measure(at, part) => {
                let measure = self.request.measures.get(at)?;
                let rows = groups.rows.get(group).copied().unwrap_or(0);
                let which = self.which.get(at).copied().flatten();
                let Some(state) = which.and_then(|at| groups.states.get(at)) else {
                    return Some(Place::whole(rows.into()));
                };
                Place::of(&state.measured(group, measure)?.value, part)
            }
        };
        let mut order: Vec<(Option<Place>, usize)> = (0..groups.list.len())
            .map(|group| (place(group), group))
            .collect();
        let compare = |a: &(Option<Place>, usize), b: &(Option<Place>, usize)| {
            let by_place = match (&a.0, &b.0) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(a), Some(b)) if top.descending => b.cmp(a),
                (Some(a), Some(b)) => a.cmp(b),
            };
            let by_keys = || self.compare_keys(groups.list.get(a.1), groups.list.get(b.1));
            by_place.then_with(|| {
                if top.by == Rank::Keys && top.descending {
                    by_keys().reverse()
                } else {
                    by_keys()
                }
            })
        };
        if top.limit < order.len() && top.limit > 0 {
            order.select_nth_unstable_by(top.limit - 1, compare);
        }
        order.truncate(top.limit);
        order.sort_unstable_by(compare);
        order.into_iter().map(|(_, group)| group).collect()
    }

    /// Key by key; rows without a value come last.
    fn compare_keys(&self, a: Option<&GroupKey>, b: Option<&GroupKey>) -> Ordering {
        let (Some(a), Some(b)) = (a, b) else {
            return Ordering::Equal;
        };
        let mut keys = self.keys.iter().zip(a.iter().zip(b));
        let order = keys.find_map(|(interner, (a, b))| {
            let order = match (interner.get(*a), interner.get(*b)) {
                (Some(a), Some(b)) => a.cmp(b),
                (a, b) => a.is_none().cmp(&b.is_none()),
            };
            order.is_ne().then_some(order)
        });
        order.unwrap_or(Ordering::Equal)
    }

    /// The first and the last bucket that every group lists, if it lists empty ones.
    fn filled(
        &self,
        cells: &Cells<(GroupKey, u64)>,
        groups: usize,
    ) -> Result<Option<(u64, u64)>, QueryError> {
        let Some(time) = self.request.time.filter(|time| time.fill) else {
            return Ok(None);
        };
        let grid = Grid::new(&time);
        let ends = if let Some((from, to)) = time.range {
            Some((grid.bucket_of(from), grid.bucket_of(to.saturating_sub(1))))
        } else {
            let buckets = || cells.list.iter().map(|(_, bucket)| *bucket);
            buckets().min().zip(buckets().max())
        };
        let Some((first, last)) = ends else {
            return Ok(None);
        };
        let count = usize::try_from(last - first).map_or(usize::MAX, |n| n.saturating_add(1));
        for (what, count, max) in [
            ("time buckets", count, BUCKETS_MAX),
            ("points", count.saturating_mul(groups), POINTS_MAX),
        ] {
            if count > max {
                let max = max as u64;
                return Err(QueryError::BudgetExceeded { what, max });
            }
        }
        Ok(Some((first, last)))
    }

    fn points(
        &self,
        mut found: Vec<(u64, usize)>,
        cells: &Cells<(GroupKey, u64)>,
        filled: Option<(u64, u64)>,
    ) -> Vec<Point> {
        let Some(time) = &self.request.time else {
            return Vec::new();
        };
        let grid = Grid::new(time);
        found.sort_unstable();
        let point = |bucket, figures| {
            let (start, end) = grid.bounds(bucket);
            let (from, to) = time.range.unwrap_or((i64::MIN, i64::MAX));
            Point {
                start_ns: start.max(from),
                end_ns: end.min(to),
                figures,
            }
        };
        let of_cell = |cell| self.figures(&cells.rows, &cells.states, cell);
        let Some((first, last)) = filled else {
            let points = found.into_iter();
            return points
                .map(|(bucket, cell)| point(bucket, of_cell(cell)))
                .collect();
        };
        let mut blank: Vec<State> = self.needs.iter().map(Need::state).collect();
        blank.iter_mut().for_each(|state| state.resize(1));
        let blank = self.figures(&[0], &blank, 0);
        let mut found = found.into_iter().peekable();
        (first..=last)
            .map(|bucket| match found.next_if(|(at, _)| *at == bucket) {
                Some((_, cell)) => point(bucket, of_cell(cell)),
                None => point(bucket, blank.clone()),
            })
            .collect()
    }
}

/// A number by which groups are ordered: the nearest float, and what a whole number is above it.
#[derive(Clone, Copy, Debug)]
struct Place(f64, i128);

impl Place {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "what is lost is the second part"
    )]
    fn whole(n: i128) -> Self {
        let near = n as f64;
        Self(near, n.saturating_sub(near as i128))
    }

    fn number(n: Number) -> Option<Self> {
        match n {
            Number::Whole(n) => Some(Self::whole(n)),
            Number::Float(x) if x.is_nan() => None,
            Number::Float(x) => Some(Self(x + 0.0, 0)),
        }
    }

    fn of(value: &Value, part: usize) -> Option<Self> {
        match value {
            Value::Count(count) | Value::Distinct { count, .. } => {
                Some(Self::whole((*count).into()))
            }
            Value::Number(number) => number.and_then(Self::number),
            Value::Quantiles(all) => {
                let x = all.get(part).copied().flatten()?;
                Self::number(Number::Float(x))
            }
            Value::Histogram(_) => None,
        }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}
