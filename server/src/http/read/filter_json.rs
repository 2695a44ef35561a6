//! Filters as JSON: the same that the search bar says, for programs that would have to quote.
//!
//! ```text
//! filter    = {}                                          all rows
//!           | {"and": [filter, …]} | {"or": [filter, …]} | {"not": filter}
//!           | {"span": filter}                            some span of the run passes
//!           | {"score": filter}                           some score of the run, or of the span, passes
//!           | {"text": "…"} | {"text_prefix": "…"} | {"text_contains": "…"} | {"text_matches": "…"}
//!           | {"key": name, test: value, …}               every test holds
//!           | {"key": "scores.NAME", test: value, …}      of each test some score of this name passes it
//!           | {"path": path, test: value, …}              the same of a path, whatever it is called
//! test      = eq | ne | in | not_in | lt | le | gt | ge | contains | starts_with | matches | exists
//! ```
//!
//! Numbers are numbers and texts are texts: `5` and `"5"` are two values. Times are RFC 3339, dates,
//! `now`, `-1h` or nanoseconds; lengths of time `1.5s` or nanoseconds.

use obsrv_engine::model::score::Fact;
use obsrv_engine::query::ast::{Filter, Literal, Test, TextTest};
use obsrv_engine::query::{DEPTH_MAX, LIST_MAX, Patterns, is_money, is_time, scored};
use obsrv_engine::source::Column;
use serde_json::{Map, Value};

use super::ask::{Over, SCORES, length, or_own, time};
use crate::http::error::{ApiError, ErrorCode};
use crate::limits::FILTER_BYTES_MAX;

/// Reads a filter in a parameter.
pub(super) fn parse(
    over: Over,
    (name, text): (&str, &str),
    now_ns: i64,
) -> Result<Filter, ApiError> {
    if text.len() > FILTER_BYTES_MAX {
        let message = format!("filter too long max_bytes={FILTER_BYTES_MAX}");
        return Err(wrong(name, message));
    }
    let value = serde_json::from_str(text).map_err(|e| {
        let place = format!("line={} column={}", e.line(), e.column());
        wrong(name, format!("not json {place}"))
    })?;
    filter(over, (name, &value), now_ns)
}

/// Reads a filter. `name` is what holds it; errors name the place in it.
pub(super) fn filter(
    over: Over,
    (name, value): (&str, &Value),
    now_ns: i64,
) -> Result<Filter, ApiError> {
    let reader = Reader {
        over,
        now_ns,
        patterns: Patterns::default(),
    };
    reader.filter(
        value,
        &Place {
            up: None,
            step: name,
            at: None,
        },
        0,
    )
}

fn wrong(place: impl Into<String>, message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidQuery, message).at(place)
}

/// Where in the filter: `filter.and[1].gt`.
struct Place<'a> {
    up: Option<&'a Place<'a>>,
    step: &'a str,
    at: Option<usize>,
}

impl<'a> Place<'a> {
    const fn below<'b>(&'b self, step: &'b str) -> Place<'b>
    where
        'a: 'b,
    {
        Place {
            up: Some(self),
            step,
            at: None,
        }
    }

    fn text(&self) -> String {
        let mut text = self
            .up
            .map_or_else(String::new, |up| format!("{}.", up.text()));
        text.push_str(self.step);
        if let Some(at) = self.at {
            text.push_str(&format!("[{at}]"));
        }
        text
    }

    fn wrong(&self, message: impl Into<String>) -> ApiError {
        wrong(self.text(), message)
    }

    /// Whether it stands in what is asked of rows of this kind.
    fn is_in(&self, kind: &str) -> bool {
        self.up.is_some_and(|up| up.step == kind || up.is_in(kind))
    }

    fn allows_spans(&self) -> Result<(), ApiError> {
        if self.is_in("score") {
            return Err(self.wrong("a score test can hold no span test"));
        }
        if self.is_in("span") {
            return Err(self.wrong("a span test cannot hold another span test"));
        }
        Ok(())
    }

    fn allows_scores(&self, over: Over) -> Result<(), ApiError> {
        if self.is_in("score") {
            return Err(self.wrong("a score test cannot hold another score test"));
        }
        if over.has_scores() {
            return Ok(());
        }
        Err(self.wrong("traces and spans have scores, other rows have none"))
    }
}

/// The score that a key names, if it names one.
fn score_of<'k>(key: &'k str, place: &Place<'_>, over: Over) -> Result<Option<&'k str>, ApiError> {
    let meant = key.strip_prefix("score.");
    match key.strip_prefix(SCORES) {
        None if over.has_scores() && !place.is_in("score") => meant.map_or(Ok(None), |meant| {
            let wrong = format!(
                "no such key, did you mean scores.{meant}? A path of the row is a path, no key"
            );
            Err(place.wrong(wrong))
        }),
        None => Ok(None),
        Some("") => Err(place.wrong("no name of a score")),
        Some(name) => place.allows_scores(over).map(|()| Some(name)),
    }
}

struct Reader {
    over: Over,
    now_ns: i64,
    patterns: Patterns,
}

const KINDS: &str =
    "one of and, or, not, span, score, text, text_prefix, text_contains, text_matches, key, path";
const TESTS: &str =
    "one of eq, ne, in, not_in, lt, le, gt, ge, contains, starts_with, matches, exists";

impl Reader {
    fn filter(&self, value: &Value, place: &Place<'_>, depth: usize) -> Result<Filter, ApiError> {
        if depth > DEPTH_MAX {
            return Err(place.wrong(format!("filter nested too deep max={DEPTH_MAX}")));
        }
        let Value::Object(members) = value else {
            return Err(place.wrong("not an object"));
        };
        if members.is_empty() {
            return if depth == 0 || place.step == "span" || place.step == "score" {
                Ok(Filter::All)
            } else {
                Err(place.wrong(format!("an object with {KINDS}")))
            };
        }
        if members.contains_key("key") || members.contains_key("path") {
            return self.tests(members, place);
        }
        let mut members = members.iter();
        let (Some((kind, inner)), None) = (members.next(), members.next()) else {
            return Err(place.wrong(format!("an object with just {KINDS}")));
        };
        let inside = place.below(kind);
        let text = || match inner {
            Value::String(text) => Ok(text.clone()),
            _ => Err(inside.wrong("not a text")),
        };
        Ok(match kind.as_str() {
            "and" => joined(self.list(inner, &inside, depth)?, Filter::And),
            "or" => joined(self.list(inner, &inside, depth)?, Filter::Or),
            "not" => Filter::Not(Box::new(self.filter(inner, &inside, depth + 1)?)),
            "span" => {
                inside.allows_spans()?;
                Filter::AnySpan(Box::new(self.filter(inner, &inside, depth + 1)?))
            }
            "score" => {
                inside.allows_scores(self.over)?;
                Filter::AnyScore(Box::new(self.filter(inner, &inside, depth + 1)?))
            }
            "text" => Filter::Text(TextTest::Words(text()?)),
            "text_prefix" => Filter::Text(TextTest::Beginning(text()?)),
            "text_contains" => Filter::Text(TextTest::Contains(text()?)),
            "text_matches" => Filter::Text(TextTest::Regex(self.pattern(&text()?, &inside)?)),
            _ => return Err(inside.wrong(format!("unknown, {KINDS} is meant"))),
        })
    }

    fn list(
        &self,
        value: &Value,
        place: &Place<'_>,
        depth: usize,
    ) -> Result<Vec<Filter>, ApiError> {
        let Value::Array(items) = value else {
            return Err(place.wrong("not a list of filters"));
        };
        if items.is_empty() {
            return Err(place.wrong("an empty list of filters"));
        }
        let items = items.iter().enumerate().map(|(at, item)| {
            let place = Place {
                up: place.up,
                step: place.step,
                at: Some(at),
            };
            self.filter(item, &place, depth + 1)
        });
        items.collect()
    }

    fn tests(&self, members: &Map<String, Value>, place: &Place<'_>) -> Result<Filter, ApiError> {
        let name = |member: &str| match members.get(member) {
            None => Ok(None),
            Some(Value::String(name)) if !name.is_empty() => Ok(Some(name.as_str())),
            Some(_) => Err(place.below(member).wrong("not a name")),
        };
        let (mut score, mut of_trace) = (None, None);
        let column = match (name("key")?, name("path")?) {
            (Some(key), None) => {
                let key_place = place.below("key");
                score = score_of(key, &key_place, self.over)?;
                match score {
                    Some(_) => Column::Score(Fact::Value),
                    None if key_place.is_in("score") => Over::Scores.column(key),
                    None if key_place.is_in("span") => Over::Spans.column(key),
                    None => {
                        of_trace = Some(key).filter(|_| self.over == Over::Traces);
                        self.over.column(key)
                    }
                }
            }
            (None, Some(path)) => Column::Path(path.into()),
            _ => return Err(place.wrong("both key and path")),
        };
        let mut tests = Vec::new();
        for (member, value) in members {
            if member != "key" && member != "path" {
                let test = self.test(&column, member, value, &place.below(member))?;
                tests.push(match (score, of_trace) {
                    (Some(name), _) => scored(name, test),
                    (None, Some(key)) => or_own(key, test),
                    (None, None) => test,
                });
            }
        }
        if tests.is_empty() {
            return Err(place.wrong(format!("no test; {TESTS} is meant")));
        }
        Ok(joined(tests, Filter::And))
    }

    fn test(
        &self,
        column: &Column,
        member: &str,
        value: &Value,
        place: &Place<'_>,
    ) -> Result<Filter, ApiError> {
        let is = |test| Filter::Is(column.clone(), test);
        let not = |test| Filter::Not(Box::new(is(test)));
        let one = || self.literal(column, value, place);
        let bound = || match one()? {
            Literal::Bool(_) => Err(place.wrong("not a number, a time or a text")),
            Literal::Str(_) if matches!(column, Column::Path(path) if is_money(path)) => {
                Err(place.wrong("not a number of dollars"))
            }
            literal => Ok(literal),
        };
        let text = || match value {
            Value::String(text) => Ok(text.clone()),
            _ => Err(place.wrong("not a text")),
        };
        Ok(match member {
            "eq" => is(Test::Eq(one()?)),
            "ne" => not(Test::Eq(one()?)),
            "in" => is(Test::In(self.literals(column, value, place)?)),
            "not_in" => not(Test::In(self.literals(column, value, place)?)),
            "lt" => is(Test::Lt(bound()?)),
            "le" => is(Test::Le(bound()?)),
            "gt" => is(Test::Gt(bound()?)),
            "ge" => is(Test::Ge(bound()?)),
            "contains" => is(Test::Contains(text()?)),
            "starts_with" => match text()? {
                text if text.is_empty() => return Err(place.wrong("an empty beginning")),
                _ if is_time(column) => {
                    return Err(place.wrong("a time has no beginning; ge and lt are meant"));
                }
                text => is(Test::Prefix(text)),
            },
            "matches" => is(Test::Regex(self.pattern(&text()?, place)?)),
            "exists" => match value {
                Value::Bool(true) => is(Test::Exists),
                Value::Bool(false) => not(Test::Exists),
                _ => return Err(place.wrong("neither true nor false")),
            },
            _ => return Err(place.wrong(format!("unknown test, {TESTS} is meant"))),
        })
    }

    fn pattern(&self, text: &str, place: &Place<'_>) -> Result<String, ApiError> {
        let pattern = pattern(text);
        match self.patterns.check(&pattern) {
            Ok(()) => Ok(pattern),
            Err(error) => Err(place.wrong(error.to_string())),
        }
    }

    fn literals(
        &self,
        column: &Column,
        value: &Value,
        place: &Place<'_>,
    ) -> Result<Vec<Literal>, ApiError> {
        let Value::Array(items) = value else {
            return Err(place.wrong("not a list of values"));
        };
        if items.is_empty() || items.len() > LIST_MAX {
            return Err(place.wrong(format!("not a list of 1 to {LIST_MAX} values")));
        }
        let items = items.iter().enumerate().map(|(at, item)| {
            let place = Place {
                up: place.up,
                step: place.step,
                at: Some(at),
            };
            self.literal(column, item, &place)
        });
        items.collect()
    }

    fn literal(
        &self,
        column: &Column,
        value: &Value,
        place: &Place<'_>,
    ) -> Result<Literal, ApiError> {
        let whole = value.as_i64().map(Literal::I64);
        let read = |ns: Result<i64, ApiError>| ns.map(Literal::I64);
        match (column, value) {
            (Column::Start | Column::End, Value::String(text)) => {
                read(time("", text, self.now_ns)).map_err(|e| place.wrong(e.message))
            }
            (Column::Duration, Value::String(text)) => {
                read(length("", text)).map_err(|e| place.wrong(e.message))
            }
            (Column::Start | Column::End | Column::Duration, _) => {
                whole.ok_or_else(|| place.wrong("neither a text nor whole nanoseconds"))
            }
            (_, Value::String(text)) => Ok(Literal::Str(text.clone())),
            (Column::Id | Column::TraceId, _) => Err(place.wrong("not a text")),
            (_, Value::Bool(b)) => Ok(Literal::Bool(*b)),
            (_, Value::Number(n)) => whole
                .or_else(|| n.as_f64().map(Literal::F64))
                .ok_or_else(|| place.wrong("a number out of range")),
            (_, Value::Null) => Err(place.wrong("null is no value; exists asks for one")),
            (_, Value::Array(_) | Value::Object(_)) => Err(place.wrong("not a value")),
        }
    }
}

fn joined(mut parts: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    if parts.len() == 1 {
        parts.swap_remove(0)
    } else {
        many(parts)
    }
}

/// The pattern as the search bar has it: a quote needs no sign before it.
fn pattern(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, chars.clone().next()) {
            ('\\', Some('"')) => {}
            ('\\', Some(next)) => {
                out.extend([c, next]);
                chars.next();
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
