//! What names mean, and which one was meant.

use crate::model;
use crate::query::parse::one_slip;
use crate::query::traceql::ast::{Field, Intrinsic, Kind, Static, Status};

/// What a name without a scope stands for.
pub(super) enum Named {
    Static(Static),
    Field(Field),
}

/// What every span has, under all of its names.
const INTRINSICS: [(&str, Intrinsic); 37] = [
    ("name", Intrinsic::Name),
    ("span:name", Intrinsic::Name),
    ("status", Intrinsic::Status),
    ("span:status", Intrinsic::Status),
    ("statusMessage", Intrinsic::StatusMessage),
    ("span:statusMessage", Intrinsic::StatusMessage),
    ("kind", Intrinsic::Kind),
    ("span:kind", Intrinsic::Kind),
    ("duration", Intrinsic::Duration),
    ("span:duration", Intrinsic::Duration),
    ("trace:id", Intrinsic::TraceId),
    ("traceID", Intrinsic::TraceId),
    ("span:id", Intrinsic::SpanId),
    ("spanID", Intrinsic::SpanId),
    ("span:parentID", Intrinsic::ParentId),
    ("parentID", Intrinsic::ParentId),
    ("event:name", Intrinsic::EventName),
    ("event:timeSinceStart", Intrinsic::EventTimeSinceStart),
    ("link:traceID", Intrinsic::LinkTraceId),
    ("link:spanID", Intrinsic::LinkSpanId),
    ("instrumentation:name", Intrinsic::ScopeName),
    ("instrumentation:version", Intrinsic::ScopeVersion),
    ("traceDuration", Intrinsic::TraceDuration),
    ("trace:duration", Intrinsic::TraceDuration),
    ("rootName", Intrinsic::RootName),
    ("trace:rootName", Intrinsic::RootName),
    ("rootServiceName", Intrinsic::RootService),
    ("rootService", Intrinsic::RootService),
    ("trace:rootService", Intrinsic::RootService),
    ("span:childCount", Intrinsic::ChildCount),
    ("childCount", Intrinsic::ChildCount),
    ("nestedSetLeft", Intrinsic::NestedSetLeft),
    ("span:nestedSetLeft", Intrinsic::NestedSetLeft),
    ("nestedSetRight", Intrinsic::NestedSetRight),
    ("span:nestedSetRight", Intrinsic::NestedSetRight),
    ("nestedSetParent", Intrinsic::NestedSetParent),
    ("span:nestedSetParent", Intrinsic::NestedSetParent),
];

/// Keys of rows that need no scope; of the last ones anything below.
const KEYS: [&str; 25] = [
    model::MODEL,
    model::TOOL,
    model::ERROR_MESSAGE,
    model::USER_ID,
    model::GROUP,
    model::SERVICE,
    model::TAGS,
    model::COST_USD,
    model::COST,
    model::COST_SOURCE,
    model::DIALECT,
    model::KEY_ID,
    model::INDEX,
    model::ROOT,
    model::PARENT_ID,
    "input",
    "output",
    model::ENVIRONMENT,
    model::VERSION,
    model::RELEASE,
    model::REGION,
    "session_id",
    model::TOKENS,
    model::METADATA,
    model::ATTRIBUTES,
];

/// What the row calls the same.
pub(super) fn named(name: &str) -> Option<Named> {
    let keyword = match name {
        "true" => Some(Static::Bool(true)),
        "false" => Some(Static::Bool(false)),
        "nil" => Some(Static::Nil),
        _ => None,
    };
    let status = || Status::ALL.into_iter().find(|s| s.as_str() == name);
    let kind = || Kind::ALL.into_iter().find(|k| k.as_str() == name);
    let keyword = keyword
        .or_else(|| status().map(Static::Status))
        .or_else(|| kind().map(Static::Kind));
    if let Some(value) = keyword {
        return Some(Named::Static(value));
    }
    let intrinsic = INTRINSICS.iter().find(|(known, _)| *known == name);
    if let Some((_, intrinsic)) = intrinsic {
        return Some(Named::Field(Field::Intrinsic(*intrinsic)));
    }
    let first = name.split('.').next().unwrap_or(name);
    KEYS.contains(&first)
        .then(|| Named::Field(Field::Row(name.into())))
}

/// A name that is one slip away, or the same with a scope before it.
pub(super) fn meant(name: &str) -> String {
    let known = INTRINSICS.iter().map(|(known, _)| *known).chain(KEYS);
    let near = known
        .filter(|known| known.len() >= 4)
        .find(|known| one_slip(name, known) || known.eq_ignore_ascii_case(name));
    match near {
        Some(known) => known.to_owned(),
        None => format!(".{name}, span.{name} or resource.{name}"),
    }
}
