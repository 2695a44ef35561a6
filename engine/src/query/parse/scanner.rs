//! Characters, words and keywords of a search.

use super::ParseError;

/// A word with its escapes resolved.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) text: String,
    /// In quotes: never a number, a keyword or a beginning.
    pub(super) quoted: bool,
    /// Where in `text` there is a `*` that was not escaped.
    pub(super) stars: Vec<usize>,
}

impl Word {
    /// What is before a `*` at its end.
    pub(super) fn beginning(&self) -> Option<&str> {
        let star = self.stars.last()?;
        (star + 1 == self.text.len()).then(|| &self.text[..*star])
    }

    /// The whole text as a regular expression, if a `*` stands for any text in it.
    pub(super) fn glob(&self) -> Option<String> {
        if self.stars.is_empty() {
            return None;
        }
        let (mut pattern, mut from) = (String::from("^"), 0);
        for star in &self.stars {
            pattern.push_str(&regex::escape(&self.text[from..*star]));
            pattern.push_str("(?s:.*)");
            from = star + 1;
        }
        pattern.push_str(&regex::escape(&self.text[from..]));
        pattern.push('$');
        Some(pattern)
    }
}

#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    pub(super) at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn skip_char(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    pub(super) fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    pub(super) fn sees(&self, token: &str) -> bool {
        self.rest().starts_with(token)
    }

    pub(super) fn take(&mut self, token: &str) -> bool {
        let found = self.sees(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    /// Whether the next word is the keyword, in any case, and stands alone.
    pub(super) fn sees_keyword(&self, keyword: &str) -> bool {
        let rest = self.rest();
        let Some((head, tail)) = rest.split_at_checked(keyword.len()) else {
            return false;
        };
        let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '{' | '}' | '"');
        head.eq_ignore_ascii_case(keyword) && tail.chars().next().is_none_or(ends)
    }

    pub(super) fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.sees_keyword(keyword);
        if found {
            self.at += keyword.len();
            self.skip_space();
        }
        found
    }

    /// The next word; `None` if none starts here. A name also ends before an operator.
    pub(super) fn word(&mut self, name: bool) -> Result<Option<Word>, ParseError> {
        if self.peek() == Some('"') {
            return self.quoted().map(Some);
        }
        let (mut text, mut stars, start) = (String::new(), Vec::new(), self.at);
        while let Some(c) = self.peek() {
            let ends = c.is_whitespace()
                || matches!(c, '(' | ')' | '{' | '}' | ',' | '"')
                || (name && (matches!(c, ':' | '=' | '<' | '>' | '~') || self.sees_not_operator()));
            if ends {
                break;
            }
            self.skip_char();
            if c == '*' {
                stars.push(text.len());
            }
            if c == '\\' {
                let Some(escaped) = self.peek() else {
                    return Err(ParseError::new(self.at, "a character", "nothing after \\"));
                };
                self.skip_char();
                text.push(escaped);
            } else {
                text.push(c);
            }
        }
        Ok((self.at > start).then_some(Word {
            text,
            quoted: false,
            stars,
        }))
    }

    /// A regular expression: in quotes only `\"` is taken apart, else nothing is.
    pub(super) fn pattern(&mut self) -> Result<Option<String>, ParseError> {
        let start = self.at;
        let quoted = self.take("\"");
        let mut pattern = String::new();
        while let Some(c) = self.peek() {
            if quoted && c == '"' {
                self.skip_char();
                return Ok(Some(pattern));
            }
            if !quoted && (c.is_whitespace() || matches!(c, '(' | ')' | '{' | '}' | ',' | '"')) {
                break;
            }
            self.skip_char();
            let escaped = self.peek().filter(|_| c == '\\');
            if !(quoted && escaped == Some('"')) {
                pattern.push(c);
            }
            if let Some(escaped) = escaped {
                self.skip_char();
                pattern.push(escaped);
            }
        }
        if quoted {
            return Err(ParseError::new(
                start,
                "a closing quote",
                "quote not closed",
            ));
        }
        Ok((self.at > start).then_some(pattern))
    }

    fn sees_not_operator(&self) -> bool {
        self.rest().starts_with("!=") || self.rest().starts_with("!~")
    }

    fn quoted(&mut self) -> Result<Word, ParseError> {
        let start = self.at;
        self.skip_char();
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.skip_char();
            match c {
                '"' => {
                    return Ok(Word {
                        text,
                        quoted: true,
                        stars: Vec::new(),
                    });
                }
                '\\' => {
                    let Some(escaped) = self.peek() else { break };
                    self.skip_char();
                    text.push(match escaped {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        other => other,
                    });
                }
                other => text.push(other),
            }
        }
        Err(ParseError::new(
            start,
            "a closing quote",
            "quote not closed",
        ))
    }
}
