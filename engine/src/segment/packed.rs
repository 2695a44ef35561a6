//! Bit-packed numbers against a frame of reference, with random access.
//!
//! ```text
//! n varint, base varint, scale varint, width u8, bits ceil(n * width / 8) bytes, low bit first
//! value i = base + scale * bits[i * width ..][..width]
//! ```

use std::ops::Range;

use bytes::Bytes;

use super::wire::{Bad, Cursor, low_byte, narrow, put_len, put_varint, wide};

/// Numbers as they stand in a block.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    n: usize,
    base: u64,
    scale: u64,
    width: usize,
    bits: Bytes,
}

/// Appends `values`: smallest value as the base, greatest common divisor of the rest as the scale
/// (timestamps are often whole micro- or milliseconds).
pub(super) fn put(out: &mut Vec<u8>, values: impl ExactSizeIterator<Item = u64> + Clone) {
    let (mut base, mut max) = (u64::MAX, 0);
    for v in values.clone() {
        base = base.min(v);
        max = max.max(v);
    }
    // There may be none.
    base = base.min(max);
    let mut scale = 0;
    for v in values.clone() {
        scale = gcd(scale, v - base);
        if scale == 1 {
            break;
        }
    }
    let scale = scale.max(1);
    let width = 64 - ((max - base) / scale).leading_zeros();
    put_len(out, values.len());
    put_varint(out, base);
    put_varint(out, scale);
    out.push(low_byte(u64::from(width)));
    if width == 0 {
        return;
    }
    let bits = wide(values.len()) * u64::from(width);
    out.reserve(narrow(bits.div_ceil(8)) + size_of::<u64>());
    if scale == 1 {
        put_bits(out, width, values.map(|v| v - base));
    } else {
        put_bits(out, width, values.map(|v| (v - base) / scale));
    }
}

/// Appends numbers of `width` bits, 1 to 64, a word at a time.
fn put_bits(out: &mut Vec<u8>, width: u32, numbers: impl Iterator<Item = u64>) {
    let (mut held, mut fill) = (0u64, 0u32);
    for n in numbers {
        held |= n << fill;
        fill += width;
        if fill >= 64 {
            out.extend_from_slice(&held.to_le_bytes());
            fill -= 64;
            held = n.checked_shr(width - fill).unwrap_or(0);
        }
    }
    let rest = narrow(u64::from(fill.div_ceil(8)));
    out.extend_from_slice(held.to_le_bytes().get(..rest).unwrap_or_default());
}

const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl Packed {
    /// Reads numbers of which there must be `expect`.
    pub(super) fn read_exact(cursor: &mut Cursor, expect: usize) -> Result<Self, Bad> {
        let packed = Self::read(cursor)?;
        if packed.n == expect {
            Ok(packed)
        } else {
            Err(Bad("count of packed numbers"))
        }
    }

    pub(super) fn read(cursor: &mut Cursor) -> Result<Self, Bad> {
        let n = cursor.varint_u32()?;
        let base = cursor.varint()?;
        let scale = cursor.varint()?;
        let width = cursor.u8()?;
        if width > 64 {
            return Err(Bad("bit width"));
        }
        let bits = cursor.take(narrow((u64::from(n) * u64::from(width)).div_ceil(8)))?;
        Ok(Self {
            n: narrow(u64::from(n)),
            base,
            scale,
            width: usize::from(width),
            bits,
        })
    }

    pub(super) const fn len(&self) -> usize {
        self.n
    }

    pub(super) fn get(&self, i: usize) -> Result<u64, Bad> {
        if i >= self.n {
            return Err(Bad("index past packed numbers"));
        }
        if self.width == 0 {
            return Ok(self.base);
        }
        let bit = i * self.width;
        let (byte, shift) = (bit / 8, bit % 8);
        let tail = self.bits.get(byte..).ok_or(Bad("packed numbers"))?;
        let raw = if let (Some(head), true) = (tail.first_chunk::<8>(), self.width <= 56) {
            u64::from_le_bytes(*head) >> shift
        } else {
            let mut wide = [0; 16];
            let n = tail.len().min(16);
            wide[..n].copy_from_slice(&tail[..n]);
            low_u64(u128::from_le_bytes(wide) >> shift)
        };
        let raw = if self.width == 64 {
            raw
        } else {
            raw & ((1 << self.width) - 1)
        };
        Ok(self.base.wrapping_add(self.scale.wrapping_mul(raw)))
    }

    /// Appends the numbers of `range`, each as `map` makes it.
    pub(super) fn unpack<T>(
        &self,
        range: Range<usize>,
        out: &mut Vec<T>,
        map: impl Fn(u64) -> T,
    ) -> Result<(), Bad> {
        if range.end > self.n || range.start > range.end {
            return Err(Bad("index past packed numbers"));
        }
        if self.width == 0 {
            out.extend(range.map(|_| map(self.base)));
            return Ok(());
        }
        let (base, scale, width) = (self.base, self.scale, self.width);
        // The numbers that a load of eight bytes covers, and that end before the bytes do.
        let covered = (self.bits.len().saturating_sub(8) * 8)
            .checked_div(width)
            .filter(|_| width <= 56)
            .map_or(range.start, |n| n.clamp(range.start, range.end));
        let mask = u64::MAX >> (64 - width);
        let bits = &*self.bits;
        out.extend((range.start..covered).map(|i| {
            let bit = i * width;
            let raw = bits.get(bit / 8..).and_then(|tail| tail.first_chunk::<8>());
            let raw = raw.map_or(0, |head| u64::from_le_bytes(*head)) >> (bit % 8) & mask;
            map(base.wrapping_add(scale.wrapping_mul(raw)))
        }));
        for i in covered..range.end {
            out.push(map(self.get(i)?));
        }
        Ok(())
    }

    /// How many numbers from the front are `<= value`; the numbers ascend.
    pub(super) fn count_le(&self, value: u64) -> Result<usize, Bad> {
        let (mut low, mut high) = (0, self.n);
        while low < high {
            let mid = low.midpoint(high);
            if self.get(mid)? <= value {
                low = mid + 1;
            } else {
                high = mid;
            }
        }
        Ok(low)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is wanted"
)]
const fn low_u64(n: u128) -> u64 {
    n as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reads_back(
            base in any::<u64>(), step in 1u64..1_000_000_000, bits in 0u32..=64,
            seeds in prop::collection::vec(any::<u64>(), 0..300),
        ) {
            let values: Vec<u64> = seeds
                .iter()
                .map(|s| base.saturating_add(s.checked_shr(64 - bits).unwrap_or(0).saturating_mul(step)))
                .collect();
            let mut out = Vec::new();
            put(&mut out, values.iter().copied());
            let mut cursor = Cursor(Bytes::from(out));
            let packed = Packed::read_exact(&mut cursor, values.len()).unwrap();
            cursor.end().unwrap();
            for (i, v) in values.iter().enumerate() {
                prop_assert_eq!(packed.get(i), Ok(*v));
            }
            prop_assert!(packed.get(values.len()).is_err());
            let from = values.len() / 3;
            let mut unpacked = Vec::new();
            packed.unpack(from..values.len(), &mut unpacked, |v| v).unwrap();
            prop_assert_eq!(&unpacked[..], &values[from..]);
            prop_assert!(packed.unpack(0..values.len() + 1, &mut unpacked, |v| v).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(packed) = Packed::read(&mut Cursor(Bytes::from(bytes))) {
                let _values: Vec<_> = (0..packed.len().min(100)).map(|i| packed.get(i)).collect();
                packed.count_le(7).unwrap();
            }
        }
    }
}
