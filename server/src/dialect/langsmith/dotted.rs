//! `dotted_order`: the path of a run from its root, each step with its start.
//!
//! `20240919T171648037297Z<id>.20240919T171649000000Z<id>`

use crate::dialect::time;

const TIME_BYTES: usize = "20240919T171648037297Z".len();

/// What a dotted order says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dotted<'a> {
    /// The id of its first run.
    pub(super) trace_id: &'a str,
    /// The id of the run before the last, if there is one.
    pub(super) parent_id: Option<&'a str>,
    /// When the last began.
    pub(super) start_ns: i64,
}

/// Reads a dotted order; `None` if it is not one.
pub(super) fn read(text: &str) -> Option<Dotted<'_>> {
    let (trace_id, _) = step(text.split('.').next()?)?;
    let mut back = text.rsplit('.');
    let (_, start_ns) = step(back.next()?)?;
    let parent_id = match back.next() {
        Some(parent) => Some(step(parent)?.0),
        None => None,
    };
    Some(Dotted {
        trace_id,
        parent_id,
        start_ns,
    })
}

fn step(text: &str) -> Option<(&str, i64)> {
    let (at, id) = text.split_at_checked(TIME_BYTES)?;
    let digits = |range: std::ops::Range<usize>| at.get(range);
    let iso = format!(
        "{}-{}-{}T{}:{}:{}.{}",
        digits(0..4)?,
        digits(4..6)?,
        digits(6..8)?,
        digits(9..11)?,
        digits(11..13)?,
        digits(13..15)?,
        digits(15..TIME_BYTES)?,
    );
    let start_ns = time::parse(&iso).filter(|_| at.get(8..9) == Some("T") && !id.is_empty())?;
    Some((id, start_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_clients_write() {
        let (a, b) = ("1d4b3c5e-aaaa-4444-8888-000000000001", "0000-b");
        let one = format!("20240919T171648037297Z{a}");
        let expected = Dotted {
            trace_id: a,
            parent_id: None,
            start_ns: 1_726_766_208_037_297_000,
        };
        assert_eq!(read(&one), Some(expected));
        let two = format!("{one}.20240919T171649000001Z{b}");
        let expected = Dotted {
            trace_id: a,
            parent_id: Some(a),
            start_ns: 1_726_766_209_000_001_000,
        };
        assert_eq!(read(&two), Some(expected));
        for bad in [
            "",
            "x",
            "20240919T171648037297Z",
            "20241319T171648037297Zx",
            &format!("{one}."),
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
