//! Where rows of every dialect keep what Langfuse has a name for. What shows a value and what filters by it
//! read the same list of places, of which the first that there is counts.

use obsrv_engine::doc::DocRef;
use obsrv_engine::model::{self, status};
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::source::Column;
use serde_json::Value;

use crate::dialect::doc_json;
use crate::dialect::theta_read::StoredRow;

/// The environment of a row that names none.
pub(super) const DEFAULT: &str = "default";

/// Places of one fact: paths, those in attributes and the resource with the whole key behind the first point.
pub(super) type Places = &'static [&'static str];

// Behind the fields what they are derived from, for rows of an older mapping.
pub(super) const ENVIRONMENT: Places = &[
    model::ENVIRONMENT,
    "attributes.langfuse.environment",
    "resource.deployment.environment.name",
    "resource.deployment.environment",
];
/// What a trace is called: over runs.
pub(super) const TRACE_NAME: Places = &["attributes.langfuse.trace.name", model::NAME];
pub(super) const VERSION: Places = &[model::VERSION, "attributes.langfuse.version"];
pub(super) const RELEASE: Places = &[model::RELEASE, "attributes.langfuse.release"];
pub(super) const LEVEL: Places = &["level", "attributes.langfuse.observation.level"];
pub(super) const STATUS_MESSAGE: Places = &[
    "status_message",
    "attributes.langfuse.observation.status_message",
    model::ERROR_MESSAGE,
];
pub(super) const PROMPT_NAME: Places =
    &["prompt_name", "attributes.langfuse.observation.prompt.name"];
pub(super) const PROMPT_VERSION: Places = &[
    "prompt_version",
    "attributes.langfuse.observation.prompt.version",
];
pub(super) const COMPLETION_START: Places = &[
    "completion_start_time",
    "attributes.langfuse.observation.completion_start_time",
];
pub(super) const MODEL_PARAMETERS: Places = &[
    "model_parameters",
    "attributes.langfuse.observation.model.parameters",
];
pub(super) const USAGE_DETAILS: Places = &[
    "usage_details",
    "attributes.langfuse.observation.usage_details",
];
pub(super) const COST_DETAILS: Places = &[
    "cost_details",
    "attributes.langfuse.observation.cost_details",
];
/// Stated or worked out by prices; of a step that says again what those below it cost, what it says.
pub(super) const TOTAL_COST: Places = &[model::COST, model::COST_USD];
pub(super) const PUBLIC: Places = &["langfuse.public", "attributes.langfuse.trace.public"];

const LEVELS: [&str; 4] = ["DEBUG", "DEFAULT", "WARNING", "ERROR"];

/// Kinds that are one type of observation each.
const TYPES: [(&str, &str); 7] = [
    ("llm", "GENERATION"),
    ("agent", "AGENT"),
    ("tool", "TOOL"),
    ("chain", "CHAIN"),
    ("retrieval", "RETRIEVER"),
    ("embedding", "EMBEDDING"),
    ("guardrail", "GUARDRAIL"),
];
/// Types that have no kind of their own, as they are sent.
const UNKIND: [(&str, &str); 2] = [("event", "EVENT"), ("evaluator", "EVALUATOR")];
const SPAN: &str = "SPAN";
const TYPE_PLACES: Places = &["type", "attributes.langfuse.observation.type"];

/// The value at the first place that has one.
pub(super) fn first(doc: DocRef<'_>, places: Places) -> Option<DocRef<'_>> {
    let found = places.iter().find_map(|place| {
        let value = match place.split_once('.') {
            Some((map @ (model::ATTRIBUTES | model::RESOURCE), key)) => doc.get(map)?.get(key),
            _ => doc.get(place),
        };
        value.filter(|value| *value != DocRef::Null)
    });
    found.filter(|value| *value != DocRef::Null)
}

/// The same as text.
pub(super) fn first_text(doc: DocRef<'_>, places: Places) -> Option<&str> {
    first(doc, places)?.as_str().filter(|text| !text.is_empty())
}

/// The value as JSON; a text that is JSON is what it says: such is how attributes of `OpenTelemetry` carry it.
pub(super) fn decoded(value: DocRef<'_>) -> Value {
    match value {
        DocRef::Str(text) => of_text(text),
        other => as_json(other),
    }
}

/// The value as JSON.
pub(super) fn as_json(value: DocRef<'_>) -> Value {
    serde_json::from_str(&doc_json::to_text(value)).unwrap_or(Value::Null)
}

fn of_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// A path as a column.
pub(super) fn column(path: &str) -> Column {
    Column::Path(path.into())
}

pub(super) fn is(path: &str, test: Test) -> Filter {
    Filter::Is(column(path), test)
}

pub(super) fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

/// A list of texts as literals.
pub(super) fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> Vec<Literal> {
    let values = values.into_iter();
    values.map(|value| Literal::Str(value.to_owned())).collect()
}

fn text(value: &str) -> Test {
    Test::Eq(Literal::Str(value.to_owned()))
}

/// Rows of which the first place that has a value passes; `absent` says whether those without one do.
pub(super) fn at_first(places: Places, absent: bool, test: &dyn Fn(&str) -> Filter) -> Filter {
    let mut ways = Vec::new();
    for (at, place) in places.iter().enumerate() {
        let mut parts: Vec<Filter> = missing(&places[..at]);
        parts.push(test(place));
        ways.push(Filter::And(parts));
    }
    if absent {
        ways.push(Filter::And(missing(places)));
    }
    Filter::Or(ways)
}

fn missing(places: &[&str]) -> Vec<Filter> {
    let none = places.iter().map(|place| not(is(place, Test::Exists)));
    none.collect()
}

/// Rows of one of these environments.
pub(super) fn environments<'a>(names: impl IntoIterator<Item = &'a str>) -> Filter {
    let names: Vec<&str> = names.into_iter().collect();
    at_first(ENVIRONMENT, names.contains(&DEFAULT), &|place| {
        is(place, Test::In(texts(names.iter().copied())))
    })
}

/// The environment of a row.
pub(super) fn environment(doc: DocRef<'_>) -> &str {
    first_text(doc, ENVIRONMENT).unwrap_or(DEFAULT)
}

/// The level of an observation.
pub(super) fn level(row: &StoredRow) -> &str {
    let said = first_text(row.doc(), LEVEL).filter(|level| LEVELS.contains(level));
    said.unwrap_or(match row.text(model::STATUS) {
        Some(status::ERROR) => "ERROR",
        _ => "DEFAULT",
    })
}

/// Observations of a level.
pub(super) fn of_level(level: &str) -> Filter {
    let known = |place: &str| is(place, Test::In(texts(LEVELS)));
    let [own, attribute] = [LEVEL[0], LEVEL[1]];
    let unsaid = || vec![not(known(own)), not(known(attribute))];
    let mut ways = vec![
        is(own, text(level)),
        Filter::And(vec![not(known(own)), is(attribute, text(level))]),
    ];
    let failed = is(model::STATUS, text(status::ERROR));
    match level {
        "ERROR" => ways.push(Filter::And([unsaid(), vec![failed]].concat())),
        "DEFAULT" => ways.push(Filter::And([unsaid(), vec![not(failed)]].concat())),
        _ => {}
    }
    Filter::Or(ways)
}

/// The type of an observation.
pub(super) fn observation_type(row: &StoredRow) -> &'static str {
    let kind = row.text(model::KIND).unwrap_or("");
    if let Some((_, word)) = TYPES.iter().find(|(known, _)| *known == kind) {
        return word;
    }
    let said = first_text(row.doc(), TYPE_PLACES).unwrap_or("");
    let known = UNKIND.iter().find(|(sent, _)| *sent == said);
    known.map_or(SPAN, |(_, word)| word)
}

/// Observations of a type; `None` if there is no such type.
pub(super) fn of_type(word: &str) -> Option<Filter> {
    let word = word.to_ascii_uppercase();
    let kinds = || Test::In(texts(TYPES.iter().map(|(kind, _)| *kind)));
    if let Some((kind, _)) = TYPES.iter().find(|(_, known)| *known == word) {
        return Some(is(model::KIND, text(kind)));
    }
    let unkind = |sent: &str| at_first(TYPE_PLACES, false, &|place| is(place, text(sent)));
    let mut parts = vec![not(is(model::KIND, kinds()))];
    if word == SPAN {
        parts.extend(UNKIND.iter().map(|(sent, _)| not(unkind(sent))));
    } else {
        let (sent, _) = UNKIND.iter().find(|(_, known)| *known == word)?;
        parts.push(unkind(sent));
    }
    Some(Filter::And(parts))
}

/// What the user attached.
pub(super) fn metadata(row: &StoredRow) -> serde_json::Map<String, Value> {
    let doc = row.doc();
    let mut all = serde_json::Map::new();
    let Some(map) = doc.get(model::METADATA) else {
        return all;
    };
    let Some(entries) = map.entries() else {
        all.insert("metadata".to_owned(), as_json(map));
        return all;
    };
    for (key, value) in entries.flatten() {
        all.insert(key.to_owned(), as_json(value));
    }
    all
}

/// Runs that are called so.
pub(super) fn called(name: &str) -> Filter {
    at_first(TRACE_NAME, false, &|place| is(place, text(name)))
}
