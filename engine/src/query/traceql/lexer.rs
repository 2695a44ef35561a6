//! Characters to words, with the byte at which each begins.

use crate::query::ParseError;

/// A word of a query.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    /// An operator, a bracket or a comma.
    Sign(&'static str),
    /// A keyword, an intrinsic with its scope, or a key of rows, dots included.
    Name(String),
    /// An attribute with its scopes, the outermost first; `""` is a dot alone.
    Attribute(Vec<&'static str>, String),
    /// In quotes or backticks.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Nanoseconds.
    Duration(i64),
    /// Nothing more.
    End,
}

/// Longer ones before those that they begin with.
const SIGNS: [&str; 35] = [
    "!>>", "!<<", "&>>", "&<<", "&&", "||", "!>", "!<", "!~", "!=", "&>", "&<", "&~", ">=", "<=",
    "=~", ">>", "<<", "{", "}", "(", ")", ",", "|", "=", ">", "<", "~", "+", "-", "*", "/", "%",
    "^", "!",
];

/// What an attribute's name may stand behind.
const SCOPES: [&str; 7] = [
    "span",
    "resource",
    "event",
    "link",
    "instrumentation",
    "parent",
    "obsrv",
];

/// Whether a name of an attribute goes on with this.
pub(super) const fn is_name_char(c: char) -> bool {
    !c.is_whitespace()
        && !matches!(
            c,
            '{' | '}' | '(' | ')' | '=' | '~' | '!' | '<' | '>' | '&' | '|' | '^' | ','
        )
}

/// The words of a text, the last of which is [`Word::End`].
pub(super) fn words(text: &str) -> Result<Vec<(usize, Word)>, ParseError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut words = Vec::new();
    loop {
        lexer.skip_space();
        let at = lexer.at;
        let word = lexer.word()?;
        let ended = word == Word::End;
        words.push((at, word));
        if ended {
            return Ok(words);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    fn take_while(&mut self, goes_on: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !goes_on(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn word(&mut self) -> Result<Word, ParseError> {
        let Some(c) = self.peek() else {
            return Ok(Word::End);
        };
        match c {
            '"' => self.quoted().map(Word::Text),
            '`' => self.raw(),
            '.' => {
                self.at += 1;
                Ok(Word::Attribute(vec![""], self.name()?))
            }
            c if c.is_ascii_digit() => self.number(),
            c if c.is_ascii_alphabetic() || c == '_' => self.named(),
            _ => match SIGNS.into_iter().find(|sign| self.take(sign)) {
                Some(sign) => Ok(Word::Sign(sign)),
                None => Err(ParseError::new(
                    self.at,
                    "a selector like { status = error }, or an operator",
                    format!("no such sign sign={c}"),
                )),
            },
        }
    }

    fn named(&mut self) -> Result<Word, ParseError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let first = self.take_while(plain);
        let next = self.rest().chars().nth(1);
        if self.peek() == Some(':') && next.is_some_and(|c| c.is_ascii_alphabetic()) {
            self.at += 1;
            return Ok(Word::Name(format!("{first}:{}", self.take_while(plain))));
        }
        if self.peek() != Some('.') {
            return Ok(Word::Name(first.to_owned()));
        }
        self.at += 1;
        let Some(scope) = SCOPES.into_iter().find(|scope| *scope == first) else {
            return Ok(Word::Name(format!("{first}.{}", self.name()?)));
        };
        let mut scopes = vec![scope];
        if scope == "parent" {
            let inner = ["span", "resource"];
            let inner = inner.into_iter().find(|s| {
                let rest = self.rest().strip_prefix(s);
                rest.is_some_and(|rest| rest.starts_with('.'))
            });
            if let Some(inner) = inner {
                self.at += inner.len() + 1;
                scopes.push(inner);
            }
        }
        Ok(Word::Attribute(scopes, self.name()?))
    }

    /// A name of an attribute. Parts of it may stand in quotes.
    fn name(&mut self) -> Result<String, ParseError> {
        let (start, mut name) = (self.at, String::new());
        while let Some(c) = self.peek() {
            if c == '"' {
                name.push_str(&self.quoted()?);
            } else if is_name_char(c) {
                self.at += c.len_utf8();
                name.push(c);
            } else {
                break;
            }
        }
        if self.at == start {
            let message = "an attribute without a name";
            return Err(ParseError::new(
                start,
                "a name right after the dot",
                message,
            ));
        }
        Ok(name)
    }

    fn quoted(&mut self) -> Result<String, ParseError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(text),
                '\\' => {
                    let Some(escaped) = self.peek() else { break };
                    self.at += escaped.len_utf8();
                    match escaped {
                        'n' => text.push('\n'),
                        't' => text.push('\t'),
                        'r' => text.push('\r'),
                        '"' | '\\' => text.push(escaped),
                        // As in a regular expression: \d stays \d.
                        other => text.extend(['\\', other]),
                    }
                }
                other => text.push(other),
            }
        }
        Err(not_closed(start))
    }

    fn raw(&mut self) -> Result<Word, ParseError> {
        let start = self.at;
        self.at += 1;
        let text = self.take_while(|c| c != '`').to_owned();
        if self.take("`") {
            return Ok(Word::Text(text));
        }
        Err(not_closed(start))
    }

    fn number(&mut self) -> Result<Word, ParseError> {
        let start = self.at;
        let digits = |c: char| c.is_ascii_digit() || c == '.';
        self.take_while(digits);
        let exponent = |rest: &str| {
            let rest = rest.strip_prefix(['e', 'E'])?;
            let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
            digits
                .starts_with(|c: char| c.is_ascii_digit())
                .then(|| rest.len() - digits.len())
        };
        if let Some(sign) = exponent(self.rest()) {
            self.at += 1 + sign;
            self.take_while(digits);
        } else {
            self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | 'µ'));
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if let Ok(n) = text.parse() {
            return Ok(Word::Int(n));
        }
        let plain = text
            .bytes()
            .all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
        if let (true, Ok(x)) = (plain, text.parse::<f64>())
            && x.is_finite()
        {
            return Ok(Word::Float(x));
        }
        duration(text).map(Word::Duration).ok_or_else(|| {
            let message = format!("neither a number nor a duration value={text}");
            ParseError::new(start, "a number like 500, or a duration like 1.5s", message)
        })
    }
}

fn not_closed(at: usize) -> ParseError {
    ParseError::new(at, "a closing quote", "quote not closed")
}

/// Nanoseconds of `250ms`, `1.5s`, `1h30m`, `1d`, `1w`.
fn duration(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut sum = 0i128;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        sum = sum.checked_add(scaled(number, unit_ns(unit)?)?)?;
        rest = tail;
    }
    i64::try_from(sum).ok()
}

/// A decimal number times a unit, what is below a nanosecond left out.
fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 18 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let ten_to = 10i128.pow(u32::try_from(fraction.len()).ok()?);
    let below = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<i128>().ok()?
    };
    let whole = i128::from(whole.parse::<u64>().ok()?);
    Some(whole.checked_mul(unit)? + below * unit / ten_to)
}

fn unit_ns(unit: &str) -> Option<i128> {
    const SECOND: i128 = 1_000_000_000;
    Some(match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3_600 * SECOND,
        "d" => 86_400 * SECOND,
        "w" => 7 * 86_400 * SECOND,
        "y" => 365 * 86_400 * SECOND,
        _ => return None,
    })
}
