//! Decoders on bytes whose checksum is right but whose content is not ours.

use bytes::Bytes;
use proptest::prelude::*;
use roaring::RoaringBitmap;

use crate::segment::block::Place;
use crate::segment::chunk::{self, Chunk, Hint};
use crate::segment::directory::{Directory, Payload, Piece};
use crate::segment::encode::Pieces;
use crate::segment::footer::{TRAILER_LEN, Trailer};
use crate::segment::promote::RarePage;
use crate::segment::wire::{Bad, Cursor};
use crate::segment::{FORMAT_VERSION, RowInput, index, rows};

fn exercise(chunk: &Chunk, rows: u32) {
    let mut all = RoaringBitmap::new();
    all.insert_range(0..rows);
    let _present = chunk.present(0).is_ok();
    let mut collected = Vec::new();
    if rows < 10_000 && chunk.collect(0, &mut collected).is_ok() {
        let mut walked = Vec::new();
        let walk = chunk.each(0, &all, &mut |row, value| {
            walked.push((row, value));
            Ok::<(), Bad>(())
        });
        if walk.is_ok() {
            assert_eq!(collected, walked);
        }
    }
    let mut left = 10_000;
    let _walked = chunk.each(0, &all, &mut |_, _| {
        left -= 1;
        if left == 0 {
            Err(Bad("enough"))
        } else {
            Ok(())
        }
    });
    let _few = chunk.each(0, &RoaringBitmap::from_iter([0, 7, 65]), &mut |_, _| {
        left += 1;
        if left > 10_000 {
            Err(Bad("enough"))
        } else {
            Ok(())
        }
    });
}

fn directory() -> Directory {
    let rows = super::oracle::rows_of(4, 60, 0);
    let rows: Vec<&RowInput> = rows.iter().collect();
    let (directory, _) = index::build(&rows, None, Payload::none(), Pieces::frame()).unwrap();
    directory
}

fn bytes_of(directory: &Directory) -> Vec<u8> {
    let mut out = Vec::new();
    directory.put(&mut out);
    out
}

fn directory_bytes() -> Vec<u8> {
    bytes_of(&directory())
}

/// Those of versions 2 and 3 have no list of pages, not even an empty one.
#[test]
fn a_directory_of_an_earlier_version_lists_every_key() {
    let plain = directory();
    let piece = Piece {
        block: 0,
        start: 7,
        len: 9,
    };
    let page = |first| RarePage { first, piece };
    let paged = Directory {
        rare: vec![page(5), page(6)],
        ..plain.clone()
    };
    let (mut bytes, others) = (bytes_of(&plain), bytes_of(&paged));
    let at = bytes.iter().zip(&others).position(|(a, b)| a != b).unwrap();
    let read = |bytes: &[u8], version| {
        let mut cursor = Cursor(Bytes::copy_from_slice(bytes));
        Directory::read(&mut cursor, 60, version)
            .ok()
            .filter(|_| cursor.end().is_ok())
    };
    assert_eq!(read(&bytes, FORMAT_VERSION), Some(plain.clone()));
    assert_eq!(read(&others, FORMAT_VERSION), Some(paged));
    assert_eq!(bytes.remove(at), 0);
    for version in [2, 3] {
        assert_eq!(read(&bytes, version), Some(plain.clone()));
        assert_eq!(read(&others, version), None);
    }
    assert_eq!(read(&bytes, FORMAT_VERSION), None);
    // Pages out of order.
    let mut twice = others.clone();
    assert_eq!(twice[at..at + 2], [2, 5]);
    twice[at + 5] = 0;
    assert_eq!(read(&twice, FORMAT_VERSION), None);
}

proptest! {
    #[test]
    fn chunks_read_back(
        rows in 1u32..2000,
        pairs in prop::collection::btree_set((0u32..2000, 0u64..50), 1..200),
        clump in 1u64..60,
    ) {
        let pairs: Vec<(u32, u64)> = pairs
            .into_iter()
            .filter(|(row, _)| *row < rows)
            .map(|(row, v)| (row, v / clump))
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        prop_assume!(!pairs.is_empty());
        let mut out = Vec::new();
        chunk::put(&mut out, (0, rows), &pairs);
        let chunk = Chunk::read(Bytes::from(out), rows).unwrap();
        let mut found = Vec::new();
        let mut hint = Hint::default();
        for row in 0..rows + 5 {
            for at in chunk.range(row).unwrap() {
                found.push((row, chunk.value(at, &mut hint).unwrap()));
            }
        }
        prop_assert_eq!(&found, &pairs);
        let present: RoaringBitmap = pairs.iter().map(|p| p.0 + 70_000).collect();
        prop_assert_eq!(chunk.present(70_000).unwrap(), present);
    }

    #[test]
    fn any_chunk_is_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        head in (0u8..4, 0u8..3, 0u8..3),
        rows in 0u32..70_000,
    ) {
        let mut shaped = bytes.clone();
        for (slot, value) in shaped.iter_mut().zip([head.0, head.1, head.2]) {
            *slot = value;
        }
        for bytes in [bytes, shaped] {
            if let Ok(chunk) = Chunk::read(Bytes::from(bytes), rows) {
                exercise(&chunk, rows);
            }
        }
    }

    #[test]
    fn any_change_to_a_chunk_is_read_or_refused(at in 0usize..1000, to in any::<u8>(), runs in any::<bool>()) {
        let pairs: Vec<(u32, u64)> =
            (0..300).map(|n| (n * 2 / 3, if runs { u64::from(n) * 100 / 50 } else { u64::from(n) })).collect();
        let mut out = Vec::new();
        chunk::put(&mut out, (0, 300), &pairs);
        let at = at % out.len();
        out[at] = to;
        if let Ok(chunk) = Chunk::read(Bytes::from(out), 300) {
            exercise(&chunk, 300);
        }
    }

    #[test]
    fn any_change_to_a_directory_is_read_or_refused(at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = directory_bytes();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = to;
        }
        let mut cursor = Cursor(Bytes::from(bytes));
        if let Ok(read) = Directory::read(&mut cursor, 60, FORMAT_VERSION) {
            prop_assert!(!cut || cursor.end().is_err() || read.payload.blocks.is_empty());
            let _found = read.at("status");
        }
    }

    #[test]
    fn any_bytes_are_no_rows_and_no_footer(bytes in prop::collection::vec(any::<u8>(), 0..120), n in any::<u32>()) {
        let _rows = rows::read_all(Bytes::from(bytes.clone()), n).is_ok();
        let place = Place {
            file: crate::io::FileId::new(crate::io::FileKind::Segment, 1),
            database: [0; 16],
        };
        if let Some((footer, trailer)) = bytes.split_last_chunk::<TRAILER_LEN>()
            && let Ok(trailer) = Trailer::read(trailer)
        {
            prop_assert!(trailer.sections(&place, 0, footer).is_err());
        }
    }
}
