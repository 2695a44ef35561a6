//! A form without its files: they are kept as attachments of the trace, not in rows.
//!
//! The form that is left is what the log gets. Every part that stays keeps its bytes and its order; of a file
//! whose run is not in the form nothing but its name stays, so that it is refused by name.

use std::collections::HashSet;
use std::ops::Range;

use super::form::{Name, name_of};
use super::multipart::{self, Part};
use crate::dialect::DecodeError;

/// A file of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// The run.
    pub(crate) run_id: String,
    /// Its name there.
    pub(crate) name: String,
    /// The type in the sender's words.
    pub(crate) content_type: String,
    /// Where its bytes are in the body.
    pub(crate) bytes: Range<usize>,
}

/// A form in two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parted {
    /// Files of runs that are in the form.
    pub(crate) files: Vec<File>,
    /// The rest as a form with the same boundary.
    pub(crate) rest: Vec<u8>,
    /// Which part of the body each part of the rest is.
    pub(crate) places: Vec<usize>,
}

/// Takes a form apart; `None` if there are no files in it.
pub(crate) fn part(body: &[u8], boundary: &str) -> Result<Option<Parted>, DecodeError> {
    let parts = multipart::parts(body, boundary)?;
    let mut runs = HashSet::new();
    let mut has_files = false;
    for part in &parts {
        match name_of(part.name) {
            Some(Name::Run { id, .. }) => drop(runs.insert(id)),
            Some(Name::File { .. }) => has_files = true,
            _ => {}
        }
    }
    if !has_files {
        return Ok(None);
    }
    let mut parted = Parted {
        files: Vec::new(),
        rest: Vec::new(),
        places: Vec::new(),
    };
    for (place, part) in parts.iter().enumerate() {
        let content = match name_of(part.name) {
            Some(Name::File { id, name }) if runs.contains(id) => {
                parted.files.push(File {
                    run_id: id.to_owned(),
                    name: name.to_owned(),
                    content_type: part.content_type.to_owned(),
                    bytes: range_in(body, part.content),
                });
                continue;
            }
            Some(Name::File { .. }) => &[],
            _ => part.content,
        };
        put(&mut parted.rest, boundary, Part { content, ..*part });
        parted.places.push(place);
    }
    parted
        .rest
        .extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok(Some(parted))
}

/// Names and types were read out of one line without quotes in them, so they are one again.
fn put(out: &mut Vec<u8>, boundary: &str, part: Part<'_>) {
    let mut head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"\r\n",
        part.name
    );
    if !part.content_type.is_empty() {
        head.push_str("Content-Type: ");
        head.push_str(part.content_type);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(part.content);
    out.extend_from_slice(b"\r\n");
}

/// Where a part of a body is in it.
fn range_in(body: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr().addr()).saturating_sub(body.as_ptr().addr());
    start..start.saturating_add(part.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(parts: &[(&str, &str, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, content_type, content) in parts {
            let part = Part {
                name,
                content_type,
                content,
            };
            put(&mut out, "X", part);
        }
        out.extend_from_slice(b"--X--\r\n");
        out
    }

    #[test]
    fn files_of_runs_come_out_and_everything_else_stays() {
        let run = ("post.r", "application/json", &b"{}"[..]);
        let field = ("post.r.inputs", "application/json", &b"{\"a\":1}"[..]);
        let orphan = ("attachment.z.f", "text/plain", &b"lost"[..]);
        let file = (
            "attachment.r.cat.png",
            "image/png; length=5",
            &b"\x00\r\n--"[..],
        );
        let body = form(&[file, run, orphan, field]);
        let parted = part(&body, "X").unwrap().unwrap();
        let [one] = &parted.files[..] else {
            panic!("{parted:?}")
        };
        assert_eq!(
            (
                &*one.run_id,
                &*one.name,
                &*one.content_type,
                &body[one.bytes.clone()]
            ),
            ("r", "cat.png", "image/png; length=5", &b"\x00\r\n--"[..])
        );
        let orphan = (orphan.0, orphan.1, &b""[..]);
        assert_eq!(parted.rest, form(&[run, orphan, field]));
        assert_eq!(parted.places, [1, 2, 3]);
    }

    #[test]
    fn a_form_without_files_is_left_alone() {
        let body = form(&[("post.r", "", b"{}"), ("nonsense", "", b"")]);
        assert_eq!(part(&body, "X"), Ok(None));
        assert!(part(&body[..body.len() - 6], "X").is_err());
    }
}
