//! JSON → document, in one pass and without recursion. What is within quotes is passed eight bytes at a
//! time; that the whole is UTF-8 is checked once, with SIMD.
//!
//! Wider than RFC 8259 in one point: the bare words `NaN`, `Infinity` and `-Infinity`, which
//! Python's encoder writes, are numbers. Narrower in none: repeated keys are kept, whole numbers
//! up to 64 bits stay whole, larger ones become floats. A number beyond a float's range, bytes
//! that are not UTF-8 and lone surrogates are errors, because no value of a document can hold them.

mod members;

use obsrv_engine::doc::{DocWriter, Open};
use thiserror::Error;

pub(super) use members::{Member, members};

/// What is wrong with the text, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{problem} offset={offset}")]
pub struct JsonError {
    /// What is wrong.
    pub problem: &'static str,
    /// Byte at which it shows.
    pub offset: usize,
}

/// Reads one value that fills `bytes`, with at most `depth_max` objects and lists in one another.
pub fn read(bytes: &[u8], depth_max: usize) -> Result<Vec<u8>, JsonError> {
    read_text(utf8(bytes)?, depth_max)
}

/// Reads one value that fills `text`, as [`read`] does.
pub(super) fn read_text(text: &str, depth_max: usize) -> Result<Vec<u8>, JsonError> {
    let mut parser = Parser::new(text);
    let mut out = DocWriter::new();
    parser.value(depth_max, &mut out)?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.error("text after the value"));
    }
    Ok(out.finish())
}

fn utf8(bytes: &[u8]) -> Result<&str, JsonError> {
    simdutf8::compat::from_utf8(bytes).map_err(|error| JsonError {
        problem: "text is not utf-8",
        offset: error.valid_up_to(),
    })
}

/// An object or list that is open in the output.
#[derive(Debug)]
struct Level {
    open: Open,
    is_map: bool,
}

/// Where a text is read. Of bytes that nobody needs it is not known whether they are text.
#[derive(Debug)]
struct Parser<'a, T: ?Sized = str> {
    text: &'a T,
    at: usize,
    /// Holds text with escapes while it is decoded.
    scratch: String,
}

impl<'a, T: AsRef<[u8]> + ?Sized> Parser<'a, T> {
    const fn new(text: &'a T) -> Self {
        Self {
            text,
            at: 0,
            scratch: String::new(),
        }
    }

    const fn error(&self, problem: &'static str) -> JsonError {
        JsonError {
            problem,
            offset: self.at,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_ref().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn closes(&mut self, is_map: bool) -> bool {
        let closes = self.peek() == Some(if is_map { b'}' } else { b']' });
        self.at += usize::from(closes);
        closes
    }

    fn unexpected(&self, problem: &'static str) -> JsonError {
        self.error(if self.at >= self.text.as_ref().len() {
            "cut short"
        } else {
            problem
        })
    }
}

impl<'a> Parser<'a> {
    fn value(&mut self, depth_max: usize, out: &mut DocWriter) -> Result<(), JsonError> {
        let mut levels: Vec<Level> = Vec::new();
        loop {
            // A value is due here.
            self.skip_space();
            match self.peek() {
                Some(b @ (b'{' | b'[')) => {
                    if levels.len() >= depth_max {
                        return Err(self.error("nested too deep"));
                    }
                    self.at += 1;
                    let is_map = b == b'{';
                    let open = if is_map {
                        out.begin_map()
                    } else {
                        out.begin_array()
                    };
                    levels.push(Level { open, is_map });
                    self.skip_space();
                    if !self.closes(is_map) {
                        if is_map {
                            self.key(out)?;
                        }
                        continue;
                    }
                    Self::close(&mut levels, out);
                }
                _ => self.scalar(out)?,
            }
            if !self.after_value(&mut levels, out)? {
                return Ok(());
            }
        }
    }

    /// Reads `,` and closing brackets; false when the outermost value is complete.
    fn after_value(
        &mut self,
        levels: &mut Vec<Level>,
        out: &mut DocWriter,
    ) -> Result<bool, JsonError> {
        while let Some(is_map) = levels.last().map(|l| l.is_map) {
            self.skip_space();
            if self.closes(is_map) {
                Self::close(levels, out);
            } else if self.peek() == Some(b',') {
                self.at += 1;
                if is_map {
                    self.skip_space();
                    self.key(out)?;
                }
                return Ok(true);
            } else {
                return Err(self.unexpected("expected a comma or the end of the object or list"));
            }
        }
        Ok(false)
    }

    fn close(levels: &mut Vec<Level>, out: &mut DocWriter) {
        if let Some(level) = levels.pop() {
            out.end(level.open);
        }
    }

    fn key(&mut self, out: &mut DocWriter) -> Result<(), JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("expected a key in quotes"));
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        out.key(self.text(&mut scratch)?);
        self.scratch = scratch;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("expected a colon"));
        }
        self.at += 1;
        Ok(())
    }

    fn scalar(&mut self, out: &mut DocWriter) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"') => {
                let mut scratch = std::mem::take(&mut self.scratch);
                out.str(self.text(&mut scratch)?);
                self.scratch = scratch;
                Ok(())
            }
            Some(b'-' | b'0'..=b'9' | b'N' | b'I') => self.number(out),
            Some(b't') => self.word("true").map(|()| out.bool(true)),
            Some(b'f') => self.word("false").map(|()| out.bool(false)),
            Some(b'n') => self.word("null").map(|()| out.null()),
            _ => Err(self.unexpected("expected a value")),
        }
    }

    fn word(&mut self, word: &'static str) -> Result<(), JsonError> {
        if self.rest().starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.unexpected("expected a value"))
        }
    }

    fn number(&mut self, out: &mut DocWriter) -> Result<(), JsonError> {
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        match self.peek() {
            Some(b'N') if !negative => return self.word("NaN").map(|()| out.f64(f64::NAN)),
            Some(b'I') => {
                let value = if negative {
                    f64::NEG_INFINITY
                } else {
                    f64::INFINITY
                };
                return self.word("Infinity").map(|()| out.f64(value));
            }
            _ => {}
        }
        let first = self.peek();
        if self.digits()? > 1 && first == Some(b'0') {
            return Err(JsonError {
                problem: "number with a leading zero",
                offset: start,
            });
        }
        let mut whole = true;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
            whole = false;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
            whole = false;
        }
        let error = JsonError {
            problem: "number out of range",
            offset: start,
        };
        let digits = self.text.get(start..self.at).ok_or(error)?;
        write_number(digits, whole, out).ok_or(error)
    }

    fn digits(&mut self) -> Result<usize, JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            Err(self.unexpected("expected a digit"))
        } else {
            Ok(self.at - start)
        }
    }

    /// Text after its opening quote, borrowed if it has no escapes.
    fn text<'s>(&mut self, scratch: &'s mut String) -> Result<&'s str, JsonError>
    where
        'a: 's,
    {
        self.at += 1;
        scratch.clear();
        loop {
            let plain = self.plain();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    if scratch.is_empty() {
                        return Ok(plain);
                    }
                    scratch.push_str(plain);
                    return Ok(scratch);
                }
                Some(b'\\') => {
                    scratch.push_str(plain);
                    let c = self.escape()?;
                    scratch.push(c);
                }
                Some(_) => return Err(self.error("control character in text")),
                None => return Err(self.error("cut short")),
            }
        }
    }

    /// Characters up to a quote, a backslash or a control character.
    fn plain(&mut self) -> &'a str {
        let rest = self.rest();
        let text = rest.get(..plain_len(rest.as_bytes())).unwrap_or(rest);
        self.at += text.len();
        text
    }

    /// What was not read yet.
    fn rest(&self) -> &'a str {
        self.text
            .get(self.at..)
            .expect("BUG: a character was read by half")
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        self.at += 1;
        let Some(b) = self.peek() else {
            return Err(self.error("cut short"));
        };
        self.at += 1;
        Ok(match b {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.escaped_unicode(start),
            _ => {
                return Err(JsonError {
                    problem: "unknown escape",
                    offset: start,
                });
            }
        })
    }

    fn escaped_unicode(&mut self, start: usize) -> Result<char, JsonError> {
        let lone = JsonError {
            problem: "lone surrogate in text",
            offset: start,
        };
        let high = self.hex4()?;
        if !(0xd800..0xdc00).contains(&high) {
            return char::from_u32(high).ok_or(lone);
        }
        if !self.rest().starts_with("\\u") {
            return Err(lone);
        }
        self.at += 2;
        let low = self.hex4()?;
        if !(0xdc00..0xe000).contains(&low) {
            return Err(lone);
        }
        char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)).ok_or(lone)
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let mut n = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16));
            n = n * 16 + digit.ok_or_else(|| self.unexpected("expected four hex digits"))?;
            self.at += 1;
        }
        Ok(n)
    }
}

/// How many of `bytes` come before the first quote, backslash or control character: all if there is none.
fn plain_len(bytes: &[u8]) -> usize {
    let (eights, rest) = bytes.as_chunks::<8>();
    for (at, eight) in (0..).step_by(8).zip(eights) {
        let stops = stops(u64::from_le_bytes(*eight));
        if stops != 0 {
            return at + stops.trailing_zeros() as usize / 8;
        }
    }
    let is_stop = |b: &u8| matches!(b, b'"' | b'\\' | 0..=0x1f);
    let len = rest.iter().position(is_stop).unwrap_or(rest.len());
    bytes.len() - rest.len() + len
}

/// The top bit of each byte that ends plain text is set; those above the first one that is set may be wrong. By the test for a zero byte of
/// "Bit Twiddling Hacks" (S. E. Anderson): a borrow only reaches bytes above a hit.
const fn stops(eight: u64) -> u64 {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const TOP: u64 = 0x8080_8080_8080_8080;
    const fn below(eight: u64, n: u64) -> u64 {
        eight.wrapping_sub(n * LOW) & !eight & TOP
    }
    below(eight, 0x20) | below(eight ^ (0x22 * LOW), 1) | below(eight ^ (0x5c * LOW), 1)
}

fn write_number(digits: &str, whole: bool, out: &mut DocWriter) -> Option<()> {
    if whole && digits != "-0" {
        if let Ok(n) = digits.parse::<i64>() {
            out.i64(n);
            return Some(());
        }
        if let Ok(n) = digits.parse::<u64>() {
            out.u64(n);
            return Some(());
        }
    }
    out.f64(digits.parse::<f64>().ok().filter(|n| n.is_finite())?);
    Some(())
}

#[cfg(test)]
mod tests;
