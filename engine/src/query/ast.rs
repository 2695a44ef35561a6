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
    /// Some part of it matches the regular expression; strings only.
    Regex(String),
    /// There is a value.
    Exists,
}

/// What is looked for in every string value and key of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// The words of this text, one behind the other in one value or key: see `GRAMMAR.md` for what
    /// a word is. A text without a word is looked for as it is, as by `Contains`.
    Words(String),
    /// As `Words`, but the last word need only begin so.
    Beginning(String),
    /// The text as a substring, ASCII case folded.
    Contains(String),
    /// Something that matches the regular expression.
    Regex(String),
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
    /// Rows of whose document some string value or key passes.
    Text(TextTest),
    /// Runs of which some span passes. Only valid over runs.
    AnySpan(Box<Filter>),
    /// Runs of which some score passes, be it of the run or of a span of it; spans that such a score is of.
    /// Only valid over runs and spans, and over spans within [`Filter::AnySpan`]. In it `name`, `value`,
    /// `user_id` and `span_id` mean the same whatever protocol a score came by: see `GRAMMAR.md`.
    AnyScore(Box<Filter>),
}
