//! One source's share of an aggregate.

use roaring::RoaringBitmap;

use super::super::QueryError;
use super::super::meter::Meter;
use super::super::plan::{Node, Starts};
use super::super::scan::{evaluate, group_count, live_rows, settle};
use super::gather::{Seen, add, count};
use super::key::GroupValue;
use super::request::{CELLS_MAX, KEYS_MAX, Key, TimeBuckets};
use super::slots::{Assigned, KeyReader, Pairs};
use super::state::{Need, State};
use super::time::{Buckets, Grid};
use crate::columns::value::to_i64;
use crate::source::{Column, ColumnReader, Lane, LaneValues, Selection, Visible};

/// What is asked of every source.
pub(super) struct Task<'q> {
    pub(super) node: Node<'q>,
    pub(super) starts: Starts,
    pub(super) keys: &'q [Key],
    pub(super) time: Option<TimeBuckets>,
    pub(super) needs: Vec<Need<'q>>,
    /// The filters of the needs, planned; `None` for the others.
    pub(super) filters: Vec<Option<Node<'q>>>,
}

/// Numbers of the values of a cell: one per key, and of its time bucket.
pub(super) type CellKey = [u32; KEYS_MAX + 1];

/// What the rows of one source come to.
#[derive(Debug, Default)]
pub(super) struct Partial {
    /// The values of each key, by number.
    pub(super) keys: Vec<Vec<Option<GroupValue>>>,
    /// The time buckets, by number.
    pub(super) buckets: Vec<u64>,
    pub(super) cells: Vec<CellKey>,
    /// By cell.
    pub(super) rows: Vec<u64>,
    pub(super) states: Vec<State>,
    /// Of all rows, each once: one cell.
    pub(super) total_rows: u64,
    pub(super) total: Vec<State>,
    pub(super) bytes: usize,
    /// Row groups that were looked into, and their live rows.
    pub(super) visited: (u64, u64),
}

/// A column that needs read, each once.
struct Input<'a> {
    column: &'a Column,
    reader: Box<dyn ColumnReader + 'a>,
    lanes: Vec<Lane>,
}

/// Accumulators with what each has seen.
struct Sums {
    states: Vec<State>,
    seen: Vec<Seen>,
}

impl Sums {
    fn new(needs: &[Need<'_>]) -> Self {
        Self {
            states: needs.iter().map(Need::state).collect(),
            seen: needs.iter().map(|_| Seen::default()).collect(),
        }
    }

    fn bytes(&self) -> usize {
        let states = self.states.iter().map(State::bytes);
        states.chain(self.seen.iter().map(Seen::bytes)).sum()
    }
}

/// What all rows come to, each counted once, where that is not the sum of the cells.
enum Apart {
    /// The cells and the rows that are in none of them: no row is in two.
    Outside(Sums),
    /// All rows by themselves.
    Whole(Sums),
}

impl Apart {
    const fn sums(&self) -> &Sums {
        match self {
            Self::Outside(sums) | Self::Whole(sums) => sums,
        }
    }
}

/// A source being read.
struct Scan<'a, 'q> {
    task: &'a Task<'q>,
    visible: &'a Visible<'a>,
    keys: Vec<KeyReader<'a>>,
    /// One per key but the first, and one for time.
    pairs: Vec<Pairs>,
    start: Option<Box<dyn ColumnReader + 'a>>,
    buckets: Option<Buckets>,
    inputs: Vec<Input<'a>>,
    cells: usize,
    rows: Vec<u64>,
    sums: Sums,
    total_rows: u64,
    /// Once a row was in several cells or in none.
    apart: Option<Apart>,
    visited: (u64, u64),
}

/// Works out what the rows of a source come to.
pub(super) fn partial(
    task: &Task<'_>,
    visible: &Visible<'_>,
    meter: &mut Meter<'_>,
    held: usize,
) -> Result<Partial, QueryError> {
    let mut scan = Scan::new(task, visible)?;
    for group in 0..group_count(visible.source) {
        scan.look_into(group, meter)?;
        meter.hold(held.saturating_add(scan.bytes()))?;
    }
    scan.finish(meter)
}

impl<'a, 'q> Scan<'a, 'q> {
    fn new(task: &'a Task<'q>, visible: &'a Visible<'a>) -> Result<Self, QueryError> {
        let source = visible.source;
        let keys = task.keys.iter().map(|key| KeyReader::new(source, key));
        let mut inputs: Vec<Input<'a>> = Vec::new();
        for column in task.needs.iter().filter_map(Need::column) {
            if inputs.iter().all(|input| input.column != column) {
                inputs.push(Input {
                    column,
                    reader: source.reader(column)?,
                    lanes: Vec::new(),
                });
            }
        }
        let start = match &task.time {
            Some(_) => Some(source.reader(&Column::Start)?),
            None => None,
        };
        Ok(Self {
            task,
            visible,
            keys: keys.collect::<Result<_, _>>()?,
            pairs: (0..=task.keys.len()).map(|_| Pairs::default()).collect(),
            start,
            buckets: task.time.as_ref().map(|time| Buckets::new(Grid::new(time))),
            inputs,
            cells: 0,
            rows: Vec::new(),
            sums: Sums::new(&task.needs),
            total_rows: 0,
            apart: None,
            visited: (0, 0),
        })
    }

    fn bytes(&self) -> usize {
        let keys: usize = self.keys.iter().map(KeyReader::bytes).sum();
        let pairs: usize = self.pairs.iter().map(Pairs::bytes).sum();
        keys + pairs
            + self.rows.capacity() * size_of::<u64>()
            + self.sums.bytes()
            + self.apart.as_ref().map_or(0, |apart| apart.sums().bytes())
    }

    fn look_into(&mut self, group: u32, meter: &mut Meter<'_>) -> Result<(), QueryError> {
        let source = self.visible.source;
        meter.explain.groups += 1;
        let range = source.start_range(group);
        if !self.task.starts.overlaps(range) {
            meter.explain.groups_pruned_by_time += 1;
            return Ok(());
        }
        let live = live_rows(self.visible, group);
        if live.is_empty() {
            return Ok(());
        }
        meter.visit_group(live.len())?;
        self.visited.0 += 1;
        self.visited.1 += live.len();
        let verdict = evaluate(&self.task.node, source, &live, meter)?;
        let passed = settle(&self.task.node, self.visible, verdict, meter)?;
        let selection = self.within_time(Selection::of(&passed), range)?;
        if selection.is_empty() {
            return Ok(());
        }
        meter.check()?;
        let assigned = self.assign(&selection, range, meter)?;
        self.add(&assigned, &selection, meter)
    }

    /// The rows that start in the range asked for.
    fn within_time(
        &mut self,
        selection: Selection,
        starts: Option<(i64, i64)>,
    ) -> Result<Selection, QueryError> {
        let Some((from, to)) = self.task.time.and_then(|time| time.range) else {
            return Ok(selection);
        };
        let inside = |start: i64| from <= start && start < to;
        if starts.is_some_and(|(first, last)| inside(first) && inside(last)) {
            return Ok(selection);
        }
        let starts = read_starts(&mut self.start, &selection)?;
        let mut rows = Vec::new();
        selection.each(&mut |place, row| {
            let start = starts.get(place as usize).copied();
            if start.is_some_and(|start| inside(to_i64(start))) {
                rows.push(row);
            }
        });
        if rows.len() == selection.len() {
            return Ok(selection);
        }
        let rows: RoaringBitmap = rows.into_iter().collect();
        Ok(Selection::of(&rows))
    }

    /// The cell of every selected row.
    fn assign(
        &mut self,
        selection: &Selection,
        starts: Option<(i64, i64)>,
        meter: &mut Meter<'_>,
    ) -> Result<Assigned, QueryError> {
        let places = selection.len();
        let mut so_far: Option<(Assigned, usize)> = None;
        let mut pairs = self.pairs.iter_mut();
        for key in &mut self.keys {
            let assigned = key.assign(selection)?;
            meter.check()?;
            let count = key.values.len();
            so_far = Some(match so_far {
                None => (assigned, count),
                Some((before, known)) => {
                    let pairs = pairs.next().expect("BUG: fewer pairs than keys");
                    let both = pairs.combine(&before, &assigned, (known, count), places)?;
                    (both, pairs.list.len())
                }
            });
        }
        if let Some(buckets) = &mut self.buckets {
            let assigned = match starts.and_then(|starts| buckets.one(starts)) {
                Some(one) => one,
                None => buckets.each(&read_starts(&mut self.start, selection)?),
            };
            let count = buckets.list.len();
            so_far = Some(match so_far {
                None => (assigned, count),
                Some((before, known)) => {
                    let pairs = pairs.next().expect("BUG: fewer pairs than keys");
                    let both = pairs.combine(&before, &assigned, (known, count), places)?;
                    (both, pairs.list.len())
                }
            });
        }
        let (assigned, cells) = so_far.unwrap_or((Assigned::One(0), 1));
        if cells > CELLS_MAX {
            return Err(too_many_cells());
        }
        self.cells = cells;
        Ok(assigned)
    }

    fn add(
        &mut self,
        assigned: &Assigned,
        selection: &Selection,
        meter: &mut Meter<'_>,
    ) -> Result<(), QueryError> {
        let is_whole = matches!(self.apart, Some(Apart::Whole(_)));
        let outside = if is_whole { None } else { assigned.outside() };
        if assigned.is_many() && !is_whole {
            self.apart = Some(Apart::Whole(self.total(meter)?));
        } else if outside.is_some() && self.apart.is_none() {
            self.apart = Some(Apart::Outside(Sums::new(&self.task.needs)));
        }
        self.rows.resize(self.cells, 0);
        count(assigned, selection.len(), &mut self.rows);
        self.total_rows += selection.len() as u64;
        for input in &mut self.inputs {
            input.reader.read(selection, &mut input.lanes)?;
            meter.check()?;
        }
        let mut targets = vec![(&mut self.sums, assigned, self.cells)];
        let all = Assigned::One(0);
        match (&mut self.apart, &outside) {
            (Some(Apart::Whole(sums)), _) => targets.push((sums, &all, 1)),
            (Some(Apart::Outside(sums)), Some(outside)) => targets.push((sums, outside, 1)),
            (Some(Apart::Outside(_)), None) | (None, _) => {}
        }
        let rows = self.task.filters.iter();
        let rows = rows.map(|filter| match filter {
            Some(node) => passing(node, self.visible, selection, meter).map(Some),
            None => Ok(None),
        });
        let passing: Vec<Option<Vec<u32>>> = rows.collect::<Result<_, _>>()?;
        for (sums, assigned, cells) in targets {
            for (at, need) in self.task.needs.iter().enumerate() {
                meter.check()?;
                let (Some(state), Some(seen)) = (sums.states.get_mut(at), sums.seen.get_mut(at))
                else {
                    continue;
                };
                state.resize(cells);
                if let (State::Rows(counts), Some(Some(places))) = (&mut *state, passing.get(at)) {
                    for place in places {
                        assigned.of(*place as usize, |cell| {
                            if let Some(count) = counts.get_mut(cell as usize) {
                                *count += 1;
                            }
                        });
                    }
                }
                let column = need.column();
                let input = self
                    .inputs
                    .iter()
                    .find(|input| Some(input.column) == column);
                if let Some(input) = input {
                    for lane in &input.lanes {
                        add(state, seen, assigned, lane, &*input.reader);
                    }
                }
            }
        }
        Ok(())
    }

    /// What all rows so far come to. Settles what was seen.
    fn total(&mut self, meter: &Meter<'_>) -> Result<Sums, QueryError> {
        let needs = &self.task.needs;
        settle_seen(&mut self.sums, needs, &mut self.inputs)?;
        let mut total = match self.apart.take() {
            Some(Apart::Whole(mut sums)) => {
                settle_seen(&mut sums, needs, &mut self.inputs)?;
                return Ok(sums);
            }
            Some(Apart::Outside(mut sums)) => {
                settle_seen(&mut sums, needs, &mut self.inputs)?;
                sums
            }
            None => Sums::new(needs),
        };
        for (into, from) in total.states.iter_mut().zip(&self.sums.states) {
            into.resize(1);
            for (cell, n) in (0..self.rows.len()).zip(0u64..) {
                meter.check_at(n)?;
                into.merge(0, from, cell);
            }
        }
        Ok(total)
    }

    fn finish(mut self, meter: &Meter<'_>) -> Result<Partial, QueryError> {
        let states = &mut self.sums.states;
        states.iter_mut().for_each(|s| s.resize(self.cells));
        let total = self.total(meter)?;
        let cells = (0..self.cells).map(|cell| self.key_of(cell)).collect();
        let mut partial = Partial {
            keys: Vec::new(),
            buckets: self.buckets.map_or(Vec::new(), |buckets| buckets.list),
            cells,
            rows: self.rows,
            states: self.sums.states,
            total_rows: self.total_rows,
            total: total.states,
            bytes: 0,
            visited: self.visited,
        };
        let keys: usize = self.keys.iter().map(|key| key.values.bytes()).sum();
        partial.rows.resize(partial.cells.len(), 0);
        partial.bytes = keys
            + partial.cells.len() * (size_of::<CellKey>() + size_of::<u64>())
            + partial.buckets.len() * size_of::<u64>()
            + partial.states.iter().map(State::bytes).sum::<usize>()
            + partial.total.iter().map(State::bytes).sum::<usize>();
        partial.keys = self
            .keys
            .into_iter()
            .map(|key| key.values.into_values())
            .collect();
        Ok(partial)
    }

    /// The numbers of the values of a cell.
    fn key_of(&self, cell: usize) -> CellKey {
        let mut numbers = [0; KEYS_MAX + 1];
        let mut id = u32::try_from(cell).unwrap_or(0);
        let parts = self.keys.len() + usize::from(self.buckets.is_some());
        // From the last part, which the outermost pairs hold, to the first.
        for part in (1..parts).rev() {
            let pair = self
                .pairs
                .get(part - 1)
                .and_then(|pairs| pairs.list.get(id as usize));
            let (before, this) = pair.copied().unwrap_or_default();
            *self.slot(&mut numbers, part) = this;
            id = before;
        }
        if parts > 0 {
            *self.slot(&mut numbers, 0) = id;
        }
        numbers
    }

    /// Where the number of a part stands: time is last whatever the number of keys.
    fn slot<'n>(&self, numbers: &'n mut CellKey, part: usize) -> &'n mut u32 {
        let at = if part == self.keys.len() {
            KEYS_MAX
        } else {
            part
        };
        &mut numbers[at]
    }
}

fn settle_seen(
    sums: &mut Sums,
    needs: &[Need<'_>],
    inputs: &mut [Input<'_>],
) -> Result<(), QueryError> {
    for ((state, seen), need) in sums.states.iter_mut().zip(&mut sums.seen).zip(needs) {
        let input = inputs.iter_mut().find(|i| Some(i.column) == need.column());
        if let Some(input) = input {
            seen.settle(state, &mut *input.reader)?;
        }
    }
    Ok(())
}

/// Starts by place: every row has one.
fn read_starts(
    reader: &mut Option<Box<dyn ColumnReader + '_>>,
    selection: &Selection,
) -> Result<Vec<u64>, QueryError> {
    let mut lanes = Vec::new();
    if let Some(reader) = reader {
        reader.read(selection, &mut lanes)?;
    }
    Ok(match lanes.pop().map(|lane| lane.values) {
        Some(LaneValues::Numbers(starts)) => starts,
        _ => Vec::new(),
    })
}

/// The places of the selected rows that pass a filter.
fn passing(
    node: &Node<'_>,
    visible: &Visible<'_>,
    selection: &Selection,
    meter: &mut Meter<'_>,
) -> Result<Vec<u32>, QueryError> {
    let verdict = evaluate(node, visible.source, &selection.bitmap(), meter)?;
    let passed = settle(node, visible, verdict, meter)?;
    let first = selection.first().unwrap_or(0);
    let mut places = Vec::with_capacity(usize::try_from(passed.len()).unwrap_or(0));
    match selection {
        Selection::Range { .. } => places.extend(passed.iter().map(|row| row - first)),
        Selection::Rows(_) => selection.each(&mut |place, row| {
            if passed.contains(row) {
                places.push(place);
            }
        }),
    }
    Ok(places)
}

pub(super) fn too_many_cells() -> QueryError {
    QueryError::BudgetExceeded {
        what: "groups and time buckets",
        max: CELLS_MAX as u64,
    }
}
