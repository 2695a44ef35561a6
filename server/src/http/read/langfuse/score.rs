//! A score in Langfuse's words.

use obsrv_engine::doc::DocRef;
use obsrv_engine::model;
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::source::Column;
use serde_json::{Value, json};

use super::facts::{Places, environment, is, metadata, not, texts};
use super::members::Members;
use super::observation::tags;
use crate::dialect::format_nanos;
use crate::dialect::theta_read::StoredRow;

/// Who may have scored.
const SOURCES: [&str; 3] = ["API", "EVAL", "ANNOTATION"];
/// The type of a number, of a yes or no, and of words.
const NUMERIC: &str = "NUMERIC";
const BOOLEAN: &str = "BOOLEAN";
const WORDS: [&str; 3] = ["CATEGORICAL", "TEXT", "CORRECTION"];
/// What the rows of scores stand with that are of no trace.
const SESSION: &str = "session:";
const DATASET_RUN: &str = "dataset-run:";
/// Where its name is.
pub(super) const NAMES: Places = &model::score::NAMES;
/// The name of a score that has none.
pub(super) const UNNAMED: &str = "annotation";
/// Where its value is, be it a number, a yes or no, or words.
pub(super) const VALUES: Places = &model::score::VALUES;
/// Where its words are, if it is of words.
pub(super) const WORDINGS: Places = &["score", "value", "label"];
const OF_SPAN: [&str; 4] = model::score::SPANS;

/// What a score says.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Number(f64),
    YesNo(bool),
    Word(&'static str, String),
}

impl Said {
    fn of(row: &StoredRow) -> Self {
        let doc = row.doc();
        let of_type = row.text("data_type").unwrap_or("");
        let sent = ["score", "value"].into_iter().find_map(|key| doc.get(key));
        match sent {
            Some(DocRef::Bool(yes)) => return Self::YesNo(yes),
            Some(DocRef::Str(word)) => return Self::word(of_type, word),
            Some(number) => {
                if let Some(n) = number.as_f64().filter(|n| n.is_finite()) {
                    return if of_type == BOOLEAN {
                        Self::YesNo(n != 0.0)
                    } else {
                        Self::Number(n)
                    };
                }
            }
            None => {}
        }
        if let Some(DocRef::Bool(passed)) = doc.get("passed") {
            return Self::YesNo(passed);
        }
        Self::word(of_type, row.text("label").unwrap_or(""))
    }

    fn word(of_type: &str, word: &str) -> Self {
        let of_type = WORDS.into_iter().find(|known| *known == of_type);
        Self::Word(of_type.unwrap_or(WORDS[0]), word.to_owned())
    }

    const fn data_type(&self) -> &'static str {
        match self {
            Self::Number(_) => NUMERIC,
            Self::YesNo(_) => BOOLEAN,
            Self::Word(of_type, _) => of_type,
        }
    }
}

/// Scores of one of these types; `None` if there is no such type.
pub(super) fn of_types<'a>(types: impl IntoIterator<Item = &'a str>) -> Option<Filter> {
    let number = || {
        let values = ["score", "value"].map(|key| is(key, Test::Ge(Literal::F64(f64::MIN))));
        Filter::Or(values.into())
    };
    let flag = || {
        let both = || Test::In(vec![Literal::Bool(true), Literal::Bool(false)]);
        let typed = is("data_type", Test::In(texts([BOOLEAN])));
        Filter::Or(vec![
            is("score", both()),
            is("value", both()),
            Filter::And(vec![number(), typed]),
            Filter::And(vec![not(number()), is("passed", both())]),
        ])
    };
    let mut ways = Vec::new();
    for name in types {
        let name = name.to_ascii_uppercase();
        let typed = |word: &str| is("data_type", Test::In(texts([word])));
        let worded = |more| Filter::And([vec![not(number()), not(flag())], more].concat());
        ways.push(match name.as_str() {
            NUMERIC => Filter::And(vec![number(), not(flag())]),
            BOOLEAN => flag(),
            "CATEGORICAL" => worded(WORDS[1..].iter().map(|word| not(typed(word))).collect()),
            _ => worded(vec![typed(WORDS.into_iter().find(|word| *word == name)?)]),
        });
    }
    Some(Filter::Or(ways))
}

/// Scores from one of these; `None` if there is no such source.
pub(super) fn from_sources<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Filter> {
    let mut ways = Vec::new();
    for name in names {
        let name = name.to_ascii_uppercase();
        let known = SOURCES.into_iter().find(|known| *known == name)?;
        let said = is("source", Test::In(texts([known])));
        // What names no source came by an API.
        ways.push(if known == SOURCES[0] {
            not(is("source", Test::In(texts(SOURCES[1..].iter().copied()))))
        } else {
            said
        });
    }
    Some(Filter::Or(ways))
}

/// Scores of these observations.
pub(super) fn of_observations(ids: &[&str]) -> Filter {
    let places = OF_SPAN.map(|place| is(place, Test::In(texts(ids.iter().copied()))));
    Filter::Or(places.into())
}

/// Scores of traces and their observations alone.
pub(super) fn of_traces() -> Filter {
    let by = |prefix: &str| Filter::Is(Column::TraceId, Test::Prefix(prefix.to_owned()));
    not(Filter::Or(vec![by(SESSION), by(DATASET_RUN)]))
}

/// Scores of these sessions.
pub(super) fn of_sessions(ids: &[&str]) -> Filter {
    let own = Literal::Str;
    let stood = ids.iter().map(|id| own(format!("{SESSION}{id}"))).collect();
    Filter::Is(Column::TraceId, Test::In(stood))
}

/// Scores of these runs over a data set.
pub(super) fn of_experiments(ids: &[&str]) -> Filter {
    let own = Literal::Str;
    let stood = ids
        .iter()
        .map(|id| own(format!("{DATASET_RUN}{id}")))
        .collect();
    Filter::Is(Column::TraceId, Test::In(stood))
}

/// What it is about.
#[derive(Clone, Copy, Debug)]
struct Subject<'a> {
    trace: Option<&'a str>,
    observation: Option<&'a str>,
    session: Option<&'a str>,
    experiment: Option<&'a str>,
}

impl<'a> Subject<'a> {
    fn of(row: &'a StoredRow) -> Self {
        let stands = &*row.core.trace_id;
        let session = stands.strip_prefix(SESSION);
        let experiment = stands.strip_prefix(DATASET_RUN);
        let of_trace = session.is_none() && experiment.is_none();
        Self {
            trace: Some(stands).filter(|_| of_trace),
            observation: OF_SPAN.into_iter().find_map(|key| row.text(key)),
            session,
            experiment,
        }
    }

    fn shown(self) -> Value {
        match (self.trace, self.observation, self.session, self.experiment) {
            (trace, Some(id), _, _) => json!({ "kind": "observation", "id": id, "traceId": trace }),
            (Some(id), ..) => json!({ "kind": "trace", "id": id }),
            (_, _, Some(id), _) => json!({ "kind": "session", "id": id }),
            (.., id) => json!({ "kind": "experiment", "id": id }),
        }
    }
}

fn name(row: &StoredRow) -> &str {
    let named = row.text(model::NAME).or_else(|| row.text("label"));
    named.unwrap_or(UNNAMED)
}

fn common(row: &StoredRow, project: u64, said: &Said) -> Members {
    let at = format_nanos(row.core.start_ns);
    let source = row.text("source").filter(|word| SOURCES.contains(word));
    let mut out = Members::default();
    out.put("id", &*row.core.id)
        .put("projectId", project.to_string())
        .put("name", name(row))
        .put("dataType", said.data_type())
        .put("source", source.unwrap_or(SOURCES[0]))
        .put("timestamp", &at)
        .put("createdAt", &at)
        .put("updatedAt", &at)
        .put("environment", environment(row.doc()));
    out
}

/// As versions 2 to 4 of the SDKs read it.
pub(super) fn old(row: &StoredRow, run: Option<&StoredRow>, project: u64) -> Members {
    let (mut said, subject) = (Said::of(row), Subject::of(row));
    if let Said::Word(of_type, _) = &mut said {
        // The types that came with version 5 are none to these.
        *of_type = WORDS[0];
    }
    let mut out = common(row, project, &said);
    out.put("traceId", subject.trace)
        .put("observationId", subject.observation)
        .put("sessionId", subject.session)
        .put("datasetRunId", subject.experiment);
    details(&mut out, row);
    annotation(&mut out, row);
    match &said {
        Said::Number(n) => out.put("value", n),
        Said::YesNo(yes) => out
            .put("value", u8::from(*yes))
            .put("stringValue", if *yes { "True" } else { "False" }),
        Said::Word(_, word) => out.put("value", Value::Null).put("stringValue", word),
    };
    let user = run.and_then(|run| run.text(model::USER_ID));
    let of_run = json!({
        "userId": user,
        "tags": run.map(tags).unwrap_or_default(),
        "environment": run.map(|run| environment(run.doc())),
    });
    out.put("trace", of_run);
    out
}

/// Groups of fields that version 5 asks for beside those that there always are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct With {
    pub(super) details: bool,
    pub(super) subject: bool,
    pub(super) annotation: bool,
}

/// As version 5 of the SDKs reads it.
pub(super) fn new(row: &StoredRow, project: u64, with: With) -> Members {
    let said = Said::of(row);
    let mut out = common(row, project, &said);
    match &said {
        Said::Number(n) => out.put("value", n),
        Said::YesNo(yes) => out.put("value", yes),
        Said::Word(_, word) => out.put("value", word),
    };
    if with.details {
        details(&mut out, row);
    }
    if with.subject {
        out.put("subject", Subject::of(row).shown());
    }
    if with.annotation {
        annotation(&mut out, row);
    }
    out
}

fn details(out: &mut Members, row: &StoredRow) {
    out.put("comment", row.text("comment"))
        .put("configId", row.text("config_id"))
        .put("metadata", metadata(row));
}

fn annotation(out: &mut Members, row: &StoredRow) {
    let author = row
        .doc()
        .at(&[model::METADATA, model::USER_ID])
        .and_then(DocRef::as_str);
    out.put("authorUserId", row.text(model::USER_ID).or(author))
        .put("queueId", row.text("queue_id"));
}
