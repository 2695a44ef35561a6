//! Which series a point belongs to: all that it says beside its value, its time and what describes it
//! to people. The order of attributes does not matter.

use std::ops::Range;

use obsrv_engine::doc::{DocRef, DocWriter};
use xxhash_rust::xxh3::Xxh3;

/// What of a resource's attributes and a scope's document tells series apart.
pub(super) fn identity_of_group(resource: &[u8], scope: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let resource = DocRef::parse(resource).unwrap_or(DocRef::Null);
    let scope = DocRef::parse(scope).unwrap_or(DocRef::Null);
    put_sorted(resource, &mut out);
    for key in ["name", "version"] {
        let text = scope.get(key).and_then(DocRef::as_str).unwrap_or("");
        put_sized(text.as_bytes(), &mut out);
    }
    put_sorted(scope.get("attributes").unwrap_or(DocRef::Null), &mut out);
    out
}

fn put_sorted(map: DocRef<'_>, out: &mut Vec<u8>) {
    let entries = map.entries().into_iter().flatten().flatten();
    let mut entries: Vec<(&str, Vec<u8>)> = entries
        .map(|(key, value)| {
            let mut bytes = DocWriter::new();
            bytes.value(value);
            (key, bytes.finish())
        })
        .collect();
    entries.sort();
    put_len(entries.len(), out);
    for (key, value) in entries {
        put_sized(key.as_bytes(), out);
        put_sized(&value, out);
    }
}

fn put_len(len: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u64::try_from(len).unwrap_or(u64::MAX).to_le_bytes());
}

fn put_sized(bytes: &[u8], out: &mut Vec<u8>) {
    put_len(bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// The id of a series: of a group's identity, of what the metric says of itself, and of a point's
/// attributes, which stand in `docs`.
pub(super) fn id(
    group: &[u8],
    metric: &[&str],
    attributes: &mut [(&str, Range<usize>)],
    docs: &DocWriter,
) -> String {
    attributes.sort_by(|a, b| {
        let value = |range: &Range<usize>| docs.written(range.clone());
        (a.0, value(&a.1)).cmp(&(b.0, value(&b.1)))
    });
    let mut hash = Xxh3::new();
    let mut put = |bytes: &[u8]| {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        hash.update(&len.to_le_bytes());
        hash.update(bytes);
    };
    put(group);
    metric.iter().for_each(|text| put(text.as_bytes()));
    for (key, value) in attributes {
        put(key.as_bytes());
        put(docs.written(value.clone()));
    }
    format!("{:032x}", hash.digest128())
}
