//! `multipart/form-data` (RFC 7578) over a body that is whole in memory: what replay reads, too.
//!
//! Parts are slices of the body. Nothing is copied, no file is written.

use memchr::memmem;

use crate::dialect::{DecodeError, ITEMS_MAX};

/// Longest boundary (RFC 2046).
pub(crate) const BOUNDARY_BYTES_MAX: usize = 70;
/// Most bytes of the headers of one part.
pub(super) const PART_HEAD_BYTES_MAX: usize = 8 << 10;

/// One part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// The name in its `Content-Disposition`.
    pub(super) name: &'a str,
    /// Its `Content-Type`; empty if it has none.
    pub(super) content_type: &'a str,
    /// What it holds.
    pub(super) content: &'a [u8],
}

/// The boundary that a content type names, if it is that of a form.
pub(crate) fn boundary(content_type: &str) -> Option<&str> {
    let (essence, parameters) = content_type.split_once(';')?;
    let is_form = essence.trim().eq_ignore_ascii_case("multipart/form-data");
    let found = parameter(parameters, "boundary").filter(|_| is_form)?;
    (1..=BOUNDARY_BYTES_MAX)
        .contains(&found.len())
        .then_some(found)
}

/// The value of a parameter of a header. Quoted values may hold semicolons, but no escapes.
fn parameter<'a>(mut rest: &'a str, wanted: &str) -> Option<&'a str> {
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_start_matches([';', ' ', '\t']).trim_end();
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(';').unwrap_or((after, "")),
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value.trim_end());
        }
        rest = next;
    }
    None
}

/// Every part of a body, in order.
pub(super) fn parts<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<Part<'a>>, DecodeError> {
    let bad = |problem: &str| DecodeError::Shape {
        field: "body".to_owned(),
        problem: problem.to_owned(),
    };
    if boundary.is_empty() {
        return Err(bad("the content type names no boundary"));
    }
    let dash = format!("--{boundary}");
    let between = format!("\r\n--{boundary}");
    let finder = memmem::Finder::new(between.as_bytes());
    let mut rest = if let Some(rest) = body.strip_prefix(dash.as_bytes()) {
        rest
    } else {
        let at = finder.find(body).ok_or_else(|| bad("no boundary found"))?;
        body.get(at + between.len()..).unwrap_or(&[])
    };
    let mut parts = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        if parts.len() == ITEMS_MAX {
            return Err(DecodeError::Items);
        }
        rest = after_line(rest).ok_or_else(|| bad("no line end after a boundary"))?;
        let len = finder.find(rest).ok_or_else(|| bad("cut short"))?;
        let (part, after) = rest.split_at(len);
        parts.push(
            part_of(part).map_err(|problem| bad(&format!("part {}: {problem}", parts.len())))?,
        );
        rest = after.get(between.len()..).unwrap_or(&[]);
    }
}

/// What follows the spaces and the line end after a boundary.
fn after_line(text: &[u8]) -> Option<&[u8]> {
    let spaces = text
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count();
    text.get(spaces..)?.strip_prefix(b"\r\n")
}

fn part_of(part: &[u8]) -> Result<Part<'_>, &'static str> {
    let (head, content) = if let Some(content) = part.strip_prefix(b"\r\n") {
        (&b""[..], content)
    } else {
        let at = memmem::find(part, b"\r\n\r\n").ok_or("headers do not end")?;
        (
            part.get(..at).unwrap_or(&[]),
            part.get(at + 4..).unwrap_or(&[]),
        )
    };
    if head.len() > PART_HEAD_BYTES_MAX {
        return Err("headers too long");
    }
    let head = std::str::from_utf8(head).map_err(|_| "headers are not utf-8")?;
    let mut found = Part {
        name: "",
        content_type: "",
        content,
    };
    for (name, value) in head.split("\r\n").filter_map(|line| line.split_once(':')) {
        if name.trim().eq_ignore_ascii_case("content-disposition") {
            let (_, parameters) = value.split_once(';').unwrap_or((value, ""));
            found.name = parameter(parameters, "name").unwrap_or("");
        } else if name.trim().eq_ignore_ascii_case("content-type") {
            found.content_type = value.trim();
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_and_contents(body: &[u8], boundary: &str) -> Vec<(String, String, Vec<u8>)> {
        let parts = parts(body, boundary).unwrap();
        let owned = |p: &Part<'_>| {
            (
                p.name.to_owned(),
                p.content_type.to_owned(),
                p.content.to_vec(),
            )
        };
        parts.iter().map(owned).collect()
    }

    #[test]
    fn reads_boundaries_as_clients_write_them() {
        for (text, found) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            (
                "Multipart/Form-Data; charset=utf-8; Boundary=\"a b;c\"",
                Some("a b;c"),
            ),
            ("multipart/form-data;boundary=abc ; x=y", Some("abc")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("application/json; boundary=abc", None),
        ] {
            assert_eq!(boundary(text), found, "{text}");
        }
        let longest = "b".repeat(BOUNDARY_BYTES_MAX);
        let header = format!("multipart/form-data; boundary={longest}");
        assert_eq!(boundary(&header), Some(longest.as_str()));
        assert_eq!(boundary(&format!("{header}b")), None);
    }

    #[test]
    fn reads_parts_with_any_bytes_in_them() {
        let body = b"preamble\r\n--X  \r\nContent-Disposition: form-data; name=\"a.b\"; filename=\"c\"\r\n\
            Content-Type: image/png; length=3\r\n\r\n\x00\r\n--\xff\r\n--X\r\n\
            content-disposition: form-data; name=plain\r\n\r\n\r\n--X\r\n\r\nbare\r\n--X--\r\nepilogue";
        let expected = [
            ("a.b", "image/png; length=3", &b"\x00\r\n--\xff"[..]),
            ("plain", "", b""),
            ("", "", b"bare"),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(n, t, c)| ((*n).to_owned(), (*t).to_owned(), c.to_vec()))
            .collect();
        assert_eq!(names_and_contents(body, "X"), expected);
        assert_eq!(names_and_contents(b"--X--", "X"), []);
    }

    #[test]
    fn refuses_what_is_cut_or_has_no_boundary() {
        for body in [
            &b""[..],
            b"--Y--",
            b"--X",
            b"--X\r\n",
            b"--X\r\nContent-Type: a\r\n--X--",
            b"--X\r\nContent-Type: a\r\n\r\nb",
            b"--X a\r\n\r\nb\r\n--X--",
        ] {
            let error = parts(body, "X").unwrap_err();
            assert!(matches!(error, DecodeError::Shape { .. }), "{error}");
        }
        assert!(parts(b"--X--", "").is_err());
    }

    #[test]
    fn parts_are_bounded() {
        let with_parts = |n: usize| format!("{}--X--", "--X\r\n\r\n\r\n".repeat(n));
        let read = |n| parts(with_parts(n).as_bytes(), "X").map(|parts| parts.len());
        assert_eq!(read(ITEMS_MAX), Ok(ITEMS_MAX));
        assert_eq!(read(ITEMS_MAX + 1), Err(DecodeError::Items));
    }

    #[test]
    fn heads_are_bounded() {
        let with_head_of = |bytes: usize| {
            let head = format!("x: {}", "y".repeat(bytes - 3));
            format!("--X\r\n{head}\r\n\r\nb\r\n--X--")
        };
        assert!(parts(with_head_of(PART_HEAD_BYTES_MAX).as_bytes(), "X").is_ok());
        assert!(parts(with_head_of(PART_HEAD_BYTES_MAX + 1).as_bytes(), "X").is_err());
    }
}
