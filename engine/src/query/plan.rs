//! From a filter to a plan: limits checked, tests of other rows answered, cheap tests first.

use std::borrow::Cow;
use std::collections::HashSet;

use super::QueryError;
use super::ast::{Filter, Literal, Test, TextTest};
use super::document;
use super::scores::Scored;
use super::text::{Pattern, REGEXES_MAX, Text, check_pattern};
use super::value::cmp_i64_f64;
use crate::doc::{DocError, DocRef};
use crate::model::score::Fact;
use crate::source::{Column, Core};

/// Deepest nesting of a filter; a single test is 1 deep.
pub const DEPTH_MAX: usize = 16;
/// Most nodes of a filter.
pub const NODES_MAX: usize = 256;
/// Most values in one list of a filter.
pub const LIST_MAX: usize = 1_000;
/// Longest text in a filter, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// A filter that is ready to run over the sources of one table.
#[derive(Debug)]
pub(super) enum Node<'f> {
    All,
    And(Vec<Node<'f>>),
    Or(Vec<Node<'f>>),
    Not(Box<Node<'f>>),
    Is(&'f Column, Cow<'f, Test>),
    /// Values that match a regular expression.
    Matches(&'f Column, Pattern),
    Text(Box<Text<'f>>),
    /// Rows of these traces: an answered test of spans, or of scores over runs.
    Traces(HashSet<Box<str>>),
    /// These spans: an answered test of scores.
    Scored(Scored),
}

/// A test of rows of another table, by the filter over those.
#[derive(Clone, Copy, Debug)]
pub(super) enum Elsewhere<'f> {
    Span(&'f Filter),
    Score(&'f Filter),
}

/// Answers a test of other rows by a test of those that the plan is for.
pub(super) type Answer<'a, 'f> = &'a mut dyn FnMut(Elsewhere<'f>) -> Result<Node<'f>, QueryError>;

/// Refuses a filter that is too large to run.
pub(super) fn check(filter: &Filter) -> Result<(), QueryError> {
    fn walk(
        filter: &Filter,
        depth: usize,
        (nodes, regexes): (&mut usize, &mut usize),
    ) -> Result<(), QueryError> {
        if depth > DEPTH_MAX {
            return Err(QueryError::TooDeep);
        }
        *nodes += 1;
        if *nodes > NODES_MAX {
            return Err(QueryError::TooManyNodes);
        }
        if let Filter::Is(_, Test::Regex(pattern)) | Filter::Text(TextTest::Regex(pattern)) = filter
        {
            check_pattern(pattern)?;
            *regexes += 1;
            if *regexes > REGEXES_MAX {
                return Err(QueryError::TooManyRegexes);
            }
        }
        match filter {
            Filter::All => Ok(()),
            Filter::And(parts) | Filter::Or(parts) => parts
                .iter()
                .try_for_each(|part| walk(part, depth + 1, (nodes, regexes))),
            Filter::Not(part) | Filter::AnySpan(part) | Filter::AnyScore(part) => {
                walk(part, depth + 1, (nodes, regexes))
            }
            Filter::Is(column, test) => {
                if let Column::Path(path) = column {
                    check_text(path)?;
                }
                check_test(test)
            }
            Filter::Text(test) => check_text(test.text()),
        }
    }
    walk(filter, 1, (&mut 0, &mut 0))
}

fn check_test(test: &Test) -> Result<(), QueryError> {
    match test {
        Test::Eq(l) | Test::Lt(l) | Test::Le(l) | Test::Gt(l) | Test::Ge(l) => check_literal(l),
        Test::In(list) if list.len() > LIST_MAX => Err(QueryError::ListTooLong(list.len())),
        Test::In(list) => list.iter().try_for_each(check_literal),
        Test::Contains(text) | Test::Prefix(text) => check_text(text),
        // Checked with the filter that holds it.
        Test::Regex(_) | Test::Exists => Ok(()),
    }
}

fn check_literal(literal: &Literal) -> Result<(), QueryError> {
    if let Literal::Str(text) = literal {
        check_text(text)
    } else {
        Ok(())
    }
}

fn check_text(text: &str) -> Result<(), QueryError> {
    if text.len() > TEXT_BYTES_MAX {
        Err(QueryError::TextTooLong(text.len()))
    } else {
        Ok(())
    }
}

/// Makes the plan. The filter must have passed [`check`].
pub(super) fn plan<'f>(
    filter: &'f Filter,
    elsewhere: Answer<'_, 'f>,
) -> Result<Node<'f>, QueryError> {
    let mut all = |parts: &'f [Filter]| -> Result<Vec<Node<'f>>, QueryError> {
        let mut nodes = Vec::with_capacity(parts.len());
        for part in parts {
            nodes.push(plan(part, &mut *elsewhere)?);
        }
        nodes.sort_by_key(Node::cost);
        Ok(nodes)
    };
    Ok(match filter {
        Filter::All => Node::All,
        Filter::And(parts) => Node::And(all(parts)?),
        Filter::Or(parts) => Node::Or(all(parts)?),
        Filter::Not(part) => Node::Not(Box::new(plan(part, elsewhere)?)),
        Filter::Is(column, Test::Regex(pattern)) => Node::Matches(column, Pattern::new(pattern)?),
        Filter::Is(column, test) => Node::Is(column, meant(column, test)),
        Filter::Text(test) => Node::Text(Box::new(Text::new(test)?)),
        Filter::AnySpan(part) => elsewhere(Elsewhere::Span(part))?,
        Filter::AnyScore(part) => elsewhere(Elsewhere::Score(part))?,
    })
}

/// A test of a column as it is run. Some protocols store yes and no of a score as 1 and 0, so those are asked for, too.
fn meant<'f>(column: &Column, test: &'f Test) -> Cow<'f, Test> {
    let also = |literal: &Literal| match literal {
        Literal::Bool(yes) => vec![Literal::Bool(*yes), Literal::I64(i64::from(*yes))],
        other => vec![other.clone()],
    };
    match (column, test) {
        (Column::Score(Fact::Value), Test::Eq(literal @ Literal::Bool(_))) => {
            Cow::Owned(Test::In(also(literal)))
        }
        (Column::Score(Fact::Value), Test::In(list)) => {
            Cow::Owned(Test::In(list.iter().flat_map(also).collect()))
        }
        _ => Cow::Borrowed(test),
    }
}

impl Node<'_> {
    /// Which of two parts to look at first where a source tells nothing of them beforehand: see [`super::guess`]. An
    /// index of terms costs least and leaves few rows; a text that no index knows costs nothing on columns, since it leaves
    /// every row in doubt: last, it has the fewest.
    pub(super) fn cost(&self) -> u32 {
        match self {
            Self::All => 0,
            Self::Is(column, test) => {
                let by_column = match column {
                    column if column.has_any_type() => 3,
                    _ => 1,
                };
                let by_test = if matches!(&**test, Test::Contains(_) | Test::Prefix(_)) {
                    2
                } else {
                    0
                };
                by_column + by_test
            }
            Self::Traces(_) => 4,
            Self::Scored(_) => 5,
            Self::Not(part) => part.cost(),
            Self::And(parts) => parts.first().map_or(0, Self::cost),
            Self::Or(parts) => 1 + parts.iter().map(Self::cost).max().unwrap_or(0),
            Self::Matches(..) => 6,
            Self::Text(text) if text.has_terms() => 0,
            Self::Text(_) => 100,
        }
    }

    /// Its one part that is a single term, and the others, if that is what it is made of.
    pub(super) fn one_term(&self) -> Option<(&Text<'_>, Vec<&Self>)> {
        match self {
            Self::Text(text) if text.is_one_term() => Some((text, Vec::new())),
            Self::And(parts) => {
                let at = parts
                    .iter()
                    .position(|part| matches!(part, Self::Text(text) if text.is_one_term()))?;
                let Some(Self::Text(text)) = parts.get(at) else {
                    return None;
                };
                let others = parts.iter().enumerate().filter(|(n, _)| *n != at);
                Some((text, others.map(|(_, part)| part).collect()))
            }
            _ => None,
        }
    }

    /// How it is called in `explain`, without its literals.
    pub(super) fn name(&self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::And(parts) => format!("all of {}", parts.len()),
            Self::Or(parts) => format!("any of {}", parts.len()),
            Self::Not(part) => format!("not {}", part.name()),
            Self::Is(column, test) => describe(column, test),
            Self::Matches(column, _) => format!("{} =~", column.name()),
            Self::Text(text) => text.name().to_owned(),
            Self::Traces(_) => "traces".to_owned(),
            Self::Scored(_) => "scored".to_owned(),
        }
    }

    /// How many columns it reads.
    pub(super) fn columns(&self) -> u64 {
        match self {
            Self::All => 0,
            Self::Is(..) | Self::Matches(..) | Self::Text(_) | Self::Traces(_) => 1,
            Self::Scored(_) => 2,
            Self::And(parts) | Self::Or(parts) => parts.iter().map(Self::columns).sum(),
            Self::Not(part) => part.columns(),
        }
    }

    /// Decides on the document. Never in doubt, and the same as the columns where they are sure.
    pub(super) fn passes(&self, core: &Core, doc: DocRef<'_>) -> Result<bool, DocError> {
        Ok(match self {
            Self::All => true,
            Self::And(parts) => {
                for part in parts {
                    if !part.passes(core, doc)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Or(parts) => {
                for part in parts {
                    if part.passes(core, doc)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::Not(part) => !part.passes(core, doc)?,
            Self::Is(column, test) => document::passes(column, test, core, doc)?,
            Self::Matches(column, pattern) => {
                let mut passed = false;
                document::leaves(column, core, doc, &mut |leaf| {
                    passed = leaf.as_str().is_some_and(|text| pattern.is_match(text));
                    passed
                })?;
                passed
            }
            Self::Text(text) => text.passes(doc)?,
            Self::Traces(traces) => traces.contains(&core.trace_id),
            Self::Scored(spans) => spans.has(core),
        })
    }
}

/// Starts that a row which passes can have, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Starts {
    pub(super) min: i64,
    pub(super) max: i64,
}

impl Starts {
    pub(super) const ALL: Self = Self {
        min: i64::MIN,
        max: i64::MAX,
    };
    const NONE: Self = Self {
        min: i64::MAX,
        max: i64::MIN,
    };

    const fn is_none(self) -> bool {
        self.min > self.max
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            min: self.min.max(other.min),
            max: self.max.min(other.max),
        }
    }

    fn or(self, other: Self) -> Self {
        if self.is_none() {
            return other;
        }
        if other.is_none() {
            return self;
        }
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    /// Whether a row group with starts in this range, if known, can hold such a row.
    pub(super) fn overlaps(self, range: Option<(i64, i64)>) -> bool {
        !self.is_none() && range.is_none_or(|(min, max)| min <= self.max && max >= self.min)
    }

    pub(super) fn of(filter: &Filter) -> Self {
        match filter {
            Filter::And(parts) => parts
                .iter()
                .fold(Self::ALL, |s, part| s.and(Self::of(part))),
            Filter::Or(parts) => parts
                .iter()
                .fold(Self::NONE, |s, part| s.or(Self::of(part))),
            Filter::Is(Column::Start, test) => Self::of_test(test),
            _ => Self::ALL,
        }
    }

    fn of_test(test: &Test) -> Self {
        let at_most = |l: &Literal| floor(l).map_or(Self::NONE, |max| Self { max, ..Self::ALL });
        let at_least = |l: &Literal| floor(l).map_or(Self::NONE, |min| Self { min, ..Self::ALL });
        let equal = |l: &Literal| floor(l).map_or(Self::NONE, |at| Self { min: at, max: at });
        match test {
            Test::Eq(l) => equal(l),
            Test::In(list) => list.iter().fold(Self::NONE, |s, l| s.or(equal(l))),
            Test::Lt(l) | Test::Le(l) => at_most(l),
            Test::Gt(l) | Test::Ge(l) => at_least(l),
            Test::Contains(_) | Test::Prefix(_) | Test::Regex(_) => Self::NONE,
            Test::Exists => Self::ALL,
        }
    }
}

/// The largest whole number not above the literal, or the nearest end of the range: pruning may
/// keep a row group too many. `None` if no number compares with it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "`as` saturates, which is what is wanted"
)]
fn floor(literal: &Literal) -> Option<i64> {
    match literal {
        Literal::I64(n) => Some(*n),
        Literal::F64(x) => cmp_i64_f64(0, *x).map(|_| x.floor() as i64),
        Literal::Str(_) | Literal::Bool(_) => None,
    }
}

/// The part of the filter in the grammar's words, without its literals: for `explain`, which must
/// not grow with them.
pub(super) fn describe(column: &Column, test: &Test) -> String {
    let operator = match test {
        Test::Eq(_) => "=",
        Test::In(_) => "in",
        Test::Lt(_) => "<",
        Test::Le(_) => "<=",
        Test::Gt(_) => ">",
        Test::Ge(_) => ">=",
        Test::Contains(_) => "~",
        Test::Prefix(_) => "prefix",
        Test::Regex(_) => "=~",
        Test::Exists => "exists",
    };
    format!("{} {operator}", column.name())
}
