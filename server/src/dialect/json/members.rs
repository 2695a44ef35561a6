//! The members of an object, each as a piece of text that is not read yet.
//!
//! For bodies that hold something large or deep which nobody needs: it is passed over, however deep.

use super::{JsonError, Parser};
use crate::dialect::MEMBERS_MAX;

/// A member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dialect) struct Member<'a> {
    pub(in crate::dialect) key: String,
    /// Its value. What stands between its quotes and brackets is not checked.
    text: &'a [u8],
    offset: usize,
}

impl Member<'_> {
    /// Reads the value, with at most `depth_max` objects and lists in one another.
    pub(in crate::dialect) fn read(&self, depth_max: usize) -> Result<Vec<u8>, JsonError> {
        super::read(self.text, depth_max).map_err(|error| JsonError {
            offset: error.offset + self.offset,
            ..error
        })
    }
}

/// The members of the object that fills `text`.
pub(in crate::dialect) fn members(text: &[u8]) -> Result<Vec<Member<'_>>, JsonError> {
    let mut parser = Parser::new(text);
    let mut members = Vec::new();
    parser.skip_space();
    if parser.peek() != Some(b'{') {
        return Err(parser.unexpected("expected an object"));
    }
    parser.at += 1;
    parser.skip_space();
    let mut is_open = !parser.closes(true);
    while is_open {
        if members.len() == MEMBERS_MAX {
            return Err(parser.error("too many keys"));
        }
        members.push(parser.member()?);
        parser.skip_space();
        is_open = !parser.closes(true);
        if is_open {
            if parser.peek() != Some(b',') {
                return Err(parser.unexpected("expected a comma or the end of the object or list"));
            }
            parser.at += 1;
            parser.skip_space();
        }
    }
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.error("text after the value"));
    }
    Ok(members)
}

impl<'a> Parser<'a, [u8]> {
    fn member(&mut self) -> Result<Member<'a>, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("expected a key in quotes"));
        }
        let key = self.key_text()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("expected a colon"));
        }
        self.at += 1;
        self.skip_space();
        let offset = self.at;
        self.pass_over()?;
        let text = self.text.get(offset..self.at).unwrap_or_default();
        Ok(Member { key, text, offset })
    }

    fn key_text(&mut self) -> Result<String, JsonError> {
        let start = self.at;
        self.pass_text()?;
        let quoted = self.text.get(start..self.at).unwrap_or_default();
        let mut scratch = String::new();
        let read = super::utf8(quoted).and_then(|quoted| {
            let key = Parser::new(quoted).text(&mut scratch)?;
            Ok(key.to_owned())
        });
        read.map_err(|error| JsonError {
            offset: error.offset + start,
            ..error
        })
    }

    /// Goes past one value.
    fn pass_over(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(b) = self.peek() {
            match b {
                b'"' => self.pass_text()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' | b',' if depth == 0 => break,
                b'}' | b']' => {
                    depth -= 1;
                    self.at += 1;
                }
                _ => self.at += 1,
            }
        }
        if depth > 0 || self.at == start {
            return Err(self.unexpected("expected a value"));
        }
        Ok(())
    }

    fn pass_text(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        while let Some(b) = self.peek() {
            self.at += if b == b'\\' { 2 } else { 1 };
            if b == b'"' {
                return Ok(());
            }
        }
        self.at = self.text.len();
        Err(self.unexpected("expected the end of a text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<(String, String)> {
        let members = members(text.as_bytes()).unwrap();
        let of = |m: &Member<'_>| (m.key.clone(), String::from_utf8_lossy(m.text).into_owned());
        members.iter().map(of).collect()
    }

    #[test]
    fn values_are_passed_over_whole() {
        let text = r#" {"a": {"b":[1,"}\"]"]} ,"c\u0041":NaN , "d":"x,\\","e":[]} "#;
        let expected = [
            ("a", r#"{"b":[1,"}\"]"]} "#),
            ("cA", "NaN "),
            ("d", r#""x,\\""#),
            ("e", "[]"),
        ];
        let expected = expected.map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(keys(text), expected);
        assert_eq!(keys(" {} "), []);
    }

    #[test]
    fn what_nobody_reads_need_not_be_text() {
        let text = b"{\"a\":\"\xff\",\"b\":1}";
        let members = members(text).unwrap();
        assert!(members[1].read(1).is_ok());
        let error = members[0].read(1).unwrap_err();
        assert_eq!((error.problem, error.offset), ("text is not utf-8", 6));
        let error = super::members(b"{\"a\xff\":1}").unwrap_err();
        assert_eq!((error.problem, error.offset), ("text is not utf-8", 3));
    }

    #[test]
    fn depth_costs_nothing_until_a_value_is_read() {
        let deep = format!(
            r#"{{"a":{}{},"b":1}}"#,
            "[".repeat(9_000),
            "]".repeat(9_000)
        );
        let members = members(deep.as_bytes()).unwrap();
        assert_eq!(members[0].read(62).unwrap_err().problem, "nested too deep");
        assert!(members[1].read(62).is_ok());
    }

    #[test]
    fn what_is_no_object_is_refused_where_it_ends() {
        for (text, problem, offset) in [
            ("", "cut short", 0),
            ("[]", "expected an object", 0),
            (r#"{"a""#, "cut short", 4),
            (r#"{"a":}"#, "expected a value", 5),
            (r#"{"a":[1"#, "cut short", 7),
            (r#"{"a":"x"#, "cut short", 7),
            (r#"{"a":1}x"#, "text after the value", 7),
            (
                r#"{"a":1 ]"#,
                "expected a comma or the end of the object or list",
                7,
            ),
        ] {
            assert_eq!(
                members(text.as_bytes()),
                Err(JsonError { problem, offset }),
                "{text}"
            );
        }
        let error = members(br#"{"a": 01}"#).unwrap()[0].read(3).unwrap_err();
        assert_eq!(
            (error.problem, error.offset),
            ("number with a leading zero", 6)
        );
    }

    #[test]
    fn keys_have_a_limit() {
        let body = |n: usize| {
            let all: Vec<String> = (0..n).map(|i| format!("\"{i}\":0")).collect();
            format!("{{{}}}", all.join(","))
        };
        assert!(members(body(MEMBERS_MAX).as_bytes()).is_ok());
        assert!(members(body(MEMBERS_MAX + 1).as_bytes()).is_err());
    }
}
