//! One trace: where its spans are, which of them are asked about, and what is known of the whole.

use roaring::RoaringBitmap;

use super::TREE_SPANS_MAX;
use super::ast::{Field, Intrinsic};
use super::fields::{Need, read, read_column};
use super::tree::{Spans, Tree};
use super::value::{Value, Values};
use crate::model;
use crate::query::QueryError;
use crate::query::meter::{Meter, len_u64};
use crate::source::{Column, Core, Visible};

/// The rows of a trace in one source.
struct Part<'v> {
    visible: &'v Visible<'v>,
    rows: RoaringBitmap,
    /// The number of its first span.
    first: u32,
}

/// What the row of a trace's run says.
#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    pub(super) start_ns: Option<i64>,
    pub(super) duration_ns: Option<i64>,
    pub(super) name: Option<Box<str>>,
    pub(super) service: Option<Box<str>>,
}

/// A run by start and id, and where it is.
type Earliest<'v> = ((i64, Box<str>), &'v Visible<'v>, u32, Core);

/// A trace. Its spans are numbered from 0, by source and row.
pub(super) struct Trace<'v> {
    pub(super) id: Box<str>,
    parts: Vec<Part<'v>>,
    runs: &'v [Visible<'v>],
    /// The spans that start in the range that is asked about.
    pub(super) within: RoaringBitmap,
    tree: Option<Tree>,
    run: Option<Run>,
}

impl<'v> Trace<'v> {
    pub(super) fn new(
        id: Box<str>,
        (spans, runs): (&'v [Visible<'v>], &'v [Visible<'v>]),
        range: Option<(i64, i64)>,
        meter: &mut Meter<'_>,
    ) -> Result<Self, QueryError> {
        let (mut parts, mut first) = (Vec::new(), 0u32);
        let mut within = RoaringBitmap::new();
        for visible in spans {
            let rows = visible.source.trace_rows(&id)? & &visible.live;
            if rows.is_empty() {
                continue;
            }
            let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
            match range {
                None => {
                    within.insert_range(first..first.saturating_add(count));
                }
                Some((from, to)) => {
                    let mut numbers = rows.iter().zip(first..);
                    visible
                        .source
                        .values(&Column::Start, &rows, &mut |row, start| {
                            let number = numbers.find(|(at, _)| *at == row);
                            if let (Some((_, number)), Some(Value::Int(ns))) =
                                (number, Value::of(start))
                                && (from..to).contains(&ns)
                            {
                                within.insert(number);
                            }
                        })?;
                }
            }
            parts.push(Part {
                visible,
                rows,
                first,
            });
            first = first.saturating_add(count);
        }
        meter.visit_group(u64::from(first))?;
        Ok(Self {
            id,
            parts,
            runs,
            within,
            tree: None,
            run: None,
        })
    }

    /// How many spans it has.
    fn count(&self) -> u32 {
        let last = self.parts.last();
        last.map_or(0, |part| {
            let count = u32::try_from(part.rows.len()).unwrap_or(u32::MAX);
            part.first.saturating_add(count)
        })
    }

    /// Calls `look` for each source that has some of these spans, with their rows; it answers which of
    /// them pass.
    pub(super) fn among(
        &self,
        spans: &RoaringBitmap,
        look: &mut dyn FnMut(&'v Visible<'v>, &RoaringBitmap) -> Result<RoaringBitmap, QueryError>,
    ) -> Result<RoaringBitmap, QueryError> {
        let mut passed = RoaringBitmap::new();
        for part in &self.parts {
            let (rows, numbers) = part.some(spans);
            if rows.is_empty() {
                continue;
            }
            let found = look(part.visible, &rows)?;
            passed.extend(
                rows.iter()
                    .zip(&numbers)
                    .filter(|(row, _)| found.contains(*row))
                    .map(|(_, number)| number),
            );
        }
        Ok(passed)
    }

    /// The values of a field, for each of these spans in order.
    pub(super) fn read(
        &mut self,
        field: &Field,
        spans: &RoaringBitmap,
        meter: &mut Meter<'_>,
    ) -> Result<Vec<Values>, QueryError> {
        match field.need() {
            Need::Row => {
                let mut all = Vec::new();
                for part in &self.parts {
                    let (rows, _) = part.some(spans);
                    if !rows.is_empty() {
                        all.extend(read(field, part.visible, &rows, meter)?);
                    }
                }
                Ok(all)
            }
            Need::Run => {
                let run = self.run(meter)?;
                let value = match field {
                    Field::Intrinsic(Intrinsic::TraceDuration) => {
                        run.duration_ns.map(Value::Duration)
                    }
                    Field::Intrinsic(Intrinsic::RootName) => run.name.map(Value::Str),
                    _ => run.service.map(Value::Str),
                };
                let values: Values = value.into_iter().collect();
                Ok(spans.iter().map(|_| values.clone()).collect())
            }
            Need::Tree => self.read_of_tree(field, spans, meter),
        }
    }

    /// The values of a column, for each of these spans in order.
    pub(super) fn column(
        &self,
        column: &Column,
        spans: &RoaringBitmap,
        meter: &mut Meter<'_>,
    ) -> Result<Vec<Values>, QueryError> {
        let mut all = Vec::new();
        for part in &self.parts {
            let (rows, _) = part.some(spans);
            all.extend(read_column(Some(column), part.visible, &rows, meter)?);
        }
        Ok(all)
    }

    fn read_of_tree(
        &mut self,
        field: &Field,
        spans: &RoaringBitmap,
        meter: &mut Meter<'_>,
    ) -> Result<Vec<Values>, QueryError> {
        let tree = self.tree(meter)?;
        if let Field::Parent(inner) = field {
            let above: Vec<Option<u32>> = spans.iter().map(|at| tree.above(at)).collect();
            let parents: RoaringBitmap = above.iter().flatten().copied().collect();
            let values = self.read(inner, &parents, meter)?;
            let of = |at: &Option<u32>| {
                let place = at.map_or(0, |at| parents.rank(at));
                let place = usize::try_from(place).unwrap_or(0).checked_sub(1);
                place
                    .and_then(|n| values.get(n))
                    .cloned()
                    .unwrap_or_default()
            };
            return Ok(above.iter().map(of).collect());
        }
        let value = |at: u32| match field {
            Field::Intrinsic(Intrinsic::ChildCount) => i64::from(tree.children(at)),
            Field::Intrinsic(Intrinsic::NestedSetLeft) => i64::from(tree.sides(at).0),
            Field::Intrinsic(Intrinsic::NestedSetRight) => i64::from(tree.sides(at).1),
            _ => tree.left_of_parent(at),
        };
        Ok(spans.iter().map(|at| vec![Value::Int(value(at))]).collect())
    }

    /// Its tree, made when it is first asked for.
    pub(super) fn tree(&mut self, meter: &mut Meter<'_>) -> Result<&Tree, QueryError> {
        if self.tree.is_none() {
            self.tree = Some(self.make_tree(meter)?);
        }
        Ok(self
            .tree
            .as_ref()
            .expect("BUG: a tree was made and is not there"))
    }

    fn make_tree(&self, meter: &mut Meter<'_>) -> Result<Tree, QueryError> {
        check_tree(self.count())?;
        let mut spans = Spans::default();
        for part in &self.parts {
            for (row, n) in part.rows.iter().zip(0u64..) {
                meter.check_at(n)?;
                let core = part.visible.source.core(row)?;
                spans.starts.push(core.start_ns);
                spans.ids.push(core.id);
            }
            let column = Column::Path(model::PARENT_ID.into());
            let parents = read_column(Some(&column), part.visible, &part.rows, meter)?;
            let parents = parents.into_iter().map(|values| {
                let mut texts = values.into_iter().filter_map(|value| match value {
                    Value::Str(id) => Some(id),
                    _ => None,
                });
                texts.next()
            });
            spans.parent_ids.extend(parents);
        }
        meter.hold(spans.bytes())?;
        Ok(Tree::new(&spans))
    }

    /// What its run says: of several the earliest.
    pub(super) fn run(&mut self, meter: &mut Meter<'_>) -> Result<Run, QueryError> {
        if let Some(run) = &self.run {
            return Ok(run.clone());
        }
        let mut best: Option<Earliest<'_>> = None;
        for visible in self.runs {
            for row in visible.source.trace_rows(&self.id)? & &visible.live {
                let core = visible.source.core(row)?;
                let rank = (core.start_ns, core.id.clone());
                if best.as_ref().is_none_or(|(known, ..)| rank < *known) {
                    best = Some((rank, visible, row, core));
                }
            }
        }
        let mut run = Run::default();
        if let Some((_, visible, row, core)) = best {
            let rows = RoaringBitmap::from_iter([row]);
            let mut text = |name: &str| -> Result<Option<Box<str>>, QueryError> {
                let column = Column::Path(name.into());
                let values = read_column(Some(&column), visible, &rows, meter)?;
                let mut values = values.into_iter().flatten();
                Ok(values.find_map(|value| match value {
                    Value::Str(text) => Some(text),
                    _ => None,
                }))
            };
            run = Run {
                start_ns: Some(core.start_ns),
                duration_ns: core.end_ns.map(|end| end.saturating_sub(core.start_ns)),
                name: text(model::NAME)?,
                service: text(model::SERVICE)?,
            };
        }
        self.run = Some(run.clone());
        Ok(run)
    }

    /// The ids, starts and durations of these spans.
    pub(super) fn cores(
        &self,
        spans: &RoaringBitmap,
        visit: &mut dyn FnMut(u32, Core),
    ) -> Result<(), QueryError> {
        for part in &self.parts {
            let (rows, numbers) = part.some(spans);
            for (row, number) in rows.iter().zip(&numbers) {
                visit(number, part.visible.source.core(row)?);
            }
        }
        Ok(())
    }
}

impl Part<'_> {
    /// The rows among these spans, and their numbers.
    fn some(&self, spans: &RoaringBitmap) -> (RoaringBitmap, RoaringBitmap) {
        let all = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let end = self.first.saturating_add(all);
        let mut numbers = RoaringBitmap::new();
        numbers.insert_range(self.first..end);
        if numbers.is_subset(spans) {
            return (self.rows.clone(), numbers);
        }
        numbers &= spans;
        let mut rows = RoaringBitmap::new();
        let mut wanted = numbers.iter().peekable();
        for (row, number) in self.rows.iter().zip(self.first..) {
            if wanted.next_if_eq(&number).is_some() {
                rows.insert(row);
            }
            if wanted.peek().is_none() {
                break;
            }
        }
        (rows, numbers)
    }
}

/// Refuses traces that are too large to be looked at as a tree.
fn check_tree(spans: u32) -> Result<(), QueryError> {
    if usize::try_from(spans).unwrap_or(usize::MAX) > TREE_SPANS_MAX {
        return Err(QueryError::BudgetExceeded {
            what: "spans of a trace",
            max: len_u64(TREE_SPANS_MAX),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_made_of_so_many_spans() {
        let most = u32::try_from(TREE_SPANS_MAX).unwrap();
        assert!(check_tree(most).is_ok());
        assert!(check_tree(most + 1).is_err());
    }
}
