//! Rows in a vector as a source: every answer by looking at every row.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use roaring::RoaringBitmap;

use crate::doc::{DocRef, DocWriter, Scalar, fingerprint, flatten};
use crate::row::{Lsn, Stamp};
use crate::source::{
    Access, Column, Core, FactIn, LaneKind, Matches, Outline, Source, SourceError, ValueTest,
    Visible, Wanted,
};

/// A leaf of a test row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum V {
    Null,
    Bool(bool),
    I64(i64),
    F64(f64),
    Str(String),
    Bytes(Vec<u8>),
}

#[derive(Clone, Debug)]
pub(super) struct TestRow {
    pub(super) core: Core,
    /// Path and value; a path that repeats has several values. `a.b` is written as a map in a map.
    pub(super) fields: Vec<(String, V)>,
    pub(super) dead: bool,
}

pub(super) fn row(trace: &str, id: &str, start_ns: i64) -> TestRow {
    let core = Core {
        trace_id: trace.into(),
        id: id.into(),
        start_ns,
        end_ns: None,
        lsn_first: 1,
        lsn_last: 1,
    };
    TestRow {
        core,
        fields: Vec::new(),
        dead: false,
    }
}

impl TestRow {
    fn document(&self) -> Vec<u8> {
        let mut out = DocWriter::new();
        let map = out.begin_map();
        for (path, value) in &self.fields {
            let mut open = Vec::new();
            let mut keys = path.split('.').peekable();
            while let Some(key) = keys.next() {
                out.key(key);
                if keys.peek().is_some() {
                    open.push(out.begin_map());
                }
            }
            let array = out.begin_array();
            match value {
                V::Null => out.null(),
                V::Bool(b) => out.bool(*b),
                V::I64(n) => out.i64(*n),
                V::F64(n) => out.f64(*n),
                V::Str(s) => out.str(s),
                V::Bytes(b) => out.bytes(b),
            }
            out.end(array);
            for open in open.into_iter().rev() {
                out.end(open);
            }
        }
        out.end(map);
        out.finish()
    }
}

#[derive(Debug)]
pub(super) struct Rows {
    cores: Vec<Core>,
    docs: Vec<Vec<u8>>,
    live: RoaringBitmap,
    number: u64,
}

impl Rows {
    pub(super) fn new(rows: Vec<TestRow>) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let live = (0u32..)
            .zip(&rows)
            .filter(|(_, row)| !row.dead)
            .map(|(n, _)| n)
            .collect();
        let docs = rows.iter().map(TestRow::document).collect();
        Self {
            cores: rows.into_iter().map(|row| row.core).collect(),
            docs,
            live,
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
        }
    }

    pub(super) fn visible(&self, name: &str) -> Visible<'_> {
        Visible {
            source: self,
            live: self.live.clone(),
            name: name.into(),
        }
    }

    fn each(&self, column: &Column, row: u32, visit: &mut dyn FnMut(Scalar<'_>)) {
        let at = usize::try_from(row).unwrap();
        let core = &self.cores[at];
        match column {
            Column::TraceId => visit(Scalar::Str(&core.trace_id)),
            Column::Id => visit(Scalar::Str(&core.id)),
            Column::Start => visit(Scalar::I64(core.start_ns)),
            Column::End => core
                .end_ns
                .into_iter()
                .for_each(|end| visit(Scalar::I64(end))),
            Column::Duration => {
                core.end_ns
                    .into_iter()
                    .for_each(|end| visit(Scalar::I64(end - core.start_ns)));
            }
            Column::Score(fact) => {
                let fact = FactIn(self, *fact);
                let only = RoaringBitmap::from([row]);
                fact.values(&only, &mut |_, value| visit(value)).unwrap();
            }
            Column::Scored(..) => {}
            Column::Path(wanted) => {
                flatten(
                    DocRef::parse(&self.docs[at]).unwrap(),
                    &mut |path, value| {
                        if path == &**wanted {
                            visit(value);
                        }
                    },
                )
                .unwrap();
            }
        }
    }
}

impl Source for Rows {
    fn row_count(&self) -> u32 {
        u32::try_from(self.cores.len()).unwrap()
    }

    fn start_range(&self, group: u32) -> Option<(i64, i64)> {
        assert_eq!(group, 0);
        let starts = || self.cores.iter().map(|core| core.start_ns);
        Some((starts().min()?, starts().max()?))
    }

    fn matching(
        &self,
        column: &Column,
        test: ValueTest<'_>,
        within: &RoaringBitmap,
    ) -> Result<Matches, SourceError> {
        if let Column::Score(fact) = column {
            return FactIn(self, *fact).matching(test, within);
        }
        let mut matches = Matches::default();
        for row in within {
            self.each(column, row, &mut |value| match test(value) {
                Some(true) => {
                    matches.sure.insert(row);
                }
                Some(false) => {}
                None => {
                    assert!(
                        matches!(value, Scalar::Long(_)),
                        "only a fingerprint is in doubt"
                    );
                    matches.verify.insert(row);
                }
            });
        }
        Ok(matches)
    }

    /// Whatever comes of the column's name: no answer depends on what a source tells beforehand.
    fn outline(&self, column: &Column, _: Wanted<'_>) -> Option<Outline> {
        let luck = fingerprint(format!("{column:?} {}", self.cores.len()).as_bytes());
        let kinds = [
            Access::Bitmaps,
            Access::Codes,
            Access::Numbers,
            Access::Documents,
        ];
        let passing = luck / 16 % (self.cores.len() as u64 + 1);
        (!luck.is_multiple_of(8)).then_some(Outline {
            access: kinds[usize::try_from(luck % 4).unwrap()],
            rows: self.cores.len() as u64,
            distinct: luck / 8 % 5,
            zone: luck.is_multiple_of(3).then_some((0.0, 3.0)),
            passing: luck.is_multiple_of(5).then_some(passing),
        })
    }

    fn present(
        &self,
        column: &Column,
        within: &RoaringBitmap,
    ) -> Result<RoaringBitmap, SourceError> {
        Ok(self.matching(column, &|_| Some(true), within)?.sure)
    }

    fn values(
        &self,
        column: &Column,
        rows: &RoaringBitmap,
        visit: &mut dyn FnMut(u32, Scalar<'_>),
    ) -> Result<(), SourceError> {
        for row in rows {
            self.each(column, row, &mut |value| visit(row, value));
        }
        Ok(())
    }

    fn count_values(
        &self,
        column: &Column,
        rows: &RoaringBitmap,
        add: &mut dyn FnMut(Scalar<'_>, u64),
    ) -> Result<(), SourceError> {
        for row in rows {
            let mut seen: Vec<String> = Vec::new();
            self.each(column, row, &mut |value| {
                let name = format!("{value:?}");
                if !seen.contains(&name) {
                    seen.push(name);
                    add(value, 1);
                }
            });
        }
        Ok(())
    }

    fn paths(&self, visit: &mut dyn FnMut(&str, LaneKind, u64)) -> Result<(), SourceError> {
        let mut seen = std::collections::BTreeMap::new();
        for (row, doc) in (0u32..).zip(&self.docs) {
            flatten(DocRef::parse(doc).unwrap(), &mut |path, value| {
                let kind = match value {
                    Scalar::Bool(_) => LaneKind::Bool,
                    Scalar::I64(_) => LaneKind::I64,
                    Scalar::F64(_) => LaneKind::F64,
                    Scalar::Str(_) => LaneKind::Str,
                    Scalar::Long(_) => LaneKind::Long,
                };
                let rows: &mut RoaringBitmap = seen.entry((path.to_owned(), kind)).or_default();
                rows.insert(row);
            })
            .unwrap();
        }
        for ((path, kind), rows) in seen {
            visit(&path, kind, rows.len());
        }
        Ok(())
    }

    fn sealed(&self) -> Option<(u64, u64)> {
        Some((self.number, u64::MAX))
    }

    fn lsn_max(&self) -> Option<Lsn> {
        self.cores.iter().map(|core| core.lsn_last).max()
    }

    fn core(&self, row: u32) -> Result<Core, SourceError> {
        Ok(self.cores[usize::try_from(row).unwrap()].clone())
    }

    fn trace_rows(&self, trace_id: &str) -> Result<RoaringBitmap, SourceError> {
        let rows = (0u32..).zip(&self.cores);
        Ok(rows
            .filter(|(_, core)| &*core.trace_id == trace_id)
            .map(|(n, _)| n)
            .collect())
    }

    fn with_rows(
        &self,
        work: &mut dyn FnMut(&mut dyn crate::source::Rows),
    ) -> Result<(), SourceError> {
        work(&mut crate::source::OneByOne(self));
        Ok(())
    }

    fn body(&self, row: u32) -> Result<Bytes, SourceError> {
        let doc = &self.docs[usize::try_from(row).unwrap()];
        Ok(crate::body::encode(Stamp::default(), doc, &[]).into())
    }
}
