//! Row bodies: what a row stores beside its hot columns.
//!
//! ```text
//! version u64 LE + hash u64 LE     stamp of the newest complete event (0, 0: none)
//! view    len u32 LE + document    the folded document: what readers see and columns index
//! parts   count u32 LE + parts     events that are still needed for folding, oldest first;
//!                                  none when one complete event is all there is
//! part    version u64, hash u64, flags u8 (1 partial, 2 has start, 4 has end),
//!         start i64, end i64, len u32 + document
//! ```
//!
//! All numbers little-endian. A reader accepts any bytes and answers with an error.

use bytes::Bytes;

use crate::cost::Cost;
use crate::doc::{self, DocError, DocRef};
use crate::row::Stamp;

/// A body, borrowed.
#[derive(Clone, Debug, PartialEq)]
pub struct BodyRef<'a> {
    /// The newest complete event, or the zero stamp.
    pub stamp: Stamp,
    /// The folded document.
    pub view: &'a [u8],
    /// The events kept for folding.
    pub parts: Vec<PartRef<'a>>,
}

/// One kept event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartRef<'a> {
    /// Its place in the order of events.
    pub stamp: Stamp,
    /// Whether it overlays fields rather than replaces the row.
    pub partial: bool,
    /// Its start.
    pub start_ns: Option<i64>,
    /// Its end.
    pub end_ns: Option<i64>,
    /// Its document.
    pub doc: &'a [u8],
}

const PARTIAL: u8 = 1;
const HAS_START: u8 = 2;
const HAS_END: u8 = 4;

/// The body's bytes.
pub fn encode(stamp: Stamp, view: &[u8], parts: &[PartRef<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(view.len() + 32);
    put(&mut out, stamp, view, parts);
    out
}

fn put(out: &mut Vec<u8>, stamp: Stamp, view: &[u8], parts: &[PartRef<'_>]) {
    put_stamp(out, stamp);
    put_sized(out, view);
    out.extend_from_slice(&len_u32(parts.len()).to_le_bytes());
    for part in parts {
        put_stamp(out, part.stamp);
        let flags = u8::from(part.partial) * PARTIAL
            + u8::from(part.start_ns.is_some()) * HAS_START
            + u8::from(part.end_ns.is_some()) * HAS_END;
        out.push(flags);
        out.extend_from_slice(&part.start_ns.unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&part.end_ns.unwrap_or(0).to_le_bytes());
        put_sized(out, part.doc);
    }
}

/// Reads a body.
pub fn decode(bytes: &[u8]) -> Result<BodyRef<'_>, DocError> {
    let mut rest = bytes;
    let stamp = take_stamp(&mut rest)?;
    let view = take_sized(&mut rest)?;
    let count = u32::from_le_bytes(take(&mut rest)?);
    let mut parts = Vec::new();
    for _ in 0..count {
        let stamp = take_stamp(&mut rest)?;
        let [flags] = take(&mut rest)?;
        let start = i64::from_le_bytes(take(&mut rest)?);
        let end = i64::from_le_bytes(take(&mut rest)?);
        parts.push(PartRef {
            stamp,
            partial: flags & PARTIAL != 0,
            start_ns: (flags & HAS_START != 0).then_some(start),
            end_ns: (flags & HAS_END != 0).then_some(end),
            doc: take_sized(&mut rest)?,
        });
    }
    if rest.is_empty() {
        Ok(BodyRef { stamp, view, parts })
    } else {
        Err(DocError::Short)
    }
}

/// The folded document of a body.
pub fn view(bytes: &[u8]) -> Result<DocRef<'_>, DocError> {
    DocRef::parse(view_bytes(bytes)?)
}

/// The bytes of the folded document of a body.
pub fn view_bytes(bytes: &[u8]) -> Result<&[u8], DocError> {
    let mut rest = bytes.get(16..).ok_or(DocError::Short)?;
    take_sized(&mut rest)
}

/// What a row says, before it has the form of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// One complete event: its document as it came.
    Complete {
        /// The event's place in the order.
        stamp: Stamp,
        /// The document.
        doc: Bytes,
        /// What stands behind its fields: what follows from it and from prices.
        cost: Option<Cost>,
    },
    /// A body: several events, or derived, or read from a segment.
    Folded(Bytes),
}

/// Bytes of a body beside the document when it is one complete event.
const FRAME_BYTES: usize = 24;

impl Content {
    /// The body.
    pub fn body(&self) -> Bytes {
        match self {
            Self::Complete { .. } => {
                let mut out = Vec::with_capacity(self.body_len());
                self.put_body(&mut out);
                Bytes::from(out)
            }
            Self::Folded(body) => body.clone(),
        }
    }

    /// Length of the body.
    pub fn body_len(&self) -> usize {
        match self {
            Self::Complete { doc, cost, .. } => {
                FRAME_BYTES + doc.len() + cost.map_or(0, Cost::fields_len)
            }
            Self::Folded(body) => body.len(),
        }
    }

    /// Appends the body.
    pub fn put_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Complete { stamp, doc, cost } => {
                put_stamp(out, *stamp);
                let len = doc.len() + cost.map_or(0, Cost::fields_len);
                out.extend_from_slice(&len_u32(len).to_le_bytes());
                put_doc(out, doc, *cost);
                out.extend_from_slice(&0_u32.to_le_bytes());
            }
            Self::Folded(body) => out.extend_from_slice(body),
        }
    }

    /// The folded document.
    pub fn view(&self) -> Result<Bytes, DocError> {
        match self {
            Self::Complete {
                doc, cost: None, ..
            } => Ok(doc.clone()),
            Self::Complete { doc, cost, .. } => {
                let mut out = Vec::with_capacity(doc.len() + cost.map_or(0, Cost::fields_len));
                put_doc(&mut out, doc, *cost);
                Ok(Bytes::from(out))
            }
            Self::Folded(body) => Ok(body.slice_ref(view_bytes(body)?)),
        }
    }
}

fn put_doc(out: &mut Vec<u8>, doc: &[u8], cost: Option<Cost>) {
    match cost {
        None => out.extend_from_slice(doc),
        Some(cost) => doc::put_map_with(out, doc, &cost.fields()),
    }
}

fn put_stamp(out: &mut Vec<u8>, stamp: Stamp) {
    out.extend_from_slice(&stamp.version.to_le_bytes());
    out.extend_from_slice(&stamp.hash.to_le_bytes());
}

fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&len_u32(bytes.len()).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn len_u32(len: usize) -> u32 {
    u32::try_from(len).expect("BUG: body part over 4 GiB")
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], DocError> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(DocError::Short)?;
    *rest = tail;
    Ok(*head)
}

fn take_stamp(rest: &mut &[u8]) -> Result<Stamp, DocError> {
    let version = u64::from_le_bytes(take(rest)?);
    let hash = u64::from_le_bytes(take(rest)?);
    Ok(Stamp { version, hash })
}

fn take_sized<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], DocError> {
    let len = u32::from_le_bytes(take(rest)?);
    let (head, tail) = rest
        .split_at_checked(usize::try_from(len).unwrap_or(usize::MAX))
        .ok_or(DocError::Short)?;
    *rest = tail;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_and_refuses_every_cut() {
        let part = PartRef {
            stamp: Stamp {
                version: 3,
                hash: 4,
            },
            partial: true,
            start_ns: Some(-5),
            end_ns: None,
            doc: &[0],
        };
        let bytes = encode(
            Stamp {
                version: 1,
                hash: 2,
            },
            &[2],
            &[part, part],
        );
        let body = decode(&bytes).unwrap();
        assert_eq!(
            body.stamp,
            Stamp {
                version: 1,
                hash: 2
            }
        );
        assert_eq!(body.view, &[2]);
        assert_eq!(body.parts, vec![part, part]);
        assert_eq!(view(&bytes), Ok(DocRef::Bool(true)));
        let complete = Content::Complete {
            stamp: Stamp::default(),
            doc: Bytes::from_static(&[2]),
            cost: None,
        };
        let mut put = Vec::new();
        complete.put_body(&mut put);
        assert_eq!(complete.body(), put);
        assert_eq!(complete.body_len(), put.len());
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_err(), "cut at {end}");
        }
    }
}
