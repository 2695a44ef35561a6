//! Where in a text base64 stands that is worth a file.

use std::ops::Range;

use crate::limits::MEDIA_BYTES_MIN;

/// Before data in a URL.
const IN_URL: &str = ";base64,";
/// Signs that fill a text up.
const FILL_MAX: usize = 2;

/// Calls `visit` with each stretch of at least [`MEDIA_BYTES_MIN`] signs of base64 that follows `;base64,` or fills a
/// whole text, or a whole string of the JSON that the text is. Ends when it says so.
pub(super) fn each_run(text: &str, visit: &mut dyn FnMut(Range<usize>) -> bool) {
    let bytes = text.as_bytes();
    let least = MEDIA_BYTES_MIN - FILL_MAX;
    let mut at = 0;
    // Nothing stands within `least` signs that has another sign among them: most of a text is never looked at.
    while let Some(window) = bytes.get(at..at + least) {
        if let Some(other) = window.iter().rposition(|sign| !is_sign(*sign)) {
            at += other + 1;
            continue;
        }
        let run = run_at(bytes, at);
        at = run.end;
        if run.len() >= MEDIA_BYTES_MIN && is_meant(bytes, &run) && visit(run) {
            return;
        }
    }
}

const fn is_sign(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// The signs from here on, and what fills them up.
fn run_at(bytes: &[u8], start: usize) -> Range<usize> {
    let rest = bytes.get(start..).unwrap_or_default();
    let signs = rest.iter().take_while(|sign| is_sign(**sign)).count();
    let behind = rest.iter().skip(signs).take(FILL_MAX);
    let fill = behind.take_while(|sign| **sign == b'=').count();
    start..start + signs + fill
}

/// Whether such a stretch is data, by what stands round it.
fn is_meant(bytes: &[u8], run: &Range<usize>) -> bool {
    let (before, behind) = (&bytes[..run.start], &bytes[run.end..]);
    if before.ends_with(IN_URL.as_bytes()) {
        return true;
    }
    let begins = matches!(before.last(), None | Some(b'"'));
    let ends = matches!(behind.first(), None | Some(b'"' | b'\\'));
    begins && ends && is_mixed(&bytes[run.clone()])
}

/// Whether it has capitals, small letters and digits, as data has, and a word, a row of one sign and hex have not.
fn is_mixed(run: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| run.iter().any(is);
    has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)
}

/// The type that a URL says of the data behind it.
pub(super) fn declared(before: &str) -> Option<&str> {
    let url = before.strip_suffix(IN_URL)?;
    // Types are short; what stands further off is another text.
    let start = url.rfind("data:").filter(|at| url.len() - at < 200)?;
    let said = url.get(start + "data:".len()..)?;
    let kind = said.split(';').next()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/.+-".contains(c);
    (!kind.is_empty() && kind.chars().all(is_plain)).then_some(kind)
}
