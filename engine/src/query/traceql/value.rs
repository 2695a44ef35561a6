//! Values of spans, and what is asked of them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

use super::ast::{Cmp, Expr, Field, Kind, Static, Status};
use super::whole;
use crate::doc::Scalar;
use crate::query::QueryError;
use crate::query::text::Pattern;
use crate::query::value::cmp_numbers;

/// A value of a field.
#[derive(Clone, Debug)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Nanoseconds.
    Duration(i64),
    /// Text.
    Str(Box<str>),
    /// How a span ended.
    Status(Status),
    /// A kind of OpenTelemetry's.
    Kind(Kind),
    /// Bytes, which equal nothing.
    Bytes,
}

/// The values of a field of one span; none is `nil`.
pub(super) type Values = Vec<Value>;

impl Value {
    /// `None`: the document must be asked.
    pub(super) fn of(scalar: Scalar<'_>) -> Option<Self> {
        Some(match scalar {
            Scalar::Bool(b) => Self::Bool(b),
            Scalar::I64(n) => Self::Int(n),
            Scalar::F64(x) => Self::Float(x),
            Scalar::Str(text) => Self::Str(text.into()),
            Scalar::Long(_) => return None,
        })
    }

    fn number(&self) -> Option<Scalar<'static>> {
        match self {
            Self::Int(n) | Self::Duration(n) => Some(Scalar::I64(*n)),
            Self::Float(x) => Some(Scalar::F64(*x)),
            _ => None,
        }
    }

    /// The number, if it is one; durations in nanoseconds.
    #[expect(clippy::cast_precision_loss, reason = "calculations are in floats")]
    pub(super) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(n) | Self::Duration(n) => Some(*n as f64),
            Self::Float(x) => Some(*x),
            _ => None,
        }
    }

    /// How two values stand to one another; `None` if they do not compare.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Str(a), Self::Str(b)) => Some(a.cmp(b)),
            // These have no order: they are equal, or do not compare.
            (Self::Bool(_), Self::Bool(_))
            | (Self::Status(_), Self::Status(_))
            | (Self::Kind(_), Self::Kind(_)) => (self == other).then_some(Ordering::Equal),
            _ => cmp_numbers(self.number()?, other.number()?),
        }
    }

    /// As a key: a float that is a whole number is that number.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::float_cmp,
        reason = "whether the float is that whole number is the question"
    )]
    pub(super) fn into_key(self) -> Self {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match self {
            Self::Float(x) if x == x.trunc() && x.abs() < EXACT => Self::Int(x as i64),
            other => other,
        }
    }

    /// Equal as keys.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Int(_) | Self::Float(_), Self::Int(_) | Self::Float(_)) => {
                self.clone().into_key() == other.clone().into_key()
            }
            _ => self == other,
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Bool(_) => 0,
            Self::Int(_) => 1,
            Self::Float(_) => 2,
            Self::Duration(_) => 3,
            Self::Str(_) => 4,
            Self::Status(_) => 5,
            Self::Kind(_) => 6,
            Self::Bytes => 7,
        }
    }

    /// Bytes held beside itself.
    pub(super) const fn heap_bytes(&self) -> usize {
        match self {
            Self::Str(text) => text.len(),
            _ => 0,
        }
    }
}

/// A total order, for keys of groups.
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Int(a), Self::Int(b)) | (Self::Duration(a), Self::Duration(b)) => a.cmp(b),
            (Self::Str(a), Self::Str(b)) => a.cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Status(a), Self::Status(b)) => a.cmp(b),
            (Self::Kind(a), Self::Kind(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

/// Adds a value of a span's field if it is not there: 1 and 1.0 are one.
pub(super) fn add(values: &mut Values, value: Value) {
    if !values.iter().any(|known| known.is_same(&value)) {
        values.push(value);
    }
}

/// A literal as values: `nil` is none.
pub(super) fn of_static(value: &Static) -> Values {
    match value {
        Static::Nil => Vec::new(),
        Static::Bool(b) => vec![Value::Bool(*b)],
        Static::Int(n) => vec![Value::Int(*n)],
        Static::Float(x) => vec![Value::Float(*x)],
        Static::Str(text) => vec![Value::Str(text.clone())],
        Static::Duration(ns) => vec![Value::Duration(*ns)],
        Static::Status(status) => vec![Value::Status(*status)],
        Static::Kind(kind) => vec![Value::Kind(*kind)],
    }
}

/// The regular expressions of a query, by their texts.
#[derive(Debug, Default)]
pub(super) struct Patterns(HashMap<Box<str>, Pattern>);

impl Patterns {
    /// Adds those of an expression.
    pub(super) fn add(&mut self, part: &Expr) -> Result<(), QueryError> {
        match part {
            Expr::Static(_) | Expr::Field(_) => Ok(()),
            Expr::Not(part) | Expr::Neg(part) => self.add(part),
            Expr::And(parts) | Expr::Or(parts) => parts.iter().try_for_each(|p| self.add(p)),
            Expr::Compare(Cmp::Match | Cmp::NotMatch, a, b) => {
                if let Expr::Static(Static::Str(pattern)) = &**b
                    && !self.0.contains_key(pattern)
                {
                    let compiled = Pattern::new(&whole(pattern))?;
                    self.0.insert(pattern.clone(), compiled);
                }
                self.add(a)
            }
            Expr::Compare(_, a, b) | Expr::Arith(_, a, b) => {
                self.add(a)?;
                self.add(b)
            }
        }
    }

    fn matches(&self, pattern: &Expr, value: &Value) -> bool {
        let (Expr::Static(Static::Str(pattern)), Value::Str(text)) = (pattern, value) else {
            return false;
        };
        let known = self.0.get(pattern);
        known.is_some_and(|pattern| pattern.is_match(text))
    }
}

/// One span, as expressions see it.
pub(super) struct Looked<'a> {
    /// The values of a field.
    pub(super) values: &'a dyn Fn(&Field) -> &'a [Value],
    pub(super) patterns: &'a Patterns,
}

impl<'a> Looked<'a> {
    /// Whether an expression holds.
    pub(super) fn holds(&self, part: &Expr) -> bool {
        match part {
            Expr::Not(part) => !self.holds(part),
            Expr::And(parts) => parts.iter().all(|part| self.holds(part)),
            Expr::Or(parts) => parts.iter().any(|part| self.holds(part)),
            Expr::Compare(cmp, a, b) => self.compares(*cmp, a, b),
            Expr::Static(_) | Expr::Field(_) | Expr::Neg(_) | Expr::Arith(..) => {
                self.values(part).contains(&Value::Bool(true))
            }
        }
    }

    /// What an expression comes to.
    pub(super) fn values(&self, part: &Expr) -> Cow<'a, [Value]> {
        match part {
            Expr::Field(field) => Cow::Borrowed((self.values)(field)),
            Expr::Static(value) => Cow::Owned(of_static(value)),
            Expr::Neg(part) => Cow::Owned(number(self.number(part).map(|x| -x))),
            Expr::Arith(op, a, b) => {
                let both = self.number(a).zip(self.number(b));
                Cow::Owned(number(both.map(|(a, b)| op.of(a, b))))
            }
            Expr::Not(_) | Expr::And(_) | Expr::Or(_) | Expr::Compare(..) => {
                Cow::Owned(vec![Value::Bool(self.holds(part))])
            }
        }
    }

    /// The one number that an expression comes to.
    pub(super) fn number(&self, part: &Expr) -> Option<f64> {
        let values = self.values(part);
        let mut numbers = values.iter().filter_map(Value::as_f64);
        let first = numbers.next();
        first.filter(|_| numbers.next().is_none())
    }

    fn compares(&self, cmp: Cmp, a: &Expr, b: &Expr) -> bool {
        let nil = |part: &Expr| *part == Expr::Static(Static::Nil);
        let left = self.values(a);
        if nil(a) || nil(b) {
            let none = left.is_empty() && self.values(b).is_empty();
            return none == (cmp == Cmp::Eq);
        }
        if matches!(cmp, Cmp::Match | Cmp::NotMatch) {
            let some = left.iter().any(|value| self.patterns.matches(b, value));
            return some == (cmp == Cmp::Match) && !left.is_empty();
        }
        let right = self.values(b);
        let any = |passes: fn(Ordering) -> bool| {
            let mut pairs = left
                .iter()
                .flat_map(|a| right.iter().map(move |b| a.compare(b)));
            pairs.any(|order| order.is_some_and(passes))
        };
        match cmp {
            Cmp::Ne => !any(Ordering::is_eq) && !left.is_empty() && !right.is_empty(),
            Cmp::Lt => any(Ordering::is_lt),
            Cmp::Le => any(Ordering::is_le),
            Cmp::Gt => any(Ordering::is_gt),
            Cmp::Ge => any(Ordering::is_ge),
            Cmp::Eq | Cmp::Match | Cmp::NotMatch => any(Ordering::is_eq),
        }
    }
}

/// A result that is no number is none.
fn number(x: Option<f64>) -> Values {
    let x = x.filter(|x| !x.is_nan());
    x.map(Value::Float).into_iter().collect()
}
