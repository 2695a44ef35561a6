//! The search bar: text to filter. `GRAMMAR.md` beside this file is the reference; a test runs
//! its examples.

mod fields;
mod literal;
mod scanner;
mod scores;

use super::QueryError;
use super::ast::{Filter, Literal, Test, TextTest};
use super::plan::{DEPTH_MAX, LIST_MAX, check};
use super::scores::scored;
use super::text::Patterns;
use crate::model;
use crate::row::Table;
use crate::source::Column;
use fields::column_of;
pub(super) use fields::one_slip;
use scanner::{Scanner, Word};
use scores::{Inside, SCORE, score_value};

/// Longest text of a search.
pub const SEARCH_BYTES_MAX: usize = 16 * 1024;

/// Why a search does not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at={at} expected={expected}")]
pub struct ParseError {
    /// The byte where reading stopped.
    pub at: usize,
    /// What could stand there.
    pub expected: &'static str,
    /// What is wrong.
    pub message: String,
}

impl ParseError {
    pub(super) fn new(at: usize, expected: &'static str, message: impl Into<String>) -> Self {
        Self {
            at,
            expected,
            message: message.into(),
        }
    }
}

/// Reads a search. `now_ns` is what relative times count from. An empty search passes all rows.
pub fn parse(text: &str, now_ns: i64) -> Result<Filter, ParseError> {
    parse_over(Table::Spans, text, now_ns)
}

/// Reads a search over the rows of a table. A log line and a point have an id of their own, and the span
/// that they belong to is another.
pub fn parse_over(table: Table, text: &str, now_ns: i64) -> Result<Filter, ParseError> {
    if text.len() > SEARCH_BYTES_MAX {
        return Err(ParseError::new(
            SEARCH_BYTES_MAX,
            "end of search",
            "search too long",
        ));
    }
    let mut parser = Parser {
        input: Scanner::new(text),
        now_ns,
        has_span_id: matches!(table, Table::Logs | Table::Points),
        has_scores: matches!(table, Table::Runs | Table::Spans),
        of_scores: table == Table::Scores,
        depth: 0,
        inside: Inside::Nothing,
        patterns: Patterns::default(),
    };
    parser.input.skip_space();
    if parser.input.at_end() {
        return Ok(Filter::All);
    }
    let filter = parser.or()?;
    if !parser.input.at_end() {
        return Err(parser.error("end of search", "a bracket is closed that was not opened"));
    }
    check(&filter)
        .map_err(|e: QueryError| ParseError::new(0, "a smaller search", e.to_string()))?;
    Ok(filter)
}

const OPERATORS: [&str; 11] = ["!=", "!~", ">=", "<=", "=~", "==", ":", "=", ">", "<", "~"];
const TERM: &str = "a word, a quoted text, field:value, ( or {";

struct Parser<'a> {
    input: Scanner<'a>,
    now_ns: i64,
    /// Whether `span_id` is a field beside `id`.
    has_span_id: bool,
    /// Whether the rows have scores.
    has_scores: bool,
    /// Whether they are scores.
    of_scores: bool,
    depth: usize,
    inside: Inside,
    patterns: Patterns,
}

impl Parser<'_> {
    fn error(&self, expected: &'static str, message: impl Into<String>) -> ParseError {
        ParseError::new(self.input.at, expected, message)
    }

    fn or(&mut self) -> Result<Filter, ParseError> {
        let mut parts = vec![self.and()?];
        while self.input.take_keyword("or") {
            parts.push(self.and()?);
        }
        Ok(one_or(parts, Filter::Or))
    }

    fn and(&mut self) -> Result<Filter, ParseError> {
        let mut parts = vec![self.unary()?];
        loop {
            if self.input.take_keyword("and") {
                parts.push(self.unary()?);
            } else if self.input.at_end()
                || matches!(self.input.peek(), Some(')' | '}'))
                || self.input.sees_keyword("or")
            {
                return Ok(one_or(parts, Filter::And));
            } else {
                parts.push(self.unary()?);
            }
        }
    }

    fn unary(&mut self) -> Result<Filter, ParseError> {
        if self.input.take_keyword("not") || self.input.take("-") {
            return self.nested(|p| Ok(Filter::Not(Box::new(p.unary()?))));
        }
        self.primary()
    }

    /// One bracket or negation deeper.
    fn nested(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<Filter, ParseError>,
    ) -> Result<Filter, ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error("fewer brackets", "search nested too deep"));
        }
        let filter = inner(self)?;
        self.depth -= 1;
        Ok(filter)
    }

    fn primary(&mut self) -> Result<Filter, ParseError> {
        match self.input.peek() {
            Some('(') => self.nested(|p| p.bracket(")")),
            Some('{') => {
                let filter = self.other_rows(Inside::Span)?;
                Ok(Filter::AnySpan(Box::new(filter)))
            }
            _ if self.input.sees(SCORE) => self.score_test(),
            _ => self.clause(),
        }
    }

    fn bracket(&mut self, close: &'static str) -> Result<Filter, ParseError> {
        self.input.skip_char();
        self.input.skip_space();
        let filter = if close == "}" && self.input.peek() == Some('}') {
            Filter::All
        } else {
            self.or()?
        };
        if self.input.take(close) {
            self.input.skip_space();
            return Ok(filter);
        }
        Err(self.error(
            if close == ")" {
                ") or a term"
            } else {
                "} or a term"
            },
            "bracket not closed",
        ))
    }

    fn clause(&mut self) -> Result<Filter, ParseError> {
        let at = self.input.at;
        if ["and", "or"]
            .iter()
            .any(|word| self.input.sees_keyword(word))
        {
            return Err(self.error(TERM, "nothing to join; quote the word to search for it"));
        }
        if self.input.take("~") {
            let text = self.value_word()?.text;
            self.input.skip_space();
            return Ok(Filter::Text(TextTest::Contains(text)));
        }
        if self.input.take("=~") {
            let pattern = self.pattern()?;
            self.input.skip_space();
            return Ok(Filter::Text(TextTest::Regex(pattern)));
        }
        let Some(name) = self.name()? else {
            return Err(self.error(TERM, "no term here"));
        };
        let Some(operator) = OPERATORS
            .into_iter()
            .find(|operator| self.input.take(operator))
        else {
            self.input.skip_space();
            return Ok(Filter::Text(match name.beginning() {
                Some(beginning) => TextTest::Beginning(beginning.to_owned()),
                None => TextTest::Words(name.text),
            }));
        };
        if name.text == "has" && operator == ":" && !name.quoted {
            let filter = self.has()?;
            self.input.skip_space();
            return Ok(filter);
        }
        let filter = if let Some(score) = self.score_of(&name, at)? {
            scored(&score, self.comparison(score_value(), operator)?)
        } else {
            let column = self.column_of(&name, at)?;
            self.comparison(column, operator)?
        };
        self.input.skip_space();
        Ok(filter)
    }

    fn column_of(&self, name: &Word, at: usize) -> Result<Column, ParseError> {
        let of_scores = self.of_scores || self.inside == Inside::Score;
        if self.has_span_id && !name.quoted && name.text == model::SPAN_ID {
            return Ok(Column::Path(model::SPAN_ID.into()));
        }
        column_of(name, of_scores, at)
    }

    fn value_word(&mut self) -> Result<Word, ParseError> {
        match self.input.word(false)? {
            Some(word) => Ok(word),
            None => Err(self.error("a value right after the operator", "no value here")),
        }
    }

    /// A regular expression, which must read.
    fn pattern(&mut self) -> Result<String, ParseError> {
        let expected = "a regular expression; quote it if it has spaces, brackets or commas";
        let at = self.input.at;
        let Some(pattern) = self.input.pattern()? else {
            return Err(self.error(expected, "no regular expression here"));
        };
        self.patterns
            .check(&pattern)
            .map_err(|e| ParseError::new(at, expected, e.to_string()))?;
        Ok(pattern)
    }

    fn comparison(&mut self, column: Column, operator: &str) -> Result<Filter, ParseError> {
        if self.input.peek() == Some('(') && matches!(operator, ":" | "=" | "!=" | "==") {
            let any = self.list(&column, operator == "==")?;
            return Ok(if operator == "!=" {
                Filter::Not(Box::new(any))
            } else {
                any
            });
        }
        if operator == "=~" {
            return Ok(Filter::Is(column, Test::Regex(self.pattern()?)));
        }
        let at = self.input.at;
        let word = self.value_word()?;
        let bound = |p: &Self| p.bound(&column, &word, at);
        let (test, negated) = match operator {
            ":" | "=" => (self.equal(&column, &word, at)?, false),
            "!=" => (self.equal(&column, &word, at)?, true),
            "==" => (Test::Eq(self.typed(&column, &word, at)?), false),
            "~" => (Test::Contains(word.text), false),
            "!~" => (Test::Contains(word.text), true),
            "<" => (Test::Lt(bound(self)?), false),
            "<=" => (Test::Le(bound(self)?), false),
            ">" => (Test::Gt(bound(self)?), false),
            _ => (Test::Ge(bound(self)?), false),
        };
        let is = Filter::Is(column, test);
        Ok(if negated {
            Filter::Not(Box::new(is))
        } else {
            is
        })
    }

    /// `(a,b,"c")`: values equal to one of these; one that ends in `*` is a beginning.
    fn list(&mut self, column: &Column, is_typed: bool) -> Result<Filter, ParseError> {
        self.input.skip_char();
        let (mut equal, mut others) = (Vec::new(), Vec::new());
        loop {
            self.input.skip_space();
            let at = self.input.at;
            let word = self.value_word()?;
            let test = if is_typed {
                Test::Eq(self.typed(column, &word, at)?)
            } else {
                self.equal(column, &word, at)?
            };
            match test {
                Test::Eq(literal) => equal.push(literal),
                Test::In(literals) => equal.extend(literals),
                other => others.push(Filter::Is(column.clone(), other)),
            }
            if equal.len() > LIST_MAX {
                return Err(self.error("fewer values", "list too long"));
            }
            self.input.skip_space();
            if self.input.take(")") {
                break;
            }
            if !self.input.take(",") {
                return Err(self.error(", or )", "list not closed"));
            }
        }
        if !equal.is_empty() {
            others.insert(0, Filter::Is(column.clone(), Test::In(equal)));
        }
        Ok(one_or(others, Filter::Or))
    }

    fn equal(&self, column: &Column, word: &Word, at: usize) -> Result<Test, ParseError> {
        match (word.beginning(), word.glob()) {
            (Some(""), _) => return Ok(Test::Exists),
            // Texts alone have a beginning or a pattern.
            _ if is_time(column) => return Ok(Test::Eq(self.bound(column, word, at)?)),
            (Some(beginning), _) if word.stars.len() == 1 => {
                return Ok(Test::Prefix(beginning.to_owned()));
            }
            (_, Some(pattern)) => {
                let expected = "a shorter text around *";
                self.patterns
                    .check(&pattern)
                    .map_err(|e| ParseError::new(at, expected, e.to_string()))?;
                return Ok(Test::Regex(pattern));
            }
            (_, None) => {}
        }
        let text = Literal::Str(word.text.clone());
        // What was typed without quotes may have been stored as a number or as a text.
        let typed = column.has_any_type() && !word.quoted;
        Ok(match number_of(column, &word.text).filter(|_| typed) {
            Some(literal) => Test::In(vec![literal, text]),
            None => Test::Eq(text),
        })
    }

    /// The literal that is meant and no other: without quotes a number, `true` or `false`.
    fn typed(&self, column: &Column, word: &Word, at: usize) -> Result<Literal, ParseError> {
        if !column.has_any_type() {
            return self.bound(column, word, at);
        }
        match (word.quoted, number_of(column, &word.text)) {
            (true, _) => Ok(Literal::Str(word.text.clone())),
            (false, Some(literal)) => Ok(literal),
            (false, None) => Err(ParseError::new(
                at,
                "a number, true, false or a text in quotes",
                format!("neither number nor bool value={}", word.text),
            )),
        }
    }

    /// The literal of a comparison, by the column's type.
    fn bound(&self, column: &Column, word: &Word, at: usize) -> Result<Literal, ParseError> {
        match column {
            Column::Start | Column::End => literal::time(&word.text, self.now_ns)
                .map(Literal::I64)
                .ok_or_else(|| {
                    let expected = "a time like 2026-01-31T10:00:00Z, 2026-01-31, -1h or now";
                    ParseError::new(at, expected, format!("not a time value={}", word.text))
                }),
            Column::Duration => literal::duration(&word.text)
                .map(Literal::I64)
                .ok_or_else(|| {
                    let expected = "a duration like 250ms, 1.5s or 1h30m";
                    ParseError::new(at, expected, format!("not a duration value={}", word.text))
                }),
            Column::Path(_) | Column::Score(_) => match number_of(column, &word.text) {
                Some(number @ (Literal::I64(_) | Literal::F64(_))) if !word.quoted => Ok(number),
                _ if is_money(&column.name()) => {
                    let expected = "an amount in US dollars like 0.5, $0.5 or 50¢, without quotes";
                    let message = format!("not an amount value={}", word.text);
                    Err(ParseError::new(at, expected, message))
                }
                _ => Ok(Literal::Str(word.text.clone())),
            },
            _ => Ok(Literal::Str(word.text.clone())),
        }
    }
}

/// What a text without quotes means as the value of a column, other than itself. Money is in no other unit than dollars.
fn number_of(column: &Column, text: &str) -> Option<Literal> {
    match column {
        Column::Path(path) if is_money(path) => literal::amount(text),
        _ => literal::value(text),
    }
}

/// Whether the values of a path are amounts of money alone.
pub fn is_money(path: &str) -> bool {
    [model::COST, model::COST_USD, "cost"].contains(&path)
}

/// Whether the values of a column are times or lengths of time: they have no beginning.
pub const fn is_time(column: &Column) -> bool {
    matches!(column, Column::Start | Column::End | Column::Duration)
}

fn one_or(mut parts: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    match (parts.len(), parts.pop()) {
        (1, Some(part)) => part,
        (_, last) => {
            parts.extend(last);
            many(parts)
        }
    }
}

#[cfg(test)]
mod tests;
