//! Protobuf wire format, read in place.
//!
//! A walker over the fields of one message: nothing is copied, any bytes are accepted, unknown
//! fields are given to the caller who skips them.

/// Deepest nesting of groups, which OTLP does not use, that is skipped.
const GROUP_DEPTH_MAX: usize = 64;

/// What is wrong, and where in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WireError {
    pub(super) problem: &'static str,
    pub(super) offset: usize,
}

/// The value of one field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Group,
    Fixed32(u32),
}

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) value: Wire<'a>,
    /// Where its content starts in the body.
    pub(super) offset: usize,
}

impl<'a> Field<'a> {
    #[cold]
    const fn wrong(&self) -> WireError {
        WireError {
            problem: "wrong wire type",
            offset: self.offset,
        }
    }

    #[inline]
    pub(super) const fn bytes(&self) -> Result<&'a [u8], WireError> {
        match self.value {
            Wire::Bytes(b) => Ok(b),
            _ => Err(self.wrong()),
        }
    }

    #[inline]
    pub(super) fn text(&self) -> Result<&'a str, WireError> {
        simdutf8::compat::from_utf8(self.bytes()?).map_err(|e| WireError {
            problem: "text is not utf-8",
            offset: self.offset + e.valid_up_to(),
        })
    }

    #[inline]
    pub(super) fn message(&self) -> Result<Fields<'a>, WireError> {
        Ok(Fields::new(self.bytes()?, self.offset))
    }

    #[inline]
    pub(super) const fn varint(&self) -> Result<u64, WireError> {
        match self.value {
            Wire::Varint(n) => Ok(n),
            _ => Err(self.wrong()),
        }
    }

    #[inline]
    pub(super) const fn fixed64(&self) -> Result<u64, WireError> {
        match self.value {
            Wire::Fixed64(n) => Ok(n),
            _ => Err(self.wrong()),
        }
    }

    /// The numbers of 64 bits in this part of a repeated field, packed or not.
    pub(super) fn each_fixed64(
        &self,
        take: &mut dyn FnMut(u64) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let Wire::Bytes(bytes) = self.value else {
            return take(self.fixed64()?);
        };
        let (numbers, rest) = bytes.as_chunks();
        if !rest.is_empty() {
            return Err(self.wrong());
        }
        numbers
            .iter()
            .try_for_each(|n| take(u64::from_le_bytes(*n)))
    }

    /// The varints in this part of a repeated field, packed or not.
    pub(super) fn each_varint(
        &self,
        take: &mut dyn FnMut(u64) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let Wire::Bytes(bytes) = self.value else {
            return take(self.varint()?);
        };
        let mut rest = Fields::new(bytes, self.offset);
        while rest.len() > 0 {
            take(rest.take_varint()?)?;
        }
        Ok(())
    }

    /// A whole number in zigzag form.
    #[inline]
    pub(super) fn zigzag(&self) -> Result<i64, WireError> {
        let n = self.varint()?;
        Ok((n >> 1).cast_signed() ^ -(n & 1).cast_signed())
    }

    #[inline]
    pub(super) const fn fixed32(&self) -> Result<u32, WireError> {
        match self.value {
            Wire::Fixed32(n) => Ok(n),
            _ => Err(self.wrong()),
        }
    }
}

/// The fields of a message, in order. Ends after the first error.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    /// Where the message ends in the body.
    end: usize,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self {
            rest: bytes,
            end: offset + bytes.len(),
        }
    }

    /// How many bytes are left of the message.
    pub(super) const fn len(&self) -> usize {
        self.rest.len()
    }

    const fn offset(&self) -> usize {
        self.end - self.rest.len()
    }

    #[cold]
    const fn error(&self, problem: &'static str) -> WireError {
        WireError {
            problem,
            offset: self.offset(),
        }
    }

    #[inline]
    fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let Some((head, tail)) = self.rest.split_at_checked(n) else {
            return Err(self.error("cut short"));
        };
        self.rest = tail;
        Ok(head)
    }

    #[inline]
    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let Some((head, tail)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.error("cut short"));
        };
        self.rest = tail;
        Ok(*head)
    }

    /// Nearly all numbers of a trace request have one byte or two.
    #[inline]
    fn take_varint(&mut self) -> Result<u64, WireError> {
        match self.rest {
            [byte @ 0..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            [low, high @ 0..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.take_long_varint(),
        }
    }

    #[inline(never)]
    fn take_long_varint(&mut self) -> Result<u64, WireError> {
        let mut n = 0u64;
        for (i, byte) in self.rest.iter().take(10).enumerate() {
            if i == 9 && *byte > 1 {
                break;
            }
            n |= u64::from(byte & 0x7f) << (7 * i);
            if *byte < 0x80 {
                self.take(i + 1)?;
                return Ok(n);
            }
        }
        let short = self.rest.len() < 10;
        Err(self.error(if short {
            "cut short"
        } else {
            "number over 64 bits"
        }))
    }

    #[inline]
    fn take_key(&mut self) -> Result<(u32, u64), WireError> {
        let at = self.offset();
        let key = self.take_varint()?;
        match u32::try_from(key >> 3) {
            Ok(number @ 1..0x2000_0000) => Ok((number, key & 7)),
            _ => Err(WireError {
                problem: "bad field number",
                offset: at,
            }),
        }
    }

    #[inline]
    fn take_field(&mut self) -> Result<Field<'a>, WireError> {
        let (number, kind) = self.take_key()?;
        let mut offset = self.offset();
        let value = match kind {
            0 => Wire::Varint(self.take_varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.take_array()?)),
            2 => {
                let len = self.take_varint()?;
                offset = self.offset();
                Wire::Bytes(self.take(usize::try_from(len).unwrap_or(usize::MAX))?)
            }
            3 => {
                self.skip_group(number)?;
                Wire::Group
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.take_array()?)),
            _ => return Err(self.error("unknown wire type")),
        };
        Ok(Field {
            number,
            value,
            offset,
        })
    }

    #[cold]
    fn skip_group(&mut self, number: u32) -> Result<(), WireError> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            let (number, kind) = self.take_key()?;
            match kind {
                0 => drop(self.take_varint()?),
                1 => drop(self.take(8)?),
                2 => {
                    let len = self.take_varint()?;
                    self.take(usize::try_from(len).unwrap_or(usize::MAX))?;
                }
                3 if open.len() < GROUP_DEPTH_MAX => open.push(number),
                4 if number == innermost => drop(open.pop()),
                5 => drop(self.take(4)?),
                _ => return Err(self.error("bad group")),
            }
        }
        Ok(())
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.take_field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Bytes of the length of a message that was opened before its length was known: room for 32 GiB.
const LENGTH_BYTES: usize = 5;

/// An open message of a [`Put`]: where its content starts.
#[derive(Debug)]
#[must_use = "close it with Put::end"]
pub(super) struct Message(usize);

/// Writes messages: the JSON form of OTLP is turned into wire form and read by the same code.
#[derive(Debug, Default)]
pub(super) struct Put {
    pub(super) out: Vec<u8>,
}

impl Put {
    pub(super) fn raw_varint(&mut self, mut n: u64) {
        while let Some(low) = u8::try_from(n & 0x7f).ok().filter(|_| n > 0x7f) {
            self.out.push(low | 0x80);
            n >>= 7;
        }
        self.out.push(u8::try_from(n).unwrap_or(0));
    }

    pub(super) fn varint(&mut self, number: u32, n: u64) {
        self.raw_varint(u64::from(number) << 3);
        self.raw_varint(n);
    }

    pub(super) fn fixed64(&mut self, number: u32, n: u64) {
        self.raw_varint((u64::from(number) << 3) | 1);
        self.out.extend_from_slice(&n.to_le_bytes());
    }

    pub(super) fn fixed32(&mut self, number: u32, n: u32) {
        self.raw_varint((u64::from(number) << 3) | 5);
        self.out.extend_from_slice(&n.to_le_bytes());
    }

    /// Opens a message in a field; what is put from here on is in it.
    pub(super) fn begin(&mut self, number: u32) -> Message {
        self.raw_varint((u64::from(number) << 3) | 2);
        self.out.extend_from_slice(&[0; LENGTH_BYTES]);
        Message(self.out.len())
    }

    /// Closes the message. Its length takes [`LENGTH_BYTES`] however short it is, so that nothing
    /// has to move.
    pub(super) fn end(&mut self, message: Message) {
        let Message(start) = message;
        let mut len = self.out.len() - start;
        let Some(slots) = self.out.get_mut(start - LENGTH_BYTES..start) else {
            return;
        };
        for slot in slots.iter_mut() {
            *slot = u8::try_from(len & 0x7f).unwrap_or(0) | 0x80;
            len >>= 7;
        }
        if let Some(last) = slots.last_mut() {
            *last &= 0x7f;
        }
    }

    /// Closes the message with the shortest length, for which its content moves.
    pub(super) fn end_short(&mut self, message: Message) {
        let Message(start) = message;
        let end = self.out.len();
        self.raw_varint(u64::try_from(end - start).unwrap_or(u64::MAX));
        let bytes = self.out.len() - end;
        self.out.copy_within(end.., start - LENGTH_BYTES);
        self.out
            .copy_within(start..end, start - LENGTH_BYTES + bytes);
        self.out.truncate(end - LENGTH_BYTES + bytes);
    }

    pub(super) fn bytes(&mut self, number: u32, bytes: &[u8]) {
        self.raw_varint((u64::from(number) << 3) | 2);
        self.raw_varint(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.out.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_put_and_refuses_every_cut() {
        let mut put = Put::default();
        put.varint(1, u64::MAX);
        put.fixed64(2, 7);
        put.bytes(3, b"abc");
        put.fixed32(4, 9);
        let whole = put.out;
        let fields: Vec<_> = Fields::new(&whole, 0).map(|f| f.unwrap().value).collect();
        let expected = [
            Wire::Varint(u64::MAX),
            Wire::Fixed64(7),
            Wire::Bytes(b"abc"),
            Wire::Fixed32(9),
        ];
        assert_eq!(fields, expected);
        let whole_fields = [11, 20, 25, 30];
        for end in 0..whole.len() {
            let cut: Result<Vec<_>, _> = Fields::new(&whole[..end], 0).collect();
            assert_eq!(
                cut.is_ok(),
                end == 0 || whole_fields.contains(&end),
                "cut at {end}"
            );
        }
    }

    fn first(mut fields: Fields<'_>) -> Result<Fields<'_>, WireError> {
        fields.next().unwrap()?.message()
    }

    #[test]
    fn messages_are_as_long_as_what_was_put_in_them() {
        for len in [0, 1, 127, 128, 20_000, 3_000_000] {
            let mut put = Put::default();
            let outer = put.begin(7);
            let inner = put.begin(1);
            put.bytes(2, &vec![b'x'; len]);
            put.end(inner);
            put.varint(3, 4);
            put.end(outer);
            put.varint(8, 9);
            let only = |fields: Fields<'_>| fields.map(|f| f.unwrap().number).collect::<Vec<_>>();
            let whole = Fields::new(&put.out, 0);
            assert_eq!(only(whole), [7, 8], "{len}");
            let outer = first(whole).unwrap();
            assert_eq!(only(outer), [1, 3], "{len}");
            let inner = first(outer).unwrap();
            assert_eq!(only(inner), [2], "{len}");
            assert_eq!(first(inner).unwrap().len(), len);
        }
    }

    #[test]
    fn skips_groups_and_refuses_broken_ones() {
        // group 5 { group 6 {} varint 1 = 1 }, then varint 1 = 2
        let bytes = [0x2b, 0x33, 0x34, 0x08, 0x01, 0x2c, 0x08, 0x02];
        let fields: Vec<_> = Fields::new(&bytes, 0).map(|f| f.unwrap().number).collect();
        assert_eq!(fields, [5, 1]);
        assert!(Fields::new(&[0x2b, 0x34], 0).any(|f| f.is_err()));
        let deep = [0x2b; 100];
        assert!(Fields::new(&deep, 0).any(|f| f.is_err()));
        assert!(Fields::new(&[0xff; 11], 0).any(|f| f.is_err()));
        assert!(Fields::new(&[0x00], 0).any(|f| f.is_err()));
    }
}
