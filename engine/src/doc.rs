//! Documents: the content of a row as a tree, in a binary form that keeps it exactly as sent.
//!
//! A document is a map of strings to values: null, bool, integers, floats (every bit pattern),
//! text, bytes, arrays, maps in the order in which they came. It is the truth; every column is
//! derived from it by [`flatten`]. The bytes are described in `FORMAT.md`:
//!
//! ```text
//! value = tag u8 + content
//!   0 null   1 false   2 true
//!   3 i64    8 bytes LE          4 f64   8 bytes LE (bits)      9 u64 above i64::MAX, 8 bytes LE
//!   5 text   len u32 LE + UTF-8  6 bytes len u32 LE + bytes
//!   7 array  len u32 LE of what follows + values
//!   8 map    len u32 LE of what follows + (len u32 LE + UTF-8 key, value)*
//! ```
//!
//! A reader accepts any bytes: what is cut short or unknown is an error, never a panic.

use thiserror::Error;

mod writer;

use writer::len_u32;
pub use writer::{DocWriter, Open};

/// Longest value, in bytes of text, that becomes a column value. Anything longer is payload: in
/// columns only its fingerprint stands.
pub const COLUMN_VALUE_BYTES_MAX: usize = 96;

/// Deepest nesting that a document may have.
pub const DEPTH_MAX: usize = 64;

/// Why bytes are not a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DocError {
    /// The bytes end inside a value.
    #[error("document cut short")]
    Short,
    /// An unknown tag.
    #[error("unknown tag in document tag={0}")]
    Tag(u8),
    /// Text that is not UTF-8.
    #[error("text in document is not utf-8")]
    Utf8,
    /// Deeper than [`DEPTH_MAX`].
    #[error("document nested too deep limit={DEPTH_MAX}")]
    Depth,
}

/// A value, borrowed from a document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DocRef<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    I64(i64),
    /// A whole number above `i64::MAX`.
    U64(u64),
    /// A number.
    F64(f64),
    /// Text.
    Str(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Values in order.
    Array(Items<'a>),
    /// Keys and values in order; keys may repeat.
    Map(Entries<'a>),
}

/// The values of an array, read lazily.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Items<'a>(&'a [u8]);

/// The entries of a map, read lazily.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entries<'a>(&'a [u8]);

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const I64: u8 = 3;
const F64: u8 = 4;
const STR: u8 = 5;
const BYTES: u8 = 6;
const ARRAY: u8 = 7;
const MAP: u8 = 8;
const U64: u8 = 9;

impl<'a> DocRef<'a> {
    /// Reads one value that fills `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DocError> {
        let mut rest = bytes;
        let value = take_value(&mut rest)?;
        if rest.is_empty() {
            Ok(value)
        } else {
            Err(DocError::Short)
        }
    }

    /// The entries, if it is a map.
    pub const fn entries(self) -> Option<Entries<'a>> {
        match self {
            Self::Map(e) => Some(e),
            _ => None,
        }
    }

    /// The value of the first entry named `key`, if this is a map that has one. What stands beside it
    /// is passed over: looking at its texts would cost more than finding the key.
    pub fn get(self, key: &str) -> Option<Self> {
        let (_, value) = self
            .entries()?
            .named(|k| k == key.as_bytes())
            .next()?
            .ok()?;
        Some(value)
    }

    /// The value at a path of keys.
    pub fn at(self, path: &[&str]) -> Option<Self> {
        path.iter().try_fold(self, |v, key| v.get(key))
    }

    /// The text, if it is text.
    pub const fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Str(s) => Some(s),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub const fn as_i64(self) -> Option<i64> {
        match self {
            Self::I64(n) => Some(n),
            _ => None,
        }
    }

    /// The number as a float, if it is one.
    #[expect(clippy::cast_precision_loss, reason = "asked for as a float")]
    pub const fn as_f64(self) -> Option<f64> {
        match self {
            Self::I64(n) => Some(n as f64),
            Self::U64(n) => Some(n as f64),
            Self::F64(n) => Some(n),
            _ => None,
        }
    }

    /// Whether `holds` is true of some key or text below, as stored: nobody has looked yet whether it is
    /// UTF-8. Stops at the first.
    pub(crate) fn any_text(
        self,
        holds: &mut dyn FnMut(&'a [u8]) -> Result<bool, DocError>,
    ) -> Result<bool, DocError> {
        match self {
            Self::Str(text) => holds(text.as_bytes()),
            Self::Array(Items(bytes)) => any_text_below(bytes, false, 1, holds),
            Self::Map(Entries(bytes)) => any_text_below(bytes, true, 1, holds),
            _ => Ok(false),
        }
    }

    /// What lies below, as it is stored: texts, and between them whatever else.
    pub(crate) const fn stored(self) -> &'a [u8] {
        match self {
            Self::Str(text) => text.as_bytes(),
            Self::Array(Items(bytes)) | Self::Map(Entries(bytes)) => bytes,
            _ => &[],
        }
    }

    /// Whether every byte below reads, no deeper than [`DEPTH_MAX`].
    pub fn validate(self) -> Result<(), DocError> {
        fn walk(value: DocRef<'_>, depth: usize) -> Result<(), DocError> {
            if depth > DEPTH_MAX {
                return Err(DocError::Depth);
            }
            match value {
                DocRef::Array(mut items) => items.try_for_each(|v| walk(v?, depth + 1)),
                DocRef::Map(mut entries) => entries.try_for_each(|e| walk(e?.1, depth + 1)),
                _ => Ok(()),
            }
        }
        walk(self, 0)
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<DocRef<'a>, DocError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let item = take_value(&mut self.0);
        if item.is_err() {
            self.0 = &[];
        }
        Some(item)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(&'a str, DocRef<'a>), DocError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let entry = take_str(&mut self.0).and_then(|k| Ok((k, take_value(&mut self.0)?)));
        if entry.is_err() {
            self.0 = &[];
        }
        Some(entry)
    }
}

fn any_text_below<'a>(
    mut rest: &'a [u8],
    is_map: bool,
    depth: usize,
    holds: &mut dyn FnMut(&'a [u8]) -> Result<bool, DocError>,
) -> Result<bool, DocError> {
    if depth > DEPTH_MAX {
        return Err(DocError::Depth);
    }
    while !rest.is_empty() {
        if is_map && holds(take_sized(&mut rest)?)? {
            return Ok(true);
        }
        let found = match take_raw(&mut rest)? {
            Raw::Str(text) => holds(text)?,
            Raw::Array(bytes) => any_text_below(bytes, false, depth + 1, holds)?,
            Raw::Map(bytes) => any_text_below(bytes, true, depth + 1, holds)?,
            Raw::Plain(_) | Raw::Bytes(_) => false,
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

impl<'a> Entries<'a> {
    /// The entries of which the key passes; of the others nothing is looked at.
    pub(crate) fn named(
        self,
        passes: impl Fn(&[u8]) -> bool,
    ) -> impl Iterator<Item = Result<(&'a str, DocRef<'a>), DocError>> {
        let mut rest = self.0;
        let mut next = move || -> Result<Option<(&'a str, DocRef<'a>)>, DocError> {
            while !rest.is_empty() {
                let entry = take_sized(&mut rest).and_then(|k| Ok((k, take_raw(&mut rest)?)));
                let read = entry.and_then(|(key, value)| {
                    let meant = passes(key).then(|| Ok((text(key)?, value.read()?)));
                    meant.transpose()
                });
                match read {
                    Ok(None) => {}
                    Ok(found) => return Ok(found),
                    Err(error) => {
                        rest = &[];
                        return Err(error);
                    }
                }
            }
            Ok(None)
        };
        std::iter::from_fn(move || next().transpose())
    }
}

fn take<'a>(rest: &mut &'a [u8], n: usize) -> Result<&'a [u8], DocError> {
    let (head, tail) = rest.split_at_checked(n).ok_or(DocError::Short)?;
    *rest = tail;
    Ok(head)
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], DocError> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(DocError::Short)?;
    *rest = tail;
    Ok(*head)
}

/// Takes a length and so many bytes off the front.
#[inline]
pub(crate) fn take_sized<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], DocError> {
    let len = u32::from_le_bytes(take_array(rest)?);
    take(rest, usize::try_from(len).map_err(|_| DocError::Short)?)
}

/// Appends the map `map` with more entries behind its own.
pub(crate) fn put_map_with(out: &mut Vec<u8>, map: &[u8], entries: &[u8]) {
    let Some((head, own)) = map.split_first_chunk::<5>() else {
        return out.extend_from_slice(map);
    };
    debug_assert_eq!(head[0], MAP, "BUG: entries for what is no map");
    out.push(MAP);
    out.extend_from_slice(&len_u32(own.len() + entries.len()).to_le_bytes());
    out.extend_from_slice(own);
    out.extend_from_slice(entries);
}

/// Calls `visit` with the key of each entry of a map, looking into no value; ends where it does not read.
pub(crate) fn each_key(map: &[u8], visit: &mut dyn FnMut(&[u8])) {
    let mut rest = map;
    let Ok(Raw::Map(mut entries)) = take_raw(&mut rest) else {
        return;
    };
    while !entries.is_empty() {
        let Ok(key) = take_sized(&mut entries) else {
            return;
        };
        visit(key);
        if take_raw(&mut entries).is_err() {
            return;
        }
    }
}

/// The bytes of the value of the first entry named `key` of a map, looking into no other value.
pub(crate) fn find_raw<'a>(map: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let mut rest = map;
    let Ok(Raw::Map(mut entries)) = take_raw(&mut rest) else {
        return None;
    };
    while !entries.is_empty() {
        let found = take_sized(&mut entries).ok()?;
        let from = entries;
        take_raw(&mut entries).ok()?;
        if found == key.as_bytes() {
            return from.get(..from.len() - entries.len());
        }
    }
    None
}

fn take_str<'a>(rest: &mut &'a [u8]) -> Result<&'a str, DocError> {
    text(take_sized(rest)?)
}

pub(crate) fn text(bytes: &[u8]) -> Result<&str, DocError> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| DocError::Utf8)
}

/// A value whose text was not looked at yet: for who compares bytes with text that is known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Raw<'a> {
    /// Null, a bool or a number.
    Plain(DocRef<'a>),
    /// Should be UTF-8.
    Str(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Values one behind the other.
    Array(&'a [u8]),
    /// Sized keys and values in turn.
    Map(&'a [u8]),
}

/// Takes one value off the front.
#[inline]
pub(crate) fn take_raw<'a>(rest: &mut &'a [u8]) -> Result<Raw<'a>, DocError> {
    let [tag] = take_array::<1>(rest)?;
    Ok(match tag {
        STR => Raw::Str(take_sized(rest)?),
        MAP => Raw::Map(take_sized(rest)?),
        ARRAY => Raw::Array(take_sized(rest)?),
        BYTES => Raw::Bytes(take_sized(rest)?),
        NULL => Raw::Plain(DocRef::Null),
        FALSE => Raw::Plain(DocRef::Bool(false)),
        TRUE => Raw::Plain(DocRef::Bool(true)),
        I64 => Raw::Plain(DocRef::I64(i64::from_le_bytes(take_array(rest)?))),
        F64 => Raw::Plain(DocRef::F64(f64::from_le_bytes(take_array(rest)?))),
        U64 => {
            // A writer never stores a smaller one here; read as one value, it has one form.
            let n = u64::from_le_bytes(take_array(rest)?);
            Raw::Plain(i64::try_from(n).map_or(DocRef::U64(n), DocRef::I64))
        }
        other => return Err(DocError::Tag(other)),
    })
}

impl<'a> Raw<'a> {
    #[inline]
    fn read(self) -> Result<DocRef<'a>, DocError> {
        Ok(match self {
            Self::Plain(value) => value,
            Self::Str(bytes) => DocRef::Str(text(bytes)?),
            Self::Bytes(bytes) => DocRef::Bytes(bytes),
            Self::Array(bytes) => DocRef::Array(Items(bytes)),
            Self::Map(bytes) => DocRef::Map(Entries(bytes)),
        })
    }
}

fn take_value<'a>(rest: &mut &'a [u8]) -> Result<DocRef<'a>, DocError> {
    take_raw(rest)?.read()
}

/// A scalar as columns see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// True or false.
    Bool(bool),
    /// A whole number.
    I64(i64),
    /// A number; whole numbers above `i64::MAX` are here too.
    F64(f64),
    /// Text of at most [`COLUMN_VALUE_BYTES_MAX`] bytes.
    Str(&'a str),
    /// xxh3-64 of a longer text or of bytes.
    Long(u64),
}

/// The fingerprint of a value that is too long for a column.
pub fn fingerprint(text: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(text)
}

/// Calls `visit(path, value)` for every scalar below `value`, in document order.
///
/// Maps join keys with dots, arrays collapse onto their parent's path, nulls and empty containers
/// give nothing. Keys are opaque: a key that holds a dot is joined as it is.
pub fn flatten<'a>(
    value: DocRef<'a>,
    visit: &mut dyn FnMut(&str, Scalar<'a>),
) -> Result<(), DocError> {
    let mut path = String::with_capacity(64);
    flatten_at(value, &mut path, 0, visit)
}

fn flatten_at<'a>(
    value: DocRef<'a>,
    path: &mut String,
    depth: usize,
    visit: &mut dyn FnMut(&str, Scalar<'a>),
) -> Result<(), DocError> {
    if depth > DEPTH_MAX {
        return Err(DocError::Depth);
    }
    match value {
        DocRef::Array(items) => {
            for item in items {
                flatten_at(item?, path, depth + 1, visit)?;
            }
        }
        DocRef::Map(entries) => {
            for entry in entries {
                let (key, child) = entry?;
                let end = path.len();
                if end > 0 {
                    path.push('.');
                }
                path.push_str(key);
                flatten_at(child, path, depth + 1, visit)?;
                path.truncate(end);
            }
        }
        leaf => {
            if let Some(scalar) = scalar_of(leaf) {
                visit(path, scalar);
            }
        }
    }
    Ok(())
}

/// The scalar that columns hold for a leaf; `None` for null and containers.
#[expect(
    clippy::cast_precision_loss,
    reason = "whole numbers above i64::MAX are ordered as floats"
)]
pub fn scalar_of(value: DocRef<'_>) -> Option<Scalar<'_>> {
    Some(match value {
        DocRef::Bool(b) => Scalar::Bool(b),
        DocRef::I64(n) => Scalar::I64(n),
        DocRef::U64(n) => Scalar::F64(n as f64),
        DocRef::F64(n) => Scalar::F64(n),
        DocRef::Str(s) if s.len() <= COLUMN_VALUE_BYTES_MAX => Scalar::Str(s),
        DocRef::Str(s) => Scalar::Long(fingerprint(s.as_bytes())),
        DocRef::Bytes(b) => Scalar::Long(fingerprint(b)),
        DocRef::Null | DocRef::Array(_) | DocRef::Map(_) => return None,
    })
}

#[cfg(test)]
mod tests;
