//! The filter AST: plain data, the one target of every front end (JSON, search bar, `TraceQL`).

use crate::source::Column;

/// A literal in a filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Text.
    Str(String),
    /// A whole number. Equal to the float of the same value.
    I64(i64),
    /// A number.
    F64(f64),
    /// True or false.
    Bool(bool),
}

/// How a value is compared. A row passes if any of its values does; `NotEq` is `Not(Eq)`.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// Equal, with numbers compared by value across int and float.
    Eq(Literal),
    /// Equal to one of these.
    In(Vec<Literal>),
    /// Less than, among values of the literal's type.
    Lt(Literal),
    /// Less than or equal.
    Le(Literal),
    /// Greater than.
    Gt(Literal),
    /// Greater than or equal.
    Ge(Literal),
    /// Has the text as a substring, ASCII case folded; strings only.
    Contains(String),
    /// Begins with the text, case sensitive; strings only.
    Prefix(String),
    /// There is a value.
    Exists,
}

/// Which rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All rows.
    All,
    /// Rows that pass every part; an empty list passes all.
    And(Vec<Filter>),
    /// Rows that pass some part; an empty list passes none.
    Or(Vec<Filter>),
    /// Rows that do not pass.
    Not(Box<Filter>),
    /// Rows of which a value of the column passes.
    Is(Column, Test),
    /// Rows whose document has the text anywhere in a string value or key, ASCII case folded.
    Text(String),
    /// Runs of which some span passes. Only valid over runs.
    AnySpan(Box<Filter>),
}
