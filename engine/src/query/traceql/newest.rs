//! Spans that may pass, newest first, over all sources at once: a row group is opened when it can
//! have the next one.

use std::collections::BinaryHeap;

use roaring::RoaringBitmap;

use super::value::Value;
use crate::doc::Scalar;
use crate::query::QueryError;
use crate::query::meter::Meter;
use crate::query::plan::{Node, Starts};
use crate::query::scan::{evaluate, group_count, live_rows};
use crate::source::{Column, Visible};

/// Trace ids that are read at once.
const IDS_PER_READ: usize = 512;

/// A row group that was not looked into.
struct Closed<'v> {
    /// The latest start that it can have.
    latest: i64,
    visible: &'v Visible<'v>,
    group: u32,
}

/// A row group with its rows that may pass.
struct Open<'v> {
    visible: &'v Visible<'v>,
    /// By start, the latest last.
    rows: Vec<(i64, u32)>,
    /// The next ones with their traces, the latest last.
    ready: Vec<(i64, Box<str>)>,
}

/// The spans.
pub(super) struct Newest<'v, 'q> {
    node: Node<'q>,
    /// The latest last.
    closed: Vec<Closed<'v>>,
    open: Vec<Open<'v>>,
    /// The latest start of each open one, and which it is.
    heads: BinaryHeap<(i64, usize)>,
}

impl<'v, 'q> Newest<'v, 'q> {
    pub(super) fn new(
        spans: &'v [Visible<'v>],
        node: Node<'q>,
        starts: Starts,
        meter: &mut Meter<'_>,
    ) -> Self {
        let mut closed = Vec::new();
        for visible in spans {
            for group in 0..group_count(visible.source) {
                meter.explain.groups += 1;
                let range = visible.source.start_range(group);
                if !starts.overlaps(range) {
                    meter.explain.groups_pruned_by_time += 1;
                    continue;
                }
                closed.push(Closed {
                    latest: range.map_or(i64::MAX, |(_, latest)| latest),
                    visible,
                    group,
                });
            }
        }
        closed.sort_by_key(|unit| unit.latest);
        Self {
            node,
            closed,
            open: Vec::new(),
            heads: BinaryHeap::new(),
        }
    }

    /// The start and the trace of the next span.
    pub(super) fn next(
        &mut self,
        meter: &mut Meter<'_>,
    ) -> Result<Option<(i64, Box<str>)>, QueryError> {
        while let Some(unit) = self.closed.last() {
            if self
                .heads
                .peek()
                .is_some_and(|(start, _)| *start > unit.latest)
            {
                break;
            }
            if let Some(unit) = self.closed.pop() {
                self.look_into(&unit, meter)?;
            }
        }
        let Some((_, at)) = self.heads.pop() else {
            return Ok(None);
        };
        let Some(unit) = self.open.get_mut(at) else {
            return Ok(None);
        };
        if unit.ready.is_empty() {
            unit.read(meter)?;
        }
        let next = unit.ready.pop();
        let head = unit.ready.last().map(|(start, _)| *start);
        let head = head.or_else(|| unit.rows.last().map(|(start, _)| *start));
        if let Some(start) = head {
            self.heads.push((start, at));
        }
        Ok(next)
    }

    fn look_into(&mut self, unit: &Closed<'v>, meter: &mut Meter<'_>) -> Result<(), QueryError> {
        let live = live_rows(unit.visible, unit.group);
        if live.is_empty() {
            return Ok(());
        }
        meter.visit_group(live.len())?;
        let source = unit.visible.source;
        let possible = evaluate(&self.node, source, &live, meter)?.possible;
        let mut rows = Vec::with_capacity(usize::try_from(possible.len()).unwrap_or(0));
        source.values(&Column::Start, &possible, &mut |row, start| {
            if let Some(Value::Int(ns)) = Value::of(start) {
                rows.push((ns, row));
            }
        })?;
        rows.sort_unstable();
        if let Some((start, _)) = rows.last() {
            self.heads.push((*start, self.open.len()));
            self.open.push(Open {
                visible: unit.visible,
                rows,
                ready: Vec::new(),
            });
        }
        let held = self.open.iter().map(|open| open.rows.capacity() * 16);
        meter.hold(held.sum())
    }
}

impl Open<'_> {
    fn read(&mut self, meter: &Meter<'_>) -> Result<(), QueryError> {
        meter.check()?;
        let from = self.rows.len().saturating_sub(IDS_PER_READ);
        let mut some = self.rows.split_off(from);
        if self.rows.is_empty() {
            self.rows = Vec::new();
        }
        let source = self.visible.source;
        let rows: RoaringBitmap = some.iter().map(|(_, row)| *row).collect();
        some.sort_unstable_by_key(|(_, row)| *row);
        let mut at = 0;
        let ready = &mut self.ready;
        let mut long = Vec::new();
        source.values(&Column::TraceId, &rows, &mut |row, id| {
            while some.get(at).is_some_and(|(_, known)| *known < row) {
                at += 1;
            }
            match (id, some.get(at)) {
                (Scalar::Str(id), Some((start, _))) => ready.push((*start, id.into())),
                (_, Some((start, _))) => long.push((*start, row)),
                _ => {}
            }
        })?;
        for (start, row) in long {
            ready.push((start, source.core(row)?.trace_id));
        }
        ready.sort_unstable();
        Ok(())
    }
}
