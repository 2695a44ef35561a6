//! What scores say of the rows of a page: for who lists runs or spans with their scores beside them.

use std::collections::HashSet;

use super::QueryError;
use super::beside::Beside;
use super::given::{Said, mean};
use super::meter::{Budget, Explain, Meter};
use super::scan::of_traces;
use super::search::LIMIT_MAX;
use crate::doc::Scalar;
use crate::model::score::Fact;
use crate::row::Table;
use crate::source::{Kept, Visible};

/// Most names of scores that one question asks for.
pub const SCORES_TOLD_MAX: usize = 32;

/// What the scores of one name say of a row, all together.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// The mean of their numbers, yes being 1 and no 0: what rows are ordered and added up by.
    Number(f64),
    /// None of them has a number: their words, each once, by the alphabet.
    Words(Vec<Box<str>>),
}

impl Told {
    fn of(values: &[Kept]) -> Option<Self> {
        if let Some(mean) = mean(values) {
            return Some(Self::Number(mean));
        }
        let texts = values.iter().filter_map(|value| match value.scalar() {
            Scalar::Str(text) => Some(Box::from(text)),
            _ => None,
        });
        let mut words: Vec<Box<str>> = texts.collect();
        words.sort_unstable();
        words.dedup();
        (!words.is_empty()).then_some(Self::Words(words))
    }
}

/// For each row what the scores of each name say, in the order of the names.
pub type Tellings = Vec<Vec<Option<Told>>>;

/// What the scores of each name say of each of these runs, or spans, which are named by trace and id.
pub fn told(
    rows: &[(&str, &str)],
    names: &[&str],
    beside: &Beside<'_>,
    budget: &Budget<'_>,
) -> Result<(Tellings, Explain), QueryError> {
    check(rows, names, beside)?;
    let mut meter = Meter::new(budget);
    let traces: HashSet<Box<str>> = rows.iter().map(|(trace, _)| Box::from(*trace)).collect();
    let near = of_these(beside.scores, &traces, &meter)?;
    let beside = Beside {
        scores: &near,
        ..*beside
    };
    let mut all = vec![Vec::with_capacity(names.len()); rows.len()];
    for name in names {
        let before = meter.found();
        let said = Said::whole(&beside, (name, Fact::Worth), &mut meter)?;
        for ((trace, id), told) in rows.iter().zip(&mut all) {
            let span = if beside.of == Table::Spans { id } else { "" };
            told.push(Told::of(said.of_row(trace, span)));
        }
        meter.let_go(before);
    }
    Ok((all, meter.explain))
}

fn check(rows: &[(&str, &str)], names: &[&str], beside: &Beside<'_>) -> Result<(), QueryError> {
    if rows.len() > LIMIT_MAX {
        return Err(QueryError::LimitTooLarge(rows.len()));
    }
    if names.len() > SCORES_TOLD_MAX {
        return Err(QueryError::TooMany {
            what: "names of scores",
            max: SCORES_TOLD_MAX,
            count: names.len(),
        });
    }
    if !matches!(beside.of, Table::Runs | Table::Spans) {
        return Err(QueryError::Meaningless(
            "scores of rows that are neither runs nor spans",
        ));
    }
    Ok(())
}

/// The scores of these traces.
pub(super) fn of_these<'a>(
    scores: &[Visible<'a>],
    traces: &HashSet<Box<str>>,
    meter: &Meter<'_>,
) -> Result<Vec<Visible<'a>>, QueryError> {
    let of_source = |scores: &Visible<'a>| {
        Ok(Visible {
            source: scores.source,
            live: of_traces(scores.source, traces, &scores.live, &mut |n| {
                meter.check_at(n)
            })?,
            name: scores.name.clone(),
        })
    };
    scores.iter().map(of_source).collect()
}
