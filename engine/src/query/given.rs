//! What scores make of runs and spans, as columns: an order, a key of groups or a measure goes by them.
//!
//! The scores of the name are read first, as for a test of scores; then a source of rows has the column beside its
//! own. What it answers there depends on the scores, so it is no sealed source.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::QueryError;
use super::beside::{Beside, ENTRY_BYTES};
use super::document;
use super::meter::Meter;
use super::scan::with_document;
use super::scores::{each_scored, each_span, name_is};
use crate::doc::{COLUMN_VALUE_BYTES_MAX, Scalar};
use crate::model::score::Fact;
use crate::row::{Lsn, Table};
use crate::source::{
    Blocks, Column, ColumnReader, Core, Kept, LaneKind, Matches, Outline, Probe, Rows, Source,
    SourceError, Taken, ValueTest, Visible, Wanted, by_values, reading,
};

/// The values of each span of a trace.
type OfSpans = HashMap<Box<str>, Vec<Kept>>;
/// A trace, and a span of it.
type Of = (Box<str>, Box<str>);

/// What the scores of one name say, by what they are of: over runs without the name of a span. A row has a value as
/// often as its scores say it.
#[derive(Debug, Default)]
pub(super) struct Said {
    by_trace: HashMap<Box<str>, OfSpans>,
    /// Values that came since this was asked last.
    values: usize,
    /// What these take.
    bytes: usize,
}

impl Said {
    /// Up to [`super::TRACES_MAX`] values, against the budget. What is too long for a column stands for itself.
    pub(super) fn of(
        beside: &Beside<'_>,
        (name, fact): (&str, Fact),
        meter: &mut Meter<'_>,
    ) -> Result<Self, QueryError> {
        Self::read(beside, (name, fact), false, meter)
    }

    /// The same with every text as it is, of which documents are read.
    pub(super) fn whole(
        beside: &Beside<'_>,
        (name, fact): (&str, Fact),
        meter: &mut Meter<'_>,
    ) -> Result<Self, QueryError> {
        Self::read(beside, (name, fact), true, meter)
    }

    fn read(
        beside: &Beside<'_>,
        (name, fact): (&str, Fact),
        is_whole: bool,
        meter: &mut Meter<'_>,
    ) -> Result<Self, QueryError> {
        let mut said = Self::default();
        let column = Column::Score(fact);
        beside.each_score(&name_is(name), meter, &mut |visible, scores, meter| {
            let mut of_score: HashMap<u32, Vec<Of>> = HashMap::new();
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
                    for (row, n) in scores.iter().zip(0u64..) {
                        meter.check_at(n)?;
                        note(row, &reader.core(row)?.trace_id, "");
                    }
                    Ok::<_, QueryError>(())
                })?;
            }
            let mut long = Vec::new();
            meter.check()?;
            visible.source.values(&column, scores, &mut |row, value| {
                if is_whole && matches!(value, Scalar::Long(_)) {
                    long.push(row);
                    return;
                }
                for (trace, span) in of_score.get(&row).into_iter().flatten() {
                    said.add(trace, span, Kept::of(value));
                }
            })?;
            long.dedup();
            let texts = long_texts(visible, (&column, &long), meter)?;
            for (row, text) in texts {
                for (trace, span) in of_score.get(&row).into_iter().flatten() {
                    said.add(trace, span, Kept::Str(text.clone()));
                }
            }
            let (values, bytes) = said.grown();
            meter.find(values, bytes)
        })?;
        Ok(said)
    }

    fn add(&mut self, trace: &str, span: &str, value: Kept) {
        if !self.by_trace.contains_key(trace) {
            self.bytes += trace.len() + ENTRY_BYTES + size_of::<OfSpans>();
            self.by_trace.insert(trace.into(), HashMap::new());
        }
        let Some(of_trace) = self.by_trace.get_mut(trace) else {
            return;
        };
        if !of_trace.contains_key(span) {
            self.bytes += span.len() + ENTRY_BYTES + size_of::<Vec<Kept>>();
            of_trace.insert(span.into(), Vec::new());
        }
        self.values += 1;
        self.bytes += value.bytes() + ENTRY_BYTES;
        if let Some(values) = of_trace.get_mut(span) {
            values.push(value);
        }
    }

    /// What the scores say of one row; over runs its span has no name.
    pub(super) fn of_row(&self, trace: &str, span: &str) -> &[Kept] {
        let values = self.by_trace.get(trace).and_then(|of| of.get(span));
        values.map_or(&[], Vec::as_slice)
    }

    /// How many values came since this was asked last, and what they take.
    const fn grown(&mut self) -> (usize, usize) {
        (
            std::mem::replace(&mut self.values, 0),
            std::mem::replace(&mut self.bytes, 0),
        )
    }

    /// Each value of a row once.
    pub(super) fn once(mut self, meter: &Meter<'_>) -> Result<Self, QueryError> {
        self.each_row(meter, &mut |values| {
            values.sort_unstable();
            values.dedup();
        })?;
        Ok(self)
    }

    /// Of each row the mean of its numbers, if it has any.
    fn means(mut self, meter: &Meter<'_>) -> Result<Self, QueryError> {
        self.each_row(meter, &mut |values| {
            *values = mean(values)
                .map(|x| Kept::F64(x.to_bits()))
                .into_iter()
                .collect();
        })?;
        Ok(self)
    }

    /// Calls `visit` with each of the rows that has values, ascending.
    pub(super) fn of_rows<'s>(
        &'s self,
        source: &dyn Source,
        within: (&RoaringBitmap, bool),
        visit: &mut dyn FnMut(u32, &'s [Kept]),
    ) -> Result<(), SourceError> {
        let find = |spans: &'s OfSpans, id: &str| spans.get(id).map(Vec::as_slice);
        // As a source, it is asked for no more than a row group at a time.
        let pause = &mut |_| Ok(());
        each_scored(source, (&self.by_trace, &find), within, (visit, pause))
    }

    fn each_row(
        &mut self,
        meter: &Meter<'_>,
        change: &mut dyn FnMut(&mut Vec<Kept>),
    ) -> Result<(), QueryError> {
        let rows = self.by_trace.values_mut().flat_map(HashMap::values_mut);
        for (values, n) in rows.zip(0u64..) {
            meter.check_at(n)?;
            change(values);
        }
        Ok(())
    }
}

/// The texts of these rows that are too long for the column.
fn long_texts(
    visible: &Visible<'_>,
    (column, rows): (&Column, &[u32]),
    meter: &mut Meter<'_>,
) -> Result<Vec<(u32, Box<str>)>, QueryError> {
    let mut texts = Vec::new();
    if rows.is_empty() {
        return Ok(texts);
    }
    reading(visible.source, |reader| {
        for row in rows {
            let core = reader.core(*row)?;
            with_document((visible, reader), *row, meter, |doc| {
                document::leaves(column, &core, doc, &mut |leaf| {
                    let text = leaf.as_str();
                    let long = text.filter(|text| text.len() > COLUMN_VALUE_BYTES_MAX);
                    texts.extend(long.map(|text| (*row, text.into())));
                    false
                })
            })?;
        }
        Ok::<_, QueryError>(())
    })?;
    Ok(texts)
}

/// Yes is 1 and no is 0, as some protocols store them. Numbers are added up by size, so that the mean is the same
/// whatever order they are stored in.
pub(super) fn mean(values: &[Kept]) -> Option<f64> {
    let number = |value: &Kept| match value.scalar() {
        Scalar::Bool(yes) => Some(f64::from(u8::from(yes))),
        #[expect(clippy::cast_precision_loss, reason = "a mean is a float")]
        Scalar::I64(n) => Some(n as f64),
        Scalar::F64(x) if !x.is_nan() => Some(x),
        Scalar::F64(_) | Scalar::Str(_) | Scalar::Long(_) => None,
    };
    let mut numbers: Vec<f64> = values.iter().filter_map(number).collect();
    numbers.sort_unstable_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "a million at most")]
    let count = numbers.len() as f64;
    (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / count)
}

/// The columns of a request that scores give to its rows.
#[derive(Debug, Default)]
pub(super) struct Given(Vec<(Column, Said)>);

impl Given {
    /// Those among the columns, each once.
    pub(super) fn of<'c>(
        columns: impl IntoIterator<Item = &'c Column>,
        beside: &Beside<'_>,
        meter: &mut Meter<'_>,
    ) -> Result<Self, QueryError> {
        let mut given = Self::default();
        let wanted: BTreeSet<&Column> = columns.into_iter().collect();
        for column in wanted {
            let Column::Scored(name, taken) = column else {
                continue;
            };
            if !matches!(beside.of, Table::Runs | Table::Spans) {
                return Err(QueryError::Meaningless(
                    "scores of rows that are neither runs nor spans",
                ));
            }
            let said = Said::of(beside, (name, Fact::Worth), meter)?;
            let said = match taken {
                Taken::Mean => said.means(meter)?,
                Taken::Each => said.once(meter)?,
            };
            given.0.push((column.clone(), said));
        }
        Ok(given)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sources with these columns; none if there are no columns.
    pub(super) fn sources<'a>(&'a self, rows: &[Visible<'a>], of: Table) -> Vec<WithGiven<'a>> {
        let with = |visible: &Visible<'a>| WithGiven {
            source: visible.source,
            given: self,
            of_spans: of == Table::Spans,
        };
        let rows = if self.is_empty() { &[][..] } else { rows };
        rows.iter().map(with).collect()
    }

    fn said(&self, column: &Column) -> Option<&Said> {
        let mut all = self.0.iter();
        all.find(|(known, _)| known == column).map(|(_, said)| said)
    }
}

/// The rows as these sources have them.
pub(super) fn seen<'a>(rows: &[Visible<'a>], sources: &'a [WithGiven<'a>]) -> Vec<Visible<'a>> {
    let pairs = rows.iter().zip(sources);
    let seen = pairs.map(|(visible, source)| Visible {
        source,
        live: visible.live.clone(),
        name: visible.name.clone(),
    });
    seen.collect()
}

/// A source of runs or spans with what scores give them beside its own columns.
pub(super) struct WithGiven<'a> {
    source: &'a dyn Source,
    given: &'a Given,
    of_spans: bool,
}

impl Source for WithGiven<'_> {
    fn row_count(&self) -> u32 {
        self.source.row_count()
    }

    fn start_range(&self, group: u32) -> Option<(i64, i64)> {
        self.source.start_range(group)
    }

    fn matching(
        &self,
        column: &Column,
        test: ValueTest<'_>,
        within: &RoaringBitmap,
    ) -> Result<Matches, SourceError> {
        if self.given.said(column).is_none() {
            return self.source.matching(column, test, within);
        }
        let mut found = Matches::default();
        self.values(column, within, &mut |row, value| {
            match test(value) {
                Some(true) => found.sure.insert(row),
                Some(false) => false,
                None => found.verify.insert(row),
            };
        })?;
        found.verify -= &found.sure;
        Ok(found)
    }

    fn outline(&self, column: &Column, wanted: Wanted<'_>) -> Option<Outline> {
        match self.given.said(column) {
            Some(_) => None,
            None => self.source.outline(column, wanted),
        }
    }

    fn present(
        &self,
        column: &Column,
        within: &RoaringBitmap,
    ) -> Result<RoaringBitmap, SourceError> {
        if self.given.said(column).is_none() {
            return self.source.present(column, within);
        }
        Ok(self.matching(column, &|_| Some(true), within)?.sure)
    }

    fn values(
        &self,
        column: &Column,
        rows: &RoaringBitmap,
        visit: &mut dyn FnMut(u32, Scalar<'_>),
    ) -> Result<(), SourceError> {
        let Some(said) = self.given.said(column) else {
            return self.source.values(column, rows, visit);
        };
        let within = (rows, self.of_spans);
        said.of_rows(self.source, within, &mut |row, values| {
            values.iter().for_each(|value| visit(row, value.scalar()));
        })
    }

    fn count_values(
        &self,
        column: &Column,
        rows: &RoaringBitmap,
        add: &mut dyn FnMut(Scalar<'_>, u64),
    ) -> Result<(), SourceError> {
        if self.given.said(column).is_none() {
            return self.source.count_values(column, rows, add);
        }
        self.values(column, rows, &mut |_, value| add(value, 1))
    }

    fn narrow(&self, probe: Probe<'_>) -> Result<Option<Blocks>, SourceError> {
        self.source.narrow(probe)
    }

    fn block_of(&self, row: u32) -> Option<u32> {
        self.source.block_of(row)
    }

    fn reader<'a>(&'a self, column: &Column) -> Result<Box<dyn ColumnReader + 'a>, SourceError> {
        if self.given.said(column).is_none() {
            return self.source.reader(column);
        }
        Ok(by_values(self, column))
    }

    fn paths(&self, visit: &mut dyn FnMut(&str, LaneKind, u64)) -> Result<(), SourceError> {
        self.source.paths(visit)
    }

    fn lsn_max(&self) -> Option<Lsn> {
        self.source.lsn_max()
    }

    fn first_after(&self, lsn: Lsn) -> Option<u32> {
        self.source.first_after(lsn)
    }

    fn blocks_between(&self, first: u32, last: u32) -> Result<u64, SourceError> {
        self.source.blocks_between(first, last)
    }

    fn core(&self, row: u32) -> Result<Core, SourceError> {
        self.source.core(row)
    }

    fn trace_rows(&self, trace_id: &str) -> Result<RoaringBitmap, SourceError> {
        self.source.trace_rows(trace_id)
    }

    fn body(&self, row: u32) -> Result<Bytes, SourceError> {
        self.source.body(row)
    }

    fn with_rows(&self, work: &mut dyn FnMut(&mut dyn Rows)) -> Result<(), SourceError> {
        self.source.with_rows(work)
    }
}
