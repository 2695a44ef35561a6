//! What Langfuse groups by, in rows: the same places as what is shown and what is filtered by.

use obsrv_engine::model;
use obsrv_engine::query::ast::{Filter, Test};
use obsrv_engine::source::Column;
use serde_json::{Value, json};

use super::super::facts::{
    DEFAULT, ENVIRONMENT, PROMPT_NAME, PROMPT_VERSION, Places, RELEASE, TRACE_NAME, VERSION,
    column, is, not, of_level, of_type,
};
use super::super::observations::roots;
use super::super::score;
use crate::http::read::ask::Over;

const LEVELS: [&str; 4] = ["DEBUG", "DEFAULT", "WARNING", "ERROR"];
const TYPES: [&str; 10] = [
    "SPAN",
    "GENERATION",
    "EVENT",
    "AGENT",
    "TOOL",
    "CHAIN",
    "RETRIEVER",
    "EMBEDDING",
    "GUARDRAIL",
    "EVALUATOR",
];
const SOURCES: [&str; 3] = ["API", "EVAL", "ANNOTATION"];
const DATA_TYPES: [&str; 5] = ["NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT", "CORRECTION"];

/// Some rows, and what they are grouped by: the values of a column, or one value.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// Which rows; all.
    pub(super) only: Option<Filter>,
    pub(super) key: Option<Column>,
    /// What they have, if they are not grouped by a column.
    pub(super) value: Value,
}

/// The ways of a dimension: together they are all rows, each once.
pub(super) fn ways(over: Over, name: &str) -> Option<Vec<Way>> {
    let by = |column: Column| {
        Some(vec![Way {
            only: None,
            key: Some(column),
            value: Value::Null,
        }])
    };
    match (over, name) {
        (_, "environment") => Some(at_places(ENVIRONMENT, &json!(DEFAULT))),
        (Over::Traces, "id") | (_, "traceId") => by(Column::TraceId),
        (_, "id") => by(Column::Id),
        (Over::Traces, "name") => Some(at_places(TRACE_NAME, &Value::Null)),
        (Over::Traces | Over::Spans, "version") => Some(at_places(VERSION, &Value::Null)),
        (Over::Traces | Over::Spans, "release") => Some(at_places(RELEASE, &Value::Null)),
        (Over::Traces, "userId") => by(column(model::USER_ID)),
        (Over::Traces, "sessionId") => by(column(model::GROUP)),
        (Over::Traces, "tags") => by(column(model::TAGS)),
        (Over::Spans, "name") => by(column(model::NAME)),
        (Over::Spans, "providedModelName") => by(column(model::MODEL)),
        (Over::Spans, "parentObservationId") => by(column(model::PARENT_ID)),
        (Over::Spans, "promptName") => Some(at_places(PROMPT_NAME, &Value::Null)),
        (Over::Spans, "promptVersion") => Some(at_places(PROMPT_VERSION, &Value::Null)),
        (Over::Spans, "type") => by_words(&TYPES, &of_type),
        (Over::Spans, "level") => by_words(&LEVELS, &|word| Some(of_level(word))),
        (Over::Spans, "isRootObservation") => {
            let root = |is_root| Way {
                only: Some(roots(is_root)),
                key: None,
                value: json!(is_root),
            };
            Some(vec![root(true), root(false)])
        }
        (Over::Scores, "name") => Some(at_places(score::NAMES, &json!(score::UNNAMED))),
        (Over::Scores, "source") => by_words(&SOURCES, &|word| score::from_sources([word])),
        (Over::Scores, "dataType") => by_words(&DATA_TYPES, &|word| score::of_types([word])),
        (Over::Scores, "configId") => by(column("config_id")),
        (Over::Scores, "value") => Some(at_places(score::VALUES, &Value::Null)),
        (Over::Scores, "stringValue") => Some(at_places(score::WORDINGS, &Value::Null)),
        _ => None,
    }
}

/// By the first place that has a value.
fn at_places(places: Places, absent: &Value) -> Vec<Way> {
    let none = |places: &[&str]| -> Vec<Filter> {
        let none = places.iter().map(|place| not(is(place, Test::Exists)));
        none.collect()
    };
    let mut ways: Vec<Way> = places
        .iter()
        .enumerate()
        .map(|(at, place)| {
            let mut only = none(&places[..at]);
            only.push(is(place, Test::Exists));
            Way {
                only: Some(Filter::And(only)),
                key: Some(column(place)),
                value: Value::Null,
            }
        })
        .collect();
    ways.push(Way {
        only: Some(Filter::And(none(places))),
        key: None,
        value: absent.clone(),
    });
    ways
}

/// By words that each stand for a filter.
fn by_words(words: &[&str], of: &dyn Fn(&str) -> Option<Filter>) -> Option<Vec<Way>> {
    let way = |word: &&str| {
        Some(Way {
            only: Some(of(word)?),
            key: None,
            value: json!(word),
        })
    };
    words.iter().map(way).collect()
}
