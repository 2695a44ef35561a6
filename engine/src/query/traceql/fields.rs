//! Where the values of fields stand in rows, and how they are read.

use roaring::RoaringBitmap;

use super::ast::{Expr, Field, Intrinsic, Kind, Status};
use super::value::{Value, Values, add};
use crate::doc::{DocRef, scalar_of};
use crate::model;
use crate::query::QueryError;
use crate::query::document;
use crate::query::meter::Meter;
use crate::query::scan::with_document;
use crate::source::{Column, Rows, Visible, reading};

/// The status that the sender set, if it set one.
pub(super) const STATUS_CODE: &str = "status_code";
/// What OTLP calls the kind.
pub(super) const OTEL_KIND: &str = "otel_kind";
const EVENT_TIME: &str = "events.time_unix_nano";

/// What must be known beside a span's row to say a field's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing.
    Row,
    /// The row of the trace's run.
    Run,
    /// The tree of the trace.
    Tree,
}

fn path(name: &str) -> Column {
    Column::Path(name.into())
}

impl Field {
    pub(super) fn need(&self) -> Need {
        match self {
            Self::Parent(_) => Need::Tree,
            Self::Intrinsic(intrinsic) => match intrinsic {
                Intrinsic::TraceDuration | Intrinsic::RootName | Intrinsic::RootService => {
                    Need::Run
                }
                Intrinsic::ChildCount
                | Intrinsic::NestedSetLeft
                | Intrinsic::NestedSetRight
                | Intrinsic::NestedSetParent => Need::Tree,
                _ => Need::Row,
            },
            _ => Need::Row,
        }
    }

    /// The columns whose values are those of the field as they are; `None` if they are worked out.
    pub fn columns(&self) -> Option<Vec<Column>> {
        Some(match self {
            // Every dialect fills it, not only those with resources.
            Self::Resource(name) if &**name == "service.name" => vec![path(model::SERVICE)],
            Self::Any(name) if &**name == "service.name" => {
                vec![path(model::SERVICE), path("attributes.service.name")]
            }
            Self::Any(name) => {
                let below = [model::ATTRIBUTES, model::RESOURCE, model::METADATA];
                let below = below.map(|root| path(&format!("{root}.{name}")));
                below.into_iter().chain([path(name)]).collect()
            }
            Self::Span(name) => vec![path(&format!("{}.{name}", model::ATTRIBUTES))],
            Self::Resource(name) => vec![path(&format!("{}.{name}", model::RESOURCE))],
            Self::Event(name) => vec![path(&format!("events.attributes.{name}"))],
            Self::Link(name) => vec![path(&format!("links.attributes.{name}"))],
            Self::Instrumentation(name) => vec![path(&format!("scope.attributes.{name}"))],
            Self::Row(name) => vec![path(name)],
            Self::Parent(_) => return None,
            Self::Intrinsic(intrinsic) => match intrinsic {
                Intrinsic::Name => vec![path(model::NAME)],
                Intrinsic::StatusMessage => {
                    vec![path("status_message"), path(model::ERROR_MESSAGE)]
                }
                Intrinsic::TraceId => vec![Column::TraceId],
                Intrinsic::SpanId => vec![Column::Id],
                Intrinsic::ParentId => vec![path(model::PARENT_ID)],
                Intrinsic::EventName => vec![path("events.name")],
                Intrinsic::LinkTraceId => vec![path("links.trace_id")],
                Intrinsic::LinkSpanId => vec![path("links.span_id")],
                Intrinsic::ScopeName => vec![path("scope.name")],
                Intrinsic::ScopeVersion => vec![path("scope.version")],
                Intrinsic::Duration => vec![Column::Duration],
                _ => return None,
            },
        })
    }
}

/// Adds the fields of an expression that are not there yet.
pub(super) fn fields_of(part: &Expr, fields: &mut Vec<Field>) {
    match part {
        Expr::Static(_) => {}
        Expr::Field(field) => {
            if !fields.contains(field) {
                fields.push(field.clone());
            }
        }
        Expr::Not(part) | Expr::Neg(part) => fields_of(part, fields),
        Expr::And(parts) | Expr::Or(parts) => {
            for part in parts {
                fields_of(part, fields);
            }
        }
        Expr::Compare(_, a, b) | Expr::Arith(_, a, b) => {
            fields_of(a, fields);
            fields_of(b, fields);
        }
    }
}

/// The values of a field that needs nothing but the rows, row by row.
pub(super) fn read(
    field: &Field,
    visible: &Visible<'_>,
    rows: &RoaringBitmap,
    meter: &mut Meter<'_>,
) -> Result<Vec<Values>, QueryError> {
    if let Some(columns) = field.columns() {
        let mut all = read_column(columns.first(), visible, rows, meter)?;
        for column in columns.iter().skip(1) {
            let more = read_column(Some(column), visible, rows, meter)?;
            for (values, more) in all.iter_mut().zip(more) {
                for value in more {
                    add(values, value);
                }
            }
        }
        if *field == Field::Intrinsic(Intrinsic::Duration) {
            for value in all.iter_mut().flatten() {
                if let Value::Int(ns) = *value {
                    *value = Value::Duration(ns);
                }
            }
        }
        return Ok(all);
    }
    let mut column = |name: &str| read_column(Some(&path(name)), visible, rows, meter);
    Ok(match field {
        Field::Intrinsic(Intrinsic::Status) => {
            let (status, code) = (column(model::STATUS)?, column(STATUS_CODE)?);
            let dialect = column(model::DIALECT)?;
            let all = status.iter().zip(&code).zip(&dialect);
            all.map(|((status, code), dialect)| vec![status_of(status, code, dialect)])
                .collect()
        }
        Field::Intrinsic(Intrinsic::Kind) => {
            let kinds = column(OTEL_KIND)?;
            kinds.iter().map(|kinds| vec![kind_of(kinds)]).collect()
        }
        Field::Intrinsic(Intrinsic::EventTimeSinceStart) => {
            let times = column(EVENT_TIME)?;
            let starts = read_column(Some(&Column::Start), visible, rows, meter)?;
            let all = times.iter().zip(&starts);
            all.map(|(times, start)| since(times, start)).collect()
        }
        _ => vec![Vec::new(); usize::try_from(rows.len()).unwrap_or(usize::MAX)],
    })
}

fn is(values: &[Value], text: &str) -> bool {
    let mut values = values.iter();
    values.any(|value| matches!(value, Value::Str(t) if **t == *text))
}

fn status_of(status: &[Value], code: &[Value], dialect: &[Value]) -> Value {
    let says_ok = is(code, "ok") || (is(status, model::status::SUCCESS) && !is(dialect, "otlp"));
    Value::Status(if is(status, model::status::ERROR) {
        Status::Error
    } else if says_ok {
        Status::Ok
    } else {
        Status::Unset
    })
}

fn kind_of(kinds: &[Value]) -> Value {
    let said = Kind::ALL.into_iter().find(|kind| is(kinds, kind.as_str()));
    Value::Kind(said.unwrap_or(Kind::Unspecified))
}

fn since(times: &[Value], start: &[Value]) -> Values {
    let Some(Value::Int(start)) = start.first() else {
        return Vec::new();
    };
    let times = times.iter().filter_map(|time| match time {
        Value::Int(ns) => Some(Value::Duration(ns.saturating_sub(*start))),
        _ => None,
    });
    times.collect()
}

/// The values of a column, row by row; of rows that have one too long for it, by their documents.
pub(super) fn read_column(
    column: Option<&Column>,
    visible: &Visible<'_>,
    rows: &RoaringBitmap,
    meter: &mut Meter<'_>,
) -> Result<Vec<Values>, QueryError> {
    let mut all: Vec<Values> = vec![Vec::new(); usize::try_from(rows.len()).unwrap_or(usize::MAX)];
    let Some(column) = column else {
        return Ok(all);
    };
    meter.check()?;
    let mut places = rows.iter().zip(0usize..);
    let mut place = places.next();
    let mut long: Vec<(u32, usize)> = Vec::new();
    let source = visible.source;
    source.values(column, rows, &mut |row, scalar| {
        while place.is_some_and(|(at, _)| at < row) {
            place = places.next();
        }
        let Some((_, n)) = place.filter(|(at, _)| *at == row) else {
            return;
        };
        match (Value::of(scalar), all.get_mut(n)) {
            (Some(value), Some(values)) => {
                add(values, value);
            }
            _ => {
                if long.last() != Some(&(row, n)) {
                    long.push((row, n));
                }
            }
        }
    })?;
    if long.is_empty() {
        return Ok(all);
    }
    reading(source, |reader| {
        for (row, n) in long {
            let found = long_values(column, visible, (&mut *reader, row), meter)?;
            if let Some(values) = all.get_mut(n) {
                *values = found;
            }
        }
        Ok::<_, QueryError>(())
    })?;
    Ok(all)
}

/// The values of a row that has one too long for the column.
fn long_values(
    column: &Column,
    visible: &Visible<'_>,
    (reader, row): (&mut dyn Rows, u32),
    meter: &mut Meter<'_>,
) -> Result<Values, QueryError> {
    let core = reader.core(row)?;
    match column {
        Column::TraceId => return Ok(vec![Value::Str(core.trace_id)]),
        Column::Path(_) => {}
        _ => return Ok(vec![Value::Str(core.id)]),
    }
    with_document((visible, reader), row, meter, |doc| {
        let mut found = Vec::new();
        document::leaves(column, &core, doc, &mut |leaf| {
            add(&mut found, of_leaf(leaf));
            false
        })?;
        Ok(found)
    })
}

fn of_leaf(leaf: DocRef<'_>) -> Value {
    match leaf {
        DocRef::Str(text) => Value::Str(text.into()),
        other => scalar_of(other).and_then(Value::of).unwrap_or(Value::Bytes),
    }
}
