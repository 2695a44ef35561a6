//! The parts of protobuf that the workload is written with.

use super::span::Value;

/// A `KeyValue`.
pub(super) fn attribute(key: &str, value: &Value) -> Vec<u8> {
    let mut any = Vec::new();
    match value {
        Value::Text(text) => put_bytes(&mut any, 1, text.as_bytes()),
        Value::Bool(b) => put_varint_field(&mut any, 2, u64::from(*b)),
        Value::Int(n) => put_varint_field(&mut any, 3, n.cast_unsigned()),
        Value::Double(d) => put_fixed64(&mut any, 4, d.to_bits()),
    }
    let mut pair = Vec::with_capacity(any.len() + key.len() + 8);
    put_bytes(&mut pair, 1, key.as_bytes());
    put_bytes(&mut pair, 2, &any);
    pair
}

fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(u8::try_from(n & 0x7f).expect("BUG: seven bits") | 0x80);
        n >>= 7;
    }
    out.push(u8::try_from(n).expect("BUG: seven bits"));
}

/// A field of varints.
pub(super) fn put_varint_field(out: &mut Vec<u8>, field: u64, n: u64) {
    put_varint(out, field << 3);
    put_varint(out, n);
}

/// A field of eight bytes.
pub(super) fn put_fixed64(out: &mut Vec<u8>, field: u64, n: u64) {
    put_varint(out, field << 3 | 1);
    out.extend_from_slice(&n.to_le_bytes());
}

/// A field of bytes, text or a message.
pub(super) fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(
        out,
        u64::try_from(bytes.len()).expect("BUG: usize over 64 bits"),
    );
    out.extend_from_slice(bytes);
}

/// A packed field of numbers of eight bytes.
pub(super) fn put_packed64(out: &mut Vec<u8>, field: u64, numbers: impl Iterator<Item = u64>) {
    let bytes: Vec<u8> = numbers.flat_map(u64::to_le_bytes).collect();
    put_bytes(out, field, &bytes);
}

/// An export request: what one resource sends, by scope. All signals have the same outer messages; the
/// items of a scope are encoded already.
pub(super) fn export_request<'s, I: Iterator<Item = Vec<u8>>>(
    resource: &[(&str, Value)],
    scopes: impl IntoIterator<Item = (&'s str, I)>,
) -> Vec<u8> {
    let mut about = Vec::new();
    for (key, value) in resource {
        put_bytes(&mut about, 1, &attribute(key, value));
    }
    let mut group = Vec::new();
    put_bytes(&mut group, 1, &about);
    for (name, items) in scopes {
        let mut scope = Vec::new();
        put_bytes(&mut scope, 1, name.as_bytes());
        let mut of_scope = Vec::new();
        put_bytes(&mut of_scope, 1, &scope);
        for item in items {
            put_bytes(&mut of_scope, 2, &item);
        }
        put_bytes(&mut group, 2, &of_scope);
    }
    let mut out = Vec::new();
    put_bytes(&mut out, 1, &group);
    out
}
