//! A run and a span as obsrv's own routes show them. What the model has no value for is null.

use obsrv_engine::doc::DocRef;
use obsrv_engine::model;
use obsrv_engine::model::score::{self, Fact};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::preview::previews;
use crate::dialect::theta_read::{StoredRow, status_of};
use crate::dialect::{doc_json, format_nanos, place};

/// A part of a document as JSON.
pub(super) type Raw = Box<RawValue>;

/// The JSON of a value.
pub(super) fn raw(value: DocRef<'_>) -> Raw {
    let null = || RawValue::from_string("null".to_owned());
    RawValue::from_string(doc_json::to_text(value))
        .or_else(|_| null())
        .expect("BUG: null is no JSON")
}

/// An empty object where there is none.
fn raw_map(value: Option<DocRef<'_>>) -> Raw {
    let empty = || RawValue::from_string("{}".to_owned());
    match value {
        Some(map @ DocRef::Map(_)) => raw(map),
        _ => empty().expect("BUG: an empty object is no JSON"),
    }
}

/// Tokens. `input` and `output` are without what was cached and reasoned; `total` is with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Tokens {
    pub(super) input: Option<i64>,
    pub(super) output: Option<i64>,
    /// Read from a cache.
    pub(super) cached: Option<i64>,
    /// Written to a cache.
    pub(super) cache_write: Option<i64>,
    pub(super) reasoning: Option<i64>,
    pub(super) total: Option<i64>,
}

impl Tokens {
    pub(super) fn of(doc: DocRef<'_>) -> Option<Self> {
        Self::in_map(doc.get(model::TOKENS)?)
    }

    /// Those that this value tells.
    pub(super) fn in_map(map: DocRef<'_>) -> Option<Self> {
        map.entries()?;
        let number = |key| map.get(key).and_then(DocRef::as_i64);
        let sum = || {
            let (input, output) = (number("input"), number("output"));
            input.or(output)?;
            Some(input.unwrap_or(0).saturating_add(output.unwrap_or(0)))
        };
        Some(Self {
            input: number("input"),
            output: number("output"),
            cached: number("cache_read"),
            cache_write: number("cache_write"),
            reasoning: number("reasoning"),
            total: number("total").or_else(sum),
        })
    }
}

/// Cost in US dollars.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct Cost {
    pub(super) total: f64,
    /// `stated` by the sender, `priced` by a table, `mixed` of both, or `roll_up`: said again of the steps below, and in no sum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<&'static str>,
    /// Steps whose cost nobody knows, if there are any: the total is a lower bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unknown_steps: Option<i64>,
}

/// Where a cost may be from.
const SOURCES: [&str; 4] = ["stated", "priced", "mixed", "roll_up"];

impl Cost {
    /// What lists show and filters find; of a step that says again what the steps below it say, what it says.
    pub(super) fn of(doc: DocRef<'_>) -> Option<Self> {
        let source = doc.get(model::COST_SOURCE).and_then(DocRef::as_str);
        let source = SOURCES.into_iter().find(|name| source == Some(name));
        let total = doc.get(model::COST).or_else(|| doc.get(model::COST_USD))?;
        Some(Self {
            source,
            unknown_steps: doc.get(model::COST_UNKNOWN).and_then(DocRef::as_i64),
            ..Self::in_number(total)?
        })
    }

    /// The cost that this value tells.
    pub(super) fn in_number(value: DocRef<'_>) -> Option<Self> {
        let total = value.as_f64().filter(|total| total.is_finite())?;
        Some(Self::sum(total))
    }

    /// Of several rows.
    pub(super) const fn sum(total: f64) -> Self {
        Self {
            total,
            source: None,
            unknown_steps: None,
        }
    }
}

/// Which of the fields that take long to make are shown; without them a row has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) previews: bool,
    pub(super) metadata: bool,
}

impl Wanted {
    pub(super) const ALL: Self = Self {
        previews: true,
        metadata: true,
    };

    fn previews(self, row: &StoredRow) -> (Option<String>, Option<String>) {
        if self.previews {
            previews(row)
        } else {
            (None, None)
        }
    }

    fn metadata(self, doc: DocRef<'_>) -> Raw {
        raw_map(doc.get(model::METADATA).filter(|_| self.metadata))
    }
}

/// A run. `status` is `success`, `error` or `running`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TraceShown<'a> {
    pub(super) trace_id: &'a str,
    pub(super) run_id: &'a str,
    pub(super) name: &'a str,
    pub(super) status: &'static str,
    pub(super) error_message: Option<&'a str>,
    pub(super) start: String,
    pub(super) end: Option<String>,
    pub(super) duration_ns: Option<i64>,
    pub(super) user_id: Option<&'a str>,
    pub(super) thread_id: Option<&'a str>,
    pub(super) service: Option<&'a str>,
    pub(super) environment: Option<&'a str>,
    pub(super) version: Option<&'a str>,
    pub(super) release: Option<&'a str>,
    pub(super) region: Option<&'a str>,
    pub(super) tags: Vec<&'a str>,
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub(super) metadata: Raw,
    /// Models of its spans.
    pub(super) models: Vec<&'a str>,
    /// Tools of its spans.
    pub(super) tools: Vec<&'a str>,
    pub(super) tokens: Option<Tokens>,
    pub(super) cost: Option<Cost>,
    pub(super) span_count: i64,
    /// Spans that failed.
    pub(super) error_count: i64,
    /// The beginning of what went in.
    pub(super) input_preview: Option<String>,
    /// The beginning of what came out.
    pub(super) output_preview: Option<String>,
    /// The latest time that the run or a span of it names.
    pub(super) last_activity: String,
    /// The protocol that it came by.
    pub(super) dialect: Option<&'a str>,
}

impl<'a> TraceShown<'a> {
    pub(super) fn of(row: &'a StoredRow) -> Self {
        Self::with(row, Wanted::ALL)
    }

    pub(super) fn with(row: &'a StoredRow, wanted: Wanted) -> Self {
        let (doc, core) = (row.doc(), &row.core);
        let (input_preview, output_preview) = wanted.previews(row);
        let [environment, version, release, region] = place::of_row(doc);
        let roll = doc.get(model::ROLLUP).unwrap_or(DocRef::Null);
        let rolled = |key| roll.get(key).and_then(DocRef::as_i64);
        let last = [rolled("end_ns"), rolled("start_ns"), core.end_ns];
        let last = last.into_iter().flatten().fold(core.start_ns, i64::max);
        Self {
            trace_id: &core.trace_id,
            run_id: row.text("run_id").unwrap_or(&core.id),
            name: row.text(model::NAME).unwrap_or(&core.trace_id),
            status: status_of(row),
            error_message: row.text(model::ERROR_MESSAGE),
            start: format_nanos(core.start_ns),
            end: core.end_ns.map(format_nanos),
            duration_ns: duration_ns(row),
            user_id: row.text(model::USER_ID),
            thread_id: row.text(model::GROUP),
            service: row.text(model::SERVICE),
            environment,
            version,
            release,
            region,
            tags: texts(doc.get(model::TAGS)),
            metadata: wanted.metadata(doc),
            models: named(roll.get("models"), row.text(model::MODEL)),
            tools: named(roll.get("tools"), None),
            tokens: Tokens::of(doc),
            cost: Cost::of(doc),
            span_count: rolled("span_count").unwrap_or(0),
            error_count: rolled("error_count").unwrap_or(0),
            input_preview,
            output_preview,
            last_activity: format_nanos(last),
            dialect: row.text(model::DIALECT),
        }
    }
}

/// A span of a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SpanShown<'a> {
    pub(super) trace_id: &'a str,
    pub(super) span_id: &'a str,
    pub(super) parent_id: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) kind: &'a str,
    pub(super) status: &'static str,
    pub(super) error_message: Option<&'a str>,
    pub(super) start: String,
    pub(super) end: Option<String>,
    pub(super) duration_ns: Option<i64>,
    pub(super) model: Option<&'a str>,
    pub(super) tool: Option<&'a str>,
    pub(super) tokens: Option<Tokens>,
    pub(super) cost: Option<Cost>,
    pub(super) service: Option<&'a str>,
    pub(super) user_id: Option<&'a str>,
    pub(super) thread_id: Option<&'a str>,
    pub(super) environment: Option<&'a str>,
    pub(super) version: Option<&'a str>,
    pub(super) release: Option<&'a str>,
    pub(super) region: Option<&'a str>,
    pub(super) tags: Vec<&'a str>,
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub(super) metadata: Raw,
    /// The beginning of what went in.
    pub(super) input_preview: Option<String>,
    /// The beginning of what came out.
    pub(super) output_preview: Option<String>,
    /// The protocol that it came by.
    pub(super) dialect: Option<&'a str>,
}

impl<'a> SpanShown<'a> {
    pub(super) fn of(row: &'a StoredRow) -> Self {
        Self::with(row, Wanted::ALL)
    }

    pub(super) fn with(row: &'a StoredRow, wanted: Wanted) -> Self {
        let (doc, core) = (row.doc(), &row.core);
        let (input_preview, output_preview) = wanted.previews(row);
        let [environment, version, release, region] = place::of_row(doc);
        Self {
            trace_id: &core.trace_id,
            span_id: &core.id,
            parent_id: row.text(model::PARENT_ID),
            name: row.text(model::NAME).unwrap_or(""),
            kind: row.text(model::KIND).unwrap_or("custom"),
            status: status_of(row),
            error_message: row.text(model::ERROR_MESSAGE),
            start: format_nanos(core.start_ns),
            end: core.end_ns.map(format_nanos),
            duration_ns: duration_ns(row),
            model: row.text(model::MODEL),
            tool: row.text(model::TOOL),
            tokens: Tokens::of(doc),
            cost: Cost::of(doc),
            service: row.text(model::SERVICE),
            user_id: row.text(model::USER_ID),
            thread_id: row.text(model::GROUP),
            environment,
            version,
            release,
            region,
            tags: texts(doc.get(model::TAGS)),
            metadata: wanted.metadata(doc),
            input_preview,
            output_preview,
            dialect: row.text(model::DIALECT),
        }
    }
}

/// A score. `value` is a number or, of a score that names a category, text.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ScoreShown<'a> {
    pub(super) id: &'a str,
    pub(super) trace_id: &'a str,
    pub(super) span_id: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    #[schemars(with = "serde_json::Value")]
    pub(super) value: Raw,
    pub(super) comment: Option<&'a str>,
    pub(super) user_id: Option<&'a str>,
    /// What scored, in the sender's words.
    pub(super) source: Option<&'a str>,
    /// The type of the value, in the sender's words.
    pub(super) data_type: Option<&'a str>,
    pub(super) at: String,
    /// The protocol that it came by.
    pub(super) dialect: Option<&'a str>,
    /// The document as it is stored.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub(super) raw: Raw,
}

/// What stands in the first place of a fact that has something.
fn told(doc: DocRef<'_>, fact: Fact) -> Option<DocRef<'_>> {
    let places = fact.places().iter();
    let mut found = places.filter_map(|place| {
        let keys: Vec<&str> = place.split('.').collect();
        doc.at(&keys)
    });
    found.find(|value| *value != DocRef::Null)
}

impl<'a> ScoreShown<'a> {
    pub(super) fn of(row: &'a StoredRow) -> Self {
        let (doc, core) = (row.doc(), &row.core);
        let words = doc
            .get(score::LABEL)
            .filter(|_| row.text(model::NAME).is_some());
        Self {
            id: &core.id,
            trace_id: &core.trace_id,
            span_id: told(doc, Fact::Span).and_then(DocRef::as_str),
            name: told(doc, Fact::Name).and_then(DocRef::as_str),
            value: raw(told(doc, Fact::Worth).or(words).unwrap_or(DocRef::Null)),
            comment: row.text("comment"),
            user_id: told(doc, Fact::User).and_then(DocRef::as_str),
            source: told(doc, Fact::Source).and_then(DocRef::as_str),
            data_type: row.text("data_type"),
            at: format_nanos(core.start_ns),
            dialect: row.text(model::DIALECT),
            raw: raw(doc),
        }
    }
}

pub(super) fn duration_ns(row: &StoredRow) -> Option<i64> {
    Some(row.core.end_ns?.saturating_sub(row.core.start_ns))
}

fn texts(value: Option<DocRef<'_>>) -> Vec<&str> {
    match value {
        Some(DocRef::Array(items)) => items.flatten().filter_map(DocRef::as_str).collect(),
        Some(DocRef::Str(one)) => vec![one],
        _ => Vec::new(),
    }
}

/// The names that spans have, and that of the run itself.
fn named<'a>(spans: Option<DocRef<'a>>, own: Option<&'a str>) -> Vec<&'a str> {
    let mut all = texts(spans);
    all.extend(own.filter(|own| !all.contains(own)));
    all
}
