//! Numbers out of the figures of an aggregate, by the place of a measure.

use obsrv_engine::query::aggregate::{Figures, Number, Value};

/// The number; `None` if there is none.
pub(super) fn number(figures: &Figures, at: usize) -> Option<Number> {
    match &figures.measures.get(at)?.value {
        Value::Number(number) => *number,
        _ => None,
    }
}

/// The number, if it is whole.
pub(super) fn whole(figures: &Figures, at: usize) -> Option<i64> {
    match number(figures, at)? {
        Number::Whole(n) => i64::try_from(n).ok(),
        Number::Float(_) => None,
    }
}

/// How many rows or different values.
pub(super) fn count(figures: &Figures, at: usize) -> u64 {
    match figures.measures.get(at).map(|measured| &measured.value) {
        Some(Value::Count(count) | Value::Distinct { count, .. }) => *count,
        _ => 0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) const fn float(number: Number) -> f64 {
    match number {
        Number::Whole(n) => n as f64,
        Number::Float(n) => n,
    }
}
