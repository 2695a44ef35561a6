//! Functions over time that are calculated with: plain data, and its text.

use std::fmt::{self, Display};

use super::ast::{Arith, Metrics, Query};

/// Numbers over time, worked out of those of functions.
#[derive(Clone, Debug, PartialEq)]
pub enum Math {
    /// A function over time, of spans of its own.
    Query(Box<Query>),
    /// A number, the same at every step.
    Number(f64),
    /// Calculates step by step. Never what is left over, and no powers.
    Both(Arith, Box<Math>, Box<Math>),
}

impl Math {
    /// How many functions it has.
    pub(super) fn functions(&self) -> usize {
        match self {
            Self::Query(_) => 1,
            Self::Number(_) => 0,
            Self::Both(_, a, b) => a.functions() + b.functions(),
        }
    }

    /// What a series without labels is called: a number beside it does not change that.
    pub fn name(&self, function: &dyn Fn(&Metrics) -> String) -> String {
        match self {
            Self::Query(query) => query.metrics.as_ref().map(function).unwrap_or_default(),
            Self::Number(_) => String::new(),
            Self::Both(op, a, b) => match (a.name(function), b.name(function)) {
                (a, b) if b.is_empty() => a,
                (a, b) if a.is_empty() => b,
                (a, b) => format!("({a} {} {b})", op.as_str()),
            },
        }
    }
}

impl Display for Math {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(query) => write!(f, "({query})"),
            Self::Number(x) => write!(f, "{x}"),
            Self::Both(op, a, b) => write!(f, "({a} {} {b})", op.as_str()),
        }
    }
}
