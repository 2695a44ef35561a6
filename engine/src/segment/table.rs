//! A page of byte strings with random access: dictionary values, row ids, bitmaps.
//!
//! ```text
//! n varint, total varint, least varint,
//! surplus packed (n numbers: end of string i - least * (i + 1)), bytes
//! ```
//!
//! Strings of one length (hex ids) cost no bits beside their bytes.

use bytes::Bytes;

use super::packed::{self, Packed};
use super::wire::{Bad, Cursor, put_len, wide};

/// Strings as they stand in a block.
#[derive(Clone, Debug)]
pub(super) struct Table {
    least: usize,
    surplus: Packed,
    bytes: Bytes,
}

/// Appends a page.
pub(super) fn put<'a>(out: &mut Vec<u8>, items: impl Iterator<Item = &'a [u8]> + Clone) {
    put_lens(out, &items.clone().map(<[u8]>::len).collect::<Vec<_>>());
    for item in items {
        out.extend_from_slice(item);
    }
}

/// Appends all of a page but the strings, which the caller appends.
pub(super) fn put_lens(out: &mut Vec<u8>, lens: &[usize]) {
    let least = lens.iter().copied().min().unwrap_or(0);
    let mut end = 0;
    let surplus = lens.iter().map(|len| {
        end += wide(len - least);
        end
    });
    let surplus: Vec<u64> = surplus.collect();
    put_len(out, lens.len());
    put_len(out, lens.iter().sum());
    put_len(out, least);
    packed::put(out, surplus.iter().copied());
}

impl Table {
    pub(super) fn read(cursor: &mut Cursor) -> Result<Self, Bad> {
        let n = cursor.len()?;
        let total = cursor.len()?;
        let least = cursor.len()?;
        let surplus = Packed::read_exact(cursor, n)?;
        let bytes = cursor.take(total)?;
        Ok(Self {
            least,
            surplus,
            bytes,
        })
    }

    pub(super) const fn len(&self) -> usize {
        self.surplus.len()
    }

    fn end_of(&self, i: usize) -> Result<usize, Bad> {
        let surplus = usize::try_from(self.surplus.get(i)?).map_err(|_| Bad("string end"))?;
        (i + 1)
            .checked_mul(self.least)
            .and_then(|n| n.checked_add(surplus))
            .ok_or(Bad("string end"))
    }

    fn range(&self, i: usize) -> Result<std::ops::Range<usize>, Bad> {
        let start = if i == 0 { 0 } else { self.end_of(i - 1)? };
        Ok(start..self.end_of(i)?)
    }

    pub(super) fn get(&self, i: usize) -> Result<&[u8], Bad> {
        self.bytes.get(self.range(i)?).ok_or(Bad("string"))
    }

    /// The string, sharing the block's memory.
    pub(super) fn slice(&self, i: usize) -> Result<Bytes, Bad> {
        let range = self.range(i)?;
        if range.start > range.end || range.end > self.bytes.len() {
            return Err(Bad("string"));
        }
        Ok(self.bytes.slice(range))
    }

    pub(super) fn text(&self, i: usize) -> Result<&str, Bad> {
        std::str::from_utf8(self.get(i)?).map_err(|_| Bad("text is not utf-8"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reads_back(items in prop::collection::vec(".{0,20}", 0..60)) {
            let mut out = Vec::new();
            put(&mut out, items.iter().map(String::as_bytes));
            let mut cursor = Cursor(Bytes::from(out));
            let table = Table::read(&mut cursor).unwrap();
            cursor.end().unwrap();
            prop_assert_eq!(table.len(), items.len());
            for (i, item) in items.iter().enumerate() {
                prop_assert_eq!(table.text(i), Ok(item.as_str()));
                prop_assert_eq!(table.slice(i).unwrap(), item.as_bytes());
            }
            prop_assert!(table.get(items.len()).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(table) = Table::read(&mut Cursor(Bytes::from(bytes))) {
                for i in 0..table.len().min(100) {
                    let _either = (table.text(i).is_ok(), table.slice(i).is_ok());
                }
            }
        }
    }
}
