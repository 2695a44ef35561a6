//! Lanes of a source against its own values.

use std::collections::BTreeSet;

use roaring::RoaringBitmap;

use super::{ColumnReader, LaneKind, LaneValues, Selection, by_values};
use crate::columns::value::to_scalar;
use crate::doc::{DocRef, scalar_of};
use crate::source::{Column, Source};

/// (place, value) of everything that a reader gives.
fn all_of(reader: &mut dyn ColumnReader, selection: &Selection) -> BTreeSet<(u32, String)> {
    let mut lanes = Vec::new();
    reader.read(selection, &mut lanes).unwrap();
    assert!(lanes.is_sorted_by_key(|lane| lane.kind));
    let mut found = Vec::new();
    for lane in &lanes {
        assert!(!lane.is_empty());
        let places = match &lane.places {
            Some(places) => places.clone(),
            None => (0..u32::try_from(selection.len()).unwrap()).collect(),
        };
        assert!(places.is_sorted());
        assert_eq!(places.len(), lane.len());
        match &lane.values {
            LaneValues::Numbers(numbers) => {
                assert_ne!(lane.kind, LaneKind::Str);
                for (place, number) in places.iter().zip(numbers) {
                    let value = to_scalar(lane.kind.kind(), *number).unwrap();
                    found.push((*place, format!("{value:?}")));
                }
            }
            LaneValues::Codes(codes) => {
                assert!(codes.iter().all(|code| *code < reader.code_count()));
                let mut places = places.iter();
                let mut add = |text: &str| {
                    let value = scalar_of(DocRef::Str(text)).unwrap();
                    found.push((*places.next().unwrap(), format!("{value:?}")));
                };
                reader.texts(codes, &mut add).unwrap();
            }
        }
    }
    let set: BTreeSet<_> = found.iter().cloned().collect();
    assert_eq!(set.len(), found.len(), "a value twice");
    set
}

/// Holds the readers of a source against the plain ones.
pub(crate) fn check_lanes(source: &dyn Source, column: &Column) {
    for group in 0..source.row_count().div_ceil(1 << 16) {
        let first = group << 16;
        let end = source.row_count().min(first + (1 << 16));
        let len = end - first;
        let rows = |step: u32, from: u32| {
            Selection::Rows((first + from..end).step_by(step as usize).collect())
        };
        let whole: RoaringBitmap = (first..end).collect();
        let selections = [
            Selection::of(&whole),
            Selection::Range {
                first: first + len / 3,
                len: len - len / 3,
            },
            rows(2, 0),
            rows(3, 1.min(len)),
            rows(701, len / 2),
            Selection::Rows(vec![]),
        ];
        let mut reader = source.reader(column).unwrap();
        for selection in &selections {
            let mut plain: Box<dyn ColumnReader> = by_values(source, column);
            let right = all_of(&mut *plain, selection);
            assert_eq!(all_of(&mut *reader, selection), right, "{column:?}");
        }
    }
}
