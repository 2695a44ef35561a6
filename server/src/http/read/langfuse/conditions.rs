//! Conditions as JSON, as Langfuse's `filter` has them: `[{"type", "column", "operator", "value", "key"}]`, all
//! of which must hold.

use obsrv_engine::model;
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::source::Column;
use serde::Deserialize;
use serde_json::Value;

use super::ask::Chosen;
use super::facts::{
    DEFAULT, ENVIRONMENT, PROMPT_NAME, PROMPT_VERSION, Places, RELEASE, STATUS_MESSAGE, TOTAL_COST,
    TRACE_NAME, VERSION, at_first, column, is, not, of_level, of_type,
};
use super::observations::roots;
use crate::dialect::parse_time;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::read::ask::Over;
use crate::limits::FILTER_BYTES_MAX;

/// A condition as it is sent.
#[derive(Debug, Deserialize)]
pub(super) struct Condition {
    #[serde(rename = "type", default)]
    kind: String,
    column: String,
    operator: String,
    #[serde(default)]
    value: Value,
    key: Option<String>,
}

/// Adds the conditions of a parameter.
pub(super) fn add(chosen: &mut Chosen, (over, text): (Over, &str)) -> Result<(), ApiError> {
    if text.len() > FILTER_BYTES_MAX {
        let message = format!("filter too long max_bytes={FILTER_BYTES_MAX}");
        return Err(ApiError::new(ErrorCode::InvalidQuery, message).at("filter"));
    }
    let all: Vec<Condition> = serde_json::from_str(text).map_err(|e| {
        let place = format!("line={} column={}", e.line(), e.column());
        let message = format!("not a list of conditions {place}");
        ApiError::new(ErrorCode::InvalidQuery, message).at("filter")
    })?;
    each(chosen, over, &all, "filter")
}

/// Adds conditions. `name` is what holds them.
pub(super) fn each(
    chosen: &mut Chosen,
    over: Over,
    all: &[Condition],
    name: &str,
) -> Result<(), ApiError> {
    for (at, condition) in all.iter().enumerate() {
        let wrong =
            |message| ApiError::new(ErrorCode::InvalidQuery, message).at(format!("{name}[{at}]"));
        let (filter, of_run) = condition.filter(over).map_err(wrong)?;
        if of_run && over != Over::Traces {
            chosen.run(filter);
        } else {
            chosen.row(filter);
        }
    }
    Ok(())
}

/// What a column of Langfuse is in rows.
enum Target {
    One(Column),
    First(Places),
    /// The same, and what a row without any has.
    Environment,
    Type,
    Level,
    Root,
    /// Lengths of time in seconds.
    Seconds,
    Metadata,
    /// What went in or came out.
    Said(Places),
}

const INPUT: Places = &["input", "attributes.langfuse.observation.input"];
const OUTPUT: Places = &["output", "attributes.langfuse.observation.output"];

/// The column, and whether it is of the run.
fn target(over: Over, name: &str) -> Option<(Target, bool)> {
    let path = |path: &str| Target::One(column(path));
    let own = |target| Some((target, false));
    let of_run = |target| Some((target, true));
    let is_trace = over == Over::Traces;
    match name {
        "id" if is_trace => own(Target::One(Column::TraceId)),
        "id" => own(Target::One(Column::Id)),
        "traceId" => own(Target::One(Column::TraceId)),
        "name" if is_trace => own(Target::First(TRACE_NAME)),
        "name" => own(path(model::NAME)),
        "timestamp" | "startTime" => own(Target::One(Column::Start)),
        "endTime" => own(Target::One(Column::End)),
        "environment" => own(Target::Environment),
        "version" => own(Target::First(VERSION)),
        "release" => own(Target::First(RELEASE)),
        "userId" => of_run(path(model::USER_ID)),
        "sessionId" => of_run(path(model::GROUP)),
        "traceName" => of_run(Target::First(TRACE_NAME)),
        "tags" | "traceTags" => of_run(path(model::TAGS)),
        "traceRelease" => of_run(Target::First(RELEASE)),
        "traceVersion" => of_run(Target::First(VERSION)),
        "metadata" => own(Target::Metadata),
        "latency" => own(Target::Seconds),
        "inputTokens" => own(path("tokens.input")),
        "outputTokens" => own(path("tokens.output")),
        "totalTokens" | "tokens" => own(path("tokens.total")),
        "totalCost" => own(Target::First(TOTAL_COST)),
        "input" => own(Target::Said(INPUT)),
        "output" => own(Target::Said(OUTPUT)),
        _ if is_trace => None,
        "type" => own(Target::Type),
        "level" => own(Target::Level),
        "statusMessage" => own(Target::First(STATUS_MESSAGE)),
        "isRootObservation" => own(Target::Root),
        "parentObservationId" => own(path(model::PARENT_ID)),
        "model" | "providedModelName" => own(path(model::MODEL)),
        "promptName" => own(Target::First(PROMPT_NAME)),
        "promptVersion" => own(Target::First(PROMPT_VERSION)),
        _ => None,
    }
}

impl Condition {
    /// The filter, and whether it is about the run.
    fn filter(&self, over: Over) -> Result<(Filter, bool), String> {
        let found = target(over, &self.column);
        let (target, of_run) =
            found.ok_or_else(|| format!("no such column column={}", self.column))?;
        let filter = match target {
            Target::One(column) => self.test(&|test| Filter::Is(column.clone(), test))?,
            Target::First(places) => {
                self.test(&|test| at_first(places, false, &|place| is(place, test.clone())))?
            }
            Target::Environment => self.test(&|test| {
                let absent = passes(&test, DEFAULT);
                at_first(ENVIRONMENT, absent, &|place| is(place, test.clone()))
            })?,
            Target::Said(places) => self.test(&|test| {
                Filter::Or(places.iter().map(|place| is(place, test.clone())).collect())
            })?,
            Target::Seconds => self.seconds()?,
            Target::Type => self.words(&|word| of_type(word).ok_or("no such type"))?,
            Target::Level => self.words(&|word| Ok(of_level(word)))?,
            Target::Root => match (&self.value, self.operator.as_str()) {
                (Value::Bool(wanted), "=") => roots(*wanted),
                (Value::Bool(wanted), "<>") => roots(!*wanted),
                _ => return Err("true or false, with = or <>".to_owned()),
            },
            Target::Metadata => self.metadata()?,
        };
        Ok((filter, of_run))
    }

    /// The filter of a value, given how a test is put to it.
    fn test(&self, of: &dyn Fn(Test) -> Filter) -> Result<Filter, String> {
        let one = || self.literal();
        let several = || self.literals();
        Ok(match self.operator.as_str() {
            "=" => of(Test::Eq(one()?)),
            "<>" | "!=" => not(of(Test::Eq(one()?))),
            ">" => of(Test::Gt(one()?)),
            ">=" => of(Test::Ge(one()?)),
            "<" => of(Test::Lt(one()?)),
            "<=" => of(Test::Le(one()?)),
            // Of texts `matches` is a search for the words as they stand.
            "contains" | "matches" => of(Test::Contains(self.text()?)),
            "does not contain" => not(of(Test::Contains(self.text()?))),
            "starts with" => of(Test::Prefix(self.text()?)),
            "ends with" => of(Test::Regex(format!(r"(?s){}\z", escaped(&self.text()?)))),
            "any of" => of(Test::In(several()?)),
            "none of" => not(of(Test::In(several()?))),
            "all of" => {
                let all = several()?.into_iter();
                Filter::And(all.map(|value| of(Test::Eq(value))).collect())
            }
            "is null" | "is not set" => not(of(Test::Exists)),
            "is not null" | "is set" => of(Test::Exists),
            other => return Err(format!("no such operator operator={other}")),
        })
    }

    fn text(&self) -> Result<String, String> {
        match &self.value {
            Value::String(text) if !text.is_empty() => Ok(text.clone()),
            _ => Err("value is no text".to_owned()),
        }
    }

    fn literal(&self) -> Result<Literal, String> {
        literal(&self.kind, &self.value)
    }

    fn literals(&self) -> Result<Vec<Literal>, String> {
        let Value::Array(values) = &self.value else {
            return Err("value is no list".to_owned());
        };
        values
            .iter()
            .map(|value| literal(&self.kind, value))
            .collect()
    }

    /// A condition of words that each stand for a filter of their own.
    fn words(&self, of: &dyn Fn(&str) -> Result<Filter, &'static str>) -> Result<Filter, String> {
        let words: Vec<&str> = match &self.value {
            Value::String(word) => vec![word],
            Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
            _ => return Err("value is no text".to_owned()),
        };
        let some: Vec<Filter> = words
            .into_iter()
            .map(of)
            .collect::<Result<_, _>>()
            .map_err(str::to_owned)?;
        match self.operator.as_str() {
            "=" | "any of" => Ok(Filter::Or(some)),
            "<>" | "none of" => Ok(not(Filter::Or(some))),
            other => Err(format!("no such operator of this column operator={other}")),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast from float to whole saturates"
    )]
    fn seconds(&self) -> Result<Filter, String> {
        let seconds = self.value.as_f64().ok_or("value is no number")?;
        let ns = Literal::I64((seconds * 1e9).round() as i64);
        let test = match self.operator.as_str() {
            "=" => Test::Eq(ns),
            ">" => Test::Gt(ns),
            ">=" => Test::Ge(ns),
            "<" => Test::Lt(ns),
            "<=" => Test::Le(ns),
            other => return Err(format!("no such operator of a number operator={other}")),
        };
        Ok(Filter::Is(Column::Duration, test))
    }

    fn metadata(&self) -> Result<Filter, String> {
        let key = self.key.as_deref().filter(|key| !key.is_empty());
        let key = key.ok_or("needs a key")?;
        let path = format!("{}.{key}", model::METADATA);
        self.test(&|test| {
            let plain = is(&path, test.clone());
            // Version 5 of the SDK sends the JSON text of every value.
            match encoded(&test) {
                Some(encoded) => Filter::Or(vec![plain, is(&path, encoded)]),
                None => plain,
            }
        })
    }
}

/// The test of a value's JSON text.
fn encoded(test: &Test) -> Option<Test> {
    let quoted = |literal: &Literal| match literal {
        Literal::Str(text) => Literal::Str(Value::from(text.as_str()).to_string()),
        Literal::Bool(b) => Literal::Str(b.to_string()),
        Literal::I64(n) => Literal::Str(n.to_string()),
        Literal::F64(n) => Literal::Str(Value::from(*n).to_string()),
    };
    Some(match test {
        Test::Eq(literal) => Test::Eq(quoted(literal)),
        Test::In(all) => Test::In(all.iter().map(quoted).collect()),
        Test::Prefix(text) => Test::Prefix(format!("\"{text}")),
        _ => return None,
    })
}

fn literal(kind: &str, value: &Value) -> Result<Literal, String> {
    match value {
        Value::String(text) if kind == "datetime" => parse_time(text)
            .map(Literal::I64)
            .ok_or_else(|| "value is no time like 2026-01-31T12:00:00Z".to_owned()),
        Value::String(text) => Ok(Literal::Str(text.clone())),
        Value::Bool(b) => Ok(Literal::Bool(*b)),
        Value::Number(n) => n
            .as_i64()
            .map(Literal::I64)
            .or_else(|| n.as_f64().map(Literal::F64))
            .ok_or_else(|| "value is too large".to_owned()),
        _ => Err("value is no text, number, true or false".to_owned()),
    }
}

/// Whether a text passes.
fn passes(test: &Test, text: &str) -> bool {
    let is = |literal: &Literal| matches!(literal, Literal::Str(other) if other == text);
    match test {
        Test::Eq(literal) => is(literal),
        Test::In(all) => all.iter().any(is),
        Test::Contains(part) => text.contains(&part.to_ascii_lowercase()),
        Test::Prefix(part) => text.starts_with(part.as_str()),
        // Only what ends so is asked by a pattern, and of the text nothing is special.
        Test::Regex(pattern) => {
            let end = pattern.strip_prefix("(?s)");
            let end = end.and_then(|end| end.strip_suffix(r"\z"));
            end.is_some_and(|end| text.ends_with(end))
        }
        Test::Lt(_) | Test::Le(_) | Test::Gt(_) | Test::Ge(_) => false,
        Test::Exists => true,
    }
}

/// A text of which nothing is special in a pattern.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() && !c.is_ascii_whitespace() {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
