//! Inspect's `.eval` archives: a zip of `header.json` and one file for each sample, read one by one.
//!
//! What an archive says of its sizes is believed by nobody: names are counted before its directory is read, and bytes as
//! they come out.

use std::io::{Cursor, Read};
use std::path::Path;

use memchr::memmem;
use serde_json::Value;
use zip::ZipArchive;

use super::{Traces, inspect, shape};
use crate::dialect::DecodeError;
use crate::limits::{ARCHIVE_BYTES_MAX, ARCHIVE_ENTRIES_MAX};

/// What a zip begins with that has anything in it.
pub(crate) const SIGN: &[u8] = b"PK\x03\x04";
/// What each entry of its directory begins with.
const ENTRY: &[u8] = b"PK\x01\x02";

/// Where the evaluation is told: at its end, or only at its start if it was cut off.
const HEADS: [&str; 2] = ["header.json", "_journal/start.json"];

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// Reads an archive.
pub(super) fn read(body: &[u8]) -> Result<Traces, DecodeError> {
    if memmem::find_iter(body, ENTRY)
        .nth(ARCHIVE_ENTRIES_MAX)
        .is_some()
    {
        let problem = format!("archive has too many entries max={ARCHIVE_ENTRIES_MAX}");
        return Err(shape("body", &problem));
    }
    let unread = |error: zip::result::ZipError| shape("body", &format!("not a zip: {error}"));
    let mut archive = ZipArchive::new(Cursor::new(body)).map_err(unread)?;
    let mut left = ARCHIVE_BYTES_MAX;
    let head = HEADS
        .into_iter()
        .find(|name| archive.index_for_name(name).is_some());
    let head = head.ok_or_else(|| shape("header.json", "missing"))?;
    let file = json(&mut archive, head, &mut left)?;
    let file = file.map_err(|problem| shape(head, &problem))?;
    let eval = file.get("eval").ok_or_else(|| shape("eval", "missing"))?;
    let is_json = |name: &str| Path::new(name).extension().is_some_and(|end| end == "json");
    let is_sample = |name: &&str| name.starts_with("samples/") && is_json(name);
    let names = archive.file_names().filter(is_sample);
    let names: Vec<String> = names.map(str::to_owned).collect();
    let mut traces = Traces::default();
    for (place, name) in (1..).zip(&names) {
        match json(&mut archive, name, &mut left)? {
            Ok(sample) => inspect::sample(&file, eval, (place, &sample), &mut traces),
            Err(problem) => traces.bad.push((place, format!("{name}: {problem}"))),
        }
    }
    Ok(traces)
}

/// One entry as JSON, or what is wrong with it alone; an archive that comes to too much is refused as a whole.
fn json(
    archive: &mut Archive<'_>,
    name: &str,
    left: &mut usize,
) -> Result<Result<Value, String>, DecodeError> {
    let entry = match archive.by_name(name) {
        Ok(entry) => entry,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let limit = u64::try_from(*left).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = Vec::new();
    let read = entry.take(limit).read_to_end(&mut text);
    let Some(rest) = left.checked_sub(text.len()) else {
        let problem = format!("archive comes to too much max_bytes={ARCHIVE_BYTES_MAX}");
        return Err(shape("body", &problem));
    };
    *left = rest;
    if let Err(error) = read {
        return Ok(Err(error.to_string()));
    }
    Ok(serde_json::from_slice(&text).map_err(|error| format!("not valid json: {error}")))
}

#[cfg(test)]
mod tests;
