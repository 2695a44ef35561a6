//! How an OTLP message is put down: as protobuf, or as the JSON of the same message.
//!
//! Both have the same calls, so that whoever describes a message describes it once. A field is its
//! number and its name in JSON.

use crate::dialect::doc_json;
use crate::dialect::otlp::wire::{Message, Put};

/// Number and JSON name of a field.
pub(super) type At = (u32, &'static str);

/// Takes the fields of messages. Whatever is put is written, defaults too: leaving them out is for
/// the caller.
pub(super) trait Form: Default {
    /// A message that was opened.
    type Open;

    /// Opens a message.
    fn begin(&mut self, at: At) -> Self::Open;
    /// Opens a repeated field of messages: only [`Form::item`] until [`Form::end_list`].
    fn begin_list(&mut self, at: At);
    /// Opens one message of a repeated field.
    fn item(&mut self, at: At) -> Self::Open;
    fn end_list(&mut self);
    fn end(&mut self, open: Self::Open);
    fn text(&mut self, at: At, text: &str);
    /// Bytes: base64 in JSON.
    fn bytes(&mut self, at: At, bytes: &[u8]);
    /// An id: hex in JSON.
    fn id(&mut self, at: At, id: &[u8]);
    fn bool(&mut self, at: At, value: bool);
    /// A varint of 32 bits or an enumeration: a number in JSON.
    fn small(&mut self, at: At, n: u64);
    /// A varint of 32 bits with sign, in zigzag form.
    fn zigzag(&mut self, at: At, n: i64);
    /// 32 bits at a fixed length: a number in JSON.
    fn fixed32(&mut self, at: At, n: u32);
    /// A varint of 64 bits with sign: text in JSON.
    fn int64(&mut self, at: At, n: i64);
    /// 64 bits at a fixed length: text in JSON.
    fn fixed64(&mut self, at: At, n: u64);
    /// The same with sign.
    fn sfixed64(&mut self, at: At, n: i64);
    fn double(&mut self, at: At, n: f64);
    /// A packed field of numbers.
    fn numbers(&mut self, at: At, numbers: &[Number]);
    /// Fields that were put into another of this form.
    fn splice(&mut self, fields: &Self);
    /// What was put so far.
    fn written(&self) -> &[u8];
}

/// A number of a packed field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Fixed64(u64),
    Varint(u64),
    Double(f64),
}

/// The wire form.
#[derive(Debug, Default)]
pub(super) struct Protobuf(Put);

impl Protobuf {
    pub(super) fn finish(self) -> Vec<u8> {
        self.0.out
    }
}

impl Form for Protobuf {
    type Open = Message;

    fn begin(&mut self, (number, _): At) -> Message {
        self.0.begin(number)
    }

    fn begin_list(&mut self, _: At) {}

    fn item(&mut self, at: At) -> Message {
        self.begin(at)
    }

    fn end_list(&mut self) {}

    fn end(&mut self, open: Message) {
        self.0.end_short(open);
    }

    fn text(&mut self, (number, _): At, text: &str) {
        self.0.bytes(number, text.as_bytes());
    }

    fn bytes(&mut self, (number, _): At, bytes: &[u8]) {
        self.0.bytes(number, bytes);
    }

    fn id(&mut self, at: At, id: &[u8]) {
        self.bytes(at, id);
    }

    fn bool(&mut self, (number, _): At, value: bool) {
        self.0.varint(number, u64::from(value));
    }

    fn small(&mut self, (number, _): At, n: u64) {
        self.0.varint(number, n);
    }

    fn zigzag(&mut self, (number, _): At, n: i64) {
        self.0
            .varint(number, ((n << 1) ^ (n >> 63)).cast_unsigned());
    }

    fn fixed32(&mut self, (number, _): At, n: u32) {
        self.0.fixed32(number, n);
    }

    fn int64(&mut self, (number, _): At, n: i64) {
        self.0.varint(number, n.cast_unsigned());
    }

    fn fixed64(&mut self, (number, _): At, n: u64) {
        self.0.fixed64(number, n);
    }

    fn sfixed64(&mut self, (number, _): At, n: i64) {
        self.0.fixed64(number, n.cast_unsigned());
    }

    fn double(&mut self, (number, _): At, n: f64) {
        self.0.fixed64(number, n.to_bits());
    }

    fn numbers(&mut self, (number, _): At, numbers: &[Number]) {
        let mut packed = Put::default();
        for n in numbers {
            match *n {
                Number::Fixed64(n) => packed.out.extend_from_slice(&n.to_le_bytes()),
                Number::Double(n) => packed.out.extend_from_slice(&n.to_le_bytes()),
                Number::Varint(n) => packed.raw_varint(n),
            }
        }
        self.0.bytes(number, &packed.out);
    }

    fn splice(&mut self, fields: &Self) {
        self.0.out.extend_from_slice(&fields.0.out);
    }

    fn written(&self) -> &[u8] {
        &self.0.out
    }
}

/// The JSON form: the inside of one object.
#[derive(Debug, Default)]
pub(super) struct Json(String);

impl Json {
    pub(super) fn finish(self) -> String {
        self.0
    }

    /// A comma unless it is the first of its object or list.
    fn next(&mut self) {
        if !matches!(self.0.as_bytes().last(), None | Some(b'{' | b'[')) {
            self.0.push(',');
        }
    }

    fn key(&mut self, (_, name): At) {
        self.next();
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    fn plain(&mut self, at: At, value: impl std::fmt::Display) {
        self.key(at);
        self.0.push_str(&value.to_string());
    }

    fn quoted(&mut self, at: At, value: impl std::fmt::Display) {
        self.key(at);
        self.0.push_str(&format!("\"{value}\""));
    }
}

impl Form for Json {
    type Open = ();

    fn begin(&mut self, at: At) {
        self.key(at);
        self.0.push('{');
    }

    fn begin_list(&mut self, at: At) {
        self.key(at);
        self.0.push('[');
    }

    fn item(&mut self, _: At) {
        self.next();
        self.0.push('{');
    }

    fn end_list(&mut self) {
        self.0.push(']');
    }

    fn end(&mut self, (): ()) {
        self.0.push('}');
    }

    fn text(&mut self, at: At, text: &str) {
        self.key(at);
        doc_json::write_str(text, &mut self.0);
    }

    fn bytes(&mut self, at: At, bytes: &[u8]) {
        self.key(at);
        doc_json::write_base64(bytes, &mut self.0);
    }

    fn id(&mut self, at: At, id: &[u8]) {
        self.key(at);
        self.0.push('"');
        id.iter().for_each(|b| self.0.push_str(&format!("{b:02x}")));
        self.0.push('"');
    }

    fn bool(&mut self, at: At, value: bool) {
        self.plain(at, value);
    }

    fn small(&mut self, at: At, n: u64) {
        self.plain(at, n);
    }

    fn zigzag(&mut self, at: At, n: i64) {
        self.plain(at, n);
    }

    fn fixed32(&mut self, at: At, n: u32) {
        self.plain(at, n);
    }

    fn int64(&mut self, at: At, n: i64) {
        self.quoted(at, n);
    }

    fn fixed64(&mut self, at: At, n: u64) {
        self.quoted(at, n);
    }

    fn sfixed64(&mut self, at: At, n: i64) {
        self.quoted(at, n);
    }

    fn double(&mut self, at: At, n: f64) {
        self.key(at);
        doc_json::write_f64(n, &mut self.0);
    }

    fn numbers(&mut self, at: At, numbers: &[Number]) {
        self.begin_list(at);
        for n in numbers {
            self.next();
            match *n {
                Number::Fixed64(n) | Number::Varint(n) => self.0.push_str(&format!("\"{n}\"")),
                Number::Double(n) => doc_json::write_f64(n, &mut self.0),
            }
        }
        self.end_list();
    }

    fn splice(&mut self, fields: &Self) {
        if !fields.0.is_empty() {
            self.next();
            self.0.push_str(&fields.0);
        }
    }

    fn written(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
