//! Which group each selected row is in: codes to numbers of groups through arrays.

use hashbrown::HashMap;

use super::super::QueryError;
use super::key::{GroupValue, Interner};
use super::request::Key;
use crate::source::{ColumnReader, Lane, LaneKind, LaneValues, Selection, Source};

/// No group.
pub(super) const NONE: u32 = u32::MAX;
/// Most (row, group) pairs of a row group: rows with several values in several keys multiply.
pub(super) const PAIRS_MAX: usize = 1 << 22;
/// Entries up to which pairs of numbers are looked up in an array.
const TABLE_MAX: usize = 1 << 20;

/// The group of each place of a selection.
#[derive(Clone, Debug)]
pub(super) enum Assigned {
    /// All of them.
    One(u32),
    /// By place, or [`NONE`].
    Each(Vec<u32>),
    /// Those of place i end at `ends[i]`.
    Many { ends: Vec<u32>, ids: Vec<u32> },
}

impl Assigned {
    pub(super) const fn is_many(&self) -> bool {
        matches!(self, Self::Many { .. })
    }

    /// The places in no group, as a group of their own; `None` if there are none.
    pub(super) fn outside(&self) -> Option<Self> {
        match self {
            Self::Each(ids) if ids.contains(&NONE) => {
                let of = |id: &u32| if *id == NONE { 0 } else { NONE };
                Some(Self::Each(ids.iter().map(of).collect()))
            }
            Self::One(_) | Self::Each(_) | Self::Many { .. } => None,
        }
    }

    /// Calls `visit` with each group of a place.
    #[inline]
    pub(super) fn of(&self, place: usize, mut visit: impl FnMut(u32)) {
        match self {
            Self::One(id) => visit(*id),
            Self::Each(ids) => {
                let id = ids.get(place).copied().unwrap_or(NONE);
                if id != NONE {
                    visit(id);
                }
            }
            Self::Many { ends, ids } => {
                let end = |at: usize| ends.get(at).copied().unwrap_or(0) as usize;
                let from = place.checked_sub(1).map_or(0, end);
                let ids = ids.get(from..end(place)).unwrap_or_default();
                ids.iter().for_each(|id| visit(*id));
            }
        }
    }
}

/// A key over one source.
pub(super) struct KeyReader<'a> {
    reader: Box<dyn ColumnReader + 'a>,
    lanes: Vec<Lane>,
    absent: bool,
    pub(super) values: Interner,
    by_code: Vec<u32>,
    by_number: HashMap<(LaneKind, u64), u32>,
}

impl<'a> KeyReader<'a> {
    pub(super) fn new(source: &'a dyn Source, key: &Key) -> Result<Self, QueryError> {
        Ok(Self {
            reader: source.reader(&key.column)?,
            lanes: Vec::new(),
            absent: key.absent,
            values: Interner::default(),
            by_code: Vec::new(),
            by_number: HashMap::new(),
        })
    }

    pub(super) fn bytes(&self) -> usize {
        self.values.bytes()
            + self.by_code.capacity() * size_of::<u32>()
            + self.by_number.allocation_size()
    }

    pub(super) fn assign(&mut self, selection: &Selection) -> Result<Assigned, QueryError> {
        let mut lanes = std::mem::take(&mut self.lanes);
        self.reader.read(selection, &mut lanes)?;
        let mut ids = Vec::with_capacity(lanes.len());
        for lane in &lanes {
            ids.push(match &lane.values {
                LaneValues::Codes(codes) => self.of_codes(codes)?,
                LaneValues::Numbers(numbers) => self.of_numbers(lane.kind, numbers),
            });
        }
        let absent = if self.absent {
            Some(&mut self.values)
        } else {
            None
        };
        let assigned = spread(&lanes, ids, selection.len(), absent)?;
        self.lanes = lanes;
        Ok(assigned)
    }

    fn of_codes(&mut self, codes: &[u32]) -> Result<Vec<u32>, QueryError> {
        let count = usize::try_from(self.reader.code_count()).unwrap_or(usize::MAX);
        if self.by_code.len() < count {
            self.by_code.resize(count, NONE);
        }
        let mut new = Vec::new();
        for code in codes {
            if let Some(slot @ &mut NONE) = self.by_code.get_mut(*code as usize) {
                *slot = 0;
                new.push(*code);
            }
        }
        let (values, by_code) = (&mut self.values, &mut self.by_code);
        let mut at = new.iter();
        self.reader.texts(&new, &mut |text| {
            let slot = at.next().and_then(|code| by_code.get_mut(*code as usize));
            if let Some(slot) = slot {
                *slot = values.id(Some(GroupValue::of_text(text)));
            }
        })?;
        let id = |code: &u32| by_code.get(*code as usize).copied().unwrap_or(NONE);
        Ok(codes.iter().map(id).collect())
    }

    fn of_numbers(&mut self, kind: LaneKind, numbers: &[u64]) -> Vec<u32> {
        let mut last = None;
        let values = &mut self.values;
        let by_number = &mut self.by_number;
        let mut id = |number: &u64| match last {
            Some((known, id)) if known == *number => id,
            _ => {
                let id = *by_number
                    .entry((kind, *number))
                    .or_insert_with(|| values.id(Some(GroupValue::of_number(kind, *number))));
                last = Some((*number, id));
                id
            }
        };
        numbers.iter().map(&mut id).collect()
    }
}

/// The groups of every place, given those of the values of each lane.
fn spread(
    lanes: &[Lane],
    mut ids: Vec<Vec<u32>>,
    places: usize,
    absent: Option<&mut Interner>,
) -> Result<Assigned, QueryError> {
    if matches!(lanes, [Lane { places: None, .. }])
        && let Some(only) = ids.pop()
    {
        return Ok(Assigned::Each(only));
    }
    let mut first = vec![NONE; places];
    let mut more: Vec<(u32, u32)> = Vec::new();
    for (lane, ids) in lanes.iter().zip(&ids) {
        for (at, id) in (0..).zip(ids) {
            let place = match &lane.places {
                Some(places) => places.get(at).copied().unwrap_or(NONE),
                None => u32::try_from(at).unwrap_or(NONE),
            };
            match first.get_mut(place as usize) {
                Some(slot @ &mut NONE) => *slot = *id,
                Some(known) if *known != *id => more.push((place, *id)),
                _ => {}
            }
        }
    }
    if let Some(values) = absent
        && first.contains(&NONE)
    {
        let absent = values.id(None);
        for slot in first.iter_mut().filter(|slot| **slot == NONE) {
            *slot = absent;
        }
    }
    if more.is_empty() {
        return Ok(Assigned::Each(first));
    }
    more.sort_unstable();
    more.dedup();
    let mut more = more.into_iter().peekable();
    build(places, |place, ids| {
        let known = first.get(place).copied().unwrap_or(NONE);
        if known != NONE {
            ids.push(known);
        }
        while let Some((_, id)) = more.next_if(|(at, _)| *at as usize == place) {
            ids.push(id);
        }
    })
}

/// The groups that `add` gives each place.
fn build(places: usize, mut add: impl FnMut(usize, &mut Vec<u32>)) -> Result<Assigned, QueryError> {
    let mut ends = Vec::with_capacity(places);
    let mut ids = Vec::with_capacity(places);
    for place in 0..places {
        add(place, &mut ids);
        if ids.len() > PAIRS_MAX {
            return Err(QueryError::BudgetExceeded {
                what: "pairs of row and group",
                max: PAIRS_MAX as u64,
            });
        }
        ends.push(u32::try_from(ids.len()).unwrap_or(NONE));
    }
    Ok(Assigned::Many { ends, ids })
}

/// Numbers pairs of numbers in the order in which they come.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub(super) list: Vec<(u32, u32)>,
    known: HashMap<(u32, u32), u32>,
    /// The same as `known` in rows of `width`, unless that is too large.
    table: Vec<u32>,
    width: usize,
}

impl Pairs {
    pub(super) fn bytes(&self) -> usize {
        self.list.capacity() * size_of::<(u32, u32)>()
            + self.known.allocation_size()
            + self.table.capacity() * size_of::<u32>()
    }

    /// Makes the table large enough for pairs below these numbers.
    fn prepare(&mut self, firsts: usize, seconds: usize) {
        if seconds <= self.width && firsts * self.width <= self.table.len() {
            return;
        }
        let (firsts, seconds) = (firsts.next_power_of_two(), seconds.next_power_of_two());
        self.table = Vec::new();
        self.width = 0;
        if firsts.saturating_mul(seconds) <= TABLE_MAX {
            self.width = seconds;
            self.table = vec![NONE; firsts * seconds];
            for (id, (a, b)) in (0..).zip(&self.list) {
                if let Some(slot) = self.table.get_mut(*a as usize * seconds + *b as usize) {
                    *slot = id;
                }
            }
        }
    }

    #[inline]
    fn id(&mut self, a: u32, b: u32) -> u32 {
        let at = (a as usize)
            .wrapping_mul(self.width)
            .wrapping_add(b as usize);
        match self.table.get(at) {
            Some(&id) if id != NONE => id,
            _ => self.look_up(a, b),
        }
    }

    fn look_up(&mut self, a: u32, b: u32) -> u32 {
        let next = u32::try_from(self.list.len()).expect("BUG: over 4 G groups");
        let id = *self.known.entry((a, b)).or_insert(next);
        if id == next {
            self.list.push((a, b));
        }
        let at = (a as usize)
            .wrapping_mul(self.width)
            .wrapping_add(b as usize);
        if let Some(slot) = self.table.get_mut(at) {
            *slot = id;
        }
        id
    }

    /// The pairs of two assignments of the same places: `counts` says how many numbers each has.
    pub(super) fn combine(
        &mut self,
        a: &Assigned,
        b: &Assigned,
        counts: (usize, usize),
        places: usize,
    ) -> Result<Assigned, QueryError> {
        self.prepare(counts.0, counts.1);
        if let (Assigned::One(a), Assigned::One(b)) = (a, b) {
            return Ok(Assigned::One(self.id(*a, *b)));
        }
        if !a.is_many() && !b.is_many() {
            let mut ids = vec![NONE; places];
            for (place, slot) in ids.iter_mut().enumerate() {
                a.of(place, |a| b.of(place, |b| *slot = self.id(a, b)));
            }
            return Ok(Assigned::Each(ids));
        }
        build(places, |place, ids| {
            a.of(place, |a| b.of(place, |b| ids.push(self.id(a, b))));
        })
    }
}
