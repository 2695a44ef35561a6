//! OTLP attribute values and attribute lists → documents.

use obsrv_engine::doc::DocWriter;

use super::wire::{Field, Fields, WireError};
use crate::dialect::bad::Bad;
use crate::dialect::{ATTRIBUTES_MAX, KEY_BYTES_MAX, VALUE_DEPTH_MAX};

/// Names the field in which the wire format is broken.
pub(super) fn named(field: &str) -> impl Fn(WireError) -> Bad + '_ {
    move |e| Bad::new(field, format!("{} offset={}", e.problem, e.offset))
}

/// An attribute value, borrowed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Any<'a> {
    Empty,
    Str(&'a str),
    Bool(bool),
    I64(i64),
    F64(f64),
    Array(Fields<'a>),
    Map(Fields<'a>),
    Bytes(&'a [u8]),
}

impl<'a> Any<'a> {
    /// Reads an `AnyValue`; of several values the last is meant.
    pub(super) fn read(fields: Fields<'a>) -> Result<Self, WireError> {
        let mut any = Self::Empty;
        for field in fields {
            let field = field?;
            match field.number {
                1 => any = Self::Str(field.text()?),
                2 => any = Self::Bool(field.varint()? != 0),
                3 => any = Self::I64(field.varint()?.cast_signed()),
                4 => any = Self::F64(f64::from_bits(field.fixed64()?)),
                5 => any = Self::Array(field.message()?),
                6 => any = Self::Map(field.message()?),
                7 => any = Self::Bytes(field.bytes()?),
                _ => {}
            }
        }
        Ok(any)
    }

    /// The text, if it is text.
    pub(super) const fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Str(s) => Some(s),
            _ => None,
        }
    }

    /// Writes it; `depth` lists and maps are around it.
    pub(super) fn write(self, field: &str, depth: usize, out: &mut DocWriter) -> Result<(), Bad> {
        match self {
            Self::Empty => out.null(),
            Self::Str(s) => out.str(s),
            Self::Bool(b) => out.bool(b),
            Self::I64(n) => out.i64(n),
            Self::F64(n) => out.f64(n),
            Self::Bytes(b) => out.bytes(b),
            Self::Array(_) | Self::Map(_) if depth >= VALUE_DEPTH_MAX => {
                return Err(Bad::new(
                    field,
                    format!("nested too deep limit={VALUE_DEPTH_MAX}"),
                ));
            }
            Self::Array(values) => {
                let open = out.begin_array();
                for value in values {
                    let value = value.map_err(named(field))?;
                    if value.number == 1 {
                        let any = value.message().and_then(Any::read).map_err(named(field))?;
                        any.write(field, depth + 1, out)?;
                    }
                }
                out.end(open);
            }
            Self::Map(entries) => {
                let open = out.begin_map();
                for entry in entries {
                    let entry = entry.map_err(named(field))?;
                    if entry.number == 1 {
                        let (key, any) = key_value(entry, field)?;
                        out.key(key);
                        any.write(field, depth + 1, out)?;
                    }
                }
                out.end(open);
            }
        }
        Ok(())
    }
}

/// Reads a `KeyValue`.
pub(super) fn key_value<'a>(entry: Field<'a>, field: &str) -> Result<(&'a str, Any<'a>), Bad> {
    let (mut key, mut any) = ("", Any::Empty);
    for part in entry.message().map_err(named(field))? {
        let part = part.map_err(named(field))?;
        match part.number {
            1 => key = part.text().map_err(named(field))?,
            2 => {
                any = part
                    .message()
                    .and_then(Any::read)
                    .map_err(|e| in_entry(field, key, e))?;
            }
            _ => {}
        }
    }
    if key.len() > KEY_BYTES_MAX {
        let problem = format!("key too long limit={KEY_BYTES_MAX} bytes={}", key.len());
        return Err(Bad::new(field, problem));
    }
    Ok((key, any))
}

fn in_entry(field: &str, key: &str, e: WireError) -> Bad {
    let shown: String = key.chars().take(64).collect();
    named(&format!("{field}[{shown}]"))(e)
}

/// An attribute that was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute<'a> {
    pub(super) key: &'a str,
    pub(super) any: Any<'a>,
    /// Where its value starts and ends in the writer.
    pub(super) written: (usize, usize),
}

/// Writes a map of the `KeyValue`s in field `number` of a message and shows each to `note`.
pub(super) fn write_attributes<'a>(
    message: Fields<'a>,
    number: u32,
    field: &str,
    out: &mut DocWriter,
    mut note: impl FnMut(Attribute<'a>),
) -> Result<(), Bad> {
    let mut count = 0;
    let open = out.begin_map();
    for entry in message {
        let entry = entry.map_err(named(field))?;
        if entry.number != number {
            continue;
        }
        count += 1;
        if count > ATTRIBUTES_MAX {
            return Err(Bad::new(
                field,
                format!("too many attributes limit={ATTRIBUTES_MAX}"),
            ));
        }
        let (key, any) = key_value(entry, field)?;
        out.key(key);
        let start = out.len();
        any.write(field, 0, out)?;
        let written = (start, out.len());
        note(Attribute { key, any, written });
    }
    out.end(open);
    Ok(())
}
