//! Reading and writing of small numbers and strings, safe on any bytes.

use bytes::{Buf, Bytes};

/// What does not decode. The reader adds file and offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Bad(pub(super) &'static str);

/// Reads front to back; slices share the memory of the block.
#[derive(Clone, Debug)]
pub(super) struct Cursor(pub(super) Bytes);

impl Cursor {
    pub(super) fn take(&mut self, n: usize) -> Result<Bytes, Bad> {
        if n > self.0.len() {
            return Err(Bad("cut short"));
        }
        Ok(self.0.split_to(n))
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        let array = *self.0.first_chunk::<N>().ok_or(Bad("cut short"))?;
        self.0.advance(N);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Bad> {
        self.array::<1>().map(|[b]| b)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Bad> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Bad> {
        self.array().map(u64::from_le_bytes)
    }

    /// LEB128.
    pub(super) fn varint(&mut self) -> Result<u64, Bad> {
        let mut value = 0u64;
        for (at, byte) in self.0.iter().enumerate().take(10) {
            let bits = u64::from(byte & 0x7f);
            let shift = 7 * at;
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                self.0.advance(at + 1);
                return Ok(value);
            }
        }
        Err(Bad("number"))
    }

    pub(super) fn varint_u32(&mut self) -> Result<u32, Bad> {
        u32::try_from(self.varint()?).map_err(|_| Bad("number too large"))
    }

    pub(super) fn len(&mut self) -> Result<usize, Bad> {
        usize::try_from(self.varint()?).map_err(|_| Bad("length"))
    }

    /// How many items follow, each at least `bytes_min` long: never more than the bytes can hold.
    pub(super) fn count(&mut self, bytes_min: usize) -> Result<usize, Bad> {
        let n = self.len()?;
        if n > self.0.len() / bytes_min.max(1) {
            return Err(Bad("count larger than its bytes"));
        }
        Ok(n)
    }

    pub(super) fn zigzag(&mut self) -> Result<i64, Bad> {
        let n = self.varint()?;
        Ok((n >> 1).cast_signed() ^ -((n & 1).cast_signed()))
    }

    pub(super) fn sized(&mut self) -> Result<Bytes, Bad> {
        let len = self.len()?;
        self.take(len)
    }

    pub(super) fn text(&mut self) -> Result<Box<str>, Bad> {
        let bytes = self.sized()?;
        std::str::from_utf8(&bytes)
            .map(Box::from)
            .map_err(|_| Bad("text is not utf-8"))
    }

    pub(super) fn end(&self) -> Result<(), Bad> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Bad("bytes left over"))
        }
    }
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(low_byte(n) | 0x80);
        n >>= 7;
    }
    out.push(low_byte(n));
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low byte is what is wanted"
)]
pub(super) const fn low_byte(n: u64) -> u8 {
    n as u8
}

pub(super) fn put_len(out: &mut Vec<u8>, n: usize) {
    put_varint(out, wide(n));
}

pub(super) fn put_zigzag(out: &mut Vec<u8>, n: i64) {
    put_varint(out, ((n << 1) ^ (n >> 63)).cast_unsigned());
}

pub(super) fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// A length as a number; lossless on every platform that obsrv builds for.
pub(super) const fn wide(n: usize) -> u64 {
    n as u64
}

/// A number that was bounded before as a length.
pub(super) fn narrow(n: u64) -> usize {
    usize::try_from(n).expect("BUG: length over the address space")
}

/// A count that was bounded before.
pub(super) fn count_u32(n: usize) -> u32 {
    u32::try_from(n).expect("BUG: count over u32")
}
