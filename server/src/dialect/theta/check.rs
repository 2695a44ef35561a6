//! What the fields of theta bodies must be. Null means absent; unknown keys may be anything.

use obsrv_engine::doc::DocRef;

use crate::dialect::bad::Bad;
use crate::dialect::{ATTRIBUTES_MAX, ID_BYTES_MAX, KEY_BYTES_MAX, time};

/// What a field must be if it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect) enum Want {
    Id,
    Text,
    Number,
    List,
    Texts,
    Map,
    Metadata,
    Time,
    Tokens,
    Any,
}

/// The fields of a trace.
pub(in crate::dialect) const TRACE: [(&str, Want); 24] = [
    ("schema_version", Want::Text),
    ("trace_id", Want::Id),
    ("project_id", Want::Text),
    ("name", Want::Text),
    ("run_id", Want::Id),
    ("run_type", Want::Text),
    ("use_case", Want::Text),
    ("user_id", Want::Text),
    ("group", Want::Text),
    ("platform", Want::Text),
    ("model", Want::Text),
    ("status", Want::Text),
    ("tags", Want::Texts),
    ("metadata", Want::Metadata),
    ("started_at", Want::Time),
    ("ended_at", Want::Time),
    ("latency_ms", Want::Number),
    ("token_usage", Want::Tokens),
    ("cost_usd", Want::Number),
    ("error_message", Want::Text),
    ("steps", Want::List),
    ("events", Want::List),
    ("attachments", Want::List),
    ("annotations", Want::List),
];

/// The fields of a step.
pub(in crate::dialect) const STEP: [(&str, Want); 19] = [
    ("step_id", Want::Id),
    ("parent_step_id", Want::Id),
    ("index", Want::Number),
    ("type", Want::Text),
    ("name", Want::Text),
    ("model", Want::Text),
    ("status", Want::Text),
    ("started_at", Want::Time),
    ("ended_at", Want::Time),
    ("latency_ms", Want::Number),
    ("messages", Want::List),
    ("tool_calls", Want::List),
    ("events", Want::List),
    ("attachments", Want::List),
    ("sensor_frames", Want::List),
    ("token_usage", Want::Tokens),
    ("error_message", Want::Text),
    ("metadata", Want::Metadata),
    ("annotations", Want::List),
];

/// The fields of an annotation, under its names inside a trace and outside of one.
pub(in crate::dialect) const ANNOTATION: [(&str, Want); 7] = [
    ("annotation_type", Want::Text),
    ("step_id", Want::Id),
    ("label", Want::Text),
    ("score", Want::Number),
    ("comment", Want::Text),
    ("user", Want::Text),
    ("user_id", Want::Text),
];

/// The fields of an envelope. Times may be in any form.
pub(in crate::dialect) const ENVELOPE: [(&str, Want); 21] = [
    ("schema_version", Want::Text),
    ("trace_id", Want::Id),
    ("project_id", Want::Text),
    ("name", Want::Text),
    ("source", Want::Text),
    ("kind", Want::Text),
    ("run_id", Want::Id),
    ("run_type", Want::Text),
    ("use_case", Want::Text),
    ("user_id", Want::Text),
    ("session_id", Want::Text),
    ("group", Want::Text),
    ("platform", Want::Text),
    ("model", Want::Text),
    ("status", Want::Text),
    ("tags", Want::Texts),
    ("metadata", Want::Metadata),
    ("cost_usd", Want::Number),
    ("correlation", Want::Map),
    ("events", Want::List),
    ("attachments", Want::List),
];

/// The fields of an envelope's event.
pub(in crate::dialect) const EVENT: [(&str, Want); 11] = [
    ("event_id", Want::Id),
    ("parent_event_id", Want::Id),
    ("step_id", Want::Id),
    ("parent_step_id", Want::Id),
    ("step_type", Want::Text),
    ("index", Want::Number),
    ("type", Want::Text),
    ("name", Want::Text),
    ("status", Want::Text),
    ("model", Want::Text),
    ("metadata", Want::Metadata),
];

/// Checks that `doc` is an object whose known fields are what they must be.
pub(in crate::dialect) fn check(doc: DocRef<'_>, wants: &[(&str, Want)]) -> Result<(), Bad> {
    let Some(entries) = doc.entries() else {
        return Err(Bad::new(
            "item",
            format!("expected an object, found {}", found(doc)),
        ));
    };
    check_entries(entries.flatten(), wants)
}

/// The same for entries by themselves.
pub(in crate::dialect) fn check_entries<'a>(
    entries: impl Iterator<Item = (&'a str, DocRef<'a>)>,
    wants: &[(&str, Want)],
) -> Result<(), Bad> {
    for (key, value) in entries {
        let want = wants.iter().find(|(k, _)| *k == key).map(|(_, want)| *want);
        if let Some(want) = want.filter(|_| value != DocRef::Null) {
            check_field(key, value, want)?;
        }
    }
    Ok(())
}

/// The values of a list that was checked; none if it is absent.
pub(in crate::dialect) fn items<'a>(
    doc: DocRef<'a>,
    key: &str,
) -> impl Iterator<Item = DocRef<'a>> + use<'a> {
    let list = match doc.get(key) {
        Some(DocRef::Array(items)) => Some(items),
        _ => None,
    };
    list.into_iter().flatten().flatten()
}

fn check_field(key: &str, value: DocRef<'_>, want: Want) -> Result<(), Bad> {
    let expected = match (want, value) {
        (Want::Id, DocRef::Str(s)) => return check_id(key, s),
        (Want::Metadata, DocRef::Map(_)) => return check_metadata(key, value),
        (Want::Tokens, DocRef::Map(_)) => return check_tokens(key, value),
        (Want::Time, DocRef::Str(s)) if time::parse(s).is_some() => return Ok(()),
        (Want::Time, v) if time_of(Some(v)).is_some() => return Ok(()),
        (Want::Texts, DocRef::Array(mut items)) => {
            if items.all(|v| matches!(v, Ok(DocRef::Str(_)))) {
                return Ok(());
            }
            "a list of texts"
        }
        (Want::Any, _)
        | (Want::Text, DocRef::Str(_))
        | (Want::Number, DocRef::I64(_) | DocRef::U64(_) | DocRef::F64(_))
        | (Want::List, DocRef::Array(_))
        | (Want::Map, DocRef::Map(_)) => return Ok(()),
        (Want::Id | Want::Text, _) => "text",
        (Want::Number, _) => "a number",
        (Want::List, _) => "a list",
        (Want::Texts, _) => "a list of texts",
        (Want::Map | Want::Metadata | Want::Tokens, _) => "an object",
        (Want::Time, _) => "a time in RFC 3339",
    };
    Err(Bad::new(
        key,
        format!("expected {expected}, found {}", found(value)),
    ))
}

/// Checks an id from a body or a path.
pub(in crate::dialect) fn check_id(field: &str, id: &str) -> Result<(), Bad> {
    if id.is_empty() {
        return Err(Bad::new(field, "empty"));
    }
    if id.len() > ID_BYTES_MAX {
        let problem = format!("id too long limit={ID_BYTES_MAX} bytes={}", id.len());
        return Err(Bad::new(field, problem));
    }
    Ok(())
}

pub(in crate::dialect) fn check_metadata(field: &str, value: DocRef<'_>) -> Result<(), Bad> {
    if value.entries().into_iter().flatten().count() > ATTRIBUTES_MAX {
        return Err(Bad::new(
            field,
            format!("too many entries limit={ATTRIBUTES_MAX}"),
        ));
    }
    check_keys(field, value)
}

/// Depth is bounded by the JSON reader.
fn check_keys(field: &str, value: DocRef<'_>) -> Result<(), Bad> {
    match value {
        DocRef::Map(entries) => entries.flatten().try_for_each(|(key, child)| {
            if key.len() > KEY_BYTES_MAX {
                let problem = format!("key too long limit={KEY_BYTES_MAX} bytes={}", key.len());
                return Err(Bad::new(field, problem));
            }
            check_keys(field, child)
        }),
        DocRef::Array(items) => items
            .flatten()
            .try_for_each(|child| check_keys(field, child)),
        _ => Ok(()),
    }
}

fn check_tokens(field: &str, value: DocRef<'_>) -> Result<(), Bad> {
    for key in ["input", "output", "total"] {
        match value.get(key) {
            None | Some(DocRef::Null) => {}
            Some(v) if whole(v).is_some() => {}
            Some(v) => {
                let problem = format!("expected a whole number, found {}", found(v));
                return Err(Bad::new(format!("{field}.{key}"), problem));
            }
        }
    }
    Ok(())
}

/// A whole number, which some senders write as a float.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked first"
)]
pub(in crate::dialect) fn whole(value: DocRef<'_>) -> Option<i64> {
    match value {
        DocRef::I64(n) => Some(n),
        DocRef::F64(n) if n.fract() == 0.0 && n.abs() < 9e15 => Some(n as i64),
        _ => None,
    }
}

/// The time that a field gives, as text or as a number.
pub(in crate::dialect) fn time_of(value: Option<DocRef<'_>>) -> Option<i64> {
    match value? {
        DocRef::Str(s) => time::parse(s),
        DocRef::I64(n) => time::from_whole(n),
        DocRef::F64(n) => time::from_number(n),
        _ => None,
    }
}

fn found(value: DocRef<'_>) -> String {
    match value {
        DocRef::Null => "null".to_owned(),
        DocRef::Bool(_) => "a bool".to_owned(),
        DocRef::I64(_) | DocRef::U64(_) | DocRef::F64(_) => "a number".to_owned(),
        DocRef::Str(s) => format!("text {:?}", s.chars().take(32).collect::<String>()),
        DocRef::Bytes(_) => "bytes".to_owned(),
        DocRef::Array(_) => "a list".to_owned(),
        DocRef::Map(_) => "an object".to_owned(),
    }
}
