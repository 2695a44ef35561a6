//! Bytes as choices, for targets that build what they test.

/// What is left of the bytes; zeroes once they are used up.
#[derive(Debug)]
pub struct Input<'a>(pub &'a [u8]);

/// Says that a number stands as it is in the eight bytes that follow.
const FAR: u8 = 0x80;

impl<'a> Input<'a> {
    /// A byte.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    /// So many bytes, or as many as there are.
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A number that is mostly near to this one.
    pub fn near(&mut self, to: u64) -> u64 {
        match self.byte() {
            FAR => {
                let mut far = [0; 8];
                let bytes = self.take(8);
                far[..bytes.len()].copy_from_slice(bytes);
                u64::from_le_bytes(far)
            }
            by => to.wrapping_add_signed(i64::from(by.cast_signed())),
        }
    }
}
