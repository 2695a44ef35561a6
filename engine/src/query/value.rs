//! Comparisons of one value with one literal: the same on columns and on documents.

use std::cmp::Ordering;

use super::ast::{Literal, Test};
use crate::doc::{COLUMN_VALUE_BYTES_MAX, DocRef, Scalar, fingerprint, scalar_of};
use crate::text::escape;
use crate::text::find::Finder;

/// Compares a whole number with a float by value, without rounding either; `None` for NaN.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the float was found to be within i64"
)]
#[expect(
    clippy::float_cmp,
    reason = "whether there is a fraction is an exact question"
)]
pub(super) fn cmp_i64_f64(a: i64, b: f64) -> Option<Ordering> {
    /// 2^63: the first float above every i64. Its negative is `i64::MIN`.
    const ABOVE: f64 = 9_223_372_036_854_775_808.0;
    if b.is_nan() {
        return None;
    }
    if b >= ABOVE {
        return Some(Ordering::Less);
    }
    if b < -ABOVE {
        return Some(Ordering::Greater);
    }
    let whole = b.trunc();
    let by_fraction = if b == whole {
        Ordering::Equal
    } else if b > whole {
        Ordering::Less
    } else {
        Ordering::Greater
    };
    Some(a.cmp(&(whole as i64)).then(by_fraction))
}

/// Compares two numbers by value; `None` if one is NaN or no number.
pub(super) fn cmp_numbers(a: Scalar<'_>, b: Scalar<'_>) -> Option<Ordering> {
    match (a, b) {
        (Scalar::I64(a), Scalar::I64(b)) => Some(a.cmp(&b)),
        (Scalar::I64(a), Scalar::F64(b)) => cmp_i64_f64(a, b),
        (Scalar::F64(a), Scalar::I64(b)) => cmp_i64_f64(b, a).map(Ordering::reverse),
        (Scalar::F64(a), Scalar::F64(b)) => a.partial_cmp(&b),
        _ => None,
    }
}

/// The order of a value that is not [`Scalar::Long`] and a literal of its type.
fn cmp(value: Scalar<'_>, literal: &Literal) -> Option<Ordering> {
    match (value, literal) {
        (Scalar::Str(a), Literal::Str(b)) => Some(a.cmp(b.as_str())),
        (Scalar::Bool(a), Literal::Bool(b)) => Some(a.cmp(b)),
        (number, Literal::I64(b)) => cmp_numbers(number, Scalar::I64(*b)),
        (number, Literal::F64(b)) => cmp_numbers(number, Scalar::F64(*b)),
        _ => None,
    }
}

/// Decides a test on a column value. `None`: only the document can tell.
pub(super) fn test_scalar(test: &Test, value: Scalar<'_>) -> Option<bool> {
    match value {
        Scalar::Long(hash) => test_long(test, hash),
        short => Some(test_short(test, short)),
    }
}

/// Decides a test on a leaf of a document: never in doubt.
pub(super) fn test_leaf(test: &Test, leaf: DocRef<'_>) -> bool {
    match leaf {
        // Of any length, unlike in a column.
        DocRef::Str(text) => test_short(test, Scalar::Str(text)),
        DocRef::Bytes(_) => matches!(test, Test::Exists),
        other => scalar_of(other).is_some_and(|value| test_short(test, value)),
    }
}

fn test_short(test: &Test, value: Scalar<'_>) -> bool {
    let order = |literal| cmp(value, literal);
    match test {
        Test::Eq(literal) => order(literal) == Some(Ordering::Equal),
        Test::In(list) => list
            .iter()
            .any(|literal| order(literal) == Some(Ordering::Equal)),
        Test::Lt(literal) => order(literal).is_some_and(Ordering::is_lt),
        Test::Le(literal) => order(literal).is_some_and(Ordering::is_le),
        Test::Gt(literal) => order(literal).is_some_and(Ordering::is_gt),
        Test::Ge(literal) => order(literal).is_some_and(Ordering::is_ge),
        Test::Contains(needle) => {
            matches!(value, Scalar::Str(text) if contains_folded(text, needle))
        }
        Test::Prefix(prefix) => {
            matches!(value, Scalar::Str(text) if text.starts_with(prefix.as_str()))
        }
        // A part of a plan of its own: see `Node::Matches`.
        Test::Regex(_) => false,
        Test::Exists => true,
    }
}

/// A fingerprint stands for a long text or for bytes, so that even a test that every text passes
/// is in doubt.
fn test_long(test: &Test, hash: u64) -> Option<bool> {
    let equal = |literal: &Literal| match literal {
        Literal::Str(text) => {
            text.len() > COLUMN_VALUE_BYTES_MAX && fingerprint(text.as_bytes()) == hash
        }
        _ => false,
    };
    let possible = match test {
        Test::Eq(literal) => equal(literal),
        Test::In(list) => list.iter().any(equal),
        Test::Lt(l) | Test::Le(l) | Test::Gt(l) | Test::Ge(l) => matches!(l, Literal::Str(_)),
        Test::Contains(_) | Test::Prefix(_) => true,
        Test::Regex(_) => false,
        Test::Exists => return Some(true),
    };
    if possible { None } else { Some(false) }
}

/// Whether some form of `text` has `needle` in it, ASCII letters compared without case.
pub(super) fn contains_folded(text: &str, needle: &str) -> bool {
    let finder = Finder::new(needle.as_bytes());
    let is_in = |text: &str| finder.find(text.as_bytes()).is_some();
    is_in(text) || escape::any_form(text, &mut |form| is_in(form))
}
